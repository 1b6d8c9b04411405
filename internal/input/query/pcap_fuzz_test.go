package query

import (
	"bytes"
	"context"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// strict is a sink that checks what every query must be.
type strict struct {
	counter
	t *testing.T
}

func (s *strict) Query(q *picket.Query) error {
	if err := dnsname.Check(q.Name); err != nil {
		s.t.Errorf("name % x: %v", q.Name, err)
	}
	checkResponse(s.t, &q.Response)
	if !q.Client.IsValid() || !q.Server.IsValid() || q.Rcode < picket.RcodeUnknown {
		s.t.Errorf("query %+v", q)
	}
	return s.counter.Query(q)
}

func checkResponse(t *testing.T, r *picket.Response) {
	for _, name := range [][]byte{r.Owner, r.Authority} {
		if name != nil && dnsname.Check(name) != nil {
			t.Errorf("name % x: %v", name, dnsname.Check(name))
		}
	}
	if len(r.Denials) > picket.MaxDenials {
		t.Errorf("%d denials", len(r.Denials))
	}
	for _, d := range r.Denials {
		if !d.NSEC3 && (dnsname.Check(d.Owner) != nil || dnsname.Check(d.Next) != nil) {
			t.Errorf("denial % x, % x", d.Owner, d.Next)
		}
	}
}

func fuzzSeeds() [][]byte {
	q, r, _ := conversation(2)
	tcp := opened(q, r).add(at0, q.piece(0, 40)).add(at0, q.piece(50, 99)).add(at0, r.piece(0, 99)).add(at0, q.piece(30, 60))
	d := testFlow.datagram(ask(1, "a.example"))
	frag := newCapture(101).add(at0, testFlow.ip(protoUDP, 0x2000, d[:16])).add(at0, testFlow.ip(protoUDP, 2, d[16:]))
	f6 := newFlow("2001:db8::7", "2001:db8::53", 40000, 53)
	sig := newMsg(3, bitQR|3, "b.example", 1, 1).rr(2, toQuestion, typeNSEC, 1, 1, []byte{1, 'z', 0xc0, 14, 0, 0})
	v6 := newCapture(1).add(at0, ether(f6.udp(ask(3, "b.example")), 0x8100)).add(at0, ether(f6.back().udp(sig.b)))
	return [][]byte{generate(2), tcp.b, frag.b, v6.b}
}

// FuzzPcap holds that no capture breaks the decoder, or yields a malformed query.
func FuzzPcap(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		s := &strict{t: t}
		_ = Pcap(context.Background(), bytes.NewReader(data), decode.Options{}, s, s)
		if s.queries > len(data)/17 { // a query has 17 octets at least
			t.Errorf("%d queries from %d octets", s.queries, len(data))
		}
	})
}

// FuzzMessage holds the same for single messages.
func FuzzMessage(f *testing.F) {
	f.Add(ask(1, "A.example"))
	f.Add(answer(1, "a.example"))
	f.Add(newMsg(1, 0, "a.example", 1, 1).opt(512, 0x8000, option(optECS, 0, 1, 24, 0, 1, 2, 3), option(optCookie, make([]byte, 16)...)).b)
	f.Add(newMsg(1, bitQR|3, "b.example", 1, 1).rr(2, toQuestion, typeNSEC, 1, 1, []byte{1, 'z', 0xc0, 14, 0, 0}).b)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var m Message
		var q picket.Query
		if m.Parse(msg) != "" {
			return
		}
		m.FillQuery(&q)
		if err := dnsname.Check(q.Name); err != nil {
			t.Errorf("name % x: %v", q.Name, err)
		}
		wire, _, mixed, err := dnsname.AppendWire(nil, msg, dnsHeaderLen)
		if err != nil || !bytes.Equal(wire, q.Name) || mixed != q.Has(picket.FlagMixed) {
			t.Errorf("name % x, want % x, %v", q.Name, wire, err)
		}
		m.FillEcho(&q)
		_ = m.FillResponse(&q)
		checkResponse(t, &q.Response)
	})
}
