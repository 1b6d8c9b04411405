package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// UTF8 returns r's text in UTF-8 when it begins with a UTF-16 byte order mark, else
// r's bytes as they are. A deadline is passed on where r takes one.
func UTF8(r io.Reader) io.Reader { return &textReader{r: r} }

// UTF8Head is UTF8 for a file's first bytes, which may end within a character.
func UTF8Head(head []byte) []byte {
	if utf16Order(head) == nil {
		return head
	}
	// What the head lacks of its last character is no reason to give up the rest.
	out, _ := io.ReadAll(UTF8(bytes.NewReader(head)))
	return out
}

func utf16Order(b []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return binary.BigEndian
	}
	return nil
}

// textReader turns UTF-16 into UTF-8; the byte order is known after two bytes.
type textReader struct {
	r     io.Reader
	begun bool
	order binary.ByteOrder // nil when r is no UTF-16
	raw   [4096]byte       // bytes of r that have not been turned
	n     int
	out   []byte // what has been made and not yet read
	at    int
	buf   [3 * 2048]byte
	err   error
}

// SetReadDeadline passes a deadline on.
func (t *textReader) SetReadDeadline(when time.Time) error {
	if d, ok := t.r.(deadliner); ok {
		return d.SetReadDeadline(when)
	}
	return errors.ErrUnsupported
}

// Unread passes on how many of r's bytes are not yet accounted for, where r wants
// to know: what the caller has not used of the n bytes and what is kept here. Bytes
// of UTF-16 are not counted back; they are known when nothing is left of the text.
func (t *textReader) Unread(n int) {
	r, ok := t.r.(interface{ Unread(int) })
	if !ok {
		return
	}
	switch rest := len(t.out) - t.at; {
	case n < 0:
		r.Unread(n)
	case t.order == nil:
		r.Unread(n + rest + t.n)
	case n+rest == 0:
		r.Unread(t.n)
	default:
		r.Unread(-1)
	}
}

// Read implements io.Reader.
func (t *textReader) Read(b []byte) (int, error) {
	for {
		switch {
		case t.at < len(t.out):
			n := copy(b, t.out[t.at:])
			t.at += n
			return n, nil
		case t.begun && t.order == nil && t.err == nil:
			return t.r.Read(b)
		case t.err != nil:
			err := t.err
			if !errors.Is(err, io.EOF) {
				t.err = nil // such as a deadline: reading may go on
			}
			return 0, err
		}
		n, err := t.r.Read(t.raw[t.n:])
		t.n += n
		t.err = err
		if !t.begun {
			if t.n < 2 && !errors.Is(err, io.EOF) {
				continue
			}
			t.begun = true
			if t.order = utf16Order(t.raw[:t.n]); t.order == nil {
				t.out, t.at, t.n = append(t.buf[:0], t.raw[:t.n]...), 0, 0
				continue
			}
			t.n = copy(t.raw[:], t.raw[2:t.n])
		}
		t.turn(errors.Is(err, io.EOF))
	}
}

// turn makes UTF-8 of the whole characters in raw, and of what is left at the end.
func (t *textReader) turn(end bool) {
	t.out, t.at = t.buf[:0], 0
	i := 0
	for ; i+1 < t.n; i += 2 {
		c := rune(t.order.Uint16(t.raw[i:]))
		if utf16.IsSurrogate(c) {
			if i+3 >= t.n && !end {
				break
			}
			if i+3 < t.n {
				if both := utf16.DecodeRune(c, rune(t.order.Uint16(t.raw[i+2:]))); both != utf8.RuneError {
					t.out = utf8.AppendRune(t.out, both)
					i += 2
					continue
				}
			}
			c = utf8.RuneError
		}
		t.out = utf8.AppendRune(t.out, c)
	}
	if end && i < t.n {
		t.out = utf8.AppendRune(t.out, utf8.RuneError)
		i = t.n
	}
	t.n = copy(t.raw[:], t.raw[i:t.n])
}
