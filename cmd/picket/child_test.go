package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/pickettest"
)

// child is picket run in a process of its own.
type child struct {
	t    *testing.T
	dir  string // of the configuration
	addr string // of the console
	cmd  *exec.Cmd
	log  *pickettest.Output
	done chan error
	in   io.Reader // standard input of the next start; nil for none
}

// shortDir is a temporary folder whose path leaves room for a unix socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "picket-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freeAddr is a loopback address nobody listens at.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, _ := pickettest.FreeAddr(t)
	return addr
}

// newChild writes a configuration: the given YAML with a free address to listen on.
func newChild(t *testing.T, yaml string) *child {
	t.Helper()
	c := &child{t: t, dir: shortDir(t), addr: freeAddr(t)}
	if err := os.WriteFile(c.config(), []byte("listen: "+c.addr+"\n"+yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) config() string { return filepath.Join(c.dir, "picket.yaml") }
func (c *child) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// start starts the process and waits until its inputs are in place.
func (c *child) start() {
	c.t.Helper()
	c.log = new(pickettest.Output)
	c.cmd = exec.Command("picket", "run", "-c", c.config())
	c.cmd.Stderr = c.log
	c.cmd.Stdin = c.in
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	cmd, done := c.cmd, make(chan error, 1)
	c.done = done
	go func() { done <- cmd.Wait() }()
	c.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
		}
	})
	c.until("the console answers", func() bool {
		resp, err := http.Get("http://" + c.addr + "/api/watched")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// until waits for something to become true, at most 20 seconds.
func (c *child) until(what string, f func() bool) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
		select {
		case err := <-c.done:
			c.done <- err
			c.t.Fatalf("picket run has ended (%v) before %s:\n%s", err, what, c.log)
		default:
		}
		if time.Now().After(end) {
			c.t.Fatalf("it never came that %s:\n%s", what, c.log)
		}
	}
}

// signal sends a signal and waits for the end; the error is that of the process.
func (c *child) signal(s os.Signal) error {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatalf("%v; log:\n%s", err, c.log)
	}
	select {
	case err := <-c.done:
		return err
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		c.t.Fatalf("still running 30 s after %v:\n%s", s, c.log)
		return nil
	}
}

// stop ends the process as an operator would.
func (c *child) stop() {
	c.t.Helper()
	if err := c.signal(syscall.SIGTERM); err != nil {
		c.t.Fatalf("end after SIGTERM: %v\n%s", err, c.log)
	}
}

// store opens the store that the daemon has left, until the end of the test.
func (c *child) store() *duckdb.Store {
	c.t.Helper()
	s, err := duckdb.Open(c.t.Context(), duckdb.Options{Dir: c.path("data")})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

func (c *child) get(path string) (string, error) {
	resp, err := http.Get("http://" + c.addr + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, b)
	}
	return string(b), err
}

// metric reads one sample, such as picket_queries_total or name{input="x"}.
func (c *child) metric(sample string) (float64, bool) {
	text, err := c.get("/metrics")
	if err != nil {
		return 0, false
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(sample) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(m[1], 64)
	return v, err == nil
}

// accepted waits until an input has accepted n records.
func (c *child) accepted(input string, n int) {
	c.t.Helper()
	c.until(fmt.Sprintf("input %s accepts %d", input, n), func() bool {
		v, _ := c.metric(fmt.Sprintf("picket_input_accepted_total{input=%q}", input))
		return int(v) >= n
	})
}

// findings asks the API.
func (c *child) findings(query url.Values) ([]picket.StoredFinding, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "1000")
	text, err := c.get("/api/findings?" + query.Encode())
	if err != nil {
		return nil, err
	}
	var page struct {
		Findings []picket.StoredFinding `json:"findings"`
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		return nil, err
	}
	return page.Findings, nil
}

// shows waits until a detector's finding about a source is shown.
func (c *child) shows(detector, source string) picket.StoredFinding {
	c.t.Helper()
	var found picket.StoredFinding
	c.until(detector+" about "+source+" is shown", func() bool {
		list, err := c.findings(url.Values{"detector": {detector}})
		if err != nil {
			return false
		}
		for _, f := range list {
			if strings.HasPrefix(f.Source.Prefix, source+"/") {
				found = f
				return true
			}
		}
		return false
	})
	return found
}

// dial connects to an input.
func (c *child) dial(network, addr string) net.Conn {
	c.t.Helper()
	var conn net.Conn
	c.until("somebody listens at "+addr, func() bool {
		var err error
		var d net.Dialer
		conn, err = d.DialContext(context.Background(), network, addr)
		return err == nil
	})
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// guesses are lines of JSON: a source asks n names that are not there.
func guesses(source string, n int, at time.Time) []byte {
	words := strings.Fields("ftp webmail smtp pop imap blog forum test dev admin vpn cdn m secure intranet proxy gateway mx dns remote server db mysql backup old new beta staging demo support")
	var b bytes.Buffer
	for i := range n {
		w := words[i%len(words)]
		if i >= len(words) {
			w += strconv.Itoa(i / len(words))
		}
		fmt.Fprintf(&b, `{"time":%q,"client":%q,"server":"192.0.2.53","transport":"udp","name":"%s.example.org","type":"A","class":"IN","rcode":"NXDOMAIN","flags":["response","aa","header"]}`+"\n",
			at.Add(time.Duration(i)*time.Millisecond).UTC().Format(time.RFC3339Nano), source, w)
	}
	return b.Bytes()
}

// zoneYAML is configuration that watches testdata's zone.
func zoneYAML(t *testing.T) string {
	t.Helper()
	data, err := filepath.Abs("testdata/data")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("zones:\n  - file: %s/example.org.zone\nretired: [%s/example.org.retired.txt]\n", data, data)
}
