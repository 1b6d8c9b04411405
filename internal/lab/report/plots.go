package report

import (
	"slices"

	"github.com/go-analyze/charts"

	"github.com/picket-dns/picket/internal/lab/judge"
)

// plot is lines over steps of a dimension.
type plot struct {
	title  string
	x      []string
	xTitle string
	series []string
	values [][]float64
}

func (p *plot) svg() ([]byte, error) {
	opt := charts.NewLineChartOptionWithData(p.values)
	opt.Title.Text = p.title
	opt.XAxis.Labels = p.x
	opt.XAxis.Title = p.xTitle
	opt.Legend.SeriesNames = p.series
	opt.Legend.Offset = charts.OffsetStr{Top: "30"}
	opt.Padding = charts.NewBoxEqual(20)
	opt.Symbol.Shape = charts.SymbolCircle
	lo, hi := 0.0, 1.0
	opt.YAxis[0].Min, opt.YAxis[0].Max = &lo, &hi
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 900, Height: 460})
	if err := painter.LineChart(opt); err != nil {
		return nil, err
	}
	return painter.Bytes()
}

// plots are the report's plots by file name.
func plots(t *judge.Tally) map[string]*plot {
	all := map[string]*plot{}
	list := func(o *judge.Outcome) string { return o.Cell.List }
	for _, l := range t.Values(list, recon("rates")) {
		p := share2(t, func(o *judge.Outcome) bool { return recon("rates")(o) && o.Cell.List == l },
			func(o *judge.Outcome) string { return o.Cell.Rate }, func(o *judge.Outcome) string { return o.Cell.Path })
		p.title, p.xTitle = "Found, by rate and path ("+l+")", "rate"
		all["slow-"+slug(l)] = p
	}
	if len(t.Values(list, recon("tools"))) > 0 {
		p := share2(t, recon("tools"), func(o *judge.Outcome) string { return o.Cell.Path }, nil)
		p.title, p.xTitle = "Found, by path: Picket and the rules in use", "path"
		all["rules"] = p
		all["queries"] = untilFound(t)
	}
	return all
}

// share2 is the share found over two dimensions; without a second one the lines are
// the judged systems.
func share2(t *judge.Tally, where func(*judge.Outcome) bool, x, line func(*judge.Outcome) string) *plot {
	p := &plot{x: t.Values(x, where)}
	names := t.Judged()
	if line != nil {
		names = t.Values(line, where)
	}
	for _, name := range names {
		values := make([]float64, len(p.x))
		any := false
		for i, v := range p.x {
			judged := name
			here := func(o *judge.Outcome) bool { return where(o) && x(o) == v }
			if line != nil {
				judged = judge.PicketBehavior
				here = func(o *judge.Outcome) bool { return where(o) && x(o) == v && line(o) == name }
			}
			s := t.Sum(judged, here)
			values[i] = charts.GetNullValue()
			if s.Found.N > 0 {
				values[i], any = s.Found.Value(), true
			}
		}
		if any {
			p.series, p.values = append(p.series, name), append(p.values, values)
		}
	}
	return p
}

// untilFound is which share of the runs is found within so many queries.
func untilFound(t *judge.Tally) *plot {
	steps := []int64{5, 10, 15, 25, 50, 100, 200, 500, 1000, 5000}
	p := &plot{title: "Found within so many of the adversary's queries", xTitle: "queries", x: []string{"5", "10", "15", "25", "50", "100", "200", "500", "1,000", "5,000"}}
	for _, name := range t.Judged() {
		s := t.Sum(name, recon("tools"))
		if s.Found.N == 0 {
			continue
		}
		slices.Sort(s.At)
		values := make([]float64, len(steps))
		for i, limit := range steps {
			n, _ := slices.BinarySearch(s.At, limit+1)
			values[i] = float64(n) / float64(s.Found.N)
		}
		p.series, p.values = append(p.series, name), append(p.values, values)
	}
	return p
}

// slug is text as a file name.
func slug(text string) string {
	b := []byte(text)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			b[i] = '-'
		}
	}
	return string(b)
}
