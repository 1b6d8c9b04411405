package query

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// answersOf decodes in and writes, for each query, its name, the response message in
// hexadecimal, and what is told: owner (@ for the QNAME), type, TTL and text.
func answersOf(t *testing.T, d Decode, in []byte) (out []string) {
	t.Helper()
	err := d(context.Background(), bytes.NewReader(in), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
		s := dnsname.Text(q.Name)
		if q.Response.Message != nil {
			s += fmt.Sprintf(" %x", q.Response.Message)
		}
		for _, a := range q.Response.Told {
			owner := "@"
			if a.Name != nil {
				owner = dnsname.Text(a.Name)
			}
			s += fmt.Sprintf(" %s/%d/%d/%s", owner, a.Type, a.TTL, a.Data)
		}
		out = append(out, s)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantAnswers(t *testing.T, d Decode, in []byte, want ...string) {
	t.Helper()
	if got := answersOf(t, d, in); !reflect.DeepEqual(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPcapKeepsAnswers: the response comes along when it may say what is in a zone,
// and never with another query.
func TestPcapKeepsAnswers(t *testing.T) {
	c := newCapture(linkRaw)
	back := testFlow.back()
	nx := newMsg(3, bitQR|bitAA|3, "nx.example", 1, 1).b
	cached := newMsg(4, bitQR, "cached.example", 1, 1).rr(1, toQuestion, 1, 1, 60, []byte{192, 0, 2, 1}).b
	late := answer(2, "late.example")
	c.add(1e9, testFlow.udp(ask(1, "silent.example"))).add(1e9+1, testFlow.udp(ask(2, "late.example"))).
		add(1e9+2, testFlow.udp(ask(3, "nx.example"))).add(1e9+3, testFlow.udp(ask(4, "cached.example"))).
		add(1e9+4, back.udp(nx)).add(1e9+5, back.udp(cached)).add(1e9+6, back.udp(late)).
		add(1e9+7, back.udp(answer(9, "echo.example")))
	wantAnswers(t, Pcap, c.b, "silent.example", fmt.Sprintf("late.example %x", late), "nx.example", "cached.example",
		fmt.Sprintf("echo.example %x", answer(9, "echo.example")))
}

// TestPendingKeepsAnswers: what is kept comes back octet for octet, and waiting
// queries are not pushed out for it.
func TestPendingKeepsAnswers(t *testing.T) {
	var got []string
	p := newPending("", func(q *picket.Query, _ *slot) error {
		got = append(got, fmt.Sprintf("%s %d %v", dnsname.Text(q.Name), len(q.Response.Message), len(q.Response.Told)))
		return nil
	})
	p.maxBytes = len(p.bytes)
	q := &picket.Query{Name: dnsname.MustParse("a.example"), Flags: picket.FlagResponse | picket.FlagAA}
	q.Response = picket.Response{Answers: 1, Message: make([]byte, 5000), Owner: dnsname.MustParse("b.example"),
		Told: []picket.Answer{{Type: 1, TTL: 7, Data: []byte("192.0.2.1")}}}
	for range 5 {
		seq, _, err := p.add(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.answer(seq, q); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 0 {
		t.Fatalf("pushed out: %v", got)
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.example 5000 1", "a.example 5000 1", "a.example 5000 1", "a.example 0 0", "a.example 0 0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCDNSKeepsAnswers: the message is put together again when all its answers' data
// is in the file.
func TestCDNSKeepsAnswers(t *testing.T) {
	q := cdnsQuery("www.example")
	q.Flags |= picket.FlagAA | picket.FlagResponse
	q.Rcode, q.Response = picket.RcodeNoError, picket.Response{Answers: 2, Authority: wire("example")}
	got := answersOf(t, CDNS, newCdnsFile().add(q, false).bytes())
	if want := "0000840000010002"; len(got) != 1 || !strings.HasPrefix(got[0], "www.example ") || !strings.Contains(got[0], "0001000100000000"+"0004c0000201") || !strings.HasPrefix(got[0][len("www.example "):], want) {
		t.Errorf("got %q", got)
	}
}

// TestPowerDNSTells: addresses come as octets, names as text, and what lacks something
// is left out.
func TestPowerDNSTells(t *testing.T) {
	rr := func(name string, typ uint64, data string) []byte {
		b := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte(name))
		for i, v := range []uint64{typ, 1, 300} {
			b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(2+i), protowire.VarintType), v)
		}
		return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), []byte(data))
	}
	message := func(header uint16) []byte {
		r := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		for _, x := range [][]byte{rr("w.example.", 5, "X.example."), rr("x.example.", 1, "\xc0\x00\x02\x07"), rr("x.example.", 28, "short"),
			rr("x.example.", 15, "mail.example."), rr("x.example.", 33, "sip.example."), rr("x.example.", 16, `"v=spf1 -all" "b"`), rr("x.example.", 16, "no quotes"), rr("x.example.", 28, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")} {
			r = protowire.AppendBytes(protowire.AppendTag(r, 2, protowire.BytesType), x)
		}
		m := pbMsg{typ: pdnsResponse, uuid: "a", sec: pbSec, name: "w.example.", qtype: 1, flags: header != 0, header: header}.bytes()
		return protowire.AppendBytes(protowire.AppendTag(m, 13, protowire.BytesType), r)
	}
	const told = "w.example w.example/5/300/X.example. x.example/1/300/192.0.2.7 x.example/16/300/\"v=spf1 -all\" \"b\" x.example/28/300/2001:db8::1"
	wantAnswers(t, PowerDNS, lengthFirst(message(bitQR|bitAA)), told)
	wantAnswers(t, PowerDNS, lengthFirst(message(0)), told)
	wantAnswers(t, PowerDNS, lengthFirst(message(bitQR)), "w.example") // of a cache
}

func TestSuricataTells(t *testing.T) {
	in := eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"version":3,"type":"request","id":9,"flags":"110","queries":[{"rrname":"w.example","rrtype":"A"}]`) + "\n" +
		eve("02", eveServerSrc, eveClientDst, `,"flow_id":7`, `"version":3,"type":"response","id":9,"flags":"8500","aa":true,"rcode":"NOERROR","queries":[{"rrname":"w.example","rrtype":"A"}],`+
			`"answers":[{"rrname":"w.example","rrtype":"CNAME","ttl":60,"rdata":"x.example"},{"rrname":"x.example","rrtype":"A","ttl":30,"rdata":"192.0.2.9"},{"rrname":"x.example","rrtype":"MX","ttl":30,"rdata":"m.example"},{"rrname":"a\\b.example","rrtype":"A","rdata":"192.0.2.8"},`+
			`{"rrname":"s.example","rrtype":"SRV","ttl":9,"srv":{"weight":2,"priority":1,"port":5060,"name":"sip.example"}},{"rrname":"s.example","rrtype":"SRV","srv":{"priority":1,"port":5060,"name":"x"}},`+
			`{"rrname":"example","rrtype":"SOA","ttl":8,"soa":{"mname":"ns.example","rname":"host.example","serial":7,"refresh":1,"retry":2,"expire":3,"minimum":4}},`+
			`{"rrname":"h.example","rrtype":"SSHFP","sshfp":{"fingerprint":"ab:cd","algo":4,"type":2}},{"rrname":"c.example","rrtype":"CNAME","rdata":"cut.exam","rdata_truncated":true},`+
			`{"rrname":"t.example","rrtype":"TXT","rdata":"a text"}],`+
			`"authorities":[{"rrname":"example","rrtype":"NS","rdata":"ns.example"}]`) + "\n" +
		eve("03", eveClientSrc, eveServerDst, `,"flow_id":8`, `"version":3,"type":"request","id":9,"flags":"110","queries":[{"rrname":"next.example","rrtype":"A"}]`)
	wantAnswers(t, SuricataDNS, []byte(in), "w.example w.example/5/60/x.example x.example/1/30/192.0.2.9 s.example/33/9/1 2 5060 sip.example "+
		"example/6/8/ns.example host.example 7 1 2 3 4 h.example/44/0/4 2 abcd", "next.example")
}

// TestSuricataTellsVersion1: each event has a record. NS may be of the authority section,
// and what comes after another response has begun is left out.
func TestSuricataTellsVersion1(t *testing.T) {
	ask := func(at, id, name string) string {
		return eve(at, eveClientSrc, eveServerDst, `,"flow_id":7`, `"type":"query","id":`+id+`,"rrname":"`+name+`","rrtype":"A"`)
	}
	record := func(at, id, rr string) string {
		return eve(at, eveServerSrc, eveClientDst, `,"flow_id":7`, `"type":"answer","id":`+id+`,"flags":"8500","rcode":"NOERROR",`+rr)
	}
	in := strings.Join([]string{
		ask("01", "9", "w.example"), ask("02", "10", "v.example"),
		record("03", "9", `"rrname":"w.example","rrtype":"CNAME","ttl":60,"rdata":"x.example"`),
		record("03", "9", `"rrname":"x.example","rrtype":"A","ttl":30,"rdata":"192.0.2.9"`),
		record("03", "9", `"rrname":"example","rrtype":"NS","ttl":30,"rdata":"ns.example"`),
		record("04", "10", `"rrname":"v.example","rrtype":"A","ttl":5,"rdata":"192.0.2.8"`),
		record("04", "9", `"rrname":"x.example","rrtype":"A","ttl":30,"rdata":"192.0.2.10"`),
		record("05", "11", `"rrname":"u.example","rrtype":"A","ttl":5,"rdata":"192.0.2.7"`),
	}, "\n")
	wantAnswers(t, SuricataDNS, []byte(in), "w.example w.example/5/60/x.example x.example/1/30/192.0.2.9",
		"v.example v.example/1/5/192.0.2.8", "u.example u.example/1/5/192.0.2.7")
}

// TestZeekTellsSamples: chains of aliases in a real log.
func TestZeekTellsSamples(t *testing.T) {
	for name, want := range map[string]int{"zat--dns.json.log": 42, "zat--dns.tsv.log": 51} {
		b, err := os.ReadFile(pickettest.Shared(t, "samples", "zeek-dns", name))
		if err != nil {
			t.Fatal(err)
		}
		var whole, none int
		err = ZeekDNS(context.Background(), bytes.NewReader(b), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
			switch n := len(q.Response.Told); {
			case n == int(q.Response.Answers) && n > 0:
				whole++
			case q.Response.Answers > 0:
				none++
				t.Logf("%s of type %d: %d answers, %d told", dnsname.Text(q.Name), q.Type, q.Response.Answers, n)
			}
			return nil
		}))
		if err != nil || whole != want || none != 0 {
			t.Errorf("%s: answers of %d queries told whole and of %d not, want %d and 0; %v", name, whole, none, want, err)
		}
	}
}

// TestZeekTells: what the values are of is told where only one reading is possible.
func TestZeekTells(t *testing.T) {
	rows := []struct{ typ, rcode, answers, ttls, want string }{
		{"1", "0", "192.0.2.1,192.0.2.2", "60.000000,30.500000", "w.example @/1/60/192.0.2.1 @/1/30/192.0.2.2"},
		{"1", "0", "192.0.2.1,192.0.2.2", "60.000000", "w.example @/1/0/192.0.2.1 @/1/0/192.0.2.2"},
		{"1", "0", "x.example,192.0.2.2", "60.000000,30.000000", "w.example @/5/60/x.example x.example/1/30/192.0.2.2"},
		{"28", "0", "x.example,y.example,2001:db8::1,2001:db8::2", "-", "w.example @/5/0/x.example x.example/5/0/y.example y.example/28/0/2001:db8::1 y.example/28/0/2001:db8::2"},
		{"1", "0", "x.example", "-", "w.example @/5/0/x.example"}, // to another zone
		{"1", "0", "x.example,RRSIG 5 13,192.0.2.2,RRSIG 1 13", "1.0,2.0,3.0,4.0", "w.example @/5/1/x.example x.example/1/3/192.0.2.2"},
		{"16", "0", "TXT 9 v=spf1 -a TXT 3 abc", "-", `w.example @/16/0/"v=spf1 -a" "abc"`},
		{"16", "0", "x.example,TXT 0 ,TXT 2 a\"", "-", `w.example @/5/0/x.example x.example/16/0/"" x.example/16/0/"a\""`},
		{"16", "0", `TXT 4 a\x00\\b`, "-", `w.example @/16/0/"a\000\\b"`},
		{"99", "0", "SPF 3 abc", "-", `w.example @/99/0/"abc"`},
		{"5", "0", "x.example", "-", "w.example @/5/0/x.example"},
		{"255", "0", "192.0.2.1,TXT 1 a", "-", `w.example @/1/0/192.0.2.1 @/16/0/"a"`},
		// What can be read in more than one way, or not at all.
		{"28", "0", "2001:db8::1,x.example,192.0.2.2", "-", "w.example"},
		{"28", "0", "192.0.2.1", "-", "w.example"},
		{"1", "0", "192.0.2.1,x.example", "-", "w.example"},
		{"1", "0", "x.example,X.example,192.0.2.1", "-", "w.example"},
		{"1", "0", "<unknown type=39>,x.example,192.0.2.1", "-", "w.example"},
		{"1", "0", `a\x20b.example,192.0.2.1`, "-", "w.example"},
		{"1", "0", "TXT 9 192.0.2.1", "-", "w.example"},
		{"16", "0", "192.0.2.1", "-", "w.example"},
		{"16", "0", "TXT 4 abc", "-", "w.example"},
		{"16", "0", "TXT 2 abc", "-", "w.example"},
		{"16", "0", "TXT 256 a", "-", "w.example"},
		{"2", "0", "ns1.example,ns2.example", "-", "w.example"},
		{"12", "0", "x.example", "-", "w.example"}, // PTR, or CNAME as RFC 2317 has it
		{"15", "0", "mx.example", "-", "w.example"},
		{"255", "0", "x.example", "-", "w.example"},
		{"1", "3", "192.0.2.1", "-", "w.example"},
		{"1", "0", "-", "-", "w.example"},
	}
	tsv := "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n" +
		"#fields\tts\tid.orig_h\tquery\tqtype\trcode\tAA\tRD\tanswers\tTTLs\n"
	asJSON := ""
	var want []string
	for _, r := range rows {
		tsv += "1379288667.5\t192.0.2.1\tw.example\t" + r.typ + "\t" + r.rcode + "\tT\tF\t" + r.answers + "\t" + r.ttls + "\n"
		asJSON += `{"ts":1379288667.5,"id.orig_h":"192.0.2.1","query":"w.example","qtype":` + r.typ + `,"rcode":` + r.rcode + `,"AA":true,"RD":false`
		if r.answers != "-" {
			list, err := json.Marshal(strings.Split(r.answers, ","))
			if err != nil {
				t.Fatal(err)
			}
			asJSON += `,"answers":` + string(list)
		}
		if r.ttls != "-" {
			asJSON += `,"TTLs":[` + r.ttls + "]"
		}
		asJSON += "}\n"
		want = append(want, r.want)
	}
	wantAnswers(t, ZeekDNS, []byte(tsv), want...)
	wantAnswers(t, ZeekDNS, []byte(asJSON), want...)
}
