package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// keeper is a store in memory that counts rows as the real ones do.
type keeper struct {
	state   picket.InputState
	rows    map[int64]int // by delivery, committed or not
	counted map[int64]bool
	kept    []picket.QuarantinedRecord
	marks   map[string][]byte
	closed  int64
	fail    error
	commits int
}

func newKeeper() *keeper {
	return &keeper{rows: map[int64]int{}, counted: map[int64]bool{}, marks: map[string][]byte{}, state: picket.InputState{ID: 7, Positions: map[string][]byte{}}}
}

func (k *keeper) OpenInput(context.Context, string, bool) (picket.InputState, error) {
	st := k.state
	st.Counts = st.Counts.Clone()
	return st, nil
}

func (k *keeper) AppendEvents(_ context.Context, at picket.Origin, rows []picket.EventRow) error {
	k.rows[at.Delivery] += len(rows)
	return k.fail
}

func (k *keeper) AppendRecords(_ context.Context, at picket.Origin, rows []picket.Record) error {
	k.rows[at.Delivery] += len(rows)
	return k.fail
}

func (k *keeper) AppendSightings(_ context.Context, at picket.Origin, rows []picket.Sighting) error {
	k.rows[at.Delivery] += len(rows)
	return k.fail
}

func (k *keeper) CommitIntake(_ context.Context, c *picket.IntakeCommit) error {
	if k.fail != nil {
		return k.fail
	}
	k.commits++
	k.counted[c.Delivery] = true
	k.closed = c.Closed
	k.state.Counts.Add(&c.Add)
	k.kept = append(k.kept, c.Quarantine...)
	for stream, p := range c.Positions {
		k.state.Positions[stream] = p
	}
	for _, m := range c.Marks {
		k.marks[m.Key] = m.Result
	}
	return nil
}

func (k *keeper) Withdraw(_ context.Context, at picket.Origin) error {
	delete(k.rows, at.Delivery)
	return nil
}

func (k *keeper) Marked(_ context.Context, _ uint32, key string) (picket.DeliveryMark, error) {
	if r, ok := k.marks[key]; ok {
		return picket.DeliveryMark{Key: key, Result: r}, nil
	}
	return picket.DeliveryMark{}, picket.ErrNotFound
}

// fakeFeed is a way into a pipeline that stores at once.
type fakeFeed struct {
	k  *keeper
	at picket.Origin
}

func (f *fakeFeed) Begin(at picket.Origin) { f.at = at }
func (f *fakeFeed) Query(*picket.Query) error {
	f.k.rows[f.at.Delivery]++
	return nil
}
func (f *fakeFeed) Wait(context.Context) error { return f.k.fail }

func open(t *testing.T, k *keeper) (*House, *Desk) {
	t.Helper()
	h := NewHouse(k, 10, func() Feed { return &fakeFeed{k: k} }, nil)
	d, err := h.Desk(t.Context(), "in", true)
	if err != nil {
		t.Fatal(err)
	}
	return h, d
}

func accept(t *testing.T, s *Stream, from, n int64) {
	t.Helper()
	for i := range n {
		s.Accept(from + i)
		if err := s.Query(&picket.Query{Time: from + i}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStreamCommit(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	s := d.Stream(StreamConfig{Name: "file", Format: "f"})
	accept(t, s, 100, 3)
	s.Reject("bad name", picket.Position{Line: 4, Record: []byte("a..b")})
	s.Skip("comment")
	want := picket.InputCounts{Accepted: 3, Rejected: map[string]int64{"bad name": 1}, Skipped: map[string]int64{"comment": 1}, FirstSeen: 100, LastSeen: 102}
	if got := d.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("before the commit: %+v", got)
	}
	if k.state.Counts.Accepted != 0 {
		t.Error("stored before the commit")
	}
	if err := s.Commit(t.Context(), map[string][]byte{"file": []byte("1")}, picket.DeliveryMark{Key: "k", Result: []byte("r")}); err != nil {
		t.Fatal(err)
	}
	if got := d.Counts(); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(k.state.Counts, want) {
		t.Errorf("after the commit: %+v, stored %+v", got, k.state.Counts)
	}
	if len(k.kept) != 1 || string(k.kept[0].Record) != "a..b" || k.kept[0].Stream != "file" || k.kept[0].Format != "f" || k.kept[0].Line != 4 {
		t.Errorf("kept %+v", k.kept)
	}
	if string(d.Position("file")) != "1" || d.Position("other") != nil {
		t.Errorf("position %q", d.Position("file"))
	}
	if m, err := d.Marked(t.Context(), "k"); err != nil || string(m.Result) != "r" {
		t.Errorf("mark %+v, %v", m, err)
	}
	// The next delivery is another one.
	accept(t, s, 200, 1)
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if k.rows[11] != 3 || k.rows[12] != 1 || k.closed != 12 {
		t.Errorf("rows %v, closed %d", k.rows, k.closed)
	}
	if got := s.Total(); got.Accepted != 4 {
		t.Errorf("total %+v", got)
	}
}

// TestStreamSkip: what was counted by an earlier reading passes, each outcome by itself.
func TestStreamSkip(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	s := d.Stream(StreamConfig{Skip: picket.InputCounts{Accepted: 2, Rejected: map[string]int64{"x": 1}, Skipped: map[string]int64{"y": 1}}})
	s.Skip("y")
	accept(t, s, 1, 2)
	s.Reject("x", picket.Position{Record: []byte("q")})
	if s.Dirty() || len(k.rows) != 0 {
		t.Errorf("dirty %v, rows %v", s.Dirty(), k.rows)
	}
	accept(t, s, 3, 2)
	s.Reject("x", picket.Position{Record: []byte("q")})
	s.Reject("z", picket.Position{})
	s.Skip("y")
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := picket.InputCounts{Accepted: 2, Rejected: map[string]int64{"x": 1, "z": 1}, Skipped: map[string]int64{"y": 1}, FirstSeen: 3, LastSeen: 4}
	if !reflect.DeepEqual(k.state.Counts, want) || k.rows[11] != 2 || len(k.kept) != 1 {
		t.Errorf("stored %+v, rows %v, kept %v", k.state.Counts, k.rows, k.kept)
	}
	if got := s.Total(); got.Accepted != 4 || got.Rejected["x"] != 2 || got.Skipped["y"] != 2 {
		t.Errorf("total %+v", got)
	}
}

// TestDeliveriesClose: a delivery that is open keeps later ones from being closed.
func TestDeliveriesClose(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	a, b := d.Stream(StreamConfig{}), d.Stream(StreamConfig{})
	accept(t, a, 1, 1) // delivery 11
	accept(t, b, 1, 1) // delivery 12
	if err := b.Commit(t.Context(), nil); err != nil || k.closed != 10 {
		t.Errorf("closed %d, %v", k.closed, err)
	}
	if err := a.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, there := k.rows[11]; there {
		t.Error("the rows of an abandoned delivery are still there")
	}
	accept(t, b, 1, 1) // delivery 13
	if err := b.Commit(t.Context(), nil); err != nil || k.closed != 13 {
		t.Errorf("closed %d, %v", k.closed, err)
	}
	if got := d.Counts().Accepted; got != 2 {
		t.Errorf("accepted %d", got)
	}
}

// TestCommitFails: nothing counts that is not stored, and it can be brought again.
func TestCommitFails(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	d.Drop("queue full", 3)
	s := d.Stream(StreamConfig{})
	accept(t, s, 1, 2)
	k.fail = errors.New("disk full")
	if err := s.Commit(t.Context(), map[string][]byte{"f": []byte("1")}); err == nil {
		t.Fatal("no error")
	}
	k.fail = nil
	if err := s.Commit(t.Context(), nil); err == nil {
		t.Error("a stream went on after its commit had failed")
	}
	if err := s.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.Counts(); got.Accepted != 0 || got.Dropped["queue full"] != 3 || d.Position("f") != nil {
		t.Errorf("%+v, position %q", got, d.Position("f"))
	}
	if err := d.Settle(t.Context()); err != nil || k.state.Counts.Dropped["queue full"] != 3 {
		t.Errorf("settled %+v, %v", k.state.Counts, err)
	}
	if err := d.Settle(t.Context()); err != nil || k.commits != 1 {
		t.Errorf("%d commits: settling nothing wrote something", k.commits)
	}
}

func TestEvents(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	s := d.Stream(StreamConfig{})
	for i := range 5000 { // more than are held at once
		s.Accept(0)
		if err := s.Sighting(&picket.Sighting{Name: fmt.Sprintf("n%d.example.", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if k.rows[11] == 0 {
		t.Error("everything is held in memory")
	}
	if err := s.Commit(t.Context(), nil); err != nil || k.rows[11] != 5000 {
		t.Errorf("rows %v, %v", k.rows, err)
	}
	if c := d.Counts(); c.Accepted != 5000 || c.FirstSeen != 0 {
		t.Errorf("%+v", c)
	}
}

func TestBounds(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	s := d.Stream(StreamConfig{})
	for i := range 3000 {
		s.Reject(fmt.Sprint("reason ", i), picket.Position{Record: []byte("x")})
	}
	s.Reject("long", picket.Position{Record: make([]byte, keepRecordSize+1)})
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	c := d.Counts()
	if len(c.Rejected) > maxReasons+1 || c.Received() != 3001 || len(k.kept) != keepRecords {
		t.Errorf("%d reasons, %d received, %d kept", len(c.Rejected), c.Received(), len(k.kept))
	}
}

// TestCutter: a stream that does not end is committed when it falls silent, with
// the place of the last whole record.
func TestCutter(t *testing.T) {
	k := newKeeper()
	_, d := open(t, k)
	s := d.Stream(StreamConfig{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var clean int64
	c := NewCutter(t.Context(), r, s, func(n int64) map[string][]byte { clean = n; return nil })
	if _, err := w.WriteString("one\ntw"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	n, err := c.Read(b)
	if n != 6 || err != nil {
		t.Fatal(n, err)
	}
	accept(t, s, 1, 1)
	c.Unread(2)
	time.AfterFunc(3*commitQuiet, func() { _, _ = w.WriteString("o\n") })
	if n, err = c.Read(b); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if k.state.Counts.Accepted != 1 || clean != 4 {
		t.Errorf("accepted %d, clean %d", k.state.Counts.Accepted, clean)
	}
	// The decoder's own deadline reaches it.
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err = c.Read(b); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestInputCountsSub(t *testing.T) {
	a := picket.InputCounts{Accepted: 5, Rejected: map[string]int64{"x": 3, "y": 1}}
	a.Sub(&picket.InputCounts{Accepted: 2, Rejected: map[string]int64{"x": 1, "y": 1}})
	if want := (picket.InputCounts{Accepted: 3, Rejected: map[string]int64{"x": 2}}); !reflect.DeepEqual(a, want) {
		t.Errorf("%+v", a)
	}
}
