package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

const (
	// maxHeld is how many bytes of records are held, of all deliveries together, before
	// the rest of a delivery goes through the stage in the database.
	maxHeld = 32 << 20
	// heldCost is what a row costs beside its name and data.
	heldCost = 240
	// firstLook is at how many rows it is first asked whether a delivery tells again what is known.
	firstLook = 8192
	// maxTTLs is how many TTLs records that are told again may have.
	maxTTLs = 64
)

// errTellAgain is returned for a delivery of which parts can be had no more.
var errTellAgain = errors.New("records of the delivery have expired before it was committed; it has to be sent again")

// zoneHistory is what the store holds in memory of the history of zones: the
// deliveries that inputs are about to bring and would send again after a crash, and
// what lives in scopes, to which they are compared.
type zoneHistory struct {
	seed      maphash.Seed
	maxHeld   int // as the constants, except in tests
	maxLiving int
	look      int
	free      sync.Pool // of slices of heldRow

	mu         sync.Mutex
	again      map[uint32]bool // inputs that send again what was not committed
	deliveries map[int64]*heldDelivery
	bytes      int // of deliveries
	living     map[scopeKey]*living
	clock      int64
	apexes     map[string]string     // zones that have versions, by their plain names; nil until they are needed
	changed    map[scopeKey]struct{} // by the transaction at hand
	committing []int64               // deliveries, by the transaction at hand
	lastLife   int64                 // the greatest id of a life, 0 until it is needed
}

func newZoneHistory() zoneHistory {
	return zoneHistory{
		seed: maphash.MakeSeed(), maxHeld: maxHeld, maxLiving: maxLiving, look: firstLook, again: map[uint32]bool{}, deliveries: map[int64]*heldDelivery{},
		living: map[scopeKey]*living{}, changed: map[scopeKey]struct{}{},
	}
}

// heldRow is a record of a delivery.
type heldRow struct {
	picket.Record // texts as the database takes them

	key   duckdbgo.UUID
	rrset uint64
	churn bool
}

// heldDelivery is what was appended under a delivery. Records that a scope has
// already are only noted, by life and TTL; everything else is held with its texts.
// No record is both: what is held is the later word.
type heldDelivery struct {
	origin picket.Origin
	staged bool // some, or all, are in records_staged
	rows   []*heldRow
	bytes  int

	look  int // at how many rows it is next asked what they tell again
	told  *living
	gen   int64            // of told, when the first record was noted
	same  map[int64]idSet  // TTL → lives
	later map[int64]bool   // lives of which something is held
	zones map[uint32]int64 // of told → how many records are noted
}

// prepare makes rows of records, with texts that are still the caller's.
func (h *zoneHistory) prepare(rows []picket.Record) []heldRow {
	var list []heldRow
	if free, ok := h.free.Get().(*[]heldRow); ok {
		list = *free
	}
	list = slices.Grow(list[:0], len(rows))[:len(rows)]
	for i := range rows {
		r := rows[i]
		r.Zone, r.Name, r.Type, r.Class, r.Data = text(r.Zone), text(r.Name), text(r.Type), text(r.Class), text(r.Data)
		r.Commit, r.Author, r.Comment = text(r.Commit), text(r.Author), text(r.Comment)
		list[i] = heldRow{Record: r, key: recordKey(r.Name, r.Type, r.Class, r.Data), rrset: rrsetHash(h.seed, r.Name, r.Type, r.Class), churn: churns(r.Type)}
	}
	return list
}

// release takes back what prepare has made.
func (h *zoneHistory) release(rows []heldRow) {
	clear(rows)
	h.free.Put(&rows)
}

// sends reports whether an input sends again what was not committed.
func (h *zoneHistory) sends(input uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.again[input]
}

func (h *zoneHistory) opened(input uint32, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.again[input] = again
}

// delivery returns what is held of a delivery, new when there is nothing. h is locked.
func (h *zoneHistory) delivery(at picket.Origin) *heldDelivery {
	d := h.deliveries[at.Delivery]
	if d == nil {
		d = &heldDelivery{origin: at, look: h.look}
		h.deliveries[at.Delivery] = d
	}
	return d
}

// withdraw forgets a delivery.
func (h *zoneHistory) withdraw(delivery int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(delivery)
}

func (h *zoneHistory) drop(delivery int64) {
	if d := h.deliveries[delivery]; d != nil {
		h.bytes -= d.bytes
		delete(h.deliveries, delivery)
	}
}

// hold takes rows, and reports whether it is time to ask what they tell again.
func (h *zoneHistory) hold(at picket.Origin, rows []heldRow) (d *heldDelivery, look, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d = h.delivery(at)
	before := d.bytes
	for i := range rows {
		d.add(&rows[i])
	}
	h.bytes += d.bytes - before
	return d, d.told == nil && !d.staged && len(d.rows) >= d.look, h.bytes > h.maxHeld
}

// add notes a record that is the same as one that lives, and holds every other.
func (d *heldDelivery) add(r *heldRow) {
	if d.told != nil && d.noted(r) {
		return
	}
	own := *r
	before := &own
	if len(d.rows) > 0 {
		before = d.rows[len(d.rows)-1]
	}
	own.own(before)
	d.keep(&own)
}

func (d *heldDelivery) keep(r *heldRow) {
	d.rows = append(d.rows, r)
	d.bytes += heldCost + len(r.Name) + len(r.Data)
}

// noted notes a record if it is known, and nothing else was said of it. A SOA is
// always held, because of its serial.
func (d *heldDelivery) noted(r *heldRow) bool {
	if r.Zone == "" {
		return false
	}
	zone, ok := d.told.zoneOf[r.Zone]
	if !ok {
		return false
	}
	f := d.told.find(r.rrset, r.key, zone)
	if f == nil {
		return false
	}
	if r.Change == picket.ChangePresent && r.TTL == f.ttl && r.Type != "SOA" && !d.later[f.id] {
		ids := d.same[r.TTL]
		if ids == nil && len(d.same) < maxTTLs {
			ids = idSet{}
			d.same[r.TTL] = ids
		}
		if ids != nil {
			if !ids.has(f.id) {
				ids.add(f.id)
				d.zones[zone]++
			}
			return true
		}
	}
	d.later[f.id] = true
	for _, ids := range d.same {
		if ids.has(f.id) {
			ids.remove(f.id)
			d.zones[zone]--
		}
	}
	return false
}

// has reports whether a life was noted.
func (d *heldDelivery) has(id int64) bool {
	for _, ids := range d.same {
		if ids.has(id) {
			return true
		}
	}
	return false
}

// own makes the texts the row's own: those of a decoder may be parts of something large.
func (r *heldRow) own(before *heldRow) {
	both := r.Name + r.Data
	r.Name, r.Data = both[:len(r.Name)], both[len(r.Name):]
	for _, t := range [...]struct{ to, was *string }{
		{&r.Zone, &before.Zone}, {&r.Type, &before.Type}, {&r.Class, &before.Class}, {&r.Commit, &before.Commit}, {&r.Author, &before.Author}, {&r.Comment, &before.Comment},
	} {
		if t.to != t.was && *t.to == *t.was {
			*t.to = *t.was
		} else {
			*t.to = strings.Clone(*t.to)
		}
	}
	r.Source, r.Sensor = "", "" // of the event that it may be as well
}

// findTold finds the scope of which a delivery tells again what is known: the one
// that has most of some of its records. It runs on the writer's connection.
func (h *zoneHistory) findTold(ctx context.Context, c *sql.Conn, d *heldDelivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.look = 4 * len(d.rows)
	var sample []*heldRow
	const most = 64
	for i := 0; i < len(d.rows) && len(sample) < most; i += max(len(d.rows)/most, 1) {
		if r := d.rows[i]; r.Zone != "" && r.Change == picket.ChangePresent {
			sample = append(sample, r)
		}
	}
	if len(sample) < most/2 {
		return nil
	}
	var best *living
	hits := len(sample) / 2
	for _, l := range h.living {
		if n := l.has(sample); n > hits {
			best, hits = l, n
		}
	}
	if best == nil {
		var err error
		if best, err = h.readTold(ctx, c, sample); best == nil {
			return err
		}
	}
	d.told, d.gen, d.same, d.later, d.zones = best, best.gen, map[int64]idSet{}, map[int64]bool{}, map[uint32]int64{}
	rows := d.rows
	h.bytes -= d.bytes
	d.rows, d.bytes = nil, 0
	for _, r := range rows {
		if !d.noted(r) {
			d.keep(r)
		}
	}
	h.bytes += d.bytes
	return nil
}

// has counts the rows that live in the scope.
func (l *living) has(rows []*heldRow) (n int) {
	for _, r := range rows {
		if zone, ok := l.zoneOf[r.Zone]; ok && l.find(r.rrset, r.key, zone) != nil {
			n++
		}
	}
	return n
}

// readTold looks for the scope among the lives, and reads it.
func (h *zoneHistory) readTold(ctx context.Context, c *sql.Conn, sample []*heldRow) (*living, error) {
	keys := make([]string, len(sample))
	for i, r := range sample {
		keys[i] = "'" + r.key.String() + "'"
	}
	var k scopeKey
	err := c.QueryRowContext(ctx, `SELECT source, scope FROM record_lives WHERE until IS NULL AND key IN (`+strings.Join(keys, ",")+`)
		GROUP BY source, scope HAVING count(*) > ? ORDER BY count(*) DESC LIMIT 1`, len(sample)/2).Scan(&k.source, &k.scope)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return h.livingOf(ctx, c, k)
}

// stage writes what is held of a delivery into records_staged, where the database
// compares it. d stays as it is: the transaction may fail.
func (h *zoneHistory) stage(ctx context.Context, c *sql.Conn, d *heldDelivery) error {
	if err := c.Raw(func(dc any) error { return stageRows(dc.(driver.Conn), d.origin, d.rows) }); err != nil {
		return err
	}
	for ttl, ids := range d.same {
		if err := h.stageSame(ctx, c, d.origin, ttl, ids); err != nil {
			return err
		}
	}
	return nil
}

// stageSame writes the texts of what was only noted, from the lives. Those that
// ended meanwhile are still there, unless they have expired.
func (h *zoneHistory) stageSame(ctx context.Context, c *sql.Conn, at picket.Origin, ttl int64, ids idSet) error {
	var list []int64
	_ = ids.each(func(id int64) error { list = append(list, id); return nil })
	if len(list) == 0 {
		return nil
	}
	if _, err := c.ExecContext(ctx, `CREATE OR REPLACE TEMP TABLE zh_same (id BIGINT)`); err != nil {
		return err
	}
	slices.Sort(list)
	err := c.Raw(func(dc any) error {
		return appendRows(dc.(driver.Conn), "temp", "zh_same", nil, len(list), func(i int) []driver.Value { return []driver.Value{list[i]} })
	})
	if err != nil {
		return err
	}
	res, err := c.ExecContext(ctx, `INSERT INTO records_staged SELECT ?, ?, zone, name, type, class, ?, data, key, churn, '', NULL, '', '', ''
		FROM record_lives WHERE id IN (SELECT id FROM zh_same)`, at.Input, at.Delivery, ttl)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != int64(len(list)) {
		return errors.Join(err, errTellAgain)
	}
	_, err = c.ExecContext(ctx, `DROP TABLE temp.zh_same`)
	return err
}

// wasStaged notes that everything of a delivery so far is in the database.
func (h *zoneHistory) wasStaged(at picket.Origin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.delivery(at)
	h.bytes -= d.bytes
	*d = heldDelivery{origin: at, staged: true}
}

// stageRows appends rows to records_staged.
func stageRows(dc driver.Conn, at picket.Origin, rows []*heldRow) error {
	return appendRows(dc, "", "records_staged", nil, len(rows), func(i int) []driver.Value {
		r := rows[i]
		var when driver.Value
		if !r.Time.IsZero() {
			when = time.Unix(0, nanos(r.Time)).UTC()
		}
		return []driver.Value{at.Input, at.Delivery, r.Zone, r.Name, r.Type, r.Class, r.TTL, r.Data, r.key, r.churn, string(r.Change), when, r.Commit, r.Author, r.Comment}
	})
}

// appendRows appends n rows to columns of a table, nil for all.
func appendRows(dc driver.Conn, catalog, table string, columns []string, n int, row func(i int) []driver.Value) error {
	if n == 0 {
		return nil
	}
	a, err := appender(dc, catalog, table, columns)
	if err != nil {
		return err
	}
	for i := range n {
		if err := a.AppendRow(row(i)...); err != nil {
			return errors.Join(fmt.Errorf("row %d: %w", i, err), a.Clear(), a.Close())
		}
	}
	return a.Close()
}

func appender(dc driver.Conn, catalog, table string, columns []string) (*duckdbgo.Appender, error) {
	if columns == nil {
		return duckdbgo.NewAppender(dc, catalog, "", table)
	}
	return duckdbgo.NewAppenderWithColumns(dc, catalog, "", table, columns)
}

// ended is called when a transaction of the writer has ended. One that has failed
// takes back what was done to what is held.
func (h *zoneHistory) ended(failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if failed {
		for k := range h.changed {
			h.forget(k)
		}
		if len(h.changed) > 0 {
			h.apexes = nil
		}
	} else {
		for _, delivery := range h.committing {
			h.drop(delivery)
		}
	}
	clear(h.changed)
	h.committing = h.committing[:0]
}
