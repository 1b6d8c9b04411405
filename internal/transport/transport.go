// Package transport is where bytes come from: files, files that grow and are
// rotated, sockets, syslog, HTTP, buckets, Kafka, network interfaces. It knows no
// telemetry format; what it hands over are readers, which the decoders in
// internal/input read, with what is needed to count their content exactly once: a
// position, a key, an offset. Where the sender can be made to wait it waits; what
// is lost otherwise is counted with a reason.
//
// Live readers have SetReadDeadline, as network connections do, so that a decoder
// that holds records back for a moment is not stuck with them while nothing
// arrives. All of them end when their context does.
package transport

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Stdin is the path that means standard input.
const Stdin = "-"

// Reasons why a transport drops what it cannot hold, as callbacks are told them.
const (
	DroppedFull  = "queue full"
	DroppedLong  = "message too long"
	DroppedConns = "too many connections"
	DroppedTLS   = "TLS handshake failed"
	DroppedEnd   = "shutting down"
)

// Open opens a file to be read once. For the path Stdin it returns stdin, which
// the caller keeps.
func Open(path string, stdin io.Reader) (io.ReadCloser, error) {
	if path == Stdin {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the operation and the path already
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, fmt.Errorf("open %s: is a directory", path)
	}
	return f, nil
}

// deadline is a read deadline that several goroutines may set and wait for.
type deadline struct {
	mu  sync.Mutex
	t   time.Time
	set chan struct{} // closed when t changes
}

func newDeadline() *deadline { return &deadline{set: make(chan struct{})} }

func (d *deadline) change(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.t = t
	close(d.set)
	d.set = make(chan struct{})
}

func (d *deadline) get() (t time.Time, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.t, d.set
}

// wait returns nil when ready is signalled or, unless it is 0, pause has passed;
// os.ErrDeadlineExceeded at the deadline; and the context's error at its end.
func (d *deadline) wait(ctx context.Context, ready <-chan struct{}, pause time.Duration) error {
	t, changed := d.get()
	var expired, over <-chan time.Time
	if !t.IsZero() {
		left := time.Until(t)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		expired = timer.C
	}
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-expired:
		return os.ErrDeadlineExceeded
	case <-over:
	case <-ready:
	case <-changed:
	}
	return nil
}
