package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// keptCounts adds up what is kept. It implements picket.CoverageKeeper.
type keptCounts struct {
	by  map[time.Time]int64
	err error
}

func (k *keptCounts) PutSetup(context.Context, *picket.Setup) error    { return nil }
func (k *keptCounts) NoteRetained(context.Context) error               { return nil }
func (k *keptCounts) Beat(context.Context, time.Time, time.Time) error { return nil }
func (k *keptCounts) PutServerCounts(_ context.Context, list []picket.ServerCount) error {
	if k.err != nil {
		return k.err
	}
	for _, c := range list {
		if c.Server != "ns1.example.com." {
			return errors.New("counts of " + c.Server)
		}
		k.by[c.Start] += c.Queries
	}
	return nil
}

func TestParseCounters(t *testing.T) {
	for _, x := range []struct {
		format, text string
		names        []string
		want         float64
		bad          bool
	}{
		{"bind-json", `{"json-stats-version":"1.7","opcodes":{"QUERY":1234,"NOTIFY":3}}`, nil, 1234, false},
		{"bind-json", `{"opcodes":{"QUERY":1},"nsstats":{"Requestv4":7}}`, []string{"opcodes.QUERY", "nsstats.Requestv4"}, 8, false},
		{"bind-json", `{"opcodes":"QUERY"}`, nil, 0, true},
		{"bind-json", `<html>`, nil, 0, true},
		{"prometheus", "# HELP x y\nbind_incoming_requests_total{name=\"a } b\"} 3 1700000000\nbind_incoming_requests_total{name=\"c\"} 4\nother 9\n", nil, 7, false},
		{"prometheus", "queries 1.5e3\n", []string{"queries"}, 1500, false},
		{"prometheus", "queries NaN\nqueries{\nqueries\n}{ 5\n", []string{"queries"}, 0, true},
		{"nsd", "server0.queries=10\nnum.queries=25\nnum.udp=20\n", nil, 25, false},
		{"nsd", "num.queries=-4\n", nil, 0, true},
		{"nsd", "", nil, 0, true},
	} {
		names := x.names
		if names == nil {
			names = counterNames[x.format]
		}
		got, err := parseCounters(x.format, []byte(x.text), names)
		if got != x.want && err == nil || (err != nil) != x.bad {
			t.Errorf("%s %q: %v, %v; want %v", x.format, x.text, got, err, x.want)
		}
	}
}

func TestServerCounters(t *testing.T) {
	says := `{"opcodes":{"QUERY":1000}}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(says))
	}))
	defer srv.Close()
	kept := &keptCounts{by: map[time.Time]int64{}}
	r := newCounterReader(&serverConfig{Name: "NS1.example.com", Counters: &counterConfig{URL: srv.URL, Format: "bind-json"}}, kept, slog.New(slog.DiscardHandler))
	minute := time.Date(2026, 3, 17, 14, 0, 0, 0, time.UTC)
	poll := func(at time.Duration, text string) error {
		t.Helper()
		says = text
		return r.poll(t.Context(), minute.Add(at))
	}
	for _, x := range []struct {
		at   time.Duration
		text string
	}{{0, says}, {time.Minute, `{"opcodes":{"QUERY":1060}}`}, {2 * time.Minute, `{"opcodes":{"QUERY":25}}`}} { // it was started anew
		if err := poll(x.at, x.text); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept.by) != 2 || kept.by[minute] != 60 || kept.by[minute.Add(time.Minute)] != 25 {
		t.Errorf("counts %v, want 60 and 25", kept.by)
	}
	// What cannot be stored is stored with the next.
	kept.err = errors.New("full")
	if err := poll(3*time.Minute, `{"opcodes":{"QUERY":30}}`); err == nil {
		t.Error("no error of the store")
	}
	kept.err = nil
	if err := poll(4*time.Minute, `{"opcodes":{"QUERY":31}}`); err != nil || kept.by[minute.Add(2*time.Minute)] != 5 || kept.by[minute.Add(3*time.Minute)] != 1 {
		t.Errorf("counts %v, %v; want 5 and 1 more", kept.by, err)
	}
	// After a failure the next reading begins anew.
	if err := poll(5*time.Minute, `{}`); err == nil {
		t.Error("no error without the counter")
	}
	if err := poll(60*time.Minute, `{"opcodes":{"QUERY":9031}}`); err != nil || len(kept.by) != 4 {
		t.Errorf("counts %v, %v; want none of the hour that was not read", kept.by, err)
	}
	r.cfg.URL = srv.URL + "/moved"
	if err := r.poll(t.Context(), minute); err == nil {
		t.Error("a redirection is followed: only the address that is configured shall be asked")
	}
}

func TestServerCountersOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats")
	kept := &keptCounts{by: map[time.Time]int64{}}
	r := newCounterReader(&serverConfig{Name: "ns1.example.com", Counters: &counterConfig{File: path, Format: "nsd"}}, kept, slog.New(slog.DiscardHandler))
	now := time.Date(2026, 3, 17, 14, 0, 30, 0, time.UTC)
	if err := r.poll(t.Context(), now); err == nil {
		t.Error("no error without the file")
	}
	for _, text := range []string{"num.queries=5\n", "num.queries=12\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.poll(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	var all []int64
	for _, n := range kept.by {
		all = append(all, n)
	}
	if !slices.Equal(all, []int64{7}) {
		t.Errorf("counts %v, want 7", kept.by)
	}
}
