package rules_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/rules"
)

// ask is n questions, each so long after the one before; name gets the number.
type ask struct {
	n     int
	every time.Duration
	name  string
	qtype uint16
	rcode picket.Rcode
	from  string
}

// play returns at which question, from 1, each rule first raises; 0 is never.
func play(t *testing.T, asks ...ask) map[string]int {
	t.Helper()
	at := map[string]int{}
	for _, r := range rules.All() {
		c := r.New([]netip.Addr{netip.MustParseAddr("10.53.0.2")})
		now, n := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).UnixNano(), 0
		for _, a := range asks {
			for i := range a.n {
				name := a.name
				if name == "" {
					name = fmt.Sprintf("n%d.corp.example", i)
				}
				if a.qtype == lab.TypePTR {
					name = fmt.Sprintf("%d.2.0.192.in-addr.arpa", i)
				}
				q := picket.Query{Time: now, Client: netip.MustParseAddr(a.from), Name: dnsname.MustParse(name), Type: a.qtype, Class: 1, Rcode: a.rcode}
				n++
				if score, _ := c.Observe(&q); score > r.Threshold && at[r.Name] == 0 {
					at[r.Name] = n
				}
				now += int64(a.every)
			}
		}
	}
	return at
}

// TestThresholds: each rule raises at its published threshold, neither before nor never.
func TestThresholds(t *testing.T) {
	const nx = picket.RcodeNXDomain
	for _, c := range []struct {
		about string
		asks  []ask
		want  map[string]int
	}{
		{"a list in five a second", []ask{{300, 200 * time.Millisecond, "", lab.TypeA, nx, "192.0.2.7"}},
			map[string]int{"kql-distinct-names": 31, "sentinel-nxdomain": 201, "escu-failures": 51, "sigma-subdomains": 201, "et-2008470": 50, "trw": 4, "trw-distinct": 4}},
		{"one in a minute is below all that count in minutes", []ask{{120, time.Minute, "", lab.TypeA, nx, "192.0.2.7"}},
			map[string]int{"kql-distinct-names": 31, "escu-failures": 51, "trw": 4, "trw-distinct": 4}},
		{"one name again and again", []ask{{60, time.Second, "old.corp.example", lab.TypeA, nx, "192.0.2.7"}}, map[string]int{"escu-failures": 51, "trw": 4}},
		{"names that exist", []ask{{40, time.Second, "", lab.TypeA, 0, "192.0.2.7"}}, map[string]int{"kql-distinct-names": 31}},
		{"a /24 in reverse", []ask{{12, time.Second, "", lab.TypePTR, nx, "192.0.2.7"}}, map[string]int{"sentinel-reverse": 11, "trw": 4, "trw-distinct": 4}},
		{"a /24 in reverse, as every day", []ask{{20, 72 * time.Minute, "", lab.TypePTR, 0, "192.0.2.7"}, {20, 72 * time.Minute, "", lab.TypePTR, 0, "192.0.2.7"}}, map[string]int{"sentinel-reverse": 11}},
		{"a transfer of a listed secondary", []ask{{1, 0, "corp.example", lab.TypeIXFR, 0, "10.53.0.2"}}, map[string]int{}},
		{"a transfer", []ask{{1, 0, "corp.example", lab.TypeAXFR, picket.RcodeRefused, "192.0.2.7"}}, map[string]int{"any-transfer": 1}},
	} {
		if got := play(t, c.asks...); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.about, got, c.want)
		}
	}
}

// TestReverseCompares: a day with as many as one of the nine before says nothing.
func TestReverseCompares(t *testing.T) {
	for _, r := range rules.All() {
		if r.Name != "sentinel-reverse" {
			continue
		}
		c := r.New([]netip.Addr{netip.MustParseAddr("10.53.0.2")})
		raised := map[int]bool{}
		for d := range 12 {
			n := 20
			if d == 10 {
				n = 25
			}
			for i := range n {
				q := picket.Query{Time: time.Date(2026, 5, 4+d, 1, 0, i, 0, time.UTC).UnixNano(), Client: netip.MustParseAddr("192.0.2.7"),
					Name: dnsname.MustParse(fmt.Sprintf("%d.2.0.192.in-addr.arpa", i)), Type: lab.TypePTR, Class: 1}
				if score, _ := c.Observe(&q); score > r.Threshold {
					raised[d] = true
				}
			}
		}
		if want := map[int]bool{0: true, 10: true}; fmt.Sprint(raised) != fmt.Sprint(want) {
			t.Errorf("raised on days %v, want %v", raised, want)
		}
	}
}
