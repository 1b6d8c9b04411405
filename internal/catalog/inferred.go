package catalog

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// How it is known that an inferred zone begins where it does.
type evidence uint8

const (
	guessed evidence = iota + 1 // public suffix and one label
	listed                      // the same, for a name in a list of retired names or canaries
	proven                      // owner of an SOA, or of NS in an authoritative answer
)

type inferredZone struct {
	*picket.Zone
	labels int
	by     evidence
}

// inferredSet is the zones learned so far. It is immutable: learning publishes
// a changed copy. It is small (MaxInferred) and learning is rare, so readers
// need no lock and the copies do not matter.
type inferredSet struct {
	t     *table
	zones []inferredZone // a record's zone index points here
}

func newInferredSet(h dnsname.Hasher) *inferredSet {
	return &inferredSet{t: newTable(h, 0, 0)}
}

// find returns the deepest zone that the name lies in.
func (set *inferredSet) find(name []byte, sfx *dnsname.Suffixes) *inferredZone {
	for i := max(0, sfx.N-set.t.maxLabels); i <= sfx.N; i++ {
		if off := set.t.find(sfx.Hash[i], name[sfx.At[i]:]); off != 0 {
			return &set.zones[set.t.zone(off)]
		}
	}
	return nil
}

// with returns a copy of the set without the zones that drop wants gone and
// with add, if any, in it.
func (set *inferredSet) with(add *inferredZone, drop func(*inferredZone) bool) (*inferredSet, error) {
	out := &inferredSet{zones: make([]inferredZone, 0, len(set.zones)+1)}
	for i := range set.zones {
		if drop == nil || !drop(&set.zones[i]) {
			out.zones = append(out.zones, set.zones[i])
		}
	}
	if len(out.zones) == len(set.zones) {
		out.t = set.t.clone()
	} else {
		out.t = newTable(set.t.hasher, len(out.zones), 0)
		for i := range out.zones {
			if err := out.enter(uint32(i)); err != nil {
				return nil, err
			}
		}
	}
	if add != nil {
		out.zones = append(out.zones, *add)
		if err := out.enter(uint32(len(out.zones) - 1)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (set *inferredSet) enter(i uint32) error {
	apex := set.zones[i].Apex
	_, _, err := set.t.insert(set.t.hasher.Name(apex), apex, i)
	return err
}

// lookupInferred answers for a name in no watched zone.
func (c *Catalog) lookupInferred(q *picket.Query, sfx *dnsname.Suffixes, own uint8, nc *picket.NameContext) {
	if q.Rcode == picket.RcodeNXDomain {
		nc.NX = q.Response.Answers == 0
	}
	set := c.inferred.Load()
	z := set.find(q.Name, sfx)
	if c.teaches(q, z) {
		set = c.learn(q, sfx)
		z = set.find(q.Name, sfx)
	}
	if z == nil {
		if own&flagCanary != 0 {
			nc.State = picket.StateCanary
		}
		return
	}
	nc.Zone = z.Zone
	nc.ApexAt = int(sfx.At[sfx.N-z.labels])
	nc.Depth = sfx.N - z.labels
	nc.State, nc.NX = stateByResponse(q)
	if own&flagRetired != 0 {
		nc.State = picket.StateRetired
	}
	if own&flagCanary != 0 {
		nc.State = picket.StateCanary
	}
}

// stateByResponse returns what the response alone says about the name.
func stateByResponse(q *picket.Query) (state picket.NameState, nx bool) {
	switch {
	case q.Response.Answers > 0 && (q.Rcode == picket.RcodeNoError || q.Rcode == picket.RcodeNXDomain):
		return picket.StateLive, false
	case q.Rcode == picket.RcodeNXDomain:
		return picket.StateNever, true
	case q.Rcode != picket.RcodeNoError || cutShort(q):
		return picket.StateUnknown, false
	case q.Flags&picket.FlagReferral != 0:
		return picket.StateDelegated, false
	case compactDenial(q):
		return picket.StateNever, true
	case q.Response.HasSOA:
		return picket.StateEmpty, false // NODATA: the name is there, not with this type
	}
	return picket.StateUnknown, false
}
