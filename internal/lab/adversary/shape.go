package adversary

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Shape is what a run looks like from outside, simulated or captured: what is
// compared to see whether the lab's tools are like the real ones.
type Shape struct {
	Queries int
	Names   int // different ones
	Sources int
	// Types are the numbers of questions by QTYPE.
	Types map[uint16]int
	// NX is the share of NXDOMAIN in questions whose answer is known.
	NX float64
	// Ordered is the share of host names, at their first contact, that come after the
	// one before in the alphabet; 0.5 in random order. Services and reverse names are
	// left out; 0 when there are fewer than three.
	Ordered float64
	// Gap is the median time between questions, in nanoseconds, within an eighth.
	Gap int64
	// Span is the time from the first question to the last, in nanoseconds.
	Span int64
	// RD, DO, TCP and Chaos are shares of questions.
	RD, DO, TCP, Chaos float64
}

// ShapeOf measures a stream. It reads it to its end.
func ShapeOf(s lab.Stream) Shape {
	m := measure{names: map[uint64]struct{}{}, sources: map[netip.Addr]struct{}{}}
	m.shape.Types = map[uint16]int{}
	for q := s.Next(); q != nil; q = s.Next() {
		m.add(q)
	}
	return m.done()
}

// measure is a Shape in the making.
type measure struct {
	shape                 Shape
	names                 map[uint64]struct{}
	sources               map[netip.Addr]struct{}
	hasher                dnsname.Hasher
	answered, nx          int
	rd, do, tcp, chaos    int
	before                []byte // first label of the host name before
	pairs, ascents, hosts int
	first, last           int64
	gaps                  [8 * 48]int // by logarithm, eight to each doubling
}

func (m *measure) add(q *picket.Query) {
	s := &m.shape
	if s.Queries == 0 {
		m.first = q.Time
	} else {
		gap := max(q.Time-m.last, 1)
		m.gaps[min(int(8*math.Log2(float64(gap))), len(m.gaps)-1)]++
	}
	m.last = q.Time
	s.Queries++
	s.Types[q.Type]++
	m.sources[q.Client] = struct{}{}
	if q.Rcode != picket.RcodeUnknown {
		m.answered++
		if q.Rcode == picket.RcodeNXDomain {
			m.nx++
		}
	}
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	count(&m.rd, q.Has(picket.FlagRD))
	count(&m.do, q.Has(picket.FlagDO))
	count(&m.tcp, q.Transport == picket.TransportTCP)
	count(&m.chaos, q.Class == 3)
	h := m.hasher.Name(q.Name)
	if _, again := m.names[h]; again {
		return
	}
	m.names[h] = struct{}{}
	label := dnsname.First(q.Name)
	if q.Class != 1 || len(label) == 0 || label[0] == '_' || q.Type == lab.TypePTR || dnsname.IsReverse(q.Name) || q.Type == lab.TypeSRV {
		return
	}
	if m.hosts > 0 {
		m.pairs++
		count(&m.ascents, bytes.Compare(label, m.before) > 0)
	}
	m.hosts++
	m.before = append(m.before[:0], label...)
}

func (m *measure) done() Shape {
	s := m.shape
	s.Names, s.Sources, s.Span = len(m.names), len(m.sources), m.last-m.first
	share := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
	s.NX = share(m.nx, m.answered)
	s.RD, s.DO, s.TCP, s.Chaos = share(m.rd, s.Queries), share(m.do, s.Queries), share(m.tcp, s.Queries), share(m.chaos, s.Queries)
	if m.pairs >= 2 {
		s.Ordered = share(m.ascents, m.pairs)
	}
	half := 0
	for i, n := range m.gaps {
		if half += n; 2*half >= s.Queries-1 && s.Queries > 1 {
			s.Gap = int64(math.Exp2((float64(i) + 0.5) / 8))
			break
		}
	}
	return s
}

// Share is the share of questions that have a type.
func (s *Shape) Share(qtype uint16) float64 {
	return float64(s.Types[qtype]) / float64(max(s.Queries, 1))
}

// typeName is what tables call a type.
func typeName(t uint16) string {
	named := [...]struct {
		t    uint16
		name string
	}{{lab.TypeA, "A"}, {lab.TypeAAAA, "AAAA"}, {lab.TypeNS, "NS"}, {lab.TypeSOA, "SOA"}, {lab.TypeMX, "MX"}, {lab.TypeTXT, "TXT"}, {lab.TypePTR, "PTR"},
		{lab.TypeSRV, "SRV"}, {lab.TypeAXFR, "AXFR"}, {lab.TypeIXFR, "IXFR"}, {lab.TypeANY, "ANY"}, {lab.TypeCNAME, "CNAME"}, {lab.TypeDNSKEY, "DNSKEY"},
		{lab.TypeDS, "DS"}, {lab.TypeNSEC, "NSEC"}, {lab.TypeNSEC3, "NSEC3"}, {lab.TypeCAA, "CAA"}, {lab.TypeSPF, "SPF"}, {lab.TypeHINFO, "HINFO"},
		{lab.TypeNAPTR, "NAPTR"}, {lab.TypeHTTPS, "HTTPS"}}
	for _, n := range named {
		if n.t == t {
			return n.name
		}
	}
	return fmt.Sprintf("TYPE%d", t) // RFC 3597
}

// Mix lists the types by share, those below 3 % as "…".
func (s *Shape) Mix() string {
	types := make([]uint16, 0, len(s.Types))
	for t := range s.Types {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b uint16) int {
		if d := s.Types[b] - s.Types[a]; d != 0 {
			return d
		}
		return int(a) - int(b)
	})
	var out []string
	for _, t := range types {
		if s.Share(t) < 0.03 || len(out) == 5 {
			out = append(out, "…")
			break
		}
		out = append(out, fmt.Sprintf("%s %.0f", typeName(t), 100*s.Share(t)))
	}
	return strings.Join(out, ", ")
}

// Row is a line of a table of shapes.
type Row struct {
	Name  string
	Shape Shape
}

// PrintShapes writes shapes as a Markdown table.
func PrintShapes(w io.Writer, rows []Row) error {
	var b strings.Builder
	b.WriteString("| run | queries | names per query | types, % | NX | in order | median gap | span | RD | TCP |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range rows {
		s := &rows[i].Shape
		order := "–"
		if s.Ordered > 0 {
			order = fmt.Sprintf("%.2f", s.Ordered)
		}
		fmt.Fprintf(&b, "| %s | %d | %.2f | %s | %.2f | %s | %s | %s | %.2f | %.3f |\n", rows[i].Name, s.Queries, float64(s.Names)/float64(max(s.Queries, 1)),
			s.Mix(), s.NX, order, duration(s.Gap), duration(s.Span), s.RD, s.TCP)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// duration writes nanoseconds with two digits that count.
func duration(ns int64) string {
	switch x := float64(ns); {
	case x >= 2*86400e9:
		return fmt.Sprintf("%.1f d", x/86400e9)
	case x >= 2*3600e9:
		return fmt.Sprintf("%.1f h", x/3600e9)
	case x >= 120e9:
		return fmt.Sprintf("%.0f min", x/60e9)
	case x >= 1e9:
		return fmt.Sprintf("%.1f s", x/1e9)
	case x >= 10e6:
		return fmt.Sprintf("%.0f ms", x/1e6)
	default:
		return fmt.Sprintf("%.2f ms", x/1e6)
	}
}
