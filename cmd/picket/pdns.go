package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/web"
)

// pdnsOptions are the flags of picket pdns.
type pdnsOptions struct {
	config, output          string
	data, network           string
	typ, bailiwick, channel string
	since, until            string
	firstAfter, firstBefore string
	lastAfter, lastBefore   string
	limit                   int
	count                   bool
}

func pdnsCommand(std streams) *cobra.Command {
	var opt pdnsOptions
	cmd := &cobra.Command{
		Use:   "pdns [flags] [NAME | '*.NAME' | ADDRESS | PREFIX]",
		Short: "Ask the organisation's own passive DNS",
		Long: `Pdns lists what has been seen of names: what the own name servers have answered, and
what passive DNS databases and certificate logs that were imported have. One row is
one name, type and RDATA: when it was first and last seen, and how often. *.NAME is
NAME and everything below it. An address or a prefix, as argument or with --net, finds
the names that led there; --data finds the names that led to a name.

While the daemon runs it is asked; otherwise the store is opened.`,
		Example: `  picket pdns www.example.com
  picket pdns '*.example.com' --type CNAME --last-after 2026-01-01T00:00:00Z
  picket pdns --data '*.cdn.example' -o cof
  picket pdns 192.0.2.0/24 --count`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return pdns(cmd.Context(), std, opt, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.config, "config", "c", "picket.yaml", "configuration file")
	f.StringVarP(&opt.output, "output", "o", "table", "output: table, ndjson, or cof for the Common Output Format")
	f.StringVar(&opt.data, "data", "", "only this RDATA; *.NAME for RDATA that is NAME or below it")
	f.StringVar(&opt.network, "net", "", "only RDATA that is this address or in this prefix")
	f.StringVar(&opt.typ, "type", "", "only this record type")
	f.StringVar(&opt.bailiwick, "bailiwick", "", "only answers of this zone's servers")
	f.StringVar(&opt.channel, "channel", "", "only passive-dns or certificate")
	f.StringVar(&opt.since, "since", "", "only what was seen at or after this time (RFC 3339); the same as --last-after")
	f.StringVar(&opt.until, "until", "", "only what was seen at or before this time (RFC 3339); the same as --first-before")
	f.StringVar(&opt.firstAfter, "first-after", "", "only what was first seen at or after this time")
	f.StringVar(&opt.firstBefore, "first-before", "", "only what was first seen at or before this time")
	f.StringVar(&opt.lastAfter, "last-after", "", "only what was last seen at or after this time")
	f.StringVar(&opt.lastBefore, "last-before", "", "only what was last seen at or before this time")
	f.IntVar(&opt.limit, "limit", 1000, "at most so many")
	f.BoolVar(&opt.count, "count", false, "say only how many there are and how often they were seen")
	cmd.AddCommand(pdnsImportCommand(std))
	return cmd
}

// query checks the flags and returns the API's parameters.
func (o *pdnsOptions) query(args []string) (url.Values, error) {
	if o.output != "table" && o.output != "ndjson" && o.output != "cof" {
		return nil, usageError("pdns: -o %q: want table, ndjson or cof", o.output)
	}
	if o.limit < 1 {
		return nil, usageError("pdns: --limit %d: want a number from 1 on", o.limit)
	}
	if o.since != "" && o.lastAfter != "" || o.until != "" && o.firstBefore != "" {
		return nil, usageError("pdns: --since is --last-after and --until is --first-before: give one of them")
	}
	v := url.Values{}
	if len(args) == 1 {
		if !isNet(args[0]) {
			v.Set("name", args[0])
		} else if o.network == "" {
			v.Set("net", args[0])
		} else {
			return nil, usageError("pdns: give either %s or --net", args[0])
		}
	}
	for key, text := range map[string]string{"data": o.data, "net": o.network, "type": o.typ, "bailiwick": o.bailiwick, "channel": o.channel} {
		if text != "" {
			v.Set(key, text)
		}
	}
	if len(v) == 0 {
		return nil, usageError("pdns: ask for a name, an address, --data or --net; '*.' stands for every name")
	}
	for _, fence := range []struct{ flag, key, text string }{
		{"--since", "last_after", o.since}, {"--until", "first_before", o.until},
		{"--first-after", "first_after", o.firstAfter}, {"--first-before", "first_before", o.firstBefore},
		{"--last-after", "last_after", o.lastAfter}, {"--last-before", "last_before", o.lastBefore},
	} {
		if fence.text == "" {
			continue
		}
		t, err := timeFlag("pdns", fence.flag, fence.text)
		if err != nil {
			return nil, err
		}
		v.Set(fence.key, t.Format(time.RFC3339Nano))
	}
	return v, nil
}

// isNet reports whether an argument is an address or a prefix rather than a name.
func isNet(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return strings.Contains(s, "/")
}

// sightingPage is how many sightings are asked for at once.
const sightingPage = 10_000

func pdns(ctx context.Context, std streams, opt pdnsOptions, args []string) error {
	v, err := opt.query(args)
	if err != nil {
		return err
	}
	api, shut, err := openConfiguredAPI(ctx, opt.config)
	if err != nil {
		return err
	}
	defer shut()
	var total struct {
		Rows  int64 `json:"rows"`
		Count int64 `json:"count"`
	}
	if opt.count {
		if err := api.get(ctx, "/api/sightings/count?"+v.Encode(), &total); err != nil {
			return &exitError{exitSome, err}
		}
		if opt.output != "table" {
			return writeASCII(std.out, total)
		}
		fmt.Fprintf(std.out, "sightings  %d\nseen       %d\n", total.Rows, total.Count)
		return nil
	}
	p := newSightingPrinter(std.out, opt.output)
	shown := 0
	for shown < opt.limit {
		var page struct {
			Sightings []picket.Sighting `json:"sightings"`
		}
		ask := min(opt.limit-shown, sightingPage)
		v.Set("limit", strconv.Itoa(ask))
		v.Set("offset", strconv.Itoa(shown))
		if err := api.get(ctx, "/api/sightings?"+v.Encode(), &page); err != nil {
			return &exitError{exitSome, err}
		}
		for i := range page.Sightings {
			if err := p.print(&page.Sightings[i]); err != nil {
				return &exitError{exitSome, fmt.Errorf("write: %w", err)}
			}
		}
		if shown += len(page.Sightings); len(page.Sightings) < ask {
			break
		}
	}
	if err := p.flush(); err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	more := ""
	if shown == opt.limit {
		more = "; there may be more: raise --limit"
	}
	fmt.Fprintf(std.err, "pdns: %d sightings%s\n", shown, more)
	return nil
}

// sightingPrinter writes sightings.
type sightingPrinter struct {
	output string
	w      io.Writer
	tw     *tabwriter.Writer
}

func newSightingPrinter(w io.Writer, output string) *sightingPrinter {
	p := &sightingPrinter{output: output, w: w, tw: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	if output == "table" {
		fmt.Fprintln(p.tw, "NAME\tTYPE\tRDATA\tFIRST SEEN\tLAST SEEN\tCOUNT\tBY")
	}
	return p
}

func (p *sightingPrinter) print(v *picket.Sighting) error {
	switch p.output {
	case "ndjson":
		return writeASCII(p.w, v)
	case "cof":
		return writeASCII(p.w, web.COF(v))
	}
	first, last := v.FirstSeen, v.LastSeen
	if first.IsZero() && last.IsZero() {
		first, last = v.ZoneFirst, v.ZoneLast
	}
	by := v.SensorID
	if v.Origin != "" {
		by = strings.TrimSpace(v.Origin + " " + v.SensorID)
	}
	typ := v.Type
	if v.Channel == picket.SightingCertificate {
		typ, by = "(certificate)", v.Issuer
	}
	_, err := fmt.Fprintf(p.tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", safeText(v.Name), safeText(typ), safeText(strings.Join(v.Data, " | ")),
		seenText(first), seenText(last), v.Count, safeText(by))
	return err
}

func (p *sightingPrinter) flush() error { return p.tw.Flush() }

// seenText is a time in a table, to the second.
func seenText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
