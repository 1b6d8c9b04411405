package judge

import (
	"net/netip"
	"slices"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// Labels of experiments.
const (
	Recon  = "recon"
	Benign = "benign"
	Flood  = "attack-other" // a denial of service, which is to be told as such
)

// Cell is what is varied, in words. Runs of one cell differ by seed alone.
type Cell struct {
	Block string // which part of the matrix
	Tool  string // or the name of a storm
	Class string // technique, see Accepted
	Path  string
	Zone  string
	List  string
	Rate  string
}

// Actor is an adversary in a run who knows the truth about it; it is asked when the
// run is over.
type Actor interface {
	lab.Stream
	// ListLength is how many names its list has, 0 without one; Asked how many different
	// names it had asked by a time, and Disclosed how many existing ones it had learned.
	ListLength() int
	Asked(at int64) int
	Disclosed(at int64) int
}

// Experiment is one run.
type Experiment struct {
	Cell       Cell
	Seed       uint64
	Label      string
	World      *lab.World
	Background lab.Stream // endless; nil for none
	Actor      lab.Stream // the adversary, the storm or the flood; nil for background alone
	// Retired says that the zone's past is known to the judged system.
	Retired bool
	// Reverse are zones that the organisation has beside the world's.
	Reverse []*lab.Zone
	Own     []netip.Prefix // listed scanners
	Surveys netip.Prefix   // survey projects: that they fingerprint the server is no false alarm
	// Tail is how long the background goes on after the actor has ended. Limit ends runs
	// that take longer, with what was asked until then.
	Tail, Limit time.Duration
}

// Subject is a system that is judged: Picket as it is wired.
type Subject interface {
	picket.QuerySink
	// Finish handles what is pending; findings come until it returns.
	Finish() error
}

// Subjects makes a Subject for a world.
type Subjects func(e *Experiment, withoutSignatures bool, sink picket.FindingSink) (Subject, error)

// Names of the judged systems beside the rules.
const (
	Picket         = "picket"
	PicketBehavior = "picket-without-signatures"
)

// Accepted lists, for each class, the detectors whose finding names it rightly.
func Accepted(class string) []string {
	switch class {
	case "brute-force", "permutation-brute":
		return []string{"brute-force", "ordered-names", "dictionary-core", "permutation", "distributed-enumeration"}
	case "zone-transfer":
		return []string{"zone-transfer"}
	case "nsec-walk":
		return []string{"nsec-walk"}
	case "nsec3-walk":
		return []string{"nsec3-walk"}
	case "reverse-sweep":
		return []string{"reverse-sweep"}
	case "record-survey", "service-survey":
		return []string{"record-survey", "service-survey", "open-resolver-probe"}
	case "server-fingerprint":
		return []string{"server-fingerprint", "open-resolver-probe"}
	case "pdns-validation":
		return []string{"retired-names", "list-verification"}
	}
	return nil
}

// Outcome is what one judged system made of one run.
type Outcome struct {
	Judged string
	Cell   Cell
	Seed   uint64
	Label  string
	// Of an actor: whether it was named in its class, or in any; how many of its
	// queries had reached the servers by then; what it had asked of its list, and
	// learned of its true names.
	Found, Noticed  bool
	AtQuery         int64
	Delay           time.Duration
	Measured        bool // the two shares are known
	ListShare       float64
	NamesShare      float64
	Attributed      bool // the finding names a source of its, not the zone alone
	FloodTold       bool // of a flood: random-flood raised, and no reconnaissance
	ActorQueries    int64
	Queries         int64    // all of the run
	Days            float64  // of one zone
	Surveys         int      // findings that are right about survey projects
	False           []string // detectors of what was raised without an actor behind it
	Raised          []string // detectors of what was raised on the actor
	Top             float64  // of a rule: the highest score on the actor's sources
	ScoresElsewhere []float64
}

// Run runs an experiment and returns the outcome of each judged system.
func Run(e *Experiment, make Subjects, signatures []bool, list []rules.Rule) ([]Outcome, error) {
	t := newTrial(e)
	for _, without := range signatures {
		if err := t.addSubject(make, without); err != nil {
			return nil, err
		}
	}
	for _, r := range list {
		t.rules = append(t.rules, watched{rule: r, counter: r.New(secondaries(e)), best: map[rules.Key]float64{}})
	}
	if err := t.play(); err != nil {
		return nil, err
	}
	return t.outcomes(), nil
}

// secondaries are the organisation's servers, which transfer its zones.
func secondaries(e *Experiment) []netip.Addr {
	if e.World.Zone == nil {
		return nil
	}
	return e.World.Zone.Servers
}

// trial is a run in progress.
type trial struct {
	e        *Experiment
	sources  map[netip.Addr]bool // that the actor has asked from
	subjects []*subject
	rules    []watched
	begin    int64
	end      int64
	queries  int64
	arrivals []int64 // of the actor's queries
}

type subject struct {
	Subject
	name  string
	first map[string]*picket.Finding // by identity: as first raised
	order []string
	last  map[string]*picket.Finding
}

// Finding keeps a finding as it was first raised and as it was last.
func (s *subject) Finding(f *picket.Finding, _ bool) error {
	if _, known := s.first[f.ID]; !known {
		s.first[f.ID] = f
		s.order = append(s.order, f.ID)
	}
	s.last[f.ID] = f
	return nil
}

func newTrial(e *Experiment) *trial {
	return &trial{e: e, sources: map[netip.Addr]bool{}}
}

func (t *trial) addSubject(make Subjects, without bool) error {
	s := &subject{name: Picket, first: map[string]*picket.Finding{}, last: map[string]*picket.Finding{}}
	if without {
		s.name = PicketBehavior
	}
	var err error
	if s.Subject, err = make(t.e, without, s); err != nil {
		return err
	}
	t.subjects = append(t.subjects, s)
	return nil
}

// play feeds the merged traffic to all.
func (t *trial) play() error {
	t.begin, t.end = t.e.World.Begin, t.e.World.Begin
	traffic := t.e.Traffic()
	for q := traffic.Next(); q != nil; q = traffic.Next() {
		mine := traffic.Actor()
		if mine {
			t.arrivals = append(t.arrivals, q.Time)
			t.sources[q.Client] = true
		}
		if err := t.feed(q, mine); err != nil {
			return err
		}
	}
	for _, s := range t.subjects {
		if err := s.Finish(); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) feed(q *picket.Query, mine bool) error {
	t.queries++
	t.end = q.Time
	for _, s := range t.subjects {
		if err := s.Query(q); err != nil {
			return err
		}
	}
	for i := range t.rules {
		t.rules[i].observe(t, q, mine)
	}
	return nil
}

// since is how many of the actor's queries had reached the servers by a time.
func (t *trial) since(at int64) int64 {
	n, found := slices.BinarySearch(t.arrivals, at)
	for found && n < len(t.arrivals) && t.arrivals[n] == at {
		n++
	}
	return int64(n)
}

func (t *trial) outcomes() (list []Outcome) {
	for _, s := range t.subjects {
		list = append(list, t.judge(s))
	}
	for i := range t.rules {
		list = append(list, t.rules[i].outcome(t))
	}
	return list
}

// blank is an outcome before anything was judged.
func (t *trial) blank(name string) Outcome {
	return Outcome{Judged: name, Cell: t.e.Cell, Seed: t.e.Seed, Label: t.e.Label, ActorQueries: int64(len(t.arrivals)), Queries: t.queries,
		Days: float64(t.end-t.begin) / float64(24*time.Hour)}
}

// judge sums up what a subject raised.
func (t *trial) judge(s *subject) Outcome {
	o := t.blank(s.name)
	accepted := Accepted(t.e.Cell.Class)
	flood, recon := false, false
	var first *picket.Finding
	for _, id := range s.order {
		f := s.first[id]
		flood = flood || f.Detector == "random-flood"
		if s.last[id].Severity == picket.SeverityInformational {
			continue
		}
		recon = recon || f.Detector != "random-flood"
		if t.survey(f) {
			o.Surveys++
			continue
		}
		if !t.about(f) {
			o.False = append(o.False, f.Detector)
			continue
		}
		o.Noticed = true
		o.Raised = append(o.Raised, f.Detector)
		if t.e.Label == Recon && slices.Contains(accepted, f.Detector) && (first == nil || raised(f) < raised(first)) {
			first = f
		}
	}
	o.FloodTold = flood && !recon
	if first != nil {
		t.credit(&o, raised(first))
		o.Attributed = first.Source.Prefix != ""
	}
	return o
}

// survey reports whether a finding is a survey project's, which it is right about and
// which is worth no more than a line: low severity, the server's software.
func (t *trial) survey(f *picket.Finding) bool {
	p, err := netip.ParsePrefix(f.Source.Prefix)
	return err == nil && f.Detector == "server-fingerprint" && f.Severity == picket.SeverityLow && t.e.Surveys.IsValid() && t.e.Surveys.Overlaps(p)
}

// raised is when a finding, as it was first seen, had been raised. Those over whole
// zones know whole seconds, of which the end counts.
func raised(f *picket.Finding) int64 {
	at := f.LastSeen.UnixNano()
	if f.Source.Prefix == "" {
		at += lab.Second - 1
	}
	return at
}

// about reports whether a finding is about the actor: its sources, or the whole
// zone, while it was at work.
func (t *trial) about(f *picket.Finding) bool {
	if len(t.arrivals) == 0 || raised(f) < t.arrivals[0] {
		return false
	}
	if f.Source.Prefix == "" {
		return true
	}
	p, err := netip.ParsePrefix(f.Source.Prefix)
	if err != nil {
		return false
	}
	if p.IsSingleIP() {
		return t.sources[p.Addr()]
	}
	for a := range t.sources {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// credit notes that the actor was found at a time.
func (t *trial) credit(o *Outcome, at int64) {
	o.Found, o.Noticed = true, true
	o.AtQuery = max(t.since(at), 1)
	o.Delay = time.Duration(at - t.arrivals[0])
	if a, ok := t.e.Actor.(Actor); ok {
		o.Measured = true
		n := a.ListLength()
		if n == 0 {
			n = a.Asked(t.end)
		}
		o.ListShare = min(ratio(a.Asked(at), n), 1)
		o.NamesShare = ratio(a.Disclosed(at), a.Disclosed(t.end))
	}
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
