package adversary_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
)

// TestListsAreLikeRealOnes: 23 labels in all lists, 246 in most, and the same
// vocabulary whoever asks.
func TestListsAreLikeRealOnes(t *testing.T) {
	v := adversary.NewVocabulary(40_000)
	if n := len(v.Core()); n != 23 {
		t.Errorf("%d core labels, want 23", n)
	}
	if n := len(v.Core()) + len(v.Common()); n != 246 {
		t.Errorf("%d labels in most lists, want 246", n)
	}
	in := map[string]int{}
	lists := []int{130, 1480, 1000, 1600, 1910, 1000, 5000, 5000, 8000} // the second is poor
	for i, n := range lists {
		list := v.List(n, i == 1, lab.Rand(uint64(i), "list"))
		if len(list) != n {
			t.Errorf("%d words, want %d", len(list), n)
		}
		seen := map[string]bool{}
		for _, w := range list {
			if seen[w] {
				t.Fatalf("%q is there twice", w)
			}
			if _, err := dnsname.Parse(w); err != nil || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
				t.Fatalf("%q is no label", w)
			}
			seen[w] = true
			in[w]++
		}
	}
	everywhere, most := 0, 0
	for _, n := range in {
		if n == len(lists) {
			everywhere++
		}
		if n >= len(lists)-2 {
			most++
		}
	}
	if everywhere < 23 || everywhere > 50 || most < 210 || most > 290 {
		t.Errorf("of nine lists, in all %d labels, in seven %d; want about 23 and 246", everywhere, most)
	}
	t.Logf("of nine lists, in all %d labels, in seven %d, in any %d", everywhere, most, len(in))
	ascents, first := 0, v.List(5000, false, lab.Rand(1, "x"))[:240]
	for i := range first[1:] {
		if first[i] < first[i+1] {
			ascents++
		}
	}
	if first[0] != "www" || ascents < 95 || ascents > 145 {
		t.Errorf("a list by rank begins with %q, %d of its first 239 pairs are in order", first[:5], ascents)
	}
	again := adversary.NewVocabulary(40_000)
	if !slices.Equal(v.List(3000, false, lab.Rand(1, "x")), again.List(3000, false, lab.Rand(1, "x"))) {
		t.Error("the same seed gives another list")
	}
}

// asked runs a tool directly and returns the first labels that it asked for A or
// AAAA, once each and in order, and how many of them exist.
func asked(t *testing.T, tool adversary.Tool, change func(*adversary.Options)) (labels []string, hits int) {
	t.Helper()
	w, o := fits(t, &tool, lab.Direct("one", 1))
	if change != nil {
		change(&o)
	}
	seen := map[string]bool{}
	r := start(t, w, tool, o)
	for q := r.Next(); q != nil; q = r.Next() {
		name := dnsname.Text(q.Name)
		if rel, ok := strings.CutSuffix(name, ".corp.example"); ok && !seen[rel] && (q.Type == lab.TypeA || q.Type == lab.TypeAAAA || q.Type == lab.TypeCNAME) {
			seen[rel] = true
			labels = append(labels, rel)
			if w.Zone.Find(q.Name) >= 0 {
				hits++
			}
		}
	}
	return labels, hits
}

// TestKnowledge: what lists hold, by where they come from.
func TestKnowledge(t *testing.T) {
	dnsmap := find(t, "dnsmap")
	for _, c := range []struct {
		tool        string
		list        adversary.Knowledge
		low, high   int     // names
		least, most float64 // share of them that exists
		from, to    float64 // share in order
	}{
		{"fierce", adversary.KnowsOwn, 1580, 1610, 0.01, 0.06, 0.99, 1},
		{"fierce", adversary.KnowsShuffled, 1580, 1610, 0.01, 0.06, 0.45, 0.55},
		{"gobuster", adversary.KnowsOwn, 4990, 5010, 0.004, 0.04, 0.4, 0.6},
		{"gobuster", adversary.KnowsLarge, 109_990, 110_010, 0.0003, 0.003, 0.4, 0.6},
		{"amass alterations", adversary.KnowsOwn, 1000, 4000, 0, 0.05, 0.4, 0.6},
		{"passive DNS, verified", adversary.KnowsOwn, 250, 400, 0.6, 0.85, 0.4, 0.6},
		{"CT, verified", adversary.KnowsOwn, 30, 400, 0.5, 1, 0.95, 1},
		{"hits, verified again", adversary.KnowsOwn, 150, 300, 1, 1, 0.4, 0.6},
	} {
		labels, hits := asked(t, find(t, c.tool), func(o *adversary.Options) { o.List = c.list })
		ascents := 0
		for i := 1; i < len(labels); i++ {
			if labels[i] > labels[i-1] {
				ascents++
			}
		}
		exist, order := float64(hits)/float64(len(labels)), float64(ascents)/float64(len(labels)-1)
		if len(labels) < c.low || len(labels) > c.high || exist < c.least || exist > c.most || order < c.from || order > c.to {
			t.Errorf("%s, %s: %d names, %.4f exist, %.3f in order; want %d to %d, %g to %g, %g to %g", c.tool, c.list, len(labels), exist, order, c.low, c.high, c.least, c.most, c.from, c.to)
		}
	}
	labels, _ := asked(t, dnsmap, func(o *adversary.Options) { o.Words = []string{"one", "two.deep", "three"} })
	if got := strings.Join(labels[1:], " "); got != "one two.deep three" {
		t.Errorf("a list of the user's was asked as %q", got)
	}
}

// TestRetiredShare: a passive-DNS list has the share of the past that is wanted.
func TestRetiredShare(t *testing.T) {
	tool := find(t, "passive DNS, verified")
	for _, share := range []float64{0.25, 1} {
		labels, hits := asked(t, tool, func(o *adversary.Options) { o.Retired = share })
		w := world(t, lab.Unsigned)
		if gone, all := float64(len(labels)-hits), float64(len(w.Zone.Retired)); gone < share*all*0.7 || gone > share*all*1.3+1 {
			t.Errorf("%.0f retired names of %.0f, want %.2f of them", gone, all, share)
		}
	}
}
