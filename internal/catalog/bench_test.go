package catalog

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// bigCatalog holds a zone with n hosts.
func bigCatalog(t testing.TB, n int) *Catalog {
	z := NewZoneData(dnsname.MustParse("example.com"))
	for i := range n {
		name := dnsname.MustParse(fmt.Sprintf("host-%07d.example.com", i))
		if err := z.Add(name, 1); err != nil {
			t.Fatal(err)
		}
	}
	return catalogOf(t, func(b *Builder) { addZones(t, b, z) })
}

// BenchmarkLookup measures Lookup alone over a few hundred names at a time, as
// caches hold them: the suffix hashes are there already, for the pipeline
// computes them once for all who need them.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{300, 1_000_000} {
		c := bigCatalog(b, n)
		for _, kind := range lookupKinds {
			b.Run(fmt.Sprintf("%s/names=%d", kind.name, n), func(b *testing.B) {
				const many = 256
				qs := manyQueries(many, n, kind.format)
				sfx := make([]dnsname.Suffixes, many)
				for i := range qs {
					c.Hasher().Sum(qs[i].Name, &sfx[i])
				}
				var nc picket.NameContext
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					c.Lookup(&qs[i%many], &sfx[i%many], &nc)
				}
			})
		}
	}
}

// BenchmarkSumLookup measures hashing and Lookup over 65,536 names in random
// order, so that hardly any is in the processor's caches.
func BenchmarkSumLookup(b *testing.B) {
	for _, n := range []int{300, 1_000_000} {
		c := bigCatalog(b, n)
		h := c.Hasher()
		for _, kind := range lookupKinds {
			b.Run(fmt.Sprintf("%s/names=%d", kind.name, n), func(b *testing.B) {
				const many = 65536
				qs := manyQueries(many, n, kind.format)
				var sfx dnsname.Suffixes
				var nc picket.NameContext
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					q := &qs[i%many]
					h.Sum(q.Name, &sfx)
					c.Lookup(q, &sfx, &nc)
				}
			})
		}
	}
}

var lookupKinds = []struct{ name, format string }{
	{"live", "host-%07d.example.com"},
	{"never", "nope-%07d.example.com"},
	{"deep", "a.b.c.host-%07d.example.com"},
	{"out", "host-%07d.example.net"},
}

func manyQueries(many, n int, format string) []picket.Query {
	qs := make([]picket.Query, many)
	for i := range qs {
		qs[i] = query(fmt.Sprintf(format, rand.IntN(n)))
		qs[i].Rcode = picket.RcodeRefused // teaches no zone
	}
	return qs
}

func BenchmarkRank(b *testing.B) {
	c := bigCatalog(b, 100_000)
	z := c.Zones()[0]
	name := dnsname.MustParse("host-0050000x.example.com")
	c.Rank(z, name)
	b.ReportAllocs()
	for b.Loop() {
		c.Rank(z, name)
	}
}

// TestMemory holds a million names to 100 MiB.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a million names")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := bigCatalog(t, 1_000_000)
	c.Rank(c.Zones()[0], dnsname.MustParse("example.com"))
	runtime.GC()
	runtime.ReadMemStats(&after)
	got := float64(after.HeapAlloc-before.HeapAlloc) / (1 << 20)
	t.Logf("%.1f MiB", got)
	if got > 100 {
		t.Errorf("a million names take %.1f MiB, want at most 100", got)
	}
	runtime.KeepAlive(c)
}

func TestLookupDoesNotAllocate(t *testing.T) {
	c := testCatalog(t)
	for _, n := range []string{"www.example.com", "never.example.com", "x.wild.example.com", "c1.example.com", "gone.example.net", "www.example.org"} {
		q := answer(n, picket.RcodeRefused, 0, 0)
		var sfx dnsname.Suffixes
		var nc picket.NameContext
		c.Hasher().Sum(q.Name, &sfx)
		if got := testing.AllocsPerRun(100, func() { c.Lookup(&q, &sfx, &nc) }); got != 0 {
			t.Errorf("%s: %v allocations", n, got)
		}
	}
}
