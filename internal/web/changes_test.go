package web

import (
	"cmp"
	"context"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// fakeHistory is a picket.ZoneHistory in memory.
type fakeHistory struct {
	mu       sync.Mutex
	changes  []picket.RecordChange
	lives    []picket.RecordLife
	versions []picket.ZoneVersion
	asked    picket.HistoryFilter
	err      error
}

func selects(f *picket.HistoryFilter, zone, name, typ, source string, churn bool) bool {
	return (f.Zone == "" || f.Zone == zone) && (f.Name == "" || f.Name == name || f.Below && strings.HasSuffix(name, "."+f.Name)) &&
		(f.Type == "" || f.Type == typ) && (f.Source == "" || f.Source == source) && (f.Churn || !churn)
}

func paged[T any](list []T, f *picket.HistoryFilter) []T {
	list = list[min(f.Offset, len(list)):]
	return list[:min(cmp.Or(f.Limit, 100), len(list))]
}

func (h *fakeHistory) Changes(_ context.Context, f picket.HistoryFilter) (list []picket.RecordChange, total int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = f
	for _, x := range h.changes {
		if selects(&f, x.Zone, x.Name, x.Type, x.Source, x.Churn) && !x.Time.Before(f.Since) && (f.Until.IsZero() || x.Time.Before(f.Until)) {
			list = append(list, x)
		}
	}
	slices.SortStableFunc(list, func(a, b picket.RecordChange) int { return b.Time.Compare(a.Time) })
	return paged(list, &f), int64(len(list)), h.err
}

func (h *fakeHistory) Lives(_ context.Context, f picket.HistoryFilter) (list []picket.RecordLife, total int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = f
	for _, x := range h.lives {
		if selects(&f, x.Zone, x.Name, x.Type, x.Source, x.Churn) && (!f.Living || x.Until.IsZero()) {
			list = append(list, x)
		}
	}
	return paged(list, &f), int64(len(list)), h.err
}

func (h *fakeHistory) ZoneVersions(_ context.Context, zone string, limit int) (list []picket.ZoneVersion, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.versions {
		if (zone == "" || zone == x.Zone) && len(list) < limit {
			list = append(list, x)
		}
	}
	return list, h.err
}

func (h *fakeHistory) HistoryRevision(context.Context) (int64, error) {
	return int64(len(h.changes)), h.err
}

// sampleHistory is what an organisation's zones would have gone through.
func sampleHistory() *fakeHistory {
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	const day = 24 * time.Hour
	h := &fakeHistory{versions: []picket.ZoneVersion{
		{Zone: "example.com.", Source: "ns1", Method: picket.MethodTransfer, HasSerial: true, Serial: 2026031702, Time: ago(3 * time.Minute), Received: ago(3 * time.Minute), Records: 812, Added: 1, Removed: 1, Churn: 9},
		{Zone: "example.com.", Source: "ns1", Method: picket.MethodTransfer, HasSerial: true, Serial: 2026031701, Time: ago(40 * day), Received: ago(40 * day), Records: 812, First: true},
		{Zone: "example.org.", Source: "dns as code", Method: picket.MethodGit, Time: ago(day), Received: ago(time.Hour), Records: 41, Added: 2},
	}}
	for i, x := range []picket.RecordChange{
		{Time: ago(3 * time.Minute), Zone: "example.com.", Name: "www.example.com.", Type: "A", Old: []string{"192.0.2.10"}, New: []string{"192.0.2.11", "192.0.2.12"}, OldTTL: 300, NewTTL: 60,
			Source: "ns1", Method: picket.MethodTransfer, HasSerial: true, SerialFrom: 2026031701, SerialTo: 2026031702},
		{Time: ago(3 * time.Minute), Zone: "example.com.", Name: "example.com.", Type: "SOA", Old: []string{"ns1.example.com. hostmaster.example.com. 2026031701 3600 900 1209600 300"},
			New: []string{"ns1.example.com. hostmaster.example.com. 2026031702 3600 900 1209600 300"}, Source: "ns1", Method: picket.MethodTransfer, HasSerial: true, SerialFrom: 2026031701, SerialTo: 2026031702, Churn: true},
		{Time: ago(day), Received: ago(time.Hour), Zone: "example.org.", Name: "_dmarc.example.org.", Type: "TXT", New: []string{`"v=DMARC1; p=reject; rua=mailto:dmarc@example.org; ruf=mailto:dmarc-forensic@example.org; fo=1"`}, NewTTL: 3600,
			Source: "dns as code", Method: picket.MethodGit, Author: "Ada Example <ada@example.org>", Commit: "9f2c41d07ab3e55d8c1b", Comment: "Reject what fails DMARC"},
		{Time: ago(9 * day), Zone: "example.com.", Name: "vpn-old.example.com.", Type: "CNAME", Old: []string{"gw.supplier.example.net."}, OldTTL: 300, Source: "provider export", Method: picket.MethodPush},
	} {
		x.ID = int64(i + 1)
		if x.Received.IsZero() {
			x.Received = x.Time
		}
		h.changes = append(h.changes, x)
	}
	h.lives = []picket.RecordLife{
		{Zone: "example.com.", Name: "www.example.com.", Type: "A", TTL: 300, Data: "192.0.2.10", Source: "ns1", Method: picket.MethodTransfer, Since: ago(40 * day), Until: ago(3 * time.Minute), SinceSerial: 2026031701, UntilSerial: 2026031702},
		{Zone: "example.com.", Name: "www.example.com.", Type: "A", TTL: 60, Data: "192.0.2.11", Source: "ns1", Method: picket.MethodTransfer, Since: ago(3 * time.Minute), Began: true, SinceSerial: 2026031702},
		{Zone: "example.com.", Name: "www.example.com.", Type: "A", TTL: 60, Data: "192.0.2.12", Source: "ns1", Method: picket.MethodTransfer, Since: ago(3 * time.Minute), Began: true, SinceSerial: 2026031702},
		{Zone: "example.com.", Name: "www.example.com.", Type: "RRSIG", Data: "A 13 3 300 20260401000000 20260301000000 4242 example.com. c2lnbmF0dXJl", Source: "ns1", Method: picket.MethodTransfer, Since: ago(16 * day), Began: true, Churn: true},
		{Zone: "example.com.", Name: "vpn-old.example.com.", Type: "CNAME", TTL: 300, Data: "gw.supplier.example.net.", Source: "provider export", Method: picket.MethodPush, Since: ago(400 * day), Began: true, Until: ago(9 * day)},
	}
	return h
}

// hostileHistory has an adversary's text in every place.
func hostileHistory() *fakeHistory {
	h := &fakeHistory{}
	for i, t := range hostileTexts {
		h.changes = append(h.changes, picket.RecordChange{ID: int64(i), Time: testNow, Zone: t, Name: t, Type: t, Class: t, Old: slices.Repeat([]string{t}, 30), New: []string{t + " " + t, strings.Repeat("\u202e", 900)},
			OldTTL: math.MinInt64, NewTTL: math.MaxInt64, Source: t, Scope: t, Method: t, HasSerial: true, SerialTo: math.MaxUint32, Author: strings.Repeat(t, 9), Commit: t, Comment: strings.Repeat(t, 50), Churn: true},
			picket.RecordChange{ID: int64(100 + i), Name: t})
		h.lives = append(h.lives, picket.RecordLife{Zone: t, Name: t, Type: t, Data: t, TTL: math.MaxInt64, Source: t, Method: t, Since: testNow.Add(time.Hour), Until: testNow.Add(-time.Hour), Churn: true},
			picket.RecordLife{Name: t, Since: time.Time{}, Until: testNow})
		h.versions = append(h.versions, picket.ZoneVersion{Zone: t, Source: t, Method: t})
	}
	return h
}

func TestChangesPage(t *testing.T) {
	c := newTestConsole(t, sample())
	body := get(t, c, "/changes").Body.String()
	page := text(t, body)
	wantText(t, page, "3 changes, newest first", "www.example.com. A changed in example.com.", "192.0.2.10 TTL 300 s", "192.0.2.11 192.0.2.12 TTL 60 s",
		"2026031701 → 2026031702", "ns1 zone transfer", "_dmarc.example.org. TXT added in example.org.", "nothing", "by Ada Example <ada@example.org>", "commit 9f2c41d07ab3…",
		"Reject what fails DMARC", "vpn-old.example.com. CNAME removed", "learned 60 min ago", "2026-03-17 14:27:00 UTC", "Without what DNSSEC and serials change", "Show it")
	wantText(t, body, `href="/names?name=vpn-old.example.com."`, `href="/changes?churn=1"`)
	if strings.Contains(page, "SOA") {
		t.Error("churn is not folded away")
	}
	for u, want := range map[string]int{"/changes?churn=1": 4, "/changes?zone=EXAMPLE.com": 2, "/changes?name=example.com&below=1": 2, "/changes?type=cname": 1, "/changes?source=ns1": 1, "/changes?zone=none": 0} {
		if n := strings.Count(get(t, c, u).Body.String(), `class="open"`); n != want {
			t.Errorf("%s: %d changes, want %d", u, n, want)
		}
	}
	wantText(t, text(t, get(t, c, "/changes?zone=none").Body.String()), "No change matches this filter.")
	wantText(t, text(t, get(t, c, "/changes?page=7").Body.String()), "There is no page 7.")
	for _, bad := range []string{"/changes?page=0", "/changes?page=x", "/changes?type=" + strings.Repeat("x", 40), "/names?name=" + strings.Repeat("x", 1100)} {
		if w := get(t, c, bad); w.Code != 400 {
			t.Errorf("%s: status %d", bad, w.Code)
		}
	}
	none := newTestConsole(t, sample(), func(o *Options) { o.History = nil })
	wantText(t, text(t, get(t, none, "/changes").Body.String()), "No zone is recorded yet.")
	wantText(t, text(t, get(t, none, "/names?name=www.example.com").Body.String()), "www.example.com.")
	still := newTestConsole(t, sample(), func(o *Options) { o.History = &fakeHistory{versions: sampleHistory().versions} })
	wantText(t, text(t, get(t, still, "/changes").Body.String()), "No change so far.")
}

func TestNamePage(t *testing.T) {
	c := newTestConsole(t, sample())
	page := text(t, get(t, c, "/names?name=WWW.example.com").Body.String())
	wantText(t, page, "www.example.com.", "2 records are there now.", "3 life lines", "A 192.0.2.10 TTL 300 s", "before 40 days ago", "there now",
		"zone transfer, serial 2026031701 until 2026031702", "What has changed", "This name as JSON")
	if strings.Contains(page, "RRSIG") {
		t.Error("churn is not folded away")
	}
	wantText(t, text(t, get(t, c, "/names?name=www.example.com&churn=1").Body.String()), "RRSIG", "4 life lines")
	gone := get(t, c, "/names?name=vpn-old.example.com").Body.String()
	wantText(t, text(t, gone), "Gone: the last record went 9 days ago.")
	wantText(t, gone, `class="past" x="0" width="97.75"`)
	wantText(t, text(t, get(t, c, "/names?name=example.com&below=1").Body.String()), "and everything below it", "vpn-old.example.com.", "4 life lines")
	wantText(t, text(t, get(t, c, "/names?name=never.example.com").Body.String()), "Nothing is recorded of this name.", "says nothing of the time before")
	wantText(t, text(t, get(t, c, "/names").Body.String()), "Life of a name")
}

func TestAPIHistory(t *testing.T) {
	c := newTestConsole(t, sample())
	for query, want := range map[string]int64{"": 3, "?churn=true": 4, "?zone=example.com": 2, "?name=example.com&below=true": 2, "?type=txt": 1, "?source=ns1": 1,
		"?since=2026-03-17T00:00:00Z": 1, "?until=2026-03-10T00:00:00Z": 1} {
		got := getJSON[changesBody](t, c, "/api/changes"+query, 200)
		if got.Total != want || int64(len(got.Changes)) != want || got.Limit != 100 {
			t.Errorf("%q: %d of %d changes, want %d", query, len(got.Changes), got.Total, want)
		}
	}
	if body := get(t, c, "/api/changes?type=TXT").Body.String(); !strings.Contains(body, `"old":[]`) {
		t.Errorf("a list that is none: %s", body)
	}
	page := getJSON[changesBody](t, c, "/api/changes?limit=2&offset=2", 200)
	if len(page.Changes) != 1 || page.Total != 3 || page.Offset != 2 {
		t.Errorf("page %+v", page)
	}
	name := getJSON[nameBody](t, c, "/api/names/WWW.example.com", 200)
	if name.Name != "www.example.com." || name.TotalLives != 3 || len(name.Lives) != 3 || name.TotalChanges != 1 || name.Changes[0].SerialTo != 2026031702 {
		t.Errorf("name %+v", name)
	}
	if later := getJSON[nameBody](t, c, "/api/names/www.example.com?offset=2", 200); len(later.Lives) != 1 || later.TotalLives != 3 || len(later.Changes) != 0 {
		t.Errorf("with an offset %+v", later)
	}
	if living := getJSON[nameBody](t, c, "/api/names/example.com?below=true&living=true", 200); living.TotalLives != 2 {
		t.Errorf("living %+v", living)
	}
	if none := get(t, c, "/api/names/none").Body.String(); none != `{"name":"none.","lives":[],"total_lives":0,"changes":[],"total_changes":0}`+"\n" {
		t.Errorf("no such name: %s", none)
	}
	versions := getJSON[versionsBody](t, c, "/api/zones/example.com/versions", 200)
	if versions.Zone != "example.com." || len(versions.Versions) != 2 || versions.Versions[0].Serial != 2026031702 || !versions.Versions[1].First {
		t.Errorf("versions %+v", versions)
	}
	without := newTestConsole(t, sample(), func(o *Options) { o.History = nil })
	for u, want := range map[string]string{"/api/changes": `{"changes":[],"total":0,"limit":100,"offset":0}`, "/api/zones/example.com/versions": `{"zone":"example.com.","versions":[]}`} {
		if body := get(t, without, u).Body.String(); body != want+"\n" {
			t.Errorf("%s without history: %s", u, body)
		}
	}
	for _, u := range []string{"/api/changes?limit=0", "/api/changes?limit=1001", "/api/changes?since=yesterday", "/api/changes?colour=red", "/api/names/x?offset=-1", "/api/zones/x/versions?limit=0"} {
		getJSON[problem](t, c, u, 422)
	}
	h := newTestConsole(t, hostile())
	for _, x := range hostileTexts {
		getJSON[nameBody](t, h, "/api/names/"+url.PathEscape(x+"."), 200)
		getJSON[changesBody](t, h, "/api/changes?"+url.Values{"name": {x}, "churn": {"true"}}.Encode(), 200)
		getJSON[versionsBody](t, h, "/api/zones/"+url.PathEscape(x)+"/versions", 200)
	}
}
