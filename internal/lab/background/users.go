package background

import (
	"math/rand/v2"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// users is the main part: the questions of users that pass their resolvers' caches,
// and what they ask in vain.
type users struct {
	w          *lab.World
	c          *catalogue
	rnd        *rand.Rand
	begin, end int64
	ch         chances
	asks       float64 // clients' questions a second, at a factor of 1
	interest   hours   // factors of asks
	hot        *hotPairs
	cold       lab.Weighted // resolvers, by what of their interest is in no hot pair
	coldRate   float64
	coldNext   int64
	table      pairTable
	sending    events
	missing    *missing // nil: nothing is asked in vain
	now        event    // what is being sent
	q          picket.Query
	name       []byte
	silence    int64 // nanoseconds: longest time that anything is kept
}

// newUsers makes the part at so many queries a second, of which inVain are for names
// that do not exist.
func newUsers(w *lab.World, rate, inVain float64, end int64) (*users, error) {
	c, err := newCatalogue(w.Zone)
	if err != nil {
		return nil, err
	}
	u := &users{w: w, c: c, rnd: lab.Rand(w.Seed, "background/users"), begin: w.Begin, end: end, ch: newChances(&w.Params)}
	demand := newHours(w.Params.HourSwing, w.Params.WeekendDip)
	found := rate - inVain
	if u.asks, u.interest, err = newInterest(newPassing(c, w.Fleet, u.ch), found).swing(found, &demand); err != nil {
		return nil, err
	}
	u.hot = c.split(w.Fleet, u.asks)
	mass, total := make([]float64, len(w.Fleet.Resolvers)), 0.0
	ttl := 0.0
	for i := range mass {
		r := &w.Fleet.Resolvers[i]
		mass[i] = r.Clients * (1 - c.orderOf(r).sum[u.hot.count[i]])
		total += max(mass[i], 0)
	}
	for i := range c.items {
		u.silence = max(u.silence, int64(max(c.items[i].ttl, w.Zone.NegativeTTL))*lab.Second)
		ttl += c.items[i].share * float64(c.items[i].ttl)
	}
	u.cold, u.coldRate = lab.NewWeighted(mass), total*u.asks
	u.table = newPairTable(int(min(max(u.coldRate*ttl, 1<<14), 1<<21)))
	u.start()
	if inVain > 0 {
		u.missing = newMissing(w, c, inVain, &demand, end)
	}
	return u, nil
}

// start puts the hot pairs into the state in which they are found at any time: of what
// is cached, the rest of its time is anything up to all of it.
func (u *users) start() {
	u.coldNext = u.interest.wait(u.rnd, u.begin, u.end, u.coldRate)
	for i := range u.hot.pairs {
		p := &u.hot.pairs[i]
		it, r := &u.c.items[p.item], &u.w.Fleet.Resolvers[p.resolver]
		u.ch.asks(it.kind, func(qtype uint16, share float64) {
			t := float64(u.c.keeps(it, r, qtype))
			if l := float64(p.asks) * share; u.rnd.Float64() < l*t/(1+l*t) {
				p.until[slot(qtype)] = ticksUp(int64(u.rnd.Float64() * t * 1e9))
			}
		})
		if at := u.nextOf(p, u.begin); at != never {
			u.hot.push(due{at, int32(i)})
		}
	}
}

// nextOf draws when a client of a hot pair asks next, of those who could find
// something expired: not before the first of what is cached expires.
func (u *users) nextOf(p *pair, now int64) int64 {
	first := p.until[0]
	switch u.c.items[p.item].kind {
	case kindHost:
		first = min(first, p.until[1], p.until[2])
	case kindDual:
		first = min(first, p.until[1])
	case kindService:
		first = p.until[1]
	}
	return u.interest.wait(u.rnd, max(now, u.begin+int64(first)<<tickBits), u.end, float64(p.asks))
}

// Next implements lab.Stream.
func (u *users) Next() *picket.Query {
	for {
		at, from := u.coldNext, 0
		if len(u.hot.heap) > 0 && u.hot.heap[0].at < at {
			at, from = u.hot.heap[0].at, 1
		}
		if u.missing != nil && u.missing.next < at {
			at, from = u.missing.next, 2
		}
		if len(u.sending) > 0 && u.sending[0].at <= at {
			u.sending.pop(&u.now)
			if u.now.at >= u.end {
				return nil
			}
			if u.send(&u.now) {
				return &u.q
			}
			continue
		}
		if at >= u.end {
			return nil
		}
		switch from {
		case 0:
			u.coldClient(at)
			u.coldNext = u.interest.wait(u.rnd, at, u.end, u.coldRate)
		case 1:
			p := &u.hot.pairs[u.hot.heap[0].pair]
			u.client(at, p.resolver, p.item, &p.until, 0)
			u.hot.replace(u.nextOf(p, at))
		case 2:
			u.missing.client(u, at)
		}
	}
}

// coldClient is a client that asks for something its resolver is seldom asked for.
func (u *users) coldClient(at int64) {
	r := int32(u.cold.Pick(u.rnd))
	o := u.c.orderOf(&u.w.Fleet.Resolvers[r])
	from := o.sum[u.hot.count[r]]
	i := o.find(from + u.rnd.Float64()*(1-from))
	if u.c.items[i].share == 0 || o.rank[i] < u.hot.count[r] {
		return // rounding
	}
	e, fresh := u.table.at(r, i)
	asks := 0.0
	if fresh && at-u.begin < u.silence {
		asks = u.asks * u.w.Fleet.Resolvers[r].Clients * u.c.items[i].share
	}
	u.client(at, r, i, &e.until, asks)
}

// client is one client's question: what of it is not cached is sent. asks is not 0
// when nothing is known of the time before the traffic began, in which a resolver had
// clients, too.
func (u *users) client(at int64, r, i int32, until *[3]uint32, asks float64) {
	it, res := &u.c.items[i], &u.w.Fleet.Resolvers[r]
	var types [3]uint16
	n := 0
	if it.kind == kindService {
		types[0], n = lab.TypeSRV, 1
	} else {
		types[0], n = lab.TypeA, 1
		if it.kind != kindOne {
			x := u.rnd.Float64()
			if x < u.ch.aaaa {
				types[1], n = lab.TypeAAAA, 2
			}
			if x < u.ch.https && it.kind == kindHost {
				types[2], n = lab.TypeHTTPS, 3
			}
		}
	}
	tick := uint32((at - u.begin) >> tickBits)
	walked := !res.Minimise || it.parent < 0
	for _, t := range types[:n] {
		if tick < until[slot(t)] || asks > 0 && u.before(at, it, res, t, asks) {
			continue
		}
		if !walked {
			walked, at = true, u.walk(at, r, it.parent)
		}
		u.plan(event{at: at, resolver: r, item: i, qtype: t})
		until[slot(t)] = ticksUp(at - u.begin + int64(u.c.keeps(it, res, t))*lab.Second)
		at += 200e3 + int64(u.rnd.Uint32N(1<<19)) // a stub's next datagram
	}
}

// before reports whether an answer was cached before the traffic began and still is.
func (u *users) before(at int64, it *item, r *lab.Resolver, qtype uint16, asks float64) bool {
	switch qtype {
	case lab.TypeAAAA:
		asks *= u.ch.aaaa
	case lab.TypeHTTPS:
		asks *= u.ch.https
	}
	t, since := float64(u.c.keeps(it, r, qtype)), float64(at-u.begin)*1e-9
	if since >= t {
		return false
	}
	pass := asks / (1 + asks*t)
	return u.rnd.Float64() < pass*(t-since)/(1-pass*since)
}

// deepest bounds the labels that a minimising resolver goes down (RFC 9156 §2.3).
const deepest = 10

// walk asks for what lies between the apex and an item, label by label, as far as it
// is not cached, and returns when the item itself can be asked for.
func (u *users) walk(at int64, r, i int32) int64 {
	var down [deepest]int32
	n := 0
	for ; i >= 0 && n < deepest; i = u.c.items[i].parent {
		down[n] = i
		n++
	}
	res := &u.w.Fleet.Resolvers[r]
	o := u.c.orderOf(res)
	for n--; n >= 0; n-- {
		i = down[n]
		var until *[3]uint32
		if rank := o.rank[i]; rank < u.hot.count[r] {
			until = &u.hot.pairs[u.hot.first[r]+rank].until
		} else {
			e, _ := u.table.at(r, i)
			until = &e.until
		}
		if uint32((at-u.begin)>>tickBits) < until[0] {
			continue
		}
		u.plan(event{at: at, resolver: r, item: i, qtype: lab.TypeA})
		until[0] = ticksUp(at - u.begin + int64(u.c.keeps(&u.c.items[i], res, lab.TypeA))*lab.Second)
		at += u.roundTrip()
	}
	return at
}

// roundTrip is how long a resolver waits for an answer.
func (u *users) roundTrip() int64 { return 4e6 + int64(u.rnd.Uint32N(60e6)) }

// plan sends a query at its time, and again when its answer is lost.
func (u *users) plan(e event) {
	u.sending.push(e)
	if u.rnd.Float64() < u.w.Fleet.Resolvers[e.resolver].Repeat {
		e.at += 400e6 + int64(u.rnd.Uint32N(800e6))
		e.again = true
		u.sending.push(e)
	}
}

// send makes an event's query; false when the event is none.
func (u *users) send(e *event) bool {
	if e.kind == eventReplay {
		u.missing.ask(u, e.at, int32(u.w.Fleet.Pick(u.rnd)), e.missing, e.seed)
		return false
	}
	r, q := &u.w.Fleet.Resolvers[e.resolver], &u.q
	r.Stamp(u.rnd, q)
	q.Time, q.Type = e.at, e.qtype
	q.Server = u.w.Zone.Servers[u.rnd.IntN(len(u.w.Zone.Servers))]
	if e.kind == eventMissing {
		u.missing.send(q, e)
		return true
	}
	it := &u.c.items[e.item]
	u.c.respond(q, it)
	if it.cut && !r.Minimise {
		u.name = append(append(u.name[:0], "\x03www"...), it.name...) // what was wanted lies below
		q.Name = u.name
	}
	return true
}
