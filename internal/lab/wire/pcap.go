package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Pcap writes a stream as a packet capture (classic pcap, Ethernet, nanoseconds)
// at the servers: UDP datagrams, and for TCP a connection for each query with its
// handshake and its end. Checksums are right. Where client and server have
// addresses of different families, the IPv4 one is written as in 64:ff9b::/96.
func Pcap(w io.Writer, s lab.Stream, o Options) (Written, error) {
	p := &capture{writer: newWriter(w, o)}
	p.frame = writePacket
	head := []byte{0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	_, err := p.out.Write(head)
	if err == nil {
		err = p.run(s, p.each)
	}
	if err != nil {
		return p.n, fmt.Errorf("write capture: %w", err)
	}
	return p.n, nil
}

// capture writes packets.
type capture struct {
	*writer
	msg []byte
	ip  uint16 // identification of the latest packet
}

// writePacket writes a packet with the header of its record.
func writePacket(out *bufio.Writer, at int64, data []byte) error {
	var head [16]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(at/lab.Second))
	binary.LittleEndian.PutUint32(head[4:], uint32(at%lab.Second))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(head[12:], uint32(len(data)))
	if _, err := out.Write(head[:]); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

// each makes the packets of one query.
func (p *capture) each(q *picket.Query) bool {
	if q.Transport > picket.TransportTCP {
		return false
	}
	p.msgs.next(q)
	e := ends{fromPort: port(q, p.msgs.id), toPort: 53}
	e.from, e.to = sameFamily(q.Client, server(q))
	if q.Transport == picket.TransportTCP {
		p.connection(q, e)
		return true
	}
	p.msg = p.msgs.query(p.msg[:0], q)
	p.datagram(q.Time, e)
	if q.Flags&picket.FlagResponse != 0 {
		p.msg, _ = p.msgs.response(p.msg[:0], q, p.zone(q), int(q.Response.Answers))
		p.datagram(q.Time+p.opt.Delay, e.back())
	}
	return true
}

func (p *capture) datagram(at int64, e ends) {
	p.ip++
	p.add(at, appendUDP(p.buffer(), e, p.ip, p.msg))
}

// zone is the zone that a query's name is in, the deepest of several.
func (w *writer) zone(q *picket.Query) (in *lab.Zone) {
	for _, z := range w.opt.Zones {
		if dnsname.IsSubdomain(q.Name, z.Apex) && (in == nil || len(z.Apex) > len(in.Apex)) {
			in = z
		}
	}
	return in
}

// connection makes the packets of a query over a TCP connection of its own.
func (p *capture) connection(q *picket.Query, e ends) {
	const step = 100_000 // nanoseconds from one packet to the next
	seq := [2]uint32{uint32(p.msgs.id) * 7919, uint32(p.msgs.id) * 104729}
	at := q.Time - 3*step
	send := func(dir int, flags byte, data []byte) {
		x := e
		if dir == 1 {
			x = e.back()
		}
		ack := seq[1-dir]
		if flags == tcpSYN {
			ack = 0
		}
		p.ip++
		p.add(at, appendTCP(p.buffer(), x, p.ip, seq[dir], ack, flags, data))
		seq[dir] += uint32(len(data)) + uint32(flags&tcpFIN) + uint32(flags&tcpSYN)/tcpSYN
		at += step
	}
	send(0, tcpSYN, nil)
	send(1, tcpSYN|tcpACK, nil)
	send(0, tcpACK, nil)
	p.msg = prefixed(p.msgs.query(append(p.msg[:0], 0, 0), q))
	send(0, tcpPSH|tcpACK, p.msg)
	if q.Flags&picket.FlagResponse != 0 {
		at = q.Time + p.opt.Delay
		left := int(q.Response.Answers)
		for first := true; first || left > 0; first = false {
			p.msg, left = p.msgs.response(append(p.msg[:0], 0, 0), q, p.zone(q), left)
			for data := prefixed(p.msg); len(data) > 0; {
				n := min(len(data), segmentSize)
				send(1, tcpPSH|tcpACK, data[:n])
				data, at = data[n:], at-step+1000
			}
			at += step
		}
	}
	send(0, tcpFIN|tcpACK, nil)
	send(1, tcpFIN|tcpACK, nil)
	send(0, tcpACK, nil)
}

// prefixed fills in the length before a message (RFC 1035 §4.2.2).
func prefixed(b []byte) []byte {
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	return b
}
