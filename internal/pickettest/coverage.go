package pickettest

import (
	"context"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// CoverageStore is what the conformance tests of coverage need of a store.
type CoverageStore interface {
	IntakeStore
	picket.CoverageStore
	picket.CoverageKeeper
}

// Coverage tests what a store keeps for coverage. open opens an empty store whose
// clock shows now. seal moves what it can out of the recent history, or does nothing.
func Coverage[S CoverageStore](t *testing.T, open func(*testing.T, func() time.Time) S, seal func(*testing.T, S)) {
	t0 := time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)
	now := func() time.Time { return t0.Add(3*time.Hour + 10*time.Second) }
	t.Run("activity", func(t *testing.T) {
		s := open(t, now)
		in := openInput(t, s, "ns1 log", true)
		server := netip.MustParseAddr("2001:db8::53")
		put := func(delivery int64, at time.Duration, change func(*picket.Query)) {
			q, states, zones, _ := QueryBatch(int(delivery)*10, 2)
			for i := range q {
				q[i].Time, q[i].Server, q[i].Flags = t0.Add(at).UnixNano(), server, picket.FlagFlags|picket.FlagResponse
				change(&q[i])
			}
			origins := []picket.Origin{{Input: in.ID, Delivery: delivery}, {Input: in.ID, Delivery: delivery}}
			if err := s.AppendQueries(t.Context(), q, states, zones, origins); err != nil {
				t.Fatal(err)
			}
		}
		put(1, 0, func(*picket.Query) {})
		put(1, 30*time.Second, func(q *picket.Query) { q.Rcode, q.Transport = picket.RcodeUnknown, picket.TransportUnknown })
		put(1, 61*time.Second, func(q *picket.Query) { q.Client, q.Flags = netip.Addr{}, 0 })
		put(1, 2*time.Hour, func(q *picket.Query) { q.Sensor = "b'x\x00" })
		put(2, 0, func(*picket.Query) {}) // never committed
		commit(t, s, &picket.IntakeCommit{Input: in.ID, Delivery: 1, Closed: 1, Add: picket.InputCounts{Accepted: 8}})
		cell := func(at time.Duration, n, client, rcode, flags, response, transport int64) picket.Activity {
			return picket.Activity{Start: t0.Add(at), Input: "ns1 log", Server: "2001:db8::53", Sensor: "ns1", Zone: "example.com.", Count: n,
				WithClient: client, WithRcode: rcode, WithFlags: flags, WithResponse: response, WithTransport: transport}
		}
		other := cell(2*time.Hour, 2, 2, 2, 2, 2, 2)
		minutes := []picket.Activity{cell(0, 4, 4, 2, 4, 4, 2), cell(time.Minute, 2, 0, 2, 0, 0, 2), other}
		hours := []picket.Activity{cell(0, 6, 4, 4, 4, 4, 4), other}
		for _, when := range []string{"recent", "sealed"} {
			for step, want := range map[time.Duration][]picket.Activity{time.Minute: minutes, time.Hour: hours} {
				got, err := s.Activity(t.Context(), t0, t0.Add(3*time.Hour), step)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) > 0 {
					want[len(want)-1].Sensor = got[len(got)-1].Sensor // the store's way with a NUL
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s, by %s:\n got %+v\nwant %+v", when, step, got, want)
				}
			}
			if got, err := s.Activity(t.Context(), t0.Add(time.Minute), t0.Add(2*time.Hour), time.Minute); err != nil || len(got) != 1 || got[0] != minutes[1] {
				t.Errorf("%s, part: %+v, %v", when, got, err)
			}
			if err := s.Withdraw(t.Context(), picket.Origin{Input: in.ID, Delivery: 2}); err != nil {
				t.Fatal(err)
			}
			commit(t, s, &picket.IntakeCommit{Input: in.ID, Closed: 2})
			seal(t, s)
		}
	})
	t.Run("intake steps", func(t *testing.T) {
		clock := t0
		s := open(t, func() time.Time { return clock })
		a, b := openInput(t, s, "a", true), openInput(t, s, "b", true)
		add := func(in picket.InputState, accepted int64, delay time.Duration) {
			commit(t, s, &picket.IntakeCommit{Input: in.ID, Delay: int64(delay), Add: picket.InputCounts{Accepted: accepted,
				Rejected: map[string]int64{"bad name": 1}, Dropped: map[string]int64{"x": 2, "y": 3}}})
		}
		add(a, 5, 3*time.Second)
		add(a, 6, -time.Second)
		add(b, 7, 0)
		clock = t0.Add(59 * time.Second)
		add(a, 1, 9*time.Second)
		clock = t0.Add(61 * time.Second)
		add(a, 2, 0)
		commit(t, s, &picket.IntakeCommit{Input: a.ID}) // nothing
		want := []picket.IntakeStep{
			{Start: t0, Input: "a", Accepted: 12, Rejected: 3, Dropped: 15, MinDelay: int64(-time.Second), MaxDelay: int64(9 * time.Second)},
			{Start: t0, Input: "b", Accepted: 7, Rejected: 1, Dropped: 5},
			{Start: t0.Add(time.Minute), Input: "a", Accepted: 2, Rejected: 1, Dropped: 5},
		}
		got, err := s.IntakeSteps(t.Context(), t0, t0.Add(time.Hour), time.Minute)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	})
	t.Run("setups, runs and servers' counts", func(t *testing.T) {
		s := open(t, now)
		ctx := context.Background()
		if list, err := s.Setups(ctx, t0, t0.Add(time.Hour)); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		setup := func(at time.Duration, input string) picket.Setup {
			return picket.Setup{Time: t0.Add(at), Inputs: []picket.SetupInput{{Name: input, Kind: picket.KindQuery, Live: true, Expect: time.Minute}},
				Zones: []picket.SetupZone{{Name: "example.com.", Delegation: []string{"ns1.example.com."}}}, Detectors: []string{"brute-force"}}
		}
		for _, v := range []picket.Setup{setup(0, "a"), setup(time.Minute, "a"), setup(time.Hour, "b'"), setup(2*time.Hour, "a")} {
			if err := s.PutSetup(ctx, &v); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Setups(ctx, t0.Add(30*time.Minute), t0.Add(90*time.Minute))
		if want := []picket.Setup{setup(0, "a"), setup(time.Hour, "b'")}; err != nil || !reflect.DeepEqual(list, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, list, want)
		}
		if list, err = s.Setups(ctx, t0.Add(-time.Hour), t0); err != nil || len(list) != 0 {
			t.Errorf("before the first: %+v, %v", list, err)
		}
		for _, b := range [][2]time.Duration{{0, 0}, {0, time.Hour}, {2 * time.Hour, 2 * time.Hour}, {2 * time.Hour, 3 * time.Hour}} {
			if err := s.Beat(ctx, t0.Add(b[0]), t0.Add(b[1])); err != nil {
				t.Fatal(err)
			}
		}
		runs, err := s.Uptimes(ctx, t0, t0.Add(150*time.Minute))
		if want := []picket.Uptime{{From: t0, To: t0.Add(time.Hour)}, {From: t0.Add(2 * time.Hour), To: t0.Add(3 * time.Hour)}}; err != nil || !reflect.DeepEqual(runs, want) {
			t.Errorf("%v, %+v", err, runs)
		}
		if runs, _ = s.Uptimes(ctx, t0.Add(70*time.Minute), t0.Add(80*time.Minute)); len(runs) != 0 {
			t.Errorf("between runs: %+v", runs)
		}
		counts := []picket.ServerCount{{Start: t0, Server: "ns1.example.com.", Queries: 5}, {Start: t0.Add(time.Minute), Server: "ns1.example.com.", Queries: 6}}
		if err := s.PutServerCounts(ctx, counts); err != nil {
			t.Fatal(err)
		}
		got, err := s.ServerCounts(ctx, t0, t0.Add(time.Hour), time.Hour)
		if want := []picket.ServerCount{{Start: t0, Server: "ns1.example.com.", Queries: 11}}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %+v", err, got)
		}
	})
	t.Run("retained", func(t *testing.T) {
		s := open(t, now)
		q, states, zones, _ := QueryBatch(0, 10)
		if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.AppendEvents(t.Context(), picket.Origin{}, []picket.EventRow{{Kind: picket.KindAsset, Time: t0.UnixNano(), Data: []byte(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		if err := s.AppendSightings(t.Context(), picket.Origin{}, []picket.Sighting{{Name: "a.example.com.", Type: "A", Data: []string{"192.0.2.1"},
			Count: 1, FirstSeen: t0, LastSeen: t0.Add(time.Hour), Channel: picket.SightingPassiveDNS}}); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"recent", "sealed"} {
			list, err := s.Retained(t.Context())
			if err != nil || len(list) != 9 {
				t.Fatalf("%s: %+v, %v", when, list, err)
			}
			if r := list[0]; r.Kind != picket.KindQuery || r.Rows != 10 || r.Oldest.UnixNano() != q[0].Time || r.Newest.UnixNano() != q[9].Time {
				t.Errorf("%s: %+v", when, r)
			}
			if r := list[2]; r.Kind != picket.KindSighting || r.Rows != 1 || !r.Oldest.Equal(t0) || !r.Newest.Equal(t0.Add(time.Hour)) {
				t.Errorf("%s: %+v", when, r)
			}
			if r := list[4]; r.Kind != picket.KindAsset || r.Rows != 1 || !r.Oldest.Equal(t0) {
				t.Errorf("%s: %+v", when, r)
			}
			for _, r := range list {
				if r.Rows > 0 && when == "sealed" && r.Kind != "activity" && !r.Since.Equal(r.Oldest) {
					t.Errorf("%s: noted %s: %+v", when, r.Since, r)
				}
			}
			if err := s.NoteRetained(t.Context()); err != nil {
				t.Fatal(err)
			}
			seal(t, s)
		}
	})
}
