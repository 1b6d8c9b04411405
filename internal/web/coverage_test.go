package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// Coverage returns the fake's report; its times are those asked for.
func (f *fake) Coverage(_ context.Context, q picket.CoverageFilter) (*picket.CoverageReport, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.report
	if r.To.IsZero() {
		r.From, r.To = testNow.Add(-24*time.Hour), testNow
	}
	if !q.To.IsZero() {
		r.From, r.To = q.From, q.To
	}
	return &r, f.err
}

func (f *fake) CouldSee(_ context.Context, detector string, q picket.CoverageFilter) (*picket.CouldAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if detector == "none" {
		return nil, fmt.Errorf("detector %q: %w", detector, picket.ErrNotFound)
	}
	a := f.could
	a.Detector, a.Zone, a.From, a.To = detector, q.Zone, q.From, q.To
	return &a, f.err
}

// sampleCoverage is a report with something of everything.
func sampleCoverage() picket.CoverageReport {
	ago := func(d time.Duration) time.Time { return testNow.Add(-d) }
	return picket.CoverageReport{
		From: ago(24 * time.Hour), To: testNow, Made: testNow,
		Statement: "2 zones at 3 name servers: queries collected at ns1, partly at ns2, not at ns3; zone-transfer degraded.",
		Problems: []picket.CoverageProblem{
			{Code: "never-configured", Zone: "example.com.", Server: "ns3.example.com.", Text: "ns3.example.com. is delegated to, but no input is of it."},
			{Code: "gap", Zone: "example.com.", Server: "ns2.example.com.", Input: "ns2 query log", From: ago(14 * time.Hour), To: ago(14*time.Hour - 10*time.Minute), Text: "Nothing came for 10 minutes."},
			{Code: "clock-skew", Input: "ns2 query log", Text: "The clock is 90 s ahead."},
		},
		Cells: []picket.CoverageCell{
			{Zone: "example.com.", Server: "ns1.example.com.", Kind: picket.KindQuery, Inputs: []string{"ns1 dnstap"}, State: "collected", First: ago(24 * time.Hour), Last: ago(3 * time.Second), Seen: 1204331, Expected: 1204000, Basis: "the server's own counter", SkewKnown: true},
			{Zone: "example.com.", Server: "ns2.example.com.", Kind: picket.KindQuery, Inputs: []string{"ns2 query log"}, Provider: "Example Hosting", State: "partial", First: ago(24 * time.Hour), Last: ago(8 * time.Second), Seen: 900123, Expected: 1200000, Basis: "sibling servers", Lost: 412,
				Gaps: []picket.Gap{{From: ago(14 * time.Hour), To: ago(14*time.Hour - 10*time.Minute), Why: "broken feed"}}, Skew: 90 * time.Second, SkewKnown: true, Missing: []string{"rcode"}},
			{Zone: "example.com.", Server: "ns3.example.com.", Kind: picket.KindQuery, State: "missing", Silence: picket.SilenceNever, Expected: -1},
			{Zone: "example.com.", Server: "ns1.example.com.", Kind: picket.KindRecord, Inputs: []string{"transfer"}, State: "collected", First: ago(20 * time.Hour), Last: ago(time.Hour), Seen: 12, Expected: -1},
			{Zone: "example.org.", Server: "ns1.example.com.", Kind: picket.KindQuery, Inputs: []string{"ns1 dnstap"}, State: "silent", Silence: picket.SilenceNoTraffic, Expected: 3, Basis: "history by hour of week", Notes: []string{"one version behind, at serial 6"}},
		},
		Classes: []picket.ClassCoverage{
			{Class: "authoritative queries", Kind: picket.KindQuery, Verdict: "partial", Text: "Collected at 2 of 3 name servers."},
			{Class: "zone changes", Kind: picket.KindRecord, Verdict: "collected", Text: "Transfers of 2 zones."},
			{Class: "passive DNS", Kind: picket.KindSighting, Verdict: "not collected", Text: "No input brings it."},
		},
		Detectors: []picket.DetectorCoverage{
			{Detector: "brute-force", State: "working"},
			{Detector: "zone-transfer", State: "degraded", Why: []string{"no rcode at ns2 query log"}},
			{Detector: "nsec-walk", State: "blind", Why: []string{"no input brings denials"}},
		},
		Retention: []picket.RetentionCoverage{
			{Retained: picket.Retained{Kind: picket.KindQuery, Oldest: ago(700 * time.Hour), Newest: testNow, Rows: 48210933, Bytes: 3 << 30, Segments: 700, Held: 2}, Configured: 720 * time.Hour, Text: "29 days of 30 are there."},
			{Retained: picket.Retained{Kind: picket.KindRecord}, Text: "Nothing is there yet."},
			{Retained: picket.Retained{Kind: "change", Rows: 3, Oldest: ago(time.Hour), Newest: ago(time.Minute)}, Text: "To be kept for ever; 60 minutes are there."},
		},
	}
}

var sampleCould = picket.CouldAnswer{Answer: "partly", Text: "A zone transfer attempt on example.com. on 2026-03-16 would have been seen at 2 of 3 name servers.",
	Reasons: []string{"ns3.example.com. was never configured.", "ns2.example.com. had a gap of 10 minutes."}}

// hostileCoverage has an adversary's text in every place.
func hostileCoverage() (r picket.CoverageReport) {
	for k, h := range hostileTexts {
		r.Statement += h
		r.Problems = append(r.Problems, picket.CoverageProblem{Code: h, Zone: h, Server: h, Input: h, Text: h, From: testNow, To: testNow.Add(-time.Hour)})
		for i, o := range hostileTexts {
			if i != k && i != (k+1)%len(hostileTexts) {
				continue
			}
			r.Cells = append(r.Cells, picket.CoverageCell{Zone: h, Server: o, Kind: picket.Kind(h), Inputs: []string{h, h}, Provider: h, State: h, Silence: picket.Silence(h),
				First: testNow.Add(time.Hour), Last: testNow.Add(-100 * time.Hour), Seen: math.MinInt64, Expected: []float64{math.NaN(), math.Inf(1), 5}[i%3], Basis: h, Lost: math.MaxInt64,
				Gaps: []picket.Gap{{From: testNow, To: testNow.Add(-time.Hour), Why: h}, {Why: h}}, Skew: math.MinInt64, SkewKnown: true, Missing: []string{h}, Notes: []string{h}})
		}
		r.Classes = append(r.Classes, picket.ClassCoverage{Class: h, Kind: picket.Kind(h), Verdict: h, Text: h})
		r.Detectors = append(r.Detectors, picket.DetectorCoverage{Detector: h, State: h, Why: []string{h}})
		r.Retention = append(r.Retention, picket.RetentionCoverage{Retained: picket.Retained{Kind: picket.Kind(h), Rows: -1, Bytes: -1, Held: 1}, Configured: -1, Text: h})
	}
	return r
}

func TestCoveragePage(t *testing.T) {
	f := sample()
	c := newTestConsole(t, f)
	body := get(t, c, "/coverage?detector=zone-transfer&zone=EXAMPLE.com&day=2026-03-16").Body.String()
	page := text(t, body)
	wantText(t, page, "2 zones at 3 name servers", "Never configured : ns3.example.com. is delegated to", "Missing queries", "Collected zone records", "Silent no traffic",
		"never configured", "gap 2026-03-17 00:30:00 UTC for 10 min: broken feed", "Something came from 2026-03-16 14:30:00 UTC to 2026-03-17 14:29:52 UTC, with 1 gap of 10 min together",
		"clock 1 min 30 s ahead", "412 lost at its inputs", "without rcode", "one version behind, at serial 6", "Changes of zones To be kept for ever", "sibling servers", "the server's own counter", "1 of 3 working",
		"Attempted zone transfer zone-transfer Degraded no rcode at ns2 query log", "Walking the zone by NSEC nsec-walk Blind",
		"Not collected No input brings it.", "30 days", "for ever", "3.0 GiB", "2 segments on hold",
		"Partly A zone transfer attempt on example.com. on 2026-03-16 would have been seen", "from 2026-03-16 00:00:00 UTC to 2026-03-17 00:00:00 UTC")
	if strings.Contains(page, "Guessing names brute-force") {
		t.Error("a detector that works is listed among those that do not")
	}
	wantText(t, body, `<a href="/coverage" aria-current="page">Coverage</a>`, `value="2026-03-16"`)
	wantText(t, text(t, get(t, c, "/coverage?detector=none").Body.String()), "There is no such detector.")
	if w := get(t, newTestConsole(t, f, func(o *Options) { o.Coverage = nil }), "/coverage"); w.Code != http.StatusNotFound {
		t.Errorf("without a reporter: status %d", w.Code)
	}
}

func TestCoverageAPI(t *testing.T) {
	f := sample()
	c := newTestConsole(t, f)
	wantText(t, get(t, c, "/api/coverage").Body.String(), `"statement":"2 zones at 3 name servers`, `"state":"missing","silence":"never configured"`, `"from":"2026-03-16T14:30:00Z"`)
	wantText(t, get(t, c, "/api/coverage?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z").Body.String(), `"from":"2026-03-01T00:00:00Z"`)
	wantText(t, get(t, c, "/api/coverage/could?detector=zone-transfer&zone=example.com&day=2026-03-16").Body.String(),
		`"detector":"zone-transfer"`, `"zone":"example.com."`, `"from":"2026-03-16T00:00:00Z"`, `"to":"2026-03-17T00:00:00Z"`, `"answer":"partly"`)
	for path, want := range map[string]string{
		"/api/coverage?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z":                              "the range of time ends before it begins",
		"/api/coverage?from=2001-03-02T00:00:00Z&to=2026-03-01T00:00:00Z":                              "longer than five years",
		"/api/coverage/could?detector=x&day=16.3.2026":                                                 "want YYYY-MM-DD",
		"/api/coverage/could?detector=x&day=2026-03-16&from=2026-03-16T00:00:00Z":                      "give either the day, or from and to",
		"/api/coverage/could?day=2026-03-16":                                                           "required query parameter is missing",
		"/api/coverage/could?detector=zone-transfer&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z": "the range of time ends before it begins",
	} {
		w := get(t, c, path)
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d, %s; want 422 with %q", path, w.Code, w.Body, want)
		}
	}
	f.report = hostileCoverage()
	if w := get(t, c, "/api/coverage"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"expected":-1`) {
		t.Errorf("hostile report: status %d", w.Code)
	}
}

// TestFindingSaysWhatWasWatched holds that a finding carries the statement and its class.
func TestFindingSaysWhatWasWatched(t *testing.T) {
	f := sample()
	x := f.findings[0]
	x.ID, x.Detector, x.Class, x.Coverage = "op1", "feed-silent", picket.FindingOperational, "Watched 2 zones; nothing came from ns2."
	f.put(x)
	c := newTestConsole(t, f)
	page := text(t, get(t, c, "/findings/op1").Body.String())
	wantText(t, page, "Feed went silent", "operational", "What was watched when this was raised Watched 2 zones; nothing came from ns2.", "This is about the watch itself")
	if strings.Contains(page, "Reconnaissance is not compromise: nothing") {
		t.Error("an operational finding is qualified as if it were reconnaissance")
	}
	wantText(t, get(t, c, "/api/findings/op1").Body.String(), `"class":"operational"`, `"coverage":"Watched 2 zones; nothing came from ns2."`)
	wantText(t, text(t, get(t, c, "/").Body.String()), "Feed went silent feed-silent operational")
}
