package duckdb

import (
	"errors"
	"fmt"
	"testing"

	"github.com/picket-dns/picket"
)

// TestCommitSightings: what comes with a commit counts with it, and what was stored
// early under its delivery counts as no telemetry of its own.
func TestCommitSightings(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	in, err := s.OpenInput(t.Context(), "tap", false)
	if err != nil {
		t.Fatal(err)
	}
	own := func(data string, n int64) []picket.Sighting {
		return []picket.Sighting{{Name: "www.example.org.", Type: "A", Data: []string{data}, Count: n, FirstSeen: hour0, LastSeen: hour0,
			Channel: picket.SightingPassiveDNS, Origin: picket.SightingOwn, SensorID: "tap"}}
	}
	counted := func(what string, rows, want int64) {
		t.Helper()
		if n, count, err := s.CountSightings(t.Context(), picket.SightingFilter{}); err != nil || n != rows || count != want {
			t.Errorf("%s: %d sightings with %d counts, want %d with %d; %v", what, n, count, rows, want, err)
		}
	}
	at := picket.Origin{Input: in.ID, Delivery: 1}
	if err := s.AppendSightings(t.Context(), at, own("192.0.2.1", 3)); err != nil {
		t.Fatal(err)
	}
	counted("before the commit", 0, 0)
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: 1, Closed: 1, Sightings: own("192.0.2.2", 4)}); err != nil {
		t.Fatal(err)
	}
	counted("committed", 2, 7)
	imported := own("192.0.2.4", 1)
	imported[0].Origin = "elsewhere"
	for _, list := range [][]picket.Sighting{own("192.0.2.3", 5), imported} {
		if err := s.AppendSightings(t.Context(), picket.Origin{Input: in.ID, Delivery: 2}, list); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: 2, Closed: 2, Sightings: own("192.0.2.2", 100)}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	s = openTest(t, dir) // the input cannot send again: what it sent is kept, and counted as what it was
	counted("after the crash", 4, 13)
	list, err := s.Inputs(t.Context())
	if err != nil || len(list) != 1 || list[0].Counts.Accepted != 1 {
		t.Errorf("%+v, %v; want the imported one accepted, and none of those made of answers", list, err)
	}
}

// BenchmarkCommitSightings is what a commit costs with the answers of a stream that has
// seen so many different ones since the last: twice a second at most.
func BenchmarkCommitSightings(b *testing.B) {
	for _, n := range []int{0, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := openTest(b, b.TempDir())
			in, err := s.OpenInput(b.Context(), "tap", false)
			if err != nil {
				b.Fatal(err)
			}
			list := make([]picket.Sighting, n)
			for i := range list {
				list[i] = picket.Sighting{Name: fmt.Sprintf("h%d.example.org.", i), Type: "A", Data: []string{"192.0.2.1"}, Count: 9, FirstSeen: hour0, LastSeen: hour0,
					Channel: picket.SightingPassiveDNS, Origin: picket.SightingOwn, SensorID: "tap"}
			}
			for i := 0; b.Loop(); i++ {
				k := picket.IntakeCommit{Input: in.ID, Delivery: int64(i + 1), Closed: int64(i + 1), Add: picket.InputCounts{Accepted: 1}, Sightings: list}
				if err := s.CommitIntake(b.Context(), &k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
