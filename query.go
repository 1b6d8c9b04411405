package picket

import "net/netip"

// Transport is how a query reached the authoritative server.
type Transport uint8

// Transports. Connection-oriented ones cannot be spoofed once data flows.
const (
	TransportUnknown Transport = iota
	TransportUDP
	TransportTCP
	TransportTLS
	TransportHTTPS
	TransportQUIC
)

// String returns the lower-case name of the transport, or "" when unknown.
func (t Transport) String() string {
	switch t {
	case TransportUDP:
		return "udp"
	case TransportTCP:
		return "tcp"
	case TransportTLS:
		return "tls"
	case TransportHTTPS:
		return "https"
	case TransportQUIC:
		return "quic"
	}
	return ""
}

// Spoofable reports whether a sender could have forged its address.
// An unknown transport counts as spoofable.
func (t Transport) Spoofable() bool { return t == TransportUnknown || t == TransportUDP }

// ParseTransport reads what String writes; anything else is TransportUnknown.
func ParseTransport(s string) Transport {
	for t := TransportUDP; t <= TransportQUIC; t++ {
		if t.String() == s {
			return t
		}
	}
	return TransportUnknown
}

// QueryFlags are the yes-or-no facts about a query and its response.
type QueryFlags uint32

// Flags of the query message, of the response message, and of the record itself.
const (
	FlagRD       QueryFlags = 1 << iota // recursion desired was set in the query
	FlagCD                              // checking disabled
	FlagAD                              // authentic data asked for
	FlagEDNS                            // the query had an OPT record
	FlagDO                              // DNSSEC OK
	FlagCookie                          // the query carried a full (client and server) cookie: its source is not forged (RFC 7873)
	FlagTSIG                            // the query was signed (TSIG or SIG(0))
	FlagMixed                           // the name arrived with upper-case letters
	FlagNSID                            // the query asked for the server's identifier (RFC 5001)
	FlagBadEDNS                         // EDNS version above 0, or an option code that no registry knows
	FlagResponse                        // a response was seen
	FlagAA                              // the response was authoritative
	FlagTC                              // the response was truncated
	FlagFlags                           // the input carries header flags at all: without it RD=0 means nothing
	FlagReferral                        // the response was a referral to a delegated zone
)

// Rcode is a DNS response code, extended by EDNS (RFC 6891), or RcodeUnknown.
type Rcode int16

// The response codes that Picket's logic branches on (IANA DNS RCODEs).
const (
	RcodeUnknown  Rcode = -1
	RcodeNoError  Rcode = 0
	RcodeFormErr  Rcode = 1
	RcodeServFail Rcode = 2
	RcodeNXDomain Rcode = 3
	RcodeNotImp   Rcode = 4
	RcodeRefused  Rcode = 5
	RcodeNotAuth  Rcode = 9
)

// Denial is one NSEC or NSEC3 record seen in a response (RFC 4034 §4, RFC 5155).
// For NSEC, Owner and Next are canonical wire names. For NSEC3 they are the raw
// hashes (20 bytes for SHA-1), Owner decoded from its base32hex label.
type Denial struct {
	NSEC3       bool
	Owner, Next []byte
}

// Response is what is kept of the answer to a query. All byte slices are
// borrowed, as in Query.
type Response struct {
	Answers   uint16   // number of records in the answer section
	Owner     []byte   // owner of the first answer record when it is not the QNAME; canonical wire form
	Authority []byte   // owner of the SOA or NS RRset in the authority section; canonical wire form
	HasSOA    bool     // Authority is the owner of an SOA (a negative answer, RFC 2308)
	Denials   []Denial // NSEC and NSEC3 records, at most MaxDenials
	// Message is the response as it was on the wire, nil when the input has none; Told
	// are its answers where the input has them as text. They go no further than the
	// intake: the pipeline leaves both out.
	Message []byte
	Told    []Answer
}

// MaxDenials bounds Response.Denials. A correct NXDOMAIN has at most three.
const MaxDenials = 8

// Query is one DNS transaction as an authoritative server saw it.
//
// A *Query is borrowed: whoever is handed one may read it until the call
// returns and must copy what is to be kept. Decoders reuse it.
type Query struct {
	Time       int64      // event time of the query, Unix nanoseconds UTC
	Client     netip.Addr // source address; the zero Addr when the input has none
	Server     netip.Addr // the authoritative server's address; the zero Addr when unknown
	ClientPort uint16     // 0 when unknown
	Transport  Transport
	Opcode     uint8  // 0 QUERY, 4 NOTIFY, 5 UPDATE
	Type       uint16 // QTYPE
	Class      uint16 // QCLASS; 1 is IN, 3 CH
	Rcode      Rcode  // RcodeUnknown when the input has none
	EDNSSize   uint16 // requestor's UDP payload size, 0 without EDNS
	Flags      QueryFlags

	// Name is the QNAME in canonical wire form: length-prefixed labels ending in
	// the root label, US-ASCII letters lower-case (RFC 4034 §6.2). At most 255 bytes.
	Name []byte

	ClientSubnet netip.Prefix // EDNS client subnet (RFC 7871), zero when absent
	Response     Response
	Sensor       string // which input or server identity this came from; may be ""
}

// Has reports whether all flags in f are set.
func (q *Query) Has(f QueryFlags) bool { return q.Flags&f == f }

// QuerySink takes queries in the order in which a decoder finds them. The
// *Query is borrowed. An error stops the decoder, which returns it.
type QuerySink interface {
	Query(*Query) error
}

// QuerySinkFunc lets a function be a QuerySink.
type QuerySinkFunc func(*Query) error

// Query calls f.
func (f QuerySinkFunc) Query(q *Query) error { return f(q) }
