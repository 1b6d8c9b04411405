package query

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// stream is one direction of a TCP connection cut into segments.
type stream struct {
	f    flow
	seq  uint32
	data []byte
}

func (s *stream) piece(from, to int) []byte {
	return s.f.tcp(s.seq+uint32(from), tcpACK, s.data[from:min(to, len(s.data))])
}

// conversation returns n queries and their responses as two streams.
func conversation(n int) (q, r *stream, want []string) {
	q, r = &stream{f: testFlow, seq: 0xffffff00}, &stream{f: testFlow.back(), seq: 77}
	for i := range n {
		name := "n" + strconv.Itoa(i) + ".example"
		q.data = append(q.data, framed(ask(uint16(i), name))...)
		r.data = append(r.data, framed(answer(uint16(i), name))...)
		want = append(want, name+"+")
	}
	return q, r, want
}

func opened(q, r *stream) *capture {
	c := newCapture(101)
	c.add(at0, q.f.tcp(q.seq-1, tcpSYN, nil))
	return c.add(at0, r.f.tcp(r.seq-1, tcpSYN|tcpACK, nil))
}

func TestPcapTCPSegments(t *testing.T) {
	for _, size := range []int{1, 2, 3, 13, 40, 100, 5000} {
		q, r, want := conversation(20)
		c := opened(q, r)
		for _, s := range []*stream{q, r} {
			for at := 0; at < len(s.data); at += size {
				c.add(at0+ms, s.piece(at, at+size))
			}
		}
		l := decodePcap(t, c.b, decode.Options{})
		wantTexts(t, l, want...)
		if len(l.rejected)+len(l.skipped) > 0 || l.queries[0].Transport != picket.TransportTCP {
			t.Errorf("segments of %d: %v", size, l)
		}
	}
}

// TestPcapTCPDisorder shuffles segments nearby, repeats some and lets some overlap.
func TestPcapTCPDisorder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		q, r, want := conversation(30)
		c := opened(q, r)
		for _, s := range []*stream{q, r} {
			var parts [][]byte
			for at := 0; at < len(s.data); {
				n := 1 + rnd.IntN(60)
				parts = append(parts, s.piece(max(0, at-rnd.IntN(8)), at+n))
				if rnd.IntN(5) == 0 {
					parts = append(parts, s.piece(at, at+n))
				}
				at += n
			}
			for i := range parts {
				j := min(len(parts)-1, i+rnd.IntN(8))
				parts[i], parts[j] = parts[j], parts[i]
			}
			for i, p := range parts {
				c.add(at0+int64(i)*1000, p)
			}
		}
		l := decodePcap(t, c.b, decode.Options{})
		if got := texts(l); !reflect.DeepEqual(got, want) || len(l.rejected) > 0 {
			t.Fatalf("got %v; %v", got, l)
		}
	}
}

func TestPcapTCPMidway(t *testing.T) {
	q, _, _ := conversation(4)
	one := len(q.data) / 4
	c := newCapture(101)
	c.add(at0, q.piece(one, 2*one)) // joined at a message
	c.add(at0, q.piece(2*one, 4*one))
	c.add(at0, q.piece(one, 2*one)) // a late copy
	wantTexts(t, decodePcap(t, c.b, decode.Options{}), "n1.example", "n2.example", "n3.example")

	c = newCapture(101).add(at0, q.piece(one/2, 4*one)) // joined within one
	wantTexts(t, decodePcap(t, c.b, decode.Options{}), "n1.example", "n2.example", "n3.example")
}

func TestPcapTCPGap(t *testing.T) {
	q, r, _ := conversation(5)
	one := len(q.data) / 5
	c := opened(q, r)
	c.add(at0, q.piece(0, one+7)) // what follows, up to a message's beginning, is missing
	c.add(at0+ms, q.piece(3*one, 5*one))
	c.add(at0+1500*ms, testFlow.udp(ask(99, "later.example")))
	l := decodePcap(t, c.b, decode.Options{})
	wantTexts(t, l, "n0.example", "later.example", "n3.example", "n4.example")
	if l.rejected[pcapRejectGap] != 1 {
		t.Errorf("%v", l)
	}
}

func TestPcapTCPReuse(t *testing.T) {
	q, r, _ := conversation(1)
	c := opened(q, r).add(at0, q.piece(0, 999)).add(at0, q.f.tcp(q.seq+uint32(len(q.data)), 1|tcpACK, nil))
	q.seq = 5 // the same ports again
	c.add(at0+ms, q.f.tcp(4, tcpSYN, nil)).add(at0+2*ms, q.piece(0, 999)).add(at0+3*ms, q.f.tcp(4, tcpSYN, nil))
	q.seq = 0x80000000 // and again, the handshake not captured
	c.add(at0+4*ms, q.piece(0, 999))
	wantTexts(t, decodePcap(t, c.b, decode.Options{}), "n0.example", "n0.example", "n0.example")
}

func TestPcapTCPOutOfStep(t *testing.T) {
	q, r, _ := conversation(1)
	c := opened(q, r).add(at0, q.f.tcp(q.seq, tcpACK, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
	c.add(at0, r.f.tcp(r.seq, tcpACK, []byte{0, 3, 1, 2, 3}))
	c.add(at0, r.f.tcp(r.seq+5, tcpRST, nil))
	l := decodePcap(t, c.b, decode.Options{})
	if len(l.queries) != 0 || l.rejected[pcapRejectStep]+l.rejected[pcapRejectUnfinished] != 2 {
		t.Errorf("%v", l)
	}
}

// TestPcapTCPBounds opens more connections than are followed, each with an
// unfinished message, and one whose data runs far ahead of a gap.
func TestPcapTCPBounds(t *testing.T) {
	c := newCapture(101)
	for i := range maxConns + 100 {
		f := testFlow
		f.sport, f.src = uint16(1024+i%60000), newFlow("198.51.100."+strconv.Itoa(i/60000), "192.0.2.53", 0, 0).src
		c.add(at0, f.tcp(9, tcpSYN, framed(ask(1, "a.example"))[:28]))
	}
	l := decodePcap(t, c.b, decode.Options{})
	if l.rejected[pcapRejectConnEvicted] != 100 || l.rejected[pcapRejectUnfinished] != maxConns {
		t.Errorf("%v", l)
	}
	q, r, _ := conversation(3000)
	c = opened(q, r)
	for at := 100; at < len(q.data); at += 100 {
		c.add(at0, q.piece(at, at+100))
	}
	l = decodePcap(t, c.b, decode.Options{})
	if len(l.queries) < 2990 || l.rejected[pcapRejectGap] != 1 {
		t.Errorf("first octets missing: %v", l)
	}
}

func TestPcapTransfer(t *testing.T) {
	soa := append([]byte{0, 0}, make([]byte, 20)...)
	part := func(id uint16, answers int) []byte {
		m := newMsg(id, bitQR|bitAA, "corp-a.example", typeAXFR, 1)
		for range answers {
			m.rr(1, toQuestion, typeSOA, 1, 60, soa)
		}
		return m.b
	}
	q := &stream{f: testFlow, seq: 1, data: framed(newMsg(8, 0, "corp-a.example", typeAXFR, 1).b)}
	r := &stream{f: testFlow.back(), seq: 1, data: framed(part(8, 3), part(8, 4), part(8, 5))}
	c := opened(q, r).add(at0+ms, q.piece(0, 999))
	c.add(at0+2*ms, r.piece(0, len(r.data)-20)) // two messages in one segment
	c.add(at0+3*ms, r.piece(len(r.data)-20, len(r.data)))
	l := decodePcap(t, c.b, decode.Options{})
	wantTexts(t, l, "corp-a.example+")
	if l.queries[0].Response.Answers != 7 || l.skipped[skipContinuation] != 1 {
		t.Errorf("%d answers; %v", l.queries[0].Response.Answers, l)
	}
}
