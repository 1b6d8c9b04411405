package lab_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/pickettest"
)

// recording is a track of two clients in corp.example: one asks a to f, a second
// apart and out of order in the recording, the other something else.
func recording() *lab.Track {
	t := &lab.Track{Name: "small"}
	actor, other := netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("10.72.0.9")
	for i, name := range []string{"a", "c", "b", "d", "e", "f"} {
		at := int64(i)
		if name == "b" || name == "c" { // written to the capture in the wrong order
			at = 3 - at
		}
		t.Query(&picket.Query{Time: 100e9 + at*1e9, Client: actor, Type: lab.TypeA, Class: 1, Name: dnsname.MustParse(name + ".corp.example"), Flags: picket.FlagRD, Rcode: picket.RcodeNXDomain})
	}
	t.Query(&picket.Query{Time: 103e9, Client: other, Type: lab.TypeA, Class: 1, Name: dnsname.MustParse("www.corp.example")})
	t.Query(&picket.Query{Time: 104e9, Client: actor, Type: lab.TypeA, Class: 1, Name: dnsname.MustParse("www.other.example")})
	t.Query(&picket.Query{Time: 104e9, Client: actor, Type: lab.TypeTXT, Class: 3, Name: dnsname.MustParse("version.bind")})
	return t
}

// told renders a stream: seconds, first label, source.
func told(s lab.Stream) string {
	var b strings.Builder
	for q := s.Next(); q != nil; q = s.Next() {
		fmt.Fprintf(&b, "%g %s %s, ", float64(q.Time)/1e9, dnsname.First(q.Name), q.Client)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func TestRecast(t *testing.T) {
	actor := []netip.Addr{netip.MustParseAddr("10.66.0.1")}
	one, two := lab.Direct("one", 1), lab.Direct("two", 2)
	for _, c := range []struct {
		about string
		o     lab.RecastOptions
		want  string
	}{
		{"as it is", lab.RecastOptions{}, "100 a 10.66.0.1, 101 b 10.66.0.1, 102 c 10.66.0.1, 103 d 10.66.0.1, 103 www 10.72.0.9, 104 e 10.66.0.1, 104 www 10.66.0.1, 104 version 10.66.0.1, 105 f 10.66.0.1"},
		{"one actor, twice as slow, later", lab.RecastOptions{Actors: actor, Begin: 1000e9, Stretch: 2}, "1000 a 10.66.0.1, 1002 b 10.66.0.1, 1004 c 10.66.0.1, 1006 d 10.66.0.1, 1008 e 10.66.0.1, 1008 www 10.66.0.1, 1008 version 10.66.0.1, 1010 f 10.66.0.1"},
		{"at a fixed rate from another address", lab.RecastOptions{Actors: actor, Begin: 1000e9, Every: 20e9, Path: one}, "1000 a 10.240.0.1, 1020 b 10.240.0.1, 1040 c 10.240.0.1, 1060 d 10.240.0.1, 1080 e 10.240.0.1, 1100 www 10.240.0.1, 1120 version 10.240.0.1, 1140 f 10.240.0.1"},
		{"two sources, a half each", lab.RecastOptions{Actors: actor, Begin: 1000e9, Every: 10e9, Path: two, Spread: lab.PerPart}, "1000 a 10.240.0.1, 1010 e 10.240.0.5, 1020 b 10.240.0.1, 1030 www 10.240.0.5, 1040 c 10.240.0.1, 1050 version 10.240.0.5, 1060 d 10.240.0.1, 1070 f 10.240.0.5"},
	} {
		s, err := recording().Recast(c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := told(s); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.about, got, c.want)
		}
	}
}

// TestRecastKeepsResponses: what an actor got is what it gets from elsewhere.
func TestRecastKeepsResponses(t *testing.T) {
	s, err := recording().Recast(lab.RecastOptions{Path: lab.Direct("one", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if q := s.Next(); q.Rcode != picket.RcodeNXDomain || !q.Has(picket.FlagRD) || q.Type != lab.TypeA {
		t.Errorf("%+v", q)
	}
}

// TestRecastSpread: each name has one source, or any, as asked for.
func TestRecastSpread(t *testing.T) {
	tr := &lab.Track{}
	for i := range 3000 {
		tr.Query(&picket.Query{Time: int64(i) * 1e9, Class: 1, Name: dnsname.MustParse(fmt.Sprintf("n%d.corp.example", i%300))})
	}
	for spread, most := range map[lab.Spread]int{lab.PerName: 1, lab.PerQuery: 10} {
		s, err := tr.Recast(lab.RecastOptions{Path: lab.Direct("many", 50), Spread: spread, Jitter: 0.5, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		sources, all, last := map[string]map[netip.Addr]bool{}, map[netip.Addr]int{}, int64(0)
		for q := s.Next(); q != nil; q = s.Next() {
			if q.Time < last {
				t.Fatal("not in the order of time")
			}
			last = q.Time
			if sources[string(q.Name)] == nil {
				sources[string(q.Name)] = map[netip.Addr]bool{}
			}
			sources[string(q.Name)][q.Client] = true
			all[q.Client]++
		}
		sum := 0
		for _, set := range sources {
			sum += len(set)
		}
		if mean := float64(sum) / 300; len(all) != 50 || mean > float64(most) || most > 1 && mean < 8 {
			t.Errorf("spread %d: %d sources, %.1f to a name", spread, len(all), mean)
		}
	}
}

func TestRecastRefuses(t *testing.T) {
	for want, o := range map[string]lab.RecastOptions{
		"none of 9 queries is from 192.0.2.1": {Actors: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"no sources":                          {Path: &lab.Path{}},
		"resolvers need zones":                {Path: &lab.Path{Resolvers: []*lab.Resolver{{}}}},
	} {
		if _, err := recording().Recast(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestRecastThroughResolvers: what is cached is not asked again, RD and what is not
// for resolvers does not arrive.
func TestRecastThroughResolvers(t *testing.T) {
	tr := recording()
	tr.Query(&picket.Query{Time: 106e9, Client: tr.Queries[0].Client, Type: lab.TypeAAAA, Class: 1, Name: dnsname.MustParse("a.corp.example")})
	r := &lab.Resolver{Addr: netip.MustParseAddr("10.80.0.1")}
	o := lab.RecastOptions{Path: &lab.Path{Resolvers: []*lab.Resolver{r}}, Zones: []*lab.Zone{smallZone(t, lab.Unsigned)}}
	for range 2 { // caches are not kept from one recast to the next
		s, err := tr.Recast(o)
		if err != nil {
			t.Fatal(err)
		}
		list := lab.Collect(s)
		var got []string
		for _, q := range list {
			if q.Has(picket.FlagRD) || q.Client != r.Addr || q.Server != netip.MustParseAddr("10.53.0.1") {
				t.Errorf("%+v", q)
			}
			got = append(got, fmt.Sprintf("%s %d", dnsname.First(q.Name), q.Rcode))
		}
		if want := "[a 3 b 3 c 3 d 3 www 0 e 3 f 3]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// TestRecastWarm: what a resolver's other clients have asked does not arrive, and
// whoever knows of that is asked about its own zone alone.
func TestRecastWarm(t *testing.T) {
	z := smallZone(t, lab.Unsigned)
	other := &lab.Zone{Apex: dnsname.MustParse("other.example"), TTL: 300, NegativeTTL: 300, Servers: z.Servers}
	other.AddRecords(func(yield func([]byte, uint16) bool) {
		_ = yield(dnsname.MustParse("other.example"), lab.TypeSOA) && yield(dnsname.MustParse("www.other.example"), lab.TypeA)
	})
	if err := other.Seal(); err != nil {
		t.Fatal(err)
	}
	warm := func(_ *lab.Resolver, owner int, _ uint16, _ *rand.Rand) bool {
		return string(dnsname.First(z.Owners[owner].Name)) == "www"
	}
	o := lab.RecastOptions{Path: &lab.Path{Resolvers: []*lab.Resolver{{Addr: netip.MustParseAddr("10.80.0.1")}}, Warm: warm}, Zones: []*lab.Zone{other, z}, Warmed: z}
	s, err := recording().Recast(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range lab.Collect(s) {
		got = append(got, dnsname.Text(q.Name))
	}
	want := "[a.corp.example b.corp.example c.corp.example d.corp.example e.corp.example www.other.example f.corp.example]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// zoneFrom is a zone of the shared samples that answers.
func zoneFrom(t *testing.T, apex string) *lab.Zone {
	t.Helper()
	z := &lab.Zone{Apex: dnsname.MustParse(apex), TTL: 300, NegativeTTL: 300, Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1"), netip.MustParseAddr("10.53.0.2")}}
	z.AddRecords(pickettest.ZoneFileRecords(t, apex))
	if err := z.Seal(); err != nil {
		t.Fatal(err)
	}
	return z
}

// TestSharedRecast plays recorded reconnaissance from other places and slower, into
// captured traffic of ordinary clients.
func TestSharedRecast(t *testing.T) {
	c := openCorpus(t, pickettest.Shared(t, "recon"))
	z := zoneFrom(t, "corp-a.example")
	if len(z.Owners) < 300 {
		t.Fatalf("%d owners", len(z.Owners))
	}
	p := lab.DefaultParameters()
	fleet := lab.NewFleet(&p, lab.Rand(1, "fleet"))
	for _, tt := range []struct {
		capture   string
		resolvers int
		every     int64
		questions int     // that the actor asks
		arrive    float64 // share of them that reaches the servers, at the least
	}{
		{"vis-pdns-medium-direct", 3, 20 * lab.Second, 421, 0.9},
		{"vis-dnsrecon-brt", 8, lab.Second / 10, 3823, 0.5},
	} {
		t.Run(fmt.Sprintf("%s through %d", tt.capture, tt.resolvers), func(t *testing.T) {
			e := c.entry(t, tt.capture)
			actor, benign := c.track(t, tt.capture), c.track(t, "vis-benign-web")
			if len(actor.Queries) != tt.questions {
				t.Fatalf("%d queries", len(actor.Queries))
			}
			path := lab.Through("shared", fleet, tt.resolvers, lab.Rand(2, "path"))
			begin := benign.Queries[0].Time
			s, err := actor.Recast(lab.RecastOptions{Begin: begin, Every: tt.every, Jitter: 0.3, Path: path, Zones: []*lab.Zone{z}, Seed: 2})
			if err != nil {
				t.Fatal(err)
			}
			users, err := benign.Recast(lab.RecastOptions{Stretch: 10})
			if err != nil {
				t.Fatal(err)
			}
			checkRecast(t, tt.questions, tt.every, tt.arrive, path, actor, lab.Collect(s))
			s, _ = actor.Recast(lab.RecastOptions{Begin: begin, Every: tt.every, Jitter: 0.3, Path: path, Zones: []*lab.Zone{z}, Seed: 2})
			both, sent := lab.Merge(s, users), [2]int{}
			found := c.recognize(t, e, true, func(sink picket.QuerySink) {
				for q := both.Next(); q != nil; q = both.Next() {
					sent[both.From()]++
					if err := sink.Query(q); err != nil {
						t.Fatal(err)
					}
				}
			})
			if sent[1] != len(benign.Queries) {
				t.Errorf("%d of %d benign queries in between", sent[1], len(benign.Queries))
			}
			right := 0
			for _, f := range found {
				prefix, err := netip.ParsePrefix(f.Source.Prefix)
				ours := err == nil && slices.ContainsFunc(path.Resolvers, func(r *lab.Resolver) bool { return prefix.Contains(r.Addr) })
				if f.Severity > picket.SeverityInformational && f.Source.Prefix != "" && !ours {
					t.Errorf("%s raised for %s, which only ordinary clients ask through", f.Detector, f.Source.Prefix)
				}
				if ours && slices.Contains(accepted[e.Technique], f.Detector) {
					right++
				}
			}
			if right == 0 {
				t.Errorf("not found: %s", kinds(found))
			}
			t.Logf("%d queries of the actor's and %d of others: %s", sent[0], sent[1], kinds(found))
		})
	}
}

// checkRecast: the actor's names arrive from the path's resolvers, at its new pace.
func checkRecast(t *testing.T, questions int, every int64, arrive float64, path *lab.Path, actor *lab.Track, got []picket.Query) {
	t.Helper()
	asked, sources := map[string]bool{}, map[netip.Addr]int{}
	for i := range actor.Queries {
		asked[string(actor.Queries[i].Name)] = true
	}
	distinct := map[string]bool{}
	for i := range got {
		q := &got[i]
		sources[q.Client]++
		if asked[string(q.Name)] {
			distinct[string(q.Name)] = true
		}
		if !slices.ContainsFunc(path.Resolvers, func(r *lab.Resolver) bool { return r.Addr == q.Client }) || q.Has(picket.FlagRD) || !q.Has(picket.FlagResponse) {
			t.Fatalf("%+v", q)
		}
	}
	if n := len(path.Resolvers); len(sources) != n {
		t.Errorf("%d sources of %d", len(sources), n)
	}
	if s := float64(len(distinct)) / float64(len(asked)); s < arrive {
		t.Errorf("%.2f of the names arrive, want %.2f", s, arrive)
	}
	want := int64(questions-1) * every
	if span := got[len(got)-1].Time - got[0].Time; span < want*9/10 || span > want*11/10+10*lab.Second {
		t.Errorf("lasts %d s, want %d s", span/lab.Second, want/lab.Second)
	}
}

// entry is that of a capture in the manifest.
func (c *corpus) entry(t *testing.T, id string) *entry {
	t.Helper()
	for i := range c.entries {
		if strings.HasPrefix(filepath.Base(c.entries[i].File), id+".") {
			return &c.entries[i]
		}
	}
	t.Fatalf("no capture %s", id)
	return nil
}

// track is a whole capture.
func (c *corpus) track(t *testing.T, id string) *lab.Track {
	t.Helper()
	tr := &lab.Track{Name: id}
	decodeCapture(t, filepath.Join(c.dir, c.entry(t, id).File), tr)
	return tr
}
