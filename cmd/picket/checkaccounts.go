package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// accounts asks for the inputs' accounts, of the running daemon or of the store, and
// returns what prints them.
func (c *checker) accounts(ctx context.Context) func() {
	r, running, shut, err := openInputs(ctx, c.cfg)
	c.running = running
	if errors.Is(err, os.ErrNotExist) {
		return func() { c.ok("accounts", "nothing received yet: picket has not run on this data directory") }
	}
	if err != nil {
		return func() { c.warn("accounts", err.Error()) }
	}
	defer shut()
	list, err := r.accounts(ctx)
	if err != nil {
		return func() { c.warn("accounts", err.Error()) }
	}
	return func() {
		if running {
			c.ok("accounts", "as the running daemon has them")
		} else {
			c.ok("accounts", "as the store has them; picket is not running")
		}
		names := map[string]bool{}
		for i := range c.cfg.Inputs {
			names[c.cfg.Inputs[i].Name] = true
		}
		known := map[string]bool{}
		for i := range list {
			known[list[i].Name] = true
			c.account(&list[i], names[list[i].Name])
		}
		for i := range c.cfg.Inputs {
			if name := c.cfg.Inputs[i].Name; !known[name] {
				c.ok("account "+safeText(name), "nothing received yet")
			}
		}
	}
}

// account prints one input's account. It does not fail: what was rejected or lost is
// for the operator to judge.
func (c *checker) account(a *inputAccount, configured bool) {
	what := "account " + safeText(a.Name)
	text := fmt.Sprintf("received %d = accepted %d + rejected %s + dropped %s; skipped %s", a.Received, a.Counts.Accepted,
		outcome(a.Counts.Rejected), outcome(a.Counts.Dropped), outcome(a.Counts.Skipped))
	if a.Received == 0 && len(a.Counts.Skipped) == 0 {
		text = "nothing received yet"
	}
	if a.Counts.LastSeen != 0 {
		text += "; last event " + time.Unix(0, a.Counts.LastSeen).UTC().Format(time.RFC3339)
	}
	if a.Positions > 0 {
		text += fmt.Sprintf("; positions %d", a.Positions)
	}
	if a.Quarantine.Records > 0 {
		text += fmt.Sprintf("; quarantine %d", a.Quarantine.Records)
	}
	if !configured {
		text += "; not in the configuration any more"
	}
	if len(a.Counts.Rejected)+len(a.Counts.Dropped) > 0 {
		c.warn(what, text)
	} else {
		c.ok(what, text)
	}
	if a.Error != "" {
		c.warn(what, "it says: "+safeText(a.Error))
	}
	for _, n := range a.Notes {
		c.warn(what, safeText(n))
	}
}
