package detect

import (
	"fmt"
	"math"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/sketch"
)

// Parameters of the brute-force test. α is the chance of a false alarm per
// test and β that of a miss (Wald 1945); the shares are those of names that do
// not exist among first contacts, for whoever guesses and for everybody else.
const (
	bruteAlpha     = 1e-6
	bruteBeta      = 0.01
	bruteShare     = 0.9
	bruteBaseStub  = 0.10
	bruteBaseCache = 0.25
	bruteFloor     = -4.6 // ln 0.01: the most credit a good history gives
	bruteMinNames  = 8    // distinct names that do not exist
	bruteMinOther  = 15   // the same when hardly a common host name is among them
	bruteMaxTypos  = 4.0  // evidence that typos can add up to
	bruteMaxRandom = 3.0  // evidence that generated labels can add up to
	bruteRepeat    = 0.05 // credit of a repeated name that exists: a background of 4 % stays silent
	bruteWindow    = 1000 // queries over which a source's own background is fitted
)

// bruteThreshold is ln((1-β)/α).
var bruteThreshold = math.Log((1 - bruteBeta) / bruteAlpha)

// Evidence of one name that does not exist, and of one that does, by what base
// share the source has.
var (
	bruteUpStub, bruteUpCache     = math.Log(bruteShare / bruteBaseStub), math.Log(bruteShare / bruteBaseCache)
	bruteDownStub, bruteDownCache = 0.75 * math.Log((1-bruteShare)/(1-bruteBaseStub)), 0.75 * math.Log((1-bruteShare)/(1-bruteBaseCache))
)

var bruteForceSpec = Spec{
	Name: "brute-force", Techniques: []string{"T1595.003", "T1590.002"}, Levels: "QR",
	On:  OnFirst | OnRepeat,
	New: func(e *Engine) Detector { return &bruteForce{e: e, det: len(e.specs) - 1} },
}

// bruteForce sees one source guess names: a sequential test on its first
// contacts with names. Repeats count slightly against it, because guessing does
// not repeat; what leaks, is mistyped or generated counts little or not at all.
type bruteForce struct {
	e   *Engine
	det int
}

type bruteState struct {
	test          sketch.Sequential
	mark          Mark
	missing       int // in this run
	words         int
	hits          int
	typos, random float64 // evidence added so far
	repeats       int
	wildcard      int
	begun         bool
	base          background
	counted       int64 // of the source's repeats of names that exist, so many are in the sum
}

// background is a source's own share of first contacts with names that do not
// exist, fitted over windows that brought no finding. A window counts once it is
// over, so that what happens now is held against what was.
type background struct {
	from    int64 // the source's queries when the window began
	missing int
	share   float64 // of the windows before, the newest weighing a third
}

// add counts queries up to the source's total and returns the share so far.
func (b *background) add(total int64, missing, quiet bool) float64 {
	if missing {
		b.missing++
	}
	if b.from == 0 || total < b.from {
		b.from, b.missing = total, 0
	}
	if n := total - b.from; n >= bruteWindow {
		if quiet {
			b.share += (float64(b.missing)/float64(n) - b.share) / 3
		}
		b.from, b.missing = total, 0
	}
	return b.share
}

func (s *bruteState) Reset() { *s = bruteState{} }

func (d *bruteForce) NewState() State { return &bruteState{} }

func (d *bruteForce) Observe(ev *Event, st State) {
	s := st.(*bruteState)
	if ev.C.Zone == nil || ev.C.Zone.Reverse || ev.Q.Opcode != opcodeQuery || ev.Step {
		return
	}
	if !s.begun {
		s.begun = true
		s.missing, ev.Src.Early = ev.Src.Early, 0 // once: not again in the next episode
		s.test.Sum = float64(s.missing) * d.prior(ev)
		if s.missing > 0 {
			ev.mark(&s.mark)
		}
	}
	llr := d.weigh(ev, s)
	if n := ev.Src.Repeats - s.counted; n > 0 {
		s.counted = ev.Src.Repeats
		s.test.Step(-float64(n)*(bruteRepeat+2*s.base.share), bruteFloor)
	}
	if llr == 0 {
		return
	}
	begins := s.test.Step(llr, bruteFloor) || llr > 0 && !s.mark.set
	if begins && !ev.Src.opened(d.det) {
		*s = bruteState{test: sketch.Sequential{Sum: s.test.Sum, Max: s.test.Sum}, begun: true, base: s.base, counted: s.counted}
		ev.mark(&s.mark)
	}
	switch {
	case !ev.First:
		s.repeats++
	case ev.Missing:
		s.missing++
		if ev.Class == ClassWord {
			s.words++
		}
		if ev.C.State == picket.StateWildcard {
			s.wildcard++
		}
	case ev.C.State.Exists():
		s.hits++
	}
	need := bruteMinNames
	if s.words*10 < s.missing {
		need = bruteMinOther
	}
	if llr > 0 && (ev.Src.opened(d.det) || s.test.Sum >= bruteThreshold && s.missing >= need) {
		d.e.raise(ev, d.det, s.mark)
	}
}

// prior is the evidence of one name that does not exist, from before there was
// state to classify it.
func (d *bruteForce) prior(ev *Event) float64 {
	if ev.Src.Kind() == picket.SourceDirect && ev.C.State == picket.StateNever {
		return bruteUpStub
	}
	return 0.5 * bruteUpCache
}

// weigh returns the log-likelihood ratio of one event for guessing.
func (d *bruteForce) weigh(ev *Event, s *bruteState) float64 {
	s.base.add(ev.Src.Queries, ev.First && ev.Missing, !ev.Src.opened(d.det))
	up, down := bruteUpCache, bruteDownCache
	if ev.Src.Kind() == picket.SourceDirect {
		up, down = bruteUpStub, bruteDownStub
	}
	if !ev.First {
		if !ev.Recent && ev.Missing { // not the same name with another type, or a retry
			return -0.4
		}
		return 0
	}
	switch ev.C.State {
	case picket.StateNever:
	case picket.StateWildcard:
		if ev.C.WildcardAt < ev.C.ApexAt {
			up *= 0.1 // below a name made for guests, such as a tenant's
		} else {
			up *= 0.5
		}
	case picket.StateUnknown:
		if !ev.C.NX {
			up *= 0.3
		}
	case picket.StateRetired:
		return 0.1
	default:
		return down
	}
	switch ev.Class {
	case ClassWord:
		return up + 0.6
	case ClassTypo:
		return cap2(&s.typos, 0.3, bruteMaxTypos)
	case ClassRandom:
		return cap2(&s.random, 0.3, bruteMaxRandom)
	case ClassLeak, ClassService:
		return 0
	}
	if ev.C.State == picket.StateWildcard || ev.C.State == picket.StateUnknown && !ev.C.NX {
		return up * 0.4
	}
	return up
}

// cap2 returns step until *sum has reached limit, then 0.
func cap2(sum *float64, step, limit float64) float64 {
	if *sum >= limit {
		return 0
	}
	*sum += step
	return step
}

func (d *bruteForce) Describe(ep *Episode, st State) {
	s := st.(*bruteState)
	ep.Severity = picket.SeverityMedium
	if s.hits >= 20 && s.missing >= 200 {
		ep.Severity = picket.SeverityHigh
	}
	ep.Confidence = min(0.75+0.01*(s.test.Max-bruteThreshold), 0.97)
	ep.Summary = fmt.Sprintf("One source asked %d different names that do not exist below %s, %d of them common host names, and found %d that do: it is guessing names.",
		s.missing, ep.Zone.Name, s.words, s.hits)
	ep.Limits = "Guessing names shows interest, not an attack; a misconfigured client or an inventory tool can look alike. What the source learned elsewhere, and names that a cache answered, are not visible."
	ep.Features = append(ep.Features,
		picket.Feature{Name: "log-likelihood ratio of guessing", Value: round2(s.test.Max), Threshold: round2(bruteThreshold)},
		picket.Feature{Name: "names that do not exist, first contacts", Value: float64(s.missing), Threshold: bruteMinNames},
		picket.Feature{Name: "common host names among them", Value: float64(s.words)},
		picket.Feature{Name: "names that exist, first contacts", Value: float64(s.hits)},
		picket.Feature{Name: "answered by a wildcard", Value: float64(s.wildcard)},
		picket.Feature{Name: "repeated names", Value: float64(s.repeats)},
	)
}

func round2(x float64) float64 { return math.Round(x*100) / 100 }
