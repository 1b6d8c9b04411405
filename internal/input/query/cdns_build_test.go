package query

import (
	"github.com/picket-dns/picket"
)

// cdnsFile writes C-DNS of queries as they come out of a decoder: one block.
type cdnsFile struct {
	ticks    uint64
	private  bool // with a private version, and private keys
	endless  bool // lists of unknown length
	hostID   string
	prefix4  uint64 // of client addresses, 0 for whole ones
	kind     int    // qr-type, -1 for none
	items    [][]byte
	extra    []byte // further keys of the block, with their number
	extraN   int
	earliest int64

	tables [cdnsTables][][]byte
	index  [cdnsTables]map[string]uint64
}

func newCdnsFile() *cdnsFile {
	return &cdnsFile{ticks: 1e9, kind: -1, hostID: "ns1.example.com", earliest: at0}
}

func cborU(b []byte, v uint64) []byte { return appendCborHead(b, cborUint, v) }

func cborStr(b []byte, major byte, s string) []byte {
	return append(appendCborHead(b, major, uint64(len(s))), s...)
}

// cborObj is a map under construction.
type cborObj struct {
	b []byte
	n int
}

func (m *cborObj) uint(key, v uint64) { m.raw(key, cborU(nil, v)) }
func (m *cborObj) raw(key uint64, item []byte) {
	m.b = append(cborU(m.b, key), item...)
	m.n++
}
func (m *cborObj) bytes() []byte { return append(appendCborHead(nil, cborMap, uint64(m.n)), m.b...) }

func cborArr(items [][]byte, endless bool) (b []byte) {
	if endless {
		b = append(b, cborArray<<5|31)
	} else {
		b = appendCborHead(b, cborArray, uint64(len(items)))
	}
	for _, it := range items {
		b = append(b, it...)
	}
	if endless {
		b = append(b, cborBreak)
	}
	return b
}

// put enters an entry into a table and returns its index.
func (f *cdnsFile) put(table int, entry []byte) uint64 {
	if f.index[table] == nil {
		f.index[table] = map[string]uint64{}
	}
	if i, ok := f.index[table][string(entry)]; ok {
		return i
	}
	i := uint64(len(f.tables[table]))
	f.index[table][string(entry)] = i
	f.tables[table] = append(f.tables[table], entry)
	return i
}

func (f *cdnsFile) name(wire []byte) uint64 {
	return f.put(cdnsNames, cborStr(nil, cborBytes, string(wire)))
}

func (f *cdnsFile) classType(typ, class uint16) uint64 {
	var m cborObj
	m.uint(0, uint64(typ))
	m.uint(1, uint64(class))
	return f.put(cdnsClassTypes, m.bytes())
}

func (f *cdnsFile) rr(owner []byte, typ uint16, data []byte) []byte {
	var m cborObj
	m.uint(0, f.name(owner))
	m.uint(1, f.classType(typ, 1))
	m.uint(2, 300)
	if data != nil {
		m.uint(3, f.name(data))
	}
	return cborU(nil, f.put(cdnsRRs, m.bytes()))
}

// options are the EDNS options that stand behind a query's flags.
func cdnsOptions(q *picket.Query) (b []byte) {
	if q.Has(picket.FlagCookie) {
		b = append(b, option(optCookie, make([]byte, 16)...)...)
	}
	if q.Has(picket.FlagNSID) {
		b = append(b, option(optNSID)...)
	}
	if p := q.ClientSubnet; p.IsValid() {
		family := byte(1)
		if p.Addr().Is6() {
			family = 2
		}
		b = append(b, option(optECS, append([]byte{0, family, byte(p.Bits()), 0}, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)...)...)
	}
	return b
}

// add writes a transaction.
func (f *cdnsFile) add(q *picket.Query, echo bool) *cdnsFile {
	var sig, item cborObj
	if q.Server.IsValid() {
		sig.uint(0, f.put(cdnsAddresses, cborStr(nil, cborBytes, string(q.Server.AsSlice()))))
	}
	sig.uint(1, 53)
	transport := map[picket.Transport]uint64{picket.TransportTCP: 1, picket.TransportTLS: 2, picket.TransportHTTPS: 4}[q.Transport]
	sig.uint(2, transport<<1|map[bool]uint64{true: 1}[q.Client.Is6()])
	if f.kind >= 0 {
		sig.uint(3, uint64(f.kind))
	}
	flags, dns := uint64(0), uint64(0)
	set := func(has picket.QueryFlags, bit uint64, to *uint64) {
		if q.Has(has) {
			*to |= bit
		}
	}
	if echo {
		set(picket.FlagRD, cdnsResponseRD, &dns)
		set(picket.FlagCD, cdnsResponseCD, &dns)
	} else {
		flags |= cdnsHasQuery
		set(picket.FlagRD, cdnsRD, &dns)
		set(picket.FlagCD, cdnsCD, &dns)
		set(picket.FlagAD, cdnsAD, &dns)
		set(picket.FlagDO, cdnsDO, &dns)
	}
	set(picket.FlagEDNS, cdnsQueryOPT, &flags)
	set(picket.FlagResponse, cdnsHasResponse, &flags)
	set(picket.FlagAA, cdnsResponseAA, &dns)
	set(picket.FlagTC, cdnsResponseTC, &dns)
	sig.uint(4, flags)
	sig.uint(5, uint64(q.Opcode))
	sig.uint(6, dns)
	sig.uint(8, f.classType(q.Type, q.Class))
	sig.uint(9, 1)
	if q.Has(picket.FlagEDNS) {
		version := uint64(0)
		set(picket.FlagBadEDNS, 1, &version)
		sig.uint(13, version)
		sig.uint(14, uint64(q.EDNSSize))
		sig.uint(15, f.name(cdnsOptions(q)))
	}
	if q.Rcode >= 0 {
		sig.uint(16, uint64(q.Rcode))
	}
	since := uint64(q.Time - f.earliest)
	item.uint(0, since/1e9*f.ticks+since%1e9*f.ticks/1e9)
	client := q.Client.AsSlice()
	if f.prefix4 > 0 {
		client = client[:(f.prefix4+7)/8]
	}
	item.uint(1, f.put(cdnsAddresses, cborStr(nil, cborBytes, string(client))))
	item.uint(2, uint64(q.ClientPort))
	item.uint(3, 4711)
	item.uint(4, f.put(cdnsSigs, sig.bytes()))
	item.raw(6, []byte{cborNeg<<5 | 9}) // a response before its query
	item.uint(7, f.name(q.Name))
	f.sections(&item, q)
	f.items = append(f.items, item.bytes())
	return f
}

// sections writes the response's records as far as a query tells them.
func (f *cdnsFile) sections(item *cborObj, q *picket.Query) {
	var ext cborObj
	r := &q.Response
	var answers, authority [][]byte
	for i := range int(r.Answers) {
		owner := q.Name
		if r.Owner != nil && i == 0 {
			owner = r.Owner
		}
		answers = append(answers, f.rr(owner, 1, []byte{192, 0, 2, byte(i)}))
	}
	if r.Authority != nil {
		typ := uint16(typeNS)
		if r.HasSOA {
			typ = typeSOA
		}
		authority = append(authority, f.rr(r.Authority, typ, nil))
	}
	for _, d := range r.Denials {
		if !d.NSEC3 {
			authority = append(authority, f.rr(d.Owner, typeNSEC, append(append([]byte{}, d.Next...), 0, 1, 0x40)))
		}
	}
	if answers != nil {
		ext.uint(1, f.put(cdnsRRLists, cborArr(answers, f.endless)))
	}
	if authority != nil {
		ext.uint(2, f.put(cdnsRRLists, cborArr(authority, f.endless)))
	}
	if ext.n > 0 {
		item.raw(12, ext.bytes())
	}
}

// bytes returns the file.
func (f *cdnsFile) bytes() []byte {
	var hints, storage, collection, params, preamble, block, blockPreamble, tables cborObj
	hints.uint(0, 0x3ffff)
	storage.uint(0, f.ticks)
	storage.uint(1, 5000)
	storage.raw(2, hints.bytes())
	storage.raw(3, cborArr([][]byte{{0}}, f.endless))
	storage.raw(4, cborArr([][]byte{{1}}, f.endless))
	if f.prefix4 > 0 {
		storage.uint(6, f.prefix4)
	}
	collection.raw(3, []byte{cborOther<<5 | 21})
	collection.raw(9, cborStr(nil, cborText, f.hostID))
	params.raw(0, storage.bytes())
	params.raw(1, collection.bytes())
	preamble.uint(0, 1)
	preamble.uint(1, 0)
	if f.private {
		preamble.uint(2, 1)
	}
	preamble.raw(3, cborArr([][]byte{params.bytes()}, f.endless))

	blockPreamble.raw(0, cborArr([][]byte{cborU(nil, uint64(f.earliest/1e9)), cborU(nil, uint64(f.earliest%1e9)*f.ticks/1e9)}, f.endless))
	for i, t := range f.tables {
		if len(t) > 0 {
			tables.raw(uint64(i), cborArr(t, f.endless))
		}
	}
	block.raw(0, blockPreamble.bytes())
	var stats cborObj
	stats.uint(0, 7)
	if f.private {
		stats.b, stats.n = append(stats.b, cborNeg<<5, 0), 2
	}
	block.raw(1, stats.bytes())
	block.raw(2, tables.bytes())
	if len(f.items) > 0 {
		block.raw(3, cborArr(f.items, f.endless))
	}
	block.b, block.n = append(block.b, f.extra...), block.n+f.extraN
	out := []byte{cborArray<<5 | 3}
	if f.endless {
		out[0] = cborArray<<5 | 31
	}
	out = append(cborStr(out, cborText, "C-DNS"), preamble.bytes()...)
	out = append(out, cborArr([][]byte{block.bytes()}, f.endless)...)
	if f.endless {
		out = append(out, cborBreak)
	}
	return out
}

// others appends an event count and a malformed message to the block.
func (f *cdnsFile) others() *cdnsFile {
	var event, bad cborObj
	event.uint(0, 1)
	event.uint(2, 0)
	event.uint(3, 12)
	bad.uint(0, 5)
	bad.uint(1, 0)
	f.extra = append(cborU(f.extra, 4), cborArr([][]byte{event.bytes()}, f.endless)...)
	f.extra = append(cborU(f.extra, 5), cborArr([][]byte{bad.bytes()}, f.endless)...)
	f.extraN += 2
	return f
}
