package query

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	r53Line      = "1.0 2024-09-20T10:20:26.751Z Z0EXAMPLE123 www.example.com A NOERROR UDP FRA6 192.0.2.10 203.0.113.0/24"
	r53Want      = "2024-09-20T10:20:26.751Z 192.0.2.10:0> udp www.example.com IN A NOERROR edns,response ecs=203.0.113.0/24"
	resolverLine = `{"version":"1.100000","account_id":"1","region":"eu-central-1","vpc_id":"vpc-1","query_timestamp":"2024-09-20T10:20:26Z","query_name":"www.example.com.","query_type":"A","query_class":"IN","rcode":"NXDOMAIN","answers":[{"Rdata":"203.0.113.80","Type":"A","Class":"IN"}],"srcaddr":"192.0.2.10","srcport":"40112","transport":"UDP","srcids":{"instance":"i-1"}}`
	resolverWant = "2024-09-20T10:20:26Z 192.0.2.10:40112> udp www.example.com IN A NXDOMAIN response"
	cfLine       = `{"ColoCode":"FRA","EDNSSubnet":"203.0.113.0","EDNSSubnetLength":24,"QueryName":"www.example.com","QueryType":28,"ResponseCached":false,"ResponseCode":3,"SourceIP":"192.0.2.10","Timestamp":"2024-09-20T10:20:26Z"}`
	cfWant       = "2024-09-20T10:20:26Z 192.0.2.10:0>  www.example.com IN AAAA NXDOMAIN edns,response ecs=203.0.113.0/24"
	gcpLine      = `{"insertId":"a1","jsonPayload":{"authAnswer":true,"destinationIP":"198.51.100.53","protocol":"UDP","queryName":"www.example.com.","queryType":"A","rdata":"www.example.com.\t300\tIN\ta\t203.0.113.80","responseCode":"NOERROR","sourceIP":"192.0.2.10"},"logName":"projects/p/logs/dns.googleapis.com%2Fdns_queries","resource":{"type":"dns_query","labels":{"target_type":"public-zone"}},"timestamp":"2024-09-20T10:20:26.751213028Z"}`
	gcpWant      = "2024-09-20T10:20:26.751213028Z 192.0.2.10:0>198.51.100.53 udp www.example.com IN A NOERROR response,aa"
	azureLine    = `{"time":"2024-09-20T10:20:26.7512345Z","resourceId":"/SUBSCRIPTIONS/0/RESOURCEGROUPS/E/PROVIDERS/MICROSOFT.NETWORK/DNSRESOLVERPOLICIES/E","operationName":"RESPONSE_SUCCESS","category":"DnsResponse","properties":{"query_name":"www.example.com.","query_type":"A","query_class":"IN","response_code":"3","srcipaddr":"192.0.2.10","srcport":"40112","dstipaddr":"168.63.129.16","transport":"UDP","resolution_path":"PublicDnsResolution","answer":[{"Type":"A"}]}}`
	azureWant    = "2024-09-20T10:20:26.7512345Z 192.0.2.10:40112>168.63.129.16 udp www.example.com IN A NXDOMAIN response"
)

// cloudCases are the formats of this kind with a record of each.
var cloudCases = []struct {
	name       string
	decode     Decode
	detect     func([]byte) int
	line, want string
}{
	{"route53-log", Route53Log, DetectRoute53Log, r53Line, r53Want},
	{"route53-resolver", Route53Resolver, DetectRoute53Resolver, resolverLine, resolverWant},
	{"cloudflare-dns", CloudflareDNS, DetectCloudflareDNS, cfLine, cfWant},
	{"gcp-dns", GCPDNS, DetectGCPDNS, gcpLine, gcpWant},
	{"azure-dns", AzureDNS, DetectAzureDNS, azureLine, azureWant},
}

func inJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// cloudWraps are what log services make of two records; each has the number of
// outcomes beside the records' own.
func cloudWraps(line string) map[string]string {
	events := `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1726827626751,"message":` +
		inJSON(line) + `},{"id":"2","timestamp":1726827626751,"message":` + inJSON(line) + `}]}`
	pubsub := `{"message":{"attributes":{"k":"v"},"data":"` + b64(line) + `","messageId":"1","publishTime":"2024-09-20T10:20:27Z"},"subscription":"projects/p/subscriptions/s"}`
	wraps := map[string]string{
		"cloudwatch subscription": events,
		"cloudwatch export":       `{"timestamp":1726827626751,"message":` + inJSON(line) + "}\n" + `{"timestamp":1726827626752,"message":` + inJSON(line) + "}\n",
		"cloudwatch tail":         `{"events":[{"logStreamName":"s","timestamp":1,"message":` + inJSON(line) + `},{"message":` + inJSON(line) + `}],"nextToken":"x"}`,
		"kinesis":                 `{"awslogs":{"data":"` + b64(zipped(events)) + `"}}`,
		"kinesis to a function":   `{"Records":[{"kinesis":{"partitionKey":"1","data":"` + b64(zipped(events)) + `"},"eventSource":"aws:kinesis"}]}`,
		"firehose":                `{"requestId":"r","timestamp":1,"records":[{"data":"` + b64(zipped(events)) + `"}]}`,
		"pub/sub push":            pubsub + "\n" + pubsub,
		"pub/sub pull":            "[\n  {\"ackId\": \"x\",\n  \"message\": {\"data\": \"" + b64(line) + "\"}\n  },\n  {\"ackId\": \"x\",\n  \"message\": {\"data\": \"" + b64(line) + "\"}\n  }\n]\n",
		"pub/sub of two":          `{"message":{"data":"` + b64(line+"\n"+line) + `"}}`,
		"shipper":                 `{"@timestamp":"2024-09-20T10:20:27Z","log":` + inJSON(line) + "}\n{\"host\":\"h\",\"message\":" + inJSON(line) + "}",
		"concatenated":            strings.Replace(events, `,{"id":"2","timestamp":1726827626751,"message":`+inJSON(line)+"}", "", 1) + strings.Replace(events, `,{"id":"2","timestamp":1726827626751,"message":`+inJSON(line)+"}", "", 1),
	}
	if line[0] == '{' {
		wraps["syslog"] = "<14>Nov 23 12:00:00 relay logs: " + line + "\n<14>1 2026-11-23T12:00:00Z relay logs - - - " + line + "\n"
		wraps["lines"] = line + "\r\n" + line
		wraps["array"] = "[" + line + "," + line + "]"
		wraps["byte order mark"] = "\ufeff" + line + line
		wraps["records"] = `{"records":[` + line + `,` + line + `]}`
		wraps["Records"] = "{\n\"Records\" : [\n" + line + ",\n" + line + "\n]\n}\n"
		wraps["value"] = `{"value":[` + line + `,` + line + `],"nextLink":"x"}`
		wraps["results"] = `{"preview":false,"result":` + line + "}\n{\"event\":" + line + "}"
		wraps["entries"] = `{"entries":[` + line + `,` + line + `],"nextPageToken":{"a":["}"]}}`
		var pretty bytes.Buffer
		_ = json.Indent(&pretty, []byte(`{"batch":[`+line+`,`+line+`]}`), "", "  ")
		wraps["pretty"] = pretty.String()
	} else {
		wraps["syslog"] = "<14>Nov 23 12:00:00 relay logs: {\"message\":" + inJSON(line) + "}\n<14>1 2026-11-23T12:00:00Z relay logs - - - {\"message\":" + inJSON(line) + "}\n"
		wraps["syslog, plain"] = "<14>Nov 23 12:00:00 relay logs: " + line + "\n<14>1 2026-11-23T12:00:00Z relay logs - - - " + line + "\n"
		wraps["lines"] = line + "\r\n" + line
		wraps["in front"] = "2024-09-20T10:20:26.751Z FRA6 " + line + "\nZ0EXAMPLE123/FRA6 2024-09-20T10:20:26.751Z " + line
	}
	return wraps
}

func TestCloudWrappings(t *testing.T) {
	for _, f := range cloudCases {
		for name, text := range cloudWraps(f.line) {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				got, acct := decodeText(t, f.decode, text, decode.Options{})
				compare(t, got, []string{f.want, f.want})
				if acct.total() != 2 {
					t.Errorf("rejected %v, skipped %v", acct.rejected, acct.skipped)
				}
				for _, other := range cloudCases {
					want := 0
					if other.name == f.name {
						want = 93
					}
					if n := other.detect([]byte(text)); n != want {
						t.Errorf("%s is detected with %d", other.name, n)
					}
				}
			})
		}
	}
}

// TestCloudLong: a wrapper may be longer than what is read at once; each record in
// it counts, and one that is broken costs itself.
func TestCloudLong(t *testing.T) {
	for _, f := range cloudCases {
		t.Run(f.name, func(t *testing.T) {
			one := `{"message":` + inJSON(f.line) + `}`
			n := 3<<20/len(one) + 1
			text := `{"owner":"1","logEvents":[` + strings.Repeat(one+",", n) + `{"message":"a" "b"}],"z":{"a":["}"]},"x":"]}"}`
			got, acct := decodeText(t, f.decode, text+"\n"+text, decode.Options{})
			if len(got) != 2*n || acct.rejected[decode.ReasonBrokenJSON] != 2 || acct.total() != 2*n+2 {
				t.Errorf("%d of %d; rejected %v, skipped %v", len(got), 2*n, acct.rejected, acct.skipped)
			}
			_, acct = decodeText(t, f.decode, `{"logEvents":[`+one+`,`+one+`],"x`, decode.Options{})
			if acct.accepted != 2 {
				t.Errorf("cut after the array: %+v", acct)
			}
			_, acct = decodeText(t, f.decode, `{"logEvents":[`+one+`,`+one[:len(one)-5], decode.Options{})
			if acct.accepted != 1 || acct.rejected[decode.ReasonCutJSON] != 1 {
				t.Errorf("cut within a record: %+v", acct)
			}
			_, acct = decodeText(t, f.decode, `{"logEvents":[`+one+`,`+one, decode.Options{})
			if acct.accepted != 2 || acct.rejected[decode.ReasonCutJSON] != 1 {
				t.Errorf("cut between records: %+v", acct)
			}
		})
	}
}

// TestCloudWithout: objects that hold no record have one outcome each.
func TestCloudWithout(t *testing.T) {
	for _, f := range cloudCases {
		for _, tt := range []struct {
			text            string
			reject, skipped string
		}{
			{`{"a":1}`, reasonNoQuery, ""},
			{`{}`, reasonNoQuery, ""},
			{`{"records":[]}`, "", skipWrapper},
			{`{"message":""}`, "", skipWrapper},
			{`{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination"}]}`, "", skipWrapper},
			{`{"message":{"data":"!!"}}`, "", skipWrapper},
			{`{"message":{"data":"` + b64("\x1f\x8b\x08junk") + `"}}`, reasonZipped, ""},
			{`{"message":"{\"a\":"}`, decode.ReasonBrokenJSON, ""},
			{`{"message":` + inJSON(f.line) + `,"broken}`, decode.ReasonBrokenJSON, ""},
			{`{"records":[` + strings.Repeat(`{"records":[`, 20) + strings.Repeat(`]}`, 20) + `]}`, reasonNoQuery, ""},
		} {
			got, acct := decodeText(t, f.decode, tt.text, decode.Options{})
			if len(got) != 0 || acct.total() != 1 || (tt.reject != "" && acct.rejected[tt.reject] != 1) || (tt.skipped != "" && acct.skipped[tt.skipped] != 1) {
				t.Errorf("%s: %s: %v, rejected %v, skipped %v", f.name, tt.text, got, acct.rejected, acct.skipped)
			}
			if n := f.detect([]byte(tt.text)); n != 0 && !strings.Contains(tt.text, "broken") {
				t.Errorf("%s: %s: detected with %d", f.name, tt.text, n)
			}
		}
	}
}

// TestCloudFields: each way to write a record, and each that is rejected.
func TestCloudFields(t *testing.T) {
	with := func(line string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(line) }
	gone := func(line, field string) string { return strings.Replace(line, field, `"zz":`, 1) }
	tests := []struct {
		name, format, text, want string
		reason                   string
	}{
		{"tcp, v6, no subnet", "route53-log", with(r53Line, "UDP", "TCP", "192.0.2.10", "2001:db8::1", "203.0.113.0/24", "-"),
			"2024-09-20T10:20:26.751Z [2001:db8::1]:0> tcp www.example.com IN A NOERROR response", ""},
		{"later minor version, more fields", "route53-log", with(r53Line, "1.0 ", "1.7 ") + " extra fields", r53Want, ""},
		{"version 2", "route53-log", with(r53Line, "1.0 ", "2.0 "), "", reasonRoute53Version},
		{"octal escapes", "route53-log", with(r53Line, "www", `\052\056\134x\303`), `2024-09-20T10:20:26.751Z 192.0.2.10:0> udp *\.\\x\195.example.com IN A NOERROR edns,response ecs=203.0.113.0/24`, ""},
		{"decimal escapes", "route53-log", with(r53Line, "www", `\195\999`), "", decode.ReasonBadName},
		{"upper case and type by number", "route53-log", with(r53Line, "www", "WwW", " A ", " TYPE65 "), "2024-09-20T10:20:26.751Z 192.0.2.10:0> udp www.example.com IN HTTPS NOERROR edns,mixed,response ecs=203.0.113.0/24", ""},
		{"no rcode", "route53-log", with(r53Line, "NOERROR", "-"), "2024-09-20T10:20:26.751Z 192.0.2.10:0> udp www.example.com IN A ? edns ecs=203.0.113.0/24", ""},
		{"short line", "route53-log", "1.0 2024-09-20T10:20:26.751Z Z0EXAMPLE123 www.example.com A", "", decode.ReasonTruncated},
		{"bad time", "route53-log", with(r53Line, "2024-09-20T10:20:26.751Z", "2024-13-20T10:20:26.751Z"), "", decode.ReasonTime},
		{"bad address", "route53-log", with(r53Line, "192.0.2.10", "192.0.2.x"), "", decode.ReasonAddress},
		{"bad subnet", "route53-log", with(r53Line, "203.0.113.0/24", "203.0.113.0/64"), "", decode.ReasonAddress},
		{"bad type", "route53-log", with(r53Line, " A ", " NOPE "), "", decode.ReasonType},
		{"bad rcode", "route53-log", with(r53Line, "NOERROR", "WHAT"), "", reasonRcode},
		{"no line of the log", "route53-log", "hello world", "", reasonRoute53Line},

		{"DoH, v6, no answer", "route53-resolver", with(resolverLine, `"UDP"`, `"DOH"`, "192.0.2.10", "2001:db8::1", "NXDOMAIN", ""),
			"2024-09-20T10:20:26Z [2001:db8::1]:40112> https www.example.com IN A ? ", ""},
		{"numbers for words", "route53-resolver", with(resolverLine, `"40112"`, `40112`, `"A","query_class":"IN"`, `28,"query_class":3`, `"NXDOMAIN"`, `5`),
			"2024-09-20T10:20:26Z 192.0.2.10:40112> udp www.example.com CH AAAA REFUSED response", ""},
		{"no time", "route53-resolver", gone(resolverLine, `"query_timestamp":`), "", decode.ReasonNoTime},
		{"bad time", "route53-resolver", with(resolverLine, "10:20:26Z", "10:20:177Z"), "", decode.ReasonTime},
		{"no name", "route53-resolver", gone(resolverLine, `"query_name":`), "", reasonNoQueryName},
		{"bad name", "route53-resolver", with(resolverLine, "www.", "w..w."), "", decode.ReasonBadName},
		{"bad class", "route53-resolver", with(resolverLine, `"query_class":"IN"`, `"query_class":"XX"`), "", decode.ReasonClass},
		{"no type", "route53-resolver", gone(resolverLine, `"query_type":`), "", decode.ReasonType},
		{"bad address", "route53-resolver", with(resolverLine, "192.0.2.10", "host"), "", decode.ReasonAddress},

		{"unix seconds", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `1726827626`), cfWant, ""},
		{"milliseconds", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `1726827626000`), cfWant, ""},
		{"microseconds", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `1726827626000000`), cfWant, ""},
		{"nanoseconds", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `1726827626000000007`), with(cfWant, "26Z", "26.000000007Z"), ""},
		{"fraction", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `1726827626.25`), with(cfWant, "26Z", "26.25Z"), ""},
		{"RFC 3339 with milliseconds", "cloudflare-dns", with(cfLine, "26Z", "26.123Z"), with(cfWant, "26Z", "26.123Z"), ""},
		{"no unit fits", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `17268276260000000071`), "", decode.ReasonTime},
		{"too few digits", "cloudflare-dns", with(cfLine, `"2024-09-20T10:20:26Z"`, `17268276`), "", decode.ReasonTime},
		{"no subnet", "cloudflare-dns", with(cfLine, "203.0.113.0", "", "24,", "0,"), "2024-09-20T10:20:26Z 192.0.2.10:0>  www.example.com IN AAAA NXDOMAIN response", ""},
		{"subnet with length", "cloudflare-dns", with(cfLine, "203.0.113.0", "203.0.113.0/20"), with(cfWant, "203.0.113.0/24", "203.0.112.0/20"), ""},
		{"snake case", "cloudflare-dns", with(cfLine, "QueryName", "query_name", "SourceIP", "source_ip", "Timestamp", "timestamp"), cfWant, ""},
		{"DNS Firewall", "cloudflare-dns", `{"ClusterID":"c","ColoCode":"FRA","ClientResponseCode":5,"QueryDO":true,"QueryName":"a.example","QueryRD":true,"QuerySize":50,"QueryTCP":true,"QueryType":1,"ResponseCached":false,"ResponseCode":0,"SourceIP":"192.0.2.10","Timestamp":1726827626}`,
			"2024-09-20T10:20:26Z 192.0.2.10:0> tcp a.example IN A REFUSED rd,edns,do,response,flags", ""},
		{"no time", "cloudflare-dns", gone(cfLine, `"Timestamp":`), "", decode.ReasonNoTime},
		{"bad subnet", "cloudflare-dns", with(cfLine, "203.0.113.0", "x"), "", decode.ReasonAddress},

		{"mixed case, TCP, other rcode", "gcp-dns", with(gcpLine, "www.", "wWw.", `"UDP"`, `"TCP"`, `"NOERROR"`, `"BADCOOKIE"`, "true", "false"),
			"2024-09-20T10:20:26.751213028Z 192.0.2.10:0>198.51.100.53 tcp www.example.com IN A BADCOOKIE mixed,response", ""},
		{"no source", "gcp-dns", gone(gcpLine, `"sourceIP":`), with(gcpWant, "192.0.2.10:0", "invalid AddrPort"), ""},
		{"log name only", "gcp-dns", gone(gcpLine, `"resource":`), gcpWant, ""},
		{"bad type", "gcp-dns", with(gcpLine, `"queryType":"A"`, `"queryType":"NOPE"`), "", decode.ReasonType},
		{"no time", "gcp-dns", gone(gcpLine, `"timestamp":`), "", decode.ReasonNoTime},
		{"no name", "gcp-dns", gone(gcpLine, `"queryName":`), "", reasonNoQueryName},

		{"properties as text", "azure-dns", `{"time":"2024-09-20T10:20:26.7512345Z","category":"DnsResponse","properties":` + inJSON(azureLine[strings.Index(azureLine, `{"query_name`):len(azureLine)-1]) + `}`, azureWant, ""},
		{"broken properties as text", "azure-dns", `{"time":"2024-09-20T10:20:26.7512345Z","category":"DnsResponse","properties":"{\"query_name\":\"a\","}`, "", decode.ReasonBrokenJSON},
		{"Log Analytics", "azure-dns", `{"TimeGenerated":"2024-09-20T10:20:26Z","OperationName":"RESPONSE_SUCCESS","QueryName":"a.example.","QueryType":"AAAA","QueryClass":"IN","ResponseCode":0,"SourceIpAddress":"192.0.2.10","SourcePort":5,"Transport":"TCP","ResolutionPath":"PrivateDnsResolution","Answer":"[{},{}]","Type":"DNSQueryLogs"}`,
			"2024-09-20T10:20:26Z 192.0.2.10:5> tcp a.example IN AAAA NOERROR response", ""},
		{"no time", "azure-dns", gone(azureLine, `"time":`), "", decode.ReasonNoTime},
		{"no name", "azure-dns", gone(azureLine, `"query_name":`), "", reasonNoQueryName},
		{"bad class", "azure-dns", with(azureLine, `"query_class":"IN"`, `"query_class":"?"`), "", decode.ReasonClass},
		{"bad server", "azure-dns", with(azureLine, "168.63.129.16", "?"), "", decode.ReasonAddress},
	}
	for _, tt := range tests {
		t.Run(tt.format+"/"+tt.name, func(t *testing.T) {
			for _, f := range cloudCases {
				if f.name != tt.format {
					continue
				}
				got, acct := decodeText(t, f.decode, tt.text, decode.Options{})
				var want []string
				if tt.want != "" {
					want = []string{tt.want}
				}
				compare(t, got, want)
				if acct.total() != 1 || (tt.reason != "" && acct.rejected[tt.reason] != 1) {
					t.Errorf("rejected %v, skipped %v, want %q", acct.rejected, acct.skipped, tt.reason)
				}
				if tt.reason != "" && string(acct.first[tt.reason].Record) != tt.text {
					t.Errorf("record %q", acct.first[tt.reason].Record)
				}
				if tt.reason == "" || tt.reason == reasonRoute53Line {
					continue
				}
				// Wrapped, the record alone is handed over, and what comes after it is read.
				_, acct = decodeText(t, f.decode, `{"events":[{"message":`+inJSON(tt.text)+`},{"message":`+inJSON(f.line)+`}]}`, decode.Options{})
				if acct.accepted != 1 || acct.rejected[tt.reason] != 1 || acct.total() != 2 {
					t.Errorf("wrapped: rejected %v, skipped %v", acct.rejected, acct.skipped)
				}
			}
		})
	}
}

// TestCloudOthers: what comes in the same files and is of no interest.
func TestCloudOthers(t *testing.T) {
	_, acct := decodeText(t, GCPDNS, `{"resource":{"type":"dns_managed_zone"},"protoPayload":{"methodName":"dns.changes.create"},"timestamp":"2024-09-20T10:20:26Z"}`+
		`{"logName":"projects/p/logs/syslog","textPayload":"x"}`, decode.Options{})
	if acct.skipped[skipGCPOther] != 2 || acct.total() != 2 {
		t.Errorf("gcp-dns: %+v", acct)
	}
	_, acct = decodeText(t, AzureDNS, `{"records":[{"time":"2024-09-20T10:20:26Z","category":"Administrative","operationName":"MICROSOFT.NETWORK/DNSZONES/A/WRITE"},{"Type":"AZFWDnsQuery","QueryName":"a"}]}`, decode.Options{})
	if acct.skipped[skipAzureOther] != 2 || acct.total() != 2 {
		t.Errorf("azure-dns: %+v", acct)
	}
	_, acct = decodeText(t, Route53Log, "\n# remark\n\n"+r53Line, decode.Options{})
	if acct.skipped[decode.SkipComment] != 1 || acct.skipped[decode.SkipBlank] != 1 || acct.accepted != 1 {
		t.Errorf("route53-log: %+v", acct)
	}
}

func TestCloudSensors(t *testing.T) {
	for _, tt := range []struct{ format, own, want string }{
		{"route53-log", "", "FRA6"}, {"route53-log", "edge", "edge"}, {"cloudflare-dns", "", "FRA"}, {"cloudflare-dns", "cf", "cf"},
		{"gcp-dns", "g", "g"}, {"azure-dns", "a", "a"}, {"route53-resolver", "r", "r"},
	} {
		for _, f := range cloudCases {
			if f.name != tt.format {
				continue
			}
			got := sensorsOf(t, f.decode, f.line, decode.Options{Sensor: tt.own})
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("%s with %q: %q, want %q", tt.format, tt.own, got, tt.want)
			}
		}
	}
}

func TestCloudflareCSV(t *testing.T) {
	header := "ColoCode,EDNSSubnet,EDNSSubnetLength,QueryName,QueryType,ResponseCached,ResponseCode,SourceIP,Timestamp"
	rows := []string{
		"FRA,203.0.113.0,24,www.example.com,28,false,3,192.0.2.10,2024-09-20T10:20:26Z",
		`"FRA","203.0.113.0","24","www.example.com","28","false","3","192.0.2.10","2024-09-20T10:20:26Z"`,
		"FRA,,0,www.example.com,28,false,3,192.0.2.400,2024-09-20T10:20:26Z",
		"FRA,,0,www.example.com",
		`"FRA,,0`,
		`"FRA"x,,0`,
		"",
		header,
		`FRA,,0,"a""b.example",1,false,0,::1,1726827626000000000,more,cells`,
	}
	text := header + "\r\n" + strings.Join(rows, "\r\n")
	got, acct := decodeText(t, CloudflareDNS, text, decode.Options{})
	compare(t, got, []string{cfWant, cfWant, `2024-09-20T10:20:26Z [::1]:0>  a\"b.example IN A NOERROR response`})
	if acct.rejected[decode.ReasonAddress] != 1 || acct.rejected[decode.ReasonNoTime] != 1 || acct.rejected[decode.ReasonTruncated] != 2 ||
		acct.skipped[skipCloudflareHeader] != 2 || acct.skipped[decode.SkipBlank] != 1 || acct.total() != 10 {
		t.Errorf("rejected %v, skipped %v", acct.rejected, acct.skipped)
	}
	_, acct = decodeText(t, CloudflareDNS, header+"\n"+rows[0]+"\n"+rows[2], decode.Options{})
	at := acct.first[decode.ReasonAddress]
	if want := header + "\n" + rows[2]; at.Line != 3 || string(at.Record) != want {
		t.Errorf("record %q at %d", at.Record, at.Line)
	}
	if n := DetectCloudflareDNS([]byte(text)); n != 93 {
		t.Errorf("detected with %d", n)
	}

	_, acct = decodeText(t, CloudflareDNS, rows[0], decode.Options{})
	if acct.rejected[reasonCloudflareHeader] != 1 || acct.total() != 1 {
		t.Errorf("without header: %+v", acct)
	}
	byNumber := &decode.Mapping{Delimiter: ";", Fields: map[string]string{"time": "1", "name": "2", "type": "3", "client": "4", "rcode": "5"}}
	got, _ = decodeText(t, CloudflareDNS, "2024-09-20T10:20:26Z;www.example.com;28;192.0.2.10;3", decode.Options{Mapping: byNumber})
	compare(t, got, []string{"2024-09-20T10:20:26Z 192.0.2.10:0>  www.example.com IN AAAA NXDOMAIN response"})
}

func TestCloudflareRenamed(t *testing.T) {
	m := &decode.Mapping{Fields: map[string]string{"time": "ts", "name": "q", "type": "t", "client": "ip", "rcode": "rc", "subnet": "ecs", "sensor": "pop", "other": "x"}}
	got, _ := decodeText(t, CloudflareDNS, `{"ts":1726827626,"q":"www.example.com","t":28,"ip":"192.0.2.10","rc":3,"ecs":"203.0.113.0/24","pop":"FRA"}`, decode.Options{Mapping: m})
	compare(t, got, []string{cfWant})
}

// TestCloudDetectOthers: what looks alike and is something else.
func TestCloudDetectOthers(t *testing.T) {
	for _, text := range []string{
		`{"QueryName":"a","QueryType":1,"Datetime":"2024-09-20T10:20:26Z","SrcIP":"192.0.2.1","ColoCode":"FRA","ResolverDecision":"allowed"}`, // Cloudflare Gateway
		`{"TimeGenerated":"2024-09-20T10:20:26Z","QueryName":"a","QueryType":"A","ResponseCode":"NOERROR","SourceIp":"192.0.2.1","Type":"AZFWDnsQuery"}`,
		`{"eventVersion":"1.08","eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","eventTime":"2024-09-20T10:20:26Z"}`,
		`{"time":"2024-09-20T10:20:26Z","category":"Administrative","operationName":"MICROSOFT.NETWORK/DNSZONES/A/WRITE","properties":{}}`,
		`{"protoPayload":{"serviceName":"dns.googleapis.com"},"resource":{"type":"dns_managed_zone"},"timestamp":"2024-09-20T10:20:26Z"}`,
		`{"message":"1.0 2024-09-20T10:20:26Z something else with an equal number of words"}`,
		`2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK`,
		`1.0 2024-09-20T10:20:26Z zone www.example.com A NOERROR UDP FRA6 192.0.2.10 -`,
		`{"ts":1.5,"id.orig_h":"192.0.2.1","query":"a","qtype":1}`,
		bindBenchLine,
	} {
		for _, f := range cloudCases {
			if n := f.detect([]byte(text)); n != 0 {
				t.Errorf("%s is sure by %d of %s", f.name, n, text)
			}
		}
		if n := DetectMSDNSDebug([]byte(text)); n != 0 {
			t.Errorf("msdns-debug is sure by %d of %s", n, text)
		}
	}
}

func cloudSeeds(line string) (seeds []string) {
	for _, w := range cloudWraps(line) {
		if len(w) < 2000 {
			seeds = append(seeds, w)
		}
	}
	return append(seeds, line, line[:len(line)-3]+"\n"+line, `{"records":[{},{"message":"{"}]}`)
}

func FuzzRoute53Log(f *testing.F)      { fuzzDecoder(f, Route53Log, cloudSeeds(r53Line)...) }
func FuzzRoute53Resolver(f *testing.F) { fuzzDecoder(f, Route53Resolver, cloudSeeds(resolverLine)...) }
func FuzzGCPDNS(f *testing.F)          { fuzzDecoder(f, GCPDNS, cloudSeeds(gcpLine)...) }
func FuzzAzureDNS(f *testing.F)        { fuzzDecoder(f, AzureDNS, cloudSeeds(azureLine)...) }
func FuzzCloudflareDNS(f *testing.F) {
	fuzzDecoder(f, CloudflareDNS, append(cloudSeeds(cfLine), "QueryName,Timestamp,QueryType,SourceIP\n\"a\",1726827626,1,::1\n")...)
}

func FuzzCloudDetect(f *testing.F) {
	for _, c := range cloudCases {
		f.Add([]byte(c.line))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, c := range cloudCases {
			c.detect(b)
		}
		DetectMSDNSDebug(b)
	})
}

func BenchmarkCloud(b *testing.B) {
	for _, f := range cloudCases {
		b.Run(f.name, func(b *testing.B) {
			benchDecode(b, f.decode, bytes.Repeat([]byte(f.line+"\n"), 100), 100)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
	b.Run("wrapped", func(b *testing.B) {
		one := fmt.Sprintf(`{"message":%s}`+"\n", inJSON(resolverLine))
		benchDecode(b, Route53Resolver, bytes.Repeat([]byte(one), 100), 100)
	})
	b.Run("csv", func(b *testing.B) {
		text := "ColoCode,EDNSSubnet,EDNSSubnetLength,QueryName,QueryType,ResponseCached,ResponseCode,SourceIP,Timestamp\n" +
			strings.Repeat("FRA,203.0.113.0,24,www.example.com,28,false,3,192.0.2.10,2024-09-20T10:20:26Z\n", 100)
		benchDecode(b, CloudflareDNS, []byte(text), 100)
	})
}

func sensorsOf(t *testing.T, d Decode, text string, opt decode.Options) (out []string) {
	t.Helper()
	err := d(context.Background(), strings.NewReader(text), opt, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
		out = append(out, q.Sensor)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
