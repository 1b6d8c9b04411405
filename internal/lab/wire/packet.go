package wire

import (
	"encoding/binary"
	"net/netip"
)

// IP protocols and TCP flags.
const (
	protoTCP = 6
	protoUDP = 17

	tcpFIN = 1
	tcpSYN = 2
	tcpPSH = 8
	tcpACK = 16
)

// ends are the two sides of a packet.
type ends struct {
	from, to         netip.Addr
	fromPort, toPort uint16
}

func (e ends) back() ends { return ends{e.to, e.from, e.toPort, e.fromPort} }

// sameFamily returns addresses of one family. Where a client reaches a server of
// the other, the IPv4 side has an address of a translator (RFC 6052).
func sameFamily(client, server netip.Addr) (c, s netip.Addr) {
	client, server = client.Unmap(), server.Unmap()
	switch {
	case client.Is4() && server.Is6():
		client = translated(client)
	case client.Is6() && server.Is4():
		server = translated(server)
	}
	return client, server
}

func translated(a netip.Addr) netip.Addr {
	b := [16]byte{0x00, 0x64, 0xff, 0x9b}
	v4 := a.As4()
	copy(b[12:], v4[:])
	return netip.AddrFrom16(b)
}

// appendHeads appends the Ethernet and IP headers of a packet whose payload is so
// long. id tells packets apart.
func appendHeads(dst []byte, e *ends, proto byte, payload int, id uint16) []byte {
	dst = append(dst, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2)
	if e.from.Is6() {
		dst = append(dst, 0x86, 0xdd, 0x60, 0)
		dst = binary.BigEndian.AppendUint16(dst, id) // the flow label's end
		dst = binary.BigEndian.AppendUint16(dst, uint16(payload))
		from, to := e.from.As16(), e.to.As16()
		dst = append(append(append(dst, proto, 64), from[:]...), to[:]...)
		return dst
	}
	dst = append(dst, 8, 0)
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(append(dst, 0x45, 0), uint16(20+payload))
	dst = binary.BigEndian.AppendUint16(dst, id)
	from, to := e.from.As4(), e.to.As4()
	dst = append(append(append(dst, 0x40, 0, 64, proto, 0, 0), from[:]...), to[:]...)
	binary.BigEndian.PutUint16(dst[at+10:], fold(sum(0, dst[at:])))
	return dst
}

// sum adds octets to an Internet checksum (RFC 1071) before folding.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// setChecksum sets the checksum at an offset of the UDP or TCP segment that begins
// at another.
func setChecksum(b []byte, e *ends, proto byte, segment, at int) {
	pseudo := uint32(proto) + uint32(len(b)-segment)
	for _, a := range [...]netip.Addr{e.from, e.to} {
		if a.Is4() {
			x := a.As4()
			pseudo = sum(pseudo, x[:])
		} else {
			x := a.As16()
			pseudo = sum(pseudo, x[:])
		}
	}
	c := fold(sum(pseudo, b[segment:]))
	if c == 0 && proto == protoUDP {
		c = 0xffff // 0 means none (RFC 768)
	}
	binary.BigEndian.PutUint16(b[at:], c)
}

// appendUDP appends a frame with a datagram.
func appendUDP(dst []byte, e ends, id uint16, payload []byte) []byte {
	dst = appendHeads(dst, &e, protoUDP, 8+len(payload), id)
	at := len(dst)
	for _, x := range [...]uint16{e.fromPort, e.toPort, uint16(8 + len(payload)), 0} {
		dst = binary.BigEndian.AppendUint16(dst, x)
	}
	dst = append(dst, payload...)
	setChecksum(dst, &e, protoUDP, at, at+6)
	return dst
}

// appendTCP appends a frame with a segment.
func appendTCP(dst []byte, e ends, id uint16, seq, ack uint32, flags byte, payload []byte) []byte {
	options := []byte(nil)
	if flags&tcpSYN != 0 {
		options = []byte{2, 4, segmentSize >> 8, segmentSize & 0xff}
	}
	dst = appendHeads(dst, &e, protoTCP, 20+len(options)+len(payload), id)
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, e.fromPort)
	dst = binary.BigEndian.AppendUint16(dst, e.toPort)
	dst = binary.BigEndian.AppendUint32(dst, seq)
	dst = binary.BigEndian.AppendUint32(dst, ack)
	dst = append(dst, byte(20+len(options))/4<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	dst = append(append(dst, options...), payload...)
	setChecksum(dst, &e, protoTCP, at, at+16)
	return dst
}

// segmentSize is the most that a TCP segment carries.
const segmentSize = 1220
