package query

import (
	"encoding/binary"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	reasonProto    = "broken protobuf"
	reasonNoTap    = "dnstap record without message"
	reasonNanos    = "nanoseconds out of range"
	reasonSeconds  = "time out of range"
	reasonNoMsg    = "no DNS message"
	reasonTapAddr  = "address neither 4 nor 16 bytes"
	reasonPort     = "port out of range"
	reasonTapTime  = "no time"
	skipTapType    = "unknown dnstap message type"
	skipTapPayload = "dnstap record of another kind"
)

// tapRecord is one dnstap record: the fields of messages Dnstap and Message in
// dnstap.proto that Picket reads. Slices point into the frame.
type tapRecord struct {
	identity        []byte
	kind            uint64 // Dnstap.type, 1 is MESSAGE
	typ             uint64 // Message.type, 0 when absent
	protocol        uint64
	client, server  []byte
	clientPort      uint64
	queryTime       tapTime
	responseTime    tapTime
	query, response []byte
}

type tapTime struct {
	sec  uint64
	nsec uint32
	set  bool
}

// nanos returns Unix nanoseconds; a reason when out of range.
func (t tapTime) nanos() (ns int64, reason string) {
	switch {
	case t.nsec >= 1e9:
		return 0, reasonNanos
	case t.sec > 9e9: // in 2255
		return 0, reasonSeconds
	}
	return int64(t.sec)*decode.NsPerSecond + int64(t.nsec), ""
}

// protoField reads one field at the start of b (protocol buffers encoding):
// its number, value and what follows. Length-delimited values come as bytes,
// others as a number. ok is false on malformed input.
func protoField(b []byte) (num uint64, v uint64, data, rest []byte, ok bool) {
	key, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, nil, false
	}
	b, num = b[n:], key>>3
	switch key & 7 {
	case 0:
		if v, n = binary.Uvarint(b); n <= 0 {
			return 0, 0, nil, nil, false
		}
		return num, v, nil, b[n:], num != 0
	case 1:
		if len(b) < 8 {
			return 0, 0, nil, nil, false
		}
		return num, binary.LittleEndian.Uint64(b), nil, b[8:], num != 0
	case 2:
		if v, n = binary.Uvarint(b); n <= 0 || v > uint64(len(b)-n) {
			return 0, 0, nil, nil, false
		}
		end := n + int(v)
		return num, 0, b[n:end:end], b[end:], num != 0
	case 5:
		if len(b) < 4 {
			return 0, 0, nil, nil, false
		}
		return num, uint64(binary.LittleEndian.Uint32(b)), nil, b[4:], num != 0
	}
	return 0, 0, nil, nil, false // groups do not occur in dnstap.proto
}

// parse reads a record; unknown fields are passed over.
func (t *tapRecord) parse(b []byte) (reason string) {
	*t = tapRecord{}
	var message []byte
	for len(b) > 0 {
		num, v, data, rest, ok := protoField(b)
		if !ok {
			return reasonProto
		}
		switch num {
		case 1:
			t.identity = data
		case 14:
			message = data
		case 15:
			t.kind = v
		}
		b = rest
	}
	if t.kind != 1 {
		return ""
	}
	if message == nil {
		return reasonNoTap
	}
	return t.message(message)
}

func (t *tapRecord) message(b []byte) (reason string) {
	for len(b) > 0 {
		num, v, data, rest, ok := protoField(b)
		if !ok {
			return reasonProto
		}
		switch num {
		case 1:
			t.typ = v
		case 3:
			t.protocol = v
		case 4:
			t.client = data
		case 5:
			t.server = data
		case 6:
			t.clientPort = v
		case 8:
			t.queryTime.sec, t.queryTime.set = v, true
		case 9:
			t.queryTime.nsec = uint32(v)
		case 10:
			t.query = data
		case 12:
			t.responseTime.sec, t.responseTime.set = v, true
		case 13:
			t.responseTime.nsec = uint32(v)
		case 14:
			t.response = data
		}
		b = rest
	}
	return ""
}

// tapTypes are the names of Message.Type in dnstap.proto.
var tapTypes = [...]string{1: "AUTH_QUERY", "AUTH_RESPONSE", "RESOLVER_QUERY", "RESOLVER_RESPONSE", "CLIENT_QUERY",
	"CLIENT_RESPONSE", "FORWARDER_QUERY", "FORWARDER_RESPONSE", "STUB_QUERY", "STUB_RESPONSE", "TOOL_QUERY",
	"TOOL_RESPONSE", "UPDATE_QUERY", "UPDATE_RESPONSE"}

const (
	tapAuthQuery      = 1
	tapAuthResponse   = 2
	tapClientQuery    = 5
	tapClientResponse = 6
)

// tapTransports are Message.SocketProtocol in dnstap.proto; DNSCrypt counts as
// what carries it.
var tapTransports = [...]picket.Transport{1: picket.TransportUDP, picket.TransportTCP, picket.TransportTLS,
	picket.TransportHTTPS, picket.TransportUDP, picket.TransportTCP, picket.TransportQUIC}

// ends returns who asked whom. The server's address may be missing.
func (t *tapRecord) ends() (e endpoints, reason string) {
	if t.protocol < uint64(len(tapTransports)) {
		e.transport = tapTransports[t.protocol]
	}
	if t.clientPort > 65535 {
		return e, reasonPort
	}
	e.clientPort = uint16(t.clientPort)
	var ok bool
	if e.client, e.v6, ok = tapAddress(t.client); !ok {
		return e, reasonTapAddr
	}
	if t.server != nil {
		if e.server, _, ok = tapAddress(t.server); !ok {
			return e, reasonTapAddr
		}
	}
	return e, ""
}

// tapAddress reads an address into the 16-byte form of endpoints. IPv4 lies in
// its last four bytes, as an IPv4-mapped address has it anyway.
func tapAddress(b []byte) (a [16]byte, v6, ok bool) {
	switch len(b) {
	case 4:
		copy(a[12:], b)
		return a, false, true
	case 16:
		copy(a[:], b)
		return a, !netip.AddrFrom16(a).Is4In6(), true
	}
	return a, false, false
}
