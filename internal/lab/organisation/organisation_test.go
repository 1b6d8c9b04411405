package organisation_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/organisation"
	"github.com/picket-dns/picket/internal/pickettest"
)

func newZone(t testing.TB, o organisation.Options) *lab.Zone {
	t.Helper()
	z, err := organisation.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// labels are those of a name below the apex.
func labels(z *lab.Zone, name []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(dnsname.Text(name), dnsname.Text(z.Apex)), ".")
}

func TestNewIsDeterministic(t *testing.T) {
	a, b := newZone(t, organisation.Options{Names: 500, Seed: 4}), newZone(t, organisation.Options{Names: 500, Seed: 4})
	if !reflect.DeepEqual(a.Owners, b.Owners) || !reflect.DeepEqual(a.Retired, b.Retired) || !bytes.Equal(a.Apex, b.Apex) {
		t.Error("the same seed gave another organisation")
	}
	if c := newZone(t, organisation.Options{Names: 500, Seed: 5}); bytes.Equal(a.Apex, c.Apex) || reflect.DeepEqual(a.Owners, c.Owners) {
		t.Error("another seed gave the same organisation")
	}
}

// TestNewProperties holds what every organisation has, whatever its size and seed.
func TestNewProperties(t *testing.T) {
	for i, names := range []int{100, 300, 3000, 20_000} {
		for seed := range uint64(6) {
			if names > 10_000 && seed > 1 {
				break
			}
			o := organisation.Options{Names: names, Seed: seed, Signing: lab.Signing(i % 3), Wildcard: organisation.Wildcard(seed % 3)}
			t.Run(fmt.Sprintf("%d names, seed %d", names, seed), func(t *testing.T) { checkZone(t, o, newZone(t, o)) })
		}
	}
}

func checkZone(t *testing.T, o organisation.Options, z *lab.Zone) {
	if len(z.Owners) != o.Names || len(z.Retired) != o.Names/4 {
		t.Fatalf("%d names and %d retired ones, want %d and %d", len(z.Owners), len(z.Retired), o.Names, o.Names/4)
	}
	var depth [5]int
	var cuts, between, unasked, public, stars int
	for i := range z.Owners {
		w := &z.Owners[i]
		d := dnsname.Labels(w.Name) - dnsname.Labels(z.Apex)
		if d >= len(depth) {
			t.Fatalf("%s is %d labels deep", labels(z, w.Name), d)
		}
		depth[d]++
		if d > 1 && z.Find(dnsname.Parent(w.Name)) < 0 {
			between++
		}
		if w.Types.Has(lab.TypeCNAME) && w.Types != lab.TypeSet(lab.TypeCNAME) {
			t.Errorf("%s is an alias and more: %x", labels(z, w.Name), w.Types)
		}
		if w.Types.Has(lab.TypeNS) && d > 0 {
			cuts++
		}
		if w.Popularity == 0 {
			unasked++
		}
		if w.Public {
			public++
			if w.Name[1] == '_' {
				t.Errorf("%s has a certificate", labels(z, w.Name))
			}
		}
		if w.Name[1] == '*' {
			stars++
		}
		if w.TTL < 60 || w.TTL > 86400 {
			t.Errorf("%s has a TTL of %d s", labels(z, w.Name), w.TTL)
		}
	}
	if depth[0] != 1 || depth[1] == 0 || depth[2] == 0 || depth[3] == 0 {
		t.Errorf("names by depth: %v", depth)
	}
	if want := min(max(o.Names/500, 2), 50); cuts != want {
		t.Errorf("%d delegations, want %d", cuts, want)
	}
	if between < o.Names/20 {
		t.Errorf("%d names below empty non-terminals", between)
	}
	n := float64(o.Names)
	if s := float64(unasked) / n; s < 0.1 || s < 0.35 && o.Names >= 300 || s > 0.75 {
		t.Errorf("%.2f of the names are never asked", s)
	}
	if s := float64(public) / n; s < 0.15 || s > 0.6 {
		t.Errorf("%.2f of the names are in certificates", s)
	}
	if want := min(int(o.Wildcard), 1); stars != want {
		t.Errorf("%d wildcards, want %d", stars, want)
	}
	checkPopularity(t, z)
	checkRetired(t, z)
}

// checkPopularity: web and mail lead, and few names have most of the interest.
func checkPopularity(t *testing.T, z *lab.Zone) {
	t.Helper()
	byRank := slices.Clone(z.Owners)
	slices.SortFunc(byRank, func(a, b lab.Owner) int { return int(1e9 * (b.Popularity - a.Popularity)) })
	if byRank[0].Popularity != 1 || byRank[1].Popularity != 0.5 {
		t.Errorf("the first two have %g and %g, want 1 and 0.5", byRank[0].Popularity, byRank[1].Popularity)
	}
	if at := slices.IndexFunc(byRank, func(o lab.Owner) bool { return labels(z, o.Name) == "www" }); at > 9 {
		t.Errorf("www is number %d", at+1)
	}
	for _, o := range byRank[:5] {
		if o.Purpose == lab.PurposeInternal {
			t.Errorf("%s is among the most popular", labels(z, o.Name))
		}
	}
	var top, all float64
	for i, o := range byRank {
		if all += o.Popularity; i < len(byRank)/20 {
			top += o.Popularity
		}
	}
	if top/all < 0.35 {
		t.Errorf("a twentieth of the names has %.2f of the interest", top/all)
	}
}

// checkRetired: names that are gone are gone, and look like those that live.
func checkRetired(t *testing.T, z *lab.Zone) {
	t.Helper()
	old, shared := 0, 0
	living := map[string]bool{}
	for i := range z.Owners {
		living[string(dnsname.Parent(z.Owners[i].Name))] = true
	}
	for i := range z.Retired {
		o := &z.Retired[i]
		q := picket.Query{Name: o.Name, Type: lab.TypeA, Class: 1}
		z.Respond(&q)
		if z.Find(o.Name) >= 0 || q.Has(picket.FlagReferral) || o.Until < 3 || o.Until > 2500 || o.Popularity > 0.2 {
			t.Errorf("retired %s: %+v", labels(z, o.Name), o)
		}
		if o.Until > 90 {
			old++
		}
		if living[string(dnsname.Parent(o.Name))] {
			shared++
		}
	}
	n := float64(len(z.Retired))
	// Of times from 3 to 2500 days, evenly on a logarithmic scale.
	if s := float64(old) / n; math.Abs(s-0.494) > 2/math.Sqrt(n) {
		t.Errorf("%.2f went more than 90 days ago, want 0.494", s)
	}
	if s := float64(shared) / n; s < 0.5 {
		t.Errorf("%.2f have living siblings", s)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, o := range map[string]organisation.Options{
		"99 names":               {Names: 99},
		"1000001 names":          {Names: 1_000_001},
		"apex \"a..b\"":          {Apex: "a..b"},
		"industry \"fishing\"":   {Industry: "fishing"},
		"40 delegations in 100 ": {Names: 100, Delegations: 40},
	} {
		if _, err := organisation.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	z := newZone(t, organisation.Options{Names: 100, Delegations: -1, Retired: -1, Apex: "Corp.Example", Industry: "bank"})
	if len(z.Retired) != 0 || dnsname.Text(z.Apex) != "corp.example" {
		t.Errorf("%d retired names in %s", len(z.Retired), dnsname.Text(z.Apex))
	}
	for i := range z.Owners {
		if z.Owners[i].Types.Has(lab.TypeNS) && i > 0 {
			t.Errorf("%s is delegated", labels(z, z.Owners[i].Name))
		}
	}
}

func TestViews(t *testing.T) {
	z := newZone(t, organisation.Options{Names: 2000, Seed: 2, Wildcard: organisation.WildcardBelow})
	a := organisation.PassiveDNS(z, lab.Rand(1, "pdns"), 0.4, 0.5)
	if b := organisation.PassiveDNS(z, lab.Rand(1, "pdns"), 0.4, 0.5); !reflect.DeepEqual(a, b) {
		t.Error("the same random numbers gave another list")
	}
	var live, gone, popular int
	var mean float64
	for i := range z.Owners {
		mean += z.Owners[i].Popularity / float64(len(z.Owners))
	}
	above := 0
	for i := range z.Owners {
		if z.Owners[i].Popularity > mean {
			above++
		}
	}
	for i, name := range a {
		if i > 0 && dnsname.Compare(a[i-1], name) >= 0 {
			t.Fatalf("%s after %s", labels(z, name), labels(z, a[i-1]))
		}
		switch j := z.Find(name); {
		case j < 0:
			gone++
		case z.Owners[j].Popularity > mean:
			popular++
			fallthrough
		default:
			if live++; name[1] == '*' {
				t.Error("a database shows a wildcard")
			}
		}
	}
	if live != 800 || gone != 250 {
		t.Errorf("%d living and %d retired names, want 800 and 250", live, gone)
	}
	if s := float64(popular) / float64(above); s < 0.7 {
		t.Errorf("%.2f of the popular names are in a list of 0.4 of all", s)
	}

	certs := organisation.Certificates(z, lab.Rand(1, "certificates"))
	want := 0
	for _, list := range [][]lab.Owner{z.Owners, z.Retired} {
		for _, o := range list {
			if o.Public && o.Name[1] != '*' {
				want++
			}
		}
	}
	if len(certs) != want || slices.IsSortedFunc(certs, dnsname.Compare) {
		t.Errorf("%d names in certificates, want %d in no order of names", len(certs), want)
	}

	words := []string{"www", "WWW", "", "ns1", "no-such-name", "anything." + "apps"}
	if n := organisation.Guessable(z, words); n != 2 {
		t.Errorf("%d names guessed, want www and ns1", n)
	}
}

// TestRealCheckers: the tools of three name servers find nothing wrong with zones.
func TestRealCheckers(t *testing.T) {
	bind, nsd, knot := pickettest.Program(t, "named-checkzone", "bind9-utils"), pickettest.Program(t, "nsd-checkzone", "nsd"), pickettest.Program(t, "knotc", "knot")
	for i, o := range []organisation.Options{
		{Names: 100, Signing: lab.NSEC3},
		{Names: 3000, Wildcard: organisation.WildcardBelow, Signing: lab.NSEC},
		{Names: 1000, Wildcard: organisation.WildcardAtApex, Servers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}},
	} {
		o.Seed = uint64(i)
		z := newZone(t, o)
		dir, apex := t.TempDir(), dnsname.Text(z.Apex)
		file, conf := filepath.Join(dir, "zone"), filepath.Join(dir, "knot.conf")
		var text bytes.Buffer
		if err := organisation.WriteZone(&text, z); err != nil {
			t.Fatal(err)
		}
		for path, content := range map[string]string{file: text.String(), conf: fmt.Sprintf("database:\n  storage: %q\nzone:\n  - domain: %s\n    file: %q\n", dir, apex, file)} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{bind, "-i", "local", apex, file}, {nsd, apex, file}, {knot, "-c", conf, "zone-check", apex}} {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err != nil || strings.Contains(strings.ToLower(string(out)), "warning") || strings.Contains(string(out), "error") {
				t.Errorf("%s: %v\n%s", args, err, out[:min(len(out), 2000)])
			}
		}
	}
}

// TestWrittenZoneLoads: the product reads what is written, and knows each name for
// what it is.
func TestWrittenZoneLoads(t *testing.T) {
	z := newZone(t, organisation.Options{Names: 1000, Seed: 6, Wildcard: organisation.WildcardBelow})
	dir := t.TempDir()
	for name, write := range map[string]func(io.Writer, *lab.Zone) error{"zone": organisation.WriteZone, "retired": organisation.WriteRetired} {
		var b bytes.Buffer
		if err := write(&b, z); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := catalog.LoadZoneFile(filepath.Join(dir, "zone"), "")
	if err != nil || len(file.Problems) > 0 {
		t.Fatal(err, file.Problems)
	}
	retired, problems, err := catalog.LoadNames(filepath.Join(dir, "retired"))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	b, c := catalog.NewBuilder(), catalog.New(catalog.Config{Seed: 1})
	if err := b.AddZone(file); err != nil {
		t.Fatal(err)
	}
	b.AddRetired(retired...)
	if err := c.Replace(b); err != nil {
		t.Fatal(err)
	}
	state := func(name []byte) picket.NameState {
		var sfx dnsname.Suffixes
		var nc picket.NameContext
		c.Hasher().Sum(name, &sfx)
		c.Lookup(&picket.Query{Name: name, Type: lab.TypeA, Class: 1}, &sfx, &nc)
		return nc.State
	}
	for i := range z.Owners {
		q := picket.Query{Name: z.Owners[i].Name, Type: lab.TypeA, Class: 1}
		want := picket.StateLive
		if z.Respond(&q); q.Has(picket.FlagReferral) {
			want = picket.StateDelegated
		}
		if s := state(q.Name); s != want {
			t.Errorf("%s is %s, want %s", labels(z, q.Name), s, want)
		}
	}
	for i := range z.Retired {
		if s := state(z.Retired[i].Name); s != picket.StateRetired {
			t.Errorf("%s is %s", labels(z, z.Retired[i].Name), s)
		}
	}
}

func TestWriteRetired(t *testing.T) {
	z := newZone(t, organisation.Options{Names: 400, Seed: 3})
	var b bytes.Buffer
	if err := organisation.WriteRetired(&b, z); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 100 || lines[7] != dnsname.Text(z.Retired[7].Name) {
		t.Errorf("%d lines, the eighth %q", len(lines), lines[7])
	}
	full := writerFunc(func([]byte) (int, error) { return 0, os.ErrClosed })
	if organisation.WriteRetired(full, z) == nil || organisation.WriteZone(full, z) == nil {
		t.Error("no error from a writer that takes nothing")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newZone(b, organisation.Options{Names: organisation.MaxNames, Seed: 1, Signing: lab.NSEC3})
	}
}
