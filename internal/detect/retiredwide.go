package detect

import (
	"fmt"
	"math"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/sketch"
)

// Start thresholds of retired-names over a whole zone: for lists spread over so
// many sources that none stands out.
const (
	wideMin     = 20
	wideShare   = 0.25 // of the zone's retired names
	wideSources = 4
	wideWindow  = 3600 // seconds of event time
	wideMost    = 4096 // names remembered
)

// retiredWide is what one zone's sources together asked of its past.
type retiredWide struct {
	open        bool
	start, last int64 // Unix seconds
	names       map[uint64]struct{}
	asked       int64 // first contacts of a source with a retired name
	never       int64
	at          int64
	sources     sketch.Linear
	samples     [][]byte
	dirty       bool
}

// judgeRetired takes one second's retired names.
func (e *ZoneEngine) judgeRetired(z *zoneWide, s *Summary) {
	r := &z.retired
	if s.NRetired == 0 && r.names == nil || z.zone.Retired == 0 {
		return
	}
	if r.names == nil || !r.open && s.Second-r.start > wideWindow {
		*r = retiredWide{start: s.Second, names: make(map[uint64]struct{})}
	}
	missing := s.Queries
	for i := range s.NRetired {
		if len(r.names) < wideMost {
			r.names[s.Retired[i]] = struct{}{}
		}
		r.asked++
		missing--
	}
	missing -= s.Class[ClassLeak] + s.Class[ClassService]
	r.never += max(missing, 0)
	if s.NRetired > 0 {
		r.sources.Merge(&s.Sources)
		r.last, r.dirty = s.Second, true
		for i := range s.NSamples {
			if len(r.samples) < maxSamples {
				r.samples = append(r.samples, append([]byte(nil), s.Samples[i]...))
			}
		}
	}
	n := float64(len(r.names))
	if !r.open && n >= wideMin && n >= wideShare*float64(z.zone.Retired) && r.sources.Count() >= wideSources-0.5 && float64(r.never) <= n && float64(r.asked) <= 2*n {
		r.open, r.at = true, r.asked+r.never
		e.sendRetired(z, false)
	}
}

// advanceRetired closes or updates the finding.
func (e *ZoneEngine) advanceRetired(z *zoneWide, now int64) {
	switch r := &z.retired; {
	case !r.open:
	case now-r.last*1e9 > int64(e.cfg.EpisodeIdle):
		e.sendRetired(z, true)
	case r.dirty:
		e.sendRetired(z, false)
	}
}

func (e *ZoneEngine) sendRetired(z *zoneWide, closed bool) {
	r := &z.retired
	r.dirty = false
	share := float64(len(r.names)) / float64(max(z.zone.Retired, 1))
	f := &picket.Finding{
		ID: findingID(retiredNamesSpec.Name, z.zone.Name, "", r.start*1e9), Detector: retiredNamesSpec.Name,
		Techniques: retiredNamesSpec.Techniques, Zone: z.zone.Name,
		Source:    picket.Source{Kind: picket.SourceUnknown, Spoofable: true},
		FirstSeen: time.Unix(r.start, 0).UTC(), LastSeen: time.Unix(max(r.last, r.start), 0).UTC(),
		Queries: r.asked + r.never, Names: int64(len(r.names)), DetectedAtQuery: r.at,
		Severity: picket.SeverityMedium, Confidence: 0.75, Intent: picket.IntentTargeted,
		Summary: fmt.Sprintf("About %d sources together asked %d of the %d retired names of %s within an hour, hardly any of them twice: a list from the past is being checked, spread over many resolvers.",
			int64(math.Round(r.sources.Count())), len(r.names), z.zone.Retired, z.zone.Name),
		Limits: "Several sources do not make one actor; the look-up in a passive-DNS database itself is never visible, and a renamed or re-imported service can make many clients ask old names at once.",
		Evidence: picket.Evidence{
			Features: []picket.Feature{
				{Name: "retired names asked by anybody", Value: float64(len(r.names)), Threshold: wideMin},
				{Name: "share of the zone's retired names", Value: round2(share), Threshold: wideShare},
				{Name: "sources, estimated", Value: math.Round(r.sources.Count()), Threshold: wideSources},
				{Name: "names that never existed, asked meanwhile", Value: float64(r.never)},
			},
			Telemetry: []string{levelNames['Q'], levelNames['Z']},
		},
	}
	for _, n := range r.samples {
		f.Evidence.Names = append(f.Evidence.Names, picket.NamedState{Name: dnsname.Text(n), State: picket.StateRetired.String()})
	}
	e.out = append(e.out, emission{finding: f, closed: closed})
	if closed {
		*r = retiredWide{}
	}
}
