package web

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestBrowserHistoryLayout looks at the pages of versions and of retention in two colour
// schemes and three widths. With SHOTS set it also writes screenshots into that folder.
func TestBrowserHistoryLayout(t *testing.T) {
	b := newBrowser(t)
	for name, c := range map[string]*Console{
		"sample": newTestConsole(t, sample(), keeps(sampleRetention())), "hostile": newTestConsole(t, hostile(), keeps(hostileRetention())),
		"empty": newTestConsole(t, &fake{watched: sampleWatched()}, keeps(&fakeRetention{})),
	} {
		base := serve(t, c)
		for page, u := range map[string]string{"zones": "/zones", "zone": "/zones?zone=example.com", "retention": "/retention", "changes-at": "/changes?since=2026-03-17T14%3A27%3A00Z&until=2026-03-17T14%3A27%3A00.000000001Z&zone=example.com."} {
			for _, scheme := range []string{"light", "dark"} {
				for _, width := range []int64{360, 768, 1360} {
					if name != "sample" && (scheme == "dark" || width == 768) {
						continue
					}
					shot := fmt.Sprintf("%s-%s-%s-%d", name, page, scheme, width)
					b.look(t, base+u, shot, scheme, width)
					if bad := eval[string](t, b, poorContrast); bad != "" {
						t.Errorf("%s: too little contrast: %s", shot, bad)
					}
				}
			}
		}
	}
	b.noComplaints(t)
}

// poorContrast names texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3), at most six.
const poorContrast = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
	const rgb = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data };
	const lum = c => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c } return [255, 255, 255, 255] };
	const bad = [];
	for (const e of document.querySelectorAll("main *, header *, footer *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
		const a = lum(rgb(getComputedStyle(e).color)), z = lum(ground(e));
		const ratio = (Math.max(a, z) + 0.05) / (Math.min(a, z) + 0.05);
		if (ratio < 4.5) bad.push(e.tagName + "." + e.className + " " + ratio.toFixed(2));
	}
	return bad.slice(0, 6).join(", ");
})()`

// TestBrowserHistoryKeys: by keyboard alone from the changes to a zone's versions and to
// what changed with one of them.
func TestBrowserHistoryKeys(t *testing.T) {
	base := serve(t, newTestConsole(t, sample(), keeps(sampleRetention())))
	b := newBrowser(t)
	live := `document.readyState === "complete" && document.getElementById("status-text").textContent === "Live"`
	b.do(t, chromedp.Navigate(base+"/zones"))
	b.until(t, live)
	b.do(t, press("j"))
	if got := eval[string](t, b, focusedKey); got != "version-0" {
		t.Errorf("after j the focus is on %q", got)
	}
	b.do(t, chromedp.KeyEvent(kb.Enter))
	b.until(t, `location.search === "?zone=example.com." && `+live)
	b.do(t, press("j"), chromedp.KeyEvent(kb.Enter))
	b.until(t, `location.pathname === "/changes" && `+live)
	if n := eval[int](t, b, `document.querySelectorAll("a.open").length`); n != 1 {
		t.Errorf("%d changes of the version, want 1", n)
	}
	// Every link and field of the retention page is reached in order, and shows that it is.
	b.do(t, chromedp.Navigate(base+"/retention"))
	b.until(t, live)
	b.do(t, chromedp.KeyEvent(kb.Tab))
	if got := eval[string](t, b, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first Tab leads to %q", got)
	}
	for range 6 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
	}
	if got := eval[string](t, b, `document.activeElement.textContent + getComputedStyle(document.activeElement).outlineStyle`); got != "Retentionsolid" {
		t.Errorf("the seventh Tab leads to %q", got)
	}
	b.noComplaints(t)
}
