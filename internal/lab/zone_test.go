package lab_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// smallZone has one of each: hosts, an empty non-terminal, a wildcard, a cut with glue.
func smallZone(t *testing.T, s lab.Signing) *lab.Zone {
	t.Helper()
	z := &lab.Zone{Apex: dnsname.MustParse("corp.example"), Signing: s, TTL: 300, NegativeTTL: 60, Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1")}}
	for name, types := range map[string]lab.Types{"": lab.TypeSet(lab.TypeSOA, lab.TypeNS, lab.TypeMX), "www": lab.TypeSet(lab.TypeA, lab.TypeAAAA),
		"host.deep": lab.TypeSet(lab.TypeA), "*.apps": lab.TypeSet(lab.TypeA), "sub": lab.TypeSet(lab.TypeNS), "ns.sub": lab.TypeSet(lab.TypeA)} {
		z.Owners = append(z.Owners, lab.Owner{Name: z.Name(name), Types: types})
	}
	// The apex is no cut of its own zone.
	for i := range z.Owners {
		if len(z.Owners[i].Name) == len(z.Apex) {
			z.Owners[i].Purpose = lab.PurposeApex
		}
	}
	if err := z.Seal(); err != nil {
		t.Fatal(err)
	}
	return z
}

func TestRespond(t *testing.T) {
	for _, c := range []struct {
		name     string
		qtype    uint16
		rcode    picket.Rcode
		answers  uint16
		negative bool
		denials  [3]int // unsigned, NSEC, NSEC3
	}{
		{"www.corp.example", lab.TypeA, 0, 1, false, [3]int{}},
		{"www.corp.example", lab.TypeMX, 0, 0, true, [3]int{0, 1, 1}},
		{"corp.example", lab.TypeANY, 0, 3, false, [3]int{}},
		{"deep.corp.example", lab.TypeA, 0, 0, true, [3]int{0, 1, 1}},
		{"any.apps.corp.example", lab.TypeA, 0, 1, false, [3]int{0, 1, 1}},
		{"nope.corp.example", lab.TypeA, picket.RcodeNXDomain, 0, true, [3]int{0, 2, 3}},
		{"corp.example", lab.TypeAXFR, picket.RcodeRefused, 0, false, [3]int{}},
		{"other.example", lab.TypeA, picket.RcodeRefused, 0, false, [3]int{}},
		{"sub.corp.example", lab.TypeDS, 0, 0, true, [3]int{0, 1, 1}},
	} {
		for i, s := range []lab.Signing{lab.Unsigned, lab.NSEC, lab.NSEC3} {
			z := smallZone(t, s)
			q := picket.Query{Name: dnsname.MustParse(c.name), Type: c.qtype, Class: 1, Flags: picket.FlagDO}
			z.Respond(&q)
			if q.Rcode != c.rcode || q.Response.Answers != c.answers || q.Response.HasSOA != c.negative {
				t.Errorf("%s %d: rcode %d, %d answers, negative %t", c.name, c.qtype, q.Rcode, q.Response.Answers, q.Response.HasSOA)
			}
			if got := len(q.Response.Denials); got > c.denials[i] || got == 0 != (c.denials[i] == 0) {
				t.Errorf("%s %d in a zone with %s: %d denials, want %d", c.name, c.qtype, s, got, c.denials[i])
			}
		}
	}
	z := smallZone(t, lab.NSEC)
	q := picket.Query{Name: dnsname.MustParse("x.ns.sub.corp.example"), Type: lab.TypeA, Class: 1}
	if z.Respond(&q); !q.Has(picket.FlagReferral) || dnsname.String(q.Response.Authority) != "sub.corp.example." {
		t.Errorf("below a cut: %+v", q)
	}
	q = picket.Query{Name: dnsname.MustParse("t.corp.example"), Type: lab.TypeA, Class: 1, Flags: picket.FlagDO}
	z.Respond(&q)
	if d := q.Response.Denials[0]; dnsname.String(d.Owner) != "sub.corp.example." || dnsname.String(d.Next) != "www.corp.example." {
		t.Errorf("t is denied by %s to %s", dnsname.String(d.Owner), dnsname.String(d.Next))
	}
}

// names renders what reached the servers.
func names(out *lab.Outbox) (list []string) {
	for q := out.Next(); q != nil; q = out.Next() {
		list = append(list, fmt.Sprintf("%s %d", dnsname.Text(q.Name), q.Type))
	}
	return list
}

func TestResolverHabits(t *testing.T) {
	for _, c := range []struct {
		about string
		r     lab.Resolver
		sign  lab.Signing
		asked []string
		want  []string
	}{
		{"what is cached is not asked again", lab.Resolver{}, lab.Unsigned, []string{"www", "www", "nope", "nope", "below.nope"}, []string{"www.corp.example 1", "nope.corp.example 1"}},
		{"a minimising resolver goes label by label", lab.Resolver{Minimise: true}, lab.Unsigned, []string{"host.deep"}, []string{"deep.corp.example 1", "host.deep.corp.example 1"}},
		{"and stops at what does not exist", lab.Resolver{Minimise: true}, lab.Unsigned, []string{"a.nope"}, []string{"nope.corp.example 1"}},
		{"unless it is relaxed", lab.Resolver{Minimise: true, Relaxed: true}, lab.Unsigned, []string{"a.nope"}, []string{"nope.corp.example 1", "a.nope.corp.example 1"}},
		{"also when that is cached", lab.Resolver{Minimise: true, Relaxed: true}, lab.Unsigned, []string{"nope", "a.nope", "nope"}, []string{"nope.corp.example 1", "a.nope.corp.example 1"}},
		{"some ask the whole name twice", lab.Resolver{Minimise: true, Relaxed: true, Whole: true}, lab.Unsigned, []string{"host.deep", "www"}, []string{"deep.corp.example 1", "host.deep.corp.example 1", "www.corp.example 1"}},
		{"cached denials answer for their neighbours", lab.Resolver{Validates: true, Aggressive: true}, lab.NSEC, []string{"nope", "noqe"}, []string{"nope.corp.example 1"}},
		{"not in a zone with NSEC3", lab.Resolver{Validates: true, Aggressive: true}, lab.NSEC3, []string{"nope", "noqe"}, []string{"nope.corp.example 1", "noqe.corp.example 1"}},
	} {
		z := smallZone(t, c.sign)
		cache, rnd := lab.NewCache(100), lab.Rand(1, "test")
		var out lab.Outbox
		now := int64(0)
		for _, name := range c.asked {
			now, _ = c.r.Ask(now, z, cache, rnd, z.Name(name), lab.TypeA, &out)
		}
		if got := names(&out); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
	}
}

func TestMerge(t *testing.T) {
	every := func(step, end int64) lab.Stream {
		var q picket.Query
		return lab.StreamFunc(func() *picket.Query {
			if q.Time += step; q.Time > end {
				return nil
			}
			return &q
		})
	}
	m := lab.Merge(every(3, 9), every(2, 8))
	var got []string
	for q := m.Next(); q != nil; q = m.Next() {
		got = append(got, fmt.Sprintf("%d@%d", m.From(), q.Time))
	}
	if want := "[1@2 0@3 1@4 0@6 1@6 1@8 0@9]"; fmt.Sprint(got) != want {
		t.Errorf("merged %v, want %s", got, want)
	}
}

func TestFleetIsDeterministic(t *testing.T) {
	p := lab.SweptParameters(lab.Rand(7, "parameters"))
	a, b := lab.NewFleet(&p, lab.Rand(7, "fleet")), lab.NewFleet(&p, lab.Rand(7, "fleet"))
	seen := map[netip.Addr]bool{}
	share := 0.0
	for i := range a.Resolvers {
		if a.Resolvers[i] != b.Resolvers[i] || seen[a.Resolvers[i].Addr] {
			t.Fatalf("resolver %d: %+v and %+v", i, a.Resolvers[i], b.Resolvers[i])
		}
		seen[a.Resolvers[i].Addr] = true
		share += a.Resolvers[i].Clients
	}
	if share < 0.999 || share > 1.001 {
		t.Errorf("all shares together are %f", share)
	}
	r, google, n := lab.Rand(1, "pick"), a.Operator("Google"), 0
	const draws = 100_000
	for range draws {
		if i := a.Pick(r); i >= google.First && i < google.First+google.Count {
			n++
		}
	}
	if got := float64(n) / draws; got < 0.29 || got > 0.31 {
		t.Errorf("Google asks %.3f of all, want 0.30", got)
	}
}

// TestPlanned: steps that ask in the future keep the order of time.
func TestPlanned(t *testing.T) {
	i := int64(0)
	p := lab.PlanFrom(0, func(out *lab.Outbox) (int64, bool) {
		out.Add(&picket.Query{Time: i * 10, Name: []byte{0}})
		out.Add(&picket.Query{Time: i*10 + 25, Name: []byte{0}})
		i++
		return i * 10, i < 4
	})
	var got []int64
	for q := p.Next(); q != nil; q = p.Next() {
		got = append(got, q.Time)
	}
	if want := "[0 10 20 25 30 35 45 55]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if d := time.Duration(lab.Exp(lab.Rand(1, "x"), 0)); d < 1000*time.Hour {
		t.Errorf("a rate of zero came after %v", d)
	}
}
