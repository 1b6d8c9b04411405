package lab

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// Track is one capture to be replayed: its queries, owned by the track.
type Track struct {
	Name    string
	Queries []picket.Query
	Begin   time.Duration // when the first query is due, from the start of the replay
}

// Query keeps a copy of q. It makes *Track a picket.QuerySink.
func (t *Track) Query(q *picket.Query) error {
	c := *q
	c.Name = slices.Clone(q.Name)
	c.Response.Message, c.Response.Told = nil, nil // nobody reads them after the intake
	c.Response.Owner = slices.Clone(q.Response.Owner)
	c.Response.Authority = slices.Clone(q.Response.Authority)
	c.Response.Denials = nil
	for _, d := range q.Response.Denials {
		c.Response.Denials = append(c.Response.Denials, picket.Denial{NSEC3: d.NSEC3, Owner: slices.Clone(d.Owner), Next: slices.Clone(d.Next)})
	}
	t.Queries = append(t.Queries, c)
	return nil
}

// ReplayOptions say how tracks are replayed.
type ReplayOptions struct {
	Speed float64 // 2 halves all pauses; 0 means 1
	Now   func() time.Time
	// Encode appends the wire form of one query.
	Encode func(dst []byte, q *picket.Query) []byte
	// Started, when set, is told when a track's first query is sent.
	Started func(t *Track)
}

// due is one query with the time at which it is to be sent.
type due struct {
	at    time.Duration
	track *Track
	index int
}

// Replay writes the queries of all tracks to w as if they happened now: each at
// its time within its track, stamped with the clock. It returns how many it wrote.
func Replay(ctx context.Context, w io.Writer, tracks []*Track, o ReplayOptions) (int, error) {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	plan := schedule(tracks, o.Speed)
	start := o.Now()
	var buf []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n, d := range plan {
		if wait := d.at - o.Now().Sub(start); wait > time.Millisecond {
			if err := flush(w, &buf); err != nil {
				return n, err
			}
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return n, ctx.Err()
			case <-timer.C:
			}
		}
		if d.index == 0 && o.Started != nil {
			o.Started(d.track)
		}
		q := d.track.Queries[d.index]
		q.Time = start.Add(d.at).UnixNano()
		buf = o.Encode(buf, &q)
		if len(buf) > 1<<16 {
			if err := flush(w, &buf); err != nil {
				return n, err
			}
		}
	}
	return len(plan), flush(w, &buf)
}

func flush(w io.Writer, buf *[]byte) error {
	if len(*buf) == 0 {
		return nil
	}
	_, err := w.Write(*buf)
	*buf = (*buf)[:0]
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// schedule puts the queries of all tracks in the order of their due times.
func schedule(tracks []*Track, speed float64) []due {
	var plan []due
	for _, t := range tracks {
		for i := range t.Queries {
			since := time.Duration(float64(t.Queries[i].Time-t.Queries[0].Time) / speed)
			plan = append(plan, due{t.Begin + max(since, 0), t, i})
		}
	}
	slices.SortStableFunc(plan, func(a, b due) int { return int(a.at - b.at) })
	return plan
}
