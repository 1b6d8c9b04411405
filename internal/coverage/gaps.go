package coverage

import (
	"math"
	"slices"
	"time"
)

// gap is a run of steps without queries that should not have been.
type gap struct {
	a, b int // steps [a, b)
	why  string
	down bool // picket did not run
	open bool // it reaches the end of what can be judged
	// unsure: it may be usual, which is not known yet.
	unsure bool
}

// Bounds of gaps.
const (
	leastGap  = 2 * time.Minute
	around    = 120 // steps looked at on each side
	leastSide = 10  // fewer steps on a side say nothing
	// unlikely is how improbable a silence must be, over all steps of the range together.
	unlikely = 1e-6
	// jointly is how much more it takes when no other server brought anything either.
	jointly   = 3
	leastBoth = 15 * time.Minute
)

// threshold is how many queries a silence must have lacked: a Poisson count is 0
// with probability exp(-expected).
func (v *view) threshold() float64 {
	return math.Log(1/unlikely) + math.Log(float64(max(v.n, 1)))
}

// findGaps finds the gaps of all series.
func (v *view) findGaps() {
	for _, k := range v.keys() {
		s := v.series[k]
		v.bounds(k, s)
		if s.seen == 0 || k.zone != allZones {
			continue
		}
		v.gapsOf(k, s)
	}
	// Zones by themselves: what the server as a whole lacks is known by now.
	for _, k := range v.keys() {
		s, whole := v.series[k], v.series[key{allZones, k.server}]
		if k.zone == allZones || s.seen == 0 {
			continue
		}
		v.gapsOf(k, s)
		own := slices.DeleteFunc(s.gaps, func(g gap) bool {
			return slices.ContainsFunc(whole.gaps, func(w gap) bool { return overlap(g.a, g.b, w.a, w.b)*2 >= min(g.b-g.a, w.b-w.a) })
		})
		s.gaps = append(slices.Clone(whole.gaps), own...)
		slices.SortFunc(s.gaps, func(a, b gap) int { return a.a - b.a })
	}
}

// keys are the keys of all series, in order.
func (v *view) keys() []key {
	list := make([]key, 0, len(v.series))
	for k := range v.series {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b key) int {
		switch {
		case a == b:
			return 0
		case a.server < b.server || a.server == b.server && a.zone < b.zone:
			return -1
		}
		return 1
	})
	return list
}

// bounds says from when to when a series can be judged: since one of its inputs
// was there, until what has been brought must have come.
func (v *view) bounds(k key, s *series) {
	since, lag := time.Time{}, time.Duration(0)
	for i, in := range v.candidates(k.server) {
		if i == 0 || in.since.Before(since) {
			since = in.since
		}
		lag = max(lag, in.lag)
	}
	since = latest(since, v.born)
	s.start, s.end = v.at(since), v.n
	if end := v.now.Add(-max(lag, leastLag)); end.Before(v.to) {
		s.end = v.at(end)
	}
	if first := slices.IndexFunc(s.steps, func(n int64) bool { return n > 0 }); first > s.start && s.before == 0 && len(v.setups) == 0 {
		s.start = first // nobody knows since when it is to be there
	}
}

func overlap(a, b, c, d int) int { return max(min(b, d)-max(a, c), 0) }

func (v *view) gapsOf(k key, s *series) {
	for a := s.start; a < s.end; a++ {
		if s.steps[a] != 0 {
			continue
		}
		b := a
		for b < s.end && s.steps[b] == 0 {
			b++
		}
		if g := (gap{a: a, b: b, open: b == s.end && s.late+sum(s.steps, b, v.n) == 0}); v.isGap(k, s, &g) {
			if g.open {
				g.b = v.n
			}
			if g.unsure {
				s.unsure = append(s.unsure, g)
			} else {
				s.gaps = append(s.gaps, g)
			}
		}
		a = b
	}
}

// isGap judges a run of empty steps.
func (v *view) isGap(k key, s *series, g *gap) bool {
	for _, d := range v.down {
		if n := overlap(g.a, g.b, v.at(d.From), v.at(d.To)); n*2 >= g.b-g.a && n > 0 {
			g.why, g.down, g.open = "picket was not running", true, false
			return true
		}
	}
	length := time.Duration(g.b-g.a) * v.step
	if expect := v.expect(k.server); expect > 0 {
		g.why = "nothing came for longer than the " + expect.String() + " that are normal"
		return length > expect
	}
	if length < leastGap {
		return false
	}
	need := v.threshold()
	own := s.rate(g.a, g.b) * float64(g.b-g.a)
	if own < need {
		return false
	}
	siblings := v.siblings(k)
	during, beside, mine := int64(0), int64(0), int64(0)
	for _, sib := range siblings {
		during += sum(sib.steps, g.a, g.b)
		beside += sum(sib.steps, g.a-around, g.a) + sum(sib.steps, g.b, g.b+around)
	}
	mine = sum(s.steps, g.a-around, g.a) + sum(s.steps, g.b, g.b+around)
	past, known := v.pastRate(s, g.a, g.b)
	if during > 0 && beside > 0 {
		g.why = "nothing came while other name servers were asked"
		return float64(during)*float64(mine)/float64(beside) >= need/2
	}
	// Nobody else to compare with, or nobody else brought anything.
	if known && past < need/2 {
		return false
	}
	g.unsure = !known
	g.why = "nothing came although it is asked all the time"
	if beside > 0 {
		g.why = "nothing came from any name server"
		return own >= jointly*need && length >= leastBoth
	}
	return true
}

// expect is the longest silence of a server that is normal, 0 when nobody said.
func (v *view) expect(server string) time.Duration {
	var d time.Duration
	for _, in := range v.candidates(server) {
		d = max(d, in.Expect)
	}
	return d
}

// siblings are the series to compare with: for a zone that zone at other servers,
// for a server other servers of its zones.
func (v *view) siblings(k key) []*series {
	zones := map[string]bool{}
	for o := range v.series {
		if o.server == k.server && o.zone != allZones && (k.zone == allZones || o.zone == k.zone) {
			zones[o.zone] = true
		}
	}
	var list []*series
	for _, o := range v.keys() {
		if o.server != k.server && zones[o.zone] && v.series[o].seen > 0 {
			list = append(list, v.series[o])
		}
	}
	return list
}

func sum(steps []int64, a, b int) (n int64) {
	for _, c := range steps[max(a, 0):min(max(b, 0), len(steps))] {
		n += c
	}
	return n
}

// rate is the least number of queries per step that is plausible around a run.
func (s *series) rate(a, b int) float64 {
	before, okBefore := sideRate(s.steps[max(a-around, s.start):a])
	after, okAfter := 0.0, false
	if b < s.end {
		after, okAfter = sideRate(s.steps[b:min(b+around, s.end)])
	}
	switch {
	case okBefore && okAfter:
		return min(before, after)
	case okBefore:
		return before
	case okAfter:
		return after
	}
	return 0
}

// sideRate estimates a rate from below: from how many steps are not empty, or
// from what nine of ten steps reach. Both let a burst count for little.
func sideRate(side []int64) (float64, bool) {
	n := float64(len(side))
	if len(side) < leastSide {
		return 0, false
	}
	k := 0.0
	for _, c := range side {
		if c > 0 {
			k++
		}
	}
	k = max(k-2*math.Sqrt(k*(1-k/n)+1), 0)
	return max(-math.Log(1-k/n), float64(percentile(side, 10))/2), true
}

// What has to have been seen before, until a silence in which nobody else was asked
// either is more than not knowing the habits of who asks.
const (
	leastWeeks = 2 // of the same hour of the week, or else
	leastDays  = 2 // of the same hour on working days, or on days of weekends
)

// pastRate is how many queries there were at least, earlier, in the hours of a run. It
// is not known when there is too little history.
func (v *view) pastRate(s *series, a, b int) (total float64, known bool) {
	for i := a; i < b; {
		h := v.time(i).Unix() / 3600
		j := i
		for j < b && v.time(j).Unix()/3600 == h {
			j++
		}
		least, ok := v.usual(s, h)
		if !ok {
			return 0, false
		}
		total += least * float64(j-i) * v.step.Hours()
		i = j
	}
	return total, true
}

// usual is the least that an hour had before the range, at the same hour of the week
// or, where that is not known for long enough, of days like it. The least of a few is
// a bound for counts that vary more than chance makes them, and lets one quiet day
// be enough to make quiet a habit.
func (v *view) usual(s *series, hour int64) (least float64, known bool) {
	weeks, days, least := 0, 0, math.Inf(1)
	like := math.Inf(1)
	first := v.from.Unix() / 3600
	for h := hour - 24; v.oldest != 0 && h >= v.oldest; h -= 24 {
		if h >= first {
			continue
		}
		n := float64(s.hours[h])
		if (hour-h)%int64(week/time.Hour) == 0 {
			weeks++
			least = min(least, n)
		}
		if weekend(h) == weekend(hour) {
			days++
			like = min(like, n)
		}
	}
	switch {
	case weeks >= leastWeeks:
		return least, true
	case days >= leastDays:
		return like, true
	}
	return 0, false
}

// weekend reports whether a Unix hour is on a Saturday or Sunday in UTC.
func weekend(hour int64) bool {
	d := time.Unix(hour*3600, 0).UTC().Weekday()
	return d == time.Saturday || d == time.Sunday
}

// earlier is the mean of an hour before the range, every so often.
func (v *view) earlier(s *series, hour int64, every time.Duration) (mean float64, ok bool) {
	back, first, n := int64(every/time.Hour), v.from.Unix()/3600, 0
	for h := hour - back; v.oldest != 0 && h >= v.oldest; h -= back {
		if h < first {
			mean += float64(s.hours[h])
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return mean / float64(n), true
}
