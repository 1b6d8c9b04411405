package query

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Reasons why a DNS message cannot be used, as told to Accounting. The empty
// reason means that it can.
const (
	reasonShort       = "message shorter than its header"
	reasonNoQuestion  = "no question"
	reasonQuestions   = "several questions"
	reasonName        = "bad name in question"
	reasonQuestionEnd = "message ends in the question"
	reasonRecord      = "bad record in response"
)

// DNS header bits (RFC 1035 §4.1.1, RFC 4035 §3) and record types read here.
const (
	bitQR = 1 << 15
	bitAA = 1 << 10
	bitTC = 1 << 9
	bitRD = 1 << 8
	bitAD = 1 << 5
	bitCD = 1 << 4

	typeNS    = 2
	typeSOA   = 6
	typeSIG   = 24
	typeOPT   = 41
	typeNSEC  = 47
	typeNSEC3 = 50
	typeTSIG  = 250
	typeIXFR  = 251
	typeAXFR  = 252

	dnsHeaderLen = 12
)

// Message reads one DNS message at a time out of a byte slice, without
// allocating. The zero value is ready.
//
// Parse reads header and question; FillQuery and FillResponse then read the
// rest as a query's or as a response's. What they put into a picket.Query points
// into the Message and holds until its next Parse, so a transaction of two
// messages needs two Messages:
//
//	if reason := m.Parse(packet); reason != "" { … reject … }
//	m.FillQuery(&q)
//	if r.Parse(answer) == "" { r.FillResponse(&q) }
type Message struct {
	ID          uint16
	Bits        uint16 // the header's second word: QR, opcode, AA, TC, RD, RA, Z, AD, CD, RCODE
	Counts      [4]uint16
	Type, Class uint16
	Name        []byte // QNAME in canonical wire form
	Mixed       bool   // QNAME came with upper-case letters

	msg     []byte
	body    int // offset after the question
	nameBuf [dnsname.MaxLen]byte
	owner   [dnsname.MaxLen]byte
	auth    [dnsname.MaxLen]byte
	denials [picket.MaxDenials]picket.Denial
	names   [picket.MaxDenials * 2 * dnsname.MaxLen]byte
}

// header reads the twelve bytes of the header; msg must have them.
func (m *Message) header(msg []byte) {
	_ = msg[dnsHeaderLen-1]
	m.msg, m.body = msg, dnsHeaderLen
	m.ID = binary.BigEndian.Uint16(msg)
	m.Bits = binary.BigEndian.Uint16(msg[2:])
	for i := range m.Counts {
		m.Counts[i] = binary.BigEndian.Uint16(msg[4+2*i:])
	}
}

// IsResponse reports the QR bit.
func (m *Message) IsResponse() bool { return m.Bits&bitQR != 0 }

// Opcode returns the kind of query (RFC 1035 §4.1.1).
func (m *Message) Opcode() uint8 { return uint8(m.Bits >> 11 & 0xf) }

// Parse reads header and question of msg, which must stay unchanged until the
// message has been used. It returns why it cannot, or "". Exactly one question
// is wanted: no server answers several, and the messages without one (RFC 7873
// §5.4, RFC 8490) ask for no name.
func (m *Message) Parse(msg []byte) (reason string) {
	if len(msg) < dnsHeaderLen {
		return reasonShort
	}
	m.header(msg)
	return m.question()
}

// question reads the question of the message whose header has been read.
func (m *Message) question() (reason string) {
	if n := m.Counts[0]; n != 1 {
		if n == 0 {
			return reasonNoQuestion
		}
		return reasonQuestions
	}
	name, next, mixed, err := appendName(m.nameBuf[:0], m.msg, dnsHeaderLen)
	if err != nil {
		if err == dnsname.ErrTruncated {
			return reasonQuestionEnd
		}
		return reasonName
	}
	if next+4 > len(m.msg) {
		return reasonQuestionEnd
	}
	m.Name, m.Mixed, m.body = name, mixed, next+4
	m.Type = binary.BigEndian.Uint16(m.msg[next:])
	m.Class = binary.BigEndian.Uint16(m.msg[next+2:])
	return ""
}

// sameQuestion reports whether the question of a message whose header has been
// read is the one given (name canonical), and sets body if so. It is quick when
// the response repeats the question octet for octet in lower case.
func (m *Message) sameQuestion(name []byte, qtype, class uint16) bool {
	end := dnsHeaderLen + len(name)
	if m.Counts[0] != 1 || len(m.msg) < end+4 {
		return m.question() == "" && m.Type == qtype && m.Class == class && bytes.Equal(m.Name, name)
	}
	if bytes.Equal(m.msg[dnsHeaderLen:end], name) {
		m.body = end + 4
		return binary.BigEndian.Uint16(m.msg[end:]) == qtype && binary.BigEndian.Uint16(m.msg[end+2:]) == class
	}
	return m.question() == "" && m.Type == qtype && m.Class == class && bytes.Equal(m.Name, name)
}

// FillQuery sets the fields of q that a query message carries: Opcode, Type,
// Class, Name, EDNSSize, ClientSubnet and the query-side flags; FlagFlags is set
// always. Records after the question are read as far as they can be: a query
// whose tail is broken was asked all the same. Rcode becomes RcodeUnknown and
// Response is emptied.
func (m *Message) FillQuery(q *picket.Query) {
	q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
	m.fillAsked(q)
}

// fillAsked is FillQuery without what belongs to the response.
func (m *Message) fillAsked(q *picket.Query) {
	q.Opcode, q.Type, q.Class, q.Name = m.Opcode(), m.Type, m.Class, m.Name
	q.EDNSSize = 0
	if q.ClientSubnet.IsValid() {
		q.ClientSubnet = netip.Prefix{}
	}
	q.Flags = m.echoedFlags()
	if m.Bits&bitAD != 0 {
		q.Flags |= picket.FlagAD
	}
	if m.Counts[3] == 0 {
		return
	}
	off, left := m.body, int(m.Counts[1])+int(m.Counts[2])
	for ; left > 0 && off > 0; left-- {
		off = skipRecord(m.msg, off)
	}
	var rr msgRecord
	for left = int(m.Counts[3]); left > 0 && off > 0; left-- {
		if off = rr.read(m.msg, off); off <= 0 {
			break
		}
		switch rr.typ {
		case typeOPT:
			if q.Flags&picket.FlagEDNS == 0 {
				fillOPT(q, &rr, rr.data(m.msg))
			}
		case typeTSIG:
			q.Flags |= picket.FlagTSIG
		case typeSIG:
			// SIG(0) covers no type (RFC 2931 §3).
			if d := rr.data(m.msg); len(d) >= 2 && d[0] == 0 && d[1] == 0 {
				q.Flags |= picket.FlagTSIG
			}
		}
	}
}

// FillEcho sets the fields of q that a response repeats from its query, for a
// response whose query was not seen: Opcode, Type, Class, Name and the flags RD,
// CD and mixed case. The rest of the query side is unknown and left empty.
func (m *Message) FillEcho(q *picket.Query) {
	q.Opcode, q.Type, q.Class, q.Name = m.Opcode(), m.Type, m.Class, m.Name
	q.EDNSSize, q.ClientSubnet = 0, netip.Prefix{}
	q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
	q.Flags = m.echoedFlags()
}

func (m *Message) echoedFlags() picket.QueryFlags {
	f := picket.FlagFlags
	if m.Bits&bitRD != 0 {
		f |= picket.FlagRD
	}
	if m.Bits&bitCD != 0 {
		f |= picket.FlagCD
	}
	if m.Mixed {
		f |= picket.FlagMixed
	}
	return f
}

// EDNS option codes (IANA DNS EDNS0 Option Codes).
const (
	optNSID   = 3
	optECS    = 8
	optCookie = 10
)

// fillOPT reads an OPT record of a query (RFC 6891 §6.1).
func fillOPT(q *picket.Query, rr *msgRecord, d []byte) {
	q.Flags |= picket.FlagEDNS
	q.EDNSSize = rr.class
	if rr.ttl&0x8000 != 0 {
		q.Flags |= picket.FlagDO
	}
	if rr.ttl>>16&0xff != 0 {
		q.Flags |= picket.FlagBadEDNS
	}
	for len(d) >= 4 {
		code, n := binary.BigEndian.Uint16(d), int(binary.BigEndian.Uint16(d[2:]))
		if 4+n > len(d) {
			return
		}
		v := d[4 : 4+n]
		switch {
		case code == optNSID:
			q.Flags |= picket.FlagNSID
		case code == optECS:
			q.ClientSubnet = clientSubnet(v)
		case code == optCookie:
			// 8 bytes of client cookie and 8 to 32 of server cookie (RFC 7873 §4).
			if n >= 16 && n <= 40 {
				q.Flags |= picket.FlagCookie
			}
		case !knownOption(code):
			q.Flags |= picket.FlagBadEDNS
		}
		d = d[4+n:]
	}
}

// knownOption reports whether an option code is assigned, or set aside for local
// use. Codes up to 26 count as assigned although the last few are not yet, so
// that an older Picket does not take tomorrow's resolver for a prober.
func knownOption(code uint16) bool {
	return code >= 1 && code <= 26 || code == 20292 || code == 26946 || code >= 65001 && code <= 65534
}

// clientSubnet reads an EDNS client subnet (RFC 7871 §6); zero when malformed.
func clientSubnet(v []byte) netip.Prefix {
	if len(v) < 4 {
		return netip.Prefix{}
	}
	family, bits := binary.BigEndian.Uint16(v), int(v[2])
	var a [16]byte
	addr := v[4:]
	switch {
	case family == 1 && bits <= 32 && len(addr) <= 4:
		copy(a[:4], addr)
		p, _ := netip.AddrFrom4([4]byte(a[:4])).Prefix(bits)
		return p
	case family == 2 && bits <= 128 && len(addr) <= 16:
		copy(a[:], addr)
		p, _ := netip.AddrFrom16(a).Prefix(bits)
		return p
	}
	return netip.Prefix{}
}

// FillResponse sets the fields of q that a response message carries: Rcode,
// Response and the response-side flags. It needs body, so Parse or sameQuestion
// comes first; for a response without question body is the end of the header.
// q.Name must be the QNAME. Response.Message is what was given to Parse. On a broken record it fills what came before it and
// returns the reason.
func (m *Message) FillResponse(q *picket.Query) (reason string) {
	q.Flags |= picket.FlagResponse
	if m.Bits&bitAA != 0 {
		q.Flags |= picket.FlagAA
	}
	if m.Bits&bitTC != 0 {
		q.Flags |= picket.FlagTC
	}
	q.Rcode = picket.Rcode(m.Bits & 0xf)
	q.Response = picket.Response{Answers: m.Counts[1], Message: m.msg}
	if m.Counts[1]|m.Counts[2]|m.Counts[3] == 0 {
		return ""
	}
	scan := responseScan{m: m, q: q, names: m.names[:0]}
	reason = scan.sections()
	q.Response.Denials = m.denials[:scan.denials]
	if scan.denials == 0 {
		q.Response.Denials = nil
	}
	if q.Rcode == picket.RcodeNoError && m.Counts[1] == 0 && scan.sawNS && !q.Response.HasSOA && m.Bits&bitAA == 0 {
		q.Flags |= picket.FlagReferral
	}
	return reason
}

// responseScan walks the sections of one response.
type responseScan struct {
	m       *Message
	q       *picket.Query
	names   []byte // grows within m.names; never beyond, by the size of m.names
	denials int
	sawNS   bool
}

func (s *responseScan) sections() string {
	m, off := s.m, s.m.body
	var rr msgRecord
	for i := range int(m.Counts[1]) {
		next := rr.read(m.msg, off)
		if next <= 0 {
			return reasonRecord
		}
		if i == 0 {
			s.firstOwner(off)
		}
		if rr.typ == typeNSEC || rr.typ == typeNSEC3 {
			s.denial(off, &rr)
		}
		off = next
	}
	for range int(m.Counts[2]) {
		next := rr.read(m.msg, off)
		if next <= 0 {
			return reasonRecord
		}
		switch rr.typ {
		case typeSOA:
			if !s.q.Response.HasSOA {
				s.authority(off)
				s.q.Response.HasSOA = s.q.Response.Authority != nil
			}
		case typeNS:
			if !s.sawNS && !s.q.Response.HasSOA {
				s.authority(off)
			}
			s.sawNS = true
		case typeNSEC, typeNSEC3:
			s.denial(off, &rr)
		}
		off = next
	}
	for range int(m.Counts[3]) {
		next := rr.read(m.msg, off)
		if next <= 0 {
			return reasonRecord
		}
		if rr.typ == typeOPT {
			s.q.Rcode |= picket.Rcode(rr.ttl >> 24 << 4)
			return "" // nothing else of the additional section is wanted
		}
		off = next
	}
	return ""
}

// firstOwner keeps the owner of the first answer when it is not the QNAME.
func (s *responseScan) firstOwner(off int) {
	msg := s.m.msg
	if msg[off] == 0xc0 && off+1 < len(msg) && msg[off+1] == dnsHeaderLen && s.m.Counts[0] == 1 {
		return // a pointer to the question
	}
	if name, _, _, err := appendName(s.m.owner[:0], msg, off); err == nil && !bytes.Equal(name, s.q.Name) {
		s.q.Response.Owner = name
	}
}

func (s *responseScan) authority(off int) {
	if name := s.suffix(off); name != nil {
		s.q.Response.Authority = name
		return
	}
	if name, _, _, err := appendName(s.m.auth[:0], s.m.msg, off); err == nil {
		s.q.Response.Authority = name
	}
}

// suffix returns the name at off without reading it when it is a pointer to a
// label of the question: it is then the end of the QNAME.
func (s *responseScan) suffix(off int) []byte {
	msg, name := s.m.msg, s.q.Name
	if msg[off] < 0xc0 || s.m.body != dnsHeaderLen+len(name)+4 {
		return nil
	}
	to := int(msg[off]&0x3f)<<8 | int(msg[off+1]) - dnsHeaderLen
	for at := 0; at <= to && at < len(name); at += 1 + int(name[at]) {
		if at == to {
			return name[at:]
		}
	}
	return nil
}

// denial keeps one NSEC or NSEC3 record; a malformed one is left out.
func (s *responseScan) denial(off int, rr *msgRecord) {
	if s.denials == picket.MaxDenials {
		return
	}
	d := &s.m.denials[s.denials]
	at := len(s.names)
	if rr.typ == typeNSEC {
		owner, _, _, err := appendName(s.names, s.m.msg, off)
		if err != nil {
			return
		}
		mid := len(owner)
		all, next, _, err := appendName(owner, s.m.msg, rr.at)
		if err != nil || next > rr.end {
			return
		}
		*d = picket.Denial{Owner: all[at:mid:mid], Next: all[mid:len(all):len(all)]}
		s.names = all
		s.denials++
		return
	}
	// NSEC3 RDATA: algorithm, flags, iterations (2), salt, hash (RFC 5155 §3.2).
	v := rr.data(s.m.msg)
	if len(v) < 5 || 5+int(v[4]) >= len(v) {
		return
	}
	v = v[5+int(v[4]):]
	if int(v[0]) == 0 || 1+int(v[0]) > len(v) {
		return
	}
	v = v[1 : 1+int(v[0])]
	owner, ok := appendBase32Hex(s.names, firstLabel(s.m.msg, off))
	if !ok {
		return
	}
	mid := len(owner)
	all := append(owner, v...)
	*d = picket.Denial{NSEC3: true, Owner: all[at:mid:mid], Next: all[mid:len(all):len(all)]}
	s.names = all
	s.denials++
}
