package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// feedSilent is the detector of feeds that have stopped.
const feedSilent = "feed-silent"

// Bounds of what history may say of a feed without expect: how many weeks are
// looked at, how much around the same hour of the week, and the silences that may
// be concluded from it. More than the longest would tell nothing in time.
const (
	feedWeeks     = 4
	feedAround    = time.Hour
	feedShortest  = 2 * time.Minute
	feedLongest   = time.Hour
	feedRelearn   = 10 * time.Minute
	feedStepMost  = 5 * time.Second
	feedStepLeast = 50 * time.Millisecond
)

// feedNow is what one input has brought so far.
type feedNow struct {
	name     string
	server   string // with trailing dot, or ""
	zone     string // when the server has only one
	source   netip.Addr
	accepted int64
	expect   time.Duration // longest normal silence; 0 when history has to tell
}

// feedState is what is known of one feed since the daemon started.
type feedState struct {
	accepted int64
	last     time.Time     // when something was last seen to have come, by the wall clock
	began    bool          // something has come since the start
	usual    time.Duration // what history says; 0 when it says nothing
	weeks    int           // that say so
}

// feedWatch finds feeds that have stopped. It is used by one goroutine.
type feedWatch struct {
	started time.Time
	feeds   map[string]*feedState
	learned time.Time
}

func newFeedWatch(started time.Time) *feedWatch {
	return &feedWatch{started: started, feeds: map[string]*feedState{}}
}

// step is how often the feeds are looked at, for the shortest that any of them expects.
func feedStep(feeds []inputConfig) time.Duration {
	step := feedStepMost
	for _, in := range feeds {
		if in.Expect > 0 {
			step = min(step, in.Expect/8)
		}
	}
	return max(step, feedStepLeast)
}

// look returns the feeds that are silent for longer than is normal of them.
func (w *feedWatch) look(now time.Time, feeds []feedNow) []condition {
	var list []condition
	for _, f := range feeds {
		s := w.feeds[f.name]
		if s == nil {
			s = &feedState{accepted: f.accepted, last: w.started}
			w.feeds[f.name] = s
		}
		if f.accepted != s.accepted {
			s.accepted, s.last, s.began = f.accepted, now, true
		}
		normal, basis, sure := f.expect, "its configuration", 1.0
		if normal == 0 {
			normal, basis, sure = s.usual, fmt.Sprintf("this hour in the last %d weeks", s.weeks), 0.8
		}
		if normal == 0 || now.Sub(s.last) < normal {
			continue
		}
		list = append(list, silentFeed(&f, s, normal, basis, sure))
	}
	return list
}

func silentFeed(f *feedNow, s *feedState, normal time.Duration, basis string, sure float64) condition {
	c := condition{detector: feedSilent, key: f.name, zone: f.zone, since: s.last, sure: sure,
		features: []picket.Feature{{Name: "seconds-of-silence", Value: normal.Seconds(), Threshold: normal.Seconds()}},
		limits:   "Silence does not say why: the sensor, the way to here or the server may have failed, or nobody asked. While it lasts, detectors do not see what this feed would bring."}
	of := ""
	if f.server != "" {
		of = " of " + f.server
	}
	c.summary = fmt.Sprintf("Input %s%s has brought nothing since %s; by %s, %s is the longest normal silence.",
		f.name, of, s.last.UTC().Format("2006-01-02 15:04:05 UTC"), basis, normal)
	if !s.began {
		c.summary = fmt.Sprintf("Input %s%s has brought nothing since Picket started at %s; by %s, %s is the longest normal silence.",
			f.name, of, s.last.UTC().Format("2006-01-02 15:04:05 UTC"), basis, normal)
	}
	if f.source.IsValid() {
		c.source.Prefix = netip.PrefixFrom(f.source, f.source.BitLen()).String()
	}
	return c
}

// learn asks the history how long each feed is silent at this hour of the week.
func (w *feedWatch) learn(ctx context.Context, store interface {
	IntakeSteps(ctx context.Context, from, to time.Time, step time.Duration) ([]picket.IntakeStep, error)
}, now time.Time) error {
	if now.Sub(w.learned) < feedRelearn {
		return nil
	}
	w.learned = now
	silences := map[string][]time.Duration{}
	for week := 1; week <= feedWeeks; week++ {
		at := now.AddDate(0, 0, -7*week)
		from, to := at.Add(-feedAround), at.Add(feedAround)
		steps, err := store.IntakeSteps(ctx, from, to, time.Minute)
		if err != nil {
			return fmt.Errorf("read what inputs brought: %w", err)
		}
		for name, d := range longestSilences(steps, from, to) {
			silences[name] = append(silences[name], d)
		}
	}
	for _, s := range w.feeds {
		s.usual, s.weeks = 0, 0
	}
	for name, list := range silences {
		s := w.feeds[name]
		longest := slices.Max(list)
		// Two weeks make a habit; a feed that is seldom there tells nothing by not coming.
		if s == nil || len(list) < 2 || 2*longest > feedLongest {
			continue
		}
		s.usual, s.weeks = max(2*longest, feedShortest), len(list)
	}
	return nil
}

// longestSilences is how long each input that brought something was silent at most.
func longestSilences(steps []picket.IntakeStep, from, to time.Time) map[string]time.Duration {
	slices.SortFunc(steps, func(a, b picket.IntakeStep) int {
		return cmp.Or(strings.Compare(a.Input, b.Input), a.Start.Compare(b.Start))
	})
	out := map[string]time.Duration{}
	for i := 0; i < len(steps); {
		name, last, some := steps[i].Input, from, false
		for ; i < len(steps) && steps[i].Input == name; i++ {
			if steps[i].Accepted > 0 {
				out[name] = max(out[name], steps[i].Start.Sub(last))
				last, some = steps[i].Start.Add(time.Minute), true
			}
		}
		if some {
			out[name] = max(out[name], to.Sub(last))
		} else {
			delete(out, name)
		}
	}
	return out
}
