package input

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
)

// sampleSize is how many records an Inspection shows.
const sampleSize = 3

// Inspection is what Picket makes of one file.
type Inspection struct {
	File      string            `json:"file"`
	Format    string            `json:"format"` // "" when unknown
	Kind      picket.Kind       `json:"kind"`
	Accepted  int64             `json:"accepted"`
	Rejected  int64             `json:"rejected"`
	Reasons   map[string]Reason `json:"reasons"`           // of rejected records
	Skipped   map[string]int64  `json:"skipped,omitempty"` // well-formed, but no telemetry of this kind
	FirstSeen time.Time         `json:"first_seen,omitzero"`
	LastSeen  time.Time         `json:"last_seen,omitzero"`
	Sample    []json.RawMessage `json:"sample"`          // the first three records as Picket's own JSON
	Notes     []string          `json:"notes,omitempty"` // what was assumed, such as a time zone
	Error     string            `json:"error,omitempty"`
}

// Reason counts rejected records, and says where the first was: a line number
// from 1 for text, a byte offset for binary formats.
type Reason struct {
	Count  int64  `json:"count"`
	Line   int64  `json:"line,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
}

// Inspect reads r, a file called name, to its end and says what is in it.
// Offsets and lines are those of the decompressed content.
func Inspect(ctx context.Context, name string, r io.Reader, format string, opt decode.Options) Inspection {
	return InspectBy(name, opt, func(opt decode.Options, acct picket.Accounting, sink picket.Sink) (Format, error) {
		return Decode(ctx, r, format, opt, acct, sink)
	})
}

// InspectBy is Inspect of something that decode knows how to read.
func InspectBy(name string, opt decode.Options, decode func(opt decode.Options, acct picket.Accounting, sink picket.Sink) (Format, error)) Inspection {
	acct := NewCounter()
	in := Inspection{File: name, Reasons: map[string]Reason{}, Sample: []json.RawMessage{}}
	if opt.Name == "" && name != "-" {
		opt.Name = filepath.Base(name)
	}
	opt.Note = func(text string) { in.Notes = append(in.Notes, text) }
	f, err := decode(opt, acct, &sampler{in: &in})
	if err != nil {
		in.Error = err.Error()
	}
	in.Format, in.Kind = f.Name, f.Kind
	s := acct.Snapshot()
	in.Accepted, in.Rejected = s.Accepted, Total(s.Rejected)
	in.FirstSeen, in.LastSeen = s.FirstSeen, s.LastSeen
	for _, c := range s.Rejected {
		reason := Reason{Count: c.Count, Line: c.First.Line}
		if c.First.Line == 0 {
			reason.Offset = &c.First.Offset
		}
		in.Reasons[c.Reason] = reason
	}
	for _, c := range s.Skipped {
		if in.Skipped == nil {
			in.Skipped = map[string]int64{}
		}
		in.Skipped[c.Reason] = c.Count
	}
	return in
}

// sampler keeps the first records.
type sampler struct{ in *Inspection }

// Query implements picket.QuerySink.
func (s *sampler) Query(q *picket.Query) error {
	if len(s.in.Sample) < sampleSize {
		s.in.Sample = append(s.in.Sample, query.AppendNDJSON(nil, q))
	}
	return nil
}

// Record implements picket.RecordSink.
func (s *sampler) Record(r *picket.Record) error { return s.keep(r) }

// Sighting implements picket.SightingSink.
func (s *sampler) Sighting(v *picket.Sighting) error { return s.keep(v) }

// AdminEvent implements picket.AdminEventSink.
func (s *sampler) AdminEvent(e *picket.AdminEvent) error { return s.keep(e) }

// Asset implements picket.AssetSink.
func (s *sampler) Asset(a *picket.Asset) error { return s.keep(a) }

// Signal implements picket.SignalSink.
func (s *sampler) Signal(v *picket.Signal) error { return s.keep(v) }

func (s *sampler) keep(v any) error {
	if len(s.in.Sample) >= sampleSize {
		return nil
	}
	b, err := json.Marshal(v)
	if err == nil {
		s.in.Sample = append(s.in.Sample, b)
	}
	return err
}
