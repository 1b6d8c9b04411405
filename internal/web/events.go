package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	defaultPoll    = time.Second
	defaultStreams = 64
	heartbeat      = 15 * time.Second // comment lines that keep proxies from closing an idle stream
	streamWrite    = 10 * time.Second // a client that takes longer for one message is dropped
)

var (
	errStreamsFull   = errors.New("too many live streams")
	errStreamsClosed = errors.New("shutting down")
)

// notice is what a stream is told: the store's revision, or that it cannot be read.
type notice struct {
	revision int64
	failing  bool
}

// hub asks the store for its revision on behalf of all streams together. Its
// goroutine runs only while there are streams.
type hub struct {
	revision func(context.Context) (int64, error)
	log      *slog.Logger
	poll     time.Duration
	max      int
	done     chan struct{} // closed by close

	mu     sync.Mutex
	subs   map[chan notice]struct{}
	last   notice
	known  bool // last holds something
	cancel context.CancelFunc
	closed bool
	wg     sync.WaitGroup
}

func newHub(revision func(context.Context) (int64, error), log *slog.Logger, poll time.Duration, max int) *hub {
	if poll <= 0 {
		poll = defaultPoll
	}
	if max <= 0 {
		max = defaultStreams
	}
	return &hub{revision: revision, log: log, poll: poll, max: max,
		done: make(chan struct{}), subs: map[chan notice]struct{}{}}
}

// subscribe returns a channel that always holds the newest notice only.
func (h *hub) subscribe() (chan notice, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errStreamsClosed
	}
	if len(h.subs) >= h.max {
		return nil, errStreamsFull
	}
	ch := make(chan notice, 1)
	if h.known {
		ch <- h.last
	}
	h.subs[ch] = struct{}{}
	if h.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.cancel = cancel
		h.wg.Go(func() { h.run(ctx) })
	}
	return ch, nil
}

func (h *hub) unsubscribe(ch chan notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, ch)
	if len(h.subs) == 0 && h.cancel != nil {
		h.cancel()
		h.cancel, h.known = nil, false
	}
}

func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	if h.cancel != nil {
		h.cancel()
		h.cancel = nil
	}
	h.mu.Unlock()
	h.wg.Wait()
}

func (h *hub) run(ctx context.Context) {
	tick := time.NewTicker(h.poll)
	defer tick.Stop()
	for {
		rev, err := h.revision(ctx)
		if ctx.Err() != nil {
			return
		}
		h.tell(ctx, notice{revision: rev, failing: err != nil}, err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tell hands a notice to every stream if it differs from the last.
func (h *hub) tell(ctx context.Context, n notice, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || h.known && h.last == n {
		return
	}
	if err != nil {
		h.log.Error("read the store's revision", "err", err)
	}
	h.last, h.known = n, true
	for ch := range h.subs {
		select {
		case <-ch: // replace what has not been taken yet
		default:
		}
		ch <- n
	}
}

// serveEvents streams the store's revision: at once, and after each change.
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method == http.MethodHead {
		h.Set("Content-Type", "text/event-stream")
		return
	}
	ch, err := c.streams.subscribe()
	if err != nil {
		h.Set("Retry-After", "30")
		c.fail(w, r, http.StatusServiceUnavailable, "Live updates are not available now: "+err.Error()+".")
		return
	}
	defer c.streams.unsubscribe(ch)
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // otherwise the server's ReadTimeout ends the stream
	if send(w, rc, "retry: 3000\n\n") != nil {
		return
	}
	c.stream(r.Context(), w, rc, ch)
}

func (c *Console) stream(ctx context.Context, w http.ResponseWriter, rc *http.ResponseController, ch chan notice) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		msg := ": still here\n\n"
		select {
		case <-ctx.Done():
			return
		case <-c.streams.done:
			return
		case <-beat.C:
		case n := <-ch:
			msg = fmt.Sprintf("event: revision\nid: %d\ndata: %d\n\n", n.revision, n.revision)
			if n.failing {
				msg = "event: failing\ndata: the store does not answer\n\n"
			}
		}
		if send(w, rc, msg) != nil {
			return
		}
	}
}

func send(w http.ResponseWriter, rc *http.ResponseController, msg string) error {
	// Not every ResponseWriter has deadlines (tests, middleware); flushing is needed.
	_ = rc.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := w.Write([]byte(msg)); err != nil {
		return err
	}
	return rc.Flush()
}
