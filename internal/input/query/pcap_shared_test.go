package query

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/picket-dns/picket/internal/input/decode"

	"github.com/ulikunitz/xz"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// ledger is an Accounting and a QuerySink that keeps everything.
type ledger struct {
	queries  []picket.Query
	accepted int
	rejected map[string]int
	skipped  map[string]int
	first    map[string]int64 // reason → offset of the first rejection
}

func newLedger() *ledger {
	return &ledger{rejected: map[string]int{}, skipped: map[string]int{}, first: map[string]int64{}}
}

func (l *ledger) Accept(int64) { l.accepted++ }

func (l *ledger) Reject(reason string, at picket.Position) {
	if l.rejected[reason]++; l.rejected[reason] == 1 {
		l.first[reason] = at.Offset
	}
}

func (l *ledger) Skip(reason string) { l.skipped[reason]++ }

func (l *ledger) Query(q *picket.Query) error {
	c := *q
	c.Name = bytes.Clone(q.Name)
	c.Response.Owner = bytes.Clone(q.Response.Owner)
	c.Response.Authority = bytes.Clone(q.Response.Authority)
	c.Response.Denials = nil
	for _, d := range q.Response.Denials {
		c.Response.Denials = append(c.Response.Denials, picket.Denial{NSEC3: d.NSEC3, Owner: bytes.Clone(d.Owner), Next: bytes.Clone(d.Next)})
	}
	l.queries = append(l.queries, c)
	return nil
}

func (l *ledger) String() string {
	var b strings.Builder
	answered := 0
	for _, q := range l.queries {
		if q.Has(picket.FlagResponse) {
			answered++
		}
	}
	fmt.Fprintf(&b, "queries %d answered %d rejected %v skipped %v", len(l.queries), answered, l.rejected, l.skipped)
	return b.String()
}

// readSample returns a shared sample, decompressed.
func readSample(t testing.TB, elem ...string) []byte {
	t.Helper()
	path := pickettest.Shared(t, elem...)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(raw)
	switch {
	case strings.HasSuffix(path, ".gz"):
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	case strings.HasSuffix(path, ".xz"):
		if r, err = xz.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return b
}

// decodePcap runs Pcap over b and fails the test on an error.
func decodePcap(t testing.TB, b []byte, opt decode.Options) *ledger {
	t.Helper()
	l := newLedger()
	if err := Pcap(context.Background(), bytes.NewReader(b), opt, l, l); err != nil {
		t.Fatalf("Pcap: %v", err)
	}
	if l.accepted != len(l.queries) {
		t.Errorf("accepted %d of %d queries", l.accepted, len(l.queries))
	}
	return l
}

// manifestEntry is what the captures' manifest tells of one capture, measured
// by another program.
type manifestEntry struct {
	File      string
	Queries   int
	Responses int
	TCP       int            `json:"tcp_queries"`
	RD        int            `json:"recursion_desired"`
	Names     int            `json:"unique_names"`
	NXShare   float64        `json:"nxdomain_share"`
	Rcodes    map[string]int `json:"rcodes"`
	Types     map[string]int `json:"query_types"`
	Opcodes   map[string]int `json:"opcodes"`
	Addresses map[string]int `json:"addresses_seen_at_server"`
	Start     time.Time      `json:"start"`
	End       time.Time      `json:"end"`
	Servers   []struct {
		Address string
		Queries int
	}
}

var manifestRcodes = map[picket.Rcode]string{0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}

var manifestTypes = map[uint16]string{1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR",
	43: "DS", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA"}

// TestPcapManifest holds every capture against every figure of its manifest.
func TestPcapManifest(t *testing.T) {
	raw, err := os.ReadFile(pickettest.Shared(t, "recon", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var entries []manifestEntry
	if err := json.Unmarshal(raw, &entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) < 25 {
		t.Fatalf("manifest lists %d captures, want at least 25", len(entries))
	}
	for _, e := range entries {
		t.Run(path.Base(e.File), func(t *testing.T) {
			l := decodePcap(t, readSample(t, "recon", e.File), decode.Options{})
			checkManifest(t, &e, l)
			if len(l.rejected) > 0 {
				t.Errorf("rejected %v", l.rejected)
			}
		})
	}
}

func checkManifest(t *testing.T, e *manifestEntry, l *ledger) {
	got := manifestEntry{Rcodes: map[string]int{}, Types: map[string]int{}, Opcodes: map[string]int{}, Addresses: map[string]int{}}
	names, servers := map[string]bool{}, map[string]int{}
	for i := range l.queries {
		q := &l.queries[i]
		got.Queries++
		names[string(q.Name)] = true
		servers[q.Server.String()]++
		got.Addresses[q.Client.String()]++
		got.Types[manifestTypes[q.Type]]++
		got.Opcodes[strconv.Itoa(int(q.Opcode))]++
		if q.Transport == picket.TransportTCP {
			got.TCP++
		}
		if q.Has(picket.FlagRD) {
			got.RD++
		}
		if q.Has(picket.FlagResponse) {
			got.Responses++
			got.Rcodes[manifestRcodes[q.Rcode&0xf]]++ // the manifest counts the header's four bits
		}
	}
	eq := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	eq("queries", got.Queries, e.Queries)
	eq("responses", got.Responses+l.skipped[skipContinuation], e.Responses)
	eq("tcp queries", got.TCP, e.TCP)
	eq("recursion desired", got.RD, e.RD)
	eq("unique names", len(names), e.Names)
	eq("rcodes", got.Rcodes, e.Rcodes)
	for typ, n := range got.Types {
		// The manifest lists the eight most frequent types.
		if _, listed := e.Types[typ]; listed || len(e.Types) < 8 {
			eq("type "+typ, n, e.Types[typ])
		}
	}
	for typ, n := range e.Types {
		eq("type "+typ, got.Types[typ], n)
	}
	eq("opcodes", got.Opcodes, e.Opcodes)
	eq("addresses", got.Addresses, e.Addresses)
	for _, s := range e.Servers {
		eq("queries at "+s.Address, servers[s.Address], s.Queries)
	}
	if share := float64(got.Rcodes["NXDOMAIN"]) / float64(e.Responses); math.Abs(share-e.NXShare) > 0.00006 {
		t.Errorf("nxdomain share: got %f, want %f", share, e.NXShare)
	}
	if len(l.queries) > 0 {
		eq("start", l.queries[0].Time/1000, e.Start.UnixMicro())
		eq("end", l.queries[len(l.queries)-1].Time/1000, e.End.UnixMicro())
	}
}

// sampleCase is what a sample must yield. The figures were counted with another
// dissector; where Picket differs on purpose, the note says why.
type sampleCase struct {
	file              string
	queries, answered int
	tcp               int
	nxdomain, answers int // answers: sum of the answer counts
	denials           int
	rejected, skipped map[string]int
	note              string
}

type counts = map[string]int

var sampleCases = []sampleCase{
	{file: "arkime--dns-notify.pcap", queries: 1, answered: 1},
	{file: "arkime--dns-wiresharkrepo.pcap", queries: 19, answered: 19, nxdomain: 6, answers: 19},
	{file: "compactor--knot-live.raw.pcap.xz", queries: 8262, answered: 8262, tcp: 93, nxdomain: 5230, answers: 4010, denials: 6093,
		rejected: counts{reasonName: 2, reasonNoQuestion: 2}, skipped: counts{skipDuplicate: 4, skipTransport: 189, skipPort: 3},
		note: "of 8,267 queries, two have no question, two a name of more than 255 octets, two come again over IPv6 within 50 ms; one response lacks its query"},
	{file: "compactor--malformed.pcap.xz", queries: 11, answered: 11, nxdomain: 6, answers: 7, rejected: counts{reasonShort: 1, reasonQuestions: 1}},
	{file: "dns-collector--dnsdump_ip4_fragmented+udp.pcap", queries: 1, answered: 1, answers: 4},
	{file: "dns-collector--dnsdump_ip6_fragmented+udp.pcap", queries: 1, answered: 1, answers: 2},
	{file: "dns-collector--dnsdump_tcp.pcap", queries: 5, answered: 5, tcp: 5, answers: 27},
	{file: "dns-collector--dnsdump_udp.pcap", queries: 17, answered: 16, nxdomain: 4, answers: 12},
	{file: "dns-collector--dnsdump_udp_truncated+tcp_fragmented.pcap", queries: 2, answered: 2, tcp: 1, answers: 2048},
	{file: "dnscap--dns6.pcap", queries: 1, answered: 1, answers: 1},
	{file: "dnscap--dnso1tcp.pcap", queries: 41, answered: 41, tcp: 41, answers: 92},
	{file: "dnscap--dnsotcp-many1pkt.pcap", queries: 4, answered: 1, tcp: 4, answers: 1, note: "three queries in one segment, none answered; one response without query"},
	{file: "dnscap--frags.pcap", queries: 41, answered: 41, answers: 58},
	{file: "dnscap--vlan11.pcap", queries: 41, answered: 41, answers: 58, skipped: counts{skipNotIP: 10, skipTransport: 41}},
	{file: "entrada2--sidnlabs-test-dynamic-updates.pcap", queries: 34, answered: 34},
	{file: "entrada2--sidnlabs-test-ip-1-dns-response-2-ip-fragments.pcap", queries: 1, answered: 1, answers: 2, note: "a response without query"},
	{file: "entrada2--sidnlabs-test-multiple-dns-msg-over-tcp.pcap", queries: 1, answered: 1, tcp: 1, answers: 372, note: "a transfer whose query was not captured; the first of six messages counts", skipped: counts{skipContinuation: 5}},
	{file: "entrada2--sidnlabs-test-non-ascii-in-qname.example.pcap", queries: 1, answered: 1, nxdomain: 1, denials: 3},
	{file: "packetq--sample-bigendian.pcap.gz", queries: 1, answered: 1, answers: 5},
	{file: "packetq--sample-rfc1035escape.pcap.gz", queries: 9},
	{file: "zeek--dns-corrupt.pcap", queries: 1, answered: 1, answers: 2},
	{file: "zeek--dns-edns-ecs.pcap", queries: 70, answered: 65, tcp: 8, answers: 99, denials: 16, note: "20 queries, 15 of them answered, and 50 responses without query"},
	{file: "zeek--dns-svcb.pcap", queries: 1, answered: 1, answers: 1},
	{file: "zeek--max-compression-depth.pcap", skipped: counts{skipWrongWay: 1}, note: "a response sent to port 53"},
	{file: "zeek--mdns.pcap", skipped: counts{skipPcapMDNS: 18, skipTransport: 6}},
	{file: "zeek--nsec.pcap", queries: 2, answered: 2, answers: 2, denials: 1},
	{file: "zeek--nsec3.pcap", queries: 1, answered: 1, nxdomain: 1, denials: 2},
	{file: "zeek--rrsig.pcap", queries: 4, answered: 3, answers: 8},
}

// TestPcapSamples holds every sample against its figures, and the list of
// samples against the folder.
func TestPcapSamples(t *testing.T) {
	files, err := os.ReadDir(pickettest.Shared(t, "samples", "pcap"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]sampleCase{}
	for _, c := range sampleCases {
		cases[c.file] = c
	}
	for _, f := range files {
		want, ok := cases[f.Name()]
		if !ok {
			t.Errorf("%s: no figures for this sample", f.Name())
			continue
		}
		delete(cases, f.Name())
		t.Run(f.Name(), func(t *testing.T) {
			l := decodePcap(t, readSample(t, "samples", "pcap", f.Name()), decode.Options{Sensor: "ns1"})
			got := sampleCase{file: want.file, note: want.note, queries: len(l.queries), rejected: l.rejected, skipped: l.skipped}
			for i := range l.queries {
				got.count(&l.queries[i])
			}
			if want.rejected == nil {
				want.rejected = counts{}
			}
			if want.skipped == nil {
				want.skipped = counts{}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
	for name := range cases {
		t.Errorf("%s: sample is missing", name)
	}
}

func (c *sampleCase) count(q *picket.Query) {
	if q.Transport == picket.TransportTCP {
		c.tcp++
	}
	if q.Rcode == picket.RcodeNXDomain {
		c.nxdomain++
	}
	if q.Has(picket.FlagResponse) {
		c.answered++
	}
	c.answers += int(q.Response.Answers)
	c.denials += len(q.Response.Denials)
}
