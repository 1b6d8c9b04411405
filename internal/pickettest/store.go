// The conformance suite of the stores: whatever implements the roles of the root
// package has to pass it, so that stores can be exchanged.

package pickettest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// FindingReadWriter is what FindingStore tests.
type FindingReadWriter interface {
	picket.FindingAppender
	picket.FindingQuerier
}

// base is an event time with nanoseconds, so that a store that rounds is seen.
var base = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)

// NewFinding returns a finding with every field set, different for each n.
// LastSeen grows by a second with n.
func NewFinding(n int) *picket.Finding {
	return &picket.Finding{
		ID:         fmt.Sprintf("f-%06d", n),
		Detector:   "brute-force",
		Techniques: []string{"T1596.001", "T1590.002"},
		Zone:       "example.com.",
		Source:     picket.Source{Prefix: fmt.Sprintf("192.0.2.%d/32", n%256), Kind: picket.SourceDirect, Spoofable: true},
		FirstSeen:  base, LastSeen: base.Add(time.Duration(n) * time.Second),
		Queries: int64(n) + 1, Names: int64(n) + 1, DetectedAtQuery: 1,
		Severity: picket.SeverityMedium, Confidence: 0.75, Intent: picket.IntentTargeted,
		Summary: fmt.Sprintf("source number %d asked for many names", n),
		Limits:  "asking is not intrusion",
		Evidence: picket.Evidence{
			Names:     []picket.NamedState{{Name: "vpn.example.com", State: "retired", Type: "A"}},
			Features:  []picket.Feature{{Name: "never-share", Value: 0.9, Threshold: 0.5}},
			Timeline:  []picket.Bucket{{Time: base, Queries: 3}},
			Telemetry: []string{"Q", "R"},
		},
	}
}

// FindingStore tests the roles picket.FindingAppender and picket.FindingQuerier.
// open returns an empty store and leaves closing it to t.Cleanup.
func FindingStore(t *testing.T, open func(t *testing.T) interface {
	picket.FindingAppender
	picket.FindingQuerier
}) {
	tests := []struct {
		name string
		run  func(*testing.T, FindingReadWriter)
	}{
		{"empty", testEmpty},
		{"round trip", testRoundTrip},
		{"upsert", testUpsert},
		{"revision", testRevision},
		{"filter", testFilter},
		{"paging", testPaging},
		{"hostile text", testHostile},
		{"bad values", testBadValues},
		{"extreme times", testExtremeTimes},
		{"concurrent", testConcurrent},
		{"cancelled", testCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func put(t *testing.T, s FindingReadWriter, f *picket.Finding, open bool) {
	t.Helper()
	if err := s.PutFinding(t.Context(), f, open); err != nil {
		t.Fatalf("PutFinding(%q): %v", f.ID, err)
	}
}

func get(t *testing.T, s FindingReadWriter, id string) *picket.StoredFinding {
	t.Helper()
	f, err := s.Finding(t.Context(), id)
	if err != nil {
		t.Fatalf("Finding(%q): %v", id, err)
	}
	return f
}

func list(t *testing.T, s FindingReadWriter, f picket.FindingFilter) (ids []string, total int) {
	t.Helper()
	found, total, err := s.Findings(t.Context(), f)
	if err != nil {
		t.Fatalf("Findings(%+v): %v", f, err)
	}
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	return ids, total
}

// sameFinding compares with times as instants.
func sameFinding(a, b picket.Finding) bool {
	norm := func(f *picket.Finding) {
		f.FirstSeen, f.LastSeen = f.FirstSeen.UTC(), f.LastSeen.UTC()
		f.Evidence.Timeline = append([]picket.Bucket(nil), f.Evidence.Timeline...)
		for i := range f.Evidence.Timeline {
			f.Evidence.Timeline[i].Time = f.Evidence.Timeline[i].Time.UTC()
		}
	}
	norm(&a)
	norm(&b)
	return reflect.DeepEqual(a, b)
}

func testEmpty(t *testing.T, s FindingReadWriter) {
	if ids, total := list(t, s, picket.FindingFilter{}); len(ids) != 0 || total != 0 {
		t.Errorf("empty store lists %v, total %d", ids, total)
	}
	if _, err := s.Finding(t.Context(), "f-000001"); !errors.Is(err, picket.ErrNotFound) {
		t.Errorf("Finding of nothing: %v, want ErrNotFound", err)
	}
	if rev, err := s.FindingsRevision(t.Context()); err != nil || rev != 0 {
		t.Errorf("revision of an empty store: %d, %v", rev, err)
	}
}

func testRoundTrip(t *testing.T, s FindingReadWriter) {
	want := NewFinding(1)
	want.LastSeen = want.LastSeen.In(time.FixedZone("somewhere", 3600))
	put(t, s, want, true)
	got := get(t, s, want.ID)
	if !sameFinding(got.Finding, *want) {
		t.Errorf("got  %+v\nwant %+v", got.Finding, *want)
	}
	if !got.Open || got.Revision <= 0 || got.UpdatedAt.IsZero() {
		t.Errorf("open %v, revision %d, updated at %v", got.Open, got.Revision, got.UpdatedAt)
	}
	found, _, err := s.Findings(t.Context(), picket.FindingFilter{})
	if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], *got) {
		t.Errorf("Findings gives %+v, %v; Finding gave %+v", found, err, *got)
	}
}

func testUpsert(t *testing.T, s FindingReadWriter) {
	f := NewFinding(1)
	put(t, s, NewFinding(2), true)
	put(t, s, f, true)
	before := get(t, s, f.ID)
	f.Queries, f.Severity, f.Zone, f.Summary = 99, picket.SeverityCritical, "example.net.", "changed"
	f.LastSeen = base.Add(time.Hour)
	put(t, s, f, false)
	after := get(t, s, f.ID)
	if !sameFinding(after.Finding, *f) || after.Open {
		t.Errorf("after the second write: %+v", after)
	}
	if after.Revision <= before.Revision {
		t.Errorf("revision %d, then %d", before.Revision, after.Revision)
	}
	ids, total := list(t, s, picket.FindingFilter{Zone: "example.net.", MinSeverity: picket.SeverityCritical, Text: "changed"})
	if total != 1 || len(ids) != 1 || ids[0] != f.ID {
		t.Errorf("filters see %v, total %d", ids, total)
	}
	if _, total := list(t, s, picket.FindingFilter{}); total != 2 {
		t.Errorf("total %d, want 2", total)
	}
	if _, total := list(t, s, picket.FindingFilter{Text: "source number 1 "}); total != 0 {
		t.Errorf("the old summary is still found")
	}
}

func testRevision(t *testing.T, s FindingReadWriter) {
	var last int64
	for n := range 20 {
		f := NewFinding(n % 3)
		put(t, s, f, true)
		rev, err := s.FindingsRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rev <= last {
			t.Errorf("write %d: revision %d after %d", n, rev, last)
		}
		if got := get(t, s, f.ID).Revision; got != rev {
			t.Errorf("write %d: finding has revision %d, the store %d", n, got, rev)
		}
		last = rev
	}
}

func testFilter(t *testing.T, s FindingReadWriter) {
	for n := range 6 {
		f := NewFinding(n)
		f.Severity = picket.Severity(min(n, 4))
		if n%2 == 1 {
			f.Zone, f.Detector = "example.net.", "zone-transfer"
		}
		put(t, s, f, n < 3)
	}
	at := func(n int) time.Time { return base.Add(time.Duration(n) * time.Second) }
	tests := []struct {
		name   string
		filter picket.FindingFilter
		want   string
	}{
		{"all", picket.FindingFilter{}, "5 4 3 2 1 0"},
		{"zone", picket.FindingFilter{Zone: "example.net."}, "5 3 1"},
		{"part of a zone is no zone", picket.FindingFilter{Zone: "example"}, ""},
		{"detector", picket.FindingFilter{Detector: "brute-force"}, "4 2 0"},
		{"severity", picket.FindingFilter{MinSeverity: picket.SeverityHigh}, "5 4 3"},
		{"since is inclusive", picket.FindingFilter{Since: at(4)}, "5 4"},
		{"until is exclusive", picket.FindingFilter{Until: at(2)}, "1 0"},
		{"nanoseconds count", picket.FindingFilter{Since: at(4).Add(1)}, "5"},
		{"between", picket.FindingFilter{Since: at(1), Until: at(3)}, "2 1"},
		{"text in the summary", picket.FindingFilter{Text: "number 3 asked"}, "3"},
		{"text in the source", picket.FindingFilter{Text: "192.0.2.4/"}, "4"},
		{"text in the id", picket.FindingFilter{Text: "f-000002"}, "2"},
		{"all together", picket.FindingFilter{Zone: "example.net.", Detector: "zone-transfer", MinSeverity: picket.SeverityLow, Since: at(1), Until: at(5), Text: "asked"}, "3 1"},
		{"nothing", picket.FindingFilter{Text: "no such text"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ids, total := list(t, s, tt.filter)
			var got []string
			for _, id := range ids {
				got = append(got, strings.TrimPrefix(id, "f-00000"))
			}
			if g := strings.Join(got, " "); g != tt.want || total != len(ids) {
				t.Errorf("got %q, total %d; want %q", g, total, tt.want)
			}
		})
	}
}

func testPaging(t *testing.T, s FindingReadWriter) {
	const n = 130
	for i := range n {
		f := NewFinding(i)
		f.LastSeen = base.Add(time.Duration(i/10) * time.Second) // ten share a time
		put(t, s, f, true)
	}
	if ids, total := list(t, s, picket.FindingFilter{}); len(ids) != 100 || total != n {
		t.Errorf("limit 0 gives %d of %d, want 100 of %d", len(ids), total, n)
	}
	seen := map[string]bool{}
	last := base.Add(time.Hour)
	for off := 0; ; off += 7 {
		found, total, err := s.Findings(t.Context(), picket.FindingFilter{Limit: 7, Offset: off})
		if err != nil || total != n {
			t.Fatalf("page at %d: total %d, %v", off, total, err)
		}
		for _, f := range found {
			if seen[f.ID] || f.LastSeen.After(last) {
				t.Errorf("page at %d: %s twice or out of order", off, f.ID)
			}
			seen[f.ID], last = true, f.LastSeen
		}
		if len(found) < 7 {
			break
		}
	}
	if len(seen) != n {
		t.Errorf("pages hold %d findings, want %d", len(seen), n)
	}
	if ids, total := list(t, s, picket.FindingFilter{Offset: 1000}); len(ids) != 0 || total != n {
		t.Errorf("beyond the end: %d findings, total %d", len(ids), total)
	}
}

// hostile are texts that an adversary can bring into a finding by choosing
// query names, and that a careless store takes for something else.
var hostile = []string{
	`'; DROP TABLE findings; --`, `" OR 1=1 --`, `%`, `_`, `\`, `\'`, `$1`, `?`, `:name`, `{"a":1}`,
	"tab\there", "line\nbreak", "nul\x00byte", "bell\x07", "<script>alert(1)</script>",
	"bücher.example", "例え.テスト", "🦆", "e\u0301", "\u202eright to left", "\ufeffbom", "a\u2028b",
	strings.Repeat("long.", 2000), " leading and trailing ", "'", `''`, `""`,
}

func testHostile(t *testing.T, s FindingReadWriter) {
	for i, h := range hostile {
		f := NewFinding(i)
		f.ID, f.Summary, f.Zone, f.Detector, f.Source.Prefix = "id "+h, "saw "+h, h, h, h
		f.Evidence.Names = []picket.NamedState{{Name: h, State: h, Type: h}}
		put(t, s, f, true)
		if got := get(t, s, f.ID); !sameFinding(got.Finding, *f) {
			t.Errorf("%.40q comes back as %+v", h, got.Finding)
		}
		for _, filter := range []picket.FindingFilter{{Zone: h}, {Detector: h}, {Text: "saw " + h, Zone: h}} {
			if ids, total := list(t, s, filter); total != 1 || len(ids) != 1 || ids[0] != f.ID {
				t.Errorf("%.40q: filter %+v finds %d", h, filter, total)
			}
		}
	}
	if _, total := list(t, s, picket.FindingFilter{}); total != len(hostile) {
		t.Errorf("%d findings, want %d", total, len(hostile))
	}
	// % and _ are text, not patterns.
	if _, total := list(t, s, picket.FindingFilter{Text: "saw %"}); total != 1 {
		t.Errorf("%% finds %d findings, want 1", total)
	}
	// What is no UTF-8 may be replaced, but must not fail or hide the finding.
	f := NewFinding(1000)
	f.ID, f.Summary = "bytes \xff\xfe", "\xc3\x28"
	put(t, s, f, true)
	if got := get(t, s, f.ID); got.Queries != f.Queries {
		t.Errorf("a finding with bytes that are no UTF-8 comes back as %+v", got)
	}
}

func testBadValues(t *testing.T, s FindingReadWriter) {
	f := NewFinding(1)
	f.ID = ""
	if err := s.PutFinding(t.Context(), f, true); err == nil {
		t.Error("a finding without id was taken")
	}
	if _, total := list(t, s, picket.FindingFilter{}); total != 0 {
		t.Errorf("a refused finding left %d rows", total)
	}
	put(t, s, &picket.Finding{ID: "only an id"}, false) // zero times, nil slices
	if got := get(t, s, "only an id"); !got.LastSeen.IsZero() {
		t.Errorf("zero time comes back as %v", got.LastSeen)
	}
}

func testExtremeTimes(t *testing.T, s FindingReadWriter) {
	for i, y := range []int{1, 1600, 1970, 2262, 2300, 9999} {
		f := NewFinding(i)
		f.LastSeen = time.Date(y, 6, 1, 0, 0, 0, 0, time.UTC)
		put(t, s, f, true)
		if got := get(t, s, f.ID); !got.LastSeen.Equal(f.LastSeen) {
			t.Errorf("%v comes back as %v", f.LastSeen, got.LastSeen)
		}
	}
	ids, _ := list(t, s, picket.FindingFilter{Since: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)})
	if len(ids) != 1 || ids[0] != NewFinding(2).ID {
		t.Errorf("between 1969 and 2100 there are %v", ids)
	}
}

func testConcurrent(t *testing.T, s FindingReadWriter) {
	const writers, each = 8, 15
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				// Each writer has findings of its own, and one id they all write.
				for _, f := range []*picket.Finding{NewFinding(w*each + n), NewFinding(999999)} {
					if err := s.PutFinding(t.Context(), f, true); err != nil {
						t.Errorf("PutFinding: %v", err)
						return
					}
					if _, err := s.Finding(t.Context(), f.ID); err != nil {
						t.Errorf("not to be read after it was written: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	found, total, err := s.Findings(t.Context(), picket.FindingFilter{Limit: writers*each + 2})
	if err != nil || total != writers*each+1 {
		t.Fatalf("total %d, want %d; %v", total, writers*each+1, err)
	}
	revs := map[int64]bool{}
	for _, f := range found {
		revs[f.Revision] = true
	}
	if len(revs) != len(found) {
		t.Errorf("%d findings share %d revisions", len(found), len(revs))
	}
}

func testCancelled(t *testing.T, s FindingReadWriter) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		f := NewFinding(1)
		if err := s.PutFinding(ctx, f, true); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("PutFinding with a cancelled context: %v", err)
		}
	}
	if _, _, err := s.Findings(ctx, picket.FindingFilter{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Findings with a cancelled context: %v", err)
	}
	put(t, s, NewFinding(2), true)
	get(t, s, NewFinding(2).ID)
}
