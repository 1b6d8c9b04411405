package coverage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

func cellOf(t *testing.T, r *picket.CoverageReport, zone, server string) picket.CoverageCell {
	t.Helper()
	for _, c := range r.Cells {
		if c.Zone == zone && c.Server == server {
			return c
		}
	}
	t.Fatalf("no cell of %s at %s: %+v", zone, server, r.Cells)
	return picket.CoverageCell{}
}

func three(change func(list []feed)) *world {
	list := []feed{
		{input: "a", server: "ns1.example.com.", addr: "192.0.2.1", zones: queries(30)},
		{input: "b", server: "ns2.example.com.", addr: "192.0.2.2", zones: queries(20)},
		{input: "c", server: "ns3.example.com.", addr: "192.0.2.3", zones: queries(25)},
	}
	change(list)
	return newWorld(7, 3, list...).zone("example.com.", "ns1.example.com.", "ns2.example.com.", "ns3.example.com.")
}

func same([]feed) {}

// TestFeedStopsEarly: how soon a stop is told, with siblings and without.
func TestFeedStopsEarly(t *testing.T) {
	stop := at(20, 17, 45)
	for name, w := range map[string]*world{
		"siblings": three(func(l []feed) { l[0].stops = stop }),
		"alone":    newWorld(7, 3, feed{input: "a", server: "ns1.example.com.", addr: "192.0.2.1", zones: queries(30), stops: stop}).zone("example.com.", "ns1.example.com."),
	} {
		t.Run(name, func(t *testing.T) {
			checkProblems(t, report(t, w, time.Time{}), picket.CoverageProblem{Code: "feed-silent", Zone: "example.com.", Server: "ns1.example.com.", Input: "a", From: stop, To: at(20, 18, 0)})
		})
	}
	t.Run("expected interval", func(t *testing.T) {
		w := three(func(l []feed) { l[0].zones, l[0].stops = queries(0.5), at(20, 17, 0) })
		w.setup.Inputs[0].Expect = 40 * time.Minute
		got := report(t, w, time.Time{}).Problems
		if len(got) != 1 || got[0].Code != "feed-silent" || !strings.Contains(got[0].Text, "40m") {
			t.Errorf("%+v", got)
		}
	})
}

// TestEverythingStops: that no server brings anything any more is not taken for quiet.
func TestEverythingStops(t *testing.T) {
	r := report(t, three(func(l []feed) {
		for i := range l {
			l[i].stops = at(20, 17, 0)
		}
	}), time.Time{})
	if len(r.Problems) != 3 || r.Problems[0].Code != "feed-silent" || !strings.Contains(r.Problems[0].Text, "from any name server") {
		t.Errorf("%+v", r.Problems)
	}
}

func TestNotRunning(t *testing.T) {
	away := [][2]time.Time{{at(20, 3, 0), at(20, 4, 0)}}
	lost := func() *world {
		return three(func(l []feed) {
			for i := range l {
				l[i].gaps = away
			}
		})
	}
	runs := func(w *world) *world {
		w.uptimes = []picket.Uptime{{From: w.setup.Time, To: at(20, 3, 0)}, {From: at(20, 4, 0), To: w.now}}
		return w
	}
	t.Run("lost", func(t *testing.T) {
		r := report(t, runs(lost()), time.Time{})
		checkProblems(t, r, picket.CoverageProblem{Code: "not-running", From: at(20, 3, 0), To: at(20, 4, 0)})
		if c := cellOf(t, r, "example.com.", "ns2.example.com."); len(c.Gaps) != 1 || c.Gaps[0].Why != "picket was not running" {
			t.Errorf("%+v", c.Gaps)
		}
	})
	t.Run("caught up", func(t *testing.T) { checkProblems(t, report(t, runs(three(same)), time.Time{})) })
}

func TestLowRate(t *testing.T) {
	low := func(w *world, server string, from time.Time) { // three of four queries go
		for k, a := range w.activity {
			if k.Server == server && !k.Start.Before(from) {
				a.Count, a.WithClient, a.WithRcode, a.WithFlags, a.WithResponse, a.WithTransport = a.Count/4+1, a.Count/4+1, a.Count/4+1, a.Count/4+1, a.Count/4+1, a.Count/4+1
				w.activity[k] = a
			}
		}
	}
	t.Run("siblings", func(t *testing.T) {
		w := three(same)
		low(w, "192.0.2.2", at(19, 18, 0))
		r := report(t, w, time.Time{})
		checkProblems(t, r, picket.CoverageProblem{Code: "rate-low", Zone: "example.com.", Server: "ns2.example.com."})
		if c := cellOf(t, r, "example.com.", "ns2.example.com."); c.Basis != "sibling name servers" || c.Expected < 27000 || c.Expected > 31000 || c.State != "partial" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("history", func(t *testing.T) {
		w := clean(3, 9, 10)
		low(w, "192.0.2.1", at(19, 18, 0))
		r := report(t, w, time.Time{})
		checkProblems(t, r, picket.CoverageProblem{Code: "rate-low", Zone: "example.com.", Server: "ns1.example.com."})
		if c := cellOf(t, r, "example.com.", "ns1.example.com."); c.Basis != "history by hour of week" || c.Expected < 13800 || c.Expected > 15000 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("all are asked less", func(t *testing.T) {
		w := clean(3, 9, 10, 10)
		low(w, "192.0.2.1", at(19, 18, 0))
		low(w, "192.0.2.2", at(19, 18, 0))
		checkProblems(t, report(t, w, time.Time{}))
	})
	t.Run("counters", func(t *testing.T) {
		w := clean(3, 2, 10)
		for h := range 48 {
			w.counts = append(w.counts, picket.ServerCount{Start: w.now.Truncate(time.Hour).Add(-time.Duration(h) * time.Hour), Server: "ns1.example.com.", Queries: 2500})
		}
		r := report(t, w, time.Time{})
		checkProblems(t, r, picket.CoverageProblem{Code: "rate-low", Zone: "example.com.", Server: "ns1.example.com."})
		if c := cellOf(t, r, "example.com.", "ns1.example.com."); c.Basis != "the server's own counter" || c.Expected != 60000 {
			t.Errorf("%+v", c)
		}
	})
}

func TestSilence(t *testing.T) {
	t.Run("no traffic for one zone", func(t *testing.T) {
		w := three(same).zone("quiet.example.", "ns1.example.com.")
		r := report(t, w, time.Time{})
		checkProblems(t, r)
		if c := cellOf(t, r, "quiet.example.", "ns1.example.com."); c.State != "silent" || c.Silence != picket.SilenceNoTraffic {
			t.Errorf("%+v", c)
		}
	})
	t.Run("configured and never came", func(t *testing.T) {
		w := three(func(l []feed) { l[2].stops = at(1, 0, 0) })
		checkProblems(t, report(t, w, time.Time{}),
			picket.CoverageProblem{Code: "feed-silent", Zone: "example.com.", Server: "ns3.example.com.", Input: "c", From: at(19, 18, 0), To: at(20, 18, 0)})
	})
	t.Run("cannot be told", func(t *testing.T) {
		w := newWorld(1, 2, feed{input: "a", server: "ns1.example.com.", zones: queries(1), stops: at(1, 0, 0)}).zone("example.com.", "ns1.example.com.")
		r := report(t, w, time.Time{})
		checkProblems(t, r, picket.CoverageProblem{Code: "blind"})
		if want := "No queries have come in, so zone-transfer, brute-force and nsec3-walk are blind."; r.Problems[0].Text != want {
			t.Errorf("%s", r.Problems[0].Text)
		}
		if c := cellOf(t, r, "example.com.", "ns1.example.com."); c.Silence != picket.SilenceUnknown {
			t.Errorf("%+v", c)
		}
	})
	t.Run("input without server", func(t *testing.T) {
		w := newWorld(1, 2, feed{input: "tap", zones: queries(9)}).zone("example.com.", "ns1.example.com.")
		r := report(t, w, time.Time{})
		checkProblems(t, r)
		if c := cellOf(t, r, "example.com.", "[tap]"); c.Seen == 0 || c.State != "collected" {
			t.Errorf("%+v", c)
		}
		if c := cellOf(t, r, "example.com.", "ns1.example.com."); c.State != "missing" || c.Silence != picket.SilenceUnknown {
			t.Errorf("%+v", c)
		}
		if want := "Watched: 0 of 1 name servers of example.com. and 1 input that does not say which server was asked, with response codes."; r.Statement != want {
			t.Errorf("%s", r.Statement)
		}
	})
	t.Run("one input for all servers", func(t *testing.T) {
		w := three(same)
		for k, a := range w.activity { // what a tap brings
			delete(w.activity, k)
			k.Input = "tap"
			w.activity[k] = a
		}
		w.setup.Inputs = []picket.SetupInput{{Name: "tap", Kind: picket.KindQuery, Live: true}}
		w.setup.Zones[0].Delegation = append(w.setup.Zones[0].Delegation, "ns4.example.com.")
		checkProblems(t, report(t, w, time.Time{}), picket.CoverageProblem{Code: "never-configured", Zone: "example.com.", Server: "ns4.example.com."})
	})
	t.Run("young input", func(t *testing.T) {
		w := three(func(l []feed) { l[2].gaps = [][2]time.Time{{at(1, 0, 0), at(20, 12, 0)}} })
		before, after := w.setup, w.setup
		before.Inputs = before.Inputs[:2]
		after.Time = at(20, 12, 0)
		w.setups = []picket.Setup{before, after}
		checkProblems(t, report(t, w, time.Time{}))
	})
}

// TestServerOfTwoZones: a feed that stops is one problem, a zone that stops another.
func TestServerOfTwoZones(t *testing.T) {
	both := map[string]float64{"example.com.": 20, "example.org.": 10}
	w := newWorld(5, 2,
		feed{input: "a", server: "ns1.example.com.", addr: "2001:db8::1", zones: both, gaps: [][2]time.Time{{at(20, 6, 0), at(20, 7, 0)}}},
		feed{input: "b", server: "ns2.example.com.", addr: "2001:db8::2", zones: both},
	).zone("example.com.").zone("example.org.")
	for k := range w.activity {
		if k.Zone == "example.org." && k.Input == "b" && k.Start.Hour() == 9 && k.Start.Day() == 20 {
			delete(w.activity, k)
		}
	}
	r := report(t, w, time.Time{})
	checkProblems(t, r,
		picket.CoverageProblem{Code: "gap", Server: "ns1.example.com.", Input: "a", From: at(20, 6, 0), To: at(20, 7, 0)},
		picket.CoverageProblem{Code: "gap", Zone: "example.org.", Server: "ns2.example.com.", Input: "b", From: at(20, 9, 0), To: at(20, 10, 0)})
	if c := cellOf(t, r, "example.org.", "ns1.example.com."); len(c.Gaps) != 1 {
		t.Errorf("%+v", c.Gaps)
	}
	one, err := w.reporter().Coverage(t.Context(), picket.CoverageFilter{Zone: "example.com."})
	if err != nil || len(one.Problems) != 1 || len(one.Cells) != 3 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestInputs(t *testing.T) {
	w := three(same)
	w.intake[len(w.intake)-9].Dropped = 7 // of c
	for i := range w.intake {
		if w.intake[i].Input == "b" && w.intake[i].Start.After(at(20, 0, 0)) {
			w.intake[i].Rejected = 1
		}
	}
	r := report(t, w, time.Time{}, func(o *Options) {
		o.Inputs = func() []picket.SourceStatus { return []picket.SourceStatus{{Name: "a", Error: "connection refused"}} }
		o.Lags = func() []picket.ServerLag {
			return []picket.ServerLag{
				{Zone: "example.com.", Server: "ns1.example.com.", Serial: 5, Newest: 7, Behind: 2, Since: at(20, 1, 0)},
				{Zone: "example.com.", Server: "ns2.example.com.", Serial: 6, Newest: 7, Behind: 1},
			}
		}
	})
	checkProblems(t, r,
		picket.CoverageProblem{Code: "input-error", Server: "ns1.example.com.", Input: "a"},
		picket.CoverageProblem{Code: "loss", Server: "ns2.example.com.", Input: "b"},
		picket.CoverageProblem{Code: "loss", Server: "ns3.example.com.", Input: "c"},
		picket.CoverageProblem{Code: "server-lag", Zone: "example.com.", Server: "ns1.example.com.", From: at(20, 1, 0)})
	if c := cellOf(t, r, "example.com.", "ns2.example.com."); !slices.Equal(c.Notes, []string{"one version behind, at serial 6"}) {
		t.Errorf("%+v", c)
	}
}

// TestClocks: a clock is judged only where it can be.
func TestClocks(t *testing.T) {
	for name, c := range map[string]struct {
		skew time.Duration
		live bool
		want int
	}{"20 s": {20 * time.Second, true, 0}, "behind": {-90 * time.Second, true, 1}, "ahead": {40 * time.Second, true, 1}, "not live": {time.Hour, false, 0}} {
		t.Run(name, func(t *testing.T) {
			w := three(func(l []feed) { l[1].skew = c.skew })
			w.setup.Inputs[1].Live = c.live
			if got := report(t, w, time.Time{}).Problems; len(got) != c.want || c.want == 1 && got[0].Code != "clock-skew" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRetention(t *testing.T) {
	w := three(same)
	w.setup.Retention = []picket.SetupRetain{{Kind: picket.KindQuery, Keep: 48 * time.Hour}}
	w.retained = []picket.Retained{{Kind: picket.KindQuery, Rows: 5, Oldest: at(18, 19, 0)}}
	r := report(t, w, time.Time{})
	checkProblems(t, r)
	if want := "To be kept for 2 days; all of that time is there."; r.Retention[0].Text != want {
		t.Errorf("%s", r.Retention[0].Text)
	}
	w.retained[0].Oldest = at(19, 19, 0)
	r = report(t, w, time.Time{})
	checkProblems(t, r, picket.CoverageProblem{Code: "retention-short", From: time.Date(2026, 3, 18, 18, 0, 30, 0, time.UTC), To: at(19, 19, 0)})
	if want := "To be kept for 2 days; it was there from 2026-03-18 18:00 UTC on, but what is left begins 2026-03-19 19:00 UTC."; r.Retention[0].Text != want {
		t.Errorf("%s", r.Retention[0].Text)
	}
}

// TestRetentionOfEachKind: what is there is held against what was there, not only
// against what is configured.
func TestRetentionOfEachKind(t *testing.T) {
	const ninety = 90 * 24 * time.Hour
	march := func(day int) time.Time { return at(day, 0, 0) }
	for _, c := range []struct {
		name string
		keep time.Duration
		have picket.Retained
		text string
		from time.Time // of the problem; zero for none
	}{
		{"young", ninety, picket.Retained{Kind: "change", Rows: 5, Oldest: march(8), Since: march(8)}, "To be kept for 90 days; 12 days are there, since collection began 2026-03-08 00:00 UTC.", time.Time{}},
		{"older ones missing", ninety, picket.Retained{Kind: "change", Rows: 5, Oldest: march(12), Since: march(8)},
			"To be kept for 90 days; it was there from 2026-03-08 00:00 UTC on, but what is left begins 2026-03-12 00:00 UTC.", march(8)},
		{"all gone", 0, picket.Retained{Kind: "finding", Since: march(8)}, "To be kept for ever; it was there from 2026-03-08 00:00 UTC on, but nothing is left.", march(8)},
		{"never any", ninety, picket.Retained{Kind: picket.KindSignal}, "To be kept for 90 days; nothing is there.", time.Time{}},
		{"removed under a shorter time", ninety, picket.Retained{Kind: picket.KindSighting, Rows: 5, Oldest: march(14), Since: march(14), Expired: march(13)},
			"To be kept for 90 days; 6 days are there: what was older was removed while less was configured.", time.Time{}},
		{"gone as it should, nothing since", 10 * 24 * time.Hour, picket.Retained{Kind: picket.KindSighting, Rows: 1, Oldest: march(19), Since: march(2)},
			"To be kept for 10 days; 42 hours are there, since 2026-03-19 00:00 UTC.", time.Time{}},
		{"counts", 10 * 24 * time.Hour, picket.Retained{Kind: "activity", Rows: 1, Oldest: march(19), Since: march(2)},
			"To be kept for 10 days; it was there from 2026-03-10 18:00 UTC on, but what is left begins 2026-03-19 00:00 UTC.", time.Date(2026, 3, 10, 18, 0, 30, 0, time.UTC)},
		{"records that are there", ninety, picket.Retained{Kind: picket.KindRecord, Rows: 3, Oldest: march(1), Since: march(1)},
			"Records stay while they are there, and for 90 days after; 19 days are there, since 2026-03-01 00:00 UTC.", time.Time{}},
	} {
		w := three(same)
		kind := c.have.Kind
		if kind == picket.KindRecord {
			kind = "change"
		}
		w.setup.Retention = []picket.SetupRetain{{Kind: kind, Keep: c.keep}}
		w.retained = []picket.Retained{c.have}
		r := report(t, w, time.Time{})
		if r.Retention[0].Text != c.text || r.Retention[0].Configured != c.keep {
			t.Errorf("%s: %s", c.name, r.Retention[0].Text)
		}
		switch {
		case c.from.IsZero() && len(r.Problems) > 0, !c.from.IsZero() && (len(r.Problems) != 1 || r.Problems[0].Code != "retention-short" || !r.Problems[0].From.Equal(c.from)):
			t.Errorf("%s: %+v", c.name, r.Problems)
		}
	}
}

func TestDetectors(t *testing.T) {
	w := three(func(l []feed) {
		for i := range l {
			l[i].bare = true
		}
	})
	r := report(t, w, time.Time{}, func(o *Options) {
		o.ZoneKnown = func(string) bool { return false }
		o.Retired = func() int { return 0 }
		o.Detectors = append(slices.Clone(testDetectors), Needs{Name: "retired-names", Levels: "QZ"})
		w.setup.Detectors = append(w.setup.Detectors, "retired-names")
	})
	var got []string
	for _, d := range r.Detectors {
		got = append(got, d.Detector+" "+d.State)
	}
	if want := []string{"zone-transfer working", "brute-force blind", "nsec3-walk working", "other off", "retired-names blind"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestZoneInsteadOfPackets: what a detector sees in denials, it can tell from the
// zone's contents, too.
func TestZoneInsteadOfPackets(t *testing.T) {
	for known, want := range map[bool]string{true: "working", false: "blind"} {
		w := three(same)
		for k, a := range w.activity {
			a.WithFlags, a.WithResponse = 0, 0
			w.activity[k] = a
		}
		r := report(t, w, time.Time{}, func(o *Options) {
			o.ZoneKnown = func(string) bool { return known }
			o.Detectors = []Needs{{Name: "nsec-walk", Levels: "QDZ"}}
			w.setup.Detectors = []string{"nsec-walk"}
		})
		if got := r.Detectors[0].State; got != want {
			t.Errorf("known %v: %s, want %s", known, got, want)
		}
	}
}

// TestBurstsAreNoGaps: scanners come and go, offices close. What is quiet then is
// no gap, where other servers are just as quiet.
func TestBurstsAreNoGaps(t *testing.T) {
	for seed := range uint64(20) {
		w := clean(seed, 3, 0.5, 0.2)
		r := rand.New(rand.NewPCG(seed, 9))
		for range 20 {
			start, input := at(18, 0, 0).Add(time.Duration(r.IntN(64*60))*time.Minute), 1+r.IntN(2)
			for i := range r.IntN(40) {
				k := picket.Activity{Start: start.Add(time.Duration(i) * time.Minute), Input: fmt.Sprintf("ns%d log", input), Server: fmt.Sprintf("192.0.2.%d", input), Zone: "example.com."}
				if k.Start.Before(w.now) {
					w.activity[k] = picket.Activity{Count: 500, WithClient: 500, WithRcode: 500, WithFlags: 500, WithResponse: 500, WithTransport: 500}
				}
			}
		}
		for _, p := range report(t, w, time.Time{}).Problems {
			t.Errorf("seed %d: %+v", seed, p)
		}
	}
}

// TestOldLogs: what was read in from before Picket was there is not judged.
func TestOldLogs(t *testing.T) {
	w := three(func(l []feed) {
		for i := range l {
			l[i].gaps = [][2]time.Time{{at(20, 2, 0), at(20, 9, 0)}}
		}
	})
	w.setup.Time, w.uptimes = at(20, 9, 0), []picket.Uptime{{From: at(20, 9, 0), To: w.now}}
	checkProblems(t, report(t, w, time.Time{}))
}

// TestOfficeHours: a zone that nobody asks at night is quiet then, not broken.
func TestOfficeHours(t *testing.T) {
	for _, servers := range [][]float64{{20}, {20, 15}} {
		w := clean(2, 4, servers...)
		for k := range w.activity {
			if h := k.Start.Hour(); h < 7 || h >= 19 {
				delete(w.activity, k)
			}
		}
		checkProblems(t, report(t, w, time.Time{}))
	}
}

// shift moves everything that has happened in a world by whole days.
func (w *world) shift(days int) *world {
	d := time.Duration(days) * 24 * time.Hour
	moved := map[picket.Activity]picket.Activity{}
	for k, a := range w.activity {
		k.Start = k.Start.Add(d)
		moved[k] = a
	}
	w.activity = moved
	for i := range w.intake {
		w.intake[i].Start = w.intake[i].Start.Add(d)
	}
	for i := range w.uptimes {
		w.uptimes[i].From, w.uptimes[i].To = w.uptimes[i].From.Add(d), w.uptimes[i].To.Add(d)
	}
	w.now, w.setup.Time = w.now.Add(d), w.setup.Time.Add(d)
	return w
}

// office leaves only what is asked on working days, in office hours.
func (w *world) office(from, to int) *world {
	for k := range w.activity {
		if h := k.Start.Hour(); h < from || h >= to || weekend(k.Start.Unix()/3600) {
			delete(w.activity, k)
		}
	}
	return w
}

// TestFirstEvening: nobody has told yet that the offices close, neither on the first
// evening nor on the first weekend. It is said that this is not known.
func TestFirstEvening(t *testing.T) {
	for name, w := range map[string]*world{
		"evening, alone":      clean(2, 1, 20).office(7, 15),
		"evening, two":        clean(2, 1, 20, 15).office(7, 15),
		"second day":          clean(2, 2, 20).office(7, 15),
		"Saturday, alone":     clean(2, 3, 20).shift(1).office(7, 17),
		"Sunday, two":         clean(2, 4, 20, 15).shift(2).office(7, 17),
		"Monday after a week": clean(2, 7, 20).shift(3).office(7, 17),
	} {
		t.Run(name, func(t *testing.T) {
			r := report(t, w, w.now.Add(-24*time.Hour))
			checkProblems(t, r)
			if name == "evening, alone" {
				c := cellOf(t, r, "example.com.", "ns1.example.com.")
				if len(c.Notes) == 0 || c.Notes[len(c.Notes)-1] != "nothing since 2026-03-20 15:00 UTC; whether that is usual at this hour is not known yet" || c.Silence != picket.SilenceUnknown {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

// TestKnownHours: once the hours are known, a silence in them is told, alone too, and
// the weekend is not.
func TestKnownHours(t *testing.T) {
	w := clean(2, 21, 20).office(7, 17)
	for k := range w.activity {
		if k.Start.Day() == 20 && k.Start.Hour() >= 11 && k.Start.Hour() < 13 {
			delete(w.activity, k)
		}
	}
	checkProblems(t, report(t, w, time.Time{}), picket.CoverageProblem{Code: "gap", Zone: "example.com.", Server: "ns1.example.com.", Input: "ns1 log", From: at(20, 11, 0), To: at(20, 13, 0)})
	checkProblems(t, report(t, clean(2, 21, 20).shift(1).office(7, 17), time.Time{}))
}

// BenchmarkCoverage is a report on a day of fifty zones at four servers.
func BenchmarkCoverage(b *testing.B) {
	zones := map[string]float64{}
	for i := range 50 {
		zones[fmt.Sprintf("z%d.example.", i)] = 0.1 * float64(i)
	}
	var feeds []feed
	for i := range 4 {
		feeds = append(feeds, feed{input: fmt.Sprintf("in%d", i), server: fmt.Sprintf("ns%d.example.com.", i), addr: fmt.Sprintf("192.0.2.%d", i), zones: zones})
	}
	w := newWorld(1, 2, feeds...)
	for z := range zones {
		w.zone(z)
	}
	r := w.reporter()
	for b.Loop() { // without what the made store takes
		b.StopTimer()
		v, err := r.load(b.Context(), at(19, 18, 0), at(20, 18, 0), at(20, 18, 0))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		r.analyse(v, "")
	}
}

func TestCouldSee(t *testing.T) {
	w := three(func(l []feed) { l[1].gaps = [][2]time.Time{{at(19, 2, 10), at(19, 2, 20)}} })
	first := w.setup
	first.Inputs, first.Detectors = first.Inputs[:2], []string{"brute-force"}
	second := w.setup
	second.Time = at(19, 0, 0)
	first.Time = at(18, 0, 0)
	w.setups = []picket.Setup{first, second}
	r := w.reporter()
	for _, c := range []struct {
		name, detector, zone string
		from, to             time.Time
		answer               string
		reasons              []string
	}{
		{"whole", "zone-transfer", "example.com.", at(19, 3, 0), at(20, 3, 0), "yes", nil},
		{"gap", "zone-transfer", "example.com.", at(19, 0, 0), at(20, 0, 0), "partly",
			[]string{"ns2.example.com. sent nothing from 2026-03-19 02:10 UTC to 2026-03-19 02:20 UTC: nothing came while other name servers were asked"}},
		{"off then", "zone-transfer", "example.com.", at(18, 1, 0), at(18, 23, 0), "no",
			[]string{"detector zone-transfer was switched off from 2026-03-18 01:00 UTC to 2026-03-18 23:00 UTC"}},
		{"before", "zone-transfer", "example.com.", at(16, 0, 0), at(17, 0, 0), "no", []string{"nothing was configured from 2026-03-16 00:00 UTC to 2026-03-17 00:00 UTC"}},
		{"other zone", "zone-transfer", "example.net.", at(19, 3, 0), at(20, 3, 0), "no",
			[]string{"zone example.net. was not watched from 2026-03-19 03:00 UTC to 2026-03-20 03:00 UTC"}},
		{"half off", "zone-transfer", "example.com.", at(18, 12, 0), at(19, 1, 0), "partly",
			[]string{"detector zone-transfer was switched off from 2026-03-18 12:00 UTC to 2026-03-19 00:00 UTC"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := r.CouldSee(t.Context(), c.detector, picket.CoverageFilter{From: c.from, To: c.to, Zone: c.zone})
			if err != nil {
				t.Fatal(err)
			}
			if a.Answer != c.answer || !slices.Equal(a.Reasons, c.reasons) || a.Text == "" {
				t.Errorf("%+v", a)
			}
		})
	}
	if _, err := r.CouldSee(t.Context(), "no-such", picket.CoverageFilter{}); !errors.Is(err, picket.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := r.Coverage(t.Context(), picket.CoverageFilter{From: at(20, 0, 0), To: at(19, 0, 0)}); !errors.Is(err, picket.ErrBadValue) {
		t.Errorf("%v", err)
	}
}

// TestClockOrDelivery: a clock that is behind makes everything late by the same, slow
// delivery by more and less; between the two it cannot be told.
func TestClockOrDelivery(t *testing.T) {
	for name, c := range map[string]struct {
		delay   func(minute int) (least, most time.Duration)
		problem string // part of its text; "" for none
		note    string
	}{
		"clock": {func(m int) (time.Duration, time.Duration) {
			return 90*time.Second + time.Duration(m%3)*time.Second/10, 92 * time.Second
		}, "is 1m30s behind: everything arrives late by the same", ""},
		"unclear": {func(m int) (time.Duration, time.Duration) {
			return 60*time.Second + time.Duration(m%10)*time.Second, 75 * time.Second
		}, "arrives 1m0s to 1m15s late: its clock is behind or its delivery slow; that cannot be told", ""},
		"delivery in batches": {func(m int) (time.Duration, time.Duration) {
			return time.Duration(40+m%5*60) * time.Second, time.Duration(60+m%5*60) * time.Second
		}, "", "arrives 40s to 5m0s late, by turns: its delivery is slow"},
		"delivery falls behind": {func(m int) (time.Duration, time.Duration) {
			return time.Duration(m) * time.Second, time.Duration(m+1) * time.Second
		}, "", "and ever later: its delivery falls behind"},
		"ahead, and slow by turns": {func(m int) (time.Duration, time.Duration) {
			return -60*time.Second + time.Duration(m%10)*time.Second, -40 * time.Second
		}, "ahead", ""},
		"quick": {func(m int) (time.Duration, time.Duration) { return time.Second, 3 * time.Second }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := three(same)
			minute := 0
			for i := range w.intake {
				if s := &w.intake[i]; s.Input == "b" {
					least, most := c.delay(minute)
					s.MinDelay, s.MaxDelay = int64(least), int64(most)
					minute++
				}
			}
			r := report(t, w, time.Time{})
			switch {
			case c.problem == "" && len(r.Problems) > 0, c.problem != "" && (len(r.Problems) != 1 || r.Problems[0].Code != "clock-skew" || !strings.Contains(r.Problems[0].Text, c.problem)):
				t.Errorf("%+v", r.Problems)
			}
			cell := cellOf(t, r, "example.com.", "ns2.example.com.")
			if got := strings.Join(cell.Notes, "; "); c.note == "" && got != "" || !strings.Contains(got, c.note) {
				t.Errorf("notes %q", got)
			}
		})
	}
}
