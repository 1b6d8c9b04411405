package transfer

import (
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// unsignedRun is how many messages of a stream may go without a signature before
// one has to have it (RFC 8945 §5.3.1).
const unsignedRun = 99

// fudge is the error of clocks that is allowed for (RFC 8945 §10), in seconds.
const fudge = 300

// sign adds a TSIG to a message and packs it. It returns the MAC in hexadecimal.
func (k *Key) sign(m *dns.Msg, requestMAC string, now time.Time) ([]byte, string, error) {
	m.Extra = append(m.Extra, &dns.TSIG{
		Hdr:       dns.RR_Header{Name: k.name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: k.algorithm, TimeSigned: uint64(now.Unix()), Fudge: fudge, OrigId: m.Id,
	})
	return dns.TsigGenerateWithProvider(m, signOnly{k}, requestMAC, false)
}

// signOnly is a key as dns.TsigProvider; verification is done here, not there.
type signOnly struct{ *Key }

// Verify implements dns.TsigProvider.
func (signOnly) Verify([]byte, *dns.TSIG) error { return dns.ErrSig }

// verifier checks the signatures of the messages that answer one signed request. A
// signature covers the messages since the last one, too, which the server may have
// left unsigned (RFC 8945 §5.3.1): NSD signs about every hundredth only.
type verifier struct {
	key   *Key
	prior []byte // MAC of the request, then of the last signed message
	first bool   // nothing has been verified yet
	run   [][]byte
	now   func() time.Time
}

var (
	errUnsigned = errors.New("the answer is not signed")
	errBadSig   = errors.New("the answer's signature is wrong (BADSIG)")
)

// check takes the next message as it came. signed tells whether all that came so
// far has been verified.
func (v *verifier) check(wire []byte) (signed bool, err error) {
	t, at, err := tsigOf(wire)
	if err != nil {
		return false, err
	}
	if t == nil {
		if v.first {
			return false, errUnsigned
		}
		if v.run = append(v.run, append([]byte(nil), wire...)); len(v.run) > unsignedRun {
			return false, fmt.Errorf("%d messages in a row are not signed", len(v.run))
		}
		return false, nil
	}
	h := hmac.New(hashOf(v.key.algorithm), v.key.secret)
	writeMAC := func(mac []byte) {
		_ = binary.Write(h, binary.BigEndian, uint16(len(mac))) // a hash does not fail
		h.Write(mac)
	}
	writeMAC(v.prior)
	for _, m := range v.run {
		h.Write(m)
	}
	head := append([]byte(nil), wire[:at]...)
	binary.BigEndian.PutUint16(head, t.OrigId)
	binary.BigEndian.PutUint16(head[10:], binary.BigEndian.Uint16(head[10:])-1)
	h.Write(head)
	timers := make([]byte, 8) // time signed of 48 bits, and fudge
	binary.BigEndian.PutUint64(timers, t.TimeSigned<<16|uint64(t.Fudge))
	if v.first {
		vars, err := variables(t, timers)
		if err != nil {
			return false, err
		}
		h.Write(vars)
	} else {
		h.Write(timers)
	}
	mac, err := hex.DecodeString(t.MAC)
	switch {
	case err != nil:
		return false, errBadSig
	case dns.CanonicalName(t.Hdr.Name) != v.key.name:
		return false, fmt.Errorf("the answer is signed with key %s (BADKEY)", t.Hdr.Name)
	case dns.CanonicalName(t.Algorithm) != v.key.algorithm:
		return false, fmt.Errorf("the answer is signed with %s (BADKEY)", t.Algorithm)
	case !hmac.Equal(mac, h.Sum(nil)):
		return false, errBadSig
	}
	if d := v.now().Unix() - int64(t.TimeSigned); d > int64(t.Fudge) || -d > int64(t.Fudge) {
		return false, fmt.Errorf("the answer was signed %d s from now (BADTIME): are the clocks right?", d)
	}
	v.prior, v.run, v.first = mac, nil, false
	return true, nil
}

// variables are what the first signature covers beside the message (RFC 8945 §4.3.3).
func variables(t *dns.TSIG, timers []byte) ([]byte, error) {
	buf := make([]byte, 2*256+32+len(t.OtherData))
	off, err := dns.PackDomainName(dns.CanonicalName(t.Hdr.Name), buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(buf[off:], dns.ClassANY)
	binary.BigEndian.PutUint32(buf[off+2:], t.Hdr.Ttl)
	if off, err = dns.PackDomainName(dns.CanonicalName(t.Algorithm), buf, off+6, nil, false); err != nil {
		return nil, err
	}
	off += copy(buf[off:], timers)
	binary.BigEndian.PutUint16(buf[off:], t.Error)
	binary.BigEndian.PutUint16(buf[off+2:], t.OtherLen)
	other, err := hex.DecodeString(t.OtherData)
	if err != nil {
		return nil, err
	}
	return append(buf[:off+4], other...), nil
}

// tsigOf finds the TSIG of a message, and where it begins; nil when there is none.
func tsigOf(wire []byte) (*dns.TSIG, int, error) {
	if len(wire) < 12 {
		return nil, 0, errors.New("message shorter than its header")
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(wire[at:])) }
	off, err := 12, error(nil)
	for range count(4) {
		if _, off, err = dns.UnpackDomainName(wire, off); err != nil {
			return nil, 0, fmt.Errorf("broken message: %w", err)
		}
		off += 4
	}
	all := count(6) + count(8) + count(10)
	for i := range all {
		start := off
		if off, err = skipName(wire, off); err != nil {
			return nil, 0, err
		}
		if off+10 > len(wire) {
			return nil, 0, errShort
		}
		rrtype := binary.BigEndian.Uint16(wire[off:])
		end := off + 10 + count(off+8)
		if end > len(wire) {
			return nil, 0, errShort
		}
		if rrtype == dns.TypeTSIG {
			if i != all-1 || count(10) == 0 {
				return nil, 0, errors.New("broken message: its TSIG is not the last record")
			}
			rr, _, err := dns.UnpackRR(wire, start)
			t, ok := rr.(*dns.TSIG)
			if err != nil || !ok {
				return nil, 0, errors.New("broken message: its TSIG cannot be read")
			}
			return t, start, nil
		}
		off = end
	}
	return nil, 0, nil
}

var errShort = errors.New("broken message: it ends within a record")

// skipName returns where the name at off ends.
func skipName(wire []byte, off int) (int, error) {
	for off < len(wire) {
		switch c := int(wire[off]); {
		case c == 0:
			return off + 1, nil
		case c&0xc0 == 0xc0:
			return off + 2, nil
		case c&0xc0 != 0:
			return 0, errors.New("broken message: bad label")
		default:
			off += 1 + c
		}
	}
	return 0, errShort
}
