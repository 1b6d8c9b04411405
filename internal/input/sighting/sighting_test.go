package sighting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// kept is a sink that keeps what it gets.
type kept []*picket.Sighting

func (k *kept) Sighting(v *picket.Sighting) error { *k = append(*k, v); return nil }

// run decodes text.
func run(t *testing.T, d Decode, text string) (kept, *pickettest.Ledger, []string, error) {
	t.Helper()
	var out kept
	var notes []string
	acct := new(pickettest.Ledger)
	err := d(context.Background(), strings.NewReader(text), decode.Options{Sensor: "in-1", Note: func(s string) { notes = append(notes, s) }}, acct, &out)
	if acct.Accepted != len(out) {
		t.Fatalf("accepted %d, sink got %d", acct.Accepted, len(out))
	}
	return out, acct, notes, err
}

// line is a sighting on one line, without its sensor.
func line(v *picket.Sighting) string {
	c := *v
	c.Sensor = ""
	b, err := json.Marshal(&c)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name string
		d    Decode
		in   string
		want []string // sightings
		acct string
	}{
		{"cof", COF, `{"count":2,"time_first":1,"time_last":2,"rrname":"A.example.com.","rrtype":"a","bailiwick":"Example.com","rdata":["192.0.2.1"]}`,
			[]string{`{"rrname":"a.example.com.","rrtype":"A","rdata":["192.0.2.1"],"count":2,"time_first":"1970-01-01T00:00:01Z","time_last":"1970-01-01T00:00:02Z","bailiwick":"example.com.","channel":"passive-dns"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"cof times as text", COF, `{"time_first":"2024-05-01T00:00:00Z","time_last":"2024-05-02 01:02:03","rrname":"a.example","rrtype":"TYPE65280","rdata":"\\# 1 00"}`,
			[]string{`{"rrname":"a.example.","rrtype":"TYPE65280","rdata":["\\# 1 00"],"time_first":"2024-05-01T00:00:00Z","time_last":"2024-05-02T01:02:03Z","channel":"passive-dns"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"cof names in rdata", COF, `[{"time_first":1,"time_last":2,"rrname":".","rrtype":"NS","rdata":["A.root.example","b.root.example."]},` +
			`{"time_last":2,"rrname":"_sip._tcp.example.com","rrtype":"SRV","rdata":"10 5 5060 SIP.example.com"}]`,
			[]string{`{"rrname":".","rrtype":"NS","rdata":["a.root.example.","b.root.example."],"time_first":"1970-01-01T00:00:01Z","time_last":"1970-01-01T00:00:02Z","channel":"passive-dns"}`,
				`{"rrname":"_sip._tcp.example.com.","rrtype":"SRV","rdata":["10 5 5060 sip.example.com."],"time_last":"1970-01-01T00:00:02Z","channel":"passive-dns"}`},
			"2 accepted, rejected map[], skipped map[]"},
		{"cof wrapped", COF, "{\"total\":1,\"results\":[\n {\"rrname\":\"a.example\",\"rrtype\":\"A\",\"rdata\":[\"192.0.2.1\"],\"zone_time_first\":1,\"zone_time_last\":2}\n],\"next\":null}\n",
			[]string{`{"rrname":"a.example.","rrtype":"A","rdata":["192.0.2.1"],"zone_time_first":"1970-01-01T00:00:01Z","zone_time_last":"1970-01-01T00:00:02Z","channel":"passive-dns"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"cof bad", COF, `{"rrname":"a..b","rrtype":"A","time_last":1}` + "\n" + `{"rrname":"a","rrtype":"NOSUCH","time_last":1}` + "\n" +
			`{"rrname":"a","rrtype":"AAAA","rdata":"192.0.2.1","time_last":1}` + "\n" + `{"rrname":"a","rrtype":"A","time_last":"soon"}` + "\n" +
			`{"rrtype":"A","rdata":"192.0.2.1","time_last":1}` + "\n" + `{"rrname":"a","rrtype":"A","rdata":[]}` + "\n" + `{"rrname":"a"` + "\n" + `Error: no results` + "\n" +
			`{"code":404,"message":"none"}` + "\n" + `{"rate":{"limit":1}}` + "\n{}\n" + `{"rrname":"a","rrtype":"A","bailiwick":"..","time_last":1}`,
			nil, "0 accepted, rejected map[JSON object not closed:1 bad address:1 bad name:2 bad time stamp:1 bad type:1 error answer:1 no name:1 no time stamp:1], skipped map[empty object:1 quota:1]"},
		{"cof hostile", COF, `{"time_last":5,"rrname":"a\u0000\u001b[31m.example","rrtype":"TXT","rdata":["\u001b[2J\u0007"],"origin":"x\u0000y"}`,
			[]string{`{"rrname":"a\\000\\027[31m.example.","rrtype":"TXT","rdata":["\\x1b[2J\\x07"],"time_last":"1970-01-01T00:00:05Z","channel":"passive-dns","origin":"x\\x00y"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"dnsdb unframed", DNSDB, `{"obj":{"rrname":"a.example.","rrtype":"A","rdata":["192.0.2.1"],"time_last":1}}` + "\n" + `{"x":1}` + "\n" + `{"cond":"failed","msg":"no"}`,
			[]string{`{"rrname":"a.example.","rrtype":"A","rdata":["192.0.2.1"],"time_last":"1970-01-01T00:00:01Z","channel":"passive-dns"}`},
			"1 accepted, rejected map[neither a condition nor an object:1 query failed at the database:1], skipped map[]"},
		{"crtsh", CrtSh, `[{"issuer_ca_id":1,"issuer_name":"CN=X","common_name":"Example Ltd","name_value":"EXAMPLE.com\nexample.com\n*.example.com\na@example.com\n2001:db8::1\n10.0.0.0/8","entry_timestamp":"2026-01-02T03:04:05.678","not_before":"2026-01-01T00:00:00","not_after":"2026-02-01T00:00:00","serial_number":"00AB"}]`,
			[]string{`{"rrname":"example.com.","time_first":"2026-01-01T00:00:00Z","time_last":"2026-02-01T00:00:00Z","channel":"certificate","issuer":"CN=X","serial":"ab","logged":"2026-01-02T03:04:05.678Z","origin":"crt.sh"}`,
				`{"rrname":"*.example.com.","time_first":"2026-01-01T00:00:00Z","time_last":"2026-02-01T00:00:00Z","channel":"certificate","issuer":"CN=X","serial":"ab","logged":"2026-01-02T03:04:05.678Z","origin":"crt.sh"}`},
			"2 accepted, rejected map[], skipped map[IP address of a certificate:2 e-mail address of a certificate:1 subject that is no DNS name:1]"},
		{"crtsh nothing", CrtSh, `[]`, nil, "0 accepted, rejected map[], skipped map[]"},
		{"crtsh no times", CrtSh, `{"issuer_ca_id":1,"name_value":"a.example"}{"issuer_ca_id":1,"name_value":"","not_before":"2026-01-01T00:00:00","not_after":"2026-01-01T00:00:00"}`,
			nil, "0 accepted, rejected map[no time stamp:1], skipped map[certificate without DNS names:1]"},
		{"certspotter error", CertSpotter, `{"code":"rate_limited","message":"slow"}`, nil, "0 accepted, rejected map[error answer:1], skipped map[]"},
		{"certspotter monitor", CertSpotter, `{"tbs_sha256":"aa","dns_names":["Example.com"],"ip_addresses":["192.0.2.1"],"not_before":"2026-01-01T01:00:00+01:00","not_after":"2026-02-01T00:00:00Z"}`,
			[]string{`{"rrname":"example.com.","time_first":"2026-01-01T00:00:00Z","time_last":"2026-02-01T00:00:00Z","channel":"certificate","origin":"certspotter"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"certstream data only", CertStream, `{"update_type":"PrecertLogEntry","seen":1767225600,"leaf_cert":{"all_domains":["a.example","A.example"],"not_before":1767225600,"not_after":1.7698176e9,"serial_number":"0x0F"},"source":{"url":"ct.example/"}}`,
			[]string{`{"rrname":"a.example.","time_first":"2026-01-01T00:00:00Z","time_last":"2026-01-31T00:00:00Z","channel":"certificate","serial":"f","logged":"2026-01-01T00:00:00Z","origin":"ct.example/"}`},
			"1 accepted, rejected map[], skipped map[]"},
		{"certstream others", CertStream, `{"message_type":"heartbeat"}{"message_type":"dns_entries","data":["a.example"]}{"message_type":"certificate_update","data":{}}{"message_type":"certificate_update","data":{"leaf_cert":{"all_domains":["a..b"],"not_before":1,"not_after":2}}}`,
			nil, "0 accepted, rejected map[message without a certificate:1 no time stamp:1], skipped map[heartbeat:1 subject that is no DNS name:1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, acct, _, err := run(t, tt.d, tt.in)
			if err != nil {
				t.Error(err)
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d sightings, want %d", len(got), len(tt.want))
			}
			for i := range min(len(got), len(tt.want)) {
				if got[i].Sensor != "in-1" {
					t.Errorf("sensor %q", got[i].Sensor)
				}
				if s := line(got[i]); s != tt.want[i] {
					t.Errorf("got  %s\nwant %s", s, tt.want[i])
				}
			}
			if s := acct.String(); s != tt.acct {
				t.Errorf("got  %s\nwant %s", s, tt.acct)
			}
		})
	}
}

// TestCertTime: the account has the time a log took a certificate in, or the
// start of its validity; never its end, that lies ahead.
func TestCertTime(t *testing.T) {
	_, acct, _, _ := run(t, CrtSh, `[{"name_value":"a.example","not_before":"2026-01-01T00:00:00","not_after":"2027-01-01T00:00:00","entry_timestamp":"2026-01-02T00:00:00"},`+
		`{"name_value":"a.example","not_before":"2026-01-01T00:00:00","not_after":"2027-01-01T00:00:00"}]`)
	if want := []int64{1767312000e9, 1767225600e9}; len(acct.Times) != 2 || acct.Times[0] != want[0] || acct.Times[1] != want[1] {
		t.Errorf("times %v, want %v", acct.Times, want)
	}
}

// TestDNSDBCut: a stream of frames tells whether all of it is there.
func TestDNSDBCut(t *testing.T) {
	obj := `{"obj":{"rrname":"a.example.","rrtype":"A","rdata":["192.0.2.1"],"time_last":1}}` + "\n"
	tests := []struct {
		in    string
		cut   bool
		notes int
	}{
		{`{"cond":"begin"}` + "\n" + obj + `{"cond":"succeeded"}`, false, 0},
		{`{"cond":"begin"}` + "\n" + obj + `{"cond":"limited","msg":"Result limit reached"}`, false, 1},
		{`{"cond":"begin"}` + "\n" + obj + `{"cond":"failed","msg":"timeout"}`, false, 1},
		{`{"cond":"begin"}` + "\n" + obj, true, 0},
		{`{"cond":"begin"}` + "\n" + obj + `{"cond":"ongoing"}`, true, 0},
		{`{"cond":"begin"}` + "\n" + obj + `{"cond":"succ`, true, 0},
		{`{"cond":"begin"}{"cond":"succeeded"}{"cond":"begin"}` + obj, true, 0},
		{obj, false, 0},
	}
	for _, tt := range tests {
		_, _, notes, err := run(t, DNSDB, tt.in)
		if errors.Is(err, io.ErrUnexpectedEOF) != tt.cut || (err != nil) != tt.cut || len(notes) != tt.notes {
			t.Errorf("%q: %v, notes %q", tt.in, err, notes)
		}
	}
}

// TestShared decodes what third parties wrote.
func TestShared(t *testing.T) {
	tests := []struct {
		file  string
		d     Decode
		acct  string
		first string
		last  string
	}{
		{"passive-dns/passive_circl--query.extract.jsonl", COF, "3 accepted, rejected map[], skipped map[]",
			`{"rrname":"www.circl.lu.","rrtype":"CNAME","rdata":["cpab.circl.lu."],"count":989255,"time_first":"2016-10-07T07:26:02Z","time_last":"2018-10-30T00:56:36Z","channel":"passive-dns","origin":"https://www.circl.lu/pdns/"}`,
			`{"rrname":"www.circl.lu.","rrtype":"CNAME","rdata":["cpa.circl.lu."],"count":23479,"time_first":"2011-02-22T18:06:42Z","time_last":"2012-02-14T09:31:34Z","channel":"passive-dns","origin":"https://www.circl.lu/pdns/"}`},
		{"passive-dns/dnsdb-rb--rrset-1_2_1.extract.jsonl", COF, "2 accepted, rejected map[], skipped map[]",
			`{"rrname":"www.farsightsecurity.com.","rrtype":"A","rdata":["104.244.14.108"],"count":2070,"time_first":"2019-12-01T06:31:28Z","time_last":"2020-03-18T18:28:41Z","bailiwick":"farsightsecurity.com.","channel":"passive-dns"}`,
			`{"rrname":"www.farsightsecurity.com.","rrtype":"AAAA","rdata":["2620:11c:f008::108"],"count":1378,"time_first":"2019-11-30T17:55:11Z","time_last":"2020-03-18T22:00:06Z","bailiwick":"farsightsecurity.com.","channel":"passive-dns"}`},
		{"passive-dns/dnsdb-rb--rdata-1_1_3.extract.jsonl", COF, "22 accepted, rejected map[], skipped map[]",
			`{"rrname":"jppost-afu.top.","rrtype":"A","rdata":["154.9.205.199"],"count":56,"time_first":"2020-03-12T03:06:51Z","time_last":"2020-03-12T13:11:12Z","channel":"passive-dns"}`, ""},
		{"ct-log/crtsh-rb--1_1.extract.json", CrtSh, "92 accepted, rejected map[], skipped map[]",
			`{"rrname":"*.crt.sh.","time_first":"2019-12-07T00:00:00Z","time_last":"2020-06-14T23:59:59Z","channel":"certificate","issuer":"C=GB, ST=Greater Manchester, L=Salford, O=COMODO CA Limited, CN=COMODO ECC Domain Validation Secure Server CA 2","logged":"2019-12-07T03:55:53.116Z","origin":"crt.sh"}`, ""},
		{"ct-log/certspotter-client--example.json", CertSpotter, "5 accepted, rejected map[], skipped map[]",
			`{"rrname":"certs.sandbox.sslmate.com.","time_first":"2022-10-22T00:00:00Z","time_last":"2023-11-21T23:59:59Z","channel":"certificate","issuer":"C=GB, ST=Greater Manchester, L=Salford, O=Sectigo Limited, CN=Sectigo RSA Domain Validation Secure Server CA","origin":"certspotter"}`, ""},
		{"ct-log/certstream-server--readme.extract.json", CertStream, "2 accepted, rejected map[], skipped map[]",
			`{"rrname":"e-zigarette-liquid-shop.de.","time_first":"2017-10-16T03:17:41Z","time_last":"2018-01-14T03:17:41Z","channel":"certificate","issuer":"/C=US/O=Let's Encrypt/CN=Let's Encrypt Authority X3","logged":"2017-10-20T07:15:26.8601687Z","origin":"Comodo 'Mammoth' CT log"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			text, err := os.ReadFile(pickettest.Shared(t, "samples", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got, acct, notes, err := run(t, tt.d, string(text))
			if err != nil || len(notes) > 0 {
				t.Errorf("%v, notes %q", err, notes)
			}
			if s := acct.String(); s != tt.acct {
				t.Errorf("got  %s\nwant %s", s, tt.acct)
			}
			if len(got) > 0 && line(got[0]) != tt.first {
				t.Errorf("got  %s\nwant %s", line(got[0]), tt.first)
			}
			if tt.last != "" && line(got[len(got)-1]) != tt.last {
				t.Errorf("got  %s\nwant %s", line(got[len(got)-1]), tt.last)
			}
		})
	}
}

// TestSinkError: what a sink says is returned as it is.
func TestSinkError(t *testing.T) {
	want := errors.New("full")
	for _, tt := range []struct {
		d  Decode
		in string
	}{
		{COF, `{"rrname":"a","rrtype":"A","time_last":1}`},
		{DNSDB, `{"cond":"begin"}{"obj":{"rrname":"a","rrtype":"A","time_last":1}}`},
		{CertSpotter, `{"dns_names":["a"],"not_before":"2026-01-01T00:00:00Z","not_after":"2026-01-01T00:00:00Z"}`},
	} {
		if err := tt.d(context.Background(), strings.NewReader(tt.in), decode.Options{}, new(pickettest.Ledger), failing{want}); err != want { //nolint:errorlint // as it is
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) Sighting(*picket.Sighting) error { return f.err }

// fuzzDecoder runs a decoder over anything: it may not panic, what it yields must
// be well-formed, and what it does must not depend on how the bytes arrive.
func fuzzDecoder(f *testing.F, d Decode, seeds ...string) {
	opt := decode.Options{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	pickettest.FuzzDecoder(f, seeds, func(r io.Reader, acct *pickettest.Ledger) ([]*picket.Sighting, error) {
		var out kept
		err := d(context.Background(), r, opt, acct, &out)
		return out, err
	}, func(t *testing.T, v *picket.Sighting) {
		pickettest.CanonicalNames(t, v.Name, v.Bailiwick)
		if v.FirstSeen.IsZero() && v.LastSeen.IsZero() && v.ZoneFirst.IsZero() && v.ZoneLast.IsZero() {
			t.Fatalf("no time: %+v", v)
		}
	})
}

func FuzzCOF(f *testing.F) {
	fuzzDecoder(f, COF, `{"count":1,"time_first":1,"time_last":"2","rrname":"a.b","rrtype":"MX","rdata":["10 c.d"],"bailiwick":"b"}`+"\n"+`{"results":[{"rrname":"a","rrtype":1,"zone_time_first":1,"rdata":"192.0.2.1"}]}`)
}

func FuzzDNSDB(f *testing.F) {
	fuzzDecoder(f, DNSDB, `{"cond":"begin"}`+"\n"+`{"obj":{"rrname":"a","rrtype":"A","time_last":1,"rdata":["192.0.2.1"]}}`+"\n{}\n"+`{"cond":"limited","msg":"x"}`)
}

func FuzzCrtSh(f *testing.F) {
	fuzzDecoder(f, CrtSh, `[{"issuer_ca_id":1,"issuer_name":"CN=X","common_name":"a","name_value":"a\n*.b","entry_timestamp":"2026-01-02T03:04:05.6","not_before":"2026-01-01T00:00:00","not_after":"2026-02-01T00:00:00","serial_number":"00AB"}]`)
}

func FuzzCertSpotter(f *testing.F) {
	fuzzDecoder(f, CertSpotter, `[{"tbs_sha256":"a","dns_names":["a","b.c"],"issuer":{"name":"X"},"not_before":"2026-01-01T00:00:00Z","not_after":"2026-02-01T00:00:00Z"}]`)
}

func FuzzCertStream(f *testing.F) {
	fuzzDecoder(f, CertStream, `{"message_type":"certificate_update","data":{"leaf_cert":{"all_domains":["a","*.b"],"not_before":1.5,"not_after":2e9,"serial_number":"0A"},"seen":1.25,"source":{"name":"x"},"chain":[{"subject":{"CN":"y"}}]}}`+"\n"+`{"message_type":"heartbeat"}`)
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(`{"results":[{"rrname":"a","rrtype":"A","time_first":1}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectCOF, DetectDNSDB, DetectCrtSh, DetectCertSpotter, DetectCertStream} {
			detect(b)
		}
	})
}

type nowhere struct{}

func (nowhere) Sighting(*picket.Sighting) error { return nil }

func benchDecode(b *testing.B, d Decode, line string) {
	b.Helper()
	text := []byte(strings.Repeat(line, 1000))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		acct := new(pickettest.Counter)
		if err := d(context.Background(), bytes.NewReader(text), decode.Options{}, acct, nowhere{}); err != nil || acct.Accepted == 0 {
			b.Fatal(err, acct.Accepted)
		}
		lines += 1000
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkCOF(b *testing.B) {
	benchDecode(b, COF, `{"count":2070,"time_first":1575181888,"time_last":1584556121,"rrname":"www.example.com.","rrtype":"A","bailiwick":"example.com.","rdata":["192.0.2.108"]}`+"\n")
}

func BenchmarkDNSDB(b *testing.B) {
	benchDecode(b, DNSDB, `{"obj":{"count":2070,"time_first":1575181888,"time_last":1584556121,"rrname":"www.example.com.","rrtype":"A","bailiwick":"example.com.","rdata":["192.0.2.108"]}}`+"\n")
}

func BenchmarkCertStream(b *testing.B) {
	benchDecode(b, CertStream, `{"message_type":"certificate_update","data":{"update_type":"X509LogEntry","leaf_cert":{"subject":{"aggregated":"/CN=example.com","CN":"example.com"},"extensions":{"subjectAltName":"DNS:example.com"},"not_before":1772323200,"not_after":1780099199,"serial_number":"0A1B2C","all_domains":["example.com","www.example.com"]},"seen":1772326800.25,"source":{"url":"ct.example.net/","name":"Heron"}}}`+"\n")
}

// TestMemoryBounded: endless lines, names and lists do not make a decoder grow.
func TestMemoryBounded(t *testing.T) {
	for name, d := range map[string]Decode{"cof": COF, "dnsdb": DNSDB, "crtsh": CrtSh, "certspotter": CertSpotter, "certstream": CertStream} {
		for _, lead := range []string{"", `{"rrname":"`, `{"a":[[`} {
			pickettest.Bounded(t, name, lead, func(r io.Reader) {
				if err := d(context.Background(), r, decode.Options{}, new(pickettest.Counter), nowhere{}); err != nil {
					t.Errorf("%s after %q: %v", name, lead, err)
				}
			})
		}
	}
}
