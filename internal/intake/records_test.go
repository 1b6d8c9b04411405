package intake

import (
	"context"
	"reflect"
	"testing"

	"github.com/picket-dns/picket"
)

// recordKeeper notes what becomes of records.
type recordKeeper struct {
	*keeper
	records, events int
	observed        *picket.RecordObservation
}

func (k *recordKeeper) AppendRecords(ctx context.Context, at picket.Origin, rows []picket.Record) error {
	k.records += len(rows)
	return k.keeper.AppendRecords(ctx, at, rows)
}

func (k *recordKeeper) AppendEvents(ctx context.Context, at picket.Origin, rows []picket.EventRow) error {
	k.events += len(rows)
	return k.keeper.AppendEvents(ctx, at, rows)
}

func (k *recordKeeper) CommitIntake(ctx context.Context, c *picket.IntakeCommit) error {
	k.observed = c.Records
	return k.keeper.CommitIntake(ctx, c)
}

// TestObserveRecords: a commit takes along what was said of its records, and no more than
// is true of them.
func TestObserveRecords(t *testing.T) {
	whole := picket.RecordObservation{Source: "in", Scope: "f", Whole: true}
	told, partial := whole, whole
	told.Whole, partial.Partial = false, true
	for _, test := range []struct {
		name            string
		do              func(*Stream)
		want            *picket.RecordObservation
		records, events int
	}{
		{"nothing said", func(s *Stream) { put(t, s, "") }, nil, 1, 0},
		{"whole", func(s *Stream) { put(t, s, ""); s.Observe(whole) }, &whole, 1, 0},
		{"empty", func(s *Stream) { s.Observe(whole) }, &whole, 0, 0},
		{"told", func(s *Stream) { put(t, s, ""); put(t, s, picket.ChangeRemove); s.Observe(whole) }, &told, 2, 0},
		{"rejected", func(s *Stream) { put(t, s, ""); s.Reject("bad", picket.Position{}); s.Observe(whole) }, &partial, 1, 0},
		{"incomplete", func(s *Stream) { put(t, s, ""); s.Incomplete(); s.Observe(whole) }, &partial, 1, 0},
		{"planned", func(s *Stream) { s.RecordsAsEvents(true); put(t, s, picket.ChangeAdd) }, nil, 0, 1},
	} {
		k := &recordKeeper{keeper: newKeeper()}
		d, err := NewHouse(k, 0, nil, nil).Desk(t.Context(), "in", true)
		if err != nil {
			t.Fatal(err)
		}
		s := d.Stream(StreamConfig{})
		test.do(s)
		if err := s.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(k.observed, test.want) || k.records != test.records || k.events != test.events {
			t.Errorf("%s: %+v, %d records, %d events", test.name, k.observed, k.records, k.events)
		}
		// The next commit begins anew.
		put(t, s, "")
		if err := s.Commit(t.Context(), nil); err != nil || k.observed != nil {
			t.Errorf("%s: next %+v, %v", test.name, k.observed, err)
		}
		s.Close()
	}
}

func put(t *testing.T, s *Stream, change picket.Change) {
	t.Helper()
	s.Accept(1)
	if err := s.Record(&picket.Record{Name: "a.example.org.", Type: "A", Data: "192.0.2.1", Change: change}); err != nil {
		t.Fatal(err)
	}
}
