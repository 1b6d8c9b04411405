package admin

import (
	"encoding/base64"
	"strings"
	"testing"
)

const trailHead = `"eventVersion":"1.11","eventTime":"2026-03-01T10:00:00Z","eventID":"e-1","sourceIPAddress":"192.0.2.20",`

func TestCloudTrail(t *testing.T) {
	check(t, CloudTrail, []decodeTest{
		{"octal escapes", `{` + trailHead + `"eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},` +
			`"requestParameters":{"hostedZoneId":"Z1","changeBatch":{"changes":[{"action":"DELETE","resourceRecordSet":{"name":"\\052.example.com.","type":"CNAME","tTL":60,"setIdentifier":"eu","resourceRecords":[{"value":"a.example.net"}]}},` +
			`{"action":"UPSERT","resourceRecordSet":{"name":"example.com","type":"AAAA","aliasTarget":{"dNSName":"lb.example.net"}}}]}}}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"aws","service":"route53","action":"ChangeResourceRecordSets","effect":"change","outcome":"success","actor":"arn:aws:iam::1:root","actor_ip":"192.0.2.20","names":["*.example.com.","example.com."],"target":"Z1","records":[{"name":"*.example.com.","type":"CNAME","ttl":60,"data":"a.example.net.","change":"remove","source":"set eu"},{"name":"example.com.","type":"ALIAS","data":"lb.example.net.","change":"add","comment":"upsert alias of type AAAA"}],"id":"e-1","details":{"identity_type":"Root"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"zone created", `{` + trailHead + `"eventSource":"route53.amazonaws.com","eventName":"CreateHostedZone","userIdentity":{"type":"AWSService","invokedBy":"servicediscovery.amazonaws.com"},` +
			`"requestParameters":{"name":"Example.com","callerReference":"x"},"responseElements":{"hostedZone":{"id":"/hostedzone/Z9","name":"example.com."},"changeInfo":{"id":"/change/C1"}}}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"aws","service":"route53","action":"CreateHostedZone","effect":"create","outcome":"success","actor":"servicediscovery.amazonaws.com","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."],"target":"/hostedzone/Z9","id":"e-1","details":{"change_id":"/change/C1","identity_type":"AWSService"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"lookup-events", `{"Events":[{"EventId":"e-1","EventName":"GetDomainDetail","EventSource":"route53domains.amazonaws.com","EventTime":1772359200.0,"CloudTrailEvent":"{` +
			strings.ReplaceAll(trailHead, `"`, `\"`) + `\"eventSource\":\"route53domains.amazonaws.com\",\"eventName\":\"GetDomainDetail\",\"requestParameters\":{\"domainName\":\"example.org\"},\"errorCode\":\"Client.UnauthorizedOperation\"}"}]}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"aws","service":"route53domains","action":"GetDomainDetail","effect":"read","outcome":"denied","reason":"Client.UnauthorizedOperation","actor_ip":"192.0.2.20","zone":"example.org.","names":["example.org."],"id":"e-1"}`}, "1 accepted, rejected map[], skipped map[]"},
		{"CloudWatch Logs", `{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1,"message":"{` + strings.ReplaceAll(trailHead, `"`, `\"`) +
			`\"eventSource\":\"route53resolver.amazonaws.com\",\"eventName\":\"DeleteResolverRule\",\"requestParameters\":{\"resolverRuleId\":\"r-1\"},\"errorCode\":\"ThrottlingException\",\"errorMessage\":\"slow\"}"},` +
			`{"id":"2","timestamp":1,"message":"plain text"}]}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"aws","service":"route53resolver","action":"DeleteResolverRule","effect":"delete","outcome":"failure","reason":"ThrottlingException","actor_ip":"192.0.2.20","target":"r-1","id":"e-1","details":{"error":"slow"}}`}, "1 accepted, rejected map[not a CloudTrail event:1], skipped map[]"},
		{"others", `{"Records":[{` + trailHead + `"eventSource":"s3.amazonaws.com","eventName":"PutObject"},{` + trailHead + `"eventSource":"iam.amazonaws.com","eventName":"x"},{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put"},` +
			`{"eventSource":"route53.amazonaws.com","eventName":"x","eventVersion":"1"},{"eventSource":"route53.amazonaws.com","eventName":"x","eventVersion":"1","eventTime":"1 March"},{"a":1},null,{"a":}]}` + "\n",
			nil, "0 accepted, rejected map[bad time stamp:1 broken JSON:1 no time stamp:1 not a CloudTrail event:1 not a JSON object:1], skipped map[event source aws:s3:1 event source iam.amazonaws.com:1 event source s3.amazonaws.com:1]"},
		{"bad name", `{` + trailHead + `"eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","requestParameters":{"changeBatch":{"changes":[{"action":"CREATE","resourceRecordSet":{"name":"a..b","type":"A"}}]}}}`,
			nil, "0 accepted, rejected map[bad name:1], skipped map[]"},
	})
}

func TestCloudflareAudit(t *testing.T) {
	check(t, CloudflareAudit, []decodeTest{
		{"values as JSON in text", `{"success":true,"errors":[],"result":[{"id":"a1","action":{"type":"rec_del","result":"true"},"actor":{"id":"u1","email":"","ip":"192.0.2.20","type":"user"},"interface":"API","metadata":{"zone_name":"Example.com"},` +
			`"oldValue":"{\"type\":\"SRV\",\"name\":\"_sip._tcp.example.com\",\"content\":\"5 5060 sip.example.com\",\"priority\":10,\"ttl\":1}","newValue":"","resource":{"id":"r1","type":"DNS_record"},"when":"2026-03-01T10:00:00Z"}],"result_info":{"page":1}}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"DNS_record","action":"rec_del","effect":"delete","outcome":"success","actor":"u1","actor_ip":"192.0.2.20","zone":"example.com.","names":["_sip._tcp.example.com."],"target":"r1","records":[{"zone":"example.com.","name":"_sip._tcp.example.com.","type":"SRV","data":"10 5 5060 sip.example.com.","change":"remove"}],"id":"a1","details":{"via":"API"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"description only", `{"id":"a1","action":{"type":"rec_del","result":false},"actor":{"email":"a@example.com"},"metadata":{"type":"CNAME","name":"old.example.com","content":"x.example.net","proxied":true,"zone_name":"example.com"},"resource":{"type":"DNS_record"},"when":"2026-03-01T10:00:00Z"}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"DNS_record","action":"rec_del","effect":"delete","outcome":"failure","actor":"a@example.com","zone":"example.com.","names":["old.example.com."],"records":[{"zone":"example.com.","name":"old.example.com.","type":"CNAME","data":"x.example.net.","change":"remove","comment":"proxied"}],"id":"a1"}`}, "1 accepted, rejected map[], skipped map[]"},
		{"zone setting", `{"id":"a1","action":{"type":"change_setting","result":true},"actor":{"email":"a@example.com"},"metadata":{"name":"min_tls","type":"setting","value":"1.2","zone_name":"example.com"},"resource":{"id":"z","type":"zone"},"when":"2026-03-01T10:00:00Z"}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"zone","action":"change_setting","effect":"change","outcome":"success","actor":"a@example.com","zone":"example.com.","names":["example.com."],"target":"z","id":"a1"}`}, "1 accepted, rejected map[], skipped map[]"},
		{"version 2 with request", `{"id":"b1","action":{"result":"success","time":"2026-03-01T10:05:00Z","type":"create"},"actor":{"context":"dash","email":"a@example.com","ip_address":"192.0.2.20"},` +
			`"resource":{"id":"r2","product":"dns","type":"record","request":{"name":"new.example.com","type":"TXT","content":"\"x y\"","ttl":120,"comment":"CHG-1"}},"zone":{"id":"z1","name":"example.com"}}`,
			[]string{`{"time":"2026-03-01T10:05:00Z","provider":"cloudflare","service":"dns","action":"create","effect":"create","outcome":"success","actor":"a@example.com","actor_ip":"192.0.2.20","zone":"example.com.","names":["new.example.com."],"target":"r2","records":[{"zone":"example.com.","name":"new.example.com.","type":"TXT","ttl":120,"data":"\"x y\"","change":"add","comment":"CHG-1"}],"id":"b1","details":{"via":"dash"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"logpush times", `{"ActionResult":true,"ActionType":"purge","ID":"c","ResourceType":"zone","When":"2026-03-01T10:00:00Z","ActorIP":"unknown"}{"ActionResult":true,"ActionType":"purge","ID":"c","ResourceType":"zone","When":1772359200}` +
			`{"ActionResult":true,"ActionType":"purge","ID":"c","ResourceType":"zone","When":1772359200000000000}{"ActionType":"purge","ResourceType":"zone","When":"?"}{"ActionType":"login","ResourceType":"account","When":1}{"result":"ok"}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"zone","action":"purge","effect":"other","outcome":"success","id":"c","details":{"source":"unknown"}}`, `{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"zone","action":"purge","effect":"other","outcome":"success","id":"c"}`, `{"time":"2026-03-01T10:00:00Z","provider":"cloudflare","service":"zone","action":"purge","effect":"other","outcome":"success","id":"c"}`}, "3 accepted, rejected map[bad time stamp:1 not an audit log entry:1], skipped map[resource account:1]"},
	})
}

func TestGCPAudit(t *testing.T) {
	entry := `{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"a@example.com"},"methodName":"METHOD","serviceName":"dns.googleapis.com","resourceName":"projects/p/managedZones/z","requestMetadata":{"callerIp":"2001:db8::20"},REST},"insertId":"i","timestamp":"2026-03-01T10:00:00.123456789Z"}`
	gcp := func(method, rest string) string {
		return strings.NewReplacer("METHOD", method, "REST", rest).Replace(entry)
	}
	b64 := base64.StdEncoding.EncodeToString([]byte(gcp("dns.policies.patch", `"status":{}`)))
	check(t, GCPAudit, []decodeTest{
		{"changes", gcp("dns.changes.create", `"status":{},"request":{"managedZone":"z","change":{"additions":[{"name":"a.example.com.","type":"CNAME","ttl":60,"rrdatas":["B.example.net."]}],"deletions":[{"name":"example.com.","type":"SOA","ttl":"21600","rrdata":["ns. hm. 1 2 3 4 5"]}]}}`),
			[]string{`{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.changes.create","effect":"change","outcome":"success","actor":"a@example.com","actor_ip":"2001:db8::20","zone":"example.com.","names":["example.com.","a.example.com."],"target":"projects/p/managedZones/z","records":[{"name":"example.com.","type":"SOA","ttl":21600,"data":"ns. hm. 1 2 3 4 5","change":"remove"},{"name":"a.example.com.","type":"CNAME","ttl":60,"data":"b.example.net.","change":"add"}],"id":"i"}`}, "1 accepted, rejected map[], skipped map[]"},
		{"zone created", gcp("dns.managedZones.create", `"request":{"managedZone":{"name":"z","dnsName":"Example.com."}},"response":{}`),
			[]string{`{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.managedZones.create","effect":"create","outcome":"success","actor":"a@example.com","actor_ip":"2001:db8::20","zone":"example.com.","names":["example.com."],"target":"projects/p/managedZones/z","id":"i"}`}, "1 accepted, rejected map[], skipped map[]"},
		{"record set", gcp("dns.resourceRecordSets.delete", `"status":{"code":5,"message":"not found"},"request":{"name":"a.example.com.","type":"A"}`) +
			gcp("dns.resourceRecordSets.patch", `"status":{"code":16},"request":{"resourceRecordSet":{"name":"a.example.com.","type":"A","rrdatas":["192.0.2.1"]}}`),
			[]string{`{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.resourceRecordSets.delete","effect":"delete","outcome":"failure","reason":"not found","actor":"a@example.com","actor_ip":"2001:db8::20","names":["a.example.com."],"target":"projects/p/managedZones/z","id":"i"}`, `{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.resourceRecordSets.patch","effect":"change","outcome":"denied","reason":"code 16","actor":"a@example.com","actor_ip":"2001:db8::20","names":["a.example.com."],"target":"projects/p/managedZones/z","records":[{"name":"a.example.com.","type":"A","data":"192.0.2.1","change":"add"}],"id":"i"}`}, "2 accepted, rejected map[], skipped map[]"},
		{"Pub/Sub", `{"message":{"data":"` + b64 + `","messageId":"1"},"subscription":"s"}` + "\n" + `[{"ackId":"x","message":{"data":"` + b64 + `"}}]` + "\n" + `{"receivedMessages":[{"message":{"data":"` + b64 + `"}}]}` + "\n" + `{"message":{"data":"!"}}`,
			[]string{`{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.policies.patch","effect":"change","outcome":"success","actor":"a@example.com","actor_ip":"2001:db8::20","target":"projects/p/managedZones/z","id":"i"}`, `{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.policies.patch","effect":"change","outcome":"success","actor":"a@example.com","actor_ip":"2001:db8::20","target":"projects/p/managedZones/z","id":"i"}`, `{"time":"2026-03-01T10:00:00.123456789Z","provider":"gcp","service":"dns","action":"dns.policies.patch","effect":"change","outcome":"success","actor":"a@example.com","actor_ip":"2001:db8::20","target":"projects/p/managedZones/z","id":"i"}`}, "3 accepted, rejected map[not a log entry:1], skipped map[]"},
		{"others", strings.Replace(gcp("x", `"status":{}`), "dns.google", "compute.google", 1) + `{"logName":"l","timestamp":"2026-03-01T10:00:00Z","jsonPayload":{"queryName":"a."}}` + strings.Replace(gcp("x", `"status":{}`), "2026-", "26-", 1) + `{}`,
			nil, "0 accepted, rejected map[bad time stamp:1 not a log entry:1], skipped map[entry without an audit payload:1 service compute.googleapis.com:1]"},
	})
}

func TestAzureActivity(t *testing.T) {
	const id = `/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/dnszones/example.com`
	check(t, AzureActivity, []decodeTest{
		{"event hub", `{"records":[{"time":"2026-03-01T10:00:00.1234567Z","resourceId":"` + strings.ToUpper(id) + `/TXT/@","operationName":"MICROSOFT.NETWORK/DNSZONES/TXT/WRITE","category":"Administrative","resultType":"Success","resultSignature":"Succeeded.Created","callerIpAddress":"192.0.2.20:4711","correlationId":"c","identity":{"claims":{"appid":"app-1"}},` +
			`"properties":"{\"requestbody\":\"{\\\"properties\\\":{\\\"TTL\\\":60,\\\"TXTRecords\\\":[{\\\"value\\\":[\\\"a\\\",\\\"b c\\\"]}]}}\"}"}]}`,
			[]string{`{"time":"2026-03-01T10:00:00.1234567Z","provider":"azure","service":"dns","action":"MICROSOFT.NETWORK/DNSZONES/TXT/WRITE","effect":"create","outcome":"success","actor":"app-1","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."],"target":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/DNSZONES/EXAMPLE.COM/TXT/@","records":[{"zone":"example.com.","name":"example.com.","type":"TXT","ttl":60,"data":"\"a\" \"b c\"","change":"add"}],"id":"c","details":{"app_id":"app-1","correlation_id":"c","phase":"Success","type":"TXT"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"REST deletion", `{"value":[{"eventTimestamp":"2026-03-01T10:00:00Z","resourceId":"` + id + `/A/www","operationName":{"value":"Microsoft.Network/dnszones/A/delete"},"status":{"value":"Succeeded"},"caller":"a@example.com","httpRequest":{"clientIpAddress":"192.0.2.20"},"eventDataId":"e","properties":{"statusCode":"OK"}}],"nextLink":"https://x"}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"azure","service":"dns","action":"Microsoft.Network/dnszones/A/delete","effect":"delete","outcome":"success","actor":"a@example.com","actor_ip":"192.0.2.20","zone":"example.com.","names":["www.example.com."],"target":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/dnszones/example.com/A/www","records":[{"zone":"example.com.","name":"www.example.com.","type":"A","change":"remove"}],"id":"e","details":{"phase":"Succeeded","type":"A"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"Log Analytics", `{"TimeGenerated":"2026-03-01T10:00:00Z","OperationNameValue":"MICROSOFT.NETWORK/PRIVATEDNSZONES/VIRTUALNETWORKLINKS/WRITE","ActivityStatusValue":"Failure","Caller":"a@example.com","CallerIpAddress":"192.0.2.20","_ResourceId":"/subscriptions/s/providers/microsoft.network/privatednszones/corp.example/virtualnetworklinks/l","CorrelationId":"c","Properties":"{\"statusCode\":\"Conflict\",\"statusMessage\":\"it is plain\"}"}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"azure","service":"private-dns","action":"MICROSOFT.NETWORK/PRIVATEDNSZONES/VIRTUALNETWORKLINKS/WRITE","effect":"change","outcome":"failure","reason":"it is plain","actor":"a@example.com","actor_ip":"192.0.2.20","zone":"corp.example.","names":["corp.example."],"target":"/subscriptions/s/providers/microsoft.network/privatednszones/corp.example/virtualnetworklinks/l","id":"c","details":{"correlation_id":"c","phase":"Failure"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"domain", `{"time":"2026-03-01T10:00:00Z","resourceId":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.DomainRegistration/domains/example.org","operationName":"Microsoft.DomainRegistration/domains/transferOut/action","resultType":"Start","identity":{}}`,
			[]string{`{"time":"2026-03-01T10:00:00Z","provider":"azure","service":"domains","action":"Microsoft.DomainRegistration/domains/transferOut/action","effect":"transfer","zone":"example.org.","names":["example.org."],"target":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.DomainRegistration/domains/example.org","details":{"phase":"Start"}}`}, "1 accepted, rejected map[], skipped map[]"},
		{"others", `{"time":"2026-03-01T10:00:00Z","resourceId":"/x","operationName":"Microsoft.Compute/virtualMachines/write"}{"time":"x","resourceId":"` + id + `","operationName":"Microsoft.Network/dnszones/write"}{"time":"2026-03-01T10:00:00Z","resourceId":"/providers/Microsoft.Network/dnszones/a..b","operationName":"Microsoft.Network/dnszones/write"}{}`,
			nil, "0 accepted, rejected map[bad name:1 bad time stamp:1 not an activity log event:1], skipped map[operation of microsoft.compute/virtualmachines:1]"},
	})
}

func TestRDAP(t *testing.T) {
	check(t, RDAP, []decodeTest{
		{"search", `{"rdapConformance":["rdap_level_0"],"notices":[{"title":"x"}],"domainSearchResults":[{"objectClassName":"domain","ldhName":"A.example","status":"active"},{"objectClassName":"domain","ldhName":"b.example.","events":[{"eventAction":"Last Update of RDAP Database","eventDate":"2026-03-01T11:00:00+01:00"}]}]}`,
			[]string{`{"provider":"rdap","action":"domain","effect":"snapshot","zone":"a.example.","names":["a.example."],"details":{"status":["active"]}}`, `{"time":"2026-03-01T10:00:00Z","provider":"rdap","action":"domain","effect":"snapshot","zone":"b.example.","names":["b.example."]}`}, "2 accepted, rejected map[], skipped map[]"},
		{"others", `{"objectClassName":"entity","handle":"x"}{"rdapConformance":[],"notices":[]}{"entitySearchResults":[]}{"a":1}{"errorCode":429,"title":"slow"}{"errorCode":"x"}{"objectClassName":"domain"}{"objectClassName":"domain","ldhName":"a.b","events":[{"eventDate":"soon"}]}{"objectClassName":"domain","ldhName":"a.b","nameservers":[{"ldhName":"x..y"}]}`,
			nil, "0 accepted, rejected map[RDAP error:1 RDAP error 429:1 bad name:2 bad time stamp:1 not an RDAP answer:1], skipped map[answer without an object:1 object class entity:1 search results of another class:1]"},
	})
}
