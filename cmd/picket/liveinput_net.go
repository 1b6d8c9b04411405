package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/transport"
)

func (in *liveInput) listen(ctx context.Context, running *sync.WaitGroup, network, addr string) error {
	t, err := in.serverTLS()
	if err != nil {
		return err
	}
	l, err := transport.Listen(ctx, transport.ListenConfig{Network: network, Address: addr, TLS: t, Mode: 0o660, Dropped: in.desk.Drop})
	if err != nil {
		return err
	}
	in.d.log.Info("listening", "input", in.cfg.Name, "network", network, "address", l.Addr().String())
	running.Go(func() {
		err := l.Serve(ctx, func(ctx context.Context, conn io.ReadWriteCloser) { in.takeConn(ctx, conn, "") })
		if err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	return nil
}

// serverTLS is the listener's certificate, nil when it has none.
func (in *liveInput) serverTLS() (*tls.Config, error) {
	t := in.cfg.TLS
	if t == nil {
		return nil, nil
	}
	return transport.LoadServerTLS(t.CertFile, t.KeyFile, t.ClientCAFile)
}

func (in *liveInput) syslog(ctx context.Context, running *sync.WaitGroup) error {
	f, known := input.ByName(in.cfg.Format)
	t, err := in.serverTLS()
	if err != nil {
		return err
	}
	s, err := transport.NewSyslog(ctx, transport.SyslogConfig{
		UDP: in.cfg.SyslogUDP, TCP: in.cfg.SyslogTCP, TLS: in.cfg.SyslogTLS, TLSConfig: t,
		ContentOnly: known && !f.Syslog, Dropped: in.desk.Drop,
	})
	if err != nil {
		return err
	}
	in.d.log.Info("listening for syslog", "input", in.cfg.Name, "address", in.cfg.way().place)
	running.Go(func() {
		// What cannot be made sense of is dropped and counted; what comes after it is
		// looked at anew.
		for !in.takeConn(ctx, s, "") && ctx.Err() == nil {
		}
		if err := s.Close(); err != nil {
			in.fail(err)
		}
	})
	return nil
}

// capture takes packets from a network interface.
func (in *liveInput) capture(ctx context.Context, running *sync.WaitGroup) error {
	c, err := transport.NewCapture(ctx, transport.CaptureConfig{
		Interface: in.cfg.Capture.Interface, Ports: in.cfg.Capture.ports(), Promiscuous: in.cfg.Capture.Promiscuous, Dropped: in.desk.Drop,
	})
	if err != nil {
		return err
	}
	in.d.log.Info("capturing", "input", in.cfg.Name, "interface", in.cfg.Capture.Interface)
	running.Go(func() {
		in.takeConn(ctx, c, in.cfg.Capture.Interface)
		if err := c.Close(); err != nil {
			in.fail(err)
		}
	})
	return nil
}

// pushed takes what senders push over HTTP. A request is answered when it counts.
func (in *liveInput) pushed(ctx context.Context, running *sync.WaitGroup) error {
	c := in.cfg.HTTP
	keys := inHand{keys: map[string]bool{}}
	t, err := in.serverTLS()
	if err != nil {
		return err
	}
	p, err := transport.NewPush(ctx, transport.PushConfig{
		Address: c.Address, TLS: t, TokenFile: c.TokenFile, MaxBody: int64(c.MaxBodyMiB) << 20,
		Dropped: in.desk.Drop, Failed: in.fail,
	}, func(ctx context.Context, d *transport.Delivery) error {
		if d.Key == "" {
			return in.takeRequest(ctx, d)
		}
		if !keys.take(d.Key) {
			return fmt.Errorf("%w: a request with the same key is being taken in", transport.ErrBusy)
		}
		defer keys.give(d.Key)
		m, err := in.desk.Marked(ctx, d.Key)
		switch {
		case errors.Is(err, picket.ErrNotFound):
			return in.takeRequest(ctx, d)
		case err != nil:
			return fmt.Errorf("%w: %w", transport.ErrUnavailable, err)
		}
		d.Duplicate = true
		return json.Unmarshal(m.Result, &d.Result)
	})
	if err != nil {
		return err
	}
	in.d.log.Info("listening for HTTP", "input", in.cfg.Name, "address", p.Addr().String())
	running.Go(func() {
		if err := p.Serve(ctx); err != nil && ctx.Err() == nil {
			in.fail(err)
		}
	})
	return nil
}

// takeRequest takes in the body of a request.
func (in *liveInput) takeRequest(ctx context.Context, d *transport.Delivery) error {
	var badResult error
	_, content, err := in.takeWhole(ctx, d.Body, d.Name, nil, func(c picket.InputCounts) []picket.DeliveryMark {
		d.Result = pushResult(c)
		if d.Key == "" {
			return nil
		}
		var b []byte
		b, badResult = json.Marshal(d.Result)
		return []picket.DeliveryMark{{Key: d.Key, Result: b}}
	})
	switch {
	case err != nil && (errors.Is(err, transport.ErrTooLarge) || errors.Is(err, transport.ErrInvalid)):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", transport.ErrUnavailable, err)
	case content != nil:
		return fmt.Errorf("%w: %w", transport.ErrInvalid, content)
	}
	return badResult
}

func pushResult(c picket.InputCounts) transport.PushResult {
	r := transport.PushResult{Accepted: c.Accepted}
	for _, n := range c.Rejected {
		r.Rejected += n
	}
	for _, n := range c.Skipped {
		r.Skipped += n
	}
	return r
}

// inHand keeps two requests with one key from being taken in side by side.
type inHand struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (h *inHand) take(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys[key] {
		return false
	}
	h.keys[key] = true
	return true
}

func (h *inHand) give(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.keys, key)
}
