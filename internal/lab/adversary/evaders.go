package adversary

import (
	"github.com/picket-dns/picket/internal/lab"
)

const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// Evaders are adversaries who have read how Picket decides and stay below it. Each
// says what it avoids. What that costs them, in questions, cover and days, Run.Cost
// tells, and docs/lab-tools.md lists.
func Evaders() []Tool {
	spread := Habits{RD: true, Spread: SpreadRandom}
	list := func(s Stage) []Stage {
		s.Do = DoList
		return []Stage{s}
	}
	return []Tool{
		{Name: "among known-good", Technique: "brute-force", Habits: stub, Words: 1500, Knows: KnowsShuffled,
			Says:   "three names that exist before each guess",
			Evades: "the sequential test of brute-force: names that exist take from its sum what guesses add, as long as there are new ones",
			Stages: list(Stage{Cover: Cover{Kind: CoverGood, Each: 3}, Pause: second})},
		{Name: "below thresholds", Technique: "brute-force", Habits: stub, Words: 1500, Knows: KnowsShuffled,
			Says:   "six names from one source with two that exist before each, then the next; each source once in three hours",
			Evades: "eight missing names of one source; what the guesses of earlier visits added, names that exist have taken back",
			Stages: list(Stage{Cover: Cover{Kind: CoverGood, Each: 2}, Rest: Rest{Per: 6, Every: 3 * hour}, Pause: 20 * second})},
		{Name: "even spread", Technique: "brute-force", Habits: spread, Words: 1500, Knows: KnowsShuffled,
			Says:   "one name in 20 s, each through a source drawn anew",
			Evades: "every count by source: none stands out",
			Stages: list(Stage{Pause: 20 * second})},
		{Name: "fresh /64", Technique: "brute-force", Habits: stub, Words: 1500, Knows: KnowsShuffled, Needs: Needs{Direct: true},
			Says:   "five names from one IPv6 /64, then the next of the same /48",
			Evades: "sources, which are /64s: each asks less than a detector needs",
			Stages: list(Stage{Rest: Rest{Per: 5, Fresh: true}, Pause: second})},
		{Name: "forged decoys", Technique: "brute-force", Habits: stub, Words: 1500, Knows: KnowsShuffled,
			Says:   "for each guess four others from forged addresses, whose answers it never sees",
			Evades: "attribution, and attention: the real source is one among thousands",
			Stages: list(Stage{Cover: Cover{Kind: CoverWords, Each: 4, Forged: true}, Pause: second, Rest: Rest{Per: 6, Every: hour}})},
		{Name: "framed resolvers", Technique: "brute-force", Habits: Habits{EDNSSize: 1232, DO: true}, Words: 1500, Knows: KnowsShuffled,
			Says:   "for each guess four others that pretend to come from six large resolvers",
			Evades: "blame: who blocks what a finding names blocks everybody's resolver",
			Stages: list(Stage{Cover: Cover{Kind: CoverWords, Each: 4, Forged: true, Framed: true}, Pause: second, Rest: Rest{Per: 6, Every: hour}})},
		{Name: "behind a flood", Technique: "brute-force", Habits: stub, Words: 1500, Knows: KnowsShuffled,
			Says:   "guesses while forged addresses ask for generated names, ten for each",
			Evades: "the zone-wide view: a flood is called a flood, and guesses in it are not looked for",
			Stages: list(Stage{Cover: Cover{Kind: CoverFlood, Each: 10, Forged: true}, Pause: second, Rest: Rest{Per: 6, Every: hour}})},
		{Name: "slow poison", Technique: "brute-force", Habits: spread, Words: 1500, Knows: KnowsShuffled,
			Says:   "a week of questions with ever more misses through the same sources, then the list",
			Evades: "a source's own background of misses, which then counts against the test",
			Stages: []Stage{{Do: DoPoison, Days: 7, Each: 2000}, {Do: DoList, Pause: 20 * second}}},
		{Name: "chameleon", Technique: "brute-force", Habits: spread, Words: 1500, Knows: KnowsShuffled,
			Says:   "random order, random types and gaps of very unequal length",
			Evades: "order, and whatever expects one type at one pace",
			Stages: list(Stage{Hide: Hide{Types: true, Pace: true}, Pause: 10 * second})},
		{Name: "sorted blocks", Technique: "brute-force", Habits: stub, Words: 1500, Sorted: true,
			Says:   "a sorted list in forty blocks at once",
			Evades: "ordered-names",
			Stages: list(Stage{Workers: 40, Blocks: true, Pause: 40 * second})},
		{Name: "old names among leaks", Technique: "pdns-validation", Habits: stub, Knows: KnowsPassiveDNS, Needs: Needs{Retired: true},
			Says:   "a passive-DNS list with two foreign names below the zone before each, as search lists make them",
			Evades: "retired-names, which is silent where more names never existed, and brute-force, to which leaks are nothing",
			Stages: list(Stage{Cover: Cover{Kind: CoverLeak, Each: 2}, Pause: 10 * second})},
		{Name: "old names, a few a day", Technique: "pdns-validation", Habits: stub, Knows: KnowsPassiveDNS, Needs: Needs{Retired: true},
			Says:   "seven names of a passive-DNS list from each source a day",
			Evades: "eight retired names of one source in 24 hours, and twenty of the zone in an hour",
			Stages: list(Stage{Rest: Rest{Per: 7, Every: day}, Pause: 10 * minute})},
		{Name: "walk by ordinary children", Technique: "nsec-walk", Habits: Habits{RD: true, DO: true, EDNSSize: 1232, Spread: SpreadRandom}, Needs: Needs{Signing: lab.NSEC},
			Says:   "an ordinary word below each disclosed name, one in two seconds; what walkers ask only where a name has others below it",
			Evades: "the forms that nsec-walk knows",
			Stages: []Stage{{Do: DoWalk, Forms: []Form{FormOrdinal, FormZero, FormDash}, Pause: 2 * second}}},
		{Name: "slow survey", Technique: "record-survey", Habits: dig, Says: "the apex for all types, one in 70 s",
			Evades: "the minute of record-survey",
			Stages: []Stage{{Do: DoAsk, Exact: true, Pause: 70 * second, Questions: []Question{{Type: lab.TypeSOA}, {Type: lab.TypeNS}, {Type: lab.TypeMX}, {Type: lab.TypeTXT},
				{Type: lab.TypeCAA}, {Type: lab.TypeDNSKEY}, {Type: lab.TypeSPF}, {Type: lab.TypeHINFO}, {Type: lab.TypeNAPTR}}}}},
		{Name: "slow services", Technique: "service-survey", Habits: stub, Says: "72 services, one a minute",
			Evades: "twelve services in ten minutes", Stages: []Stage{{Do: DoService, Count: 72, Shuffle: true, Exact: true, Pause: minute}}},
		{Name: "scattered sweep", Technique: "reverse-sweep", Habits: stub, Needs: Needs{Reverse: true},
			Says: "a range in random order, thirty addresses an hour", Evades: "32 addresses in an hour, and neighbours",
			Stages: []Stage{{Do: DoSweep, Shuffle: true, Exact: true, Pause: 2 * minute}}},
	}
}
