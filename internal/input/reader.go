package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const (
	// headSize is how much of an input detection looks at.
	headSize = 64 << 10
	// magicSize is what telling compressions apart takes; an xz dictionary's size
	// stands in the first block's header, some bytes further.
	magicSize = 64
	// maxNesting bounds compression within compression.
	maxNesting = 2
	// maxWindow bounds what a decompressor keeps of the past, in bytes: the most
	// that xz -9 and zstd --ultra -22 without --long=27 ask for.
	maxWindow = 128 << 20
	// settle is how long more bytes of live input are waited for before its
	// format is told from what has arrived.
	settle = 250 * time.Millisecond
)

// Reader looks through up to two layers of gzip, zstd or xz and returns the
// first bytes (up to 64 KiB), a reader over everything from the start, and which
// layers there were ("gzip", "zstd+gzip", "" for none). Live input, that is a
// reader with a working SetReadDeadline, is not waited for longer than it takes
// to get something to look at. Without compression the returned reader passes
// on SetReadDeadline and Write where r has them.
func Reader(r io.Reader) (head []byte, rr io.Reader, how string, err error) {
	return open(r, headSize)
}

// open is Reader that reads at least want bytes ahead when there are as many.
func open(r io.Reader, want int) (head []byte, rr io.Reader, how string, err error) {
	var layers []string
	for {
		p := peek(r, max(want, magicSize))
		name := compression(p.head)
		if name == "" {
			return p.head, p.as(r), strings.Join(layers, "+"), nil
		}
		if len(layers) == maxNesting {
			return nil, nil, "", fmt.Errorf("decompress: more than %d layers of compression", maxNesting)
		}
		layers = append(layers, name)
		source, live := isLive(r)
		if r, err = decompress(name, p); err != nil {
			return nil, nil, "", fmt.Errorf("decompress %s: %w", name, err)
		}
		if live {
			r = newUnpacked(r, source)
		}
	}
}

var (
	magicGzip = []byte{0x1f, 0x8b, 8}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicXz   = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
)

func compression(head []byte) string {
	switch {
	case bytes.HasPrefix(head, magicGzip):
		return "gzip"
	case bytes.HasPrefix(head, magicZstd):
		return "zstd"
	case bytes.HasPrefix(head, magicXz):
		return "xz"
	}
	return ""
}

func decompress(name string, p *peeked) (io.Reader, error) {
	switch name {
	case "gzip":
		z, err := newMembers(p)
		return &layer{name: name, r: z}, err
	case "zstd":
		// Concurrency 1 decodes in the caller's goroutine.
		z, err := zstd.NewReader(p, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		return &layer{name: name, r: z}, err
	}
	if n := xzDictionary(p.head); n > maxWindow {
		return nil, fmt.Errorf("dictionary of %d MiB, at most %d are read", n>>20, maxWindow>>20)
	}
	z, err := xz.NewReader(p)
	return &layer{name: name, r: z}, err
}

// xzDictionary returns the size of the first block's LZMA2 dictionary in bytes,
// 0 when the header is not as expected (.xz file format §3.1, §5.3.1).
func xzDictionary(head []byte) int64 {
	const streamHeader = 12
	if len(head) < streamHeader+8 {
		return 0
	}
	b := head[streamHeader:]
	i, flags := 2, b[1]
	for _, bit := range [...]byte{0x40, 0x80} { // optional sizes, variable length
		if flags&bit == 0 {
			continue
		}
		for i < len(b) && b[i]&0x80 != 0 {
			i++
		}
		i++
	}
	if flags&3 != 0 || i+2 >= len(b) || b[i] != 0x21 || b[i+1] != 1 {
		return 0
	}
	bits := b[i+2] & 0x3f
	if bits >= 40 {
		return 1 << 32
	}
	return int64(2|bits&1) << (bits/2 + 11)
}

// members reads the members of a gzip file (RFC 1952 §2.2) one after the other. A
// gzip.Reader by itself holds back the end of one until it has seen the next begin,
// which in a live source may be long.
type members struct {
	src   *bufio.Reader
	z     *gzip.Reader
	ended bool // the member at hand
}

func newMembers(r io.Reader) (*members, error) {
	m := &members{src: bufio.NewReader(r)}
	var err error
	if m.z, err = gzip.NewReader(m.src); err == nil {
		m.z.Multistream(false)
	}
	return m, err
}

// Read implements io.Reader.
func (m *members) Read(b []byte) (int, error) {
	for {
		if m.ended {
			if err := m.z.Reset(m.src); err != nil {
				return 0, err // io.EOF when nothing follows
			}
			m.z.Multistream(false)
			m.ended = false
		}
		n, err := m.z.Read(b)
		if err == io.EOF {
			m.ended, err = true, nil
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// layer names the decompressor in its errors.
type layer struct {
	name string
	r    io.Reader
}

func (l *layer) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if err != nil && err != io.EOF {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return n, fmt.Errorf("decompress %s: input ends early: %w", l.name, err)
		}
		return n, fmt.Errorf("decompress %s: %w", l.name, err)
	}
	return n, err
}

// peeked replays what has been read ahead.
type peeked struct {
	head []byte // stays whole for the caller
	at   int
	err  error // comes after head
	r    io.Reader
}

// peek reads ahead up to want bytes.
func peek(r io.Reader, want int) *peeked {
	p := &peeked{r: r, head: make([]byte, 0, want)}
	live, ok := isLive(r)
	if !ok {
		live = nil
	}
	for empty := 0; len(p.head) < want && empty < 100; {
		n, err := r.Read(p.head[len(p.head):want])
		p.head = p.head[:len(p.head)+n]
		if err != nil {
			if live == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
				p.err = err
			}
			break
		}
		if n == 0 {
			empty++
		} else if live != nil {
			_ = live.SetReadDeadline(time.Now().Add(settle))
		}
	}
	if live != nil {
		_ = live.SetReadDeadline(time.Time{})
	}
	return p
}

// Read implements io.Reader.
func (p *peeked) Read(b []byte) (int, error) {
	if p.at < len(p.head) {
		n := copy(b, p.head[p.at:])
		p.at += n
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.r.Read(b)
}

type deadlined struct{ *peeked }

// SetReadDeadline sets the source's deadline.
func (d deadlined) SetReadDeadline(t time.Time) error {
	return d.r.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(t)
}

type duplex struct{ deadlined }

// Write writes to the source.
func (d duplex) Write(b []byte) (int, error) { return d.r.(io.Writer).Write(b) }

// as returns p with those of SetReadDeadline and Write that a live source has.
// A file has both and is not live: nothing is ever written to it.
func (p *peeked) as(r io.Reader) io.Reader {
	if _, live := isLive(r); !live {
		return p
	}
	if _, ok := r.(io.Writer); ok {
		return duplex{deadlined{p}}
	}
	return deadlined{p}
}
