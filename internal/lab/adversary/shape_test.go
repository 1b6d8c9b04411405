package adversary_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"flag"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
	"github.com/picket-dns/picket/internal/pickettest"
)

// captured is the shape of a real capture, over the questions that its actor asked.
func captured(t *testing.T, id string) adversary.Shape {
	t.Helper()
	f, err := os.Open(pickettest.Shared(t, "recon", "captures", id+".pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	track := &lab.Track{Name: id}
	if err := query.Pcap(context.Background(), r, decode.Options{}, input.NewCounter(), track); err != nil {
		t.Fatal(err)
	}
	s, err := track.Recast(lab.RecastOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return adversary.ShapeOf(s)
}

// captureWorld is the zone that a capture was made in, as far as its tools see it.
func captureWorld(t *testing.T, apex string, signing lab.Signing) *lab.World {
	t.Helper()
	z := &lab.Zone{Apex: dnsname.MustParse(apex), Signing: signing, TTL: 300, NegativeTTL: 300, Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1"), netip.MustParseAddr("10.53.0.2")},
		OpenTransfer: apex == "corp-a.example"}
	z.AddRecords(pickettest.ZoneFileRecords(t, apex))
	for i := range z.Owners {
		o := &z.Owners[i]
		switch name := dnsname.Text(o.Name); {
		case strings.HasPrefix(name, "ns1.") || strings.HasPrefix(name, "ns2."):
			o.Purpose = lab.PurposeServer
		case strings.HasPrefix(name, "mx1.") || strings.HasPrefix(name, "mx2."):
			o.Purpose, o.Popularity = lab.PurposeMail, 3
		case slices.Contains([]string{"www", "mail", "vpn", "api", "webmail", "portal"}, string(dnsname.First(o.Name))):
			o.Popularity = 2
		}
	}
	if err := z.Seal(); err != nil {
		t.Fatal(err)
	}
	past, err := os.Open(pickettest.Shared(t, "recon", "zones", apex+".retired.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	for lines := bufio.NewScanner(past); lines.Scan(); {
		if name, err := dnsname.Parse(strings.Fields(lines.Text() + " .")[0]); err == nil && dnsname.IsSubdomain(name, z.Apex) {
			z.Retired = append(z.Retired, lab.Owner{Name: name})
		}
	}
	w := &lab.World{Seed: 1, Params: lab.DefaultParameters(), Zone: z, Begin: begin}
	w.Fleet = &lab.Fleet{}
	return w
}

// labTrip is the round trip of the captures' network.
const labTrip = 300_000 // nanoseconds

// compared is one capture with the tool that has to look like it.
type compared struct {
	capture, tool, zone string
	resolver            *lab.Resolver
	change              func(*adversary.Tool)
	// Bounds of the differences; 0 means the usual ones.
	nx, order, names, mix, gap, count float64
	why                               string // of bounds that are wider
}

func comparisons() []compared {
	unbound := &lab.Resolver{Addr: netip.MustParseAddr("10.53.2.1"), EDNSSize: 1232}
	minimising := &lab.Resolver{Addr: netip.MustParseAddr("10.53.2.1"), EDNSSize: 1232, Minimise: true, Relaxed: true, Whole: true}
	const near = "the captured resolver is next door, the lab's are an Internet away"
	const few = "a handful of host names"
	return []compared{
		{capture: "vis-dnsrecon-std", tool: "dnsrecon std", order: 0.2, why: few},
		{capture: "vis-dnsrecon-std-res", tool: "dnsrecon std", zone: "muni-d.example", resolver: minimising, nx: 0.12, order: 0.3, names: 0.25, mix: 0.2, gap: 2, count: 0.2,
			why: "the captured Unbound asks for most whole names twice by A before it asks for their type, the lab's once"},
		{capture: "vis-dnsrecon-brt", tool: "dnsrecon brt"},
		{capture: "vis-dnsrecon-brt5000", tool: "dnsrecon brt", zone: "muni-d.example", change: func(x *adversary.Tool) { x.Words, x.Sorted = 4985, false }},
		{capture: "vis-dnsrecon-axfr", tool: "dnsrecon axfr", order: 0.2, why: "what the records of the zone name is drawn, not read from the capture"},
		{capture: "vis-dnsrecon-axfr-refused", tool: "dnsrecon axfr", zone: "muni-d.example", order: 0.2, why: few},
		{capture: "vis-dnsenum-direct", tool: "dnsenum"},
		{capture: "vis-dnsenum-res", tool: "dnsenum", zone: "muni-d.example", resolver: unbound, gap: 2, why: near,
			change: func(x *adversary.Tool) { x.Stages = x.Stages[:4] }},
		{capture: "vis-fierce-brute", tool: "fierce", zone: "muni-d.example"},
		{capture: "vis-fierce-res", tool: "fierce", zone: "muni-d.example", resolver: unbound, gap: 2, why: near},
		{capture: "vis-fierce-range", tool: "fierce --range", zone: "muni-d.example", order: 1, why: "the capture has five host names besides the range"},
		{capture: "vis-nmap-dnsbrute-direct", tool: "nmap dns-brute", gap: 0.8, why: "six questions leave in one system call; the lab's follow each other"},
		{capture: "vis-nmap-dnsbrute-pdns", tool: "nmap dns-brute", zone: "muni-d.example", gap: 0.8, why: "as before"},
		{capture: "vis-nmap-dnsbrute-res", tool: "nmap dns-brute", zone: "muni-d.example", resolver: unbound, gap: 2, order: 0.12, why: near,
			change: func(x *adversary.Tool) { x.Stages = x.Stages[:2] }},
		{capture: "vis-dig-any", tool: "dig any", order: 0.2, why: few},
		{capture: "vis-dig-chaos", tool: "dig chaos"},
		{capture: "vis-dig-axfr-open", tool: "dig axfr"},
		{capture: "vis-dig-axfr-refused", tool: "dig axfr", zone: "muni-d.example", change: func(x *adversary.Tool) { x.Stages = x.Stages[1:] },
			names: 0.3, mix: 0.2, gap: 2, count: 0.2, why: "the captured script asks each server for the zone, its changes and its reverse zone in turn; the lab's script is the other capture's"},
		{capture: "vis-pdns-medium-direct", tool: "passive DNS, verified"},
	}
}

// simulate runs the tool of a comparison in the capture's zone.
func simulate(t *testing.T, c *compared) adversary.Shape {
	t.Helper()
	prefix, hosts := "203.0.113.0/24", 145
	if c.zone == "" {
		c.zone = "corp-a.example"
	} else {
		prefix, hosts = "198.18.64.0/24", 131
	}
	w := captureWorld(t, c.zone, lab.Unsigned)
	v, err := adversary.ReverseZone(netip.MustParsePrefix(prefix), hosts, w.Zone, 1)
	if err != nil {
		t.Fatal(err)
	}
	tool := find(t, c.tool)
	if c.change != nil {
		c.change(&tool)
	}
	path := lab.Direct("actor", 1)
	path.Trip = labTrip
	if c.resolver != nil {
		path = &lab.Path{Name: "resolver", Resolvers: []*lab.Resolver{c.resolver}}
	}
	return adversary.ShapeOf(start(t, w, tool, adversary.Options{Path: path, Begin: begin, Reverse: v, Seed: 1}))
}

// TestToolsLookLikeTheirCaptures compares what is simulated with what was captured
// of the same tools: kinds of questions, order, share of misses, repeats and pace.
// What differs by more than a little says why.
func TestToolsLookLikeTheirCaptures(t *testing.T) {
	var rows []adversary.Row
	for _, c := range comparisons() {
		real, made := captured(t, c.capture), simulate(t, &c)
		rows = append(rows, adversary.Row{Name: strings.TrimPrefix(c.capture, "vis-") + ", real", Shape: real}, adversary.Row{Name: c.tool + ", simulated", Shape: made})
		if wide := c.nx+c.order+c.names+c.mix+c.gap+c.count > 0; wide != (c.why != "") {
			t.Errorf("%s: a wider bound wants a reason", c.capture)
		}
		within := func(what string, real, made, bound, usual float64) {
			if bound == 0 {
				bound = usual
			}
			if math.Abs(real-made) > bound {
				t.Errorf("%s: %s is %.3f, simulated %.3f: more than %.3f apart", c.capture, what, real, made, bound)
			}
		}
		within("NX share", real.NX, made.NX, c.nx, 0.05)
		within("share in order", real.Ordered, made.Ordered, c.order, 0.08)
		within("names per query", float64(real.Names)/float64(real.Queries), float64(made.Names)/float64(made.Queries), c.names, 0.05)
		for _, qtype := range []uint16{lab.TypeA, lab.TypeAAAA, lab.TypePTR, lab.TypeSRV, lab.TypeANY, lab.TypeAXFR, lab.TypeTXT, lab.TypeSOA} {
			within("share of type "+string(rune('0'+qtype/100))+string(rune('0'+qtype/10%10))+string(rune('0'+qtype%10)), real.Share(qtype), made.Share(qtype), c.mix, 0.05)
		}
		within("logarithm of the gap", math.Log10(float64(real.Gap)), math.Log10(float64(made.Gap)), c.gap, 0.4)
		within("share of RD", real.RD, made.RD, 0, 0.01)
		within("logarithm of the number of queries", math.Log10(float64(real.Queries)), math.Log10(float64(made.Queries)), c.count, 0.1)
	}
	var table strings.Builder
	if err := adversary.PrintShapes(&table, rows); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	checkDoc(t, "shapes", table.String())
}

var update = flag.Bool("update", false, "write the tables of docs/lab-tools.md")

// checkDoc holds that a table of the documentation is what was measured.
func checkDoc(t *testing.T, mark, table string) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "docs", "lab-tools.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- "+mark+" -->\n")
	held, after, closed := strings.Cut(rest, "<!-- end of "+mark+" -->\n")
	switch {
	case !ok || !closed:
		t.Fatalf("%s has no place for %s", path, mark)
	case *update:
		if err := os.WriteFile(path, []byte(before+"<!-- "+mark+" -->\n"+table+"<!-- end of "+mark+" -->\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case held != table:
		t.Errorf("%s is not what is measured; run go test ./internal/lab/adversary -run 'Captures|Costs' -update", path)
	}
}
