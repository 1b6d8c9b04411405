package query

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
)

// CBOR (RFC 8949): major types, and what marks the end of a list of unknown length.
const (
	cborUint  = 0
	cborNeg   = 1
	cborBytes = 2
	cborText  = 3
	cborArray = 4
	cborMap   = 5
	cborTag   = 6
	cborOther = 7
	cborBreak = 0xff

	// maxCborDepth bounds how deep items may lie in others. C-DNS needs six.
	maxCborDepth = 16
	cborEndless  = ^uint64(0) // the rest of a list of unknown length
)

var (
	errCborBroken = errors.New("broken CBOR")
	errCborDeep   = errors.New("CBOR nested too deep")
	errCborLarge  = errors.New("CBOR item too large")
)

// cborHead reads the head of the item at the start of b: its major type, its
// argument, whether its length is unknown, and how many bytes the head has. n is
// 0 when b is too short, and negative when there is no such head.
func cborHead(b []byte) (major byte, arg uint64, endless bool, n int) {
	if len(b) == 0 {
		return 0, 0, false, 0
	}
	major, low := b[0]>>5, b[0]&0x1f
	switch {
	case low < 24:
		return major, uint64(low), false, 1
	case low < 28:
		if n = 1 + 1<<(low-24); len(b) < n {
			return 0, 0, false, 0
		}
		for _, x := range b[1:n] {
			arg = arg<<8 | uint64(x)
		}
		return major, arg, false, n
	case low == 31 && major >= cborBytes && major != cborTag:
		return major, 0, true, 1
	}
	return 0, 0, false, -1
}

// cborStream reads items from a stream whose length nobody says beforehand.
type cborStream struct {
	ctx     context.Context
	r       io.Reader
	buf     []byte
	at, end int   // the unread part of buf
	base    int64 // offset in the stream of buf[0]
	err     error
}

func newCborStream(ctx context.Context, r io.Reader) *cborStream {
	return &cborStream{ctx: ctx, r: r, buf: make([]byte, 64<<10)}
}

func (s *cborStream) offset() int64 { return s.base + int64(s.at) }

// need makes n bytes available at s.at. io.EOF means that there are none at all,
// io.ErrUnexpectedEOF that there are too few. The buffer grows with what arrives,
// not with what is promised.
func (s *cborStream) need(n int) error {
	for idle := 0; s.end-s.at < n; {
		if s.err == nil {
			s.err = s.ctx.Err()
		}
		if s.err != nil {
			if s.err == io.EOF && s.end > s.at {
				return io.ErrUnexpectedEOF
			}
			return s.err
		}
		if s.at > 0 && s.end == len(s.buf) {
			copy(s.buf, s.buf[s.at:s.end])
			s.base += int64(s.at)
			s.at, s.end = 0, s.end-s.at
		}
		if s.end == len(s.buf) {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
		got, err := s.r.Read(s.buf[s.end:])
		s.end += got
		s.err = err
		if idle++; got > 0 {
			idle = 0
		} else if idle > 100 && err == nil {
			s.err = io.ErrNoProgress
		}
	}
	return nil
}

// headAt reads the head of the item pos bytes ahead.
func (s *cborStream) headAt(pos int) (major byte, arg uint64, endless bool, n int, err error) {
	for {
		if s.end-s.at > pos {
			major, arg, endless, n = cborHead(s.buf[s.at+pos : s.end])
			if n > 0 {
				return major, arg, endless, n, nil
			}
			if n < 0 {
				return 0, 0, false, 0, errCborBroken
			}
		}
		if err = s.need(max(s.end-s.at, pos) + 1); err != nil {
			if err == io.EOF && pos > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, false, 0, err
		}
	}
}

// head reads the head of the next item and moves behind it.
func (s *cborStream) head() (major byte, arg uint64, endless bool, err error) {
	major, arg, endless, n, err := s.headAt(0)
	s.at += n
	return major, arg, endless, err
}

// ended reports whether a list of unknown length ends here, and moves on if so.
func (s *cborStream) ended() (bool, error) {
	if err := s.need(1); err != nil {
		return false, err
	}
	if s.buf[s.at] != cborBreak {
		return false, nil
	}
	s.at++
	return true, nil
}

// item returns the next item whole, of at most limit bytes. It is well-formed,
// and valid until the next call.
func (s *cborStream) item(limit int) ([]byte, error) {
	var left [maxCborDepth]uint64
	left[0] = 1
	pos, depth := 0, 0
	for depth >= 0 {
		if left[depth] == 0 {
			depth--
			continue
		}
		if left[depth] == cborEndless {
			if err := s.ahead(pos + 1); err != nil {
				return nil, err
			}
			if s.buf[s.at+pos] == cborBreak {
				pos++
				depth--
				continue
			}
		} else {
			left[depth]--
		}
		major, arg, endless, n, err := s.headAt(pos)
		if err != nil {
			return nil, err
		}
		pos += n
		inner := uint64(0)
		switch {
		case endless && major == cborOther:
			return nil, errCborBroken // a break where there is nothing to end
		case endless:
			inner = cborEndless
		case arg > uint64(limit) && major >= cborBytes && major <= cborMap:
			return nil, errCborLarge
		case major == cborBytes || major == cborText:
			pos += int(arg)
		case major == cborArray:
			inner = arg
		case major == cborMap:
			inner = 2 * arg
		case major == cborTag:
			inner = 1
		}
		if pos > limit {
			return nil, errCborLarge
		}
		if inner > 0 {
			if depth++; depth == maxCborDepth {
				return nil, errCborDeep
			}
			left[depth] = inner
		}
	}
	if err := s.ahead(pos); err != nil {
		return nil, err
	}
	b := s.buf[s.at : s.at+pos : s.at+pos]
	s.at += pos
	return b, nil
}

// ahead is need within an item, in which no end of the stream is a good one.
func (s *cborStream) ahead(n int) error {
	err := s.need(n)
	if err == io.EOF && n > 1 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// cborCursor walks over an item in memory. After an error bad holds, and every
// further step returns nothing.
type cborCursor struct {
	b   []byte
	i   int
	bad bool
}

// cborList is what is left of an array or a map stepped into.
type cborList struct {
	left    uint64
	endless bool
}

func (c *cborCursor) fail() { c.bad, c.i = true, len(c.b) }

// head reads a head; tags are passed over, as none changes what C-DNS says.
func (c *cborCursor) head() (major byte, arg uint64, endless bool) {
	if c.i < len(c.b) { // nearly all heads are one byte
		if x := c.b[c.i]; x&0x1f < 24 && x>>5 != cborTag {
			c.i++
			return x >> 5, uint64(x & 0x1f), false
		}
	}
	for !c.bad {
		var n int
		if major, arg, endless, n = cborHead(c.b[c.i:]); n <= 0 {
			break
		}
		if c.i += n; major != cborTag {
			return major, arg, endless
		}
	}
	c.fail()
	return cborOther, 0, false
}

// uint reads an unsigned number.
func (c *cborCursor) uint() uint64 {
	major, arg, _ := c.head()
	if major != cborUint {
		c.fail()
		return 0
	}
	return arg
}

// key reads a map's key: a number, -1 for those of private use.
func (c *cborCursor) key() int {
	major, arg, _ := c.head()
	switch {
	case major == cborUint && arg < 1<<16:
		return int(arg)
	case major == cborUint, major == cborNeg:
		return -1
	}
	c.fail()
	return -1
}

// bytes reads a string of bytes or text.
func (c *cborCursor) bytes() []byte {
	major, arg, endless := c.head()
	if major != cborBytes && major != cborText || endless || arg > uint64(len(c.b)-c.i) {
		c.fail()
		return nil
	}
	at := c.i
	c.i += int(arg)
	return c.b[at:c.i:c.i]
}

// list steps into an array or a map.
func (c *cborCursor) list(want byte) cborList {
	major, arg, endless := c.head()
	if major != want {
		c.fail()
		return cborList{}
	}
	return cborList{left: arg, endless: endless}
}

// more reports whether the list has another element, or another key.
func (c *cborCursor) more(l *cborList) bool {
	if c.bad {
		return false
	}
	if l.endless {
		if c.i < len(c.b) && c.b[c.i] == cborBreak {
			c.i++
			*l = cborList{}
			return false
		}
		return true
	}
	if l.left == 0 {
		return false
	}
	l.left--
	return true
}

// raw returns the next item's bytes.
func (c *cborCursor) raw() []byte {
	at := c.i
	c.skip(0)
	if c.bad {
		return nil
	}
	return c.b[at:c.i:c.i]
}

// skip passes over an item.
func (c *cborCursor) skip(depth int) {
	major, arg, endless := c.head()
	switch {
	case c.bad:
	case depth == maxCborDepth, endless && major == cborOther:
		c.fail()
	case (major == cborBytes || major == cborText) && !endless:
		if arg > uint64(len(c.b)-c.i) {
			c.fail()
			return
		}
		c.i += int(arg)
	case major >= cborBytes && major <= cborMap:
		each := 1
		if major == cborMap {
			each = 2
		}
		for l := (cborList{left: arg, endless: endless}); c.more(&l); {
			for range each {
				c.skip(depth + 1)
			}
		}
	}
}

// appendCborHead writes the head of an item.
func appendCborHead(b []byte, major byte, arg uint64) []byte {
	switch {
	case arg < 24:
		return append(b, major<<5|byte(arg))
	case arg < 1<<8:
		return append(b, major<<5|24, byte(arg))
	case arg < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major<<5|25), uint16(arg))
	case arg < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major<<5|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, major<<5|27), arg)
}
