package query

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
)

// Reasons told to Accounting.Skip: packets that are no DNS telemetry.
const (
	pcapSkipNotIP        = "not IP"
	pcapSkipLink         = "link type not supported"
	pcapSkipTransport    = "not UDP or TCP"
	pcapSkipPort         = "not port 53"
	pcapSkipMDNS         = "mDNS"
	pcapSkipServer       = "other server"
	pcapSkipDuplicate    = "duplicate packet"
	pcapSkipWrongWay     = "message against its direction"
	pcapSkipDSO          = "DNS stateful operation"
	pcapSkipContinuation = "transfer continuation"
	pcapSkipLate         = "late response"
	pcapSkipNameless     = "response without question"
	pcapSkipCrowded      = "response among too many like queries"
)

// Reasons told to Accounting.Reject, beside those of Message.
const (
	pcapRejectIP          = "bad IP header"
	pcapRejectUDP         = "bad UDP header"
	pcapRejectTCP         = "bad TCP header"
	pcapRejectCut         = "cut short by the capture"
	pcapRejectResponseCut = "response cut short by the capture"
	pcapRejectFragment    = "bad IP fragment"
	pcapRejectIncomplete  = "IP fragments missing"
	pcapRejectFragEvicted = "IP fragments evicted"
	pcapRejectStep        = "TCP stream out of step"
	pcapRejectGap         = "TCP segments missing"
	pcapRejectUnfinished  = "TCP message unfinished"
	pcapRejectConnEvicted = "TCP stream evicted"
	defaultAnswerWait     = 2 * time.Second
	duplicateWindow       = 50 * time.Millisecond
	lateWindow            = 30 * time.Second
	sweepInterval         = int64(time.Second)
	portDNS               = 53
	portMDNS              = 5353
	opcodeDSO             = 6
	protoTCP              = 6
	protoUDP              = 17
	fullHash, headHash    = 288, 64 // octets of a query, and of a response, that tell duplicates
)

// Pcap decodes packet captures, pcap and pcapng, of DNS over UDP and TCP. It is
// a Decode; see docs/inputs/pcap.md for what it makes of each packet.
//
// Queries reach sink in capture order, each once its response has been seen, or
// it has waited for opt.ResponseTimeout of event time, or the stream has ended.
// A response whose query was not captured yields a query made up from what it
// repeats. Memory is bounded whatever the capture holds.
func Pcap(ctx context.Context, r io.Reader, opt Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newPcapDecoder(opt, acct, sink)
	err := readFrames(newWindow(ctx, r), acct, d.frame)
	if d.stopped {
		return err // the sink's own
	}
	if ferr := d.finish(); err == nil {
		err = ferr
	}
	return err
}

// pcapDecoder is the state of one Pcap call.
type pcapDecoder struct {
	acct    picket.Accounting
	sink    picket.QuerySink
	ports   []uint16
	servers []netip.Prefix
	wait    int64
	seed    maphash.Seed

	clock   pcapClock
	sweepAt int64
	pend    *pendingRing
	frags   *fragTable
	tcp     *tcpTable
	dups    stampTable
	late    stampTable
	stopped bool // the sink has failed

	msg     Message
	q       picket.Query
	key     [40]byte
	scratch [48 + fullHash + 16]byte

	lastServer   [16]byte // what the latest server address was found to be
	lastServerOK bool
}

func newPcapDecoder(opt Options, acct picket.Accounting, sink picket.QuerySink) *pcapDecoder {
	d := &pcapDecoder{
		acct: acct, sink: sink, ports: opt.Ports, servers: opt.Servers,
		wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		dups: newStamps(1<<15, 20), late: newStamps(1<<14, 30),
	}
	if len(d.ports) == 0 {
		d.ports = []uint16{portDNS}
	}
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	d.clock.limit = max(int64(time.Minute), 2*d.wait)
	d.pend = newPending(opt.Sensor, d.emit)
	d.frags = newFragTable(d)
	d.tcp = newTCPTable(d)
	return d
}

// pcapPacket is an IP packet's payload on its way to the message layer.
type pcapPacket struct {
	time     int64
	at       int64 // offset of the capture record
	src, dst [16]byte
	v6       bool
	cut      bool // the payload's end was not captured
	lost     int  // how many octets that are
	proto    uint8
	mark     uint32 // IPv4 identification or IPv6 flow label
	payload  []byte
}

// frame takes one captured frame.
func (d *pcapDecoder) frame(f *pcapFrame) error {
	now := d.clock.tick(f.time)
	if ip, skip := network(f.link, f.data); skip != "" {
		d.acct.Skip(skip)
	} else {
		d.ip(f, ip)
	}
	if now >= d.sweepAt {
		d.sweepAt = now + sweepInterval
		d.tcp.sweep(now)
		d.frags.sweep(now)
	}
	if d.stopped {
		return d.pend.err
	}
	return d.pend.expire(now)
}

// finish delivers what is held at the end of the stream.
func (d *pcapDecoder) finish() error {
	d.tcp.flush()
	d.frags.flush()
	if d.stopped {
		return d.pend.err
	}
	return d.pend.flush()
}

func (d *pcapDecoder) reject(reason string, at int64) {
	d.acct.Reject(reason, picket.Position{Offset: at})
}

// emit hands a query on.
func (d *pcapDecoder) emit(q *picket.Query, s *pendingSlot) error {
	if s.echo || q.Flags&picket.FlagResponse == 0 {
		d.late.mark(s.lateKey(q.Name), s.deadline)
	}
	if err := d.sink.Query(q); err != nil {
		d.stopped = true
		return err
	}
	d.acct.Accept(q.Time)
	return nil
}

// isPort reports whether a port is one of the servers'.
func (d *pcapDecoder) isPort(p uint16) bool {
	for _, x := range d.ports {
		if x == p {
			return true
		}
	}
	return false
}

// isServer reports whether an address counts as an authoritative server.
func (d *pcapDecoder) isServer(e *endpoints) bool {
	if len(d.servers) == 0 {
		return true
	}
	if e.server == d.lastServer {
		return d.lastServerOK
	}
	a, ok := addressOf(e.server, e.v6), false
	for _, p := range d.servers {
		ok = ok || p.Contains(a)
	}
	d.lastServer, d.lastServerOK = e.server, ok
	return ok
}

// transport takes a whole IP payload.
func (d *pcapDecoder) transport(p *pcapPacket) {
	switch p.proto {
	case protoUDP:
		d.udp(p)
	case protoTCP:
		d.tcp.packet(p)
	default:
		d.acct.Skip(pcapSkipTransport)
	}
}

// udp takes a UDP datagram.
func (d *pcapDecoder) udp(p *pcapPacket) {
	b := p.payload
	if len(b) < 8 {
		d.reject(pcapRejectUDP, p.at)
		return
	}
	src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	toServer, toClient := d.isPort(dst), d.isPort(src)
	if !toServer && !toClient {
		d.skipPorts(src, dst)
		return
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case n == 0: // a jumbogram, or segmentation left to the interface: all there is
		n = len(b)
	case n < 8 || n > len(b) && !p.cut:
		d.reject(pcapRejectUDP, p.at)
		return
	case n > len(b):
		n = len(b)
	default:
		p.cut = false // only padding was lost
	}
	msg := b[8:n]
	if len(msg) < dnsHeaderLen {
		d.reject(badMsgShort, p.at)
		return
	}
	response := msg[2]&0x80 != 0
	if response != toClient && response == toServer {
		d.acct.Skip(pcapSkipWrongWay)
		return
	}
	sample := fullHash
	if response {
		sample = headHash
	}
	if d.duplicate(p, b[:n], 0, sample) {
		d.acct.Skip(pcapSkipDuplicate)
		return
	}
	e := endpoints{client: p.src, server: p.dst, clientPort: src, serverPort: dst, v6: p.v6, transport: picket.TransportUDP}
	if response {
		e.client, e.server, e.clientPort, e.serverPort = p.dst, p.src, dst, src
	}
	d.message(msg, &e, p, nil)
}

func (d *pcapDecoder) skipPorts(src, dst uint16) {
	if src == portMDNS || dst == portMDNS {
		d.acct.Skip(pcapSkipMDNS)
		return
	}
	d.acct.Skip(pcapSkipPort)
}

// duplicate reports whether the same IP payload, by the same header, was seen a
// moment ago: a capture on two interfaces sees each packet twice. The hash is
// keyed and covers all of a query that names something, so that nobody can pass
// one query off as a copy of another.
func (d *pcapDecoder) duplicate(p *pcapPacket, b []byte, offset uint16, sample int) bool {
	s := d.scratch[:0]
	s = append(append(s, p.src[:]...), p.dst[:]...)
	s = binary.LittleEndian.AppendUint32(s, p.mark)
	s = binary.LittleEndian.AppendUint32(s, uint32(len(b)))
	s = append(s, p.proto, byte(offset), byte(offset>>8))
	if len(b) > sample+16 {
		s = append(append(s, b[:sample]...), b[len(b)-16:]...)
	} else {
		s = append(s, b...)
	}
	return d.dups.seen(maphash.Bytes(d.seed, s), p.time, int64(duplicateWindow))
}
