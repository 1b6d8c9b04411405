package web

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

func TestVersionsPage(t *testing.T) {
	f := sample()
	c := newTestConsole(t, f)
	body := get(t, c, "/zones?zone=Example.COM").Body.String()
	page := text(t, body)
	wantText(t, page, "example.com. 2 versions, newest first", "serial 2026031702 When 3 min ago", "Records 812 Added +1 Removed −1 9 churn Known from ns1 zone transfer What changed with serial 2026031702",
		"serial 2026031701 first look When 40 days ago", "Added – Removed – Known from ns1 zone transfer nothing to compare with")
	links := regexp.MustCompile(`href="(/changes\?[^"]*since[^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(links) != 1 {
		t.Fatalf("links to changes: %v", links)
	}
	link := strings.ReplaceAll(links[0][1], "&amp;", "&")
	if link != "/changes?since=2026-03-17T14%3A27%3A00Z&source=ns1&until=2026-03-17T14%3A27%3A00.000000001Z&zone=example.com." {
		t.Errorf("%s", link)
	}
	changes := get(t, c, link).Body.String()
	if n := strings.Count(changes, `class="open"`); n != 1 {
		t.Errorf("%d changes behind the link, want 1", n)
	}
	wantText(t, text(t, changes), "Only what changed at 2026-03-17 14:27:00 UTC", "Versions of example.com.", "www.example.com. A changed")
	// The range stays when the form is used again, and churn is shown.
	wantText(t, changes, `name="since" value="2026-03-17T14:27:00Z"`, `href="/zones?zone=example.com."`, "churn=1&amp;since=")

	zones := get(t, c, "/zones").Body.String()
	wantText(t, text(t, zones), "Zones", "example.org. Version without serial When 24 h ago 2026-03-16 14:30:00 UTC learned 60 min ago", "dns as code git history What changed")
	wantText(t, zones, `href="/zones?zone=example.org."`, `<a href="/changes" class="within">`)
	watched := get(t, c, "/watched").Body.String()
	wantText(t, watched, `<a href="/zones?zone=example.org." title="Its versions over time">`)
	if strings.Contains(watched, "zone=brand-campaign.example.") {
		t.Error("an inferred zone is linked to versions that it cannot have")
	}
	wantText(t, get(t, c, "/changes").Body.String(), `<a href="/zones">Zones and their versions</a>`)
	wantText(t, text(t, get(t, c, "/zones?zone=none.example").Body.String()), "No version of this zone is recorded.")
	wantText(t, text(t, get(t, newTestConsole(t, &fake{}), "/zones").Body.String()), "No zone is recorded yet.")
	for _, u := range []string{"/changes?since=yesterday", "/changes?until=1", "/zones?zone=" + strings.Repeat("a", 2000)} {
		if w := get(t, c, u); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", u[:20], w.Code)
		}
	}
}

// TestVersionsPageLong: a zone with many versions shows the newest.
func TestVersionsPageLong(t *testing.T) {
	f := sample()
	f.history.versions = nil
	for i := range 500 {
		f.history.versions = append(f.history.versions, picket.ZoneVersion{Zone: "busy.example.", Source: "ns1", Method: picket.MethodTransfer, HasSerial: true, Serial: uint32(1000 - i),
			Time: testNow.Add(-time.Duration(i) * time.Hour), Records: int64(i), Added: 1})
	}
	body := get(t, newTestConsole(t, f), "/zones?zone=busy.example").Body.String()
	if n := strings.Count(body, `class="open"`); n != 200 {
		t.Errorf("%d versions shown, want 200", n)
	}
	wantText(t, text(t, body), "the newest 200 versions, newest first", "Older ones are in the raw JSON", "serial 801")
	if strings.Contains(body, "serial 800<") {
		t.Error("more than the newest are shown")
	}
	if _, err := f.history.ZoneVersions(context.Background(), "", 1); err != nil {
		t.Fatal(fmt.Errorf("fake: %w", err))
	}
}
