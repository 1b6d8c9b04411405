package catalog

import (
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

func TestSampleZones(t *testing.T) {
	for _, f := range []string{
		"samples/zone/bind9--example1.db","samples/zone/dnscontrol--example.org.zone","samples/zone/dnscontrol--simple.com.zone",
		"samples/zone/ldns--08-zonereader.inputzone","samples/zone/nsd--nsec3_zone.zone","samples/zone/nsd--rr-test.zone",
		"recon/zones/113.0.203.in-addr.arpa.zone","recon/zones/64.18.198.in-addr.arpa.zone","recon/zones/65.18.198.in-addr.arpa.zone",
		"recon/zones/corp-a.example.zone","recon/zones/muni-d.example.zone",
	} {
		z, err := LoadZoneFile(pickettest.Shared(t, f), "")
		if err != nil {
			t.Error(f, err); continue
		}
		c := catalogOf(t, func(b *Builder){addZones(t,b,z)})
		t.Logf("%s: %s records %d skipped %d owners %d signed %v nsec3 %v stats %+v zone %+v", f, z.Name(), z.Records, z.Skipped, z.Owners(), z.Signed, z.NSEC3, c.Stats(), *c.Zones()[0])
		for _, p := range z.Problems { t.Log("   ", p) }
	}
}
