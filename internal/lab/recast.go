package lab

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Spread is how the queries of one recorded actor are divided among the sources of
// a path.
type Spread uint8

// Ways of dividing.
const (
	// PerQuery draws a source for each query, as tools do that have a list of resolvers.
	PerQuery Spread = iota
	// PerName has all queries of a name come from one source.
	PerName
	// PerPart cuts the recording into as many parts as there are sources, and has each
	// source go through its own part, all side by side.
	PerPart
)

// RecastOptions say how a recording takes part in other traffic. The zero value
// plays it as it is.
type RecastOptions struct {
	// Actors are whose queries take part; empty means everybody's.
	Actors []netip.Addr
	// Begin is when the first query is asked, Unix nanoseconds; 0 means when it was.
	Begin int64
	// Stretch is the factor on the time between queries; 0 means 1.
	Stretch float64
	// Every asks one query each so many nanoseconds instead, whenever they were asked.
	Every int64
	// Jitter moves each query by up to so much of Every, or of the mean pause, later.
	Jitter float64
	// Path is where the queries come from; nil means the recorded addresses. From its
	// stubs the queries and their responses come as they were recorded. Its resolvers
	// are asked the questions, and ask the servers of Zones what they do not know: caches,
	// minimised names, their own flags. Transfers, other classes and other zones' names
	// do not pass resolvers.
	Path   *Path
	Spread Spread
	Zones  []*Zone
	// Warmed is the zone whose owners the path's Warm knows; nil means that it knows
	// those of all Zones.
	Warmed *Zone
	Seed   uint64
}

// recast is what has been decided of one recording.
type recast struct {
	track *Track
	opt   *RecastOptions
	rnd   *rand.Rand
	plan  []cast
}

// cast is one query that takes part.
type cast struct {
	at    int64
	index int32 // in the track's queries
	lane  int32 // which source of the path
}

// Recast returns the recording as a stream among others: with other addresses, at
// another time and pace. What was recorded behind resolvers has gone through
// resolvers once more when the path has some.
func (t *Track) Recast(o RecastOptions) (Stream, error) {
	through := o.Path != nil && len(o.Path.Resolvers) > 0
	if through { // the resolvers begin with empty caches, whatever else the path was used for
		path := *o.Path
		path.caches = map[*Resolver]*Cache{}
		o.Path = &path
	}
	c := &recast{track: t, opt: &o, rnd: Rand(o.Seed, "recast "+t.Name)}
	if o.Path != nil && o.Path.Sources() == 0 {
		return nil, errors.New("recast: the path has no sources")
	}
	if through && len(o.Zones) == 0 {
		return nil, errors.New("recast: resolvers need zones to ask")
	}
	c.choose()
	if len(c.plan) == 0 {
		return nil, fmt.Errorf("recast: none of %d queries is from %s", len(t.Queries), list(o.Actors))
	}
	if o.Path != nil && o.Spread == PerPart {
		c.cut(o.Path.Sources())
	}
	c.time()
	if o.Path != nil {
		c.assign(o.Path.Sources())
	}
	i := 0
	return PlanFrom(c.plan[0].at, func(out *Outbox) (next int64, ok bool) {
		c.ask(&c.plan[i], through, out)
		if i++; i == len(c.plan) {
			return 0, false
		}
		return c.plan[i].at, true
	}), nil
}

func list(addrs []netip.Addr) string {
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " or ")
}

// choose takes the queries that take part, in the order of their times.
func (c *recast) choose() {
	for i := range c.track.Queries {
		q := &c.track.Queries[i]
		if len(c.opt.Actors) == 0 || slices.Contains(c.opt.Actors, q.Client) {
			c.plan = append(c.plan, cast{at: q.Time, index: int32(i)})
		}
	}
	slices.SortStableFunc(c.plan, func(a, b cast) int { return compareTimes(a.at, b.at) })
}

func compareTimes(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// cut divides the plan into parts, and interleaves them.
func (c *recast) cut(parts int) {
	n := len(c.plan)
	parts = min(parts, n)
	for k := range parts {
		from, to := k*n/parts, (k+1)*n/parts
		part := c.plan[from:to]
		begin := part[0].at
		for i := range part {
			part[i].at, part[i].lane = part[i].at-begin, int32(k)
		}
	}
	slices.SortStableFunc(c.plan, func(a, b cast) int { return compareTimes(a.at, b.at) })
	if c.opt.Every > 0 { // turn by turn, whoever was quicker
		turn := make([]int, parts)
		for i := range c.plan {
			lane := c.plan[i].lane
			c.plan[i].at = int64(turn[lane]*parts + int(lane))
			turn[lane]++
		}
		slices.SortStableFunc(c.plan, func(a, b cast) int { return compareTimes(a.at, b.at) })
	}
}

// time says when each query is asked.
func (c *recast) time() {
	o := c.opt
	first, last := c.plan[0].at, c.plan[len(c.plan)-1].at
	begin := o.Begin
	if begin == 0 {
		begin = c.track.Queries[c.plan[0].index].Time
	}
	stretch := o.Stretch
	if stretch <= 0 {
		stretch = 1
	}
	pause := float64(o.Every)
	if o.Every <= 0 {
		pause = float64(last-first) * stretch / float64(len(c.plan))
	}
	for i := range c.plan {
		p := &c.plan[i]
		if o.Every > 0 {
			p.at = begin + int64(i)*o.Every
		} else {
			p.at = begin + int64(float64(p.at-first)*stretch)
		}
		if o.Jitter > 0 {
			p.at += int64(c.rnd.Float64() * o.Jitter * pause)
		}
	}
	slices.SortStableFunc(c.plan, func(a, b cast) int { return compareTimes(a.at, b.at) })
}

// assign says which source asks each query.
func (c *recast) assign(sources int) {
	h := dnsname.Hasher{Seed: c.opt.Seed}
	for i := range c.plan {
		switch c.opt.Spread {
		case PerQuery:
			c.plan[i].lane = int32(c.rnd.IntN(sources))
		case PerName:
			c.plan[i].lane = int32(h.Name(c.track.Queries[c.plan[i].index].Name) % uint64(sources))
		}
	}
}

// ask asks one query.
func (c *recast) ask(p *cast, through bool, out *Outbox) {
	q := &c.track.Queries[p.index]
	if !through {
		again := *q
		again.Time = p.at
		if c.opt.Path != nil {
			again.Client = c.opt.Path.Stubs[p.lane]
		}
		out.Add(&again)
		return
	}
	if q.Opcode != 0 || q.Class != 1 {
		return
	}
	z := zoneOf(c.opt.Zones, q.Name)
	if z == nil {
		return
	}
	path := *c.opt.Path
	if c.opt.Warmed != nil && c.opt.Warmed != z {
		path.Warm = nil
	}
	path.Ask(p.at, z, c.rnd, q.Name, q.Type, Options{Lane: int(p.lane)}, out)
}

// zoneOf is the zone that a name is in, the deepest of several; nil when it is in none.
func zoneOf(zones []*Zone, name []byte) (in *Zone) {
	for _, z := range zones {
		if dnsname.IsSubdomain(name, z.Apex) && (in == nil || len(z.Apex) > len(in.Apex)) {
			in = z
		}
	}
	return in
}

// AddRecords adds owners to a zone that is not sealed yet: records are the owner
// and type of each record of a master file or a list of names. What is outside the
// zone is left out; an owner that is named several times owns all its types.
func (z *Zone) AddRecords(records iter.Seq2[[]byte, uint16]) {
	at := map[string]int{}
	for i := range z.Owners {
		at[string(z.Owners[i].Name)] = i
	}
	for owner, t := range records {
		if !dnsname.IsSubdomain(owner, z.Apex) {
			continue
		}
		i, ok := at[string(owner)]
		if !ok {
			i = len(z.Owners)
			at[string(owner)] = i
			z.Owners = append(z.Owners, Owner{Name: slices.Clone(owner)})
		}
		z.Owners[i].Types |= TypeSet(t)
	}
}
