package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// AppendQueries writes one batch to the recent query history, all or nothing,
// and returns after commit. states and zones say, for the query at the same
// index, what the catalog knew of its name and the zone's apex with trailing
// dot ("" when in no watched zone); origins, when not nil, what delivery it is of.
func (s *Store) AppendQueries(ctx context.Context, q []picket.Query, states []picket.NameState, zones []string, origins []picket.Origin) (err error) {
	defer s.observe("append-queries", time.Now(), &err)
	if len(states) != len(q) || len(zones) != len(q) || origins != nil && len(origins) != len(q) {
		return fmt.Errorf("append queries: %d queries with %d states, %d zones and %d origins: %w", len(q), len(states), len(zones), len(origins), picket.ErrBadValue)
	}
	if len(q) == 0 {
		return nil
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		s.lastBatch++
		return c.Raw(func(dc any) error {
			return appendBatch(dc.(driver.Conn), s.lastBatch, q, states, zones, origins)
		})
	})
	if err != nil {
		return fmt.Errorf("append %d queries: %w", len(q), err)
	}
	return nil
}

// appendBatch feeds DuckDB's Appender, which joins the connection's transaction.
func appendBatch(dc driver.Conn, batch int64, q []picket.Query, states []picket.NameState, zones []string, origins []picket.Origin) error {
	a, err := duckdbgo.NewAppenderFromConn(dc, "", "queries_recent")
	if err != nil {
		return err
	}
	r := rowFiller{boxed: make(map[string]any), addrs: make(map[netip.Addr]any)}
	r.row[0], r.row[16], r.row[17] = batch, uint32(0), int64(0)
	for i := range q {
		r.fill(&q[i], states[i], zones[i])
		if origins != nil {
			r.row[16], r.row[17] = origins[i].Input, origins[i].Delivery
		}
		if err := a.AppendRow(r.row[:]...); err != nil {
			return errors.Join(err, a.Clear(), a.Close())
		}
	}
	return a.Close()
}

// rowFiller turns queries into rows of queries_recent. The Appender takes values
// in interfaces; those that repeat within a batch are put into one only once.
type rowFiller struct {
	row   [18]driver.Value
	name  []byte
	boxed map[string]any
	addrs map[netip.Addr]any
}

// fill sets the columns after batch.
func (r *rowFiller) fill(q *picket.Query, state picket.NameState, zone string) {
	row := &r.row
	row[1] = time.Unix(0, eventNanos(q.Time)).UTC()
	row[2], row[3] = r.addr(q.Client), r.addr(q.Server)
	row[4], row[5], row[12], row[14] = nil, nil, nil, nil
	if q.ClientPort != 0 {
		row[4] = q.ClientPort
	}
	if q.Transport != picket.TransportUnknown {
		row[5] = r.box(q.Transport.String())
	}
	r.name = dnsname.AppendString(r.name[:0], q.Name)
	if n := len(r.name); n > 1 {
		row[6] = string(r.name[:n-1]) // the last byte is always the dot of the root
	} else {
		row[6] = "."
	}
	row[7] = r.box(zone)
	row[8] = r.box(state.String())
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
	row[15] = r.box(q.Sensor)
}

func (r *rowFiller) box(s string) any {
	v, ok := r.boxed[s]
	if !ok {
		v = text(s)
		r.boxed[s] = v
	}
	return v
}

func (r *rowFiller) addr(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	v, ok := r.addrs[a]
	if !ok {
		v = a.Unmap().String()
		r.addrs[a] = v
	}
	return v
}

// eventNanos holds an event time within what can be sealed: 1970 to the last
// full hour that TIMESTAMP_NS can say. Only a broken input brings another.
func eventNanos(ns int64) int64 {
	return min(max(ns, 0), maxNanos-int64(segmentHour)*2)
}
