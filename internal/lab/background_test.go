package lab_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/pipeline"
)

// background is a week of a zone that nobody studies: resolvers of very unequal
// size ask for what exists, and now and then for what their users mistype, what
// search lists add, what old configurations still hold and what software asks
// everywhere. The shares are chosen: around those that are published (3 to 4 %
// NXDOMAIN, old names replayed), swept by seed where nothing is.
type background struct {
	r         *rand.Rand
	live      []string
	retired   []string
	stale     []string // names that never existed and are asked all the time
	resolvers int
	nx        float64
}

const backgroundZone = "corp.example"

func newBackground(seed uint64) *background {
	r := rand.New(rand.NewPCG(seed, 77))
	g := &background{r: r, resolvers: 500 + r.IntN(3500), nx: 0.02 + 0.04*r.Float64()}
	stems := strings.Fields("www mail api shop static img login portal cdn app web news blog docs id edge vpn support status pay order search media data auth")
	places := strings.Fields("berlin london paris rome oslo madrid vienna prague lisbon dublin")
	for i := range 60 + r.IntN(140) {
		name := stems[i%len(stems)]
		if i >= len(stems) {
			name += "-" + places[i/len(stems)%len(places)]
		}
		if i >= len(stems)*len(places) {
			name += fmt.Sprint(i)
		}
		g.live = append(g.live, name)
	}
	for i := range 80 {
		g.retired = append(g.retired, fmt.Sprintf("%s-old%d", stems[i%len(stems)], i))
	}
	g.stale = strings.Fields("wpad isatap autodiscover autoconfig lyncdiscover sip proxy print intranet fileserver ntp time ldap dc update license backup")
	return g
}

// pick draws a word, the first ones far more often.
func (g *background) pick(words []string) string {
	return words[min(int(math.Pow(float64(len(words)+1), g.r.Float64()))-1, len(words)-1)]
}

// question draws what is asked next: a name relative to the zone, and a type.
func (g *background) question() (string, uint16) {
	x := g.r.Float64()
	switch {
	case x < g.nx:
		return g.missing(), [...]uint16{1, 28}[g.r.IntN(2)]
	case x < g.nx+0.01:
		return g.pick(g.retired[:20]), 1
	case x < g.nx+0.03:
		return g.pick([]string{"_dmarc", "_acme-challenge.www", "sel1._domainkey", "_mta-sts"}), 16
	case x < g.nx+0.05:
		return "", [...]uint16{6, 2, 15, 16, 48, 1}[g.r.IntN(6)]
	case x < g.nx+0.06:
		return [...]string{"_sip._tcp", "_ldap._tcp", "_kerberos._udp", "_autodiscover._tcp"}[g.r.IntN(4)], 33
	}
	return g.pick(g.live), [...]uint16{1, 1, 28, 65}[g.r.IntN(4)]
}

func (g *background) missing() string {
	switch x := g.r.Float64(); {
	case x < 0.4:
		return g.typo(g.pick(g.live))
	case x < 0.7:
		hosts := [...]string{"www.google.com", "ctldl.windowsupdate.com", "time.apple.com", "printer.local", "fritz.box", "api.github.com", "ocsp.digicert.com", "imap.gmail.com"}
		return hosts[g.r.IntN(len(hosts))]
	case x < 0.8:
		label := make([]byte, 7+g.r.IntN(9))
		for i := range label {
			label[i] = byte('a' + g.r.IntN(26))
		}
		return string(label)
	}
	return g.pick(g.stale)
}

// typo is one slip: a letter left out, doubled, changed, or two swapped.
func (g *background) typo(s string) string {
	b := []byte(s)
	i := g.r.IntN(len(b))
	switch g.r.IntN(4) {
	case 0:
		if len(b) > 2 {
			b = append(b[:i], b[i+1:]...)
		}
	case 1:
		b = append(b[:i+1], b[i:]...)
	case 2:
		b[i] = byte('a' + g.r.IntN(26))
	default:
		if i > 0 {
			b[i], b[i-1] = b[i-1], b[i]
		}
	}
	return strings.Trim(string(b), "-") + strings.Repeat("x", 1-min(1, len(strings.Trim(string(b), "-"))))
}

func (g *background) catalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	z := catalog.NewZoneData(dnsname.MustParse(backgroundZone))
	b := catalog.NewBuilder()
	for _, n := range g.live {
		if err := z.Add(dnsname.MustParse(n+"."+backgroundZone), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range g.retired {
		b.AddRetired(dnsname.MustParse(n + "." + backgroundZone))
	}
	if err := b.AddZone(z); err != nil {
		t.Fatal(err)
	}
	c := catalog.New(catalog.Config{Seed: 1})
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBackgroundStaysSilent measures false alarms on a week of such traffic, for
// several zones. A simulated false alarm is not one of the field.
func TestBackgroundStaysSilent(t *testing.T) {
	const zones, perZone, days = 6, 300_000, 7
	total := 0
	for seed := range uint64(zones) {
		g := newBackground(seed)
		cat := g.catalog(t)
		cfg := detect.Config{Sources: 1 << 14, Suspects: 1 << 12, Seed: cat.Hasher().Seed, Order: cat}
		kept := &keeper{}
		p := pipeline.New(pipeline.Config[detect.Summary]{Shards: []pipeline.Engine[detect.Summary]{detect.New(cfg), detect.New(cfg)},
			Zones: detect.NewZoneEngine(cfg), Namer: cat, Sink: kept, Order: func(s *detect.Summary) (int64, uint32) { return s.Second, s.Zone.ID }})
		feed := p.Feed()
		start := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).UnixNano()
		for i := range int64(perZone) {
			name, typ := g.question()
			if name != "" {
				name += "."
			}
			who := int(math.Pow(float64(g.resolvers), g.r.Float64()))
			q := picket.Query{Time: start + i*int64(days*24*time.Hour)/perZone, Client: netip.AddrFrom4([4]byte{10, byte(who >> 8), byte(who), 53}),
				Name: dnsname.MustParse(name + backgroundZone), Type: typ, Class: 1, Rcode: picket.RcodeUnknown, Flags: picket.FlagFlags, Transport: picket.TransportUDP}
			if err := feed.Query(&q); err != nil {
				t.Fatal(err)
			}
		}
		feed.Flush()
		p.Close()
		for _, f := range kept.closed {
			if f.Severity > picket.SeverityInformational {
				total++
				t.Errorf("zone %d (%d names, %d resolvers, %.1f %% missing): %s %s at query %d: %s %v", seed, len(g.live), g.resolvers, 100*g.nx,
					f.Detector, f.Source.Prefix, f.DetectedAtQuery, f.Summary, f.Evidence.Names[:min(6, len(f.Evidence.Names))])
			}
		}
	}
	t.Logf("%d false alarms in %.1f million queries and %d zone-days", total, zones*perZone/1e6, zones*days)
}
