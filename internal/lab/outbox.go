package lab

import (
	"slices"

	"github.com/picket-dns/picket"
)

// Outbox holds queries that have been decided on and are still to come, in the
// order of their times. It owns what it holds, and reuses it.
type Outbox struct {
	pending outHeap
	free    []*picket.Query
	seq     uint64
	lent    *picket.Query
}

// outHeap is a binary heap. It is not container/heap, which would allocate for each
// query that goes in or out.
type outHeap []outgoing

type outgoing struct {
	q   *picket.Query
	seq uint64 // keeps the order of what is due at the same time
}

func (h outHeap) less(i, j int) bool {
	if h[i].q.Time != h[j].q.Time {
		return h[i].q.Time < h[j].q.Time
	}
	return h[i].seq < h[j].seq
}

func (h *outHeap) push(x outgoing) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *outHeap) pop() outgoing {
	s := *h
	last := len(s) - 1
	top := s[0]
	s[0], s[last] = s[last], outgoing{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := 2*i + 1
		if least >= last {
			return top
		}
		if least+1 < last && s.less(least+1, least) {
			least++
		}
		if !s.less(least, i) {
			return top
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// Add keeps a copy of q until it is due.
func (b *Outbox) Add(q *picket.Query) {
	var c *picket.Query
	if n := len(b.free); n > 0 {
		c, b.free = b.free[n-1], b.free[:n-1]
	} else {
		c = &picket.Query{}
	}
	name, denials := c.Name, c.Response.Denials
	*c = *q
	c.Name = append(name[:0], q.Name...)
	c.Response.Denials = append(denials[:0], q.Response.Denials...)
	b.seq++
	b.pending.push(outgoing{c, b.seq})
}

// Due is when the next query is due, ok false when none waits.
func (b *Outbox) Due() (at int64, ok bool) {
	if len(b.pending) == 0 {
		return 0, false
	}
	return b.pending[0].q.Time, true
}

// Len is how many queries wait.
func (b *Outbox) Len() int { return len(b.pending) }

// Next takes out the query that is due first, nil when none waits. It is borrowed
// until the next call.
func (b *Outbox) Next() *picket.Query {
	if b.lent != nil {
		b.free, b.lent = append(b.free, b.lent), nil
	}
	if len(b.pending) == 0 {
		return nil
	}
	b.lent = b.pending.pop().q
	return b.lent
}

// Planned is a Stream of what is decided step by step: Step adds the questions of
// the next thing that happens to the outbox and returns when the one after it
// happens, ok false when that was the last. Steps must not add what is due before
// the time they were announced for.
type Planned struct {
	Step func(out *Outbox) (next int64, ok bool)
	Out  Outbox
	next int64
	over bool
}

// PlanFrom returns a Planned whose first step happens at a time.
func PlanFrom(start int64, step func(out *Outbox) (next int64, ok bool)) *Planned {
	return &Planned{Step: step, next: start}
}

// Next implements Stream.
func (p *Planned) Next() *picket.Query {
	for !p.over {
		if at, ok := p.Out.Due(); ok && at <= p.next {
			break
		}
		next, more := p.Step(&p.Out)
		p.next, p.over = max(next, p.next), !more
	}
	return p.Out.Next()
}

// Collect keeps copies of all queries of a stream, for tests and small captures.
func Collect(s Stream) (list []picket.Query) {
	for q := s.Next(); q != nil; q = s.Next() {
		c := *q
		c.Name = slices.Clone(q.Name)
		c.Response.Denials = slices.Clone(q.Response.Denials)
		list = append(list, c)
	}
	return list
}
