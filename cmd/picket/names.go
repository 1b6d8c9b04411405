package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
)

// namesOptions are the flags of picket names.
type namesOptions struct {
	historyFlags
	living bool
}

func namesCommand(std streams) *cobra.Command {
	var opt namesOptions
	cmd := &cobra.Command{
		Use:   "names [flags] NAME",
		Short: "Show since when and until when a name's records were there",
		Long: `Names shows the life lines of a name: for each record since when it was there, until
when, and by which source that is known. A time with "before" in front is that of the
source's first look: the record was there already. With --below the names below are
shown too. While the daemon runs it is asked; otherwise the store is opened.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return names(cmd.Context(), std, opt, args[0])
		},
	}
	f := cmd.Flags()
	opt.flags(f, "life lines")
	f.BoolVar(&opt.living, "living", false, "only records that are there now")
	f.StringVar(&opt.since, "since", "", "only records that were not gone yet by this time (RFC 3339)")
	f.StringVar(&opt.until, "until", "", "only records that were there already by this time (RFC 3339)")
	return cmd
}

func names(ctx context.Context, std streams, opt namesOptions, name string) error {
	v, err := opt.query("names")
	if err != nil {
		return err
	}
	if opt.living {
		v.Set("living", "true")
	}
	api, shut, err := openConfiguredAPI(ctx, opt.config)
	if err != nil {
		return err
	}
	defer shut()
	var list []picket.RecordLife
	total := int64(0)
	for {
		var page struct {
			Lives []picket.RecordLife `json:"lives"`
			Total int64               `json:"total_lives"`
		}
		v.Set("limit", strconv.Itoa(min(opt.limit-len(list), apiPage)))
		v.Set("offset", strconv.Itoa(len(list)))
		if err := api.get(ctx, "/api/names/"+url.PathEscape(name)+"?"+v.Encode(), &page); err != nil {
			return &exitError{exitSome, err}
		}
		list, total = append(list, page.Lives...), page.Total
		if len(page.Lives) == 0 || len(list) >= opt.limit {
			break
		}
	}
	if err := printLives(std.out, opt.output, list); err != nil {
		return &exitError{exitSome, fmt.Errorf("write: %w", err)}
	}
	fmt.Fprintf(std.err, "names: %d of %d life lines\n", len(list), total)
	return nil
}

func printLives(w io.Writer, output string, list []picket.RecordLife) error {
	if output == "ndjson" {
		return eachLine(w, list)
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tTYPE\tDATA\tSINCE\tUNTIL\tSOURCE\tHOW\tDOCUMENT")
	for i := range list {
		l := &list[i]
		since, until := tableTime(l.Since), "there now"
		if !l.Began {
			since = "before " + since
		}
		if !l.Until.IsZero() {
			until = tableTime(l.Until)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(l.Name), cell(l.Type), cell(l.Data), since, until, cell(l.Source), cell(l.Method), cell(l.Scope))
	}
	return tw.Flush()
}
