package query

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
	maxLine = 1 << 20
	// firstBuf is the read buffer that input without long lines stays with.
	firstBuf = 64 << 10
	// idleAfter is how long live input may be silent before records that wait
	// for a partner are passed on.
	idleAfter = time.Second
)

// Reasons that all text formats share.
const (
	reasonLineTooLong = "line too long"
	skipBlank         = "blank line"
	skipComment       = "comment"
)

// errIdle is returned by lines.next when live input has been silent for
// idleAfter and the caller holds records.
var errIdle = errors.New("no data for now")

// deadliner is what live inputs (sockets, followed files) implement so that a
// decoder that holds records is not stuck with them while nothing arrives.
type deadliner interface {
	SetReadDeadline(time.Time) error
}

// lines cuts a stream into lines in one bounded buffer. A line longer than
// maxLine is rejected and skipped; the next one is read again.
type lines struct {
	ctx  context.Context
	r    io.Reader
	acct picket.Accounting
	dl   deadliner // nil when r is not live

	buf     []byte
	at, end int   // the unread part of buf
	line    int64 // number of the line last returned, from 1
	err     error // what the reader ended with
	armed   bool  // a read deadline is set
	ticks   uint
}

func newLines(ctx context.Context, r io.Reader, acct picket.Accounting) *lines {
	l := &lines{ctx: ctx, r: r, acct: acct, buf: make([]byte, firstBuf)}
	l.dl, _ = r.(deadliner)
	return l
}

// pos is the position of the line last returned.
func (l *lines) pos() picket.Position { return picket.Position{Line: l.line} }

// next returns the next line without its end (LF or CRLF). The slice is valid
// until the following call. io.EOF ends the input; errIdle is returned only when
// held is true.
func (l *lines) next(held bool) ([]byte, error) {
	if l.ticks++; l.ticks&63 == 0 {
		if err := l.ctx.Err(); err != nil {
			return nil, err
		}
	}
	seen := 0 // bytes from at that hold no newline
	for {
		if i := bytes.IndexByte(l.buf[l.at+seen:l.end], '\n'); i >= 0 {
			b := l.buf[l.at : l.at+seen+i]
			l.at += seen + i + 1
			l.line++
			return l.trim(b), nil
		}
		seen = l.end - l.at
		if seen >= maxLine {
			l.line++
			l.acct.Reject(reasonLineTooLong, l.pos())
			if err := l.dropLine(); err != nil {
				return nil, err
			}
			seen = 0
			continue
		}
		if l.err != nil {
			if seen == 0 {
				return nil, l.err
			}
			b := l.buf[l.at:l.end]
			l.at = l.end
			l.line++
			return l.trim(b), nil
		}
		if err := l.fill(held); err != nil {
			return nil, err
		}
	}
}

// lookahead returns the first byte that is no white space, which it moves to.
func (l *lines) lookahead() (byte, error) {
	for {
		for ; l.at < l.end; l.at++ {
			switch c := l.buf[l.at]; c {
			case ' ', '\t', '\r', 0xef, 0xbb, 0xbf: // with a byte order mark
			case '\n':
				l.line++
			default:
				return c, nil
			}
		}
		if l.err != nil {
			return 0, l.err
		}
		if err := l.fill(false); err != nil {
			return 0, err
		}
	}
}

func (l *lines) trim(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	if l.line == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // byte order mark
	}
	return b
}

// dropLine discards input up to and including the next newline.
func (l *lines) dropLine() error {
	for {
		if i := bytes.IndexByte(l.buf[l.at:l.end], '\n'); i >= 0 {
			l.at += i + 1
			return nil
		}
		l.at, l.end = 0, 0
		if l.err != nil {
			return l.err
		}
		if err := l.fill(false); err != nil {
			return err
		}
	}
}

// fill reads more input behind the unread part, which it may move. The end of
// input is left in l.err; what is returned stops the caller at once.
func (l *lines) fill(held bool) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if l.at > 0 {
		copy(l.buf, l.buf[l.at:l.end])
		l.at, l.end = 0, l.end-l.at
	}
	if l.end == len(l.buf) {
		grown := make([]byte, min(2*len(l.buf), maxLine+firstBuf))
		copy(grown, l.buf[:l.end])
		l.buf = grown
	}
	l.arm(held)
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		switch {
		case err != nil && l.armed && errors.Is(err, os.ErrDeadlineExceeded):
			if n > 0 {
				return nil
			}
			return errIdle
		case err != nil:
			l.err = err
			return nil
		case n > 0:
			return nil
		}
	}
	l.err = io.ErrNoProgress
	return nil
}

// arm sets a read deadline while records are held, and clears it otherwise.
func (l *lines) arm(held bool) {
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

// ended turns the reader's last error into a decoder's result.
func ended(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it bare
		return nil
	}
	return err
}
