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
	from, err := sightingTables(ctx, tx)
	if err != nil {
		return s.closed(err)
	}
	if err := each(ctx, tx, q.sql(from)+rest, q.args, f); err != nil {
		return s.closed(err)
	}
	return nil
}

// scanSighting reads a row of sightingQuery.sql.
func (s *Store) scanSighting(ctx context.Context, r *sql.Rows) (v picket.Sighting, err error) {
	var data, bailiwick, detail, sources string
	var first, last, zoneFirst, zoneLast int64
	if err := r.Scan(&v.Name, &v.Type, &data, &bailiwick, &detail, &sources, &first, &last, &zoneFirst, &zoneLast, &v.Count); err != nil {
		return v, err
	}
	if data != "" {
		v.Data = []string{data}
	}
	v.Bailiwick = bailiwick
	v.FirstSeen, v.LastSeen, v.ZoneFirst, v.ZoneLast = fromSeconds(first), fromSeconds(last), fromSeconds(zoneFirst), fromSeconds(zoneLast)
	if detail != "" {
		var d sightingDetail
		if err := json.Unmarshal([]byte(detail), &d); err != nil {
			return v, fmt.Errorf("detail of sighting of %s: %w", v.Name, err)
		}
		v.Issuer, v.Serial, v.Logged = d.Issuer, d.Serial, fromSeconds(d.Logged)
	}
	var ids []uint32
	for id := range strings.SplitSeq(sources, ",") {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return v, fmt.Errorf("source of sighting of %s: %w", v.Name, err)
		}
		ids = append(ids, uint32(n))
	}
	list, err := s.sourcesOf(ctx, ids)
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
	q.fence("first", f.FirstAfter, f.FirstBefore)
	q.fence("last", f.LastAfter, f.LastBefore)
	return q
}

func (q *sightingQuery) and(cond string, args ...any) {
	q.where = append(q.where, cond)
	q.args = append(q.args, args...)
}

func (q *sightingQuery) name(k *nameKeyer, name string, below bool) {
	if !below {
		q.and(`key = ` + number(k.key(name)))
		q.and(`name = ?`, name)
		return
	}
	if name == "." {
		return
	}
	if lo, hi, ok := k.belowRange(name); ok {
		q.and(`key BETWEEN ` + number(lo) + ` AND ` + number(hi))
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
			q.and(`data_key BETWEEN ` + number(lo) + ` AND ` + number(hi))
		}
		if name == "." {
			q.and(dataName + ` <> ''`)
			return
		}
		q.and(`(`+dataName+` = ? OR ends_with(`+dataName+`, ?))`, name, "."+name)
		return
	}
	if addr, err := netip.ParseAddr(data); err == nil && addr.Zone() == "" {
		q.and(`data_key = ` + number(addrKey(addr)))
		q.and(`data = ?`, addr.String())
		return
	}
	// What type it is of is not known: as which it would be stored decides.
	lower, name := lowerText(data), canonicalName(data)
	keys := []string{number(hash64(data)), number(k.apart(name))}
	for _, n := range []int{1, 2, 4} {
		if v := field(lower, n); v != "" && v != lower {
			keys = append(keys, number(k.apart(canonicalName(v))))
		}
	}
	q.and(`data_key IN (` + strings.Join(keys, `, `) + `)`)
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
		q.and(`data_key = ` + number(lo))
	} else {
		q.and(`data_key BETWEEN ` + number(lo) + ` AND ` + number(hi))
	}
	if p.Addr().Is6() && p.Bits() > 64 {
		q.only = func(v *picket.Sighting) bool {
			addr, err := netip.ParseAddr(v.Data[0])
			return err == nil && p.Contains(addr)
		}
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// fence selects by the first or the last time, both ends included. What is not
// known is on neither side.
func (q *sightingQuery) fence(column string, after, before time.Time) {
	if after.IsZero() && before.IsZero() {
		return
	}
	q.having = append(q.having, column+` > 0`)
	if !after.IsZero() {
		from := after
		if from.Nanosecond() > 0 {
			from = from.Add(time.Second) // stored times are whole seconds
		}
		q.having = append(q.having, column+` >= `+strconv.FormatInt(from.Unix(), 10))
	}
	if !before.IsZero() {
		q.having = append(q.having, column+` <= `+strconv.FormatInt(before.Unix(), 10))
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
