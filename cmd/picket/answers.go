package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/passivedns"
)

// passiveDNSConfig bounds the passive DNS that is made of the answers seen.
type passiveDNSConfig struct {
	// Make no passive DNS of the answers seen. What inputs bring is kept all the same.
	Disabled bool `yaml:"disabled" default:"false"`
	// Different answers held in memory, a few hundred bytes each, until they are stored.
	Entries int `yaml:"entries" default:"131072"`
	// Answers of one zone, not seen lately, that are taken within ten seconds. It keeps
	// a flood of random names below a wildcard from filling the store.
	NewPerZone int `yaml:"new_per_zone" default:"2000"`
}

func defaultPassiveDNS() passiveDNSConfig {
	return passiveDNSConfig{Entries: passivedns.DefaultEntries, NewPerZone: passivedns.DefaultNewPerZone}
}

// validate checks what the types cannot say.
func (c *passiveDNSConfig) validate(lines lineIndex, p *problems) {
	if c.Entries < 1024 || c.Entries > 1<<24 {
		p.add(lines.of("passive_dns.entries"), "passive_dns.entries: %d; want 1024 to 16777216", c.Entries)
	}
	if c.NewPerZone < 1 {
		p.add(lines.of("passive_dns.new_per_zone"), "passive_dns.new_per_zone: %d; want at least 1", c.NewPerZone)
	}
}

// sightingObserver stores what Picket itself has seen: counts are added to what the
// store has.
type sightingObserver interface {
	ObserveSightings(ctx context.Context, rows []picket.Sighting) error
}

// answersEvery is how often what was seen of answers is stored. A crash loses what was
// seen since.
const answersEvery = 10 * time.Second

// answerKeeper makes passive DNS of the answers that queries got.
type answerKeeper struct {
	collector *passivedns.Collector
	store     sightingObserver
	log       *slog.Logger

	mu      sync.Mutex
	waiting []picket.Sighting // handed out by the collector and not stored yet
	failed  error             // of the last time
}

// newAnswerKeeper returns nil when cfg wants none.
func newAnswerKeeper(cfg passiveDNSConfig, store sightingObserver, log *slog.Logger) *answerKeeper {
	if cfg.Disabled {
		return nil
	}
	return &answerKeeper{store: store, log: log,
		collector: passivedns.New(passivedns.Config{Entries: cfg.Entries, NewPerZone: cfg.NewPerZone})}
}

// observe takes in a query's answers. The sensor is who reported it, else the input.
func (k *answerKeeper) observe(q *picket.Query, input string) {
	sensor := q.Sensor
	if sensor == "" {
		sensor = input
	}
	k.collector.Observe(q, sensor)
}

// run stores what has been seen, now and then, until ctx is done.
func (k *answerKeeper) run(ctx context.Context) {
	if k == nil {
		return
	}
	every := time.NewTicker(answersEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		case <-k.collector.Full():
		}
		if err := k.flush(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("passive DNS", "error", err)
		}
	}
}

// flush stores what has been seen since the last time. What cannot be stored is tried
// again; until then the collector keeps what comes, as far as it has room.
func (k *answerKeeper) flush(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) == 0 {
		k.waiting = k.collector.Flush()
	}
	if len(k.waiting) == 0 {
		return nil
	}
	if k.failed = k.store.ObserveSightings(ctx, k.waiting); k.failed != nil {
		return fmt.Errorf("store %d answers seen: %w", len(k.waiting), k.failed)
	}
	k.waiting = nil
	return nil
}

// close stores what is left.
func (k *answerKeeper) close() error {
	if k == nil {
		return nil
	}
	// The first may store what waited from before.
	return errors.Join(k.flush(context.Background()), k.flush(context.Background()))
}

// notes says what passive DNS lacks.
func (k *answerKeeper) notes() (notes []string) {
	if k == nil {
		return []string{"switched off: passive DNS of the answers seen"}
	}
	out := k.collector.LeftOut()
	for _, x := range []struct {
		n   int64
		why string
	}{
		{out.Zone, "more new ones of one zone in ten seconds than passive_dns.new_per_zone, as random names below a wildcard bring"},
		{out.Full, "more different ones than passive_dns.entries"},
		{out.Unreadable, "RDATA malformed or too long"},
	} {
		if x.n > 0 {
			notes = append(notes, fmt.Sprintf("passive DNS: %d answers left out: %s", x.n, x.why))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed != nil {
		notes = append(notes, "passive DNS: answers seen could not be stored; they are tried again")
	}
	return notes
}
