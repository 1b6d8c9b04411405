package input

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Sample is what testdata/formats/NAME holds of each format: the one file sample*
// and, in want.json, what becomes of its records.
type formatSample struct {
	Accepted int64           `json:"accepted"`
	Rejected int64           `json:"rejected"`
	Skipped  int64           `json:"skipped"`
	Timezone string          `json:"timezone"`
	Origin   string          `json:"origin"`
	Mapping  *decode.Mapping `json:"mapping"`
	// Syslog are the counts when each line comes as a syslog message, whose time may
	// supply what lines lack; used where ways in are tested.
	Syslog *struct{ Accepted, Rejected int64 } `json:"syslog"`

	path  string
	bytes []byte
}

func (s *formatSample) options(t testing.TB) decode.Options {
	t.Helper()
	opt := options()
	opt.Origin, opt.Mapping = s.Origin, s.Mapping
	if s.Timezone != "" {
		loc, err := time.LoadLocation(s.Timezone)
		if err != nil {
			t.Fatal(err)
		}
		opt.Location = loc
	}
	return opt
}

// sampleOf returns a format's sample; every format has one.
func sampleOf(t testing.TB, name string) *formatSample {
	t.Helper()
	dir := filepath.Join("testdata", "formats", name)
	files, err := filepath.Glob(filepath.Join(dir, "sample*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("format %s: %s must hold one file sample*, and want.json; found %v", name, dir, files)
	}
	s := &formatSample{path: files[0]}
	text, err := os.ReadFile(filepath.Join(dir, "want.json"))
	if err != nil {
		t.Fatalf("format %s: %v", name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		t.Fatalf("format %s: want.json: %v", name, err)
	}
	if s.bytes, err = os.ReadFile(s.path); err != nil {
		t.Fatal(err)
	}
	if s.Accepted < 2 {
		t.Fatalf("format %s: a sample of %d records shows nothing", name, s.Accepted)
	}
	return s
}

// TestFormatSamples: each format is told from all others by its content, counts
// what is in its sample, and shows what it made of it.
func TestFormatSamples(t *testing.T) {
	for _, f := range Formats() {
		t.Run(f.Name, func(t *testing.T) {
			s := sampleOf(t, f.Name)
			format := Auto
			if f.Detect == nil {
				format = f.Name
				if got, ok := Detect(s.bytes); ok {
					t.Errorf("taken for %s", got.Name)
				}
			}
			row := Inspect(context.Background(), filepath.Base(s.path), bytes.NewReader(s.bytes), format, s.options(t))
			if row.Format != f.Name || row.Kind != f.Kind || row.Error != "" {
				t.Errorf("read as %q (%s), error %q", row.Format, row.Kind, row.Error)
			}
			var skipped int64
			for _, n := range row.Skipped {
				skipped += n
			}
			if row.Accepted != s.Accepted || row.Rejected != s.Rejected || skipped != s.Skipped {
				t.Errorf("accepted %d, rejected %d, skipped %d, want %d, %d, %d: %v %v", row.Accepted, row.Rejected, skipped,
					s.Accepted, s.Rejected, s.Skipped, row.Reasons, row.Skipped)
			}
			if len(row.Sample) != min(sampleSize, int(s.Accepted)) {
				t.Errorf("%d records shown", len(row.Sample))
			}
		})
	}
}

// TestFormatRejects: what a text format rejects is handed over as an input of its
// own, that is rejected again for the same reason.
func TestFormatRejects(t *testing.T) {
	for _, f := range Formats() {
		s := sampleOf(t, f.Name)
		if s.Rejected == 0 || f.Shape == ShapeDocument {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			acct := &rejects{Counter: NewCounter()}
			if _, err := Decode(context.Background(), bytes.NewReader(s.bytes), f.Name, s.options(t), acct, &sampler{in: &Inspection{}}); err != nil {
				t.Fatal(err)
			}
			for _, r := range acct.list {
				if r.record == "" {
					t.Errorf("%s: no record given", r.reason)
					continue
				}
				again := &rejects{Counter: NewCounter()}
				if _, err := Decode(context.Background(), strings.NewReader(r.record), f.Name, s.options(t), again, &sampler{in: &Inspection{}}); err != nil {
					t.Fatal(err)
				}
				if len(again.list) != 1 || again.list[0].reason != r.reason || again.Snapshot().Accepted != 0 {
					t.Errorf("%s: %q gives %+v", r.reason, r.record, again.list)
				}
			}
		})
	}
}

type rejected struct{ reason, record string }

// rejects keeps what is rejected.
type rejects struct {
	*Counter
	list []rejected
}

// Reject implements picket.Accounting.
func (r *rejects) Reject(reason string, at picket.Position) {
	r.list = append(r.list, rejected{reason, string(at.Record)})
	r.Counter.Reject(reason, at)
}

// TestFormatOrder: a piece of telemetry is accounted for right before the sink has
// it. Who reads something again relies on that to know what has counted already.
func TestFormatOrder(t *testing.T) {
	for _, f := range Formats() {
		t.Run(f.Name, func(t *testing.T) {
			s := sampleOf(t, f.Name)
			o := &order{t: t, Counter: NewCounter()}
			if err := f.Decode(context.Background(), bytes.NewReader(s.bytes), s.options(t), o, o); err != nil {
				t.Fatal(err)
			}
			if o.accepted != o.taken || o.taken != s.Accepted {
				t.Errorf("%d accepted, %d handed over, want %d of each", o.accepted, o.taken, s.Accepted)
			}
		})
	}
}

// order is an account and a sink that must be told in turn.
type order struct {
	*Counter
	t               *testing.T
	accepted, taken int64
}

// Accept implements picket.Accounting.
func (o *order) Accept(int64) {
	if o.accepted++; o.accepted != o.taken+1 {
		o.t.Errorf("accepted the record number %d after %d were handed over", o.accepted, o.taken)
	}
}

func (o *order) take() error {
	if o.taken++; o.taken != o.accepted {
		o.t.Errorf("handed over the record number %d after %d were accepted", o.taken, o.accepted)
	}
	return nil
}

func (o *order) Query(*picket.Query) error           { return o.take() }
func (o *order) Record(*picket.Record) error         { return o.take() }
func (o *order) Sighting(*picket.Sighting) error     { return o.take() }
func (o *order) AdminEvent(*picket.AdminEvent) error { return o.take() }
func (o *order) Asset(*picket.Asset) error           { return o.take() }
func (o *order) Signal(*picket.Signal) error         { return o.take() }
