package record

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// fuzzDecoder runs a decoder over anything: it may not panic, what it hands over is
// well-formed and fit to be shown, and does not depend on how the bytes arrive.
func fuzzDecoder(f *testing.F, d decoder, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		opt := decode.Options{Origin: "example.com.", Name: "x"}
		acct, sink := &tally{}, &Collector{}
		err := d(context.Background(), bytes.NewReader(b), opt, acct, sink)
		if acct.accepted != len(sink.Records) {
			t.Fatalf("accepted %d, sink got %d", acct.accepted, len(sink.Records))
		}
		for i := range sink.Records {
			r := &sink.Records[i]
			for _, name := range []string{r.Name, r.Zone} {
				if name == "" && name == r.Zone {
					continue
				}
				wire, err := dnsname.Parse(name)
				if err != nil || dnsname.String(wire) != name {
					t.Fatalf("name %q: %v", name, err)
				}
			}
			for _, text := range []string{r.Type, r.Class, r.Data, r.Source, r.Comment} {
				if printable(text) != text || strings.ContainsAny(text, "\n\r\x00") {
					t.Fatalf("%q is not fit to be shown", text)
				}
			}
			if again, ok := canonicalData(r.Type, r.Data, ""); ok && again != r.Data && !lax[r.Type] {
				t.Fatalf("%s %q is %q the second time", r.Type, r.Data, again)
			}
		}
		slow := &tally{}
		err2 := d(context.Background(), iotest.HalfReader(bytes.NewReader(b)), opt, slow, &Collector{})
		if slow.accepted != acct.accepted || len(slow.rejected) != len(acct.rejected) || len(slow.skipped) != len(acct.skipped) || (err == nil) != (err2 == nil) {
			t.Fatalf("by halves: accepted %d, then %d (%v, %v)", acct.accepted, slow.accepted, err, err2)
		}
	})
}

// lax are types whose text the parser itself does not write the same twice, or
// that are kept as they stand.
var lax = map[string]bool{"LOC": true, "SVCB": true, "HTTPS": true, "APL": true, "IPSECKEY": true, "AMTRELAY": true}

func FuzzZoneFile(f *testing.F) {
	fuzzDecoder(f, ZoneFile, "$TTL 60\n@ SOA ns h 1 2 3 4 5\n  NS ns\nns A 192.0.2.1\n", "$GENERATE 1-3 a$ A 192.0.2.$\nx TXT ( \"a\"\n \"b\" ) ; c\ny TYPE65280 \\# 1 00\n",
		"a HTTPS 1 . alpn=h2\nb CAA 0 issue \"x\"\nc LOC 1 N 2 E 3m\nd NAPTR 1 2 a b c .\n")
}

func FuzzOctoDNS(f *testing.F) {
	fuzzDecoder(f, OctoDNS, "'':\n- type: A\n  value: 192.0.2.1\n- {type: MX, values: [{exchange: a., preference: 1}]}\na: &x\n  type: TXT\n  value: b\\;c\nb: *x\nc: {<<: *x, ttl: 5}\n",
		"? ''\n: type: NS\n  values: [a., b.]\nw:\n  dynamic:\n    pools: {a: {values: [{value: 192.0.2.1}]}}\n  geo: {AF: [192.0.2.2]}\n  type: A\n  octodns: {excluded: [x]}\n",
		"l: {type: LOC, value: {lat_degrees: 1, lat_direction: N, long_direction: E}}\ns: {type: SVCB, value: {svcpriority: 1, targetname: ., svcparams: {alpn: [h2]}}}\n")
}

func FuzzDNSControl(f *testing.F) {
	fuzzDecoder(f, DNSControl, `{"domains":[{"name":"example.com","records":[{"type":"A","name":"@","target":"192.0.2.1"},{"type":"LOC","name":"l","loclatitude":1},{"type":"NAPTR","name":"n","naptrregexp":"x"}],"nameservers":[{"name":"ns"}]}]}`,
		`{"domains":[{"name":"é","records":[{"type":"TXT","name":"a.","txtstrings":["x",1]},{"type":"R53_ALIAS","name":"*","r53_alias":{"type":"A"},"target":"b"}]}]}`)
}

func FuzzTerraformState(f *testing.F) {
	fuzzDecoder(f, TerraformState, `{"version":4,"resources":[{"type":"aws_route53_zone","mode":"managed","instances":[{"attributes":{"zone_id":"Z","name":"example.com"}}]},{"type":"aws_route53_record","mode":"managed","instances":[{"index_key":0,"attributes":{"zone_id":"Z","name":"a","type":"TXT","records":["x\"\"y"],"alias":[{"name":"b"}]}}]}]}`,
		`{"version":4,"resources":[{"type":"azurerm_dns_mx_record","instances":[{"attributes":{"zone_name":"e.x","name":"@","record":[{"preference":"1","exchange":"m"}]}}]},{"type":"cloudflare_record","instances":[{"attributes":{"type":"SRV","hostname":"a.b","content":"1 2 c"}}]}]}`)
}

func FuzzTerraformPlan(f *testing.F) {
	fuzzDecoder(f, TerraformPlan, `{"planned_values":{"root_module":{"child_modules":[{"resources":[{"address":"x","type":"powerdns_record","values":{"zone":"e.x.","name":"a.e.x.","type":"A","records":["192.0.2.1"]}}]}]}},"resource_changes":[{"address":"y","type":"ns1_record","change":{"actions":["update"],"before":{"domain":"a.b","zone":"b","type":"A","answers":[{"answer":"192.0.2.1"}]},"after":null}}]}`)
}

func FuzzRoute53Export(f *testing.F) {
	fuzzDecoder(f, Route53Export, `{"ResourceRecordSets":[{"Name":"\\052.a.","Type":"A","TTL":1,"ResourceRecords":[{"Value":"192.0.2.1"}]},{"Name":"b.","Type":"A","AliasTarget":{"DNSName":"c."},"SetIdentifier":"d","GeoLocation":{"CountryCode":"*"}}]}`,
		`{"Changes":[{"Action":"DELETE","ResourceRecordSet":{"Name":"a","Type":"TXT","ResourceRecords":["\"\\101\""]}}]}`)
}

func FuzzCloudflareExport(f *testing.F) {
	fuzzDecoder(f, CloudflareExport, `{"result":[{"name":"a.b","type":"SRV","content":"1 2 c","priority":1,"ttl":1,"proxied":true,"modified_on":"2026-01-01T00:00:00Z"},{"name":"a","type":"HTTPS","data":{"priority":1,"target":".","value":"alpn=h2"}}]}`)
}

func FuzzGCPExport(f *testing.F) {
	fuzzDecoder(f, GCPExport, `[{"name":"a.","type":"A","rrdatas":["192.0.2.1"],"routingPolicy":{"wrr":{"items":[{"weight":1,"rrdatas":["192.0.2.2"]}]}}}]`,
		"---\nkind: dns#resourceRecordSet\nname: a.\nrrdatas: [192.0.2.1]\ntype: A\n", `{"additions":[{"name":"a.","type":"A","rrdatas":["192.0.2.1"]}]}`)
}

func FuzzAzureExport(f *testing.F) {
	fuzzDecoder(f, AzureExport, `{"value":[{"id":"/x/dnszones/e.x/A/a","name":"a","type":"Microsoft.Network/dnszones/A","properties":{"TTL":1,"ARecords":[{"ipv4Address":"192.0.2.1"}]}}]}`,
		`{"parameters":{"z":{"defaultValue":"e.x"}},"resources":[{"type":"Microsoft.Network/dnszones/TXT","name":"[concat(parameters('z'),'/t')]","properties":{"TXTRecords":[{"value":["a"]}]}}]}`,
		`{"interactions":[{"response":{"body":{"string":"[{\"name\":\"e.x\",\"type\":\"Microsoft.Network/dnszones\",\"nameServers\":[\"n.\"]}]"}}}]}`)
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("$ORIGIN a.\nb A 192.0.2.1\n"))
	f.Add([]byte("a:\n  type: A\n? b\n: c: {type: A}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectZoneFile, DetectOctoDNS, DetectDNSControl, DetectTerraformState, DetectTerraformPlan,
			DetectRoute53Export, DetectCloudflareExport, DetectGCPExport, DetectAzureExport} {
			detect(b)
		}
	})
}

// BenchmarkZoneFile reads a zone of 100,000 hosts.
func BenchmarkZoneFile(b *testing.B) {
	var text strings.Builder
	text.WriteString("$TTL 300\n@ SOA ns h 1 2 3 4 5\n")
	n := 100_000
	for range n {
		text.WriteString("host-0000001 IN A 192.0.2.7\n")
	}
	b.ReportAllocs()
	for b.Loop() {
		acct := &tally{}
		if err := ZoneFile(context.Background(), strings.NewReader(text.String()), decode.Options{Origin: "example.com."}, acct, discard{}); err != nil || acct.accepted != n+1 {
			b.Fatal(err, acct.accepted)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "lines/s")
}
