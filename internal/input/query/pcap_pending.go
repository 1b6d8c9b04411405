package query

import (
	"net/netip"

	"github.com/picket-dns/picket"
)

// Bounds of the queries that wait for their responses.
const (
	maxPending      = 1 << 17 // queries; beyond it the oldest goes out unanswered
	maxPendingBytes = 1 << 26 // of names and response details
	maxSameKey      = 16      // waiting queries with one key that a response is held against
)

// endpoints is who speaks to whom: the client asks, the server is asked.
type endpoints struct {
	client, server         [16]byte
	clientPort, serverPort uint16
	v6                     bool
	transport              picket.Transport
}

// slot is one waiting query. It holds no pointers, so the ring is nothing to
// the garbage collector; names and details lie in the ring's bytes.
type slot struct {
	time     int64  // of the query, as the capture tells it
	deadline int64  // by the decoder's own clock, see clock
	hash     uint64 // of ends and id
	at       uint64 // position of QNAME and client subnet in bytes
	resp     uint64 // position of the response's details
	next     uint64 // sequence number of the next waiting query with this hash, 0 for none
	ends     endpoints
	flags    picket.QueryFlags
	rcode    picket.Rcode
	typ      uint16
	class    uint16
	edns     uint16
	answers  uint16
	nameLen  uint16
	respLen  uint32
	opcode   uint8
	subnet   bool // a client subnet follows the QNAME
	hasSOA   bool
	done     bool // answered, or not to be answered
	waiting  bool // in the index
	echo     bool // made up from a response
	told     bool // the response's details end in its answers
}

// pending is a ring of queries in capture order. A query leaves at the head, and
// only there, when it is answered, has waited long enough, or room is needed; so
// what leaves is in capture order too. Bytes are taken in a second ring and
// given back in the same order.
type pending struct {
	slots      []slot    // power of two
	head, tail uint64    // sequence numbers; the first is 1, so that 0 means none
	index      hashIndex // hash → slot number of the oldest waiting query with it
	last       []uint64
	bytes      []byte // power of two
	from, to   uint64 // live bytes
	maxSlots   int
	maxBytes   int

	query picket.Query // reused for each emission
	den   [picket.MaxDenials]picket.Denial
	told  []picket.Answer
	emit  func(q *picket.Query, s *slot) error
	err   error // of emit; nothing goes on after it
}

func newPending(sensor string, emit func(*picket.Query, *slot) error) *pending {
	const slots, bytes = 256, 1 << 15
	p := &pending{
		slots: make([]slot, slots), last: make([]uint64, slots), head: 1, tail: 1,
		index: newIndex(2 * slots), bytes: make([]byte, bytes),
		maxSlots: maxPending, maxBytes: maxPendingBytes, emit: emit,
	}
	p.query.Sensor = sensor
	return p
}

func (p *pending) slot(seq uint64) *slot { return &p.slots[seq&uint64(len(p.slots)-1)] }

// held reports whether the query with this sequence number is still in the ring.
func (p *pending) held(seq uint64) bool { return seq >= p.head && seq < p.tail }

// add takes a slot for q with its name and subnet. The slot is not yet waiting.
func (p *pending) add(q *picket.Query) (seq uint64, s *slot, err error) {
	if int(p.tail-p.head) == len(p.slots) {
		if len(p.slots) < p.maxSlots {
			p.growSlots()
		} else if err := p.release(); err != nil {
			return 0, nil, err
		}
	}
	n := len(q.Name)
	subnet := q.ClientSubnet.IsValid()
	if subnet {
		n += 18
	}
	at, err := p.take(n)
	if err != nil {
		return 0, nil, err
	}
	seq = p.tail
	s = p.slot(seq)
	p.tail++
	b := p.view(at, n)
	copy(b, q.Name)
	if subnet {
		putPrefix(b[len(q.Name):], q.ClientSubnet)
	}
	s.at, s.nameLen, s.subnet = at, uint16(len(q.Name)), subnet
	s.resp, s.respLen, s.answers, s.hasSOA = 0, 0, 0, false
	s.flags, s.rcode = q.Flags, picket.RcodeUnknown
	s.typ, s.class, s.opcode, s.edns = q.Type, q.Class, q.Opcode, q.EDNSSize
	s.next, s.done, s.waiting = 0, false, false
	return seq, s, nil
}

// putPrefix writes a prefix in 18 bytes; subnetOf reads it back.
func putPrefix(b []byte, p netip.Prefix) {
	a := p.Addr().As16()
	copy(b, a[:])
	b[16], b[17] = byte(p.Bits()), 0
	if p.Addr().Is4() {
		b[17] = 1
	}
}

func subnetOf(b []byte) netip.Prefix {
	return netip.PrefixFrom(addressOf([16]byte(b), b[17] == 0), int(b[16]))
}

// addressOf makes an address of its 16-byte form.
func addressOf(a [16]byte, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte(a[12:]))
}

// wait makes the query findable by its hash.
func (p *pending) wait(seq uint64, s *slot) {
	s.waiting = true
	if first, ok := p.index.find(s.hash); ok {
		last := &p.last[first]
		p.slot(*last).next = seq
		*last = seq
		return
	}
	at := uint32(seq & uint64(len(p.slots)-1))
	p.last[at] = seq
	p.index.put(s.hash, at)
}

// seqAt returns the sequence number of the query in slot number at.
func (p *pending) seqAt(at uint32) uint64 {
	mask := uint64(len(p.slots) - 1)
	return p.head + (uint64(at)-p.head)&mask
}

func (p *pending) name(s *slot) []byte { return p.view(s.at, int(s.nameLen)) }

// unwait takes the query out of the index; it is near the front of its chain.
func (p *pending) unwait(seq uint64, s *slot) {
	if !s.waiting {
		return
	}
	s.waiting = false
	at, _ := p.index.find(s.hash)
	first, last := p.seqAt(at), p.last[at]
	if first == seq {
		if s.next == 0 {
			p.index.remove(s.hash)
			return
		}
		to := uint32(s.next & uint64(len(p.slots)-1))
		p.last[to] = last
		p.index.put(s.hash, to)
		return
	}
	prev := first
	for p.slot(prev).next != seq {
		prev = p.slot(prev).next
	}
	p.slot(prev).next = s.next
	if last == seq {
		p.last[at] = prev
	}
}

// answer stores what a response told, read into q, and marks the slot done.
func (p *pending) answer(seq uint64, q *picket.Query) error {
	s := p.slot(seq)
	p.unwait(seq, s)
	r := &q.Response
	s.flags |= q.Flags & responseFlags
	s.rcode, s.answers, s.hasSOA = q.Rcode, r.Answers, r.HasSOA
	s.done = true
	n := 3 + len(r.Owner) + len(r.Authority)
	s.told = sightable(q, s.typ) && len(r.Message) <= maxMessage
	if s.told {
		// Under pressure queries that wait are worth more than what passive DNS gets.
		more := answersLen(r)
		if s.told = p.to-p.from+uint64(n+more) <= uint64(p.maxBytes)/2; s.told {
			n += more
		}
	}
	if r.Owner == nil && r.Authority == nil && len(r.Denials) == 0 && !s.told {
		return nil
	}
	for i := range r.Denials {
		n += 3 + len(r.Denials[i].Owner) + len(r.Denials[i].Next)
	}
	// Taking room may push the head out, and this slot with it: leave details then.
	at, err := p.take(n)
	if err != nil || !p.held(seq) {
		return err
	}
	b := p.view(at, n)
	b = putBytes(putBytes(b, r.Owner), r.Authority)
	b[0] = byte(len(r.Denials))
	b = b[1:]
	for i := range r.Denials {
		d := &r.Denials[i]
		b[0] = 0
		if d.NSEC3 {
			b[0] = 1
		}
		b = putBytes(putBytes(b[1:], d.Owner), d.Next)
	}
	if s.told {
		putAnswers(b, r)
	}
	s.resp, s.respLen = at, uint32(n)
	return nil
}

const responseFlags = picket.FlagResponse | picket.FlagAA | picket.FlagTC | picket.FlagReferral

// putBytes writes v, at most 255 bytes, with its length.
func putBytes(b, v []byte) []byte {
	b[0] = byte(len(v))
	return b[1+copy(b[1:], v):]
}

func getBytes(b []byte) (v, rest []byte) {
	n := 1 + int(b[0])
	if n == 1 {
		return nil, b[1:]
	}
	return b[1:n:n], b[n:]
}

// expire emits from the head what is answered or has waited until now.
func (p *pending) expire(now int64) error {
	for p.head != p.tail {
		if s := p.slot(p.head); !s.done && s.deadline > now {
			return nil
		}
		if err := p.release(); err != nil {
			return err
		}
	}
	return nil
}

// flush emits everything.
func (p *pending) flush() error {
	for p.head != p.tail {
		if err := p.release(); err != nil {
			return err
		}
	}
	return nil
}

// release emits the head.
func (p *pending) release() error {
	seq := p.head
	s := p.slot(seq)
	p.unwait(seq, s)
	p.fill(s)
	err := p.emit(&p.query, s)
	if err != nil {
		p.err = err
	}
	p.head++
	if p.head != p.tail {
		p.from = p.slot(p.head).at
	} else {
		p.from = p.to
	}
	return err
}

// fill makes p.query of a slot.
func (p *pending) fill(s *slot) {
	q := &p.query
	q.Time = s.time
	q.Client, q.Server = addressOf(s.ends.client, s.ends.v6), addressOf(s.ends.server, s.ends.v6)
	q.ClientPort, q.Transport = s.ends.clientPort, s.ends.transport
	q.Opcode, q.Type, q.Class, q.Rcode, q.EDNSSize, q.Flags = s.opcode, s.typ, s.class, s.rcode, s.edns, s.flags
	n := int(s.nameLen)
	q.Name = p.view(s.at, n)
	q.ClientSubnet = netip.Prefix{}
	if s.subnet {
		q.ClientSubnet = subnetOf(p.view(s.at+uint64(n), 18))
	}
	r := &q.Response
	r.Answers, r.HasSOA = s.answers, s.hasSOA
	r.Owner, r.Authority, r.Denials, r.Message, r.Told = nil, nil, nil, nil, nil
	if s.respLen == 0 {
		return
	}
	b := p.view(s.resp, int(s.respLen))
	r.Owner, b = getBytes(b)
	r.Authority, b = getBytes(b)
	count := int(b[0])
	b = b[1:]
	for i := range count {
		d := &p.den[i]
		d.NSEC3 = b[0] == 1
		d.Owner, b = getBytes(b[1:])
		d.Next, b = getBytes(b)
	}
	if count > 0 {
		r.Denials = p.den[:count]
	}
	if s.told {
		p.told = getAnswers(b, r, p.told)
	}
}

// view returns n bytes at a position; take never lets them wrap.
func (p *pending) view(at uint64, n int) []byte {
	i := int(at & uint64(len(p.bytes)-1))
	return p.bytes[i : i+n : i+n]
}

// take reserves n contiguous bytes, growing the ring or emptying its head.
func (p *pending) take(n int) (at uint64, err error) {
	for {
		size := uint64(len(p.bytes))
		at = p.to
		if rest := size - at&(size-1); rest < uint64(n) {
			at += rest // does not fit before the end: go round
		}
		if at+uint64(n)-p.from <= size {
			p.to = at + uint64(n)
			return at, nil
		}
		if len(p.bytes) < p.maxBytes {
			p.growBytes()
		} else if p.head == p.tail {
			p.from = p.to
		} else if err := p.release(); err != nil {
			return 0, err
		}
	}
}

// growBytes doubles the ring. Positions keep their meaning, and what did not
// wrap in the small ring does not in the large one.
func (p *pending) growBytes() {
	old := p.bytes
	p.bytes = make([]byte, 2*len(old))
	for at := p.from; at < p.to; {
		i := int(at & uint64(len(old)-1))
		n := min(len(old)-i, int(p.to-at))
		copy(p.view(at, n), old[i:i+n])
		at += uint64(n)
	}
}

// growSlots doubles the ring of slots and writes the index anew.
func (p *pending) growSlots() {
	old, oldLast := p.slots, p.last
	p.slots, p.last = make([]slot, 2*len(old)), make([]uint64, 2*len(old))
	oldMask, mask := uint64(len(old)-1), uint64(2*len(old)-1)
	for seq := p.head; seq != p.tail; seq++ {
		s := &old[seq&oldMask]
		p.slots[seq&mask] = *s
		if !s.waiting {
			continue
		}
		if at, ok := p.index.find(s.hash); ok && at == uint32(seq&oldMask) {
			p.last[seq&mask] = oldLast[at]
		}
	}
	firsts := newIndex(len(p.index.slots))
	for _, x := range p.index.slots {
		if x.ref != 0 {
			seq := p.head + (uint64(x.ref-1)-p.head)&oldMask
			firsts.put(x.hash, uint32(seq&mask))
		}
	}
	p.index = firsts
}
