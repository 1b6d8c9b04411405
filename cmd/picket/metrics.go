package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/picket-dns/picket"
)

// metrics are what /metrics shows. Counts that the daemon's parts keep themselves
// are read when somebody asks.
type metrics struct {
	reg      *prometheus.Registry
	findings *prometheus.CounterVec
	store    *prometheus.HistogramVec
	failures *prometheus.CounterVec
	seen     map[string]struct{} // findings counted; used by the collector goroutine only
}

// seenMost bounds the findings remembered as counted.
const seenMost = 100_000

func newMetrics() *metrics {
	m := &metrics{
		reg: prometheus.NewRegistry(),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_findings_total", Help: "Findings raised."}, []string{"detector", "severity"}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "picket_store_seconds", Help: "Time of store operations, from call to return.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"operation"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picket_store_errors_total", Help: "Store operations that failed."}, []string{"operation"}),
		seen: make(map[string]struct{}),
	}
	m.reg.MustRegister(m.findings, m.store, m.failures, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{})
}

func (m *metrics) observeStore(op string, d time.Duration, err error) {
	m.store.WithLabelValues(op).Observe(d.Seconds())
	if err != nil {
		m.failures.WithLabelValues(op).Inc()
	}
}

// countFinding counts each finding once, with the severity it was raised with.
func (m *metrics) countFinding(f *picket.Finding) {
	if _, ok := m.seen[f.ID]; ok {
		return
	}
	if len(m.seen) >= seenMost {
		clear(m.seen)
	}
	m.seen[f.ID] = struct{}{}
	m.findings.WithLabelValues(f.Detector, f.Severity.String()).Inc()
}

// watch adds what is read from the daemon's parts.
func (m *metrics) watch(d *daemon) { m.reg.MustRegister(&daemonCollector{d: d}) }

var (
	descReceived = prometheus.NewDesc("picket_input_received_total", "Records received: accepted, rejected and dropped together.", []string{"input"}, nil)
	descDropped  = prometheus.NewDesc("picket_input_dropped_total", "Records lost before they could be looked at, by reason.", []string{"input", "reason"}, nil)
	descAccepted = prometheus.NewDesc("picket_input_accepted_total", "Records that yielded telemetry.", []string{"input"}, nil)
	descRejected = prometheus.NewDesc("picket_input_rejected_total", "Records that could not be read, by reason.", []string{"input", "reason"}, nil)
	descSkipped  = prometheus.NewDesc("picket_input_skipped_total", "Records that are no telemetry of the input's kind, by reason.", []string{"input", "reason"}, nil)
	descLag      = prometheus.NewDesc("picket_input_lag_seconds", "Wall clock minus the newest event time.", []string{"input"}, nil)
	descKept     = prometheus.NewDesc("picket_quarantine_records", "Rejected records that are kept and can be replayed.", []string{"input"}, nil)
	descDepth    = prometheus.NewDesc("picket_shard_queue_batches", "Batches waiting at a shard.", []string{"shard"}, nil)
	descQueries  = prometheus.NewDesc("picket_queries_total", "Queries that went through the detectors.", nil, nil)
	descSources  = prometheus.NewDesc("picket_detect_sources", "Source-and-zone pairs remembered.", []string{"shard"}, nil)
	descSuspects = prometheus.NewDesc("picket_detect_suspects", "Pairs with full state.", []string{"shard"}, nil)
	descOpen     = prometheus.NewDesc("picket_detect_open_findings", "Findings whose episode is open.", []string{"shard"}, nil)
	descEvicted  = prometheus.NewDesc("picket_detect_evictions_total", "States given up to stay within the budget.", []string{"shard", "state"}, nil)
	descZones    = prometheus.NewDesc("picket_zones", "Zones watched, and zones inferred from traffic.", []string{"kind"}, nil)
)

// daemonCollector reads the daemon's parts at scrape time.
type daemonCollector struct{ d *daemon }

// Describe implements prometheus.Collector.
func (c *daemonCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReceived, descAccepted, descRejected, descSkipped, descDropped, descKept, descLag, descDepth, descQueries, descSources, descSuspects, descOpen, descEvicted, descZones} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *daemonCollector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter(descQueries, c.d.rec.Queries())
	for i, e := range c.d.rec.engines {
		shard, s := strconv.Itoa(i), e.Stats()
		gauge(descDepth, float64(c.d.rec.pipe.Depth(i)), shard)
		gauge(descSources, float64(s.Sources), shard)
		gauge(descSuspects, float64(s.Suspects), shard)
		gauge(descOpen, float64(s.Open), shard)
		counter(descEvicted, s.EvictedSources, shard, "source")
		counter(descEvicted, s.EvictedSuspects, shard, "suspect")
	}
	st := c.d.know.catalog.Stats()
	gauge(descZones, float64(st.Zones), "watched")
	gauge(descZones, float64(st.Inferred), "inferred")
	sizes, err := c.d.store.QuarantineSizes(context.Background())
	for _, in := range c.d.inputs {
		s, _ := in.status()
		if err == nil { // else picket_store_errors_total says so
			gauge(descKept, float64(sizes[s.Name].Records), s.Name)
		}
		counter(descReceived, s.Received, s.Name)
		counter(descAccepted, s.Accepted, s.Name)
		for reason, n := range s.Dropped {
			counter(descDropped, n, s.Name, reason)
		}
		for reason, n := range s.Rejected {
			counter(descRejected, n, s.Name, reason)
		}
		for reason, n := range s.Skipped {
			counter(descSkipped, n, s.Name, reason)
		}
		if !s.LastEvent.IsZero() {
			gauge(descLag, time.Since(s.LastEvent).Seconds(), s.Name)
		}
	}
}
