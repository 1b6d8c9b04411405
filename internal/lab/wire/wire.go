// Package wire writes streams of queries as other programs read them: packet
// captures, dnstap, or lines of text. Queries and responses become whole DNS
// messages, with the denials, SOA records, counts and EDNS options that the stream
// tells of, so that what reads them gets back the same queries.
//
// Signatures (RRSIG) are left out, of which nothing in a query depends. Records have
// the data that lab.Records gives them: of the zones in Options where those know
// the name, so that a capture says what the zone's file says.
package wire

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Options say how streams are written. The zero value works.
type Options struct {
	// Zones have the records that answers are made of. Answers for other names are
	// made up.
	Zones []*lab.Zone
	// Delay is how long servers take to answer, in nanoseconds; 0 means 300 µs. It must
	// be less than the time for which a decoder waits.
	Delay int64
	// Identity is the server's name in dnstap; "" for none.
	Identity string
}

// Written is what became of a stream.
type Written struct {
	Queries int64
	Frames  int64 // packets of a capture, or messages of dnstap
	// LeftOut are queries that cannot be written: without the client's address, or, in
	// captures, over a transport that encrypts.
	LeftOut int64
}

// Text writes each query of a stream as encode appends it, in blocks.
func Text(w io.Writer, s lab.Stream, encode func(dst []byte, q *picket.Query) []byte) (n Written, err error) {
	const block = 1 << 16
	buf := make([]byte, 0, 2*block)
	for q := s.Next(); q != nil; q = s.Next() {
		n.Queries++
		if buf = encode(buf, q); len(buf) < block {
			continue
		}
		if _, err := w.Write(buf); err != nil {
			return n, fmt.Errorf("write queries: %w", err)
		}
		buf = buf[:0]
	}
	if _, err := w.Write(buf); err != nil {
		return n, fmt.Errorf("write queries: %w", err)
	}
	return n, nil
}

// early is how long before a query the first packet is that belongs to it: the
// handshake of its connection, in nanoseconds.
const early = 400_000

// writer puts frames in the order of time and writes them.
type writer struct {
	out     *bufio.Writer
	pending []frame // in order, from head on
	head    int
	free    [][]byte
	n       Written
	opt     Options
	msgs    messages
	frame   func(out *bufio.Writer, at int64, data []byte) error
}

// frame is what is to be written at a time.
type frame struct {
	at   int64
	data []byte
}

func newWriter(w io.Writer, o Options) *writer {
	if o.Delay <= 0 {
		o.Delay = 300_000
	}
	return &writer{out: bufio.NewWriterSize(w, 1<<18), opt: o}
}

// buffer is an empty one for a frame.
func (w *writer) buffer() []byte {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 512)
}

// add has a frame written when its time has come, after those of the same time.
func (w *writer) add(at int64, data []byte) {
	i := len(w.pending)
	for i > w.head && w.pending[i-1].at > at {
		i--
	}
	w.pending = slices.Insert(w.pending, i, frame{at, data})
}

// release writes all frames before a time.
func (w *writer) release(before int64) error {
	for ; w.head < len(w.pending) && w.pending[w.head].at < before; w.head++ {
		f := w.pending[w.head]
		if err := w.frame(w.out, f.at, f.data); err != nil {
			return err
		}
		w.n.Frames++
		w.free = append(w.free, f.data)
	}
	if w.head > len(w.pending)/2 {
		w.pending = w.pending[:copy(w.pending, w.pending[w.head:])]
		w.head = 0
	}
	return nil
}

// run writes a stream; each makes the frames of one query, and says whether it can.
func (w *writer) run(s lab.Stream, each func(q *picket.Query) bool) error {
	for q := s.Next(); q != nil; q = s.Next() {
		if err := w.release(q.Time - early); err != nil {
			return err
		}
		if !q.Client.IsValid() || !each(q) {
			w.n.LeftOut++
			continue
		}
		w.n.Queries++
	}
	if err := w.release(1<<63 - 1); err != nil {
		return err
	}
	return w.out.Flush()
}

// server is the address of the server that was asked; one is made up where the
// stream does not know it.
func server(q *picket.Query) netip.Addr {
	if q.Server.IsValid() {
		return q.Server.Unmap()
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, 53})
}

// port is the client's port; one is made up where the stream does not know it.
func port(q *picket.Query, id uint16) uint16 {
	if q.ClientPort != 0 {
		return q.ClientPort
	}
	return 1024 + id%60000
}
