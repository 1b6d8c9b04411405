package intake

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/picket-dns/picket"
)

// tally counts queries as if each had an answer of its own.
type tally struct {
	input  string
	seen   []int64
	room   int // asks for a Drain when it has so many
	closed bool
}

func (a *tally) Observe(q *picket.Query) bool {
	a.seen = append(a.seen, q.Time)
	return len(a.seen) >= a.room
}

func (a *tally) Drain() (list []picket.Sighting) {
	for _, t := range a.seen {
		list = append(list, picket.Sighting{Name: a.input, Count: t})
	}
	a.seen = nil
	return list
}

func (a *tally) Close() { a.seen, a.closed = nil, true }

// sightingKeeper remembers what is stored with commits and before them.
type sightingKeeper struct {
	*keeper
	early, counted []int64
}

func (k *sightingKeeper) AppendSightings(_ context.Context, _ picket.Origin, rows []picket.Sighting) error {
	for _, v := range rows {
		k.early = append(k.early, v.Count)
	}
	return nil
}

func (k *sightingKeeper) CommitIntake(ctx context.Context, c *picket.IntakeCommit) error {
	if err := k.keeper.CommitIntake(ctx, c); err != nil {
		return err
	}
	for _, v := range c.Sightings {
		k.counted = append(k.counted, v.Count)
	}
	return nil
}

// TestGather: answers count with the commit of their queries, and go with what does
// not count.
func TestGather(t *testing.T) {
	k := &sightingKeeper{keeper: newKeeper()}
	h := NewHouse(k, 10, func() Feed { return &fakeFeed{k: k.keeper} }, nil)
	d, err := h.Desk(t.Context(), "in", true)
	if err != nil {
		t.Fatal(err)
	}
	var opened []*tally
	h.Gather(func(input string) Answers {
		opened = append(opened, &tally{input: input, room: 3})
		return opened[len(opened)-1]
	})
	feed := func(s *Stream, from, n int64) {
		t.Helper()
		for i := from; i < from+n; i++ {
			s.Accept(i)
			if err := s.Query(&picket.Query{Time: i, Response: picket.Response{Message: []byte{0}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(what string, early, counted []int64) {
		t.Helper()
		if !reflect.DeepEqual(k.early, early) || !reflect.DeepEqual(k.counted, counted) {
			t.Errorf("%s: before commits %v, want %v; with commits %v, want %v", what, k.early, early, k.counted, counted)
		}
	}
	s := d.Stream(StreamConfig{Skip: picket.InputCounts{Accepted: 2}})
	feed(s, 100, 4)
	expect("not committed", nil, nil)
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect("what counted before is left out", nil, []int64{102, 103})
	feed(s, 110, 4)
	expect("no room", []int64{110, 111, 112}, []int64{102, 103})
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect("the rest", []int64{110, 111, 112}, []int64{102, 103, 113})
	s.Close()

	s = d.Stream(StreamConfig{})
	feed(s, 120, 1)
	k.fail = errors.New("disk full")
	if err := s.Commit(t.Context(), nil); err == nil {
		t.Error("committed")
	}
	k.fail = nil
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = d.Stream(StreamConfig{})
	feed(s, 130, 1)
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("abandoned", []int64{110, 111, 112}, []int64{102, 103, 113})
	for _, a := range opened {
		if a.input != "in" || !a.closed || len(a.seen) > 0 {
			t.Errorf("%+v", a)
		}
	}
	if len(opened) != 3 {
		t.Errorf("%d opened, want 3", len(opened))
	}
}

// TestGatherNothing: a stream of queries without answers opens nothing.
func TestGatherNothing(t *testing.T) {
	h, d := open(t, newKeeper())
	h.Gather(func(string) Answers { t.Error("opened"); return &tally{room: 9} })
	s := d.Stream(StreamConfig{})
	accept(t, s, 100, 2)
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
}
