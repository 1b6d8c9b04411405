package duckdb

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestWhatIsMissingShows: rows that retention has removed are not missed; rows that
// went any other way are.
func TestWhatIsMissingShows(t *testing.T) {
	day := 24 * time.Hour
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	clock := start
	s := openTest(t, t.TempDir(), func(o *Options) { o.Now = func() time.Time { return clock } })
	for i := range 6 {
		clock = start.Add(time.Duration(i) * day)
		q, states, zones, _ := pickettest.QueryBatch(i*10, 1)
		q[0].Time = clock.UnixNano()
		if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.AppendSightings(t.Context(), picket.Origin{}, []picket.Sighting{{Name: "a.example.com.", Type: "A", Data: []string{"192.0.2.1"},
			Count: 1, FirstSeen: clock, LastSeen: clock, Channel: picket.SightingPassiveDNS}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Seal(t.Context(), clock.Add(4*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.NoteRetained(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CompactSightings(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(when string, kind picket.Kind, oldest, since, expired time.Time) {
		t.Helper()
		list, err := s.Retained(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.Kind == kind && (!r.Oldest.Equal(oldest) || !r.Since.Equal(since) || !r.Expired.Equal(expired)) {
				t.Errorf("%s: oldest %s, since %s, expired %s", when, r.Oldest, r.Since, r.Expired)
			}
		}
	}
	check("all there", picket.KindQuery, start, start, time.Time{})
	check("merged", picket.KindSighting, start, start, time.Time{})
	if _, err := s.Retain(t.Context(), KeptQueries, start.Add(2*day)); err != nil {
		t.Fatal(err)
	}
	check("removed by retention", picket.KindQuery, start.Add(2*day), time.Time{}, start.Add(2*day))
	if err := s.NoteRetained(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("noted anew", picket.KindQuery, start.Add(2*day), start.Add(2*day), start.Add(2*day))
	// Something else takes a day away.
	err := s.write(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `UPDATE segments SET removed = true WHERE hour = make_timestamp_ns(?)`, start.Add(2*day).UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	check("gone", picket.KindQuery, start.Add(3*day), start.Add(2*day), start.Add(2*day))
	// A merge takes the kept times along.
	if err := s.NoteRetained(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("times of runs kept", picket.KindSighting, start, start, time.Time{})
	var runs, times int
	if err := s.db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM sighting_runs), (SELECT count(*) FROM sighting_run_times)`).Scan(&runs, &times); err != nil || runs == 0 || runs != times {
		t.Errorf("%d runs, times of %d; %v", runs, times, err)
	}
}
