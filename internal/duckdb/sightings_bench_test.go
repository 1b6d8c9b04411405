package duckdb

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

var (
	pdnsRows   = flag.Int("pdns.rows", 1_000_000, "sightings that BenchmarkPDNS imports")
	pdnsMemory = flag.Int("pdns.memory", 256, "MiB of memory for DuckDB in BenchmarkPDNS")
)

// generatedSighting is the nth of a generated passive DNS of total rows: a name
// has 20 rows, a registered domain 25 names. They come in no order.
func generatedSighting(n, total int) picket.Sighting {
	// A step that shares no factor with total visits every row once.
	n = int(uint64(n) * 0x9e3779b1 % uint64(total))
	id := n / 20
	v := picket.Sighting{
		Name: generatedName(id), Type: "A", Channel: picket.SightingPassiveDNS, Origin: "generated", Sensor: "bench",
		Count: int64(n%1000 + 1), FirstSeen: time.Unix(1_600_000_000+int64(n%50_000_000), 0), LastSeen: time.Unix(1_700_000_000+int64(n%50_000_000), 0),
	}
	switch n % 20 {
	case 0:
		v.Type, v.Data = "CNAME", []string{generatedName(id + 25)}
	case 1:
		v.Type, v.Data = "MX", []string{"10 mail." + generatedDomain(id)}
	case 2, 3:
		v.Type, v.Data = "AAAA", []string{fmt.Sprintf("2001:db8:%x::%x", id&0xffff, n%20)}
	default:
		a := uint32(n) * 2654435761
		v.Data = []string{fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255)}
	}
	return v
}

func generatedDomain(id int) string {
	return fmt.Sprintf("domain-%d.%s.", id/25, []string{"com", "org", "co.uk", "de"}[id/25%4])
}

func generatedName(id int) string { return fmt.Sprintf("host%d.%s", id%25, generatedDomain(id)) }

// BenchmarkPDNS imports -pdns.rows generated sightings into a new store, once, and
// then asks: names that are there and that are not, RDATA, address ranges.
func BenchmarkPDNS(b *testing.B) {
	total := *pdnsRows
	s := openTest(b, b.TempDir(), func(o *Options) { o.MemoryMiB = *pdnsMemory })
	// Made beside the import, as the command decodes beside it.
	batches, free := make(chan []picket.Sighting, 1), make(chan []picket.Sighting, 3)
	for range cap(free) {
		free <- make([]picket.Sighting, 0, 10_000)
	}
	start := time.Now()
	go func() {
		defer close(batches)
		for at := 0; at < total; {
			batch := (<-free)[:0]
			for ; len(batch) < cap(batch) && at < total; at++ {
				batch = append(batch, generatedSighting(at, total))
			}
			batches <- batch
		}
	}()
	var batch []picket.Sighting
	n, err := s.ImportSightings(context.Background(), func() ([]picket.Sighting, error) {
		if batch != nil {
			free <- batch
		}
		batch = <-batches
		return batch, nil
	})
	if err != nil || n != int64(total) {
		b.Fatal(n, err)
	}
	took := time.Since(start)
	b.ReportMetric(float64(n)/took.Seconds(), "rows/s")
	b.Logf("imported %d in %v, %.0f/s", n, took, float64(n)/took.Seconds())
	b.Logf("%.1f bytes a row", float64(dirSize(b, s.dir))/float64(n))
	// Lookups while gigabytes are still being written to disk measure the disk.
	if err := exec.Command("sync").Run(); err != nil {
		b.Logf("sync: %v", err)
	}
	names := total / 20
	// The first pass reads from disk what the import has pushed out of the system's
	// cache; the second is what a store costs that is in use.
	for _, pass := range []string{"name, just imported", "name"} {
		pdnsAsk(b, s, pass, 4000, func() (picket.SightingFilter, bool) {
			return picket.SightingFilter{Name: generatedName(rand.IntN(names))}, true
		})
	}
	pdnsAsk(b, s, "missing name", 1000, func() (picket.SightingFilter, bool) {
		return picket.SightingFilter{Name: fmt.Sprintf("no%d.%s", rand.IntN(1e9), generatedDomain(rand.IntN(names)))}, false
	})
	pdnsAsk(b, s, "wildcard", 200, func() (picket.SightingFilter, bool) {
		return picket.SightingFilter{Name: generatedDomain(rand.IntN(names)), Below: true}, true
	})
	pdnsAsk(b, s, "address", 20, func() (picket.SightingFilter, bool) {
		n := rand.IntN(total)/20*20 + 5
		a := uint32(n) * 2654435761
		return picket.SightingFilter{Data: fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255)}, true
	})
	pdnsAsk(b, s, "data name", 20, func() (picket.SightingFilter, bool) {
		return picket.SightingFilter{Data: "mail." + generatedDomain(rand.IntN(names))}, true
	})
	pdnsAsk(b, s, "address range", 20, func() (picket.SightingFilter, bool) {
		id := rand.IntN(names)
		return picket.SightingFilter{Net: netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/48", id&0xffff)), Limit: 100}, true
	})
}

func pdnsAsk(b *testing.B, s *Store, what string, times int, filter func() (f picket.SightingFilter, there bool)) {
	took := make([]time.Duration, times)
	for i := range took {
		f, there := filter()
		start := time.Now()
		list, err := s.Sightings(context.Background(), f)
		took[i] = time.Since(start)
		if err != nil || (len(list) > 0) != there {
			b.Fatalf("%s: %+v: %d sightings, %v", what, f, len(list), err)
		}
	}
	slices.Sort(took)
	b.Logf("%s: p50 %v, p99 %v, max %v of %d", what, took[times/2], took[times*99/100], took[times-1], times)
	if what == "name" {
		b.ReportMetric(float64(took[times*99/100].Microseconds())/1000, "p99-ms")
	}
}

func dirSize(b *testing.B, dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if i, err := d.Info(); err == nil {
				n += i.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
