package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// defaultConns is how many connections are served at once.
const defaultConns = 256

// ListenConfig says where to listen for streams.
type ListenConfig struct {
	Network string // "unix" or "tcp"
	Address string // path or host:port
	// TLS, when set, is spoken on TCP. LoadServerTLS makes one.
	TLS *tls.Config
	// Mode is the permission of a unix socket; 0 leaves what the umask gives.
	Mode fs.FileMode
	// MaxConns bounds the connections served at once; more are closed at once.
	// 0 means 256.
	MaxConns int
	// Idle closes connections on which nothing has come for that long; 0 means never,
	// since a quiet name server has nothing to say.
	Idle time.Duration
	// Dropped, when set, is told of connections that were not served, with the reason.
	// It is called from several goroutines.
	Dropped func(reason string, n int)
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
	if cfg.TLS != nil && cfg.Network != "tcp" {
		return nil, fmt.Errorf("listen %s: TLS is for tcp", cfg.Address)
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
			l.dropped(DroppedConns)
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer func() { _ = conn.Close() }()
			unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer unhook()
			if l.cfg.TLS != nil {
				secure := tls.Server(conn, l.cfg.TLS)
				if handshake(ctx, secure) != nil {
					if ctx.Err() == nil {
						l.dropped(DroppedTLS)
					}
					return
				}
				defer func() { _ = secure.Close() }()
				conn = secure
			}
			if l.cfg.Idle > 0 {
				conn = &idleConn{Conn: conn, idle: l.cfg.Idle, heard: time.Now()}
			}
			handle(ctx, conn)
		})
	}
}

func handshake(ctx context.Context, c *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, tlsHandshake)
	defer cancel()
	return c.HandshakeContext(ctx)
}

func (l *Listener) dropped(reason string) {
	if l.cfg.Dropped != nil {
		l.cfg.Dropped(reason, 1)
	}
}

// Close closes a listener that is not served.
func (l *Listener) Close() error { return l.l.Close() }

// idleConn ends when nothing has come for some time. Its reader may have deadlines
// of its own before.
type idleConn struct {
	net.Conn
	idle time.Duration

	mu    sync.Mutex
	asked time.Time // the reader's deadline
	heard time.Time
}

// SetReadDeadline implements net.Conn.
func (c *idleConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = t
	return c.limit()
}

// limit sets the deadline that comes first. The caller holds c.mu.
func (c *idleConn) limit() error {
	t := c.heard.Add(c.idle)
	if !c.asked.IsZero() && c.asked.Before(t) {
		t = c.asked
	}
	return c.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (c *idleConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	err := c.limit()
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.heard = time.Now()
	}
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(c.heard) >= c.idle {
		return 0, io.EOF
	}
	return n, err
}
