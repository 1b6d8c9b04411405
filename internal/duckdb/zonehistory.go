package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

var (
	_ picket.ZoneHistory = (*Store)(nil)
	_ picket.ZonePast    = (*Store)(nil)
)

// historyWhere turns the filter into conditions; those on time are the caller's.
func historyWhere(f *picket.HistoryFilter) (conds []string, args []any) {
	conds = []string{"true"}
	add := func(cond string, a any) {
		conds, args = append(conds, cond), append(args, a)
	}
	if f.Zone != "" {
		add("zone = ?", text(f.Zone))
	}
	switch {
	case f.Name == "" || (f.Below && f.Name == "."):
	case f.Below:
		conds = append(conds, `(name = ? OR ends_with(`+plainName("name")+`, '.' || `+plainName("?")+`))`)
		args = append(args, text(f.Name), text(f.Name))
	default:
		add("name = ?", text(f.Name))
	}
	if f.Type != "" {
		add("type = ?", text(f.Type))
	}
	if f.Source != "" {
		add("source = ?", text(f.Source))
	}
	if !f.Churn {
		conds = append(conds, "NOT churn")
	}
	return conds, args
}

// page reads the rows of a table that a WHERE clause selects, and counts them,
// both in one transaction.
func (s *Store) page(ctx context.Context, columns, table, order string, conds []string, args []any, f *picket.HistoryFilter, row func(*sql.Rows) error) (total int64, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, s.closed(err)
	}
	defer tx.Rollback()
	where := ` FROM ` + table + ` WHERE ` + strings.Join(conds, " AND ")
	if err := tx.QueryRowContext(ctx, `SELECT count(*)`+where, args...).Scan(&total); err != nil || total == 0 {
		return 0, err
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	return total, each(ctx, tx, `SELECT `+columns+where+` ORDER BY `+order+` LIMIT ? OFFSET ?`, append(args, limit, max(f.Offset, 0)), row)
}

// Changes implements picket.ZoneHistory.
func (s *Store) Changes(ctx context.Context, f picket.HistoryFilter) (list []picket.RecordChange, total int64, err error) {
	defer s.observe("zone-changes", time.Now(), &err)
	conds, args := historyWhere(&f)
	if !f.Since.IsZero() {
		conds, args = append(conds, "time >= make_timestamp_ns(?)"), append(args, nanos(f.Since))
	}
	if !f.Until.IsZero() {
		conds, args = append(conds, "time < make_timestamp_ns(?)"), append(args, nanos(f.Until))
	}
	const columns = `id, time, received, zone, name, type, class, old_data, new_data, old_ttl, new_ttl, source, scope, method,
		serial_to IS NOT NULL, coalesce(serial_from, 0), coalesce(serial_to, 0), author, "commit", comment, churn`
	total, err = s.page(ctx, columns, "record_changes", "time DESC, id DESC", conds, args, &f, func(r *sql.Rows) error {
		var c picket.RecordChange
		var before, after duckdbgo.Composite[[]string]
		err := r.Scan(&c.ID, &c.Time, &c.Received, &c.Zone, &c.Name, &c.Type, &c.Class, &before, &after, &c.OldTTL, &c.NewTTL, &c.Source, &c.Scope, &c.Method,
			&c.HasSerial, &c.SerialFrom, &c.SerialTo, &c.Author, &c.Commit, &c.Comment, &c.Churn)
		c.Time, c.Received = c.Time.UTC(), c.Received.UTC()
		c.Old, c.New = append([]string{}, before.Get()...), append([]string{}, after.Get()...)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("changes of zones: %w", err)
	}
	return list, total, nil
}

// Lives implements picket.ZoneHistory.
func (s *Store) Lives(ctx context.Context, f picket.HistoryFilter) (list []picket.RecordLife, total int64, err error) {
	defer s.observe("record-lives", time.Now(), &err)
	conds, args := historyWhere(&f)
	if !f.Since.IsZero() {
		conds, args = append(conds, "(until IS NULL OR until > make_timestamp_ns(?))"), append(args, nanos(f.Since))
	}
	if !f.Until.IsZero() {
		conds, args = append(conds, "since <= make_timestamp_ns(?)"), append(args, nanos(f.Until))
	}
	if f.Living {
		conds = append(conds, "until IS NULL")
	}
	const columns = `zone, name, type, class, ttl, data, source, scope, method, since, began, until, coalesce(since_serial, 0), coalesce(until_serial, 0), churn`
	total, err = s.page(ctx, columns, "record_lives", "name, type, data, since, source, scope, zone, id", conds, args, &f, func(r *sql.Rows) error {
		var l picket.RecordLife
		var until sql.NullTime
		err := r.Scan(&l.Zone, &l.Name, &l.Type, &l.Class, &l.TTL, &l.Data, &l.Source, &l.Scope, &l.Method, &l.Since, &l.Began, &until, &l.SinceSerial, &l.UntilSerial, &l.Churn)
		if l.Since = l.Since.UTC(); until.Valid {
			l.Until = until.Time.UTC()
		}
		list = append(list, l)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("lives of records: %w", err)
	}
	return list, total, nil
}

// ZoneVersions implements picket.ZoneHistory.
func (s *Store) ZoneVersions(ctx context.Context, zone string, limit int) (list []picket.ZoneVersion, err error) {
	defer s.observe("zone-versions", time.Now(), &err)
	if limit <= 0 {
		limit = 100
	}
	const columns = `SELECT zone, source, scope, method, serial IS NOT NULL, coalesce(serial, 0), time, received, records, added, removed, churn, first, partial FROM zone_versions `
	query, args := columns+`WHERE zone = ? ORDER BY id DESC LIMIT ?`, []any{text(zone), limit}
	if zone == "" {
		query = columns + `WHERE id IN (SELECT max(id) FROM zone_versions GROUP BY zone, source, scope) ORDER BY zone, source, scope LIMIT ?`
		args = []any{limit}
	}
	err = each(ctx, s.db, query, args, func(r *sql.Rows) error {
		var v picket.ZoneVersion
		err := r.Scan(&v.Zone, &v.Source, &v.Scope, &v.Method, &v.HasSerial, &v.Serial, &v.Time, &v.Received, &v.Records, &v.Added, &v.Removed, &v.Churn, &v.First, &v.Partial)
		v.Time, v.Received = v.Time.UTC(), v.Received.UTC()
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("versions of zones: %w", s.closed(err))
	}
	return list, nil
}

// lastVersions are the versions that are kept however old they are: the newest of each
// zone in each scope, and the newest with a serial. The next observation is judged by them.
const lastVersions = `SELECT max(id) FROM zone_versions GROUP BY zone, source, scope
	UNION ALL SELECT max(id) FROM zone_versions WHERE serial IS NOT NULL GROUP BY zone, source, scope`

// HistoryRevision implements picket.ZoneHistory and picket.ZonePast. Both ids only
// grow; the least and greatest of a column are kept with its blocks.
func (s *Store) HistoryRevision(ctx context.Context) (n int64, err error) {
	defer s.observe("history-revision", time.Now(), &err)
	err = s.db.QueryRowContext(ctx, `SELECT coalesce((SELECT max(id) FROM record_changes), 0) + coalesce((SELECT max(id) FROM zone_versions), 0)`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("revision of the zone history: %w", s.closed(err))
	}
	return n, nil
}

// EachLiving implements picket.ZonePast. What git says is meant to be there, not seen.
func (s *Store) EachLiving(ctx context.Context, f func(zone, name, rrtype string) error) (err error) {
	defer s.observe("each-living", time.Now(), &err)
	err = each(ctx, s.db, `SELECT zone, name, type FROM record_lives WHERE until IS NULL AND method IN (?, ?, ?) GROUP BY zone, name, type, key ORDER BY zone`,
		[]any{picket.MethodTransfer, picket.MethodFile, picket.MethodPush}, func(r *sql.Rows) error {
			var zone, name, rrtype string
			if err := r.Scan(&zone, &name, &rrtype); err != nil {
				return err
			}
			return f(zone, name, rrtype)
		})
	if err != nil {
		return fmt.Errorf("living records: %w", s.closed(err))
	}
	return nil
}

// EachPast implements picket.ZonePast. A name that lives is there now. What passive
// DNS has seen comes after what was in zones, so that a name may come twice.
func (s *Store) EachPast(ctx context.Context, f func(name string, last time.Time) error) (err error) {
	defer s.observe("each-past", time.Now(), &err)
	now := nanos(s.opt.Now())
	err = each(ctx, s.db, `SELECT name, max(coalesce(until, greatest(since, make_timestamp_ns(?)))) FROM record_lives GROUP BY name`, []any{now}, func(r *sql.Rows) error {
		var name string
		var last time.Time
		if err := r.Scan(&name, &last); err != nil {
			return err
		}
		return f(name, last.UTC())
	})
	if err != nil {
		return fmt.Errorf("names of the past: %w", s.closed(err))
	}
	return s.eachSeenName(ctx, f)
}
