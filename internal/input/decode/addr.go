package decode

import (
	"encoding/binary"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// ParseAddr is netip.ParseAddr for bytes, without allocation. A zone
// (fe80::1%eth0) is read and dropped; IPv4-mapped addresses become IPv4.
func ParseAddr(b []byte) (netip.Addr, bool) {
	for i, c := range b {
		switch c {
		case '.':
			v, ok := parseV4(b)
			return netip.AddrFrom4(v), ok
		case ':':
			return parseV6(b)
		case '%':
			return netip.Addr{}, false
		}
		if i > 4 {
			break
		}
	}
	return netip.Addr{}, false
}

func parseV4(b []byte) (a [4]byte, ok bool) {
	i := 0
	for part := range 4 {
		if part > 0 {
			if i >= len(b) || b[i] != '.' {
				return a, false
			}
			i++
		}
		v, n := 0, 0
		for ; i < len(b) && Digit(b[i]) && n < 4; i, n = i+1, n+1 {
			v = v*10 + int(b[i]-'0')
		}
		if n == 0 || v > 255 || (n > 1 && b[i-n] == '0') {
			return a, false
		}
		a[part] = byte(v)
	}
	return a, i == len(b)
}

func parseV6(b []byte) (netip.Addr, bool) {
	for i, c := range b {
		if c == '%' {
			if i == len(b)-1 {
				return netip.Addr{}, false
			}
			b = b[:i]
			break
		}
	}
	var a [16]byte
	at, gap, i := 0, -1, 0
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, i = 0, 2
	}
	for i < len(b) {
		if at == 16 {
			return netip.Addr{}, false
		}
		v, n := 0, 0
		for ; i+n < len(b) && n < 5; n++ {
			h := HexValue(b[i+n])
			if h < 0 {
				break
			}
			v = v<<4 | h
		}
		if n == 0 || n > 4 {
			return netip.Addr{}, false
		}
		if i+n < len(b) && b[i+n] == '.' {
			v4, ok := parseV4(b[i:])
			if !ok || at > 12 {
				return netip.Addr{}, false
			}
			copy(a[at:], v4[:])
			at += 4
			break
		}
		binary.BigEndian.PutUint16(a[at:], uint16(v))
		at, i = at+2, i+n
		if i == len(b) {
			break
		}
		if b[i] != ':' || i+1 == len(b) {
			return netip.Addr{}, false
		}
		if i++; b[i] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap, i = at, i+1
		}
	}
	switch {
	case gap < 0 && at != 16, gap >= 0 && at > 14:
		return netip.Addr{}, false
	case gap >= 0:
		tail := copy(a[16-(at-gap):], a[gap:at])
		clear(a[gap : 16-tail])
	}
	return netip.AddrFrom16(a).Unmap(), true
}

func HexValue(c byte) int {
	switch {
	case Digit(c):
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// ParseUint reads a decimal number of at most limit from all of b.
func ParseUint(b []byte, limit uint64) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if !Digit(c) || v > (1<<64-1-9)/10 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, v <= limit
}

// SetName sets q.Name to the canonical form of a name in presentation form,
// in q.Name's own memory, and notes upper-case letters.
func SetName(q *picket.Query, text []byte) bool {
	var err error
	if q.Name, err = dnsname.AppendText(q.Name[:0], text); err != nil {
		return false
	}
	for _, c := range text {
		if c >= 'A' && c <= 'Z' {
			q.Flags |= picket.FlagMixed
			break
		}
	}
	return true
}
