package lab_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab/judge"
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
// several zones. A simulated false alarm is not one of the field. PICKET_BACKGROUND
// may hold "ZONES QUERIES DURATION", the latter two for each zone.
func TestBackgroundStaysSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("two million queries")
	}
	zones, perZone, span := 6, int64(300_000), 7*24*time.Hour
	if env := os.Getenv("PICKET_BACKGROUND"); env != "" {
		var text string
		_, err := fmt.Sscan(env, &zones, &perZone, &text)
		if err == nil {
			span, err = time.ParseDuration(text)
		}
		if err != nil {
			t.Fatalf("PICKET_BACKGROUND=%q: %v", env, err)
		}
	}
	total := 0
	for seed := range uint64(zones) {
		g := newBackground(seed)
		run := g.start(t)
		for i := range perZone {
			run.ask(i*int64(span/time.Duration(perZone)), g.resolver())
		}
		for _, f := range run.finish() {
			if f.Severity > picket.SeverityInformational {
				total++
				t.Errorf("zone %d (%d names, %d resolvers, %.1f %% missing): %s %s at query %d: %s", seed, len(g.live), g.resolvers, 100*g.nx,
					f.Detector, f.Source.Prefix, f.DetectedAtQuery, f.Summary)
			}
		}
	}
	t.Logf("%d false alarms in %.1f million queries and %.1f zone-days", total, float64(zones)*float64(perZone)/1e6, float64(zones)*span.Hours()/24)
}

// backgroundRun is a pipeline that a background is fed into.
type backgroundRun struct {
	t    *testing.T
	g    *background
	p    *pipeline.Pipeline[detect.Summary]
	feed *pipeline.Feed[detect.Summary]
	kept *keeper
}

func (g *background) start(t *testing.T) *backgroundRun {
	t.Helper()
	cat := g.catalog(t)
	cfg := detect.Config{Sources: 1 << 14, Suspects: 1 << 12, Seed: cat.Hasher().Seed, Order: cat}
	kept := &keeper{}
	p := pipeline.New(pipeline.Config[detect.Summary]{Shards: []pipeline.Engine[detect.Summary]{detect.New(cfg), detect.New(cfg)},
		Zones: detect.NewZoneEngine(cfg), Namer: cat, Sink: kept, Order: func(s *detect.Summary) (int64, uint32) { return s.Second, s.Zone.ID }})
	return &backgroundRun{t, g, p, p.Feed(), kept}
}

// resolver draws who asks; the first ones ask most.
func (g *background) resolver() int { return int(math.Pow(float64(g.resolvers), g.r.Float64())) }

// ask feeds the background's next question, so many nanoseconds after the start.
func (r *backgroundRun) ask(at int64, resolver int) {
	name, typ := r.g.question()
	r.put(at, resolver, name, typ)
}

func (r *backgroundRun) put(at int64, resolver int, name string, typ uint16) {
	if name != "" {
		name += "."
	}
	q := picket.Query{Time: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).UnixNano() + at,
		Client: netip.AddrFrom4([4]byte{10, byte(resolver >> 8), byte(resolver), 53}), Name: dnsname.MustParse(name + backgroundZone),
		Type: typ, Class: 1, Rcode: picket.RcodeUnknown, Flags: picket.FlagFlags, Transport: picket.TransportUDP}
	if err := r.feed.Query(&q); err != nil {
		r.t.Fatal(err)
	}
}

func (r *backgroundRun) finish() []*picket.Finding {
	r.feed.Flush()
	if err := r.p.Close(); err != nil {
		r.t.Fatal(err)
	}
	return r.kept.closed
}

// TestSlowGuessing measures where guessing goes under: 240 names of a shuffled list,
// one each interval, spread over the busiest resolvers of a background of one
// query a second. Only what must be found is required.
func TestSlowGuessing(t *testing.T) {
	if testing.Short() {
		t.Skip("36 runs of up to two days")
	}
	const guesses, seeds = 240, 3
	for _, resolvers := range []int{1, 8, 64} {
		for _, interval := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute} {
			found, at := 0, []int64{}
			for seed := range uint64(seeds) {
				g := newBackground(100 + seed)
				list := guessList(g.r)
				run := g.start(t)
				next := time.Hour // the background comes first
				for now := time.Duration(0); len(list) > 0; now += time.Second {
					run.ask(int64(now), g.resolver())
					for ; now >= next && len(list) > 0; next += interval {
						run.put(int64(now)+1, 1+len(list)%resolvers, list[0], 1)
						list = list[1:]
					}
				}
				var first []int64
				for _, f := range run.finish() {
					if f.Detector == "brute-force" || f.Detector == "ordered-names" {
						first = append(first, f.DetectedAtQuery)
					}
				}
				if len(first) > 0 {
					found++
					at = append(at, slices.Min(first))
				}
			}
			t.Logf("%2d resolvers, one guess in %4v: found %d of %d, queries to the first finding: p50 %d", resolvers, interval, found, seeds, judge.Quantile(at, 0.5))
			if resolvers == 1 && interval <= 10*time.Second && found != seeds {
				t.Errorf("guesses through one resolver, one in %v, were not found", interval)
			}
		}
	}
}

// guessList is a shuffled list of guesses: common host names, half of them with a
// number, as lists hold.
func guessList(r *rand.Rand) []string {
	words := strings.Fields(`admin vpn test dev stage beta jenkins grafana citrix ldap proxy cloud files wiki chat crm erp demo sso secure
 media forum store git jira docs monitor owa remote backup gitlab intranet relay gateway db mysql oracle redis kibana elastic nagios zabbix splunk
 radius mobile partner hr finance legal reports survey training lab research legacy old new sandbox uat qa preprod build ci repo registry harbor vault
 consul kube docker rancher ansible puppet chef backoffice office exchange smtp imap pop webmail mx ns dns ntp ftp sftp ssh rdp vnc vdi terminal print
 scanner camera voip sip pbx phone fax wifi guest hotspot radio tv stream video games`)
	var out []string
	for _, w := range words {
		out = append(out, w, w+fmt.Sprint(1+r.IntN(9)))
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:240]
}
