package web

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/picket-dns/picket"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{relative(9 * time.Second), "just now"}, {relative(59 * time.Second), "59 s ago"}, {relative(119 * time.Minute), "119 min ago"},
		{relative(2 * time.Hour), "2 h ago"}, {relative(49 * time.Hour), "2 days ago"}, {relative(-5 * time.Minute), "in 5 min"},
		{span(0), "under a second"}, {span(62 * time.Second), "1 min 2 s"}, {span(time.Hour), "1 h"}, {span(100 * time.Hour), "4 days"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1\u202f000"}, {count(-1234567), "−1\u202f234\u202f567"},
		{measure(0.38333), "0.383"}, {measure(41), "41"}, {measure(12345.6), "12\u202f346"}, {measure(math.NaN()), "not a number"},
		{sentence("nxdomain-share"), "NXDOMAIN share"}, {sentence("über_name"), "Über name"}, {sentence("-"), "Unnamed"},
		{dnsText("a b\x00\xc3.\\046x"), `a\032b\000\195.\046x`}, {visible("a\u00a0\x1b\u202e\xff"), `a \u001b\u202e\xff`},
		{strings.Join(breaks(`a\.b.c.`), "|"), `a\.b.|c.`}, {strings.Join(breaks("192.0.2.1/32"), "|"), "192.|0.|2.|1|/32"},
		{strings.Join(breaks("/a:"), "|"), "/a:"}, {strings.Join(breaks(""), "|"), ""},
		{techniqueURL("T1498"), "https://attack.mitre.org/techniques/T1498/"}, {techniqueURL("T1498/../x"), ""},
		{canonicalZone(" Example.COM "), "example.com."}, {canonicalZone("."), "."}, {canonicalZone(""), ""},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	for v, want := range map[float64]int{0.999: 99, 1: 100, 0.29: 29, 0.57: 57, -1: 0, 7: 100} {
		if got := percent(v); got != want {
			t.Errorf("percent(%v) = %d", v, got)
		}
	}
	for s := picket.StateUnknown; s <= picket.StateOutOfZone; s++ {
		if stateWords[s.String()] == "" {
			t.Errorf("state %s is not explained", s)
		}
	}
}

func TestTimelineIsBounded(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, in := range map[string][]picket.Bucket{
		"one":       {{Time: day, Queries: 5}},
		"same time": {{Time: day, Queries: 5}, {Time: day, Queries: 7}},
		"apart":     {{Time: time.Time{}, Queries: 1}, {Time: day, Queries: math.MaxInt64}, {Time: day.Add(1), Queries: 1}},
		"unsorted":  {{Time: day.Add(time.Hour), Queries: 1}, {Time: day, Queries: 2}, {Time: day.Add(time.Minute), Queries: -2}},
	} {
		tl := newTimeline(in)
		if n := len(tl.Bars); n == 0 || n > timelineBins {
			t.Errorf("%s: %d bars", name, n)
		}
		for _, b := range tl.Bars {
			for _, v := range []string{b.X, b.Y, b.W, b.H} {
				if f, err := strconv.ParseFloat(v, 64); err != nil || f < 0 || f > timelineW {
					t.Errorf("%s: bar %+v", name, b)
				}
			}
		}
	}
	if newTimeline(nil) != nil {
		t.Error("a timeline of nothing")
	}
}

func FuzzVisible(f *testing.F) {
	for _, h := range hostileTexts {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{visible(s), dnsText(s), sentence(s)} {
			if !utf8.ValidString(out) {
				t.Errorf("%q", out)
			}
			if !strings.Contains(s, "\ufffd") {
				checkText(t, strings.ReplaceAll(out, "\n", "\x00"))
			}
		}
		if got := strings.Join(breaks(s), ""); got != s {
			t.Errorf("breaks lost something: %q", got)
		}
	})
}

var customProperty = regexp.MustCompile(`--([a-z-]+):\s*#([0-9a-f]{6});`)

// palettes reads the custom properties of the style sheet: light, then dark over light.
func palettes(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile("assets/picket.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(b), "@media (prefers-color-scheme: dark)")
	dark, _, _ = strings.Cut(dark, "*::before")
	if !ok {
		t.Fatal("no dark scheme")
	}
	p := map[string]map[string]string{"light": {}, "dark": {}}
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		for _, m := range customProperty.FindAllStringSubmatch(css, -1) {
			p[scheme][m[1]] = m[2]
		}
	}
	if len(p["light"]) < 20 || len(p["light"]) != len(p["dark"]) {
		t.Fatalf("%d light colours, %d dark ones", len(p["light"]), len(p["dark"]))
	}
	return p
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(hex string) float64 {
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		l += weight * v
	}
	return l
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast holds every pair of colours that meets on a page against WCAG AA:
// 4.5 for text, 3 for what tells controls and figures from their ground.
func TestContrast(t *testing.T) {
	texts := []string{"ink", "muted", "link", "critical", "high", "medium", "low", "informational", "good", "warn"}
	shapes := []string{"accent", "edge", "focus", "critical", "high", "medium", "low", "informational", "good", "warn", "ink"}
	for scheme, p := range palettes(t) {
		lowest := map[string]float64{"text": 99, "shape": 99}
		check := func(kind, fg, bg string, least float64) {
			r := contrast(p[fg], p[bg])
			lowest[kind] = min(lowest[kind], r)
			if r < least {
				t.Errorf("%s: %s on %s has %.2f, needs %.1f", scheme, fg, bg, r, least)
			}
		}
		for _, ground := range []string{"page", "surface", "sunken", "new-surface"} {
			for _, c := range texts {
				check("text", c, ground, 4.5)
			}
			for _, c := range shapes {
				check("shape", c, ground, 3)
			}
		}
		for _, c := range []string{"ink", "warn", "muted", "link"} {
			check("text", c, "warn-surface", 4.5)
		}
		check("text", "on-accent", "accent", 4.5)
		t.Logf("%s: lowest contrast of text %.2f, of shapes %.2f", scheme, lowest["text"], lowest["shape"])
	}
}

// TestOnlyCustomPropertiesNameColours keeps TestContrast complete.
func TestOnlyCustomPropertiesNameColours(t *testing.T) {
	b, err := os.ReadFile("assets/picket.css")
	if err != nil {
		t.Fatal(err)
	}
	rest := customProperty.ReplaceAllString(string(b), "")
	if m := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|url\(|@import|https?:`).FindAllString(rest, -1); m != nil {
		t.Errorf("the style sheet holds %q", m)
	}
}

// TestPageWeight keeps the console light; the figures are uncompressed bytes.
func TestPageWeight(t *testing.T) {
	c := newTestConsole(t, sample())
	total := 0
	for _, u := range []string{"/", "/assets/picket.css", "/assets/picket.js", "/assets/logo.svg"} {
		n := get(t, c, u).Body.Len()
		t.Logf("%s: %d bytes", u, n)
		total += n
	}
	t.Logf("finding page: %d bytes", get(t, c, "/findings/f3a7c41d09ab").Body.Len())
	if total > 64<<10 {
		t.Errorf("the list and its assets weigh %d bytes", total)
	}
}
