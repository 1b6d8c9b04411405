package query

import "encoding/binary"

// place puts a segment into its direction's stream: in order it is delivered,
// early it is kept, late it is dropped but for what is new in it.
func (t *tcpTable) place(c *tcpConn, dir int, s tcpSegment) {
	h := &c.half[dir]
	if !h.known {
		h.known, h.next, h.synced = true, s.seq, false // joined midway
	}
	ahead := int32(s.seq - h.next)
	if ahead < -maxBehind {
		ahead = maxAhead + 1
	}
	if ahead < 0 {
		if int(-ahead) >= len(s.data) {
			return // seen before
		}
		s.data = s.data[-ahead:]
		s.seq = h.next
		ahead = 0
	}
	if ahead > maxAhead {
		// Not a gap but another place: the capture has missed too much.
		t.deliverAll(c, dir)
		t.loseStep(h, s.at, pcapRejectGap)
		h.next, ahead = s.seq, 0
	}
	if ahead > 0 {
		t.keep(c, dir, s)
		return
	}
	t.deliver(c, dir, s)
	t.drain(c, dir)
}

// keep copies an early segment to wait for what is missing before it.
func (t *tcpTable) keep(c *tcpConn, dir int, s tcpSegment) {
	h := &c.half[dir]
	if len(h.segs) == 0 {
		h.gapSince = t.d.clock.now
		t.gaps++
	}
	i := len(h.segs)
	for i > 0 && int32(h.segs[i-1].seq-s.seq) > 0 {
		i--
	}
	if i > 0 && h.segs[i-1].seq == s.seq && len(h.segs[i-1].data) >= len(s.data) {
		return // the same again
	}
	if len(h.segs) == maxSegments {
		t.jump(c, dir)
		t.place(c, dir, s)
		return
	}
	s.data = append(t.pool.get(len(s.data)), s.data...)
	h.segs = append(h.segs, tcpSegment{})
	copy(h.segs[i+1:], h.segs[i:])
	h.segs[i] = s
}

// drain delivers the kept segments that have come into order.
func (t *tcpTable) drain(c *tcpConn, dir int) {
	h := &c.half[dir]
	for len(h.segs) > 0 {
		s := h.segs[0]
		ahead := int32(s.seq - h.next)
		if ahead > 0 {
			return
		}
		copy(h.segs, h.segs[1:])
		h.segs[len(h.segs)-1] = tcpSegment{}
		h.segs = h.segs[:len(h.segs)-1]
		if len(h.segs) == 0 {
			t.gaps--
		}
		kept := s.data
		if int(-ahead) < len(s.data) {
			s.data = s.data[-ahead:]
			s.seq = h.next
			t.deliver(c, dir, s)
		}
		t.pool.put(kept)
	}
}

// jump gives up what is missing before the first kept segment.
func (t *tcpTable) jump(c *tcpConn, dir int) {
	h := &c.half[dir]
	if len(h.segs) == 0 {
		return
	}
	t.loseStep(h, h.segs[0].at, pcapRejectGap)
	h.next = h.segs[0].seq
	t.drain(c, dir)
	h.gapSince = t.d.clock.now
}

// deliverAll delivers all that is kept, gaps or not.
func (t *tcpTable) deliverAll(c *tcpConn, dir int) {
	h := &c.half[dir]
	for len(h.segs) > 0 {
		t.jump(c, dir)
	}
}

// loseStep notes that the stream's message boundaries are lost.
func (t *tcpTable) loseStep(h *tcpHalf, at int64, reason string) {
	if !h.told {
		t.d.reject(reason, at)
	}
	h.told, h.synced = true, false
	t.pool.put(h.buf)
	h.buf = nil
}

// deliver takes octets in order. Whole messages are read in place.
func (t *tcpTable) deliver(c *tcpConn, dir int, s tcpSegment) {
	h := &c.half[dir]
	h.next = s.seq + uint32(len(s.data))
	b := s.data
	if !h.synced {
		from := findMessage(b, dir == 1)
		if from < 0 {
			t.loseStep(h, s.at, pcapRejectStep)
			return
		}
		b = b[from:]
		h.synced = true
	}
	h.told = false
	if len(h.buf) == 0 {
		if rest, ok := t.messages(c, dir, b, &s); ok && len(rest) > 0 {
			h.buf = append(t.pool.get(len(rest)), rest...)
		}
		return
	}
	// Top the unfinished message up to its end, then go on in place.
	for len(b) > 0 && len(h.buf) > 0 {
		need := wanted(h.buf) - len(h.buf)
		n := min(need, len(b))
		if cap(h.buf) < len(h.buf)+n {
			h.buf = t.pool.grow(h.buf, len(h.buf)+n)
		}
		h.buf = append(h.buf, b[:n]...)
		b = b[n:]
		rest, ok := t.messages(c, dir, h.buf, &s)
		if !ok {
			return
		}
		if len(rest) == 0 {
			t.pool.put(h.buf)
			h.buf = nil
		}
	}
	if len(b) > 0 {
		if rest, ok := t.messages(c, dir, b, &s); ok && len(rest) > 0 {
			h.buf = append(t.pool.get(len(rest)), rest...)
		}
	}
}

// wanted returns how many octets the message that b begins has with its length
// prefix; the prefix and the header's first word when b is too short to tell.
func wanted(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	return 2 + int(binary.BigEndian.Uint16(b))
}

// messages reads whole messages (RFC 1035 §4.2.2) off b and returns what is left
// of it. ok is false when b is out of step; what it had is then lost.
func (t *tcpTable) messages(c *tcpConn, dir int, b []byte, s *tcpSegment) (rest []byte, ok bool) {
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if n < dnsHeaderLen || len(b) >= 5 && (b[4]&0x80 != 0) != (dir == 1) {
			t.loseStep(&c.half[dir], s.at, pcapRejectStep)
			return nil, false
		}
		if len(b) < 2+n {
			return b, true
		}
		p := pcapPacket{time: s.time, at: s.at}
		e := c.ends
		t.d.message(b[2:2+n], &e, &p, c)
		b = b[2+n:]
	}
	return b, true
}

// findMessage returns the offset in b at which a message with its length prefix
// plausibly begins, -1 when there is none. Any stretch of octets could look like
// a message, so the question has to be there whole, or the message at the
// beginning of the segment, where servers and clients put it.
func findMessage(b []byte, response bool) int {
	for at := 0; at+2+dnsHeaderLen < len(b); at++ {
		if plausible(b[at:], response) {
			return at
		}
	}
	return -1
}

// plausible reports whether b begins with the length prefix, header and question
// of a DNS message.
func plausible(b []byte, response bool) bool {
	n := int(binary.BigEndian.Uint16(b))
	bits := binary.BigEndian.Uint16(b[4:])
	opcode := bits >> 11 & 0xf
	if n < dnsHeaderLen+5 || (bits&bitQR != 0) != response || opcode > opcodeDSO || opcode == 3 || bits&0x40 != 0 {
		return false
	}
	if binary.BigEndian.Uint16(b[6:]) != 1 {
		return false
	}
	end := 2 + dnsHeaderLen
	for {
		if end >= len(b) || b[end] > 63 {
			return false
		}
		if b[end] == 0 {
			break
		}
		end += 1 + int(b[end])
	}
	end++
	if end-2-dnsHeaderLen > 255 || end+4 > len(b) || end+4-2 > n {
		return false
	}
	class := binary.BigEndian.Uint16(b[end+2:])
	return class == 1 || class == 3 || class == 4 || class == 254 || class == 255
}
