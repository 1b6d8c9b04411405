package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
)

// zoneOf is a zone file of example.org. with a serial and further lines.
func zoneOf(serial int, lines ...string) string {
	return fmt.Sprintf("$ORIGIN example.org.\n$TTL 300\n@ SOA ns1 root %d 7200 3600 1209600 300\n", serial) + strings.Join(lines, "\n") + "\n"
}

// TestDaemonZoneHistory: what becomes of zones by each way in which they come. Their
// documents are edited, pushed and committed; the history says what has changed.
func TestDaemonZoneHistory(t *testing.T) {
	push := freeAddr(t)
	c := newChild(t, `inputs:
  - {name: file, format: zone-file, file: org.zone}
  - {name: push, format: zone-file, http: {address: "`+push+`"}}
  - {name: plan, format: terraform-plan, file: plan.json}
  - {name: repo, format: zone-file, git: {repository: repo, poll: 1s}}
`)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(c.path(name+".new"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(c.path(name+".new"), c.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	send := func(path, text string) {
		t.Helper()
		resp, err := http.Post("http://"+push+"/"+path, "text/plain", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	gitIn := func(at time.Time, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", c.path("repo")}, args...)...)
		date := at.Format(time.RFC3339)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=A. Uthor", "GIT_AUTHOR_EMAIL=a@example.org",
			"GIT_COMMITTER_NAME=A. Uthor", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	commit := func(at time.Time, text string) {
		t.Helper()
		write("repo/a.zone", text)
		gitIn(at, "add", "a.zone")
		gitIn(at, "commit", "-q", "-m", "Move the site\n\nTicket: DNS-17\n")
	}
	if err := os.Mkdir(c.path("repo"), 0o755); err != nil {
		t.Fatal(err)
	}
	y2024, y2025 := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC), time.Date(2025, 6, 2, 12, 0, 0, 0, time.UTC)
	gitIn(y2024, "init", "-q")
	commit(y2024, zoneOf(1, "www A 192.0.2.1", "old A 192.0.2.7"))
	commit(y2025, zoneOf(1, "www A 192.0.2.2"))
	write("org.zone", zoneOf(1, "www A 192.0.2.1", "old A 192.0.2.7"))
	write("plan.json", `{"format_version":"1.2","terraform_version":"1.9.0","resource_changes":[{"address":"aws_route53_record.www","type":"aws_route53_record","name":"www",
		"change":{"actions":["create"],"before":null,"after":{"name":"www.example.org","type":"A","ttl":300,"records":["192.0.2.77"]}}}]}`)
	c.start()
	c.accepted("file", 3)
	c.accepted("plan", 1)
	c.accepted("repo", 6)
	write("org.zone", zoneOf(2, "www A 192.0.2.1", "www A 192.0.2.2"))
	c.accepted("file", 6)
	send("org", zoneOf(5, "a A 192.0.2.1", "b A 192.0.2.1"))
	send("org", zoneOf(6, "a A 192.0.2.1", "not a record at all"))
	send("org", zoneOf(7, "a A 192.0.2.9"))
	send("net", strings.ReplaceAll(zoneOf(1, "a A 192.0.2.1"), "example.org", "example.net"))
	c.stop()

	store := c.store()
	changes := func(source string) (list []picket.RecordChange, got []string) {
		t.Helper()
		list, _, err := store.Changes(t.Context(), picket.HistoryFilter{Source: source})
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range list {
			got = append(got, fmt.Sprintf("%s %s %q > %q %d-%d", ch.Name, ch.Type, ch.Old, ch.New, ch.SerialFrom, ch.SerialTo))
		}
		return list, got
	}
	lives := func(source string) (got []string) {
		t.Helper()
		list, _, err := store.Lives(t.Context(), picket.HistoryFilter{Source: source})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			text := fmt.Sprintf("%s %s %s %s", l.Zone, l.Name, l.Data, l.Scope)
			if l.Method == picket.MethodGit {
				text += " since " + l.Since.Format(time.DateOnly)
			}
			if l.Began {
				text += " began"
			}
			if !l.Until.IsZero() {
				text += " gone"
				if l.Method == picket.MethodGit {
					text += " " + l.Until.Format(time.DateOnly)
				}
			}
			got = append(got, text)
		}
		return got
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	path := c.path("org.zone")
	list, got := changes("file")
	want("changes of the file", got, `www.example.org. A ["192.0.2.1"] > ["192.0.2.1" "192.0.2.2"] 1-2`, `old.example.org. A ["192.0.2.7"] > [] 1-2`)
	if len(list) > 0 && (list[0].Method != picket.MethodFile || list[0].Scope != path && list[0].Scope != "org.zone") {
		t.Errorf("%+v", list[0])
	}
	_, got = changes("push")
	want("changes by push", got, `b.example.org. A ["192.0.2.1"] > [] 6-7`, `a.example.org. A ["192.0.2.1"] > ["192.0.2.9"] 6-7`)
	want("lives by push", lives("push"), "example.net. a.example.net. 192.0.2.1 net", "example.org. a.example.org. 192.0.2.1 org gone",
		"example.org. a.example.org. 192.0.2.9 org began", "example.org. b.example.org. 192.0.2.1 org gone")
	list, got = changes("repo")
	want("changes of the repository", got, `www.example.org. A ["192.0.2.1"] > ["192.0.2.2"] 0-0`, `old.example.org. A ["192.0.2.7"] > [] 0-0`,
		`www.example.org. A [] > ["192.0.2.1"] 0-1`, `old.example.org. A [] > ["192.0.2.7"] 0-1`)
	if len(list) > 0 && (list[0].Author != "A. Uthor <a@example.org>" || len(list[0].Commit) != 40 || list[0].Comment != "Move the site [DNS-17]" || !list[0].Time.Equal(y2025)) {
		t.Errorf("%+v", list[0])
	}
	want("lives of the repository", lives("repo"), "example.org. old.example.org. 192.0.2.7  since 2024-05-01 began gone 2025-06-02",
		"example.org. www.example.org. 192.0.2.1  since 2024-05-01 began gone 2025-06-02", "example.org. www.example.org. 192.0.2.2  since 2025-06-02 began")
	want("lives of the plan", lives("plan"))
}
