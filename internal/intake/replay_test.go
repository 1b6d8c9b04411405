package intake

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/picket-dns/picket"
)

// memory is a Keeper that keeps account, and nothing else.
type memory struct {
	counts picket.InputCounts
	kept   []picket.QuarantinedRecord
	next   int64
	events int
	fail   error
}

func (m *memory) OpenInput(_ context.Context, name string, _ bool) (picket.InputState, error) {
	return picket.InputState{ID: 1, Name: name, Counts: m.counts.Clone(), Positions: map[string][]byte{}}, nil
}

func (m *memory) AppendRecords(_ context.Context, _ picket.Origin, rows []picket.Record) error {
	m.events += len(rows)
	return nil
}

func (m *memory) AppendSightings(_ context.Context, _ picket.Origin, rows []picket.Sighting) error {
	m.events += len(rows)
	return nil
}

func (m *memory) AppendEvents(_ context.Context, _ picket.Origin, rows []picket.EventRow) error {
	m.events += len(rows)
	return nil
}

func (m *memory) CommitIntake(_ context.Context, k *picket.IntakeCommit) error {
	if m.fail != nil {
		return m.fail
	}
	m.counts.Add(&k.Add)
	m.kept = slices.DeleteFunc(m.kept, func(q picket.QuarantinedRecord) bool { return slices.Contains(k.Release, q.ID) })
	for _, q := range k.Quarantine {
		m.next++
		q.ID = m.next
		m.kept = append(m.kept, q)
	}
	return nil
}

func (m *memory) Withdraw(context.Context, picket.Origin) error { return nil }

func (m *memory) Marked(context.Context, uint32, string) (picket.DeliveryMark, error) {
	return picket.DeliveryMark{}, picket.ErrNotFound
}

// rejecting is a desk that has accepted three records and kept one for each reason.
func rejecting(t *testing.T, reasons ...string) (*memory, *Desk) {
	t.Helper()
	m := &memory{}
	d, err := NewHouse(m, 0, nil, nil).Desk(t.Context(), "log", true)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Stream(StreamConfig{Name: "queries.log", Format: "wrong"})
	for range 3 {
		s.Accept(100)
	}
	for i, reason := range reasons {
		s.Reject(reason, picket.Position{Line: int64(10 + i), Offset: 7, Record: []byte(reason)})
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return m, d
}

func wantCounts(t *testing.T, when string, m *memory, d *Desk, accepted int64, rejected, skipped map[string]int64) {
	t.Helper()
	for who, c := range map[string]picket.InputCounts{"store": m.counts, "desk": d.Counts()} {
		if c.Accepted != accepted || !maps.Equal(c.Rejected, rejected) || !maps.Equal(c.Skipped, skipped) {
			t.Errorf("%s, %s: accepted %d, rejected %v, skipped %v; want %d, %v, %v", when, who, c.Accepted, c.Rejected, c.Skipped, accepted, rejected, skipped)
		}
	}
}

// TestReleaseKeepsCounts: what is given up was received, and could not be read.
func TestReleaseKeepsCounts(t *testing.T) {
	m, d := rejecting(t, "bad name", "bad name", "bad time")
	if err := d.Release(t.Context(), m.kept[:2]); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, "after the release", m, d, 3, map[string]int64{"bad name": 2, "bad time": 1}, nil)
	if c := d.Counts(); c.Received() != 6 || len(m.kept) != 1 || m.kept[0].Reason != "bad time" {
		t.Errorf("received %d, kept %+v; want 6 and the last", c.Received(), m.kept)
	}
}

// TestReplay: each of the ways in which a record can end a second time.
func TestReplay(t *testing.T) {
	m, d := rejecting(t, "a", "b", "c", "d", "e")
	list := slices.Clone(m.kept)
	s := d.Stream(StreamConfig{Name: "quarantine"})
	for i, decode := range []func(*Replay) error{
		func(r *Replay) error { // read now; its header does not count
			r.Skip("header")
			r.Accept(50)
			return s.Asset(&picket.Asset{Name: "www.example.org."})
		},
		func(r *Replay) error { // rejected again, for another reason
			r.Skip("header")
			r.Reject("z", picket.Position{Line: 1, Record: []byte("cut out anew")})
			return nil
		},
		func(r *Replay) error { // no telemetry of the kind after all
			r.Skip("header")
			r.Skip("comment")
			return nil
		},
		func(*Replay) error { return errors.New("not this format") },
		func(*Replay) error { return nil },
	} {
		r := s.Replay(list[i], "right")
		r.End(decode(r))
	}
	if err := s.CommitReplay(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	s.Close()
	wantCounts(t, "after the replay", m, d, 4, map[string]int64{"z": 1, "d": 1, reasonNothing: 1}, map[string]int64{"comment": 1})
	if c := d.Counts(); c.Received() != 7 || c.FirstSeen != 50 || c.LastSeen != 100 {
		t.Errorf("%+v, received %d, want 7 from 50 to 100", c, c.Received())
	}
	if m.events != 1 {
		t.Errorf("%d events stored, want 1", m.events)
	}
	var got []string
	for _, q := range m.kept {
		got = append(got, q.Reason+" "+string(q.Record))
		if q.Stream != "queries.log" || q.Line < 11 || q.Offset != 7 || q.Format != "right" {
			t.Errorf("rejected again without the place it came from: %+v", q)
		}
	}
	if want := []string{"z cut out anew", "d d", reasonNothing + " e"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// TestReplayFails: a replay that cannot be stored changes nothing.
func TestReplayFails(t *testing.T) {
	m, d := rejecting(t, "a")
	m.fail = errors.New("disk full")
	s := d.Stream(StreamConfig{Name: "quarantine"})
	r := s.Replay(m.kept[0], "right")
	r.Accept(50)
	r.End(nil)
	if err := s.CommitReplay(t.Context(), m.kept); !errors.Is(err, m.fail) {
		t.Fatal(err)
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, "after the failure", m, d, 3, map[string]int64{"a": 1}, nil)
	if len(m.kept) != 1 {
		t.Errorf("kept %+v", m.kept)
	}
}

// TestManyReasons: a record is kept under the reason it counts under, or a replay
// could not take it out again.
func TestManyReasons(t *testing.T) {
	var reasons []string
	for i := range maxReasons + 5 {
		reasons = append(reasons, string(rune('A'+i)))
	}
	m, d := rejecting(t, reasons...)
	s := d.Stream(StreamConfig{Name: "quarantine"})
	for _, q := range m.kept {
		r := s.Replay(q, "right")
		r.Accept(1)
		r.End(nil)
	}
	if err := s.CommitReplay(t.Context(), m.kept); err != nil {
		t.Fatal(err)
	}
	s.Close()
	wantCounts(t, "after the replay", m, d, 3+maxReasons+5, nil, nil)
}

func TestPortion(t *testing.T) {
	small, large := make([]picket.QuarantinedRecord, 2500), make([]picket.QuarantinedRecord, 200)
	for i := range large {
		large[i].Record = make([]byte, keepRecordSize)
	}
	for _, tt := range []struct {
		list []picket.QuarantinedRecord
		want int
	}{{nil, 0}, {small, keepRecords}, {small[:7], 7}, {large, keepBytes / keepRecordSize}, {large[:1], 1}} {
		if got := Portion(tt.list); got != tt.want {
			t.Errorf("of %d records %d, want %d", len(tt.list), got, tt.want)
		}
	}
}

// TestRefusedQuery: a stream whose queries were not taken cannot be committed,
// whatever its decoder makes of that.
func TestRefusedQuery(t *testing.T) {
	full := errors.New("shard is closed")
	d, err := NewHouse(&memory{}, 0, func() Feed { return refusing{full} }, nil).Desk(t.Context(), "log", true)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Stream(StreamConfig{})
	s.Accept(1)
	if err := s.Query(&picket.Query{}); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), nil); !errors.Is(err, full) {
		t.Errorf("commit: %v", err)
	}
}

type refusing struct{ err error }

func (r refusing) Query(*picket.Query) error { return r.err }
func (refusing) Begin(picket.Origin)         {}
func (refusing) Wait(context.Context) error  { return nil }

// TestSkip: a file is read again from its beginning. What has been counted passes,
// and the total that is stored with the position holds it even when reading ends
// before it was passed.
func TestSkip(t *testing.T) {
	counted := picket.InputCounts{Accepted: 1, Rejected: map[string]int64{"bad date": 2}, Skipped: map[string]int64{"comment": 1}}
	for _, tt := range []struct {
		name  string
		any   bool
		dates bool // the records with dates can be read now
	}{{"as before", false, false}, {"with other options", true, true}, {"with other options that change nothing", true, false}} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memory{}
			d, err := NewHouse(m, 0, nil, nil).Desk(t.Context(), "log", true)
			if err != nil {
				t.Fatal(err)
			}
			s := d.Stream(StreamConfig{Skip: counted, SkipAny: tt.any})
			s.Skip("comment")
			if got := s.Total(); s.Dirty() || got.Received() != 3 || got.Skipped["comment"] != 1 {
				t.Errorf("total %+v in the midst of passing; want %+v", got, counted)
			}
			for range 2 {
				if tt.dates {
					s.Accept(1)
				} else {
					s.Reject("bad date", picket.Position{Record: []byte("x")})
				}
			}
			s.Accept(2)
			if s.Dirty() {
				t.Error("what was counted before counts again")
			}
			s.Accept(3) // new
			s.Skip("comment")
			if err := s.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			wantCounts(t, "at the end", m, d, 1, nil, map[string]int64{"comment": 1})
			if got := s.Total(); got.Received() != 4 || got.Skipped["comment"] != 2 || len(m.kept) != 0 {
				t.Errorf("total %+v, kept %d", got, len(m.kept))
			}
			s.Close()
		})
	}
}
