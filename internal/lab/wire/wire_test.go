package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/query"
	"github.com/picket-dns/picket/internal/lab"
	"github.com/picket-dns/picket/internal/lab/organisation"
	"github.com/picket-dns/picket/internal/lab/wire"
	"github.com/picket-dns/picket/internal/pickettest"
)

var begin = int64(1_790_000_000_123_456_789)

// of is a stream of a list.
func of(list []picket.Query) lab.Stream {
	i := -1
	return lab.StreamFunc(func() *picket.Query {
		if i++; i >= len(list) {
			return nil
		}
		return &list[i]
	})
}

// form is a way to write a stream and to read it again.
type form struct {
	name  string
	write func(io.Writer, lab.Stream, wire.Options) (wire.Written, error)
	read  func(context.Context, io.Reader, decode.Options, picket.Accounting, picket.QuerySink) error
}

var forms = []form{
	{"pcap", wire.Pcap, query.Pcap},
	{"dnstap", wire.Dnstap, query.Dnstap},
	{"ndjson", func(w io.Writer, s lab.Stream, _ wire.Options) (wire.Written, error) {
		return wire.Text(w, s, query.AppendNDJSON)
	}, query.NDJSON},
}

// through writes a stream and reads it again.
func (f *form) through(t *testing.T, list []picket.Query, o wire.Options) (got []picket.Query, file []byte) {
	t.Helper()
	var b bytes.Buffer
	n, err := f.write(&b, of(list), o)
	if err != nil {
		t.Fatal(err)
	}
	var acct pickettest.Ledger
	var tr lab.Track
	if err := f.read(t.Context(), bytes.NewReader(b.Bytes()), decode.Options{}, &acct, &tr); err != nil {
		t.Fatal(err)
	}
	if len(acct.Rejected) != 0 || acct.Accepted != len(list) || n.Queries != int64(len(list)) || n.LeftOut != 0 {
		t.Errorf("%s: wrote %+v of %d, read %s", f.name, n, len(list), &acct)
	}
	return tr.Queries, b.Bytes()
}

// line renders all of a query that has to come back.
func line(q *picket.Query) string {
	r := &q.Response
	var denials []string
	for _, d := range r.Denials {
		if d.NSEC3 {
			denials = append(denials, fmt.Sprintf("%x-%x", d.Owner, d.Next))
		} else {
			denials = append(denials, dnsname.Text(d.Owner)+"-"+dnsname.Text(d.Next))
		}
	}
	return fmt.Sprintf("%d %s:%d>%s %s op%d %s %d/%d rcode%d size%d flags%b ecs%v answers%d owner%x auth%x soa%t %v", q.Time, q.Client, q.ClientPort, q.Server, q.Transport,
		q.Opcode, dnsname.Text(q.Name), q.Type, q.Class, q.Rcode, q.EDNSSize, q.Flags, q.ClientSubnet, r.Answers, r.Owner, r.Authority, r.HasSOA, denials)
}

func compare(t *testing.T, what string, got, want []picket.Query) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d queries, want %d", what, len(got), len(want))
		return
	}
	bad := 0
	for i := range want {
		if g, w := line(&got[i]), line(&want[i]); g != w {
			if t.Errorf("%s, query %d:\n got %s\nwant %s", what, i, g, w); bad > 4 {
				return
			}
			bad++
		}
	}
}

// each are transactions that have one thing of their own each.
func each() []picket.Query {
	name := dnsname.MustParse("www.corp.example")
	apex := dnsname.MustParse("corp.example")
	const answered = picket.FlagResponse | picket.FlagFlags | picket.FlagAA
	base := picket.Query{Client: netip.MustParseAddr("10.1.2.3"), ClientPort: 4000, Server: netip.MustParseAddr("10.53.0.1"), Transport: picket.TransportUDP,
		Type: lab.TypeA, Class: 1, Name: name, Flags: answered, Response: picket.Response{Answers: 1}}
	denials := []picket.Denial{{Owner: apex, Next: name}, {Owner: name, Next: apex}}
	hashes := []picket.Denial{{NSEC3: true, Owner: bytes.Repeat([]byte{1, 200}, 10), Next: bytes.Repeat([]byte{3}, 20)}}
	var list []picket.Query
	add := func(change func(q *picket.Query)) {
		q := base
		q.Time = begin + int64(len(list))*250_000
		change(&q)
		list = append(list, q)
	}
	negative := func(q *picket.Query) {
		q.Response = picket.Response{Authority: apex, HasSOA: true}
	}
	add(func(q *picket.Query) {})
	add(func(q *picket.Query) {
		q.Flags |= picket.FlagRD | picket.FlagCD | picket.FlagAD | picket.FlagMixed
	})
	add(func(q *picket.Query) { q.Flags |= picket.FlagEDNS | picket.FlagDO; q.EDNSSize = 1232 })
	add(func(q *picket.Query) {
		q.Flags |= picket.FlagEDNS | picket.FlagCookie | picket.FlagNSID | picket.FlagBadEDNS
		q.EDNSSize = 4096
		q.ClientSubnet = netip.MustParsePrefix("198.51.100.0/24")
	})
	add(func(q *picket.Query) {
		q.Flags |= picket.FlagEDNS
		q.EDNSSize = 512
		q.ClientSubnet = netip.MustParsePrefix("2001:db8:12::/48")
	})
	add(func(q *picket.Query) {
		q.Rcode = picket.RcodeNXDomain
		negative(q)
	})
	add(func(q *picket.Query) {
		q.Flags |= picket.FlagEDNS | picket.FlagDO
		q.EDNSSize, q.Rcode = 1232, picket.RcodeNXDomain
		negative(q)
		q.Response.Denials = denials
	})
	add(func(q *picket.Query) {
		q.Flags |= picket.FlagEDNS | picket.FlagDO | picket.FlagMixed
		q.EDNSSize = 1400
		negative(q)
		q.Response.Denials = hashes
	})
	add(func(q *picket.Query) { // a wildcard's answer, with its proof
		q.Flags |= picket.FlagEDNS | picket.FlagDO
		q.EDNSSize = 1400
		q.Response.Denials = denials[:1]
	})
	add(func(q *picket.Query) { q.Type = lab.TypeNSEC; q.Response.Denials = denials[1:] })
	add(func(q *picket.Query) { // a referral
		q.Flags = q.Flags&^picket.FlagAA | picket.FlagReferral
		q.Response = picket.Response{Authority: apex}
	})
	add(func(q *picket.Query) { q.Response.Owner = dnsname.MustParse("other.example") })
	add(func(q *picket.Query) { q.Flags |= picket.FlagTC; q.Response.Answers = 0 })
	add(func(q *picket.Query) {
		q.Rcode = picket.RcodeRefused
		q.Flags &^= picket.FlagAA
		q.Response = picket.Response{}
	})
	add(func(q *picket.Query) { // BADVERS, an extended code
		q.Rcode = 16
		q.Flags |= picket.FlagEDNS
		q.Response = picket.Response{}
	})
	add(func(q *picket.Query) { // no response seen
		q.Flags = picket.FlagFlags | picket.FlagRD
		q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
	})
	add(func(q *picket.Query) {
		q.Class, q.Type, q.Name = 3, lab.TypeTXT, dnsname.MustParse("version.bind")
	})
	add(func(q *picket.Query) { q.Name = []byte{0}; q.Type = lab.TypeNS })
	add(func(q *picket.Query) {
		q.Name = dnsname.MustParse(`a\.b\000\\.` + strings.Repeat("x", 63) + ".corp.example")
	})
	add(func(q *picket.Query) { q.Type, q.Response.Answers = lab.TypeANY, 40 })
	add(func(q *picket.Query) {
		q.Opcode, q.Type, q.Response.Answers = 4, lab.TypeSOA, 0
		q.Flags |= picket.FlagTSIG
	})
	for _, v6 := range []bool{false, true} {
		if v6 {
			base.Client, base.Server = netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("2001:db8:53::1")
			add(func(q *picket.Query) {})
			add(func(q *picket.Query) { negative(q); q.Rcode = picket.RcodeNXDomain })
		}
		base.Transport = picket.TransportTCP
		add(func(q *picket.Query) { q.ClientPort++ })
		add(func(q *picket.Query) { q.ClientPort += 2; q.Type, q.Response.Answers = lab.TypeAXFR, 600 })
		add(func(q *picket.Query) {
			q.ClientPort += 3
			q.Flags |= picket.FlagTSIG
			q.Type, q.Response.Answers = lab.TypeIXFR, 1
		})
		add(func(q *picket.Query) { // no response seen
			q.ClientPort += 4
			q.Flags = picket.FlagFlags
			q.Rcode, q.Response = picket.RcodeUnknown, picket.Response{}
		})
		base.Transport = picket.TransportUDP
	}
	// What servers answer for types that they know nothing of.
	for _, t := range []uint16{lab.TypeAAAA, lab.TypeCNAME, lab.TypeSOA, lab.TypePTR, lab.TypeHINFO, lab.TypeMX, lab.TypeTXT, lab.TypeSRV, lab.TypeNAPTR, lab.TypeDS,
		lab.TypeDNSKEY, lab.TypeNSEC3PARAM, lab.TypeTLSA, lab.TypeHTTPS, lab.TypeSPF, lab.TypeCAA, 65280} {
		add(func(q *picket.Query) { q.Type, q.Response.Answers = t, 2 })
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	for _, f := range forms {
		list := each()
		got, _ := f.through(t, list, wire.Options{})
		compare(t, f.name, got, list)
	}
}

// TestTransports: dnstap tells of transports that a capture cannot show, and a
// capture says how many it leaves out.
func TestTransports(t *testing.T) {
	var list []picket.Query
	for i, tr := range []picket.Transport{picket.TransportTLS, picket.TransportHTTPS, picket.TransportQUIC} {
		q := each()[0]
		q.Time, q.Transport = begin+int64(i), tr
		list = append(list, q)
	}
	got, _ := forms[1].through(t, list, wire.Options{})
	compare(t, "dnstap", got, list)
	n, err := wire.Pcap(io.Discard, of(append(list, picket.Query{Time: begin + 9})), wire.Options{})
	if err != nil || n != (wire.Written{LeftOut: 4}) {
		t.Errorf("%+v, %v", n, err)
	}
}

// TestFamilies: a client of one family reaches a server of the other by a translator.
func TestFamilies(t *testing.T) {
	list := each()[:2]
	list[0].Client = netip.MustParseAddr("2001:db8::1")
	list[1].Server = netip.MustParseAddr("2001:db8::53")
	got, _ := forms[0].through(t, list, wire.Options{})
	if len(got) != 2 || got[0].Server.String() != "64:ff9b::a35:1" || got[1].Client.String() != "64:ff9b::a01:203" {
		t.Errorf("%+v", got)
	}
}

// traffic is what a few resolvers ask on behalf of somebody who tries names.
func traffic(t *testing.T, s lab.Signing, n int) (*lab.Zone, []picket.Query) {
	t.Helper()
	z, err := organisation.New(organisation.Options{Names: 500, Seed: 3, Signing: s, Wildcard: organisation.WildcardBelow, OpenTransfer: true})
	if err != nil {
		t.Fatal(err)
	}
	p := lab.DefaultParameters()
	p.TCP = 0.1
	f := lab.NewFleet(&p, lab.Rand(1, "fleet"))
	for i := range f.Resolvers { // IPv4 only, so that nothing is translated
		if f.Resolvers[i].Addr.Is6() {
			f.Resolvers[i].Addr = netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)})
		}
	}
	r, path, direct, i := lab.Rand(2, "traffic"), lab.Through("eight", f, 8, lab.Rand(1, "path")), lab.Direct("one", 1), 0
	types := []uint16{lab.TypeA, lab.TypeAAAA, lab.TypeMX, lab.TypeTXT, lab.TypeNSEC, lab.TypeANY}
	list := lab.Collect(lab.PlanFrom(begin, func(out *lab.Outbox) (int64, bool) {
		at, ways := begin+int64(i)*1_700_000, []*lab.Path{path, direct}
		name := z.Owners[r.IntN(len(z.Owners))].Name
		if r.IntN(2) == 0 {
			name = z.Name(fmt.Sprintf("try%d", i))
		}
		o := lab.Options{Lane: i, DO: i%2 == 0, EDNSSize: 1232}
		if i == 40 {
			o.Stream = true
			direct.Ask(at, z, r, z.Apex, lab.TypeAXFR, o, out)
		}
		ways[i%2].Ask(at, z, r, name, types[r.IntN(len(types))], o, out)
		i++
		return begin + int64(i)*1_700_000, i < n
	}))
	return z, list
}

func TestRoundTripOfTraffic(t *testing.T) {
	for _, s := range []lab.Signing{lab.Unsigned, lab.NSEC, lab.NSEC3} {
		z, list := traffic(t, s, 3000)
		if len(list) < 2000 {
			t.Fatalf("%d queries", len(list))
		}
		for _, f := range forms {
			got, _ := f.through(t, list, wire.Options{Zones: []*lab.Zone{z}, Identity: "ns1"})
			compare(t, f.name+" "+s.String(), got, list)
		}
	}
}

// TestRoundTripOfAnything: names of any octets, all flags, types and counts.
func TestRoundTripOfAnything(t *testing.T) {
	r := lab.Rand(1, "anything")
	name := func(under []byte) []byte {
		var n []byte
		for range r.IntN(4) {
			size := 1 + r.IntN(20)
			if n = append(n, byte(size)); r.IntN(9) == 0 {
				n[len(n)-1], size = 63, 63
			}
			for range size {
				n = append(n, dnsname.Lower(byte(r.Uint32N(256))))
			}
		}
		if len(n)+len(under) > dnsname.MaxLen {
			return under
		}
		return append(n, under...)
	}
	apex := dnsname.MustParse("corp.example")
	var list []picket.Query
	for i := range 3000 {
		q := picket.Query{Time: begin + int64(i)*600_000, Client: netip.AddrFrom4([4]byte{10, byte(i >> 10), byte(i >> 4), byte(i)}), ClientPort: uint16(1024 + i), Server: netip.MustParseAddr("10.53.0.1"),
			Transport: picket.TransportUDP + picket.Transport(r.IntN(2)), Type: uint16(1 + r.IntN(300)), Class: 1, Rcode: picket.Rcode(r.IntN(24)), Name: name(apex),
			Flags: picket.QueryFlags(r.Uint32())&(picket.FlagFlags-1)&^picket.FlagMixed | picket.FlagFlags | picket.FlagResponse}
		if q.Has(picket.FlagDO) || q.Has(picket.FlagCookie) || q.Has(picket.FlagNSID) || q.Has(picket.FlagBadEDNS) || q.Rcode > 15 {
			q.Flags |= picket.FlagEDNS
		}
		if q.Has(picket.FlagEDNS) {
			q.EDNSSize = uint16(r.IntN(65536))
		}
		x := &q.Response
		if x.Answers = uint16(r.IntN(4)); x.Answers > 0 && r.IntN(2) == 0 {
			if x.Owner = name(apex); bytes.Equal(x.Owner, q.Name) {
				x.Owner = nil
			}
		}
		if r.IntN(2) == 0 {
			x.Authority, x.HasSOA = name(apex), r.IntN(2) == 0
			if !x.HasSOA && x.Answers == 0 && q.Rcode == 0 && !q.Has(picket.FlagAA) {
				q.Flags |= picket.FlagReferral
			}
		}
		for range r.IntN(4) {
			x.Denials = append(x.Denials, picket.Denial{Owner: name(apex), Next: name(apex)})
		}
		if (q.Type == lab.TypeNSEC || q.Type == lab.TypeNSEC3) && x.Answers > 0 { // then the denials are the answer
			x.Owner, x.Denials = nil, nil
			q.Type = lab.TypeA
		}
		list = append(list, q)
	}
	for _, f := range forms[:2] {
		got, _ := f.through(t, list, wire.Options{})
		compare(t, f.name, got, list)
	}
}

// TestZonesData: responses say what the zone's file says.
func TestZonesData(t *testing.T) {
	z, list := traffic(t, lab.Unsigned, 2000)
	var text, file bytes.Buffer
	if err := organisation.WriteZone(&text, z); err != nil {
		t.Fatal(err)
	}
	records := map[string]bool{}
	for p := dns.NewZoneParser(&text, "", ""); ; {
		rr, ok := p.Next()
		if !ok {
			break
		}
		records[rr.String()] = true
	}
	if _, err := wire.Pcap(&file, of(list), wire.Options{Zones: []*lab.Zone{z}}); err != nil {
		t.Fatal(err)
	}
	answers := 0
	check := picket.QuerySinkFunc(func(q *picket.Query) error {
		if q.Type == lab.TypeAXFR || q.Response.Message == nil { // negative answers go without
			return nil
		}
		var m dns.Msg
		if err := m.Unpack(q.Response.Message); err != nil {
			return fmt.Errorf("%s: %w", line(q), err)
		}
		for _, rr := range m.Answer {
			rr.Header().Name = strings.ToLower(rr.Header().Name)
			if i := z.Find(q.Name); i < 0 {
				continue // a wildcard's
			}
			if answers++; !records[rr.String()] {
				t.Errorf("the zone's file does not have %s", rr)
			}
		}
		return nil
	})
	if err := query.Pcap(t.Context(), &file, decode.Options{}, &pickettest.Ledger{}, check); err != nil {
		t.Fatal(err)
	}
	if answers < 200 {
		t.Errorf("%d answers looked at", answers)
	}
}

// TestRealTshark: tshark finds nothing malformed, no wrong checksum, nothing lost or
// out of order, and as many queries and packets as were written.
func TestRealTshark(t *testing.T) {
	tshark := pickettest.Program(t, "tshark", "tshark")
	z, list := traffic(t, lab.NSEC3, 300)
	for _, q := range each() {
		q.Time = list[len(list)-1].Time + 1_000_000
		list = append(list, q)
	}
	path := filepath.Join(t.TempDir(), "capture.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := wire.Pcap(f, of(list), wire.Options{Zones: []*lab.Zone{z}})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-r", path,
		"-T", "fields", "-e", "dns.flags.response", "-e", "_ws.expert.severity", "-e", "_ws.expert.message", "-e", "_ws.malformed", "-e", "tcp.analysis.retransmission", "-e", "tcp.analysis.out_of_order").Output()
	if err != nil {
		t.Fatal(err)
	}
	const warning = 6291456 // PI_WARN; what is worse has a larger number
	packets, queries := 0, 0
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if packets++; field[0] == "0" || field[0] == "False" {
			queries++
		}
		for _, s := range strings.Split(field[1], ",") {
			// Of signatures it says that it cannot check their algorithm.
			if severity, _ := strconv.Atoi(s); severity >= warning && !strings.HasPrefix(field[2], "No dissector for algorithm") || strings.Join(field[3:], "") != "" {
				t.Errorf("packet %d: %q", packets, field)
			}
		}
	}
	if queries != len(list) || int64(packets) != n.Frames {
		t.Errorf("%d queries in %d packets, wrote %d in %d", queries, packets, len(list), n.Frames)
	}
}

// TestDnstapOfficially: the official bindings, and another DNS library, can read
// every message.
func TestDnstapOfficially(t *testing.T) {
	z, list := traffic(t, lab.NSEC3, 500)
	list = append(list, each()...)
	for i := range list {
		list[i].Time = begin + int64(i)*1_000_000
	}
	_, file := forms[1].through(t, list, wire.Options{Zones: []*lab.Zone{z}, Identity: "ns1"})
	r, err := framestream.NewReader(bytes.NewReader(file), &framestream.ReaderOptions{ContentTypes: [][]byte{dnstap.FSContentType}})
	if err != nil {
		t.Fatal(err)
	}
	frame, n := make([]byte, 1<<17), map[dnstap.Message_Type]int{}
	for {
		size, err := r.ReadFrame(frame)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var tap dnstap.Dnstap
		if err := proto.Unmarshal(frame[:size], &tap); err != nil {
			t.Fatal(err)
		}
		wire := tap.Message.QueryMessage
		if tap.Message.GetType() == dnstap.Message_AUTH_RESPONSE {
			wire = tap.Message.ResponseMessage
		}
		var m dns.Msg
		if err := m.Unpack(wire); err != nil || string(tap.Identity) != "ns1" || tap.Message.GetQueryTimeSec() == 0 {
			t.Fatalf("%v: %v", &tap, err)
		}
		n[tap.Message.GetType()]++
	}
	responses := 0
	for i := range list {
		if list[i].Has(picket.FlagResponse) {
			responses++
		}
	}
	if n[dnstap.Message_AUTH_QUERY] != len(list) || n[dnstap.Message_AUTH_RESPONSE] < responses {
		t.Errorf("%v of %d queries", n, len(list))
	}
}

func TestDeterministic(t *testing.T) {
	for _, f := range forms {
		_, a := f.through(t, each(), wire.Options{})
		_, b := f.through(t, each(), wire.Options{})
		if !bytes.Equal(a, b) {
			t.Errorf("%s: the same stream gave other bytes", f.name)
		}
	}
}

// full is a writer that takes n bytes and then fails.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, os.ErrClosed
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	_, list := traffic(t, lab.NSEC, 5000)
	for _, f := range forms {
		for _, room := range []int{0, 1 << 18} {
			if _, err := f.write(&full{room}, of(list), wire.Options{}); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s, with room for %d bytes: %v", f.name, room, err)
			}
		}
	}
}

func BenchmarkPcap(b *testing.B)   { benchmark(b, &forms[0]) }
func BenchmarkDnstap(b *testing.B) { benchmark(b, &forms[1]) }

func benchmark(b *testing.B, f *form) {
	q := each()[5]
	b.ReportAllocs()
	n := 0
	s := lab.StreamFunc(func() *picket.Query {
		if n++; n > b.N {
			return nil
		}
		q.Time += 20_000
		return &q
	})
	b.ResetTimer()
	if _, err := f.write(io.Discard, s, wire.Options{}); err != nil {
		b.Fatal(err)
	}
}
