package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync"
)

// mostRecentKeys bounds recentKeys: some 10 MB.
const mostRecentKeys = 1 << 18

// recentKeys are the keys of the rows in sightings_recent, or of more: lookups of
// other names, nearly all, leave the table out. It is filled by the first lookup;
// from then on every append adds to it before its transaction commits.
type recentKeys struct {
	mu    sync.Mutex
	keys  map[uint64]struct{}
	state recentState
}

// recentState says what recentKeys can tell.
type recentState uint8

const (
	recentUnread recentState = iota // nobody has asked yet
	recentKnown
	recentMany // too many to be kept: each name may be among them, until they have moved into a run
)

// add notes the keys of rows that are about to be appended.
func (k *recentKeys) add(rows []sightingRow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state != recentKnown {
		return
	}
	for i := range rows {
		k.keys[rows[i].key] = struct{}{}
	}
	if len(k.keys) > mostRecentKeys {
		k.keys, k.state = nil, recentMany
	}
}

// may reports whether sightings_recent may have rows of a key, and whether the keys
// have still to be read.
func (k *recentKeys) may(key uint64) (may, unread bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state != recentKnown {
		return true, k.state == recentUnread
	}
	_, may = k.keys[key]
	return may, false
}

// readRecentKeys reads the keys anew: on the writer, where no append is half done.
func (s *Store) readRecentKeys(ctx context.Context) error {
	read := func(ctx context.Context, q querier) error {
		keys := make(map[uint64]struct{})
		err := each(ctx, q, `SELECT DISTINCT key FROM sightings_recent LIMIT `+strconv.Itoa(mostRecentKeys+1), nil, func(r *sql.Rows) error {
			var key uint64
			err := r.Scan(&key)
			keys[key] = struct{}{}
			return err
		})
		if err != nil {
			return fmt.Errorf("read keys of recent sightings: %w", err)
		}
		k := &s.sightings.recent
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.keys, k.state = keys, recentKnown; len(keys) > mostRecentKeys {
			k.keys, k.state = nil, recentMany
		}
		return nil
	}
	if s.readOnly {
		return read(ctx, s.db)
	}
	return s.write(ctx, func(ctx context.Context, c *sql.Conn) error { return read(ctx, c) })
}

// appendRecent appends rows to sightings_recent; it runs on the writer.
func (s *Store) appendRecent(c *sql.Conn, rows []sightingRow, extra ...any) error {
	s.sightings.recent.add(rows)
	return appendSightingRows(c, "sightings_recent", rows, extra...)
}
