package background

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// near reports in a test what is not within a part of what it should be.
func near(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	t.Logf("%s: %.5g (%.5g)", what, got, want)
	if math.Abs(got-want) > part*want {
		t.Errorf("%s: %.5g, want %.5g within %g %%", what, got, want, 100*part)
	}
}

// TestShares: a Monday of a medium zone has the shares that the parameters say,
// whatever its signing.
func TestShares(t *testing.T) {
	for _, s := range []lab.Signing{lab.Unsigned, lab.NSEC, lab.NSEC3} {
		t.Run(s.String(), func(t *testing.T) {
			b := newTest(t, testWorld(t, 1, 2000, s), Options{Rate: 12, Duration: 24 * time.Hour})
			n, nx, last := 0.0, 0.0, int64(0)
			parts, reasons, reasoned := map[string]float64{}, [missKinds]float64{}, 0.0
			for q := b.Next(); q != nil; q = b.Next() {
				n++
				parts[b.From()]++
				if q.Time < last || q.Time < b.w.Begin || q.Time >= b.w.Begin+24*hour {
					t.Fatalf("query %.0f is at %d, after one at %d", n, q.Time, last)
				}
				last = q.Time
				if q.Rcode != picket.RcodeNXDomain {
					continue
				}
				nx++
				if b.From() == "users" {
					reasoned++
					reasons[b.users.now.missing]++
				}
			}
			near(t, "queries a second on a Monday", n/86400, 12*7/6.4, 0.03)
			near(t, "share of NXDOMAIN", nx/n, 0.035, 0.04)
			near(t, "share of mail", parts["mail"]/n, 0.08, 0.08)
			if s == lab.Unsigned && parts["validators"] > 0 {
				t.Errorf("%v questions of validators in an unsigned zone", parts["validators"])
			}
			if s != lab.Unsigned {
				near(t, "share of validators", parts["validators"]/n, 0.02, 0.1)
			}
			// 0.2 + 0.3 + 0.1 + 0.2, and 0.25 of replays; together 1.05.
			for k, want := range [missKinds]float64{0.2, 0.3, 0.1, 0.2, 0.125, 0.125} {
				near(t, fmt.Sprintf("share of reason %d", k), reasons[k]/reasoned, want/1.05, 0.15)
			}
		})
	}
}

// TestResolversAndTypes: where caches hold little back, resolvers and types have the
// shares that clients have.
func TestResolversAndTypes(t *testing.T) {
	w := testWorld(t, 2, 20_000, lab.Unsigned)
	w.Params.PopularitySlop = 0
	for i := range w.Zone.Owners { // everything about equally
		w.Zone.Owners[i].Popularity = min(w.Zone.Owners[i].Popularity, 1e-4)
	}
	b := newTest(t, w, Options{Rate: 4, Duration: 24 * time.Hour, Parts: Users})
	by := map[netip.Addr]float64{}
	types, n, twice := map[uint16]float64{}, 0.0, 0.0
	for q := b.Next(); q != nil; q = b.Next() {
		if b.users.now.again {
			twice++
		}
		n++
		if it := &b.users.c.items[b.users.now.item]; it.kind == kindHost && it.parent < 0 {
			by[q.Client]++
			types[q.Type]++
		}
	}
	sum := 0.0
	for _, x := range by {
		sum += x
	}
	for name, want := range map[string]float64{"Google": 0.30, "AWS": 0.16, "Cloudflare": 0.093, "OpenDNS": 0.044} {
		op, got := w.Fleet.Operator(name), 0.0
		for _, r := range w.Fleet.Resolvers[op.First : op.First+op.Count] {
			got += by[r.Addr]
		}
		near(t, "share of "+name, got/sum, want, 0.06)
	}
	near(t, "AAAA for each A", types[lab.TypeAAAA]/types[lab.TypeA], 0.7, 0.03)
	near(t, "HTTPS for each A", types[lab.TypeHTTPS]/types[lab.TypeA], 0.28, 0.05)
	near(t, "share that is sent again", twice/n, 0.01/1.01, 0.1)
}

func digest(s lab.Stream, most int) (sum uint64, n int) {
	h := fnv.New64a()
	for q := s.Next(); q != nil && n < most; q = s.Next() {
		fmt.Fprint(h, q.Time, q.Client, q.Server, q.ClientPort, q.Type, q.Class, q.Rcode, q.Flags, q.Name, q.Response.Answers, len(q.Response.Denials))
		n++
	}
	return h.Sum64(), n
}

func TestSameSeedSameStream(t *testing.T) {
	sum := map[uint64]int{}
	for _, seed := range []uint64{5, 5, 6} {
		d, n := digest(newTest(t, testWorld(t, seed, 300, lab.NSEC), Options{Rate: 20}), 30_000)
		if n != 30_000 {
			t.Fatalf("only %d queries", n)
		}
		sum[d]++
	}
	if len(sum) != 2 {
		t.Errorf("seeds 5, 5 and 6 gave %d different streams, want 2", len(sum))
	}
}

// TestSilence: no hot pair asks for what it keeps; and what it keeps, Warm says.
func TestSilence(t *testing.T) {
	w := testWorld(t, 3, 200, lab.Unsigned)
	for i := range w.Fleet.Resolvers {
		w.Fleet.Resolvers[i].Repeat = 0
	}
	const span = 12 * 3600.0
	b := newTest(t, w, Options{Rate: 60, Duration: 12 * time.Hour, Parts: Users})
	type asked struct {
		resolver, item int32
		qtype          uint16
	}
	last, count, gaps := map[asked]int64{}, map[asked]float64{}, 0
	for q := b.Next(); q != nil; q = b.Next() {
		e := &b.users.now
		r, it := &w.Fleet.Resolvers[e.resolver], &b.users.c.items[e.item]
		if b.users.c.orderOf(r).rank[e.item] >= b.users.hot.count[e.resolver] {
			continue
		}
		k := asked{e.resolver, e.item, q.Type}
		keeps := int64(b.users.c.keeps(it, r, q.Type)) * lab.Second
		if before, ok := last[k]; ok {
			gaps++
			if q.Time-before < keeps {
				t.Fatalf("%s asks for %s %d after %.3f s, though it keeps it for %d s", q.Client, dnsname.Text(q.Name), q.Type, float64(q.Time-before)/1e9, keeps/lab.Second)
			}
		}
		last[k] = q.Time
		count[k]++
	}
	if gaps < 10_000 {
		t.Errorf("only %d gaps of hot pairs", gaps)
	}
	// The hours from midnight to noon have about the mean interest of the day.
	rnd, warm, kept := lab.Rand(1, "warm"), 0.0, 0.0
	for k, n := range count {
		it := &b.users.c.items[k.item]
		if it.owner < 0 || k.qtype != lab.TypeA || it.kind == kindOne {
			continue
		}
		kept += n * float64(b.users.c.keeps(it, &w.Fleet.Resolvers[k.resolver], k.qtype)) / span
		for range 8 {
			if b.Warm(&w.Fleet.Resolvers[k.resolver], int(it.owner), k.qtype, rnd) {
				warm += 0.125
			}
		}
	}
	near(t, "time in which hot pairs keep an answer, against Warm", kept/float64(len(count)), warm/float64(len(count)), 0.12)
	if b.Warm(&w.Fleet.Resolvers[0], w.Zone.Find(w.Zone.Name("_dmarc")), lab.TypeTXT, rnd) {
		t.Error("a policy is cached, though users do not ask for it")
	}
}

// TestNoColdStart: the first minutes are like those a day later.
func TestNoColdStart(t *testing.T) {
	w := testWorld(t, 4, 500, lab.Unsigned)
	w.Params.HourSwing = 0
	b := newTest(t, w, Options{Rate: 60, Duration: 30 * time.Minute, Parts: Users})
	var tens [3]float64
	for q := b.Next(); q != nil; q = b.Next() {
		tens[(q.Time-w.Begin)/(600*lab.Second)]++
	}
	near(t, "first ten minutes against the third", tens[0], tens[2], 0.05)
	near(t, "a second in all", (tens[0]+tens[1]+tens[2])/1800, 60*7/6.4, 0.05)
}

func TestHoursOfWeek(t *testing.T) {
	w := testWorld(t, 5, 2000, lab.Unsigned)
	b := newTest(t, w, Options{Rate: 3, Duration: 7 * 24 * time.Hour})
	var got hours
	n := 0.0
	for q := b.Next(); q != nil; q = b.Next() {
		got[(q.Time-w.Begin)/hour]++
		n++
	}
	near(t, "queries a second over a week", n/(168*3600), 3, 0.03)
	days := [7]float64{}
	for h, x := range got {
		days[h/24] += x
	}
	near(t, "Saturday against Tuesday", days[5]/days[1], 0.7, 0.06)
	near(t, "Friday against Tuesday", days[4]/days[1], 1, 0.04)
	night, mean := got[2*24+3], days[2]/24
	// Half of the mean is the users' least; a few parts know no hour.
	near(t, "03:00 on Wednesday against its mean", night/mean, 0.51, 0.1)
	near(t, "15:00 on Wednesday against its mean", got[2*24+15]/mean, 1.49, 0.06)
}

// TestAnswersAreTheZones: what is precomputed is what the zone says.
func TestAnswersAreTheZones(t *testing.T) {
	for _, s := range []lab.Signing{lab.Unsigned, lab.NSEC, lab.NSEC3} {
		b := newTest(t, testWorld(t, 6, 400, s), Options{Rate: 50, Parts: Users | Missing})
		kinds := map[string]int{}
		for range 60_000 {
			q := b.Next()
			want := picket.Query{Name: q.Name, Type: q.Type, Class: 1, Flags: q.Flags &^ (picket.FlagAA | picket.FlagReferral | picket.FlagResponse | picket.FlagFlags)}
			b.w.Zone.Respond(&want)
			if q.Rcode != want.Rcode || q.Flags != want.Flags || q.Response.Answers != want.Response.Answers || q.Response.HasSOA != want.Response.HasSOA ||
				string(q.Response.Authority) != string(want.Response.Authority) || len(q.Response.Denials) != len(want.Response.Denials) {
				t.Fatalf("%s %d: %+v, the zone says %+v", dnsname.Text(q.Name), q.Type, q.Response, want.Response)
			}
			for i, d := range want.Response.Denials {
				if string(q.Response.Denials[i].Owner) != string(d.Owner) || string(q.Response.Denials[i].Next) != string(d.Next) {
					t.Fatalf("%s %d is denied by another record", dnsname.Text(q.Name), q.Type)
				}
			}
			switch {
			case q.Has(picket.FlagReferral):
				kinds["referral"]++
			case q.Rcode != 0:
				kinds["NXDOMAIN"]++
			case q.Response.HasSOA:
				kinds["NODATA"]++
			case b.users.now.kind == eventItem && b.users.c.items[b.users.now.item].wild:
				kinds["wildcard"]++
			default:
				kinds["answer"]++
			}
		}
		for _, k := range []string{"referral", "NXDOMAIN", "NODATA", "wildcard", "answer"} {
			if kinds[k] < 100 {
				t.Errorf("zone with %s: %d times %s, want 100 at least", s, kinds[k], k)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	w := testWorld(t, 7, 20, lab.Unsigned)
	if _, err := New(w, Options{Rate: 1e5}); err == nil {
		t.Error("100,000 queries a second passed the caches of a zone of 30 names")
	}
	limit, err := Limit(w)
	if err != nil || limit < 1000 || limit > 20_000 {
		t.Errorf("the limit of a zone of 30 names is %g, %v", limit, err)
	}
	if _, err := New(w, Options{Rate: limit}); err != nil {
		t.Error(err)
	}
	for i := range w.Zone.Owners {
		w.Zone.Owners[i].Popularity = 0
	}
	if _, err := New(w, Options{Rate: 1}); err != errNoInterest {
		t.Errorf("a zone that nobody asks for: %v", err)
	}
}

// TestNoAllocation: streams of hundreds of millions must not be collected again and
// again. Resolvers' caches in the small parts grow now and then.
func TestNoAllocation(t *testing.T) {
	b := newTest(t, testWorld(t, 8, 2000, lab.Unsigned), Options{Rate: 300, Duration: 1000 * time.Hour})
	for range 1_000_000 {
		b.Next()
	}
	if got := testing.AllocsPerRun(10, func() {
		for range 10_000 {
			b.Next()
		}
	}) / 10_000; got > 0.01 {
		t.Errorf("%.4f allocations a query", got)
	}
}

// TestOrderFinds: the guide leads to the same item as a plain search.
func TestOrderFinds(t *testing.T) {
	c, err := newCatalogue(testZone(t, 700, lab.Unsigned))
	if err != nil {
		t.Fatal(err)
	}
	o := &c.orders[0]
	rnd := lab.Rand(1, "find")
	for range 10_000 {
		x := rnd.Float64()
		at := 0
		for at < len(o.items)-1 && o.sum[at+1] <= x {
			at++
		}
		if got := o.find(x); got != o.items[at] {
			t.Fatalf("%g finds place %d, want %d", x, o.rank[got], at)
		}
	}
	for i := 1; i < len(o.key); i++ {
		if o.key[i] > o.key[i-1] {
			t.Fatalf("place %d is wanted more than the one before", i)
		}
	}
}

func BenchmarkBackground(b *testing.B) {
	w := testWorld(b, 1, 2000, lab.Unsigned)
	bg := newTest(b, w, Options{Rate: 500, Duration: 10_000 * 24 * time.Hour})
	for range 200_000 {
		bg.Next()
	}
	b.ReportAllocs()
	for b.Loop() {
		if bg.Next() == nil {
			b.Fatal("the background is over")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
}
