package web

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// bar is a feature as a bar: Width and Mark are percentages of the full length.
type bar struct {
	Name, Raw        string
	Value, Threshold string // Threshold is "" where the feature only informs
	Times            string // how many times the threshold the value is
	Width, Mark      string
}

// newBars scales each feature by itself: features have different units, so their
// bars compare a value with its threshold and not with one another.
func newBars(in []picket.Feature) []bar {
	bars := make([]bar, len(in))
	for i, f := range in {
		b := bar{Name: sentence(f.Name), Raw: visible(f.Name), Value: measure(f.Value)}
		if f.Threshold > 0 && finite(f.Threshold) {
			value := f.Value
			if !finite(value) || value < 0 {
				value = 0
			}
			full := max(value, f.Threshold) * 1.08
			b.Threshold = measure(f.Threshold)
			b.Width, b.Mark = coord(100*value/full), coord(100*f.Threshold/full)
			if finite(f.Value) && f.Value >= 0 {
				b.Times = measure(round2(f.Value / f.Threshold))
			}
		}
		bars[i] = b
	}
	return bars
}

// timelineBins bounds the bars of a timeline; timelineW and timelineH are its
// size in user units (the SVG stretches to the width of the page).
const (
	timelineBins = 120
	timelineW    = 720.0
	timelineH    = 96.0
)

// timeline is a finding's queries over time.
type timeline struct {
	Bars       []rect
	First, Mid stamp
	Last       stamp
	Step       string // how long a bar is
	Max        string // the tallest bar's count
	Label      string // the whole in one sentence, for the SVG's title
	Rows       []bucketRow
	MoreRows   string
}

type rect struct{ X, Y, W, H string }

type bucketRow struct {
	At      stamp
	Queries string
}

// newTimeline lays out the buckets, added up so that there are at most
// timelineBins bars. It returns nil when there is nothing to draw.
func newTimeline(in []picket.Bucket) *timeline {
	if len(in) == 0 {
		return nil
	}
	b := slices.Clone(in)
	slices.SortFunc(b, func(x, y picket.Bucket) int { return x.Time.Compare(y.Time) })
	first, last := b[0].Time, b[len(b)-1].Time
	step := smallestGap(b)
	if steps := last.Sub(first)/step + 1; steps > timelineBins {
		step *= (steps + timelineBins - 1) / timelineBins
	}
	bins := make([]int64, last.Sub(first)/step+1)
	var total int64
	for _, x := range b {
		n := max(x.Queries, 0)
		bins[x.Time.Sub(first)/step] += n
		total += n
	}
	t := &timeline{
		First: newStamp(first, first), Last: newStamp(last, last),
		Mid:  newStamp(first.Add(last.Sub(first)/2), first),
		Step: span(step), Max: count(slices.Max(bins)),
		Bars: newRects(bins),
	}
	t.Label = fmt.Sprintf("%s from %s to %s, at most %s in %s",
		plural(total, "query", "queries"), t.First.Absolute, t.Last.Absolute, t.Max, t.Step)
	if n := len(b) - bucketsShown; n > 0 {
		b = b[:bucketsShown]
		t.MoreRows = plural(int64(n), "more step is", "more steps are")
	}
	for _, x := range b {
		t.Rows = append(t.Rows, bucketRow{At: newStamp(x.Time, x.Time), Queries: count(x.Queries)})
	}
	return t
}

func newRects(bins []int64) []rect {
	top := float64(max(slices.Max(bins), 1))
	slot := timelineW / float64(max(len(bins), 12)) // a lone bar is a bar, not a wall
	var rects []rect
	for i, n := range bins {
		if n == 0 {
			continue
		}
		h := max(float64(n)/top*(timelineH-4), 1.5) // what happened at all stays visible
		rects = append(rects, rect{X: coord(float64(i) * slot), W: coord(slot * 0.82),
			Y: coord(timelineH - h), H: coord(h)})
	}
	return rects
}

// smallestGap is the step of a timeline: the least time between two buckets, at
// least a second so that no input makes the layout large.
func smallestGap(b []picket.Bucket) time.Duration {
	step := time.Duration(math.MaxInt64)
	for i := 1; i < len(b); i++ {
		if d := b[i].Time.Sub(b[i-1].Time); d > 0 {
			step = min(step, d)
		}
	}
	if step == math.MaxInt64 {
		return time.Minute
	}
	return max(step, time.Second)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// coord writes a coordinate with one decimal.
func coord(v float64) string { return fmt.Sprintf("%.1f", v) }
