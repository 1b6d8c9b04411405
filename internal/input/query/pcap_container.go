package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Bounds of the containers. The capture libraries write packets of at most
// 256 KiB; a larger figure means that the stream is not what it says.
const (
	windowSize    = 1 << 20
	maxCaptured   = 1 << 18
	maxBlock      = windowSize / 2
	maxInterfaces = 1 << 12
)

// Magic numbers, as they read when the writer's byte order is the reader's.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34 // Kuznetzov's patched libpcap: 8 more bytes a record
	blockSection  = 0x0a0d0d0a
	magicSection  = 0x1a2b3c4d
)

// pcapFrame is one captured packet.
type pcapFrame struct {
	time int64 // Unix nanoseconds
	link uint32
	data []byte
	cut  bool  // the capture kept less than the packet had
	lost int   // by how many bytes
	at   int64 // byte offset of the record in the stream
}

// pcapWindow is a large buffer over a stream. What it returns is valid until the
// next call, and read in place.
type pcapWindow struct {
	ctx    context.Context
	r      io.Reader
	buf    []byte
	lo, hi int
	base   int64 // offset in the stream of buf[0]
	err    error

	// Of live input: idle is called when nothing has come for idleAfter while holds
	// says that something is held.
	live  interface{ SetReadDeadline(time.Time) error }
	holds func() bool
	idle  func() error
}

// idleAfter is how long live input may be silent before queries that wait for
// their responses are passed on. It is longer than they wait in event time.
const idleAfter = 3 * time.Second

func newWindow(ctx context.Context, r io.Reader) *pcapWindow {
	return &pcapWindow{ctx: ctx, r: r, buf: make([]byte, windowSize)}
}

// offset returns the offset in the stream of the next byte.
func (w *pcapWindow) offset() int64 { return w.base + int64(w.lo) }

// next returns the next n bytes, at most windowSize. At the end of the stream it
// returns what is left with io.EOF (nothing) or io.ErrUnexpectedEOF (less than n).
func (w *pcapWindow) next(n int) ([]byte, error) {
	if w.hi-w.lo < n {
		if err := w.fill(n); err != nil {
			return w.buf[w.lo:w.hi], err
		}
	}
	b := w.buf[w.lo : w.lo+n : w.lo+n]
	w.lo += n
	return b, nil
}

func (w *pcapWindow) fill(n int) error {
	if w.lo > 0 {
		copy(w.buf, w.buf[w.lo:w.hi])
		w.base += int64(w.lo)
		w.lo, w.hi = 0, w.hi-w.lo
	}
	for empty := 0; w.hi < n; {
		if w.err == nil {
			w.err = w.ctx.Err()
		}
		if w.err != nil {
			if w.err == io.EOF && w.hi > 0 {
				return io.ErrUnexpectedEOF
			}
			return w.err
		}
		armed := w.arm()
		got, err := w.r.Read(w.buf[w.hi:])
		w.hi += got
		if armed && errors.Is(err, os.ErrDeadlineExceeded) {
			if err = nil; got == 0 {
				empty, err = 0, w.idle()
			}
		}
		w.err = err
		if empty++; got > 0 {
			empty = 0
		} else if empty > 100 && err == nil {
			w.err = io.ErrNoProgress
		}
	}
	return nil
}

// arm sets a deadline while something is held, and reports whether it did.
func (w *pcapWindow) arm() bool {
	if w.live == nil {
		return false
	}
	var when time.Time
	held := w.holds()
	if held {
		when = time.Now().Add(idleAfter)
	}
	if w.live.SetReadDeadline(when) != nil {
		w.live = nil // a regular file: it never blocks
		return false
	}
	return held
}

// skip passes over n bytes, however many.
func (w *pcapWindow) skip(n int64) error {
	for n > 0 {
		k := int(min(n, windowSize))
		if _, err := w.next(k); err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// broken makes the error for a container that cannot be read on, at offset.
func (w *pcapWindow) broken(what string, at int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return fmt.Errorf("pcap: %s at offset %d: the stream ends within it, at offset %d: %w",
			what, at, w.base+int64(w.hi), io.ErrUnexpectedEOF)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("pcap: %s at offset %d: %w", what, at, err)
}

// DetectPcap looks at the first bytes of a stream and returns 100 for a pcap or
// pcapng capture of a version that Pcap reads, 0 for anything else.
func DetectPcap(head []byte) int {
	if len(head) < 12 {
		return 0
	}
	if binary.LittleEndian.Uint32(head) == blockSection {
		if sectionOrder(head[8:]) != nil {
			return 100
		}
		return 0
	}
	if order, _, _ := classicMagic(head); order != nil && order.Uint16(head[4:]) == 2 {
		return 100
	}
	return 0
}

// classicMagic reads a pcap magic number: byte order, nanoseconds per unit of the
// fraction, and size of a record header. order is nil when it is none.
func classicMagic(b []byte) (order binary.ByteOrder, unit int64, header int) {
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(b) {
		case magicMicro:
			return order, 1000, 16
		case magicNano:
			return order, 1, 16
		case magicModified:
			return order, 1000, 24
		}
	}
	return nil, 0, 0
}

func sectionOrder(b []byte) binary.ByteOrder {
	switch binary.LittleEndian.Uint32(b) {
	case magicSection:
		return binary.LittleEndian
	case 0x4d3c2b1a:
		return binary.BigEndian
	}
	return nil
}

// readFrames reads either container to its end and hands each packet to take.
func readFrames(w *pcapWindow, acct rejecter, take func(*pcapFrame) error) error {
	head, err := w.next(4)
	if err == io.EOF {
		return nil // an empty stream has no packets
	}
	if err != nil {
		return w.broken("header", 0, err)
	}
	if binary.LittleEndian.Uint32(head) == blockSection {
		w.lo -= 4
		ng := blockReader{w: w, acct: acct, take: take}
		return ng.run()
	}
	order, unit, size := classicMagic(head)
	if order == nil {
		return fmt.Errorf("pcap: header at offset 0: magic number %#x is neither pcap nor pcapng", binary.BigEndian.Uint32(head))
	}
	if head, err = w.next(20); err != nil {
		return w.broken("header", 0, err)
	}
	// The upper bits of the link type tell of frame check sequences.
	f := pcapFrame{link: order.Uint32(head[16:]) & 0xffff}
	if !linkKnown(f.link) {
		return fmt.Errorf("pcap: header at offset 0: link type %d is not supported", f.link)
	}
	little := order == binary.ByteOrder(binary.LittleEndian)
	for {
		f.at = w.offset()
		var h []byte
		if w.hi-w.lo >= size {
			h = w.buf[w.lo : w.lo+size]
			w.lo += size
		} else if h, err = w.next(size); err == io.EOF {
			return nil
		} else if err != nil {
			return w.broken("packet record", f.at, err)
		}
		var sec, frac, captured, length uint32
		if little {
			sec, frac = binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
			captured, length = binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
		} else {
			sec, frac = binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
			captured, length = binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
		}
		if captured > maxCaptured {
			return fmt.Errorf("pcap: packet record at offset %d: captured length %d exceeds %d", f.at, captured, maxCaptured)
		}
		if n := int(captured); w.hi-w.lo >= n {
			f.data = w.buf[w.lo : w.lo+n : w.lo+n]
			w.lo += n
		} else if f.data, err = w.next(n); err != nil {
			return w.broken("packet record", f.at, err)
		}
		f.time = int64(sec)*1e9 + int64(frac)*unit
		f.cut, f.lost = captured < length, int(max(length, captured)-captured)
		if err := take(&f); err != nil {
			return err
		}
	}
}
