package duckdb

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

// BenchmarkAppendQueries measures rows per second until they survive a crash.
func BenchmarkAppendQueries(b *testing.B) {
	for _, rows := range []int{1_000, 10_000, 50_000} {
		for _, callers := range []int{1, 4} {
			b.Run(fmt.Sprintf("rows=%d,callers=%d", rows, callers), func(b *testing.B) {
				s := openTest(b, b.TempDir())
				q, states, zones, _ := pickettest.QueryBatch(0, rows)
				b.ReportAllocs()
				b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.ResetTimer()
				if callers == 1 {
					for range b.N {
						if err := s.AppendQueries(context.Background(), q, states, zones, nil); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := s.AppendQueries(context.Background(), q, states, zones, nil); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkPutFinding measures the time from call to return, which is commit.
func BenchmarkPutFinding(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openTest(b, b.TempDir())
			f := pickettest.NewFinding(1)
			b.ReportAllocs()
			if callers == 1 {
				for range b.N {
					if err := s.PutFinding(context.Background(), f, true); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(callers / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					if err := s.PutFinding(context.Background(), pickettest.NewFinding(n%1000), true); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkSeal measures moving one hour of a million rows into a segment.
func BenchmarkSeal(b *testing.B) {
	const rows, batches = 1_000_000, 20
	for range b.N {
		b.StopTimer()
		s := openTest(b, filepath.Join(b.TempDir(), "store"))
		for range batches {
			appendAt(b, s, 0, rows/batches)
		}
		b.StartTimer()
		sealed, err := s.Seal(context.Background(), future)
		if err != nil || len(sealed) != 1 {
			b.Fatal(err)
		}
		b.ReportMetric(float64(sealed[0].Bytes)/rows, "bytes/row")
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
