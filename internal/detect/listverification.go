package detect

import (
	"fmt"

	"github.com/picket-dns/picket"
)

// Start thresholds of list-verification.
const (
	listMin       = 15
	listMinBlind  = 60   // without zone data
	listContained = 0.6  // share of asked names that exist or existed
	listBreadth   = 0.45 // of the zone's current and retired names, or
	listSome      = 0.10 // this when the past shows in the list:
	listPast      = 0.15 // share of retired names among those that exist or existed
	listMinPast   = 8
	listNovel     = 0.5 // share of them that nobody else had asked
	listRepeats   = 0.3 // repeats per name
	listWindow    = 24 * 3600e9
)

var listVerificationSpec = Spec{
	Name: "list-verification", Techniques: []string{"T1596.001", "T1590.002"}, Levels: "QRZ",
	On:  OnFirst | OnRepeat,
	New: func(e *Engine) Detector { return &listVerification{e: e, det: len(e.specs) - 1} },
}

// listVerification sees one source go through names that exist, once each and
// far more broadly than clients do, with few guesses among them: it knew the
// names beforehand, as from passive DNS, certificate transparency or a transfer.
type listVerification struct {
	e   *Engine
	det int
}

type listState struct {
	mark                                Mark
	known, retired, never, novel, again int
	later                               int64 // the source's later repeats when the run began
}

func (s *listState) Reset() { *s = listState{} }

func (d *listVerification) NewState() State { return &listState{} }

func (d *listVerification) Observe(ev *Event, st State) {
	s := st.(*listState)
	if ev.C.Zone == nil || ev.C.Zone.Reverse || ev.C.Depth == 0 || ev.On&OnService != 0 {
		return
	}
	if s.mark.set && ev.Q.Time-s.mark.Time > listWindow && !ev.Src.opened(d.det) {
		s.Reset()
	}
	exists := ev.C.State.Exists() || ev.C.State == picket.StateRetired
	if !s.mark.set {
		s.later = ev.Src.Later
	}
	if !ev.First {
		if ev.C.State == picket.StateRetired && !ev.Recent {
			s.again++
		}
		return
	}
	if !exists {
		if ev.Class.guess() {
			s.never++
		}
		return
	}
	ev.markOnce(&s.mark)
	s.known++
	if ev.C.State == picket.StateRetired {
		s.retired++
	}
	if ev.Novel {
		s.novel++
	}
	if s.broad(ev.C.Zone, ev.Src.Later-s.later+int64(s.again)) {
		d.e.raise(ev, d.det, s.mark)
	}
}

func (s *listState) broad(z *picket.Zone, repeats int64) bool {
	k, all := float64(s.known), float64(z.Live+z.Retired)
	if k < listContained*float64(s.known+s.never) || float64(s.novel) < listNovel*k || float64(repeats) > listRepeats*k {
		return false
	}
	past := s.retired >= listMinPast && float64(s.retired) >= listPast*k
	switch {
	case z.Inferred:
		return s.known >= listMinBlind
	case past:
		return k >= max(listMin, listSome*all)
	}
	return k >= max(2*listMin, listBreadth*all)
}

func (d *listVerification) Describe(ep *Episode, st State) {
	s := st.(*listState)
	ep.Severity, ep.Confidence = picket.SeverityMedium, 0.75
	total := ep.Zone.Live + ep.Zone.Retired
	share := 0.0
	if total > 0 {
		share = float64(s.known) / float64(total)
	}
	if share >= 0.5 {
		ep.Confidence = 0.88
	}
	if s.retired >= retiredMin {
		ep.Intent = picket.IntentTargeted
	}
	contained := float64(s.known) / float64(max(s.known+s.never, 1))
	ep.Summary = fmt.Sprintf("One source asked %d names of %s that exist or existed, once each, and %d that never did: it checks a list it already had.",
		s.known, ep.Zone.Name, s.never)
	ep.Limits = "Where the list came from is not visible; a crawler, a certificate or uptime service, or an inventory of your own can ask as broadly."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "names that exist or existed, first contacts", Value: float64(s.known), Threshold: listMin},
		picket.Feature{Name: "share of asked names that exist or existed", Value: round2(contained), Threshold: listContained},
		picket.Feature{Name: "share of the zone's current and retired names", Value: round2(share), Threshold: listBreadth},
		picket.Feature{Name: "share that nobody else had asked", Value: round2(float64(s.novel) / float64(max(s.known, 1))), Threshold: listNovel},
		picket.Feature{Name: "retired names among them", Value: float64(s.retired)},
	)
}
