package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// fakeRetention is a store of what is kept.
type fakeRetention struct {
	kept  []picket.KindKept
	holds []picket.Hold
	err   error
}

func (f *fakeRetention) Kept(context.Context) ([]picket.KindKept, error) { return f.kept, f.err }
func (f *fakeRetention) Holds(context.Context) ([]picket.Hold, error)    { return f.holds, f.err }

// sampleRetention is what an organisation would keep.
func sampleRetention() *fakeRetention {
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	text := func(d time.Duration) string { return ago(d).Format(time.RFC3339Nano) }
	const day = 24 * time.Hour
	return &fakeRetention{
		kept: []picket.KindKept{
			{Kind: "query", Configured: "30 days", Oldest: ago(37 * day), Newest: ago(2 * time.Second), Rows: 812044, Segments: 721, Sealed: 70211984, Bytes: 5 << 30, Held: 24, Removed: []picket.Removal{
				{Seq: 1412, Time: text(time.Hour), Kind: "query", Path: "2026/02/15/13-0001.parquet", SHA256: strings.Repeat("ab", 32), Rows: 98211, OlderThan: text(30 * day)}}},
			{Kind: "sighting", Configured: "for ever", Oldest: ago(900 * day), Newest: ago(time.Minute), Rows: 91002331, HeldRows: 17},
			{Kind: "quarantine", Configured: "90 days", Rows: 0, Removed: []picket.Removal{{Seq: 1398, Time: text(5 * time.Hour), Kind: "quarantine", Rows: 12, Held: 2, OlderThan: text(90 * day)}}},
		},
		holds: []picket.Hold{
			{ID: 1, Kind: "all", Since: ago(60 * day), Until: ago(59 * day), Reason: "case 3", Placed: text(50 * day), By: "alice", Released: text(10 * day), ReleasedBy: "bob", ReleaseReason: "case 3 is closed"},
			{ID: 2, Kind: "query", Since: ago(37 * day), Until: ago(36 * day), Reason: "case 7: supplier", Placed: text(9 * day), By: "alice (as root)"},
		},
	}
}

func keeps(r *fakeRetention) func(*Options) { return func(o *Options) { o.Retention = r } }

func TestRetentionPage(t *testing.T) {
	c := newTestConsole(t, sample(), keeps(sampleRetention()))
	body := get(t, c, "/retention").Body.String()
	wantText(t, text(t, body), "1 hold in force", "Queries query Kept 30 days Oldest 37 days ago", "Sealed 721 segments, 70 211 984 rows, 5.0 GiB Under hold 24 segments",
		"Sightings sighting Kept for ever", "Under hold 17 rows", "Rejected records quarantine Kept 90 days Oldest nothing there", "2 in force On Queries Range 2026-02-08 14:30:00 UTC to 2026-02-09 14:30:00 UTC",
		"by alice (as root) Why case 7: supplier Released no", "1 released On Everything", "by bob : case 3 is closed",
		"What 98 211 rows 2026/02/15/13-0001.parquet SHA-256 abab", "12 rows, 2 rows left because of a hold", "Ledger entry 1 412")
	if strings.Index(body, "case 7: supplier") > strings.Index(body, "case 3") {
		t.Error("a hold that was released stands before one that is in force")
	}
	c = newTestConsole(t, sample(), keeps(&fakeRetention{}))
	wantText(t, text(t, get(t, c, "/retention").Body.String()), "0 holds in force", "Nothing is kept yet.", "None. picket hold add", "Nothing has been removed so far.")
	if w := get(t, newTestConsole(t, sample()), "/retention"); w.Code != http.StatusNotFound {
		t.Errorf("without retention: %d", w.Code)
	}
	if w := get(t, newTestConsole(t, sample(), keeps(&fakeRetention{err: errors.New("disk is on fire")})), "/retention"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "fire") {
		t.Errorf("store fails: %d", w.Code)
	}
}

func TestRetentionAPI(t *testing.T) {
	c := newTestConsole(t, sample(), keeps(sampleRetention()))
	var kept struct{ Kinds []picket.KindKept }
	if err := json.Unmarshal(get(t, c, "/api/retention").Body.Bytes(), &kept); err != nil || len(kept.Kinds) != 3 || kept.Kinds[1].HeldRows != 17 || kept.Kinds[0].Configured != "30 days" || kept.Kinds[0].Removed[0].Seq != 1412 {
		t.Errorf("%+v, %v", kept, err)
	}
	if body := get(t, c, "/api/retention").Body.String(); !strings.Contains(body, `"removed":[]`) || strings.Contains(body, "0001-01-01") {
		t.Error(body)
	}
	for u, want := range map[string]int{"/api/holds": 1, "/api/holds?all=true": 2} {
		var list struct{ Holds []picket.Hold }
		if err := json.Unmarshal(get(t, c, u).Body.Bytes(), &list); err != nil || len(list.Holds) != want || list.Holds[want-1].By != "alice (as root)" {
			t.Errorf("%s: %+v, %v", u, list, err)
		}
	}
	none := newTestConsole(t, sample())
	for u, want := range map[string]string{"/api/retention": `{"kinds":[]}`, "/api/holds": `{"holds":[]}`} {
		if got := strings.TrimSpace(get(t, none, u).Body.String()); got != want {
			t.Errorf("%s: %s", u, got)
		}
	}
	if w := get(t, newTestConsole(t, sample(), keeps(&fakeRetention{err: errors.New("disk is on fire")})), "/api/holds"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "fire") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// hostileRetention has an adversary's text in every place.
func hostileRetention() *fakeRetention {
	f := &fakeRetention{}
	for _, h := range hostileTexts {
		f.kept = append(f.kept, picket.KindKept{Kind: h, Configured: h, Rows: math.MinInt64, HeldRows: math.MaxInt64, Segments: math.MaxInt, Bytes: math.MaxInt64, Held: 1, Newest: testNow,
			Removed: []picket.Removal{{Time: h, Kind: h, Path: h, SHA256: h, OlderThan: h, Held: 1}}})
		f.holds = append(f.holds, picket.Hold{Kind: h, Reason: strings.Repeat(h, 20), Placed: h, By: h}, picket.Hold{Kind: h, Reason: h, Released: h, ReleasedBy: h, ReleaseReason: h})
	}
	return f
}

// TestHistoryHostile: what is shown of versions and retention is shown as text.
func TestHistoryHostile(t *testing.T) {
	c := newTestConsole(t, hostile(), keeps(hostileRetention()))
	for _, u := range []string{"/retention", "/zones", "/zones?zone=" + "%3Cscript%3Ealert(1)%3C/script%3E", "/zones?zone=."} {
		w := get(t, c, u)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", u, w.Code)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "onmouseover='", "\u202e", "\x1b[", "\x00"} {
			if strings.Contains(w.Body.String(), bad) {
				t.Errorf("%s: %q came through", u, bad)
			}
		}
		if strings.Contains(w.Body.String(), `href="javascript`) {
			t.Errorf("%s: a link runs a script", u)
		}
	}
}
