package pickettest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// NameServer is a name server of somebody else's that a test has started, on
// loopback. It ends with the test.
type NameServer struct {
	Dir  string // what it keeps, and the file "zone"
	Addr string // where it answers, over UDP and TCP

	t    testing.TB
	cmd  *exec.Cmd
	log  *Output
	text func(serial int) string // of its zone
}

// RunNameServer starts a server in a folder, and waits until it answers at addr for
// the zone's SOA.
func RunNameServer(t testing.TB, zone, dir, addr, path string, args ...string) *NameServer {
	t.Helper()
	s := &NameServer{Dir: dir, Addr: addr, t: t, cmd: exec.Command(path, args...), log: new(Output)}
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
			t.Logf("%s said:\n%s", path, s.log)
		}
	})
	q := new(dns.Msg)
	q.SetQuestion(zone, dns.TypeSOA)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if a, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, addr); err == nil && a.Rcode == dns.RcodeSuccess && len(a.Answer) == 1 {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", path)
		}
	}
}

// Edit brings the zone to a serial, and has the server read it again.
func (s *NameServer) Edit(serial int) {
	s.t.Helper()
	s.write(serial)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// write writes the zone's file.
func (s *NameServer) write(serial int) {
	s.t.Helper()
	path := filepath.Join(s.Dir, "zone")
	writeFile(s.t, path, s.text(serial))
	// Servers tell by whole seconds whether a file is newer.
	later := time.Now().Add(time.Duration(serial) * 2 * time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		s.t.Fatal(err)
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Certificate writes a server's certificate for 127.0.0.1, its key, and the
// certificate of the authority that is made for it: cert.pem, key.pem and ca.pem.
func Certificate(t testing.TB, dir string) *x509.CertPool {
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
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}, "ca.pem": {Type: "CERTIFICATE", Bytes: caDER}} {
		writeFile(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
	}
	caCert, err := x509.ParseCertificate(caDER)
	check(err)
	roots := x509.NewCertPool()
	roots.AddCert(caCert)
	return roots
}
