package query

import (
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
	protoEnds
	identity        []byte
	kind            uint64 // Dnstap.type, 1 is MESSAGE
	typ             uint64 // Message.type, 0 when absent
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

// parse reads a record; unknown fields are passed over.
func (t *tapRecord) parse(b []byte) (reason string) {
	*t = tapRecord{}
	var message []byte
	for len(b) > 0 {
		num, value, data, rest := protoField(b)
		if num == 0 {
			return reasonProto
		}
		b = rest
		switch num {
		case 1:
			t.identity = data
		case 14:
			message = data
		case 15:
			t.kind = value
		}
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
		num, value, data, rest := protoField(b)
		if num == 0 {
			return reasonProto
		}
		b = rest
		switch num {
		case 1:
			t.typ = value
		case 3:
			t.protocol = value
		case 4:
			t.client = data
		case 5:
			t.server = data
		case 6:
			t.clientPort = value
		case 8:
			t.queryTime.sec, t.queryTime.set = value, true
		case 9:
			t.queryTime.nsec = uint32(value)
		case 10:
			t.query = data
		case 12:
			t.responseTime.sec, t.responseTime.set = value, true
		case 13:
			t.responseTime.nsec = uint32(value)
		case 14:
			t.response = data
		}
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
