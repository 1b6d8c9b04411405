package transport

import (
	"context"
	"io"
	"net"
	"time"
)

// Pump makes a live reader of one that knows no deadlines, such as standard input
// from a pipe. It ends with r, or with its context; one Read of r may then be left
// behind, until r gives something.
func Pump(ctx context.Context, r io.Reader) *Pumped {
	out, in := net.Pipe()
	go func() {
		_, _ = io.Copy(in, r) // an error of r ends it as its end does
		_ = in.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	return &Pumped{out: out, stop: stop}
}

// Pumped is a live reader; see Pump.
type Pumped struct {
	out  net.Conn
	stop func() bool
}

// Read implements io.Reader.
func (p *Pumped) Read(b []byte) (int, error) { return p.out.Read(b) }

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; zero
// takes that back.
func (p *Pumped) SetReadDeadline(t time.Time) error { return p.out.SetReadDeadline(t) }

// Close ends reading.
func (p *Pumped) Close() error {
	p.stop()
	return p.out.Close()
}
