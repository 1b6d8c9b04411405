package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// findingsOptions are the flags of picket findings.
type findingsOptions struct {
	config, output string
	filter         picket.FindingFilter
	severity       string
	since, until   string
}

func findingsCommand(std streams) *cobra.Command {
	var opt findingsOptions
	cmd := &cobra.Command{
		Use:   "findings [flags] [ID]",
		Short: "List the findings that are stored, or show one",
		Long: `Findings lists what picket run has stored, newest first, or shows the finding with
the given id. While the daemon runs it is asked; otherwise the store is opened.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return findings(cmd.Context(), std, opt, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.config, "config", "c", "picket.yaml", "configuration file")
	f.StringVarP(&opt.output, "output", "o", "table", "output: table or ndjson")
	f.StringVar(&opt.filter.Zone, "zone", "", "only this zone")
	f.StringVar(&opt.filter.Detector, "detector", "", "only this detector")
	f.StringVar(&opt.severity, "min-severity", "informational", "this severity and above")
	f.StringVar(&opt.since, "since", "", "only findings last seen at or after this time (RFC 3339)")
	f.StringVar(&opt.until, "until", "", "only findings last seen before this time (RFC 3339)")
	f.IntVar(&opt.filter.Limit, "limit", 100, "at most so many")
	return cmd
}

func findings(ctx context.Context, std streams, opt findingsOptions, args []string) error {
	if opt.output != "table" && opt.output != "ndjson" {
		return usageError("findings: -o %q: want table or ndjson", opt.output)
	}
	if err := opt.filter.MinSeverity.UnmarshalText([]byte(opt.severity)); err != nil {
		return usageError("findings: --min-severity %q: want informational, low, medium, high or critical", opt.severity)
	}
	for _, bound := range []struct {
		flag, text string
		dst        *time.Time
	}{{"--since", opt.since, &opt.filter.Since}, {"--until", opt.until, &opt.filter.Until}} {
		if bound.text == "" {
			continue
		}
		t, err := timeFlag("findings", bound.flag, bound.text)
		if err != nil {
			return err
		}
		*bound.dst = t
	}
	if z := opt.filter.Zone; z != "" && z[len(z)-1] != '.' {
		opt.filter.Zone += "."
	}
	cfg, err := loadConfig(opt.config)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	q, shut, err := openFindings(ctx, cfg)
	if err != nil {
		return &exitError{exitSome, err}
	}
	defer shut()
	if len(args) == 1 {
		f, err := q.Finding(ctx, args[0])
		if err != nil {
			return &exitError{exitSome, err}
		}
		return printFindings(std.out, opt.output, []picket.StoredFinding{*f}, true)
	}
	list, total, err := q.Findings(ctx, opt.filter)
	if err != nil {
		return &exitError{exitSome, err}
	}
	if err := printFindings(std.out, opt.output, list, false); err != nil {
		return err
	}
	fmt.Fprintf(std.err, "findings: %d of %d\n", len(list), total)
	return nil
}

// openFindings opens the store, or the running daemon's API when it holds the store.
func openFindings(ctx context.Context, cfg config) (picket.FindingQuerier, func(), error) {
	s, err := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: cfg.DataDir})
	if err == nil {
		return s, func() { s.Close() }, nil
	}
	if !errors.Is(err, duckdb.ErrLocked) {
		return nil, nil, err
	}
	return &apiFindings{base: "http://" + cfg.Listen, client: &http.Client{Timeout: 30 * time.Second}}, func() {}, nil
}

// apiFindings reads findings from a running daemon. It implements picket.FindingQuerier.
type apiFindings struct {
	base   string
	client *http.Client
}

func (a *apiFindings) get(ctx context.Context, path string, dst any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running daemon: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return picket.ErrNotFound
	default:
		return fmt.Errorf("ask the running daemon: %s: %s", a.base+path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(dst); err != nil {
		return fmt.Errorf("read the running daemon's answer: %w", err)
	}
	return nil
}

// apiPage is how many findings the API gives at once.
const apiPage = 1000

// Findings implements picket.FindingQuerier.
func (a *apiFindings) Findings(ctx context.Context, f picket.FindingFilter) (list []picket.StoredFinding, total int, err error) {
	v := url.Values{"min_severity": {f.MinSeverity.String()}}
	for key, s := range map[string]string{"zone": f.Zone, "detector": f.Detector} {
		if s != "" {
			v.Set(key, s)
		}
	}
	for key, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			v.Set(key, t.Format(time.RFC3339))
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	for {
		v.Set("limit", strconv.Itoa(min(limit-len(list), apiPage)))
		v.Set("offset", strconv.Itoa(f.Offset+len(list)))
		var page struct {
			Findings []picket.StoredFinding `json:"findings"`
			Total    int                    `json:"total"`
		}
		if err := a.get(ctx, "/api/findings?"+v.Encode(), &page); err != nil {
			return nil, 0, err
		}
		list = append(list, page.Findings...)
		if len(page.Findings) == 0 || len(list) >= limit {
			return list, page.Total, nil
		}
	}
}

// Finding implements picket.FindingQuerier.
func (a *apiFindings) Finding(ctx context.Context, id string) (*picket.StoredFinding, error) {
	var f picket.StoredFinding
	if err := a.get(ctx, "/api/findings/"+url.PathEscape(id), &f); err != nil {
		return nil, fmt.Errorf("finding %s: %w", id, err)
	}
	return &f, nil
}

// FindingsRevision implements picket.FindingQuerier.
func (a *apiFindings) FindingsRevision(ctx context.Context) (int64, error) {
	list, _, err := a.Findings(ctx, picket.FindingFilter{Limit: 1})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Revision, nil
}

func printFindings(w io.Writer, output string, list []picket.StoredFinding, full bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if output == "ndjson" || full {
		if full && output == "table" {
			enc.SetIndent("", "  ")
		}
		for i := range list {
			if err := enc.Encode(&list[i]); err != nil {
				return &exitError{exitSome, fmt.Errorf("write: %w", err)}
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tSEVERITY\tDETECTOR\tZONE\tSOURCE\tLAST SEEN\tQUERIES\tSTATE")
	for _, f := range list {
		state := "closed"
		if f.Open {
			state = "open"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", f.ID, f.Severity, f.Detector, f.Zone, sourceText(f.Source),
			f.LastSeen.UTC().Format("2006-01-02T15:04:05Z"), f.Queries, state)
	}
	return tw.Flush()
}

// sourceText is a finding's source in a table.
func sourceText(s picket.Source) string {
	if s.Prefix == "" {
		return "(whole zone)"
	}
	return s.Prefix
}
