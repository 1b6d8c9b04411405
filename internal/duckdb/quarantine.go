package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Bounds of what is kept of one input's rejected records. The oldest go first.
const (
	quarantineRecords = 10_000
	quarantineBytes   = 64 << 20
)

// commitQuarantine keeps and releases rejected records within a commit.
func (s *Store) commitQuarantine(ctx context.Context, c *sql.Conn, k *picket.IntakeCommit) error {
	if len(k.Release) > 0 {
		if _, err := c.ExecContext(ctx, `DELETE FROM quarantine WHERE input = ? AND id IN (`+idList(k.Release)+`)`, k.Input); err != nil {
			return err
		}
	}
	if len(k.Quarantine) == 0 {
		return nil
	}
	list := k.Quarantine
	const atOnce = 128 // rows a statement
	for len(list) > 0 {
		n := min(len(list), atOnce)
		var args []any
		for _, q := range list[:n] {
			record := q.Record
			if record == nil {
				record = []byte{}
			}
			args = append(args, k.Input, text(q.Stream), text(q.Format), text(q.Reason), q.Line, q.Offset, s.opt.Now().UTC(), record)
		}
		_, err := c.ExecContext(ctx, `INSERT INTO quarantine (input, stream, format, reason, line, byte, time, record) VALUES `+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", n), ", "), args...)
		if err != nil {
			return err
		}
		list = list[n:]
	}
	_, err := c.ExecContext(ctx, `DELETE FROM quarantine WHERE input = ? AND id IN (SELECT id FROM (
			SELECT id, row_number() OVER newest AS n, sum(octet_length(record)) OVER newest AS bytes FROM quarantine WHERE input = ?
			WINDOW newest AS (ORDER BY id DESC)) WHERE n > ? OR bytes > ?)`, k.Input, k.Input, quarantineRecords, quarantineBytes)
	return err
}

// Quarantined implements picket.IntakeKeeper.
func (s *Store) Quarantined(ctx context.Context, input string, after int64, limit int) (list []picket.QuarantinedRecord, err error) {
	defer s.observe("quarantined", time.Now(), &err)
	if limit <= 0 {
		limit = 100
	}
	return s.quarantined(ctx, `(? = '' OR i.name = ?) AND q.id > ? ORDER BY q.id LIMIT ?`, text(input), text(input), after, limit)
}

// QuarantinedByID returns the kept records with these ids, oldest first; those that
// are not there any more are missing.
func (s *Store) QuarantinedByID(ctx context.Context, ids []int64) (list []picket.QuarantinedRecord, err error) {
	defer s.observe("quarantined", time.Now(), &err)
	if len(ids) == 0 {
		return nil, nil
	}
	return s.quarantined(ctx, `q.id IN (`+idList(ids)+`) ORDER BY q.id`)
}

func (s *Store) quarantined(ctx context.Context, rest string, args ...any) ([]picket.QuarantinedRecord, error) {
	var list []picket.QuarantinedRecord
	err := each(ctx, s.db, `SELECT q.id, i.name, q.stream, q.format, q.reason, q.line, q.byte, epoch_ns(q.time), q.record
		FROM quarantine q JOIN inputs i ON i.id = q.input WHERE `+rest, args, func(r *sql.Rows) error {
		var q picket.QuarantinedRecord
		var ns int64
		err := r.Scan(&q.ID, &q.Input, &q.Stream, &q.Format, &q.Reason, &q.Line, &q.Offset, &ns, &q.Record)
		q.Time = utc(ns)
		list = append(list, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("quarantined: %w", s.closed(err))
	}
	return list, nil
}

// QuarantineSize says how many are kept of one input's rejected records.
type QuarantineSize struct {
	Records int64 `json:"records"`
	Last    int64 `json:"last"` // greatest id
}

// QuarantineSizes returns the sizes by the input's name; inputs without kept records
// are missing. It does not touch the records themselves, and is cheap.
func (s *Store) QuarantineSizes(ctx context.Context) (sizes map[string]QuarantineSize, err error) {
	defer s.observe("quarantine-sizes", time.Now(), &err)
	sizes = map[string]QuarantineSize{}
	err = each(ctx, s.db, `SELECT i.name, count(*), max(q.id)
		FROM quarantine q JOIN inputs i ON i.id = q.input GROUP BY i.name`, nil, func(r *sql.Rows) error {
		var name string
		var z QuarantineSize
		err := r.Scan(&name, &z.Records, &z.Last)
		sizes[name] = z
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine sizes: %w", s.closed(err))
	}
	return sizes, nil
}

// idList writes ids as SQL does within parentheses.
func idList(ids []int64) string {
	var b []byte
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}
