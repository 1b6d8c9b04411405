package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/transport"
)

func inspectCommand(std streams) *cobra.Command {
	var read readFlags
	var output string
	cmd := &cobra.Command{
		Use:   "inspect [flags] FILE...",
		Short: "Say what Picket makes of a file",
		Long: `Inspect reads files ("-" is standard input) and prints for each its format, kind of
telemetry, how many records were accepted and rejected and why, the span of time and
the first three records. An unknown or broken file is a row with an error. A folder
that is a git repository is read as the change history of the records in it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspect(cmd.Context(), std, read, output, args)
		},
	}
	f := cmd.Flags()
	read.flags(f)
	f.StringVarP(&output, "output", "o", "table", "output: table or ndjson")
	return cmd
}

func inspect(ctx context.Context, std streams, read readFlags, output string, files []string) error {
	if output != "table" && output != "ndjson" {
		return usageError("inspect: -o %q: want table or ndjson", output)
	}
	opt, err := read.options()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(std.out)
	enc.SetEscapeHTML(false)
	failed := false
	for i, name := range files {
		row := inspectOne(ctx, std, read.format, opt, name)
		failed = failed || row.Error != ""
		if output == "ndjson" {
			if err := enc.Encode(row); err != nil {
				return &exitError{exitSome, fmt.Errorf("write: %w", err)}
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		if err := inspectTable(std, row); err != nil {
			return &exitError{exitSome, fmt.Errorf("write: %w", err)}
		}
	}
	if failed {
		return &exitError{code: exitSome}
	}
	return nil
}

func inspectOne(ctx context.Context, std streams, format string, opt decode.Options, name string) input.Inspection {
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return inspectHistory(ctx, format, opt, name)
	}
	r, size, shut, err := openInput(name, std.in)
	if err != nil {
		return input.Inspection{File: name, Reasons: map[string]input.Reason{}, Sample: []json.RawMessage{}, Error: err.Error()}
	}
	defer shut()
	bar := startProgress(std.err, name, size)
	defer bar.stop()
	return input.Inspect(ctx, name, bar.reader(r), format, opt)
}

// inspectHistory inspects a folder, which has to be a git repository.
func inspectHistory(ctx context.Context, format string, opt decode.Options, dir string) input.Inspection {
	return input.InspectBy(dir, opt, func(opt decode.Options, acct picket.Accounting, sink picket.Sink) (input.Format, error) {
		var failed error
		h := &gitHistory{
			ctx: ctx, format: format, use: func(input.Format) {}, done: func(*transport.GitCommit) error { return nil },
			options: func(name string) decode.Options { o := opt; o.Name = name; return o },
			sink:    func() gitSink { return accountedSink{acct, sink} },
			fail:    func(err error) { failed = errors.Join(failed, err) },
		}
		_, err := transport.Git(ctx, transport.GitConfig{Path: dir}, h)
		return input.Format{Name: "git-history", Kind: picket.KindRecord}, errors.Join(err, failed)
	})
}

type accountedSink struct {
	picket.Accounting
	picket.RecordSink
}

func inspectTable(std streams, row input.Inspection) error {
	tw := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "file\t%s\n", row.File)
	if row.Format != "" {
		fmt.Fprintf(tw, "format\t%s (%s)\n", row.Format, row.Kind)
		fmt.Fprintf(tw, "accepted\t%d\n", row.Accepted)
		fmt.Fprintf(tw, "rejected\t%d\n", row.Rejected)
		for _, reason := range sortedKeys(row.Reasons) {
			r := row.Reasons[reason]
			at := place(r.Line, 0)
			if r.Offset != nil {
				at = place(0, *r.Offset)
			}
			fmt.Fprintf(tw, "\t%d × %s, first at %s\n", r.Count, reason, at)
		}
		if !row.FirstSeen.IsZero() {
			fmt.Fprintf(tw, "first seen\t%s\nlast seen\t%s\n", row.FirstSeen.UTC().Format("2006-01-02T15:04:05.000Z"), row.LastSeen.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		for _, note := range row.Notes {
			fmt.Fprintf(tw, "note\t%s\n", note)
		}
		for _, s := range row.Sample {
			fmt.Fprintf(tw, "sample\t%s\n", bytes.TrimSpace(s))
		}
	}
	if row.Error != "" {
		fmt.Fprintf(tw, "error\t%s\n", row.Error)
	}
	return tw.Flush()
}
