package coverage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// fields counts what records carry.
type fields struct{ n, client, rcode, flags, response, transport int64 }

func (f *fields) add(a *picket.Activity) {
	f.n += a.Count
	f.client += a.WithClient
	f.rcode += a.WithRcode
	f.flags += a.WithFlags
	f.response += a.WithResponse
	f.transport += a.WithTransport
}

// fewRecords say nothing of what an input carries.
const fewRecords = 20

// missing are the fields that less than half of the records carry.
func (f *fields) missing() []string {
	if f.n < fewRecords {
		return nil
	}
	var list []string
	for _, c := range []struct {
		name string
		n    int64
	}{{"rcode", f.rcode}, {"flags", f.flags}, {"response", f.response}, {"client", f.client}, {"transport", f.transport}} {
		if 2*c.n < f.n {
			list = append(list, c.name)
		}
	}
	return list
}

// inputView is what is known of an input within the range.
type inputView struct {
	picket.SetupInput
	since     time.Time // configured from then on; zero is from before
	status    picket.SourceStatus
	fields    fields
	before    fields    // of the history
	addressed bool      // its records carry the server's address
	last      time.Time // step of the newest record
	accepted  int64
	rejected  int64
	dropped   int64
	lag       time.Duration // how far its newest records may lie back without anything being wrong
	skew      time.Duration
	skewKnown bool
	late      lateness
	lastTaken time.Time // wall clock
}

// lateness is how long after the times that they carry an input's records arrive.
type lateness struct {
	kind      string        // one of the late values
	low, high time.Duration // of nearly all minutes
}

// What is made of records that arrive late. A clock that is wrong makes all of them
// late by the same; what delivers them late does so by more and less.
const (
	lateNot      = ""
	lateClock    = "clock"
	lateDelivery = "delivery" // by turns more and less
	lateGrowing  = "growing"  // delivery that falls behind
	lateUnclear  = "unclear"  // one or the other
)

// Bounds of what is judged as a clock that is wrong.
const (
	maxOffset  = 30 * time.Second
	maxSpread  = 15 * time.Second // of the least delays of minutes, between their 10th and 90th percentile
	clockSure  = 5 * time.Second  // of the delays within and between minutes: what does not vary more is not delivery
	skewSteps  = 3
	leastLag   = 2 * time.Minute
	unknownLag = time.Hour
	greatLag   = 6 * time.Hour
)

// intake judges inputs by what became of their records.
func (v *view) intake() {
	type times struct {
		least, most []int64
		every       []int64
	}
	by := map[string]*times{}
	for _, s := range v.steps {
		in := v.inputs[s.Input]
		if in == nil {
			continue
		}
		in.accepted += s.Accepted
		in.rejected += s.Rejected
		in.dropped += s.Dropped
		t := by[s.Input]
		if t == nil {
			t = &times{}
			by[s.Input] = t
		}
		if s.Accepted == 0 {
			continue
		}
		if !in.lastTaken.IsZero() {
			t.every = append(t.every, int64(s.Start.Sub(in.lastTaken)))
		}
		in.lastTaken = s.Start
		if s.MinDelay != 0 || s.MaxDelay != 0 {
			t.least, t.most = append(t.least, s.MinDelay), append(t.most, s.MaxDelay)
		}
	}
	for name, in := range v.inputs {
		in.lag = unknownLag
		if in.Live {
			in.lag = leastLag
		}
		t := by[name]
		if t == nil {
			continue
		}
		if len(t.every) >= skewSteps {
			in.lag = min(max(leastLag, time.Duration(percentile(t.every, 95)+percentile(t.most, 95))), greatLag)
		}
		if !in.Live || len(t.least) < skewSteps {
			continue
		}
		in.judgeClock(t.least, t.most)
	}
}

// judgeClock tells a clock that is wrong from slow delivery, by the least and the
// greatest delays of minutes, in order of time.
func (in *inputView) judgeClock(least, most []int64) {
	low, mid, high := time.Duration(percentile(least, 10)), time.Duration(percentile(least, 50)), time.Duration(percentile(least, 90))
	within := make([]int64, len(least))
	for i := range least {
		within[i] = most[i] - least[i]
	}
	spread := max(high-low, time.Duration(percentile(within, 50)))
	in.late.low, in.late.high = low, max(high, time.Duration(percentile(most, 90)))
	if high-low > maxSpread { // of a clock nothing can be said
		if mid > maxOffset {
			in.late.kind = lateDelivery
			quarter := max(len(least)/4, 1)
			if first, last := percentile(least[:quarter], 50), percentile(least[len(least)-quarter:], 50); time.Duration(last-first) > maxSpread {
				in.late.kind = lateGrowing
			}
		}
		return
	}
	in.skewKnown = true
	if mid <= maxOffset && mid >= -maxOffset {
		return
	}
	in.skew, in.late.kind = -mid.Round(time.Second), lateClock
	if mid > 0 && spread > clockSure { // what is early is never delivery
		in.skewKnown, in.late.kind = false, lateUnclear
	}
}

// lateNote says of slow delivery that it is that; it is no problem by itself.
func (in *inputView) lateNote() string {
	low, high := in.late.low.Round(time.Second), in.late.high.Round(time.Second)
	switch in.late.kind {
	case lateDelivery:
		return fmt.Sprintf("what input %s brings arrives %s to %s late, by turns: its delivery is slow, and its clock cannot be judged", in.Name, low, high)
	case lateGrowing:
		return fmt.Sprintf("what input %s brings arrives %s to %s late, and ever later: its delivery falls behind, and its clock cannot be judged", in.Name, low, high)
	}
	return ""
}

// percentile of a list, 0 when it is empty.
func percentile(list []int64, p int) int64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return sorted[(len(sorted)-1)*p/100]
}

// inputProblems are those of inputs by themselves; when only one zone is asked
// for, of those that its cells name.
func (a *analysis) inputProblems() {
	for i := range a.setup.Inputs {
		in := a.inputs[a.setup.Inputs[i].Name]
		if a.only != "" && !slices.ContainsFunc(a.cells, func(c picket.CoverageCell) bool { return slices.Contains(c.Inputs, in.Name) }) {
			continue
		}
		add := func(code, format string, args ...any) {
			a.problem(picket.CoverageProblem{Code: code, Server: in.Server, Input: in.Name}, format, args...)
		}
		if in.status.Error != "" {
			add("input-error", "Input %s has failed: %s.", in.Name, strings.TrimSuffix(in.status.Error, "."))
		}
		if m := in.fields.missing(); len(m) > 0 {
			add("field-missing", "Less than half of the records of input %s carry %s.", in.Name, and(m))
		}
		switch {
		case in.late.kind == lateUnclear:
			add("clock-skew", "What input %s brings arrives %s to %s late: its clock is behind or its delivery slow; that cannot be told.",
				in.Name, in.late.low.Round(time.Second), in.late.high.Round(time.Second))
		case in.skew > 0:
			add("clock-skew", "The clock of input %s is %s ahead.", in.Name, in.skew)
		case in.skew < 0:
			add("clock-skew", "The clock of input %s is %s behind: everything arrives late by the same.", in.Name, -in.skew)
		}
		if in.dropped > 0 {
			add("loss", "Input %s has lost %d records before they could be read, beside %d that were taken in.", in.Name, in.dropped, in.accepted)
		}
		if all := in.accepted + in.rejected; in.rejected >= 10 && in.rejected*100 > all {
			add("loss", "Input %s has rejected %d of %d records that could not be read.", in.Name, in.rejected, all)
		}
	}
}

// and joins words as a sentence does.
func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
