package input

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

// sharedOutcome is what becomes of a file that third parties wrote.
type sharedOutcome struct {
	format                      string
	accepted, rejected, skipped int64
	broken                      bool // of the format, and cannot be read to its end
	refused                     bool // no telemetry; or none of Picket's formats
}

// sharedOutcomes lists every sample; the tests beside this one look into them.
var sharedOutcomes = map[string]sharedOutcome{
	"attack-surface/django-defectdojo--multiple_v3.json":                      {"nuclei", 6, 0, 0, false, false},
	"attack-surface/django-defectdojo--naabu_many_vuln.json":                  {"naabu", 8, 0, 0, false, false},
	"attack-surface/securecodebox--amass-example.com.jsonl":                   {"amass", 1, 0, 0, false, false},
	"attack-surface/securecodebox--example-com-test.jsonl":                    {"nuclei", 27, 0, 0, false, false},
	"attack-surface/securecodebox--passive_scan_without_ip_example.com.jsonl": {"subfinder", 8, 0, 0, false, false},
	"attack-surface/securecodebox--scanme.nmap.org-ipv6.xml":                  {"nmap-xml", 3, 0, 0, false, false},
	"attack-surface/zdns--axfr.json":                                          {"zdns", 1, 0, 0, false, false},
	"aws-cloudtrail-dns/route53-docs--cloudtrail.extract.json":                {"cloudtrail", 6, 0, 0, false, false},
	"aws-route53-public/route53-docs--query-logs.extract.log":                 {"route53-log", 5, 0, 0, false, false},
	"aws-route53-resolver/route53-docs--resolver-v1.1.extract.json":           {"route53-resolver", 1, 0, 0, false, false},
	"azure-activity/otel-contrib--azure-administrative-log.json":              {"azure-activity", 0, 0, 2, false, false},
	"azure-dns-rest/cloud-custodian--DnsZoneTest.test_find_by_name.json":      {"azure-export", 4, 0, 0, false, false},
	"bind-log/bind9--arm-query-log.extract.log":                               {"bind-log", 0, 2, 0, false, false},
	"bind-log/fail2ban--named-refused.log":                                    {"bind-log", 15, 1, 24, false, false},
	"bind-log/hub--bind9-refused.log":                                         {"bind-log", 23, 0, 3, false, false},
	"bind-log/hub--bind9-syslog.log":                                          {"bind-log", 12, 0, 0, false, false},
	"bind-log/integrations-extras--bind9_tests.yaml":                          {refused: true},
	"bind-log/ossec-hids--log-entries-1902.log":                               {"bind-log", 1, 1, 1, false, false},
	"bind-log/stork--xfr-mixed-logs.txt":                                      {"bind-log", 3, 0, 41, false, false},
	"coredns-log/coredns--log-readme.extract.log":                             {"coredns-log", 0, 1, 0, false, false},
	"ct-log/certspotter-client--example.json":                                 {"certspotter", 5, 0, 0, false, false},
	"ct-log/certstream-server--readme.extract.json":                           {"certstream", 2, 0, 0, false, false},
	"ct-log/crtsh-rb--1_1.extract.json":                                       {"crtsh", 92, 0, 0, false, false},
	"ct-log/crtsh-rb--1_1.yml":                                                {refused: true},
	"dns-as-code/dns--digitalgov.gov.tf":                                      {refused: true},
	"dns-as-code/dns--financeandtaxtribunals.gov.uk.yaml":                     {"octodns", 31, 0, 0, false, false},
	"dns-as-code/dnscontrol--029-dextendsub.js":                               {refused: true},
	"dns-as-code/octodns--unit.tests.yaml":                                    {"octodns", 47, 0, 1, false, false},
	"dnstap/bind9--correct_query_nanosec.dnstap":                              {"dnstap-message", 0, 0, 1, false, false},
	"dnstap/bind9--large-answer.fstrm":                                        {"dnstap", 1, 0, 0, false, false},
	"dnstap/bind9--query_time_nanosec_big.dnstap":                             {"dnstap-message", 0, 0, 1, false, false},
	"dnstap/dns-collector--dnstap.fstrm":                                      {"dnstap", 0, 0, 2, false, false},
	"dnstap/dsc--test.dnstap":                                                 {"dnstap", 0, 0, 2, false, false},
	"dnstap/fstrm--test.fstrm":                                                {"dnstap", 0, 0, 0, true, false},
	"firewall/hub--iptables-scan-multi-port.log":                              {"iptables", 49, 0, 0, false, false},
	"firewall/hub--pf-scan-multi-port.log":                                    {"pf-filterlog", 16, 0, 1, false, false},
	"firewall/otel-contrib--valid_vpc_flow_log_multi.log":                     {"vpc-flow", 2, 0, 1, false, false},
	"gcp-dns/otel-contrib--dns_query_no_error.json":                           {"gcp-dns", 1, 0, 0, false, false},
	"gcp-dns/panther-analysis--gcp_dns_zone_modified_or_deleted.yml":          {refused: true},
	"knot-log/knot--operation-1.extract.log":                                  {"knot-log", 0, 0, 40, false, false},
	"msdns-debug/dnsdebugloghandler--dns-Locale-de-DE-WindowsUnknown.txt":     {"msdns-debug", 4, 0, 3, false, false},
	"msdns-debug/dnsdebugloghandler--dns-Locale_en-US-Windows2012.txt":        {"msdns-debug", 207, 0, 696, false, false},
	"msdns-debug/usiem-windns--readme.extract.log":                            {"msdns-debug", 2, 1, 5, false, false},
	"output-schema/balboa--packetbeat-dns.extract.json":                       {refused: true},
	"output-schema/cti-stix2-json-schemas--infrastructure.json":               {refused: true},
	"output-schema/ecs--dns.yml":                                              {refused: true},
	"output-schema/mitre-cti--T1590.002.json":                                 {refused: true},
	"output-schema/ocsf-schema--dns_activity.json":                            {refused: true},
	"output-schema/prowler--example_output_aws.ocsf.json":                     {refused: true},
	"output-schema/sigma--azure_dns_zone_modified_or_deleted.yml":             {refused: true},
	"output-schema/sigma--net_dns_susp_b64_queries.yml":                       {refused: true},
	"passive-dns/dnsdb-rb--rdata-1_1_3.extract.jsonl":                         {"pdns-cof", 22, 0, 0, false, false},
	"passive-dns/dnsdb-rb--rrset-1_2_1.extract.jsonl":                         {"pdns-cof", 2, 0, 0, false, false},
	"passive-dns/dnsdb-rb--rrset-1_2_1.yml":                                   {refused: true},
	"passive-dns/passive_circl--query.extract.jsonl":                          {"pdns-cof", 3, 0, 0, false, false},
	"pcap/arkime--dns-notify.pcap":                                            {"pcap", 1, 0, 0, false, false},
	"pcap/arkime--dns-wiresharkrepo.pcap":                                     {"pcap", 19, 0, 0, false, false},
	"pcap/compactor--knot-live.raw.pcap.xz":                                   {"pcap", 8262, 4, 196, false, false},
	"pcap/compactor--malformed.pcap.xz":                                       {"pcap", 11, 2, 0, false, false},
	"pcap/dns-collector--dnsdump_ip4_fragmented+udp.pcap":                     {"pcap", 1, 0, 0, false, false},
	"pcap/dns-collector--dnsdump_ip6_fragmented+udp.pcap":                     {"pcap", 1, 0, 0, false, false},
	"pcap/dns-collector--dnsdump_tcp.pcap":                                    {"pcap", 5, 0, 0, false, false},
	"pcap/dns-collector--dnsdump_udp.pcap":                                    {"pcap", 17, 0, 0, false, false},
	"pcap/dns-collector--dnsdump_udp_truncated+tcp_fragmented.pcap":           {"pcap", 2, 0, 0, false, false},
	"pcap/dnscap--dns6.pcap":                                                  {"pcap", 1, 0, 0, false, false},
	"pcap/dnscap--dnso1tcp.pcap":                                              {"pcap", 41, 0, 0, false, false},
	"pcap/dnscap--dnsotcp-many1pkt.pcap":                                      {"pcap", 4, 0, 0, false, false},
	"pcap/dnscap--frags.pcap":                                                 {"pcap", 41, 0, 0, false, false},
	"pcap/dnscap--vlan11.pcap":                                                {"pcap", 41, 0, 51, false, false},
	"pcap/entrada2--sidnlabs-test-dynamic-updates.pcap":                       {"pcap", 34, 0, 0, false, false},
	"pcap/entrada2--sidnlabs-test-ip-1-dns-response-2-ip-fragments.pcap":      {"pcap", 1, 0, 0, false, false},
	"pcap/entrada2--sidnlabs-test-multiple-dns-msg-over-tcp.pcap":             {"pcap", 1, 0, 5, false, false},
	"pcap/entrada2--sidnlabs-test-non-ascii-in-qname.example.pcap":            {"pcap", 1, 0, 0, false, false},
	"pcap/packetq--sample-bigendian.pcap.gz":                                  {"pcap", 1, 0, 0, false, false},
	"pcap/packetq--sample-rfc1035escape.pcap.gz":                              {"pcap", 9, 0, 0, false, false},
	"pcap/zeek--dns-corrupt.pcap":                                             {"pcap", 1, 0, 0, false, false},
	"pcap/zeek--dns-edns-ecs.pcap":                                            {"pcap", 70, 0, 0, false, false},
	"pcap/zeek--dns-svcb.pcap":                                                {"pcap", 1, 0, 0, false, false},
	"pcap/zeek--max-compression-depth.pcap":                                   {"pcap", 0, 0, 1, false, false},
	"pcap/zeek--mdns.pcap":                                                    {"pcap", 0, 0, 24, false, false},
	"pcap/zeek--nsec.pcap":                                                    {"pcap", 2, 0, 0, false, false},
	"pcap/zeek--nsec3.pcap":                                                   {"pcap", 1, 0, 0, false, false},
	"pcap/zeek--rrsig.pcap":                                                   {"pcap", 4, 0, 0, false, false},
	"powerdns-log/pdns--recursor-running.extract.log":                         {"powerdns-log", 1, 0, 1, false, false},
	"rdap/nomulus--rdap_domain_transfer_grace_period.json":                    {"rdap", 1, 0, 0, false, false},
	"rdap/nomulus--rdapjson_domain_full.json":                                 {"rdap", 1, 0, 0, false, false},
	"rdap/nomulus--rdapjson_error.json":                                       {"rdap", 0, 1, 0, false, false},
	"rdap/rdap--domain-example.cz.json":                                       {"rdap", 1, 0, 0, false, false},
	"suricata-eve/balboa--eve-dns-v1.extract.json":                            {"suricata-eve", 0, 1, 0, false, false},
	"suricata-eve/balboa--eve-dns-v2.extract.json":                            {"suricata-eve", 0, 1, 0, false, false},
	"suricata-eve/fever--jsonparse_eve.json":                                  {"suricata-eve", 1, 0, 2, false, false},
	"suricata-eve/hub--suricata-logs-evelog.log":                              {"suricata-alert", 4, 0, 4, false, false},
	"suricata-eve/suricata--8.0-dns-logging-changes.rst":                      {refused: true},
	"suricata-eve/suricata-sample-data--honeypot-alerts-only.json":            {"suricata-alert", 44, 0, 0, false, false},
	"unbound-log/ossec-hids--unbound.ini":                                     {"unbound-log", 1, 0, 29, false, false},
	"web-access/hub--apache-http-probing.log":                                 {"web-access", 77, 0, 0, false, false},
	"web-access/hub--aws-alb-http-bad-user-agent.log":                         {"alb-access", 4, 0, 0, false, false},
	"web-access/hub--nginx-bad-user-agent.log":                                {"web-access", 3, 0, 0, false, false},
	"zeek-conn-notice/zat--conn.tsv.log":                                      {"zeek-conn", 360, 0, 9, false, false},
	"zeek-conn-notice/zat--notice.log":                                        {"zeek-notice", 2, 0, 9, false, false},
	"zeek-conn-notice/zeek--ssh-bruteforce-notice.log":                        {"zeek-notice", 0, 1, 10, false, false},
	"zeek-dns/zat--dns.json.log":                                              {"zeek-dns", 47, 0, 3, false, false},
	"zeek-dns/zat--dns.tsv.log":                                               {"zeek-dns", 51, 0, 12, false, false},
	"zeek-dns/zeek--opt.basic-dns.log":                                        {"zeek-dns", 0, 14, 30, false, false},
	"zone/bind9--example1.db":                                                 {"zone-file", 97, 0, 20, false, false},
	"zone/dnscontrol--example.org.zone":                                       {"zone-file", 349, 0, 17, false, false},
	"zone/dnscontrol--simple.com.zone":                                        {"zone-file", 19, 0, 2, false, false},
	"zone/ldns--08-zonereader.inputzone":                                      {"zone-file", 3879, 3, 0, false, false},
	"zone/nsd--nsec3_zone.zone":                                               {"zone-file", 70, 0, 2, false, false},
	"zone/nsd--rr-test.zone":                                                  {"zone-file", 109, 0, 3, false, false},
}

// TestSharedComplete: each sample that there is has the outcome that is written
// down for it, and none is left out.
func TestSharedComplete(t *testing.T) {
	root := pickettest.Shared(t, "samples")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		want, ok := sharedOutcomes[filepath.ToSlash(name)]
		if !ok {
			t.Errorf("%s: nothing is written down for it", name)
			return nil
		}
		seen++
		row := inspectFile(t, path)
		var skipped int64
		for _, n := range row.Skipped {
			skipped += n
		}
		got := sharedOutcome{format: row.Format, accepted: row.Accepted, rejected: row.Rejected, skipped: skipped, broken: row.Error != "" && row.Format != "", refused: row.Format == ""}
		if got != want {
			t.Errorf("%s: %+v, want %+v; error %q", name, got, want, row.Error)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(sharedOutcomes) {
		t.Errorf("%d samples of %d are there", seen, len(sharedOutcomes))
	}
}
