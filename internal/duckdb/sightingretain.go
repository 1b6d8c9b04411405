package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// SightingRetain removes what was last seen before a time, and returns how many
// rows there were; what was never dated stays. It is judged by all that each source
// has seen, in whichever run it is, so that nothing goes because of its older part
// alone. A few rows, as every day has them, are deleted where they are; when there
// are many, the runs are written anew.
func (s *Store) SightingRetain(ctx context.Context, olderThan time.Time) (removed int64, err error) {
	if err := s.CompactSightings(ctx); err != nil {
		return 0, err
	}
	defer s.observe("retain-sightings", time.Now(), &err)
	s.sightings.compacting.Lock()
	defer s.sightings.compacting.Unlock()
	if removed, err = s.retainRuns(ctx, seconds(olderThan)); err != nil {
		return 0, fmt.Errorf("retain sightings since %s: %w", olderThan.UTC().Format(time.RFC3339), s.closed(err))
	}
	if removed > 0 {
		if err := s.checkpoint(ctx); err != nil {
			s.opt.Log.Info("checkpoint after removing sightings was put off", "reason", err)
		}
	}
	return removed, nil
}

// retainInPlace is how many old rows are deleted where they are, when they are also
// less than a quarter of all.
const retainInPlace = 200_000

func (s *Store) retainRuns(ctx context.Context, limit int64) (removed int64, err error) {
	runs, err := runsOf(ctx, s.db)
	if err != nil || len(runs) == 0 {
		return 0, err
	}
	// The times alone first: that reads one column, or only its zone maps.
	dated := ` last > 0 AND last < ` + strconv.FormatInt(limit, 10)
	old, all := int64(0), int64(0)
	for _, r := range runs {
		var n int64
		if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table()+` WHERE`+dated).Scan(&n); err != nil {
			return 0, err
		}
		old, all = old+n, all+r.rows
	}
	if old == 0 {
		return 0, nil
	}
	const nanos = `make_timestamp_ns(least(%s, 9223372036) * 1000000000)`
	where := dated + notHeld(KeptSightings, fmt.Sprintf(nanos, "first"), fmt.Sprintf(nanos, "last"))
	if old <= retainInPlace && old < all/4 {
		removed, err := s.retainSome(ctx, runs, dated, where, limit)
		if !errors.Is(err, errMoved) {
			return removed, err
		}
		s.opt.Log.Info("runs of sightings are written anew: their rows have moved while those to be removed were looked for")
	}
	return s.retainAnew(ctx, runs, where, limit)
}

// retainAnew writes all runs into one, without what fulfils old.
func (s *Store) retainAnew(ctx context.Context, runs []sightingRun, old string, limit int64) (removed int64, err error) {
	some := make([]string, len(runs))
	for i, r := range runs {
		some[i] = `EXISTS (SELECT 1 FROM ` + r.table() + ` WHERE` + old + `)`
	}
	var any bool
	if err := s.db.QueryRowContext(ctx, `SELECT `+strings.Join(some, ` OR `)).Scan(&any); err != nil || !any {
		return 0, err
	}
	if len(runs) > 1 {
		if runs[0], err = s.replaceRuns(ctx, runs, ""); err != nil {
			return 0, err
		}
	}
	run, err := s.replaceRuns(ctx, runs[:1], ` NOT (`+old+`)`, func(ctx context.Context, c *sql.Conn, run sightingRun) error {
		return s.chainExpired(ctx, c, KeptSightings, utc(limit*1e9), Expired{Rows: runs[0].rows - run.rows})
	})
	return runs[0].rows - run.rows, err
}

// errMoved says that rows are not where they were.
var errMoved = errors.New("rows of sightings have moved")

// oldSighting is a row that is to be deleted: of which run, its place there, and what
// must be in it.
type oldSighting struct {
	run                uint32 // index of runs
	row                int64
	key, dataKey, last uint64
}

// retainSome deletes the rows of what fulfils old. dated is a part of old that
// each of its rows fulfils as well.
func (s *Store) retainSome(ctx context.Context, runs []sightingRun, dated, old string, limit int64) (removed int64, err error) {
	list, err := s.oldSightings(ctx, runs, dated, old)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	counts := make([]int64, len(runs))
	for _, o := range list {
		counts[o.run]++
	}
	err = s.swap(ctx, func(ctx context.Context, c *sql.Conn) error {
		if _, err := c.ExecContext(ctx, `CREATE OR REPLACE TEMP TABLE sightings_gone (run UINTEGER, place BIGINT, key UBIGINT, data_key UBIGINT, last BIGINT)`); err != nil {
			return err
		}
		if err := appendOld(c, list); err != nil {
			return err
		}
		for i, r := range runs {
			if counts[i] == 0 {
				continue
			}
			if err := r.deleteOld(ctx, c, i, counts[i]); err != nil {
				return err
			}
		}
		if _, err := c.ExecContext(ctx, `DROP TABLE sightings_gone`); err != nil {
			return err
		}
		return s.chainExpired(ctx, c, KeptSightings, utc(limit*1e9), Expired{Rows: int64(len(list))})
	})
	return int64(len(list)), err
}

// oldSightings finds the rows of what fulfils old when its parts in all runs are
// taken together.
func (s *Store) oldSightings(ctx context.Context, runs []sightingRun, dated, old string) (list []oldSighting, err error) {
	var keys, rows []string
	for i, r := range runs {
		keys = append(keys, `SELECT key FROM `+r.table()+` WHERE`+dated)
		rows = append(rows, `SELECT `+strconv.Itoa(i)+` AS run, rowid AS place, `+sightingColumns+` FROM `+r.table())
	}
	query := `SELECT run, place, key, data_key, part FROM (
		SELECT run, place, key, data_key, last AS part, coalesce(min(nullif(first, 0)) OVER same, 0)::BIGINT AS first, max(last) OVER same AS last
		FROM (` + strings.Join(rows, ` UNION ALL `) + `) WHERE key IN (` + strings.Join(keys, ` UNION ALL `) + `)
		WINDOW same AS (PARTITION BY key, data_key, source, name, type, data, bailiwick, detail)) WHERE` + old
	err = each(ctx, s.db, query, nil, func(r *sql.Rows) error {
		var o oldSighting
		err := r.Scan(&o.run, &o.row, &o.key, &o.dataKey, &o.last)
		list = append(list, o)
		return err
	})
	return list, err
}

func appendOld(c *sql.Conn, list []oldSighting) error {
	return c.Raw(func(dc any) error {
		a, err := duckdbgo.NewAppender(dc.(driver.Conn), "temp", "", "sightings_gone")
		if err != nil {
			return err
		}
		for _, o := range list {
			if err := a.AppendRow(o.run, o.row, o.key, o.dataKey, int64(o.last)); err != nil {
				return errors.Join(err, a.Clear(), a.Close())
			}
		}
		return a.Close()
	})
}

// deleteOld deletes a run's rows, n of them.
func (r sightingRun) deleteOld(ctx context.Context, c *sql.Conn, index int, n int64) error {
	res, err := c.ExecContext(ctx, `DELETE FROM `+r.table()+` WHERE (rowid, key, data_key, last) IN (SELECT (place, key, data_key, last) FROM sightings_gone WHERE run = `+strconv.Itoa(index)+`)`)
	if err != nil {
		return err
	}
	if deleted, err := res.RowsAffected(); err != nil || deleted != n {
		return errors.Join(err, errMoved)
	}
	if r.rows -= n; r.rows > 0 {
		_, err = c.ExecContext(ctx, `UPDATE sighting_runs SET row_count = ? WHERE id = ?`, r.rows, r.id)
		return err
	}
	if _, err := c.ExecContext(ctx, `DELETE FROM sighting_runs WHERE id = ?`, r.id); err != nil {
		return err
	}
	return r.drop(ctx, c)
}
