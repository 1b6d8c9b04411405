package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// Sightings are kept as a log-structured merge tree: rows are appended to
// sightings_recent under their deliveries; what counts is moved by and by into
// runs, tables that are sorted by key, so that DuckDB's zone maps lead to the
// few rows of a name (see sightingkey.go). Beside each run lies a table that leads
// from RDATA to the keys of the names that have it (see sightinglookup.go). Runs
// are merged so that their number stays logarithmic (see sightingruns.go). One row
// holds one value of RDATA.

// sightingRow is a row as the tables hold it, without its delivery.
type sightingRow struct {
	key, dataKey        uint64
	source              uint32
	name, rrtype, data  string
	bailiwick, detail   string // "" is NULL
	first, last         int64  // Unix seconds, 0 when not known
	zoneFirst, zoneLast int64
	count               int64
}

// sightingDetail is what only certificates have, as JSON in the column detail.
type sightingDetail struct {
	Issuer string `json:"issuer,omitempty"`
	Serial string `json:"serial,omitempty"`
	Logged int64  `json:"logged,omitempty"` // Unix seconds
}

// AppendSightings implements picket.IntakeKeeper. What belongs to no delivery counts at once.
func (s *Store) AppendSightings(ctx context.Context, at picket.Origin, rows []picket.Sighting) (err error) {
	defer s.observe("append-sightings", time.Now(), &err)
	if len(rows) == 0 {
		return nil
	}
	p := sightingPacker{store: s}
	list, err := p.pack(ctx, nil, rows)
	if err == nil {
		err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
			batch, err := s.nextSightingBatch(ctx, c)
			if err != nil {
				return err
			}
			return s.appendRecent(c, list, at.Input, at.Delivery, batch)
		})
	}
	if err != nil {
		return fmt.Errorf("append %d sightings: %w", len(rows), err)
	}
	return nil
}

// nextSightingBatch numbers appends, in the order in which they are committed.
// Numbers may have gaps. It runs on the writer.
func (s *Store) nextSightingBatch(ctx context.Context, c *sql.Conn) (int64, error) {
	if s.sightings.batch == 0 {
		if err := c.QueryRowContext(ctx, `SELECT coalesce(max(batch), 0) FROM sightings_recent`).Scan(&s.sightings.batch); err != nil {
			return 0, err
		}
	}
	s.sightings.batch++
	return s.sightings.batch, nil
}

// appendSightingRows feeds the Appender, which joins the connection's
// transaction. extra are the columns after those of sightingRow.
func appendSightingRows(c *sql.Conn, table string, rows []sightingRow, extra ...any) error {
	return c.Raw(func(dc any) error {
		a, err := duckdbgo.NewAppenderFromConn(dc.(driver.Conn), "", table)
		if err != nil {
			return err
		}
		vals := make([]driver.Value, 13+len(extra))
		for i, v := range extra {
			vals[13+i] = v
		}
		// The Appender takes values in interfaces; what repeats is put into one once.
		var b boxer
		for i := range rows {
			b.fill(vals, &rows[i])
			if err := a.AppendRow(vals...); err != nil {
				return errors.Join(err, a.Clear(), a.Close())
			}
		}
		return a.Close()
	})
}

// boxer remembers the last value of each column.
type boxer struct{ last [13]any }

func (b *boxer) fill(vals []driver.Value, r *sightingRow) {
	vals[0], vals[1] = r.key, r.dataKey
	vals[2] = box(&b.last[2], r.source)
	vals[3] = box(&b.last[3], r.name)
	vals[4] = box(&b.last[4], r.rrtype)
	vals[5] = box(&b.last[5], r.data)
	vals[6], vals[7] = nil, nil
	if r.bailiwick != "" {
		vals[6] = box(&b.last[6], r.bailiwick)
	}
	if r.detail != "" {
		vals[7] = r.detail
	}
	vals[8], vals[9] = r.first, r.last
	vals[10], vals[11] = box(&b.last[10], r.zoneFirst), box(&b.last[11], r.zoneLast)
	vals[12] = box(&b.last[12], r.count)
}

func box[T comparable](last *any, v T) any {
	if have, ok := (*last).(T); !ok || have != v {
		*last = v
	}
	return *last
}

// sightingPacker turns sightings into rows.
type sightingPacker struct {
	store *Store
	keys  nameKeyer
	// The source of the sighting before, and its id.
	source sightingSource
	id     uint32
	known  bool
}

// pack appends the rows of sightings to dst.
func (p *sightingPacker) pack(ctx context.Context, dst []sightingRow, list []picket.Sighting) ([]sightingRow, error) {
	for i := range list {
		v := &list[i]
		src := sourceOf(v)
		if !p.known || src != p.source {
			id, err := p.store.sightingSourceID(ctx, src)
			if err != nil {
				return nil, err
			}
			p.source, p.id, p.known = src, id, true
		}
		r := sightingRow{
			source: p.id, name: canonicalName(v.Name), rrtype: strings.ToUpper(text(v.Type)),
			first: seconds(v.FirstSeen), last: seconds(v.LastSeen), zoneFirst: seconds(v.ZoneFirst), zoneLast: seconds(v.ZoneLast),
			count: max(v.Count, 0),
		}
		r.key = p.keys.key(r.name)
		if v.Bailiwick != "" {
			r.bailiwick = canonicalName(v.Bailiwick)
		}
		if v.Issuer != "" || v.Serial != "" || !v.Logged.IsZero() {
			b, err := json.Marshal(sightingDetail{Issuer: text(v.Issuer), Serial: text(v.Serial), Logged: seconds(v.Logged)})
			if err != nil {
				return nil, fmt.Errorf("encode sighting: %w", err)
			}
			r.detail = string(b)
		}
		if len(v.Data) == 0 {
			dst = append(dst, r)
		}
		for _, data := range v.Data {
			r.data, r.dataKey = p.keys.data(r.rrtype, data)
			dst = append(dst, r)
		}
	}
	return dst, nil
}

// canonicalName is name in lower case and with its trailing dot.
func canonicalName(name string) string {
	name = text(name)
	if !isLower(name) {
		name = strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, name)
	}
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	return name
}

func isLower(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253402300799

// seconds is t in Unix seconds, within 1970 to 9999; 0 when it is zero.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return min(max(t.Unix(), 0), maxSeconds)
}

// fromSeconds is the inverse of seconds.
func fromSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// sightingSource is who saw something.
type sightingSource struct{ channel, origin, sensor, sensorID string }

func sourceOf(v *picket.Sighting) sightingSource {
	src := sightingSource{channel: picket.SightingPassiveDNS, origin: v.Origin, sensor: v.Sensor, sensorID: v.SensorID}
	if v.Channel == picket.SightingCertificate {
		src.channel = picket.SightingCertificate
	}
	return src
}

// maxSources bounds what an input that makes up sensors can do: those beyond are
// not told apart any more.
const maxSources = 10_000

// sightingState is what a store keeps in memory of its sightings.
type sightingState struct {
	mu      sync.Mutex
	ids     map[sightingSource]uint32
	sources map[uint32]sightingSource

	batch  int64 // owned by the writer
	runs   runSet
	recent recentKeys

	compacting sync.Mutex // one CompactSightings, ImportSightings or SightingRetain at a time
}

// sightingSourceID returns the id of a source, new when there is none.
func (s *Store) sightingSourceID(ctx context.Context, src sightingSource) (uint32, error) {
	src.origin, src.sensor, src.sensorID = text(src.origin), text(src.sensor), text(src.sensorID)
	st := &s.sightings
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ids == nil {
		if err := s.loadSources(ctx); err != nil {
			return 0, err
		}
	}
	if len(st.ids) >= maxSources {
		if id, ok := st.ids[src]; ok {
			return id, nil
		}
		src = sightingSource{channel: src.channel}
	}
	if id, ok := st.ids[src]; ok {
		return id, nil
	}
	var id uint32
	for have := range st.sources {
		id = max(id, have/2+1)
	}
	id *= 2
	if src.channel == picket.SightingCertificate {
		id++
	}
	err := s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `INSERT INTO sighting_sources VALUES (?, ?, ?, ?, ?)`, id, src.channel, src.origin, src.sensor, src.sensorID)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add source of sightings: %w", err)
	}
	st.ids[src], st.sources[id] = id, src
	return id, nil
}

// loadSources reads the table; st.mu is held.
func (s *Store) loadSources(ctx context.Context) error {
	ids, sources := map[sightingSource]uint32{}, map[uint32]sightingSource{}
	err := each(ctx, s.db, `SELECT id, channel, origin, sensor, sensor_id FROM sighting_sources`, nil, func(r *sql.Rows) error {
		var id uint32
		var src sightingSource
		err := r.Scan(&id, &src.channel, &src.origin, &src.sensor, &src.sensorID)
		ids[src], sources[id] = id, src
		return err
	})
	if err != nil {
		return fmt.Errorf("read sources of sightings: %w", s.closed(err))
	}
	s.sightings.ids, s.sightings.sources = ids, sources
	return nil
}

// sourcesOf returns the sources with the given ids.
func (s *Store) sourcesOf(ctx context.Context, ids []uint32) ([]sightingSource, error) {
	st := &s.sightings
	st.mu.Lock()
	defer st.mu.Unlock()
	list := make([]sightingSource, 0, len(ids))
	for _, id := range ids {
		src, ok := st.sources[id]
		if !ok {
			if err := s.loadSources(ctx); err != nil {
				return nil, err
			}
			src = st.sources[id]
		}
		list = append(list, src)
	}
	return list, nil
}

// join adds what b has seen.
func (r *sightingRow) join(b *sightingRow) {
	r.first, r.zoneFirst = earliest(r.first, b.first), earliest(r.zoneFirst, b.zoneFirst)
	r.last, r.zoneLast = max(r.last, b.last), max(r.zoneLast, b.zoneLast)
	r.count = addCounts(r.count, b.count)
}

// addCounts adds without passing the greatest count that can be said.
func addCounts(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
