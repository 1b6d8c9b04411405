package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
)

// defaultConns is how many connections are served at once.
const defaultConns = 256

// ListenConfig says where to listen for streams.
type ListenConfig struct {
	Network string // "unix" or "tcp"
	Address string // path or host:port
	// Mode is the permission of a unix socket; 0 leaves what the umask gives.
	Mode fs.FileMode
	// MaxConns bounds the connections served at once; more are closed at once.
	// 0 means 256.
	MaxConns int
	// Refused, when set, is called for each connection closed for that reason.
	Refused func()
}

// Listener accepts stream connections.
type Listener struct {
	cfg ListenConfig
	l   net.Listener
}

// Listen opens a listener. A unix socket that nobody listens at any more is
// replaced.
func Listen(ctx context.Context, cfg ListenConfig) (*Listener, error) {
	if cfg.Network != "unix" && cfg.Network != "tcp" {
		return nil, fmt.Errorf("listen: network %q: want unix or tcp", cfg.Network)
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = defaultConns
	}
	if cfg.Network == "unix" {
		if err := removeStale(ctx, cfg.Address); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, cfg.Network, cfg.Address)
	if err != nil {
		return nil, err // names the operation and the address already
	}
	if cfg.Network == "unix" && cfg.Mode != 0 {
		if err := os.Chmod(cfg.Address, cfg.Mode); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	return &Listener{cfg: cfg, l: l}, nil
}

// removeStale removes a unix socket that nobody answers at, and nothing else.
func removeStale(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket", path)
	}
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is in use", path)
	}
	return os.Remove(path)
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.l.Addr() }

// Serve calls handle for each connection in a goroutine of its own until ctx is
// done, then closes what is open and returns when all handlers have. A connection
// is closed when its handler returns.
func (l *Listener) Serve(ctx context.Context, handle func(ctx context.Context, conn io.ReadWriteCloser)) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.l.Close() })
	defer stop()
	slots := make(chan struct{}, l.cfg.MaxConns)
	for {
		conn, err := l.l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			_ = l.l.Close()
			return fmt.Errorf("listen %s: %w", l.l.Addr(), err)
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = conn.Close()
			if l.cfg.Refused != nil {
				l.cfg.Refused()
			}
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer func() { _ = conn.Close() }()
			unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer unhook()
			handle(ctx, conn)
		})
	}
}

// Close closes a listener that is not served.
func (l *Listener) Close() error { return l.l.Close() }
