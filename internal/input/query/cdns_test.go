package query

import (
	"bytes"
	"context"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// cdnsLines decodes in and returns the queries as NDJSON, after change.
func cdnsLines(t *testing.T, d Decode, in []byte, change func(*picket.Query)) []string {
	t.Helper()
	var out []string
	acct := newTally()
	err := d(context.Background(), bytes.NewReader(in), decode.Options{}, acct, picket.QuerySinkFunc(func(q *picket.Query) error {
		c := *q
		change(&c)
		out = append(out, string(AppendNDJSON(nil, &c)))
		return nil
	}))
	if err != nil || len(acct.rejected) > 0 {
		t.Fatalf("%v, rejected %v", err, acct.rejected)
	}
	return out
}

// TestCDNSRoundTrip: what captures hold reads the same after it was written as C-DNS.
func TestCDNSRoundTrip(t *testing.T) {
	// What C-DNS does not keep, or the writer in these tests.
	const lost = picket.FlagMixed | picket.FlagTSIG
	plain := func(q *picket.Query) {
		q.Flags &^= lost
		q.Sensor = "ns1.example.com"
		var kept []picket.Denial
		for _, d := range q.Response.Denials {
			if !d.NSEC3 {
				kept = append(kept, d)
			}
		}
		q.Response.Denials = kept
	}
	captures := map[string][]byte{"generated": generate(300)}
	for _, name := range []string{"vis-dig-chaos", "vis-benign-mail", "vis-dnsenum-direct"} {
		captures[name] = readSample(t, "recon", "captures", name+".pcap.gz")
	}
	for name, capture := range captures {
		want := cdnsLines(t, Pcap, capture, plain)
		for _, variant := range []string{"plain", "endless", "private", "auth", "microseconds"} {
			f := newCdnsFile()
			f.endless, f.private = variant == "endless", variant == "private"
			if variant == "auth" {
				f.kind = cdnsKindAuth
			}
			f.earliest = 0
			if variant == "microseconds" {
				f.ticks = 1e6
			}
			err := Pcap(context.Background(), bytes.NewReader(capture), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
				if f.earliest == 0 {
					f.earliest = q.Time/1e9*1e9 - 1e9
				}
				c := *q
				plain(&c)
				f.add(&c, false)
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			got := cdnsLines(t, CDNS, f.bytes(), func(*picket.Query) {})
			if len(got) != len(want) || len(got) < 10 {
				t.Fatalf("%s, %s: %d queries, want %d", name, variant, len(got), len(want))
			}
			bad := 0
			for i := range got {
				if got[i] != want[i] && bad < 3 {
					bad++
					t.Errorf("%s, %s: %d\ngot  %swant %s", name, variant, i, got[i], want[i])
				}
			}
			if n := DetectCDNS(f.bytes()); n != 100 {
				t.Errorf("%s: detected with %d", variant, n)
			}
		}
	}
}

// cdnsQuery is a transaction with a response.
func cdnsQuery(name string) *picket.Query {
	return &picket.Query{Time: at0 + 5*ms, Client: netip.MustParseAddr("198.51.100.7"), Server: netip.MustParseAddr("192.0.2.53"), ClientPort: 7,
		Transport: picket.TransportUDP, Type: 1, Class: 1, Rcode: 3, Name: wire(name), EDNSSize: 1232,
		Flags: picket.FlagRD | picket.FlagEDNS | picket.FlagDO | picket.FlagResponse | picket.FlagAA | picket.FlagFlags}
}

func wire(name string) (b []byte) {
	q := picket.Query{}
	if !decode.SetName(&q, []byte(name)) {
		panic(name)
	}
	return q.Name
}

func TestCDNSKinds(t *testing.T) {
	for kind, want := range map[int]struct {
		skip   string
		client bool
	}{-1: {}, cdnsKindAuth: {}, cdnsKindClient: {"CLIENT", true}, 0: {skip: "STUB"}, 2: {skip: "RESOLVER"}, 5: {skip: "TOOL"}, 9: {skip: "unknown transaction type"}} {
		f := newCdnsFile()
		f.kind = kind
		in := string(f.add(cdnsQuery("a.example"), false).bytes())
		got, acct := decodeText(t, CDNS, in, decode.Options{})
		if want.skip == "" && len(got) != 1 || want.skip != "" && acct.skipped[want.skip] != 1 || acct.total() != 1 {
			t.Errorf("%d: %v, %v, %v", kind, got, acct.skipped, acct.rejected)
		}
		if got, _ = decodeText(t, CDNS, in, decode.Options{Client: true}); (len(got) == 1) != (want.skip == "" || want.client) {
			t.Errorf("%d with client: %v", kind, got)
		}
	}
}

func TestCDNSItems(t *testing.T) {
	at := "2023-11-14T22:13:20.005Z 198.51.100.7:7>192.0.2.53 udp "
	change := func(f func(*picket.Query)) *picket.Query { q := cdnsQuery("a.example"); f(q); return q }
	tests := []struct {
		name string
		file *cdnsFile
		want string
	}{
		{"pair", newCdnsFile().add(cdnsQuery("a.example"), false), at + "a.example IN A NXDOMAIN rd,edns,do,response,aa,flags"},
		{"response alone", newCdnsFile().add(change(func(q *picket.Query) { q.Flags &^= picket.FlagEDNS | picket.FlagDO; q.EDNSSize = 0 }), true),
			at + "a.example IN A NXDOMAIN rd,response,aa,flags"},
		{"query alone", newCdnsFile().add(change(func(q *picket.Query) { q.Flags &^= picket.FlagResponse | picket.FlagAA; q.Rcode = -1 }), false),
			at + "a.example IN A ? rd,edns,do,flags"},
		{"extended code over TLS", newCdnsFile().add(change(func(q *picket.Query) { q.Rcode, q.Transport = 16, picket.TransportTLS }), false),
			strings.Replace(at, "udp", "tls", 1) + "a.example IN A BADVERS rd,edns,do,response,aa,flags"},
		{"other case", newCdnsFile().add(change(func(q *picket.Query) { q.Name = []byte("\x01A\x07example\x00") }), false),
			at + "a.example IN A NXDOMAIN rd,edns,do,mixed,response,aa,flags"},
		{"referral", newCdnsFile().add(change(func(q *picket.Query) {
			q.Rcode, q.Response.Authority = 0, wire("example")
			q.Flags &^= picket.FlagAA
		}), false), at + "a.example IN A NOERROR rd,edns,do,response,flags,referral"},
	}
	for _, tt := range tests {
		got, acct := decodeText(t, CDNS, string(tt.file.bytes()), decode.Options{})
		compare(t, got, []string{tt.want})
		if acct.total() != 1 || t.Failed() {
			t.Errorf("%s: rejected %v, skipped %v", tt.name, acct.rejected, acct.skipped)
		}
	}
}

// TestCDNSDenials: hashed denials, which the writer of these tests takes as they are.
func TestCDNSDenials(t *testing.T) {
	f := newCdnsFile()
	hash, next := bytes.Repeat([]byte{0xff}, 20), bytes.Repeat([]byte{7}, 20)
	owner := wire("vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv.example")
	data := append(append([]byte{1, 0, 0, 0, 2, 0xab, 0xcd, 20}, next...), 0, 1, 0x40)
	f.rr(wire("unused.example"), typeNS, nil)
	list := f.put(cdnsRRLists, cborArr([][]byte{f.rr(wire("example"), typeSOA, nil), f.rr(owner, typeNSEC3, data)}, false))
	f.add(cdnsQuery("a.example"), false)
	var ext cborObj
	ext.uint(2, list)
	item := cborObj{b: f.items[0][1:], n: int(f.items[0][0] & 0x1f)}
	item.raw(12, ext.bytes())
	f.items[0] = item.bytes()
	n := 0
	err := CDNS(context.Background(), bytes.NewReader(f.bytes()), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
		n++
		r := &q.Response
		if len(r.Denials) != 1 || !r.Denials[0].NSEC3 || !bytes.Equal(r.Denials[0].Owner, hash) || !bytes.Equal(r.Denials[0].Next, next) ||
			!r.HasSOA || string(r.Authority) != "\x07example\x00" || r.Answers != 0 || q.Has(picket.FlagReferral) {
			t.Errorf("%+v", r)
		}
		return nil
	}))
	if err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestCDNSPrefix: addresses of which the collector kept the beginning.
func TestCDNSPrefix(t *testing.T) {
	f := newCdnsFile()
	f.prefix4 = 20
	var notes []string
	var client string
	err := CDNS(context.Background(), bytes.NewReader(f.add(cdnsQuery("a.example"), false).bytes()), decode.Options{Note: func(s string) { notes = append(notes, s) }},
		newTally(), picket.QuerySinkFunc(func(q *picket.Query) error { client = q.Client.String(); return nil }))
	if err != nil || client != "198.51.100.0" || len(notes) != 1 || !strings.Contains(notes[0], "a client is a network") {
		t.Errorf("%v, %s, %q", err, client, notes)
	}
}

func TestCDNSRejects(t *testing.T) {
	item := func(keys ...uint64) []byte {
		var m cborObj
		for i := 0; i < len(keys); i += 2 {
			m.uint(keys[i], keys[i+1])
		}
		return m.bytes()
	}
	for _, tt := range []struct {
		reason string
		item   []byte
	}{
		{reasonCdnsIndex, item(0, 1, 1, 99, 4, 0, 7, 0)},
		{reasonCdnsIndex, item(0, 1, 1, 0, 4, 77, 7, 0)},
		{reasonCdnsIndex, item(0, 1, 1, 0, 4, 0, 7, 12345)},
		{reasonPort, item(0, 1, 2, 1<<16, 4, 0, 7, 0)},
		{reasonNoQuestion, item(0, 1, 1, 0, 4, 0)},
		{reasonNoQuestion, item(0, 1, 1, 0, 7, 0)},
		{reasonCdnsItem, item(0, 1)[:2:2]},
		{reasonCdnsTime, item(0, 1<<63, 4, 0, 7, 0)},
		{reasonCdnsItem, []byte{0}},
		{reasonName, nil},
	} {
		f := newCdnsFile()
		f.add(cdnsQuery("good.example"), false)
		switch {
		case tt.item == nil:
			q := cdnsQuery("a.example")
			q.Name = []byte("\x01a\xc0\x00")
			f.add(q, false)
		case len(tt.item) == 2:
			f.items = append(f.items, []byte{cborMap<<5 | 1, 0, cborText<<5 | 1, 'x'})
		default:
			f.items = append(f.items, tt.item)
		}
		f.add(cdnsQuery("good.example"), false)
		checkRecords(t, CDNS, f.bytes(), tt.reason)
	}
	checkRecords(t, CDNS, newCdnsFile().add(cdnsQuery("a.example"), false).others().bytes(), reasonCdnsMalformed)

	// A block whose parameters, or whose preamble, are not there.
	whole := newCdnsFile().add(cdnsQuery("a.example"), false).add(cdnsQuery("b.example"), false).bytes()
	preamble := append([]byte{0, cborMap<<5 | 1, 0, cborArray<<5 | 2}, cborU(nil, uint64(at0/1e9))...)
	at := bytes.Index(whole, preamble)
	if at < 0 {
		t.Fatal("no block preamble")
	}
	other := append(bytes.Clone(whole[:at]), 0, cborMap<<5|1, 1, 9)
	checkRecords(t, CDNS, append(other, whole[at+len(preamble)+1:]...), reasonCdnsParams, reasonCdnsParams)
	other = append(bytes.Clone(whole[:at]), 0, cborMap<<5|1, 0, 7)
	checkRecords(t, CDNS, append(other, whole[at+len(preamble)+1:]...), reasonCdnsBlock, reasonCdnsBlock)
}

func TestCDNSStreams(t *testing.T) {
	whole := newCdnsFile().add(cdnsQuery("a.example"), false).add(cdnsQuery("b.example"), false).bytes()
	f := newCdnsFile()
	f.endless = true
	endless := f.add(cdnsQuery("a.example"), false).bytes()
	head := append([]byte{cborArray<<5 | 3}, cborStr(nil, cborText, "C-DNS")...)
	version := func(major, minor byte) []byte {
		return append(bytes.Clone(head), cborMap<<5|2, 0, major, 1, minor, 0x80)
	}
	blockAt := bytes.Index(whole, []byte{cborArray<<5 | 1, cborMap<<5 | 4, 0})
	if blockAt < 0 {
		t.Fatal("no block")
	}
	block := func(b ...byte) []byte { return append(bytes.Clone(whole[:blockAt+1]), b...) }
	tests := []struct {
		name string
		in   []byte
		n    int
		err  string
	}{
		{"whole", whole, 2, ""},
		{"two files", append(bytes.Clone(whole), whole...), 4, ""},
		{"endless, then one more", append(bytes.Clone(endless), whole...), 3, ""},
		{"empty", nil, 0, ""},
		{"version 0.5", version(0, 5), 0, "version 0.5 is not supported"},
		{"version 2.0", version(2, 0), 0, "version 2.0 is not supported"},
		{"version 0.2", append([]byte{cborArray<<5 | 3}, cborStr(nil, cborText, "DNS-STAT")...), 0, `file type at offset 0 is "DNS-STAT"`},
		{"other CBOR", []byte{cborMap<<5 | 1, 0, 0}, 0, "no C-DNS file at offset 0"},
		{"text", []byte("client query"), 0, "no C-DNS file"},
		{"cut in the preamble", whole[:12], 0, "file preamble at offset 7: the stream ends within it"},
		{"cut in a block", whole[:len(whole)-1], 0, "block at offset"},
		{"cut before the end", endless[:len(endless)-1], 1, "end of file at offset"},
		{"garbage behind", append(bytes.Clone(whole), 0), 2, "no C-DNS file at offset"},
		{"break for a block", block(cborBreak), 0, "broken CBOR"},
		{"reserved head", block(28), 0, "broken CBOR"},
		{"huge string", block(cborBytes<<5|27, 0, 0, 0, 1, 0, 0, 0, 0), 0, "too large"},
		{"huge array", block(cborArray<<5|27, 255, 255, 255, 255, 255, 255, 255, 255), 0, "too large"},
		{"string of half a block, twice", block(cborArray<<5|2, cborBytes<<5|26, 1, 0x80, 0, 0), 0, "ends within it"},
		{"arrays in arrays", block(bytes.Repeat([]byte{cborArray<<5 | 1}, 100)...), 0, "too deep"},
		{"endless arrays in arrays", block(bytes.Repeat([]byte{cborArray<<5 | 31}, 100)...), 0, "too deep"},
		{"tags of tags", block(bytes.Repeat([]byte{cborTag << 5}, 100)...), 0, "too deep"},
	}
	for _, tt := range tests {
		acct, n := newTally(), 0
		err := CDNS(context.Background(), bytes.NewReader(tt.in), decode.Options{}, acct, picket.QuerySinkFunc(func(*picket.Query) error { n++; return nil }))
		if n != tt.n || (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %d queries, %v; want %d, %q", tt.name, n, err, tt.n, tt.err)
		}
	}
	for i := range whole { // wherever a file ends, that is told
		if err := CDNS(context.Background(), bytes.NewReader(whole[:i]), decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil })); (err == nil) != (i == 0) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// TestCDNSMemory: what a file promises is not believed, and a block that is too
// large is not kept.
func TestCDNSMemory(t *testing.T) {
	whole := newCdnsFile().add(cdnsQuery("a.example"), false).bytes()
	blockAt := bytes.Index(whole, []byte{cborArray<<5 | 1, cborMap<<5 | 4, 0})
	for name, lead := range map[string]string{"string": "\xa1\x06\x5a\x01\xff\xff\x00", "strings": "\xa1\x06\x9f", "table": "\xa1\x02\xa1\x02\x9f"} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		err := CDNS(context.Background(), &endless{lead: string(whole[:blockAt+1]) + lead, left: 64 << 20}, decode.Options{}, newTally(),
			picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 5*maxCdnsBlock {
			t.Errorf("%s: %d MiB allocated, %v", name, grown>>20, err)
		}
	}
}

// TestCDNSManyNames: a list that many items name is not read to its end each time.
func TestCDNSManyNames(t *testing.T) {
	f := newCdnsFile()
	q := cdnsQuery("a.example")
	q.Rcode, q.Response.Answers = 0, 40000
	f.add(q, false)
	for len(f.items) < 20000 {
		f.items = append(f.items, f.items[0])
	}
	got, acct := 0, newTally()
	err := CDNS(context.Background(), bytes.NewReader(f.bytes()), decode.Options{}, acct, picket.QuerySinkFunc(func(q *picket.Query) error {
		if q.Response.Answers == 40000 {
			got++
		}
		return nil
	}))
	if err != nil || got != 20000 {
		t.Errorf("%d, %v, %v", got, err, acct.rejected)
	}
}

func FuzzCDNS(f *testing.F) {
	f.Add([]byte{cborArray<<5 | 3})
	one := newCdnsFile()
	one.private = true
	q := cdnsQuery("a.example")
	q.Response = picket.Response{Answers: 2, Owner: wire("b.example"), Authority: wire("example"), HasSOA: true,
		Denials: []picket.Denial{{Owner: wire("a.example"), Next: wire("z.example")}}}
	q.Flags |= picket.FlagCookie | picket.FlagNSID
	two := newCdnsFile()
	two.endless, two.prefix4, two.ticks = true, 24, 1e6
	fuzzDecoder(f, CDNS, string(one.add(q, false).others().bytes()), string(two.add(q, false).add(cdnsQuery("c.example"), true).bytes()))
}

func BenchmarkCDNS(b *testing.B) {
	f := newCdnsFile()
	n := 5000
	err := Pcap(context.Background(), bytes.NewReader(generate(n)), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
		f.add(q, false)
		return nil
	}))
	if err != nil {
		b.Fatal(err)
	}
	benchMessages(b, CDNS, f.bytes(), n)
}
