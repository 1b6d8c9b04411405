package catalog

import (
	"fmt"
	"sync"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

const (
	aa  = picket.FlagAA
	ok  = picket.RcodeNoError
	nxd = picket.RcodeNXDomain
)

func zoneName(nc picket.NameContext) string {
	if nc.Zone == nil {
		return ""
	}
	return nc.Zone.Name
}

func TestInfer(t *testing.T) {
	referral := withAuthority(answer("www.sub.example.com", ok, 0, picket.FlagReferral), "sub.example.com", false)
	update := query("www.example.com")
	update.Opcode = 5
	truncated := withAuthority(answer("www.example.com", ok, 0, aa|picket.FlagTC), "example.com", true)
	for _, tc := range []struct {
		what  string
		q     picket.Query
		zone  string
		state picket.NameState
	}{
		{"query log", query("a.www.example.co.uk"), "example.co.uk.", picket.StateUnknown},
		{"query log, registered name", query("example.co.uk"), "example.co.uk.", picket.StateUnknown},
		{"query log, public suffix", query("co.uk"), "", picket.StateOutOfZone},
		{"query log, hosting suffix", query("me.github.io"), "github.io.", picket.StateUnknown},
		{"query log, unlisted suffix", query("www.corp-a.example"), "corp-a.example.", picket.StateUnknown},
		{"query log, /24", query("4.113.0.203.in-addr.arpa"), "113.0.203.in-addr.arpa.", picket.StateUnknown},
		{"query log, shorter than /24", query("0.203.in-addr.arpa"), "", picket.StateOutOfZone},
		{"query log, /48", query("1.0.0.0.2.4.4.0.8.b.d.0.1.0.0.2.ip6.arpa"), "2.4.4.0.8.b.d.0.1.0.0.2.ip6.arpa.", picket.StateUnknown},
		{"update", update, "", picket.StateOutOfZone},
		{"NXDOMAIN with SOA", withAuthority(answer("a.b.example.com", nxd, 0, aa), "b.example.com", true), "b.example.com.", picket.StateNever},
		{"NODATA with SOA", withAuthority(answer("a.b.example.com", ok, 0, aa), "b.example.com", true), "b.example.com.", picket.StateEmpty},
		{"answer with NS", withAuthority(answer("a.b.example.com", ok, 1, aa), "b.example.com", false), "b.example.com.", picket.StateLive},
		{"answer alone", answer("a.b.example.com", ok, 1, aa), "example.com.", picket.StateLive},
		{"truncated", truncated, "example.com.", picket.StateUnknown},
		{"answer from a cache", answer("a.b.example.com", ok, 1, 0), "", picket.StateOutOfZone},
		{"SOA from a cache", withAuthority(answer("a.b.example.com", nxd, 0, 0), "example.com", true), "", picket.StateOutOfZone},
		{"SOA of another zone", withAuthority(answer("a.example.com", picket.RcodeRefused, 0, aa), "example.net", true), "", picket.StateOutOfZone},
		{"SOA of the root", withAuthority(answer("nosuchtld", nxd, 0, aa), ".", true), "", picket.StateOutOfZone},
		{"referral", referral, "", picket.StateOutOfZone},
		{"refused", answer("a.b.example.com", picket.RcodeRefused, 0, 0), "", picket.StateOutOfZone},
		{"refused with AA and SOA", withAuthority(answer("a.example.com", picket.RcodeRefused, 0, aa), "example.com", true), "", picket.StateOutOfZone},
		{"server failure", answer("a.b.example.com", picket.RcodeServFail, 0, 0), "", picket.StateOutOfZone},
	} {
		c := New(Config{})
		nc := ask(c, tc.q)
		if zoneName(nc) != tc.zone || nc.State != tc.state {
			t.Errorf("%s: zone %q, %v, want %q, %v", tc.what, zoneName(nc), nc.State, tc.zone, tc.state)
		}
		if nc.Zone != nil {
			if !nc.Zone.Inferred || nc.Zone.ID == 0 || string(tc.q.Name[nc.ApexAt:]) != string(nc.Zone.Apex) {
				t.Errorf("%s: %+v, apex at %d", tc.what, nc.Zone, nc.ApexAt)
			}
			if again := ask(c, tc.q); again.Zone != nc.Zone {
				t.Errorf("%s: learned again", tc.what)
			}
		}
	}
}

func TestRefine(t *testing.T) {
	c := New(Config{})
	if got := zoneName(ask(c, answer("www.a.github.io", ok, 1, aa))); got != "github.io." {
		t.Fatal(got)
	}
	// Below: the SOA says that the zone begins deeper.
	deeper := withAuthority(answer("x.dept.example.com", nxd, 0, aa), "dept.example.com", true)
	ask(c, answer("www.example.com", ok, 1, aa))
	if got := zoneName(ask(c, deeper)); got != "dept.example.com." {
		t.Error(got)
	}
	if got := zoneName(ask(c, answer("www.example.com", ok, 1, aa))); got != "example.com." {
		t.Error(got)
	}
	// Above: the SOA refutes the guess.
	before := ask(c, answer("www.foo.test", ok, 1, aa)).Zone
	if got := zoneName(ask(c, withAuthority(answer("x.foo.test", nxd, 0, aa), "test", true))); got != "test." {
		t.Error(got)
	}
	if got := zoneName(ask(c, answer("www.foo.test", ok, 1, aa))); got != "test." {
		t.Error(got)
	}
	if before.Name != "foo.test." {
		t.Error("a zone that was handed out has changed")
	}
	// A proven child stays when its parent answers for DS at its apex.
	ask(c, withAuthority(answer("dept.example.com", ok, 0, aa), "example.com", true))
	if got := zoneName(ask(c, deeper)); got != "dept.example.com." {
		t.Error(got)
	}
	if st := c.Stats(); st.Inferred != 4 || st.InferredReplaced != 1 {
		t.Errorf("%+v", st)
	}
	// A guess that is confirmed keeps its identity.
	z := ask(c, answer("www.example.org", ok, 1, aa)).Zone
	if ask(c, withAuthority(answer("x.example.org", nxd, 0, aa), "example.org", true)).Zone != z {
		t.Error("a confirmed zone has become another")
	}
}

func TestUnansweredQueriesTeachNothingBesideAnswered(t *testing.T) {
	c := New(Config{})
	ask(c, withAuthority(answer("x.example.com", nxd, 0, aa), "example.com", true))
	if nc := ask(c, query("www.google.com")); nc.State != picket.StateOutOfZone {
		t.Errorf("%v in %s", nc.State, zoneName(nc))
	}
}

func TestUnansweredQueriesBesideZoneFiles(t *testing.T) {
	c := testCatalog(t)
	for i := range 2 * oftenEnough {
		nc := ask(c, query(fmt.Sprintf("h%d.other.test", i)))
		if known := nc.Zone != nil; known != (i >= oftenEnough-1) {
			t.Fatalf("query %d: zone known %v", i+1, known)
		}
	}
}

func TestInferredBudget(t *testing.T) {
	c := New(Config{MaxInferred: 8})
	for i := range 1000 {
		ask(c, query(fmt.Sprintf("www.junk%d.test", i)))
	}
	if st := c.Stats(); st.Inferred > 8 || st.InferredRefused == 0 {
		t.Fatalf("%+v", st)
	}
	for i := range 20 { // proven zones push guesses out, not each other
		ask(c, withAuthority(answer(fmt.Sprintf("x.own%d.test", i), nxd, 0, aa), fmt.Sprintf("own%d.test", i), true))
	}
	st := c.Stats()
	if st.Inferred != 8 || st.InferredReplaced == 0 {
		t.Errorf("%+v", st)
	}
	if got := zoneName(ask(c, answer("y.own0.test", ok, 1, aa))); got != "own0.test." {
		t.Errorf("the first proven zone is now %q", got)
	}
	if len(c.ids) > 8 {
		t.Errorf("%d identifiers kept", len(c.ids))
	}
	off := New(Config{MaxInferred: -1})
	if nc := ask(off, query("www.example.com")); nc.Zone != nil {
		t.Error("inferred although switched off")
	}
}

func TestListsInInferredZones(t *testing.T) {
	c := catalogOf(t, func(b *Builder) {
		b.AddRetired(names("old.example.com", "older.example.com", "old.example.net", "old.dept.example.org")...)
		b.AddCanaries(Canary{names("c.example.com")[0], "ct"})
	})
	for _, tc := range []struct {
		q     picket.Query
		zone  string
		state picket.NameState
		nx    bool
	}{
		{answer("old.example.com", nxd, 0, aa), "example.com.", picket.StateRetired, true},
		{query("old.example.com"), "example.com.", picket.StateRetired, false},
		{answer("old.example.com", picket.RcodeRefused, 0, 0), "example.com.", picket.StateRetired, false},
		{query("c.example.com"), "example.com.", picket.StateCanary, false},
		{query("www.example.com"), "example.com.", picket.StateUnknown, false},
		{withAuthority(answer("x.dept.example.org", nxd, 0, aa), "dept.example.org", true), "dept.example.org.", picket.StateNever, true},
		{query("old.dept.example.org"), "dept.example.org.", picket.StateRetired, false},
	} {
		nc := ask(c, tc.q)
		if zoneName(nc) != tc.zone || nc.State != tc.state || nc.NX != tc.nx {
			t.Errorf("%s: %q %v %v, want %q %v %v", dnsname.String(tc.q.Name), zoneName(nc), nc.State, nc.NX, tc.zone, tc.state, tc.nx)
		}
	}
	if z := ask(c, query("old.example.com")).Zone; z.Retired != 2 {
		t.Errorf("%d retired names in an inferred zone, want 2", z.Retired)
	}
}

func TestReload(t *testing.T) {
	c := New(Config{})
	learned := ask(c, withAuthority(answer("x.example.com", nxd, 0, aa), "example.com", true)).Zone
	other := ask(c, withAuthority(answer("x.example.net", nxd, 0, aa), "example.net", true)).Zone
	load := func(lines ...string) *picket.Zone {
		b := NewBuilder()
		addZones(t, b, zoneOf(t, "example.com", lines...))
		if err := c.Replace(b); err != nil {
			t.Fatal(err)
		}
		return ask(c, query("example.com")).Zone
	}
	one := load("www.example.com A")
	if one.Inferred || one.ID != learned.ID {
		t.Errorf("%+v, want the learned zone's identifier %d", one, learned.ID)
	}
	two := load("mail.example.com A")
	if two == one || two.ID != one.ID {
		t.Errorf("%+v after %+v", two, one)
	}
	if nc := ask(c, query("www.example.com")); nc.State != picket.StateNever {
		t.Errorf("www is %v after it has left the zone", nc.State)
	}
	if _, exact, ok := c.Rank(one, dnsname.MustParse("mail.example.com")); !exact || !ok {
		t.Error("no rank by a zone from before the reload")
	}
	if z := ask(c, withAuthority(answer("y.example.net", nxd, 0, aa), "example.net", true)).Zone; z.ID != other.ID {
		t.Error("a learned zone is forgotten over a reload")
	}
	zones := c.Zones()
	if len(zones) != 2 || zones[0] != two || !zones[1].Inferred {
		t.Errorf("%+v", zones)
	}
	b := NewBuilder()
	addZones(t, b, zoneOf(t, "example.com", "a.example.com A"))
	if err := b.AddZone(zoneOf(t, "example.com")); err == nil {
		t.Error("the same zone twice is no error")
	}
}

// TestConcurrent runs shards, reloads and readers against each other; the race
// detector judges.
func TestConcurrent(t *testing.T) {
	c := New(Config{MaxInferred: 64})
	var wg sync.WaitGroup
	for shard := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				zone := fmt.Sprintf("z%d.test", (i*7+shard)%200)
				q := withAuthority(answer("x."+zone, nxd, 0, aa), zone, true)
				if i%3 == 0 {
					q = query("www.example.com")
				}
				nc := ask(c, q)
				if nc.Zone != nil {
					c.Rank(nc.Zone, q.Name)
					if string(q.Name[nc.ApexAt:]) != string(nc.Zone.Apex) {
						t.Errorf("%s in %s", dnsname.String(q.Name), nc.Zone.Name)
					}
				}
			}
		})
	}
	for range 50 {
		b := NewBuilder()
		addZones(t, b, zoneOf(t, "example.com", "www.example.com A"), zoneOf(t, "z3.test", "x.z3.test A"))
		b.AddRetired(names("old.z5.test")...)
		if err := c.Replace(b); err != nil {
			t.Fatal(err)
		}
		c.Zones()
		c.Stats()
	}
	wg.Wait()
	seen := map[uint32]string{}
	for _, z := range c.Zones() {
		if other, dup := seen[z.ID]; dup {
			t.Errorf("%s and %s share an identifier", other, z.Name)
		}
		seen[z.ID] = z.Name
	}
}

func TestRootServerInfersNothing(t *testing.T) {
	c := New(Config{})
	q := &picket.Query{
		Name: dnsname.MustParse("host.dm.local"), Type: 1, Class: 1, Rcode: picket.RcodeNXDomain,
		Flags:    picket.FlagResponse | picket.FlagAA | picket.FlagFlags,
		Response: picket.Response{Authority: dnsname.Root(), HasSOA: true},
	}
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	c.Hasher().Sum(q.Name, &sfx)
	c.Lookup(q, &sfx, &nc)
	if nc.Zone != nil || nc.State != picket.StateOutOfZone {
		t.Errorf("zone %v, state %v: a negative answer of the root must not make the name's suffix a zone", nc.Zone, nc.State)
	}
}
