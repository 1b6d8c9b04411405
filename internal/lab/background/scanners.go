package background

import (
	"math"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

const tsig = picket.FlagTSIG

// networks are the /24 of the first n of a kind.
func networks(network int, n float64) (list []netip.Prefix) {
	for k := range int(math.Round(n)) {
		list = append(list, netip.PrefixFrom(address(network, k, 0), 24))
	}
	return list
}

// Own is where the organisation's own scanners ask from. There is one at least: the
// storms have it, too.
func (b *Background) Own() []netip.Prefix { return networks(netOwn, max(b.w.Params.Scanners, 1)) }

// Vendors is where attack-surface vendors ask from, which say who they are; one at least.
func (b *Background) Vendors() []netip.Prefix { return networks(netVendor, max(b.w.Params.Vendors, 1)) }

// Research is where survey projects ask from. That some of them ask for the server's
// version is part of the background, and true.
func (b *Background) Research() netip.Prefix { return netip.PrefixFrom(address(netResearch, 0, 0), 16) }

// newOwn makes scanners of the organisation, which ask for all its names once a day,
// or slower when that were more than a twentieth of the rate.
func newOwn(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	var streams []lab.Stream
	sum := 0.0
	for k := range int(math.Round(w.Params.Scanners)) {
		pace := min(float64(len(w.Zone.Owners))/86400, rate/20)
		sum += pace
		streams = append(streams, until(end, inventory(newAsker(w, lab.Rand(w.Seed, "background/own"+string(rune('a'+k)))), w.Begin, k, pace, 0)))
	}
	return merged(streams), sum
}

// inventory is a scanner that asks for all names of the zone in their order, at a pace
// a second; rounds 0 means for ever.
func inventory(a *asker, begin int64, k int, pace float64, rounds int) lab.Stream {
	z := a.w.Zone
	at, i := begin+lab.Exp(a.rnd, pace), 0
	c := client{addr: address(netOwn, k, 1), flags: picket.FlagEDNS}
	return lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		if o := &z.Owners[i]; o.Name[0] != 1 || o.Name[1] != '*' {
			a.direct(at, c, o.Name, lab.TypeA, out)
		}
		if i++; i == len(z.Owners) {
			if i = 0; rounds == 1 {
				return at, false
			}
			rounds--
		}
		at += int64((0.5 + a.rnd.Float64()) / pace * 1e9)
		return at, true
	})
}

// newVendors makes attack-surface vendors: in three days each verifies what passive DNS
// has, or slower when that were more than a hundredth of the rate.
func newVendors(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	var streams []lab.Stream
	sum := 0.0
	for k := range int(math.Round(w.Params.Vendors)) {
		a := newAsker(w, lab.Rand(w.Seed, "background/vendor"+string(rune('a'+k))))
		list := observed(a)
		if len(list) == 0 {
			continue
		}
		pace := min(float64(len(list))/(3*86400), rate/100)
		sum += pace
		streams = append(streams, until(end, vendor(a, w.Begin, k, list, pace, 0)))
	}
	return merged(streams), sum
}

// observed is what passive DNS has of the zone, in no order: most of what is asked for,
// what certificates show, and what was retired. Numbers from 0 are owners, those
// below are retired names.
func observed(a *asker) (list []int32) {
	z := a.w.Zone
	for i := range z.Owners {
		o := &z.Owners[i]
		if o.Name[1] != '*' && (o.Public || o.Popularity > 0 && a.rnd.Float64() < 0.7) {
			list = append(list, int32(i))
		}
	}
	for i := range z.Retired {
		list = append(list, -1-int32(i))
	}
	a.rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// listed is the name behind a number of observed.
func listed(z *lab.Zone, i int32) []byte {
	if i >= 0 {
		return z.Owners[i].Name
	}
	return z.Retired[-1-i].Name
}

// vendor asks for a list from four addresses; rounds 0 means for ever.
func vendor(a *asker, begin int64, k int, list []int32, pace float64, rounds int) lab.Stream {
	at, i := begin+lab.Exp(a.rnd, pace), 0
	return lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		c := client{addr: address(netVendor, k, 1+a.rnd.IntN(4)), flags: picket.FlagEDNS}
		name := listed(a.w.Zone, list[i])
		if a.direct(at, c, name, lab.TypeA, out) == picket.RcodeNoError && a.rnd.IntN(4) == 0 {
			a.direct(at+30e6, c, name, lab.TypeAAAA, out)
		}
		if i++; i == len(list) {
			if i = 0; rounds == 1 {
				return at, false
			}
			rounds--
		}
		at += lab.Exp(a.rnd, pace)
		return at, true
	})
}

// newResearch makes survey projects: each comes from an address of its own, asks one or
// two questions, and leaves.
func newResearch(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	if w.Params.Research <= 0 {
		return nil, 0
	}
	a := newAsker(w, lab.Rand(w.Seed, "background/research"))
	flat, often := flatHours(), w.Params.Research/86400
	at := flat.wait(a.rnd, w.Begin, end, often)
	version, www := []byte("\x07version\x04bind\x00"), w.Zone.Name("www")
	return until(end, lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		if at == never {
			return at, false
		}
		c := client{addr: address(netResearch, a.rnd.IntN(256), 1+a.rnd.IntN(254)), flags: picket.FlagRD}
		for q := range 1 + a.rnd.IntN(2) {
			t := at + int64(q)*800e6
			switch a.rnd.IntN(5) {
			case 0:
				ch := c
				ch.class = 3
				a.direct(t, ch, version, lab.TypeTXT, out)
			case 1:
				a.direct(t, c, w.Zone.Apex, lab.TypeANY, out)
			case 2:
				a.direct(t, c, w.Zone.Apex, lab.TypeNS, out)
			case 3:
				a.direct(t, c, w.Zone.Apex, lab.TypeA, out)
			default:
				a.direct(t, c, www, lab.TypeA, out)
			}
		}
		at = flat.wait(a.rnd, at, end, often)
		return at, at != never
	})), 1.5 * often
}
