package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// An import is made in these steps, so that every row enters DuckDB once and where
// it stays:
//
//  1. spilled: rows are gathered, sorted in memory and written to a file, again and
//     again
//  2. merged: the files are read side by side, what is the same is joined, and the
//     rows are written to parts in Parquet, which DuckDB reads into the table of a
//     run while the next part is written
//  3. swapped: as in sightingruns.go
//
// What a crash leaves, the files and the table, the next start removes.

// importDir is the directory of an import's files, within the store's.
const importDir = "import"

const (
	// importArena is how many bytes of rows are sorted at once; twice, because the next
	// are gathered meanwhile.
	importArena = 48 << 20
	// importFiles is how many files are merged at once: each takes 200 KiB of memory.
	importFiles = 400
	// importPart is the rows of a part: whole row groups.
	importPart = 8 * groupRows
)

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
	imp := sightingImport{store: s, dir: filepath.Join(s.dir, importDir)}
	if err := os.Mkdir(imp.dir, 0o700); err != nil {
		return 0, err
	}
	n, err = imp.spill(ctx, next)
	debug.FreeOSMemory() // what sorting took, DuckDB takes now
	if err == nil {
		err = s.step("sightings imported")
	}
	var run sightingRun
	if err == nil && len(imp.files) > 0 {
		run, err = s.buildRun(ctx, imp.fill)
	}
	if err == nil {
		err = s.step("sightings merged")
	}
	if err == nil && run.rows > 0 {
		err = s.swap(ctx, func(ctx context.Context, c *sql.Conn) error { return enterRun(ctx, c, run, nil) })
	}
	if err != nil {
		return 0, errors.Join(err, s.dropStrayRuns(context.WithoutCancel(ctx), s.write))
	}
	return n, os.RemoveAll(imp.dir)
}

// sightingImport is an import that is going on.
type sightingImport struct {
	store *Store
	dir   string
	files []string // spilled
	made  int      // files so far, for their names
}

// file returns the name of a new file.
func (imp *sightingImport) file(kind string) string {
	imp.made++
	return filepath.Join(imp.dir, kind+"-"+strconv.Itoa(imp.made))
}

// importChunk is rows that are sorted together.
type importChunk struct {
	arena []byte
	order []sightingOrder
}

func (c *importChunk) add(r *sightingRow) {
	c.order = append(c.order, sightingOrder{r.key, uint32(len(c.arena))})
	c.arena = packSighting(c.arena, r)
}

// spill packs sightings and writes them to files.
func (imp *sightingImport) spill(ctx context.Context, next func() ([]picket.Sighting, error)) (n int64, err error) {
	full, free := make(chan *importChunk), make(chan *importChunk, 2)
	for range cap(free) {
		free <- &importChunk{}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var worker sync.WaitGroup
	worker.Go(func() {
		var w spillWriter
		for c := range full {
			if err := imp.write(&w, c); err != nil {
				cancel(err)
			}
			free <- c
		}
	})
	n, err = imp.feed(ctx, next, full, free)
	close(full)
	worker.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return n, err
}

// feed fills chunks.
func (imp *sightingImport) feed(ctx context.Context, next func() ([]picket.Sighting, error), full chan<- *importChunk, free <-chan *importChunk) (n int64, err error) {
	p := sightingPacker{store: imp.store}
	var rows []sightingRow
	c := <-free
	for {
		list, err := next()
		if err != nil {
			return n, err
		}
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		if len(list) == 0 {
			break
		}
		if rows, err = p.pack(ctx, rows[:0], list); err != nil {
			return n, err
		}
		n += int64(len(rows))
		for i := range rows {
			if c.add(&rows[i]); len(c.arena) >= importArena {
				full <- c
				c = <-free
			}
		}
	}
	if len(c.order) > 0 {
		full <- c
	}
	return n, nil
}

// write sorts a chunk into a file and empties it.
func (imp *sightingImport) write(w *spillWriter, c *importChunk) error {
	name := imp.file("rows")
	if err := w.create(name); err != nil {
		return err
	}
	if err := errors.Join(sortPacked(c.arena, c.order, w.add), w.close()); err != nil {
		return err
	}
	imp.files = append(imp.files, name)
	c.arena, c.order = c.arena[:0], c.order[:0]
	return nil
}

// importedPart is a file that DuckDB is to read.
type importedPart struct {
	name string
	rows int64
}

// importSum is of rows, in any order: that of the table must be that of what was
// written.
type importSum struct {
	rows, keys, dataKeys uint64 // keys are combined with exclusive or
}

// fill merges the files into the table of a run.
func (imp *sightingImport) fill(ctx context.Context, c *sql.Conn, table string) error {
	if err := imp.narrow(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make(chan importedPart)
	var sum importSum
	var merging sync.WaitGroup
	merging.Go(func() {
		defer close(parts)
		var err error
		if sum, err = imp.merge(ctx, parts); err != nil {
			cancel(err)
		}
	})
	for p := range parts {
		if ctx.Err() != nil {
			continue
		}
		if err := enterPart(ctx, c, table, p); err != nil {
			cancel(err)
		}
	}
	merging.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var have importSum
	err := c.QueryRowContext(ctx, `SELECT count(*), coalesce(bit_xor(key), 0), coalesce(bit_xor(data_key), 0) FROM `+table).Scan(&have.rows, &have.keys, &have.dataKeys)
	if err == nil && have != sum {
		err = fmt.Errorf("what was written is not what is read: %+v, want %+v", have, sum)
	}
	return err
}

// narrow merges files until there are few enough.
func (imp *sightingImport) narrow(ctx context.Context) error {
	var w spillWriter
	for len(imp.files) > importFiles {
		name := imp.file("rows")
		if err := w.create(name); err != nil {
			return err
		}
		err := mergeSpills(imp.files[:importFiles], func(r packedSighting) error {
			return errors.Join(w.add(r), ctx.Err())
		})
		if err = errors.Join(err, w.close()); err != nil {
			return err
		}
		imp.files = append(imp.files[importFiles:], name)
	}
	return nil
}

// merge writes the rows of the files to parts.
func (imp *sightingImport) merge(ctx context.Context, parts chan<- importedPart) (sum importSum, err error) {
	var w partWriter
	var name string
	send := func() error {
		if err := w.close(); err != nil {
			return err
		}
		select {
		case parts <- importedPart{name, w.total}:
			name = ""
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	var n int
	err = mergeSpills(imp.files, func(r packedSighting) error {
		if name == "" {
			name, n = imp.file("part"), 0
			if err := w.create(name); err != nil {
				return err
			}
		}
		sum.rows++
		sum.keys ^= r.key()
		sum.dataKeys ^= r.dataKey()
		if err := w.add(r); err != nil {
			return err
		}
		if n++; n == importPart {
			return send()
		}
		return nil
	})
	switch {
	case name == "":
	case err != nil:
		err = errors.Join(err, w.f.Close())
	default:
		err = send()
	}
	return sum, err
}

// enterPart reads a part into a table and removes it.
func enterPart(ctx context.Context, c *sql.Conn, table string, p importedPart) error {
	res, err := c.ExecContext(ctx, `INSERT INTO `+table+` SELECT key, data_key, source, name, type, data,
		nullif(bailiwick, ''), nullif(detail, ''), first, last, zone_first, zone_last, count FROM read_parquet(`+quote(p.name)+`)`)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != p.rows {
		return errors.Join(err, fmt.Errorf("%d of %d rows of %s were read", n, p.rows, p.name))
	}
	return os.Remove(p.name)
}
