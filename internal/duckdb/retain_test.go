package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// clocked opens a store whose wall clock is *now.
func clocked(t *testing.T, dir string, now *time.Time) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// event is a row whose data says its name.
func event(kind picket.Kind, when time.Time, name string) picket.EventRow {
	r := picket.EventRow{Kind: kind, Name: name, Data: fmt.Appendf(nil, `{"title":%q}`, name)}
	if !when.IsZero() {
		r.Time = when.UnixNano()
	}
	return r
}

func put(t *testing.T, s *Store, at picket.Origin, rows ...picket.EventRow) {
	t.Helper()
	if err := s.AppendEvents(t.Context(), at, rows); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, s *Store, f EventFilter) string {
	t.Helper()
	list, err := s.Events(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var b []string
	for _, e := range list {
		b = append(b, e.Name)
	}
	return strings.Join(b, " ")
}

var day0 = time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC)

// TestSealEvents: telemetry other than queries goes into segments by kind and day of
// reception, and is read the same before and after.
func TestSealEvents(t *testing.T) {
	dir, now := t.TempDir(), day0
	s := clocked(t, dir, &now)
	hostile := "x'); DROP TABLE events; --."
	put(t, s, picket.Origin{}, event(picket.KindSignal, day0.Add(time.Second), "a.example."), event(picket.KindSignal, day0.Add(-400*24*time.Hour), "old.example."),
		event(picket.KindAsset, time.Time{}, "b.example."), event(picket.KindAdminEvent, day0.Add(time.Minute), hostile))
	put(t, s, picket.Origin{Input: 1, Delivery: 7}, event(picket.KindAsset, day0, "open.example."))
	now = day0.Add(24 * time.Hour)
	put(t, s, picket.Origin{}, event(picket.KindSignal, now, "c.example."))
	appendAt(t, s, 0, 5)

	filters := map[string]EventFilter{
		"c.example. " + hostile + " a.example. b.example. old.example.": {},
		"c.example. a.example. old.example.":                            {Kind: picket.KindSignal},
		"c.example. a.example.":                                         {Kind: picket.KindSignal, Limit: 2},
		"a.example.":                                                    {Kind: picket.KindSignal, Since: day0.Add(time.Second), Until: day0.Add(time.Second + 1)},
		"b.example.":                                                    {Name: "b.example"},
		hostile:                                                         {Kind: picket.KindAdminEvent, Name: hostile},
	}
	check := func(when string) {
		t.Helper()
		for want, f := range filters {
			if got := names(t, s, f); got != want {
				t.Errorf("%s, %+v: %s; want %s", when, f, got, want)
			}
		}
	}
	check("before")
	sealed, err := s.Seal(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, g := range sealed {
		paths = append(paths, fmt.Sprintf("%s %s %d", g.Kind, g.Path, g.Rows))
	}
	// The day of the asset waits for its open delivery; today is not over.
	want := []string{
		"query 2026/03/14/2026-03-14T15Z-0001.parquet 5",
		"admin-event admin-event/2026/03/2026-03-14-0001.parquet 1",
		"signal signal/2026/03/2026-03-14-0001.parquet 2",
	}
	if !reflect.DeepEqual(paths, want) {
		t.Errorf("sealed %q, want %q", paths, want)
	}
	check("sealed")
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: 1, Delivery: 7, Closed: 6}); err != nil {
		t.Fatal(err)
	}
	if sealed, err = s.Seal(t.Context(), now); err != nil || len(sealed) != 1 || sealed[0].Path != "asset/2026/03/2026-03-14-0001.parquet" || sealed[0].Rows != 2 {
		t.Errorf("after the commit: %+v, %v", sealed, err)
	}
	if got := names(t, s, EventFilter{Kind: picket.KindAsset}); got != "b.example. open.example." && got != "open.example. b.example." {
		t.Errorf("assets: %s", got)
	}
	// Queries are read, and counted, without the other kinds' files.
	if rows := readAll(t, s); len(rows) != 5 {
		t.Errorf("%d queries", len(rows))
	}
	if n := count(t, s, "queries"); n != 5 {
		t.Errorf("%d queries in the view", n)
	}
	if r := verify(t, s); r.Segments != 4 {
		t.Errorf("ledger: %+v", r)
	}
	s.Close()
	s = clocked(t, dir, &now)
	if got := names(t, s, EventFilter{Kind: picket.KindSignal}); got != "c.example. a.example. old.example." {
		t.Errorf("opened again: %s", got)
	}
	if n := count(t, s, "queries"); n != 5 {
		t.Errorf("%d queries in the view, opened again", n)
	}
}

// TestSealEventsInterrupted: at whatever step a crash comes, each event is there once.
func TestSealEventsInterrupted(t *testing.T) {
	for _, step := range []string{"planned", "exported", "synced", "renamed", "recorded"} {
		t.Run(step, func(t *testing.T) {
			dir, now := t.TempDir(), day0
			s := clocked(t, dir, &now)
			put(t, s, picket.Origin{}, event(picket.KindSignal, day0, "a.example."), event(picket.KindSignal, day0, "b.example."))
			now = now.Add(24 * time.Hour)
			boom := errors.New("injected")
			s.failAt = func(at string) error {
				if at == step {
					return boom
				}
				return nil
			}
			if _, err := s.Seal(t.Context(), now); !errors.Is(err, boom) {
				t.Fatal(err)
			}
			s.Close()
			s = clocked(t, dir, &now)
			verify(t, s)
			if got := names(t, s, EventFilter{}); len(strings.Fields(got)) != 2 {
				t.Errorf("after the crash: %s", got)
			}
			if _, err := s.Seal(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if got := names(t, s, EventFilter{}); len(strings.Fields(got)) != 2 {
				t.Errorf("sealed: %s", got)
			}
			if r := verify(t, s); r.Segments != 1 || len(files(t, s)) != 1 {
				t.Errorf("%+v, files %v", r, files(t, s))
			}
		})
	}
}

// TestHoldRange: what a hold is on stays, whether it was there when the hold was
// placed or came later, whether it is a file or a row; and it goes after the release.
func TestHoldRange(t *testing.T) {
	dir, now := t.TempDir(), day0
	s := clocked(t, dir, &now)
	signals := func(day int) {
		now = day0.Add(time.Duration(day) * 24 * time.Hour)
		put(t, s, picket.Origin{}, event(picket.KindSignal, now, fmt.Sprintf("d%d.example.", day)))
	}
	quarantine := func(day int) {
		now = day0.Add(time.Duration(day) * 24 * time.Hour)
		k := &picket.IntakeCommit{Input: 1, Quarantine: []picket.QuarantinedRecord{{Stream: "s", Format: "f", Reason: "bad", Record: []byte("x")}}}
		if err := s.CommitIntake(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	signals(0)
	signals(1)
	now = day0.Add(24 * time.Hour)
	if _, err := s.Seal(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	h, err := s.PlaceHold(t.Context(), Hold{Kind: KeptAll, Since: day0.Add(20 * time.Hour), Until: day0.Add(50 * time.Hour), Reason: "case 7 <b>", By: "alice"})
	if err != nil || h.ID != 1 {
		t.Fatal(h, err)
	}
	signals(2) // not there yet when the hold was placed
	signals(3)
	for d := range 4 {
		quarantine(d)
	}
	now = day0.Add(90 * 24 * time.Hour)
	if _, err := s.Seal(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	r, err := s.Retain(t.Context(), KeptSignals, now)
	if err != nil || len(r.Removed) != 2 || len(r.Held) != 2 || r.Held[0].Path != "signal/2026/03/2026-03-15-0001.parquet" || r.Held[1].Path != "signal/2026/03/2026-03-16-0001.parquet" {
		t.Errorf("%+v, %v", r, err)
	}
	if got := names(t, s, EventFilter{}); got != "d2.example. d1.example." {
		t.Errorf("left: %s", got)
	}
	x, err := s.Expire(t.Context(), KeptQuarantine, now)
	if err != nil || x != (Expired{Rows: 2, Held: 2}) {
		t.Errorf("%+v, %v", x, err)
	}
	verify(t, s)
	kept, err := s.Kept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		switch k.Kind {
		case KeptSignals:
			if k.Segments != 2 || k.Held != 2 || k.Sealed != 2 || !k.Oldest.Equal(day0.Add(24*time.Hour)) || !k.Newest.Equal(day0.Add(48*time.Hour)) ||
				len(k.Removed) != 2 || k.Removed[1].Path != "signal/2026/03/2026-03-14-0001.parquet" || k.Removed[1].Rows != 1 || len(k.Removed[1].SHA256) != 64 {
				t.Errorf("%+v", k)
			}
		case KeptQuarantine:
			if k.Rows != 2 || len(k.Removed) != 1 || k.Removed[0].Rows != 2 || k.Removed[0].OlderThan != "2026-06-12T10:00:00Z" {
				t.Errorf("%+v", k)
			}
		}
	}
	if err := s.ReleaseHold(t.Context(), 1, "bob", "case 7 is closed"); err != nil {
		t.Fatal(err)
	}
	if err := s.ReleaseHold(t.Context(), 1, "bob", "again"); !errors.Is(err, picket.ErrNotFound) {
		t.Errorf("released twice: %v", err)
	}
	if r, err := s.Retain(t.Context(), KeptSignals, now); err != nil || len(r.Removed) != 2 {
		t.Errorf("after the release: %+v, %v", r, err)
	}
	if x, err := s.Expire(t.Context(), KeptQuarantine, now); err != nil || x != (Expired{Rows: 2}) {
		t.Errorf("after the release: %+v, %v", x, err)
	}
	// Nothing to remove is nothing to be written down.
	before := verify(t, s).Entries
	if x, err := s.Expire(t.Context(), KeptQuarantine, now); err != nil || x != (Expired{}) || verify(t, s).Entries != before {
		t.Errorf("%+v, %v", x, err)
	}
	holds, err := s.Holds(t.Context())
	if err != nil || len(holds) != 1 || holds[0].By != "alice" || holds[0].Reason != "case 7 <b>" || holds[0].ReleasedBy != "bob" || holds[0].ReleaseReason != "case 7 is closed" {
		t.Errorf("%+v, %v", holds, err)
	}
}

func TestHoldRefused(t *testing.T) {
	now := day0
	s := clocked(t, t.TempDir(), &now)
	good := Hold{Kind: KeptQueries, Since: day0, Until: day0.Add(time.Hour), Reason: "r", By: "b"}
	for name, change := range map[string]func(*Hold){
		"kind": func(h *Hold) { h.Kind = "queries" }, "range": func(h *Hold) { h.Until = h.Since },
		"reason": func(h *Hold) { h.Reason = "" }, "who": func(h *Hold) { h.By = "" },
	} {
		h := good
		change(&h)
		if _, err := s.PlaceHold(t.Context(), h); !errors.Is(err, picket.ErrBadValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.ReleaseHold(t.Context(), 1, "b", "r"); !errors.Is(err, picket.ErrNotFound) {
		t.Errorf("released none: %v", err)
	}
	for _, kind := range []string{"hold-placed", "rows-removed", "segment-removed"} {
		if _, err := s.AppendLedger(t.Context(), kind, 1); !errors.Is(err, picket.ErrBadValue) {
			t.Errorf("somebody else appended %s: %v", kind, err)
		}
	}
	if r := verify(t, s); r.Entries != 0 {
		t.Errorf("%d entries for what was refused", r.Entries)
	}
}

// TestHoldTampered: the ledger knows of a hold that was lifted beside it.
func TestHoldTampered(t *testing.T) {
	for _, q := range []string{`DELETE FROM holds`, `UPDATE holds SET released = 'x'`, `UPDATE holds SET until = since`,
		`INSERT INTO holds SELECT 2, kind, since, until, reason, placed, placed_by, '', '', '' FROM holds`} {
		now := day0
		s := clocked(t, t.TempDir(), &now)
		if _, err := s.PlaceHold(t.Context(), Hold{Kind: KeptQueries, Since: day0, Until: day0.Add(time.Hour), Reason: "r", By: "b"}); err != nil {
			t.Fatal(err)
		}
		verify(t, s)
		if _, err := s.db.ExecContext(context.Background(), q); err != nil {
			t.Fatal(err)
		}
		var le *LedgerError
		if _, err := s.VerifyLedger(t.Context()); !errors.As(err, &le) || !strings.Contains(err.Error(), "legal hold") {
			t.Errorf("%s: %v", q, err)
		}
	}
}

// TestExpireFindings: only findings that are closed grow old.
func TestExpireFindings(t *testing.T) {
	now := day0
	s := clocked(t, t.TempDir(), &now)
	for id, open := range map[string]bool{"open": true, "closed": false} {
		f := &picket.Finding{ID: id, FirstSeen: day0, LastSeen: day0.Add(time.Minute)}
		if err := s.PutFinding(t.Context(), f, open); err != nil {
			t.Fatal(err)
		}
	}
	if x, err := s.Expire(t.Context(), KeptFindings, day0.Add(time.Minute)); err != nil || x.Rows != 0 {
		t.Errorf("too early: %+v, %v", x, err)
	}
	if x, err := s.Expire(t.Context(), KeptFindings, day0.Add(time.Hour)); err != nil || x != (Expired{Rows: 1}) {
		t.Errorf("%+v, %v", x, err)
	}
	if list, _, err := s.Findings(t.Context(), picket.FindingFilter{}); err != nil || len(list) != 1 || list[0].ID != "open" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestEmptySegmentMoves: the file of a store that an earlier version has written.
func TestEmptySegmentMoves(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	s.Close()
	old := filepath.Join(dir, segmentsDir, oldEmptyName)
	b, err := os.ReadFile(filepath.Join(dir, segmentsDir, filepath.FromSlash(emptyName)))
	if err == nil {
		err = os.WriteFile(old, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	if m, _ := filepath.Glob(old); len(m) != 0 {
		t.Error("the old file is still there")
	}
	if n := count(t, s, "queries"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// TestExpireSightings: sightings last seen too long ago go, those that a hold is on stay.
func TestExpireSightings(t *testing.T) {
	now := day0
	s := clocked(t, t.TempDir(), &now)
	var rows []picket.Sighting
	for i := range 4 {
		at := day0.Add(time.Duration(i) * 24 * time.Hour)
		rows = append(rows, picket.Sighting{Name: fmt.Sprintf("d%d.example.", i), Type: "A", Data: []string{"192.0.2.1"}, Count: 1,
			FirstSeen: at, LastSeen: at, Channel: picket.SightingPassiveDNS})
	}
	if err := s.AppendSightings(t.Context(), picket.Origin{}, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PlaceHold(t.Context(), Hold{Kind: KeptSightings, Since: day0.Add(20 * time.Hour), Until: day0.Add(30 * time.Hour), Reason: "r", By: "b"}); err != nil {
		t.Fatal(err)
	}
	x, err := s.Expire(t.Context(), KeptSightings, day0.Add(60*time.Hour))
	if err != nil || x != (Expired{Rows: 2, Held: 1}) {
		t.Errorf("%+v, %v", x, err)
	}
	kept, err := s.Kept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		if k.Kind == KeptSightings && (k.Rows != 2 || !k.Oldest.Equal(day0.Add(24*time.Hour)) || !k.Newest.Equal(day0.Add(72*time.Hour)) || len(k.Removed) != 1 || k.Removed[0].Rows != 2 ||
			k.HeldRows != 1 || k.Removed[0].Held != 1) {
			t.Errorf("%+v", k)
		}
	}
	verify(t, s)
}

// TestExpireDays: what was counted by the minute goes in whole days, and stays while a
// hold is on it.
func TestExpireDays(t *testing.T) {
	now := day0
	s := clocked(t, t.TempDir(), &now)
	midnight := day0.Truncate(24 * time.Hour)
	for d := range 4 {
		for _, at := range []time.Duration{0, 10 * time.Hour, 23*time.Hour + 59*time.Minute} {
			now = midnight.Add(time.Duration(d)*24*time.Hour + at)
			if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: 1, Add: picket.InputCounts{Accepted: 1, LastSeen: now.UnixNano(), FirstSeen: now.UnixNano()}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := count(t, s, "intake_steps"); n != 12 {
		t.Fatalf("%d steps, want 12", n)
	}
	if _, err := s.PlaceHold(t.Context(), Hold{Kind: KeptIntake, Since: midnight.Add(24 * time.Hour), Until: midnight.Add(30 * time.Hour), Reason: "r", By: "b"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		older time.Duration
		want  Expired
	}{{23 * time.Hour, Expired{}}, {24 * time.Hour, Expired{Rows: 3}}, {71 * time.Hour, Expired{Rows: 2, Held: 1}}, {72 * time.Hour, Expired{Rows: 3, Held: 1}}} {
		if x, err := s.Expire(t.Context(), KeptIntake, midnight.Add(c.older)); err != nil || x != c.want {
			t.Errorf("older than %s: %+v, %v; want %+v", c.older, x, err, c.want)
		}
	}
	kept, err := s.Kept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k := kept[len(kept)-1]; k.Kind != KeptIntake || k.Rows != 4 || k.HeldRows != 1 || len(k.Removed) != 3 || k.Removed[0].Rows != 3 || k.Removed[0].Held != 1 || !k.Oldest.Equal(midnight.Add(24*time.Hour)) {
		t.Errorf("%+v", k)
	}
	verify(t, s)
}

// TestExpireChanges: lives that have ended and changes go, what is there stays.
func TestExpireChanges(t *testing.T) {
	now := day0
	s := clocked(t, t.TempDir(), &now)
	observe := func(delivery int64, at time.Time, data string) {
		t.Helper()
		rows := []picket.Record{{Zone: "example.", Name: "www.example.", Type: "A", Class: "IN", TTL: 300, Data: data}}
		origin := picket.Origin{Input: 1, Delivery: delivery}
		if err := s.AppendRecords(t.Context(), origin, rows); err != nil {
			t.Fatal(err)
		}
		k := &picket.IntakeCommit{Input: 1, Delivery: delivery, Closed: delivery,
			Records: &picket.RecordObservation{Source: "s", Scope: "example.", Method: picket.MethodFile, Whole: true, Time: at}}
		if err := s.CommitIntake(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	observe(1, day0, "192.0.2.1")
	observe(2, day0.Add(time.Hour), "192.0.2.2")
	if n := count(t, s, "record_lives"); n != 2 {
		t.Fatalf("%d lives", n)
	}
	if x, err := s.Expire(t.Context(), KeptChanges, day0.Add(30*time.Minute)); err != nil || x.Rows > 1 {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := s.Expire(t.Context(), KeptChanges, day0.Add(2*time.Hour)); err != nil {
		t.Error(err)
	}
	if lives, changes := count(t, s, "record_lives"), count(t, s, "record_changes"); lives != 1 || changes != 0 {
		t.Errorf("%d lives and %d changes are left, want the one that is there", lives, changes)
	}
	verify(t, s)
}
