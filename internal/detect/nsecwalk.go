package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Start thresholds of nsec-walk.
const (
	walkSteps = 5
	walkShare = 0.5 // steps per name that does not exist: a sorted word list meets disclosed names too, among many misses
	walkForms = 0.2 // the same for names right behind disclosed ones, which a word list holds by chance
	walkBreak = 8   // names that do not exist between two steps end a run
	walkGap   = 400 // queries of the source that may lie between two steps
)

var nsecWalkSpec = Spec{
	Name: "nsec-walk", Techniques: []string{"T1590.002"}, Levels: "QDZ",
	On: OnDenial | OnFirst,
	// A walk begins with a denial, or a form or type of question that only it uses.
	Idle: func(ev *Event) bool {
		return ev.On&OnDenial == 0 && len(ev.Q.Response.Denials) == 0 && ev.Q.Type != typeNSEC
	},
	New: func(e *Engine) Detector { return &nsecWalk{e: e, det: len(e.specs) - 1} },
}

// nsecWalk sees one source follow the chain of NSEC records (RFC 4034 §4), which
// links the names of a signed zone: each question is the name that the last
// answer disclosed, or lies right behind it in canonical order. Where the log has
// no denials, the zone's own order tells the next name.
type nsecWalk struct {
	e       *Engine
	det     int
	scratch [dnsname.MaxLen]byte
}

type walkState struct {
	mark    Mark
	next    [4]uint64 // hashes of the owners that the last answers disclosed
	at      int
	last    []byte // name of the last step, to see that the walk goes forward
	rank    int
	steps   int
	forms   int   // steps that ask right behind the disclosed name, which nobody else does
	missed  int64 // the source's names that did not exist when the walk began
	between int64 // and at the last step
	best    int
	direct  int // questions for the NSEC type itself
	query   int64
}

func (s *walkState) Reset() { *s = walkState{last: s.last[:0]} }

func (d *nsecWalk) NewState() State { return &walkState{} }

func (d *nsecWalk) Observe(ev *Event, st State) {
	s := st.(*walkState)
	if ev.C.Zone == nil || ev.Q.Opcode != opcodeQuery {
		return
	}
	if s.steps > 0 && !ev.Src.opened(d.det) && (ev.Src.Queries-s.query > walkGap || ev.Src.Missing-s.between > walkBreak) {
		next, at := s.next, s.at
		s.Reset()
		s.next, s.at = next, at
	}
	base, follows := d.follows(ev, s)
	if ev.Q.Type == typeNSEC && ev.First {
		s.direct++
		follows = true
	}
	if follows {
		d.step(ev, s, base)
	}
	for _, n := range ev.Q.Response.Denials {
		if !n.NSEC3 && len(n.Next) > 0 {
			s.next[s.at&3] = d.e.words.hasher.Name(n.Next)
			s.at++
		}
	}
}

// follows reports whether the question steps to what was disclosed last, and the
// owner name it is built on.
func (d *nsecWalk) follows(ev *Event, s *walkState) (base []byte, ok bool) {
	name := ev.Q.Name
	if ev.C.Depth == 0 {
		return nil, false
	}
	label := firstLabel(name)
	trimmed := d.scratch[:0]
	if c := label[len(label)-1]; len(label) > 1 && (c == 0 || c == '-' || c == '0' || c == label[len(label)-2]) {
		trimmed = append(trimmed, byte(len(label)-1))
		trimmed = append(trimmed, label[:len(label)-1]...)
		trimmed = append(trimmed, name[1+len(label):]...)
	}
	parent := dnsname.Parent(name)
	if s.at > 0 {
		for _, n := range s.next[:min(s.at, 4)] {
			switch {
			case n == ev.C.Hash && ev.First:
				return name, true
			case n == ev.Sfx.Hash[1] && len(label) <= 2:
				return parent, true
			case len(trimmed) > 0 && n == d.e.words.hasher.Name(trimmed):
				return trimmed, true
			}
		}
		return nil, false
	}
	// No denials in this telemetry: the zone's order stands in, for the forms that
	// only a walk uses and for questions that clients do not ask names (DS, NSEC).
	if d.e.cfg.Order == nil || len(ev.Q.Response.Denials) > 0 || ev.On&OnDenial == 0 {
		return nil, false
	}
	base = name
	if len(label) <= 2 && (label[0] == 0 || label[0] == '0') {
		base = parent
	} else if len(trimmed) > 0 {
		base = trimmed
	}
	rank, _, ok := d.e.cfg.Order.Rank(ev.C.Zone, base)
	if !ok {
		return nil, false
	}
	was := s.rank
	s.rank = rank + 1
	return base, was > 0 && (rank+1 == was+1 || rank+1 == was+2)
}

// step counts a step if it goes forward in canonical order.
func (d *nsecWalk) step(ev *Event, s *walkState, base []byte) {
	if base == nil {
		base = ev.Q.Name
	}
	if len(s.last) > 0 {
		// A walk goes forward; it may try several names behind the same owner.
		order := dnsname.Compare(base, s.last)
		if order < 0 || order == 0 && string(base) == string(ev.Q.Name) {
			return
		}
	}
	s.last = append(s.last[:0], base...)
	s.query = ev.Src.Queries
	if !s.mark.set {
		s.missed = ev.Src.Missing
	}
	s.between = ev.Src.Missing
	ev.markOnce(&s.mark)
	s.steps++
	if string(base) != string(ev.Q.Name) || ev.Q.Type == typeNSEC {
		s.forms++
	}
	s.best = max(s.best, s.steps)
	ev.Step = ev.Src.opened(d.det)
	if ev.Step || s.behind(ev) || s.plain(ev) {
		d.e.raise(ev, d.det, s.mark)
	}
}

// behind reports a walk by names right behind the disclosed ones.
func (s *walkState) behind(ev *Event) bool {
	return s.forms >= walkSteps && float64(s.forms) >= walkForms*float64(ev.Src.Missing-s.missed)
}

// plain reports a walk that asks the disclosed names themselves. A resolver that
// answers guesses from cached denials (RFC 8198) and is given a sorted list looks
// so too, hence this counts only for sources that are none.
func (s *walkState) plain(ev *Event) bool {
	return s.steps >= walkSteps && ev.Src.Kind() != picket.SourceResolver &&
		float64(s.steps) >= walkShare*float64(ev.Src.Missing-s.missed)
}

func (d *nsecWalk) Describe(ep *Episode, st State) {
	s := st.(*walkState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.95
	if ep.Zone.Live > 0 && s.best*2 > ep.Zone.Live {
		ep.Severity = picket.SeverityHigh
	}
	ep.Summary = fmt.Sprintf("One source followed the NSEC chain of %s for %d steps: it reads the zone's names one after another.", ep.Zone.Name, s.best)
	ep.Limits = "A signed zone with NSEC discloses its names by design; DNSSEC research and debugging tools also walk."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "steps to the name just disclosed", Value: float64(s.best), Threshold: walkSteps},
		picket.Feature{Name: "questions for the NSEC type", Value: float64(s.direct)},
	)
}
