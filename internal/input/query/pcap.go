package query

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"io"
	"math/bits"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons told to Accounting.Skip: packets that are no DNS telemetry.
const (
	skipNotIP        = "not IP"
	skipLink         = "link type not supported"
	skipTransport    = "not UDP or TCP"
	skipPort         = "not port 53"
	skipPcapMDNS     = "mDNS"
	skipServer       = "other server"
	skipDuplicate    = "duplicate packet"
	skipWrongWay     = "message against its direction"
	skipDSO          = "DNS stateful operation"
	skipContinuation = "transfer continuation"
	skipLate         = "late response"
	skipNameless     = "response without question"
	skipCrowded      = "response among too many like queries"
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
	fullHash, headHash    = 352, 64 // octets of a query, and of a response, that tell duplicates
)

// Pcap decodes packet captures, pcap and pcapng, of DNS over UDP and TCP. It is
// a Decode; see docs/inputs/pcap.md for what it makes of each packet.
//
// Queries reach sink in capture order, each once its response has been seen, or
// it has waited for opt.ResponseTimeout of event time, or the stream has ended.
// A response whose query was not captured yields a query made up from what it
// repeats. Memory is bounded whatever the capture holds.
func Pcap(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newPcapDecoder(opt, acct, sink)
	w := newWindow(ctx, r)
	if live, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		w.live, w.idle = live, d.pend.flush
		w.holds = func() bool { return d.pend.head != d.pend.tail }
	}
	err := readFrames(w, acct, d.frame)
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
	secret  [5]uint64 // odd, for quicker hashes

	clock   clock
	sweepAt int64
	pend    *pending
	frags   *fragTable
	tcp     *tcpTable
	dups    stamps
	late    stamps
	stopped bool // the sink has failed

	msg Message
	q   picket.Query

	now       *pcapFrame // the packet at hand, nil at the end
	recordBuf []byte     // of rejected packets

	lastServer   [16]byte // what the latest server address was found to be
	lastServerOK bool
}

func newPcapDecoder(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) *pcapDecoder {
	d := &pcapDecoder{
		acct: acct, sink: sink, ports: opt.Ports, servers: opt.Servers,
		wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		dups: newStamps(1<<12, 20), late: newStamps(1<<14, 30),
	}
	if len(d.ports) == 0 {
		d.ports = []uint16{portDNS}
	}
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	for i := range d.secret {
		d.secret[i] = maphash.Comparable(d.seed, i) | 1
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
	raw      []byte // from the addresses to the payload's end; nil when put together from fragments
}

// frame takes one captured frame.
func (d *pcapDecoder) frame(f *pcapFrame) error {
	d.now = f
	now := d.clock.tick(f.time)
	if err := d.pend.expire(now); err != nil { // before a response that comes too late is seen
		return err
	}
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
	d.now = nil
	d.tcp.flush()
	d.frags.flush()
	if d.stopped {
		return d.pend.err
	}
	return d.pend.flush()
}

func (d *pcapDecoder) reject(reason string, at int64) {
	d.acct.Reject(reason, d.record(at))
}

// emit hands a query on.
func (d *pcapDecoder) emit(q *picket.Query, s *slot) error {
	if s.echo || q.Flags&picket.FlagResponse == 0 {
		d.late.mark(s.lateKey(q.Name), d.clock.now)
	}
	d.acct.Accept(q.Time)
	if err := d.sink.Query(q); err != nil {
		d.stopped = true
		return err
	}
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
		d.acct.Skip(skipTransport)
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
		d.reject(reasonShort, p.at)
		return
	}
	response := msg[2]&0x80 != 0
	if response != toClient && response == toServer {
		d.acct.Skip(skipWrongWay)
		return
	}
	e := endpoints{client: p.src, server: p.dst, clientPort: src, serverPort: dst, v6: p.v6, transport: picket.TransportUDP}
	if response {
		e.client, e.server, e.clientPort, e.serverPort = p.dst, p.src, dst, src
	}
	sample := fullHash
	if response {
		sample = headHash
	}
	if p.raw != nil && d.duplicate(p, sample) {
		d.acct.Skip(skipDuplicate)
		return
	}
	d.message(msg, &e, p, nil)
}

func (d *pcapDecoder) skipPorts(src, dst uint16) {
	if src == portMDNS || dst == portMDNS {
		d.acct.Skip(skipPcapMDNS)
		return
	}
	d.acct.Skip(skipPort)
}

// duplicate reports whether the same IP packet was seen a moment ago: a capture
// on two interfaces sees each packet twice. Addresses and payload are hashed as
// they lie; hop limit and checksum may differ and are left out. The hash is
// keyed and covers all of a query that names something, so that nobody can pass
// one query off as a copy of another.
func (d *pcapDecoder) duplicate(p *pcapPacket, sample int) bool {
	b := p.raw
	h := mum(uint64(p.mark)<<32|uint64(len(b)), d.secret[0])
	h ^= maphash.Bytes(d.seed, b[:min(len(b), sample)])
	return d.dups.seen(h, p.time, int64(duplicateWindow))
}

// mum multiplies and folds the product.
func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hash is the keyed hash by which a transaction or, with id 0, a TCP connection
// is known.
func (d *pcapDecoder) hash(e *endpoints, id uint16) uint64 {
	k := &d.secret
	h := mum(uint64(e.clientPort)<<48|uint64(e.serverPort)<<32|uint64(id)<<16|uint64(e.transport)^k[0], k[1])
	if e.v6 {
		h = mum(le64(e.client[:])^h, le64(e.server[:])^k[2]) ^ k[3]
		return mum(le64(e.client[8:])^h, le64(e.server[8:])^k[4])
	}
	return mum(le64(e.client[8:])^h, le64(e.server[8:])^k[2])
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
