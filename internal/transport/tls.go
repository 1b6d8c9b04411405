package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// tlsHandshake bounds how long a connection may take to begin with TLS.
const tlsHandshake = 10 * time.Second

// LoadServerTLS returns how to serve TLS 1.2 and later with a certificate and its
// key, PEM files both. The certificate may be followed by intermediate ones. With
// clientCAFile, PEM too, clients must show a certificate that one of those issued.
//
// The certificate is read again, at most once a minute, when its file has changed;
// while the new one is not good the old one stays.
func LoadServerTLS(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(time.Now()), nil },
	}
	if clientCAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(clientCAFile)
	if err != nil {
		return nil, fmt.Errorf("TLS client CA: %w", err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("TLS client CA %s: no certificate in PEM form", clientCAFile)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	return cfg, nil
}

// certificate is one that is read from files and changes with them.
type certificate struct {
	certFile, keyFile string

	mu       sync.Mutex
	current  *tls.Certificate
	modified [2]time.Time
	looked   time.Time
}

func (c *certificate) times() (t [2]time.Time, err error) {
	for i, path := range [...]string{c.certFile, c.keyFile} {
		if path == "" {
			return t, errors.New("TLS needs a certificate and a key file")
		}
		st, err := os.Stat(path)
		if err != nil {
			return t, fmt.Errorf("TLS: %w", err)
		}
		t[i] = st.ModTime()
	}
	return t, nil
}

func (c *certificate) load() error {
	t, err := c.times()
	if err != nil || t == c.modified {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("TLS certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current, c.modified = &pair, t
	return nil
}

func (c *certificate) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) > time.Minute {
		c.looked = now
		_ = c.load() // the old one stays
	}
	return c.current
}
