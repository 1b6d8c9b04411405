package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/pipeline"
)

// recognizerOptions tune the way from queries to findings.
type recognizerOptions struct {
	Shards            int // 0 means one per processor, at most 16
	Detect            detect.Config
	WithoutSignatures bool
	Sink              picket.FindingSink
	History           picket.QueryAppender
	OnError           func(error)
}

// recognizer is the wired way from queries to findings: catalog, pipeline and
// detectors. scan and run share it.
type recognizer struct {
	know    *knowledge
	engines []*detect.Engine
	pipe    *pipeline.Pipeline[detect.Summary]
}

// feed is one input's way in.
type feed = pipeline.Feed[detect.Summary]

func newRecognizer(know *knowledge, opt recognizerOptions) *recognizer {
	if opt.Shards <= 0 {
		opt.Shards = min(runtime.GOMAXPROCS(0), 16)
	}
	cfg := opt.Detect
	cfg.Seed = know.catalog.Hasher().Seed
	cfg.WithoutSignatures = cfg.WithoutSignatures || opt.WithoutSignatures
	cfg.Role, cfg.Order = know.role, know.catalog
	if cfg.Sources == 0 {
		cfg.Sources = 1 << 20
	}
	if cfg.Suspects == 0 {
		cfg.Suspects = 16384
	}
	cfg.Sources /= opt.Shards
	cfg.Suspects = max(cfg.Suspects/opt.Shards, 64)
	r := &recognizer{know: know}
	shards := make([]pipeline.Engine[detect.Summary], opt.Shards)
	for i := range shards {
		e := detect.New(cfg)
		r.engines = append(r.engines, e)
		shards[i] = e
	}
	r.pipe = pipeline.New(pipeline.Config[detect.Summary]{
		Shards: shards, Zones: detect.NewZoneEngine(cfg), Namer: know.catalog,
		Order: func(s *detect.Summary) (int64, uint32) { return s.Second, s.Zone.ID },
		Sink:  opt.Sink, History: opt.History, OnError: opt.OnError,
	})
	return r
}

// Feed returns a way in for one more input.
func (r *recognizer) Feed() *feed { return r.pipe.Feed() }

// Queries is how many queries were looked at.
func (r *recognizer) Queries() int64 { return r.pipe.Queries() }

// Close drains everything; all feeds must have been flushed for the last time.
func (r *recognizer) Close() error { return r.pipe.Close() }

// notedInferred begins the note on zones that nobody named.
const notedInferred = "inferred from traffic, without zone data: "

// Notes qualify what was found: zones watched, detectors blind for lack of telemetry.
func (r *recognizer) Notes(levels string) []string {
	var named, inferred []string
	retired := 0
	for _, z := range r.know.catalog.Zones() {
		if z.Inferred {
			inferred = append(inferred, z.Name)
			continue
		}
		named = append(named, z.Name)
		retired += z.Retired
	}
	var notes []string
	if len(named) > 0 {
		notes = append(notes, "watched "+shorten(named))
	}
	if len(inferred) > 0 {
		notes = append(notes, notedInferred+shorten(inferred))
	}
	var blind, weak []string
	for _, s := range detect.Specs() {
		switch {
		case s.Name == "retired-names" && retired == 0:
			blind = append(blind, s.Name+" (no retired names given)")
		case strings.Contains(s.Levels, "D") && !strings.Contains(levels, "D"):
			if strings.Contains(s.Levels, "Z") && len(named) > 0 {
				weak = append(weak, s.Name+" (no denials in this telemetry; the zone's order stands in)")
			} else {
				blind = append(blind, s.Name+" (needs packets or dnstap)")
			}
		case strings.Contains(s.Levels, "R") && !strings.Contains(levels, "R") && len(named) == 0:
			weak = append(weak, s.Name+" (no response codes and no zone data)")
		}
	}
	if len(blind) > 0 {
		notes = append(notes, "blind: "+strings.Join(blind, ", "))
	}
	if len(weak) > 0 {
		notes = append(notes, "degraded: "+strings.Join(weak, ", "))
	}
	return notes
}

// shorten joins names, the first few of many.
func shorten(names []string) string {
	slices.Sort(names)
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
	}
	return strings.Join(names, " ")
}
