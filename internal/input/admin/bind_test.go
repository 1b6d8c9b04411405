package admin

import (
	"strings"
	"testing"
)

const bindClientHead = "2026-11-23T15:39:00.278Z update: info: client @0x7f37164fac98 192.0.2.20#40448"

func TestBindAdmin(t *testing.T) {
	const head = `{"time":"2026-11-23T15:39:00.278Z","provider":"bind","service":"named",`
	check(t, BindAdmin, []decodeTest{
		{"add", bindClientHead + `/key ddns.example: updating zone 'Example.com/IN': adding an RR at 'it\'s.example.com' TXT "a 'b' c"`,
			[]string{head + `"action":"update add","effect":"create","actor":"ddns.example","actor_ip":"192.0.2.20","zone":"example.com.","names":["it's.example.com."],"records":[{"zone":"example.com.","name":"it's.example.com.","type":"TXT","data":"\"a 'b' c\"","change":"add"}]}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"older adds have no data", bindClientHead + ": updating zone 'example.com/IN': adding an RR at 'www.example.com' A",
			[]string{head + `"action":"update add","effect":"create","actor_ip":"192.0.2.20","zone":"example.com.","names":["www.example.com."],"records":[{"zone":"example.com.","name":"www.example.com.","type":"A","change":"add"}]}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"deletions", bindClientHead + ": updating zone 'example.com/IN': deleting rrset at 'a.example.com' TXT\n" + bindClientHead + ": updating zone 'example.com/IN': deleting an RR at b.example.com A\n" +
			bindClientHead + ": updating zone 'example.com/IN': deleting all rrsets from name 'c.example.com'",
			[]string{head + `"action":"update delete","effect":"delete","actor_ip":"192.0.2.20","zone":"example.com.","names":["a.example.com."],"records":[{"zone":"example.com.","name":"a.example.com.","type":"TXT","change":"remove"}]}`,
				head + `"action":"update delete","effect":"delete","actor_ip":"192.0.2.20","zone":"example.com.","names":["b.example.com."],"records":[{"zone":"example.com.","name":"b.example.com.","type":"A","change":"remove"}]}`,
				head + `"action":"update delete","effect":"delete","actor_ip":"192.0.2.20","zone":"example.com.","names":["c.example.com."],"records":[{"zone":"example.com.","name":"c.example.com.","type":"ANY","change":"remove"}]}`},
			"3 accepted, rejected map[], skipped map[]"},
		{"denials", bindClientHead + ": update 'example.com/IN' denied\n" + bindClientHead + "/key k: updating zone 'example.com/IN': update failed: rejected by secure update (REFUSED)\n" +
			bindClientHead + `: signer "evil" denied` + "\n" + bindClientHead + `: signer "good" approved` + "\n" + bindClientHead + ": update forwarding 'example.com/IN' denied\n",
			[]string{head + `"action":"update","effect":"change","outcome":"denied","reason":"REFUSED","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"update","effect":"change","outcome":"denied","reason":"REFUSED","actor":"k","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"update","effect":"change","outcome":"denied","reason":"REFUSED","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`},
			"3 accepted, rejected map[], skipped map[signer line:2]"},
		{"failures", bindClientHead + ": updating zone 'example.com/IN': update unsuccessful: www.example.com: 'name not in use' prerequisite not satisfied (YXDOMAIN)\n" +
			bindClientHead + ": update failed: nowhere.example: not authoritative for update zone (NOTAUTH)\n" + bindClientHead + ": updating zone 'example.com/IN': update rejected: post update name server sanity check failed\n",
			[]string{head + `"action":"update","effect":"change","outcome":"failure","reason":"YXDOMAIN","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"update","effect":"change","outcome":"failure","reason":"NOTAUTH","actor_ip":"192.0.2.20","zone":"nowhere.example.","names":["nowhere.example."]}`,
				head + `"action":"update","effect":"change","outcome":"failure","reason":"update rejected: post update name server sanity check failed","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`},
			"3 accepted, rejected map[], skipped map[]"},
		{"transfers out", bindClientHead + "/key x (example.com): view v: transfer of 'example.com/IN': AXFR-style IXFR started: TSIG x (serial 2)\n" +
			bindClientHead + " (example.com): transfer of 'example.com/IN': IXFR ended: 2 messages, 70 records, 1289 bytes, 0.001 secs (289000 bytes/sec) (serial 4294967295)\n" +
			bindClientHead + " (example.com): transfer of 'example.com/IN': setting up zone transfer: failed\n" +
			bindClientHead + " (a/b.example): zone transfer 'a/b.example/AXFR/IN' denied\n" + bindClientHead + " (x.example): bad zone transfer request: 'x.example/IN': non-authoritative zone (NOTAUTH)\n",
			[]string{head + `"action":"transfer-out started","effect":"transfer","actor":"x","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."],"details":{"serial":2,"type":"AXFR-style IXFR","view":"v"}}`,
				head + `"action":"transfer-out","effect":"transfer","outcome":"success","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."],"details":{"bytes":1289,"messages":2,"records":70,"serial":4294967295,"type":"IXFR"}}`,
				head + `"action":"transfer-out","effect":"transfer","outcome":"failure","reason":"setting up zone transfer: failed","actor_ip":"192.0.2.20","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"transfer-out","effect":"transfer","outcome":"denied","reason":"REFUSED","actor_ip":"192.0.2.20","zone":"a/b.example.","names":["a/b.example."]}`,
				head + `"action":"transfer-out","effect":"transfer","outcome":"failure","reason":"NOTAUTH","actor_ip":"192.0.2.20","zone":"x.example.","names":["x.example."]}`},
			"5 accepted, rejected map[], skipped map[]"},
		{"transfers in", "23-Nov-2026 15:39:00.278 xfer-in: info: zone example.com/IN/main: Transfer started.\n23-Nov-2026 15:39:00.278 0x7ff: transfer of 'example.com/IN/main' from 2001:db8::53#53: connected using 192.0.2.1#5\n" +
			"23-Nov-2026 15:39:00.278 transfer of 'example.com/IN' from 2001:db8::53#53: Transfer status: tsig verify failure\n23-Nov-2026 15:39:00.278 transfer of 'example.com/IN' from 192.0.2.53#53: Transfer status: success\n",
			[]string{head + `"action":"transfer-in started","effect":"transfer","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"transfer-in","effect":"transfer","outcome":"denied","reason":"tsig verify failure","actor_ip":"2001:db8::53","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"transfer-in","effect":"transfer","outcome":"success","actor_ip":"192.0.2.53","zone":"example.com.","names":["example.com."]}`},
			"3 accepted, rejected map[], skipped map[transfer progress line:1]"},
		{"notifications through syslog", "<30>1 2026-11-23T15:39:00.278Z ns named 7 - - client @0x1 192.0.2.53#5353/key k: received notify for zone 'example.com': TSIG 'k'\n" +
			"<30>Nov 23 16:39:00 ns named[7]: 23-Nov-2026 15:39:00.278 notify: info: zone example.com/IN: refused notify from non-primary: 192.0.2.66#4711\n",
			[]string{head + `"action":"notify received","effect":"other","actor":"k","actor_ip":"192.0.2.53","zone":"example.com.","names":["example.com."]}`,
				head + `"action":"notify received","effect":"other","outcome":"denied","actor_ip":"192.0.2.66","zone":"example.com.","names":["example.com."]}`},
			"2 accepted, rejected map[], skipped map[]"},
		{"what is none", "\xef\xbb\xbf# remark\r\n\r\n  continued\r\n2026-11-23T15:39:00Z general: all zones loaded\r\n2026-11-23T15:39:00Z client 192.0.2.1#5 (a): query: a IN A + (192.0.2.53)\r\n2026-11-23T15:39:00Z client 192.0.2.1#5: no matching view in class 'IN'\r\n",
			nil, "0 accepted, rejected map[], skipped map[blank line:1 comment:1 other log line:3 query line:1]"},
		{"broken", "client 192.0.2.1#5: update 'example.com/IN' denied\n" + bindClientHead + ": updating zone 'example.com/IN': adding an RR at 'a..b' A 192.0.2.1\n" +
			bindClientHead + ": updating zone 'example.com/IN': adding an RR at 'a.b' NOTYPE x\n" + bindClientHead + ": updating zone 'exam\n" + bindClientHead + ": updating zone 'example.com/IN': adding an RR at 'a\n" +
			"2026-11-23T15:39:00Z transfer of 'a/IN' from nowhere: Transfer status: success\n",
			nil, "0 accepted, rejected map[bad address:1 bad name:1 bad type:1 no time stamp:1 truncated record:2], skipped map[]"},
		{"hostile", bindClientHead + ": updating zone 'example.com/IN': adding an RR at 'a\x1b[2J.example.com' TXT \"\x1b[31m\"",
			[]string{head + `"action":"update add","effect":"create","actor_ip":"192.0.2.20","zone":"example.com.","names":["a\\027[2j.example.com."],"records":[{"zone":"example.com.","name":"a\\027[2j.example.com.","type":"TXT","data":"\"\\x1b[31m\"","change":"add"}]}`},
			"1 accepted, rejected map[], skipped map[]"},
	})
}

// TestDetectBindAdmin: updates make a log one of administration, queries never,
// and transfers out alone are the query log's business.
func TestDetectBindAdmin(t *testing.T) {
	update := bindClientHead + ": update 'example.com/IN' denied\n"
	out := bindClientHead + " (a): transfer of 'a/IN': AXFR started (serial 1)\n"
	query := bindClientHead + " (a): query: a IN A + (192.0.2.53)\n"
	notify := "2026-11-23T15:39:00Z zone a/IN: sending notifies (serial 1)\n"
	for in, want := range map[string]int{
		update: 96, strings.Repeat(out, 30) + update: 96, out: 0, notify: 50, out + notify: 50, update + query: 0, query: 0,
		"": 0, "zone a.example: file is old\n": 0, strings.Repeat("x\n", 100) + update: 96,
	} {
		if got := DetectBindAdmin([]byte(in)); got != want {
			t.Errorf("%.200q: %d, want %d", in, got, want)
		}
	}
}
