package coverage

import (
	"math"
	"slices"
	"time"
)

// rate is how many queries there should have been, by hour of the range.
type rate struct {
	basis string
	hours []float64 // those of gaps included
	live  []float64 // those of gaps left out
}

// Bounds of rates.
const (
	lowShare    = 0.5 // of what is expected
	lowExpected = 200
	fewHours    = 3
	manyHours   = 24 // of history make the range's own hours unnecessary
	fewInHour   = 20
)

// rangeHour is an hour of the range.
type rangeHour struct {
	hour   int64
	a, b   int // its steps
	inside float64
}

func (v *view) rangeHours() []rangeHour {
	var list []rangeHour
	for i := 0; i < v.n; {
		h := v.time(i).Unix() / 3600
		j := i
		for j < v.n && v.time(j).Unix()/3600 == h {
			j++
		}
		list = append(list, rangeHour{hour: h, a: i, b: j, inside: min(float64(j-i)*v.step.Hours(), 1)})
		i = j
	}
	return list
}

// live is which part of an hour's steps is judged and in no gap.
func (s *series) live(h rangeHour) float64 {
	n := overlap(h.a, h.b, s.start, s.end)
	for _, g := range s.gaps {
		n -= overlap(max(h.a, s.start), min(h.b, s.end), g.a, g.b)
	}
	return float64(max(n, 0)) / float64(h.b-h.a)
}

// expected says how many queries a series should have had, by the best that can
// be told: the server's own counters, earlier weeks, sibling servers.
func (v *view) expected(k key, s *series, hours []rangeHour) *rate {
	for _, f := range []func(key, *series, []rangeHour) *rate{v.byCounters, v.byHistory, v.bySiblings} {
		r := f(k, s, hours)
		if r == nil {
			continue
		}
		r.live = make([]float64, len(hours))
		for i, h := range hours {
			r.live[i] = r.hours[i] * s.live(h)
		}
		return r
	}
	return nil
}

func (v *view) byCounters(k key, s *series, hours []rangeHour) *rate {
	counts, whole := v.counts[k.server], v.series[key{allZones, k.server}]
	if len(counts) == 0 {
		return nil
	}
	share := 1.0
	switch {
	case whole == nil:
	case whole.seen > 0:
		share = float64(s.seen) / float64(whole.seen)
	case whole.before > 0:
		share = float64(s.before) / float64(whole.before)
	}
	r := &rate{basis: "the server's own counter", hours: make([]float64, len(hours))}
	covered := 0
	for i, h := range hours {
		n, ok := counts[h.hour]
		if ok {
			covered++
		}
		r.hours[i] = float64(n) * share
	}
	if covered*5 < len(hours)*4 {
		return nil
	}
	return r
}

func (v *view) byHistory(_ key, s *series, hours []rangeHour) *rate {
	if s.before == 0 {
		return nil
	}
	r := &rate{basis: "history by hour of week", hours: make([]float64, len(hours))}
	for i, h := range hours {
		mean, ok := v.earlier(s, h.hour, week)
		if !ok {
			return nil
		}
		r.hours[i] = mean * h.inside
	}
	return r
}

// bySiblings scales each sibling by the median of the share between the two, and
// takes the median of what they say.
func (v *view) bySiblings(k key, s *series, hours []rangeHour) *rate {
	if k.zone == allZones {
		return nil
	}
	var say [][]float64
	for _, sib := range v.siblings(k) {
		share, ok := v.share(s, sib, hours)
		if !ok {
			continue
		}
		list := make([]float64, len(hours))
		for i, h := range hours {
			list[i] = share * float64(sum(sib.steps, h.a, h.b))
		}
		say = append(say, list)
	}
	if len(say) == 0 {
		return nil
	}
	r := &rate{basis: "sibling name servers", hours: make([]float64, len(hours))}
	at := make([]float64, len(say))
	for i := range hours {
		for j := range say {
			at[j] = say[j][i]
		}
		slices.Sort(at)
		r.hours[i] = at[(len(at)-1)/2]
	}
	return r
}

// share is the median of how many queries s had for one of sib, by hours.
func (v *view) share(s, sib *series, hours []rangeHour) (float64, bool) {
	var past, now []float64
	first := v.from.Unix() / 3600
	for h, n := range sib.hours {
		if own := s.hours[h]; h < first && n >= fewInHour && own > 0 {
			past = append(past, float64(own)/float64(n))
		}
	}
	list := past
	if len(past) < manyHours {
		for _, h := range hours {
			if n := sum(sib.steps, h.a, h.b); n >= fewInHour && s.live(h) > 0.99 && sib.live(h) > 0.99 {
				now = append(now, float64(sum(s.steps, h.a, h.b))/float64(n))
			}
		}
		list = append(past, now...)
	}
	if len(list) < fewHours {
		return 0, false
	}
	slices.Sort(list)
	return list[len(list)/2], true
}

func total(list []float64) (n float64) {
	for _, x := range list {
		n += x
	}
	return n
}

// low reports whether a series has had much less than it should, outside its
// gaps. One hour full of queries last week must not make this week look low, so
// most hours have to be low.
func (v *view) low(k key, s *series, r *rate, hours []rangeHour) bool {
	live := total(r.live)
	seen := float64(s.seen)
	if live < lowExpected || seen >= lowShare*live || seen+5*math.Sqrt(live) >= live {
		return false
	}
	counted, below := 0, 0
	for i, h := range hours {
		if r.live[i] < 5 {
			continue
		}
		counted++
		if float64(sum(s.steps, h.a, h.b)) < lowShare*r.live[i] {
			below++
		}
	}
	if below*2 <= counted {
		return false
	}
	if r.basis != "history by hour of week" {
		return true
	}
	// Where all servers are asked less than in earlier weeks, less is asked.
	var was, is float64
	for _, sib := range v.siblings(k) {
		if o := v.byHistory(k, sib, hours); o != nil {
			for i, h := range hours {
				was += o.hours[i] * sib.live(h)
			}
			is += float64(sib.seen)
		}
	}
	return was == 0 || is >= 0.7*was
}

// firstLast are the steps of the first and last queries.
func (v *view) firstLast(s *series) (first, last time.Time) {
	for i, n := range s.steps {
		if n > 0 {
			if first.IsZero() {
				first = v.time(i)
			}
			last = v.time(i)
		}
	}
	if s.late > 0 {
		if last = v.to; first.IsZero() {
			first = v.to
		}
	}
	return first, last
}
