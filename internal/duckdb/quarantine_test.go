package duckdb

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/picket-dns/picket"
)

// TestQuarantineReadOnly: what was kept, and every account, can be read of a stopped
// store, and only read.
func TestQuarantineReadOnly(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	for i, name := range []string{"log", "tap", "quiet"} {
		in, err := s.OpenInput(t.Context(), name, true)
		if err != nil {
			t.Fatal(err)
		}
		if name == "quiet" {
			break
		}
		k := &picket.IntakeCommit{Input: in.ID, Positions: map[string][]byte{"file:a": []byte("1"), "file:b": []byte("2")},
			Add: picket.InputCounts{Accepted: 7, Rejected: map[string]int64{"bad name": 3}, Dropped: map[string]int64{"queue full": 2}, FirstSeen: 1, LastSeen: 9}}
		for j := range 3 {
			k.Quarantine = append(k.Quarantine, picket.QuarantinedRecord{
				Stream: "f", Format: "ndjson", Reason: "bad name", Line: int64(j), Offset: 10, Record: bytes.Repeat([]byte{0xff}, 10*(i+1))})
		}
		if err := s.CommitIntake(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, err := OpenReadOnly(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sizes, err := s.QuarantineSizes(t.Context())
	want := map[string]QuarantineSize{"log": {Records: 3, Last: 3}, "tap": {Records: 3, Last: 6}}
	if err != nil || !reflect.DeepEqual(sizes, want) {
		t.Errorf("sizes %v, %v; want %v", sizes, err, want)
	}
	states, err := s.Inputs(t.Context())
	if err != nil || len(states) != 3 || states[0].Counts.Received() != 12 || len(states[0].Positions) != 2 || states[2].Counts.Received() != 0 {
		t.Errorf("inputs %+v, %v", states, err)
	}
	list, err := s.Quarantined(t.Context(), "tap", 4, 0)
	if err != nil || len(list) != 2 || list[0].ID != 5 || list[0].Input != "tap" || len(list[0].Record) != 20 || list[0].Line != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	list, err = s.QuarantinedByID(t.Context(), []int64{6, 99, 2})
	if err != nil || len(list) != 2 || list[0].ID != 2 || list[0].Input != "log" || list[1].ID != 6 {
		t.Errorf("by id: %+v, %v", list, err)
	}
	if list, err = s.QuarantinedByID(t.Context(), nil); err != nil || len(list) != 0 {
		t.Errorf("no ids: %+v, %v", list, err)
	}
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: 1, Release: []int64{1}}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("release of a store open for reading: %v", err)
	}
}

// TestQuarantineRelease: an input releases records of its own, many at once.
func TestQuarantineRelease(t *testing.T) {
	s := openTest(t, t.TempDir())
	for _, name := range []string{"log", "other"} {
		if _, err := s.OpenInput(t.Context(), name, true); err != nil {
			t.Fatal(err)
		}
	}
	k := &picket.IntakeCommit{Input: 1}
	for i := range 1500 {
		k.Quarantine = append(k.Quarantine, picket.QuarantinedRecord{Reason: "x", Record: fmt.Append(nil, i)})
	}
	if err := s.CommitIntake(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for id := range int64(1499) {
		ids = append(ids, id+1)
	}
	for _, step := range []struct {
		input uint32
		left  int64
	}{{2, 1500}, {1, 1}} {
		if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: step.input, Release: ids}); err != nil {
			t.Fatal(err)
		}
		if sizes, err := s.QuarantineSizes(t.Context()); err != nil || sizes["log"].Records != step.left {
			t.Errorf("after a release by input %d: %v, %v; want %d", step.input, sizes, err, step.left)
		}
	}
}
