package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Sealing moves the rows of one hour from queries_recent into a file. In order:
//
//  1. planned: the file's path is committed to the table sealing
//  2. exported: the rows up to the last committed batch are copied to path.tmp
//  3. synced: path.tmp is synced and hashed
//  4. renamed: path.tmp is path, its directories are synced
//  5. recorded: one transaction deletes exactly those rows, adds the segment and
//     its ledger entry and takes the path out of sealing
//
// Before the commit of step 5 the rows are in the table and the file does not
// count; after it they are in the file. A crash in between leaves a path in
// sealing, and the file it names is removed at the next start (or the next
// Seal). Appending goes on meanwhile: later batches are not touched.

// temporary files do not match the pattern that the view reads.
const tmpSuffix = ".tmp"

// segmentSelect are the columns of a segment, in order.
const segmentSelect = `time, client, server, client_port, transport, name, zone, state, opcode, qtype, qclass, rcode, flags, ecs, sensor`

// Seal moves each hour that ended at least the grace before now into a segment, and
// so each day of telemetry of other kinds (sealevents.go).
// now is event time: the pipeline's watermark, or the wall clock. Events that
// came late for an hour already sealed make another segment of that hour. When
// an hour fails, Seal returns those done before together with the error.
func (s *Store) Seal(ctx context.Context, now time.Time) (sealed []Segment, err error) {
	defer s.observe("seal", time.Now(), &err)
	if s.readOnly {
		return nil, fmt.Errorf("seal: %w", ErrReadOnly)
	}
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if err := s.clearSealing(ctx, s.write); err != nil {
		return nil, fmt.Errorf("seal: clear up: %w", err)
	}
	upTo := s.committed.Load()
	hours, err := s.fullHours(ctx, now, upTo)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	for _, hour := range hours {
		g, err := s.sealHour(ctx, hour, upTo)
		if err != nil {
			return sealed, fmt.Errorf("seal hour %s: %w", hour.Format("2006-01-02T15Z"), err)
		}
		sealed = append(sealed, g)
		s.opt.Log.Info("sealed query history", "segment", g.Path, "rows", g.Rows, "bytes", g.Bytes)
	}
	days, err := s.sealEvents(ctx, now)
	sealed = append(sealed, days...)
	if err != nil {
		return sealed, fmt.Errorf("seal: %w", err)
	}
	if len(sealed) > 0 {
		// Without it the file would grow by what is deleted. It may have to stand
		// back for a long reader; then the next one, or DuckDB's own, does it.
		if err := s.checkpoint(ctx); err != nil {
			s.opt.Log.Info("checkpoint after sealing was put off", "reason", err)
		}
	}
	return sealed, nil
}

// fullHours returns the hours with rows to be sealed.
func (s *Store) fullHours(ctx context.Context, now time.Time, upTo int64) ([]time.Time, error) {
	end := now.Add(-s.opt.SealGrace).UTC().Truncate(segmentHour)
	// Stored times are not negative, so integer division is the floor.
	// An hour into which a delivery that is not committed has put rows waits.
	rows, err := s.db.QueryContext(ctx, `SELECT epoch_ns(time) // ? AS hour FROM queries_recent
		WHERE batch <= ? AND time < make_timestamp_ns(?) GROUP BY hour
		HAVING NOT bool_or(`+uncommitted+`) ORDER BY hour`, int64(segmentHour), upTo, nanos(end))
	if err != nil {
		return nil, fmt.Errorf("find full hours: %w", s.closed(err))
	}
	defer rows.Close()
	var hours []time.Time
	for rows.Next() {
		var h int64
		if err := rows.Scan(&h); err != nil {
			return nil, fmt.Errorf("find full hours: %w", err)
		}
		hours = append(hours, utc(h*int64(segmentHour)))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find full hours: %w", err)
	}
	return hours, nil
}

// rowsOf selects the rows of queries_recent that go into a segment.
const rowsOf = ` WHERE batch <= ? AND time >= make_timestamp_ns(?) AND time < make_timestamp_ns(?)`

func (s *Store) sealHour(ctx context.Context, hour time.Time, upTo int64) (g Segment, err error) {
	g.Kind, g.Hour = KeptQueries, hour
	err = s.sealSegment(ctx, &g,
		func(name string) error { return s.export(ctx, &g, name, upTo) },
		func() error { return s.record(ctx, g, upTo) })
	return g, err
}

// sealSegment takes the steps above for a segment of any kind; export writes the
// rows to a file and record commits.
func (s *Store) sealSegment(ctx context.Context, g *Segment, export func(name string) error, record func() error) (err error) {
	if g.Path, err = s.planSegment(ctx, g.Kind, g.Hour); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if err := s.step("planned"); err != nil {
		return err
	}
	name, err := s.file(g.Path)
	if err != nil {
		return err
	}
	if err := export(name + tmpSuffix); err != nil {
		return fmt.Errorf("export %s: %w", g.Path, err)
	}
	if err := s.step("exported"); err != nil {
		return err
	}
	if err := syncFile(name + tmpSuffix); err != nil {
		return fmt.Errorf("sync %s: %w", g.Path, err)
	}
	if g.SHA256, g.Bytes, err = hashFile(name + tmpSuffix); err != nil {
		return fmt.Errorf("hash %s: %w", g.Path, err)
	}
	if err := s.step("synced"); err != nil {
		return err
	}
	if err := os.Rename(name+tmpSuffix, name); err != nil {
		return err
	}
	if err := s.syncDirs(filepath.Dir(name)); err != nil {
		return fmt.Errorf("sync directory of %s: %w", g.Path, err)
	}
	if err := s.step("renamed"); err != nil {
		return err
	}
	if err := record(); err != nil {
		return fmt.Errorf("record %s: %w", g.Path, err)
	}
	return s.step("recorded")
}

// planSegment chooses the path and commits it to sealing.
func (s *Store) planSegment(ctx context.Context, kind string, hour time.Time) (path string, err error) {
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		var n int
		err := c.QueryRowContext(ctx, `SELECT count(*) FROM segments WHERE kind = ? AND hour = make_timestamp_ns(?)`, kind, hour.UnixNano()).Scan(&n)
		if err != nil {
			return err
		}
		for {
			n++
			path = segmentPath(kind, hour, n)
			name, err := s.file(path)
			if err != nil {
				return err
			}
			// A file that is not ours to overwrite: put there by hand, or left by
			// a database that has since been restored from an older copy.
			if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
				break
			}
		}
		_, err = c.ExecContext(ctx, `INSERT INTO sealing (path) VALUES (?)`, path)
		return err
	})
	return path, err
}

// export copies the rows to a Parquet file and fills in their number and times.
func (s *Store) export(ctx context.Context, g *Segment, name string, upTo int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	from, to := g.Hour.UnixNano(), g.Hour.Add(segmentHour).UnixNano()
	var first, last int64
	err := s.db.QueryRowContext(ctx, `SELECT count(*), epoch_ns(min(time)), epoch_ns(max(time)) FROM queries_recent`+rowsOf,
		upTo, from, to).Scan(&g.Rows, &first, &last)
	if err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	g.MinTime, g.MaxTime = utc(first), utc(last)
	// COPY takes no parameters; these are numbers and a quoted path.
	where := fmt.Sprintf(` WHERE batch <= %d AND time >= make_timestamp_ns(%d) AND time < make_timestamp_ns(%d)`, upTo, from, to)
	_, err = s.db.ExecContext(ctx, `COPY (SELECT `+segmentSelect+` FROM queries_recent`+where+` ORDER BY zone, client, time)
		TO `+quote(name)+` (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536, USE_TMP_FILE false, KV_METADATA {picket_segment: '1'})`)
	return err
}

// record is the commit that makes the segment count and its rows go.
func (s *Store) record(ctx context.Context, g Segment, upTo int64) error {
	return s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		if err := sealActivity(ctx, c, g.Hour, upTo); err != nil {
			return err
		}
		res, err := c.ExecContext(ctx, `DELETE FROM queries_recent`+rowsOf, upTo, g.Hour.UnixNano(), g.Hour.Add(segmentHour).UnixNano())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != g.Rows {
			return errors.Join(fmt.Errorf("%d rows were exported and %d would be dropped", g.Rows, n), err)
		}
		return s.addSegment(ctx, c, g, upTo)
	})
}

// addSegment makes a segment count, within the commit of step 5.
func (s *Store) addSegment(ctx context.Context, c *sql.Conn, g Segment, upTo int64) error {
	_, err := c.ExecContext(ctx, `INSERT INTO segments
		(path, kind, hour, row_count, bytes, sha256, min_time, max_time, max_batch, hold, hold_reason, removed)
		VALUES (?, ?, make_timestamp_ns(?), ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?), ?, false, '', false)`,
		g.Path, g.Kind, g.Hour.UnixNano(), g.Rows, g.Bytes, g.SHA256, g.MinTime.UnixNano(), g.MaxTime.UnixNano(), upTo)
	if err != nil {
		return err
	}
	if _, err := s.chain(ctx, c, LedgerSealed, g); err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `DELETE FROM sealing WHERE path = ?`, g.Path)
	return err
}

// step fails when a test says so.
func (s *Store) step(name string) error {
	if s.failAt == nil {
		return nil
	}
	return s.failAt(name)
}

// clearSealing removes what an interrupted sealing has left. The files it
// removes have never counted: their rows are still in queries_recent.
func (s *Store) clearSealing(ctx context.Context, write func(context.Context, func(context.Context, *sql.Conn) error) error) error {
	paths, err := s.paths(ctx, `SELECT path FROM sealing`)
	if err != nil || len(paths) == 0 {
		return err
	}
	for _, path := range paths {
		name, err := s.file(path)
		if err != nil {
			return err
		}
		if err := errors.Join(removeFile(name), removeFile(name+tmpSuffix)); err != nil {
			return err
		}
		s.opt.Log.Info("removed a segment that was interrupted", "segment", path)
	}
	return write(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `DELETE FROM sealing`)
		return err
	})
}

func (s *Store) paths(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
