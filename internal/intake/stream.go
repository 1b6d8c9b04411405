package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// Bounds of what a stream holds until it is committed.
const (
	eventsAtOnce   = 2048
	bytesAtOnce    = 8 << 20
	keepRecords    = 1000     // rejected records kept of one delivery; more are only counted
	keepBytes      = 4 << 20  // likewise
	keepRecordSize = 64 << 10 // a longer one is only counted
)

// StreamConfig says what a stream is of.
type StreamConfig struct {
	Name   string // file, object, partition …; "" when there is nothing to name
	Format string
	// Skip is what an earlier reading of the same bytes has counted already: as many
	// records of each outcome pass without counting.
	Skip picket.InputCounts
	// SkipAny says that the earlier reading was done with other options, which may have
	// made something else of a record: as many records pass as there are in Skip,
	// the first ones, whatever comes of them now.
	SkipAny bool
}

// Stream is one run of bytes on its way in. It is the Accounting and the Sink of
// a decoder, both used by one goroutine; Counts may be read by others.
type Stream struct {
	desk *Desk
	cfg  StreamConfig
	feed Feed // nil until the first query

	answers Answers // likewise, and when nobody gathers answers

	delivery int64 // 0 when none is open
	events   []picket.EventRow
	size     int
	records  []picket.Record
	seen     []picket.Sighting
	observed *picket.RecordObservation
	asEvents bool // records are events: they have not happened
	changing bool // since the last commit there were records that say what was done
	missing  bool // since the last commit something was not read that belongs to it
	kept     []picket.QuarantinedRecord
	keptSize int
	skip     picket.InputCounts
	skipAny  int64
	mapped   picket.Query
	drop     bool // what was accepted last is not counted and goes nowhere
	err      error

	mu    sync.Mutex
	delta picket.InputCounts // since the last commit
	total picket.InputCounts // since the stream's beginning, Skip included
}

// Stream opens a stream. It must be ended by Close or Abandon.
func (d *Desk) Stream(cfg StreamConfig) *Stream {
	s := &Stream{desk: d, cfg: cfg, skip: cfg.Skip.Clone(), total: cfg.Skip.Clone()}
	if cfg.SkipAny {
		s.skipAny, s.skip = outcomes(&s.skip), picket.InputCounts{}
	}
	d.mu.Lock()
	d.pending[s] = struct{}{}
	d.mu.Unlock()
	return s
}

// Format says what format the stream turned out to have.
func (s *Stream) Format(name string) { s.cfg.Format = name }

// outcomes is how many records are accounted for.
func outcomes(c *picket.InputCounts) int64 {
	n := c.Accepted
	for _, m := range []map[string]int64{c.Rejected, c.Skipped} {
		for _, k := range m {
			n += k
		}
	}
	return n
}

// passes reports whether a record has been counted before, and passes.
func (s *Stream) passes() bool {
	if s.skipAny == 0 {
		return false
	}
	s.skipAny--
	return true
}

// Accept implements picket.Accounting.
func (s *Stream) Accept(t int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drop = s.passes(); s.drop {
		return
	}
	if s.drop = s.skip.Accepted > 0; s.drop {
		s.skip.Accepted--
		return
	}
	count(&s.total, t)
	count(&s.delta, t)
}

func count(c *picket.InputCounts, t int64) {
	c.Accepted++
	if t != 0 && (c.FirstSeen == 0 || t < c.FirstSeen) {
		c.FirstSeen = t
	}
	c.LastSeen = max(c.LastSeen, t)
}

// Reject implements picket.Accounting.
func (s *Stream) Reject(reason string, at picket.Position) {
	s.reject(picket.QuarantinedRecord{
		Stream: s.cfg.Name, Format: s.cfg.Format, Reason: reason, Line: at.Line, Offset: at.Offset, Record: at.Record,
	})
}

// reject counts a record, and keeps it as far as there is room.
func (s *Stream) reject(q picket.QuarantinedRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passes() {
		return
	}
	if s.skip.Rejected[q.Reason] > 0 {
		s.skip.Rejected[q.Reason]--
		return
	}
	bump(&s.total.Rejected, q.Reason)
	// It is kept under the reason that it counts under, so that it can be taken out again.
	q.Reason = bump(&s.delta.Rejected, q.Reason)
	if s.desk.house.mapper != nil {
		q.Record = nil // holds addresses as they came; reason and place are kept
		if len(s.kept) < keepRecords {
			s.kept = append(s.kept, q)
		}
		return
	}
	if len(q.Record) == 0 || len(q.Record) > keepRecordSize || len(s.kept) >= keepRecords || s.keptSize+len(q.Record) > keepBytes {
		return
	}
	s.keptSize += len(q.Record)
	q.Record = bytes.Clone(q.Record)
	s.kept = append(s.kept, q)
}

// Skip implements picket.Accounting.
func (s *Stream) Skip(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passes() {
		return
	}
	if s.skip.Skipped[reason] > 0 {
		s.skip.Skipped[reason]--
		return
	}
	bump(&s.total.Skipped, reason)
	bump(&s.delta.Skipped, reason)
}

// maxReasons bounds the reasons kept apart, as input.Counter does.
const maxReasons = 64

// bump counts a reason, and returns the one that it counts under.
func bump(m *map[string]int64, reason string) string {
	if *m == nil {
		*m = map[string]int64{}
	}
	if _, ok := (*m)[reason]; !ok && len(*m) >= maxReasons {
		reason = "other reasons"
	}
	(*m)[reason]++
	return reason
}

// Total is what became of all records since the stream's beginning, Skip included,
// even where it has not been read past yet.
func (s *Stream) Total() picket.InputCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total.Clone()
}

// Uncommitted is how many records have been received since the last commit.
func (s *Stream) Uncommitted() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delta.Received()
}

// Dirty reports whether there is something to commit.
func (s *Stream) Dirty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delta.Accepted > 0 || len(s.delta.Rejected) > 0 || len(s.delta.Skipped) > 0
}

// begin opens a delivery if none is open.
func (s *Stream) begin() {
	if s.delivery == 0 {
		s.delivery = s.desk.house.begin()
	}
}

func (s *Stream) origin() picket.Origin {
	return picket.Origin{Input: s.desk.id, Delivery: s.delivery}
}

// Query implements picket.QuerySink.
func (s *Stream) Query(q *picket.Query) error {
	if s.drop {
		return nil
	}
	if s.delivery == 0 || s.feed == nil {
		if s.feed == nil {
			s.feed = s.desk.house.feed()
		}
		s.begin()
		s.feed.Begin(s.origin())
	}
	err := s.observe(q)
	if err == nil {
		err = s.feed.Query(s.pseudonymous(q))
	}
	if err != nil && s.err == nil {
		s.err = err // whatever the decoder makes of it, the stream cannot be committed
	}
	return err
}

// Record implements picket.RecordSink.
func (s *Stream) Record(r *picket.Record) error {
	if s.drop {
		return nil
	}
	if s.asEvents {
		return s.event(picket.KindRecord, r.Time, r.Name, r)
	}
	s.changing = s.changing || r.Change != picket.ChangePresent
	s.records = append(s.records, *r)
	if len(s.records) >= eventsAtOnce {
		return s.store(context.Background())
	}
	return nil
}

// RecordsAsEvents keeps the records that follow out of the history of zones: those
// of a plan, which have not happened. They are stored as events.
func (s *Stream) RecordsAsEvents(on bool) { s.asEvents = on }

// Incomplete says that something that belongs to what is being read is not in it.
func (s *Stream) Incomplete() { s.missing = true }

// Observe says what the records since the last commit mean; the next commit
// takes it along. Records that say what was done are no whole, whatever o says, and
// a whole of which something was rejected is partial.
func (s *Stream) Observe(o picket.RecordObservation) {
	s.mu.Lock()
	rejected := len(s.delta.Rejected) > 0
	s.mu.Unlock()
	o.Whole = o.Whole && !s.changing
	o.Partial = o.Partial || rejected || s.missing
	s.observed = &o
}

// Sighting implements picket.SightingSink.
func (s *Stream) Sighting(v *picket.Sighting) error {
	if s.drop {
		return nil
	}
	s.seen = append(s.seen, *v)
	if len(s.seen) >= eventsAtOnce {
		return s.store(context.Background())
	}
	return nil
}

// AdminEvent implements picket.AdminEventSink.
func (s *Stream) AdminEvent(e *picket.AdminEvent) error {
	name := e.Zone
	if len(e.Names) > 0 {
		name = e.Names[0]
	}
	return s.event(picket.KindAdminEvent, e.Time, name, e)
}

// Asset implements picket.AssetSink.
func (s *Stream) Asset(a *picket.Asset) error { return s.event(picket.KindAsset, a.Time, a.Name, a) }

// Signal implements picket.SignalSink.
func (s *Stream) Signal(v *picket.Signal) error {
	return s.event(picket.KindSignal, v.Time, v.TargetName, s.pseudonymousSignal(v))
}

func (s *Stream) event(kind picket.Kind, t time.Time, name string, v any) error {
	if s.drop {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	row := picket.EventRow{Kind: kind, Name: name, Data: b}
	if !t.IsZero() {
		row.Time = t.UnixNano()
	}
	s.events = append(s.events, row)
	if s.size += len(b); len(s.events) >= eventsAtOnce || s.size >= bytesAtOnce {
		return s.store(context.Background())
	}
	return nil
}

// store writes what waits, under the delivery.
func (s *Stream) store(ctx context.Context) error {
	if len(s.events) == 0 && len(s.records) == 0 && len(s.seen) == 0 {
		return nil
	}
	s.begin()
	keeper, at := s.desk.house.keeper, s.origin()
	var err error
	if len(s.events) > 0 {
		err = keeper.AppendEvents(ctx, at, s.events)
	}
	if err == nil && len(s.records) > 0 {
		err = keeper.AppendRecords(ctx, at, s.records)
	}
	if err == nil && len(s.seen) > 0 {
		err = keeper.AppendSightings(ctx, at, s.seen)
	}
	clear(s.records)
	clear(s.seen)
	s.events, s.size, s.records, s.seen = s.events[:0], 0, s.records[:0], s.seen[:0]
	if err != nil && s.err == nil {
		s.err = err
	}
	return err
}

// Commit makes everything since the last commit count, together with positions
// and marks; nil positions remove. When it fails nothing of it counts, the
// stream can only be abandoned, and its transport has to bring it again.
func (s *Stream) Commit(ctx context.Context, positions map[string][]byte, marks ...picket.DeliveryMark) error {
	return s.commit(ctx, &picket.IntakeCommit{Positions: positions, Marks: marks})
}

func (s *Stream) commit(ctx context.Context, k *picket.IntakeCommit) error {
	if s.err != nil {
		return s.err
	}
	if err := s.store(ctx); err != nil {
		return err
	}
	if s.feed != nil {
		if err := s.feed.Wait(ctx); err != nil {
			s.err = err
			return err
		}
		if b := s.desk.house.findings; b != nil {
			if err := b.Barrier(ctx); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	delta := s.delta.Clone()
	s.mu.Unlock()
	k.Delivery, k.Quarantine, k.Records, k.Sightings = s.delivery, s.kept, s.observed, s.drain()
	k.Add.Add(&delta)
	if delta.Accepted > 0 && delta.LastSeen != 0 {
		k.Delay = time.Now().UnixNano() - delta.LastSeen
	}
	if err := s.desk.commit(ctx, k, s); err != nil {
		s.err = err
		return err
	}
	s.desk.house.end(s.delivery)
	s.delivery, s.kept, s.keptSize, s.observed, s.changing, s.missing = 0, nil, 0, nil, false, false
	return nil
}

// Abandon takes back what has not been committed: it counts nowhere.
func (s *Stream) Abandon(ctx context.Context) error {
	var err error
	if s.feed != nil {
		// The pipeline must be done with it, or its rows would come after the withdrawal.
		err = s.feed.Wait(ctx)
	}
	if s.delivery != 0 {
		if werr := s.desk.house.keeper.Withdraw(ctx, s.origin()); werr == nil {
			err = nil
			s.desk.house.end(s.delivery)
		} else {
			err = werr // stays open: the store takes it back at its next start
		}
	}
	s.delivery, s.events, s.kept, s.records, s.seen, s.observed = 0, nil, nil, nil, nil, nil
	s.leave()
	return err
}

// Close ends a stream that has been committed.
func (s *Stream) Close() { s.leave() }

func (s *Stream) leave() {
	if s.answers != nil {
		s.answers.Close()
		s.answers = nil
	}
	s.desk.mu.Lock()
	delete(s.desk.pending, s)
	s.desk.mu.Unlock()
}
