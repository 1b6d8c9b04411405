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

// Retained says what Retain has removed and what it has left because of a hold.
type Retained struct {
	Removed []Segment
	Held    []Segment
}

// removedPayload is the ledger's record of a removal.
type removedPayload struct {
	Path      string `json:"path"`
	Kind      string `json:"kind"`
	SHA256    string `json:"sha256"`
	Rows      int64  `json:"rows"`
	OlderThan string `json:"older_than"`
}

// Retain removes the segments of a kind whose hour or day ended at or before
// olderThan and writes each removal into the ledger. Segments under legal hold, by
// themselves or by a range, stay. The removal is committed first and the files are
// unlinked after, so that a crash leaves a file that does not count, which the next
// start unlinks.
func (s *Store) Retain(ctx context.Context, kind string, olderThan time.Time) (r Retained, err error) {
	defer s.observe("retain", time.Now(), &err)
	if s.readOnly {
		return r, fmt.Errorf("retain: %w", ErrReadOnly)
	}
	s.sealing.Lock()
	defer s.sealing.Unlock()
	var old Retained
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		old = Retained{}
		list, err := selectSegments(ctx, c, ` WHERE NOT removed AND kind = ? AND hour <= make_timestamp_ns(?) ORDER BY hour, path`,
			kind, nanos(olderThan.Add(-span(kind))))
		if err != nil || len(list) == 0 {
			return err
		}
		holds, err := selectHolds(ctx, c)
		if err != nil {
			return err
		}
		for _, g := range list {
			if g.Hold || holdOn(holds, &g) != nil {
				old.Held = append(old.Held, g)
				continue
			}
			if err := s.retire(ctx, c, g, olderThan); err != nil {
				return fmt.Errorf("segment %s: %w", g.Path, err)
			}
			old.Removed = append(old.Removed, g)
		}
		return nil
	})
	since := olderThan.UTC().Format(time.RFC3339)
	if err != nil {
		return r, fmt.Errorf("retain %s since %s: %w", kind, since, err)
	}
	if err := s.step("retired"); err != nil {
		return old, err
	}
	if err := s.unlink(old.Removed); err != nil {
		return old, fmt.Errorf("retain %s since %s: %w", kind, since, err)
	}
	if len(old.Removed) > 0 {
		s.opt.Log.Info("removed segments", "kind", kind, "segments", len(old.Removed), "held", len(old.Held), "older_than", olderThan)
	}
	return old, nil
}

func (s *Store) retire(ctx context.Context, c *sql.Conn, g Segment, olderThan time.Time) error {
	if _, err := c.ExecContext(ctx, `UPDATE segments SET removed = true WHERE path = ?`, g.Path); err != nil {
		return err
	}
	_, err := s.chain(ctx, c, LedgerRemoved, removedPayload{
		Path: g.Path, Kind: g.kind(), SHA256: g.SHA256, Rows: g.Rows, OlderThan: olderThan.UTC().Format(time.RFC3339Nano),
	})
	return err
}

// unlink removes files once no reader is reading segments.
func (s *Store) unlink(list []Segment) error {
	s.files.Lock()
	defer s.files.Unlock()
	var errs []error
	for _, g := range list {
		name, err := s.file(g.Path)
		if err == nil {
			err = removeFile(name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// recover finishes what a crash has interrupted and creates the view. It runs
// before the writer does, on the writer's connection.
func (s *Store) recover(ctx context.Context) error {
	direct := func(ctx context.Context, run func(context.Context, *sql.Conn) error) error {
		return inTx(ctx, s.wconn, func() error { return run(ctx, s.wconn) })
	}
	if err := s.clearSealing(ctx, direct); err != nil {
		return fmt.Errorf("clear interrupted segments: %w", err)
	}
	if err := s.settleDeliveries(ctx); err != nil {
		return fmt.Errorf("settle deliveries: %w", err)
	}
	if err := s.dropStrayRuns(ctx, direct); err != nil {
		return fmt.Errorf("drop interrupted runs of sightings: %w", err)
	}
	if err := s.unlinkRemoved(ctx); err != nil {
		return fmt.Errorf("unlink removed segments: %w", err)
	}
	if err := s.createView(ctx); err != nil {
		// Only ad-hoc readers use the view; a broken file must not stop detection.
		s.opt.Log.Error("the view queries could not be created: a segment may be broken, verify the ledger", "error", err)
	}
	return nil
}

// unlinkRemoved unlinks files that a crash kept Retain from unlinking.
func (s *Store) unlinkRemoved(ctx context.Context) error {
	paths, err := s.paths(ctx, `SELECT path FROM segments WHERE removed`)
	if err != nil {
		return err
	}
	for _, path := range paths {
		name, err := s.file(path)
		if err != nil {
			return err
		}
		if err := removeFile(name); err != nil {
			return err
		}
	}
	return nil
}

// emptyName is a segment without rows that sorts before all others: it gives
// the view its columns when there is nothing sealed yet. It lies in a year of its
// own, because the view reads the folders of years: those of other kinds of
// telemetry have other columns. Where it was before is oldEmptyName.
const (
	emptyName    = "0000/0-empty.parquet"
	oldEmptyName = "0-empty.parquet"
)

// createView makes the view queries, which joins recent and sealed. It reads
// every file of queries below segments/ but lets only recorded ones count. It carries the
// data directory's path, so it is made anew at each start.
func (s *Store) createView(ctx context.Context) error {
	empty, err := s.file(emptyName)
	if err != nil {
		return err
	}
	if _, err := os.Stat(empty); err != nil {
		if err := os.MkdirAll(filepath.Dir(empty), 0o750); err != nil {
			return err
		}
		_, err := s.wconn.ExecContext(ctx, `COPY (SELECT `+segmentSelect+` FROM queries_recent WHERE false) TO `+
			quote(empty+tmpSuffix)+` (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`)
		if err != nil {
			return err
		}
		if err := os.Rename(empty+tmpSuffix, empty); err != nil {
			return err
		}
	}
	root, err := s.file(".")
	if err != nil {
		return err
	}
	_, err = s.wconn.ExecContext(ctx, `CREATE OR REPLACE VIEW queries AS
		SELECT `+segmentSelect+` FROM queries_recent
		UNION ALL
		SELECT `+segmentSelect+` FROM read_parquet(`+quote(root+"/[0-9][0-9][0-9][0-9]/**/*.parquet")+`, filename = 'segment_file')
		WHERE segment_file IN (SELECT `+quote(root+"/")+` || path FROM segments WHERE NOT removed AND kind = 'query')`)
	if err != nil {
		return err
	}
	old, err := s.file(oldEmptyName)
	if err != nil {
		return err
	}
	return removeFile(old)
}
