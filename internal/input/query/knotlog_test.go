package query

import "testing"

func TestKnotLog(t *testing.T) {
	testLog(t, KnotLog, []logCase{
		{"transfers of 3.2", `2026-11-23T15:32:01+0000 info: Knot DNS 3.2.6 starting
2026-11-23T15:32:03+0000 debug: [example.com.] ACL, allowed, action transfer, remote 192.0.2.7@40481, key none
2026-11-23T15:32:03+0000 info: [example.com.] AXFR, outgoing, remote 192.0.2.7@40481, started, serial 1
2026-11-23T15:32:03+0000 info: [example.com.] AXFR, outgoing, remote 192.0.2.7@40481, finished, 0.00 seconds, 1 messages, 193 bytes
2026-11-23T15:32:03+0000 info: [example.com.] IXFR, outgoing, remote 192.0.2.7@38255, zone is up-to-date, serial 1
2026-11-23T15:32:04+0000 info: [example.com.] IXFR, outgoing, remote 192.0.2.7@46033, incomplete history, serial 0, fallback to AXFR
2026-11-23T15:32:04+0000 info: [example.com.] AXFR, outgoing, remote 192.0.2.7@46033, started, serial 1
2026-11-23T15:32:04+0000 info: [example.com.] IXFR, outgoing, remote 2001:db8::7@50493, started, serial 1 -> 3
2026-11-23T15:32:04+0000 info: [example.com.] refresh, remote prim, address 192.0.2.1@53, failed (connection reset)
2026-11-23T15:32:04+0000 info: [example.com.] AXFR, incoming, remote 192.0.2.1@53, started
2026-11-23T15:32:04+0000 info: [example.com.] notify, outgoing, remote 192.0.2.9@53, serial 3
`, []string{
			"2026-11-23T15:32:03Z 192.0.2.7:40481> tcp example.com IN AXFR NOERROR response",
			"2026-11-23T15:32:03Z 192.0.2.7:38255>  example.com IN IXFR NOERROR response",
			"2026-11-23T15:32:04Z 192.0.2.7:46033>  example.com IN IXFR NOERROR response",
			"2026-11-23T15:32:04Z [2001:db8::7]:50493>  example.com IN IXFR NOERROR response",
		}, nil, map[string]int{"other log line": 2, "permission that another line tells the outcome of": 1, "zone transfer progress line": 1,
			"line of a transaction already counted": 1, "outgoing request of this server": 2}},
		{"access lists", `2026-11-23T15:32:04+0000 debug: [closed.example.] ACL, denied, action transfer, remote 192.0.2.7@38835, key none
2026-11-23T15:32:04+0000 debug: [closed.example.] ACL, denied, action transfer, remote 192.0.2.7@38835, key none
2026-11-23T15:32:04+0000 error: [closed.example.] AXFR, outgoing, remote 192.0.2.7@38835, failed to start (not authorized)
2026-11-23T15:32:04+0000 debug: [closed.example.] ACL, denied, action notify, remote 192.0.2.7@33676, key none
2026-11-23T15:32:04+0000 debug: [example.com.] ACL, denied, action 'update', remote ::1@47676, key 'bad.example.'
2026-11-23T15:32:04+0000 debug: [example.com.] ACL, denied, action query, remote ::1@43641, key 'bad.example.'
2026-11-23T15:32:04+0000 debug: [example.com.] ACL, allowed, action transfer, remote ::1@41093, key 'k.example.'
2026-11-23T15:32:04+0000 info: [example.com.] AXFR, outgoing, remote ::1@41093, started, serial 1
2026-11-23T15:32:04+0000 debug: [example.com.] ACL, allowed, action notify, remote ::1@33848, key 'k.example.'
2026-11-23T15:32:04+0000 info: [example.com.] notify, incoming, remote ::1@33848, serial none
2026-11-23T15:32:04+0000 debug: [example.com.] ACL, allowed, action update, remote ::1@51376, key 'k.example.'
2026-11-23T15:32:04+0000 info: [example.com.] DDNS, processing 1 updates
2026-11-23T15:32:04+0000 warning: [example.com.] DDNS, incoming, remote ::1@51376, prerequisites not met (UPDATE prerequisite not met)
2026-11-23T15:32:04+0000 warning: [example.com.] DDNS, incoming, remote ::1@51377, prerequisites not met (UPDATE prerequisite not met)
`, []string{
			"2026-11-23T15:32:04Z 192.0.2.7:38835>  closed.example IN AXFR NOTAUTH response",
			"2026-11-23T15:32:04Z 192.0.2.7:38835>  closed.example IN AXFR NOTAUTH response",
			"2026-11-23T15:32:04Z 192.0.2.7:33676>  closed.example IN SOA NOTAUTH response opcode=4",
			"2026-11-23T15:32:04Z [::1]:47676>  example.com IN SOA NOTAUTH tsig,response opcode=5",
			"2026-11-23T15:32:04Z [::1]:41093> tcp example.com IN AXFR NOERROR tsig,response",
			"2026-11-23T15:32:04Z [::1]:33848>  example.com IN SOA NOERROR tsig,response opcode=4",
			"2026-11-23T15:32:04Z [::1]:51376>  example.com IN SOA ? tsig opcode=5",
			"2026-11-23T15:32:04Z [::1]:51377>  example.com IN SOA ? opcode=5",
		}, nil, map[string]int{"line of a transaction already counted": 2, "permission that another line tells the outcome of": 2,
			"refused query without its name": 1, "dynamic update progress line": 1}},
		{"later and earlier spellings", `Nov 23 15:32:04 ns1 knotd[12]: info: [example.com.] AXFR, outgoing, remote 192.0.2.7@40481 TLS, key k.example., started, serial 1
Nov 23 15:32:04 ns1 knotd[12]: info: [example.com] AXFR, outgoing, 192.0.2.7@40482: started, serial 1
Nov 23 15:32:04 ns1 knotd[12]: [example.com] NOTIFY, incoming, 192.0.2.7@40483: received serial 7
Nov 23 15:32:04 ns1 knotd[12]: [example.com] NOTIFY, incoming, 192.0.2.7@40483: unauthorized request
Nov 23 15:32:04 ns1 knotd[12]: info: [example.com.] IXFR, outgoing, remote 192.0.2.7@40484 QUIC, started, serial 1
`, []string{
			"2026-11-23T15:32:04Z 192.0.2.7:40481> tls example.com IN AXFR NOERROR tsig,response",
			"2026-11-23T15:32:04Z 192.0.2.7:40482> tcp example.com IN AXFR NOERROR response",
			"2026-11-23T15:32:04Z 192.0.2.7:40483>  example.com IN SOA NOERROR response opcode=4",
			"2026-11-23T15:32:04Z 192.0.2.7:40483>  example.com IN SOA NOTAUTH response opcode=4",
			"2026-11-23T15:32:04Z 192.0.2.7:40484> quic example.com IN IXFR NOERROR response",
		}, nil, nil},
		{"the second line comes too late", `2026-11-23T15:32:04Z info: [example.com.] IXFR, outgoing, remote 192.0.2.7@46033, incomplete history, serial 0, fallback to AXFR
2026-11-23T15:32:10Z info: [example.com.] AXFR, outgoing, remote 192.0.2.7@46033, started, serial 1
`, []string{
			"2026-11-23T15:32:04Z 192.0.2.7:46033>  example.com IN IXFR NOERROR response",
			"2026-11-23T15:32:10Z 192.0.2.7:46033> tcp example.com IN AXFR NOERROR response",
		}, nil, nil},
		{"broken", `2026-11-23T15:32:04Z info: [a..b.] AXFR, outgoing, remote 192.0.2.7@46033, started, serial 1
2026-11-23T15:32:04Z info: [example.com.] AXFR, outgoing, remote 192.0.2.700@46033, started, serial 1
2026-11-23T15:32:04Z info: [example.com.] AXFR, outgoing, remote 192.0.2.7@460330, started, serial 1
2026-11-23T15:32:04Z info: [example.com.] AXFR, outgoing, started
info: [example.com.] AXFR, outgoing, remote 192.0.2.7@46033, started, serial 1
2026-11-23T15:32:04Z info: [example.com.
2026-11-23T15:32:04Z info: [] AXFR, outgoing
`, nil, map[string]int{"bad name": 1, "bad address": 3, "no time stamp": 1}, map[string]int{"other log line": 2}},
	})
}
