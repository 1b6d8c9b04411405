package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons and skips of Suricata's EVE.
const (
	reasonNoAlert = "alert event without alert object"
	skipEveOther  = "other events"
	maxEveSkips   = 32
)

// alert is what is read of one event.
type alert struct {
	kind, stamp, proto, src, dst, srcPort, dstPort []byte
	has                                            bool
	action, gid, sid, rev, signature               []byte
	category, severity                             []byte
	host, url, agent                               []byte
	bytes, packets                                 int64
}

// SuricataAlert decodes the alert events of Suricata's EVE JSON. Other events are
// skipped by their event_type.
func SuricataAlert(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	out := newOutput(opt, acct, sink)
	skips := map[string]string{}
	var e alert
	return decode.NewRecords(ctx, r, acct).Each(func(c *decode.Cursor) (string, error) {
		if e.read(c); c.Bad {
			return decode.ReasonBrokenJSON, nil
		}
		if string(e.kind) != "alert" {
			acct.Skip(eventSkip(skips, e.kind))
			return "", nil
		}
		if !e.has {
			return reasonNoAlert, nil
		}
		ns, n := out.clock.IsoTime(e.stamp)
		if n == 0 || n != len(e.stamp) {
			return decode.ReasonTime, nil
		}
		s := &picket.Signal{Tool: "suricata", Kind: picket.SignalAlert, Protocol: out.protocol(e.proto), Bytes: e.bytes, Packets: e.packets}
		if reason := ends(s, e.src, e.dst); reason != "" {
			return reason, nil
		}
		s.SourcePort, s.TargetPort = port(e.srcPort), port(e.dstPort)
		s.Title, s.Rule = out.text.Text(e.signature), out.rule(&e)
		s.Action, s.Severity = out.text.Text(e.action), severity(e.severity)
		out.host(s, e.host)
		out.detail(s, "category", e.category)
		out.detail(s, "url", e.url)
		out.detail(s, "agent", e.agent)
		return "", out.emit(s, ns)
	})
}

// rule is gid:sid:rev, as Suricata's fast.log has it, as far as they are there.
func (o *output) rule(e *alert) string {
	if len(e.sid) == 0 {
		return ""
	}
	var b [64]byte
	id := b[:0]
	for _, v := range [][]byte{e.gid, e.sid, e.rev} {
		if len(id) > 0 && len(v) > 0 {
			id = append(id, ':')
		}
		id = append(id, v...)
	}
	return o.text.Text(id)
}

// severity is the word for Suricata's number, of which 1 is the gravest.
func severity(b []byte) string {
	switch string(b) {
	case "":
		return ""
	case "1":
		return "high"
	case "2":
		return "medium"
	case "3":
		return "low"
	}
	return "info"
}

// eventSkip names an event_type in the account, as long as there are few.
func eventSkip(skips map[string]string, kind []byte) string {
	if s, ok := skips[string(kind)]; ok {
		return s
	}
	if len(skips) >= maxEveSkips || len(kind) > 32 {
		return skipEveOther
	}
	s := "event_type " + decode.Text(kind)
	if len(kind) == 0 {
		s = "event without event_type"
	}
	skips[string(kind)] = s
	return s
}

func (e *alert) read(c *decode.Cursor) {
	*e = alert{}
	c.Open('{')
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "event_type":
			e.kind = c.Scalar()
		case "timestamp":
			e.stamp = c.Scalar()
		case "proto":
			e.proto = c.Scalar()
		case "src_ip":
			e.src = c.Scalar()
		case "dest_ip":
			e.dst = c.Scalar()
		case "src_port":
			e.srcPort = c.Scalar()
		case "dest_port":
			e.dstPort = c.Scalar()
		case "alert", "http", "tls", "flow":
			if !c.Open('{') {
				c.Skip()
				continue
			}
			e.has = e.has || string(k) == "alert"
			e.part(c, k[0])
		default:
			c.Skip()
		}
	}
}

// part reads an object within the event, stepped into, by its key's first letter.
func (e *alert) part(c *decode.Cursor, of byte) {
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		to := e.field(of, k)
		switch {
		case to != nil:
			*to = c.Scalar()
		case of == 'f' && (string(k) == "bytes_toserver" || string(k) == "bytes_toclient"):
			e.bytes += min(count(c.Scalar()), 1<<61)
		case of == 'f' && (string(k) == "pkts_toserver" || string(k) == "pkts_toclient"):
			e.packets += min(count(c.Scalar()), 1<<61)
		default:
			c.Skip()
		}
	}
}

func (e *alert) field(of byte, k []byte) *[]byte {
	switch of {
	case 'a':
		switch string(k) {
		case "action":
			return &e.action
		case "gid":
			return &e.gid
		case "signature_id":
			return &e.sid
		case "rev":
			return &e.rev
		case "signature":
			return &e.signature
		case "category":
			return &e.category
		case "severity":
			return &e.severity
		}
	case 'h':
		switch string(k) {
		case "hostname":
			return &e.host
		case "url":
			return &e.url
		case "http_user_agent":
			return &e.agent
		}
	case 't':
		if string(k) == "sni" {
			return &e.host
		}
	}
	return nil
}

// DetectSuricataAlert knows an EVE log with alerts. One with dns events too is
// suricata-eve, which is surer of it.
func DetectSuricataAlert(head []byte) int {
	if !bytes.Contains(head, []byte(`"event_type":"alert"`)) && !bytes.Contains(head, []byte(`"event_type": "alert"`)) {
		return 0
	}
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var kind, stamp, other bool
		for {
			k, ok := c.Key()
			if !ok {
				return false
			}
			switch string(k) {
			case "event_type":
				kind = true
			case "timestamp":
				stamp = true
			case "flow_id", "src_ip", "in_iface", "stats":
				other = true
			}
			if kind && stamp && other {
				return true
			}
			c.Skip()
		}
	}, 85)
}
