package rules_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// BenchmarkRules is what each rule costs a query: a thousand sources, mostly names that exist.
func BenchmarkRules(b *testing.B) {
	r := lab.Rand(1, "rules")
	queries := make([]picket.Query, 1<<16)
	for i := range queries {
		q := &queries[i]
		*q = picket.Query{Time: int64(i) * 1e7, Class: 1, Type: lab.TypeA, Client: netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(250))}),
			Name: dnsname.MustParse(fmt.Sprintf("host%d.corp.example", r.IntN(300)))}
		if r.IntN(25) == 0 {
			q.Rcode = picket.RcodeNXDomain
		}
	}
	for _, rule := range rules.All() {
		b.Run(rule.Name, func(b *testing.B) {
			b.ReportAllocs()
			c := rule.New(nil)
			for i := 0; b.Loop(); i++ {
				q := &queries[i&(len(queries)-1)]
				q.Time += int64(len(queries)) * 1e7
				c.Observe(q)
			}
		})
	}
}
