package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Timeouts of Server. /events lifts the read and write timeouts for itself and
// sets one per message instead.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Server returns a server for the console with all timeouts set. Its Shutdown
// ends the streams of /events, which would otherwise keep it waiting.
func (c *Console) Server(addr string) *http.Server {
	srv := &http.Server{
		Addr:              addr,
		Handler:           c,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(func() { _ = c.Close() })
	return srv
}

// ListenOptions governs which addresses Listen accepts.
type ListenOptions struct {
	// AllowNonLoopback permits addresses that other machines can reach. Set it
	// only where a proxy or a firewall decides who may read the findings.
	AllowNonLoopback bool
}

// Listen opens a TCP socket for the console. Without AllowNonLoopback every
// address that addr stands for must be a loopback address.
func Listen(ctx context.Context, addr string, o ListenOptions) (net.Listener, error) {
	if !o.AllowNonLoopback {
		checked, err := loopbackOnly(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		addr = checked
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// loopbackOnly returns addr with its host resolved, so that what was checked is
// what gets bound.
func loopbackOnly(ctx context.Context, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("want host:port, such as 127.0.0.1:8053: %w", err)
	}
	if host == "" {
		return "", refuse("an empty host means every address of this machine")
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	var bind netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		if !ip.IsLoopback() {
			return "", refuse(ip.String() + " is not a loopback address")
		}
		if !bind.IsValid() || ip.Is4() {
			bind = ip
		}
	}
	if !bind.IsValid() {
		return "", refuse("the host has no address")
	}
	return net.JoinHostPort(bind.String(), port), nil
}

func refuse(why string) error {
	return fmt.Errorf("refused: %s, and the console has no login of its own; "+
		"bind 127.0.0.1 or [::1] and put an authenticating proxy in front, or allow other addresses explicitly (AllowNonLoopback)", why)
}
