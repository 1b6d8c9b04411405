package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of an Unbound log.
const (
	skipUnboundReply  = "reply to a query already counted"
	skipUnboundLate   = "reply after its query was passed on"
	skipUnboundAction = "local action of a query already counted"
	skipUnboundNoName = "reply to a query not read"
)

// Which lines a held query has been seen in.
const (
	unboundQueried uint8 = 1 << iota
	unboundActed
)

// unboundQuiet is how many replies without any query line between mean that
// query lines are not written any more.
const unboundQuiet = 4096

type unboundLog struct {
	serverLog
	ring heldQueries
	// since counts replies since the last query line, from unboundQuiet on when
	// there was none. Where queries are logged a reply makes no query of its own.
	since int
}

// UnboundLog decodes Unbound's log with log-queries, log-replies or
// log-local-actions, tagged (log-tag-queryreply) or not, from a file or through
// syslog. The lines about one query become one.
func UnboundLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &unboundLog{serverLog: newServerLog(opt, acct, sink), ring: newHeldQueries(opt, acct, sink), since: unboundQuiet}
	return takeLines(ctx, r, acct, d)
}

func (d *unboundLog) held() bool   { return d.ring.held() }
func (d *unboundLog) flush() error { return d.ring.flush() }

// unboundMessage finds "[PID:THREAD] LEVEL: MESSAGE". at is where it begins, -1
// when the line is not Unbound's.
func unboundMessage(text []byte) (level, message []byte, at int) {
	for i := 0; ; i++ {
		j := bytes.IndexByte(text[i:], '[')
		if j < 0 {
			return nil, nil, -1
		}
		i += j
		k := i + 1
		for k < len(text) && decode.Digit(text[k]) {
			k++
		}
		if k == i+1 || k >= len(text) || text[k] != ':' {
			continue
		}
		from := k + 1
		for k = from; k < len(text) && decode.HexValue(text[k]) >= 0; k++ {
		}
		if k == from || !bytes.HasPrefix(text[k:], []byte("] ")) {
			continue
		}
		level, message, ok := bytes.Cut(text[k+2:], []byte(": "))
		if !ok {
			continue
		}
		return level, message, i
	}
}

func (d *unboundLog) take(line []byte, at picket.Position) error {
	var st stamp
	text, ok := d.text(line, at, &st)
	if !ok {
		return nil
	}
	level, message, from := unboundMessage(text)
	if from < 0 {
		d.acct.Skip(skipLogOther)
		return nil
	}
	var l unboundLine
	reason := l.cut(level, message)
	switch {
	case l.kind == unboundOther && reason != "":
		d.acct.Skip(reason)
		return nil
	case reason != "":
		d.acct.Reject(reason, at)
		return nil
	}
	d.stamps(text[:from], &st)
	if !st.timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	if reason := d.fill(&l, &st); reason != "" {
		d.acct.Reject(reason, at)
		return nil
	}
	return d.account(&l)
}

// unboundKind is what a line says.
type unboundKind uint8

const (
	unboundOther  unboundKind = iota
	unboundQuery              // ADDRESS NAME TYPE CLASS
	unboundReply              // ADDRESS NAME TYPE CLASS RCODE SECONDS CACHED SIZE[ on …]
	unboundAction             // … ADDRESS@PORT NAME TYPE CLASS
)

type unboundLine struct {
	kind                   unboundKind
	peer, name, typ, class []byte
	rcode, took            []byte
	server                 []byte
	transport              picket.Transport
}

// cut reads a message. With the kind unboundOther reason says why it is skipped.
func (l *unboundLine) cut(level, message []byte) (reason string) {
	tagged := false
	switch string(level) {
	case "query", "reply":
		tagged = true
	case "info":
	default:
		return skipLogOther
	}
	var w [16][]byte
	n := spaced(message, w[:])
	if n >= 5 && string(w[1]) == "-" && string(w[3]) == "-" || n >= 4 && string(w[1]) == "null" && string(w[2]) == "TYPE0" {
		return skipUnboundNoName
	}
	shaped := n >= 4 && unboundClass(w[3]) && unboundType(w[2])
	switch {
	case shaped && n == 4:
		l.kind = unboundQuery
	case shaped && n >= 8:
		l.kind, l.rcode, l.took = unboundReply, w[4], w[5]
		l.destination(w[8:n])
	case n >= 4 && bytes.IndexByte(w[n-4], '@') > 0 && unboundClass(w[n-1]) && unboundType(w[n-2]):
		l.kind, l.peer, l.name, l.typ, l.class = unboundAction, w[n-4], w[n-3], w[n-2], w[n-1]
		return ""
	case tagged:
		l.kind = unboundQuery
		switch {
		case n < 4:
			return decode.ReasonTruncated
		case !unboundType(w[2]):
			return decode.ReasonType
		case !unboundClass(w[3]):
			return decode.ReasonClass
		}
		return decode.ReasonTruncated
	default:
		return skipLogOther
	}
	l.peer, l.name, l.typ, l.class = w[0], w[1], w[2], w[3]
	return ""
}

// destination reads what log-destaddr adds: transport, address and port.
func (l *unboundLine) destination(words [][]byte) {
	for _, w := range words {
		if _, _, ok := peerOf(w, '@'); ok {
			l.server = w
		} else if t := unboundTransport(w); t != picket.TransportUnknown {
			l.transport = t
		}
	}
}

func unboundClass(b []byte) bool {
	_, ok := decode.ParseClass(b)
	return ok
}

func unboundType(b []byte) bool {
	_, ok := decode.ParseType(b)
	return ok
}

// fill makes a query of the line in d.q.
func (d *unboundLog) fill(l *unboundLine, st *stamp) (reason string) {
	q := d.begin(st)
	var ok bool
	if q.Client, q.ClientPort, ok = peerOf(l.peer, '@'); !ok {
		return decode.ReasonAddress
	}
	if !decode.SetName(q, l.name) {
		return decode.ReasonBadName
	}
	q.Type, _ = decode.ParseType(l.typ)
	q.Class, _ = decode.ParseClass(l.class)
	if l.kind != unboundReply {
		return ""
	}
	code, ok := decode.ParseRcode(l.rcode)
	if !ok {
		return decode.ReasonTruncated
	}
	respond(q, code)
	if l.server != nil {
		q.Server, _, _ = peerOf(l.server, '@')
	}
	q.Transport = l.transport
	return ""
}

// unboundTransport reads the word that log-destaddr writes.
func unboundTransport(b []byte) picket.Transport {
	switch string(b) {
	case "udp", "UDP":
		return picket.TransportUDP
	case "tcp", "TCP":
		return picket.TransportTCP
	case "tls", "dot", "DoT", "ssl":
		return picket.TransportTLS
	case "https", "http", "doh", "DoH":
		return picket.TransportHTTPS
	case "quic", "doq", "DoQ":
		return picket.TransportQUIC
	}
	return picket.TransportUnknown
}

// account joins the line with the query that it is about, or holds a new one.
func (d *unboundLog) account(l *unboundLine) error {
	q := &d.q
	switch l.kind {
	case unboundQuery:
		d.since = 0
		_, err := d.ring.add(q, unboundQueried)
		return err
	case unboundAction:
		s, late := d.ring.find(q, unboundActed|sawAll, 0)
		if s == nil {
			_, err := d.ring.add(q, unboundActed)
			return err
		}
		s.saw |= unboundActed
		if !late {
			s.q.ClientPort = q.ClientPort
		}
		d.acct.Skip(skipUnboundAction)
		return nil
	}
	s, late := d.ring.find(q, sawAll, 0)
	switch {
	case s != nil && !late:
		d.acct.Skip(skipUnboundReply)
		s.saw |= sawAll
		respond(&s.q, q.Rcode)
		s.q.Server, s.q.Transport = q.Server, q.Transport
		return d.ring.settle()
	case s != nil:
		s.saw |= sawAll
		d.acct.Skip(skipUnboundLate)
		return nil
	case d.since < unboundQuiet:
		d.since++
		d.acct.Skip(skipUnboundLate)
		return nil
	}
	if took, ok := decode.EpochTime(l.took); ok && took < int64(1e12) {
		q.Time -= took // the line is written when the reply is sent
	}
	if _, err := d.ring.add(q, sawAll); err != nil {
		return err
	}
	return d.ring.settle()
}

// DetectUnboundLog looks for lines that only Unbound writes.
func DetectUnboundLog(head []byte) int {
	return detectLog(head, func(line []byte) bool {
		level, message, from := unboundMessage(line)
		if from < 0 {
			return false
		}
		if bytes.Contains(line[:from+1], []byte("unbound")) {
			return true
		}
		var l unboundLine
		return l.cut(level, message) == "" && l.kind != unboundOther
	})
}
