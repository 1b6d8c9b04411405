package record

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/picket-dns/picket/internal/input/decode"
)

// maxData bounds the data of one record in presentation form: 65,535 bytes, each
// written with at most four characters.
const maxData = 4*65535 + 1024

// toASCII writes a name with Unicode letters in A-labels. What cannot be written so
// is returned as it is, for its bytes to be escaped.
func toASCII(name string) string {
	if strings.IndexFunc(name, func(c rune) bool { return c >= 0x80 }) < 0 {
		return name
	}
	if a, err := idna.Punycode.ToASCII(strings.ToLower(name)); err == nil {
		return a
	}
	return name
}

// canonicalData brings record data in presentation form into the one form: names
// absolute and in lower case, blanks single, bytes escaped in one way. Names that
// are relative belong to origin, "" is the root. Types that DNS does not know, and
// those whose notation the parser does not, keep their text.
func canonicalData(typ, data, origin string) (string, bool) {
	if len(data) > maxData || strings.ContainsAny(data, "\r\n\x00") {
		return "", false
	}
	data = strings.TrimSpace(data)
	number, known := decode.ParseType([]byte(typ))
	if !known || !canParse(number) {
		return plainData(data)
	}
	if data == "" {
		return "", false
	}
	if origin == "" {
		origin = "."
	}
	text := ". 0 IN TYPE" + strconv.Itoa(int(number)) + " " + data + "\n"
	p := dns.NewZoneParser(strings.NewReader(text), origin, "")
	rr, ok := p.Next()
	if !ok {
		if lenient(number) {
			return plainData(data)
		}
		return "", false
	}
	if _, more := p.Next(); more {
		return "", false
	}
	return dataOf(rr, typ, data), true
}

// dataOf is the data of a parsed record in the one form. Data written as bytes
// (RFC 3597 §5) of a type that is known becomes its fields, unless they do not
// read back, as with too few bytes.
func dataOf(rr dns.RR, typ, written string) string {
	text := fieldText(rr)
	if written = strings.TrimSpace(written); strings.HasPrefix(written, `\#`) {
		if again, ok := canonicalData(typ, text, ""); !ok || again != text {
			return escapeBytes(joinFields(written))
		}
	}
	return text
}

// fieldText writes a record's fields.
func fieldText(rr dns.RR) string {
	switch r := rr.(type) {
	case *dns.NS:
		r.Ns = lowerName(r.Ns)
	case *dns.CNAME:
		r.Target = lowerName(r.Target)
	case *dns.DNAME:
		r.Target = lowerName(r.Target)
	case *dns.PTR:
		r.Ptr = lowerName(r.Ptr)
	case *dns.MX:
		r.Mx = lowerName(r.Mx)
	case *dns.SRV:
		r.Target = lowerName(r.Target)
	case *dns.SOA:
		r.Ns, r.Mbox = lowerName(r.Ns), lowerName(r.Mbox)
	case *dns.NAPTR:
		r.Replacement = lowerName(r.Replacement)
	case *dns.SVCB:
		r.Target = lowerName(r.Target)
	case *dns.HTTPS:
		r.Target = lowerName(r.Target)
	}
	if r, ok := rr.(*dns.RFC3597); ok { // a type that the parser does not know
		return strings.TrimSpace(fmt.Sprintf(`\# %d %s`, len(r.Rdata)/2, strings.ToUpper(r.Rdata)))
	}
	return escapeBytes(strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String())))
}

// lowerName is the canonical form of a name that the parser has read.
func lowerName(name string) string {
	if s, ok := fqdn(name); ok {
		return s
	}
	return name
}

// plainData is the text of data that is not parsed, its blanks single outside
// quotes. It is "" for nothing.
func plainData(data string) (string, bool) {
	return escapeBytes(joinFields(data)), true
}

// joinFields makes runs of blanks outside quotes one blank.
func joinFields(s string) string {
	var b strings.Builder
	quoted, blank := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !quoted && (c == ' ' || c == '\t') {
			blank = true
			continue
		}
		if blank && b.Len() > 0 {
			b.WriteByte(' ')
		}
		blank = false
		b.WriteByte(c)
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			quoted = !quoted
		}
	}
	return b.String()
}

// escapeBytes writes bytes that are not printable US-ASCII as \DDD (RFC 1035 §5.1).
func escapeBytes(s string) string {
	odd := func(c byte) bool { return c < ' ' || c >= 0x7f }
	if !slices.ContainsFunc([]byte(s), odd) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; odd(c) {
			fmt.Fprintf(&b, "\\%03d", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// canParse reports whether the parser reads a type's data at all.
func canParse(t uint16) bool {
	_, ok := dns.TypeToRR[t]
	return ok
}

// lenient reports whether data of a type that the parser refuses is kept as it is:
// types whose notation differs between name servers.
func lenient(t uint16) bool {
	switch t {
	case dns.TypeX25, dns.TypeGPOS, dns.TypeAPL, dns.TypeSIG, dns.TypeKEY, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeRRSIG,
		dns.TypeDNSKEY, dns.TypeCDNSKEY, dns.TypeNSAPPTR, dns.TypeNXT, dns.TypeUID, dns.TypeGID:
		return true
	}
	return false
}

// quoteText writes a text as character strings of at most 255 bytes each
// (RFC 1035 §3.3.14).
func quoteText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if i > 0 && i%255 == 0 {
			b.WriteString(`" "`)
		}
		appendQuoted(&b, s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func appendQuoted(b *strings.Builder, c byte) {
	switch {
	case c == '"' || c == '\\':
		b.WriteByte('\\')
		b.WriteByte(c)
	case c < ' ' || c >= 0x7f:
		fmt.Fprintf(b, "\\%03d", c)
	default:
		b.WriteByte(c)
	}
}

// quoteTexts writes texts as one record's character strings.
func quoteTexts(list []string) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quoteText(s))
	}
	return b.String()
}

// textData reads what may be character strings in quotes, as some sources write
// TXT, or one text without.
func textData(s string) string {
	if t := strings.TrimSpace(s); len(t) >= 2 && t[0] == '"' && t[len(t)-1] == '"' {
		if _, ok := canonicalData("TXT", t, ""); ok {
			return t
		}
	}
	return quoteText(s)
}

// unescapeText takes backslashes off that quote the character behind them.
func unescapeText(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if i+3 < len(s) && decode.Digit(s[i+1]) && decode.Digit(s[i+2]) && decode.Digit(s[i+3]) {
				if v, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
					b.WriteByte(byte(v))
					i += 3
					continue
				}
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// target is a name as record data; "" stays "".
func target(name string) string {
	name = strings.TrimSpace(toASCII(name))
	if name == "" || strings.ContainsAny(name, " \t;()\"") {
		return name
	}
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	return name
}

// aliasData is the data of what providers add to DNS as ALIAS: the type that is
// answered, when the source says it, and the name it is looked up at.
func aliasData(answers, name string) string {
	t := target(name)
	if s, ok := fqdn(t); ok {
		t = s
	}
	return strings.TrimSpace(strings.ToUpper(answers) + " " + t)
}
