package background

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// testZone has hosts of all kinds, names two labels deep, aliases, services, a wildcard,
// a delegation with glue, policies and names that it had once.
func testZone(t testing.TB, hosts int, s lab.Signing) *lab.Zone {
	t.Helper()
	z := &lab.Zone{Apex: dnsname.MustParse("corp.example"), Signing: s, TTL: 300, NegativeTTL: 60,
		Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1"), netip.MustParseAddr("10.53.0.2")}}
	owners := 0
	add := func(name string, purpose lab.Purpose, popularity float64, types ...uint16) {
		owners++
		o := lab.Owner{Name: z.Name(name), Types: lab.TypeSet(types...), Purpose: purpose, Popularity: popularity, Public: owners%2 == 0}
		if owners%3 == 0 {
			o.TTL = 3600
		}
		z.Owners = append(z.Owners, o)
	}
	add("", lab.PurposeApex, 0.5, lab.TypeSOA, lab.TypeNS, lab.TypeMX, lab.TypeTXT, lab.TypeA, lab.TypeDNSKEY)
	stems := strings.Fields("www mail api shop static img login portal cdn app web news blog docs id edge vpn support status pay")
	for i := range hosts {
		name := stems[i%len(stems)]
		if i >= len(stems) {
			name = fmt.Sprintf("%s%d", name, i/len(stems))
		}
		types, purpose := []uint16{lab.TypeA}, lab.PurposeWeb
		switch i % 7 {
		case 1, 2:
			types = append(types, lab.TypeAAAA)
		case 3:
			types = append(types, lab.TypeAAAA, lab.TypeHTTPS)
		case 4:
			types = []uint16{lab.TypeCNAME}
		case 5:
			name += ".eu"
		case 6:
			name, purpose = name+".dc.internal", lab.PurposeInternal
		}
		add(name, purpose, 1/float64(i+1), types...)
	}
	add("mx1", lab.PurposeMail, 0.1, lab.TypeA, lab.TypeAAAA)
	add("mx2", lab.PurposeMail, 0.05, lab.TypeA)
	add("_dmarc", lab.PurposePolicy, 1, lab.TypeTXT)
	add("selector1._domainkey", lab.PurposePolicy, 1, lab.TypeTXT)
	add("_mta-sts", lab.PurposePolicy, 1, lab.TypeTXT)
	add("_sip._tcp", lab.PurposeService, 0.05, lab.TypeSRV)
	add("*.apps", lab.PurposeWeb, 0.3, lab.TypeA)
	add("lab", lab.PurposeHost, 0.1, lab.TypeNS)
	add("ns.lab", lab.PurposeServer, 0.05, lab.TypeA)
	for i := range 80 {
		z.Retired = append(z.Retired, lab.Owner{Name: z.Name(fmt.Sprintf("%s-old%d", stems[i%len(stems)], i)), Types: lab.TypeSet(lab.TypeA), Popularity: 1 / float64(i+1), Until: i * 5})
	}
	if err := z.Seal(); err != nil {
		t.Fatal(err)
	}
	return z
}

// testWorld begins on a Monday.
func testWorld(t testing.TB, seed uint64, hosts int, s lab.Signing) *lab.World {
	p := lab.DefaultParameters()
	w := &lab.World{Seed: seed, Params: p, Zone: testZone(t, hosts, s), Begin: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).UnixNano()}
	w.Fleet = lab.NewFleet(&w.Params, lab.Rand(seed, "fleet"))
	return w
}

func newTest(t testing.TB, w *lab.World, o Options) *Background {
	t.Helper()
	b, err := New(w, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
