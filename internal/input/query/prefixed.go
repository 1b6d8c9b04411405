package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// feed hands out bytes from the buffer of Lines and knows their offset.
type feed struct {
	*decode.Lines
	base int64 // offset in the input of the buffer's first unread byte
}

// need makes n bytes available at f.At. io.EOF means that there are none at
// all, io.ErrUnexpectedEOF that there are too few.
func (f *feed) need(n int, held bool) error {
	for f.End-f.At < n {
		if f.Err != nil {
			if f.Err == io.EOF && f.End > f.At {
				return io.ErrUnexpectedEOF
			}
			return f.Err
		}
		if err := f.Fill(held); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed) take(n int) []byte {
	b := f.Buf[f.At : f.At+n]
	f.At += n
	f.base += int64(n)
	return b
}

// discard passes over n bytes, however many.
func (f *feed) discard(n int64) error {
	for n > 0 {
		if err := f.need(1, false); err != nil {
			if err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		n -= int64(len(f.take(int(min(n, int64(f.End-f.At))))))
	}
	return nil
}

// tick looks at the context now and then.
func (f *feed) tick() error {
	if f.Ticks++; f.Ticks&63 == 0 {
		return f.Ctx.Err()
	}
	return nil
}

// prefixed cuts a stream into messages with their lengths in front (16 bits,
// big-endian), as PowerDNS's remote logger writes them. An input that is one
// message and nothing else is taken too.
type prefixed struct {
	feed
	format string
	looks  func([]byte) bool // whether bytes are one whole message
	start  func(byte) bool   // whether a message can begin so
	begun  bool
}

func newPrefixed(ctx context.Context, r io.Reader, acct picket.Accounting, format string, looks func([]byte) bool, start func(byte) bool) *prefixed {
	return &prefixed{feed: feed{Lines: decode.NewLines(ctx, r, acct)}, format: format, looks: looks, start: start}
}

// next returns the next message and its offset; io.EOF ends the stream.
func (p *prefixed) next(held bool) (msg []byte, at int64, err error) {
	if err := p.tick(); err != nil {
		return nil, 0, err
	}
	at = p.base
	if !p.begun {
		p.begun = true
		whole, err := p.first()
		if err != nil {
			return nil, 0, err
		}
		if whole {
			return p.take(p.End - p.At), at, nil
		}
	}
	if err := p.need(2, held); err != nil {
		return nil, 0, p.cut(err)
	}
	n := int(binary.BigEndian.Uint16(p.Buf[p.At:]))
	// The length stays unread until its message is there, so that an idle moment
	// between the two loses nothing.
	if err := p.need(2+n, held); err != nil {
		return nil, 0, p.cut(err)
	}
	p.take(2)
	return p.take(n), at, nil
}

// first tells whether the input is one message without length. A stream that
// begins with a sound message is known without waiting for more.
func (p *prefixed) first() (whole bool, err error) {
	complete := false
	if err = p.need(2, false); err == nil {
		n := int(binary.BigEndian.Uint16(p.Buf[p.At:]))
		if err = p.need(2+n, false); err == nil {
			if complete = true; p.looks(p.Buf[p.At+2 : p.At+2+n]) {
				return false, nil
			}
		}
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	if complete && !p.start(p.Buf[p.At]) {
		return false, nil
	}
	if err = p.need(maxFrame, false); err == nil {
		return false, nil // more than a message has: what is wrong with the lengths will be told
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return !complete || p.looks(p.Buf[p.At:p.End]), nil
}

// cut says where a stream that ends within a message does so.
func (p *prefixed) cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: stream ends within the message at offset %d: %w", p.format, p.base, err)
	}
	return err
}

// prefixedRecord returns a message as a stream of its own, nil when it is too
// large. buf is used again.
func prefixedRecord(buf, msg []byte) []byte {
	if len(msg) > maxRecord-2 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(buf[:0], uint16(len(msg))), msg...)
}

// detectPrefixed is how sure a file's head is of messages that look so: the
// first, and the second when it is there, with their lengths in front, or one
// alone.
func detectPrefixed(head []byte, looks func([]byte) bool) int {
	if len(head) < 2 {
		return 0
	}
	n := 2 + int(binary.BigEndian.Uint16(head))
	if n > len(head) || !looks(head[2:n]) {
		if looks(head) {
			return 90
		}
		return 0
	}
	rest := head[n:]
	if len(rest) == 0 {
		return 90
	}
	if len(rest) >= 2 {
		if n = 2 + int(binary.BigEndian.Uint16(rest)); n <= len(rest) && looks(rest[2:n]) {
			return 95
		}
	}
	return 75
}
