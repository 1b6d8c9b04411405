package query

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping that the logs of several servers share.
const (
	skipLogOther  = "other log line"
	skipLogNoName = "refused query without its name"
	skipLogXfr    = "zone transfer progress line"
)

// DNS opcodes that logs tell by other words than queries (RFC 1996, RFC 2136).
const (
	opcodeNotify = 4
	opcodeUpdate = 5
)

const (
	rrTXT   = 16
	classIN = 1
	classCH = 3
)

// lineTaker is a decoder of a log, line by line.
type lineTaker interface {
	// take accounts for one line that is neither blank nor a comment.
	take(line []byte, at picket.Position) error
	// held tells whether queries wait for more lines.
	held() bool
	// flush passes on what is held.
	flush() error
}

// takeLines feeds the lines of r to d.
func takeLines(ctx context.Context, r io.Reader, acct picket.Accounting, d lineTaker) error {
	in := decode.NewLines(ctx, r, acct)
	for {
		line, err := in.Next(d.held())
		switch {
		case errors.Is(err, decode.ErrIdle):
			if err := d.flush(); err != nil {
				return err
			}
			continue
		case err != nil:
			if flushErr := d.flush(); flushErr != nil {
				return flushErr
			}
			return decode.Ended(err)
		}
		switch {
		case len(line) == 0:
			acct.Skip(decode.SkipBlank)
		case line[0] == '#':
			acct.Skip(decode.SkipComment)
		default:
			if err := d.take(line, in.Pos()); err != nil {
				return err
			}
		}
	}
}

// stamp is the best time found around a log's message.
type stamp struct {
	time  int64 // Unix nanoseconds; valid when timed
	timed bool
	zoned bool // the time was written with its zone, or as an epoch
}

// serverLog is what the decoders of servers' logs have in common. It reads the
// times that the server itself, syslog, a container runtime or a log shipper put
// in front of a message. A time with its zone beats one without; among equals the
// innermost is the server's own.
type serverLog struct {
	clock decode.Clock
	now   func() time.Time
	cur   decode.Cursor
	opt   decode.Options
	acct  picket.Accounting
	sink  picket.QuerySink
	q     picket.Query // the query of the current line
}

func newServerLog(opt decode.Options, acct picket.Accounting, sink picket.QuerySink) serverLog {
	l := serverLog{clock: decode.NewClock(opt), now: opt.Now, opt: opt, acct: acct, sink: sink}
	l.q.Name = make([]byte, 0, 256)
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

func (l *serverLog) held() bool   { return false }
func (l *serverLog) flush() error { return nil }

// begin empties l.q but for its name's memory.
func (l *serverLog) begin(st *stamp) *picket.Query {
	l.q = picket.Query{Time: st.time, Rcode: picket.RcodeUnknown, Class: classIN, Name: l.q.Name[:0], Sensor: l.opt.Sensor}
	return &l.q
}

// pass hands on l.q.
func (l *serverLog) pass() error {
	l.acct.Accept(l.q.Time)
	return l.sink.Query(&l.q)
}

// respond notes a response code that the server gave.
func respond(q *picket.Query, code picket.Rcode) {
	q.Rcode = code
	q.Flags |= picket.FlagResponse
}

// text returns what a line says, be it in a JSON object that carries it. A broken
// object is accounted for, and ok is false.
func (l *serverLog) text(line []byte, at picket.Position, st *stamp) (text []byte, ok bool) {
	if line[0] != '{' {
		return line, true
	}
	if text, ok = l.carried(line, st); !ok {
		l.acct.Reject(decode.ReasonBrokenJSON, at)
	}
	return text, ok
}

// carried reads the message and the time out of a JSON object that a container
// runtime, the journal or a log shipper made of a line. ok is false when it is
// broken; a message that is missing is nil.
func (l *serverLog) carried(line []byte, st *stamp) (message []byte, ok bool) {
	c := &l.cur
	c.Reset(line)
	if !c.Open('{') {
		return nil, false
	}
	for {
		key, more := c.Key()
		if !more {
			break
		}
		switch string(key) {
		case "log", "message", "MESSAGE":
			message = bytes.TrimRight(c.Scalar(), "\r\n")
		default:
			l.carriedTime(key, st)
		}
	}
	return message, !c.Bad
}

// carriedTime reads the value of a key that a carrier has a time in, and passes
// over all others.
func (l *serverLog) carriedTime(key []byte, st *stamp) {
	switch string(key) {
	case "time", "@timestamp", "timestamp", "ts":
		v := l.cur.Scalar()
		if t, n := l.clock.IsoTime(v); n > 0 && n == len(v) && isoZoned(v) {
			*st = stamp{t, true, true}
		} else if t, ok := decode.EpochTime(v); ok {
			*st = stamp{t, true, true}
		}
	case "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP": // journald, in microseconds
		if us, ok := decode.ParseUint(l.cur.Scalar(), 9e15); ok {
			*st = stamp{int64(us) * 1000, true, true}
		}
	default:
		l.cur.Skip()
	}
}

// stamps finds the times in what stands before a message.
func (l *serverLog) stamps(head []byte, st *stamp) {
	const most = 256 // a header is shorter; what is longer is no header
	if len(head) > most {
		head = head[:most]
	}
	for i := 0; i < len(head); {
		c := head[i]
		if i > 0 && head[i-1] != ' ' && head[i-1] != '[' && head[i-1] != '>' && head[i-1] != '\t' || c < '0' || c > 'S' {
			i++
			continue
		}
		n := 0
		if decode.Digit(c) {
			n = l.numeric(head, i, st)
		} else if decode.Month(head, i) > 0 {
			n = l.syslog(head[i:], st)
		}
		i += max(n, 1)
	}
}

// syslog reads Mmm dd hh:mm:ss, unless there is a time with its zone already.
func (l *serverLog) syslog(b []byte, st *stamp) int {
	if st.zoned {
		return 3
	}
	t, n := l.clock.SyslogTime(b, l.now())
	if n > 0 {
		*st = stamp{t, true, false}
	}
	return n
}

// numeric reads a time that begins with a digit at b[i:].
func (l *serverLog) numeric(b []byte, i int, st *stamp) int {
	b, before := b[i:], b[:i]
	switch {
	case len(b) >= 19 && b[4] == '-':
		zoned := isoZoned(b)
		if st.zoned && !zoned {
			return 10
		}
		t, n := l.clock.IsoTime(b)
		if n > 0 {
			*st = stamp{t, true, zoned}
		}
		return n
	case len(b) >= 19 && b[4] == '/': // as Go's log package writes it
		return l.slashed(b, st)
	case len(b) >= 26 && b[2] == '/':
		return l.when(b, st)
	case i > 0 && before[i-1] == '[':
		end := bytes.IndexByte(b, ']')
		if end < 9 {
			return 0
		}
		if t, ok := decode.EpochTime(b[:end]); ok {
			*st = stamp{t, true, true}
			return end
		}
	}
	return 0
}

// isoZoned tells whether an ISO time says its zone.
func isoZoned(b []byte) bool {
	for i := 19; i < len(b); i++ {
		switch c := b[i]; {
		case c == 'Z' || c == 'z' || c == '+' || c == '-':
			return true
		case decode.Digit(c) || c == '.' || c == ',':
		default:
			return false
		}
	}
	return false
}

// slashed reads YYYY/MM/DD hh:mm:ss[.frac].
func (l *serverLog) slashed(b []byte, st *stamp) int {
	if b[7] != '/' || b[10] != ' ' || st.zoned {
		return 0
	}
	hi, lo, mo, d := decode.Two(b, 0), decode.Two(b, 2), decode.Two(b, 5), decode.Two(b, 8)
	h, mi, s, ok := decode.HMS(b, 11)
	if hi < 0 || lo < 0 || !ok || !decode.ValidDate(hi*100+lo, mo, d) {
		return 0
	}
	frac, n := decode.Fraction(b, 19)
	*st = stamp{l.clock.Unix(hi*100+lo, mo, d, h, mi, s)*decode.NsPerSecond + frac, true, false}
	return n
}

// when reads DD/Mon/YYYY:hh:mm:ss ±hhmm, the time of web servers' logs.
func (l *serverLog) when(b []byte, st *stamp) int {
	if b[6] != '/' || b[11] != ':' || b[20] != ' ' || b[21] != '+' && b[21] != '-' {
		return 0
	}
	d, mo, hi, lo := decode.Two(b, 0), decode.Month(b, 3), decode.Two(b, 7), decode.Two(b, 9)
	h, mi, s, ok := decode.HMS(b, 12)
	off, n := decode.Offset(b, 21)
	if hi < 0 || lo < 0 || !ok || n == 0 || !decode.ValidDate(hi*100+lo, mo, d) {
		return 0
	}
	t := time.Date(hi*100+lo, time.Month(mo), d, h, mi, s, 0, time.UTC).Unix() - off
	*st = stamp{t * decode.NsPerSecond, true, true}
	return n
}

// peerOf reads ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, and with another sep
// ADDRESS sep PORT.
func peerOf(b []byte, sep byte) (addr netip.Addr, port uint16, ok bool) {
	host := b
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return addr, 0, false
		}
		host, b = b[1:end], b[end+1:]
		if len(b) > 0 && b[0] != sep {
			return addr, 0, false
		}
	} else {
		i := bytes.IndexByte(b, sep)
		if i < 0 || sep == ':' && bytes.IndexByte(b[i+1:], ':') >= 0 {
			i = len(b)
		}
		host, b = b[:i], b[i:]
	}
	if len(b) > 0 {
		v, ok := decode.ParseUint(b[1:], 65535)
		if !ok {
			return addr, 0, false
		}
		port = uint16(v)
	}
	addr, ok = decode.ParseAddr(host)
	return addr, port, ok
}

// detectLog looks at the first lines of a file and scores how many are the
// server's; f tells that of one line, whatever carries it.
func detectLog(head []byte, f func(line []byte) bool) int {
	hits, lines := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 || line[0] == '#' {
			return true
		}
		lines++
		if f(line) {
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

// spaced cuts b at blanks into words and returns how many there are; those
// beyond len(words) are dropped.
func spaced(b []byte, words [][]byte) int {
	n := 0
	for n < len(words) {
		for len(b) > 0 && b[0] == ' ' {
			b = b[1:]
		}
		if len(b) == 0 {
			break
		}
		i := bytes.IndexByte(b, ' ')
		if i < 0 {
			i = len(b)
		}
		words[n], b = b[:i], b[i:]
		n++
	}
	return n
}
