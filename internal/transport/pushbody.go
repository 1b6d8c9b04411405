package transport

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// errEncoding is of a Content-Encoding that is not known here.
var errEncoding = errors.New("send the body as it is, or with Content-Encoding gzip or zstd")

// expandBody decompresses a body that a Content-Encoding was applied to, and
// bounds what comes out.
func expandBody(encoding string, r io.Reader, limit int64) (io.Reader, func(), error) {
	b := &body{r: r, left: limit}
	done := func() {}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return b, done, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, bodyError(err)
		}
		b.r, b.what = z, "gzip"
	case "zstd":
		// RFC 9659 lets a window of 8 MiB suffice for this encoding.
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, bodyError(err)
		}
		b.r, b.what, done = z, "zstd", z.Close
	default:
		return nil, nil, errEncoding
	}
	return b, done, nil
}

// bodyError makes an error of decompressing the sender's.
func bodyError(err error) error {
	var tooLong *http.MaxBytesError
	var network net.Error
	if errors.As(err, &tooLong) || errors.As(err, &network) {
		return err
	}
	return fmt.Errorf("%w compressed body: %w", ErrInvalid, err)
}

// body is a bounded reader.
type body struct {
	r    io.Reader
	what string // the compression
	left int64  // bytes
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.left = 0
		return n - 1, fmt.Errorf("body: %w", ErrTooLarge)
	}
	if err != nil && err != io.EOF && b.what != "" {
		err = bodyError(err)
	}
	return n, err
}

// tokens knows bearer tokens by their SHA-256, so that comparing them takes the
// same time whatever they are.
type tokens struct {
	fixed [][sha256.Size]byte
	path  string

	mu      sync.Mutex
	listed  [][sha256.Size]byte
	looked  time.Time
	changed time.Time
	size    int64
}

// minToken is the least length of a token that cannot be guessed.
const minToken = 16

// newTokens returns nil when there are no tokens.
func newTokens(list []string, path string) (*tokens, error) {
	if len(list) == 0 && path == "" {
		return nil, nil
	}
	t := &tokens{path: path}
	for _, s := range list {
		if len(s) < minToken {
			return nil, fmt.Errorf("a token has at least %d characters", minToken)
		}
		t.fixed = append(t.fixed, sha256.Sum256([]byte(s)))
	}
	if path == "" {
		return t, nil
	}
	if err := t.read(); err != nil {
		return nil, err
	}
	if len(t.fixed)+len(t.listed) == 0 {
		return nil, fmt.Errorf("token file %s has no token; write one a line", path)
	}
	return t, nil
}

// read reads the token file if it has changed.
func (t *tokens) read() error {
	st, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if st.ModTime().Equal(t.changed) && st.Size() == t.size {
		return nil
	}
	f, err := os.Open(t.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	defer func() { _ = f.Close() }()
	var listed [][sha256.Size]byte
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) < minToken {
			return fmt.Errorf("token file %s line %d: a token has at least %d characters", t.path, n, minToken)
		}
		listed = append(listed, sha256.Sum256([]byte(line)))
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("token file %s: %w", t.path, err)
	}
	t.listed, t.changed, t.size = listed, st.ModTime(), st.Size()
	return nil
}

// known reports whether a token is one of the list. With an error the last good
// list counts.
func (t *tokens) known(token string) (bool, error) {
	sum := sha256.Sum256([]byte(token))
	found := 0
	for i := range t.fixed {
		found |= subtle.ConstantTimeCompare(sum[:], t.fixed[i][:])
	}
	if t.path == "" {
		return found == 1, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	if now := time.Now(); now.Sub(t.looked) > time.Second {
		t.looked = now
		err = t.read()
	}
	for i := range t.listed {
		found |= subtle.ConstantTimeCompare(sum[:], t.listed[i][:])
	}
	return found == 1, err
}

// boundListener closes connections beyond its slots at once.
type boundListener struct {
	net.Listener
	slots   chan struct{}
	dropped func(reason string, n int)
}

func (l *boundListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &boundConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			_ = c.Close()
			l.dropped(DroppedConns, 1)
		}
	}
}

// boundConn gives its slot back when it is closed.
type boundConn struct {
	net.Conn
	free func()
}

func (c *boundConn) Close() error {
	c.free()
	return c.Conn.Close()
}
