package background

import (
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

func TestShares(t *testing.T) {
	for _, s := range []lab.Signing{lab.Unsigned, lab.NSEC, lab.NSEC3} {
		w := testWorld(t, 1, 2000, s)
		b := newTest(t, w, Options{Rate: 20, Duration: 24 * time.Hour})
		n, nx := 0, 0
		last := int64(0)
		types := map[uint16]int{}
		for q := b.Next(); q != nil; q = b.Next() {
			n++
			types[q.Type]++
			if q.Time < last {
				t.Fatalf("order")
			}
			last = q.Time
			if q.Rcode == picket.RcodeNXDomain {
				nx++
			}
		}
		t.Log(s, n, float64(n)/86400, float64(nx)/float64(n), types, len(b.users.hot.pairs), b.users.asks, b.users.missing.sent, b.users.missing.drawn)
	}
}

func BenchmarkBackground(b *testing.B) {
	w := testWorld(b, 1, 2000, lab.Unsigned)
	bg := newTest(b, w, Options{Rate: 500, Duration: 10000 * 24 * time.Hour})
	b.Log(len(bg.users.hot.pairs), bg.users.coldRate)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if bg.Next() == nil {
			b.Fatal("over")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
}
