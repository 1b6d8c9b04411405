package catalog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/masterfile"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestSampleZones holds the figures of zones from other projects' tests. The
// owner counts of the larger ones were compared with what named-checkzone makes
// of them, and with the lists of names beside the recorded zones.
func TestSampleZones(t *testing.T) {
	for _, tc := range []struct {
		file, apex              string
		records, skipped        int
		owners, live, cut, ents int // live includes delegations, not glue
		signed, nsec3, wildcard bool
	}{
		{file: "samples/zone/bind9--example1.db", apex: "example.nil.", records: 97, owners: 86, live: 85, cut: 1, wildcard: true},
		{file: "samples/zone/dnscontrol--example.org.zone", apex: "example.org.", records: 349, owners: 222, live: 222, cut: 3, ents: 52},
		{file: "samples/zone/dnscontrol--simple.com.zone", apex: "simple.com.", records: 19, owners: 8, live: 8, ents: 3},
		{file: "samples/zone/ldns--08-zonereader.inputzone", apex: "jelte.nlnetlabs.nl.", records: 3879, skipped: 3, owners: 34, live: 34, cut: 2, ents: 4, signed: true},
		{file: "samples/zone/nsd--nsec3_zone.zone", apex: "example.", records: 70, owners: 15, live: 11, cut: 2, ents: 2, signed: true, nsec3: true},
		{file: "samples/zone/nsd--rr-test.zone", apex: "blaat.nl.", records: 109, owners: 35, live: 35, ents: 19},
		{file: "recon/zones/113.0.203.in-addr.arpa.zone", apex: "113.0.203.in-addr.arpa.", records: 149, owners: 147, live: 147},
		{file: "recon/zones/64.18.198.in-addr.arpa.zone", apex: "64.18.198.in-addr.arpa.", records: 134, owners: 132, live: 132},
		{file: "recon/zones/65.18.198.in-addr.arpa.zone", apex: "65.18.198.in-addr.arpa.", records: 147, owners: 145, live: 145},
		{file: "recon/zones/corp-a.example.zone", apex: "corp-a.example.", records: 364, owners: 300, live: 300, ents: 20},
		{file: "recon/zones/muni-d.example.zone", apex: "muni-d.example.", records: 665, owners: 560, live: 560, ents: 23},
	} {
		t.Run(filepath.Base(tc.file), func(t *testing.T) {
			z, err := LoadZoneFile(pickettest.Shared(t, tc.file), "")
			if err != nil {
				t.Fatal(err)
			}
			c := catalogOf(t, func(b *Builder) { addZones(t, b, z) })
			pz, st := c.Zones()[0], c.Stats()
			got := fmt.Sprint(z.Name(), z.Records, z.Skipped, z.Owners(), pz.Live, st.Delegations, st.Empty, pz.Signed, pz.NSEC3, pz.Wildcard)
			want := fmt.Sprint(tc.apex, tc.records, tc.skipped, tc.owners, tc.live, tc.cut, tc.ents, tc.signed, tc.nsec3, tc.wildcard)
			if got != want {
				t.Errorf("apex, records, skipped, owners, live, cuts, empty, signed, NSEC3, wildcard:\n got %s\nwant %s", got, want)
			}
			for _, p := range z.Problems {
				t.Log(p)
			}
			if len(z.Problems) != tc.skipped {
				t.Errorf("%d problems, want %d", len(z.Problems), tc.skipped)
			}
		})
	}
}

// TestRecordedLists checks the lists beside the recorded zones against them:
// each name that lives is live, each retired one is retired.
func TestRecordedLists(t *testing.T) {
	for _, tc := range []struct {
		zone    string
		names   int
		retired int
	}{{"corp-a.example", 300, 212}, {"muni-d.example", 560, 389}} {
		z, err := LoadZoneFile(pickettest.Shared(t, "recon", "zones", tc.zone+".zone"), tc.zone)
		if err != nil {
			t.Fatal(err)
		}
		retired, problems, err := LoadNames(pickettest.Shared(t, "recon", "zones", tc.zone+".retired.txt"))
		if err != nil || len(problems) > 0 || len(retired) != tc.retired {
			t.Fatalf("%s: %d retired names, want %d; %v %v", tc.zone, len(retired), tc.retired, problems, err)
		}
		c := catalogOf(t, func(b *Builder) { addZones(t, b, z); b.AddRetired(retired...) })
		text, err := os.ReadFile(pickettest.Shared(t, "recon", "zones", tc.zone+".names.txt"))
		if err != nil {
			t.Fatal(err)
		}
		live := strings.Fields(string(text))
		if len(live) != tc.names {
			t.Errorf("%s: %d names listed, want %d", tc.zone, len(live), tc.names)
		}
		for _, n := range live {
			if nc := ask(c, query(n)); nc.State != picket.StateLive || nc.NX {
				t.Errorf("%s is %v, want live", n, nc.State)
			}
		}
		for _, n := range retired {
			if nc := ask(c, query(dnsname.String(n))); nc.State != picket.StateRetired {
				t.Errorf("%s is %v, want retired", dnsname.String(n), nc.State)
			}
		}
		if got := c.Zones()[0].Retired; got != tc.retired {
			t.Errorf("%s has %d retired names, want %d", tc.zone, got, tc.retired)
		}
	}
}

// write puts files into a new folder and returns the first one's path.
func write(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

const soa = "@ IN SOA ns1 hostmaster 1 2 3 4 5\n"

func TestMalformedZones(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tc := range []struct {
		what, text string
		line       int
		want       string // part of the first problem
		owners     int    // the rest goes on
	}{
		{"bad address", soa + "a A 1.2.3.400\nb A 1.2.3.4\n", 3, "A record of a.example.com.: bad A", 2},
		{"no type", soa + "a 300 IN\nb A 1.2.3.4\n", 3, "no record type", 2},
		{"unknown type", soa + "a BOGUS x\nb A 1.2.3.4\n", 3, `unknown record type "BOGUS"`, 2},
		{"class", soa + "a CH TXT x\nb A 1.2.3.4\n", 3, "class CH", 2},
		{"label", soa + long + " A 1.2.3.4\nb A 1.2.3.4\n", 3, "label empty or longer", 2},
		{"empty label", soa + "a..b A 1.2.3.4\nb A 1.2.3.4\n", 3, "label empty or longer", 2},
		{"inherits a bad owner", soa + "a..b A 1.2.3.4\n A 1.2.3.5\nb A 1.2.3.4\n", 3, "label", 2},
		{"escape", soa + `a\999 A 1.2.3.4` + "\nb A 1.2.3.4\n", 3, "bad escape", 2},
		{"out of zone", soa + "www.example.net. A 1.2.3.4\nb A 1.2.3.4\n", 3, "not at or below the zone's apex example.com.", 2},
		{"second zone", soa + "sub SOA ns1 h 1 2 3 4 5\nb A 1.2.3.4\n", 3, "a zone has one SOA", 2},
		{"open parenthesis", soa + "a TXT ( x\nb A 1.2.3.4\nc A 1.2.3.4\n", 3, `"(" is never closed`, 3},
		{"closed parenthesis", soa + "a TXT x )\nb A 1.2.3.4\n", 3, `")" without`, 2},
		{"open quote", soa + "a TXT \"x\nb A 1.2.3.4\n", 3, "not closed on its line", 2},
		{"no owner", " A 1.2.3.4\n" + soa + "b A 1.2.3.4\n", 2, "no owner name", 2},
		{"directive", soa + "$FOO x\nb A 1.2.3.4\n", 3, "$FOO is no directive", 2},
		{"ttl", soa + "$TTL soon\nb A 1.2.3.4\n", 3, "a number of seconds", 2},
		{"origin", soa + "$ORIGIN a..b\nb A 1.2.3.4\n", 3, "$ORIGIN", 2},
		{"too many generated", soa + "$GENERATE 1-70000 h$ A 1.2.3.4\nb A 1.2.3.4\n", 3, "makes 70000 names", 2},
		{"too many generated in all", soa + "$GENERATE 1-60000 h$ A 1.2.3.4\n$GENERATE 1-6000 i$ A 1.2.3.4\n", 4, "5536 of the 65536", 60001},
		{"bad range", soa + "$GENERATE 9-1 h$ A 1.2.3.4\nb A 1.2.3.4\n", 3, "a range such as", 2},
		{"bad form", soa + "$GENERATE 1-2 h${0,3,q} A 1.2.3.4\nb A 1.2.3.4\n", 3, "bad base", 2},
		{"rdata of generated", soa + "$GENERATE 254-257 h$ A 192.0.2.$\nb A 1.2.3.4\n", 3, "h256.example.com.", 4},
		{"no SOA", "b A 1.2.3.4\n", 1, "no SOA for example.com.", 1},
		{"absolute include", soa + "$INCLUDE /etc/passwd\nb A 1.2.3.4\n", 3, "leaves the zone file's folder", 2},
		{"include above", soa + "$INCLUDE ../x\nb A 1.2.3.4\n", 3, "leaves the zone file's folder", 2},
		{"include up and down", soa + "$INCLUDE sub/../x\nb A 1.2.3.4\n", 3, "leaves the zone file's folder", 2},
		{"include of itself", soa + "$INCLUDE zone.db\nb A 1.2.3.4\n", 3, "nested more than 8 deep", 2},
		{"include of nothing", soa + "$INCLUDE nowhere\nb A 1.2.3.4\n", 3, "cannot be opened", 2},
		{"include of a folder", soa + "$INCLUDE sub\nb A 1.2.3.4\n", 3, "is not a file", 2},
	} {
		path := write(t, "zone.db", "$ORIGIN example.com.\n"+tc.text, "sub/x", "x A 1.2.3.4\n")
		if tc.what == "no SOA" {
			path = write(t, "zone.db", tc.text)
		}
		z, err := LoadZoneFile(path, "example.com")
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
			continue
		}
		if z.Owners() != tc.owners {
			t.Errorf("%s: %d owners, want %d", tc.what, z.Owners(), tc.owners)
		}
		want := fmt.Sprintf("%s:%d: ", path, tc.line)
		if len(z.Problems) == 0 || !strings.HasPrefix(z.Problems[0].Error(), want) || !strings.Contains(z.Problems[0].Text, tc.want) {
			t.Errorf("%s: problems %v, want first %s… %s", tc.what, z.Problems, want, tc.want)
		}
	}
}

func TestUselessZones(t *testing.T) {
	for _, tc := range []struct{ name, text, origin, want string }{
		{"empty.db", "", "example.com", "no records"},
		{"x.db", "; nothing\n", "", "no records"},
		{"a..b.db", "www.example.com. A 1.2.3.4\n", "", "give it as ORIGIN="},
		{"x.db", "{\"json\": true}\n", "example.com", "no usable record; first problem"},
		{"x.db", soa, "exa..mple", "give a domain name"},
		{"x.db", "www A 1.2.3.4\n", "", "no $ORIGIN says to what"},
	} {
		if z, err := LoadZoneFile(write(t, tc.name, tc.text), tc.origin); err == nil || z != nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
		}
	}
	if _, err := LoadZoneFile(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("folder: %v", err)
	}
	if _, err := LoadZoneFile(filepath.Join(t.TempDir(), "nowhere"), ""); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestIncludeSymlink(t *testing.T) {
	path := write(t, "zone.db", "$ORIGIN example.com.\n"+soa+"$INCLUDE link\n$INCLUDE dir/x\n", "real/x", "x A 1.2.3.4\n")
	dir := filepath.Dir(path)
	for link, to := range map[string]string{"link": "real/x", "dir": "real"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	z, err := LoadZoneFile(path, "")
	if err != nil || z.Owners() != 1 || len(z.Problems) != 2 {
		t.Fatalf("%v %v", z, err)
	}
	for _, p := range z.Problems {
		if !strings.Contains(p.Text, "is a symbolic link") {
			t.Error(p)
		}
	}
}

func TestZoneFileForms(t *testing.T) {
	has := func(t *testing.T, z *ZoneData, apex string, names ...string) {
		t.Helper()
		if z.Name() != apex || z.Owners() != len(names) || len(z.Problems) > 0 {
			t.Errorf("zone %s with %d owners, want %s with %d; problems %v", z.Name(), z.Owners(), apex, len(names), z.Problems)
		}
		for _, n := range names {
			if z.owners.lookup(dnsname.MustParse(n)) == 0 {
				t.Errorf("%s is missing", n)
			}
		}
	}
	load := func(t *testing.T, path, origin string) *ZoneData {
		t.Helper()
		z, err := LoadZoneFile(path, origin)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	t.Run("origin from $ORIGIN and SOA", func(t *testing.T) {
		has(t, load(t, write(t, "x", "$ORIGIN com.\nexample "+soa[2:]+"www.example A 1.2.3.4\n"), ""), "example.com.", "example.com", "www.example.com")
	})
	t.Run("origin from the file's name", func(t *testing.T) {
		z := load(t, write(t, "db.example.com", "www.example.com. A 1.2.3.4\n"), "")
		if z.Name() != "example.com." || z.Owners() != 1 {
			t.Error(z.Name())
		}
	})
	t.Run("owners, classes, TTLs, comments", func(t *testing.T) {
		has(t, load(t, write(t, "x", "\ufeff$ORIGIN example.com. ; here\r\n$TTL 1h\r\n@\tIN 1H30M SOA ns1 h (\r\n 1 ; serial\r\n 2 3 4 5 )\r\n\tNS ns1\r\nns1 3600 IN A 1.2.3.4\r\n"+
			"in A 1.2.3.4\r\n  IN 5 AAAA ::1\r\n600 IN A 1.2.3.4\r\nUPPER TXT \"a ; b ( c\" d\\;e\r\nt\\.x TXT \"\\\"\"\r\n\\097b TYPE65280 \\# 1 00\r\n"), ""), "example.com.",
			"example.com", "ns1.example.com", "in.example.com", "600.example.com", "upper.example.com", `t\.x.example.com`, "ab.example.com")
	})
	t.Run("include", func(t *testing.T) {
		has(t, load(t, write(t, "x", "$ORIGIN example.com.\n"+soa+"a A 1.2.3.4\n$INCLUDE \"sub/in.db\" in\n AAAA ::1\nc A 1.2.3.4\n",
			"sub/in.db", "b A 1.2.3.4\n$ORIGIN deep\nd A 1.2.3.4\n"), ""), "example.com.",
			"example.com", "a.example.com", "b.in.example.com", "d.deep.in.example.com", "c.example.com")
	})
	t.Run("generate", func(t *testing.T) {
		has(t, load(t, write(t, "x", "$ORIGIN example.com.\n"+soa+"$GENERATE 1-3/2 h-${10,4,d} 300 IN A 192.0.2.$\n$GENERATE 0-1 $$$ CNAME x${0,2,x}\n$GENERATE 18-18 ${0,3,n} PTR x\n"), ""), "example.com.",
			"example.com", "h-0011.example.com", "h-0013.example.com", "\\$0.example.com", "\\$1.example.com", "2.1.example.com")
	})
	t.Run("gzip", func(t *testing.T) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte("$ORIGIN example.com.\n" + soa)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		has(t, load(t, write(t, "x.gz", b.String()), ""), "example.com.", "example.com")
	})
	t.Run("budget", func(t *testing.T) {
		l := &loader{budget: 60, generate: 10}
		z, err := l.load(strings.NewReader("$ORIGIN example.com.\n"+soa+"a A 1.2.3.4\n"), "x", "")
		if err != nil || len(z.Problems) != 1 || !strings.Contains(z.Problems[0].Text, "the rest is not read") {
			t.Errorf("%+v %v", z, err)
		}
	})
}

// TestManyOpenParentheses holds the work that a hostile file makes to a bound.
func TestManyOpenParentheses(t *testing.T) {
	l := &loader{budget: masterfile.MaxBytes, generate: masterfile.MaxGenerated}
	start := time.Now()
	z, err := l.load(strings.NewReader(soa+strings.Repeat("a TXT (\n", 1_000_000)), "x", "example.com")
	if err != nil || z.Skipped == 0 || len(z.Problems) != maxProblems || z.MoreBad == 0 {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func BenchmarkLoadZoneFile(b *testing.B) {
	var text strings.Builder
	text.WriteString("$ORIGIN example.com.\n" + soa)
	for i := range 100_000 {
		fmt.Fprintf(&text, "host-%07d 300 IN A 192.0.2.7\n", i)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		l := &loader{budget: masterfile.MaxBytes, generate: masterfile.MaxGenerated}
		if _, err := l.load(strings.NewReader(text.String()), "x", ""); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSplitZoneArg(t *testing.T) {
	for _, tc := range [][3]string{
		{"example.com=zones/x=y.db", "example.com", "zones/x=y.db"},
		{"zones/x=y.db", "", "zones/x=y.db"}, {"x.db", "", "x.db"}, {"=x", "", "=x"},
	} {
		if origin, path := SplitZoneArg(tc[0]); origin != tc[1] || path != tc[2] {
			t.Errorf("%s: %q %q", tc[0], origin, path)
		}
	}
}

func FuzzZoneFile(f *testing.F) {
	f.Add([]byte("$ORIGIN example.com.\n" + soa + "a A 1.2.3.4\n"))
	f.Add([]byte("$GENERATE 1-3 ${0,3,n} PTR x$\n(\n\"\n)\n\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &loader{budget: 1 << 20, generate: 100}
		z, err := l.load(bytes.NewReader(text), "/nowhere/zone.db", "example.com")
		if err != nil {
			return
		}
		b := NewBuilder()
		if err := b.AddZone(z); err != nil {
			t.Fatal(err)
		}
		c := New(Config{})
		if err := c.Replace(b); err != nil {
			t.Fatal(err)
		}
		pz := c.Zones()[0]
		for off := uint32(headerLen); int(off) < len(z.owners.arena); off = z.owners.next(off) {
			name := z.owners.name(off)
			if err := dnsname.Check(name); err != nil {
				t.Fatal(err)
			}
			q := query("x")
			q.Name = name
			if nc := ask(c, q); nc.Zone != pz || nc.State != picket.StateLive && nc.State != picket.StateDelegated && nc.State != picket.StateWildcard {
				t.Fatalf("%s is %v", dnsname.String(name), nc.State)
			}
		}
	})
}
