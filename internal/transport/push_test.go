package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const testToken = "correct horse battery staple"

// drops collects what a transport says it dropped.
type drops struct {
	mu sync.Mutex
	n  map[string]int
}

func (d *drops) add(reason string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.n == nil {
		d.n = map[string]int{}
	}
	d.n[reason] += n
}

func (d *drops) get(reason string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n[reason]
}

// startPush serves cfg until the test ends, and returns the URL.
func startPush(t *testing.T, cfg PushConfig, handle func(context.Context, *Delivery) error) string {
	t.Helper()
	cfg.Address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	p, err := NewPush(ctx, cfg, handle)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	scheme := "http://"
	if cfg.TLS != nil {
		scheme = "https://"
	}
	return scheme + p.Addr().String()
}

func push(t *testing.T, method, url string, body io.Reader, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b)), resp.Header
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPush(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zst := string(encoder.EncodeAll([]byte("by zstd"), nil))
	var refused drops
	var unexpected []string
	cfg := PushConfig{Tokens: []string{testToken}, MaxBody: 1000, Dropped: refused.add, Failed: func(err error) { unexpected = append(unexpected, err.Error()) }}
	url := startPush(t, cfg, func(_ context.Context, d *Delivery) error {
		b, err := io.ReadAll(d.Body)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		switch string(b) {
		case "busy":
			return fmt.Errorf("queue: %w", ErrBusy)
		case "down":
			return fmt.Errorf("store at /secret/path: %w", ErrUnavailable)
		case "what":
			return fmt.Errorf("%w: no format is like it", ErrInvalid)
		case "bug":
			return errors.New("/secret/path: oops")
		}
		d.Result = PushResult{Accepted: int64(len(b)), Rejected: 1, Skipped: 2}
		d.Duplicate = d.Key == "again"
		if d.Name == "who" && !d.Remote.Addr().IsLoopback() {
			return errors.New("sender is not told")
		}
		return nil
	})
	auth := []string{"Authorization", "Bearer " + testToken}
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		answer                   string
	}{
		{"plain", "POST", "/", "12345", auth, 200, `{"accepted":5,"rejected":1,"skipped":2}`},
		{"named", "POST", "/who", "123", auth, 200, `{"accepted":3,"rejected":1,"skipped":2}`},
		{"duplicate", "POST", "/", "1", append([]string{"Idempotency-Key", "again"}, auth...), 200, `{"accepted":1,"rejected":1,"skipped":2,"duplicate":true}`},
		{"gzip", "POST", "/", zipped(t, "by gzip"), append([]string{"Content-Encoding", "gzip"}, auth...), 200, `{"accepted":7,"rejected":1,"skipped":2}`},
		{"zstd", "POST", "/", zst, append([]string{"Content-Encoding", "zstd"}, auth...), 200, `{"accepted":7,"rejected":1,"skipped":2}`},
		{"no token", "POST", "/", "1", nil, 401, `Authorization: Bearer`},
		{"wrong token", "POST", "/", "1", []string{"Authorization", "Bearer guessed"}, 403, `not known`},
		{"method", "GET", "/", "", auth, 405, `use POST`},
		{"path", "POST", "/a/b", "1", auth, 404, `send to / or /NAME`},
		{"dots", "POST", "/..", "1", auth, 404, `send to / or /NAME`},
		{"large", "POST", "/", strings.Repeat("x", 1001), auth, 413, `at most 1000 bytes`},
		{"bomb", "POST", "/", zipped(t, strings.Repeat("x", 1001)), append([]string{"Content-Encoding", "gzip"}, auth...), 413, `at most 1000 bytes`},
		{"just fits", "POST", "/", zipped(t, strings.Repeat("x", 1000)), append([]string{"Content-Encoding", "gzip"}, auth...), 200, `{"accepted":1000,`},
		{"encoding", "POST", "/", "1", append([]string{"Content-Encoding", "br"}, auth...), 415, `gzip or zstd`},
		{"broken gzip", "POST", "/", "1", append([]string{"Content-Encoding", "gzip"}, auth...), 400, `compressed body`},
		{"cut gzip", "POST", "/", zipped(t, "by gzip")[:20], append([]string{"Content-Encoding", "gzip"}, auth...), 400, `compressed body`},
		{"key", "POST", "/", "1", append([]string{"Idempotency-Key", strings.Repeat("k", 257)}, auth...), 400, `Idempotency-Key`},
		{"busy", "POST", "/", "busy", auth, 429, `{"error":"busy"}`},
		{"down", "POST", "/", "down", auth, 503, `{"error":"unavailable"}`},
		{"invalid", "POST", "/", "what", auth, 400, `no format is like it`},
		{"internal", "POST", "/", "bug", auth, 500, `{"error":"internal error"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, header := push(t, c.method, url+c.path, strings.NewReader(c.body), c.headers...)
			if status != c.status || !strings.Contains(body, c.answer) {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.answer)
			}
			if retry := header.Get("Retry-After"); (status == 429 || status == 503) != (retry != "") {
				t.Errorf("Retry-After %q", retry)
			}
			if status == 405 && header.Get("Allow") != "POST" {
				t.Errorf("Allow %q", header.Get("Allow"))
			}
		})
	}
	if refused.get("request entity too large") != 2 || refused.get("too many requests") != 1 {
		t.Errorf("dropped %v", refused.n)
	}
	if len(unexpected) != 2 {
		t.Errorf("failed %q", unexpected)
	}
	// A body of unknown length is bounded too.
	status, _, _ := push(t, "POST", url, io.MultiReader(strings.NewReader(strings.Repeat("x", 600)), strings.NewReader(strings.Repeat("x", 600))), auth...)
	if status != 413 {
		t.Errorf("chunked: %d", status)
	}
}

func TestPushInFlight(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 10)
	url := startPush(t, PushConfig{MaxInFlight: 2, MaxInFlightBytes: 10}, func(_ context.Context, d *Delivery) error {
		b, err := io.ReadAll(d.Body)
		if string(b) == "wait" {
			begun <- struct{}{}
			<-release
		}
		return err
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if status, _, _ := push(t, "POST", url, strings.NewReader("wait")); status != 200 {
			t.Errorf("first: %d", status)
		}
	})
	<-begun
	if status, body, _ := push(t, "POST", url, strings.NewReader("1234567")); status != 429 {
		t.Errorf("bytes: %d %s", status, body)
	}
	wg.Go(func() {
		if status, _, _ := push(t, "POST", url, strings.NewReader("wait")); status != 200 {
			t.Errorf("second: %d", status)
		}
	})
	<-begun
	if status, _, _ := push(t, "POST", url, strings.NewReader("")); status != 429 {
		t.Errorf("third: %d", status)
	}
	close(release)
	wg.Wait()
	if status, _, _ := push(t, "POST", url, strings.NewReader("1234567")); status != 200 {
		t.Errorf("after: %d", status)
	}
}

// What is being handled when the context ends is handled to its end.
func TestPushEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := NewPush(ctx, PushConfig{Address: "127.0.0.1:0"}, func(inner context.Context, _ *Delivery) error {
		cancel()
		time.Sleep(50 * time.Millisecond)
		return inner.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	if status, body, _ := push(t, "POST", "http://"+p.Addr().String(), strings.NewReader("x")); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", p.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestPushTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, "# tokens\n\nfirst of the file, long enough\n", os.O_CREATE)
	tok, err := newTokens([]string{testToken}, path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(token string, want bool) {
		t.Helper()
		tok.looked = time.Time{}
		if got, err := tok.known(token); got != want || err != nil {
			t.Errorf("%q: %v %v", token, got, err)
		}
	}
	check(testToken, true)
	check("first of the file, long enough", true)
	check("# tokens", false)
	check("", false)
	write(t, path, "second of the file, long enough\n", os.O_TRUNC)
	check("second of the file, long enough", true)
	check("first of the file, long enough", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	tok.looked = time.Time{}
	if got, err := tok.known("second of the file, long enough"); !got || err == nil {
		t.Error("the last good list does not count", got, err)
	}
}

func TestPushRefusesConfiguration(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), "# none\n", os.O_CREATE)
	write(t, filepath.Join(dir, "short"), "\nshort\n", os.O_CREATE)
	for _, c := range []struct {
		cfg  PushConfig
		want string
	}{
		{PushConfig{Address: "0.0.0.0:0"}, "anybody could push"},
		{PushConfig{Address: "127.0.0.1:0", Tokens: []string{"short"}}, "at least 16 characters"},
		{PushConfig{Address: "127.0.0.1:0", TokenFile: filepath.Join(dir, "empty")}, "has no token"},
		{PushConfig{Address: "127.0.0.1:0", TokenFile: filepath.Join(dir, "short")}, "line 2: a token has at least"},
		{PushConfig{Address: "127.0.0.1:0", TokenFile: filepath.Join(dir, "no")}, "no such file"},
		{PushConfig{Address: "nowhere"}, "nowhere"},
	} {
		if _, err := NewPush(context.Background(), c.cfg, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.cfg, err, c.want)
		}
	}
}
