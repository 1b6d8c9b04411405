package decode

import (
	"bytes"
	"strings"
	"testing"
)

func TestStringStop(t *testing.T) {
	for size := range 40 {
		for at := range size + 1 {
			for _, c := range []byte{'"', '\\', '\n', '#', '[', 0x0b, 0xa2, 0xdc, 0x8a} {
				b := bytes.Repeat([]byte{'!', ']', 0x80, '\r', 0xff, 0, '#'}, 8)[:size]
				want := size
				if at < size {
					if b[at] = c; strings.IndexByte("\"\\\n", c) >= 0 {
						want = at
					}
				}
				for from := range at + 1 {
					if got := stringStop(b, from); got != want {
						t.Fatalf("%q from %d: %d, want %d", b, from, got, want)
					}
				}
			}
		}
	}
	if got := stringStop([]byte(`a"b"c\d`), 2); got != 3 {
		t.Error(got)
	}
}
