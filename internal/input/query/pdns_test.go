package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/bits"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/pickettest"
)

// pbMsg describes one PBDNSMessage for tests; zero values are left out.
type pbMsg struct {
	typ           uint64
	uuid          string
	sec, usec     uint64
	querySec      uint64 // of a response
	name          string
	qtype         uint64
	proto         uint64
	from          []byte
	port, id      uint64
	rcode         uint64
	owners        []string // of answers
	header        uint16
	ttl           uint32 // of the OPT record, with isEDNS
	flags, isEDNS bool
	subnet        []byte
	identity      string
	tail          []byte // of the message, as it is
	noQuestion    bool
}

func (m pbMsg) bytes() []byte {
	var b []byte
	num := func(b []byte, field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
	}
	str := func(b []byte, field protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
	}
	opt := func(field protowire.Number, v uint64) {
		if v != 0 {
			b = num(b, field, v)
		}
	}
	if m.from == nil {
		m.from = []byte{192, 0, 2, 1}
	}
	b = num(b, 1, m.typ)
	opt(9, m.sec)
	opt(10, m.usec)
	if m.uuid != "" {
		b = str(b, 2, append(make([]byte, 16-len(m.uuid)), m.uuid...))
	}
	opt(5, m.proto)
	b = str(str(b, 6, m.from), 7, []byte{192, 0, 2, 53})
	opt(11, m.id)
	if !m.noQuestion {
		q := num(str(nil, 1, []byte(m.name)), 2, m.qtype)
		b = str(b, 12, num(q, 3, 1))
	}
	opt(20, m.port)
	if m.subnet != nil {
		b = str(b, 14, m.subnet)
	}
	if m.identity != "" {
		b = str(b, 3, []byte(m.identity))
	}
	if m.flags {
		b = num(b, 28, uint64(bits.ReverseBytes16(m.header)))
	}
	if m.isEDNS {
		b = num(b, 29, uint64(bits.ReverseBytes32(m.ttl)))
	}
	if m.typ == pdnsResponse {
		r := num(nil, 1, m.rcode)
		for _, o := range m.owners {
			r = str(r, 2, num(str(nil, 1, []byte(o)), 2, 1))
		}
		if m.querySec != 0 {
			r = num(r, 5, m.querySec)
		}
		b = str(b, 13, r)
	}
	return append(b, m.tail...)
}

// lengthFirst puts messages into a stream, each with its length in front.
func lengthFirst(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

const pbSec = 1_700_000_000

func TestPowerDNS(t *testing.T) {
	const who = "2023-11-14T22:13:20Z 192.0.2.1:7>192.0.2.53 udp "
	q := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "www.example.com.", qtype: 1, proto: 1, port: 7}
	r := pbMsg{typ: pdnsResponse, uuid: "a", sec: pbSec + 1, querySec: pbSec, name: "www.example.com.", qtype: 1, proto: 1, port: 7}
	with := func(m pbMsg, f func(*pbMsg)) pbMsg { f(&m); return m }
	tests := []struct {
		name    string
		msgs    []pbMsg
		want    []string
		skipped map[string]int
	}{
		{"pair", []pbMsg{q, with(r, func(m *pbMsg) { m.rcode = 3 })}, []string{who + "www.example.com IN A NXDOMAIN response"}, map[string]int{skipTapPaired: 1}},
		{"query alone", []pbMsg{q}, []string{who + "www.example.com IN A ? "}, nil},
		{"response alone", []pbMsg{r}, []string{who + "www.example.com IN A NOERROR response"}, nil},
		{"other uuid", []pbMsg{q, with(r, func(m *pbMsg) { m.uuid = "b" })},
			[]string{who + "www.example.com IN A ? ", who + "www.example.com IN A NOERROR response"}, nil},
		{"no uuid: client and id", []pbMsg{with(q, func(m *pbMsg) { m.uuid, m.id = "", 9 }), with(q, func(m *pbMsg) { m.uuid, m.id = "", 8 }),
			with(r, func(m *pbMsg) { m.uuid, m.id, m.rcode = "", 8, 5 })},
			[]string{who + "www.example.com IN A ? ", who + "www.example.com IN A REFUSED response"}, map[string]int{skipTapPaired: 1}},
		{"nobody answered", []pbMsg{q, with(r, func(m *pbMsg) { m.rcode = pdnsRcodeFailed })}, []string{who + "www.example.com IN A ? "}, map[string]int{skipTapPaired: 1}},
		{"late", []pbMsg{q, with(q, func(m *pbMsg) { m.uuid, m.sec, m.name = "b", pbSec+3, "." }), with(r, func(m *pbMsg) { m.sec = pbSec + 4 })},
			[]string{who + "www.example.com IN A ? ", strings.Replace(who, ":20Z", ":23Z", 1) + ". IN A ? "}, map[string]int{skipLate: 1}},
		{"flags", []pbMsg{with(q, func(m *pbMsg) {
			m.flags, m.header, m.isEDNS, m.ttl, m.name = true, bitRD|bitAD|bitCD, true, 0x8000, "WWW.example.com"
		}), with(r, func(m *pbMsg) { m.flags, m.header = true, bitQR|bitAA|bitTC|bitRD })},
			[]string{who + "www.example.com IN A NOERROR rd,cd,ad,edns,do,mixed,response,aa,tc,flags"}, map[string]int{skipTapPaired: 1}},
		{"EDNS version", []pbMsg{with(q, func(m *pbMsg) { m.isEDNS, m.ttl = true, 1<<16 })}, []string{who + "www.example.com IN A ? edns,badedns"}, nil},
		{"subnet and escapes", []pbMsg{with(q, func(m *pbMsg) { m.subnet, m.name = []byte{198, 51, 100, 0}, `a\032b\.c.example.` })},
			[]string{who + `a\032b\.c.example IN A ?  ecs=198.51.100.0/24`}, nil},
		{"transports", []pbMsg{with(q, func(m *pbMsg) { m.proto = 3 }), with(q, func(m *pbMsg) { m.proto = 7 }), with(q, func(m *pbMsg) { m.proto = 99 })},
			[]string{strings.Replace(who, "udp", "tls", 1) + "www.example.com IN A ? ", strings.Replace(who, "udp", "quic", 1) + "www.example.com IN A ? ",
				strings.Replace(who, "udp", "", 1) + "www.example.com IN A ? "}, nil},
		{"what a resolver asks", []pbMsg{with(q, func(m *pbMsg) { m.typ = 3 }), with(q, func(m *pbMsg) { m.typ = 4 }), with(q, func(m *pbMsg) { m.typ = 9 })},
			nil, map[string]int{"DNSOutgoingQueryType": 1, "DNSIncomingResponseType": 1, skipPdnsType: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var msgs [][]byte
			for _, m := range tt.msgs {
				msgs = append(msgs, m.bytes())
			}
			got, acct := decodeText(t, PowerDNS, string(lengthFirst(msgs...)), decode.Options{})
			compare(t, got, tt.want)
			skipped := 0
			for reason, n := range tt.skipped {
				if acct.skipped[reason] != n {
					t.Errorf("skipped %q %d, want %d", reason, acct.skipped[reason], n)
				}
				skipped += n
			}
			if acct.total() != len(tt.msgs) || len(acct.rejected) > 0 || len(tt.want)+skipped != len(tt.msgs) {
				t.Errorf("accepted %d, rejected %v, skipped %v", acct.accepted, acct.rejected, acct.skipped)
			}
		})
	}
}

func TestPowerDNSAnswers(t *testing.T) {
	in := lengthFirst(pbMsg{typ: pdnsResponse, uuid: "a", sec: pbSec, name: "w.example.", qtype: 1, identity: "front1", owners: []string{"x.example.", "y.example."}}.bytes())
	n := 0
	err := PowerDNS(context.Background(), bytes.NewReader(in), decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
		n++
		if q.Response.Answers != 2 || string(q.Response.Owner) != "\x01x\x07example\x00" || q.Sensor != "front1" {
			t.Errorf("%+v", q)
		}
		return nil
	}))
	if err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestPowerDNSRejects(t *testing.T) {
	good := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "good.example.", qtype: 1}
	with := func(f func(*pbMsg)) []byte { m := good; f(&m); return m.bytes() }
	for _, tt := range []struct {
		reason string
		msg    []byte
	}{
		{decode.ReasonBadName, with(func(m *pbMsg) { m.name = "a..b." })},
		{decode.ReasonBadName, with(func(m *pbMsg) { m.name = strings.Repeat("a", 64) })},
		{decode.ReasonType, with(func(m *pbMsg) { m.qtype = 1 << 16 })},
		{decode.ReasonType, with(func(m *pbMsg) { m.qtype = 0 })},
		{reasonMicros, with(func(m *pbMsg) { m.usec = 1e6 })},
		{reasonSeconds, with(func(m *pbMsg) { m.sec = 1 << 60 })},
		{reasonTapTime, with(func(m *pbMsg) { m.sec = 0 })},
		{reasonTapAddr, with(func(m *pbMsg) { m.from = []byte{1, 2, 3} })},
		{reasonPort, with(func(m *pbMsg) { m.port = 1 << 20 })},
		{reasonNoQuestion, with(func(m *pbMsg) { m.noQuestion = true })},
		{reasonProto, with(func(m *pbMsg) { m.tail = []byte{0xff} })},
	} {
		checkRecords(t, PowerDNS, lengthFirst(good.bytes(), tt.msg, good.bytes()), tt.reason)
		checkRecords(t, PowerDNS, tt.msg, tt.reason)
	}
}

// TestPrefixedInputs: streams with lengths, and single messages, of both formats
// that come so.
func TestPrefixedInputs(t *testing.T) {
	tap := tapMsg{typ: tapQ, name: "a.", identity: "ns1"}.bytes(t)
	pb := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "a.", qtype: 1}.bytes()
	// A first message whose length looks like the beginning of a bare one.
	long := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "a.", qtype: 1}
	long.tail = protowire.AppendBytes(protowire.AppendTag(nil, 19, protowire.BytesType), make([]byte, 0x0801-len(pb)-4))
	if n := len(long.bytes()); n != 0x0801 {
		t.Fatalf("%d bytes", n)
	}
	tests := []struct {
		name string
		d    Decode
		in   []byte
		n    int
		err  string
	}{
		{"dnstap, lengths", DnstapMessage, lengthFirst(tap, tap, tap), 3, ""},
		{"dnstap, one with length", DnstapMessage, lengthFirst(tap), 1, ""},
		{"dnstap, bare", DnstapMessage, tap, 1, ""},
		{"dnstap, cut", DnstapMessage, lengthFirst(tap, tap)[:len(tap)+20], 1, "ends within the message at offset"},
		{"powerdns, lengths", PowerDNS, lengthFirst(pb, pb), 2, ""},
		{"powerdns, bare", PowerDNS, pb, 1, ""},
		{"powerdns, length 0x0801", PowerDNS, lengthFirst(long.bytes(), pb), 2, ""},
		{"powerdns, cut in a length", PowerDNS, append(lengthFirst(pb), 1), 1, "ends within the message at offset"},
		{"empty", PowerDNS, nil, 0, ""},
		{"one byte", PowerDNS, []byte{8}, 0, ""},
	}
	for _, tt := range tests {
		acct, n := newTally(), 0
		err := tt.d(context.Background(), bytes.NewReader(tt.in), decode.Options{}, acct, picket.QuerySinkFunc(func(*picket.Query) error { n++; return nil }))
		if n != tt.n || (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %d queries, %v; want %d, %q", tt.name, n, err, tt.n, tt.err)
		}
	}
	for name, tt := range map[string]struct {
		detect func([]byte) int
		in     []byte
		yes    bool
	}{
		"dnstap":                   {DetectDnstapMessage, lengthFirst(tap, tap), true},
		"dnstap bare":              {DetectDnstapMessage, tap, true},
		"dnstap cut":               {DetectDnstapMessage, lengthFirst(tap, tap)[:len(tap)+9], true},
		"dnstap, powerdns' bytes":  {DetectDnstapMessage, lengthFirst(pb, pb), false},
		"dnstap, bare powerdns":    {DetectDnstapMessage, pb, false},
		"dnstap, Frame Streams":    {DetectDnstapMessage, tapStream(t, tap), false},
		"powerdns":                 {DetectPowerDNS, lengthFirst(pb, pb), true},
		"powerdns bare":            {DetectPowerDNS, pb, true},
		"powerdns, dnstap's bytes": {DetectPowerDNS, lengthFirst(tap, tap), false},
		"powerdns, bare dnstap":    {DetectPowerDNS, tap, false},
		"powerdns, nothing":        {DetectPowerDNS, nil, false},
		"powerdns, DNS over TCP":   {DetectPowerDNS, lengthFirst(ask(1, "a.example")), false},
		"dnstap, DNS over TCP":     {DetectDnstapMessage, lengthFirst(ask(1, "a.example")), false},
	} {
		if got := tt.detect(tt.in); (got >= 75) != tt.yes || !tt.yes && got != 0 {
			t.Errorf("%s: detected with %d", name, got)
		}
	}
}

func TestDnstapMessageRejects(t *testing.T) {
	bad := tapMsg{typ: tapQ, name: "a.", change: badNanos}.bytes(t)
	good := tapMsg{typ: tapQ, name: "a."}.bytes(t)
	checkRecords(t, DnstapMessage, bad, reasonNanos)
	checkRecords(t, DnstapMessage, lengthFirst(bad, good), reasonNanos)
	checkRecords(t, DnstapMessage, lengthFirst(good, bad, []byte{0xff, 0xff}), reasonNanos, reasonProto)
	checkRecords(t, DnstapMessage, []byte("neither this nor that"), reasonProto)
}

// TestDnstapClient: a front end's messages count when asked for.
func TestDnstapClient(t *testing.T) {
	in := tapStream(t, tapMsg{typ: tapClientQuery, id: 1, name: "a."}.bytes(t), tapMsg{typ: tapClientResponse, id: 1, name: "a.", rcode: 3, at: 0.1}.bytes(t))
	for client, want := range map[bool][2]int{false: {0, 2}, true: {1, 1}} {
		_, acct := decodeText(t, Dnstap, string(in), decode.Options{Client: client})
		if acct.accepted != want[0] || acct.total()-acct.accepted != want[1] || len(acct.rejected) != 0 {
			t.Errorf("client %v: accepted %d, skipped %v, rejected %v", client, acct.accepted, acct.skipped, acct.rejected)
		}
	}
}

// TestDnstapSharedMessages: single messages from BIND's own tests.
func TestDnstapSharedMessages(t *testing.T) {
	for file, want := range map[string]struct {
		query, rejected string
	}{
		"bind9--correct_query_nanosec.dnstap":  {query: "2026-06-18T07:04:13.076932117Z 10.53.0.1:43853>10.53.0.10 udp isc.org IN A ? rd,ad,edns,flags"},
		"bind9--query_time_nanosec_big.dnstap": {rejected: reasonNanos},
	} {
		b, err := os.ReadFile(pickettest.Shared(t, "samples", "dnstap", file))
		if err != nil {
			t.Fatal(err)
		}
		got, acct := decodeText(t, DnstapMessage, string(b), decode.Options{Client: true})
		if want.query != "" {
			compare(t, got, []string{want.query})
		}
		if acct.total() != 1 || want.rejected != "" && acct.rejected[want.rejected] != 1 {
			t.Errorf("%s: accepted %d, rejected %v, skipped %v", file, acct.accepted, acct.rejected, acct.skipped)
		}
	}
}

func BenchmarkPowerDNS(b *testing.B) {
	var msgs [][]byte
	for i := range 500 {
		m := pbMsg{typ: pdnsQuery, uuid: string([]byte{'a', byte(i >> 8), byte(i)}), sec: pbSec + uint64(i/100), name: "host.dept.example.com.", qtype: 1, proto: 1, identity: "front1"}
		msgs = append(msgs, m.bytes())
		m.typ, m.owners = pdnsResponse, []string{"host.dept.example.com."}
		msgs = append(msgs, m.bytes())
	}
	benchMessages(b, PowerDNS, lengthFirst(msgs...), len(msgs))
}

// benchMessages decodes a stream again and again.
func benchMessages(b *testing.B, d Decode, in []byte, n int) {
	b.ReportAllocs()
	const times = 200
	all := bytes.Repeat(in, times)
	b.SetBytes(int64(len(all)))
	b.ResetTimer()
	for range b.N {
		if err := d(context.Background(), bytes.NewReader(all), decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil })); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*times*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
