package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
)

// TestDemo holds the demonstration together: its configuration loads without a
// warning, and captures, script and description name the same files. make demo
// itself is for people.
func TestDemo(t *testing.T) {
	path := filepath.Join("..", "..", "demo", "picket.yaml")
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	var notes bytes.Buffer
	opt := cfg.knowledgeOptions()
	know, err := opt.load(0, &notes)
	if err != nil {
		t.Fatal(err)
	}
	if notes.Len() > 0 {
		t.Errorf("the zones have problems:\n%s", notes.String())
	}
	if n := len(know.catalog.Zones()); n != len(cfg.Zones) {
		t.Errorf("%d zones, want %d", n, len(cfg.Zones))
	}

	script, err := os.ReadFile(filepath.Join("..", "..", "scripts", "demo"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "demo", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$c/([a-z0-9.-]+)@`).FindAllSubmatch(script, -1) {
		played[string(m[1])] = true
	}
	entries, err := os.ReadDir(filepath.Join("..", "..", "demo", "captures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !played[e.Name()] {
			t.Errorf("scripts/demo does not replay %s", e.Name())
		}
		delete(played, e.Name())
		if name := strings.TrimSuffix(e.Name(), ".pcap.gz"); !bytes.Contains(readme, []byte("`"+name+"`")) {
			t.Errorf("demo/README.md does not speak of %s", name)
		}
	}
	for name := range played {
		t.Errorf("scripts/demo replays %s, which is not there", name)
	}
}

// TestDemoCoverage replays captures of the demonstration and asks for the coverage in
// its first minute: every name server whose addresses the telemetry carries is known
// by the zones' own records, none is called never configured, and the statement stays
// short although there are seven zones.
func TestDemoCoverage(t *testing.T) {
	demo, err := filepath.Abs(filepath.Join("..", "..", "demo"))
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := os.ReadFile(filepath.Join(demo, "picket.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := newChild(t, "")
	text := regexp.MustCompile(`(?m)^listen: .*$`).ReplaceAll(yaml, []byte("listen: "+c.addr))
	if err := os.WriteFile(c.config(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(demo, "zones"), c.path("zones")); err != nil {
		t.Fatal(err)
	}
	c.start()
	capture := func(name string) string { return filepath.Join(demo, "captures", name+".pcap.gz@0s") }
	code, _, stderr := picketCommand("lab", "replay", "--to", "unix:"+c.path("replay.sock"), capture("ldns-walk-nsec"), capture("nmap-dnsbrute-res"), capture("fierce-range"))
	if code != exitOK {
		t.Fatalf("replay: exit code %d: %s", code, stderr)
	}
	var r picket.CoverageReport
	seen := map[string]bool{}
	c.until("the servers that were asked are known", func() bool {
		code, out, _ := picketCommand("coverage", "-c", c.config(), "-o", "json")
		if code != exitOK || json.Unmarshal([]byte(out), &r) != nil {
			return false
		}
		clear(seen)
		for _, x := range r.Cells {
			if x.Kind == picket.KindQuery && x.Seen > 0 {
				seen[x.Zone+" "+x.Server] = true
			}
		}
		return seen["north-b.example. ns1.north-b.example."] && seen["muni-d.example. ns2.muni-d.example."]
	})
	for _, x := range r.Cells {
		if strings.HasPrefix(x.Server, "[") || x.Silence == picket.SilenceNever {
			t.Errorf("%+v", x)
		}
	}
	for _, p := range r.Problems {
		t.Errorf("a problem in a young demonstration: %+v", p)
	}
	if n := len(r.Statement); n > 300 || !strings.Contains(r.Statement, " name servers of 7 zones (") || !strings.Contains(r.Statement, " and 4 more) with response codes") {
		t.Errorf("statement of %d characters: %s", n, r.Statement)
	}
}
