package query

import (
	"bytes"
	"strconv"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Zeek's dns.log has the values of an answer section in their order, without owners
// and types. What they are of is told where only one reading is possible:
//
//   - Of types that Zeek writes as a bare name (NS, PTR, MX, SRV, SOA, CNAME) only
//     CNAME can be in the answer to a question for another type. So where A, AAAA, TXT
//     or SPF is asked for, a name is an alias's target. Servers write a chain of aliases
//     in the order in which it is followed, before what it leads to (RFC 1034 §4.3.2):
//     the first name is the target of the QNAME, the next of that name, and so on; the
//     data belongs to the last.
//   - Addresses look like addresses, and TXT and SPF have their type and length.
//   - To a question for CNAME a single name is the answer. To one for NS or PTR it may
//     be a CNAME's target as well, and MX and SRV lack their numbers: nothing is told.
//
// Where anything does not fit, nothing is told of the whole section.

// zeekAnswers are the values of one answer section. It is used again.
type zeekAnswers struct {
	text [maxTold][]byte // borrowed from the record
	ttl  [maxTold]uint32
	n    int // values, of which the first maxTold are kept
	ttls int
	buf  []byte // TXT data under construction
}

func (a *zeekAnswers) add(text []byte) {
	if a.n < maxTold {
		a.text[a.n] = text
	}
	a.n++
}

// addTTL takes a TTL as Zeek writes it: seconds with a fraction.
func (a *zeekAnswers) addTTL(text []byte) {
	if a.ttls < maxTold {
		a.ttl[a.ttls] = 0
		whole, _, _ := bytes.Cut(text, []byte{'.'})
		if v, ok := decode.ParseUint(whole, 1<<31-1); ok {
			a.ttl[a.ttls] = uint32(v)
		}
	}
	a.ttls++
}

const (
	typeTXT = 16
	typeSPF = 99
	typeANY = 255
)

// tell gathers what the answers to a question for typ are of.
func (a *zeekAnswers) tell(to *told, typ uint16) {
	to.reset()
	if a.n == 0 || a.n > maxTold || !a.told(to, typ) {
		to.reset()
	}
}

func (a *zeekAnswers) told(to *told, typ uint16) bool {
	switch typ {
	case typeA, typeAAAA, typeTXT, typeSPF, typeANY:
	case typeCNAME:
		if a.n != 1 || !zeekName(a.text[0]) {
			return false
		}
		to.add(nil, typeCNAME, a.ttlOf(0), a.text[0])
		return true
	default:
		return false
	}
	var owner []byte // of what comes next; nil is the QNAME
	data := false
	for i, text := range a.text[:a.n] {
		if bytes.HasPrefix(text, []byte("RRSIG ")) { // of what is before it
			continue
		}
		if t := addressType(text); t != 0 {
			if typ != t && typ != typeANY {
				return false
			}
			to.add(owner, t, a.ttlOf(i), text)
			data = true
			continue
		}
		if t, rdata := a.tagged(text); t != 0 {
			if typ != t && typ != typeANY {
				return false
			}
			to.add(owner, t, a.ttlOf(i), rdata)
			data = true
			continue
		}
		// After data a name can be no alias any more, and ANY brings names of all types.
		if data || typ == typeANY || !zeekName(text) || a.again(i) {
			return false
		}
		to.add(owner, typeCNAME, a.ttlOf(i), text)
		owner = text
	}
	return true
}

// ttlOf is an answer's TTL; 0 when not every answer has one.
func (a *zeekAnswers) ttlOf(i int) uint32 {
	if a.ttls != a.n {
		return 0
	}
	return a.ttl[i]
}

// again reports whether the name at i has come before, as in a loop of aliases.
func (a *zeekAnswers) again(i int) bool {
	for _, text := range a.text[:i] {
		if bytes.EqualFold(text, a.text[i]) {
			return true
		}
	}
	return false
}

// zeekName reports whether text is a name and nothing else that Zeek writes. Names
// with bytes that are escaped are left alone.
func zeekName(text []byte) bool {
	if len(text) == 0 || len(text) > 255 || text[0] == '<' {
		return false
	}
	for _, c := range text {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == ':' || c == '(' || c == ')' || c == ';' {
			return false
		}
	}
	return true
}

// tagged reads TXT and SPF data: for each character string the type, its length and
// its octets. It returns them in presentation form, and 0 for anything else.
func (a *zeekAnswers) tagged(text []byte) (typ uint16, data []byte) {
	tag := []byte("TXT ")
	switch {
	case bytes.HasPrefix(text, tag):
		typ = typeTXT
	case bytes.HasPrefix(text, []byte("SPF ")):
		typ, tag = typeSPF, []byte("SPF ")
	default:
		return 0, nil
	}
	a.buf = a.buf[:0]
	for {
		rest, ok := bytes.CutPrefix(text, tag)
		number, rest, cut := bytes.Cut(rest, []byte{' '})
		n, err := strconv.Atoi(string(number))
		if !ok || !cut || err != nil || n < 0 || n > 255 {
			return 0, nil
		}
		if len(a.buf) > 0 {
			a.buf = append(a.buf, ' ')
		}
		a.buf = append(a.buf, '"')
		for ; n > 0; n-- {
			if len(rest) == 0 {
				return 0, nil // shorter than it says
			}
			c := rest[0]
			size := 1
			if c == '\\' { // a byte that is not printable, or a backslash
				if len(rest) >= 4 && rest[1] == 'x' && decode.HexValue(rest[2]) >= 0 && decode.HexValue(rest[3]) >= 0 {
					c, size = byte(decode.HexValue(rest[2])<<4|decode.HexValue(rest[3])), 4
				} else if len(rest) >= 2 && rest[1] == '\\' {
					size = 2
				}
			}
			rest = rest[size:]
			switch {
			case c == '"' || c == '\\':
				a.buf = append(a.buf, '\\', c)
			case c < ' ' || c >= 0x7f:
				a.buf = append(a.buf, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			default:
				a.buf = append(a.buf, c)
			}
		}
		a.buf = append(a.buf, '"')
		if len(rest) == 0 {
			return typ, a.buf
		}
		if rest[0] != ' ' {
			return 0, nil // longer than it says
		}
		text = rest[1:]
	}
}

// tellAnswers says what the response of d.row answered.
func (d *zeekReader) tellAnswers() {
	q := &d.q
	if q.Rcode != picket.RcodeNoError || q.Flags&picket.FlagResponse == 0 {
		return
	}
	if d.answers.tell(&d.told, q.Type); len(d.told.list) > 0 {
		q.Response.Told = d.told.list
	}
}
