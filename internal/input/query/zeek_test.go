package query

import (
	"strings"
	"testing"

	"github.com/picket-dns/picket/internal/input/decode"
)

func TestZeekTSV(t *testing.T) {
	text := strings.Join([]string{
		"### junk",
		"early\trow",
		"#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tdns",
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqclass\tqtype\trcode\tAA\tTC\tRD\tanswers",
		"1379288667.667971\tC1\t192.0.2.1\t1030\t192.0.2.53\t53\tudp\tWWW.example\t1\t1\t0\tT\tF\tF\ta,b",
		"1379288667\tC1\t2001:db8::1\t1030\t2001:db8::53\t53\ttcp\t(empty)\t1\t2\t3\tF\tT\tT\t-",
		"1379288668.5\tC1\t192.0.2.1\t1030\t192.0.2.53\t53\tudp\ta\\x20b\\\\c.example\t3\t16\t-\t-\t-\t-\t-",
		"1379288668.5\tC1\t192.0.2.1\t1030\t224.0.0.251\t5353\tudp\tx.local\t1\t12\t-\tF\tF\tF\t-",
		"1379288668.5\tC1\t192.0.2.1\t1030\t192.0.2.53\t53\tudp\t-\t-\t-\t-\tF\tF\tF\t-",
		"XXXXXXXXXX.XXXXXX\tC1\t192.0.2.1\t1030\t192.0.2.53\t53\tudp\ta\t1\t1\t-\tF\tF\tF\t-",
		"1379288668.5\tC1\tnonsense\t1030\t192.0.2.53\t53\tudp\ta\t1\t1\t-\tF\tF\tF\t-",
		"1379288668.5\tC1\t192.0.2.1",
		"#close\t2014-04-03-10-08-28",
		"#fields\tquery\tts\tid.orig_h\tqtype_name\trcode_name",
		"other.example\t1379288669\t192.0.2.2\tAAAA\tREFUSED",
		"#path\tconn",
		"other.example\t1379288669\t192.0.2.2\tAAAA\tREFUSED",
	}, "\n")
	got, acct := decodeText(t, ZeekDNS, text, decode.Options{})
	compare(t, got, []string{
		"2013-09-15T23:44:27.667971Z 192.0.2.1:1030>192.0.2.53 udp www.example IN A NOERROR mixed,response,aa,flags",
		"2013-09-15T23:44:27Z [2001:db8::1]:1030>2001:db8::53 tcp . IN NS NXDOMAIN rd,response,tc,flags",
		`2013-09-15T23:44:28.5Z 192.0.2.1:1030>192.0.2.53 udp a\032b\\c.example CH TXT ? `,
		"2013-09-15T23:44:29Z 192.0.2.2:0>  other.example IN AAAA REFUSED response",
	})
	for reason, want := range map[string][2]int64{decode.ReasonTime: {1, 14}, decode.ReasonAddress: {1, 15}, reasonZeekHeader: {1, 2}} {
		if int64(acct.rejected[reason]) != want[0] || acct.first[reason].Line != want[1] {
			t.Errorf("%s: %d at %v, want %v", reason, acct.rejected[reason], acct.first[reason], want)
		}
	}
	if acct.skipped[skipZeekMDNS] != 1 || acct.skipped[skipNoQuestion] != 2 || acct.skipped[skipZeekPath] != 1 || acct.total() != 21 {
		t.Errorf("skipped %v, rejected %v, total %d", acct.skipped, acct.rejected, acct.total())
	}
}

func TestZeekJSON(t *testing.T) {
	text := `[{"_path":"dns","ts":"2019-12-03T22:45:22.764317Z","id.orig_h":"10.0.0.1","id.orig_p":5,"id.resp_h":"10.0.0.53","id.resp_p":53,"proto":"udp",
 "query":"a.example","qtype_name":"SRV","rcode":3,"AA":true,"RD":false,"answers":["x","y"]},
{"_path":"conn","ts":1.5,"id.orig_h":"10.0.0.1"},{"ts":1575413122764.5,"id.orig_h":"10.0.0.1","id.resp_p":53,"query":"","qtype":2,"opcode":4}
{"ts":1575413122.5,"id.orig_h":"10.0.0.1","id.resp_p":53,"qu
{"ts":1575413122.5,"id.orig_h":"10.0.0.1","id.resp_p":53,"query":"\u0041\\x2e","qtype":"1"}
]`
	got, acct := decodeText(t, ZeekDNS, text, decode.Options{})
	compare(t, got, []string{
		"2019-12-03T22:45:22.764317Z 10.0.0.1:5>10.0.0.53 udp a.example IN SRV NXDOMAIN response,aa,flags",
		"2019-12-03T22:45:22.7645Z 10.0.0.1:0>  . IN NS ? ",
		`2019-12-03T22:45:22.5Z 10.0.0.1:0>  a\. IN A ? mixed`,
	})
	if acct.rejected[decode.ReasonBrokenJSON]+acct.rejected[decode.ReasonCutJSON] != 1 || acct.skipped[skipZeekPath] != 1 || acct.total() != 5 {
		t.Errorf("rejected %v skipped %v", acct.rejected, acct.skipped)
	}
}
