package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// uncommitted is true of a row whose delivery does not count (yet).
const uncommitted = `(delivery > (SELECT delivery FROM deliveries_closed) AND delivery NOT IN (SELECT delivery FROM deliveries_committed))`

// settleDeliveries, at start, ends what a crash has left open. What will be sent
// again goes; what will not is kept and counted. Afterwards no delivery is open.
func (s *Store) settleDeliveries(ctx context.Context) error {
	return inTx(ctx, s.wconn, func() error {
		const last = `SELECT greatest((SELECT delivery FROM deliveries_closed), (SELECT coalesce(max(delivery), 0) FROM deliveries_committed),
			(SELECT coalesce(max(delivery), 0) FROM queries_recent), (SELECT coalesce(max(delivery), 0) FROM events),
			(SELECT coalesce(max(delivery), 0) FROM records_staged),
			(SELECT coalesce(max(delivery), 0) FROM sightings_recent))`
		if err := s.wconn.QueryRowContext(ctx, last).Scan(&s.lastDelivery); err != nil {
			return err
		}
		const again = `input IN (SELECT id FROM inputs WHERE send_again) AND ` + uncommitted
		for _, table := range []string{"queries_recent", "events", "records_staged", "sightings_recent"} {
			res, err := s.wconn.ExecContext(ctx, `DELETE FROM `+table+` WHERE `+again)
			if err != nil {
				return err
			}
			if n, _ := res.RowsAffected(); n > 0 {
				s.opt.Log.Info("rows of deliveries that were not committed are taken back; they come again", "table", table, "rows", n)
			}
			times, telemetry := "coalesce(time, make_timestamp_ns(0))", ""
			switch table {
			case "queries_recent":
				times = "time"
			case "sightings_recent":
				times = "make_timestamp_ns(least(last, 9223372036) * 1000000000)"
				// Those that were made of queries came as queries.
				telemetry = ` AND source NOT IN (SELECT id FROM sighting_sources WHERE origin = '` + picket.SightingOwn + `')`
			}
			_, err = s.wconn.ExecContext(ctx, `UPDATE inputs SET accepted = accepted + k.n, last_seen = greatest(last_seen, k.newest),
					first_seen = CASE WHEN first_seen = 0 THEN k.oldest ELSE least(first_seen, k.oldest) END
				FROM (SELECT input, count(*) AS n, epoch_ns(min(`+times+`)) AS oldest, epoch_ns(max(`+times+`)) AS newest
					FROM `+table+` WHERE `+uncommitted+telemetry+` GROUP BY input) k WHERE inputs.id = k.input`)
			if err != nil {
				return err
			}
		}
		if err := s.settleRecords(ctx); err != nil {
			return err
		}
		return s.closeDeliveries(ctx, s.wconn, s.lastDelivery)
	})
}

// closeDeliveries makes every delivery up to one count without being listed.
func (s *Store) closeDeliveries(ctx context.Context, c *sql.Conn, upTo int64) error {
	if _, err := s.exec(ctx, c, `UPDATE deliveries_closed SET delivery = ? WHERE delivery < ?`, upTo, upTo); err != nil {
		return err
	}
	if s.listed == 0 {
		return nil
	}
	_, err := s.exec(ctx, c, `DELETE FROM deliveries_committed WHERE delivery <= ?`, upTo)
	if err == nil && upTo >= s.listed {
		s.listed = 0 // what a transaction that fails leaves there counts anyway
	}
	return err
}

// LastDelivery implements picket.IntakeKeeper.
func (s *Store) LastDelivery() int64 { return s.lastDelivery }

// OpenInput implements picket.IntakeKeeper.
func (s *Store) OpenInput(ctx context.Context, name string, again bool) (st picket.InputState, err error) {
	defer s.observe("open-input", time.Now(), &err)
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		var id uint32
		err := c.QueryRowContext(ctx, `SELECT id FROM inputs WHERE name = ?`, text(name)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = c.ExecContext(ctx, `INSERT INTO inputs SELECT coalesce(max(id), 0) + 1, ?, ?, 0, 0, 0 FROM inputs`, text(name), again)
			return err
		}
		if err == nil {
			_, err = c.ExecContext(ctx, `UPDATE inputs SET send_again = ? WHERE id = ? AND send_again <> ?`, again, id, again)
		}
		return err
	})
	if err != nil {
		return st, fmt.Errorf("open input %q: %w", name, err)
	}
	states, err := s.inputs(ctx, `WHERE name = ?`, text(name))
	if err != nil {
		return st, fmt.Errorf("open input %q: %w", name, err)
	}
	s.history.opened(states[0].ID, again)
	return states[0], nil
}

// Inputs returns the state of every input there ever was.
func (s *Store) Inputs(ctx context.Context) (list []picket.InputState, err error) {
	defer s.observe("inputs", time.Now(), &err)
	if list, err = s.inputs(ctx, `ORDER BY id`); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	return list, nil
}

func (s *Store) inputs(ctx context.Context, rest string, args ...any) ([]picket.InputState, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.closed(err)
	}
	defer tx.Rollback()
	var list []picket.InputState
	err = each(ctx, tx, `SELECT id, name, accepted, first_seen, last_seen FROM inputs `+rest, args, func(r *sql.Rows) error {
		var st picket.InputState
		c := &st.Counts
		err := r.Scan(&st.ID, &st.Name, &c.Accepted, &c.FirstSeen, &c.LastSeen)
		list = append(list, st)
		return err
	})
	for i := range list {
		st := &list[i]
		if err == nil {
			err = readCounts(ctx, tx, st)
		}
		if err == nil {
			st.Positions = map[string][]byte{}
			err = each(ctx, tx, `SELECT stream, position FROM input_positions WHERE input = ?`, []any{st.ID}, func(r *sql.Rows) error {
				var stream string
				var position []byte
				err := r.Scan(&stream, &position)
				st.Positions[stream] = position
				return err
			})
		}
	}
	return list, err
}

func readCounts(ctx context.Context, tx *sql.Tx, st *picket.InputState) error {
	return each(ctx, tx, `SELECT outcome, reason, n FROM input_counts WHERE input = ?`, []any{st.ID}, func(r *sql.Rows) error {
		var outcome, reason string
		var n int64
		if err := r.Scan(&outcome, &reason, &n); err != nil {
			return err
		}
		m := map[string]int64{reason: n}
		switch outcome {
		case "rejected":
			st.Counts.Add(&picket.InputCounts{Rejected: m})
		case "skipped":
			st.Counts.Add(&picket.InputCounts{Skipped: m})
		case "dropped":
			st.Counts.Add(&picket.InputCounts{Dropped: m})
		}
		return nil
	})
}

// each calls f for each row.
func each(ctx context.Context, q querier, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AppendEvents implements picket.IntakeKeeper.
func (s *Store) AppendEvents(ctx context.Context, at picket.Origin, rows []picket.EventRow) (err error) {
	defer s.observe("append-events", time.Now(), &err)
	if len(rows) == 0 {
		return nil
	}
	err = s.write(ctx, func(_ context.Context, c *sql.Conn) error {
		return c.Raw(func(dc any) error { return s.appendEvents(dc.(driver.Conn), at, rows) })
	})
	if err != nil {
		return fmt.Errorf("append %d events: %w", len(rows), err)
	}
	return nil
}

func (s *Store) appendEvents(dc driver.Conn, at picket.Origin, rows []picket.EventRow) error {
	a, err := duckdbgo.NewAppenderFromConn(dc, "", "events")
	if err != nil {
		return err
	}
	received := s.opt.Now().UTC()
	for i := range rows {
		r := &rows[i]
		var when driver.Value
		if r.Time != 0 {
			when = time.Unix(0, min(max(r.Time, minNanos), maxNanos)).UTC()
		}
		if err := a.AppendRow(at.Input, at.Delivery, received, string(r.Kind), when, text(r.Name), json.RawMessage(r.Data)); err != nil {
			return errors.Join(err, a.Clear(), a.Close())
		}
	}
	return a.Close()
}

// CommitIntake implements picket.IntakeKeeper.
func (s *Store) CommitIntake(ctx context.Context, k *picket.IntakeCommit) (err error) {
	defer s.observe("commit-intake", time.Now(), &err)
	p := sightingPacker{store: s}
	seen, err := p.pack(ctx, nil, k.Sightings)
	if err == nil {
		err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
			if err := s.commitIntake(ctx, c, k); err != nil || len(seen) == 0 {
				return err
			}
			batch, err := s.nextSightingBatch(ctx, c)
			if err != nil {
				return err
			}
			return s.appendRecent(c, seen, k.Input, k.Delivery, batch)
		})
	}
	if err != nil {
		return fmt.Errorf("commit delivery %d of input %d: %w", k.Delivery, k.Input, err)
	}
	return nil
}

func (s *Store) commitIntake(ctx context.Context, c *sql.Conn, k *picket.IntakeCommit) error {
	exec := func(query string, args ...any) error {
		_, err := s.exec(ctx, c, query, args...)
		return err
	}
	if k.Delivery > k.Closed {
		if err := exec(`INSERT INTO deliveries_committed VALUES (?)`, k.Delivery); err != nil {
			return err
		}
		s.listed = max(s.listed, k.Delivery)
	}
	if err := s.closeDeliveries(ctx, c, k.Closed); err != nil {
		return err
	}
	if k.Add.Accepted != 0 {
		if err := exec(`UPDATE inputs SET accepted = accepted + ?, last_seen = greatest(last_seen, ?),
				first_seen = CASE WHEN first_seen = 0 THEN ? WHEN ? = 0 THEN first_seen ELSE least(first_seen, ?) END WHERE id = ?`,
			k.Add.Accepted, k.Add.LastSeen, k.Add.FirstSeen, k.Add.FirstSeen, k.Add.FirstSeen, k.Input); err != nil {
			return err
		}
	}
	if err := s.addIntakeStep(ctx, c, k); err != nil {
		return err
	}
	for outcome, counts := range map[string]map[string]int64{"rejected": k.Add.Rejected, "skipped": k.Add.Skipped, "dropped": k.Add.Dropped} {
		for reason, n := range counts {
			if err := addCount(ctx, c, k.Input, outcome, text(reason), n); err != nil {
				return err
			}
		}
	}
	for stream, position := range k.Positions {
		if err := s.putPosition(ctx, c, k.Input, text(stream), position); err != nil {
			return err
		}
	}
	for _, m := range k.Marks {
		result := m.Result
		if result == nil {
			result = []byte{}
		}
		if err := exec(`INSERT OR REPLACE INTO input_marks VALUES (?, ?, ?, ?)`, k.Input, text(m.Key), result, s.opt.Now().UTC()); err != nil {
			return err
		}
	}
	if err := s.commitRecords(ctx, c, k); err != nil {
		return err
	}
	return s.commitQuarantine(ctx, c, k)
}

func (s *Store) putPosition(ctx context.Context, c *sql.Conn, input uint32, stream string, position []byte) error {
	if position == nil {
		_, err := s.exec(ctx, c, `DELETE FROM input_positions WHERE input = ? AND stream = ?`, input, stream)
		return err
	}
	res, err := s.exec(ctx, c, `UPDATE input_positions SET position = ? WHERE input = ? AND stream = ?`, position, input, stream)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = s.exec(ctx, c, `INSERT INTO input_positions VALUES (?, ?, ?)`, input, stream, position)
	return err
}

func addCount(ctx context.Context, c *sql.Conn, input uint32, outcome, reason string, n int64) error {
	if n == 0 {
		return nil
	}
	res, err := c.ExecContext(ctx, `UPDATE input_counts SET n = n + ? WHERE input = ? AND outcome = ? AND reason = ?`, n, input, outcome, reason)
	if err != nil {
		return err
	}
	if changed, err := res.RowsAffected(); err != nil || changed > 0 {
		return err
	}
	_, err = c.ExecContext(ctx, `INSERT INTO input_counts VALUES (?, ?, ?, ?)`, input, outcome, reason, n)
	return err
}

// Withdraw implements picket.IntakeKeeper.
func (s *Store) Withdraw(ctx context.Context, at picket.Origin) (err error) {
	defer s.observe("withdraw", time.Now(), &err)
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, table := range []string{"queries_recent", "events", "records_staged", "sightings_recent"} {
			if _, err := c.ExecContext(ctx, `DELETE FROM `+table+` WHERE delivery = ?`, at.Delivery); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("withdraw delivery %d: %w", at.Delivery, err)
	}
	s.history.withdraw(at.Delivery)
	return nil
}

// Marked implements picket.IntakeKeeper.
func (s *Store) Marked(ctx context.Context, input uint32, key string) (m picket.DeliveryMark, err error) {
	m.Key = key
	err = s.db.QueryRowContext(ctx, `SELECT result FROM input_marks WHERE input = ? AND key = ?`, input, text(key)).Scan(&m.Result)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return m, fmt.Errorf("mark %q: %w", key, picket.ErrNotFound)
	case err != nil:
		return m, fmt.Errorf("mark %q: %w", key, s.closed(err))
	}
	return m, nil
}
