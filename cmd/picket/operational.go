package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// condition is something wrong with the watch itself, as long as it lasts.
type condition struct {
	detector string // feed-silent, server-lag, input-error …
	key      string // of what: an input, a server and zone
	zone     string
	source   picket.Source
	since    time.Time
	last     time.Time // when it was last seen; zero: it lasts
	summary  string
	limits   string
	sure     float64
	features []picket.Feature
	told     []string // further evidence, in words
	mark     int      // the finding is said again when this grows
}

// operational makes findings of conditions: each has one finding from when it
// appears until it is gone.
type operational struct {
	sink picket.FindingSink

	mu   sync.Mutex
	open map[[2]string]*openCondition // by detector and key
}

// openCondition is a condition that has a finding.
type openCondition struct {
	finding *picket.Finding
	last    time.Time
	mark    int
}

// operationalKey marks, among what a finding rests on, what it is about.
const operationalKey = "about "

func newOperational(sink picket.FindingSink) *operational {
	return &operational{sink: sink, open: map[[2]string]*openCondition{}}
}

// adopt takes over what an earlier run left open.
func (o *operational) adopt(ctx context.Context, q picket.FindingQuerier, detectors ...string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range detectors {
		list, _, err := q.Findings(ctx, picket.FindingFilter{Detector: d, Limit: 1000})
		if err != nil {
			return fmt.Errorf("read open operational findings: %w", err)
		}
		for i := range list {
			f := &list[i]
			if !f.Open || f.Class != picket.FindingOperational || len(f.Evidence.Telemetry) == 0 {
				continue
			}
			if key, ok := cutAbout(f.Evidence.Telemetry[0]); ok {
				o.open[[2]string{d, key}] = &openCondition{finding: &f.Finding}
			}
		}
	}
	return nil
}

func cutAbout(s string) (string, bool) {
	if len(s) < len(operationalKey) || s[:len(operationalKey)] != operationalKey {
		return "", false
	}
	return s[len(operationalKey):], true
}

// hold compares a detector's conditions with the ones before: new ones are raised,
// those that have grown are said again, those that are gone are closed.
func (o *operational) hold(now time.Time, detector string, list []condition) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var failed error
	say := func(x *openCondition, closed bool) {
		c := *x.finding // the sink keeps it
		c.LastSeen = now
		if !x.last.IsZero() {
			c.LastSeen = x.last.UTC()
		}
		if err := o.sink.Finding(&c, closed); err != nil && failed == nil {
			failed = err
		}
	}
	for key, x := range o.open {
		if key[0] == detector && !slices.ContainsFunc(list, func(c condition) bool { return c.key == key[1] }) {
			delete(o.open, key)
			say(x, true)
		}
	}
	for _, c := range list {
		key := [2]string{detector, c.key}
		x := o.open[key]
		if x == nil {
			x = &openCondition{finding: c.finding(), last: c.last, mark: c.mark}
			o.open[key] = x
			say(x, false)
			continue
		}
		if c.mark == 0 {
			continue // nothing of it grows
		}
		f := c.finding()
		f.ID, f.FirstSeen = x.finding.ID, x.finding.FirstSeen
		x.finding, x.last = f, c.last
		if c.mark > x.mark {
			x.mark = c.mark
			say(x, false)
		}
	}
	return failed
}

// finding is what is said of a condition.
func (c *condition) finding() *picket.Finding {
	if c.source.Kind == "" {
		c.source.Kind = picket.SourceUnknown
	}
	return &picket.Finding{
		ID: operationalID(c.detector, c.key, c.since), Detector: c.detector, Zone: c.zone, Source: c.source,
		FirstSeen: c.since.UTC(), LastSeen: c.since.UTC(), Severity: picket.SeverityMedium, Confidence: c.sure, Intent: picket.IntentUnknown,
		Summary: c.summary, Limits: c.limits, Class: picket.FindingOperational,
		Evidence: picket.Evidence{Features: c.features, Telemetry: append([]string{operationalKey + c.key}, c.told...)},
	}
}

// operationalID is the same for the same episode, over restarts, too.
func operationalID(detector, key string, since time.Time) string {
	h := sha256.New()
	for _, part := range []string{detector, key, strconv.FormatInt(since.UnixNano(), 10)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return "o-" + hex.EncodeToString(h.Sum(nil)[:10])
}
