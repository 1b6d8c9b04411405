package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/input"
)

func inspectCommand(std streams) *cobra.Command {
	var format, output, timezone string
	cmd := &cobra.Command{
		Use:   "inspect [flags] FILE...",
		Short: "Say what Picket makes of a file",
		Long: `Inspect reads files ("-" is standard input) and prints for each its format, kind of
telemetry, how many records were accepted and rejected and why, the span of time and
the first three records. An unknown or broken file is a row with an error.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspect(cmd.Context(), std, format, output, timezone, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "auto", "input format, or auto")
	f.StringVarP(&output, "output", "o", "table", "output: table or ndjson")
	f.StringVar(&timezone, "timezone", "", "time zone of logs that write local time without one, such as Europe/Vienna; UTC when not given")
	return cmd
}

func inspect(ctx context.Context, std streams, format, output, timezone string, files []string) error {
	if output != "table" && output != "ndjson" {
		return usageError("inspect: -o %q: want table or ndjson", output)
	}
	opt, err := decodeOptions(format, timezone)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(std.out)
	enc.SetEscapeHTML(false)
	failed := false
	for i, name := range files {
		var row input.Inspection
		r, size, shut, err := openInput(name, std.in)
		if err != nil {
			row = input.Inspection{File: name, Error: err.Error()}
		} else {
			bar := startProgress(std.err, name, size)
			row = input.Inspect(ctx, name, bar.reader(r), format, opt)
			bar.stop()
			shut()
		}
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
		for _, s := range row.Sample {
			fmt.Fprintf(tw, "sample\t%s\n", bytes.TrimSpace(s))
		}
	}
	if row.Error != "" {
		fmt.Fprintf(tw, "error\t%s\n", row.Error)
	}
	return tw.Flush()
}
