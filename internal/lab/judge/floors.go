package judge

import "fmt"

// floor is a figure of Picket without signatures that a change must not worsen.
type floor struct {
	what  string
	where func(*Outcome) bool
	// least is the least share of runs that are found, clean or told.
	least float64
}

// in selects a block, and of it what else holds.
func in(block string, and func(c *Cell) bool) func(*Outcome) bool {
	return func(o *Outcome) bool { return o.Cell.Block == block && (and == nil || and(&o.Cell)) }
}

// fewSources are the paths of up to eight resolvers.
func fewSources(c *Cell) bool { return c.Path != "1,000 sources" && c.Path != "10,000 sources" }

// floors are those of the quick size.
func floors() []floor {
	return []floor{}
}

// Below says which floors the outcomes are below; a floor on what was not run
// says nothing.
func Below(t *Tally) (list []string) {
	for _, f := range floors() {
		s := t.Sum(PicketBehavior, f.where)
		for _, share := range []Share{s.Found, s.FloodTold, s.Clean} {
			if share.N > 0 && share.Value() < f.least {
				list = append(list, fmt.Sprintf("%s: %d of %d, want at least %.3f", f.what, share.K, share.N, f.least))
			}
		}
	}
	return list
}
