package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/lab/judge"
)

// page gathers Markdown.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) table(head []string, rows [][]string) {
	p.line("| %s |", strings.Join(head, " | "))
	p.line("|%s", strings.Repeat("---|", len(head)))
	for _, r := range rows {
		p.line("| %s |", strings.Join(r, " | "))
	}
	p.line("")
}

// Markdown writes the tables.
func Markdown(w io.Writer, t *judge.Tally, about About) error {
	var p page
	p.line("# What the lab has shown\n")
	p.line("Made with `%s`; seeds %s. All of it is simulated: a false alarm here is no false alarm of the field, and", about.Command, about.Seeds)
	p.line("a run found here is a model of a tool found.\n")
	for _, n := range about.Notes {
		p.line("- %s", n)
	}
	if len(about.Notes) > 0 {
		p.line("")
	}
	if about.Speed > 0 {
		p.line("Speed of the long benign runs, generation, pipeline and detectors together: %.2f million simulated queries a second with %d runs at a time, %.0f ns of each.\n",
			about.Speed/1e6, max(about.Workers, 1), 1e9*float64(max(about.Workers, 1))/about.Speed)
	}
	overall(&p, t)
	alarms(&p, t)
	equal(&p, t)
	by(&p, t, "path", "How it reaches the servers", func(c *judge.Cell) string { return c.Path }, "tools")
	by(&p, t, "tool", "Tools", func(c *judge.Cell) string { return c.Class + ": " + c.Tool }, "tools")
	by(&p, t, "zone", "Zones", func(c *judge.Cell) string { return c.Zone }, "tools")
	by(&p, t, "list", "What the adversary knows", func(c *judge.Cell) string { return c.List }, "lists")
	by(&p, t, "rate and path", "Low and slow", func(c *judge.Cell) string { return c.List + ", " + c.Rate + ", " + c.Path }, "rates")
	by(&p, t, "evader", "Adversaries who know Picket", func(c *judge.Cell) string { return c.Tool + ", " + c.Path }, "evaders")
	by(&p, t, "class, path and pace", "Real captures among simulated traffic", func(c *judge.Cell) string { return c.Class + ", " + c.Path + ", " + c.Rate }, judge.BlockReplay)
	storms(&p, t)
	misses(&p, t)
	_, err := io.WriteString(w, p.String())
	return err
}

// recon selects recon runs, of a block when one is named.
func recon(block string) func(*judge.Outcome) bool {
	return func(o *judge.Outcome) bool { return o.Label == judge.Recon && (block == "" || o.Cell.Block == block) }
}

// overall is one row for each judged system over all recon runs.
func overall(p *page, t *judge.Tally) {
	if s := t.Sum(judge.PicketBehavior, recon("")); s.Found.N == 0 {
		return
	}
	p.line("## Reconnaissance found, all runs\n")
	var rows [][]string
	for _, name := range t.Judged() {
		s := t.Sum(name, recon(""))
		if s.Found.N == 0 {
			continue
		}
		right := share(s.Right)
		if _, is := rule(name); is {
			right = "says none"
		}
		rows = append(rows, append([]string{name, interval(s.Found), right}, costs(&s)...))
	}
	p.table([]string{"judged", "found (95 %)", "raised in the right class", "queries to the first finding, p50 / p95", "of its list by then, p50 / p95", "of the true names by then, p50 / p95", "delay p50"}, rows)
	p.line("Found means: a finding of the right class on one of the adversary's sources, or on the whole zone, while it was at work. For a rule any alert on such a")
	p.line("source counts, also for what others asked behind the same resolver.\n")
}

// costs are what the adversary had got until it was found.
func costs(s *judge.Summary) []string {
	if len(s.At) == 0 {
		return []string{"–", "–", "–", "–"}
	}
	delays := make([]int64, len(s.Delay))
	for i, d := range s.Delay {
		delays[i] = int64(d)
	}
	percent := func(x []float64) string {
		if len(x) == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f %% / %.1f %%", 100*judge.Quantile(x, 0.5), 100*judge.Quantile(x, 0.95))
	}
	return []string{fmt.Sprintf("%d / %d", judge.Quantile(s.At, 0.5), judge.Quantile(s.At, 0.95)), percent(s.List), percent(s.Names),
		time.Duration(judge.Quantile(delays, 0.5)).Round(time.Second / 10).String()}
}

// alarms is false alarms on benign traffic.
func alarms(p *page, t *judge.Tally) {
	benign := func(o *judge.Outcome) bool {
		return o.Label == judge.Benign && (o.Cell.Block == judge.BlockBenign || o.Cell.Block == judge.BlockBulk)
	}
	var rows [][]string
	for _, name := range t.Judged() {
		s := t.Sum(name, benign)
		if s.Runs == 0 {
			continue
		}
		rows = append(rows, append([]string{name}, falseAlarms(&s)...))
	}
	if len(rows) == 0 {
		return
	}
	p.line("## False alarms on background alone\n")
	p.line("Survey projects that ask for the server's version are part of the background; low findings that say so are right, and counted apart.\n")
	p.table([]string{"judged", "queries", "zone-days", "false alarms", "per million queries (at most, 95 %)", "per zone and day (at most, 95 %)", "kinds", "surveys told"}, rows)
}

func falseAlarms(s *judge.Summary) []string {
	rate, bound := s.PerMillion()
	day, dayBound := s.PerZoneDay()
	return []string{fmt.Sprintf("%.1f M", float64(s.Queries)/1e6), fmt.Sprintf("%.1f", s.Days), fmt.Sprint(s.False),
		fmt.Sprintf("%.3g (%.2g)", rate, bound), fmt.Sprintf("%.3g (%.2g)", day, dayBound), kinds(s.Kinds), fmt.Sprint(s.Surveys)}
}

func kinds(n map[string]int) string {
	if len(n) == 0 {
		return "–"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, n[k]))
	}
	return strings.Join(parts, ", ")
}

// equal compares with the rules at as many false alarms as Picket had.
func equal(p *page, t *judge.Tally) {
	benign := func(o *judge.Outcome) bool { return o.Label == judge.Benign && o.Cell.Block != judge.BlockBulk }
	mine := t.Sum(judge.PicketBehavior, benign)
	found := t.Sum(judge.PicketBehavior, recon(""))
	if mine.Runs == 0 || found.Found.N == 0 {
		return
	}
	rows := [][]string{{judge.PicketBehavior, "–", "–", interval(found.Found), interval(found.Found)}}
	for _, name := range t.Judged() {
		r, is := rule(name)
		if !is {
			continue
		}
		threshold, at := t.AtEqualAlarms(name, mine.False, judge.LeastKept(r), recon(""))
		published := t.Sum(name, recon(""))
		rows = append(rows, []string{name, fmt.Sprintf("%.4g", r.Threshold), fmt.Sprintf("%.4g", threshold), interval(published.Found), interval(at)})
	}
	p.line("## Rules in use, at their thresholds and at as many false alarms as Picket\n")
	p.line("On the benign runs, storms included, Picket without signatures raised %d false alarms; each rule's threshold was moved to where it raises as many,\nbut not below an eighth of what is published.\n", mine.False)
	p.table([]string{"judged", "threshold as published", "threshold at equal alarms", "found as published (95 %)", "found at equal alarms (95 %)"}, rows)
}

// by splits a block by a dimension, for Picket without and with signatures and the best rule.
func by(p *page, t *judge.Tally, dimension, title string, of func(*judge.Cell) string, block string) {
	values := t.Values(func(o *judge.Outcome) string { return of(&o.Cell) }, recon(block))
	if len(values) == 0 {
		return
	}
	slices.Sort(values)
	var rows [][]string
	for _, v := range values {
		here := func(o *judge.Outcome) bool { return recon(block)(o) && of(&o.Cell) == v }
		s, with := t.Sum(judge.PicketBehavior, here), t.Sum(judge.Picket, here)
		c := costs(&s)
		rows = append(rows, []string{v, interval(s.Found), share(with.Found), c[0], c[2], share(s.Attributed), bestRule(t, here)})
	}
	p.line("## %s\n", title)
	p.table([]string{dimension, "found without signatures (95 %)", "with", "queries to the first finding, p50 / p95", "true names by then, p50 / p95", "with its source", "best rule in use"}, rows)
}

func bestRule(t *judge.Tally, where func(*judge.Outcome) bool) string {
	best, value := "none", 0.0
	for _, name := range t.Judged() {
		if _, is := rule(name); !is {
			continue
		}
		if s := t.Sum(name, where); s.Found.N > 0 && s.Found.Value() > value {
			best, value = fmt.Sprintf("%s %s", name, share(s.Found)), s.Found.Value()
		}
	}
	return best
}

// storms is the benign sets that are made to mislead, and the floods.
func storms(p *page, t *judge.Tally) {
	where := func(o *judge.Outcome) bool {
		return o.Cell.Block == judge.BlockStorms || o.Cell.Block == judge.BlockReplay && o.Label != judge.Recon
	}
	values := t.Values(func(o *judge.Outcome) string { return o.Cell.Tool }, where)
	if len(values) == 0 {
		return
	}
	head := append([]string{"set"}, t.Judged()...)
	var rows [][]string
	for _, v := range values {
		row := []string{v}
		for _, name := range t.Judged() {
			s := t.Sum(name, func(o *judge.Outcome) bool { return where(o) && o.Cell.Tool == v })
			if s.FloodTold.N > 0 {
				row = append(row, "told as flood "+share(s.FloodTold))
			} else {
				row = append(row, "clean "+share(s.Clean))
			}
		}
		rows = append(rows, row)
	}
	p.line("## Harmless traffic that looks like it, and floods\n")
	p.table(head, rows)
}

// misses lists what Picket without signatures has not found, the most frequent first.
func misses(p *page, t *judge.Tally) {
	n := map[string]int{}
	for _, o := range t.Outcomes() {
		if o.Judged == judge.PicketBehavior && o.Label == judge.Recon && !o.Found {
			what := fmt.Sprintf("%s: %s, %s, %s, %s, %s", o.Cell.Class, o.Cell.Tool, o.Cell.Path, o.Cell.Zone, o.Cell.List, o.Cell.Rate)
			n[what]++
		}
	}
	if s := t.Sum(judge.PicketBehavior, recon("")); s.Found.N == 0 {
		return
	}
	p.line("## Not found\n")
	if len(n) == 0 {
		p.line("Everything was found.")
		return
	}
	list := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	const most = 60
	for _, what := range list[:min(len(list), most)] {
		p.line("- %d × %s", n[what], what)
	}
	if len(list) > most {
		p.line("- and %d more, see runs.csv", len(list)-most)
	}
}

func share(s judge.Share) string {
	if s.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", s.K, s.N)
}

func interval(s judge.Share) string {
	if s.N == 0 || math.IsNaN(s.Value()) {
		return "–"
	}
	lo, hi := s.Interval()
	return fmt.Sprintf("%d of %d (%.3f–%.3f)", s.K, s.N, lo, hi)
}
