package query

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a BIND log.
const (
	skipBindOther    = "other log line"
	skipBindClient   = "other client message"
	skipBindFailed   = "query error line"
	skipBindDenied   = "denial of a query already counted"
	skipBindXfr      = "zone transfer progress line"
	skipBindXfrStart = "zone transfer start already counted"
)

const (
	// bindHeld is how many queries wait for a line that tells what became of
	// them; BIND writes it right after the query line of the same client, but
	// its threads write in between.
	bindHeld = 32
	// bindRing also keeps queries that have been passed on, so that a late line
	// is not taken for another query.
	bindRing = 2 * bindHeld
	// bindWait is how long, in event time, a query is held.
	bindWait = decode.NsPerSecond
)

// Which lines a held query has been seen in.
const (
	sawQuery uint8 = 1 << iota
	sawFailed
	sawDenied
	sawTransfer
)

var noError = []byte("NOERROR")

type bindSlot struct {
	q   picket.Query
	saw uint8
}

// bindLog is the state of one decoding.
type bindLog struct {
	cut        decode.BindCutter
	opt        decode.Options
	acct       picket.Accounting
	sink       picket.QuerySink
	ring       [bindRing]bindSlot
	head, tail uint64 // of the queries held; slots before head keep what was passed on
	line       bindLine
	probe      picket.Query // for its name
}

// BindLog decodes the query log of BIND 9.11 to 9.20, alone or among other
// categories, as a file or through syslog. Lines of the categories query-errors,
// security and xfer-out tell the response code of the query just before them;
// denied and started zone transfers count as queries when there is no query line.
func BindLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &bindLog{cut: decode.NewBindCutter(opt), opt: opt, acct: acct, sink: sink}
	in := decode.NewLines(ctx, r, acct)
	for {
		line, err := in.Next(d.head < d.tail)
		switch {
		case errors.Is(err, decode.ErrIdle):
			if err := d.release(d.tail); err != nil {
				return err
			}
			continue
		case err != nil:
			if flushErr := d.release(d.tail); flushErr != nil {
				return flushErr
			}
			return decode.Ended(err)
		}
		if err := d.take(line, in.Pos()); err != nil {
			return err
		}
	}
}

// take accounts for one line.
func (d *bindLog) take(line []byte, at picket.Position) error {
	if len(line) == 0 {
		d.acct.Skip(decode.SkipBlank)
		return nil
	}
	if line[0] == '#' {
		d.acct.Skip(decode.SkipComment)
		return nil
	}
	l := &d.line
	if reason := cutBind(&d.cut, line, l); reason != "" {
		d.acct.Reject(reason, at)
		return nil
	}
	switch l.kind {
	case bindQuery:
		return d.add(sawQuery, at)
	case bindFailed:
		d.acct.Skip(skipBindFailed)
		if s := d.find(sawFailed, true); s != nil {
			setRcode(&s.q, l.rcode)
		}
		return d.settle()
	case bindDenied, bindNotAuth:
		if s := d.find(sawDenied, l.kind == bindDenied); s != nil {
			d.acct.Skip(skipBindDenied)
			setRcode(&s.q, l.rcode)
			return d.settle()
		}
		return d.add(sawDenied, at)
	case bindXfrStart:
		if s := d.find(sawTransfer, false); s != nil {
			d.acct.Skip(skipBindXfrStart)
			setRcode(&s.q, noError)
			return d.settle()
		}
		return d.add(sawTransfer, at)
	case bindXfrOther:
		d.acct.Skip(skipBindXfr)
	case bindClient:
		d.acct.Skip(skipBindClient)
	default:
		d.acct.Skip(skipBindOther)
	}
	return nil
}

// setRcode notes the result that a line tells. In query-errors it is an RCODE's
// mnemonic when a response was sent, else words like "failure".
func setRcode(q *picket.Query, b []byte) {
	if v, ok := decode.Rcodes[string(b)]; ok {
		q.Rcode = picket.Rcode(v)
		q.Flags |= picket.FlagResponse
	}
}

// find returns the newest query of the line's client that asked the line's
// question and has not been seen in such a line. For transfers the type is not
// compared: IXFR falls back to AXFR (RFC 1995 §2).
func (d *bindLog) find(saw uint8, typed bool) *bindSlot {
	l := &d.line
	probe := &d.probe
	if !decode.SetName(probe, l.name) {
		return nil
	}
	typ, _ := decode.ParseType(l.typ)
	from := uint64(0)
	if d.tail > bindRing {
		from = d.tail - bindRing
	}
	for i := d.tail; i > from; i-- {
		s := &d.ring[(i-1)%bindRing]
		q := &s.q
		// A denial may be reported as such and as a failed query, so a slot made
		// by a denial line takes the failure's line but no second denial.
		if s.saw&saw != 0 || (s.saw&sawQuery == 0 && saw != sawFailed) || q.ClientPort != l.Port || q.Client != l.Client {
			continue
		}
		if typed && q.Type != typ || !typed && q.Type != typeAXFR && q.Type != typeIXFR {
			continue
		}
		if bytes.Equal(q.Name, probe.Name) {
			s.saw |= saw
			return s
		}
	}
	return nil
}

// add makes a query of the line and holds it.
func (d *bindLog) add(saw uint8, at picket.Position) error {
	l := &d.line
	if !l.Timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	if err := d.release(d.ripe(l.Time)); err != nil {
		return err
	}
	s := &d.ring[d.tail%bindRing]
	if reason := d.fill(&s.q); reason != "" {
		s.saw = ^uint8(0) // matches nothing
		d.acct.Reject(reason, at)
		return nil
	}
	s.saw = saw
	switch saw {
	case sawDenied:
		setRcode(&s.q, l.rcode)
	case sawTransfer:
		setRcode(&s.q, noError)
	}
	d.tail++
	return nil
}

// ripe returns up to where the held queries go out when one at time t follows.
func (d *bindLog) ripe(t int64) uint64 {
	to := d.head
	if d.tail-d.head >= bindHeld {
		to = d.head + 1
	}
	for to < d.tail && d.ring[to%bindRing].q.Time < t-bindWait {
		to++
	}
	return to
}

// settle passes on the queries at the head that nothing more is awaited for.
func (d *bindLog) settle() error {
	to := d.head
	for to < d.tail && d.ring[to%bindRing].saw&(sawFailed|sawTransfer) != 0 {
		to++
	}
	return d.release(to)
}

// release passes on the held queries before to.
func (d *bindLog) release(to uint64) error {
	for ; d.head < to; d.head++ {
		q := &d.ring[d.head%bindRing].q
		d.acct.Accept(q.Time)
		if err := d.sink.Query(q); err != nil {
			d.head++
			return err
		}
	}
	return nil
}

// fill makes a query of the line in q, whose name buffer it keeps.
func (d *bindLog) fill(q *picket.Query) (reason string) {
	l := &d.line
	name := q.Name
	if name == nil {
		name = make([]byte, 0, 256)
	}
	*q = picket.Query{Time: l.Time, Client: l.Client, ClientPort: l.Port, Rcode: picket.RcodeUnknown,
		Name: name[:0], Sensor: d.opt.Sensor}
	if l.Signed() {
		q.Flags |= picket.FlagTSIG
	}
	if !decode.SetName(q, l.name) {
		return decode.ReasonBadName
	}
	var ok bool
	if q.Type, ok = decode.ParseType(l.typ); !ok {
		return decode.ReasonType
	}
	if q.Class, ok = decode.ParseClass(l.class); !ok {
		return decode.ReasonClass
	}
	if l.kind != bindQuery {
		if q.Type == typeAXFR || l.kind == bindXfrStart {
			q.Transport = picket.TransportTCP // RFC 5936 §4.2
		}
		return ""
	}
	if q.Server, ok = decode.ParseAddr(l.server); !ok {
		return decode.ReasonAddress
	}
	if !bindFlags(q, l.flags) {
		return decode.ReasonFlags
	}
	if l.subnet != nil {
		q.ClientSubnet = bindSubnet(l.subnet)
	}
	return ""
}

// bindFlags reads "+" or "-" and the letters after it. Letters of newer versions
// are passed over.
func bindFlags(q *picket.Query, b []byte) bool {
	if len(b) == 0 || (b[0] != '+' && b[0] != '-') {
		return false
	}
	q.Flags |= picket.FlagFlags
	if b[0] == '+' {
		q.Flags |= picket.FlagRD
	}
	q.Transport = picket.TransportUDP
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case 'S':
			q.Flags |= picket.FlagTSIG
		case 'E':
			q.Flags |= picket.FlagEDNS
			if i+1 < len(b) && b[i+1] == '(' {
				end := bytes.IndexByte(b[i:], ')')
				if end < 0 {
					return false
				}
				if string(b[i+2:i+end]) != "0" {
					q.Flags |= picket.FlagBadEDNS
				}
				i += end
			}
		case 'T':
			q.Transport = picket.TransportTCP
		case 'D':
			q.Flags |= picket.FlagDO
		case 'C':
			q.Flags |= picket.FlagCD
		case 'V':
			q.Flags |= picket.FlagCookie
		}
	}
	return true
}

// bindSubnet reads ADDRESS/SOURCE/SCOPE; zero when malformed.
func bindSubnet(b []byte) netip.Prefix {
	i := bytes.IndexByte(b, '/')
	if i < 0 {
		return netip.Prefix{}
	}
	addr, ok := decode.ParseAddr(b[:i])
	b = b[i+1:]
	if i = bytes.IndexByte(b, '/'); i >= 0 {
		b = b[:i]
	}
	bits, okBits := decode.ParseUint(b, uint64(addr.BitLen()))
	if !ok || !okBits {
		return netip.Prefix{}
	}
	p, err := addr.Prefix(int(bits))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// DetectBindLog looks for lines that only BIND writes.
func DetectBindLog(head []byte) int {
	cut := decode.NewBindCutter(decode.Options{})
	var l bindLine
	hits, lines := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 || line[0] == '#' {
			return true
		}
		lines++
		if cutBind(&cut, line, &l); l.kind != bindOther && l.kind != bindClient {
			hits++
		}
		return lines < 2000 && hits < 20
	})
	switch {
	case hits == 0:
		return 0
	case hits == 20 || hits*2 >= lines:
		return 95
	}
	return 60
}
