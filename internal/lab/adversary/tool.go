package adversary

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Tool is a way to study a zone, as data: what is asked in which stages.
type Tool struct {
	Name string
	// Technique is the class that a finding has to name, as the corpora of captures
	// call it: brute-force, permutation-brute, zone-transfer, nsec-walk, nsec3-walk,
	// reverse-sweep, record-survey, service-survey, server-fingerprint or
	// pdns-validation.
	Technique string
	Says      string // what it does, in a sentence
	// Evades says, of an evader, what of Picket it avoids.
	Evades string

	Habits Habits
	Knows  Knowledge // where its list comes from, unless Options says otherwise
	Words  int       // length of its own list
	Sorted bool      // the list is in alphabetical order
	Poor   bool      // the list was gathered, not chosen: few of the labels that others have
	Stages []Stage
	Needs  Needs
}

// Needs says on what a tool makes sense at all.
type Needs struct {
	Direct  bool // resolvers do not pass on what it asks
	Signing lab.Signing
	Reverse bool // Options.Reverse has to be given
	Six     bool // of IPv6
	Retired bool // the zone has to have retired names
}

// Habits are what of a tool's questions is always the same, on a direct path.
type Habits struct {
	RD       bool // it is a stub's question
	DO       bool
	EDNSSize uint16 // bytes, 0 without EDNS
	Flags    picket.QueryFlags
	Server   int // the server that it sticks to, from 1; 0 draws one for each question
	Spread   Spread
}

// Spread is which source asks what, when a path has several.
type Spread uint8

// Spreads.
const (
	SpreadRound  Spread = iota // word after word from the next source
	SpreadRandom               // each question from another source, drawn
)

// Knowledge is where a list of names comes from.
type Knowledge uint8

// Kinds of knowledge.
const (
	KnowsOwn         Knowledge = iota // the tool's own list; in Options: whatever the tool uses
	KnowsDefault                      // a default list, in the tool's own order
	KnowsLarge                        // 110,000 words, the most common first
	KnowsShuffled                     // the tool's own list in random order
	KnowsPermutation                  // alterations of names that exist
	KnowsPassiveDNS                   // what passive DNS shows: names that exist, and retired ones
	KnowsCT                           // what certificate logs show, retired names included
	KnowsHits                         // names that exist, known from an earlier visit
)

// String returns the kind as reports print it.
func (k Knowledge) String() string {
	return [...]string{"own", "default", "110 k", "shuffled", "permutation", "passive DNS", "CT", "hits"}[k]
}

// Do is what a stage does.
type Do uint8

// Kinds of stages.
const (
	DoAsk     Do = iota // Questions, one after another
	DoProbe             // Probe: labels that should not exist
	DoList              // the list, each name for all Types
	DoService           // services of the trade as _service._proto, for SRV
	DoWalk              // along the chain of NSEC records
	DoHashes            // collecting NSEC3 intervals
	DoSweep             // all addresses of Options.Reverse
	DoTree              // the ip6.arpa tree, pruned where nothing is
	DoHits              // the names of the list that existed, once more
	DoTargets           // after a transfer that succeeded: the hosts that its records name
	DoPoison            // Days of questions that make missing names look ordinary
)

// Stage is a part of what a tool does; it begins when the one before has ended.
type Stage struct {
	Do        Do
	Questions []Question
	Probe     Probe
	Types     []uint16 // for DoList and DoHits; default A
	Together  bool     // all types at once, not one after the other's answer
	Workers   int      // how many have a question in flight; 0 means 1
	Blocks    bool     // each worker has a block of the list of its own; else they share it
	Shuffle   bool     // whatever order the list has
	OnlyHits  bool     // the second and further types only for names that exist
	Misses    int      // at most how many times a name that does not exist is asked; 0 means once
	Lost      float64  // share of questions that are asked again because no answer came in time
	Follow    int      // ask PTR for so many addresses before and after each hit's
	Forms     []Form   // of a walk
	Type      uint16   // of a walk; 0 means A
	Count     int      // for DoService: how many services
	Pause     int64    // nanoseconds after each question, drawn between half and one and a half of it
	Exact     bool     // the pause is not drawn
	Slack     int64    // nanoseconds that a worker is held up before each question, on average
	Cover     Cover
	Rest      Rest
	Hide      Hide
	Days      float64 // for DoPoison
	Each      int     // for DoPoison: questions a day
}

// Question is one question of a survey.
type Question struct {
	// Name is relative to the zone ("" is its apex), or absolute with trailing dot.
	// "{ns}" and "{mx}" stand for each name server and mail exchanger in the zone,
	// "{hit}" for some names that exist, "{reverse}" for the reverse zone.
	Name   string
	Type   uint16
	Class  uint16 // 0 means IN
	Each   bool   // asked of each server
	Stream bool   // over TCP
	NoRD   bool
	Flags  picket.QueryFlags
	Opcode uint8
}

// Form is how a walk makes the next question of the name it has reached.
type Form uint8

// Forms.
const (
	FormZero    Form = iota // a child label with a zero byte
	FormChild0              // 0.NAME
	FormDash                // the first label with "-" appended
	FormName                // the name itself
	FormChildH              // 0.NAME, as a host of NAME; at the apex h.NAME
	FormOrdinal             // an ordinary two-syllable child
)

// Probe is a wildcard probe: how the label looks.
type Probe struct {
	Alphabet string
	Min, Max int    // length
	Distinct bool   // no character twice
	Mixed    bool   // written with capitals
	Make     string // "uuid", "xid", "epoch" instead
	Count    int    // so many labels; 0 means 1
	Types    []uint16
	// Fresh says that each type gets a label of its own.
	Fresh bool
	// Depth asks again below so many names that exist, with the same label.
	Depth int
}

// Cover is what an evader asks between its real questions.
type Cover struct {
	Kind CoverKind
	Each int // so many for each real question
	// Forged sends them from addresses that are not the adversary's.
	Forged bool
	// Framed takes these from large resolvers that others use, and asks as they do.
	Framed bool
}

// CoverKind is what cover looks like.
type CoverKind uint8

// Kinds of cover.
const (
	CoverNone  CoverKind = iota
	CoverGood            // names that exist, of those that everybody knows
	CoverLeak            // foreign names with the zone as search suffix
	CoverFlood           // generated labels, as of a random subdomain attack
	CoverWords           // words that are not in the list
)

// Rest keeps each source below a count.
type Rest struct {
	Per   int   // so many names from one source, then the next
	Every int64 // nanoseconds until a source is used again; 0 means never
	// Fresh gives each handful a new IPv6 /64 of one /48 in place of the path's.
	Fresh bool
}

// Hide varies what a list looks like.
type Hide struct {
	Types bool // types drawn from what clients ask
	Pace  bool // gaps of very unequal length
}

// Options say how a tool is used in one run.
type Options struct {
	// Path is how questions reach the servers. It remembers what its resolvers have
	// cached, so each run needs its own.
	Path  *lab.Path
	Begin int64 // Unix nanoseconds
	// Rate is how many questions are asked a second; 0 is the tool's own pace.
	Rate float64
	// Jitter is by how much a gap differs from the mean, as a share of it, 0 to 1.
	Jitter float64
	// List replaces the tool's knowledge.
	List Knowledge
	// Words replaces the list: labels below the apex, in the order they are asked.
	Words []string
	// Known is the share of the zone's names that the list has when it comes from
	// passive DNS; 0 means 0.7. Retired is the share of the retired ones; 0 means all.
	Known, Retired float64
	Reverse        *Reverse
	Seed           uint64
	// Most ends the run after so many questions; 0 means never.
	Most int
}
