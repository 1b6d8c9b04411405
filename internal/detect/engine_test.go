package detect_test

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
)

// bench is an engine with a catalog of one zone, without a pipeline.
type bench struct {
	t      testing.TB
	cat    *catalog.Catalog
	engine *detect.Engine
	q      picket.Query
	sfx    dnsname.Suffixes
	nc     picket.NameContext

	raised map[string]bool // finding ids
	closed map[string]int
	last   map[string]*picket.Finding
}

const benchZone = "corp.example"

// newBench makes a zone of n hosts (host0 …) and five retired names.
func newBench(t testing.TB, n int, cfg detect.Config) *bench {
	t.Helper()
	b := &bench{t: t, cat: catalog.New(catalog.Config{Seed: scriptSeed}), raised: map[string]bool{}, closed: map[string]int{}, last: map[string]*picket.Finding{}}
	z := catalog.NewZoneData(dnsname.MustParse(benchZone))
	add := func(owner string, typ uint16) {
		if err := z.Add(dnsname.MustParse(owner), typ); err != nil {
			t.Fatal(err)
		}
	}
	add(benchZone, 6)
	for i := range n {
		add(fmt.Sprintf("host%d.%s", i, benchZone), 1)
	}
	cb := catalog.NewBuilder()
	if err := cb.AddZone(z); err != nil {
		t.Fatal(err)
	}
	if err := b.cat.Replace(cb); err != nil {
		t.Fatal(err)
	}
	cfg.Seed, cfg.Order = b.cat.Hasher().Seed, b.cat
	b.engine = detect.New(cfg)
	return b
}

// ask observes one UDP query, answered as the zone says.
func (b *bench) ask(at time.Duration, client netip.Addr, name []byte, typ uint16) {
	b.q = picket.Query{Time: scriptStart.Add(at).UnixNano(), Client: client, Name: name, Type: typ, Class: 1, Rcode: picket.RcodeUnknown,
		Flags: picket.FlagFlags, Transport: picket.TransportUDP}
	b.observe()
}

func (b *bench) observe() {
	b.cat.Hasher().Sum(b.q.Name, &b.sfx)
	b.cat.Lookup(&b.q, &b.sfx, &b.nc)
	b.engine.Observe(&b.q, &b.nc, &b.sfx)
}

func (b *bench) drain() {
	b.engine.Drain(func(f *picket.Finding, closed bool) {
		if b.closed[f.ID] > 0 {
			b.t.Errorf("%s sent again after it was closed", f.ID)
		}
		b.raised[f.ID] = true
		b.last[f.ID] = f
		if closed {
			b.closed[f.ID]++
		}
	})
	b.engine.DrainSummaries(func(*detect.Summary) {})
}

// finish flushes, and holds that every finding raised was closed once.
func (b *bench) finish() []*picket.Finding {
	b.t.Helper()
	b.engine.Flush()
	b.drain()
	var out []*picket.Finding
	for id := range b.raised {
		if b.closed[id] != 1 {
			b.t.Errorf("finding %s (%s) closed %d times", id, b.last[id].Detector, b.closed[id])
		}
		out = append(out, b.last[id])
	}
	slices.SortFunc(out, func(x, y *picket.Finding) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// v4 is the i-th address of 10.0.0.0/8.
func v4(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }

func host(i int) []byte { return dnsname.MustParse(fmt.Sprintf("host%d.%s", i, benchZone)) }

// guess is the i-th of many names that do not exist; common host names.
func guess(i int) []byte {
	w := [...]string{"jenkins", "grafana", "citrix", "ldap", "proxy", "cloud", "files", "wiki", "chat", "crm", "erp", "demo"}
	return dnsname.MustParse(fmt.Sprintf("%s%d.%s", w[i%len(w)], i/len(w), benchZone))
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryIsBounded: a million addresses, each asking two names that do not
// exist, fill the budgets and no more.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("two million queries")
	}
	const sources, table, suspects = 1_000_000, 1 << 16, 256
	b := newBench(t, 10, detect.Config{Sources: table, Suspects: suspects})
	names := [2][]byte{guess(0), guess(1)}
	var warm uint64
	for i := range sources {
		if i == 2*table {
			warm = heap()
		}
		at := time.Duration(i) * time.Millisecond
		b.ask(at, v4(i), names[0], 1)
		b.ask(at, v4(i), names[1], 1)
		if i%256 == 0 {
			b.drain()
		}
	}
	grown := int64(heap()) - int64(warm)
	b.drain()
	st := b.engine.Stats()
	t.Logf("%+v, heap grew by %d bytes after warming", st, grown)
	if st.Sources > table || st.Suspects > suspects {
		t.Errorf("over budget: %+v", st)
	}
	if st.EvictedSources < sources-table || st.EvictedSuspects < sources-2*suspects-table {
		t.Errorf("evictions are not all counted: %+v", st)
	}
	if grown > 1<<20 {
		t.Errorf("heap grew by %d bytes between %d and %d sources", grown, 2*table, sources)
	}
	b.finish()
}

// TestEvictionLosesNoFinding: more guessing sources than there is state. Whoever
// has to go has his finding closed and sent.
func TestEvictionLosesNoFinding(t *testing.T) {
	for _, cfg := range []detect.Config{{Sources: 1 << 12, Suspects: 32}, {Sources: 16, Suspects: 512}} {
		t.Run(fmt.Sprintf("sources=%d,suspects=%d", cfg.Sources, cfg.Suspects), func(t *testing.T) {
			b := newBench(t, 10, cfg)
			const guessers = 200
			for i := range guessers {
				for j := range 15 {
					b.ask(time.Duration(15*i+j)*100*time.Millisecond, v4(i<<8), guess(j), 1)
				}
				b.drain()
			}
			b.drain()
			st := b.engine.Stats()
			if st.EvictedSources+st.EvictedSuspects == 0 {
				t.Errorf("nothing was evicted: %+v", st)
			}
			found := map[string]bool{}
			for _, f := range b.finish() {
				if f.Detector == "brute-force" {
					found[f.Source.Prefix] = true
				}
			}
			if len(found) != guessers {
				t.Errorf("%d of %d guessing sources found", len(found), guessers)
			}
		})
	}
}

// TestSuspicionSurvivesFlood: while forged addresses press, the state of a source
// with an open finding stays.
func TestSuspicionSurvivesFlood(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 12, Suspects: 64})
	actor := netip.MustParseAddr("192.0.2.66")
	for j := range 12 {
		b.ask(time.Duration(j)*time.Second, actor, guess(j), 1)
	}
	b.drain()
	if len(b.raised) != 1 {
		t.Fatalf("%d findings, want 1", len(b.raised))
	}
	for i := range 50_000 {
		at := 12*time.Second + time.Duration(i)*time.Millisecond
		b.ask(at, v4(i), guess(1000+i%7), 1)
		b.ask(at, v4(i), guess(2000+i%7), 1)
		if i%500 == 0 {
			b.ask(at, actor, guess(12+i/500), 1)
		}
	}
	all := b.finish()
	for _, f := range all {
		if f.Source.Prefix == "192.0.2.66/32" && f.Queries == 112 {
			return
		}
	}
	t.Errorf("the actor's one episode of 112 queries was broken up: %d findings", len(all))
}

// TestEvictedResolverIsNotSuspect: a busy resolver with its ordinary few misses
// loses its state to pressure. Starting over must not count the past against it.
func TestEvictedResolverIsNotSuspect(t *testing.T) {
	b := newBench(t, 300, detect.Config{Sources: 1 << 12, Suspects: 8})
	resolver := netip.MustParseAddr("192.0.2.53")
	at := time.Duration(0)
	ask := func(c netip.Addr, name []byte) { at += time.Second; b.ask(at, c, name, 1) }
	for i := range 300 {
		ask(v4(i), host(i))
	}
	for round := range 20 {
		for i := range 300 {
			ask(resolver, host(i*77%300))
			if i%30 == 0 {
				ask(resolver, guess(round*10+i/30))
			}
		}
		for i := range 500 { // others, so that the resolver's state goes
			ask(v4(i), guess(3))
			ask(v4(i), guess(4))
		}
	}
	b.drain()
	if b.engine.Stats().EvictedSuspects == 0 {
		t.Fatal("nothing was evicted")
	}
	for _, f := range b.finish() {
		if f.Source.Prefix == "192.0.2.53/32" {
			t.Errorf("raised %s at query %d: %s", f.Detector, f.DetectedAtQuery, f.Summary)
		}
	}
}

// TestEpisodes: an episode closes when nothing comes for EpisodeIdle, is sent
// again while it changes, and the next spell is another finding.
func TestEpisodes(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64, EpisodeIdle: time.Hour, UpdateEvery: 30 * time.Second})
	actor := netip.MustParseAddr("192.0.2.66")
	updates := 0
	step := func(at time.Duration) {
		b.engine.Advance(scriptStart.Add(at).UnixNano())
		b.engine.Drain(func(f *picket.Finding, closed bool) {
			b.raised[f.ID], b.last[f.ID] = true, f
			if closed {
				b.closed[f.ID]++
			} else {
				updates++
			}
		})
	}
	for j := range 240 {
		at := time.Duration(j) * time.Second
		b.ask(at, actor, guess(j), 1)
		step(at)
	}
	if len(b.raised) != 1 || len(b.closed) != 0 {
		t.Fatalf("after the first spell: %d raised, %d closed", len(b.raised), len(b.closed))
	}
	if updates < 7 || updates > 10 {
		t.Errorf("sent %d times in four minutes, want once every 30 s", updates)
	}
	step(4*time.Minute + 59*time.Minute)
	if len(b.closed) != 0 {
		t.Error("closed before the idle time")
	}
	step(4*time.Minute + 61*time.Minute)
	if len(b.closed) != 1 {
		t.Fatal("not closed after the idle time")
	}
	for j := range 40 {
		at := 3*time.Hour + time.Duration(j)*time.Second
		b.ask(at, actor, guess(500+j), 1)
		step(at)
	}
	all := b.finish()
	if len(all) != 2 {
		t.Fatalf("%d findings, want one for each spell", len(all))
	}
	slices.SortFunc(all, func(x, y *picket.Finding) int { return x.FirstSeen.Compare(y.FirstSeen) })
	if all[0].Queries != 240 || all[1].Queries != 40 || all[1].FirstSeen != scriptStart.Add(3*time.Hour) {
		t.Errorf("figures: %s / %s", brief(all[0]), brief(all[1]))
	}
}

// TestTimeJumps: clocks of inputs go wrong. Nothing panics, and who guesses is
// found before and after.
func TestTimeJumps(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64})
	year := 365 * 24 * time.Hour
	ats := []time.Duration{0, -time.Second, 0, 174 * year, -50 * year, time.Minute, math.MaxInt64/2 - time.Duration(scriptStart.UnixNano())/2, -20 * year, time.Hour}
	for i, at := range ats {
		for j := range 40 {
			b.ask(at+time.Duration(j)*time.Millisecond, v4(i<<8), guess(j), 1)
			b.ask(at+time.Duration(j)*time.Millisecond, v4(99<<8), guess(40*i+j), 1)
			b.engine.Advance(b.q.Time)
		}
		b.drain()
	}
	for _, raw := range []int64{math.MinInt64, math.MaxInt64, 0, -1} {
		b.q.Time = raw
		b.observe()
		b.engine.Advance(raw)
		b.drain()
	}
	found := map[string]bool{}
	for _, f := range b.finish() {
		found[f.Source.Prefix] = true
	}
	if len(found) != len(ats)+1 {
		t.Errorf("%d of %d sources found", len(found), len(ats)+1)
	}
}

// TestHostileNames: the longest, deepest and oddest names that a message can carry.
func TestHostileNames(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64})
	apex := dnsname.MustParse(benchZone)
	names := [][]byte{
		{0},
		append([]byte{1, 0}, apex...),
		append([]byte{63}, append([]byte(strings.Repeat("\x00", 63)), apex...)...),
		append([]byte{1, '_'}, apex...),
		append([]byte{1, '-', 1, '-'}, apex...),
		append(slices.Repeat([]byte{1, 'a'}, (255-len(apex))/2), apex...),
		append(slices.Repeat([]byte{63, 255}, 1), append([]byte(strings.Repeat("\xff", 62)), apex...)...),
	}
	long := slices.Clone(apex)
	for len(long)+64 <= 255 {
		long = append(append([]byte{63}, []byte(strings.Repeat("x", 63))...), long...)
	}
	deep := append(slices.Repeat([]byte{1, 'z'}, 127), 0) // 127 labels, 255 bytes
	names = append(names, long, deep)
	types := []uint16{0, 1, 2, 12, 16, 33, 43, 46, 47, 50, 52, 251, 252, 255, 65535}
	n := 0
	for round := range 3 {
		for _, name := range names {
			if err := dnsname.Check(name); err != nil {
				t.Fatalf("%x: %v", name, err)
			}
			for _, typ := range types {
				for class := range uint16(4) {
					n++
					b.q = picket.Query{Time: scriptStart.UnixNano() + int64(n)*1e6, Client: v4(round), Name: name, Type: typ, Class: class,
						Rcode: picket.RcodeNXDomain, Flags: picket.FlagFlags | picket.FlagResponse,
						Response: picket.Response{Denials: []picket.Denial{{}, {NSEC3: true}, {NSEC3: true, Owner: []byte{1}, Next: name}, {Owner: name, Next: name}}}}
					b.observe()
				}
			}
		}
	}
	for _, f := range b.finish() {
		sound(t, f)
	}
}
