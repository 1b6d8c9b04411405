package lab_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/lab"
)

var update = flag.Bool("update", false, "write docs/lab-parameters.md")

// TestParametersDoc: the page about the parameters says what the code says.
func TestParametersDoc(t *testing.T) {
	list, err := lab.ListParameters()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Parameters of the simulated traffic

What reaches an organisation's authoritative servers depends on figures of which few have been published. Those that have are fixed here and name their source.
All others are *swept*: each seed draws another value from the range, so that no result rests on a guess. The ranges are chosen to be wide. [Evaluation](evaluation.md)
says how the parameters are used. This page is made from ` + "`internal/lab/parameters.go`" + `: ` + "`go test ./internal/lab -run ParametersDoc -update`" + `.

| parameter | what it is | value | swept from – to | source |
|---|---|---|---|---|
`)
	for _, p := range list {
		value := strings.TrimSpace(strconv.FormatFloat(p.Value, 'g', -1, 64) + " " + p.Unit)
		sweep, source := "–", p.Source
		if source == "" {
			sweep, source = fmt.Sprintf("%g – %g", p.Low, p.High), "none published"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", p.Name, p.Says, value, sweep, source)
	}
	path := filepath.Join("..", "..", "docs", "lab-parameters.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/lab-parameters.md is not what parameters.go says (%v); run go test ./internal/lab -run ParametersDoc -update", err)
	}
}

// TestSweptParameters: what has a source stays, the rest stays within its range
// and differs between seeds.
func TestSweptParameters(t *testing.T) {
	list, err := lab.ListParameters()
	if err != nil {
		t.Fatal(err)
	}
	a, b := lab.SweptParameters(lab.Rand(1, "p")), lab.SweptParameters(lab.Rand(2, "p"))
	if a != lab.SweptParameters(lab.Rand(1, "p")) {
		t.Error("the same seed draws other parameters")
	}
	if a.ShareGoogle != 0.30 || b.ShareGoogle != 0.30 || a.NX == b.NX || a.TailSources == b.TailSources {
		t.Errorf("%+v\n%+v", a, b)
	}
	for i, p := range list {
		for _, v := range []float64{value(a, i), value(b, i)} {
			if v < p.Low || v > p.High {
				t.Errorf("%s is %v, outside of %v to %v", p.Name, v, p.Low, p.High)
			}
		}
	}
}

func value(p lab.Parameters, i int) float64 { return reflect.ValueOf(p).Field(i).Float() }
