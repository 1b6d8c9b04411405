package duckdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// AppendRecords implements picket.IntakeKeeper. Rows of an input that sends again
// what was not committed wait in memory, as far as there is room; all others in
// records_staged.
func (s *Store) AppendRecords(ctx context.Context, at picket.Origin, rows []picket.Record) (err error) {
	defer s.observe("append-records", time.Now(), &err)
	if len(rows) == 0 {
		return nil
	}
	prepared := s.history.prepare(rows)
	defer s.history.release(prepared)
	if err := s.appendRecords(ctx, at, prepared); err != nil {
		return fmt.Errorf("append %d records: %w", len(rows), err)
	}
	return nil
}

func (s *Store) appendRecords(ctx context.Context, at picket.Origin, rows []heldRow) error {
	h := &s.history
	if s.readOnly {
		return ErrReadOnly
	}
	if !h.sends(at.Input) {
		err := s.write(ctx, func(_ context.Context, c *sql.Conn) error {
			all := make([]*heldRow, len(rows))
			for i := range rows {
				all[i] = &rows[i]
			}
			return c.Raw(func(dc any) error { return stageRows(dc.(driver.Conn), at, all) })
		})
		if err == nil {
			h.wasStaged(at)
		}
		return err
	}
	d, look, full := h.hold(at, rows)
	if look {
		if err := s.write(ctx, func(ctx context.Context, c *sql.Conn) error { return h.findTold(ctx, c, d) }); err != nil {
			return err
		}
	}
	if !full {
		return nil
	}
	err := s.write(ctx, func(ctx context.Context, c *sql.Conn) error { return h.stage(ctx, c, d) })
	if err == nil {
		h.wasStaged(at)
	}
	return err
}

// recordKey is the same for the same record: joins compare it in place of four
// texts. Whoever writes a zone chooses the texts, so the hash has to be a good one.
func recordKey(name, rrtype, class, data string) (key duckdbgo.UUID) {
	b := make([]byte, 0, 512)
	for _, t := range [...]string{name, rrtype, class} {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	sum := sha256.Sum256(append(b, data...))
	copy(key[:], sum[:])
	return key
}

// churns reports whether records of a type come and go by themselves: what signing
// brings along, and the SOA, whose serial changes with everything (RFC 4034, RFC 5155,
// RFC 1982). Keys and their digests are real changes.
func churns(rrtype string) bool {
	switch rrtype {
	case "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "SOA":
		return true
	}
	return false
}

// commitRecords applies the records of a delivery with what the commit says of them.
// What waits in memory is compared there, unless it is too much.
func (s *Store) commitRecords(ctx context.Context, c *sql.Conn, k *picket.IntakeCommit) (err error) {
	h := &s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	o, d := k.Records, h.deliveries[k.Delivery]
	if d == nil {
		if o == nil || (k.Delivery == 0 && (!o.Whole || o.Partial)) {
			return nil // nothing is there, and nothing can be missing
		}
		d = &heldDelivery{origin: picket.Origin{Input: k.Input, Delivery: k.Delivery}}
	}
	if o == nil {
		if o, err = plainObservation(ctx, c, k.Input); err != nil {
			return err
		}
	}
	h.committing = append(h.committing, k.Delivery)
	if !d.staged {
		if done, err := s.stepRecords(ctx, c, d, o); done || err != nil {
			return err
		}
	}
	if err := h.stage(ctx, c, d); err != nil {
		return err
	}
	return s.applyRecords(ctx, c, k.Delivery, o)
}

// plainObservation is of records of which nobody has said anything.
func plainObservation(ctx context.Context, c *sql.Conn, input uint32) (*picket.RecordObservation, error) {
	o := &picket.RecordObservation{Method: picket.MethodPush}
	err := c.QueryRowContext(ctx, `SELECT name FROM inputs WHERE id = ?`, input).Scan(&o.Source)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	return o, nil
}

// settleRecords applies what a crash has left staged, of inputs that cannot send it again.
func (s *Store) settleRecords(ctx context.Context) error {
	type left struct {
		input    uint32
		delivery int64
	}
	var list []left
	err := each(ctx, s.wconn, `SELECT input, delivery FROM records_staged GROUP BY ALL ORDER BY delivery`, nil, func(r *sql.Rows) error {
		var l left
		err := r.Scan(&l.input, &l.delivery)
		list = append(list, l)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range list {
		o, err := plainObservation(ctx, s.wconn, l.input)
		if err != nil {
			return err
		}
		if err := s.applyRecords(ctx, s.wconn, l.delivery, o); err != nil {
			return err
		}
	}
	return nil
}
