package coverage

import (
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// tap makes one input, which says the server's address and nothing else, bring
// everything.
func tap(w *world) *world {
	for k, a := range w.activity {
		delete(w.activity, k)
		k.Input = "tap"
		w.activity[k] = a
	}
	w.setup.Inputs = []picket.SetupInput{{Name: "tap", Kind: picket.KindQuery, Live: true}}
	return w
}

// TestOneAddressManyNames: one machine answers for two zones under a name in each;
// what it is asked of a zone is of the name that the zone is delegated to.
func TestOneAddressManyNames(t *testing.T) {
	w := tap(newWorld(3, 2,
		feed{input: "a", server: "ns1.example.com.", addr: "192.0.2.1", zones: queries(20)},
		feed{input: "b", server: "ns1.example.org.", addr: "192.0.2.1", zones: map[string]float64{"example.org.": 30}},
	)).zone("example.com.", "ns1.example.com.").zone("example.org.", "ns1.example.org.").zone("quiet.example.", "ns1.quiet.example.")
	w.setup.Servers = append(w.setup.Servers, picket.SetupServer{Name: "ns1.quiet.example.", Addresses: []string{"192.0.2.1"}, Zones: []string{"quiet.example."}})
	r := report(t, w, time.Time{})
	checkProblems(t, r)
	if c := cellOf(t, r, "quiet.example.", "ns1.quiet.example."); c.State != "silent" || c.Silence != picket.SilenceNoTraffic {
		t.Errorf("%+v", c)
	}
	for zone, server := range map[string]string{"example.com.": "ns1.example.com.", "example.org.": "ns1.example.org."} {
		if c := cellOf(t, r, zone, server); c.State != "collected" || c.Seen < 20000 {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Cells) != 6 {
		t.Errorf("%d cells, want three of queries and three of records: %+v", len(r.Cells), r.Cells)
	}
}

// TestUnknownAddresses: a delegated server without known addresses may be the one
// that is asked at an address that is nobody's. One with known addresses is not.
func TestUnknownAddresses(t *testing.T) {
	w := tap(newWorld(3, 2, feed{input: "a", server: "x", addr: "192.0.2.1", zones: queries(20)})).zone("example.com.", "ns1.example.com.", "ns2.example.com.")
	w.setup.Servers = []picket.SetupServer{{Name: "ns2.example.com.", Addresses: []string{"192.0.2.2"}, Zones: []string{"example.com."}}}
	r := report(t, w, time.Time{})
	checkProblems(t, r, picket.CoverageProblem{Code: "never-configured", Zone: "example.com.", Server: "ns2.example.com."})
	if c := cellOf(t, r, "example.com.", "ns1.example.com."); c.Silence != picket.SilenceUnknown {
		t.Errorf("%+v", c)
	}
}

// TestTooEarly: what an input of many servers has not brought in its first minutes
// may still come.
func TestTooEarly(t *testing.T) {
	for minutes, want := range map[int]picket.Silence{5: picket.SilenceUnknown, 20: picket.SilenceNever} {
		w := tap(newWorld(3, 1, feed{input: "a", server: "ns1.example.com.", addr: "192.0.2.1", zones: queries(20)})).zone("example.com.", "ns1.example.com.", "ns2.example.com.")
		w.setup.Time = w.now.Truncate(time.Minute).Add(-time.Duration(minutes) * time.Minute)
		w.uptimes = []picket.Uptime{{From: w.setup.Time, To: w.now}}
		if c := cellOf(t, report(t, w, time.Time{}), "example.com.", "ns2.example.com."); c.Silence != want {
			t.Errorf("after %d minutes: %+v, want %s", minutes, c, want)
		}
	}
}

// TestFirstMinute: what has come in counts at once, although only whole minutes are judged.
func TestFirstMinute(t *testing.T) {
	w := three(same)
	w.setup.Time = w.now.Add(-20 * time.Second)
	w.uptimes = []picket.Uptime{{From: w.setup.Time, To: w.now}}
	for k := range w.activity {
		if k.Start.Before(w.now.Truncate(time.Minute)) {
			delete(w.activity, k)
		}
	}
	w.intake = nil
	r := report(t, w, time.Time{})
	checkProblems(t, r)
	if !r.To.Equal(w.now) {
		t.Errorf("the report ends at %s, want %s", r.To, w.now)
	}
	for _, server := range []string{"ns1.example.com.", "ns2.example.com.", "ns3.example.com."} {
		if c := cellOf(t, r, "example.com.", server); c.Seen == 0 || c.State != "collected" || !c.Last.Equal(at(20, 18, 0)) {
			t.Errorf("%+v", c)
		}
	}
	if want := "Watched: 3 of 3 name servers of example.com. with response codes."; r.Statement != want {
		t.Errorf("statement %s", r.Statement)
	}
}

// TestStatementOfManyZones: however many zones and problems there are, a statement
// names a few and counts the rest.
func TestStatementOfManyZones(t *testing.T) {
	zones := map[string]float64{}
	for _, z := range []string{"a.example.", "b.example.", "c.example.", "d.example.", "2.0.192.in-addr.arpa."} {
		zones[z] = 5
	}
	w := newWorld(3, 3,
		feed{input: "a", server: "ns1.a.example.", addr: "192.0.2.1", zones: zones},
		feed{input: "b", server: "ns2.a.example.", addr: "192.0.2.2", zones: zones, stops: at(20, 12, 0)},
		feed{input: "c", server: "ns3.a.example.", addr: "192.0.2.3", zones: zones, stops: at(20, 13, 0)})
	for z := range zones {
		w.zone(z, "ns1.a.example.", "ns2.a.example.", "ns3.a.example.", "ns4.a.example.", "ns5.a.example.", "ns6.a.example.", "ns7.a.example.")
	}
	w.zone("idle.example.", "ns.idle.example.")
	r := report(t, w, time.Time{})
	const want = "Watched: 3 of 8 name servers of 6 zones (a.example., b.example., c.example. and 3 more) with response codes; nothing has come for idle.example.; " +
		"ns2.a.example. and ns3.a.example. silent, the first since 12:00; ns4.a.example., ns5.a.example., ns6.a.example. and 2 more send nothing (never configured)."
	if r.Statement != want {
		t.Errorf("\n got %s\nwant %s", r.Statement, want)
	}
}

// TestRecordsOfZones: an input that names its zones counts for these only.
func TestRecordsOfZones(t *testing.T) {
	w := three(same).zone("example.org.").zone("example.net.")
	for name, zones := range map[string][]string{"org": {"example.org."}, "both": {"example.org.", "example.com."}} {
		w.setup.Inputs = append(w.setup.Inputs, picket.SetupInput{Name: name, Kind: picket.KindRecord, Zones: zones})
		w.intake = append(w.intake, picket.IntakeStep{Start: at(20, 12, 0), Input: name, Accepted: 7})
	}
	r := report(t, w, time.Time{})
	for zone, want := range map[string]int64{"example.com.": 7, "example.org.": 14, "example.net.": 0} {
		for _, c := range r.Cells {
			if c.Zone == zone && c.Kind == picket.KindRecord && c.Seen != want {
				t.Errorf("%+v, want %d seen", c, want)
			}
		}
	}
}
