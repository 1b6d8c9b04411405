package query

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
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
	d := &dnstapDecoder{pairing: newPairing(opt, acct, sink), asInput: framedDnstap}
	in := &frames{feed: feed{Lines: decode.NewLines(ctx, r, acct)}}
	in.peer, _ = r.(io.Writer)
	return d.run(in.nextFrame, d.frame)
}

// DnstapMessage decodes dnstap without Frame Streams: one message that is the
// whole input, as message queues carry them, or a stream of messages each with
// its length in front (16 bits), as dnsdist writes to a remote logger. What
// becomes of a message is as in Dnstap.
func DnstapMessage(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &dnstapDecoder{pairing: newPairing(opt, acct, sink), asInput: prefixedRecord}
	in := newPrefixed(ctx, r, acct, "dnstap-message", bareDnstap, tapStart)
	return d.run(in.next, d.frame)
}

// run takes messages from next to the stream's end.
func (p *pairing) run(next func(held bool) ([]byte, int64, error), take func(msg []byte, at int64) error) error {
	for {
		msg, at, err := next(p.held())
		switch {
		case errors.Is(err, decode.ErrIdle):
			err = p.pend.flush()
		case err != nil:
			if ferr := p.pend.flush(); ferr != nil {
				return ferr
			}
			return decode.Ended(err)
		default:
			err = take(msg, at)
		}
		if err != nil {
			return err
		}
	}
}

func pos(offset int64) picket.Position { return picket.Position{Offset: offset} }

// dnstapDecoder is the state of one Dnstap or DnstapMessage call.
type dnstapDecoder struct {
	*pairing
	asInput func(buf, message []byte) []byte // a rejected message as an input of its own

	tap tapRecord
	msg Message
	key [21]byte
}

// reject tells of a message that cannot be used.
func (d *dnstapDecoder) reject(reason string, msg []byte, at int64) {
	p := picket.Position{Offset: at}
	if b := d.asInput(d.record, msg); b != nil {
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
	response := t.typ == tapAuthResponse || d.opt.Client && t.typ == tapClientResponse
	if !response && t.typ != tapAuthQuery && !(d.opt.Client && t.typ == tapClientQuery) {
		name := skipTapType
		if t.typ > 0 && t.typ < uint64(len(tapTypes)) {
			name = tapTypes[t.typ]
		}
		d.acct.Skip(name)
		return nil
	}
	e, reason := t.ends(tapTransports[:])
	if reason == "" {
		reason = d.message(&e, response)
	}
	if reason != "" {
		d.reject(reason, b, at)
	}
	return d.settle()
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
	if seq, s := d.add(hash, e, event, t.identity); s != nil {
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
	if d.isLate(key, m.Type) {
		return ""
	}
	d.echo()
	m.FillResponse(&d.q)
	if seq, s := d.add(hash, e, event, d.tap.identity); s != nil {
		s.echo = true
		d.answer(seq, s)
	}
	return ""
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
