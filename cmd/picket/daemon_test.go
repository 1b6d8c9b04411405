package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// TestDaemonInputs feeds one daemon in every way that telemetry can come.
func TestDaemonInputs(t *testing.T) {
	syslogUDP, syslogTCP, tcp := freeAddr(t), freeAddr(t), freeAddr(t)
	c := newChild(t, zoneYAML(t)+`
inputs:
  - {name: log, file: queries.log, format: bind-log}
  - {name: tap, unix: tap.sock, format: dnstap}
  - {name: lines, unix: lines.sock}
  - {name: tcp, tcp: "`+tcp+`", format: ndjson}
  - {name: udplog, syslog_udp: "`+syslogUDP+`", format: bind-log}
  - {name: tcplog, syslog_tcp: "`+syslogTCP+`", format: bind-log}
`)
	bindLog, err := os.ReadFile("testdata/data/bind.log")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.start()

	t.Run("lines over a unix socket", func(t *testing.T) {
		conn := c.dial("unix", c.path("lines.sock"))
		write(t, conn, guesses("198.51.100.1", 40, now))
		conn.Close()
		c.accepted("lines", 40)
		c.shows("brute-force", "198.51.100.1")
	})
	t.Run("lines over TCP", func(t *testing.T) {
		conn := c.dial("tcp", tcp)
		write(t, conn, guesses("198.51.100.2", 40, now))
		c.shows("brute-force", "198.51.100.2") // with the connection open
		c.accepted("tcp", 40)
	})
	t.Run("dnstap over a unix socket", func(t *testing.T) {
		conn := c.dial("unix", c.path("tap.sock"))
		sendTaps(t, conn, "198.51.100.3", 40)
		c.accepted("tap", 40)
		f := c.shows("brute-force", "198.51.100.3")
		if f.Zone != "example.org." {
			t.Errorf("zone %q", f.Zone)
		}
	})
	t.Run("followed file", func(t *testing.T) {
		if err := os.WriteFile(c.path("queries.log"), forClient(bindLog, "198.51.100.4"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.accepted("log", 55)
		c.shows("brute-force", "198.51.100.4")
		// Rotated: what is still appended to the old file counts, then the new one.
		if err := os.Rename(c.path("queries.log"), c.path("queries.log.1")); err != nil {
			t.Fatal(err)
		}
		old, err := os.OpenFile(c.path("queries.log.1"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		write(t, old, forClient(bindLog, "198.51.100.5"))
		old.Close()
		if err := os.WriteFile(c.path("queries.log"), forClient(bindLog, "198.51.100.6"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.accepted("log", 3*55)
		c.shows("brute-force", "198.51.100.5")
		c.shows("brute-force", "198.51.100.6")
	})
	t.Run("syslog over UDP", func(t *testing.T) {
		conn := c.dial("udp", syslogUDP)
		for line := range bytes.Lines(forClient(bindLog, "198.51.100.9")) {
			write(t, conn, append([]byte("<30>Mar  2 10:00:00 ns1 named[812]: "), bytes.TrimSpace(line)...))
			time.Sleep(time.Millisecond) // UDP has no way to say that it is too much
		}
		c.accepted("udplog", 55)
		c.shows("brute-force", "198.51.100.9")
	})
	t.Run("syslog over TCP", func(t *testing.T) {
		conn := c.dial("tcp", syslogTCP)
		for line := range bytes.Lines(forClient(bindLog, "198.51.100.10")) {
			msg := append([]byte("<30>Mar  2 10:00:00 ns1 named[812]: "), bytes.TrimSpace(line)...)
			write(t, conn, fmt.Appendf(nil, "%d %s", len(msg), msg))
		}
		c.accepted("tcplog", 55)
		c.shows("brute-force", "198.51.100.10")
	})
	t.Run("watched", func(t *testing.T) {
		text, err := c.get("/api/watched")
		if err != nil {
			t.Fatal(err)
		}
		var w picket.Watched
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			t.Fatal(err)
		}
		if len(w.Inputs) != 6 || len(w.Zones) != 1 {
			t.Errorf("watched %d inputs and %d zones, want 6 and 1: %s", len(w.Inputs), len(w.Zones), text)
		}
		for _, in := range w.Inputs {
			if in.Error != "" || len(in.Rejected) > 0 {
				t.Errorf("input %s: error %q, rejected %v", in.Name, in.Error, in.Rejected)
			}
		}
	})
	t.Run("metrics", func(t *testing.T) { checkMetrics(t, c) })
	t.Run("findings command asks the daemon", func(t *testing.T) { checkFindingsCommand(t, c, 7) })
	c.stop()
	t.Run("findings command reads the store", func(t *testing.T) { checkFindingsCommand(t, c, 7) })

	// Started again, the followed file is taken up where it was left.
	c.start()
	more, err := os.OpenFile(c.path("queries.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, more, forClient(bindLog, "198.51.100.11"))
	more.Close()
	c.accepted("log", 4*55)
	c.shows("brute-force", "198.51.100.11")
	if v, _ := c.metric(`picket_input_accepted_total{input="log"}`); v != 4*55 {
		t.Errorf("accepted %v records with those before the restart, want %d", v, 4*55)
	}
	c.stop()
}

// metricNames are the metrics that operators build alarms on: renaming one breaks them.
var metricNames = []string{
	"picket_input_received_total", "picket_input_accepted_total", "picket_input_lag_seconds", "picket_shard_queue_batches", "picket_queries_total",
	"picket_detect_sources", "picket_detect_suspects", "picket_detect_open_findings", "picket_detect_evictions_total",
	"picket_zones", "picket_findings_total", "picket_store_seconds_count", "go_goroutines", "process_resident_memory_bytes",
}

func checkMetrics(t *testing.T, c *child) {
	text, err := c.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range metricNames {
		if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(text) {
			t.Errorf("no metric %s", name)
		}
	}
	if v, _ := c.metric("picket_queries_total"); v < 6*40 {
		t.Errorf("picket_queries_total is %v", v)
	}
	if v, ok := c.metric(`picket_zones{kind="watched"}`); !ok || v != 1 {
		t.Errorf(`picket_zones{kind="watched"} is %v, want 1`, v)
	}
}

// checkFindingsCommand wants picket findings to list what was found, whoever holds the store.
func checkFindingsCommand(t *testing.T, c *child, atLeast int) {
	t.Helper()
	code, out, stderr := picketCommand("findings", "-c", c.config(), "-o", "ndjson", "--detector", "brute-force", "--zone", "example.org")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < atLeast {
		t.Fatalf("%d findings, want at least %d:\n%s", len(lines), atLeast, out)
	}
	var f picket.StoredFinding
	if err := json.Unmarshal([]byte(lines[0]), &f); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr = picketCommand("findings", "-c", c.config(), f.ID); code != exitOK || !strings.Contains(out, f.Summary) {
		t.Errorf("findings %s: exit code %d, %s%s", f.ID, code, out, stderr)
	}
	if code, out, _ = picketCommand("findings", "-c", c.config()); code != exitOK || !strings.HasPrefix(out, "ID ") {
		t.Errorf("table: exit code %d:\n%s", code, out)
	}
	if code, out, stderr = picketCommand("findings", "-c", c.config(), "-o", "ndjson", "--limit", "5000"); code != exitOK || strings.Count(out, "\n") < atLeast {
		t.Errorf("a limit above the API's: exit code %d: %s%s", code, out, stderr)
	}
	if code, _, stderr = picketCommand("findings", "-c", c.config(), "f-00000000000000000000"); code != exitSome || !strings.Contains(stderr, "not found") {
		t.Errorf("unknown id: exit code %d, %s", code, stderr)
	}
	if code, out, _ = picketCommand("findings", "-c", c.config(), "-o", "ndjson", "--until", "2001-01-01T00:00:00Z"); code != exitOK || out != "" {
		t.Errorf("none: exit code %d:\n%s", code, out)
	}
	for _, bad := range [][]string{{"--min-severity", "grave"}, {"--since", "yesterday"}, {"-o", "xml"}} {
		if code, _, _ = picketCommand(append([]string{"findings", "-c", c.config()}, bad...)...); code != exitUsage {
			t.Errorf("%v: exit code %d, want %d", bad, code, exitUsage)
		}
	}
}

// picketCommand runs a command within the test.
func picketCommand(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func write(t *testing.T, w interface{ Write([]byte) (int, error) }, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

// forClient is a query log of testdata with another client.
func forClient(log []byte, client string) []byte {
	return bytes.ReplaceAll(log, []byte("198.51.100.8#"), []byte(client+"#"))
}

// sendTaps sends n queries, each with its response, as a name server would.
func sendTaps(t *testing.T, conn net.Conn, client string, n int) {
	t.Helper()
	w, err := framestream.NewWriter(conn, &framestream.WriterOptions{
		ContentTypes: [][]byte{[]byte("protobuf:dnstap.Dnstap")}, Bidirectional: true, Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		q := new(dns.Msg)
		q.SetQuestion(fmt.Sprintf("host-%d.example.org.", i), dns.TypeA)
		a := new(dns.Msg)
		a.SetRcode(q, dns.RcodeNameError)
		at := time.Now()
		for _, m := range []struct {
			kind dnstap.Message_Type
			msg  *dns.Msg
		}{{dnstap.Message_AUTH_QUERY, q}, {dnstap.Message_AUTH_RESPONSE, a}} {
			wire, err := m.msg.Pack()
			if err != nil {
				t.Fatal(err)
			}
			tap := &dnstap.Dnstap{Type: dnstap.Dnstap_MESSAGE.Enum(), Message: &dnstap.Message{
				Type: m.kind.Enum(), SocketFamily: dnstap.SocketFamily_INET.Enum(), SocketProtocol: dnstap.SocketProtocol_UDP.Enum(),
				QueryAddress: net.ParseIP(client).To4(), ResponseAddress: net.ParseIP("192.0.2.53").To4(),
				QueryPort: proto.Uint32(40000), ResponsePort: proto.Uint32(53),
				QueryTimeSec: proto.Uint64(uint64(at.Unix())), QueryTimeNsec: proto.Uint32(uint32(at.Nanosecond())),
			}}
			if m.kind == dnstap.Message_AUTH_QUERY {
				tap.Message.QueryMessage = wire
			} else {
				tap.Message.ResponseMessage = wire
			}
			frame, err := proto.Marshal(tap)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.WriteFrame(frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDaemonDrain ends the daemon right after everything was accepted: nothing of
// it may be missing from the store, and the steps come in their documented order.
func TestDaemonDrain(t *testing.T) {
	const n = 20_000
	c := newChild(t, zoneYAML(t)+"inputs:\n  - {name: lines, unix: lines.sock, format: ndjson}\n")
	c.start()
	conn := c.dial("unix", c.path("lines.sock"))
	write(t, conn, guesses("198.51.100.77", n, time.Now()))
	c.accepted("lines", n)
	c.stop()

	var steps []string
	for _, m := range regexp.MustCompile(`msg=stopped step=(\d) of=(\w+)`).FindAllStringSubmatch(c.log.String(), -1) {
		steps = append(steps, m[1]+" "+m[2])
	}
	if want := []string{"1 inputs", "2 counts", "3 pipeline", "4 console", "5 store"}; !slices.Equal(steps, want) {
		t.Errorf("the steps were %q, want %q", steps, want)
	}
	if !strings.Contains(c.log.String(), fmt.Sprintf("queries=%d", n)) {
		t.Errorf("the log does not say that %d queries were processed:\n%s", n, c.log)
	}

	ctx := context.Background()
	s, err := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: c.path("data")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Queries(ctx, duckdb.QueryFilter{Limit: 2 * n})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != n {
		t.Errorf("the query history has %d rows, want %d", len(rows), n)
	}
	list, _, err := s.Findings(ctx, picket.FindingFilter{Detector: "brute-force"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Queries != n || list[0].Open {
		t.Errorf("findings: %+v; want one, closed, with %d queries", list, n)
	}
	if _, err := os.Stat(c.path("lines.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

// TestDaemonStartErrors: what keeps the daemon from starting is said, with exit
// code 1, and nothing is left behind.
func TestDaemonStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct{ name, yaml, want string }{
		{"console address taken", "listen: " + taken.Addr().String(), "address already in use"},
		{"input address taken", "listen: 127.0.0.1:0\ninputs:\n  - tcp: " + taken.Addr().String(), "input tcp:"},
		{"no folder for the socket", "listen: 127.0.0.1:0\ninputs:\n  - unix: nowhere/x.sock", "no such file"},
		{"remote console", "listen: 0.0.0.0:8053", "loopback"},
		{"zone file missing", "listen: 127.0.0.1:0\nzones: [{file: nowhere.zone}]", "nowhere.zone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shortDir(t)
			if err := os.WriteFile(dir+"/picket.yaml", []byte(tt.yaml+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("picket", "run", "-c", dir+"/picket.yaml")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			if err := cmd.Run(); err == nil {
				t.Fatal("it ended without an error")
			}
			if code := cmd.ProcessState.ExitCode(); code != exitSome {
				t.Errorf("exit code %d, want %d", code, exitSome)
			}
			if !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("standard error %q does not say %q", stderr.String(), tt.want)
			}
		})
	}
}

// TestDaemonSecond: two daemons do not share a store.
func TestDaemonSecond(t *testing.T) {
	c := newChild(t, "")
	c.start()
	cmd := exec.Command("picket", "run", "-c", c.config())
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitSome {
		t.Errorf("a second daemon on the same store: %v: %s", err, out)
	}
	if err := c.signal(syscall.SIGINT); err != nil {
		t.Errorf("end after SIGINT: %v", err)
	}
}
