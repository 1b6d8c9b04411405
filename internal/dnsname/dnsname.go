// Package dnsname handles domain names in one form: canonical wire form, that
// is length-prefixed labels ending in the root label with US-ASCII letters in
// lower case (RFC 1035 §3.1, RFC 4034 §6.2). A name in this form is a plain
// byte slice that can be compared, hashed and cut at label boundaries without
// allocation; names are turned into presentation form only to be shown.
package dnsname

import (
	"errors"
	"math/bits"
)

// Limits of RFC 1035 §2.3.4, in bytes.
const (
	MaxLen   = 255
	MaxLabel = 63
)

// Errors of Parse, Append and Check.
var (
	ErrTooLong    = errors.New("name longer than 255 bytes")
	ErrLabel      = errors.New("label empty or longer than 63 bytes")
	ErrEscape     = errors.New("bad escape in name")
	ErrTruncated  = errors.New("name runs past the end")
	ErrLabelType  = errors.New("reserved label type in name")
	ErrNotWire    = errors.New("not a name in wire form")
	ErrEmpty      = errors.New("empty name")
	ErrPointer    = errors.New("compression pointer not backwards")
	ErrManyJumps  = errors.New("too many compression pointers")
	maxJumps      = 127
	rootNameBytes = []byte{0}
)

// Root is the root name. It must not be written to.
func Root() []byte { return rootNameBytes }

var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return
}()

// Lower returns b in lower case if it is a US-ASCII letter.
func Lower(b byte) byte { return lower[b] }

// AppendText appends the canonical wire form of a name in presentation form
// (RFC 1035 §5.1, with \DDD and \X escapes; the trailing dot is optional) to dst.
// "." is the root; "" is ErrEmpty. On error dst is returned unchanged.
func AppendText[T string | []byte](dst []byte, text T) ([]byte, error) {
	if len(text) == 0 {
		return dst, ErrEmpty
	}
	if len(text) == 1 && text[0] == '.' {
		return append(dst, 0), nil
	}
	start := len(dst)
	lenAt := start
	out := append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '.':
			n := len(out) - lenAt - 1
			if n == 0 || n > MaxLabel {
				return dst, ErrLabel
			}
			out[lenAt] = byte(n)
			lenAt = len(out)
			out = append(out, 0)
			continue
		case c == '\\':
			if i+1 >= len(text) {
				return dst, ErrEscape
			}
			if d := text[i+1]; d < '0' || d > '9' {
				c = d
				i++
				break
			}
			if i+3 >= len(text) {
				return dst, ErrEscape
			}
			v := 0
			for j := 1; j <= 3; j++ {
				d := text[i+j]
				if d < '0' || d > '9' {
					return dst, ErrEscape
				}
				v = v*10 + int(d-'0')
			}
			if v > 255 {
				return dst, ErrEscape
			}
			c = byte(v)
			i += 3
		}
		out = append(out, lower[c])
		if len(out)-start > MaxLen {
			return dst, ErrTooLong
		}
	}
	n := len(out) - lenAt - 1
	if n > MaxLabel {
		return dst, ErrLabel
	}
	if n > 0 {
		out[lenAt] = byte(n)
		out = append(out, 0)
	}
	if len(out)-start > MaxLen {
		return dst, ErrTooLong
	}
	return out, nil
}

// Parse returns the canonical wire form of a name in presentation form.
func Parse(text string) ([]byte, error) {
	return AppendText(make([]byte, 0, len(text)+2), text)
}

// MustParse is Parse for constants; it panics on a bad name.
func MustParse(text string) []byte {
	n, err := Parse(text)
	if err != nil {
		panic("dnsname: " + text + ": " + err.Error())
	}
	return n
}

// AppendString appends the presentation form of name to dst, with trailing dot.
// Bytes that are not printable, and those special in master files, are escaped
// (RFC 1035 §5.1; RFC 4343 §2.1), so the result is printable US-ASCII.
func AppendString(dst, name []byte) []byte {
	if len(name) <= 1 {
		return append(dst, '.')
	}
	for off := 0; off < len(name) && name[off] != 0; {
		n := int(name[off])
		end := min(off+1+n, len(name))
		for _, c := range name[off+1 : end] {
			switch {
			case c == '.' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@' || c == '$':
				dst = append(dst, '\\', c)
			case c <= ' ' || c >= 0x7f:
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			default:
				dst = append(dst, c)
			}
		}
		dst = append(dst, '.')
		off = end
	}
	return dst
}

// String returns the presentation form of name with trailing dot.
func String(name []byte) string { return string(AppendString(nil, name)) }

// Text returns the presentation form of name without trailing dot ("." for the root).
func Text(name []byte) string {
	b := AppendString(nil, name)
	if len(b) > 1 {
		b = b[:len(b)-1]
	}
	return string(b)
}

// Check reports whether name is a well-formed canonical wire name.
func Check(name []byte) error {
	if len(name) == 0 {
		return ErrEmpty
	}
	if len(name) > MaxLen {
		return ErrTooLong
	}
	off := 0
	for {
		if off >= len(name) {
			return ErrTruncated
		}
		n := int(name[off])
		if n == 0 {
			break
		}
		if n > MaxLabel {
			return ErrLabelType
		}
		for _, c := range name[min(off+1, len(name)):min(off+1+n, len(name))] {
			if c != lower[c] {
				return ErrNotWire
			}
		}
		off += 1 + n
	}
	if off != len(name)-1 {
		return ErrNotWire
	}
	return nil
}

// AppendWire reads the possibly compressed name at msg[off:] and appends its
// canonical form to dst. It returns the offset after the name in msg, and
// whether any letter was upper case. Pointers must go backwards (RFC 1035
// §4.1.4 says "prior occurrence"), so a loop cannot happen. On error dst is
// returned unchanged.
func AppendWire(dst, msg []byte, off int) (out []byte, next int, mixed bool, err error) {
	start := len(dst)
	out = dst
	next = -1
	limit := off
	for jumps := 0; ; {
		if off >= len(msg) {
			return dst, 0, false, ErrTruncated
		}
		c := int(msg[off])
		switch c & 0xc0 {
		case 0:
			if c == 0 {
				if next < 0 {
					next = off + 1
				}
				if len(out)-start+1 > MaxLen {
					return dst, 0, false, ErrTooLong
				}
				return append(out, 0), next, mixed, nil
			}
			end := off + 1 + c
			if end > len(msg) {
				return dst, 0, false, ErrTruncated
			}
			if len(out)-start+1+c > MaxLen-1 {
				return dst, 0, false, ErrTooLong
			}
			out = append(out, byte(c))
			at := len(out)
			out = append(out, msg[off+1:end]...)
			for i := at; i < len(out); i++ {
				l := lower[out[i]]
				if l != out[i] {
					mixed = true
					out[i] = l
				}
			}
			off = end
		case 0xc0:
			if off+1 >= len(msg) {
				return dst, 0, false, ErrTruncated
			}
			if next < 0 {
				next = off + 2
			}
			to := (c&0x3f)<<8 | int(msg[off+1])
			if to >= limit {
				return dst, 0, false, ErrPointer
			}
			if jumps++; jumps > maxJumps {
				return dst, 0, false, ErrManyJumps
			}
			limit, off = to, to
		default:
			return dst, 0, false, ErrLabelType
		}
	}
}

// Labels returns the number of labels of name, the root not counted.
func Labels(name []byte) int {
	n := 0
	for off := 0; off < len(name) && name[off] != 0; off += 1 + int(name[off]) {
		n++
	}
	return n
}

// Parent returns name without its first label; the root's parent is the root.
func Parent(name []byte) []byte {
	if len(name) <= 1 {
		return name
	}
	return name[1+int(name[0]):]
}

// First returns the bytes of name's first label, nil for the root.
func First(name []byte) []byte {
	if len(name) <= 1 {
		return nil
	}
	return name[1 : 1+int(name[0])]
}

// IsSubdomain reports whether name is at or below parent.
func IsSubdomain(name, parent []byte) bool {
	if len(parent) > len(name) {
		return false
	}
	at := len(name) - len(parent)
	if string(name[at:]) != string(parent) {
		return false
	}
	off := 0
	for off < at {
		off += 1 + int(name[off])
	}
	return off == at
}

// Compare orders names canonically (RFC 4034 §6.1): by labels from the right,
// each compared as lower-case octets, a shorter name before its descendants.
func Compare(a, b []byte) int {
	var ao, bo [128]uint8
	an, bn := offsets(a, &ao), offsets(b, &bo)
	for i, j := an-1, bn-1; ; i, j = i-1, j-1 {
		switch {
		case i < 0 && j < 0:
			return 0
		case i < 0:
			return -1
		case j < 0:
			return 1
		}
		la := a[int(ao[i])+1 : int(ao[i])+1+int(a[ao[i]])]
		lb := b[int(bo[j])+1 : int(bo[j])+1+int(b[bo[j]])]
		if string(la) != string(lb) {
			if string(la) < string(lb) {
				return -1
			}
			return 1
		}
	}
}

func offsets(name []byte, o *[128]uint8) int {
	n := 0
	for off := 0; off < len(name) && name[off] != 0 && n < len(o); off += 1 + int(name[off]) {
		o[n] = uint8(off)
		n++
	}
	return n
}

// Hasher hashes names so that the hash of each ancestor comes for free. The
// seed makes collisions unpredictable to whoever chooses the names.
type Hasher struct{ Seed uint64 }

// Suffixes are the hashes of a name and all its ancestors.
// Hash[i] is that of the suffix starting at offset At[i]; index 0 is the whole
// name and index N the root. Labels[i] is the hash of the single label at At[i].
type Suffixes struct {
	N      int
	Hash   [128]uint64
	Labels [128]uint64
	At     [128]uint8
}

const (
	m1 = 0x9e3779b97f4a7c15
	m2 = 0xe7037ed1a0b428db
	m3 = 0x8ebc6af09c88c6e3
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Label hashes one label.
func (h Hasher) Label(label []byte) uint64 {
	n := len(label)
	var a, b uint64
	switch {
	case n >= 8:
		x := h.Seed ^ m1
		i := 0
		for ; i+8 <= n; i += 8 {
			x = mix(x^le64(label[i:]), m2)
		}
		a, b = le64(label[n-8:]), x
	case n >= 4:
		a, b = uint64(le32(label)), uint64(le32(label[n-4:]))<<32|h.Seed>>32
		b ^= h.Seed
	case n > 0:
		a, b = uint64(label[0])<<16|uint64(label[n>>1])<<8|uint64(label[n-1]), h.Seed
	default:
		return mix(h.Seed^m1, m2)
	}
	return mix(a^m2^h.Seed, b^m3^uint64(n)*m1)
}

// Sum fills s with the hashes of name, which must be well-formed.
func (h Hasher) Sum(name []byte, s *Suffixes) {
	n := offsets(name, &s.At)
	s.N = n
	if n < len(s.At) {
		s.At[n] = uint8(max(len(name)-1, 0))
		s.Hash[n] = h.Seed ^ m3
	}
	x := h.Seed ^ m3
	for i := n - 1; i >= 0; i-- {
		o := int(s.At[i])
		l := h.Label(name[o+1 : o+1+int(name[o])])
		s.Labels[i] = l
		x = mix(x^l, m1^l>>7) + l
		s.Hash[i] = x
	}
}

// Name hashes a whole name; equal to Suffixes.Hash[0] after Sum.
func (h Hasher) Name(name []byte) uint64 {
	var s Suffixes
	h.Sum(name, &s)
	return s.Hash[0]
}

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
