package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
)

func getJSON[T any](t *testing.T, c *Console, u string, status int) T {
	t.Helper()
	w := get(t, c, u)
	if w.Code != status {
		t.Fatalf("%s: status %d: %s", u, w.Code, w.Body)
	}
	want := "application/json"
	if status >= 400 {
		want = "application/problem+json"
	}
	if got := w.Header().Get("Content-Type"); got != want {
		t.Errorf("%s: Content-Type %q", u, got)
	}
	for _, b := range w.Body.Bytes() {
		if b != '\n' && (b < 0x20 || b > 0x7e || b == '<' || b == '>') {
			t.Fatalf("%s: byte %#x in the body", u, b)
		}
	}
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", u, err)
	}
	return v
}

func TestAPIFindings(t *testing.T) {
	f := sample()
	c := newTestConsole(t, f)
	for query, want := range map[string]int{
		"": 8, "?min_severity=high": 3, "?zone=example.com": 3, "?zone=example.com.&detector=zone-transfer": 1, "?text=2001:db8": 1,
		"?since=2026-03-17T14:00:00Z": 3, "?until=2026-03-15T00:00:00Z": 1,
	} {
		got := getJSON[findingsBody](t, c, "/api/findings"+query, 200)
		if got.Total != want || len(got.Findings) != want || got.Revision != 8 {
			t.Errorf("%q: %d of %d findings at revision %d, want %d", query, len(got.Findings), got.Total, got.Revision, want)
		}
	}
	page := getJSON[findingsBody](t, c, "/api/findings?limit=3&offset=6", 200)
	if len(page.Findings) != 2 || page.Total != 8 || page.Limit != 3 || page.Offset != 6 {
		t.Errorf("page: %d findings, %+v", len(page.Findings), page)
	}
	one := getJSON[picket.StoredFinding](t, c, apiURL(f.findings[0].ID), 200)
	if one.Summary != f.findings[0].Summary || one.Severity != picket.SeverityHigh || !one.Open || len(one.Evidence.Names) != 10 {
		t.Errorf("finding %+v", one)
	}
	if empty := get(t, newTestConsole(t, &fake{}), "/api/findings").Body.String(); !strings.Contains(empty, `"findings":[]`) {
		t.Errorf("empty list: %s", empty)
	}
}

func TestAPIKeepsHostileNamesUnchanged(t *testing.T) {
	f := hostile()
	c := newTestConsole(t, f)
	for i, h := range hostileTexts {
		got := getJSON[picket.StoredFinding](t, c, apiURL(f.findings[i].ID), 200)
		if want := strings.ToValidUTF8(h, "\ufffd"); strings.ReplaceAll(got.Summary, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("summary %q, want %q", got.Summary, want)
		}
		getJSON[problem](t, c, "/api/findings/"+url.PathEscape("none"+h), 404)
	}
	getJSON[watchedBody](t, c, "/api/watched", 200)
	for i, q := range getJSON[quarantineBody](t, c, "/api/quarantine?record=true", 200).Records {
		if string(q.Record) != hostileTexts[i] || q.Size != len(hostileTexts[i]) {
			t.Errorf("quarantined record %q, want %q", q.Record, hostileTexts[i])
		}
	}
	if got := getJSON[findingsBody](t, c, "/api/findings", 200); got.Total != len(hostileTexts) {
		t.Errorf("%d findings", got.Total)
	}
}

func TestAPIWatched(t *testing.T) {
	got := getJSON[watchedBody](t, newTestConsole(t, sample()), "/api/watched", 200)
	if len(got.Zones) != 6 || got.Zones[0].Name != "example.com." || got.Zones[0].Retired != 108 || len(got.Inputs) != 5 || len(got.Notes) != 2 {
		t.Errorf("watched %+v", got)
	}
	in := got.Inputs[3]
	if in.Kind != picket.KindQuery || in.Received != 7718104 || in.Dropped["queue full"] != 16884 || in.Rejected == nil || in.Notes == nil {
		t.Errorf("input %+v", in)
	}
	if n := got.Inputs[1].Notes; len(n) != 1 {
		t.Errorf("notes %q", n)
	}
}

func TestAPIQuarantine(t *testing.T) {
	f := sample()
	for i := range 120 {
		f.kept = append(f.kept, picket.QuarantinedRecord{ID: int64(i + 1), Input: []string{"log", "tap"}[i%2], Format: "bind-log", Reason: "bad name",
			Line: int64(i), Time: testNow, Record: bytes.Repeat([]byte{0xff}, 64<<10)})
	}
	c := newTestConsole(t, f)
	for query, want := range map[string]struct {
		n    int
		next int64
	}{
		"": {100, 100}, "?limit=1000": {120, 0}, "?after=110": {10, 0}, "?input=log": {60, 0}, "?input=log&limit=3&after=4": {3, 9}, "?input=none": {0, 0},
		"?record=true": {64, 64}, // 4 MiB
	} {
		got := getJSON[quarantineBody](t, c, "/api/quarantine"+query, 200)
		if len(got.Records) != want.n || got.Next != want.next {
			t.Errorf("%q: %d records, next %d; want %d, %d", query, len(got.Records), got.Next, want.n, want.next)
		}
		for _, q := range got.Records {
			if q.Size != 64<<10 || (len(q.Record) > 0) != (query == "?record=true") {
				t.Fatalf("%q: size %d with %d bytes", query, q.Size, len(q.Record))
			}
		}
	}
	none := newTestConsole(t, sample(), func(o *Options) { o.Quarantine = nil })
	if body := get(t, none, "/api/quarantine").Body.String(); body != `{"records":[]}`+"\n" {
		t.Errorf("without a quarantine: %s", body)
	}
}

func TestAPIProblems(t *testing.T) {
	c := newTestConsole(t, sample())
	for u, status := range map[string]int{
		"/api/findings?limit=0": 422, "/api/findings?limit=1001": 422, "/api/findings?offset=-1": 422, "/api/findings?min_severity=odd": 422,
		"/api/findings?since=yesterday": 422, "/api/findings?colour=red": 422, "/api/findings/none": 404, "/api/nowhere": 404,
		"/api/quarantine?limit=1001": 422, "/api/quarantine?after=-1": 422, "/api/quarantine?release=1": 422,
	} {
		p := getJSON[problem](t, c, u, status)
		if p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
			t.Errorf("%s: problem %+v", u, p)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	doc := get(t, newTestConsole(t, sample()), "/api/openapi.json").Body.Bytes()
	var d struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]map[string]struct{ Parameters []struct{ Name string } }
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") || d.Info.Version != "0.9.0" || len(d.Paths) < 6 {
		t.Errorf("OpenAPI %q, version %q, %d paths", d.OpenAPI, d.Info.Version, len(d.Paths))
	}
	var names []string
	for _, p := range d.Paths["/api/findings"]["get"].Parameters {
		names = append(names, p.Name)
	}
	for _, want := range []string{"zone", "detector", "min_severity", "since", "until", "text", "limit", "offset"} {
		if !slices.Contains(names, want) {
			t.Errorf("parameter %s is not described", want)
		}
	}
}
