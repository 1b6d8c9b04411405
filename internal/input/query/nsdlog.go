package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

type nsdLog struct{ serverLog }

// NSDLog decodes the log of NSD 3 to 4.14. NSD writes no queries into it, but at
// verbosity 1 and 2 the transfers it refuses and serves and the notifications it
// gets; these become AXFR, IXFR and NOTIFY transactions.
func NSDLog(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return takeLines(ctx, r, acct, &nsdLog{newServerLog(opt, acct, sink)})
}

// nsdOps are the words before the name in the lines that tell of a transaction.
var nsdOps = [...]struct {
	words  string
	typ    uint16
	opcode uint8
}{
	{"axfr for ", typeAXFR, 0}, {"ixfr for ", typeIXFR, 0}, {"notify for ", typeSOA, opcodeNotify},
}

// nsdMessage finds where a message of one of nsdOps begins.
func nsdMessage(text []byte) (op, at int) {
	for i := 0; ; {
		j := bytes.Index(text[i:], []byte(" for "))
		if j < 0 {
			return 0, -1
		}
		for op := range nsdOps {
			w := nsdOps[op].words
			if from := i + j + len(" for ") - len(w); from >= 0 && string(text[from:from+len(w)]) == w && (from < 2 || string(text[from-2:from]) == ": ") {
				return op, from
			}
		}
		i += j + 1
	}
}

func (d *nsdLog) take(line []byte, at picket.Position) error {
	var st stamp
	text, ok := d.text(line, at, &st)
	if !ok {
		return nil
	}
	op, from := nsdMessage(text)
	if from < 0 {
		if bytes.Contains(text, []byte(": bad tsig (")) {
			d.acct.Skip(skipLogNoName)
		} else {
			d.acct.Skip(skipLogOther)
		}
		return nil
	}
	d.stamps(text[:from], &st)
	if !st.timed {
		d.acct.Reject(decode.ReasonNoTime, at)
		return nil
	}
	if reason := d.fill(op, text[from+len(nsdOps[op].words):], &st); reason != "" {
		d.acct.Reject(reason, at)
		return nil
	}
	return d.pass()
}

// fill reads "[zone ]NAME from [client ]ADDRESS[ …refused, …]".
func (d *nsdLog) fill(op int, b []byte, st *stamp) (reason string) {
	q := d.begin(st)
	q.Type, q.Opcode = nsdOps[op].typ, nsdOps[op].opcode
	b = bytes.TrimPrefix(b, []byte("zone "))
	name, b, ok := cutWord(b)
	if !ok || !bytes.HasPrefix(b, []byte("from ")) {
		return decode.ReasonTruncated
	}
	if !decode.SetName(q, name) {
		return decode.ReasonBadName
	}
	b = bytes.TrimPrefix(b[len("from "):], []byte("client "))
	addr, rest, _ := bytes.Cut(b, []byte{' '})
	if q.Client, q.ClientPort, ok = peerOf(addr, '@'); !ok {
		return decode.ReasonAddress
	}
	if q.Type == typeAXFR {
		q.Transport = picket.TransportTCP // NSD answers no other (RFC 5936 §4.2)
	}
	if bytes.Contains(rest, []byte("refused")) {
		respond(q, picket.RcodeRefused)
	} else {
		respond(q, picket.RcodeNoError)
	}
	return ""
}

// DetectNSDLog looks for lines that only NSD writes.
func DetectNSDLog(head []byte) int {
	return detectLog(head, func(line []byte) bool {
		i := bytes.Index(line, []byte("nsd["))
		if i < 0 || i > 0 && line[i-1] != ' ' && line[i-1] != '"' {
			return false
		}
		rest := line[i+len("nsd["):]
		j := 0
		for j < len(rest) && decode.Digit(rest[j]) {
			j++
		}
		return j > 0 && bytes.HasPrefix(rest[j:], []byte("]: "))
	})
}
