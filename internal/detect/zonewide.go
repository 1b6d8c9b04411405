package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/sketch"
)

const randomFlood = "random-flood"

// Start thresholds of random-flood.
const (
	floodWindow = 60  // seconds of event time
	floodMin    = 100 // generated names in the window
	floodShare  = 0.7 // of the names that do not exist
	floodWords  = 0.1 // at most this share of common host names
	floodRate   = 5.0 // generated names a second, or
	floodMany   = 20  // sources
)

// ZoneEngine runs the detectors that look at a whole zone, whoever asks. It is
// fed with Summary values merged over all shards, in order of their seconds, and
// belongs to one goroutine.
type ZoneEngine struct {
	cfg   Config
	zones map[uint32]*zoneWide
	out   outbox
	swept int64
}

// zoneWide is the last minute of one zone, and the retired names of a longer time.
type zoneWide struct {
	zone    *picket.Zone
	ring    [floodWindow]Summary
	flood   *zoneEpisode
	samples [][]byte
	retired retiredWide
	spread  *distributed // nil before the first name that counts
}

// zoneEpisode is an open finding over a whole zone.
type zoneEpisode struct {
	start, last     int64 // Unix seconds
	queries, random int64
	words           int64
	at              int64
	names, sources  sketch.Linear
	peak            float64
	steps           timeline
	dirty           bool
}

// NewZoneEngine returns an engine for the detectors over whole zones.
func NewZoneEngine(cfg Config) *ZoneEngine {
	return &ZoneEngine{cfg: cfg.withDefaults(), zones: make(map[uint32]*zoneWide)}
}

// Observe takes what one second brought to one zone.
func (e *ZoneEngine) Observe(s *Summary) {
	if s.Zone == nil {
		return
	}
	z := e.zones[s.Zone.ID]
	if z == nil {
		z = &zoneWide{}
		e.zones[s.Zone.ID] = z
	}
	z.zone = s.Zone
	slot := &z.ring[((s.Second%floodWindow)+floodWindow)%floodWindow]
	if slot.Second != s.Second || slot.Zone == nil {
		*slot = Summary{Zone: s.Zone, Second: s.Second}
	}
	slot.Queries += s.Queries
	for i, n := range s.Class {
		slot.Class[i] += n
	}
	slot.Sources.Merge(&s.Sources)
	slot.Names.Merge(&s.Names)
	for i := range s.NSamples {
		if len(z.samples) < maxSamples {
			z.samples = append(z.samples, slices.Clone(s.Samples[i]))
		} else {
			z.samples[int(s.Second)%maxSamples] = append(z.samples[int(s.Second)%maxSamples][:0], s.Samples[i]...)
		}
	}
	if !slices.Contains(e.cfg.Disabled, randomFlood) {
		e.judge(z, s)
	}
	if !slices.Contains(e.cfg.Disabled, retiredNamesSpec.Name) {
		e.judgeRetired(z, s)
	}
	if !slices.Contains(e.cfg.Disabled, distributedEnumeration) {
		e.judgeDistributed(z, s)
	}
}

// judge decides about the minute that ends with s.
func (e *ZoneEngine) judge(z *zoneWide, s *Summary) {
	var queries, random, words int64
	first := s.Second
	var sources, names sketch.Linear
	for i := range z.ring {
		r := &z.ring[i]
		if r.Zone == nil || r.Second > s.Second || s.Second-r.Second >= floodWindow {
			continue
		}
		queries += r.Queries
		random += r.Class[ClassRandom]
		words += r.Class[ClassWord]
		sources.Merge(&r.Sources)
		names.Merge(&r.Names)
		first = min(first, r.Second)
	}
	guesses := queries
	rate := float64(random) / float64(s.Second-first+1)
	n := sources.Count()
	is := random >= floodMin && float64(random) >= floodShare*float64(guesses) && float64(words) <= floodWords*float64(guesses) &&
		(rate >= floodRate || n >= floodMany)
	ep := z.flood
	if ep == nil && !is {
		return
	}
	if ep == nil {
		ep = &zoneEpisode{start: first, at: queries, queries: queries - s.Queries, random: random - s.Class[ClassRandom], words: words - s.Class[ClassWord]}
		z.flood = ep
		defer e.send(z, false)
	}
	if is {
		ep.last = s.Second
	}
	ep.queries += s.Queries
	ep.random += s.Class[ClassRandom]
	ep.words += s.Class[ClassWord]
	ep.names.Merge(&names)
	ep.sources.Merge(&sources)
	ep.peak = math.Max(ep.peak, rate)
	for range min(s.Queries, 1000) {
		ep.steps.add(s.Second * 1e9)
	}
	ep.dirty = true
}

// Advance closes floods that ended and sends those that changed.
func (e *ZoneEngine) Advance(now int64) {
	if d := now - e.swept; d < int64(e.cfg.UpdateEvery) && d > -int64(e.cfg.UpdateEvery) {
		return
	}
	e.swept = now
	for _, z := range e.ordered() {
		e.advanceRetired(z, now)
		e.advanceDistributed(z, now)
		switch {
		case z.flood == nil:
		case now/1e9-z.flood.last > 10*floodWindow:
			e.send(z, true)
		case z.flood.dirty:
			e.send(z, false)
		}
	}
}

// Flush closes all open findings.
func (e *ZoneEngine) Flush() {
	for _, z := range e.ordered() {
		if z.flood != nil {
			e.send(z, true)
		}
		if z.retired.open {
			e.sendRetired(z, true)
		}
		if z.spread != nil && z.spread.ep != nil {
			e.sendDistributed(z, true)
		}
	}
}

func (e *ZoneEngine) ordered() []*zoneWide {
	out := make([]*zoneWide, 0, len(e.zones))
	for _, z := range e.zones {
		out = append(out, z)
	}
	slices.SortFunc(out, func(a, b *zoneWide) int { return strings.Compare(a.zone.Name, b.zone.Name) })
	return out
}

// Drain hands over findings raised, updated and closed since the last call.
func (e *ZoneEngine) Drain(f func(f *picket.Finding, closed bool)) { e.out.drain(f) }

func (e *ZoneEngine) send(z *zoneWide, closed bool) {
	ep := z.flood
	ep.dirty = false
	names := max(int64(ep.names.Count()), 1)
	f := &picket.Finding{
		ID: findingID(randomFlood, z.zone.Name, "", ep.start), Detector: randomFlood, Techniques: []string{"T1498"}, Zone: z.zone.Name,
		Source:    picket.Source{Kind: picket.SourceUnknown, Spoofable: true},
		FirstSeen: time.Unix(ep.start, 0).UTC(), LastSeen: time.Unix(max(ep.last, ep.start), 0).UTC(),
		Queries: ep.queries, Names: names, DetectedAtQuery: ep.at,
		Severity: picket.SeverityLow, Confidence: 0.85, Intent: picket.IntentUnknown,
		Summary: fmt.Sprintf("Generated names flood %s: %d questions for names that do not exist, %d%% of them without any language, from about %d sources. This is a denial-of-service pattern, not reconnaissance.",
			z.zone.Name, ep.queries, 100*ep.random/max(ep.queries, 1), int64(math.Round(ep.sources.Count()))),
		Limits: "Sources are resolvers or forged addresses: this says nothing about who sends it. Tunnels and telemetry of some products generate names as well.",
		Evidence: picket.Evidence{
			Features: []picket.Feature{
				{Name: "generated names", Value: float64(ep.random), Threshold: floodMin},
				{Name: "share of generated names", Value: round2(float64(ep.random) / float64(max(ep.queries, 1))), Threshold: floodShare},
				{Name: "common host names", Value: float64(ep.words)},
				{Name: "peak of generated names a second, mean of a minute", Value: round2(ep.peak), Threshold: floodRate},
				{Name: "sources, estimated", Value: math.Round(ep.sources.Count()), Threshold: floodMany},
			},
			Timeline: ep.steps.buckets(ep.start * 1e9), Telemetry: []string{levelNames['Q'], levelNames['R'], "sources and names are estimates"},
		},
	}
	for _, n := range z.samples {
		f.Evidence.Names = append(f.Evidence.Names, picket.NamedState{Name: dnsname.Text(n), State: picket.StateNever.String()})
	}
	e.out = append(e.out, emission{finding: f, closed: closed})
	if closed {
		z.flood = nil
	}
}
