package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// ticketTrailers are the trailers of a commit that name what asked for it.
var ticketTrailers = []string{"Ticket", "Issue", "Refs", "Change-Request", "Closes", "Fixes"}

// history takes the history of DNS as code: what each commit did to the records.
// How far it was taken is stored with each commit's records.
func (in *liveInput) history(ctx context.Context, running *sync.WaitGroup) error {
	key := "git:" + in.cfg.Git.Branch
	running.Go(func() {
		for {
			h := &gitHistory{in: in, ctx: ctx, key: key}
			_, err := transport.Git(ctx, transport.GitConfig{
				Path: in.cfg.Git.Repository, Branch: in.cfg.Git.Branch, Globs: in.cfg.Git.Files, Since: string(in.desk.Position(key)),
			}, h)
			if h.s != nil {
				err = errors.Join(err, h.s.Abandon(context.WithoutCancel(ctx)))
			}
			switch {
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

// gitHistory implements transport.GitHandler for one reading.
type gitHistory struct {
	in  *liveInput
	ctx context.Context
	key string
	s   *intake.Stream // of the commit at hand, nil between commits
}

func (h *gitHistory) stream() *intake.Stream {
	if h.s == nil {
		h.s = h.in.desk.Stream(intake.StreamConfig{Name: h.key})
	}
	return h.s
}

// GitFile implements transport.GitHandler.
func (h *gitHistory) GitFile(c *transport.GitCommit, f *transport.GitFile) error {
	s := h.stream()
	if f.TooLarge {
		s.Reject("file too large", picket.Position{})
		return nil
	}
	name := f.Path
	if f.OldPath == "" {
		f.OldPath = f.Path
	}
	old, err := h.records(f.OldPath, f.Old)
	if err != nil { // it was said when that version was new
		old = nil
	}
	now, err := h.records(name, f.New)
	switch {
	case errors.Is(err, errNoRecords):
		s.Skip("file without records")
		return nil
	case err != nil:
		h.in.fail(fmt.Errorf("%s at %s: %w", name, c.Hash, err))
		s.Reject(reasonUnreadable, picket.Position{})
		return nil
	}
	for _, r := range record.Diff(old, now) {
		r.Time, r.Commit, r.Author, r.Comment, r.Sensor = c.Time, c.Hash, c.Author, c.Subject, h.in.cfg.Name
		if t := c.Trailer(ticketTrailers...); t != "" {
			r.Comment += " [" + t + "]"
		}
		r.Source = name + ":" + r.Source
		s.Accept(c.Time.UnixNano())
		if err := s.Record(&r); err != nil {
			return err
		}
	}
	return nil
}

// GitCommit implements transport.GitHandler.
func (h *gitHistory) GitCommit(c *transport.GitCommit) error {
	s := h.stream()
	h.s = nil
	return h.in.commit(h.ctx, s, map[string][]byte{h.key: []byte(c.Hash)})
}

var errNoRecords = errors.New("no format of records")

// records decodes one version of a file. Its own accounting is dropped: what
// counts is the difference.
func (h *gitHistory) records(name string, content []byte) ([]picket.Record, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	fm, r, err := input.Open(bytes.NewReader(content), h.in.cfg.Format)
	if err != nil || fm.Kind != picket.KindRecord {
		return nil, errNoRecords
	}
	h.in.use(fm)
	var c record.Collector
	err = fm.Decode(h.ctx, io.Reader(r), h.in.options(path.Base(name)), input.NewCounter(), recordsOnly{&c})
	return c.Records, err
}

// recordsOnly is a sink for every kind that takes records.
type recordsOnly struct{ picket.RecordSink }

func (recordsOnly) Query(*picket.Query) error           { return nil }
func (recordsOnly) Sighting(*picket.Sighting) error     { return nil }
func (recordsOnly) AdminEvent(*picket.AdminEvent) error { return nil }
func (recordsOnly) Asset(*picket.Asset) error           { return nil }
func (recordsOnly) Signal(*picket.Signal) error         { return nil }
