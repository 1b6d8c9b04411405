package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/lab"
)

func labCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{Use: "lab", Short: "Make traffic for tests, benchmarks and demonstrations"}
	cmd.AddCommand(labCaptureCommand(std))
	return cmd
}

func labCaptureCommand(std streams) *cobra.Command {
	var o lab.CaptureOptions
	var out, zone string
	cmd := &cobra.Command{
		Use:   "capture [flags]",
		Short: "Write a generated packet capture, and the zone it asks",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := writeTo(std, out, func(w io.Writer) error { return lab.WriteCapture(w, o) }); err != nil {
				return &exitError{exitSome, err}
			}
			if zone == "" {
				return nil
			}
			if err := writeTo(std, zone, o.WriteZone); err != nil {
				return &exitError{exitSome, err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "-", "file to write; - is standard output")
	f.StringVar(&zone, "zone-output", "", "file to write the zone to")
	f.IntVar(&o.Queries, "queries", 1_000_000, "queries, each with its response")
	f.IntVar(&o.Sources, "sources", 20_000, "distinct client addresses")
	f.IntVar(&o.Names, "names", 300, "names in the zone")
	f.Float64Var(&o.Rate, "rate", 50_000, "queries a second of event time")
	f.BoolVar(&o.Uniform, "uniform", false, "every source asks as much as any other")
	f.Uint64Var(&o.Seed, "seed", 1, "same seed, same capture")
	return cmd
}

// writeTo has f write to a file, or to standard output for "-".
func writeTo(std streams, path string, f func(io.Writer) error) error {
	if path == "-" {
		return f(std.out)
	}
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := f(w); err != nil {
		w.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
