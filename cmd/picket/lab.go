package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab"
)

func labCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{Use: "lab", Short: "Make traffic whose truth is known, and measure how well reconnaissance is found in it"}
	cmd.AddCommand(labCaptureCommand(std), labReplayCommand(std), labJudgeCommand(std), labSimulateCommand(std))
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

// replayOptions are the flags of lab replay.
type replayOptions struct {
	to    string
	speed float64
	gap   time.Duration
	wait  time.Duration
}

func labReplayCommand(std streams) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay --to unix:PATH|tcp:ADDR FILE...",
		Short: "Send captured telemetry to an input as if it happened now",
		Long: `Replay decodes files, stamps their queries with the present and sends them, as
Picket's own JSON lines, to a listening input of picket run. Each file begins --gap
after the one before; a file given as FILE@0s begins at the given time instead.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return labReplay(cmd.Context(), std, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "where an input listens: unix:PATH or tcp:HOST:PORT")
	f.Float64Var(&o.speed, "speed", 1, "2 halves all pauses")
	f.DurationVar(&o.gap, "gap", 0, "pause between the beginnings of the files")
	f.DurationVar(&o.wait, "wait", 10*time.Second, "how long to wait for the input to listen")
	return cmd
}

func labReplay(ctx context.Context, std streams, o replayOptions, args []string) error {
	network, addr, ok := strings.Cut(o.to, ":")
	if !ok || network != "unix" && network != "tcp" {
		return usageError("lab replay: --to %q: want unix:PATH or tcp:HOST:PORT", o.to)
	}
	var tracks []*lab.Track
	next := time.Duration(0)
	for _, arg := range args {
		path, begin := arg, next
		if i := strings.LastIndexByte(arg, '@'); i >= 0 {
			if d, err := time.ParseDuration(arg[i+1:]); err == nil {
				path, begin = arg[:i], d
			}
		}
		if begin == next {
			next += o.gap
		}
		t := &lab.Track{Name: filepath.Base(path), Begin: begin}
		if err := readTrack(ctx, std, path, t); err != nil {
			return &exitError{exitSome, err}
		}
		tracks = append(tracks, t)
	}
	conn, err := dialWait(ctx, network, addr, o.wait)
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("lab replay: %w", err)}
	}
	defer conn.Close()
	n, err := lab.Replay(ctx, conn, tracks, lab.ReplayOptions{Speed: o.speed, Encode: query.AppendNDJSON,
		Started: func(t *lab.Track) { fmt.Fprintf(std.err, "replay: %s (%d queries)\n", t.Name, len(t.Queries)) }})
	fmt.Fprintf(std.err, "replay: sent %d queries\n", n)
	if err != nil && !errors.Is(err, context.Canceled) {
		return &exitError{exitSome, err}
	}
	return nil
}

func readTrack(ctx context.Context, std streams, path string, t *lab.Track) error {
	r, _, shut, err := openInput(path, std.in)
	if err != nil {
		return err
	}
	defer shut()
	if _, err := input.DecodeQueries(ctx, r, input.Auto, decode.Options{}, input.NewCounter(), t); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// dialWait connects, trying again until somebody listens or wait is over.
func dialWait(ctx context.Context, network, addr string, wait time.Duration) (net.Conn, error) {
	end := time.Now().Add(wait)
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, network, addr)
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
