package main

import (
	"context"
	"fmt"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/passivedns"
)

// passiveDNSConfig bounds the passive DNS that is made of the answers seen.
type passiveDNSConfig struct {
	// Make no passive DNS of the answers seen. What inputs bring is kept all the same.
	Disabled bool `yaml:"disabled" default:"false"`
	// Different answers remembered in memory, a few hundred bytes each.
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

// answersTurn is how often zones may have passive_dns.new_per_zone new answers again.
const answersTurn = 10 * time.Second

// answerKeeper makes passive DNS of the answers that queries got. Each stream of
// queries counts its own, and stores them with its commits.
type answerKeeper struct{ collector *passivedns.Collector }

// newAnswerKeeper returns nil when cfg wants none.
func newAnswerKeeper(cfg passiveDNSConfig) *answerKeeper {
	if cfg.Disabled {
		return nil
	}
	return &answerKeeper{passivedns.New(passivedns.Config{Entries: cfg.Entries, NewPerZone: cfg.NewPerZone})}
}

// open returns what gathers the answers of one stream of an input.
func (k *answerKeeper) open(input string) intake.Answers {
	return &answersOf{k.collector.Tally(), input}
}

// answersOf gathers the answers of one stream.
type answersOf struct {
	*passivedns.Tally
	input string
}

// Observe takes in a query's answers. The sensor is who reported it, else the input.
func (a *answersOf) Observe(q *picket.Query) (drain bool) {
	sensor := q.Sensor
	if sensor == "" {
		sensor = a.input
	}
	return a.Tally.Observe(q, sensor)
}

// run lets what is not seen any more be forgotten, until ctx is done.
func (k *answerKeeper) run(ctx context.Context) {
	if k == nil {
		return
	}
	every := time.NewTicker(answersTurn)
	defer every.Stop()
	early := time.NewTimer(time.Second)
	defer early.Stop()
	full := k.collector.Full()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			k.collector.Turn()
		case <-full:
			k.collector.Turn()
			full = nil // not at once again: it would walk all entries for each new one
			early.Reset(time.Second)
		case <-early.C:
			full = k.collector.Full()
		}
	}
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
	return notes
}
