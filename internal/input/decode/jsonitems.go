package decode

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
)

// Items cuts a stream into JSON objects as Records does, and looks into the
// objects that providers put around lists of them: of {"Records":[{…},{…}]} it
// returns the two inside. One object is bounded by MaxLine, the list is not.
type Items struct {
	*Lines
	wrap  []string // keys whose arrays are stepped into
	depth int      // wrappings that the reader is in
	size  int      // bytes of the object last returned
}

// NewItems cuts r into objects; the arrays behind the keys wrap of an outer
// object are stepped into.
func NewItems(ctx context.Context, r io.Reader, acct picket.Accounting, wrap ...string) *Items {
	return &Items{Lines: NewLines(ctx, r, acct), wrap: wrap}
}

// Next returns the next object, valid until the following call. io.EOF ends the
// input. What is no object is rejected on the way.
func (it *Items) Next() ([]byte, error) {
	if it.Ticks++; it.Ticks&63 == 0 {
		if err := it.Ctx.Err(); err != nil {
			return nil, err
		}
	}
	it.pass(it.size)
	it.size = 0
	for {
		c, err := it.ahead()
		if err != nil {
			return nil, err
		}
		switch {
		case c == '{':
			rec, err := it.object()
			if rec != nil || err != nil {
				return rec, err
			}
		case c == ']' && it.depth > 0:
			it.pass(1)
			if err := it.leave(); err != nil {
				return nil, err
			}
		case separator(c):
			it.pass(1)
		case c == 0xef && it.line == 0 && it.End-it.At < 3 && it.Err == nil:
			if err := it.Fill(false); err != nil {
				return nil, err
			}
		case it.line == 0 && bytes.HasPrefix(it.Buf[it.At:it.End], []byte("\xef\xbb\xbf")):
			it.At += 3
		default:
			if err := it.noObject(); err != nil {
				return nil, err
			}
		}
	}
}

// Pos is the position of the object last returned, without its bytes.
func (it *Items) Pos() picket.Position { return picket.Position{Line: it.line + 1} }

// Fault is Pos with the object's bytes, for one that is rejected.
func (it *Items) Fault() picket.Position {
	at := it.Pos()
	at.Record = it.Buf[it.At : it.At+it.size]
	return at
}

// pass moves over n bytes that have been read.
func (it *Items) pass(n int) {
	it.line += int64(bytes.Count(it.Buf[it.At:it.At+n], []byte{'\n'}))
	it.At += n
}

// ahead returns the next byte without moving over it.
func (it *Items) ahead() (byte, error) {
	for it.At == it.End {
		if it.Err != nil {
			return 0, it.Err
		}
		if err := it.Fill(false); err != nil {
			return 0, err
		}
	}
	return it.Buf[it.At], nil
}

// leave moves over the rest of a wrapping, behind its array.
func (it *Items) leave() error {
	it.depth--
	for {
		c, err := it.ahead()
		if err != nil {
			return err
		}
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',':
			it.pass(1)
		case c == '}':
			it.pass(1)
			return nil
		case c == '"':
			return it.drop(1, false, false)
		default: // no wrapping after all, or one that was cut off
			it.depth = 0
			return nil
		}
	}
}

// drop moves to the end of the object that encloses the next byte depth-fold,
// which may be within a string.
func (it *Items) drop(depth int, str, esc bool) error {
	for depth > 0 {
		if _, err := it.ahead(); err != nil {
			return err
		}
		n := 0
		for b := it.Buf[it.At:it.End]; n < len(b) && depth > 0; n++ {
			switch c := b[n]; {
			case esc:
				esc = false
			case str:
				str, esc = c != '"' && c != '\n', c == '\\'
			case c == '"':
				str = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			}
		}
		it.pass(n)
	}
	return nil
}

// object returns the bytes of the object that begins here. nil means that it was
// a wrapping, now stepped into, or was rejected.
func (it *Items) object() ([]byte, error) {
	var (
		depth        int
		str, esc     bool
		from, end    int // of the string last begun at depth 1
		keyed, wraps bool
	)
	for n := 0; ; n++ {
		b := it.Buf[it.At:it.End]
		if str && !esc {
			n = stringStop(b, n)
		}
		if n >= MaxLine {
			it.Acct.Reject(ReasonLineTooLong, it.Pos())
			it.pass(n)
			return nil, it.drop(depth, str, esc)
		}
		if n == len(b) {
			if it.Err != nil {
				return nil, it.cut(n)
			}
			if err := it.Fill(false); err != nil {
				return nil, err
			}
			n--
			continue
		}
		c := b[n]
		if str {
			switch {
			case esc:
				esc = false
			case c == '\\':
				esc = true
			case c == '"':
				str = false
				if depth == 1 {
					end, keyed = n, true
				}
			case c == '\n':
				return nil, it.broken(n)
			}
			continue
		}
		switch c {
		case '"':
			str, from = true, n+1
		case ':':
			if wraps = depth == 1 && keyed && it.wrapper(b[from:end]); wraps {
				keyed = false
				continue
			}
		case '[', '{':
			if wraps && c == '[' {
				it.pass(n + 1)
				it.depth++
				return nil, nil
			}
			if c == '{' && n > 0 && it.At+n+1 == it.End && it.Err == nil {
				if err := it.Fill(false); err != nil { // for margin
					return nil, err
				}
			}
			if c == '{' && it.margin(n) {
				return nil, it.cut(n)
			}
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				it.size = n + 1
				return it.Buf[it.At : it.At+n+1], nil
			}
		case ' ', '\t', '\r', '\n':
			continue
		}
		wraps, keyed = false, false
	}
}

func (it *Items) wrapper(key []byte) bool {
	for _, w := range it.wrap {
		if string(key) == w {
			return true
		}
	}
	return false
}

// margin reports whether the brace at n stands at a line's beginning, begins an
// object with a key, and follows nothing that it could be the value of: then the
// object before it was cut off.
func (it *Items) margin(n int) bool {
	b := it.Buf[it.At : it.At+n]
	if n == 0 || b[n-1] != '\n' || it.At+n+1 >= it.End || it.Buf[it.At+n+1] != '"' {
		return false
	}
	b = bytes.TrimRight(b, "\r\n\t ")
	return len(b) > 0 && b[len(b)-1] != ':' && b[len(b)-1] != ',' && b[len(b)-1] != '['
}

// cut rejects n bytes that began an object.
func (it *Items) cut(n int) error {
	it.depth = 0
	at := it.Pos()
	at.Record = bytes.TrimRight(it.Buf[it.At:it.At+n], "\r\n")
	it.Acct.Reject(ReasonCutJSON, at)
	it.pass(n)
	return nil
}

// broken rejects the n bytes of an object up to a line's end within a string.
func (it *Items) broken(n int) error {
	it.depth = 0
	at := it.Pos()
	at.Record = it.Buf[it.At : it.At+n]
	it.Acct.Reject(ReasonBrokenJSON, at)
	it.pass(n + 1)
	return nil
}

// noObject rejects what is neither an object nor between two: a line of text, or
// within a list one value.
func (it *Items) noObject() error {
	n, str, esc := 0, false, false
	for ; ; n++ {
		if n >= MaxLine {
			it.Acct.Reject(ReasonLineTooLong, it.Pos())
			it.pass(n)
			it.line++
			return it.dropLine()
		}
		if it.At+n == it.End {
			if it.Err != nil {
				break
			}
			if err := it.Fill(false); err != nil {
				return err
			}
			n--
			continue
		}
		c := it.Buf[it.At+n]
		if c == '\n' {
			break
		}
		if it.depth > 0 {
			if !str && (c == ',' || c == ']') {
				break
			}
			str, esc = (c == '"' && !esc) != str, str && c == '\\' && !esc
		}
	}
	at := it.Pos()
	at.Record = bytes.TrimSuffix(it.Buf[it.At:it.At+n], []byte{'\r'})
	it.Acct.Reject(ReasonNotObject, at)
	it.pass(n)
	return nil
}
