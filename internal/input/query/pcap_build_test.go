package query

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// capture writes a little-endian microsecond pcap in memory.
type capture struct{ b []byte }

func newCapture(link uint32) *capture {
	c := &capture{}
	for _, v := range []uint32{magicMicro, 2 | 4<<16, 0, 0, 262144, link} {
		c.b = binary.LittleEndian.AppendUint32(c.b, v)
	}
	return c
}

// add appends a packet at t nanoseconds.
func (c *capture) add(t int64, packet []byte) *capture { return c.cut(t, packet, len(packet)) }

// cut appends the first n bytes of a packet.
func (c *capture) cut(t int64, packet []byte, n int) *capture {
	for _, v := range []uint32{uint32(t / 1e9), uint32(t % 1e9 / 1e3), uint32(n), uint32(len(packet))} {
		c.b = binary.LittleEndian.AppendUint32(c.b, v)
	}
	c.b = append(c.b, packet[:n]...)
	return c
}

// flow is one pair of ends.
type flow struct {
	src, dst     netip.Addr
	sport, dport uint16
	ipID         uint16
}

func newFlow(src, dst string, sport, dport uint16) flow {
	return flow{src: netip.MustParseAddr(src), dst: netip.MustParseAddr(dst), sport: sport, dport: dport}
}

func (f flow) back() flow {
	f.src, f.dst, f.sport, f.dport = f.dst, f.src, f.dport, f.sport
	return f
}

// ip wraps a payload in IPv4 or IPv6. frag is the flags-and-offset word of IPv4.
func (f flow) ip(proto uint8, frag uint16, payload []byte) []byte {
	if f.src.Is6() {
		b := []byte{0x60, 0, byte(f.ipID >> 8), byte(f.ipID)}
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		b = append(b, proto, 64)
		return append(append(append(b, f.src.AsSlice()...), f.dst.AsSlice()...), payload...)
	}
	b := []byte{0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = binary.BigEndian.AppendUint16(b, f.ipID)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, 64, proto, 0, 0)
	return append(append(append(b, f.src.AsSlice()...), f.dst.AsSlice()...), payload...)
}

func (f flow) datagram(msg []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, f.sport)
	b = binary.BigEndian.AppendUint16(b, f.dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(msg)))
	return append(append(b, 0, 0), msg...)
}

func (f flow) udp(msg []byte) []byte { return f.ip(protoUDP, 0, f.datagram(msg)) }

func (f flow) tcp(seq uint32, flags uint8, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, f.sport)
	b = binary.BigEndian.AppendUint16(b, f.dport)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	return f.ip(protoTCP, 0, append(b, data...))
}

// ether wraps an IP packet in Ethernet with VLAN tags.
func ether(ip []byte, tags ...uint16) []byte {
	b := make([]byte, 12)
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, t)
		b = append(b, 0, 7)
	}
	kind := uint16(etherIPv4)
	if ip[0]>>4 == 6 {
		kind = etherIPv6
	}
	return append(binary.BigEndian.AppendUint16(b, kind), ip...)
}

// dnsmsg makes messages.
type dnsmsg struct{ b []byte }

func newMsg(id, bits uint16, name string, typ, class uint16) *dnsmsg {
	m := &dnsmsg{}
	for _, v := range []uint16{id, bits, 1, 0, 0, 0} {
		m.b = binary.BigEndian.AppendUint16(m.b, v)
	}
	for _, label := range strings.Split(name, ".") { // in the case given
		m.b = append(append(m.b, byte(len(label))), label...)
	}
	m.b = append(m.b, 0)
	m.b = binary.BigEndian.AppendUint16(m.b, typ)
	m.b = binary.BigEndian.AppendUint16(m.b, class)
	return m
}

// rr appends a record to section 1 answer, 2 authority or 3 additional.
func (m *dnsmsg) rr(section int, owner []byte, typ, class uint16, ttl uint32, data []byte) *dnsmsg {
	n := binary.BigEndian.Uint16(m.b[4+2*section:])
	binary.BigEndian.PutUint16(m.b[4+2*section:], n+1)
	m.b = append(m.b, owner...)
	m.b = binary.BigEndian.AppendUint16(m.b, typ)
	m.b = binary.BigEndian.AppendUint16(m.b, class)
	m.b = binary.BigEndian.AppendUint32(m.b, ttl)
	m.b = binary.BigEndian.AppendUint16(m.b, uint16(len(data)))
	m.b = append(m.b, data...)
	return m
}

func (m *dnsmsg) opt(size uint16, ttl uint32, options ...[]byte) *dnsmsg {
	var d []byte
	for _, o := range options {
		d = append(d, o...)
	}
	return m.rr(3, []byte{0}, typeOPT, size, ttl, d)
}

func option(code uint16, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, code)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

var toQuestion = []byte{0xc0, dnsHeaderLen}

// prefixed puts messages into a TCP stream.
func framed(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// generate makes a capture of n queries over Ethernet and IPv4, each with its
// response: one in four NXDOMAIN with SOA, the rest an address, EDNS on both.
func generate(n int) []byte {
	c := newCapture(linkEthernet)
	soa := append(append([]byte{3, 'n', 's', '1', 0xc0, dnsHeaderLen}, 4, 'r', 'o', 'o', 't', 0), make([]byte, 20)...)
	for i := range n {
		f := flow{src: netip.AddrFrom4([4]byte{10, 66, byte(i >> 8), byte(i)}), dst: netip.AddrFrom4([4]byte{192, 0, 2, 53}),
			sport: uint16(1024 + i%60000), dport: 53, ipID: uint16(i)}
		t := int64(1.7e18) + int64(i)*100_000
		name := fmt.Sprintf("host-%d.dept.corp-a.example", i%5000)
		q := newMsg(uint16(i*7919), 0, name, 1, 1).opt(1232, 0x8000)
		c.add(t, ether(f.udp(q.b)))
		r := newMsg(uint16(i*7919), bitQR|bitAA, name, 1, 1)
		if i%4 == 0 {
			r = newMsg(uint16(i*7919), bitQR|bitAA|3, name, 1, 1)
			r.rr(2, []byte{0xc0, byte(dnsHeaderLen + len(name) + 1 - len("corp-a.example") - 1)}, typeSOA, 1, 300, soa)
		} else {
			r.rr(1, toQuestion, 1, 1, 300, []byte{192, 0, 2, byte(i)})
		}
		r.opt(1232, 0x8000)
		f = f.back()
		f.ipID = ^uint16(i)
		c.add(t+50_000, ether(f.udp(r.b)))
	}
	return c.b
}
