package lab_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab/judge"
	"github.com/picket-dns/picket/internal/pickettest"
	"github.com/picket-dns/picket/internal/pipeline"
)

// entry is one capture of a corpus, see testdata/corpus/README.md.
type entry struct {
	File      string
	Label     string // recon, benign, attack-other
	Technique string
	Path      string
	Queries   int
	Hard      string
	Servers   []struct{ Address string }
	Actors    []string       `json:"actor_addresses"`
	Seen      map[string]int `json:"addresses_seen_at_server"`
}

// accepted lists, for each technique, the detectors whose finding names it right.
var accepted = map[string][]string{
	"brute-force":        {"brute-force", "ordered-names"},
	"permutation-brute":  {"brute-force", "ordered-names"},
	"zone-transfer":      {"zone-transfer"},
	"nsec-walk":          {"nsec-walk"},
	"nsec3-walk":         {"nsec3-walk"},
	"reverse-sweep":      {"reverse-sweep"},
	"record-survey":      {"record-survey", "service-survey"},
	"server-fingerprint": {"server-fingerprint"},
	"pdns-validation":    {"retired-names", "list-verification"},
}

// corpus is a manifest with what is known beforehand of its zones.
type corpus struct {
	dir     string
	entries []entry
	cat     *catalog.Catalog
}

// TestCorpus runs the captures that are checked in. With PICKET_CORPUS set to a
// directory of the same shape it runs that one instead.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("PICKET_CORPUS")
	if dir == "" {
		dir = filepath.Join("testdata", "corpus")
	}
	openCorpus(t, dir).run(t)
}

// TestSharedCorpus runs those of the shared sample tree.
func TestSharedCorpus(t *testing.T) { openCorpus(t, pickettest.Shared(t, "recon")).run(t) }

func openCorpus(t *testing.T, dir string) *corpus {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := &corpus{dir: dir, cat: catalog.New(catalog.Config{Seed: 1})}
	if err := json.Unmarshal(raw, &c.entries); err != nil {
		t.Fatal(err)
	}
	b := catalog.NewBuilder()
	zones, _ := filepath.Glob(filepath.Join(dir, "zones", "*.zone*"))
	for _, path := range zones {
		z, err := catalog.LoadZoneFile(path, strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".zone"))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AddZone(z); err != nil {
			t.Fatal(err)
		}
	}
	lists, _ := filepath.Glob(filepath.Join(dir, "zones", "*.retired.txt"))
	for _, path := range lists {
		names, _, err := catalog.LoadNames(path)
		if err != nil {
			t.Fatal(err)
		}
		b.AddRetired(names...)
	}
	if err := c.cat.Replace(b); err != nil {
		t.Fatal(err)
	}
	if len(c.entries) == 0 || len(zones) == 0 || len(lists) == 0 {
		t.Fatalf("%s: %d captures, %d zones, %d lists", dir, len(c.entries), len(zones), len(lists))
	}
	return c
}

// run judges all captures, with the tool-specific patterns and without.
func (c *corpus) run(t *testing.T) {
	for _, without := range []bool{false, true} {
		name := "with-signatures"
		if without {
			name = "without-signatures"
		}
		t.Run(name, func(t *testing.T) {
			tally := &tally{}
			for i := range c.entries {
				e := &c.entries[i]
				t.Run(strings.TrimSuffix(filepath.Base(e.File), ".pcap.gz"), func(t *testing.T) {
					tally.add(t, e, c.scan(t, e, without))
				})
			}
			tally.report(t)
		})
	}
}

// scan does what "picket scan" does with one capture.
func (c *corpus) scan(t *testing.T, e *entry, withoutSignatures bool) []*picket.Finding {
	t.Helper()
	return c.recognize(t, e, withoutSignatures, func(sink picket.QuerySink) {
		if n := decodeCapture(t, filepath.Join(c.dir, e.File), sink); e.Queries > 0 && n != int64(e.Queries) {
			t.Errorf("%d queries decoded or rejected, the manifest says %d", n, e.Queries)
		}
	})
}

// recognize gives the detectors what drive sends, and returns their findings.
func (c *corpus) recognize(t *testing.T, e *entry, withoutSignatures bool, drive func(picket.QuerySink)) []*picket.Finding {
	t.Helper()
	var secondary, own []string
	for _, s := range e.Servers {
		secondary = append(secondary, s.Address)
	}
	if e.Technique == "owner-inventory" {
		own = e.Actors
	}
	src, err := catalog.NewSources(secondary, own)
	if err != nil {
		t.Fatal(err)
	}
	cfg := detect.Config{Sources: 1 << 14, Suspects: 1 << 11, WithoutSignatures: withoutSignatures, Seed: c.cat.Hasher().Seed, Order: c.cat,
		Role: func(q *picket.Query) detect.Role {
			switch src.Role(q.Client) {
			case catalog.RoleSecondary:
				return detect.RoleSecondary
			case catalog.RoleOwn:
				return detect.RoleOwn
			}
			return detect.RoleNone
		}}
	kept := &keeper{}
	p := pipeline.New(pipeline.Config[detect.Summary]{
		Shards: []pipeline.Engine[detect.Summary]{detect.New(cfg), detect.New(cfg)}, Zones: detect.NewZoneEngine(cfg), Namer: c.cat, Sink: kept,
		Order: func(s *detect.Summary) (int64, uint32) { return s.Second, s.Zone.ID },
	})
	feed := p.Feed()
	drive(feed)
	feed.Flush()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return kept.closed
}

// decodeCapture returns how many queries the capture has, those without exactly one
// question, which are rejected, included.
func decodeCapture(t *testing.T, path string, sink picket.QuerySink) int64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	acct := input.NewCounter()
	if err := query.Pcap(context.Background(), r, decode.Options{}, acct, sink); err != nil {
		t.Fatal(err)
	}
	s := acct.Snapshot()
	n := s.Accepted
	for _, r := range s.Rejected {
		n += r.Count
	}
	return n
}

// keeper keeps closed findings.
type keeper struct{ closed []*picket.Finding }

func (k *keeper) Finding(f *picket.Finding, closed bool) error {
	if closed {
		k.closed = append(k.closed, f)
	}
	return nil
}

// tally sums up a corpus.
type tally struct {
	found, recon, hard, hardFound, benign, benignRight, flood, floodRight int
	byTechnique                                                           map[string][2]int
	at                                                                    map[string][]int64 // technique → queries to the first right finding
}

// add judges one capture.
func (y *tally) add(t *testing.T, e *entry, all []*picket.Finding) {
	if y.at == nil {
		y.at, y.byTechnique = make(map[string][]int64), make(map[string][2]int)
	}
	var raised, right []*picket.Finding
	for _, f := range all {
		if f.Severity > picket.SeverityInformational {
			raised = append(raised, f)
			if slices.Contains(accepted[e.Technique], f.Detector) && e.covers(f.Source.Prefix) {
				right = append(right, f)
			}
		}
	}
	switch e.Label {
	case "recon":
		y.judgeRecon(t, e, right, raised)
	case "attack-other":
		y.flood++
		flood, recon := false, false
		for _, f := range all {
			flood = flood || f.Detector == "random-flood"
			recon = recon || f.Detector != "random-flood" && f.Severity > picket.SeverityInformational
		}
		if flood && !recon {
			y.floodRight++
		} else {
			t.Errorf("a flood: random-flood raised %t, reconnaissance raised %t: %s", flood, recon, kinds(all))
		}
	default:
		y.benign++
		if len(raised) == 0 {
			y.benignRight++
		} else {
			t.Errorf("benign %s raised %s", e.Technique, kinds(raised))
		}
	}
}

func (y *tally) judgeRecon(t *testing.T, e *entry, right, raised []*picket.Finding) {
	if e.Hard != "" {
		y.hard++
		if len(right) > 0 {
			y.hardFound++
		}
		t.Logf("hard (%s): right findings: %s", e.Hard, kinds(right))
		return
	}
	y.recon++
	n := y.byTechnique[e.Technique]
	n[1]++
	if len(right) > 0 {
		y.found++
		n[0]++
		first := slices.MinFunc(right, func(a, b *picket.Finding) int { return int(a.DetectedAtQuery - b.DetectedAtQuery) })
		y.at[e.Technique] = append(y.at[e.Technique], first.DetectedAtQuery)
	} else {
		t.Errorf("%s not found; raised %s", e.Technique, kinds(raised))
	}
	y.byTechnique[e.Technique] = n
}

// covers reports whether a finding's source is one of the run's, or the whole zone.
func (e *entry) covers(prefix string) bool {
	if prefix == "" {
		return true
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return false
	}
	in := func(text string) bool {
		a, err := netip.ParseAddr(text)
		return err == nil && p.Contains(a)
	}
	for a := range e.Seen {
		if in(a) {
			return true
		}
	}
	return slices.ContainsFunc(e.Actors, in)
}

func kinds(all []*picket.Finding) string {
	var out []string
	for _, f := range all {
		out = append(out, fmt.Sprintf("%s (%s, %s, at %d)", f.Detector, f.Severity, f.Source.Prefix, f.DetectedAtQuery))
	}
	slices.Sort(out)
	return "[" + strings.Join(out, "; ") + "]"
}

func (y *tally) report(t *testing.T) {
	lo, hi := judge.Share{K: y.found, N: y.recon}.Interval()
	t.Logf("recon runs found in their class: %d of %d (95%% %.2f-%.2f), hard ones %d of %d", y.found, y.recon, lo, hi, y.hardFound, y.hard)
	t.Logf("benign runs without a finding: %d of %d; floods told as floods: %d of %d", y.benignRight, y.benign, y.floodRight, y.flood)
	var names []string
	for name := range y.byTechnique {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []int64
	for _, name := range names {
		n := y.byTechnique[name]
		t.Logf("%-20s %d of %d, queries to the first finding: p50 %d, p95 %d", name, n[0], n[1], judge.Quantile(y.at[name], 0.5), judge.Quantile(y.at[name], 0.95))
		all = append(all, y.at[name]...)
	}
	t.Logf("%-20s queries to the first finding: p50 %d, p95 %d", "all", judge.Quantile(all, 0.5), judge.Quantile(all, 0.95))
}
