package query

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const bindBenchLine = "2026-11-23T11:19:15.240Z queries: info: client @0x7f013e320498 10.80.5.53#46017 (intranet-sandbox.corp-a.example): " +
	"query: intranet-sandbox.corp-a.example IN A -E(0)DC (10.53.0.1)\n"

// counting is an Accounting that costs next to nothing.
type counting struct{ accepted, other int }

func (c *counting) Accept(int64)                   { c.accepted++ }
func (c *counting) Reject(string, picket.Position) { c.other++ }
func (c *counting) Skip(string)                    { c.other++ }

// benchDecode decodes n records of text again and again; a record is an op.
func benchDecode(b *testing.B, d Decode, text []byte, n int) {
	b.Helper()
	r := &repeat{text: text, left: (b.N + n - 1) / n}
	acct := new(counting)
	b.SetBytes(int64(len(text) / n))
	b.ReportAllocs()
	b.ResetTimer()
	err := d(context.Background(), r, decode.Options{}, acct, picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
	if err != nil || acct.accepted < b.N/3 {
		b.Fatalf("%v, %d accepted, %d others", err, acct.accepted, acct.other)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// repeat delivers text a number of times.
type repeat struct {
	text []byte
	at   int
	left int
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

func BenchmarkBindLog(b *testing.B) {
	benchDecode(b, BindLog, bytes.Repeat([]byte(bindBenchLine), 100), 100)
}

func BenchmarkBindLogSyslog(b *testing.B) {
	line := "<158>Sep 20 15:50:26 ns1 named[1630972]: " + strings.ReplaceAll(bindBenchLine, "2026-11-23T11:19:15.240Z", "23-Nov-2026 11:19:15.240")
	benchDecode(b, BindLog, bytes.Repeat([]byte(line), 100), 100)
}

func BenchmarkBindLogErrors(b *testing.B) {
	line := strings.Replace(bindBenchLine, "query: intranet-sandbox.corp-a.example IN A -E(0)DC (10.53.0.1)", "query failed (REFUSED) for intranet-sandbox.corp-a.example/IN/A at query.c:5708", 1)
	benchDecode(b, BindLog, bytes.Repeat([]byte(bindBenchLine+line), 50), 100)
}

func BenchmarkZeekTSV(b *testing.B) {
	text := "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\tquery\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected\n" +
		strings.Repeat("1379288667.667971\tCZGShC2znK1sV7jdI7\t192.168.33.10\t1030\t192.0.2.53\t53\tudp\t44949\twww.corp-a.example\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t192.0.2.80,192.0.2.81\t36.0,36.0\tF\n", 100)
	benchDecode(b, ZeekDNS, []byte(text), 100)
}

func BenchmarkZeekJSON(b *testing.B) {
	line := `{"ts":1575413122.764317,"uid":"CWwU9s3h33kFsa9Ljg","id.orig_h":"10.18.20.97","id.orig_p":59102,"id.resp_h":"10.18.20.8","id.resp_p":53,"proto":"udp","trans_id":19084,"query":"www.corp-a.example","qclass":1,"qclass_name":"C_INTERNET","qtype":33,"qtype_name":"SRV","rcode":3,"rcode_name":"NXDOMAIN","AA":false,"TC":false,"RD":true,"RA":false,"Z":0,"rejected":false}` + "\n"
	benchDecode(b, ZeekDNS, bytes.Repeat([]byte(line), 100), 100)
}

func BenchmarkSuricata(b *testing.B) {
	var text strings.Builder
	for i := range 50 {
		flow := fmt.Sprintf(`,"flow_id":%d,"in_iface":"eth0","pkt_src":"wire/pcap"`, i)
		text.WriteString(eve("01.5", eveClientSrc, eveServerDst, flow, `"version":3,"type":"request","tx_id":0,"id":9,"flags":"110","rd":true,"opcode":0,"rcode":"NOERROR","queries":[{"rrname":"www.corp-a.example","rrtype":"TXT"}]`) + "\n")
		text.WriteString(eve("01.5", eveServerSrc, eveClientDst, flow, `"version":3,"type":"response","tx_id":1,"id":9,"flags":"8385","qr":true,"rd":true,"tc":true,"rcode":"REFUSED","queries":[{"rrname":"www.corp-a.example","rrtype":"TXT"}]`) + "\n")
	}
	benchDecode(b, SuricataDNS, []byte(text.String()), 100)
}

func BenchmarkNDJSON(b *testing.B) {
	line := `{"time":"2026-11-23T11:35:31.916795513Z","client":"10.80.5.53","client_port":45892,"server":"10.53.0.1","transport":"udp","name":"corp-a.example","type":"MX","class":"IN","rcode":"NOERROR","flags":["cd","edns","do","response","aa","header"],"edns_size":1232,"answers":2,"authority":"corp-a.example","sensor":"ns1.corp-a.example"}` + "\n"
	benchDecode(b, NDJSON, bytes.Repeat([]byte(line), 100), 100)
}

func BenchmarkAppendNDJSON(b *testing.B) {
	q := everything()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendNDJSON(buf[:0], q)
	}
}

func BenchmarkDnstap(b *testing.B) {
	var frames [][]byte
	for i := range 50 {
		for _, typ := range []tapMsg{{typ: tapQ}, {typ: tapR}} {
			typ.id, typ.port, typ.name, typ.identity = uint16(i), uint32(i), "www.corp-a.example.", "ns1.corp-a.example"
			frames = append(frames, typ.bytes(b))
		}
	}
	benchDecode(b, Dnstap, tapStream(b, frames...), 100)
}
