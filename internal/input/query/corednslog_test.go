package query

import "testing"

func TestCoreDNSLog(t *testing.T) {
	testLog(t, CoreDNSLog, []logCase{
		{"what carries it", `[INFO] 192.0.2.1:43210 - 12345 "A IN example.com. udp 50 false 4096" NOERROR qr,aa,rd 128 0.001234s
2018-10-30T19:10:07.547Z [INFO] [2001:db8::1]:50759 - 29008 "A IN example.org. udp 41 false 4096" NOERROR qr,rd,ra,ad 68 0.037990251s
2026-11-23T10:00:00.123456789Z stdout F [INFO] 192.0.2.1:5353 - 1234 "AAAA IN nx.example.com. tcp 44 true 65535" NXDOMAIN qr,aa,rd,cd 100 0.00012s
{"log":"[INFO] 192.0.2.1:5353 - 1234 \"A IN WWW.example.com. udp 44 false 512\" REFUSED qr,rd 100 0.00012s\n","stream":"stdout","time":"2026-11-23T10:00:00.5Z"}
Nov 23 10:00:01 host coredns[12]: [INFO] 192.0.2.1:5353 - 1234 "TYPE65280 IN a\ b\.c\"d.example.com. udp 44 false 1232" SERVFAIL qr,tc 100 0.00012s
{"MESSAGE":"[INFO] 192.0.2.1:5353 - 1 \"SOA IN example.com. udp 44 false 512\" NOTIMP qr 10 0.1s \"4\"","__REALTIME_TIMESTAMP":"1795447926082000"}
2018/09/27 10:31:58 [INFO] 192.0.2.1:5353 - 1234 "MX IN example.com. udp 44 false 1232" - - 0 0.00012s
192.0.2.1 - [27/Sep/2017:10:31:58 +0200] "MX IN example.com. udp 44 false 1232" NOERROR qr,aa 10 123us
`, []string{
			"2018-10-30T19:10:07.547Z [2001:db8::1]:50759> udp example.org IN A NOERROR rd,edns,response,flags size=4096",
			"2026-11-23T10:00:00.123456789Z 192.0.2.1:5353> tcp nx.example.com IN AAAA NXDOMAIN rd,cd,edns,do,response,aa,flags",
			"2026-11-23T10:00:00.5Z 192.0.2.1:5353> udp www.example.com IN A REFUSED rd,mixed,response,flags",
			`2026-11-23T10:00:01Z 192.0.2.1:5353> udp a\032b\.c\"d.example.com IN TYPE65280 SERVFAIL edns,response,tc,flags size=1232`,
			"2026-11-23T15:32:06.082Z 192.0.2.1:5353> udp example.com IN SOA NOTIMP response,flags opcode=4",
			"2018-09-27T10:31:58Z 192.0.2.1:5353> udp example.com IN MX ? edns size=1232",
			"2017-09-27T08:31:58Z 192.0.2.1:0> udp example.com IN MX NOERROR edns,response,aa,flags size=1232",
		}, map[string]int{"no time stamp": 1}, nil},
		{"a prefix of the user's own", `2026-11-23T10:00:00Z [INFO] example.com. 192.0.2.1:5353 - 7 "TXT CH version.bind. udp 30 false 512" NOERROR qr,aa 100 0.1s "0"
2026-11-23T10:00:00Z [INFO] a - b 192.0.2.1:5353 - 7 "ANY IN . https 30 false 512" NOERROR qr,aa 100 0.1s
`, []string{
			"2026-11-23T10:00:00Z 192.0.2.1:5353> udp version.bind CH TXT NOERROR response,aa,flags",
			"2026-11-23T10:00:00Z 192.0.2.1:5353> https . IN ANY NOERROR response,aa,flags",
		}, nil, nil},
		{"none", `2026-11-23T10:00:00Z [ERROR] plugin/errors: 2 name.example. A: read udp 192.0.2.1:5->192.0.2.2:53: i/o timeout
2026-11-23T10:00:00Z [INFO] plugin/reload: Running configuration SHA512 = 1234
2026-11-23T10:00:00Z CoreDNS-1.11.1
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 7 "- - . udp 17 false 512" FORMERR qr 17 0.1s
2026-11-23T10:00:00Z [ERROR] plugin/errors: 2 a - 7 "b" c
`, nil, nil, map[string]int{"message of another plugin": 3, "other log line": 1, "query without a question": 1}},
		{"broken", `2026-11-23T10:00:00Z [INFO] 192.0.2.300:5353 - 1234 "MX IN example.com. udp 44 false 1232" NOERROR qr,aa 10 0.1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX IN a..b. udp 44 false 1232" NOERROR qr,aa 10 0.1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MIX IN example.com. udp 44 false 1232" NOERROR qr,aa 10 0.1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX OUT example.com. udp 44 false 1232" NOERROR qr,aa 10 0.1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX IN example.com. udp 44" NOERROR qr,aa 10 0.1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX IN example.com. udp 44 false 512" NOERROR
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX IN example.com. udp 44 false 512" NOPE qr 10 1s
2026-11-23T10:00:00Z [INFO] 192.0.2.1:5353 - 1234 "MX IN example.com. udp
`, nil, map[string]int{"bad address": 1, "bad name": 1, "bad type": 1, "bad class": 1, "truncated record": 3}, map[string]int{"other log line": 1}},
	})
}
