package coverage

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/picket-dns/picket"
)

// feed is one name server's query log in a made world.
type feed struct {
	input, server, addr string
	zones               map[string]float64 // queries a minute at the mean of the day
	skew                time.Duration
	stops               time.Time
	gaps                [][2]time.Time
	bare                bool // no response codes
}

// world is a store of made telemetry.
type world struct {
	now      time.Time
	activity map[picket.Activity]picket.Activity // by all but counts
	intake   []picket.IntakeStep
	setups   []picket.Setup
	uptimes  []picket.Uptime
	counts   []picket.ServerCount
	retained []picket.Retained
	setup    picket.Setup
}

func (w *world) Activity(_ context.Context, from, to time.Time, step time.Duration) ([]picket.Activity, error) {
	sums := map[picket.Activity]picket.Activity{}
	for k, a := range w.activity {
		if k.Start.Before(from) || !k.Start.Before(to) {
			continue
		}
		k.Start = k.Start.Truncate(step)
		t := sums[k]
		t.Count += a.Count
		t.WithClient += a.WithClient
		t.WithRcode += a.WithRcode
		t.WithFlags += a.WithFlags
		t.WithResponse += a.WithResponse
		t.WithTransport += a.WithTransport
		sums[k] = t
	}
	list := make([]picket.Activity, 0, len(sums))
	for k, t := range sums {
		t.Start, t.Input, t.Server, t.Sensor, t.Zone = k.Start, k.Input, k.Server, k.Sensor, k.Zone
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b picket.Activity) int { return a.Start.Compare(b.Start) })
	return list, nil
}

func (w *world) IntakeSteps(_ context.Context, from, to time.Time, _ time.Duration) (list []picket.IntakeStep, _ error) {
	for _, s := range w.intake {
		if !s.Start.Before(from) && s.Start.Before(to) {
			list = append(list, s)
		}
	}
	return list, nil
}

func (w *world) Retained(context.Context) ([]picket.Retained, error) { return w.retained, nil }

func (w *world) Setups(_ context.Context, from, to time.Time) (list []picket.Setup, _ error) {
	for i, s := range w.setups {
		if s.Time.Before(to) && (i+1 == len(w.setups) || w.setups[i+1].Time.After(from)) {
			list = append(list, s)
		}
	}
	return list, nil
}

func (w *world) Uptimes(_ context.Context, from, to time.Time) (list []picket.Uptime, _ error) {
	for _, u := range w.uptimes {
		if u.From.Before(to) && !u.To.Before(from) {
			list = append(list, u)
		}
	}
	return list, nil
}

func (w *world) ServerCounts(_ context.Context, from, to time.Time, _ time.Duration) (list []picket.ServerCount, _ error) {
	for _, c := range w.counts {
		if !c.Start.Before(from) && c.Start.Before(to) {
			list = append(list, c)
		}
	}
	return list, nil
}

// daily is the curve of a day: from 0.3 at night to 1.7 in the afternoon.
func daily(t time.Time) float64 {
	return 1 - 0.7*math.Cos(2*math.Pi*(t.Sub(t.Truncate(24*time.Hour)).Hours()-3)/24)
}

func poisson(r *rand.Rand, mean float64) int64 {
	if mean > 50 {
		return max(int64(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())), 0)
	}
	limit, p, k := math.Exp(-mean), r.Float64(), int64(0)
	for p > limit {
		p *= r.Float64()
		k++
	}
	return k
}

var worldEnd = time.Date(2026, 3, 20, 18, 0, 30, 0, time.UTC)

// newWorld has traffic of days days up to worldEnd, for the zones of the feeds.
func newWorld(seed uint64, days int, feeds ...feed) *world {
	r := rand.New(rand.NewPCG(seed, 4))
	w := &world{now: worldEnd, activity: map[picket.Activity]picket.Activity{}}
	start := worldEnd.Truncate(time.Minute).Add(-time.Duration(days) * 24 * time.Hour)
	for _, f := range feeds {
		for _, zone := range slices.Sorted(maps.Keys(f.zones)) {
			w.traffic(r, &f, zone, start)
		}
		for t := start; t.Before(w.now); t = t.Add(time.Minute) {
			if !f.silent(t) {
				delay := time.Second - f.skew + time.Duration(r.IntN(1000))*time.Millisecond
				w.intake = append(w.intake, picket.IntakeStep{Start: t, Input: f.input, Accepted: 1,
					MinDelay: int64(delay), MaxDelay: int64(delay + time.Second)})
			}
		}
		w.setup.Inputs = append(w.setup.Inputs, picket.SetupInput{Name: f.input, Kind: picket.KindQuery, Server: f.server, Live: true})
		if f.addr != "" {
			w.setup.Servers = append(w.setup.Servers, picket.SetupServer{Name: f.server, Addresses: []string{f.addr}, Zones: slices.Sorted(maps.Keys(f.zones))})
		}
	}
	w.setup.Time = start
	w.setup.Detectors = []string{"zone-transfer", "brute-force", "nsec3-walk"}
	w.uptimes = []picket.Uptime{{From: start, To: w.now}}
	return w
}

func (f *feed) silent(t time.Time) bool {
	if !f.stops.IsZero() && !t.Before(f.stops) {
		return true
	}
	return slices.ContainsFunc(f.gaps, func(g [2]time.Time) bool { return !t.Before(g[0]) && t.Before(g[1]) })
}

func (w *world) traffic(r *rand.Rand, f *feed, zone string, start time.Time) {
	for t := start; t.Before(w.now); t = t.Add(time.Minute) {
		n := poisson(r, f.zones[zone]*daily(t.Add(-f.skew)))
		if n == 0 || f.silent(t) {
			continue
		}
		a := picket.Activity{Count: n, WithClient: n, WithRcode: n, WithFlags: n, WithResponse: n, WithTransport: n}
		if f.bare {
			a.WithRcode = 0
		}
		w.activity[picket.Activity{Start: t, Input: f.input, Server: f.addr, Zone: zone}] = a
	}
}

// zone adds a zone to what is watched.
func (w *world) zone(name string, delegation ...string) *world {
	w.setup.Zones = append(w.setup.Zones, picket.SetupZone{Name: name, Delegation: delegation})
	return w
}

var testDetectors = []Needs{
	{Name: "zone-transfer", Levels: "Q"}, {Name: "brute-force", Levels: "QR"}, {Name: "nsec3-walk", Levels: "D"}, {Name: "other", Levels: "Q"},
}

func (w *world) reporter(change ...func(*Options)) *Reporter {
	if w.setups == nil {
		w.setups = []picket.Setup{w.setup}
	}
	opt := Options{Store: w, Setup: func() picket.Setup { return w.setup }, Detectors: testDetectors,
		Now: func() time.Time { return w.now }, ZoneKnown: func(string) bool { return true }}
	for _, f := range change {
		f(&opt)
	}
	return New(opt)
}
