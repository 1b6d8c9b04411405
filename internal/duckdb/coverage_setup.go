package duckdb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/picket-dns/picket"
)

// PutSetup implements picket.CoverageKeeper.
func (s *Store) PutSetup(ctx context.Context, v *picket.Setup) (err error) {
	defer s.observe("put-setup", time.Now(), &err)
	bare := *v
	bare.Time = time.Time{} // it has a column of its own
	b, err := json.Marshal(&bare)
	if err != nil {
		return fmt.Errorf("put setup: %w", err)
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		var last string
		err := c.QueryRowContext(ctx, `SELECT setup::VARCHAR FROM setups ORDER BY time DESC LIMIT 1`).Scan(&last)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case err == nil && bytes.Equal([]byte(last), []byte(text(string(b)))):
			return nil
		}
		_, err = c.ExecContext(ctx, `INSERT INTO setups VALUES (make_timestamp_ns(?), ?::JSON)`, nanos(v.Time), text(string(b)))
		return err
	})
	if err != nil {
		return fmt.Errorf("put setup: %w", err)
	}
	return nil
}

// Setups implements picket.CoverageStore.
func (s *Store) Setups(ctx context.Context, from, to time.Time) (list []picket.Setup, err error) {
	defer s.observe("setups", time.Now(), &err)
	err = each(ctx, s.db, `SELECT epoch_ns(time), setup::VARCHAR FROM setups WHERE time < make_timestamp_ns($2)
			AND time >= coalesce((SELECT max(time) FROM setups WHERE time <= make_timestamp_ns($1)), make_timestamp_ns($1)) ORDER BY time`,
		[]any{nanos(from), nanos(to)}, func(r *sql.Rows) error {
			var v picket.Setup
			var start int64
			var b string
			if err := r.Scan(&start, &b); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(b), &v); err != nil {
				return fmt.Errorf("setup of %s: %w", utc(start).Format(time.RFC3339), err)
			}
			v.Time = utc(start)
			list = append(list, v)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("setups: %w", s.closed(err))
	}
	return list, nil
}

// Beat implements picket.CoverageKeeper.
func (s *Store) Beat(ctx context.Context, started, now time.Time) (err error) {
	defer s.observe("beat", time.Now(), &err)
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		res, err := c.ExecContext(ctx, `UPDATE uptimes SET last = greatest(last, make_timestamp_ns($2)) WHERE started = make_timestamp_ns($1)`, nanos(started), nanos(now))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		_, err = c.ExecContext(ctx, `INSERT INTO uptimes VALUES (make_timestamp_ns($1), make_timestamp_ns($2))`, nanos(started), nanos(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	return nil
}

// Uptimes implements picket.CoverageStore.
func (s *Store) Uptimes(ctx context.Context, from, to time.Time) (list []picket.Uptime, err error) {
	defer s.observe("uptimes", time.Now(), &err)
	err = each(ctx, s.db, `SELECT epoch_ns(started), epoch_ns(last) FROM uptimes WHERE started < make_timestamp_ns($2) AND last >= make_timestamp_ns($1) ORDER BY started`,
		[]any{nanos(from), nanos(to)}, func(r *sql.Rows) error {
			var a, b int64
			err := r.Scan(&a, &b)
			list = append(list, picket.Uptime{From: utc(a), To: utc(b)})
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("uptimes: %w", s.closed(err))
	}
	return list, nil
}

// Retained implements picket.CoverageStore. Every kind has an entry.
func (s *Store) Retained(ctx context.Context) (list []picket.Retained, err error) {
	defer s.observe("retained", time.Now(), &err)
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("retained: %w", s.closed(err))
	}
	defer tx.Rollback()
	r := newRetained(tx)
	if err := r.read(ctx); err != nil {
		return nil, fmt.Errorf("retained: %w", err)
	}
	for _, k := range r.kinds {
		list = append(list, *r.by[k])
	}
	return list, nil
}

type retainedReader struct {
	tx    *sql.Tx
	kinds []picket.Kind
	by    map[picket.Kind]*picket.Retained
}

func (r *retainedReader) read(ctx context.Context) error {
	err := r.add(ctx, `SELECT coalesce(kind, 'query'), epoch_ns(min(min_time)), epoch_ns(max(max_time)), sum(row_count)::BIGINT, sum(bytes)::BIGINT, count(*), count(*) FILTER (WHERE hold)
		FROM segments WHERE NOT removed GROUP BY 1`)
	if err == nil {
		err = r.add(ctx, `SELECT 'query', epoch_ns(min(time)), epoch_ns(max(time)), count(*), 0, 0, 0 FROM queries_recent WHERE NOT `+uncommitted)
	}
	if err == nil {
		err = r.add(ctx, `SELECT kind, epoch_ns(min(coalesce(time, received))), epoch_ns(max(coalesce(time, received))), count(*), 0, 0, 0
			FROM events WHERE NOT `+uncommitted+` GROUP BY kind`)
	}
	for _, q := range stateQueries {
		if err == nil {
			err = r.add(ctx, q)
		}
	}
	if err == nil {
		err = r.sightingRuns(ctx)
	}
	if err == nil {
		err = r.began(ctx)
	}
	return err
}

// add adds rows of kind, oldest, newest, rows, bytes, segments and held.
func (r *retainedReader) add(ctx context.Context, query string) error {
	return each(ctx, r.tx, query, nil, func(rows *sql.Rows) error {
		var kind string
		var oldest, newest sql.NullInt64
		var v picket.Retained
		if err := rows.Scan(&kind, &oldest, &newest, &v.Rows, &v.Bytes, &v.Segments, &v.Held); err != nil {
			return err
		}
		k := r.by[picket.Kind(kind)]
		if k == nil || v.Rows == 0 {
			return nil
		}
		k.Rows, k.Bytes, k.Segments, k.Held = k.Rows+v.Rows, k.Bytes+v.Bytes, k.Segments+v.Segments, k.Held+v.Held
		k.Oldest, k.Newest = widen(k.Oldest, k.Newest, oldest.Int64, newest.Int64)
		return nil
	})
}
