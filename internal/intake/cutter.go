package intake

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// When a stream that does not end is committed: soon after it has fallen silent,
// and now and then when it does not.
const (
	commitEvery = 500 * time.Millisecond
	commitQuiet = 50 * time.Millisecond
)

// Cutter is the reader of a decoder whose stream does not end. It commits the
// stream from within Read, when the decoder asks for more: then everything that
// the decoder has accounted for has been handed over.
type Cutter struct {
	ctx       context.Context
	r         io.Reader
	live      interface{ SetReadDeadline(time.Time) error } // nil when r does not wait
	s         *Stream
	positions func(clean int64) map[string][]byte

	handed   int64
	unread   int // of what was handed out; -1 when the decoder does not say
	deadline time.Time
	last     time.Time
}

// NewCutter returns a Cutter over r. positions, which may be nil, gives what is
// committed along; clean is how many bytes of r belong to records that are
// accounted for in whole, -1 when that is not known. The decoder must not be told
// of a ctx that ends earlier than r does.
func NewCutter(ctx context.Context, r io.Reader, s *Stream, positions func(clean int64) map[string][]byte) *Cutter {
	c := &Cutter{ctx: ctx, r: r, s: s, positions: positions, unread: -1, last: time.Now()}
	c.live, _ = r.(interface{ SetReadDeadline(time.Time) error })
	return c
}

// Reader is c as a decoder wants it: with Write where the source has it, for
// protocols in which the receiver answers.
func (c *Cutter) Reader() io.Reader {
	if w, ok := c.r.(io.Writer); ok {
		return struct {
			*Cutter
			io.Writer
		}{c, w}
	}
	return c
}

// Unread is told by the decoder's reader how much of what it got is left over.
func (c *Cutter) Unread(n int) { c.unread = n }

// SetReadDeadline is the decoder's own deadline.
func (c *Cutter) SetReadDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

// Read implements io.Reader. An error of the commit is returned.
func (c *Cutter) Read(b []byte) (int, error) {
	for {
		now := time.Now()
		if now.Sub(c.last) >= commitEvery {
			if err := c.Commit(); err != nil {
				return 0, err
			}
		}
		c.arm(now)
		n, err := c.r.Read(b)
		c.handed += int64(n)
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			if n > 0 {
				c.unread = -1
			}
			return n, err
		}
		if err := c.Commit(); err != nil {
			return 0, err
		}
		if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// arm makes the source wake the Cutter when there is something to commit, or when
// the decoder wants to be woken.
func (c *Cutter) arm(now time.Time) {
	if c.live == nil {
		return
	}
	t := c.deadline
	if c.s.Dirty() {
		if quiet := now.Add(commitQuiet); t.IsZero() || quiet.Before(t) {
			t = quiet
		}
	}
	if c.live.SetReadDeadline(t) != nil {
		c.live = nil // a regular file: it never blocks
	}
}

// Commit commits what the decoder has accounted for, if there is anything.
func (c *Cutter) Commit() error {
	c.last = time.Now()
	if !c.s.Dirty() {
		return nil
	}
	var positions map[string][]byte
	if c.positions != nil {
		clean := int64(-1)
		if c.unread >= 0 {
			clean = c.handed - int64(c.unread)
		}
		positions = c.positions(clean)
	}
	return c.s.Commit(c.ctx, positions)
}
