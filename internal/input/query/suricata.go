package query

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
)

const (
	reasonEveDNS      = "dns event without type"
	reasonEveName     = "dns event without rrname"
	skipEvePaired     = "answer joined to its query"
	skipEveAnswer     = "further answer event of one response"
	skipEveOther      = "other events"
	skipEveNoDNS      = "dns event without dns object"
	maxEveSkipReasons = 32
)

// eveEvent is what is read of one event.
type eveEvent struct {
	kind, stamp, proto  []byte
	src, dst            []byte
	srcPort, dstPort    uint16
	flow                uint64
	hasFlow, hasDNS     bool
	typ                 []byte // dns.type
	version, id         uint16
	tx                  uint64
	flags               []byte
	rcode               []byte
	rd, aa, tc, hasBits bool
	opcode              uint16
	name, qtype         []byte
	firstName, lastType []byte // of answers
	answers             uint16
}

// SuricataDNS decodes the dns events of Suricata's EVE JSON, of versions 1 (one
// event for each record), 2 (answers in one event) and 3 (request and response).
// A query event and its answer become one query; either alone is one as well.
// Other events are skipped by their event_type.
func SuricataDNS(ctx context.Context, r io.Reader, opt Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newEveDecoder(opt, acct, sink)
	in := &records{newLines(ctx, r, acct)}
	for {
		rec, err := in.nextRecord(d.pend.head != d.pend.tail)
		switch {
		case errors.Is(err, errIdle):
			if err := d.pend.flush(); err != nil {
				return err
			}
			continue
		case err != nil:
			if ferr := d.pend.flush(); ferr != nil {
				return ferr
			}
			return ended(err)
		}
		d.cur.reset(rec)
		if reason := d.read(); reason != "" {
			acct.Reject(reason, in.pos())
		} else if reason = d.take(); reason != "" {
			acct.Reject(reason, in.pos())
		}
		if d.pend.err != nil {
			return d.pend.err
		}
		if err := d.pend.expire(d.clock.now); err != nil {
			return err
		}
		n := d.cur.i
		if d.cur.bad {
			n = len(rec)
		}
		in.done(n)
	}
}

// eveDecoder is the state of one SuricataDNS call.
type eveDecoder struct {
	acct  picket.Accounting
	sink  picket.QuerySink
	wait  int64
	seed  maphash.Seed
	zone  zoneClock
	clock clock
	pend  *pending
	late  stamps
	skips map[string]string // reasons by event_type

	cur  jsonCur
	ev   eveEvent
	q    picket.Query
	name []byte
	key  [48]byte
}

func newEveDecoder(opt Options, acct picket.Accounting, sink picket.QuerySink) *eveDecoder {
	d := &eveDecoder{acct: acct, sink: sink, wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		zone: newZoneClock(opt.Location), late: newStamps(1<<14, 30), skips: map[string]string{}, name: make([]byte, 0, 256)}
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	d.clock.limit = max(int64(time.Minute), 2*d.wait)
	d.pend = newPending(opt.Sensor, d.emit)
	return d
}

func (d *eveDecoder) emit(q *picket.Query, s *slot) error {
	if s.ends.server == ([16]byte{}) {
		q.Server = netip.Addr{}
	}
	d.acct.Accept(q.Time)
	return d.sink.Query(q)
}

// read fills d.ev from the object under the cursor.
func (d *eveDecoder) read() (reason string) {
	c, e := &d.cur, &d.ev
	*e = eveEvent{}
	if !c.open('{') {
		c.fail()
		return reasonNotObject
	}
	for {
		k, ok := c.key()
		if !ok {
			break
		}
		switch string(k) {
		case "event_type":
			e.kind = c.scalar()
		case "timestamp":
			e.stamp = c.scalar()
		case "proto":
			e.proto = c.scalar()
		case "src_ip":
			e.src = c.scalar()
		case "dest_ip":
			e.dst = c.scalar()
		case "src_port":
			e.srcPort = c.uint16()
		case "dest_port":
			e.dstPort = c.uint16()
		case "flow_id":
			e.flow, e.hasFlow = parseUint(c.scalar(), 1<<64-1)
		case "tx_id":
			e.tx, _ = parseUint(c.scalar(), 1<<64-1)
		case "dns":
			if !c.open('{') {
				c.skip()
				continue
			}
			e.hasDNS = true
			d.dns()
		default:
			c.skip()
		}
	}
	if c.bad {
		return reasonBrokenJSON
	}
	return ""
}

// uint16 reads a number; 0 when it is none.
func (c *jsonCur) uint16() uint16 {
	v, _ := parseUint(c.scalar(), 65535)
	return uint16(v)
}

// dns reads the object dns, stepped into.
func (d *eveDecoder) dns() {
	c, e := &d.cur, &d.ev
	for {
		k, ok := c.key()
		if !ok {
			return
		}
		switch string(k) {
		case "type":
			e.typ = c.scalar()
		case "version":
			e.version = c.uint16()
		case "id":
			e.id = c.uint16()
		case "flags":
			e.flags = c.scalar()
		case "rcode":
			e.rcode = c.scalar()
		case "opcode":
			e.opcode = c.uint16()
		case "rd":
			e.rd, e.hasBits = c.isTrue(), true
		case "aa":
			e.aa = c.isTrue()
		case "tc":
			e.tc = c.isTrue()
		case "rrname":
			e.name = nonNil(c.scalar())
		case "rrtype":
			e.qtype = c.scalar()
		case "queries":
			d.rrs(&e.name, &e.qtype, true)
		case "answers":
			e.answers = d.rrs(&e.firstName, &e.lastType, false)
		default:
			c.skip()
		}
	}
}

// nonNil tells an empty string, the root's rrname, from an absent one.
func nonNil(b []byte) []byte {
	if len(b) == 0 {
		return rootText
	}
	return b
}

// rrs reads an array of objects with rrname and rrtype: the first name, and the
// first or the last type.
func (d *eveDecoder) rrs(name, typ *[]byte, firstType bool) (n uint16) {
	c := &d.cur
	if !c.open('[') {
		c.skip()
		return 0
	}
	for c.more(']') {
		if !c.open('{') {
			c.skip()
			continue
		}
		for {
			k, ok := c.key()
			if !ok {
				break
			}
			switch {
			case string(k) == "rrname" && n == 0:
				*name = nonNil(c.scalar())
			case string(k) == "rrtype" && (n == 0 || !firstType):
				*typ = c.scalar()
			default:
				c.skip()
			}
		}
		n = min(n+1, 65534)
	}
	return n
}

// take makes something of d.ev.
func (d *eveDecoder) take() (reason string) {
	e := &d.ev
	if string(e.kind) != "dns" {
		d.acct.Skip(d.skipReason(e.kind))
		return ""
	}
	if !e.hasDNS {
		d.acct.Skip(skipEveNoDNS)
		return ""
	}
	response := false
	switch string(e.typ) {
	case "query", "request":
	case "answer", "response":
		response = true
	default:
		return reasonEveDNS
	}
	ends, reason := d.ends(response)
	if reason != "" {
		return reason
	}
	if skip := notDNSPort(ends.serverPort); skip != "" {
		d.acct.Skip(skip)
		return ""
	}
	t, n := d.zone.isoTime(e.stamp)
	if n == 0 || n != len(e.stamp) {
		return reasonTime
	}
	if reason = d.question(response); reason != "" {
		return reason
	}
	d.clock.tick(t)
	hash := d.hash(&ends)
	if response {
		return d.response(hash, &ends, t)
	}
	d.queryFlags()
	if seq, s := d.add(hash, &ends, t); s != nil {
		d.pend.wait(seq, s)
	}
	return ""
}

// skipReason names an event_type in the account, as long as there are few.
func (d *eveDecoder) skipReason(kind []byte) string {
	if s, ok := d.skips[string(kind)]; ok {
		return s
	}
	if len(d.skips) >= maxEveSkipReasons || len(kind) > 32 {
		return skipEveOther
	}
	s := "event_type " + string(kind)
	if len(kind) == 0 {
		s = "event without event_type"
	}
	d.skips[string(kind)] = s
	return s
}

func notDNSPort(port uint16) string {
	switch port {
	case 5353:
		return skipZeekMDNS
	case 5355:
		return skipLLMNR
	case 137:
		return skipNetBIOS
	}
	return ""
}
