package web

import (
	"net/http"
	"strings"

	"github.com/picket-dns/picket"
)

const (
	namesShown   = 200 // rows of the sample names table
	bucketsShown = 500 // rows of the timeline table
)

// findingPage is a row with all that the finding rests on.
type findingPage struct {
	row
	API         string // URL of the raw JSON
	Limits      string
	Operational bool   // about the watch itself
	Coverage    string // what was watched when it was raised
	Intent      string
	IntentWords string
	SureWords   string
	DetectedAt  string
	Duration    string
	Updated     stamp
	Techniques  []technique
	Telemetry   []telemetryView
	Features    []bar
	Samples     []nameView
	MoreSamples string
	States      []stateView
	Timeline    *timeline
}

type technique struct{ ID, Title, URL string }

type telemetryView struct{ Code, Words string }

type nameView struct{ Name, Type, State string }

type stateView struct{ State, Words, Count string }

func (c *Console) serveFinding(w http.ResponseWriter, r *http.Request) {
	rev, err := c.findings.FindingsRevision(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	f, err := c.findings.Finding(r.Context(), r.PathValue("id"))
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	m := c.newFindingPage(f)
	title := m.Title
	if m.Zone != "" {
		title += " · " + m.Zone
	}
	c.render(w, r, http.StatusOK, "finding", frame{Title: title, Section: "finding", Live: true, Revision: rev, Page: m})
}

func (c *Console) newFindingPage(f *picket.StoredFinding) *findingPage {
	m := &findingPage{
		row:         c.newRow(f),
		API:         apiURL(f.ID),
		Limits:      visible(f.Limits),
		Operational: f.Class == picket.FindingOperational,
		Coverage:    visible(f.Coverage),
		Intent:      visible(f.Intent),
		IntentWords: intentWords(f.Intent),
		SureWords:   sureWords(f.Confidence),
		Duration:    span(f.LastSeen.Sub(f.FirstSeen)),
		Updated:     c.stampNow(f.UpdatedAt),
		Features:    newBars(f.Evidence.Features),
		Timeline:    newTimeline(f.Evidence.Timeline),
	}
	if f.DetectedAtQuery > 0 {
		m.DetectedAt = count(f.DetectedAtQuery)
	}
	for _, id := range f.Techniques {
		m.Techniques = append(m.Techniques, technique{ID: visible(id), Title: techniqueWords[id], URL: techniqueURL(id)})
	}
	for _, t := range f.Evidence.Telemetry {
		m.Telemetry = append(m.Telemetry, newTelemetryView(t))
	}
	m.Samples, m.States = newNames(f.Evidence.Names)
	if n := len(m.Samples) - namesShown; n > 0 {
		m.Samples = m.Samples[:namesShown]
		m.MoreSamples = plural(int64(n), "more name is", "more names are")
	}
	return m
}

// newTelemetryView splits "Q" or "R: derived from the zone" into code and words.
func newTelemetryView(s string) telemetryView {
	code, rest, _ := strings.Cut(s, ":")
	code = strings.TrimSpace(code)
	words, known := telemetryWords[code]
	if !known {
		return telemetryView{Words: visible(s)}
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		words = visible(rest)
	}
	return telemetryView{Code: code, Words: words}
}

// newNames lists the sample names and the states that occur among them, in the
// order of picket.NameState.
func newNames(in []picket.NamedState) ([]nameView, []stateView) {
	names := make([]nameView, len(in))
	counts := map[string]int64{}
	var strange []string // states outside the vocabulary, in order of appearance
	for i, n := range in {
		names[i] = nameView{Name: dnsText(n.Name), Type: visible(n.Type), State: visible(n.State)}
		if _, known := stateWords[n.State]; !known && counts[n.State] == 0 {
			strange = append(strange, n.State)
		}
		counts[n.State]++
	}
	var order []string
	for s := picket.StateLive; s <= picket.StateOutOfZone; s++ {
		order = append(order, s.String())
	}
	order = append(append(order, picket.StateUnknown.String()), strange...)
	var states []stateView
	for _, s := range order {
		if counts[s] > 0 {
			states = append(states, stateView{State: visible(s), Words: stateWords[s], Count: count(counts[s])})
		}
	}
	return names, states
}

func intentWords(intent string) string {
	switch intent {
	case picket.IntentTargeted:
		return "most likely aimed at this organisation"
	case picket.IntentCommodity:
		return "most likely widespread scanning, not aimed at anybody"
	case picket.IntentResearch:
		return "most likely a research survey"
	case picket.IntentOwn:
		return "from a scanner listed as the organisation’s own"
	}
	return "not known"
}

// sureWords puts a confidence into a word; the figure always stands beside it.
func sureWords(confidence float64) string {
	switch {
	case confidence >= 0.95:
		return "very strong"
	case confidence >= 0.8:
		return "strong"
	case confidence >= 0.5:
		return "moderate"
	}
	return "weak"
}
