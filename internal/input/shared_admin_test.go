package input

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestSharedSightingsAndAdmin reads files that third parties wrote, with literal
// results.
func TestSharedSightingsAndAdmin(t *testing.T) {
	tests := []struct {
		file        string
		format      string
		kind        picket.Kind
		accepted    int64
		rejected    reasons
		skipped     map[string]int64
		first, last string
		sample      string // the first record, or a part of it
		note, err   string
	}{
		{file: "passive-dns/passive_circl--query.extract.jsonl", format: "pdns-cof", kind: picket.KindSighting, accepted: 3,
			first: "2011-03-04T18:41:17Z", last: "2018-10-30T00:56:36Z",
			sample: `{"rrname":"www.circl.lu.","rrtype":"CNAME","rdata":["cpab.circl.lu."],"count":989255,"time_first":"2016-10-07T07:26:02Z","time_last":"2018-10-30T00:56:36Z","channel":"passive-dns","origin":"https://www.circl.lu/pdns/"}`},
		{file: "passive-dns/dnsdb-rb--rrset-1_2_1.extract.jsonl", format: "pdns-cof", kind: picket.KindSighting, accepted: 2,
			first: "2020-03-18T18:28:41Z", last: "2020-03-18T22:00:06Z", sample: `"rrname":"www.farsightsecurity.com.","rrtype":"A","rdata":["104.244.14.108"],"count":2070`},
		{file: "passive-dns/dnsdb-rb--rdata-1_1_3.extract.jsonl", format: "pdns-cof", kind: picket.KindSighting, accepted: 22,
			first: "2020-03-11T09:06:53Z", last: "2020-03-18T18:57:47Z", sample: `"rrname":"jppost-afu.top.","rrtype":"A","rdata":["154.9.205.199"]`},
		{file: "passive-dns/dnsdb-rb--rrset-1_2_1.yml", err: "recording"},
		{file: "ct-log/crtsh-rb--1_1.extract.json", format: "crtsh", kind: picket.KindSighting, accepted: 92,
			first: "2015-06-02T15:02:15.918Z", last: "2019-12-07T03:55:53.116Z", sample: `{"rrname":"*.crt.sh.","time_first":"2019-12-07T00:00:00Z","time_last":"2020-06-14T23:59:59Z","channel":"certificate"`},
		{file: "ct-log/crtsh-rb--1_1.yml", err: "recording"},
		{file: "ct-log/certspotter-client--example.json", format: "certspotter", kind: picket.KindSighting, accepted: 5,
			first: "2022-10-22T00:00:00Z", last: "2022-10-22T00:00:00Z", sample: `"rrname":"certs.sandbox.sslmate.com."`},
		{file: "ct-log/certstream-server--readme.extract.json", format: "certstream", kind: picket.KindSighting, accepted: 2,
			first: "2017-10-20T07:15:26.8601687Z", last: "2017-10-20T07:15:26.8601687Z", sample: `"rrname":"e-zigarette-liquid-shop.de."`},

		{file: "aws-cloudtrail-dns/route53-docs--cloudtrail.extract.json", format: "cloudtrail", kind: picket.KindAdminEvent, accepted: 6,
			first: "2015-01-16T00:41:48Z", last: "2018-11-01T19:49:36Z",
			sample: `{"time":"2015-01-16T00:41:48Z","provider":"aws","service":"route53","action":"ListHostedZones","effect":"read","outcome":"success","actor":"arn:aws:iam::111122223333:user/smithj","actor_ip":"192.0.2.92"`},
		{file: "azure-activity/otel-contrib--azure-administrative-log.json", format: "azure-activity", kind: picket.KindAdminEvent,
			skipped: map[string]int64{"operation of microsoft.insights/diagnosticsettings": 2}},
		{file: "gcp-dns/panther-analysis--gcp_dns_zone_modified_or_deleted.yml", err: "not telemetry"},
		{file: "rdap/nomulus--rdap_domain_transfer_grace_period.json", format: "rdap", kind: picket.KindAdminEvent, accepted: 1,
			first: "2000-01-01T00:00:00Z", last: "2000-01-01T00:00:00Z",
			sample: `"effect":"snapshot","zone":"transfer.lol.","names":["transfer.lol.","ns1.cat.lol."],"target":"10-LOL"`},
		{file: "rdap/nomulus--rdapjson_domain_full.json", format: "rdap", kind: picket.KindAdminEvent, accepted: 1,
			first: "2000-01-01T00:00:00Z", last: "2000-01-01T00:00:00Z", sample: `"name":"cat.xn--q9jyb4c.","type":"DS","data":"1 2 3 DEADFACE"`},
		{file: "rdap/nomulus--rdapjson_error.json", format: "rdap", kind: picket.KindAdminEvent, rejected: reasons{"RDAP error 400": {1, 1}}, note: "RDAP error 400: Invalid Domain Name"},
		{file: "rdap/rdap--domain-example.cz.json", format: "rdap", kind: picket.KindAdminEvent, accepted: 1,
			sample: `{"provider":"rdap","service":"rdap.nic.cz","action":"domain","effect":"snapshot","zone":"example.cz.","names":["example.cz.","ns2.pipni.cz.","ns3.pipni.cz.","ns.pipni.cz."]`},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			in := inspectFile(t, pickettest.Shared(t, "samples", tt.file))
			if in.Format != tt.format || in.Kind != tt.kind || in.Accepted != tt.accepted {
				t.Errorf("format %q (%s), accepted %d; want %q (%s), %d", in.Format, in.Kind, in.Accepted, tt.format, tt.kind, tt.accepted)
			}
			if (in.Error == "") != (tt.err == "") || !strings.Contains(in.Error, tt.err) {
				t.Errorf("error %q, want %q", in.Error, tt.err)
			}
			if notes := strings.Join(in.Notes, "; "); notes != tt.note {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
			checkCounts(t, in, tt.rejected, tt.skipped)
			if first, last := stamp(in.FirstSeen), stamp(in.LastSeen); first != tt.first || last != tt.last {
				t.Errorf("seen %s to %s; want %s to %s", first, last, tt.first, tt.last)
			}
			if tt.sample != "" && (len(in.Sample) == 0 || !strings.Contains(string(in.Sample[0]), tt.sample)) {
				t.Errorf("sample %s\nwant   %s", in.Sample, tt.sample)
			}
		})
	}
}

// TestSharedGCPRule reads the log entries that a detection rule carries as its
// tests, whose keys that product spells in its own way and whose times carry no
// zone.
func TestSharedGCPRule(t *testing.T) {
	text, err := os.ReadFile(pickettest.Shared(t, "samples", "gcp-dns/panther-analysis--gcp_dns_zone_modified_or_deleted.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var rule struct {
		Tests []struct{ Log map[string]any }
	}
	// The keys of the rule itself are upper-case.
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &rule); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for _, test := range rule.Tests {
		b, err := json.Marshal(test.Log)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(b, '\n'))
	}
	in := Inspect(context.Background(), "entries.json", &lines, Auto, options())
	if in.Format != "gcp-audit" || in.Error != "" || in.Accepted != 4 || in.Rejected != 0 || len(in.Notes) != 1 {
		t.Fatalf("%+v", in)
	}
	want := []string{
		`{"time":"2023-05-23T19:08:11.697Z","provider":"gcp","service":"dns","action":"dns.managedZones.delete","effect":"delete","outcome":"success","actor":"user@domain.com","actor_ip":"12.12.12.12","target":"managedZones/test-zone","id":"-xxxxxxxxxxxx","details":{"managed_zone":"test-zone","project":"test-project-123456"}}`,
		`{"time":"2023-05-23T19:07:25.282Z","provider":"gcp","service":"dns","action":"dns.managedZones.patch","effect":"change","outcome":"success","actor":"user@domain.com","actor_ip":"12.12.12.12","zone":"test.detectiontesting.com.","names":["test.detectiontesting.com."],"target":"managedZones/test-zone","id":"-xxxxxxxxxxxx","details":{"managed_zone":"test-zone","project":"test-project-123456"}}`,
		`"action":"dns.changes.create","effect":"change","outcome":"success","actor":"user@domain.com","actor_ip":"12.12.12.12","zone":"test.detectiontesting.com.","names":["test.detectiontesting.com."],"target":"managedZones/test-zone","records":[{"time":"2023-05-23T19:07:39.132Z","name":"test.detectiontesting.com.","type":"SOA","ttl":21600,"data":"ns-gcp-private.googledomains.com. cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300","change":"remove"},`,
	}
	for i, w := range want {
		if !strings.Contains(string(in.Sample[i]), w) {
			t.Errorf("got  %s\nwant %s", in.Sample[i], w)
		}
	}
}

// TestSharedBindAdmin: a mixed log is read as queries unless the format is named.
func TestSharedBindAdmin(t *testing.T) {
	f, err := os.Open(pickettest.Shared(t, "samples", "bind-log/stork--xfr-mixed-logs.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	in := Inspect(context.Background(), "xfr.log", f, "bind-admin", options())
	if in.Error != "" || in.Rejected != 0 || in.Accepted != 11 || len(in.Notes) != 1 {
		t.Errorf("error %q, accepted %d, rejected %v, notes %q", in.Error, in.Accepted, in.Reasons, in.Notes)
	}
	checkCounts(t, in, nil, map[string]int64{"blank line": 1, "other log line": 24, "transfer progress line": 8})
	want := `{"time":"2026-04-16T12:08:06.149Z","provider":"bind","service":"named","action":"notify sent","effect":"other","zone":"bind9.example.org.","names":["bind9.example.org."],"details":{"serial":2024031401}}`
	if got := string(in.Sample[0]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
