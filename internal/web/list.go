package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
)

const (
	pageSize    = 50
	maxPage     = 1_000_000
	zonesAsList = 200 // above this many zones the filter is a text field
)

// row is one finding as the list shows it; the finding page builds on it.
type row struct {
	ID         string
	URL        string
	Title      string // the detector in plain words
	Detector   string
	Zone       string
	Severity   string
	Source     sourceView
	First      stamp
	Last       stamp
	Queries    string
	Names      string
	Confidence int // percent
	Summary    string
	Open       bool
	Class      string // "" or operational
}

type sourceView struct {
	Prefix    string // "" means whoever asked
	Kind      string
	KindWords string
	Spoofable bool
}

type option struct {
	Value, Label string
	Selected     bool
}

// filterView is the filter form.
type filterView struct {
	Zone, Text string   // visible forms
	Zones      []option // nil: too many, show a text field
	Detectors  []option
	Severities []option
	Active     bool
}

type listPage struct {
	Filter   filterView
	Rows     []row
	Total    string
	From, To string
	Page     int
	Pages    int
	Prev     string // URL; "" when there is none
	Next     string
	Start    string // URL of the first page
	Beyond   bool   // the page asked for lies behind the last
	Coverage coverage
}

var errBadFilter = fmt.Errorf("filter: %w", picket.ErrBadValue)

// listQuery reads the filters from a URL. Bad values are errors: a filter that
// is silently dropped would show findings as if they matched.
func listQuery(q url.Values) (f picket.FindingFilter, page int, err error) {
	f = picket.FindingFilter{
		Zone:     canonicalZone(q.Get("zone")),
		Detector: strings.TrimSpace(q.Get("detector")),
		Text:     strings.TrimSpace(q.Get("text")),
		Limit:    pageSize,
	}
	if s := q.Get("severity"); s != "" && f.MinSeverity.UnmarshalText([]byte(s)) != nil {
		return f, 0, fmt.Errorf("%w: there is no such severity", errBadFilter)
	}
	page = 1
	if s := q.Get("page"); s != "" {
		if page, err = strconv.Atoi(s); err != nil || page < 1 || page > maxPage {
			return f, 0, fmt.Errorf("%w: page is not a number that can be", errBadFilter)
		}
	}
	if len(f.Zone) > 1024 || len(f.Text) > 256 || len(f.Detector) > 64 {
		return f, 0, fmt.Errorf("%w: a value is too long", errBadFilter)
	}
	f.Offset = (page - 1) * pageSize
	return f, page, nil
}

func (c *Console) serveList(w http.ResponseWriter, r *http.Request) {
	f, page, err := listQuery(r.URL.Query())
	if err != nil {
		c.fail(w, r, http.StatusBadRequest, "The filter cannot be used: one of its values is outside what it can be.")
		return
	}
	rev, model, err := c.list(r.Context(), f, page)
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "list", frame{Title: "Findings", Section: "findings", Live: true, Revision: rev, Page: model})
}

func (c *Console) list(ctx context.Context, f picket.FindingFilter, page int) (int64, *listPage, error) {
	rev, err := c.findings.FindingsRevision(ctx) // first: a change in between shows as news, not as silence
	if err != nil {
		return 0, nil, err
	}
	found, total, err := c.findings.Findings(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	watched, err := c.watch.Watched(ctx)
	if err != nil {
		return 0, nil, err
	}
	m := &listPage{
		Filter:   newFilterView(f, watched),
		Total:    plural(int64(total), "finding", "findings"),
		Page:     page,
		Pages:    max(1, (total+pageSize-1)/pageSize),
		Start:    listURL(f, 1),
		Coverage: c.newCoverage(watched),
	}
	for i := range found {
		m.Rows = append(m.Rows, c.newRow(&found[i]))
	}
	m.Beyond = len(m.Rows) == 0 && total > 0
	if n := len(m.Rows); n > 0 {
		m.From, m.To = count(int64(f.Offset+1)), count(int64(f.Offset+n))
	}
	if page > 1 {
		m.Prev = listURL(f, min(page-1, m.Pages))
	}
	if page < m.Pages {
		m.Next = listURL(f, page+1)
	}
	return rev, m, nil
}

func (c *Console) newRow(f *picket.StoredFinding) row {
	return row{
		ID:       visible(f.ID),
		URL:      findingURL(f.ID),
		Title:    detectorTitle(f.Detector),
		Detector: visible(f.Detector),
		Zone:     dnsText(f.Zone),
		Severity: f.Severity.String(),
		Source: sourceView{Prefix: dnsText(f.Source.Prefix), Kind: visible(f.Source.Kind),
			KindWords: kindWords(f.Source.Kind), Spoofable: f.Source.Spoofable},
		First:      c.stampNow(f.FirstSeen),
		Last:       c.stampNow(f.LastSeen),
		Queries:    count(f.Queries),
		Names:      count(f.Names),
		Confidence: percent(f.Confidence),
		Summary:    visible(f.Summary),
		Open:       f.Open,
		Class:      visible(f.Class),
	}
}

func kindWords(kind string) string {
	switch kind {
	case picket.SourceDirect:
		return "asks the server itself"
	case picket.SourceResolver:
		return "a resolver; others stand behind it"
	}
	return "kind of source not known"
}

func newFilterView(f picket.FindingFilter, w picket.Watched) filterView {
	v := filterView{Zone: dnsText(f.Zone), Text: visible(f.Text),
		Active: f.Zone != "" || f.Detector != "" || f.Text != "" || f.MinSeverity > 0}
	if len(w.Zones) <= zonesAsList {
		names := make([]string, len(w.Zones))
		for i, z := range w.Zones {
			names[i] = z.Name
		}
		v.Zones = options("All zones", names, f.Zone, dnsText, dnsText)
	}
	v.Detectors = options("All detectors", w.Detectors, f.Detector, visible, func(s string) string {
		return detectorTitle(s) + " (" + visible(s) + ")"
	})
	v.Severities = []option{{Value: "", Label: "Any severity", Selected: f.MinSeverity == 0}}
	for s := picket.SeverityLow; s <= picket.SeverityCritical; s++ {
		label := sentence(s.String())
		if s < picket.SeverityCritical {
			label += " and above"
		}
		v.Severities = append(v.Severities, option{Value: s.String(), Label: label, Selected: s == f.MinSeverity})
	}
	return v
}

// options lists values for a <select>, with the chosen one even if it is not
// among them: a finding may be about a zone that is no longer watched.
func options(all string, values []string, chosen string, value, label func(string) string) []option {
	values = slices.Clone(values)
	if chosen != "" && !slices.Contains(values, chosen) {
		values = append(values, chosen)
	}
	slices.Sort(values)
	list := []option{{Value: "", Label: all, Selected: chosen == ""}}
	for _, v := range values {
		list = append(list, option{Value: value(v), Label: label(v), Selected: v == chosen})
	}
	return list
}

func listURL(f picket.FindingFilter, page int) string {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("zone", f.Zone)
	set("detector", f.Detector)
	set("text", f.Text)
	if f.MinSeverity > 0 {
		q.Set("severity", f.MinSeverity.String())
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}
