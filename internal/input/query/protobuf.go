package query

import (
	"encoding/binary"
	"net/netip"

	"github.com/picket-dns/picket"
)

// protoFields walks over the fields of a message in the protocol buffers encoding.
type protoFields struct {
	rest   []byte
	num    uint64
	value  uint64 // of all but length-delimited fields
	data   []byte // of length-delimited fields, within the message
	broken bool
}

// next reads a field. It returns false at the message's end, and where it is
// broken.
func (f *protoFields) next() bool {
	if len(f.rest) == 0 {
		return false
	}
	f.num, f.value, f.data, f.rest = protoField(f.rest)
	f.broken = f.num == 0
	return !f.broken
}

// reason returns why the walk ended too early, if it did.
func (f *protoFields) reason() string {
	if f.broken {
		return reasonProto
	}
	return ""
}

// protoField reads the field at the start of b and returns what follows. Its
// number, which is never 0 in a message, is 0 when it is malformed. Groups occur
// in none of the messages read here.
func protoField(b []byte) (num uint64, value uint64, data, rest []byte) {
	key, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, nil
	}
	b, num = b[n:], key>>3
	switch key & 7 {
	case 0:
		if value, n = binary.Uvarint(b); n > 0 {
			return num, value, nil, b[n:]
		}
	case 1:
		if len(b) >= 8 {
			return num, binary.LittleEndian.Uint64(b), nil, b[8:]
		}
	case 2:
		if size, n := binary.Uvarint(b); n > 0 && size <= uint64(len(b)-n) {
			end := n + int(size)
			return num, 0, b[n:end:end], b[end:]
		}
	case 5:
		if len(b) >= 4 {
			return num, uint64(binary.LittleEndian.Uint32(b)), nil, b[4:]
		}
	}
	return 0, 0, nil, nil
}

// protoEnds is who asked whom, as the messages of dnstap and of PowerDNS have it.
type protoEnds struct {
	protocol       uint64
	client, server []byte
	clientPort     uint64
}

// ends reads it. The server's address may be missing.
func (p *protoEnds) ends(transports []picket.Transport) (e endpoints, reason string) {
	if p.protocol < uint64(len(transports)) {
		e.transport = transports[p.protocol]
	}
	if p.clientPort > 65535 {
		return e, reasonPort
	}
	e.clientPort = uint16(p.clientPort)
	var ok bool
	if e.client, e.v6, ok = tapAddress(p.client); !ok {
		return e, reasonTapAddr
	}
	if p.server != nil {
		if e.server, _, ok = tapAddress(p.server); !ok {
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
