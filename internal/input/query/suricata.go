package query

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
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
	rdata               []byte // of version 1, which has a record in each event
	ttl                 uint64
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
func SuricataDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newEveDecoder(opt, acct, sink)
	in := decode.NewRecords(ctx, r, acct)
	for {
		rec, err := in.NextRecord(d.pend.head != d.pend.tail)
		switch {
		case errors.Is(err, decode.ErrIdle):
			d.shut()
			if err := d.pend.flush(); err != nil {
				return err
			}
			continue
		case err != nil:
			d.shut()
			if ferr := d.pend.flush(); ferr != nil {
				return ferr
			}
			return decode.Ended(err)
		}
		d.cur.Reset(rec)
		reason := d.read()
		if reason == "" {
			reason = d.take()
		}
		n := d.cur.I
		if d.cur.Bad {
			n = len(rec)
		}
		if reason != "" {
			acct.Reject(reason, in.Fault(n))
		}
		if d.pend.err != nil {
			return d.pend.err
		}
		if err := d.pend.expire(d.clock.now); err != nil {
			return err
		}
		in.Done(n)
	}
}

// eveDecoder is the state of one SuricataDNS call.
type eveDecoder struct {
	acct  picket.Accounting
	sink  picket.QuerySink
	wait  int64
	seed  maphash.Seed
	zone  decode.Clock
	clock clock
	pend  *pending
	late  stamps
	skips map[string]string // reasons by event_type

	cur   decode.Cursor
	ev    eveEvent
	told  told
	parts []byte // RDATA put together of an object
	soa   [7]string
	srv   [4]string
	sshfp [3]string
	open  eveOpen
	q     picket.Query
	name  []byte
	key   [48]byte
}

func newEveDecoder(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) *eveDecoder {
	d := &eveDecoder{acct: acct, sink: sink, wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		zone: decode.NewClock(opt), late: newStamps(1<<14, 30), skips: map[string]string{}, name: make([]byte, 0, 256)}
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	d.soa = [...]string{"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"}
	d.srv, d.sshfp = [...]string{"priority", "weight", "port", "name"}, [...]string{"algo", "type", "fingerprint"}
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
	d.told.reset()
	if !c.Open('{') {
		c.Fail()
		return decode.ReasonNotObject
	}
	for {
		k, ok := c.Key()
		if !ok {
			break
		}
		switch string(k) {
		case "event_type":
			e.kind = c.Scalar()
		case "timestamp":
			e.stamp = c.Scalar()
		case "proto":
			e.proto = c.Scalar()
		case "src_ip":
			e.src = c.Scalar()
		case "dest_ip":
			e.dst = c.Scalar()
		case "src_port":
			e.srcPort = c.Uint16()
		case "dest_port":
			e.dstPort = c.Uint16()
		case "flow_id":
			e.flow, e.hasFlow = decode.ParseUint(c.Scalar(), 1<<64-1)
		case "tx_id":
			e.tx, _ = decode.ParseUint(c.Scalar(), 1<<64-1)
		case "dns":
			if !c.Open('{') {
				c.Skip()
				continue
			}
			e.hasDNS = true
			d.dns()
		default:
			c.Skip()
		}
	}
	if c.Bad {
		return decode.ReasonBrokenJSON
	}
	return ""
}

// dns reads the object dns, stepped into.
func (d *eveDecoder) dns() {
	c, e := &d.cur, &d.ev
	for {
		k, ok := c.Key()
		if !ok {
			return
		}
		switch string(k) {
		case "type":
			e.typ = c.Scalar()
		case "version":
			e.version = c.Uint16()
		case "id":
			e.id = c.Uint16()
		case "flags":
			e.flags = c.Scalar()
		case "rcode":
			e.rcode = c.Scalar()
		case "opcode":
			e.opcode = c.Uint16()
		case "rd":
			e.rd, e.hasBits = c.IsTrue(), true
		case "aa":
			e.aa = c.IsTrue()
		case "tc":
			e.tc = c.IsTrue()
		case "rrname":
			e.name = nonNil(c.Scalar())
		case "rrtype":
			e.qtype = c.Scalar()
		case "rdata":
			e.rdata = c.Scalar()
		case "ttl":
			e.ttl, _ = decode.ParseUint(c.Scalar(), 1<<31)
		case "queries":
			d.rrs(&e.name, &e.qtype, true)
		case "answers":
			e.answers = d.rrs(&e.firstName, &e.lastType, false)
		default:
			c.Skip()
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
	if !c.Open('[') {
		c.Skip()
		return 0
	}
	for c.More(']') {
		if !c.Open('{') {
			c.Skip()
			continue
		}
		var rr eveRecord
		for {
			k, ok := c.Key()
			if !ok {
				break
			}
			switch string(k) {
			case "rrname":
				if rr.name = nonNil(c.Scalar()); n == 0 {
					*name = rr.name
				}
			case "rrtype":
				if rr.typ = c.Scalar(); n == 0 || !firstType {
					*typ = rr.typ
				}
			case "rdata":
				rr.data = c.Scalar()
			case "ttl":
				rr.ttl, _ = decode.ParseUint(c.Scalar(), 1<<31)
			case "rrname_truncated", "rdata_truncated":
				rr.cut = c.IsTrue() || rr.cut
			case "soa", "srv", "sshfp":
				d.parts = rr.object(c, d.fieldsOf(k), d.parts[:0])
			default:
				c.Skip()
			}
		}
		if !firstType {
			rr.tell(&d.told)
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
	t, n := d.zone.IsoTime(e.stamp)
	if n == 0 || n != len(e.stamp) {
		return decode.ReasonTime
	}
	if reason = d.question(response); reason != "" {
		return reason
	}
	d.clock.tick(t)
	hash := d.hash(&ends)
	if response {
		return d.response(hash, &ends, t)
	}
	d.shut()
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
