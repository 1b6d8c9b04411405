package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
	"github.com/picket-dns/picket/internal/pickettest"
)

// testKey is a key in the form that picket privacy key writes.
const testKey = "1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202"

// newKey writes the key of a test.
func newKey(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "pseudonyms.key")
	if err := writeKey(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScanPseudonymised: detectors find the same over pseudonyms, whatever the kind
// of source, and nobody else.
func TestScanPseudonymised(t *testing.T) {
	dir := pickettest.Shared(t, "recon")
	key := newKey(t, t.TempDir())
	m, err := loadKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	zones, err := filepath.Glob(filepath.Join(dir, "zones", "*.zone"))
	if err != nil || len(zones) == 0 {
		t.Fatal(zones, err)
	}
	var known []string
	for _, z := range zones {
		known = append(known, "--zone-file", z)
	}
	known = append(known, "--retired", filepath.Join(dir, "zones", "corp-a.example.retired.txt"), "--secondary", "10.53.0.2")
	for file, found := range map[string]bool{
		"vis-dnsrecon-std":      true,  // asks directly
		"vis-dnsrecon-brt":      true,  // likewise
		"vis-nmap-dnsbrute-res": true,  // through resolvers
		"vis-fierce-range":      true,  // sweeps addresses
		"vis-dig-axfr-open":     true,  // transfers the zone
		"vis-benign-secondary":  false, // does, too, and is listed
		"vis-benign-mail":       false,
		"vis-benign-web":        false,
	} {
		t.Run(file, func(t *testing.T) {
			capture := filepath.Join(dir, "captures", file+".pcap.gz")
			plain, _ := scanned(t, append(slices.Clone(known), capture)...)
			mapped, _ := scanned(t, append(slices.Clone(known), "--pseudonymise", key, capture)...)
			if found != slices.ContainsFunc(plain, func(f picket.Finding) bool { return f.Severity > picket.SeverityInformational }) {
				t.Errorf("plain: %+v", plain)
			}
			for i := range mapped {
				f := &mapped[i]
				given, err := netip.ParsePrefix(f.Source.Prefix)
				if err != nil {
					continue // of a zone, not of a source
				}
				source := m.RevealPrefix(given).String()
				if source == f.Source.Prefix {
					t.Errorf("%s is no pseudonym", source)
				}
				// Its words speak of the source, too.
				text, err := json.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				for from, to := range map[string]string{given.String(): source, given.Addr().String(): m.Reveal(given.Addr()).String()} {
					text = bytes.ReplaceAll(text, []byte(from), []byte(to))
				}
				*f = picket.Finding{}
				if err := json.Unmarshal(text, f); err != nil {
					t.Fatal(err)
				}
			}
			for _, list := range [][]picket.Finding{plain, mapped} {
				for i := range list {
					list[i].ID = "" // is made of the source
				}
				slices.SortFunc(list, func(a, b picket.Finding) int {
					return strings.Compare(a.Detector+a.Zone+a.Source.Prefix, b.Detector+b.Zone+b.Source.Prefix)
				})
			}
			if !reflect.DeepEqual(plain, mapped) {
				a, _ := json.MarshalIndent(plain, "", " ")
				b, _ := json.MarshalIndent(mapped, "", " ")
				t.Errorf("plain:\n%s\npseudonymised:\n%s", a, b)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	key := newKey(t, dir)
	if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := writeKey(key); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Errorf("overwritten: %v", err)
	}
	if _, err := loadKey(key, data); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	inside := write("data/key", string(text), 0o600)
	if err := os.Symlink(inside, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):            "no such file",
		write("group", string(text), 0o640):   "chmod 600",
		write("world", string(text), 0o604):   "chmod 600",
		write("short", "secret", 0o600):       "want 32 bytes",
		write("empty", "", 0o600):             "key file",
		write("long", testKey+testKey, 0o600): "want 32 bytes",
		inside:                                "in the data directory",
		link:                                  "in the data directory",
		data:                                  "key file",
	} {
		_, err := loadKey(path, data)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestPrivacyConfig(t *testing.T) {
	for yaml, want := range map[string]string{
		"privacy: {pseudonymise: true}":       "p.yaml:1: privacy: pseudonymise needs key_file",
		"privacy:\n  key_file: data/x.key":    "p.yaml:2: privacy.key_file:",
		"privacy:\n  roles:\n    analyst: []": "p.yaml:3: privacy.roles: role analyst needs",
		"privacy:\n  roles: {analyst: alice}": "p.yaml:2: privacy.roles.analyst: want a list",
		"retention:\n  signals: -1h":          "p.yaml:2: retention.signals:",
		"retention:\n  quarantine: 3":         "p.yaml:2: retention.quarantine:",
	} {
		if _, err := parseConfig("p.yaml", []byte(yaml)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
	c, err := parseConfig("p.yaml", []byte("retention: {events: 24h, assets: 0s}"))
	if err != nil || c.Retention.AdminEvents != 24*time.Hour || c.Retention.Signals != 24*time.Hour || c.Retention.Assets != 0 {
		t.Errorf("%+v, %v", c.Retention, err)
	}
}

// me is the user of the test.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// entries reads the ledger's entries of a kind.
func entries(t *testing.T, dir, kind string) (list []string) {
	t.Helper()
	s, err := duckdb.OpenReadOnly(t.Context(), duckdb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.VerifyLedger(t.Context()); err != nil {
		t.Error(err)
	}
	all, err := s.Ledger(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == kind {
			list = append(list, string(e.Payload))
		}
	}
	return list
}

// TestPseudonymise: a daemon with the key keeps no address of who asked, finds what
// it should, and answers whose a pseudonym is to who may ask, after writing it down.
func TestPseudonymise(t *testing.T) {
	t.Setenv("SUDO_USER", "")
	const client = "198.51.100.31"
	c := newChild(t, zoneYAML(t)+`inputs:
  - {name: lines, unix: lines.sock, format: ndjson}
privacy:
  pseudonymise: true
  key_file: pseudonyms.key
  roles: {analyst: [`+me(t)+`], other: [nobody-at-all]}
`)
	m, err := loadKey(newKey(t, c.dir), "")
	if err != nil {
		t.Fatal(err)
	}
	pseudonym := m.Pseudonym(netip.MustParseAddr(client)).String()
	c.start()
	conn := c.dial("unix", c.path("lines.sock"))
	write(t, conn, append(guesses(client, 400, time.Now()), "{\"client\":\""+client+"\"}\n"...))
	conn.Close()
	c.kept("lines", 1)
	c.until("it is found", func() bool {
		return strings.Contains(c.picket(exitOK, "findings", "-o", "ndjson"), `"prefix":"`+pseudonym+`/32"`)
	})
	if out := c.picket(exitOK, "quarantine", "list", "--input", "lines"); strings.Contains(out, client) || !strings.Contains(out, "lines") {
		t.Errorf("quarantine:\n%s", out)
	}
	if out := c.picket(exitOK, "quarantine", "replay", "--input", "lines", "--all"); !strings.Contains(out, "rejected again 1") {
		t.Errorf("replay: %s", out)
	}

	ask := func(code int, args ...string) string {
		return c.picket(code, append([]string{"reidentify"}, args...)...)
	}
	for want, args := range map[string][]string{
		"does not have the role": {"--case", "7", "--role", "other", "--reason", "r", pseudonym},
		"no role":                {"--case", "7", "--role", "nobody", "--reason", "r", pseudonym},
		"a case and a reason":    {"--case", " ", "--role", "analyst", "--reason", "r", pseudonym},
	} {
		if out := ask(exitSome, args...); !strings.Contains(out, want) || strings.Contains(out, client) {
			t.Errorf("%q: %s", args, out)
		}
	}
	for _, args := range [][]string{{"--case", "7", "--role", "analyst", pseudonym}, {"--case", "7", "--role", "analyst", "--reason", "r", "x"}} {
		if out := ask(exitUsage, args...); strings.Contains(out, client) {
			t.Errorf("%q: %s", args, out)
		}
	}
	if out := ask(exitOK, "--case", "7", "--role", "analyst", "--reason", "whose is it", pseudonym); out != pseudonym+"\t"+client+"\n" {
		t.Errorf("answered %q", out)
	}

	// Legal holds and the account of what is kept go through the daemon, too.
	if out := c.picket(exitOK, "hold", "add", "--kind", "query", "--from", "2026-01-01", "--to", "2026-02-01", "--reason", "case 7"); out != "hold 1 on query from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z\n" {
		t.Errorf("hold add: %q", out)
	}
	if out := c.picket(exitSome, "hold", "add", "--kind", "everything", "--from", "2026-01-01", "--to", "2026-02-01", "--reason", "case 7"); !strings.Contains(out, "no kind") {
		t.Errorf("hold add: %s", out)
	}
	if out := c.picket(exitOK, "hold", "list"); !strings.Contains(out, me(t)) || !strings.Contains(out, "case 7") {
		t.Errorf("hold list:\n%s", out)
	}
	if out := c.picket(exitOK, "retention"); !strings.Contains(out, "query        30 days") || !strings.Contains(out, "finding      for ever") {
		t.Errorf("retention:\n%s", out)
	}
	c.stop()

	// Without the daemon.
	if out := ask(exitOK, "--case", "8", "--role", "analyst", "--reason", "which network", m.Prefix(netip.MustParsePrefix("198.51.100.0/24")).String()); !strings.HasSuffix(out, "\t198.51.100.0/24\n") {
		t.Errorf("answered %q", out)
	}
	if out := c.picket(exitOK, "hold", "release", "--reason", "closed", "1"); out != "hold 1 is released\n" {
		t.Errorf("hold release: %q", out)
	}
	if out := c.picket(exitSome, "hold", "release", "--reason", "closed", "1"); !strings.Contains(out, "not found") {
		t.Errorf("hold release: %s", out)
	}
	if out := c.picket(exitOK, "hold", "list"); out != "" {
		t.Errorf("hold list: %s", out)
	}
	if out := c.picket(exitOK, "retention", "-o", "ndjson"); !strings.Contains(out, `"kind":"query"`) {
		t.Errorf("retention: %s", out)
	}
	data := c.path("data")
	got := entries(t, data, ledgerReidentified)
	want := []string{
		fmt.Sprintf(`{"by":%q,"case":"7","pseudonyms":[%q],"reason":"whose is it","role":"analyst"}`, me(t), pseudonym),
		fmt.Sprintf(`{"by":%q,"case":"8","pseudonyms":[%q],"reason":"which network","role":"analyst"}`, me(t), m.Prefix(netip.MustParsePrefix("198.51.100.0/24"))),
	}
	if !slices.Equal(got, want) {
		t.Errorf("ledger %q, want %q", got, want)
	}
	if got := entries(t, data, duckdb.LedgerHoldReleased); len(got) != 1 || !strings.Contains(got[0], `"reason":"closed"`) {
		t.Errorf("ledger: %q", got)
	}
	noAddress(t, data, client)
}

// noAddress: an address is nowhere in a data directory, as text or in a query.
func noAddress(t *testing.T, dir, addr string) {
	t.Helper()
	s, err := duckdb.OpenReadOnly(t.Context(), duckdb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Queries(t.Context(), duckdb.QueryFilter{Limit: 1000})
	if err != nil || len(list) != 400 {
		t.Errorf("%d queries, %v", len(list), err)
	}
	for _, q := range list {
		if q.Client == addr || q.Client == "" {
			t.Errorf("stored client %q", q.Client)
		}
	}
	s.Close()
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(addr)) {
			t.Errorf("%s has the address", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestReidentifyNeedsEntry: when the ledger cannot be written there is no answer.
func TestReidentifyNeedsEntry(t *testing.T) {
	dir := t.TempDir()
	m, err := loadKey(newKey(t, dir), "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := duckdb.Open(t.Context(), duckdb.Options{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	c := custody{store: s, privacy: &privacy{cfg: privacyConfig{Roles: map[string][]string{"analyst": {"alice"}}}, mapper: m}, who: person{Name: "alice"}}
	r := reidentifyRequest{Case: "7", Role: "analyst", Reason: "r", Addresses: []string{"192.0.2.7"}}
	if list, err := c.reidentify(t.Context(), r); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	c.who = person{Name: "bob", As: "root"}
	if list, err := c.reidentify(t.Context(), r); err == nil || list != nil {
		t.Errorf("bob got %v", list)
	}
	c.who = person{Name: "alice"}
	s.Close()
	if list, err := c.reidentify(context.Background(), r); err == nil || list != nil {
		t.Errorf("without the ledger: %v", list)
	}
}

func TestPersonOf(t *testing.T) {
	uid, name := os.Geteuid(), me(t)
	if got := personOf(uid, "alice"); got != (person{Name: "alice", As: name}) {
		t.Errorf("own account: %+v", got)
	}
	if got := personOf(uid, ""); got != (person{Name: name}) {
		t.Errorf("without sudo: %+v", got)
	}
	if got := personOf(54321, "alice"); got != (person{Name: "54321"}) {
		t.Errorf("another account is believed: %+v", got)
	}
}
