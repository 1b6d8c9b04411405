package picket

import (
	"context"
	"time"
)

// KindKept is what is really there of a kind of what is kept.
type KindKept struct {
	Kind       string    `json:"kind"`             // query, admin-event, …, sighting, change, finding, quarantine, mark, activity, intake
	Configured string    `json:"configured"`       // how long it is to be kept, such as "30 days", or "for ever"
	Oldest     time.Time `json:"oldest,omitzero"`  // event time, of rows and segments
	Newest     time.Time `json:"newest,omitzero"`  // likewise
	Rows       int64     `json:"rows"`             // in tables, not sealed
	HeldRows   int64     `json:"held_rows"`        // of these, under legal hold
	Segments   int       `json:"segments"`         // sealed files
	Sealed     int64     `json:"sealed"`           // rows in segments
	Bytes      int64     `json:"bytes"`            // of segments
	Held       int       `json:"held"`             // segments under legal hold
	Removed    []Removal `json:"removed,omitzero"` // the last removals, newest first
}

// Removal is one entry of the ledger about something that was removed.
type Removal struct {
	Seq       int64  `json:"seq"`
	Time      string `json:"time"` // RFC 3339, wall clock
	Kind      string `json:"kind"`
	Path      string `json:"path,omitempty"` // of a segment
	SHA256    string `json:"sha256,omitempty"`
	Rows      int64  `json:"rows"`
	Held      int64  `json:"held,omitempty"` // rows as old that were left because of a hold
	OlderThan string `json:"older_than"`
}

// Hold is a legal hold on a range of event time: nothing of its kind in
// [Since, Until) is removed before it is released.
type Hold struct {
	ID     int64     `json:"id"`   // 1, 2, 3, …
	Kind   string    `json:"kind"` // as in KindKept, or "all"
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	Placed string    `json:"placed,omitempty"` // RFC 3339, wall clock
	By     string    `json:"by"`               // who has placed it
	// Released is when it was released, "" while it holds.
	Released      string `json:"released,omitempty"`
	ReleasedBy    string `json:"released_by,omitempty"`
	ReleaseReason string `json:"release_reason,omitempty"`
}

// Covers reports whether the hold is on something of a kind between two times, both inclusive.
func (h *Hold) Covers(kind string, first, last time.Time) bool {
	return h.Released == "" && (h.Kind == "all" || h.Kind == kind) && first.Before(h.Until) && !last.Before(h.Since)
}

// RetentionReader says what is kept, and what is not to be removed.
type RetentionReader interface {
	// Kept says of each kind how long it is kept, what is there and what was removed last.
	Kept(ctx context.Context) ([]KindKept, error)
	// Holds returns every legal hold there ever was, in order.
	Holds(ctx context.Context) ([]Hold, error)
}
