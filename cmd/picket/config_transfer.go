package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/transfer"
)

// transferConfig says which zones are transferred, and from where.
type transferConfig struct {
	// Primary to transfer from, HOST or HOST:PORT; the port is 53, with tls 853.
	Primary string `yaml:"primary"`
	// Zones to transfer, such as example.com.
	Zones []string `yaml:"zones"`
	// Name of the TSIG key, as the primary has it; may be left out when key_file is a
	// key statement of BIND.
	KeyName string `yaml:"key_name"`
	// hmac-sha256, hmac-sha384 or hmac-sha512. Left out, what key_file says, else
	// hmac-sha256.
	KeyAlgorithm string `yaml:"key_algorithm"`
	// File with the key: its secret in base64, or a key statement as tsig-keygen writes.
	KeyFile string `yaml:"key_file"`
	// Transfer over TLS (RFC 9103); {} is enough where the system trusts the
	// primary's authority.
	TLS *transferTLSConfig `yaml:"tls"`
	// Address to take the primary's NOTIFY on, over UDP and TCP. Left out, the zones
	// are only looked at every refresh.
	Notify string `yaml:"notify"`
	// Prefixes that NOTIFY may come from. Left out, it may come from anywhere when there
	// is a key, which must have signed it, and else from the primary's address.
	NotifyFrom []string `yaml:"notify_from"`
	// How often the serial is asked for without NOTIFY, at least 1m. Left out, what
	// the zone's SOA says.
	Refresh time.Duration `yaml:"refresh"`
	// Most records of one zone.
	MaxRecords int `yaml:"max_records" default:"10000000"`
}

// transferTLSConfig says whom to trust on the way.
type transferTLSConfig struct {
	// File with the authorities of the primary's certificate, PEM; the system's when
	// left out.
	CAFile string `yaml:"ca_file"`
	// Name that the certificate must have; left out, the host of primary.
	ServerName string `yaml:"server_name"`
	// File with a certificate to show, PEM, where the primary wants one.
	CertFile string `yaml:"cert_file"`
	// File with its private key, PEM.
	KeyFile string `yaml:"key_file"`
}

// formatTransfer is what a transfer brings, as inputs are shown.
const formatTransfer = "zone-transfer"

func (t *transferConfig) resolve(abs func(*string)) {
	abs(&t.KeyFile)
	if t.TLS != nil {
		abs(&t.TLS.CAFile)
		abs(&t.TLS.CertFile)
		abs(&t.TLS.KeyFile)
	}
}

// primary is the address with its port.
func (t *transferConfig) primary() string {
	if _, _, err := net.SplitHostPort(t.Primary); err == nil || t.Primary == "" {
		return t.Primary
	}
	if t.TLS != nil {
		return net.JoinHostPort(strings.Trim(t.Primary, "[]"), "853")
	}
	return net.JoinHostPort(strings.Trim(t.Primary, "[]"), "53")
}

func (t *transferConfig) validate(in *inputConfig, at int, p *problems) {
	if t.MaxRecords == 0 {
		t.MaxRecords = transfer.DefaultRecords
	}
	bad := func(format string, args ...any) { p.add(at, "inputs: transfer: "+format, args...) }
	if t.Primary == "" || len(t.Zones) == 0 {
		bad("want primary, such as 192.0.2.53, and zones")
	}
	if in.Format != input.Auto {
		bad("format: what is transferred are records, not %s; leave format out", in.Format)
	}
	if in.TLS != nil {
		bad("tls belongs below transfer; beside it, it is a listener's certificate")
	}
	seen := map[string]bool{}
	for _, z := range t.Zones {
		if _, err := dnsname.Parse(z); err != nil || z == "" {
			bad("zones: %q: want a zone's name, such as example.com", z)
		}
		if seen[apexOf(z)] {
			bad("zones: %s is there twice", z)
		}
		seen[apexOf(z)] = true
	}
	if t.KeyAlgorithm != "" {
		if err := transfer.CheckAlgorithm(t.KeyAlgorithm); err != nil {
			bad("key_algorithm: %v", err)
		}
	}
	if t.KeyFile == "" && (t.KeyName != "" || t.KeyAlgorithm != "") {
		bad("key_name and key_algorithm need key_file, with the secret")
	}
	if t.TLS != nil && (t.TLS.CertFile == "") != (t.TLS.KeyFile == "") {
		bad("tls: cert_file and key_file belong together")
	}
	if t.Notify != "" {
		if err := checkListen(t.Notify); err != nil {
			bad("notify: %q: %v", t.Notify, err)
		}
		if prefixes, err := t.notifyFrom(); err != nil {
			bad("notify_from: %v", err)
		} else if len(prefixes) == 0 && t.KeyFile == "" {
			bad("notify: without key_file, want notify_from, since primary is no address")
		}
	}
	if t.Refresh != 0 && t.Refresh < time.Minute {
		bad("refresh: %s is too short; at least 1m", t.Refresh)
	}
	if t.MaxRecords < 0 {
		bad("max_records: %d is negative", t.MaxRecords)
	}
}

// notifyFrom are the prefixes that NOTIFY may come from; none is anywhere.
func (t *transferConfig) notifyFrom() (list []netip.Prefix, err error) {
	for _, s := range t.NotifyFrom {
		if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		x, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q: want an address or a prefix, such as 192.0.2.0/24", s)
		}
		list = append(list, x.Masked())
	}
	if host, _, err := net.SplitHostPort(t.primary()); err == nil && len(list) == 0 && t.KeyFile == "" {
		if a, err := netip.ParseAddr(host); err == nil {
			list = append(list, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		}
	}
	return list, nil
}

// client is who asks the primary. Its key is nil without one.
func (t *transferConfig) client() (*transfer.Client, error) {
	c := &transfer.Client{Primary: t.primary(), Form: record.FromWire, MaxRecords: t.MaxRecords}
	if t.KeyFile != "" {
		text, err := os.ReadFile(t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("key_file: %w", err)
		}
		if c.Key, err = transfer.ParseKey(text, t.KeyName, t.KeyAlgorithm); err != nil {
			return nil, fmt.Errorf("key_file %s: %w", t.KeyFile, err)
		}
	}
	if t.TLS == nil {
		return c, nil
	}
	c.TLS = &tls.Config{ServerName: t.TLS.ServerName}
	if t.TLS.CAFile != "" {
		text, err := os.ReadFile(t.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: ca_file: %w", err)
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("tls: ca_file: " + t.TLS.CAFile + " holds no certificate in PEM")
		}
	}
	if t.TLS.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.TLS.CertFile, t.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.TLS.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// transfer checks what is to be transferred. The primary is not asked.
func (c *checker) transfer(what string, t *transferConfig) {
	client, err := t.client()
	if err != nil {
		c.fail(what, "transfer: "+err.Error())
		return
	}
	if client.Key == nil {
		c.warn(what, "transfers are not signed; a key_file with a TSIG key makes them so")
	}
	if t.Notify == "" {
		c.warn(what, "without notify, changes are seen at the refresh only")
	} else {
		c.address(what, "udp", t.Notify)
		c.address(what, "tcp", t.Notify)
	}
	c.ok(what, fmt.Sprintf("%d zones of %s; not contacted", len(t.Zones), client.Primary))
}
