package input

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// deadliner is what a live source is, which is not waited for without limit.
type deadliner interface{ SetReadDeadline(time.Time) error }

// isLive reports whether r has deadlines that work.
func isLive(r io.Reader) (deadliner, bool) {
	d, ok := r.(deadliner)
	return d, ok && d.SetReadDeadline(time.Time{}) == nil
}

// unpacked keeps live what a decompressor makes of a live source: a decompressor
// itself cannot be interrupted and go on. It reads ahead by one piece.
type unpacked struct {
	out, in net.Conn
	source  deadliner
	done    chan struct{}

	mu  sync.Mutex
	err error // what r ended with
}

// newUnpacked reads r, which decompresses source. Close must follow.
func newUnpacked(r io.Reader, source deadliner) *unpacked {
	out, in := net.Pipe()
	u := &unpacked{out: out, in: in, source: source, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		if _, err := io.Copy(in, r); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			u.mu.Lock()
			u.err = err
			u.mu.Unlock()
		}
		_ = in.Close()
	}()
	return u
}

// Read implements io.Reader.
func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.out.Read(b)
	if err == io.EOF {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.err != nil {
			err = u.err
		}
	}
	return n, err
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on.
func (u *unpacked) SetReadDeadline(t time.Time) error { return u.out.SetReadDeadline(t) }

// Close ends reading, of the source too.
func (u *unpacked) Close() error {
	err := errors.Join(u.out.Close(), u.in.Close())
	_ = u.source.SetReadDeadline(time.Unix(1, 0))
	<-u.done
	return err
}

// Close ends what was begun to read a compressed live source; the source itself
// is the caller's. A reader that Open has returned is closed so by Close.
func Close(r io.Reader) {
	if d, ok := r.(deadlined); ok {
		if u, ok := d.r.(*unpacked); ok {
			_ = u.Close()
		}
	}
}
