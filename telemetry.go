package picket

// Kind is one of the six kinds of telemetry. Each input yields exactly one.
type Kind string

// The kinds of telemetry.
const (
	KindQuery      Kind = "query"
	KindRecord     Kind = "record"
	KindSighting   Kind = "sighting"
	KindAdminEvent Kind = "admin-event"
	KindAsset      Kind = "asset"
	KindSignal     Kind = "signal"
)

// Position is where in an input something was found: a byte offset for binary
// formats (Line 0), a line number starting at 1 for text.
type Position struct {
	Offset int64
	Line   int64
	// Record is the record found there as an input of its own: the line, the JSON
	// object, the packet within a capture of one. It is borrowed, and nil when the
	// format cannot give it. What was rejected is kept by it and can be decoded again.
	Record []byte
}

// Accounting is told what became of each record of an input: exactly one of the
// three, so that received = accepted + rejected + dropped holds (InputCounts), with
// what was skipped never having been received. Reasons are short constants of low
// cardinality ("truncated message", "bad address"). Implementations do not
// allocate for a reason they have seen.
type Accounting interface {
	// Accept counts a record that yielded telemetry, with its event time (Unix
	// nanoseconds), 0 when it has none. It is told right before the sink is.
	Accept(time int64)
	// Reject counts a record that should have been telemetry but could not be read.
	Reject(reason string, at Position)
	// Skip counts a record that is well-formed but no telemetry of this kind
	// (another DNS message type, a comment, an unrelated log category).
	Skip(reason string)
}
