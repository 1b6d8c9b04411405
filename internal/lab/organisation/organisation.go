// Package organisation makes the DNS zones of organisations that do not exist:
// names as people give them (services, environments, products, places, numbers),
// what they are for, how often somebody asks for them, which of them certificate
// logs show, and a past of names that are gone.
//
// New makes a zone of 100 to 1,000,000 names from a seed. PassiveDNS, Certificates
// and Guessable say what somebody outside can know of it. WriteZone writes it as a
// master file that name servers load, WriteRetired the names that are gone.
package organisation

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Wildcard is where a zone has a wildcard.
type Wildcard uint8

// Places of a wildcard.
const (
	NoWildcard     Wildcard = iota
	WildcardBelow           // below one label, as of a platform on which tenants have their names
	WildcardAtApex          // any name at all exists
)

// Limits of Options.Names.
const (
	MinNames = 100
	MaxNames = 1_000_000
)

// Options describe an organisation. Zero values work.
type Options struct {
	// Names is how many owners the zone has, MinNames to MaxNames; 0 means 300.
	Names int
	Seed  uint64
	// Apex is the zone's name without trailing dot; "" draws one below "example".
	Apex     string
	Signing  lab.Signing
	Wildcard Wildcard
	// Delegations is how many subzones are served elsewhere; 0 means by size (1 for
	// 500 names, at least 2, at most 50), negative none.
	Delegations int
	// Retired is the number of names that are gone as a share of Names; 0 means 0.25,
	// negative none.
	Retired float64
	// Servers are the addresses of the authoritative servers; empty means two.
	Servers      []netip.Addr
	OpenTransfer bool
	// Industry is one of Industries and decides what products are called; "" draws one.
	Industry string
	// Slope is the exponent of the names' popularity (Zipf): the k-th is asked for in
	// proportion to k to its negative; 0 means 1.
	Slope float64
}

// Industries are the values that Options.Industry has.
func Industries() []string {
	list := make([]string, len(industries))
	for i := range industries {
		list[i] = industries[i].name
	}
	return list
}

// New makes an organisation's zone. The same options make the same zone.
func New(o Options) (*lab.Zone, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	b.delegate()
	b.core()
	b.fill()
	b.popularity()
	b.seen = nil // the index that Seal makes takes its place
	b.order()
	if err := b.z.Seal(); err != nil {
		return nil, fmt.Errorf("organisation: %w", err)
	}
	b.retire()
	return b.z, nil
}

// builder is a zone in the making.
type builder struct {
	o      Options
	r      *rand.Rand
	z      *lab.Zone
	hasher dnsname.Hasher
	style  style
	seen   map[uint64]struct{} // hashes of owners
	cuts   map[uint64]struct{} // hashes of delegated subzones
	scores []float32           // of Owners: the higher, the more popular
	arena  []byte              // what names are cut from
	text   []byte              // labels in the making, see build
	wire   []byte
}

func newBuilder(o Options) (*builder, error) {
	if o.Names == 0 {
		o.Names = 300
	}
	if o.Names < MinNames || o.Names > MaxNames {
		return nil, fmt.Errorf("%d names: want %d to %d", o.Names, MinNames, MaxNames)
	}
	if len(o.Servers) == 0 {
		o.Servers = []netip.Addr{netip.AddrFrom4([4]byte{10, 53, 0, 1}), netip.AddrFrom4([4]byte{10, 53, 0, 2})}
	}
	switch {
	case o.Delegations == 0:
		o.Delegations = min(max(o.Names/500, 2), 50)
	case o.Delegations*3 > o.Names:
		return nil, fmt.Errorf("%d delegations in %d names: want at most a third", o.Delegations, o.Names)
	}
	if o.Retired == 0 {
		o.Retired = 0.25
	}
	if o.Slope == 0 {
		o.Slope = 1
	}
	r := lab.Rand(o.Seed, "organisation")
	brand := string(appendWord(nil, r, 2))
	if o.Apex == "" {
		o.Apex = brand + ".example"
	}
	apex, err := dnsname.Parse(o.Apex)
	if err != nil {
		return nil, fmt.Errorf("apex %q: %w", o.Apex, err)
	}
	b := &builder{o: o, r: r, cuts: map[uint64]struct{}{}, seen: make(map[uint64]struct{}, o.Names),
		z: &lab.Zone{Apex: apex, Signing: o.Signing, TTL: pick(r, []uint32{300, 300, 600, 3600}), NegativeTTL: pick(r, []uint32{60, 300, 300, 900}),
			OpenTransfer: o.OpenTransfer, Servers: slices.Clone(o.Servers), Owners: make([]lab.Owner, 0, o.Names)}}
	b.scores = make([]float32, 0, o.Names)
	if b.style, err = newStyle(r, &o); err != nil {
		return nil, err
	}
	return b, nil
}

// pick draws one of a list.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// full reports whether the zone has all its names.
func (b *builder) full() bool { return len(b.z.Owners) >= b.o.Names }

// name returns labels in presentation form, without escapes, as a canonical wire
// name in the zone. It is valid until the next call; ok is false when it is too long.
func (b *builder) name(labels []byte) (wire []byte, ok bool) {
	w := append(b.wire[:0], 0)
	at := 0
	for _, c := range labels {
		if c != '.' {
			w = append(w, c)
			continue
		}
		if n := len(w) - at - 1; n == 0 || n > dnsname.MaxLabel {
			return nil, false
		}
		w[at] = byte(len(w) - at - 1)
		at, w = len(w), append(w, 0)
	}
	n := len(w) - at - 1
	if w[at] = byte(n); len(labels) == 0 {
		w = w[:0]
	} else if n == 0 || n > dnsname.MaxLabel {
		return nil, false
	}
	b.wire = append(w, b.z.Apex...)
	return b.wire, len(b.wire) <= dnsname.MaxLen
}

// keep returns a copy of a name that stays.
func (b *builder) keep(name []byte) []byte {
	if cap(b.arena)-len(b.arena) < len(name) {
		b.arena = make([]byte, 0, 1<<18)
	}
	at := len(b.arena)
	b.arena = append(b.arena, name...)
	return b.arena[at:len(b.arena):len(b.arena)]
}

// add gives the zone one more owner, unless the zone is full, the name is there
// already, or it is at or below a delegated subzone.
func (b *builder) add(labels []byte, o lab.Owner, score float64) bool {
	name, ok := b.name(labels)
	if !ok || b.full() {
		return false
	}
	var sfx dnsname.Suffixes
	b.hasher.Sum(name, &sfx)
	for up := range sfx.N - dnsname.Labels(b.z.Apex) {
		if _, cut := b.cuts[sfx.Hash[up]]; cut {
			return false
		}
	}
	return b.put(name, sfx.Hash[0], o, score)
}

func (b *builder) put(name []byte, hash uint64, o lab.Owner, score float64) bool {
	if _, twice := b.seen[hash]; twice {
		return false
	}
	b.seen[hash] = struct{}{}
	o.Name = b.keep(name)
	if o.TTL == 0 && b.r.IntN(3) == 0 {
		o.TTL = pick(b.r, []uint32{60, 300, 900, 3600, 7200, 14400, 43200, 86400})
	}
	b.z.Owners = append(b.z.Owners, o)
	// A heavy-tailed draw decides between names of the same kind.
	b.scores = append(b.scores, float32(score*math.Pow(1-b.r.Float64(), -0.5)))
	return true
}

// popularity gives each owner its share by the rank of its score. What has none is
// not asked for at all.
func (b *builder) popularity() {
	order := make([]int32, len(b.scores))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int {
		switch {
		case b.scores[x] > b.scores[y]:
			return -1
		case b.scores[x] < b.scores[y]:
			return 1
		}
		return int(x - y)
	})
	for rank, i := range order {
		if b.scores[i] > 0 {
			b.z.Owners[i].Popularity = math.Pow(float64(rank+1), -b.o.Slope)
		}
	}
}

// order puts the owners into canonical order, so that Seal has next to nothing to
// sort: by keys of the labels from right to left, which no label made here has an
// octet 0 in, because comparing names takes many times longer.
func (b *builder) order() {
	keys := make([][]byte, len(b.z.Owners))
	order := make([]int32, len(keys))
	var arena []byte
	for i := range b.z.Owners {
		order[i] = int32(i)
		name := b.z.Owners[i].Name[:len(b.z.Owners[i].Name)-len(b.z.Apex)]
		if cap(arena)-len(arena) < len(name)+1 {
			arena = make([]byte, 0, 1<<18)
		}
		from := len(arena)
		arena = arena[:from+len(name)]
		keys[i] = arena[from:len(arena):len(arena)]
		for at := 0; at < len(name); { // from the key's end, each label with a 0 before it
			n := int(name[at])
			to := keys[i][len(name)-at-1-n : len(name)-at]
			to[0] = 0
			copy(to[1:], name[at+1:at+1+n])
			at += 1 + n
		}
	}
	slices.SortFunc(order, func(x, y int32) int { return bytes.Compare(keys[x], keys[y]) })
	sorted := make([]lab.Owner, len(order))
	for i, from := range order {
		sorted[i] = b.z.Owners[from]
	}
	b.z.Owners = sorted
}
