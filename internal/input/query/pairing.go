package query

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// pairing joins the messages by which servers report query and response of a
// transaction apart. Queries go out in the order of their messages, each once
// its response has been seen, or it has waited long enough by the stream's own
// clock, or all are flushed.
type pairing struct {
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

	q      picket.Query
	record []byte // of rejected messages
}

// sensorRun is a number of pending queries in a row of one sensor.
type sensorRun struct {
	sensor string
	n      int
}

func newPairing(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) *pairing {
	p := &pairing{acct: acct, sink: sink, opt: opt, wait: int64(opt.ResponseTimeout), seed: maphash.MakeSeed(),
		late: newStamps(1<<14, 30)}
	if p.wait <= 0 {
		p.wait = int64(defaultAnswerWait)
	}
	p.clock.limit = max(int64(time.Minute), 2*p.wait)
	p.pend = newPending("", p.emit)
	return p
}

// held reports whether queries are waiting.
func (p *pairing) held() bool { return p.pend.head != p.pend.tail }

// emit hands a query on.
func (p *pairing) emit(q *picket.Query, s *slot) error {
	if s.echo || q.Flags&picket.FlagResponse == 0 {
		p.late.mark(s.lateKey(q.Name), s.deadline)
	}
	if s.ends.server == ([16]byte{}) {
		q.Server = netip.Addr{}
	}
	run := &p.runs[p.runAt]
	q.Sensor = run.sensor
	if run.n--; run.n == 0 {
		if p.runAt++; p.runAt == len(p.runs) {
			p.runs, p.runAt = p.runs[:0], 0
		}
	}
	p.acct.Accept(q.Time)
	return p.sink.Query(q)
}

// reported notes the sensor of a query just added.
func (p *pairing) reported(sensor string) {
	if n := len(p.runs); n > p.runAt && p.runs[n-1].sensor == sensor {
		p.runs[n-1].n++
		return
	}
	if p.runAt > 256 && p.runAt > len(p.runs)/2 {
		p.runs = p.runs[:copy(p.runs, p.runs[p.runAt:])]
		p.runAt = 0
	}
	p.runs = append(p.runs, sensorRun{sensor, 1})
}

// sensor returns who reported a message, by the identity in it.
func (p *pairing) sensor(identity []byte) string {
	if p.opt.Sensor != "" || string(identity) == "-" {
		return p.opt.Sensor
	}
	return p.sensors.get(identity)
}

// add makes p.q pending; s is nil when the sink has failed.
func (p *pairing) add(hash uint64, e *endpoints, event int64, identity []byte) (seq uint64, s *slot) {
	seq, s, err := p.pend.add(&p.q)
	if err != nil {
		p.pend.err = err
		return 0, nil
	}
	s.time, s.deadline = event, p.clock.now+p.wait
	s.hash, s.ends, s.echo = hash, *e, false
	p.reported(p.sensor(identity))
	return seq, s
}

// answer completes a pending query with what was read into p.q.
func (p *pairing) answer(seq uint64, s *slot) {
	p.markTransfer(s.lateKey(p.q.Name), s.typ)
	if err := p.pend.answer(seq, &p.q); err != nil {
		p.pend.err = err
	}
}

// markTransfer has the further messages of a zone transfer known for what they are.
func (p *pairing) markTransfer(key uint64, typ uint16) {
	if typ == typeAXFR || typ == typeIXFR {
		p.late.mark(key, p.clock.now)
	}
}

// isLate reports whether a response to no waiting query is one that came after
// its query was passed on, or a further message of a transfer, and counts it.
func (p *pairing) isLate(key uint64, typ uint16) bool {
	if !p.late.within(key, p.clock.now, int64(tapLate)) {
		return false
	}
	p.acct.Skip(skipLate)
	p.markTransfer(key, typ)
	return true
}

// settle ends a message: what has waited long enough goes out.
func (p *pairing) settle() error {
	if p.pend.err != nil {
		return p.pend.err
	}
	return p.pend.expire(p.clock.now)
}
