package input

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/pickettest"
)

// options fix the clock that supplies years.
func options() decode.Options {
	return decode.Options{Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }}
}

func inspectFile(t *testing.T, path string) Inspection {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	return Inspect(context.Background(), filepath.Base(path), f, Auto, options())
}

// reasons is short for a literal map of rejections by line.
type reasons map[string][2]int64 // count, first line

// TestSharedSamples reads files that third parties wrote, with literal results.
func TestSharedSamples(t *testing.T) {
	tests := []struct {
		file        string
		format      string
		accepted    int64
		rejected    reasons
		skipped     map[string]int64
		first, last string
		sample      string // the first record, or a part of it
		err         string
	}{
		{file: "bind-log/bind9--arm-query-log.extract.log", format: "bind-log", rejected: reasons{"no time stamp": {2, 1}}},
		{file: "bind-log/fail2ban--named-refused.log", format: "bind-log", accepted: 15, rejected: reasons{"no time stamp": {1, 40}},
			skipped: map[string]int64{"blank line": 5, "comment": 19}, first: "2013-08-11T03:36:11.372Z", last: "2026-10-23T03:35:40Z",
			sample: `{"time":"2026-07-24T14:16:55Z","client":"194.145.196.18","client_port":4795,"name":"ricreig.com","type":"NS","class":"IN","rcode":"REFUSED","flags":["response"]}`},
		{file: "bind-log/hub--bind9-refused.log", format: "bind-log", accepted: 23, skipped: map[string]int64{"blank line": 3},
			first: "2022-10-19T05:34:02.425Z", last: "2022-10-22T05:34:12.425Z", sample: `"name":"example.com","type":"ANY","class":"IN","rcode":"REFUSED"`},
		{file: "bind-log/hub--bind9-syslog.log", format: "bind-log", accepted: 12, first: "2022-10-19T05:34:02.425Z", last: "2026-11-13T10:59:46Z",
			sample: `"client":"104.219.136.31","client_port":3076`},
		{file: "bind-log/integrations-extras--bind9_tests.yaml", err: "not telemetry: a detection rule"},
		{file: "bind-log/ossec-hids--log-entries-1902.log", format: "bind-log", accepted: 1, rejected: reasons{"truncated record": {1, 1}},
			skipped: map[string]int64{"other log line": 1}, first: "2026-03-01T13:52:03Z", last: "2026-03-01T13:52:03Z",
			sample: `"client":"205.166.226.38","client_port":1421,"transport":"tcp","name":"atfantasy.com","type":"AXFR","class":"IN","rcode":"REFUSED"`},
		{file: "bind-log/stork--xfr-mixed-logs.txt", format: "bind-log", accepted: 3,
			skipped: map[string]int64{"blank line": 1, "other log line": 37, "zone transfer progress line": 3},
			first:   "2026-04-16T12:08:59.967Z", last: "2026-04-16T12:09:11.65Z",
			sample: `"client":"127.0.0.1","client_port":56830,"transport":"tcp","name":"drop.rpz.example.com","type":"AXFR","class":"IN","rcode":"NOERROR"`},

		{file: "dnstap/bind9--correct_query_nanosec.dnstap", format: "dnstap-message", skipped: map[string]int64{"CLIENT_QUERY": 1}},
		{file: "dnstap/bind9--query_time_nanosec_big.dnstap", format: "dnstap-message", skipped: map[string]int64{"CLIENT_QUERY": 1}},
		{file: "dnstap/bind9--large-answer.fstrm", format: "dnstap", accepted: 1, first: "2019-06-28T10:23:32.748943Z", last: "2019-06-28T10:23:32.748943Z",
			sample: `{"time":"2019-06-28T10:23:32.748943Z","client":"::1","client_port":46075,"server":"::1","transport":"udp","name":"example","type":"A","class":"IN","rcode":"NOERROR","flags":["response","aa","header"],"answers":48}`},
		{file: "dnstap/dns-collector--dnstap.fstrm", format: "dnstap", skipped: map[string]int64{"CLIENT_QUERY": 1, "CLIENT_RESPONSE": 1}},
		{file: "dnstap/dsc--test.dnstap", format: "dnstap", skipped: map[string]int64{"TOOL_QUERY": 1, "TOOL_RESPONSE": 1}},
		{file: "dnstap/fstrm--test.fstrm", format: "dnstap", err: `content type is "test:hello"`},

		{file: "zeek-dns/zat--dns.json.log", format: "zeek-dns", accepted: 47, skipped: map[string]int64{"NetBIOS name service (port 137)": 3},
			first: "2019-12-03T22:45:22.764317Z", last: "2019-12-03T22:47:27.024624Z",
			sample: `{"time":"2019-12-03T22:45:22.764317Z","client":"10.18.20.97","client_port":59102,"server":"10.18.20.8","transport":"udp","name":"_ldap._tcp.default-first-site-name._sites.icemaiden-dc.icemaiden.com","type":"SRV","class":"IN","rcode":"NXDOMAIN","flags":["rd","response","header"]}`},
		{file: "zeek-dns/zat--dns.tsv.log", format: "zeek-dns", accepted: 51, skipped: map[string]int64{"header line": 9, "no question": 3},
			first: "2013-09-15T23:44:27.63194Z", last: "2013-09-15T23:48:07.897021Z", sample: `"name":"guyspy.com","type":"A","class":"IN","rcode":"NOERROR","flags":["rd","response","header"],"answers":1}`},
		{file: "zeek-dns/zeek--opt.basic-dns.log", format: "zeek-dns", rejected: reasons{"bad time stamp": {14, 13}},
			skipped: map[string]int64{"LLMNR (port 5355)": 8, "NetBIOS name service (port 137)": 8, "header line": 10, "multicast DNS (port 5353)": 4}},

		{file: "suricata-eve/balboa--eve-dns-v1.extract.json", format: "suricata-eve", rejected: reasons{"bad address": {1, 1}}},
		{file: "suricata-eve/balboa--eve-dns-v2.extract.json", format: "suricata-eve", rejected: reasons{"bad address": {1, 1}}},
		{file: "suricata-eve/fever--jsonparse_eve.json", format: "suricata-eve", accepted: 1, skipped: map[string]int64{"event_type fileinfo": 1, "event_type http": 1},
			first: "2017-03-06T06:54:06.047429Z", last: "2017-03-06T06:54:06.047429Z",
			sample: `"client":"10.0.0.11","client_port":51323,"server":"10.0.0.10","transport":"udp","name":"test.test.local","type":"A","class":"IN","rcode":"NOERROR"`},
		{file: "suricata-eve/hub--suricata-logs-evelog.log", format: "suricata-alert", accepted: 4, skipped: map[string]int64{"event_type flow": 2, "event_type stats": 2},
			first: "2022-07-10T23:50:05.533101Z", last: "2022-07-12T06:09:52.602489Z",
			sample: `"source":"1.2.3.4","source_port":52812,"target":"127.0.0.1","target_port":80,"protocol":"tcp","kind":"alert"`},
		{file: "suricata-eve/suricata--8.0-dns-logging-changes.rst", err: "not telemetry: documentation"},
		{file: "suricata-eve/suricata-sample-data--honeypot-alerts-only.json", format: "suricata-alert", accepted: 44,
			first: "2019-01-02T03:50:09.097718Z", last: "2019-01-02T06:50:05.309314Z",
			sample: `"title":"ET SCAN Potential SSH Scan","rule":"1:2001219:19","severity":"medium","action":"allowed"`},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			in := inspectFile(t, pickettest.Shared(t, "samples", tt.file))
			if in.Format != tt.format || in.Accepted != tt.accepted {
				t.Errorf("format %q, accepted %d; want %q, %d", in.Format, in.Accepted, tt.format, tt.accepted)
			}
			if (in.Error == "") != (tt.err == "") || !strings.Contains(in.Error, tt.err) {
				t.Errorf("error %q, want %q", in.Error, tt.err)
			}
			checkCounts(t, in, tt.rejected, tt.skipped)
			if first, last := stamp(in.FirstSeen), stamp(in.LastSeen); first != tt.first || last != tt.last {
				t.Errorf("seen %s to %s; want %s to %s", first, last, tt.first, tt.last)
			}
			if tt.sample != "" && (len(in.Sample) == 0 || !strings.Contains(string(in.Sample[0]), tt.sample)) {
				t.Errorf("sample %s\nwant   %s", in.Sample, tt.sample)
			}
			if len(in.Sample) != int(min(in.Accepted, sampleSize)) {
				t.Errorf("%d samples", len(in.Sample))
			}
		})
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func checkCounts(t *testing.T, in Inspection, rejected reasons, skipped map[string]int64) {
	t.Helper()
	var sum int64
	for reason, r := range in.Reasons {
		if want := rejected[reason]; r.Count != want[0] || r.Line != want[1] {
			t.Errorf("rejected %q %d first at line %d, want %v", reason, r.Count, r.Line, want)
		}
		sum += r.Count
	}
	if sum != in.Rejected || len(in.Reasons) != len(rejected) {
		t.Errorf("rejected %d, reasons %v, want %v", in.Rejected, in.Reasons, rejected)
	}
	for reason, n := range skipped {
		if in.Skipped[reason] != n {
			t.Errorf("skipped %q %d, want %d", reason, in.Skipped[reason], n)
		}
	}
	if len(in.Skipped) != len(skipped) {
		t.Errorf("skipped %v, want %v", in.Skipped, skipped)
	}
}

// TestNotQueryFormats: what is no query telemetry is not taken for it.
func TestNotQueryFormats(t *testing.T) {
	for _, dir := range []string{"web-access", "firewall", "zeek-conn-notice", "knot-log", "coredns-log", "msdns-debug", "unbound-log",
		"zone", "rdap", "dns-as-code", "attack-surface", "aws-route53-public", "aws-route53-resolver", "gcp-dns"} {
		files, err := filepath.Glob(filepath.Join(pickettest.Shared(t, "samples", dir), "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _, err := Reader(f)
			_ = f.Close()
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, mine := range []string{"dnstap", "dnstap-message", "powerdns-protobuf", "c-dns", "bind-log", "zeek-dns", "suricata-eve", "ndjson"} {
				if got, ok := ByName(mine); ok && got.Detect(head) > 0 {
					t.Errorf("%s/%s is taken for %s", dir, filepath.Base(file), mine)
				}
			}
		}
	}
}

type manifestRun struct {
	File    string `json:"file"`
	Queries int64  `json:"queries"`
	Path    string `json:"path"`
	Servers []struct {
		Address string `json:"address"`
		Queries int64  `json:"queries"`
	} `json:"servers"`
	NativeLogs []struct {
		File     string `json:"file"`
		Lines    int64  `json:"lines"`
		Messages int64  `json:"messages"`
	} `json:"native_logs"`
}

func manifest(t *testing.T) []manifestRun {
	t.Helper()
	b, err := os.ReadFile(pickettest.Shared(t, "recon", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var runs []manifestRun
	if err := json.Unmarshal(b, &runs); err != nil {
		t.Fatal(err)
	}
	return runs
}

// bindQueries is how many queries the run's capture has to the BIND server.
func (r manifestRun) bindQueries() int64 {
	for _, s := range r.Servers {
		if s.Address == "10.53.0.1" {
			return s.Queries
		}
	}
	return 0
}

// TestReconLogs holds BIND's own records of the recorded runs against the
// manifest: every line or message is accounted for, and there are as many
// queries as the capture of the same run has.
func TestReconLogs(t *testing.T) {
	files := 0
	for _, run := range manifest(t) {
		for _, native := range run.NativeLogs {
			isTap, isLog := strings.HasSuffix(native.File, ".bind.dnstap.gz"), strings.HasSuffix(native.File, ".bind-query.log.gz")
			if !isTap && !isLog {
				continue
			}
			files++
			t.Run(filepath.Base(native.File), func(t *testing.T) {
				in := inspectFile(t, pickettest.Shared(t, "recon", native.File))
				format, total := "bind-log", native.Lines
				if isTap {
					format, total = "dnstap", native.Messages
				}
				var skipped int64
				for _, n := range in.Skipped {
					skipped += n
				}
				if in.Error != "" || in.Format != format || in.Rejected != 0 || in.Accepted+skipped != total {
					t.Errorf("%s: %q, accepted %d, rejected %v, skipped %v; manifest has %d", in.Format, in.Error, in.Accepted, in.Reasons, in.Skipped, total)
				}
				want := run.bindQueries() + captureDiffers[filepath.Base(native.File)]
				if in.Accepted != want {
					t.Errorf("accepted %d, capture has %d queries to BIND", in.Accepted, want)
				}
			})
		}
	}
	if files != 22 {
		t.Errorf("%d files", files)
	}
}

// captureDiffers is by how many queries a server's own record differs from the
// capture, where it does: BIND records neither a query of an EDNS version it does
// not know nor one of an opcode it does not implement.
var captureDiffers = map[string]int64{"vis-dig-chaos.bind-query.log.gz": -2, "vis-dig-chaos.bind.dnstap.gz": -2}

// TestReconAgree: the query log and dnstap of one run tell the same queries.
func TestReconAgree(t *testing.T) {
	for _, run := range []string{"vis-dnsenum-direct", "vis-benign-web", "vis-dnsrecon-std", "vis-pdns-medium-direct"} {
		keys := map[string]int{}
		for i, file := range []string{run + ".bind-query.log.gz", run + ".bind.dnstap.gz"} {
			sign := 1 - 2*i
			f, err := os.Open(pickettest.Shared(t, "recon", "logs", file))
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			_, err = DecodeQueries(context.Background(), z, Auto, options(), NewCounter(), picket.QuerySinkFunc(func(q *picket.Query) error {
				q.Time = q.Time / 1e6 * 1e6
				// What one of the two does not tell.
				const both = picket.FlagRD | picket.FlagCD | picket.FlagEDNS | picket.FlagDO | picket.FlagMixed | picket.FlagFlags | picket.FlagTSIG | picket.FlagBadEDNS
				q.Flags &= both
				q.Rcode, q.EDNSSize, q.Response, q.Sensor, q.Time = picket.RcodeUnknown, 0, picket.Response{}, "", 0
				keys[string(query.AppendNDJSON(nil, q))] += sign
				return nil
			}))
			_ = f.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		for k, n := range keys {
			if n != 0 {
				t.Errorf("%s: %+d %s", run, n, k)
			}
		}
	}
}
