package coverage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// maxPieces bounds into how many times of their own setup a question is cut.
const maxPieces = 24

// CouldSee implements picket.CoverageReporter. Every time is judged by what was
// configured then: an input that did not exist cannot have seen anything.
func (r *Reporter) CouldSee(ctx context.Context, detector string, f picket.CoverageFilter) (*picket.CouldAnswer, error) {
	i := slices.IndexFunc(r.opt.Detectors, func(n Needs) bool { return n.Name == detector })
	if i < 0 {
		return nil, fmt.Errorf("detector %q: %w", detector, picket.ErrNotFound)
	}
	from, to, _, err := r.times(f)
	if err != nil {
		return nil, fmt.Errorf("could %s have seen it: %w", detector, err)
	}
	c := could{need: &r.opt.Detectors[i]}
	if err := c.pieces(ctx, r, from, to, f.Zone); err != nil {
		return nil, fmt.Errorf("could %s have seen it: %w", detector, err)
	}
	a := &picket.CouldAnswer{Detector: detector, Zone: f.Zone, From: from, To: to, Reasons: c.reasons}
	zone := f.Zone
	if zone == "" {
		zone = "the watched zones"
	}
	during := "from " + stamp(from) + " to " + stamp(to)
	switch {
	case !c.able:
		a.Answer, a.Text = "no", fmt.Sprintf("No: %s could not have seen anything on %s %s.", detector, zone, during)
	case c.lacking:
		a.Answer, a.Text = "partly", fmt.Sprintf("Partly: %s could have seen some of what happened on %s %s.", detector, zone, during)
	default:
		a.Answer, a.Text = "yes", fmt.Sprintf("Yes: %s could have seen it on %s %s.", detector, zone, during)
	}
	return a, nil
}

// could gathers an answer.
type could struct {
	need    *Needs
	able    bool // somewhere, at some time
	lacking bool // somewhere, at some time, not
	reasons []string
}

func (c *could) lack(format string, args ...any) {
	c.lacking = true
	c.say(fmt.Sprintf(format, args...))
}

// say adds a reason, once.
func (c *could) say(reason string) {
	if !slices.Contains(c.reasons, reason) {
		c.reasons = append(c.reasons, reason)
	}
}

// pieces cuts the range where the setup changed, and judges each.
func (c *could) pieces(ctx context.Context, r *Reporter, from, to time.Time, zone string) error {
	setups, err := r.opt.Store.Setups(ctx, from, to)
	if err != nil {
		return err
	}
	cuts := []time.Time{from}
	for i, s := range setups {
		t := s.Time.UTC().Truncate(time.Minute)
		if t.After(cuts[len(cuts)-1]) && t.Before(to) && i < maxPieces {
			cuts = append(cuts, t)
		}
	}
	known := len(setups) > 0 && !setups[0].Time.Truncate(time.Minute).After(from)
	if len(setups) == 0 {
		// Nothing was noted in the range: then either it was before the first setup, or
		// setups are not noted at all.
		later, err := r.opt.Store.Setups(ctx, to, r.opt.Now().Add(time.Hour))
		if err != nil {
			return err
		}
		known = len(later) == 0
	}
	for i, start := range cuts {
		end := to
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		if i == 0 && !known {
			c.lack("nothing was configured from %s to %s", stamp(start), stamp(end))
			continue
		}
		as := r
		for j := range setups { // the last that held at the start of the piece
			if !setups[j].Time.Truncate(time.Minute).After(start) {
				as = r.with(setups[j])
			}
		}
		v, err := as.load(ctx, start, end, end)
		if err != nil {
			return err
		}
		c.judge(r, v, zone)
	}
	return nil
}

// with is a Reporter to which nothing else was ever configured.
func (r *Reporter) with(setup picket.Setup) *Reporter {
	as := *r
	as.fixed = &setup
	return &as
}

// judge judges one time of one setup.
func (c *could) judge(r *Reporter, v *view, zone string) {
	during := "from " + stamp(v.from) + " to " + stamp(v.to)
	if !slices.Contains(v.setup.Detectors, c.need.Name) {
		c.lack("detector %s was switched off %s", c.need.Name, during)
		return
	}
	if zone != "" && !v.watches(zone) {
		c.lack("zone %s was not watched %s", zone, during)
		return
	}
	a := r.analyse(v, zone)
	s := a.sight(c.need)
	for _, w := range s.why {
		c.lack("%s %s", w, during)
	}
	for _, w := range s.supplied {
		c.say(w + " " + during)
	}
	for _, u := range v.down {
		if slices.ContainsFunc(a.problems, func(p picket.CoverageProblem) bool { return p.Code == "not-running" && p.From.Equal(u.From) }) {
			c.lack("picket was not running from %s to %s", stamp(u.From), stamp(u.To))
		}
	}
	for i := range a.cells {
		cell := &a.cells[i]
		if cell.Kind != picket.KindQuery {
			continue
		}
		c.cell(a, cell, s.state != "blind", during)
	}
}

// cell judges one zone at one server at the time of one setup.
func (c *could) cell(a *analysis, cell *picket.CoverageCell, sighted bool, during string) {
	who := cell.Server
	if a.only == "" {
		who += " for " + cell.Zone
	}
	switch {
	case cell.Seen > 0:
	case cell.Silence == picket.SilenceNoTraffic:
		if sighted {
			c.able = true
		}
		return
	default:
		c.lack("%s sent nothing %s: %s", who, during, cell.Silence)
		return
	}
	blindAll, blindOne := true, ""
	for _, name := range cell.Inputs {
		in := a.inputs[name]
		lacks := slices.DeleteFunc(fieldsOf(c.need, a.zoneKnown(cell.Zone)), func(f string) bool {
			return !slices.Contains(in.fields.missing(), f) || f == "rcode" && a.zoneKnown(cell.Zone)
		})
		if len(lacks) == 0 {
			blindAll = false
		} else {
			blindOne = "what " + who + " sent through input " + name + " carried no " + and(lacks)
		}
	}
	if blindOne != "" {
		c.lack("%s %s", blindOne, during)
	}
	if sighted && (!blindAll || len(cell.Inputs) == 0) {
		c.able = true
	}
	for _, g := range cell.Gaps {
		c.lack("%s sent nothing from %s to %s: %s", who, stamp(g.From), stamp(g.To), g.Why)
	}
}
