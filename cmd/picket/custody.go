package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// custodian changes what is kept, and says whose a pseudonym is: a store, or whoever holds it.
type custodian interface {
	placeHold(ctx context.Context, h picket.Hold) (picket.Hold, error)
	releaseHold(ctx context.Context, r holdRelease) error
	reidentify(ctx context.Context, r reidentifyRequest) ([]revealed, error)
}

// holdRelease asks for the release of a hold.
type holdRelease struct {
	ID       int64  `json:"id"`
	Reason   string `json:"reason"`
	SudoUser string `json:"sudo_user,omitempty"` // see peer
}

// custody is the custodian of a store that this process has open.
type custody struct {
	store   *duckdb.Store
	cfg     config
	privacy *privacy
	who     person
}

func (c custody) placeHold(ctx context.Context, h picket.Hold) (picket.Hold, error) {
	h.By = c.who.text()
	return c.store.PlaceHold(ctx, h)
}

func (c custody) releaseHold(ctx context.Context, r holdRelease) error {
	return c.store.ReleaseHold(ctx, r.ID, c.who.text(), r.Reason)
}

// text names the person, with the account where it is another.
func (p person) text() string {
	if p.As != "" {
		return p.Name + " (as " + p.As + ")"
	}
	return p.Name
}

// custody adds what the control socket is asked about custody.
func (c *control) custody(answer func(pattern string, f func(*http.Request) (any, error))) {
	of := func(r *http.Request, sudoUser string) custody {
		return custody{c.d.store, c.d.cfg, c.d.privacy, peer(r.Context(), sudoUser)}
	}
	read := func(r *http.Request, dst any) error {
		if err := json.NewDecoder(r.Body).Decode(dst); err != nil {
			return badRequest{fmt.Errorf("body: %w", err)}
		}
		return nil
	}
	answer("POST /holds", func(r *http.Request) (any, error) {
		var h struct {
			picket.Hold
			SudoUser string `json:"sudo_user"`
		}
		if err := read(r, &h); err != nil {
			return nil, err
		}
		return of(r, h.SudoUser).placeHold(r.Context(), h.Hold)
	})
	answer("POST /holds/release", func(r *http.Request) (any, error) {
		var h holdRelease
		if err := read(r, &h); err != nil {
			return nil, err
		}
		return struct{}{}, of(r, h.SudoUser).releaseHold(r.Context(), h)
	})
	answer("POST /reidentify", func(r *http.Request) (any, error) {
		var q reidentifyRequest
		if err := read(r, &q); err != nil {
			return nil, err
		}
		list, err := of(r, q.SudoUser).reidentify(r.Context(), q)
		if err != nil {
			c.d.log.Warn("re-identification refused or failed", "by", peer(r.Context(), q.SudoUser).text(), "role", safeText(q.Role), "case", safeText(q.Case), "error", err)
		}
		return list, err
	})
}

func (c *controlClient) placeHold(ctx context.Context, h picket.Hold) (out picket.Hold, err error) {
	return out, c.ask(ctx, http.MethodPost, "/holds", struct {
		picket.Hold
		SudoUser string `json:"sudo_user,omitempty"`
	}{h, os.Getenv("SUDO_USER")}, &out)
}

func (c *controlClient) releaseHold(ctx context.Context, r holdRelease) error {
	r.SudoUser = os.Getenv("SUDO_USER")
	return c.ask(ctx, http.MethodPost, "/holds/release", r, &struct{}{})
}

func (c *controlClient) reidentify(ctx context.Context, r reidentifyRequest) (list []revealed, err error) {
	r.SudoUser = os.Getenv("SUDO_USER")
	return list, c.ask(ctx, http.MethodPost, "/reidentify", r, &list)
}

// openCustody asks the running daemon, or opens the store when there is none.
func openCustody(ctx context.Context, cfg config) (custodian, func(), error) {
	client := newControlClient(cfg)
	_, err := client.accounts(ctx)
	if err == nil {
		return client, func() {}, nil
	}
	if !errors.Is(err, errNotRunning) {
		return nil, nil, err
	}
	s, err := duckdb.Open(ctx, duckdb.Options{Dir: cfg.DataDir})
	if errors.Is(err, duckdb.ErrLocked) {
		return nil, nil, doesNotAnswer(client.path)
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := openPrivacy(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return custody{s, cfg, p, self()}, func() { s.Close() }, nil
}

// withCustody runs f for a command.
func withCustody(ctx context.Context, path string, f func(custodian) error) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	c, shut, err := openCustody(ctx, cfg)
	if err != nil {
		return &exitError{exitSome, err}
	}
	defer shut()
	if err := f(c); err != nil {
		return &exitError{exitSome, err}
	}
	return nil
}
