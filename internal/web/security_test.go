package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestHeadersOnEveryResponse(t *testing.T) {
	c := newTestConsole(t, sample(), func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("picket_up 1\n")) })
		o.MaxStreams = 1
	})
	if _, err := c.streams.subscribe(); err != nil { // so that /events answers and ends
		t.Fatal(err)
	}
	for path, status := range map[string]int{
		"/": 200, "/watched": 200, "/coverage": 200, "/coverage?day=x": 400, "/api/coverage": 200, "/api/coverage/could": 422, "/api/coverage/could?detector=none": 404, "/findings/f3a7c41d09ab": 200, "/findings/x": 404, "/nowhere": 404, "/assets/picket.js": 200, "/assets/none": 404,
		"/assets/": 404, "/favicon.ico": 200, "/healthz": 200, "/metrics": 200, "/events": 503, "/?severity=x": 400,
		"/api/findings": 200, "/api/findings/f3a7c41d09ab": 200, "/api/findings/x": 404, "/api/findings?limit=x": 422, "/api/findings?odd=1": 422,
		"/api/watched": 200, "/api/openapi.json": 200, "/api/": 404, "/api/docs": 404, "/docs": 404, "//x": 307,
	} {
		w := get(t, c, path)
		if w.Code != status {
			t.Errorf("%s: status %d, want %d", path, w.Code, status)
		}
		h := w.Header()
		for key, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(key) != want {
				t.Errorf("%s: %s = %q", path, key, h.Get(key))
			}
		}
		if cache := h.Get("Cache-Control"); cache != "no-store" && !strings.HasPrefix(path, "/assets/picket") && path != "/favicon.ico" {
			t.Errorf("%s: Cache-Control = %q", path, cache)
		}
	}
	for _, word := range []string{"unsafe", "data:", "http:", "https:", "*"} {
		if strings.Contains(policy, word) {
			t.Errorf("the policy allows %s", word)
		}
	}
}

func TestAssetsAreCachedByContent(t *testing.T) {
	c := newTestConsole(t, sample())
	css := regexp.MustCompile(`/assets/picket\.css\?v=[0-9a-f]+`).FindString(get(t, c, "/").Body.String())
	w := get(t, c, css)
	if got := w.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s: Cache-Control %q, Content-Type %q", css, got, w.Header().Get("Content-Type"))
	}
	if got := get(t, c, "/assets/picket.css?v=old").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("stale reference: Cache-Control %q", got)
	}
}

func TestRebindingIsRefused(t *testing.T) {
	c := newTestConsole(t, sample(), func(o *Options) { o.Hosts = []string{"Picket.example.com."} })
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:8053": true, "LOCALHOST.": true, "127.0.0.1": true, "127.8.9.1:80": true, "[::1]:8053": true, "::1": true, "[::ffff:127.0.0.1]": true,
		"picket.example.com": true, "picket.example.com:443": true, "PICKET.example.com.": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "192.0.2.1": false, "0.0.0.0": false, "[::]": false,
		"": false, "127.0.0.1@evil.example": false, "x.picket.example.com": false,
	} {
		for _, path := range []string{"/", "/api/findings", "/events", "/metrics", "/assets/picket.js"} {
			if ok && path == "/events" {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if (w.Code == http.StatusMisdirectedRequest) == ok {
				t.Errorf("Host %q %s: status %d", host, path, w.Code)
			}
		}
	}
}

func TestOnlyReading(t *testing.T) {
	c := newTestConsole(t, sample())
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "ODD"} {
		r := httptest.NewRequest(method, "/api/findings", nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/api/findings", "/events", "/healthz", "/assets/picket.css"} {
		r := httptest.NewRequest(http.MethodHead, path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("HEAD %s: status %d", path, w.Code)
		}
	}
}

func TestOtherSitesMayOnlyLink(t *testing.T) {
	c := newTestConsole(t, sample())
	for mode, status := range map[string]int{"navigate": 200, "cors": 403, "no-cors": 403} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = "localhost"
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", mode)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("cross-site %s: status %d, want %d", mode, w.Code, status)
		}
	}
}

func TestListenRefusesOtherAddresses(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "127.0.0.1"} {
		l, err := Listen(t.Context(), addr, ListenOptions{})
		if err == nil {
			_ = l.Close()
			t.Errorf("%s: no error", addr)
			continue
		}
		if !strings.Contains(err.Error(), addr) || addr != "127.0.0.1" && !strings.Contains(err.Error(), "no login") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		l, err := Listen(t.Context(), addr, ListenOptions{})
		if err != nil {
			t.Error(err)
			continue
		}
		_ = l.Close()
	}
	l, err := Listen(t.Context(), "0.0.0.0:0", ListenOptions{AllowNonLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// TestScriptUsesNoSink reads the script for what the policy would forbid anyway.
func TestScriptUsesNoSink(t *testing.T) {
	b, err := os.ReadFile("assets/picket.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", ".style"} {
		if strings.Contains(string(b), sink) {
			t.Errorf("picket.js uses %s", sink)
		}
	}
}
