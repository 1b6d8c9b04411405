package adversary

import (
	"math/rand/v2"
	"slices"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// largeList is the length of the large list.
const largeList = 110_000

// list makes what the run goes through: labels below the apex.
func (r *Run) list() []string {
	if r.o.Words != nil {
		return r.o.Words
	}
	rnd := lab.Rand(r.o.Seed, "list of "+r.tool.Name)
	know := r.o.List
	if know == KnowsOwn {
		know = r.tool.Knows
	}
	n := r.tool.Words
	if n == 0 {
		n = 1500
	}
	switch know {
	case KnowsLarge:
		return NewVocabulary(largeList).words[:largeList]
	case KnowsPermutation:
		return r.alterations(rnd)
	case KnowsPassiveDNS:
		list := r.relative(r.known(rnd, orElse(r.o.Known, 0.7)), r.past(rnd, orElse(r.o.Retired, 1), false))
		shuffle(list, rnd)
		return list
	case KnowsCT:
		list := r.relative(r.public(), r.past(rnd, 1, true))
		slices.Sort(list)
		return list
	case KnowsHits:
		list := r.relative(r.known(rnd, orElse(r.o.Known, 0.7)))
		shuffle(list, rnd)
		return list
	case KnowsShuffled:
		list := NewVocabulary(4*n+3000).List(n, r.tool.Poor, rnd)
		shuffle(list, rnd)
		return list
	}
	list := NewVocabulary(4*n+3000).List(n, r.tool.Poor, rnd)
	if r.tool.Sorted {
		list = alphabetical(list, rnd)
	}
	return list
}

func orElse(x, other float64) float64 {
	if x == 0 {
		return other
	}
	return x
}

func shuffle(list []string, r *rand.Rand) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// known draws a share of the zone's names, as somebody outside comes to know them:
// those that are asked for more often first.
func (r *Run) known(rnd *rand.Rand, share float64) (list []*lab.Owner) {
	mean := 0.0
	for i := range r.zone.Owners {
		mean += r.zone.Owners[i].Popularity
	}
	mean /= float64(len(r.zone.Owners))
	for i := range r.zone.Owners {
		o := &r.zone.Owners[i]
		p := share
		if mean > 0 && o.Popularity > mean {
			p = 1 - (1-share)/2
		}
		if len(o.Name) > len(r.zone.Apex) && !wild(o.Name) && rnd.Float64() < p {
			list = append(list, o)
		}
	}
	return list
}

// wild reports whether a name is a wildcard: nobody asks for the star itself.
func wild(name []byte) bool { return len(name) > 1 && name[0] == 1 && name[1] == '*' }

// public are the names that certificate logs show.
func (r *Run) public() (list []*lab.Owner) {
	for i := range r.zone.Owners {
		if o := &r.zone.Owners[i]; o.Public && len(o.Name) > len(r.zone.Apex) && !wild(o.Name) {
			list = append(list, o)
		}
	}
	return list
}

// past draws a share of the retired names.
func (r *Run) past(rnd *rand.Rand, share float64, public bool) (list []*lab.Owner) {
	for i := range r.zone.Retired {
		if o := &r.zone.Retired[i]; (!public || o.Public) && rnd.Float64() < share {
			list = append(list, o)
		}
	}
	return list
}

// relative turns owners into labels below the apex.
func (r *Run) relative(lists ...[]*lab.Owner) (out []string) {
	for _, list := range lists {
		for _, o := range list {
			out = append(out, relative(o.Name, r.zone.Apex))
		}
	}
	return out
}

// relative is a name's labels below an apex in presentation form.
func relative(name, apex []byte) string {
	rel := append(slices.Clone(name[:len(name)-len(apex)]), 0)
	return dnsname.Text(rel)
}

// mostAlterations bounds what is made of each known name.
const mostAlterations = 24

// alterations are names close to those that exist: affixes, digits turned, one edit.
func (r *Run) alterations(rnd *rand.Rand) []string {
	seen := map[string]bool{}
	known := r.relative(r.known(rnd, 0.3))
	for _, name := range known {
		seen[name] = true // not asked again
	}
	var list []string
	for _, name := range known {
		first, rest := cutLabel(name)
		if first[0] == '_' {
			continue
		}
		for range mostAlterations {
			if alt := alter(first, rnd) + rest; !seen[alt] && len(alt) < 60 {
				seen[alt] = true
				list = append(list, alt)
			}
		}
		if len(list) > 20_000 {
			break
		}
	}
	return list
}

func cutLabel(name string) (first, rest string) {
	for i := range name {
		if name[i] == '.' {
			return name[:i], name[i:]
		}
	}
	return name, ""
}

// alter changes a label by one step.
func alter(label string, r *rand.Rand) string {
	env := environments[r.IntN(len(environments))]
	i := r.IntN(len(label))
	switch r.IntN(8) {
	case 0, 1:
		return label + "-" + env
	case 2:
		return env + "-" + label
	case 3:
		return label + env
	case 4:
		return label + string(digits[r.IntN(10)])
	case 5: // turn a digit, or number it
		for j := range label {
			if label[j] >= '0' && label[j] <= '9' {
				return label[:j] + string(digits[r.IntN(10)]) + label[j+1:]
			}
		}
		return label + "-0" + string(digits[1+r.IntN(9)])
	case 6: // a letter changed
		return label[:i] + string(letters[r.IntN(26)]) + label[i+1:]
	default: // a letter more
		return label[:i] + string(letters[r.IntN(26)]) + label[i:]
	}
}
