package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// errNotRunning says that nobody answers at the control socket.
var errNotRunning = errors.New("picket is not running on this data directory")

// controlClient asks a running daemon at its control socket. It implements inputReader.
type controlClient struct {
	path string
	http *http.Client
}

func newControlClient(cfg config) *controlClient {
	path := filepath.Join(cfg.DataDir, controlName)
	return &controlClient{path: path, http: unixClient(path)}
}

// unixClient speaks HTTP over a unix socket, whatever host is named.
func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

// nobodyListens reports whether an error says that no process has the socket.
func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// doesNotAnswer is the error for a store that is held by somebody who cannot be asked.
func doesNotAnswer(path string) error {
	return fmt.Errorf("%w, and its control socket %s does not answer: see its log", duckdb.ErrLocked, path)
}

// ask sends a request, with a body when in is not nil, and reads the answer into out.
// The error wraps errNotRunning when there is nobody to ask.
func (c *controlClient) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://picket"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	switch {
	case nobodyListens(err):
		return errNotRunning
	case err != nil:
		return fmt.Errorf("ask the running daemon: %w", err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, 64<<20))
	if resp.StatusCode != http.StatusOK {
		var e struct{ Error string }
		if err := dec.Decode(&e); err != nil || e.Error == "" {
			e.Error = resp.Status
		}
		return fmt.Errorf("the running daemon says: %s", safeText(e.Error))
	}
	if err := dec.Decode(out); err != nil {
		return fmt.Errorf("read the running daemon's answer: %w", err)
	}
	return nil
}

func (c *controlClient) accounts(ctx context.Context) (list []inputAccount, err error) {
	return list, c.ask(ctx, http.MethodGet, "/inputs", nil, &list)
}

func (c *controlClient) page(ctx context.Context, input string, after int64, limit int) (p quarantinePage, err error) {
	v := url.Values{"input": {input}, "after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(limit)}}
	return p, c.ask(ctx, http.MethodGet, "/quarantine?"+v.Encode(), nil, &p)
}

func (c *controlClient) record(ctx context.Context, id int64) (q picket.QuarantinedRecord, err error) {
	return q, c.ask(ctx, http.MethodGet, "/quarantine/"+strconv.FormatInt(id, 10), nil, &q)
}

// openInputs reads from the running daemon, or from the store when there is none.
func openInputs(ctx context.Context, cfg config) (r inputReader, running bool, shut func(), err error) {
	c := newControlClient(cfg)
	_, err = c.accounts(ctx)
	if err == nil {
		return c, true, func() {}, nil
	}
	if !errors.Is(err, errNotRunning) {
		return nil, false, nil, err
	}
	s, err := duckdb.OpenReadOnly(ctx, duckdb.Options{Dir: cfg.DataDir})
	if errors.Is(err, duckdb.ErrLocked) {
		return nil, true, nil, doesNotAnswer(c.path)
	}
	if err != nil {
		return nil, false, nil, err
	}
	return storedInputs{s}, false, func() { s.Close() }, nil
}
