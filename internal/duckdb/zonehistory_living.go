package duckdb

import (
	"context"
	"database/sql"
	"hash/maphash"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// Bounds of what is held in memory of the history of zones.
const (
	// maxLiving is of how many living records, of all scopes together, the
	// fingerprints are held: some 70 bytes each. A scope that has more is compared
	// by the database.
	maxLiving = 2_000_000
	// maxScopes is of how many scopes they are held.
	maxScopes = 10_000
)

// scopeKey names what one source says of one scope.
type scopeKey struct{ source, scope string }

// fingerprint is a living record as it is held in memory, without its texts. That two
// records are the same is told by key alone: 128 bits of a SHA-256, which nobody who
// writes a zone can make collide. rrset only says where to look: it is a hash that
// differs from process to process, and texts are compared wherever it leads to them.
type fingerprint struct {
	key   duckdbgo.UUID
	rrset uint64
	id    int64 // of the life
	ttl   int64
	zone  uint32 // in living.zones
	churn bool
}

// livingZone is a zone in a scope.
type livingZone struct {
	name    string
	records int64 // that live
	known   bool  // has been looked at before
	serial  sql.Null[int64]
}

// living is what lives in one scope, as of the last committed observation and those
// of the transaction at hand.
type living struct {
	buckets [][]fingerprint // by the low bits of rrset; a power of two of them
	n       int
	zones   []livingZone
	zoneOf  map[string]uint32
	// horizon is no earlier than any time of a life of the scope: what happens after
	// it needs no look at lives that have ended.
	horizon int64
	// gen grows when a record goes or changes, so that what was told the same before is not any more.
	gen  int64
	used int64 // when, in steps of zoneHistory.clock
}

const perBucket = 8

func newLiving(n int) *living {
	l := &living{zoneOf: map[string]uint32{}, horizon: minNanos}
	buckets := 1
	for buckets*perBucket < n {
		buckets *= 2
	}
	l.buckets = make([][]fingerprint, buckets)
	return l
}

// zone returns the place of a zone, which is new when it is not there.
func (l *living) zone(name string) uint32 {
	i, ok := l.zoneOf[name]
	if !ok {
		i = uint32(len(l.zones))
		l.zones = append(l.zones, livingZone{name: name})
		l.zoneOf[name] = i
	}
	return i
}

func (l *living) bucket(rrset uint64) *[]fingerprint {
	return &l.buckets[rrset&uint64(len(l.buckets)-1)]
}

// find returns the living record with a key, nil when there is none. It is good
// until the next add or remove.
func (l *living) find(rrset uint64, key duckdbgo.UUID, zone uint32) *fingerprint {
	b := *l.bucket(rrset)
	for i := range b {
		if b[i].rrset == rrset && b[i].zone == zone && b[i].key == key {
			return &b[i]
		}
	}
	return nil
}

func (l *living) add(f fingerprint) {
	if l.n >= 2*perBucket*len(l.buckets) {
		old := l.buckets
		l.buckets = make([][]fingerprint, 4*len(old))
		for _, b := range old {
			for i := range b {
				to := l.bucket(b[i].rrset)
				*to = append(*to, b[i])
			}
		}
	}
	to := l.bucket(f.rrset)
	*to = append(*to, f)
	l.n++
	l.zones[f.zone].records++
}

func (l *living) remove(rrset uint64, id int64) {
	to := l.bucket(rrset)
	b := *to
	for i := range b {
		if b[i].id == id {
			l.zones[b[i].zone].records--
			b[i] = b[len(b)-1]
			*to = b[:len(b)-1]
			l.n--
			l.gen++
			return
		}
	}
}

// idSet is a set of numbers that lie close together.
type idSet map[int64]uint64

func (s idSet) add(id int64)      { s[id>>6] |= 1 << (id & 63) }
func (s idSet) remove(id int64)   { s[id>>6] &^= 1 << (id & 63) }
func (s idSet) has(id int64) bool { return s[id>>6]&(1<<(id&63)) != 0 }

func (s idSet) each(f func(id int64) error) error {
	for page, bits := range s {
		for i := range int64(64) {
			if bits&(1<<i) != 0 {
				if err := f(page<<6 | i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rrsetHash is of the name, type and class of a record.
func rrsetHash(seed maphash.Seed, name, rrtype, class string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, t := range [...]string{name, rrtype, class} {
		_, _ = h.WriteString(t) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// livingOf returns what lives in a scope: as it is held, or read from the lives. It
// is nil when there is too much of it.
func (h *zoneHistory) livingOf(ctx context.Context, c *sql.Conn, k scopeKey) (*living, error) {
	h.clock++
	if l := h.living[k]; l != nil {
		l.used = h.clock
		return l, nil
	}
	var n int
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM record_lives WHERE source = ? AND scope = ? AND until IS NULL`, k.source, k.scope).Scan(&n)
	if err != nil || n > h.maxLiving {
		return nil, err
	}
	l := newLiving(n)
	err = each(ctx, c, `SELECT id, zone, name, type, class, key, ttl, churn FROM record_lives WHERE source = ? AND scope = ? AND until IS NULL`, []any{k.source, k.scope}, func(r *sql.Rows) error {
		var f fingerprint
		var zone, name, rrtype, class string
		if err := r.Scan(&f.id, &zone, &name, &rrtype, &class, &f.key, &f.ttl, &f.churn); err != nil {
			return err
		}
		f.zone, f.rrset = l.zone(zone), rrsetHash(h.seed, name, rrtype, class)
		l.add(f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, c, `SELECT zone, arg_max(serial, id)::BIGINT FROM zone_versions WHERE source = ? AND scope = ? GROUP BY zone`, []any{k.source, k.scope}, func(r *sql.Rows) error {
		var zone string
		var serial sql.Null[int64]
		if err := r.Scan(&zone, &serial); err != nil {
			return err
		}
		z := &l.zones[l.zone(zone)]
		z.known, z.serial = true, serial
		return nil
	})
	if err != nil {
		return nil, err
	}
	var horizon sql.Null[int64]
	err = c.QueryRowContext(ctx, `SELECT epoch_ns(max(greatest(since, until))) FROM record_lives WHERE source = ? AND scope = ?`, k.source, k.scope).Scan(&horizon)
	if err != nil {
		return nil, err
	}
	if horizon.Valid {
		l.horizon = horizon.V
	}
	l.used = h.clock
	h.living[k] = l
	h.makeRoom(k)
	return l, nil
}

// makeRoom forgets scopes, those first that were not looked at for the longest time,
// until what is held is within its bounds again.
func (h *zoneHistory) makeRoom(keep scopeKey) {
	for {
		sum, oldest, found := 0, keep, false
		for k, l := range h.living {
			if sum += l.n; k != keep && (!found || l.used < h.living[oldest].used) {
				oldest, found = k, true
			}
		}
		if !found || (sum <= h.maxLiving && len(h.living) <= maxScopes) {
			return
		}
		h.forget(oldest)
	}
}

// forget drops what is held of a scope. It is read from the lives when it is needed again.
func (h *zoneHistory) forget(k scopeKey) {
	if l := h.living[k]; l != nil {
		l.gen = -1 // what was told the same as it may not be the same any more
		delete(h.living, k)
	}
}
