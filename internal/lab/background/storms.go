package background

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Labels of storms.
const (
	LabelBenign      = "benign"
	LabelAttackOther = "attack-other" // an attack, but no reconnaissance
)

// Storm is something that happens once and looks like reconnaissance, but is none. A
// rule that raises it as reconnaissance is wrong.
type Storm struct {
	Name, Label string
	// New makes the storm, which begins at a time and ends by itself.
	New func(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream
}

// Storms lists all storms.
func Storms() []Storm {
	return []Storm{
		{"acme-storm", LabelBenign, acmeStorm},
		{"mail-blast", LabelBenign, mailBlast},
		{"attack-surface-vendor", LabelBenign, vendorStorm},
		{"zonemaster", LabelBenign, zoneCheck},
		{"directory-suffix-leak", LabelBenign, directoryLeak},
		{"replayed-old-names", LabelBenign, replayStorm},
		{"random-flood-few", LabelAttackOther, func(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream { return flood(w, begin, rnd, floodFew) }},
		{"random-flood-forged", LabelAttackOther, func(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream { return flood(w, begin, rnd, floodForged) }},
		{"random-flood-resolvers", LabelAttackOther, func(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
			return flood(w, begin, rnd, floodResolvers)
		}},
		{"sorted-monitor", LabelBenign, sortedMonitor},
		{"typo-deployment", LabelBenign, typoDeployment},
		{"owner-inventory", LabelBenign, ownerInventory},
	}
}

// times makes a stream of n things that are done so many a second.
func times(rnd *rand.Rand, begin int64, n int, rate float64, act func(at int64, i int, out *lab.Outbox)) lab.Stream {
	at, i := begin, 0
	return lab.PlanFrom(begin, func(out *lab.Outbox) (int64, bool) {
		if i < n {
			act(at, i, out)
		}
		i++
		at += lab.Exp(rnd, rate)
		return at, i < n
	})
}

// acmeStorm is a platform that renews the certificates of all its hosts, up to 400, in
// a quarter of an hour.
func acmeStorm(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	m := acmeOf(newAsker(w, rnd))
	hosts := slices.Clone(m.web)
	rnd.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	n := min(len(hosts), 400)
	return times(rnd, begin, n, float64(n)/900, func(at int64, i int, out *lab.Outbox) { m.validate(at, hosts[i], out) })
}

// mailBlast is a mailing to very many: 20,000 receivers check it within half an hour.
func mailBlast(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	m := mailOf(newAsker(w, rnd))
	return times(rnd, begin, 20_000, 20_000.0/1800, func(at int64, _ int, out *lab.Outbox) { m.check(at, w.Fleet.Pick(rnd), out) })
}

// mostNames bounds the lists of storms in large zones.
const mostNames = 5000

// vendorStorm is an attack-surface vendor that takes on the zone: all that passive DNS
// has of it, five names a second, from its own networks.
func vendorStorm(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	list := observed(a)
	return vendor(a, begin, 0, list[:min(len(list), mostNames)], 5, 1)
}

// zoneCheck is a test of the zone's delegation as registries and administrators run
// it: every server is asked over UDP and TCP for the records at the apex, for what it
// must refuse, a transfer included, and for a name that cannot exist.
func zoneCheck(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	c := client{addr: address(netTool, 0, 1)}
	type step struct {
		name  []byte
		qtype uint16
		flags picket.QueryFlags
		tcp   bool
	}
	apex := w.Zone.Apex
	signed := picket.FlagEDNS | picket.FlagDO
	m := mix{rnd.Uint64()}
	nowhere := append(appendText(appendLetters(nil, &m, 12), "zone-check"), apex...)
	other := []byte("\x04root\x07servers\x07example\x00")
	steps := []step{{apex, lab.TypeSOA, 0, false}, {apex, lab.TypeSOA, 0, true}, {apex, lab.TypeNS, 0, false}, {apex, lab.TypeNS, picket.FlagRD, false},
		{apex, lab.TypeSOA, picket.FlagEDNS, false}, {apex, lab.TypeSOA, picket.FlagEDNS | picket.FlagBadEDNS, false}, {apex, lab.TypeA, 0, false}, {apex, lab.TypeMX, 0, false},
		{apex, lab.TypeDNSKEY, signed, false}, {apex, lab.TypeDNSKEY, signed, true}, {apex, lab.TypeDS, signed, false}, {apex, lab.TypeNSEC3PARAM, signed, false},
		{apex, lab.TypeTXT, 0, false}, {apex, lab.TypeCNAME, 0, false}, {other, lab.TypeA, picket.FlagRD, false}, {nowhere, lab.TypeA, signed, false}, {apex, lab.TypeAXFR, 0, true}}
	for i := range w.Zone.Owners { // servers within the zone
		if o := &w.Zone.Owners[i]; o.Purpose == lab.PurposeServer && len(steps) < 25 {
			steps = append(steps, step{o.Name, lab.TypeA, 0, false}, step{o.Name, lab.TypeAAAA, 0, false})
		}
	}
	n := len(w.Zone.Servers)
	return times(rnd, begin, len(steps)*n, 12, func(at int64, i int, out *lab.Outbox) {
		s := steps[i/n]
		c.flags, c.tcp, c.server = s.flags, s.tcp, 1+i%n
		a.direct(at, c, s.name, s.qtype, out)
	})
}

// pickTail draws n resolvers of the long tail: companies.
func pickTail(w *lab.World, rnd *rand.Rand, n int) (list []int) {
	tail := w.Fleet.Operators[len(w.Fleet.Operators)-1]
	for range n {
		list = append(list, tail.First+rnd.IntN(tail.Count))
	}
	return list
}

// directoryLeak is a company whose computers have the zone in their search list by
// mistake: for two hours 300 of them look for their directory's servers and for
// hundreds of their hosts below it, through three resolvers.
func directoryLeak(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	rs := pickTail(w, rnd, 3)
	sites := [...]string{"hq", "berlin", "warehouse", "lab2"}
	services := [...]string{"_ldap", "_kerberos", "_gc"}
	var name []byte
	return times(rnd, begin, 12_000, 12_000.0/7200, func(at int64, _ int, out *lab.Outbox) {
		name = name[:0]
		qtype := uint16(lab.TypeA)
		switch rnd.IntN(4) {
		case 0:
			name = appendText(appendText(name, services[rnd.IntN(3)]), "_tcp")
			if rnd.IntN(2) == 0 {
				name = appendText(appendText(name, sites[rnd.IntN(len(sites))]), "_sites")
			}
			name = appendText(appendText(name, "dc"), "_msdcs")
			name = appendText(appendText(name, "partner"), "test")
			qtype = lab.TypeSRV
		case 1:
			m := mix{uint64(rnd.IntN(300))}
			name = appendText(appendText(appendHex(name, &m, 'p', 5), "partner"), "test")
		default:
			name = appendForeign(name, rnd.IntN(400))
		}
		name = append(name, w.Zone.Apex...)
		r := rs[rnd.IntN(3)]
		a.through(at, r, name, qtype, out)
		if qtype == lab.TypeA && rnd.IntN(2) == 0 {
			a.through(at+1e6, r, name, lab.TypeAAAA, out)
		}
	})
}

// replayStorm is somebody's log processing that resolves again, within an hour and
// through one public operator, what was asked months ago: mostly names that existed
// for one moment, a tenth retired names.
func replayStorm(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	op := w.Fleet.Operators[rnd.IntN(min(3, len(w.Fleet.Operators)))]
	seed := rnd.Uint64()
	var name []byte
	return times(rnd, begin, 4000, 4000.0/3600, func(at int64, i int, out *lab.Outbox) {
		name = name[:0]
		if len(w.Zone.Retired) > 0 && rnd.IntN(10) == 0 {
			name = append(name, w.Zone.Retired[rnd.IntN(len(w.Zone.Retired))].Name...)
		} else {
			m := mix{seed + uint64(i)}
			name = append(appendHex(name, &m, 'u', 15), w.Zone.Apex...)
		}
		a.through(at, op.First+rnd.IntN(op.Count), name, lab.TypeA, out)
	})
}

// sortedMonitor is a new monitoring service: 60 names in sorted order, every minute
// for two hours, from two addresses.
func sortedMonitor(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	list := known(w.Zone, 60)
	if len(list) == 0 {
		list = [][]byte{w.Zone.Apex}
	}
	slices.SortFunc(list, dnsname.Compare)
	return until(begin+2*hour, monitor(a, begin, 200, list, 60*lab.Second, 2))
}

// typoDeployment is a wrong name that was rolled out: for two hours what is deployed
// everywhere asks for it.
func typoDeployment(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	a := newAsker(w, rnd)
	right := append([]byte("\x03www"), w.Zone.Apex...)
	if list := known(w.Zone, 5); len(list) > 0 {
		right = list[rnd.IntN(len(list))]
	}
	wrong := right
	for m := (mix{rnd.Uint64()}); bytes.Equal(wrong, right) || w.Zone.Find(wrong) >= 0; {
		if len(right) == len(w.Zone.Apex) {
			right = append([]byte("\x03api"), w.Zone.Apex...)
		}
		wrong = appendTypo(nil, right, &m)
	}
	return times(rnd, begin, 40_000, 40_000.0/7200, func(at int64, _ int, out *lab.Outbox) {
		r := w.Fleet.Pick(rnd)
		a.through(at, r, wrong, lab.TypeA, out)
		a.through(at+1e6, r, wrong, lab.TypeAAAA, out)
	})
}

// ownerInventory is the organisation's own scanner that goes through all names at once,
// twenty a second, faster when that took longer than an hour.
func ownerInventory(w *lab.World, begin int64, rnd *rand.Rand) lab.Stream {
	return inventory(newAsker(w, rnd), begin, 0, max(20, float64(len(w.Zone.Owners))/3600), 1)
}
