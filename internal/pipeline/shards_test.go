package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/pipeline"
)

// TestShardsDoNotMatter: the real detectors find the same, to the last figure,
// twice over and however many shards there are.
func TestShardsDoNotMatter(t *testing.T) {
	traffic := mixedTraffic()
	one := detectWith(t, 1, traffic)
	detectors := map[string]int{}
	for _, f := range one {
		detectors[f.Detector]++
	}
	for _, want := range []string{"brute-force", "zone-transfer", "record-survey", "retired-names", "random-flood"} {
		if detectors[want] == 0 {
			t.Errorf("%s is not among the findings %v", want, detectors)
		}
	}
	for _, n := range []int{1, 2, 4, 4} {
		if got := detectWith(t, n, traffic); !slices.EqualFunc(one, got, equalFindings) {
			t.Errorf("%d shards found something else: %s", n, difference(one, got))
		}
	}
}

// TestEpisodesDoNotDependOnBatches: two spells hours apart are two findings, also
// where queries are too few to fill a batch in between.
func TestEpisodesDoNotDependOnBatches(t *testing.T) {
	const hour = int64(time.Hour)
	base := 1_780_000_000 * second
	var sparse []ask
	for spell := range int64(3) {
		sparse = append(sparse, ask{base + spell*4*hour, client(1), ".corp.example", 252})
		for i := range int64(110) {
			sparse = append(sparse, ask{base + spell*4*hour + (1+i)*60*second, client(100 + int(i%40)), "host1.corp.example", 1})
		}
	}
	for _, n := range []int{1, 2, 4, 16} {
		got := detectWith(t, n, sparse)
		if len(got) != 3 || slices.ContainsFunc(got, func(f *picket.Finding) bool { return f.Queries != 1 }) {
			t.Errorf("%d shards: %d findings, want three of one query each", n, len(got))
		}
	}
}

func equalFindings(a, b *picket.Finding) bool { return line(a) == line(b) }

func line(f *picket.Finding) string {
	return fmt.Sprintf("%s %s %s %q queries=%d names=%d at=%d %s %v %s %s %s", f.ID, f.Detector, f.Zone, f.Source.Prefix, f.Queries, f.Names,
		f.DetectedAtQuery, f.Severity, f.Confidence, f.FirstSeen, f.LastSeen, f.Summary)
}

func difference(a, b []*picket.Finding) string {
	var out strings.Builder
	in := func(f *picket.Finding, s []*picket.Finding) bool {
		return slices.ContainsFunc(s, func(g *picket.Finding) bool { return equalFindings(f, g) })
	}
	for _, f := range a {
		if !in(f, b) {
			out.WriteString("\n- " + line(f))
		}
	}
	for _, f := range b {
		if !in(f, a) {
			out.WriteString("\n+ " + line(f))
		}
	}
	return out.String()
}

type ask struct {
	at     int64
	client netip.Addr
	name   string
	typ    uint16
}

// mixedTraffic is ten minutes of resolvers, guessers, a transfer, a survey, old
// names spread over sources, and a flood.
func mixedTraffic() []ask {
	var out []ask
	r := rand.New(rand.NewPCG(11, 12))
	words := strings.Fields("jenkins grafana citrix ldap proxy cloud files wiki chat crm erp demo beta auth login secure media forum git monitor")
	add := func(ms int64, c netip.Addr, name string, typ uint16) {
		out = append(out, ask{1_780_000_000*second + ms*1e6, c, name + ".corp.example", typ})
	}
	for i := range int64(20_000) {
		add(i*30, client(r.IntN(60)), fmt.Sprintf("host%d", r.IntN(40)), 1)
	}
	for g := range 12 {
		for i := range int64(100) {
			add(10_000*int64(g)+i*500, client(1000+g), fmt.Sprintf("%s%d", words[(int(i)*7+g)%20], i/20), 1)
		}
	}
	add(5000, client(2000), "", 252)
	for i, typ := range []uint16{1, 28, 6, 2, 15, 16, 48, 257, 99, 13} {
		add(7000+int64(i)*500, client(2001), "", typ)
	}
	for i := range 40 {
		add(200_000+int64(i)*1100, client(3000+i%20), fmt.Sprintf("old%d", i), 1)
	}
	for i := range int64(3000) {
		label := make([]byte, 13)
		for j := range label {
			label[j] = byte('a' + r.IntN(26))
		}
		add(300_000+i*10, client(4000+r.IntN(80)), string(label), 1)
	}
	slices.SortStableFunc(out, func(a, b ask) int { return int(a.at - b.at) })
	return out
}

func detectWith(t *testing.T, shards int, traffic []ask) []*picket.Finding {
	t.Helper()
	cat := corpZone(t)
	cfg := detect.Config{Sources: 1 << 14, Suspects: 1 << 10, Seed: cat.Hasher().Seed, Order: cat}
	kept := &keeper{}
	pc := pipeline.Config[detect.Summary]{Zones: detect.NewZoneEngine(cfg), Namer: cat, Sink: kept,
		Order: func(s *detect.Summary) (int64, uint32) { return s.Second, s.Zone.ID }}
	for range shards {
		pc.Shards = append(pc.Shards, detect.New(cfg))
	}
	p := pipeline.New(pc)
	feed := p.Feed()
	for _, a := range traffic {
		q := picket.Query{Time: a.at, Client: a.client, Name: dnsname.MustParse(strings.TrimPrefix(a.name, ".")), Type: a.typ, Class: 1,
			Rcode: picket.RcodeUnknown, Flags: picket.FlagFlags, Transport: picket.TransportUDP}
		if err := feed.Query(&q); err != nil {
			t.Fatal(err)
		}
	}
	feed.Flush()
	p.Close()
	slices.SortFunc(kept.closed, func(a, b *picket.Finding) int { return strings.Compare(a.ID, b.ID) })
	return kept.closed
}

func corpZone(t *testing.T) *catalog.Catalog {
	t.Helper()
	z := catalog.NewZoneData(dnsname.MustParse("corp.example"))
	for i := range 40 {
		if err := z.Add(dnsname.MustParse(fmt.Sprintf("host%d.corp.example", i)), 1); err != nil {
			t.Fatal(err)
		}
	}
	b := catalog.NewBuilder()
	if err := b.AddZone(z); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		b.AddRetired(dnsname.MustParse(fmt.Sprintf("old%d.corp.example", i)))
	}
	c := catalog.New(catalog.Config{Seed: 7})
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	return c
}

// keeper keeps closed findings.
type keeper struct{ closed []*picket.Finding }

func (k *keeper) Finding(f *picket.Finding, closed bool) error {
	if closed {
		k.closed = append(k.closed, f)
	}
	return nil
}
