package input

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

// TestSharedRecords reads zones that third parties wrote, as they are, with literal
// results. What is no telemetry is refused with what would be right.
func TestSharedRecords(t *testing.T) {
	for _, tc := range []struct {
		file     string
		name     string // the file's own name, where the sample's has a prefix
		format   string
		accepted int64
		rejected reasons
		skipped  map[string]int64
		sample   string // the first record
		last     string // of the three shown, or a part of it
		err      string
	}{
		{file: "zone/bind9--example1.db", format: "zone-file", accepted: 97, skipped: map[string]int64{"directive": 20},
			sample: `{"zone":"example.nil.","name":"example.nil.","type":"SOA","class":"IN","ttl":300,"data":"ns1.example.nil. hostmaster.example.nil. 1 2000 2000 1814400 3600","source":"bind9--example1.db:3"}`,
			last:   `"name":"ns1.example.nil.","type":"A","class":"IN","ttl":300,"data":"10.53.0.1","source":"bind9--example1.db:11"`},
		{file: "zone/dnscontrol--example.org.zone", format: "zone-file", accepted: 349, skipped: map[string]int64{"directive": 17},
			sample: `{"zone":"example.org.","name":"example.org.","type":"SOA","class":"IN","ttl":43200,"data":"ns1.example.org. hostmaster.example.org. 2020030700 7200 3600 864000 7200","source":"dnscontrol--example.org.zone:29"}`},
		{file: "zone/dnscontrol--simple.com.zone", format: "zone-file", accepted: 19, skipped: map[string]int64{"directive": 2},
			sample: `{"zone":"simple.com.","name":"simple.com.","type":"SOA","class":"IN","ttl":300,"data":"ns3.serverfault.com. sysadmin.stackoverflow.com. 2020022300 3600 600 604800 1440","source":"dnscontrol--simple.com.zone:3"}`},
		{file: "zone/ldns--08-zonereader.inputzone", format: "zone-file", accepted: 3879, rejected: reasons{"name outside the zone": {3, 3880}},
			sample: `{"zone":"jelte.nlnetlabs.nl.","name":"jelte.nlnetlabs.nl.","type":"SOA","class":"IN","ttl":600,"data":"jelte.nlnetlabs.nl. jelte.nlnetlabs.nl. 2004022501 28800 7200 604800 18000","source":"ldns--08-zonereader.inputzone:1"}`,
			last:   `"name":"www.jelte.nlnetlabs.nl.","type":"NSEC","class":"IN","ttl":3600,"data":"jelte.nlnetlabs.nl. A RRSIG NSEC"`},
		{file: "zone/nsd--nsec3_zone.zone", format: "zone-file", accepted: 70, skipped: map[string]int64{"directive": 2},
			sample: `{"zone":"example.","name":"example.","type":"SOA","class":"IN","ttl":3600,"data":"ns1.example. bugs.x.w.example. 1 3600 300 3600000 3600","source":"nsd--nsec3_zone.zone:3"}`},
		{file: "zone/nsd--rr-test.zone", format: "zone-file", accepted: 109, skipped: map[string]int64{"directive": 3},
			sample: `{"zone":"blaat.nl.","name":"blaat.nl.","type":"SOA","class":"IN","ttl":3600,"data":"elektron.atoom.net. miekg.atoom.net. 2002120700 21600 7200 604800 3600","source":"nsd--rr-test.zone:3"}`},

		{file: "dns-as-code/octodns--unit.tests.yaml", name: "unit.tests.yaml", format: "octodns", accepted: 47, skipped: map[string]int64{"ignored by its own configuration": 1},
			sample: `{"zone":"unit.tests.","name":"unit.tests.","type":"A","class":"IN","ttl":300,"data":"1.2.3.4","source":"unit.tests.yaml:3"}`,
			last:   `"data":"2.2.3.4","source":"unit.tests.yaml:3","comment":"geo AF"`},
		{file: "dns-as-code/dns--financeandtaxtribunals.gov.uk.yaml", name: "financeandtaxtribunals.gov.uk.yaml", format: "octodns", accepted: 31,
			sample: `{"zone":"financeandtaxtribunals.gov.uk.","name":"financeandtaxtribunals.gov.uk.","type":"MX","class":"IN","ttl":1800,"data":"10 inbound-smtp.eu-west-1.amazonaws.com.","source":"financeandtaxtribunals.gov.uk.yaml:3"}`,
			last:   `"type":"NS","class":"IN","ttl":172800,"data":"ns-1410.awsdns-48.org."`},
		{file: "dns-as-code/dns--financeandtaxtribunals.gov.uk.yaml", name: "zone.yaml", format: "octodns", err: "the zone is not known"},
		{file: "dns-as-code/dns--digitalgov.gov.tf", err: "a Terraform configuration (HCL): it is a program; give its result: terraform.tfstate"},
		{file: "dns-as-code/dnscontrol--029-dextendsub.js", err: `a dnsconfig.js of DNSControl: it is a program; give its result: "dnscontrol print-ir --pretty"`},

		// A recording whose answer lists one zone: its name servers are known by it.
		{file: "azure-dns-rest/cloud-custodian--DnsZoneTest.test_find_by_name.json", format: "azure-export", accepted: 4,
			sample: `{"zone":"h7s6n7kl225j4.cloudcustodiantest.com.","name":"h7s6n7kl225j4.cloudcustodiantest.com.","type":"NS","class":"IN","data":"ns1-07.azure-dns.com.","source":"/subscriptions/aa98974b-5d2a-4d98-a78a-382f3715d07e/resourceGroups/test_dns/providers/Microsoft.Network/dnszones/h7s6n7kl225j4.cloudcustodiantest.com"}`,
			last:   `"data":"ns3-07.azure-dns.org."`},

		{file: "output-schema/balboa--packetbeat-dns.extract.json", err: "not telemetry: a Packetbeat or ECS event"},
		{file: "output-schema/cti-stix2-json-schemas--infrastructure.json", err: "not telemetry: a STIX bundle"},
		{file: "output-schema/ecs--dns.yml", err: "not telemetry: an ECS field definition"},
		{file: "output-schema/mitre-cti--T1590.002.json", err: "not telemetry: a STIX bundle"},
		{file: "output-schema/ocsf-schema--dns_activity.json", err: "not telemetry: an OCSF event or schema"},
		{file: "output-schema/prowler--example_output_aws.ocsf.json", err: "not telemetry: an OCSF event or schema"},
		{file: "output-schema/sigma--azure_dns_zone_modified_or_deleted.yml", err: "not telemetry: a Sigma rule"},
		{file: "output-schema/sigma--net_dns_susp_b64_queries.yml", err: "not telemetry: a Sigma rule"},
		{file: "ct-log/crtsh-rb--1_1.yml", err: "not telemetry: a recording of HTTP exchanges: give the answers' bodies"},
		{file: "gcp-dns/panther-analysis--gcp_dns_zone_modified_or_deleted.yml", err: "not telemetry: a detection rule with its tests"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			f, err := os.Open(pickettest.Shared(t, "samples", filepath.FromSlash(tc.file)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			name := tc.name
			if name == "" {
				name = filepath.Base(tc.file)
			}
			in := Inspect(context.Background(), name, f, Auto, options())
			if tc.err != "" {
				if !strings.Contains(in.Error, tc.err) || in.Accepted != 0 {
					t.Errorf("format %q, accepted %d, error %q, want %q", in.Format, in.Accepted, in.Error, tc.err)
				}
				return
			}
			if in.Format != tc.format || in.Kind != "record" || in.Error != "" || in.Accepted != tc.accepted {
				t.Errorf("read as %q (%s), accepted %d, want %d; error %q", in.Format, in.Kind, in.Accepted, tc.accepted, in.Error)
			}
			checkCounts(t, in, tc.rejected, tc.skipped)
			if len(in.Sample) != 3 || string(in.Sample[0]) != tc.sample || !strings.Contains(string(in.Sample[2]), tc.last) {
				t.Errorf("sample %s", in.Sample)
			}
			if !in.FirstSeen.IsZero() {
				t.Errorf("seen %v: the file has no times", in.FirstSeen)
			}
		})
	}
}

// TestSharedZonesAsRecords: no zone file of the recorded networks loses a record.
func TestSharedZonesAsRecords(t *testing.T) {
	for file, want := range map[string]int64{
		"113.0.203.in-addr.arpa.zone": 149, "64.18.198.in-addr.arpa.zone": 134, "65.18.198.in-addr.arpa.zone": 147,
		"corp-a.example.zone": 364, "muni-d.example.zone": 665,
	} {
		in := inspectFile(t, pickettest.Shared(t, "recon", "zones", file))
		if in.Format != "zone-file" || in.Accepted != want || in.Rejected != 0 || in.Error != "" {
			t.Errorf("%s: %q, accepted %d, want %d, rejected %v, error %q", file, in.Format, in.Accepted, want, in.Reasons, in.Error)
		}
	}
}

// TestRefused: what is refused is told from what merely looks alike.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"locals { a = 1 }\nresource \"aws_route53_record\" \"x\" {\n  name = \"a\"\n}\n":       "Terraform configuration",
		"var REG = NewRegistrar(\"none\");\nD(\"example.com\", REG, DnsProvider(x));\n":        "dnsconfig.js",
		"<!DOCTYPE html><html><body>query log</body></html>":                                   "documentation",
		"# Title\n\nText.\n\n```\nlog line\n```\n":                                             "documentation",
		"http_interactions:\n- request:\n    uri: x\n  response:\n    body: y\n":               "a recording of HTTP exchanges",
		`{"log":{"version":"1.2","entries":[{"request":{},"response":{}}]}}`:                   "a recording of HTTP exchanges",
		`{"type":"bundle","id":"bundle--1","objects":[]}`:                                      "a STIX bundle",
		`[{"metadata":{"version":"1.4.0"},"severity_id":2,"class_uid":4003,"category_uid":4}]`: "an OCSF event",
		"title: x\nlogsource:\n  category: dns\ndetection:\n  condition: a\n":                  "a Sigma rule",
		"some words\nof no format\n":                                                           "unknown format",
		"{\"a\":1}\n":                                                                          "unknown format",
		"\x00\x01resource \"a\" { x = 1 }":                                                     "unknown format",
	} {
		_, _, err := Open(strings.NewReader(text), Auto)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
