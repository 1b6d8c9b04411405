package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/transport"
)

// input checks one input.
func (c *checker) input(in *inputConfig) {
	what := "input " + in.Name
	if in.TLS != nil && !c.certificate(what, in.TLS) {
		return
	}
	switch {
	case in.File == transport.Stdin:
		c.ok(what, "will read standard input")
	case in.File != "":
		c.files(what, in)
	case in.Unix != "":
		c.socket(what, in.Unix)
	case in.HTTP != nil:
		c.push(what, in)
	case in.Bucket != nil:
		c.bucket(what, in.Bucket)
	case in.Kafka != nil:
		c.kafka(what, in.Kafka)
	case in.Capture != nil:
		c.capture(what, in.Capture)
	case in.Git != nil:
		c.git(what, in.Git)
	case in.Transfer != nil:
		c.transfer(what, in.Transfer)
	case in.SyslogUDP != "":
		c.address(what, "udp", in.SyslogUDP)
	default:
		c.address(what, "tcp", in.way().place)
	}
}

// filesLooked is how many files of a pattern are looked into.
const filesLooked = 20

// files checks a file, or those that a pattern matches now.
func (c *checker) files(what string, in *inputConfig) {
	if _, err := os.Lstat(in.File); err == nil || !strings.ContainsAny(in.File, "*?[") {
		c.file(what, in.File, in.Format)
		return
	}
	paths, err := filepath.Glob(in.File)
	switch {
	case err != nil:
		c.fail(what, in.File+": "+err.Error())
		return
	case len(paths) == 0:
		c.warn(what, in.File+" matches no file yet; it will be waited for")
		return
	}
	slices.Sort(paths)
	for _, path := range paths[:min(len(paths), filesLooked)] {
		c.file(what, path, in.Format)
	}
	if n := len(paths) - filesLooked; n > 0 {
		c.ok(what, fmt.Sprintf("%d more files match %s", n, in.File))
	}
}

func (c *checker) file(what, path, format string) {
	r, _, shut, err := openInput(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		c.warn(what, path+" does not exist yet; it will be waited for")
		return
	}
	if err != nil {
		c.fail(what, err.Error())
		return
	}
	defer shut()
	f, _, err := input.Open(r, format)
	switch {
	case errors.Is(err, input.ErrEmpty):
		c.warn(what, path+" is empty so far")
		return
	case err != nil:
		c.fail(what, path+": "+err.Error())
		return
	}
	text := fmt.Sprintf("%s: %s (%s)", path, f.Name, f.Kind)
	if f.Levels != "" {
		text = fmt.Sprintf("%s: %s (telemetry %s)", path, f.Name, f.Levels)
	}
	c.ok(what, text)
}

func (c *checker) socket(what, path string) {
	st, err := os.Stat(filepath.Dir(path))
	if err != nil {
		c.fail(what, fmt.Sprintf("the socket's folder: %v", err))
		return
	}
	if !st.IsDir() {
		c.fail(what, filepath.Dir(path)+" is no folder")
		return
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket == 0 {
		c.fail(what, path+" exists and is no socket")
		return
	}
	c.ok(what, "will listen on "+path)
}

// address checks that an address can be listened on.
func (c *checker) address(what, network, addr string) {
	var err error
	var shut io.Closer
	if network == "udp" {
		shut, err = net.ListenPacket(network, addr)
	} else {
		shut, err = net.Listen(network, addr)
	}
	c.listens(what, network+" "+addr, shut, err)
}

// listens says how it went to listen, and stops it. An address that is taken while
// the daemon runs is most likely its own.
func (c *checker) listens(what, place string, shut io.Closer, err error) {
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && c.running:
		c.ok(what, place+" is in use, and picket is running")
	case err != nil:
		c.fail(what, fmt.Sprintf("cannot listen on %s: %v (is picket running already?)", place, err))
	default:
		shut.Close()
		c.ok(what, "can listen on "+place)
	}
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// certificate checks the files of a listener's TLS.
func (c *checker) certificate(what string, t *tlsConfig) bool {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		c.fail(what, "tls: "+err.Error())
		return false
	}
	if t.ClientCAFile != "" {
		if err := certificatesIn(t.ClientCAFile); err != nil {
			c.fail(what, "tls: client_ca_file: "+err.Error())
			return false
		}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	switch now := time.Now(); {
	case err != nil:
		c.fail(what, "tls: "+t.CertFile+": "+err.Error())
		return false
	case now.After(leaf.NotAfter) || now.Before(leaf.NotBefore):
		c.fail(what, fmt.Sprintf("tls: %s is valid from %s to %s", t.CertFile, leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly)))
		return false
	case now.Add(soon).After(leaf.NotAfter):
		c.warn(what, fmt.Sprintf("tls: %s ends on %s", t.CertFile, leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
	return true
}

// certificatesIn checks that a file holds certificates.
func certificatesIn(path string) error {
	b, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
		err = fmt.Errorf("%s: no certificate in it; want PEM", path)
	}
	return err
}

// push checks what the transport itself would refuse.
func (c *checker) push(what string, in *inputConfig) {
	cfg := transport.PushConfig{Address: in.HTTP.Address, TokenFile: in.HTTP.TokenFile}
	if in.TLS != nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if in.TLS.ClientCAFile != "" {
			cfg.TLS.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	p, err := transport.NewPush(context.Background(), cfg, nil)
	var op *net.OpError
	if err != nil && !errors.As(err, &op) {
		c.fail(what, err.Error())
		return
	}
	c.listens(what, "http "+in.HTTP.Address, p, err)
}

// readable fails when a file that is named cannot be read.
func (c *checker) readable(what, key, path string) bool {
	if path == "" {
		return true
	}
	b, err := os.ReadFile(path)
	if err == nil && len(b) == 0 {
		err = errors.New(path + " is empty")
	}
	if err != nil {
		c.fail(what, key+": "+err.Error())
		return false
	}
	return true
}

func (c *checker) bucket(what string, b *bucketConfig) {
	if !c.readable(what, "credentials_file", b.CredentialsFile) {
		return
	}
	for _, u := range []struct{ key, text string }{{"endpoint", b.Endpoint}, {"queue", b.Queue}} {
		if u.text == "" {
			continue
		}
		if p, err := url.Parse(u.text); err != nil || p.Host == "" || p.Scheme != "https" && p.Scheme != "http" {
			c.fail(what, fmt.Sprintf("%s: %q is no URL of a service; want such as https://s3.example.com", u.key, u.text))
			return
		}
	}
	c.ok(what, "bucket "+b.Name+"/"+b.Prefix+"; not contacted")
}

func (c *checker) kafka(what string, k *kafkaConfig) {
	for _, broker := range k.Brokers {
		host, port, err := net.SplitHostPort(broker)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || n == 0 || host == "" {
			c.fail(what, fmt.Sprintf("broker %q: want HOST:PORT, such as kafka.example.com:9092", broker))
			return
		}
	}
	if k.CAFile != "" {
		if err := certificatesIn(k.CAFile); err != nil {
			c.fail(what, "ca_file: "+err.Error())
			return
		}
	}
	if !c.readable(what, "password_file", k.PasswordFile) {
		return
	}
	switch {
	case !slices.Contains([]string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, k.SASL):
		c.fail(what, fmt.Sprintf("sasl %q: want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", k.SASL))
		return
	case k.SASL != "" && (k.User == "" || k.PasswordFile == ""):
		c.fail(what, "sasl: want user and password_file beside it")
		return
	case k.SASL == "PLAIN" && !k.TLS && k.CAFile == "":
		c.warn(what, "sasl PLAIN without tls sends the password in the clear")
	}
	c.ok(what, fmt.Sprintf("kafka %s at %s; not contacted", strings.Join(k.Topics, ","), strings.Join(k.Brokers, ",")))
}

func (c *checker) capture(what string, p *captureConfig) {
	ifi, err := net.InterfaceByName(p.Interface)
	switch {
	case err != nil:
		var names []string
		list, _ := net.Interfaces()
		for _, i := range list {
			names = append(names, i.Name)
		}
		c.fail(what, fmt.Sprintf("interface %s: %v; there are %s", p.Interface, err, strings.Join(names, ", ")))
	case ifi.Flags&net.FlagUp == 0:
		c.warn(what, "interface "+p.Interface+" is down")
	case os.Geteuid() != 0:
		c.ok(what, "interface "+p.Interface+" is there; capturing takes CAP_NET_RAW")
	default:
		c.ok(what, "interface "+p.Interface+" is there")
	}
}

func (c *checker) git(what string, g *gitConfig) {
	for _, pattern := range g.Files {
		if _, err := filepath.Match(pattern, ""); err != nil {
			c.fail(what, fmt.Sprintf("files: %q: %v", pattern, err))
			return
		}
	}
	st, err := os.Stat(g.Repository)
	switch {
	case err != nil:
		c.fail(what, err.Error())
	case !st.IsDir() || !isRepository(g.Repository):
		c.fail(what, g.Repository+" is no git repository: neither .git nor HEAD and objects are in it")
	default:
		c.ok(what, "git repository "+g.Repository)
	}
}

// isRepository reports whether a folder is the working tree or the bare folder of a
// repository.
func isRepository(dir string) bool {
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	return there(".git") || there("HEAD") && there("objects")
}
