package masterfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// BatchSize is how many records are worth verifying at once.
const BatchSize = 256

// unverified are the types whose data is taken as it stands. Some are registered
// (IANA DNS parameters) but unknown to the verifier, being obsolete or new; of
// others it refuses notations that name servers read; and DNSSEC material is
// never looked at here, only its presence.
var unverified = map[string]uint16{
	"MD": 3, "MF": 4, "WKS": 11, "X25": 19, "NSAP": 22, "NSAP-PTR": 23, "SIG": 24, "KEY": 25, "GPOS": 27, "NXT": 30,
	"ATMA": 34, "A6": 38, "SINK": 40, "APL": 42, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48,
	"NSEC3": 50, "CDNSKEY": 60, "DSYNC": 66, "HHIT": 67, "BRID": 68, "UID": 101, "GID": 102, "UNSPEC": 103,
	"DOA": 259, "WALLET": 262, "CLA": 263, "IPN": 264,
}

// record takes in one record entry.
func (r *Reader) record(e entry, at *place) {
	text := e.text
	owner := at.owner
	if !e.blank {
		var tok []byte
		tok, text = token(text)
		name, reason, problem := resolve(tok, at)
		if problem != "" {
			at.owner = nil
			r.bad(at, e, reason, "owner %q: %s", tok, problem)
			return
		}
		owner = name
		at.owner = name
	}
	if owner == nil {
		r.bad(at, e, ReasonNoOwner, "the line has no owner name, and there is none before it to go on from")
		return
	}
	r.recordOf(owner, text, e, at)
}

// recordOf takes in a record whose owner is known: [TTL] [class] type rdata.
func (r *Reader) recordOf(owner, text []byte, e entry, at *place) {
	h, reason, problem := header(text)
	if h.ttl >= 0 {
		r.last = h.ttl
	}
	if h.class != 0 && r.class == 0 {
		r.class = h.class
	}
	if problem != "" {
		r.bad(at, e, reason, "%s", problem)
		return
	}
	class := cmp.Or(h.class, r.class, 1)
	rec := Record{File: at.file, Line: e.line, Owner: owner, TTL: h.ttl, Class: class, Type: h.rrtype, Data: string(h.rdata), known: h.known, Origin: "."}
	if rec.TTL < 0 { // RFC 2308 §4, and before it RFC 1035 §5.1
		if rec.TTL = r.ttl; rec.TTL < 0 {
			rec.TTL = r.last
		}
	}
	if at.origin != nil {
		rec.Origin = dnsname.String(at.origin)
	}
	r.err = r.h.Record(rec)
}

type recordHeader struct {
	ttl    int64  // -1 when it is not there
	class  uint16 // 0 when it is not there
	rrtype uint16
	rdata  []byte
	known  bool
}

// header reads what stands between owner and rdata: TTL and class in either
// order, both optional, and the type.
func header(text []byte) (h recordHeader, reason, problem string) {
	h.ttl = -1
	for {
		tok, rest := token(text)
		text = rest
		if len(tok) == 0 {
			return h, ReasonNoType, "no record type: an entry is OWNER [TTL] [CLASS] TYPE DATA"
		}
		s := strings.ToUpper(string(tok))
		if ttl, ok := parseTTL(s); ok && h.ttl < 0 {
			h.ttl = ttl
			continue
		}
		if class, ok := parseClass(s); ok && h.class == 0 {
			h.class = class
			continue
		}
		h.rdata = rest
		if t, ok := unverified[s]; ok {
			h.rrtype = t
			return h, "", ""
		}
		if t, ok := dns.StringToType[s]; ok {
			h.rrtype, h.known = t, true
			return h, "", ""
		}
		if num, ok := strings.CutPrefix(s, "TYPE"); ok {
			if v, err := strconv.ParseUint(num, 10, 16); err == nil {
				h.rrtype, h.known = uint16(v), true
				return h, "", ""
			}
		}
		return h, ReasonType, fmt.Sprintf("unknown record type %q: use a registered mnemonic, or TYPE and its number", tok)
	}
}

// parseClass reads a class's mnemonic or CLASS and its number (RFC 3597 §5).
func parseClass(s string) (uint16, bool) {
	switch s {
	case "IN":
		return 1, true
	case "CS":
		return 2, true
	case "CH":
		return 3, true
	case "HS":
		return 4, true
	}
	num, ok := strings.CutPrefix(s, "CLASS")
	v, err := strconv.ParseUint(num, 10, 16)
	return uint16(v), ok && err == nil && v > 0
}

// parseTTL reads a TTL in seconds or with units, such as 1H30M, in upper case.
func parseTTL(s string) (ttl int64, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	const most = 1 << 40 // nonsense, but no overflow
	var n int64
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' {
			n = min(n*10+int64(c-'0'), most)
			continue
		}
		var unit int64
		switch c {
		case 'S':
			unit = 1
		case 'M':
			unit = 60
		case 'H':
			unit = 3600
		case 'D':
			unit = 86400
		case 'W':
			unit = 604800
		default:
			return 0, false
		}
		ttl, n = min(ttl+n*unit, most), 0
	}
	return min(ttl+n, most), true
}

// resolve returns the canonical wire form of a name as it stands in a file.
func resolve(tok []byte, at *place) (name []byte, reason, problem string) {
	const noOrigin = "relative, but no $ORIGIN says to what: add $ORIGIN, or give the zone as ORIGIN=PATH"
	if string(tok) == "@" {
		if at.origin == nil {
			return nil, ReasonNoOrigin, noOrigin
		}
		return at.origin, "", ""
	}
	name, err := dnsname.AppendText(make([]byte, 0, len(tok)+2+len(at.origin)), tok)
	if err != nil {
		return nil, ReasonName, err.Error()
	}
	if endsInDot(tok) {
		return name, "", ""
	}
	if at.origin == nil {
		return nil, ReasonNoOrigin, noOrigin
	}
	name = append(name[:len(name)-1], at.origin...)
	if len(name) > dnsname.MaxLen {
		return nil, ReasonName, dnsname.ErrTooLong.Error()
	}
	return name, "", ""
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

// Verifier reads record data with a full master-file parser, many records at a
// time: setting one up costs more than a record does.
type Verifier struct {
	// All reads the data of every type. Otherwise that of types that are obsolete or
	// new, and of DNSSEC, is passed as it stands.
	All  bool
	text strings.Builder
}

// Run calls done for each record of a batch in order, with what is wrong with it,
// and the record that was read, nil when its data stays as it stands.
func (v *Verifier) Run(batch []Record, done func(r *Record, rr dns.RR, problem string)) {
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && n < BatchSize && batch[n].known == batch[0].known && batch[n].Origin == batch[0].Origin {
			n++
		}
		if batch[0].known || v.All {
			n = v.parse(batch[:n], done)
		} else {
			for i := range batch[:n] {
				done(&batch[i], nil, "")
			}
		}
		batch = batch[n:]
	}
}

// parse verifies records of one origin up to and including the first bad one and
// returns how many that were.
func (v *Verifier) parse(batch []Record, done func(r *Record, rr dns.RR, problem string)) int {
	v.text.Reset()
	for i := range batch {
		// The owner has been read already; any will do here.
		v.text.WriteString(". 0 IN TYPE")
		v.text.WriteString(strconv.Itoa(int(batch[i].Type)))
		v.text.WriteByte(' ')
		v.text.WriteString(batch[i].Data)
		v.text.WriteByte('\n')
	}
	p := dns.NewZoneParser(strings.NewReader(v.text.String()), batch[0].Origin, "")
	n := 0
	for ; n < len(batch); n++ {
		rr, ok := p.Next()
		if !ok {
			break
		}
		done(&batch[n], rr, "")
	}
	if n == len(batch) {
		return n
	}
	bad := &batch[n]
	if !bad.known {
		done(bad, nil, "")
		return n + 1
	}
	problem := "data cannot be read"
	if err := p.Err(); err != nil {
		problem = explain(err)
	}
	done(bad, nil, fmt.Sprintf("%s record of %s: %s", TypeName(bad.Type), dnsname.String(bad.Owner), problem))
	return n + 1
}

// TypeName returns a type's mnemonic, or TYPE and its number.
func TypeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	for name, n := range unverified {
		if n == t {
			return name
		}
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
