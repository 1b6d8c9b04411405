package duckdb

import (
	"errors"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

func TestConformanceCoverage(t *testing.T) {
	pickettest.Coverage(t,
		func(t *testing.T, now func() time.Time) *Store {
			return openTest(t, t.TempDir(), func(o *Options) { o.Now = now })
		},
		func(t *testing.T, s *Store) {
			if _, err := s.Seal(t.Context(), future); err != nil {
				t.Fatal(err)
			}
		})
}

// TestActivityOutlivesSegments: what was there can be told when it is gone, until
// that is forgotten too; a sealing that fails counts nothing.
func TestActivityOutlivesSegments(t *testing.T) {
	s := openTest(t, t.TempDir())
	q, states, zones, _ := pickettest.QueryBatch(0, 1000)
	if err := s.AppendQueries(t.Context(), q, states, zones, nil); err != nil {
		t.Fatal(err)
	}
	from, to := time.Unix(0, q[0].Time).Add(-time.Hour), time.Unix(0, q[0].Time).Add(2*time.Hour)
	check := func(when string, want int64) {
		t.Helper()
		list, err := s.Activity(t.Context(), from, to, time.Hour)
		var n int64
		for _, a := range list {
			n += a.Count
		}
		if err != nil || n != want {
			t.Errorf("%s: %d queries, want %d; %v", when, n, want, err)
		}
	}
	check("before", 1000)
	for _, step := range []string{"planned", "exported", "synced", "renamed"} {
		s.failAt = func(at string) error {
			if at == step {
				return errors.New("injected")
			}
			return nil
		}
		if _, err := s.Seal(t.Context(), future); err == nil {
			t.Fatalf("sealing did not fail at %s", step)
		}
		check("failed when "+step, 1000)
	}
	s.failAt = nil
	if _, err := s.Seal(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	check("sealed", 1000)
	if _, err := s.Retain(t.Context(), KeptQueries, future); err != nil {
		t.Fatal(err)
	}
	check("segments removed", 1000)
	if x, err := s.Expire(t.Context(), KeptActivity, future); err != nil || x.Rows == 0 {
		t.Fatal(x, err)
	}
	check("expired", 0)
}

// BenchmarkCommitIntake is what a commit costs, with the account of its minute.
func BenchmarkCommitIntake(b *testing.B) {
	s := openTest(b, b.TempDir())
	in, err := s.OpenInput(b.Context(), "log", true)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		k := picket.IntakeCommit{Input: in.ID, Delivery: int64(i + 1), Closed: int64(i + 1), Delay: 5, Add: picket.InputCounts{Accepted: 1}}
		if err := s.CommitIntake(b.Context(), &k); err != nil {
			b.Fatal(err)
		}
	}
}
