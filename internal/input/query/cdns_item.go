package query

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// The tables of a block that are read, by their keys; the rest is left out.
const (
	cdnsAddresses  = 0
	cdnsClassTypes = 1
	cdnsNames      = 2
	cdnsSigs       = 3
	cdnsRRLists    = 6
	cdnsRRs        = 7
	cdnsTables     = 8
)

// cdnsTable is one table of a block: where its entries lie.
type cdnsTable struct {
	b    []byte
	at   []uint32
	used []uint32 // entries that the item at hand names
}

func (t *cdnsTable) reset() { t.b, t.at, t.used = nil, t.at[:0], t.used[:0] }

// read notes the entries of the array at c.
func (t *cdnsTable) read(c *cborCursor) bool {
	t.b = c.b
	for l := c.list(cborArray); c.more(&l); {
		if len(t.at) == maxCdnsTable {
			return false
		}
		t.at = append(t.at, uint32(c.i))
		c.skip(0)
	}
	return !c.bad
}

// entry returns a cursor at an entry. What is a map may not be larger than such
// maps are: many items may name the same entry.
func (t *cdnsTable) entry(i uint64, limit int) (c cborCursor, ok bool) {
	if i >= uint64(len(t.at)) {
		return cborCursor{}, false
	}
	t.used = append(t.used, uint32(i))
	at := int(t.at[i])
	return cborCursor{b: t.b[:min(len(t.b), at+limit)], i: at}, true
}

// appendUsed writes the table as an array, in which the entries not used are
// 0; nil when it would have more than limit bytes.
func (t *cdnsTable) appendUsed(b []byte, limit int) []byte {
	b = appendCborHead(b, cborArray, uint64(len(t.at)))
	if len(b)+len(t.at) > limit {
		return nil
	}
	next := 0
	fill := func(to int) { // with zeros, each the number 0
		n := len(b)
		b = slices.Grow(b, to-next)[:n+to-next]
		clear(b[n:])
		next = to
	}
	slices.Sort(t.used)
	for _, u := range slices.Compact(t.used) {
		fill(int(u))
		c := cborCursor{b: t.b, i: int(t.at[u])}
		entry := c.raw()
		if len(b)+len(entry)+len(t.at) > limit {
			return nil
		}
		b = append(b, entry...)
		next++
	}
	fill(len(t.at))
	return b
}

// readTables reads a block's tables.
func (d *cdnsDecoder) readTables(b []byte) bool {
	c := cborCursor{b: b}
	for m := c.list(cborMap); c.more(&m); {
		switch k := c.key(); k {
		case cdnsAddresses, cdnsClassTypes, cdnsNames, cdnsSigs, cdnsRRLists, cdnsRRs:
			if !d.tables[k].read(&c) {
				return false
			}
		default:
			c.skip(0)
		}
	}
	return !c.bad
}

// tickTime turns ticks into nanoseconds.
func tickTime(ticks, perSecond uint64) (ns int64, ok bool) {
	hi, lo := bits.Mul64(ticks, uint64(decode.NsPerSecond))
	if perSecond == 0 || hi >= perSecond {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, perSecond)
	return int64(q), q < 9e18
}

// cdnsItem is one query-response; indexes are -1 when they are not there.
type cdnsItem struct {
	offset             uint64
	timed              bool
	client, sig, name  int64
	port               uint64
	responded          bool // something of a response is there
	answers, authority int64
}

// cdnsSig is what many items have in common.
type cdnsSig struct {
	server, classType, opt       int64
	transport, kind, flags       uint64
	hasTransport, hasKind        bool
	hasFlags, hasDNS, hasVersion bool
	opcode, dns, questions       uint64
	version, size                uint64
	rcode                        int64
}

// Bits of qr-sig-flags and qr-dns-flags (RFC 8618 §7.3.2.3.2 and after).
const (
	cdnsHasQuery           = 1 << 0
	cdnsHasResponse        = 1 << 1
	cdnsQueryOPT           = 1 << 2
	cdnsQueryNoQuestion    = 1 << 4
	cdnsResponseNoQuestion = 1 << 5

	cdnsCD         = 1 << 0
	cdnsAD         = 1 << 1
	cdnsRD         = 1 << 4
	cdnsDO         = 1 << 7
	cdnsResponseCD = 1 << 8
	cdnsResponseRD = 1 << 12
	cdnsResponseTC = 1 << 13
	cdnsResponseAA = 1 << 14

	// Hints: whether the collector stores these sections of responses at all.
	cdnsHintAnswers   = 1 << 15
	cdnsHintAuthority = 1 << 16
)

func (c *cborCursor) index() int64 { return int64(min(c.uint(), 1<<40)) }

func (t *cdnsItem) parse(b []byte) bool {
	*t = cdnsItem{client: -1, sig: -1, name: -1, answers: -1, authority: -1}
	c := cborCursor{b: b}
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			t.offset, t.timed = c.uint(), true
		case 1:
			t.client = c.index()
		case 2:
			t.port = c.uint()
		case 4:
			t.sig = c.index()
		case 6, 9: // response-delay, response-size
			t.responded = true
			c.skip(0)
		case 7:
			t.name = c.index()
		case 12:
			t.responded = true
			for m := c.list(cborMap); c.more(&m); {
				switch c.key() {
				case 1:
					t.answers = c.index()
				case 2:
					t.authority = c.index()
				default:
					c.skip(0)
				}
			}
		default:
			c.skip(0)
		}
	}
	return !c.bad
}

func (s *cdnsSig) parse(c cborCursor) bool {
	*s = cdnsSig{server: -1, classType: -1, opt: -1, rcode: -1, questions: 1}
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			s.server = c.index()
		case 2:
			s.transport, s.hasTransport = c.uint(), true
		case 3:
			s.kind, s.hasKind = c.uint(), true
		case 4:
			s.flags, s.hasFlags = c.uint(), true
		case 5:
			s.opcode = c.uint()
		case 6:
			s.dns, s.hasDNS = c.uint(), true
		case 8:
			s.classType = c.index()
		case 9:
			s.questions = c.uint()
		case 13:
			s.version, s.hasVersion = c.uint(), true
		case 14:
			s.size = c.uint()
		case 15:
			s.opt = c.index()
		case 16:
			s.rcode = c.index()
		default:
			c.skip(0)
		}
	}
	return !c.bad
}

// cdnsTransports are the C-DNS Transports of IANA; DTLS counts as TLS.
var cdnsTransports = [...]picket.Transport{picket.TransportUDP, picket.TransportTCP, picket.TransportTLS, picket.TransportTLS, picket.TransportHTTPS}

// cdnsKinds are the names of qr-type, and what dnstap calls the same.
var cdnsKinds = [...]string{"STUB", "CLIENT", "RESOLVER", "AUTH", "FORWARDER", "TOOL"}

const (
	cdnsKindClient = 1
	cdnsKindAuth   = 3
)

// item reads one query-response into d.q. It returns why it cannot, or why the
// item is no telemetry of a name server.
func (d *cdnsDecoder) item(b []byte) (reason, skip string) {
	for i := range d.tables {
		d.tables[i].used = d.tables[i].used[:0]
	}
	var t cdnsItem
	if !t.parse(b) {
		return reasonCdnsItem, ""
	}
	if t.sig < 0 {
		return reasonNoQuestion, ""
	}
	var s cdnsSig
	c, ok := d.tables[cdnsSigs].entry(uint64(t.sig), maxCdnsEntry)
	if !ok {
		return reasonCdnsIndex, ""
	}
	if !s.parse(c) {
		return reasonCdnsItem, ""
	}
	if s.hasKind && s.kind != cdnsKindAuth && !(d.opt.Client && s.kind == cdnsKindClient) {
		if s.kind < uint64(len(cdnsKinds)) {
			return "", cdnsKinds[s.kind]
		}
		return "", "unknown transaction type"
	}
	if reason = d.when(&t); reason != "" {
		return reason, ""
	}
	if reason = d.who(&t, &s); reason != "" {
		return reason, ""
	}
	return d.what(&t, &s), ""
}

// when sets the item's time.
func (d *cdnsDecoder) when(t *cdnsItem) (reason string) {
	if !d.timed {
		return reasonTapTime
	}
	ns, ok := tickTime(t.offset, d.param.ticks)
	if !ok || ns > 9e18-d.earliest {
		return reasonCdnsTime
	}
	d.q.Time = d.earliest + ns
	return ""
}

// who sets addresses, port and transport.
func (d *cdnsDecoder) who(t *cdnsItem, s *cdnsSig) (reason string) {
	q := &d.q
	q.Transport, q.Sensor = picket.TransportUnknown, d.param.sensor
	if p := s.transport >> 1 & 0xf; s.hasTransport && p < uint64(len(cdnsTransports)) {
		q.Transport = cdnsTransports[p]
	}
	if t.port > 65535 {
		return reasonPort
	}
	q.ClientPort = uint16(t.port)
	if q.Client, reason = d.address(t.client, s); reason == "" {
		q.Server, reason = d.address(s.server, s)
	}
	return reason
}

// address returns the address at an index, the zero Addr at none.
func (d *cdnsDecoder) address(index int64, s *cdnsSig) (a netip.Addr, reason string) {
	if index < 0 {
		return a, ""
	}
	c, ok := d.tables[cdnsAddresses].entry(uint64(index), maxCdnsEntry)
	if !ok {
		return a, reasonCdnsIndex
	}
	b := c.bytes()
	if a, ok = cdnsAddress(b, s.transport&1 != 0, s.hasTransport); c.bad || !ok {
		return a, decode.ReasonAddress
	}
	return a.Unmap(), ""
}

// what reads question, flags and response. The item is written out as the DNS
// messages it was made of, as far as they are kept, and these are read as any
// other.
func (d *cdnsDecoder) what(t *cdnsItem, s *cdnsSig) (reason string) {
	q := &d.q
	hasQuery, hasResponse := true, t.responded || s.rcode >= 0
	if s.hasFlags {
		hasQuery, hasResponse = s.flags&cdnsHasQuery != 0, s.flags&cdnsHasResponse != 0
	}
	none := uint64(cdnsQueryNoQuestion)
	if !hasQuery {
		none = cdnsResponseNoQuestion
	}
	if t.name < 0 || s.classType < 0 || s.flags&none != 0 {
		return reasonNoQuestion
	}
	if s.questions > 1 {
		return reasonQuestions
	}
	if d.qbuf, reason = d.appendQuestion(d.qbuf[:0], t, s); reason != "" {
		return reason
	}
	question := len(d.qbuf)
	bits := uint16(s.opcode&0xf) << 11
	if s.opcode > 15 {
		return reasonCdnsItem
	}
	if hasQuery {
		bits |= mapBits(s.dns, cdnsRD, bitRD) | mapBits(s.dns, cdnsCD, bitCD) | mapBits(s.dns, cdnsAD, bitAD)
		if reason = d.appendOPT(s); reason != "" {
			return reason
		}
	} else {
		bits |= bitQR | mapBits(s.dns, cdnsResponseRD, bitRD) | mapBits(s.dns, cdnsResponseCD, bitCD)
	}
	binary.BigEndian.PutUint16(d.qbuf[2:], bits)
	if reason = d.msg.Parse(d.qbuf); reason != "" {
		return reason
	}
	if d.msg.body != question {
		return reasonName // a pointer in a name that must have none, or bytes after its end
	}
	if hasQuery {
		d.msg.FillQuery(q)
	} else {
		d.msg.FillEcho(q)
	}
	if !s.hasDNS {
		q.Flags &^= picket.FlagFlags
	}
	if !hasResponse {
		return ""
	}
	return d.response(t, s, d.qbuf[:question])
}

func mapBits(v, from uint64, to uint16) uint16 {
	if v&from != 0 {
		return to
	}
	return 0
}

// appendQuestion writes a header and the item's question.
func (d *cdnsDecoder) appendQuestion(b []byte, t *cdnsItem, s *cdnsSig) (out []byte, reason string) {
	b = append(b, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	name, reason := d.name(uint64(t.name))
	if reason != "" {
		return b, reason
	}
	typ, class, reason := d.classType(uint64(s.classType))
	if reason != "" {
		return b, reason
	}
	b = binary.BigEndian.AppendUint16(append(b, name...), typ)
	return binary.BigEndian.AppendUint16(b, class), ""
}

// maxCdnsData bounds record data and EDNS options that are looked at.
const maxCdnsData = 4096

// name returns an entry of the table of names and data that is a name: in wire
// form, not compressed.
func (d *cdnsDecoder) name(i uint64) (b []byte, reason string) {
	if b, reason = d.data(i); reason == "" && !plainName(b) {
		return nil, reasonName
	}
	return b, reason
}

// plainName reports whether b is a name in wire form without pointers, and nothing else.
func plainName(b []byte) bool {
	for i := 0; i < len(b) && i < dnsname.MaxLen && b[i] <= dnsname.MaxLabel; i += 1 + int(b[i]) {
		if b[i] == 0 {
			return i == len(b)-1
		}
	}
	return false
}

// data returns an entry of the same table that is something else.
func (d *cdnsDecoder) data(i uint64) (b []byte, reason string) {
	c, ok := d.tables[cdnsNames].entry(i, maxCdnsData+8)
	if !ok {
		return nil, reasonCdnsIndex
	}
	if b = c.bytes(); c.bad {
		return nil, reasonCdnsItem
	}
	return b, ""
}

func (d *cdnsDecoder) classType(i uint64) (typ, class uint16, reason string) {
	c, ok := d.tables[cdnsClassTypes].entry(i, maxCdnsEntry)
	if !ok {
		return 0, 0, reasonCdnsIndex
	}
	v := [2]uint64{0, 1}
	for m := c.list(cborMap); c.more(&m); {
		if k := c.key(); k == 0 || k == 1 {
			v[k] = c.uint()
		} else {
			c.skip(0)
		}
	}
	if c.bad || v[0] > 65535 || v[1] > 65535 {
		return 0, 0, reasonCdnsItem
	}
	return uint16(v[0]), uint16(v[1]), ""
}

// appendOPT writes the query's OPT record, when it had one, into d.qbuf.
func (d *cdnsDecoder) appendOPT(s *cdnsSig) (reason string) {
	if s.hasFlags && s.flags&cdnsQueryOPT == 0 || !s.hasFlags && !s.hasVersion {
		return ""
	}
	var data []byte
	if s.opt >= 0 {
		if data, reason = d.data(uint64(s.opt)); reason != "" {
			return reason
		}
	}
	d.qbuf[11] = 1
	b := append(d.qbuf, 0)
	b = binary.BigEndian.AppendUint16(b, typeOPT)
	b = binary.BigEndian.AppendUint16(b, uint16(s.size))
	b = append(b, 0, byte(min(s.version, 255)), byte(mapBits(s.dns, cdnsDO, 0x80)), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	d.qbuf = append(b, data...)
	return ""
}

// response reads the response's side. Its records are there if the collector
// stores them.
func (d *cdnsDecoder) response(t *cdnsItem, s *cdnsSig, question []byte) (reason string) {
	q := &d.q
	b := append(d.rbuf[:0], question...)
	bits := bitQR | mapBits(s.dns, cdnsResponseAA, bitAA) | mapBits(s.dns, cdnsResponseTC, bitTC)
	binary.BigEndian.PutUint16(b[2:], bits)
	b[11] = 0
	answers, kept, authority := 0, uint16(0), uint16(0)
	d.whole = true
	if t.answers >= 0 {
		if b, answers, kept, reason = d.appendRRs(b, uint64(t.answers)); reason != "" {
			return reason
		}
	}
	whole := d.whole
	d.whole = false // of the authority section only denials are wanted
	if t.authority >= 0 {
		if b, _, authority, reason = d.appendRRs(b, uint64(t.authority)); reason != "" {
			return reason
		}
	}
	d.rbuf = b
	binary.BigEndian.PutUint16(b[6:], kept)
	binary.BigEndian.PutUint16(b[8:], authority)
	if reason = d.resp.Parse(b); reason != "" {
		return reason
	}
	if d.resp.FillResponse(q) != "" {
		return reasonRecord
	}
	q.Response.Answers = uint16(min(answers, 65535))
	if !whole { // the collector keeps owners and no data
		q.Response.Message = nil
	}
	q.Rcode = picket.RcodeUnknown
	if s.rcode >= 0 && s.rcode < 4096 {
		q.Rcode = picket.Rcode(s.rcode)
	}
	// Without answers kept, nobody knows a referral from an answer.
	const both = cdnsHintAnswers | cdnsHintAuthority
	if d.param.hints&both != both || q.Rcode != picket.RcodeNoError {
		q.Flags &^= picket.FlagReferral
	}
	return ""
}

// appendRRs writes the records of a list. total is how many there are, kept how
// many were written: the first, and those that say something of the zone.
func (d *cdnsDecoder) appendRRs(b []byte, list uint64) (out []byte, total int, kept uint16, reason string) {
	c, ok := d.tables[cdnsRRLists].entry(list, maxCdnsBlock)
	if !ok {
		return b, 0, 0, reasonCdnsIndex
	}
	l := c.list(cborArray)
	if !l.endless {
		total = int(min(l.left, 65535))
	}
	for kept < maxCdnsRRs && c.more(&l) {
		e, ok := d.tables[cdnsRRs].entry(c.uint(), maxCdnsEntry)
		if !ok {
			return b, 0, 0, reasonCdnsIndex
		}
		if b, reason = d.appendRR(b, e); reason != "" {
			return b, 0, 0, reason
		}
		kept++
	}
	if l.endless { // nobody says how many there are: count, up to a bound
		for total = int(kept); total < maxCdnsCount && c.more(&l); total++ {
			c.skip(0)
		}
	} else {
		total = max(total, int(kept))
	}
	if c.bad {
		return b, 0, 0, reasonCdnsItem
	}
	return b, total, kept, ""
}

func (d *cdnsDecoder) appendRR(b []byte, c cborCursor) (out []byte, reason string) {
	name, class, data := int64(-1), int64(-1), int64(-1)
	for m := c.list(cborMap); c.more(&m); {
		switch c.key() {
		case 0:
			name = c.index()
		case 1:
			class = c.index()
		case 3:
			data = c.index()
		default:
			c.skip(0)
		}
	}
	if c.bad || name < 0 || class < 0 {
		return b, reasonCdnsItem
	}
	owner, reason := d.name(uint64(name))
	if reason != "" {
		return b, reason
	}
	typ, cl, reason := d.classType(uint64(class))
	if reason != "" {
		return b, reason
	}
	b = binary.BigEndian.AppendUint16(append(b, owner...), typ)
	b = binary.BigEndian.AppendUint16(b, cl)
	b = append(b, 0, 0, 0, 0)
	var v []byte
	denial := typ == typeNSEC || typ == typeNSEC3
	if data >= 0 && (denial || d.whole) {
		if v, reason = d.data(uint64(data)); reason != "" && denial {
			return b, reason
		}
	}
	// Nobody may miss in the answers what was not kept, too long, or told by a pointer.
	d.whole = d.whole && v != nil && reason == "" && (typ != typeNS && typ != typeCNAME && typ != typePTR || plainName(v))
	if len(v) > 65535 {
		return b, reasonCdnsItem
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...), ""
}
