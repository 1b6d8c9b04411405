package catalog

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// DefaultMaxInferred bounds the zones learned from traffic.
const DefaultMaxInferred = 4096

// Config configures a Catalog. The zero value is right for most.
type Config struct {
	// Seed keys the hash of names. 0 draws one at random, so that nobody can
	// choose names that collide.
	Seed uint64
	// MaxInferred bounds the zones learned from traffic: 0 means
	// DefaultMaxInferred, below 0 none are learned.
	MaxInferred int
}

// Catalog answers for names. All methods are safe for concurrent use.
type Catalog struct {
	hasher      dnsname.Hasher
	maxInferred int

	snap     atomic.Pointer[snapshot]
	inferred atomic.Pointer[inferredSet]

	// answered is set once any response was seen: from then on a query without
	// one says nothing about whose zone it asks (lookup.go).
	answered atomic.Bool

	reload sync.Mutex // held by Replace while it builds

	// mu guards what follows, and writing to snap and inferred.
	mu     sync.Mutex
	ids    map[string]uint32 // apex → Zone.ID, stable over reloads
	lastID uint32
	asked  guessCounter

	refused  atomic.Int64 // names that found no zone because the budget was used up
	replaced atomic.Int64 // guessed zones that gave way to proven ones
}

// New returns a catalog that knows no zones; it learns them until Replace.
func New(cfg Config) *Catalog {
	seed := cfg.Seed
	if seed == 0 {
		seed = maphash.Comparable(maphash.MakeSeed(), uint64(1))
	}
	if cfg.MaxInferred == 0 {
		cfg.MaxInferred = DefaultMaxInferred
	}
	c := &Catalog{hasher: dnsname.Hasher{Seed: seed}, maxInferred: max(cfg.MaxInferred, 0), ids: map[string]uint32{}}
	empty, err := NewBuilder().build(c.hasher, nil)
	if err != nil {
		panic("catalog: empty snapshot: " + err.Error()) // nothing in it can fail
	}
	c.snap.Store(empty)
	c.inferred.Store(newInferredSet(c.hasher))
	return c
}

// Hasher returns the hasher whose Suffixes Lookup wants. It never changes.
func (c *Catalog) Hasher() dnsname.Hasher { return c.hasher }

// Replace builds a snapshot from b and publishes it in place of the one before.
// On error the one before stays. Zones keep their ID over reloads, and those
// learned from traffic stay unless a watched zone now covers them.
func (c *Catalog) Replace(b *Builder) error {
	c.reload.Lock()
	defer c.reload.Unlock()
	s, err := b.build(c.hasher, func(apex []byte) uint32 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.id(apex)
	})
	if err != nil {
		return fmt.Errorf("build catalog: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap.Store(s)
	c.inferred.Store(c.reinfer(s))
	return nil
}

// id returns the identifier of the zone at apex. Callers hold mu.
func (c *Catalog) id(apex []byte) uint32 {
	if id, ok := c.ids[string(apex)]; ok {
		return id
	}
	c.lastID++
	c.ids[string(apex)] = c.lastID
	return c.lastID
}

// Zones returns the zones watched, and after them the inferred ones, each in
// canonical order. They must not be written to.
func (c *Catalog) Zones() []*picket.Zone {
	s, inf := c.snap.Load(), c.inferred.Load()
	out := make([]*picket.Zone, 0, len(s.zones)+len(inf.zones))
	for _, e := range s.zones[1:] {
		out = append(out, &e.Zone)
	}
	watched := len(out)
	for _, z := range inf.zones {
		out = append(out, z.Zone)
	}
	byApex := func(a, b *picket.Zone) int { return dnsname.Compare(a.Apex, b.Apex) }
	slices.SortFunc(out[:watched], byApex)
	slices.SortFunc(out[watched:], byApex)
	return out
}

// Stats counts what a catalog holds.
type Stats struct {
	Zones       int // watched, from zone data
	Names       int // all names in the table
	Live        int // owner names, delegations not counted
	Delegations int
	Empty       int // empty non-terminals
	Retired     int
	RetiredLive int // listed as retired, but live: left out
	Canaries    int
	Bytes       int // memory of the table of names

	Inferred         int   // zones learned from traffic
	InferredRefused  int64 // queries whose zone was not learned, the budget being used up
	InferredReplaced int64 // guessed zones that gave way to proven ones
}

// Stats returns the counts of now.
func (c *Catalog) Stats() Stats {
	st := c.snap.Load().stats
	st.Inferred = len(c.inferred.Load().zones)
	st.InferredRefused = c.refused.Load()
	st.InferredReplaced = c.replaced.Load()
	return st
}
