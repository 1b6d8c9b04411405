package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/duckdb"
)

// How often the daemon's catalog follows the recorded past.
const (
	pastEvery = 10 * time.Second // least time between two rebuilds
	// A rebuild may take at most a tenth of the time.
	pastRest = 10
	// pastAnyway is when the catalog is rebuilt though no zone has changed: passive DNS
	// goes on seeing names without that.
	pastAnyway = time.Hour
)

// pastKeeper keeps the catalog up with the recorded past. One goroutine uses it.
type pastKeeper struct {
	know *knowledge
	past picket.ZonePast
	log  *slog.Logger

	every    time.Duration
	revision int64 // of the history that the catalog is built from; -1 before the first time
	built    time.Time
	took     time.Duration
}

// newPastKeeper returns a keeper of a store's past.
func newPastKeeper(know *knowledge, past picket.ZonePast, log *slog.Logger) *pastKeeper {
	return &pastKeeper{know: know, past: past, log: log, every: pastEvery, revision: -1}
}

// refresh rebuilds the catalog if the past has changed since the last time.
func (k *pastKeeper) refresh(ctx context.Context) error {
	begun := time.Now()
	// Read first: what changes while the past is read is read again the next time.
	revision, err := k.past.HistoryRevision(ctx)
	if err != nil {
		return fmt.Errorf("ask whether the history of zones has changed: %w", err)
	}
	if revision == k.revision && begun.Sub(k.built) < pastAnyway {
		return nil
	}
	st, err := k.know.learn(ctx, k.past)
	if err != nil {
		return fmt.Errorf("build the catalog from history: %w", err)
	}
	first := k.revision < 0
	k.revision, k.built, k.took = revision, begun, time.Since(begun)
	if first {
		for _, s := range st.Shadowed {
			k.log.Info("a zone file decides what is live, not the recorded zone", "zone", s.Zone, "file", s.Path)
		}
	}
	if st.Zones+st.Names > 0 {
		k.log.Info("catalog built from history", "zones", st.Zones, "names", st.Names, "left_out", st.Left+st.Alive, "took", k.took.Round(time.Millisecond))
	}
	return nil
}

// run follows the past until ctx ends.
func (k *pastKeeper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(k.every, pastRest*k.took)):
		}
		if err := k.refresh(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("catalog", "error", err)
		}
	}
}

// learnFrom takes the past that the store in dir has recorded. What cannot be read
// is an error of usage.
func learnFrom(ctx context.Context, know *knowledge, dir string, notes io.Writer) error {
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return usageError("--history %s: want the data directory of picket run", dir)
	}
	s, err := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: filepath.Clean(dir)})
	if err != nil {
		return usageError("--history %s: %v", dir, err)
	}
	defer s.Close()
	st, err := know.learn(ctx, s)
	if err != nil {
		return usageError("--history %s: %v", dir, err)
	}
	notePast(notes, dir, st)
	return nil
}

// notePast says what was taken of a recorded past.
func notePast(w io.Writer, dir string, st catalog.PastStats) {
	fmt.Fprintf(w, "history %s: %d zones, %d names that have lived\n", dir, st.Zones, st.Names)
	for _, s := range st.Shadowed {
		fmt.Fprintf(w, "history %s: of zone %s the zone file %s counts, not what was recorded\n", dir, s.Zone, s.Path)
	}
}
