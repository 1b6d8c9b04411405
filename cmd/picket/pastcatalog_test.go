package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// fakePast is a recorded past in memory.
type fakePast struct {
	mu       sync.Mutex
	revision int64
	read     int
	zone     string
	living   []string
	past     []string
}

func (f *fakePast) HistoryRevision(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision, nil
}

func (f *fakePast) EachLiving(_ context.Context, each func(zone, name, rrtype string) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read++
	for _, n := range f.living {
		if err := each(f.zone, n, "A"); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakePast) EachPast(_ context.Context, each func(name string, last time.Time) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.past {
		if err := each(n, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakePast) set(revision int64, past ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision, f.past = revision, past
}

func (f *fakePast) reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read
}

func TestCatalogFollowsThePast(t *testing.T) {
	know, err := new(knowledgeOptions).load(1, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	past := &fakePast{zone: "example.com.", living: []string{"example.com.", "www.example.com."}}
	past.set(1, "old.example.com.")
	k := newPastKeeper(know, past, slog.New(slog.DiscardHandler))
	k.every = time.Millisecond
	if err := k.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	retired := func() int {
		zones := know.catalog.Zones()
		if len(zones) != 1 || zones[0].Name != "example.com." || zones[0].Live != 2 {
			t.Fatalf("zones %+v", zones)
		}
		return zones[0].Retired
	}
	if n := retired(); n != 1 {
		t.Errorf("%d retired names, want 1", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { k.run(ctx) })
	past.set(2, "old.example.com.", "older.example.com.", "www.example.com.")
	for end := time.Now().Add(20 * time.Second); retired() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d retired names, want 2", retired())
		}
	}
	cancel()
	running.Wait()
	if n := past.reads(); n != 2 {
		t.Errorf("the past was read %d times, want once for each revision", n)
	}
}
