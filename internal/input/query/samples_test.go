package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	dnstap "github.com/dnstap/golang-dnstap"
	"google.golang.org/protobuf/proto"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

var update = flag.Bool("update", false, "write the samples of binary formats anew")

// binarySamples make the samples of the formats that nobody writes by hand. Each
// has two transactions with their responses, one without, and a broken record.
var binarySamples = map[string]func(*testing.T) []byte{
	"pcap/sample.pcap": func(*testing.T) []byte {
		c := newCapture(linkEthernet)
		step := at0
		add := func(packets ...[]byte) {
			for _, p := range packets {
				step += 10 * ms
				c.add(step, ether(p))
			}
		}
		f6 := newFlow("2001:db8::7", "2001:db8::53", 40001, 53)
		add(testFlow.udp(newMsg(1, 0, "Www.example.com", 28, 1).opt(1232, 0x8000, option(optCookie, make([]byte, 16)...)).b),
			testFlow.back().udp(newMsg(1, bitQR|bitAA, "www.example.com", 28, 1).rr(1, toQuestion, 28, 1, 300, f6.src.AsSlice()).opt(1232, 0x8000).b),
			f6.udp(ask(2, "vpn.example.com")), f6.back().udp(newMsg(2, bitQR|bitAA|bitRD|3, "vpn.example.com", 1, 1).b),
			testFlow.udp(ask(3, "mail.example.com")),
			testFlow.udp(ask(4, "cut.example.com")[:20]),
			testFlow.ip(1, 0, []byte{8, 0, 0, 0}))
		return c.b
	},
	"dnstap/sample.fstrm":       func(t *testing.T) []byte { return tapStream(t, tapSample(t)...) },
	"dnstap-message/sample.bin": func(t *testing.T) []byte { return lengthFirst(tapSample(t)...) },
	"powerdns-protobuf/sample.bin": func(*testing.T) []byte {
		q := pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, usec: 250_000, name: "Www.example.com.", qtype: 28, proto: 1, port: 40000, id: 1, identity: "front1"}
		r := q
		r.typ, r.usec, r.owners = pdnsResponse, 251_000, []string{"www.example.com."}
		v := pbMsg{typ: pdnsQuery, uuid: "b", sec: pbSec + 1, name: "vpn.example.com.", qtype: 1, proto: 3, port: 40001, id: 2, identity: "front1",
			from: newFlow("2001:db8::7", "::", 0, 0).src.AsSlice(), flags: true, header: bitRD, isEDNS: true, ttl: 0x8000}
		w := v
		w.typ, w.usec, w.rcode, w.header, w.isEDNS = pdnsResponse, 1000, 3, bitQR|bitAA|bitRD, false
		m := pbMsg{typ: pdnsQuery, uuid: "c", sec: pbSec + 2, name: "mail.example.com.", qtype: 15, proto: 2, port: 40002, id: 3, identity: "front1"}
		out := m
		out.typ, out.uuid = 3, "d"
		bad := m
		bad.uuid, bad.name = "e", "a..example.com."
		return lengthFirst(q.bytes(), r.bytes(), v.bytes(), w.bytes(), m.bytes(), out.bytes(), bad.bytes())
	},
	"c-dns/sample.cdns": func(*testing.T) []byte {
		f := newCdnsFile()
		q := cdnsQuery("vpn.example.com")
		q.Response = picket.Response{Authority: wire("example.com"), HasSOA: true, Denials: []picket.Denial{{Owner: wire("mail.example.com"), Next: wire("www.example.com")}}}
		f.add(q, false)
		q = cdnsQuery("www.example.com")
		q.Time, q.Rcode, q.Response.Answers = at0+250*ms, 0, 2
		q.Flags |= picket.FlagCookie
		f.add(q, false)
		q.Name, q.Time = []byte("\x04mail\x07example\x03com"), at0+500*ms // does not end
		return f.add(q, false).others().bytes()
	},
}

// tapSample is a name server's dnstap.
func tapSample(t *testing.T) [][]byte {
	ms := []tapMsg{
		{typ: tapQ, id: 1, port: 40000, name: "Www.example.com.", at: 0.25, identity: "ns1.example.com"},
		{typ: tapR, id: 1, port: 40000, name: "www.example.com.", at: 0.5, identity: "ns1.example.com"},
		{typ: tapQ, id: 2, port: 40001, name: "vpn.example.com.", at: 1, identity: "ns1.example.com"},
		{typ: tapR, id: 2, port: 40001, name: "vpn.example.com.", rcode: 3, at: 1.001, identity: "ns1.example.com"},
		{typ: tapQ, id: 3, port: 40002, name: "mail.example.com.", at: 2, identity: "ns1.example.com"},
		{typ: 5, id: 4, port: 40003, name: "resolver.example.net.", at: 3, identity: "ns1.example.com"},
		{typ: tapQ, id: 5, port: 40004, name: "odd.example.com.", at: 4, identity: "ns1.example.com", change: badNanos},
	}
	var frames [][]byte
	for _, m := range ms {
		frames = append(frames, m.bytes(t))
	}
	return frames
}

// TestBinarySamples: the samples are what is written here.
func TestBinarySamples(t *testing.T) {
	for name, build := range binarySamples {
		want := build(t)
		path := filepath.Join("..", "testdata", "formats", filepath.FromSlash(name))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v; differs from what is built here, run the test with -update", name, err)
		}
	}
}

func badNanos(d *dnstap.Dnstap) { d.Message.QueryTimeNsec = proto.Uint32(1_999_999_999) }

// recorded keeps the records of what is rejected.
type recorded struct {
	*tally
	records []string
	reasons []string
}

func (r *recorded) Reject(reason string, at picket.Position) {
	r.records, r.reasons = append(r.records, string(at.Record)), append(r.reasons, reason)
	r.tally.Reject(reason, at)
}

// checkRecords decodes in, wants the reasons, and decodes what was rejected by
// itself: it is rejected again for the same reason.
func checkRecords(t *testing.T, d Decode, in []byte, want ...string) {
	t.Helper()
	run := func(in string) *recorded {
		acct := &recorded{tally: newTally()}
		if err := d(context.Background(), bytes.NewReader([]byte(in)), decode.Options{}, acct, picket.QuerySinkFunc(func(*picket.Query) error { return nil })); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		return acct
	}
	acct := run(string(in))
	if len(acct.reasons) != len(want) {
		t.Fatalf("rejected %v, want %v", acct.reasons, want)
	}
	for i, record := range acct.records {
		if acct.reasons[i] != want[i] {
			t.Errorf("rejected %q, want %q", acct.reasons[i], want[i])
		}
		if record == "" || len(record) > maxRecord {
			t.Errorf("%s: record of %d bytes", want[i], len(record))
			continue
		}
		if again := run(record); len(again.reasons) != 1 || again.reasons[0] != want[i] || again.accepted != 0 {
			t.Errorf("%s: by itself %v, accepted %d", want[i], again.reasons, again.accepted)
		}
	}
}

func TestPcapRejectedRecords(t *testing.T) {
	big := newCapture(linkRaw).add(at0, testFlow.udp(make([]byte, 11)))
	big.cut(at0, testFlow.udp(ask(1, "a.example")), 45).add(at0, []byte{0x45})
	checkRecords(t, Pcap, big.b, reasonShort, pcapRejectCut, pcapRejectIP)

	ng := (&ngFile{order: binary.BigEndian}).section().iface(linkRaw, 0)
	ng.enhanced(0, 7, testFlow.udp(make([]byte, 11))).block(blockEnhanced, make([]byte, 8)).enhanced(9, 7, testFlow.udp(make([]byte, 12)))
	checkRecords(t, Pcap, ng.b, reasonShort, "short packet block", "bad packet block")
}

func TestDnstapRejectedRecords(t *testing.T) {
	good := tapMsg{typ: tapQ, name: "good."}.bytes(t)
	checkRecords(t, Dnstap, tapStream(t, good, []byte{0xff, 0xff}, tapMsg{typ: tapQ, name: "a.", change: badNanos}.bytes(t)), reasonProto, reasonNanos)
}

// FuzzRejectedRecords: what is rejected of a binary stream is an input of its own,
// rejected again for the same reason.
func FuzzRejectedRecords(f *testing.F) {
	bad := tapMsg{typ: tapQ, name: "a.example.", change: badNanos}.bytes(f)
	f.Add(uint8(0), tapStream(f, tapMsg{typ: tapQ, name: "a.example."}.bytes(f), bad))
	f.Add(uint8(1), lengthFirst(bad, bad))
	f.Add(uint8(2), lengthFirst(pbMsg{typ: pdnsQuery, uuid: "a", sec: pbSec, name: "a..example.", qtype: 1}.bytes()))
	file := newCdnsFile()
	file.items = append(file.items, []byte{cborMap<<5 | 1, 4, 9})
	file.add(cdnsQuery("a.example"), false)
	file.items = append(file.items, []byte{0})
	f.Add(uint8(3), file.others().bytes())
	decoders := []Decode{Dnstap, DnstapMessage, PowerDNS, CDNS}
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		d := decoders[int(which)%len(decoders)]
		run := func(in string) *recorded {
			acct := &recorded{tally: newTally()}
			_ = d(context.Background(), bytes.NewReader([]byte(in)), decode.Options{Client: true}, acct, picket.QuerySinkFunc(func(*picket.Query) error { return nil }))
			return acct
		}
		acct := run(string(in))
		for i, record := range acct.records[:min(len(acct.records), 8)] {
			if len(record) > maxRecord {
				t.Errorf("%s: record of %d bytes", acct.reasons[i], len(record))
			}
			if record == "" {
				continue
			}
			if again := run(record); len(again.reasons) != 1 || again.reasons[0] != acct.reasons[i] || again.accepted != 0 {
				t.Errorf("%s: %q by itself %v, accepted %d", acct.reasons[i], record, again.reasons, again.accepted)
			}
		}
	})
}
