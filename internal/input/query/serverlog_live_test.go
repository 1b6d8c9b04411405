package query

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// liveServer is a real server that writes a log, and what becomes of it when it is
// asked. DIR and PORT stand for themselves in its files and arguments.
type liveServer struct {
	format, program string
	optional        bool // skipped even in CI when it is not installed
	files           map[string]string
	args            []string
	log             string // "" for standard error
	asks, want      []string
}

var liveServers = []liveServer{
	{
		format: "nsd-log", program: "nsd", args: []string{"-d", "-c", "DIR/conf"}, log: "log",
		files: map[string]string{"conf": `server:
  ip-address: 127.0.0.1@PORT
  username: ""
  chroot: ""
  zonesdir: "DIR"
  database: ""
  pidfile: "DIR/pid"
  logfile: "DIR/log"
  log-time-ascii: no
  verbosity: 2
  xfrdfile: "DIR/xfrd.state"
  zonelistfile: "DIR/zone.list"
  xfrdir: "DIR"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: open.test
  zonefile: zone
  provide-xfr: 127.0.0.1 NOKEY
zone:
  name: closed.test
  zonefile: zone
`},
		asks: []string{"www.open.test A", "open.test AXFR", "closed.test AXFR", "closed.test IXFR=0 +notcp", "none.test AXFR"},
		want: []string{"tcp open.test IN AXFR NOERROR response", "tcp closed.test IN AXFR REFUSED response", " closed.test IN IXFR REFUSED response",
			"tcp none.test IN AXFR REFUSED response"},
	},
	{
		format: "knot-log", program: "knotd", args: []string{"-c", "DIR/conf"}, log: "log",
		files: map[string]string{"conf": `server:
  rundir: DIR
  listen: 127.0.0.1@PORT
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: DIR/log
    any: debug
database:
  storage: DIR
control:
  listen: DIR/sock
acl:
  - id: open
    address: 127.0.0.1
    action: [transfer, notify, update]
zone:
  - domain: open.test
    file: DIR/zone
    acl: open
  - domain: closed.test
    file: DIR/zone
`},
		asks: []string{"www.open.test A", "open.test AXFR", "open.test IXFR=0", "open.test IXFR=1", "closed.test AXFR", "closed.test SOA +opcode=notify"},
		want: []string{"tcp open.test IN AXFR NOERROR response", " open.test IN IXFR NOERROR response", " open.test IN IXFR NOERROR response",
			" closed.test IN AXFR NOTAUTH response", " closed.test IN SOA NOTAUTH response opcode=4"},
	},
	{
		format: "powerdns-log", program: "pdns_server", optional: true,
		args: []string{"--no-config", "--config-dir=DIR", "--launch=bind", "--bind-config=DIR/named.conf", "--local-address=127.0.0.1", "--local-port=PORT",
			"--socket-dir=DIR", "--log-dns-queries=yes", "--loglevel=6", "--log-timestamp=yes", "--daemon=no", "--guardian=no", "--disable-syslog=yes",
			"--edns-subnet-processing=yes", "--allow-axfr-ips=192.0.2.1"},
		files: map[string]string{"named.conf": `options { directory "DIR"; };
zone "closed.test" { type master; file "DIR/zone"; };
`},
		asks: []string{"WwW.closed.test A +noedns", "www.closed.test AAAA +dnssec +bufsize=4096", "www.closed.test MX +tcp +noedns", "nx.closed.test TXT +subnet=198.51.100.0/24 +bufsize=1232",
			"version.bind TXT CH +noedns", "closed.test AXFR", "closed.test SOA +opcode=notify +noedns"},
		want: []string{"udp www.closed.test IN A ? mixed", "udp www.closed.test IN AAAA ? edns,do size=4096", "tcp www.closed.test IN MX ?",
			"udp nx.closed.test IN TXT ? edns ecs=198.51.100.0/24 size=1232", "udp version.bind CH TXT ?", "tcp closed.test IN AXFR NOTAUTH response",
			"udp closed.test IN SOA ? opcode=4"},
	},
	{
		format: "unbound-log", program: "unbound", optional: true, args: []string{"-d", "-c", "DIR/conf"}, log: "log",
		files: map[string]string{"conf": `server:
  interface: 127.0.0.1@PORT
  port: PORT
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "DIR"
  pidfile: "DIR/pid"
  use-syslog: no
  logfile: "DIR/log"
  log-queries: yes
  log-replies: yes
  log-local-actions: yes
  module-config: "iterator"
  num-threads: 1
  local-zone: "open.test." static
  local-data: "www.open.test. 300 IN A 192.0.2.1"
  local-zone: "no.test." refuse
remote-control:
  control-enable: no
`},
		asks: []string{"www.open.test A", "NX.open.test TYPE65280 +tcp", `a\032b\.c.open.test A`, "x.no.test A", "version.bind TXT CH"},
		want: []string{" www.open.test IN A NOERROR response", " nx.open.test IN TYPE65280 NXDOMAIN mixed,response", " a?b?c.open.test IN A NXDOMAIN response",
			" x.no.test IN A REFUSED response", " version.bind CH TXT NOERROR response"},
	},
}

// TestServerLogsLive asks real servers and reads their logs.
func TestServerLogsLive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts name servers")
	}
	for i := range liveServers {
		s := &liveServers[i]
		t.Run(s.program, func(t *testing.T) { s.test(t) })
	}
}

func (s *liveServer) test(t *testing.T) {
	t.Helper()
	dig := program(t, "dig")
	if _, err := exec.LookPath("/usr/sbin/" + s.program); err != nil && s.optional {
		t.Skipf("%s is not installed", s.program)
	}
	dir, port := t.TempDir(), fmt.Sprint(freePort(t))
	fill := strings.NewReplacer("DIR", dir, "PORT", port)
	files := map[string]string{"zone": liveZone}
	for name, text := range s.files {
		files[name] = fill.Replace(text)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for _, a := range s.args {
		args = append(args, fill.Replace(a))
	}
	cmd := exec.Command(program(t, s.program), args...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop := func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("%s does not start: %s", s.program, stderr.String())
		}
	}
	time.Sleep(time.Second) // NSD's and PowerDNS's zones come after their sockets
	for _, ask := range s.asks {
		out, err := exec.Command(dig, append([]string{"@127.0.0.1", "-p", port, "+tries=1", "+time=5", "+norec", "+nocookie"}, strings.Fields(ask)...)...).CombinedOutput()
		if err != nil && !bytes.Contains(out, []byte("failed")) {
			t.Logf("dig %s: %v\n%s", ask, err, out) // a refused transfer is one
		}
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	text := stderr.Bytes()
	if s.log != "" {
		var err error
		if text, err = os.ReadFile(filepath.Join(dir, s.log)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range logFormats {
		n := f.detect(text)
		if (n > 0) != (f.name == s.format) {
			t.Errorf("%s: detected with %d", f.name, n)
		}
		if f.name != s.format {
			continue
		}
		got, acct := decodeLog(t, f.decode, string(text), decode.Options{})
		var want []string
		for _, w := range s.want {
			want = append(want, "127.0.0.1> "+w)
		}
		if list := portless(t, got); strings.Join(list, "\n") != strings.Join(want, "\n") || len(acct.rejected) > 0 {
			t.Errorf("got\n%s\nwant\n%s\nrejected %v, skipped %v\n%s", strings.Join(list, "\n"), strings.Join(want, "\n"), acct.rejected, acct.skipped, text)
		}
		if lines := strings.Count(string(text), "\n"); acct.total() != lines {
			t.Errorf("%d outcomes of %d lines", acct.total(), lines)
		}
	}
}

// TestPowerDNSLogRecon reads the log of a real server under reconnaissance tools.
func TestPowerDNSLogRecon(t *testing.T) {
	for name, want := range map[string]struct{ lines, accepted int }{
		"vis-benign-web-muni": {478, 478}, "vis-dig-axfr-refused": {9, 3}, "vis-dnsenum-res": {68, 68}, "vis-dnsrecon-axfr-refused": {13, 11},
		"vis-dnsrecon-brt5000": {9987, 9987}, "vis-dnsrecon-std-res": {120, 120}, "vis-fierce-brute": {1835, 1833}, "vis-fierce-range": {289, 287},
		"vis-fierce-res": {890, 890}, "vis-nmap-dnsbrute-pdns": {343, 343}, "vis-nmap-dnsbrute-res": {112, 112},
	} {
		f, err := os.Open(pickettest.Shared(t, "recon", "logs", name+".pdns.log.gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		got, acct := decodeLog(t, PowerDNSLog, string(text), logOptions())
		if len(got) != want.accepted || acct.total() != want.lines || len(acct.rejected) > 0 {
			t.Errorf("%s: %d queries of %d lines, want %d of %d; rejected %v, skipped %v", name, len(got), acct.total(), want.accepted, want.lines, acct.rejected, acct.skipped)
		}
	}
}
