package web

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream opens /events and returns its lines, with comments left out.
func stream(t *testing.T, ctx context.Context, base string) (<-chan string, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		defer func() { _ = resp.Body.Close() }()
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if line := s.Text(); line != "" && line[0] != ':' {
				lines <- line
			}
		}
	}()
	return lines, resp
}

func next(t *testing.T, lines <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got, ok := <-lines:
			if got != w {
				t.Fatalf("stream says %q (open %v), want %q", got, ok, w)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("stream is silent, want %q", w)
		}
	}
}

func TestEventsFollowTheStore(t *testing.T) {
	f := &fake{}
	f.put(news("a"))
	base := serve(t, newTestConsole(t, f))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, resp := stream(t, ctx, base)
	if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("headers %v", resp.Header)
	}
	next(t, lines, "retry: 3000", "event: revision", "id: 1", "data: 1")
	f.put(news("b"))
	next(t, lines, "event: revision", "id: 2", "data: 2")
	f.fail(errors.New("disk gone"))
	next(t, lines, "event: failing", "data: the store does not answer")
	f.fail(nil)
	next(t, lines, "event: revision", "id: 2", "data: 2")
	second, _ := stream(t, ctx, base) // told the newest revision although nothing changes
	next(t, second, "retry: 3000", "event: revision", "id: 2", "data: 2")
	cancel()
	drain(lines)
	drain(second)
}

func drain(lines <-chan string) {
	for range lines {
	}
}

func TestEventsOutliveTheServersTimeouts(t *testing.T) {
	f := &fake{}
	c := newTestConsole(t, f)
	srv := c.Server("")
	if srv.ReadHeaderTimeout == 0 || srv.ReadTimeout == 0 || srv.WriteTimeout == 0 || srv.IdleTimeout == 0 || srv.MaxHeaderBytes == 0 {
		t.Errorf("a limit is not set: %+v", srv)
	}
	srv.ReadTimeout, srv.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	l, err := Listen(t.Context(), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	lines, _ := stream(t, t.Context(), "http://"+l.Addr().String())
	next(t, lines, "retry: 3000", "event: revision", "id: 0", "data: 0")
	time.Sleep(200 * time.Millisecond)
	f.put(news("a"))
	next(t, lines, "event: revision", "id: 1", "data: 1")

	// Shutdown ends the stream instead of waiting for it.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, open := <-lines; open {
		t.Error("the stream outlived the server")
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestEventsAreBounded(t *testing.T) {
	c := newTestConsole(t, &fake{}, func(o *Options) { o.MaxStreams = 2 })
	base := serve(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var open []<-chan string
	for range 2 {
		lines, _ := stream(t, ctx, base)
		next(t, lines, "retry: 3000")
		open = append(open, lines)
	}
	lines, resp := stream(t, t.Context(), base)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("third stream: status %d", resp.StatusCode)
	}
	drain(lines)
	cancel()
	for _, lines := range open {
		drain(lines)
	}
	deadline := time.Now().Add(5 * time.Second)
	for { // the poller stops with the last stream
		c.streams.mu.Lock()
		idle := len(c.streams.subs) == 0 && c.streams.cancel == nil
		c.streams.mu.Unlock()
		if idle {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("streams were not given back")
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = c.Close()
	if w := get(t, c, "/events"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("after Close: status %d", w.Code)
	}
}
