package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"maps"
	"slices"
	"strings"
	"time"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// fewRows is up to how many rows are cheaper by a statement each than by an Appender.
const fewRows = 3

// insertRows writes n rows into columns of a table.
func (p *step) insertRows(table string, columns []string, n int, row func(i int) []driver.Value) error {
	if n > fewRows {
		return p.c.Raw(func(dc any) error { return appendRows(dc.(driver.Conn), "", table, columns, n, row) })
	}
	query := `INSERT INTO ` + table + ` ("` + strings.Join(columns, `", "`) + `") VALUES (?` + strings.Repeat(`, ?`, len(columns)-1) + `)`
	for i := range n {
		values := row(i)
		args := make([]any, len(values))
		for i, v := range values {
			if key, ok := v.(duckdbgo.UUID); ok { // which only an Appender takes
				v = key.String()
			}
			args[i] = v
		}
		if _, err := p.s.exec(p.ctx, p.c, query, args...); err != nil {
			return err
		}
	}
	return nil
}

func timeOf(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// serialOf is a serial for a column.
func serialOf(n sql.Null[int64]) driver.Value {
	if !n.Valid {
		return nil
	}
	return uint32(n.V)
}

// changeLives ends and begins lives. Times may go backwards, when an older
// observation comes after a newer one: no life ends before it began, or begins
// before the last one of the same record ended.
func (p *step) changeLives() error {
	var ends, ttls, begins []*stepDiff
	for i := range p.diffs {
		switch d := &p.diffs[i]; d.kind {
		case "end":
			ends = append(ends, d)
		case "ttl":
			ttls = append(ttls, d)
		case "begin":
			begins = append(begins, d)
		}
	}
	err := p.update(ends, `UPDATE record_lives SET until = greatest(since, make_timestamp_ns($1)), until_serial = $2 WHERE `, func(d *stepDiff) [2]any {
		return [2]any{d.time, serialOf(p.zones[d.zone].to)}
	})
	if err == nil {
		err = p.update(ttls, `UPDATE record_lives SET ttl = $1::BIGINT + $2::BIGINT WHERE `, func(d *stepDiff) [2]any { return [2]any{d.row.TTL, 0} })
	}
	if err == nil {
		err = p.begin(begins)
	}
	return err
}

// update carries out a statement for the lives of which it says the same.
func (p *step) update(diffs []*stepDiff, query string, args func(*stepDiff) [2]any) error {
	by := map[[2]any][]int64{}
	for _, d := range diffs {
		a := args(d)
		by[a] = append(by[a], d.was.id)
	}
	for a, ids := range by {
		slices.Sort(ids)
		for part := range slices.Chunk(ids, 500) {
			var err error
			if len(part) == 1 {
				_, err = p.s.exec(p.ctx, p.c, query+`id = $3`, a[0], a[1], part[0])
			} else {
				_, err = p.c.ExecContext(p.ctx, query+among(part), a[0], a[1])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// begin writes new lives.
func (p *step) begin(diffs []*stepDiff) error {
	if len(diffs) == 0 {
		return nil
	}
	id, err := p.h.nextLives(p.ctx, p.c, int64(len(diffs)))
	if err != nil {
		return err
	}
	ended, err := p.endedBefore(diffs)
	if err != nil {
		return err
	}
	columns := []string{"id", "zone", "name", "type", "class", "ttl", "data", "key", "source", "scope", "method", "since", "began", "since_serial", "churn"}
	source, scope, method := p.key.source, p.key.scope, text(p.o.Method)
	return p.insertRows("record_lives", columns, len(diffs), func(i int) []driver.Value {
		d := diffs[i]
		r, z := d.row, p.zones[d.zone]
		began := r.Change != ""
		if p.o.Whole {
			began = !z.first
		}
		if until, ok := ended[endedAt{d.zone, r.key}]; ok {
			d.time = max(d.time, until)
		}
		d.was.id = id + int64(i)
		return []driver.Value{d.was.id, p.l.zones[d.zone].name, r.Name, r.Type, r.Class, r.TTL, r.Data, r.key, source, scope, method, timeOf(d.time), began, serialOf(z.to), r.churn}
	})
}

// nextLives returns the first of n ids of lives. They only grow while the store is open.
func (h *zoneHistory) nextLives(ctx context.Context, c *sql.Conn, n int64) (first int64, err error) {
	if h.lastLife == 0 {
		if err := c.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM record_lives`).Scan(&h.lastLife); err != nil {
			return 0, err
		}
	}
	first = h.lastLife + 1
	h.lastLife += n
	return first, nil
}

type endedAt struct {
	zone uint32
	key  duckdbgo.UUID
}

// endedBefore finds when records that begin ended for the last time, as far as it was after that.
func (p *step) endedBefore(diffs []*stepDiff) (map[endedAt]int64, error) {
	var keys []string
	for _, d := range diffs {
		if d.time < p.l.horizon {
			keys = append(keys, "'"+d.row.key.String()+"'")
		}
	}
	found := map[endedAt]int64{}
	for part := range slices.Chunk(keys, 500) {
		err := each(p.ctx, p.c, `SELECT zone, key, epoch_ns(max(until)) FROM record_lives WHERE source = ? AND scope = ? AND until IS NOT NULL AND key IN (`+strings.Join(part, ",")+`) GROUP BY zone, key`,
			[]any{p.key.source, p.key.scope}, func(r *sql.Rows) error {
				var zone string
				var at endedAt
				var until int64
				if err := r.Scan(&zone, &at.key, &until); err != nil {
					return err
				}
				if i, ok := p.l.zoneOf[zone]; ok {
					at.zone = i
					found[at] = until
				}
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (p *step) writeChanges() error {
	columns := []string{"time", "received", "zone", "name", "type", "class", "old_data", "new_data", "old_ttl", "new_ttl", "source", "scope", "method",
		"serial_from", "serial_to", "author", "commit", "comment", "churn"}
	source, scope, method := p.key.source, p.key.scope, text(p.o.Method)
	return p.insertRows("record_changes", columns, len(p.changes), func(i int) []driver.Value {
		s := p.changes[i]
		z := p.zones[s.zone]
		from := z.from
		from.Valid = from.Valid && z.to.Valid
		return []driver.Value{timeOf(s.time), timeOf(p.received), p.l.zones[s.zone].name, s.name, s.rrtype, s.class,
			slices.Sorted(maps.Keys(s.before)), slices.Sorted(maps.Keys(s.after)), s.before.ttl(), s.after.ttl(), source, scope, method,
			serialOf(from), serialOf(z.to), or(s.author, text(p.o.Author)), or(s.commit, text(p.o.Commit)), or(s.comment, text(p.o.Comment)), s.churn}
	})
}

// or returns the first text unless it is empty.
func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// writeVersions notes the state of each zone that has changed or has a new serial. At
// a first look nothing is added: there is nothing to compare with.
func (p *step) writeVersions() error {
	var list []uint32
	for i, z := range p.zones {
		if z.first || z.differs || (z.to.Valid && z.to != p.l.zones[i].serial) {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b uint32) int { return strings.Compare(p.l.zones[a].name, p.l.zones[b].name) })
	count := map[uint32]int64{}
	for i := range p.diffs {
		switch d := &p.diffs[i]; d.kind {
		case "begin":
			count[d.zone]++
		case "end":
			count[d.zone]--
		}
	}
	columns := []string{"zone", "source", "scope", "method", "serial", "time", "received", "records", "added", "removed", "churn", "first", "partial"}
	source, scope, method := p.key.source, p.key.scope, text(p.o.Method)
	return p.insertRows("zone_versions", columns, len(list), func(n int) []driver.Value {
		i := list[n]
		z, at := p.zones[i], p.at
		if z.differs {
			at = z.time
		}
		return []driver.Value{p.l.zones[i].name, source, scope, method, serialOf(z.to), timeOf(at), timeOf(p.received), p.l.zones[i].records + count[i],
			z.added, z.removed, z.churn, z.first, p.o.Partial}
	})
}

// remember brings what is held of the scope up to what was written.
func (p *step) remember() {
	for i := range p.diffs {
		d := &p.diffs[i]
		switch d.kind {
		case "end":
			p.l.remove(d.was.rrset, d.was.id)
		case "ttl":
			if f := p.l.find(d.was.rrset, d.was.key, d.zone); f != nil {
				f.ttl = d.row.TTL
				p.l.gen++
			}
		case "begin":
			p.l.add(fingerprint{key: d.row.key, rrset: d.row.rrset, id: d.was.id, ttl: d.row.TTL, zone: d.zone, churn: d.row.churn})
		}
		p.l.horizon = max(p.l.horizon, d.time)
	}
	for i, z := range p.zones {
		known := &p.l.zones[i]
		if z.first || z.differs || (z.to.Valid && z.to != known.serial) {
			known.known = true
			if z.to.Valid {
				known.serial = z.to
			}
			if p.h.apexes != nil && known.name != "" {
				p.h.apexes[plainText(known.name)] = known.name
			}
		}
	}
	p.h.makeRoom(p.key)
}
