package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
)

// coverageOptions are the flags of picket coverage.
type coverageOptions struct {
	config, output, zone, day, from, to string
}

func (o *coverageOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "picket.yaml", "configuration file")
	f.StringVarP(&o.output, "output", "o", "table", "output: table or json")
	f.StringVar(&o.zone, "zone", "", "only this zone")
	f.StringVar(&o.day, "day", "", "this day in UTC, such as 2026-03-17, in place of --from and --to")
	f.StringVar(&o.from, "from", "", "from this time on (RFC 3339); 24 hours before the end when not given")
	f.StringVar(&o.to, "to", "", "until this time (RFC 3339); now when not given")
}

func coverageCommand(std streams) *cobra.Command {
	var opt coverageOptions
	cmd := &cobra.Command{
		Use:   "coverage [flags]",
		Short: "Say what was collected of what there was",
		Long: `Coverage compares what has been collected with what there should have been, for each
zone, name server and kind of telemetry, and names what is missing: feeds that are
silent, name servers that send nothing, gaps, fields, clocks, losses. It says which
detectors that leaves blind. Without times it is about the last 24 hours. It exits 0
whenever there is an answer, however bad it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return coverageReport(cmd.Context(), std, opt)
		},
	}
	opt.flags(cmd)
	cmd.AddCommand(couldCommand(std))
	return cmd
}

func couldCommand(std streams) *cobra.Command {
	var opt coverageOptions
	cmd := &cobra.Command{
		Use:   "could [flags] DETECTOR",
		Short: "Say whether a detector could have seen something then",
		Long: `Could answers, of the past, whether a detector had what it needs:

  picket coverage could zone-transfer --zone example.com --day 2026-03-17

asks whether a zone transfer attempt on this zone on that day would have been seen.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return couldSee(cmd.Context(), std, opt, args[0])
		},
	}
	opt.flags(cmd)
	return cmd
}

// query makes the API's parameters of the flags.
func (o *coverageOptions) query() (url.Values, error) {
	if o.output != "table" && o.output != "json" {
		return nil, usageError("coverage: -o %q: want table or json", o.output)
	}
	if o.day != "" && (o.from != "" || o.to != "") {
		return nil, usageError("coverage: give either --day, or --from and --to")
	}
	v := url.Values{}
	if o.zone != "" {
		v.Set("zone", o.zone)
	}
	if o.day != "" {
		t, err := time.Parse("2006-01-02", o.day)
		if err != nil {
			return nil, usageError("coverage: --day %q: want a day such as 2026-03-17", o.day)
		}
		v.Set("from", t.Format(time.RFC3339))
		v.Set("to", t.AddDate(0, 0, 1).Format(time.RFC3339))
	}
	for flag, text := range map[string]string{"from": o.from, "to": o.to} {
		if text == "" {
			continue
		}
		t, err := timeFlag("coverage", "--"+flag, text)
		if err != nil {
			return nil, err
		}
		v.Set(flag, t.Format(time.RFC3339Nano))
	}
	return v, nil
}

// askCoverage asks for a resource and prints it as JSON, or as print does.
func askCoverage[T any](ctx context.Context, std streams, opt *coverageOptions, path string, dst *T, print func(io.Writer, *T) error) error {
	api, shut, err := openConfiguredAPI(ctx, opt.config)
	if err != nil {
		return err
	}
	defer shut()
	if err := api.get(ctx, path, dst); err != nil {
		return &exitError{exitSome, err}
	}
	if opt.output == "json" {
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(dst)
	} else {
		err = print(std.out, dst)
	}
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	return nil
}

func coverageReport(ctx context.Context, std streams, opt coverageOptions) error {
	v, err := opt.query()
	if err != nil {
		return err
	}
	var r picket.CoverageReport
	return askCoverage(ctx, std, &opt, "/api/coverage?"+v.Encode(), &r, printCoverage)
}

func couldSee(ctx context.Context, std streams, opt coverageOptions, detector string) error {
	v, err := opt.query()
	if err != nil {
		return err
	}
	v.Set("detector", detector)
	var a picket.CouldAnswer
	return askCoverage(ctx, std, &opt, "/api/coverage/could?"+v.Encode(), &a, printCould)
}

func printCould(w io.Writer, a *picket.CouldAnswer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", sentenceCase(safeText(a.Answer)), safeText(a.Text))
	for _, r := range a.Reasons {
		fmt.Fprintf(&b, "  - %s\n", safeText(r))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sentenceCase(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// utcSecond is a time in a table; "-" for none.
func utcSecond(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// printCoverage prints a report for people.
func printCoverage(w io.Writer, r *picket.CoverageReport) error {
	p := &coveragePrinter{w: w}
	p.line("Coverage from %s to %s\n%s", utcSecond(r.From), utcSecond(r.To), safeText(r.Statement))
	p.line("\nProblems: %d", len(r.Problems))
	for _, x := range r.Problems {
		p.line("  %s: %s%s", safeText(x.Code), safeText(x.Text), problemTime(x))
	}
	p.table("ZONE\tSERVER\tKIND\tSTATE\tSEEN\tEXPECTED\tNEWEST\tGAPS\tAMISS", len(r.Cells), func(i int) string {
		return cellLine(&r.Cells[i])
	})
	var rows []string
	for _, d := range r.Detectors {
		if d.State != "working" {
			rows = append(rows, safeText(d.Detector)+"\t"+safeText(d.State)+"\t"+safeText(strings.Join(d.Why, "; ")))
		}
	}
	p.line("\nDetectors working: %d of %d", len(r.Detectors)-len(rows), len(r.Detectors))
	p.table("DETECTOR\tSTATE\tWHY", len(rows), func(i int) string { return rows[i] })
	p.table("CLASS\tVERDICT\tTEXT", len(r.Classes), func(i int) string {
		c := &r.Classes[i]
		return safeText(c.Class) + "\t" + safeText(c.Verdict) + "\t" + safeText(c.Text)
	})
	p.table("KEPT\tCONFIGURED\tOLDEST\tNEWEST\tROWS\tTEXT", len(r.Retention), func(i int) string {
		k := &r.Retention[i]
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s", safeText(string(k.Kind)), durationText(k.Configured), utcSecond(k.Oldest), utcSecond(k.Newest), k.Rows, safeText(k.Text))
	})
	return p.err
}

func problemTime(p picket.CoverageProblem) string {
	switch {
	case p.From.IsZero():
		return ""
	case p.To.IsZero():
		return " (since " + utcSecond(p.From) + ")"
	}
	return " (" + utcSecond(p.From) + " to " + utcSecond(p.To) + ")"
}

func cellLine(c *picket.CoverageCell) string {
	state := c.State
	if c.Silence != picket.SilenceNone {
		state += ", " + string(c.Silence)
	}
	expected := "-"
	if c.Expected >= 0 {
		expected = strconv.FormatFloat(c.Expected, 'f', 0, 64) + " (" + c.Basis + ")"
	}
	var amiss []string
	if len(c.Missing) > 0 {
		amiss = append(amiss, "without "+strings.Join(c.Missing, ", "))
	}
	if c.SkewKnown && c.Skew != 0 {
		amiss = append(amiss, "clock "+c.Skew.String())
	}
	if c.Lost > 0 {
		amiss = append(amiss, fmt.Sprintf("%d lost", c.Lost))
	}
	amiss = append(amiss, c.Notes...)
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s", orDash(safeText(c.Zone)), orDash(safeText(c.Server)), safeText(string(c.Kind)), safeText(state),
		c.Seen, safeText(expected), utcSecond(c.Last), len(c.Gaps), safeText(strings.Join(amiss, "; ")))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// coveragePrinter writes lines and tables until the first error.
type coveragePrinter struct {
	w   io.Writer
	err error
}

func (p *coveragePrinter) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table prints n rows below a heading, after an empty line; nothing for no rows.
func (p *coveragePrinter) table(head string, n int, row func(int) string) {
	if p.err != nil || n == 0 {
		return
	}
	tw := tabwriter.NewWriter(p.w, 0, 4, 2, ' ', 0)
	_, err := fmt.Fprintf(tw, "\n%s\n", head)
	for i := 0; i < n && err == nil; i++ {
		_, err = fmt.Fprintln(tw, row(i))
	}
	p.err = errors.Join(err, tw.Flush())
}
