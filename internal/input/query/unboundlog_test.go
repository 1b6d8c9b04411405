package query

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestUnboundLog(t *testing.T) {
	testLog(t, UnboundLog, []logCase{
		{"queries, local actions and replies, tagged", `[1795447926] unbound[11927:0] info: start of service (unbound 1.17.1).
[1795447928] unbound[11927:0] query: 192.0.2.1 www.example.com. A IN
[1795447928] unbound[11927:0] info: example.com. static 192.0.2.1@54735 www.example.com. A IN
[1795447928] unbound[11927:0] reply: 192.0.2.1 www.example.com. A IN NOERROR 0.000000 1 60
[1795447928] unbound[11927:1] query: 2001:db8::7 NX.example.com. TYPE65280 IN
[1795447928] unbound[11927:1] query: 192.0.2.1 version.bind. TXT CH
[1795447928] unbound[11927:1] reply: 2001:db8::7 NX.example.com. TYPE65280 IN NXDOMAIN 0.012345 0 84
[1795447928] unbound[11927:0] query: 192.0.2.1 a?b?c?d.example.com. ANY IN
[1795447928] unbound[11927:0] reply: 198.51.100.2 null TYPE0 CLASS0 REFUSED 0.000000 1 12
[1795447928] unbound[11927:0] reply: 198.51.100.2 - - - FORMERR - - - 
[1795447928] unbound[11927:0] notice: sendto failed: Can't assign requested address
`, []string{
			"2026-11-23T15:32:08Z 192.0.2.1:54735>  www.example.com IN A NOERROR response",
			"2026-11-23T15:32:08Z [2001:db8::7]:0>  nx.example.com IN TYPE65280 NXDOMAIN mixed,response",
			"2026-11-23T15:32:08Z 192.0.2.1:0>  version.bind CH TXT ?",
			"2026-11-23T15:32:08Z 192.0.2.1:0>  a?b?c?d.example.com IN ANY ?",
		}, nil, map[string]int{"other log line": 2, "local action of a query already counted": 1, "reply to a query already counted": 2, "reply to a query not read": 2}},
		{"untagged, the same asked twice", `Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.com. A IN
Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.com. A IN
Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.com. A IN SERVFAIL 0.000000 0 60
Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.com. A IN NOERROR 0.000000 1 60
Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.com. A IN NOERROR 0.000000 1 60
Nov 23 15:32:15 unbound[12086:0] info: 192.0.2.1 www.example.net. A IN NOERROR 0.000000 1 60
`, []string{
			"2026-11-23T15:32:15Z 192.0.2.1:0>  www.example.com IN A SERVFAIL response",
			"2026-11-23T15:32:15Z 192.0.2.1:0>  www.example.com IN A NOERROR response",
		}, nil, map[string]int{"reply to a query already counted": 2, "reply after its query was passed on": 2}},
		{"replies alone, and where they came in", `2026-11-23T15:32:15.5+01:00 unbound[12086:a] info: 192.0.2.1 www.example.com. A IN NOERROR 0.250000 0 60
2026-11-23T15:32:15.5+01:00 unbound[12086:a] reply: 192.0.2.1 www.example.com. A IN NOERROR 0.000000 1 60 on udp 198.51.100.53 53
2026-11-23T15:32:15.5+01:00 unbound[12086:a] reply: 2001:db8::7 www.example.com. A IN NOERROR 0.000000 1 60 dot 2001:db8::53 853
`, []string{
			"2026-11-23T14:32:15.25Z 192.0.2.1:0>  www.example.com IN A NOERROR response",
			"2026-11-23T14:32:15.5Z 192.0.2.1:0>198.51.100.53 udp www.example.com IN A NOERROR response",
			"2026-11-23T14:32:15.5Z [2001:db8::7]:0>2001:db8::53 tls www.example.com IN A NOERROR response",
		}, nil, nil},
		{"local actions alone, and with replies", `[1795447928] unbound[1:0] info: deny.example. inform_deny 192.0.2.1@34454 x.deny.example. A IN
[1795447928] unbound[1:0] info: rpz: applied [rpz.example.] bad.example. rpz-nxdomain 192.0.2.1@53 bad.example. A IN
[1795447928] unbound[1:0] info: 192.0.2.1 bad.example. A IN NXDOMAIN 0.000000 1 60
`, []string{
			"2026-11-23T15:32:08Z 192.0.2.1:34454>  x.deny.example IN A ?",
			"2026-11-23T15:32:08Z 192.0.2.1:53>  bad.example IN A NXDOMAIN response",
		}, nil, map[string]int{"reply to a query already counted": 1}},
		{"syslog", `<30>1 2026-11-23T15:32:08+00:00 fw.example.com unbound 82904 - [meta sequenceId="2"] [82904:1] reply: 192.0.2.1 www.example.com. AAAA IN NOERROR 0.000000 0 31
Nov 23 15:32:09 fw unbound[82904]: [82904:0] info: 192.0.2.1 www.example.com. A IN
2026-11-23T15:32:10.283219-04:00 fw unbound: [9405:0] info: 192.0.2.1 www.example.com. MX IN
`, []string{
			"2026-11-23T15:32:08Z 192.0.2.1:0>  www.example.com IN AAAA NOERROR response",
			"2026-11-23T15:32:09Z 192.0.2.1:0>  www.example.com IN A ?",
			"2026-11-23T19:32:10.283219Z 192.0.2.1:0>  www.example.com IN MX ?",
		}, nil, nil},
		{"a reply that comes too late", `[1795447928] unbound[1:0] query: 192.0.2.1 slow.example. A IN
[1795447931] unbound[1:0] query: 192.0.2.1 www.example. A IN
[1795447931] unbound[1:0] reply: 192.0.2.1 slow.example. A IN NOERROR 3.000000 0 60
[1795447931] unbound[1:0] reply: 192.0.2.1 slow.example. A IN NOERROR 3.000000 0 60
`, []string{
			"2026-11-23T15:32:08Z 192.0.2.1:0>  slow.example IN A ?",
			"2026-11-23T15:32:11Z 192.0.2.1:0>  www.example IN A ?",
		}, nil, map[string]int{"reply after its query was passed on": 2}},
		{"broken", `[1795447928] unbound[1:0] info: 192.0.2.300 www.example. A IN
[1795447928] unbound[1:0] query: 192.0.2.1 a..b. A IN
[1795447928] unbound[1:0] query: 192.0.2.1 www.example. HA IN
[1795447928] unbound[1:0] query: 192.0.2.1 www.example. A OUT
[1795447928] unbound[1:0] query: 192.0.2.1 www.example.
[1795447928] unbound[1:0] reply: 192.0.2.1 www.example. A IN NOERROR 0.1
[1795447928] unbound[1:0] reply: 192.0.2.1 www.example. A IN NOPE 0.1 1 2
unbound[1:0] query: 192.0.2.1 www.example. A IN
[1795447928] unbound[1:0] info: server stats for thread 0: 23 queries, 20 answers from cache
[1795447928] unbound[1:x] query: 192.0.2.1 www.example. A IN
[1795447928] unbound[1:0] info
`, nil, map[string]int{"bad address": 1, "bad name": 1, "bad type": 1, "bad class": 1, "truncated record": 3, "no time stamp": 1},
			map[string]int{"other log line": 3}},
	})
}

// TestUnboundLogSwitched: replies make queries again when query lines have long
// not been written, and a burst holds no more than it may.
func TestUnboundLogSwitched(t *testing.T) {
	var b strings.Builder
	b.WriteString("[1795447928] unbound[1:0] query: 192.0.2.1 www.example. A IN\n")
	for i := range unboundQuiet + 10 {
		fmt.Fprintf(&b, "[1795447940] unbound[1:0] reply: 192.0.2.1 n%d.example. A IN NOERROR 0.0 1 2\n", i)
	}
	out, acct := decodeLog(t, UnboundLog, b.String(), logOptions())
	if len(out) != 11 || acct.skipped[skipUnboundLate] != unboundQuiet {
		t.Errorf("%d queries, skipped %v", len(out), acct.skipped)
	}

	b.Reset()
	for i := range 3 * heldMost {
		fmt.Fprintf(&b, "[1795447928] unbound[1:0] query: 192.0.2.1 n%d.example. A IN\n", i)
	}
	for i := range 3 * heldMost {
		fmt.Fprintf(&b, "[1795447928] unbound[1:0] reply: 192.0.2.1 n%d.example. A IN NXDOMAIN 0.0 1 2\n", i)
	}
	opt := logOptions()
	opt.ResponseTimeout = time.Minute
	out, acct = decodeLog(t, UnboundLog, b.String(), opt)
	if len(out) != 3*heldMost || acct.skipped[skipUnboundReply] != heldMost || acct.skipped[skipUnboundLate] != 2*heldMost {
		t.Errorf("%d queries, skipped %v", len(out), acct.skipped)
	}
	for i, q := range out {
		if !strings.Contains(q, fmt.Sprintf(" n%d.example ", i)) || strings.Contains(q, "NXDOMAIN") != (i >= 2*heldMost) {
			t.Fatalf("query %d: %s", i, q)
		}
	}
}
