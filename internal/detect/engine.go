package detect

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Engine runs all detectors over the queries of one shard. It belongs to one
// goroutine. The shards split queries by source network, so that all queries of
// a source meet the same engine.
type Engine struct {
	cfg          Config
	specs        []Spec
	dets         []Detector
	words        *vocabulary
	table        *table
	pool         []Source
	free         []int32 // indexes of pool not in use
	hand         int     // eviction hand
	zones        []*zoneMemory
	swept        int64
	open         int
	out          outbox
	ev           Event
	evicted      int64 // suspects evicted
	shown        published
	dirty        []*zoneMemory // zones whose current second has brought something
	seconds      []Summary     // seconds that are over
	inferredVain int           // zones without zone data whose names asked in vain are remembered
}

// emission is a finding on its way out.
type emission struct {
	finding *picket.Finding
	closed  bool
}

// outbox holds findings until they are drained.
type outbox []emission

func (o *outbox) drain(f func(*picket.Finding, bool)) {
	for i, em := range *o {
		f(em.finding, em.closed)
		(*o)[i] = emission{}
	}
	*o = (*o)[:0]
}

// Stats are sizes and evictions, for metrics and coverage.
type Stats struct {
	Sources, Suspects, Open         int64
	EvictedSources, EvictedSuspects int64
}

// New returns an engine with all detectors of Specs that are not disabled.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, table: newTable(cfg.Sources), words: newVocabulary(dnsname.Hasher{Seed: cfg.Seed})}
	for _, s := range Specs() {
		if slices.Contains(cfg.Disabled, s.Name) {
			continue
		}
		e.specs = append(e.specs, s)
		e.dets = append(e.dets, s.New(e))
	}
	e.zones = append(e.zones, nil)
	return e
}

// published are the Stats as of the last Drain, for readers in other goroutines.
type published struct {
	sources, suspects, open, evictedSources, evictedSuspects atomic.Int64
}

// Stats returns the engine's sizes as of the last Drain. It alone may be called
// from another goroutine.
func (e *Engine) Stats() Stats {
	return Stats{
		Sources: e.shown.sources.Load(), Suspects: e.shown.suspects.Load(), Open: e.shown.open.Load(),
		EvictedSources: e.shown.evictedSources.Load(), EvictedSuspects: e.shown.evictedSuspects.Load(),
	}
}

func (e *Engine) publish() {
	e.shown.sources.Store(int64(e.table.used))
	e.shown.suspects.Store(int64(len(e.pool) - len(e.free)))
	e.shown.open.Store(int64(e.open))
	e.shown.evictedSources.Store(e.table.evicted)
	e.shown.evictedSuspects.Store(e.evicted)
}

// Observe takes one query with its context. Both are borrowed. sfx holds the
// hashes of the query name.
func (e *Engine) Observe(q *picket.Query, c *picket.NameContext, sfx *dnsname.Suffixes) {
	zone := c.Zone
	var zid uint32
	if zone != nil {
		zid = zone.ID
	}
	key := sourceKey(q.Client, zid, e.cfg.Seed)
	m, lost := e.table.get(key)
	if lost != 0 {
		e.evict(&e.pool[lost-1])
	}
	if m.facts&factOpen != 0 && q.Time-m.last > int64(e.cfg.EpisodeIdle) {
		// Not left to Advance, which comes when a batch is full: episodes must not
		// depend on how queries are batched.
		e.closeAll(&e.pool[m.suspect-1])
	}
	if m.queries == 0 {
		m.first = q.Time
	}
	m.queries++
	m.last = q.Time
	m.facts |= factsOf(q)

	on := triggersOf(q, c)
	known, added := m.knows(c.Hash)
	first := !known
	if first && !added && m.suspect != 0 {
		first = e.pool[m.suspect-1].seen.Add(c.Hash)
	}
	if !first && on == 0 && c.State.Exists() {
		m.again(c.Hash)
		if m.facts&factOpen != 0 {
			e.pool[m.suspect-1].timeline.add(q.Time)
		}
		return
	}
	missing := zone != nil && isMissing(c)
	if first {
		on |= OnFirst
		if missing && m.missing < 255 {
			m.missing++
		}
	} else {
		on |= OnRepeat
	}

	ev := &e.ev
	*ev = Event{Q: q, C: c, Sfx: sfx, On: on, First: first, Missing: missing}
	if first && zone != nil {
		walking := m.suspect != 0 && e.pool[m.suspect-1].walking
		e.learn(ev, walking)
	}
	if m.suspect == 0 {
		if !e.worthPromotion(m, ev) {
			return
		}
		e.promote(m, ev)
	}
	e.inspect(m, ev)
}

// promoteNames is how many different names make a source worth full state.
const promoteNames = 7

// worthPromotion decides whether a source gets full state.
func (e *Engine) worthPromotion(m *memo, ev *Event) bool {
	if ev.On&(OnTransfer|OnFingerprint) != 0 {
		return true
	}
	if ev.Q.Type == typeNSEC || ev.Q.Type == typeNSEC3 {
		return true
	}
	if ev.C.Zone == nil {
		return false
	}
	return m.n >= promoteNames && ev.First || ev.C.State == picket.StateRetired || ev.Missing && m.missing > 1 ||
		ev.On&(OnService|OnSurveyType|OnReverse) != 0 && m.queries > 2
}

// promote gives the memo full state, evicting the least worth keeping.
func (e *Engine) promote(m *memo, ev *Event) {
	s := e.takeSource()
	s.key, s.Zone, s.Addr = m.key, ev.C.Zone, sourceAddr(ev.Q.Client)
	s.First = m.first
	s.role = e.cfg.Role(ev.Q)
	s.Names = int64(m.n)
	s.Early = int(m.missing)
	if ev.First { // counted when the event is looked at
		s.Names = max(s.Names-1, 0)
		if ev.Missing {
			s.Early--
		}
	}
	s.touched = true
	m.suspect = s.index + 1
}

// sync brings a source's figures up to date with its memo.
func (s *Source) sync(m *memo) {
	s.Queries, s.Repeats, s.Later, s.Last = int64(m.queries), int64(m.repeats), int64(m.later), m.last
	s.facts = m.facts
}

// chances bounds the sources that one eviction passes over for having been used.
const chances = 64

func (e *Engine) takeSource() *Source {
	if n := len(e.free); n > 0 {
		s := &e.pool[e.free[n-1]]
		e.free = e.free[:n-1]
		return s
	}
	if len(e.pool) < e.cfg.Suspects {
		if e.pool == nil {
			e.pool = make([]Source, 0, e.cfg.Suspects)
		}
		e.pool = append(e.pool, Source{index: int32(len(e.pool))})
		s := &e.pool[len(e.pool)-1]
		s.states = make([]State, len(e.dets))
		s.episodes = make([]*Episode, len(e.dets))
		return s
	}
	// Second chance (Corbató 1968): what was used since the hand last came by is
	// passed over, for a bounded number of steps. Open findings are passed over for
	// two whole rounds, that is until nothing else is left.
	for tries := 0; ; tries++ {
		s := &e.pool[e.hand]
		e.hand = (e.hand + 1) % len(e.pool)
		if s.open > 0 && tries < 2*len(e.pool) {
			continue
		}
		if s.touched && tries < chances {
			s.touched = false
			continue
		}
		e.evicted++
		if m := e.table.find(s.key); m != nil {
			m.suspect = 0
			m.missing = 0 // was judged with the state that goes, and must not count again
			m.facts &^= factOpen
		}
		e.evict(s)
		n := len(e.free)
		e.free = e.free[:n-1]
		return s
	}
}

// evict closes a source's episodes and frees its state.
func (e *Engine) evict(s *Source) {
	e.closeAll(s)
	s.reset()
	e.free = append(e.free, s.index)
}

// inspect is the slower path: the source has full state.
func (e *Engine) inspect(m *memo, ev *Event) {
	s := &e.pool[m.suspect-1]
	s.sync(m)
	s.touched = true
	recent := s.recent.Add(ev.C.Hash)
	ev.Src, ev.Recent = s, recent
	s.timeline.add(ev.Q.Time)
	if ev.First {
		s.Names++
		e.count(s, ev)
	}
	for i := range e.specs {
		spec := &e.specs[i]
		if ev.On&spec.On == 0 {
			continue
		}
		if bit := uint32(1) << i; s.woken&bit == 0 {
			if spec.Idle != nil && spec.Idle(ev) {
				continue
			}
			s.woken |= bit
		}
		st := s.states[i]
		if st == nil {
			st = e.dets[i].NewState()
			s.states[i] = st
		}
		e.dets[i].Observe(ev, st)
	}
}

// count keeps the shares that many detectors use.
func (e *Engine) count(s *Source, ev *Event) {
	switch {
	case ev.Missing:
		s.Missing++
		s.keep(ev)
	case ev.C.State == picket.StateRetired:
		s.keep(ev)
	case ev.C.State.Exists():
		s.Hits++
		if s.Hits <= maxSamples/3 {
			s.keep(ev)
		}
	}
}

// Advance tells the engine that event time has come to now: open findings that
// changed are sent again, idle ones are closed.
func (e *Engine) Advance(now int64) {
	e.endSeconds(now / 1e9)
	if d := now - e.swept; d < int64(e.cfg.UpdateEvery) && d > -int64(e.cfg.UpdateEvery) {
		return
	}
	e.swept = now
	if e.open == 0 {
		return
	}
	for p := range e.pool {
		s := &e.pool[p]
		if s.open == 0 {
			continue
		}
		if m := e.table.find(s.key); m != nil {
			s.sync(m)
		}
		for i, ep := range s.episodes {
			switch {
			case ep == nil:
			case now-ep.last > int64(e.cfg.EpisodeIdle):
				e.close(s, i)
			case s.Queries != ep.sentQueries:
				e.send(s, i, false)
			}
		}
	}
}

// Flush closes all episodes: input has ended.
func (e *Engine) Flush() {
	e.endSeconds(math.MaxInt64)
	for p := range e.pool {
		e.closeAll(&e.pool[p])
	}
}

// closeAll closes a source's episodes.
func (e *Engine) closeAll(s *Source) {
	if s.open == 0 {
		return
	}
	if m := e.table.find(s.key); m != nil {
		s.sync(m)
	}
	for i, ep := range s.episodes {
		if ep != nil {
			e.close(s, i)
		}
	}
}

// Drain hands over the findings raised, updated and closed since the last call.
// The findings are the receiver's to keep.
func (e *Engine) Drain(f func(f *picket.Finding, closed bool)) {
	e.publish()
	e.out.drain(f)
}

// sourceKey hashes a source and a zone. IPv6 sources count by /64.
func sourceKey(a netip.Addr, zone uint32, seed uint64) uint64 {
	hi, lo := uint64(0), uint64(0)
	if a.Is4() {
		b := a.As4()
		lo = uint64(binary.LittleEndian.Uint32(b[:]))<<32 | 0xffff0000
	} else {
		b := a.As16()
		hi = binary.LittleEndian.Uint64(b[:8])
		if a.Is4In6() {
			lo = binary.LittleEndian.Uint64(b[8:])
		}
	}
	x := (hi ^ seed ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	x ^= x >> 32
	x = (x ^ lo ^ uint64(zone)<<1) * 0xc4ceb9fe1a85ec53
	x ^= x >> 29
	x *= 0xff51afd7ed558ccd
	x ^= x >> 32
	return x | 1
}

// sourceAddr is the address that stands for a source.
func sourceAddr(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return a
}

func factsOf(q *picket.Query) uint8 {
	var f uint8
	if q.Flags&picket.FlagFlags != 0 {
		if q.Flags&picket.FlagRD != 0 {
			f |= factRD
		} else {
			f |= factNoRD
		}
	}
	if q.Flags&picket.FlagCookie != 0 || !q.Transport.Spoofable() {
		f |= factProven
	}
	return f
}
