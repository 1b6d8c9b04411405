package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// sealedKinds are the kinds that the table events holds and whose days are sealed.
// They are filed by the day on which they were received: an inventory tells of years
// ago, and nothing comes late for a day of reception.
var sealedKinds = [...]string{KeptAdminEvents, KeptAssets, KeptSignals}

// eventTime is the time of an event: when it happened, else when it was received.
const eventTime = `coalesce(time, received)`

// eventDay selects the rows of events that go into a segment.
const eventDay = ` WHERE kind = ? AND received >= make_timestamp_ns(?) AND received < make_timestamp_ns(?)`

// sealEvents moves each kind's days that ended the grace before now into segments.
func (s *Store) sealEvents(ctx context.Context, now time.Time) (sealed []Segment, err error) {
	end := now.Add(-s.opt.SealGrace).UTC().Truncate(segmentDay)
	for _, kind := range sealedKinds {
		days, err := s.fullDays(ctx, kind, end)
		if err != nil {
			return sealed, fmt.Errorf("find full days of %s: %w", kind, s.closed(err))
		}
		for _, day := range days {
			g, err := s.sealDay(ctx, kind, day)
			if err != nil {
				return sealed, fmt.Errorf("%s of %s: %w", kind, day.Format(time.DateOnly), err)
			}
			sealed = append(sealed, g)
			s.opt.Log.Info("sealed events", "segment", g.Path, "rows", g.Rows, "bytes", g.Bytes)
		}
	}
	return sealed, nil
}

// fullDays returns the days with rows to be sealed. A day waits for deliveries that
// are not committed.
func (s *Store) fullDays(ctx context.Context, kind string, end time.Time) (days []time.Time, err error) {
	err = each(ctx, s.db, `SELECT epoch_ns(received) // ? AS day FROM events WHERE kind = ? AND received < make_timestamp_ns(?)
		GROUP BY day HAVING NOT bool_or(`+uncommitted+`) ORDER BY day`, []any{int64(segmentDay), kind, nanos(end)}, func(r *sql.Rows) error {
		var d int64
		err := r.Scan(&d)
		days = append(days, utc(d*int64(segmentDay)))
		return err
	})
	return days, err
}

func (s *Store) sealDay(ctx context.Context, kind string, day time.Time) (g Segment, err error) {
	g.Kind, g.Hour = kind, day
	from, to := day.UnixNano(), day.Add(segmentDay).UnixNano()
	export := func(name string) error {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return err
		}
		var first, last int64
		err := s.db.QueryRowContext(ctx, `SELECT count(*), epoch_ns(min(`+eventTime+`)), epoch_ns(max(`+eventTime+`)) FROM events`+eventDay,
			kind, from, to).Scan(&g.Rows, &first, &last)
		if err != nil {
			return fmt.Errorf("count rows: %w", err)
		}
		g.MinTime, g.MaxTime = utc(first), utc(last)
		// COPY takes no parameters; these are numbers and one of our own words.
		where := fmt.Sprintf(` WHERE kind = %s AND received >= make_timestamp_ns(%d) AND received < make_timestamp_ns(%d)`, quote(kind), from, to)
		_, err = s.db.ExecContext(ctx, `COPY (SELECT received, time, input, name, data::VARCHAR AS data FROM events`+where+` ORDER BY `+eventTime+`)
			TO `+quote(name)+` (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536, USE_TMP_FILE false, KV_METADATA {picket_segment: '1'})`)
		return err
	}
	record := func() error {
		return s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
			res, err := c.ExecContext(ctx, `DELETE FROM events`+eventDay, kind, from, to)
			if err != nil {
				return err
			}
			// A clock that was set back may have brought more; then nothing is dropped
			// and the next Seal tries again.
			if n, err := res.RowsAffected(); err != nil || n != g.Rows {
				return errors.Join(fmt.Errorf("%d rows were exported and %d would be dropped", g.Rows, n), err)
			}
			return s.addSegment(ctx, c, g, 0)
		})
	}
	return g, s.sealSegment(ctx, &g, export, record)
}

// EventFilter selects telemetry other than queries. Zero fields select everything.
type EventFilter struct {
	Kind  picket.Kind // KindAdminEvent, KindAsset or KindSignal
	Name  string      // lower case, the trailing dot is optional
	Since time.Time   // event time, or time of reception where there is none
	Until time.Time   // exclusive
	Limit int         // 0 means 100
}

// StoredEvent is a piece of telemetry as the store holds it.
type StoredEvent struct {
	Kind     picket.Kind     `json:"kind"`
	Time     time.Time       `json:"time"`     // event time, or Received where there is none
	Received time.Time       `json:"received"` // wall clock
	Input    uint32          `json:"input"`    // picket.InputState.ID
	Name     string          `json:"name,omitempty"`
	Data     json.RawMessage `json:"data"` // of the AdminEvent, Asset or Signal
}

// Events returns the newest selected events, recent and sealed, newest first. What
// is of deliveries that are not committed yet is not among them.
func (s *Store) Events(ctx context.Context, f EventFilter) (list []StoredEvent, err error) {
	defer s.observe("events", time.Now(), &err)
	if f.Limit <= 0 {
		f.Limit = 100
	}
	kinds := sealedKinds[:]
	if f.Kind != "" {
		kinds = []string{string(f.Kind)}
	}
	s.files.RLock()
	defer s.files.RUnlock()
	tx, err := s.db.BeginTx(ctx, nil) // a row is seen in the table or in its segment
	if err != nil {
		return nil, fmt.Errorf("events: %w", s.closed(err))
	}
	defer tx.Rollback()
	for _, kind := range kinds {
		if list, err = s.eventsOf(ctx, tx, kind, f, list); err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
	}
	return list, nil
}

// eventsOf adds the selected events of one kind to list and keeps the newest.
func (s *Store) eventsOf(ctx context.Context, tx *sql.Tx, kind string, f EventFilter, list []StoredEvent) ([]StoredEvent, error) {
	conds, args := "", []any(nil)
	if f.Name != "" {
		name := strings.TrimSuffix(text(f.Name), ".") + "."
		conds, args = conds+` AND name = ?`, append(args, name)
	}
	if !f.Since.IsZero() {
		conds, args = conds+` AND `+eventTime+` >= make_timestamp_ns(?)`, append(args, nanos(f.Since))
	}
	if !f.Until.IsZero() {
		conds, args = conds+` AND `+eventTime+` < make_timestamp_ns(?)`, append(args, nanos(f.Until))
	}
	read := func(from, where string) error {
		err := each(ctx, tx, `SELECT epoch_ns(`+eventTime+`), epoch_ns(received), input, name, data::VARCHAR FROM `+from+where+conds+
			` ORDER BY `+eventTime+` DESC LIMIT `+fmt.Sprint(f.Limit), args, func(r *sql.Rows) error {
			e := StoredEvent{Kind: picket.Kind(kind)}
			var when, received int64
			var data string
			err := r.Scan(&when, &received, &e.Input, &e.Name, &data)
			e.Time, e.Received, e.Data = utc(when), utc(received), json.RawMessage(data)
			list = append(list, e)
			return err
		})
		sort.SliceStable(list, func(i, j int) bool { return list[i].Time.After(list[j].Time) })
		list = list[:min(len(list), f.Limit)]
		return err
	}
	if err := read(`events`, ` WHERE kind = `+quote(kind)+` AND NOT `+uncommitted); err != nil {
		return nil, err
	}
	rest, rargs := segmentRange(f.Since, f.Until)
	segments, err := selectSegments(ctx, tx, rest+` AND kind = ? ORDER BY max_time DESC, path`, append(rargs, kind)...)
	if err != nil {
		return nil, err
	}
	for len(segments) > 0 {
		if len(list) == f.Limit && !list[f.Limit-1].Time.Before(segments[0].MaxTime) {
			break
		}
		n := min(len(segments), segmentsAtOnce)
		from, err := s.segmentSource(segments[:n])
		if err != nil {
			return nil, err
		}
		if err := read(from, ` WHERE true`); err != nil {
			return nil, err
		}
		segments = segments[n:]
	}
	return list, nil
}
