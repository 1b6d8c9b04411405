package decode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/picket-dns/picket"
)

// Reasons of JSON input.
const (
	ReasonNotObject  = "not a JSON object"
	ReasonBrokenJSON = "broken JSON"
	ReasonCutJSON    = "JSON object not closed"
)

// maxDepth bounds nesting in JSON values that are passed over.
const maxDepth = 200

// Records cuts a stream into JSON objects: one a line, several a line, over
// several lines, within one array or not. What is no object is rejected line by
// line, so that reading goes on with the next object.
type Records struct {
	*Lines
	clear int  // so many bytes from At on are known to hold no line end
	long  bool // the line's end is too far away to be looked for
}

// NewRecords cuts r into objects; see NewLines.
func NewRecords(ctx context.Context, r io.Reader, acct picket.Accounting) *Records {
	return RecordsOf(NewLines(ctx, r, acct))
}

// RecordsOf goes on with objects where l is.
func RecordsOf(l *Lines) *Records { return &Records{Lines: l} }

// NextRecord returns the next object, which begins at its first byte and may be
// followed by others on the same line; the caller tells by done how much it was.
func (r *Records) NextRecord(held bool) ([]byte, error) {
	if r.Ticks++; r.Ticks&63 == 0 {
		if err := r.Ctx.Err(); err != nil {
			return nil, err
		}
	}
	for {
		for r.At < r.End && separator(r.Buf[r.At]) {
			r.Done(1)
		}
		if r.At == r.End {
			if r.Err != nil {
				return nil, r.Err
			}
			if err := r.Fill(held); err != nil {
				return nil, err
			}
			continue
		}
		if r.Buf[r.At] == '{' {
			at := r.Pos()
			rec, reason, err := r.object(held)
			if reason == "" {
				return rec, err
			}
			r.Acct.Reject(reason, at) // its bytes are gone
			if err != nil {
				return nil, err
			}
			continue
		}
		if r.line == 0 && bytes.HasPrefix(r.Buf[r.At:r.End], []byte("\xef\xbb\xbf")) {
			r.At += 3
			continue
		}
		r.Acct.Reject(ReasonNotObject, r.noObject())
		if err := r.dropBroken(0); err != nil {
			return nil, err
		}
	}
}

// Each calls take with a cursor at each object until the input ends, and rejects
// the object for the reason that take gives. An error of take is returned.
func (r *Records) Each(take func(c *Cursor) (reason string, err error)) error {
	var c Cursor
	for {
		rec, err := r.NextRecord(false)
		if err != nil {
			if errors.Is(err, ErrIdle) {
				continue
			}
			return Ended(err)
		}
		c.Reset(rec)
		reason, err := take(&c)
		if err != nil {
			return err
		}
		n := c.I
		if c.Bad {
			n = len(rec)
		}
		if reason != "" {
			r.Acct.Reject(reason, r.Fault(n))
		}
		r.Done(n)
	}
}

// Pos is the position of the object last returned, without its bytes. Lines were
// counted at their ends.
func (r *Records) Pos() picket.Position { return picket.Position{Line: r.line + 1} }

// Fault is Pos for an object that is rejected: with its bytes, of which there
// are n. Call it before Done.
func (r *Records) Fault(n int) picket.Position {
	at := r.Pos()
	at.Record = r.Buf[r.At : r.At+n]
	return at
}

// noObject is the position of a line that is no object, with its bytes as far as
// they have been read.
func (r *Records) noObject() picket.Position {
	at := r.Pos()
	line, _, _ := bytes.Cut(r.Buf[r.At:r.End], []byte{'\n'})
	at.Record = bytes.TrimSuffix(line, []byte{'\r'})
	return at
}

// Done moves past the n bytes of the object last returned.
func (r *Records) Done(n int) {
	if n <= r.clear {
		r.clear -= n
	} else {
		lines := bytes.Count(r.Buf[r.At:r.At+n], []byte{'\n'})
		r.line += int64(lines)
		r.clear, r.long = 0, r.long && lines == 0
	}
	r.At += n
}

func separator(c byte) bool {
	return c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '[' || c == ']'
}

// object returns the bytes of the object at r.at, more of its line included when
// the whole line looks like objects. With a reason it has moved past the trouble.
func (r *Records) object(held bool) (rec []byte, reason string, err error) {
	if r.long {
		return r.spread(held)
	}
	for {
		window := r.Buf[r.At+r.clear : r.End]
		i := bytes.IndexByte(window, '\n')
		if i < 0 && len(window)+r.clear < MaxLine && r.Err == nil {
			r.clear += len(window)
			if err := r.Fill(held); err != nil {
				return nil, "", err
			}
			continue
		}
		if i < 0 {
			i = len(window)
		}
		r.clear += i
		line := r.Buf[r.At : r.At+r.clear]
		end := len(line)
		for end > 0 && separator(line[end-1]) {
			end--
		}
		if line[end-1] == '}' && len(line) < MaxLine {
			return line[:end], "", nil
		}
		r.long = len(line) >= MaxLine
		return r.spread(held)
	}
}

// spread finds the end of an object that does not end with its line, or whose
// line is an array too long to be looked at whole.
func (r *Records) spread(held bool) (rec []byte, reason string, err error) {
	depth, inString := 0, false
	for n := 0; ; n++ {
		if inString {
			n = stringStop(r.Buf[r.At:r.End], n)
		}
		if n >= MaxLine {
			return nil, ReasonLineTooLong, r.dropBroken(n)
		}
		if r.At+n == r.End {
			if r.Err == nil {
				if err := r.Fill(held); err != nil {
					return nil, "", err
				}
				n--
				continue
			}
			r.At, r.clear = r.End, 0
			return nil, ReasonCutJSON, r.Err
		}
		c := r.Buf[r.At+n]
		if (c == '\\' || c == '{') && r.At+n+1 == r.End && r.Err == nil {
			if err := r.Fill(held); err != nil { // the next byte matters
				return nil, "", err
			}
		}
		switch {
		case c == '\n' && inString:
			return nil, ReasonBrokenJSON, r.dropBroken(n)
		case inString:
			if c == '\\' {
				if r.At+n+1 < r.End && r.Buf[r.At+n+1] != '\n' {
					n++
				}
			} else {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if c == '{' && n > 0 && r.Buf[r.At+n-1] == '\n' && r.At+n+1 < r.End && r.Buf[r.At+n+1] == '"' {
				// An object at the margin of a line: the one before was cut off.
				return nil, ReasonCutJSON, r.dropBroken(n - 1)
			}
			if depth++; depth > maxDepth {
				return nil, ReasonBrokenJSON, r.dropBroken(n)
			}
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return r.Buf[r.At : r.At+n+1], "", nil
			}
		}
	}
}

// dropBroken rejects nothing itself; it moves to the line after the first n bytes.
func (r *Records) dropBroken(n int) error {
	r.Done(n)
	r.clear, r.long = 0, false
	if err := r.dropLine(); err != nil {
		return err
	}
	r.line++
	return nil
}

// Cursor walks over JSON text without building values. After an error bad
// holds and every further step returns nothing.
type Cursor struct {
	b       []byte
	I       int
	Bad     bool
	Scratch []byte // unescaped strings of the current record
}

// Reset begins with b, of which nothing is copied.
func (c *Cursor) Reset(b []byte) { c.b, c.I, c.Bad, c.Scratch = b, 0, false, c.Scratch[:0] }

// peek returns the next byte that is not white space, 0 at the end.
func (c *Cursor) peek() byte {
	for ; c.I < len(c.b); c.I++ {
		if d := c.b[c.I]; d != ' ' && d != '\t' && d != '\n' && d != '\r' {
			return d
		}
	}
	return 0
}

func (c *Cursor) Fail() { c.Bad, c.I = true, len(c.b) }

// Open steps into an object or array.
func (c *Cursor) Open(bracket byte) bool {
	if c.peek() != bracket {
		return false
	}
	c.I++
	return true
}

// Key returns the next key of the object stepped into, false after the last.
func (c *Cursor) Key() ([]byte, bool) {
	if !c.More('}') {
		return nil, false
	}
	k := c.str()
	if c.Bad || c.peek() != ':' {
		c.Fail()
		return nil, false
	}
	c.I++
	return k, true
}

// More reports whether another key or element follows before the bracket, which
// it steps over. A comma before the bracket is let pass, as some writers leave it.
func (c *Cursor) More(bracket byte) bool {
	d := c.peek()
	if d == ',' {
		c.I++
		d = c.peek()
	}
	if d == bracket {
		c.I++
		return false
	}
	if d == 0 {
		c.Fail()
	}
	return d != 0
}

// str reads a string. Without escapes it is a part of the input.
func (c *Cursor) str() []byte {
	if c.peek() != '"' {
		c.Fail()
		return nil
	}
	from := c.I + 1
	for i := stringStop(c.b, from); i < len(c.b); i = stringStop(c.b, i+1) {
		switch c.b[i] {
		case '"':
			c.I = i + 1
			return c.b[from:i:i]
		case '\\':
			return c.escaped(from, i)
		}
	}
	c.Fail()
	return nil
}

// escaped reads the rest of a string whose first backslash is at i.
func (c *Cursor) escaped(from, i int) []byte {
	at := len(c.Scratch)
	c.Scratch = append(c.Scratch, c.b[from:i]...)
	for i < len(c.b) {
		d := c.b[i]
		if d == '"' {
			c.I = i + 1
			return c.Scratch[at:len(c.Scratch):len(c.Scratch)]
		}
		if d != '\\' {
			end := stringStop(c.b, i+1)
			c.Scratch = append(c.Scratch, c.b[i:end]...)
			i = end
			continue
		}
		if i+1 >= len(c.b) {
			break
		}
		i += 2
		switch d = c.b[i-1]; d {
		case '"', '\\', '/':
			c.Scratch = append(c.Scratch, d)
		case 'n':
			c.Scratch = append(c.Scratch, '\n')
		case 't':
			c.Scratch = append(c.Scratch, '\t')
		case 'r':
			c.Scratch = append(c.Scratch, '\r')
		case 'b':
			c.Scratch = append(c.Scratch, '\b')
		case 'f':
			c.Scratch = append(c.Scratch, '\f')
		case 'u':
			v, ok := hex4(c.b, i)
			if !ok {
				c.Fail()
				return nil
			}
			i += 4
			if utf16.IsSurrogate(v) && i+1 < len(c.b) && c.b[i] == '\\' && c.b[i+1] == 'u' {
				if low, ok := hex4(c.b, i+2); ok {
					if both := utf16.DecodeRune(v, low); both != utf8.RuneError {
						v, i = both, i+6
					}
				}
			}
			c.Scratch = utf8.AppendRune(c.Scratch, v)
		default:
			c.Fail()
			return nil
		}
	}
	c.Fail()
	return nil
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	v := 0
	for _, d := range b[i : i+4] {
		h := HexValue(d)
		if h < 0 {
			return 0, false
		}
		v = v<<4 | h
	}
	return rune(v), true
}

// Scalar reads a string, number, true, false or null; null is "". Anything else
// is passed over and is "" too.
func (c *Cursor) Scalar() []byte {
	switch c.peek() {
	case '"':
		return c.str()
	case '{', '[':
		c.Skip()
		return nil
	}
	from := c.I
	for c.I < len(c.b) {
		d := c.b[c.I]
		if d == ',' || d == '}' || d == ']' || d == ' ' || d == '\n' || d == '\r' || d == '\t' {
			break
		}
		c.I++
	}
	v := c.b[from:c.I:c.I]
	if len(v) == 0 {
		c.Fail()
	}
	if string(v) == "null" {
		return nil
	}
	return v
}

// Uint16 reads a number; 0 when it is none.
func (c *Cursor) Uint16() uint16 {
	v, _ := ParseUint(c.Scalar(), 65535)
	return uint16(v)
}

// IsTrue reads a scalar and reports whether it is true.
func (c *Cursor) IsTrue() bool { return string(c.Scalar()) == "true" }

// Skip passes over a value of any kind.
func (c *Cursor) Skip() {
	switch c.peek() {
	case '"':
		c.skipString()
		return
	case '{', '[':
	default:
		c.Scalar()
		return
	}
	for depth := 0; c.I < len(c.b); {
		switch c.b[c.I] {
		case '"':
			c.skipString()
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				c.Fail()
				return
			}
		case '}', ']':
			depth--
		}
		c.I++
		if depth == 0 {
			return
		}
	}
	c.Fail()
}

func (c *Cursor) skipString() {
	for i := stringStop(c.b, c.I+1); i < len(c.b); i = stringStop(c.b, i+1) {
		switch c.b[i] {
		case '\\':
			i++
		case '"':
			c.I = i + 1
			return
		}
	}
	c.Fail()
}
