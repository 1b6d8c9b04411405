package dnsname

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseAndString(t *testing.T) {
	l63 := strings.Repeat("a", 63)
	for _, tc := range []struct {
		in, wire, out string
		err           error
	}{
		{in: ".", wire: "\x00", out: "."},
		{in: "example", wire: "\x07example\x00", out: "example."},
		{in: "WwW.Example.COM.", wire: "\x03www\x07example\x03com\x00", out: "www.example.com."},
		{in: `a\.b.c`, wire: "\x03a.b\x01c\x00", out: `a\.b.c.`},
		{in: `\065\097.c`, wire: "\x02aa\x01c\x00", out: "aa.c."},
		{in: `\000.\255.\ .\"`, wire: "\x01\x00\x01\xff\x01 \x01\"\x00", out: `\000.\255.\032.\".`},
		{in: `\\.\@.\$.\;.\(.\)`, wire: "\x01\\\x01@\x01$\x01;\x01(\x01)\x00", out: `\\.\@.\$.\;.\(.\).`},
		{in: "ü.example", wire: "\x02\xc3\xbc\x07example\x00", out: `\195\188.example.`},
		{in: l63 + ".b", wire: "\x3f" + l63 + "\x01b\x00", out: l63 + ".b."},
		{in: "", err: ErrEmpty},
		{in: "..", err: ErrLabel},
		{in: ".a", err: ErrLabel},
		{in: "a..b", err: ErrLabel},
		{in: "a..", err: ErrLabel},
		{in: l63 + "a", err: ErrLabel},
		{in: l63 + "a.b", err: ErrLabel},
		{in: `a\`, err: ErrEscape},
		{in: `a\25`, err: ErrEscape},
		{in: `a\256`, err: ErrEscape},
		{in: `a\2x5`, err: ErrEscape},
		// RFC 1035 §2.3.4: 255 bytes on the wire, length bytes and root counted.
		{in: strings.Repeat("a.", 127), wire: strings.Repeat("\x01a", 127) + "\x00", out: strings.Repeat("a.", 127)},
		{in: strings.Repeat("a.", 127) + "a", err: ErrTooLong},
		{in: strings.Repeat("a.", 126) + "aa", err: ErrTooLong},
	} {
		got, err := Parse(tc.in)
		if !errors.Is(err, tc.err) || string(got) != tc.wire {
			t.Errorf("Parse(%q) = %q, %v, want %q, %v", tc.in, got, err, tc.wire, tc.err)
			continue
		}
		if err != nil {
			continue
		}
		if s := String(got); s != tc.out {
			t.Errorf("String(%q) = %s, want %s", got, s, tc.out)
		}
		if s := Text(got); s != strings.TrimSuffix(tc.out, ".") && tc.out != "." {
			t.Errorf("Text(%q) = %s", got, s)
		}
		if err := Check(got); err != nil {
			t.Errorf("Check(%q): %v", got, err)
		}
	}
	if dst, err := AppendText([]byte("x"), "a..b"); string(dst) != "x" || err == nil {
		t.Errorf("on error %q is returned, want what was there", dst)
	}
}

// TestCompareRFC4034 holds the order of RFC 4034 §6.1.
func TestCompareRFC4034(t *testing.T) {
	order := []string{"example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example",
		`\001.z.example`, "*.z.example", `\200.z.example`}
	names := [][]byte{Root()}
	for _, s := range order {
		names = append(names, MustParse(s))
	}
	for i, a := range names {
		for j, b := range names {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", String(a), String(b), got, want)
			}
		}
	}
	shuffled := slices.Clone(names)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, Compare)
	if !slices.EqualFunc(shuffled, names, slices.Equal[[]byte]) {
		t.Error("sorting does not give the order of the RFC")
	}
}

func TestRelations(t *testing.T) {
	for _, tc := range []struct {
		name, parent string
		sub          bool
	}{
		{"example.com", "example.com", true}, {"a.b.example.com", "example.com", true}, {"a.example.com", ".", true},
		{"example.com", "a.example.com", false}, {"xexample.com", "example.com", false}, {".", "com", false},
		// The bytes of the parent occur in the name, but not at a label's beginning.
		{`a\007example.com`, "example.com", false},
	} {
		if got := IsSubdomain(MustParse(tc.name), MustParse(tc.parent)); got != tc.sub {
			t.Errorf("IsSubdomain(%s, %s) = %v", tc.name, tc.parent, got)
		}
	}
	n := MustParse("a.bc.d")
	if Labels(n) != 3 || string(First(n)) != "a" || String(Parent(n)) != "bc.d." || Labels(Root()) != 0 || First(Root()) != nil || len(Parent(Root())) != 1 {
		t.Error("labels, first or parent is wrong")
	}
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]error{
		"": ErrEmpty, "\x01": ErrTruncated, "\x01a": ErrTruncated, "\x40": ErrLabelType, "\xc0\x00": ErrLabelType,
		"\x00\x00": ErrNotWire, "\x01A\x00": ErrNotWire, "\x01a\x00": nil, "\x00": nil, strings.Repeat("\x01a", 128) + "\x00": ErrTooLong,
	} {
		if got := Check([]byte(name)); !errors.Is(got, want) {
			t.Errorf("Check(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestAppendWire(t *testing.T) {
	msg := []byte("\x03WwW\x07example\x03com\x00" + // 0
		"\x04mail\xc0\x04" + // 17: mail.example.com
		"\xc0\x11" + // 24: the same
		"\xc0\x1a" + // 26: itself
		"\xc0\x1e\xc0\x1c" + // 28, 30: each other
		"\x05trunc" + "\xc0") // 32
	for _, tc := range []struct {
		off, next int
		name      string
		mixed     bool
		err       error
	}{
		{0, 17, "www.example.com.", true, nil},
		{4, 17, "example.com.", false, nil},
		{17, 24, "mail.example.com.", false, nil},
		{24, 26, "mail.example.com.", false, nil},
		{26, 0, "", false, ErrPointer},
		{28, 0, "", false, ErrPointer},
		{30, 0, "", false, ErrPointer},
		{32, 0, "", false, ErrTruncated},
		{38, 0, "", false, ErrTruncated},
		{99, 0, "", false, ErrTruncated},
	} {
		got, next, mixed, err := AppendWire([]byte("x"), msg, tc.off)
		if !errors.Is(err, tc.err) || next != tc.next || mixed != tc.mixed {
			t.Errorf("at %d: next %d mixed %v %v, want %d %v %v", tc.off, next, mixed, err, tc.next, tc.mixed, tc.err)
		}
		if err == nil && String(got[1:]) != tc.name || err != nil && string(got) != "x" {
			t.Errorf("at %d: %q, want %s", tc.off, got, tc.name)
		}
	}
	if _, _, _, err := AppendWire(nil, []byte("\x80a\x00"), 0); !errors.Is(err, ErrLabelType) {
		t.Errorf("reserved label type: %v", err)
	}
	for n, want := range map[int]error{127: nil, 128: ErrTooLong} {
		if _, _, _, err := AppendWire(nil, []byte(strings.Repeat("\x01a", n)+"\x00"), 0); !errors.Is(err, want) {
			t.Errorf("%d labels: %v, want %v", n, err, want)
		}
	}
	chain := []byte("\x00")
	for i := range 200 {
		to := max(2*i-1, 0)
		chain = append(chain, 0xc0|byte(to>>8), byte(to))
	}
	if _, _, _, err := AppendWire(nil, chain, len(chain)-2); !errors.Is(err, ErrManyJumps) {
		t.Errorf("200 pointers: %v", err)
	}
}

func TestRegistered(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.com": "example.com.", "example.com": "example.com.", "com": "", ".": "", "a.b.example.co.uk": "example.co.uk.",
		"co.uk": "", "x.user.github.io": "github.io.", "www.corp-a.example": "corp-a.example.", "x.city.kawasaki.jp": "city.kawasaki.jp.",
		`www.a\.co.uk`: `a\.co.uk.`, "x.blogspot.co.uk": "blogspot.co.uk.",
		"4.113.0.203.in-addr.arpa": "113.0.203.in-addr.arpa.", "113.0.203.in-addr.arpa": "113.0.203.in-addr.arpa.",
		"0.203.in-addr.arpa": "", "in-addr.arpa": "", "5.0/25.2.0.192.in-addr.arpa": "2.0.192.in-addr.arpa.",
		"1.0.0.0.2.4.4.0.8.b.d.0.1.0.0.2.ip6.arpa": "2.4.4.0.8.b.d.0.1.0.0.2.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa": "",
	} {
		got := ""
		if r := Registered(MustParse(name)); r != nil {
			got = String(r)
		}
		if got != want {
			t.Errorf("Registered(%s) = %q, want %q", name, got, want)
		}
	}
	if IsReverse(MustParse("arpa")) || !IsReverse(MustParse("1.ip6.arpa")) || IsReverse(MustParse("xin-addr.arpa")) {
		t.Error("IsReverse is wrong")
	}
}
