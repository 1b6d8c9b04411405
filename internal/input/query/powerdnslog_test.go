package query

import "testing"

func TestPowerDNSLogQueries(t *testing.T) {
	testLog(t, PowerDNSLog, []logCase{
		{"4.7", `Nov 23 10:32:46 PowerDNS Authoritative Server 4.7.3 (C) 2001-2022 PowerDNS.COM BV
Nov 23 10:32:49 Remote 192.0.2.1 wants 'WWW.example.com|A', do = 0, bufsize = 1232: packetcache MISS
Nov 23 10:32:49 Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache HIT
Nov 23 10:32:49 Remote 192.0.2.1 wants 'www.example.com|A', do = 1, bufsize = 1232 (4096): packetcache MISS
Nov 23 10:32:49 Remote 192.0.2.1<-198.51.100.0/24 wants 'www.example.com|A', do = 0, bufsize = 1232: packetcache MISS
Nov 23 10:32:49 TCP Remote ::1<-2001:db8::/56 wants 'www.example.com|TYPE65280', do = 0, bufsize = 65535: packetcache MISS
Nov 23 10:32:50 Remote 203.0.113.9(192.0.2.1) wants '.|NS', do = 0, bufsize = 512
Nov 23 10:32:50 Remote 192.0.2.1 wants '|NS', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1:4711 wants 'version.bind|TXT', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1 wants 'example.com|IXFR', do = 0, bufsize = 512: packetcache MISS
`, []string{
			"2026-11-23T10:32:49Z 192.0.2.1:0> udp www.example.com IN A ? edns,mixed size=1232",
			"2026-11-23T10:32:49Z 192.0.2.1:0> udp www.example.com IN A ?",
			"2026-11-23T10:32:49Z 192.0.2.1:0> udp www.example.com IN A ? edns,do size=4096",
			"2026-11-23T10:32:49Z 192.0.2.1:0> udp www.example.com IN A ? edns ecs=198.51.100.0/24 size=1232",
			"2026-11-23T10:32:49Z [::1]:0> tcp www.example.com IN TYPE65280 ?  ecs=2001:db8::/56",
			"2026-11-23T10:32:50Z 192.0.2.1:0> udp . IN NS ?",
			"2026-11-23T10:32:50Z 192.0.2.1:0> udp . IN NS ?",
			"2026-11-23T10:32:50Z 192.0.2.1:4711> udp version.bind CH TXT ?",
			"2026-11-23T10:32:50Z 192.0.2.1:0> udp example.com IN IXFR ?",
		}, nil, map[string]int{"other log line": 1}},
		{"syslog and the journal", `Nov 23 10:32:49 ns1 pdns_server[7]: Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:49 ns1 pdns[7]: Nov 23 10:32:48 Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS
{"MESSAGE":"Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS","__REALTIME_TIMESTAMP":"1795447926082000"}
`, []string{
			"2026-11-23T10:32:49Z 192.0.2.1:0> udp www.example.com IN A ?",
			"2026-11-23T10:32:48Z 192.0.2.1:0> udp www.example.com IN A ?",
			"2026-11-23T15:32:06.082Z 192.0.2.1:0> udp www.example.com IN A ?",
		}, nil, nil},
		{"hostile names", `Nov 23 10:32:50 Remote 192.0.2.1 wants 'a\032b\.c"d'x|.example.com|A', do = 0, bufsize = 1232: packetcache MISS
Nov 23 10:32:50 Received a malformed qdomain from 192.0.2.1, 'a\032b\.c"d'x|.example.com': sending servfail
Nov 23 10:32:50 Remote 192.0.2.1 wants '',\032do\032=\032|.example.com|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Received a malformed qdomain from 192.0.2.1, 'q.example.com': sending servfail
Nov 23 10:32:50 Remote 192.0.2.1 wants 'msg=".example.com|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 1 [1/1] question for 'msg="a".question.example.com|A' from 192.0.2.1:5
`, []string{
			`2026-11-23T10:32:50Z 192.0.2.1:0> udp a\032b\.c\"d'x|.example.com IN A SERVFAIL edns,response size=1232`,
			`2026-11-23T10:32:50Z 192.0.2.1:0> udp ',\032do\032=\032|.example.com IN A ?`,
			`2026-11-23T10:32:50Z 192.0.2.1:0> udp msg=\".example.com IN A ?`,
			`2026-11-23T10:32:50Z 192.0.2.1:5> udp msg=\"a\".question.example.com IN A ?`,
		}, nil, map[string]int{"error of a query already counted": 2}},
		{"notifications and updates", `Nov 23 10:32:50 Remote 192.0.2.1 wants 'example.com|SOA', do = 0, bufsize = 1232: packetcache MISS
Nov 23 10:32:50 Received NOTIFY for example.com from 192.0.2.1 but slave support is disabled in the configuration
Nov 23 10:32:50 Received NOTIFY for example.com from 192.0.2.2:53 for which we are not authoritative, trying autoprimary
Nov 23 10:32:50 Remote 192.0.2.1 wants 'example.com|SOA', do = 0, bufsize = 1232: packetcache MISS
Nov 23 10:32:50 UPDATE (37591) from 192.0.2.1 for example.com: Processing started.
Nov 23 10:32:50 UPDATE (37591) from 192.0.2.1 for example.com: starting transaction.
Nov 23 10:32:51 UPDATE (28986) from 192.0.2.3 for example.com: Processing started.
Nov 23 10:32:51 Remote 192.0.2.1 wants 'example.com|SOA', do = 0, bufsize = 512: packetcache MISS
`, []string{
			"2026-11-23T10:32:50Z 192.0.2.1:0> udp example.com IN SOA ? edns opcode=4 size=1232",
			"2026-11-23T10:32:50Z 192.0.2.2:53>  example.com IN SOA ? opcode=4",
			"2026-11-23T10:32:50Z 192.0.2.1:0> udp example.com IN SOA ? edns opcode=5 size=1232",
			"2026-11-23T10:32:51Z 192.0.2.3:0>  example.com IN SOA ? opcode=5",
			"2026-11-23T10:32:51Z 192.0.2.1:0> udp example.com IN SOA ?",
		}, nil, map[string]int{"notification or update already counted": 2, "dynamic update progress line": 1}},
		{"broken", `Nov 23 10:32:50 Remote 192.0.2.300 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1 wants 'a..b|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1 wants 'www.example.com|HA', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1 wants 'www.example.com', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Remote 192.0.2.1 wants 'www.example.com|A
Nov 23 10:32:50 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS
Remote 192.0.2.1 wants 'www.example.com|A', do = 0, bufsize = 512: packetcache MISS
Nov 23 10:32:50 Received NOTIFY for a..b from 192.0.2.1 but slave support is disabled
Nov 23 10:32:50 UPDATE (1) from x for example.com: Processing started.
{"msg":"Question","qname":
`, nil, map[string]int{"bad address": 2, "bad name": 2, "bad type": 1, "truncated record": 3, "no time stamp": 1, "broken JSON": 1}, nil},
	})
}

func TestPowerDNSLogTransfers(t *testing.T) {
	testLog(t, PowerDNSLog, []logCase{
		{"4.2 to 5.0", `Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1', transfer initiated
Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1:39935', denied: client IP has no permission
Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1', failed: client may not request AXFR
Nov 23 10:32:50 AXFR-out zone 'example.com', client '::1', transfer initiated
Nov 23 10:32:50 AXFR-out zone 'example.com', client '[::1]:39585', allowed: client IP is in allow-axfr-ips
Nov 23 10:32:50 AXFR-out zone 'example.com', client '::1', AXFR finished
Nov 23 10:32:50 IXFR-out zone 'example.com', client '::1', transfer initiated with serial 0
Nov 23 10:32:50 IXFR-out zone 'example.com', client '[::1]:36019', allowed: TSIG signed request with authorized key 'k' and algorithm 'hmac-sha256'
Nov 23 10:32:50 IXFR-out zone 'example.com', client '::1', IXFR fallback to AXFR
Nov 23 10:32:50 AXFR-out zone 'example.com', client '::1', transfer initiated
Nov 23 10:32:50 AXFR-out zone 'example.com', client '[::1]:36019', allowed: client IP is in allow-axfr-ips
Nov 23 10:32:50 AXFR-out zone 'example.com', client '::1', AXFR finished
Nov 23 10:32:51 IXFR-out zone 'example.com', client '192.0.2.1', transfer initiated with serial 0
Nov 23 10:32:51 IXFR-out zone 'example.com', client '192.0.2.1', failed: not authoritative
Nov 23 10:32:51 AXFR-out zone 'alone.example', client '192.0.2.1:39', denied: client IP has no permission
Nov 23 10:32:51 AXFR-out zone 'alone.example', client '192.0.2.1', failed: client may not request AXFR
`, []string{
			"2026-11-23T10:32:50Z 192.0.2.1:39935> tcp example.com IN AXFR NOTAUTH response",
			"2026-11-23T10:32:50Z [::1]:39585> tcp example.com IN AXFR NOERROR response",
			"2026-11-23T10:32:50Z [::1]:36019> tcp example.com IN IXFR NOERROR tsig,response",
			"2026-11-23T10:32:51Z 192.0.2.1:0> tcp example.com IN IXFR NOTAUTH response",
			"2026-11-23T10:32:51Z 192.0.2.1:39> tcp alone.example IN AXFR NOTAUTH response",
		}, nil, map[string]int{"zone transfer line already counted": 5, "zone transfer progress line": 6}},
		{"3.x", `Nov 23 10:32:50 ns1 pdns[7]: AXFR of domain 'example.com' initiated by 192.0.2.1
Nov 23 10:32:50 ns1 pdns[7]: AXFR of domain 'example.com' denied: client IP 192.0.2.1 has no permission
Nov 23 10:32:50 ns1 pdns[7]: AXFR of domain 'example.com' failed: 192.0.2.1 cannot request AXFR
Nov 23 10:32:51 ns1 pdns[7]: AXFR of domain 'example.com' initiated by 2001:db8::1
Nov 23 10:32:51 ns1 pdns[7]: AXFR of domain 'example.com' allowed: TSIG signed request with authorized key 'k' and algorithm 'hmac-md5'
Nov 23 10:32:51 ns1 pdns[7]: AXFR of domain 'example.com' to 2001:db8::1 finished
Nov 23 10:32:52 ns1 pdns[7]: AXFR of domain 'none.example' initiated by 192.0.2.1
Nov 23 10:32:52 ns1 pdns[7]: AXFR of domain 'none.example' failed: not authoritative
`, []string{
			"2026-11-23T10:32:50Z 192.0.2.1:0> tcp example.com IN AXFR NOTAUTH response",
			"2026-11-23T10:32:51Z [2001:db8::1]:0> tcp example.com IN AXFR NOERROR tsig,response",
			"2026-11-23T10:32:52Z 192.0.2.1:0> tcp none.example IN AXFR ?",
		}, nil, map[string]int{"zone transfer line already counted": 1, "zone transfer progress line": 4}},
		{"structured", `msg="AXFR transfer initiated" subsystem="tcp" level="0" prio="Warning" ts="1795447977.5" client="192.0.2.1:39935" zone="example.com"
msg="AXFR denied: client IP has no permission" subsystem="tcp" level="0" prio="Warning" ts="1795447977.5" client="192.0.2.1:39935" zone="example.com"
msg="AXFR failed: client may not request AXFR" subsystem="tcp" level="0" prio="Warning" ts="1795447977.5" client="192.0.2.1:39935" zone="example.com"
`, []string{
			"2026-11-23T15:32:57.5Z 192.0.2.1:39935> tcp example.com IN AXFR NOTAUTH response",
		}, nil, map[string]int{"zone transfer line already counted": 1, "zone transfer progress line": 1}},
		{"broken", `Nov 23 10:32:50 AXFR-out zone 'a..b', client '192.0.2.1', transfer initiated
Nov 23 10:32:50 AXFR-out zone 'example.com', client 'x', transfer initiated
Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1
Nov 23 10:32:50 AXFR-out zone 'example.com
Nov 23 10:32:50 AXFR of domain 'example.com' initiated by nobody
AXFR of domain 'example.com' initiated by 192.0.2.1
`, nil, map[string]int{"bad name": 1, "bad address": 2, "truncated record": 2, "no time stamp": 1}, nil},
	})
}

func TestPowerDNSLogRecursor(t *testing.T) {
	testLog(t, PowerDNSLog, []logCase{
		{"text", `Nov 23 10:32:54 1 [1/1] question for 'www.example.com|A' from 192.0.2.1:52383
Nov 23 10:32:54 1 [2/2] TCP question for 'nx.example.com|TXT' from [2001:db8::1]:42313
Nov 23 10:32:54 1 [1/2] answer to question 'www.example.com|A': 1 answers, 1 additional, took 0 packets, 0 netw ms, 0 tot ms, 0 throttled, 0 timeouts, 0/0 tcp/dot connections, rcode=0
Nov 23 10:32:54 1 [2/1] answer to non-rd question 'nx.example.com|TXT': 0 answers, 1 additional, took 0 packets, 0 throttled, rcode=3, dnssec=Indeterminate
Nov 23 10:32:54 1 question answered from packet cache tag=0 from 192.0.2.1:57709
Nov 23 10:32:54 1 [3/1] TCP question for 'example.com|AXFR' from 192.0.2.1:46839
Nov 23 10:32:54 1 [3/1] answer to question 'example.com|AXFR': 0 answers, rcode=-1
Nov 23 10:32:54 1 [9/1] answer to question 'example.com|A': 0 answers, rcode=0
`, []string{
			"2026-11-23T10:32:54Z 192.0.2.1:52383> udp www.example.com IN A NOERROR rd,response,flags answers=1",
			"2026-11-23T10:32:54Z [2001:db8::1]:42313> tcp nx.example.com IN TXT NXDOMAIN response,flags",
			"2026-11-23T10:32:54Z 192.0.2.1:46839> tcp example.com IN AXFR ? rd,flags",
		}, nil, map[string]int{"answer to a question already counted": 3, "answer without its question": 1, "packet cache answer without its name": 1}},
		{"structured", `Nov 23 15:32:57 msg="Question" subsystem="syncres" level="0" prio="Info" tid="1" ts="1795447977.894" ecs="198.51.100.0/24" mtid="1" proto="udp" qname="a\\032b\"c.example.com" qtype="A" remote="192.0.2.1:34851"
Nov 23 15:32:57 msg="Answer" subsystem="syncres" level="0" ts="1795447977.995" answers="2" ecs="" mtid="1" proto="udp" qname="a\\032b\"c.example.com" qtype="A" rcode="0" rd="1" remote="192.0.2.1:34851" totms="101.000"
Nov 23 15:32:57 msg="Question answered from packet cache" subsystem="in" level="0" prio="Notice" tid="1" ts="1795447977.919" proto="udp" qname="www.example.com" qtype="A" remote="192.0.2.1:59578" source="192.0.2.1:59578" tag="0"
Nov 23 15:32:57 msg="Answer" subsystem="syncres" level="0" ts="1795447977.995" qname="late.example.com" qtype="A" rcode="0" remote="192.0.2.1:34851"
Nov 23 15:32:57 msg="Enabled multiplexer" subsystem="runtime" level="0" prio="Info" tid="0" ts="1795447974.904" name="epoll"
{"level":"0","msg":"Question","prio":"Info","proto":"tcp","qname":"www.example.com","qtype":"AAAA","remote":"[2001:db8::1]:5","subsystem":"syncres","tid":"1","ts":"1795447978.1"}
{"level":"0","msg":"Answer","proto":"tcp","qname":"www.example.com","qtype":"AAAA","remote":"[2001:db8::1]:5","rcode":"3","rd":"0","ts":"1795447978.2"}
{"MESSAGE":"Question answered from packet cache","QNAME":"j.example.com","QTYPE":"MX","REMOTE":"192.0.2.1:9","PROTO":"udp","__REALTIME_TIMESTAMP":"1795447978300000"}
`, []string{
			`2026-11-23T15:32:57.894Z 192.0.2.1:34851> udp a\032b\"c.example.com IN A NOERROR rd,response,flags ecs=198.51.100.0/24 answers=2`,
			"2026-11-23T15:32:57.919Z 192.0.2.1:59578> udp www.example.com IN A ?",
			"2026-11-23T15:32:58.1Z [2001:db8::1]:5> tcp www.example.com IN AAAA NXDOMAIN response,flags",
			"2026-11-23T15:32:58.3Z 192.0.2.1:9> udp j.example.com IN MX ?",
		}, nil, map[string]int{"answer to a question already counted": 2, "answer without its question": 1, "other log line": 1}},
		{"answers alone", `msg="Answer" ts="1795447977.995" answers="2" proto="udp" qname="www.example.com" qtype="A" rcode="5" rd="1" remote="192.0.2.1:34851" totms="495.000"
`, []string{"2026-11-23T15:32:57.5Z 192.0.2.1:34851> udp www.example.com IN A REFUSED rd,response,flags answers=2"}, nil, nil},
		{"the Authoritative Server's", `msg="Received TCP query" subsystem="tcp" ts="1795447977.5" remote="192.0.2.1<-198.51.100.0/24" query="www.example.com" type="A" dnssecok="1" bufsize="1232" packetcache="miss"
msg="Received query" ts="2026-11-23T15:32:57.5+0000" remote="192.0.2.1" query="example.com" type="SOA" dnssecok="0" bufsize="512" packetcache="hit"
`, []string{
			"2026-11-23T15:32:57.5Z 192.0.2.1:0> tcp www.example.com IN A ? edns,do ecs=198.51.100.0/24 size=1232",
			"2026-11-23T15:32:57.5Z 192.0.2.1:0> udp example.com IN SOA ?",
		}, nil, nil},
		{"broken", `msg="Question" ts="1795447977.894" qname="a..b" qtype="A" remote="192.0.2.1:34851"
msg="Question" ts="1795447977.894" qname="a.b" qtype="HA" remote="192.0.2.1:34851"
msg="Question" ts="1795447977.894" qname="a.b" qtype="A" remote="192.0.2.1:348510"
msg="Question" qname="a.b" qtype="A" remote="192.0.2.1:34851"
msg="Question" ts="1795447977.894" qname="a.b" qtype="A" remote="192.0.2.1:348
Nov 23 10:32:54 1 [1/1] question for 'www.example.com|A' to 192.0.2.1:52383
Nov 23 10:32:54 1 [1/1] question for 'www.example.com|A' from x
Nov 23 10:32:54 1 [1/1] answer to question 'a..b|A': 1 answers
`, nil, map[string]int{"bad name": 2, "bad type": 1, "bad address": 2, "no time stamp": 1, "truncated record": 1}, map[string]int{"other log line": 1}},
	})
}
