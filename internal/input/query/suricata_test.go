package query

import (
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/input/decode"
)

// eve writes one dns event.
func eve(stamp, src, dst, more, dns string) string {
	return `{"timestamp":"2024-01-01T00:00:` + stamp + `+0100","event_type":"dns",` + src + `,` + dst + `,"proto":"UDP"` + more + `,"dns":{` + dns + `}}`
}

const (
	eveClientSrc = `"src_ip":"192.0.2.1","src_port":5000`
	eveServerDst = `"dest_ip":"192.0.2.53","dest_port":53`
	eveServerSrc = `"src_ip":"192.0.2.53","src_port":53`
	eveClientDst = `"dest_ip":"192.0.2.1","dest_port":5000`
)

func TestSuricataVersions(t *testing.T) {
	const who = "192.0.2.1:5000>192.0.2.53 udp "
	tests := []struct {
		name   string
		events []string
		want   []string
	}{
		{"v1: query and an event for each record", []string{
			eve("01.5", eveClientSrc, eveServerDst, `,"flow_id":7`, `"type":"query","id":9,"rrname":"a.example","rrtype":"A","tx_id":0`),
			eve("01.6", eveServerSrc, eveClientDst, `,"flow_id":7`, `"type":"answer","id":9,"rcode":"NOERROR","rrname":"a.example","rrtype":"CNAME","ttl":1,"rdata":"b.example"`),
			eve("01.6", eveServerSrc, eveClientDst, `,"flow_id":7`, `"type":"answer","id":9,"rcode":"NOERROR","rrname":"b.example","rrtype":"A","ttl":1,"rdata":"192.0.2.9"`),
		}, []string{"2023-12-31T23:00:01.5Z " + who + "a.example IN A NOERROR response"}},
		{"v2: answer with the client as source", []string{
			eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"version":2,"type":"query","id":9,"rrname":"nx.example","rrtype":"AAAA","tx_id":0,"opcode":0`),
			eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"version":2,"type":"answer","id":9,"flags":"8583","qr":true,"aa":true,"rd":true,"rrname":"nx.example","rrtype":"AAAA","rcode":"NXDOMAIN","authorities":[{"rrname":"example","rrtype":"SOA"}]`),
		}, []string{"2023-12-31T23:00:01Z " + who + "nx.example IN AAAA NXDOMAIN rd,response,aa,flags"}},
		{"v2: answer alone, grouped", []string{
			eve("01", eveServerSrc, eveClientDst, "", `"version":2,"type":"answer","id":9,"flags":"8000","rrname":"a.example","rrtype":"MX","rcode":"NOERROR","grouped":{"MX":["mx.example"]}`),
		}, []string{"2023-12-31T23:00:01Z " + who + "a.example IN MX NOERROR response,flags"}},
		{"v2: answer alone without rrname", []string{
			eve("01", eveServerSrc, eveClientDst, "", `"version":2,"type":"answer","id":9,"rcode":"NOERROR","answers":[{"rrname":"www.example","rrtype":"CNAME","rdata":"example"},{"rrname":"example","rrtype":"A"}]`),
		}, []string{"2023-12-31T23:00:01Z " + who + "www.example IN A NOERROR response"}},
		{"v3: request and response", []string{
			eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"version":3,"type":"request","tx_id":0,"id":9,"flags":"110","rd":true,"opcode":0,"rcode":"NOERROR","queries":[{"rrname":"A.example","rrtype":"TXT"}]`),
			eve("02", eveServerSrc, eveClientDst, `,"flow_id":7`, `"version":3,"type":"response","tx_id":1,"id":9,"flags":"8385","qr":true,"rd":true,"tc":true,"rcode":"REFUSED","queries":[{"rrname":"a.example","rrtype":"TXT"}]`),
		}, []string{"2023-12-31T23:00:01Z " + who + "a.example IN TXT REFUSED rd,cd,mixed,response,tc,flags"}},
		{"order kept, unanswered, reused id", []string{
			eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"type":"query","id":9,"rrname":"one.example","rrtype":"A"`),
			eve("02", eveClientSrc, eveServerDst, `,"flow_id":8`, `"type":"query","id":9,"rrname":"two.example","rrtype":"A"`),
			eve("02", eveClientSrc, eveServerDst, `,"flow_id":7`, `"type":"query","id":9,"rrname":"three.example","rrtype":"A"`),
			eve("02", eveServerSrc, eveClientDst, `,"flow_id":7`, `"version":2,"type":"answer","id":9,"rcode":"NXDOMAIN","rrname":"three.example","rrtype":"A"`),
			eve("02", eveServerSrc, eveClientDst, `,"flow_id":8`, `"version":2,"type":"answer","id":9,"rcode":"SERVFAIL","rrname":"two.example","rrtype":"A"`),
		}, []string{
			"2023-12-31T23:00:01Z " + who + "one.example IN A ? ",
			"2023-12-31T23:00:02Z " + who + "two.example IN A SERVFAIL response",
			"2023-12-31T23:00:02Z " + who + "three.example IN A NXDOMAIN response",
		}},
		{"root, odd bytes", []string{
			eve("01", eveClientSrc, eveServerDst, "", `"type":"query","id":1,"rrname":"","rrtype":"NS"`),
			eve("01", eveClientSrc, eveServerDst, "", `"type":"query","id":2,"rrname":"a\\b.example","rrtype":"TYPE65"`),
		}, []string{
			"2023-12-31T23:00:01Z " + who + ". IN NS ? ",
			"2023-12-31T23:00:01Z " + who + `a\\b.example IN HTTPS ? `,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, acct := decodeText(t, SuricataDNS, strings.Join(tt.events, "\n")+"\n", decode.Options{})
			compare(t, got, tt.want)
			if len(acct.rejected) > 0 || acct.total() != len(tt.events) {
				t.Errorf("rejected %v, skipped %v, total %d", acct.rejected, acct.skipped, acct.total())
			}
		})
	}
}

func TestSuricataWaits(t *testing.T) {
	ask := eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"type":"query","id":9,"rrname":"a.example","rrtype":"A"`)
	later := eve("05", eveClientSrc, eveServerDst, `,"flow_id":8`, `"type":"query","id":1,"rrname":"b.example","rrtype":"A"`)
	answer := eve("05", eveServerSrc, eveClientDst, `,"flow_id":7`, `"version":2,"type":"answer","id":9,"rcode":"NOERROR","rrname":"a.example","rrtype":"A"`)
	text := ask + later + answer
	if got, _ := decodeText(t, SuricataDNS, text, decode.Options{ResponseTimeout: 10 * time.Second}); len(got) != 2 || !strings.Contains(got[0], "NOERROR") {
		t.Errorf("within 10 s: %q", got)
	}
	if got, _ := decodeText(t, SuricataDNS, text, decode.Options{}); len(got) != 3 || !strings.Contains(got[0], "a.example IN A ?") {
		t.Errorf("beyond 2 s: %q", got)
	}
}

func TestSuricataRejects(t *testing.T) {
	text := strings.Join([]string{
		eve("01", `"src_ip":"x.x.2.1"`, eveServerDst, "", `"type":"query","rrname":"a","rrtype":"A"`),
		eve("61", eveClientSrc, eveServerDst, "", `"type":"query","rrname":"a","rrtype":"A"`),
		eve("01", eveClientSrc, eveServerDst, "", `"type":"query","rrtype":"A"`),
		eve("01", eveClientSrc, eveServerDst, "", `"rrname":"a"`),
		eve("01", eveClientSrc, eveServerDst, "", `"type":"query","rrname":"a..b"`),
		eve("01", eveClientSrc, `"dest_ip":"224.0.0.251","dest_port":5353`, "", `"type":"query","rrname":"a"`),
		`{"event_type":"flow"}`,
		`{"event_type":"dns"}`,
		"plain text",
		`{}`,
		`{"event_type":"dns", broken`,
		`{"event_type":"flow"}`,
	}, "\n")
	got, acct := decodeText(t, SuricataDNS, text, decode.Options{})
	for reason, line := range map[string]int64{decode.ReasonAddress: 1, decode.ReasonTime: 2, reasonEveName: 3, reasonEveDNS: 4, decode.ReasonBadName: 5, decode.ReasonNotObject: 9, decode.ReasonCutJSON: 11} {
		if acct.rejected[reason] != 1 || acct.first[reason].Line != line {
			t.Errorf("%s: %d at %v, want line %d", reason, acct.rejected[reason], acct.first[reason], line)
		}
	}
	if len(got) != 0 || acct.skipped["event_type flow"] != 2 || acct.skipped[skipEveNoDNS] != 1 || acct.skipped[skipZeekMDNS] != 1 {
		t.Errorf("%q, rejected %v, skipped %v", got, acct.rejected, acct.skipped)
	}
}
