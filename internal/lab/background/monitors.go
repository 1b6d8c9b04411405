package background

import (
	"cmp"
	"math"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// known are the names that the organisation's partners know: hosts that users ask
// for, the popular ones first.
func known(z *lab.Zone, most int) (names [][]byte) {
	var list []int
	for i := range z.Owners {
		o := &z.Owners[i]
		if o.Popularity > 0 && o.Name[1] != '*' && o.Name[1] != '_' && (o.Types.Has(lab.TypeA) || o.Types.Has(lab.TypeCNAME)) {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(z.Owners[b].Popularity, z.Owners[a].Popularity), cmp.Compare(a, b))
	})
	for _, i := range list[:min(most, len(list))] {
		names = append(names, z.Owners[i].Name)
	}
	return names
}

// newMonitors makes services that ask for a fixed list again and again, whatever the
// hour; the first one's list is sorted. Each takes at most a hundredth of the rate.
func newMonitors(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	var streams []lab.Stream
	sum := 0.0
	names := known(w.Zone, 400)
	for k := range int(math.Round(w.Params.Monitors)) {
		a := newAsker(w, lab.Rand(w.Seed, "background/monitor"+string(rune('a'+k))))
		list := spread(a, names, 8+a.rnd.IntN(32))
		if len(list) == 0 {
			return nil, 0
		}
		if k == 0 {
			slices.SortFunc(list, dnsname.Compare)
		}
		period := [...]int64{60, 300}[a.rnd.IntN(2)] * lab.Second
		probes := 1 + a.rnd.IntN(3)
		for float64(len(list)*probes)/(float64(period)*1e-9) > rate/100 {
			period *= 2
		}
		sum += float64(len(list)*probes) / (float64(period) * 1e-9)
		streams = append(streams, until(end, monitor(a, w.Begin+a.rnd.Int64N(period), k, list, period, probes)))
	}
	return merged(streams), sum
}

// monitor is the k-th service: every period each probe asks for the list, in its order,
// half a second between two names at most.
func monitor(a *asker, begin int64, k int, list [][]byte, period int64, probes int) lab.Stream {
	i, round := 0, int64(0)
	gap := min(period/int64(len(list)+1), lab.Second/2)
	return lab.PlanFrom(begin, func(out *lab.Outbox) (int64, bool) {
		at := begin + round*period + int64(i)*gap
		for p := range probes {
			c := client{addr: address(netMonitor, k, 1+p), flags: picket.FlagRD, server: 1 + p}
			a.direct(at+int64(p)*gap/8, c, list[i], lab.TypeA, out)
		}
		if i++; i == len(list) {
			i, round = 0, round+1
		}
		return begin + round*period + int64(i)*gap, true
	})
}

// newCrawlers makes search engines' crawlers: resolvers of their own, which want all
// that is on the web about equally, now and then.
func newCrawlers(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	names := known(w.Zone, 5000)
	n := int(math.Round(w.Params.Crawlers))
	if n == 0 || len(names) == 0 {
		return nil, 0
	}
	a := newAsker(w, lab.Rand(w.Seed, "background/crawlers"))
	resolvers, caches := make([]lab.Resolver, 4*n), make([]*lab.Cache, 4*n)
	for i := range resolvers {
		resolvers[i] = lab.Resolver{Addr: address(netCrawler, i/4, 1+i%4), Class: lab.ClassCloud, Validates: i/4%2 == 0, Minimise: i/4%3 == 0, EDNSSize: 1232,
			TCP: w.Params.TCP, Repeat: w.Params.Repeat, NegativeCap: uint32(w.Params.NegativeCap)}
		caches[i] = lab.NewCache(4096)
	}
	flat := flatHours()
	var y yield
	want := w.Params.CrawlerShare * float64(n) * rate
	at := flat.wait(a.rnd, w.Begin, end, want)
	return until(end, lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		if at == never {
			return at, false
		}
		before, i := out.Len(), a.rnd.IntN(len(resolvers))
		name := names[min(a.rnd.IntN(len(names)), a.rnd.IntN(len(names)))]
		done, _ := resolvers[i].Ask(at, w.Zone, caches[i], a.rnd, name, lab.TypeA, out)
		resolvers[i].Ask(done, w.Zone, caches[i], a.rnd, name, lab.TypeAAAA, out)
		y.done++
		y.passed += float64(out.Len() - before)
		at = flat.wait(a.rnd, at, end, y.rate(want))
		return at, at != never
	})), want
}
