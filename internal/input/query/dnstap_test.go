package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/protobuf/proto"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// tapMsg describes one dnstap message for tests.
type tapMsg struct {
	typ      dnstap.Message_Type
	id       uint16
	port     uint32
	name     string
	qtype    dnsmessage.Type
	rcode    dnsmessage.RCode
	at       float64 // seconds after the epoch's 1,700,000,000th
	identity string
	change   func(*dnstap.Dnstap)
}

var tapEpoch = time.Unix(1_700_000_000, 0)

// bytes encodes the message by the official bindings.
func (m tapMsg) bytes(t testing.TB) []byte {
	t.Helper()
	response := m.typ == dnstap.Message_AUTH_RESPONSE || m.typ == dnstap.Message_CLIENT_RESPONSE
	if m.qtype == 0 {
		m.qtype = dnsmessage.TypeA
	}
	msg := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.id, Response: response, Authoritative: response, RCode: m.rcode},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(m.name), Type: m.qtype, Class: dnsmessage.ClassINET}},
	}
	wire, err := msg.Pack()
	if err != nil {
		t.Fatal(err)
	}
	at := tapEpoch.Add(time.Duration(m.at * 1e9))
	tap := &dnstap.Dnstap{
		Type: dnstap.Dnstap_MESSAGE.Enum(),
		Message: &dnstap.Message{
			Type: m.typ.Enum(), SocketFamily: dnstap.SocketFamily_INET.Enum(), SocketProtocol: dnstap.SocketProtocol_UDP.Enum(),
			QueryAddress: []byte{192, 0, 2, 1}, ResponseAddress: []byte{192, 0, 2, 53}, QueryPort: proto.Uint32(m.port),
		},
	}
	if m.identity != "" {
		tap.Identity, tap.Version, tap.Extra = []byte(m.identity), []byte("v"), []byte("x")
	}
	sec, nsec := proto.Uint64(uint64(at.Unix())), proto.Uint32(uint32(at.Nanosecond()))
	if response {
		tap.Message.ResponseTimeSec, tap.Message.ResponseTimeNsec, tap.Message.ResponseMessage = sec, nsec, wire
	} else {
		tap.Message.QueryTimeSec, tap.Message.QueryTimeNsec, tap.Message.QueryMessage = sec, nsec, wire
	}
	if m.change != nil {
		m.change(tap)
	}
	b, err := proto.Marshal(tap)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	tapQ = dnstap.Message_AUTH_QUERY
	tapR = dnstap.Message_AUTH_RESPONSE
)

// tapStream writes messages as a Frame Streams file.
func tapStream(t testing.TB, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := framestream.NewWriter(&b, &framestream.WriterOptions{ContentTypes: [][]byte{dnstapContentType}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if _, err := w.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDnstapPairs(t *testing.T) {
	const who = " 192.0.2.1:1>192.0.2.53 udp "
	at := func(s string) string { return "2023-11-14T22:13:" + s + "Z" }
	tests := []struct {
		name    string
		msgs    []tapMsg
		want    []string
		skipped map[string]int
	}{
		{"pair", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "A.example."}, {typ: tapR, id: 7, port: 1, name: "a.example.", rcode: 3, at: 0.5}},
			[]string{at("20") + who + "a.example IN A NXDOMAIN mixed,response,aa,flags"}, map[string]int{skipTapPaired: 1}},
		{"order of queries is kept", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a."}, {typ: tapQ, id: 8, port: 1, name: "b."},
			{typ: tapR, id: 8, port: 1, name: "b.", rcode: 5}, {typ: tapR, id: 7, port: 1, name: "a."}},
			[]string{at("20") + who + "a IN A NOERROR response,aa,flags", at("20") + who + "b IN A REFUSED response,aa,flags"}, map[string]int{skipTapPaired: 2}},
		{"same id, other question", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a."}, {typ: tapR, id: 7, port: 1, name: "b.", rcode: 3}},
			[]string{at("20") + who + "a IN A ? flags", at("20") + who + "b IN A NXDOMAIN response,aa,flags"}, nil},
		{"queries only", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a."}, {typ: tapQ, id: 8, port: 1, name: "b.", at: 9}},
			[]string{at("20") + who + "a IN A ? flags", at("29") + who + "b IN A ? flags"}, nil},
		{"response too late", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a."}, {typ: tapQ, id: 8, port: 1, name: "b.", at: 3},
			{typ: tapR, id: 7, port: 1, name: "a.", at: 4}},
			[]string{at("20") + who + "a IN A ? flags", at("23") + who + "b IN A ? flags"}, map[string]int{skipLate: 1}},
		{"response alone, with its query's time", []tapMsg{{typ: tapR, id: 7, port: 1, name: "a.", at: 1,
			change: func(d *dnstap.Dnstap) { d.Message.QueryTimeSec = proto.Uint64(1_700_000_000) }}},
			[]string{at("20") + who + "a IN A NOERROR response,aa,flags"}, nil},
		{"transfer of several messages", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a.", qtype: 252}, {typ: tapR, id: 7, port: 1, name: "a.", qtype: 252},
			{typ: tapR, id: 7, port: 1, name: "a.", qtype: 252}, {typ: tapR, id: 7, port: 1, name: "a.", qtype: 252, at: 20}},
			[]string{at("20") + who + "a IN AXFR NOERROR response,aa,flags"}, map[string]int{skipTapPaired: 1, skipLate: 2}},
		{"other types", []tapMsg{{typ: dnstap.Message_CLIENT_QUERY, id: 7, port: 1, name: "a."}, {typ: dnstap.Message_UPDATE_QUERY, id: 7, port: 1, name: "a."},
			{typ: 99, id: 7, port: 1, name: "a."}}, nil, map[string]int{"CLIENT_QUERY": 1, "UPDATE_QUERY": 1, skipTapType: 1}},
		{"server's address in the response only", []tapMsg{{typ: tapQ, id: 7, port: 1, name: "a.", change: func(d *dnstap.Dnstap) { d.Message.ResponseAddress = nil }},
			{typ: tapR, id: 7, port: 1, name: "a."}},
			[]string{at("20") + who + "a IN A NOERROR response,aa,flags"}, map[string]int{skipTapPaired: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var frames [][]byte
			for _, m := range tt.msgs {
				frames = append(frames, m.bytes(t))
			}
			got, acct := decodeText(t, Dnstap, string(tapStream(t, frames...)), decode.Options{})
			compare(t, got, tt.want)
			skipped := 0
			for reason, n := range tt.skipped {
				if acct.skipped[reason] != n {
					t.Errorf("skipped %q %d, want %d", reason, acct.skipped[reason], n)
				}
				skipped += n
			}
			if acct.total() != len(tt.msgs) || len(acct.rejected) > 0 || len(tt.want)+skipped != len(tt.msgs) {
				t.Errorf("rejected %v, skipped %v", acct.rejected, acct.skipped)
			}
		})
	}
}

func TestDnstapRejects(t *testing.T) {
	set := func(f func(*dnstap.Message)) []byte {
		return tapMsg{typ: tapQ, name: "a.", change: func(d *dnstap.Dnstap) { f(d.Message) }}.bytes(t)
	}
	for reason, frame := range map[string][]byte{
		reasonNanos:       set(func(m *dnstap.Message) { m.QueryTimeNsec = proto.Uint32(1e9) }),
		reasonSeconds:     set(func(m *dnstap.Message) { m.QueryTimeSec = proto.Uint64(1 << 60) }),
		reasonTapTime:     set(func(m *dnstap.Message) { m.QueryTimeSec = nil }),
		reasonTapAddr:     set(func(m *dnstap.Message) { m.QueryAddress = []byte{1, 2, 3} }),
		reasonPort:        set(func(m *dnstap.Message) { m.QueryPort = proto.Uint32(1 << 20) }),
		reasonNoMsg:       set(func(m *dnstap.Message) { m.QueryMessage = nil }),
		reasonShort:       set(func(m *dnstap.Message) { m.QueryMessage = m.QueryMessage[:5] }),
		reasonQuestionEnd: set(func(m *dnstap.Message) { m.QueryMessage = m.QueryMessage[:14] }),
		reasonProto:       {0xff, 0xff},
		reasonNoTap:       {15 << 3, 1},
		reasonFrame:       make([]byte, maxFrame+1),
	} {
		good := tapMsg{typ: tapQ, name: "good."}.bytes(t)
		got, acct := decodeText(t, Dnstap, string(tapStream(t, good, frame, good)), decode.Options{})
		first := int64(8 + 4 + 8 + len(dnstapContentType) + 4 + len(good)) // start frame, first frame
		if len(got) != 2 || acct.rejected[reason] != 1 || acct.first[reason].Offset != first {
			t.Errorf("%s: %d queries, rejected %v at %v, want offset %d", reason, len(got), acct.rejected, acct.first, first)
		}
	}
}

func TestDnstapStreams(t *testing.T) {
	one := tapMsg{typ: tapQ, name: "a."}.bytes(t)
	whole := tapStream(t, one, one, one)
	stop := 12
	tests := []struct {
		name string
		in   []byte
		n    int
		err  string
	}{
		{"whole", whole, 3, ""},
		{"two files in one", append(bytes.Clone(whole), whole...), 6, ""},
		{"no stop frame", whole[:len(whole)-stop], 3, ""},
		{"cut in a frame", whole[:len(whole)-stop-5], 2, "ends within the frame at offset"},
		{"cut in a length", whole[:len(whole)-stop-len(one)-2], 2, "ends within the frame at offset"},
		{"bare protobuf", one, 0, "bare protobuf"},
		{"text", []byte("client query"), 0, "no Frame Streams"},
		{"data before start", whole[34+8:], 0, "no Frame Streams"},
		{"handshake in a file", binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 0, 0, 0, 4}, controlReady), 0, "handshake"},
		{"huge control frame", []byte{0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 2}, 0, "control frame of"},
		{"empty", nil, 0, ""},
	}
	for _, tt := range tests {
		acct, n := newTally(), 0
		err := Dnstap(context.Background(), bytes.NewReader(tt.in), decode.Options{}, acct, picket.QuerySinkFunc(func(*picket.Query) error { n++; return nil }))
		if n != tt.n || (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %d queries, %v; want %d, %q", tt.name, n, err, tt.n, tt.err)
		}
	}
}

func TestDnstapSensor(t *testing.T) {
	frames := [][]byte{
		tapMsg{typ: tapQ, id: 1, name: "a.", identity: "ns1"}.bytes(t), tapMsg{typ: tapQ, id: 2, name: "b.", identity: "ns2"}.bytes(t),
		tapMsg{typ: tapQ, id: 3, name: "c.", identity: "-"}.bytes(t), tapMsg{typ: tapR, id: 1, name: "a.", identity: "ns1"}.bytes(t),
	}
	for opt, want := range map[string]string{"": "ns1 ns2  ", "mine": "mine mine mine "} {
		got := ""
		err := Dnstap(context.Background(), bytes.NewReader(tapStream(t, frames...)), decode.Options{Sensor: opt}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
			got += q.Sensor + " "
			return nil
		}))
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", opt, got, err)
		}
	}
}

// TestDnstapSocket speaks the handshake with the reference implementation, and
// sees that a silent socket holds no query back.
func TestDnstapSocket(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	seen := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- Dnstap(context.Background(), server, decode.Options{}, newTally(), picket.QuerySinkFunc(func(q *picket.Query) error {
			seen <- brief(q)
			return nil
		}))
		_ = server.Close()
	}()
	w, err := framestream.NewWriter(client, &framestream.WriterOptions{ContentTypes: [][]byte{dnstapContentType}, Bidirectional: true, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteFrame(tapMsg{typ: tapQ, name: "a."}.bytes(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case q := <-seen:
		if !strings.Contains(q, " a IN A ?") {
			t.Errorf("got %s", q)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the query was held back")
	}
	if err := w.Close(); err != nil { // waits for FINISH
		t.Errorf("close: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("decode: %v", err)
	}
}

func TestDnstapSocketOtherContent(t *testing.T) {
	server, client := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Dnstap(context.Background(), server, decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
		_ = server.Close()
	}()
	_, err := framestream.NewWriter(client, &framestream.WriterOptions{ContentTypes: [][]byte{[]byte("test:hello")}, Bidirectional: true, Timeout: 5 * time.Second})
	if err == nil {
		t.Error("the handshake succeeded")
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), `content type is "test:hello"`) {
		t.Errorf("got %v", err)
	}
	_ = client.Close()
}

func TestDnstapSinkError(t *testing.T) {
	boom := errors.New("boom")
	frames := [][]byte{tapMsg{typ: tapQ, name: "a."}.bytes(t), tapMsg{typ: tapR, name: "a."}.bytes(t), tapMsg{typ: tapQ, name: "b."}.bytes(t)}
	n := 0
	err := Dnstap(context.Background(), bytes.NewReader(tapStream(t, frames...)), decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { n++; return boom }))
	if err != boom || n != 1 { //nolint:errorlint // returned as it is
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = Dnstap(ctx, io.MultiReader(bytes.NewReader(tapStream(t, frames...))), decode.Options{}, newTally(), picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
