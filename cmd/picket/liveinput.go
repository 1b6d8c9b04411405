package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/transport"
)

// liveInput is one input of the daemon: a transport, a format, an account.
type liveInput struct {
	cfg     inputConfig
	d       *daemon
	acct    *input.Counter
	feed    *feed
	dropped atomic.Int64

	mu     sync.Mutex
	format input.Format // "" until told
	err    string
	// pos is a position to be saved once the pipeline has processed the after-th query.
	pos   *transport.Position
	after int64
}

func newLiveInput(cfg inputConfig, d *daemon) *liveInput {
	return &liveInput{cfg: cfg, d: d, acct: input.NewCounter(), feed: d.rec.Feed()}
}

// start begins to take telemetry. It returns when the transport is in place.
func (in *liveInput) start(ctx context.Context, running *sync.WaitGroup) error {
	switch {
	case in.cfg.File != "":
		return in.follow(ctx, running)
	case in.cfg.Unix != "":
		return in.listen(ctx, running, "unix", in.cfg.Unix)
	case in.cfg.TCP != "":
		return in.listen(ctx, running, "tcp", in.cfg.TCP)
	}
	return in.syslog(ctx, running)
}

func (in *liveInput) follow(ctx context.Context, running *sync.WaitGroup) error {
	from, err := in.loadPosition()
	if err != nil {
		return err
	}
	t, err := transport.NewTail(ctx, transport.TailConfig{Path: in.cfg.File, From: from, Lines: !binaryName(in.cfg), Save: in.reached})
	if err != nil {
		return err
	}
	running.Go(func() {
		in.decode(ctx, t)
		if err := t.Close(); err != nil {
			in.fail(err)
		}
	})
	return nil
}

// binaryName guesses from configuration alone whether a file is binary.
func binaryName(c inputConfig) bool {
	switch c.Format {
	case "pcap", "dnstap":
		return true
	}
	return slices.Contains([]string{".pcap", ".pcapng", ".dnstap", ".fstrm", ".gz", ".zst", ".xz"}, strings.ToLower(filepath.Ext(c.File)))
}

func (in *liveInput) listen(ctx context.Context, running *sync.WaitGroup, network, addr string) error {
	l, err := transport.Listen(ctx, transport.ListenConfig{Network: network, Address: addr, Mode: 0o660, Refused: func() { in.dropped.Add(1) }})
	if err != nil {
		return err
	}
	in.d.log.Info("listening", "input", in.cfg.Name, "network", network, "address", l.Addr().String())
	running.Go(func() {
		err := l.Serve(ctx, func(ctx context.Context, conn io.ReadWriteCloser) { in.decode(ctx, conn) })
		if err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	return nil
}

func (in *liveInput) syslog(ctx context.Context, running *sync.WaitGroup) error {
	s, err := transport.NewSyslog(ctx, transport.SyslogConfig{
		UDP: in.cfg.SyslogUDP, TCP: in.cfg.SyslogTCP, ContentOnly: in.cfg.Format != input.Auto && in.cfg.Format != "bind-log",
		Dropped: func(n int) { in.dropped.Add(int64(n)) },
	})
	if err != nil {
		return err
	}
	udp, tcp := s.Addrs()
	in.d.log.Info("listening for syslog", "input", in.cfg.Name, "udp", udp, "tcp", tcp)
	running.Go(func() {
		in.decode(ctx, s)
		if err := s.Close(); err != nil {
			in.fail(err)
		}
	})
	return nil
}

// decode reads one stream to its end. An empty stream is none.
func (in *liveInput) decode(ctx context.Context, r io.Reader) {
	loc, err := time.LoadLocation(in.cfg.Timezone)
	if err != nil {
		in.fail(err)
		return
	}
	f, opened, err := input.Open(r, in.cfg.Format)
	if err != nil {
		if !errors.Is(err, input.ErrEmpty) && ctx.Err() == nil {
			in.fail(err)
		}
		return
	}
	in.mu.Lock()
	in.format = f
	in.mu.Unlock()
	// The decoder is not told of ctx: its reader ends, and it hands over what it holds.
	err = f.Decode(context.WithoutCancel(ctx), opened, decode.Options{Location: loc, Sensor: in.cfg.Name}, in.acct, input.Queries(in.feed))
	in.feed.Flush()
	if err != nil && ctx.Err() == nil {
		in.fail(err)
	}
}

// fail notes what is wrong with the input; it goes on where it can.
func (in *liveInput) fail(err error) {
	in.d.log.Error("input", "input", in.cfg.Name, "error", err)
	in.mu.Lock()
	in.err = err.Error()
	in.mu.Unlock()
}

// status is the input's account, and the telemetry levels it carries.
func (in *liveInput) status() (picket.SourceStatus, string) {
	s := in.acct.Snapshot()
	in.mu.Lock()
	defer in.mu.Unlock()
	st := picket.SourceStatus{
		Name: in.cfg.Name, Format: in.format.Name, Transport: in.cfg.transport(), Accepted: s.Accepted,
		Rejected: map[string]int64{}, Skipped: map[string]int64{}, LastEvent: s.LastSeen, Error: in.err,
	}
	if st.Format == "" {
		st.Format = in.cfg.Format
	}
	for _, r := range s.Rejected {
		st.Rejected[r.Reason] = r.Count
	}
	for _, r := range s.Skipped {
		st.Skipped[r.Reason] = r.Count
	}
	if n := in.dropped.Load(); n > 0 {
		st.Rejected["dropped before reading"] = n
	}
	return st, in.format.Levels
}

// reached is told how far a followed file has been read.
func (in *liveInput) reached(p transport.Position) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.pos, in.after = &p, in.d.fed()
}

// fed is how many queries the inputs have accepted together.
func (d *daemon) fed() int64 {
	var n int64
	for _, in := range d.inputs {
		n += in.acct.Snapshot().Accepted
	}
	return n
}

// savePosition writes the last position whose queries are all processed and whose
// findings are stored.
func (in *liveInput) savePosition(ended bool) error {
	in.mu.Lock()
	p := in.pos
	if p == nil || !ended && (in.d.rec.Queries() < in.after || !in.d.writer.idle()) {
		in.mu.Unlock()
		return nil
	}
	in.pos = nil
	in.mu.Unlock()
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	path := in.positionPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o640); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (in *liveInput) loadPosition() (*transport.Position, error) {
	b, err := os.ReadFile(in.positionPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read position: %w", err)
	}
	var p transport.Position
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("read position %s: %w; remove the file to start anew", in.positionPath(), err)
	}
	return &p, nil
}

func (in *liveInput) positionPath() string {
	return filepath.Join(in.d.cfg.DataDir, "positions", url.PathEscape(in.cfg.Name)+".json")
}
