package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a Knot log.
const (
	skipKnotCounted = "line of a transaction already counted"
	skipKnotAllowed = "permission that another line tells the outcome of"
	skipKnotUpdate  = "dynamic update progress line"
	skipKnotOut     = "outgoing request of this server"
)

// knotRecent is how many transactions are remembered whose further lines are not
// transactions of their own; knotApart is how long, in event time, they may take.
const (
	knotRecent = 64
	knotApart  = 5 * decode.NsPerSecond
)

// knotPast is a transaction that one more line may tell of, or of which a line is
// to come that does not repeat the key.
type knotPast struct {
	what knotDoes // knotSkip when it is not awaited any more
	q    picket.Query
}

type knotLog struct {
	serverLog
	past [knotRecent]knotPast
	next int
}

// KnotLog decodes the log of Knot DNS 2 and 3. Knot writes no queries into it,
// but zone transfers, notifications and, at severity debug, what its access lists
// decided; these become AXFR, IXFR, NOTIFY and UPDATE transactions.
func KnotLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return takeLines(ctx, r, acct, &knotLog{serverLog: newServerLog(opt, acct, sink)})
}

// knotMessage finds "[ZONE] " at the beginning of a message. at is where the
// message begins, -1 when it is about no zone.
func knotMessage(text []byte) (zone, message []byte, at int) {
	for i := 0; ; {
		j := bytes.IndexByte(text[i:], '[')
		if j < 0 {
			return nil, nil, -1
		}
		i += j
		if i == 0 || i >= 2 && string(text[i-2:i]) == ": " || text[i-1] == ' ' {
			if end := bytes.Index(text[i:], []byte("] ")); end > 1 && bytes.IndexByte(text[i:i+end], ' ') < 0 {
				return text[i+1 : i+end], text[i+end+2:], i
			}
		}
		i++
	}
}

func (d *knotLog) take(line []byte, at picket.Position) error {
	var st stamp
	text, ok := d.text(line, at, &st)
	if !ok {
		return nil
	}
	zone, message, from := knotMessage(text)
	if from < 0 {
		d.acct.Skip(skipLogOther)
		return nil
	}
	op, rest, _ := bytes.Cut(message, []byte(", "))
	q := d.begin(&st)
	what, reason := knotAct(q, op, rest)
	if what == knotSkip {
		d.acct.Skip(reason)
		return nil
	}
	d.stamps(text[:from], &st)
	q.Time = st.time
	switch {
	case !st.timed && what != knotPermit:
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	case !decode.SetName(q, zone):
		d.acct.Reject(decode.ReasonBadName, at)
		return nil
	case !knotPeer(q, rest):
		d.acct.Reject(decode.ReasonAddress, at)
		return nil
	}
	switch {
	case what == knotPermit:
		d.acct.Skip(skipKnotAllowed)
		if q.Flags&picket.FlagTSIG != 0 {
			d.remember(q, what)
		}
		return nil
	case what == knotFollow && d.seen(q, knotExpect):
		d.acct.Skip(skipKnotCounted)
		return nil
	case d.seen(q, knotPermit):
		q.Flags |= picket.FlagTSIG
	}
	if what == knotExpect {
		d.remember(q, what)
	}
	return d.pass()
}

// knotDoes is what to do about a line.
type knotDoes uint8

const (
	knotSkip   knotDoes = iota
	knotCount           // a transaction
	knotExpect          // a transaction of which another line may tell more
	knotFollow          // a transaction unless an earlier line told of it
	knotPermit          // permission for a transaction of which a line comes yet
)

// knotAct tells what "OPERATION, rest" is, and fills q but for its peer.
func knotAct(q *picket.Query, op, rest []byte) (knotDoes, string) {
	switch string(op) {
	case "AXFR", "IXFR":
		q.Type = typeAXFR
		if op[0] == 'I' {
			q.Type = typeIXFR
		} else {
			q.Transport = picket.TransportTCP // RFC 5936 §4.2
		}
		return knotTransfer(q, rest)
	case "notify", "NOTIFY":
		q.Type, q.Opcode = typeSOA, opcodeNotify
		switch {
		case !bytes.HasPrefix(rest, []byte("incoming, ")):
			return knotSkip, skipKnotOut
		case bytes.Contains(rest, []byte("unauthorized")):
			respond(q, picket.RcodeNotAuth)
			return knotFollow, ""
		}
		respond(q, picket.RcodeNoError)
		return knotCount, ""
	case "DDNS":
		q.Type, q.Opcode = typeSOA, opcodeUpdate
		if bytes.HasPrefix(rest, []byte("incoming, ")) {
			return knotFollow, ""
		}
		return knotSkip, skipKnotUpdate
	case "ACL":
		return knotACL(q, rest)
	}
	return knotSkip, skipLogOther
}

// knotTransfer reads "outgoing, PEER, MESSAGE".
func knotTransfer(q *picket.Query, rest []byte) (knotDoes, string) {
	if !bytes.HasPrefix(rest, []byte("outgoing, ")) {
		return knotSkip, skipKnotOut // "incoming": this server fetches its own zone
	}
	switch {
	case bytes.Contains(rest, []byte("failed to start")), bytes.Contains(rest, []byte("unauthorized")):
		if bytes.Contains(rest, []byte("not authorized")) || bytes.Contains(rest, []byte("denied")) || bytes.Contains(rest, []byte("unauthorized")) {
			respond(q, picket.RcodeNotAuth)
		}
		return knotFollow, ""
	case bytes.Contains(rest, []byte(" started")):
		respond(q, picket.RcodeNoError)
		return knotFollow, ""
	case bytes.Contains(rest, []byte("fallback to AXFR")):
		respond(q, picket.RcodeNoError)
		return knotExpect, ""
	case bytes.Contains(rest, []byte("up-to-date")):
		respond(q, picket.RcodeNoError)
		return knotCount, ""
	}
	return knotSkip, skipLogXfr
}

// knotACL reads "allowed|denied, action ACTION, remote PEER, key KEY".
func knotACL(q *picket.Query, rest []byte) (knotDoes, string) {
	verdict, rest, _ := bytes.Cut(rest, []byte(", action "))
	action, _, _ := bytes.Cut(rest, []byte(", "))
	denied := string(verdict) == "denied"
	switch string(bytes.Trim(action, "'")) {
	case "transfer":
		q.Type = typeAXFR // or IXFR, which the line does not tell
	case "notify":
		q.Type, q.Opcode = typeSOA, opcodeNotify
	case "update":
		q.Type, q.Opcode = typeSOA, opcodeUpdate
		if !denied {
			return knotExpect, ""
		}
	default:
		if denied {
			return knotSkip, skipLogNoName
		}
		return knotSkip, skipKnotAllowed
	}
	if !denied {
		return knotPermit, ""
	}
	respond(q, picket.RcodeNotAuth)
	return knotExpect, ""
}

// knotPeer reads the address, the port and what else the line tells of the peer:
// "[remote ]ADDRESS@PORT[ PROTOCOL][, key NAME]", before 2.7 with a colon behind.
func knotPeer(q *picket.Query, rest []byte) bool {
	i := bytes.IndexByte(rest, '@')
	if i < 0 {
		return false
	}
	from := bytes.LastIndexByte(rest[:i], ' ') + 1
	to := i + 1
	for to < len(rest) && decode.Digit(rest[to]) {
		to++
	}
	var ok bool
	if q.Client, q.ClientPort, ok = peerOf(rest[from:to], '@'); !ok {
		return false
	}
	peer, more, _ := bytes.Cut(rest[to:], []byte(", "))
	switch string(bytes.Trim(peer, " :")) {
	case "UDP":
		q.Transport = picket.TransportUDP
	case "TCP":
		q.Transport = picket.TransportTCP
	case "TLS":
		q.Transport = picket.TransportTLS
	case "QUIC":
		q.Transport = picket.TransportQUIC
	}
	if key, ok := bytes.CutPrefix(more, []byte("key ")); ok {
		if key, _, _ = bytes.Cut(key, []byte(", ")); string(key) != "none" {
			q.Flags |= picket.FlagTSIG
		}
	}
	return true
}

// remember notes q, and seen finds it by a later line, once. The two lines of a
// transfer may name it IXFR and AXFR.
func (d *knotLog) remember(q *picket.Query, what knotDoes) {
	p := &d.past[d.next%knotRecent]
	name := append(p.q.Name[:0], q.Name...)
	p.what, p.q = what, *q
	p.q.Name = name
	d.next++
}

func (d *knotLog) seen(q *picket.Query, what knotDoes) bool {
	for i := range d.past {
		p := &d.past[i]
		if p.what == what && p.q.Opcode == q.Opcode && p.q.Client == q.Client && p.q.ClientPort == q.ClientPort &&
			q.Time-p.q.Time <= knotApart && p.q.Time <= q.Time && bytes.Equal(p.q.Name, q.Name) {
			p.what = knotSkip
			return true
		}
	}
	return false
}

// DetectKnotLog looks for messages about zones as Knot writes them, with its own
// time and severity or its program's name.
func DetectKnotLog(head []byte) int {
	return detectLog(head, func(line []byte) bool {
		zone, message, from := knotMessage(line)
		if from < 0 {
			return bytes.Contains(line, []byte("Knot DNS ")) && bytes.Contains(line, []byte(" starting"))
		}
		before := line[:from]
		if !bytes.HasSuffix(before, []byte("info: ")) && !bytes.HasSuffix(before, []byte("notice: ")) && !bytes.HasSuffix(before, []byte("warning: ")) &&
			!bytes.HasSuffix(before, []byte("error: ")) && !bytes.HasSuffix(before, []byte("debug: ")) && !bytes.HasSuffix(before, []byte("critical: ")) {
			return false
		}
		if bytes.Contains(before, []byte("knotd")) {
			return true
		}
		// "[9405:0]" and the like are no zones.
		return len(before) <= 100 && (zone[len(zone)-1] == '.' || bytes.Contains(message, []byte("DNSSEC, ")) || bytes.Contains(message, []byte("outgoing, ")))
	})
}
