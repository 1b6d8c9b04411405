package query

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// ends tells who asked whom. Up to version 2 an answer's src_ip is the client's
// in some Suricata versions and the server's in others; the port decides, and
// where it cannot, the version does.
func (d *eveDecoder) ends(response bool) (x endpoints, reason string) {
	e := &d.ev
	src, ok1 := decode.ParseAddr(e.src)
	dst, ok2 := decode.ParseAddr(e.dst)
	if !ok1 || !ok2 {
		return x, decode.ReasonAddress
	}
	x.clientPort, x.serverPort = e.srcPort, e.dstPort
	reversed := false
	switch {
	case e.srcPort == portDNS && e.dstPort != portDNS:
		reversed = true
	case e.dstPort == portDNS:
	default:
		reversed = response && e.version >= 3
	}
	if reversed {
		src, dst = dst, src
		x.clientPort, x.serverPort = e.dstPort, e.srcPort
	}
	x.client, x.server, x.v6 = src.As16(), dst.As16(), src.Is6()
	if src.Is4() {
		x.client = mapless(src)
	}
	if dst.Is4() {
		x.server = mapless(dst)
	}
	switch string(e.proto) {
	case "UDP", "udp":
		x.transport = picket.TransportUDP
	case "TCP", "tcp":
		x.transport = picket.TransportTCP
	}
	return x, ""
}

// mapless is an IPv4 address in the last four of 16 bytes, as endpoints has it.
func mapless(a netip.Addr) (b [16]byte) {
	v := a.As4()
	copy(b[12:], v[:])
	return b
}

// question fills d.q with name and type. An answer of version 2 may lack both:
// the first record's owner is then the name asked for, and the last record's
// type the type, as a chain of aliases ends in it.
func (d *eveDecoder) question(response bool) (reason string) {
	e, q := &d.ev, &d.q
	*q = picket.Query{Rcode: picket.RcodeUnknown, Class: 1, Name: d.name[:0]}
	name, typ := e.name, e.qtype
	if name == nil && response {
		name = e.firstName
	}
	if typ == nil && response {
		typ = e.lastType
	}
	if name == nil {
		return reasonEveName
	}
	if !d.setRRName(name) {
		return decode.ReasonBadName
	}
	if typ != nil {
		var ok bool
		if q.Type, ok = decode.ParseType(typ); !ok {
			return decode.ReasonType
		}
	}
	q.Opcode = uint8(e.opcode & 0xf)
	return ""
}

// setRRName sets the name of d.q. Suricata writes a label's bytes as they are.
func (d *eveDecoder) setRRName(b []byte) bool {
	if bytes.IndexByte(b, '\\') < 0 {
		ok := decode.SetName(&d.q, b)
		d.name = d.q.Name
		return ok
	}
	escaped := d.cur.Scratch[len(d.cur.Scratch):]
	for _, c := range b {
		if c == '\\' {
			escaped = append(escaped, '\\')
		}
		escaped = append(escaped, c)
	}
	ok := decode.SetName(&d.q, escaped)
	d.name = d.q.Name
	return ok
}

func (d *eveDecoder) hash(x *endpoints) uint64 {
	e, k := &d.ev, &d.key
	clear(k[:])
	if e.hasFlow {
		binary.LittleEndian.PutUint64(k[:], e.flow)
	} else {
		copy(k[:], x.client[:])
		copy(k[16:], x.server[:])
		binary.LittleEndian.PutUint16(k[32:], x.clientPort)
		binary.LittleEndian.PutUint16(k[34:], x.serverPort)
	}
	k[36] = byte(x.transport)
	binary.LittleEndian.PutUint16(k[38:], e.id)
	return maphash.Bytes(d.seed, k[:])
}

// headerBits reads flags, the message's second header word in hexadecimal.
func (e *eveEvent) headerBits() (bits uint16, ok bool) {
	if len(e.flags) == 0 || len(e.flags) > 4 {
		return 0, false
	}
	for _, c := range e.flags {
		h := decode.HexValue(c)
		if h < 0 {
			return 0, false
		}
		bits = bits<<4 | uint16(h)
	}
	return bits, true
}

// queryFlags fills the flags of a query event. Version 1 and 2 have none there.
func (d *eveDecoder) queryFlags() {
	e, q := &d.ev, &d.q
	bits, ok := e.headerBits()
	if !ok && !e.hasBits {
		return
	}
	q.Flags |= picket.FlagFlags
	if e.rd || bits&bitRD != 0 {
		q.Flags |= picket.FlagRD
	}
	if bits&bitCD != 0 {
		q.Flags |= picket.FlagCD
	}
	if bits&bitAD != 0 {
		q.Flags |= picket.FlagAD
	}
}

// responseFlags fills what an answer event tells. RD and CD are the query's,
// repeated.
func (d *eveDecoder) responseFlags() {
	e, q := &d.ev, &d.q
	q.Flags |= picket.FlagResponse
	if e.rcode != nil {
		if code, ok := decode.ParseRcode(e.rcode); ok {
			q.Rcode = code
		}
	}
	bits, ok := e.headerBits()
	if e.aa || bits&bitAA != 0 {
		q.Flags |= picket.FlagAA
	}
	if e.tc || bits&bitTC != 0 {
		q.Flags |= picket.FlagTC
	}
	if ok || e.hasBits {
		q.Flags |= picket.FlagFlags
		if e.rd || bits&bitRD != 0 {
			q.Flags |= picket.FlagRD
		}
		if bits&bitCD != 0 {
			q.Flags |= picket.FlagCD
		}
	}
	q.Response.Answers, q.Response.Told = e.answers, d.told.list
	if e.answers == 0 && e.version < 2 && q.Rcode == picket.RcodeNoError {
		q.Response.Answers = 1 // version 1: an event for each record
	}
}

// add makes d.q pending; s is nil when the sink has failed.
func (d *eveDecoder) add(hash uint64, x *endpoints, t int64) (seq uint64, s *slot) {
	seq, s, err := d.pend.add(&d.q)
	if err != nil {
		d.pend.err = err
		return 0, nil
	}
	s.time, s.deadline = t, d.clock.now+d.wait
	s.hash, s.ends, s.echo = hash, *x, false
	return seq, s
}

// find returns the oldest waiting query of this transaction with d.q's name.
func (d *eveDecoder) find(hash uint64) (seq uint64, s *slot) {
	p := d.pend
	at, ok := p.index.find(hash)
	if !ok {
		return 0, nil
	}
	seq = p.seqAt(at)
	for range maxSameKey {
		s := p.slot(seq)
		if bytes.Equal(p.name(s), d.q.Name) && (s.typ == d.q.Type || d.ev.version < 3) {
			return seq, s
		}
		if seq = s.next; seq == 0 {
			break
		}
	}
	return 0, nil
}

// response takes an answer event.
func (d *eveDecoder) response(hash uint64, x *endpoints, t int64) (reason string) {
	// What recognises the further events of a response: version 1 writes one for
	// each record, with names that need not be the one asked for.
	key := hash ^ 0x9e3779b97f4a7c15
	d.responseFlags()
	seq, s := d.find(hash)
	if s == nil && d.ev.version < 2 && d.late.within(key, d.clock.now, d.wait) {
		d.acct.Skip(skipEveAnswer)
		d.further(hash)
		return ""
	}
	d.shut()
	d.late.mark(key, d.clock.now)
	if s != nil {
		d.acct.Skip(skipEvePaired)
		if d.q.Has(picket.FlagFlags) {
			s.flags |= d.q.Flags & (picket.FlagFlags | picket.FlagRD | picket.FlagCD)
		}
	} else if seq, s = d.add(hash, x, t); s == nil {
		return ""
	}
	s.echo = true
	if d.ev.version < 2 && d.ev.answers == 0 {
		d.begin(hash, seq, s)
		return ""
	}
	if err := d.pend.answer(seq, &d.q); err != nil {
		d.pend.err = err
	}
	return ""
}

// eveOpen is a response of version 1 whose further events may follow: it is written as
// one event for each record.
type eveOpen struct {
	hash, seq uint64
	q         picket.Query // what pending.answer reads, without names
	told      told
}

// begin keeps the response in d.q, whose first record is in d.ev, open. Its query waits
// for no other.
func (d *eveDecoder) begin(hash, seq uint64, s *slot) {
	d.pend.unwait(seq, s)
	s.deadline = d.clock.now + d.wait
	o := &d.open
	o.hash, o.seq = hash, seq
	o.q = picket.Query{Flags: d.q.Flags, Rcode: d.q.Rcode}
	o.q.Response.Answers = d.q.Response.Answers
	o.told.reset()
	d.record()
}

// further takes one more record of the response that is open.
func (d *eveDecoder) further(hash uint64) {
	if o := &d.open; o.seq != 0 && o.hash == hash {
		o.q.Response.Answers = min(o.q.Response.Answers, 65534) + 1
		d.record()
	}
}

// record gathers the record of an event of version 1. NS may be of the authority
// section, whose records are written as if they were answers.
func (d *eveDecoder) record() {
	e := &d.ev
	if string(e.qtype) == "NS" || e.rdata == nil || e.name == nil {
		return
	}
	rr := eveRecord{name: e.name, typ: e.qtype, data: e.rdata, ttl: e.ttl}
	rr.tell(&d.open.told)
}

// shut stores the response that is open.
func (d *eveDecoder) shut() {
	o := &d.open
	if o.seq == 0 {
		return
	}
	seq := o.seq
	o.seq = 0
	if !d.pend.held(seq) {
		return
	}
	o.q.Response.Told = o.told.list
	if err := d.pend.answer(seq, &o.q); err != nil {
		d.pend.err = err
	}
}

// DetectSuricataDNS knows any EVE event by its keys, so that a log without dns
// events is told as such; it is surer where there are some, as alerts have a format
// of their own.
func DetectSuricataDNS(head []byte) int {
	score := 60
	if bytes.Contains(head, []byte(`"event_type":"dns"`)) || bytes.Contains(head, []byte(`"event_type": "dns"`)) {
		score = 90
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
			case "flow_id", "src_ip", "in_iface", "stats", "dns":
				other = true
			}
			if kind && stamp && other {
				return true
			}
			c.Skip()
		}
	}, score)
}
