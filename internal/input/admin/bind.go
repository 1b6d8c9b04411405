package admin

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for skipping lines of a BIND log.
const (
	skipOther    = "other log line"
	skipQuery    = "query line"
	skipSigner   = "signer line"
	skipProgress = "transfer progress line"
)

// Actions of BIND's log, which has no names of its own for them.
const (
	bindAdd       = "update add"
	bindDelete    = "update delete"
	bindUpdate    = "update"
	bindTransfer  = "transfer-out"
	bindTransfers = "transfer-out started"
	bindIn        = "transfer-in"
	bindInStarted = "transfer-in started"
	bindNotified  = "notify received"
	bindNotifies  = "notify sent"
)

// BindAdmin decodes what BIND logs in its categories update, update-security,
// security, xfer-in, xfer-out and notify: dynamic updates, transfers of zones to
// and from others, notifications. Queries in the same file are the business of
// the query log's format.
func BindAdmin(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	d := &bindAdmin{cut: decode.NewBindCutter(opt), opt: opt}
	in := decode.NewLines(ctx, r, acct)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		e, skip, reason := d.read(line)
		switch {
		case reason != "":
			acct.Reject(reason, in.Pos())
		case skip != "":
			acct.Skip(skip)
		default:
			acct.Accept(e.Time.UnixNano())
			if err := sink.AdminEvent(e); err != nil {
				return err
			}
		}
	}
}

type bindAdmin struct {
	cut  decode.BindCutter
	opt  decode.Options
	text decode.Interner
	head decode.BindHead
}

// bindWhat is what a line's message says.
type bindWhat struct {
	action, effect, outcome, reason string
	zone, name, typ, data           []byte
	peer                            []byte // ADDRESS#PORT of another server
	change                          picket.Change
	rest                            []byte // that holds counts or a serial number
}

func (d *bindAdmin) read(line []byte) (e *picket.AdminEvent, skip, reason string) {
	if len(line) == 0 {
		return nil, decode.SkipBlank, ""
	}
	if line[0] == '#' {
		return nil, decode.SkipComment, ""
	}
	if line[0] == ' ' || line[0] == '\t' {
		return nil, skipOther, ""
	}
	d.head = decode.BindHead{}
	msg, client := d.cut.Cut(line, &d.head)
	var w bindWhat
	if client {
		skip, reason = w.client(msg)
	} else {
		skip, reason = d.server(&w, msg)
	}
	if skip != "" || reason != "" {
		return nil, skip, reason
	}
	if !d.head.Timed {
		return nil, "", decode.ReasonNoTime
	}
	return d.event(&w)
}

// client reads what a client did or wanted.
func (w *bindWhat) client(b []byte) (skip, reason string) {
	switch {
	case bytes.HasPrefix(b, []byte("query: ")), bytes.HasPrefix(b, []byte("query ")):
		return skipQuery, ""
	case bytes.HasPrefix(b, []byte("updating zone '")):
		zone, rest, ok := apostrophes(b)
		if !ok {
			return "", decode.ReasonTruncated
		}
		w.zone = zone
		return w.update(bytes.TrimPrefix(rest, []byte(": ")))
	case bytes.HasPrefix(b, []byte("update '")), bytes.HasPrefix(b, []byte("update forwarding '")):
		zone, rest, ok := apostrophes(b)
		if !ok {
			return "", decode.ReasonTruncated
		}
		w.zone, w.action, w.effect = zone, bindUpdate, picket.EffectChange
		if !bytes.Contains(rest, []byte("denied")) {
			return skipOther, ""
		}
		w.outcome, w.reason = denied, "REFUSED"
	case bytes.HasPrefix(b, []byte("update failed: ")), bytes.HasPrefix(b, []byte("update unsuccessful: ")):
		_, rest, _ := bytes.Cut(b, []byte(": "))
		zone, _, ok := bytes.Cut(rest, []byte(": "))
		if !ok {
			return skipOther, ""
		}
		w.zone, w.action, w.effect = zone, bindUpdate, picket.EffectChange
		w.failed(rest)
	case bytes.HasPrefix(b, []byte("signer ")):
		return skipSigner, "" // the line after it tells what became of the update
	case bytes.HasPrefix(b, []byte("transfer of '")):
		return w.out(b)
	case bytes.HasPrefix(b, []byte("zone transfer '")):
		zone, rest, ok := apostrophes(b)
		if !ok || !bytes.Contains(rest, []byte("denied")) {
			return "", decode.ReasonTruncated
		}
		// NAME/TYPE/CLASS
		if i := bytes.LastIndexByte(zone, '/'); i > 0 {
			zone = zone[:i]
		}
		w.zone, w.action, w.effect, w.outcome, w.reason = zone, bindTransfer, picket.EffectTransfer, denied, "REFUSED"
	case bytes.HasPrefix(b, []byte("bad zone transfer request: '")):
		zone, rest, ok := apostrophes(b)
		if !ok {
			return "", decode.ReasonTruncated
		}
		w.zone, w.action, w.effect = zone, bindTransfer, picket.EffectTransfer
		w.failed(rest)
	case bytes.HasPrefix(b, []byte("received notify for zone '")):
		zone, rest, ok := apostrophes(b)
		if !ok {
			return "", decode.ReasonTruncated
		}
		w.zone, w.action, w.effect = zone, bindNotified, picket.EffectOther
		w.rest = rest
	default:
		return skipOther, ""
	}
	return "", ""
}

// failed takes the code in parentheses at the end of a failure's message.
func (w *bindWhat) failed(b []byte) {
	w.outcome, w.reason = failure, decode.Text(b[:min(len(b), maxText)])
	open := bytes.LastIndexByte(b, '(')
	if open < 0 || !bytes.HasSuffix(b, []byte(")")) {
		return
	}
	code := b[open+1 : len(b)-1]
	if _, ok := decode.ParseRcode(code); !ok {
		return
	}
	w.reason = string(code)
	switch w.reason {
	case "REFUSED", "BADSIG", "BADKEY", "BADTIME":
		w.outcome = denied
	}
}

// update reads what an update does to a zone, or what became of it. BIND writes
// down each record before all are in, so that these lines have no outcome; a line
// about a failure may follow.
func (w *bindWhat) update(b []byte) (skip, reason string) {
	switch {
	case bytes.HasPrefix(b, []byte("adding an RR at ")):
		w.action, w.effect, w.change = bindAdd, picket.EffectCreate, picket.ChangeAdd
		b = b[len("adding an RR at "):]
	case bytes.HasPrefix(b, []byte("deleting an RR at ")):
		w.action, w.effect, w.change = bindDelete, picket.EffectDelete, picket.ChangeRemove
		b = b[len("deleting an RR at "):]
	case bytes.HasPrefix(b, []byte("deleting rrset at ")):
		w.action, w.effect, w.change = bindDelete, picket.EffectDelete, picket.ChangeRemove
		b = b[len("deleting rrset at "):]
	case bytes.HasPrefix(b, []byte("deleting all rrsets from name ")), bytes.HasPrefix(b, []byte("delete all rrsets from name ")):
		w.action, w.effect, w.change = bindDelete, picket.EffectDelete, picket.ChangeRemove
		_, b, _ = bytes.Cut(b, []byte("name "))
	case bytes.HasPrefix(b, []byte("update failed: ")), bytes.HasPrefix(b, []byte("update unsuccessful: ")), bytes.HasPrefix(b, []byte("update rejected: ")),
		bytes.HasPrefix(b, []byte("rolling back")):
		w.action, w.effect = bindUpdate, picket.EffectChange
		w.failed(b)
		return "", ""
	default:
		return skipOther, "" // sanity warnings and journal messages
	}
	if len(b) > 0 && b[0] == '\'' {
		name, rest, ok := bytes.Cut(b[1:], []byte("' "))
		if !ok {
			if name, ok = bytes.CutSuffix(b[1:], []byte{'\''}); !ok {
				return "", decode.ReasonTruncated
			}
		}
		w.name, b = name, rest
	} else if w.name, b, _ = bytes.Cut(b, []byte{' '}); len(w.name) == 0 {
		return "", decode.ReasonTruncated
	}
	w.typ, w.data, _ = bytes.Cut(b, []byte{' '})
	if len(w.typ) == 0 && w.change == picket.ChangeAdd {
		return "", decode.ReasonTruncated
	}
	return "", ""
}

// out reads a transfer to a client.
func (w *bindWhat) out(b []byte) (skip, reason string) {
	zone, rest, ok := apostrophes(b)
	if !ok {
		return "", decode.ReasonTruncated
	}
	w.zone, w.effect, w.rest = zone, picket.EffectTransfer, rest
	rest = bytes.TrimPrefix(rest, []byte(": "))
	what, _, _ := bytes.Cut(rest, []byte(": "))
	switch {
	case bytes.Contains(what, []byte(" started")):
		w.action = bindTransfers
	case bytes.HasSuffix(what, []byte(" ended")):
		w.action, w.outcome = bindTransfer, success
	case bytes.Contains(rest, []byte("failed")), bytes.Contains(rest, []byte("abort")), bytes.Contains(rest, []byte("error")):
		w.action = bindTransfer
		w.failed(rest)
	default:
		return skipProgress, ""
	}
	return "", ""
}

// server reads what the server itself did: transfers in and notifications.
func (d *bindAdmin) server(w *bindWhat, b []byte) (skip, reason string) {
	if i := bytes.Index(b, []byte("transfer of '")); i >= 0 && (i == 0 || b[i-1] == ' ') {
		d.cut.InnerStamp(b[:i], &d.head)
		return w.in(b[i:])
	}
	i := bytes.Index(b, []byte("zone "))
	if i < 0 || i > 0 && b[i-1] != ' ' {
		return skipOther, ""
	}
	zone, rest, ok := bytes.Cut(b[i+len("zone "):], []byte(": "))
	if !ok || bytes.IndexByte(zone, ' ') >= 0 {
		return skipOther, ""
	}
	d.cut.InnerStamp(b[:i], &d.head)
	w.zone, w.effect, w.rest = zone, picket.EffectOther, rest
	switch {
	case bytes.HasPrefix(rest, []byte("sending notifies ")):
		w.action = bindNotifies
	case bytes.HasPrefix(rest, []byte("sending notify to ")):
		return skipProgress, "" // one of those that were told of before
	case bytes.HasPrefix(rest, []byte("Transfer started")):
		w.action, w.effect = bindInStarted, picket.EffectTransfer
	case bytes.HasPrefix(rest, []byte("refused notify from ")):
		w.action, w.outcome = bindNotified, denied
		_, w.peer, _ = bytes.Cut(rest, []byte(": "))
	case bytes.HasPrefix(rest, []byte("notify from ")), bytes.HasPrefix(rest, []byte("transferred serial ")):
		return skipProgress, "" // the other line of the same event tells more
	default:
		return skipOther, ""
	}
	return "", ""
}

// in reads a transfer from a primary. Its end comes in two lines, of which the
// first tells the result and the second the counts.
func (w *bindWhat) in(b []byte) (skip, reason string) {
	zone, rest, ok := apostrophes(b)
	if !ok {
		return "", decode.ReasonTruncated
	}
	peer, rest, ok := bytes.Cut(bytes.TrimPrefix(rest, []byte(" from ")), []byte(": "))
	if !ok {
		return skipProgress, ""
	}
	status, ok := bytes.CutPrefix(rest, []byte("Transfer status: "))
	if !ok {
		return skipProgress, ""
	}
	w.zone, w.peer, w.action, w.effect, w.outcome = zone, peer, bindIn, picket.EffectTransfer, success
	if string(status) != "success" && string(status) != "up to date" {
		w.outcome, w.reason = failure, decode.Text(status[:min(len(status), maxText)])
		if w.reason == "REFUSED" || strings.HasPrefix(w.reason, "tsig") {
			w.outcome = denied
		}
	}
	return "", ""
}

// apostrophes returns what stands between the first apostrophe and the one that
// ends the quotation.
func apostrophes(b []byte) (inner, rest []byte, ok bool) {
	_, b, ok = bytes.Cut(b, []byte{'\''})
	if !ok {
		return nil, nil, false
	}
	for _, end := range [...]string{"': ", "' ", "'"} {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// event makes the event of a line.
func (d *bindAdmin) event(w *bindWhat) (e *picket.AdminEvent, skip, reason string) {
	h := &d.head
	e = &picket.AdminEvent{Time: time.Unix(0, h.Time).UTC(), Provider: "bind", Service: "named", Action: w.action, Effect: w.effect,
		Outcome: w.outcome, Reason: w.reason, Sensor: d.opt.Sensor, Actor: d.text.Text(h.Key), ActorIP: h.Client}
	detail(e, "view", d.text.Text(h.View))
	if len(w.zone) > 0 {
		zone, ok := bindZone(w.zone)
		if !ok {
			return nil, "", decode.ReasonTruncated
		}
		if e.Zone, ok = d.text.Name(zone); !ok {
			return nil, "", decode.ReasonBadName
		}
	}
	if len(w.peer) > 0 {
		host, _, _ := bytes.Cut(w.peer, []byte{'#'})
		a, ok := decode.ParseAddr(host)
		if !ok {
			return nil, "", decode.ReasonAddress
		}
		e.ActorIP = a
	}
	if w.change != "" {
		name, ok := d.text.Name(w.name)
		if !ok {
			return nil, "", decode.ReasonBadName
		}
		r := picket.Record{Time: e.Time, Zone: e.Zone, Name: name, Change: w.change, Sensor: d.opt.Sensor}
		if r.Type = "ANY"; len(w.typ) > 0 {
			t, ok := decode.ParseType(w.typ)
			if !ok {
				return nil, "", decode.ReasonType
			}
			r.Type = string(decode.AppendTypeName(nil, t))
		}
		r.Data = decode.Text(w.data)
		e.Names, e.Records = []string{name}, []picket.Record{r}
	} else if e.Zone != "" {
		e.Names = []string{e.Zone}
	}
	counts(e, w.rest)
	return e, "", ""
}

// bindZone takes class and view off ZONE[/CLASS[/VIEW]].
func bindZone(b []byte) ([]byte, bool) {
	for _, class := range [...]string{"/IN", "/CH", "/HS"} {
		if i := bytes.LastIndex(b, []byte(class)); i > 0 && (i+3 == len(b) || b[i+3] == '/') {
			return b[:i], true
		}
	}
	// NAME/TYPE of a transfer that was denied; a name may hold slashes.
	if i := bytes.LastIndexByte(b, '/'); i > 0 {
		if _, ok := decode.ParseType(b[i+1:]); ok {
			return b[:i], true
		}
	}
	return b, len(b) > 0
}

// counts keeps what a transfer's end tells: "AXFR ended: 1 messages, 6 records,
// 186 bytes, 0.001 secs (186000 bytes/sec) (serial 1)".
func counts(e *picket.AdminEvent, b []byte) {
	for _, kind := range [...]string{"AXFR-style IXFR", "IXFR", "AXFR"} {
		if bytes.Contains(b, []byte(kind)) {
			detail(e, "type", kind)
			break
		}
	}
	for _, unit := range [...]string{"messages", "records", "bytes"} {
		if i := bytes.Index(b, []byte(" "+unit)); i > 0 {
			word := b[bytes.LastIndexByte(b[:i], ' ')+1 : i]
			if n, ok := decode.ParseUint(word, 1<<53); ok {
				detail(e, unit, int(n))
			}
		}
	}
	if _, rest, ok := bytes.Cut(b, []byte("(serial ")); ok {
		word, _, _ := bytes.Cut(rest, []byte{')'})
		if n, ok := decode.ParseUint(word, 1<<32-1); ok {
			detail(e, "serial", int(n))
		}
	}
}

// DetectBindAdmin looks for lines about updates, transfers and notifications in a
// log without queries. A log of transfers out alone is left to the query log's
// format, for which they are queries.
func DetectBindAdmin(head []byte) int {
	d := &bindAdmin{cut: decode.NewBindCutter(decode.Options{})}
	updates, others, lines := 0, 0, 0
	queries := false
	decode.EachLine(head, func(line []byte) bool {
		lines++
		if bytes.Contains(line, []byte(": query: ")) {
			queries = true
			return false
		}
		e, _, _ := d.read(line)
		if e == nil {
			return lines < 2000
		}
		switch {
		case strings.HasPrefix(e.Action, bindUpdate):
			updates++
		case e.Action == bindTransfer || e.Action == bindTransfers:
		default:
			others++
		}
		return lines < 2000
	})
	switch {
	case queries:
		return 0
	case updates > 0:
		return 96
	case others > 0:
		return 50
	}
	return 0
}
