package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	at0 = int64(1_700_000_000_000_000_000)
	ms  = int64(time.Millisecond)
)

var testFlow = newFlow("198.51.100.7", "192.0.2.53", 40000, 53)

func ask(id uint16, name string) []byte { return newMsg(id, bitRD, name, 1, 1).b }
func answer(id uint16, name string) []byte {
	return newMsg(id, bitQR|bitAA|bitRD, name, 1, 1).rr(1, toQuestion, 1, 1, 60, []byte{192, 0, 2, 1}).b
}

// texts returns the queries' names in order, with "+" when answered.
func texts(l *ledger) (s []string) {
	for i := range l.queries {
		t := dnsname.Text(l.queries[i].Name)
		if l.queries[i].Has(picket.FlagResponse) {
			t += "+"
		}
		s = append(s, t)
	}
	return s
}

func wantTexts(t *testing.T, l *ledger, want ...string) {
	t.Helper()
	if got := texts(l); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %v", got, want, l)
	}
}

func TestPcapLinkLayers(t *testing.T) {
	ip4, ip6 := testFlow.udp(ask(1, "a.example")), newFlow("2001:db8::7", "2001:db8::53", 40000, 53).udp(ask(1, "a.example"))
	sll := func(ip []byte, kind uint16) []byte {
		return append(binary.BigEndian.AppendUint16(make([]byte, 14), kind), ip...)
	}
	sll2 := func(ip []byte, kind uint16) []byte {
		return append(append(binary.BigEndian.AppendUint16(nil, kind), make([]byte, 18)...), ip...)
	}
	family := func(n uint32, ip []byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, n), ip...) }
	for _, c := range []struct {
		name  string
		link  uint32
		frame []byte
	}{
		{"ethernet", 1, ether(ip4)},
		{"ethernet 6", 1, ether(ip6)},
		{"802.1Q", 1, ether(ip4, 0x8100)},
		{"QinQ", 1, ether(ip6, 0x88a8, 0x8100)},
		{"QinQ old", 1, ether(ip4, 0x9100, 0x9100, 0x8100)},
		{"cooked", 113, sll(ip4, etherIPv4)},
		{"cooked 6", 113, sll(ip6, etherIPv6)},
		{"cooked VLAN", 113, sll(append([]byte{0, 7, 8, 0}, ip4...), 0x8100)},
		{"cooked v2", 276, sll2(ip6, etherIPv6)},
		{"null", 0, family(2, ip4)},
		{"null 6", 0, family(30, ip6)},
		{"loop", 108, family(24<<24, ip6)},
		{"raw", 101, ip4}, {"raw 12", 12, ip6}, {"raw 14", 14, ip4}, {"ipv4", 228, ip4}, {"ipv6", 229, ip6},
		{"padded", 1, append(ether(ip4), make([]byte, 9)...)},
	} {
		l := decodePcap(t, newCapture(c.link).add(at0, c.frame).b, decode.Options{})
		if len(l.queries) != 1 || dnsname.Text(l.queries[0].Name) != "a.example" || l.queries[0].ClientPort != 40000 {
			t.Errorf("%s: %v", c.name, l)
		}
	}
	err := Pcap(context.Background(), bytes.NewReader(newCapture(127).b), decode.Options{}, newLedger(), newLedger())
	if err == nil || !strings.Contains(err.Error(), "link type 127") {
		t.Errorf("unknown link type: %v", err)
	}
}

func TestPcapHeaders(t *testing.T) {
	msg := ask(1, "a.example")
	v4 := testFlow.udp(msg)
	options := append(append([]byte{0x46}, v4[1:20]...), append([]byte{1, 1, 1, 1}, v4[20:]...)...)
	binary.BigEndian.PutUint16(options[2:], uint16(len(options)))
	f6 := newFlow("2001:db8::7", "2001:db8::53", 40000, 53)
	ext := append([]byte{60, 0, 1, 4, 0, 0, 0, 0}, append([]byte{protoUDP, 0, 1, 4, 0, 0, 0, 0}, f6.datagram(msg)...)...)
	atomic := append([]byte{protoUDP, 0, 0, 0, 0, 0, 0, 9}, f6.datagram(msg)...)
	l := decodePcap(t, newCapture(101).add(at0, options).add(at0, f6.ip(0, 0, ext)).add(at0, f6.ip(44, 0, atomic)).b, decode.Options{})
	wantTexts(t, l, "a.example", "a.example", "a.example")
}

func TestPcapFragments(t *testing.T) {
	long := strings.Repeat("abcdefghi.", 20) + "example"
	d := testFlow.datagram(answer(7, long))
	f := testFlow.back()
	piece := func(from, to int) []byte {
		word := uint16(from / 8)
		if to < len(d) {
			word |= 0x2000
		}
		return f.ip(protoUDP, word, d[from:min(to, len(d))])
	}
	binary.BigEndian.PutUint16(d, 53)
	binary.BigEndian.PutUint16(d[2:], 40000)
	base := func() *capture { return newCapture(101).add(at0, testFlow.udp(ask(7, long))) }
	order := base().add(at0, piece(0, 80)).add(at0, piece(80, 160)).add(at0, piece(160, 999)).b
	wantTexts(t, decodePcap(t, order, decode.Options{}), long+"+")
	backwards := base().add(at0, piece(160, 999)).add(at0, piece(80, 160)).add(at0, piece(0, 80)).add(at0, piece(0, 80)).b
	l := decodePcap(t, backwards, decode.Options{})
	wantTexts(t, l, long+"+")
	if l.skipped[skipDuplicate] != 1 {
		t.Errorf("repeated fragment: %v", l)
	}
	overlap := base().add(at0, piece(0, 96)).add(at0, piece(80, 160)).add(at0, piece(152, 999)).b
	wantTexts(t, decodePcap(t, overlap, decode.Options{}), long+"+")
	lost := base().add(at0, piece(0, 80)).add(at0+ms, piece(160, 999)).b
	l = decodePcap(t, lost, decode.Options{})
	wantTexts(t, l, long)
	if l.rejected[pcapRejectIncomplete] != 1 {
		t.Errorf("missing fragment: %v", l)
	}
	late := base().add(at0, piece(0, 80)).add(at0+31e9, testFlow.udp(ask(8, "b.example"))).
		add(at0+62e9, testFlow.udp(ask(9, "c.example"))).add(at0+93e9, piece(80, 999)).b
	if l = decodePcap(t, late, decode.Options{}); l.rejected[pcapRejectIncomplete] != 2 {
		t.Errorf("fragments 93 s apart: %v", l)
	}
	flood := newCapture(101)
	for i := range 3 * maxFragGroups {
		g := f
		g.ipID = uint16(i)
		flood.add(at0, g.ip(protoUDP, 0x2000, d[:80]))
	}
	if l = decodePcap(t, flood.b, decode.Options{}); l.rejected[pcapRejectFragEvicted] != 2*maxFragGroups || l.rejected[pcapRejectIncomplete] != maxFragGroups {
		t.Errorf("flood of fragments: %v", l)
	}
}

func TestPcapPairing(t *testing.T) {
	f, b := testFlow, testFlow.back()
	other := newFlow("198.51.100.8", "192.0.2.53", 40000, 53)
	c := newCapture(101)
	c.add(at0, f.udp(ask(1, "one.example")))
	c.add(at0+1*ms, other.udp(ask(1, "two.example")))
	c.add(at0+2*ms, other.back().udp(answer(1, "two.example")))
	c.add(at0+3*ms, f.udp(ask(2, "Three.EXAMPLE")))
	c.add(at0+4*ms, b.udp(answer(2, "tHREE.example")))
	c.add(at0+5*ms, b.udp(answer(3, "unseen.example")))
	c.add(at0+1500*ms, b.udp(answer(1, "one.example")))
	c.add(at0+1600*ms, f.udp(ask(4, "late.example")))
	c.add(at0+4000*ms, b.udp(answer(4, "late.example")))
	l := decodePcap(t, c.b, decode.Options{Sensor: "s1"})
	wantTexts(t, l, "one.example+", "two.example+", "three.example+", "unseen.example+", "late.example")
	if l.skipped[skipLate] != 1 {
		t.Errorf("late response: %v", l)
	}
	q := &l.queries[2]
	want := picket.FlagFlags | picket.FlagRD | picket.FlagMixed | picket.FlagResponse | picket.FlagAA
	if q.Flags != want || q.Response.Answers != 1 || q.Rcode != 0 || q.Time != at0+3*ms || q.Sensor != "s1" {
		t.Errorf("third query: %+v", q)
	}
	if q = &l.queries[3]; q.Client != netip.MustParseAddr("198.51.100.7") || q.ClientPort != 40000 || !q.Has(picket.FlagRD) || q.Server != netip.MustParseAddr("192.0.2.53") {
		t.Errorf("query made up from a response: %+v", q)
	}
	if l.queries[4].Rcode != picket.RcodeUnknown {
		t.Errorf("query without response has rcode %d", l.queries[4].Rcode)
	}
	if l = decodePcap(t, c.b, decode.Options{ResponseTimeout: 5 * time.Second}); len(l.skipped) != 0 || !l.queries[4].Has(picket.FlagResponse) {
		t.Errorf("5 s to wait: %v", l)
	}
}

func TestPcapDuplicates(t *testing.T) {
	q := testFlow.udp(ask(1, "a.example"))
	again := testFlow
	again.ipID = 1
	c := newCapture(1)
	c.add(at0, ether(q)).add(at0+ms, ether(q, 0x8100)) // the same packet, seen twice
	c.add(at0+2*ms, ether(again.udp(ask(1, "a.example"))))
	c.add(at0+200*ms, ether(q))
	c.add(at0+201*ms, ether(testFlow.udp(ask(1, "A.example"))))
	l := decodePcap(t, c.b, decode.Options{})
	wantTexts(t, l, "a.example", "a.example", "a.example", "a.example")
	if l.skipped[skipDuplicate] != 1 {
		t.Errorf("%v", l)
	}
}

func TestPcapPortsAndServers(t *testing.T) {
	c := newCapture(101)
	c.add(at0, newFlow("198.51.100.7", "192.0.2.53", 40000, 5300).udp(ask(1, "a.example")))
	c.add(at0, newFlow("198.51.100.7", "192.0.2.53", 5353, 5353).udp(ask(2, "b.local")))
	c.add(at0, newFlow("192.0.2.53", "203.0.113.1", 40000, 53).udp(ask(3, "c.example")))
	c.add(at0, newFlow("198.51.100.7", "192.0.2.53", 53, 53).udp(ask(4, "d.example")))
	c.add(at0, newFlow("192.0.2.53", "198.51.100.7", 53, 53).udp(answer(4, "d.example")))
	c.add(at0, newFlow("198.51.100.7", "192.0.2.53", 40000, 53).udp(answer(5, "e.example")))
	l := decodePcap(t, c.b, decode.Options{})
	wantTexts(t, l, "c.example", "d.example+")
	if want := (counts{skipPort: 1, skipPcapMDNS: 1, skipWrongWay: 1}); !reflect.DeepEqual(l.skipped, want) {
		t.Errorf("skipped %v, want %v", l.skipped, want)
	}
	l = decodePcap(t, c.b, decode.Options{Ports: []uint16{53, 5300}, Servers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	wantTexts(t, l, "a.example", "d.example+")
	if l.skipped[skipServer] != 1 {
		t.Errorf("other server: %v", l)
	}
}

func TestPcapWrongClocks(t *testing.T) {
	b := testFlow.back()
	c := newCapture(101)
	c.add(at0, testFlow.udp(ask(1, "a.example")))
	c.add(4_294_967_295e9, testFlow.udp(ask(2, "b.example")))
	c.add(at0+10*ms, b.udp(answer(1, "a.example")))
	c.add(0, testFlow.udp(ask(3, "c.example")))
	c.add(at0+20*ms, b.udp(answer(2, "b.example")))
	c.add(at0+30*ms, b.udp(answer(3, "c.example")))
	c.add(at0+40*ms, testFlow.udp(ask(4, "d.example")))
	c.add(at0+3600e9, testFlow.udp(ask(5, "e.example")))
	c.add(at0+3600e9+ms, b.udp(answer(5, "e.example")))
	c.add(at0+3600e9+2*ms, b.udp(answer(4, "d.example")))
	l := decodePcap(t, c.b, decode.Options{})
	wantTexts(t, l, "a.example+", "b.example+", "c.example+", "d.example", "e.example+")
	if l.queries[1].Time != 4_294_967_295e9 || l.queries[2].Time != 0 {
		t.Errorf("times %d, %d are not the packets' own", l.queries[1].Time, l.queries[2].Time)
	}
}

// TestPendingBounds fills the ring with unanswered queries, then answers the newest.
func TestPendingBounds(t *testing.T) {
	var out []int64
	p := newPending("", func(q *picket.Query, _ *slot) error { out = append(out, q.Time); return nil })
	p.maxSlots, p.maxBytes = 1024, 1<<15
	name := dnsname.MustParse(strings.Repeat("abcdefghi.", 10) + "example")
	var last uint64
	for i := range 5000 {
		seq, s, err := p.add(&picket.Query{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		s.time, s.deadline, s.hash = int64(i), math.MaxInt64, uint64(i%7)*0x9e3779b97f4a7c15
		p.wait(seq, s)
		last = seq
	}
	if n := int(p.tail - p.head); n != (1<<15)/len(name) || len(p.slots) > 1024 {
		t.Errorf("ring holds %d queries in %d slots", n, len(p.slots))
	}
	big := picket.Query{Rcode: 3, Flags: picket.FlagResponse, Response: picket.Response{Authority: name, Denials: []picket.Denial{{Owner: name, Next: name}}}}
	if err := p.answer(last, &big); err != nil {
		t.Fatal(err)
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	for i, x := range out {
		if int64(i) != x {
			t.Fatalf("query %d came out at %d", x, i)
		}
	}
	if len(out) != 5000 || p.index.n != 0 || p.from != p.to {
		t.Errorf("%d queries out, %d in index, %d bytes held", len(out), p.index.n, p.to-p.from)
	}
}

// TestPcapSameKeyFlood sends very many queries with one key: pairing must stay cheap.
func TestPcapSameKeyFlood(t *testing.T) {
	c := newCapture(101)
	for i := range 20000 {
		f := testFlow
		f.ipID = uint16(i)
		c.add(at0+int64(i)*1000, f.udp(ask(1, "a.example")))
	}
	c.add(at0+21*ms, testFlow.back().udp(answer(1, "b.example")))
	for i := range 100 {
		f := testFlow.back()
		f.ipID = uint16(i)
		c.add(at0+22*ms, f.udp(answer(1, "a.example")))
	}
	l := decodePcap(t, c.b, decode.Options{})
	answered := 0
	for i := range l.queries {
		if l.queries[i].Has(picket.FlagResponse) {
			answered++
		}
	}
	if len(l.queries) != 20000 || answered != 100 || l.skipped[skipCrowded] != 1 {
		t.Errorf("answered %d; %v", answered, l)
	}
}

func TestPcapSinkErrorAndContext(t *testing.T) {
	data := generate(100)
	stop := errors.New("enough")
	n := 0
	err := Pcap(context.Background(), bytes.NewReader(data), decode.Options{}, newLedger(), picket.QuerySinkFunc(func(*picket.Query) error {
		if n++; n == 10 {
			return stop
		}
		return nil
	}))
	if err != stop || n != 10 {
		t.Errorf("sink's error after 10: got %v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Pcap(ctx, bytes.NewReader(data), decode.Options{}, newLedger(), newLedger()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPcapSlowReader reads one octet at a time and must find the same.
func TestPcapSlowReader(t *testing.T) {
	data := generate(50)
	l := newLedger()
	if err := Pcap(context.Background(), oneByte{bytes.NewReader(data)}, decode.Options{}, l, l); err != nil {
		t.Fatal(err)
	}
	if want := decodePcap(t, data, decode.Options{}); !reflect.DeepEqual(l.queries, want.queries) || len(l.queries) != 50 {
		t.Errorf("slow reader: %v, want %v", l, want)
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

// TestPcapSteadyAllocations holds that memory does not grow with the input.
func TestPcapSteadyAllocations(t *testing.T) {
	allocs := func(n int) float64 {
		data := generate(n)
		return testing.AllocsPerRun(3, func() {
			var c counter
			_ = Pcap(context.Background(), bytes.NewReader(data), decode.Options{}, &c, &c)
		})
	}
	if small, large := allocs(2000), allocs(20000); large > small {
		t.Errorf("%v allocations for 2,000 queries, %v for 20,000", small, large)
	}
}
