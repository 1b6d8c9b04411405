package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Episode is one spell of behaviour of one source (or, for detectors over whole
// zones, of a zone) that a detector has raised a finding on.
type Episode struct {
	Src  *Source
	Zone *picket.Zone

	Severity   picket.Severity
	Confidence float64
	Intent     string
	Techniques []string
	Summary    string
	Limits     string
	Features   []picket.Feature
	ZoneName   string // overrides the zone's name, for queries in no watched zone

	start       int64 // event time of the episode's first query
	startQuery  int64 // the source's query count before it
	startNames  int64
	at          int64 // queries of the episode seen when first raised
	last        int64 // event time of the newest evidence
	sentQueries int64
}

// Queries returns the source's queries in the episode so far.
func (ep *Episode) Queries() int64 { return ep.Src.Queries - ep.startQuery }

// Mark is where a run of evidence began: the source's figures just before it.
type Mark struct {
	Time    int64
	Queries int64
	Names   int64
	set     bool
}

// A source's whole past belongs to the run that begins, as a tool's opening moves
// are part of what it does, up to so many queries and so long ago. Not after a
// finding has been closed: the next one is another episode with another identity.
const (
	fresh    = 12
	freshFor = int64(time.Hour)
)

// mark remembers where the current event stands, as the start of a run.
func (ev *Event) mark(m *Mark) {
	if s := ev.Src; s.Queries <= fresh && s.facts&factTold == 0 && ev.Q.Time-s.First <= freshFor {
		*m = Mark{Time: ev.Src.First, set: true}
		return
	}
	names := ev.Src.Names
	if ev.First {
		names--
	}
	*m = Mark{Time: ev.Q.Time, Queries: ev.Src.Queries - 1, Names: names, set: true}
}

// markOnce is mark unless a run has already begun.
func (ev *Event) markOnce(m *Mark) {
	if !m.set {
		ev.mark(m)
	}
}

// raise opens an episode that began at from, or notes new evidence for the one
// that is open.
func (e *Engine) raise(ev *Event, det int, from Mark) {
	s := ev.Src
	if ep := s.episodes[det]; ep != nil {
		ep.last = ev.Q.Time
		return
	}
	ep := &Episode{Src: s, Zone: s.Zone, start: from.Time, startQuery: from.Queries, startNames: from.Names, last: ev.Q.Time}
	if !from.set {
		ep.start, ep.startQuery, ep.startNames = ev.Q.Time, s.Queries-1, s.Names-1
	}
	ep.at = s.Queries - ep.startQuery
	s.keep(ev)
	s.episodes[det] = ep
	s.open++
	e.open++
	s.walking = s.walking || e.specs[det].On&OnDenial != 0
	if m := e.table.find(s.key); m != nil {
		m.facts |= factOpen
	}
	e.send(s, det, false)
}

// opened reports whether the detector has an open episode for the source.
func (s *Source) opened(det int) bool { return s.open != 0 && s.episodes[det] != nil }

// close sends an episode's final figures.
func (e *Engine) close(s *Source, det int) {
	e.send(s, det, true)
	s.episodes[det] = nil
	s.open--
	e.open--
	s.walking = false
	for i, ep := range s.episodes {
		s.walking = s.walking || ep != nil && e.specs[i].On&OnDenial != 0
	}
	if m := e.table.find(s.key); m != nil {
		m.facts |= factTold
		if s.open == 0 {
			m.facts &^= factOpen
		}
	}
	if s.states[det] != nil {
		s.states[det].Reset()
	}
}

// send makes a finding of an episode and puts it on the way out.
func (e *Engine) send(s *Source, det int, closed bool) {
	ep := s.episodes[det]
	ep.sentQueries = s.Queries
	spec := e.specs[det]
	ep.Severity, ep.Confidence, ep.Intent = picket.SeverityLow, 0.5, picket.IntentUnknown
	ep.Techniques, ep.Features, ep.ZoneName = spec.Techniques, ep.Features[:0], ""
	e.dets[det].Describe(ep, s.states[det])
	if ep.Zone != nil && ep.ZoneName == "" {
		ep.ZoneName = ep.Zone.Name
	}
	switch s.role {
	case RoleOwn:
		ep.Severity, ep.Intent = picket.SeverityInformational, picket.IntentOwn
	case RoleSecondary:
		if spec.Name == zoneTransferSpec.Name {
			ep.Severity, ep.Intent = picket.SeverityInformational, picket.IntentOwn
		}
	}
	spoofable := s.Spoofable()
	if spoofable {
		ep.Confidence *= 0.9
		ep.Limits = joinSentences(ep.Limits, "Only UDP without a valid DNS cookie was seen, so the source address could be forged.")
	}
	if s.Kind() == picket.SourceResolver {
		ep.Limits = joinSentences(ep.Limits, "The source looks like a recursive resolver: whoever asked stands behind it and is not visible here.")
	}
	f := &picket.Finding{
		ID:       findingID(spec.Name, ep.ZoneName, s.Prefix(), ep.start),
		Detector: spec.Name, Techniques: ep.Techniques, Zone: ep.ZoneName,
		Source:    picket.Source{Prefix: s.Prefix(), Kind: s.Kind(), Spoofable: spoofable},
		FirstSeen: time.Unix(0, ep.start).UTC(), LastSeen: time.Unix(0, max(s.Last, ep.start)).UTC(),
		Queries: ep.Queries(), Names: max(s.Names-ep.startNames, 1), DetectedAtQuery: ep.at,
		Severity: ep.Severity, Confidence: math.Round(min(ep.Confidence, 0.99)*100) / 100, Intent: ep.Intent,
		Summary: ep.Summary, Limits: ep.Limits,
		Evidence: picket.Evidence{
			Names: s.evidence(), Features: append([]picket.Feature(nil), ep.Features...),
			Timeline: s.timeline.buckets(ep.start), Telemetry: telemetryNotes(s, spec),
		},
	}
	e.out = append(e.out, emission{finding: f, closed: closed})
}

func joinSentences(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

// findingID is deterministic for (detector, zone, source key, episode).
func findingID(detector, zone, source string, start int64) string {
	h := sha256.New()
	for _, part := range []string{detector, zone, source, strconv.FormatInt(start, 10)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return "f-" + hex.EncodeToString(h.Sum(nil)[:10])
}

func (s *Source) evidence() []picket.NamedState {
	out := make([]picket.NamedState, 0, len(s.samples))
	for _, n := range s.samples {
		out = append(out, picket.NamedState{Name: dnsname.Text(n.name), State: n.state.String(), Type: typeName(n.qtype)})
	}
	return out
}

func (t *timeline) buckets(from int64) []picket.Bucket {
	if t.step == 0 {
		return nil
	}
	out := []picket.Bucket{}
	lastSet := 0
	for i, n := range t.n {
		at := t.start + int64(i)*t.step
		if at+t.step <= from {
			continue
		}
		out = append(out, picket.Bucket{Time: time.Unix(0, at).UTC(), Queries: int64(n)})
		if n != 0 {
			lastSet = len(out)
		}
	}
	return out[:lastSet]
}

// levelNames are the telemetry levels in words.
var levelNames = map[rune]string{
	'Q': "query log", 'R': "response codes, or the zone that implies them", 'D': "packet detail (flags, EDNS, denials)", 'Z': "zone contents and history",
}

// count is a number with its noun, in the plural where it is due.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// telemetryNotes says what the finding rests on and what was inferred.
func telemetryNotes(s *Source, spec Spec) []string {
	var notes []string
	for _, l := range spec.Levels {
		notes = append(notes, levelNames[l])
	}
	if s.Zone != nil && s.Zone.Inferred {
		notes = append(notes, "zone inferred from traffic: no zone data was given")
	}
	return notes
}

// typeNames are the mnemonics of the types that findings show most.
var typeNames = map[uint16]string{
	typeA: "A", typeNS: "NS", typeCNAME: "CNAME", typeSOA: "SOA", typeWKS: "WKS", typePTR: "PTR", typeHINFO: "HINFO", typeMX: "MX",
	typeTXT: "TXT", typeRP: "RP", typeAFSDB: "AFSDB", typeAAAA: "AAAA", typeLOC: "LOC", typeSRV: "SRV", typeNAPTR: "NAPTR", typeDS: "DS",
	typeRRSIG: "RRSIG", typeNSEC: "NSEC", typeDNSKEY: "DNSKEY", typeNSEC3: "NSEC3", typeNSEC3PARAM: "NSEC3PARAM", typeTLSA: "TLSA",
	typeCDS: "CDS", typeCDNSKEY: "CDNSKEY", typeHTTPS: "HTTPS", typeSPF: "SPF", typeIXFR: "IXFR", typeAXFR: "AXFR", typeANY: "ANY", typeCAA: "CAA",
}

func typeName(t uint16) string {
	if n, ok := typeNames[t]; ok {
		return n
	}
	return "TYPE" + strconv.Itoa(int(t))
}
