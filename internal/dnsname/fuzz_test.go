package dnsname

import (
	"bytes"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{".", "", "www.Example.com.", `a\.b\000\255.c`, `\`, `\12`, "..", "xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dst := []byte("kept")
		got, err := AppendText(dst, s)
		if !bytes.HasPrefix(got, []byte("kept")) || err != nil && len(got) != 4 {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
		if err != nil {
			return
		}
		name := got[4:]
		if err := Check(name); err != nil {
			t.Fatalf("%q gives %q: %v", s, name, err)
		}
		text := AppendString(nil, name)
		for _, c := range text {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("%q is not printable", text)
			}
		}
		again, err := AppendText(nil, text)
		if err != nil || !bytes.Equal(again, name) {
			t.Fatalf("%q → %s → %q, %v", name, text, again, err)
		}
		Registered(name)
	})
}

func FuzzWire(f *testing.F) {
	f.Add([]byte("\x03WWW\x07example\x00\xc0\x04"), 13)
	f.Add([]byte("\xc0\x00"), 0)
	f.Add([]byte("\x01a\xc0\x00"), 2)
	f.Add([]byte("\x3fa"), 0)
	f.Fuzz(func(t *testing.T, msg []byte, off int) {
		if off < 0 {
			return
		}
		got, next, mixed, err := AppendWire(nil, msg, off)
		if err != nil {
			if len(got) != 0 {
				t.Fatalf("error and %q", got)
			}
			return
		}
		if err := Check(got); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if next <= off || next > len(msg) {
			t.Fatalf("next is %d of %d, from %d", next, len(msg), off)
		}
		if mixed && bytes.Equal(bytes.ToLower(msg), msg) {
			t.Fatal("mixed without an upper-case letter")
		}
		var s Suffixes
		Hasher{Seed: 1}.Sum(got, &s)
		if s.N != Labels(got) {
			t.Fatalf("%d suffixes of %q", s.N, got)
		}
	})
}
