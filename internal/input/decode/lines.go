package decode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/picket-dns/picket"
)

const (
	// maxLine bounds a line, and a JSON record, of text input, in bytes. A DNS
	// name is at most 1,004 bytes in presentation form; 1 MiB leaves room for
	// log shippers' wrappings.
	MaxLine = 1 << 20
	// firstBuf is the read buffer that input without long lines stays with.
	firstBuf = 64 << 10
	// idleAfter is how long live input may be silent before records that wait
	// for a partner are passed on.
	idleAfter = time.Second
)

// ErrIdle is returned by lines.next when live input has been silent for
// idleAfter and the caller holds records.
var ErrIdle = errors.New("no data for now")

// deadliner is what live inputs (sockets, followed files) implement so that a
// decoder that holds records is not stuck with them while nothing arrives.
type deadliner interface {
	SetReadDeadline(time.Time) error
}

// Teller is what a reader implements that wants to know, before it is read, how
// many of the bytes it has given are not yet part of a record accounted for; -1
// when the last one was in the middle of something that is passed over.
type Teller interface{ Unread(n int) }

// Lines cuts a stream into lines in one bounded buffer. A line longer than
// maxLine is rejected and skipped; the next one is read again.
type Lines struct {
	Ctx  context.Context
	r    io.Reader
	Acct picket.Accounting
	dl   deadliner // nil when r is not live
	tell Teller    // nil when r does not want to know

	Buf     []byte
	At, End int    // the unread part of buf
	line    int64  // number of the line last returned, from 1
	cur     []byte // that line
	Err     error  // what the reader ended with
	armed   bool   // a read deadline is set
	Ticks   uint

	dropping bool // in the middle of a line that is passed over
}

func NewLines(ctx context.Context, r io.Reader, acct picket.Accounting) *Lines {
	l := &Lines{Ctx: ctx, r: r, Acct: acct, Buf: make([]byte, firstBuf)}
	l.dl, _ = r.(deadliner)
	l.tell, _ = r.(Teller)
	return l
}

// Pos is the position of the line last returned.
func (l *Lines) Pos() picket.Position { return picket.Position{Line: l.line, Record: l.cur} }

// Next returns the next line without its end (LF or CRLF). The slice is valid
// until the following call. io.EOF ends the input; errIdle is returned only when
// held is true.
func (l *Lines) Next(held bool) ([]byte, error) {
	if l.Ticks++; l.Ticks&63 == 0 {
		if err := l.Ctx.Err(); err != nil {
			return nil, err
		}
	}
	seen := 0 // bytes from at that hold no newline
	for {
		if i := bytes.IndexByte(l.Buf[l.At+seen:l.End], '\n'); i >= 0 {
			b := l.Buf[l.At : l.At+seen+i]
			l.At += seen + i + 1
			l.line++
			l.cur = l.trim(b)
			return l.cur, nil
		}
		seen = l.End - l.At
		if seen >= MaxLine {
			l.line++
			l.Acct.Reject(ReasonLineTooLong, picket.Position{Line: l.line})
			if err := l.dropLine(); err != nil {
				return nil, err
			}
			seen = 0
			continue
		}
		if l.Err != nil {
			if seen == 0 {
				return nil, l.Err
			}
			b := l.Buf[l.At:l.End]
			l.At = l.End
			l.line++
			l.cur = l.trim(b)
			return l.cur, nil
		}
		if err := l.Fill(held); err != nil {
			return nil, err
		}
	}
}

// Lookahead returns the first byte that is no white space, which it moves to.
func (l *Lines) Lookahead() (byte, error) {
	for {
		for ; l.At < l.End; l.At++ {
			switch c := l.Buf[l.At]; c {
			case ' ', '\t', '\r', 0xef, 0xbb, 0xbf: // with a byte order mark
			case '\n':
				l.line++
			default:
				return c, nil
			}
		}
		if l.Err != nil {
			return 0, l.Err
		}
		if err := l.Fill(false); err != nil {
			return 0, err
		}
	}
}

func (l *Lines) trim(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	if l.line == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // byte order mark
	}
	return b
}

// dropLine discards input up to and including the next newline.
func (l *Lines) dropLine() error {
	l.dropping = true
	defer func() { l.dropping = false }()
	for {
		if i := bytes.IndexByte(l.Buf[l.At:l.End], '\n'); i >= 0 {
			l.At += i + 1
			return nil
		}
		l.At, l.End = 0, 0
		if l.Err != nil {
			return l.Err
		}
		if err := l.Fill(false); err != nil {
			return err
		}
	}
}

// Fill reads more input behind the unread part, which it may move. The end of
// input is left in l.err; what is returned stops the caller at once.
func (l *Lines) Fill(held bool) error {
	if err := l.Ctx.Err(); err != nil {
		return err
	}
	if l.At > 0 {
		copy(l.Buf, l.Buf[l.At:l.End])
		l.At, l.End = 0, l.End-l.At
	}
	if l.End == len(l.Buf) {
		grown := make([]byte, min(2*len(l.Buf), MaxLine+firstBuf))
		copy(grown, l.Buf[:l.End])
		l.Buf = grown
	}
	l.arm(held)
	if l.tell != nil {
		n := l.End - l.At
		if l.dropping {
			n = -1
		}
		l.tell.Unread(n)
	}
	for range 100 {
		n, err := l.r.Read(l.Buf[l.End:])
		l.End += n
		switch {
		case err != nil && l.armed && errors.Is(err, os.ErrDeadlineExceeded):
			if n > 0 {
				return nil
			}
			return ErrIdle
		case err != nil:
			l.Err = err
			return nil
		case n > 0:
			return nil
		}
	}
	l.Err = io.ErrNoProgress
	return nil
}

// arm sets a read deadline while records are held, and clears it otherwise.
func (l *Lines) arm(held bool) {
	if l.dl == nil || (!held && !l.armed) {
		return
	}
	var when time.Time
	if held {
		when = time.Now().Add(idleAfter)
	}
	if l.dl.SetReadDeadline(when) != nil {
		l.dl = nil // a regular file: it never blocks
		return
	}
	l.armed = held
}

// Ended turns the reader's last error into a decoder's result.
func Ended(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it bare
		return nil
	}
	return err
}

// EachLine calls f for each line of a file's head until it returns false. A last
// line that has no end is handed over too.
func EachLine(head []byte, f func(line []byte) bool) {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		if !f(bytes.TrimSuffix(line, []byte("\r"))) {
			return
		}
		head = rest
	}
}
