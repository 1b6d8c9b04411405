package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// liveInput is one input of the daemon: a transport, a format, an account.
type liveInput struct {
	cfg  inputConfig
	d    *daemon
	desk *intake.Desk

	// documentsAtHand is held while it is settled what a document, or its end, does to
	// the history, until that is stored.
	documentsAtHand sync.Mutex
	bucketTrouble   string // what the last listing says of the bucket; of the goroutine that lists

	mu     sync.Mutex
	format input.Format // "" until told
	err    string
	notes  []string
}

// newLiveInput opens an input's account.
func newLiveInput(ctx context.Context, cfg inputConfig, d *daemon) (*liveInput, error) {
	desk, err := d.house.Desk(ctx, cfg.Name, cfg.way().again)
	if err != nil {
		return nil, err
	}
	in := &liveInput{cfg: cfg, d: d, desk: desk}
	if f, ok := input.ByName(cfg.Format); ok {
		in.format = f
	}
	return in, nil
}

// start begins to take telemetry. It returns when the transport is in place.
func (in *liveInput) start(ctx context.Context, running *sync.WaitGroup) error {
	switch {
	case in.cfg.File == transport.Stdin:
		p := transport.Pump(ctx, os.Stdin)
		running.Go(func() {
			in.takeConn(ctx, p, transport.Stdin)
			_ = p.Close() // nothing more is read
		})
		return nil
	case in.cfg.File != "":
		return in.follow(ctx, running)
	case in.cfg.Unix != "":
		return in.listen(ctx, running, "unix", in.cfg.Unix)
	case in.cfg.TCP != "":
		return in.listen(ctx, running, "tcp", in.cfg.TCP)
	case in.cfg.HTTP != nil:
		return in.pushed(ctx, running)
	case in.cfg.Kafka != nil:
		return in.consume(ctx, running)
	case in.cfg.Bucket != nil:
		return in.bucket(ctx, running)
	case in.cfg.Git != nil:
		return in.history(ctx, running)
	case in.cfg.Transfer != nil:
		return in.transfers(ctx, running)
	case in.cfg.Capture != nil:
		return in.capture(ctx, running)
	}
	return in.syslog(ctx, running)
}

func (in *liveInput) follow(ctx context.Context, running *sync.WaitGroup) error {
	cfg := transport.FollowConfig{
		Path: in.cfg.File, Whole: in.documents(),
		Resume: func(path string) (transport.Position, bool) {
			p, known, err := in.bookmark("file:" + path)
			if err != nil {
				in.fail(err)
			}
			return p.Position, known
		},
		Failed: func(_ string, err error) { in.fail(err) },
	}
	running.Go(func() {
		if err := transport.Follow(ctx, cfg, in.takeFile); err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	if cfg.Whole {
		running.Go(func() { in.watchFiles(ctx) })
	}
	return nil
}

// documents reports whether the files of the input are documents, which are read
// whole when they change. Without a format's name the files that are there tell.
func (in *liveInput) documents() bool {
	if f, ok := input.ByName(in.cfg.Format); ok {
		return f.Shape == input.ShapeDocument
	}
	paths, _ := filepath.Glob(in.cfg.File)
	slices.Sort(paths)
	for _, path := range paths {
		r, err := transport.Open(path, nil)
		if err != nil {
			continue
		}
		f, _, err := input.Open(r, input.Auto)
		r.Close()
		if err == nil {
			return f.Shape == input.ShapeDocument
		}
	}
	return false
}

// fail notes what is wrong with the input; it goes on where it can.
func (in *liveInput) fail(err error) {
	in.d.log.Error("input", "input", in.cfg.Name, "error", err)
	in.mu.Lock()
	in.err = err.Error()
	in.mu.Unlock()
}

// fine notes that what was wrong is over.
func (in *liveInput) fine() {
	in.mu.Lock()
	in.err = ""
	in.mu.Unlock()
}

// use notes the format that the content turned out to have.
func (in *liveInput) use(f input.Format) {
	in.mu.Lock()
	in.format = f
	in.mu.Unlock()
}

// note keeps what a decoder says of how it reads; each once.
func (in *liveInput) note(text string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.notes, text) && len(in.notes) < 16 {
		in.notes = append(in.notes, text)
		in.d.log.Warn("input", "input", in.cfg.Name, "note", text)
	}
}

// status is the input's account, and the telemetry levels it carries.
func (in *liveInput) status() (picket.SourceStatus, string) {
	c := in.desk.Counts()
	in.mu.Lock()
	defer in.mu.Unlock()
	st := picket.SourceStatus{
		Name: in.cfg.Name, Format: in.format.Name, Kind: in.format.Kind, Transport: in.cfg.transport(), Received: c.Received(), Accepted: c.Accepted,
		Rejected: orEmpty(c.Rejected), Skipped: orEmpty(c.Skipped), Dropped: orEmpty(c.Dropped), Error: in.err, Notes: slices.Clone(in.notes),
	}
	if c.LastSeen != 0 {
		st.LastEvent = time.Unix(0, c.LastSeen).UTC()
	}
	if st.Format == "" {
		st.Format = in.cfg.Format
	}
	return st, in.format.Levels
}

func orEmpty(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}
