package transfer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/transfer"
)

// The tests of this file run other people's name servers on loopback ports.

const (
	testZone   = "moving.example."
	testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgaXM="
)

func testKey(t *testing.T, name, algorithm, secret string) *transfer.Key {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	k, err := transfer.NewKey(name, algorithm, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// zoneText is the zone at a serial. One host moves with each.
func zoneText(serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 300\n@ IN SOA ns1 hostmaster %d 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A 127.0.0.1\nWWW IN A 192.0.2.%d\n", testZone, serial, serial)
	b.WriteString("@ MX 10 mail.other.example.\ntext TXT \"one; two\" \"three\\200\"\n_sip._tcp SRV 1 2 5060 www\nsvc HTTPS 1 . alpn=h2\nodd TYPE65280 \\# 2 abcd\n*.wild AAAA 2001:db8::1\n")
	for i := range 400 { // more than one message
		fmt.Fprintf(&b, "host-with-a-long-name-so-that-messages-fill-%d IN TXT \"%s\"\n", i, strings.Repeat("x", 200))
	}
	return b.String()
}

// server is a name server that a test has started.
type server struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
	log  *buffer
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// program finds a name server, or skips the test; in CI it fails.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, p := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	why := fmt.Sprintf("%s is not installed; it is in the Debian package %s", name, pkg)
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("skipped: " + why)
	return ""
}

// freeAddr is a loopback address whose port is free for UDP and TCP.
func freeAddr(t *testing.T) (string, string) {
	t.Helper()
	for range 50 {
		c, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := c.Addr().String()
		p, err := net.ListenPacket("udp", addr)
		c.Close()
		if err == nil {
			p.Close()
			_, port, _ := net.SplitHostPort(addr)
			return addr, port
		}
	}
	t.Fatal("no free port")
	return "", ""
}

// serve starts a server, and waits until it answers for the zone.
func serve(t *testing.T, dir, addr, path string, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, addr: addr, cmd: exec.Command(path, args...), log: new(buffer)}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = s.cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", path, s.log.b.String())
		}
	})
	q := new(dns.Msg)
	q.SetQuestion(testZone, dns.TypeSOA)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if a, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, addr); err == nil && a.Rcode == dns.RcodeSuccess && len(a.Answer) == 1 {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", path)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edit brings the zone to a serial, and has the server read it again.
func (s *server) edit(serial int) {
	s.t.Helper()
	path := filepath.Join(s.dir, "zone")
	writeFile(s.t, path, zoneText(serial))
	// Servers tell by whole seconds whether a file is newer.
	later := time.Now().Add(time.Duration(serial) * 2 * time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// primaries are the servers that zones are transferred from. notify is where they
// send NOTIFY.
func primaries() map[string]func(t *testing.T, notify string) *server {
	return map[string]func(t *testing.T, notify string) *server{"bind": startBIND, "nsd": startNSD, "knot": startKnot}
}

const bindKeys = `key "picket." { algorithm hmac-sha256; secret "` + testSecret + `"; };
`

func startBIND(t *testing.T, notify string) *server {
	path := program(t, "named", "bind9")
	dir := t.TempDir()
	addr, port := freeAddr(t)
	_, notifyPort, _ := net.SplitHostPort(notify)
	writeFile(t, dir+"/zone", zoneText(1))
	writeFile(t, dir+"/named.conf", fmt.Sprintf(bindKeys+`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify explicit; notify-delay 0; allow-transfer { key "picket."; };
};
controls { };
zone %q { type primary; file "zone"; ixfr-from-differences yes; also-notify { 127.0.0.1 port %s key "picket."; }; };
`, dir, dir, port, testZone, notifyPort))
	return serve(t, dir, addr, path, "-g", "-n", "1", "-c", dir+"/named.conf")
}

func startNSD(t *testing.T, notify string) *server {
	path := program(t, "nsd", "nsd")
	dir := t.TempDir()
	addr, port := freeAddr(t)
	writeFile(t, dir+"/zone", zoneText(1))
	writeFile(t, dir+"/nsd.conf", fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%s
	server-count: 1
	username: ""
	zonesdir: %q
	database: ""
	pidfile: %q
	xfrdfile: %q
	zonelistfile: %q
	xfrdir: %q
	verbosity: 2
remote-control:
	control-enable: no
key:
	name: "picket"
	algorithm: hmac-sha256
	secret: %q
zone:
	name: %q
	zonefile: zone
	provide-xfr: 127.0.0.1 picket
	notify: 127.0.0.1@%s picket
	store-ixfr: yes
	create-ixfr: yes
`, port, dir, dir+"/nsd.pid", dir+"/xfrd.state", dir+"/zone.list", dir, testSecret, testZone, notify[strings.LastIndexByte(notify, ':')+1:]))
	return serve(t, dir, addr, path, "-d", "-c", dir+"/nsd.conf")
}

func startKnot(t *testing.T, notify string) *server {
	path := program(t, "knotd", "knot")
	dir := t.TempDir()
	addr, port := freeAddr(t)
	writeFile(t, dir+"/zone", zoneText(1))
	writeFile(t, dir+"/knot.conf", fmt.Sprintf(`server:
    rundir: %[1]s
    listen: 127.0.0.1@%[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %[1]s
control:
    listen: %[1]s/control.sock
key:
  - id: picket
    algorithm: hmac-sha256
    secret: %[3]s
remote:
  - id: watcher
    address: 127.0.0.1@%[4]s
    key: picket
acl:
  - id: signed
    key: picket
    action: transfer
template:
  - id: default
    storage: %[1]s
zone:
  - domain: %[5]s
    file: zone
    zonefile-sync: -1
    zonefile-load: difference
    acl: signed
    notify: watcher
`, dir, port, testSecret, notify[strings.LastIndexByte(notify, ':')+1:], testZone))
	return serve(t, dir, addr, path, "-c", dir+"/knot.conf")
}

// told collects what a listener reports.
type told struct {
	notices  chan transfer.Notice
	refusals chan transfer.Refusal
}

func listen(t *testing.T, key *transfer.Key) (*told, string) {
	t.Helper()
	r := &told{make(chan transfer.Notice, 100), make(chan transfer.Refusal, 100)}
	l := &transfer.Listener{Zones: []transfer.NotifyZone{{Name: testZone, Key: key, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
		Notified: func(n transfer.Notice) { r.notices <- n }, Refused: func(x transfer.Refusal) { r.refusals <- x }}
	ctx, cancel := context.WithCancel(context.Background())
	addr, done, err := l.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-done })
	return r, addr.String()
}

// fromFile is what a zone file's decoder makes of the zone at a serial.
func fromFile(t *testing.T, serial int) []string {
	t.Helper()
	var c record.Collector
	if err := record.ZoneFile(t.Context(), strings.NewReader(zoneText(serial)), decodeOptions(), ignoreAccount{}, &c); err != nil {
		t.Fatal(err)
	}
	return lines(c.Records)
}

func lines(list []picket.Record) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = fmt.Sprintf("%s %s %d %s %s %s", r.Zone, r.Name, r.TTL, r.Class, r.Type, r.Data)
	}
	slices.Sort(out)
	return out
}

// TestRealPrimaries: the zone comes whole, equal to what its file says; an edit is
// notified, signed, and what it changed is here within two seconds.
func TestRealPrimaries(t *testing.T) {
	for name, start := range primaries() {
		t.Run(name, func(t *testing.T) {
			key := testKey(t, "picket", "hmac-sha256", testSecret)
			r, notify := listen(t, key)
			s := start(t, notify)
			c := &transfer.Client{Primary: s.addr, Key: key, Form: record.FromWire}
			got, err := c.Transfer(t.Context(), testZone, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			if got.Full == nil || got.SOA.Serial != 1 || got.Full.Serial != 1 || got.Full.Records[0].Type != "SOA" {
				t.Fatalf("the first transfer is not whole: serial %d", got.SOA.Serial)
			}
			if file, wire := fromFile(t, 1), lines(got.Full.Records); !slices.Equal(file, wire) {
				t.Errorf("file and transfer differ:\n%s\n%s", missing(file, wire), missing(wire, file))
			}
			if soa, err := c.SOA(t.Context(), testZone); err != nil || soa != (transfer.SOA{Serial: 1, Refresh: time.Hour, Retry: 15 * time.Minute}) {
				t.Errorf("SOA: %v %v", soa, err)
			}
			if got, err := c.Transfer(t.Context(), testZone, 1, true); err != nil || got.SOA.Serial != 1 || got.Full != nil || len(got.Steps) > 0 {
				t.Errorf("nothing new: %+v %v", got, err)
			}
			s.edit(2)
			for {
				var n transfer.Notice
				select {
				case n = <-r.notices:
				case x := <-r.refusals:
					t.Fatalf("refused: %+v", x)
				case <-time.After(30 * time.Second):
					t.Fatal("no NOTIFY came")
				}
				begun := time.Now()
				got, err := c.Transfer(t.Context(), testZone, 1, true)
				if err != nil {
					t.Fatal(err)
				}
				if got.SOA.Serial == 1 { // the NOTIFY of the start
					continue
				}
				if n.Zone != testZone || time.Since(begun) > 2*time.Second {
					t.Errorf("NOTIFY of %s, transferred in %s", n.Zone, time.Since(begun))
				}
				wantEdit(t, got)
				break
			}
		})
	}
}

// wantEdit: from serial 1 to 2 one host moved, and the SOA changed with it.
func wantEdit(t *testing.T, got *transfer.Result) {
	t.Helper()
	if got.SOA.Serial != 2 {
		t.Fatalf("serial %d", got.SOA.Serial)
	}
	if got.Full != nil { // a server may send the whole zone instead
		t.Log("the server answered IXFR with the whole zone")
		if file, wire := fromFile(t, 2), lines(got.Full.Records); !slices.Equal(file, wire) {
			t.Errorf("file and transfer differ:\n%s\n%s", missing(file, wire), missing(wire, file))
		}
		return
	}
	soa := testZone + " " + testZone + " 300 IN SOA ns1." + testZone + " hostmaster." + testZone
	www := testZone + " www." + testZone + " 300 IN A 192.0.2."
	before := fromFile(t, 1)
	for i := range got.Steps { // NSD 4.6 adds again some of what is there already: names in the data that lie outside the zone
		got.Steps[i].Added = slices.DeleteFunc(got.Steps[i].Added, func(r picket.Record) bool {
			return r.Type == "MX" && slices.Contains(before, lines([]picket.Record{r})[0])
		})
	}
	if len(got.Steps) != 1 || got.Steps[0].From != 1 || got.Steps[0].To != 2 ||
		!slices.Equal(lines(got.Steps[0].Removed), []string{soa + " 1 3600 900 1209600 300", www + "1"}) ||
		!slices.Equal(lines(got.Steps[0].Added), []string{soa + " 2 3600 900 1209600 300", www + "2"}) {
		t.Errorf("steps %+v", got.Steps)
	}
}

// missing are the lines of a that b has not.
func missing(a, b []string) string {
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// TestRealWrongKey: each server refuses what is signed wrongly, and the error names
// the key and what is wrong with it.
func TestRealWrongKey(t *testing.T) {
	for name, start := range primaries() {
		t.Run(name, func(t *testing.T) {
			_, notify := listen(t, nil)
			s := start(t, notify)
			for _, x := range []struct {
				key  *transfer.Key
				want []string // of which one
			}{
				{testKey(t, "picket", "hmac-sha256", "b3RoZXIgc2VjcmV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="), []string{"BADSIG): key picket. has another secret there"}},
				{testKey(t, "stranger", "hmac-sha256", testSecret), []string{"BADKEY): it does not know key stranger.,"}},
				{nil, []string{"REFUSED: it may want a TSIG key", "NOTAUTH"}},
			} {
				c := &transfer.Client{Primary: s.addr, Key: x.key, Form: record.FromWire}
				_, err := c.Transfer(t.Context(), testZone, 0, false)
				var said *transfer.ServerError
				if !errors.As(err, &said) || !slices.ContainsFunc(x.want, func(w string) bool { return strings.Contains(err.Error(), w) }) {
					t.Errorf("key %v: %v", x.key, err)
				}
			}
		})
	}
}

// TestRealTLS transfers over TLS (RFC 9103), and refuses a certificate of a
// stranger.
func TestRealTLS(t *testing.T) {
	path := program(t, "named", "bind9")
	dir := t.TempDir()
	addr, port := freeAddr(t)
	tlsAddr, tlsPort := freeAddr(t)
	roots := certificate(t, dir)
	writeFile(t, dir+"/zone", zoneText(1))
	writeFile(t, dir+"/named.conf", fmt.Sprintf(bindKeys+`tls own { cert-file "%[1]s/cert.pem"; key-file "%[1]s/key.pem"; protocols { TLSv1.3; }; };
options {
	directory "%[1]s"; pid-file none; session-keyfile none; managed-keys-directory "%[1]s";
	listen-on port %[2]s { 127.0.0.1; }; listen-on port %[3]s tls own { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-transfer port %[3]s transport tls { key "picket."; };
};
controls { };
zone "%[4]s" { type primary; file "zone"; };
`, dir, port, tlsPort, testZone))
	serve(t, dir, addr, path, "-g", "-n", "1", "-c", dir+"/named.conf")
	key := testKey(t, "picket", "hmac-sha256", testSecret)
	c := &transfer.Client{Primary: tlsAddr, Key: key, Form: record.FromWire, TLS: &tls.Config{RootCAs: roots}}
	got, err := c.Transfer(t.Context(), testZone, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if got.Full == nil || !slices.Equal(fromFile(t, 1), lines(got.Full.Records)) {
		t.Errorf("file and transfer over TLS differ: %d records", len(got.Full.Records))
	}
	if _, err := (&transfer.Client{Primary: addr, Key: key, Form: record.FromWire}).Transfer(t.Context(), testZone, 0, false); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("without TLS: %v", err)
	}
	c.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if _, err := c.Transfer(t.Context(), testZone, 0, false); err == nil || !strings.Contains(err.Error(), "TLS: tls: failed to verify certificate") {
		t.Errorf("with another authority: %v", err)
	}
	c.TLS = &tls.Config{RootCAs: roots, ServerName: "elsewhere.example"}
	if _, err := c.Transfer(t.Context(), testZone, 0, false); err == nil || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Errorf("with another name: %v", err)
	}
}

// certificate writes a server's certificate for 127.0.0.1 of an authority made for it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "primary"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	writeFile(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	caCert, err := x509.ParseCertificate(caDER)
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(caCert)
	return roots
}

// TestRealLag: a secondary that nobody notifies stays two serials behind.
func TestRealLag(t *testing.T) {
	path := program(t, "named", "bind9")
	key := testKey(t, "picket", "hmac-sha256", testSecret)
	_, notify := listen(t, key)
	primary := startBIND(t, notify)
	dir := t.TempDir()
	addr, port := freeAddr(t)
	_, primaryPort, _ := net.SplitHostPort(primary.addr)
	writeFile(t, dir+"/named.conf", fmt.Sprintf(bindKeys+`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; allow-notify { none; };
};
controls { };
zone %q { type secondary; file "copy"; primaries { 127.0.0.1 port %s key "picket."; }; };
`, dir, dir, port, testZone, primaryPort))
	serve(t, dir, addr, path, "-g", "-n", "1", "-c", dir+"/named.conf")

	c := &transfer.Client{Primary: primary.addr, Key: key, Form: record.FromWire}
	versions := []picket.ZoneVersion{{Zone: testZone, HasSerial: true, Serial: 1, Time: time.Unix(1000, 0)}}
	for serial := 2; serial <= 3; serial++ {
		primary.edit(serial)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			soa, err := c.SOA(t.Context(), testZone)
			if err == nil && soa.Serial == uint32(serial) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the primary does not come to serial %d: %v %v", serial, soa, err)
			}
		}
		versions = append([]picket.ZoneVersion{{Zone: testZone, HasSerial: true, Serial: uint32(serial), Time: time.Unix(1000*int64(serial), 0)}}, versions...)
	}
	serial, err := transfer.Serial(t.Context(), netip.MustParseAddrPort(addr), testZone)
	if err != nil {
		t.Fatal(err)
	}
	want := picket.ServerLag{Zone: testZone, Serial: 1, Newest: 3, Behind: 2, Since: time.Unix(2000, 0)}
	if lag := transfer.Lag(testZone, versions, 3, true, serial); lag != want {
		t.Errorf("the secondary: %+v, want %+v", lag, want)
	}
	if lag := transfer.Lag(testZone, versions, 3, true, 3); lag.Behind != 0 || lag.Newest != 3 {
		t.Errorf("the primary: %+v", lag)
	}
}
