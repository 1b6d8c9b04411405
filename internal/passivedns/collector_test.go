package passivedns

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

var at = time.Date(2026, 3, 17, 14, 30, 0, 0, time.UTC)

// answered is a query for name with an authoritative answer of these records.
func answered(t testing.TB, name string, records ...string) *picket.Query {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.Response, m.Authoritative, m.Compress = true, true, true
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return &picket.Query{Time: at.UnixNano(), Type: 1, Class: 1, Name: dnsname.MustParse(name),
		Flags: picket.FlagFlags | picket.FlagResponse | picket.FlagAA, Response: picket.Response{Message: b, Answers: uint16(len(records))}}
}

// lines writes sightings one a line, for literal expectations.
func lines(list []picket.Sighting) (out []string) {
	for _, v := range list {
		out = append(out, fmt.Sprintf("%s %s %q %d %s %s %s", v.Name, v.Type, v.Data, v.Count, v.SensorID, v.Bailiwick, v.LastSeen.Sub(v.FirstSeen)))
	}
	return out
}

func want(t *testing.T, list []picket.Sighting, w ...string) {
	t.Helper()
	if got := lines(list); !reflect.DeepEqual(got, w) {
		t.Errorf("got:\n%q\nwant:\n%q", got, w)
	}
}

func TestCollector(t *testing.T) {
	c := New(Config{}).Tally()
	q := answered(t, "www.Example.com", "WWW.example.COM. 60 IN CNAME Host.Example.com.", "host.example.com. 60 IN A 192.0.2.1",
		"www.example.com. 60 IN RRSIG CNAME 13 3 60 20260401000000 20260301000000 1 example.com. AAAA")
	q.Response.Authority = dnsname.MustParse("example.com")
	c.Observe(q, "ns1")
	q.Time += int64(time.Minute)
	c.Observe(q, "ns1")
	c.Observe(q, "ns2")
	list := c.Drain()
	want(t, list,
		`host.example.com. A ["192.0.2.1"] 2 ns1 example.com. 1m0s`,
		`host.example.com. A ["192.0.2.1"] 1 ns2 example.com. 0s`,
		`www.example.com. CNAME ["host.example.com."] 2 ns1 example.com. 1m0s`,
		`www.example.com. CNAME ["host.example.com."] 1 ns2 example.com. 0s`)
	if v := list[0]; v.Channel != picket.SightingPassiveDNS || v.Origin != "own" || !v.FirstSeen.Equal(at) {
		t.Errorf("%+v", v)
	}
	want(t, c.Drain()) // nothing since
	q.Time -= int64(time.Hour)
	c.Observe(q, "ns2")
	want(t, c.Drain(), // a difference, not a total
		`host.example.com. A ["192.0.2.1"] 1 ns2 example.com. 0s`,
		`www.example.com. CNAME ["host.example.com."] 1 ns2 example.com. 0s`)
}

// TestCollectorTypes: compressed names are written out, and all in lower case.
func TestCollectorTypes(t *testing.T) {
	c := New(Config{}).Tally()
	c.Observe(answered(t, "example.com",
		"example.com. 1 IN SOA NS.example.com. Host.example.com. 7 1 2 3 4",
		"example.com. 1 IN MX 10 MX.Example.com.",
		"example.com. 1 IN TXT \"Case Stays\" \"\\000;\"",
		"_sip._tcp.example.com. 1 IN SRV 1 2 5060 Sip.Example.com.",
		"n.example.com. 1 IN NAPTR 1 2 \"S\" \"SIP+D2U\" \"\" _Sip._udp.Example.com.",
		"example.com. 1 IN CAA 0 issue \"ca.example\"",
		"example.com. 1 IN TYPE65280 \\# 2 ABCD",
		"6.example.com. 1 IN AAAA 2001:DB8::1"), "")
	want(t, c.Drain(),
		`6.example.com. AAAA ["2001:db8::1"] 1   0s`,
		`_sip._tcp.example.com. SRV ["1 2 5060 sip.example.com."] 1   0s`,
		`example.com. CAA ["0 issue \"ca.example\""] 1   0s`,
		`example.com. MX ["10 mx.example.com."] 1   0s`,
		`example.com. SOA ["ns.example.com. host.example.com. 7 1 2 3 4"] 1   0s`,
		`example.com. TXT ["\"Case Stays\" \"\\000;\""] 1   0s`,
		`example.com. TYPE65280 ["\\# 2 abcd"] 1   0s`,
		`n.example.com. NAPTR ["1 2 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.com."] 1   0s`)
}

// TestCollectorOnlyAuthoritative: what is no answer of the server's own zones is left alone.
func TestCollectorOnlyAuthoritative(t *testing.T) {
	for what, change := range map[string]func(*picket.Query){
		"not authoritative": func(q *picket.Query) { q.Flags &^= picket.FlagAA },
		"no response":       func(q *picket.Query) { q.Flags &^= picket.FlagResponse },
		"NXDOMAIN":          func(q *picket.Query) { q.Rcode = picket.RcodeNXDomain },
		"unknown rcode":     func(q *picket.Query) { q.Rcode = picket.RcodeUnknown },
		"class CH":          func(q *picket.Query) { q.Class = 3 },
		"update":            func(q *picket.Query) { q.Opcode = 5 },
		"zone transfer":     func(q *picket.Query) { q.Type = 252 },
		"no flags at all":   func(q *picket.Query) { q.Flags &^= picket.FlagAA | picket.FlagFlags },
		"a query":           func(q *picket.Query) { q.Response.Message[2] &^= 0x80 },
	} {
		c := New(Config{}).Tally()
		q := answered(t, "example.com", "example.com. 1 IN A 192.0.2.1")
		change(q)
		c.Observe(q, "")
		if list := c.Drain(); len(list) > 0 {
			t.Errorf("%s: %q", what, lines(list))
		}
	}
}

// TestCollectorTold: answers that came as text.
func TestCollectorTold(t *testing.T) {
	c := New(Config{}).Tally()
	q := &picket.Query{Time: at.UnixNano(), Type: 1, Class: 1, Name: dnsname.MustParse("www.example.com"), Flags: picket.FlagResponse}
	q.Response.Told = []picket.Answer{
		{Type: 1, Data: []byte("192.0.2.7")},
		{Type: 0, Data: []byte("192.0.2.8")},
		{Type: 1, Data: []byte("no address")},
		{Type: 1, Data: []byte("192.0.2.9\nevil.example. A 192.0.2.10")},
		{Type: 16, Data: []byte("( unended")},
		{Type: 5, Name: dnsname.MustParse("a.example.com"), Data: []byte("Host.Example.com")},
		{Type: 5, Name: []byte{9, 'x'}, Data: []byte("host.example.com")},
	}
	c.Observe(q, "zeek")
	want(t, c.Drain(),
		`a.example.com. CNAME ["host.example.com."] 1 zeek  0s`,
		`www.example.com. A ["192.0.2.7"] 1 zeek  0s`)
	if n := c.c.LeftOut().Unreadable; n != 4 {
		t.Errorf("%d unreadable, want 4", n)
	}
	q.Flags |= picket.FlagFlags // the input has flags, and AA is not set
	c.Observe(q, "zeek")
	want(t, c.Drain())
}

// TestCollectorFlood: names that a wildcard makes up are bounded for their zone, and
// leave room for others'.
func TestCollectorFlood(t *testing.T) {
	c := New(Config{Entries: 1000, NewPerZone: 100}).Tally()
	for i := range 500 {
		name := fmt.Sprintf("x%d.w.example.com", i)
		c.Observe(answered(t, name, name+". 1 IN A 192.0.2.1"), "")
	}
	c.Observe(answered(t, "www.example.net", "www.example.net. 1 IN A 192.0.2.2"), "")
	if n := len(c.Drain()); n != 101 {
		t.Errorf("%d sightings, want 101", n)
	}
	if l := c.c.LeftOut(); l != (LeftOut{Zone: 400}) {
		t.Errorf("%+v", l)
	}
	y := answered(t, "y.example.com", "y.example.com. 1 IN A 192.0.2.1")
	c.Observe(y, "")
	want(t, c.Drain()) // still in the same ten seconds
	c.c.Turn()
	c.Observe(y, "")
	want(t, c.Drain(), `y.example.com. A ["192.0.2.1"] 1   0s`)
}

// TestCollectorFull: when all entries are taken a turn is asked for, and what was drained makes room.
func TestCollectorFull(t *testing.T) {
	c := New(Config{Entries: 50}).Tally()
	see := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("h.z%d.example", i)
			c.Observe(answered(t, name, name+". 1 IN A 192.0.2.1"), "")
		}
	}
	see(0, 60)
	select {
	case <-c.c.Full():
	default:
		t.Error("no turn asked for")
	}
	if l := c.c.LeftOut(); l != (LeftOut{Full: 10}) {
		t.Errorf("%+v", l)
	}
	if n := len(c.Drain()); n != 50 {
		t.Errorf("%d sightings, want 50", n)
	}
	see(60, 110)
	if n := len(c.Drain()); n != 50 {
		t.Errorf("%d sightings after the drain, want 50", n)
	}
}

// TestCollectorHostile: no message makes it panic, and pointers do not go in circles.
func TestCollectorHostile(t *testing.T) {
	whole := answered(t, "www.example.com", "www.example.com. 1 IN SRV 1 2 3 www.example.com.", "example.com. 1 IN MX 1 example.com.", "a.example.com. 1 IN NAPTR 1 2 \"a\" \"b\" \"c\" .")
	c := New(Config{}).Tally()
	for cut := range len(whole.Response.Message) {
		for _, v := range []byte{0, 1, 0x3f, 0x40, 0xc0, 0xff} {
			q := *whole
			q.Response.Message = append([]byte(nil), whole.Response.Message...)
			q.Response.Message[cut] = v
			c.Observe(&q, "s")
			q.Response.Message = q.Response.Message[:cut]
			c.Observe(&q, "s")
		}
	}
	c.Drain()
	q := *whole
	q.Response.Message = []byte("\x00\x01\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00" + "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xc0\x00\x02\x01")
	c.Observe(&q, "s")
	want(t, c.Drain())
}

func FuzzCollector(f *testing.F) {
	f.Add(answered(f, "www.example.com", "www.example.com. 1 IN MX 1 www.example.com.").Response.Message)
	f.Fuzz(func(t *testing.T, msg []byte) {
		c := New(Config{Entries: 64}).Tally()
		q := &picket.Query{Type: 1, Class: 1, Name: []byte{0}, Flags: picket.FlagResponse | picket.FlagAA, Response: picket.Response{Message: msg, Authority: []byte{0}}}
		c.Observe(q, "s")
		for _, v := range c.Drain() {
			if _, err := dnsname.Parse(v.Name); err != nil || v.Type == "" || len(v.Data) != 1 {
				t.Errorf("%+v: %v", v, err)
			}
		}
	})
}

// TestTallies: streams count apart, each for its own commit, within common bounds.
func TestTallies(t *testing.T) {
	c := New(Config{Entries: 4, NewPerZone: 2})
	a, b := c.Tally(), c.Tally()
	see := func(t2 *Tally, name string) bool {
		return t2.Observe(answered(t, name, name+". 1 IN A 192.0.2.1"), "s")
	}
	see(a, "x.example.com")
	see(a, "x.example.com")
	see(a, "y.example.com")
	see(b, "x.example.com") // held by another stream: not new to the zone
	see(b, "z.example.com") // the third of its zone
	a.Discard()
	want(t, a.Drain())
	see(a, "x.example.com")
	want(t, a.Drain(), `x.example.com. A ["192.0.2.1"] 1 s  0s`)
	want(t, b.Drain(), `x.example.com. A ["192.0.2.1"] 1 s  0s`)
	see(b, "y.example.net")
	if drain := see(b, "x.example.com"); !drain {
		t.Error("4 of 4 entries are taken, and no drain is asked for")
	}
	b.Close() // what it counted is given up; what it knows is not
	if again := c.Tally(); again != b {
		t.Error("a closed tally was not used again")
	}
	want(t, b.Drain())
	c.Turn()
	c.Turn() // all idle: more than half of the entries were taken
	if n := c.held.Load(); n != 0 || len(c.known) != 0 {
		t.Errorf("%d entries held and %d known after all were idle", n, len(c.known))
	}
	if l := c.LeftOut(); l != (LeftOut{Zone: 1}) {
		t.Errorf("%+v", l)
	}
}

// TestTalliesConcurrent: streams and turns at once; no count is lost.
func TestTalliesConcurrent(t *testing.T) {
	c := New(Config{Entries: 64})
	var all sync.WaitGroup
	var total atomic.Int64
	for i := range 4 {
		name := fmt.Sprintf("h%d.example.com", i)
		q, www := answered(t, name, name+". 1 IN A 192.0.2.1"), answered(t, "www.example.com", "www.example.com. 1 IN A 192.0.2.1")
		all.Go(func() {
			for range 10 {
				s := c.Tally()
				for range 100 {
					s.Observe(q, "s")
					s.Observe(www, "s")
				}
				for _, v := range s.Drain() {
					total.Add(v.Count)
				}
				s.Close()
			}
		})
	}
	all.Go(func() {
		for range 200 {
			c.Turn()
		}
	})
	all.Wait()
	if total.Load() != 8000 {
		t.Errorf("counted %d, want 8000", total.Load())
	}
}

// TestCollectorAllocates: an answer known already costs no allocation.
func TestCollectorAllocates(t *testing.T) {
	c := New(Config{}).Tally()
	q := answered(t, "www.example.com", "www.example.com. 1 IN CNAME host.example.com.", "host.example.com. 1 IN A 192.0.2.1")
	c.Observe(q, "ns1")
	if n := testing.AllocsPerRun(1000, func() { c.Observe(q, "ns1") }); n > 0.01 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	c := New(Config{}).Tally()
	q := answered(b, "www.example.com", "www.example.com. 1 IN CNAME host.example.com.", "host.example.com. 1 IN A 192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		c.Observe(q, "ns1")
	}
}

// BenchmarkDrain is what a commit costs for each different answer since the last.
func BenchmarkDrain(b *testing.B) {
	c := New(Config{NewPerZone: 1 << 20}).Tally()
	var list []*picket.Query
	for i := range 1000 {
		name := fmt.Sprintf("h%d.example.com", i)
		list = append(list, answered(b, name, name+". 1 IN A 192.0.2.1"))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, q := range list {
			c.Observe(q, "ns1")
		}
		if n := len(c.Drain()); n != len(list) {
			b.Fatalf("%d sightings", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/answer")
}
