package judge

import (
	"fmt"
	"slices"
)

// floor is a figure of Picket without signatures that a change must not worsen. The
// values are those of the quick size when they were last looked at, less what a run or
// two of a cell make.
type floor struct {
	what  string
	where func(*Outcome) bool
	// least is the least share of runs that are found, clean or told; most the most
	// false alarms per million queries, where it is set.
	least, most float64
}

// in selects a block, and of it what else holds.
func in(block string, and func(c *Cell) bool) func(*Outcome) bool {
	return func(o *Outcome) bool { return o.Cell.Block == block && (and == nil || and(&o.Cell)) }
}

// guesses are the classes that guess names.
func guesses(c *Cell) bool { return c.Class == "brute-force" || c.Class == "permutation-brute" }

// oneSource are the paths on which a finding about one source can be expected.
func oneSource(c *Cell) bool { return c.Path == "direct" || c.Path == "1 resolver" }

// unlisted are harmless sets of which a finding is right unless who does it is listed.
func unlisted(c *Cell) bool { return c.Tool == "attack-surface-vendor" || c.Tool == "zonemaster" }

func floors() []floor {
	classes := func(names ...string) func(*Cell) bool {
		return func(c *Cell) bool { return oneSource(c) && slices.Contains(names, c.Class) }
	}
	return []floor{
		{what: "tools that guess, on all paths", where: in(BlockTools, guesses), least: 0.97},
		{what: "shuffled and large lists", where: in(BlockLists, guesses), least: 0.95},
		{what: "slow guessing, on all paths", where: in(BlockRates, guesses), least: 0.95},
		{what: "evaders that guess, on all paths", where: in(BlockEvaders, guesses), least: 0.9},
		{what: "zone transfers and fingerprints", where: in(BlockTools, classes("zone-transfer", "server-fingerprint")), least: 1},
		{what: "surveys from one source", where: in(BlockTools, classes("record-survey", "service-survey")), least: 0.95},
		{what: "walks from one source", where: in(BlockTools, classes("nsec-walk", "nsec3-walk")), least: 0.95},
		{what: "sweeps from one source", where: in(BlockTools, classes("reverse-sweep")), least: 0.95},
		{what: "verified lists from one source", where: in(BlockTools, classes("pdns-validation")), least: 0.85},
		{what: "harmless sets left alone", where: func(o *Outcome) bool { return o.Label == Benign && o.Cell.Block == BlockStorms && !unlisted(&o.Cell) }, least: 1},
		{what: "floods told as floods", where: func(o *Outcome) bool { return o.Label == Flood && o.Cell.Block == BlockStorms }, least: 0.6},
		{what: "real captures among simulated traffic", where: in(BlockReplay, nil), least: 0.95},
		{what: "false alarms on background", where: func(o *Outcome) bool { return o.Cell.Block == BlockBenign || o.Cell.Block == BlockBulk }, most: 1},
	}
}

// Below says which floors the outcomes are below; a floor on what was not run
// says nothing.
func Below(t *Tally) (list []string) {
	for _, f := range floors() {
		s := t.Sum(PicketBehavior, f.where)
		if rate, _ := s.PerMillion(); f.most > 0 && s.Runs > 0 && rate > f.most {
			list = append(list, fmt.Sprintf("%s: %d in %d queries, want at most %g in a million: %v", f.what, s.False, s.Queries, f.most, s.Kinds))
		}
		for _, share := range []Share{s.Found, s.FloodTold, s.Clean} {
			if f.most == 0 && share.N > 0 && share.Value() < f.least {
				list = append(list, fmt.Sprintf("%s: %d of %d, want at least %.2f", f.what, share.K, share.N, f.least))
			}
		}
	}
	return list
}
