package intake

import (
	"slices"
	"testing"
)

// TestStreams: streams with a position are listed by the beginning of their names, until
// the position is removed.
func TestStreams(t *testing.T) {
	d, err := NewHouse(newKeeper(), 0, nil, nil).Desk(t.Context(), "in", true)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(positions map[string][]byte) {
		t.Helper()
		s := d.Stream(StreamConfig{})
		if err := s.Commit(t.Context(), positions); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	commit(map[string][]byte{"file:b": []byte("1"), "file:a": []byte("1"), "git:a": []byte("1")})
	if got := d.Streams("file:"); !slices.Equal(got, []string{"file:a", "file:b"}) {
		t.Errorf("%q", got)
	}
	commit(map[string][]byte{"file:a": nil})
	if got := d.Streams("file:"); !slices.Equal(got, []string{"file:b"}) {
		t.Errorf("%q", got)
	}
}
