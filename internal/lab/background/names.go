package background

import (
	"github.com/picket-dns/picket/internal/dnsname"
)

// Letters that words are made of.
const (
	onsets = "bcdfghjklmnprstvwz"
	vowels = "aeiou"
)

// appendWord appends a word of so many syllables, such as people name companies.
func appendWord(dst []byte, m *mix, syllables int) []byte {
	for range syllables {
		dst = append(dst, onsets[m.below(len(onsets))], vowels[m.below(len(vowels))])
		if m.below(4) == 0 {
			dst = append(dst, "nrstlx"[m.below(6)])
		}
	}
	return dst
}

// appendLabel appends the label whose text f appends.
func appendLabel(dst []byte, f func([]byte) []byte) []byte {
	at := len(dst)
	dst = f(append(dst, 0))
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// appendText appends a label.
func appendText(dst []byte, label string) []byte {
	return append(append(dst, byte(len(label))), label...)
}

// appendLetters appends a label of n random letters.
func appendLetters(dst []byte, m *mix, n int) []byte {
	dst = append(dst, byte(n))
	for range n {
		dst = append(dst, byte('a'+m.below(26)))
	}
	return dst
}

// appendHex appends a label of n hexadecimal digits after a letter.
func appendHex(dst []byte, m *mix, letter byte, n int) []byte {
	dst = append(dst, byte(n+1), letter)
	for range n {
		dst = append(dst, "0123456789abcdef"[m.below(16)])
	}
	return dst
}

// foreignHosts and foreignTops are what a name of somebody else begins and ends with;
// the first ones are the most frequent.
var (
	foreignHosts = [...]string{"www", "api", "mail", "cdn", "login", "update", "time", "static", "m", "img", "auth", "push", "imap", "telemetry", "assets", "download"}
	foreignTops  = [...]string{"com", "com", "com", "com", "com", "net", "org", "local", "lan", "io", "de", "test", "home", "internal", "eu", "info"}
)

// foreign is how many other names are asked for with the zone's at the end.
const foreign = 20_000

// appendForeign appends a name of somebody else's, without its root label; the
// number is its place by popularity.
func appendForeign(dst []byte, number int) []byte {
	m := mix{uint64(number) * 104_729}
	dst = appendText(dst, foreignHosts[min(m.below(16), m.below(16))])
	dst = appendLabel(dst, func(b []byte) []byte { return appendWord(b, &m, 2+m.below(3)) })
	return appendText(dst, foreignTops[m.below(len(foreignTops))])
}

// nearby are two neighbours of each letter on a keyboard.
const nearby = "qsvnxvsfwrdgfhgjuohkjlkonjbmipolwaetadryyicbqezctuxa"

// appendTypo appends name with its first label mistyped once, now and then twice: a
// letter left out, doubled, missed by a key, or two swapped.
func appendTypo(dst, name []byte, m *mix) []byte {
	var label [dnsname.MaxLabel + 2]byte
	b := append(label[:0], dnsname.First(name)...)
	slips := 1
	if m.below(5) == 0 {
		slips = 2
	}
	for range slips {
		b = slip(b, m)
	}
	for len(b) > 1 && b[0] == '-' {
		b = b[1:]
	}
	for len(b) > 1 && b[len(b)-1] == '-' {
		b = b[:len(b)-1]
	}
	if len(b) > dnsname.MaxLabel {
		b = b[:dnsname.MaxLabel]
	}
	dst = append(append(dst, byte(len(b))), b...)
	return append(dst, name[1+int(name[0]):]...)
}

func slip(b []byte, m *mix) []byte {
	i := m.below(len(b))
	switch kind := m.below(4); {
	case kind == 0 && len(b) > 2:
		return append(b[:i], b[i+1:]...)
	case kind == 1 && len(b) < dnsname.MaxLabel:
		b = append(b, 0)
		copy(b[i+1:], b[i:])
		return b
	case kind == 2 && i > 0 && b[i] != b[i-1]:
		b[i], b[i-1] = b[i-1], b[i]
		return b
	}
	if c := b[i]; c >= 'a' && c <= 'z' {
		b[i] = nearby[2*int(c-'a')+m.below(2)]
	} else {
		b[i] = '0' + byte(m.below(10))
	}
	return b
}

// discovery are names that software asks for in every domain it is configured with.
var discovery = [...]string{"wpad", "isatap", "autodiscover", "_ldap._tcp.dc._msdcs", "lyncdiscover", "autoconfig", "_kerberos._tcp.dc._msdcs",
	"sip", "_sip._tls", "enterpriseregistration", "_sipfederationtls._tcp", "lyncdiscoverinternal", "_autodiscover._tcp", "msoid",
	"enterpriseenrollment", "_ldap._tcp", "_kerberos._udp", "sipinternal", "_gc._tcp", "_imaps._tcp"}
