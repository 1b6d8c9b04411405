package query

import (
	"bytes"
	"hash/maphash"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	// heldMost is how many queries wait for the lines that complete them. A
	// resolver's reply comes after those to the queries asked meanwhile.
	heldMost = 1024
	// heldRing also keeps queries that have been passed on, so that a late line is
	// not taken for another query.
	heldRing = 2 * heldMost
	// heldWait is how long, in event time, a query is held unless configured.
	heldWait = 2 * decode.NsPerSecond
)

// sawAll marks a query that no more lines are awaited for.
const sawAll uint8 = 1 << 7

type heldQuery struct {
	q   picket.Query
	aux uint32 // what else identifies the query, as the format likes
	saw uint8  // the lines it has been seen in, and sawAll
}

// heldQueries keeps queries in the order of their lines until later lines have
// completed them, or for a time. Those for which hashes of type and name are
// congruent form a chain, youngest first; links are positions plus 1.
type heldQueries struct {
	slots      []heldQuery // grows up to heldRing
	first      [heldRing]uint64
	older      [heldRing]uint64
	head, tail uint64 // of the queries held; slots before head keep what was passed on
	wait       int64
	again      uint8 // a query seen in such a line is found even when sawAll is set
	seed       maphash.Seed
	acct       picket.Accounting
	sink       picket.QuerySink
}

func newHeldQueries(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) heldQueries {
	h := heldQueries{wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(), acct: acct, sink: sink}
	if h.wait <= 0 {
		h.wait = heldWait
	}
	return h
}

func (h *heldQueries) chain(q *picket.Query) *uint64 {
	return &h.first[(maphash.Bytes(h.seed, q.Name)+uint64(q.Type))%heldRing]
}

// add holds a copy of q.
func (h *heldQueries) add(q *picket.Query, saw uint8) (*heldQuery, error) {
	if err := h.release(h.ripe(q.Time)); err != nil {
		return nil, err
	}
	if h.tail < heldRing {
		h.slots = append(h.slots, heldQuery{})
	}
	s := &h.slots[h.tail%heldRing]
	name := append(s.q.Name[:0], q.Name...)
	s.q, s.aux, s.saw = *q, 0, saw
	s.q.Name = name
	first := h.chain(q)
	h.older[h.tail%heldRing] = *first
	h.tail++
	*first = h.tail
	return s, nil
}

// each calls f for the queries of probe's type and name that have been seen in no
// line of absent, the youngest first, until it returns false. late holds for those
// passed on.
func (h *heldQueries) each(probe *picket.Query, absent uint8, f func(s *heldQuery, late bool) bool) {
	from := uint64(0)
	if h.tail > heldRing {
		from = h.tail - heldRing
	}
	for link := h.chain(probe); *link > from; {
		i := *link - 1
		s, older := &h.slots[i%heldRing], &h.older[i%heldRing]
		if s.saw&(sawAll|h.again) == sawAll {
			*link = *older // never to be found again
			continue
		}
		if s.saw&absent == 0 && s.q.Type == probe.Type && bytes.Equal(s.q.Name, probe.Name) && !f(s, i < h.head) {
			return
		}
		link = older
	}
}

// find returns the query of probe's client, type and name that has been seen in
// no line of absent and in all of present: the oldest one held, or else the last
// one passed on, for which late holds. Ports are compared where both are known.
func (h *heldQueries) find(probe *picket.Query, absent, present uint8) (found *heldQuery, late bool) {
	h.each(probe, absent, func(s *heldQuery, passed bool) bool {
		if passed && found != nil {
			return false
		}
		if s.saw&present == present && s.fits(probe) {
			found, late = s, passed
		}
		return !late
	})
	return found, late
}

func (s *heldQuery) fits(probe *picket.Query) bool {
	q := &s.q
	return q.Client == probe.Client && (q.ClientPort == probe.ClientPort || q.ClientPort == 0 || probe.ClientPort == 0)
}

// findAux is find for lines that do not tell the client, among the queries held.
func (h *heldQueries) findAux(probe *picket.Query, aux uint32) (found *heldQuery) {
	h.each(probe, sawAll, func(s *heldQuery, late bool) bool {
		if s.aux == aux && !late {
			found = s
		}
		return !late
	})
	return found
}

// ripe returns up to where the held queries go out when one at time t follows.
func (h *heldQueries) ripe(t int64) uint64 {
	to := h.head
	if h.tail-h.head >= heldMost {
		to = h.head + 1
	}
	for to < h.tail && h.slots[to%heldRing].q.Time < t-h.wait {
		to++
	}
	return to
}

// settle passes on the queries at the head that nothing more is awaited for.
func (h *heldQueries) settle() error {
	to := h.head
	for to < h.tail && h.slots[to%heldRing].saw&sawAll != 0 {
		to++
	}
	return h.release(to)
}

// release passes on the held queries before to.
func (h *heldQueries) release(to uint64) error {
	for ; h.head < to; h.head++ {
		q := &h.slots[h.head%heldRing].q
		h.acct.Accept(q.Time)
		if err := h.sink.Query(q); err != nil {
			h.head++
			return err
		}
	}
	return nil
}

func (h *heldQueries) held() bool   { return h.head < h.tail }
func (h *heldQueries) flush() error { return h.release(h.tail) }
