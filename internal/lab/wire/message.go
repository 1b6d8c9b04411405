package wire

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Bits of a header's second word (RFC 1035 §4.1.1, RFC 4035 §3).
const (
	bitQR = 1 << 15
	bitAA = 1 << 10
	bitTC = 1 << 9
	bitRD = 1 << 8
	bitAD = 1 << 5
	bitCD = 1 << 4
)

const (
	headerLen = 12
	typeOPT   = 41
	typeTSIG  = 250
	classANY  = 255
	// maxMessage is the room for answers in one message; the rest of it is for what follows.
	maxMessage = 60_000
	// serverSize is the UDP payload size that servers offer.
	serverSize = 1232
)

// messages makes the DNS messages of transactions.
type messages struct {
	id      uint16
	scratch [4096]byte
	name    []byte // as it is written in the question
	counts  [4]uint16
	key     []byte
	list    [][]byte
	packed  map[string][][]byte // see records
}

// next begins a transaction.
func (m *messages) next(q *picket.Query) {
	m.id++
	m.name = append(m.name[:0], q.Name...)
	if q.Flags&picket.FlagMixed != 0 {
		mixCase(m.name, uint32(m.id))
	}
}

// mixCase puts letters into upper case, the first in any case.
func mixCase(name []byte, seed uint32) {
	first := true
	for at := 0; at < len(name) && name[at] != 0; at += 1 + int(name[at]) {
		for i := at + 1; i <= at+int(name[at]); i++ {
			if name[i] < 'a' || name[i] > 'z' {
				continue
			}
			seed = seed*1664525 + 1013904223
			if first || seed>>31 == 1 {
				name[i] -= 'a' - 'A'
			}
			first = false
		}
	}
}

// start appends header and question.
func (m *messages) start(dst []byte, q *picket.Query, bits uint16) []byte {
	bits |= uint16(q.Opcode&0xf) << 11
	if q.Flags&picket.FlagRD != 0 {
		bits |= bitRD
	}
	if q.Flags&picket.FlagCD != 0 {
		bits |= bitCD
	}
	m.counts = [4]uint16{1}
	dst = binary.BigEndian.AppendUint16(dst, m.id)
	dst = binary.BigEndian.AppendUint16(dst, bits)
	dst = append(dst, make([]byte, 8)...)
	dst = append(dst, m.name...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	return binary.BigEndian.AppendUint16(dst, q.Class)
}

// finish fills in the counts of the message that began at an offset.
func (m *messages) finish(dst []byte, at int) []byte {
	for i, n := range m.counts {
		binary.BigEndian.PutUint16(dst[at+4+2*i:], n)
	}
	return dst
}

// query appends the message of a query.
func (m *messages) query(dst []byte, q *picket.Query) []byte {
	at := len(dst)
	bits := uint16(0)
	if q.Flags&picket.FlagAD != 0 {
		bits = bitAD
	}
	dst = m.start(dst, q, bits)
	if q.Type == lab.TypeIXFR { // the version that the client has (RFC 1995 §3)
		m.counts[2]++
		dst = append(append(dst, 0xc0, headerLen), m.records(nil, q.Name, lab.TypeSOA, 0)[0]...)
	}
	if hasOPT(q) {
		m.counts[3]++
		dst = m.opt(dst, q)
	}
	if q.Flags&picket.FlagTSIG != 0 {
		m.counts[3]++
		dst = m.tsig(dst, q)
	}
	return m.finish(dst, at)
}

func hasOPT(q *picket.Query) bool {
	const needs = picket.FlagEDNS | picket.FlagDO | picket.FlagCookie | picket.FlagNSID | picket.FlagBadEDNS
	return q.Flags&needs != 0 || q.EDNSSize > 0 || q.ClientSubnet.IsValid()
}

// Codes of EDNS options (IANA DNS EDNS0 Option Codes); one is not assigned.
const (
	optNSID    = 3
	optECS     = 8
	optCookie  = 10
	optUnknown = 4096
)

// opt appends the OPT record of a query (RFC 6891 §6.1).
func (m *messages) opt(dst []byte, q *picket.Query) []byte {
	flags := uint32(0)
	if q.Flags&picket.FlagDO != 0 {
		flags = 0x8000
	}
	dst = append(dst, 0, 0, typeOPT)
	dst = binary.BigEndian.AppendUint16(dst, q.EDNSSize)
	dst = binary.BigEndian.AppendUint32(dst, flags)
	length := len(dst)
	dst = append(dst, 0, 0)
	if q.Flags&picket.FlagNSID != 0 {
		dst = appendOption(dst, optNSID)
	}
	if p := q.ClientSubnet; p.IsValid() {
		family, a := byte(1), p.Addr().AsSlice()
		if p.Addr().Is6() {
			family = 2
		}
		dst = appendOption(dst, optECS, append([]byte{0, family, byte(p.Bits()), 0}, a[:(p.Bits()+7)/8]...)...)
	}
	if q.Flags&picket.FlagCookie != 0 {
		dst = appendOption(dst, optCookie, m.cookie(q)...)
	}
	if q.Flags&picket.FlagBadEDNS != 0 {
		dst = appendOption(dst, optUnknown, 1)
	}
	binary.BigEndian.PutUint16(dst[length:], uint16(len(dst)-length-2))
	return dst
}

// cookie is the client's and the server's part of a cookie that goes with the client.
func (m *messages) cookie(q *picket.Query) []byte {
	a := q.Client.As16()
	c := append([]byte("pick"), a[12:]...)
	return append(c, append([]byte{1, 0, 0, 0}, append(a[:8:8], a[12:]...)...)...)
}

func appendOption(dst []byte, code uint16, data ...byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// tsig appends a signature that nobody can verify (RFC 8945 §4.2).
func (m *messages) tsig(dst []byte, q *picket.Query) []byte {
	dst = append(dst, "\x03key\x00\x00"...)
	dst = append(dst, typeTSIG, 0, classANY, 0, 0, 0, 0, 0, 0)
	length := len(dst)
	dst = append(dst, "\x0bhmac-sha256\x00"...)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(q.Time/1e9))
	dst = append(dst, 1, 44, 0, 32) // five minutes of fudge
	for range 32 {
		dst = append(dst, byte(m.id)^0x5a)
	}
	dst = binary.BigEndian.AppendUint16(dst, m.id)
	dst = append(dst, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(dst[length-2:], uint16(len(dst)-length))
	return dst
}

// response appends the first message of a response; a transfer may have further
// ones, as many as the answers that have not been written need.
func (m *messages) response(dst []byte, q *picket.Query, z *lab.Zone, left int) (out []byte, rest int) {
	at := len(dst)
	bits := uint16(bitQR)
	if q.Flags&picket.FlagAA != 0 {
		bits |= bitAA
	}
	if q.Flags&picket.FlagTC != 0 {
		bits |= bitTC
	}
	rcode := max(q.Rcode, 0)
	dst = m.start(dst, q, bits|uint16(rcode&0xf))
	dst, left = m.answers(dst, q, z, at, left)
	dst = m.authority(dst, q, z)
	if hasOPT(q) || rcode > 15 {
		m.counts[3]++
		dst = append(dst, 0, 0, typeOPT, serverSize>>8, serverSize&0xff)
		dst = binary.BigEndian.AppendUint32(dst, uint32(rcode>>4)<<24|uint32(doBit(q)))
		var cookie []byte
		if q.Flags&picket.FlagCookie != 0 {
			cookie = appendOption(nil, optCookie, m.cookie(q)...)
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(cookie)))
		dst = append(dst, cookie...)
	}
	return m.finish(dst, at), left
}

func doBit(q *picket.Query) uint16 {
	if q.Flags&picket.FlagDO != 0 {
		return 0x8000
	}
	return 0
}

// answers appends the answer section, or as much of it as has room.
func (m *messages) answers(dst []byte, q *picket.Query, z *lab.Zone, at, left int) (out []byte, rest int) {
	total := int(q.Response.Answers)
	if left == 0 {
		return dst, 0
	}
	if q.Type == lab.TypeNSEC || q.Type == lab.TypeNSEC3 { // the denials are what was asked for
		for i := range q.Response.Denials[:min(left, len(q.Response.Denials))] {
			m.counts[1]++
			left--
			dst = m.denial(dst, q, z, &q.Response.Denials[i])
		}
	}
	records := m.about(q, z)
	for left > 0 && len(dst)-at < maxMessage {
		i := total - left
		name, record := m.answer(q, z, records, i, left == 1)
		switch {
		case i == 0 && q.Response.Owner != nil:
			dst = append(dst, q.Response.Owner...)
		case name == nil:
			dst = append(dst, 0xc0, headerLen)
		default:
			dst = m.owner(dst, name)
		}
		dst = append(dst, record...)
		m.counts[1]++
		left--
	}
	return dst, left
}

// answer is one record of the answer section, and its owner when that is not what
// the question was about.
func (m *messages) answer(q *picket.Query, z *lab.Zone, records [][]byte, i int, last bool) (name, record []byte) {
	transfer := q.Type == lab.TypeAXFR || q.Type == lab.TypeIXFR
	switch {
	case transfer && (i == 0 || last):
		return nil, m.records(z, q.Name, lab.TypeSOA, 3600)[0]
	case transfer && z != nil:
		o := &z.Owners[(i-1)%len(z.Owners)]
		t := uint16(lab.TypeA)
		if o.Types.Has(lab.TypeCNAME) {
			t = lab.TypeCNAME
		}
		return o.Name, m.records(z, o.Name, t, o.TTL)[0]
	case !transfer && i < len(records):
		return nil, records[i]
	}
	// Another record than the others, of which nothing is known.
	return nil, m.records(nil, append([]byte{2, 'a' + byte(i/26%26), 'a' + byte(i%26)}, dnsname.Parent(q.Name)...), other(q.Type), 300)[0]
}

// other is the type of a record that stands for one that nothing is known of.
func other(qtype uint16) uint16 {
	if qtype == lab.TypeANY || qtype == lab.TypeAXFR || qtype == lab.TypeIXFR {
		return lab.TypeA
	}
	return qtype
}

// about are the records that a zone has for a question. They hold until the next call.
func (m *messages) about(q *picket.Query, z *lab.Zone) [][]byte {
	m.list = m.list[:0]
	if q.Class != 1 { // what servers say about themselves
		m.list = append(m.list, m.pack(&dns.TXT{Hdr: dns.RR_Header{Rrtype: lab.TypeTXT, Class: q.Class}, Txt: []string{"unknown"}}))
		return m.list
	}
	o := owner(z, q.Name)
	if o == nil {
		return append(m.list, m.records(z, q.Name, other(q.Type), 300)...)
	}
	o.Types.Each(func(t uint16) {
		if t == q.Type || t == lab.TypeCNAME || q.Type == lab.TypeANY {
			m.list = append(m.list, m.records(z, o.Name, t, o.TTL)...)
		}
	})
	return m.list
}

// records are lab.Records in wire form without their owners. Those of the names
// that were asked for last are kept.
func (m *messages) records(z *lab.Zone, name []byte, t uint16, ttl uint32) [][]byte {
	const most = 1 << 14
	known := byte(0)
	if z != nil {
		known = 1
	}
	m.key = append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(append(m.key[:0], known), t), ttl), name...)
	if list, ok := m.packed[string(m.key)]; ok {
		return list
	}
	var list [][]byte
	for _, rr := range lab.Records(z, name, t, ttl) {
		list = append(list, m.pack(rr))
	}
	if m.packed == nil || len(m.packed) >= most {
		m.packed = make(map[string][][]byte)
	}
	m.packed[string(m.key)] = list
	return list
}

// owner is the owner that answers for a name: itself, or the wildcard beside it or
// beside what it is below; nil when there is none.
func owner(z *lab.Zone, name []byte) *lab.Owner {
	if z == nil {
		return nil
	}
	if i := z.Find(name); i >= 0 {
		return &z.Owners[i]
	}
	var buf [dnsname.MaxLen + 2]byte
	for len(name) > len(z.Apex) {
		name = dnsname.Parent(name)
		if i := z.Find(append(append(buf[:0], 1, '*'), name...)); i >= 0 {
			return &z.Owners[i]
		}
	}
	return nil
}

// pack returns type, class, TTL and data of a record.
func (m *messages) pack(rr dns.RR) []byte {
	rr.Header().Name = "."
	end, err := dns.PackRR(rr, m.scratch[:], 0, nil, false)
	if err != nil { // of names that have no room for a label more
		return []byte{0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1}
	}
	return slices.Clone(m.scratch[1:end])
}

// authority appends the authority section: SOA or NS, and denials.
func (m *messages) authority(dst []byte, q *picket.Query, z *lab.Zone) []byte {
	if a := q.Response.Authority; a != nil {
		t := uint16(lab.TypeNS)
		if q.Response.HasSOA {
			t = lab.TypeSOA
		}
		for _, record := range m.records(z, a, t, 300) {
			m.counts[2]++
			dst = append(m.owner(dst, a), record...)
		}
	}
	if q.Response.Answers > 0 && (q.Type == lab.TypeNSEC || q.Type == lab.TypeNSEC3) {
		return dst
	}
	for i := range q.Response.Denials {
		m.counts[2]++
		dst = m.denial(dst, q, z, &q.Response.Denials[i])
	}
	return dst
}

// owner appends a name, as a pointer where it ends the question's.
func (m *messages) owner(dst, name []byte) []byte {
	at := len(m.name) - len(name)
	if at >= 0 && len(name) > 1 && bytes.EqualFold(m.name[at:], name) && isLabelStart(m.name, at) {
		return append(dst, 0xc0|byte((headerLen+at)>>8), byte(headerLen+at))
	}
	return append(dst, name...)
}

func isLabelStart(name []byte, at int) bool {
	i := 0
	for i < at {
		i += 1 + int(name[i])
	}
	return i == at
}

// denial appends an NSEC (RFC 4034 §4) or NSEC3 record (RFC 5155 §3).
func (m *messages) denial(dst []byte, q *picket.Query, z *lab.Zone, d *picket.Denial) []byte {
	types := []uint16{lab.TypeA, lab.TypeRRSIG}
	apex := q.Response.Authority
	if z != nil {
		apex = z.Apex
	}
	if apex == nil {
		apex = dnsname.Parent(q.Name)
	}
	if d.NSEC3 {
		label := base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(nil, d.Owner)
		dst = append(dst, byte(len(label)))
		dst = m.owner(append(dst, bytes.ToLower(label)...), apex)
		dst = append(dst, 0, lab.TypeNSEC3)
	} else {
		types = append(types, lab.TypeNSEC)
		if z != nil {
			if i := z.Find(d.Owner); i >= 0 {
				types = append(types[:0], lab.TypeRRSIG, lab.TypeNSEC)
				z.Owners[i].Types.Each(func(t uint16) { types = append(types, t) })
			}
		}
		dst = append(m.owner(dst, d.Owner), 0, lab.TypeNSEC)
	}
	dst = append(dst, 0, 1, 0, 0, 1, 44)
	length := len(dst)
	dst = append(dst, 0, 0)
	if d.NSEC3 {
		dst = append(dst, 1, 0, 0, 0, 0, byte(len(d.Next))) // SHA-1, no flags, no iterations, no salt
	}
	dst = appendBitmap(append(dst, d.Next...), types)
	binary.BigEndian.PutUint16(dst[length:], uint16(len(dst)-length-2))
	return dst
}

// appendBitmap appends a set of types (RFC 4034 §4.1.2).
func appendBitmap(dst []byte, types []uint16) []byte {
	slices.Sort(types)
	for i := 0; i < len(types); {
		window := types[i] >> 8
		var bits [32]byte
		n := 0
		for ; i < len(types) && types[i]>>8 == window; i++ {
			bits[types[i]&0xff/8] |= 0x80 >> (types[i] % 8)
			n = int(types[i]&0xff/8) + 1
		}
		dst = append(append(dst, byte(window), byte(n)), bits[:n]...)
	}
	return dst
}
