package judge

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/background"
)

// Recording is a real capture of one actor, with what was known beforehand.
type Recording struct {
	Name    string
	Label   string // Recon, Benign or Flood
	Class   string
	Apex    []byte // the zone that it is about
	Track   *lab.Track
	Actors  []netip.Addr // whose queries take part
	Own     bool         // the actor is a scanner of the organisation
	Servers []netip.Addr
	// Zone makes the zone with an apex as it was, unsealed; Zones names all of them.
	Zone  func(apex []byte) *lab.Zone
	Zones [][]byte
}

// BlockReplay is real captures among simulated traffic.
const BlockReplay = "replay"

// Paces of replays.
const (
	asRecorded = "as recorded"
	slowly     = "1 per 20 s"
)

// passes lists the classes that make sense through a resolver.
func passes(class string) bool {
	return slices.Contains([]string{"brute-force", "permutation-brute", "pdns-validation", "record-survey", "service-survey", "reverse-sweep"}, class)
}

// Replays plans runs of recordings: as they were recorded, among simulated background,
// and, of reconnaissance that passes resolvers, again through shared ones, at its own
// pace and at one query in 20 seconds.
func Replays(recordings []Recording, size *Size) (list []Plan) {
	for i := range recordings {
		rec := &recordings[i]
		add := func(path, pace string) {
			for seed := range size.Seeds {
				list = append(list, Plan{Cell: Cell{Block: BlockReplay, Tool: rec.Name, Class: rec.Class, Path: path, Zone: dnsname.String(rec.Apex), List: "recorded", Rate: pace},
					Label: rec.Label, Seed: uint64(seed + 1), Size: size, build: func(p *Plan) (*Experiment, error) { return p.replay(rec) }})
			}
		}
		add(asRecorded, asRecorded)
		if rec.Label == Recon && passes(rec.Class) {
			for _, path := range []string{"1 resolver", "3 resolvers", "8 resolvers"} {
				add(path, asRecorded)
				if rec.Class == "pdns-validation" {
					add(path, slowly)
				}
			}
		}
	}
	return list
}

// replay builds the run of a recording.
func (p *Plan) replay(rec *Recording) (*Experiment, error) {
	params := lab.SweptParameters(lab.Rand(p.Seed, "replay"))
	var zones, also []*lab.Zone
	w := &lab.World{Seed: p.Seed, Params: params, Fleet: lab.NewFleet(&params, lab.Rand(p.Seed, "fleet")), Begin: Begin.UnixNano()}
	for _, apex := range rec.Zones {
		z := rec.Zone(apex)
		z.Servers = rec.Servers
		interest(z, p.Seed)
		if err := z.Seal(); err != nil {
			return nil, err
		}
		zones = append(zones, z)
		if bytes.Equal(apex, rec.Apex) {
			w.Zone = z
		} else {
			also = append(also, z)
		}
	}
	if w.Zone == nil {
		return nil, fmt.Errorf("%s: no zone file for %s", rec.Name, dnsname.String(rec.Apex))
	}
	b, err := background.New(w, background.Options{Rate: 1 + 4*lab.Rand(p.Seed, "rate").Float64(), Duration: 30 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	o := lab.RecastOptions{Actors: rec.Actors, Begin: w.Begin + int64(lead), Zones: zones, Warmed: w.Zone, Seed: p.Seed}
	if p.Cell.Path != asRecorded {
		if o.Path, err = path(p.Cell.Path, w, p.Seed); err != nil {
			return nil, err
		}
		o.Path.Warm = b.Warm
	}
	if p.Cell.Rate == slowly {
		o.Every, o.Jitter = 20*lab.Second, 0.3
	}
	actor, err := rec.Track.Recast(o)
	if err != nil {
		return nil, err
	}
	e := &Experiment{World: w, Background: b, Actor: actor, Retired: true, Reverse: also, Own: listed(b), Surveys: b.Research(), Tail: 5 * time.Minute, Limit: 10 * 24 * time.Hour}
	if rec.Own {
		for _, a := range rec.Actors {
			e.Own = append(e.Own, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return e, nil
}

// interest gives the names of a real zone file, which says nothing of it, a
// popularity: the common ones first, the others in a drawn order.
func interest(z *lab.Zone, seed uint64) {
	order := lab.Rand(seed, "interest "+dnsname.String(z.Apex)).Perm(len(z.Owners))
	for i := range z.Owners {
		o := &z.Owners[i]
		rank := float64(order[i] + 12)
		label := strings.ToLower(string(dnsname.First(o.Name)))
		switch {
		case len(o.Name) == len(z.Apex):
			o.Purpose, rank = lab.PurposeApex, 2
		case slices.Contains([]string{"www", "mail", "api", "login", "shop", "portal", "webmail", "cdn"}, label):
			o.Purpose, rank = lab.PurposeWeb, 1+float64(order[i]%10)
		case strings.HasPrefix(label, "_"):
			o.Purpose = lab.PurposePolicy
			if o.Types.Has(lab.TypeSRV) {
				o.Purpose = lab.PurposeService
			}
		case strings.HasPrefix(label, "ns") && len(label) < 5:
			o.Purpose = lab.PurposeServer
		case strings.HasPrefix(label, "mx"):
			o.Purpose = lab.PurposeMail
		}
		o.Popularity = math.Pow(rank, -1)
	}
}
