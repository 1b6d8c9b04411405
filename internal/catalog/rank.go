package catalog

import (
	"slices"
	"sync"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

var _ picket.ZoneOrder = (*Catalog)(nil)

// order is the canonical order of a zone's owner names, made when first asked for.
type order struct {
	once sync.Once
	offs []uint32
}

// Rank implements picket.ZoneOrder over the names that an NSEC chain of the zone
// would hold: owner names and delegations, neither empty non-terminals nor glue.
// The first call for a zone sorts it; later calls do not allocate. z may be from
// before a reload.
func (c *Catalog) Rank(z *picket.Zone, name []byte) (index int, exact, ok bool) {
	if z == nil || z.Inferred || !dnsname.IsSubdomain(name, z.Apex) {
		return 0, false, false
	}
	s := c.snap.Load()
	e := s.entry(z)
	if e == nil {
		return 0, false, false
	}
	offs := e.sorted(s.t)
	lo, hi := 0, len(offs)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch d := dnsname.Compare(s.t.name(offs[mid]), name); {
		case d == 0:
			return mid, true, true
		case d < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return max(lo-1, 0), false, true // the apex is first and never after name
}

// entry returns the watched zone that z is, or was before a reload.
func (s *snapshot) entry(z *picket.Zone) *zoneEntry {
	off := s.t.lookup(z.Apex)
	if off == 0 || s.t.flags(off)&flagApex == 0 {
		return nil
	}
	return s.zones[s.t.zone(off)]
}

func (e *zoneEntry) sorted(t *table) []uint32 {
	e.order.once.Do(func() {
		offs := make([]uint32, 0, e.Live)
		for off := e.start; off < e.end; off = t.next(off) {
			if t.flags(off)&(flagLive|flagCut) != 0 {
				offs = append(offs, off)
			}
		}
		slices.SortFunc(offs, func(a, b uint32) int { return dnsname.Compare(t.name(a), t.name(b)) })
		e.order.offs = offs
	})
	return e.order.offs
}
