package detect

import (
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/sketch"
)

// zoneMemory is what an engine learns about a zone from all sources together:
// which labels are asked and exist (so that typos of them can be told), and
// what the current step of time brought, for the detectors over whole zones.
type zoneMemory struct {
	zone    *picket.Zone
	slips   hashSet      // labels that exist, and those labels with one letter left out
	asked   [1024]uint64 // filter of the names that any source has asked (of this shard)
	vain    *vain        // names asked in vain; nil before the first
	summary Summary
	dirty   bool
}

// novel records that a name was asked and reports whether no source had, as far
// as is remembered (65,536 bits, one probe of sixteen thousand names: 22 % wrong
// in the direction of "asked before").
func (z *zoneMemory) novel(hash uint64) bool {
	i := hash >> 48
	m := uint64(1) << (i & 63)
	if z.asked[i>>6]&m != 0 {
		return false
	}
	z.asked[i>>6] |= m
	return true
}

// maxSlips bounds the hashes of labels and their deletions per zone.
const maxSlips = 1 << 16

// Summary is what one shard saw of one zone in one second of event time: names
// that do not exist, asked for the first time by their source. The detectors over
// whole zones work on summaries, merged over the shards.
type Summary struct {
	Zone    *picket.Zone
	Second  int64 // Unix seconds, event time
	Queries int64 // first contacts with names that do not exist
	Class   [ClassService + 1]int64
	Sources sketch.Linear // distinct sources
	Names   sketch.Linear // distinct names
	// Retired holds hashes of retired names asked for the first time, at most 32.
	Retired  [32]uint64
	NRetired int
	// Fresh holds names that look like guesses and that nobody had asked for, at most 32.
	Fresh       [32]FreshName
	NFresh      int
	FreshSample []byte // the first of them
	Samples     [4][]byte
	NSamples    int
}

// learn updates what is known about the zone and classifies the label of a name
// that does not exist. Called on first contacts only. The names of a source that is
// walking a signed zone are known for what they are and stay out of the summary.
func (e *Engine) learn(ev *Event, walking bool) {
	z := e.zoneMemory(ev.C.Zone)
	if !ev.Missing {
		ev.Novel = z.novel(ev.C.Hash) // names that do not exist would fill the filter, and nobody asks
	}
	if ev.C.Depth == 0 {
		return
	}
	if ev.C.State == picket.StateLive {
		z.remember(e.words.hasher, firstLabel(ev.Q.Name), ev.Sfx.Labels[0])
		return
	}
	if !ev.Missing && ev.C.State != picket.StateRetired {
		return
	}
	if ev.Missing {
		ev.Class = e.classify(z, ev)
	}
	if walking {
		return
	}
	sec := ev.Q.Time / 1e9
	s := &z.summary
	if z.dirty && s.Second != sec {
		e.endSecond(z)
	}
	if !z.dirty {
		*s = Summary{Zone: ev.C.Zone, Second: sec}
		e.dirty = append(e.dirty, z)
		z.dirty = true
	}
	s.Queries++
	s.Sources.Add(sourceKey(ev.Q.Client, 0, e.cfg.Seed))
	s.Names.Add(ev.C.Hash)
	if ev.Missing {
		s.Class[ev.Class]++
		e.noteFresh(z, ev)
	} else if s.NRetired < len(s.Retired) {
		s.Retired[s.NRetired] = ev.C.Hash
		s.NRetired++
	}
	if s.NSamples < len(s.Samples) {
		s.Samples[s.NSamples] = append(s.Samples[s.NSamples][:0], ev.Q.Name...)
		s.NSamples++
	}
}

func (e *Engine) zoneMemory(zone *picket.Zone) *zoneMemory {
	id := int(zone.ID)
	for id >= len(e.zones) {
		e.zones = append(e.zones, nil)
	}
	z := e.zones[id]
	if z == nil {
		z = new(zoneMemory)
		e.zones[id] = z
	}
	z.zone = zone
	return z
}

func firstLabel(name []byte) []byte { return name[1 : 1+int(name[0])] }

// remember notes a label that exists, with every way to leave one letter out.
func (z *zoneMemory) remember(h dnsname.Hasher, label []byte, hash uint64) {
	if z.slips.has(hash) || z.slips.n > maxSlips || len(label) > 24 {
		return
	}
	z.slips.add(hash)
	if len(label) < 3 {
		return
	}
	var buf [64]byte
	for i := range label {
		z.slips.add(h.Label(without(buf[:0], label, i)) ^ slipSalt)
	}
}

// slipSalt keeps the hashes of labels with a letter left out apart from those of whole labels.
const slipSalt = 0x5bd1e9955bd1e995

func without(dst, label []byte, i int) []byte {
	dst = append(dst, label[:i]...)
	return append(dst, label[i+1:]...)
}

// isSlip reports whether label is one slip (a letter left out, doubled or added,
// changed, or two swapped) from a label that exists. Changes of digits and
// dashes do not count: those are how names are guessed.
func (z *zoneMemory) isSlip(h dnsname.Hasher, label []byte) bool {
	if len(label) < 2 || len(label) > 24 {
		return false
	}
	if z.slips.has(h.Label(label) ^ slipSalt) {
		return true // a letter left out
	}
	var buf [64]byte
	for i := range label {
		if label[i] < 'a' || label[i] > 'z' {
			continue
		}
		w := h.Label(without(buf[:0], label, i))
		if z.slips.has(w) {
			return true // a letter too many
		}
		if z.slips.has(w ^ slipSalt) {
			return true // a letter changed, or two swapped
		}
	}
	return false
}

// classify tells what kind of guess a name that does not exist looks like.
func (e *Engine) classify(z *zoneMemory, ev *Event) LabelClass {
	label := firstLabel(ev.Q.Name)
	rel := ev.relative()
	if label[0] == '_' {
		return ClassService
	}
	if e.words.isEverywhere(label) {
		return ClassLeak
	}
	if ev.C.Depth >= 2 {
		last, under := label, false
		for off := 0; off < len(rel); off += 1 + int(rel[off]) {
			last = rel[off+1 : off+1+int(rel[off])]
			under = under || last[0] == '_'
		}
		if under {
			return ClassService
		}
		if e.words.isSuffix(last) {
			return ClassLeak
		}
	}
	if e.words.isWord(label) {
		return ClassWord
	}
	if len(label) >= 12 && e.words.isRandom(label) {
		return ClassRandom // before the dearer question, for floods
	}
	if z.isSlip(e.words.hasher, label) {
		return ClassTypo
	}
	if e.words.isRandom(label) {
		return ClassRandom
	}
	return ClassOther
}

// endSecond closes a zone's current second.
func (e *Engine) endSecond(z *zoneMemory) {
	e.seconds = append(e.seconds, z.summary)
	z.dirty = false
	e.dirty = slices.DeleteFunc(e.dirty, func(d *zoneMemory) bool { return d == z })
}

// endSeconds closes the zones' seconds before limit.
func (e *Engine) endSeconds(limit int64) {
	e.dirty = slices.DeleteFunc(e.dirty, func(z *zoneMemory) bool {
		if z.summary.Second >= limit {
			return false
		}
		e.seconds = append(e.seconds, z.summary)
		z.dirty = false
		return true
	})
}

// DrainSummaries hands over what the zones' seconds brought that are over. The
// receiver may keep copies of the summaries.
func (e *Engine) DrainSummaries(f func(*Summary)) {
	for i := range e.seconds {
		f(&e.seconds[i])
	}
	clear(e.seconds)
	e.seconds = e.seconds[:0]
}
