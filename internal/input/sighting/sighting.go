// Package sighting decodes what passive DNS and certificate logs have seen of
// names: one file per format, each a function of the type Decode that turns a
// stream of bytes into picket.Sighting values.
//
// A sighting says that a name was there, never that it still is. What has no
// time is rejected: it could not be placed before or after a name's retirement.
package sighting

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Decode is the shape of every decoder in this package. It reads r to its end
// or until ctx is done, passes sightings to sink in the order found, and tells
// acct what became of each record. An error from sink is returned as it is.
type Decode func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error

// Reasons of several formats.
const (
	reasonError   = "error answer"
	skipNoNames   = "certificate without DNS names"
	skipEmail     = "e-mail address of a certificate"
	skipAddress   = "IP address of a certificate"
	skipNotDNS    = "subject that is no DNS name"
	skipHeartbeat = "heartbeat"
)

// certificate is what the three sources of certificates have in common.
type certificate struct {
	notBefore, notAfter, logged time.Time
	issuer, serial, origin      string
	names                       [][]byte // as found, with repetitions
}

// seen is a reader of certificates: it tells names from what else certificates
// are issued for.
type seen struct {
	opt  decode.Options
	acct picket.Accounting
	sink picket.SightingSink
	text decode.Interner
	have map[string]bool // names of the current certificate
}

func newSeen(opt decode.Options, acct picket.Accounting, sink picket.SightingSink) *seen {
	return &seen{opt: opt, acct: acct, sink: sink, have: map[string]bool{}}
}

// take passes on a sighting for each DNS name of a certificate, and accounts for
// what else is in its list.
func (s *seen) take(c *certificate) error {
	clear(s.have)
	for _, text := range c.names {
		if s.have[string(text)] {
			continue
		}
		s.have[string(text)] = true
		if skip := notDNS(text); skip != "" {
			s.acct.Skip(skip)
			continue
		}
		name, ok := s.text.Name(text)
		if !ok {
			s.acct.Skip(skipNotDNS)
			continue
		}
		if name != string(text) {
			if s.have[name] {
				continue
			}
			s.have[name] = true
		}
		v := &picket.Sighting{Name: name, FirstSeen: c.notBefore, LastSeen: c.notAfter, Logged: c.logged, Channel: picket.SightingCertificate,
			Issuer: c.issuer, Serial: c.serial, Origin: c.origin, Sensor: s.opt.Sensor}
		at := c.logged
		if at.IsZero() {
			at = c.notBefore
		}
		s.acct.Accept(at.UnixNano())
		if err := s.sink.Sighting(v); err != nil {
			return err
		}
	}
	if len(s.have) == 0 {
		s.acct.Skip(skipNoNames)
	}
	return nil
}

// notDNS says what an entry of a certificate is that cannot be a DNS name, "" for
// one that can. Certificates before 2012 hold nearly anything.
func notDNS(b []byte) string {
	if bytes.IndexByte(b, '@') >= 0 {
		return skipEmail
	}
	if _, ok := decode.ParseAddr(b); ok {
		return skipAddress
	}
	if _, err := netip.ParsePrefix(string(b)); err == nil {
		return skipAddress
	}
	for _, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || decode.Digit(c) || c == '-' || c == '.' || c == '_' || c == '*' || c >= 0x80 {
			continue
		}
		return skipNotDNS
	}
	if len(b) == 0 || string(b) == "." {
		return skipNotDNS
	}
	return ""
}

// instant is decode.Instant as time.Time, zero when it is none.
func instant(c *decode.Clock, b []byte) (time.Time, bool) {
	ns, ok := decode.Instant(c, b)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, ns).UTC(), true
}

// serial returns a certificate's serial number in lower-case hexadecimal without
// separators or leading zeros; "" when it is none.
func serial(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range bytes.TrimPrefix(bytes.ToLower(b), []byte("0x")) {
		switch {
		case c == ':' || c == ' ' || (c == '0' && len(out) == 0):
		case decode.HexValue(c) >= 0 && len(out) < 64:
			out = append(out, c)
		default:
			return ""
		}
	}
	return string(out)
}
