package transport

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	defaultMaxBody     = 64 << 20
	defaultInFlight    = 16
	defaultPushTimeout = 5 * time.Minute
	// pushGrace is how long deliveries may take to finish when the context is done.
	pushGrace = 10 * time.Second
	// maxKey bounds an idempotency key.
	maxKey = 256
)

// What a push handler's error may wrap, to choose the answer.
var (
	// ErrBusy says that there is no room now: 429, try again.
	ErrBusy = errors.New("busy")
	// ErrUnavailable says that nothing can be taken now: 503, try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid says that this body will never be taken: 400, do not try again. The
	// sender is told the error's text.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge is what reading a body beyond its limit gives: 413.
	ErrTooLarge = errors.New("too large")
)

// PushConfig says where to be pushed to over HTTP.
type PushConfig struct {
	// Address is host:port.
	Address string
	// TLS, when set, serves HTTPS. LoadServerTLS makes one.
	TLS *tls.Config
	// Tokens are the bearer tokens that senders may show. TokenFile names a file
	// with further ones, one a line; it is read again when it changes. Without any
	// token senders must show a client certificate (TLS), or be on this machine:
	// everything else is refused by NewPush.
	Tokens    []string
	TokenFile string
	// MaxBody bounds a body, in bytes, as sent and as decompressed; 0 means 64 MiB.
	MaxBody int64
	// MaxInFlight bounds the deliveries handled at once; 0 means 16. MaxInFlightBytes
	// bounds the sum of their announced lengths; 0 means four times MaxBody. Beyond
	// that senders are told to come back.
	MaxInFlight      int
	MaxInFlightBytes int64
	// MaxConns bounds the connections held at once; 0 means 256.
	MaxConns int
	// Timeout bounds how long sending one body may take; 0 means 5 minutes.
	Timeout time.Duration
	// Dropped, when set, is told of connections and deliveries that were refused,
	// with the reason. It is called from several goroutines.
	Dropped func(reason string, n int)
	// Failed, when set, is told of errors whose text the sender does not see.
	Failed func(err error)
}

// Delivery is one pushed body.
type Delivery struct {
	// Name is the path's last element: POST /dns-logs gives "dns-logs", POST / gives "".
	Name string
	// Key is the Idempotency-Key header, "" without one. The handler knows which
	// keys it has had.
	Key string
	// ContentType is as the sender says it.
	ContentType string
	// Remote is who sent it, as far as the network tells.
	Remote netip.AddrPort
	// Body is decompressed and bounded; beyond the bound it gives ErrTooLarge.
	Body io.Reader

	// Result is the handler's account of the body, for the answer. Duplicate, set by
	// the handler, tells the sender that a body with this key was taken before, and
	// not again.
	Result    PushResult
	Duplicate bool
}

// PushResult is what became of a body's records.
type PushResult struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	Skipped  int64 `json:"skipped"`
}

// Push takes telemetry over HTTP: POST / and POST /{name}, any body, as it is or
// compressed with gzip or zstd. The answer comes when the handler has returned.
type Push struct {
	cfg    PushConfig
	handle func(ctx context.Context, d *Delivery) error
	tokens *tokens
	ln     net.Listener

	mu    sync.Mutex
	count int
	bytes int64
}

// NewPush begins to listen; Serve answers.
func NewPush(ctx context.Context, cfg PushConfig, handle func(ctx context.Context, d *Delivery) error) (*Push, error) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultInFlight
	}
	if cfg.MaxInFlightBytes <= 0 {
		cfg.MaxInFlightBytes = 4 * cfg.MaxBody
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = defaultConns
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultPushTimeout
	}
	p := &Push{cfg: cfg, handle: handle}
	var err error
	if p.tokens, err = newTokens(cfg.Tokens, cfg.TokenFile); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	var lc net.ListenConfig
	if p.ln, err = lc.Listen(ctx, "tcp", cfg.Address); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	if a, ok := p.ln.Addr().(*net.TCPAddr); p.tokens == nil && !p.certificates() && ok && !a.IP.IsLoopback() {
		_ = p.ln.Close()
		return nil, fmt.Errorf("push: %s can be reached from elsewhere, and anybody could push: set tokens, require client certificates, or listen at 127.0.0.1 or ::1", cfg.Address)
	}
	return p, nil
}

// certificates reports whether senders must show a certificate.
func (p *Push) certificates() bool {
	return p.cfg.TLS != nil && p.cfg.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// Addr is where it listens.
func (p *Push) Addr() net.Addr { return p.ln.Addr() }

// Close closes a Push that is not served.
func (p *Push) Close() error { return p.ln.Close() }

// Serve answers until ctx is done. Deliveries that are being handled then have
// ten seconds to finish, with a context that is not done yet.
func (p *Push) Serve(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       p.cfg.Timeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return inner },
		ErrorLog:          log.New(failedWriter{p.failed}, "", 0),
	}
	ln := net.Listener(&boundListener{Listener: p.ln, slots: make(chan struct{}, p.cfg.MaxConns), dropped: p.dropped})
	if p.cfg.TLS != nil {
		cfg := p.cfg.TLS.Clone()
		cfg.NextProtos = []string{"h2", "http/1.1"}
		ln = tls.NewListener(ln, cfg)
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, done := context.WithTimeout(inner, pushGrace)
		defer done()
		if srv.Shutdown(grace) != nil {
			cancel()
			_ = srv.Close()
		}
	})
	err := srv.Serve(ln)
	if !unhook() {
		<-stopped
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("push %s: %w", p.ln.Addr(), err)
}

func (p *Push) dropped(reason string, n int) {
	if p.cfg.Dropped != nil {
		p.cfg.Dropped(reason, n)
	}
}

func (p *Push) failed(err error) {
	if p.cfg.Failed != nil {
		p.cfg.Failed(fmt.Errorf("push: %w", err))
	}
}

// failedWriter hands the server's own complaints on.
type failedWriter struct{ failed func(error) }

func (w failedWriter) Write(b []byte) (int, error) {
	w.failed(errors.New(strings.TrimSpace(string(b))))
	return len(b), nil
}

// serve answers one request.
func (p *Push) serve(w http.ResponseWriter, r *http.Request) {
	d := &Delivery{Key: r.Header.Get("Idempotency-Key"), ContentType: r.Header.Get("Content-Type")}
	d.Remote, _ = netip.ParseAddrPort(r.RemoteAddr)
	if status, message := p.admit(w, r, d); status != 0 {
		p.refuse(w, status, message)
		return
	}
	length := r.ContentLength
	if length < 0 {
		length = p.cfg.MaxBody
	}
	if !p.take(length) {
		p.refuse(w, http.StatusTooManyRequests, "too much is being handled already")
		return
	}
	defer p.give(length)
	body, closer, err := expandBody(r.Header.Get("Content-Encoding"), http.MaxBytesReader(w, r.Body, p.cfg.MaxBody), p.cfg.MaxBody)
	if err != nil {
		status, message := p.status(err)
		p.refuse(w, status, message)
		return
	}
	defer closer()
	d.Body = body
	if err := p.handle(r.Context(), d); err != nil {
		status, message := p.status(err)
		p.refuse(w, status, message)
		return
	}
	answer(w, http.StatusOK, struct {
		PushResult
		Duplicate bool `json:"duplicate,omitempty"`
	}{d.Result, d.Duplicate})
}

// admit says why a request is not a delivery; 0 when it is one.
func (p *Push) admit(w http.ResponseWriter, r *http.Request, d *Delivery) (status int, message string) {
	if p.tokens != nil {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="picket"`)
			return http.StatusUnauthorized, "send a token: Authorization: Bearer TOKEN"
		}
		known, err := p.tokens.known(strings.TrimSpace(token))
		if err != nil {
			p.failed(err)
		}
		if !known {
			return http.StatusForbidden, "this token is not known"
		}
	}
	d.Name = strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case !nameOK(d.Name):
		return http.StatusNotFound, "send to / or /NAME, a name of letters, digits, dots, dashes and underscores"
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "use POST"
	case len(d.Key) > maxKey || strings.ContainsFunc(d.Key, func(c rune) bool { return c < ' ' || c > '~' }):
		return http.StatusBadRequest, "an Idempotency-Key has at most 256 printable ASCII characters"
	case r.ContentLength > p.cfg.MaxBody:
		return http.StatusRequestEntityTooLarge, p.tooLarge()
	}
	return 0, ""
}

func nameOK(s string) bool {
	return len(s) <= 64 && s != "." && s != ".." && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

func (p *Push) tooLarge() string {
	return "a body has at most " + strconv.FormatInt(p.cfg.MaxBody, 10) + " bytes, decompressed; send several"
}

// take reserves room for a delivery, and reports whether there was any.
func (p *Push) take(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= p.cfg.MaxInFlight || p.count > 0 && p.bytes+n > p.cfg.MaxInFlightBytes {
		return false
	}
	p.count++
	p.bytes += n
	return true
}

func (p *Push) give(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
	p.bytes -= n
}

// status is the answer to an error. The text of unexpected ones stays here.
func (p *Push) status(err error) (int, string) {
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, ErrTooLarge), errors.As(err, &tooLong):
		return http.StatusRequestEntityTooLarge, p.tooLarge()
	case errors.Is(err, errEncoding):
		return http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, ErrBusy):
		return http.StatusTooManyRequests, "busy"
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled):
		p.failed(err)
		return http.StatusServiceUnavailable, "unavailable"
	}
	p.failed(err)
	return http.StatusInternalServerError, "internal error"
}

// refuse answers with an error, and counts it.
func (p *Push) refuse(w http.ResponseWriter, status int, message string) {
	p.dropped(strings.ToLower(http.StatusText(status)), 1)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a sender that is gone does not matter any more
}
