package judge

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Tally keeps outcomes and sums them up. It may be added to by several goroutines.
type Tally struct {
	mu       sync.Mutex
	outcomes []Outcome
	scores   map[string][]float64 // of each rule, on benign traffic: the highest
}

// mostScores bounds how many of a rule's scores are kept, the highest ones.
const mostScores = 1 << 20

// Add adds the outcomes of a run.
func (t *Tally) Add(list []Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range list {
		o := list[i]
		if o.Label == Benign {
			if t.scores == nil {
				t.scores = map[string][]float64{}
			}
			t.scores[o.Judged] = append(t.scores[o.Judged], o.ScoresElsewhere...)
			if o.Noticed {
				t.scores[o.Judged] = append(t.scores[o.Judged], o.Top)
			}
			if s := t.scores[o.Judged]; len(s) > mostScores {
				slices.SortFunc(s, func(a, b float64) int { return cmp.Compare(b, a) })
				t.scores[o.Judged] = s[:mostScores/2]
			}
		}
		o.ScoresElsewhere = nil
		t.outcomes = append(t.outcomes, o)
	}
}

// Judged lists the judged systems, in the order in which they came.
func (t *Tally) Judged() (names []string) {
	for i := range t.outcomes {
		if !slices.Contains(names, t.outcomes[i].Judged) {
			names = append(names, t.outcomes[i].Judged)
		}
	}
	return names
}

// Values lists the different values of a dimension, in the order in which they came.
func (t *Tally) Values(of func(*Outcome) string, where func(*Outcome) bool) (values []string) {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		if where != nil && !where(o) {
			continue
		}
		if v := of(o); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// Summary is what many runs of one judged system say.
type Summary struct {
	Runs       int
	Found      Share // recon runs found in their class
	Noticed    Share // recon runs on which anything was raised
	Attributed Share // of those found: with a source
	Right      Share // of all that was raised on actors: in the right class
	FloodTold  Share // floods told as floods
	Clean      Share // benign runs in which nothing was raised
	// Queries of the actor at the server until it was found, and how long that took.
	At    []int64
	Delay []time.Duration
	// Shares of its list, and of the true names on it, that were disclosed by then.
	List, Names []float64
	// False alarms on all traffic, that of the recon runs' backgrounds included.
	False   int
	Surveys int // findings that are right about survey projects
	Queries int64
	Days    float64
	Kinds   map[string]int // detectors of the false alarms
}

// Sum sums up the outcomes of one judged system.
func (t *Tally) Sum(judged string, where func(*Outcome) bool) (s Summary) {
	s.Kinds = map[string]int{}
	for i := range t.outcomes {
		o := &t.outcomes[i]
		if o.Judged != judged || where != nil && !where(o) {
			continue
		}
		s.add(o)
	}
	return s
}

func (s *Summary) add(o *Outcome) {
	s.Runs++
	s.Queries += o.Queries
	s.Days += o.Days
	s.False += len(o.False)
	s.Surveys += o.Surveys
	for _, kind := range o.False {
		s.Kinds[kind]++
	}
	switch o.Label {
	case Recon:
		s.Found.Add(o.Found)
		s.Noticed.Add(o.Noticed)
		if o.Found {
			s.Attributed.Add(o.Attributed)
			s.At, s.Delay = append(s.At, o.AtQuery), append(s.Delay, o.Delay)
			if o.Measured {
				s.List, s.Names = append(s.List, o.ListShare), append(s.Names, o.NamesShare)
			}
		}
		accepted := Accepted(o.Cell.Class)
		for _, kind := range o.Raised {
			s.Right.Add(slices.Contains(accepted, kind))
		}
	case Flood:
		s.FloodTold.Add(o.FloodTold)
	default:
		s.Clean.Add(!o.Noticed)
		if o.Noticed {
			s.False += len(o.Raised)
			for _, kind := range o.Raised {
				s.Kinds[kind]++
			}
		}
	}
}

// PerMillion is false alarms per million queries, with the upper bound at 95 %.
func (s *Summary) PerMillion() (rate, bound float64) {
	m := float64(s.Queries) / 1e6
	return float64(s.False) / max(m, 1e-9), RateBound(s.False, m)
}

// PerZoneDay is false alarms per zone and day, with the upper bound at 95 %.
func (s *Summary) PerZoneDay() (rate, bound float64) {
	return float64(s.False) / max(s.Days, 1e-9), RateBound(s.False, s.Days)
}

// AtEqualAlarms returns the threshold at which a rule would have raised so many
// alarms on the benign runs, and the share of recon runs that it finds there. It is
// not below least, since lower scores were not kept.
func (t *Tally) AtEqualAlarms(rule string, alarms int, least float64, where func(*Outcome) bool) (threshold float64, found Share) {
	scores := slices.Clone(t.scores[rule])
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	threshold = least
	if alarms < len(scores) {
		threshold = max(least, scores[alarms])
	}
	for i := range t.outcomes {
		o := &t.outcomes[i]
		if o.Judged == rule && o.Label == Recon && (where == nil || where(o)) {
			found.Add(o.Top > threshold)
		}
	}
	return threshold, found
}

// Outcomes are all outcomes, for those who write them out.
func (t *Tally) Outcomes() []Outcome { return t.outcomes }
