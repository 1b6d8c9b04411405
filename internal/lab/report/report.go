// Package report writes what experiments have shown: results.md with its tables,
// runs.csv and parameters.csv for those who want to compute themselves, and plots
// as SVG.
package report

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// About says how the figures were made.
type About struct {
	Command string // with which anybody can make them again
	Seeds   string
	Notes   []string
	// Speed is how many simulated queries a second went through generation, pipeline
	// and detectors together in the long benign runs; 0 when there were none.
	Speed   float64
	Workers int // runs at the same time
}

// Write writes all files of a report into a folder, which it makes.
func Write(dir string, t *judge.Tally, about About) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"results.md", func(w io.Writer) error { return Markdown(w, t, about) }},
		{"runs.csv", func(w io.Writer) error { return CSV(w, t) }},
		{"parameters.csv", Parameters},
	} {
		if err := writeFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	for name, plot := range plots(t) {
		b, err := plot.svg()
		if err != nil {
			return fmt.Errorf("report: plot %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), b, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		f.Close()
		return fmt.Errorf("report: %s: %w", path, err)
	}
	if err := b.Flush(); err != nil {
		f.Close()
		return fmt.Errorf("report: %s: %w", path, err)
	}
	return f.Close()
}

// CSV writes one line for each run and judged system.
func CSV(w io.Writer, t *judge.Tally) error {
	out := csv.NewWriter(w)
	head := []string{"judged", "block", "label", "class", "tool", "path", "zone", "list", "rate", "seed", "found", "noticed", "at_query", "delay_s", "list_share", "names_share",
		"attributed", "flood_told", "actor_queries", "queries", "days", "false", "raised", "top"}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, o := range t.Outcomes() {
		c := o.Cell
		err := out.Write([]string{o.Judged, c.Block, o.Label, c.Class, c.Tool, c.Path, c.Zone, c.List, c.Rate, strconv.FormatUint(o.Seed, 10),
			strconv.FormatBool(o.Found), strconv.FormatBool(o.Noticed), strconv.FormatInt(o.AtQuery, 10), number(o.Delay.Seconds()), number(o.ListShare), number(o.NamesShare),
			strconv.FormatBool(o.Attributed), strconv.FormatBool(o.FloodTold), strconv.FormatInt(o.ActorQueries, 10), strconv.FormatInt(o.Queries, 10), number(o.Days),
			strings.Join(o.False, " "), strings.Join(o.Raised, " "), number(o.Top)})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Parameters writes what the simulated traffic depends on.
func Parameters(w io.Writer) error {
	list, err := lab.ListParameters()
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write([]string{"parameter", "value", "low", "high", "unit", "source", "says"}); err != nil {
		return err
	}
	for _, p := range list {
		if err := out.Write([]string{p.Name, number(p.Value), number(p.Low), number(p.High), p.Unit, p.Source, p.Says}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

// rule returns the rule of a name, if it is one.
func rule(name string) (rules.Rule, bool) {
	for _, r := range rules.All() {
		if r.Name == name {
			return r, true
		}
	}
	return rules.Rule{}, false
}
