package adversary_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
)

// TestRates: the rate that is wanted is the rate that comes, down to a question an
// hour, and gaps vary by the jitter.
func TestRates(t *testing.T) {
	for _, rate := range []float64{10, 1.0 / 60, 1.0 / 3600} {
		for _, name := range []string{"fierce", "nmap dns-brute", "massdns", "theHarvester"} {
			tool := find(t, name)
			w, o := fits(t, &tool, lab.Direct("one", 1))
			o.Rate, o.Jitter, o.Most, o.Reverse = rate, 0.3, 400, nil
			tool.Stages = tool.Stages[len(tool.Stages)-1:] // lists, for the count
			tool.Stages[0].Lost = 0
			all := lab.Collect(start(t, w, tool, o))
			low, high := int64(math.MaxInt64), int64(0)
			for i := range all[1:] {
				gap := all[i+1].Time - all[i].Time
				low, high = min(low, gap), max(high, gap)
			}
			span := float64(all[len(all)-1].Time-all[0].Time) / 1e9
			if got := float64(len(all)-1) / span; math.Abs(got/rate-1) > 0.05 {
				t.Errorf("%s at %g a second asks %g a second", name, rate, got)
			}
			if mean := 1e9 / rate; float64(low) < 0.69*mean || float64(high) > 1.31*mean+float64(lab.Second) {
				t.Errorf("%s at %g a second: gaps of %d to %d ns", name, rate, low, high)
			}
		}
	}
}

// TestOnePacePerMachine: without a rate a tool is as fast as its round trips and its
// workers let it be, and one machine sends no more than about 20,000 a second.
func TestOnePacePerMachine(t *testing.T) {
	for name, want := range map[string][2]float64{"massdns": {8_000, 25_000}, "gobuster": {500, 2_000}, "fierce": {20, 100}} {
		tool := find(t, name) // with a list that is long beside what is asked before it
		w, o := fits(t, &tool, lab.Direct("one", 1))
		o.Reverse, o.List, o.Most = nil, adversary.KnowsLarge, 60_000
		s := adversary.ShapeOf(start(t, w, tool, o))
		if rate := float64(s.Queries) / float64(s.Span) * 1e9; rate < want[0] || rate > want[1] {
			t.Errorf("%s asks %.0f a second, want %g to %g", name, rate, want[0], want[1])
		}
	}
}

// TestSources: a list is spread over all sources there are, 1 to 10,000.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		tool          string
		direct, least int
	}{{"fierce", 1, 1}, {"fierce", 100, 100}, {"gobuster", 1000, 1000}, {"massdns", 1000, 980}, {"gobuster", 10_000, 4990}} {
		tool := find(t, c.tool)
		w, o := fits(t, &tool, lab.Direct("many", c.direct))
		sources := map[netip.Addr]int{}
		r := start(t, w, tool, o)
		for q := r.Next(); q != nil; q = r.Next() {
			sources[q.Client]++
		}
		if len(sources) < c.least || r.Sources() != c.direct {
			t.Errorf("%s from %d sources: %d seen", c.tool, c.direct, len(sources))
		}
	}
}

// TestThroughResolvers: the resolver's habits show, not the tool's; what it has cached
// is not asked; classes and transfers that it does not pass on do not arrive.
func TestThroughResolvers(t *testing.T) {
	w := world(t, lab.NSEC)
	plain := lab.Resolver{Addr: netip.MustParseAddr("10.1.1.1"), EDNSSize: 1232, Validates: true}
	aggressive := plain
	aggressive.Aggressive = true
	counts := map[string]int{}
	for name, r := range map[string]lab.Resolver{"plain": plain, "aggressive": aggressive} {
		path := &lab.Path{Resolvers: []*lab.Resolver{&r}}
		run := start(t, w, find(t, "dnsrecon brt"), adversary.Options{Path: path, Begin: begin, Seed: 1})
		for q := run.Next(); q != nil; q = run.Next() {
			counts[name]++
			if q.Client != r.Addr || q.Has(picket.FlagRD) || !q.Has(picket.FlagDO) {
				t.Fatalf("%+v", q)
			}
		}
		if run.Names() < 1900 {
			t.Errorf("%d names asked", run.Names())
		}
	}
	// A resolver that answers AAAA from a cached NXDOMAIN halves what arrives; one that
	// answers from denials leaves little.
	if p, a := counts["plain"], counts["aggressive"]; p < 1900 || p > 2100 || a > 700 {
		t.Errorf("%v of 3,820 questions arrive", counts)
	}
	std := start(t, w, find(t, "dnsrecon std"), adversary.Options{Path: &lab.Path{Resolvers: []*lab.Resolver{&plain}}, Begin: begin})
	for q := std.Next(); q != nil; q = std.Next() {
		if q.Class != 1 || q.Rcode == picket.RcodeRefused {
			t.Errorf("%s arrives", text(q))
		}
	}
}

// TestTruthGrows: what is disclosed at a time is what had been answered by then.
func TestTruthGrows(t *testing.T) {
	tool := find(t, "fierce")
	w, o := fits(t, &tool, lab.Direct("one", 1))
	o.Reverse = nil
	r := start(t, w, tool, o)
	hits := map[string]bool{}
	var at []int64
	for q := r.Next(); q != nil; q = r.Next() {
		if q.Rcode == picket.RcodeNoError && w.Zone.Find(q.Name) > 0 && !hits[string(q.Name)] {
			hits[string(q.Name)] = true
			at = append(at, q.Time)
		}
	}
	if len(at) < 10 || r.Disclosed(wholeRun) != len(at) {
		t.Fatalf("%d names answered, %d disclosed", len(at), r.Disclosed(wholeRun))
	}
	for i, time := range at {
		if n := r.Disclosed(time); n != i {
			t.Errorf("at the question for hit %d, %d are known", i, n)
		}
	}
	if r.ListLength() != 1594 || r.Tool().Name != "fierce" {
		t.Errorf("a list of %d", r.ListLength())
	}
	if half := r.Asked(at[len(at)/2]); half < 100 || half > 1594 {
		t.Errorf("%d names asked at the middle hit", half)
	}
}

// TestShapes holds the table's wording.
func TestShapes(t *testing.T) {
	i := 0
	names := []string{"\x01a\x00", "\x01b\x00", "\x01c\x00", "\x01b\x00"}
	s := adversary.ShapeOf(lab.StreamFunc(func() *picket.Query {
		if i == len(names) {
			return nil
		}
		i++
		return &picket.Query{Time: int64(i) * lab.Second, Name: []byte(names[i-1]), Type: lab.TypeA, Class: 1, Rcode: picket.Rcode(3 * (i % 2)), Flags: picket.FlagRD}
	}))
	if s.Queries != 4 || s.Names != 3 || s.Ordered != 1 || s.NX != 0.5 || s.RD != 1 || s.Sources != 1 || s.Span != 3*lab.Second || math.Abs(float64(s.Gap)/1e9-1) > 0.1 {
		t.Errorf("%+v", s)
	}
	if s.Mix() != "A 100" {
		t.Errorf("mix %q", s.Mix())
	}
	if fmt.Sprint(s.Share(lab.TypeA), s.Share(lab.TypeMX)) != "1 0" {
		t.Error("shares")
	}
}

func BenchmarkRun(b *testing.B) {
	w := world(b, lab.Unsigned)
	tool, _ := adversary.Find("gobuster")
	b.ReportAllocs()
	var r *adversary.Run
	for b.Loop() {
		if r == nil || r.Next() == nil {
			b.StopTimer()
			var err error
			if r, err = adversary.New(w, tool, adversary.Options{Path: lab.Direct("one", 1), Begin: begin}); err != nil {
				b.Fatal(err)
			}
			r.Next()
			b.StartTimer()
		}
	}
}
