package query

import (
	"math/bits"
	"net/netip"

	"github.com/picket-dns/picket"
)

const (
	reasonMicros    = "microseconds out of range"
	skipPdnsType    = "unknown PowerDNS message type"
	pdnsQuery       = 1
	pdnsResponse    = 2
	pdnsRcodeFailed = 65536 // in place of a response code: nobody answered
)

// pdnsTypes are the names of PBDNSMessage.Type; the latter two are what a
// resolver asks others.
var pdnsTypes = [...]string{pdnsQuery: "DNSQueryType", pdnsResponse: "DNSResponseType", 3: "DNSOutgoingQueryType", 4: "DNSIncomingResponseType"}

// pdnsTransports are PBDNSMessage.SocketProtocol; DNSCrypt counts as what carries
// it, DNS over HTTP/3 as HTTPS.
var pdnsTransports = [...]picket.Transport{1: picket.TransportUDP, picket.TransportTCP, picket.TransportTLS,
	picket.TransportHTTPS, picket.TransportUDP, picket.TransportTCP, picket.TransportQUIC, picket.TransportHTTPS}

// pdnsRecord is one PBDNSMessage of dnsmessage.proto: the fields that Picket
// reads. Slices point into the message.
type pdnsRecord struct {
	protoEnds
	typ              uint64
	id               []byte // a UUID that query and response share
	identity         []byte
	time, queryTime  pdnsTime // of this message; in a response, of its query
	msgID            uint64
	asked            bool // there is a question
	name             []byte
	qtype, class     uint64
	subnet           []byte
	flags            uint64 // the header's second word as it lies in a little-endian machine's memory
	edns             uint64 // the OPT record's TTL likewise
	hasFlags, isEDNS bool
	answered         bool // there is a response
	rcode            uint64
	answers          int
	owner            []byte // of the first answer
	reply            []byte // the response, for told
}

type pdnsTime struct {
	sec, usec uint64
	set       bool
}

// nanos returns Unix nanoseconds; a reason when out of range.
func (t pdnsTime) nanos() (ns int64, reason string) {
	if t.usec >= 1e6 {
		return 0, reasonMicros
	}
	return tapTime{sec: t.sec, nsec: uint32(t.usec) * 1000}.nanos()
}

// parse reads a message. Later values of a field win, as protocol buffers have it.
func (t *pdnsRecord) parse(b []byte) (reason string) {
	*t = pdnsRecord{class: 1, rcode: pdnsRcodeFailed}
	for len(b) > 0 {
		num, value, data, rest := protoField(b)
		if num == 0 {
			return reasonProto
		}
		b = rest
		switch num {
		case 1:
			t.typ = value
		case 2:
			t.id = data
		case 3:
			t.identity = data
		case 5:
			t.protocol = value
		case 6:
			t.client = data
		case 7:
			t.server = data
		case 9:
			t.time.sec, t.time.set = value, true
		case 10:
			t.time.usec = value
		case 11:
			t.msgID = value
		case 12:
			reason = t.question(data)
		case 13:
			reason = t.response(data)
		case 14:
			t.subnet = data
		case 20:
			t.clientPort = value
		case 28:
			t.flags, t.hasFlags = value, true
		case 29:
			t.edns, t.isEDNS = value, true
		}
		if reason != "" {
			return reason
		}
	}
	return ""
}

func (t *pdnsRecord) question(b []byte) (reason string) {
	t.asked = true
	for len(b) > 0 {
		num, value, data, rest := protoField(b)
		if num == 0 {
			return reasonProto
		}
		b = rest
		switch num {
		case 1:
			t.name = data
		case 2:
			t.qtype = value
		case 3:
			t.class = value
		}
	}
	return ""
}

func (t *pdnsRecord) response(b []byte) (reason string) {
	t.answered, t.reply = true, b
	for len(b) > 0 {
		num, value, data, rest := protoField(b)
		if num == 0 {
			return reasonProto
		}
		b = rest
		switch num {
		case 1:
			t.rcode = value
		case 2:
			if t.answers++; t.answers == 1 {
				if t.owner, reason = firstString(data); reason != "" {
					return reason
				}
			}
		case 5:
			t.queryTime.sec, t.queryTime.set = value, true
		case 6:
			t.queryTime.usec = value
		}
	}
	return ""
}

// tell gathers the answers. Of addresses it has the octets, of other types text, that
// lacks what stands before the name in MX and SRV: those are left out.
func (t *pdnsRecord) tell(to *told) {
	to.reset()
	for b := t.reply; len(b) > 0; {
		num, _, data, rest := protoField(b)
		if b = rest; num == 2 {
			tellRR(to, data)
		}
	}
}

func tellRR(to *told, b []byte) {
	var name, data []byte
	var typ, class, ttl uint64 = 0, 1, 0
	for len(b) > 0 {
		num, value, v, rest := protoField(b)
		b = rest
		switch num {
		case 1:
			name = v
		case 2:
			typ = value
		case 3:
			class = value
		case 4:
			ttl = value
		case 5:
			data = v
		}
	}
	if class != 1 || len(name) == 0 {
		return
	}
	switch typ {
	case typeA, typeAAAA:
		a, ok := netip.AddrFromSlice(data)
		if !ok || a.Is4() != (typ == typeA) {
			return
		}
		var text [46]byte
		to.add(name, uint16(typ), uint32(ttl), a.AppendTo(text[:0]))
	case typeNS, typeCNAME, typePTR, typeDNAME:
		to.add(name, uint16(typ), uint32(ttl), data)
	case typeTXT, typeSPF:
		// The recursor writes each character string in quotes. Without them nobody can tell
		// where one ends.
		if len(data) > 1 && data[0] == '"' && data[len(data)-1] == '"' {
			to.add(name, uint16(typ), uint32(ttl), data)
		}
	}
}

// firstString returns field 1 of a message, the name in a DNSRR.
func firstString(b []byte) (s []byte, reason string) {
	for len(b) > 0 {
		num, _, data, rest := protoField(b)
		if num == 0 {
			return nil, reasonProto
		}
		b = rest
		if num == 1 {
			s = data
		}
	}
	return s, ""
}

// header returns the second word of the DNS header. Writers copy it from memory,
// so that its octets are swapped wherever one is likely to run.
func (t *pdnsRecord) header() uint16 { return bits.ReverseBytes16(uint16(t.flags)) }

// optTTL returns the OPT record's TTL field: version and flags (RFC 6891 §6.1.3).
func (t *pdnsRecord) optTTL() uint32 { return bits.ReverseBytes32(uint32(t.edns)) }

// barePdns reports whether b is a PBDNSMessage from its first to its last byte.
func barePdns(b []byte) bool {
	var t pdnsRecord
	return len(b) < maxFrame && t.parse(b) == "" && t.typ >= pdnsQuery && t.typ < uint64(len(pdnsTypes)) &&
		(t.asked || len(t.id) == 16)
}

// pdnsStart reports whether a PBDNSMessage can begin with this byte. Its type is
// required, and every writer puts it first.
func pdnsStart(b byte) bool { return b == 1<<3 }

// DetectPowerDNS knows one PBDNSMessage, or the first of several with their
// lengths in front.
func DetectPowerDNS(head []byte) int { return detectPrefixed(head, barePdns) }
