package query

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// logOptions have a clock that stands, for times without a year.
func logOptions() decode.Options {
	return decode.Options{Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }}
}

// decodeLog is decodeText that also tells opcodes and the number of answers.
func decodeLog(t *testing.T, d Decode, text string, opt decode.Options) ([]string, *tally) {
	t.Helper()
	acct := newTally()
	var out []string
	err := d(context.Background(), strings.NewReader(text), opt, acct, picket.QuerySinkFunc(func(q *picket.Query) error {
		s := strings.TrimRight(brief(q), " ")
		if q.Opcode != 0 {
			s += fmt.Sprintf(" opcode=%d", q.Opcode)
		}
		if q.EDNSSize != 0 {
			s += fmt.Sprintf(" size=%d", q.EDNSSize)
		}
		if q.Response.Answers != 0 {
			s += fmt.Sprintf(" answers=%d", q.Response.Answers)
		}
		out = append(out, s)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return out, acct
}

// logCase is a piece of a log and what becomes of it.
type logCase struct {
	name, text string
	want       []string
	rejected   map[string]int
	skipped    map[string]int
}

func testLog(t *testing.T, d Decode, tests []logCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, acct := decodeLog(t, d, tt.text, logOptions())
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if fmt.Sprint(acct.rejected) != fmt.Sprint(notNil(tt.rejected)) || fmt.Sprint(acct.skipped) != fmt.Sprint(notNil(tt.skipped)) {
				t.Errorf("rejected %v, skipped %v, want %v, %v", acct.rejected, acct.skipped, tt.rejected, tt.skipped)
			}
			lines := strings.Count(strings.TrimSuffix(tt.text, "\n"), "\n") + 1
			if acct.total() != lines {
				t.Errorf("%d outcomes of %d lines", acct.total(), lines)
			}
		})
	}
}

func notNil(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// TestServerLogTimes: whatever carries a line gives its time; a time with its zone
// beats one without, among equals the inner one counts, and none is not made up.
func TestServerLogTimes(t *testing.T) {
	const message = "nsd[7]: info: axfr for example.com. from 192.0.2.1"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"[1795447868] " + message, "2026-11-23T15:31:08Z"},
		{"[1795447868.25] " + message, "2026-11-23T15:31:08.25Z"},
		{"[2026-11-23 15:31:08.325] " + message, "2026-11-23T14:31:08.325Z"},
		{"2026-11-23T15:31:08+0000 " + message, "2026-11-23T15:31:08Z"},
		{"Nov 23 15:31:08 ns1 " + message, "2026-11-23T14:31:08Z"},
		{"<29>Nov 23 15:31:08 ns1 " + message, "2026-11-23T14:31:08Z"},
		{"<29>1 2026-11-23T15:31:08.5-05:00 ns1 nsd 7 - [x@1 a=\"b\"] " + message, "2026-11-23T20:31:08.5Z"},
		{"Nov 23 15:31:09 ns1 nsd: [2026-11-23 15:31:08.325] " + message, "2026-11-23T14:31:08.325Z"},
		{"2026-11-23T15:31:09Z ns1 nsd: [2026-11-23 16:31:08.325] " + message, "2026-11-23T15:31:09Z"},
		{"Nov 23 16:31:09 ns1 nsd: [1795447868] " + message, "2026-11-23T15:31:08Z"},
		{"[1795447868] ns1 Nov 23 16:31:09 " + message, "2026-11-23T15:31:08Z"},
		{"2026-11-23T15:31:08.000000001Z stdout F " + message, "2026-11-23T15:31:08.000000001Z"},
		{"2026/11/23 16:31:08.5 " + message, "2026-11-23T15:31:08.5Z"},
		{`{"log":"` + message + `\n","stream":"stderr","time":"2026-11-23T15:31:08.5Z"}`, "2026-11-23T15:31:08.5Z"},
		{`{"time":"2026-11-23T15:31:08.5Z","log":"[1795447868] ` + message + `\r\n"}`, "2026-11-23T15:31:08Z"},
		{`{"__REALTIME_TIMESTAMP":"1795447868000001","MESSAGE":"` + message + `","_PID":"7"}`, "2026-11-23T15:31:08.000001Z"},
		{`{"@timestamp":"2026-11-23T15:31:08Z","agent":{"x":[1,{}]},"message":"` + message + `"}`, "2026-11-23T15:31:08Z"},
		{message, "no time stamp"},
		{"2026-13-23T15:31:08Z " + message, "no time stamp"},
		{"2026/13/23 15:31:08 " + message, "no time stamp"},
		{"[99999999999999] " + message, "no time stamp"},
		{`{"time":"yesterday","log":"` + message + `"}`, "no time stamp"},
		{`{"log":"` + message + `"`, "broken JSON"},
		{`{"log":{"a":1},"time":3}`, "other log line"},
		{strings.Repeat("x", 300) + " 2026-11-23T15:31:08Z " + message, "no time stamp"}, // no header is so long
	} {
		opt := logOptions()
		opt.Location = berlin
		out, acct := decodeLog(t, NSDLog, tt.text, opt)
		got := fmt.Sprint(acct.rejected, acct.skipped)
		if len(out) == 1 {
			got, _, _ = strings.Cut(out[0], " ")
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
}

// TestServerLogNote: a time without a zone is told of, unless it is not used.
func TestServerLogNote(t *testing.T) {
	for text, want := range map[string]int{
		"Nov 23 15:31:08 ns1 nsd[7]: axfr for a. from 192.0.2.1":                                    1,
		"2026-11-23T15:31:09Z ns1 nsd: [2026-11-23 16:31:08.325] nsd[7]: axfr for a. from ::1":      0,
		"2026-11-23T15:31:09Z ns1 Nov 23 15:31:08 nsd[7]: info: axfr for a. from ::1":               0,
		`{"log":"[1795447868] nsd[7]: info: axfr for a. from ::1","time":"2026-11-23T15:31:08.5Z"}`: 0,
	} {
		notes := 0
		opt := logOptions()
		opt.Note = func(string) { notes++ }
		if out, _ := decodeLog(t, NSDLog, text, opt); len(out) != 1 || notes != want {
			t.Errorf("%s: %d notes, %q", text, notes, out)
		}
	}
}

func TestPeerOf(t *testing.T) {
	for _, tt := range []struct {
		text string
		sep  byte
		want string
	}{
		{"192.0.2.1", ':', "192.0.2.1 0"}, {"192.0.2.1:53", ':', "192.0.2.1 53"}, {"::1", ':', "::1 0"}, {"[::1]:53", ':', "::1 53"},
		{"[::1]", ':', "::1 0"}, {"2001:db8::5353", ':', "2001:db8::5353 0"}, {"::1@53", '@', "::1 53"}, {"192.0.2.1@65536", '@', ""},
		{"[::1", ':', ""}, {"[::1]53", ':', ""}, {"", ':', ""}, {"a.example:53", ':', ""}, {"192.0.2.1:", ':', ""}, {"::ffff:192.0.2.1", ':', "192.0.2.1 0"},
	} {
		addr, port, ok := peerOf([]byte(tt.text), tt.sep)
		got := ""
		if ok {
			got = fmt.Sprint(addr, " ", port)
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// logFormats are the decoders of servers' logs with lines of their own.
var logFormats = []struct {
	name   string
	decode Decode
	detect func([]byte) int
	line   string
}{
	{"nsd-log", NSDLog, DetectNSDLog, "nsd[7]: info: axfr for example.com. from 192.0.2.1 refused, no acl matches"},
	{"knot-log", KnotLog, DetectKnotLog, "info: [example.com.] AXFR, outgoing, remote 192.0.2.1@40481, started, serial 1"},
	{"powerdns-log", PowerDNSLog, DetectPowerDNSLog, "Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 1232: packetcache MISS"},
	{"coredns-log", CoreDNSLog, DetectCoreDNSLog, `[INFO] 192.0.2.1:5353 - 1234 "A IN www.example.com. udp 44 false 4096" NOERROR qr,aa,rd 100 0.00012s`},
	{"unbound-log", UnboundLog, DetectUnboundLog, "unbound[9405:0] info: 192.0.2.1 www.example.com. A IN"},
}

// TestServerLogsApart: each detector takes its own server's lines and no other's,
// whatever carries them.
func TestServerLogsApart(t *testing.T) {
	carriers := []string{"2026-11-23T15:32:03+0000 %s", "<30>Nov 23 15:31:08 ns1 %s", "<30>1 2026-11-23T15:31:08.5Z ns1 - - - - %s",
		"2026-11-23T10:00:00.123456789Z stdout F %s", `{"log":%q,"stream":"stdout","time":"2026-11-23T10:00:00.5Z"}`}
	others := map[string]func([]byte) int{"bind-log": DetectBindLog, "zeek-dns": DetectZeekDNS, "suricata-eve": DetectSuricataDNS, "ndjson": DetectNDJSON}
	bind := "named[16]: client @0x1 192.0.2.1#5 (a.example): query: a.example IN A +E(0)K (192.0.2.2)"
	for _, f := range logFormats {
		for _, carrier := range carriers {
			line := fmt.Sprintf(carrier, f.line)
			if f.name == "knot-log" && strings.HasPrefix(carrier, "<30>") { // syslog names the program
				line = fmt.Sprintf(carrier, "knotd[7]: "+f.line)
			}
			head := []byte(strings.Repeat(line+"\n", 3))
			for _, g := range logFormats {
				if got := g.detect(head); (got >= 90) != (f.name == g.name) {
					t.Errorf("%s takes %s for its own with %d", g.name, line, got)
				}
			}
			for name, detect := range others {
				if got := detect(head); got > 0 {
					t.Errorf("%s takes %s for its own with %d", name, line, got)
				}
			}
			if out, acct := decodeLog(t, f.decode, string(head), logOptions()); len(out) != 3 || acct.total() != 3 {
				t.Errorf("%s: %q, %v %v", line, out, acct.rejected, acct.skipped)
			}
		}
		for _, carrier := range carriers {
			if got := f.detect([]byte(fmt.Sprintf(carrier, bind) + "\n")); got > 0 {
				t.Errorf("%s takes a BIND log for its own with %d", f.name, got)
			}
		}
	}
}

// TestServerLogSharedSamples reads what the servers' own projects and users wrote.
func TestServerLogSharedSamples(t *testing.T) {
	tests := []struct {
		file, format string
		want         []string
		rejected     map[string]int
		skipped      map[string]int
	}{
		{file: "knot-log/knot--operation-1.extract.log", format: "knot-log", skipped: map[string]int{"other log line": 40}},
		{file: "powerdns-log/pdns--recursor-running.extract.log", format: "powerdns-log",
			want:    []string{"2024-07-09T07:08:31.919Z 127.0.0.1:54573> udp www.example.com IN A NOERROR rd,response,flags answers=1"},
			skipped: map[string]int{"answer to a question already counted": 1}},
		{file: "coredns-log/coredns--log-readme.extract.log", format: "coredns-log",
			rejected: map[string]int{"no time stamp": 1}},
		{file: "unbound-log/ossec-hids--unbound.ini", format: "unbound-log",
			want:    []string{"2014-07-14T18:00:02.81449Z 127.0.0.1:0>  talkgadget.google.com IN A ?"},
			skipped: map[string]int{"blank line": 2, "other log line": 27}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			text, err := os.ReadFile(pickettest.Shared(t, "samples", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range logFormats {
				if got := f.detect(text); (got > 0) != (f.name == tt.format) {
					t.Errorf("%s: detected with %d", f.name, got)
				}
				if f.name != tt.format {
					continue
				}
				got, acct := decodeLog(t, f.decode, string(text), logOptions())
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") || fmt.Sprint(acct.rejected) != fmt.Sprint(notNil(tt.rejected)) ||
					fmt.Sprint(acct.skipped) != fmt.Sprint(notNil(tt.skipped)) {
					t.Errorf("%q, rejected %v, skipped %v", got, acct.rejected, acct.skipped)
				}
			}
		})
	}
}

// TestServerLogEnds: a sink's error comes back as it is, and a done context ends.
func TestServerLogEnds(t *testing.T) {
	for _, f := range logFormats {
		text := strings.Repeat("2026-11-23T15:32:03Z "+f.line+"\n", 200)
		n := 0
		err := f.decode(context.Background(), strings.NewReader(text), logOptions(), newTally(), picket.QuerySinkFunc(func(*picket.Query) error {
			n++
			return errEndless
		}))
		if err != errEndless || n != 1 { //nolint:errorlint // as it is
			t.Errorf("%s: %v after %d", f.name, err, n)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.decode(ctx, strings.NewReader(text), logOptions(), newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil })); err != context.Canceled { //nolint:errorlint // as it is
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// TestServerLogMemory: endless lines, names and messages do not make a decoder grow.
func TestServerLogMemory(t *testing.T) {
	for _, f := range logFormats {
		for _, lead := range []string{"", `{"log":"`, "2026-11-23T15:32:03Z " + f.line} {
			pickettest.Bounded(t, f.name, lead, func(r io.Reader) {
				_ = f.decode(context.Background(), r, decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
			})
		}
	}
}
