// Package signal decodes what other sensors saw: connections, refusals, requests,
// alerts and notices of Zeek, Suricata, firewalls, flow logs and web servers.
//
// Everything such a sensor writes is taken, whether suspicious or not: alone, a
// connection says nothing. It is the correlation that asks whether a source which
// searched DNS turned up at a host that it had found there.
package signal

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons and skips that several formats have.
const (
	reasonPort   = "bad port"
	reasonKind   = "bad kind"
	reasonNumber = "bad number"
	skipOther    = "other log line"
	skipPath     = "other Zeek log"
	skipHeader   = "header line"
)

// Actions of a Signal.
const (
	allowed = "allowed"
	blocked = "blocked"
)

// output is where every decoder here writes to.
type output struct {
	opt   decode.Options
	acct  picket.Accounting
	sink  picket.SignalSink
	clock decode.Clock
	now   func() time.Time
	text  decode.Interner
}

func newOutput(opt decode.Options, acct picket.Accounting, sink picket.SignalSink) *output {
	o := &output{opt: opt, acct: acct, sink: sink, clock: decode.NewClock(opt), now: opt.Now}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// emit counts a signal of a time, in Unix nanoseconds, and hands it on.
func (o *output) emit(s *picket.Signal, ns int64) error {
	s.Time = time.Unix(0, ns).UTC()
	if s.Sensor == "" {
		s.Sensor = o.opt.Sensor
	}
	o.acct.Accept(ns)
	return o.sink.Signal(s)
}

// host sets the name of what was asked for from host or host:port. An address is
// not a name; it is the target, where that is not known.
func (o *output) host(s *picket.Signal, b []byte) {
	b = o.place(s, b)
	if len(b) == 0 {
		return
	}
	if name, ok := o.text.Name(b); ok {
		s.TargetName = name
	}
}

// place sets what host or host:port says of the target's address and port, where
// they are not known, and returns the name; nothing when it is none.
func (o *output) place(s *picket.Signal, b []byte) (name []byte) {
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && (b[0] != '[' || b[i-1] == ']') {
		if p, ok := decode.ParseUint(b[i+1:], 65535); ok && (b[0] == '[' || bytes.IndexByte(b, ':') == i) {
			if s.TargetPort == 0 {
				s.TargetPort = uint16(p)
			}
			b = b[:i]
		}
	}
	if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	if len(b) == 0 || string(b) == "-" || string(b) == "_" {
		return nil
	}
	if addr, ok := decode.ParseAddr(b); ok {
		if !s.Target.IsValid() {
			s.Target = addr
		}
		return nil
	}
	for _, c := range b {
		if c <= ' ' || c == '/' || c == ':' {
			return nil
		}
	}
	return b
}

// detail adds to a signal's details unless v is empty or "-".
func (o *output) detail(s *picket.Signal, key string, v []byte) {
	if len(v) == 0 || string(v) == "-" {
		return
	}
	if s.Details == nil {
		s.Details = make(map[string]string, 4)
	}
	s.Details[key] = o.text.Text(v)
}

// lines calls take with each line of r that is not blank, and rejects it for the
// reason that take gives.
func (o *output) lines(ctx context.Context, r io.Reader, take func(line []byte) (reason string, err error)) error {
	in := decode.NewLines(ctx, r, o.acct)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		if len(line) == 0 {
			o.acct.Skip(decode.SkipBlank)
			continue
		}
		reason, err := take(line)
		if err != nil {
			return err
		}
		if reason != "" {
			o.acct.Reject(reason, in.Pos())
		}
	}
}

// protocol is the name of an IP protocol, which b may be the number of.
func (o *output) protocol(b []byte) string {
	switch string(b) {
	case "6", "tcp", "TCP":
		return "tcp"
	case "17", "udp", "UDP":
		return "udp"
	case "1", "icmp", "ICMP":
		return "icmp"
	case "58", "icmp6", "ICMPv6", "ipv6-icmp", "icmpv6", "IPV6-ICMP", "IPv6-ICMP":
		return "icmpv6"
	case "2":
		return "igmp"
	case "4":
		return "ipip"
	case "41":
		return "ipv6"
	case "47":
		return "gre"
	case "50":
		return "esp"
	case "51":
		return "ah"
	case "132", "SCTP":
		return "sctp"
	case "-":
		return ""
	}
	return strings.ToLower(o.text.Text(b))
}

// ported reports whether a protocol has ports.
func ported(protocol string) bool { return protocol != "icmp" && protocol != "icmpv6" }

// port reads a port; none is 0.
func port(b []byte) uint16 {
	v, _ := decode.ParseUint(b, 65535)
	return uint16(v)
}

// count reads a number that is not negative; none is 0.
func count(b []byte) int64 {
	v, _ := decode.ParseUint(b, 1<<62)
	return int64(v)
}

// ends sets source and target.
func ends(s *picket.Signal, src, dst []byte) (reason string) {
	var ok1, ok2 bool
	s.Source, ok1 = decode.ParseAddr(src)
	s.Target, ok2 = decode.ParseAddr(dst)
	if !ok1 || !ok2 {
		return decode.ReasonAddress
	}
	return ""
}

// addrPort reads 192.0.2.1:443 or [2001:db8::1]:443, for IPv6 also without brackets.
func addrPort(b []byte) (a netip.Addr, p uint16, ok bool) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return a, 0, false
	}
	v, ok1 := decode.ParseUint(b[i+1:], 65535)
	host := b[:i]
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	a, ok2 := decode.ParseAddr(host)
	return a, uint16(v), ok1 && ok2
}
