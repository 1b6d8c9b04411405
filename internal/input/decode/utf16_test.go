package decode

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

func inUTF16(text string, order binary.AppendByteOrder) []byte {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestUTF8(t *testing.T) {
	long := strings.Repeat("午後 3:16 a\r\n𝄞", 3000)
	tests := []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, ""},
		{"one byte", []byte("a"), "a"},
		{"plain", []byte("plain ä text"), "plain ä text"},
		{"bytes of no encoding", []byte("\xff\x00\x8c\xdf"), "\xff\x00\x8c\xdf"},
		{"mark alone", []byte{0xff, 0xfe}, ""},
		{"little endian", inUTF16("dns 午後\n", binary.LittleEndian), "dns 午後\n"},
		{"big endian", inUTF16("dns 午後\n", binary.BigEndian), "dns 午後\n"},
		{"long", inUTF16(long, binary.LittleEndian), long},
		{"half a character", append(inUTF16("a", binary.BigEndian), 0), "a\ufffd"},
		{"lone surrogate", append(inUTF16("a", binary.BigEndian), 0xd8, 0x00, 0x00, 'b'), "a\ufffdb"},
		{"surrogate at the end", append(inUTF16("a", binary.BigEndian), 0xd8, 0x00), "a\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{"whole": bytes.NewReader(tt.in), "bytes": iotest.OneByteReader(bytes.NewReader(tt.in)),
				"with end": iotest.DataErrReader(bytes.NewReader(tt.in))} {
				got, err := io.ReadAll(UTF8(r))
				if err != nil || string(got) != tt.want {
					t.Errorf("%s: %d bytes %.60q, %v", how, len(got), got, err)
				}
			}
			if got := UTF8Head(tt.in); string(got) != tt.want {
				t.Errorf("head: %.60q", got)
			}
		})
	}
}

// told is a reader that wants to know what is unread.
type told struct {
	io.Reader
	n int
}

func (r *told) Unread(n int) { r.n = n }

func TestUTF8Unread(t *testing.T) {
	for _, tt := range []struct {
		in             []byte
		read, n, wants int
	}{
		{[]byte("abcdef"), 4, 1, 3}, {[]byte("abcdef"), 4, -1, -1},
		{inUTF16("abc", binary.LittleEndian), 3, 0, 0}, {inUTF16("abc", binary.LittleEndian), 2, 0, -1},
	} {
		r := &told{Reader: bytes.NewReader(tt.in), n: -2}
		u := UTF8(r)
		if _, err := io.ReadFull(u, make([]byte, tt.read)); err != nil {
			t.Fatal(err)
		}
		if u.(*textReader).Unread(tt.n); r.n != tt.wants {
			t.Errorf("%q after %d, %d of them unread: told %d, want %d", tt.in, tt.read, tt.n, r.n, tt.wants)
		}
	}
}
