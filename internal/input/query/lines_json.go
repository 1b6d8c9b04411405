package query

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/picket-dns/picket"
)

// Reasons of JSON input.
const (
	reasonNotObject  = "not a JSON object"
	reasonBrokenJSON = "broken JSON"
	reasonCutJSON    = "JSON object not closed"
)

// maxDepth bounds nesting in JSON values that are passed over.
const maxDepth = 200

// records cuts a stream into JSON objects: one a line, several a line, over
// several lines, within one array or not. What is no object is rejected line by
// line, so that reading goes on with the next object.
type records struct {
	*lines
}

// nextRecord returns the next object, which begins at its first byte and may be
// followed by others on the same line; the caller tells by done how much it was.
func (r *records) nextRecord(held bool) ([]byte, error) {
	if r.ticks++; r.ticks&63 == 0 {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
	}
	for {
		for r.at < r.end && separator(r.buf[r.at]) {
			if r.buf[r.at] == '\n' {
				r.line++
			}
			r.at++
		}
		if r.at == r.end {
			if r.err != nil {
				return nil, r.err
			}
			if err := r.fill(held); err != nil {
				return nil, err
			}
			continue
		}
		if r.buf[r.at] == '{' {
			at := r.pos()
			rec, reason, err := r.object(held)
			if reason == "" {
				return rec, err
			}
			r.acct.Reject(reason, at)
			if err != nil {
				return nil, err
			}
			continue
		}
		if r.line == 0 && bytes.HasPrefix(r.buf[r.at:r.end], []byte("\xef\xbb\xbf")) {
			r.at += 3
			continue
		}
		r.acct.Reject(reasonNotObject, r.pos())
		if err := r.dropLine(); err != nil {
			return nil, err
		}
		r.line++
	}
}

// pos is the position of the object last returned; lines were counted at their ends.
func (r *records) pos() picket.Position { return picket.Position{Line: r.line + 1} }

// done moves past the n bytes of the object last returned.
func (r *records) done(n int) {
	r.line += int64(bytes.Count(r.buf[r.at:r.at+n], []byte{'\n'}))
	r.at += n
}

func separator(c byte) bool {
	return c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '[' || c == ']'
}

// object returns the bytes of the object at r.at, more of its line included when
// the whole line looks like objects. With a reason it has moved past the trouble.
func (r *records) object(held bool) (rec []byte, reason string, err error) {
	seen := 0
	for {
		window := r.buf[r.at+seen : r.end]
		i := bytes.IndexByte(window, '\n')
		if i < 0 && len(window)+seen < maxLine && r.err == nil {
			seen += len(window)
			if err := r.fill(held); err != nil {
				return nil, "", err
			}
			continue
		}
		if i < 0 {
			i = len(window)
		}
		line := r.buf[r.at : r.at+seen+i]
		end := len(line)
		for end > 0 && separator(line[end-1]) {
			end--
		}
		if line[end-1] == '}' && len(line) < maxLine {
			return line[:end], "", nil
		}
		return r.spread(held)
	}
}

// spread finds the end of an object that does not end with its line, or whose
// line is an array too long to be looked at whole.
func (r *records) spread(held bool) (rec []byte, reason string, err error) {
	depth, inString := 0, false
	for n := 0; ; n++ {
		if n >= maxLine {
			return nil, reasonLineTooLong, r.dropBroken(n)
		}
		if r.at+n == r.end {
			if r.err == nil {
				if err := r.fill(held); err != nil {
					return nil, "", err
				}
				n--
				continue
			}
			r.at = r.end
			return nil, reasonCutJSON, r.err
		}
		c := r.buf[r.at+n]
		switch {
		case c == '\n' && inString:
			return nil, reasonBrokenJSON, r.dropBroken(n)
		case inString:
			if c == '\\' {
				if r.at+n+1 < r.end && r.buf[r.at+n+1] != '\n' {
					n++
				}
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if c == '{' && n > 0 && r.buf[r.at+n-1] == '\n' && r.at+n+1 < r.end && r.buf[r.at+n+1] == '"' {
				// An object at the margin of a line: the one before was cut off.
				return nil, reasonCutJSON, r.dropBroken(n - 1)
			}
			if depth++; depth > maxDepth {
				return nil, reasonBrokenJSON, r.dropBroken(n)
			}
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return r.buf[r.at : r.at+n+1], "", nil
			}
		}
	}
}

// dropBroken rejects nothing itself; it moves to the line after the first n bytes.
func (r *records) dropBroken(n int) error {
	r.done(n)
	if err := r.dropLine(); err != nil {
		return err
	}
	r.line++
	return nil
}

// jsonCur walks over JSON text without building values. After an error bad
// holds and every further step returns nothing.
type jsonCur struct {
	b       []byte
	i       int
	bad     bool
	scratch []byte // unescaped strings of the current record
}

func (c *jsonCur) reset(b []byte) { c.b, c.i, c.bad, c.scratch = b, 0, false, c.scratch[:0] }

// peek returns the next byte that is not white space, 0 at the end.
func (c *jsonCur) peek() byte {
	for ; c.i < len(c.b); c.i++ {
		if d := c.b[c.i]; d != ' ' && d != '\t' && d != '\n' && d != '\r' {
			return d
		}
	}
	return 0
}

func (c *jsonCur) fail() { c.bad, c.i = true, len(c.b) }

// open steps into an object or array.
func (c *jsonCur) open(bracket byte) bool {
	if c.peek() != bracket {
		return false
	}
	c.i++
	return true
}

// key returns the next key of the object stepped into, false after the last.
func (c *jsonCur) key() ([]byte, bool) {
	if !c.more('}') {
		return nil, false
	}
	k := c.str()
	if c.bad || c.peek() != ':' {
		c.fail()
		return nil, false
	}
	c.i++
	return k, true
}

// more reports whether another key or element follows before the bracket, which
// it steps over. A comma before the bracket is let pass, as some writers leave it.
func (c *jsonCur) more(bracket byte) bool {
	d := c.peek()
	if d == ',' {
		c.i++
		d = c.peek()
	}
	if d == bracket {
		c.i++
		return false
	}
	if d == 0 {
		c.fail()
	}
	return d != 0
}

// str reads a string. Without escapes it is a part of the input.
func (c *jsonCur) str() []byte {
	if c.peek() != '"' {
		c.fail()
		return nil
	}
	from := c.i + 1
	for i := from; i < len(c.b); i++ {
		switch c.b[i] {
		case '"':
			c.i = i + 1
			return c.b[from:i:i]
		case '\\':
			return c.escaped(from, i)
		}
	}
	c.fail()
	return nil
}

// escaped reads the rest of a string whose first backslash is at i.
func (c *jsonCur) escaped(from, i int) []byte {
	at := len(c.scratch)
	c.scratch = append(c.scratch, c.b[from:i]...)
	for i < len(c.b) {
		d := c.b[i]
		if d == '"' {
			c.i = i + 1
			return c.scratch[at:len(c.scratch):len(c.scratch)]
		}
		if d != '\\' {
			c.scratch = append(c.scratch, d)
			i++
			continue
		}
		if i+1 >= len(c.b) {
			break
		}
		i += 2
		switch d = c.b[i-1]; d {
		case '"', '\\', '/':
			c.scratch = append(c.scratch, d)
		case 'n':
			c.scratch = append(c.scratch, '\n')
		case 't':
			c.scratch = append(c.scratch, '\t')
		case 'r':
			c.scratch = append(c.scratch, '\r')
		case 'b':
			c.scratch = append(c.scratch, '\b')
		case 'f':
			c.scratch = append(c.scratch, '\f')
		case 'u':
			v, ok := hex4(c.b, i)
			if !ok {
				c.fail()
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
			c.scratch = utf8.AppendRune(c.scratch, v)
		default:
			c.fail()
			return nil
		}
	}
	c.fail()
	return nil
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	v := 0
	for _, d := range b[i : i+4] {
		h := hexValue(d)
		if h < 0 {
			return 0, false
		}
		v = v<<4 | h
	}
	return rune(v), true
}

// scalar reads a string, number, true, false or null; null is "". Anything else
// is passed over and is "" too.
func (c *jsonCur) scalar() []byte {
	switch c.peek() {
	case '"':
		return c.str()
	case '{', '[':
		c.skip()
		return nil
	}
	from := c.i
	for c.i < len(c.b) {
		d := c.b[c.i]
		if d == ',' || d == '}' || d == ']' || d == ' ' || d == '\n' || d == '\r' || d == '\t' {
			break
		}
		c.i++
	}
	v := c.b[from:c.i:c.i]
	if len(v) == 0 {
		c.fail()
	}
	if string(v) == "null" {
		return nil
	}
	return v
}

// isTrue reads a scalar and reports whether it is true.
func (c *jsonCur) isTrue() bool { return string(c.scalar()) == "true" }

// skip passes over a value of any kind.
func (c *jsonCur) skip() {
	switch c.peek() {
	case '"':
		c.skipString()
		return
	case '{', '[':
	default:
		c.scalar()
		return
	}
	for depth := 0; c.i < len(c.b); {
		switch c.b[c.i] {
		case '"':
			c.skipString()
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				c.fail()
				return
			}
		case '}', ']':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
	c.fail()
}

func (c *jsonCur) skipString() {
	for i := c.i + 1; i < len(c.b); i++ {
		switch c.b[i] {
		case '\\':
			i++
		case '"':
			c.i = i + 1
			return
		}
	}
	c.fail()
}
