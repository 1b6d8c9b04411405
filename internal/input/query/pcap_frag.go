package query

import "encoding/binary"

// Bounds of IP reassembly.
const (
	maxFragGroups  = 512         // datagrams in the making
	maxFragBytes   = 8 << 20     // of their buffers
	maxFragPieces  = 64          // separate stretches of one datagram
	fragTimeout    = int64(30e9) // by the decoder's clock (RFC 8200 §4.5 allows 60 s)
	maxFragPayload = 1<<16 - 1   // of a datagram
)

// fragKey is what fragments of one datagram share (RFC 791 §2.3, RFC 8200 §4.5).
type fragKey struct {
	src, dst [16]byte
	id       uint32
	proto    uint8
	v6       bool
}

// fragStretch is a run of octets that have arrived, end exclusive.
type fragStretch struct{ from, to int }

// fragGroup is a datagram in the making.
type fragGroup struct {
	key     fragKey
	buf     []byte
	have    []fragStretch // ascending, apart from each other
	total   int           // length of the whole, -1 while the last fragment is missing
	begun   int64         // by the decoder's clock
	at      int64         // offset of the newest fragment's record
	ignored string        // not DNS: the Skip reason
}

// fragTable reassembles IP datagrams, oldest group first out.
type fragTable struct {
	d      *pcapDecoder
	groups map[fragKey]*fragGroup
	order  []*fragGroup // as begun
	free   []*fragGroup
	pool   bufPool
}

func newFragTable(d *pcapDecoder) *fragTable {
	return &fragTable{d: d, groups: make(map[fragKey]*fragGroup)}
}

// add takes a fragment. id is the datagram's, offset in octets, more that this
// is not the last. A datagram that becomes whole goes on to the transport layer.
func (t *fragTable) add(p *pcapPacket, id uint32, offset int, more bool) {
	n := len(p.payload)
	if p.cut {
		t.d.reject(pcapRejectCut, p.at)
		return
	}
	if n == 0 || more && n%8 != 0 || offset+n > maxFragPayload {
		t.d.reject(pcapRejectFragment, p.at)
		return
	}
	mark := p.mark
	p.mark = id ^ uint32(offset)<<16
	if t.d.duplicate(p, fullHash) {
		t.d.acct.Skip(skipDuplicate)
		return
	}
	p.mark = mark
	key := fragKey{src: p.src, dst: p.dst, id: id, proto: p.proto, v6: p.v6}
	g := t.groups[key]
	if g == nil {
		g = t.begin(key)
	}
	g.at = p.at
	if offset == 0 && g.ignored == "" {
		g.ignored = t.unwanted(p)
		if g.ignored != "" {
			t.d.acct.Skip(g.ignored)
		}
	}
	if !more {
		g.total = offset + n
	}
	if g.ignored == "" && !t.store(g, p, offset) {
		t.drop(g)
		t.d.reject(pcapRejectFragment, p.at)
		return
	}
	if g.ignored == "" && len(g.have) == 1 && g.have[0] == (fragStretch{0, g.total}) {
		whole := *p
		whole.payload, whole.raw = g.buf[:g.total], nil
		t.d.transport(&whole)
		t.drop(g)
	}
}

// unwanted returns why a datagram whose first fragment is p is no DNS, or "".
func (t *fragTable) unwanted(p *pcapPacket) string {
	if p.proto != protoUDP && p.proto != protoTCP {
		return skipTransport
	}
	b := p.payload
	if len(b) >= 4 && !t.d.isPort(binary.BigEndian.Uint16(b)) && !t.d.isPort(binary.BigEndian.Uint16(b[2:])) {
		return skipPort
	}
	return ""
}

func (t *fragTable) begin(key fragKey) *fragGroup {
	if len(t.order) >= maxFragGroups {
		t.evict()
	}
	g := &fragGroup{}
	if n := len(t.free); n > 0 {
		g, t.free = t.free[n-1], t.free[:n-1]
	}
	*g = fragGroup{key: key, have: g.have[:0], total: -1, begun: t.d.clock.now}
	t.groups[key] = g
	t.order = append(t.order, g)
	return g
}

// store copies a fragment into its place; octets that are there already stay, in
// IPv6 an overlap spoils the datagram (RFC 5722). It reports whether it went well.
func (t *fragTable) store(g *fragGroup, p *pcapPacket, offset int) bool {
	end := offset + len(p.payload)
	if g.total >= 0 && (end > g.total || len(g.have) > 0 && g.have[len(g.have)-1].to > g.total) {
		return false
	}
	i := 0
	for i < len(g.have) && g.have[i].to < offset {
		i++
	}
	j, from, to := i, offset, end
	for ; j < len(g.have) && g.have[j].from <= end; j++ {
		h := g.have[j]
		if p.v6 && h.from < end && h.to > offset {
			return false
		}
		from, to = min(from, h.from), max(to, h.to)
	}
	if i == j && len(g.have) == maxFragPieces {
		return false
	}
	if cap(g.buf) < to {
		g.buf = t.pool.grow(g.buf, to)
	}
	g.buf = g.buf[:max(len(g.buf), to)]
	at := offset
	for _, h := range g.have[i:j] {
		if h.from > at {
			copy(g.buf[at:h.from], p.payload[at-offset:])
		}
		at = max(at, h.to)
	}
	if at < end {
		copy(g.buf[at:end], p.payload[at-offset:])
	}
	if i == j {
		g.have = append(g.have, fragStretch{})
		copy(g.have[i+1:], g.have[i:])
		g.have[i] = fragStretch{from, to}
	} else {
		g.have[i] = fragStretch{from, to}
		g.have = append(g.have[:i+1], g.have[j:]...)
	}
	for t.pool.live > maxFragBytes && len(t.order) > 1 && t.order[0] != g {
		t.evict()
	}
	return true
}

// drop forgets a group.
func (t *fragTable) drop(g *fragGroup) {
	delete(t.groups, g.key)
	t.pool.put(g.buf)
	g.buf = nil
	for i, x := range t.order {
		if x == g {
			t.order = append(t.order[:i], t.order[i+1:]...)
			break
		}
	}
	t.free = append(t.free, g)
}

// evict drops the oldest group to make room.
func (t *fragTable) evict() { t.lose(t.order[0], pcapRejectFragEvicted) }

// lose drops a group that will not become whole and says so.
func (t *fragTable) lose(g *fragGroup, reason string) {
	if g.ignored == "" {
		t.d.reject(reason, g.at)
	}
	t.drop(g)
}

// sweep drops what has waited too long.
func (t *fragTable) sweep(now int64) {
	for len(t.order) > 0 && t.order[0].begun+fragTimeout <= now {
		t.lose(t.order[0], pcapRejectIncomplete)
	}
}

// flush drops everything, at the end of the stream.
func (t *fragTable) flush() {
	for len(t.order) > 0 {
		t.lose(t.order[0], pcapRejectIncomplete)
	}
}

// bufPool lends buffers of sizes that are powers of two, and counts the octets
// lent. What comes back is kept for reuse.
type bufPool struct {
	free [18][][]byte // index: log2 of the size
	live int
}

const minBuf = 9 // log2 of the smallest buffer

// get returns an empty buffer with room for n octets.
func (p *bufPool) get(n int) []byte {
	class := minBuf
	for 1<<class < n {
		class++
	}
	p.live += 1 << class
	if list := p.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		return b[:0]
	}
	return make([]byte, 0, 1<<class)
}

// put takes a buffer back; nil is fine.
func (p *bufPool) put(b []byte) {
	if cap(b) == 0 {
		return
	}
	class := minBuf
	for 1<<class < cap(b) {
		class++
	}
	p.live -= cap(b)
	p.free[class] = append(p.free[class], b[:0])
}

// grow moves b into a buffer with room for n octets.
func (p *bufPool) grow(b []byte, n int) []byte {
	bigger := append(p.get(n), b...)
	p.put(b)
	return bigger
}
