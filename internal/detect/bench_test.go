package detect_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
)

// event is a query with its context, made beforehand so that only the engine is
// measured.
type event struct {
	q   picket.Query
	nc  picket.NameContext
	sfx dnsname.Suffixes
}

func (b *bench) event(client netip.Addr, name []byte, typ uint16) *event {
	b.ask(0, client, name, typ)
	return &event{b.q, b.nc, b.sfx}
}

// resolverMix is what a name server sees all day: few resolvers ask most, all for
// names that exist, now and then one that does not.
func (b *bench) resolverMix(n int, missing float64) []*event {
	r := rand.New(rand.NewPCG(5, 6))
	types := [...]uint16{1, 28, 65, 1}
	out := make([]*event, n)
	for i := range out {
		source := int(200 * r.Float64() * r.Float64() * r.Float64())
		name := host(r.IntN(60))
		if r.Float64() < missing {
			name = guess(r.IntN(20))
		}
		out[i] = b.event(v4(source<<8), name, types[r.IntN(4)])
	}
	return out
}

// play feeds events, a thousand a second of event time.
func (b *bench) play(events []*event, from int) {
	for i, e := range events {
		e.q.Time = scriptStart.UnixNano() + int64(from+i)*1e6
		b.engine.Observe(&e.q, &e.nc, &e.sfx)
	}
	b.engine.Advance(events[len(events)-1].q.Time)
	b.engine.Drain(func(*picket.Finding, bool) {})
	b.engine.DrainSummaries(func(*detect.Summary) {})
}

// TestNoAllocations: live names asked by resolvers cost no allocation once the
// engine knows them.
func TestNoAllocations(t *testing.T) {
	b := newBench(t, 60, detect.Config{Sources: 1 << 12, Suspects: 512})
	events := b.resolverMix(20_000, 0)
	b.play(events, 0)
	n := 0
	if got := testing.AllocsPerRun(5, func() { n++; b.play(events, n*len(events)) }); got != 0 {
		t.Errorf("%v allocations for %d queries", got, len(events))
	}
}

// TestNoAllocationsWhileGuessed: the same while one in ten names does not exist.
// The engine may allocate for zone summaries, which come once a second.
func TestNoAllocationsWhileGuessed(t *testing.T) {
	b := newBench(t, 60, detect.Config{Sources: 1 << 12, Suspects: 512, UpdateEvery: 24 * time.Hour})
	events := b.resolverMix(20_000, 0.1)
	b.play(events, 0)
	n := 0
	if got := testing.AllocsPerRun(5, func() { n++; b.play(events, n*len(events)) }); got > 100 {
		t.Errorf("%v allocations for %d queries", got, len(events))
	}
}

func BenchmarkObserve(b *testing.B) {
	run := func(name string, cfg detect.Config, events func(*bench) []*event) {
		b.Run(name, func(b *testing.B) {
			w := newBench(b, 60, cfg)
			ev := events(w)
			w.engine.Flush()
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(ev) {
				w.play(ev[:min(len(ev), b.N-n)], n)
			}
		})
	}
	run("resolvers", detect.Config{}, func(w *bench) []*event { return w.resolverMix(1<<12, 0.03) })
	run("bruteforce", detect.Config{}, func(w *bench) (out []*event) {
		for i := range 1 << 12 {
			out = append(out, w.event(v4(1), guess(i), 1))
		}
		return out
	})
	run("flood", detect.Config{Sources: 1 << 16, Suspects: 1 << 10}, func(w *bench) (out []*event) {
		r := rand.New(rand.NewPCG(8, 9))
		label := make([]byte, 12)
		apex := dnsname.MustParse(benchZone)
		for range 1 << 15 {
			for j := range label {
				label[j] = byte('a' + r.IntN(26))
			}
			name := append(append([]byte{12}, label...), apex...)
			out = append(out, w.event(v4(r.IntN(1<<24)), name, 1))
		}
		return out
	})
}
