package picket

// NameState is what the catalog knows about a name.
type NameState uint8

// Name states. Exactly one holds for each query name.
const (
	StateUnknown   NameState = iota // the zone's contents are not known (inferred zone, no response code)
	StateLive                       // the name owns records
	StateWildcard                   // no records of its own; a wildcard answers for it (RFC 4592)
	StateEmpty                      // empty non-terminal: owns nothing, has names below it (RFC 8499)
	StateDelegated                  // at or below a zone cut
	StateRetired                    // was there once: zone history or passive DNS
	StateCanary                     // planted
	StateNever                      // no trace of it ever
	StateOutOfZone                  // in no zone that is watched
)

var stateNames = [...]string{"unknown", "live", "wildcard", "empty-non-terminal", "delegated", "retired", "canary", "never", "out-of-zone"}

// String returns the state's name as findings print it.
func (s NameState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Exists reports whether an answer for the name would be something else than
// NXDOMAIN because of the zone's own contents (a wildcard does not count).
func (s NameState) Exists() bool {
	return s == StateLive || s == StateEmpty || s == StateDelegated || s == StateCanary
}

// Zone is one zone that Picket watches, or has inferred from traffic.
// Zones are immutable once published by a catalog.
type Zone struct {
	ID       uint32 // small and dense within a catalog; 0 is never used
	Apex     []byte // canonical wire form
	Name     string // presentation form with trailing dot
	Inferred bool   // no zone data: learned from traffic
	Reverse  bool   // below in-addr.arpa or ip6.arpa
	Signed   bool   // has DNSKEY, NSEC or NSEC3 records
	NSEC3    bool   // denial by NSEC3
	Live     int    // owner names with records, 0 when Inferred
	Retired  int    // retired names known
	Wildcard bool   // a wildcard directly below the apex
}

// NameContext is what is known about one query's name. Like Query it is
// borrowed and reused.
type NameContext struct {
	Zone  *Zone // nil when StateOutOfZone
	State NameState

	// ApexAt is the offset in Query.Name at which the zone's apex begins; the
	// labels before it are the name relative to the apex. len(Query.Name)-1 for the root.
	ApexAt int
	// Depth is the number of labels below the apex; 0 at the apex itself.
	Depth int
	// Hash identifies the whole name within this process (seeded, 64 bits).
	Hash uint64
	// WildcardAt is the offset of the closest encloser (the wildcard's parent) in
	// Query.Name for StateWildcard.
	WildcardAt int
	// Channel is the canary's channel, for StateCanary.
	Channel string
	// NX reports that the answer was, or by the zone's contents must have been, NXDOMAIN.
	NX bool
}

// ZoneOrder answers questions about a zone's contents that only few detectors
// ask. Implementations must be safe for concurrent use and not allocate.
type ZoneOrder interface {
	// Rank returns the index, in the zone's canonical order (RFC 4034 §6.1), of
	// the greatest owner name not after name (canonical wire form), and whether
	// name is that owner. ok is false when the zone's contents are not known.
	Rank(z *Zone, name []byte) (index int, exact, ok bool)
}
