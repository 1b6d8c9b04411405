package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/picket-dns/picket"
)

// chromium finds the browser. Without one the test is skipped, but never in CI.
func chromium(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"} {
		if p == "" {
			continue
		}
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no Chromium: install it or name it in CHROMIUM")
	}
	t.Skip("no Chromium")
	return ""
}

// browser is a headless Chromium that collects what its console complains about.
type browser struct {
	context.Context
	mu         sync.Mutex
	complaints []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1360, 900),
	}
	for _, f := range []string{"disable-background-networking", "disable-component-update", "disable-sync", "disable-extensions", "disable-dev-shm-usage", "hide-scrollbars"} {
		opts = append(opts, chromedp.Flag(f, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	b := &browser{}
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b.Context = ctx
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.do(t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, runtime.Enable, cdp.Empty{})
		return err
	}))
	return b
}

func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *cdplog.EventEntryAdded:
		if !strings.HasSuffix(e.Entry.URL, "/nowhere") { // the browser reports a page's own 404
			b.complaints = append(b.complaints, fmt.Sprintf("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	}
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// press types keys as a keyboard does: the character belongs to the key going
// down, so that a page can prevent it.
func press(keys string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, k := range keys {
			for _, typ := range []input.DispatchKeyEventType{kb.KeyDown, kb.KeyUp} {
				p := input.DispatchKeyEventParams{Type: typ, Key: string(k)}
				if typ == kb.KeyDown {
					p.Text = string(k)
				}
				if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// eval evaluates an expression in the page.
func eval[T any](t *testing.T, b *browser, js string) T {
	t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](js))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// until waits for an expression to become true.
func (b *browser) until(t *testing.T, js string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !eval[bool](t, b, js) {
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", js)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *browser) noComplaints(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("browser: %s", c)
	}
	b.complaints = nil
}

func serve(t *testing.T, c *Console) string {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv := c.Server("")
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
			_ = srv.Close()
		}
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

const focusedKey = `(document.activeElement.dataset.key || document.activeElement.id || document.activeElement.tagName)`

func TestBrowserKeysAndLiveUpdates(t *testing.T) {
	f := sample()
	base := serve(t, newTestConsole(t, f, func(o *Options) { o.Poll = 50 * time.Millisecond }))
	b := newBrowser(t)
	b.do(t, chromedp.Navigate(base+"/"))
	b.until(t, `document.getElementById("status-text").textContent === "Live"`)
	if n := eval[int](t, b, `document.querySelectorAll("a.open").length`); n != 8 {
		t.Errorf("%d findings listed", n)
	}

	second := f.findings[1].ID
	b.checkKeys(t, second)
	b.checkLive(t, f, second)
	b.checkOpening(t, f)
	b.noComplaints(t)
}

// checkKeys holds that j and k move, and that they do not while somebody types.
func (b *browser) checkKeys(t *testing.T, second string) {
	t.Helper()
	b.do(t, press("jjkj"))
	if got := eval[string](t, b, focusedKey); got != second {
		t.Errorf("after j j k j the focus is on %q, want %q", got, second)
	}
	b.do(t, press("/"), press("j/?k"))
	if got := eval[string](t, b, `document.activeElement.value`); got != "j/?k" {
		t.Errorf("search field holds %q", got)
	}
	b.do(t, chromedp.KeyEvent(kb.Escape))
	if got := eval[string](t, b, focusedKey); got != "BODY" {
		t.Errorf("after Escape the focus is on %q", got)
	}
	b.do(t, press("?"))
	b.until(t, `document.getElementById("help").open`)
	b.do(t, chromedp.KeyEvent(kb.Escape))
	b.until(t, `!document.getElementById("help").open`)
}

// checkLive holds that a finding that comes in appears without a reload, leaves
// focus and place alone, and waits while updates are paused.
func (b *browser) checkLive(t *testing.T, f *fake, second string) {
	t.Helper()
	// Keys that meet the browser while it takes a new size may be lost.
	b.do(t, chromedp.EmulateViewport(1360, 500))
	b.until(t, `innerHeight === 500`)
	b.do(t, chromedp.Evaluate[chromedp.Void](`window.notReloaded = true; document.querySelectorAll("a.open")[1].focus()`))
	b.do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.closest("tr").scrollIntoView(); undefined`))
	if got := eval[string](t, b, focusedKey); got != second {
		t.Fatalf("before the update the focus is on %q, want %q", got, second)
	}
	const place = `Math.round(document.activeElement.getBoundingClientRect().top)`
	before := eval[int](t, b, place)
	f.put(news("fnew1"))
	b.until(t, `document.querySelectorAll("a.open").length === 9`)
	if got := eval[string](t, b, focusedKey); got != second {
		t.Errorf("after the update the focus is on %q, want %q", got, second)
	}
	if after := eval[int](t, b, place); after-before > 1 || before-after > 1 {
		t.Errorf("the update moved the row from %d to %d px", before, after)
	}
	if got := eval[string](t, b, `document.getElementById("announce").textContent`); got != "Updated: 9 findings" {
		t.Errorf("announced %q", got)
	}
	if !eval[bool](t, b, `window.notReloaded === true`) {
		t.Error("the page was reloaded")
	}
	b.do(t, chromedp.Click(chromedp.CSS("#pause")))
	b.until(t, `document.getElementById("status-text").textContent === "Paused"`)
	f.put(news("fnew2"))
	time.Sleep(300 * time.Millisecond)
	if n := eval[int](t, b, `document.querySelectorAll("a.open").length`); n != 9 {
		t.Errorf("%d findings while paused", n)
	}
	b.do(t, chromedp.Click(chromedp.CSS("#pause")))
	b.until(t, `document.querySelectorAll("a.open").length === 10`)
}

// checkOpening holds that Enter opens the finding, which updates itself too and
// keeps unfolded what was.
func (b *browser) checkOpening(t *testing.T, f *fake) {
	t.Helper()
	b.do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`), press("jjj"), chromedp.KeyEvent(kb.Enter))
	b.until(t, `location.pathname.startsWith("/findings/f3a") && document.readyState === "complete"`)
	b.until(t, `document.getElementById("status-text").textContent === "Live"`)
	b.do(t, chromedp.Click(chromedp.CSS("#timeline-table summary")))
	x, err := f.Finding(b, "f3a7c41d09ab")
	if err != nil {
		t.Fatal(err)
	}
	x.Summary = "Grown to 70 names."
	f.put(*x)
	b.until(t, `document.querySelector(".said").textContent.includes("Grown")`)
	if !eval[bool](t, b, `document.getElementById("timeline-table").open`) {
		t.Error("the update folded the timeline's table")
	}
}

func news(id string) picket.StoredFinding {
	return picket.StoredFinding{Open: true, Finding: picket.Finding{ID: id, Detector: "canary", Zone: "example.com.",
		Severity: picket.SeverityHigh, Confidence: 0.99, FirstSeen: testNow, LastSeen: testNow, Queries: 1, Names: 1,
		Source: picket.Source{Prefix: "192.0.2.99/32", Kind: "resolver", Spoofable: true}, Summary: "A planted name was asked for."}}
}

// TestBrowserLayout looks at every page in two colour schemes and three widths.
// With SHOTS set it also writes screenshots into that folder.
func TestBrowserLayout(t *testing.T) {
	full := sample()
	stores := map[string]*fake{"sample": full, "empty": {watched: sampleWatched()}, "hostile": hostile()}
	b := newBrowser(t)
	for name, f := range stores {
		base := serve(t, newTestConsole(t, f))
		urls := map[string]string{"list": "/", "watched": "/watched", "coverage": "/coverage?detector=zone-transfer&zone=example.com&day=2026-03-16", "error": "/nowhere",
			"changes": "/changes?churn=1", "name": "/names?churn=1&name=www.example.com"}
		if name == "hostile" {
			urls["name"] = "/names?" + url.Values{"name": {hostileTexts[8]}, "below": {"1"}, "churn": {"1"}}.Encode()
		}
		for i, x := range f.findings {
			if name == "hostile" || i == 0 {
				urls[fmt.Sprint("finding", i)] = findingURL(x.ID)
			}
		}
		for page, u := range urls {
			for _, scheme := range []string{"light", "dark"} {
				for _, width := range []int64{360, 768, 1360} {
					if name != "sample" && (scheme == "dark" && page != "list" || width == 768) || name == "hostile" && page[0] == 'f' && width != 360 {
						continue // seen in another combination
					}
					b.look(t, base+u, fmt.Sprintf("%s-%s-%s-%d", name, page, scheme, width), scheme, width)
				}
			}
		}
	}
	b.noComplaints(t)
}

func (b *browser) look(t *testing.T, url, name, scheme string, width int64) {
	t.Helper()
	b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}), chromedp.Navigate(url))
	b.until(t, `document.readyState === "complete" && (!document.getElementById("status") || document.getElementById("status-text").textContent === "Live")`)
	if over := eval[int](t, b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("%s: %d px wider than the window; widest: %s", name, over, eval[string](t, b, widest))
	}
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// widest names the elements that stick out of the window.
const widest = `Array.from(document.body.querySelectorAll("*"))
	.filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
	.map(e => e.tagName + "." + e.className).slice(0, 6).join(" ")`
