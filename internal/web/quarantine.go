package web

import (
	"context"
	"time"

	"github.com/picket-dns/picket"
)

// Quarantine lists rejected records that are kept, oldest first; input "" lists all
// inputs'.
type Quarantine interface {
	Quarantined(ctx context.Context, input string, after int64, limit int) ([]picket.QuarantinedRecord, error)
}

// Bounds of one answer, and of what is read of the store at once.
const (
	quarantineBytes  = 4 << 20 // of records, when they are asked for
	quarantineAtOnce = 50
)

type quarantineInput struct {
	Input  string `query:"input" maxLength:"1024" doc:"Only records of this input"`
	After  int64  `query:"after" minimum:"0" default:"0" doc:"Only records with a greater id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most this many records"`
	Record bool   `query:"record" default:"false" doc:"With the records' bytes; then an answer may have fewer records, to stay small"`
}

type quarantinedBody struct {
	ID     int64     `json:"id"`
	Input  string    `json:"input"`
	Stream string    `json:"stream,omitempty" doc:"File, object, partition"`
	Format string    `json:"format" doc:"What it was read as"`
	Reason string    `json:"reason" doc:"Why it could not be read"`
	Line   int64     `json:"line,omitempty"`
	Offset int64     `json:"offset,omitempty"`
	Time   time.Time `json:"time" doc:"When it was rejected"`
	Size   int       `json:"size" doc:"Of the record, in bytes"`
	Record []byte    `json:"record,omitempty" doc:"The record's bytes, base64"`
}

type quarantineBody struct {
	Records []quarantinedBody `json:"records" doc:"Oldest first"`
	Next    int64             `json:"next,omitempty" doc:"There may be more: ask again with this as after"`
}

type quarantineOutput struct{ Body quarantineBody }

func (c *Console) apiQuarantine(ctx context.Context, in *quarantineInput) (*quarantineOutput, error) {
	out := &quarantineOutput{quarantineBody{Records: []quarantinedBody{}}}
	if c.quarantine == nil {
		return out, nil
	}
	after, size := in.After, 0
	for len(out.Body.Records) < in.Limit {
		list, err := c.quarantine.Quarantined(ctx, in.Input, after, min(quarantineAtOnce, in.Limit-len(out.Body.Records)))
		if err != nil {
			return nil, c.apiError(err)
		}
		if len(list) == 0 {
			return out, nil
		}
		for _, q := range list {
			b := quarantinedBody{ID: q.ID, Input: q.Input, Stream: q.Stream, Format: q.Format, Reason: q.Reason,
				Line: q.Line, Offset: q.Offset, Time: q.Time, Size: len(q.Record)}
			if in.Record {
				b.Record, size = q.Record, size+len(q.Record)
			}
			out.Body.Records, after = append(out.Body.Records, b), q.ID
			if size >= quarantineBytes {
				out.Body.Next = after
				return out, nil
			}
		}
	}
	out.Body.Next = after
	return out, nil
}
