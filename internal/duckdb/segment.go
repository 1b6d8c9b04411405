package duckdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Segment is one sealed Parquet file: queries of one hour of event time, or
// telemetry of another kind that was received on one day. An hour has more than one
// when events arrived after it was first sealed.
type Segment struct {
	Path       string    `json:"path"`           // below segments/, with slashes
	Kind       string    `json:"kind,omitempty"` // of telemetry; "" in older entries of the ledger, which are all of queries
	Hour       time.Time `json:"hour"`           // start of the hour or the day, UTC
	Rows       int64     `json:"rows"`
	Bytes      int64     `json:"bytes"`
	SHA256     string    `json:"sha256"` // of the file, lower-case hex
	MinTime    time.Time `json:"min_time"`
	MaxTime    time.Time `json:"max_time"`
	Hold       bool      `json:"hold,omitempty"` // under legal hold: Retain leaves it
	HoldReason string    `json:"hold_reason,omitempty"`
}

const (
	segmentHour = time.Hour
	segmentDay  = 24 * time.Hour
)

func (g *Segment) kind() string {
	if g.Kind == "" {
		return KeptQueries
	}
	return g.Kind
}

// span is the time that one segment of a kind is of.
func span(kind string) time.Duration {
	if kind == KeptQueries {
		return segmentHour
	}
	return segmentDay
}

// segmentPath names the nth segment of an hour of queries or a day of another kind,
// n from 1.
func segmentPath(kind string, hour time.Time, n int) string {
	if kind != KeptQueries {
		return fmt.Sprintf("%s/%s-%04d.parquet", kind, hour.UTC().Format("2006/01/2006-01-02"), n)
	}
	return fmt.Sprintf("%s-%04d.parquet", hour.UTC().Format("2006/01/02/2006-01-02T15Z"), n)
}

// file returns where a segment lies. Paths come from segmentPath or from the
// database; one that leaves segments/ is refused.
func (s *Store) file(path string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", fmt.Errorf("segment path %q leaves the data directory: %w", path, picket.ErrBadValue)
	}
	return filepath.Join(s.dir, segmentsDir, filepath.FromSlash(path)), nil
}

const segmentColumns = `SELECT path, epoch_ns(hour), row_count, bytes, sha256, epoch_ns(min_time), epoch_ns(max_time), hold, hold_reason, kind FROM segments`

func scanSegment(row interface{ Scan(...any) error }) (Segment, error) {
	var (
		g              Segment
		hour, min, max int64
	)
	err := row.Scan(&g.Path, &hour, &g.Rows, &g.Bytes, &g.SHA256, &min, &max, &g.Hold, &g.HoldReason, &g.Kind)
	g.Hour, g.MinTime, g.MaxTime = utc(hour), utc(min), utc(max)
	return g, err
}

func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// selectSegments returns the segments that satisfy the rest of a statement.
func selectSegments(ctx context.Context, q querier, rest string, args ...any) ([]Segment, error) {
	rows, err := q.QueryContext(ctx, segmentColumns+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	defer rows.Close()
	var list []Segment
	for rows.Next() {
		g, err := scanSegment(rows)
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		list = append(list, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	return list, nil
}

// Segments returns the sealed segments of every kind that hold events in
// [since, until), in order of time; zero times do not bound.
func (s *Store) Segments(ctx context.Context, since, until time.Time) (list []Segment, err error) {
	defer s.observe("segments", time.Now(), &err)
	rest, args := segmentRange(since, until)
	if list, err = selectSegments(ctx, s.db, rest+` ORDER BY hour, path`, args...); err != nil {
		return nil, s.closed(err)
	}
	return list, nil
}

// segmentRange selects live segments with events in [since, until).
func segmentRange(since, until time.Time) (string, []any) {
	rest, args := ` WHERE NOT removed`, []any(nil)
	if !since.IsZero() {
		rest, args = rest+` AND max_time >= make_timestamp_ns(?)`, append(args, nanos(since))
	}
	if !until.IsZero() {
		rest, args = rest+` AND min_time < make_timestamp_ns(?)`, append(args, nanos(until))
	}
	return rest, args
}

// SetHold puts a segment under legal hold or releases it, and writes that, with
// the reason, into the ledger. picket.ErrNotFound when there is no such segment.
func (s *Store) SetHold(ctx context.Context, path string, hold bool, reason string) (err error) {
	defer s.observe("set-hold", time.Now(), &err)
	kind := LedgerReleased
	if hold {
		kind = LedgerHeld
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		res, err := c.ExecContext(ctx, `UPDATE segments SET hold = ?, hold_reason = ? WHERE path = ? AND NOT removed`, hold, text(reason), path)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(picket.ErrNotFound, err)
		}
		_, err = s.chain(ctx, c, kind, holdPayload{Path: path, Reason: text(reason)})
		return err
	})
	if err != nil {
		return fmt.Errorf("set hold on segment %q: %w", path, err)
	}
	return nil
}

type holdPayload struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// hashFile returns the SHA-256 of a file and its size.
func hashFile(name string) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// syncFile makes a file's contents durable.
func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// syncDirs makes the names from dir up to segments/ durable.
func (s *Store) syncDirs(dir string) error {
	root := filepath.Join(s.dir, segmentsDir)
	for ; len(dir) >= len(root) && strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes a file that may be gone already.
func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
