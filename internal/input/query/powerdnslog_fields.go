package query

import (
	"bytes"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// pdnsLogFields are what PowerDNS's structured logging tells that matters here. The
// slices point into the line, or into memory of its own where escapes were undone.
type pdnsLogFields struct {
	message                    []byte // of what carries the line, or msg itself
	msg, ts                    []byte
	remote, name, typ          []byte
	proto, ecs, rcode, rd      []byte
	answers, do, size, elapsed []byte
	own                        []byte
}

// set takes one field. The journal has keys in upper case.
func (f *pdnsLogFields) set(key, value []byte) {
	var lower [24]byte
	if len(key) > len(lower) {
		return
	}
	for i, c := range key {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(key)]) {
	case "msg":
		f.msg = value
	case "message", "log":
		f.message = bytes.TrimRight(value, "\r\n")
	case "ts", "timestamp":
		if f.ts == nil {
			f.ts = value
		}
	case "remote", "client":
		f.remote = value
	case "qname", "query", "zone":
		f.name = value
	case "qtype", "type":
		f.typ = value
	case "proto":
		f.proto = value
	case "ecs":
		f.ecs = value
	case "rcode":
		f.rcode = value
	case "rd":
		f.rd = value
	case "answers":
		f.answers = value
	case "dnssecok":
		f.do = value
	case "bufsize":
		f.size = value
	case "totms":
		f.elapsed = value
	}
}

// clear empties f but for its memory.
func (f *pdnsLogFields) clear() { *f = pdnsLogFields{own: f.own[:0]} }

// text reads KEY="VALUE" pairs, in which \" and \\ stand for themselves.
func (f *pdnsLogFields) text(b []byte) {
	f.clear()
	for len(b) > 0 {
		eq := bytes.Index(b, []byte("=\""))
		if eq < 0 {
			return
		}
		key := bytes.TrimLeft(b[:eq], " ")
		b = b[eq+2:]
		end, escaped := 0, false
		for end < len(b) && b[end] != '"' {
			if b[end] == '\\' {
				escaped = true
				end++
			}
			end++
		}
		if end >= len(b) {
			return // cut off
		}
		value := b[:end]
		if escaped {
			value = f.unescape(value)
		}
		f.set(key, value)
		b = b[end+1:]
	}
}

func (f *pdnsLogFields) unescape(b []byte) []byte {
	from := len(f.own)
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
			i++
		}
		f.own = append(f.own, b[i])
	}
	return f.own[from:len(f.own):len(f.own)]
}

// object reads the fields of a JSON object, or of what carries a line; its time
// goes to st.
func (f *pdnsLogFields) object(l *serverLog, line []byte, st *stamp) bool {
	f.clear()
	c := &l.cur
	c.Reset(line)
	if !c.Open('{') {
		return false
	}
	for {
		key, more := c.Key()
		if !more {
			break
		}
		switch string(key) {
		case "time", "@timestamp", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP":
			l.carriedTime(key, st)
		default:
			f.set(key, c.Scalar())
		}
	}
	if f.msg == nil {
		f.msg = f.message // the journal's MESSAGE
	}
	return !c.Bad
}

// isQuery reports whether the fields are about a transaction.
func (f *pdnsLogFields) isQuery() bool {
	return f.msg != nil && f.name != nil && f.remote != nil && (f.typ != nil || f.transfer() != nil)
}

// transfer returns the message about a zone transfer, nil when it is about
// something else.
func (f *pdnsLogFields) transfer() []byte {
	if bytes.HasPrefix(f.msg, []byte("AXFR ")) || bytes.HasPrefix(f.msg, []byte("IXFR ")) {
		return f.msg[len("AXFR "):]
	}
	return nil
}

// structured accounts for a line of structured logging.
func (d *powerdnsLog) structured(st *stamp, at picket.Position) error {
	f := &d.fields
	if !f.isQuery() {
		d.acct.Skip(skipLogOther)
		return nil
	}
	if t, ok := decode.EpochTime(f.ts); ok {
		*st = stamp{t, true, true}
	} else if isoZoned(f.ts) || !st.timed {
		if t, n := d.clock.IsoTime(f.ts); n > 0 {
			*st = stamp{t, true, true}
		}
	}
	if !st.timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	q := d.begin(st)
	typ, moved := f.typ, f.transfer()
	if moved != nil {
		typ = f.msg[:4]
	}
	reason := ""
	if !d.peer(f.remote) {
		reason = decode.ReasonAddress
	} else {
		reason = d.asks(f.name, typ)
	}
	if reason != "" {
		d.acct.Reject(reason, at)
		return nil
	}
	if moved != nil {
		return d.moved(moved)
	}
	d.fill()
	switch {
	case string(f.msg) == "Question":
		d.asked = true
		_, err := d.ring.add(q, 0)
		return err
	case string(f.msg) == "Answer":
		return d.answered()
	case bytes.HasPrefix(f.msg, []byte("Received ")):
		return d.hold()
	case bytes.HasPrefix(f.msg, []byte("Question answered from packet cache")):
		if _, err := d.ring.add(q, sawAll); err != nil {
			return err
		}
		return d.ring.settle()
	}
	d.acct.Skip(skipLogOther)
	return nil
}

// fill sets what else the fields tell of d.q.
func (d *powerdnsLog) fill() {
	f, q := &d.fields, &d.q
	switch {
	case string(f.proto) == "udp":
		q.Transport = picket.TransportUDP
	case string(f.proto) == "tcp", bytes.Contains(f.msg, []byte("TCP")):
		q.Transport = picket.TransportTCP
	case bytes.HasPrefix(f.msg, []byte("Received ")):
		q.Transport = picket.TransportUDP
	}
	if len(f.ecs) > 0 {
		q.ClientSubnet = pdnsLogSubnet(f.ecs)
	}
	if string(f.do) == "1" || string(f.do) == "true" {
		q.Flags |= picket.FlagDO | picket.FlagEDNS
	}
	if n, ok := decode.ParseUint(f.size, 65535); ok {
		d.size(n)
	}
	if f.rd != nil {
		q.Flags |= picket.FlagFlags
		if string(f.rd) == "1" || string(f.rd) == "true" {
			q.Flags |= picket.FlagRD
		}
	}
	if code, ok := decode.ParseUint(f.rcode, 4095); ok {
		respond(q, picket.Rcode(code))
	}
	if n, ok := decode.ParseUint(f.answers, 65535); ok {
		q.Response.Answers = uint16(n)
	}
}

// answered joins an answer of the Recursor with its question.
func (d *powerdnsLog) answered() error {
	q := &d.q
	if s, late := d.ring.find(q, sawAll, 0); s != nil {
		s.saw |= sawAll
		d.acct.Skip(skipPDNSLogAnswer)
		if !late {
			s.q.Flags |= q.Flags
			s.q.Rcode, s.q.Response.Answers = q.Rcode, q.Response.Answers
		}
		return d.ring.settle()
	}
	if d.asked {
		d.acct.Skip(skipPDNSLogLate)
		return nil
	}
	if ms, ok := decode.EpochTime(d.fields.elapsed); ok && ms < int64(1e14) {
		q.Time -= ms / 1000 // the line is written when the answer is sent
	}
	if _, err := d.ring.add(q, sawAll); err != nil {
		return err
	}
	return d.ring.settle()
}
