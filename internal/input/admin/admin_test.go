package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// keptEvents is a sink that keeps what it gets.
type keptEvents []*picket.AdminEvent

func (k *keptEvents) AdminEvent(e *picket.AdminEvent) error { *k = append(*k, e); return nil }

func run(t *testing.T, d Decode, text string) (keptEvents, *pickettest.Ledger) {
	t.Helper()
	var out keptEvents
	acct := new(pickettest.Ledger)
	opt := decode.Options{Sensor: "in-1", Location: time.UTC, Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }}
	if err := d(context.Background(), strings.NewReader(text), opt, acct, &out); err != nil {
		t.Error(err)
	}
	if acct.Accepted != len(out) {
		t.Fatalf("accepted %d, sink got %d", acct.Accepted, len(out))
	}
	return out, acct
}

// line is an event as JSON, without what is the same in each of a test.
func line(e *picket.AdminEvent) string {
	c := *e
	c.Sensor = ""
	b, err := json.Marshal(&c)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// decodeTest is one input with its literal results.
type decodeTest struct {
	name string
	in   string
	want []string
	acct string
}

func check(t *testing.T, d Decode, tests []decodeTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, acct := run(t, d, tt.in)
			if len(got) != len(tt.want) {
				t.Errorf("%d events, want %d", len(got), len(tt.want))
			}
			for i, e := range got {
				if e.Sensor != "in-1" {
					t.Errorf("sensor %q", e.Sensor)
				}
				for _, r := range e.Records {
					if r.Sensor != "in-1" || r.Time != e.Time {
						t.Errorf("record %+v", r)
					}
				}
				for j := range e.Records {
					e.Records[j].Sensor, e.Records[j].Time = "", time.Time{}
				}
				s := line(e)
				if i >= len(tt.want) || s != tt.want[i] {
					t.Errorf("got  %s", s)
					if i < len(tt.want) {
						t.Errorf("want %s", tt.want[i])
					}
				}
			}
			if s := acct.String(); s != tt.acct {
				t.Errorf("got  %s\nwant %s", s, tt.acct)
			}
		})
	}
}

func TestEffectOf(t *testing.T) {
	for op, want := range map[string]string{
		"ListHostedZones": "read", "GetHostedZone": "read", "TestDNSAnswer": "read", "RetrieveDomainAuthCode": "read", "CheckDomainAvailability": "read",
		"ChangeResourceRecordSets": "change", "ChangeTagsForResource": "other", "AssociateVPCWithHostedZone": "change", "EnableHostedZoneDNSSEC": "change",
		"CreateHostedZone": "create", "RegisterDomain": "create", "DeleteHostedZone": "delete", "TransferDomain": "transfer", "transferDomain": "transfer",
		"RejectDomainTransferFromAnotherAwsAccount": "transfer", "AcceptDomainTransferFromAnotherAwsAccount": "transfer",
		"patch": "change", "delete": "delete", "ConfigureDnsSettings": "change", "UpdateDomainNameservers": "change", "Frobnicate": "other", "": "other",
	} {
		if got := effectOf(op); got != want {
			t.Errorf("%s: %s, want %s", op, got, want)
		}
	}
}

func TestSinkError(t *testing.T) {
	want := errors.New("full")
	for _, tt := range []struct {
		d  Decode
		in string
	}{
		{BindAdmin, "2026-01-01T00:00:00Z client 192.0.2.1#5: update 'example.com/IN' denied"},
		{RDAP, `{"objectClassName":"domain","ldhName":"example.com"}`},
	} {
		if err := tt.d(context.Background(), strings.NewReader(tt.in), decode.Options{}, new(pickettest.Ledger), failing{want}); err != want { //nolint:errorlint // as it is
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) AdminEvent(*picket.AdminEvent) error { return f.err }

// fuzzDecoder runs a decoder over anything: it may not panic, what it yields must
// be well-formed, and what it does must not depend on how the bytes arrive.
func fuzzDecoder(f *testing.F, d Decode, seeds ...string) {
	opt := decode.Options{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	pickettest.FuzzDecoder(f, seeds, func(r io.Reader, acct *pickettest.Ledger) ([]*picket.AdminEvent, error) {
		var out keptEvents
		err := d(context.Background(), r, opt, acct, &out)
		return out, err
	}, func(t *testing.T, e *picket.AdminEvent) {
		pickettest.CanonicalNames(t, append([]string{e.Zone}, e.Names...)...)
		for _, r := range e.Records {
			pickettest.CanonicalNames(t, r.Name, r.Zone)
		}
		if e.Provider == "" || e.Effect == "" {
			t.Fatalf("incomplete: %+v", e)
		}
	})
}

func FuzzCloudTrail(f *testing.F) {
	fuzzDecoder(f, CloudTrail, `{"Records":[{"eventVersion":"1","eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","eventTime":"2026-01-01T00:00:00Z","userIdentity":{"arn":"a"},"sourceIPAddress":"192.0.2.1","requestParameters":{"changeBatch":{"changes":[{"action":"UPSERT","resourceRecordSet":{"name":"\\052.a.","type":"A","tTL":1,"resourceRecords":[{"value":"192.0.2.1"}]}}]}}}]}`,
		`{"detail":{"eventSource":"route53domains.amazonaws.com","eventName":"transferDomain","eventTime":1767225600,"userIdentity":{},"requestParameters":{"domainName":{"name":"a"}}}}`)
}

func FuzzCloudflareAudit(f *testing.F) {
	fuzzDecoder(f, CloudflareAudit, `{"result":[{"id":"a","action":{"type":"rec_set","result":true},"actor":{"email":"a@b","ip":"192.0.2.1"},"metadata":{"zone_name":"a.b"},"newValue":"{\"type\":\"MX\",\"name\":\"a\",\"content\":\"c\",\"priority\":1}","resource":{"type":"DNS_record"},"when":"2026-01-01T00:00:00Z"}]}`,
		`{"ActionType":"x","When":1767225600000000000,"ResourceType":"zone","ActionResult":false}`, `{"action":{"time":"2026-01-01T00:00:00Z","type":"delete"},"resource":{"product":"dns","request":[{"type":"A","name":"x"}]},"zone":{"name":"y"}}`)
}

func FuzzGCPAudit(f *testing.F) {
	fuzzDecoder(f, GCPAudit, `{"protoPayload":{"methodName":"dns.changes.create","serviceName":"dns.googleapis.com","status":{"code":7},"request":{"change":{"additions":[{"name":"a.","type":"SOA","ttl":1,"rrdatas":["x"]}]}}},"timestamp":"2026-01-01T00:00:00Z"}`,
		`{"message":{"data":"eyJwcm90b1BheWxvYWQiOnsibWV0aG9kTmFtZSI6ImEiLCJzZXJ2aWNlTmFtZSI6ImRucy5nb29nbGVhcGlzLmNvbSJ9LCJ0aW1lc3RhbXAiOiIyMDI2LTAxLTAxVDAwOjAwOjAwWiJ9"}}`)
}

func FuzzAzureActivity(f *testing.F) {
	fuzzDecoder(f, AzureActivity, `{"records":[{"time":"2026-01-01T00:00:00Z","resourceId":"/X/DNSZONES/A.B/MX/@","operationName":"MICROSOFT.NETWORK/DNSZONES/MX/WRITE","resultType":"Failure","properties":{"statusMessage":"{\"error\":{\"code\":\"Forbidden\"}}","requestbody":"{\"properties\":{\"TTL\":1,\"MXRecords\":[{\"preference\":1,\"exchange\":\"x\"}]}}"}}]}`,
		`{"value":[{"eventTimestamp":"2026-01-01T00:00:00Z","resourceId":"/dnszones/a/TXT/b","operationName":{"value":"Microsoft.Network/dnszones/TXT/delete"},"status":{"value":"Succeeded"}}]}`)
}

func FuzzBindAdmin(f *testing.F) {
	fuzzDecoder(f, BindAdmin, "2026-11-23T15:39:00.278Z update: info: client @0x7f 192.0.2.1#4/key ddns: view main: updating zone 'example.com/IN': adding an RR at 'www.example.com' A 192.0.2.5\n"+
		"Nov 23 15:39:00 ns named[1]: client 192.0.2.1#4: update 'example.com/IN' denied\n23-Nov-2026 15:39:00.1 zone a/IN: sending notifies (serial 1)\n"+
		"23-Nov-2026 15:39:00.1 0x1: transfer of 'a/IN/v' from 192.0.2.1#53: Transfer status: REFUSED\n23-Nov-2026 15:39:00.1 client 192.0.2.1#4 (a): transfer of 'a/IN': AXFR ended: 1 messages, 6 records, 186 bytes (serial 1)\n")
}

func FuzzRDAP(f *testing.F) {
	fuzzDecoder(f, RDAP, `{"domainSearchResults":[{"objectClassName":"domain","ldhName":"a.b","status":["x"],"events":[{"eventAction":"registration","eventDate":"2026-01-01T00:00:00Z"}],"nameservers":[{"ldhName":"n","ipAddresses":{"v4":["192.0.2.1"]}}],"secureDNS":{"dsData":[{"keyTag":1}]},"entities":[{"roles":["registrar"],"vcardArray":["vcard",[["fn",{},"text","R"]]]}]}]}`,
		`{"errorCode":404,"title":"x","description":[]}`)
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(`{"Records":[{"eventSource":"route53.amazonaws.com","eventName":"x","userIdentity":{}}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectCloudTrail, DetectCloudflareAudit, DetectGCPAudit, DetectAzureActivity, DetectBindAdmin, DetectRDAP} {
			detect(b)
		}
	})
}

type nowhere struct{}

func (nowhere) AdminEvent(*picket.AdminEvent) error { return nil }

func benchDecode(b *testing.B, d Decode, line string) {
	b.Helper()
	text := []byte(strings.Repeat(line+"\n", 1000))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		acct := new(pickettest.Ledger)
		if err := d(context.Background(), bytes.NewReader(text), decode.Options{}, acct, nowhere{}); err != nil || acct.Accepted != 1000 {
			b.Fatal(err, acct)
		}
		lines += 1000
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkBindAdmin(b *testing.B) {
	benchDecode(b, BindAdmin, "2026-11-23T15:39:00.278Z update: info: client @0x7f37164fac98 192.0.2.20#40448/key ddns: view main: updating zone 'example.com/IN': adding an RR at 'www.example.com' A 192.0.2.5")
}

func BenchmarkCloudTrail(b *testing.B) {
	benchDecode(b, CloudTrail, `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/dns-admin/alice","sessionContext":{"attributes":{"mfaAuthenticated":"true"}}},"eventTime":"2026-03-01T10:00:00Z","eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.20","userAgent":"aws-cli/2.15","requestParameters":{"hostedZoneId":"Z0EXAMPLE","changeBatch":{"changes":[{"action":"UPSERT","resourceRecordSet":{"name":"www.example.com.","type":"A","tTL":300,"resourceRecords":[{"value":"192.0.2.10"}]}}]}},"eventID":"1","recipientAccountId":"111122223333"}`)
}

// TestMemoryBounded: endless lines, names and lists do not make a decoder grow.
func TestMemoryBounded(t *testing.T) {
	for name, d := range map[string]Decode{"cloudtrail": CloudTrail, "cloudflare": CloudflareAudit, "gcp": GCPAudit, "azure": AzureActivity, "bind": BindAdmin, "rdap": RDAP} {
		for _, lead := range []string{"", `{"Records":[{"a":"`, "2026-01-01T00:00:00Z client 192.0.2.1#5: update '"} {
			pickettest.Bounded(t, name, lead, func(r io.Reader) {
				if err := d(context.Background(), r, decode.Options{}, new(pickettest.Ledger), nowhere{}); err != nil {
					t.Errorf("%s after %q: %v", name, lead, err)
				}
			})
		}
	}
}
