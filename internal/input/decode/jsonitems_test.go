package decode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/picket-dns/picket"
)

// outcomes is an Accounting that writes everything down.
type outcomes struct{ log []string }

func (o *outcomes) Accept(int64) {}
func (o *outcomes) Reject(reason string, at picket.Position) {
	o.log = append(o.log, fmt.Sprintf("%s at %d: %.60s", reason, at.Line, at.Record))
}
func (o *outcomes) Skip(string) {}

// items cuts text and returns what comes out, objects and rejections in order.
func items(t *testing.T, r io.Reader, wrap ...string) []string {
	t.Helper()
	o := new(outcomes)
	it := NewItems(context.Background(), r, o, wrap...)
	for {
		rec, err := it.Next()
		if err == io.EOF {
			return o.log
		}
		if err != nil {
			t.Fatal(err)
		}
		if at := it.Fault(); !bytes.Equal(at.Record, rec) {
			t.Fatalf("fault has %q of %q", at.Record, rec)
		}
		o.log = append(o.log, fmt.Sprintf("%d: %.60s", it.Pos().Line, rec))
	}
}

func TestItems(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"\xef\xbb\xbf{\"a\":1}\r\n{\"a\":2}", []string{`1: {"a":1}`, `2: {"a":2}`}},
		{`{"a":1}{"a":2} , {"a":3}`, []string{`1: {"a":1}`, `1: {"a":2}`, `1: {"a":3}`}},
		{"[\n{\"a\":[1,{\"b\":\"]}\"}]},\n{\"a\":2}\n]\n", []string{`2: {"a":[1,{"b":"]}"}]}`, `3: {"a":2}`}},
		{`{"x":{"list":[{"no":1}]},"list" : [ {"a":1} , {"a":2} ],"next":{"list":[{"a":9}]}}{"a":3}`, []string{`1: {"a":1}`, `1: {"a":2}`, `1: {"a":3}`}},
		{"{\"list\":[]}\n{\"list\":[{\"list\":[{\"a\":1}],\"b\":\"}\"},{\"a\":2}]}\n{\"a\":3}", []string{`2: {"a":1}`, `2: {"a":2}`, `3: {"a":3}`}},
		{`{"list":{"a":1}}{"list":"["}{"a":"list","b":[{"c":1}]}`, []string{`1: {"list":{"a":1}}`, `1: {"list":"["}`, `1: {"a":"list","b":[{"c":1}]}`}},
		{`{"list":[null,{"a":1},"x, ]y",3]}`, []string{"not a JSON object at 1: null", `1: {"a":1}`, `not a JSON object at 1: "x, ]y"`, "not a JSON object at 1: 3"}},
		{"text {\"a\":1}\n{\"a\":2}\n", []string{`not a JSON object at 1: text {"a":1}`, `2: {"a":2}`}},
		{"{\"a\":1\n{\"a\":2}\n", []string{`JSON object not closed at 1: {"a":1`, `2: {"a":2}`}},
		{"{\"a\":[\n{\"b\":1},\n{\"b\":2}\n]}\n", []string{"1: {\"a\":[\n{\"b\":1},\n{\"b\":2}\n]}"}},
		{"{\"list\":[\n{\"a\":\"cut", []string{`JSON object not closed at 2: {"a":"cut`}},
		{"{\"list\":[{\"a\":1}\n{\"a\":2}\n[{\"a\":3}]\n{\"a\":4}", []string{`1: {"a":1}`, `2: {"a":2}`, `3: {"a":3}`, `4: {"a":4}`}},
		{"{\"a\":\"line\nend\"}\n{\"a\":2}", []string{`broken JSON at 1: {"a":"line`, `not a JSON object at 2: end"}`, `3: {"a":2}`}},
		{`{"a":"` + strings.Repeat("x", MaxLine) + `","b":{"c":"}"}}` + "\n{\"a\":2}", []string{"line too long at 1: ", `2: {"a":2}`}},
		{`{"list":[{"a":"` + strings.Repeat("x", MaxLine) + `"},{"a":2}]}`, []string{"line too long at 1: ", `1: {"a":2}`}},
		{"}{\"a\":1}\n", []string{`not a JSON object at 1: }{"a":1}`}},
	}
	for _, tt := range tests {
		for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
			if got := items(t, r, "list"); strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("%.80q:\ngot  %q\nwant %q", tt.in, got, tt.want)
			}
		}
	}
}

// TestItemsMemory: a list without end does not make the reader grow.
func TestItemsMemory(t *testing.T) {
	one := `{"a":"` + strings.Repeat("x", 1000) + `"},`
	it := NewItems(context.Background(), io.MultiReader(strings.NewReader(`{"list":[`), strings.NewReader(strings.Repeat(one, 20_000))), new(outcomes), "list")
	n := 0
	for {
		if _, err := it.Next(); err != nil {
			break
		}
		n++
	}
	if n != 20_000 || len(it.Buf) > firstBuf {
		t.Errorf("%d objects, a buffer of %d bytes", n, len(it.Buf))
	}
}

func TestValue(t *testing.T) {
	v := Value(` {"A":{"b":[1,"x",null,{"c":true}]},"n":null,"s":"{\"in\":{\"deep\":7}}","e":"a\u0041","o":{}} `)
	if got := v.Get("a", "B"); string(got) != `[1,"x",null,{"c":true}]` || !got.IsArray() {
		t.Errorf("%s", got)
	}
	var list []string
	v.Get("A", "b").Each(func(x Value) bool {
		list = append(list, x.Text())
		return true
	})
	if strings.Join(list, "|") != "1|x||" {
		t.Errorf("%q", list)
	}
	if got := v.First("missing", "n", "e").Text(); got != "aA" {
		t.Errorf("%q", got)
	}
	if got := v.Get("s").Inside().Get("in", "deep").Text(); got != "7" {
		t.Errorf("%q", got)
	}
	if v.Get("x", "y") != nil || v.Get("e", "y") != nil || v.Get("e").Inside() != nil || Value(nil).Text() != "" || Value(`{"a`).Get("a") != nil {
		t.Error("found what is not there")
	}
	found := v.Unwrap(func(x Value) bool { return x.Get("deep") != nil }, "s", "in")
	if string(found) != `{"deep":7}` {
		t.Errorf("%s", found)
	}
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]int64{
		"1772359200": 1772359200e9, "1772359200.25": 1772359200250e6, "1772359200123": 1772359200123e6, "1772359200123456": 1772359200123456e3,
		"1772359200123456789": 1772359200123456789, "1.7723592e9": 1772359200e9, "2026-03-01T10:00:00Z": 1772359200e9, "2026-03-01T11:00:00+01:00": 1772359200e9,
		"2026-03-01 10:00:00.5": 1772359200500e6, "2026-03-01 10:00:00 UTC": 1772359200e9, "0": 0,
		"": -1, "x": -1, "2026-03-01": -1, "2026-03-01T10:00:00Zx": -1, "99999999999": -1, "-5": -1, "1e400": -1, "NaN": -1, "1e10": -1, "2026-02-30T10:00:00": -1,
	} {
		c := UTCClock()
		ns, ok := Instant(&c, []byte(text))
		if ok != (want >= 0) || ok && ns != want {
			t.Errorf("%q: %d %v, want %d", text, ns, ok, want)
		}
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"list":[{"a":1},null,{"b":"\"]}"}],"x":{}}` + "\n{\"a\":\n{\"b\":1}}"))
	f.Add([]byte("[{\"a\":\"x\ny\"}]\n{\"list\":[{\"list\":[{}]}]}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := items(t, bytes.NewReader(b), "list")
		if len(b) < 1<<12 {
			if again := items(t, iotest.OneByteReader(bytes.NewReader(b)), "list"); strings.Join(again, "\n") != strings.Join(got, "\n") {
				t.Fatalf("byte by byte: %q, then %q", got, again)
			}
		}
		v := Value(b)
		_, _ = v.Get("a", "b"), v.First("list", "a").Text()
		v.Each(func(x Value) bool { return len(x) > 0 })
		if in := v.Inside(); in != nil && !v.IsObject() && !v.IsArray() && !json.Valid(in) {
			t.Fatalf("inside %q", in)
		}
	})
}
