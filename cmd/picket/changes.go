package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/picket-dns/picket"
)

// historyFlags are the flags that picket changes and picket names share.
type historyFlags struct {
	config, output string
	typ, source    string
	since, until   string
	below, churn   bool
	limit          int
}

func (o *historyFlags) flags(f *pflag.FlagSet, what string) {
	f.StringVarP(&o.config, "config", "c", "picket.yaml", "configuration file")
	f.StringVarP(&o.output, "output", "o", "table", "output: table or ndjson")
	f.BoolVar(&o.below, "below", false, "and every name below it")
	f.StringVar(&o.typ, "type", "", "only this record type")
	f.StringVar(&o.source, "source", "", "only what this input says")
	f.BoolVar(&o.churn, "churn", false, "with what DNSSEC and serials change by themselves")
	f.IntVar(&o.limit, "limit", 100, "at most so many "+what)
}

// query checks the flags and returns the API's parameters.
func (o *historyFlags) query(command string) (url.Values, error) {
	if o.output != "table" && o.output != "ndjson" {
		return nil, usageError("%s: -o %q: want table or ndjson", command, o.output)
	}
	if o.limit < 1 {
		return nil, usageError("%s: --limit %d: want a number from 1 on", command, o.limit)
	}
	v := url.Values{}
	for _, bound := range []struct{ flag, key, text string }{{"--since", "since", o.since}, {"--until", "until", o.until}} {
		if bound.text == "" {
			continue
		}
		t, err := timeFlag(command, bound.flag, bound.text)
		if err != nil {
			return nil, err
		}
		v.Set(bound.key, t.Format(time.RFC3339Nano))
	}
	for key, text := range map[string]string{"type": o.typ, "source": o.source} {
		if text != "" {
			v.Set(key, text)
		}
	}
	for key, on := range map[string]bool{"below": o.below, "churn": o.churn} {
		if on {
			v.Set(key, "true")
		}
	}
	return v, nil
}

// changesOptions are the flags of picket changes.
type changesOptions struct {
	historyFlags
	zone, name string
}

func changesCommand(std streams) *cobra.Command {
	var opt changesOptions
	cmd := &cobra.Command{
		Use:   "changes [flags]",
		Short: "List what has changed in zones, old values beside new ones",
		Long: `Changes lists what zone transfers, zone files, repositories and exports have shown to
change in zones, newest first: old values, new values, serials, who and why where the
source says. What DNSSEC and serials change by themselves is folded away unless asked
for with --churn. While the daemon runs it is asked; otherwise the store is opened.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changes(cmd.Context(), std, opt)
		},
	}
	f := cmd.Flags()
	opt.flags(f, "changes")
	f.StringVar(&opt.zone, "zone", "", "only this zone")
	f.StringVar(&opt.name, "name", "", "only this name")
	f.StringVar(&opt.since, "since", "", "only changes at or after this time (RFC 3339)")
	f.StringVar(&opt.until, "until", "", "only changes before this time (RFC 3339)")
	return cmd
}

func changes(ctx context.Context, std streams, opt changesOptions) error {
	v, err := opt.query("changes")
	if err != nil {
		return err
	}
	if opt.below && opt.name == "" {
		return usageError("changes: --below says below what only together with --name")
	}
	for key, text := range map[string]string{"zone": opt.zone, "name": opt.name} {
		if text != "" {
			v.Set(key, text)
		}
	}
	api, shut, err := openConfiguredAPI(ctx, opt.config)
	if err != nil {
		return err
	}
	defer shut()
	var list []picket.RecordChange
	total := int64(0)
	for {
		var page struct {
			Changes []picket.RecordChange `json:"changes"`
			Total   int64                 `json:"total"`
		}
		v.Set("limit", strconv.Itoa(min(opt.limit-len(list), apiPage)))
		v.Set("offset", strconv.Itoa(len(list)))
		if err := api.get(ctx, "/api/changes?"+v.Encode(), &page); err != nil {
			return &exitError{exitSome, err}
		}
		list, total = append(list, page.Changes...), page.Total
		if len(page.Changes) == 0 || len(list) >= opt.limit {
			break
		}
	}
	if err := printChanges(std.out, opt.output, list); err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	fmt.Fprintf(std.err, "changes: %d of %d\n", len(list), total)
	return nil
}

func printChanges(w io.Writer, output string, list []picket.RecordChange) error {
	if output == "ndjson" {
		return eachLine(w, list)
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME\tZONE\tNAME\tTYPE\tOLD -> NEW\tSERIAL\tSOURCE\tWHO")
	for i := range list {
		c := &list[i]
		serial := "-"
		if c.HasSerial {
			serial = strconv.FormatUint(uint64(c.SerialTo), 10)
			if c.SerialFrom != c.SerialTo && c.SerialFrom != 0 {
				serial = fmt.Sprintf("%d -> %d", c.SerialFrom, c.SerialTo)
			}
		}
		who := cell(c.Author)
		if c.Commit != "" {
			who = strings.TrimPrefix(who+" ", "- ") + cell(c.Commit[:min(len(c.Commit), 12)])
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s -> %s\t%s\t%s\t%s\n", tableTime(c.Time), cell(c.Zone), cell(c.Name), cell(c.Type),
			values(c.Old), values(c.New), serial, cell(c.Source), who)
	}
	return tw.Flush()
}

// eachLine writes a list as NDJSON, in US-ASCII.
func eachLine[T any](w io.Writer, list []T) error {
	for i := range list {
		if err := writeASCII(w, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// cellMost is how much of a value a table shows; NDJSON has it whole.
const cellMost = 72

// cell is text in a table: names and values of records come from whoever wrote the
// zone, so that all but printable US-ASCII is shown as \DDD (RFC 1035 §5.1).
func cell(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if b.Len() >= cellMost {
			b.WriteString("...")
			break
		}
		if s[i] < 0x20 || s[i] > 0x7e {
			fmt.Fprintf(&b, `\%03d`, s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return cmp.Or(b.String(), "-")
}

// values are one side of a change.
func values(list []string) string {
	const most = 3
	var out []string
	for i, v := range list {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		out = append(out, cell(v))
	}
	return cmp.Or(strings.Join(out, ", "), "(none)")
}

// tableTime is a time in a table.
func tableTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
