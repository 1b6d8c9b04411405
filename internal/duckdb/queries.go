package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// AppendQueries writes one batch to the recent query history, all or nothing,
// and returns after commit. states and zones say, for the query at the same
// index, what the catalog knew of its name and the zone's apex with trailing
// dot ("" when in no watched zone).
func (s *Store) AppendQueries(ctx context.Context, q []picket.Query, states []picket.NameState, zones []string) (err error) {
	defer s.observe("append-queries", time.Now(), &err)
	if len(states) != len(q) || len(zones) != len(q) {
		return fmt.Errorf("append queries: %d queries with %d states and %d zones: %w", len(q), len(states), len(zones), picket.ErrBadValue)
	}
	if len(q) == 0 {
		return nil
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		s.lastBatch++
		return c.Raw(func(dc any) error {
			return appendBatch(dc.(driver.Conn), s.lastBatch, q, states, zones)
		})
	})
	if err != nil {
		return fmt.Errorf("append %d queries: %w", len(q), err)
	}
	return nil
}

// appendBatch feeds DuckDB's Appender, which joins the connection's transaction.
func appendBatch(dc driver.Conn, batch int64, q []picket.Query, states []picket.NameState, zones []string) error {
	a, err := duckdbgo.NewAppenderFromConn(dc, "", "queries_recent")
	if err != nil {
		return err
	}
	var (
		row  [16]driver.Value
		name []byte
	)
	row[0] = batch
	for i := range q {
		name = fillRow(&row, &q[i], states[i], zones[i], name)
		if err := a.AppendRow(row[:]...); err != nil {
			return errors.Join(err, a.Clear(), a.Close())
		}
	}
	return a.Close()
}

// fillRow sets the columns after batch. The name buffer is lent and returned.
func fillRow(row *[16]driver.Value, q *picket.Query, state picket.NameState, zone string, name []byte) []byte {
	row[1] = time.Unix(0, eventNanos(q.Time)).UTC()
	row[2], row[3], row[4], row[5], row[12], row[14] = nil, nil, nil, nil, nil, nil
	if q.Client.IsValid() {
		row[2] = q.Client.Unmap().String()
	}
	if q.Server.IsValid() {
		row[3] = q.Server.Unmap().String()
	}
	if q.ClientPort != 0 {
		row[4] = q.ClientPort
	}
	if q.Transport != picket.TransportUnknown {
		row[5] = q.Transport.String()
	}
	name = dnsname.AppendString(name[:0], q.Name)
	if n := len(name); n > 1 {
		row[6] = string(name[:n-1]) // without the trailing dot, which is never an escaped one
	} else {
		row[6] = "."
	}
	row[7] = text(zone)
	row[8] = state.String()
	row[9] = q.Opcode
	row[10] = q.Type
	row[11] = q.Class
	if q.Rcode != picket.RcodeUnknown {
		row[12] = int16(q.Rcode)
	}
	row[13] = uint32(q.Flags)
	if q.ClientSubnet.IsValid() {
		row[14] = q.ClientSubnet.String()
	}
	row[15] = text(q.Sensor)
	return name
}

// eventNanos holds an event time within what can be sealed: 1970 to the last
// full hour that TIMESTAMP_NS can say. Only a broken input brings another.
func eventNanos(ns int64) int64 {
	return min(max(ns, 0), maxNanos-int64(segmentHour)*2)
}
