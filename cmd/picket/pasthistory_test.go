package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/pickettest"
)

// recorder records states of zones into a store as an input does.
type recorder struct {
	t     *testing.T
	store *duckdb.Store
	input picket.InputState
}

func newRecorder(t *testing.T, dir string) *recorder {
	t.Helper()
	s, err := duckdb.Open(t.Context(), duckdb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.OpenInput(t.Context(), "primary", true)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{t, s, in}
}

// whole records all that a zone held at a time.
func (r *recorder) whole(zone string, at time.Time, records []picket.Record) {
	r.t.Helper()
	delivery := r.store.LastDelivery() + 1
	if err := r.store.AppendRecords(r.t.Context(), picket.Origin{Input: r.input.ID, Delivery: delivery}, records); err != nil {
		r.t.Fatal(err)
	}
	err := r.store.CommitIntake(r.t.Context(), &picket.IntakeCommit{Input: r.input.ID, Delivery: delivery, Closed: delivery,
		Add:     picket.InputCounts{Accepted: int64(len(records))},
		Records: &picket.RecordObservation{Source: "primary", Zone: zone, Method: picket.MethodTransfer, Time: at, Whole: true}})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *recorder) close() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// zoneRecords reads the records of a zone file.
func zoneRecords(t *testing.T, path, zone string) (list []picket.Record) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := dns.NewZoneParser(f, zone, path)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		h := rr.Header()
		list = append(list, picket.Record{Zone: zone, Name: strings.ToLower(h.Name), Type: dns.TypeToString[h.Rrtype], Class: "IN", TTL: int64(h.Ttl),
			Data: strings.TrimPrefix(rr.String(), h.String())})
	}
	if err := p.Err(); err != nil || len(list) == 0 {
		t.Fatalf("%s: %d records, %v", path, len(list), err)
	}
	return list
}

// scanned runs picket scan and returns its findings and what it says besides.
func scanned(t *testing.T, args ...string) (list []picket.Finding, notes string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.WithoutCancel(t.Context()), append([]string{"scan", "-o", "ndjson"}, args...), nil, &out, &errs); code != exitOK {
		t.Fatalf("scan %s: exit %d: %s", args, code, errs.String())
	}
	for dec := json.NewDecoder(&out); dec.More(); {
		var f picket.Finding
		if err := dec.Decode(&f); err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list, errs.String()
}

func about(list []picket.Finding, detector string) *picket.Finding {
	i := slices.IndexFunc(list, func(f picket.Finding) bool { return f.Detector == detector })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// TestScanFindsRetiredNamesByHistory takes the captures in which somebody checks
// what passive DNS has told him, and records an older state of the zone, that had
// the retired names, and then the one of today: scan finds with --history alone
// what it finds with the zone file and the list of retired names.
func TestScanFindsRetiredNamesByHistory(t *testing.T) {
	dir := pickettest.Shared(t, "recon")
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var captures []struct {
		File, Zone, Technique string
		Start                 time.Time
		Actors                []string `json:"actor_addresses"`
	}
	if err := json.Unmarshal(raw, &captures); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range captures {
		if e.Technique != "pdns-validation" {
			continue
		}
		checked++
		t.Run(filepath.Base(e.File), func(t *testing.T) {
			capture, zone := filepath.Join(dir, e.File), e.Zone+"."
			file, listed := filepath.Join(dir, "zones", e.Zone+".zone"), filepath.Join(dir, "zones", e.Zone+".retired.txt")
			present := zoneRecords(t, file, zone)
			old := slices.Clone(present)
			text, err := os.ReadFile(listed)
			if err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join(t.TempDir(), "retired.txt") // what the catalog takes of the past: no challenges
			var lines []string
			for i, name := range strings.Fields(string(text)) {
				if !strings.Contains(name, "_acme-challenge") {
					lines = append(lines, name)
				}
				old = append(old, picket.Record{Zone: zone, Name: name + ".", Type: "A", Class: "IN", TTL: 300, Data: fmt.Sprintf("192.0.2.%d", 1+i%250)})
			}
			if err := os.WriteFile(kept, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			r := newRecorder(t, data)
			r.whole(zone, e.Start.AddDate(0, -2, 0), old)
			r.whole(zone, e.Start.AddDate(0, -1, 0), present)
			r.close()

			want, _ := scanned(t, "--zone-file", file, "--retired", kept, capture)
			by, notes := scanned(t, "--history", data, capture)
			given, got := about(want, "retired-names"), about(by, "retired-names")
			if given == nil || got == nil {
				t.Fatalf("by files %v, by history %v; %s", given, got, notes)
			}
			actor := netip.MustParseAddr(e.Actors[0])
			if p := netip.MustParsePrefix(got.Source.Prefix); got.Zone != zone || !p.Contains(actor) || !p.IsSingleIP() || got.Intent != "targeted" || got.Severity < picket.SeverityMedium {
				t.Errorf("finding %+v", got)
			}
			if got.ID != given.ID || got.DetectedAtQuery != given.DetectedAtQuery || got.Severity != given.Severity || got.Summary != given.Summary {
				t.Errorf("by history %s at query %d (%v): %s; by files %s at query %d (%v): %s", got.ID, got.DetectedAtQuery, got.Severity, got.Summary,
					given.ID, given.DetectedAtQuery, given.Severity, given.Summary)
			}
			if len(by) != len(want) {
				t.Errorf("%d findings by history, %d by files", len(by), len(want))
			}
			if !strings.Contains(notes, fmt.Sprintf(": 1 zones, %d names that have lived\n", len(lines))) || strings.Contains(notes, "retired-names (no retired names given)") {
				t.Errorf("notes: %s", notes)
			}
			for _, args := range [][]string{{capture}, {"--zone-file", file, capture}} {
				if list, notes := scanned(t, args...); about(list, "retired-names") != nil || !strings.Contains(notes, "retired-names (no retired names given)") {
					t.Errorf("scan %s finds retired names without any: %v; %s", args, list, notes)
				}
			}
			// The file decides what lives, the history what has lived.
			both, notes := scanned(t, "--history", data, "--zone-file", file, capture)
			if f := about(both, "retired-names"); f == nil || f.ID != given.ID || !strings.Contains(notes, "of zone "+zone+" the zone file "+file+" counts") {
				t.Errorf("with both: %+v; %s", f, notes)
			}
		})
	}
	if checked == 0 {
		t.Error("no capture of passive-DNS validation")
	}
}

func TestScanHistoryOfNoStore(t *testing.T) {
	for _, dir := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"scan", "--history", dir, filepath.Join("testdata", "data", "verify.ndjson")}, nil, &out, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), "--history "+dir+": ") {
			t.Errorf("exit %d: %s", code, errs.String())
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s holds %v now", dir, entries)
		}
	}
}

func TestChangesAndNames(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "picket.yaml")
	if err := os.WriteFile(config, []byte("data_dir: "+filepath.Join(dir, "data")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 17, 12, 0, 0, 0, time.UTC)
	record := func(name, typ, data string) picket.Record {
		return picket.Record{Zone: "example.com.", Name: name, Type: typ, Class: "IN", TTL: 300, Data: data}
	}
	soa := func(serial string) picket.Record {
		return record("example.com.", "SOA", "ns.example.com. h.example.com. "+serial+" 2 3 4 5")
	}
	r := newRecorder(t, filepath.Join(dir, "data"))
	r.whole("example.com.", at, []picket.Record{soa("1"), record("www.example.com.", "A", "192.0.2.1"), record("old.example.com.", "TXT", `"\027[31mred"`)})
	r.whole("example.com.", at.Add(time.Hour), []picket.Record{soa("2"), record("www.example.com.", "A", "192.0.2.2")})
	r.close()
	picketRun := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append(args, "-c", config), nil, &out, &errs); code != want {
			t.Fatalf("%s: exit %d: %s", args, code, errs.String())
		}
		return out.String() + errs.String()
	}
	fields := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	table := fields(picketRun(exitOK, "changes"))
	for _, want := range []string{"TIME ZONE NAME TYPE OLD -> NEW SERIAL SOURCE WHO",
		"2026-03-17T13:00:00Z example.com. www.example.com. A 192.0.2.1 -> 192.0.2.2 1 -> 2 primary -",
		`2026-03-17T13:00:00Z example.com. old.example.com. TXT "\027[31mred" -> (none) 1 -> 2 primary -`, "changes: 2 of 2"} {
		if !strings.Contains(table, want) {
			t.Errorf("changes lack %q:\n%s", want, table)
		}
	}
	if text := picketRun(exitOK, "changes", "--name", "EXAMPLE.com", "--below", "--type", "a", "-o", "ndjson"); strings.Count(text, `"new":["192.0.2.2"]`) != 1 || !strings.Contains(text, "changes: 1 of 1") {
		t.Errorf("changes of addresses: %s", text)
	}
	if text := picketRun(exitOK, "changes", "--limit", "1", "-o", "ndjson"); !strings.Contains(text, "changes: 1 of 2") {
		t.Errorf("one change: %s", text)
	}
	if text := picketRun(exitOK, "changes", "--until", "2026-03-17T13:00:00Z"); !strings.Contains(text, "changes: 0 of 0") {
		t.Errorf("no change: %s", text)
	}
	lives := fields(picketRun(exitOK, "names", "example.com", "--below"))
	for _, want := range []string{"www.example.com. A 192.0.2.1 before 2026-03-17T12:00:00Z 2026-03-17T13:00:00Z primary transfer",
		"www.example.com. A 192.0.2.2 2026-03-17T13:00:00Z there now primary transfer", "names: 3 of 3 life lines"} {
		if !strings.Contains(lives, want) {
			t.Errorf("life lines lack %q:\n%s", want, lives)
		}
	}
	if text := picketRun(exitOK, "names", "www.example.com", "--living", "-o", "ndjson"); strings.Count(text, "\n") != 2 || !strings.Contains(text, `"data":"192.0.2.2"`) {
		t.Errorf("living: %s", text)
	}
	for _, args := range [][]string{{"changes", "-o", "xml"}, {"changes", "--since", "yesterday"}, {"changes", "--limit", "0"}, {"changes", "--below"}, {"names"}, {"names", "x", "-o", "csv"}} {
		picketRun(exitUsage, args...)
	}
}

// TestDaemonKnowsThePast starts the daemon on a data directory with a past: the zone
// is watched, its retired names count, and the commands ask the daemon.
func TestDaemonKnowsThePast(t *testing.T) {
	c := newChild(t, "")
	at := time.Now().AddDate(0, -1, 0)
	record := func(name string) picket.Record {
		return picket.Record{Zone: "example.com.", Name: name, Type: "A", Class: "IN", TTL: 300, Data: "192.0.2.1"}
	}
	r := newRecorder(t, c.path("data"))
	r.whole("example.com.", at, []picket.Record{record("example.com."), record("www.example.com."), record("old.example.com."), record("older.example.com.")})
	r.whole("example.com.", at.Add(time.Hour), []picket.Record{record("example.com."), record("www.example.com.")})
	r.close()
	c.start()
	text, err := c.get("/api/watched")
	if err != nil || !strings.Contains(text, `"name":"example.com.","inferred":false`) || !strings.Contains(text, `"live":2,"retired":2}`) {
		t.Errorf("watched: %v %s", err, text)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"changes", "-c", c.config()}, nil, &out, &errs); code != exitOK || strings.Count(out.String(), "192.0.2.1 -> (none)") != 2 {
		t.Errorf("changes: exit %d: %s%s", code, out.String(), errs.String())
	}
	if page, err := c.get("/changes?zone=example.com"); err != nil || !strings.Contains(page, "/names?name=older.example.com.") {
		t.Errorf("page: %v %s", err, page)
	}
	if page, err := c.get("/names?name=older.example.com"); err != nil || !strings.Contains(page, "Gone: the last record went") {
		t.Errorf("page: %v %s", err, page)
	}
	c.stop()
}

func TestCells(t *testing.T) {
	for text, want := range map[string]string{"": "-", "a b": "a b", "\x1b[31m\u202e\xff": `\027[31m\226\128\174\255`, `\000.example.`: `\000.example.`,
		strings.Repeat("x", 100): strings.Repeat("x", 72) + "..."} {
		if got := cell(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
