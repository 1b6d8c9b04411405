package query

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// liveZone is served by the test's own named.
const liveZone = `$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 127.0.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
a\032b\.c TXT "escaped"
`

// liveConfig logs the same categories through channels of every print option.
const liveConfig = `options { directory "DIR"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
 pid-file "DIR/pid"; session-keyfile "DIR/session.key"; managed-keys-directory "DIR"; dnssec-validation no; notify no; querylog yes;
 dnstap { auth; }; dnstap-output unix "DIR/tap.sock"; dnstap-identity "live"; fstrm-set-flush-timeout 1; };
controls { };
logging {
 channel local { file "DIR/local.log"; print-time local; print-category no; print-severity no; };
 channel iso { file "DIR/iso.log"; print-time iso8601; print-category yes; print-severity no; };
 channel utc { file "DIR/utc.log"; print-time iso8601-utc; print-category yes; print-severity yes; };
 channel severity { file "DIR/severity.log"; print-time local; print-category no; print-severity yes; };
 channel run { stderr; }; category default { run; };
 category queries { local; iso; utc; severity; }; category query-errors { local; iso; utc; severity; };
 category security { local; iso; utc; severity; }; category xfer-out { local; iso; utc; severity; };
};
zone "open.test" { type primary; file "DIR/zone"; allow-transfer { any; }; };
zone "closed.test" { type primary; file "DIR/zone"; allow-transfer { none; }; };
`

// liveAsks are dig's arguments with what the log must make of them, and the
// response code that only dnstap tells. BIND's dnstap lacks responses to RD=1.
var liveAsks = []struct{ dig, want, rcode string }{
	{"www.open.test A +norec +noedns", "udp www.open.test IN A ? flags", "NOERROR"},
	{"WwW.open.test AAAA +rec +noedns", "udp www.open.test IN AAAA ? rd,mixed,flags", ""},
	{"nx.open.test A +norec +nocookie", "udp nx.open.test IN A ? edns,flags", "NXDOMAIN"},
	{"www.open.test TXT +norec +dnssec +cd", "udp www.open.test IN TXT ? cd,edns,do,flags", "NOERROR"},
	{"www.open.test MX +norec +tcp +noedns", "tcp www.open.test IN MX ? flags", "NOERROR"},
	{"www.open.test TYPE65280 +norec +subnet=198.51.100.0/24", "udp www.open.test IN TYPE65280 ? edns,flags ecs=198.51.100.0/24", "NOERROR"},
	{`a\032b\.c.open.test TXT +norec +noedns`, `udp a\032b\.c.open.test IN TXT ? flags`, "NOERROR"},
	{"version.bind TXT -c CH +norec +noedns", "udp version.bind CH TXT ? flags", "NOERROR"},
	{"www.elsewhere.test A +norec +noedns", "udp www.elsewhere.test IN A REFUSED response,flags", "REFUSED"},
	{"open.test AXFR +noedns", "tcp open.test IN AXFR NOERROR response,flags", "NOERROR"},
	{"closed.test AXFR +noedns", "tcp closed.test IN AXFR REFUSED response,flags", "REFUSED"},
	{"open.test IXFR=0 +noedns", "tcp open.test IN IXFR NOERROR response,flags", "NOERROR"},
}

// TestBindLive asks a real BIND and reads its query logs and its dnstap.
func TestBindLive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a name server")
	}
	named, dig := program(t, "named"), program(t, "dig")
	dir := t.TempDir()
	port := freePort(t)
	tap := listenTap(t, filepath.Join(dir, "tap.sock"))
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(liveZone), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(port)).Replace(liveConfig)
	if err := os.WriteFile(filepath.Join(dir, "named.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := startNamed(t, named, dir)
	var want, wantTap []string
	for _, ask := range liveAsks {
		args := append([]string{"@127.0.0.1", "-p", fmt.Sprint(port), "+tries=1", "+time=5"}, strings.Fields(ask.dig)...)
		if out, err := exec.Command(dig, args...).CombinedOutput(); err != nil && !strings.Contains(ask.want, "REFUSED") {
			t.Fatalf("dig %s: %v\n%s", ask.dig, err, out)
		}
		want = append(want, "127.0.0.1>127.0.0.1 "+ask.want)
		wantTap = append(wantTap, ask.rcode)
	}
	stop()

	zone := time.Local //nolint:gosmopolitan // named writes its own local time
	for _, file := range []string{"local", "iso", "utc", "severity"} {
		text, err := os.ReadFile(filepath.Join(dir, file+".log"))
		if err != nil {
			t.Fatal(err)
		}
		if n := DetectBindLog(text); n < 90 {
			t.Errorf("%s.log: detected with %d", file, n)
		}
		got, acct := decodeText(t, BindLog, string(text), decode.Options{Location: zone})
		compare(t, portless(t, got), want)
		if len(acct.rejected) > 0 || acct.total() != strings.Count(string(text), "\n") {
			t.Errorf("%s.log: rejected %v, skipped %v\n%s", file, acct.rejected, acct.skipped, text)
		}
	}
	checkTap(t, tap(), want, wantTap)
}

// checkTap holds the queries of dnstap against those of the log.
func checkTap(t *testing.T, got []string, want, rcodes []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("dnstap: %d queries, want %d\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, g := range portless(t, got) {
		gw, ww := strings.Fields(g), strings.Fields(want[i])
		if !slices.Equal(gw[:5], ww[:5]) {
			t.Errorf("dnstap: %s, want %s", g, want[i])
		}
		if rcode := gw[5]; rcode != "?" && rcode != rcodes[i] || rcode == "?" && rcodes[i] != "" && ww[4] != "AXFR" && ww[4] != "IXFR" {
			t.Errorf("dnstap: %s, want rcode %s", g, rcodes[i])
		}
	}
}

// portless cuts off the time, after a look at it, and the client's port.
func portless(t *testing.T, list []string) (out []string) {
	t.Helper()
	for _, s := range list {
		stamp, rest, _ := strings.Cut(s, " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || time.Since(at) > time.Minute || time.Since(at) < -time.Second {
			t.Errorf("time %s is not now", stamp)
		}
		from, to := strings.IndexByte(rest, ':'), strings.IndexByte(rest, '>')
		out = append(out, rest[:from]+rest[to:])
	}
	return out
}

// program finds a program; without it the test is skipped, but in CI it fails.
func program(t *testing.T, name string) string {
	t.Helper()
	path := pickettest.FindProgram(name)
	if path == "" {
		pickettest.Unavailable(t, name+" is not installed")
	}
	return path
}

// freePort returns a port free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	_, port := pickettest.FreeAddr(t)
	return port
}

// startNamed runs named until it serves; stop ends it and waits.
func startNamed(t *testing.T, named, dir string) (stop func()) {
	t.Helper()
	cmd := exec.Command(named, "-f", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	cmd.Env = append(os.Environ(), "TZ=")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := make(chan bool, 1)
	ended := make(chan string, 1)
	go func() {
		var log strings.Builder
		for s := bufio.NewScanner(out); s.Scan(); {
			log.WriteString(s.Text() + "\n")
			if strings.HasSuffix(s.Text(), "running") {
				running <- true
			}
		}
		ended <- log.String()
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		log := <-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("named: %v\n%s", err, log)
		}
	}
	t.Cleanup(stop)
	select {
	case <-running:
	case log := <-ended:
		stopped = true
		_ = cmd.Wait()
		t.Fatalf("named ended:\n%s", log)
	case <-time.After(30 * time.Second):
		t.Fatal("named does not start")
	}
	return stop
}

// listenTap takes one dnstap connection; the function returned waits for its end.
func listenTap(t *testing.T, path string) (queries func() []string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var got []string
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = conn.Close() }()
		done <- Dnstap(context.Background(), conn, decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
			if q.Sensor != "live" {
				return fmt.Errorf("sensor %q", q.Sensor)
			}
			got = append(got, brief(q))
			return nil
		}))
	}()
	return func() []string {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("dnstap: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the dnstap connection does not end")
		}
		return got
	}
}
