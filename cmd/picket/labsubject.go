package main

import (
	"fmt"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/judge"
)

// labSubject is Picket as scan and run wire it, in an experiment of the lab.
type labSubject struct {
	rec  *recognizer
	feed *feed
}

// labSubjects makes Pickets with so many shards each. Their memory of sources is
// smaller than the daemon's, as the worlds are.
func labSubjects(shards int, size detect.Config) judge.Subjects {
	return func(e *judge.Experiment, withoutSignatures bool, sink picket.FindingSink) (judge.Subject, error) {
		know, err := labKnowledge(e)
		if err != nil {
			return nil, err
		}
		rec := newRecognizer(know, recognizerOptions{Shards: shards, Detect: size, WithoutSignatures: withoutSignatures, Sink: sink})
		return &labSubject{rec, rec.Feed()}, nil
	}
}

// Query implements picket.QuerySink.
func (s *labSubject) Query(q *picket.Query) error { return s.feed.Query(q) }

// Finish implements judge.Subject.
func (s *labSubject) Finish() error {
	s.feed.Flush()
	return s.rec.Close()
}

// labKnowledge is what an organisation tells Picket: its zone, where it knows it the
// zone's past, its secondaries and scanners.
func labKnowledge(e *judge.Experiment) (*knowledge, error) {
	b := catalog.NewBuilder()
	if err := addLabZone(b, e.World.Zone); err != nil {
		return nil, err
	}
	for _, z := range e.Reverse {
		if err := addLabZone(b, z); err != nil {
			return nil, err
		}
	}
	if e.Retired {
		for i := range e.World.Zone.Retired {
			b.AddRetired(e.World.Zone.Retired[i].Name)
		}
	}
	src, err := catalog.NewSources(texts(e.World.Zone.Servers), texts(e.Own))
	if err != nil {
		return nil, fmt.Errorf("sources of the experiment: %w", err)
	}
	c := catalog.New(catalog.Config{Seed: scanSeed})
	if err := c.Replace(b); err != nil {
		return nil, fmt.Errorf("catalog of the experiment: %w", err)
	}
	return &knowledge{catalog: c, sources: src, base: b}, nil
}

// addLabZone tells the catalog what a zone of the lab holds.
func addLabZone(b *catalog.Builder, z *lab.Zone) error {
	data := catalog.NewZoneData(z.Apex)
	add := func(name []byte, qtype uint16) error {
		if err := data.Add(name, qtype); err != nil {
			return fmt.Errorf("zone of the experiment: %w", err)
		}
		return nil
	}
	var err error
	for i := range z.Owners {
		z.Owners[i].Types.Each(func(qtype uint16) {
			if err == nil {
				err = add(z.Owners[i].Name, qtype)
			}
		})
	}
	if err == nil && z.Signing != lab.Unsigned {
		err = add(z.Apex, map[lab.Signing]uint16{lab.NSEC: lab.TypeNSEC, lab.NSEC3: lab.TypeNSEC3}[z.Signing])
	}
	if err != nil {
		return err
	}
	return b.AddZone(data)
}

// texts renders addresses or prefixes.
func texts[T netip.Addr | netip.Prefix](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = fmt.Sprint(x)
	}
	return out
}
