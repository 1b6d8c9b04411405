package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/picket-dns/picket"
)

// controlName is the socket, in the data directory, at which the running daemon is
// told what the read-only console is not told. Its user alone may open it.
const controlName = "control.sock"

// control answers at the control socket, in JSON over HTTP:
//
//	GET  /api/..., /pdns/...                         what the console's address answers, too
//	GET  /inputs                                    the inputs' accounts
//	GET  /quarantine?input=&after=&limit=           records that are kept
//	GET  /quarantine/{id}                           one of them
//	POST /quarantine/replay {"input","ids","all"}   decodes them once more
//	POST /quarantine/release {"input","ids","all"}  gives them up
//	POST /holds {"kind","since","until","reason"}   places a legal hold
//	POST /holds/release {"id","reason"}             releases it
//	POST /reidentify {"case","role","reason","addresses"}  says whose a pseudonym is
type control struct {
	d    *daemon
	busy sync.WaitGroup

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by input: one replay or release at a time
}

// serveControl answers at the control socket until ctx is done and what was begun
// has ended. Without the socket the daemon does everything else.
func (d *daemon) serveControl(ctx context.Context, running *sync.WaitGroup) {
	path := filepath.Join(d.cfg.DataDir, controlName)
	l, err := listenControl(ctx, path)
	if err != nil {
		d.log.Warn("no control socket: picket quarantine and the accounts in picket check need it", "path", path, "error", err)
		return
	}
	c := &control{d: d, locks: map[string]*sync.Mutex{}}
	srv := &http.Server{
		Handler: c.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: withPeer,
	}
	running.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("control socket", "error", err)
		}
	})
	running.Go(func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			_ = srv.Close() // somebody does not read the answer
		}
		c.busy.Wait()
	})
}

// listenControl replaces a socket that is left over: whoever holds the store is the
// only daemon of its folder.
func listenControl(ctx context.Context, path string) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c.busy.Add(1)
			defer c.busy.Done()
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			v, err := f(r)
			code := http.StatusOK
			if err != nil {
				v, code = map[string]string{"error": err.Error()}, statusOf(err)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			if err := json.NewEncoder(w).Encode(v); err != nil {
				c.d.log.Debug("control socket", "error", err)
			}
		})
	}
	answer("GET /inputs", func(r *http.Request) (any, error) { return c.d.accounts(r.Context()) })
	c.custody(answer)
	answer("GET /quarantine", c.list)
	answer("GET /quarantine/{id}", func(r *http.Request) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, badRequest{err}
		}
		return storedInputs{c.d.store}.record(r.Context(), id)
	})
	// The API, for the commands that read. Who may open the socket needs no host's name.
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost"
		c.d.console.ServeHTTP(w, r)
	})
	answer("POST /quarantine/replay", func(r *http.Request) (any, error) { return c.change(r, c.replay) })
	answer("POST /quarantine/release", func(r *http.Request) (any, error) { return c.change(r, c.release) })
	return mux
}

// badRequest is an error of who asks.
type badRequest struct{ error }

func statusOf(err error) int {
	var bad badRequest
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, picket.ErrNotFound):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// accounts are those of the store, with what the running inputs have counted since.
func (d *daemon) accounts(ctx context.Context) ([]inputAccount, error) {
	list, err := storedInputs{d.store}.accounts(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		a := &list[i]
		for _, in := range d.inputs {
			if in.cfg.Name != a.Name {
				continue
			}
			a.Configured, a.Counts = true, in.desk.Counts()
			a.Received = a.Counts.Received()
			st, _ := in.status()
			a.Error, a.Notes = st.Error, st.Notes
		}
	}
	return list, nil
}

func (c *control) list(r *http.Request) (any, error) {
	v := r.URL.Query()
	after, limit := int64(0), 100
	if s := v.Get("after"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, badRequest{fmt.Errorf("after: %w", err)}
		}
		after = n
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, badRequest{fmt.Errorf("limit %q: want a number above 0", s)}
		}
		limit = n
	}
	return storedInputs{c.d.store}.page(r.Context(), v.Get("input"), after, limit)
}
