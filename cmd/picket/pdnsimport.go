package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
)

// sightingImporter takes sightings in bulk: next is called until it returns none.
// All of them count, or none.
type sightingImporter interface {
	ImportSightings(ctx context.Context, next func() ([]picket.Sighting, error)) (int64, error)
}

func pdnsImportCommand(std streams) *cobra.Command {
	var read readFlags
	var config string
	cmd := &cobra.Command{
		Use:   "import [flags] FILE...",
		Short: "Take files of passive DNS or certificates into the store",
		Long: `Import takes files of passive DNS or certificate logs ("-" is standard input) into
the store in bulk. Each file counts as a whole or not at all; a file imported twice
counts twice. The daemon must not run: while it does, name the files as an input with
file: in its configuration, which takes each record once.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := read.options()
			if err != nil {
				return err
			}
			cfg, err := loadConfig(config)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			return pdnsImport(cmd.Context(), std, cfg, read.format, opt, args)
		},
	}
	read.flags(cmd.Flags())
	cmd.Flags().StringVarP(&config, "config", "c", "picket.yaml", "configuration file")
	return cmd
}

func pdnsImport(ctx context.Context, std streams, cfg config, format string, opt decode.Options, files []string) error {
	s, err := duckdb.Open(ctx, duckdb.Options{Dir: cfg.DataDir})
	if errors.Is(err, duckdb.ErrLocked) {
		return &exitError{exitSome, fmt.Errorf("pdns import: picket is running on %s; name the files as an input in its configuration instead:\n  inputs:\n    - file: %s", cfg.DataDir, files[0])}
	}
	if err != nil {
		return &exitError{exitSome, err}
	}
	failed := false
	for _, name := range files {
		if err := importFile(ctx, std, s, format, opt, name); err != nil {
			failed = true
			fmt.Fprintf(std.err, "pdns import: %s: %s\n", safeText(name), safeText(err.Error()))
		}
	}
	if err := s.Close(); err != nil {
		return &exitError{exitSome, err}
	}
	if failed {
		return &exitError{code: exitSome}
	}
	return nil
}

// importFile imports one file and says what became of it.
func importFile(ctx context.Context, std streams, store sightingImporter, format string, opt decode.Options, name string) error {
	r, size, shut, err := openInput(name, std.in)
	if err != nil {
		return err
	}
	defer shut()
	bar := startProgress(std.err, name, size)
	defer bar.stop()
	f, in, err := input.Open(bar.reader(r), format)
	if err != nil {
		return err
	}
	if f.Kind != picket.KindSighting {
		return fmt.Errorf("is %s, which is no passive DNS and no certificates: picket inspect says more", f.Title)
	}
	acct := input.NewCounter()
	opt.Sensor = name
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sink := &importSink{ctx: ctx, batches: make(chan []picket.Sighting, 1), free: make(chan []picket.Sighting, 3)}
	done := make(chan error, 1)
	go func() {
		err := f.Decode(ctx, in, opt, acct, sink)
		if err == nil {
			err = sink.send()
		}
		done <- err
		close(sink.batches)
	}()
	var batch []picket.Sighting
	n, err := store.ImportSightings(ctx, func() ([]picket.Sighting, error) {
		if batch != nil {
			sink.free <- batch // there are never more than it holds
		}
		var ok bool
		if batch, ok = <-sink.batches; ok {
			return batch, nil
		}
		err := <-done
		done <- err
		return nil, err
	})
	cancel(err)
	for range sink.batches { // the decoder may be at its last batch
	}
	if err != nil {
		return err
	}
	seen := acct.Snapshot()
	fmt.Fprintf(std.out, "%s: %s: %d sightings, %d records rejected\n", safeText(name), f.Name, n, input.Total(seen.Rejected))
	for _, reason := range seen.Rejected {
		fmt.Fprintf(std.err, "pdns import: %s: %d × %s, first at %s\n", safeText(name), reason.Count, reason.Reason, place(reason.First.Line, reason.First.Offset))
	}
	return nil
}

// importBatch is how many sightings are handed over at once.
const importBatch = 10_000

// importSink hands a decoder's sightings on in batches.
type importSink struct {
	onlySightings
	ctx     context.Context
	batch   []picket.Sighting
	batches chan []picket.Sighting
	free    chan []picket.Sighting // batches that have been read
}

// Sighting implements picket.SightingSink.
func (s *importSink) Sighting(v *picket.Sighting) error {
	if s.batch == nil {
		select {
		case have := <-s.free:
			s.batch = have[:0]
		default:
			s.batch = make([]picket.Sighting, 0, importBatch)
		}
	}
	if s.batch = append(s.batch, *v); len(s.batch) == importBatch {
		return s.send()
	}
	return nil
}

func (s *importSink) send() error {
	if len(s.batch) == 0 {
		return nil
	}
	select {
	case s.batches <- s.batch:
		s.batch = nil
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// onlySightings is what a sink for sightings makes of all else: nothing comes.
type onlySightings struct{}

func (onlySightings) Query(*picket.Query) error           { return nil }
func (onlySightings) Record(*picket.Record) error         { return nil }
func (onlySightings) AdminEvent(*picket.AdminEvent) error { return nil }
func (onlySightings) Asset(*picket.Asset) error           { return nil }
func (onlySightings) Signal(*picket.Signal) error         { return nil }
