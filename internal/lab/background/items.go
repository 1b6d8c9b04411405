package background

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// itemKind is which types are asked for together.
type itemKind uint8

const (
	kindHost    itemKind = iota // A, and AAAA and HTTPS by happy eyeballs
	kindDual                    // A and AAAA: what is no browser's
	kindService                 // SRV
	kindOne                     // A only: zone cuts and what resolvers ask on their way down
)

// item is a name that users ask for, or one that a minimising resolver asks on its
// way to such a name.
type item struct {
	name   []byte
	ttl    uint32 // seconds, of what exists
	owner  int32  // its place in Zone.Owners, -1 when it owns nothing
	parent int32  // the item one label up, -1 when that is the apex
	denial int32  // its place in denials, -1 when not looked up yet
	kind   itemKind
	have   uint8 // slots whose types exist, by slotBit
	cut    bool  // answered by a referral
	wild   bool  // answered from a wildcard
	share  float64
}

// slot is where the expiry of a type is kept. Services have no AAAA.
func slot(qtype uint16) int {
	switch qtype {
	case lab.TypeAAAA, lab.TypeSRV:
		return 1
	case lab.TypeHTTPS:
		return 2
	}
	return 0
}

// haveBit is the bit of a type in item.have.
func haveBit(qtype uint16) uint8 {
	if qtype == lab.TypeSRV {
		return 8
	}
	return 1 << slot(qtype)
}

// catalogue is what can be asked for and how likely that is.
type catalogue struct {
	zone    *lab.Zone
	items   []item
	byOwner []int32 // place in Owners to item, -1 when it is none
	denials []picket.Denial
	orders  [2]order // for resolvers that keep all of a TTL, and for those that cap it
}

// order is the items by how long and how often they are wanted, first the most: what
// is hot for a resolver is a beginning of it, what is cold the rest.
type order struct {
	items []int32
	rank  []int32   // of each item
	key   []float64 // share times TTL
	sum   []float64 // shares of all before; one longer than items
	guide []int32   // where to begin to look for a sum
}

// capped is the TTL that orders[1] is made for; a resolver's own may differ, which
// costs time, not truth.
const capped = 60

// tenants is how many names below each wildcard are asked for.
const tenants = 64

var errNoInterest = errors.New("background: nobody asks for any name of the zone: no owner has a popularity")

func newCatalogue(z *lab.Zone) (*catalogue, error) {
	c := &catalogue{zone: z, byOwner: make([]int32, len(z.Owners))}
	for i := range c.byOwner {
		c.byOwner[i] = -1
	}
	byName := map[string]int32{}
	var q picket.Query
	for i := range z.Owners {
		o := &z.Owners[i]
		if o.Popularity <= 0 || o.Purpose == lab.PurposePolicy {
			continue
		}
		q = picket.Query{Name: o.Name, Type: lab.TypeA, Class: 1}
		z.Respond(&q)
		switch {
		case q.Has(picket.FlagReferral):
			c.add(byName, z.Find(q.Response.Authority), o.Popularity, true)
		case o.Name[0] == 1 && o.Name[1] == '*':
			c.addTenants(byName, i)
		default:
			c.add(byName, i, o.Popularity, false)
		}
	}
	if len(c.items) == 0 {
		return nil, errNoInterest
	}
	for i := range len(c.items) {
		c.addParents(byName, int32(i))
	}
	total := 0.0
	for i := range c.items {
		total += c.items[i].share
	}
	for i := range c.items {
		c.items[i].share /= total
	}
	c.orders = [2]order{c.order(math.MaxUint32), c.order(capped)}
	return c, nil
}

// add adds interest in the owner at place i.
func (c *catalogue) add(byName map[string]int32, i int, share float64, cut bool) int32 {
	o := &c.zone.Owners[i]
	at, ok := byName[string(o.Name)]
	if !ok {
		at = int32(len(c.items))
		byName[string(o.Name)], c.byOwner[i] = at, at
		it := item{name: o.Name, ttl: o.TTL, owner: int32(i), parent: -1, denial: -1, cut: cut, have: have(o.Types)}
		switch {
		case cut:
			it.kind, it.have = kindOne, 15
		case o.Purpose == lab.PurposeService:
			it.kind = kindService
		case o.Purpose == lab.PurposeMail || o.Purpose == lab.PurposeServer:
			it.kind = kindDual
		}
		c.items = append(c.items, it)
	}
	c.items[at].share += share
	return at
}

func have(types lab.Types) (bits uint8) {
	for _, t := range [...]uint16{lab.TypeA, lab.TypeAAAA, lab.TypeHTTPS, lab.TypeSRV} {
		if types.Has(t) || types.Has(lab.TypeCNAME) {
			bits |= haveBit(t)
		}
	}
	return bits
}

// addTenants adds names that a wildcard answers for.
func (c *catalogue) addTenants(byName map[string]int32, i int) {
	o := &c.zone.Owners[i]
	sum := 0.0
	for k := range tenants {
		sum += 1 / float64(k+1)
	}
	for k := range tenants {
		m := mix{uint64(k)*7919 + uint64(i)}
		name := appendLabel(nil, func(b []byte) []byte { return appendWord(b, &m, 2+k%3) })
		name = append(name, o.Name[2:]...)
		if _, twice := byName[string(name)]; twice || c.zone.Find(name) >= 0 || len(name) > dnsname.MaxLen {
			continue
		}
		byName[string(name)] = int32(len(c.items))
		c.items = append(c.items, item{name: name, ttl: c.zone.TTL, owner: -1, parent: -1, denial: -1, have: have(o.Types), wild: true,
			share: o.Popularity / float64(k+1) / sum})
	}
}

// addParents adds the names between an item and the apex.
func (c *catalogue) addParents(byName map[string]int32, i int32) {
	apex := len(c.zone.Apex)
	for {
		name := c.items[i].name
		if len(name) == apex {
			return
		}
		up := dnsname.Parent(name)
		if len(up) == apex {
			return
		}
		at, ok := byName[string(up)]
		if !ok {
			if owner := c.zone.Find(up); owner >= 0 {
				at = c.add(byName, owner, 0, false)
			} else {
				at = int32(len(c.items))
				byName[string(up)] = at
				c.items = append(c.items, item{name: up, owner: -1, parent: -1, denial: -1, kind: kindOne})
			}
		}
		c.items[i].parent = at
		i = at
	}
}

// order sorts the items for resolvers that keep nothing longer than most seconds.
func (c *catalogue) order(most uint32) order {
	n := len(c.items)
	o := order{items: make([]int32, n), rank: make([]int32, n), key: make([]float64, n), sum: make([]float64, n+1), guide: make([]int32, n+1)}
	key := func(i int32) float64 { return c.items[i].share * float64(min(c.items[i].ttl, most)) }
	for i := range o.items {
		o.items[i] = int32(i)
	}
	slices.SortFunc(o.items, func(a, b int32) int { return cmp.Or(cmp.Compare(key(b), key(a)), cmp.Compare(a, b)) })
	for at, i := range o.items {
		o.rank[i], o.key[at] = int32(at), key(i)
		o.sum[at+1] = o.sum[at] + c.items[i].share
	}
	for g, at := 0, 0; g <= n; g++ {
		for at < n-1 && o.sum[at+1] <= float64(g)/float64(n) {
			at++
		}
		o.guide[g] = int32(at)
	}
	return o
}

// find returns the item whose part of the sum of shares x is in.
func (o *order) find(x float64) int32 {
	n := len(o.items)
	at := int(o.guide[min(int(x*float64(n)), n)])
	for at < n-1 && o.sum[at+1] <= x {
		at++
	}
	return o.items[at]
}

// hot is how many items have a key above a limit.
func (o *order) hot(limit float64) int {
	return sort.Search(len(o.key), func(i int) bool { return o.key[i] <= limit })
}

// keeps is for how many seconds a resolver keeps an answer about an item.
func (c *catalogue) keeps(it *item, r *lab.Resolver, qtype uint16) uint32 {
	if it.have&haveBit(qtype) != 0 {
		if r.TTLCap > 0 {
			return min(it.ttl, r.TTLCap)
		}
		return it.ttl
	}
	return negative(c.zone, r)
}

// negative is for how many seconds a resolver keeps that there is nothing.
func negative(z *lab.Zone, r *lab.Resolver) uint32 {
	if r.NegativeCap > 0 {
		return min(z.NegativeTTL, r.NegativeCap)
	}
	return z.NegativeTTL
}

// respond fills in what the servers answer about an item; what it says is what
// Zone.Respond says, which a test holds.
func (c *catalogue) respond(q *picket.Query, it *item) {
	q.Name, q.Rcode = it.name, picket.RcodeNoError
	q.Flags |= picket.FlagResponse | picket.FlagFlags
	q.Response = picket.Response{Denials: q.Response.Denials[:0]}
	if it.cut {
		q.Flags |= picket.FlagReferral
		q.Response.Authority = it.name
		return
	}
	q.Flags |= picket.FlagAA
	exists := it.have&haveBit(q.Type) != 0
	if exists {
		q.Response.Answers = 1
	} else {
		q.Response.Authority, q.Response.HasSOA = c.zone.Apex, true
	}
	if c.zone.Signing != lab.Unsigned && q.Has(picket.FlagDO) && (!exists || it.wild) {
		if it.denial < 0 {
			c.look(it)
		}
		q.Response.Denials = append(q.Response.Denials, c.denials[it.denial])
	}
}

// unassigned is a QTYPE for private use (RFC 6895): no name owns it.
const unassigned = 65400

// look finds out which record proves what an item lacks.
func (c *catalogue) look(it *item) {
	q := picket.Query{Name: it.name, Type: unassigned, Class: 1, Flags: picket.FlagDO}
	c.zone.Respond(&q)
	it.denial = int32(len(c.denials))
	if len(q.Response.Denials) == 0 {
		panic(fmt.Sprintf("background: the signed zone does not deny what %s lacks", dnsname.String(it.name)))
	}
	c.denials = append(c.denials, q.Response.Denials[0])
}
