package duckdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// maxStep is how many RRsets may change in an observation that is compared in
// memory; what changes more is compared by the database.
const maxStep = 20_000

// step is an observation that is compared in memory. It does what applying does,
// for observations of which little is new: only what differs reaches the database.
type step struct {
	s   *Store
	ctx context.Context
	c   *sql.Conn
	h   *zoneHistory
	o   *picket.RecordObservation
	d   *heldDelivery
	l   *living
	key scopeKey

	at, received int64 // Unix nanoseconds

	rows    []stepRow // the last word on each record that is held
	diffs   []stepDiff
	zones   map[uint32]*stepZone
	lives   map[int64]*lifeText // of the RRsets of which a change is told
	changes []*stepSet          // of them, those that have changed, sorted
}

// stepRow is a held record with its zone.
type stepRow struct {
	*heldRow
	zone uint32
}

// stepDiff is what becomes of one record. row is nil when nothing was said of it,
// was is the zero fingerprint when it did not live.
type stepDiff struct {
	kind string // begin, end, ttl, or unknown: the removal of what was not there
	row  *heldRow
	was  fingerprint
	zone uint32
	time int64
}

func (d *stepDiff) rrset() uint64 {
	if d.row != nil {
		return d.row.rrset
	}
	return d.was.rrset
}

func (d *stepDiff) churn() bool {
	if d.row != nil {
		return d.row.churn
	}
	return d.was.churn
}

// stepZone is a zone concerned.
type stepZone struct {
	here, told            bool // some record is there; some says what was done
	first, differs        bool
	seen                  int64 // living records that are there again
	soa, from, to         sql.Null[int64]
	time                  int64
	added, removed, churn int64
}

// stepSet is an RRset of which a change is told.
type stepSet struct {
	zone                    uint32
	name, rrtype, class     string
	time                    int64
	churn                   bool
	author, commit, comment string
	before, after           rdata
}

// rdata is what an RRset has: RDATA → TTL.
type rdata map[string]int64

// ttl is the greatest one, 0 of nothing.
func (r rdata) ttl() (ttl int64) {
	for _, t := range r {
		ttl = max(ttl, t)
	}
	return ttl
}

// lifeText is what is not in a fingerprint.
type lifeText struct{ name, rrtype, class, data string }

// stepRecords compares and stores what is held of a delivery. It reports false, with
// nothing done, when the database has to do it. h is locked.
func (s *Store) stepRecords(ctx context.Context, c *sql.Conn, d *heldDelivery, o *picket.RecordObservation) (bool, error) {
	h := &s.history
	p := &step{s: s, ctx: ctx, c: c, h: h, o: o, d: d, key: scopeKey{text(o.Source), text(o.Scope)}, zones: map[uint32]*stepZone{}}
	for _, r := range d.rows {
		if r.Change == picket.ChangeReplace && !o.Whole {
			return false, nil
		}
	}
	now := s.opt.Now()
	p.at, p.received = nanos(now), nanos(now)
	if !o.Time.IsZero() {
		p.at = nanos(o.Time)
	}
	var err error
	if p.l, err = h.livingOf(ctx, c, p.key); err != nil || p.l == nil {
		return false, err
	}
	if d.told != nil && (d.told != p.l || d.gen != p.l.gen) {
		return false, nil
	}
	h.changed[p.key] = struct{}{}
	if err := p.gather(); err != nil {
		return false, fmt.Errorf("find the zones of names: %w", err)
	}
	p.compare()
	p.judgeZones()
	if !p.judgeSets() {
		return false, nil
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"read RDATA before", p.readLives}, {"change lives", p.changeLives}, {"write changes", p.writeChanges}, {"write versions", p.writeVersions},
	} {
		if err := part.run(); err != nil {
			return false, fmt.Errorf("records of %s: %s: %w", o.Source, part.name, err)
		}
	}
	p.remember()
	return true, nil
}

// zoneAt returns what is known of a zone concerned.
func (p *step) zoneAt(i uint32) *stepZone {
	z := p.zones[i]
	if z == nil {
		z = &stepZone{time: minNanos}
		p.zones[i] = z
	}
	return z
}

// gather keeps the last row about each record. A removal in what is whole says
// that the record is not there.
func (p *step) gather() error {
	names, err := p.zonesOfNames()
	if err != nil {
		return err
	}
	type recordAt struct {
		zone uint32
		key  duckdbgo.UUID
	}
	last := make(map[recordAt]int, len(p.d.rows))
	all := make([]stepRow, len(p.d.rows))
	for i, r := range p.d.rows {
		zone := cmp.Or(r.Zone, text(p.o.Zone), names[r.Name])
		all[i] = stepRow{r, p.l.zone(zone)}
		last[recordAt{all[i].zone, r.key}] = i
	}
	for i, r := range all {
		if last[recordAt{r.zone, r.key}] == i && !(p.o.Whole && r.Change == picket.ChangeRemove) {
			p.rows = append(p.rows, r)
		}
	}
	return nil
}

// zonesOfNames finds the zones of names of which nobody says it, as applying does.
func (p *step) zonesOfNames() (map[string]string, error) {
	if p.o.Zone != "" {
		return nil, nil
	}
	found, told := map[string]string{}, map[string]string{}
	for _, r := range p.d.rows {
		if r.Zone == "" {
			found[r.Name] = ""
		}
		if r.Type == "SOA" {
			told[plainText(r.Name)] = r.Name
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	known, err := p.h.knownApexes(p.ctx, p.c)
	if err != nil {
		return nil, err
	}
	for name := range found {
		plain := plainText(name)
		for _, candidates := range []map[string]string{told, known} {
			if found[name] = longestSuffix(plain, candidates); found[name] != "" {
				break
			}
		}
	}
	return found, nil
}

// plainText is what plainName is in SQL.
func plainText(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	return strings.NewReplacer(`\\`, `\092`, `\.`, `\046`).Replace(name)
}

// longestSuffix finds the candidate that a name is in.
func longestSuffix(name string, candidates map[string]string) string {
	for {
		if zone, ok := candidates[name]; ok || name == "." {
			return zone
		}
		_, rest, _ := strings.Cut(name, ".")
		if name = rest; name == "" {
			name = "."
		}
	}
}

// knownApexes are the zones that have versions, by their plain names.
func (h *zoneHistory) knownApexes(ctx context.Context, c *sql.Conn) (map[string]string, error) {
	if h.apexes != nil {
		return h.apexes, nil
	}
	m := map[string]string{}
	err := each(ctx, c, `SELECT DISTINCT zone FROM zone_versions WHERE zone <> ''`, nil, func(r *sql.Rows) error {
		var zone string
		err := r.Scan(&zone)
		m[plainText(zone)] = zone
		return err
	})
	if err == nil {
		h.apexes = m
	}
	return m, err
}

// compare finds what differs between what is held or noted and what lives.
func (p *step) compare() {
	present := idSet{}
	for _, r := range p.rows {
		f := p.l.find(r.rrset, r.key, r.zone)
		z := p.zoneAt(r.zone)
		z.here, z.told = true, z.told || (!p.o.Whole && r.Change != picket.ChangePresent)
		if f != nil && !present.has(f.id) {
			present.add(f.id)
			z.seen++
		}
		if serial, ok := soaSerial(r.heldRow); ok && !z.soa.Valid {
			z.soa = sql.Null[int64]{V: serial, Valid: true}
		}
		p.compareRow(r, f)
	}
	for zone, n := range p.d.zones {
		if n > 0 {
			z := p.zoneAt(zone)
			z.here, z.seen = true, z.seen+n
		}
	}
	if p.o.Whole && !p.o.Partial {
		p.findGone(present)
	}
}

func (p *step) compareRow(r stepRow, f *fingerprint) {
	kind := ""
	switch {
	case r.Change == picket.ChangeRemove && f != nil:
		kind = "end"
	case r.Change == picket.ChangeRemove:
		if kind = "unknown"; p.o.Method == picket.MethodTransfer {
			return // the whole is known: the removal of what is not there does nothing
		}
	case f == nil:
		kind = "begin"
	case f.ttl != r.TTL:
		kind = "ttl"
	default:
		return
	}
	at := p.at
	if !p.o.Whole && !r.Time.IsZero() {
		at = nanos(r.Time)
	}
	diff := stepDiff{kind: kind, row: r.heldRow, zone: r.zone, time: at}
	if f != nil {
		diff.was = *f
	}
	p.diffs = append(p.diffs, diff)
}

// findGone finds what lives and was not there. A zone of which as much was there as
// lives has lost nothing.
func (p *step) findGone(present idSet) {
	scope := make([]bool, len(p.l.zones)) // zones that have lost something
	some := false
	only := text(p.o.Zone)
	for i := range p.l.zones {
		z := p.zones[uint32(i)]
		if (only != "" && p.l.zones[i].name != only) || (only == "" && p.o.Scope == "" && (z == nil || !z.here)) {
			continue
		}
		var seen int64
		if z != nil {
			seen = z.seen
		}
		scope[i] = seen < p.l.zones[i].records
		some = some || scope[i]
	}
	if !some {
		return
	}
	for _, b := range p.l.buckets {
		for i := range b {
			f := &b[i]
			if scope[f.zone] && !present.has(f.id) && !p.d.has(f.id) {
				p.diffs = append(p.diffs, stepDiff{kind: "end", was: *f, zone: f.zone, time: p.at})
			}
		}
	}
}

// soaSerial is the serial of a SOA that is there (RFC 1035 §3.3.13).
func soaSerial(r *heldRow) (int64, bool) {
	if r.Type != "SOA" || r.Change == picket.ChangeRemove {
		return 0, false
	}
	f := strings.Split(r.Data, " ")
	if len(f) < 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(f[2], 10, 32)
	return int64(n), err == nil
}

// judgeZones finds for each zone concerned whether this is the first look at it, from
// and to which serial it goes, and what has become of its records.
func (p *step) judgeZones() {
	for i := range p.diffs {
		d := &p.diffs[i]
		z := p.zoneAt(d.zone)
		z.differs, z.time = true, max(z.time, d.time)
		switch {
		case d.kind != "begin" && d.kind != "end":
		case d.churn():
			z.churn++
		case d.kind == "begin":
			z.added++
		default:
			z.removed++
		}
	}
	for i, z := range p.zones {
		known := &p.l.zones[i]
		z.first = !known.known && !z.told
		z.from, z.to = known.serial, z.soa
		if p.o.HasSerial {
			z.from, z.to = sql.Null[int64]{V: int64(p.o.SerialFrom), Valid: true}, sql.Null[int64]{V: int64(p.o.SerialTo), Valid: true}
		}
		if z.first {
			z.added, z.churn = 0, 0
		}
	}
}

// toldOf reports whether a change is told of a difference: none at a first look, and
// not of what a source without the whole only says that it is there.
func (p *step) toldOf(d *stepDiff) bool {
	if p.zones[d.zone].first {
		return false
	}
	return p.o.Whole || d.kind != "begin" || d.row.Change != picket.ChangePresent
}

// judgeSets reports whether there is little enough to be told.
func (p *step) judgeSets() bool {
	told, late := 0, 0
	for i := range p.diffs {
		d := &p.diffs[i]
		if p.toldOf(d) {
			told++
		}
		if d.kind == "begin" && d.time < p.l.horizon {
			late++
		}
	}
	return told <= maxStep && late <= maxStep
}

// setAt is where texts of RRsets come together.
type setAt struct {
	zone                uint32
	name, rrtype, class string
}

// readLives reads the texts of the lives in RRsets of which a change is told, and
// makes the RRsets.
func (p *step) readLives() error {
	type groupAt struct {
		zone  uint32
		rrset uint64
	}
	p.lives = map[int64]*lifeText{}
	groups := map[groupAt][]fingerprint{}
	var ids []int64
	for i := range p.diffs {
		d := &p.diffs[i]
		g := groupAt{d.zone, d.rrset()}
		if _, ok := groups[g]; ok || !p.toldOf(d) {
			continue
		}
		groups[g] = nil
		for _, f := range *p.l.bucket(g.rrset) {
			if f.rrset == g.rrset && f.zone == g.zone {
				groups[g] = append(groups[g], f)
				ids = append(ids, f.id)
			}
		}
	}
	if err := p.readTexts(ids); err != nil {
		return err
	}
	sets := map[setAt]*stepSet{}
	for i := range p.diffs {
		if d := &p.diffs[i]; p.toldOf(d) {
			p.tell(sets, d)
		}
	}
	for g, list := range groups {
		for _, f := range list {
			t := p.lives[f.id]
			if t == nil {
				return fmt.Errorf("life %d is not there", f.id)
			}
			if s := sets[setAt{g.zone, t.name, t.rrtype, t.class}]; s != nil {
				s.before[t.data], s.after[t.data] = f.ttl, f.ttl
			}
		}
	}
	p.changeSets(sets)
	return nil
}

// readTexts reads lives by their ids, some at a time. There is mostly one.
func (p *step) readTexts(ids []int64) error {
	const query = `SELECT id, name, type, class, data FROM record_lives WHERE `
	slices.Sort(ids)
	for part := range slices.Chunk(ids, 500) {
		st, err := p.s.planned(p.ctx, p.c, query+`id = ?`)
		if err != nil {
			return err
		}
		var rows *sql.Rows
		if len(part) == 1 {
			rows, err = st.QueryContext(p.ctx, part[0])
		} else {
			rows, err = p.c.QueryContext(p.ctx, query+among(part))
		}
		if err == nil {
			err = p.addTexts(rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *step) addTexts(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
		var id int64
		t := &lifeText{}
		if err := rows.Scan(&id, &t.name, &t.rrtype, &t.class, &t.data); err != nil {
			return err
		}
		p.lives[id] = t
	}
	return rows.Err()
}

// among is SQL for sorted ids. Only blocks with ids between the least and the greatest are read.
func among(ids []int64) string {
	if len(ids) == 1 {
		return `id = ` + strconv.FormatInt(ids[0], 10)
	}
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	return fmt.Sprintf(`id BETWEEN %d AND %d AND id IN (%s)`, ids[0], ids[len(ids)-1], strings.Join(list, ","))
}

// setOf returns the RRset of a difference and its RDATA.
func (p *step) setOf(d *stepDiff) (setAt, string) {
	if r := d.row; r != nil {
		return setAt{d.zone, r.Name, r.Type, r.Class}, r.Data
	}
	t := p.lives[d.was.id]
	if t == nil { // of an RRset of which nothing is told
		return setAt{zone: d.zone}, ""
	}
	return setAt{d.zone, t.name, t.rrtype, t.class}, t.data
}

// tell notes a difference in its RRset.
func (p *step) tell(sets map[setAt]*stepSet, d *stepDiff) {
	at, _ := p.setOf(d)
	var author, commit, comment string
	if r := d.row; r != nil {
		author, commit, comment = r.Author, r.Commit, r.Comment
	}
	s := sets[at]
	if s == nil {
		s = &stepSet{zone: at.zone, name: at.name, rrtype: at.rrtype, class: at.class, time: d.time, churn: d.churn(), before: rdata{}, after: rdata{}}
		sets[at] = s
	}
	s.time = max(s.time, d.time)
	s.author, s.commit, s.comment = max(s.author, author), max(s.commit, commit), max(s.comment, comment)
}

// changeSets makes RDATA after of RDATA before, and keeps what has changed.
func (p *step) changeSets(sets map[setAt]*stepSet) {
	for i := range p.diffs {
		d := &p.diffs[i]
		at, data := p.setOf(d)
		s := sets[at]
		if s == nil {
			continue
		}
		switch d.kind {
		case "unknown":
			s.before[data] = d.row.TTL
		case "begin", "ttl":
			s.after[data] = d.row.TTL
		case "end":
			delete(s.after, data)
		}
	}
	for _, s := range sets {
		if s.before.ttl() != s.after.ttl() || !maps.EqualFunc(s.before, s.after, func(int64, int64) bool { return true }) {
			p.changes = append(p.changes, s)
		}
	}
	slices.SortFunc(p.changes, func(a, b *stepSet) int {
		return cmp.Or(strings.Compare(p.l.zones[a.zone].name, p.l.zones[b.zone].name), strings.Compare(a.name, b.name), strings.Compare(a.rrtype, b.rrtype), strings.Compare(a.class, b.class))
	})
}
