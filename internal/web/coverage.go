package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/picket-dns/picket"
)

// longestCoverage bounds what one report is about: five years.
const longestCoverage = 5 * 366 * 24 * time.Hour

type coverageInput struct {
	From time.Time `query:"from" doc:"Beginning of the range (RFC 3339); 24 hours before its end when left out"`
	To   time.Time `query:"to" doc:"End of the range, exclusive (RFC 3339); now when left out"`
	Zone string    `query:"zone" maxLength:"1024" doc:"Only this zone (apex, trailing dot optional)"`
}

type coverageOutput struct{ Body picket.CoverageReport }

type couldInput struct {
	Detector string    `query:"detector" required:"true" minLength:"1" maxLength:"64" doc:"Detector (kebab-case name)"`
	Zone     string    `query:"zone" maxLength:"1024" doc:"Zone that it is about (apex, trailing dot optional); all when left out"`
	Day      string    `query:"day" maxLength:"10" doc:"Day in UTC, YYYY-MM-DD, in place of from and to"`
	From     time.Time `query:"from" doc:"Beginning of the range (RFC 3339)"`
	To       time.Time `query:"to" doc:"End of the range, exclusive (RFC 3339)"`
}

type couldOutput struct{ Body picket.CouldAnswer }

// errRange is a range of time that cannot be reported on.
var errRange = errors.New("the range of time ends before it begins, or is longer than five years")

// dayFormat is how days are written in forms and in the API.
const dayFormat = "2006-01-02"

// coverageFilter makes a filter; the day, when given, stands for from and to.
func coverageFilter(zone, day string, from, to time.Time) (picket.CoverageFilter, error) {
	f := picket.CoverageFilter{From: from, To: to, Zone: canonicalZone(zone)}
	if day != "" {
		if !from.IsZero() || !to.IsZero() {
			return f, errors.New("give either the day, or from and to")
		}
		t, err := time.Parse(dayFormat, day)
		if err != nil {
			return f, errors.New("the day is not one: want YYYY-MM-DD, such as 2026-03-17")
		}
		f.From, f.To = t, t.AddDate(0, 0, 1)
	}
	if !f.From.IsZero() && !f.To.IsZero() && (!f.From.Before(f.To) || f.To.Sub(f.From) > longestCoverage) {
		return f, errRange
	}
	return f, nil
}

func (c *Console) addCoverageAPI(api huma.API) {
	huma.Register(api, op("get-coverage", "/api/coverage", "Say what was collected of what there was"), c.apiCoverage)
	huma.Register(api, op("could-see", "/api/coverage/could", "Say whether a detector could have seen something"), c.apiCould)
}

func (c *Console) apiCoverage(ctx context.Context, in *coverageInput) (*coverageOutput, error) {
	f, err := coverageFilter(in.Zone, "", in.From, in.To)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if c.coverage == nil {
		return nil, huma.Error404NotFound("no coverage is kept here")
	}
	r, err := c.coverage.Coverage(ctx, f)
	if err != nil {
		return nil, c.apiError(err)
	}
	return &coverageOutput{presentableCoverage(*r)}, nil
}

func (c *Console) apiCould(ctx context.Context, in *couldInput) (*couldOutput, error) {
	f, err := coverageFilter(in.Zone, in.Day, in.From, in.To)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if c.coverage == nil {
		return nil, huma.Error404NotFound("no coverage is kept here")
	}
	a, err := c.coverage.CouldSee(ctx, strings.TrimSpace(in.Detector), f)
	if errors.Is(err, picket.ErrNotFound) {
		return nil, huma.Error404NotFound("there is no such detector")
	}
	if err != nil {
		return nil, c.apiError(err)
	}
	a.Reasons = notNil(a.Reasons)
	return &couldOutput{*a}, nil
}

// presentableCoverage is presentable for a report. What JSON cannot hold is left out.
func presentableCoverage(r picket.CoverageReport) picket.CoverageReport {
	r.Problems, r.Classes = notNil(r.Problems), notNil(r.Classes)
	r.Detectors, r.Retention = notNil(r.Detectors), notNil(r.Retention)
	r.Cells = slices.Clone(notNil(r.Cells))
	for i := range r.Cells {
		c := &r.Cells[i]
		c.Inputs = notNil(c.Inputs)
		if !finite(c.Expected) {
			c.Expected = -1
		}
	}
	return r
}

// serveCoverage is the page; the question "could we have seen …?" is a part of it.
func (c *Console) serveCoverage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	detector, zone, day := strings.TrimSpace(q.Get("detector")), q.Get("zone"), strings.TrimSpace(q.Get("day"))
	f, err := coverageFilter(zone, day, time.Time{}, time.Time{})
	if err != nil || len(detector) > 64 || len(zone) > 1024 {
		c.fail(w, r, http.StatusBadRequest, "That cannot be asked: the day is not one (want YYYY-MM-DD), or a value is too long.")
		return
	}
	rev, err := c.findings.FindingsRevision(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	if c.coverage == nil {
		c.fail(w, r, http.StatusNotFound, "No coverage is kept here.")
		return
	}
	report, err := c.coverage.Coverage(r.Context(), picket.CoverageFilter{})
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	m := c.newCoveragePage(report)
	watched, err := c.watch.Watched(r.Context())
	if err != nil {
		c.failStore(w, r, err)
		return
	}
	m.Ask = c.newAsk(watched, detector, f.Zone, day)
	if detector != "" && q.Get("fragment") != "1" {
		a, err := c.coverage.CouldSee(r.Context(), detector, f)
		switch {
		case errors.Is(err, picket.ErrNotFound):
			m.Ask.Unknown = true
		case err != nil:
			c.failStore(w, r, err)
			return
		default:
			m.Ask.Answer = newAnswer(a)
		}
	}
	c.render(w, r, http.StatusOK, "coverage", frame{Title: "Coverage", Section: "coverage", Live: true, Revision: rev, Refresh: 60, Page: m})
}
