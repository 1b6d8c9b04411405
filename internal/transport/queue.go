package transport

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// queue carries lines from many senders to one reader in bounded memory.
type queue struct {
	ctx      context.Context // the reader's
	max      int             // bytes
	deadline *deadline
	ready    chan struct{} // signalled, one deep, when there is something to read or the end
	room     chan struct{} // likewise, when there is room again

	mu     sync.Mutex
	buf    []byte
	at     int // read up to here
	closed bool
}

func newQueue(ctx context.Context, limit int) *queue {
	return &queue{ctx: ctx, max: limit, deadline: newDeadline(), ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put appends a message as one line; line ends within it become blanks. It
// reports false when there is no room, or the queue is closed.
func (q *queue) put(msg []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.buf)-q.at+len(msg)+1 > q.max {
		return false
	}
	if q.at > 0 && len(q.buf)+len(msg)+1 > cap(q.buf) {
		q.buf = q.buf[:copy(q.buf, q.buf[q.at:])]
		q.at = 0
	}
	from := len(q.buf)
	q.buf = append(q.buf, msg...)
	for line := q.buf[from:]; ; {
		i := bytes.IndexAny(line, "\r\n")
		if i < 0 {
			break
		}
		line[i] = ' '
		line = line[i+1:]
	}
	q.buf = append(q.buf, '\n')
	signal(q.ready)
	return true
}

// putWait is put that waits for room until ctx is done.
func (q *queue) putWait(ctx context.Context, msg []byte) bool {
	for !q.put(msg) {
		q.mu.Lock()
		hopeless := q.closed || len(msg)+1 > q.max
		q.mu.Unlock()
		if hopeless {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-q.room:
		}
	}
	return true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// close lets the reader read what is left and then end.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.ready)
	signal(q.room)
}

// Read implements io.Reader.
func (q *queue) Read(b []byte) (int, error) {
	for {
		q.mu.Lock()
		n := copy(b, q.buf[q.at:])
		q.at += n
		if q.at == len(q.buf) {
			q.buf, q.at = q.buf[:0], 0
		}
		closed := q.closed
		q.mu.Unlock()
		if n > 0 || len(b) == 0 {
			signal(q.room)
			return n, nil
		}
		if closed {
			signal(q.ready) // for a reader that comes back
			return 0, io.EOF
		}
		if err := q.deadline.wait(q.ctx, q.ready, 0); err != nil {
			if q.ctx.Err() != nil {
				return 0, io.EOF
			}
			return 0, err
		}
	}
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; zero
// takes that back.
func (q *queue) SetReadDeadline(t time.Time) error {
	q.deadline.change(t)
	return nil
}
