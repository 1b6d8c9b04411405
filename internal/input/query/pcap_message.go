package query

import (
	"encoding/binary"
)

// message takes one DNS message between e's ends; conn is its TCP connection.
func (d *pcapDecoder) message(msg []byte, e *endpoints, p *pcapPacket, conn *tcpConn) {
	if len(msg) < dnsHeaderLen {
		d.reject(reasonShort, p.at)
		return
	}
	if !d.isServer(e) {
		d.acct.Skip(skipServer)
		return
	}
	m := &d.msg
	m.header(msg)
	if m.Opcode() == opcodeDSO {
		d.acct.Skip(skipDSO)
		return
	}
	hash := d.hash(e, m.ID)
	var err error
	if m.IsResponse() {
		err = d.response(hash, e, p, conn)
	} else {
		err = d.query(hash, e, p)
	}
	if err != nil {
		d.pend.err = err
	}
}

// query takes the query in d.msg.
func (d *pcapDecoder) query(hash uint64, e *endpoints, p *pcapPacket) error {
	m := &d.msg
	if reason := m.question(); reason != "" {
		if p.cut && reason == reasonQuestionEnd {
			reason = pcapRejectCut
		}
		d.reject(reason, p.at)
		return nil
	}
	m.fillAsked(&d.q)
	seq, s, err := d.pend.add(&d.q)
	if err != nil {
		return err
	}
	d.stamp(s, hash, e, p)
	d.pend.wait(seq, s)
	return nil
}

// stamp writes into a new slot what add does not know.
func (d *pcapDecoder) stamp(s *slot, hash uint64, e *endpoints, p *pcapPacket) {
	s.time, s.deadline = p.time, d.clock.now+d.wait
	if d.clock.leap {
		s.deadline += d.clock.limit // the clock may be about to follow this packet
	}
	s.hash, s.echo = hash, false
	// Field by field: a copy of the whole would wait for the small stores that made *e.
	s.ends.client, s.ends.server = e.client, e.server
	s.ends.clientPort, s.ends.serverPort = e.clientPort, e.serverPort
	s.ends.v6, s.ends.transport = e.v6, e.transport
}

// response takes the response in d.msg.
func (d *pcapDecoder) response(hash uint64, e *endpoints, p *pcapPacket, conn *tcpConn) error {
	m := &d.msg
	seq, crowded := d.pend.match(hash, m)
	if seq == 0 {
		return d.unmatched(hash, e, p, conn, crowded)
	}
	s := d.pend.slot(seq)
	d.q.Name, d.q.Flags = d.pend.name(s), 0
	d.checkTail(m.FillResponse(&d.q), p)
	conn.transfer(m.ID, s.typ, seq)
	return d.pend.answer(seq, &d.q)
}

// checkTail counts a response that could be read in part only.
func (d *pcapDecoder) checkTail(reason string, p *pcapPacket) {
	if reason == "" {
		return
	}
	if p.cut {
		reason = pcapRejectResponseCut
	}
	d.reject(reason, p.at)
}

// unmatched takes a response that no waiting query fits.
func (d *pcapDecoder) unmatched(hash uint64, e *endpoints, p *pcapPacket, conn *tcpConn, crowded bool) error {
	m := &d.msg
	if conn.transferring(m.ID) {
		if d.pend.held(conn.xferSeq) {
			s := d.pend.slot(conn.xferSeq)
			s.answers = uint16(min(int(s.answers)+int(m.Counts[1]), 0xffff))
		} else {
			d.acct.Skip(skipContinuation)
		}
		return nil
	}
	if crowded {
		d.acct.Skip(skipCrowded)
		return nil
	}
	if reason := m.question(); reason != "" {
		switch {
		case reason == reasonNoQuestion:
			d.acct.Skip(skipNameless)
		case p.cut && reason == reasonQuestionEnd:
			d.reject(pcapRejectResponseCut, p.at)
		default:
			d.reject(reason, p.at)
		}
		return nil
	}
	echo := slot{hash: hash, typ: m.Type}
	if d.late.within(echo.lateKey(m.Name), d.clock.now, int64(lateWindow)) {
		d.acct.Skip(skipLate)
		return nil
	}
	m.FillEcho(&d.q)
	d.checkTail(m.FillResponse(&d.q), p)
	seq, s, err := d.pend.add(&d.q)
	if err != nil {
		return err
	}
	d.stamp(s, hash, e, p)
	s.echo = true
	conn.transfer(m.ID, m.Type, seq)
	return d.pend.answer(seq, &d.q)
}

// lateKey is what a response that comes too late is recognised by.
func (s *slot) lateKey(name []byte) uint64 {
	key := s.hash ^ uint64(s.typ)*0x9e3779b97f4a7c15 ^ uint64(len(name))*0xe7037ed1a0b428db
	if len(name) >= 8 {
		key ^= binary.LittleEndian.Uint64(name) * 0x8ebc6af09c88c6e3
	}
	return key
}

// transfer notes that a zone transfer's first response has been seen, so that
// the others are known for what they are. A nil conn is UDP.
func (c *tcpConn) transfer(id, typ uint16, seq uint64) {
	if c == nil {
		return
	}
	if c.xfer = typ == typeAXFR || typ == typeIXFR; c.xfer {
		c.xferID, c.xferSeq = id, seq
	}
}

func (c *tcpConn) transferring(id uint16) bool { return c != nil && c.xfer && c.xferID == id }

// match finds the oldest waiting query with this hash whose question is that of
// the response m; a response without question fits the oldest. crowded means
// that there were too many to look at all.
func (p *pending) match(hash uint64, m *Message) (seq uint64, crowded bool) {
	at, ok := p.index.find(hash)
	if !ok {
		return 0, false
	}
	seq = p.seqAt(at)
	for range maxSameKey {
		s := p.slot(seq)
		if s.opcode == m.Opcode() && (m.Counts[0] == 0 || m.sameQuestion(p.name(s), s.typ, s.class)) {
			return seq, false
		}
		if seq = s.next; seq == 0 {
			return 0, false
		}
	}
	return 0, true
}
