package record

import (
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/input/decode"
)

func TestDNSControl(t *testing.T) {
	head := `{"registrars":[],"dns_providers":[],"domains":[{"name":"example.com","uniquename":"example.com","records":[`
	tail := `]}]}`
	check(t, DNSControl, []vector{
		{what: "types", text: head + `{"type":"SRV","name":"_a._tcp","srvpriority":1,"srvweight":2,"srvport":3,"target":"b.example.com.","ttl":60},
{"type":"NAPTR","name":"@","naptrorder":100,"naptrpreference":10,"naptrflags":"U","naptrservice":"E2U+sip","naptrregexp":"!^.*$!sip:a@example.com!","target":".","ttl":300},
{"type":"DS","name":"d","dskeytag":1,"dsalgorithm":8,"dsdigesttype":2,"dsdigest":"0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF","target":""},
{"type":"SSHFP","name":"s","sshfpalgorithm":1,"sshfpfingerprint":1,"target":"66C7D5540B7D75A1FB4C84FEBFA178AD99BDD67C"},
{"type":"TLSA","name":"_443._tcp","tlsausage":3,"tlsaselector":1,"tlsamatchingtype":1,"target":"abcd"},
{"type":"SVCB","name":"v","svcpriority":1,"target":".","svcparams":"alpn=h2"},
{"type":"TXT","name":"t","txtstrings":["a","b\"c"],"target":"ab\"c"},
{"type":"SOA","name":"@","target":"ns1.example.com.","soambox":"hostmaster@example.com","soaserial":1,"soarefresh":2,"soaretry":3,"soaexpire":4,"soaminttl":5},
{"type":"RP","name":"r","fields":{"Mbox":"u.example.com."},"zonfefilepartial":"u.example.com. t.example.com.","target":""},
{"type":"AZURE_ALIAS","name":"z","azure_alias":{"type":"A"},"target":"/subscriptions/x"},
{"type":"CLOUDFLAREAPI_SINGLE_REDIRECT","name":"@","target":"code=301 when=x then=y"},
{"type":"A","name":"ü","target":"192.0.2.1","meta":{"comment":"old"}}` + tail,
			want: []string{"example.com.|_a._tcp.example.com. 60 SRV 1 2 3 b.example.com.",
				`example.com.|example.com. 300 NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:a@example.com!" .`,
				"example.com.|d.example.com. 0 DS 1 8 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
				"example.com.|s.example.com. 0 SSHFP 1 1 66C7D5540B7D75A1FB4C84FEBFA178AD99BDD67C",
				"example.com.|_443._tcp.example.com. 0 TLSA 3 1 1 abcd", `example.com.|v.example.com. 0 SVCB 1 . alpn="h2"`,
				`example.com.|t.example.com. 0 TXT "a" "b\"c"`, "example.com.|example.com. 0 SOA ns1.example.com. hostmaster.example.com. 1 2 3 4 5",
				"example.com.|r.example.com. 0 RP u.example.com. t.example.com.", "example.com.|z.example.com. 0 ALIAS A /subscriptions/x.",
				"example.com.|example.com. 0 CLOUDFLAREAPI_SINGLE_REDIRECT code=301 when=x then=y", "example.com.|xn--tda.example.com. 0 A 192.0.2.1 # old"}},
		{what: "instructions and faults", text: head + `{"type":"IGNORE","name":"x","target":""},{"type":"A","name":"a","target":"x"},5,{"name":"a","target":"192.0.2.1"},{"type":"A","name":"a","target":"192.0.2.1","ensure_absent":true}` + tail,
			rejected: []string{"bad record data@1", "not a record@1", "record without type@1"}, skipped: []string{skipControl, skipControl}},
		{what: "nothing of it", text: `{"a":1}`, rejected: []string{"not a record@1"}},
		{what: "cut", text: head, err: "JSON document"},
		{what: "deep", text: `{"domains":[` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `]}`, err: "nested too deep"},
		{what: "a record too large", text: head + `{"type":"TXT","name":"a","target":"` + strings.Repeat("x", 2<<20) + `"}` + tail, rejected: []string{"not a record@1"}},
		{what: "empty", text: ""},
		{what: "location", text: head + `{"type":"LOC","name":"l","locversion":0,"locsize":18,"lochorizpre":22,"locvertpre":19,"loclatitude":2299997648,"loclongitude":1891505648,"localtitude":10000000}` + tail,
			want: []string{"example.com.|l.example.com. 0 LOC 42 21 54.000 N 71 06 18.000 W 0m 1m 10000m 10m"}},
	})
}

func TestTerraformState(t *testing.T) {
	head := `{"version":4,"terraform_version":"1.9.8","lineage":"x","resources":[`
	res := func(kind, attrs string) string {
		return head + `{"mode":"managed","type":"` + kind + `","name":"r","instances":[{"attributes":` + attrs + `}]}]}`
	}
	check(t, TerraformState, []vector{
		{what: "old", text: `{"version":3,"modules":[]}`, err: "state of version 3"},
		{what: "route53, zone unknown", text: res("aws_route53_record", `{"zone_id":"Z9","name":"www.example.com","fqdn":"www.example.com","type":"TXT","ttl":60,"records":["v=spf1 -all","a\"\"b","x;y"],"set_identifier":"blue"}`),
			want: []string{`|www.example.com. 60 TXT "v=spf1 -all" # set blue`, `|www.example.com. 60 TXT "a" "b" # set blue`, `|www.example.com. 60 TXT "x;y" # set blue`}},
		{what: "route53, origin given", text: res("aws_route53_record", `{"zone_id":"Z9","name":"www","type":"A","ttl":60,"records":["192.0.2.1"]}`), opt: decode.Options{Origin: "example.com."},
			want: []string{"example.com.|www.example.com. 60 A 192.0.2.1"}},
		{what: "cloudflare data", text: res("cloudflare_record", `{"zone_id":"c","hostname":"_sip._tcp.example.com","name":"_sip._tcp","type":"SRV","ttl":300,"data":[{"port":5060,"priority":1,"weight":2,"target":"sip.example.com"}],"proxied":false}`),
			want: []string{"|_sip._tcp.example.com. 300 SRV 1 2 5060 sip.example.com."}},
		{what: "cloudflare 5", text: res("cloudflare_dns_record", `{"zone_id":"c","name":"example.com","type":"CAA","ttl":1,"data":{"flags":0,"tag":"issue","value":"ca.example.net"},"proxied":null}`),
			want: []string{`|example.com. 0 CAA 0 issue "ca.example.net"`}},
		{what: "azure", text: res("azurerm_private_dns_srv_record", `{"zone_name":"corp.example","name":"_ldap._tcp","ttl":60,"record":[{"priority":0,"weight":5,"port":389,"target":"dc1.corp.example"}]}`),
			want: []string{"corp.example.|_ldap._tcp.corp.example. 60 SRV 0 5 389 dc1.corp.example."}},
		{what: "azure names", text: res("azurerm_dns_cname_record", `{"zone_name":"example.com","name":"www","ttl":60,"record":"web.example.net","target_resource_id":null}`),
			want: []string{"example.com.|www.example.com. 60 CNAME web.example.net."}},
		{what: "azure alias", text: res("azurerm_dns_a_record", `{"zone_name":"example.com","name":"@","ttl":60,"records":[],"target_resource_id":"/subscriptions/x"}`),
			want: []string{"example.com.|example.com. 60 ALIAS A /subscriptions/x"}},
		{what: "digitalocean", text: res("digitalocean_record", `{"domain":"example.org","name":"_a._tcp","fqdn":"_a._tcp.example.org","type":"SRV","value":"b.example.org.","priority":1,"weight":2,"port":3,"ttl":60}`),
			want: []string{"example.org.|_a._tcp.example.org. 60 SRV 1 2 3 b.example.org."}},
		{what: "hetzner, quotes", text: res("hetznerdns_record", `{"zone_id":"h","name":"@","type":"TXT","value":"\"a b\" \"c\"","ttl":60}`), opt: decode.Options{Origin: "example.com"},
			want: []string{`example.com.|example.com. 60 TXT "a b" "c"`}},
		{what: "hetzner, no zone", text: res("hetznerdns_record", `{"zone_id":"h","name":"@","type":"A","value":"192.0.2.1"}`), rejected: []string{"relative name without zone@1"}},
		{what: "powerdns", text: res("powerdns_record", `{"zone":"example.net.","name":"a.example.net.","type":"MX","ttl":60,"records":["10 mail.example.net."]}`), want: []string{"example.net.|a.example.net. 60 MX 10 mail.example.net."}},
		{what: "rfc2136", text: res("dns_a_record_set", `{"zone":"example.com.","name":"a","addresses":["192.0.2.1","192.0.2.2"],"ttl":60}`),
			want: []string{"example.com.|a.example.com. 60 A 192.0.2.1", "example.com.|a.example.com. 60 A 192.0.2.2"}},
		{what: "others", text: res("gandi_livedns_record", `{"zone":"example.com","name":"@","type":"CAA","ttl":60,"values":["0 issue \"ca\""]}`), want: []string{`example.com.|example.com. 60 CAA 0 issue "ca"`}},
		{what: "no data", text: res("aws_route53_record", `{"name":"a","fqdn":"a.example.com","type":"A"}`), rejected: []string{"record without data@1"}},
		{what: "no attributes", text: res("aws_route53_record", `null`), rejected: []string{"record without data@1"}},
	})
}

func TestTerraformPlan(t *testing.T) {
	check(t, TerraformPlan, []vector{
		{what: "shown state", text: `{"format_version":"1.0","terraform_version":"1.9.8","values":{"root_module":{"resources":[
{"address":"aws_route53_zone.z","mode":"managed","type":"aws_route53_zone","values":{"zone_id":"Z1","name":"example.com"}}],
"child_modules":[{"resources":[{"address":"module.a.aws_route53_record.r","mode":"managed","type":"aws_route53_record","values":{"zone_id":"Z1","name":"a","fqdn":"a.example.com","type":"A","ttl":60,"records":["192.0.2.1"]}}]}]}}}`,
			want: []string{"example.com.|a.example.com. 60 A 192.0.2.1"}, skipped: []string{skipNoDNS}},
		{what: "replaced", text: `{"format_version":"1.0","terraform_version":"1","resource_changes":[{"address":"r","mode":"managed","type":"google_dns_record_set","change":{"actions":["delete","create"],
"before":{"name":"a.example.com.","type":"A","ttl":60,"rrdatas":["192.0.2.1","192.0.2.2"]},"after":{"name":"b.example.com.","type":"A","ttl":60,"rrdatas":["192.0.2.1"]}}}]}`,
			want: []string{"remove |a.example.com. 60 A 192.0.2.1", "remove |a.example.com. 60 A 192.0.2.2", "add |b.example.com. 60 A 192.0.2.1"}},
	})
}

func TestRoute53Export(t *testing.T) {
	check(t, Route53Export, []vector{
		{what: "change batch", text: `{"ChangeBatch":{"Changes":[{"Action":"UPSERT","ResourceRecordSet":{"Name":"a.example.com","Type":"A","TTL":60,"ResourceRecords":[{"Value":"192.0.2.1"}]}},
{"Action":"DELETE","ResourceRecordSet":{"Name":"b.example.com","Type":"CNAME","TTL":60,"ResourceRecords":[{"Value":"c.example.com"}]}}]}}`,
			want: []string{"replace |a.example.com. 60 A 192.0.2.1", "remove |b.example.com. 60 CNAME c.example.com."}},
		{what: "actions", text: `{"Changes":[{"Action":"upsert","ResourceRecordSet":{"Name":"a.example.com","Type":"A","TTL":60,"ResourceRecords":[{"Value":"192.0.2.1"},{"Value":"192.0.2.2"}]}},
{"Action":"UPSERT","ResourceRecordSet":{"Name":"b.example.com","Type":"A","AliasTarget":{"DNSName":"lb.example.net"}}},
{"Action":"UPSERT","ResourceRecordSet":{"Name":"c.example.com","Type":"A","SetIdentifier":"x","Weight":1,"TTL":60,"ResourceRecords":[{"Value":"192.0.2.3"}]}},
{"Action":"CREATE","ResourceRecordSet":{"Name":"d.example.com","Type":"A","TTL":60,"ResourceRecords":[{"Value":"192.0.2.4"}]}}]}`,
			want: []string{"replace |a.example.com. 60 A 192.0.2.1", "replace |a.example.com. 60 A 192.0.2.2", "replace |b.example.com. 0 ALIAS A lb.example.net.",
				"add |c.example.com. 60 A 192.0.2.3 # set x, weight 1", "add |d.example.com. 60 A 192.0.2.4"}},
		{what: "escapes", text: `[{"Name":"\\052.\\100.example.com.","Type":"TXT","TTL":60,"ResourceRecords":[{"Value":"\"a\\042b\" \"c\""}]}]`,
			want: []string{`|*.\@.example.com. 60 TXT "a\"b" "c"`}},
		{what: "bare, one a line", text: "{\"Name\":\"a.example.com.\",\"Type\":\"A\",\"TTL\":60,\"ResourceRecords\":[{\"Value\":\"192.0.2.1\"}]}\n{\"Name\":\"b.example.com.\",\"Type\":\"AAAA\",\"AliasTarget\":{\"DNSName\":\"dualstack.lb.example.net.\"}}\n",
			want: []string{"|a.example.com. 60 A 192.0.2.1", "|b.example.com. 0 ALIAS AAAA dualstack.lb.example.net."}},
		{what: "chosen by place", text: `{"ResourceRecordSets":[{"Name":"a.example.com.","Type":"A","SetIdentifier":"x","GeoLocation":{"ContinentCode":"EU"},"HealthCheckId":"h","TTL":60,"ResourceRecords":[{"Value":"192.0.2.1"}]}]}`,
			want: []string{"|a.example.com. 60 A 192.0.2.1 # set x, healthcheckid h, geo EU"}},
		{what: "faults", text: "{\"ResourceRecordSets\":[\n1,\n{\"Name\":\"a\",\"Type\":\"A\"},\n{\"Type\":\"A\",\"ResourceRecords\":[{\"Value\":\"192.0.2.1\"}]}]}",
			rejected: []string{"not a record@2", "record without data@3", "record without name@4"}},
		{what: "cut in the second", text: "{\"Name\":\"a.example.com.\",\"Type\":\"A\",\"TTL\":60,\"ResourceRecords\":[{\"Value\":\"192.0.2.1\"}]}\n{\"Name\":",
			want: []string{"|a.example.com. 60 A 192.0.2.1"}, err: "line 2: JSON document"},
	})
}

func TestCloudflareExport(t *testing.T) {
	check(t, CloudflareExport, []vector{
		{what: "bare array", text: `[{"name":"a.example.com","type":"CNAME","content":"b.example.net","proxied":true,"ttl":1},{"name":"example.com","type":"TXT","content":"v=spf1 \"x\" -all","ttl":"120"}]`,
			opt:  decode.Options{Origin: "example.com."},
			want: []string{"example.com.|a.example.com. 0 CNAME b.example.net. # proxied", `example.com.|example.com. 120 TXT "v=spf1 \"x\" -all"`}},
		{what: "parts", text: `[{"name":"example.com","type":"CAA","content":"0 issue \"ca.example\"","ttl":60},{"name":"u.example.com","type":"URI","priority":10,"data":{"weight":1,"target":"https://example.com/"},"ttl":60},
{"name":"s.example.com","type":"SRV","priority":3,"content":"5\t5060\tsip.example.com","ttl":60},{"name":"h.example.com","type":"HTTPS","data":{"priority":1,"target":".","value":"alpn=\"h3\""},"ttl":60}]`,
			want: []string{`|example.com. 60 CAA 0 issue "ca.example"`, `|u.example.com. 60 URI 10 1 "https://example.com/"`, "|s.example.com. 60 SRV 3 5 5060 sip.example.com.", `|h.example.com. 60 HTTPS 1 . alpn="h3"`}},
		{what: "an error", text: `{"result":null,"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`},
		{what: "one", text: `{"result":{"name":"a.example.com","type":"A","content":"192.0.2.1"}}`, want: []string{"|a.example.com. 0 A 192.0.2.1"}},
	})
}

func TestGCPExport(t *testing.T) {
	check(t, GCPExport, []vector{
		{what: "YAML", text: "---\nkind: dns#resourceRecordSet\nname: example.com.\nrrdatas:\n- ns.example.net. h.example.com. 1 2 3 4 5\nttl: 21600\ntype: SOA\n---\nkind: dns#resourceRecordSet\nname: www.example.com.\nrrdatas:\n- 192.0.2.1\n- 192.0.2.2\nttl: 300\ntype: A\n",
			want: []string{"example.com.|example.com. 21600 SOA ns.example.net. h.example.com. 1 2 3 4 5", "example.com.|www.example.com. 300 A 192.0.2.1", "example.com.|www.example.com. 300 A 192.0.2.2"}},
		{what: "API", text: `{"kind":"dns#resourceRecordSetsListResponse","rrsets":[{"name":"a.example.com.","type":"A","ttl":5,"routingPolicy":{"wrr":{"items":[{"weight":0.5,"rrdatas":["192.0.2.1"]}]},"primaryBackup":{"primaryTargets":{"internalLoadBalancers":[{"ipAddress":"192.0.2.9"}]},"backupGeoTargets":{"items":[{"location":"x","rrdatas":["192.0.2.3"]}]}}}}]}`,
			want: []string{"|a.example.com. 5 A 192.0.2.1 # weight 0.5", "|a.example.com. 5 A 192.0.2.9 # primary", "|a.example.com. 5 A 192.0.2.3 # backup geo x"}},
		{what: "change", text: `{"kind":"dns#change","additions":[{"name":"a.example.com.","type":"A","ttl":5,"rrdatas":["192.0.2.1"]}],"deletions":[{"name":"a.example.com.","type":"A","ttl":5,"rrdatas":["192.0.2.2"]}]}`,
			want: []string{"remove |a.example.com. 5 A 192.0.2.2", "add |a.example.com. 5 A 192.0.2.1"}},
		{what: "faults", text: "[\n{\"name\":\"a.example.com.\",\"type\":\"A\"},\n{\"name\":\"a\"}, null]", rejected: []string{"record without data@2", "not a record@3", "not a record@3"}},
	})
}

func TestAzureExport(t *testing.T) {
	set := func(name, typ, props string) string {
		return `{"id":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/dnszones/example.com/` + typ + `/` + name + `","name":"` + name + `","type":"Microsoft.Network/dnszones/` + typ + `","properties":{"TTL":60,` + props + `}}`
	}
	check(t, AzureExport, []vector{
		{what: "REST", text: `{"value":[` + set("www", "CNAME", `"CNAMERecord":{"cname":"web.example.net"}`) + `,` + set("@", "MX", `"MXRecords":[{"preference":10,"exchange":"mail.example.com"}]`) + `,` +
			set("_s._tcp", "SRV", `"SRVRecords":[{"priority":1,"weight":2,"port":3,"target":"a.example.com"}],"metadata":{"owner":"ada"}`) + `]}`,
			want: []string{"example.com.|www.example.com. 60 CNAME web.example.net.", "example.com.|example.com. 60 MX 10 mail.example.com.", "example.com.|_s._tcp.example.com. 60 SRV 1 2 3 a.example.com. # owner=ada"}},
		{what: "template", text: `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","parameters":{"zone":{"defaultValue":"example.com","type":"String"}},"resources":[
{"type":"Microsoft.Network/dnszones","name":"[parameters('zone')]","properties":{"zoneType":"Public"}},
{"type":"Microsoft.Network/dnszones/A","name":"[concat(parameters('zone'), '/www')]","properties":{"TTL":60,"ARecords":[{"ipv4Address":"192.0.2.1"}]}},
{"type":"Microsoft.Network/dnszones/A","name":"[format('{0}/{1}', parameters('zone'), '@')]","properties":{"TTL":60,"ARecords":[{"ipv4Address":"192.0.2.2"}]}},
{"type":"Microsoft.Network/dnszones/A","name":"[variables('x')]","properties":{"TTL":60,"ARecords":[{"ipv4Address":"192.0.2.3"}]}}]}`,
			want: []string{"example.com.|www.example.com. 60 A 192.0.2.1", "example.com.|example.com. 60 A 192.0.2.2"}, rejected: []string{"name is an expression@5"}, skipped: []string{skipZone}},
		{what: "private", text: `[{"id":"/x/privateDnsZones/corp.example/AAAA/db","name":"db","type":"Microsoft.Network/privateDnsZones/AAAA","ttl":30,"aaaaRecords":[{"ipv6Address":"2001:db8::1"}],"fqdn":"db.corp.example."}]`,
			want: []string{"corp.example.|db.corp.example. 30 AAAA 2001:db8::1"}},
		{what: "recorded text", text: `{"version":1,"interactions":[{"request":{},"response":{"body":{"string":"{\"value\":[{\"name\":\"example.com\",\"type\":\"Microsoft.Network/dnszones\",\"properties\":{\"nameServers\":[\"ns1.example.net.\"]}}]}"}}},{"response":{"body":{"string":"no JSON"}}}]}`,
			want: []string{"example.com.|example.com. 0 NS ns1.example.net."}, skipped: []string{skipNoDNS}},
		{what: "faults", text: "[" + set("a", "A", `"ARecords":[{"ipv4Address":"192.0.2"}]`) + ",\n" + set("b", "A", `"ARecords":[]`) + ",\n7]",
			rejected: []string{"bad record data@1", "record without data@2", "not a record@3"}},
	})
}
