package background

import "github.com/picket-dns/picket/internal/lab"

// tick is the unit in which expiries are kept, about 17 ms; they are rounded up, so
// that nothing is asked again before its time. 32 bits hold over two years.
const tickBits = 24

// ticksUp is the first tick at which what is cached until then has expired.
func ticksUp(since int64) uint32 { return uint32((since + 1<<tickBits - 1) >> tickBits) }

// pairTable remembers until when a resolver has a name cached, by slot. It is bounded:
// a pair has one of the four places of a cache line, and a newcomer takes that of the
// one that would go first.
type pairTable struct {
	lines [][4]pairEntry
	mask  uint64
}

type pairEntry struct {
	tag   uint32
	until [3]uint32
}

func newPairTable(entries int) pairTable {
	n := 1
	for 4*n < entries {
		n *= 2
	}
	return pairTable{make([][4]pairEntry, n), uint64(n - 1)}
}

// at returns the entry of a pair, fresh and empty when it was not there.
func (t *pairTable) at(resolver, item int32) (e *pairEntry, fresh bool) {
	h := mixed(uint64(uint32(resolver))<<32 | uint64(uint32(item)))
	line := &t.lines[h&t.mask]
	tag := uint32(h>>32) | 1
	first, at := ^uint32(0), 0
	for i := range line {
		if line[i].tag == tag {
			return &line[i], false
		}
		if last := max(line[i].until[0], line[i].until[1], line[i].until[2]); last < first {
			first, at = last, i
		}
	}
	line[at] = pairEntry{tag: tag}
	return &line[at], true
}

// keyTable is the same for what is known by a hash only.
type keyTable struct {
	entries []keyEntry
	mask    uint64
}

type keyEntry struct {
	key   uint64
	until int64
}

func newKeyTable(entries int) keyTable {
	n := 1
	for n < entries {
		n *= 2
	}
	return keyTable{make([]keyEntry, n), uint64(n - 1)}
}

func (t *keyTable) has(key uint64, now int64) bool {
	e := &t.entries[key&t.mask]
	return e.key == key && e.until > now
}

func (t *keyTable) put(key uint64, now int64, seconds uint32) {
	t.entries[key&t.mask] = keyEntry{key, now + int64(seconds)*lab.Second}
}

// mixed is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mix is a stream of numbers that a name is made from, so that a name can be made
// again from its seed instead of being kept.
type mix struct{ state uint64 }

func (m *mix) next() uint64 {
	m.state += 0x9e3779b97f4a7c15
	return mixed(m.state)
}

// below is a number from 0 to n-1.
func (m *mix) below(n int) int { return int(m.next() >> 33 % uint64(n)) }

// float is a number from 0 to 1.
func (m *mix) float() float64 { return float64(m.next()>>11) / (1 << 53) }
