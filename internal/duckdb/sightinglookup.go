package duckdb

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/picket-dns/picket"
)

// Lookups of one name are by far the most frequent, and grouping in SQL costs them
// more than finding their rows. They are read as they are and joined here.

// lookupRows is how many rows a lookup joins in memory; names with more are left to SQL.
const lookupRows = 5000

// runSet is the runs that count, kept in memory so that a lookup need not ask for
// them in a transaction. A swap makes it unknown before it begins: a lookup during
// which no swap has begun, nor was going on, has seen the set that it was given,
// and no row twice or never.
type runSet struct {
	mu      sync.Mutex
	runs    []sightingRun
	known   bool
	changes int // swaps begun
	active  int // swaps going on
}

// swap runs the transaction that changes sighting_runs.
func (s *Store) swap(ctx context.Context, run func(context.Context, *sql.Conn) error) error {
	r := &s.sightings.runs
	r.mu.Lock()
	r.active, r.changes, r.known = r.active+1, r.changes+1, false
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.active--
		r.mu.Unlock()
	}()
	return s.write(ctx, run)
}

// get returns the set as far as it is known, and the number of swaps so far.
func (r *runSet) get() (runs []sightingRun, known bool, changes, active int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs, r.known, r.changes, r.active
}

// knownRuns returns the runs that count; known is false while a swap is going on.
func (s *Store) knownRuns(ctx context.Context) (runs []sightingRun, known bool, changes int, err error) {
	r := &s.sightings.runs
	runs, known, changes, active := r.get()
	if known || active > 0 {
		return runs, known, changes, nil
	}
	if runs, err = runsOf(ctx, s.db); err != nil {
		return nil, false, changes, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes != changes {
		return nil, false, changes, nil
	}
	r.runs, r.known = runs, true
	return runs, true, changes, nil
}

// lookup reads the rows of one name. ok is false when it has to be asked in full.
func (s *Store) lookup(ctx context.Context, q *sightingQuery) (rows []sightingRow, ok bool, err error) {
	runs, known, changes, err := s.knownRuns(ctx)
	if err != nil || !known {
		return nil, false, err
	}
	var b strings.Builder
	where := ` WHERE key = ` + number(q.key)
	may, unread := s.sightings.recent.may(q.key)
	if unread {
		if err := s.readRecentKeys(ctx); err != nil {
			return nil, false, err
		}
	}
	var from []string
	if may {
		from = append(from, `SELECT `+lookupColumns+`, delivery FROM sightings_recent`+where)
	}
	for _, r := range runs {
		from = append(from, `SELECT `+lookupColumns+`, 0::BIGINT FROM `+r.table()+where)
	}
	if len(from) == 0 {
		_, _, now, _ := s.sightings.runs.get()
		return nil, now == changes, nil
	}
	b.WriteString(strings.Join(from, ` UNION ALL `))
	open := false
	list, err := s.db.QueryContext(ctx, b.String())
	if err != nil {
		return nil, false, nil // a run may have gone in between: the full way says what is wrong
	}
	defer list.Close()
	var bailiwick, detail sql.NullString
	for list.Next() {
		var r sightingRow
		var delivery int64
		err := list.Scan(&r.source, &r.name, &r.rrtype, &r.data, &bailiwick, &detail, &r.first, &r.last, &r.zoneFirst, &r.zoneLast, &r.count, &delivery)
		if err != nil {
			return nil, false, err
		}
		r.bailiwick, r.detail = bailiwick.String, detail.String
		open = open || delivery != 0 // whether it counts is not known here
		if open || len(rows) == lookupRows {
			return nil, false, nil
		}
		if r.name == q.exact {
			rows = append(rows, r)
		}
	}
	if _, _, now, _ := s.sightings.runs.get(); list.Err() != nil || now != changes {
		return nil, false, ctx.Err()
	}
	return rows, true, nil
}

const lookupColumns = `source, name, type, data, bailiwick, detail, first, last, zone_first, zone_last, count`

// joined is a sighting of several sources.
type joined struct {
	sightingRow
	sources []uint32
}

// joinRows does what sightingQuery.sql does: rows that the filter selects, what is
// the same as one, in the order in which sightings are returned.
func joinRows(rows []sightingRow, f *picket.SightingFilter) []joined {
	bailiwick := ""
	if f.Bailiwick != "" {
		bailiwick = canonicalName(f.Bailiwick)
	}
	type same struct {
		rrtype, data, detail string
		certificate          bool
	}
	at := map[same]int{}
	var list []joined
	for _, r := range rows {
		certificate := r.source%2 == 1
		if bailiwick != "" && r.bailiwick != bailiwick ||
			f.Type != "" && !strings.EqualFold(f.Type, "ANY") && r.rrtype != strings.ToUpper(text(f.Type)) ||
			f.Channel != "" && certificate != (f.Channel == picket.SightingCertificate) {
			continue
		}
		k := same{r.rrtype, r.data, r.detail, certificate}
		i, ok := at[k]
		if !ok {
			at[k] = len(list)
			list = append(list, joined{r, []uint32{r.source}})
			continue
		}
		j := &list[i]
		j.join(&r)
		j.bailiwick = max(j.bailiwick, r.bailiwick)
		if !slices.Contains(j.sources, r.source) {
			j.sources = append(j.sources, r.source)
		}
	}
	list = slices.DeleteFunc(list, func(j joined) bool {
		return !within(j.first, fence{f.FirstAfter, f.FirstBefore}) || !within(j.last, fence{f.LastAfter, f.LastBefore})
	})
	slices.SortFunc(list, func(a, b joined) int {
		return cmp.Or(cmp.Compare(b.last, a.last), strings.Compare(a.rrtype, b.rrtype), strings.Compare(a.data, b.data), strings.Compare(a.detail, b.detail))
	})
	return list
}

// Lookups by RDATA find the keys of the names first, in the tables that are sorted
// by data_key, then the rows of these names.

// tables selects sightingColumns of all that counts, and leaves out rows that where
// does not select as far as that makes reading shorter.
func (q *sightingQuery) tables(ctx context.Context, tx *sql.Tx) (string, error) {
	if len(q.byData) == 0 || q.byKey {
		return sightingTables(ctx, tx)
	}
	runs, err := runsOf(ctx, tx)
	if err != nil {
		return "", err
	}
	from := sightingsRecent
	for _, r := range runs {
		ranges, ok, err := r.keysOf(ctx, tx, q.byData)
		if err != nil {
			return "", err
		}
		rows := ` UNION ALL SELECT ` + sightingColumns + ` FROM ` + r.table()
		if !ok {
			from += rows
			continue
		}
		for _, k := range ranges {
			from += rows + ` WHERE key BETWEEN ` + number(k.lo) + ` AND ` + number(k.hi)
		}
	}
	return from, nil
}

// keyRange is the keys of names in one registered domain.
type keyRange struct{ lo, hi uint64 }

// maxRanges is how many ranges of keys are read one by one: each takes about a
// millisecond.
const maxRanges = 400

// keysOf returns where the rows are whose data_key fulfils one of conds; ok is false
// when they are in so many places that reading all of the run takes no longer.
func (r sightingRun) keysOf(ctx context.Context, q querier, conds []string) (list []keyRange, ok bool, err error) {
	limit := min(maxRanges, 4+int(r.rows/groupRows))
	// One by one: zone maps are of use for a single condition only.
	from := make([]string, len(conds))
	for i, cond := range conds {
		from[i] = `SELECT key FROM ` + r.byData() + ` WHERE ` + cond
	}
	query := `SELECT min(key), max(key) FROM (` + strings.Join(from, ` UNION ALL `) + `) GROUP BY key >> 32 LIMIT ` + strconv.Itoa(limit+1)
	err = each(ctx, q, query, nil, func(rows *sql.Rows) error {
		var k keyRange
		err := rows.Scan(&k.lo, &k.hi)
		list = append(list, k)
		return err
	})
	return list, len(list) <= limit, err
}
