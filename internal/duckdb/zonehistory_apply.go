package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/picket-dns/picket"
)

// applying is one observation on its way into the history. Each step is one
// statement over sets; what passes between them lies in temporary tables, narrow
// ones where all of a zone is in them.
type applying struct {
	ctx      context.Context
	c        *sql.Conn
	o        *picket.RecordObservation
	delivery int64
	args     map[string]any // of the statements, by what they are called there
	replaces bool           // there are records that take the place of an RRset
	begun    int64          // new lives
}

// applyTables are the temporary tables, in the order in which they are made:
//
//	zh_names   name → zone, for records that do not say their zone
//	zh_now     zone, key: what is staged, the last word on each record
//	zh_diff    what differs from the lives: begin, end, ttl, or unknown (the removal of what was not there)
//	zh_zones   the zones concerned: first look or not, serials
//	zh_sets    the RRsets of which a change is told
//	zh_old, zh_new  their RDATA before and after
var applyTables = [...]string{"zh_names", "zh_now", "zh_diff", "zh_zones", "zh_sets", "zh_old", "zh_new"}

// applyRecords makes lives, changes and versions of the records staged under a
// delivery, and removes them from the stage. It runs inside a transaction of c.
func (s *Store) applyRecords(ctx context.Context, c *sql.Conn, delivery int64, o *picket.RecordObservation) error {
	if delivery == 0 {
		delivery = -1 // nothing is staged under it
	}
	h := &s.history
	life, err := h.nextLives(ctx, c, 0)
	if err != nil {
		return err
	}
	now := s.opt.Now()
	at := o.Time
	if at.IsZero() {
		at = now
	}
	a := &applying{ctx: ctx, c: c, o: o, delivery: delivery, args: map[string]any{
		"delivery": delivery, "source": text(o.Source), "scope": text(o.Scope), "zone": text(o.Zone), "method": text(o.Method),
		"time": nanos(at), "received": nanos(now), "serialfrom": int64(o.SerialFrom), "serialto": int64(o.SerialTo),
		"life": life - 1, "author": text(o.Author), "commit": text(o.Commit), "comment": text(o.Comment),
	}}
	steps := []struct {
		name string
		run  func() error
	}{
		{"find the zones of names", a.zonesOfNames}, {"gather what is staged", a.gather}, {"compare", a.compare}, {"find the zones", a.zones},
		{"find the RRsets", a.sets}, {"note RDATA before", func() error { return a.rdata("zh_old", true) }}, {"change lives", a.lives},
		{"note RDATA after", func() error { return a.rdata("zh_new", false) }}, {"write changes", a.changes}, {"write versions", a.versions}, {"clear the stage", a.clear},
	}
	for _, step := range steps {
		if err := step.run(); err != nil {
			return fmt.Errorf("records of %s: %s: %w", o.Source, step.name, err)
		}
	}
	key := scopeKey{text(o.Source), text(o.Scope)}
	h.forget(key)
	h.changed[key] = struct{}{}
	h.apexes, h.lastLife = nil, h.lastLife+a.begun
	return nil
}

// exec runs a statement in which :name stands for an argument. The statements are
// written here; nothing of an input is ever part of them.
func (a *applying) exec(query string) error {
	query, args := bind(query, a.args)
	_, err := a.c.ExecContext(a.ctx, query, args...)
	return err
}

// bind turns :name into $1, $2 …, with the arguments in that order.
func bind(query string, named map[string]any) (string, []any) {
	var b strings.Builder
	var args []any
	place := map[string]int{}
	for i := 0; i < len(query); i++ {
		if query[i] != ':' || i+1 == len(query) || query[i+1] < 'a' || query[i+1] > 'z' || (i > 0 && query[i-1] == ':') {
			b.WriteByte(query[i])
			continue
		}
		end := i + 1
		for end < len(query) && query[end] >= 'a' && query[end] <= 'z' {
			end++
		}
		name := query[i+1 : end]
		if _, ok := place[name]; !ok {
			args = append(args, named[name])
			place[name] = len(args)
		}
		fmt.Fprintf(&b, "$%d", place[name])
		i = end - 1
	}
	return b.String(), args
}

// plainName is SQL for a name in which every dot ends a label: escaped dots and
// backslashes (RFC 1035 §5.1) become numbers.
func plainName(column string) string {
	return `replace(replace(` + column + `, '\\', '\092'), '\.', '\046')`
}

// zonesOfNames finds the zone of names of which nobody says it: the longest one,
// first of those whose SOA is in the delivery, then of those known, that they are in.
func (a *applying) zonesOfNames() error {
	if err := a.exec(`CREATE OR REPLACE TEMP TABLE zh_names (name VARCHAR, zone VARCHAR)`); err != nil || a.o.Zone != "" {
		return err
	}
	var nameless bool
	err := a.c.QueryRowContext(a.ctx, `SELECT EXISTS (SELECT 1 FROM records_staged WHERE delivery = ? AND zone = '')`, a.delivery).Scan(&nameless)
	if err != nil || !nameless {
		return err
	}
	for _, candidates := range []string{
		`SELECT DISTINCT name AS zone FROM records_staged WHERE delivery = :delivery AND type = 'SOA'`,
		`SELECT DISTINCT zone FROM zone_versions WHERE zone <> ''`,
	} {
		// The parts of a.b.c. are a, b, c and the empty one of the root: its suffixes are a.b.c., b.c., c. and the root.
		err := a.exec(`INSERT INTO zh_names
			SELECT u.name, arg_max(c.zone, length(c.zone)) FROM (
				SELECT name, unnest(list_transform(range(1, len(parts) + 1), lambda i: CASE WHEN i = len(parts) THEN '.' ELSE array_to_string(parts[i:], '.') END)) AS suffix
				FROM (SELECT name, string_split(` + plainName("name") + `, '.') AS parts
					FROM (SELECT DISTINCT name FROM records_staged WHERE delivery = :delivery AND zone = '' AND name NOT IN (SELECT name FROM zh_names)))) u
			JOIN (` + candidates + `) c ON ` + plainName("c.zone") + ` = u.suffix
			GROUP BY u.name`)
		if err != nil {
			return err
		}
	}
	return nil
}

// gather keeps the last row about each record. A removal in what is whole says
// that the record is not there.
func (a *applying) gather() error {
	having := ""
	if a.o.Whole {
		having = `HAVING change <> 'remove'`
	}
	err := a.exec(`CREATE OR REPLACE TEMP TABLE zh_now AS
		SELECT zone, key, max(row) AS row, arg_max(ttl, row) AS ttl, arg_max(change, row) AS change, any_value(churn) AS churn
		FROM (SELECT s.rowid AS row, s.key, s.ttl, s.change, s.churn, coalesce(nullif(s.zone, ''), nullif(:zone, ''), n.zone, '') AS zone
			FROM records_staged s LEFT JOIN zh_names n ON s.zone = '' AND s.name = n.name WHERE s.delivery = :delivery)
		GROUP BY zone, key ` + having)
	if err != nil || a.o.Whole {
		return err
	}
	return a.c.QueryRowContext(a.ctx, `SELECT EXISTS (SELECT 1 FROM zh_now WHERE change = 'replace')`).Scan(&a.replaces)
}

// gone is SQL for the living lives that end when they are not in the observation.
func (a *applying) gone() string {
	switch {
	case a.replaces:
		return `(zone, name, class, ` + answers("") + `) IN (SELECT n.zone, s.name, s.class, ` + answers("s.") + ` FROM zh_now n JOIN records_staged s ON s.rowid = n.row WHERE n.change = 'replace')`
	case !a.o.Whole || a.o.Partial:
		return `false`
	case a.o.Zone != "":
		return `zone = :zone`
	case a.o.Scope == "":
		return `false OR zone IN (SELECT zone FROM zh_now)`
	}
	return `true`
}

// answers is SQL for the type that a record of a table answers for. An alias of a provider has
// it as the first word of its data, and takes the place of records of that type.
func answers(table string) string {
	return `CASE WHEN ` + table + `type = 'ALIAS' THEN split_part(` + table + `data, ' ', 1) ELSE ` + table + `type END`
}

// compare finds what differs between the stage and the lives. A time of its own
// counts for a record that is told by itself, not for one of a whole.
func (a *applying) compare() error {
	own, kind := `s.time`, `CASE WHEN change = 'remove' THEN CASE WHEN life IS NULL THEN 'unknown' ELSE 'end' END WHEN life IS NULL THEN 'begin' WHEN row IS NULL THEN 'end' ELSE 'ttl' END`
	where := `change = 'remove' OR life IS NULL OR ttl <> old_ttl OR (row IS NULL AND gone)`
	if a.o.Method == picket.MethodTransfer { // the whole is known: the removal of what is not there does nothing
		where = `(change = 'remove' AND life IS NOT NULL) OR (change <> 'remove' AND life IS NULL) OR (change <> 'remove' AND ttl <> old_ttl)`
	}
	if a.o.Whole {
		own, kind = `NULL`, `CASE WHEN life IS NULL THEN 'begin' WHEN row IS NULL THEN 'end' ELSE 'ttl' END`
		where = `life IS NULL OR ttl <> old_ttl OR (row IS NULL AND gone)`
	}
	join := `LEFT JOIN`
	if gone := a.gone(); gone != `false` {
		join = `FULL JOIN`
	}
	return a.exec(`CREATE OR REPLACE TEMP TABLE zh_diff AS
		SELECT d.*, coalesce(` + own + `, make_timestamp_ns(:time)) AS time
		FROM (SELECT zone, key, row, life, ttl, change, churn, ` + kind + ` AS kind
			FROM (SELECT coalesce(n.zone, l.zone) AS zone, coalesce(n.key, l.key) AS key, n.row, l.row AS life, n.ttl, l.ttl AS old_ttl,
					n.change, coalesce(n.churn, l.churn) AS churn, l.gone
				FROM zh_now n ` + join + ` (SELECT rowid AS row, zone, key, ttl, churn, ` + a.gone() + ` AS gone FROM record_lives
					WHERE source = :source AND scope = :scope AND until IS NULL AND (zone IN (SELECT zone FROM zh_now) OR ` + a.gone() + `)) l
				ON n.key = l.key AND n.zone = l.zone)
			WHERE ` + where + `) d
		LEFT JOIN records_staged s ON s.rowid = d.row`)
}

// zones finds for each zone concerned whether this is the first look at it, and
// from and to which serial it goes: as the source says, or as the SOA.
func (a *applying) zones() error {
	serials := `r.serial AS serial_from, soa.serial AS serial_to`
	if a.o.HasSerial {
		serials = `:serialfrom::UINTEGER AS serial_from, :serialto::UINTEGER AS serial_to`
	}
	told := `change <> ''`
	if a.o.Whole {
		told = `false`
	}
	return a.exec(`CREATE OR REPLACE TEMP TABLE zh_zones AS
		SELECT z.zone, r.zone IS NULL AND NOT z.told AS first, r.serial AS known, ` + serials + `
		FROM (SELECT zone, bool_or(told) AS told FROM (SELECT zone, ` + told + ` AS told FROM zh_now UNION ALL SELECT zone, false FROM zh_diff) GROUP BY zone) z
		LEFT JOIN (SELECT zone, arg_max(serial, id) AS serial FROM zone_versions WHERE source = :source AND scope = :scope GROUP BY zone) r ON r.zone = z.zone
		LEFT JOIN (SELECT n.zone, any_value(try_cast(split_part(s.data, ' ', 3) AS UINTEGER)) AS serial
			FROM records_staged s JOIN zh_now n ON s.rowid = n.row
			WHERE s.delivery = :delivery AND s.type = 'SOA' AND n.change <> 'remove' GROUP BY n.zone) soa ON soa.zone = z.zone`)
}

// sets finds the RRsets of which a change is told: none at a first look, and not
// those of which a source without the whole only says that they are there.
func (a *applying) sets() error {
	told := `(d.kind <> 'begin' OR d.change <> '')`
	if a.o.Whole {
		told = `true`
	}
	return a.exec(`CREATE OR REPLACE TEMP TABLE zh_sets AS
		WITH d AS (SELECT d.* FROM zh_diff d JOIN zh_zones z ON z.zone = d.zone WHERE NOT z.first AND ` + told + `)
		SELECT zone, name, type, class, max(time) AS time, any_value(churn) AS churn,
			coalesce(max(nullif(author, '')), :author) AS author, coalesce(max(nullif("commit", '')), :commit) AS "commit", coalesce(max(nullif(comment, '')), :comment) AS comment
		FROM (SELECT d.zone, s.name, s.type, s.class, d.time, d.churn, s.author, s."commit", s.comment FROM d JOIN records_staged s ON s.rowid = d.row
			UNION ALL SELECT d.zone, l.name, l.type, l.class, d.time, d.churn, '', '', '' FROM d JOIN record_lives l ON l.rowid = d.life WHERE d.row IS NULL)
		GROUP BY zone, name, type, class`)
}

// rdata notes what is in the RRsets now; before, also what was removed though
// nobody knew of it.
func (a *applying) rdata(table string, before bool) error {
	unknown := ""
	if before {
		unknown = `UNION SELECT d.zone, s.name, s.type, s.class, s.data, s.ttl FROM zh_diff d JOIN records_staged s ON s.rowid = d.row WHERE d.kind = 'unknown'`
	}
	return a.exec(`CREATE OR REPLACE TEMP TABLE ` + table + ` AS
		SELECT zone, name, type, class, list(data ORDER BY data) AS data, max(ttl) AS ttl
		FROM (SELECT l.zone, l.name, l.type, l.class, l.data, l.ttl FROM record_lives l JOIN zh_sets t
				ON l.zone = t.zone AND l.name = t.name AND l.type = t.type AND l.class = t.class
			WHERE l.source = :source AND l.scope = :scope AND l.until IS NULL ` + unknown + `)
		GROUP BY zone, name, type, class`)
}

// lives ends and begins lives. Times may go backwards, when an older observation
// comes after a newer one: no life ends before it began, or begins before the last
// one of the same record ended.
func (a *applying) lives() error {
	if err := a.exec(`UPDATE record_lives SET until = greatest(since, d.time), until_serial = z.serial_to
		FROM zh_diff d JOIN zh_zones z ON z.zone = d.zone WHERE record_lives.rowid = d.life AND d.kind = 'end'`); err != nil {
		return err
	}
	if err := a.exec(`UPDATE record_lives SET ttl = d.ttl FROM zh_diff d WHERE record_lives.rowid = d.life AND d.kind = 'ttl'`); err != nil {
		return err
	}
	began := `d.change <> ''`
	if a.o.Whole {
		began = `NOT z.first`
	}
	query, args := bind(`INSERT INTO record_lives
		SELECT :life + row_number() OVER (), d.zone, s.name, s.type, s.class, s.ttl, s.data, s.key, :source, :scope, :method, greatest(d.time, p.until), `+began+`, NULL, z.serial_to, NULL, d.churn
		FROM zh_diff d JOIN records_staged s ON s.rowid = d.row JOIN zh_zones z ON z.zone = d.zone
		LEFT JOIN (SELECT zone, key, max(until) AS until FROM record_lives WHERE source = :source AND scope = :scope AND until IS NOT NULL GROUP BY zone, key) p
			ON p.key = d.key AND p.zone = d.zone
		WHERE d.kind = 'begin'`, a.args)
	res, err := a.c.ExecContext(a.ctx, query, args...)
	if err == nil {
		a.begun, err = res.RowsAffected()
	}
	return err
}

func (a *applying) changes() error {
	return a.exec(`INSERT INTO record_changes BY NAME
		SELECT t.time, make_timestamp_ns(:received) AS received, t.zone, t.name, t.type, t.class, coalesce(o.data, []) AS old_data, coalesce(n.data, []) AS new_data,
			coalesce(o.ttl, 0) AS old_ttl, coalesce(n.ttl, 0) AS new_ttl, :source AS source, :scope AS scope, :method AS method,
			CASE WHEN z.serial_to IS NOT NULL THEN z.serial_from END AS serial_from, z.serial_to, t.author, t."commit", t.comment, t.churn
		FROM zh_sets t JOIN zh_zones z ON z.zone = t.zone
		LEFT JOIN zh_old o ON o.zone = t.zone AND o.name = t.name AND o.type = t.type AND o.class = t.class
		LEFT JOIN zh_new n ON n.zone = t.zone AND n.name = t.name AND n.type = t.type AND n.class = t.class
		WHERE o.data IS DISTINCT FROM n.data OR o.ttl IS DISTINCT FROM n.ttl
		ORDER BY t.zone, t.name, t.type, t.class`)
}

// versions notes the state of each zone that has changed or has a new serial. At a
// first look nothing is added: there is nothing to compare with.
func (a *applying) versions() error {
	a.args["partial"] = a.o.Partial
	return a.exec(`INSERT INTO zone_versions BY NAME
		SELECT z.zone, :source AS source, :scope AS scope, :method AS method, z.serial_to AS serial, coalesce(d.time, make_timestamp_ns(:time)) AS time,
			make_timestamp_ns(:received) AS received, coalesce(r.records, 0) AS records,
			CASE WHEN z.first THEN 0 ELSE coalesce(d.added, 0) END AS added, coalesce(d.removed, 0) AS removed, CASE WHEN z.first THEN 0 ELSE coalesce(d.churn, 0) END AS churn,
			z.first, :partial AS partial
		FROM zh_zones z
		LEFT JOIN (SELECT zone, max(time) AS time, count(*) FILTER (kind = 'begin' AND NOT churn) AS added, count(*) FILTER (kind = 'end' AND NOT churn) AS removed,
				count(*) FILTER (kind IN ('begin', 'end') AND churn) AS churn FROM zh_diff GROUP BY zone) d ON d.zone = z.zone
		LEFT JOIN (SELECT zone, count(*) AS records FROM record_lives
			WHERE source = :source AND scope = :scope AND until IS NULL AND zone IN (SELECT zone FROM zh_zones) GROUP BY zone) r ON r.zone = z.zone
		WHERE z.first OR d.zone IS NOT NULL OR (z.serial_to IS NOT NULL AND z.serial_to IS DISTINCT FROM z.known)
		ORDER BY z.zone`)
}

// clear leaves nothing in memory, and nothing on the stage.
func (a *applying) clear() error {
	for _, table := range applyTables {
		if err := a.exec(`DROP TABLE IF EXISTS temp.` + table); err != nil {
			return err
		}
	}
	return a.exec(`DELETE FROM records_staged WHERE delivery = :delivery`)
}
