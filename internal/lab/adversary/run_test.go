package adversary_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/adversary"
	"github.com/picket-dns/picket/internal/lab/organisation"
)

const begin = int64(1_767_225_600_000_000_000) // 2026-01-01

// worlds are made once: whoever reads them changes nothing.
var worlds = [3]func() (*lab.World, error){
	sync.OnceValues(func() (*lab.World, error) { return newWorld(lab.Unsigned) }),
	sync.OnceValues(func() (*lab.World, error) { return newWorld(lab.NSEC) }),
	sync.OnceValues(func() (*lab.World, error) { return newWorld(lab.NSEC3) }),
}

// newWorld is an organisation of 300 names.
func newWorld(signing lab.Signing) (*lab.World, error) {
	z, err := organisation.New(organisation.Options{Names: 300, Seed: 3, Signing: signing, Apex: "corp.example", Delegations: -1})
	if err != nil {
		return nil, err
	}
	w := &lab.World{Seed: 3, Params: lab.DefaultParameters(), Zone: z, Begin: begin}
	w.Fleet = lab.NewFleet(&w.Params, lab.Rand(3, "fleet"))
	return w, nil
}

func world(t testing.TB, signing lab.Signing) *lab.World {
	t.Helper()
	w, err := worlds[signing]()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func reverse(t testing.TB, w *lab.World, prefix string) *adversary.Reverse {
	t.Helper()
	v, err := adversary.ReverseZone(netip.MustParsePrefix(prefix), 60, w.Zone, 3)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fits makes the world that a tool needs, and the options with it.
func fits(t testing.TB, tool *adversary.Tool, path *lab.Path) (*lab.World, adversary.Options) {
	t.Helper()
	w := world(t, tool.Needs.Signing)
	o := adversary.Options{Path: path, Begin: begin, Seed: 5}
	switch {
	case tool.Needs.Six:
		o.Reverse = reverse(t, w, "2001:db8:77::/48")
	case tool.Needs.Reverse || tool.Name == "fierce" || tool.Name == "dnsenum":
		o.Reverse = reverse(t, w, "192.0.2.0/24")
	}
	return w, o
}

func start(t testing.TB, w *lab.World, tool adversary.Tool, o adversary.Options) *adversary.Run {
	t.Helper()
	r, err := adversary.New(w, tool, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// find is the tool or evader with a name.
func find(t testing.TB, name string) adversary.Tool {
	t.Helper()
	tool, ok := adversary.Find(name)
	if !ok {
		t.Fatalf("no tool %q", name)
	}
	return tool
}

func all() []adversary.Tool { return slices.Concat(adversary.Tools(), adversary.Evaders()) }

// text is a question as tests write it.
func text(q *picket.Query) string {
	class := ""
	if q.Class == 3 {
		class = "CH "
	}
	return fmt.Sprintf("%s%s %d", class, dnsname.Text(q.Name), q.Type)
}

// TestFirstQuestions holds the beginning of each tool, word for word.
func TestFirstQuestions(t *testing.T) {
	for name, want := range map[string][]string{
		"dnsrecon std": {`[0-9a-z]{20}\.com 1`, `[0-9a-z]{20}\.com 28`, `[0-9a-z]{12}\.corp\.example 1`, `corp\.example 48`, `corp\.example 6`, `ns1\.corp\.example 1`, `ns2\.corp\.example 1`,
			`ns1\.corp\.example 28`, `ns2\.corp\.example 28`, `corp\.example 2`},
		"dnsrecon brt":              {`[0-9a-z]{20}\.com 1`, `[0-9a-z]{20}\.com 28`, `[0-9a-z]{12}\.corp\.example 1`, `\d+\.corp\.example 1`},
		"dnsenum":                   {`corp\.example 1`, `[a-z]{12}\.corp\.example 1`, `corp\.example 2`, `corp\.example 15`, `ns1\.corp\.example 1`},
		"fierce":                    {`corp\.example 2`, `corp\.example 6`, `ns1\.corp\.example 1`, `ns2\.corp\.example 1`, `corp\.example 252`, `\d{11}\.corp\.example 1`, `\d+\.corp\.example 1`},
		"dnsmap":                    {`\d{10,19}\.corp\.example 1`, `(\S+) 28`, `(\S+) 28`, `(\S+) 1`},
		"nmap dns-brute":            {`[a-z]{24}\.corp\.example 1`, `[a-z]{24}\.corp\.example 28`, `\S+ 1`, `\S+ (1|28)`},
		"gobuster":                  {`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.corp\.example 1`, `\S+ 28`},
		"subfinder/dnsx/shuffledns": {`[0-9a-v]{20}\.corp\.example 1`, `[0-9a-v]{20}\.corp\.example 1`},
		"puredns":                   {`[0-9a-z]{16}\.corp\.example 1`, `[0-9a-z]{16}\.corp\.example 1`, `[0-9a-z]{16}\.corp\.example 1`},
		"massdns":                   {`[a-z]{10}\.corp\.example 1`},
		"dnscan":                    {`corp\.example 2`, `ns1\.corp\.example 1`, `ns2\.corp\.example 1`, `corp\.example 252`, `corp\.example 252`, `corp\.example 28`, `corp\.example 16`, `_dmarc\.corp\.example 16`, `corp\.example 48`, `corp\.example 15`, `a1767\d{6}\.corp\.example 1`},
		"amass brute":               {`[0-9a-z-]{6,24}\.corp\.example 5`, `[0-9a-z-]{6,24}\.corp\.example 1`, `[0-9a-z-]{6,24}\.corp\.example 28`},
		"ldns-walk":                 {`corp\.example 6`, `\\000\.corp\.example 43`},
		"n3map NSEC":                {`corp\.example 6`, `\\000\.corp\.example 1`},
		"nmap dns-nsec-enum":        {`0\.corp\.example 1`},
		"dnsrecon walk":             {`corp\.example 6`},
		"n3map NSEC3":               {`corp\.example 6`, `0\.corp\.example 1`},
		"nmap dns-nsec3-enum":       {`[etaoinshrdlucmfw]{8}\.corp\.example 50`},
		"NSEC by type":              {`corp\.example 47`},
		"dnsrecon axfr":             {`[0-9a-z]{20}\.com 1`},
		"dig axfr":                  {`corp\.example 2`, `corp\.example 6`, `corp\.example 252`, `corp\.example 252`, `corp\.example 251`},
		"dnswalk":                   {`corp\.example 6`, `corp\.example 2`, `ns1\.corp\.example 1`, `ns2\.corp\.example 1`, `corp\.example 252`, `corp\.example 252`},
		"dig chaos":                 {`CH version\.bind 16`, `CH version\.bind 16`, `CH hostname\.bind 16`},
		"dig types":                 {`corp\.example 6`, `corp\.example 2`, `corp\.example 15`, `corp\.example 16`, `corp\.example 257`, `corp\.example 48`, `corp\.example 43`, `corp\.example 13`, `corp\.example 35`},
		"dig any":                   {`corp\.example 255`, `corp\.example 255`, `\S+ 255`},
		"fierce --range":            {`0\.2\.0\.192\.in-addr\.arpa 12`, `[123]\.2\.0\.192\.in-addr\.arpa 12`},
		"nmap ip6-arpa":             {`0\.7\.7\.0\.0\.8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa 12`},
		"theHarvester":              {`\S+\.corp\.example (1|5|28)`},
		"old names among leaks":     {`[a-z]+\.[a-z0-9]+\.[a-z]+\.corp\.example 1`, `[a-z]+\.[a-z0-9]+\.[a-z]+\.corp\.example 1`},
		"walk by ordinary children": {`[a-z]{4,9}\.corp\.example 1`},
		"service survey":            {`_gc\._tcp\S+ 33`, `_\S+ 33`, `_\S+ 33`},
		"slow services":             {`_\S+ 33`},
		"slow survey":               {`corp\.example 6`, `corp\.example 2`, `corp\.example 15`},
	} {
		tool := find(t, name)
		w, o := fits(t, &tool, lab.Direct("one", 1))
		got := lab.Collect(start(t, w, tool, o))
		for i, pattern := range want {
			if i >= len(got) || !regexp.MustCompile("^"+pattern+"$").MatchString(text(&got[i])) {
				var have []string
				for k := range min(len(got), len(want)) {
					have = append(have, text(&got[k]))
				}
				t.Errorf("%s, question %d: want %s; %q", name, i, pattern, have)
				break
			}
		}
	}
}

// TestEveryRun holds what is true of all: the order of time, the same stream for the
// same seed, another for another, and a truth that agrees with the stream.
func TestEveryRun(t *testing.T) {
	for _, tool := range all() {
		t.Run(tool.Name, func(t *testing.T) {
			for _, through := range []int{0, 8} {
				if through > 0 && tool.Needs.Direct {
					continue
				}
				stream := func(seed uint64) ([]picket.Query, *adversary.Run) {
					path := lab.Direct("two", 2)
					w, o := fits(t, &tool, path)
					if through > 0 {
						o.Path = lab.Through("resolvers", w.Fleet, through, lab.Rand(1, "path"))
					}
					o.Seed = seed
					o.Most = 700
					r := start(t, w, tool, o)
					return lab.Collect(r), r
				}
				a, run := stream(1)
				b, _ := stream(1)
				c, _ := stream(2)
				if !slices.EqualFunc(a, b, func(x, y picket.Query) bool {
					return x.Time == y.Time && x.Client == y.Client && x.Type == y.Type && x.Flags == y.Flags && bytes.Equal(x.Name, y.Name) && x.Rcode == y.Rcode
				}) {
					t.Fatal("the same seed gives another stream")
				}
				same := len(a) == len(c)
				for i := range min(len(a), len(c)) {
					same = same && a[i].Time == c[i].Time
				}
				if same || len(a) < 4 {
					t.Errorf("%d questions through %d resolvers, with another seed at the same times: %t", len(a), through, same)
				}
				sources := map[netip.Addr]bool{}
				for i := range a {
					if i > 0 && a[i].Time < a[i-1].Time {
						t.Fatalf("question %d comes before question %d", i, i-1)
					}
					sources[a[i].Client] = true
				}
				if a[0].Time < begin {
					t.Errorf("begins before its time")
				}
				if questions, cover, _ := run.Cost(); questions == 0 || through == 0 && cover+questions > len(a)+len(a)/5 {
					t.Errorf("%d questions and %d as cover, %d reached the servers", questions, cover, len(a))
				}
				end := a[len(a)-1].Time + 3600*lab.Second
				if run.Asked(begin-1) != 0 || run.Asked(end) != run.Names() || run.Disclosed(begin) != 0 {
					t.Errorf("asked %d of %d at the end", run.Asked(end), run.Names())
				}
				if run.Disclosed(end) > 400 {
					t.Errorf("disclosed %d names of 300", run.Disclosed(end))
				}
			}
		})
	}
}
