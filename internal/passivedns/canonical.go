package passivedns

import (
	"encoding/binary"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Record types that are told apart here (IANA DNS RR TYPEs).
const (
	typeA     = 1
	typeNS    = 2
	typeMD    = 3
	typeMF    = 4
	typeCNAME = 5
	typeSOA   = 6
	typeMB    = 7
	typeMG    = 8
	typeMR    = 9
	typePTR   = 12
	typeMINFO = 14
	typeMX    = 15
	typeRP    = 17
	typeAFSDB = 18
	typeRT    = 21
	typeSIG   = 24
	typePX    = 26
	typeAAAA  = 28
	typeNXT   = 30
	typeSRV   = 33
	typeNAPTR = 35
	typeKX    = 36
	typeDNAME = 39
	typeOPT   = 41
	typeRRSIG = 46
	typeNSEC  = 47
	typeNSEC3 = 50
	typeIXFR  = 251
	typeAXFR  = 252
	classIN   = 1
)

// maxData bounds RDATA that is kept; larger ones are left out.
const maxData = 4096

// sighted reports whether records of a type are data of a zone that passive DNS keeps.
// Types from 128 to 255 are of questions and transactions (RFC 6895 §3.1).
func sighted(typ uint16) bool {
	switch typ {
	case 0, typeSIG, typeNXT, typeOPT, typeRRSIG, typeNSEC, typeNSEC3:
		return false
	}
	return typ < 128 || typ > 255
}

// embedded says where RDATA of a type has names: so many octets come before them,
// so many names follow (RFC 4034 §6.2). names is 0 for all other types.
func embedded(typ uint16) (before, names int) {
	switch typ {
	case typeNS, typeMD, typeMF, typeCNAME, typeMB, typeMG, typeMR, typePTR, typeDNAME:
		return 0, 1
	case typeSOA, typeMINFO, typeRP:
		return 0, 2
	case typeMX, typeAFSDB, typeRT, typeKX:
		return 2, 1
	case typePX:
		return 2, 2
	case typeSRV:
		return 6, 1
	case typeNAPTR:
		return 4, 1 // and three character strings
	}
	return 0, 0
}

// appendData appends the RDATA between at and end of a message in canonical form:
// names not compressed, their letters lower-case. ok is false when it cannot be read.
func appendData(dst, msg []byte, typ uint16, at, end int) (out []byte, ok bool) {
	before, names := embedded(typ)
	if names == 0 {
		if end-at > maxData {
			return dst, false
		}
		return append(dst, msg[at:end]...), true
	}
	to := at + before
	if typ == typeNAPTR { // flags, services and regular expression (RFC 3403 §4.1)
		for range 3 {
			if to >= end {
				return dst, false
			}
			to += 1 + int(msg[to])
		}
	}
	if to > end {
		return dst, false
	}
	dst = append(dst, msg[at:to]...)
	for range names {
		if to >= end {
			return dst, false
		}
		var err error
		if dst, to, _, err = dnsname.AppendWire(dst, msg, to); err != nil || to > end {
			return dst, false
		}
	}
	if end-to > maxData {
		return dst, false
	}
	return append(dst, msg[to:end]...), true
}

// answers walks the answer section of a message.
type answers struct {
	msg  []byte
	off  int // of the next record
	left int // records
}

// record is one record of a message; at and end bound its RDATA.
type record struct {
	typ, class uint16
	at, end    int
}

const headerLen = 12

// section returns a walk over the answers of a message; one of no records when the
// message is not a response.
func section(msg []byte) answers {
	if len(msg) < headerLen || msg[2]&0x80 == 0 {
		return answers{}
	}
	a := answers{msg: msg, off: headerLen, left: int(binary.BigEndian.Uint16(msg[6:]))}
	for range binary.BigEndian.Uint16(msg[4:]) {
		if a.off = skipName(msg, a.off); a.off == 0 || a.off+4 > len(msg) {
			return answers{}
		}
		a.off += 4
	}
	return a
}

// next reads a record and appends its owner, in canonical form, to dst. more is
// false at the section's end and at a record that cannot be read.
func (a *answers) next(dst []byte) (owner []byte, r record, more bool) {
	if a.left == 0 {
		return dst, r, false
	}
	a.left--
	owner, off, _, err := dnsname.AppendWire(dst, a.msg, a.off)
	if err != nil || off+10 > len(a.msg) {
		a.left = 0
		return dst, r, false
	}
	h := a.msg[off : off+10]
	r = record{typ: binary.BigEndian.Uint16(h), class: binary.BigEndian.Uint16(h[2:]), at: off + 10}
	if r.end = r.at + int(binary.BigEndian.Uint16(h[8:])); r.end > len(a.msg) {
		a.left = 0
		return dst, r, false
	}
	a.off = r.end
	return owner, r, true
}

// skipName returns the offset after the name at off, 0 when there is none. It
// follows no pointer.
func skipName(msg []byte, off int) int {
	for off < len(msg) {
		switch c := int(msg[off]); {
		case c == 0:
			return off + 1
		case c <= dnsname.MaxLabel:
			off += 1 + c
		case c >= 0xc0:
			return off + 2
		default:
			return 0
		}
	}
	return 0
}
