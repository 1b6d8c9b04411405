package input

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const bindLine = "20-Sep-2024 10:20:26.751 client @0x7f264c465b08 10.10.10.10#56256 (a.example): query: a.example IN A + (10.10.10.11)\n"

func pack(t testing.TB, how string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReader(t *testing.T) {
	text := []byte(strings.Repeat(bindLine, 2000))
	for _, how := range []string{"", "gzip", "zstd", "xz", "gzip+zstd", "xz+gzip"} {
		b := text
		layers := strings.Split(how, "+")
		for i := len(layers) - 1; i >= 0 && how != ""; i-- {
			b = pack(t, layers[i], b)
		}
		head, r, got, err := Reader(bytes.NewReader(b))
		if err != nil || got != how || len(head) != headSize || !bytes.Equal(head, text[:headSize]) {
			t.Fatalf("%q: %d bytes, %q, %v", how, len(head), got, err)
		}
		all, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(all, text) {
			t.Errorf("%q: %d bytes of %d, %v", how, len(all), len(text), err)
		}
	}
	b := pack(t, "gzip", pack(t, "gzip", pack(t, "gzip", text)))
	if _, _, _, err := Reader(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "more than 2 layers") {
		t.Errorf("three layers: %v", err)
	}
}

// TestReaderTruncated: what can be read comes first, then the error.
func TestReaderTruncated(t *testing.T) {
	text := new(bytes.Buffer)
	rnd := rand.New(rand.NewPCG(1, 2)) // names that do not compress: xz delivers by chunks of 64 KiB
	for range 8000 {
		fmt.Fprintf(text, "20-Sep-2024 10:20:26.751 client 10.10.10.10#1: query: %016x%016x%016x.example IN A + (10.10.10.11)\n", rnd.Uint64(), rnd.Uint64(), rnd.Uint64())
	}
	for _, how := range []string{"gzip", "zstd", "xz"} {
		b := pack(t, how, text.Bytes())
		in := Inspect(context.Background(), "x", bytes.NewReader(b[:len(b)/2]), Auto, decode.Options{})
		if in.Accepted < 1000 || in.Error == "" || !strings.Contains(in.Error, how) {
			t.Errorf("%s: accepted %d, error %q", how, in.Accepted, in.Error)
		}
		if in := Inspect(context.Background(), "x", bytes.NewReader(b[:9]), Auto, decode.Options{}); in.Error == "" {
			t.Errorf("%s: header cut: no error", how)
		}
	}
}

func TestXzDictionaryBound(t *testing.T) {
	b := pack(t, "xz", []byte(bindLine))
	if n := xzDictionary(b); n != 8<<20 {
		t.Fatalf("dictionary %d", n)
	}
	for i := 12; i < 24; i++ { // the property follows filter id 0x21 and size 1
		if b[i] == 0x21 && b[i+1] == 1 {
			b[i+2] = 40
			break
		}
	}
	if _, _, _, err := Reader(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "dictionary") {
		t.Errorf("4 GiB dictionary: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name, format string
		r            io.Reader
		want         error
	}{
		{"empty", Auto, strings.NewReader(""), ErrEmpty},
		{"empty, named", "bind-log", strings.NewReader(""), ErrEmpty},
		{"empty gzip", Auto, bytes.NewReader(pack(t, "gzip", nil)), ErrEmpty},
		{"junk", Auto, strings.NewReader("hello\nworld\n"), ErrUnknown},
		{"unknown name", "bimd-log", strings.NewReader(bindLine), ErrUnknown},
		{"read error", Auto, io.MultiReader(errReader{boom}), boom},
	} {
		in := Inspect(context.Background(), "x", tt.r, tt.format, decode.Options{})
		if in.Error == "" {
			t.Errorf("%s: no error", tt.name)
		}
		if _, _, err := Open(tt.r, tt.format); tt.name != "read error" && !errors.Is(err, tt.want) && !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !strings.Contains(in.Error, tt.want.Error()) {
			t.Errorf("%s: %q, want %q", tt.name, in.Error, tt.want)
		}
	}
	if err := fmt.Sprint(ErrUnknown, Names()); !strings.Contains(err, "bind-log") {
		t.Error(err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestDetect(t *testing.T) {
	const (
		zeekJSON = `{"ts":1.5,"id.orig_h":"10.0.0.1","id.resp_p":53,"query":"a","qtype_name":"A"}` + "\n"
		zeekTSV  = "#separator \\x09\n#path\tdns\n#fields\tts\tid.orig_h\tquery\n"
		eve      = `{"timestamp":"2017-03-06T06:54:06.047429+0000","flow_id":1,"event_type":"flow"}` + "\n"
		own      = `{"time":1732357265.5,"name":"a.example","type":"A"}` + "\n"
	)
	for _, tt := range []struct{ name, head, want string }{
		{"bind", bindLine, "bind-log"},
		{"bind behind junk", "=== rotated ===\n\x00\x01junk\n" + bindLine, "bind-log"},
		{"bind behind a mark", "\xef\xbb\xbf" + bindLine, "bind-log"},
		{"bind, one line without end", strings.TrimSuffix(bindLine, "\n"), "bind-log"},
		{"bind behind other categories", strings.Repeat("20-Sep-2024 10:20:26.751 zone a/IN: loaded serial 1\n", 500) + bindLine, "bind-log"},
		{"bind quoted in YAML", "a:\n  b: \"" + bindLine + "\"", ""},
		{"zeek TSV", zeekTSV, "zeek-dns"},
		{"zeek TSV behind junk", "### a remark\nxyz\n" + zeekTSV, "zeek-dns"},
		{"zeek conn", strings.Replace(zeekTSV, "\tquery", "\tservice", 1), ""},
		{"zeek JSON", zeekJSON, "zeek-dns"},
		{"zeek JSON array", "[\n" + zeekJSON + "," + zeekJSON + "]", "zeek-dns"},
		{"zeek JSON behind junk", "# comment\nnot json {broken\n" + zeekJSON, "zeek-dns"},
		{"eve", eve, "suricata-eve"},
		{"eve array", "[" + eve + "]", "suricata-eve"},
		{"eve pretty", "{\n  \"timestamp\": \"x\",\n  \"event_type\": \"alert\",\n  \"flow_id\": 1\n}\n", "suricata-alert"},
		{"eve with alerts and dns", eve + strings.Replace(eve, `"flow"`, `"alert"`, 1) + strings.Replace(eve, `"flow"`, `"dns"`, 1), "suricata-eve"},
		{"eve quoted", `{"message":{"timestamp":"x","event_type":"dns","flow_id":1}}`, ""},
		{"own", own, "ndjson"},
		{"dnstap", "\x00\x00\x00\x00\x00\x00\x00\x22\x00\x00\x00\x02", "dnstap"},
		{"pcap", "\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + strings.Repeat("\x00", 12) + "\x01\x00\x00\x00", "pcap"},
		{"web log", `10.0.0.1 - - [19/Oct/2022:05:34:02 +0000] "GET / HTTP/1.1" 200 5` + "\n", "web-access"},
		{"other JSON", `{"time":"2022-10-19T05:34:02Z","level":"info","msg":"x"}`, ""},
		{"braces", strings.Repeat("{", 1000), ""},
		{"zeros", strings.Repeat("\x00", 1000), ""},
	} {
		f, ok := Detect([]byte(tt.head))
		if f.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, want %q", tt.name, f.Name, tt.want)
		}
	}
}

// TestReaderLive: a socket is looked at without waiting for 64 KiB, and can
// still be answered and given deadlines.
func TestReaderLive(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _ = here.Close() }()
	defer func() { _ = there.Close() }()
	go func() {
		_, _ = there.Write([]byte(bindLine[:40]))
		_, _ = there.Write([]byte(bindLine[40:]))
		b := make([]byte, 2)
		_, _ = io.ReadFull(there, b)
		_, _ = there.Write(b)
	}()
	f, r, err := Open(here, Auto)
	if err != nil || f.Name != "bind-log" {
		t.Fatal(f.Name, err)
	}
	b := make([]byte, len(bindLine))
	if _, err := io.ReadFull(r, b); err != nil || string(b) != bindLine {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := r.(io.Writer).Write([]byte("ok")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, b[:2]); err != nil || string(b[:2]) != "ok" {
		t.Fatalf("%q, %v", b[:2], err)
	}
	_ = r.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := r.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestInspectRow(t *testing.T) {
	const text = bindLine + "20-Sep-2024 10:20:27.000 client 10.10.10.10#1: query: a..b IN A + (10.10.10.11)\n"
	b, err := json.Marshal(Inspect(context.Background(), "q.log", strings.NewReader(text), Auto, decode.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"file":"q.log","format":"bind-log","kind":"query","accepted":1,"rejected":1,"reasons":{"bad name":{"count":1,"line":2}},` +
		`"first_seen":"2024-09-20T10:20:26.751Z","last_seen":"2024-09-20T10:20:26.751Z",` +
		`"sample":[{"time":"2024-09-20T10:20:26.751Z","client":"10.10.10.10","client_port":56256,"server":"10.10.10.11","transport":"udp","name":"a.example","type":"A","class":"IN","flags":["rd","header"]}],` +
		`"notes":["times carry no zone and are read as UTC; name theirs with the timezone setting"]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestDecodeSinkError(t *testing.T) {
	boom := errors.New("boom")
	for _, f := range Formats() {
		if f.Kind != picket.KindQuery {
			continue
		}
		sample := sampleOf(t, f.Name)
		text, opt := string(sample.bytes), sample.options(t)
		_, err := DecodeQueries(context.Background(), strings.NewReader(text), f.Name, opt, NewCounter(),
			picket.QuerySinkFunc(func(*picket.Query) error { return boom }))
		if err != boom { //nolint:errorlint // returned as it is
			t.Errorf("%s: %v", f.Name, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := DecodeQueries(ctx, strings.NewReader(text), f.Name, opt, NewCounter(),
			picket.QuerySinkFunc(func(*picket.Query) error { return nil })); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", f.Name, err)
		}
	}
}

func TestCounter(t *testing.T) {
	c := NewCounter()
	if s := c.Snapshot(); s.Accepted != 0 || !s.FirstSeen.IsZero() || len(s.Rejected) != 0 {
		t.Errorf("%+v", s)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				c.Accept(int64(g*1000 + i + 1))
				c.Skip("skipped")
				c.Reject(fmt.Sprint("reason ", i%100), picket.Position{Line: int64(i + 1)})
				_ = c.Snapshot()
			}
		})
	}
	wg.Wait()
	s := c.Snapshot()
	if s.Accepted != 4000 || s.FirstSeen.UnixNano() != 1 || s.LastSeen.UnixNano() != 4000 {
		t.Errorf("%+v", s)
	}
	if len(s.Rejected) != maxReasons || Total(s.Rejected) != 4000 || s.Rejected[maxReasons-1].Reason != reasonOther {
		t.Errorf("%d reasons, total %d", len(s.Rejected), Total(s.Rejected))
	}
	if len(s.Skipped) != 1 || s.Skipped[0].Count != 4000 {
		t.Errorf("%+v", s.Skipped)
	}
	c.Reject("reason 1", picket.Position{Line: 99})
	if n := testing.AllocsPerRun(100, func() {
		c.Accept(5)
		c.Skip("skipped")
		c.Reject("reason 1", picket.Position{Line: 1})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
