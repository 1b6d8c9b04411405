package organisation

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// PassiveDNS returns the names of a zone that a passive-DNS database would return
// for it, in canonical order: a share of those that live and of those that are
// retired, the popular ones and those that went lately likelier. Wildcards are not
// among them: a database has what was asked. The names belong to the zone.
func PassiveDNS(z *lab.Zone, rnd *rand.Rand, cover, retired float64) [][]byte {
	live := sample(z.Owners, rnd, cover, func(o *lab.Owner) float64 {
		if o.Name[0] == 1 && o.Name[1] == '*' {
			return 0
		}
		return 1 + 2*math.Log1p(o.Popularity*float64(len(z.Owners)))
	})
	gone := sample(z.Retired, rnd, retired, func(o *lab.Owner) float64 {
		return 1 + 2*math.Log1p(o.Popularity*float64(len(z.Owners))) + 200/float64(100+o.Until)
	})
	list := append(live, gone...)
	slices.SortFunc(list, dnsname.Compare)
	return list
}

// sample draws a share of owners without putting any back, each in proportion to
// its weight among those that are left (Efraimidis and Spirakis 2006). Weight 0 is
// never drawn.
func sample(owners []lab.Owner, rnd *rand.Rand, share float64, weight func(*lab.Owner) float64) [][]byte {
	type keyed struct {
		key  float64
		name []byte
	}
	keys := make([]keyed, 0, len(owners))
	for i := range owners {
		key := rnd.ExpFloat64() // drawn for each, so that a weight changes no other's luck
		if w := weight(&owners[i]); w > 0 {
			keys = append(keys, keyed{key / w, owners[i].Name})
		}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	n := min(int(math.Round(share*float64(len(owners)))), len(keys))
	list := make([][]byte, max(n, 0), max(n, 0)+len(keys)/4)
	for i := range list {
		list[i] = keys[i].name
	}
	return list
}

// Certificates returns the names of a zone that certificate logs show, those of the
// past included, because logs forget nothing. They come in the order in which
// they were logged, which has nothing to do with the names. Wildcard certificates
// name no host and are left out.
func Certificates(z *lab.Zone, rnd *rand.Rand) (list [][]byte) {
	for _, owners := range [...][]lab.Owner{z.Owners, z.Retired} {
		for i := range owners {
			if o := &owners[i]; o.Public && !(o.Name[0] == 1 && o.Name[1] == '*') {
				list = append(list, o.Name)
			}
		}
	}
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// Guessable is how many owners of a zone somebody finds who tries words (labels,
// or several with dots between) below its apex. What a wildcard answers for is no find.
func Guessable(z *lab.Zone, words []string) (n int) {
	found := map[int]bool{}
	for _, w := range words {
		name := z.Name(strings.ToLower(w))
		if name == nil || len(name) > dnsname.MaxLen || bytes.Equal(name, z.Apex) {
			continue
		}
		if i := z.Find(name); i >= 0 && !found[i] {
			found[i] = true
			n++
		}
	}
	return n
}
