package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a certificate for 127.0.0.1 that is its own authority, and its
// key, and returns their paths.
func certify(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), os.O_CREATE|os.O_TRUNC)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), os.O_CREATE|os.O_TRUNC)
	return certFile, keyFile
}

// clientTLS trusts caFile and shows a certificate, if it is given one.
func clientTLS(t *testing.T, caFile, certFile, keyFile string) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(b)
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

func TestSyslogTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, "server")
	clientCert, clientKey := certify(t, dir, "client")
	cfg, err := LoadServerTLS(cert, key, clientCert)
	if err != nil {
		t.Fatal(err)
	}
	var lost drops
	s, err := NewSyslog(context.Background(), SyslogConfig{TLS: "127.0.0.1:0", TLSConfig: cfg, Dropped: lost.add})
	if err != nil {
		t.Fatal(err)
	}
	c := collect(s)
	addr := s.TLSAddr().String()
	w, err := tls.Dial("tcp", addr, clientTLS(t, cert, clientCert, clientKey))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(w, "18 <158>1 - - - - - -5 again")
	c.want(t, "<158>1 - - - - - -", "again")
	_ = w.Close()

	// A client without a certificate, and one that speaks no TLS.
	if w, err := tls.Dial("tcp", addr, clientTLS(t, cert, "", "")); err == nil {
		if _, err := w.Read(make([]byte, 1)); err == nil {
			t.Error("served without a certificate")
		}
		_ = w.Close()
	}
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(plain, "<158>Sep 20 15:50:26 ns1 named: one\n")
	_, _ = io.ReadAll(plain)
	_ = plain.Close()
	for range 1000 {
		if lost.get(DroppedTLS) == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if lost.get(DroppedTLS) != 2 {
		t.Errorf("dropped %v", lost.n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-c.done; err != nil {
		t.Error(err)
	}
}

func TestListenerIdle(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := Listen(ctx, ListenConfig{Network: "tcp", Address: "127.0.0.1:0", Idle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 2)
	served := make(chan error, 1)
	go func() {
		served <- l.Serve(ctx, func(_ context.Context, conn io.ReadWriteCloser) {
			_ = conn.(net.Conn).SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			b := make([]byte, 1)
			_, err := conn.Read(b)
			read <- err // the reader's own deadline
			_ = conn.(net.Conn).SetReadDeadline(time.Time{})
			_, err = conn.Read(b)
			read <- err
		})
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("own deadline: %v", err)
	}
	if err := <-read; err != io.EOF {
		t.Errorf("idle: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestPushTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, "server")
	cfg, err := LoadServerTLS(cert, key, cert)
	if err != nil {
		t.Fatal(err)
	}
	url := startPush(t, PushConfig{TLS: cfg}, func(_ context.Context, d *Delivery) error {
		_, err := io.Copy(io.Discard, d.Body)
		return err
	})
	tr := &http.Transport{TLSClientConfig: clientTLS(t, cert, cert, key), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Post(url, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}

func TestLoadServerTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, "server")
	_, other := certify(t, dir, "other")
	for want, files := range map[string][3]string{
		"needs a certificate and a key": {},
		"no such file":                  {cert, filepath.Join(dir, "none")},
		"with key":                      {cert, other},
		"no certificate in PEM":         {cert, key, key},
	} {
		if _, err := LoadServerTLS(files[0], files[1], files[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	c := &certificate{certFile: cert, keyFile: key}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	first := c.get(time.Now())
	write(t, cert, "broken", os.O_TRUNC)
	later := time.Now().Add(2 * time.Minute)
	if c.get(later) != first {
		t.Error("a broken certificate replaced a good one")
	}
	certify(t, dir, "server")
	if c.get(later) != first {
		t.Error("files are looked at all the time")
	}
	if c.get(later.Add(2*time.Minute)) == first {
		t.Error("a renewed certificate is not taken")
	}
}
