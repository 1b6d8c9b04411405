package signal

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// decoder is a function of this package.
type decoder = func(context.Context, io.Reader, decode.Options, picket.Accounting, picket.SignalSink) error

// tally keeps account and what it gets.
type tally struct {
	pickettest.Ledger
	got []*picket.Signal
}

func (a *tally) Signal(s *picket.Signal) error { a.got = append(a.got, s); return nil }

func testOptions() decode.Options {
	return decode.Options{Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }}
}

func read(t *testing.T, d decoder, text string, opt decode.Options) *tally {
	t.Helper()
	a := new(tally)
	if err := d(context.Background(), strings.NewReader(text), opt, a, a); err != nil {
		t.Fatal(err)
	}
	return a
}

// want compares signals as JSON, and what else became of the records.
func (a *tally) want(t *testing.T, signals []string, rejected, skipped map[string]int) {
	t.Helper()
	for i, s := range a.got {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(signals) || string(b) != signals[i] {
			t.Errorf("signal %d is\n%s", i, b)
			if i < len(signals) {
				t.Errorf("want\n%s", signals[i])
			}
		}
	}
	if len(a.got) != len(signals) {
		t.Errorf("%d signals, want %d", len(a.got), len(signals))
	}
	a.Want(t, len(signals), rejected, skipped)
}

// fuzz runs a decoder over anything: what it hands over is bounded and can be
// written as JSON, and does not depend on how the bytes arrive.
func fuzz(f *testing.F, d decoder, opt decode.Options, seeds ...string) {
	opt.Now = testOptions().Now
	pickettest.FuzzDecoder(f, seeds, func(r io.Reader, acct *pickettest.Ledger) ([]*picket.Signal, error) {
		var a tally
		err := d(context.Background(), r, opt, acct, &a)
		return a.got, err
	}, func(t *testing.T, s *picket.Signal) {
		if len(s.Title) > 2048 || len(s.Rule) > 2048 || len(s.TargetName) > 1100 || len(s.Details) > 16 {
			t.Fatalf("not bounded: %+v", s)
		}
		if s.Kind == "" || s.Tool == "" || s.Time.Year() < 1970 || s.Bytes < 0 || s.Packets < 0 {
			t.Fatalf("odd: %+v", s)
		}
	})
}

// repeat delivers text a number of times.
type repeat struct {
	text     []byte
	at, left int
}

func (r *repeat) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.left--
	}
	return n, nil
}

// counting is also a sink that costs next to nothing.
type counting struct{ pickettest.Counter }

func (c *counting) Signal(*picket.Signal) error { return nil }

// bench decodes head and a hundred times line, again and again; a line is an op.
func bench(b *testing.B, d decoder, head, line string) {
	b.Helper()
	const n = 100
	r := &repeat{text: []byte(head + strings.Repeat(line+"\n", n)), left: (b.N + n - 1) / n}
	c := new(counting)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	opt := testOptions()
	opt.Location = time.UTC
	if err := d(context.Background(), r, opt, c, c); err != nil || c.Accepted < b.N {
		b.Fatalf("%v, %d accepted, %d others", err, c.Accepted, c.Other)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// Lines as the sources write them, one for each format.
const (
	connHead = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n"
	connLine = "1763633730.000100\tCAbc1\t203.0.113.7\t51515\t192.0.2.80\t443\ttcp\tssl\t0.250000\t600\t4200\tSF\t-\t0\tShADadFf\t8\t900\t9\t4700\t(empty)"
	connJSON = `{"ts":1763633730.0001,"uid":"CAbc1","id.orig_h":"203.0.113.7","id.orig_p":51515,"id.resp_h":"192.0.2.80","id.resp_p":443,"proto":"tcp","service":"ssl","duration":0.25,"orig_bytes":600,"resp_bytes":4200,"conn_state":"REJ","missed_bytes":0,"history":"ShADadFf","orig_pkts":8,"orig_ip_bytes":900,"resp_pkts":9,"resp_ip_bytes":4700}`
	noticeJS = `{"ts":1763633731.5,"note":"Scan::Port_Scan","msg":"203.0.113.7 scanned at least 15 unique ports","sub":"remote","src":"203.0.113.7","dst":"192.0.2.80","n":15,"actions":["Notice::ACTION_LOG"]}`
	eveLine  = `{"timestamp":"2026-11-20T10:15:30.123456+0000","flow_id":1258832998001901,"in_iface":"eth0","event_type":"alert","src_ip":"203.0.113.7","src_port":51515,"dest_ip":"192.0.2.80","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2001219,"rev":19,"signature":"EXAMPLE SCAN Potential SSH Scan","category":"Attempted Information Leak","severity":2},"http":{"hostname":"www.example.com","url":"/.git/config","http_user_agent":"curl/8.5.0"},"flow":{"pkts_toserver":4,"pkts_toclient":3,"bytes_toserver":600,"bytes_toclient":900}}`
	flowLine = "2 123456789012 eni-0a1b2c3d4e5f60718 203.0.113.7 192.0.2.80 51516 3389 6 1 60 1763633730 1763633790 REJECT OK"
	iptLine  = "Nov 20 10:15:30 fw1 kernel: [19955416.516358] [UFW BLOCK] IN=eth0 OUT= MAC=02:00:5e:10:00:01:02:00:5e:10:00:02:08:00 SRC=203.0.113.7 DST=192.0.2.80 LEN=44 TOS=0x00 PREC=0x00 TTL=43 ID=25313 PROTO=TCP SPT=52220 DPT=22 WINDOW=1024 RES=0x00 SYN URGP=0"
	pfLine   = "Nov 20 10:15:30 fw1 filterlog[61234]: 53,,,1000102631,igb0,match,block,in,4,0x0,,64,892,0,none,6,tcp,44,203.0.113.7,192.0.2.80,59576,22,0,S,17536001,,65535,,mss"
	asaLine  = `<164>Nov 20 2026 10:15:30: %ASA-4-106023: Deny tcp src outside:203.0.113.7/51515 dst dmz:192.0.2.80/22 by access-group "outside_in" [0x0, 0x0]`
	fortLine = `date=2026-11-20 time=10:15:30 devname="fw1" devid="FG100F0000000001" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" eventtime=1763633730123456789 tz="+0000" srcip=203.0.113.7 srcport=51515 srcintf="wan1" dstip=192.0.2.80 dstport=22 dstintf="dmz" proto=6 action="deny" policyid=0 service="SSH" sentbyte=0 rcvdbyte=0`
	webLog   = `203.0.113.7 - - [20/Nov/2026:10:15:30 +0000] "GET /.git/config HTTP/1.1" 404 196 "-" "Mozilla/5.0 (compatible; example)"`
	albLine  = `https 2026-11-20T10:15:30.186641Z app/www/490d68edf04676fe 203.0.113.7:44740 192.0.2.80:80 0.086 0.048 0.037 200 200 120 57 "GET https://www.example.com:443/robots.txt HTTP/1.1" "curl/8.5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/www/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:eu-central-1:123456789012:certificate/12345678" 1 2026-11-20T10:15:30.100000Z "forward" "-" "-" "192.0.2.80:80" "200" "-" "-"`
)

func BenchmarkZeekConn(b *testing.B)      { bench(b, ZeekConn, connHead, connLine) }
func BenchmarkZeekConnJSON(b *testing.B)  { bench(b, ZeekConn, "", connJSON) }
func BenchmarkZeekNotice(b *testing.B)    { bench(b, ZeekNotice, "", noticeJS) }
func BenchmarkSuricataAlert(b *testing.B) { bench(b, SuricataAlert, "", eveLine) }
func BenchmarkVPCFlow(b *testing.B)       { bench(b, VPCFlow, "", flowLine) }
func BenchmarkIPTables(b *testing.B)      { bench(b, IPTables, "", iptLine) }
func BenchmarkFilterlog(b *testing.B)     { bench(b, Filterlog, "", pfLine) }
func BenchmarkASA(b *testing.B)           { bench(b, ASA, "", asaLine) }
func BenchmarkFortigate(b *testing.B)     { bench(b, Fortigate, "", fortLine) }
func BenchmarkWebAccess(b *testing.B)     { bench(b, WebAccess, "", webLog) }
func BenchmarkALBAccess(b *testing.B)     { bench(b, ALBAccess, "", albLine) }
func BenchmarkMappedJSON(b *testing.B) {
	bench(b, func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
		opt.Mapping = eveMapping()
		return JSON(ctx, r, opt, acct, sink)
	}, "", eveLine)
}

func eveMapping() *decode.Mapping {
	return &decode.Mapping{Fields: map[string]string{"time": "timestamp", "source": "src_ip", "source_port": "src_port", "target": "dest_ip",
		"target_port": "dest_port", "target_name": "http.hostname", "protocol": "proto", "title": "alert.signature", "rule": "alert.signature_id", "details.url": "http.url"},
		Constants: map[string]string{"kind": "alert", "tool": "suricata"}}
}

func FuzzZeekConn(f *testing.F) {
	fuzz(f, ZeekConn, decode.Options{}, connHead+connLine+"\n#close\n", connJSON, "#fields\tts\tid.orig_h\n1\t2\n")
}
func FuzzZeekNotice(f *testing.F) {
	fuzz(f, ZeekNotice, decode.Options{}, noticeJS, "#separator \\x2c\n#fields,ts,note,msg,src\n1.5,a,b\\x00,1.2.3.4\nX,a,b,1.2.3.4\n")
}
func FuzzSuricataAlert(f *testing.F) {
	fuzz(f, SuricataAlert, decode.Options{}, eveLine, `{"event_type":"alert","timestamp":"2026-11-20T10:15:30Z","src_ip":"::1","dest_ip":"::2","alert":{"severity":9},"tls":{"sni":"a_b.example"}}{"event_type":"x"}`)
}
func FuzzVPCFlow(f *testing.F) {
	fuzz(f, VPCFlow, decode.Options{}, flowLine+"\n", "srcaddr dstaddr start\n1.2.3.4 ::1 1763633730\n- - 1\n", "${srcaddr} ${pkt-srcaddr} ${dstaddr} ${end} ${log-status}\n- 1.2.3.4 1.2.3.4 1 SKIPDATA\n")
}
func FuzzIPTables(f *testing.F) {
	fuzz(f, IPTables, decode.Options{}, iptLine+"\n", "2026-01-01T00:00:00Z h kernel: xIN= OUT= SRC=::1 DST=::2 [SRC=1 DST=2] PROTO=1\n")
}
func FuzzFilterlog(f *testing.F) {
	fuzz(f, Filterlog, decode.Options{}, pfLine+"\n", "<1>1 2026-01-01T00:00:00Z h filterlog 1 - [a b=\"]\"] 1,,,2,i,match,pass,out,6,0,0,1,udp,17,9,::1,::2,1,2,3\n")
}
func FuzzASA(f *testing.F) {
	fuzz(f, ASA, decode.Options{}, asaLine+"\n", "Nov 20 10:15:30 fw1 %ASA-6-106100: access-list a permitted tcp o/1.2.3.4(5) -> i/5.6.7.8(9) hit\n", "Nov  2 2026 10:15:30: %ASA-6-302013: Built outbound TCP connection 1 for o:1.2.3.4/5 (1) to i:5.6.7.8/9 (1)\n")
}
func FuzzFortigate(f *testing.F) {
	fuzz(f, Fortigate, decode.Options{}, fortLine+"\n", "date=2026-01-01 time=00:00:00 tz=\"+0100\" type=utm srcip=::1 dstip=::2 attack=\"a\\\"b\" hostname=\"x:1\"\n")
}
func FuzzWebAccess(f *testing.F) {
	fuzz(f, WebAccess, decode.Options{}, webLog+"\n", "h:1 ::1 - a b [01/Jan/2026:00:00:00] \"\\x16\\x03\" 400 -\n", "<1>Nov 20 10:15:33 w nginx: 1.2.3.4 - - [20/Nov/2026:10:15:33 +0000] \"GET http://u@h:1/ HTTP/1.1\" 1 1\n")
}
func FuzzALBAccess(f *testing.F) {
	fuzz(f, ALBAccess, decode.Options{}, albLine+"\n")
}
func FuzzMapped(f *testing.F) {
	fuzz(f, JSON, decode.Options{Mapping: eveMapping()}, eveLine, `{"timestamp":1,"src_ip":"1.2.3.4:5","http":"{\"hostname\":\"a\"}"}`)
}

func FuzzDetect(f *testing.F) {
	for _, s := range []string{connHead, connJSON, noticeJS, eveLine, flowLine, iptLine, pfLine, asaLine, fortLine, webLog, albLine} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectZeekConn, DetectZeekNotice, DetectSuricataAlert, DetectVPCFlow, DetectIPTables, DetectFilterlog, DetectASA, DetectFortigate, DetectWebAccess, DetectALBAccess} {
			if n := detect(b); n < 0 || n > 100 {
				t.Fatal(n)
			}
		}
	})
}

// TestDetect: each line is told by one detector alone, also behind others.
func TestDetect(t *testing.T) {
	detectors := map[string]func([]byte) int{"zeek-conn": DetectZeekConn, "zeek-notice": DetectZeekNotice, "suricata-alert": DetectSuricataAlert, "vpc-flow": DetectVPCFlow,
		"iptables": DetectIPTables, "pf-filterlog": DetectFilterlog, "asa": DetectASA, "fortigate": DetectFortigate, "web-access": DetectWebAccess, "alb-access": DetectALBAccess}
	for text, want := range map[string]string{
		connHead: "zeek-conn", connJSON: "zeek-conn", noticeJS: "zeek-notice", eveLine: "suricata-alert", flowLine: "vpc-flow", iptLine: "iptables",
		pfLine: "pf-filterlog", asaLine: "asa", fortLine: "fortigate", webLog: "web-access", albLine: "alb-access",
		"${version} ${srcaddr} ${dstaddr} ${start}\n": "vpc-flow", "${srcaddr}\n": "", "srcaddr,dstaddr,start\n": "", "srcaddr dstaddr\n": "",
		`{"srcaddr":"x","dstaddr":"y"}`: "", "[INFO] 192.0.2.1:50759 - 29008 \"A IN example.org. udp 41 false 4096\" NOERROR qr,rd,ra 68 0.03s\n": "",
		"Nov 20 10:15:30 fw1 kernel: device eth0 entered promiscuous mode\n": "", "": "",
	} {
		for name, detect := range detectors {
			if n := detect([]byte(text)); (n > 0) != (name == want) {
				t.Errorf("%s gives %d for %.60q", name, n, text)
			}
		}
	}
}
