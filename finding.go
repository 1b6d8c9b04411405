package picket

import "time"

// Severity orders findings for triage.
type Severity uint8

// Severities, in rising order.
const (
	SeverityInformational Severity = iota
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"informational", "low", "medium", "high", "critical"}

// String returns the severity's name.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "informational"
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes; anything else is ErrBadValue.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return ErrBadValue
}

// Intents: what kind of interest a finding most likely shows. Never an actor.
const (
	IntentTargeted  = "targeted"
	IntentCommodity = "commodity"
	IntentResearch  = "research"
	IntentOwn       = "own"
	IntentUnknown   = "unknown"
)

// Source kinds, inferred from behaviour.
const (
	SourceDirect   = "direct"   // a stub or tool asking the server itself
	SourceResolver = "resolver" // a recursive resolver: others stand behind it
	SourceUnknown  = "unknown"
)

// Source is where the queries of a finding came from. The zero Prefix ("") means
// the whole zone, whoever asked.
type Source struct {
	Prefix    string `json:"prefix"`
	Kind      string `json:"kind"`
	Spoofable bool   `json:"spoofable"`
}

// NamedState is a sample name in a finding, in presentation form without
// trailing dot, with the state it had when asked.
type NamedState struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Type  string `json:"type,omitempty"`
}

// Feature is one measured quantity a finding rests on, with the threshold it was
// held against (0 where it only informs).
type Feature struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold,omitempty"`
}

// Bucket is one step of a finding's timeline.
type Bucket struct {
	Time    time.Time `json:"time"`
	Queries int64     `json:"queries"`
}

// Evidence is what a finding rests on, in bounded size.
type Evidence struct {
	Names    []NamedState `json:"names"`
	Features []Feature    `json:"features"`
	Timeline []Bucket     `json:"timeline,omitempty"`
	// Telemetry says which levels of telemetry were present (Q, R, D, Z; see
	// docs/detectors) and what was inferred rather than seen.
	Telemetry []string `json:"telemetry,omitempty"`
}

// Finding is an early warning: what was seen, how sure, and what it does not
// prove. It is never a verdict of intrusion.
type Finding struct {
	ID              string    `json:"id"` // deterministic for (detector, zone, source key, episode)
	Detector        string    `json:"detector"`
	Techniques      []string  `json:"techniques"` // ATT&CK technique ids
	Zone            string    `json:"zone"`       // apex with trailing dot; "" when in no watched zone
	Source          Source    `json:"source"`
	FirstSeen       time.Time `json:"first_seen"` // event time
	LastSeen        time.Time `json:"last_seen"`
	Queries         int64     `json:"queries"` // from this source in this episode
	Names           int64     `json:"names"`   // distinct names, estimated beyond a bound
	DetectedAtQuery int64     `json:"detected_at_query"`
	Severity        Severity  `json:"severity"`
	Confidence      float64   `json:"confidence"` // 0 to 1
	Intent          string    `json:"intent"`
	Summary         string    `json:"summary"`
	Limits          string    `json:"limits"`
	Evidence        Evidence  `json:"evidence"`
	// Class is FindingOperational for what is wrong with the watch itself, "" for reconnaissance.
	Class string `json:"class,omitempty"`
	// Coverage says what was watched when it was raised, and what was not.
	Coverage string `json:"coverage,omitempty"`
}

// FindingOperational is the Class of findings about collection: a feed that stopped, a server that lags.
const FindingOperational = "operational"

// FindingSink takes findings as they are raised, updated and closed. The
// *Finding is the sink's to keep.
type FindingSink interface {
	// Finding is called when a finding is first raised and again whenever its
	// figures have changed materially; closed is true the last time.
	Finding(f *Finding, closed bool) error
}
