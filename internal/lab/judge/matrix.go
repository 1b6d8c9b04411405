package judge

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
	"github.com/picket-dns/picket/internal/lab/background"
	"github.com/picket-dns/picket/internal/lab/organisation"
)

// Blocks of the matrix.
const (
	BlockTools   = "tools"   // every tool on every path and zone, at its own pace and with its own list
	BlockLists   = "lists"   // what the adversary knows
	BlockRates   = "rates"   // low and slow, against how many sources
	BlockEvaders = "evaders" // adversaries who know how Picket watches
	BlockStorms  = "storms"  // harmless traffic that looks like it, and floods
	BlockBenign  = "benign"  // background alone
	BlockBulk    = "bulk"    // background alone, very long, and Picket alone
)

// Blocks lists the blocks in order.
func Blocks() []string {
	return []string{BlockTools, BlockLists, BlockRates, BlockEvaders, BlockStorms, BlockBenign, BlockBulk}
}

// Size says how much of the matrix is run.
type Size struct {
	Seeds  int // of each cell
	Paths  []string
	Zones  []string
	Rates  []string
	Tools  []string // names; nil means all
	Names  int      // of the largest zones; 0 means 2,000
	Rate   float64  // queries a second of the background; 0 draws it
	Slow   int      // words of the lists that are asked slowly
	Benign int      // queries of the benign block, together
	Bulk   int      // those of the bulk block
	Runs   int      // among which they are divided
}

// Names of paths, zones and rates.
var (
	allPaths = []string{"direct", "1 resolver", "8 resolvers", "1,000 sources"}
	allZones = []string{"unsigned", "NSEC", "NSEC3", "wildcard"}
	allRates = []string{"native", "10/s", "1/min", "1/h"}
)

// Full is all of it: hours.
func Full() Size {
	return Size{Seeds: 20, Paths: allPaths, Zones: allZones, Rates: allRates, Slow: 400, Benign: 10_000_000, Bulk: 100_000_000, Runs: 20}
}

// Quick is a part of it that takes minutes: one seed a cell.
func Quick() Size {
	return Size{Seeds: 1, Paths: allPaths, Zones: []string{"unsigned", "NSEC", "wildcard"}, Rates: []string{"native", "10/s", "1/min"}, Names: 1000, Slow: 200,
		Benign: 500_000, Bulk: 5_000_000, Runs: 2}
}

// Plan is a run that is still to be made; it costs nothing until then.
type Plan struct {
	Cell  Cell
	Label string
	Seed  uint64
	Size  *Size
	make  func(p *Plan, w *lab.World) (*Experiment, error)
	build func(p *Plan) (*Experiment, error) // where there is no generated world
}

// Plans lists the runs of some blocks, all when none is named.
func (s *Size) Plans(blocks ...string) (list []Plan, err error) {
	if len(blocks) == 0 {
		blocks = Blocks()
	}
	for _, b := range blocks {
		var cells []Plan
		seeds := s.Seeds
		switch b {
		case BlockTools:
			cells = s.tools()
		case BlockLists:
			cells = s.lists()
		case BlockRates:
			cells = s.rates()
		case BlockEvaders:
			cells = s.evaders()
		case BlockStorms:
			cells = s.storms()
		case BlockBenign:
			cells, seeds = s.benign(s.Benign), s.Runs
		case BlockBulk:
			cells, seeds = s.benign(s.Bulk), s.Runs
		default:
			return nil, fmt.Errorf("no block of the matrix is called %q: want one of %v", b, Blocks())
		}
		for _, c := range cells {
			c.Cell.Block, c.Size = b, s
			for i := range seeds {
				c.Seed = uint64(i + 1)
				list = append(list, c)
			}
		}
	}
	return list, nil
}

// wanted leaves out tools that were not named.
func (s *Size) wanted(name string) bool { return s.Tools == nil || slices.Contains(s.Tools, name) }

// attack plans runs of a tool.
func attack(tool adversary.Tool, path, zone, list, rate string, change func(o *adversary.Options)) Plan {
	return Plan{Cell: Cell{Tool: tool.Name, Class: tool.Technique, Path: path, Zone: zone, List: list, Rate: rate}, Label: Recon,
		make: func(p *Plan, w *lab.World) (*Experiment, error) { return p.attack(w, tool, change) }}
}

// possible says whether a tool can work on a path and a zone at all.
func possible(t *adversary.Tool, path, zone string) bool {
	switch {
	case t.Needs.Direct && path != "direct":
		return false // and a few questions have no use for many sources
	case t.Needs.Reverse:
		return zone == "unsigned"
	case t.Needs.Signing == lab.NSEC:
		return zone == "NSEC"
	case t.Needs.Signing == lab.NSEC3:
		return zone == "NSEC3"
	}
	return true
}

func (s *Size) tools() (list []Plan) {
	zones := s.Zones
	for _, t := range adversary.Tools() {
		if !s.wanted(t.Name) {
			continue
		}
		if n := t.Needs.Signing; n != lab.Unsigned && !slices.Contains(zones, n.String()) {
			zones = append(slices.Clone(zones), n.String())
		}
		for _, path := range s.Paths {
			for _, zone := range zones {
				if possible(&t, path, zone) {
					list = append(list, attack(t, path, zone, "own", "native", nil))
				}
			}
		}
	}
	return list
}

// guesser is the tool that stands for all that guess where lists and rates are
// varied: it has no opening that would give it away.
const guesser = "massdns"

func (s *Size) lists() (list []Plan) {
	for _, k := range []adversary.Knowledge{adversary.KnowsDefault, adversary.KnowsLarge, adversary.KnowsShuffled, adversary.KnowsPermutation, adversary.KnowsPassiveDNS, adversary.KnowsCT, adversary.KnowsHits} {
		t, ok := adversary.Find(guesser)
		if !ok || !s.wanted(t.Name) {
			return nil
		}
		t.Technique = class(k)
		for _, path := range s.Paths {
			for _, zone := range []string{"unsigned", "wildcard"} {
				if slices.Contains(s.Zones, zone) {
					list = append(list, attack(t, path, zone, k.String(), "10/s", func(o *adversary.Options) { o.List, o.Most = k, 20_000 }))
				}
			}
		}
	}
	return list
}

// class is what use of a list has to be named as.
func class(k adversary.Knowledge) string {
	switch k {
	case adversary.KnowsPermutation:
		return "permutation-brute"
	case adversary.KnowsPassiveDNS, adversary.KnowsCT, adversary.KnowsHits:
		return "pdns-validation"
	}
	return "brute-force"
}

func (s *Size) rates() (list []Plan) {
	for _, k := range []adversary.Knowledge{adversary.KnowsShuffled, adversary.KnowsPassiveDNS} {
		t, ok := adversary.Find(guesser)
		if !ok || !s.wanted(t.Name) {
			return nil
		}
		t.Technique = class(k)
		for _, path := range s.Paths {
			for _, rate := range s.Rates {
				list = append(list, attack(t, path, "unsigned", k.String(), rate, func(o *adversary.Options) {
					o.List, o.Jitter = k, 0.5
					if rate == "1/min" || rate == "1/h" {
						o.Most = s.Slow
					} else {
						o.Most = 5000
					}
				}))
			}
		}
	}
	return list
}

func (s *Size) evaders() (list []Plan) {
	for _, t := range adversary.Evaders() {
		if !s.wanted(t.Name) {
			continue
		}
		for _, path := range s.Paths {
			zone := "unsigned"
			if t.Needs.Signing != lab.Unsigned {
				zone = t.Needs.Signing.String()
			}
			if possible(&t, path, zone) {
				list = append(list, attack(t, path, zone, "own", "native", func(o *adversary.Options) { o.Most = 20_000 }))
			}
		}
	}
	return list
}

func (s *Size) storms() (list []Plan) {
	for _, storm := range background.Storms() {
		if s.wanted(storm.Name) {
			list = append(list, Plan{Cell: Cell{Tool: storm.Name, Path: "background", Zone: "unsigned"}, Label: storm.Label,
				make: func(p *Plan, w *lab.World) (*Experiment, error) { return p.storm(w, storm) }})
		}
	}
	return list
}

func (s *Size) benign(queries int) []Plan {
	if !s.wanted("background") {
		return nil
	}
	share := queries / max(s.Runs, 1)
	return []Plan{{Cell: Cell{Tool: "background", Path: "background", Zone: "varied"}, Label: Benign,
		make: func(p *Plan, w *lab.World) (*Experiment, error) { return p.background(w, share) }}}
}

// Begin is when the traffic of every run begins: a Monday, so that hours of the
// week are the same in all of them.
var Begin = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

// Build makes the experiment of a plan.
func (p *Plan) Build() (*Experiment, error) {
	if p.build != nil {
		e, err := p.build(p)
		if err != nil {
			return nil, fmt.Errorf("%s, seed %d: %w", p.Cell, p.Seed, err)
		}
		e.Cell, e.Seed, e.Label = p.Cell, p.Seed, p.Label
		return e, nil
	}
	r := lab.Rand(p.Seed, "world "+p.Cell.Zone)
	params := lab.SweptParameters(r)
	o := organisation.Options{Seed: p.Seed, Servers: nil}
	most := p.Size.Names
	if most == 0 {
		most = 2000
	}
	o.Names = int(math.Exp(math.Log(100) + r.Float64()*(math.Log(float64(most))-math.Log(100))))
	switch p.Cell.Zone {
	case "NSEC":
		o.Signing = lab.NSEC
	case "NSEC3":
		o.Signing = lab.NSEC3
	case "wildcard":
		o.Wildcard = organisation.WildcardAtApex
	case "varied":
		o.Signing = lab.Signing(p.Seed % 3)
		if p.Seed%4 == 3 {
			o.Wildcard = organisation.WildcardBelow
		}
	}
	zone, err := organisation.New(o)
	if err != nil {
		return nil, err
	}
	w := &lab.World{Seed: p.Seed, Params: params, Zone: zone, Fleet: lab.NewFleet(&params, lab.Rand(p.Seed, "fleet")), Begin: Begin.UnixNano()}
	e, err := p.make(p, w)
	if err != nil {
		return nil, fmt.Errorf("%s, seed %d: %w", p.Cell, p.Seed, err)
	}
	e.Cell, e.Seed, e.Label, e.World = p.Cell, p.Seed, p.Label, w
	return e, nil
}

// String names the cell in messages.
func (c Cell) String() string {
	return fmt.Sprintf("%s: %s, %s, %s, %s, %s", c.Block, c.Tool, c.Path, c.Zone, c.List, c.Rate)
}

// path makes the adversary's path.
func path(name string, w *lab.World, seed uint64) (*lab.Path, error) {
	r := lab.Rand(seed, "path "+name)
	switch name {
	case "direct":
		return lab.Direct(name, 1), nil
	case "1 resolver":
		return lab.Through(name, w.Fleet, 1, r), nil
	case "3 resolvers":
		return lab.Through(name, w.Fleet, 3, r), nil
	case "8 resolvers":
		return lab.Through(name, w.Fleet, 8, r), nil
	case "1,000 sources":
		return lab.Through(name, w.Fleet, 1000, r), nil
	case "10,000 sources":
		return lab.Direct(name, 10_000), nil
	}
	return nil, fmt.Errorf("no path is called %q", name)
}

// rate is a rate in questions a second; 0 is the tool's own pace.
func rate(name string) float64 {
	switch name {
	case "10/s":
		return 10
	case "1/min":
		return 1.0 / 60
	case "1/h":
		return 1.0 / 3600
	}
	return 0
}

// lead is how long the background runs before an adversary begins.
const lead = 2 * time.Hour

// attack builds the run of a tool.
func (p *Plan) attack(w *lab.World, tool adversary.Tool, change func(o *adversary.Options)) (*Experiment, error) {
	way, err := path(p.Cell.Path, w, p.Seed)
	if err != nil {
		return nil, err
	}
	b, err := p.quiet(w)
	if err != nil {
		return nil, err
	}
	way.Warm = b.Warm
	o := adversary.Options{Path: way, Begin: w.Begin + int64(lead), Rate: rate(p.Cell.Rate), Seed: p.Seed}
	if change != nil {
		change(&o)
	}
	var also []*lab.Zone
	if tool.Needs.Reverse {
		if o.Reverse, err = reverse(w, &tool, p.Seed); err != nil {
			return nil, err
		}
		also = []*lab.Zone{o.Reverse.Zone}
	}
	run, err := adversary.New(w, tool, o)
	if err != nil {
		return nil, err
	}
	return &Experiment{Reverse: also, Background: b, Actor: run, Retired: true, Own: listed(b), Surveys: b.Research(), Tail: 5 * time.Minute, Limit: 60 * 24 * time.Hour}, nil
}

// reverse makes the reverse zone that a sweep goes through.
func reverse(w *lab.World, tool *adversary.Tool, seed uint64) (*adversary.Reverse, error) {
	if tool.Needs.Six {
		return adversary.ReverseZone(netip.MustParsePrefix("2001:db8:53::/48"), 40, w.Zone, seed)
	}
	return adversary.ReverseZone(netip.MustParsePrefix("203.0.113.0/24"), 60, w.Zone, seed)
}

// listed are the scanners that the organisation lists: its own, and those of the
// attack-surface vendors that it pays.
func listed(b *background.Background) []netip.Prefix { return slices.Concat(b.Own(), b.Vendors()) }

// quiet is the background of one organisation: one query in two seconds up to ten a
// second, less where adversaries take days or weeks.
func (p *Plan) quiet(w *lab.World) (*background.Background, error) {
	rate := math.Exp(lab.Rand(p.Seed, "rate").Float64()*math.Log(20)) / 2
	if p.Cell.Rate == "1/h" || p.Cell.Block == BlockEvaders {
		rate = min(rate, 1)
	}
	if p.Size.Rate > 0 {
		rate = p.Size.Rate
	}
	return background.New(w, background.Options{Rate: rate, Duration: 90 * 24 * time.Hour})
}

func (p *Plan) storm(w *lab.World, storm background.Storm) (*Experiment, error) {
	b, err := p.quiet(w)
	if err != nil {
		return nil, err
	}
	s := storm.New(w, w.Begin+int64(lead), lab.Rand(p.Seed, "storm "+storm.Name))
	return &Experiment{Background: b, Actor: s, Retired: true, Own: listed(b), Surveys: b.Research(), Tail: 5 * time.Minute, Limit: 3 * 24 * time.Hour}, nil
}

// background builds a run of about so many queries without an adversary.
func (p *Plan) background(w *lab.World, queries int) (*Experiment, error) {
	rate := math.Exp(math.Log(2) + lab.Rand(p.Seed, "rate").Float64()*math.Log(50))
	if p.Size.Rate > 0 {
		rate = p.Size.Rate
	}
	long := time.Duration(float64(queries) / rate * float64(time.Second))
	b, err := background.New(w, background.Options{Rate: rate, Duration: long})
	if err != nil {
		return nil, err
	}
	return &Experiment{Background: b, Retired: true, Own: listed(b), Surveys: b.Research(), Limit: long}, nil
}

// Single plans one run that is chosen by hand: a tool, an evader or a storm, or
// background alone when no name is given. The cell's empty fields get the usual
// values.
func (s *Size) Single(c Cell, seed uint64) (Plan, error) {
	for field, usual := range map[*string]string{&c.Path: "direct", &c.Zone: "unsigned", &c.List: "own", &c.Rate: "native"} {
		if *field == "" {
			*field = usual
		}
	}
	if c.Tool == "" {
		p := s.benign(s.Benign)[0]
		p.Cell.Zone, p.Seed, p.Size = c.Zone, seed, s
		return p, nil
	}
	for _, p := range s.storms() {
		if p.Cell.Tool == c.Tool {
			p.Seed, p.Size, p.Cell.Zone = seed, s, c.Zone
			return p, nil
		}
	}
	if t, ok := adversary.Find(c.Tool); ok {
		k, err := knowledge(c.List)
		if err != nil {
			return Plan{}, err
		}
		p := attack(t, c.Path, c.Zone, c.List, c.Rate, func(o *adversary.Options) { o.List = k })
		p.Seed, p.Size = seed, s
		return p, nil
	}
	return Plan{}, fmt.Errorf("no tool, evader or storm is called %q: want one of %s", c.Tool, strings.Join(Tools(), ", "))
}

// Tools names all tools, evaders and storms.
func Tools() (names []string) {
	for _, t := range slices.Concat(adversary.Tools(), adversary.Evaders()) {
		names = append(names, t.Name)
	}
	for _, s := range background.Storms() {
		names = append(names, s.Name)
	}
	return names
}

func knowledge(name string) (adversary.Knowledge, error) {
	var names []string
	for k := adversary.KnowsOwn; k <= adversary.KnowsHits; k++ {
		if k.String() == name {
			return k, nil
		}
		names = append(names, k.String())
	}
	return 0, fmt.Errorf("no list is called %q: want one of %s", name, strings.Join(names, ", "))
}
