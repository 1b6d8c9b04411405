package main

import (
	"context"
	"errors"
	"sync"

	"github.com/picket-dns/picket"
)

// findingWriter stores findings without making the detectors wait for each commit.
// What comes while a commit is under way is gathered, of each finding only the
// newest state, and written together: the store commits concurrent writes as one.
// It is a picket.FindingSink.
type findingWriter struct {
	store   picket.FindingAppender
	onError func(error)
	count   func(*picket.Finding)
	// statement says what is watched; a finding keeps what was said when it was first raised.
	statement func() string

	mu      sync.Mutex
	space   sync.Cond // signalled when pending has room or is empty
	pending map[string]*pendingFinding
	said    map[string]string // statements of open findings, by id
	order   []string          // ids in pending, in the order of their first arrival
	ticket  int64             // of the newest arrival
	writing int64             // ticket of the oldest finding being written, 0 when none is
	closing bool
	wake    chan struct{}
	done    chan struct{}
}

type pendingFinding struct {
	finding *picket.Finding
	closed  bool
	ticket  int64 // of its first arrival
}

// Bounds of a findingWriter: how many findings wait before the detectors are made
// to, how many are written at once, and of how many the statement is remembered.
const (
	findingsWaiting = 4096
	findingsAtOnce  = 64
	findingsSaid    = 100_000
)

func newFindingWriter(store picket.FindingAppender, count func(*picket.Finding), statement func() string, onError func(error)) *findingWriter {
	w := &findingWriter{store: store, count: count, statement: statement, onError: onError, said: map[string]string{}, pending: map[string]*pendingFinding{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.space.L = &w.mu
	go w.run()
	return w
}

// Finding takes a finding. It waits while too many are waiting.
func (w *findingWriter) Finding(f *picket.Finding, closed bool) error {
	w.count(f)
	w.mu.Lock()
	for len(w.pending) >= findingsWaiting && w.pending[f.ID] == nil {
		w.space.Wait()
	}
	w.cover(f, closed)
	w.ticket++
	if p := w.pending[f.ID]; p != nil {
		p.finding, p.closed = f, closed
	} else {
		w.pending[f.ID] = &pendingFinding{f, closed, w.ticket}
		w.order = append(w.order, f.ID)
	}
	w.mu.Unlock()
	w.signal()
	return nil
}

// cover sets what a finding says of coverage. It is called with the lock held.
func (w *findingWriter) cover(f *picket.Finding, closed bool) {
	said, known := w.said[f.ID]
	if !known {
		if said = f.Coverage; said == "" {
			said = w.statement()
		}
	}
	f.Coverage = said
	if closed {
		delete(w.said, f.ID)
		return
	}
	if !known && len(w.said) >= findingsSaid {
		clear(w.said)
	}
	w.said[f.ID] = said
}

func (w *findingWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Barrier returns when everything taken so far is durable.
func (w *findingWriter) Barrier(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	upTo := w.ticket
	for {
		if (w.writing == 0 || w.writing > upTo) && (len(w.order) == 0 || w.pending[w.order[0]].ticket > upTo) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		w.space.Wait()
	}
}

// Close writes what waits and returns when it is durable.
func (w *findingWriter) Close() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.signal()
	<-w.done
}

func (w *findingWriter) run() {
	defer close(w.done)
	for {
		batch, closing := w.take()
		if len(batch) > 0 {
			w.write(batch)
			continue
		}
		if closing {
			return
		}
		<-w.wake
	}
}

// take removes the oldest waiting findings.
func (w *findingWriter) take() (batch []*pendingFinding, closing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.order), findingsAtOnce)
	for _, id := range w.order[:n] {
		batch = append(batch, w.pending[id])
		delete(w.pending, id)
	}
	w.order = append(w.order[:0], w.order[n:]...)
	w.writing = 0
	if n > 0 {
		w.writing = batch[0].ticket
	}
	w.space.Broadcast()
	return batch, w.closing
}

// write stores a batch of different findings side by side and waits for all, so
// that a later state of a finding is never overtaken by an earlier one.
func (w *findingWriter) write(batch []*pendingFinding) {
	var wg sync.WaitGroup
	for _, p := range batch {
		wg.Go(func() {
			// Not cancelled by a shutdown: what was raised is stored.
			if err := w.store.PutFinding(context.Background(), p.finding, !p.closed); err != nil {
				w.onError(errors.Join(errors.New("store finding "+p.finding.ID), err))
			}
		})
	}
	wg.Wait()
}
