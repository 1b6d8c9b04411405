package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/picket-dns/picket"
)

// rowTable is a table whose rows are removed one by one when they are old.
type rowTable struct {
	kind, table string
	// first and last are SQL for the times of a row: it is old by its last one, and
	// held when the two touch a held range.
	first, last string
	when        string // condition for a row to go at all; may be ""
	// chunk is what goes at once, as whole days; 0 removes each row when it is old.
	chunk time.Duration
}

// rowTables are the tables of what is in no segment.
var rowTables = [...]rowTable{
	{kind: KeptSightings, table: "events", first: eventTime, last: eventTime, when: `kind = 'sighting' AND NOT ` + uncommitted},
	{kind: KeptChanges, table: "events", first: eventTime, last: eventTime, when: `kind = 'record' AND NOT ` + uncommitted},
	{kind: KeptChanges, table: "record_lives", first: "since", last: "coalesce(until, since)", when: `until IS NOT NULL`},
	{kind: KeptChanges, table: "record_changes", first: "time", last: "time"},
	{kind: KeptChanges, table: "zone_versions", first: "time", last: "time", when: `id NOT IN (` + lastVersions + `)`},
	{kind: KeptFindings, table: "findings", first: "first_seen", last: "last_seen", when: `NOT open`},
	{kind: KeptQuarantine, table: "quarantine", first: "time", last: "time"},
	{kind: KeptMarks, table: "input_marks", first: "time", last: "time"},
	{kind: KeptActivity, table: "activity", first: "minute", last: "minute", chunk: segmentDay},
	{kind: KeptIntake, table: "intake_steps", first: "minute", last: "minute", chunk: segmentDay},
}

// Expired says what Expire has removed.
type Expired struct {
	Rows int64 `json:"rows"`
	Held int64 `json:"held"` // old, and left because of a hold
}

// expiredPayload is the ledger's record of it.
type expiredPayload struct {
	Kind      string `json:"kind"`
	Rows      int64  `json:"rows"`
	OlderThan string `json:"older_than"`
	Held      int64  `json:"held"`
}

// Expire removes what there is of a kind that is in no segment and older than a
// time, except what a hold is on, in one transaction with one ledger entry. When
// there is nothing to be removed there is no entry.
func (s *Store) Expire(ctx context.Context, kind string, olderThan time.Time) (x Expired, err error) {
	defer s.observe("expire", time.Now(), &err)
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		x = Expired{}
		for _, t := range rowTables {
			if t.kind != kind {
				continue
			}
			limit := olderThan
			if t.chunk > 0 {
				limit = olderThan.UTC().Truncate(t.chunk)
			}
			old := t.last + ` < make_timestamp_ns(` + fmt.Sprint(nanos(limit)) + `)`
			if t.when != "" {
				old += ` AND ` + t.when
			}
			res, err := c.ExecContext(ctx, `DELETE FROM `+t.table+` WHERE `+old+notHeld(kind, t.first, t.last))
			if err != nil {
				return fmt.Errorf("table %s: %w", t.table, err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			x.Rows += n
			if err := c.QueryRowContext(ctx, `SELECT count(*) FROM `+t.table+` WHERE `+old).Scan(&n); err != nil {
				return err
			}
			x.Held += n
		}
		return s.chainExpired(ctx, c, kind, olderThan, x)
	})
	if err == nil && kind == KeptSightings { // those in runs go by a new run, with an entry of their own
		var n int64
		n, err = s.SightingRetain(ctx, olderThan)
		x.Rows += n
		if err == nil {
			n, err = heldSightings(ctx, s.db, olderThan)
			x.Held += n
		}
	}
	if err != nil {
		return x, fmt.Errorf("remove %s older than %s: %w", kind, olderThan.UTC().Format(time.RFC3339), err)
	}
	if x.Rows > 0 {
		s.opt.Log.Info("removed old rows", "kind", kind, "rows", x.Rows, "held", x.Held, "older_than", olderThan)
	}
	return x, nil
}

// chainExpired writes into the ledger what was removed, if anything was.
func (s *Store) chainExpired(ctx context.Context, c *sql.Conn, kind string, olderThan time.Time, x Expired) error {
	if x.Rows == 0 {
		return nil
	}
	if kind == KeptSightings {
		n, err := heldSightings(ctx, c, olderThan)
		if err != nil {
			return err
		}
		x.Held = n
	}
	_, err := s.chain(ctx, c, LedgerRowsRemoved, expiredPayload{Kind: kind, Rows: x.Rows, OlderThan: olderThan.UTC().Format(time.RFC3339Nano), Held: x.Held})
	return err
}

// sightingTime is SQL for a time of a sighting, which is in Unix seconds.
func sightingTime(column string) string {
	return `make_timestamp_ns(least(` + column + `, 9223372036) * 1000000000)`
}

// heldSightings counts the sightings that are old and left because of a hold.
func heldSightings(ctx context.Context, q querier, olderThan time.Time) (n int64, err error) {
	holds, err := selectHolds(ctx, q)
	if err != nil {
		return 0, err
	}
	held := heldFilter(holds, KeptSightings, sightingTime("first"), sightingTime("last"))
	if held == "false" {
		return 0, nil
	}
	from, err := sightingTables(ctx, q)
	if err != nil {
		return 0, err
	}
	err = each(ctx, q, `SELECT count(*) FROM (`+from+`) WHERE last > 0 AND last < ? AND `+held,
		[]any{seconds(olderThan)}, func(r *sql.Rows) error { return r.Scan(&n) })
	return n, err
}

// KindKept is what is there of a kind; how long it is to be kept the store does not know.
type KindKept = picket.KindKept

// Removal is an entry of the ledger.
type Removal = picket.Removal

// removalsShown is how many removals of each kind Kept returns.
const removalsShown = 3

// Kept says, for each kind of KeptKinds, what is there and what was removed last.
func (s *Store) Kept(ctx context.Context) (list []KindKept, err error) {
	defer s.observe("kept", time.Now(), &err)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("what is kept: %w", s.closed(err))
	}
	defer tx.Rollback()
	at := map[string]int{}
	for i, kind := range KeptKinds() {
		at[kind] = i
		list = append(list, KindKept{Kind: kind})
	}
	holds, err := selectHolds(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("what is kept: %w", err)
	}
	sources := []rowTable{{kind: KeptQueries, table: "queries_recent", first: "time", last: "time"}}
	for _, kind := range sealedKinds {
		sources = append(sources, rowTable{kind: kind, table: "events", first: eventTime, last: eventTime, when: "kind = " + quote(kind)})
	}
	for _, t := range append(sources, rowTables[:]...) {
		if t.when == "" {
			t.when = "true"
		}
		var n, held int64
		var first, last sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (`+heldFilter(holds, t.kind, t.first, t.last)+`), epoch_ns(min(`+t.first+`)), epoch_ns(max(`+t.last+`)) FROM `+
			t.table+` WHERE `+t.when).Scan(&n, &held, &first, &last)
		if err != nil {
			return nil, fmt.Errorf("what is kept in %s: %w", t.table, err)
		}
		k := &list[at[t.kind]]
		k.HeldRows += held
		if k.Rows += n; n > 0 {
			reach(k, utc(first.Int64), utc(last.Int64))
		}
	}
	if err := keptSightings(ctx, tx, holds, &list[at[KeptSightings]]); err != nil {
		return nil, fmt.Errorf("what is kept of sightings: %w", err)
	}
	segments, err := selectSegments(ctx, tx, ` WHERE NOT removed`)
	if err != nil {
		return nil, fmt.Errorf("what is kept: %w", err)
	}
	for i := range segments {
		g := &segments[i]
		n, known := at[g.kind()]
		if !known {
			continue
		}
		k := &list[n]
		k.Segments, k.Sealed, k.Bytes = k.Segments+1, k.Sealed+g.Rows, k.Bytes+g.Bytes
		if g.Hold || holdOn(holds, g) != nil {
			k.Held++
		}
		reach(k, g.MinTime, g.MaxTime)
	}
	if err := readRemovals(ctx, tx, list, at); err != nil {
		return nil, fmt.Errorf("what was removed: %w", err)
	}
	return list, nil
}

// keptSightings adds the sightings in runs.
func keptSightings(ctx context.Context, tx *sql.Tx, holds []Hold, k *KindKept) error {
	from, err := sightingTables(ctx, tx)
	if err != nil {
		return err
	}
	var n, held, first, last int64
	err = tx.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (`+heldFilter(holds, KeptSightings, sightingTime("first"), sightingTime("last"))+`), coalesce(min(first) FILTER (first > 0), 0), coalesce(max(last), 0) FROM (`+from+`)`).Scan(&n, &held, &first, &last)
	if err != nil {
		return err
	}
	k.Rows, k.HeldRows = k.Rows+n, k.HeldRows+held
	if first > 0 && last > 0 {
		reach(k, time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC())
	}
	return nil
}

// reach widens the range of what is there.
func reach(k *KindKept, first, last time.Time) {
	if k.Oldest.IsZero() || first.Before(k.Oldest) {
		k.Oldest = first
	}
	if last.After(k.Newest) {
		k.Newest = last
	}
}

// readRemovals adds the last removals of each kind. Older entries do not say the
// kind: they are of queries.
func readRemovals(ctx context.Context, q querier, list []KindKept, at map[string]int) error {
	return each(ctx, q, `SELECT seq, time, payload::VARCHAR FROM (
			SELECT *, row_number() OVER (PARTITION BY coalesce(payload->>'kind', 'query') ORDER BY seq DESC) AS n
			FROM ledger WHERE kind IN (?, ?)) WHERE n <= ? ORDER BY seq DESC`,
		[]any{LedgerRemoved, LedgerRowsRemoved, removalsShown}, func(r *sql.Rows) error {
			var e Removal
			var payload string
			if err := r.Scan(&e.Seq, &e.Time, &payload); err != nil {
				return err
			}
			seq, when := e.Seq, e.Time
			if err := json.Unmarshal([]byte(payload), &e); err != nil {
				return err
			}
			if e.Seq, e.Time = seq, when; e.Kind == "" {
				e.Kind = KeptQueries
			}
			if i, known := at[e.Kind]; known {
				list[i].Removed = append(list[i].Removed, e)
			}
			return nil
		})
}
