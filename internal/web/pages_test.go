package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"github.com/picket-dns/picket"
)

// pageURLs are the pages of a store, with bad requests among them.
func pageURLs(f *fake) []string {
	urls := []string{"/", "/watched", "/?fragment=1", "/watched?fragment=1", "/coverage", "/coverage?fragment=1", "/coverage?detector=zone-transfer&zone=example.com&day=2026-03-16", "/coverage?detector=none", "/coverage?day=odd", "/changes", "/changes?fragment=1", "/changes?churn=1", "/changes?page=9", "/changes?page=-1", "/names", "/names?name=www.example.com&churn=1", "/names?name=example.com&below=1&fragment=1",
		"/nowhere", "/findings/none", "/?severity=odd", "/?page=-1", "/?page=7",
		"/?text=nothing+has+this", "/?severity=low&detector=brute-force&zone=example.org"}
	for _, h := range hostileTexts {
		urls = append(urls, "/?"+url.Values{"text": {h}, "zone": {h}}.Encode(), "/"+url.PathEscape(h), "/?severity="+url.QueryEscape(h), "/coverage?"+url.Values{"detector": {h}, "zone": {h}}.Encode(),
			"/changes?"+url.Values{"zone": {h}, "name": {h}, "type": {h}, "source": {h}, "churn": {h}}.Encode(), "/names?"+url.Values{"name": {h + "."}, "below": {"1"}, "churn": {"1"}}.Encode())
	}
	for _, x := range f.findings {
		urls = append(urls, findingURL(x.ID), findingURL(x.ID)+"?fragment=1")
	}
	return urls
}

func TestEveryPageIsWellBuilt(t *testing.T) {
	many := sample()
	for i := range 120 {
		x := many.findings[i%8]
		x.ID = fmt.Sprint("more", i)
		many.put(x)
	}
	stores := map[string]*fake{"sample": sample(), "hostile": hostile(), "empty": {}, "many": many}
	for name, f := range stores {
		c := newTestConsole(t, f)
		for _, u := range pageURLs(f) {
			t.Run(name+" "+u, func(t *testing.T) {
				w := get(t, c, u)
				if got := w.Header().Get("Content-Security-Policy"); got != policy {
					t.Errorf("Content-Security-Policy = %q", got)
				}
				body := w.Body.String()
				checkText(t, body)
				root, err := html.Parse(strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				checkStructure(t, root, strings.Contains(u, "fragment=1"))
			})
		}
	}
}

// checkText refuses bytes that a page must not carry in any place.
func checkText(t *testing.T, body string) {
	t.Helper()
	for _, r := range body {
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			t.Fatalf("page contains %U", r)
		}
	}
}

func checkStructure(t *testing.T, root *html.Node, fragment bool) {
	t.Helper()
	ids, labels, controls := map[string]int{}, map[string]bool{}, []string{}
	tags := map[string]int{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		tags[n.Data]++
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		checkElement(t, n)
		switch n.Data {
		case "label":
			labels[attr(n, "for")] = true
		case "input", "select", "textarea":
			if n.Parent.Data != "label" {
				controls = append(controls, attr(n, "id"))
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %q occurs %d times", id, n)
		}
	}
	for _, id := range controls {
		if !labels[id] {
			t.Errorf("control %q has no label", id)
		}
	}
	if tags["h1"] != 1 {
		t.Errorf("%d h1 elements", tags["h1"])
	}
	if fragment {
		return
	}
	for _, landmark := range []string{"header", "nav", "main", "footer", "title"} {
		if tags[landmark] == 0 {
			t.Errorf("no %s", landmark)
		}
	}
}

var idRef = regexp.MustCompile(`^\S+$`)

func checkElement(t *testing.T, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("<%s> has attribute %s", n.Data, a.Key)
		}
		if a.Key == "id" && !idRef.MatchString(a.Val) {
			t.Errorf("bad id %q", a.Val)
		}
		if slices.Contains([]string{"href", "src", "action", "formaction", "xlink:href"}, a.Key) {
			u, err := url.Parse(a.Val)
			if err != nil || u.Host != "" && (u.Scheme != "https" || u.Host != "attack.mitre.org") || u.Scheme != "" && u.Host == "" {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
			if u != nil && u.Host != "" && !strings.Contains(attr(n, "rel"), "noreferrer") {
				t.Errorf("link to %s without rel=noreferrer", a.Val)
			}
		}
	}
	switch n.Data {
	case "style", "iframe", "object", "embed", "base", "img":
		t.Errorf("<%s> in a page", n.Data)
	case "script":
		if !strings.HasPrefix(attr(n, "src"), "/assets/picket.js?v=") || n.FirstChild != nil {
			t.Error("a script that is not the console's own")
		}
	case "th":
		if s := attr(n, "scope"); s != "col" && s != "row" {
			t.Errorf("<th scope=%q>", s)
		}
	case "table":
		if n.FirstChild == nil || !hasChild(n, "caption") {
			t.Error("table without caption")
		}
	case "svg":
		if attr(n, "aria-hidden") != "true" && attr(n, "aria-labelledby") == "" {
			t.Error("svg neither hidden nor named")
		}
	}
}

func hasChild(n *html.Node, tag string) bool {
	for c := range n.ChildNodes() {
		if c.Data == tag {
			return true
		}
	}
	return false
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// text is the text of a page with runs of white space made one.
func text(t *testing.T, body string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
			if n.Parent.Data != "bdi" || n.NextSibling == nil || n.NextSibling.NextSibling == nil {
				b.WriteString(" ") // not within a name that is cut into labels
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func wantText(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(page, s) {
			t.Errorf("page lacks %q", s)
		}
	}
}

func TestList(t *testing.T) {
	c := newTestConsole(t, sample())
	page := text(t, get(t, c, "/").Body.String())
	wantText(t, page, "8 findings, last seen first", "Retired names asked for retired-names", "198.51.100.23/32", "spoofable",
		"93 %", "52 min ago", "Watching 6 zones", "2 gaps", "2 not receiving", "Whoever asked", "no watched zone")
	if n := strings.Count(get(t, c, "/?severity=high").Body.String(), `class="open"`); n != 3 {
		t.Errorf("%d findings of high severity and above, want 3", n)
	}
	if n := strings.Count(get(t, c, "/?zone=EXAMPLE.org&detector=nsec-walk").Body.String(), `class="open"`); n != 1 {
		t.Errorf("%d findings for zone and detector, want 1", n)
	}
	for _, bad := range []string{"/?severity=odd", "/?page=0", "/?page=x", "/?text=" + strings.Repeat("x", 300)} {
		if w := get(t, c, bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", bad, w.Code)
		}
	}
}

func TestSilenceIsQualified(t *testing.T) {
	f := &fake{watched: sampleWatched()}
	c := newTestConsole(t, f)
	covers := []string{"What this silence covers", "6 zones", "example.com.", "22 detectors", "ns2 query log", "ns3.example.com answers", "leaves no trace"}
	wantText(t, text(t, get(t, c, "/").Body.String()), append(covers, "Nothing found so far.")...)
	wantText(t, text(t, get(t, c, "/?text=x").Body.String()), append(covers, "No finding matches this filter.")...)
	f.watched = picket.Watched{}
	wantText(t, text(t, get(t, c, "/").Body.String()), "No input is configured, so nothing can be found.")
	f.watched = picket.Watched{Inputs: []picket.SourceStatus{{Name: "a"}}}
	wantText(t, text(t, get(t, c, "/").Body.String()), "No input has delivered an event yet")
	f.watched.Inputs[0].LastEvent = testNow
	wantText(t, text(t, get(t, c, "/").Body.String()), "No detector is running")
}

func TestPaging(t *testing.T) {
	f := &fake{}
	for i := range 120 {
		f.put(picket.StoredFinding{Finding: picket.Finding{ID: fmt.Sprint("p", i), Severity: picket.SeverityHigh, LastSeen: testNow.Add(time.Duration(-i) * time.Minute)}})
	}
	c := newTestConsole(t, f)
	wantText(t, get(t, c, "/?severity=low").Body.String(), `href="/?page=2&amp;severity=low"`, "Page 1 of 3", "1–50 of 120")
	wantText(t, get(t, c, "/?page=3").Body.String(), `rel="prev"`, "101–120 of 120")
	wantText(t, get(t, c, "/?page=9").Body.String(), "There is no page 9.")
}

func TestFindingPage(t *testing.T) {
	f := sample()
	c := newTestConsole(t, f)
	body := get(t, c, findingURL(f.findings[0].ID)).Body.String()
	page := text(t, body)
	wantText(t, page, "What this does not prove", f.findings[0].Limits, "it may be forged", "How sure 93 % strong", "query 14 of 412",
		"Distinct retired names 41 8 5.13 ×", "informs only", "existed once: zone history or passive DNS", "derived from the zone",
		"T1596.001 Search Open Technical Databases: DNS/Passive DNS", "This finding as JSON", "Timeline as a table")
	wantText(t, body, `href="https://attack.mitre.org/techniques/T1596/001/" rel="noreferrer external"`, `<title id="timeline-title">`)
	if strings.Index(page, "What this does not prove") > strings.Index(page, "What was seen") {
		t.Error("the limits come after the evidence")
	}
}

func TestWatchedPage(t *testing.T) {
	page := text(t, get(t, newTestConsole(t, sample()), "/watched").Body.String())
	wantText(t, page, "Signed, NSEC3", "Inferred from traffic", "not known", "Reverse", "48 210 933", "41 unknown line", "address already in use",
		"Failing", "Quiet", "brand-campaign.example.", "Walking the zone by NSEC nsec-walk", "Known gaps",
		"Received 21 884 056", "Dropped 16 884", "16 884 queue full", "queries · unbound-log · syslog-udp", "sightings · crtsh · bucket",
		"times carry no zone and are read as UTC")
}

func TestStoreFailure(t *testing.T) {
	f := sample()
	f.fail(errors.New("secret path /var/lib/x"))
	c := newTestConsole(t, f)
	for _, u := range []string{"/", findingURL(f.findings[0].ID), "/watched", "/coverage", "/changes", "/names?name=www.example.com", "/api/changes", "/api/names/www.example.com", "/api/zones/example.com/versions", "/api/findings", "/api/watched", "/api/quarantine", "/api/coverage", "/api/coverage/could?detector=zone-transfer", "/api/findings/" + f.findings[0].ID} {
		if w := get(t, c, u); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: status %d, body %.200s", u, w.Code, w.Body)
		}
	}
	if w := get(t, c, "/healthz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("/healthz: status %d", w.Code)
	}
	f.fail(nil)
	if w := get(t, c, "/healthz"); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("/healthz: status %d %q", w.Code, w.Body)
	}
}
