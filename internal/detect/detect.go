// Package detect finds reconnaissance in queries. Each detector is one file: a
// constructor, what it looks at (its triggers), and how it explains itself. The
// package is pure: it does no I/O, reads no clock (event time only), starts no
// goroutine and takes no lock; one Engine belongs to one goroutine.
//
// The way of a query: Engine.Observe finds the state kept for its source and
// zone, works out the facts that several detectors need (is it this source's
// first contact with the name, what kind of label is it), and hands an Event to
// those detectors whose triggers match. Most queries of ordinary resolvers match
// none and cost one table look-up.
//
// To add a detector write its file with a Spec and put it into Specs.
package detect

import (
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Trigger says what about a query makes a detector look at it.
type Trigger uint32

// Triggers. A Spec names those its detector wants; any match is enough.
const (
	OnFirst       Trigger = 1 << iota // first contact of this source with this name
	OnRepeat                          // a name this source has asked before and that does not exist, or no longer
	OnService                         // the leftmost label starts with an underscore
	OnSurveyType                      // asks the apex or a policy name, or a type that clients rarely ask
	OnTransfer                        // AXFR or IXFR
	OnFingerprint                     // class CH or HS, odd opcode, odd EDNS
	OnDenial                          // asks NSEC/NSEC3/DS, or the response carried NSEC or NSEC3
	OnReverse                         // a name in a reverse zone
)

// Spec describes a detector.
type Spec struct {
	Name       string
	Techniques []string // ATT&CK technique ids
	// Levels of telemetry it needs: Q query log, R response code (or the zone),
	// D packets or dnstap, Z zone contents.
	Levels string
	On     Trigger
	// Idle tells of an event that it leaves fresh state as it is, so that sources
	// which show nothing else cost neither the state nor a look at it. May be nil.
	Idle func(*Event) bool
	New  func(*Engine) Detector
}

// Detector watches the events of one source at a time through state that the
// engine keeps for it per source and zone.
type Detector interface {
	// NewState returns fresh state for one source and zone.
	NewState() State
	// Observe is called for each event that matches the Spec's triggers.
	Observe(ev *Event, st State)
	// Describe fills severity, confidence, summary, limits and features of an
	// episode from the state; called when it is raised, updated and closed.
	Describe(ep *Episode, st State)
}

// State is a detector's memory of one source and zone. Reset makes it fresh.
type State interface{ Reset() }

// Specs lists the detectors, in the order in which they see an event.
func Specs() []Spec {
	return []Spec{
		zoneTransferSpec,
		serverFingerprintSpec,
		recordSurveySpec,
		serviceSurveySpec,
		nsecWalkSpec,
		nsec3WalkSpec,
		reverseSweepSpec,
		bruteForceSpec,
		orderedNamesSpec,
		retiredNamesSpec,
		listVerificationSpec,
	}
}

// Names lists the names of all detectors, those over whole zones included.
func Names() []string {
	var out []string
	for _, s := range Specs() {
		out = append(out, s.Name)
	}
	return append(out, distributedEnumeration, randomFlood)
}

// Roles of sources that an organisation lists itself.
type Role uint8

// Roles.
const (
	RoleNone      Role = iota
	RoleSecondary      // a listed secondary: its transfers are intended
	RoleOwn            // an own scanner: what it does is reported as informational
)

// Config bounds and tunes an engine. The zero value is made of the defaults.
type Config struct {
	// Sources is the number of source-and-zone pairs remembered (64 bytes each);
	// 0 means 1<<20. Rounded up to a power of two.
	Sources int
	// Suspects is the number of pairs with full state (about 3 KiB each); 0 means 16384.
	Suspects int
	// EpisodeIdle closes an episode after this much event time without evidence; 0 means 2 h.
	EpisodeIdle time.Duration
	// UpdateEvery is how often, in event time, an open finding is sent again when
	// it changed; 0 means 30 s.
	UpdateEvery time.Duration
	// WithoutSignatures switches every tool-specific pattern off.
	WithoutSignatures bool
	// Disabled names detectors that are not run.
	Disabled []string
	// Seed is that of the catalog's name hasher.
	Seed uint64
	// Role tells listed secondaries and own scanners; nil means nobody is listed.
	Role func(*picket.Query) Role
	// Order answers questions about zone contents; may be nil.
	Order picket.ZoneOrder
}

func (c Config) withDefaults() Config {
	if c.Sources <= 0 {
		c.Sources = 1 << 20
	}
	if c.Suspects <= 0 {
		c.Suspects = 16384
	}
	if c.EpisodeIdle <= 0 {
		c.EpisodeIdle = 2 * time.Hour
	}
	if c.UpdateEvery <= 0 {
		c.UpdateEvery = 30 * time.Second
	}
	if c.Role == nil {
		c.Role = func(*picket.Query) Role { return RoleNone }
	}
	return c
}

// Event is one query with what is known about it. Borrowed, like the query.
type Event struct {
	Q   *picket.Query
	C   *picket.NameContext
	Src *Source
	On  Trigger
	// First says that this source had not asked this name before (as far as is
	// remembered); Recent that the name was among its last sixteen.
	// Novel says that no source had asked it, as far as is remembered; only for
	// names that exist or existed.
	// Missing says that the name lies in a zone, has no records of its own and is not
	// known to have had any.
	First, Recent, Novel, Missing bool
	Sfx                           *dnsname.Suffixes
	// Class is the kind of the leftmost label; set when First and the name does not exist.
	Class LabelClass
	// Step is set by the walk detectors: the question is a step of a walk that is
	// open, so that it is no guess.
	Step bool
}

// relative returns the labels of the query name below the apex, in wire form
// without the root.
func (ev *Event) relative() []byte { return ev.Q.Name[:ev.C.ApexAt] }

// isMissing reports whether a name is one that only a guess, a typo or a foreign
// list leads to: it has no records of its own and is not known to have had any.
func isMissing(c *picket.NameContext) bool {
	switch c.State {
	case picket.StateNever, picket.StateWildcard:
		return true
	case picket.StateUnknown:
		return c.NX
	}
	return false
}
