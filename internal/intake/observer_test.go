package intake

import (
	"reflect"
	"testing"

	"github.com/picket-dns/picket"
)

// TestHouseObserve: only what counts is observed, with the input's name.
func TestHouseObserve(t *testing.T) {
	h, d := open(t, newKeeper())
	var got []int64
	h.Observe(func(q *picket.Query, input string) {
		if input != "in" {
			t.Errorf("input %q", input)
		}
		got = append(got, q.Time)
	})
	s := d.Stream(StreamConfig{Skip: picket.InputCounts{Accepted: 2}})
	accept(t, s, 100, 4)
	if want := []int64{102, 103}; !reflect.DeepEqual(got, want) {
		t.Errorf("observed %v, want %v", got, want)
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
}
