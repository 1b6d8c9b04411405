package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// slowStore keeps the last state of each finding and takes its time.
type slowStore struct {
	mu    sync.Mutex
	last  map[string]int64
	open  map[string]bool
	calls int
}

func (s *slowStore) PutFinding(_ context.Context, f *picket.Finding, open bool) error {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if f.Queries < s.last[f.ID] {
		return fmt.Errorf("%s went back from %d to %d", f.ID, s.last[f.ID], f.Queries)
	}
	s.last[f.ID], s.open[f.ID] = f.Queries, open
	return nil
}

func TestFindingWriterKeepsTheNewestState(t *testing.T) {
	s := &slowStore{last: map[string]int64{}, open: map[string]bool{}}
	w := newFindingWriter(s, func(*picket.Finding) {}, func() string { return "" }, func(err error) { t.Error(err) })
	const findings, states = 300, 50
	for q := range states {
		for i := range findings {
			f := &picket.Finding{ID: fmt.Sprintf("f-%d", i), Queries: int64(q + 1)}
			if err := w.Finding(f, q == states-1); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Close()
	if len(s.last) != findings {
		t.Fatalf("%d findings stored, want %d", len(s.last), findings)
	}
	for id, q := range s.last {
		if q != states || s.open[id] {
			t.Errorf("%s: stored with %d queries, open %v; want %d, closed", id, q, s.open[id], states)
		}
	}
	if s.calls > findings*states/2 {
		t.Errorf("%d writes for %d states: states that nobody saw should have been left out", s.calls, findings*states)
	}
}

func TestFindingWriterMakesWait(t *testing.T) {
	s := &slowStore{last: map[string]int64{}, open: map[string]bool{}}
	w := newFindingWriter(s, func(*picket.Finding) {}, func() string { return "" }, func(err error) { t.Error(err) })
	for i := range 3 * findingsWaiting {
		if err := w.Finding(&picket.Finding{ID: fmt.Sprint(i)}, true); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		n := len(w.pending)
		w.mu.Unlock()
		if n > findingsWaiting {
			t.Fatalf("%d findings wait, want at most %d", n, findingsWaiting)
		}
	}
	w.Close()
	if len(s.last) != 3*findingsWaiting {
		t.Errorf("%d findings stored, want %d", len(s.last), 3*findingsWaiting)
	}
}

// coveredStore keeps what findings say of coverage, in order.
type coveredStore struct {
	mu   sync.Mutex
	said map[string]string
}

func (s *coveredStore) PutFinding(_ context.Context, f *picket.Finding, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[f.ID] = f.Coverage
	return nil
}

func TestFindingKeepsItsFirstStatement(t *testing.T) {
	s := &coveredStore{said: map[string]string{}}
	now := "all is watched"
	w := newFindingWriter(s, func(*picket.Finding) {}, func() string { return now }, func(err error) { t.Error(err) })
	put := func(id string, closed bool) {
		t.Helper()
		if err := w.Finding(&picket.Finding{ID: id}, closed); err != nil {
			t.Fatal(err)
		}
	}
	put("a", false)
	now = "ns2 is silent"
	put("a", false)
	put("b", false)
	if err := w.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	put("a", true)
	w.Close()
	if s.said["a"] != "all is watched" || s.said["b"] != "ns2 is silent" {
		t.Errorf("statements %q", s.said)
	}
	if _, left := w.said["a"]; left || len(w.said) != 1 {
		t.Errorf("%d statements remembered, want that of the open finding alone", len(w.said))
	}
}
