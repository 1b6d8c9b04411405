package picket_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/input"
)

// The tests of this file hold the conventions of the whole module. A failure says
// which convention, and why there is one.

const module = "github.com/picket-dns/picket"

// goPackage is what is needed of go list's answer.
type goPackage struct {
	ImportPath, Name, Dir              string
	GoFiles, TestGoFiles               []string
	XTestGoFiles                       []string
	Imports, TestImports, XTestImports []string
}

// rel is the package's path within the module, "." for the root.
func (p *goPackage) rel() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

var packages = sync.OnceValues(func() ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + ": " + stderr.String())
	}
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
})

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	list, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 10 {
		t.Fatalf("go list found %d packages; run the test in the module's root", len(list))
	}
	return list
}

// internalImports are the imports within internal/ that a package outside
// cmd may have beside the vocabulary (the root package) and dnsname. Siblings know
// each other through roles declared at the consumer; whoever needs more than this
// table belongs into cmd/picket, or wants a role.
var internalImports = map[string][]string{
	".":                {"internal/dnsname", "internal/sketch"},
	"internal/dnsname": {},
	"internal/sketch":  {},
	"internal/detect":  {"internal/sketch"},
	"internal/catalog": {"internal/masterfile"},
	"internal/input": {"internal/input/decode", "internal/input/query", "internal/input/record", "internal/input/sighting",
		"internal/input/admin", "internal/input/asset", "internal/input/signal"},
	"internal/lab/organisation": {"internal/lab"},
	"internal/lab/background":   {"internal/lab"},
	"internal/lab/wire":         {"internal/lab"},
	"internal/lab/adversary":    {"internal/lab"},
	"internal/lab/rules":        {"internal/lab"},
	"internal/lab/judge":        {"internal/lab", "internal/lab/organisation", "internal/lab/background", "internal/lab/adversary", "internal/lab/rules"},
	"internal/lab/report":       {"internal/lab", "internal/lab/judge", "internal/lab/rules"},

	"internal/input/query":    {"internal/input/decode"},
	"internal/input/record":   {"internal/input/decode", "internal/masterfile"},
	"internal/input/sighting": {"internal/input/decode"},
	"internal/input/admin":    {"internal/input/decode"},
	"internal/input/asset":    {"internal/input/decode"},
	"internal/input/signal":   {"internal/input/decode"},
}

// below says which packages may import even the vocabulary.
var belowVocabulary = []string{"internal/dnsname", "internal/sketch"}

func TestPresubmitImports(t *testing.T) {
	for _, p := range listPackages(t) {
		rel := p.rel()
		if isProgram(rel) {
			for _, imp := range p.Imports {
				if imp == module+"/internal/pickettest" {
					t.Errorf("%s imports internal/pickettest: fixtures are for tests only", rel)
				}
			}
			continue
		}
		for _, imp := range p.Imports {
			within, ok := strings.CutPrefix(imp, module)
			within = strings.TrimPrefix(within, "/")
			switch {
			case !ok:
			case within == "":
				if slices.Contains(belowVocabulary, rel) {
					t.Errorf("%s imports the root package: it is below the vocabulary and knows nothing of DNS telemetry", rel)
				}
			case strings.HasPrefix(within, "cmd/"):
				t.Errorf("%s imports %s: wiring is at the top, nothing depends on it", rel, within)
			case within == "internal/pickettest":
				t.Errorf("%s imports internal/pickettest: fixtures are for tests only", rel)
			case within == "internal/dnsname" && rel != "internal/sketch":
			case slices.Contains(internalImports[rel], within):
			default:
				t.Errorf("%s imports %s: siblings do not import each other; declare a role of 1 to 4 methods at the consumer and wire it in cmd/picket", rel, within)
			}
		}
	}
}

// isProgram reports whether a package is wiring: a command, or a script of the
// repository.
func isProgram(rel string) bool {
	return strings.HasPrefix(rel, "cmd/") || strings.HasPrefix(rel, "scripts/")
}

// drivers are modules that one package each may know, so that what is stored and
// sent can change its engine without anybody noticing.
var drivers = []struct{ prefix, only, why string }{
	{"github.com/duckdb/", "internal/duckdb", "the store is reached through roles; a second importer would tie the product to one database"},
	{"github.com/marcboeker/", "internal/duckdb", "the store is reached through roles; a second importer would tie the product to one database"},
	{"github.com/ClickHouse/", "internal/clickhouse", "the cluster's query history is reached through roles"},
	{"github.com/nats-io/", "internal/jetstream", "the cluster's transport is reached through roles"},
	{"database/sql", "internal/duckdb internal/clickhouse", "SQL stays inside the stores"},
	{"github.com/go-git/", "internal/transport", "where versions come from is no matter of what is in them"},
	{"github.com/spf13/", "cmd/picket", "flags and commands are wiring; packages take options"},
	{"github.com/prometheus/", "cmd/picket", "packages count; cmd/picket says what is a metric"},
}

func TestPresubmitDrivers(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, d := range drivers {
				if strings.HasPrefix(imp, d.prefix) && !slices.Contains(strings.Fields(d.only), p.rel()) {
					t.Errorf("%s imports %s, which only %s may: %s", p.rel(), imp, d.only, d.why)
				}
			}
		}
	}
}

// goFile is one parsed file of the module.
type goFile struct {
	path, pkg string // slashed, relative to the root
	test      bool
	ast       *ast.File
	lines     int
}

var fileSet = token.NewFileSet()

var files = sync.OnceValues(func() ([]goFile, error) {
	var list []goFile
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since the folder was read
		}
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fileSet, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		list = append(list, goFile{
			path: filepath.ToSlash(path), pkg: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"),
			ast: f, lines: bytes.Count(src, []byte("\n")),
		})
		return nil
	})
	return list, err
})

func listFiles(t *testing.T) []goFile {
	t.Helper()
	list, err := files()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPresubmitPackageDocs(t *testing.T) {
	docs := map[string][]string{}
	for _, f := range listFiles(t) {
		if f.test {
			continue
		}
		docs[f.pkg] = append(docs[f.pkg], "")
		if f.ast.Doc == nil {
			continue
		}
		text := f.ast.Doc.Text()
		docs[f.pkg] = append(docs[f.pkg], text)
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package comment begins %q; want %q", f.path, firstWords(text), want)
		}
	}
	for pkg, list := range docs {
		n := 0
		for _, s := range list {
			if s != "" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s has %d package comments; want one, that a newcomer can start from", pkg, n)
		}
	}
}

func firstWords(s string) string {
	return strings.Join(strings.Fields(s)[:min(3, len(strings.Fields(s)))], " ")
}

// TestPresubmitNoInit: what a package does at import cannot be ordered, configured
// or tested.
func TestPresubmitNoInit(t *testing.T) {
	for _, f := range listFiles(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init; do it where it is wired", fileSet.Position(fn.Pos()))
			}
		}
	}
}

// TestPresubmitNoExit: only a program may end the process; everything else
// returns errors, so that the daemon drains whatever happens.
func TestPresubmitNoExit(t *testing.T) {
	forbidden := map[string][]string{
		"os":      {"Exit"},
		"log":     {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
		"syscall": {"Exit"},
		"runtime": {"Goexit"},
	}
	for _, f := range listFiles(t) {
		if isProgram(f.pkg) || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(forbidden[x.Name], sel.Sel.Name) {
				t.Errorf("%s: %s.%s outside cmd; return an error", fileSet.Position(call.Pos()), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

func TestPresubmitFileSizes(t *testing.T) {
	const most, mostMain = 800, 60
	for _, f := range listFiles(t) {
		switch {
		case f.test:
		case f.path == "cmd/picket/main.go" && f.lines > mostMain:
			t.Errorf("%s has %d lines, at most %d: main starts run and does nothing else", f.path, f.lines, mostMain)
		case f.lines > most:
			t.Errorf("%s has %d lines, at most %d: split it by meaning", f.path, f.lines, most)
		}
	}
}

// TestPresubmitSkips: a skipped test that does not say why looks like one that passed.
func TestPresubmitSkips(t *testing.T) {
	for _, f := range listFiles(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || !slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
				return true
			}
			bare := len(call.Args) == 0 && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name)
			empty := false
			if len(call.Args) > 0 && strings.HasPrefix(sel.Sel.Name, "Skip") {
				lit, ok := call.Args[0].(*ast.BasicLit)
				empty = ok && strings.Trim(lit.Value, "\"` ") == ""
			}
			if bare || empty {
				t.Errorf("%s: a skip without a reason", fileSet.Position(call.Pos()))
			}
			return true
		})
	}
}

func TestPresubmitGoMod(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(b), "\n") {
		if regexp.MustCompile(`^\s*replace\b|=>`).MatchString(line) {
			t.Errorf("go.mod:%d: replace: go install would build something else than we test", i+1)
		}
	}
}

// formatPages says in which page of docs/inputs each format is described.
var formatPages = map[string]string{
	"pcap":         "pcap.md",
	"dnstap":       "dnstap.md",
	"bind-log":     "bind.md",
	"zeek-dns":     "zeek.md",
	"suricata-eve": "suricata.md",
	"ndjson":       "ndjson.md",
}

func TestPresubmitFormatPages(t *testing.T) {
	for _, f := range input.Formats() {
		page := formatPages[f.Name]
		if page == "" {
			page = f.Name + ".md"
		}
		checkPage(t, "format "+f.Name, filepath.Join("docs", "inputs", page), f.Name)
	}
	for name := range formatPages {
		if _, ok := input.ByName(name); !ok {
			t.Errorf("formatPages names %q, which is no format", name)
		}
	}
}

// TestPresubmitInputIndex: docs/inputs/README.md has a row for every format, that
// links its page and says of it what the registry does, and links every other page.
func TestPresubmitInputIndex(t *testing.T) {
	dir := filepath.Join("docs", "inputs")
	b, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	index := string(b)
	for _, f := range input.Formats() {
		if want := indexRow(f); !strings.Contains(index, "\n"+want+"\n") {
			t.Errorf("docs/inputs/README.md lacks the row\n%s", want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "README.md" && !strings.Contains(index, "]("+e.Name()) {
			t.Errorf("docs/inputs/README.md does not link %s", e.Name())
		}
	}
	if rows := regexp.MustCompile(`(?m)^\| \[[a-z0-9-]+\]\([a-z0-9-]+\.md\) \|`).FindAllString(index, -1); len(rows) != len(input.Formats()) {
		t.Errorf("docs/inputs/README.md has %d rows of formats, there are %d", len(rows), len(input.Formats()))
	}
}

// indexRow is a format's row in the index of inputs.
func indexRow(f input.Format) string {
	page := formatPages[f.Name]
	if page == "" {
		page = f.Name + ".md"
	}
	cells := []string{"[" + f.Name + "](" + page + ")", f.Title}
	if f.Levels != "" {
		cells = append(cells, f.Levels)
	}
	form := map[input.Shape]string{input.ShapeLines: "lines", input.ShapeText: "text", input.ShapeBinary: "binary", input.ShapeDocument: "document"}[f.Shape]
	told := "content"
	if f.Detect == nil {
		told = "name"
	}
	return "| " + strings.Join(append(cells, form, told), " | ") + " |"
}

func TestPresubmitDetectorPages(t *testing.T) {
	names := detect.Names()
	for _, n := range names {
		checkPage(t, "detector "+n, filepath.Join("docs", "detectors", n+".md"), n)
	}
	entries, err := os.ReadDir(filepath.Join("docs", "detectors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n, ok := strings.CutSuffix(e.Name(), ".md")
		if ok && n != "README" && !slices.Contains(names, n) {
			t.Errorf("docs/detectors/%s describes no detector", e.Name())
		}
	}
}

// checkPage wants a page to be there and to speak of its subject.
func checkPage(t *testing.T, what, path, name string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%s has no page: %v", what, err)
		return
	}
	if !strings.Contains(string(b), name) {
		t.Errorf("%s: its page %s does not name it", what, path)
	}
}
