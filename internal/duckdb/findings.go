package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// upsertFindings writes any number of findings, one list for each column: a
// statement costs DuckDB milliseconds, a row in it next to nothing. The table
// has no secondary index to maintain: an update that touches an index is a
// delete and an insert to DuckDB, which conflict within one transaction.
const upsertFindings = `INSERT INTO findings
	(id, detector, zone, source_prefix, severity, summary, first_seen, last_seen, open, updated_at, revision, finding)
SELECT id, detector, zone, source_prefix, severity, summary, make_timestamp_ns(first_seen), make_timestamp_ns(last_seen),
	open, make_timestamp_ns(updated_at), nextval('findings_revision'), finding
FROM (SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS detector, unnest(?::VARCHAR[]) AS zone,
	unnest(?::VARCHAR[]) AS source_prefix, unnest(?::BIGINT[]) AS severity, unnest(?::VARCHAR[]) AS summary,
	unnest(?::BIGINT[]) AS first_seen, unnest(?::BIGINT[]) AS last_seen, unnest(?::BOOLEAN[]) AS open,
	unnest(?::BIGINT[]) AS updated_at, unnest(?::VARCHAR[]) AS finding)
ON CONFLICT (id) DO UPDATE SET
	detector = excluded.detector, zone = excluded.zone, source_prefix = excluded.source_prefix,
	severity = excluded.severity, summary = excluded.summary, first_seen = excluded.first_seen,
	last_seen = excluded.last_seen, open = excluded.open, updated_at = excluded.updated_at,
	revision = excluded.revision, finding = excluded.finding`

// findingRow is a finding ready to be written.
type findingRow struct {
	id, detector, zone, prefix, summary, doc string
	severity                                 int64
	firstSeen, lastSeen, updatedAt           int64
	open                                     bool
}

// PutFinding writes f, replacing what has its id, and returns after commit.
func (s *Store) PutFinding(ctx context.Context, f *picket.Finding, open bool) (err error) {
	defer s.observe("put-finding", time.Now(), &err)
	if f.ID == "" {
		return fmt.Errorf("put finding: empty id: %w", picket.ErrBadValue)
	}
	doc, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("put finding %q: encode: %w", f.ID, err)
	}
	row := &findingRow{
		id: text(f.ID), detector: text(f.Detector), zone: text(f.Zone), prefix: text(f.Source.Prefix),
		summary: text(f.Summary), doc: string(doc), severity: int64(f.Severity),
		firstSeen: nanos(f.FirstSeen), lastSeen: nanos(f.LastSeen), updatedAt: nanos(s.opt.Now()), open: open,
	}
	if err := s.submit(ctx, &operation{finding: row}); err != nil {
		return fmt.Errorf("put finding %q: %w", f.ID, err)
	}
	return nil
}

// putFindings writes the findings of a transaction in one statement. Of several
// with one id the last counts.
func (s *Store) putFindings(ctx context.Context, rows []*findingRow) error {
	last := make(map[string]int, len(rows))
	for i, r := range rows {
		last[r.id] = i
	}
	var (
		id, detector, zone, prefix, summary, doc []string
		severity, firstSeen, lastSeen, updatedAt []int64
		open                                     []bool
	)
	for i, r := range rows {
		if last[r.id] != i {
			continue
		}
		id, detector, zone = append(id, r.id), append(detector, r.detector), append(zone, r.zone)
		prefix, summary, doc = append(prefix, r.prefix), append(summary, r.summary), append(doc, r.doc)
		severity, firstSeen = append(severity, r.severity), append(firstSeen, r.firstSeen)
		lastSeen, updatedAt = append(lastSeen, r.lastSeen), append(updatedAt, r.updatedAt)
		open = append(open, r.open)
	}
	_, err := s.upsert.ExecContext(ctx, id, detector, zone, prefix, severity, summary, firstSeen, lastSeen, open, updatedAt, doc)
	return err
}

const findingColumns = `finding::VARCHAR, open, epoch_ns(updated_at), revision`

// Findings returns the selected findings, newest LastSeen first, those of equal
// time by id. The text of the filter is looked for without regard to case.
func (s *Store) Findings(ctx context.Context, f picket.FindingFilter) (list []picket.StoredFinding, total int, err error) {
	defer s.observe("findings", time.Now(), &err)
	where, args := findingWhere(f)
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	// One transaction, so that the count and the page are of one state.
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("list findings: %w", s.closed(err))
	}
	defer tx.Rollback()
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM findings`+where, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count findings: %w", err)
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+findingColumns+` FROM findings`+where+
		` ORDER BY last_seen DESC, id LIMIT ? OFFSET ?`, append(args, limit, max(f.Offset, 0))...)
	if err != nil {
		return nil, 0, fmt.Errorf("list findings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		sf, err := scanFinding(rows)
		if err != nil {
			return nil, 0, fmt.Errorf("list findings: %w", err)
		}
		list = append(list, *sf)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("list findings: %w", err)
	}
	return list, total, nil
}

// findingWhere turns the filter into a WHERE clause with its arguments. All
// values travel as arguments.
func findingWhere(f picket.FindingFilter) (string, []any) {
	var conds []string
	var args []any
	add := func(cond string, a ...any) {
		conds, args = append(conds, cond), append(args, a...)
	}
	if f.Zone != "" {
		add("zone = ?", text(f.Zone))
	}
	if f.Detector != "" {
		add("detector = ?", text(f.Detector))
	}
	if f.MinSeverity > picket.SeverityInformational {
		add("severity >= ?", uint8(f.MinSeverity))
	}
	if !f.Since.IsZero() {
		add("last_seen >= make_timestamp_ns(?)", nanos(f.Since))
	}
	if !f.Until.IsZero() {
		add("last_seen < make_timestamp_ns(?)", nanos(f.Until))
	}
	if f.Text != "" {
		t := strings.ToLower(text(f.Text))
		add("(contains(lower(summary), ?) OR contains(lower(source_prefix), ?) OR contains(lower(id), ?))", t, t, t)
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// Finding returns one finding; picket.ErrNotFound when there is none.
func (s *Store) Finding(ctx context.Context, id string) (_ *picket.StoredFinding, err error) {
	defer s.observe("finding", time.Now(), &err)
	row := s.db.QueryRowContext(ctx, `SELECT `+findingColumns+` FROM findings WHERE id = ?`, text(id))
	sf, err := scanFinding(row)
	if errors.Is(err, sql.ErrNoRows) {
		err = picket.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("finding %q: %w", id, s.closed(err))
	}
	return sf, nil
}

// FindingsRevision returns the greatest revision in the store, 0 when it is empty.
func (s *Store) FindingsRevision(ctx context.Context) (rev int64, err error) {
	defer s.observe("findings-revision", time.Now(), &err)
	if err := s.db.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM findings`).Scan(&rev); err != nil {
		return 0, fmt.Errorf("findings revision: %w", s.closed(err))
	}
	return rev, nil
}

// scanFinding reads one row of findingColumns.
func scanFinding(row interface{ Scan(...any) error }) (*picket.StoredFinding, error) {
	var (
		sf      picket.StoredFinding
		doc     string
		updated int64
	)
	if err := row.Scan(&doc, &sf.Open, &updated, &sf.Revision); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &sf.Finding); err != nil {
		return nil, fmt.Errorf("decode finding: %w", err)
	}
	sf.UpdatedAt = time.Unix(0, updated).UTC()
	return &sf, nil
}

// text makes s storable: DuckDB holds UTF-8, and names come from anywhere.
// encoding/json replaces the same bytes in the same way.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// closed says ErrClosed where the driver's own words would puzzle.
func (s *Store) closed(err error) error {
	select {
	case <-s.closing:
		return errors.Join(ErrClosed, err)
	default:
		return err
	}
}
