package lab

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
)

// CaptureOptions describe a generated capture. Zero values work.
type CaptureOptions struct {
	Queries int    // 0 means 1,000,000
	Sources int    // distinct client addresses; 0 means 20,000
	Names   int    // names in the zone; 0 means 300
	Seed    uint64 // same seed, same bytes
	Zone    string // apex without trailing dot; "" means bench.example
	// Uniform gives every source the same share, as a spoofed flood would; else a
	// few resolvers ask most (about 1/rank).
	Uniform bool
	// Missing is the share of names that do not exist; 0 means 0.03.
	Missing float64
	Rate    float64 // queries a second; 0 means 50,000
}

func (o CaptureOptions) withDefaults() CaptureOptions {
	if o.Queries == 0 {
		o.Queries = 1_000_000
	}
	if o.Sources == 0 {
		o.Sources = 20_000
	}
	if o.Names == 0 {
		o.Names = 300
	}
	if o.Zone == "" {
		o.Zone = "bench.example"
	}
	if o.Missing == 0 {
		o.Missing = 0.03
	}
	if o.Rate == 0 {
		o.Rate = 50_000
	}
	return o
}

// Zone writes the zone that a capture with the same options asks, as a master file.
func (o CaptureOptions) WriteZone(w io.Writer) error {
	o = o.withDefaults()
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "$ORIGIN %s.\n$TTL 300\n@ IN SOA ns1 hostmaster 1 3600 900 1209600 300\n@ IN NS ns1\nns1 IN A 192.0.2.53\n@ IN A 192.0.2.80\n", o.Zone)
	for i := range o.Names {
		fmt.Fprintf(b, "%s IN A 192.0.2.%d\n", hostLabel(i), i%250+1)
	}
	return b.Flush()
}

var stems = [...]string{"www", "mail", "api", "shop", "static", "img", "login", "portal", "cdn", "app", "web", "news", "blog", "docs", "id", "edge"}

// hostLabel is the label of the i-th name of a generated zone.
func hostLabel(i int) string {
	s := stems[i%len(stems)]
	if n := i / len(stems); n > 0 {
		return fmt.Sprintf("%s-%d", s, n)
	}
	return s
}

// generator makes packets into one buffer.
type generator struct {
	o     CaptureOptions
	r     *rand.Rand
	names [][]byte // QNAMEs in wire form
	apex  []byte
	buf   []byte
	id    uint16
}

// WriteCapture writes a packet capture (classic pcap, Ethernet, nanoseconds) of
// queries and their responses between generated clients and 192.0.2.53.
func WriteCapture(w io.Writer, o CaptureOptions) error {
	o = o.withDefaults()
	g := &generator{o: o, r: rand.New(rand.NewPCG(o.Seed, 0x9e37)), apex: wire(o.Zone)}
	for i := range o.Names {
		g.names = append(g.names, append([]byte{byte(len(hostLabel(i)))}, append([]byte(hostLabel(i)), g.apex...)...))
	}
	out := bufio.NewWriterSize(w, 1<<20)
	var head [24]byte
	binary.LittleEndian.PutUint32(head[0:], 0xa1b23c4d)
	binary.LittleEndian.PutUint16(head[4:], 2)
	binary.LittleEndian.PutUint16(head[6:], 4)
	binary.LittleEndian.PutUint32(head[16:], 65535)
	binary.LittleEndian.PutUint32(head[20:], 1)
	if _, err := out.Write(head[:]); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	start := int64(1_790_000_000_000_000_000)
	step := int64(1e9 / o.Rate)
	for i := range o.Queries {
		g.transaction(start + int64(i)*step)
		if _, err := out.Write(g.buf); err != nil {
			return fmt.Errorf("write capture: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

func wire(name string) []byte {
	var out []byte
	at := 0
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			out = append(out, byte(i-at))
			out = append(out, name[at:i]...)
			at = i + 1
		}
	}
	return append(out, 0)
}

// transaction appends the packets of one query and its response to g.buf.
func (g *generator) transaction(now int64) {
	g.buf = g.buf[:0]
	g.id++
	src := g.source()
	port := uint16(1024 + g.r.IntN(60000))
	missing := g.r.Float64() < g.o.Missing
	var name []byte
	if missing {
		var label [16]byte
		n := 5 + g.r.IntN(6)
		for i := range n {
			label[i] = byte('a' + g.r.IntN(26))
		}
		name = append(append([]byte{byte(n)}, label[:n]...), g.apex...)
	} else {
		name = g.names[g.zipf(len(g.names))]
	}
	qtype := [...]uint16{1, 28, 65, 1}[g.r.IntN(4)]
	g.packet(now, src, port, name, qtype, false, missing)
	g.packet(now+200_000, src, port, name, qtype, true, missing)
}

// zipf draws a rank below n with probability about 1/(rank+1).
func (g *generator) zipf(n int) int {
	x := g.r.Float64()
	rank := int(pow(float64(n+1), x)) - 1
	return min(max(rank, 0), n-1)
}

// source draws a client address in 198.18.0.0/15 and onwards.
func (g *generator) source() uint32 {
	i := 0
	if g.o.Uniform {
		i = g.r.IntN(g.o.Sources)
	} else {
		i = g.zipf(g.o.Sources)
	}
	return 0xc6120000 + uint32(i)*7
}

const etherIPUDP = 14 + 20 + 8

func (g *generator) packet(now int64, client uint32, port uint16, name []byte, qtype uint16, response, missing bool) {
	msg := 12 + len(name) + 4 + 11
	answer := response && !missing && qtype == 1
	negative := response && !answer
	if answer {
		msg += 16
	}
	soa := 2 + 10 + 2 + 2 + 20
	if negative {
		msg += soa
	}
	n := etherIPUDP + msg
	b := g.buf
	b = binary.LittleEndian.AppendUint32(b, uint32(now/1e9))
	b = binary.LittleEndian.AppendUint32(b, uint32(now%1e9))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = append(b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+8+msg))
	b = append(b, byte(g.id>>8), byte(g.id), 0, 0, 64, 17, 0, 0)
	const server = 0xc0000235
	from, to, sp, dp := client, uint32(server), port, uint16(53)
	if response {
		from, to, sp, dp = to, from, dp, sp
	}
	b = binary.BigEndian.AppendUint32(b, from)
	b = binary.BigEndian.AppendUint32(b, to)
	b = binary.BigEndian.AppendUint16(b, sp)
	b = binary.BigEndian.AppendUint16(b, dp)
	b = binary.BigEndian.AppendUint16(b, uint16(8+msg))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, g.id)
	flags := uint16(0)
	if response {
		flags = 0x8400
		if missing {
			flags |= 3
		}
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	counts := [4]uint16{1, 0, 0, 1}
	if answer {
		counts[1] = 1
	} else if negative {
		counts[2] = 1
	}
	for _, c := range counts {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	b = append(b, name...)
	b = binary.BigEndian.AppendUint16(b, qtype)
	b = append(b, 0, 1)
	if answer {
		b = append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
	} else if negative {
		at := uint16(12 + 1 + int(name[0]))
		b = binary.BigEndian.AppendUint16(b, 0xc000|at)
		b = append(b, 0, 6, 0, 1, 0, 0, 1, 44, 0, 24)
		b = append(b, 0xc0|byte(at>>8), byte(at), 0xc0|byte(at>>8), byte(at))
		b = append(b, make([]byte, 20)...)
	}
	g.buf = append(b, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
}

// pow returns n to the power of x, for 0 ≤ x < 1.
func pow(n, x float64) float64 { return math.Exp(x * math.Log(n)) }
