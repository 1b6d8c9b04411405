package pickettest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/picket-dns/picket"
)

// IntakeStore is what the conformance tests of intake need of a store.
type IntakeStore interface {
	picket.IntakeKeeper
	picket.QueryAppender
	Inputs(ctx context.Context) ([]picket.InputState, error)
}

// Intake tests a store's account of inputs. open opens the store in a directory;
// reopen closes it, by a crash as far as that can be done in process, and opens
// it again. rows counts stored queries and events.
func Intake[S IntakeStore](t *testing.T, open func(*testing.T) S, reopen func(*testing.T, S) S, rows func(*testing.T, S) (queries, events int)) {
	t.Run("counts, positions and marks", func(t *testing.T) {
		s := open(t)
		in := openInput(t, s, "log", true)
		if other := openInput(t, s, "other", false); other.ID == in.ID || in.ID == 0 {
			t.Fatalf("ids %d and %d", in.ID, other.ID)
		}
		commit(t, s, &picket.IntakeCommit{Input: in.ID, Delivery: 1, Closed: 1,
			Add: picket.InputCounts{Accepted: 5, Rejected: map[string]int64{"bad name": 2}, Skipped: map[string]int64{"comment": 1},
				Dropped: map[string]int64{"queue full": 4}, FirstSeen: 100, LastSeen: 200},
			Positions: map[string][]byte{"a": []byte("1"), "b": []byte("2")},
			Marks:     []picket.DeliveryMark{{Key: "k", Result: []byte(`{"accepted":5}`)}},
		})
		commit(t, s, &picket.IntakeCommit{Input: in.ID, Delivery: 2, Closed: 2,
			Add:       picket.InputCounts{Accepted: 1, Rejected: map[string]int64{"bad name": -1, "bad type": 1}, FirstSeen: 50, LastSeen: 150},
			Positions: map[string][]byte{"a": []byte("3"), "b": nil}})
		for _, when := range []string{"before", "after"} {
			got := openInput(t, s, "log", true)
			want := picket.InputCounts{Accepted: 6, Rejected: map[string]int64{"bad name": 1, "bad type": 1}, Skipped: map[string]int64{"comment": 1},
				Dropped: map[string]int64{"queue full": 4}, FirstSeen: 50, LastSeen: 200}
			if !reflect.DeepEqual(got.Counts, want) || got.ID != in.ID || got.Counts.Received() != 12 {
				t.Errorf("%s: got %+v, want %+v", when, got.Counts, want)
			}
			if len(got.Positions) != 1 || string(got.Positions["a"]) != "3" {
				t.Errorf("%s: positions %q", when, got.Positions)
			}
			if m, err := s.Marked(t.Context(), in.ID, "k"); err != nil || string(m.Result) != `{"accepted":5}` {
				t.Errorf("%s: mark %s, %v", when, m.Result, err)
			}
			if _, err := s.Marked(t.Context(), in.ID, "no"); !errors.Is(err, picket.ErrNotFound) {
				t.Errorf("%s: mark that is not there: %v", when, err)
			}
			s = reopen(t, s)
		}
	})
	t.Run("rows count with their delivery", func(t *testing.T) {
		s := open(t)
		again, once := openInput(t, s, "again", true), openInput(t, s, "once", false)
		at := func(input uint32, delivery int64) {
			appendUnder(t, s, picket.Origin{Input: input, Delivery: delivery})
		}
		at(again.ID, 1) // committed
		at(again.ID, 2) // open at the crash
		at(again.ID, 3) // committed out of order
		at(once.ID, 4)  // open, but cannot be sent again
		at(again.ID, 5) // withdrawn
		commit(t, s, &picket.IntakeCommit{Input: again.ID, Delivery: 1, Closed: 1, Add: picket.InputCounts{Accepted: 3, FirstSeen: 1, LastSeen: 1}})
		commit(t, s, &picket.IntakeCommit{Input: again.ID, Delivery: 3, Closed: 1, Add: picket.InputCounts{Accepted: 3, FirstSeen: 1, LastSeen: 1}})
		if err := s.Withdraw(t.Context(), picket.Origin{Input: again.ID, Delivery: 5}); err != nil {
			t.Fatal(err)
		}
		if q, e := rows(t, s); q != 8 || e != 4 {
			t.Errorf("%d queries and %d events before, want 8 and 4", q, e)
		}
		s = reopen(t, s)
		if q, e := rows(t, s); q != 6 || e != 3 {
			t.Errorf("%d queries and %d events after, want 6 and 3", q, e)
		}
		if got := openInput(t, s, "again", true).Counts.Accepted; got != 6 {
			t.Errorf("accepted %d, want 6", got)
		}
		if got := openInput(t, s, "once", false).Counts.Accepted; got != 3 {
			t.Errorf("accepted %d of what cannot be sent again, want 3", got)
		}
		if n := s.LastDelivery(); n < 4 {
			t.Errorf("last delivery %d", n)
		}
		s = reopen(t, s)
		if q, e := rows(t, s); q != 6 || e != 3 {
			t.Errorf("%d queries and %d events after a second time, want 6 and 3", q, e)
		}
		if got := openInput(t, s, "once", false).Counts.Accepted; got != 3 {
			t.Errorf("accepted %d after a second time, want 3", got)
		}
	})
	t.Run("quarantine", func(t *testing.T) {
		s := open(t)
		in := openInput(t, s, "log", true)
		for i := range 3 {
			commit(t, s, &picket.IntakeCommit{Input: in.ID, Quarantine: []picket.QuarantinedRecord{
				{Stream: "file", Format: "bind-log", Reason: "bad name", Line: int64(i + 1), Record: fmt.Appendf(nil, "line \x00\xff %d", i)}}})
		}
		list := quarantined(t, s, "log", 0)
		if len(list) != 3 || string(list[1].Record) != "line \x00\xff 1" || list[1].Line != 2 || list[1].Input != "log" || list[1].Time.IsZero() {
			t.Fatalf("%+v", list)
		}
		if got := quarantined(t, s, "", list[0].ID); len(got) != 2 {
			t.Errorf("%d after the first", len(got))
		}
		if got := quarantined(t, s, "other", 0); len(got) != 0 {
			t.Errorf("%d of another input", len(got))
		}
		commit(t, s, &picket.IntakeCommit{Input: in.ID, Release: []int64{list[1].ID}})
		if got := quarantined(t, s, "log", 0); len(got) != 2 {
			t.Errorf("%d after one was released", len(got))
		}
		// Bounded: the oldest go.
		many := &picket.IntakeCommit{Input: in.ID}
		for range 10_100 {
			many.Quarantine = append(many.Quarantine, picket.QuarantinedRecord{Reason: "x", Record: []byte("y")})
		}
		commit(t, s, many)
		got, err := s.Quarantined(t.Context(), "log", 0, 1<<20)
		if err != nil || len(got) == 0 || len(got) > 10_000 || got[0].Reason != "x" {
			t.Errorf("%d kept, %v", len(got), err)
		}
	})
}

func openInput[S picket.IntakeKeeper](t *testing.T, s S, name string, again bool) picket.InputState {
	t.Helper()
	st, err := s.OpenInput(t.Context(), name, again)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func commit[S IntakeStore](t *testing.T, s S, k *picket.IntakeCommit) {
	t.Helper()
	if err := s.CommitIntake(t.Context(), k); err != nil {
		t.Fatal(err)
	}
}

func quarantined[S IntakeStore](t *testing.T, s S, input string, after int64) []picket.QuarantinedRecord {
	t.Helper()
	list, err := s.Quarantined(t.Context(), input, after, 0)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// appendUnder stores two queries and one event.
func appendUnder[S IntakeStore](t *testing.T, s S, at picket.Origin) {
	t.Helper()
	q, states, zones, _ := QueryBatch(0, 2)
	if err := s.AppendQueries(t.Context(), q, states, zones, []picket.Origin{at, at}); err != nil {
		t.Fatal(err)
	}
	err := s.AppendEvents(t.Context(), at, []picket.EventRow{{Kind: picket.KindSighting, Time: 1e18, Name: "www.example.org.", Data: []byte(`{"rrname":"www.example.org."}`)}})
	if err != nil {
		t.Fatal(err)
	}
}
