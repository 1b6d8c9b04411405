package query

import "testing"

func FuzzNSDLog(f *testing.F) {
	fuzzDecoder(f, NSDLog,
		"[2026-11-23 15:31:08.325] nsd[11203]: info: axfr for example.com. from 192.0.2.7\n",
		"[1795447868] nsd[1]: info: axfr for zone Example.com. from client ::1 refused, blocked\n",
		"<29>Nov 23 15:31:08 ns1 nsd[7]: notify for a\\032b. from 192.0.2.7 refused, no acl matches.\n",
		`{"log":"nsd[7]: info: ixfr for a. from ::1\n","time":"2026-11-23T15:31:08.5Z"}`)
}

func FuzzKnotLog(f *testing.F) {
	fuzzDecoder(f, KnotLog,
		"2026-11-23T15:32:04+0000 info: [example.com.] IXFR, outgoing, remote 192.0.2.7@46033, incomplete history, serial 0, fallback to AXFR\n"+
			"2026-11-23T15:32:04+0000 info: [example.com.] AXFR, outgoing, remote 192.0.2.7@46033, started, serial 1\n",
		"2026-11-23T15:32:04+0000 debug: [example.com.] ACL, allowed, action update, remote ::1@51376, key 'k.'\n"+
			"2026-11-23T15:32:04+0000 warning: [example.com.] DDNS, incoming, remote ::1@51376, prerequisites not met\n",
		"Nov 23 15:32:04 ns1 knotd[12]: info: [a] notify, incoming, remote ::1@33848 QUIC, key k., serial none\n")
}

func FuzzPowerDNSLog(f *testing.F) {
	fuzzDecoder(f, PowerDNSLog,
		"Nov 23 10:32:49 TCP Remote ::1(192.0.2.1)<-2001:db8::/56 wants 'a\\032|b'|SOA', do = 1, bufsize = 1232 (4096): packetcache MISS\n"+
			"Nov 23 10:32:50 Received NOTIFY for a\\032|b' from 192.0.2.1 but\n",
		"Nov 23 10:32:50 IXFR-out zone 'a', client '::1', transfer initiated\nNov 23 10:32:50 IXFR-out zone 'a', client '::1', IXFR fallback to AXFR\n"+
			"Nov 23 10:32:50 AXFR-out zone 'a', client '::1', transfer initiated\nNov 23 10:32:50 AXFR-out zone 'a', client '[::1]:3', denied: x\n",
		"Nov 23 10:32:50 AXFR of domain 'a' initiated by ::1\nNov 23 10:32:50 AXFR of domain 'a' failed: ::1 cannot request AXFR\n",
		"Nov 23 10:32:54 1 [2/2] TCP question for 'a|TXT' from ::1\nNov 23 10:32:54 1 [2/1] answer to non-rd question 'a|TXT': 3 answers, rcode=3\n",
		`msg="Question" ts="1795447977.894" qname="a\\032b\"c" qtype="A" remote="192.0.2.1:34851"`+"\n"+`{"msg":"Answer","qname":"a\\032b\"c","qtype":"A","remote":"192.0.2.1:34851","rcode":3,"ts":"1795447978.2"}`,
		"Nov 23 10:32:50 Remote ::1 wants 'a\\032|A', do = 0, bufsize = 5\nNov 23 10:32:50 Received a malformed qdomain from ::1, 'a\\032': x\nNov 23 10:32:51 UPDATE (2) from ::1 for a: Processing started\n")
}

func FuzzCoreDNSLog(f *testing.F) {
	fuzzDecoder(f, CoreDNSLog,
		"2018-10-30T19:10:07.547Z [INFO] [::1]:50759 - 29008 \"A IN a\\ b\\\"c. udp 41 true 4096\" NOERROR qr,aa,rd,cd 68 0.037990251s \"4\"\n",
		`{"log":"[INFO] 192.0.2.1:5353 - 1234 \"A IN WWW.example.com. udp 44 false 512\" REFUSED qr,rd 100 0.00012s\n","time":"2026-11-23T10:00:00.5Z"}`,
		"192.0.2.1 - [27/Sep/2017:10:31:58 +0200] \"MX IN a. tcp 44 false 1232\" - - 10 123us\n")
}

func FuzzUnboundLog(f *testing.F) {
	fuzzDecoder(f, UnboundLog,
		"[1795447928] unbound[1:0] query: 192.0.2.1 a. A IN\n[1795447928] unbound[1:0] info: a. static 192.0.2.1@5 a. A IN\n[1795447929] unbound[1:0] reply: 192.0.2.1 a. A IN NOERROR 0.5 1 60\n",
		"2026-11-23T15:32:15.5+01:00 unbound[12086:a] reply: ::1 a. A IN NOERROR 0.25 1 60 on udp 198.51.100.53 53\n",
		"Nov 23 15:32:09 fw unbound[8]: [8:0] info: 192.0.2.1 null TYPE0 CLASS0 REFUSED 0.0 1 12\n")
}

// FuzzServerLogDetect: no file's head upsets a detector.
func FuzzServerLogDetect(f *testing.F) {
	for _, format := range logFormats {
		f.Add([]byte(format.line))
		f.Add([]byte(`{"log":"` + format.line + `"}`))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range logFormats {
			if got := format.detect(b); got < 0 || got > 100 {
				t.Fatalf("%s: %d", format.name, got)
			}
		}
	})
}
