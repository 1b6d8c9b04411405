package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// QueryFilter selects from the query history. Zero fields select everything.
type QueryFilter struct {
	Zone   string    // apex with trailing dot
	Client string    // an address, or a prefix such as 192.0.2.0/24
	Name   string    // presentation form in lower case, the trailing dot is optional
	Since  time.Time // event time
	Until  time.Time // exclusive
	Limit  int       // 0 means 100
}

// QueryRow is one query as the history holds it. "" and 0 stand for what the
// input did not have.
type QueryRow struct {
	Time         time.Time         `json:"time"`
	Client       string            `json:"client,omitempty"`
	Server       string            `json:"server,omitempty"`
	ClientPort   uint16            `json:"client_port,omitempty"`
	Transport    string            `json:"transport,omitempty"`
	Name         string            `json:"name"` // without trailing dot
	Zone         string            `json:"zone,omitempty"`
	State        string            `json:"state"`
	Opcode       uint8             `json:"opcode"`
	Type         uint16            `json:"qtype"`
	Class        uint16            `json:"qclass"`
	Rcode        picket.Rcode      `json:"rcode"` // picket.RcodeUnknown when the input had none
	Flags        picket.QueryFlags `json:"flags"`
	ClientSubnet string            `json:"ecs,omitempty"`
	Sensor       string            `json:"sensor,omitempty"`
}

// segmentsAtOnce bounds how many files one statement opens.
const segmentsAtOnce = 48

// Queries returns the newest selected queries, recent and sealed, newest first.
// It reads segments from the newest back and stops when older ones cannot
// contribute; a filter without Since may still read all of them.
func (s *Store) Queries(ctx context.Context, f QueryFilter) (list []QueryRow, err error) {
	defer s.observe("queries", time.Now(), &err)
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args, prefix, err := queryWhere(f)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	s.files.RLock()
	defer s.files.RUnlock()
	// One transaction: a row is seen in the table or in its segment, never in both.
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", s.closed(err))
	}
	defer tx.Rollback()
	rest, rargs := segmentRange(f.Since, f.Until)
	segments, err := selectSegments(ctx, tx, rest+` AND kind = 'query' ORDER BY hour DESC, path`, rargs...)
	if err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	r := historyReader{tx: tx, where: where, args: args, prefix: prefix, limit: f.Limit}
	if list, err = r.read(ctx, "queries_recent", nil); err != nil {
		return nil, fmt.Errorf("query history: %w", err)
	}
	for len(segments) > 0 {
		// Segments do not reach beyond their hour.
		if len(list) == f.Limit && !list[f.Limit-1].Time.Before(segments[0].Hour.Add(segmentHour)) {
			break
		}
		n := min(len(segments), segmentsAtOnce)
		from, err := s.segmentSource(segments[:n])
		if err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		if list, err = r.read(ctx, from, list); err != nil {
			return nil, fmt.Errorf("query history: %w", err)
		}
		segments = segments[n:]
	}
	return list, nil
}

// queryWhere turns the filter into a WHERE clause. A client that is a prefix of
// more than one address is returned apart: text does not compare by prefix.
func queryWhere(f QueryFilter) (where string, args []any, prefix netip.Prefix, err error) {
	conds := []string{"true"}
	add := func(cond string, a any) {
		conds, args = append(conds, cond), append(args, a)
	}
	if f.Zone != "" {
		add("zone = ?", text(f.Zone))
	}
	if f.Name != "" {
		name := text(f.Name)
		if name != "." {
			name = strings.TrimSuffix(name, ".")
		}
		add("name = ?", name)
	}
	if !f.Since.IsZero() {
		add("time >= make_timestamp_ns(?)", nanos(f.Since))
	}
	if !f.Until.IsZero() {
		add("time < make_timestamp_ns(?)", nanos(f.Until))
	}
	if f.Client != "" {
		prefix, err = parseClient(f.Client)
		if err != nil {
			return "", nil, prefix, err
		}
		if prefix.IsSingleIP() {
			add("client = ?", prefix.Addr().String())
			prefix = netip.Prefix{}
		}
	}
	return " WHERE " + strings.Join(conds, " AND "), args, prefix, nil
}

func parseClient(c string) (netip.Prefix, error) {
	if strings.Contains(c, "/") {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return p, fmt.Errorf("client %q is no prefix: %w", c, picket.ErrBadValue)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(c)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("client %q is no address: %w", c, picket.ErrBadValue)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// segmentSource is the FROM clause over segments. A file that is missing is an
// error here: history that silently lacks an hour would be a wrong answer.
func (s *Store) segmentSource(list []Segment) (string, error) {
	names := make([]string, len(list))
	for i, g := range list {
		name, err := s.file(g.Path)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("segment %s is recorded but cannot be read: %w", g.Path, err)
		}
		names[i] = quote(name)
	}
	return "read_parquet([" + strings.Join(names, ", ") + "])", nil
}

// historyReader reads the same selection from several places.
type historyReader struct {
	tx     *sql.Tx
	where  string
	args   []any
	prefix netip.Prefix // invalid when it does not select
	limit  int
}

// read adds the selected rows of a source to list and keeps the newest.
func (r *historyReader) read(ctx context.Context, from string, list []QueryRow) ([]QueryRow, error) {
	where, args := r.where, r.args
	if r.prefix.IsValid() {
		clients, err := r.clients(ctx, from)
		if err != nil || len(clients) == 0 {
			return list, err
		}
		where, args = where+" AND client IN (SELECT unnest(?::VARCHAR[]))", append(args[:len(args):len(args)], clients)
	}
	rows, err := r.tx.QueryContext(ctx, `SELECT epoch_ns(time), coalesce(client, ''), coalesce(server, ''), coalesce(client_port, 0),
		coalesce(transport, ''), name, zone, state, opcode, qtype, qclass, coalesce(rcode, -1), flags, coalesce(ecs, ''), sensor
		FROM `+from+where+` ORDER BY time DESC LIMIT ?`, append(args[:len(args):len(args)], r.limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			q  QueryRow
			ns int64
		)
		err := rows.Scan(&ns, &q.Client, &q.Server, &q.ClientPort, &q.Transport, &q.Name, &q.Zone, &q.State,
			&q.Opcode, &q.Type, &q.Class, &q.Rcode, &q.Flags, &q.ClientSubnet, &q.Sensor)
		if err != nil {
			return nil, err
		}
		q.Time = utc(ns)
		list = append(list, q)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Time.After(list[j].Time) })
	return list[:min(len(list), r.limit)], nil
}

// clients returns the clients of a source that lie in the prefix.
func (r *historyReader) clients(ctx context.Context, from string) ([]string, error) {
	rows, err := r.tx.QueryContext(ctx, `SELECT DISTINCT client FROM `+from+r.where+` AND client IS NOT NULL`, r.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return nil, err
		}
		if a, err := netip.ParseAddr(c); err == nil && r.prefix.Contains(a.WithZone("")) {
			list = append(list, c)
		}
	}
	return list, rows.Err()
}
