package background

import (
	"github.com/picket-dns/picket/internal/lab"
)

// newValidators makes the questions that validating resolvers ask beside those of their
// users in a signed zone: its keys, and whether the zones below are signed (RFC 4035).
func newValidators(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	want := min(w.Params.Validators*rate, capacity(w, 1))
	if w.Zone.Signing == lab.Unsigned || want <= 0 {
		return nil, 0
	}
	a := newAsker(w, lab.Rand(w.Seed, "background/validators"))
	var cuts [][]byte
	for i := range w.Zone.Owners {
		o := &w.Zone.Owners[i]
		if o.Types.Has(lab.TypeNS) && len(o.Name) > len(w.Zone.Apex) && len(cuts) < 4096 {
			cuts = append(cuts, o.Name)
		}
	}
	return byUsers(a, want, end, func(at int64, r int, out *lab.Outbox) {
		for range 20 { // most resolvers validate
			if a.w.Fleet.Resolvers[r].Validates {
				break
			}
			r = a.w.Fleet.Pick(a.rnd)
		}
		if !a.w.Fleet.Resolvers[r].Validates {
			return
		}
		if len(cuts) > 0 && a.rnd.IntN(3) == 0 {
			a.through(at, r, cuts[a.rnd.IntN(len(cuts))], lab.TypeDS, out)
			return
		}
		a.through(at, r, w.Zone.Apex, lab.TypeDNSKEY, out)
	}), want
}

// newSecondaries makes the secondaries of the zone, which are all of its servers but
// the first: they ask for the serial as the SOA says, and fetch what has changed
// (RFC 1995). They are listed, and sign.
func newSecondaries(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	if len(w.Zone.Servers) < 2 {
		return nil, 0
	}
	a := newAsker(w, lab.Rand(w.Seed, "background/secondaries"))
	const refresh = 1800 * lab.Second
	var streams []lab.Stream
	for _, addr := range w.Zone.Servers[1:] {
		at := w.Begin + a.rnd.Int64N(refresh)
		streams = append(streams, until(end, lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
			c := client{addr: addr, server: 1, exists: true}
			a.direct(at, c, w.Zone.Apex, lab.TypeSOA, out)
			if a.rnd.IntN(10) == 0 { // the serial had grown
				c.tcp, c.flags = true, tsig
				a.direct(at+20e6, c, w.Zone.Apex, lab.TypeIXFR, out)
			}
			at += refresh - refresh/10 + a.rnd.Int64N(refresh/10)
			return at, true
		})))
	}
	return merged(streams), float64(len(streams)) * 1.1 / 1700
}
