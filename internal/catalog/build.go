package catalog

import (
	"fmt"
	"math"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Canary is a planted name. Channel says how somebody who asks for it must have
// learned of it ("pdns", "ct", "zone", …); it may be empty.
type Canary struct {
	Name    []byte // canonical wire form
	Channel string
}

// Builder collects what a catalog is to know. It is used by one goroutine.
type Builder struct {
	zones    []*ZoneData
	byApex   map[string]int // apex → index in zones
	retired  [][]byte
	canaries []Canary

	past      []byte // names that have lived (past.go), each after its length
	pastNames int
	maxPast   int // 0 means DefaultMaxPast
}

// NewBuilder returns a Builder that knows nothing.
func NewBuilder() *Builder { return &Builder{byApex: map[string]int{}} }

// AddZone adds a zone. A second one with the same apex is an error.
func (b *Builder) AddZone(z *ZoneData) error {
	if i, dup := b.byApex[string(z.Apex)]; dup {
		return fmt.Errorf("zone %s is in both %s and %s: give one file for a zone", z.Name(), b.zones[i].Path, z.Path)
	}
	b.byApex[string(z.Apex)] = len(b.zones)
	b.zones = append(b.zones, z)
	return nil
}

// AddRetired adds names that were there once. Those that turn out to be live
// are left out when the catalog is built.
func (b *Builder) AddRetired(names ...[]byte) { b.retired = append(b.retired, names...) }

// AddCanaries adds planted names.
func (b *Builder) AddCanaries(cs ...Canary) { b.canaries = append(b.canaries, cs...) }

// zoneEntry is a watched zone within a snapshot.
type zoneEntry struct {
	picket.Zone
	labels     int
	start, end uint32 // its names in the arena
	order      order
}

// snapshot is everything a catalog knows from files. It is immutable.
type snapshot struct {
	t        *table
	zones    []*zoneEntry // index 0 is unused: names in no watched zone
	channels []string     // index 0 is ""
	orphans  []uint32     // retired names in no watched zone, canonical order
	listed   [][]byte     // guessed zones of retired names and canaries in no watched zone
	stats    Stats
}

// build makes the snapshot. id gives out zone identifiers.
func (b *Builder) build(h dnsname.Hasher, id func(apex []byte) uint32) (*snapshot, error) {
	names, bytes := len(b.retired)+len(b.canaries)+b.pastNames, len(b.past)
	for _, z := range b.zones {
		names += z.owners.n
		bytes += len(z.owners.arena) - z.owners.n*headerLen
	}
	for _, r := range b.retired {
		bytes += len(r)
	}
	s := &snapshot{t: newTable(h, names, bytes+bytes/16), zones: []*zoneEntry{nil}, channels: []string{""}}
	for i, z := range b.zones {
		if err := b.addZone(s, uint32(i+1), z, id(z.Apex)); err != nil {
			return nil, fmt.Errorf("zone %s: %w", z.Name(), err)
		}
	}
	if err := b.addRetired(s); err != nil {
		return nil, err
	}
	if err := b.addPast(s); err != nil {
		return nil, err
	}
	if err := b.addCanaries(s); err != nil {
		return nil, err
	}
	slices.SortFunc(s.orphans, func(x, y uint32) int { return dnsname.Compare(s.t.name(x), s.t.name(y)) })
	s.stats.Zones = len(b.zones)
	s.stats.Names = s.t.n
	s.stats.Bytes = s.t.bytes()
	return s, nil
}

func (b *Builder) addZone(s *snapshot, index uint32, z *ZoneData, id uint32) error {
	e := &zoneEntry{labels: dnsname.Labels(z.Apex), start: uint32(len(s.t.arena))}
	e.Zone = picket.Zone{
		ID: id, Apex: z.Apex, Name: z.Name(), Reverse: dnsname.IsReverse(z.Apex),
		Signed: z.Signed, NSEC3: z.NSEC3,
	}
	s.zones = append(s.zones, e)
	off, _, err := s.t.insert(s.t.hasher.Name(z.Apex), z.Apex, index)
	if err != nil {
		return err
	}
	s.t.or(off, flagApex|flagLive)
	var sfx dnsname.Suffixes
	children := b.hasChildren(z)
	for o := uint32(headerLen); int(o) < len(z.owners.arena); o = z.owners.next(o) {
		name, owns := z.owners.name(o), z.owners.flags(o)
		if owns&ownsData == 0 || b.hidden(z, name, children) {
			continue
		}
		s.t.hasher.Sum(name, &sfx)
		if err := s.addOwner(e, index, name, owns, &sfx); err != nil {
			return err
		}
	}
	if children {
		if err := b.addAboveChildren(s, index, z); err != nil {
			return err
		}
	}
	e.end = uint32(len(s.t.arena))
	e.Wildcard = s.t.flags(off)&flagWild != 0
	s.countZone(e)
	return nil
}

// hasChildren reports whether another watched zone lies below z.
func (b *Builder) hasChildren(z *ZoneData) bool {
	for _, o := range b.zones {
		if len(o.Apex) > len(z.Apex) && dnsname.IsSubdomain(o.Apex, z.Apex) {
			return true
		}
	}
	return false
}

// addAboveChildren enters the empty non-terminals between z's apex and the
// watched zones below it: a child's apex exists in its parent too.
func (b *Builder) addAboveChildren(s *snapshot, index uint32, z *ZoneData) error {
	for _, o := range b.zones {
		if len(o.Apex) <= len(z.Apex) || !dnsname.IsSubdomain(o.Apex, z.Apex) {
			continue
		}
		for p := dnsname.Parent(o.Apex); len(p) > len(z.Apex); p = dnsname.Parent(p) {
			if b.hidden(z, p, true) {
				break
			}
			off, _, err := s.t.insert(s.t.hasher.Name(p), p, index)
			if err != nil {
				return err
			}
			s.t.or(off, flagEmpty)
		}
	}
	return nil
}

// hidden reports whether name's records in z are not what a server answers
// from: below a zone cut (glue), below a DNAME (RFC 6672 §2.4), or at or below
// another watched zone, whose own data count.
func (b *Builder) hidden(z *ZoneData, name []byte, children bool) bool {
	for p := name; len(p) > len(z.Apex); p = dnsname.Parent(p) {
		if children {
			if _, other := b.byApex[string(p)]; other {
				return true
			}
		}
		if len(p) < len(name) {
			if off := z.owners.lookup(p); off != 0 && z.owners.flags(off)&(ownsNS|ownsDNAME) != 0 {
				return true
			}
		}
	}
	if len(name) > len(z.Apex) {
		off := z.owners.lookup(z.Apex)
		return off != 0 && z.owners.flags(off)&ownsDNAME != 0
	}
	return false
}

// addOwner enters an owner name and the empty non-terminals above it.
func (s *snapshot) addOwner(e *zoneEntry, index uint32, name []byte, owns uint8, sfx *dnsname.Suffixes) error {
	depth := sfx.N - e.labels
	flags := uint8(flagLive)
	if depth > 0 && owns&ownsNS != 0 {
		flags = flagCut
	}
	if owns&ownsDNAME != 0 {
		flags |= flagWild
	}
	for i := 0; i <= depth; i++ {
		part := name[sfx.At[i]:]
		off, isNew, err := s.t.insert(sfx.Hash[i], part, index)
		if err != nil {
			return err
		}
		s.t.or(off, flags)
		if !isNew && i > 0 && flags&flagWild == 0 {
			return nil // whatever is above is there already
		}
		flags = flagEmpty
		if part[0] == 1 && part[1] == '*' {
			flags |= flagWild
		}
	}
	return nil
}

func (s *snapshot) countZone(e *zoneEntry) {
	for off := e.start; off < e.end; off = s.t.next(off) {
		switch f := s.t.flags(off); {
		case f&flagCut != 0:
			e.Live++
			s.stats.Delegations++
		case f&flagLive != 0:
			e.Live++
			s.stats.Live++
		default:
			s.stats.Empty++
		}
	}
}

// watched returns the index of the zone that name lies in, 0 for none.
func (s *snapshot) watched(name []byte, sfx *dnsname.Suffixes) uint32 {
	for i := 0; i <= sfx.N; i++ {
		if off := s.t.find(sfx.Hash[i], name[sfx.At[i]:]); off != 0 && s.t.flags(off)&flagExists != 0 {
			return s.t.zone(off)
		}
	}
	return 0
}

// addListed enters a retired name or canary and returns its record.
func (s *snapshot) addListed(name []byte) (off uint32, err error) {
	var sfx dnsname.Suffixes
	s.t.hasher.Sum(name, &sfx)
	zone := s.watched(name, &sfx)
	off, isNew, err := s.t.insert(sfx.Hash[0], name, zone)
	if err != nil {
		return 0, err
	}
	if isNew && zone == 0 {
		if apex := dnsname.Registered(name); apex != nil {
			s.listed = append(s.listed, apex)
		}
	}
	return off, nil
}

func (b *Builder) addRetired(s *snapshot) error {
	for _, name := range b.retired {
		off, err := s.addListed(name)
		if err != nil {
			return fmt.Errorf("retired names: %w", err)
		}
		switch f := s.t.flags(off); {
		case f&(flagLive|flagCut) != 0:
			s.stats.RetiredLive++
			continue
		case f&flagRetired != 0:
			continue
		}
		s.t.or(off, flagRetired)
		s.stats.Retired++
		if z := s.t.zone(off); z != 0 {
			s.zones[z].Retired++
		} else {
			s.orphans = append(s.orphans, off)
		}
	}
	return nil
}

func (b *Builder) addCanaries(s *snapshot) error {
	index := map[string]uint16{"": 0}
	for _, c := range b.canaries {
		off, err := s.addListed(c.Name)
		if err != nil {
			return fmt.Errorf("canaries: %w", err)
		}
		ch, known := index[c.Channel]
		if !known {
			if len(s.channels) > math.MaxUint16 {
				return fmt.Errorf("canaries: more than %d different channels", math.MaxUint16)
			}
			ch = uint16(len(s.channels))
			index[c.Channel] = ch
			s.channels = append(s.channels, c.Channel)
		}
		if s.t.flags(off)&flagCanary == 0 {
			s.stats.Canaries++
		}
		s.t.or(off, flagCanary)
		s.t.setChannel(off, ch)
	}
	return nil
}

// retiredBelow counts the retired names in no watched zone at or below apex. In
// canonical order they follow each other.
func (s *snapshot) retiredBelow(apex []byte) int {
	lo, _ := slices.BinarySearchFunc(s.orphans, apex, func(off uint32, a []byte) int {
		return dnsname.Compare(s.t.name(off), a)
	})
	n, _ := slices.BinarySearchFunc(s.orphans[lo:], apex, func(off uint32, a []byte) int {
		if dnsname.IsSubdomain(s.t.name(off), a) {
			return -1
		}
		return 1
	})
	return n
}
