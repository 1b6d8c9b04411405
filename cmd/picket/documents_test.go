package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// TestUndated: keys of one export have the same rest, day after day, and those of two do not.
func TestUndated(t *testing.T) {
	for key, want := range map[string]string{
		"export-2026-11-01.json":                                  "export-*.json",
		"export-20261101T131415Z.json":                            "export-*.json",
		"export_2026-11-01_13-14-15.json.gz":                      "export_*.json.gz",
		"dns/2026/11/01/zone.txt":                                 "dns/*/zone.txt",
		"dns/2026/11/01/13/zone.txt":                              "dns/*/zone.txt",
		"dns/year=2026/month=11/day=01/a.json":                    "dns/*/a.json",
		"dns/dt=2026-11-01/a.json":                                "dns/*/a.json",
		"1793880000-example.org.json":                             "*-example.org.json",
		"dns/0b3cbb6e-8c1c-4d4e-9f0e-2f7f0f6f9a11.json":           "dns/*.json",
		"2026-11-01T00:00:00.123+01:00/internal/example.org.zone": "*/internal/example.org.zone",
		"2026-11-01/external/example.org.zone":                    "*/external/example.org.zone",
		"example.org.zone":                                        "example.org.zone",
		"view1/example.org.zone":                                  "view1/example.org.zone",
		"2.0.192.in-addr.arpa.zone":                               "2.0.192.in-addr.arpa.zone",
		"8.b.d.0.1.0.0.2.ip6.arpa":                                "8.b.d.0.1.0.0.2.ip6.arpa",
		"serial-120261101.json":                                   "serial-120261101.json",
		"export-2026-13-41.json":                                  "export-2026-13-41.json",
		"":                                                        "",
	} {
		if got := undated(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// zoneDocuments is a daemon with a folder, a bucket, a repository and a way to push.
type zoneDocuments struct {
	*child
	s3   *s3Store
	push string
}

func newZoneDocuments(t *testing.T) *zoneDocuments {
	d := &zoneDocuments{s3: startS3(t, "zones"), push: freeAddr(t)}
	d.child = newChild(t, "")
	text, err := os.ReadFile(d.config())
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(text, `inputs:
  - {name: files, format: zone-file, file: "zones/*.zone"}
  - {name: objects, format: zone-file, %s, poll: 1s}}
  - {name: repo, format: zone-file, git: {repository: repo, poll: 1s}}
  - {name: push, http: {address: %q}}
`, d.s3.yaml(d.dir, "zones", "dns/"), d.push)
	if err := os.WriteFile(d.config(), text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"zones", "repo"} {
		if err := os.Mkdir(d.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// file writes a file as a whole.
func (d *zoneDocuments) file(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path("new"), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(d.path("new"), d.path(name)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *zoneDocuments) object(key, text string) {
	d.t.Helper()
	if err := d.s3.put("zones", key, []byte(text)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *zoneDocuments) removeObject(key string) {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, d.s3.endpoint+"/zones/"+key, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		d.t.Fatal(resp.Status)
	}
}

func (d *zoneDocuments) git(args ...string) {
	d.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", d.path("repo"), "-c", "user.name=A. Uthor", "-c", "user.email=a@example.org"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("git %q: %v: %s", args, err, out)
	}
}

func (d *zoneDocuments) send(path, text string) {
	d.t.Helper()
	resp, err := http.Post("http://"+d.push+"/"+path, "text/plain", strings.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s", resp.Status, answer)
	}
}

// gone waits until the API says that a name of an input is there no more.
func (d *zoneDocuments) gone(input, name string) {
	d.t.Helper()
	d.until(name+" of "+input+" is gone", func() bool {
		text, err := d.get("/api/names/" + name + "?source=" + input)
		return err == nil && strings.Contains(text, `"until"`)
	})
}

// history tells lives and changes of an input as lines.
func documentHistory(t *testing.T, store *duckdb.Store, input string) (lives, changes []string) {
	t.Helper()
	list, _, err := store.Lives(t.Context(), picket.HistoryFilter{Source: input})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		text := fmt.Sprintf("%s %s %s %s", l.Name, l.Type, l.Data, l.Scope)
		if !l.Until.IsZero() {
			text += " gone"
		}
		lives = append(lives, text)
	}
	all, _, err := store.Changes(t.Context(), picket.HistoryFilter{Source: input})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		changes = append(changes, strings.TrimSpace(fmt.Sprintf("%s %s %q > %q %s", c.Name, c.Type, c.Old, c.New, c.Comment)))
	}
	return lives, changes
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestDocumentsGone: a zone file that is removed, an object that is deleted and a file that a
// commit removes end their records, and nothing else. A folder that vanishes and a listing
// that is empty end nothing, and are said.
func TestDocumentsGone(t *testing.T) {
	d := newZoneDocuments(t)
	a, b := zoneOf(1, "a A 192.0.2.1"), strings.ReplaceAll(zoneOf(1, "b A 192.0.2.2"), "example.org", "example.net")
	d.git("init", "-q")
	for _, x := range []string{"zones", "repo"} {
		d.file(x+"/a.zone", a)
		d.file(x+"/b.zone", b)
	}
	d.git("add", ".")
	d.git("commit", "-q", "-m", "Both")
	d.object("dns/a.zone", a)
	d.object("dns/b.zone", b)
	d.start()
	for _, in := range []string{"files", "objects", "repo"} {
		d.accepted(in, 4)
	}
	begun := time.Now()
	if err := os.Remove(d.path("zones/a.zone")); err != nil {
		t.Fatal(err)
	}
	d.removeObject("dns/a.zone")
	d.git("rm", "-q", "a.zone")
	d.git("commit", "-q", "-m", "Give up example.org")
	for _, in := range []string{"files", "objects", "repo"} {
		d.gone(in, "a.example.org.")
	}
	text := d.picket(0, "names", "a.example.org")
	for _, want := range []string{"files", "zones/a.zone", "dns/a.zone", time.Now().UTC().Format("2006-01-02")} {
		if !strings.Contains(text, want) {
			t.Errorf("picket names has no %q:\n%s", want, text)
		}
	}
	// They come back as they were: a second life.
	d.file("zones/a.zone", a)
	d.object("dns/a.zone", a)
	d.accepted("files", 6)
	d.accepted("objects", 6)

	// Nothing of this is a deletion.
	if err := os.Rename(d.path("zones"), d.path("away")); err != nil {
		t.Fatal(err)
	}
	d.removeObject("dns/a.zone")
	d.removeObject("dns/b.zone")
	for _, want := range []string{"its folder cannot be read: ", `the listing of \"dns/\" is empty, and had 2 documents; taken for a broken feed, not for deletions: nothing ends`} {
		d.until(want, func() bool { return strings.Contains(d.log.String(), want) })
	}
	time.Sleep(goneAfter + 2*lookForGone)
	d.stop()

	store := d.store()
	for input, dir := range map[string]string{"files": d.path("zones") + "/", "objects": "dns/"} {
		lives, changes := documentHistory(t, store, input)
		wantLines(t, "lives of "+input, lives, []string{"a.example.org. A 192.0.2.1 " + dir + "a.zone gone", "a.example.org. A 192.0.2.1 " + dir + "a.zone", "b.example.net. A 192.0.2.2 " + dir + "b.zone"})
		wantLines(t, "changes of "+input, changes, []string{`a.example.org. A [] > ["192.0.2.1"]`, `a.example.org. A ["192.0.2.1"] > [] the document is gone`})
		list, _, err := store.Lives(t.Context(), picket.HistoryFilter{Source: input, Name: "a.example.org."})
		if err != nil || len(list) != 2 || list[0].Until.Before(begun) || list[0].Until.After(time.Now()) || !list[1].Began {
			t.Errorf("%+v %v", list, err)
		}
	}
	lives, changes := documentHistory(t, store, "repo")
	wantLines(t, "lives of the repository", lives, []string{"a.example.org. A 192.0.2.1  gone", "b.example.net. A 192.0.2.2 "})
	if len(changes) == 0 || changes[0] != `a.example.org. A ["192.0.2.1"] > [] Give up example.org` {
		t.Errorf("%q", changes)
	}
}

// TestExportsByDate: objects whose keys have dates in them are states of the same zone. One that
// is older than what is known is left out, whenever it comes, and one that expires ends nothing.
// A change batch that replaces says what was before.
func TestExportsByDate(t *testing.T) {
	d := newZoneDocuments(t)
	d.git("init", "-q")
	d.object("dns/2026/11/01/zone.txt", zoneOf(1, "www A 192.0.2.1", "old A 192.0.2.7"))
	d.object("dns/2026/11/02/zone.txt", zoneOf(2, "www A 192.0.2.2"))
	d.object("dns/2026/11/02/net.txt", strings.ReplaceAll(zoneOf(1, "www A 192.0.2.3"), "example.org", "example.net"))
	d.start()
	d.accepted("objects", 3+2+2)
	d.object("dns/2026/11/03/zone.txt", zoneOf(3, "www A 192.0.2.2", "new A 192.0.2.8"))
	d.accepted("objects", 7+3)
	d.removeObject("dns/2026/11/01/zone.txt")
	d.removeObject("dns/2026/11/02/zone.txt")
	d.removeObject("dns/2026/11/02/net.txt")
	d.send("org", zoneOf(1, "www A 192.0.2.1", "www A 192.0.2.2", "mail A 192.0.2.3"))
	d.send("org", `{"Changes":[{"Action":"UPSERT","ResourceRecordSet":{"Name":"www.example.org","Type":"A","TTL":60,"ResourceRecords":[{"Value":"192.0.2.9"}]}}]}`)
	time.Sleep(3 * time.Second) // a few listings
	d.stop()
	store := d.store()
	lives, changes := documentHistory(t, store, "objects")
	wantLines(t, "lives", lives, []string{
		"new.example.org. A 192.0.2.8 zone-file dns/*/zone.txt",
		"old.example.org. A 192.0.2.7 zone-file dns/*/zone.txt gone",
		"www.example.net. A 192.0.2.3 zone-file dns/*/net.txt",
		"www.example.org. A 192.0.2.1 zone-file dns/*/zone.txt gone",
		"www.example.org. A 192.0.2.2 zone-file dns/*/zone.txt"})
	wantLines(t, "changes", changes, []string{
		`new.example.org. A [] > ["192.0.2.8"]`,
		`www.example.org. A ["192.0.2.1"] > ["192.0.2.2"]`,
		`old.example.org. A ["192.0.2.7"] > []`})
	lives, changes = documentHistory(t, store, "push")
	wantLines(t, "lives by push", lives, []string{"mail.example.org. A 192.0.2.3 org", "www.example.org. A 192.0.2.1 org gone", "www.example.org. A 192.0.2.2 org gone", "www.example.org. A 192.0.2.9 org"})
	wantLines(t, "changes by push", changes, []string{`www.example.org. A ["192.0.2.1" "192.0.2.2"] > ["192.0.2.9"]`})
}

// TestKafkaDocumentDeleted: a message without a value ends the document of its key, and no other.
func TestKafkaDocumentDeleted(t *testing.T) {
	d := newChild(t, "")
	text, err := os.ReadFile(d.config())
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(text, "inputs:\n  - {name: topic, format: zone-file, %s}\n", yamlKafka(t, d.dir))
	if err := os.WriteFile(d.config(), text, 0o644); err != nil {
		t.Fatal(err)
	}
	brokers, err := os.ReadFile(d.path("brokers"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(string(brokers), ",")...), kgo.DefaultProduceTopic("dns"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for _, r := range []*kgo.Record{
		{Key: []byte("org"), Value: []byte(zoneOf(1, "a A 192.0.2.1")), Timestamp: at},
		{Key: []byte("net"), Value: []byte(strings.ReplaceAll(zoneOf(1, "b A 192.0.2.2"), "example.org", "example.net")), Timestamp: at},
		{Key: []byte("org"), Timestamp: at.Add(time.Hour)},
		{Timestamp: at.Add(time.Hour)}, // of nothing
	} {
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	d.until("the document is gone", func() bool {
		text, err := d.get("/api/names/a.example.org.?source=topic")
		return err == nil && strings.Contains(text, `"until":"2026-03-02T11:00:00Z"`)
	})
	d.accepted("topic", 4)
	d.stop()
	store := d.store()
	lives, changes := documentHistory(t, store, "topic")
	wantLines(t, "lives", lives, []string{"a.example.org. A 192.0.2.1 org gone", "b.example.net. A 192.0.2.2 net"})
	wantLines(t, "changes", changes, []string{`a.example.org. A ["192.0.2.1"] > [] the document was deleted`})
}
