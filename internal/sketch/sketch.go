// Package sketch holds small fixed-size summaries of streams: membership
// filters, distinct counters and sequential tests. It knows nothing of DNS. All
// types work as zero values, never allocate and never grow, so that whoever
// chooses the input cannot choose the memory.
package sketch

import (
	"math"
	"math/bits"
)

// bloomBlocks is the number of 512-bit blocks of a Bloom, a power of two.
const bloomBlocks = 16

// Bloom is a blocked Bloom filter (Putze, Sanders and Singler 2007) of 8,192 bits
// with three probes in one cache line: about 2 % false positives at 800 members
// and 6 % at 1,200. It rotates: once Full members were added it starts anew, so a
// source that lives for ever is remembered for its last Full members at the most.
type Bloom struct {
	bits  [bloomBlocks][8]uint64
	count uint32
}

// Full is the number of members after which a Bloom starts anew.
const Full = 1200

// Add records the member with hash h and reports whether it was new. A new
// member is taken for a known one with the false-positive rate above.
func (b *Bloom) Add(h uint64) bool {
	block := &b.bits[h&(bloomBlocks-1)]
	i, j, k := h>>4&511, h>>13&511, h>>22&511
	mi, mj, mk := uint64(1)<<(i&63), uint64(1)<<(j&63), uint64(1)<<(k&63)
	if block[i>>6]&mi != 0 && block[j>>6]&mj != 0 && block[k>>6]&mk != 0 {
		return false
	}
	if b.count >= Full {
		*b = Bloom{}
	}
	block[i>>6] |= mi
	block[j>>6] |= mj
	block[k>>6] |= mk
	b.count++
	return true
}

// Reset empties the filter.
func (b *Bloom) Reset() { *b = Bloom{} }

// Linear is a linear counter (Whang et al. 1990) of 1,024 bits: the number of
// distinct members, within about 5 % up to 1,500 and saturating near 7,000.
type Linear struct{ bits [16]uint64 }

// Add records the member with hash h and reports whether its bit was new.
func (l *Linear) Add(h uint64) bool {
	i := h >> 54
	m := uint64(1) << (i & 63)
	if l.bits[i>>6]&m != 0 {
		return false
	}
	l.bits[i>>6] |= m
	return true
}

// Merge adds all members of o.
func (l *Linear) Merge(o *Linear) {
	for i := range l.bits {
		l.bits[i] |= o.bits[i]
	}
}

// Count estimates the number of distinct members.
func (l *Linear) Count() float64 {
	ones := 0
	for _, w := range l.bits {
		ones += bits.OnesCount64(w)
	}
	if ones >= 1024 {
		ones = 1023
	}
	return -1024 * math.Log(1-float64(ones)/1024)
}

// Reset empties the counter.
func (l *Linear) Reset() { *l = Linear{} }

// Recent remembers the last sixteen hashes added.
type Recent struct {
	h [16]uint32
	n uint8
}

// Add records h and reports whether it was among the last sixteen.
func (r *Recent) Add(h uint64) bool {
	v := uint32(h>>32) | 1
	for _, o := range r.h {
		if o == v {
			return true
		}
	}
	r.h[r.n&15] = v
	r.n++
	return false
}

// Sequential is a one-sided sequential probability ratio test (Wald 1945) that
// starts anew at its floor, as in Page's CUSUM: evidence for the alternative adds
// log-likelihood ratios, evidence against it subtracts them, and credit is
// bounded so that a long good history does not buy silence.
type Sequential struct {
	Sum float64 // current log-likelihood ratio
	Max float64 // greatest since the last reset
}

// Step adds llr, holding the sum at or above floor (a number ≤ 0), and reports
// whether the sum left zero from below or at it: the start of a new run.
func (s *Sequential) Step(llr, floor float64) (left bool) {
	before := s.Sum
	s.Sum = max(s.Sum+llr, floor)
	s.Max = max(s.Max, s.Sum)
	return before <= 0 && s.Sum > 0
}

// SignTest returns the z score of k successes in n fair trials.
func SignTest(k, n int) float64 {
	if n == 0 {
		return 0
	}
	return (float64(k) - float64(n)/2) / math.Sqrt(float64(n)/4)
}

// AscentZ returns the z score of a ascents among n values in random order: the
// number of ascents has mean (n-1)/2 and variance (n+1)/12 (Eulerian numbers).
func AscentZ(ascents, n int) float64 {
	if n < 2 {
		return 0
	}
	return (float64(ascents) - float64(n-1)/2) / math.Sqrt(float64(n+1)/12)
}
