package coverage

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC)
}

func queries(n float64) map[string]float64 { return map[string]float64{"example.com.": n} }

func report(t *testing.T, w *world, from time.Time, change ...func(*Options)) *picket.CoverageReport {
	t.Helper()
	r, err := w.reporter(change...).Coverage(t.Context(), picket.CoverageFilter{From: from})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkProblems compares all but the sentences, which must be there.
func checkProblems(t *testing.T, r *picket.CoverageReport, want ...picket.CoverageProblem) {
	t.Helper()
	var got []picket.CoverageProblem
	for _, p := range r.Problems {
		if p.Text == "" {
			t.Errorf("no sentence: %+v", p)
		}
		p.Text = ""
		got = append(got, p)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("problems:")
		for _, p := range r.Problems {
			t.Errorf("   got %+v", p)
		}
		for _, p := range want {
			t.Errorf("  want %+v", p)
		}
	}
}

// TestCoverageScenario: three name servers, one stops, one was never configured,
// one has a gap of ten minutes yesterday, one feed has no response codes, one
// clock is 90 s off. The report says exactly that.
func TestCoverageScenario(t *testing.T) {
	w := newWorld(1, 5,
		feed{input: "ns1 log", server: "ns1.example.com.", addr: "192.0.2.1", zones: queries(30), skew: 90 * time.Second, stops: at(20, 15, 0)},
		feed{input: "ns2 log", server: "ns2.example.com.", addr: "192.0.2.2", zones: queries(20), bare: true, gaps: [][2]time.Time{{at(19, 2, 10), at(19, 2, 20)}}},
	).zone("example.com.", "ns1.example.com.", "ns2.example.com.", "ns3.example.com.")
	r := report(t, w, at(18, 18, 0))
	checkProblems(t, r,
		picket.CoverageProblem{Code: "feed-silent", Zone: "example.com.", Server: "ns1.example.com.", Input: "ns1 log", From: at(20, 15, 0), To: at(20, 18, 0)},
		picket.CoverageProblem{Code: "never-configured", Zone: "example.com.", Server: "ns3.example.com."},
		picket.CoverageProblem{Code: "gap", Zone: "example.com.", Server: "ns2.example.com.", Input: "ns2 log", From: at(19, 2, 10), To: at(19, 2, 20)},
		picket.CoverageProblem{Code: "field-missing", Server: "ns2.example.com.", Input: "ns2 log"},
		picket.CoverageProblem{Code: "clock-skew", Server: "ns1.example.com.", Input: "ns1 log"},
	)
	const statement = "Watched: 2 of 3 name servers of example.com. in part without response codes; ns1.example.com. silent since 2026-03-20 15:00; " +
		"ns3.example.com. sends nothing (never configured); gap 2026-03-19 02:10-02:20 at ns2.example.com.; clock of input ns1 log is off."
	if r.Statement != statement {
		t.Errorf("statement\n got %s\nwant %s", r.Statement, statement)
	}
	states := map[string]string{}
	for _, c := range r.Cells {
		states[c.Server+" "+string(c.Kind)] = fmt.Sprintf("%s, %s, %d gaps, %v", c.State, c.Silence, len(c.Gaps), c.Missing)
		if c.Server == "ns1.example.com." && (!c.SkewKnown || c.Skew < 87*time.Second || c.Skew > 91*time.Second) {
			t.Errorf("skew %s", c.Skew)
		}
	}
	want := map[string]string{
		"ns1.example.com. query": "partial, broken feed, 1 gaps, []", "ns2.example.com. query": "partial, , 1 gaps, [rcode]",
		"ns3.example.com. query": "missing, never configured, 0 gaps, []", " record": "collected, , 0 gaps, []",
	}
	if !reflect.DeepEqual(states, want) {
		t.Errorf("cells\n got %v\nwant %v", states, want)
	}
	detectors := map[string]string{}
	for _, d := range r.Detectors {
		detectors[d.Detector] = d.State
	}
	if want := map[string]string{"zone-transfer": "working", "brute-force": "degraded", "nsec3-walk": "working", "other": "off"}; !reflect.DeepEqual(detectors, want) {
		t.Errorf("detectors %v", detectors)
	}
	var verdicts []string
	for _, c := range r.Classes {
		verdicts = append(verdicts, c.Class+": "+c.Verdict)
	}
	if want := []string{"authoritative DNS query logs: partial", "DNS zone and record changes: collected", "passive DNS: not collected",
		"registrar and DNS provider admin logs: not collected", "attack-surface inventory: not collected", "outside signals: not collected"}; !reflect.DeepEqual(verdicts, want) {
		t.Errorf("classes %q", verdicts)
	}
}

// clean is the world of the scenario without its faults.
func clean(seed uint64, days int, rates ...float64) *world {
	var feeds []feed
	var names []string
	for i, n := range rates {
		name := fmt.Sprintf("ns%d.example.com.", i+1)
		feeds = append(feeds, feed{input: fmt.Sprintf("ns%d log", i+1), server: name, addr: fmt.Sprintf("192.0.2.%d", i+1), zones: queries(n)})
		names = append(names, name)
	}
	return newWorld(seed, days, feeds...).zone("example.com.", names...)
}

func TestCoverageCleanTwin(t *testing.T) {
	r := report(t, clean(1, 5, 30, 20, 25), at(18, 18, 0))
	checkProblems(t, r)
	if want := "Watched: 3 of 3 name servers of example.com. with response codes."; r.Statement != want {
		t.Errorf("statement %s", r.Statement)
	}
	for _, c := range r.Cells {
		if c.State != "collected" || c.Kind == picket.KindQuery && (c.Basis != "sibling name servers" || c.Expected < 0.95*float64(c.Seen) || c.Expected > 1.05*float64(c.Seen)) {
			t.Errorf("%+v", c)
		}
	}
}

// TestCoverageNoFalseAlarms: ordinary traffic, sparse or dense, alone or with
// siblings, young or with weeks of history, has no problem.
func TestCoverageNoFalseAlarms(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for seed := range min(seeds, 3) { // office hours, from the first evening to weeks, on each day around a weekend
		for _, days := range []int{1, 2, 4, 9, 16} {
			for shift := range 4 {
				w := clean(seed, days, 8, 3).shift(shift).office(8, 16)
				if len(w.activity) == 0 {
					continue // nothing has ever come, and that is said
				}
				for _, p := range report(t, w, w.now.Add(-24*time.Hour)).Problems {
					t.Errorf("office hours, %d days, %d later, seed %d: %+v", days, shift, seed, p)
				}
			}
		}
	}
	for _, c := range []struct {
		days  int
		rates []float64
	}{{2, []float64{0.02}}, {2, []float64{0.3, 0.1}}, {2, []float64{1, 2, 0.5}}, {3, []float64{10, 40, 3}}, {9, []float64{1, 0.05}}, {2, []float64{300, 0.01}}, {9, []float64{4}}} {
		for seed := range seeds {
			r := report(t, clean(seed, c.days, c.rates...), time.Time{})
			for _, p := range r.Problems {
				t.Errorf("%v a minute, %d days, seed %d: %+v", c.rates, c.days, seed, p)
			}
		}
	}
}
