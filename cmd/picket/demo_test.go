package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
