package query

import (
	"encoding/binary"

	"github.com/picket-dns/picket"
)

// Bounds of TCP reassembly.
const (
	maxConns    = 1 << 14
	maxTCPBytes = 32 << 20   // buffered, of all connections
	maxSegments = 64         // out of order, of one direction
	maxAhead    = 1 << 18    // octets that a segment may be ahead of what is missing
	maxBehind   = 1 << 20    // octets that a late copy may be behind; beyond it the ports are used anew
	segmentWait = int64(1e9) // for a missing segment, by the decoder's clock
)

// TCP flags.
const (
	tcpSYN = 2
	tcpRST = 4
	tcpACK = 16
)

// tcpConn is one connection. Directions: 0 to the server, 1 to the client.
type tcpConn struct {
	ends       endpoints
	hash       uint64
	half       [2]tcpHalf
	prev, next int32 // in order of latest use
	used       bool
	at         int64 // offset of the latest segment's record
	xfer       bool  // a zone transfer's first response has been seen
	xferID     uint16
	xferSeq    uint64
}

// tcpHalf is one direction of a connection.
type tcpHalf struct {
	next     uint32 // sequence number of the next octet in order
	isn      uint32
	opened   bool         // SYN seen, isn set
	known    bool         // next is set
	synced   bool         // next octet begins a message, or continues what is in buf
	told     bool         // this loss of step has been counted
	buf      []byte       // the beginning of a message
	segs     []tcpSegment // beyond next, ascending
	gapSince int64
}

// tcpSegment is a piece of a stream that came too early.
type tcpSegment struct {
	seq  uint32
	time int64
	at   int64
	data []byte
}

// tcpTable follows the connections; the one longest unused makes room.
type tcpTable struct {
	d     *pcapDecoder
	conns []tcpConn
	index hashIndex
	// The list of use: newest first. -1 ends it.
	newest, oldest int32
	gaps           int // directions with segs
	pool           bufPool
}

func newTCPTable(d *pcapDecoder) *tcpTable {
	return &tcpTable{d: d, index: newIndex(64), newest: -1, oldest: -1}
}

// packet takes a TCP segment in an IP packet (RFC 9293 §3.1).
func (t *tcpTable) packet(p *pcapPacket) {
	b := p.payload
	if len(b) >= 4 {
		src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if !t.d.isPort(src) && !t.d.isPort(dst) {
			t.d.skipPorts(src, dst)
			return
		}
	}
	if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) {
		if p.cut {
			t.d.reject(pcapRejectCut, p.at)
		} else {
			t.d.reject(pcapRejectTCP, p.at)
		}
		return
	}
	flags, seq := b[13], binary.BigEndian.Uint32(b[4:])
	data := b[int(b[12]>>4)*4:]
	if len(data) == 0 && flags&(tcpSYN|tcpRST) == 0 {
		return
	}
	i, dir := t.connection(p, flags, data)
	if i < 0 {
		return
	}
	c := &t.conns[i]
	h := &c.half[dir]
	c.at = p.at
	if flags&tcpSYN != 0 {
		t.open(c, dir, seq, flags)
		seq++
	}
	if len(data) > 0 {
		t.place(c, dir, tcpSegment{seq, p.time, p.at, data})
		if p.lost > 0 { // the rest of this segment was not captured
			t.loseStep(h, p.at, pcapRejectCut)
			if h.next == seq+uint32(len(data)) {
				h.next += uint32(p.lost)
			}
		}
	}
	if flags&tcpRST != 0 {
		t.closeConn(c)
	}
	if t.pool.live > maxTCPBytes {
		t.makeRoom()
	}
}

// connection finds or makes the connection that a segment belongs to, and the
// segment's direction in it; -1 when it is of no use.
func (t *tcpTable) connection(p *pcapPacket, flags uint8, data []byte) (i int32, dir int) {
	b := p.payload
	src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	e := endpoints{client: p.src, server: p.dst, clientPort: src, serverPort: dst, v6: p.v6, transport: picket.TransportTCP}
	back := e
	back.client, back.server, back.clientPort, back.serverPort = p.dst, p.src, dst, src
	both := t.d.isPort(src) && t.d.isPort(dst)
	if t.d.isPort(src) && !both {
		e, dir = back, 1
	}
	hash := t.d.hash(&e, 0)
	ref, ok := t.index.find(hash)
	if both && !ok {
		// Who asks whom? A connection known the other way round, the handshake, or the QR bit.
		other := t.d.hash(&back, 0)
		if ref, ok = t.index.find(other); ok ||
			flags&(tcpSYN|tcpACK) == tcpSYN|tcpACK || flags&tcpSYN == 0 && len(data) >= 5 && data[4]&0x80 != 0 {
			e, hash, dir = back, other, 1
		}
	}
	if ok {
		t.touch(int32(ref))
		return int32(ref), dir
	}
	if len(data) == 0 && flags&tcpSYN == 0 {
		return -1, 0
	}
	return t.begin(&e, hash), dir
}

// begin makes a connection.
func (t *tcpTable) begin(e *endpoints, hash uint64) int32 {
	var i int32
	if len(t.conns) < maxConns {
		i = int32(len(t.conns))
		t.conns = append(t.conns, tcpConn{})
	} else {
		i = t.oldest
		t.evict(i)
		t.unlink(i)
	}
	c := &t.conns[i]
	segs := [2][]tcpSegment{c.half[0].segs[:0], c.half[1].segs[:0]}
	*c = tcpConn{ends: *e, hash: hash, used: true}
	c.half[0].segs, c.half[1].segs = segs[0], segs[1]
	t.index.put(hash, uint32(i))
	t.link(i)
	return i
}

// makeRoom evicts the connections longest unused until a quarter of the room is free.
func (t *tcpTable) makeRoom() {
	for i := t.oldest; i >= 0 && i != t.newest && t.pool.live > maxTCPBytes*3/4; i = t.conns[i].prev {
		t.evict(i)
	}
}

// evict ends a connection to make room. It stays linked, empty.
func (t *tcpTable) evict(i int32) {
	c := &t.conns[i]
	if !c.used {
		return
	}
	for dir := range c.half {
		if h := &c.half[dir]; len(h.buf) > 0 || len(h.segs) > 0 {
			t.d.reject(pcapRejectConnEvicted, c.at)
			break
		}
	}
	t.clear(c)
	t.index.remove(c.hash)
	c.used = false
}

func (t *tcpTable) link(i int32) {
	c := &t.conns[i]
	c.prev, c.next = -1, t.newest
	if t.newest >= 0 {
		t.conns[t.newest].prev = i
	} else {
		t.oldest = i
	}
	t.newest = i
}

func (t *tcpTable) unlink(i int32) {
	c := &t.conns[i]
	if c.prev >= 0 {
		t.conns[c.prev].next = c.next
	} else {
		t.newest = c.next
	}
	if c.next >= 0 {
		t.conns[c.next].prev = c.prev
	} else {
		t.oldest = c.prev
	}
}

func (t *tcpTable) touch(i int32) {
	if t.newest != i {
		t.unlink(i)
		t.link(i)
	}
}

// open takes a SYN. The same one again changes nothing; another one means that
// the ports are used anew.
func (t *tcpTable) open(c *tcpConn, dir int, seq uint32, flags uint8) {
	h := &c.half[dir]
	if h.opened && h.isn == seq {
		return
	}
	if dir == 0 && h.known {
		t.closeConn(c)
		for i := range c.half {
			c.half[i] = tcpHalf{segs: c.half[i].segs[:0]}
		}
		c.xfer = false
	} else if h.known {
		t.deliverAll(c, dir)
	}
	t.reset(h)
	*h = tcpHalf{isn: seq, opened: true, known: true, synced: true, next: seq + 1, segs: h.segs[:0]}
}

// closeConn delivers what there is of a connection that has ended. It stays
// known until it is the oldest, so that late copies of its segments are seen as such.
func (t *tcpTable) closeConn(c *tcpConn) {
	for dir := range c.half {
		t.deliverAll(c, dir)
		h := &c.half[dir]
		if len(h.buf) > 0 {
			t.d.reject(pcapRejectUnfinished, c.at)
		}
		t.reset(h)
	}
}

// clear gives a connection's buffers back.
func (t *tcpTable) clear(c *tcpConn) {
	for dir := range c.half {
		t.reset(&c.half[dir])
	}
}

// reset gives a direction's buffers back and forgets what was in them.
func (t *tcpTable) reset(h *tcpHalf) {
	t.pool.put(h.buf)
	h.buf = nil
	if len(h.segs) > 0 {
		t.gaps--
	}
	for i := range h.segs {
		t.pool.put(h.segs[i].data)
		h.segs[i].data = nil
	}
	h.segs = h.segs[:0]
}

// sweep gives up waiting for segments that the capture has missed.
func (t *tcpTable) sweep(now int64) {
	if t.gaps == 0 {
		return
	}
	for i := range t.conns {
		c := &t.conns[i]
		for dir := range c.half {
			if h := &c.half[dir]; len(h.segs) > 0 && h.gapSince+segmentWait <= now {
				t.jump(c, dir)
			}
		}
	}
}

// flush delivers what is held of all connections, at the end of the stream.
func (t *tcpTable) flush() {
	for i := range t.conns {
		if c := &t.conns[i]; c.used {
			t.closeConn(c)
		}
	}
}
