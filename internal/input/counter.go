package input

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-dns/picket"
)

// maxReasons bounds the reasons that a Counter keeps apart, each of rejected and
// skipped; what comes after is counted under reasonOther.
const maxReasons = 64

const reasonOther = "other reasons"

// Counter is the Accounting of one input. It may be read while it is written,
// and does not allocate for a reason it has seen. Use NewCounter.
type Counter struct {
	accepted    atomic.Int64
	first, last atomic.Int64 // event times, Unix nanoseconds
	rejected    reasonSet
	skipped     reasonSet
}

// NewCounter returns a Counter that has seen nothing.
func NewCounter() *Counter {
	c := new(Counter)
	c.first.Store(math.MaxInt64)
	c.last.Store(math.MinInt64)
	return c
}

// Accept implements picket.Accounting. A record without time does not count for
// FirstSeen and LastSeen.
func (c *Counter) Accept(t int64) {
	c.accepted.Add(1)
	if t == 0 {
		return
	}
	for {
		v := c.first.Load()
		if t >= v || c.first.CompareAndSwap(v, t) {
			break
		}
	}
	for {
		v := c.last.Load()
		if t <= v || c.last.CompareAndSwap(v, t) {
			break
		}
	}
}

// Reject implements picket.Accounting.
func (c *Counter) Reject(reason string, at picket.Position) {
	at.Record = nil // borrowed
	c.rejected.add(reason, at)
}

// Skip implements picket.Accounting.
func (c *Counter) Skip(reason string) { c.skipped.add(reason, picket.Position{}) }

// ReasonCount says how often something happened, and where first.
type ReasonCount struct {
	Reason string
	Count  int64
	First  picket.Position // zero for skipped records
}

// Snapshot is what a Counter had counted at one time.
type Snapshot struct {
	Accepted          int64
	Rejected, Skipped []ReasonCount // in the order of first occurrence
	// FirstSeen and LastSeen are the least and greatest event times, zero when
	// nothing was accepted.
	FirstSeen, LastSeen time.Time
}

// Snapshot returns what has been counted so far.
func (c *Counter) Snapshot() Snapshot {
	s := Snapshot{Accepted: c.accepted.Load(), Rejected: c.rejected.list(), Skipped: c.skipped.list()}
	if first, last := c.first.Load(), c.last.Load(); first <= last {
		s.FirstSeen, s.LastSeen = time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
	}
	return s
}

// Total returns the sum of a list's counts.
func Total(list []ReasonCount) (n int64) {
	for _, r := range list {
		n += r.Count
	}
	return n
}

type reasonEntry struct {
	reason string
	at     picket.Position
	count  atomic.Int64
}

// reasonSet is a short list that grows at its end. Entries below n are complete
// and only their counts change, so that readers need no lock.
type reasonSet struct {
	n       atomic.Int32
	entries [maxReasons]reasonEntry
	grow    sync.Mutex // held to add an entry
}

func (s *reasonSet) add(reason string, at picket.Position) {
	if e := s.find(reason, int(s.n.Load())); e != nil {
		e.count.Add(1)
		return
	}
	s.grow.Lock()
	defer s.grow.Unlock()
	n := int(s.n.Load())
	e := s.find(reason, n)
	switch {
	case e != nil:
	case n == maxReasons:
		e = &s.entries[maxReasons-1]
	default:
		e = &s.entries[n]
		if e.reason, e.at = reason, at; n == maxReasons-1 {
			e.reason = reasonOther
		}
		s.n.Store(int32(n + 1))
	}
	e.count.Add(1)
}

func (s *reasonSet) find(reason string, n int) *reasonEntry {
	for i := range n {
		if s.entries[i].reason == reason {
			return &s.entries[i]
		}
	}
	return nil
}

func (s *reasonSet) list() []ReasonCount {
	n := int(s.n.Load())
	out := make([]ReasonCount, n)
	for i := range out {
		e := &s.entries[i]
		out[i] = ReasonCount{Reason: e.reason, Count: e.count.Load(), First: e.at}
	}
	return out
}
