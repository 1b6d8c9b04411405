package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a CoreDNS log.
const (
	skipCorePlugin   = "message of another plugin"
	skipCoreQuestion = "query without a question"
)

type corednsLog struct{ serverLog }

// CoreDNSLog decodes what CoreDNS's plugin log writes in the common and the
// combined format, alone or as Docker, containerd, the journal or syslog carry it.
// CoreDNS itself writes no time.
func CoreDNSLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return takeLines(ctx, r, acct, &corednsLog{newServerLog(opt, acct, sink)})
}

// coreLine is a line of the plugin, cut but not interpreted.
type coreLine struct {
	head   []byte // what stands before it
	peer   []byte
	when   []byte // time of the request as versions before 1.0 have it
	asked  []byte // TYPE CLASS NAME PROTO SIZE DO BUFSIZE
	answer []byte // RCODE FLAGS SIZE DURATION["OPCODE"]
}

// cutCore finds `PEER - ID "ASKED" ANSWER` in a line.
func cutCore(text []byte, out *coreLine) bool {
	for i := 0; ; {
		j := bytes.Index(text[i:], []byte(" - "))
		if j < 0 {
			return false
		}
		i += j
		rest := text[i+len(" - "):]
		q := bytes.IndexByte(rest, '"')
		if q > 1 && q < 64 && rest[q-1] == ' ' && coreID(rest[:q-1]) {
			from := bytes.LastIndexByte(text[:i], ' ') + 1
			end := coreQuoted(rest[q+1:])
			if end < 0 || from == i {
				return false
			}
			out.head, out.peer, out.asked, out.answer = text[:from], text[from:i], rest[q+1:q+1+end], rest[q+end+2:]
			if rest[0] == '[' {
				out.when = rest[:q-1]
			}
			return true
		}
		i += len(" - ")
	}
}

// coreID reports whether b is a message's number, or a time in brackets.
func coreID(b []byte) bool {
	if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
		return true
	}
	if string(b) == "-" {
		return true
	}
	_, ok := decode.ParseUint(b, 65535)
	return ok
}

// coreQuoted returns where the quotation ends that b begins in. Quotation marks
// within a name are escaped.
func coreQuoted(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// coreWord cuts b at the next blank that is not escaped.
func coreWord(b []byte) (word, rest []byte) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case ' ':
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

func (d *corednsLog) take(line []byte, at picket.Position) error {
	var st stamp
	text, ok := d.text(line, at, &st)
	if !ok {
		return nil
	}
	var l coreLine
	if !cutCore(text, &l) || bytes.Contains(l.head, []byte("] plugin/")) {
		if bytes.Contains(text, []byte("] plugin/")) {
			d.acct.Skip(skipCorePlugin)
		} else {
			d.acct.Skip(skipLogOther)
		}
		return nil
	}
	d.stamps(l.head, &st)
	if l.when != nil {
		d.stamps(l.when, &st)
	}
	if !st.timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	reason, skip := d.fill(&l, &st)
	switch {
	case skip:
		d.acct.Skip(reason)
		return nil
	case reason != "":
		d.acct.Reject(reason, at)
		return nil
	}
	return d.pass()
}

// fill makes a query of the line. With skip it is well-formed but none.
func (d *corednsLog) fill(l *coreLine, st *stamp) (reason string, skip bool) {
	q := d.begin(st)
	var ok bool
	if q.Client, q.ClientPort, ok = peerOf(l.peer, ':'); !ok {
		return decode.ReasonAddress, false
	}
	var typ, class, name, proto, do, size []byte
	rest := l.asked
	for _, f := range [...]*[]byte{&typ, &class, &name, &proto, nil, &do, &size} {
		var word []byte
		if word, rest = coreWord(rest); len(word) == 0 {
			return decode.ReasonTruncated, false
		}
		if f != nil {
			*f = word
		}
	}
	if string(typ) == "-" && string(class) == "-" {
		return skipCoreQuestion, true
	}
	if !decode.SetName(q, name) {
		return decode.ReasonBadName, false
	}
	if q.Type, ok = coreType(typ); !ok {
		return decode.ReasonType, false
	}
	if q.Class, ok = decode.ParseClass(class); !ok {
		return decode.ReasonClass, false
	}
	switch string(proto) {
	case "udp":
		q.Transport = picket.TransportUDP
	case "tcp":
		q.Transport = picket.TransportTCP
	case "tls":
		q.Transport = picket.TransportTLS
	case "https", "https3", "doh":
		q.Transport = picket.TransportHTTPS
	case "quic":
		q.Transport = picket.TransportQUIC
	}
	if string(do) == "true" {
		q.Flags |= picket.FlagDO | picket.FlagEDNS
	}
	// 512 is also written without EDNS, and 65535 over TCP.
	if n, ok := decode.ParseUint(size, 65535); ok && n > 512 && n < 65535 {
		q.EDNSSize = uint16(n)
		q.Flags |= picket.FlagEDNS
	}
	return coreAnswer(q, l.answer), false
}

// coreType also reads the "Reserved" and numbers that CoreDNS's library writes.
func coreType(b []byte) (uint16, bool) {
	if t, ok := decode.ParseType(b); ok {
		return t, true
	}
	if string(b) == "None" || string(b) == "Reserved" {
		return 0, true
	}
	v, ok := decode.ParseUint(b, 65535)
	return uint16(v), ok
}

// coreAnswer reads ` RCODE FLAGS SIZE DURATION[ "OPCODE"]`.
func coreAnswer(q *picket.Query, b []byte) (reason string) {
	var words [5][]byte
	n := spaced(b, words[:])
	if n < 2 {
		return decode.ReasonTruncated
	}
	if code, ok := decode.ParseRcode(words[0]); ok {
		respond(q, code)
	} else if string(words[0]) != "-" {
		return decode.ReasonTruncated
	}
	if string(words[1]) != "-" {
		coreFlags(q, words[1])
	}
	if n == 5 {
		if v, ok := decode.ParseUint(bytes.Trim(words[4], `"`), 15); ok {
			q.Opcode = uint8(v)
		}
	}
	return ""
}

// coreFlags reads the response's flags, qr,aa,rd and so on. RD and CD are the
// query's, repeated (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
func coreFlags(q *picket.Query, b []byte) {
	for len(b) > 0 {
		var flag []byte
		flag, b, _ = bytes.Cut(b, []byte{','})
		switch string(flag) {
		case "qr":
			q.Flags |= picket.FlagFlags | picket.FlagResponse
		case "aa":
			q.Flags |= picket.FlagAA
		case "tc":
			q.Flags |= picket.FlagTC
		case "rd":
			q.Flags |= picket.FlagRD
		case "cd":
			q.Flags |= picket.FlagCD
		}
	}
}

// DetectCoreDNSLog looks for lines of the plugin, which hold seven words in
// quotation marks, and for CoreDNS's own messages.
func DetectCoreDNSLog(head []byte) int {
	var text []byte
	return detectLog(head, func(line []byte) bool {
		text = line
		if line[0] == '{' { // quotation marks are escaped in JSON
			text = bytes.ReplaceAll(line, []byte(`\"`), []byte(`"`))
		}
		var l coreLine
		if !cutCore(text, &l) {
			return bytes.Contains(text, []byte("[INFO] plugin/")) || bytes.Contains(text, []byte("[ERROR] plugin/")) ||
				bytes.Contains(text, []byte("[WARNING] plugin/")) || bytes.HasPrefix(text, []byte("CoreDNS-"))
		}
		n := 0
		for rest := l.asked; len(rest) > 0; n++ {
			_, rest = coreWord(rest)
		}
		return n == 7
	})
}
