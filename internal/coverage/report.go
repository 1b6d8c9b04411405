package coverage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Needs says what a detector needs to see.
type Needs struct {
	Name string
	// Levels of telemetry: Q query log, R response code (or the zone, from which it
	// follows), D packets or dnstap, Z zone contents.
	Levels string
	// Fields of queries beyond those that the levels imply: client, rcode, flags,
	// response, transport.
	Fields []string
}

// Options are what a Reporter works with. Only Store is needed.
type Options struct {
	Store     picket.CoverageStore
	Setup     func() picket.Setup          // what is configured now
	Detectors []Needs                      // all that there are
	Inputs    func() []picket.SourceStatus // as they are now
	Lags      func() []picket.ServerLag
	Now       func() time.Time // wall clock; nil means time.Now
	// Retired is how many retired names are known, without which some detectors
	// look for nothing; nil when that cannot be told.
	Retired func() int
	// ZoneKnown reports whether a zone's contents are known; nil means that they
	// are when an input brings records, or records are stored.
	ZoneKnown func(zone string) bool
}

// Reporter makes reports. Its methods are safe for concurrent use as far as the
// functions in its Options are.
type Reporter struct {
	opt   Options
	past  *past
	fixed *picket.Setup // that holds whatever was noted; nil outside CouldSee
}

var _ picket.CoverageReporter = (*Reporter)(nil)

// New returns a Reporter.
func New(opt Options) *Reporter {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Reporter{opt: opt, past: &past{}}
}

// Coverage implements picket.CoverageReporter.
func (r *Reporter) Coverage(ctx context.Context, f picket.CoverageFilter) (*picket.CoverageReport, error) {
	from, to, end, err := r.times(f)
	if err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	v, err := r.load(ctx, from, to, end)
	if err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	a := r.analyse(v, f.Zone)
	return &picket.CoverageReport{
		From: from, To: end, Made: v.now, Statement: a.statement(), Problems: a.problems, Cells: a.cells,
		Classes: a.classes(), Detectors: a.detectors, Retention: a.retention,
	}, nil
}

// times are whole minutes: the last 24 hours when nothing else is asked for. When
// that reaches until now, end is now: the minute that is still being counted is
// not judged, but what has come in it has come.
func (r *Reporter) times(f picket.CoverageFilter) (from, to, end time.Time, err error) {
	now := r.opt.Now()
	if to = f.To; to.IsZero() {
		to = now
	}
	if end = to.UTC(); end.After(now) || now.Sub(end) > time.Minute {
		end = to.UTC().Truncate(time.Minute)
	}
	if from = f.From; from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	from, to = from.UTC().Truncate(time.Minute), to.UTC().Truncate(time.Minute)
	if !from.Before(to) {
		return from, to, end, fmt.Errorf("from %s is not a minute before to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), picket.ErrBadValue)
	}
	return from, to, end, nil
}

// analysis is a report on its way.
type analysis struct {
	r *Reporter
	*view
	only      string // zone; "" for all
	hours     []rangeHour
	cells     []picket.CoverageCell
	problems  []picket.CoverageProblem
	detectors []picket.DetectorCoverage
	retention []picket.RetentionCoverage
}

func (r *Reporter) analyse(v *view, zone string) *analysis {
	v.findGaps()
	a := &analysis{r: r, view: v, only: zone, hours: v.rangeHours()}
	for i := range v.setup.Zones {
		z := &v.setup.Zones[i]
		if zone != "" && z.Name != zone {
			continue
		}
		for _, server := range v.serversOf(z) {
			a.queryCell(z, server)
		}
		a.recordCell(z)
	}
	a.inputCells()
	a.serverProblems()
	a.inputProblems()
	a.notRunning()
	a.lagging()
	a.retain()
	a.detect()
	order := strings.Fields("input-error not-running feed-silent never-configured gap rate-low loss field-missing clock-skew server-lag retention-short blind")
	slices.SortStableFunc(a.problems, func(x, y picket.CoverageProblem) int {
		return cmp.Or(cmp.Compare(slices.Index(order, x.Code), slices.Index(order, y.Code)), cmp.Compare(x.Zone, y.Zone),
			cmp.Compare(x.Server, y.Server), cmp.Compare(x.Input, y.Input), x.From.Compare(y.From))
	})
	return a
}

func (a *analysis) problem(p picket.CoverageProblem, format string, args ...any) {
	p.Text = fmt.Sprintf(format, args...)
	a.problems = append(a.problems, p)
}

// queryCell judges one zone at one server.
func (a *analysis) queryCell(z *picket.SetupZone, server string) {
	c := picket.CoverageCell{Zone: z.Name, Server: server, Kind: picket.KindQuery, Expected: -1, State: "collected"}
	if s := a.servers[server]; s != nil {
		c.Provider = s.Provider
	}
	for _, in := range a.candidates(server) {
		c.Inputs = append(c.Inputs, in.Name)
		c.Provider = cmp.Or(c.Provider, in.Provider)
		c.Lost += in.dropped + in.rejected
		c.Missing = append(c.Missing, in.fields.missing()...)
		if in.skewKnown {
			c.Skew, c.SkewKnown = in.skew, true
		}
		if note := in.lateNote(); note != "" {
			c.Notes = append(c.Notes, note)
		}
	}
	slices.Sort(c.Missing)
	c.Missing = slices.Compact(c.Missing)
	for _, l := range a.lags {
		switch {
		case l.Zone != z.Name || l.Server != server:
		case l.Error != "":
			c.Notes = append(c.Notes, "its serial is not known: "+l.Error)
		case l.Behind == 1:
			c.Notes = append(c.Notes, fmt.Sprintf("one version behind, at serial %d", l.Serial))
		}
	}
	s := a.series[key{z.Name, server}]
	if s != nil {
		a.judge(&c, s)
	}
	if s == nil || s.seen == 0 {
		c.Silence = a.silence(z.Name, server, len(c.Inputs) > 0)
		c.State = "silent"
		switch {
		case len(c.Inputs) > 0, c.Silence == picket.SilenceNoTraffic:
		case c.Silence == picket.SilenceUnknown && a.early():
			c.Notes = append(c.Notes, "too early to tell whether an input brings it")
		default:
			c.State = "missing"
		}
	}
	a.cells = append(a.cells, c)
}

// judge fills in what was seen and what should have been.
func (a *analysis) judge(c *picket.CoverageCell, s *series) {
	k := key{c.Zone, c.Server}
	c.Seen = s.seen
	c.First, c.Last = a.firstLast(s)
	r := a.expected(k, s, a.hours)
	if r != nil {
		c.Expected, c.Basis = total(r.hours), r.basis
	}
	whole := a.series[key{allZones, c.Server}]
	for _, g := range s.gaps {
		c.Gaps = append(c.Gaps, picket.Gap{From: a.time(g.a), To: a.time(g.b), Why: g.why})
		c.State = "partial"
		if g.open {
			c.Silence = picket.SilenceBroken
		}
		if !g.down && !slices.Contains(whole.gaps, g) {
			a.gapProblem(c.Zone, c.Server, g)
		}
	}
	a.unsure(c, s)
	if r != nil && a.low(k, s, r, a.hours) && whole.seen > 0 {
		c.State = "partial"
		a.problem(picket.CoverageProblem{Code: "rate-low", Zone: c.Zone, Server: c.Server},
			"%s has brought %d queries for %s where %.0f were to be expected by %s.", c.Server, s.seen, c.Zone, total(r.live), r.basis)
	}
}

// unsureNoted is how many silences that may be usual a cell tells of.
const unsureNoted = 3

// unsure tells of silences that nothing is known to compare with. They are no problem.
func (a *analysis) unsure(c *picket.CoverageCell, s *series) {
	for i, g := range s.unsure {
		if g.open && c.Silence == picket.SilenceNone {
			c.Silence = picket.SilenceUnknown
		}
		switch {
		case i >= unsureNoted:
		case g.open:
			c.Notes = append(c.Notes, "nothing since "+stamp(a.time(g.a))+"; whether that is usual at this hour is not known yet")
		default:
			c.Notes = append(c.Notes, "nothing from "+stamp(a.time(g.a))+" to "+stamp(a.time(g.b))+"; whether that is usual at that hour is not known yet")
		}
	}
}

func (a *analysis) gapProblem(zone, server string, g gap) {
	p := picket.CoverageProblem{Code: "gap", Zone: zone, Server: server, Input: a.onlyInput(server), From: a.time(g.a), To: a.time(g.b)}
	if g.open {
		p.Code, p.To = "feed-silent", a.to
		a.problem(p, "%s has sent nothing since %s: %s.", server, stamp(p.From), g.why)
		return
	}
	a.problem(p, "%s has a gap from %s to %s: %s.", server, stamp(p.From), stamp(p.To), g.why)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// onlyInput is the input of a server when it has one.
func (a *analysis) onlyInput(server string) string {
	if list := a.candidates(server); len(list) == 1 {
		return list[0].Name
	}
	return ""
}

// silence says why a zone at a server has brought nothing at all.
func (a *analysis) silence(zone, server string, configured bool) picket.Silence {
	if !configured {
		return a.unconfigured(zone, server)
	}
	whole := a.series[key{allZones, server}]
	if whole != nil && whole.seen > 0 {
		return picket.SilenceNoTraffic // other zones come through the same feed
	}
	list := a.candidates(server)
	if !slices.ContainsFunc(list, func(in *inputView) bool { return in.status.Error == "" }) || a.mostlyDown() {
		return picket.SilenceBroken
	}
	if s := a.series[key{zone, server}]; s != nil && s.before > 0 {
		switch past, known := a.pastRate(s, 0, a.n); {
		case known && past < a.threshold()/2:
			return picket.SilenceNoTraffic
		case known:
			return picket.SilenceBroken
		}
	}
	for k, s := range a.series {
		if k.zone == zone && k.server != server && float64(s.seen) >= a.threshold() {
			return picket.SilenceBroken
		}
	}
	return picket.SilenceUnknown
}

// tooEarly is how long an input that is not of one server has to have been there
// before a server that it has not brought counts as one that it does not bring.
const tooEarly = 15 * time.Minute

// unconfigured is the silence of a server that no input is for. An input that says
// not which server its queries reached may well bring that one's, and so may one
// that has only begun; and a server whose addresses nobody knows may be the one
// that was asked at an address that is nobody's.
func (a *analysis) unconfigured(zone, server string) picket.Silence {
	if a.heard[server] { // under another name that the machine has
		return picket.SilenceNoTraffic
	}
	for i := range a.setup.Inputs {
		in := a.inputs[a.setup.Inputs[i].Name]
		if in.Kind != picket.KindQuery && in.Kind != "" || in.Server != "" {
			continue
		}
		if !in.addressed || a.young(in) {
			return picket.SilenceUnknown
		}
	}
	if s := a.servers[server]; a.strangers[zone] && (s == nil || len(s.Addresses) == 0) {
		return picket.SilenceUnknown
	}
	return picket.SilenceNever
}

// young reports whether an input has only begun.
func (a *analysis) young(in *inputView) bool {
	return a.to.Sub(latest(in.since, a.born)) < tooEarly
}

// early reports whether an input that is not of one server has only begun.
func (a *analysis) early() bool {
	for _, in := range a.inputs {
		if (in.Kind == picket.KindQuery || in.Kind == "") && in.Server == "" && a.young(in) {
			return true
		}
	}
	return false
}

// mostlyDown reports whether picket did not run for most of the range.
func (a *analysis) mostlyDown() bool {
	var d time.Duration
	for _, u := range a.down {
		d += u.To.Sub(u.From)
	}
	return 2*d > a.to.Sub(a.from)
}

// serverProblems are the problems of servers as a whole, each named once however
// many zones it has.
func (a *analysis) serverProblems() {
	zones := map[string][]string{}
	delegated := map[string]bool{}
	silence := map[string]picket.Silence{}
	var servers []string
	for _, c := range a.cells {
		if c.Kind != picket.KindQuery || c.Zone == "" {
			continue
		}
		if zones[c.Server] == nil {
			servers = append(servers, c.Server)
		}
		zones[c.Server] = append(zones[c.Server], c.Zone)
		if c.Seen == 0 && silence[c.Server] != picket.SilenceBroken {
			silence[c.Server] = c.Silence
		}
	}
	for _, z := range a.setup.Zones {
		for _, s := range z.Delegation {
			delegated[s] = true
		}
	}
	for _, server := range servers {
		zone := ""
		if len(zones[server]) == 1 {
			zone = zones[server][0]
		}
		whole := a.series[key{allZones, server}]
		switch {
		case whole != nil && whole.seen > 0:
			for _, g := range whole.gaps {
				if !g.down {
					a.gapProblem(zone, server, g)
				}
			}
		case silence[server] == picket.SilenceNever && (delegated[server] || len(delegated) == 0):
			a.problem(picket.CoverageProblem{Code: "never-configured", Zone: zone, Server: server},
				"%s answers for %s, and no input brings what it is asked.", server, and(zones[server]))
		case silence[server] == picket.SilenceBroken && !a.mostlyDown():
			a.problem(picket.CoverageProblem{Code: "feed-silent", Zone: zone, Server: server, Input: a.onlyInput(server), From: a.from, To: a.to},
				"%s has sent nothing from %s to %s, where something was to be expected.", server, stamp(a.from), stamp(a.to))
		}
	}
}

// notRunning names the times in which picket did not run and whose telemetry has
// not been caught up with.
func (a *analysis) notRunning() {
	for _, d := range a.down {
		x, y := a.at(d.From), a.at(d.To)
		if y-x > 2 { // its first and last steps may be filled in part
			x, y = x+1, y-1
		}
		feeds, late := 0, 0
		for k, s := range a.series {
			if k.zone == allZones && s.seen > 0 {
				feeds++
				if sum(s.steps, x, y) > 0 {
					late++
				}
			}
		}
		if feeds > 0 && feeds == late {
			continue
		}
		a.problem(picket.CoverageProblem{Code: "not-running", From: d.From, To: d.To},
			"Picket was not running from %s to %s, and not all of that time's telemetry has come since.", stamp(d.From), stamp(d.To))
	}
}

func (a *analysis) lagging() {
	for _, l := range a.lags {
		if l.Behind >= 2 && l.Error == "" && (a.only == "" || l.Zone == a.only) {
			a.problem(picket.CoverageProblem{Code: "server-lag", Zone: l.Zone, Server: l.Server, From: l.Since},
				"%s serves %s at serial %d, %d versions behind %d.", l.Server, l.Zone, l.Serial, l.Behind, l.Newest)
		}
	}
}
