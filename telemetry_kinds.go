package picket

import (
	"net/netip"
	"time"
)

// Record is one resource record (RFC 9499 §5) present in a zone at a time, as a
// zone file, a provider's export or DNS as code says. Changes are derived from
// what was present before.
type Record struct {
	Time time.Time `json:"time,omitzero"` // when it was known to be there; zero when the source does not say
	// Zone is the apex with trailing dot, "" when the source does not say.
	Zone  string `json:"zone,omitempty"`
	Name  string `json:"name"` // owner, lower case, with trailing dot, RFC 1035 §5.1 escapes
	Type  string `json:"type"` // mnemonic, such as MX; for what providers add to DNS their word, such as ALIAS
	Class string `json:"class,omitempty"`
	TTL   int64  `json:"ttl,omitempty"`  // seconds; 0 when not said
	Data  string `json:"data,omitempty"` // RDATA in presentation form; names in it absolute
	// Change is ChangePresent, or what a history, a plan or a change batch says was done.
	Change Change `json:"change,omitempty"`
	// Where it is written and why: file and line, provider id, commit, ticket.
	Source  string `json:"source,omitempty"`
	Commit  string `json:"commit,omitempty"`  // version that brought it, of DNS as code
	Author  string `json:"author,omitempty"`  // who made that version
	Comment string `json:"comment,omitempty"` // the source's own words on the record
	Sensor  string `json:"sensor,omitempty"`  // which input this came from
}

// Change says what was done to a record.
type Change string

// What was done. The empty one means that the record is there.
const (
	ChangePresent Change = ""
	ChangeAdd     Change = "add"
	ChangeRemove  Change = "remove"
	// ChangeReplace: the record is there, and of its RRset (RFC 9499 §5) only what was
	// told along with it in the same way; whatever else there was is gone.
	ChangeReplace Change = "replace"
)

// Sighting is what passive DNS or a certificate log has seen of a name
// (draft-dulaunoy-dnsop-passive-dns-cof). Times are zero when not given.
type Sighting struct {
	Name  string   `json:"rrname"`           // lower case, with trailing dot; may begin with *. in certificates
	Type  string   `json:"rrtype,omitempty"` // mnemonic; "" for certificates
	Data  []string `json:"rdata,omitempty"`
	Count int64    `json:"count,omitempty"` // how often it was seen
	// FirstSeen and LastSeen are of observation, ZoneFirst and ZoneLast of zone files;
	// of a certificate they are its validity.
	FirstSeen time.Time `json:"time_first,omitzero"`
	LastSeen  time.Time `json:"time_last,omitzero"`
	ZoneFirst time.Time `json:"zone_time_first,omitzero"`
	ZoneLast  time.Time `json:"zone_time_last,omitzero"`
	Bailiwick string    `json:"bailiwick,omitempty"` // zone of the server that answered, with trailing dot
	// Channel is how it became known: SightingPassiveDNS or SightingCertificate.
	Channel  string    `json:"channel"`
	Issuer   string    `json:"issuer,omitempty"`    // of a certificate
	Serial   string    `json:"serial,omitempty"`    // of a certificate, lower-case hexadecimal
	Logged   time.Time `json:"logged,omitzero"`     // when a log took the certificate in
	Origin   string    `json:"origin,omitempty"`    // the database or log that saw it
	SensorID string    `json:"sensor_id,omitempty"` // that of the database, where it tells which saw it
	Sensor   string    `json:"sensor,omitempty"`
}

// Channels of sightings.
const (
	SightingPassiveDNS  = "passive-dns"
	SightingCertificate = "certificate"
	// SightingOwn is the Origin of what the organisation's own servers answered.
	SightingOwn = "own"
)

// AdminEvent is something that somebody did at a registrar, a DNS provider or an
// own name server.
type AdminEvent struct {
	Time     time.Time `json:"time,omitzero"`
	Provider string    `json:"provider"` // aws, cloudflare, gcp, azure, bind, rdap …
	Service  string    `json:"service,omitempty"`
	// Action is the provider's own word: ChangeResourceRecordSets, dns.changes.create.
	Action string `json:"action"`
	// Effect is read, change, delete, create, transfer, snapshot or other.
	Effect  string         `json:"effect"`
	Outcome string         `json:"outcome,omitempty"` // success, failure, denied; "" when not said
	Reason  string         `json:"reason,omitempty"`  // the provider's word for a failure
	Actor   string         `json:"actor,omitempty"`   // who, by the provider's identity
	ActorIP netip.Addr     `json:"actor_ip,omitzero"`
	Agent   string         `json:"agent,omitempty"`  // user agent or program
	Zone    string         `json:"zone,omitempty"`   // apex or domain with trailing dot
	Names   []string       `json:"names,omitempty"`  // names touched, with trailing dot
	Target  string         `json:"target,omitempty"` // resource id in the provider's form
	Records []Record       `json:"records,omitempty"`
	ID      string         `json:"id,omitempty"` // the provider's id of the event
	Ticket  string         `json:"ticket,omitempty"`
	Details map[string]any `json:"details,omitempty"` // what else is worth keeping, small
	Sensor  string         `json:"sensor,omitempty"`
}

// Effects of an AdminEvent.
const (
	EffectRead     = "read"
	EffectCreate   = "create"
	EffectChange   = "change"
	EffectDelete   = "delete"
	EffectTransfer = "transfer" // of a zone or a domain
	EffectSnapshot = "snapshot" // a state, not an act
	EffectOther    = "other"
)

// Asset is something that an attack-surface inventory or a scanner says exists.
type Asset struct {
	Time     time.Time    `json:"time,omitzero"`
	Name     string       `json:"name,omitempty"` // DNS name with trailing dot
	Addrs    []netip.Addr `json:"addrs,omitempty"`
	Port     uint16       `json:"port,omitempty"`
	Protocol string       `json:"protocol,omitempty"` // tcp, udp
	Service  string       `json:"service,omitempty"`
	// Title says what was found there in the tool's words.
	Title       string            `json:"title,omitempty"`
	Severity    string            `json:"severity,omitempty"` // of a scanner's result
	Tool        string            `json:"tool"`
	Owner       string            `json:"owner,omitempty"`
	Criticality string            `json:"criticality,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Records     []Record          `json:"records,omitempty"` // DNS records that the tool saw
	Details     map[string]string `json:"details,omitempty"`
	Sensor      string            `json:"sensor,omitempty"`
}

// Signal is something suspicious, or only possibly so, that another sensor saw
// and that may belong to reconnaissance.
type Signal struct {
	Time       time.Time  `json:"time,omitzero"`
	Source     netip.Addr `json:"source,omitzero"`
	SourcePort uint16     `json:"source_port,omitempty"`
	Target     netip.Addr `json:"target,omitzero"`
	TargetPort uint16     `json:"target_port,omitempty"`
	TargetName string     `json:"target_name,omitempty"` // DNS name with trailing dot: host of a request, SNI
	Protocol   string     `json:"protocol,omitempty"`    // tcp, udp, icmp …
	// Kind is connection, refused, alert, notice or request.
	Kind     string            `json:"kind"`
	Title    string            `json:"title,omitempty"` // the rule's or note's own words
	Rule     string            `json:"rule,omitempty"`  // its id
	Severity string            `json:"severity,omitempty"`
	Action   string            `json:"action,omitempty"` // allowed, blocked; "" when not said
	Bytes    int64             `json:"bytes,omitempty"`
	Packets  int64             `json:"packets,omitempty"`
	Tool     string            `json:"tool"` // zeek, suricata, vpc-flow, iptables …
	Details  map[string]string `json:"details,omitempty"`
	Sensor   string            `json:"sensor,omitempty"`
}

// Kinds of a Signal.
const (
	SignalConnection = "connection"
	SignalRefused    = "refused"
	SignalAlert      = "alert"
	SignalNotice     = "notice"
	SignalRequest    = "request"
)

// RecordSink takes records in the order in which a decoder finds them. Unlike
// queries they are handed over: a sink may keep them. An error stops the decoder,
// which returns it; so for the sinks below.
type RecordSink interface{ Record(*Record) error }

// SightingSink takes sightings.
type SightingSink interface{ Sighting(*Sighting) error }

// AdminEventSink takes admin events.
type AdminEventSink interface{ AdminEvent(*AdminEvent) error }

// AssetSink takes assets.
type AssetSink interface{ Asset(*Asset) error }

// SignalSink takes signals.
type SignalSink interface{ Signal(*Signal) error }

// Sink takes telemetry of every kind.
type Sink interface {
	QuerySink
	RecordSink
	SightingSink
	AdminEventSink
	AssetSink
	SignalSink
}
