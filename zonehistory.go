package picket

import (
	"context"
	"time"
)

// Ways in which the contents of a zone become known.
const (
	MethodTransfer = "transfer" // AXFR or IXFR
	MethodFile     = "file"     // a document that is read again when it changes
	MethodGit      = "git"      // the history of a repository
	MethodPush     = "push"     // a document that was sent: an export, an object of a bucket
)

// RecordObservation says what the records appended under a delivery mean for the
// zones they are of, so that a store can tell what has changed. Observations of
// one Source and Scope follow each other.
type RecordObservation struct {
	Source string    // who says so: the input's name
	Scope  string    // what of the source: a path, an object's key; "" for the zone itself
	Zone   string    // apex with trailing dot; "" when the records say it, or their SOA does
	Method string    // MethodTransfer …
	Time   time.Time // when it was so: of the transfer, the commit, the reading
	// Whole: the records are all there are in the scope, so that what is missing is
	// gone. Otherwise they carry ChangeAdd, ChangeRemove and ChangeReplace.
	Whole bool
	// Partial: some records could not be read, so that nothing is concluded from
	// what is missing.
	Partial bool
	// Serials before and after (RFC 1982); meaningless unless HasSerial.
	HasSerial            bool
	SerialFrom, SerialTo uint32
	// Who and why, where the source says: of a commit, an audit log.
	Author, Commit, Comment string
}

// RecordLife is the life of one record in what one source says of a zone.
type RecordLife struct {
	Zone   string `json:"zone"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Class  string `json:"class,omitempty"`
	TTL    int64  `json:"ttl,omitempty"` // seconds, as last seen
	Data   string `json:"data"`
	Source string `json:"source"`
	Scope  string `json:"scope,omitempty"`
	Method string `json:"method"`
	// Since is when it was first there. Unless Began, it was there already when the
	// source was first looked at, and may be older.
	Since time.Time `json:"since"`
	Began bool      `json:"began"`
	// Until is when it was gone; zero while it is there.
	Until       time.Time `json:"until,omitzero"`
	SinceSerial uint32    `json:"since_serial,omitempty"`
	UntilSerial uint32    `json:"until_serial,omitempty"`
	// Churn marks what DNSSEC brings along by itself: RRSIG, NSEC, NSEC3, and the SOA,
	// whose serial changes with everything.
	Churn bool `json:"churn,omitempty"`
}

// RecordChange is what happened to one RRset (RFC 9499 §5).
type RecordChange struct {
	ID         int64     `json:"id"`
	Time       time.Time `json:"time"`     // when it was done, or seen, by the source
	Received   time.Time `json:"received"` // when Picket learned of it
	Zone       string    `json:"zone"`
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Class      string    `json:"class,omitempty"`
	Old        []string  `json:"old"` // RDATA before, sorted; empty when it is new
	New        []string  `json:"new"` // RDATA after, sorted; empty when it is gone
	OldTTL     int64     `json:"old_ttl,omitempty"`
	NewTTL     int64     `json:"new_ttl,omitempty"`
	Source     string    `json:"source"`
	Scope      string    `json:"scope,omitempty"`
	Method     string    `json:"method"`
	HasSerial  bool      `json:"has_serial"`
	SerialFrom uint32    `json:"serial_from,omitempty"`
	SerialTo   uint32    `json:"serial_to,omitempty"`
	Author     string    `json:"author,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	Churn      bool      `json:"churn,omitempty"`
}

// ZoneVersion is one state of a zone that a source has shown.
type ZoneVersion struct {
	Zone      string    `json:"zone"`
	Source    string    `json:"source"`
	Scope     string    `json:"scope,omitempty"`
	Method    string    `json:"method"`
	HasSerial bool      `json:"has_serial"`
	Serial    uint32    `json:"serial,omitempty"`
	Time      time.Time `json:"time"`
	Received  time.Time `json:"received"`
	Records   int64     `json:"records"` // in the zone, churn included
	Added     int64     `json:"added"`   // records, churn not included
	Removed   int64     `json:"removed"`
	Churn     int64     `json:"churn"` // records of churn added and removed
	First     bool      `json:"first"` // the first look at this scope: nothing to compare with
	Partial   bool      `json:"partial,omitempty"`
}

// HistoryFilter selects from the history of zones. Zero fields select everything.
type HistoryFilter struct {
	Zone   string    // apex with trailing dot
	Name   string    // with trailing dot
	Below  bool      // Name and everything below it
	Type   string    // mnemonic
	Source string    // name of the input
	Since  time.Time // changes at or after; lives that had not ended by then
	Until  time.Time // changes before; lives that had begun by then
	Churn  bool      // what is folded away, too
	Living bool      // lives only: those that have not ended
	Limit  int       // 0 means 100
	Offset int
}

// ZoneHistory reads what became of zones.
type ZoneHistory interface {
	// Changes returns changes, newest first, and how many there are without Limit and Offset.
	Changes(ctx context.Context, f HistoryFilter) (list []RecordChange, total int64, err error)
	// Lives returns life lines, by name, type, data and time.
	Lives(ctx context.Context, f HistoryFilter) (list []RecordLife, total int64, err error)
	// ZoneVersions returns the states of a zone that were seen, newest first; zone ""
	// returns the newest of each zone, source and scope.
	ZoneVersions(ctx context.Context, zone string, limit int) ([]ZoneVersion, error)
	// HistoryRevision grows whenever the history changes.
	HistoryRevision(ctx context.Context) (int64, error)
}

// ZonePast is what the catalog is made of beside files.
type ZonePast interface {
	HistoryRevision(ctx context.Context) (int64, error)
	// EachLiving calls f for every record that is there now by transfer, file or push, churn
	// included, zone by zone; a record that several sources have comes once.
	EachLiving(ctx context.Context, f func(zone, name, rrtype string) error) error
	// EachPast calls f for every name that has lived in a zone, as any source knows
	// it, or that passive DNS has seen an answer for, and when it was last there.
	// Names that live are among them.
	EachPast(ctx context.Context, f func(name string, last time.Time) error) error
}
