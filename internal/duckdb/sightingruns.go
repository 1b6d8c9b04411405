package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A run is made in these steps:
//
//  1. built: its tables are filled and committed, by a connection of its own, so
//     that the writer goes on meanwhile: the rows sorted by key, and the keys of
//     its RDATA, sorted by data_key
//  2. swapped: one transaction of the writer enters it in sighting_runs, takes out
//     the runs and deletes the recent rows that it was made of, and drops their tables
//
// A crash before the commit of step 2 leaves tables that sighting_runs does not
// name, and which the next start (or the next compaction) drops; what it was made
// of still counts. Readers work in a transaction: they see the runs of before or of
// after, never both.

// sightingRun is a row of sighting_runs.
type sightingRun struct{ id, rows int64 }

func (r sightingRun) table() string { return "sightings_run_" + strconv.FormatInt(r.id, 10) }

// byData is the table that leads from the RDATA of a run to its names.
func (r sightingRun) byData() string { return "sightings_data_" + strconv.FormatInt(r.id, 10) }

func (r sightingRun) drop(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `DROP TABLE `+r.table()+`; DROP TABLE `+r.byData())
	return err
}

const sightingColumns = `key, data_key, source, name, type, data, bailiwick, detail, first, last, zone_first, zone_last, count`

// sightingMerged joins rows of what is the same, in the columns of sightingColumns.
const sightingMerged = `key, data_key, source, name, type, data, bailiwick, detail,
	coalesce(min(nullif(first, 0)), 0)::BIGINT AS first, max(last) AS last,
	coalesce(min(nullif(zone_first, 0)), 0)::BIGINT AS zone_first, max(zone_last) AS zone_last,
	least(sum(count), 9223372036854775807)::BIGINT AS count`

const sightingGroup = ` GROUP BY key, data_key, source, name, type, data, bailiwick, detail `

// sightingPartRows is how many rows are grouped and sorted at once, which bounds
// the memory that takes: about 150 bytes a row.
const sightingPartRows = 1_000_000

// runsOf lists the runs that count, the largest first.
func runsOf(ctx context.Context, q querier) ([]sightingRun, error) {
	var list []sightingRun
	err := each(ctx, q, `SELECT id, row_count FROM sighting_runs ORDER BY row_count DESC, id`, nil, func(r *sql.Rows) error {
		var run sightingRun
		err := r.Scan(&run.id, &run.rows)
		list = append(list, run)
		return err
	})
	return list, err
}

// unmerged returns the runs that are to be merged: the smaller ones, as soon as
// one of them is not at least four times all that are smaller than it. So their
// number stays below the logarithm of the rows to the base of five.
func unmerged(runs []sightingRun) []sightingRun {
	var smaller int64
	from := len(runs)
	for i := len(runs) - 1; i >= 0; i-- {
		if smaller > 0 && runs[i].rows < 4*smaller {
			from = i
		}
		smaller += runs[i].rows
	}
	return runs[from:]
}

// CompactSightings moves the sightings that count into runs and merges runs. It
// is called from time to time; appending and reading go on meanwhile.
func (s *Store) CompactSightings(ctx context.Context) (err error) {
	defer s.observe("compact-sightings", time.Now(), &err)
	if s.readOnly {
		return fmt.Errorf("compact sightings: %w", ErrReadOnly)
	}
	s.sightings.compacting.Lock()
	defer s.sightings.compacting.Unlock()
	err = s.dropStrayRuns(ctx, s.write)
	changed := false
	if err == nil {
		changed, err = s.moveRecent(ctx)
	}
	if err == nil {
		var merged bool
		merged, err = s.mergeRuns(ctx)
		changed = changed || merged
	}
	if err != nil {
		return fmt.Errorf("compact sightings: %w", s.closed(err))
	}
	if changed {
		// Gives the space of deleted rows and dropped tables back for use.
		if err := s.checkpoint(ctx); err != nil {
			s.opt.Log.Info("checkpoint after compacting sightings was put off", "reason", err)
		}
	}
	return nil
}

// dropStrayRuns drops the tables of runs that do not count, and the files of an
// import that came to no end.
func (s *Store) dropStrayRuns(ctx context.Context, write func(context.Context, func(context.Context, *sql.Conn) error) error) error {
	if err := os.RemoveAll(filepath.Join(s.dir, importDir)); err != nil {
		return err
	}
	stray, err := s.paths(ctx, `SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary
		AND regexp_full_match(table_name, 'sightings_(run|data)_[0-9]+')
		AND table_name NOT IN (SELECT unnest(['sightings_run_' || id, 'sightings_data_' || id]) FROM sighting_runs)`)
	if err != nil || len(stray) == 0 {
		return err
	}
	return write(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, table := range stray {
			if _, err := c.ExecContext(ctx, `DROP TABLE IF EXISTS `+table); err != nil {
				return err
			}
		}
		return nil
	})
}

// countingNow returns a condition that is true, now and ever after, of exactly
// the recent sightings that count now; "" when there are none.
func countingNow(ctx context.Context, q querier) (string, error) {
	var closed, batch, rows int64
	one := func(query string, dst ...any) error {
		return each(ctx, q, query, nil, func(r *sql.Rows) error { return r.Scan(dst...) })
	}
	if err := one(`SELECT delivery FROM deliveries_closed`, &closed); err != nil {
		return "", err
	}
	committed := []string{"0"}
	err := each(ctx, q, `SELECT delivery FROM deliveries_committed`, nil, func(r *sql.Rows) error {
		var d int64
		err := r.Scan(&d)
		committed = append(committed, strconv.FormatInt(d, 10))
		return err
	})
	if err != nil {
		return "", err
	}
	if err := one(`SELECT coalesce(max(batch), 0) FROM sightings_recent`, &batch); err != nil {
		return "", err
	}
	// Appends to a delivery end before it is committed; those to none never do.
	where := fmt.Sprintf(`batch <= %d AND (delivery <= %d OR delivery IN (%s))`, batch, closed, strings.Join(committed, ", "))
	if err := one(`SELECT count(*) FROM sightings_recent WHERE `+where, &rows); err != nil || rows == 0 {
		return "", err
	}
	return where, nil
}

// moveRecent makes a run of the recent rows that count.
func (s *Store) moveRecent(ctx context.Context) (bool, error) {
	var where string
	run, err := s.buildRun(ctx, func(ctx context.Context, c *sql.Conn, table string) (err error) {
		if where, err = countingNow(ctx, c); err != nil || where == "" {
			return errors.Join(err, errNothing)
		}
		return fillRun(ctx, c, table, `SELECT `+sightingColumns+` FROM sightings_recent WHERE `+where)
	})
	if errors.Is(err, errNothing) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("move recent rows: %w", err)
	}
	if err := s.step("sightings built"); err != nil {
		return false, err
	}
	err = s.swap(ctx, func(ctx context.Context, c *sql.Conn) error {
		if _, err := c.ExecContext(ctx, `DELETE FROM sightings_recent WHERE `+where); err != nil {
			return err
		}
		return enterRun(ctx, c, run, nil)
	})
	if err != nil {
		return false, fmt.Errorf("move recent rows: %w", err)
	}
	if err := s.readRecentKeys(ctx); err != nil {
		s.opt.Log.Info("lookups of sightings go on with the keys of before", "reason", err)
	}
	return true, s.step("sightings swapped")
}

var errNothing = errors.New("nothing to do")

// mergeRuns merges runs as long as there are too many.
func (s *Store) mergeRuns(ctx context.Context) (bool, error) {
	runs, err := runsOf(ctx, s.db)
	if err != nil {
		return false, err
	}
	old := unmerged(runs)
	if len(old) < 2 {
		return false, nil
	}
	if _, err := s.replaceRuns(ctx, old, ""); err != nil {
		return false, fmt.Errorf("merge %d runs: %w", len(old), err)
	}
	return true, nil
}

// replaceRuns makes one run of several. where, when not empty, leaves rows out; also
// is done in the same transaction.
func (s *Store) replaceRuns(ctx context.Context, old []sightingRun, where string, also ...func(context.Context, *sql.Conn, sightingRun) error) (sightingRun, error) {
	run, err := s.buildRun(ctx, func(ctx context.Context, c *sql.Conn, table string) error {
		return mergeInto(ctx, c, old, where, func(from string) error { return fillRun(ctx, c, table, from) })
	})
	if err != nil {
		return run, err
	}
	if err := s.step("sightings merged"); err != nil {
		return run, err
	}
	err = s.swap(ctx, func(ctx context.Context, c *sql.Conn) error {
		err := enterRun(ctx, c, run, old)
		for _, f := range also {
			if err == nil {
				err = f(ctx, c, run)
			}
		}
		return err
	})
	if err != nil {
		return run, err
	}
	return run, s.step("sightings swapped")
}

// buildRun creates the tables of a run that does not count yet and fills them, on a
// connection of its own and in one transaction.
func (s *Store) buildRun(ctx context.Context, fill func(ctx context.Context, c *sql.Conn, table string) error) (run sightingRun, err error) {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return run, err
	}
	defer c.Close()
	if err := c.QueryRowContext(ctx, `SELECT nextval('sighting_run_id')`).Scan(&run.id); err != nil {
		return run, err
	}
	err = inTx(ctx, c, func() error {
		if _, err := c.ExecContext(ctx, `CREATE TABLE `+run.table()+` AS SELECT `+sightingColumns+` FROM sightings_recent WHERE false`); err != nil {
			return err
		}
		if err := fill(ctx, c, run.table()); err != nil {
			return err
		}
		_, err := c.ExecContext(ctx, `CREATE TABLE `+run.byData()+` AS SELECT data_key, key FROM `+run.table()+` WHERE data <> '' ORDER BY data_key`)
		if err != nil {
			return err
		}
		return c.QueryRowContext(ctx, `SELECT count(*) FROM `+run.table()).Scan(&run.rows)
	})
	return run, err
}

// fillRun appends rows to a run's table, joined and sorted.
func fillRun(ctx context.Context, c *sql.Conn, table, from string) error {
	_, err := c.ExecContext(ctx, `INSERT INTO `+table+` SELECT `+sightingMerged+` FROM (`+from+`)`+sightingGroup+` ORDER BY key, name, type, data`)
	return err
}

// mergeInto calls fill for one range of keys after the other, which fits into
// memory, with a statement that selects the runs' rows in it.
func mergeInto(ctx context.Context, c *sql.Conn, old []sightingRun, filter string, fill func(from string) error) error {
	var rows int64
	var all []string
	for _, r := range old {
		rows += r.rows
		all = append(all, `SELECT `+sightingColumns+` FROM `+r.table())
	}
	from := strings.Join(all, ` UNION ALL `)
	bounds, err := keyBounds(ctx, c, from, int(rows/sightingPartRows))
	if err != nil {
		return err
	}
	for i := range bounds {
		where := fmt.Sprintf(` WHERE key >= %d`, bounds[i])
		if i+1 < len(bounds) {
			where += fmt.Sprintf(` AND key < %d`, bounds[i+1])
		}
		if filter != "" {
			where += ` AND ` + filter
		}
		if err := fill(`SELECT * FROM (` + from + `)` + where); err != nil {
			return err
		}
	}
	return nil
}

// keyBounds returns the least key of each range, of which there are parts and one
// more; they hold about equally many rows.
func keyBounds(ctx context.Context, c *sql.Conn, from string, parts int) ([]uint64, error) {
	bounds := []uint64{0}
	if parts == 0 {
		return bounds, nil
	}
	var sample []uint64
	err := each(ctx, c, `SELECT key FROM (`+from+`) USING SAMPLE `+strconv.Itoa(500*(parts+1))+` ROWS`, nil, func(r *sql.Rows) error {
		var k uint64
		err := r.Scan(&k)
		sample = append(sample, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(sample)
	for i := 1; i <= parts; i++ {
		if at := i * len(sample) / (parts + 1); at < len(sample) && sample[at] > bounds[len(bounds)-1] {
			bounds = append(bounds, sample[at])
		}
	}
	return bounds, nil
}

// enterRun makes a run count instead of those that it was made of.
func enterRun(ctx context.Context, c *sql.Conn, run sightingRun, old []sightingRun) error {
	for _, r := range old {
		if _, err := c.ExecContext(ctx, `DELETE FROM sighting_runs WHERE id = ?`, r.id); err != nil {
			return err
		}
		if err := r.drop(ctx, c); err != nil {
			return err
		}
	}
	if run.rows == 0 {
		return run.drop(ctx, c)
	}
	_, err := c.ExecContext(ctx, `INSERT INTO sighting_runs VALUES (?, ?)`, run.id, run.rows)
	return err
}

// eachSeenName calls f for every name that passive DNS has seen an answer for, and
// when it was last seen; the zero time when that is not known. A name may come more
// than once.
func (s *Store) eachSeenName(ctx context.Context, f func(name string, last time.Time) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("names seen: %w", s.closed(err))
	}
	defer tx.Rollback()
	from, err := sightingTables(ctx, tx)
	if err != nil {
		return fmt.Errorf("names seen: %w", s.closed(err))
	}
	// Certificates have odd sources.
	err = each(ctx, tx, `SELECT name, max(last) FROM (`+from+`) WHERE source % 2 = 0 AND type <> '' AND data <> '' GROUP BY key, name`, nil, func(r *sql.Rows) error {
		var name string
		var last int64
		if err := r.Scan(&name, &last); err != nil {
			return err
		}
		return f(name, fromSeconds(last))
	})
	if err != nil {
		return fmt.Errorf("names seen: %w", s.closed(err))
	}
	return nil
}

// sightingsRecent selects sightingColumns of the recent rows that count.
const sightingsRecent = `SELECT ` + sightingColumns + ` FROM sightings_recent WHERE NOT ` + uncommitted

// sightingTables selects sightingColumns of all that counts.
func sightingTables(ctx context.Context, q querier) (string, error) {
	runs, err := runsOf(ctx, q)
	if err != nil {
		return "", err
	}
	from := sightingsRecent
	for _, r := range runs {
		from += ` UNION ALL SELECT ` + sightingColumns + ` FROM ` + r.table()
	}
	return from, nil
}
