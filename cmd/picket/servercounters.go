package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// Bounds of one reading of a server's counters.
const (
	countersTimeout = 10 * time.Second
	countersMost    = 16 << 20 // bytes
)

// counterNames are what is added up unless the configuration names something else.
// A name of bind-json is a path of keys.
var counterNames = map[string][]string{
	"bind-json":  {"opcodes.QUERY"},
	"prometheus": {"bind_incoming_requests_total", "nsd_queries_total", "knot_server_queries_total", "coredns_dns_requests_total", "pdns_auth_udp_queries", "pdns_auth_tcp_queries"},
	"nsd":        {"num.queries"},
}

// counterReader polls what one server counts, and keeps the increase by minutes.
type counterReader struct {
	server string // with trailing dot
	cfg    counterConfig
	keep   func(context.Context, []picket.ServerCount) error
	log    *slog.Logger
	client *http.Client

	last    float64
	known   bool // last is one
	pending map[time.Time]int64
	failed  string // last failure, logged once
}

func newCounterReader(s *serverConfig, keeper picket.CoverageKeeper, log *slog.Logger) *counterReader {
	c := *s.Counters
	if c.Poll == 0 {
		c.Poll = time.Minute
	}
	if len(c.Names) == 0 {
		c.Names = counterNames[c.Format]
	}
	return &counterReader{server: apexOf(s.Name), cfg: c, keep: keeper.PutServerCounts, log: log, pending: map[time.Time]int64{},
		client: &http.Client{Timeout: countersTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // only the address that is configured is asked
		}}}
}

// run polls until ctx ends.
func (r *counterReader) run(ctx context.Context) {
	t := time.NewTicker(r.cfg.Poll)
	defer t.Stop()
	defer r.client.CloseIdleConnections()
	for {
		if err := r.poll(ctx, time.Now()); err != nil && ctx.Err() == nil && err.Error() != r.failed {
			r.failed = err.Error()
			r.log.Warn("read a name server's counters", "server", r.server, "error", err)
		} else if err == nil {
			r.failed = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// poll reads the counters once.
func (r *counterReader) poll(ctx context.Context, now time.Time) error {
	b, err := r.read(ctx)
	if err != nil {
		r.known = false // what was counted meanwhile may be of several minutes
		return err
	}
	v, err := parseCounters(r.cfg.Format, b, r.cfg.Names)
	if err != nil {
		r.known = false
		return err
	}
	return r.take(ctx, now, v)
}

// take adds what a counter has grown by. One that went back began anew: then what
// it says is what it has counted since.
func (r *counterReader) take(ctx context.Context, now time.Time, v float64) error {
	grown := v - r.last
	switch {
	case !r.known:
		r.last, r.known = v, true
		return nil
	case grown < 0:
		grown = v
	}
	r.last = v
	r.pending[now.Add(-r.cfg.Poll/2).UTC().Truncate(time.Minute)] += int64(math.Round(grown))
	list := make([]picket.ServerCount, 0, len(r.pending))
	for at, n := range r.pending {
		list = append(list, picket.ServerCount{Start: at, Server: r.server, Queries: n})
	}
	if err := r.keep(ctx, list); err != nil {
		return fmt.Errorf("store what %s counted: %w", r.server, err)
	}
	clear(r.pending)
	return nil
}

func (r *counterReader) read(ctx context.Context) ([]byte, error) {
	if r.cfg.File != "" {
		f, err := os.Open(r.cfg.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, countersMost))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cfg.URL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", r.cfg.URL, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, countersMost))
}

// parseCounters adds up the named counters. That none is there is an error: a
// server that counts nothing is not one that counts zero.
func parseCounters(format string, b []byte, names []string) (float64, error) {
	var sum float64
	found := false
	add := func(v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 {
			sum += v
			found = true
		}
	}
	switch format {
	case "bind-json":
		var doc any
		if err := json.Unmarshal(b, &doc); err != nil {
			return 0, fmt.Errorf("counters are no JSON: %w", err)
		}
		for _, n := range names {
			if v, ok := atPath(doc, strings.Split(n, ".")); ok {
				add(v)
			}
		}
	default:
		s := bufio.NewScanner(bytes.NewReader(b))
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			name, value, ok := counterLine(format, s.Text())
			if !ok || !slices.Contains(names, name) {
				continue
			}
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				add(v)
			}
		}
		if err := s.Err(); err != nil {
			return 0, fmt.Errorf("read counters: %w", err)
		}
	}
	if !found {
		return 0, errors.New("none of the counters is there: " + strings.Join(names, ", "))
	}
	return sum, nil
}

// counterLine cuts NAME=VALUE, or NAME{LABELS} VALUE of Prometheus' text format.
func counterLine(format, line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if format == "nsd" {
		return strings.Cut(line, "=")
	}
	if line == "" || line[0] == '#' {
		return "", "", false
	}
	rest := line
	if i := strings.IndexByte(line, '{'); i >= 0 {
		end := strings.LastIndexByte(line, '}')
		if end < i {
			return "", "", false
		}
		name, rest = line[:i], line[end+1:]
	} else {
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			return "", "", false
		}
		name, rest = line[:i], line[i:]
	}
	f := strings.Fields(rest) // value, and maybe a time
	if len(f) == 0 {
		return "", "", false
	}
	return name, f[0], true
}

// atPath is a number in a document.
func atPath(doc any, path []string) (float64, bool) {
	for _, key := range path {
		m, ok := doc.(map[string]any)
		if !ok {
			return 0, false
		}
		doc = m[key]
	}
	v, ok := doc.(float64)
	return v, ok
}

// startCounters polls the counters of all servers that have some.
func (d *daemon) startCounters(ctx context.Context, keeper picket.CoverageKeeper, running *sync.WaitGroup) {
	for i := range d.cfg.Servers {
		if d.cfg.Servers[i].Counters != nil {
			r := newCounterReader(&d.cfg.Servers[i], keeper, d.log)
			running.Go(func() { r.run(ctx) })
		}
	}
}
