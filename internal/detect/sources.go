package detect

import (
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/sketch"
)

// ways is the associativity of the source table.
const ways = 4

// memo is the short memory of one source and zone: two cache lines, no pointers.
// Ordinary queries need nothing more, whether the source has full state or not.
type memo struct {
	key     uint64
	first   int64 // event times of the first and the last query, Unix nanoseconds
	last    int64
	queries uint64
	repeats uint64 // see Source.Repeats
	later   uint32
	suspect int32     // index of the full state plus one; 0 when there is none
	recent  [4]uint16 // fingerprints of the last names
	n       uint8     // names in known
	missing uint8     // names in known that did not exist, up to 255
	facts   uint8
	at      uint8 // position in recent
	_       [4]uint8
	known   [8]uint64 // Bloom filter of the first knownMost names: 512 bits, three probes
}

// knownMost is how many names a memo's filter takes, about 0.5 % of others being
// taken for known then. Further names are remembered by the full state only.
const knownMost = 32

// knows reports whether a name is in the filter, and adds it if there is room.
func (m *memo) knows(hash uint64) (known, added bool) {
	i, j, k := hash>>8&511, hash>>20&511, hash>>32&511
	mi, mj, mk := uint64(1)<<(i&63), uint64(1)<<(j&63), uint64(1)<<(k&63)
	if m.known[i>>6]&mi != 0 && m.known[j>>6]&mj != 0 && m.known[k>>6]&mk != 0 {
		return true, false
	}
	if m.n >= knownMost {
		return false, false
	}
	m.known[i>>6] |= mi
	m.known[j>>6] |= mj
	m.known[k>>6] |= mk
	m.n++
	return false, true
}

// again counts a repeated name that exists.
func (m *memo) again(hash uint64) {
	m.repeats++
	f := uint16(hash>>48) | 1
	for _, r := range m.recent {
		if r == f {
			return
		}
	}
	m.later++
	m.recent[m.at&3] = f
	m.at++
}

// Facts about how a source behaves, from which its kind follows.
const (
	factRD     = 1 << iota // asked with RD=1: a stub or a tool
	factNoRD               // asked with RD=0 where flags are known: a resolver
	factProven             // TCP or a valid cookie: the address is not forged
	factOpen               // has an open finding
	factTold               // had a finding that was closed
)

// table is a set-associative hash table of memos. It begins small, for the sake of
// the processor's caches, and doubles up to its budget; then a full set evicts its
// entry that is least worth keeping, so memory is fixed whatever addresses come.
type table struct {
	sets    []([ways]memo)
	tags    []([ways]uint32) // part of each key, so that only the memo sought is read
	mask    uint64
	most    int // sets at the most
	used    int
	evicted int64
}

// firstSets is how many sets a table begins with (2 MiB).
const firstSets = 4096

// newTable returns a table for about n memos.
func newTable(n int) *table {
	most := 1
	for most*ways < n {
		most *= 2
	}
	t := &table{most: most}
	t.resize(min(most, firstSets))
	return t
}

func (t *table) resize(sets int) {
	old := t.sets
	t.sets, t.tags = make([]([ways]memo), sets), make([]([ways]uint32), sets)
	t.mask, t.used = uint64(sets-1), 0
	for i := range old {
		for j := range old[i] {
			if m := &old[i][j]; m.key != 0 {
				d, _ := t.get(m.key)
				*d = *m
			}
		}
	}
}

// get returns the memo for key, making room if need be. An entry with a suspect
// is evicted only when the whole set has suspects; lost is then its index plus one.
func (t *table) get(key uint64) (m *memo, lost int32) {
	if m := t.find(key); m != nil {
		return m, 0
	}
	return t.insert(key)
}

// find returns the memo for key without making room.
func (t *table) find(key uint64) *memo {
	at := key >> 20 & t.mask
	tags := &t.tags[at]
	for i := range tags {
		if tags[i] == tagOf(key) {
			if m := &t.sets[at][i]; m.key == key {
				return m
			}
		}
	}
	return nil
}

func tagOf(key uint64) uint32 { return uint32(key >> 32) }

func (t *table) insert(key uint64) (m *memo, lost int32) {
	if len(t.sets) < t.most && t.used*2 > len(t.sets)*ways {
		t.resize(2 * len(t.sets))
	}
	at := key >> 20 & t.mask
	set := &t.sets[at]
	victim := 0
	for i := range set {
		if set[i].key == 0 {
			victim = i
			break
		}
		if worth(&set[i]) < worth(&set[victim]) {
			victim = i
		}
	}
	m = &set[victim]
	if m.key == 0 {
		t.used++
	} else {
		t.evicted++
	}
	lost = m.suspect
	*m = memo{key: key}
	t.tags[at][victim] = tagOf(key)
	return m, lost
}

// worth orders memos for eviction: suspects last, then the most recently seen.
func worth(m *memo) int64 {
	if m.suspect != 0 {
		return m.last>>1 + 1<<62
	}
	return m.last >> 1
}

// Source is the full state of one source in one zone.
type Source struct {
	Addr    netip.Addr   // IPv4 address, or the first address of the IPv6 /64
	Zone    *picket.Zone // nil for queries in no watched zone
	Queries int64        // queries of this source to this zone since it was first remembered
	Names   int64        // distinct names among them
	First   int64        // event time of the first query after promotion or an idle spell
	Last    int64

	key     uint64
	facts   uint8
	role    Role
	index   int32
	touched bool // since the eviction hand last came by
	open    int  // open episodes
	walking bool // has an open nsec-walk or nsec3-walk: its odd names are steps, not guesses

	// Queries for names that exist and were asked before. They trigger nothing;
	// detectors that hold them against a suspicion read the counts. Later leaves
	// out those among the source's last names (other types, retries).
	Repeats, Later int64

	states   []State
	episodes []*Episode // by detector index; nil entries where none is open
	woken    uint32     // detectors that have looked at an event since there is state

	Early    int   // names asked that do not exist before there was full state
	Missing  int64 // distinct names asked that do not exist
	Hits     int64 // distinct names asked that exist
	samples  []sample
	recent   sketch.Recent
	timeline timeline
	seen     sketch.Bloom // at the end, to keep the rest together
}

// sample is a name kept as evidence.
type sample struct {
	name  []byte
	state picket.NameState
	qtype uint16
}

// maxSamples bounds the names kept per source.
const maxSamples = 24

// Kind tells what the source most likely is from how it asks.
func (s *Source) Kind() string {
	switch {
	case s.facts&factRD != 0 && s.facts&factNoRD == 0:
		return picket.SourceDirect
	case s.facts&factNoRD != 0:
		return picket.SourceResolver
	}
	return picket.SourceUnknown
}

// Spoofable reports that nothing has shown the address to be real.
func (s *Source) Spoofable() bool { return s.facts&factProven == 0 }

// Prefix returns the source as findings print it.
func (s *Source) Prefix() string {
	if !s.Addr.IsValid() {
		return ""
	}
	bits := 32
	if s.Addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(s.Addr, bits).Masked().String()
}

func (s *Source) reset() {
	for _, st := range s.states {
		if st != nil {
			st.Reset()
		}
	}
	clear(s.episodes)
	states, eps, samples, index := s.states, s.episodes, s.samples[:0], s.index
	*s = Source{states: states, episodes: eps, samples: samples, index: index}
}

// keep records a name as evidence, each once.
func (s *Source) keep(ev *Event) {
	if len(s.samples) >= maxSamples {
		return
	}
	for i := range s.samples {
		if string(s.samples[i].name) == string(ev.Q.Name) && s.samples[i].qtype == ev.Q.Type {
			return
		}
	}
	if len(s.samples) < cap(s.samples) {
		s.samples = s.samples[:len(s.samples)+1]
	} else {
		s.samples = append(s.samples, sample{})
	}
	e := &s.samples[len(s.samples)-1]
	e.name = append(e.name[:0], ev.Q.Name...)
	e.state, e.qtype = ev.C.State, ev.Q.Type
}

// timeline counts queries in at most 48 steps; when they run out, the step doubles.
type timeline struct {
	start int64 // event time of the first step, nanoseconds
	step  int64 // nanoseconds; 0 while empty
	n     [48]uint32
}

func (t *timeline) add(now int64) {
	if t.step == 0 {
		t.step = 1e9
		t.start = now - now%t.step
	}
	i := (now - t.start) / t.step
	if i < 0 {
		i = 0
	}
	for i >= int64(len(t.n)) {
		for j := range len(t.n) / 2 {
			t.n[j] = t.n[2*j] + t.n[2*j+1]
		}
		clear(t.n[len(t.n)/2:])
		t.step *= 2
		i = (now - t.start) / t.step
	}
	t.n[i]++
}
