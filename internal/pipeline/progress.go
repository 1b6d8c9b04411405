package pipeline

import (
	"context"
	"sync"

	"github.com/picket-dns/picket"
)

// progress counts what the pipeline is done with of one feed's queries: they are
// in the history, and the findings that they brought are with the sink.
type progress struct {
	mu    sync.Mutex
	done  int64
	err   error         // the first since it was last asked for
	moved chan struct{} // signalled, one deep
}

// passed is a part of a feed's queries that a shard is done with.
type passed struct {
	to      *progress
	queries int64
	err     error
}

func newProgress() *progress { return &progress{moved: make(chan struct{}, 1)} }

func (p *progress) add(n int64, err error) {
	p.mu.Lock()
	p.done += n
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	select {
	case p.moved <- struct{}{}:
	default:
	}
}

// Begin says with what origin the queries are stored that come from now on.
func (f *Feed[S]) Begin(at picket.Origin) {
	f.Flush()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.origin = at
}

// Wait flushes, and returns when the pipeline is done with everything the feed
// was given: the history has it, and the sink has the findings that are due. The
// error is the history's, the first since Wait last returned. Only one goroutine
// may wait.
func (f *Feed[S]) Wait(ctx context.Context) error {
	f.Flush()
	f.mu.Lock()
	want := f.queries
	f.mu.Unlock()
	for {
		f.done.mu.Lock()
		reached, err := f.done.done >= want, f.done.err
		if reached {
			f.done.err = nil
		}
		f.done.mu.Unlock()
		if reached {
			return err
		}
		select {
		case <-f.done.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
