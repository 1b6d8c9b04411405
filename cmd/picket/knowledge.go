package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
)

// knowledgeOptions name what is known beforehand: zones, lists, roles.
type knowledgeOptions struct {
	zoneFiles, retired, canaries, secondaries, own []string
}

func (o *knowledgeOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.zoneFiles, "zone-file", nil, "zone in master file format, as [ORIGIN=]PATH; may be repeated")
	f.StringArrayVar(&o.retired, "retired", nil, "list of retired names, one a line; may be repeated")
	f.StringArrayVar(&o.canaries, "canary", nil, "list of planted names, NAME[,CHANNEL] a line; may be repeated")
	f.StringArrayVar(&o.secondaries, "secondary", nil, "address or prefix of a listed secondary; may be repeated")
	f.StringArrayVar(&o.own, "own", nil, "address or prefix of an own scanner; may be repeated")
}

// knowledge is what the options name, loaded.
type knowledge struct {
	catalog *catalog.Catalog
	sources *catalog.Sources
	base    *catalog.Builder // of files alone; only read once loaded
}

// load reads everything. A seed other than 0 makes estimates repeatable, at the
// price of hashes that whoever chooses names could foresee. What cannot be read is an error of usage; a bad record
// in a file is a note and the rest counts.
func (o *knowledgeOptions) load(seed uint64, notes io.Writer) (*knowledge, error) {
	b := catalog.NewBuilder()
	note := func(problems []catalog.Problem, more int) {
		for _, p := range problems {
			fmt.Fprintf(notes, "warning: %s\n", p.Error())
		}
		if more > 0 {
			fmt.Fprintf(notes, "warning: and %d more problems\n", more)
		}
	}
	for _, arg := range o.zoneFiles {
		origin, path := catalog.SplitZoneArg(arg)
		z, err := catalog.LoadZoneFile(path, origin)
		if err != nil {
			return nil, usageError("zone file %s: %v", arg, err)
		}
		note(z.Problems, z.MoreBad)
		if err := b.AddZone(z); err != nil {
			return nil, usageError("zone file %s: %v", arg, err)
		}
	}
	for _, path := range o.retired {
		names, problems, err := catalog.LoadNames(path)
		if err != nil {
			return nil, usageError("retired names %s: %v", path, err)
		}
		note(problems, 0)
		b.AddRetired(names...)
	}
	for _, path := range o.canaries {
		canaries, problems, err := catalog.LoadCanaries(path)
		if err != nil {
			return nil, usageError("canaries %s: %v", path, err)
		}
		note(problems, 0)
		b.AddCanaries(canaries...)
	}
	src, err := catalog.NewSources(o.secondaries, o.own)
	if err != nil {
		return nil, usageError("listed sources: %v", err)
	}
	c := catalog.New(catalog.Config{Seed: seed})
	if err := c.Replace(b); err != nil {
		return nil, fmt.Errorf("build catalog: %w", err)
	}
	return &knowledge{catalog: c, sources: src, base: b}, nil
}

// learn builds the catalog anew, of the files as they were loaded and of the past as
// it is recorded now.
func (k *knowledge) learn(ctx context.Context, past picket.ZonePast) (catalog.PastStats, error) {
	b := k.base.Clone()
	st, err := b.AddPast(ctx, past, time.Now())
	if err != nil {
		return st, err
	}
	return st, k.catalog.Replace(b)
}

// role tells the detectors who is listed.
func (k *knowledge) role(q *picket.Query) detect.Role {
	switch k.sources.Role(q.Client) {
	case catalog.RoleSecondary:
		return detect.RoleSecondary
	case catalog.RoleOwn:
		return detect.RoleOwn
	}
	return detect.RoleNone
}
