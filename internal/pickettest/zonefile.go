package pickettest

import (
	"iter"
	"os"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
)

// ZoneFileRecords are the owners and types of the records of a zone of the shared
// captures, in the file's order.
func ZoneFileRecords(t testing.TB, apex string) iter.Seq2[[]byte, uint16] {
	t.Helper()
	f, err := os.Open(Shared(t, "recon", "zones", apex+".zone"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func(yield func([]byte, uint16) bool) {
		p := dns.NewZoneParser(f, dns.Fqdn(apex), f.Name())
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			if !yield(dnsname.MustParse(rr.Header().Name), rr.Header().Rrtype) {
				return
			}
		}
		if err := p.Err(); err != nil {
			t.Error(err)
		}
	}
}
