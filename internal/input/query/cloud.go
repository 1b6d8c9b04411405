package query

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons that the query logs of cloud providers share.
const (
	reasonNoQuery     = "no query in the object"
	reasonNoQueryName = "no query name"
	reasonZipped      = "bad compressed data"
	reasonRcode       = "bad response code"
	skipWrapper       = "wrapper without records"
)

const (
	// cloudDepth bounds wrappers within wrappers: an array in a message in an event
	// in a batch.
	cloudDepth = 6
	// cloudLook is within how many bytes of an object its array of records begins
	// when it is stepped into without having been read whole.
	cloudLook = 4 << 10
	// maxUnzipped bounds what one compressed record may become, in bytes.
	maxUnzipped = 8 << 20
)

// cloudFormat is a provider's query log without what log services wrap around it.
type cloudFormat interface {
	// begin forgets the object before.
	begin()
	// value takes the value of key k off the cursor. False means that the key says
	// nothing to the format; then nothing was taken.
	value(c *decode.Cursor, k []byte) bool
	// object makes q of the values taken, or says why it is rejected or skipped.
	object(q *picket.Query) (reason, skip string)
	// line does the same for a line of text; ok is false when it is not of the format.
	line(q *picket.Query, text []byte) (reason, skip string, ok bool)
}

// cloudReader reads objects, looks through wrappers and keeps account.
type cloudReader struct {
	in     *decode.Records
	lines  *decode.Lines // when text is read by lines
	format cloudFormat
	acct   picket.Accounting
	sink   picket.QuerySink
	q      picket.Query
	name   []byte

	cur    [cloudDepth]decode.Cursor // of the objects stepped into
	str    [cloudDepth]decode.Cursor // of strings that hold records
	bin    [cloudDepth][]byte        // what base64 and gzip become
	unzip  *gzip.Reader
	zipped bytes.Reader

	expect bool // the next object may be a wrapper that is worth stepping into
	open   bool // stepped into one
}

// cloudJSON decodes JSON objects of a format, wrapped or not.
func cloudJSON(ctx context.Context, r io.Reader, f cloudFormat, acct picket.Accounting, sink picket.QuerySink) error {
	return newCloudReader(decode.NewLines(ctx, r, acct), f, acct, sink).objects()
}

func newCloudReader(l *decode.Lines, f cloudFormat, acct picket.Accounting, sink picket.QuerySink) *cloudReader {
	return &cloudReader{in: decode.RecordsOf(l), format: f, acct: acct, sink: sink, name: make([]byte, 0, 256), expect: true}
}

func (w *cloudReader) objects() error {
	for {
		if err := w.around(); err != nil {
			return decode.Ended(err)
		}
		if _, err := w.behindHeader(); err != nil {
			return decode.Ended(err)
		}
		rec, err := w.next()
		if errors.Is(err, decode.ErrIdle) {
			continue
		}
		if err != nil {
			return decode.Ended(err)
		}
		n, err := w.object(rec, 0)
		if err != nil {
			return err
		}
		w.in.Done(n)
	}
}

// next returns the next object. Within an object stepped into, the line's end is
// not looked for, as it may be far away.
func (w *cloudReader) next() ([]byte, error) {
	for w.open {
		if err := w.in.Ctx.Err(); err != nil {
			return nil, err
		}
		c := &w.cur[0]
		b := w.in.Buf[w.in.At:w.in.End]
		if len(b) == 0 || b[0] != '{' {
			break
		}
		c.Reset(b)
		if c.Skip(); !c.Bad {
			return b[:c.I], nil
		}
		if w.in.Err != nil || len(b) >= decode.MaxLine {
			break
		}
		if err := w.in.Fill(false); err != nil {
			return nil, err
		}
	}
	return w.in.NextRecord(false)
}

// object accounts for the object that b begins with and returns its length.
func (w *cloudReader) object(b []byte, depth int) (n int, err error) {
	c := &w.cur[depth]
	c.Reset(b)
	c.Open('{')
	w.format.begin()
	inside, wrapper := 0, false
	for {
		k, ok := c.Key()
		if !ok {
			break
		}
		if inside == 0 && w.format.value(c, k) {
			continue
		}
		from := c.I
		if c.Skip(); c.Bad {
			break
		}
		if depth+1 == cloudDepth || !wrapperKey(k) || (inside == 0 && !whole(*c)) {
			continue
		}
		wrapper = true
		data := len(k) == 4 && k[3]|0x20 == 'a'
		m, err := w.inside(bytes.TrimLeft(b[from:c.I], " \t\r\n"), data, depth)
		if inside += m; err != nil {
			return 0, err
		}
	}
	switch {
	case c.Bad:
		n = extent(b)
		w.acct.Reject(decode.ReasonBrokenJSON, w.at(b[:n]))
		return n, nil
	case inside == 0:
		w.begin()
		reason, skip := w.format.object(&w.q)
		if wrapper && reason == reasonNoQuery {
			reason, skip = "", skipWrapper
		}
		return c.I, w.done(reason, skip, b[:c.I])
	}
	return c.I, nil
}

// whole reports whether the rest of the object that c is in can be read. Records
// out of a broken wrapper would count again when it is mended.
func whole(c decode.Cursor) bool {
	for _, ok := c.Key(); ok; _, ok = c.Key() {
		c.Skip()
	}
	return !c.Bad
}

// extent is the length of the broken object that b begins with: up to its closing
// bracket, or all.
func extent(b []byte) int {
	var c decode.Cursor
	c.Reset(b)
	if c.Skip(); c.Bad {
		return len(b)
	}
	return c.I
}

// wrapperKey knows the keys under which log services put records.
func wrapperKey(k []byte) bool {
	switch string(k) {
	case "records", "Records", "logEvents", "message", "Message", "@message", "data", "Data", "awslogs", "kinesis", "log", "event", "events",
		"entries", "value", "values", "result", "results", "batch", "body":
		return true
	}
	return false
}

// inside accounts for the records in a wrapper's value, of which it returns the
// number; 0 means that it holds none.
func (w *cloudReader) inside(v []byte, data bool, depth int) (n int, err error) {
	switch {
	case len(v) == 0:
	case v[0] == '{':
		_, err = w.object(v, depth+1)
		return 1, err
	case v[0] == '"':
		return w.text(v, data, depth)
	case v[0] == '[':
		var a decode.Cursor
		a.Reset(v)
		for a.Open('['); a.More(']'); {
			from := a.I
			a.Skip()
			m := 0
			if e := bytes.TrimLeft(v[from:a.I], " \t\r\n"); len(e) > 0 && e[0] != '[' {
				m, err = w.inside(e, data, depth)
			}
			if n += m; err != nil || a.Bad {
				break
			}
		}
	}
	return n, err
}

// text is inside for a string: JSON, base64 of it (compressed or not), or a line.
func (w *cloudReader) text(v []byte, data bool, depth int) (n int, err error) {
	c := &w.str[depth]
	c.Reset(v)
	s := bytes.TrimSpace(c.Scalar())
	if c.Bad || len(s) == 0 {
		return 0, nil
	}
	if data && s[0] != '{' && s[0] != '[' {
		raw, err := base64.StdEncoding.AppendDecode(w.bin[depth][:0], s)
		if w.bin[depth] = raw[:0]; err != nil {
			return 0, nil
		}
		if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
			out, ok := w.gunzip(raw)
			if !ok {
				w.acct.Reject(reasonZipped, w.at(v))
				return 1, nil
			}
			raw = out
		}
		s = bytes.TrimSpace(raw)
	}
	for len(s) > 0 {
		if s[0] == '{' {
			m, err := w.object(s, depth+1)
			if n++; err != nil {
				return n, err
			}
			s = s[m:]
		} else if isSeparator(s[0]) {
			s = s[1:]
		} else {
			line, rest, _ := bytes.Cut(s, []byte{'\n'})
			line = bytes.TrimSuffix(line, []byte{'\r'})
			w.begin()
			reason, skip, ok := w.format.line(&w.q, line)
			if !ok {
				return n, nil
			}
			n++
			if err := w.done(reason, skip, line); err != nil {
				return n, err
			}
			s = rest
		}
	}
	return n, nil
}

func isSeparator(c byte) bool {
	return c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '[' || c == ']'
}

func (w *cloudReader) gunzip(b []byte) (out []byte, ok bool) {
	w.zipped.Reset(b)
	var err error
	if w.unzip == nil {
		w.unzip, err = gzip.NewReader(&w.zipped)
	} else {
		err = w.unzip.Reset(&w.zipped)
	}
	if err != nil {
		w.unzip = nil
		return nil, false
	}
	out, err = io.ReadAll(io.LimitReader(w.unzip, maxUnzipped+1))
	return out, err == nil && len(out) <= maxUnzipped
}

// begin clears w.q.
func (w *cloudReader) begin() {
	w.q = picket.Query{Rcode: picket.RcodeUnknown, Class: 1, Name: w.name[:0]}
}

// done accounts for one record.
func (w *cloudReader) done(reason, skip string, rec []byte) error {
	if cap(w.q.Name) > 0 {
		w.name = w.q.Name[:0]
	}
	switch {
	case reason != "":
		w.acct.Reject(reason, w.at(rec))
	case skip != "":
		w.acct.Skip(skip)
	default:
		w.acct.Accept(w.q.Time)
		return w.sink.Query(&w.q)
	}
	return nil
}

func (w *cloudReader) at(rec []byte) picket.Position {
	if w.lines != nil {
		return w.lines.Pos()
	}
	at := w.in.Pos()
	at.Record = rec
	return at
}

// around steps into and out of an object whose array of records may be longer
// than what is read at once. Only the first object of a stream, and those that
// follow such wrappers, are looked at.
func (w *cloudReader) around() error {
	if !w.open && !w.expect {
		return nil
	}
	for {
		c, err := w.ahead()
		switch {
		case err != nil:
			return err
		case w.open && c == '}':
			w.in.Done(1)
			w.open = false
			continue
		case w.open && c == '"':
			if err := w.leave(); err != nil {
				return err
			}
			continue
		case w.open || c != '{':
			return nil
		}
		n, known := w.enter()
		if !known {
			if w.in.Err == nil && w.in.End-w.in.At < cloudLook {
				if err := w.in.Fill(false); err != nil {
					return err
				}
				continue
			}
		}
		w.open = n > 0
		w.expect = w.open
		w.in.Done(n)
		return nil
	}
}

// behindHeader moves past a syslog header to the object behind it, and reports
// whether there is an object, or an array, in front of it then.
func (w *cloudReader) behindHeader() (bool, error) {
	c, err := w.ahead()
	if err != nil || c == '{' || w.open {
		return c == '{', err
	}
	var line []byte
	for {
		b := w.in.Buf[w.in.At:w.in.End]
		if i := bytes.IndexByte(b, '\n'); i >= 0 || w.in.Err != nil || len(b) >= decode.MaxLine {
			if line = b; i >= 0 {
				line = b[:i]
			}
			break
		}
		if err := w.in.Fill(false); err != nil {
			return false, err
		}
	}
	rest := bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	if len(rest) == len(line) {
		rest = afterSyslog(line)
	}
	if len(rest) == 0 || (rest[0] != '{' && rest[0] != '[') {
		return false, nil
	}
	w.in.Done(len(line) - len(rest))
	return true, nil
}

// afterSyslog is what stands behind a line's syslog header, the whole line when it
// has none.
func afterSyslog(line []byte) []byte {
	if len(line) == 0 || (line[0] != '<' && !decode.Digit(line[0]) && (line[0] < 'A' || line[0] > 'Z')) {
		return line
	}
	// The header's time is of no interest, so any year will do.
	clock := decode.NewClock(decode.Options{Location: time.UTC})
	return clock.Syslog(line, time.Unix(1_700_000_000, 0)).Rest
}

// ahead returns the next byte that is no separator, 0 at the end.
func (w *cloudReader) ahead() (byte, error) {
	for {
		for ; w.in.At < w.in.End; w.in.Done(1) {
			if c := w.in.Buf[w.in.At]; !isSeparator(c) {
				return c, nil
			}
		}
		if w.in.Err != nil {
			if w.open && w.in.Err == io.EOF { //nolint:errorlint // readers return it bare
				w.open = false
				w.acct.Reject(decode.ReasonCutJSON, w.in.Pos())
			}
			return 0, w.in.Err
		}
		if err := w.in.Fill(false); err != nil {
			return 0, err
		}
	}
}

// enter returns how many bytes of the object ahead come before the first of an
// array of objects in it, 0 for none. It is not known when the object's bytes that
// have been read do not tell.
func (w *cloudReader) enter() (n int, known bool) {
	c := &w.cur[0]
	b := w.in.Buf[w.in.At:min(w.in.End, w.in.At+cloudLook)]
	c.Reset(b)
	c.Open('{')
	for {
		k, ok := c.Key()
		if !ok {
			return 0, !c.Bad
		}
		if wrapperKey(k) && c.Open('[') {
			rest := bytes.TrimLeft(b[c.I:], " \t\r\n")
			if len(rest) == 0 {
				return 0, false
			}
			if rest[0] == '{' {
				return len(b) - len(rest), true
			}
			return 0, true
		}
		c.Skip()
	}
}

// leave passes over the members after the array of an object stepped into, up to
// its closing bracket.
func (w *cloudReader) leave() error {
	depth, quoted, escaped := 0, false, false
	for {
		for i, c := range w.in.Buf[w.in.At:w.in.End] {
			switch {
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case c == '"':
				quoted = true
			case c == '{' || c == '[':
				depth++
			case c == '}' && depth == 0:
				w.in.Done(i)
				return nil
			case c == '}' || c == ']':
				depth--
			}
		}
		w.in.Done(w.in.End - w.in.At)
		if w.in.Err != nil {
			return nil
		}
		if err := w.in.Fill(false); err != nil {
			return err
		}
	}
}
