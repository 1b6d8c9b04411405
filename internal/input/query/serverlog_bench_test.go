package query

import (
	"strings"
	"testing"
)

// benchLog decodes a piece of a log again and again; a line is an op.
func benchLog(b *testing.B, d Decode, text string) {
	text = strings.Repeat(text, 50)
	benchDecode(b, d, []byte(text), strings.Count(text, "\n"))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkNSDLog(b *testing.B) {
	benchLog(b, NSDLog, "[2026-11-23 15:31:08.381] nsd[11203]: info: axfr for closed.example. from 192.0.2.7 refused, no acl matches\n")
}

func BenchmarkKnotLog(b *testing.B) {
	benchLog(b, KnotLog, "2026-11-23T15:32:03+0000 debug: [example.com.] ACL, denied, action transfer, remote 192.0.2.7@40481, key none\n")
}

func BenchmarkPowerDNSLog(b *testing.B) {
	benchLog(b, PowerDNSLog, "Nov 23 10:32:49 ns1 pdns_server[7]: Remote 192.0.2.1 wants 'www.corp-a.example|A', do = 0, bufsize = 1232: packetcache MISS\n")
}

func BenchmarkPowerDNSLogTransfer(b *testing.B) {
	benchLog(b, PowerDNSLog, "Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1', transfer initiated\n"+
		"Nov 23 10:32:50 AXFR-out zone 'example.com', client '192.0.2.1:39935', denied: client IP has no permission\n")
}

func BenchmarkPowerDNSLogStructured(b *testing.B) {
	benchLog(b, PowerDNSLog, `Nov 23 15:32:57 msg="Question" subsystem="syncres" level="0" prio="Info" tid="1" ts="1795447977.894" ecs="" mtid="1" proto="udp" qname="www.example.com" qtype="A" remote="192.0.2.1:34851"`+"\n"+
		`Nov 23 15:32:57 msg="Answer" subsystem="syncres" level="0" prio="Info" tid="1" ts="1795447977.894" additional="1" answers="1" ecs="" mtid="1" proto="udp" qname="www.example.com" qtype="A" rcode="0" rd="1" remote="192.0.2.1:34851" totms="0.000000"`+"\n")
}

func BenchmarkCoreDNSLog(b *testing.B) {
	benchLog(b, CoreDNSLog, "2026-11-23T10:00:00.123456789Z stdout F [INFO] 192.0.2.1:5353 - 1234 \"AAAA IN www.example.com. udp 44 true 1232\" NXDOMAIN qr,aa,rd 100 0.00012s\n")
}

func BenchmarkCoreDNSLogDocker(b *testing.B) {
	benchLog(b, CoreDNSLog, `{"log":"[INFO] 192.0.2.1:5353 - 1234 \"A IN www.example.com. udp 44 false 512\" REFUSED qr,rd 100 0.00012s\n","stream":"stdout","time":"2026-11-23T10:00:00.5Z"}`+"\n")
}

func BenchmarkUnboundLogQueries(b *testing.B) {
	benchLog(b, UnboundLog, "[1795447928] unbound[11927:0] info: 192.0.2.1 www.example.com. A IN\n")
}

func BenchmarkUnboundLogReplies(b *testing.B) {
	benchLog(b, UnboundLog, "[1795447928] unbound[11927:0] query: 192.0.2.1 www.example.com. A IN\n"+
		"[1795447928] unbound[11927:0] reply: 192.0.2.1 www.example.com. A IN NOERROR 0.000000 1 60\n")
}
