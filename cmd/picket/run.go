package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
	"github.com/picket-dns/picket/internal/web"
)

func runCommand(std streams) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Watch live telemetry, keep findings, serve the console",
		Long: `Run is the daemon: it reads the inputs of its configuration, detects, stores and
serves the console, the API and the metrics. SIGTERM and SIGINT drain it: what was
accepted is processed and stored before it ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			log := slog.New(slog.NewTextHandler(std.err, nil))
			if err := runDaemon(cmd.Context(), cfg, std, log); err != nil {
				return &exitError{exitSome, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "picket.yaml", "configuration file")
	return cmd
}

// daemon is everything that picket run holds, in the order in which it is started.
type daemon struct {
	cfg     config
	log     *slog.Logger
	started time.Time
	know    *knowledge
	privacy *privacy
	store   *duckdb.Store
	past    *pastKeeper
	metrics *metrics
	writer  *findingWriter
	over    *overseer
	house   *intake.House
	answers *answerKeeper // nil when there is no passive DNS of answers
	rec     *recognizer
	inputs  []*liveInput
	serials serialWatch
	console *web.Console
	server  *http.Server
	expired time.Time // the hour in which old rows were last removed; upkeep's
}

// runDaemon starts everything, waits for ctx and stops in order.
func runDaemon(ctx context.Context, cfg config, std streams, log *slog.Logger) (err error) {
	d := &daemon{cfg: cfg, log: log, started: time.Now(), metrics: newMetrics()}
	opt := cfg.knowledgeOptions()
	if d.know, err = opt.load(0, std.err); err != nil {
		return err
	}
	if d.privacy, err = openPrivacy(cfg); err != nil {
		return err
	}
	d.privacy.mapRoles(d.know)
	if d.store, err = duckdb.Open(ctx, duckdb.Options{Dir: cfg.DataDir, Log: log, Observe: d.metrics.observeStore}); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.store.Close())
		log.Info("stopped", "step", 5, "of", "store")
	}()
	d.past = newPastKeeper(d.know, d.store, log)
	if err := d.past.refresh(ctx); err != nil {
		return err
	}
	d.writer = newFindingWriter(d.store, d.metrics.countFinding, d.statement, func(err error) { log.Error("store", "error", err) })
	d.rec = newRecognizer(d.know, recognizerOptions{
		Detect: detect.Config{
			Sources: cfg.Detect.Sources, Suspects: cfg.Detect.Suspects, EpisodeIdle: cfg.Detect.EpisodeIdle,
			WithoutSignatures: cfg.Detect.WithoutSignatures, Disabled: cfg.Detect.Disabled,
		},
		Sink: d.writer, History: d.store,
		OnError: func(err error) { log.Error("pipeline", "error", err) },
	})
	d.house = intake.NewHouse(d.store, d.store.LastDelivery(), func() intake.Feed { return d.rec.Feed() }, d.writer)
	d.privacy.mapIntake(d.house)
	if d.answers = newAnswerKeeper(cfg.PassiveDNS); d.answers != nil {
		d.house.Gather(d.answers.open)
	}
	for _, c := range cfg.Inputs {
		in, err := newLiveInput(ctx, c, d)
		if err != nil {
			return errors.Join(err, d.closePipeline())
		}
		d.inputs = append(d.inputs, in)
	}
	d.over = newOverseer(d)
	d.metrics.watch(d)
	console, err := d.openConsole(ctx)
	if err != nil {
		return errors.Join(err, d.closePipeline())
	}
	inputs, stopInputs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInputs()
	var running sync.WaitGroup
	d.serveControl(inputs, &running)
	if err := d.startInputs(inputs, &running); err != nil {
		stopInputs()
		running.Wait()
		return errors.Join(err, d.closePipeline(), console.Close(), d.stopConsole())
	}
	if err := d.becomeUser(); err != nil {
		stopInputs()
		running.Wait()
		return errors.Join(err, d.closePipeline(), console.Close(), d.stopConsole())
	}
	d.serve(console) // who is answered may rely on the inputs being in place
	upkeep, stopUpkeep := context.WithCancel(context.WithoutCancel(ctx))
	defer stopUpkeep()
	running.Go(func() { d.upkeep(upkeep) })
	running.Go(func() { d.answers.run(upkeep) })
	running.Go(func() { d.watchSerials(upkeep) })
	d.over.start(upkeep, &running)
	running.Go(func() { d.past.run(upkeep) })
	<-ctx.Done()
	return d.stop(stopInputs, stopUpkeep, &running)
}

// stop ends the daemon in this order: 1 inputs take no more and commit what they
// have, 2 counts that no commit has taken along are stored, 3 the pipeline drains,
// 4 the console ends. 5, last, the caller closes the store. Each step is logged when done.
func (d *daemon) stop(stopInputs, stopUpkeep context.CancelFunc, running *sync.WaitGroup) error {
	step := func(n int, of string) { d.log.Info("stopped", "step", n, "of", of) }
	d.log.Info("draining")
	stopInputs()
	stopUpkeep()
	running.Wait()
	step(1, "inputs")
	var err error
	for _, in := range d.inputs {
		err = errors.Join(err, in.desk.Settle(context.Background()))
	}
	step(2, "counts")
	err = errors.Join(err, d.closePipeline())
	step(3, "pipeline")
	err = errors.Join(err, d.stopConsole())
	step(4, "console")
	d.log.Info("drained", "queries", d.rec.Queries())
	return err
}

// closePipeline drains the pipeline and the findings that it brought.
func (d *daemon) closePipeline() error {
	err := d.rec.Close()
	d.writer.Close()
	return err
}

// openConsole takes the console's address; serve answers there.
func (d *daemon) openConsole(ctx context.Context) (net.Listener, error) {
	l, err := web.Listen(ctx, d.cfg.Listen, web.ListenOptions{AllowNonLoopback: d.cfg.AllowRemoteConsole})
	if err != nil {
		return nil, err
	}
	opt := webOptions(&d.cfg, d.store, d, d.over.reporter)
	opt.Metrics, opt.Log, opt.Hosts = d.metrics.handler(), d.log, d.cfg.ConsoleHosts
	d.console = web.New(opt)
	d.server = d.console.Server(d.cfg.Listen)
	return l, nil
}

// serve starts to answer.
func (d *daemon) serve(l net.Listener) {
	go func() {
		if err := d.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("console", "error", err)
		}
	}()
	d.log.Info("console is up", "address", "http://"+l.Addr().String())
}

func (d *daemon) stopConsole() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := d.console.Close()
	if shut := d.server.Shutdown(ctx); shut != nil {
		err = errors.Join(err, fmt.Errorf("stop console: %w", shut))
	}
	return err
}

// startInputs starts every input; the first that cannot start is the error.
func (d *daemon) startInputs(ctx context.Context, running *sync.WaitGroup) error {
	for _, in := range d.inputs {
		if err := in.start(ctx, running); err != nil {
			return fmt.Errorf("input %s: %w", in.cfg.Name, err)
		}
	}
	return nil
}

// becomeUser gives up root, and the data directory to the user that is left.
func (d *daemon) becomeUser() error {
	if d.cfg.User == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(d.cfg.User)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("user %s: %w", d.cfg.User, err)
	}
	err = filepath.WalkDir(d.cfg.DataDir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("give the data directory to %s: %w", d.cfg.User, err)
	}
	if err := transport.DropPrivileges(d.cfg.User); err != nil {
		return err
	}
	d.log.Info("gave up root", "user", d.cfg.User)
	return nil
}

// upkeep stores counts that no commit takes along, seals full hours and removes
// what is past its retention.
func (d *daemon) upkeep(ctx context.Context) {
	settle := time.NewTicker(time.Second)
	defer settle.Stop()
	seal := time.NewTicker(time.Minute)
	defer seal.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-settle.C:
			for _, in := range d.inputs {
				if err := in.desk.Settle(ctx); err != nil && ctx.Err() == nil {
					d.log.Error("store counts", "input", in.cfg.Name, "error", err)
				}
			}
		case <-seal.C:
			d.keepStore(ctx)
		}
	}
}

// Watched implements picket.Watcher.
func (d *daemon) Watched(context.Context) (picket.Watched, error) {
	w := picket.Watched{Started: d.started}
	for _, z := range d.know.catalog.Zones() {
		w.Zones = append(w.Zones, *z)
	}
	levels := ""
	for _, in := range d.inputs {
		st, lv := in.status()
		w.Inputs = append(w.Inputs, st)
		levels += lv
	}
	for _, n := range detect.Names() {
		if !slices.Contains(d.cfg.Detect.Disabled, n) {
			w.Detectors = append(w.Detectors, n)
		}
	}
	w.Notes = d.rec.Notes(levels)
	w.Notes = append(w.Notes, d.answers.notes()...)
	for _, n := range d.cfg.Detect.Disabled {
		w.Notes = append(w.Notes, "switched off: "+n)
	}
	return w, nil
}
