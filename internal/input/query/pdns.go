package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/maphash"
	"io"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// PowerDNS decodes what dnsdist and the PowerDNS Recursor send to a remote logger:
// PBDNSMessage protocol buffers, each with its length in front (16 bits), or one
// message that is the whole input. DNSQueryType and DNSResponseType of one
// transaction become one query; either alone is one as well. What a resolver asks
// others is skipped by name. Order and waiting are as in Dnstap.
func PowerDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &pdnsDecoder{pairing: newPairing(opt, acct, sink)}
	in := newPrefixed(ctx, r, acct, "powerdns-protobuf", barePdns, pdnsStart)
	return d.run(in.next, d.message)
}

// pdnsDecoder is the state of one PowerDNS call.
type pdnsDecoder struct {
	*pairing
	rec   pdnsRecord
	owner picket.Query // of which only the name is used
	told  told
	key   [21]byte
}

// message takes one message.
func (d *pdnsDecoder) message(b []byte, at int64) error {
	t := &d.rec
	reason := t.parse(b)
	if reason == "" {
		if t.typ != pdnsQuery && t.typ != pdnsResponse {
			name := skipPdnsType
			if t.typ > 0 && t.typ < uint64(len(pdnsTypes)) {
				name = pdnsTypes[t.typ]
			}
			d.acct.Skip(name)
			return nil
		}
		reason = d.transaction()
	}
	if reason != "" {
		p := picket.Position{Offset: at}
		if record := prefixedRecord(d.record, b); record != nil {
			d.record, p.Record = record, record
		}
		d.acct.Reject(reason, p)
	}
	return d.settle()
}

// transaction takes the query or response in d.rec.
func (d *pdnsDecoder) transaction() (reason string) {
	t := &d.rec
	e, reason := t.ends(pdnsTransports[:])
	if reason != "" {
		return reason
	}
	response := t.typ == pdnsResponse
	if !t.time.set {
		return reasonTapTime
	}
	now, reason := t.time.nanos()
	if reason != "" {
		return reason
	}
	event := now
	if response && t.queryTime.set {
		if event, reason = t.queryTime.nanos(); reason != "" {
			return reason
		}
	}
	if reason = d.asked(); reason != "" {
		return reason
	}
	d.clock.tick(now)
	hash := d.hash(&e)
	if response {
		d.response(hash, &e, event)
		return ""
	}
	if seq, s := d.add(hash, &e, event, t.identity); s != nil {
		d.pend.wait(seq, s)
	}
	return ""
}

// asked reads the query's side of d.rec into d.q.
func (d *pdnsDecoder) asked() (reason string) {
	t, q := &d.rec, &d.q
	if !t.asked {
		return reasonNoQuestion
	}
	if t.qtype == 0 || t.qtype > 65535 {
		return decode.ReasonType
	}
	if t.class > 65535 {
		return decode.ReasonClass
	}
	q.Flags, q.Opcode, q.EDNSSize = 0, 0, 0
	if !decode.SetName(q, t.name) {
		return decode.ReasonBadName
	}
	q.Type, q.Class = uint16(t.qtype), uint16(t.class)
	q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
	q.ClientSubnet = pdnsSubnet(t.subnet)
	if t.hasFlags {
		h := t.header()
		q.Opcode = uint8(h >> 11 & 0xf)
		q.Flags |= picket.FlagFlags
		if h&bitRD != 0 {
			q.Flags |= picket.FlagRD
		}
		if h&bitCD != 0 {
			q.Flags |= picket.FlagCD
		}
		if h&bitAD != 0 && t.typ == pdnsQuery {
			q.Flags |= picket.FlagAD
		}
	}
	if t.isEDNS && t.typ == pdnsQuery {
		q.Flags |= picket.FlagEDNS
		ttl := t.optTTL()
		if ttl&0x8000 != 0 {
			q.Flags |= picket.FlagDO
		}
		if ttl>>16&0xff != 0 {
			q.Flags |= picket.FlagBadEDNS
		}
	}
	return ""
}

// pdnsSubnet makes a prefix of an address without length: its octets up to the
// last that is not zero, as the writer has masked it.
func pdnsSubnet(b []byte) netip.Prefix {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.Prefix{}
	}
	n := len(bytes.TrimRight(b, "\x00"))
	if n == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, 8*n)
}

// hash is what the two messages of a transaction have in common: the UUID, else
// client and identifier.
func (d *pdnsDecoder) hash(e *endpoints) uint64 {
	if len(d.rec.id) > 0 {
		return maphash.Bytes(d.seed, d.rec.id)
	}
	k := &d.key
	copy(k[:], e.client[:])
	binary.LittleEndian.PutUint16(k[16:], e.clientPort)
	binary.LittleEndian.PutUint16(k[18:], uint16(d.rec.msgID))
	k[20] = byte(e.transport)
	return maphash.Bytes(d.seed, k[:])
}

// response takes the response in d.rec, whose question is in d.q.
func (d *pdnsDecoder) response(hash uint64, e *endpoints, event int64) {
	seq, crowded := d.match(hash)
	if seq != 0 {
		d.acct.Skip(skipTapPaired)
		s := d.pend.slot(seq)
		if s.ends.server == ([16]byte{}) {
			s.ends.server = e.server
		}
		d.q.Flags = 0
		d.answered()
		d.answer(seq, s)
		return
	}
	if crowded {
		d.acct.Skip(skipCrowded)
		return
	}
	if d.isLate((&slot{hash: hash, typ: d.q.Type}).lateKey(d.q.Name), d.q.Type) {
		return
	}
	asked := d.q.Flags
	if seq, s := d.add(hash, e, event, d.rec.identity); s != nil {
		s.echo = true
		d.answered()
		d.q.Flags |= asked
		d.answer(seq, s)
	}
}

// match finds the oldest waiting query with this hash and d.q's question.
func (d *pdnsDecoder) match(hash uint64) (seq uint64, crowded bool) {
	at, ok := d.pend.index.find(hash)
	if !ok {
		return 0, false
	}
	seq = d.pend.seqAt(at)
	for range maxSameKey {
		s := d.pend.slot(seq)
		if s.typ == d.q.Type && s.class == d.q.Class && bytes.Equal(d.pend.name(s), d.q.Name) {
			return seq, false
		}
		if seq = s.next; seq == 0 {
			return 0, false
		}
	}
	return 0, true
}

// answered reads the response's side of d.rec into d.q.
func (d *pdnsDecoder) answered() {
	t, q := &d.rec, &d.q
	q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
	if t.rcode >= 4096 { // nobody answered
		return
	}
	q.Rcode = picket.Rcode(t.rcode)
	q.Flags |= picket.FlagResponse
	q.Response.Answers = uint16(min(t.answers, 65535))
	if t.answers > 0 && decode.SetName(&d.owner, t.owner) && !bytes.Equal(d.owner.Name, q.Name) {
		q.Response.Owner = d.owner.Name
	}
	if t.hasFlags {
		h := t.header()
		if h&bitAA != 0 {
			q.Flags |= picket.FlagAA
		}
		if h&bitTC != 0 {
			q.Flags |= picket.FlagTC
		}
	}
	if t.answers > 0 && q.Rcode == picket.RcodeNoError && (!t.hasFlags || q.Flags&picket.FlagAA != 0) {
		t.tell(&d.told)
		q.Response.Told = d.told.list
	}
}
