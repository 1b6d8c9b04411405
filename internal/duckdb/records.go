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

// AppendRecords implements picket.IntakeKeeper. The rows wait in records_staged
// for the commit of their delivery.
func (s *Store) AppendRecords(ctx context.Context, at picket.Origin, rows []picket.Record) (err error) {
	defer s.observe("append-records", time.Now(), &err)
	if len(rows) == 0 {
		return nil
	}
	err = s.write(ctx, func(_ context.Context, c *sql.Conn) error {
		return c.Raw(func(dc any) error { return appendRecords(dc.(driver.Conn), at, rows) })
	})
	if err != nil {
		return fmt.Errorf("append %d records: %w", len(rows), err)
	}
	return nil
}

func appendRecords(dc driver.Conn, at picket.Origin, rows []picket.Record) error {
	a, err := duckdbgo.NewAppenderFromConn(dc, "", "records_staged")
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		var when driver.Value
		if !r.Time.IsZero() {
			when = time.Unix(0, nanos(r.Time)).UTC()
		}
		name, rrtype, class, data := text(r.Name), text(r.Type), text(r.Class), text(r.Data)
		err := a.AppendRow(at.Input, at.Delivery, text(r.Zone), name, rrtype, class, r.TTL, data, recordKey(name, rrtype, class, data),
			churns(rrtype), string(r.Change), when, text(r.Commit), text(r.Author), text(r.Comment))
		if err != nil {
			return errors.Join(err, a.Clear(), a.Close())
		}
	}
	return a.Close()
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
func (s *Store) commitRecords(ctx context.Context, c *sql.Conn, k *picket.IntakeCommit) error {
	o := k.Records
	if k.Delivery == 0 && (o == nil || !o.Whole || o.Partial) {
		return nil // nothing is there, and nothing can be missing
	}
	if o == nil {
		var staged bool
		err := c.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM records_staged WHERE delivery = ?)`, k.Delivery).Scan(&staged)
		if err != nil || !staged {
			return err
		}
		if o, err = plainObservation(ctx, c, k.Input); err != nil {
			return err
		}
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
