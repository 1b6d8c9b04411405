package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/intake"
)

// quarantineSelection says which quarantined records are meant: those with the ids,
// or all of an input that are kept now.
type quarantineSelection struct {
	Input string  `json:"input,omitempty"` // may be "" with ids
	IDs   []int64 `json:"ids,omitempty"`
	All   bool    `json:"all,omitempty"`
}

// quarantineResult is what became of them.
type quarantineResult struct {
	Records int64              `json:"records"`           // replayed or released
	Counts  picket.InputCounts `json:"counts"`            // what a replay has made of them
	Missing []int64            `json:"missing,omitempty"` // ids that are not kept (any more)
}

// errNotConfigured is about an input that is not in the configuration of the daemon.
var errNotConfigured = errors.New("input is not in the running configuration")

// change applies f to the selected records, portion by portion, input by input.
func (c *control) change(r *http.Request, f func(ctx context.Context, input string, list []picket.QuarantinedRecord) (picket.InputCounts, error)) (any, error) {
	var sel quarantineSelection
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&sel); err != nil {
		return nil, badRequest{err}
	}
	if sel.All == (len(sel.IDs) > 0) || sel.All && sel.Input == "" {
		return nil, badRequest{errors.New("want ids, or an input and all")}
	}
	var res quarantineResult
	apply := func(ctx context.Context, input string, list []picket.QuarantinedRecord) error {
		for len(list) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := intake.Portion(list)
			counts, err := f(context.WithoutCancel(ctx), input, list[:n])
			if err != nil {
				return err
			}
			res.Records += int64(n)
			res.Counts.Add(&counts)
			list = list[n:]
		}
		return nil
	}
	var err error
	if sel.All {
		err = c.all(r.Context(), sel.Input, apply)
	} else {
		res.Missing, err = c.some(r.Context(), sel, apply)
	}
	if err != nil && res.Records > 0 {
		err = fmt.Errorf("after %d records: %w", res.Records, err)
	}
	return res, err
}

// quarantineChange is done to records of one input, whose lock is held.
type quarantineChange func(ctx context.Context, input string, list []picket.QuarantinedRecord) error

// portionMost is how many records are read at once.
const portionMost = 1000

// all applies f to all records of an input that are kept when it begins; what is
// rejected again meanwhile comes after them.
func (c *control) all(ctx context.Context, input string, f quarantineChange) error {
	defer c.lock(input)()
	sizes, err := c.d.store.QuarantineSizes(ctx)
	if err != nil {
		return err
	}
	for after, last := int64(0), sizes[input].Last; after < last; {
		list, err := c.d.store.Quarantined(ctx, input, after, portionMost)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(list, func(q picket.QuarantinedRecord) bool { return q.ID > last }); i >= 0 {
			list = list[:i]
		}
		if len(list) == 0 {
			return nil
		}
		if err := f(ctx, input, list); err != nil {
			return err
		}
		after = list[len(list)-1].ID
	}
	return nil
}

// some applies f to the records with the ids, and returns the ids of none.
func (c *control) some(ctx context.Context, sel quarantineSelection, f quarantineChange) (missing []int64, err error) {
	ids := slices.Clone(sel.IDs)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for part := range slices.Chunk(ids, portionMost) {
		list, err := c.d.store.QuarantinedByID(ctx, part)
		if err != nil {
			return nil, err
		}
		byInput := map[string][]int64{}
		for _, q := range list {
			if sel.Input == "" || sel.Input == q.Input {
				byInput[q.Input] = append(byInput[q.Input], q.ID)
			}
		}
		done := map[int64]bool{}
		for _, name := range sortedKeys(byInput) {
			if err := c.someOf(ctx, name, byInput[name], done, f); err != nil {
				return nil, err
			}
		}
		missing = append(missing, slices.DeleteFunc(slices.Clone(part), func(id int64) bool { return done[id] })...)
	}
	return missing, nil
}

// someOf applies f to records of one input. They are read under its lock: another
// replay may have taken them meanwhile.
func (c *control) someOf(ctx context.Context, input string, ids []int64, done map[int64]bool, f quarantineChange) error {
	defer c.lock(input)()
	list, err := c.d.store.QuarantinedByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, q := range list {
		done[q.ID] = true
	}
	return f(ctx, input, list)
}

// lock takes an input's lock, and returns what gives it back.
func (c *control) lock(input string) func() {
	c.mu.Lock()
	l := c.locks[input]
	if l == nil {
		l = new(sync.Mutex)
		c.locks[input] = l
	}
	c.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// input returns a running input, nil when the configuration has none of the name.
func (c *control) input(name string) *liveInput {
	for _, in := range c.d.inputs {
		if in.cfg.Name == name {
			return in
		}
	}
	return nil
}

// replay decodes records once more, as the input is configured now.
func (c *control) replay(ctx context.Context, name string, list []picket.QuarantinedRecord) (picket.InputCounts, error) {
	in := c.input(name)
	if in == nil {
		return picket.InputCounts{}, badRequest{fmt.Errorf("input %q: %w: its records can only be released", name, errNotConfigured)}
	}
	s := in.desk.Stream(intake.StreamConfig{Name: "quarantine"})
	for _, q := range list {
		in.decodeAgain(ctx, s, q)
	}
	if scope := list[0].Stream; in.cfg.Kafka == nil && in.documents() && !slices.ContainsFunc(list, func(q picket.QuarantinedRecord) bool { return q.Stream != scope }) {
		method := picket.MethodPush
		if in.cfg.File != "" {
			method = picket.MethodFile
		} else if rest := undated(scope); in.cfg.Bucket != nil && rest != scope {
			scope = list[0].Format + " " + rest
		}
		s.Observe(picket.RecordObservation{Source: name, Scope: scope, Method: method, Time: list[0].Time}) // with the document that they were of
	}
	if err := s.CommitReplay(ctx, list); err != nil {
		return picket.InputCounts{}, errors.Join(err, s.Abandon(ctx))
	}
	counts := s.Total()
	s.Close()
	return counts, nil
}

// decodeAgain decodes one record into s. The format is the one that the
// configuration names, else the one that the record was rejected in. No compression
// is taken off: a record was found below it.
func (in *liveInput) decodeAgain(ctx context.Context, s *intake.Stream, q picket.QuarantinedRecord) {
	if len(q.Record) == 0 { // its bytes were not kept
		s.Replay(q, q.Format).End(errRecordNotKept)
		return
	}
	f, known := input.ByName(in.cfg.Format)
	if !known {
		f, known = input.ByName(q.Format)
	}
	if !known {
		f, known = input.Detect(q.Record)
	}
	if !known {
		s.Replay(q, q.Format).End(input.ErrUnknown)
		return
	}
	s.RecordsAsEvents(f.Name == formatPlan)
	r := s.Replay(q, f.Name)
	r.End(f.Decode(ctx, bytes.NewReader(q.Record), in.options(q.Stream), r, s))
}

// release gives records up, also those of inputs that are not configured any more.
func (c *control) release(ctx context.Context, name string, list []picket.QuarantinedRecord) (picket.InputCounts, error) {
	if in := c.input(name); in != nil {
		return picket.InputCounts{}, in.desk.Release(ctx, list)
	}
	states, err := c.d.store.Inputs(ctx)
	if err != nil {
		return picket.InputCounts{}, err
	}
	for _, st := range states {
		if st.Name != name {
			continue
		}
		k := &picket.IntakeCommit{Input: st.ID}
		for _, q := range list {
			k.Release = append(k.Release, q.ID)
		}
		return picket.InputCounts{}, c.d.store.CommitIntake(ctx, k)
	}
	return picket.InputCounts{}, fmt.Errorf("input %q: %w", name, picket.ErrNotFound)
}
