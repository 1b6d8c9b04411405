package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Sightings implements picket.SightingQuerier.
func (s *Store) Sightings(ctx context.Context, f picket.SightingFilter) (list []picket.Sighting, err error) {
	defer s.observe("sightings", time.Now(), &err)
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	q := newSightingQuery(&f)
	if list, ok, err := s.lookupSightings(ctx, q, &f); ok || err != nil {
		if err != nil {
			return nil, fmt.Errorf("sightings: %w", s.closed(err))
		}
		return list, nil
	}
	rest, skip := ` ORDER BY last DESC, name, type, data, detail`, max(f.Offset, 0)
	if q.only == nil {
		rest += ` LIMIT ` + strconv.Itoa(f.Limit) + ` OFFSET ` + strconv.Itoa(skip)
		skip = 0
	}
	err = s.readSightings(ctx, q, rest, func(r *sql.Rows) error {
		v, err := s.scanSighting(ctx, r)
		switch {
		case err != nil:
			return err
		case q.only != nil && (len(list) == f.Limit || !q.only(&v)):
		case skip > 0:
			skip--
		default:
			list = append(list, v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sightings: %w", err)
	}
	return list, nil
}

// CountSightings implements picket.SightingQuerier.
func (s *Store) CountSightings(ctx context.Context, f picket.SightingFilter) (rows, count int64, err error) {
	defer s.observe("count-sightings", time.Now(), &err)
	q := newSightingQuery(&f)
	q.counting = q.only == nil
	err = s.readSightings(ctx, q, "", func(r *sql.Rows) error {
		if q.counting {
			return r.Scan(&rows, &count)
		}
		v, err := s.scanSighting(ctx, r)
		if err == nil && q.only(&v) {
			rows, count = rows+1, addCounts(count, v.Count)
		}
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count sightings: %w", err)
	}
	return rows, count, nil
}

// readSightings reads recent rows that count and runs in one transaction, so that
// a row that moves is seen once.
func (s *Store) readSightings(ctx context.Context, q *sightingQuery, rest string, f func(*sql.Rows) error) error {
	if q.nothing {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.closed(err)
	}
	defer tx.Rollback()
	from, err := q.tables(ctx, tx)
	if err != nil {
		return s.closed(err)
	}
	if err := each(ctx, tx, q.sql(from)+rest, q.args, f); err != nil {
		return s.closed(err)
	}
	return nil
}

// lookupSightings returns the sightings of one name, if that is all that is asked for.
func (s *Store) lookupSightings(ctx context.Context, q *sightingQuery, f *picket.SightingFilter) (list []picket.Sighting, ok bool, err error) {
	if q.exact == "" || q.nothing {
		return nil, false, nil
	}
	rows, ok, err := s.lookup(ctx, q)
	if !ok || err != nil {
		return nil, false, err
	}
	all := joinRows(rows, f)
	all = all[min(max(f.Offset, 0), len(all)):]
	all = all[:min(f.Limit, len(all))]
	for i := range all {
		v, err := s.sighting(ctx, &all[i])
		if err != nil {
			return nil, false, err
		}
		list = append(list, v)
	}
	return list, true, nil
}

// scanSighting reads a row of sightingQuery.sql.
func (s *Store) scanSighting(ctx context.Context, r *sql.Rows) (v picket.Sighting, err error) {
	var j joined
	var sources string
	if err := r.Scan(&j.name, &j.rrtype, &j.data, &j.bailiwick, &j.detail, &sources, &j.first, &j.last, &j.zoneFirst, &j.zoneLast, &j.count); err != nil {
		return v, err
	}
	for id := range strings.SplitSeq(sources, ",") {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return v, fmt.Errorf("source of sighting of %s: %w", j.name, err)
		}
		j.sources = append(j.sources, uint32(n))
	}
	return s.sighting(ctx, &j)
}

func (s *Store) sighting(ctx context.Context, j *joined) (v picket.Sighting, err error) {
	v = picket.Sighting{Name: j.name, Type: j.rrtype, Bailiwick: j.bailiwick, Count: j.count, FirstSeen: fromSeconds(j.first), LastSeen: fromSeconds(j.last),
		ZoneFirst: fromSeconds(j.zoneFirst), ZoneLast: fromSeconds(j.zoneLast)}
	if j.data != "" {
		v.Data = []string{j.data}
	}
	if j.detail != "" {
		var d sightingDetail
		if err := json.Unmarshal([]byte(j.detail), &d); err != nil {
			return v, fmt.Errorf("detail of sighting of %s: %w", v.Name, err)
		}
		v.Issuer, v.Serial, v.Logged = d.Issuer, d.Serial, fromSeconds(d.Logged)
	}
	list, err := s.sourcesOf(ctx, j.sources)
	if err != nil {
		return v, err
	}
	v.Channel = list[0].channel
	v.Origin = joinShort(list, func(src sightingSource) string { return src.origin })
	v.Sensor = joinShort(list, func(src sightingSource) string { return src.sensor })
	v.SensorID = joinShort(list, func(src sightingSource) string { return src.sensorID })
	return v, nil
}

// joinShort joins what sources have of a kind, sorted, at most eight of them.
func joinShort(list []sightingSource, of func(sightingSource) string) string {
	var all []string
	for _, src := range list {
		if v := of(src); v != "" {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > 8 {
		all = append(all[:8], "…")
	}
	return strings.Join(all, ", ")
}

// sightingQuery is a filter as SQL.
type sightingQuery struct {
	where, having []string
	args          []any // of where
	counting      bool
	nothing       bool // selects nothing at all
	// exact, when not empty, is the one name that is asked for, with its key, and
	// nothing that joinRows cannot select by.
	exact string
	key   uint64
	byKey bool // where bounds the key
	// byData, when not empty, are conditions on data_key, of which where demands one.
	byData []string
	// only, when not nil, is what SQL cannot say: it is asked of every row.
	only func(*picket.Sighting) bool
}

func newSightingQuery(f *picket.SightingFilter) *sightingQuery {
	q := &sightingQuery{}
	var k nameKeyer
	if f.Name != "" {
		q.name(&k, canonicalName(f.Name), f.Below)
	}
	if f.Type != "" && !strings.EqualFold(f.Type, "ANY") {
		q.and(`type = ?`, strings.ToUpper(text(f.Type)))
	}
	if f.Data != "" || f.Net.IsValid() {
		defer func() { q.exact = "" }()
	}
	if f.Data != "" {
		q.data(&k, text(f.Data), f.DataBelow)
	}
	if f.Net.IsValid() {
		q.net(f.Net)
	}
	if f.Bailiwick != "" {
		q.and(`bailiwick = ?`, canonicalName(f.Bailiwick))
	}
	switch f.Channel {
	case "":
	case picket.SightingPassiveDNS:
		q.and(`source % 2 = 0`)
	case picket.SightingCertificate:
		q.and(`source % 2 = 1`)
	default:
		q.nothing = true
	}
	q.fence("first", fence{f.FirstAfter, f.FirstBefore})
	q.fence("last", fence{f.LastAfter, f.LastBefore})
	return q
}

func (q *sightingQuery) and(cond string, args ...any) {
	q.where = append(q.where, cond)
	q.args = append(q.args, args...)
}

// dataKey selects what fulfils one of some conditions on data_key alone.
func (q *sightingQuery) dataKey(conds ...string) {
	q.and(`(` + strings.Join(conds, ` OR `) + `)`)
	if q.byData == nil {
		q.byData = conds
	}
}

func (q *sightingQuery) name(k *nameKeyer, name string, below bool) {
	if !below {
		q.exact, q.key, q.byKey = name, k.key(name), true
		q.and(`key = ` + number(q.key))
		q.and(`name = ?`, name)
		return
	}
	if name == "." {
		return
	}
	if lo, hi, ok := k.belowRange(name); ok {
		q.and(`key BETWEEN ` + number(lo) + ` AND ` + number(hi))
		q.byKey = true
	}
	q.and(`(name = ? OR ends_with(name, ?))`, name, "."+name)
}

// belowRange returns the keys between which all names at and below name are, when
// it is or lies in a registered domain.
func (k *nameKeyer) belowRange(name string) (lo, hi uint64, ok bool) {
	d := k.registered(name)
	if d == "" {
		return 0, 0, false
	}
	lo = hash32(d) << 32
	return lo, lo | math.MaxUint32, true
}

// dataName is the name by which RDATA is found (nameField), "" when it has none.
const dataName = `CASE WHEN type IN ('NS', 'CNAME', 'DNAME', 'PTR') THEN data
	WHEN type IN ('MX', 'AFDB', 'KX', 'RT', 'SVCB', 'HTTPS') THEN split_part(data, ' ', 2)
	WHEN type = 'SRV' THEN split_part(data, ' ', 4) WHEN type = 'SOA' THEN split_part(data, ' ', 1) ELSE '' END`

// data selects by RDATA: the whole text, or the name in it.
func (q *sightingQuery) data(k *nameKeyer, data string, below bool) {
	if below {
		name := canonicalName(data)
		if lo, hi, ok := k.belowRange(name); ok {
			q.dataKey(`data_key BETWEEN ` + number(lo) + ` AND ` + number(hi))
		}
		if name == "." {
			q.and(dataName + ` <> ''`)
			return
		}
		q.and(`(`+dataName+` = ? OR ends_with(`+dataName+`, ?))`, name, "."+name)
		return
	}
	if addr, err := netip.ParseAddr(data); err == nil && addr.Zone() == "" {
		q.dataKey(`data_key = ` + number(addrKey(addr)))
		q.and(`data = ?`, addr.String())
		return
	}
	// What type it is of is not known: as which it would be stored decides.
	lower, name := lowerText(data), canonicalName(data)
	keys := []string{`data_key = ` + number(hash64(data)), `data_key = ` + number(k.apart(name))}
	for _, n := range []int{1, 2, 4} {
		if v := field(lower, n); v != "" && v != lower {
			keys = append(keys, `data_key = `+number(k.apart(canonicalName(v))))
		}
	}
	q.dataKey(keys...)
	q.and(`(data = ? OR data = ? OR `+dataName+` = ?)`, data, lower, name)
}

// net selects addresses.
func (q *sightingQuery) net(p netip.Prefix) {
	lo, hi := addrRange(p)
	if p.Addr().Is4() {
		q.and(`type = 'A' AND regexp_full_match(data, '[0-9.]+')`)
	} else {
		q.and(`type = 'AAAA' AND regexp_full_match(data, '[0-9a-f:.]+')`)
	}
	if lo == hi {
		q.dataKey(`data_key = ` + number(lo))
	} else {
		q.dataKey(`data_key BETWEEN ` + number(lo) + ` AND ` + number(hi))
	}
	if p.Addr().Is6() && p.Bits() > 64 {
		q.only = func(v *picket.Sighting) bool {
			addr, err := netip.ParseAddr(v.Data[0])
			return err == nil && p.Contains(addr)
		}
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// fence is a span of time, both ends included; a zero end is open.
type fence struct{ after, before time.Time }

// within reports whether a stored time is. What is not known is only within a
// fence without ends.
func within(sec int64, f fence) bool {
	lo, hi, ok := f.seconds()
	return !ok || sec > 0 && sec >= lo && sec <= hi
}

// seconds returns the span in whole seconds, which stored times are; ok is false
// when it has no ends.
func (f fence) seconds() (lo, hi int64, ok bool) {
	lo, hi = 1, math.MaxInt64
	if !f.after.IsZero() {
		lo = max(lo, f.after.Unix())
		if f.after.Nanosecond() > 0 {
			lo++
		}
	}
	if !f.before.IsZero() {
		hi = f.before.Unix()
	}
	return lo, hi, !f.after.IsZero() || !f.before.IsZero()
}

// fence selects by the first or the last time.
func (q *sightingQuery) fence(column string, f fence) {
	if lo, hi, ok := f.seconds(); ok {
		q.having = append(q.having, fmt.Sprintf(`%s BETWEEN %d AND %d`, column, lo, hi))
	}
}

// sql returns the statement up to ORDER BY.
func (q *sightingQuery) sql(from string) string {
	var b strings.Builder
	b.WriteString(`SELECT name, type, data, coalesce(max(bailiwick), '') AS bailiwick, coalesce(detail, '') AS detail,
		string_agg(DISTINCT source, ',') AS sources,
		coalesce(min(nullif(first, 0)), 0)::BIGINT AS first, max(last) AS last,
		coalesce(min(nullif(zone_first, 0)), 0)::BIGINT AS zone_first, max(zone_last) AS zone_last,
		least(sum(count), 9223372036854775807)::BIGINT AS count FROM (` + from + `)`)
	if len(q.where) > 0 {
		b.WriteString(` WHERE ` + strings.Join(q.where, ` AND `))
	}
	b.WriteString(` GROUP BY name, type, data, detail, source % 2`)
	stmt := b.String()
	if len(q.having) > 0 {
		stmt = `SELECT * FROM (` + stmt + `) WHERE ` + strings.Join(q.having, ` AND `)
	}
	if q.counting {
		stmt = `SELECT count(*), least(coalesce(sum(count), 0), 9223372036854775807)::BIGINT FROM (` + stmt + `)`
	}
	return stmt
}
