package masterfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// told is a Handler that writes down what it is told.
type told struct {
	lines   []string
	records []Record
	fail    error
}

func (h *told) Record(r Record) error {
	h.records = append(h.records, r)
	h.lines = append(h.lines, fmt.Sprintf("%d: %s %d %d %s %s", r.Line, dnsname.String(r.Owner), r.TTL, r.Class, TypeName(r.Type), strings.TrimSpace(r.Data)))
	return h.fail
}

func (h *told) Directive(word string, name []byte) {
	if name != nil {
		word += " " + dnsname.String(name)
	}
	h.lines = append(h.lines, word)
}

func (h *told) Problem(p Problem) {
	h.lines = append(h.lines, fmt.Sprintf("%d: %s: %v %q", p.Line, p.Reason, p.Record, p.Entry))
}

func read(t *testing.T, text string, origin string) *told {
	t.Helper()
	h := &told{}
	var apex []byte
	if origin != "" {
		apex = dnsname.MustParse(origin)
	}
	r := &Reader{Budget: MaxBytes, Generate: 10}
	if err := r.Read(strings.NewReader(text), "z", apex, h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestReader(t *testing.T) {
	for _, tc := range []struct {
		what, text, origin string
		want               []string
	}{
		{"owner goes on", "a 60 A 192.0.2.1\n  AAAA ::1\n", "x", []string{"1: a.x. 60 1 A 192.0.2.1", "2: a.x. 60 1 AAAA ::1"}},
		{"no TTL", "a A 192.0.2.1\n", "x", []string{"1: a.x. -1 1 A 192.0.2.1"}},
		{"class of the zone", "@ CH TXT x\na TXT y\nb IN TXT z\n", "x", []string{"1: x. -1 3 TXT x", "2: a.x. -1 3 TXT y", "3: b.x. -1 1 TXT z"}},
		{"origin", "$ORIGIN a.\n$ORIGIN b\n@ A 192.0.2.1\n", "", []string{"$ORIGIN a.", "$ORIGIN b.a.", "3: b.a. -1 1 A 192.0.2.1"}},
		{"no origin", "a A 192.0.2.1\n", "", []string{`1: relative name without origin: true "a A 192.0.2.1"`}},
		{"include without folder", "$INCLUDE f\n", "x", []string{`1: $INCLUDE not followed: false ""`}},
		{"generate", "$GENERATE 1-2 h$ A 192.0.2.$\n$GENERATE 1-9 i$ A 192.0.2.$\n", "x",
			[]string{"$GENERATE", "1: h1.x. -1 1 A 192.0.2.1", "1: h2.x. -1 1 A 192.0.2.2", `2: bad $GENERATE: false ""`}},
		{"long template", "$GENERATE 1-2 h$ TXT " + strings.Repeat("x", 512) + "\n", "x", []string{`1: bad $GENERATE: false ""`}},
		{"long record", "$GENERATE 10000-10002 h TXT " + strings.Repeat("$ ", 220) + "\n", "x", []string{"$GENERATE", `1: bad $GENERATE: false ""`}},
		{"given back", "a TXT (\nb A 192.0.2.1\n", "x", []string{`1: quote or parenthesis not closed: true "a TXT ("`, "2: b.x. -1 1 A 192.0.2.1"}},
	} {
		if got := read(t, tc.text, tc.origin).lines; !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.what, got, tc.want)
		}
	}
}

// TestReaderStops: a handler's error ends reading, and is returned as it is.
func TestReaderStops(t *testing.T) {
	h := &told{fail: io.ErrClosedPipe}
	r := &Reader{Budget: MaxBytes, Generate: 10}
	if err := r.Read(strings.NewReader("a A 192.0.2.1\nb A 192.0.2.1\n"), "z", dnsname.MustParse("x"), h); !errors.Is(err, io.ErrClosedPipe) || len(h.lines) != 1 {
		t.Errorf("%v %q", err, h.lines)
	}
	h.lines = nil
	if err := r.Read(strings.NewReader("$GENERATE 1-5 h$ A 192.0.2.1\n"), "z", dnsname.MustParse("x"), h); !errors.Is(err, io.ErrClosedPipe) || len(h.lines) != 2 {
		t.Errorf("%v %q", err, h.lines)
	}
}

// TestVerifier: records before and behind a bad one are read, and what a record is
// as a line of its own reads back.
func TestVerifier(t *testing.T) {
	h := read(t, "a A 192.0.2.1\nb A 192.0.2\nc KEY odd notation\n$ORIGIN y.\nd MX 1 mail\n", "x.")
	var v Verifier
	v.All = true
	var got []string
	v.Run(h.records, func(r *Record, rr dns.RR, problem string) {
		line := "-"
		if rr != nil {
			line = strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		got = append(got, fmt.Sprintf("%d %s %v", r.Line, line, problem != ""))
	})
	if want := []string{"1 192.0.2.1 false", "2 - true", "3 - false", "5 1 mail.y. false"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	again := read(t, h.records[3].String(), "")
	if want := []string{"$ORIGIN y.", "2: d.y. -1 1 MX 1 mail"}; !slices.Equal(again.lines, want) {
		t.Errorf("got %q, want %q", again.lines, want)
	}
}

func TestParseTTL(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "300": 300, "1H30M": 5400, "1W2D": 777600, "5S": 5, "99999999999999999999": 1 << 40} {
		if got, ok := parseTTL(text); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "H", "1X", "-1", "1h"} {
		if _, ok := parseTTL(text); ok {
			t.Errorf("%q is a TTL", text)
		}
	}
}

func TestOriginOf(t *testing.T) {
	for path, want := range map[string]string{"/x/example.com.zone": "example.com.", "db.example.com": "example.com.", "example.com.zone.signed.gz": "example.com.",
		"2.0.192.in-addr.arpa.db": "2.0.192.in-addr.arpa.", "a b.zone": "", "": ""} {
		got := ""
		if n := OriginOf(path); n != nil {
			got = dnsname.String(n)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
