package decode

import (
	"encoding/binary"
	"math/bits"
)

// stringStop returns where the next quotation mark, backslash or line end stands
// in b from i on, len(b) when there is none: what may end a run of characters in
// a JSON string. Eight bytes are looked at at a time, as strings are most of JSON.
func stringStop(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if m := hasByte(w, '"') | hasByte(w, '\\') | hasByte(w, '\n'); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c == '\n' {
			return i
		}
	}
	return i
}

// hasByte has the top bit of each byte of w set that is c; above the lowest one
// others may be set too.
func hasByte(w uint64, c byte) uint64 {
	const each, top = 0x0101010101010101, 0x8080808080808080
	w ^= each * uint64(c)
	return (w - each) &^ w & top
}
