package input

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/picket-dns/picket"
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
	Sample    []json.RawMessage `json:"sample"` // the first three records as Picket's own JSON
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
func Inspect(ctx context.Context, name string, r io.Reader, format string, opt query.Options) Inspection {
	acct := NewCounter()
	in := Inspection{File: name, Reasons: map[string]Reason{}, Sample: []json.RawMessage{}}
	sink := picket.QuerySinkFunc(func(q *picket.Query) error {
		if len(in.Sample) < sampleSize {
			in.Sample = append(in.Sample, query.AppendNDJSON(nil, q))
		}
		return nil
	})
	f, err := Decode(ctx, r, format, opt, acct, sink)
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
