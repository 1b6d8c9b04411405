package query

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/picket-dns/picket"
)

// rejecter is the part of picket.Accounting that the container readers need.
type rejecter interface {
	Reject(reason string, at picket.Position)
}

// pcapng block types (draft-ietf-opsawg-pcapng).
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
)

// pcapIface is an interface of a section.
type pcapIface struct {
	link    uint32
	snap    uint32
	binary  bool // resolution is a negative power of two, else of ten
	exp     uint8
	seconds int64 // if_tsoffset
}

// nanos turns a timestamp of this interface into Unix nanoseconds, clamped.
func (f *pcapIface) nanos(ticks uint64) int64 {
	var ns uint64
	switch {
	case f.binary && f.exp < 64:
		sec, frac := ticks>>f.exp, ticks&(1<<f.exp-1)
		if sec > math.MaxInt64/1_000_000_000 {
			return math.MaxInt64
		}
		hi, lo := bits.Mul64(frac, 1e9)
		ns = sec * 1e9
		if f.exp > 0 {
			ns += hi<<(64-f.exp) | lo>>f.exp
		}
	case !f.binary && f.exp <= 9:
		hi, lo := bits.Mul64(ticks, pow10(9-f.exp))
		if hi != 0 {
			return math.MaxInt64
		}
		ns = lo
	case !f.binary && f.exp <= 28:
		ns = ticks / pow10(f.exp-9)
	}
	if ns > math.MaxInt64 {
		return math.MaxInt64
	}
	t := int64(ns)
	if f.seconds == 0 {
		return t
	}
	if f.seconds > math.MaxInt64/1_000_000_000 || f.seconds < math.MinInt64/1_000_000_000 {
		return t
	}
	if s := f.seconds * 1e9; s <= 0 || t <= math.MaxInt64-s {
		return t + s
	}
	return math.MaxInt64
}

func pow10(n uint8) uint64 {
	p := uint64(1)
	for ; n > 0; n-- {
		p *= 10
	}
	return p
}

// blockReader reads pcapng.
type blockReader struct {
	w      *pcapWindow
	acct   rejecter
	take   func(*pcapFrame) error
	order  binary.ByteOrder
	ifaces []pcapIface
	last   int64 // newest timestamp, for simple packets, which have none
	f      pcapFrame
}

func (r *blockReader) run() error {
	for {
		at := r.w.offset()
		h, err := r.w.next(8)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return r.w.broken("block", at, err)
		}
		if binary.LittleEndian.Uint32(h) == blockSection {
			err = r.section(at)
		} else if r.order == nil {
			err = fmt.Errorf("pcap: block at offset %d: packet data before any section", at)
		} else {
			err = r.block(at, r.order.Uint32(h), r.order.Uint32(h[4:]))
		}
		if err != nil {
			return err
		}
	}
}

// section reads a section header, whose first eight bytes are behind.
func (r *blockReader) section(at int64) error {
	r.w.lo -= 4 // the length again, once the byte order is known
	b, err := r.w.next(8)
	if err != nil {
		return r.w.broken("section header", at, err)
	}
	order := sectionOrder(b[4:])
	if order == nil {
		return fmt.Errorf("pcap: section header at offset %d: byte-order magic %#x is not known", at, binary.BigEndian.Uint32(b[4:]))
	}
	n := order.Uint32(b)
	if n < 28 || n%4 != 0 || n > maxBlock {
		return fmt.Errorf("pcap: section header at offset %d: block length %d is not possible", at, n)
	}
	if b, err = r.w.next(int(n) - 12); err != nil {
		return r.w.broken("section header", at, err)
	}
	if major := order.Uint16(b); major != 1 {
		return fmt.Errorf("pcap: section header at offset %d: version %d is not supported", at, major)
	}
	r.order, r.ifaces = order, r.ifaces[:0]
	return r.trailer(b[len(b)-4:], n, at)
}

func (r *blockReader) trailer(b []byte, n uint32, at int64) error {
	if got := r.order.Uint32(b); got != n {
		return fmt.Errorf("pcap: block at offset %d: length %d at its start, %d at its end", at, n, got)
	}
	return nil
}

// block reads one block whose type and length are behind.
func (r *blockReader) block(at int64, kind, n uint32) error {
	if n < 12 || n%4 != 0 {
		return fmt.Errorf("pcap: block at offset %d: block length %d is not possible", at, n)
	}
	body := int64(n) - 12
	switch kind {
	case blockInterface, blockPacket, blockSimple, blockEnhanced:
	default: // names, statistics, secrets, custom blocks
		if err := r.w.skip(body); err != nil {
			return r.w.broken("block", at, err)
		}
		b, err := r.w.next(4)
		if err != nil {
			return r.w.broken("block", at, err)
		}
		return r.trailer(b, n, at)
	}
	if n > maxBlock {
		return fmt.Errorf("pcap: block at offset %d: block length %d exceeds %d", at, n, maxBlock)
	}
	b, err := r.w.next(int(body) + 4)
	if err != nil {
		return r.w.broken("block", at, err)
	}
	if err := r.trailer(b[body:], n, at); err != nil {
		return err
	}
	b = b[:body]
	r.f.at = at
	switch kind {
	case blockInterface:
		return r.iface(b, at)
	case blockSimple:
		return r.simple(b)
	}
	return r.packet(b, kind)
}

func (r *blockReader) iface(b []byte, at int64) error {
	if len(b) < 8 || len(r.ifaces) == maxInterfaces {
		return fmt.Errorf("pcap: interface description at offset %d: %d bytes, interface %d", at, len(b), len(r.ifaces))
	}
	f := pcapIface{link: uint32(r.order.Uint16(b)), snap: r.order.Uint32(b[4:]), exp: 6}
	for o := b[8:]; len(o) >= 4; {
		code, n := r.order.Uint16(o), int(r.order.Uint16(o[2:]))
		if code == 0 || 4+n > len(o) {
			break
		}
		v := o[4 : 4+n]
		switch {
		case code == 9 && n >= 1: // if_tsresol
			f.binary, f.exp = v[0]&0x80 != 0, v[0]&0x7f
		case code == 14 && n >= 8: // if_tsoffset
			f.seconds = int64(r.order.Uint64(v))
		}
		o = o[min(4+(n+3)&^3, len(o)):]
	}
	r.ifaces = append(r.ifaces, f)
	return nil
}

// packet reads an enhanced packet block, or the obsolete packet block, which
// differs in its first word only.
func (r *blockReader) packet(b []byte, kind uint32) error {
	if len(b) < 20 {
		r.acct.Reject("short packet block", r.fault(kind, b))
		return nil
	}
	id := r.order.Uint32(b)
	if kind == blockPacket {
		id = uint32(r.order.Uint16(b))
	}
	captured, length := r.order.Uint32(b[12:]), r.order.Uint32(b[16:])
	if int64(id) >= int64(len(r.ifaces)) || int64(captured) > int64(len(b)-20) {
		r.acct.Reject("bad packet block", r.fault(kind, b))
		return nil
	}
	f := &r.ifaces[id]
	r.last = f.nanos(uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:])))
	return r.hand(f, b[20:20+captured], length)
}

// simple reads a simple packet block: the first interface, and no time; it gets
// that of the packet before it.
func (r *blockReader) simple(b []byte) error {
	if len(b) < 4 || len(r.ifaces) == 0 {
		r.acct.Reject("bad packet block", r.fault(blockSimple, b))
		return nil
	}
	f := &r.ifaces[0]
	length := r.order.Uint32(b)
	n := min(int64(length), int64(len(b)-4))
	if f.snap > 0 {
		n = min(n, int64(f.snap))
	}
	return r.hand(f, b[4:4+n], length)
}

// hand gives on a packet that had length bytes before it was cut.
func (r *blockReader) hand(f *pcapIface, data []byte, length uint32) error {
	r.f.time, r.f.link, r.f.data = r.last, f.link, data
	r.f.lost = max(int(length)-len(data), 0)
	r.f.cut = r.f.lost > 0
	return r.take(&r.f)
}
