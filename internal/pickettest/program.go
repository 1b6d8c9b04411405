package pickettest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// Output takes what a program says while others read it.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is what came so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// FindProgram is the path of a program, which may be outside an ordinary user's
// search path; "" when there is none.
func FindProgram(name string) string {
	for _, p := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	return ""
}

// Program finds a program of a Debian package; without it the test is Unavailable.
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path := FindProgram(name)
	if path == "" {
		Unavailable(t, fmt.Sprintf("%s is not installed; it is in the Debian package %s", name, pkg))
	}
	return path
}

// Unavailable skips a test that needs what this machine lacks, and says what. In CI,
// where nothing may be lacking, it fails.
func Unavailable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("skipped: " + why)
}

// FreeAddr is a loopback address whose port is free for UDP and TCP, and the port.
func FreeAddr(t testing.TB) (addr, port string) {
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
