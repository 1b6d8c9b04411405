package detect_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
)

// rapidTB reports to rapid what helpers report to a test, so that it can shrink.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (r rapidTB) Errorf(format string, args ...any) { r.rt.Errorf(format, args...) }

// TestRandomTraffic: whatever comes, in whatever order, no
// detector panics, every finding is whole, and each is closed once.
func TestRandomTraffic(t *testing.T) {
	labels := []string{"www", "host1", "host2", "jenkins", "wpad", "_sip", "_tcp", "_dmarc", "a", "\\000", "0", "mail-", "qzxkvbnmwrtp", "com", "1", "f"}
	suffixes := []string{"corp.example", "other.test", "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa", "bind"}
	types := []uint16{1, 28, 2, 6, 12, 15, 16, 33, 43, 47, 48, 50, 99, 251, 252, 255, 257}
	rapid.Check(t, func(rt *rapid.T) {
		tb := rapidTB{t, rt}
		b := newBench(tb, 5, detect.Config{
			Sources: rapid.SampledFrom([]int{4, 64, 4096}).Draw(rt, "sources"), Suspects: rapid.IntRange(1, 40).Draw(rt, "suspects"),
		})
		zone := detect.NewZoneEngine(detect.Config{})
		now := scriptStart.UnixNano()
		for range rapid.IntRange(1, 600).Draw(rt, "queries") {
			now += rapid.SampledFrom([]int64{1, 1e6, 1e9, 60e9, 7200e9}).Draw(rt, "step")
			name := rapid.SampledFrom(suffixes).Draw(rt, "suffix")
			for range rapid.IntRange(0, 4).Draw(rt, "depth") {
				name = rapid.SampledFrom(labels).Draw(rt, "label") + "." + name
			}
			wire := dnsname.MustParse(name)
			b.q = picket.Query{Time: now, Client: v4(rapid.IntRange(0, 30).Draw(rt, "client")), Name: wire,
				Type: rapid.SampledFrom(types).Draw(rt, "type"), Class: rapid.SampledFrom([]uint16{1, 1, 1, 3, 255}).Draw(rt, "class"),
				Opcode: rapid.SampledFrom([]uint8{0, 0, 0, 2, 4, 5}).Draw(rt, "opcode"), Rcode: rapid.SampledFrom([]picket.Rcode{-1, 0, 3, 5}).Draw(rt, "rcode"),
				Flags: picket.QueryFlags(rapid.Uint32Range(0, 1<<15-1).Draw(rt, "flags"))}
			if rapid.Bool().Draw(rt, "denial") {
				b.q.Response.Denials = []picket.Denial{{Owner: wire, Next: wire}, {NSEC3: true, Owner: make([]byte, 20), Next: wire}}
			}
			b.observe()
			b.engine.Advance(now)
			b.engine.DrainSummaries(func(s *detect.Summary) { zone.Observe(s) })
			zone.Advance(now)
			b.drain()
		}
		for _, f := range b.finish() {
			sound(tb, f)
		}
		zone.Flush()
		zone.Drain(func(f *picket.Finding, _ bool) { sound(tb, f) })
	})
}
