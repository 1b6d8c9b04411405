package query

import (
	"encoding/binary"

	"github.com/picket-dns/picket"
)

// maxRecord bounds picket.Position.Record of the binary formats. What is larger
// is rejected without its bytes.
const maxRecord = 1 << 16

// asCapture returns a packet as a capture of its own: a pcap header for the
// packet's link type, nanoseconds, and the one packet. It is nil when the packet
// is too large. buf is used again.
func asCapture(buf []byte, f *pcapFrame) []byte {
	if len(f.data) > maxRecord-40 {
		return nil
	}
	le := binary.LittleEndian
	b := buf[:0]
	for _, v := range [...]uint32{magicNano, 2 | 4<<16, 0, 0, maxCaptured, f.link,
		uint32(f.time / 1e9), uint32(f.time % 1e9), uint32(len(f.data)), uint32(len(f.data) + f.lost)} {
		b = le.AppendUint32(b, v)
	}
	return append(b, f.data...)
}

// record is the position of the packet at hand with its bytes. What is rejected
// later than its packet, as pieces that never became whole are, has none.
func (d *pcapDecoder) record(at int64) picket.Position {
	p := picket.Position{Offset: at}
	if f := d.now; f != nil && f.at == at {
		if b := asCapture(d.recordBuf, f); b != nil {
			d.recordBuf, p.Record = b, b
		}
	}
	return p
}

// fault is the position of a packet block that cannot be read: the block behind
// a section header of the same byte order. No interface is described there, so
// that the block is bad for the same reason.
func (r *blockReader) fault(kind uint32, body []byte) picket.Position {
	p := picket.Position{Offset: r.f.at}
	if len(body) > maxRecord-40 {
		return p
	}
	n := uint32(len(body)) + 12
	b, _ := binary.Append(nil, r.order, []uint32{blockSection, 28, magicSection}) // of fixed-size values: no error
	b, _ = binary.Append(b, r.order, []uint16{1, 0})
	b, _ = binary.Append(b, r.order, []uint32{^uint32(0), ^uint32(0), 28, kind, n})
	b = append(b, body...)
	b, _ = binary.Append(b, r.order, n)
	p.Record = b
	return p
}
