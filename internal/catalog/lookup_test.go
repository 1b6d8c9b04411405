package catalog

import (
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// testCatalog holds a zone with every kind of name, its watched child zone, and
// a reverse zone.
func testCatalog(t testing.TB) *Catalog {
	return catalogOf(t, func(b *Builder) {
		addZones(t, b,
			zoneOf(t, "example.com", "example.com SOA", "example.com NS", "www.example.com A",
				"a.b.ent.example.com A", "*.wild.example.com A", "host.wild.example.com A",
				"x.sub.wild.example.com A", "cut.example.com NS", "ns.cut.example.com A",
				"cut.deep.example.com NS", "old.example.com DNAME", "dead.old.example.com A",
				"signed.example.com RRSIG", "signed.example.com NSEC",
				"child.x.example.com NS", "ns.child.x.example.com A", "is-back.example.com A",
				"c-live.example.com A"),
			zoneOf(t, "child.x.example.com", "child.x.example.com SOA", "www.child.x.example.com A"),
			zoneOf(t, "113.0.203.in-addr.arpa", "113.0.203.in-addr.arpa SOA", "4.113.0.203.in-addr.arpa PTR"))
		b.AddRetired(names("gone.example.com", "gone.wild.example.com", "is-back.example.com",
			"gone.deeper.example.com", "ent.example.com", "gone.cut.example.com", "gone.example.com",
			"9.113.0.203.in-addr.arpa", "gone.example.net")...)
		b.AddCanaries(Canary{names("c1.example.com")[0], "pdns"}, Canary{names("c-live.example.com")[0], "zone"},
			Canary{names("c.wild.example.com")[0], "pdns"}, Canary{names("c2.example.com")[0], ""},
			Canary{names("gone.deeper.example.com")[0], "ct"}, Canary{names("c.example.org")[0], "web"})
	})
}

func TestLookupByZoneContents(t *testing.T) {
	c := testCatalog(t)
	const (
		com     = "example.com."
		child   = "child.x.example.com."
		reverse = "113.0.203.in-addr.arpa."
	)
	for _, tc := range []struct {
		name    string
		zone    string
		state   picket.NameState
		nx      bool
		depth   int
		wildAt  int
		channel string
	}{
		{name: "example.com", zone: com, state: picket.StateLive},
		{name: "www.example.com", zone: com, state: picket.StateLive, depth: 1},
		{name: "WWW.example.com", zone: com, state: picket.StateLive, depth: 1},
		{name: "never.example.com", zone: com, state: picket.StateNever, nx: true, depth: 1},
		{name: "a.b.c.d.never.example.com", zone: com, state: picket.StateNever, nx: true, depth: 5},
		{name: "below.www.example.com", zone: com, state: picket.StateNever, nx: true, depth: 2},
		{name: "b.ent.example.com", zone: com, state: picket.StateEmpty, depth: 2},
		{name: "a.b.ent.example.com", zone: com, state: picket.StateLive, depth: 3},
		{name: "z.ent.example.com", zone: com, state: picket.StateNever, nx: true, depth: 2},
		{name: "x.wild.example.com", zone: com, state: picket.StateWildcard, depth: 2, wildAt: 2},
		{name: "y.x.wild.example.com", zone: com, state: picket.StateWildcard, depth: 3, wildAt: 4},
		{name: "*.wild.example.com", zone: com, state: picket.StateLive, depth: 2},
		{name: "wild.example.com", zone: com, state: picket.StateEmpty, depth: 1},
		{name: "host.wild.example.com", zone: com, state: picket.StateLive, depth: 2},
		// RFC 4592 §2.2.1: an existing name blocks the wildcard for those below it.
		{name: "x.host.wild.example.com", zone: com, state: picket.StateNever, nx: true, depth: 3},
		{name: "sub.wild.example.com", zone: com, state: picket.StateEmpty, depth: 2},
		{name: "y.sub.wild.example.com", zone: com, state: picket.StateNever, nx: true, depth: 3},
		{name: "cut.example.com", zone: com, state: picket.StateDelegated, depth: 1},
		{name: "ns.cut.example.com", zone: com, state: picket.StateDelegated, depth: 2},
		{name: "a.b.cut.example.com", zone: com, state: picket.StateDelegated, depth: 3},
		{name: "deep.example.com", zone: com, state: picket.StateEmpty, depth: 1},
		{name: "old.example.com", zone: com, state: picket.StateLive, depth: 1},
		{name: "dead.old.example.com", zone: com, state: picket.StateWildcard, depth: 2, wildAt: 5},
		{name: "signed.example.com", zone: com, state: picket.StateNever, nx: true, depth: 1},
		{name: "gone.example.com", zone: com, state: picket.StateRetired, nx: true, depth: 1},
		{name: "below.gone.example.com", zone: com, state: picket.StateNever, nx: true, depth: 2},
		{name: "gone.wild.example.com", zone: com, state: picket.StateRetired, depth: 2},
		{name: "gone.cut.example.com", zone: com, state: picket.StateRetired, depth: 2},
		{name: "ent.example.com", zone: com, state: picket.StateRetired, depth: 1},
		{name: "is-back.example.com", zone: com, state: picket.StateLive, depth: 1},
		{name: "deeper.example.com", zone: com, state: picket.StateNever, nx: true, depth: 1},
		{name: "gone.deeper.example.com", zone: com, state: picket.StateCanary, nx: true, depth: 2, channel: "ct"},
		{name: "c1.example.com", zone: com, state: picket.StateCanary, nx: true, depth: 1, channel: "pdns"},
		{name: "c2.example.com", zone: com, state: picket.StateCanary, nx: true, depth: 1},
		{name: "c-live.example.com", zone: com, state: picket.StateCanary, depth: 1, channel: "zone"},
		{name: "c.wild.example.com", zone: com, state: picket.StateCanary, depth: 2, channel: "pdns"},
		{name: "x.example.com", zone: com, state: picket.StateEmpty, depth: 1},
		{name: "child.x.example.com", zone: child, state: picket.StateLive},
		{name: "www.child.x.example.com", zone: child, state: picket.StateLive, depth: 1},
		{name: "ns.child.x.example.com", zone: child, state: picket.StateNever, nx: true, depth: 1},
		{name: "4.113.0.203.in-addr.arpa", zone: reverse, state: picket.StateLive, depth: 1},
		{name: "5.113.0.203.in-addr.arpa", zone: reverse, state: picket.StateNever, nx: true, depth: 1},
		{name: "9.113.0.203.in-addr.arpa", zone: reverse, state: picket.StateRetired, nx: true, depth: 1},
		{name: "c.example.org", zone: "example.org.", state: picket.StateCanary, depth: 1, channel: "web"},
		{name: "gone.example.net", zone: "example.net.", state: picket.StateRetired, depth: 1},
		{name: "xexample.com", state: picket.StateOutOfZone, depth: 2},
		{name: "com", state: picket.StateOutOfZone, depth: 1},
		{name: ".", state: picket.StateOutOfZone},
	} {
		q := query(tc.name)
		nc := ask(c, q)
		zone := ""
		if nc.Zone != nil {
			zone = nc.Zone.Name
			if got := string(q.Name[nc.ApexAt:]); got != string(nc.Zone.Apex) {
				t.Errorf("%s: ApexAt %d is %q, want %q", tc.name, nc.ApexAt, got, nc.Zone.Apex)
			}
		}
		if zone != tc.zone || nc.State != tc.state || nc.NX != tc.nx || nc.Depth != tc.depth ||
			nc.WildcardAt != tc.wildAt || nc.Channel != tc.channel {
			t.Errorf("%s: zone %q state %v nx %v depth %d wildcard at %d channel %q, want %q %v %v %d %d %q", tc.name,
				zone, nc.State, nc.NX, nc.Depth, nc.WildcardAt, nc.Channel,
				tc.zone, tc.state, tc.nx, tc.depth, tc.wildAt, tc.channel)
		}
		if nc.Hash != c.Hasher().Name(q.Name) {
			t.Errorf("%s: hash differs from the hasher's", tc.name)
		}
	}
}

func TestLookupWithResponse(t *testing.T) {
	c := testCatalog(t)
	compact := answer("never.example.com", picket.RcodeNoError, 0, picket.FlagAA)
	compact.Response.Denials = []picket.Denial{{Owner: compact.Name, Next: append([]byte{1, 0}, compact.Name...)}}
	plain := answer("never.example.com", picket.RcodeNoError, 0, picket.FlagAA)
	plain.Response.Denials = []picket.Denial{{Owner: dnsname.MustParse("a.example.com"), Next: dnsname.MustParse("z.example.com")}}
	chaos := query("version.bind")
	chaos.Class = 3
	for _, tc := range []struct {
		what  string
		q     picket.Query
		state picket.NameState
		nx    bool
	}{
		{"live, denied: the zone file is older", answer("www.example.com", picket.RcodeNXDomain, 0, picket.FlagAA), picket.StateLive, true},
		{"live alias that leads nowhere", answer("www.example.com", picket.RcodeNXDomain, 1, picket.FlagAA), picket.StateLive, false},
		{"never, answered: the zone file is older", answer("never.example.com", picket.RcodeNoError, 1, picket.FlagAA), picket.StateUnknown, false},
		{"never, denied", answer("never.example.com", picket.RcodeNXDomain, 0, picket.FlagAA), picket.StateNever, true},
		{"never, NODATA", plain, picket.StateNever, false},
		{"never, compact denial", compact, picket.StateNever, true},
		{"never, truncated by rate limiting", answer("never.example.com", picket.RcodeNoError, 0, picket.FlagTC), picket.StateNever, true},
		{"never, refused", answer("never.example.com", picket.RcodeRefused, 0, 0), picket.StateNever, true},
		{"wildcard, answered", answer("x.wild.example.com", picket.RcodeNoError, 1, picket.FlagAA), picket.StateWildcard, false},
		{"retired, answered", answer("gone.example.com", picket.RcodeNoError, 1, picket.FlagAA), picket.StateRetired, false},
		{"canary, denied", answer("c-live.example.com", picket.RcodeNXDomain, 0, picket.FlagAA), picket.StateCanary, true},
		{"chaos", chaos, picket.StateOutOfZone, false},
		{"out of zone, refused", answer("www.google.com", picket.RcodeRefused, 0, 0), picket.StateOutOfZone, false},
	} {
		if nc := ask(c, tc.q); nc.State != tc.state || nc.NX != tc.nx {
			t.Errorf("%s: %v, nx %v, want %v, nx %v", tc.what, nc.State, nc.NX, tc.state, tc.nx)
		}
	}
}

func TestRank(t *testing.T) {
	c := testCatalog(t)
	z := ask(c, query("example.com")).Zone
	// Neither glue, nor empty non-terminals, nor what only denies existence.
	want := []string{"example.com", "c-live.example.com", "cut.example.com", "cut.deep.example.com", "a.b.ent.example.com",
		"is-back.example.com", "old.example.com", "*.wild.example.com", "host.wild.example.com",
		"x.sub.wild.example.com", "www.example.com"}
	if z.Live != len(want) {
		t.Errorf("zone has %d owner names, want %d", z.Live, len(want))
	}
	for i, n := range want {
		if got, exact, ok := c.Rank(z, dnsname.MustParse(n)); got != i || !exact || !ok {
			t.Errorf("rank of %s: %d %v %v, want %d", n, got, exact, ok, i)
		}
		if got, exact, ok := c.Rank(z, dnsname.MustParse(`\000.`+n)); got != i || exact || !ok {
			t.Errorf("rank of \\000.%s: %d %v %v, want %d", n, got, exact, ok, i)
		}
	}
	if _, _, ok := c.Rank(z, dnsname.MustParse("example.org")); ok {
		t.Error("a name outside the zone has a rank")
	}
	if _, _, ok := c.Rank(&picket.Zone{Inferred: true, Apex: z.Apex}, z.Apex); ok {
		t.Error("an inferred zone has a rank")
	}
}
