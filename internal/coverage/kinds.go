package coverage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// recordCell says whether a zone's contents come in.
func (a *analysis) recordCell(z *picket.SetupZone) {
	c := picket.CoverageCell{Zone: z.Name, Kind: picket.KindRecord, Expected: -1, State: "missing", Silence: picket.SilenceNever}
	ok := 0
	for i := range a.setup.Inputs {
		in := a.inputs[a.setup.Inputs[i].Name]
		if in.Kind != picket.KindRecord || len(in.Zones) > 0 && !slices.Contains(in.Zones, z.Name) {
			continue
		}
		a.fillFrom(&c, in)
		if len(in.Zones) != 1 {
			c.Notes = append(c.Notes, "what input "+in.Name+" brings is counted for all its zones together")
		}
		if in.status.Error == "" {
			ok++
		}
	}
	known := a.zoneKnown(z.Name)
	switch {
	case known && len(c.Inputs) == 0:
		c.State, c.Silence = "collected", picket.SilenceNone
		c.Notes = append(c.Notes, "no input brings changes")
	case known && ok > 0:
		c.State, c.Silence = "collected", picket.SilenceNone
	case known:
		c.State, c.Silence = "partial", picket.SilenceBroken
	case len(c.Inputs) > 0 && ok == 0:
		c.State, c.Silence = "silent", picket.SilenceBroken
	case len(c.Inputs) > 0:
		c.State, c.Silence = "silent", picket.SilenceUnknown
	}
	a.cells = append(a.cells, c)
}

// zoneKnown reports whether a zone's contents are known.
func (a *analysis) zoneKnown(zone string) bool {
	if a.r.opt.ZoneKnown != nil {
		return a.r.opt.ZoneKnown(zone)
	}
	for _, r := range a.retained {
		if r.Kind == picket.KindRecord && r.Rows > 0 {
			return true
		}
	}
	for i := range a.setup.Inputs {
		if in := a.inputs[a.setup.Inputs[i].Name]; in.Kind == picket.KindRecord && in.accepted > 0 {
			return true
		}
	}
	return false
}

func (a *analysis) fillFrom(c *picket.CoverageCell, in *inputView) {
	c.Inputs = append(c.Inputs, in.Name)
	c.Seen += in.accepted
	c.Lost += in.dropped + in.rejected
	if c.Provider == "" {
		c.Provider = in.Provider
	}
	c.Last = latest(c.Last, in.status.LastEvent)
	if in.skewKnown {
		c.Skew, c.SkewKnown = in.skew, true
	}
}

// inputCells are those of inputs that are not of zones. That such an input brings
// nothing for a while means little, unless somebody said how long is normal.
func (a *analysis) inputCells() {
	for i := range a.setup.Inputs {
		in := a.inputs[a.setup.Inputs[i].Name]
		switch in.Kind {
		case picket.KindSighting, picket.KindAdminEvent, picket.KindAsset, picket.KindSignal:
		default:
			continue
		}
		c := picket.CoverageCell{Server: "[" + in.Name + "]", Kind: in.Kind, Expected: -1, State: "collected"}
		a.fillFrom(&c, in)
		stored := slices.ContainsFunc(a.retained, func(r picket.Retained) bool { return r.Kind == in.Kind && r.Rows > 0 })
		quiet := in.Expect > 0 && earliest(a.now, a.to).Sub(latest(latest(in.lastTaken, a.from), latest(in.since, a.born))) > in.Expect
		switch {
		case in.status.Error != "":
			c.State, c.Silence = "silent", picket.SilenceBroken
		case quiet:
			c.State, c.Silence = "silent", picket.SilenceBroken
			from := latest(in.lastTaken, a.from)
			a.problem(picket.CoverageProblem{Code: "feed-silent", Input: in.Name, From: from, To: a.to},
				"Input %s has brought nothing since %s, longer than the %s that are normal.", in.Name, stamp(from), in.Expect)
		case in.accepted == 0 && stored:
			c.Silence = picket.SilenceNoTraffic
		case in.accepted == 0:
			c.State, c.Silence = "silent", picket.SilenceUnknown
		}
		a.cells = append(a.cells, c)
	}
}

// classes are the verdicts on the telemetry that the strategy rests on.
func (a *analysis) classes() []picket.ClassCoverage {
	var list []picket.ClassCoverage
	for _, c := range []struct {
		name string
		kind picket.Kind
		note string
	}{
		{"authoritative DNS query logs", picket.KindQuery, ""},
		{"DNS zone and record changes", picket.KindRecord, ""},
		{"passive DNS", picket.KindSighting, ""},
		{"registrar and DNS provider admin logs", picket.KindAdminEvent, ""},
		{"attack-surface inventory", picket.KindAsset, ""},
		{"outside signals", picket.KindSignal, " They are not among the five classes that the strategy rests on."},
	} {
		v := a.class(c.kind)
		v.Class, v.Kind = c.name, c.kind
		v.Text += c.note
		list = append(list, v)
	}
	return list
}

// recordInputs reports whether any input brings the records of a zone.
func (a *analysis) recordInputs() bool {
	return slices.ContainsFunc(a.cells, func(c picket.CoverageCell) bool { return c.Kind == picket.KindRecord && len(c.Inputs) > 0 })
}

func (a *analysis) class(kind picket.Kind) (v picket.ClassCoverage) {
	all, good, some, broken, nameless := 0, 0, 0, 0, 0
	for _, c := range a.cells {
		if c.Kind != kind {
			continue
		}
		if kind == picket.KindQuery && isPseudo(c.Server) {
			nameless++
			continue
		}
		all++
		switch {
		case c.State == "collected", watched(&c):
			good++
		case c.State == "partial":
			some++
		case c.Silence == picket.SilenceBroken:
			broken++
		}
	}
	what, one := "inputs", "input"
	switch kind {
	case picket.KindQuery:
		what, one = "pairs of zone and name server", "pair of zone and name server"
	case picket.KindRecord:
		what, one = "zones", "zone"
	}
	stored := slices.ContainsFunc(a.retained, func(r picket.Retained) bool { return r.Kind == kind && r.Rows > 0 })
	switch {
	case all > 0 && good == all:
		v.Verdict, v.Text = "collected", fmt.Sprintf("Collected from all %d %s.", all, what)
		switch {
		case kind == picket.KindRecord && !a.recordInputs():
			v.Text = fmt.Sprintf("The contents of %s are known; no input brings their changes.", plural(all, "zone", "zones"))
		case all == 1:
			v.Text = "Collected from the one " + one + " there is."
		}
	case good+some > 0:
		v.Verdict, v.Text = "partial", fmt.Sprintf("Collected from %d of %d %s", good+some, all, what)
		if some > 0 {
			v.Text += fmt.Sprintf(", from %d of these in part", some)
		}
		v.Text += "."
	case nameless > 0:
		v.Verdict, v.Text = "partial", "Queries come in, but nothing says which name servers they have reached."
	case broken > 0:
		v.Verdict, v.Text = "broken", fmt.Sprintf("Configured, but nothing comes from %d of %d %s.", broken, all, what)
	case all > 0 && kind != picket.KindQuery && kind != picket.KindRecord:
		v.Verdict, v.Text = "not collected", "An input is configured; nothing has come yet."
	case stored:
		v.Verdict, v.Text = "partial", "Something was stored once; no input brings more."
	default:
		v.Verdict, v.Text = "not collected", "Not collected."
	}
	return v
}

// fieldsOf are the fields of queries that a detector needs, where the contents of
// a zone are known or not.
func fieldsOf(n *Needs, known bool) []string {
	list := slices.Clone(n.Fields)
	if strings.Contains(n.Levels, "R") {
		list = append(list, "rcode")
	}
	// The zone's contents tell a detector that can do with them as much.
	if strings.Contains(n.Levels, "D") && !(known && strings.Contains(n.Levels, "Z")) {
		list = append(list, "flags", "response")
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// justStarted is how soon after a start it means little that nothing has come.
const justStarted = time.Minute

// detect judges the detectors.
func (a *analysis) detect() {
	blind, reasons := map[string][]string{}, []string(nil) // detectors by what they lack
	for i := range a.r.opt.Detectors {
		d := &a.r.opt.Detectors[i]
		c := picket.DetectorCoverage{Detector: d.Name, State: "off"}
		if slices.Contains(a.setup.Detectors, d.Name) {
			s := a.sight(d)
			c.State, c.Why = s.state, slices.Concat(s.why, s.supplied)
			if reason := strings.Join(c.Why, "; "); c.State == "blind" {
				if blind[reason] == nil {
					reasons = append(reasons, reason)
				}
				blind[reason] = append(blind[reason], d.Name)
			}
		}
		a.detectors = append(a.detectors, c)
	}
	for _, reason := range reasons {
		who := and(blind[reason]) + number(blind[reason], " is", " are")
		if n := len(blind[reason]); n > someNames && n == len(a.setup.Detectors) {
			who = fmt.Sprintf("all %d detectors are", n)
		}
		a.problem(picket.CoverageProblem{Code: "blind"}, "%s, so %s blind.", strings.ToUpper(reason[:1])+reason[1:], who)
	}
}

// broken reports whether an input has brought nothing because its feed is broken.
func (a *analysis) broken(input string) bool {
	for i := range a.cells {
		if c := &a.cells[i]; c.Kind == picket.KindQuery && slices.Contains(c.Inputs, input) && c.Silence == picket.SilenceBroken {
			return true
		}
	}
	return false
}

// sighted is how well a detector can see.
type sighted struct {
	state    string   // working, degraded or blind
	why      []string // what it lacks
	supplied []string // what inputs do not carry, and the contents of zones make up for
}

// sight says how well a detector can see, in the zones that the report is about.
func (a *analysis) sight(d *Needs) (s sighted) {
	zones, known := 0, 0
	for _, z := range a.setup.Zones {
		if a.only != "" && z.Name != a.only {
			continue
		}
		zones++
		if a.zoneKnown(z.Name) {
			known++
		}
	}
	blind := func(why ...string) sighted { return sighted{state: "blind", why: why} }
	if d.Name == "retired-names" && a.r.opt.Retired != nil && a.r.opt.Retired() == 0 {
		return blind("no retired names are known")
	}
	inputs, full, half := 0, 0, 0
	for i := range a.setup.Inputs {
		in := a.inputs[a.setup.Inputs[i].Name]
		carries := in.fields
		if carries.n == 0 && !a.broken(in.Name) {
			carries = in.before // nobody has asked, but what would come is known
		}
		if carries.n == 0 {
			continue
		}
		inputs++
		missing := carries.missing()
		lacks := slices.DeleteFunc(fieldsOf(d, known > 0), func(f string) bool { return !slices.Contains(missing, f) })
		switch {
		case len(lacks) == 0:
			full++
			continue
		case len(lacks) == 1 && lacks[0] == "rcode" && known == zones && known > 0:
			half++
			s.supplied = append(s.supplied, fmt.Sprintf("input %s carries no rcode; the zone's contents supply it", in.Name))
		case len(lacks) == 1 && lacks[0] == "rcode" && known > 0:
			half++
			s.why = append(s.why, fmt.Sprintf("input %s carries no rcode, which the contents of %d of %d zones supply", in.Name, known, zones))
		default:
			s.why = append(s.why, fmt.Sprintf("input %s carries no %s", in.Name, and(lacks)))
		}
	}
	if strings.Contains(d.Levels, "Z") && known < zones {
		s.why = append(s.why, fmt.Sprintf("the contents of %d of %d zones are not known", zones-known, zones))
	}
	switch {
	case inputs == 0 && a.now.Sub(a.born) < justStarted:
		return blind("no queries have come in yet; Picket has only just started")
	case inputs == 0:
		return blind("no queries have come in")
	case full+half == 0 || strings.Contains(d.Levels, "Z") && !strings.Contains(d.Levels, "D") && known == 0 && zones > 0:
		s.state = "blind"
	case len(s.why)+len(s.supplied) > 0:
		s.state = "degraded"
	default:
		s.state = "working"
	}
	return s
}
