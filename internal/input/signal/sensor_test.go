package signal

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

func TestZeekConn(t *testing.T) {
	text := "### junk\nearly\trow\n" + connHead + strings.Join([]string{
		connLine,
		"1763633731.000200\tC\t203.0.113.7\t51516\t192.0.2.80\t8443\ttcp\t-\t-\t-\t-\tS0\t-\t0\tS\t1\t60\t0\t0\t(empty)",
		"1763633732.000300\tC\t2001:db8::7\t8\t2001:db8::80\t0\ticmp\t-\t-\t-\t-\tOTH\t-\t0\t-\t1\t64\t0\t0\t(empty)",
		"XXXXXXXXXX.XXXXXX\tC\t203.0.113.7\t1\t192.0.2.80\t2\ttcp\t-\t-\t-\t-\tS0\t-\t0\tS\t1\t60\t0\t0\t(empty)",
		"1763633732\tC\t203.0.113.7\t1\t-\t2\ttcp\t-\t-\t-\t-\tS0\t-\t0\tS\t1\t60\t0\t0\t(empty)",
		"#close\t2026-11-20-11-00-00",
		"#path\tdns", "x\ty",
		"#path\tconn", "#fields\tts\tid.orig_h", "1\t2",
	}, "\n")
	a := read(t, ZeekConn, text, testOptions())
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:30.0001Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":443,"protocol":"tcp","kind":"connection","bytes":4800,"packets":17,"tool":"zeek","details":{"service":"ssl","state":"SF"}}`,
		`{"time":"2025-11-20T10:15:31.0002Z","source":"203.0.113.7","source_port":51516,"target":"192.0.2.80","target_port":8443,"protocol":"tcp","kind":"refused","packets":1,"tool":"zeek","details":{"state":"S0"}}`,
		`{"time":"2025-11-20T10:15:32.0003Z","source":"2001:db8::7","target":"2001:db8::80","protocol":"icmp","kind":"connection","packets":1,"tool":"zeek","details":{"state":"OTH"}}`,
	}, map[string]int{reasonZeekHeader: 2, decode.ReasonTime: 1, decode.ReasonAddress: 1, reasonZeekFields: 1}, map[string]int{skipHeader: 7, skipPath: 1})

	a = read(t, ZeekConn, connJSON+"\n"+`{"_path":"dns","ts":1}`+`{"ts":"2026-11-20T10:15:30Z","id.orig_h":"203.0.113.7","id.resp_h":"192.0.2.80","proto":"udp","conn_state":"SF"}{"ts":1,"id.orig_h":"203.0.113.7","id.resp_h":null}`, testOptions())
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:30.0001Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":443,"protocol":"tcp","kind":"refused","bytes":4800,"packets":17,"tool":"zeek","details":{"service":"ssl","state":"REJ"}}`,
		`{"time":"2026-11-20T10:15:30Z","source":"203.0.113.7","target":"192.0.2.80","protocol":"udp","kind":"connection","tool":"zeek","details":{"state":"SF"}}`,
	}, map[string]int{decode.ReasonAddress: 1}, map[string]int{skipPath: 1})
}

func TestZeekNotice(t *testing.T) {
	a := read(t, ZeekNotice, strings.Join([]string{
		noticeJS,
		`{"ts":1763633732.5,"note":"SSL::Weak_Key","msg":"weak\u0000key","uid":"C","id.orig_h":"2001:db8::7","id.orig_p":5,"id.resp_h":"2001:db8::80","id.resp_p":443,"proto":"tcp"}`,
		`{"ts":1763633732.5,"note":"CaptureLoss::Too_Much_Loss","msg":"loss"}`,
		`{"ts":"XXXXXXXXXX.XXXXXX","note":"Scan::Port_Scan","msg":"masked","src":"203.0.113.7"}`,
		`{"ts":1763633732.5,"note":"Scan::Port_Scan","msg":"m","src":"nobody"}`,
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:31.5Z","source":"203.0.113.7","target":"192.0.2.80","kind":"notice","title":"203.0.113.7 scanned at least 15 unique ports","rule":"Scan::Port_Scan","tool":"zeek","details":{"count":"15","sub":"remote"}}`,
		`{"time":"2025-11-20T10:15:32.5Z","source":"2001:db8::7","source_port":5,"target":"2001:db8::80","target_port":443,"protocol":"tcp","kind":"notice","title":"weak\\x00key","rule":"SSL::Weak_Key","tool":"zeek"}`,
	}, map[string]int{decode.ReasonTime: 1, decode.ReasonAddress: 1}, map[string]int{skipNoSource: 1})
}

func TestSuricataAlert(t *testing.T) {
	a := read(t, SuricataAlert, strings.Join([]string{
		"[", eveLine + ",",
		`{"timestamp":"2026-11-20T11:15:31+01:00","event_type":"alert","src_ip":"2001:db8::7","src_port":4,"dest_ip":"2001:db8::80","dest_port":443,"proto":"TCP","alert":{"action":"blocked","signature_id":1,"signature":"s","severity":4},"tls":{"sni":"OLD.example.com"}}`,
		`{"timestamp":"2026-11-20T10:15:31Z","event_type":"stats"}{"event_type":"flow"}{"a":1}`,
		`{"timestamp":"2026-11-20T10:15:31Z","event_type":"alert","src_ip":"203.0.113.7","dest_ip":"192.0.2.80"}`,
		`{"timestamp":"soon","event_type":"alert","src_ip":"203.0.113.7","dest_ip":"192.0.2.80","alert":{}}`,
		`{"timestamp":"2026-11-20T10:15:31Z","event_type":"alert","src_ip":"203.0.113.7","dest_ip":"x","alert":{}}`,
		"]",
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2026-11-20T10:15:30.123456Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":80,"target_name":"www.example.com.","protocol":"tcp","kind":"alert","title":"EXAMPLE SCAN Potential SSH Scan","rule":"1:2001219:19","severity":"medium","action":"allowed","bytes":1500,"packets":7,"tool":"suricata","details":{"agent":"curl/8.5.0","category":"Attempted Information Leak","url":"/.git/config"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"2001:db8::7","source_port":4,"target":"2001:db8::80","target_port":443,"target_name":"old.example.com.","protocol":"tcp","kind":"alert","title":"s","rule":"1","severity":"info","action":"blocked","tool":"suricata"}`,
	}, map[string]int{reasonNoAlert: 1, decode.ReasonTime: 1, decode.ReasonAddress: 1}, map[string]int{"event_type stats": 1, "event_type flow": 1, "event without event_type": 1})
}

func TestWebAccess(t *testing.T) {
	a := read(t, WebAccess, strings.Join([]string{
		webLog,
		`2001:db8::7 - alice [x] smith [20/Nov/2026:11:15:31 +0100] "GET http://user@WWW.example.com:8080/a?q=\"x\" HTTP/1.1" 200 1024`,
		`www.example.com:443 203.0.113.8 - - [20/Nov/2026:10:15:32 +0000] "-" 408 0 "-" "-"`,
		`192.0.2.80 203.0.113.8 - - [20/Nov/2026:10:15:32.25 +0000] "\x16\x03\x01" 400 157`,
		`<190>Nov 20 10:15:33 web1 nginx: 203.0.113.9 - - [20/Nov/2026:10:15:33 +0000] "POST /login HTTP/2.0" 401 12 "https://www.example.com/" "curl/8.5.0"`,
		`203.0.113.7 - - [20/Nov/2026:10:15:34] "GET / HTTP/1.0" 200 -`,
		`scanner.example.net - - [20/Nov/2026:10:15:34 +0000] "GET / HTTP/1.0" 200 5`,
		`203.0.113.7 - - [31/Nov/2026:10:15:34 +0000] "GET / HTTP/1.0" 200 5`,
		`203.0.113.7 - - [20/Nov/2026:10:15:34 +0000] GET`,
		`203.0.113.7 - - "GET / HTTP/1.0" 200 5`,
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2026-11-20T10:15:30Z","source":"203.0.113.7","protocol":"tcp","kind":"request","title":"GET /.git/config","bytes":196,"tool":"web","details":{"agent":"Mozilla/5.0 (compatible; example)","status":"404"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"2001:db8::7","target_port":8080,"target_name":"www.example.com.","protocol":"tcp","kind":"request","title":"GET http://user@WWW.example.com:8080/a?q=\\\"x\\\"","bytes":1024,"tool":"web","details":{"status":"200"}}`,
		`{"time":"2026-11-20T10:15:32Z","source":"203.0.113.8","target_port":443,"target_name":"www.example.com.","protocol":"tcp","kind":"request","title":"-","tool":"web","details":{"status":"408"}}`,
		`{"time":"2026-11-20T10:15:32.25Z","source":"203.0.113.8","target":"192.0.2.80","protocol":"tcp","kind":"request","title":"\\x16\\x03\\x01","bytes":157,"tool":"web","details":{"status":"400"}}`,
		`{"time":"2026-11-20T10:15:33Z","source":"203.0.113.9","protocol":"tcp","kind":"request","title":"POST /login","bytes":12,"tool":"web","details":{"agent":"curl/8.5.0","referer":"https://www.example.com/","status":"401"}}`,
		`{"time":"2026-11-20T10:15:34Z","source":"203.0.113.7","protocol":"tcp","kind":"request","title":"GET /","tool":"web","details":{"status":"200"}}`,
	}, map[string]int{decode.ReasonAddress: 1, decode.ReasonTime: 1, reasonNoRequest: 1, decode.ReasonTruncated: 1}, nil)
}

func TestALBAccess(t *testing.T) {
	a := read(t, ALBAccess, strings.Join([]string{
		albLine,
		`h2 2026-11-20T10:15:31Z app/www/1 2001:db8:0:0:0:0:0:7:44741 - -1 -1 -1 403 - 60 0 "GET https://www.example.com:443/.env HTTP/2.0" "a \"b\""`,
		`http 2026-11-20T10:15:32Z app/www/1 nowhere - -1 -1 -1 400 - 0 0 "- http://h:80- -" "-"`,
		`http soon app/www/1 203.0.113.7:1 - -1 -1 -1 400 - 0 0 "- http://h:80- -" "-"`,
		`http 2026-11-20T10:15:32Z app/www/1 203.0.113.7:1 - -1 -1 -1 400 - 0 0 "- http://h`,
	}, "\n"), testOptions())
	a.want(t, []string{
		`{"time":"2026-11-20T10:15:30.186641Z","source":"203.0.113.7","source_port":44740,"target":"192.0.2.80","target_port":80,"target_name":"www.example.com.","protocol":"tcp","kind":"request","title":"GET https://www.example.com:443/robots.txt","bytes":177,"tool":"aws-alb","details":{"actions":"forward","agent":"curl/8.5.0","balancer":"app/www/490d68edf04676fe","status":"200"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"2001:db8::7","source_port":44741,"target_port":443,"target_name":"www.example.com.","protocol":"tcp","kind":"request","title":"GET https://www.example.com:443/.env","bytes":60,"tool":"aws-alb","details":{"agent":"a \\\"b\\\"","balancer":"app/www/1","status":"403"}}`,
	}, map[string]int{decode.ReasonAddress: 1, decode.ReasonTime: 1, decode.ReasonTruncated: 1}, nil)
}

func TestMapped(t *testing.T) {
	opt := testOptions()
	if err := JSON(context.Background(), strings.NewReader("{}"), opt, new(tally), new(tally)); !errors.Is(err, decode.ErrNoMapping) {
		t.Errorf("without mapping: %v", err)
	}
	opt.Mapping = &decode.Mapping{Fields: map[string]string{"sorce": "src"}}
	if err := CSV(context.Background(), strings.NewReader("a"), opt, new(tally), new(tally)); err == nil || !strings.Contains(err.Error(), `signal has no field "sorce"; it has time, source,`) {
		t.Errorf("unknown field: %v", err)
	}
	opt.Mapping = &decode.Mapping{Fields: map[string]string{"time": "t", "source": "src", "target": "dst", "target_port": "port", "target_name": "host", "kind": "k", "bytes": "n", "details.user": "u"}}
	a := read(t, JSON, strings.Join([]string{
		`{"t":1763633730,"src":"203.0.113.7:51515","dst":"192.0.2.80","port":443,"host":"www.example.com:443","k":"Request","n":5,"u":"alice"}`,
		`{"t":"2026-11-20T10:15:31Z","src":"203.0.113.8"}`,
		`{"t":"2026-11-20T10:15:31Z","src":"203.0.113.8","k":"party"}`,
		`{"t":"2026-11-20T10:15:31Z","src":"203.0.113.8","port":"https"}`,
		`{"t":"2026-11-20T10:15:31Z","src":"203.0.113.8","n":-5}`,
		`{"t":"2026-11-20T10:15:31Z","src":"203.0.113.8","host":"a b"}`,
		`{"src":"203.0.113.8"}`, `{"t":"2026-11-20T10:15:31Z"}`,
	}, "\n"), opt)
	a.want(t, []string{
		`{"time":"2025-11-20T10:15:30Z","source":"203.0.113.7","source_port":51515,"target":"192.0.2.80","target_port":443,"target_name":"www.example.com.","kind":"request","bytes":5,"tool":"other","details":{"user":"alice"}}`,
		`{"time":"2026-11-20T10:15:31Z","source":"203.0.113.8","kind":"alert","tool":"other"}`,
	}, map[string]int{reasonKind: 1, reasonPort: 1, reasonNumber: 1, decode.ReasonBadName: 1, decode.ReasonNoTime: 1, decode.ReasonAddress: 1}, nil)
}

// TestSinkError: a sink's error ends each decoder and comes back as it is.
func TestSinkError(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		d    decoder
		text string
	}{
		"zeek-conn": {ZeekConn, connHead + connLine}, "zeek-notice": {ZeekNotice, noticeJS}, "suricata-alert": {SuricataAlert, eveLine},
		"vpc-flow": {VPCFlow, flowLine}, "iptables": {IPTables, iptLine}, "pf-filterlog": {Filterlog, pfLine}, "asa": {ASA, asaLine},
		"fortigate": {Fortigate, fortLine}, "web-access": {WebAccess, webLog}, "alb-access": {ALBAccess, albLine},
	} {
		if err := c.d(context.Background(), strings.NewReader(c.text), testOptions(), new(tally), failing{boom}); !errors.Is(err, boom) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Signal(*picket.Signal) error { return f.err }

// TestMemoryBounded: endless lines do not make a decoder grow.
func TestMemoryBounded(t *testing.T) {
	for name, c := range map[string]struct {
		d    decoder
		lead string
	}{
		"zeek-conn": {ZeekConn, "#fields\t"}, "suricata-alert": {SuricataAlert, `{"event_type":"`}, "vpc-flow": {VPCFlow, "srcaddr dstaddr "},
		"iptables": {IPTables, "Nov 20 10:15:30 h kernel: IN="}, "pf-filterlog": {Filterlog, "Nov 20 10:15:30 h filterlog: "}, "asa": {ASA, "%ASA-4-"},
		"fortigate": {Fortigate, "date="}, "web-access": {WebAccess, "1.2.3.4 - - ["}, "alb-access": {ALBAccess, `https "`},
	} {
		pickettest.Bounded(t, name, c.lead, func(r io.Reader) {
			a := new(tally)
			_ = c.d(context.Background(), r, testOptions(), a, a)
		})
	}
}
