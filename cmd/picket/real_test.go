package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/pickettest"
)

// The tests of this file run other people's name servers and reconnaissance tools.
// All of it happens in a network namespace of its own, which has nothing but a
// loopback interface: port 53 is free in it, and no packet can leave it. Picket
// itself stays outside and is reached through unix sockets and files.

// realLab is such a namespace with servers in it.
type realLab struct {
	t   *testing.T
	ns  string
	dir string
}

// need skips the test when a Debian package is not there; in CI it fails.
func need(t *testing.T, packages map[string]string) {
	t.Helper()
	for cmd, pkg := range packages {
		pickettest.Program(t, cmd, pkg)
	}
}

func newRealLab(t *testing.T, dir string) *realLab {
	t.Helper()
	need(t, map[string]string{"ip": "iproute2"})
	l := &realLab{t: t, ns: fmt.Sprintf("picket-test-%d", os.Getpid()), dir: dir}
	ip := pickettest.FindProgram("ip")
	if out, err := exec.Command(ip, "netns", "add", l.ns).CombinedOutput(); err != nil {
		pickettest.Unavailable(t, fmt.Sprintf("cannot make a network namespace (root is needed): %v: %s", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command(ip, "netns", "del", l.ns).CombinedOutput(); err != nil {
			t.Errorf("remove the network namespace: %v: %s", err, out)
		}
	})
	l.run("ip", "link", "set", "lo", "up")
	return l
}

// command prepares a command in the namespace.
func (l *realLab) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	l.t.Helper()
	path := pickettest.FindProgram(name)
	if path == "" {
		l.t.Fatalf("%s is not installed", name)
	}
	cmd := exec.CommandContext(ctx, pickettest.FindProgram("ip"), append([]string{"netns", "exec", l.ns, path}, args...)...)
	cmd.Dir = l.dir
	return cmd
}

// run runs a command in the namespace and returns what it prints.
func (l *realLab) run(name string, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 90*time.Second)
	defer cancel()
	out, err := l.command(ctx, name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// serve starts a server in the namespace and ends it with the test.
func (l *realLab) serve(name string, args ...string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := l.command(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	log := new(pickettest.Output)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if l.t.Failed() {
			l.t.Logf("%s said:\n%s", name, log)
		}
	})
}

// answers waits until a server answers for a zone.
func (l *realLab) answers(server, zone string) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		out, err := l.command(ctx, "dig", "+short", "+tries=1", "+time=1", "@"+server, zone, "SOA").CombinedOutput()
		cancel()
		if err == nil && len(out) > 0 && !strings.Contains(string(out), ";;") {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s does not answer for %s: %v %s", server, zone, err, out)
		}
	}
}

func (l *realLab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// Zones: one for each tool, since all of them ask from the same address.
const (
	bindServer, nsdServer = "127.0.0.1", "127.0.0.2"

	zoneTransferred = "transfer.example" // dig AXFR
	zoneGuessed     = "guess.example"    // dnsrecon -t brt
	zoneFierce      = "fierce.example"   // fierce
	zoneMapped      = "mapped.example"   // nmap dns-brute
	zoneSigned      = "signed.example"   // ldns-walk
)

// zoneText is a zone of some twenty hosts.
func zoneText(origin string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n$TTL 300\n@ IN SOA ns1 hostmaster 1 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A %s\n@ IN MX 10 mail\n", origin, bindServer)
	for i, host := range strings.Fields("alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mail november oscar papa quebec romeo sierra www") {
		fmt.Fprintf(&b, "%s IN A 192.0.2.%d\n", host, i+10)
	}
	return b.String()
}

// zones writes the zone files, one of them signed, and returns their names.
func (l *realLab) zones() []string {
	list := []string{zoneTransferred, zoneGuessed, zoneFierce, zoneMapped, zoneSigned}
	for _, z := range list {
		l.write(z+".zone", zoneText(z))
	}
	key := strings.TrimSpace(l.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zoneSigned))
	zsk := strings.TrimSpace(l.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zoneSigned))
	l.run("dnssec-signzone", "-q", "-S", "-o", zoneSigned, "-f", zoneSigned+".signed", zoneSigned+".zone")
	for _, k := range []string{key, zsk} {
		if _, err := os.Stat(filepath.Join(l.dir, k+".key")); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(l.dir, zoneSigned+".signed"), filepath.Join(l.dir, zoneSigned+".zone")); err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *realLab) startBIND(zones []string) {
	var b strings.Builder
	fmt.Fprintf(&b, `options {
	directory %q; pid-file none; session-keyfile none;
	listen-on { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; allow-transfer { none; };
	dnstap { auth; }; dnstap-output unix "bind.sock"; querylog yes;
};
controls { };
logging {
	channel q { file "queries.log"; print-time yes; print-category yes; print-severity yes; severity info; };
	category queries { q; };
	category default { default_stderr; };
};
`, l.dir, bindServer)
	for _, z := range zones {
		transfer := "none"
		if z == zoneTransferred {
			transfer = "any"
		}
		fmt.Fprintf(&b, "zone %q { type primary; file %q; allow-transfer { %s; }; };\n", z, z+".zone", transfer)
	}
	l.write("named.conf", b.String())
	l.serve("named", "-f", "-n", "1", "-c", "named.conf")
	l.answers(bindServer, zones[0])
}

func (l *realLab) startNSD(zones []string) {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	ip-address: %s
	username: ""
	zonesdir: %q
	database: ""
	pidfile: %q
	xfrdfile: %q
	zonelistfile: %q
	xfrdir: %q
remote-control:
	control-enable: no
dnstap:
	dnstap-enable: yes
	dnstap-socket-path: %q
	dnstap-log-auth-query-messages: yes
	dnstap-log-auth-response-messages: yes
`, nsdServer, l.dir, l.dir+"/nsd.pid", l.dir+"/xfrd.state", l.dir+"/zone.list", l.dir, l.dir+"/nsd.sock")
	for _, z := range zones {
		fmt.Fprintf(&b, "zone:\n\tname: %s\n\tzonefile: %s.zone\n", z, z)
	}
	l.write("nsd.conf", b.String())
	l.serve("nsd", "-d", "-c", filepath.Join(l.dir, "nsd.conf"))
	l.answers(nsdServer, zones[0])
}

// TestReal has real tools ask real servers whose telemetry goes into a daemon,
// and wants the findings of the right detectors.
func TestReal(t *testing.T) {
	need(t, map[string]string{
		"named": "bind9", "dig": "bind9-dnsutils", "dnssec-signzone": "bind9-utils", "nsd": "nsd",
		"ldns-walk": "ldnsutils", "dnsrecon": "dnsrecon", "fierce": "fierce", "nmap": "nmap",
	})
	dir := shortDir(t)
	l := newRealLab(t, dir)
	zones := l.zones()
	yaml := ""
	for _, z := range zones {
		yaml += fmt.Sprintf("  - {file: %s/%s.zone, origin: %s}\n", dir, z, z)
	}

	// One daemon takes dnstap of both servers, another one BIND's query log.
	taps := newChild(t, "zones:\n"+yaml+fmt.Sprintf("inputs:\n  - {name: bind, unix: %s/bind.sock}\n  - {name: nsd, unix: %s/nsd.sock}\n", dir, dir))
	logs := newChild(t, "zones:\n"+yaml+fmt.Sprintf("inputs:\n  - {name: log, file: %s/queries.log, timezone: Local}\n", dir))
	taps.start()
	logs.start()
	l.startBIND(zones)
	l.startNSD(zones)

	t.Run("dig AXFR", func(t *testing.T) {
		if out := l.run("dig", "@"+bindServer, zoneTransferred, "AXFR"); !strings.Contains(out, "quebec."+zoneTransferred) {
			t.Fatalf("the transfer did not succeed:\n%s", out)
		}
		wantFinding(t, taps, "zone-transfer", zoneTransferred)
		wantFinding(t, logs, "zone-transfer", zoneTransferred)
	})
	t.Run("dig CH version.bind", func(t *testing.T) {
		for _, name := range []string{"version.bind", "authors.bind", "hostname.bind", "id.server"} {
			l.run("dig", "@"+bindServer, "CH", "TXT", name)
		}
		wantFinding(t, taps, "server-fingerprint", "")
		wantFinding(t, logs, "server-fingerprint", "")
	})
	t.Run("dnsrecon", func(t *testing.T) {
		l.run("dnsrecon", "-d", zoneGuessed, "-n", bindServer, "-t", "brt", "-D", "/usr/share/dnsrecon/namelist.txt")
		wantFinding(t, taps, "brute-force", zoneGuessed)
		wantFinding(t, logs, "brute-force", zoneGuessed)
	})
	t.Run("fierce", func(t *testing.T) {
		l.run("fierce", "--domain", zoneFierce, "--dns-servers", bindServer)
		wantFinding(t, taps, "brute-force", zoneFierce)
		wantFinding(t, logs, "brute-force", zoneFierce)
	})
	t.Run("nmap dns-brute", func(t *testing.T) {
		l.run("nmap", "-sn", "-Pn", "-n", "--dns-servers", nsdServer, "--script", "dns-brute", "--script-args", "dns-brute.domain="+zoneMapped)
		wantFinding(t, taps, "brute-force", zoneMapped)
	})
	t.Run("ldns-walk", func(t *testing.T) {
		if out := l.run("ldns-walk", "@"+nsdServer, zoneSigned); !strings.Contains(out, "quebec."+zoneSigned) {
			t.Fatalf("the walk did not succeed:\n%s", out)
		}
		wantFinding(t, taps, "nsec-walk", zoneSigned)
	})
	for _, c := range []*child{taps, logs} {
		if text, err := c.get("/api/watched"); err != nil || strings.Contains(text, `"error":"`) {
			t.Errorf("an input has failed: %v %s", err, text)
		}
		c.stop()
	}
}

// wantFinding waits for a finding of a detector about a zone, from the namespace's
// loopback address. An empty zone is any.
func wantFinding(t *testing.T, c *child, detector, zone string) {
	t.Helper()
	q := url.Values{"detector": {detector}, "min_severity": {"low"}}
	if zone != "" {
		q.Set("zone", zone+".")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		list, err := c.findings(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if ip, _, err := net.ParseCIDR(f.Source.Prefix); err == nil && ip.IsLoopback() {
				t.Logf("%s: %s after %d queries: %s", detector, f.Severity, f.DetectedAtQuery, f.Summary)
				return
			}
		}
		if time.Now().After(end) {
			watched, _ := c.get("/api/watched")
			t.Fatalf("no %s about %q\nwatched: %s\nlog: %s", detector, zone, watched, c.log)
		}
	}
}
