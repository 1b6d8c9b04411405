package catalog

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// provenApex returns the apex that q's response proves q.Name to lie under, nil
// when it proves none: the owner of the SOA of a negative answer (RFC 2308 §3)
// or of the NS records beside an authoritative answer.
func provenApex(q *picket.Query) []byte {
	r := &q.Response
	if q.Flags&picket.FlagReferral != 0 || q.Opcode != 0 ||
		q.Rcode != picket.RcodeNoError && q.Rcode != picket.RcodeNXDomain {
		return nil
	}
	// Without AA the SOA came from a cache, unless the input has no flags at all.
	if q.Flags&picket.FlagAA == 0 && (!r.HasSOA || q.Flags&picket.FlagFlags != 0) {
		return nil
	}
	// The root is nobody's to infer: every name would be in it, and none out of zone.
	if len(r.Authority) <= 1 || !dnsname.IsSubdomain(q.Name, r.Authority) {
		return nil
	}
	return r.Authority
}

// mayGuess reports whether the zone of q.Name may be guessed from the name: the
// server answered for it with authority, or the input has no responses at all.
func (c *Catalog) mayGuess(q *picket.Query) bool {
	if q.Opcode != 0 {
		return false
	}
	if q.Response.HasSOA && len(q.Response.Authority) == 1 {
		return false // a root server says that the name would be in the root zone
	}
	switch q.Rcode {
	case picket.RcodeUnknown:
		return q.Flags&picket.FlagResponse == 0 && !c.answered.Load()
	case picket.RcodeNoError, picket.RcodeNXDomain:
		return q.Flags&picket.FlagAA != 0 || q.Flags&picket.FlagFlags == 0
	}
	return false
}

// teaches reports whether q says something new about where the zone of its name
// begins; z is the zone it is thought to lie in, nil for none.
func (c *Catalog) teaches(q *picket.Query, z *inferredZone) bool {
	if c.maxInferred == 0 {
		return false
	}
	apex := provenApex(q)
	switch {
	case apex == nil:
		return z == nil && c.mayGuess(q)
	case z == nil || len(z.Apex) < len(apex):
		return true
	}
	// At z's apex it proves z; above z it refutes z, unless z is proven too:
	// a parent answers for DS at its child's apex (RFC 4035 §3.1.4.1).
	return z.by != proven
}

// learn takes in what q teaches and returns the set to go on with.
func (c *Catalog) learn(q *picket.Query, sfx *dnsname.Suffixes) *inferredSet {
	apex, by := provenApex(q), proven
	if apex == nil {
		apex, by = dnsname.Registered(q.Name), guessed
	}
	if apex == nil {
		return c.inferred.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.inferred.Load()
	if !c.teaches(q, set.find(q.Name, sfx)) {
		return set // another shard was faster
	}
	next := c.extend(set, q, apex, by)
	if next == nil {
		c.refused.Add(1)
		return set
	}
	c.inferred.Store(next)
	return next
}

// extend returns a copy of set that knows the zone at apex, nil when there is no
// room for it. Callers hold mu.
func (c *Catalog) extend(set *inferredSet, q *picket.Query, apex []byte, by evidence) *inferredSet {
	s := c.snap.Load()
	if by == guessed && !c.believe(set, s, q, apex) {
		return nil
	}
	add := &inferredZone{by: by}
	if off := set.t.lookup(apex); off != 0 {
		if *add = set.zones[set.t.zone(off)]; add.by == proven {
			add = nil
		} else {
			add.by = by
		}
	}
	// Guesses at and above the name, down to the proven apex, are refuted by it.
	drop := func(z *inferredZone) bool {
		return by == proven && z.by != proven && len(z.Apex) >= len(apex) && dnsname.IsSubdomain(q.Name, z.Apex)
	}
	if add != nil && add.Zone == nil {
		if len(set.zones) >= c.maxInferred {
			if drop = c.makeRoom(set, drop); drop == nil {
				return nil
			}
		}
		add.Zone, add.labels = c.inferredZone(s, apex), dnsname.Labels(apex)
	}
	next, err := set.with(add, func(z *inferredZone) bool {
		if !drop(z) {
			return false
		}
		if string(z.Apex) != string(apex) {
			delete(c.ids, string(z.Apex))
			c.replaced.Add(1)
		}
		return true
	})
	if err != nil { // 4 GiB of names: MaxInferred keeps far below
		return nil
	}
	return next
}

// believe reports whether a guess is taken.
func (c *Catalog) believe(set *inferredSet, s *snapshot, q *picket.Query, apex []byte) bool {
	if len(set.zones) >= c.maxInferred {
		return false
	}
	unanswered := len(s.zones) > 1 && q.Flags&picket.FlagResponse == 0 // zone files say what is watched
	if len(set.zones) < c.maxInferred/2 && !unanswered {
		return true
	}
	return c.asked.often(c.hasher.Name(apex))
}

// makeRoom extends drop by the oldest guess; nil when all zones are proven or listed.
func (c *Catalog) makeRoom(set *inferredSet, drop func(*inferredZone) bool) func(*inferredZone) bool {
	for i := range set.zones {
		if drop(&set.zones[i]) {
			return drop
		}
	}
	for i := range set.zones {
		if set.zones[i].by == guessed {
			victim := set.zones[i].Zone
			return func(z *inferredZone) bool { return z.Zone == victim }
		}
	}
	return nil
}

// inferredZone makes the zone at apex. Callers hold mu.
func (c *Catalog) inferredZone(s *snapshot, apex []byte) *picket.Zone {
	apex = append([]byte(nil), apex...)
	return &picket.Zone{
		ID: c.id(apex), Apex: apex, Name: dnsname.String(apex), Inferred: true,
		Reverse: dnsname.IsReverse(apex), Retired: s.retiredBelow(apex),
	}
}

// reinfer returns the inferred zones as they are under a new snapshot: without
// those that s watches, with those of its listed names, their figures counted
// anew. Callers hold mu.
func (c *Catalog) reinfer(s *snapshot) *inferredSet {
	old, out := c.inferred.Load(), newInferredSet(c.hasher)
	var sfx dnsname.Suffixes
	enter := func(apex []byte, by evidence) {
		c.hasher.Sum(apex, &sfx)
		if out.t.find(sfx.Hash[0], apex) != 0 || s.watched(apex, &sfx) != 0 || len(out.zones) >= c.maxInferred {
			return
		}
		out.zones = append(out.zones, inferredZone{Zone: c.inferredZone(s, apex), labels: sfx.N, by: by})
		if out.enter(uint32(len(out.zones)-1)) != nil {
			out.zones = out.zones[:len(out.zones)-1]
		}
	}
	for i := range old.zones {
		if old.zones[i].by == proven {
			enter(old.zones[i].Apex, proven)
		}
	}
	for _, apex := range s.listed {
		if z := old.t.lookup(apex); z != 0 || !c.refuted(old, apex) {
			enter(apex, listed)
		}
	}
	for i := range old.zones {
		if old.zones[i].by == guessed {
			enter(old.zones[i].Apex, guessed)
		}
	}
	for i := range old.zones {
		if apex := old.zones[i].Apex; out.t.lookup(apex) == 0 && s.t.lookup(apex) == 0 {
			delete(c.ids, string(apex))
		}
	}
	return out
}

// refuted reports whether a proven zone lies above apex: then apex was guessed
// before and given up.
func (c *Catalog) refuted(set *inferredSet, apex []byte) bool {
	var sfx dnsname.Suffixes
	c.hasher.Sum(apex, &sfx)
	z := set.find(apex, &sfx)
	return z != nil && z.by == proven
}

// Guesses are believed at once while there is room. Once half of it is used, or
// when zone files say what is watched and the input has no responses, a zone
// must have been asked for oftenEnough times: our own zones are, the ones that a
// tool or a stray stub asks about are not.
const oftenEnough = 32

// guessCounter counts roughly how often guessed zones were asked for. It keeps
// 4 KiB whatever is asked.
type guessCounter struct {
	counts [4096]uint8
	n      int
}

// often counts one more query for the zone with a hash and reports whether
// there were enough.
func (g *guessCounter) often(hash uint64) bool {
	if g.n++; g.n >= len(g.counts)*4 { // forget: halve all
		g.n = 0
		for i := range g.counts {
			g.counts[i] /= 2
		}
	}
	a, b := &g.counts[hash&4095], &g.counts[hash>>12&4095]
	*a = min(*a+1, oftenEnough)
	if b != a {
		*b = min(*b+1, oftenEnough)
	}
	return min(*a, *b) >= oftenEnough
}
