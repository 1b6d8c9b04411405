package sighting

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// ctReader turns one object into a certificate. skip and reason as in the
// account; both "" for a certificate.
type ctReader func(s *seen, v decode.Value, out *certificate) (skip, reason string)

// certificates reads objects with f.
func certificates(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink, f ctReader) error {
	s := newSeen(opt, acct, sink)
	in := decode.NewItems(ctx, r, acct)
	for {
		rec, err := in.Next()
		if err != nil {
			return decode.Ended(err)
		}
		if !json.Valid(rec) {
			acct.Reject(decode.ReasonBrokenJSON, in.Fault())
			continue
		}
		var c certificate
		skip, reason := f(s, decode.Value(rec), &c)
		switch {
		case reason != "":
			acct.Reject(reason, in.Fault())
		case skip != "":
			acct.Skip(skip)
		default:
			if err := s.take(&c); err != nil {
				return err
			}
		}
	}
}

// validity reads the two times of a certificate, which there always are (RFC
// 5280 §4.1.2.5), in UTC.
func (c *certificate) validity(from, to decode.Value) (reason string) {
	clock := decode.UTCClock()
	var ok bool
	if from == nil || to == nil {
		return decode.ReasonNoTime
	}
	if c.notBefore, ok = instant(&clock, from.Bytes()); !ok {
		return decode.ReasonTime
	}
	if c.notAfter, ok = instant(&clock, to.Bytes()); !ok {
		return decode.ReasonTime
	}
	return ""
}

// log reads the time at which a log took the certificate in, where it is told.
func (c *certificate) log(v decode.Value) (reason string) {
	b := v.Bytes()
	if len(b) == 0 {
		return ""
	}
	clock := decode.UTCClock()
	var ok bool
	if c.logged, ok = instant(&clock, b); !ok {
		return decode.ReasonTime
	}
	return ""
}

// CrtSh decodes the JSON answers of crt.sh, whose times are in UTC and say so
// nowhere.
func CrtSh(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error {
	return certificates(ctx, r, opt, acct, sink, crtsh)
}

func crtsh(s *seen, v decode.Value, c *certificate) (skip, reason string) {
	value := v.First("name_value", "common_name")
	if value == nil {
		if v.Get("not_before") == nil {
			return "", reasonError
		}
		return skipNoNames, ""
	}
	if reason := c.validity(v.Get("not_before"), v.Get("not_after")); reason != "" {
		return "", reason
	}
	if reason := c.log(v.Get("entry_timestamp")); reason != "" {
		return "", reason
	}
	for line := range bytes.SplitSeq(v.Get("name_value").Bytes(), []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			c.names = append(c.names, line)
		}
	}
	if cn := v.Get("common_name").Bytes(); len(cn) > 0 {
		c.names = append(c.names, cn)
	}
	c.issuer, c.serial, c.origin = s.text.Text(v.Get("issuer_name").Bytes()), serial(v.Get("serial_number").Bytes()), "crt.sh"
	return "", ""
}

// DetectCrtSh looks for the fields of crt.sh.
func DetectCrtSh(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		if v.Get("issuer_ca_id") != nil && v.First("name_value", "common_name") != nil && v.Get("not_before") != nil {
			return 95
		}
		return 0
	})
}

// CertSpotter decodes issuances of SSLMate's Cert Spotter: answers of its API
// with dns_names expanded, and the files its own monitor writes.
func CertSpotter(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error {
	return certificates(ctx, r, opt, acct, sink, certspotter)
}

// reasonNoDNSNames tells of an answer that was asked for without expand=dns_names.
const reasonNoDNSNames = "no dns_names; ask for them with expand=dns_names"

func certspotter(s *seen, v decode.Value, c *certificate) (skip, reason string) {
	names := v.Get("dns_names")
	if names == nil {
		if v.Get("tbs_sha256") == nil {
			return "", reasonError
		}
		return "", reasonNoDNSNames
	}
	if reason := c.validity(v.Get("not_before"), v.Get("not_after")); reason != "" {
		return "", reason
	}
	names.Each(func(n decode.Value) bool {
		c.names = append(c.names, n.Bytes())
		return true
	})
	c.issuer = s.text.Text(v.Get("issuer").First("name", "friendly_name").Bytes())
	c.serial, c.origin = serial(v.Get("serial_number").Bytes()), "certspotter"
	return "", ""
}

// DetectCertSpotter looks for the fields of issuances.
func DetectCertSpotter(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		if v.Get("tbs_sha256") == nil || v.Get("not_before") == nil && v.Get("dns_names") == nil {
			return 0
		}
		return 95
	})
}

// CertStream decodes the messages of certstream servers, full or lite.
func CertStream(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error {
	return certificates(ctx, r, opt, acct, sink, certstream)
}

func certstream(s *seen, v decode.Value, c *certificate) (skip, reason string) {
	switch v.Get("message_type").Text() {
	case "certificate_update":
		v = v.Get("data")
	case skipHeartbeat:
		return skipHeartbeat, ""
	case "dns_entries":
		return "", decode.ReasonNoTime
	}
	leaf := v.Get("leaf_cert")
	if !leaf.IsObject() {
		return "", reasonNoCert
	}
	if reason := c.validity(leaf.Get("not_before"), leaf.Get("not_after")); reason != "" {
		return "", reason
	}
	if reason := c.log(v.Get("seen")); reason != "" {
		return "", reason
	}
	leaf.Get("all_domains").Each(func(n decode.Value) bool {
		c.names = append(c.names, n.Bytes())
		return true
	})
	issuer := leaf.Get("issuer")
	if issuer == nil {
		v.Get("chain").Each(func(first decode.Value) bool {
			issuer = first.Get("subject")
			return false
		})
	}
	c.issuer = s.text.Text(issuer.First("aggregated", "CN", "O").Bytes())
	c.serial = serial(leaf.Get("serial_number").Bytes())
	c.origin = s.text.Text(v.Get("source").First("name", "url").Bytes())
	return "", ""
}

const reasonNoCert = "message without a certificate"

// DetectCertStream looks for messages of a certstream server.
func DetectCertStream(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		switch v.Get("message_type").Text() {
		case "certificate_update", "dns_entries":
			return 95
		case skipHeartbeat:
			return 60
		}
		if v.Get("leaf_cert", "all_domains") != nil {
			return 90
		}
		return 0
	})
}
