package adversary

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Alphabets of wildcard probes.
const (
	letters   = "abcdefghijklmnopqrstuvwxyz"
	digits    = "0123456789"
	alphanum  = letters + digits
	base32hex = "0123456789abcdefghijklmnopqrstuv"
	frequent  = "etaoinshrdlucmfw" // the letters of nmap's script for NSEC3
)

// label makes a probe's label.
func (p *Probe) label(r *rand.Rand, now int64) string {
	switch p.Make {
	case "uuid": // RFC 9562 §5.4
		a, b := r.Uint64(), r.Uint64()
		return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
	case "xid": // 12 bytes, the first four the time, in base32hex
		return xid(now, r)
	case "epoch":
		return "a" + strconv.FormatInt(now/1e9, 10)
	}
	return randomLabel(r, p.Alphabet, p.Min, p.Max, p.Distinct)
}

func randomLabel(r *rand.Rand, alphabet string, low, high int, distinct bool) string {
	n := low
	if high > low {
		n += r.IntN(high - low + 1)
	}
	b := make([]byte, 0, n)
	var used [256]bool
	for len(b) < n {
		c := alphabet[r.IntN(len(alphabet))]
		edge := c == '-' && (len(b) == 0 || len(b) == n-1)
		if distinct && used[c] || edge {
			continue
		}
		used[c] = true
		b = append(b, c)
	}
	return string(b)
}

func xid(now int64, r *rand.Rand) string {
	var raw [13]byte // 12 bytes and room for the last bits
	s := uint32(now / 1e9)
	raw[0], raw[1], raw[2], raw[3] = byte(s>>24), byte(s>>16), byte(s>>8), byte(s)
	for i := 4; i < 12; i++ {
		raw[i] = byte(r.Uint32())
	}
	out := make([]byte, 20)
	for i := range out {
		bit := i * 5
		v := uint16(raw[bit/8])<<8 | uint16(raw[bit/8+1])
		out[i] = base32hex[v>>(11-bit%8)&31]
	}
	return string(out)
}
