package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/picket-dns/picket"
)

// account keeps account for tests.
type account struct {
	accepted int
	rejected []string // line, reason and record
	skipped  map[string]int
}

func (a *account) Accept(int64) { a.accepted++ }
func (a *account) Reject(r string, at picket.Position) {
	a.rejected = append(a.rejected, fmt.Sprintf("%d %s %q", at.Line, r, at.Record))
}
func (a *account) Skip(r string) {
	if a.skipped == nil {
		a.skipped = map[string]int{}
	}
	a.skipped[r]++
}

// show is a Take that writes each record's values, and rejects those with a field
// bad.
func show(out *[]string) Take {
	return func(v *Values) (string, error) {
		var parts []string
		for i, f := range v.Names() {
			if f == "bad" && len(v.All(i)) > 0 {
				return "bad", nil
			}
			if all := v.All(i); len(all) > 0 {
				parts = append(parts, f+"="+string(bytes.Join(all, []byte("|"))))
			}
		}
		*out = append(*out, strings.Join(parts, " "))
		return "", nil
	}
}

func TestMappingCheck(t *testing.T) {
	fields := []string{"time", "name", "details.*"}
	var none *Mapping
	if err := none.Check("asset", fields); !errors.Is(err, ErrNoMapping) {
		t.Errorf("no mapping: %v", err)
	}
	for _, how := range []string{"", "rfc3339", "unix", "unix-ms", "unix-us", "unix-ns", "2006-01-02 15:04:05", "02/Jan/2006:15:04:05 -0700", "Jan _2 15:04:05 2006 MST"} {
		m := &Mapping{Fields: map[string]string{"time": "a.b[0].c", "details.x": "[].y"}, Time: how, Delimiter: "\t"}
		if err := m.Check("asset", fields); err != nil {
			t.Errorf("%q: %v", how, err)
		}
	}
	bad := &Mapping{Fields: map[string]string{"tiem": "x", "name": "", "time": "a[x]", "details.": "y", "details.z": "a["}, Constants: map[string]string{"owner": "x"}, Time: "yesterday", Delimiter: ";;"}
	err := bad.Check("asset", fields)
	want := []string{
		`fields: asset has no field "details."; it has time, name, details.*`,
		`fields: details.z: "a[": bracket not closed`,
		`fields: name is empty`,
		`fields: asset has no field "tiem"; it has time, name, details.*`,
		`fields: time: "a[x]": an index is a number from 0, or nothing for all`,
		`constants: asset has no field "owner"; it has time, name, details.*`,
		`";;": delimiter must be one character, neither a quote nor a line end`,
		`"yesterday": time must be rfc3339, unix, unix-ms, unix-us, unix-ns, or a layout as in Go's time package, such as 2006-01-02 15:04:05`,
	}
	got := strings.Split(fmt.Sprint(err), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := (&Mapping{Constants: map[string]string{"name": "x"}}).Check("asset", fields); !errors.Is(err, errNoFields) {
		t.Errorf("no fields: %v", err)
	}
}

func TestMappedJSON(t *testing.T) {
	for _, tt := range []struct {
		fields, text, want string
	}{
		{"a=x", `{"x":"1"}{"x":2}{"x":true}{"x":null}{"y":1}`, "a=1;a=2;a=true;;"},
		{"a=x.y", `{"x":{"y":1}}{"x.y":2}{"x":"{\"y\":3}"}{"x":[{"y":4},{"y":5}]}{"x":"y"}`, "a=1;a=2;a=3;a=4|5;"},
		{"a=x.y.z", `{"x.y":{"z":1}}{"x":{"y.z":2}}{"x.y.z":3}`, "a=1;a=2;a=3"},
		{"a=x[1]", `{"x":[7,8,9]}{"x":[7]}`, "a=8;"},
		{"a=x[].y[0]", `{"x":[{"y":[1,2]},{"y":[3]}]}`, "a=1|3"},
		{"a=x", `{"x":["1","2",["3"]]}`, "a=1|2|3"},
		{"a=$.x,b=x.k", `{"x":{"k":"1"}}`, "b=1"},
		{"a=x,b=x", `{"x":"\u00e4\n"}`, "a=ä\n b=ä\n"},
		{"a=x,b=", `{"x":""}`, ""},
		{"a=x.y", `{"x":"{\"y\":"}{"x":"[[{\"y\":1}]]"}`, ";a=1"},
	} {
		m := &Mapping{Fields: map[string]string{}}
		for f := range strings.SplitSeq(tt.fields, ",") {
			k, v, _ := strings.Cut(f, "=")
			m.Fields[k] = v
		}
		var got []string
		acct := &account{}
		err := MappedJSON(context.Background(), strings.NewReader(tt.text), m, acct, show(&got))
		if s := strings.Join(got, ";"); s != tt.want || err != nil || len(acct.rejected) > 0 {
			t.Errorf("%s of %s: %q, %v, %v; want %q", tt.fields, tt.text, s, err, acct.rejected, tt.want)
		}
	}
}

func TestMappedJSONRecords(t *testing.T) {
	m := &Mapping{Records: "data.events", Fields: map[string]string{"a": "x", "bad": "bad"}, Constants: map[string]string{"c": "k", "a": "none"}}
	var got []string
	acct := &account{}
	text := `{"data":{"n":2,"events":[{"x":1},{"bad":1},{},7]},"more":{"x":9}}
{"x":5}
{"data":{"events":[{"x":6},]}}
{"data":{"events":{"x":7}}}
{"x":8,"y":}
`
	err := MappedJSON(context.Background(), strings.NewReader(text), m, acct, show(&got))
	want := []string{"a=1 c=k", "a=none c=k", "a=5 c=k", "a=6 c=k", "a=none c=k"}
	rejects := []string{`1 bad "{\"bad\":1}"`, `1 not a JSON object "7"`, `5 broken JSON "{\"x\":8,\"y\":}"`}
	if err != nil || !slices.Equal(got, want) || !slices.Equal(acct.rejected, rejects) {
		t.Errorf("%v\ngot  %q\nwant %q\nrejected %q\nwant     %q", err, got, want, acct.rejected, rejects)
	}
}

func TestMappedCSV(t *testing.T) {
	m := &Mapping{Fields: map[string]string{"a": "Name", "b": "3", "bad": "bad"}, Delimiter: ";"}
	text := "\ufeffid; NAME ;x;bad\n1;\"a \"\"q\"\"; b\";c\n\n2;\"over\nlines\";d;\n3\n4;x;y;1\n5;\"open;z\n6;e;f\n"
	var got []string
	acct := &account{}
	err := MappedCSV(context.Background(), strings.NewReader(text), m, acct, show(&got))
	want := []string{`a=a "q"; b b=c`, "a=over\nlines b=d", "a=e b=f"}
	head := "id; NAME ;x;bad\n"
	rejects := []string{
		fmt.Sprintf("6 %s %q", ReasonNoColumn, head+"3"), fmt.Sprintf("7 bad %q", head+"4;x;y;1"), fmt.Sprintf("8 %s %q", ReasonQuote, head+`5;"open;z`)}
	if err != nil || !slices.Equal(got, want) || !slices.Equal(acct.rejected, rejects) || acct.skipped[SkipHeader] != 1 || acct.skipped[SkipBlank] != 1 {
		t.Errorf("%v\ngot  %q\nwant %q\nrejected %q\nwant     %q, skipped %v", err, got, want, acct.rejected, rejects, acct.skipped)
	}
	// By number there is no header.
	got, acct = nil, &account{}
	m = &Mapping{Fields: map[string]string{"a": "2", "b": "1"}}
	if err := MappedCSV(context.Background(), strings.NewReader("x,y\r\n,z"), m, acct, show(&got)); err != nil || !slices.Equal(got, []string{"a=y b=x", "a=z"}) {
		t.Errorf("%v %q", err, got)
	}
	m = &Mapping{Fields: map[string]string{"a": "nowhere"}}
	if err := MappedCSV(context.Background(), strings.NewReader("x,y\n1,2\n"), m, acct, show(&got)); !errors.Is(err, ErrNoHeader) || !strings.Contains(err.Error(), `"nowhere"; it has "x", "y"`) {
		t.Errorf("no such column: %v", err)
	}
}

// TestRowsQuoteBounded: a lost quote costs its own row, not those behind it.
func TestRowsQuoteBounded(t *testing.T) {
	text := "\"lost,1\n" + strings.Repeat("x,2\n", 500)
	acct := &account{}
	rows, n := NewRows(context.Background(), strings.NewReader(text), "", acct), 0
	for {
		if _, err := rows.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if n++; rows.Pos().Line != int64(n+1) {
			t.Fatalf("row %d at line %d", n, rows.Pos().Line)
		}
	}
	if n != 500 || len(acct.rejected) != 1 || acct.rejected[0] != `1 quote not closed "\"lost,1"` {
		t.Errorf("%d rows, rejected %q", n, acct.rejected)
	}
}

func TestMappedTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		how, text, want string
	}{
		{"", "2026-11-20T10:15:30Z", "2026-11-20T10:15:30Z"}, {"", "2026-11-20 10:15:30", "2026-11-20T09:15:30Z"},
		{"", "1763633730.5", "2025-11-20T10:15:30.5Z"}, {"", "1763633730500", "2025-11-20T10:15:30.5Z"}, {"", "now", ""},
		{"rfc3339", "2026-11-20T10:15:30.25+01:00", "2026-11-20T09:15:30.25Z"}, {"rfc3339", "1763633730", ""},
		{"unix", "1763633730", "2025-11-20T10:15:30Z"}, {"unix", "-1", ""}, {"unix", "99999999999999", ""},
		{"unix-ms", "1763633730500", "2025-11-20T10:15:30.5Z"}, {"unix-ms", "1763633730500.5", "2025-11-20T10:15:30.5005Z"},
		{"unix-us", "1763633730500001", "2025-11-20T10:15:30.500001Z"}, {"unix-ns", "1763633730500000001", "2025-11-20T10:15:30.500000001Z"},
		{"unix-ns", "9300000000000000000", ""}, {"02.01.2006 15:04", "20.11.2026 10:15", "2026-11-20T09:15:00Z"},
		{"02.01.2006 15:04", "20.11.2999 10:15", ""}, {time.RFC1123Z, "Fri, 20 Nov 2026 10:15:30 +0000", "2026-11-20T10:15:30Z"},
	} {
		mt := NewMappedTime(Options{Location: berlin, Mapping: &Mapping{Time: tt.how}})
		got := ""
		if ns, ok := mt.Parse([]byte(tt.text)); ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("%q as %q: %q, want %q", tt.text, tt.how, got, tt.want)
		}
	}
	notes := 0
	mt := NewMappedTime(Options{Mapping: &Mapping{Time: "2006-01-02 15:04"}, Note: func(string) { notes++ }})
	for range 3 {
		if _, ok := mt.Parse([]byte("2026-11-20 10:15")); !ok {
			t.Error("not read")
		}
	}
	if notes != 1 {
		t.Errorf("%d notes", notes)
	}
}

func TestSyslog(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := NewClock(Options{Location: time.UTC})
	for in, want := range map[string]string{
		"Nov 20 10:15:30 fw1 named[12]: hello":                                 "2026-11-20T10:15:30Z fw1 named hello",
		"<30>Nov  2 10:15:30 fw1 named: hello":                                 "2026-11-02T10:15:30Z fw1 named hello",
		"2026-11-20T10:15:30.5+01:00 fw1 named[1]: a: b":                       "2026-11-20T09:15:30.5Z fw1 named a: b",
		"Nov 20 10:15:30 filterlog[1]: a,b":                                    "2026-11-20T10:15:30Z  filterlog a,b",
		"Nov 20 10:15:30 relay 2026-11-20T10:15:31Z fw1 app: x":                "2026-11-20T10:15:31Z fw1 app x",
		"Nov 20 10:15:30 2026-11-20T10:15:31Z fw1 app: x":                      "2026-11-20T10:15:31Z fw1 app x",
		"<134>1 2026-11-20T10:15:30Z fw1 app 12 ID47 [a b=\"]\"][c] text here": "2026-11-20T10:15:30Z fw1 app text here",
		"<134>1 - - - - - - \ufefftext":                                        "- - - text",
		"<134>1 2026-11-20T10:15:30Z fw1 app - - -":                            "2026-11-20T10:15:30Z fw1 app ",
		"<134>1 nonsense":                     "-   <134>1 nonsense",
		"no header at all":                    "-   no header at all",
		"<9>no header":                        "-   no header",
		"Nov 20 10:15:30 fw1 %ASA-1: x":       "2026-11-20T10:15:30Z fw1 %ASA-1 x",
		"Nov 20 10:15:30 fw1 IN=eth0 MAC=1:2": "2026-11-20T10:15:30Z fw1  IN=eth0 MAC=1:2",
		"":                                    "-   ",
	} {
		h := c.Syslog([]byte(in), now)
		at := "-"
		if h.Timed {
			at = time.Unix(0, h.Time).UTC().Format(time.RFC3339Nano)
		}
		if got := fmt.Sprintf("%s %s %s %s", at, h.Host, h.Tag, h.Rest); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "ä€": "ä€", "a\x00\x1b[0m\n": `a\x00\x1b[0m\x0a`, "\xff\xfe": `\xff\xfe`, "\u0085x": `\xc2\x85x`,
		strings.Repeat("a", 3000): strings.Repeat("a", 2045), strings.Repeat("\x01", 3000): strings.Repeat(`\x01`, 512),
	} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("%.20q…: %.40q (%d bytes)", in, got, len(got))
		}
	}
	var n Interner
	for i := range 3 * maxInterned {
		b := fmt.Appendf(nil, "name-%d.Example", i)
		if s, ok := n.Name(b); !ok || s != strings.ToLower(string(b))+"." || n.Text(b) != string(b) {
			t.Fatal(s, ok)
		}
	}
	if len(n.names) != maxInterned || len(n.texts) != maxInterned {
		t.Errorf("%d names, %d texts kept", len(n.names), len(n.texts))
	}
	if _, ok := n.Name(nil); ok {
		t.Error("an empty name is one")
	}
}

func FuzzMappedCSV(f *testing.F) {
	f.Add([]byte("a,b\n\"x\ny\",\"z\n1,2\n"))
	f.Add([]byte("a;b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Mapping{Fields: map[string]string{"a": "1", "b": "2"}}
		run := func(r io.Reader) (string, error) {
			var got []string
			acct := &account{}
			err := MappedCSV(context.Background(), r, m, acct, show(&got))
			return fmt.Sprint(got, acct.rejected, acct.skipped), err
		}
		one, err := run(bytes.NewReader(b))
		two, err2 := run(iotest.HalfReader(bytes.NewReader(b)))
		if one != two || (err == nil) != (err2 == nil) {
			t.Fatalf("%s, %v\nby halves: %s, %v", one, err, two, err2)
		}
	})
}

func FuzzMappedJSON(f *testing.F) {
	f.Add([]byte(`{"r":[{"x":{"y":["1","[{\"z\":2}]"]}}]}`), "x.y[1].z")
	f.Add([]byte(`{"x.y":1}`), "x.y")
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		if path == "" || checkPath(path) != nil {
			return
		}
		var got []string
		acct := &account{}
		if err := MappedJSON(context.Background(), bytes.NewReader(b), &Mapping{Records: "r", Fields: map[string]string{"a": path}}, acct, show(&got)); err != nil {
			t.Fatal(err)
		}
		if len(got)+len(acct.rejected) > len(b) {
			t.Fatalf("%d records of %d bytes", len(got)+len(acct.rejected), len(b))
		}
	})
}
