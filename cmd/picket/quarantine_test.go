package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// account is what picket -o ndjson would say of an input: /api/watched.
func (c *child) account(name string) picket.SourceStatus {
	c.t.Helper()
	text, err := c.get("/api/watched")
	if err != nil {
		c.t.Fatal(err)
	}
	var w picket.Watched
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		c.t.Fatal(err)
	}
	for _, in := range w.Inputs {
		if in.Name == name {
			return in
		}
	}
	c.t.Fatalf("no input %s in %s", name, text)
	return picket.SourceStatus{}
}

func (c *child) wantAccount(when, name string, accepted int64, rejected, skipped map[string]int64) {
	c.t.Helper()
	in := c.account(name)
	received := accepted
	for _, n := range rejected {
		received += n
	}
	if in.Received != received || in.Accepted != accepted || !maps.Equal(in.Rejected, rejected) || !maps.Equal(in.Skipped, skipped) {
		c.t.Errorf("%s, %s: received %d, accepted %d, rejected %v, skipped %v; want %d, %d, %v, %v", when, name,
			in.Received, in.Accepted, in.Rejected, in.Skipped, received, accepted, rejected, skipped)
	}
}

// picket runs a command on the child's configuration and wants its exit code.
func (c *child) picket(code int, args ...string) (stdout string) {
	c.t.Helper()
	got, out, stderr := picketCommand(append(args, "-c", c.config())...)
	if got != code {
		c.t.Fatalf("picket %s: exit code %d, want %d: %s%s", strings.Join(args, " "), got, code, out, stderr)
	}
	return out + stderr
}

// kept waits until so many records of an input are kept: they are when they are
// committed, a moment after they are counted.
func (c *child) kept(input string, n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d records of %s are kept", n, input), func() bool {
		v, _ := c.metric(fmt.Sprintf("picket_quarantine_records{input=%q}", input))
		return int(v) == n
	})
}

// listens waits until the control socket answers.
func (c *child) listens() {
	c.t.Helper()
	cfg, err := loadConfig(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	c.until("the control socket answers", func() bool {
		_, err := newControlClient(cfg).accounts(c.t.Context())
		return err == nil
	})
}

// reconfigure changes the configuration of a stopped child.
func (c *child) reconfigure(old, new string) {
	c.t.Helper()
	b, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		c.t.Fatalf("no %q in %s", old, b)
	}
	if err := os.WriteFile(c.config(), bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// TestQuarantineReplay: two inputs are configured wrongly. Nothing of what they were
// sent is lost: after the fix it is replayed, detected on, and counted once.
func TestQuarantineReplay(t *testing.T) {
	c := newChild(t, zoneYAML(t)+`inputs:
  - {name: lines, unix: lines.sock, format: route53-log}
  - {name: ms, file: ms.log, format: msdns-debug}
`)
	var ms bytes.Buffer
	for i := range 3 { // months or days first?
		fmt.Fprintf(&ms, "1/2/2026 5:37:0%d AM 0E24 PACKET  0000009AC98841A0 UDP Rcv 192.0.2.10      2de%d   Q [0001   D   NOERROR] A      (3)www(7)example(3)com(0)\n\n", i, i)
	}
	if err := os.WriteFile(c.path("ms.log"), ms.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	c.start()
	conn := c.dial("unix", c.path("lines.sock"))
	write(t, conn, append(guesses("198.51.100.31", 40, time.Now()), "{\"client\":\"198.51.100.31\"}\n\x1b]0;title\x07\xff\n"...))
	conn.Close()
	wrong := map[string]int64{"no query in the object": 41, "not a JSON object": 1}
	dates := map[string]int64{"ambiguous date": 3}
	blank := map[string]int64{"blank line": 3}
	c.kept("lines", 42)
	c.kept("ms", 3)
	c.wantAccount("before", "lines", 0, wrong, nil)
	c.wantAccount("before", "ms", 0, dates, blank)
	if st, err := os.Stat(c.path("data", controlName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v, %v", st, err)
	}
	if out := c.picket(exitOK, "quarantine", "list", "--input", "lines", "--limit", "100"); !strings.Contains(out, "quarantine: 42 of 42") ||
		!strings.Contains(out, `\x1b]0;title\a\xff`) || strings.ContainsAny(out, "\x1b\x07") || strings.Contains(out, "\xff") {
		t.Errorf("list:\n%s", out)
	}
	// Not mended yet: all is rejected anew, and the account stays as it is.
	if out := c.picket(exitOK, "quarantine", "replay", "--input", "ms", "--all"); out != "replayed 3: accepted 0, rejected again 3 (3 ambiguous date), skipped 0\n" {
		t.Errorf("replay: %q", out)
	}
	c.wantAccount("after a vain replay", "ms", 0, dates, blank)
	c.stop()
	if out := c.picket(exitOK, "quarantine", "list"); !strings.Contains(out, "quarantine: 45 of 45") {
		t.Errorf("list of the stopped store:\n%s", out)
	}
	c.picket(exitSome, "quarantine", "replay", "--input", "ms", "--all")

	c.reconfigure("route53-log", "ndjson")
	c.reconfigure("msdns-debug", "msdns-debug, date_order: mdy")
	c.start()
	c.listens()
	c.wantAccount("after the restart", "lines", 0, wrong, nil)
	c.wantAccount("after the restart", "ms", 0, dates, blank)
	if out := c.picket(exitOK, "quarantine", "replay", "--input", "lines", "--all"); out != "replayed 42: accepted 40, rejected again 2 (1 key time missing, 1 not a JSON object), skipped 0\n" {
		t.Errorf("replay: %q", out)
	}
	c.wantAccount("after the replay", "lines", 40, map[string]int64{"key time missing": 1, "not a JSON object": 1}, nil)
	c.shows("brute-force", "198.51.100.31")

	// The file is read on: what had been rejected in it does not count again, though
	// it could be read now.
	more := strings.Replace(ms.String(), "1/2/2026 5:37:0", "1/2/2026 5:38:0", 1)
	f, err := os.OpenFile(c.path("ms.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, []byte(more[:strings.Index(more, "\n\n")+2]))
	f.Close()
	c.accepted("ms", 1)
	blank = map[string]int64{"blank line": 4}
	c.wantAccount("after another line", "ms", 1, dates, blank)

	// By id, here of another input than the one that is meant, and twice.
	ids := quarantineIDs(t, c, "ms")
	c.picket(exitSome, "quarantine", "replay", "--input", "lines", "--id", ids[0])
	c.picket(exitOK, "quarantine", "replay", "--id", ids[0]+","+ids[1])
	c.picket(exitSome, "quarantine", "replay", "--id", ids[0])
	c.wantAccount("after the replay", "ms", 3, map[string]int64{"ambiguous date": 1}, blank)
	if in := c.account("ms"); !in.LastEvent.Equal(time.Date(2026, 1, 2, 5, 38, 0, 0, time.UTC)) {
		t.Errorf("last event %v", in.LastEvent)
	}
	// Given up: it was received, and could not be read.
	if out := c.picket(exitOK, "quarantine", "release", "--input", "ms", "--all"); out != "released 1\n" {
		t.Errorf("release: %q", out)
	}
	c.wantAccount("after the release", "ms", 3, map[string]int64{"ambiguous date": 1}, blank)
	if v, ok := c.metric(`picket_quarantine_records{input="ms"}`); !ok || v != 0 {
		t.Errorf("%v records of ms kept by the metric", v)
	}
	if v, _ := c.metric(`picket_quarantine_records{input="lines"}`); v != 2 {
		t.Errorf("%v records of lines kept by the metric, want 2", v)
	}
	text, err := c.get("/api/quarantine?input=lines&record=true")
	if err != nil || strings.Count(text, `"id":`) != 2 || !strings.Contains(text, `"reason":"not a JSON object"`) || !strings.Contains(text, `"record":"G10wO3RpdGxlB/8="`) {
		t.Errorf("API: %s, %v", text, err)
	}
	c.stop()
	// The account holds over one more restart.
	out := c.picket(exitOK, "check")
	for _, want := range []string{
		`account lines +received 42 = accepted 40 \+ rejected 2 \(1 key time missing, 1 not a JSON object\) \+ dropped 0; skipped 0; last event 20.*; quarantine 2\n`,
		`account ms +received 4 = accepted 3 \+ rejected 1 \(1 ambiguous date\) \+ dropped 0; skipped 4 \(4 blank line\); last event 2026-01-02T05:38:00Z; positions 1\n`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("check does not say %s:\n%s", want, out)
		}
	}
	c.start()
	c.wantAccount("at last", "lines", 40, map[string]int64{"key time missing": 1, "not a JSON object": 1}, nil)
	c.wantAccount("at last", "ms", 3, map[string]int64{"ambiguous date": 1}, blank)
	c.stop()
	rows, err := queriesStored(c)
	if err != nil || rows != 43 {
		t.Errorf("%d queries in the history, %v; want 43", rows, err)
	}
}

// TestQuarantineOfInputGone: what an input that was taken out of the configuration
// has left can be released, not replayed.
func TestQuarantineOfInputGone(t *testing.T) {
	c := newChild(t, "inputs:\n  - {name: old, unix: lines.sock, format: ndjson}\n")
	c.start()
	conn := c.dial("unix", c.path("lines.sock"))
	write(t, conn, []byte("junk\n{}\n"))
	conn.Close()
	c.kept("old", 2)
	c.stop()
	c.reconfigure("name: old", "name: new")
	c.start()
	c.listens()
	if out := c.picket(exitSome, "quarantine", "replay", "--input", "old", "--all"); !strings.Contains(out, "its records can only be released") {
		t.Errorf("replay: %s", out)
	}
	if out := c.picket(exitOK, "quarantine", "release", "--input", "old", "--all"); out != "released 2\n" {
		t.Errorf("release: %q", out)
	}
	if out := c.picket(exitOK, "check"); !strings.Contains(out, "account old    received 2 = accepted 0 + rejected 2 ") {
		t.Errorf("check:\n%s", out)
	}
	c.stop()
}

// TestQuarantineRequests: what the control socket refuses.
func TestQuarantineRequests(t *testing.T) {
	c := newChild(t, "inputs:\n  - {name: lines, unix: lines.sock}\n")
	c.start()
	cfg, err := loadConfig(c.config())
	if err != nil {
		t.Fatal(err)
	}
	ask := newControlClient(cfg)
	c.listens()
	for _, tt := range []struct {
		method, path string
		in           any
		want         string
	}{
		{http.MethodPost, "/quarantine/replay", quarantineSelection{}, "want ids"},
		{http.MethodPost, "/quarantine/replay", quarantineSelection{All: true}, "want ids"},
		{http.MethodPost, "/quarantine/release", quarantineSelection{Input: "lines", IDs: []int64{1}, All: true}, "want ids"},
		{http.MethodPost, "/quarantine/release", map[string]any{"every": true}, "unknown field"},
		{http.MethodPost, "/quarantine/release", strings.Repeat("x", 2<<20), "too large"},
		{http.MethodGet, "/quarantine?limit=0", nil, "above 0"},
		{http.MethodGet, "/quarantine?after=x", nil, "after"},
		{http.MethodGet, "/quarantine/x", nil, "invalid syntax"},
		{http.MethodGet, "/quarantine/7", nil, "not found"},
		{http.MethodGet, "/nowhere", nil, "404"},
	} {
		var out any
		if err := ask.ask(t.Context(), tt.method, tt.path, tt.in, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v; want %q", tt.method, tt.path, err, tt.want)
		}
	}
	c.stop()
	if _, err := ask.accounts(t.Context()); err != errNotRunning {
		t.Errorf("stopped: %v", err)
	}
}

// TestQuarantineWithoutSocket: a daemon whose data directory has too long a path for
// a socket does everything else.
func TestQuarantineWithoutSocket(t *testing.T) {
	long := strings.Repeat("d", 120)
	c := newChild(t, "data_dir: "+long+"\n")
	c.start()
	c.until("it is logged", func() bool { return strings.Contains(c.log.String(), "no control socket") })
	if out := c.picket(exitSome, "quarantine", "list"); !strings.Contains(out, filepath.Join(long, controlName)) {
		t.Errorf("list: %s", out)
	}
	c.stop()
}

func quarantineIDs(t *testing.T, c *child, input string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(c.picket(exitOK, "quarantine", "list", "--input", input)) {
		if m := regexp.MustCompile(`^(\d+) +` + input + ` `).FindStringSubmatch(line); m != nil {
			ids = append(ids, m[1])
		}
	}
	return ids
}

func TestSafeText(t *testing.T) {
	for in, want := range map[string]string{
		"a.example.org": "a.example.org", `{"k":"v"}`: `{"k":"v"}`, "\x1b[2J\r\n\t": `\x1b[2J\r\n\t`, "\xff\u202e\u00e4": `\xff\u202e\u00e4`, `a\b`: `a\\b`, "": "",
	} {
		if got := safeText(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
	var b bytes.Buffer
	if err := writeASCII(&b, map[string]string{"k": "\u202e\U0001F600\x7f\x1b<"}); err != nil || b.String() != `{"k":"\u202e\ud83d\ude00\u007f\u001b\u003c"}`+"\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// queriesStored counts the query history of a stopped child.
func queriesStored(c *child) (int, error) {
	s, err := duckdb.OpenReadOnly(c.t.Context(), duckdb.Options{Dir: c.path("data")})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	rows, err := s.Queries(c.t.Context(), duckdb.QueryFilter{Limit: 1000})
	return len(rows), err
}
