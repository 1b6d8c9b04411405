package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

var historySeed = flag.Uint64("history.seed", 7, "of random observations")

// historyModes are the ways in which an observation is compared.
var historyModes = []struct {
	name string
	set  func(*zoneHistory)
}{
	{"in memory", func(*zoneHistory) {}},
	{"in the database", func(h *zoneHistory) { h.maxHeld = -1 }},
	{"in memory by turns", func(h *zoneHistory) { h.maxLiving, h.look = 60, 32 }}, // little room: now here, now there
	{"noted", func(h *zoneHistory) { h.look = 32 }},
}

func openHistory(t *testing.T, dir string, set func(*zoneHistory)) *Store {
	s := openTest(t, dir)
	set(&s.history)
	return s
}

func TestConformanceZoneHistory(t *testing.T) {
	for _, mode := range historyModes[:2] {
		t.Run(mode.name, func(t *testing.T) {
			pickettest.ZoneHistory(t,
				func(t *testing.T) *Store { return openHistory(t, t.TempDir(), mode.set) },
				func(t *testing.T, s *Store) *Store {
					dir := s.dir
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					return openHistory(t, dir, mode.set)
				})
		})
	}
}

// historyOf is all that a store knows of zones, without ids and the times of the clock.
func historyOf(t *testing.T, s *Store) (list []string) {
	t.Helper()
	lives, _, err := s.Lives(t.Context(), picket.HistoryFilter{Churn: true, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lives {
		list = append(list, fmt.Sprintf("life %+v", l))
	}
	changes, _, err := s.Changes(t.Context(), picket.HistoryFilter{Churn: true, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		c.ID, c.Received = 0, time.Time{}
		list = append(list, fmt.Sprintf("change %+v", c))
	}
	for _, zone := range []string{"example.org.", "sub.example.org.", "example.net."} {
		versions, err := s.ZoneVersions(t.Context(), zone, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			v.Received = time.Time{}
			list = append(list, fmt.Sprintf("version %+v", v))
		}
	}
	return list
}

// randomRows are records of two zones, of which some repeat and some contradict others.
func randomRows(rnd *rand.Rand, whole bool) (rows []picket.Record) {
	zones := []string{"example.org.", "sub.example.org.", "example.net."}[:1+rnd.IntN(3)]
	for _, zone := range zones {
		say := zone
		if rnd.IntN(4) == 0 {
			say = ""
		}
		add := func(name, rrtype, data string) {
			r := picket.Record{Zone: say, Name: name, Type: rrtype, Class: "IN", TTL: 300, Data: data}
			if rnd.IntN(20) == 0 {
				r.TTL = int64(rnd.IntN(3) * 60)
			}
			if !whole {
				r.Change = []picket.Change{picket.ChangePresent, picket.ChangeAdd, picket.ChangeRemove}[rnd.IntN(3)]
				if rnd.IntN(40) == 0 {
					r.Change = picket.ChangeReplace
				}
				if rnd.IntN(3) == 0 {
					r.Time = hour0.Add(time.Duration(rnd.IntN(60)) * time.Hour)
				}
				r.Author = []string{"", "a", "b"}[rnd.IntN(3)]
			} else if rnd.IntN(100) == 0 {
				r.Change = picket.ChangeRemove
			}
			rows = append(rows, r)
		}
		if rnd.IntN(5) > 0 {
			add(zone, "SOA", fmt.Sprintf("ns. host. %d 1 1 1 1", rnd.IntN(10)))
		}
		for i := range 60 {
			switch n := rnd.IntN(60); {
			case n == 0: // is gone
			case n == 1:
				add(fmt.Sprintf("h%d.%s", i/2, zone), "A", fmt.Sprintf("198.51.100.%d", rnd.IntN(4)))
			case n == 2:
				add(fmt.Sprintf("h%d.%s", i/2, zone), "RRSIG", fmt.Sprintf("A %d", rnd.IntN(4)))
			case n < 30 && !whole:
			default:
				add(fmt.Sprintf("h%d.%s", i/2, zone), "A", fmt.Sprintf("192.0.2.%d", i))
			}
		}
		for range rnd.IntN(4) {
			r := rows[rnd.IntN(len(rows))]
			r.TTL += int64(rnd.IntN(2))
			rows = append(rows, r)
		}
	}
	if rnd.IntN(10) == 0 {
		rows = rows[:rnd.IntN(len(rows))]
	}
	return rows
}

// TestZoneHistoryModes: however an observation is compared, what comes of it is the
// same, with transactions that fail and stores that are opened again in between.
func TestZoneHistoryModes(t *testing.T) {
	const observations = 40
	var want [][]string
	for _, mode := range historyModes {
		t.Run(mode.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(*historySeed, 1))
			dir := t.TempDir()
			s := openHistory(t, dir, mode.set)
			for n := range observations {
				in, err := s.OpenInput(t.Context(), "zones", true)
				if err != nil {
					t.Fatal(err)
				}
				o := &picket.RecordObservation{Source: "zones", Scope: []string{"", "a", "b"}[rnd.IntN(3)], Method: []string{picket.MethodFile, picket.MethodTransfer}[rnd.IntN(2)], Author: "o",
					Whole: rnd.IntN(4) > 0, Partial: rnd.IntN(8) == 0, Time: hour0.Add(time.Duration(n+rnd.IntN(8)) * time.Hour)}
				if rnd.IntN(4) == 0 {
					o.Zone = "example.org."
				}
				rows := randomRows(rnd, o.Whole)
				again, reopen, fail := rnd.IntN(4), rnd.IntN(12) == 0, rnd.IntN(4) == 0
				d := int64(n + 1)
				for half := range 2 {
					part := rows[len(rows)*half/2 : len(rows)*(half+1)/2]
					if err := s.AppendRecords(t.Context(), picket.Origin{Input: in.ID, Delivery: d}, part); err != nil {
						t.Fatal(err)
					}
				}
				k := &picket.IntakeCommit{Input: in.ID, Delivery: d, Closed: d, Records: o}
				if fail {
					never := errors.New("never")
					err := s.write(t.Context(), func(ctx context.Context, c *sql.Conn) error {
						return errors.Join(s.commitIntake(ctx, c, k), never)
					})
					if !errors.Is(err, never) || strings.Contains(err.Error(), "commit") {
						t.Fatal(err)
					}
				}
				if err := s.CommitIntake(t.Context(), k); err != nil {
					t.Fatal(err)
				}
				for range again % 2 { // the same again
					k.Delivery, k.Closed = d+1000, d
					if err := s.AppendRecords(t.Context(), picket.Origin{Input: in.ID, Delivery: k.Delivery}, rows); err != nil {
						t.Fatal(err)
					}
					if err := s.CommitIntake(t.Context(), k); err != nil {
						t.Fatal(err)
					}
				}
				if got := historyOf(t, s); len(want) <= n {
					want = append(want, got)
				} else if !reflect.DeepEqual(got, want[n]) {
					for i := range min(len(got), len(want[n])) {
						if got[i] != want[n][i] {
							t.Fatalf("observation %d %+v:\n%s\nwant\n%s", n, o, got[i], want[n][i])
						}
					}
					t.Fatalf("observation %d %+v: %d lines, want %d", n, o, len(got), len(want[n]))
				}
				if len(s.history.deliveries) > 0 || s.history.bytes != 0 || count(t, s, "records_staged") > 0 {
					t.Fatalf("%d deliveries of %d bytes are left", len(s.history.deliveries), s.history.bytes)
				}
				if reopen {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = openHistory(t, dir, mode.set)
				}
			}
		})
	}
}

// TestHeld: of records that are told again only those are held that differ, and
// after a restart, too. Nothing of a delivery is left when it is withdrawn.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	const n = 3 * firstLook
	observe := func(delivery int64, changed int) {
		t.Helper()
		in, err := s.OpenInput(t.Context(), "zones", true)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < n; i += 2048 {
			rows := make([]picket.Record, 2048)
			for j := range rows {
				rows[j] = benchRow(i+j, "192.0.2.1")
				if i+j >= n-changed {
					rows[j].Data = fmt.Sprintf("192.0.2.%d", delivery)
				}
			}
			if err := s.AppendRecords(t.Context(), picket.Origin{Input: in.ID, Delivery: delivery}, rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	commit := func(delivery int64) {
		t.Helper()
		o := &picket.RecordObservation{Source: "zones", Scope: "f", Method: picket.MethodFile, Whole: true, Time: hour0.Add(time.Duration(delivery) * time.Hour)}
		if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: 1, Delivery: delivery, Closed: delivery, Records: o}); err != nil {
			t.Fatal(err)
		}
	}
	held := func(delivery int64, want int) {
		t.Helper()
		if got := len(s.history.deliveries[delivery].rows); got != want {
			t.Errorf("%d rows held of delivery %d, want %d", got, delivery, want)
		}
	}
	observe(1, 0)
	held(1, n)
	commit(1)
	observe(2, 10)
	held(2, 10)
	commit(2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	observe(3, 10)
	held(3, 10)
	// Another delivery of the scope comes first: what was noted as told again has changed.
	observe(4, 12)
	held(4, 12)
	commit(4)
	commit(3)
	observe(5, 0)
	if err := s.Withdraw(t.Context(), picket.Origin{Input: 1, Delivery: 5}); err != nil {
		t.Fatal(err)
	}
	if len(s.history.deliveries) != 0 || s.history.bytes != 0 {
		t.Errorf("%d deliveries of %d bytes are left", len(s.history.deliveries), s.history.bytes)
	}
	versions, err := s.ZoneVersions(t.Context(), "example.org.", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range versions {
		got = append(got, fmt.Sprintf("%d +%d -%d", v.Records, v.Added, v.Removed))
	}
	if want := []string{"24576 +12 -12", "24576 +12 -12", "24576 +10 -10", "24576 +0 -0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
	if _, living, err := s.Lives(t.Context(), picket.HistoryFilter{Living: true}); living != n || err != nil {
		t.Errorf("%d living, %v", living, err)
	}
}

// TestExpireVersions: old versions go with old changes, but not the newest of a zone
// in a scope, nor the newest with a serial, nor what is on hold; what is observed
// next is still compared with what was known.
func TestExpireVersions(t *testing.T) {
	s := openTest(t, t.TempDir())
	in, err := s.OpenInput(t.Context(), "zones", true)
	if err != nil {
		t.Fatal(err)
	}
	delivery := int64(0)
	observe := func(scope string, days, serial int) {
		t.Helper()
		delivery++
		rows := []picket.Record{benchRow(days, "192.0.2.1")}
		if serial > 0 {
			rows = append(rows, picket.Record{Zone: "example.org.", Name: "example.org.", Type: "SOA", Class: "IN", Data: fmt.Sprintf("ns. host. %d 1 1 1 1", serial)})
		}
		if err := s.AppendRecords(t.Context(), picket.Origin{Input: in.ID, Delivery: delivery}, rows); err != nil {
			t.Fatal(err)
		}
		o := &picket.RecordObservation{Source: "zones", Scope: scope, Method: picket.MethodFile, Whole: true, Time: hour0.AddDate(0, 0, days)}
		if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: delivery, Closed: delivery, Records: o}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(list ...string) {
		t.Helper()
		versions, err := s.ZoneVersions(t.Context(), "example.org.", 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range versions {
			got = append(got, fmt.Sprintf("%s day %v serial %d", v.Scope, v.Time.Sub(hour0).Hours()/24, v.Serial))
		}
		if !reflect.DeepEqual(got, list) {
			t.Errorf("versions\n%q\nwant\n%q", got, list)
		}
	}
	observe("a", 1, 1)
	observe("a", 2, 2)
	observe("b", 3, 7)
	observe("a", 4, 0)
	observe("a", 5, 0)
	if _, err := s.PlaceHold(t.Context(), Hold{Kind: KeptChanges, Since: hour0, Until: hour0.AddDate(0, 0, 2), Reason: "r", By: "b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expire(t.Context(), KeptChanges, hour0.AddDate(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	want("a day 5 serial 0", "b day 3 serial 7", "a day 2 serial 2", "a day 1 serial 1")
	observe("b", 12, 8)
	want("b day 12 serial 8", "a day 5 serial 0", "b day 3 serial 7", "a day 2 serial 2", "a day 1 serial 1")
	list, _, err := s.Changes(t.Context(), picket.HistoryFilter{Churn: true, Type: "SOA", Since: hour0.AddDate(0, 0, 12)})
	if err != nil || len(list) != 1 || list[0].SerialFrom != 7 || list[0].SerialTo != 8 {
		t.Errorf("%+v, %v", list, err)
	}
}
