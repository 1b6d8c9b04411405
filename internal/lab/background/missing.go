package background

import (
	"math"
	"math/rand/v2"
	"sort"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// missingKind is why a name that does not exist is asked for.
type missingKind uint8

const (
	missTypo missingKind = iota
	missSuffix
	missProbe
	missDiscovery
	missRetired
	missOneTime
	missKinds
)

// missing is what users, and what runs on their behalf, ask in vain. A resolver keeps
// negative answers, stops at the first name that does not exist on its way down, or
// finds in a proof it has that there is nothing: how much of each kind reaches the
// servers is counted, and so many clients ask that the kinds keep their shares.
type missing struct {
	w       *lab.World
	rnd     *rand.Rand
	demand  hours
	next    int64
	end     int64
	rate    float64 // queries a second that are wanted, at a factor of 1
	share   [missKinds]float64
	drawn   [missKinds]float64 // clients' questions
	sent    [missKinds]float64 // queries that were answered NXDOMAIN
	chance  [missKinds]float64 // of each kind among the questions to draw, summed up
	events  float64            // questions a second, at a factor of 1
	count   int
	begun   int64
	found   [][]byte // discovery names that the zone does not have
	retired [][]byte
	old     []float64 // their popularity, summed up
	order   *order
	items   []item
	known   keyTable
	hasher  dnsname.Hasher
	sfx     dnsname.Suffixes
	apex    int // labels
	buf     []byte
	out     []byte
	probe   picket.Query
}

func newMissing(w *lab.World, c *catalogue, rate float64, demand *hours, end int64) *missing {
	p := &w.Params
	m := &missing{w: w, rnd: lab.Rand(w.Seed, "background/missing"), demand: *demand, end: end, rate: rate, order: &c.orders[0], items: c.items,
		known: newKeyTable(int(min(max(8*rate*float64(w.Zone.NegativeTTL), 1<<14), 1<<19))), hasher: dnsname.Hasher{Seed: w.Seed}, apex: dnsname.Labels(w.Zone.Apex), begun: w.Begin}
	m.share = [missKinds]float64{missTypo: p.Typos, missSuffix: p.SearchSuffix, missProbe: p.BrowserProbes, missDiscovery: p.Discovery,
		missRetired: p.Replays / 2, missOneTime: p.Replays / 2}
	for _, name := range discovery {
		if n := w.Zone.Name(name); w.Zone.Find(n) < 0 {
			m.found = append(m.found, n)
		}
	}
	sum := 0.0
	for i := range w.Zone.Retired {
		o := &w.Zone.Retired[i]
		m.retired = append(m.retired, o.Name)
		sum += max(o.Popularity, 0) + 1e-3/float64(i+1)
		m.old = append(m.old, sum)
	}
	if len(m.retired) == 0 {
		m.share[missRetired], m.share[missOneTime] = 0, p.Replays
	}
	all := 0.0
	for _, s := range m.share {
		all += s
	}
	for k := range m.share {
		m.share[k] /= all
		m.drawn[k], m.sent[k] = 20, 30 // about what a cluster of A and AAAA gives
	}
	m.adjust()
	m.next = m.demand.wait(m.rnd, w.Begin, end, m.events)
	return m
}

// adjust sets how often each kind is drawn so that what reaches the servers has its share.
func (m *missing) adjust() {
	m.events = 0
	for k := range m.share {
		m.events += m.rate * m.share[k] / max(m.sent[k]/m.drawn[k], 0.02)
		m.chance[k] = m.events
		if m.drawn[k] > 1500 {
			m.drawn[k], m.sent[k] = m.drawn[k]/2, m.sent[k]/2
		}
	}
	for k := range m.chance {
		m.chance[k] /= m.events
	}
}

// client is one client that asks for something that does not exist.
func (m *missing) client(u *users, at int64) {
	if m.count++; m.count%256 == 0 {
		m.adjust()
	}
	m.next = m.demand.wait(m.rnd, at, m.end, m.events)
	x, kind := m.rnd.Float64(), missingKind(0)
	for kind < missKinds-1 && x >= m.chance[kind] {
		kind++
	}
	r := int32(m.w.Fleet.Pick(m.rnd))
	m.drawn[kind]++
	seed := m.rnd.Uint64()
	m.ask(u, at, r, kind, seed)
	switch kind {
	case missProbe: // three at once
		m.ask(u, at+1e6, r, kind, seed+1)
		m.ask(u, at+2e6, r, kind, seed+2)
	case missOneTime:
		if m.rnd.Float64() < m.w.Params.OneTimeTwice {
			u.sending.push(event{at: at + lab.Exp(m.rnd, 1.0/3600), seed: seed, kind: eventReplay, missing: kind})
		}
	}
}

// name appends the name that a seed stands for.
func (m *missing) name(dst []byte, kind missingKind, seed uint64) []byte {
	x := mix{seed}
	switch kind {
	case missTypo:
		return appendTypo(dst, m.mistyped(&x), &x)
	case missSuffix:
		dst = appendForeign(dst, int(math.Pow(foreign, x.float())))
	case missProbe:
		dst = appendLetters(dst, &x, 7+x.below(9))
	case missDiscovery:
		if len(m.found) > 0 {
			return append(dst, m.found[min(x.below(len(m.found)), x.below(len(m.found)))]...)
		}
		dst = appendText(dst, "wpad")
	case missRetired:
		y := x.float() * m.old[len(m.old)-1]
		return append(dst, m.retired[min(sort.SearchFloat64s(m.old, y), len(m.old)-1)]...)
	case missOneTime:
		dst = appendHex(dst, &x, 'u', 15)
	}
	return append(dst, m.w.Zone.Apex...)
}

// mistyped draws the name that somebody wanted to type.
func (m *missing) mistyped(x *mix) []byte {
	for range 8 {
		it := &m.items[m.order.find(x.float())]
		if len(it.name) > len(m.w.Zone.Apex) && it.kind != kindService && len(it.name) < 200 {
			return it.name
		}
	}
	return append(appendText(make([]byte, 0, dnsname.MaxLen), "www"), m.w.Zone.Apex...)
}

const (
	asMissing  = 0xfff0 // in the place of a QTYPE: nothing there at all
	asInterval = 0xfff1 // nothing between two names
)

func key(r int32, name uint64, qtype uint16) uint64 {
	return mixed(name ^ uint64(uint32(r))<<16 ^ uint64(qtype))
}

// ask is one client's question for a name: what its resolver does not know is sent.
func (m *missing) ask(u *users, at int64, r int32, kind missingKind, seed uint64) {
	m.buf = m.name(m.buf[:0], kind, seed)
	name := m.buf
	if len(name) > dnsname.MaxLen {
		return
	}
	m.hasher.Sum(name, &m.sfx)
	depth := m.sfx.N - m.apex
	for up := range depth {
		if m.known.has(key(r, m.sfx.Hash[up], asMissing), at) { // RFC 8020
			return
		}
	}
	res := &m.w.Fleet.Resolvers[r]
	wise := res.Aggressive && m.w.Zone.Signing == lab.NSEC
	qtype := uint16(lab.TypeA)
	if kind == missDiscovery && name[1] == '_' {
		qtype = lab.TypeSRV
	}
	up := 0
	if res.Minimise {
		up = max(min(depth, deepest)-1, 0)
	}
	for ; ; up-- {
		t := qtype
		if up > 0 {
			if t = lab.TypeA; m.known.has(key(r, m.sfx.Hash[up], t), at) {
				continue
			}
		}
		m.probe.Name, m.probe.Type, m.probe.Class, m.probe.Flags = name[m.sfx.At[up]:], t, 1, 0
		if wise {
			m.probe.Flags = picket.FlagDO
		}
		m.w.Zone.Respond(&m.probe)
		nx := m.probe.Rcode == picket.RcodeNXDomain
		if nx && wise && m.denied(r, at) {
			return
		}
		e := event{at: at, seed: seed, resolver: r, qtype: t, kind: eventMissing, missing: kind, up: uint8(up)}
		u.plan(e)
		if up == 0 && t == lab.TypeA && m.rnd.Float64() < m.w.Params.AAAA {
			e.at, e.qtype = at+200e3+int64(m.rnd.Uint32N(1<<19)), lab.TypeAAAA
			u.plan(e)
		}
		m.keep(r, at, m.sfx.Hash[up], t, nx, wise, negative(m.w.Zone, res))
		if up == 0 || nx && !res.Relaxed || m.probe.Has(picket.FlagReferral) {
			return
		}
		at += u.roundTrip()
	}
}

// keep remembers what the response in probe says.
func (m *missing) keep(r int32, at int64, name uint64, qtype uint16, nx, wise bool, seconds uint32) {
	if !nx {
		m.known.put(key(r, name, qtype), at, seconds)
		return
	}
	m.known.put(key(r, name, asMissing), at, seconds)
	if wise {
		for i := range m.probe.Response.Denials {
			m.known.put(key(r, m.hasher.Name(m.probe.Response.Denials[i].Owner), asInterval), at, seconds)
		}
	}
}

// denied reports whether a resolver has all records that prove what probe was told
// (RFC 8198).
func (m *missing) denied(r int32, at int64) bool {
	for i := range m.probe.Response.Denials {
		if !m.known.has(key(r, m.hasher.Name(m.probe.Response.Denials[i].Owner), asInterval), at) {
			return false
		}
	}
	return len(m.probe.Response.Denials) > 0
}

// send fills in the name of a query and its response.
func (m *missing) send(q *picket.Query, e *event) {
	m.out = m.name(m.out[:0], e.missing, e.seed)
	q.Name = m.out
	for range e.up {
		q.Name = q.Name[1+int(q.Name[0]):]
	}
	m.w.Zone.Respond(q)
	if q.Rcode == picket.RcodeNXDomain {
		m.sent[e.missing]++
	}
}
