package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/lab/report"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// judgeOptions are the flags of lab judge.
type judgeOptions struct {
	full    bool
	blocks  []string
	tools   []string
	seeds   int
	bulk    int
	out     string
	floors  bool
	noRules bool
	workers int
	replay  string
}

func labJudgeCommand(std streams) *cobra.Command {
	var o judgeOptions
	cmd := &cobra.Command{
		Use:   "judge",
		Short: "Measure how well reconnaissance is found in simulated traffic",
		Long: `Judge runs simulated adversaries among simulated traffic and says what Picket, with
its tool-specific patterns and without, and the rules in use today found of them
and what they raised wrongly. It runs a small part of the matrix, which takes
minutes; --full runs all of it, which takes hours. docs/evaluation.md says how it is done.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return labJudge(cmd.Context(), std, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.full, "full", false, "the whole matrix, with 20 seeds a cell")
	f.StringSliceVar(&o.blocks, "block", nil, "only these blocks: "+strings.Join(judge.Blocks(), ", "))
	f.StringArrayVar(&o.tools, "tool", nil, "only this tool, evader or set; may be repeated")
	f.IntVar(&o.seeds, "seeds", 0, "seeds a cell; 0 is what the size says")
	f.IntVar(&o.bulk, "bulk", 0, "queries of the bulk block; 0 is what the size says")
	f.StringVar(&o.out, "out", "", "folder for results.md, runs.csv and the plots; without it the tables go to standard output")
	f.BoolVar(&o.floors, "floors", false, "exit 1 when a figure is below its floor")
	f.BoolVar(&o.noRules, "without-rules", false, "leave the rules in use out")
	f.StringVar(&o.replay, "replay", "", "manifest of a corpus of captures to replay into simulated traffic, in place of the matrix")
	f.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "runs at the same time")
	return cmd
}

func labJudge(ctx context.Context, std streams, o judgeOptions) error {
	size := judge.Quick()
	command := "picket lab judge"
	if o.full {
		size = judge.Full()
		command += " --full"
	}
	if o.seeds > 0 {
		size.Seeds, size.Runs = o.seeds, o.seeds
		command += fmt.Sprintf(" --seeds %d", o.seeds)
	}
	if o.bulk > 0 {
		size.Bulk = o.bulk
		command += fmt.Sprintf(" --bulk %d", o.bulk)
	}
	if len(o.blocks) > 0 {
		command += " --block " + strings.Join(o.blocks, ",")
	}
	if len(o.tools) > 0 {
		size.Tools = o.tools
		for _, t := range o.tools {
			command += fmt.Sprintf(" --tool %q", t)
		}
	}
	plans, err := size.Plans(o.blocks...)
	if err != nil {
		return usageError("lab judge: %v", err)
	}
	if o.replay != "" {
		command += " --replay " + o.replay
		recordings, err := loadRecordings(ctx, std, o.replay)
		if err != nil {
			return &exitError{exitSome, err}
		}
		plans = judge.Replays(recordings, &size)
	}
	if len(plans) == 0 {
		return usageError("lab judge: nothing to run: no tool of these blocks is called %s", strings.Join(o.tools, " or "))
	}
	all := rules.All()
	if o.noRules {
		all = nil
	}
	tally, speed, err := judgeAll(ctx, std.err, plans, all, o.workers)
	if err != nil {
		return &exitError{exitSome, fmt.Errorf("lab judge: %w", err)}
	}
	about := report.About{Command: command, Seeds: fmt.Sprintf("1 to %d", size.Seeds), Speed: speed, Workers: o.workers}
	if o.out != "" {
		err = report.Write(o.out, tally, about)
	} else {
		err = report.Markdown(std.out, tally, about)
	}
	if err != nil {
		return &exitError{exitSome, err}
	}
	if !o.floors {
		return nil
	}
	if below := judge.Below(tally); len(below) > 0 {
		return &exitError{exitSome, errors.New("lab judge: below the floor:\n  " + strings.Join(below, "\n  "))}
	}
	return nil
}

// longRun is from when on a run is named: whoever waits wants to know what for.
const longRun = 30 * time.Second

// judgeAll runs plans, some at the same time, and tallies their outcomes in order, so
// that the same plans give the same report. speed is the bulk runs' queries a second.
func judgeAll(ctx context.Context, progress io.Writer, plans []judge.Plan, list []rules.Rule, workers int) (tally *judge.Tally, speed float64, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	outcomes := make([][]judge.Outcome, len(plans))
	next := make(chan int)
	var work sync.WaitGroup
	var mu sync.Mutex
	done, began := 0, time.Now()
	var bulk struct {
		queries     int64
		first, last time.Time
	}
	for range max(workers, 1) {
		work.Go(func() {
			for i := range next {
				start := time.Now()
				out, err := judgeOne(&plans[i], list)
				if err != nil {
					stop(err)
					return
				}
				mu.Lock()
				outcomes[i] = out
				done++
				if plans[i].Cell.Block == judge.BlockBulk {
					if bulk.queries == 0 || start.Before(bulk.first) {
						bulk.first = start
					}
					bulk.queries, bulk.last = bulk.queries+out[0].Queries, time.Now()
				}
				if took := time.Since(start); took > longRun {
					fmt.Fprintf(progress, "lab: %s, seed %d took %v\n", plans[i].Cell, plans[i].Seed, took.Round(time.Second))
				}
				if done%20 == 0 || done == len(plans) {
					fmt.Fprintf(progress, "lab: %d of %d runs, %v\n", done, len(plans), time.Since(began).Round(time.Second))
				}
				mu.Unlock()
			}
		})
	}
feed:
	for i := range plans {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	work.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, 0, cause
	}
	tally = &judge.Tally{}
	for _, out := range outcomes {
		tally.Add(out)
	}
	if bulk.queries > 0 {
		speed = float64(bulk.queries) / bulk.last.Sub(bulk.first).Seconds()
	}
	return tally, speed, nil
}

// judgeOne runs one plan. Bulk is for Picket without signatures alone: the rest
// costs several times as much as the traffic and Picket together.
func judgeOne(p *judge.Plan, list []rules.Rule) ([]judge.Outcome, error) {
	e, err := p.Build()
	if err != nil {
		return nil, err
	}
	without := []bool{true, false}
	if p.Cell.Block == judge.BlockBulk {
		without, list = without[:1], nil
	}
	return judge.Run(e, labSubjects(1, detect.Config{Sources: 1 << 16, Suspects: 1 << 12}), without, list)
}
