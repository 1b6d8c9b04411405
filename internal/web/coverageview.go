package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

const (
	serversAbreast = 6    // columns of the matrix
	cellsShown     = 1000 // cells in matrix and table
	problemsShown  = 200
	gapsShown      = 12 // of one cell, in words
)

// coveragePage is a report as the page shows it.
type coveragePage struct {
	From, To     stamp
	Statement    string
	Problems     []problemView
	MoreProblems string
	Matrix       []matrixView
	Cells        []cellView
	MoreCells    string
	Classes      []verdictView
	Detectors    []verdictView // those that do not work fully
	Working      string
	Retention    []retentionView
	Ask          askView
}

// mark is a state, told by a symbol and a word.
type mark struct {
	Symbol string // ok, quiet, waiting or failing, as input-state draws them
	Words  string
}

type problemView struct {
	Code, Title, Text string
	About             []aboutView
	From, To          stamp
	HasFrom, HasTo    bool
}

type aboutView struct {
	What string
	Name string
	DNS  bool
}

type matrixView struct {
	Part    string // "" or "1 to 6 of 9"
	Servers []string
	Rows    []matrixRow
}

type matrixRow struct {
	Zone  string
	Cells []matrixCell
}

type matrixCell struct {
	Server string
	States []kindState
}

type kindState struct {
	mark
	Kind string
}

type cellView struct {
	Zone, Server, Kind, Provider string
	Inputs                       []string
	State                        mark
	Silence                      string
	First, Last                  stamp
	Seen, Expected, Basis        string
	Lost, Skew                   string
	Missing                      string
	Notes                        []string
	Gaps                         []string
	MoreGaps                     string
	Line                         *coverLine
}

// coverLine is the report's time as a line, on which gaps are cut out. Its length is
// coverLineW user units.
type coverLine struct {
	ID    string
	Label string // the same in words
	Bars  []rect // in which something came
	Gaps  []rect
}

const coverLineW = 240.0

type verdictView struct {
	Name, Title string
	State       mark
	Text        []string
}

type retentionView struct {
	Kind, Configured, Text string
	Oldest, Newest         stamp
	Rows, Size, Held       string
}

// askView is the form "could we have seen …?" and its answer.
type askView struct {
	Detectors []option
	Zones     []option // nil: a text field
	Zone, Day string
	Today     string
	Unknown   bool
	Answer    *answerView
}

type answerView struct {
	State    mark
	Text     string
	Reasons  []string
	Detector string
	Zone     string
	From, To stamp
}

// cellStates, verdicts and answers are shown with the symbols of inputs' states.
var coverageMarks = map[string]mark{
	"collected":     {"ok", "Collected"},
	"partial":       {"quiet", "Partial"},
	"silent":        {"waiting", "Silent"},
	"missing":       {"failing", "Missing"},
	"broken":        {"failing", "Broken"},
	"not collected": {"failing", "Not collected"},
	"working":       {"ok", "Working"},
	"degraded":      {"quiet", "Degraded"},
	"blind":         {"failing", "Blind"},
	"off":           {"waiting", "Switched off"},
	"yes":           {"ok", "Yes"},
	"partly":        {"quiet", "Partly"},
	"no":            {"failing", "No"},
}

func markOf(s string) mark {
	if m, ok := coverageMarks[s]; ok {
		return m
	}
	return mark{"waiting", sentence(s)}
}

var problemTitles = map[string]string{
	"feed-silent": "Feed is silent", "never-configured": "Never configured", "gap": "Gap", "field-missing": "Field missing", "clock-skew": "Clock is off",
	"loss": "Loss", "rate-low": "Fewer than expected", "server-lag": "Name server is behind", "input-error": "Input failing",
	"retention-short": "Kept shorter than configured", "blind": "Blind", "not-running": "Not running",
}

func (c *Console) newCoveragePage(r *picket.CoverageReport) *coveragePage {
	m := &coveragePage{From: c.stampNow(r.From), To: c.stampNow(r.To), Statement: visible(r.Statement)}
	problems := r.Problems
	if n := len(problems) - problemsShown; n > 0 {
		m.MoreProblems = plural(int64(n), "more problem is", "more problems are")
		problems = problems[:problemsShown]
	}
	for _, p := range problems {
		m.Problems = append(m.Problems, c.newProblemView(p))
	}
	cells := slices.Clone(r.Cells)
	slices.SortStableFunc(cells, func(a, b picket.CoverageCell) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Kind, b.Kind))
	})
	if n := len(cells) - cellsShown; n > 0 {
		m.MoreCells = plural(int64(n), "more is", "more are")
		cells = cells[:cellsShown]
	}
	m.Matrix = newMatrix(cells)
	for i := range cells {
		m.Cells = append(m.Cells, c.newCellView(&cells[i], i, r.From, r.To))
	}
	for _, x := range r.Classes {
		m.Classes = append(m.Classes, verdictView{Title: sentence(x.Class), Name: telemetryOf(x.Kind), State: markOf(x.Verdict), Text: []string{visible(x.Text)}})
	}
	working := 0
	for _, d := range r.Detectors {
		if d.State == "working" {
			working++
			continue
		}
		v := verdictView{Name: visible(d.Detector), Title: detectorTitle(d.Detector), State: markOf(d.State)}
		for _, why := range d.Why {
			v.Text = append(v.Text, visible(why))
		}
		m.Detectors = append(m.Detectors, v)
	}
	m.Working = fmt.Sprintf("%d of %d working", working, len(r.Detectors))
	for _, k := range r.Retention {
		v := retentionView{Kind: keptWord(k.Kind), Configured: keptFor(k.Configured), Text: visible(k.Text),
			Oldest: c.stampNow(k.Oldest), Newest: c.stampNow(k.Newest), Rows: count(k.Rows), Size: size(k.Bytes)}
		if k.Held > 0 {
			v.Held = plural(k.Held, "segment on hold", "segments on hold")
		}
		m.Retention = append(m.Retention, v)
	}
	return m
}

func (c *Console) newProblemView(p picket.CoverageProblem) problemView {
	v := problemView{Code: visible(p.Code), Title: problemTitles[p.Code], Text: visible(p.Text),
		From: c.stampNow(p.From), To: c.stampNow(p.To), HasFrom: !p.From.IsZero(), HasTo: !p.To.IsZero()}
	if v.Title == "" {
		v.Title = sentence(p.Code)
	}
	for _, a := range []aboutView{{"zone", dnsText(p.Zone), true}, {"name server", serverText(p.Server), true}, {"input", visible(p.Input), false}} {
		if a.Name != "" {
			v.About = append(v.About, a)
		}
	}
	return v
}

// newMatrix sets zones against servers, a few servers abreast. cells are sorted by zone.
func newMatrix(cells []picket.CoverageCell) []matrixView {
	var servers, zones []string
	at := map[[2]string][]kindState{}
	for _, x := range cells {
		key := [2]string{x.Zone, x.Server}
		at[key] = append(at[key], kindState{markOf(x.State), telemetryOf(x.Kind)})
		servers = append(servers, x.Server)
		zones = append(zones, x.Zone)
	}
	slices.Sort(servers)
	servers, zones = slices.Compact(servers), slices.Compact(zones)
	var list []matrixView
	n := 0
	for part := range slices.Chunk(servers, serversAbreast) {
		var m matrixView
		if len(servers) > serversAbreast {
			m.Part = fmt.Sprintf("%d to %d of %d", n+1, n+len(part), len(servers))
		}
		n += len(part)
		for _, s := range part {
			m.Servers = append(m.Servers, serverText(s))
		}
		for _, z := range zones {
			row := matrixRow{Zone: dnsText(z)}
			for _, s := range part {
				row.Cells = append(row.Cells, matrixCell{serverText(s), at[[2]string{z, s}]})
			}
			m.Rows = append(m.Rows, row)
		}
		list = append(list, m)
	}
	return list
}

func (c *Console) newCellView(x *picket.CoverageCell, i int, from, to time.Time) cellView {
	v := cellView{Zone: dnsText(x.Zone), Server: serverText(x.Server), Kind: telemetryOf(x.Kind), Provider: visible(x.Provider),
		State: markOf(x.State), Silence: visible(string(x.Silence)), First: c.stampNow(x.First), Last: c.stampNow(x.Last), Seen: count(x.Seen),
		Line: newCoverLine(fmt.Sprintf("line-%d", i), x, from, to)}
	if x.Expected >= 0 && finite(x.Expected) {
		v.Expected, v.Basis = measure(x.Expected), visible(x.Basis)
	}
	for _, in := range x.Inputs {
		v.Inputs = append(v.Inputs, visible(in))
	}
	if x.Lost > 0 {
		v.Lost = count(x.Lost)
	}
	if x.SkewKnown && x.Skew != 0 {
		v.Skew = span(x.Skew.Abs()) + " behind"
		if x.Skew > 0 {
			v.Skew = span(x.Skew) + " ahead"
		}
	}
	missing := make([]string, len(x.Missing))
	for k, f := range x.Missing {
		missing[k] = visible(f)
	}
	v.Missing = strings.Join(missing, ", ")
	for _, n := range x.Notes {
		v.Notes = append(v.Notes, visible(n))
	}
	for k, g := range x.Gaps {
		if k == gapsShown {
			v.MoreGaps = plural(int64(len(x.Gaps)-k), "more gap", "more gaps")
			break
		}
		v.Gaps = append(v.Gaps, gapWords(g))
	}
	return v
}

func gapWords(g picket.Gap) string {
	at := newStamp(g.From, g.From)
	s := at.Absolute
	if !g.To.IsZero() {
		s = fmt.Sprintf("%s for %s", at.Absolute, span(g.To.Sub(g.From)))
	}
	if g.Why != "" {
		s += ": " + visible(g.Why)
	}
	return s
}

// newCoverLine draws a cell; nil when the report has no extent.
func newCoverLine(id string, x *picket.CoverageCell, from, to time.Time) *coverLine {
	if !from.Before(to) {
		return nil
	}
	whole := to.Sub(from).Seconds()
	place := func(t time.Time) float64 {
		return min(max(t.Sub(from).Seconds()/whole, 0), 1) * coverLineW
	}
	piece := func(a, b time.Time) rect {
		left := place(a)
		return rect{X: coord(left), W: coord(max(place(b)-left, 1)), Y: "0", H: "12"}
	}
	l := &coverLine{ID: id, Label: "Nothing came"}
	if !x.First.IsZero() {
		l.Bars = append(l.Bars, piece(x.First, x.Last))
		l.Label = fmt.Sprintf("Something came from %s to %s", newStamp(x.First, to).Absolute, newStamp(x.Last, to).Absolute)
		if x.First.Equal(x.Last) {
			l.Label = "Something came in the minute of " + newStamp(x.First, to).Absolute
		}
	}
	var lost time.Duration
	for _, g := range x.Gaps {
		end := g.To
		if end.IsZero() {
			end = to
		}
		l.Gaps = append(l.Gaps, piece(g.From, end))
		lost += end.Sub(g.From)
	}
	if n := len(x.Gaps); n > 0 {
		l.Label += fmt.Sprintf(", with %s of %s together", plural(int64(n), "gap", "gaps"), span(max(lost, 0)))
	}
	return l
}

func newAnswer(a *picket.CouldAnswer) *answerView {
	v := &answerView{State: markOf(a.Answer), Text: visible(a.Text), Detector: detectorTitle(a.Detector), Zone: dnsText(a.Zone),
		From: newStamp(a.From, a.From), To: newStamp(a.To, a.To)}
	for _, r := range a.Reasons {
		v.Reasons = append(v.Reasons, visible(r))
	}
	return v
}

func (c *Console) newAsk(w picket.Watched, detector, zone, day string) askView {
	v := askView{Zone: dnsText(zone), Day: visible(day), Today: c.now().UTC().Format(dayFormat)}
	v.Detectors = options("Choose a detector", w.Detectors, detector, visible, detectorTitle)
	if len(w.Zones) <= zonesAsList {
		names := make([]string, len(w.Zones))
		for i, z := range w.Zones {
			names[i] = z.Name
		}
		v.Zones = options("All zones", names, zone, dnsText, dnsText)
	}
	return v
}

// keptWord names what is kept, telemetry or not.
func keptWord(k picket.Kind) string {
	switch k {
	case "change":
		return "Changes of zones"
	case "finding":
		return "Findings"
	case "activity":
		return "Counts of queries"
	}
	return sentence(telemetryOf(k))
}

func keptFor(d time.Duration) string {
	if d == 0 {
		return "for ever"
	}
	return span(d)
}

// size writes a number of bytes with a binary unit.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(max(n, 0)), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", max(n, 0))
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// serverText is a name server's name, or an input's in brackets that stands for one.
func serverText(s string) string {
	if strings.HasPrefix(s, "[") {
		return visible(s)
	}
	return dnsText(s)
}
