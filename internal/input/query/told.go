package query

import (
	"encoding/binary"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Bounds of what is kept of answers for passive DNS.
const (
	maxTold     = 64      // answers told as text
	maxToldData = 1024    // octets of the text of one
	maxMessage  = 1 << 14 // octets of a response message
)

const (
	typeA     = 1
	typeCNAME = 5
	typePTR   = 12
	typeAAAA  = 28
	typeDNAME = 39
)

// told gathers the answers that an input has as text. It is used again for each
// query; what is beyond its bounds is left out.
type told struct {
	list []picket.Answer
	buf  []byte
}

func (t *told) reset() { t.list, t.buf = t.list[:0], t.buf[:0] }

// add takes an answer; owner is a name as text, nil for the QNAME. data is copied.
func (t *told) add(owner []byte, typ uint16, ttl uint32, data []byte) {
	if len(t.list) == maxTold || len(data) == 0 || len(data) > maxToldData {
		return
	}
	a := picket.Answer{Type: typ, TTL: ttl}
	if owner != nil {
		at := len(t.buf)
		b, err := dnsname.AppendText(t.buf, owner)
		if err != nil {
			return
		}
		t.buf, a.Name = b, b[at:len(b):len(b)]
	}
	at := len(t.buf)
	t.buf = append(t.buf, data...)
	a.Data = t.buf[at:len(t.buf):len(t.buf)]
	t.list = append(t.list, a)
}

// addressType tells the type of an address as text by how it looks, 0 when it is none.
func addressType(b []byte) uint16 {
	var colon, letter, dot bool
	for _, c := range b {
		switch {
		case c == ':':
			colon = true
		case c == '.':
			dot = true
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			letter = true
		default:
			return 0
		}
	}
	switch {
	case colon:
		return typeAAAA
	case dot && !letter:
		return typeA
	}
	return 0
}

// sightable reports whether the response read into q may say what is in a zone.
// Nothing else of it is kept while queries wait for their turn.
func sightable(q *picket.Query, typ uint16) bool {
	return q.Rcode == picket.RcodeNoError && q.Response.Answers > 0 && typ != typeAXFR && typ != typeIXFR &&
		(q.Flags&picket.FlagAA != 0 || len(q.Response.Told) > 0)
}

// answersLen is how many octets putAnswers takes.
func answersLen(r *picket.Response) int {
	n := 5 + len(r.Message)
	for i := range r.Told {
		n += 9 + len(r.Told[i].Name) + len(r.Told[i].Data)
	}
	return n
}

// putAnswers writes the message and what is told into b, which has room for them.
func putAnswers(b []byte, r *picket.Response) {
	le := binary.LittleEndian
	le.PutUint32(b, uint32(len(r.Message)))
	b = b[4+copy(b[4:], r.Message):]
	b[0] = byte(len(r.Told))
	b = b[1:]
	for i := range r.Told {
		a := &r.Told[i]
		le.PutUint16(b, a.Type)
		le.PutUint32(b[2:], a.TTL)
		le.PutUint16(b[6:], uint16(len(a.Data)))
		b = putBytes(b[8:], a.Name)
		b = b[copy(b, a.Data):]
	}
}

// getAnswers reads them back. list is used again.
func getAnswers(b []byte, r *picket.Response, list []picket.Answer) []picket.Answer {
	le := binary.LittleEndian
	if n := 4 + int(le.Uint32(b)); n > 4 {
		r.Message = b[4:n:n]
		b = b[n:]
	} else {
		b = b[4:]
	}
	count := int(b[0])
	b = b[1:]
	list = list[:0]
	for range count {
		a := picket.Answer{Type: le.Uint16(b), TTL: le.Uint32(b[2:])}
		size := int(le.Uint16(b[6:]))
		a.Name, b = getBytes(b[8:])
		a.Data, b = b[:size:size], b[size:]
		list = append(list, a)
	}
	if count > 0 {
		r.Told = list
	}
	return list
}
