package picket

import (
	"context"
	"time"
)

// Origin says which delivery of which input a stored row came with. The zero
// Origin belongs to no input: its rows always count.
type Origin struct {
	Input    uint32 // as IntakeKeeper.OpenInput returned it
	Delivery int64  // from 1, unique within a store
}

// InputCounts are what became of an input's records. What was received is
// Accepted and all Rejected and Dropped together; what was skipped was never a
// record of the input's kind.
type InputCounts struct {
	Accepted int64            `json:"accepted"`
	Rejected map[string]int64 `json:"rejected,omitempty"` // by reason: could not be read
	Skipped  map[string]int64 `json:"skipped,omitempty"`  // by reason: no telemetry of the kind
	Dropped  map[string]int64 `json:"dropped,omitempty"`  // by reason: lost before anybody looked at them
	// FirstSeen and LastSeen are the least and greatest event times, Unix nanoseconds;
	// 0 when nothing was accepted.
	FirstSeen int64 `json:"first_seen,omitempty"`
	LastSeen  int64 `json:"last_seen,omitempty"`
}

// Received is accepted, rejected and dropped together.
func (c *InputCounts) Received() int64 {
	return c.Accepted + sum(c.Rejected) + sum(c.Dropped)
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// Add adds what d has counted.
func (c *InputCounts) Add(d *InputCounts) {
	if d.Accepted > 0 && d.FirstSeen != 0 && (c.FirstSeen == 0 || d.FirstSeen < c.FirstSeen) {
		c.FirstSeen = d.FirstSeen
	}
	if d.Accepted > 0 && d.LastSeen > c.LastSeen {
		c.LastSeen = d.LastSeen
	}
	c.Accepted += d.Accepted
	for _, m := range []struct {
		to   *map[string]int64
		from map[string]int64
	}{{&c.Rejected, d.Rejected}, {&c.Skipped, d.Skipped}, {&c.Dropped, d.Dropped}} {
		for reason, n := range m.from {
			if *m.to == nil {
				*m.to = map[string]int64{}
			}
			if (*m.to)[reason] += n; (*m.to)[reason] == 0 {
				delete(*m.to, reason)
			}
		}
	}
}

// Sub takes away what d has counted. The times stay.
func (c *InputCounts) Sub(d *InputCounts) {
	negative := func(m map[string]int64) map[string]int64 {
		out := make(map[string]int64, len(m))
		for reason, n := range m {
			out[reason] = -n
		}
		return out
	}
	c.Add(&InputCounts{Accepted: -d.Accepted, Rejected: negative(d.Rejected), Skipped: negative(d.Skipped), Dropped: negative(d.Dropped)})
}

// Clone returns a copy that shares nothing with c.
func (c *InputCounts) Clone() InputCounts {
	var d InputCounts
	d.FirstSeen, d.LastSeen = c.FirstSeen, c.LastSeen
	d.Add(&InputCounts{Accepted: c.Accepted, Rejected: c.Rejected, Skipped: c.Skipped, Dropped: c.Dropped})
	return d
}

// InputState is what a store knows of one input.
type InputState struct {
	ID     uint32
	Name   string
	Counts InputCounts
	// Positions say, for each stream of the input (a file, a partition, a
	// repository), up to where it counts; what is in them is the transport's.
	Positions map[string][]byte
}

// EventRow is a piece of telemetry other than a query, as it is stored.
type EventRow struct {
	Kind Kind
	Time int64  // event time, Unix nanoseconds; 0 when not known
	Name string // the DNS name that it is first of all about, with trailing dot; may be ""
	Data []byte // JSON of the Record, Sighting, AdminEvent, Asset or Signal
}

// QuarantinedRecord is a rejected record that is kept.
type QuarantinedRecord struct {
	ID     int64     `json:"id"`
	Input  string    `json:"input"`
	Stream string    `json:"stream,omitempty"` // file, object, partition …
	Format string    `json:"format"`
	Reason string    `json:"reason"`
	Line   int64     `json:"line,omitempty"`
	Offset int64     `json:"offset,omitempty"`
	Time   time.Time `json:"time"`   // when it was rejected
	Record []byte    `json:"record"` // an input of its own, in its format
}

// DeliveryMark says that something has been taken in whole: an object of a
// bucket, a request with an idempotency key.
type DeliveryMark struct {
	Key    string
	Result []byte // what was answered, JSON
}

// IntakeCommit makes one delivery count, all of it or nothing: its rows already
// appended under Delivery, and everything in here.
type IntakeCommit struct {
	Input    uint32
	Delivery int64 // 0 when no rows were appended
	// Closed: every delivery up to this one has been committed or withdrawn.
	Closed     int64
	Add        InputCounts
	Quarantine []QuarantinedRecord // without ID and Input
	// Release removes quarantined records, that have been read after all or given up.
	Release   []int64
	Positions map[string][]byte // nil removes
	Marks     []DeliveryMark
	// Records says what the records appended under Delivery mean; nil when there are none.
	Records *RecordObservation
	// Sightings are of the answers to the delivery's queries, additions to what is known
	// of them. They are stored with the commit; rows appended under Delivery count, too.
	Sightings []Sighting
	// Delay is how long after its event time the newest record was stored, in nanoseconds; 0 when not measured.
	Delay int64
}

// IntakeKeeper keeps the account of inputs. When a call that writes returns nil,
// what it wrote survives a crash. Rows of a delivery that was never committed are
// gone when the store is opened again, except for inputs that cannot send again:
// theirs are kept and counted.
type IntakeKeeper interface {
	// OpenInput returns the state of the input called name, new when there is none.
	// again says that its transport can send once more what was not committed.
	OpenInput(ctx context.Context, name string, again bool) (InputState, error)
	// LastDelivery is the greatest delivery ever used.
	LastDelivery() int64
	// AppendEvents stores rows under a delivery.
	AppendEvents(ctx context.Context, at Origin, rows []EventRow) error
	// AppendRecords stores records under a delivery; its commit says what they mean.
	AppendRecords(ctx context.Context, at Origin, rows []Record) error
	// AppendSightings stores sightings under a delivery.
	AppendSightings(ctx context.Context, at Origin, rows []Sighting) error
	// CommitIntake makes a delivery count.
	CommitIntake(ctx context.Context, c *IntakeCommit) error
	// Withdraw removes the rows of a delivery that failed.
	Withdraw(ctx context.Context, at Origin) error
	// Marked returns the mark set for key; ErrNotFound when there is none.
	Marked(ctx context.Context, input uint32, key string) (DeliveryMark, error)
	// Quarantined lists kept records, oldest first; input "" lists all inputs'.
	Quarantined(ctx context.Context, input string, after int64, limit int) ([]QuarantinedRecord, error)
}
