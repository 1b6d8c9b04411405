package background

import (
	"fmt"
	"math"

	"github.com/picket-dns/picket/internal/lab"
)

// chances are the shares of clients that ask for each slot.
type chances struct{ aaaa, https float64 }

func newChances(p *lab.Parameters) chances { return chances{p.AAAA, p.AAAA * p.HTTPSRecord} }

// asks calls f with each type that is asked for of a kind, and its share of clients.
func (c chances) asks(k itemKind, f func(qtype uint16, share float64)) {
	switch k {
	case kindService:
		f(lab.TypeSRV, 1)
		return
	case kindHost:
		f(lab.TypeHTTPS, c.https)
		fallthrough
	case kindDual:
		f(lab.TypeAAAA, c.aaaa)
	}
	f(lab.TypeA, 1)
}

// interest says how many questions pass the caches when clients ask so many times a
// second. A resolver is silent about a name for the time it keeps it, then until the
// next client asks: of a pair that clients ask for λ times a second and that is kept
// for T, λ/(1+λT) pass. Pairs that are nearly alike are counted together.
type interest struct {
	asks, passes []float64 // clients' questions a second, and what passes; both grow
}

type alike struct {
	bin      int
	ttl      uint32
	kind     itemKind
	have     uint8
	minimise bool
}

// class is a number of items or resolvers that are alike, and their mean.
type class struct {
	n, mean float64
	item    item
	r       lab.Resolver
}

func bin(x, ratio float64) int { return int(math.Floor(math.Log(x) / math.Log(ratio))) }

// gather puts what is alike together, in the order in which each kind is met first.
type gather struct {
	place map[alike]int
	list  []class
}

func (g *gather) add(k alike, x float64, it item, r lab.Resolver) {
	if g.place == nil {
		g.place = map[alike]int{}
	}
	i, ok := g.place[k]
	if !ok {
		i = len(g.list)
		g.place[k] = i
		g.list = append(g.list, class{item: it, r: r})
	}
	c := &g.list[i]
	c.mean = (c.mean*c.n + x) / (c.n + 1)
	c.n++
}

// passing holds what the number that pass is computed from.
type passing struct {
	c                  *catalogue
	ch                 chances
	items, rs, between []class
	repeat             float64
}

func newPassing(c *catalogue, f *lab.Fleet, ch chances) *passing {
	var items, rs, between gather
	for i := range c.items {
		it := &c.items[i]
		if it.share > 0 {
			items.add(alike{bin: bin(it.share, 1.15), ttl: it.ttl, kind: it.kind, have: it.have}, it.share, *it, lab.Resolver{})
		}
	}
	p := &passing{c: c, ch: ch, items: items.list}
	for i := range f.Resolvers {
		r := f.Resolvers[i]
		if r.Clients > 0 {
			rs.add(alike{bin: bin(r.Clients, 1.15), ttl: r.TTLCap, minimise: r.Minimise}, r.Clients, item{}, r)
		}
		p.repeat += r.Repeat * r.Clients
	}
	p.rs = rs.list
	// What lies between: the interest in all below it, and how many those are.
	below, count := make([]float64, len(c.items)), make([]float64, len(c.items))
	for i := range c.items {
		if c.items[i].share <= 0 {
			continue
		}
		for up := c.items[i].parent; up >= 0; up = c.items[up].parent {
			below[up] += c.items[i].share
			count[up]++
		}
	}
	for i, b := range below {
		if b > 0 {
			it := c.items[i]
			it.share = count[i]
			between.add(alike{bin: bin(b, 1.15), ttl: uint32(bin(count[i], 1.5)), have: it.have & 1}, b, it, lab.Resolver{})
		}
	}
	p.between = between.list
	return p
}

// rate is how many a second pass when clients ask so many times a second.
func (p *passing) rate(asks float64) float64 {
	sum := 0.0
	for ri := range p.rs {
		r := &p.rs[ri]
		for ii := range p.items {
			it := &p.items[ii]
			l := asks * r.mean * it.mean
			one := 0.0
			p.ch.asks(it.item.kind, func(qtype uint16, share float64) {
				one += l * share / (1 + l*share*float64(p.c.keeps(&it.item, &r.r, qtype)))
			})
			sum += one * r.n * it.n
		}
		if !r.r.Minimise {
			continue
		}
		for bi := range p.between {
			b := &p.between[bi]
			each := asks * r.mean * b.mean / b.item.share // b.item.share is the number below
			// Somebody is led down again when the first of a name's types has expired.
			pass := b.item.share * each / (1 + each*float64(min(p.c.zone.TTL, p.c.zone.NegativeTTL)))
			sum += r.n * b.n * pass / (1 + pass*float64(p.c.keeps(&b.item, &r.r, lab.TypeA)))
		}
	}
	return sum * (1 + p.repeat)
}

// always is so many questions of clients a second that whatever expires is asked for.
const always = 1e15

// newInterest makes the table, from a tenth of a rate up.
func newInterest(p *passing, rate float64) *interest {
	in := &interest{}
	top := p.rate(always)
	for asks := rate / 10; ; asks *= 1.4 {
		pass := p.rate(asks)
		in.asks, in.passes = append(in.asks, asks), append(in.passes, pass)
		if pass > 0.98*top || pass > 20*rate {
			return in
		}
	}
}

// limit is the greatest rate that can pass.
func (in *interest) limit() float64 { return in.passes[len(in.passes)-1] }

// needed is how often clients must ask for a rate to pass.
func (in *interest) needed(rate float64) float64 {
	i := 1
	for i < len(in.passes)-1 && in.passes[i] < rate {
		i++
	}
	x := (math.Log(rate) - math.Log(in.passes[i-1])) / (math.Log(in.passes[i]) - math.Log(in.passes[i-1]))
	return math.Exp(math.Log(in.asks[i-1]) + min(x, 1)*(math.Log(in.asks[i])-math.Log(in.asks[i-1])))
}

// swing returns how often clients must ask on average, and the factors of that at
// which what passes follows the hours of demand.
func (in *interest) swing(rate float64, demand *hours) (asks float64, h hours, err error) {
	if rate > 0.9*in.limit() {
		return 0, h, fmt.Errorf("background: %.4g queries a second do not pass the resolvers' caches, at most %.4g do: take a larger zone, more resolvers or a lower rate", rate, 0.9*in.limit())
	}
	asks = in.needed(rate)
	for i, f := range demand {
		h[i] = in.needed(rate*f) / asks
	}
	return asks, h, nil
}
