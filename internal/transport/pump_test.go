package transport

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPump(t *testing.T) {
	p := Pump(context.Background(), strings.NewReader("all of it"))
	if b, err := io.ReadAll(p); err != nil || string(b) != "all of it" {
		t.Errorf("%q, %v", b, err)
	}
	_ = p.Close()

	// A source that gives nothing can be waited for in bounded time, and ends with
	// the context.
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	p = Pump(ctx, r)
	if err := p.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := p.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go cancel()
	if _, err := p.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	_ = p.Close()
}
