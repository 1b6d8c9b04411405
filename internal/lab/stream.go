package lab

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/picket-dns/picket"
)

// Stream yields queries in the order of their times: a background, one
// adversary, a capture that is replayed.
type Stream interface {
	// Next returns the next query, nil when there are no more. It is borrowed until
	// the next call.
	Next() *picket.Query
}

// StreamFunc lets a function be a Stream.
type StreamFunc func() *picket.Query

// Next calls f.
func (f StreamFunc) Next() *picket.Query { return f() }

// Merged is several streams as one, in the order of time; at the same time the
// stream that was named first comes first.
type Merged struct {
	streams []Stream
	heads   []*picket.Query // nil: at its end
	last    int             // whose head was returned, and has to be replaced; -1 at first
}

// Merge merges a few streams.
func Merge(streams ...Stream) *Merged {
	m := &Merged{streams: streams, heads: make([]*picket.Query, len(streams)), last: -1}
	for i, s := range streams {
		m.heads[i] = s.Next()
	}
	return m
}

// Next implements Stream.
func (m *Merged) Next() *picket.Query {
	if m.last >= 0 {
		m.heads[m.last] = m.streams[m.last].Next()
	}
	m.last = -1
	at := int64(math.MaxInt64)
	for i, q := range m.heads {
		if q != nil && (m.last < 0 || q.Time < at) {
			m.last, at = i, q.Time
		}
	}
	if m.last < 0 {
		return nil
	}
	return m.heads[m.last]
}

// From is the index of the stream that the last query came from.
func (m *Merged) From() int { return m.last }

// Rand returns the random numbers of one purpose: the same seed and purpose give
// the same numbers, whatever else is drawn elsewhere.
func Rand(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Second is a second of event time, in the nanoseconds that times are in.
const Second = int64(1e9)

// Exp draws the time to the next event of a process with so many events a second,
// in nanoseconds. A rate of 0 never comes.
func Exp(r *rand.Rand, rate float64) int64 {
	if rate <= 0 {
		return math.MaxInt64 / 4
	}
	return int64(min(r.ExpFloat64()/rate*1e9, math.MaxInt64/4))
}
