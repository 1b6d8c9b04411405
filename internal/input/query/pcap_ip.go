package query

import "encoding/binary"

// mapped is what precedes an IPv4 address in the second half of its 16-byte form.
const mapped = 0xffff << 32

// ip takes an IP packet of either version.
func (d *pcapDecoder) ip(f *pcapFrame, b []byte) {
	if len(b) > 0 {
		switch b[0] >> 4 {
		case 4:
			d.ipv4(f, b)
			return
		case 6:
			d.ipv6(f, b)
			return
		}
	}
	d.reject(pcapRejectIP, f.at)
}

// ipv4 takes an IPv4 packet (RFC 791 §3.1); options are passed over.
func (d *pcapDecoder) ipv4(f *pcapFrame, b []byte) {
	if len(b) < 20 {
		d.short(f)
		return
	}
	if b[9] != protoUDP && b[9] != protoTCP {
		d.acct.Skip(skipTransport)
		return
	}
	head, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // segmentation left to the interface
	}
	if head < 20 || total < head {
		d.reject(pcapRejectIP, f.at)
		return
	}
	p := pcapPacket{time: f.time, at: f.at, proto: b[9]}
	if total > len(b) {
		if !f.cut {
			d.reject(pcapRejectIP, f.at)
			return
		}
		p.cut, p.lost, total = true, total-len(b), len(b)
	}
	if head > total {
		d.short(f)
		return
	}
	binary.BigEndian.PutUint64(p.src[8:], mapped|uint64(binary.BigEndian.Uint32(b[12:])))
	binary.BigEndian.PutUint64(p.dst[8:], mapped|uint64(binary.BigEndian.Uint32(b[16:])))
	p.mark = uint32(binary.BigEndian.Uint16(b[4:]))
	p.payload, p.raw = b[head:total], b[12:total]
	if frag := binary.BigEndian.Uint16(b[6:]); frag&0x3fff != 0 {
		d.frags.add(&p, p.mark, int(frag&0x1fff)*8, frag&0x2000 != 0)
		return
	}
	d.transport(&p)
}

// ipv6 takes an IPv6 packet (RFC 8200 §3) and passes over its extension headers.
func (d *pcapDecoder) ipv6(f *pcapFrame, b []byte) {
	if len(b) < 40 {
		d.short(f)
		return
	}
	p := pcapPacket{time: f.time, at: f.at, v6: true, proto: b[6]}
	end := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if end == 40 {
		end = len(b) // a jumbogram, or segmentation left to the interface
	}
	if end > len(b) {
		if !f.cut {
			d.reject(pcapRejectIP, f.at)
			return
		}
		p.cut, p.lost, end = true, end-len(b), len(b)
	}
	copy(p.src[:], b[8:24])
	copy(p.dst[:], b[24:40])
	p.mark, p.raw = binary.BigEndian.Uint32(b)&0xfffff, b[8:end]
	for at := 40; ; {
		rest := b[at:end]
		size := 0
		switch p.proto {
		case 0, 43, 60, 135, 139, 140: // hop-by-hop, routing, destination, mobility, HIP, shim6
			if len(rest) >= 8 {
				size = 8 + int(rest[1])*8
			}
		case 51: // authentication
			if len(rest) >= 8 {
				size = 8 + int(rest[1])*4
			}
		case 44:
			if len(rest) < 8 {
				d.short(f)
				return
			}
			off := binary.BigEndian.Uint16(rest[2:])
			p.proto, p.payload = rest[0], rest[8:]
			if off&0xfff9 == 0 { // all of it in one fragment (RFC 6946)
				at += 8
				continue
			}
			d.frags.add(&p, binary.BigEndian.Uint32(rest[4:]), int(off&0xfff8), off&1 != 0)
			return
		default:
			p.payload = rest
			d.transport(&p)
			return
		}
		if size == 0 || size > len(rest) {
			d.short(f)
			return
		}
		p.proto = rest[0]
		at += size
	}
}

// short rejects a packet that ends within its headers.
func (d *pcapDecoder) short(f *pcapFrame) {
	if f.cut {
		d.reject(pcapRejectCut, f.at)
		return
	}
	d.reject(pcapRejectIP, f.at)
}
