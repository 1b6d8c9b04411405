package duckdb

import (
	"context"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

func TestConformanceIntake(t *testing.T) {
	pickettest.Intake(t,
		func(t *testing.T) *Store { return openTest(t, t.TempDir()) },
		func(t *testing.T, s *Store) *Store {
			dir := s.dir
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openTest(t, dir)
		},
		func(t *testing.T, s *Store) (queries, events int) {
			return count(t, s, "queries_recent"), count(t, s, "events")
		})
}

// TestSealWaitsForDeliveries: an hour is not sealed while rows in it may yet be
// taken back.
func TestSealWaitsForDeliveries(t *testing.T) {
	s := openTest(t, t.TempDir())
	in, err := s.OpenInput(t.Context(), "log", true)
	if err != nil {
		t.Fatal(err)
	}
	put := func(h int, delivery int64) {
		q, states, zones, _ := pickettest.QueryBatch(0, 10)
		origins := make([]picket.Origin, len(q))
		for i := range q {
			q[i].Time = hour0.Add(time.Duration(h) * time.Hour).UnixNano()
			origins[i] = picket.Origin{Input: in.ID, Delivery: delivery}
		}
		if err := s.AppendQueries(context.Background(), q, states, zones, origins); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 1)
	put(1, 2)
	put(1, 3)
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: 1, Closed: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: 3, Closed: 1}); err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(t.Context(), future)
	if err != nil || len(sealed) != 1 || sealed[0].Rows != 10 {
		t.Fatalf("%+v, %v", sealed, err)
	}
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: 2, Closed: 3}); err != nil {
		t.Fatal(err)
	}
	if sealed, err = s.Seal(t.Context(), future); err != nil || len(sealed) != 1 || sealed[0].Rows != 20 {
		t.Fatalf("%+v, %v", sealed, err)
	}
}
