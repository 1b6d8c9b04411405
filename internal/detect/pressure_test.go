package detect_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
)

// generated returns a name with a label of twelve random letters.
func generated(r *rand.Rand) []byte {
	label := make([]byte, 13, 64)
	label[0] = 12
	for i := range label[1:] {
		label[1+i] = byte('a' + r.IntN(26))
	}
	return append(label, dnsname.MustParse(benchZone)...)
}

// TestListIsSeenAfterFlood: a flood must not use up what is remembered of who
// asked which name, or a list checked the day after would look like everybody's.
func TestListIsSeenAfterFlood(t *testing.T) {
	b := newBench(t, 60, detect.Config{Sources: 1 << 12, Suspects: 256})
	r := rand.New(rand.NewPCG(1, 2))
	at := time.Duration(0)
	for i := range 300_000 {
		at += time.Millisecond
		b.ask(at, v4(i%5000), generated(r), 1)
		if i%1000 == 0 {
			b.drain()
		}
	}
	actor := netip.MustParseAddr("192.0.2.66")
	for i := range 60 {
		at += 20 * time.Second
		b.ask(at, actor, host(i*37%60), 1)
	}
	for _, f := range b.finish() {
		if f.Detector == "list-verification" && f.Source.Prefix == "192.0.2.66/32" {
			return
		}
	}
	t.Error("a list checked after a flood was not found")
}

// TestBruteForceIsSeenDuringFlood: guesses stand out from a flood that comes from
// other sources.
func TestBruteForceIsSeenDuringFlood(t *testing.T) {
	b := newBench(t, 60, detect.Config{Sources: 1 << 14, Suspects: 1 << 10})
	r := rand.New(rand.NewPCG(1, 2))
	actor := netip.MustParseAddr("192.0.2.66")
	n := 0
	for i := range 100_000 {
		at := time.Duration(i) * time.Millisecond
		b.ask(at, v4(i), generated(r), 1)
		if i%1000 == 0 {
			b.ask(at, actor, guess(n), 1)
			n++
			b.drain()
		}
	}
	for _, f := range b.finish() {
		if f.Detector == "brute-force" && f.Source.Prefix == "192.0.2.66/32" && f.DetectedAtQuery <= 20 {
			return
		}
	}
	t.Error("guesses during a flood were not found")
}

// TestFloodThroughResolverIsNoBruteForce: a resolver that carries a flood is not
// accused of guessing, with its ordinary queries before, between and after.
func TestFloodThroughResolverIsNoBruteForce(t *testing.T) {
	b := newBench(t, 60, detect.Config{Sources: 1 << 12, Suspects: 256})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60_000 {
		at := time.Duration(i) * 5 * time.Millisecond
		name := host(r.IntN(60))
		if i > 10_000 && i < 50_000 && i%3 != 0 {
			name = generated(r)
		}
		b.ask(at, v4(i%3<<8), name, 1)
		if i%1000 == 0 {
			b.drain()
		}
	}
	for _, f := range b.finish() {
		t.Errorf("raised %s", brief(f))
	}
}

// TestEpisodesOfFewQueries: a source that comes back after its episode closed has a
// finding of its own for each spell, however few its queries are.
func TestEpisodesOfFewQueries(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 10, Suspects: 64})
	apex := dnsname.MustParse(benchZone)
	for day := range 4 {
		at := time.Duration(day) * 24 * time.Hour
		b.engine.Advance(scriptStart.Add(at).UnixNano())
		b.drain()
		b.ask(at, v4(1), apex, 6)
		b.ask(at+time.Second, v4(1), apex, 252)
		b.drain()
	}
	all := b.finish()
	if len(all) != 4 {
		t.Errorf("%d findings for 4 spells", len(all))
	}
	for _, f := range all {
		if f.LastSeen.Sub(f.FirstSeen) > time.Minute || f.Queries > 2 {
			t.Errorf("%s from %s to %s", brief(f), f.FirstSeen, f.LastSeen)
		}
	}
}

// TestEvictedEpisodeIsNotSentAgain: the same when the state went for lack of room.
func TestEvictedEpisodeIsNotSentAgain(t *testing.T) {
	b := newBench(t, 10, detect.Config{Sources: 1 << 12, Suspects: 8})
	apex := dnsname.MustParse(benchZone)
	for round := range 5 {
		for i := range 100 {
			at := time.Duration(round*100+i) * time.Minute
			b.ask(at, v4(i), apex, 252)
			b.drain()
		}
	}
	b.finish()
}
