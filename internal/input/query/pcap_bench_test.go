package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// counter is the cheapest Accounting and QuerySink.
type counter struct{ queries, answered, rejected, skipped int }

func (c *counter) Accept(int64)                   {}
func (c *counter) Reject(string, picket.Position) { c.rejected++ }
func (c *counter) Skip(string)                    { c.skipped++ }
func (c *counter) Query(q *picket.Query) error {
	c.queries++
	if q.Has(picket.FlagResponse) {
		c.answered++
	}
	return nil
}

const benchPairs = 200_000

// BenchmarkPcap decodes queries with their responses, in memory.
func BenchmarkPcap(b *testing.B) {
	data := generate(benchPairs)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		var c counter
		if err := Pcap(context.Background(), bytes.NewReader(data), decode.Options{}, &c, &c); err != nil {
			b.Fatal(err)
		}
		if c.queries != benchPairs || c.answered != benchPairs {
			b.Fatalf("%+v", c)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPairs, "ns/query")
}

// BenchmarkFloor is a bare loop over the same bytes that reads header and
// question of every message and does nothing with them.
func BenchmarkFloor(b *testing.B) {
	data := generate(benchPairs)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	var buf [dnsname.MaxLen]byte
	for range b.N {
		n, sum := 0, 0
		for at := 24; at < len(data); n++ {
			size := int(binary.LittleEndian.Uint32(data[at+8:]))
			msg := data[at+16+14+20+8 : at+16+size]
			name, next, _, err := dnsname.AppendWire(buf[:0], msg, dnsHeaderLen)
			if err != nil {
				b.Fatal(err)
			}
			sum += int(binary.BigEndian.Uint16(msg)) + int(binary.BigEndian.Uint16(msg[2:])) + len(name) + int(binary.BigEndian.Uint32(msg[next:]))
			at += 16 + size
		}
		if n != 2*benchPairs || sum == 0 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPairs, "ns/query")
}
