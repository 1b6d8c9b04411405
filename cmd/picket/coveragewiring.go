package main

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/input"
)

// How often the daemon says that it is there, looks whether its setup has changed,
// puts the statement on coverage anew, and asks parents for delegations; and how
// long what coverage is judged by is kept, which is longer than telemetry.
const (
	beatEvery       = 30 * time.Second
	setupEvery      = 5 * time.Second
	statementEvery  = 30 * time.Second
	delegationEvery = time.Hour
	forgetEvery     = 6 * time.Hour
	notedEvery      = 10 * time.Minute // of the oldest that is there of each kind
	coverageKept    = 3 * 366 * 24 * time.Hour
	// Before that, a report would say that nothing comes from what is only just being
	// connected.
	reportAfter = 15 * time.Second
)

// overseer watches the watch: what is set up, whether it runs, what of it is silent.
type overseer struct {
	d         *daemon
	keeper    picket.CoverageKeeper
	reporter  picket.CoverageReporter
	delegated *delegations
	ops       *operational
	refused   *refusals
	feeds     *feedWatch
	said      atomic.Pointer[string] // the statement on coverage, as last made
	lastSetup picket.Setup           // of the goroutine of run
}

// newOverseer wires what needs the store, the sink of findings and the inputs. It
// starts nothing.
func newOverseer(d *daemon) *overseer {
	o := &overseer{d: d, keeper: d.store, delegated: newDelegations(d.cfg.Zones, d.store, d.log),
		ops: newOperational(d.writer), refused: newRefusals(d.privacy.alias), feeds: newFeedWatch(d.started)}
	o.reporter = newReporter(o, d.store)
	return o
}

// start takes over what an earlier run left open, and begins to watch.
func (o *overseer) start(ctx context.Context, running *sync.WaitGroup) {
	o.note("take over findings about the watch itself", o.ops.adopt(ctx, o.d.store, feedSilent, serverLag, inputError, notifyRefused, transferRefused))
	o.sayNotes()
	running.Go(func() { o.watchFeeds(ctx) })
	running.Go(func() { o.keep(ctx) })
	running.Go(func() { o.askParents(ctx) })
	o.d.startCounters(ctx, o.keeper, running)
}

// statement is what findings carry, at most statementEvery old.
func (o *overseer) statement() string {
	if s := o.said.Load(); s != nil {
		return *s
	}
	return ""
}

// sayNotes makes a statement of what is known without a report.
func (o *overseer) sayNotes() {
	s := statementOf(o.d.rec.Notes(o.levels()))
	o.said.Store(&s)
}

// lags are how far name servers are behind, as far as they are asked.
func (o *overseer) lags() []picket.ServerLag {
	return o.d.serverLags()
}

// statement is what findings carry.
func (d *daemon) statement() string { return d.over.statement() }

// statementOf makes a statement of what can be said without history.
func statementOf(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	s := strings.Join(notes, "; ")
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

func (o *overseer) levels() string {
	levels := ""
	for _, in := range o.d.inputs {
		_, l := in.status()
		levels += l
	}
	return levels
}

func (o *overseer) inputs() []picket.SourceStatus {
	list := make([]picket.SourceStatus, len(o.d.inputs))
	for i, in := range o.d.inputs {
		list[i], _ = in.status()
	}
	return list
}

// setup is what is configured, with what the inputs have turned out to be.
func (o *overseer) setup() picket.Setup {
	s := setupOf(&o.d.cfg)
	for i, in := range o.d.inputs {
		st, levels := in.status()
		for k := range s.Inputs {
			if s.Inputs[k].Name == o.d.inputs[i].cfg.Name {
				s.Inputs[k].Kind, s.Inputs[k].Format, s.Inputs[k].Levels = st.Kind, st.Format, levels
			}
		}
	}
	s.Zones, s.Servers = o.delegated.of(context.Background(), watchedZones(o.d.know), s.Servers)
	s.Time = time.Now().UTC()
	return s
}

// watchedZones are the zones that are to be watched, not those inferred from traffic.
func watchedZones(know *knowledge) (names []string) {
	for _, z := range know.catalog.Zones() {
		if !z.Inferred {
			names = append(names, z.Name)
		}
	}
	slices.Sort(names)
	return names
}

// setupOf is what the configuration alone says; without zones.
func setupOf(cfg *config) picket.Setup {
	var s picket.Setup
	for i := range cfg.Servers {
		c := &cfg.Servers[i]
		v := picket.SetupServer{Name: apexOf(c.Name), Provider: c.Provider}
		for _, at := range c.endpoints() {
			v.Addresses = append(v.Addresses, at.Addr().String())
		}
		for _, z := range c.Zones {
			v.Zones = append(v.Zones, apexOf(z))
		}
		s.Servers = append(s.Servers, v)
	}
	for i := range cfg.Inputs {
		in := &cfg.Inputs[i]
		v := picket.SetupInput{Name: in.Name, Format: in.Format, Transport: in.transport(), Provider: in.Provider, Expect: in.Expect, Live: true}
		if f, ok := input.ByName(in.Format); ok {
			v.Kind, v.Levels, v.Live = f.Kind, f.Levels, f.Shape != input.ShapeDocument
		}
		if in.Bucket != nil || in.Git != nil { // that come when somebody puts them there
			v.Live = false
		}
		if in.Server != "" {
			v.Server = apexOf(in.Server)
		}
		if in.Origin != "" {
			v.Zones = []string{apexOf(in.Origin)}
		}
		if in.Transfer != nil {
			for _, z := range in.Transfer.Zones {
				v.Zones = append(v.Zones, apexOf(z))
			}
		}
		s.Inputs = append(s.Inputs, v)
	}
	for _, n := range detect.Names() {
		if !slices.Contains(cfg.Detect.Disabled, n) {
			s.Detectors = append(s.Detectors, n)
		}
	}
	s.Retention = setupRetention(cfg)
	return s
}

// setupRetention says how long each kind is kept.
func setupRetention(cfg *config) []picket.SetupRetain {
	var list []picket.SetupRetain
	for _, k := range cfg.Retention.kinds() {
		list = append(list, picket.SetupRetain{Kind: picket.Kind(k.kind), Keep: k.keep})
	}
	return list
}

// keep writes down what is set up and that the daemon is there.
func (o *overseer) keep(ctx context.Context) {
	var beat, said, forgot time.Time
	noted := time.Now() // soon after the start there is enough to do
	t := time.NewTicker(setupEvery)
	defer t.Stop()
	for {
		now := time.Now()
		if now.Sub(beat) >= beatEvery {
			beat = now
			o.note("say that the daemon is there", o.keeper.Beat(ctx, o.d.started, now))
		}
		changed, err := o.putSetup(ctx)
		o.note("note what is set up", err)
		if changed {
			said = time.Time{}
		}
		// What has only begun changes quickly.
		if age := now.Sub(said); age >= statementEvery || age >= setupEvery && now.Sub(o.d.started) < 4*reportAfter {
			said = now
			o.note("make the statement on coverage", o.makeStatement(ctx))
		}
		if now.Sub(forgot) >= forgetEvery {
			forgot = now
			o.note("forget old coverage", o.d.store.ForgetCoverage(ctx, now.Add(-coverageKept)))
		}
		if now.Sub(noted) >= notedEvery {
			noted = now
			o.note("note what is kept", o.keeper.NoteRetained(ctx))
		}
		select {
		case <-ctx.Done():
			// The last word; ctx no longer serves.
			o.note("say that the daemon was there", o.keeper.Beat(context.WithoutCancel(ctx), o.d.started, time.Now()))
			return
		case <-t.C:
		}
	}
}

func (o *overseer) note(what string, err error) {
	if err != nil {
		o.d.log.Error(what, "error", err)
	}
}

// putSetup notes the setup when it has changed.
func (o *overseer) putSetup(ctx context.Context) (changed bool, err error) {
	s := o.setup()
	same := s
	same.Time = o.lastSetup.Time
	if reflect.DeepEqual(same, o.lastSetup) {
		return false, nil
	}
	if err := o.keeper.PutSetup(ctx, &s); err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return false, err
	}
	o.lastSetup = s
	return true, nil
}

// makeStatement makes the statement that findings carry from now on.
func (o *overseer) makeStatement(ctx context.Context) error {
	if time.Since(o.d.started) < reportAfter {
		o.sayNotes()
		return nil
	}
	r, err := o.reporter.Coverage(ctx, picket.CoverageFilter{})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if r.Statement != "" {
		o.said.Store(&r.Statement)
	}
	return nil
}

// askParents keeps the delegations up to date.
func (o *overseer) askParents(ctx context.Context) {
	t := time.NewTicker(delegationEvery)
	defer t.Stop()
	for {
		o.delegated.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Detectors of other conditions of the watch itself.
const (
	serverLag  = "server-lag"
	inputError = "input-error"
)

// watchFeeds raises findings of what has stopped, fails or lags, and closes them.
func (o *overseer) watchFeeds(ctx context.Context) {
	t := time.NewTicker(feedStep(o.d.cfg.Inputs))
	defer t.Stop()
	failing := map[string]time.Time{}
	for {
		now := time.Now()
		// What is compared with history needs no haste.
		if err := o.feeds.learn(ctx, o.d.store, now); err != nil && ctx.Err() == nil {
			o.d.log.Error("learn what feeds usually bring", "error", err)
		}
		o.note("raise a finding", o.ops.hold(now, feedSilent, o.feeds.look(now, o.feedsNow())))
		o.note("raise a finding", o.ops.hold(now, inputError, failingInputs(now, o.refused.explained(o.inputs()), failing)))
		o.note("raise a finding", o.ops.hold(now, notifyRefused, o.refused.refusedNotices(now)))
		o.note("raise a finding", o.ops.hold(now, transferRefused, o.refused.refusedTransfers()))
		o.note("raise a finding", o.ops.hold(now, serverLag, laggingServers(now, o.lags())))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (o *overseer) feedsNow() []feedNow {
	list := make([]feedNow, len(o.d.inputs))
	for i, in := range o.d.inputs {
		st, _ := in.status()
		list[i] = feedNow{name: st.Name, accepted: st.Accepted, expect: in.cfg.Expect}
		if in.cfg.Server == "" {
			continue
		}
		list[i].server = apexOf(in.cfg.Server)
		for k := range o.d.cfg.Servers {
			s := &o.d.cfg.Servers[k]
			if apexOf(s.Name) != list[i].server {
				continue
			}
			if len(s.Zones) == 1 {
				list[i].zone = apexOf(s.Zones[0])
			}
			if at := s.endpoints(); len(at) == 1 {
				list[i].source = at[0].Addr()
			}
		}
	}
	return list
}

// failingFor is how long an input may be in trouble until a finding says so.
const failingFor = time.Minute

// failingInputs are the inputs that have not worked for a while; since remembers since when.
func failingInputs(now time.Time, inputs []picket.SourceStatus, since map[string]time.Time) (list []condition) {
	for _, in := range inputs {
		if in.Error == "" {
			delete(since, in.Name)
			continue
		}
		if since[in.Name].IsZero() {
			since[in.Name] = now
		}
		if now.Sub(since[in.Name]) < failingFor {
			continue
		}
		list = append(list, condition{detector: inputError, key: in.Name, since: since[in.Name], sure: 1,
			summary: fmt.Sprintf("Input %s has been failing for %s: %s", in.Name, now.Sub(since[in.Name]).Round(time.Second), in.Error),
			limits:  "The error says what failed last, not what was lost. It may concern only a part of what the input reads."})
	}
	return list
}

// laggingServers are the name servers that lack two versions of a zone or more; one
// is normal while a change makes its way.
func laggingServers(now time.Time, lags []picket.ServerLag) (list []condition) {
	for _, l := range lags {
		if l.Behind < 2 {
			continue
		}
		since := l.Since
		if since.IsZero() {
			since = now
		}
		c := condition{detector: serverLag, key: l.Server + " " + l.Zone + " " + l.Address, zone: l.Zone, since: since, sure: 1,
			summary:  fmt.Sprintf("%s serves serial %d of %s and lacks %d versions: the newest known is %d.", l.Server, l.Serial, l.Zone, l.Behind, l.Newest),
			limits:   "It may be a delay of transfers or a stuck secondary. Who asks this server gets old answers; nothing shows that anybody caused it.",
			features: []picket.Feature{{Name: "versions-behind", Value: float64(l.Behind), Threshold: 2}}}
		if a, err := netip.ParseAddrPort(l.Address); err == nil {
			c.source.Prefix = netip.PrefixFrom(a.Addr(), a.Addr().BitLen()).String()
		} else if a, err := netip.ParseAddr(l.Address); err == nil {
			c.source.Prefix = netip.PrefixFrom(a, a.BitLen()).String()
		}
		list = append(list, c)
	}
	return list
}
