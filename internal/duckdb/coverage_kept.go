package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// Kinds that coverage tells of beside those of telemetry, as retention names them.
const (
	keptChange   = picket.Kind("change")
	keptFinding  = picket.Kind("finding")
	keptActivity = picket.Kind("activity")
)

// retainedKinds are what Retained tells of, in order.
var retainedKinds = [...]picket.Kind{picket.KindQuery, picket.KindRecord, picket.KindSighting, picket.KindAdminEvent, picket.KindAsset, picket.KindSignal,
	keptChange, keptFinding, keptActivity}

// stateQueries count the kinds that are kept in tables of their own, as kind,
// oldest, newest, rows, bytes, segments and held.
var stateQueries = [...]string{
	`SELECT 'record', epoch_ns(min(since)), epoch_ns(greatest(max(since), max(until))), count(*), 0, 0, 0 FROM record_lives`,
	`SELECT 'change', epoch_ns(min(time)), epoch_ns(max(time)), count(*), 0, 0, 0 FROM record_changes`,
	`SELECT 'finding', epoch_ns(min(first_seen)), epoch_ns(max(last_seen)), count(*), 0, 0, 0 FROM findings`,
	`SELECT 'activity', epoch_ns(min(minute)), epoch_ns(max(minute)), count(*), 0, 0, 0 FROM activity`,
	`SELECT 'sighting', min(first) FILTER (WHERE first > 0) * 1000000000, max(last) FILTER (WHERE last > 0) * 1000000000, count(*), 0, 0, 0
		FROM sightings_recent WHERE NOT ` + uncommitted,
}

// runTimes are the times of a run of sightings, which is never written again.
type runTimes struct{ id, first, last int64 }

// newRuns returns the times of the runs whose times are not kept yet: each is read once.
func newRuns(ctx context.Context, q querier) (list []runTimes, err error) {
	runs, err := runsOf(ctx, q)
	if err != nil {
		return nil, err
	}
	known := map[int64]bool{}
	err = each(ctx, q, `SELECT id FROM sighting_run_times`, nil, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		known[id] = true
		return err
	})
	for _, run := range runs {
		if known[run.id] || err != nil {
			continue
		}
		t := runTimes{id: run.id}
		err = each(ctx, q, `SELECT coalesce(min(first) FILTER (WHERE first > 0), 0), coalesce(max(last), 0) FROM `+run.table(), nil,
			func(r *sql.Rows) error { return r.Scan(&t.first, &t.last) })
		list = append(list, t)
	}
	return list, err
}

// sightingRuns adds merged sightings.
func (r *retainedReader) sightingRuns(ctx context.Context) error {
	err := r.add(ctx, `SELECT 'sighting', (SELECT min(first) FROM sighting_run_times t JOIN sighting_runs USING (id) WHERE first > 0) * 1000000000,
		(SELECT max(last) FROM sighting_run_times t JOIN sighting_runs USING (id) WHERE last > 0) * 1000000000, coalesce(sum(row_count), 0)::BIGINT, 0, 0, 0 FROM sighting_runs`)
	if err != nil {
		return err
	}
	list, err := newRuns(ctx, r.tx)
	for _, t := range list {
		k := r.by[picket.KindSighting]
		k.Oldest, k.Newest = widen(k.Oldest, k.Newest, t.first*int64(time.Second), t.last*int64(time.Second))
	}
	return err
}

// widen takes times in Unix nanoseconds into a range; 0 is none.
func widen(oldest, newest time.Time, first, last int64) (time.Time, time.Time) {
	if first != 0 && (oldest.IsZero() || utc(first).Before(oldest)) {
		oldest = utc(first)
	}
	if last != 0 && utc(last).After(newest) {
		newest = utc(last)
	}
	return oldest, newest
}

// began adds what says since when each kind has been there: what was removed by
// retention, by the ledger, and the oldest that was there since.
func (r *retainedReader) began(ctx context.Context) error {
	err := each(ctx, r.tx, `SELECT coalesce(payload->>'kind', 'query') AS k, max(payload->>'older_than') FROM ledger WHERE kind IN (?, ?) GROUP BY k`,
		[]any{LedgerRemoved, LedgerRowsRemoved}, func(rows *sql.Rows) error {
			var kind, older string
			if err := rows.Scan(&kind, &older); err != nil {
				return err
			}
			k := r.by[picket.Kind(kind)]
			if k == nil {
				return nil
			}
			t, err := time.Parse(time.RFC3339Nano, older)
			k.Expired = t.UTC()
			return err
		})
	if err != nil {
		return err
	}
	return each(ctx, r.tx, `SELECT kind, epoch_ns(oldest) FROM kept_oldest ORDER BY oldest`, nil, func(rows *sql.Rows) error {
		var kind string
		var oldest int64
		if err := rows.Scan(&kind, &oldest); err != nil {
			return err
		}
		if k := r.by[picket.Kind(kind)]; k != nil && k.Since.IsZero() && !utc(oldest).Before(k.Expired) {
			k.Since = utc(oldest)
		}
		return nil
	})
}

// NoteRetained implements picket.CoverageKeeper.
func (s *Store) NoteRetained(ctx context.Context) (err error) {
	defer s.observe("note-retained", time.Now(), &err)
	list, err := s.Retained(ctx)
	if err != nil {
		return fmt.Errorf("note what is kept: %w", err)
	}
	runs, err := newRuns(ctx, s.db)
	if err != nil {
		return fmt.Errorf("note what is kept: %w", s.closed(err))
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error { return noteRetained(ctx, c, list, runs) })
	if err != nil {
		return fmt.Errorf("note what is kept: %w", err)
	}
	return nil
}

func noteRetained(ctx context.Context, c *sql.Conn, list []picket.Retained, runs []runTimes) error {
	exec := func(query string, args ...any) error {
		_, err := c.ExecContext(ctx, query, args...)
		return err
	}
	// Merging may have taken some of the runs away meanwhile.
	if err := exec(`DELETE FROM sighting_run_times WHERE id NOT IN (SELECT id FROM sighting_runs)`); err != nil {
		return err
	}
	for _, t := range runs {
		if err := exec(`INSERT INTO sighting_run_times SELECT $1, $2, $3 FROM sighting_runs WHERE id = $1 AND id NOT IN (SELECT id FROM sighting_run_times)`, t.id, t.first, t.last); err != nil {
			return err
		}
	}
	for _, k := range list {
		if k.Rows == 0 || k.Oldest.IsZero() || k.Oldest.Equal(k.Since) {
			continue
		}
		kind, oldest := string(k.Kind), nanos(k.Oldest)
		if err := exec(`DELETE FROM kept_oldest WHERE kind = ? AND oldest < make_timestamp_ns(?)`, kind, nanos(k.Expired)); err != nil {
			return err
		}
		err := exec(`INSERT INTO kept_oldest SELECT $1, make_timestamp_ns($2) WHERE NOT EXISTS (SELECT 1 FROM kept_oldest WHERE kind = $1 AND oldest = make_timestamp_ns($2))`, kind, oldest)
		if err != nil {
			return err
		}
	}
	return nil
}

// newRetained has an entry of each kind.
func newRetained(tx *sql.Tx) *retainedReader {
	r := &retainedReader{tx: tx, by: map[picket.Kind]*picket.Retained{}, kinds: slices.Clone(retainedKinds[:])}
	for _, k := range r.kinds {
		r.by[k] = &picket.Retained{Kind: k}
	}
	return r
}
