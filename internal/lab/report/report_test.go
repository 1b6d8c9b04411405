package report_test

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/lab/report"
)

func sample() *judge.Tally {
	t := &judge.Tally{}
	cell := judge.Cell{Block: "tools", Tool: "dnsrecon", Class: "brute-force", Path: "direct", Zone: "unsigned", List: "default", Rate: "native"}
	run := func(judged string, c judge.Cell, found bool, at int64) {
		t.Add([]judge.Outcome{{Judged: judged, Cell: c, Label: judge.Recon, Found: found, Noticed: found, AtQuery: at, Delay: time.Duration(at) * time.Second, Measured: true, ListShare: 0.01,
			NamesShare: 0.02, Attributed: found, Queries: 1000, Days: 0.5, Raised: map[bool][]string{true: {"brute-force"}}[found], Top: float64(at)}})
	}
	for _, judged := range []string{judge.Picket, judge.PicketBehavior, "escu-failures"} {
		run(judged, cell, true, 12)
		slow := cell
		slow.Block, slow.Rate, slow.Path = "rates", "1/h", "8 resolvers"
		run(judged, slow, judged == judge.Picket, 40)
		t.Add([]judge.Outcome{{Judged: judged, Label: judge.Benign, Cell: judge.Cell{Block: "benign"}, Queries: 2_000_000, Days: 1, ScoresElsewhere: []float64{20, 60}}})
		t.Add([]judge.Outcome{{Judged: judged, Label: judge.Flood, Cell: judge.Cell{Block: "storms", Tool: "random-flood"}, FloodTold: judged == judge.Picket}})
	}
	return t
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := report.Markdown(&b, sample(), report.About{Command: "picket lab judge --quick", Seeds: "1 to 2", Speed: 1.25e6, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Made with `picket lab judge --quick`; seeds 1 to 2.",
		"1.25 million simulated queries a second with 2 runs at a time, 1600 ns of each",
		"| picket | 2 of 2 (0.342–1.000) | 2 of 2 | 12 / 40 | 1.0 % / 1.0 % | 2.0 % / 2.0 % | 12s |",
		"| picket-without-signatures | 1 of 2 (0.095–0.905) | 1 of 1 | 12 / 12 |",
		"| escu-failures | 1 of 2 (0.095–0.905) | says none | 12 / 12 |",
		"| picket | 2.0 M | 1.0 | 0 | 0 (1.5) | 0 (3) | – | 0 |",
		"| escu-failures | 50 | 60 | 1 of 2 (0.095–0.905) | 0 of 2 (0.000–0.658) |",
		"| random-flood | told as flood 1 of 1 | told as flood 0 of 1 | told as flood 0 of 1 |",
		"- 1 × brute-force: dnsrecon, 8 resolvers, unsigned, default, 1/h",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in\n%s", want, b.String())
		}
	}
}

// TestFiles: the folder has everything, and each plot is well-formed.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := report.Write(dir, sample(), report.About{Command: "x", Seeds: "1"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rules.svg", "queries.svg", "slow-default.svg"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for dec := xml.NewDecoder(strings.NewReader(string(b))); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	f, err := os.Open(filepath.Join(dir, "runs.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 13 || rows[1][0] != "picket" || rows[1][4] != "dnsrecon" {
		t.Errorf("%d rows, %v: %v", len(rows), rows, err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "parameters.csv"))
	if err != nil || !strings.Contains(string(list), "ShareGoogle,0.3,0.3,0.3,,") {
		t.Errorf("parameters: %v\n%s", err, list)
	}
}
