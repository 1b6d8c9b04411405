package catalog

import (
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

var typeNumbers = map[string]uint16{
	"A": 1, "NS": typeNS, "CNAME": 5, "SOA": typeSOA, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
	"DNAME": typeDNAME, "RRSIG": typeRRSIG, "NSEC": typeNSEC, "DNSKEY": typeDNSKEY, "NSEC3": typeNSEC3,
}

// zoneOf makes a zone from "owner TYPE" lines.
func zoneOf(t testing.TB, apex string, lines ...string) *ZoneData {
	t.Helper()
	z := NewZoneData(dnsname.MustParse(apex))
	for _, l := range lines {
		owner, typ, _ := strings.Cut(l, " ")
		n, ok := typeNumbers[typ]
		if !ok {
			t.Fatalf("no number for type %q", typ)
		}
		if err := z.Add(dnsname.MustParse(owner), n); err != nil {
			t.Fatal(err)
		}
	}
	return z
}

func names(texts ...string) (out [][]byte) {
	for _, s := range texts {
		out = append(out, dnsname.MustParse(s))
	}
	return out
}

func catalogOf(t testing.TB, fill func(*Builder)) *Catalog {
	t.Helper()
	c := New(Config{})
	b := NewBuilder()
	fill(b)
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	return c
}

func addZones(t testing.TB, b *Builder, zones ...*ZoneData) {
	t.Helper()
	for _, z := range zones {
		if err := b.AddZone(z); err != nil {
			t.Fatal(err)
		}
	}
}

// ask looks a query up. A zero Rcode means none was seen unless the query has FlagResponse.
func ask(c *Catalog, q picket.Query) picket.NameContext {
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	c.Hasher().Sum(q.Name, &sfx)
	c.Lookup(&q, &sfx, &nc)
	return nc
}

// query is a query for name from an input without responses.
func query(name string) picket.Query {
	return picket.Query{Name: dnsname.MustParse(name), Type: 1, Class: 1, Rcode: picket.RcodeUnknown}
}

// answer is a query with a response that had rcode and n answers.
func answer(name string, rcode picket.Rcode, n uint16, flags picket.QueryFlags) picket.Query {
	q := query(name)
	q.Rcode, q.Response.Answers, q.Flags = rcode, n, flags|picket.FlagFlags|picket.FlagResponse
	return q
}

// withAuthority puts an SOA or NS owner into the authority section.
func withAuthority(q picket.Query, owner string, soa bool) picket.Query {
	q.Response.Authority, q.Response.HasSOA = dnsname.MustParse(owner), soa
	return q
}
