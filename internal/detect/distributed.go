package detect

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

const distributedEnumeration = "distributed-enumeration"

// Start thresholds of distributed-enumeration.
const (
	distWarmup   = 3600       // seconds of a zone's first questions, in which nothing is raised
	distFloor    = 4.0 / 3600 // names a second that any zone is taken to be asked in vain
	distSlack    = 2.0        // factor on the expected rate, for hours that are busier than the mean
	distScore    = 25.0       // log-likelihood ratio of the rate against the expected one
	distNetworks = 8          // networks that ask, at least
	distPer      = 3          // names of one network that count within an hour
	distRing     = 320        // latest names kept
	distIdle     = 2 * 3600   // seconds without evidence until an episode closes
	distMemory   = 7 * 24     // hours that the expected rate looks back
	distInferred = 512        // zones without zone data that are watched, as whoever asks can make them up
	distRandom   = 0.3        // share of generated names in a minute above which it is a flood
)

// distCounts are the numbers of latest names that are looked at: few come fast,
// many slowly.
var distCounts = [...]int{20, 40, 80, 160, 320}

// FreshName is a name that does not exist and that nobody has asked for as far as
// is remembered.
type FreshName struct {
	Hash    uint64
	Network uint32 // hash of the source's network
	Word    bool   // a common host name
}

// vain remembers the names of a zone that were asked in vain, in two filters of
// 2^17 bits of which the older one is forgotten when the newer is a third full.
type vain struct {
	now, before [2048]uint64
	set         int
}

// fresh records a name and reports whether it was not remembered.
func (v *vain) fresh(hash uint64) bool {
	i := hash >> 47
	m := uint64(1) << (i & 63)
	if (v.now[i>>6]|v.before[i>>6])&m != 0 {
		return false
	}
	if v.set++; v.set > len(v.now)*64/3 {
		v.before, v.now, v.set = v.now, [2048]uint64{}, 1
	}
	v.now[i>>6] |= m
	return true
}

// noteFresh puts a name into the second's summary when it looks like a guess that
// is new to the zone.
func (e *Engine) noteFresh(z *zoneMemory, ev *Event) {
	if ev.Class != ClassWord && ev.Class != ClassOther || z.summary.NFresh == len(z.summary.Fresh) {
		return
	}
	if z.vain == nil {
		if ev.C.Zone.Inferred {
			if e.inferredVain == distInferred {
				return
			}
			e.inferredVain++
		}
		z.vain = new(vain)
	}
	if !z.vain.fresh(ev.C.Hash) {
		return
	}
	s := &z.summary
	if s.NFresh == 0 {
		s.FreshSample = slices.Clone(ev.Q.Name)
	}
	s.Fresh[s.NFresh] = FreshName{ev.C.Hash, networkHash(ev.Q.Client, e.cfg.Seed), ev.Class == ClassWord}
	s.NFresh++
}

// networkHash identifies a source's network: /24 of IPv4, /48 of IPv6.
func networkHash(a netip.Addr, seed uint64) uint32 {
	var x uint64
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		x = uint64(binary.BigEndian.Uint32(b[:]) >> 8)
	} else {
		b := a.As16()
		x = binary.BigEndian.Uint64(b[:8])>>16 | 1<<63
	}
	return uint32((x ^ seed) * 0x9e3779b97f4a7c15 >> 32)
}

// distributed is what all sources of a zone together ask that nobody had asked: by a
// list that is spread over so many of them that none stands out.
type distributed struct {
	vain   vain
	begun  int64 // second of the zone's first question
	hour   int64 // the hour that is being counted
	counts map[uint32]int8
	inHour int
	hours  int     // that the expected rate rests on
	rate   float64 // names a second, expected

	ring  [distRing]distName
	n     int64 // names that counted so far
	ep    *distEpisode
	names [][]byte
}

type distName struct {
	second  int64
	network uint32
	word    bool
}

type distEpisode struct {
	start, last    int64 // Unix seconds
	at             int64
	names, queries int64
	words          int64
	networks       int
	score          float64
	count          int
	span           int64
	expected       float64
	dirty          bool
}

// judgeDistributed takes one second's names.
func (e *ZoneEngine) judgeDistributed(z *zoneWide, s *Summary) {
	if s.NFresh == 0 && z.spread == nil {
		return
	}
	if z.spread == nil {
		z.spread = &distributed{begun: s.Second, hour: s.Second, counts: make(map[uint32]int8)}
	}
	d := z.spread
	d.turn(s.Second)
	if d.ep != nil {
		d.ep.queries += s.Queries
	}
	counted := false
	for i := range s.NFresh {
		f := &s.Fresh[i]
		if !d.vain.fresh(f.Hash) || d.counts[f.Network] >= distPer || len(d.counts) > 1<<14 {
			continue
		}
		d.counts[f.Network]++
		d.inHour++
		d.ring[d.n%distRing] = distName{s.Second, f.Network, f.Word}
		d.n++
		counted = true
		if d.ep != nil {
			d.ep.names++
			if f.Word {
				d.ep.words++
			}
		}
	}
	if !counted || s.Second-d.begun < distWarmup || z.flooded(s.Second) {
		return
	}
	if len(d.names) == maxSamples {
		d.names = slices.Delete(d.names, 0, 1)
	}
	d.names = append(d.names, s.FreshSample)
	e.weigh(z, s.Second)
}

// turn closes the hours that are over: what an hour brought enters the expected
// rate, bounded, so that whoever wants to teach it a higher one needs weeks.
func (d *distributed) turn(second int64) {
	for second-d.hour >= 3600 {
		x := float64(d.inHour) / 3600
		if d.hours > 0 {
			x = min(x, 2*d.rate+distFloor)
		}
		if d.ep == nil || d.hours == 0 {
			d.hours = min(d.hours+1, distMemory)
			d.rate += (x - d.rate) / float64(d.hours)
		}
		d.hour += 3600
		if second-d.hour > 30*24*3600 {
			d.hour = second
		}
		d.inHour = 0
		clear(d.counts)
	}
}

// weigh compares how fast the latest names came with how fast they are expected.
func (e *ZoneEngine) weigh(z *zoneWide, second int64) {
	d := z.spread
	rate := distSlack * max(d.rate, distFloor)
	for _, k := range distCounts {
		if int64(k) > d.n {
			break
		}
		first := d.ring[(d.n-int64(k))%distRing].second
		span := second - first + 1
		expected := rate * float64(span)
		score := float64(k)*math.Log(float64(k)/expected) - (float64(k) - expected)
		if float64(k) <= expected || score < distScore {
			continue
		}
		networks, words := d.latest(k)
		if networks < max(distNetworks, k/8) {
			continue
		}
		if d.ep == nil {
			d.ep = &distEpisode{start: first, at: int64(k), names: int64(k), words: int64(words), queries: int64(k)}
			d.ep.note(second, k, networks, span, expected, score)
			e.sendDistributed(z, false)
			return
		}
		d.ep.note(second, k, networks, span, expected, score)
		return
	}
}

func (ep *distEpisode) note(second int64, k, networks int, span int64, expected, score float64) {
	ep.last, ep.dirty = second, true
	if score > ep.score {
		ep.score, ep.count, ep.span, ep.expected = score, k, span, expected
	}
	ep.networks = max(ep.networks, networks)
}

// latest counts the networks and the common host names among the latest k names.
func (d *distributed) latest(k int) (networks, words int) {
	seen := make(map[uint32]struct{}, k)
	for i := d.n - int64(k); i < d.n; i++ {
		x := &d.ring[i%distRing]
		seen[x.network] = struct{}{}
		if x.word {
			words++
		}
	}
	return len(seen), words
}

// flooded reports whether generated names are a good part of what the last minute
// asked in vain.
func (z *zoneWide) flooded(second int64) bool {
	if z.flood != nil {
		return true
	}
	var all, random int64
	for i := range z.ring {
		if r := &z.ring[i]; r.Zone != nil && r.Second <= second && second-r.Second < floodWindow {
			all += r.Queries
			random += r.Class[ClassRandom]
		}
	}
	return float64(random) > distRandom*float64(all)
}

// advanceDistributed closes or updates the finding.
func (e *ZoneEngine) advanceDistributed(z *zoneWide, now int64) {
	switch {
	case z.spread == nil || z.spread.ep == nil:
	case now/1e9-z.spread.ep.last > distIdle:
		e.sendDistributed(z, true)
	case z.spread.ep.dirty:
		e.sendDistributed(z, false)
	}
}

func (e *ZoneEngine) sendDistributed(z *zoneWide, closed bool) {
	d := z.spread
	ep := d.ep
	ep.dirty = false
	f := &picket.Finding{
		ID: findingID(distributedEnumeration, z.zone.Name, "", ep.start*1e9), Detector: distributedEnumeration,
		Techniques: []string{"T1595.003", "T1590.002"}, Zone: z.zone.Name,
		Source:    picket.Source{Kind: picket.SourceUnknown, Spoofable: true},
		FirstSeen: time.Unix(ep.start, 0).UTC(), LastSeen: time.Unix(max(ep.last, ep.start), 0).UTC(),
		Queries: ep.queries, Names: ep.names, DetectedAtQuery: ep.at,
		Severity: picket.SeverityMedium, Confidence: min(0.6+ep.score/500, 0.85), Intent: picket.IntentUnknown,
		Summary: fmt.Sprintf("Names below %s that do not exist and that nobody had asked for come from many networks at once: %d within %s, where about %s were expected. A list is being tried, spread over many sources.",
			z.zone.Name, ep.count, time.Duration(ep.span)*time.Second, expectation(ep.expected)),
		Limits: "Many sources do not make one actor. A new service whose clients guess its names, or a campaign with wrong links, can look alike; addresses can be forged.",
		Evidence: picket.Evidence{
			Features: []picket.Feature{
				{Name: "log-likelihood ratio of the rate of new names", Value: round2(ep.score), Threshold: distScore},
				{Name: "new names in the span that stands out most", Value: float64(ep.count)},
				{Name: "expected in it", Value: round2(ep.expected)},
				{Name: "networks that asked for them", Value: float64(ep.networks), Threshold: distNetworks},
				{Name: "common host names among all of them", Value: float64(ep.words)},
			},
			Telemetry: []string{levelNames['Q'], levelNames['R'], "at most three names of a network within an hour are counted"},
		},
	}
	for _, n := range d.names {
		f.Evidence.Names = append(f.Evidence.Names, picket.NamedState{Name: dnsname.Text(n), State: picket.StateNever.String()})
	}
	e.out = append(e.out, emission{finding: f, closed: closed})
	if closed {
		d.ep = nil
	}
}

// expectation prints an expected number.
func expectation(x float64) string {
	if x < 1 {
		return "none"
	}
	return fmt.Sprintf("%.0f", x)
}
