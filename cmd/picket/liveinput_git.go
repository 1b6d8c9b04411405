package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// ticketTrailers are the trailers of a commit that name what asked for it.
var ticketTrailers = []string{"Ticket", "Issue", "Refs", "Change-Request", "Closes", "Fixes"}

// history takes the history of DNS as code: what each commit did to the records.
// How far it was taken is stored with each commit's records.
func (in *liveInput) history(ctx context.Context, running *sync.WaitGroup) error {
	running.Go(func() {
		for {
			switch err := in.takeHistory(ctx); {
			case ctx.Err() != nil:
				return
			case err != nil:
				in.fail(err)
			default:
				in.fine()
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(in.cfg.Git.Poll):
			}
		}
	})
	return nil
}

// takeHistory takes what has been added since the last time.
func (in *liveInput) takeHistory(ctx context.Context) error {
	c := in.cfg.Git
	key := "git:" + c.Branch
	var s *intake.Stream // of the commit at hand, nil between commits
	h := &gitHistory{
		ctx: ctx, format: in.cfg.Format, options: in.options, use: in.use, fail: in.fail,
		sink: func() gitSink {
			if s == nil {
				s = in.desk.Stream(intake.StreamConfig{Name: key})
			}
			return s
		},
	}
	h.done = func(c *transport.GitCommit) error {
		h.sink()
		done := s
		s = nil
		done.Observe(picket.RecordObservation{Source: in.cfg.Name, Method: picket.MethodGit, Time: c.Time, Author: c.Author, Commit: c.Hash, Comment: c.Subject})
		return in.commit(ctx, done, map[string][]byte{key: []byte(c.Hash)})
	}
	_, err := transport.Git(ctx, transport.GitConfig{Path: c.Repository, Branch: c.Branch, Globs: c.Files, Since: string(in.desk.Position(key))}, h)
	if s != nil {
		err = errors.Join(err, s.Abandon(context.WithoutCancel(ctx)))
	}
	return err
}

// gitSink takes what a history brings, and its account.
type gitSink interface {
	picket.Accounting
	picket.RecordSink
}

// gitHistory turns what commits did to files into what they did to records. It
// implements transport.GitHandler.
type gitHistory struct {
	ctx     context.Context
	format  string // or auto
	options func(name string) decode.Options
	use     func(input.Format)
	fail    func(error)
	sink    func() gitSink
	done    func(c *transport.GitCommit) error

	added []picket.Record // by the commit at hand
}

// GitFile implements transport.GitHandler.
func (h *gitHistory) GitFile(c *transport.GitCommit, f *transport.GitFile) error {
	s := h.sink()
	if f.TooLarge {
		s.Reject("file too large", picket.Position{})
		return nil
	}
	oldPath := f.OldPath
	if oldPath == "" {
		oldPath = f.Path
	}
	old, err := h.records(oldPath, f.Old)
	if err != nil {
		old = nil // it was said when that version was new
	}
	now, err := h.records(f.Path, f.New)
	switch {
	case errors.Is(err, errNoRecords):
		s.Skip("file without records")
		return nil
	case err != nil:
		h.fail(fmt.Errorf("%s at %s: %w", f.Path, c.Hash, err))
		s.Reject(reasonUnreadable, picket.Position{})
		return nil
	}
	sensor := h.options("").Sensor
	for _, r := range record.Diff(old, now) {
		r.Time, r.Commit, r.Author, r.Comment, r.Sensor = c.Time, c.Hash, c.Author, c.Subject, sensor
		if t := c.Trailer(ticketTrailers...); t != "" {
			r.Comment += " [" + t + "]"
		}
		r.Source = f.Path + ":" + strings.TrimPrefix(r.Source, path.Base(f.Path)+":")
		if r.Change == picket.ChangeAdd {
			if c.Boundary { // it was there before, nobody knows since when
				r.Change = picket.ChangePresent
			}
			h.added = append(h.added, r)
			continue
		}
		s.Accept(c.Time.UnixNano())
		if err := s.Record(&r); err != nil {
			return err
		}
	}
	return nil
}

// GitCommit implements transport.GitHandler. What a commit has removed from one
// file and added to another comes in that order, so that it is still there.
func (h *gitHistory) GitCommit(c *transport.GitCommit) error {
	s := h.sink()
	for i := range h.added {
		s.Accept(c.Time.UnixNano())
		if err := s.Record(&h.added[i]); err != nil {
			return err
		}
	}
	h.added = nil
	return h.done(c)
}

var errNoRecords = errors.New("no format of records")

// records decodes one version of a file. Its own accounting is dropped: what
// counts is the difference.
func (h *gitHistory) records(name string, content []byte) ([]picket.Record, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	fm, r, err := input.Open(bytes.NewReader(content), h.format)
	if err != nil || fm.Kind != picket.KindRecord || fm.Name == formatPlan {
		return nil, errNoRecords
	}
	h.use(fm)
	var c record.Collector
	err = fm.Decode(h.ctx, r, h.options(path.Base(name)), input.NewCounter(), recordsOnly{&c})
	return c.Records, err
}

// recordsOnly is a sink for every kind that takes records.
type recordsOnly struct{ picket.RecordSink }

func (recordsOnly) Query(*picket.Query) error           { return nil }
func (recordsOnly) Sighting(*picket.Sighting) error     { return nil }
func (recordsOnly) AdminEvent(*picket.AdminEvent) error { return nil }
func (recordsOnly) Asset(*picket.Asset) error           { return nil }
func (recordsOnly) Signal(*picket.Signal) error         { return nil }
