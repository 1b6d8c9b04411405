package dnsname

import "golang.org/x/net/publicsuffix"

// Wire forms of the two reverse trees (RFC 1035 §3.5, RFC 3596 §2.5).
const (
	inAddrArpa = "\x07in-addr\x04arpa\x00"
	ip6Arpa    = "\x03ip6\x04arpa\x00"
)

// Labels of the zones that are guessed in the reverse trees: a /24 has three
// octets below in-addr.arpa, a /48 twelve nibbles below ip6.arpa.
const (
	labels24 = 3 + 2
	labels48 = 12 + 2
)

// IsReverse reports whether name lies in a reverse tree.
func IsReverse(name []byte) bool { return reverseLabels(name) != 0 }

// reverseLabels returns the number of labels of the zone guessed for a name in
// a reverse tree, 0 for a name in neither.
func reverseLabels(name []byte) int {
	switch {
	case IsSubdomain(name, []byte(inAddrArpa)):
		return labels24
	case IsSubdomain(name, []byte(ip6Arpa)):
		return labels48
	}
	return 0
}

// Registered returns the part of name that somebody has most likely registered
// or been assigned: the public suffix and one label more, in the reverse trees
// the /24 or /48. It is a suffix of name, nil when name is shorter than that.
// Only suffixes run by registries count (the ICANN section of the list): a name
// below a hosting company's suffix lies in that company's zone.
func Registered(name []byte) []byte {
	n := reverseLabels(name)
	if n == 0 {
		n = publicLabels(name) + 1
	}
	have := Labels(name)
	if have < n {
		return nil
	}
	for ; have > n; have-- {
		name = Parent(name)
	}
	return name
}

// publicLabels returns the number of labels of name's public suffix, at least 1.
func publicLabels(name []byte) int {
	text := make([]byte, 0, MaxLen)
	for off := 0; off < len(name) && name[off] != 0; off += 1 + int(name[off]) {
		if off > 0 {
			text = append(text, '.')
		}
		for _, c := range name[off+1 : off+1+int(name[off])] {
			if c == '.' { // a dot within a label must not look like one between labels
				c = '_'
			}
			text = append(text, c)
		}
	}
	for domain := string(text); ; {
		suffix, icann := publicsuffix.PublicSuffix(domain)
		at := dot(suffix)
		if icann || at < 0 {
			return dots(suffix) + 1
		}
		domain = suffix[at+1:]
	}
}

func dot(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			return i
		}
	}
	return -1
}

func dots(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			n++
		}
	}
	return n
}
