package judge

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Traffic is all of an experiment's queries as one lab.Stream, which ends when the
// experiment does.
type Traffic struct {
	merged *lab.Merged
	actor  int   // the actor's place among the streams, -1 without one
	over   int64 // after this nothing comes any more; 0 while that is not known
	limit  int64
	latest int64 // of the actor's queries
	tail   int64
	ended  bool
}

// Traffic returns the experiment's queries; it may be asked for once.
func (e *Experiment) Traffic() *Traffic {
	t := &Traffic{actor: -1, tail: int64(e.Tail)}
	if e.Limit > 0 {
		t.limit = e.World.Begin + int64(e.Limit)
	}
	var streams []lab.Stream
	if e.Background != nil {
		streams = append(streams, e.Background)
	}
	if e.Actor != nil {
		t.actor = len(streams)
		streams = append(streams, lab.StreamFunc(func() *picket.Query {
			q := e.Actor.Next()
			if q == nil {
				t.over = max(t.latest+t.tail, 1)
			} else {
				t.latest = q.Time
			}
			return q
		}))
	}
	t.merged = lab.Merge(streams...)
	return t
}

// Next implements lab.Stream.
func (t *Traffic) Next() *picket.Query {
	if t.ended {
		return nil
	}
	q := t.merged.Next()
	if q == nil || t.over > 0 && q.Time > t.over || t.limit > 0 && q.Time > t.limit {
		t.ended = true
		return nil
	}
	return q
}

// Actor reports whether the last query was the actor's.
func (t *Traffic) Actor() bool { return t.actor >= 0 && t.merged.From() == t.actor }
