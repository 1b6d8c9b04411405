package signal

import (
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/input/decode"
)

func TestIPTables(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	opt := testOptions()
	opt.Location = berlin
	a := read(t, IPTables, strings.Join([]string{
		// ufw, with the kernel's time since start
		"Nov 20 10:15:30 fw1 kernel: [19955416.516358] [UFW BLOCK] IN=eth0 OUT= MAC=02:00 SRC=203.0.113.7 DST=192.0.2.80 LEN=44 TOS=0x00 PROTO=TCP SPT=52220 DPT=22 WINDOW=1024 SYN URGP=0",
		// nftables over IPv6, forwarded, time with its zone; the prefix touches IN=
		"2026-11-20T10:15:31.25+00:00 fw1 kernel: fwd-acceptIN=eth0 OUT=eth1 SRC=2001:db8::7 DST=2001:db8::80 LEN=80 PROTO=ICMPv6 TYPE=128",
		// an ICMP error tells of another packet in brackets
		"Nov 20 10:15:32 fw1 kernel: IN=eth0 OUT= SRC=203.0.113.1 DST=192.0.2.80 LEN=56 PROTO=ICMP TYPE=3 CODE=3 [SRC=192.0.2.80 DST=203.0.113.7 LEN=28 PROTO=UDP SPT=53 DPT=9 ]",
		// journald in short-unix has no time that syslog has; dmesg has none at all
		"[19955416.516358] IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.80 PROTO=TCP SPT=1 DPT=2",
		"Nov 20 10:15:33 fw1 kernel: IN=eth0 OUT= SRC=203.0.113.7",
		"Nov 20 10:15:33 fw1 kernel: IN=eth0 OUT= SRC=203.0.113.7.1 DST=192.0.2.80 PROTO=47",
		"Nov 20 10:15:34 fw1 kernel: device eth0 entered promiscuous mode",
		"",
		// what a name holds is shown, not acted on
		"<4>Nov 20 10:15:35 fw1 kernel: \x1b[31mDROP\x07 IN=eth0 OUT= SRC=203.0.113.7 DST=192.0.2.80 PROTO=47\r",
	}, "\n"), opt)
	a.want(t, []string{
		`{"time":"2026-11-20T09:15:30Z","source":"203.0.113.7","source_port":52220,"target":"192.0.2.80","target_port":22,"protocol":"tcp","kind":"refused","title":"UFW BLOCK","action":"blocked","bytes":44,"packets":1,"tool":"iptables","details":{"in":"eth0"}}`,
		`{"time":"2026-11-20T10:15:31.25Z","source":"2001:db8::7","target":"2001:db8::80","protocol":"icmpv6","kind":"connection","title":"fwd-accept","action":"allowed","bytes":80,"packets":1,"tool":"iptables","details":{"in":"eth0","out":"eth1"}}`,
		`{"time":"2026-11-20T09:15:32Z","source":"203.0.113.1","target":"192.0.2.80","protocol":"icmp","kind":"connection","bytes":56,"packets":1,"tool":"iptables","details":{"in":"eth0"}}`,
		`{"time":"2026-11-20T09:15:35Z","source":"203.0.113.7","target":"192.0.2.80","protocol":"gre","kind":"refused","title":"\\x1b[31mDROP\\x07","action":"blocked","packets":1,"tool":"iptables","details":{"in":"eth0"}}`,
	}, map[string]int{decode.ReasonNoTime: 1, decode.ReasonTruncated: 1, decode.ReasonAddress: 1}, map[string]int{skipOther: 1, decode.SkipBlank: 1})
}

func TestFilterlog(t *testing.T) {
	a := read(t, Filterlog, strings.Join([]string{
		"Nov 20 10:15:30 fw1 filterlog[61234]: 53,,,1000102631,igb0,match,block,in,4,0x0,,64,892,0,none,6,tcp,44,203.0.113.7,192.0.2.80,59576,22,0,S,17536001,,65535,,mss",
		// without host, as pfSense sends it, and without tracker
		"<134>Nov 20 10:15:31 filterlog[61234]: 5,,,0,igb0,match,pass,out,4,0x0,,64,1,0,DF,17,udp,76,192.0.2.80,203.0.113.9,123,123,56",
		// RFC 5424 with structured data, IPv6
		`<134>1 2026-11-20T10:15:32.5+01:00 fw1.example.com filterlog 61234 - [meta sequenceId="7] x"] 99,,,abc,igb0,match,pass,in,6,0x00,0x00000,64,tcp,6,40,2001:db8::7,2001:db8::80,50000,443,0,S,1,,1024,,`,
		"Nov 20 10:15:33 fw1 filterlog: 4,,,1000000103,igb0,match,block,in,6,0x00,0x0,1,ICMPv6,58,32,fe80::1%igb0,ff02::1,",
		"Nov 20 10:15:34 fw1 filterlog: 4,,,1000000103,igb0,match,block,in,4,0x0,,64,3,0,none,17",
		"Nov 20 10:15:34 fw1 filterlog: 4,,",
		"Nov 20 10:15:35 fw1 filterlog: 4,,,1,igb0,match,block,in,4,0x0,,64,3,0,none,17,udp,76,nobody,192.0.2.80,1,2,3",
		"Nov 20 10:15:36 fw1 filterlog: 4,,,1,igb0,match,block,in,8,0x0",
		"Nov 20 10:15:37 fw1 sshd[1]: filterlog, not",
		"filterlog: 4,,,1,igb0,match,block,in,4,0x0,,64,3,0,none,17,udp,76,1.2.3.4,192.0.2.80,1,2,3",
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2026-11-20T10:15:30Z","source":"203.0.113.7","source_port":59576,"target":"192.0.2.80","target_port":22,"protocol":"tcp","kind":"refused","rule":"1000102631","action":"blocked","bytes":44,"packets":1,"tool":"filterlog","details":{"direction":"in","interface":"igb0"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"192.0.2.80","source_port":123,"target":"203.0.113.9","target_port":123,"protocol":"udp","kind":"connection","rule":"5","action":"allowed","bytes":76,"packets":1,"tool":"filterlog","details":{"direction":"out","interface":"igb0"}}`,
		`{"time":"2026-11-20T09:15:32.5Z","source":"2001:db8::7","source_port":50000,"target":"2001:db8::80","target_port":443,"protocol":"tcp","kind":"connection","rule":"abc","action":"allowed","bytes":40,"packets":1,"tool":"filterlog","details":{"direction":"in","interface":"igb0"}}`,
		`{"time":"2026-11-20T10:15:33Z","source":"fe80::1","target":"ff02::1","protocol":"icmpv6","kind":"refused","rule":"1000000103","action":"blocked","bytes":32,"packets":1,"tool":"filterlog","details":{"direction":"in","interface":"igb0"}}`,
	}, map[string]int{decode.ReasonTruncated: 2, decode.ReasonAddress: 1}, map[string]int{skipNoIP: 1, skipOther: 2})
}

func TestVPCFlow(t *testing.T) {
	head := "version srcaddr dstaddr srcport dstport protocol start end action log-status pkt-srcaddr pkt-dstaddr flow-direction\n"
	a := read(t, VPCFlow, strings.Join([]string{
		// no header line: the default order
		"2 123456789012 eni-1 203.0.113.7 192.0.2.80 51516 3389 6 1 60 1763633730 1763633790 REJECT OK",
		"2 123456789012 eni-1 203.0.113.7 192.0.2.80 51516 3389 6 1 60 1763633730 1763633790 REJECT",
		"2 123456789012 eni-1 - - - - - - - 1763633730 1763633790 - NODATA",
		head + "5 192.0.2.1 192.0.2.80 1 443 6 1763633731 1763633790 ACCEPT OK 203.0.113.9 - ingress",
		"5 - - - - - 1763633731 1763633790 - SKIPDATA - - -",
		"5 - - - - - 1763633731 1763633790 - OK - - -",
		"5 192.0.2.1 192.0.2.80 0 0 1 - 1763633790 ACCEPT OK - - -",
		"5 192.0.2.1 192.0.2.80 1 443 6 - - ACCEPT OK - - -",
		"5 192.0.2.1 host 1 443 6 1763633731 1763633790 ACCEPT OK - - -",
		"5 192.0.2.1",
		"srcaddr dstaddr action",
		"${srcaddr} ${dstaddr} ${end}",
		"2001:db8::1 2001:db8::2 1763633731",
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:30Z","source":"203.0.113.7","source_port":51516,"target":"192.0.2.80","target_port":3389,"protocol":"tcp","kind":"refused","action":"blocked","bytes":60,"packets":1,"tool":"vpc-flow","details":{"interface":"eni-1"}}`,
		`{"time":"2025-11-20T10:15:31Z","source":"203.0.113.9","source_port":1,"target":"192.0.2.80","target_port":443,"protocol":"tcp","kind":"connection","action":"allowed","tool":"vpc-flow","details":{"direction":"ingress"}}`,
		`{"time":"2025-11-20T10:16:30Z","source":"192.0.2.1","target":"192.0.2.80","protocol":"icmp","kind":"connection","action":"allowed","tool":"vpc-flow"}`,
		`{"time":"2025-11-20T10:15:31Z","source":"2001:db8::1","target":"2001:db8::2","kind":"connection","tool":"vpc-flow"}`,
	}, map[string]int{reasonFlowOrder: 1, decode.ReasonTime: 1, decode.ReasonAddress: 1, reasonFlowFields: 1, reasonFlowHeader: 1},
		map[string]int{skipNoData: 2, skipHeader: 2, skipNoEnds: 1})
	// What is rejected carries the header that explains it.
	if want := head + "5 192.0.2.1 host 1 443 6 1763633731 1763633790 ACCEPT OK - - -"; a.Records[2] != want {
		t.Errorf("rejected as %q, want %q", a.Records[2], want)
	}
}

func TestASA(t *testing.T) {
	a := read(t, ASA, strings.Join([]string{
		asaLine,
		"Nov 20 10:15:31 relay Nov 20 2026 11:15:31 fw1 : %ASA-6-302013: Built inbound TCP connection 4711 for outside:203.0.113.7/51516 (203.0.113.7/51516) to dmz:192.0.2.80/443 (192.0.2.80/443)",
		"Nov  2 2026 10:15:32 UTC: %FTD-6-302015: Built outbound UDP connection 4712 for outside:203.0.113.53/53 (203.0.113.53/53) to dmz:192.0.2.80/40000 (192.0.2.80/40000)",
		"<162>1 2026-11-20T10:15:33Z fw1 - - - - %ASA-2-106001: Inbound TCP connection denied from 203.0.113.7/51517 to 192.0.2.80/3389 flags SYN on interface outside",
		"Nov 20 2026 10:15:34: %ASA-5-106100: access-list acl permitted tcp outside/2001:db8::7(40000) -> dmz/2001:db8::80(443) hit-cnt 1 first hit [0x0, 0x0]",
		"Nov 20 2026 10:15:35: %ASA-3-106014: Deny inbound icmp src outside:203.0.113.7 dst dmz:192.0.2.80 (type 8, code 0)",
		"Nov 20 2026 10:15:36: %ASA-3-710003: TCP access denied by ACL from 203.0.113.7/50000 to outside:192.0.2.1/22",
		"Nov 20 2026 10:15:37: %ASA-6-302014: Teardown TCP connection 4711 for outside:203.0.113.7/51516 to dmz:192.0.2.80/443 duration 0:00:01 bytes 900 TCP FINs",
		"Nov 20 2026 10:15:38: %ASA-4-106023: Deny tcp src outside:203.0.113.7/51515",
		"Nov 20 2026 10:15:38: %ASA-4-106023: Deny tcp src outside:scanner/51515 dst dmz:192.0.2.80/22 by access-group \"a\"",
		"%ASA-4-106023: Deny tcp src outside:203.0.113.7/51515 dst dmz:192.0.2.80/22 by access-group \"a\"",
		"Nov 20 2026 10:15:39: %ASA-6-xyz: nothing",
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2026-11-20T10:15:30Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":22,"protocol":"tcp","kind":"refused","title":"Deny tcp","rule":"106023","severity":"4","action":"blocked","tool":"cisco-asa","details":{"access_list":"outside_in"}}`,
		`{"time":"2026-11-20T11:15:31Z","source":"203.0.113.7","source_port":51516,"target":"192.0.2.80","target_port":443,"protocol":"tcp","kind":"connection","title":"Built inbound TCP","rule":"302013","severity":"6","action":"allowed","tool":"cisco-asa"}`,
		`{"time":"2026-11-02T10:15:32Z","source":"192.0.2.80","source_port":40000,"target":"203.0.113.53","target_port":53,"protocol":"udp","kind":"connection","title":"Built outbound UDP","rule":"302015","severity":"6","action":"allowed","tool":"cisco-asa"}`,
		`{"time":"2026-11-20T10:15:33Z","source":"203.0.113.7","source_port":51517,"target":"192.0.2.80","target_port":3389,"protocol":"tcp","kind":"refused","title":"Inbound TCP connection denied","rule":"106001","severity":"2","action":"blocked","tool":"cisco-asa"}`,
		`{"time":"2026-11-20T10:15:34Z","source":"2001:db8::7","source_port":40000,"target":"2001:db8::80","target_port":443,"protocol":"tcp","kind":"connection","title":"access-list acl permitted tcp","rule":"106100","severity":"5","action":"allowed","tool":"cisco-asa","details":{"access_list":"acl"}}`,
		`{"time":"2026-11-20T10:15:35Z","source":"203.0.113.7","target":"192.0.2.80","protocol":"icmp","kind":"refused","title":"Deny inbound icmp","rule":"106014","severity":"3","action":"blocked","tool":"cisco-asa"}`,
		`{"time":"2026-11-20T10:15:36Z","source":"203.0.113.7","source_port":50000,"target":"192.0.2.1","target_port":22,"protocol":"tcp","kind":"refused","title":"TCP access denied by ACL","rule":"710003","severity":"3","action":"blocked","tool":"cisco-asa"}`,
	}, map[string]int{decode.ReasonTruncated: 1, decode.ReasonAddress: 1, decode.ReasonNoTime: 1}, map[string]int{skipASA: 1, skipOther: 1})
}

func TestFortigate(t *testing.T) {
	a := read(t, Fortigate, strings.Join([]string{
		fortLine,
		`<189>date=2026-11-20 time=11:15:31 devname="fw1" logid="0419016384" type="utm" subtype="ips" level="alert" tz="+0100" severity="high" srcip=203.0.113.7 dstip=192.0.2.80 srcport=51516 dstport=443 proto=6 action="dropped" policyid=1 attack="Web.Server.\"Path\".Traversal" attackid=12345 hostname="WWW.example.com:443" url="/x" srcip=198.51.100.9 y=""`,
		`date=2026-11-20 time=10:15:32 logid="0000000013" type="traffic" eventtime=1763633732 srcip=2001:db8::7 dstip=2001:db8::80 srcport=1 dstport=2 proto=17 action="accept" sentbyte=10 rcvdbyte=20 sentpkt=1 rcvdpkt=2`,
		`date=2026-11-20 time=10:15:33 type="event" subtype="system" logdesc="Admin login successful"`,
		`date=2026-11-20 time=25:15:33 type="traffic" srcip=203.0.113.7 dstip=192.0.2.80 proto=6 action="accept"`,
		`date=2026-11-20 type="traffic" srcip=203.0.113.7 dstip=192.0.2.80 proto=6 action="accept"`,
		`date=2026-11-20 time=10:15:33 type="traffic" srcip=203.0.113.7 dstip=router proto=6 action="accept"`,
		`something else`,
		// what stands before the date counts too
		`<185>Nov 20 10:15:34 fw1 <185>logver=600050268 tz="+0200" devname="fw1" date=2026-11-20 time=12:15:34 logid="1" type="anomaly" srcip=203.0.113.7 dstip=192.0.2.80 proto=17 action="detected" level="alert"`,
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:30.123456789Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":22,"protocol":"tcp","kind":"refused","rule":"0","action":"blocked","tool":"fortigate","details":{"service":"SSH","subtype":"forward"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"203.0.113.7","source_port":51516,"target":"192.0.2.80","target_port":443,"target_name":"www.example.com.","protocol":"tcp","kind":"alert","title":"Web.Server.\\\"Path\\\".Traversal","rule":"12345","severity":"high","action":"blocked","tool":"fortigate","details":{"subtype":"ips"}}`,
		`{"time":"2025-11-20T10:15:32Z","source":"2001:db8::7","source_port":1,"target":"2001:db8::80","target_port":2,"protocol":"udp","kind":"connection","action":"allowed","bytes":30,"packets":3,"tool":"fortigate"}`,
		`{"time":"2026-11-20T10:15:34Z","source":"203.0.113.7","target":"192.0.2.80","protocol":"udp","kind":"alert","severity":"alert","action":"allowed","tool":"fortigate"}`,
	}, map[string]int{decode.ReasonTime: 1, decode.ReasonNoTime: 1, decode.ReasonAddress: 1}, map[string]int{skipFortiOther: 1, skipOther: 1})
}
