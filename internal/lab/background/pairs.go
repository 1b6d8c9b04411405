package background

import (
	"math"

	"github.com/picket-dns/picket/internal/lab"
)

// mostHot bounds the pairs that have an event of their own.
const mostHot = 200_000

// pair is a resolver and a name it is asked for so often that it asks again soon after
// what it keeps has expired: drawing clients' questions would mostly draw what is
// cached, so the next question that passes is drawn instead.
type pair struct {
	until    [3]uint32 // ticks since the beginning, by slot
	resolver int32
	item     int32
	asks     float32 // clients' questions a second, at a factor of 1
}

// due is when a pair's next client asks.
type due struct {
	at   int64
	pair int32
}

// hotPairs are all hot pairs, those of a resolver side by side in the order of its
// items, and a heap of when they are due.
type hotPairs struct {
	pairs []pair
	first []int32 // of each resolver
	count []int32
	heap  []due
}

// split decides what is hot: pairs whose clients ask more than once while the answer
// is kept, fewer when those would be too many.
func (c *catalogue) split(f *lab.Fleet, asks float64) *hotPairs {
	h := &hotPairs{first: make([]int32, len(f.Resolvers)), count: make([]int32, len(f.Resolvers))}
	for limit := 1.0; ; limit *= 1.5 {
		total := 0
		for i := range f.Resolvers {
			r := &f.Resolvers[i]
			n := 0
			if r.Clients > 0 {
				n = c.orderOf(r).hot(limit / (asks * r.Clients))
			}
			h.first[i], h.count[i] = int32(min(total, math.MaxInt32)), int32(n)
			total += n
		}
		if total <= mostHot {
			h.pairs = make([]pair, 0, total)
			break
		}
	}
	for i := range f.Resolvers {
		o := c.orderOf(&f.Resolvers[i])
		for _, it := range o.items[:h.count[i]] {
			h.pairs = append(h.pairs, pair{resolver: int32(i), item: it, asks: float32(asks * f.Resolvers[i].Clients * c.items[it].share)})
		}
	}
	return h
}

func (c *catalogue) orderOf(r *lab.Resolver) *order {
	if r.TTLCap > 0 && r.TTLCap <= capped {
		return &c.orders[1]
	}
	return &c.orders[0]
}

// push adds an event.
func (h *hotPairs) push(d due) {
	h.heap = append(h.heap, d)
	for i := len(h.heap) - 1; i > 0; {
		up := (i - 1) / 4
		if h.heap[up].at <= d.at {
			return
		}
		h.heap[i], h.heap[up] = h.heap[up], d
		i = up
	}
}

// replace puts the first event's pair to a later time; never takes it out.
func (h *hotPairs) replace(at int64) {
	d := due{at, h.heap[0].pair}
	if at == never {
		last := len(h.heap) - 1
		d = h.heap[last]
		h.heap = h.heap[:last]
		if last == 0 {
			return
		}
	}
	heap := h.heap
	for i := 0; ; {
		kid := 4*i + 1
		if kid >= len(heap) {
			heap[i] = d
			return
		}
		least := kid
		for k := kid + 1; k < min(kid+4, len(heap)); k++ {
			if heap[k].at < heap[least].at {
				least = k
			}
		}
		if heap[least].at >= d.at {
			heap[i] = d
			return
		}
		heap[i] = heap[least]
		i = least
	}
}

// event is a query that is decided on. Its name is that of an item, or made again
// from seed.
type event struct {
	at       int64
	seed     uint64
	resolver int32
	item     int32
	qtype    uint16
	kind     eventKind
	missing  missingKind
	up       uint8 // labels of the made name that are left out
	again    bool  // sent a second time, because an answer was lost
}

type eventKind uint8

const (
	eventItem    eventKind = iota // ask for an item
	eventMissing                  // ask for a name made from seed
	eventReplay                   // no query: somebody asks a one-time name a second time
)

// events is a heap of what is to be sent in the next moments.
type events []event

func (h *events) push(e event) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= e.at {
			return
		}
		s[i], s[up] = s[up], e
		i = up
	}
}

func (h *events) pop(to *event) {
	s := *h
	last := len(s) - 1
	*to = s[0]
	e := s[last]
	s = s[:last]
	*h = s
	if last == 0 {
		return
	}
	for i := 0; ; {
		kid := 2*i + 1
		if kid+1 < last && s[kid+1].at < s[kid].at {
			kid++
		}
		if kid >= last || s[kid].at >= e.at {
			s[i] = e
			return
		}
		s[i] = s[kid]
		i = kid
	}
}
