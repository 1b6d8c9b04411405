package query

import (
	"encoding/binary"
	"net/netip"

	"github.com/picket-dns/picket"
)

// protoField reads the field at the start of b, in the protocol buffers encoding,
// and returns what follows. Length-delimited values come as data, within b, others
// as a number. num, which is never 0 in a message, is 0 when the field is malformed.
// Groups occur in none of the messages read here.
func protoField(b []byte) (num, value uint64, data, rest []byte) {
	key, n := protoVarint(b)
	if n <= 0 {
		return 0, 0, nil, nil
	}
	b, num = b[n:], key>>3
	switch key & 7 {
	case 0:
		if value, n = protoVarint(b); n > 0 {
			return num, value, nil, b[n:]
		}
	case 1:
		if len(b) >= 8 {
			return num, binary.LittleEndian.Uint64(b), nil, b[8:]
		}
	case 2:
		if size, n := protoVarint(b); n > 0 && size <= uint64(len(b)-n) {
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

// protoVarint is binary.Uvarint, but quick about the single bytes that most keys
// and lengths are.
func protoVarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
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
