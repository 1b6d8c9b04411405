package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader collects lines from a transport in the background.
type reader struct {
	lines chan string
	done  chan error
}

func collect(r io.Reader) *reader {
	c := &reader{lines: make(chan string, 1000), done: make(chan error, 1)}
	go func() {
		s := bufio.NewScanner(r)
		for s.Scan() {
			c.lines <- s.Text()
		}
		c.done <- s.Err()
	}()
	return c
}

func (c *reader) want(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		select {
		case got := <-c.lines:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing came, want %q", want)
		}
	}
}

func write(t *testing.T, path, text string, flag int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.WriteString(text); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	r, err := Open(Stdin, strings.NewReader("in"))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "in" {
		t.Errorf("got %q", b)
	}
	if _, err := Open(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tap.sock")
	for _, cfg := range []ListenConfig{{Network: "unix", Address: path, Mode: 0o600}, {Network: "tcp", Address: "127.0.0.1:0"}} {
		t.Run(cfg.Network, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			var refused atomic.Int32
			cfg.MaxConns, cfg.Dropped = 2, func(string, int) { refused.Add(1) }
			l, err := Listen(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() {
				served <- l.Serve(ctx, func(_ context.Context, conn io.ReadWriteCloser) { _, _ = io.Copy(conn, conn) })
			}()
			var conns []net.Conn
			for range 2 {
				c, err := net.Dial(cfg.Network, l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				_, _ = c.Write([]byte("hello"))
				b := make([]byte, 5)
				if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
					t.Fatal(string(b), err)
				}
				conns = append(conns, c)
			}
			c, err := net.Dial(cfg.Network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection too many was served")
			}
			cancel()
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
			if _, err := conns[0].Read(make([]byte, 1)); err == nil {
				t.Error("connection still open")
			}
			if refused.Load() != 1 {
				t.Errorf("refused %d", refused.Load())
			}
		})
	}
}

func TestListenReplacesStaleSocketOnly(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(ctx, ListenConfig{Network: "unix", Address: path}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("used socket: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	l, err := Listen(ctx, ListenConfig{Network: "unix", Address: path})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	file := filepath.Join(dir, "f")
	write(t, file, "precious", os.O_CREATE)
	if _, err := Listen(ctx, ListenConfig{Network: "unix", Address: file}); err == nil {
		t.Error("a regular file was replaced")
	}
	if _, err := Listen(ctx, ListenConfig{Network: "udp"}); err == nil {
		t.Error("network udp was taken")
	}
}

func TestSyslog(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var lost atomic.Int32
	s, err := NewSyslog(ctx, SyslogConfig{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Dropped: func(_ string, n int) { lost.Add(int32(n)) }})
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := s.Addrs()
	c := collect(s)
	u, err := net.Dial("udp", udp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	_, _ = u.Write([]byte("<158>Sep 20 15:50:26 ns1 named[1]: one\n"))
	c.want(t, "<158>Sep 20 15:50:26 ns1 named[1]: one")
	_, _ = u.Write([]byte("two\nin parts\r\n\x00"))
	c.want(t, "two in parts")

	w, err := net.Dial("tcp", tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	long := strings.Repeat("x", maxMessage+1)
	_, _ = fmt.Fprintf(w, "<1>by newline\n%d %s7 counted2026-01-01 begins with a digit\n%s\n%d %slast", 9, "<1>a\nb c ", long, len(long), long)
	c.want(t, "<1>by newline", "<1>a b c ", "counted", "2026-01-01 begins with a digit")
	_ = w.Close()
	c.want(t, "last")
	if lost.Load() != 2 {
		t.Errorf("dropped %d", lost.Load())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-c.done; err != nil {
		t.Error(err)
	}
}

func TestSyslogDropsWhenFull(t *testing.T) {
	var lost atomic.Int32
	s, err := NewSyslog(context.Background(), SyslogConfig{UDP: "127.0.0.1:0", Queue: 64, Dropped: func(_ string, n int) { lost.Add(int32(n)) }})
	if err != nil {
		t.Fatal(err)
	}
	udp, _ := s.Addrs()
	u, err := net.Dial("udp", udp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	for i := range 10 {
		_, _ = fmt.Fprintf(u, "message %2d of sixteen", i)
	}
	for range 1000 {
		if lost.Load() == 8 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if lost.Load() != 8 {
		t.Errorf("dropped %d of 10, want 8", lost.Load())
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 100)
	if n, err := s.Read(b); err != nil || string(b[:n]) != "message  0 of sixteen\nmessage  1 of sixteen\n" {
		t.Errorf("%q %v", b[:n], err)
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := s.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = s.Close()
}

func TestContent(t *testing.T) {
	for in, want := range map[string]string{
		`<158>Sep 20 15:50:26 ns1 suricata[1]: {"a":1}`:                         `{"a":1}`,
		`<158>1 2024-09-20T15:50:26Z ns1 suricata 16 - [x@1 a="b]"][y] {"a":1}`: `{"a":1}`,
		`<158>1 2024-09-20T15:50:26Z ns1 suricata 16 - - {"a":1}`:               `{"a":1}`,
		`<158>{"a":1}`: `{"a":1}`,
		`{"a":1}`:      `{"a":1}`,
		`<x`:           `<x`,
		`<158>1 short`: `1 short`,
	} {
		if got := string(content([]byte(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
