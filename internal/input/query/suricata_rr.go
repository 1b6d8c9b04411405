package query

import (
	"bytes"

	"github.com/picket-dns/picket/internal/input/decode"
)

// eveRecord is one of an event's answers.
type eveRecord struct {
	name, typ, data []byte
	ttl             uint64
	cut             bool // a name is not whole
}

const (
	typeSRV   = 33
	typeSSHFP = 44
)

// eveFields are the fields of RDATA that is written as an object, in the order of the
// presentation form (RFC 1035 §3.3.13, RFC 2782, RFC 4255 §3.2).
type eveFields []string

// fieldsOf returns those of the object called key.
func (d *eveDecoder) fieldsOf(key []byte) eveFields {
	switch string(key) {
	case "soa":
		return d.soa[:]
	case "srv":
		return d.srv[:]
	}
	return d.sshfp[:]
}

// object reads RDATA that is an object and writes it into dst, where data then is. What
// lacks a field is left out.
func (r *eveRecord) object(c *decode.Cursor, fields eveFields, dst []byte) []byte {
	if !c.Open('{') {
		c.Skip()
		return dst
	}
	var values [7][]byte
	for {
		k, ok := c.Key()
		if !ok {
			break
		}
		if bytes.HasSuffix(k, []byte("_truncated")) {
			r.cut = c.IsTrue() || r.cut
			continue
		}
		at := 0
		for at < len(fields) && fields[at] != string(k) {
			at++
		}
		if at == len(fields) {
			c.Skip()
			continue
		}
		values[at] = nonNil(c.Scalar())
	}
	for i := range fields {
		if values[i] == nil || bytes.ContainsAny(values[i], " \t\r\n\"();") {
			return dst
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		for _, b := range values[i] {
			if fields[i] != "fingerprint" || b != ':' {
				dst = append(dst, b)
			}
		}
	}
	r.data = dst
	return dst
}

// tell gathers it. Of types that are written as text all but these lack something: MX its
// preference, TXT where its strings begin and end. A backslash stands for itself there,
// which makes a name hard to tell: it is left out.
func (r *eveRecord) tell(to *told) {
	var typ uint16
	switch string(r.typ) {
	case "A":
		typ = typeA
	case "AAAA":
		typ = typeAAAA
	case "CNAME":
		typ = typeCNAME
	case "NS":
		typ = typeNS
	case "PTR":
		typ = typePTR
	case "SOA":
		typ = typeSOA
	case "SRV":
		typ = typeSRV
	case "SSHFP":
		typ = typeSSHFP
	default:
		return
	}
	if !r.cut && bytes.IndexByte(r.name, '\\') < 0 && bytes.IndexByte(r.data, '\\') < 0 && r.name != nil {
		to.add(r.name, typ, uint32(r.ttl), r.data)
	}
}
