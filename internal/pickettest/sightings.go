package pickettest

import (
	"context"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// SightingStore is what the conformance tests of passive DNS need of a store.
type SightingStore interface {
	picket.IntakeKeeper
	picket.SightingQuerier
	ImportSightings(ctx context.Context, next func() ([]picket.Sighting, error)) (int64, error)
	CompactSightings(ctx context.Context) error
}

func onDay(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }

func seen(name, rrtype, data string, first, last int, count int64, sensor string) picket.Sighting {
	v := picket.Sighting{Name: name, Type: rrtype, FirstSeen: onDay(first), LastSeen: onDay(last), Count: count,
		Channel: picket.SightingPassiveDNS, Origin: "db", Sensor: sensor}
	if data != "" {
		v.Data = []string{data}
	}
	return v
}

// sightingSamples are of two domains and a reverse tree.
func sightingSamples() []picket.Sighting {
	ns := seen("example.org.", "NS", "", 1, 20, 7, "a")
	ns.Data = []string{"NS1.Example.net", "ns2.example.net."}
	ns.Bailiwick = "org."
	cert := picket.Sighting{Name: "*.dev.example.org.", Channel: picket.SightingCertificate, FirstSeen: onDay(1), LastSeen: onDay(30),
		Issuer: "CN=Test CA", Serial: "0a", Logged: onDay(2), Origin: "log", Sensor: "ct"}
	return []picket.Sighting{
		ns,
		seen("www.example.org.", "A", "192.0.2.1", 3, 10, 5, "a"),
		seen("WWW.example.org", "A", "192.0.2.1", 2, 9, 4, "b"),
		seen("www.example.org.", "A", "192.0.2.200", 4, 11, 1, "a"),
		seen("www.example.org.", "AAAA", "2001:DB8:0::1", 4, 12, 1, "a"),
		seen("x.dev.example.org.", "CNAME", "www.example.org.", 5, 13, 1, "a"),
		seen("example.org.", "MX", "10 Mail.example.net.", 5, 14, 1, "a"),
		seen("notexample.org.", "A", "198.51.100.7", 6, 15, 1, "a"),
		seen("1.2.0.192.in-addr.arpa.", "PTR", "www.example.org.", 6, 16, 2, "a"),
		cert,
	}
}

// Sightings tests a store's passive DNS. fill says how the samples come in: by
// deliveries, own observations or in bulk, compacted or not.
func Sightings[S SightingStore](t *testing.T, open func(*testing.T) S) {
	for name, fill := range map[string]func(*testing.T, S, []picket.Sighting){
		"delivered":    deliver[S],
		"observed":     observe[S],
		"imported":     importAll[S],
		"with commits": commitAll[S],
		"compacted": func(t *testing.T, s S, list []picket.Sighting) {
			for i := range list {
				observe(t, s, list[i:i+1])
				compact(t, s)
			}
		},
		"half compacted": func(t *testing.T, s S, list []picket.Sighting) {
			observe(t, s, list[:4])
			compact(t, s)
			importAll(t, s, list[4:7])
			deliver(t, s, list[7:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			fill(t, s, sightingSamples())
			sightingsFound(t, s)
		})
	}
	t.Run("deliveries", func(t *testing.T) { sightingDeliveries(t, open(t)) })
	t.Run("hostile", func(t *testing.T) { hostileSightings(t, open(t)) })
}

func deliver[S SightingStore](t *testing.T, s S, list []picket.Sighting) {
	t.Helper()
	in := openSightingInput(t, s)
	if err := s.AppendSightings(t.Context(), picket.Origin{Input: in, Delivery: 1}, list); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in, Delivery: 1, Closed: 1}); err != nil {
		t.Fatal(err)
	}
}

// commitAll stores each sighting with the commit of a delivery of its own.
func commitAll[S SightingStore](t *testing.T, s S, list []picket.Sighting) {
	t.Helper()
	in := openSightingInput(t, s)
	for i := range list {
		d := int64(i + 1)
		if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in, Delivery: d, Closed: d, Sightings: list[i : i+1]}); err != nil {
			t.Fatal(err)
		}
	}
}

func openSightingInput[S SightingStore](t *testing.T, s S) uint32 {
	t.Helper()
	st, err := s.OpenInput(t.Context(), "pdns", true)
	if err != nil {
		t.Fatal(err)
	}
	return st.ID
}

func observe[S SightingStore](t *testing.T, s S, list []picket.Sighting) {
	t.Helper()
	if err := s.AppendSightings(t.Context(), picket.Origin{}, list); err != nil {
		t.Fatal(err)
	}
}

func importAll[S SightingStore](t *testing.T, s S, list []picket.Sighting) {
	t.Helper()
	want := int64(0)
	for i := range list {
		want += int64(max(len(list[i].Data), 1))
	}
	n, err := s.ImportSightings(t.Context(), func() ([]picket.Sighting, error) {
		next := list[:min(3, len(list))]
		list = list[len(next):]
		return next, nil
	})
	if err != nil || n != want {
		t.Fatalf("imported %d of %d, %v", n, want, err)
	}
}

func compact[S SightingStore](t *testing.T, s S) {
	t.Helper()
	if err := s.CompactSightings(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// sightingsFound asks for the samples in every way.
func sightingsFound[S SightingStore](t *testing.T, s S) {
	// The samples in the order in which they are found.
	const (
		cert  = "*.dev.example.org.  "
		ns1   = "example.org. NS ns1.example.net."
		ns2   = "example.org. NS ns2.example.net."
		ptr   = "1.2.0.192.in-addr.arpa. PTR www.example.org."
		other = "notexample.org. A 198.51.100.7"
		mx    = "example.org. MX 10 mail.example.net."
		cname = "x.dev.example.org. CNAME www.example.org."
		aaaa  = "www.example.org. AAAA 2001:db8::1"
		a200  = "www.example.org. A 192.0.2.200"
		a1    = "www.example.org. A 192.0.2.1"
	)
	for name, c := range map[string]struct {
		f     picket.SightingFilter
		want  []string
		count int64
	}{
		"all":             {picket.SightingFilter{}, []string{cert, ns1, ns2, ptr, other, mx, cname, aaaa, a200, a1}, 30},
		"name":            {picket.SightingFilter{Name: "www.example.org."}, []string{aaaa, a200, a1}, 11},
		"name as typed":   {picket.SightingFilter{Name: "Www.Example.Org"}, []string{aaaa, a200, a1}, 11},
		"no such name":    {picket.SightingFilter{Name: "ww.example.org."}, nil, 0},
		"type":            {picket.SightingFilter{Name: "www.example.org.", Type: "a"}, []string{a200, a1}, 10},
		"any type":        {picket.SightingFilter{Name: "www.example.org.", Type: "ANY"}, []string{aaaa, a200, a1}, 11},
		"below":           {picket.SightingFilter{Name: "example.org.", Below: true}, []string{cert, ns1, ns2, mx, cname, aaaa, a200, a1}, 27},
		"below deeper":    {picket.SightingFilter{Name: "dev.example.org.", Below: true}, []string{cert, cname}, 1},
		"below a suffix":  {picket.SightingFilter{Name: "org.", Below: true, Type: "A"}, []string{other, a200, a1}, 11},
		"below the root":  {picket.SightingFilter{Name: ".", Below: true, Type: "PTR"}, []string{ptr}, 2},
		"below reverse":   {picket.SightingFilter{Name: "2.0.192.in-addr.arpa.", Below: true}, []string{ptr}, 2},
		"limit":           {picket.SightingFilter{Limit: 2}, []string{cert, ns1}, 30},
		"offset":          {picket.SightingFilter{Limit: 2, Offset: 3}, []string{ptr, other}, 30},
		"beyond":          {picket.SightingFilter{Offset: 100}, nil, 30},
		"address":         {picket.SightingFilter{Data: "192.0.2.1"}, []string{a1}, 9},
		"address v6":      {picket.SightingFilter{Data: "2001:db8:0:0::1"}, []string{aaaa}, 1},
		"data name":       {picket.SightingFilter{Data: "www.example.org."}, []string{ptr, cname}, 3},
		"data of mx":      {picket.SightingFilter{Data: "10 mail.example.net."}, []string{mx}, 1},
		"name in mx":      {picket.SightingFilter{Data: "mail.example.net."}, []string{mx}, 1},
		"data below":      {picket.SightingFilter{Data: "example.net.", DataBelow: true}, []string{ns1, ns2, mx}, 15},
		"data below net":  {picket.SightingFilter{Data: "net.", DataBelow: true, Type: "NS"}, []string{ns1, ns2}, 14},
		"net":             {picket.SightingFilter{Net: netip.MustParsePrefix("192.0.2.0/24")}, []string{a200, a1}, 10},
		"half of net":     {picket.SightingFilter{Net: netip.MustParsePrefix("192.0.2.128/25")}, []string{a200}, 1},
		"net v6":          {picket.SightingFilter{Net: netip.MustParsePrefix("2001:db8::/32")}, []string{aaaa}, 1},
		"small net v6":    {picket.SightingFilter{Net: netip.MustParsePrefix("2001:db8::/126")}, []string{aaaa}, 1},
		"other net v6":    {picket.SightingFilter{Net: netip.MustParsePrefix("2001:db8::8/126")}, nil, 0},
		"whole internet":  {picket.SightingFilter{Net: netip.MustParsePrefix("0.0.0.0/0")}, []string{other, a200, a1}, 11},
		"bailiwick":       {picket.SightingFilter{Bailiwick: "org."}, []string{ns1, ns2}, 14},
		"certificates":    {picket.SightingFilter{Channel: picket.SightingCertificate}, []string{cert}, 0},
		"no certificates": {picket.SightingFilter{Channel: picket.SightingPassiveDNS, Name: "dev.example.org.", Below: true}, []string{cname}, 1},
		"no channel":      {picket.SightingFilter{Channel: "rumour"}, nil, 0},
		"first after":     {picket.SightingFilter{Name: "www.example.org.", FirstAfter: onDay(3)}, []string{aaaa, a200}, 2},
		"first before":    {picket.SightingFilter{Name: "www.example.org.", FirstBefore: onDay(2)}, []string{a1}, 9},
		"last after":      {picket.SightingFilter{Name: "www.example.org.", LastAfter: onDay(12)}, []string{aaaa}, 1},
		"last before":     {picket.SightingFilter{Name: "www.example.org.", LastBefore: onDay(10)}, []string{a1}, 9},
	} {
		list, err := s.Sightings(t.Context(), c.f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, v := range list {
			got = append(got, v.Name+" "+v.Type+" "+strings.Join(v.Data, " | "))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		rows, count, err := s.CountSightings(t.Context(), c.f)
		if c.f.Limit == 0 && c.f.Offset == 0 && rows != int64(len(c.want)) || count != c.count || err != nil {
			t.Errorf("%s: counted %d rows of %d, %v, want %d of %d", name, rows, count, err, len(c.want), c.count)
		}
	}
	sightingWhole(t, s)
}

// sightingWhole looks at every field.
func sightingWhole[S SightingStore](t *testing.T, s S) {
	for _, want := range []picket.Sighting{
		{Name: "www.example.org.", Type: "A", Data: []string{"192.0.2.1"}, Count: 9, FirstSeen: onDay(2), LastSeen: onDay(10),
			Channel: picket.SightingPassiveDNS, Origin: "db", Sensor: "a, b"},
		{Name: "*.dev.example.org.", FirstSeen: onDay(1), LastSeen: onDay(30), Channel: picket.SightingCertificate,
			Issuer: "CN=Test CA", Serial: "0a", Logged: onDay(2), Origin: "log", Sensor: "ct"},
		{Name: "example.org.", Type: "NS", Data: []string{"ns1.example.net."}, Count: 7, FirstSeen: onDay(1), LastSeen: onDay(20),
			Bailiwick: "org.", Channel: picket.SightingPassiveDNS, Origin: "db", Sensor: "a"},
	} {
		f := picket.SightingFilter{Name: want.Name, Type: want.Type}
		if want.Data != nil {
			f.Data = want.Data[0]
		}
		list, err := s.Sightings(t.Context(), f)
		if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", want.Name, list, err, want)
		}
	}
}

// sightingDeliveries: only what is committed counts.
func sightingDeliveries[S SightingStore](t *testing.T, s S) {
	in := openSightingInput(t, s)
	for d := range int64(3) {
		at := picket.Origin{Input: in, Delivery: d + 1}
		if err := s.AppendSightings(t.Context(), at, []picket.Sighting{seen("www.example.org.", "A", "192.0.2.1", 1, 2, 1<<d, "a")}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, want int64) {
		t.Helper()
		for _, again := range []string{"", " and compacted"} {
			if _, count, err := s.CountSightings(t.Context(), picket.SightingFilter{Name: "www.example.org."}); err != nil || count != want {
				t.Errorf("%s%s: count %d, %v, want %d", when, again, count, err, want)
			}
			compact(t, s)
		}
	}
	expect("nothing committed", 0)
	commit := func(delivery, closed int64) {
		t.Helper()
		if err := s.CommitIntake(t.Context(), &picket.IntakeCommit{Input: in, Delivery: delivery, Closed: closed}); err != nil {
			t.Fatal(err)
		}
	}
	commit(3, 0)
	expect("the third", 4)
	if err := s.Withdraw(t.Context(), picket.Origin{Input: in, Delivery: 2}); err != nil {
		t.Fatal(err)
	}
	commit(1, 3)
	expect("all but the second", 5)
}

// hostileSightings: nothing that an input can send breaks the store or another's sightings.
func hostileSightings[S SightingStore](t *testing.T, s S) {
	long := strings.Repeat("x", 100_000)
	far := time.Date(40000, 1, 1, 0, 0, 0, 0, time.UTC)
	list := []picket.Sighting{
		{Name: "a\x00\xff'; DROP TABLE sightings_recent; --.example.org.", Type: "TXT", Data: []string{"\x00\xff\"'"}, Count: math.MaxInt64, Channel: picket.SightingPassiveDNS},
		{Name: "a\x00\xff'; DROP TABLE sightings_recent; --.example.org.", Type: "TXT", Data: []string{"\x00\xff\"'"}, Count: math.MaxInt64, Channel: picket.SightingPassiveDNS},
		{Name: "", Type: "", Data: nil, Count: math.MinInt64},
		{Name: ".", Type: "A", Data: []string{"", "not an address", "192.0.2.1%eth0"}, FirstSeen: time.Unix(-1<<40, 0), LastSeen: far, ZoneFirst: far, ZoneLast: far},
		{Name: long, Type: long, Data: []string{long, ""}, Bailiwick: long, Origin: long, Sensor: "\xff", SensorID: "'", Issuer: "\x00", Serial: "\xff"},
		{Name: `a\.b\..example.org.`, Type: "MX", Data: []string{"10", " ", "10  x"}},
		{Name: `..example.org.`, Type: "SRV", Data: []string{"1 2 3"}},
		{Name: `\`, Type: "SOA", Data: []string{`\`}},
	}
	for i := range list {
		observe(t, s, list[i:i+1])
	}
	importAll(t, s, list)
	compact(t, s)
	observe(t, s, list)
	got, err := s.Sightings(t.Context(), picket.SightingFilter{Name: list[0].Name})
	if err != nil || len(got) != 1 || got[0].Count != math.MaxInt64 || got[0].Data[0] != "\x00\uFFFD\"'" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = s.Sightings(t.Context(), picket.SightingFilter{Name: ".", Type: "A", Data: "not an address"})
	if err != nil || len(got) != 1 || got[0].LastSeen.Year() != 9999 || !got[0].FirstSeen.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = s.Sightings(t.Context(), picket.SightingFilter{Name: long}); err != nil || len(got) != 2 {
		t.Errorf("%d of the long name, %v", len(got), err)
	}
	if got, err = s.Sightings(t.Context(), picket.SightingFilter{Name: `a\.b\..example.org.`}); err != nil || len(got) != 3 {
		t.Errorf("%d of the name with dots, %v", len(got), err)
	}
	if got, err = s.Sightings(t.Context(), picket.SightingFilter{Name: "example.org.", Below: true}); err != nil || len(got) < 4 {
		t.Errorf("%d below example.org., %v", len(got), err)
	}
	if got, err = s.Sightings(t.Context(), picket.SightingFilter{Net: netip.MustParsePrefix("0.0.0.0/0")}); err != nil || len(got) != 0 {
		t.Errorf("%+v in the address space, %v", got, err)
	}
}
