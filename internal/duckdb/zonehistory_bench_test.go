package duckdb

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

var (
	benchRecords = flag.Int("history.records", 1_000_000, "records of the zone that is looked at again")
	benchSteps   = flag.Int("history.observations", 2_000, "small observations")
	benchZone    = flag.Int("history.zone", 200, "records of the zone that is observed often")
)

// benchRow is a record of a zone of many.
func benchRow(j int, data string) picket.Record {
	return picket.Record{Zone: "example.org.", Name: fmt.Sprintf("host-%07d.example.org.", j), Type: "A", Class: "IN", TTL: 3600, Data: data}
}

// benchHistory opens a store with an input.
func benchHistory(b *testing.B) (s *Store, input uint32) {
	s = openTest(b, b.TempDir())
	in, err := s.OpenInput(b.Context(), "zones", true)
	if err != nil {
		b.Fatal(err)
	}
	return s, in.ID
}

// BenchmarkObserveMillion measures how long a zone of a million records takes that
// is looked at again, when ten of them have changed: staging apart from applying,
// both within the usual bound of memory.
func BenchmarkObserveMillion(b *testing.B) {
	s, input := benchHistory(b)
	n, delivery := *benchRecords, int64(0)
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
				rows = append(rows, benchRow(j, data))
			}
			if err := s.AppendRecords(b.Context(), picket.Origin{Input: input, Delivery: delivery}, rows); err != nil {
				b.Fatal(err)
			}
		}
		staged := time.Now()
		o := &picket.RecordObservation{Source: "zones", Scope: "org.zone", Method: picket.MethodFile, Time: staged, Whole: true}
		if err := s.CommitIntake(b.Context(), &picket.IntakeCommit{Input: input, Delivery: delivery, Closed: delivery, Records: o}); err != nil {
			b.Fatal(err)
		}
		return staged.Sub(start), time.Since(staged)
	}
	first, firstApplying := observe(0)
	var staging, applying time.Duration
	for b.Loop() {
		staging, applying = observe(10)
	}
	b.ReportMetric(first.Seconds(), "first-staging-s")
	b.ReportMetric(firstApplying.Seconds(), "first-applying-s")
	b.ReportMetric(staging.Seconds(), "staging-s")
	b.ReportMetric(applying.Seconds(), "applying-s")
	b.ReportMetric(peakMiB(), "peak-MiB")
	_, lives, err := s.Lives(b.Context(), picket.HistoryFilter{})
	if err != nil || lives != int64(n)+10*(delivery-1) {
		b.Errorf("%d lives after %d observations, %v", lives, delivery, err)
	}
}

// BenchmarkObserveOften measures one small observation among many: of the whole
// of a small zone in which one record has changed, and of the change alone, as the
// history of a repository tells it.
func BenchmarkObserveOften(b *testing.B) {
	for _, whole := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			s, input := benchHistory(b)
			zone := make([]picket.Record, *benchZone)
			for i := range zone {
				zone[i] = benchRow(i, "192.0.2.1")
			}
			delivery, begin := int64(0), time.Now()
			observe := func(o picket.RecordObservation, rows []picket.Record) {
				delivery++
				o.Source, o.Scope, o.Time = "zones", "org.zone", begin.Add(time.Duration(delivery)*time.Second)
				if err := s.AppendRecords(b.Context(), picket.Origin{Input: input, Delivery: delivery}, rows); err != nil {
					b.Fatal(err)
				}
				k := &picket.IntakeCommit{Input: input, Delivery: delivery, Closed: delivery, Records: &o, Add: picket.InputCounts{Accepted: int64(len(rows))},
					Positions: map[string][]byte{"stream": fmt.Append(nil, delivery)}}
				if err := s.CommitIntake(b.Context(), k); err != nil {
					b.Fatal(err)
				}
			}
			observe(picket.RecordObservation{Method: picket.MethodFile, Whole: true}, zone)
			for b.Loop() {
				start := time.Now()
				for i := range *benchSteps {
					r := &zone[i%len(zone)]
					before := *r
					r.Data = fmt.Sprintf("198.51.%d.%d", i/250, i%250)
					if whole {
						observe(picket.RecordObservation{Method: picket.MethodFile, Whole: true}, zone)
						continue
					}
					after := *r
					before.Change, after.Change = picket.ChangeRemove, picket.ChangeAdd
					observe(picket.RecordObservation{Method: picket.MethodGit, Author: "A. Uthor", Commit: "c0ffee", Comment: "why"}, []picket.Record{before, after})
				}
				b.ReportMetric(float64(time.Since(start).Microseconds())/1000/float64(*benchSteps), "ms/observation")
			}
			_, changes, err := s.Changes(b.Context(), picket.HistoryFilter{})
			if err != nil || changes != int64(*benchSteps)*int64(b.N) {
				b.Errorf("%d changes, %v", changes, err)
			}
		})
	}
}

// peakMiB is the most memory that the process has had, where the system says it.
func peakMiB() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscan(rest, &kib)
	return kib / 1024
}
