package pickettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Ledger is a picket.Accounting that keeps everything. The zero value works.
type Ledger struct {
	Accepted          int
	Times             []int64 // of what was accepted
	Rejected, Skipped map[string]int
	Records           []string // bytes of what was rejected
}

// Accept implements picket.Accounting.
func (l *Ledger) Accept(ns int64) { l.Accepted++; l.Times = append(l.Times, ns) }

// Reject implements picket.Accounting.
func (l *Ledger) Reject(reason string, at picket.Position) {
	if l.Rejected == nil {
		l.Rejected = map[string]int{}
	}
	l.Rejected[reason]++
	l.Records = append(l.Records, string(at.Record))
}

// Skip implements picket.Accounting.
func (l *Ledger) Skip(reason string) {
	if l.Skipped == nil {
		l.Skipped = map[string]int{}
	}
	l.Skipped[reason]++
}

// String is the account on one line.
func (l *Ledger) String() string {
	return fmt.Sprintf("%d accepted, rejected %v, skipped %v", l.Accepted, l.Rejected, l.Skipped)
}

// Want compares the account with what was expected.
func (l *Ledger) Want(t testing.TB, accepted int, rejected, skipped map[string]int) {
	t.Helper()
	if want := (&Ledger{Accepted: accepted, Rejected: rejected, Skipped: skipped}).String(); l.String() != want {
		t.Errorf("got  %s\nwant %s", l, want)
	}
}

// Counter is a picket.Accounting for benchmarks: it costs next to nothing.
type Counter struct{ Accepted, Other int }

// Accept implements picket.Accounting.
func (c *Counter) Accept(int64) { c.Accepted++ }

// Reject implements picket.Accounting.
func (c *Counter) Reject(string, picket.Position) { c.Other++ }

// Skip implements picket.Accounting.
func (c *Counter) Skip(string) { c.Other++ }

// FuzzDecoder has a decoder read anything: it may not panic, must account for
// exactly what it hands over, and what it does must not depend on how the bytes
// arrive. What it hands over must be bounded, fit to be written as JSON, and pass
// check. decode reads r to its end.
func FuzzDecoder[T any](f *testing.F, seeds []string, decode func(r io.Reader, acct *Ledger) ([]T, error), check func(t *testing.T, item T)) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, halves Ledger
		items, err := decode(bytes.NewReader(b), &whole)
		if len(items) != whole.Accepted || len(items) > len(b) {
			t.Fatalf("%d accepted, %d handed over, of %d bytes (%v)", whole.Accepted, len(items), len(b), err)
		}
		size := 0
		for _, item := range items {
			check(t, item)
			text, err := json.Marshal(item)
			if err != nil && !strings.Contains(err.Error(), "year outside") {
				t.Fatal(err)
			}
			if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("control character in %q", text)
			}
			size += len(text)
		}
		if size > 4096*(len(b)+1) {
			t.Fatalf("%d bytes made of %d", size, len(b))
		}
		if len(b) >= 1<<14 {
			return
		}
		_, again := decode(iotest.HalfReader(bytes.NewReader(b)), &halves)
		if halves.String() != whole.String() || !slices.Equal(halves.Times, whole.Times) || (again == nil) != (err == nil) {
			t.Fatalf("%v (%v), by halves %v (%v)", &whole, err, &halves, again)
		}
	})
}

// CanonicalNames fails on names that are not written as telemetry has them. Those
// that are empty are missing, which may be.
func CanonicalNames(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if wire, err := dnsname.Parse(name); name != "" && (err != nil || dnsname.String(wire) != name) {
			t.Fatalf("name %q: %v", name, err)
		}
	}
}

// Bounded fails when a decoder allocates more than 8 MiB on 16 MiB that begin with
// lead and are the same letter from there on.
func Bounded(t testing.TB, what, lead string, decode func(r io.Reader)) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	decode(io.MultiReader(strings.NewReader(lead), io.LimitReader(letters{}, 16<<20)))
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%s after %.40q: %d MiB allocated", what, lead, grown>>20)
	}
}

// letters never ends.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}
