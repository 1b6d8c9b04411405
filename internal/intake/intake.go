// Package intake makes telemetry count exactly once. What a transport brings is
// decoded as a stream; a stream's records, their counts, what was rejected and
// the place up to which the stream has been read are committed to the store
// together, as one delivery. After a crash nothing of a delivery is left, or all
// of it, and the stream goes on where the last one ended.
//
// A Desk is where one input is taken in: it knows the input's totals and opens
// Streams. A Stream is the picket.Accounting and the picket.Sink of one decoder;
// it counts, hands queries to the pipeline under its delivery, stores everything
// else, and commits. A Cutter reads for the decoder and finds the moments at
// which a stream that does not end can be committed.
package intake

import (
	"context"
	"fmt"
	"sync"

	"github.com/picket-dns/picket"
)

// Feed is an input's way into the pipeline.
type Feed interface {
	picket.QuerySink
	// Begin says with what origin queries are stored from now on.
	Begin(at picket.Origin)
	// Wait returns when everything handed in is stored, and what came of it is on its way.
	Wait(ctx context.Context) error
}

// Barrier waits until what has been raised so far is stored.
type Barrier interface {
	Barrier(ctx context.Context) error
}

// Keeper is the part of picket.IntakeKeeper that intake needs.
type Keeper interface {
	OpenInput(ctx context.Context, name string, again bool) (picket.InputState, error)
	AppendEvents(ctx context.Context, at picket.Origin, rows []picket.EventRow) error
	AppendRecords(ctx context.Context, at picket.Origin, rows []picket.Record) error
	AppendSightings(ctx context.Context, at picket.Origin, rows []picket.Sighting) error
	CommitIntake(ctx context.Context, c *picket.IntakeCommit) error
	Withdraw(ctx context.Context, at picket.Origin) error
	Marked(ctx context.Context, input uint32, key string) (picket.DeliveryMark, error)
}

// House is what all desks share. Use NewHouse.
type House struct {
	keeper   Keeper
	findings Barrier
	feed     func() Feed
	answers  func(input string) Answers // may be nil
	mapper   Mapper                     // nil leaves addresses as they are

	mu   sync.Mutex
	last int64          // delivery given out
	open map[int64]bool // deliveries given out and not ended
}

// NewHouse returns a house whose first delivery is the one after last. feed
// opens ways into the pipeline; findings, which may be nil, is waited for before
// a commit, so that no position gets ahead of what was found up to it.
func NewHouse(keeper Keeper, last int64, feed func() Feed, findings Barrier) *House {
	return &House{keeper: keeper, findings: findings, feed: feed, last: last, open: map[int64]bool{}}
}

func (h *House) begin() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.open[h.last] = true
	return h.last
}

func (h *House) end(delivery int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, delivery)
}

// closed is the greatest delivery up to which all are ended, given that this one is.
func (h *House) closed(delivery int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	low := h.last
	for d := range h.open {
		if d != delivery {
			low = min(low, d-1)
		}
	}
	return low
}

// Desk takes in one input.
type Desk struct {
	house *House
	id    uint32
	name  string

	mu        sync.Mutex
	totals    picket.InputCounts // committed
	pending   map[*Stream]struct{}
	dropped   map[string]int64 // not committed yet
	positions map[string][]byte
}

// Desk opens the desk of an input. again says that its transport can send once
// more what was not committed.
func (h *House) Desk(ctx context.Context, name string, again bool) (*Desk, error) {
	st, err := h.keeper.OpenInput(ctx, name, again)
	if err != nil {
		return nil, err
	}
	return &Desk{house: h, id: st.ID, name: name, totals: st.Counts, pending: map[*Stream]struct{}{}, positions: st.Positions}, nil
}

// Counts are what has become of the input's records, all that was ever received.
// What is not committed yet is in it.
func (d *Desk) Counts() picket.InputCounts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.totals.Clone()
	c.Add(&picket.InputCounts{Dropped: d.dropped})
	for s := range d.pending {
		s.mu.Lock()
		c.Add(&s.delta)
		s.mu.Unlock()
	}
	return c
}

// Position returns up to where a stream counts, nil when it is new.
func (d *Desk) Position(stream string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.positions[stream]
}

// Drop counts records that were lost before they could be looked at. They are
// stored with the next commit, or by Settle.
func (d *Desk) Drop(reason string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dropped == nil {
		d.dropped = map[string]int64{}
	}
	d.dropped[reason] += int64(n)
}

// Settle stores counts that no delivery has taken along.
func (d *Desk) Settle(ctx context.Context) error {
	d.mu.Lock()
	idle := len(d.dropped) == 0
	d.mu.Unlock()
	if idle {
		return nil
	}
	return d.commit(ctx, &picket.IntakeCommit{}, nil)
}

// Marked reports whether key has been taken in, and with what result.
func (d *Desk) Marked(ctx context.Context, key string) (picket.DeliveryMark, error) {
	return d.house.keeper.Marked(ctx, d.id, key)
}

// Release gives quarantined records up: they are removed and cannot be replayed any
// more. They were received and could not be read, so they still count as rejected.
func (d *Desk) Release(ctx context.Context, list []picket.QuarantinedRecord) error {
	return d.commit(ctx, &picket.IntakeCommit{Release: ids(list)}, nil)
}

// commit stores k with what has been dropped. The counts of s, when not nil, are in k.
func (d *Desk) commit(ctx context.Context, k *picket.IntakeCommit, s *Stream) error {
	d.mu.Lock()
	dropped := d.dropped
	d.dropped = nil
	d.mu.Unlock()
	k.Input, k.Closed = d.id, d.house.closed(k.Delivery)
	k.Add.Add(&picket.InputCounts{Dropped: dropped})
	err := d.house.keeper.CommitIntake(ctx, k)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		for reason, n := range dropped {
			if d.dropped == nil {
				d.dropped = map[string]int64{}
			}
			d.dropped[reason] += n
		}
		return fmt.Errorf("input %s: %w", d.name, err)
	}
	d.totals.Add(&k.Add)
	if s != nil { // under the same lock, so that nobody counts it twice
		s.mu.Lock()
		s.delta = picket.InputCounts{}
		s.mu.Unlock()
	}
	for stream, p := range k.Positions {
		if p == nil {
			delete(d.positions, stream)
		} else {
			d.positions[stream] = p
		}
	}
	return nil
}
