package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// lastFindings keeps the newest state of each finding, as a sink.
type lastFindings struct {
	list   []*picket.Finding
	closed map[string]bool
}

func (l *lastFindings) Finding(f *picket.Finding, closed bool) error {
	if l.closed == nil {
		l.closed = map[string]bool{}
	}
	if _, known := l.closed[f.ID]; !known {
		l.list = append(l.list, f)
	}
	l.closed[f.ID] = closed
	return nil
}

func (l *lastFindings) open() (ids []string) {
	for _, f := range l.list {
		if !l.closed[f.ID] {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

var feedDay = time.Date(2026, 3, 17, 14, 0, 0, 0, time.UTC)

func TestFeedThatStops(t *testing.T) {
	w, sink := newFeedWatch(feedDay), &lastFindings{}
	ops := newOperational(sink)
	feed := feedNow{name: "ns1 log", server: "ns1.example.com.", expect: 30 * time.Second}
	never := feedNow{name: "never"} // nothing is expected of it
	at := func(s int, accepted int64) {
		t.Helper()
		feed.accepted = accepted
		now := feedDay.Add(time.Duration(s) * time.Second)
		if err := ops.hold(now, feedSilent, w.look(now, []feedNow{feed, never})); err != nil {
			t.Fatal(err)
		}
	}
	at(0, 5)
	at(20, 9)
	at(40, 12)
	at(69, 12)
	if len(sink.list) != 0 {
		t.Fatalf("raised after 29 s: %+v", sink.list[0])
	}
	at(70, 12)
	if len(sink.open()) != 1 {
		t.Fatalf("%d findings are open after 30 s of silence, want 1", len(sink.open()))
	}
	f := sink.list[0]
	if f.Detector != "feed-silent" || f.Class != "operational" || f.Severity != picket.SeverityMedium || !f.FirstSeen.Equal(feedDay.Add(40*time.Second)) ||
		f.Summary != "Input ns1 log of ns1.example.com. has brought nothing since 2026-03-17 14:00:40 UTC; by its configuration, 30s is the longest normal silence." {
		t.Errorf("finding %+v", f)
	}
	at(300, 12)
	at(310, 13)
	if len(sink.list) != 1 || len(sink.open()) != 0 {
		t.Errorf("%d findings, %d open after traffic is back; want 1, 0", len(sink.list), len(sink.open()))
	}
	at(341, 13)
	if len(sink.list) != 2 || sink.list[1].ID == f.ID {
		t.Error("a second silence is not another episode")
	}
	if id := operationalID("feed-silent", "ns1 log", feedDay.Add(40*time.Second)); id != f.ID {
		t.Errorf("id %s, want %s: the same episode has the same id", f.ID, id)
	}
}

func TestFeedExpectedThatNeverComes(t *testing.T) {
	w := newFeedWatch(feedDay)
	feeds := []feedNow{{name: "a", expect: time.Minute, accepted: 90}, {name: "b"}}
	if list := w.look(feedDay.Add(59*time.Second), feeds); len(list) != 0 {
		t.Errorf("too early: %+v", list)
	}
	list := w.look(feedDay.Add(60*time.Second), feeds)
	if len(list) != 1 || list[0].key != "a" || !strings.Contains(list[0].summary, "nothing since Picket started at 2026-03-17 14:00:00 UTC") {
		t.Errorf("conditions %+v", list)
	}
}

// fewSteps answers with what came at certain minutes of past weeks.
type fewSteps []picket.IntakeStep

func (s fewSteps) IntakeSteps(_ context.Context, from, to time.Time, _ time.Duration) (list []picket.IntakeStep, _ error) {
	for _, x := range s {
		if !x.Start.Before(from) && x.Start.Before(to) {
			list = append(list, x)
		}
	}
	return list, nil
}

func TestFeedSilentByHistory(t *testing.T) {
	var past fewSteps
	for week := 1; week <= 3; week++ {
		for m := -60; m < 60; m++ {
			at := feedDay.AddDate(0, 0, -7*week).Add(time.Duration(m) * time.Minute)
			if m%3 == 0 { // two minutes of silence at most
				past = append(past, picket.IntakeStep{Start: at, Input: "steady", Accepted: 10})
			}
			if m%40 == 0 {
				past = append(past, picket.IntakeStep{Start: at, Input: "rare", Accepted: 1})
			}
			past = append(past, picket.IntakeStep{Start: at, Input: "broken", Rejected: 1})
			if week == 1 {
				past = append(past, picket.IntakeStep{Start: at, Input: "new", Accepted: 1})
			}
		}
	}
	w := newFeedWatch(feedDay)
	feeds := []feedNow{{name: "steady"}, {name: "rare"}, {name: "broken"}, {name: "new"}}
	w.look(feedDay, feeds)
	if err := w.learn(t.Context(), past, feedDay); err != nil {
		t.Fatal(err)
	}
	if list := w.look(feedDay.Add(3*time.Minute), feeds); len(list) != 0 {
		t.Errorf("after 3 minutes: %+v", list)
	}
	list := w.look(feedDay.Add(30*time.Minute), feeds)
	if len(list) != 1 || list[0].key != "steady" || !strings.Contains(list[0].summary, "by this hour in the last 3 weeks, 4m0s is the longest normal silence") {
		t.Errorf("after 30 minutes: %+v", list)
	}
}

// openStore answers with findings of an earlier run.
type openStore struct{ list []picket.StoredFinding }

func (s openStore) Findings(_ context.Context, f picket.FindingFilter) ([]picket.StoredFinding, int, error) {
	return s.list, len(s.list), nil
}

func (s openStore) Finding(context.Context, string) (*picket.StoredFinding, error) {
	return nil, picket.ErrNotFound
}
func (s openStore) FindingsRevision(context.Context) (int64, error) { return 0, nil }

func TestOperationalFindingIsTakenOverAfterRestart(t *testing.T) {
	first := &lastFindings{}
	c := condition{detector: feedSilent, key: "a", since: feedDay}
	if err := newOperational(first).hold(feedDay, feedSilent, []condition{c}); err != nil {
		t.Fatal(err)
	}
	sink := &lastFindings{}
	ops := newOperational(sink)
	if err := ops.adopt(t.Context(), openStore{[]picket.StoredFinding{{Finding: *first.list[0], Open: true}}}, feedSilent); err != nil {
		t.Fatal(err)
	}
	c.since = feedDay.Add(time.Hour)
	if err := ops.hold(feedDay.Add(time.Hour), feedSilent, []condition{c}); err != nil {
		t.Fatal(err)
	}
	if len(sink.list) != 0 {
		t.Fatal("the silence that goes on was raised a second time")
	}
	if err := ops.hold(feedDay.Add(2*time.Hour), feedSilent, nil); err != nil {
		t.Fatal(err)
	}
	if len(sink.list) != 1 || sink.list[0].ID != first.list[0].ID || !sink.closed[first.list[0].ID] {
		t.Errorf("not closed: %+v", sink)
	}
}
