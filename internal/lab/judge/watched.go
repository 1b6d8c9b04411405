package judge

import (
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// watched is a rule in use in a run.
type watched struct {
	rule    rules.Rule
	counter rules.Counter
	best    map[rules.Key]float64 // of what has not to do with the actor: the highest score
	top     float64               // of the actor's sources
	foundAt int64
}

// keptScores bounds how many scores of others are kept of a run.
const keptScores = 1 << 16

// LeastKept is the score from which on those of others are kept: lower ones say
// nothing about where a rule begins to be wrong.
func LeastKept(r rules.Rule) float64 { return r.Threshold / 8 }

// observe gives a query to the rule. On an address that the actor shares with
// others everything from the actor's first query on counts for the actor: in favour
// of the rule.
func (w *watched) observe(t *trial, q *picket.Query, mine bool) {
	score, key := w.counter.Observe(q)
	if score <= 0 {
		return
	}
	if mine || t.sources[q.Client] {
		w.top = max(w.top, score)
		if score > w.rule.Threshold && w.foundAt == 0 {
			w.foundAt = q.Time
		}
		return
	}
	if score > LeastKept(w.rule) && score > w.best[key] && (len(w.best) < keptScores || w.best[key] > 0) {
		w.best[key] = score
	}
}

func (w *watched) outcome(t *trial) Outcome {
	o := t.blank(w.rule.Name)
	o.Top = w.top
	for _, score := range w.best {
		o.ScoresElsewhere = append(o.ScoresElsewhere, score)
		if score > w.rule.Threshold {
			o.False = append(o.False, w.rule.Name)
		}
	}
	slices.Sort(o.ScoresElsewhere)
	if w.foundAt > 0 {
		o.Noticed = true
		o.Raised = []string{w.rule.Name}
		if t.e.Label == Recon {
			t.credit(&o, w.foundAt)
			o.Attributed = true
		}
	}
	return o
}
