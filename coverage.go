package picket

import (
	"context"
	"time"
)

// Activity counts the queries of one step of event time that came from one input,
// for one zone and one server.
type Activity struct {
	Start  time.Time `json:"start"`
	Input  string    `json:"input"`
	Server string    `json:"server"` // the server's address as the telemetry has it, "" when it has none
	Sensor string    `json:"sensor"` // as the telemetry has it
	Zone   string    `json:"zone"`   // apex with trailing dot, "" in no zone
	Count  int64     `json:"count"`
	// Of these, how many carried a client address, a response code, header flags, a
	// response, the transport.
	WithClient, WithRcode, WithFlags, WithResponse, WithTransport int64
}

// IntakeStep counts what became of an input's records in one step of wall-clock time.
type IntakeStep struct {
	Start    time.Time `json:"start"`
	Input    string    `json:"input"`
	Accepted int64     `json:"accepted"`
	Rejected int64     `json:"rejected"`
	Dropped  int64     `json:"dropped"`
	// MinDelay and MaxDelay bound, in nanoseconds, how long after their event time the
	// newest records of its commits were stored; 0 when that was not measured. A negative delay is a clock ahead.
	MinDelay int64 `json:"min_delay"`
	MaxDelay int64 `json:"max_delay"`
}

// Retained says what is really there of one kind of telemetry, or of "change" (of
// zones), "finding" or "activity" (the counts that coverage is judged by).
type Retained struct {
	Kind     Kind      `json:"kind"`
	Oldest   time.Time `json:"oldest,omitzero"` // event time
	Newest   time.Time `json:"newest,omitzero"`
	Rows     int64     `json:"rows"`
	Bytes    int64     `json:"bytes"` // of sealed segments
	Segments int64     `json:"segments"`
	Held     int64     `json:"held"` // segments under legal hold
	// Since is the oldest that is known to have been there, by notes made while it was,
	// of what retention has not removed since; zero when nothing was noted.
	Since time.Time `json:"since,omitzero"`
	// Expired is up to where retention has removed it, by the ledger; zero for never.
	Expired time.Time `json:"expired,omitzero"`
}

// Setup is what was configured from a time on: what could be seen at all.
type Setup struct {
	Time      time.Time     `json:"time"` // from when
	Zones     []SetupZone   `json:"zones"`
	Servers   []SetupServer `json:"servers"`
	Inputs    []SetupInput  `json:"inputs"`
	Detectors []string      `json:"detectors"` // switched on
	Retention []SetupRetain `json:"retention"`
}

// SetupZone is a zone that is to be watched.
type SetupZone struct {
	Name string `json:"name"` // apex with trailing dot
	// Delegation are the name servers that the parent names, or that the zone itself
	// does where the parent is not known; with trailing dot.
	Delegation []string `json:"delegation"`
	// Parent says where the delegation was learned: the parent's server, the parent zone, or "" for the zone itself.
	Parent string `json:"parent,omitempty"`
}

// SetupServer is a name server that answers for zones.
type SetupServer struct {
	Name      string   `json:"name"` // with trailing dot
	Addresses []string `json:"addresses"`
	Zones     []string `json:"zones"` // "" list: all zones
	Provider  string   `json:"provider,omitempty"`
}

// SetupInput is an input.
type SetupInput struct {
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`   // "" until it is known
	Format    string `json:"format"` // likewise auto
	Transport string `json:"transport"`
	Server    string `json:"server,omitempty"` // name server that it is of, with trailing dot
	// Zones are the zones that an input of records is of; empty when it does not say.
	Zones    []string `json:"zones,omitempty"`
	Provider string   `json:"provider,omitempty"` // who provides it
	Levels   string   `json:"levels,omitempty"`   // of the format
	// Expect is the longest silence that is normal; 0 when history tells.
	Expect time.Duration `json:"expect"`
	// Live says that what happens is expected here soon after, so that a clock can be judged.
	Live bool `json:"live"`
}

// SetupRetain is how long a kind is kept; 0 is for ever.
type SetupRetain struct {
	Kind Kind          `json:"kind"`
	Keep time.Duration `json:"keep"`
}

// Uptime is a run of the daemon.
type Uptime struct {
	From, To time.Time // To: when it last said that it was there
}

// ServerCount is what a server says of itself: the queries it has answered in a step.
type ServerCount struct {
	Start   time.Time
	Server  string // with trailing dot
	Queries int64
}

// CoverageStore reads what coverage is judged by.
type CoverageStore interface {
	// Activity counts queries by steps of event time, at least a minute each.
	Activity(ctx context.Context, from, to time.Time, step time.Duration) ([]Activity, error)
	// IntakeSteps counts by steps of wall-clock time.
	IntakeSteps(ctx context.Context, from, to time.Time, step time.Duration) ([]IntakeStep, error)
	// Retained says what is there, of each kind.
	Retained(ctx context.Context) ([]Retained, error)
	// Setups returns the setups that held at any time of the range, oldest first.
	Setups(ctx context.Context, from, to time.Time) ([]Setup, error)
	// Uptimes returns the runs of the daemon that overlap the range, oldest first.
	Uptimes(ctx context.Context, from, to time.Time) ([]Uptime, error)
	// ServerCounts returns what servers counted themselves.
	ServerCounts(ctx context.Context, from, to time.Time, step time.Duration) ([]ServerCount, error)
}

// CoverageKeeper writes it. The counts of queries and intake are written with the
// telemetry itself.
type CoverageKeeper interface {
	// PutSetup notes what is configured from s.Time on. The same as before is not noted again.
	PutSetup(ctx context.Context, s *Setup) error
	// Beat says that the daemon that started at a time is there.
	Beat(ctx context.Context, started, now time.Time) error
	// NoteRetained notes what is there of each kind now, by which it can be told later
	// that something is missing.
	NoteRetained(ctx context.Context) error
	// PutServerCounts notes what servers have counted.
	PutServerCounts(ctx context.Context, list []ServerCount) error
}

// Silence says why nothing comes.
type Silence string

// Reasons for silence, told apart.
const (
	SilenceNone      Silence = ""                 // something comes
	SilenceNoTraffic Silence = "no traffic"       // the feed works: nobody asks
	SilenceBroken    Silence = "broken feed"      // it should come, or it did, and does not
	SilenceNever     Silence = "never configured" // no input is meant to bring it
	SilenceUnknown   Silence = "cannot be told"   // nothing to compare with
)

// CoverageCell is one zone at one name server, for one kind of telemetry.
type CoverageCell struct {
	Zone     string    `json:"zone"`
	Server   string    `json:"server"` // name with trailing dot, or the input's name in brackets when the server is not known
	Kind     Kind      `json:"kind"`
	Inputs   []string  `json:"inputs"`
	Provider string    `json:"provider,omitempty"`
	State    string    `json:"state"` // collected, partial, silent or missing
	Silence  Silence   `json:"silence,omitempty"`
	First    time.Time `json:"first,omitzero"` // event time, within what was asked for
	Last     time.Time `json:"last,omitzero"`
	Seen     int64     `json:"seen"`
	// Expected is how many there should have been, and Basis what says so: sibling
	// servers, the server's own counter, history by hour of week. -1 when nothing says.
	Expected  float64       `json:"expected"`
	Basis     string        `json:"basis,omitempty"`
	Gaps      []Gap         `json:"gaps,omitempty"`
	Skew      time.Duration `json:"skew,omitempty"` // of the clock: positive is ahead
	SkewKnown bool          `json:"skew_known"`
	Lost      int64         `json:"lost"` // dropped and rejected at its inputs
	// Missing are fields that less than half of the records carry.
	Missing []string `json:"missing,omitempty"`
	// Notes are remarks that are no problem.
	Notes []string `json:"notes,omitempty"`
}

// Gap is a time in which nothing came although something should have.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Why  string    `json:"why"`
}

// CoverageProblem is something wrong with what is collected.
type CoverageProblem struct {
	// Code is one of: feed-silent, never-configured, gap, field-missing, clock-skew, loss,
	// rate-low, server-lag, input-error, retention-short, blind, not-running.
	Code   string    `json:"code"`
	Zone   string    `json:"zone,omitempty"`
	Server string    `json:"server,omitempty"`
	Input  string    `json:"input,omitempty"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Text   string    `json:"text"` // a sentence
}

// DetectorCoverage says how well a detector can see.
type DetectorCoverage struct {
	Detector string   `json:"detector"`
	State    string   `json:"state"` // working, degraded, blind or off
	Why      []string `json:"why,omitempty"`
}

// ClassCoverage is the verdict on one of the five classes of telemetry that the
// detection strategy rests on, and on outside signals.
type ClassCoverage struct {
	Class   string `json:"class"`
	Kind    Kind   `json:"kind"`
	Verdict string `json:"verdict"` // collected, partial, broken, not collected
	Text    string `json:"text"`    // a sentence
}

// RetentionCoverage compares what is to be kept with what is there.
type RetentionCoverage struct {
	Retained
	Configured time.Duration `json:"configured"` // 0 is for ever
	Text       string        `json:"text"`
}

// CoverageReport says what was collected of what there was, within a range of time.
type CoverageReport struct {
	From      time.Time           `json:"from"`
	To        time.Time           `json:"to"`
	Made      time.Time           `json:"made"`
	Statement string              `json:"statement"` // short: findings carry it
	Problems  []CoverageProblem   `json:"problems"`
	Cells     []CoverageCell      `json:"cells"`
	Classes   []ClassCoverage     `json:"classes"`
	Detectors []DetectorCoverage  `json:"detectors"`
	Retention []RetentionCoverage `json:"retention"`
}

// CouldAnswer answers whether something could have been seen.
type CouldAnswer struct {
	Detector string    `json:"detector"`
	Zone     string    `json:"zone"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Answer   string    `json:"answer"` // yes, partly, no
	Text     string    `json:"text"`
	Reasons  []string  `json:"reasons"`
}

// CoverageFilter says what a report is to be about.
type CoverageFilter struct {
	From, To time.Time // zero: the last 24 hours
	Zone     string    // apex with trailing dot; "" for all
}

// CoverageReporter makes reports.
type CoverageReporter interface {
	Coverage(ctx context.Context, f CoverageFilter) (*CoverageReport, error)
	// CouldSee answers whether a detector could have seen something on a zone; ErrNotFound
	// when there is no such detector.
	CouldSee(ctx context.Context, detector string, f CoverageFilter) (*CouldAnswer, error)
}

// ServerLag says how far a name server is behind the newest state of a zone that is known.
type ServerLag struct {
	Zone    string    `json:"zone"`
	Server  string    `json:"server"` // name with trailing dot
	Address string    `json:"address"`
	Serial  uint32    `json:"serial"` // what it serves
	Newest  uint32    `json:"newest"` // the newest that is known
	Behind  int       `json:"behind"` // versions that it lacks; 0 when it is up to date
	Since   time.Time `json:"since,omitzero"`
	Error   string    `json:"error,omitempty"` // it could not be asked, or does not answer for the zone
}
