package adversary_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
)

const wholeRun = int64(1) << 62

// tiny is a zone whose walk can be written down.
func tiny(t *testing.T, signing lab.Signing, names ...string) *lab.World {
	t.Helper()
	z := &lab.Zone{Apex: dnsname.MustParse("corp.example"), Signing: signing, TTL: 300, NegativeTTL: 60, Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1")}}
	z.Owners = append(z.Owners, lab.Owner{Name: z.Apex, Types: lab.TypeSet(lab.TypeSOA, lab.TypeNS)})
	for _, name := range names {
		types := lab.TypeSet(lab.TypeA)
		if strings.HasPrefix(name, "cut") {
			types = lab.TypeSet(lab.TypeNS)
		}
		z.Owners = append(z.Owners, lab.Owner{Name: z.Name(name), Types: types})
	}
	if err := z.Seal(); err != nil {
		t.Fatal(err)
	}
	return &lab.World{Zone: z, Begin: begin}
}

// TestWalkFollowsTheChain holds walks question by question.
func TestWalkFollowsTheChain(t *testing.T) {
	for _, c := range []struct {
		tool  string
		names []string
		want  string
		knows int
	}{
		{"ldns-walk", []string{"a", "m", "z"}, `corp.example 6, \000.corp.example 43, \000.a.corp.example 43, \000.m.corp.example 43, \000.z.corp.example 43`, 3},
		{"nmap dns-nsec-enum", []string{"a", "m"}, `0.corp.example 1, 0.a.corp.example 1, 0.m.corp.example 1`, 2},
		{"nmap dns-nsec-enum", []string{"a", "cut", "m"}, `0.corp.example 1, 0.a.corp.example 1, 0.cut.corp.example 1, cut-.corp.example 1, 0.m.corp.example 1`, 3},
		{"ldns-walk", []string{"a", "cut", "m"}, `corp.example 6, \000.corp.example 43, \000.a.corp.example 43, \000.cut.corp.example 43`, 2},
		{"NSEC by type", []string{"a", "m"}, `corp.example 47, a.corp.example 47, m.corp.example 47`, 2},
	} {
		w := tiny(t, lab.NSEC, c.names...)
		r := start(t, w, find(t, c.tool), adversary.Options{Path: lab.Direct("one", 1), Begin: begin})
		var got []string
		for q := r.Next(); q != nil; q = r.Next() {
			got = append(got, text(q))
		}
		if fmt.Sprint(strings.Join(got, ", ")) != c.want || r.Disclosed(wholeRun) != c.knows {
			t.Errorf("%s over %q: %s; knows %d, want %s; %d", c.tool, c.names, strings.Join(got, ", "), r.Disclosed(wholeRun), c.want, c.knows)
		}
	}
}

// TestWalksLearnTheZone: walkers that get past cuts and wildcards have every name,
// also through resolvers.
func TestWalksLearnTheZone(t *testing.T) {
	w := world(t, lab.NSEC)
	for _, name := range []string{"n3map NSEC", "nmap dns-nsec-enum", "walk by ordinary children"} {
		for _, through := range []int{0, 8} {
			path := lab.Direct("one", 1)
			if through > 0 {
				path = lab.Through("eight", w.Fleet, through, lab.Rand(2, "path"))
			}
			r := start(t, w, find(t, name), adversary.Options{Path: path, Begin: begin, Seed: 2})
			n := 0
			for q := r.Next(); q != nil; q = r.Next() {
				n++
			}
			if knows := r.Disclosed(wholeRun); knows != len(w.Zone.Owners)-1 {
				t.Errorf("%s through %d: knows %d of %d names after %d queries", name, through, knows, len(w.Zone.Owners)-1, n)
			}
		}
	}
}

// TestHashesAreCollected: nearly the whole chain, with hardly a question more than it
// has intervals, and labels that ascend.
func TestHashesAreCollected(t *testing.T) {
	w := world(t, lab.NSEC3)
	tool := find(t, "n3map NSEC3")
	r := start(t, w, tool, adversary.Options{Path: lab.Direct("one", 1), Begin: begin, Seed: 2})
	s := adversary.ShapeOf(r)
	n, share := r.Intervals()
	if share < 0.998 || n < len(w.Zone.Owners)-8 || s.Queries > n+1 {
		t.Errorf("%d intervals that cover %.4f after %d questions; %d names", n, share, s.Queries, len(w.Zone.Owners))
	}
	if s.DO != 1 || s.Share(lab.TypeA) < 0.99 {
		t.Errorf("%+v", s)
	}
	r = start(t, w, find(t, "nmap dns-nsec3-enum"), adversary.Options{Path: lab.Direct("one", 1), Begin: begin, Seed: 2})
	if s := adversary.ShapeOf(r); s.Types[lab.TypeNSEC3] != 200 || s.Queries != 200 {
		t.Errorf("%+v", s)
	}
}

// TestTransfer: an open zone is known at once, a closed one is not.
func TestTransfer(t *testing.T) {
	for _, open := range []bool{true, false} {
		w := tiny(t, lab.Unsigned, "a", "b", "c")
		w.Zone.OpenTransfer = open
		r := start(t, w, find(t, "dig axfr"), adversary.Options{Path: lab.Direct("one", 1), Begin: begin})
		all := lab.Collect(r)
		want := 0
		if open {
			want = 3
		}
		if got := r.Disclosed(wholeRun); got != want || all[2].Type != lab.TypeAXFR || all[2].Transport != picket.TransportTCP || all[2].Has(picket.FlagRD) {
			t.Errorf("open %t: knows %d, want %d; %+v", open, got, want, all[2])
		}
		if before := r.Disclosed(all[2].Time); before != 0 {
			t.Errorf("knows %d before the transfer's answer", before)
		}
	}
}

// TestSweeps: a range is asked whole, in order or not; the tree's questions lead to
// every host and to nothing below what does not exist.
func TestSweeps(t *testing.T) {
	w := world(t, lab.Unsigned)
	v := reverse(t, w, "192.0.2.0/24")
	r := start(t, w, find(t, "dnsrecon rvl"), adversary.Options{Path: lab.Direct("one", 1), Begin: begin, Reverse: v})
	s := adversary.ShapeOf(r)
	if s.Types[lab.TypePTR] != 256 || s.Names != 256 || r.Disclosed(wholeRun) != 60 || s.NX < 0.7 || s.NX > 0.8 {
		t.Errorf("%+v, %d known", s, r.Disclosed(wholeRun))
	}
	six := reverse(t, w, "2001:db8:77::/48")
	r = start(t, w, find(t, "nmap ip6-arpa"), adversary.Options{Path: lab.Direct("one", 1), Begin: begin, Reverse: six})
	exists := map[string]bool{dnsname.Text(six.Apex): true}
	for q := r.Next(); q != nil; q = r.Next() {
		name := dnsname.Text(q.Name)
		_, parent, _ := strings.Cut(name, ".")
		if !exists[parent] {
			t.Fatalf("%s is asked below what does not exist", name)
		}
		exists[name] = q.Rcode == picket.RcodeNoError
	}
	if r.Disclosed(wholeRun) != 60 {
		t.Errorf("%d hosts of 60", r.Disclosed(wholeRun))
	}
}

func TestReverseZoneRefuses(t *testing.T) {
	w := tiny(t, lab.Unsigned)
	for _, prefix := range []string{"192.0.2.0/25", "2001:db8::/50"} {
		if _, err := adversary.ReverseZone(netip.MustParsePrefix(prefix), 10, w.Zone, 1); err == nil {
			t.Errorf("%s is accepted", prefix)
		}
	}
}

// TestNewRefuses: what is missing is said.
func TestNewRefuses(t *testing.T) {
	w := tiny(t, lab.Unsigned, "a")
	one := lab.Direct("one", 1)
	through := &lab.Path{Resolvers: []*lab.Resolver{{}}}
	for _, c := range []struct {
		tool string
		o    adversary.Options
		want string
	}{
		{"fierce", adversary.Options{}, "adversary fierce: a path with at least one source is needed"},
		{"dig axfr", adversary.Options{Path: through}, "adversary dig axfr: resolvers do not pass on what it asks"},
		{"n3map NSEC", adversary.Options{Path: one}, "adversary n3map NSEC: the zone has to be signed with NSEC"},
		{"dnsrecon rvl", adversary.Options{Path: one}, "adversary dnsrecon rvl: a reverse zone is needed"},
		{"passive DNS, verified", adversary.Options{Path: one}, "adversary passive DNS, verified: the zone has no retired names"},
		{"fierce", adversary.Options{Path: one, Jitter: 2}, "adversary fierce: rate 0, jitter 2: want at least 0, and a jitter of at most 1"},
		{"CT, verified", adversary.Options{Path: one}, "adversary CT, verified: its list is empty"},
	} {
		if _, err := adversary.New(w, find(t, c.tool), c.o); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.tool, err, c.want)
		}
	}
	if _, ok := adversary.Find("nobody"); ok {
		t.Error("a tool that is none is found")
	}
}
