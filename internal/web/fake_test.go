package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/picket-dns/picket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testNow = time.Date(2026, 3, 17, 14, 30, 0, 0, time.UTC)

// fake is both roles in memory.
type fake struct {
	mu       sync.Mutex
	findings []picket.StoredFinding
	revision int64
	watched  picket.Watched
	kept     []picket.QuarantinedRecord
	report   picket.CoverageReport
	history  *fakeHistory
	could    picket.CouldAnswer
	err      error
}

func (f *fake) put(x picket.StoredFinding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	x.Revision, x.UpdatedAt = f.revision, x.LastSeen
	f.findings = append(slices.DeleteFunc(f.findings, func(o picket.StoredFinding) bool { return o.ID == x.ID }), x)
}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	if f.history != nil {
		f.history.err = err
	}
}

func (f *fake) Findings(_ context.Context, q picket.FindingFilter) ([]picket.StoredFinding, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []picket.StoredFinding
	for _, x := range f.findings {
		text := x.Summary + x.Source.Prefix + x.ID
		if (q.Zone == "" || q.Zone == x.Zone) && (q.Detector == "" || q.Detector == x.Detector) &&
			x.Severity >= q.MinSeverity && strings.Contains(text, q.Text) && !x.LastSeen.Before(q.Since) &&
			(q.Until.IsZero() || x.LastSeen.Before(q.Until)) {
			list = append(list, x)
		}
	}
	slices.SortStableFunc(list, func(a, b picket.StoredFinding) int { return b.LastSeen.Compare(a.LastSeen) })
	total := len(list)
	list = list[min(q.Offset, total):]
	return list[:min(cmp.Or(q.Limit, 100), len(list))], total, f.err
}

func (f *fake) Finding(_ context.Context, id string) (*picket.StoredFinding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.findings {
		if x.ID == id {
			return &x, f.err
		}
	}
	return nil, fmt.Errorf("finding %q: %w", id, picket.ErrNotFound)
}

func (f *fake) FindingsRevision(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision, f.err
}

func (f *fake) Watched(context.Context) (picket.Watched, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watched, f.err
}

func (f *fake) Quarantined(_ context.Context, input string, after int64, limit int) ([]picket.QuarantinedRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []picket.QuarantinedRecord
	for _, q := range f.kept {
		if (input == "" || input == q.Input) && q.ID > after && len(list) < limit {
			list = append(list, q)
		}
	}
	return list, f.err
}

func newTestConsole(t *testing.T, f *fake, change ...func(*Options)) *Console {
	t.Helper()
	o := Options{Findings: f, Watch: f, Quarantine: f, Coverage: f, Version: "0.9.0", Now: func() time.Time { return testNow }, Poll: 10 * time.Millisecond}
	if f.history != nil {
		o.History = f.history
	}
	for _, c := range change {
		c(&o)
	}
	c := New(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func get(t *testing.T, h http.Handler, url string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Host = "127.0.0.1:8053"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// sample is a store with findings such as an organisation would see.
func sample() *fake {
	f := &fake{watched: sampleWatched(), history: sampleHistory(), report: sampleCoverage(), could: sampleCould}
	for i, s := range []struct {
		detector, zone, prefix, kind string
		spoofable                    bool
		ago, lasted                  time.Duration
		queries, names, at           int64
		severity                     picket.Severity
		confidence                   float64
		intent                       string
		summary, limits              string
		open                         bool
		techniques                   []string
	}{
		{"retired-names", "example.com.", "198.51.100.23/32", "direct", true, 40 * time.Second, 52 * time.Minute, 412, 67, 14, picket.SeverityHigh, 0.93, "targeted",
			"67 distinct names were asked for, 41 of them retired; that is 38 % of all names the zone has ever retired.",
			"The names may come from any copy of old data, such as an archive or a former supplier’s inventory; that a passive-DNS database was searched cannot be seen.", true, []string{"T1596.001"}},
		{"zone-transfer", "example.com.", "203.0.113.80/32", "direct", false, 7 * time.Minute, 4 * time.Second, 6, 1, 1, picket.SeverityCritical, 0.99, "targeted",
			"An AXFR of the whole zone was asked for at two servers within four seconds, and one of them answered it.",
			"A misconfigured secondary asks in the same way; check whether the address belongs to a supplier.", false, []string{"T1590.002"}},
		{"list-verification", "corp.example.net.", "192.0.2.53/32", "resolver", true, 21 * time.Minute, 3 * time.Hour, 1893, 214, 61, picket.SeverityMedium, 0.81, "unknown",
			"214 names were asked for, 0.72 of which certificate transparency lists; almost none of them is asked for otherwise.",
			"Attack-surface vendors check lists in the same way; no listed vendor is known at this resolver.", true, []string{"T1596.001", "T1596.003"}},
		{"brute-force", "example.org.", "2001:db8:4a1c:9e00::/56", "direct", true, 95 * time.Minute, 11 * time.Minute, 18422, 9204, 9, picket.SeverityMedium, 0.97, "commodity",
			"9 204 distinct names that never existed were asked for, in the order of a common wordlist.",
			"Guessing of this kind reaches most domains; it shows interest, not success.", false, []string{"T1595.003"}},
		{"nsec-walk", "example.org.", "203.0.113.9/32", "direct", false, 5 * time.Hour, 96 * time.Second, 731, 730, 5, picket.SeverityHigh, 0.98, "unknown",
			"730 steps each asked for the name that the previous answer had disclosed as next.",
			"A DNSSEC debugging tool may take some of these steps, rarely as many.", false, []string{"T1590.002"}},
		{"distributed-enumeration", "example.com.", "", "unknown", true, 9 * time.Hour, 7 * time.Hour, 5120, 3911, 230, picket.SeverityMedium, 0.74, "unknown",
			"Names never asked for before rose well above the zone’s usual level; 23 networks share 180 of them.",
			"A deployment with mistyped names can look alike in its first hour.", false, []string{"T1595.003"}},
		{"server-fingerprint", "", "192.0.2.201/32", "direct", true, 26 * time.Hour, time.Second, 3, 3, 1, picket.SeverityInformational, 0.6, "research",
			"version.bind, hostname.bind and id.server were asked for.", "Monitors and surveys ask the same.", false, []string{"T1592.002"}},
		{"record-survey", "example.net.", "198.51.100.7/32", "resolver", true, 75 * time.Hour, 40 * time.Second, 11, 2, 6, picket.SeverityLow, 0.55, "unknown",
			"Nine record types were asked for at the apex within 40 seconds.", "Mail and domain health checkers do the same.", false, []string{"T1590.002"}},
	} {
		last := testNow.Add(-s.ago)
		f.put(picket.StoredFinding{Open: s.open, Finding: picket.Finding{
			ID: fmt.Sprintf("f%02x7c41d09ab", 0x3a+i*7), Detector: s.detector, Techniques: s.techniques, Zone: s.zone,
			Source:    picket.Source{Prefix: s.prefix, Kind: s.kind, Spoofable: s.spoofable},
			FirstSeen: last.Add(-s.lasted), LastSeen: last, Queries: s.queries, Names: s.names, DetectedAtQuery: s.at,
			Severity: s.severity, Confidence: s.confidence, Intent: s.intent, Summary: s.summary, Limits: s.limits,
			Evidence: sampleEvidence(last.Add(-s.lasted), s.lasted),
		}})
	}
	return f
}

func sampleEvidence(first time.Time, lasted time.Duration) picket.Evidence {
	e := picket.Evidence{
		Features: []picket.Feature{
			{Name: "distinct-retired-names", Value: 41, Threshold: 8},
			{Name: "share-of-retired-set", Value: 0.383, Threshold: 0.2},
			{Name: "share-of-dictionary-labels", Value: 0.0244, Threshold: 0.35},
			{Name: "nxdomain-share", Value: 0.61},
		},
		Telemetry: []string{"Q", "R: derived from the zone, the log has no response codes", "Z"},
	}
	for i, n := range []string{"vpn-old", "citrix01", "webmail", "jira-legacy", "owa", "stage.shop", "mx-backup", "ftp2", "intranet-2019", "partner.portal"} {
		state := []string{"retired", "retired", "live", "retired", "never", "retired", "wildcard", "canary", "retired", "delegated"}[i]
		e.Names = append(e.Names, picket.NamedState{Name: n + ".example.com", State: state, Type: []string{"A", "AAAA"}[i%2]})
	}
	if lasted >= 10*time.Minute {
		for i := range 52 {
			q := 4 + 6*math.Abs(math.Sin(float64(i)/4)) + float64(i*i%17)
			if i%13 == 7 {
				continue // a gap in the activity
			}
			e.Timeline = append(e.Timeline, picket.Bucket{Time: first.Add(time.Duration(i) * lasted / 52), Queries: int64(q)})
		}
	}
	return e
}

func sampleWatched() picket.Watched {
	w := picket.Watched{
		Zones: []picket.Zone{
			{ID: 1, Name: "example.com.", Signed: true, Live: 342, Retired: 108, Wildcard: true},
			{ID: 2, Name: "example.org.", Signed: true, Live: 731, Retired: 12},
			{ID: 3, Name: "corp.example.net.", Live: 1290, Retired: 455},
			{ID: 4, Name: "example.net.", Signed: true, NSEC3: true, Live: 58, Retired: 31},
			{ID: 5, Name: "2.0.192.in-addr.arpa.", Reverse: true, Live: 201},
			{ID: 6, Name: "brand-campaign.example.", Inferred: true},
		},
		Inputs: []picket.SourceStatus{
			{Name: "ns1 dnstap", Format: "dnstap", Kind: picket.KindQuery, Transport: "unix", Received: 48210945, Accepted: 48210933, Rejected: map[string]int64{"truncated message": 12},
				Skipped: map[string]int64{"not an authoritative message": 96410}, LastEvent: testNow.Add(-2 * time.Second)},
			{Name: "ns2 query log", Format: "bind-log", Kind: picket.KindQuery, Transport: "file", Received: 21884056, Accepted: 21884012, Rejected: map[string]int64{"bad address": 3, "unknown line": 41},
				Skipped: map[string]int64{"other log category": 18022}, LastEvent: testNow.Add(-9 * time.Second),
				Notes: []string{"times carry no zone and are read as UTC; say which with the timezone setting"}},
			{Name: "certificate log", Format: "crtsh", Kind: picket.KindSighting, Transport: "bucket", Received: 90122, Accepted: 90122, LastEvent: testNow.Add(-3 * time.Hour)},
			{Name: "core syslog", Format: "unbound-log", Kind: picket.KindQuery, Transport: "syslog-udp", Received: 7718104, Accepted: 7701220, Dropped: map[string]int64{"queue full": 16884},
				LastEvent: testNow.Add(-4 * time.Second)},
			{Name: "edge syslog", Format: "knot-log", Kind: picket.KindQuery, Transport: "syslog-udp", Error: "listen udp 192.0.2.10:514: address already in use"},
		},
		Started: testNow.Add(-93 * time.Hour),
		Notes: []string{
			"ns3.example.com answers for example.com. but sends no telemetry.",
			"dnstap on ns1 lost an estimated 4 % of messages in bursts within the last day.",
		},
	}
	for d := range detectorWords {
		w.Detectors = append(w.Detectors, d)
	}
	return w
}

// hostileTexts are what somebody who chooses names would try.
var hostileTexts = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	"\u202egnp.exe\u2066\u200b",
	"\x1b[31mred\x1b]0;title\x07\x9b2J",
	"javascript:alert(1)",
	"{{.Page}}${x}`y`",
	"\xff\xfe\x00broken",
	strings.Repeat(strings.Repeat("w", 63)+".", 4)[:255],
}

// hostile is a store in which every text comes from an adversary.
func hostile() *fake {
	f := &fake{history: hostileHistory(), report: hostileCoverage(), could: picket.CouldAnswer{Answer: hostileTexts[0], Text: hostileTexts[1], Reasons: hostileTexts}}
	for i, h := range hostileTexts {
		f.put(picket.StoredFinding{Finding: picket.Finding{
			ID: fmt.Sprint("h", i, h), Detector: h, Zone: h, Techniques: []string{h},
			Source: picket.Source{Prefix: h, Kind: h, Spoofable: true}, Intent: h, Summary: h, Limits: h,
			FirstSeen: testNow, LastSeen: testNow, Severity: picket.Severity(i % 6), Confidence: math.NaN(),
			Evidence: picket.Evidence{
				Names:     []picket.NamedState{{Name: h, State: h, Type: h}},
				Features:  []picket.Feature{{Name: h, Value: math.Inf(1), Threshold: 1}, {Name: h, Value: -1, Threshold: math.NaN()}},
				Timeline:  []picket.Bucket{{Time: time.Time{}, Queries: -5}, {Time: testNow, Queries: math.MaxInt64}, {Time: testNow.Add(1), Queries: 1}},
				Telemetry: []string{h, "Q: " + h},
			},
		}})
		f.watched.Zones = append(f.watched.Zones, picket.Zone{Name: h})
		f.watched.Inputs = append(f.watched.Inputs, picket.SourceStatus{Name: h, Format: h, Transport: h, Error: h,
			Kind: picket.Kind(h), Notes: []string{h}, Rejected: map[string]int64{h: 1}, Skipped: map[string]int64{h: 1}, Dropped: map[string]int64{h: 1}})
		f.kept = append(f.kept, picket.QuarantinedRecord{ID: int64(i + 1), Input: h, Stream: h, Format: h, Reason: h, Time: testNow, Record: []byte(h)})
		f.watched.Detectors = append(f.watched.Detectors, h)
		f.watched.Notes = append(f.watched.Notes, h)
	}
	return f
}
