package picket

import (
	"context"
	"time"
)

// FindingFilter selects findings. Zero fields select everything.
type FindingFilter struct {
	Zone        string   // apex with trailing dot
	Detector    string   // kebab-case name
	MinSeverity Severity // this and above
	Since       time.Time
	Until       time.Time // both hold against LastSeen; Until is exclusive
	Text        string    // part of the summary, the source prefix or the id
	Limit       int       // 0 means 100
	Offset      int
}

// StoredFinding is a finding as a store holds it.
type StoredFinding struct {
	Finding
	Open      bool      `json:"open"`       // its episode has not closed
	UpdatedAt time.Time `json:"updated_at"` // when it was last written
	Revision  int64     `json:"revision"`   // grows with every write in the store; for live updates
}

// FindingQuerier reads findings, newest LastSeen first.
type FindingQuerier interface {
	// Findings returns the selected findings and how many match without Limit and Offset.
	Findings(ctx context.Context, f FindingFilter) (list []StoredFinding, total int, err error)
	// Finding returns one finding; ErrNotFound when there is none.
	Finding(ctx context.Context, id string) (*StoredFinding, error)
	// FindingsRevision returns the greatest Revision in the store, 0 when it is empty.
	FindingsRevision(ctx context.Context) (int64, error)
}

// FindingAppender writes findings. A finding with an id already present replaces
// it; when the call returns nil the finding survives a crash.
type FindingAppender interface {
	PutFinding(ctx context.Context, f *Finding, open bool) error
}

// QueryAppender writes a batch of queries to the query history. The queries and
// their contexts are borrowed. When the call returns nil they survive a crash, as
// far as their deliveries are committed (IntakeKeeper). origins may be nil.
type QueryAppender interface {
	AppendQueries(ctx context.Context, q []Query, states []NameState, zones []string, origins []Origin) error
}

// SourceStatus is what the daemon can say of one input.
type SourceStatus struct {
	Name      string           `json:"name"`
	Format    string           `json:"format"`
	Transport string           `json:"transport"`
	Kind      Kind             `json:"kind,omitempty"`
	Received  int64            `json:"received"` // accepted, rejected and dropped
	Accepted  int64            `json:"accepted"`
	Rejected  map[string]int64 `json:"rejected"`
	Skipped   map[string]int64 `json:"skipped"`
	Dropped   map[string]int64 `json:"dropped"`
	LastEvent time.Time        `json:"last_event"`      // event time of the newest accepted record
	Notes     []string         `json:"notes,omitempty"` // what was assumed in reading
	Error     string           `json:"error,omitempty"`
}

// Watched says what was looked at, so that silence is qualified.
type Watched struct {
	Zones     []Zone         `json:"zones"`
	Inputs    []SourceStatus `json:"inputs"`
	Detectors []string       `json:"detectors"`
	Started   time.Time      `json:"started"`
	Notes     []string       `json:"notes"` // gaps, degradations
}

// Watcher reports what is being watched now.
type Watcher interface {
	Watched(ctx context.Context) (Watched, error)
}
