package background

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Parts is a set of the parts that a background is made of.
type Parts uint16

// Parts of a background.
const (
	Users       Parts = 1 << iota // people's questions that pass the caches
	Missing                       // what is asked in vain, on top of those; needs Users
	Mail                          // MX, SPF, DMARC, DKIM, MTA-STS, TLSA
	Acme                          // certificate validations
	Monitors                      // fixed lists on a fixed period
	Crawlers                      // search engines
	Validators                    // DNSKEY and DS
	Own                           // the organisation's own scanners
	Vendors                       // attack-surface vendors
	Research                      // survey projects: a question or two each
	Secondaries                   // SOA and IXFR
	partsEnd
)

// All is every part.
const All = partsEnd - 1

// Options say how much is made.
type Options struct {
	// Rate is how many queries a second reach the servers on average over a week,
	// everything together; 0 means 100.
	Rate float64
	// Duration is for how long; 0 means a day.
	Duration time.Duration
	// Parts are what is made; 0 means All.
	Parts Parts
}

// part is one part of a background and how many queries a second it is meant to make.
type part struct {
	name   string
	stream lab.Stream
	rate   float64
}

// Background is everything that reaches the servers. It implements lab.Stream.
type Background struct {
	w       *lab.World
	users   *users // nil when that part is off
	names   []string
	others  *lab.Merged // of the parts beside users, which names names
	merged  *lab.Merged // of users and others
	total   float64     // queries so far
	other   float64     // of those, NXDOMAIN that users did not ask for
	vain    float64     // NXDOMAIN
	nx      float64     // share of NXDOMAIN that is wanted
	rate    float64
	reviews int
}

// New makes a background; the world's zone must be sealed. What cannot be made, more
// queries than pass the caches, is an error.
func New(w *lab.World, o Options) (*Background, error) {
	if o.Rate <= 0 {
		o.Rate = 100
	}
	if o.Duration <= 0 {
		o.Duration = 24 * time.Hour
	}
	if o.Parts == 0 {
		o.Parts = All
	}
	if len(w.Zone.Servers) == 0 || len(w.Fleet.Resolvers) == 0 {
		return nil, fmt.Errorf("background: the world has no servers or no resolvers")
	}
	end := w.Begin + int64(o.Duration)
	b := &Background{w: w, nx: w.Params.NX, rate: o.Rate}
	parts := others(w, o, end)
	rest := o.Rate
	for _, p := range parts {
		rest -= p.rate
	}
	if o.Parts&Users != 0 {
		rest = max(rest, o.Rate/4)
		vain := 0.0
		if o.Parts&Missing != 0 {
			vain = min(b.nx*o.Rate, rest/2)
		}
		var err error
		if b.users, err = newUsers(w, rest, vain, end); err != nil {
			return nil, err
		}
	}
	var streams []lab.Stream
	for _, p := range parts {
		streams, b.names = append(streams, p.stream), append(b.names, p.name)
	}
	// Users ask most: the others are compared among each other only when one of them asks.
	b.others = lab.Merge(streams...)
	if b.users == nil {
		b.merged = lab.Merge(b.others)
	} else {
		b.merged = lab.Merge(b.others, b.users)
	}
	return b, nil
}

// Limit is the greatest rate that a background of a world should have, in queries a
// second: half of what passes the caches when every resolver wants every name always.
// Above it traffic is one of expiring caches; New fails not far above.
func Limit(w *lab.World) (float64, error) {
	c, err := newCatalogue(w.Zone)
	if err != nil {
		return 0, err
	}
	return newPassing(c, w.Fleet, newChances(&w.Params)).rate(always) / 2, nil
}

// others makes the parts beside users.
func others(w *lab.World, o Options, end int64) (parts []part) {
	for _, m := range []struct {
		which Parts
		name  string
		make  func(w *lab.World, rate float64, end int64) (lab.Stream, float64)
	}{
		{Mail, "mail", newMail}, {Acme, "acme", newAcme}, {Monitors, "monitors", newMonitors}, {Crawlers, "crawlers", newCrawlers},
		{Validators, "validators", newValidators}, {Own, "own", newOwn}, {Vendors, "vendors", newVendors}, {Research, "research", newResearch},
		{Secondaries, "secondaries", newSecondaries},
	} {
		if o.Parts&m.which == 0 {
			continue
		}
		if s, rate := m.make(w, o.Rate, end); s != nil {
			parts = append(parts, part{m.name, s, rate})
		}
	}
	return parts
}

// Next implements lab.Stream.
func (b *Background) Next() *picket.Query {
	q := b.merged.Next()
	if q == nil {
		return nil
	}
	b.total++
	if q.Rcode == picket.RcodeNXDomain {
		b.vain++
		if b.merged.From() == 0 {
			b.other++
		}
	}
	if b.reviews++; b.reviews >= reviewEvery {
		b.reviews = 0
		b.review()
	}
	return q
}

// reviewEvery is after how many queries it is looked at what is asked in vain.
const reviewEvery = 2048

// review lets users ask so much in vain that all parts together have the wanted share.
func (b *Background) review() {
	if b.users == nil || b.users.missing == nil {
		return
	}
	want := (b.nx - b.other/b.total) * b.rate
	if b.total > 4*reviewEvery {
		want *= min(max(b.nx*b.total/max(b.vain, 1), 0.7), 1.4)
	}
	b.users.missing.rate = max(want, 0.1*b.nx*b.rate)
}

// From names the part that the last query came from.
func (b *Background) From() string {
	switch b.merged.From() {
	case 0:
		return b.names[b.others.From()]
	case 1:
		return "users"
	}
	return ""
}

// Warm reports whether a resolver has the answer about the owner at a place cached
// because its other clients asked: with the probability λT/(1+λT) of a pair whose
// clients ask λ times a second and that is kept for T. It may be called from several
// goroutines, each with random numbers of its own.
func (b *Background) Warm(r *lab.Resolver, owner int, qtype uint16, rnd *rand.Rand) bool {
	if b.users == nil {
		return false
	}
	i := b.users.c.byOwner[owner]
	if i < 0 {
		return false
	}
	it := &b.users.c.items[i]
	warm := 0.0
	b.users.ch.asks(it.kind, func(t uint16, share float64) {
		if t == qtype {
			l := b.users.asks * r.Clients * it.share * share * float64(b.users.c.keeps(it, r, t))
			warm = l / (1 + l)
		}
	})
	return warm > 0 && rnd.Float64() < warm
}
