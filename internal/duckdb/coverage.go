package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/picket-dns/picket"
)

// The roles by which coverage is judged.
var (
	_ picket.CoverageStore  = (*Store)(nil)
	_ picket.CoverageKeeper = (*Store)(nil)
)

// coverageMinute is how finely activity and intake are kept.
const coverageMinute = time.Minute

// activityOf counts rows of queries_recent by minute.
var activityOf = fmt.Sprintf(`SELECT make_timestamp_ns(epoch_ns(time) // %[1]d * %[1]d) AS minute, coalesce(input, 0) AS input, coalesce(server, '') AS server, sensor, zone,
	count(*) AS n, count(client) AS with_client, count(rcode) AS with_rcode, count(*) FILTER (WHERE flags & %[2]d <> 0) AS with_flags,
	count(*) FILTER (WHERE flags & %[3]d <> 0) AS with_response, count(transport) AS with_transport FROM queries_recent`,
	int64(coverageMinute), uint32(picket.FlagFlags), uint32(picket.FlagResponse))

const activityGroups = ` GROUP BY ALL`

// sealActivity counts what is about to leave queries_recent for a segment. It
// runs in the transaction that records the segment.
func sealActivity(ctx context.Context, c *sql.Conn, hour time.Time, upTo int64) error {
	_, err := c.ExecContext(ctx, `INSERT INTO activity `+activityOf+rowsOf+activityGroups, upTo, hour.UnixNano(), hour.Add(segmentHour).UnixNano())
	if err != nil {
		return fmt.Errorf("count activity: %w", err)
	}
	return nil
}

// steps holds a step to whole minutes.
func steps(step time.Duration) int64 {
	return int64(max(step.Truncate(coverageMinute), coverageMinute))
}

// Activity implements picket.CoverageStore. Steps begin at whole multiples of
// their length since 1970. Rows of deliveries that are not committed do not count.
func (s *Store) Activity(ctx context.Context, from, to time.Time, step time.Duration) (list []picket.Activity, err error) {
	defer s.observe("activity", time.Now(), &err)
	n := steps(step)
	query := fmt.Sprintf(`SELECT epoch_ns(minute) // %[1]d * %[1]d AS start, coalesce(i.name, ''), server, sensor, zone,
			sum(n)::BIGINT, sum(with_client)::BIGINT, sum(with_rcode)::BIGINT, sum(with_flags)::BIGINT, sum(with_response)::BIGINT, sum(with_transport)::BIGINT
		FROM (SELECT * FROM activity WHERE minute >= make_timestamp_ns($1) AND minute < make_timestamp_ns($2)
			UNION ALL (`, n) + activityOf + ` WHERE time >= make_timestamp_ns($1) AND time < make_timestamp_ns($2) AND NOT ` + uncommitted + activityGroups + `)) a
		LEFT JOIN inputs i ON i.id = a.input GROUP BY ALL ORDER BY ALL`
	err = each(ctx, s.db, query, []any{minuteUp(from), minuteUp(to)}, func(r *sql.Rows) error {
		var a picket.Activity
		var start int64
		err := r.Scan(&start, &a.Input, &a.Server, &a.Sensor, &a.Zone, &a.Count, &a.WithClient, &a.WithRcode, &a.WithFlags, &a.WithResponse, &a.WithTransport)
		a.Start = utc(start)
		list = append(list, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("activity: %w", s.closed(err))
	}
	return list, nil
}

// minuteUp is the first whole minute at or after t, so that sealed and recent
// rows are cut at the same times.
func minuteUp(t time.Time) int64 {
	n := nanos(t)
	if m := n % int64(coverageMinute); m > 0 && n < maxNanos-int64(coverageMinute) {
		n += int64(coverageMinute) - m
	}
	return n
}

// addIntakeStep adds a commit to its minute. It runs with every commit: an update
// of a row that is among the last, which DuckDB finds by its zone maps.
func (s *Store) addIntakeStep(ctx context.Context, c *sql.Conn, k *picket.IntakeCommit) error {
	var rejected, dropped int64
	for _, n := range k.Add.Rejected {
		rejected += n
	}
	for _, n := range k.Add.Dropped {
		dropped += n
	}
	if k.Add.Accepted == 0 && rejected == 0 && dropped == 0 {
		return nil
	}
	minute := s.opt.Now().Truncate(coverageMinute).UnixNano()
	var delay any
	if k.Delay != 0 {
		delay = k.Delay
	}
	res, err := s.exec(ctx, c, `UPDATE intake_steps SET accepted = accepted + $3, rejected = rejected + $4, dropped = dropped + $5,
			min_delay = least(min_delay, $6::BIGINT), max_delay = greatest(max_delay, $6::BIGINT)
		WHERE minute = make_timestamp_ns($1) AND input = $2`, minute, k.Input, k.Add.Accepted, rejected, dropped, delay)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = c.ExecContext(ctx, `INSERT INTO intake_steps VALUES (make_timestamp_ns($1), $2, $3, $4, $5, $6, $6)`,
		minute, k.Input, k.Add.Accepted, rejected, dropped, delay)
	return err
}

// IntakeSteps implements picket.CoverageStore.
func (s *Store) IntakeSteps(ctx context.Context, from, to time.Time, step time.Duration) (list []picket.IntakeStep, err error) {
	defer s.observe("intake-steps", time.Now(), &err)
	query := fmt.Sprintf(`SELECT epoch_ns(minute) // %[1]d * %[1]d AS start, i.name, sum(s.accepted)::BIGINT, greatest(sum(rejected), 0)::BIGINT, sum(dropped)::BIGINT,
			coalesce(min(min_delay), 0), coalesce(max(max_delay), 0)
		FROM intake_steps s JOIN inputs i ON i.id = s.input WHERE minute >= make_timestamp_ns($1) AND minute < make_timestamp_ns($2)
		GROUP BY start, i.name ORDER BY start, i.name`, steps(step))
	err = each(ctx, s.db, query, []any{nanos(from.Truncate(coverageMinute)), nanos(to)}, func(r *sql.Rows) error {
		var v picket.IntakeStep
		var start int64
		err := r.Scan(&start, &v.Input, &v.Accepted, &v.Rejected, &v.Dropped, &v.MinDelay, &v.MaxDelay)
		v.Start = utc(start)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("intake steps: %w", s.closed(err))
	}
	return list, nil
}

// ServerCounts implements picket.CoverageStore.
func (s *Store) ServerCounts(ctx context.Context, from, to time.Time, step time.Duration) (list []picket.ServerCount, err error) {
	defer s.observe("server-counts", time.Now(), &err)
	query := fmt.Sprintf(`SELECT epoch_ns(start) // %[1]d * %[1]d AS begin, server, sum(queries)::BIGINT FROM server_counts
		WHERE start >= make_timestamp_ns($1) AND start < make_timestamp_ns($2) GROUP BY begin, server ORDER BY begin, server`, steps(step))
	err = each(ctx, s.db, query, []any{nanos(from), nanos(to)}, func(r *sql.Rows) error {
		var v picket.ServerCount
		var start int64
		err := r.Scan(&start, &v.Server, &v.Queries)
		v.Start = utc(start)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("server counts: %w", s.closed(err))
	}
	return list, nil
}

// PutServerCounts implements picket.CoverageKeeper.
func (s *Store) PutServerCounts(ctx context.Context, list []picket.ServerCount) (err error) {
	defer s.observe("put-server-counts", time.Now(), &err)
	if len(list) == 0 {
		return nil
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, v := range list {
			if _, err := c.ExecContext(ctx, `INSERT INTO server_counts VALUES (make_timestamp_ns(?), ?, ?)`, nanos(v.Start), text(v.Server), v.Queries); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d server counts: %w", len(list), err)
	}
	return nil
}

// ForgetCoverage removes what servers have counted, what was configured and when the
// daemon ran before a time. What Picket has counted itself goes by Expire.
func (s *Store) ForgetCoverage(ctx context.Context, before time.Time) (err error) {
	defer s.observe("forget-coverage", time.Now(), &err)
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, q := range []string{
			`DELETE FROM server_counts WHERE start < make_timestamp_ns($1)`,
			`DELETE FROM uptimes WHERE last < make_timestamp_ns($1)`,
			// The setup that held at that time stays.
			`DELETE FROM setups WHERE time < (SELECT max(time) FROM setups WHERE time <= make_timestamp_ns($1))`,
		} {
			if _, err := c.ExecContext(ctx, q, nanos(before)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget coverage: %w", err)
	}
	return nil
}
