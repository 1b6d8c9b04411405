package transfer

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakePrimary answers each connection's question with what answer makes of it.
func fakePrimary(t *testing.T, answer func(q *dns.Msg, mac string) [][]byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var head [2]byte
			if _, err := io.ReadFull(conn, head[:]); err == nil {
				wire := make([]byte, binary.BigEndian.Uint16(head[:]))
				q := new(dns.Msg)
				if _, err := io.ReadFull(conn, wire); err == nil && q.Unpack(wire) == nil {
					mac := ""
					if ts := q.IsTsig(); ts != nil {
						mac = ts.MAC
					}
					for _, m := range answer(q, mac) {
						_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
					}
				}
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// message answers q with records.
func message(t *testing.T, q *dns.Msg, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative, m.Extra = true, nil
	m.Answer = rrs(t, text)
	return m
}

func packed(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signedStream signs the messages whose sign says so, as RFC 8945 §5.3.1 has it:
// written down here a second time, from the sending side.
func signedStream(t *testing.T, k *Key, mac string, list []*dns.Msg, sign []bool) (out [][]byte) {
	t.Helper()
	prior, first := mac, true
	var between []byte
	for i, m := range list {
		if !sign[i] {
			b := packed(t, m)
			between, out = append(between, b...), append(out, b)
			continue
		}
		ts := &dns.TSIG{Hdr: dns.RR_Header{Name: k.name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: k.algorithm, TimeSigned: uint64(time.Now().Unix()), Fudge: 300, OrigId: m.Id}
		m.Extra = append(m.Extra, ts)
		wire, now, err := dns.TsigGenerateWithProvider(m, &gapSigner{k, between, prior}, prior, !first)
		if err != nil {
			t.Fatal(err)
		}
		out, prior, between, first = append(out, wire), now, nil, false
	}
	return out
}

// gapSigner puts unsigned messages between the prior MAC and the message.
type gapSigner struct {
	*Key
	between []byte
	prior   string
}

func (b *gapSigner) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	at := 2 + len(b.prior)/2
	all := append(append(append([]byte(nil), msg[:at]...), b.between...), msg[at:]...)
	return b.Key.Generate(all, t)
}

func (*gapSigner) Verify([]byte, *dns.TSIG) error { return dns.ErrSig }

// TestSignedStream: what has to be signed, and what may lie between.
func TestSignedStream(t *testing.T) {
	key, err := NewKey("picket", "hmac-sha512", []byte("secret of the tests, 32 bytes is"))
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{"SOA 5 END|a.z.example. A 192.0.2.1", "b.z.example. A 192.0.2.2", "c.z.example. A 192.0.2.3", "d.z.example. A 192.0.2.4|SOA 5 END"}
	for _, x := range []struct {
		name string
		sign []bool
		harm func([][]byte)
		err  string
	}{
		{"all", []bool{true, true, true, true}, nil, ""},
		{"first and last", []bool{true, false, false, true}, nil, ""},
		{"none", []bool{false, false, false, false}, nil, "key picket.: the answer is not signed"},
		{"not the first", []bool{false, true, true, true}, nil, "the answer is not signed"},
		{"not the last", []bool{true, true, true, false}, nil, "the last message is not signed"},
		{"one between changed", []bool{true, false, false, true}, func(m [][]byte) { m[1][len(m[1])-1] ^= 1 }, "signature is wrong (BADSIG)"},
		{"two exchanged", []bool{true, false, false, true}, func(m [][]byte) { m[1], m[2] = m[2], m[1] }, "signature is wrong (BADSIG)"},
		{"one left out", []bool{true, true, true, true}, func(m [][]byte) { m[1] = m[2] }, "signature is wrong (BADSIG)"},
	} {
		t.Run(x.name, func(t *testing.T) {
			addr := fakePrimary(t, func(q *dns.Msg, mac string) [][]byte {
				var list []*dns.Msg
				for _, p := range parts {
					list = append(list, message(t, q, p))
				}
				out := signedStream(t, key, mac, list, x.sign)
				if x.harm != nil {
					x.harm(out)
				}
				return out
			})
			r, err := (&Client{Primary: addr, Key: key, Form: plainForm, Idle: 5 * time.Second}).Transfer(t.Context(), "z.example", 0, false)
			switch {
			case x.err == "" && (err != nil || r.Full == nil || len(r.Full.Records) != 5):
				t.Errorf("%+v %v", r, err)
			case x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err)):
				t.Errorf("error %v, want %q", err, x.err)
			}
		})
	}
}

// TestHostilePrimary: no answer hangs, breaks or fills anything.
func TestHostilePrimary(t *testing.T) {
	long := strings.Repeat("|a.z.example. TXT "+strings.Repeat("x", 200), 200)
	for _, x := range []struct {
		name   string
		known  bool // serial 1
		answer func(q *dns.Msg) [][]byte
		err    string
		full   bool
	}{
		{"silence", false, func(*dns.Msg) [][]byte { return nil }, "ended the connection after 0 messages", false},
		{"end within", false, func(q *dns.Msg) [][]byte {
			return [][]byte{packed(t, message(t, q, "SOA 5 END|a.z.example. A 192.0.2.1"))}
		}, "after 1 messages, before the answer was complete", false},
		{"garbage", false, func(*dns.Msg) [][]byte { return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n")} }, "message 1", false},
		{"empty", false, func(*dns.Msg) [][]byte { return [][]byte{{}} }, "message 1 cannot be read", false},
		{"another ID", false, func(q *dns.Msg) [][]byte {
			m := message(t, q, "SOA 5 END|SOA 5 END")
			m.Id++
			return [][]byte{packed(t, m)}
		}, "does not answer what was asked", false},
		{"another question", false, func(q *dns.Msg) [][]byte {
			m := message(t, q, "SOA 5 END|SOA 5 END")
			m.Question[0].Name = "y.example."
			return [][]byte{packed(t, m)}
		}, "does not answer what was asked", false},
		{"no records", false, func(q *dns.Msg) [][]byte {
			m := new(dns.Msg)
			m.SetReply(q)
			return [][]byte{packed(t, m)}
		}, "a message without records", false},
		{"without end", false, func(q *dns.Msg) [][]byte {
			list := [][]byte{packed(t, message(t, q, "SOA 5 END"+long))}
			for range 50 {
				list = append(list, packed(t, message(t, q, long[1:])))
			}
			return list
		}, "more than 1000000 bytes came: raise max_bytes", false},
		{"REFUSED", false, func(q *dns.Msg) [][]byte {
			m := new(dns.Msg)
			m.SetRcode(q, dns.RcodeRefused)
			return [][]byte{packed(t, m)}
		}, "the server says REFUSED: it may want a TSIG key", false},
		{"no IXFR", true, func(q *dns.Msg) [][]byte {
			m := message(t, q, "SOA 5 END|SOA 5 END")
			if q.Question[0].Qtype == dns.TypeIXFR {
				m.Rcode, m.Answer = dns.RcodeNotImplemented, nil
			}
			return [][]byte{packed(t, m)}
		}, "", true},
		{"broken IXFR", true, func(q *dns.Msg) [][]byte {
			if q.Question[0].Qtype == dns.TypeIXFR {
				return [][]byte{packed(t, message(t, q, "SOA 5 END|SOA 3 END|SOA 5 END|SOA 5 END"))}
			}
			return [][]byte{packed(t, message(t, q, "SOA 5 END|SOA 5 END"))}
		}, "", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			addr := fakePrimary(t, func(q *dns.Msg, _ string) [][]byte { return x.answer(q) })
			c := &Client{Primary: addr, Form: plainForm, Idle: 5 * time.Second, MaxBytes: 1_000_000}
			r, err := c.Transfer(t.Context(), "z.example", 1, x.known)
			switch {
			case x.err == "" && (err != nil || (r.Full != nil) != x.full):
				t.Errorf("%+v %v", r, err)
			case x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err) || !strings.Contains(err.Error(), "AXFR of z.example")):
				t.Errorf("error %v, want %q", err, x.err)
			}
		})
	}
}

// TestDeadline: a primary that says nothing is given up.
func TestDeadline(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	addr := fakePrimary(t, func(*dns.Msg, string) [][]byte { <-hold; return nil })
	c := &Client{Primary: addr, Form: plainForm, Idle: 50 * time.Millisecond}
	if _, err := c.SOA(t.Context(), "z.example"); err == nil || !strings.Contains(err.Error(), "i/o timeout") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.SOA(ctx, "z.example"); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
}

// FuzzTSIG: no message makes the search for its signature fail but with an error,
// and what is found is what the parser finds.
func FuzzTSIG(f *testing.F) {
	key, err := NewKey("picket", "hmac-sha256", []byte("secret of the tests, 32 bytes is"))
	if err != nil {
		f.Fatal(err)
	}
	q := new(dns.Msg)
	q.SetAxfr("z.example.")
	wire, _, err := key.sign(q, "", time.Unix(1e9, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, at, err := tsigOf(b)
		m := new(dns.Msg)
		if m.Unpack(b) == nil && err == nil {
			if got := m.IsTsig(); (got == nil) != (ts == nil) && len(m.Extra) > 0 {
				t.Errorf("TSIG %v, the parser finds %v", ts, got)
			}
		}
		if ts != nil && (at < 12 || at >= len(b)) {
			t.Errorf("TSIG at %d of %d", at, len(b))
		}
		v := &verifier{key: key, prior: []byte(hex.EncodeToString([]byte("x"))), first: true, now: time.Now}
		if signed, err := v.check(b); signed || err == nil {
			t.Error(fmt.Errorf("verified without the key: %v", err))
		}
	})
}
