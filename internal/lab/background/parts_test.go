package background

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// onePart collects what one part makes in some hours.
func onePart(t *testing.T, w *lab.World, which Parts, rate float64, hours int) []picket.Query {
	t.Helper()
	b := newTest(t, w, Options{Rate: rate, Duration: time.Duration(hours) * time.Hour, Parts: which})
	list := lab.Collect(b)
	for i := range list {
		if i > 0 && list[i].Time < list[i-1].Time {
			t.Fatalf("query %d is before the one that came before it", i)
		}
	}
	return list
}

func within(list []picket.Query, nets ...netip.Prefix) bool {
	for i := range list {
		if !slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(list[i].Client) }) {
			return false
		}
	}
	return true
}

func TestMail(t *testing.T) {
	w := testWorld(t, 1, 200, lab.Unsigned)
	asked := map[string]int{}
	list := onePart(t, w, Mail, 50, 24)
	nx := 0
	for i := range list {
		asked[dnsname.Text(list[i].Name)]++
		if list[i].Rcode == picket.RcodeNXDomain {
			nx++
		}
	}
	for _, name := range []string{"corp.example", "_dmarc.corp.example", "selector1._domainkey.corp.example", "google._domainkey.corp.example",
		"_mta-sts.corp.example", "_25._tcp.mx1.corp.example", "_smtp._tls.corp.example", "mx1.corp.example", "mx2.corp.example"} {
		if asked[name] < 20 {
			t.Errorf("mail asked for %s %d times in a day, want 20 at least", name, asked[name])
		}
	}
	near(t, "queries a second of mail on a Monday", float64(len(list))/86400, 4*7/6.4, 0.05)
	if share := float64(nx) / float64(len(list)); share < 0.02 || share > 0.3 {
		t.Errorf("%.3f of mail's questions are in vain, want some, but not most", share)
	}
}

func TestAcme(t *testing.T) {
	w := testWorld(t, 2, 200, lab.Unsigned)
	w.Params.Acme = 24
	list := onePart(t, w, Acme, 50, 10*24)
	if !within(list, networks(netAcme, 3)...) {
		t.Error("validations come from elsewhere")
	}
	near(t, "queries in ten days of 24 validations", float64(len(list)), 10*24*9.5, 0.2)
	tcp, challenges, caa := 0, 0, 0
	vantage := map[netip.Addr]bool{}
	for i := range list {
		q := &list[i]
		vantage[q.Client] = true
		if q.Transport == picket.TransportTCP {
			tcp++
		}
		switch {
		case bytes.HasPrefix(q.Name, []byte("\x0f_acme-challenge")):
			challenges++
			if q.Type != lab.TypeTXT || q.Rcode != picket.RcodeNoError || q.Response.Answers != 1 {
				t.Fatalf("a challenge is answered %+v", q)
			}
		case q.Type == lab.TypeCAA:
			caa++
		}
	}
	if tcp < len(list)/2 || challenges < len(list)/8 || caa < len(list)/4 || len(vantage) < vantages {
		t.Errorf("of %d queries %d over TCP, %d challenges, %d CAA, %d vantages", len(list), tcp, challenges, caa, len(vantage))
	}
}

// TestMonitors: the same list in the same order on the same period; the first is sorted.
func TestMonitors(t *testing.T) {
	w := testWorld(t, 3, 200, lab.Unsigned)
	w.Params.Monitors = 2
	list := onePart(t, w, Monitors, 500, 2)
	for k := range 2 {
		var rounds [][]string
		seen := map[string]int64{}
		period := int64(0)
		for i := range list {
			q := &list[i]
			if q.Client != address(netMonitor, k, 1) {
				continue
			}
			name := dnsname.Text(q.Name)
			if before, ok := seen[name]; ok {
				if period == 0 {
					period = q.Time - before
				} else if q.Time-before != period {
					t.Fatalf("monitor %d asks for %s after %d, and once after %d", k, name, q.Time-before, period)
				}
			}
			if len(rounds) == 0 || slices.Contains(rounds[len(rounds)-1], name) {
				rounds = append(rounds, nil)
			}
			rounds[len(rounds)-1] = append(rounds[len(rounds)-1], name)
			seen[name] = q.Time
		}
		if len(rounds) < 10 || !slices.Equal(rounds[0], rounds[5]) || len(rounds[0]) < 6 {
			t.Errorf("monitor %d: %d rounds, %q", k, len(rounds), rounds[:min(2, len(rounds))])
			continue
		}
		sorted := slices.IsSortedFunc(rounds[0], func(a, b string) int { return dnsname.Compare(dnsname.MustParse(a), dnsname.MustParse(b)) })
		if sorted != (k == 0) {
			t.Errorf("monitor %d: sorted %t", k, sorted)
		}
	}
}

// TestScanners: the own scanner covers the zone in a day, the vendor what passive DNS
// has in three days; both come from where the background says.
func TestScanners(t *testing.T) {
	w := testWorld(t, 4, 300, lab.Unsigned)
	b := newTest(t, w, Options{})
	distinct := func(list []picket.Query) (names, gone int) {
		seen := map[string]bool{}
		for i := range list {
			if !seen[string(list[i].Name)] && list[i].Rcode == picket.RcodeNXDomain {
				gone++
			}
			seen[string(list[i].Name)] = true
		}
		return len(seen), gone
	}
	own := onePart(t, w, Own, 50, 25)
	if names, gone := distinct(own); names != len(w.Zone.Owners)-1 || gone != 0 || !within(own, b.Own()...) {
		t.Errorf("the own scanner asked for %d names of %d, %d of them gone", names, len(w.Zone.Owners), gone)
	}
	vendor := onePart(t, w, Vendors, 50, 4*24)
	if names, gone := distinct(vendor); gone != len(w.Zone.Retired) || names < 200 || names > 390 || !within(vendor, b.Vendors()...) {
		t.Errorf("the vendor asked for %d names, %d of %d retired ones", names, gone, len(w.Zone.Retired))
	}
	if len(b.Own()) != 1 || b.Own()[0].String() != "10.224.0.0/24" || b.Vendors()[0].String() != "10.225.0.0/24" {
		t.Errorf("own %v, vendors %v", b.Own(), b.Vendors())
	}
}

func TestSmallParts(t *testing.T) {
	w := testWorld(t, 5, 300, lab.NSEC)
	w.Params.Research = 50
	research := onePart(t, w, Research, 50, 10*24)
	per, chaos := map[netip.Addr]int{}, 0
	for i := range research {
		per[research[i].Client]++
		if research[i].Class == 3 {
			chaos++
		}
	}
	near(t, "addresses of research in ten days", float64(len(per)), 500, 0.15)
	for a, n := range per {
		if n > 6 { // two projects may share an address, hardly three
			t.Errorf("research from %s: %d questions", a, n)
		}
	}
	if chaos == 0 || !within(research, netip.MustParsePrefix("10.229.0.0/16")) {
		t.Errorf("%d questions for version.bind of %d", chaos, len(research))
	}

	types := func(list []picket.Query) map[uint16]int {
		m := map[uint16]int{}
		for i := range list {
			m[list[i].Type]++
		}
		return m
	}
	secondary := onePart(t, w, Secondaries, 50, 48)
	got := types(secondary)
	if got[lab.TypeSOA] < 96 || got[lab.TypeSOA] > 107 || got[lab.TypeIXFR] == 0 || len(got) != 2 {
		t.Errorf("secondaries in two days: %v, want about 100 SOA and a few IXFR", got)
	}
	for i := range secondary {
		q := &secondary[i]
		if q.Client != w.Zone.Servers[1] || q.Server != w.Zone.Servers[0] || q.Rcode != picket.RcodeNoError || q.Type == lab.TypeIXFR && !q.Has(picket.FlagTSIG) {
			t.Fatalf("a secondary's query: %+v", q)
		}
	}
	got = types(onePart(t, w, Validators, 50, 12))
	if got[lab.TypeDNSKEY] < 1000 || got[lab.TypeDS] < 1000 || got[lab.TypeDNSKEY]+got[lab.TypeDS] < 9*(got[lab.TypeA]+got[lab.TypeDNSKEY]+got[lab.TypeDS])/10 {
		t.Errorf("validators: %v", got)
	}
	crawl := onePart(t, w, Crawlers, 50, 24)
	near(t, "queries a second of four crawlers", float64(len(crawl))/86400, 0.4, 0.1)
	if !within(crawl, networks(netCrawler, 4)...) {
		t.Error("crawlers come from elsewhere")
	}
}

// TestMinimisation: no minimising resolver asks for what it has not been led to, and
// those that stop at what does not exist do.
func TestMinimisation(t *testing.T) {
	w := testWorld(t, 6, 400, lab.Unsigned)
	habits := map[netip.Addr]*lab.Resolver{}
	for i := range w.Fleet.Resolvers {
		habits[w.Fleet.Resolvers[i].Addr] = &w.Fleet.Resolvers[i]
	}
	b := newTest(t, w, Options{Rate: 60, Duration: 4 * time.Hour, Parts: Users | Missing})
	deep := [2]int{} // NXDOMAIN two labels or more below what exists, by whether the resolver minimises
	above := [2]int{}
	for q := b.Next(); q != nil; q = b.Next() {
		r := habits[q.Client]
		i := 0
		if r.Minimise {
			i = 1
		}
		if b.users.now.kind == eventItem && b.users.c.items[b.users.now.item].share == 0 {
			above[i]++
		}
		if q.Rcode != picket.RcodeNXDomain {
			continue
		}
		up := picket.Query{Name: dnsname.Parent(q.Name), Type: lab.TypeA, Class: 1}
		if w.Zone.Respond(&up); up.Rcode != picket.RcodeNXDomain {
			continue
		}
		if deep[i]++; r.Minimise && !r.Relaxed {
			t.Fatalf("%s asks for %s, though what is above does not exist", q.Client, dnsname.Text(q.Name))
		}
	}
	if deep[0] < 500 || above[0] != 0 || above[1] < 500 {
		t.Errorf("names below what does not exist: %v; names on the way down: %v (without and with minimisation)", deep, above)
	}
}

// TestAggressiveCaching: in a zone with NSEC resolvers that use cached proofs keep back
// much of what is asked in vain when it is much; in others nothing.
func TestAggressiveCaching(t *testing.T) {
	for _, c := range []struct {
		signing lab.Signing
		lo, hi  float64
	}{{lab.NSEC, 0.2, 0.65}, {lab.NSEC3, 0.8, 1.25}} {
		w := testWorld(t, 7, 100, c.signing)
		w.Params.TailSources, w.Params.Egress, w.Params.NX = 20, 8, 0.3 // few resolvers, so that each has asked much in vain
		w.Fleet = lab.NewFleet(&w.Params, lab.Rand(7, "fleet"))
		for i := range w.Fleet.Resolvers { // every other one, all else alike
			r := &w.Fleet.Resolvers[i]
			r.Minimise, r.Validates, r.Aggressive = false, true, i%2 == 0
		}
		w.Zone.NegativeTTL = 900
		habits, clients := map[netip.Addr]bool{}, [2]float64{}
		for i := range w.Fleet.Resolvers {
			r := &w.Fleet.Resolvers[i]
			habits[r.Addr] = r.Aggressive
			clients[i%2] += r.Clients
		}
		b := newTest(t, w, Options{Rate: 6, Duration: 12 * time.Hour, Parts: Users | Missing})
		var nx [2]float64
		for q := b.Next(); q != nil; q = b.Next() {
			switch {
			case q.Rcode != picket.RcodeNXDomain:
			case habits[q.Client]:
				nx[0]++
			default:
				nx[1]++
			}
		}
		if got := nx[0] / clients[0] / (nx[1] / clients[1]); nx[0]+nx[1] < 50_000 || got < c.lo || got > c.hi {
			t.Errorf("zone with %s: resolvers that use proofs ask %.2f of what others ask in vain, want %g to %g", c.signing, got, c.lo, c.hi)
		}
	}
}

// TestTypos: a mistyped label is one or two slips from the right one.
func TestTypos(t *testing.T) {
	name := dnsname.MustParse("portal.corp.example")
	far := 0
	for seed := range uint64(2000) {
		m := mix{seed * 977}
		typo := appendTypo(nil, name, &m)
		if err := dnsname.Check(typo); err != nil {
			t.Fatal(err)
		}
		switch d := distance(dnsname.First(typo), dnsname.First(name)); {
		case d > 4: // two swaps
			t.Fatalf("%s is %d edits away", dnsname.Text(typo), d)
		case d > 2:
			far++
		}
	}
	if far > 100 {
		t.Errorf("%d of 2,000 are more than two edits away", far)
	}
}

// distance is that of Levenshtein.
func distance(a, b []byte) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// TestSweptWorlds: whatever the parameters are drawn to be, the rate and the share of
// what is asked in vain come out as wanted.
func TestSweptWorlds(t *testing.T) {
	for seed := range uint64(8) {
		w := testWorld(t, seed, []int{60, 600, 6000}[seed%3], lab.Signing(seed%3))
		w.Params = lab.SweptParameters(lab.Rand(seed, "parameters"))
		w.Fleet = lab.NewFleet(&w.Params, lab.Rand(seed, "fleet"))
		const rate = 4
		b := newTest(t, w, Options{Rate: rate, Duration: 24 * time.Hour})
		demand := newHours(w.Params.HourSwing, w.Params.WeekendDip)
		n, nx, last := 0.0, 0.0, w.Begin
		for q := b.Next(); q != nil; q = b.Next() {
			if q.Time < last {
				t.Fatalf("seed %d: query %.0f is before the one that came before it", seed, n)
			}
			n, last = n+1, q.Time
			if q.Rcode == picket.RcodeNXDomain {
				nx++
			}
		}
		monday := 0.0
		for _, f := range demand[:24] {
			monday += f / 24
		}
		near(t, "queries a second", n/86400, rate*monday, 0.04)
		near(t, "share of NXDOMAIN", nx/n, w.Params.NX, 0.06)
	}
}
