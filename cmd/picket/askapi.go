package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/web"
)

// webOptions are what the console and the API answer from. The daemon and the
// commands that read use the same.
func webOptions(cfg *config, store *duckdb.Store, watch picket.Watcher, coverage picket.CoverageReporter) web.Options {
	return web.Options{Findings: store, Watch: watch, Quarantine: store, History: store, Sightings: store, Coverage: coverage,
		Retention: retentionReader{store, &cfg.Retention}, Version: version()}
}

// apiReader reads what the API offers: from the running daemon, over its control
// socket, or from the store when there is none.
type apiReader struct {
	client *http.Client
}

// openConfiguredAPI opens the API of a configuration file.
func openConfiguredAPI(ctx context.Context, path string) (*apiReader, func(), error) {
	cfg, err := loadConfig(path)
	if err != nil {
		return nil, nil, &exitError{exitUsage, err}
	}
	api, shut, err := openAPI(ctx, cfg)
	if err != nil {
		return nil, nil, &exitError{exitSome, err}
	}
	return api, shut, nil
}

// openAPI opens the way to the API that there is. Call shut when done.
func openAPI(ctx context.Context, cfg config) (r *apiReader, shut func(), err error) {
	path := filepath.Join(cfg.DataDir, controlName)
	r = &apiReader{client: unixClient(path)}
	resp, err := r.ask(ctx, "/healthz")
	if err == nil {
		resp.Body.Close()
		return r, func() {}, nil
	}
	if !nobodyListens(err) {
		return nil, nil, fmt.Errorf("ask the running daemon: %w", err)
	}
	s, err := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: cfg.DataDir})
	if errors.Is(err, duckdb.ErrLocked) {
		return nil, nil, doesNotAnswer(path)
	}
	if err != nil {
		return nil, nil, err
	}
	console := web.New(webOptions(&cfg, s, notRunning{}, storedReporter(ctx, cfg, s)))
	r.client = &http.Client{Transport: handlerTransport{console}}
	return r, func() {
		_ = console.Close() // it has no streams
		_ = s.Close()
	}, nil
}

// notRunning is the Watcher of a daemon that does not run.
type notRunning struct{}

// Watched implements picket.Watcher.
func (notRunning) Watched(context.Context) (picket.Watched, error) {
	return picket.Watched{Notes: []string{"picket is not running on this data directory"}}, nil
}

// handlerTransport answers requests with a handler of this process.
type handlerTransport struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Host = "localhost"
	pr, pw := io.Pipe()
	w := &pipedAnswer{header: http.Header{}, body: pw, begun: make(chan struct{})}
	go func() {
		t.h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = pw.Close() // never fails
	}()
	<-w.begun
	return &http.Response{StatusCode: w.code, Status: http.StatusText(w.code), Header: w.header, Body: pr, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// pipedAnswer is the http.ResponseWriter of handlerTransport.
type pipedAnswer struct {
	header http.Header
	body   *io.PipeWriter
	code   int
	begun  chan struct{}
}

// Header implements http.ResponseWriter.
func (w *pipedAnswer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pipedAnswer) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
		close(w.begun)
	}
}

// Write implements http.ResponseWriter.
func (w *pipedAnswer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (a *apiReader) ask(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	return a.client.Do(req)
}

// open reads a resource as it comes. What the API refuses is an error with its
// words; picket.ErrNotFound when there is no such thing.
func (a *apiReader) open(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := a.ask(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var p struct {
		Detail string
		Errors []struct{ Message, Location string }
	}
	text := resp.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p); err == nil && p.Detail != "" {
		text = p.Detail
		for _, e := range p.Errors {
			text += "; " + e.Location + ": " + e.Message
		}
	}
	err = errors.New(safeText(text))
	if resp.StatusCode == http.StatusNotFound {
		err = fmt.Errorf("%w: %s", picket.ErrNotFound, safeText(text))
	}
	return nil, err
}

// get reads a resource whole.
func (a *apiReader) get(ctx context.Context, path string, dst any) error {
	body, err := a.open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(dst); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}
