package adversary_test

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
)

// evade collects an evader's questions from direct sources.
func evade(t *testing.T, name string, sources int) (all []picket.Query, w *lab.World) {
	t.Helper()
	tool := find(t, name)
	w, o := fits(t, &tool, lab.Direct("sources", sources))
	return lab.Collect(start(t, w, tool, o)), w
}

// busiest is the most that any source has of what counts within a window of time.
func busiest(all []picket.Query, bits int, window int64, counts func(q *picket.Query) bool) int {
	times := map[netip.Prefix][]int64{}
	most := 0
	for i := range all {
		q := &all[i]
		if !counts(q) {
			continue
		}
		p, _ := q.Client.Prefix(min(bits, q.Client.BitLen()))
		list := append(times[p], q.Time)
		for list[0] <= q.Time-window {
			list = list[1:]
		}
		times[p] = list
		most = max(most, len(list))
	}
	return most
}

func missing(q *picket.Query) bool { return q.Rcode == picket.RcodeNXDomain }
func anything(*picket.Query) bool  { return true }

// TestEvadersStayBelow holds what each says that it avoids, in the terms of Picket's
// detectors.
func TestEvadersStayBelow(t *testing.T) {
	const hour, day = 3600 * lab.Second, 86400 * lab.Second
	t.Run("below thresholds", func(t *testing.T) {
		all, _ := evade(t, "below thresholds", 40)
		if n := busiest(all, 128, 3*hour, anything); n != 18 {
			t.Errorf("a source asks %d names in three hours, want 6 and twice as many that exist", n)
		}
	})
	t.Run("fresh /64", func(t *testing.T) {
		all, _ := evade(t, "fresh /64", 1)
		sites := map[netip.Prefix]bool{}
		for i := range all {
			p, _ := all[i].Client.Prefix(48)
			sites[p] = true
		}
		if n := busiest(all, 64, math.MaxInt64/2, anything); n != 5 || len(sites) != 1 || len(all) != 1500 {
			t.Errorf("%d names from one /64, %d sites, %d questions; want 5, 1, 1500", n, len(sites), len(all))
		}
	})
	t.Run("even spread", func(t *testing.T) {
		all, _ := evade(t, "even spread", 100)
		if n := busiest(all, 128, math.MaxInt64/2, anything); n > 35 {
			t.Errorf("one of 100 sources asks %d of %d", n, len(all))
		}
	})
	t.Run("among known-good", func(t *testing.T) {
		all, w := evade(t, "among known-good", 1)
		for i := range all[:len(all)-4] {
			if i%4 == 0 && (w.Zone.Find(all[i].Name) < 0 || w.Zone.Find(all[i+1].Name) < 0 || w.Zone.Find(all[i+2].Name) < 0) {
				t.Fatalf("question %d comes without three names that exist before it", i+3)
			}
		}
	})
	t.Run("forged", func(t *testing.T) {
		for name, each := range map[string]int{"forged decoys": 4, "behind a flood": 10} {
			all, _ := evade(t, name, 4)
			own, sources := 0, map[netip.Addr]bool{}
			for i := range all {
				sources[all[i].Client] = true
				if b := all[i].Client.As4(); b[1] == 240 {
					own++
				} else if all[i].Transport != picket.TransportUDP {
					t.Fatalf("a forged question over %s", all[i].Transport)
				}
			}
			if own != 1500 || len(all) != 1500*(1+each) || len(sources) < 2500 {
				t.Errorf("%s: %d of %d questions are its own, from %d sources", name, own, len(all), len(sources))
			}
		}
	})
	t.Run("framed resolvers", func(t *testing.T) {
		all, w := evade(t, "framed resolvers", 4)
		framed := map[netip.Addr]int{}
		for i := range all {
			if j := slices.IndexFunc(w.Fleet.Resolvers, func(r lab.Resolver) bool { return r.Addr == all[i].Client }); j >= 0 {
				framed[all[i].Client]++
			}
			if all[i].Has(picket.FlagRD) || !all[i].Has(picket.FlagDO) {
				t.Fatal("does not ask as a resolver does")
			}
		}
		least := len(all)
		for _, n := range framed {
			least = min(least, n)
		}
		if len(framed) != 6 || least < 900 {
			t.Errorf("%d resolvers framed with %d questions or more", len(framed), least)
		}
	})
	t.Run("sorted blocks", func(t *testing.T) {
		all, _ := evade(t, "sorted blocks", 1)
		ascents := 0
		for i := range all[1:] {
			if bytes.Compare(dnsname.First(all[i].Name), dnsname.First(all[i+1].Name)) < 0 {
				ascents++
			}
		}
		if share := float64(ascents) / float64(len(all)-1); share > 0.6 {
			t.Errorf("%.2f of the names are in order", share)
		}
	})
	t.Run("chameleon", func(t *testing.T) {
		all, _ := evade(t, "chameleon", 1)
		types, short, long := map[uint16]bool{}, 0, 0
		for i := range all[1:] {
			types[all[i].Type] = true
			switch gap := all[i+1].Time - all[i].Time; {
			case gap < 2*lab.Second:
				short++
			case gap > 30*lab.Second:
				long++
			}
		}
		if len(types) != 5 || short < 150 || long < 50 {
			t.Errorf("%d types; of %d gaps %d are short and %d long", len(types), len(all), short, long)
		}
	})
	t.Run("slow poison", func(t *testing.T) {
		all, _ := evade(t, "slow poison", 8)
		early, late, n := 0, 0, 0
		for i := range all {
			switch at := all[i].Time - begin; {
			case at < day && missing(&all[i]):
				early++
			case at > 6*day && at < 7*day:
				if n++; missing(&all[i]) {
					late++
				}
			}
		}
		if first := all[len(all)-1500].Time - begin; first < 7*day || early > 200 || n < 1700 || late < n/2 {
			t.Errorf("the list begins after %d h; %d misses on the first day, %d of %d on the seventh", first/hour, early, late, n)
		}
	})
	t.Run("old names among leaks", func(t *testing.T) {
		all, w := evade(t, "old names among leaks", 1)
		leaks, gone := 0, 0
		for i := range all {
			if dnsname.Labels(all[i].Name) == 5 && missing(&all[i]) {
				leaks++
			}
			if missing(&all[i]) && slices.ContainsFunc(w.Zone.Retired, func(o lab.Owner) bool { return bytes.Equal(o.Name, all[i].Name) }) {
				gone++
			}
		}
		if leaks < 2*len(all)/3-20 || gone != len(w.Zone.Retired) {
			t.Errorf("%d leaks and %d retired names in %d questions", leaks, gone, len(all))
		}
	})
	t.Run("old names, a few a day", func(t *testing.T) {
		all, _ := evade(t, "old names, a few a day", 10)
		if n := busiest(all, 128, day, anything); n != 7 {
			t.Errorf("a source asks %d names in a day, want 7", n)
		}
	})
	t.Run("slow survey", func(t *testing.T) {
		all, _ := evade(t, "slow survey", 1)
		if n := busiest(all, 128, 60*lab.Second, anything); n != 1 || len(all) != 9 {
			t.Errorf("%d kinds in a minute, %d in all", n, len(all))
		}
	})
	t.Run("slow services", func(t *testing.T) {
		all, _ := evade(t, "slow services", 1)
		if n := busiest(all, 128, 600*lab.Second, func(q *picket.Query) bool { return q.Type == lab.TypeSRV }); n > 11 || len(all) < 72 {
			t.Errorf("%d services in ten minutes, %d in all", n, len(all))
		}
	})
	t.Run("scattered sweep", func(t *testing.T) {
		all, _ := evade(t, "scattered sweep", 1)
		if n := busiest(all, 128, hour, anything); n > 31 || len(all) != 256 {
			t.Errorf("%d addresses in an hour, %d in all", n, len(all))
		}
	})
	t.Run("walk by ordinary children", func(t *testing.T) {
		tool := find(t, "walk by ordinary children")
		w, o := fits(t, &tool, lab.Direct("one", 1))
		known, n := 0, 0
		r := start(t, w, tool, o)
		for q := r.Next(); q != nil; q = r.Next() {
			n++
			if first := dnsname.First(q.Name); len(first) == 1 || strings.HasSuffix(string(first), "-") {
				known++
			}
		}
		if known > n/5 || r.Disclosed(wholeRun) < len(w.Zone.Owners)-1 {
			t.Errorf("%d of %d questions have a form that is known; %d names learned", known, n, r.Disclosed(wholeRun))
		}
	})
}

// TestPoisonKeepsTheRate: the days before the list are no longer at a low rate, and
// have fewer questions.
func TestPoisonKeepsTheRate(t *testing.T) {
	tool := find(t, "slow poison")
	w, o := fits(t, &tool, lab.Direct("eight", 8))
	o.Rate = 0.01
	s := adversary.ShapeOf(start(t, w, tool, o))
	if span := s.Span / lab.Second; s.Queries < 1500+2500 || s.Queries > 1500+3500 || span < 7*86400+140_000 || span > 7*86400+160_000 {
		t.Errorf("%d questions in %d s", s.Queries, span)
	}
}

// TestWhatEvasionCosts prints what evaders pay, each with what it needs: one source,
// or 64 where it spreads. It holds that evasion is not free.
func TestWhatEvasionCosts(t *testing.T) {
	var b strings.Builder
	for _, tool := range adversary.Evaders() {
		sources := 1
		for _, s := range tool.Stages {
			if s.Rest.Per > 0 || tool.Habits.Spread == adversary.SpreadRandom {
				sources = 64
			}
		}
		w := captureWorld(t, "muni-d.example", tool.Needs.Signing)
		v, err := adversary.ReverseZone(netip.MustParsePrefix("198.18.64.0/24"), 131, w.Zone, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, w, tool, adversary.Options{Path: lab.Direct("sources", sources), Begin: begin, Reverse: v, Seed: 1})
		for q := r.Next(); q != nil; q = r.Next() {
			continue
		}
		questions, cover, span := r.Cost()
		if span < 100*lab.Second {
			t.Errorf("%s takes %d s", tool.Name, span/lab.Second)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %.1f h | %d |\n", tool.Name, tool.Says, tool.Evades, r.Sources(), questions, cover, float64(span)/3600e9, r.Disclosed(wholeRun))
	}
	table := "| evader | what it does | what it avoids | sources | questions | cover | time | names learned |\n|---|---|---|---|---|---|---|---|\n" + b.String()
	t.Log("\n" + table)
	checkDoc(t, "evaders", table)
}
