package decode

import (
	"unicode/utf8"

	"github.com/picket-dns/picket/internal/dnsname"
)

// maxText bounds a text taken over from an input, in bytes.
const maxText = 2048

// NameText reads a name in presentation form, with or without trailing dot, and
// returns it as telemetry has it: lower case, with trailing dot, escaped.
func NameText(b []byte) (string, bool) {
	var wire [dnsname.MaxLen]byte
	name, err := dnsname.AppendText(wire[:0], b)
	if err != nil {
		return "", false
	}
	var text [dnsname.MaxLen + 1]byte // enough unless much is escaped
	return string(dnsname.AppendString(text[:0], name)), true
}

// Text is b as a string that can be shown: at most 2,048 bytes of valid UTF-8, with
// control characters and other bytes as \xHH.
func Text(b []byte) string {
	if len(b) <= maxText && plain(b) {
		return string(b)
	}
	return string(appendText(nil, b))
}

// plain reports whether b is printable US-ASCII.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func appendText(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if len(dst)+4 > maxText {
			break
		}
		if (r == utf8.RuneError && n == 1) || r < ' ' || (r >= 0x7f && r < 0xa0) {
			for _, c := range b[:n] {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			}
		} else {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

// Interner makes strings of bytes and keeps those that come again and again, such
// as services, rules and user agents. It holds a bounded number.
type Interner struct {
	texts map[string]string
	names map[string]string
}

// maxInterned bounds how many texts, and how many names, an Interner holds;
// longer ones than maxInternedLen are not held.
const (
	maxInterned    = 4096
	maxInternedLen = 256
)

// Text is the function Text.
func (n *Interner) Text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := n.texts[string(b)]; ok {
		return s
	}
	s := Text(b)
	if len(b) <= maxInternedLen && len(n.texts) < maxInterned {
		if n.texts == nil {
			n.texts = map[string]string{}
		}
		n.texts[string(b)] = s
	}
	return s
}

// Name is NameText; "" is no name.
func (n *Interner) Name(b []byte) (string, bool) {
	if s, ok := n.names[string(b)]; ok {
		return s, true
	}
	s, ok := NameText(b)
	if ok && len(b) <= maxInternedLen && len(n.names) < maxInterned {
		if n.names == nil {
			n.names = map[string]string{}
		}
		n.names[string(b)] = s
	}
	return s, ok
}
