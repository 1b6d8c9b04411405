package signal

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// skipFortiOther is a log of FortiGate that tells of no connection.
const skipFortiOther = "other FortiGate log"

// forti is what is read of one line.
type forti struct {
	date, clock, zone, eventTime              []byte
	typ, subtype, level, severity             []byte
	src, dst, srcPort, dstPort, proto, action []byte
	sent, received, sentPkt, receivedPkt      []byte
	host, service, policy, attack, attackID   []byte
}

// Fortigate decodes the traffic and UTM logs of FortiGate firewalls: KEY=VALUE
// with or without a syslog header.
func Fortigate(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	var f forti
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		if !f.read(line) {
			acct.Skip(skipOther)
			return "", nil
		}
		kind := ""
		switch string(f.typ) {
		case "traffic":
			kind = picket.SignalConnection
		case "utm", "ips", "anomaly":
			kind = picket.SignalAlert
		}
		if kind == "" || (len(f.src) == 0 && len(f.dst) == 0) {
			acct.Skip(skipFortiOther)
			return "", nil
		}
		ns, reason := f.time(d)
		if reason != "" {
			return reason, nil
		}
		s := &picket.Signal{Tool: "fortigate", Kind: kind, Protocol: d.protocol(f.proto)}
		if reason := ends(s, f.src, f.dst); reason != "" {
			return reason, nil
		}
		if ported(s.Protocol) {
			s.SourcePort, s.TargetPort = port(f.srcPort), port(f.dstPort)
		}
		s.Bytes = min(count(f.sent), 1<<61) + min(count(f.received), 1<<61)
		s.Packets = min(count(f.sentPkt), 1<<61) + min(count(f.receivedPkt), 1<<61)
		f.judge(d, s)
		d.host(s, f.host)
		d.detail(s, "service", f.service)
		d.detail(s, "subtype", f.subtype)
		return "", d.emit(s, ns)
	})
}

// judge sets what was done, by which rule.
func (f *forti) judge(d *output, s *picket.Signal) {
	switch string(f.action) {
	case "deny", "dropped", "drop", "blocked", "block", "reset", "clear_session", "reset_client", "reset_server":
		s.Action = blocked
		if s.Kind == picket.SignalConnection {
			s.Kind = picket.SignalRefused
		}
	case "":
	default: // accept, close, timeout, client-rst, server-rst, passthrough, detected …
		s.Action = allowed
	}
	s.Rule, s.Severity = d.text.Text(f.policy), d.text.Text(f.severity)
	if len(f.attack) > 0 {
		s.Title = d.text.Text(f.attack)
	}
	if len(f.attackID) > 0 {
		s.Rule = d.text.Text(f.attackID)
	}
	if s.Severity == "" && s.Kind == picket.SignalAlert {
		s.Severity = d.text.Text(f.level)
	}
}

// time reads eventtime, in seconds up to nanoseconds by its length, or date and
// time with the zone when that is there.
func (f *forti) time(d *output) (ns int64, reason string) {
	if v, ok := decode.ParseUint(f.eventTime, 1<<63-1); ok {
		switch len(f.eventTime) {
		case 10:
			return int64(v) * 1e9, ""
		case 13:
			return int64(v) * 1e6, ""
		case 16:
			return int64(v) * 1e3, ""
		case 19:
			return int64(v), ""
		}
	}
	if len(f.date) == 0 || len(f.clock) == 0 {
		return 0, decode.ReasonNoTime
	}
	var buf [64]byte
	b := append(append(append(append(buf[:0], f.date...), ' '), f.clock...), f.zone...)
	ns, n := d.clock.IsoTime(b)
	if n == 0 || n != len(b) {
		return 0, decode.ReasonTime
	}
	return ns, ""
}

// fortiFirst are the keys that a log of FortiGate begins with.
var fortiFirst = [...]string{"date=", "logver=", "eventtime="}

// read cuts a line's pairs; values may be quoted. It reports whether the line is
// one of FortiGate.
func (f *forti) read(b []byte) bool {
	*f = forti{}
	i := -1
	for within, first := b, 0; first < len(fortiFirst); first++ {
		if j := bytes.Index(within, []byte(fortiFirst[first])); j >= 0 {
			i, within = j, b[:j]
		}
	}
	if i < 0 {
		return false
	}
	b = b[i:]
	for len(b) > 0 {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 {
			break
		}
		key := bytes.TrimSpace(b[:eq])
		if b = b[eq+1:]; len(b) > 0 && b[0] == '"' {
			text, rest, ok := quoted(b)
			if !ok {
				break
			}
			f.set(key, text)
			b = rest
			continue
		}
		v := b
		if j := bytes.IndexByte(b, ' '); j >= 0 {
			v, b = b[:j], b[j+1:]
		} else {
			b = nil
		}
		f.set(key, v)
	}
	return len(f.typ) > 0
}

func (f *forti) set(key, v []byte) {
	var to *[]byte
	switch string(key) {
	case "date":
		to = &f.date
	case "time":
		to = &f.clock
	case "tz":
		to = &f.zone
	case "eventtime":
		to = &f.eventTime
	case "type":
		to = &f.typ
	case "subtype":
		to = &f.subtype
	case "level":
		to = &f.level
	case "severity":
		to = &f.severity
	case "srcip":
		to = &f.src
	case "dstip":
		to = &f.dst
	case "srcport":
		to = &f.srcPort
	case "dstport":
		to = &f.dstPort
	case "proto":
		to = &f.proto
	case "action":
		to = &f.action
	case "sentbyte":
		to = &f.sent
	case "rcvdbyte":
		to = &f.received
	case "sentpkt":
		to = &f.sentPkt
	case "rcvdpkt":
		to = &f.receivedPkt
	case "hostname":
		to = &f.host
	case "service":
		to = &f.service
	case "policyid":
		to = &f.policy
	case "attack":
		to = &f.attack
	case "attackid":
		to = &f.attackID
	default:
		return
	}
	if len(*to) == 0 { // what a request has smuggled into a later field changes nothing
		*to = v
	}
}

// DetectFortigate knows lines with a log id, a type and a device.
func DetectFortigate(head []byte) int {
	n, hits := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 {
			return true
		}
		n++
		s := string(line[:min(len(line), 1024)])
		if strings.Contains(s, "logid=") && strings.Contains(s, " type=") && (strings.Contains(s, "devid=") || strings.Contains(s, "devname=") || strings.Contains(s, "eventtime=")) {
			hits++
		}
		return n < 500 && hits < 20
	})
	if hits > 0 && (hits == 20 || hits*2 >= n) {
		return 95
	}
	return 0
}
