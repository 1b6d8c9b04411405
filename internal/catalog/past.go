package catalog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// DefaultMaxPast bounds the names that are taken from the recorded past. Names
// come into it through passive DNS too, which whoever asks the servers has a hand in.
const DefaultMaxPast = 4 << 20

// PastStats says what a Builder took from the recorded past.
type PastStats struct {
	Zones int // built from records, for want of a zone file
	// Shadowed are zones of the past whose contents a zone file of the configuration
	// gives: the file decides what is live.
	Shadowed []Shadowed
	Names    int // that have lived and may be gone
	Alive    int // there now by some source, or after the file of their zone was written
	Left     int // not taken: wildcards, validation records, hashes, no name at all, beyond the bound
	Refused  int // records that cannot be in the zone they were said to be of
}

// Shadowed is a zone that is known twice.
type Shadowed struct{ Zone, Path string }

// AddPast adds what was recorded: zones of which only records are known, and the
// names that have lived. Add zone files before: a zone that is there already is
// not built from records. A name that was there at now or later is no name of the
// past: some source says that it is there, or ought to be. Which of the others are
// retired is decided when the catalog is built (addPast).
func (b *Builder) AddPast(ctx context.Context, past picket.ZonePast, now time.Time) (PastStats, error) {
	var st PastStats
	alive, err := b.addLiving(ctx, past, &st)
	if err != nil {
		return st, fmt.Errorf("read the zones that were recorded: %w", err)
	}
	return st, b.addLived(ctx, past, now, alive, &st)
}

// addLived takes the names that have lived, except those that alive holds. A name
// may come twice, what zones say of it first.
func (b *Builder) addLived(ctx context.Context, past picket.ZonePast, now time.Time, alive *table, st *PastStats) error {
	limit := b.maxPast
	if limit == 0 {
		limit = DefaultMaxPast
	}
	buf := make([]byte, 0, dnsname.MaxLen)
	err := past.EachPast(ctx, func(text string, last time.Time) error {
		name, err := dnsname.AppendText(buf[:0], text)
		switch {
		case err != nil, !tells(name), st.Names >= limit:
			st.Left++
			return nil
		case alive.lookup(name) != 0, b.outlives(name, last):
			st.Alive++
			return nil
		case !last.Before(now): // and whatever is said of it later does not count
			st.Alive++
			_, _, err := alive.insert(alive.hasher.Name(name), name, 0)
			return err
		}
		st.Names++
		b.past = append(b.past, byte(len(name)))
		b.past = append(b.past, name...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the names that were recorded: %w", err)
	}
	b.pastNames += st.Names
	return nil
}

// outlives reports whether name was there after the file of its zone was written:
// then the file is out of date, and that it lacks the name says nothing.
func (b *Builder) outlives(name []byte, last time.Time) bool {
	for p := name; ; p = dnsname.Parent(p) {
		if i, known := b.byApex[string(p)]; known {
			written := b.zones[i].Modified
			return !written.IsZero() && last.After(written)
		}
		if len(p) <= 1 {
			return false
		}
	}
}

// addLiving builds the zones that no file gives. Records come zone by zone. alive
// holds what by the records lives in the other zones: a file may be older.
func (b *Builder) addLiving(ctx context.Context, past picket.ZonePast, st *PastStats) (alive *table, err error) {
	files := len(b.zones)
	var z *ZoneData // nil where the zone comes from a file, or has no name
	last := ""
	alive = newTable(dnsname.Hasher{}, 0, 0)
	begin := func(zone string) error {
		last, z = zone, nil
		apex, err := dnsname.Parse(zone)
		if zone == "" || err != nil {
			return nil
		}
		if i, known := b.byApex[string(apex)]; known {
			if i >= files {
				z = b.zones[i]
			} else {
				st.Shadowed = append(st.Shadowed, Shadowed{b.zones[i].Name(), b.zones[i].Path})
			}
			return nil
		}
		z = NewZoneData(apex)
		st.Zones++
		return b.AddZone(z)
	}
	buf := make([]byte, 0, dnsname.MaxLen)
	err = past.EachLiving(ctx, func(zone, name, rrtype string) error {
		if zone != last || zone == "" {
			if err := begin(zone); err != nil {
				return err
			}
		}
		owner, err := dnsname.AppendText(buf[:0], name)
		switch {
		case err != nil:
		case z != nil:
			err = z.Add(owner, typeNumber(rrtype))
		default:
			_, _, err = alive.insert(alive.hasher.Name(owner), owner, 0)
		}
		if err != nil {
			st.Refused++
		}
		return nil
	})
	return alive, err
}

// typeNumber is the number of a type that matters here (see ZoneData.Add), 0 for
// any other: provider words such as ALIAS have none.
func typeNumber(mnemonic string) uint16 {
	switch t := strings.ToUpper(mnemonic); t {
	case "NS":
		return typeNS
	case "SOA":
		return typeSOA
	case "DNAME":
		return typeDNAME
	case "RRSIG":
		return typeRRSIG
	case "NSEC":
		return typeNSEC
	case "DNSKEY":
		return typeDNSKEY
	case "NSEC3":
		return typeNSEC3
	case "NSEC3PARAM":
		return typeNSEC3PARAM
	default: // RFC 3597 §5
		digits, ok := strings.CutPrefix(t, "TYPE")
		n, err := strconv.ParseUint(digits, 10, 16)
		if !ok || err != nil {
			return 0
		}
		return uint16(n)
	}
}

// hashLabel is the length of a label that is an MD5 in hexadecimal or, of an NSEC3
// record, a SHA-1 in base32hex (RFC 5155 §1.3).
const hashLabel = 32

// tells reports whether it would tell anything that somebody asks for a name that
// is gone. Nobody asks for a wildcard's owner; names that hold challenges come and
// go by machine, and whoever set them asks for them again; NSEC3 hashes are not
// names of anything.
func tells(name []byte) bool {
	if len(name) <= 1 {
		return false
	}
	for rest := name; len(rest) > 1; rest = dnsname.Parent(rest) {
		label := rest[1 : 1+int(rest[0])]
		if string(label) == "*" || strings.HasPrefix(string(label), "_acme-challenge") {
			return false
		}
	}
	first := strings.TrimPrefix(string(name[1:1+int(name[0])]), "_")
	return len(first) != hashLabel || strings.ContainsFunc(first, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'v')
	})
}

// addPast marks as retired what of the past is not there now. A name that no
// watched zone covers stays out, and so does one that the zone's contents of today
// answer for or hand on: below a delegation other servers are asked, and below a
// wildcard passive DNS holds whatever anybody has ever made up.
func (b *Builder) addPast(s *snapshot) error {
	var sfx dnsname.Suffixes
	for at := 0; at < len(b.past); at += 1 + int(b.past[at]) {
		name := b.past[at+1 : at+1+int(b.past[at])]
		s.t.hasher.Sum(name, &sfx)
		zone, covered := s.encloser(name, &sfx)
		if zone == 0 || covered {
			continue
		}
		off, _, err := s.t.insert(sfx.Hash[0], name, zone)
		if err != nil {
			return fmt.Errorf("recorded past: %w", err)
		}
		if s.t.flags(off)&(flagRetired|flagLive|flagCut|flagApex) != 0 {
			continue
		}
		s.t.or(off, flagRetired)
		s.stats.Retired++
		s.zones[zone].Retired++
	}
	return nil
}

// encloser returns the zone of name's closest encloser, 0 when no watched zone has
// one, and whether a delegation or a wildcard there covers name.
func (s *snapshot) encloser(name []byte, sfx *dnsname.Suffixes) (zone uint32, covered bool) {
	for i := max(0, sfx.N-s.t.maxLabels); i <= sfx.N; i++ {
		off := s.t.find(sfx.Hash[i], name[sfx.At[i]:])
		if off == 0 || s.t.flags(off)&flagExists == 0 {
			continue
		}
		f := s.t.flags(off)
		return s.t.zone(off), i > 0 && f&(flagCut|flagWild) != 0
	}
	return 0, false
}

// Clone returns a Builder that knows the same, to add to without changing b: zone
// files and lists are read once, the past again and again.
func (b *Builder) Clone() *Builder {
	c := NewBuilder()
	c.zones, c.retired, c.canaries = slices.Clone(b.zones), slices.Clone(b.retired), slices.Clone(b.canaries)
	for apex, i := range b.byApex {
		c.byApex[apex] = i
	}
	c.past, c.pastNames, c.maxPast = slices.Clone(b.past), b.pastNames, b.maxPast
	return c
}
