package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/sketch"
)

// Start thresholds of ordered-names.
const (
	orderedMin     = 24
	orderedZ       = 6.0
	orderedMissing = 0.3 // share of names that do not exist
	orderedIdle    = 3600e9
)

var orderedNamesSpec = Spec{
	Name: "ordered-names", Techniques: []string{"T1595.003"}, Levels: "Q",
	On:  OnFirst,
	New: func(e *Engine) Detector { return &orderedNames{e: e, det: len(e.specs) - 1} },
}

// orderedNames sees labels that a source asks for the first time come in
// alphabetical order, as most word lists are sorted. It needs no dictionary.
type orderedNames struct {
	e   *Engine
	det int
}

type orderedState struct {
	mark             Mark
	last             [24]byte
	lastLen          int
	n, ascents, miss int
	at               int64
	bestZ            float64
	total            int
}

func (s *orderedState) Reset() { *s = orderedState{} }

func (d *orderedNames) NewState() State { return &orderedState{} }

func (d *orderedNames) Observe(ev *Event, st State) {
	s := st.(*orderedState)
	if ev.C.Zone == nil || ev.C.Zone.Reverse || ev.C.Depth == 0 || ev.On&OnService != 0 || ev.Step {
		return
	}
	if s.at != 0 && ev.Q.Time-s.at > orderedIdle {
		s.Reset()
	}
	s.at = ev.Q.Time
	label := firstLabel(ev.Q.Name)
	label = label[:min(len(label), len(s.last))]
	if s.n == 0 {
		ev.mark(&s.mark)
	} else if string(label) > string(s.last[:s.lastLen]) {
		s.ascents++
	}
	s.lastLen = copy(s.last[:], label)
	s.n++
	s.total++
	if !ev.C.State.Exists() {
		s.miss++
	}
	z := sketch.AscentZ(s.ascents, s.n)
	if s.n >= orderedMin && z > orderedZ && float64(s.miss) >= orderedMissing*float64(s.n) {
		s.bestZ = max(s.bestZ, z)
		d.e.raise(ev, d.det, s.mark)
	}
	if s.n >= 4*orderedMin { // forget slowly, so that a sorted run after a long mix still shows
		s.n, s.ascents, s.miss = s.n/2, s.ascents/2, s.miss/2
		if !ev.Src.opened(d.det) && z < 2 {
			ev.mark(&s.mark)
		}
	}
}

func (d *orderedNames) Describe(ep *Episode, st State) {
	s := st.(*orderedState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.85
	ep.Summary = fmt.Sprintf("One source went through names below %s in alphabetical order (%d names so far): it works from a sorted list.", ep.Zone.Name, s.total)
	ep.Limits = "A sorted list shows a program at work, not its purpose; an inventory or monitoring job can be sorted too."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "z score of ascending first contacts", Value: round2(s.bestZ), Threshold: orderedZ},
		picket.Feature{Name: "names in the run", Value: float64(s.total), Threshold: orderedMin},
	)
}
