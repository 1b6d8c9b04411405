package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/detect"
)

// feedFindings are the findings about one input's silence.
func feedFindings(c *child, input string) (list []picket.StoredFinding) {
	all, err := c.findings(url.Values{"detector": {"feed-silent"}})
	if err != nil {
		return nil
	}
	for _, f := range all {
		if strings.HasPrefix(f.Summary, "Input "+input+" ") {
			list = append(list, f)
		}
	}
	return list
}

// TestDaemonCoverage stops a feed of a running daemon and lets it come back, and
// asks for the coverage as people do, while it runs and after.
func TestDaemonCoverage(t *testing.T) {
	c := newChild(t, zoneYAML(t)+`
servers:
  - {name: ns1.example.org, addresses: [192.0.2.53], provider: Example Hosting}
inputs:
  - {name: fed, unix: fed.sock, format: ndjson, server: ns1.example.org, expect: 2s}
  - {name: never, unix: never.sock, format: ndjson, server: ns1.example.org}
`)
	c.start()
	conn := c.dial("unix", c.path("fed.sock"))
	write(t, conn, guesses("198.51.100.6", 12, time.Now().Add(-5*time.Minute))) // reports count whole minutes
	began := time.Now()
	for i := 0; time.Since(began) < 3*time.Second; i++ { // longer than expect: traffic keeps it quiet
		write(t, conn, guesses("198.51.100.7", 12, time.Now()))
		time.Sleep(250 * time.Millisecond)
	}
	if list := feedFindings(c, "fed"); len(list) != 0 {
		t.Fatalf("raised while traffic flows: %+v", list[0])
	}
	var silent picket.StoredFinding
	stopped := time.Now()
	c.until("the feed's silence is raised", func() bool {
		list := feedFindings(c, "fed")
		if len(list) == 1 && list[0].Open {
			silent = list[0]
		}
		return silent.ID != ""
	})
	if d := time.Since(stopped); d > 6*time.Second {
		t.Errorf("raised %s after the feed stopped, want within 2s and a little", d)
	}
	if silent.Class != picket.FindingOperational || silent.Severity != picket.SeverityMedium || silent.Source.Prefix != "192.0.2.53/32" || silent.Coverage == "" {
		t.Errorf("finding %+v", silent)
	}
	checkCoverageCommands(t, c)
	write(t, conn, guesses("198.51.100.7", 40, time.Now()))
	c.until("the finding is closed", func() bool {
		for _, f := range feedFindings(c, "fed") {
			if f.ID == silent.ID {
				return !f.Open
			}
		}
		return false
	})
	if list := feedFindings(c, "never"); len(list) != 0 {
		t.Errorf("raised for an input of which nothing is expected: %+v", list[0])
	}
	if f := c.shows("brute-force", "198.51.100.7"); f.Coverage == "" || f.Class != "" {
		t.Errorf("the finding says of coverage %q, class %q", f.Coverage, f.Class)
	}
	c.stop()
	checkCoverageCommands(t, c)
}

// checkCoverageCommands asks with the commands; the same is answered with and without a daemon.
func checkCoverageCommands(t *testing.T, c *child) {
	t.Helper()
	code, out, stderr := picketCommand("coverage", "-c", c.config(), "-o", "json")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var r picket.CoverageReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	var seen bool
	for _, x := range r.Cells {
		seen = seen || x.Zone == "example.org." && x.Server == "ns1.example.org." && x.Kind == picket.KindQuery && x.Seen > 0 && x.Provider == "Example Hosting"
	}
	if !seen || r.Statement == "" || len(r.Detectors) != len(detect.Names()) || len(r.Classes) == 0 || len(r.Retention) == 0 {
		t.Errorf("report %s", out)
	}
	code, out, stderr = picketCommand("coverage", "-c", c.config(), "--zone", "example.org")
	for _, want := range []string{"Coverage from ", "Problems: ", "ns1.example.org.", "Detectors working: ", "KEPT"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("table lacks %q: exit code %d, %s%s", want, code, out, stderr)
		}
	}
	for day, want := range map[string]string{time.Now().UTC().Format("2006-01-02"): "Partly: ", "2001-01-01": "No: "} {
		code, out, stderr = picketCommand("coverage", "could", "zone-transfer", "-c", c.config(), "--zone", "example.org", "--day", day)
		if code != exitOK || !strings.HasPrefix(out, want) {
			t.Errorf("could on %s: exit code %d, %q, want %q first; %s", day, code, out, want, stderr)
		}
	}
	for _, bad := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"coverage", "could", "no-such", "-c", c.config()}, exitSome, "there is no such detector"},
		{[]string{"coverage", "-c", c.config(), "--from", "2026-03-02T00:00:00Z", "--to", "2026-03-01T00:00:00Z"}, exitSome, "ends before it begins"},
		{[]string{"coverage", "-c", c.config(), "--day", "today"}, exitUsage, "want a day such as 2026-03-17"},
		{[]string{"coverage", "-c", c.config(), "--day", "2026-03-17", "--to", "2026-03-18T00:00:00Z"}, exitUsage, "give either --day"},
		{[]string{"coverage", "-c", c.config(), "-o", "xml"}, exitUsage, "want table or json"},
	} {
		if code, out, stderr := picketCommand(bad.args...); code != bad.code || !strings.Contains(stderr, bad.want) {
			t.Errorf("%v: exit code %d, %s%s; want %d and %q", bad.args, code, out, stderr, bad.code, bad.want)
		}
	}
}
