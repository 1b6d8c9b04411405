package duckdb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// importRows is how many rows an import sorts in memory at once: about 200 bytes
// each, twice, because the next are gathered meanwhile.
const importRows = 500_000

// ImportSightings stores sightings in bulk, beside deliveries: next is called
// until it returns none, and what it returned is read until the next call. Nothing
// counts before all of it does, in one transaction at the end; n is how many rows,
// of one value of RDATA each, were taken in.
func (s *Store) ImportSightings(ctx context.Context, next func() ([]picket.Sighting, error)) (n int64, err error) {
	defer s.observe("import-sightings", time.Now(), &err)
	if s.readOnly {
		return 0, fmt.Errorf("import sightings: %w", ErrReadOnly)
	}
	s.sightings.compacting.Lock()
	defer s.sightings.compacting.Unlock()
	if n, err = s.importSightings(ctx, next); err != nil {
		return 0, fmt.Errorf("import sightings: %w", s.closed(err))
	}
	if err := s.checkpoint(ctx); err != nil {
		s.opt.Log.Info("checkpoint after importing sightings was put off", "reason", err)
	}
	return n, nil
}

func (s *Store) importSightings(ctx context.Context, next func() ([]picket.Sighting, error)) (n int64, err error) {
	if err := s.dropStrayRuns(ctx, s.write); err != nil {
		return 0, err
	}
	imp := sightingImport{store: s, work: make(chan []sightingRow)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range 2 {
		imp.workers.Go(func() { imp.sortRuns(ctx, cancel) })
	}
	n, err = imp.feed(ctx, next)
	close(imp.work)
	imp.workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = s.step("sightings imported")
	}
	if err == nil && len(imp.runs) > 0 {
		err = s.enterImport(ctx, imp.runs)
	}
	if err != nil {
		return 0, errors.Join(err, s.dropStrayRuns(context.WithoutCancel(ctx), s.write))
	}
	return n, nil
}

// enterImport merges an import's runs into one, which then counts.
func (s *Store) enterImport(ctx context.Context, runs []sightingRun) error {
	if len(runs) == 1 {
		return s.swap(ctx, func(ctx context.Context, c *sql.Conn) error { return enterRun(ctx, c, runs[0], nil) })
	}
	// Sorted only: what is the same in several of them is joined by the next merge,
	// and until then by those who ask.
	run, err := s.buildRun(ctx, func(ctx context.Context, c *sql.Conn, table string) error {
		return mergeInto(ctx, c, runs, "", func(from string) error {
			_, err := c.ExecContext(ctx, `INSERT INTO `+table+` `+from+` ORDER BY key`)
			return err
		})
	})
	if err != nil {
		return err
	}
	if err := s.step("sightings merged"); err != nil {
		return err
	}
	return s.swap(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, r := range runs {
			if _, err := c.ExecContext(ctx, `DROP TABLE `+r.table()); err != nil {
				return err
			}
		}
		return enterRun(ctx, c, run, nil)
	})
}

// sightingImport cuts an import into sorted runs.
type sightingImport struct {
	store   *Store
	work    chan []sightingRow
	workers sync.WaitGroup
	free    sync.Pool // of slices to fill

	mu   sync.Mutex
	runs []sightingRun // do not count yet
}

// feed packs sightings and hands them to the workers.
func (imp *sightingImport) feed(ctx context.Context, next func() ([]picket.Sighting, error)) (n int64, err error) {
	p := sightingPacker{store: imp.store}
	rows := make([]sightingRow, 0, importRows)
	send := func() error {
		n += int64(len(rows))
		select {
		case imp.work <- rows:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if free, ok := imp.free.Get().(*[]sightingRow); ok {
			rows = (*free)[:0]
		} else {
			rows = make([]sightingRow, 0, importRows)
		}
		return nil
	}
	for {
		list, err := next()
		if err != nil {
			return n, err
		}
		if len(list) == 0 {
			break
		}
		if rows, err = p.pack(ctx, rows, list); err != nil {
			return n, err
		}
		if len(rows) >= importRows {
			if err := send(); err != nil {
				return n, err
			}
		}
	}
	if len(rows) > 0 {
		return n, send()
	}
	return n, nil
}

// sortRuns makes a run of each slice of rows.
func (imp *sightingImport) sortRuns(ctx context.Context, fail context.CancelCauseFunc) {
	var order []sightingOrder
	var sorted []sightingRow
	for rows := range imp.work {
		if ctx.Err() != nil {
			continue
		}
		order, sorted = sortSightings(order[:0], sorted[:0], rows)
		clear(rows)
		imp.free.Put(&rows)
		run, err := imp.store.buildRun(ctx, func(_ context.Context, c *sql.Conn, table string) error {
			return appendSightingRows(c, table, sorted)
		})
		if err != nil {
			fail(err)
			continue
		}
		imp.mu.Lock()
		imp.runs = append(imp.runs, run)
		imp.mu.Unlock()
	}
}

// sightingOrder is what rows are first of all sorted by.
type sightingOrder struct {
	key uint64
	at  int32
}

// sortSightings sorts rows and joins those that are the same into dst.
func sortSightings(order []sightingOrder, dst, rows []sightingRow) ([]sightingOrder, []sightingRow) {
	for i := range rows {
		order = append(order, sightingOrder{rows[i].key, int32(i)})
	}
	slices.SortFunc(order, func(a, b sightingOrder) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return compareSightings(&rows[a.at], &rows[b.at])
	})
	for _, o := range order {
		r := &rows[o.at]
		if len(dst) > 0 && compareSightings(&dst[len(dst)-1], r) == 0 {
			dst[len(dst)-1].join(r)
			continue
		}
		dst = append(dst, *r)
	}
	return order, dst
}

// compareSightings orders by everything that tells sightings apart.
func compareSightings(a, b *sightingRow) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.rrtype, b.rrtype), strings.Compare(a.data, b.data),
		cmp.Compare(a.source, b.source), strings.Compare(a.bailiwick, b.bailiwick), strings.Compare(a.detail, b.detail))
}

// join adds what b has seen.
func (r *sightingRow) join(b *sightingRow) {
	r.first, r.zoneFirst = earliest(r.first, b.first), earliest(r.zoneFirst, b.zoneFirst)
	r.last, r.zoneLast = max(r.last, b.last), max(r.zoneLast, b.zoneLast)
	r.count = addCounts(r.count, b.count)
}

func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
