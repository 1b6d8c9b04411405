package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a Microsoft DNS debug log.
const (
	skipMSDetail   = "header line or packet detail"
	skipMSContext  = "line of another context"
	skipMSAnswer   = "response joined to its query"
	skipMSLate     = "late response to a query already counted"
	skipMSUpstream = "query sent by the server"
	skipMSForwards = "response received by the server"
)

const (
	// msLook is how much of a log is searched for dates that tell the order of day
	// and month, before anything is decoded.
	msLook = 64 << 10
	// msLate is how long, in event time, a query passed on without response is
	// remembered.
	msLate       = int64(time.Minute)
	msMaxContext = 32
)

// MSDNSDebug decodes the debug log of Microsoft DNS Server, of any locale: PACKET
// lines of queries received and of the responses sent to them, which become one
// query. What the server asks others itself is skipped.
//
// Day and month are told apart by the locale's separator, by dates that can be
// only one or the other, or by opt.DateOrder; dates that stay ambiguous are
// rejected.
func MSDNSDebug(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newMSDecoder(opt, acct, sink)
	text := decode.UTF8(r)
	in := decode.NewLines(ctx, text, acct)
	if err := d.look(in, text); err != nil {
		return err
	}
	for {
		line, err := in.Next(d.pend.head != d.pend.tail)
		switch {
		case errors.Is(err, decode.ErrIdle):
			if err := d.pend.flush(); err != nil {
				return err
			}
			continue
		case err != nil:
			if ferr := d.pend.flush(); ferr != nil {
				return ferr
			}
			return decode.Ended(err)
		}
		if err := d.take(line, in.Pos()); err != nil {
			return err
		}
	}
}

// msDecoder is the state of one decoding.
type msDecoder struct {
	acct  picket.Accounting
	sink  picket.QuerySink
	opt   decode.Options
	zone  decode.Clock
	order msOrder
	wait  int64
	seed  maphash.Seed
	clock clock
	pend  *pending
	late  stamps
	skips map[string]string // reasons by context
	line  msLine
	q     picket.Query
	name  []byte
	key   [32]byte
}

func newMSDecoder(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) *msDecoder {
	d := &msDecoder{acct: acct, sink: sink, opt: opt, zone: decode.NewClock(opt), seed: maphash.MakeSeed(), wait: int64(opt.ResponseTimeout),
		late: newStamps(1<<14, 30), skips: map[string]string{}, name: make([]byte, 0, 256)}
	d.order.set = opt.DateOrder
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	d.wait += decode.NsPerSecond // times are whole seconds
	d.clock.limit = max(2*msLate, 2*d.wait)
	d.pend = newPending(opt.Sensor, d.emit)
	return d
}

func (d *msDecoder) emit(q *picket.Query, s *slot) error {
	q.Server = netip.Addr{}
	if !s.done {
		d.late.mark(s.hash, d.clock.now)
	}
	d.acct.Accept(q.Time)
	return d.sink.Query(q)
}

// look learns the order of day and month from the log's beginning. Live input is
// looked at as far as it has come.
func (d *msDecoder) look(in *decode.Lines, text io.Reader) error {
	if d.order.set != "" {
		return nil
	}
	live := text.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Time{}) == nil
	for in.Err == nil && in.End-in.At < msLook {
		before := in.End
		if err := in.Fill(false); err != nil {
			return err
		}
		if live && in.End > before {
			break
		}
	}
	var w msWhen
	head := in.Buf[in.At:in.End]
	if len(head) > msLook {
		head = head[:msLook]
	}
	decode.EachLine(head, func(line []byte) bool {
		if w.headerDate(line) || w.parse(line) > 0 {
			d.order.learn(&w)
		}
		return true
	})
	return nil
}

// take accounts for one line.
func (d *msDecoder) take(line []byte, at picket.Position) error {
	if len(line) == 0 {
		d.acct.Skip(decode.SkipBlank)
		return nil
	}
	l := &d.line
	kind, reason := l.cut(line)
	switch kind {
	case msDetail:
		d.acct.Skip(skipMSDetail)
		return nil
	case msBroken:
		d.acct.Reject(reason, at)
		return nil
	case msOther:
		d.order.learn(&l.when)
		d.acct.Skip(d.skipReason(l.context))
		return nil
	}
	d.order.learn(&l.when)
	switch {
	case l.sent && !l.response:
		d.acct.Skip(skipMSUpstream)
		return nil
	case !l.sent && l.response:
		d.acct.Skip(skipMSForwards)
		return nil
	}
	if reason := d.packet(); reason != "" {
		if reason == reasonAmbiguousDate && d.opt.Note != nil {
			d.opt.Note(noteDateOrder)
			d.opt.Note = nil
		}
		d.acct.Reject(reason, at)
		return nil
	}
	if d.pend.err != nil {
		return d.pend.err
	}
	return d.pend.expire(d.clock.now)
}

// skipReason names a context in the account, as long as there are few.
func (d *msDecoder) skipReason(context []byte) string {
	if s, ok := d.skips[string(context)]; ok {
		return s
	}
	for _, c := range context {
		if c < 'A' || c > 'Z' {
			return skipMSContext
		}
	}
	if len(d.skips) >= msMaxContext || len(context) > 16 || len(context) == 0 {
		return skipMSContext
	}
	s := "context " + string(context)
	d.skips[string(context)] = s
	return s
}

// packet makes a query of the line, or completes the one it answers.
func (d *msDecoder) packet() (reason string) {
	l, q := &d.line, &d.q
	*q = picket.Query{Rcode: picket.RcodeUnknown, Class: 1, Name: d.name[:0], Sensor: d.opt.Sensor}
	reason = l.fill(q)
	d.name = q.Name
	if reason != "" {
		return reason
	}
	xid, ok := hex16(l.xid)
	if !ok {
		return decode.ReasonTruncated
	}
	if q.Time, reason = l.when.unix(&d.order, &d.zone); reason != "" {
		return reason
	}
	d.clock.tick(q.Time)
	var x endpoints
	x.client, x.v6, x.transport = q.Client.As16(), q.Client.Is6(), q.Transport
	if q.Client.Is4() {
		x.client = mapless(q.Client)
	}
	hash := d.hash(&x, xid)
	if l.response {
		d.response(hash, &x)
		return ""
	}
	if seq, s := d.add(hash, &x); s != nil {
		d.pend.wait(seq, s)
	}
	return ""
}

// hash is the key of a transaction: who asked with what id over what. The port is
// not logged.
func (d *msDecoder) hash(x *endpoints, xid uint16) uint64 {
	k := &d.key
	clear(k[:])
	copy(k[:], x.client[:])
	k[16] = byte(x.transport)
	binary.LittleEndian.PutUint16(k[18:], xid)
	return maphash.Bytes(d.seed, k[:])
}

// add makes d.q pending; s is nil when the sink has failed.
func (d *msDecoder) add(hash uint64, x *endpoints) (seq uint64, s *slot) {
	seq, s, err := d.pend.add(&d.q)
	if err != nil {
		d.pend.err = err
		return 0, nil
	}
	s.time, s.deadline = d.q.Time, d.clock.now+d.wait
	s.hash, s.ends, s.echo = hash, *x, false
	return seq, s
}

// response completes the oldest waiting query with its name and type, or stands
// for a query whose line is not there.
func (d *msDecoder) response(hash uint64, x *endpoints) {
	seq, s := d.find(hash)
	switch {
	case s != nil:
		d.acct.Skip(skipMSAnswer)
	case d.late.within(hash, d.clock.now, msLate):
		d.acct.Skip(skipMSLate)
		return
	default:
		if seq, s = d.add(hash, x); s == nil {
			return
		}
	}
	if err := d.pend.answer(seq, &d.q); err != nil {
		d.pend.err = err
	}
}

func (d *msDecoder) find(hash uint64) (seq uint64, s *slot) {
	p := d.pend
	at, ok := p.index.find(hash)
	if !ok {
		return 0, nil
	}
	seq = p.seqAt(at)
	for range maxSameKey {
		s := p.slot(seq)
		if s.typ == d.q.Type && bytes.Equal(p.name(s), d.q.Name) {
			return seq, s
		}
		if seq = s.next; seq == 0 {
			break
		}
	}
	return 0, nil
}

var msHeader = [][]byte{[]byte("DNS Server log file creation at"), []byte("Message logging key (for packets")}

// DetectMSDNSDebug looks for the header that each file begins with, or for PACKET
// lines.
func DetectMSDNSDebug(head []byte) int {
	head = decode.UTF8Head(head)
	var l msLine
	hits, lines, header := 0, 0, false
	decode.EachLine(head, func(line []byte) bool {
		for _, h := range msHeader {
			header = header || bytes.HasPrefix(line, h)
		}
		kind, _ := l.cut(line)
		switch kind {
		case msPacket:
			hits++
			lines++
		case msDetail:
			if len(line) > 0 && decode.Digit(line[0]) {
				lines++
			}
		default:
			lines++
		}
		return !header && lines < 2000 && hits < 20
	})
	switch {
	case header || hits == 20 || (hits > 0 && hits*2 >= lines):
		return 95
	case hits > 0:
		return 60
	}
	return 0
}
