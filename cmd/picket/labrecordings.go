package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/masterfile"
)

// recordingEntry is a capture in a corpus' manifest; internal/lab/testdata/corpus
// has one, and describes it.
type recordingEntry struct {
	File      string                         `json:"file"`
	Label     string                         `json:"label"`
	Technique string                         `json:"technique"`
	Zone      string                         `json:"zone"`
	Servers   []struct{ Address netip.Addr } `json:"servers"`
	Actors    []netip.Addr                   `json:"actor_addresses"`
	Seen      map[netip.Addr]int             `json:"addresses_seen_at_server"`
}

// loadRecordings reads a corpus of captures: its manifest, and beside it the zones.
func loadRecordings(ctx context.Context, std streams, manifest string) ([]judge.Recording, error) {
	raw, err := os.ReadFile(manifest)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	var entries []recordingEntry
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("recordings %s: %w", manifest, err)
	}
	dir := filepath.Dir(manifest)
	zones, err := loadRecordedZones(filepath.Join(dir, "zones"))
	if err != nil {
		return nil, err
	}
	var apexes [][]byte
	for _, z := range zones {
		apexes = append(apexes, z.Apex)
	}
	var list []judge.Recording
	for i := range entries {
		e := &entries[i]
		rec := judge.Recording{Name: recordingName(e.File), Label: e.Label, Class: e.Technique, Own: e.Technique == "owner-inventory", Track: &lab.Track{Name: e.File},
			Zones: apexes, Zone: func(apex []byte) *lab.Zone { return copyZone(zones, apex) }}
		if rec.Apex, err = dnsname.Parse(e.Zone); err != nil {
			return nil, fmt.Errorf("recordings %s: zone of %s: %w", manifest, e.File, err)
		}
		for _, s := range e.Servers {
			rec.Servers = append(rec.Servers, s.Address)
		}
		for a := range e.Seen {
			rec.Actors = append(rec.Actors, a)
		}
		slices.SortFunc(rec.Actors, netip.Addr.Compare)
		if !slices.ContainsFunc(apexes, func(a []byte) bool { return bytes.Equal(a, rec.Apex) }) {
			return nil, fmt.Errorf("recordings %s: %s is about %s, of which there is no zone file in %s", manifest, e.File, e.Zone, filepath.Join(dir, "zones"))
		}
		if err := readTrack(ctx, std, filepath.Join(dir, e.File), rec.Track); err != nil {
			return nil, err
		}
		list = append(list, rec)
	}
	return list, nil
}

// recordingName is a capture's file name without what all of them end in.
func recordingName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return name
}

// loadRecordedZones reads the zone files of a corpus, and the lists of names that are
// retired.
func loadRecordedZones(dir string) (list []*lab.Zone, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.zone*"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		apex, err := dnsname.Parse(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".zone"))
		if err != nil {
			return nil, fmt.Errorf("zone file %s: its name is not that of a zone: %w", path, err)
		}
		z := &lab.Zone{Apex: apex, TTL: 300, NegativeTTL: 300}
		if err := readRecords(path, z); err != nil {
			return nil, err
		}
		retired := filepath.Join(dir, dnsname.Text(apex)+".retired.txt")
		if _, err := os.Stat(retired); err == nil {
			names, _, err := catalog.LoadNames(retired)
			if err != nil {
				return nil, fmt.Errorf("retired names %s: %w", retired, err)
			}
			for _, n := range names {
				z.Retired = append(z.Retired, lab.Owner{Name: n, Types: lab.TypeSet(lab.TypeA), Until: 200})
			}
		}
		list = append(list, z)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("recordings: no zone files in %s", dir)
	}
	return list, nil
}

// readRecords adds the records of a zone file.
func readRecords(path string, z *lab.Zone) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("zone file: %w", err)
	}
	defer f.Close()
	h := &recordedZone{}
	r := masterfile.Reader{Budget: 1 << 30, Generate: 1 << 20}
	if err := r.Read(f, path, z.Apex, h); err != nil {
		return fmt.Errorf("zone file %s: %w", path, err)
	}
	if h.problem != "" {
		return fmt.Errorf("zone file %s", h.problem)
	}
	z.AddRecords(func(yield func([]byte, uint16) bool) {
		for _, rec := range h.records {
			switch rec.qtype {
			case lab.TypeNSEC:
				z.Signing = lab.NSEC
			case lab.TypeNSEC3, lab.TypeNSEC3PARAM:
				z.Signing = lab.NSEC3
			case lab.TypeRRSIG:
			default:
				if !yield(rec.owner, rec.qtype) {
					return
				}
			}
		}
	})
	return nil
}

// recordedZone keeps the owners and types of a zone file.
type recordedZone struct {
	records []struct {
		owner []byte
		qtype uint16
	}
	problem string
}

// Record implements masterfile.Handler.
func (h *recordedZone) Record(r masterfile.Record) error {
	h.records = append(h.records, struct {
		owner []byte
		qtype uint16
	}{bytes.Clone(r.Owner), r.Type})
	return nil
}

// Directive implements masterfile.Handler.
func (h *recordedZone) Directive(string, []byte) {}

// Problem implements masterfile.Handler.
func (h *recordedZone) Problem(p masterfile.Problem) {
	if h.problem == "" {
		h.problem = fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
}

// copyZone is a zone that may be sealed.
func copyZone(zones []*lab.Zone, apex []byte) *lab.Zone {
	for _, z := range zones {
		if bytes.Equal(z.Apex, apex) {
			return &lab.Zone{Apex: z.Apex, Signing: z.Signing, TTL: z.TTL, NegativeTTL: z.NegativeTTL, Owners: slices.Clone(z.Owners), Retired: z.Retired}
		}
	}
	return nil
}
