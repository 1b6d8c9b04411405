package query

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// fuzzDecoder runs a decoder over anything: it may not panic, its queries must be
// well-formed and written as NDJSON that reads back, and what it does must not
// depend on how the bytes arrive.
func fuzzDecoder(f *testing.F, d Decode, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		opt := decode.Options{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
		run := func(in []byte, slow bool) (string, *tally, error) {
			var out bytes.Buffer
			acct := newTally()
			sink := picket.QuerySinkFunc(func(q *picket.Query) error {
				if err := dnsname.Check(q.Name); err != nil {
					t.Fatalf("name %q: %v", q.Name, err)
				}
				line := AppendNDJSON(nil, q)
				if !json.Valid(line) {
					t.Fatalf("no JSON: %s", line)
				}
				out.Write(line)
				return nil
			})
			if slow {
				return out.String(), acct, d(context.Background(), iotest.HalfReader(bytes.NewReader(in)), opt, acct, sink)
			}
			err := d(context.Background(), bytes.NewReader(in), opt, acct, sink)
			return out.String(), acct, err
		}
		fast, acct, err := run(b, false)
		if got := strings.Count(fast, "\n"); got != acct.accepted {
			t.Fatalf("accepted %d, sink got %d (%v)", acct.accepted, got, err)
		}
		if len(b) < 1<<14 {
			if _, again, err2 := run(b, true); again.accepted != acct.accepted || again.total() != acct.total() || (err == nil) != (err2 == nil) {
				t.Fatalf("by halves: accepted %d of %d, then %d of %d (%v, %v)", acct.accepted, acct.total(), again.accepted, again.total(), err, err2)
			}
		}
	})
}

func FuzzBindLog(f *testing.F) {
	fuzzDecoder(f, BindLog,
		"20-Sep-2024 10:20:26.751 queries: info: client @0x7f2 10.10.10.10#56256/key k (a.example): view v: query: a.example IN A +SE(0)TDCV (::1) [ECS 1.2.3.0/24/0]\n",
		"<158>1 2024-09-20T15:50:26.1+02:00 h named 1 - - client 1.2.3.4#5: query failed (REFUSED) for a/b/IN/A at query.c:1\n",
		"Sep  2 15:50:26 ns1 named[16]: client @0x1 1.2.3.4#5 (a): zone transfer 'a/AXFR/IN' denied\n",
		"2026-01-01T00:00:00Z client @0x1 1.2.3.4#5 (a): query: a IN AXFR -T (::1)\n2026-01-01T00:00:00Z client @0x1 1.2.3.4#5 (a): transfer of 'a/IN': AXFR started\n",
		"Mar 1 13:52:03 a named[15025]: denied AXFR from [1.2.3.4].1421 for \"a.com\" (acl)\n")
}

func FuzzZeek(f *testing.F) {
	fuzzDecoder(f, ZeekDNS,
		"#separator \\x09\n#fields\tts\tid.orig_h\tid.resp_p\tquery\tqtype\trcode\n1.5\t1.2.3.4\t53\ta\\x2eb\t1\t3\n#close\n",
		"#separator \\x7c\\x7c\n#unset_field||none\n#fields||query||ts||id.orig_h||answers\na||1||::1||x,y\n",
		`[{"ts":1.5,"id.orig_h":"1.2.3.4","query":"a","qtype_name":"A","answers":["x"]},`+"\n"+`{"ts":"2020-01-01T00:00:00Z"}]`)
}

func FuzzSuricata(f *testing.F) {
	fuzzDecoder(f, SuricataDNS,
		eve("01", eveClientSrc, eveServerDst, `,"flow_id":7`, `"version":3,"type":"request","id":9,"flags":"110","queries":[{"rrname":"a","rrtype":"TXT"}]`)+
			eve("02", eveServerSrc, eveClientDst, `,"flow_id":7`, `"version":3,"type":"response","id":9,"flags":"8385","rcode":"REFUSED","queries":[{"rrname":"a","rrtype":"TXT"}]`),
		eve("01", eveServerSrc, eveClientDst, "", `"version":2,"type":"answer","rcode":"NOERROR","answers":[{"rrname":"w\u00e4\ud83d\ude00","rrtype":"CNAME"},{"rrtype":"A"}]`),
		"[\n{\n \"event_type\": \"flow\"\n},\n{\"event_type\":\"dns\"\n")
}

func FuzzNDJSON(f *testing.F) {
	fuzzDecoder(f, NDJSON, string(AppendNDJSON(nil, everything())), `{"time":1,"name":"a"}{"time":"2020-01-01T00:00:00Z","name":"\u0041.b","rcode":3}`)
}

func FuzzDnstap(f *testing.F) {
	q, r := tapMsg{typ: tapQ, id: 1, name: "a.example.", identity: "ns"}.bytes(f), tapMsg{typ: tapR, id: 1, name: "a.example."}.bytes(f)
	fuzzDecoder(f, Dnstap, string(tapStream(f, q, r)), string(tapStream(f, r)), string(q))
}

func FuzzDnstapMessage(f *testing.F) {
	q, r := tapMsg{typ: tapQ, id: 1, name: "a.example.", identity: "ns"}.bytes(f), tapMsg{typ: tapR, id: 1, name: "a.example."}.bytes(f)
	fuzzDecoder(f, DnstapMessage, string(lengthFirst(q, r)), string(q))
}

func FuzzPowerDNS(f *testing.F) {
	q := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "a.example.", qtype: 1, proto: 1, flags: true, isEDNS: true, subnet: []byte{1, 2, 0, 0}}
	r := pbMsg{typ: pdnsResponse, uuid: "a", sec: pbSec, name: "a.example.", qtype: 1, proto: 1, owners: []string{"b.", "c."}}
	fuzzDecoder(f, PowerDNS, string(lengthFirst(q.bytes(), r.bytes())), string(q.bytes()))
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte(bindBenchLine))
	f.Add([]byte("{\"a\":{\"b\":[]}}\n{"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, detect := range []func([]byte) int{DetectBindLog, DetectDnstap, DetectDnstapMessage, DetectPowerDNS, DetectCDNS, DetectNDJSON, DetectSuricataDNS, DetectZeekDNS} {
			detect(b)
		}
	})
}

// FuzzAddr holds parseAddr against the standard library.
func FuzzAddr(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::", "::1", "1::", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "01.2.3.4", "1::2::3", "1:2:3:4:5:6:7::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := decode.ParseAddr([]byte(s))
		want, err := netip.ParseAddr(s)
		if want = want.Unmap().WithZone(""); ok != (err == nil) || (ok && got != want) {
			t.Fatalf("%q: %v %v, want %v %v", s, got, ok, want, err)
		}
	})
}

// TestMemoryBounded: endless lines and names do not make a decoder grow.
func TestMemoryBounded(t *testing.T) {
	for name, d := range map[string]Decode{"bind": BindLog, "zeek": ZeekDNS, "suricata": SuricataDNS, "ndjson": NDJSON, "dnstap": Dnstap, "dnstap-message": DnstapMessage, "powerdns": PowerDNS, "c-dns": CDNS} {
		for _, lead := range []string{"", "{\"name\":\"", "#fields\t", "20-Sep-2024 10:20:26.751 client 1.2.3.4#5: query: ", "\x00\x00\x00\x00"} {
			pickettest.Bounded(t, name, lead, func(r io.Reader) {
				_ = d(context.Background(), r, decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
			})
		}
	}
}

// endless delivers lead and then letters without a line end.
type endless struct {
	lead string
	left int
}

func (r *endless) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, errEndless
	}
	n := copy(b, r.lead)
	r.lead = r.lead[n:]
	for i := n; i < len(b); i++ {
		b[i] = 'a'
	}
	r.left -= len(b)
	return len(b), nil
}

var errEndless = context.DeadlineExceeded
