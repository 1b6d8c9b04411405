package duckdb

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"

	"golang.org/x/net/publicsuffix"
)

// DuckDB's zone maps of strings keep eight bytes, which are the same for too many
// names. Sightings are therefore found by numbers.
//
// The key of a name is the 32-bit hash of the domain it is registered under
// (dnsname.Registered; the name itself when it is shorter) in the upper half
// and that of the whole name in the lower: everything below a registered domain
// lies together. Two names with one key are told apart by their text.
//
// The key of a value of RDATA: for A the address in the upper half; for AAAA the
// first 64 bits of the address; for types that hold a name the key of that name;
// for others the 64-bit hash of the text. Types do not share a key space: the
// type is always looked at, too.

// hash64 is FNV-1a with 64 bits, its result stirred once more so that its upper
// half is as good as its lower.
func hash64(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

func hash32(s string) uint64 { return hash64(s) >> 32 }

// nameKeyer computes keys. It remembers the last name and the last parent: sightings
// of one name, or of one domain, often follow each other.
type nameKeyer struct {
	lastName   string
	lastKey    uint64
	lastParent string
	lastDomain string // the registered domain that lastParent is or lies in, or ""
	wire       []byte
}

// key is the key of a canonical name.
func (k *nameKeyer) key(name string) uint64 {
	if name == k.lastName && name != "" {
		return k.lastKey
	}
	k.lastName = name
	k.lastKey = hash32(k.domain(name))<<32 | hash32(name)
	return k.lastKey
}

// domain is the registered domain of a canonical name's parent, the name itself
// when that has none: for a registered domain and all below it that domain.
func (k *nameKeyer) domain(name string) string {
	parent := parentText(name)
	if parent != k.lastParent || parent == "" {
		k.lastParent, k.lastDomain = parent, k.registered(parent)
	}
	if k.lastDomain == "" {
		return name
	}
	return k.lastDomain
}

// parentText is what follows the first dot between labels (RFC 1035 §5.1).
func parentText(name string) string {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '.':
			return name[i+1:]
		}
	}
	return ""
}

// registered is the registered domain that name is or lies in, "" when it is in
// none or cannot be read.
func (k *nameKeyer) registered(name string) string {
	if isPlain(name) {
		return registeredText(name)
	}
	wire, err := dnsname.AppendText(k.wire[:0], name)
	if err != nil {
		return ""
	}
	k.wire = wire
	reg := dnsname.Registered(wire)
	if reg == nil {
		return ""
	}
	return dnsname.String(reg)
}

// isPlain reports whether a canonical name has nothing in it but labels of letters,
// digits, hyphens and underscores, of which none is a reverse zone's.
func isPlain(name string) bool {
	label := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.' && label > 0:
			label = 0
		case label < 63 && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'): // RFC 1035 §2.3.4
			label++
		default:
			return false
		}
	}
	return name != "" && label == 0 && len(name) < 255 && !strings.HasSuffix(name, "arpa.")
}

// registeredText is dnsname.Registered for a plain name, without its wire form,
// which takes most of the time.
func registeredText(name string) string {
	rest := name[:len(name)-1]
	for domain := rest; ; {
		suffix, icann := publicsuffix.PublicSuffix(domain)
		dot := strings.IndexByte(suffix, '.')
		if !icann && dot >= 0 {
			domain = suffix[dot+1:]
			continue
		}
		if len(suffix) >= len(rest) {
			return ""
		}
		at := len(rest) - len(suffix) - 1
		return name[strings.LastIndexByte(rest[:at], '.')+1:]
	}
}

// data returns RDATA in canonical form and its key.
func (k *nameKeyer) data(rrtype, data string) (string, uint64) {
	switch rrtype {
	case "A", "AAAA":
		addr, err := netip.ParseAddr(data)
		if err != nil || addr.Zone() != "" || addr.Is4() != (rrtype == "A") {
			return text(data), hash64(data)
		}
		var buf [48]byte
		if text := addr.AppendTo(buf[:0]); string(text) != data {
			data = string(text)
		}
		return data, addrKey(addr)
	case "NS", "CNAME", "DNAME", "PTR":
		data = canonicalName(data)
		return data, k.apart(data)
	}
	if at := nameField(rrtype); at != 0 {
		data = lowerText(data)
		if name := field(data, at); name != "" {
			return data, k.apart(canonicalName(name))
		}
	}
	data = text(data)
	return data, hash64(data)
}

// apart is key, without forgetting the owner's.
func (k *nameKeyer) apart(name string) uint64 {
	return hash32(k.domain(name))<<32 | hash32(name)
}

func lowerText(s string) string {
	if s = text(s); isLower(s) {
		return s
	}
	return strings.ToLower(s)
}

// nameField says which field of a type's RDATA, from 1, is the name by which it
// is found; 0 when it is found by its whole text.
func nameField(rrtype string) int {
	switch rrtype {
	case "SOA": // RFC 1035 §3.3.13
		return 1
	case "MX", "AFDB", "KX", "RT", "SVCB", "HTTPS": // RFC 1035 §3.3.9, RFC 9460 §2.1
		return 2
	case "SRV": // RFC 2782
		return 4
	}
	return 0
}

// field returns the nth field of s, from 1, "" when there is none.
func field(s string, n int) string {
	for f := range strings.FieldsSeq(s) {
		if n--; n == 0 {
			return f
		}
	}
	return ""
}

// addrKey is the key of an address as RDATA.
func addrKey(a netip.Addr) uint64 {
	b := a.AsSlice()
	if len(b) == 4 {
		return uint64(binary.BigEndian.Uint32(b)) << 32
	}
	return binary.BigEndian.Uint64(b)
}

// addrRange returns the keys of the least and the greatest address of a prefix.
func addrRange(p netip.Prefix) (lo, hi uint64) {
	lo = addrKey(p.Masked().Addr())
	bits := p.Bits()
	if bits >= 64 {
		return lo, lo
	}
	return lo, lo | (1<<64-1)>>bits
}
