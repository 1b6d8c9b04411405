package query

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// distBackend is the name server behind dnsdist.
const distBackend = `options { directory "DIR"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
 pid-file "DIR/pid"; session-keyfile "DIR/session.key"; managed-keys-directory "DIR"; dnssec-validation no; notify no; };
controls { };
logging { channel run { stderr; }; category default { run; }; };
zone "open.test" { type primary; file "DIR/zone"; allow-transfer { any; }; };
`

// distConfig reports every query and response three times: as PowerDNS's own
// messages, as dnstap with lengths in front, and as dnstap in Frame Streams.
const distConfig = `setLocal("127.0.0.1:FRONT")
newServer({address="127.0.0.1:PORT", healthCheckMode="up"})
getPool(""):setCache(newPacketCache(1000))
rl = newRemoteLogger("OWN")
raw = newRemoteLogger("RAW")
tap = newFrameStreamUnixLogger("DIR/tap.sock", {flushTimeout=1})
for _, log in ipairs({raw, tap}) do
  addAction(AllRule(), DnstapLogAction("front1", log))
  addResponseAction(AllRule(), DnstapLogResponseAction("front1", log))
  addCacheHitResponseAction(AllRule(), DnstapLogResponseAction("front1", log))
end
addAction(AllRule(), RemoteLogAction(rl, nil, {serverID="front1"}))
addResponseAction(AllRule(), RemoteLogResponseAction(rl, nil, true, {serverID="front1"}))
addCacheHitResponseAction(AllRule(), RemoteLogResponseAction(rl, nil, true, {serverID="front1"}))
controlSocket("127.0.0.1:CONTROL")
setKey("KEY")
`

// distAsks are dig's arguments, and what becomes of the question whichever way
// it is reported.
var distAsks = []struct{ dig, want string }{
	{"www.open.test A +norec", "udp www.open.test IN A NOERROR"},
	{"www.open.test A +norec", "udp www.open.test IN A NOERROR"}, // out of the cache
	{"WwW.open.test AAAA +noedns", "udp www.open.test IN AAAA NOERROR"},
	{"nx.open.test A +tcp", "tcp nx.open.test IN A NXDOMAIN"},
	{`a\032b\.c.open.test TXT +norec`, `udp a\032b\.c.open.test IN TXT NOERROR`},
	{"www.elsewhere.test MX", "udp www.elsewhere.test IN MX REFUSED"},
	{"version.bind TXT -c CH", "udp version.bind CH TXT NOERROR"},
	{"open.test AXFR", "tcp open.test IN AXFR"}, // whose responses dnsdist 1.7 does not report
}

// distInput is one connection of dnsdist with what was read from it.
type distInput struct {
	mu   sync.Mutex
	acct *tally
	got  []string
	done chan error
}

func (in *distInput) Accept(at int64)    { in.mu.Lock(); in.acct.Accept(at); in.mu.Unlock() }
func (in *distInput) Skip(reason string) { in.mu.Lock(); in.acct.Skip(reason); in.mu.Unlock() }
func (in *distInput) Reject(reason string, at picket.Position) {
	in.mu.Lock()
	in.acct.Reject(reason, at)
	in.mu.Unlock()
}
func (in *distInput) total() int { in.mu.Lock(); defer in.mu.Unlock(); return in.acct.total() }

// Query implements picket.QuerySink.
func (in *distInput) Query(q *picket.Query) error {
	if q.Sensor != "front1" {
		return fmt.Errorf("sensor %q", q.Sensor)
	}
	in.got = append(in.got, brief(q))
	return nil
}

// listenDist takes one connection and decodes it to its end.
func listenDist(t *testing.T, network, address string, d Decode) (*distInput, string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	in := &distInput{acct: newTally(), done: make(chan error, 1)}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			in.done <- err
			return
		}
		defer func() { _ = conn.Close() }()
		in.done <- d(context.Background(), conn, decode.Options{Client: true}, in, in)
	}()
	return in, l.Addr().String()
}

// TestDnsdistLive asks a real dnsdist and reads what it reports in its three ways.
func TestDnsdistLive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	dist, err := exec.LookPath("dnsdist")
	if err != nil {
		t.Skip("dnsdist is not installed")
	}
	named, dig := program(t, "named"), program(t, "dig")
	dir := t.TempDir()
	own, ownAddr := listenDist(t, "tcp", "127.0.0.1:0", PowerDNS)
	raw, rawAddr := listenDist(t, "tcp", "127.0.0.1:0", DnstapMessage)
	tap, _ := listenDist(t, "unix", filepath.Join(dir, "tap.sock"), Dnstap)
	front := freePort(t)
	fill := strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(freePort(t)), "FRONT", fmt.Sprint(front), "OWN", ownAddr, "RAW", rawAddr,
		"CONTROL", fmt.Sprint(freePort(t)), "KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	for name, text := range map[string]string{"named.conf": distBackend, "zone": liveZone, "dnsdist.conf": distConfig} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startNamed(t, named, dir)
	stop := startDist(t, dist, filepath.Join(dir, "dnsdist.conf"), front)

	var want []string
	for _, ask := range distAsks {
		args := append([]string{"@127.0.0.1", "-p", fmt.Sprint(front), "+tries=1", "+time=5"}, strings.Fields(ask.dig)...)
		if out, err := exec.Command(dig, args...).CombinedOutput(); err != nil {
			t.Fatalf("dig %s: %v\n%s", ask.dig, err, out)
		}
		want = append(want, "127.0.0.1>127.0.0.1 "+ask.want)
	}
	sent := distCounters(t, dist, filepath.Join(dir, "dnsdist.conf"))
	if len(sent) != 3 {
		t.Fatalf("dnsdist's counters: %v", sent)
	}
	inputs := []*distInput{raw, tap, own} // in the order of the rules
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if raw.total() >= sent[0] && tap.total() >= sent[1] && own.total() >= sent[2] {
			break
		}
	}
	stop()
	for i, in := range inputs {
		if err := <-in.done; err != nil && !strings.Contains(err.Error(), "reset by peer") {
			t.Errorf("input %d: %v", i, err)
		}
		if in.acct.total() != sent[i] || len(in.acct.rejected) > 0 || in.acct.accepted != len(distAsks) {
			t.Errorf("input %d: dnsdist sent %d messages; accepted %d, skipped %v, rejected %v", i, sent[i], in.acct.accepted, in.acct.skipped, in.acct.rejected)
		}
		var got []string
		for _, g := range portless(t, in.got) {
			words := strings.Fields(g)[:6]
			if words[4] == "AXFR" {
				words = words[:5]
			}
			got = append(got, strings.Join(words, " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("input %d: got\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// startDist runs dnsdist until it serves; stop ends it and waits.
func startDist(t *testing.T, dist, config, port string) (stop func()) {
	t.Helper()
	var log strings.Builder
	cmd := exec.Command(dist, "--supervised", "--disable-syslog", "-C", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	for range 100 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return stop
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	t.Fatalf("dnsdist does not start:\n%s", log.String())
	return nil
}

// distCounters asks dnsdist how many messages each of its loggers has sent, in
// the order of the rules.
func distCounters(t *testing.T, dist, config string) (sent []int) {
	t.Helper()
	out, err := exec.Command(dist, "-C", config, "-e", "showRules()").CombinedOutput()
	if err != nil {
		t.Fatalf("showRules: %v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`\((\d+) (?:processed|frames sent), (\d+) dropped`).FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[1])
		if m[2] != "0" {
			t.Errorf("dropped: %s", m[0])
		}
		sent = append(sent, n)
	}
	return sent
}
