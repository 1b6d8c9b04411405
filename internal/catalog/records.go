package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// batchSize is how many records are verified at once.
const batchSize = 256

// record is one record read from a master file.
type record struct {
	at     place // where it stands; only file is used
	line   int
	owner  []byte
	rrtype uint16
	origin string // for relative names in rdata
	rdata  string
	known  bool // rdata can be verified
}

// unverified are the types whose data is taken as it stands. Some are registered
// (IANA DNS parameters) but unknown to the verifier, being obsolete or new; of
// others it refuses notations that name servers read; and DNSSEC material is
// never looked at here, only its presence.
var unverified = map[string]uint16{
	"MD": 3, "MF": 4, "WKS": 11, "X25": 19, "NSAP": 22, "NSAP-PTR": 23, "SIG": 24, "KEY": 25, "GPOS": 27, "NXT": 30,
	"ATMA": 34, "A6": 38, "SINK": 40, "APL": 42, "RRSIG": typeRRSIG, "NSEC": typeNSEC, "DNSKEY": typeDNSKEY,
	"NSEC3": typeNSEC3, "CDNSKEY": 60, "DSYNC": 66, "HHIT": 67, "BRID": 68, "UID": 101, "GID": 102, "UNSPEC": 103,
	"DOA": 259, "WALLET": 262, "CLA": 263, "IPN": 264,
}

// record takes in one record entry.
func (l *loader) record(e entry, at *place) {
	text := e.text
	owner := at.owner
	if !e.blank {
		var tok []byte
		tok, text = token(text)
		name, problem := resolve(tok, at)
		if problem != "" {
			at.owner = nil
			l.bad(at, e.line, "owner %q: %s", tok, problem)
			return
		}
		owner = name
		at.owner = name
	}
	if owner == nil {
		l.bad(at, e.line, "the line has no owner name, and there is none before it to go on from")
		return
	}
	l.recordOf(owner, text, e.line, at)
}

// recordOf takes in a record whose owner is known: [TTL] [class] type rdata.
func (l *loader) recordOf(owner, text []byte, line int, at *place) {
	h, problem := header(text)
	if problem != "" {
		l.bad(at, line, "%s", problem)
		return
	}
	r := record{at: *at, line: line, owner: owner, rrtype: h.rrtype, rdata: string(h.rdata), known: h.known, origin: "."}
	if at.origin != nil {
		r.origin = dnsname.String(at.origin)
	}
	if h.rrtype == typeSOA && l.apex == nil {
		l.setApex(owner)
	}
	l.batch = append(l.batch, r)
	if len(l.batch) >= batchSize && l.apex != nil {
		l.flush()
	}
}

type recordHeader struct {
	rrtype uint16
	rdata  []byte
	known  bool
}

// header reads what stands between owner and rdata: TTL and class in either
// order, both optional, and the type.
func header(text []byte) (h recordHeader, problem string) {
	var ttl, class bool
	for {
		tok, rest := token(text)
		text = rest
		if len(tok) == 0 {
			return h, "no record type: an entry is OWNER [TTL] [CLASS] TYPE DATA"
		}
		s := strings.ToUpper(string(tok))
		switch {
		case !ttl && isTTL(s):
			ttl = true
			continue
		case !class && (s == "IN" || s == "CLASS1"):
			class = true
			continue
		case !class && (s == "CH" || s == "HS" || s == "CS" || strings.HasPrefix(s, "CLASS")):
			return h, fmt.Sprintf("class %s: only zones of class IN are watched", s)
		}
		h.rdata = rest
		if t, ok := unverified[s]; ok {
			h.rrtype = t
			return h, ""
		}
		if t, ok := dns.StringToType[s]; ok {
			h.rrtype, h.known = t, true
			return h, ""
		}
		if num, ok := strings.CutPrefix(s, "TYPE"); ok {
			if v, err := strconv.ParseUint(num, 10, 16); err == nil {
				h.rrtype, h.known = uint16(v), true
				return h, ""
			}
		}
		return h, fmt.Sprintf("unknown record type %q: use a registered mnemonic, or TYPE and its number", tok)
	}
}

// isTTL reports whether s is a TTL in seconds or with units, such as 1H30M.
func isTTL(s string) bool {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && !strings.ContainsRune("SMHDW", rune(c)) {
			return false
		}
	}
	return true
}

// resolve returns the canonical wire form of a name as it stands in a file.
func resolve(tok []byte, at *place) (name []byte, problem string) {
	const noOrigin = "relative, but no $ORIGIN says to what: add $ORIGIN, or give the zone as ORIGIN=PATH"
	if string(tok) == "@" {
		if at.origin == nil {
			return nil, noOrigin
		}
		return at.origin, ""
	}
	name, err := dnsname.AppendText(make([]byte, 0, len(tok)+2+len(at.origin)), tok)
	if err != nil {
		return nil, err.Error()
	}
	if endsInDot(tok) {
		return name, ""
	}
	if at.origin == nil {
		return nil, noOrigin
	}
	name = append(name[:len(name)-1], at.origin...)
	if len(name) > dnsname.MaxLen {
		return nil, dnsname.ErrTooLong.Error()
	}
	return name, ""
}

// endsInDot reports whether the last dot is one, not an escaped character.
func endsInDot(tok []byte) bool {
	n := len(tok) - 1
	if n < 0 || tok[n] != '.' {
		return false
	}
	slashes := 0
	for n--; n >= 0 && tok[n] == '\\'; n-- {
		slashes++
	}
	return slashes%2 == 0
}

// flush verifies the batch and adds what is good to the zone.
func (l *loader) flush() {
	l.verify.run(l.batch, func(r *record, problem string) {
		if problem == "" {
			if err := l.z.Add(r.owner, r.rrtype); err != nil {
				problem = err.Error() + ": it is not taken"
			}
		}
		if problem != "" {
			l.bad(&r.at, r.line, "%s", problem)
		}
	})
	l.batch = l.batch[:0]
}

// verifier reads rdata with a full master-file parser, many records at a time:
// setting one up costs more than a record does.
type verifier struct{ text strings.Builder }

// run calls done for each record in order, with what is wrong with it.
func (v *verifier) run(batch []record, done func(r *record, problem string)) {
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && n < batchSize && batch[n].known == batch[0].known && batch[n].origin == batch[0].origin {
			n++
		}
		if !batch[0].known {
			for i := range batch[:n] {
				done(&batch[i], "")
			}
		} else {
			n = v.parse(batch[:n], done)
		}
		batch = batch[n:]
	}
}

// parse verifies records of one origin up to and including the first bad one and
// returns how many that were.
func (v *verifier) parse(batch []record, done func(r *record, problem string)) int {
	v.text.Reset()
	for i := range batch {
		// The owner has been read already; any will do here.
		v.text.WriteString(". 0 IN TYPE")
		v.text.WriteString(strconv.Itoa(int(batch[i].rrtype)))
		v.text.WriteByte(' ')
		v.text.WriteString(batch[i].rdata)
		v.text.WriteByte('\n')
	}
	p := dns.NewZoneParser(strings.NewReader(v.text.String()), batch[0].origin, "")
	n := 0
	for ; n < len(batch); n++ {
		if _, ok := p.Next(); !ok {
			break
		}
		done(&batch[n], "")
	}
	if n == len(batch) {
		return n
	}
	problem := "data cannot be read"
	if err := p.Err(); err != nil {
		problem = explain(err)
	}
	bad := &batch[n]
	done(bad, fmt.Sprintf("%s record of %s: %s", typeName(bad.rrtype), dnsname.String(bad.owner), problem))
	return n + 1
}

func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// explain turns the parser's error into words without its own line numbers,
// which are those of the batch.
func explain(err error) string {
	s := strings.TrimPrefix(err.Error(), "dns: ")
	if i := strings.LastIndex(s, " at line: "); i >= 0 {
		s = s[:i]
	}
	return s
}
