package catalog

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

const (
	classIN  = 1
	classANY = 255
)

// Lookup fills nc with what is known about q.Name. sfx holds the hashes of
// q.Name by the catalog's Hasher. Everything in nc is overwritten; nc.Zone and
// nc.Channel stay valid after a reload.
//
// It is on the hot path: no lock, no allocation, except when a query teaches the
// catalog a zone it did not know.
func (c *Catalog) Lookup(q *picket.Query, sfx *dnsname.Suffixes, nc *picket.NameContext) {
	s := c.snap.Load()
	*nc = picket.NameContext{
		State: picket.StateOutOfZone, ApexAt: max(len(q.Name)-1, 0), Depth: sfx.N,
		Hash: sfx.Hash[0],
	}
	if q.Class > classIN && q.Class != classANY { // CH and HS names are in no zone
		nc.NX = q.Rcode == picket.RcodeNXDomain
		return
	}
	if q.Flags&picket.FlagResponse != 0 && !c.answered.Load() {
		c.answered.Store(true)
	}
	// A suffix with more labels than any name of the table is not in it: this
	// bounds the probes for the long names that an adversary may choose.
	t := s.t
	var own uint8
	for i := max(0, sfx.N-t.maxLabels); i <= sfx.N; i++ {
		off := t.find(sfx.Hash[i], q.Name[sfx.At[i]:])
		if off == 0 {
			continue
		}
		f := t.flags(off)
		if i == 0 {
			own = f
			if f&flagCanary != 0 {
				nc.Channel = s.channels[t.channel(off)]
			}
		}
		if f&flagExists == 0 {
			continue // a retired name or canary: it is not there
		}
		// The name itself, or its closest encloser (RFC 4592 §3.3.1).
		e := s.zones[t.zone(off)]
		nc.Zone = &e.Zone
		nc.ApexAt = int(sfx.At[sfx.N-e.labels])
		nc.Depth = sfx.N - e.labels
		nc.State = stateOf(f, i == 0)
		if nc.State == picket.StateWildcard {
			nc.WildcardAt = int(sfx.At[i])
		}
		settle(q, own, nc)
		return
	}
	c.lookupInferred(q, sfx, own, nc)
}

// stateOf returns the state that the zone's contents give a name whose own
// record (exact) or closest encloser's has the flags f.
func stateOf(f uint8, exact bool) picket.NameState {
	switch {
	case f&flagCut != 0:
		return picket.StateDelegated
	case exact && f&flagLive != 0:
		return picket.StateLive
	case exact:
		return picket.StateEmpty
	case f&flagWild != 0:
		return picket.StateWildcard
	}
	return picket.StateNever
}

// settle combines the state by the zone's contents with the response and the
// lists. The response decides what was answered, the zone's contents what state
// the name has, unless they contradict the response about a name they do not
// know: then the zone file is out of date.
func settle(q *picket.Query, own uint8, nc *picket.NameContext) {
	nc.NX = nc.State == picket.StateNever
	switch {
	case q.Rcode == picket.RcodeNXDomain:
		// With answers it is an alias that leads nowhere: QNAME itself is
		// there (RFC 6604 §3).
		nc.NX = q.Response.Answers == 0
	case q.Rcode == picket.RcodeNoError && !cutShort(q):
		if nc.NX && q.Response.Answers > 0 && own&flagRetired == 0 {
			nc.State = picket.StateUnknown
		}
		nc.NX = nc.NX && q.Response.Answers == 0 && compactDenial(q)
	}
	if nc.State != picket.StateLive && own&flagRetired != 0 {
		nc.State = picket.StateRetired
		nc.WildcardAt = 0
	}
	if own&flagCanary != 0 {
		nc.State = picket.StateCanary
		nc.WildcardAt = 0
	}
}

// cutShort reports a truncated response without answers: response rate limiting
// sends them in place of any answer, so they say nothing about the name.
func cutShort(q *picket.Query) bool {
	return q.Flags&picket.FlagTC != 0 && q.Response.Answers == 0
}

// compactDenial reports that the response denies the name's existence although
// its code is NOERROR (RFC 9824): an NSEC at QNAME itself whose next owner is
// \000.QNAME.
func compactDenial(q *picket.Query) bool {
	for i := range q.Response.Denials {
		d := &q.Response.Denials[i]
		if !d.NSEC3 && string(d.Owner) == string(q.Name) &&
			len(d.Next) == len(q.Name)+2 && d.Next[0] == 1 && d.Next[1] == 0 {
			return true
		}
	}
	return false
}
