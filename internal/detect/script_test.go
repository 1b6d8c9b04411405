package detect_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/detect"
	"github.com/picket-dns/picket/internal/dnsname"
)

// TestScripts runs testdata/DETECTOR-CASE.txtar. A file is a small world: zones,
// who asks them what, and what must be found. The comment before the first
// section says what the case is about. The sections:
//
//	zone APEX     one owner a line, relative to APEX ("@" is the apex), followed
//	              by its types; without types A. The apex has SOA and NS by itself.
//	              "@ NSEC" or "@ NSEC3PARAM" makes the zone answer with denials.
//	retired       names that were there once, absolute, one a line
//	list NAME     words for {@NAME}, split by blanks
//	config        one setting a line: secondary PREFIX, own PREFIX,
//	              without-signatures, disable DETECTOR, idle DURATION
//	queries       see below
//	findings      DETECTOR SEVERITY SOURCE [key=value]..., one line for each
//	              finding that is closed at the end, no more and no fewer. SOURCE
//	              is a prefix, or "zone" for a finding over the whole zone. Keys:
//	              at (detected_at_query), queries, names, each a number or
//	              MIN..MAX; intent, kind, zone, spoofable.
//
// A line of queries is
//
//	+DELAY SOURCE NAME TYPE[,TYPE]... [flag]...
//
// DELAY passes before each query of the line. Every {…} in NAME is replaced by
// each of its values in turn, the leftmost changing slowest:
//
//	{1..40} {01..40}   numbers, zero-padded when the first is
//	{a,b,c}            the words
//	{@NAME} {~NAME}    the words of a list in order, or shuffled (always the same way)
//	{@NAME:5:20}       its words 5 to 19, counted from 0; {@NAME:20} the first 20
//	{random:12:50}     50 labels of 12 generated letters
//	{owners:APEX}      the zone's owner names in canonical order, whole
//	{gaps:APEX:30}     30 labels whose NSEC3 hashes fall into intervals not yet disclosed
//
// A {…} in SOURCE gives the sources that the line's queries come from in rotation.
// The server answers as the zone says, with AA and RD as asked, over UDP. Flags:
//
//	rd do cookie nsid badedns tsig tcp   as in a query
//	ch                                   class CHAOS
//	opcode=N server=ADDR                 as they say
//	rcode=NAME                           another response code; a transfer with NOERROR succeeds
//	log                                  as a plain query log tells it: no response, no flags
//
// Other lines of queries: "repeat N" and "end" around lines; "check none" or
// "check DETECTOR..." compares the detectors that have raised so far, which is how
// a threshold's edge is written: check, one query more, check.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newScript(t, txtar.Parse(raw)).run()
		})
	}
}

// TestScriptsCoverDetectors holds the three kinds of cases that every detector needs.
func TestScriptsCoverDetectors(t *testing.T) {
	for _, name := range detect.Names() {
		for _, kind := range []string{"attack", "benign", "edge"} {
			if m, _ := filepath.Glob(filepath.Join("testdata", name+"-"+kind+"*.txtar")); len(m) == 0 {
				t.Errorf("testdata has no %s-%s*.txtar", name, kind)
			}
		}
	}
}

// scriptSeed keys the hashes, so that scripts mean the same every time.
const scriptSeed = 7

// scriptStart is the event time of the first query, less its delay.
var scriptStart = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// script is one file being run.
type script struct {
	t      *testing.T
	world  *world
	lists  map[string][]string
	cat    *catalog.Catalog
	engine *detect.Engine
	zones  *detect.ZoneEngine

	queries, want []string
	now           time.Time
	raised        map[string]*picket.Finding // by id
	closed        []*picket.Finding
}

func newScript(t *testing.T, ar *txtar.Archive) *script {
	s := &script{t: t, world: newWorld(), lists: make(map[string][]string), now: scriptStart, raised: make(map[string]*picket.Finding)}
	cfg := detect.Config{Sources: 1 << 12, Suspects: 512}
	var secondary, own []string
	var retired [][]byte
	for _, f := range ar.Files {
		kind, arg, _ := strings.Cut(f.Name, " ")
		lines := contentLines(string(f.Data))
		switch kind {
		case "zone":
			s.world.addZone(t, arg, lines)
		case "retired":
			for _, l := range lines {
				for _, n := range s.expand(l) {
					retired = append(retired, dnsname.MustParse(n))
				}
			}
		case "list":
			s.lists[arg] = strings.Fields(strings.Join(lines, " "))
		case "config":
			for _, l := range lines {
				key, val, _ := strings.Cut(l, " ")
				switch key {
				case "secondary":
					secondary = append(secondary, val)
				case "own":
					own = append(own, val)
				default:
					setConfig(t, &cfg, key, val)
				}
			}
		case "queries":
			s.queries = lines
		case "findings":
			s.want = lines
		default:
			t.Fatalf("unknown section %q", f.Name)
		}
	}
	s.build(cfg, secondary, own, retired)
	return s
}

func setConfig(t *testing.T, cfg *detect.Config, key, val string) {
	switch key {
	case "without-signatures":
		cfg.WithoutSignatures = true
	case "disable":
		cfg.Disabled = append(cfg.Disabled, val)
	case "idle":
		d, err := time.ParseDuration(val)
		if err != nil {
			t.Fatal(err)
		}
		cfg.EpisodeIdle = d
	default:
		t.Fatalf("unknown setting %q", key)
	}
}

// build makes the catalog and the engines.
func (s *script) build(cfg detect.Config, secondary, own []string, retired [][]byte) {
	s.cat = catalog.New(catalog.Config{Seed: scriptSeed})
	b := catalog.NewBuilder()
	for _, z := range s.world.zones {
		if err := b.AddZone(z.data); err != nil {
			s.t.Fatal(err)
		}
	}
	b.AddRetired(retired...)
	if err := s.cat.Replace(b); err != nil {
		s.t.Fatal(err)
	}
	src, err := catalog.NewSources(secondary, own)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.Seed, cfg.Order = s.cat.Hasher().Seed, s.cat
	cfg.Role = func(q *picket.Query) detect.Role {
		switch src.Role(q.Client) {
		case catalog.RoleSecondary:
			return detect.RoleSecondary
		case catalog.RoleOwn:
			return detect.RoleOwn
		}
		return detect.RoleNone
	}
	s.engine, s.zones = detect.New(cfg), detect.NewZoneEngine(cfg)
}

func contentLines(text string) (out []string) {
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			out = append(out, l)
		}
	}
	return out
}

func (s *script) run() {
	s.lines(s.queries)
	s.engine.Flush()
	s.collect()
	s.zones.Flush()
	s.zones.Drain(s.take)
	s.compare()
}

// lines runs lines, repeating blocks.
func (s *script) lines(lines []string) {
	for i := 0; i < len(lines); i++ {
		f := strings.Fields(lines[i])
		switch {
		case f[0] == "repeat":
			end := i + 1
			for end < len(lines) && lines[end] != "end" {
				end++
			}
			n, err := strconv.Atoi(f[1])
			if err != nil || end == len(lines) {
				s.t.Fatalf("%q: want repeat N … end", lines[i])
			}
			for range n {
				s.lines(lines[i+1 : end])
			}
			i = end
		case f[0] == "check":
			s.check(f[1:])
		case f[0][0] == '+':
			s.ask(f)
		default:
			s.t.Fatalf("cannot read %q", lines[i])
		}
	}
}

// check compares the detectors that have raised so far.
func (s *script) check(want []string) {
	s.t.Helper()
	var got []string
	for _, f := range s.raised {
		got = append(got, f.Detector)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if want[0] == "none" {
		want = nil
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("after %s: raised %v, want %v%s", s.now.Sub(scriptStart), got, want, s.dump())
	}
}

// ask runs one line of queries.
func (s *script) ask(f []string) {
	if len(f) < 4 {
		s.t.Fatalf("%q: want +DELAY SOURCE NAME TYPE [flag]...", strings.Join(f, " "))
	}
	delay, err := time.ParseDuration(f[0][1:])
	if err != nil {
		s.t.Fatal(err)
	}
	sources := s.expand(f[1])
	n := 0
	for _, name := range s.expand(f[2]) {
		for typ := range strings.SplitSeq(f[3], ",") {
			s.now = s.now.Add(delay)
			q := s.world.query(s.t, s.cat, sources[n%len(sources)], name, typ, f[4:])
			q.Time = s.now.UnixNano()
			s.observe(q)
			n++
		}
	}
}

// observe does for one query what the pipeline does.
func (s *script) observe(q *picket.Query) {
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	s.cat.Hasher().Sum(q.Name, &sfx)
	s.cat.Lookup(q, &sfx, &nc)
	s.engine.Observe(q, &nc, &sfx)
	s.engine.Advance(q.Time)
	s.collect()
	s.zones.Advance(q.Time)
	s.zones.Drain(s.take)
}

// collect takes what the engine has found, and hands summaries to the zone engine.
func (s *script) collect() {
	s.engine.Drain(s.take)
	s.engine.DrainSummaries(func(x *detect.Summary) { s.zones.Observe(x) })
	s.zones.Drain(s.take)
}

func (s *script) take(f *picket.Finding, closed bool) {
	sound(s.t, f)
	s.raised[f.ID] = f
	if closed {
		s.closed = append(s.closed, f)
	}
}

// sound holds what is true of every finding.
func sound(t testing.TB, f *picket.Finding) {
	t.Helper()
	switch {
	case f.ID == "" || f.Summary == "" || f.Limits == "" || len(f.Techniques) == 0 || f.Intent == "":
		t.Errorf("finding lacks its words: %+v", f)
	case f.Confidence <= 0 || f.Confidence >= 1:
		t.Errorf("confidence %v of %s", f.Confidence, f.Detector)
	case f.DetectedAtQuery < 1 || f.DetectedAtQuery > f.Queries:
		t.Errorf("%s detected at query %d of %d", f.Detector, f.DetectedAtQuery, f.Queries)
	case f.LastSeen.Before(f.FirstSeen):
		t.Errorf("%s last seen %s before first seen %s", f.Detector, f.LastSeen, f.FirstSeen)
	case f.Names < 1 || !slices.Contains(detect.Names(), f.Detector):
		t.Errorf("odd finding %+v", f)
	}
}

// compare matches the closed findings with the lines of the section.
func (s *script) compare() {
	left := slices.Clone(s.closed)
	for _, w := range s.want {
		if w == "none" {
			continue
		}
		at := slices.IndexFunc(left, func(f *picket.Finding) bool { return s.matches(w, f) })
		if at < 0 {
			s.t.Errorf("no finding: %s", w)
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, f := range left {
		s.t.Errorf("not expected: %s", brief(f))
	}
	if len(s.want) == 0 {
		s.t.Error("section findings is missing; write none if none is expected")
	}
	if s.t.Failed() {
		s.t.Log("findings:", s.dump())
	}
}

func (s *script) matches(line string, f *picket.Finding) bool {
	w := strings.Fields(line)
	if len(w) < 3 {
		s.t.Fatalf("%q: want DETECTOR SEVERITY SOURCE [key=value]...", line)
	}
	if f.Detector != w[0] || f.Severity.String() != w[1] || cmp.Or(f.Source.Prefix, "zone") != w[2] {
		return false
	}
	for _, kv := range w[3:] {
		k, v, _ := strings.Cut(kv, "=")
		var ok bool
		switch k {
		case "at":
			ok = within(s.t, v, f.DetectedAtQuery)
		case "queries":
			ok = within(s.t, v, f.Queries)
		case "names":
			ok = within(s.t, v, f.Names)
		case "intent":
			ok = f.Intent == v
		case "kind":
			ok = f.Source.Kind == v
		case "zone":
			ok = f.Zone == v
		case "spoofable":
			ok = strconv.FormatBool(f.Source.Spoofable) == v
		default:
			s.t.Fatalf("%q: unknown key %q", line, k)
		}
		if !ok {
			return false
		}
	}
	return true
}

func within(t *testing.T, text string, n int64) bool {
	lo, hi, ranged := strings.Cut(text, "..")
	if !ranged {
		hi = lo
	}
	a, err1 := strconv.ParseInt(lo, 10, 64)
	b, err2 := strconv.ParseInt(hi, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("%q: want N or MIN..MAX", text)
	}
	return a <= n && n <= b
}

func brief(f *picket.Finding) string {
	return fmt.Sprintf("%s %s %s at=%d queries=%d names=%d intent=%s kind=%s zone=%s spoofable=%t", f.Detector, f.Severity,
		cmp.Or(f.Source.Prefix, "zone"), f.DetectedAtQuery, f.Queries, f.Names, f.Intent, f.Source.Kind, f.Zone, f.Source.Spoofable)
}

func (s *script) dump() string {
	var b strings.Builder
	for _, f := range s.raised {
		fmt.Fprintf(&b, "\n\t%s %v", brief(f), f.Evidence.Features)
	}
	return b.String()
}
