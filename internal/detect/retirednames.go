package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
)

// Start thresholds of retired-names and the window they hold in.
const (
	retiredMin    = 8
	retiredShare  = 0.2  // of the zone's retired names
	retiredBurst  = 12   // enough without the share, when they are dense
	retiredDense  = 0.25 // share of retired names among first contacts
	retiredWindow = 24 * 3600e9
)

var retiredNamesSpec = Spec{
	Name: "retired-names", Techniques: []string{"T1596.001"}, Levels: "QZ",
	On:  OnFirst | OnRepeat,
	New: func(e *Engine) Detector { return &retiredNames{e: e, det: len(e.specs) - 1} },
}

// retiredNames sees one source ask for many names that no longer exist but
// that a passive-DNS database still shows. Old names that keep being replayed
// are repeated, few, and drowned in others; a list is broad and asked once.
type retiredNames struct {
	e   *Engine
	det int
}

type retiredState struct {
	mark                           Mark
	retired, repeats, never, known int
}

func (s *retiredState) Reset() { *s = retiredState{} }

func (d *retiredNames) NewState() State { return &retiredState{} }

func (d *retiredNames) Observe(ev *Event, st State) {
	s := st.(*retiredState)
	if ev.C.Zone == nil || ev.C.Zone.Retired == 0 {
		return
	}
	if s.mark.set && ev.Q.Time-s.mark.Time > retiredWindow && !ev.Src.opened(d.det) {
		s.Reset()
	}
	switch {
	case ev.C.State != picket.StateRetired:
		if s.mark.set && ev.First {
			if ev.Missing && ev.Class.guess() {
				s.never++
			} else if ev.C.State.Exists() {
				s.known++
			}
		}
		return
	case !ev.First:
		if !ev.Recent {
			s.repeats++
		}
		return
	}
	ev.markOnce(&s.mark)
	s.retired++
	if s.retired < retiredMin || s.repeats > s.retired/2 || s.never > s.retired {
		return
	}
	all := float64(s.retired + s.never + s.known)
	if float64(s.retired) >= retiredShare*float64(ev.C.Zone.Retired) ||
		s.retired >= retiredBurst && float64(s.retired) >= retiredDense*all {
		d.e.raise(ev, d.det, s.mark)
	}
}

func (d *retiredNames) Describe(ep *Episode, st State) {
	s := st.(*retiredState)
	ep.Severity, ep.Confidence, ep.Intent = picket.SeverityMedium, 0.85, picket.IntentTargeted
	share := float64(s.retired) / float64(max(ep.Zone.Retired, 1))
	if share >= 0.5 {
		ep.Severity, ep.Confidence = picket.SeverityHigh, 0.93
	}
	ep.Summary = fmt.Sprintf("One source asked %d of the %d retired names of %s, which no longer exist but are remembered by passive-DNS databases: it checks a list from the past.",
		s.retired, ep.Zone.Retired, ep.Zone.Name)
	ep.Limits = "The look-up in a passive-DNS database itself is never visible; an old configuration, bookmark or mail archive can also ask retired names, though rarely so many once each."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "retired names, first contacts", Value: float64(s.retired), Threshold: retiredMin},
		picket.Feature{Name: "share of the zone's retired names", Value: round2(share), Threshold: retiredShare},
		picket.Feature{Name: "retired names asked again later", Value: float64(s.repeats)},
		picket.Feature{Name: "names that never existed", Value: float64(s.never)},
		picket.Feature{Name: "names that exist", Value: float64(s.known)},
	)
}
