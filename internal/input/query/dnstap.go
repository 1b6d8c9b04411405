package query

import (
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

const (
	skipTapPaired = "response joined to its query"
	// tapLate is how long after a transfer's first message others of it may come.
	tapLate = 30 * time.Second
)

// Dnstap decodes dnstap in Frame Streams, from a file or, when r is an io.Writer
// too, from a socket with the sender's handshake. AUTH_QUERY and AUTH_RESPONSE of
// one transaction become one query; either alone is one as well. Other message
// types are skipped by name.
//
// Queries reach sink in the order of their messages, each once its response has
// been seen, or it has waited for opt.ResponseTimeout of event time, or the
// stream is idle or at its end.
func Dnstap(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newDnstapDecoder(opt, acct, sink)
	in := &frames{Lines: decode.NewLines(ctx, r, acct)}
	in.peer, _ = r.(io.Writer)
	for {
		frame, at, err := in.nextFrame(d.pend.head != d.pend.tail)
		switch {
		case errors.Is(err, decode.ErrIdle):
			err = d.pend.flush()
		case err != nil:
			if ferr := d.pend.flush(); ferr != nil {
				return ferr
			}
			return decode.Ended(err)
		default:
			err = d.frame(frame, at)
		}
		if err != nil {
			return err
		}
	}
}

func pos(offset int64) picket.Position { return picket.Position{Offset: offset} }

// dnstapDecoder is the state of one Dnstap call.
type dnstapDecoder struct {
	acct picket.Accounting
	sink picket.QuerySink
	opt  decode.Options
	wait int64
	seed maphash.Seed

	clock   clock
	pend    *pending
	late    stamps
	sensors interned
	runs    []sensorRun // who reported the pending queries, in their order
	runAt   int

	tap tapRecord
	msg Message
	q   picket.Query
	key [21]byte

	record []byte // of rejected frames
}

// sensorRun is a number of pending queries in a row of one sensor.
type sensorRun struct {
	sensor string
	n      int
}

func newDnstapDecoder(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) *dnstapDecoder {
	d := &dnstapDecoder{acct: acct, sink: sink, opt: opt, wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		late: newStamps(1<<14, 30)}
	if d.wait <= 0 {
		d.wait = int64(defaultAnswerWait)
	}
	d.clock.limit = max(int64(time.Minute), 2*d.wait)
	d.pend = newPending("", d.emit)
	return d
}

// emit hands a query on.
func (d *dnstapDecoder) emit(q *picket.Query, s *slot) error {
	if s.echo || q.Flags&picket.FlagResponse == 0 {
		d.late.mark(s.lateKey(q.Name), s.deadline)
	}
	if s.ends.server == ([16]byte{}) {
		q.Server = netip.Addr{}
	}
	run := &d.runs[d.runAt]
	q.Sensor = run.sensor
	if run.n--; run.n == 0 {
		if d.runAt++; d.runAt == len(d.runs) {
			d.runs, d.runAt = d.runs[:0], 0
		}
	}
	d.acct.Accept(q.Time)
	return d.sink.Query(q)
}

// reported notes the sensor of a query just added.
func (d *dnstapDecoder) reported(sensor string) {
	if n := len(d.runs); n > d.runAt && d.runs[n-1].sensor == sensor {
		d.runs[n-1].n++
		return
	}
	if d.runAt > 256 && d.runAt > len(d.runs)/2 {
		d.runs = d.runs[:copy(d.runs, d.runs[d.runAt:])]
		d.runAt = 0
	}
	d.runs = append(d.runs, sensorRun{sensor, 1})
}

func (d *dnstapDecoder) sensor() string {
	if d.opt.Sensor != "" || string(d.tap.identity) == "-" {
		return d.opt.Sensor
	}
	return d.sensors.get(d.tap.identity)
}

// reject tells of a data frame that cannot be used, with the frame as a stream of
// its own.
func (d *dnstapDecoder) reject(reason string, frame []byte, at int64) {
	p := picket.Position{Offset: at}
	if b := framedRecord(d.record, dnstapContentType, frame); b != nil {
		d.record, p.Record = b, b
	}
	d.acct.Reject(reason, p)
}

// frame takes one data frame.
func (d *dnstapDecoder) frame(b []byte, at int64) error {
	t := &d.tap
	if reason := t.parse(b); reason != "" {
		d.reject(reason, b, at)
		return nil
	}
	if t.kind != 1 {
		d.acct.Skip(skipTapPayload)
		return nil
	}
	response := t.typ == tapAuthResponse
	if !response && t.typ != tapAuthQuery {
		name := skipTapType
		if t.typ > 0 && t.typ < uint64(len(tapTypes)) {
			name = tapTypes[t.typ]
		}
		d.acct.Skip(name)
		return nil
	}
	e, reason := t.ends()
	if reason == "" {
		reason = d.message(&e, response)
	}
	if reason != "" {
		d.reject(reason, b, at)
	}
	if d.pend.err != nil {
		return d.pend.err
	}
	return d.pend.expire(d.clock.now)
}

// message takes the DNS message of d.tap.
func (d *dnstapDecoder) message(e *endpoints, response bool) (reason string) {
	t, m := &d.tap, &d.msg
	msg, own := t.query, t.queryTime
	if response {
		msg = t.response
		if t.responseTime.set {
			own = t.responseTime
		}
	}
	when := own // of the event: the query's time where it is known
	if t.queryTime.set {
		when = t.queryTime
	}
	if !own.set {
		return reasonTapTime
	}
	now, reason := own.nanos()
	if reason != "" {
		return reason
	}
	event, reason := when.nanos()
	if reason != "" {
		return reason
	}
	if msg == nil {
		return reasonNoMsg
	}
	d.clock.tick(now)
	if len(msg) < dnsHeaderLen {
		return reasonShort
	}
	m.header(msg)
	if m.IsResponse() != response {
		d.acct.Skip(skipWrongWay)
		return ""
	}
	hash := d.hash(e, m.ID)
	if response {
		return d.response(hash, e, event)
	}
	if reason := m.question(); reason != "" {
		return reason
	}
	m.FillQuery(&d.q)
	if seq, s := d.add(hash, e, event); s != nil {
		d.pend.wait(seq, s)
	}
	return ""
}

// hash is what the two messages of a transaction have in common: not the
// server's address, which some servers tell in one of the two only.
func (d *dnstapDecoder) hash(e *endpoints, id uint16) uint64 {
	k := &d.key
	copy(k[:], e.client[:])
	binary.LittleEndian.PutUint16(k[16:], e.clientPort)
	binary.LittleEndian.PutUint16(k[18:], id)
	k[20] = byte(e.transport)
	return maphash.Bytes(d.seed, k[:])
}

// add makes d.q pending; s is nil when the sink has failed.
func (d *dnstapDecoder) add(hash uint64, e *endpoints, event int64) (seq uint64, s *slot) {
	seq, s, err := d.pend.add(&d.q)
	if err != nil {
		d.pend.err = err
		return 0, nil
	}
	s.time, s.deadline = event, d.clock.now+d.wait
	s.hash, s.ends, s.echo = hash, *e, false
	d.reported(d.sensor())
	return seq, s
}

// response takes the response in d.msg.
func (d *dnstapDecoder) response(hash uint64, e *endpoints, event int64) (reason string) {
	m := &d.msg
	seq, crowded := d.pend.match(hash, m)
	if seq != 0 {
		d.acct.Skip(skipTapPaired)
		s := d.pend.slot(seq)
		if s.ends.server == ([16]byte{}) {
			s.ends.server = e.server
		}
		d.q.Name, d.q.Flags = d.pend.name(s), 0
		m.FillResponse(&d.q) // what cannot be read of a response is left out
		d.answer(seq, s)
		return ""
	}
	if crowded {
		d.acct.Skip(skipCrowded)
		return ""
	}
	if reason = m.question(); reason != "" {
		if reason == reasonNoQuestion {
			d.acct.Skip(skipNameless)
			return ""
		}
		return reason
	}
	key := (&slot{hash: hash, typ: m.Type}).lateKey(m.Name)
	if d.late.within(key, d.clock.now, int64(tapLate)) {
		d.acct.Skip(skipLate)
		d.markTransfer(key, m.Type)
		return ""
	}
	d.echo()
	m.FillResponse(&d.q)
	if seq, s := d.add(hash, e, event); s != nil {
		s.echo = true
		d.answer(seq, s)
	}
	return ""
}

// answer completes a pending query with what was read into d.q.
func (d *dnstapDecoder) answer(seq uint64, s *slot) {
	d.markTransfer(s.lateKey(d.q.Name), s.typ)
	if err := d.pend.answer(seq, &d.q); err != nil {
		d.pend.err = err
	}
}

// markTransfer has the further messages of a zone transfer known for what they are.
func (d *dnstapDecoder) markTransfer(key uint64, typ uint16) {
	if typ == typeAXFR || typ == typeIXFR {
		d.late.mark(key, d.clock.now)
	}
}

// echo fills d.q for a response without its query: from the query that some
// servers enclose, else from what the response repeats.
func (d *dnstapDecoder) echo() {
	m := &d.msg
	if q := d.tap.query; len(q) >= dnsHeaderLen {
		response := m.msg
		if m.Parse(q) == "" && !m.IsResponse() {
			m.FillQuery(&d.q)
			q := d.q
			if m.Parse(response) == "" && m.Type == q.Type {
				d.q = q
				d.q.Name = m.Name
				return
			}
		}
		m.Parse(response) // was read before without complaint
	}
	m.FillEcho(&d.q)
}
