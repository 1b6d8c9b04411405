package coverage

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

const (
	// history is how far back rates are learned: four weeks.
	history = 28 * 24 * time.Hour
	week    = 7 * 24 * time.Hour
	// maxSteps bounds the steps of a range; a longer range has coarser ones.
	maxSteps = 7 * 24 * 60
	// beatSlack is how long the daemon may be quiet about itself before it counts as not running.
	beatSlack = 3 * time.Minute
)

// key names a series: a zone at a server. Zone "*" is all zones together.
type key struct{ zone, server string }

const allZones = "*"

// series counts the queries of a key.
type series struct {
	steps  []int64         // of the range
	hours  map[int64]int64 // by Unix hour, range and history
	inputs map[string]bool // that brought any, range and history
	seen   int64           // in the range, and in the minute that is still being counted
	late   int64           // of these, those of that minute
	before int64           // in the history
	gaps   []gap           // in order
	unsure []gap           // what may be gaps, or nights
	start  int             // first step that is judged
	end    int             // step behind the last one that is judged
}

// view is everything about a range of time. What is judged ends with a whole
// minute, at to; what has come since then, until end, counts as seen.
type view struct {
	from, to, now time.Time
	end           time.Time // not before to
	step          time.Duration
	n             int // steps

	setup     picket.Setup   // that held last in the range
	setups    []picket.Setup // that held in it, oldest first
	servers   map[string]*picket.SetupServer
	addresses map[string][]string // servers by address, the configured ones first
	delegated map[key]bool        // zone and server
	strangers map[string]bool     // zones asked at addresses that are no known server's
	heard     map[string]bool     // servers at whose addresses something was asked, under whatever name
	inputs    map[string]*inputView
	series    map[key]*series
	down      []picket.Uptime // times in which picket did not run
	born      time.Time       // when it first ran; zero when that is not known
	oldest    int64           // first Unix hour with activity in the history, 0 when there is none
	counts    map[string]map[int64]int64
	steps     []picket.IntakeStep
	retained  []picket.Retained
	lags      []picket.ServerLag
}

// load reads a range. Setups that held then are used, and the present one when
// none was noted.
func (r *Reporter) load(ctx context.Context, from, to, end time.Time) (*view, error) {
	v := &view{from: from, to: to, end: end, now: r.opt.Now(), step: time.Minute}
	if d := to.Sub(from); d > maxSteps*time.Minute {
		v.step = (d/maxSteps + time.Minute).Truncate(time.Minute)
	}
	v.n = int((to.Sub(from) + v.step - 1) / v.step)
	store := r.opt.Store
	var err error
	if v.setups, err = store.Setups(ctx, from, to); err != nil {
		return nil, err
	}
	switch {
	case r.fixed != nil:
		v.setup = *r.fixed
	case r.opt.Setup != nil && (len(v.setups) == 0 || !to.Before(v.now.Add(-beatSlack))):
		v.setup = r.opt.Setup()
	case len(v.setups) > 0:
		v.setup = v.setups[len(v.setups)-1]
	}
	if v.retained, err = store.Retained(ctx); err != nil {
		return nil, err
	}
	if v.steps, err = store.IntakeSteps(ctx, from, end, time.Minute); err != nil {
		return nil, err
	}
	if r.opt.Lags != nil {
		v.lags = r.opt.Lags()
	}
	v.index(r)
	runs, err := store.Uptimes(ctx, from.Add(-history), end)
	if err != nil {
		return nil, err
	}
	v.downtimes(runs)
	list, err := r.past.hours(ctx, store, from.Truncate(time.Hour), v.now)
	if err != nil {
		return nil, err
	}
	for i := range list {
		v.addHour(&list[i])
	}
	if list, err = store.Activity(ctx, from, end, v.step); err != nil {
		return nil, err
	}
	for i := range list {
		v.addStep(&list[i])
	}
	counts, err := store.ServerCounts(ctx, from, to, time.Hour)
	if err != nil {
		return nil, err
	}
	v.counts = map[string]map[int64]int64{}
	for _, c := range counts {
		if v.counts[c.Server] == nil {
			v.counts[c.Server] = map[int64]int64{}
		}
		v.counts[c.Server][c.Start.Unix()/3600] += c.Queries
	}
	return v, nil
}

// past keeps the history that was read last: it is long, it is the same for all
// ranges that begin in one hour, and the daemon asks every minute.
type past struct {
	mu     sync.Mutex
	before time.Time
	read   time.Time
	list   []picket.Activity
}

// pastKept is how long late telemetry may be left out of the history.
const pastKept = 10 * time.Minute

// hours returns the hours of the history before a time; they are not to be changed.
func (p *past) hours(ctx context.Context, store picket.CoverageStore, before, now time.Time) ([]picket.Activity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.read); p.before.Equal(before) && age >= 0 && age < pastKept {
		return p.list, nil
	}
	list, err := store.Activity(ctx, before.Add(-history), before, time.Hour)
	if err == nil {
		p.before, p.read, p.list = before, now, list
	}
	return list, err
}

// index makes servers, addresses and inputs to be found.
func (v *view) index(r *Reporter) {
	v.servers, v.addresses = map[string]*picket.SetupServer{}, map[string][]string{}
	v.delegated, v.strangers, v.heard = map[key]bool{}, map[string]bool{}, map[string]bool{}
	for i := range v.setup.Zones {
		for _, s := range v.setup.Zones[i].Delegation {
			v.delegated[key{v.setup.Zones[i].Name, s}] = true
		}
	}
	v.series, v.inputs = map[key]*series{}, map[string]*inputView{}
	for i := range v.setup.Servers {
		s := &v.setup.Servers[i]
		v.servers[s.Name] = s
		for _, a := range s.Addresses {
			if p, err := netip.ParseAddrPort(a); err == nil {
				a = p.Addr().Unmap().String()
			} else if p, err := netip.ParseAddr(a); err == nil {
				a = p.Unmap().String()
			}
			if !slices.Contains(v.addresses[a], s.Name) {
				v.addresses[a] = append(v.addresses[a], s.Name)
			}
		}
	}
	for i := range v.setup.Inputs {
		in := &v.setup.Inputs[i]
		v.inputs[in.Name] = &inputView{SetupInput: *in, since: v.inputSince(in.Name)}
	}
	v.intake()
	if r.opt.Inputs != nil && !v.to.Before(v.now.Add(-time.Hour)) {
		for _, st := range r.opt.Inputs() {
			if in := v.inputs[st.Name]; in != nil {
				in.status = st
				if in.Kind == "" {
					in.Kind = st.Kind
				}
			}
		}
	}
}

// inputSince is when an input was first configured within the range; zero when it
// was before, or nobody noted it.
func (v *view) inputSince(name string) time.Time {
	for i, s := range v.setups {
		if slices.ContainsFunc(s.Inputs, func(in picket.SetupInput) bool { return in.Name == name }) {
			if i == 0 && !s.Time.After(v.from) {
				return time.Time{}
			}
			return s.Time
		}
	}
	if len(v.setups) > 0 {
		return v.setup.Time
	}
	return time.Time{}
}

// downtimes are the times between runs, and after the last.
func (v *view) downtimes(runs []picket.Uptime) {
	if len(runs) == 0 {
		return
	}
	v.born = runs[0].From
	end := runs[0].To
	add := func(from, to time.Time) {
		from, to = latest(from, v.from), earliest(to, v.to)
		if to.Sub(from) > beatSlack {
			v.down = append(v.down, picket.Uptime{From: from, To: to})
		}
	}
	for _, u := range runs[1:] {
		if u.From.Sub(end) > beatSlack {
			add(end, u.From)
		}
		end = latest(end, u.To)
	}
	add(end, earliest(v.to, v.now))
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// serverOf says of which server counts are: that of their address, else the one
// that their input is configured for, else the input itself.
func (v *view) serverOf(a *picket.Activity) string {
	in := v.inputs[a.Input]
	if names := v.addresses[a.Server]; len(names) > 0 {
		return v.nameOf(names, in, a.Zone)
	}
	if in != nil && in.Server != "" {
		return in.Server
	}
	if a.Server != "" {
		v.strangers[a.Zone] = true
	}
	return "[" + a.Input + "]"
}

// nameOf picks one of the names that an address has: one machine often answers for
// several zones under a name in each.
func (v *view) nameOf(names []string, in *inputView, zone string) string {
	if len(names) == 1 {
		return names[0]
	}
	if in != nil && in.Server != "" && slices.Contains(names, in.Server) {
		return in.Server
	}
	for _, n := range names {
		if v.delegated[key{zone, n}] {
			return n
		}
	}
	for _, n := range names {
		if slices.Contains(v.servers[n].Zones, zone) {
			return n
		}
	}
	return names[0]
}

// isPseudo reports whether a server is only the name of an input.
func isPseudo(server string) bool { return strings.HasPrefix(server, "[") }

func (v *view) get(zone, server string) *series {
	k := key{zone, server}
	s := v.series[k]
	if s == nil {
		s = &series{steps: make([]int64, v.n), hours: map[int64]int64{}, inputs: map[string]bool{}}
		v.series[k] = s
	}
	return s
}

// both calls f for the series of the zone and that of all zones.
func (v *view) both(a *picket.Activity, f func(*series)) {
	server := v.serverOf(a)
	f(v.get(allZones, server))
	if a.Zone != "" && v.watches(a.Zone) {
		f(v.get(a.Zone, server))
	}
}

func (v *view) watches(zone string) bool {
	return slices.ContainsFunc(v.setup.Zones, func(z picket.SetupZone) bool { return z.Name == zone })
}

// addHour counts an hour of the history.
func (v *view) addHour(a *picket.Activity) {
	h := a.Start.Unix() / 3600
	if v.oldest == 0 || h < v.oldest {
		v.oldest = h
	}
	v.both(a, func(s *series) {
		s.hours[h] += a.Count
		s.before += a.Count
		s.inputs[a.Input] = true
	})
	if in := v.inputs[a.Input]; in != nil {
		in.before.add(a)
	}
}

// addStep counts a step of the range, or of the minute after it.
func (v *view) addStep(a *picket.Activity) {
	i := int(a.Start.Sub(v.from) / v.step)
	i = min(max(i, 0), v.n-1)
	late := !a.Start.Before(v.to)
	for _, name := range v.addresses[a.Server] {
		v.heard[name] = true
	}
	v.both(a, func(s *series) {
		if late {
			s.late += a.Count
		} else {
			s.steps[i] += a.Count
		}
		s.hours[a.Start.Unix()/3600] += a.Count
		s.seen += a.Count
		s.inputs[a.Input] = true
	})
	in := v.inputs[a.Input]
	if in == nil {
		return
	}
	in.addressed = in.addressed || a.Server != ""
	in.fields.add(a)
	in.last = latest(in.last, a.Start)
}

// time is when a step begins.
func (v *view) time(i int) time.Time { return earliest(v.from.Add(time.Duration(i)*v.step), v.to) }

// at is the step of a time, held to the range.
func (v *view) at(t time.Time) int {
	if t.Before(v.from) {
		return 0
	}
	return min(int(t.Sub(v.from)/v.step), v.n)
}

// serversOf lists the servers of a zone: those it is delegated to, those
// configured for it, and those that brought queries for it.
func (v *view) serversOf(z *picket.SetupZone) []string {
	list := slices.Clone(z.Delegation)
	for i := range v.setup.Servers {
		if s := &v.setup.Servers[i]; len(s.Zones) == 0 || slices.Contains(s.Zones, z.Name) {
			list = append(list, s.Name)
		}
	}
	for k, s := range v.series {
		if k.zone == z.Name && s.seen+s.before > 0 {
			list = append(list, k.server)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// candidates are the query inputs that are meant to bring a server's queries, or
// have done it.
func (v *view) candidates(server string) []*inputView {
	var list []*inputView
	s := v.series[key{allZones, server}]
	for i := range v.setup.Inputs {
		in := v.inputs[v.setup.Inputs[i].Name]
		if in.Server == server && (in.Kind == picket.KindQuery || in.Kind == "") || s != nil && s.inputs[in.Name] {
			list = append(list, in)
		}
	}
	return list
}
