package coverage_test

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/coverage"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/duckdb"
)

// storeFeed is a name server's log, of ten queries a minute on average.
type storeFeed struct {
	name, server string
	addr         netip.Addr
	rcode        picket.Rcode
	skew         time.Duration
	silent       func(time.Time) bool
}

// TestCoverageScenarioStored is the scenario through the embedded store, most of
// it sealed: query by query, with deliveries and their commits.
func TestCoverageScenarioStored(t *testing.T) {
	if testing.Short() {
		t.Skip("stores two days of queries")
	}
	now := time.Date(2026, 3, 20, 18, 0, 0, 0, time.UTC)
	start := now.Add(-42 * time.Hour)
	gap, stop := time.Date(2026, 3, 19, 2, 10, 0, 0, time.UTC), time.Date(2026, 3, 20, 15, 0, 0, 0, time.UTC)
	clock := start
	s, err := duckdb.Open(t.Context(), duckdb.Options{Dir: t.TempDir(), Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	feeds := []storeFeed{
		{"ns1 log", "ns1.example.com.", netip.MustParseAddr("192.0.2.1"), picket.RcodeNoError, 90 * time.Second, func(at time.Time) bool { return !at.Before(stop) }},
		{"ns2 log", "ns2.example.com.", netip.MustParseAddr("2001:db8::2"), picket.RcodeUnknown, 0,
			func(at time.Time) bool { return !at.Before(gap) && at.Before(gap.Add(10*time.Minute)) }},
	}
	setup := picket.Setup{Time: start, Detectors: []string{"brute-force"},
		Zones: []picket.SetupZone{{Name: "example.com.", Delegation: []string{"ns1.example.com.", "ns2.example.com.", "ns3.example.com."}}}}
	for _, f := range feeds {
		setup.Servers = append(setup.Servers, picket.SetupServer{Name: f.server, Addresses: []string{f.addr.String()}})
		setup.Inputs = append(setup.Inputs, picket.SetupInput{Name: f.name, Kind: picket.KindQuery, Server: f.server, Live: true})
	}
	if err := s.PutSetup(t.Context(), &setup); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	delivery := int64(0)
	for _, f := range feeds {
		in, err := s.OpenInput(t.Context(), f.name, true)
		if err != nil {
			t.Fatal(err)
		}
		for ; clock.Before(now); clock = clock.Add(10 * time.Minute) {
			delivery++
			fill(t, s, r, &f, picket.Origin{Input: in.ID, Delivery: delivery}, clock)
		}
		clock = start
	}
	clock = now
	if err := s.Beat(t.Context(), start, now); err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(t.Context(), now)
	if err != nil || len(sealed) < 40 {
		t.Fatalf("%d segments, %v", len(sealed), err)
	}
	rep := coverage.New(coverage.Options{Store: s, Setup: func() picket.Setup { return setup }, Now: func() time.Time { return now },
		Detectors: []coverage.Needs{{Name: "brute-force", Levels: "QR"}}, ZoneKnown: func(string) bool { return true }})
	got, err := rep.Coverage(t.Context(), picket.CoverageFilter{From: start, To: now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Problems {
		got.Problems[i].Text = ""
	}
	want := []picket.CoverageProblem{
		{Code: "feed-silent", Zone: "example.com.", Server: "ns1.example.com.", Input: "ns1 log", From: stop, To: now},
		{Code: "never-configured", Zone: "example.com.", Server: "ns3.example.com."},
		{Code: "gap", Zone: "example.com.", Server: "ns2.example.com.", Input: "ns2 log", From: gap, To: gap.Add(10 * time.Minute)},
		{Code: "field-missing", Server: "ns2.example.com.", Input: "ns2 log"},
		{Code: "clock-skew", Server: "ns1.example.com.", Input: "ns1 log"},
	}
	if !reflect.DeepEqual(got.Problems, want) {
		t.Errorf("\n got %+v\nwant %+v", got.Problems, want)
	}
	a, err := rep.CouldSee(t.Context(), "brute-force", picket.CoverageFilter{Zone: "example.com.", From: gap, To: gap.Add(10 * time.Minute)})
	if err != nil || a.Answer != "partly" {
		t.Errorf("%+v, %v", a, err)
	}
}

// fill takes in ten minutes of a feed, in one delivery.
func fill(t *testing.T, s *duckdb.Store, r *rand.Rand, f *storeFeed, at picket.Origin, from time.Time) {
	t.Helper()
	var q []picket.Query
	var states []picket.NameState
	var zones []string
	var origins []picket.Origin
	for ms := r.IntN(12_000); ms < 600_000; ms += r.IntN(12_000) {
		when := from.Add(time.Duration(ms) * time.Millisecond)
		if f.silent(when) {
			continue
		}
		q = append(q, picket.Query{Time: when.UnixNano(), Client: netip.AddrFrom4([4]byte{198, 51, 100, byte(ms)}), Server: f.addr,
			Transport: picket.TransportUDP, Type: 1, Class: 1, Rcode: f.rcode, Flags: picket.FlagFlags | picket.FlagResponse, Name: dnsname.MustParse("www.example.com")})
		states, zones, origins = append(states, picket.StateLive), append(zones, "example.com."), append(origins, at)
	}
	if len(q) == 0 {
		return
	}
	if err := s.AppendQueries(t.Context(), q, states, zones, origins); err != nil {
		t.Fatal(err)
	}
	err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: at.Input, Delivery: at.Delivery, Closed: at.Delivery, Delay: int64(time.Second - f.skew),
		Add: picket.InputCounts{Accepted: int64(len(q)), FirstSeen: q[0].Time, LastSeen: q[len(q)-1].Time}})
	if err != nil {
		t.Fatal(err)
	}
}
