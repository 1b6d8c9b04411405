package detect

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/sketch"
)

// Start thresholds of nsec3-walk.
const (
	hashQueries  = 20
	hashShare    = 0.7
	hashLLR      = 6.0
	hashWords    = 0.2 // share of common host names above which it is a word list
	hashAscentZ  = 4.0
	hashCounters = 0.6  // share of labels that could be a counter, for the order to count
	hashInterval = 1024 // intervals remembered, a power of two
)

var nsec3WalkSpec = Spec{
	Name: "nsec3-walk", Techniques: []string{"T1590.002"}, Levels: "D",
	On:  OnDenial,
	New: func(e *Engine) Detector { return &nsec3Walk{e: e, det: len(e.specs) - 1} },
}

// nsec3Walk sees one source collect the hash intervals of NSEC3 records
// (RFC 5155): its names are chosen so that each answer discloses an interval not
// seen before, where names chosen otherwise hit known ones ever more often. A
// question for the NSEC3 type itself, which no client asks, is enough.
type nsec3Walk struct {
	e   *Engine
	det int
}

type hashState struct {
	mark     Mark
	owners   [hashInterval]uint64 // open addressing by the first 8 bytes of the owner hash
	n        int
	covered  float64 // share of the hash space disclosed so far
	queries  int
	fresh    int
	words    int
	llr      float64
	asked    int // questions for type NSEC3
	last     [16]byte
	ascents  int
	counters int // labels that could be a counter: hexadecimal digits only
}

func (s *hashState) Reset() { *s = hashState{} }

func (d *nsec3Walk) NewState() State { return &hashState{} }

func (d *nsec3Walk) Observe(ev *Event, st State) {
	s := st.(*hashState)
	if ev.Q.Type == typeNSEC3 {
		ev.markOnce(&s.mark)
		s.asked++
		ev.Step = true
		d.e.raise(ev, d.det, s.mark)
		return
	}
	if ev.C.Zone == nil || !ev.First || !hasNSEC3(ev.Q.Response.Denials) {
		return
	}
	if ev.C.State.Exists() {
		// A type that an existing name lacks discloses that name's own interval, a new one
		// with each new name: what every resolver with AAAA and HTTPS does.
		s.disclosed(ev)
		return
	}
	ev.markOnce(&s.mark)
	fresh := s.note(ev)
	open := ev.Src.opened(d.det)
	ev.Step = ev.Step || open && fresh && !s.refuted()
	if s.walking() || open && fresh {
		d.e.raise(ev, d.det, s.mark)
	}
	if open && s.refuted() {
		ev.Src.walking = false
	}
}

func hasNSEC3(dd []picket.Denial) bool {
	for i := range dd {
		if dd[i].NSEC3 && len(dd[i].Owner) >= 8 && len(dd[i].Next) >= 8 {
			return true
		}
	}
	return false
}

// note takes what one answer disclosed and reports whether any of it was new.
func (s *hashState) note(ev *Event) bool {
	before := min(s.covered, 0.999)
	fresh := s.disclosed(ev)
	s.queries++
	if fresh {
		s.fresh++
		s.llr += math.Log(0.97 / (1 - before))
	} else {
		s.llr += math.Log(0.03 / max(before, 0.02))
	}
	s.llr = max(s.llr, -3)
	if ev.Class == ClassWord {
		s.words++
	}
	if isHex(firstLabel(ev.Q.Name)) {
		s.counters++
	}
	var label [16]byte
	copy(label[:], firstLabel(ev.Q.Name))
	if string(label[:]) > string(s.last[:]) {
		s.ascents++
	}
	s.last = label
	return fresh
}

// disclosed remembers the intervals of an answer and reports whether any was new.
func (s *hashState) disclosed(ev *Event) (fresh bool) {
	for _, n := range ev.Q.Response.Denials {
		if n.NSEC3 && len(n.Owner) >= 8 && len(n.Next) >= 8 && s.add(binary.BigEndian.Uint64(n.Owner), binary.BigEndian.Uint64(n.Next)) {
			fresh = true
		}
	}
	return fresh
}

// refuted reports that what began like a collection went on otherwise.
func (s *hashState) refuted() bool {
	return s.asked == 0 && s.queries >= 2*hashQueries && float64(s.fresh) < 0.5*float64(s.queries)
}

// add records an interval and reports whether it is new.
func (s *hashState) add(owner, next uint64) bool {
	key := owner | 1
	i := key * 0x9e3779b97f4a7c15 >> 54
	for probes := 0; probes < 32; probes++ {
		switch s.owners[i] {
		case key:
			return false
		case 0:
			if s.n >= hashInterval*3/4 {
				return true // full: told apart no more, counted as new
			}
			s.owners[i] = key
			s.n++
			s.covered += float64(next-owner) / (1 << 64)
			return true
		}
		i = (i + 1) % hashInterval
	}
	return true
}

func (s *hashState) walking() bool {
	if s.queries < hashQueries || float64(s.fresh) < hashShare*float64(s.queries) || float64(s.words) > hashWords*float64(s.queries) {
		return false
	}
	// A collector often counts upwards for candidates; a sorted word list ascends
	// too, but is no counter.
	counting := float64(s.counters) >= hashCounters*float64(s.queries) && sketch.AscentZ(s.ascents, s.queries) >= hashAscentZ
	return s.llr >= hashLLR || counting
}

// isHex reports hexadecimal digits with a letter among them: plain numbers are in
// every word list.
func isHex(label []byte) bool {
	letters := 0
	for _, c := range label {
		switch {
		case c >= 'a' && c <= 'f':
			letters++
		case c < '0' || c > '9':
			return false
		}
	}
	return letters > 0
}

func (d *nsec3Walk) Describe(ep *Episode, st State) {
	s := st.(*hashState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.9
	if s.asked > 0 && s.asked < 3 && s.queries < hashQueries {
		ep.Severity = picket.SeverityLow
	}
	zone := "a name in no watched zone"
	if ep.Zone != nil {
		zone = ep.Zone.Name
	}
	ep.Summary = fmt.Sprintf("One source collects the NSEC3 hash intervals of %s (%d disclosed by %d questions, %d questions for the NSEC3 type): with them names can be guessed offline.",
		zone, s.n, s.queries, s.asked)
	if s.refuted() {
		ep.Severity, ep.Confidence = picket.SeverityInformational, 0.2
		ep.Summary += " It went on with names that disclose nothing new, as guessing does, so this is most likely no collection."
	}
	ep.Limits = "Guessing the names behind the hashes happens offline and is never visible; DNSSEC debuggers collect some intervals too."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "share of questions that disclosed a new interval", Value: round2(float64(s.fresh) / float64(max(s.queries, 1))), Threshold: hashShare},
		picket.Feature{Name: "log-likelihood ratio against names chosen blindly", Value: round2(s.llr), Threshold: hashLLR},
		picket.Feature{Name: "share of the hash space disclosed", Value: round2(s.covered)},
		picket.Feature{Name: "questions for the NSEC3 type", Value: float64(s.asked), Threshold: 1},
	)
}
