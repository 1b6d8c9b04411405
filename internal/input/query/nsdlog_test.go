package query

import "testing"

func TestNSDLog(t *testing.T) {
	testLog(t, NSDLog, []logCase{
		{"transfers and notifications of 4.6", `[2026-11-23 15:31:06.253] nsd[11197]: notice: nsd started (NSD 4.6.1), pid 11192
[2026-11-23 15:31:08.325] nsd[11203]: info: axfr for example.com. from 192.0.2.7
[2026-11-23 15:31:08.356] nsd[11203]: info: ixfr for example.com. from 192.0.2.7
[2026-11-23 15:31:08.381] nsd[11203]: info: axfr for closed.example. from 192.0.2.7 refused, no acl matches
[2026-11-23 15:31:08.390] nsd[11203]: info: ixfr for closed.example. from 2001:db8::7 refused, blocked
[2026-11-23 15:31:08.495] nsd[11203]: info: notify for sec.example. from 198.51.100.1
[2026-11-23 15:31:08.527] nsd[11203]: info: notify for closed.example. from 192.0.2.7 refused, no acl matches.
[2026-11-23 15:31:08.699] nsd[11203]: error: query: bad tsig (Bad Key) for key bad.example. from ::1
[2026-11-23 15:31:08.736] nsd[11192]: error: sec.example.: Could not tcp connect to 127.0.0.1@5999: Connection refused
`, []string{
			"2026-11-23T15:31:08.325Z 192.0.2.7:0> tcp example.com IN AXFR NOERROR response",
			"2026-11-23T15:31:08.356Z 192.0.2.7:0>  example.com IN IXFR NOERROR response",
			"2026-11-23T15:31:08.381Z 192.0.2.7:0> tcp closed.example IN AXFR REFUSED response",
			"2026-11-23T15:31:08.39Z [2001:db8::7]:0>  closed.example IN IXFR REFUSED response",
			"2026-11-23T15:31:08.495Z 198.51.100.1:0>  sec.example IN SOA NOERROR response opcode=4",
			"2026-11-23T15:31:08.527Z 192.0.2.7:0>  closed.example IN SOA REFUSED response opcode=4",
		}, nil, map[string]int{"other log line": 2, "refused query without its name": 1}},
		{"3.x and through a proxy and 4.14", `[1795447868] nsd[1]: info: axfr for zone Example.com. from client 192.0.2.7 refused, blocked
[1795447868] nsd[1]: info: axfr for example.com. from 192.0.2.7 via proxy 198.51.100.2 refused because of proxy, 198.51.100.0/24 BLOCKED
[1795447868] nsd[1]: info: axfr for example.com. from 192.0.2.7  not-verified
`, []string{
			"2026-11-23T15:31:08Z 192.0.2.7:0> tcp example.com IN AXFR REFUSED mixed,response",
			"2026-11-23T15:31:08Z 192.0.2.7:0> tcp example.com IN AXFR REFUSED response",
			"2026-11-23T15:31:08Z 192.0.2.7:0> tcp example.com IN AXFR NOERROR response",
		}, nil, nil},
		{"names of every kind", `[1795447868] nsd[1]: info: axfr for . from 192.0.2.7
[1795447868] nsd[1]: info: axfr for a\032m\.p.example. from 192.0.2.7 refused, no acl matches
`, []string{
			"2026-11-23T15:31:08Z 192.0.2.7:0> tcp . IN AXFR NOERROR response",
			`2026-11-23T15:31:08Z 192.0.2.7:0> tcp a\032m\.p.example IN AXFR REFUSED response`,
		}, nil, nil},
		{"broken", `[1795447868] nsd[1]: info: axfr for a..b. from 192.0.2.7
[1795447868] nsd[1]: info: axfr for example.com. from 192.0.2.700
[1795447868] nsd[1]: info: notify for example.com. from unknown remote address
[1795447868] nsd[1]: info: axfr for example.com.
[1795447868] nsd[1]: info: ixfr for example.com. to 192.0.2.7
nsd[1]: info: axfr for example.com. from 192.0.2.7
# remark

[1795447868] nsd[1]: info: no axfr for example.com. from 192.0.2.7
`, nil, map[string]int{"bad name": 1, "bad address": 2, "truncated record": 2, "no time stamp": 1},
			map[string]int{"blank line": 1, "comment": 1, "other log line": 1}},
	})
}
