package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/lab/organisation"
	"github.com/picket-dns/picket/internal/lab/wire"
)

// simulateOptions are the flags of lab simulate.
type simulateOptions struct {
	cell    judge.Cell
	seed    uint64
	size    judge.Size
	format  string
	out     string
	zone    string
	retired string
	list    bool
}

func labSimulateCommand(std streams) *cobra.Command {
	o := simulateOptions{size: judge.Full()}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Write simulated traffic as a capture, dnstap or JSON lines",
		Long: `Simulate writes one run of the lab to a file: two hours of what reaches an
organisation's name servers, and then an adversary among it. The zone, and the
list of names that it no longer has, can be written beside it, so that

  picket lab simulate --tool massdns -o run.pcap --zone-output run.zone --retired-output run.txt
  picket scan --zone-file run.zone --retired run.txt run.pcap

judges it. Without a tool it is background alone.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return labSimulate(std, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.cell.Tool, "tool", "", "tool, evader or harmless set; --list names them")
	f.BoolVar(&o.list, "list", false, "list the tools and end")
	f.StringVar(&o.cell.Path, "path", "direct", `"direct", "1 resolver", "3 resolvers", "8 resolvers", "1,000 sources" or "10,000 sources"`)
	f.StringVar(&o.cell.Zone, "zone", "unsigned", `"unsigned", "NSEC", "NSEC3" or "wildcard"`)
	f.StringVar(&o.cell.List, "words", "own", `what is known: "own", "default", "110 k", "shuffled", "permutation", "passive DNS", "CT" or "hits"`)
	f.StringVar(&o.cell.Rate, "pace", "native", `"native", "10/s", "1/min" or "1/h"`)
	f.Uint64Var(&o.seed, "seed", 1, "same seed, same traffic")
	f.IntVar(&o.size.Names, "names", 2000, "names in the zone at most")
	f.Float64Var(&o.size.Rate, "rate", 0, "queries a second of the background; 0 draws it")
	f.IntVar(&o.size.Benign, "queries", 1_000_000, "queries of background alone")
	f.StringVar(&o.format, "format", "pcap", "pcap, dnstap or ndjson")
	f.StringVarP(&o.out, "output", "o", "-", "file to write; - is standard output")
	f.StringVar(&o.zone, "zone-output", "", "file to write the zone to")
	f.StringVar(&o.retired, "retired-output", "", "file to write the names to that the zone no longer has")
	return cmd
}

func labSimulate(std streams, o simulateOptions) error {
	if o.list {
		fmt.Fprintln(std.out, strings.Join(judge.Tools(), "\n"))
		return nil
	}
	o.size.Runs = 1
	plan, err := o.size.Single(o.cell, o.seed)
	if err != nil {
		return usageError("lab simulate: %v", err)
	}
	e, err := plan.Build()
	if err != nil {
		return usageError("lab simulate: %v", err)
	}
	write, err := writerOf(o.format, e)
	if err != nil {
		return err
	}
	var n wire.Written
	err = writeTo(std, o.out, func(w io.Writer) error {
		n, err = write(w, e.Traffic())
		return err
	})
	if err == nil && o.zone != "" {
		err = writeTo(std, o.zone, func(w io.Writer) error { return organisation.WriteZone(w, e.World.Zone) })
	}
	if err == nil && o.retired != "" {
		err = writeTo(std, o.retired, func(w io.Writer) error { return organisation.WriteRetired(w, e.World.Zone) })
	}
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("lab simulate: %w", err)}
	}
	fmt.Fprintf(std.err, "lab: %d queries about %s, %d left out\n", n.Queries, dnsname.String(e.World.Zone.Apex), n.LeftOut)
	return nil
}

// writerOf returns what writes a stream in a format.
func writerOf(format string, e *judge.Experiment) (func(io.Writer, lab.Stream) (wire.Written, error), error) {
	o := wire.Options{Zones: append([]*lab.Zone{e.World.Zone}, e.Reverse...), Identity: "lab"}
	switch format {
	case "pcap":
		return func(w io.Writer, s lab.Stream) (wire.Written, error) { return wire.Pcap(w, s, o) }, nil
	case "dnstap":
		return func(w io.Writer, s lab.Stream) (wire.Written, error) { return wire.Dnstap(w, s, o) }, nil
	case "ndjson":
		return func(w io.Writer, s lab.Stream) (wire.Written, error) { return wire.Text(w, s, query.AppendNDJSON) }, nil
	}
	return nil, usageError("lab simulate: --format %q: want pcap, dnstap or ndjson", format)
}
