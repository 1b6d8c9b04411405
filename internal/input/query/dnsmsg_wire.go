package query

import (
	"encoding/binary"

	"github.com/picket-dns/picket/internal/dnsname"
)

// msgRecord is one resource record of a message (RFC 1035 §4.1.3) without its owner.
type msgRecord struct {
	typ, class uint16
	ttl        uint32
	at, end    int // of the data, in the message
}

// data returns the record's data; msg is what it was read from.
func (r *msgRecord) data(msg []byte) []byte { return msg[r.at:r.end:r.end] }

// read reads the record at off and returns the offset after it, 0 when it runs
// past the end.
func (r *msgRecord) read(msg []byte, off int) int {
	if off < len(msg) && msg[off] >= 0xc0 {
		off += 2
	} else if off = skipName(msg, off); off == 0 {
		return 0
	}
	if off+10 > len(msg) {
		return 0
	}
	h := msg[off : off+10 : off+10]
	r.at = off + 10
	r.end = r.at + int(binary.BigEndian.Uint16(h[8:]))
	r.typ, r.class, r.ttl = binary.BigEndian.Uint16(h), binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:])
	if r.end > len(msg) {
		return 0
	}
	return r.end
}

// skipRecord returns the offset after the record at off, 0 when it runs past the end.
func skipRecord(msg []byte, off int) int {
	off = skipName(msg, off)
	if off <= 0 || off+10 > len(msg) {
		return 0
	}
	off += 10 + int(binary.BigEndian.Uint16(msg[off+8:]))
	if off > len(msg) {
		return 0
	}
	return off
}

// skipName returns the offset after the name at off, 0 when there is none. It
// does not follow pointers.
func skipName(msg []byte, off int) int {
	for off < len(msg) {
		c := int(msg[off])
		switch {
		case c == 0:
			return off + 1
		case c < 0x40:
			off += 1 + c
		case c >= 0xc0:
			return off + 2
		default:
			return 0
		}
	}
	return 0
}

// appendName is dnsname.AppendWire with a quick way for names without pointers,
// which in questions is nearly all of them.
func appendName(dst, msg []byte, off int) (out []byte, next int, mixed bool, err error) {
	end := off
	for {
		if end >= len(msg) {
			return dst, 0, false, dnsname.ErrTruncated
		}
		c := int(msg[end])
		if c > dnsname.MaxLabel {
			return dnsname.AppendWire(dst, msg, off)
		}
		end += 1 + c
		if c == 0 {
			break
		}
	}
	if end-off > dnsname.MaxLen {
		return dst, 0, false, dnsname.ErrTooLong
	}
	at := len(dst)
	dst = append(dst, msg[off:end]...)
	return dst, end, lowerWire(dst[at:]), nil
}

// lowerWire turns the letters of an uncompressed name into lower case, eight
// octets at a time, and reports whether any was not. Length octets are at most
// 63 and so are no letters.
func lowerWire(name []byte) (mixed bool) {
	var found uint64
	i := 0
	for ; i+8 <= len(name); i += 8 {
		found |= lower8(name[i:])
	}
	if i < len(name) && i > 0 {
		return found|lower8(name[len(name)-8:]) != 0 // overlaps: lower case stays lower case
	}
	for ; i < len(name); i++ {
		if l := dnsname.Lower(name[i]); l != name[i] {
			name[i] = l
			found = 1
		}
	}
	return found != 0
}

// lower8 lowers eight octets in place and returns a mask that is 0 when nothing changed.
func lower8(b []byte) uint64 {
	const high, seven = 0x8080808080808080, 0x7f7f7f7f7f7f7f7f
	x := binary.LittleEndian.Uint64(b)
	low := x & seven
	upper := (low + (128-'A')*0x0101010101010101) &^ (low + (127-'Z')*0x0101010101010101) &^ x & high
	if upper != 0 {
		binary.LittleEndian.PutUint64(b, x|upper>>2)
	}
	return upper
}

// firstLabel returns the first label of the name at off, through pointers that
// go backwards; nil when there is none.
func firstLabel(msg []byte, off int) []byte {
	for off+1 < len(msg) && msg[off] >= 0xc0 {
		to := int(msg[off]&0x3f)<<8 | int(msg[off+1])
		if to >= off {
			return nil
		}
		off = to
	}
	if off >= len(msg) || msg[off] == 0 || msg[off] > dnsname.MaxLabel || off+1+int(msg[off]) > len(msg) {
		return nil
	}
	return msg[off+1 : off+1+int(msg[off])]
}

// appendBase32Hex appends what a label in base32hex without padding stands for
// (RFC 5155 §3.3). ok is false, and dst unchanged, when it is not such a label.
func appendBase32Hex(dst, label []byte) (out []byte, ok bool) {
	if len(label) == 0 {
		return dst, false
	}
	out = dst
	var acc, bits uint
	for _, c := range label {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'v':
			c -= 'a' - 10
		case c >= 'A' && c <= 'V':
			c -= 'A' - 10
		default:
			return dst, false
		}
		acc, bits = acc<<5|uint(c), bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	return out, true
}
