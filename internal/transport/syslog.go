package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// defaultQueue is how much syslog waits for its reader, in bytes.
	defaultQueue = 4 << 20
	// maxMessage bounds one message. RFC 5424 §6.1 asks for 2,048 bytes at least;
	// a UDP datagram has at most 65,507.
	maxMessage = 64 << 10
	// syslogIdle closes TCP connections that are silent for that long.
	syslogIdle = 30 * time.Minute
	// syslogBuffer is what the system is asked to hold of datagrams, in bytes.
	syslogBuffer = 4 << 20
)

// SyslogConfig says where to listen for syslog. At least one address is needed.
type SyslogConfig struct {
	UDP, TCP string // host:port, "" for none
	// TLS is the host:port for syslog over TLS (RFC 5425), with TLSConfig.
	TLS       string
	TLSConfig *tls.Config
	// MaxConns bounds the connections served at once, of TCP and TLS each; 0 means 256.
	MaxConns int
	// Idle closes connections on which nothing has come for that long; 0 means 30
	// minutes.
	Idle time.Duration
	// Queue bounds the bytes that wait for the reader; 0 means 4 MiB. When it is
	// full UDP messages are dropped, and TCP senders are made to wait.
	Queue int
	// Dropped, when set, is told of messages and connections lost, with the reason.
	// It is called from several goroutines.
	Dropped func(reason string, n int)
	// ContentOnly removes the syslog header (RFC 3164 §4.1, RFC 5424 §6), for
	// formats that do not know it. Before JSON it is removed anyway.
	ContentOnly bool
}

// Syslog receives syslog messages, of RFC 3164 and RFC 5424, over UDP (RFC 5426),
// TCP (RFC 6587, octet counting and newlines) and TLS (RFC 5425), and is a reader
// of them, one message a line. It has one reader and ends with its context.
type Syslog struct {
	*queue
	cfg    SyslogConfig
	udp    net.PacketConn
	tcp    *Listener
	tls    *Listener
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewSyslog begins to receive.
func NewSyslog(ctx context.Context, cfg SyslogConfig) (*Syslog, error) {
	switch {
	case cfg.UDP == "" && cfg.TCP == "" && cfg.TLS == "":
		return nil, errors.New("syslog: no address to listen at")
	case cfg.TLS != "" && cfg.TLSConfig == nil:
		return nil, fmt.Errorf("syslog: %s: TLS needs a certificate", cfg.TLS)
	}
	if cfg.Idle <= 0 {
		cfg.Idle = syslogIdle
	}
	if cfg.Queue <= 0 {
		cfg.Queue = defaultQueue
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Syslog{cfg: cfg, queue: newQueue(ctx, cfg.Queue), cancel: cancel}
	if err := s.listen(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("syslog: %w", err)
	}
	if s.udp != nil {
		s.wg.Go(func() { s.receive(ctx) })
	}
	for _, l := range [...]*Listener{s.tcp, s.tls} {
		if l != nil {
			s.wg.Go(func() { _ = l.Serve(ctx, s.stream) })
		}
	}
	return s, nil
}

// listen opens what is configured, or nothing.
func (s *Syslog) listen(ctx context.Context) (err error) {
	defer func() {
		for _, l := range [...]*Listener{s.tcp, s.tls} {
			if err != nil && l != nil {
				_ = l.Close()
			}
		}
	}()
	cfg := ListenConfig{Network: "tcp", MaxConns: s.cfg.MaxConns, Idle: s.cfg.Idle, Dropped: s.cfg.Dropped}
	if cfg.Address = s.cfg.TCP; cfg.Address != "" {
		if s.tcp, err = Listen(ctx, cfg); err != nil {
			return err
		}
	}
	cfg.TLS = s.cfg.TLSConfig
	if cfg.Address = s.cfg.TLS; cfg.Address != "" {
		if s.tls, err = Listen(ctx, cfg); err != nil {
			return err
		}
	}
	if s.cfg.UDP != "" {
		var lc net.ListenConfig
		if s.udp, err = lc.ListenPacket(ctx, "udp", s.cfg.UDP); err != nil {
			return err
		}
		if c, ok := s.udp.(*net.UDPConn); ok {
			_ = c.SetReadBuffer(syslogBuffer) // the system may allow less
		}
	}
	return nil
}

// Addrs returns where messages are received; nil for what is not listened at.
func (s *Syslog) Addrs() (udp, tcp net.Addr) {
	if s.udp != nil {
		udp = s.udp.LocalAddr()
	}
	if s.tcp != nil {
		tcp = s.tcp.Addr()
	}
	return udp, tcp
}

// TLSAddr returns where messages are received over TLS; nil for nowhere.
func (s *Syslog) TLSAddr() net.Addr {
	if s.tls == nil {
		return nil
	}
	return s.tls.Addr()
}

// Close stops receiving and waits until everything has. What had been received
// is lost to a reader that comes after.
func (s *Syslog) Close() error {
	s.cancel()
	s.queue.close()
	s.wg.Wait()
	return nil
}

func (s *Syslog) dropped(reason string) {
	if s.cfg.Dropped != nil {
		s.cfg.Dropped(reason, 1)
	}
}

// receive reads datagrams until ctx is done.
func (s *Syslog) receive(ctx context.Context) {
	unhook := context.AfterFunc(ctx, func() { _ = s.udp.Close() })
	defer unhook()
	buf := make([]byte, maxMessage)
	for {
		n, _, err := s.udp.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // such as an ICMP error of an earlier sender
		}
		if msg := s.message(buf[:n]); len(msg) > 0 && !s.put(msg) {
			s.dropped(DroppedFull)
		}
	}
}

// message returns what is handed on of a received message.
func (s *Syslog) message(b []byte) []byte {
	b = bytes.TrimRight(b, "\x00\r\n")
	c := content(b)
	if s.cfg.ContentOnly || len(c) > 0 && c[0] == '{' { // JSON has its own time
		return c
	}
	return b
}

// stream reads one TCP connection.
func (s *Syslog) stream(ctx context.Context, conn io.ReadWriteCloser) {
	r := bufio.NewReaderSize(conn, maxMessage)
	for {
		msg, err := frame(r)
		switch {
		case errors.Is(err, errTooLong):
			s.dropped(DroppedLong)
			continue
		case err != nil && len(msg) == 0:
			return
		}
		if msg = s.message(msg); len(msg) > 0 && !s.putWait(ctx, msg) {
			s.dropped(s.why(msg))
		}
		if err != nil {
			return
		}
	}
}

// why says why a message could not even wait.
func (s *Syslog) why(msg []byte) string {
	if len(msg)+1 > s.cfg.Queue {
		return DroppedFull
	}
	return DroppedEnd
}

var errTooLong = errors.New("message too long")

// frame reads one message: LENGTH SP MESSAGE when it begins with a digit other
// than 0, else up to a newline (RFC 6587 §3.4). The slice is valid until the next read.
func frame(r *bufio.Reader) ([]byte, error) {
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] >= '1' && first[0] <= '9' {
		head, _ := r.Peek(6)
		n, digits := 0, 0
		for digits < len(head) && head[digits] >= '0' && head[digits] <= '9' {
			n = n*10 + int(head[digits]-'0')
			digits++
		}
		if digits < len(head) && head[digits] == ' ' {
			_, _ = r.Discard(digits + 1)
			if n > maxMessage {
				if _, err := r.Discard(n); err != nil {
					return nil, err
				}
				return nil, errTooLong
			}
			msg, err := r.Peek(n)
			_, _ = r.Discard(len(msg))
			return msg, err
		}
	}
	msg, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return nil, err
		}
		return nil, errTooLong
	}
	return msg, err
}

// content cuts the header off a message: <PRI>1 TIME HOST APP PROC ID SD of RFC
// 5424, or <PRI>Mmm dd hh:mm:ss HOST TAG: of RFC 3164. What looks like neither
// stays whole.
func content(b []byte) []byte {
	if len(b) == 0 || b[0] != '<' {
		return b
	}
	end := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if end < 2 {
		return b
	}
	rest := b[end+1:]
	if v, ok := bytes.CutPrefix(rest, []byte("1 ")); ok {
		for range 5 {
			i := bytes.IndexByte(v, ' ')
			if i < 0 {
				return rest
			}
			v = v[i+1:]
		}
		return bytes.TrimPrefix(skipStructured(v), []byte("\xef\xbb\xbf"))
	}
	if len(rest) > 16 && rest[3] == ' ' && rest[15] == ' ' {
		v := rest[16:]
		if host := bytes.IndexByte(v, ' '); host >= 0 {
			if tag := bytes.Index(v[host:], []byte(": ")); tag >= 0 && tag <= 64 {
				return v[host+tag+2:]
			}
		}
	}
	return rest
}

// skipStructured passes over structured data: - or [ID NAME="VALUE"…]…
func skipStructured(v []byte) []byte {
	if len(v) > 0 && v[0] == '-' {
		return bytes.TrimPrefix(v[1:], []byte(" "))
	}
	quoted := false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted && (i+1 == len(v) || v[i+1] != '['):
			return bytes.TrimPrefix(v[i+1:], []byte(" "))
		}
	}
	return v
}
