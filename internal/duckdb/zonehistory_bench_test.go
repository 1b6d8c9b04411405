package duckdb

import (
	"fmt"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// BenchmarkObserveMillion measures how long a zone of a million records takes that
// is looked at again, when ten of them have changed: staging apart from applying,
// both within the usual bound of memory.
func BenchmarkObserveMillion(b *testing.B) {
	const n = 1_000_000
	s := openTest(b, b.TempDir())
	in, err := s.OpenInput(b.Context(), "zones", true)
	if err != nil {
		b.Fatal(err)
	}
	delivery := int64(0)
	observe := func(changed int) (staging, applying time.Duration) {
		delivery++
		start := time.Now()
		rows := make([]picket.Record, 0, 2048)
		for i := 0; i < n; i += cap(rows) {
			rows = rows[:0]
			for j := i; j < min(i+cap(rows), n); j++ {
				data := fmt.Sprintf("10.%d.%d.%d", j>>16&255, j>>8&255, j&255)
				if j < changed {
					data = fmt.Sprintf("192.0.2.%d", delivery)
				}
				rows = append(rows, picket.Record{Zone: "example.org.", Name: fmt.Sprintf("host-%07d.example.org.", j), Type: "A", Class: "IN", TTL: 3600, Data: data})
			}
			if err := s.AppendRecords(b.Context(), picket.Origin{Input: in.ID, Delivery: delivery}, rows); err != nil {
				b.Fatal(err)
			}
		}
		staged := time.Now()
		o := &picket.RecordObservation{Source: "zones", Scope: "org.zone", Method: picket.MethodFile, Time: staged, Whole: true}
		if err := s.CommitIntake(b.Context(), &picket.IntakeCommit{Input: in.ID, Delivery: delivery, Closed: delivery, Records: o}); err != nil {
			b.Fatal(err)
		}
		return staged.Sub(start), time.Since(staged)
	}
	staging, applying := observe(0)
	b.ReportMetric(staging.Seconds(), "first-staging-s")
	b.ReportMetric(applying.Seconds(), "first-applying-s")
	for b.Loop() {
		staging, applying = observe(10)
	}
	b.ReportMetric(staging.Seconds(), "staging-s")
	b.ReportMetric(applying.Seconds(), "applying-s")
	_, lives, err := s.Lives(b.Context(), picket.HistoryFilter{})
	if err != nil || lives != n+10*(delivery-1) {
		b.Errorf("%d lives after %d observations, %v", lives, delivery, err)
	}
}
