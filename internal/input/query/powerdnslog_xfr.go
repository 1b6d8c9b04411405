package query

import (
	"bytes"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// transfer reads the lines about zone transfers to clients. Since 4.2
//
//	AXFR-out zone 'ZONE', client 'PEER', MESSAGE
//
// and before AXFR of domain 'ZONE' with the peer somewhere in the message. What
// comes here begins with the zone.
func (d *powerdnsLog) transfer(before, after []byte) (reason string, err error) {
	typ := []byte("AXFR")
	if len(before) > 0 && before[len(before)-1] == 'I' {
		typ = []byte("IXFR")
	}
	end := bytes.IndexByte(after, '\'')
	if i := bytes.Index(after, []byte("', client '")); i >= 0 {
		end = i
	} else if i := bytes.Index(after, []byte("' ")); i >= 0 {
		end = i
	}
	if end < 0 {
		return decode.ReasonTruncated, nil
	}
	zone, message := after[:end], after[end+1:]
	if rest, ok := bytes.CutPrefix(message, []byte(", client '")); ok {
		peer, rest, ok := bytes.Cut(rest, []byte("', "))
		if !ok {
			return decode.ReasonTruncated, nil
		}
		if !d.peer(peer) {
			return decode.ReasonAddress, nil
		}
		message = rest
	} else if !d.peerAmong(message) {
		if bytes.Contains(message, []byte("initiated by ")) || bytes.Contains(message, []byte("client IP ")) {
			return decode.ReasonAddress, nil
		}
		d.acct.Skip(skipLogXfr) // such as "failed: not authoritative"
		if bytes.Contains(message, []byte("allowed: TSIG signed")) && d.asks(zone, typ) == "" {
			d.signed()
		}
		return "", nil
	}
	if reason := d.asks(zone, typ); reason != "" {
		return reason, nil
	}
	return "", d.moved(message)
}

// peerAmong takes the first word of a message that is an address for the peer.
func (d *powerdnsLog) peerAmong(message []byte) bool {
	var w [16][]byte
	n := spaced(message, w[:])
	for _, word := range w[:n] {
		if c := word[0]; (decode.HexValue(c) >= 0 || c == ':' || c == '[') && d.peer(bytes.TrimRight(word, ",;")) {
			return true
		}
	}
	return false
}

// moved accounts for a message about the transfer in d.q. The line "initiated"
// makes the query, or else the one that says what was decided; a transfer that
// failed was answered with NOTAUTH.
func (d *powerdnsLog) moved(message []byte) error {
	q := &d.q
	q.Transport = picket.TransportTCP // only the part for TCP writes these
	has := func(s string) bool { return bytes.Contains(message, []byte(s)) }
	if has("TSIG signed") || has("key with name") {
		q.Flags |= picket.FlagTSIG
	}
	switch {
	case has("initiated"):
		if q.Type == typeAXFR && d.wentOn() {
			d.acct.Skip(skipPDNSLogXfr)
			return nil
		}
		_, err := d.ring.add(q, 0)
		return err
	case has("denied"):
		code := picket.RcodeNotAuth
		if has("denied to ") { // NSEC3 narrow, before 4.0
			code = picket.RcodeRefused
		}
		return d.decided(code)
	case has("allowed"):
		return d.decided(picket.RcodeUnknown)
	case has("failed: ") && (has("may not request") || has("cannot request") || has("not authoritative")):
		return d.ended(pdnsLogFailed, picket.RcodeNotAuth)
	case has("fallback to AXFR"):
		if s, _ := d.ring.find(q, pdnsLogFallback|sawAll, 0); s != nil {
			s.saw |= pdnsLogFallback
		}
	case has("finished"):
		return d.ended(0, picket.RcodeNoError)
	}
	d.acct.Skip(skipLogXfr)
	return nil
}

// signed notes that the last transfer begun of the zone in d.q was signed, of
// which old versions do not tell the client.
func (d *powerdnsLog) signed() {
	d.ring.each(&d.q, pdnsLogDecided|sawAll, func(s *heldQuery, late bool) bool {
		if !late {
			s.q.Flags |= picket.FlagTSIG
			s.saw |= pdnsLogDecided
		}
		return false
	})
}

// wentOn finds the IXFR that has just been said to go on as AXFR.
func (d *powerdnsLog) wentOn() bool {
	d.q.Type = typeIXFR
	s, _ := d.ring.find(&d.q, pdnsLogGoneOn, pdnsLogFallback)
	d.q.Type = typeAXFR
	if s != nil {
		s.saw |= pdnsLogGoneOn
	}
	return s != nil
}

// transferOf finds the transfer that the line is about.
func (d *powerdnsLog) transferOf(absent uint8) (s *heldQuery, late bool) {
	if s, late = d.ring.find(&d.q, absent, 0); s == nil && d.q.Type == typeAXFR {
		d.q.Type = typeIXFR
		s, late = d.ring.find(&d.q, absent&^pdnsLogDecided, pdnsLogGoneOn)
		d.q.Type = typeAXFR
	}
	return s, late
}

// decided notes whether the client may have the zone, and its port, which only
// that line has.
func (d *powerdnsLog) decided(code picket.Rcode) error {
	q := &d.q
	s, late := d.transferOf(pdnsLogDecided | sawAll)
	if s == nil && code != picket.RcodeUnknown {
		respond(q, code)
		if _, err := d.ring.add(q, pdnsLogDecided|sawAll); err != nil {
			return err
		}
		return d.ring.settle()
	}
	d.acct.Skip(skipPDNSLogXfr)
	if s == nil {
		return nil
	}
	s.saw |= pdnsLogDecided
	if !late {
		s.q.ClientPort = q.ClientPort
		s.q.Flags |= q.Flags & picket.FlagTSIG
		if code != picket.RcodeUnknown {
			respond(&s.q, code)
		}
	}
	return nil
}

// ended notes a transfer's result, after which no line is awaited.
func (d *powerdnsLog) ended(saw uint8, code picket.Rcode) error {
	d.acct.Skip(skipLogXfr)
	s, late := d.transferOf(sawAll)
	if s == nil {
		return nil
	}
	s.saw |= saw | sawAll
	if late {
		return nil
	}
	respond(&s.q, code)
	return d.ring.settle()
}

// question reads "THREAD [ID/N] [TCP ]" and "NAME|TYPE' from PEER" of the Recursor.
func (d *powerdnsLog) question(before, after []byte) (reason string, err error) {
	end := bytes.LastIndex(after, []byte("' from "))
	if end < 0 {
		return decode.ReasonTruncated, nil
	}
	if reason := d.ask(after[:end]); reason != "" {
		return reason, nil
	}
	peer := bytes.TrimRight(after[end+len("' from "):], " ")
	if i := bytes.IndexByte(peer, ' '); i >= 0 {
		peer = peer[:i]
	}
	if !d.peer(peer) {
		return decode.ReasonAddress, nil
	}
	d.q.Transport = picket.TransportUDP
	if bytes.HasSuffix(before, []byte("TCP ")) {
		d.q.Transport = picket.TransportTCP
	}
	s, err := d.ring.add(&d.q, 0)
	if err == nil {
		s.aux = pdnsLogThread(before)
	}
	d.asked = true
	return "", err
}

// pdnsLogThread reads ID of "[ID/N]", which a question and its answer share.
func pdnsLogThread(before []byte) uint32 {
	i := bytes.LastIndexByte(before, '[')
	if i < 0 {
		return 0
	}
	v, _ := pdnsLogNumber(before[i+1:])
	return uint32(v)
}

// answer reads "…answer to [non-rd ]" and "NAME|TYPE': …, rcode=N[…]".
func (d *powerdnsLog) answer(before, after []byte) (reason string, err error) {
	end := bytes.LastIndex(after, []byte("': "))
	if end < 0 || !bytes.HasSuffix(before, []byte("to ")) && !bytes.HasSuffix(before, []byte("non-rd ")) {
		d.acct.Skip(skipLogOther)
		return "", nil
	}
	if reason := d.ask(after[:end]); reason != "" {
		return reason, nil
	}
	s := d.ring.findAux(&d.q, pdnsLogThread(before))
	if s == nil {
		d.acct.Skip(skipPDNSLogLate)
		return "", nil
	}
	d.acct.Skip(skipPDNSLogAnswer)
	s.saw |= sawAll
	s.q.Flags |= picket.FlagFlags
	if !bytes.HasSuffix(before, []byte("non-rd ")) {
		s.q.Flags |= picket.FlagRD
	}
	rest := after[end:]
	if i := bytes.Index(rest, []byte("rcode=")); i >= 0 {
		if n, tail := pdnsLogNumber(rest[i+len("rcode="):]); len(tail) < len(rest)-i-len("rcode=") && n < 4096 {
			respond(&s.q, picket.Rcode(n))
		}
	}
	if n, tail := pdnsLogNumber(rest[len("': "):]); bytes.HasPrefix(tail, []byte(" answers")) {
		s.q.Response.Answers = uint16(min(n, 65535))
	}
	return "", d.ring.settle()
}
