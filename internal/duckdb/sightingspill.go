package duckdb

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/s2"
)

// packedSighting is a sightingRow as bytes, little endian: its length, the source,
// the numbers, the lengths of the texts, the texts. Garbage collection has nothing
// to do with it, and it goes to files as it is.
type packedSighting []byte

const (
	packedSource  = 4
	packedKey     = 8
	packedDataKey = 16
	packedFirst   = 24 // then last, zoneFirst, zoneLast, count
	packedLens    = 64 // of name, rrtype, data, bailiwick, detail, which follow
	packedTexts   = 84
)

// packSighting appends a row.
func packSighting(dst []byte, r *sightingRow) []byte {
	le := binary.LittleEndian
	texts := [5]string{r.name, r.rrtype, r.data, r.bailiwick, r.detail}
	size := packedTexts
	for _, s := range texts {
		size += len(s)
	}
	dst = le.AppendUint32(dst, uint32(size))
	dst = le.AppendUint32(dst, r.source)
	dst = le.AppendUint64(dst, r.key)
	dst = le.AppendUint64(dst, r.dataKey)
	for _, n := range [5]int64{r.first, r.last, r.zoneFirst, r.zoneLast, r.count} {
		dst = le.AppendUint64(dst, uint64(n))
	}
	for _, s := range texts {
		dst = le.AppendUint32(dst, uint32(len(s)))
	}
	for _, s := range texts {
		dst = append(dst, s...)
	}
	return dst
}

// packedAt is the row that begins at b.
func packedAt(b []byte) packedSighting { return packedSighting(b[:binary.LittleEndian.Uint32(b)]) }

func (r packedSighting) key() uint64     { return binary.LittleEndian.Uint64(r[packedKey:]) }
func (r packedSighting) dataKey() uint64 { return binary.LittleEndian.Uint64(r[packedDataKey:]) }

// number is the nth of first, last, zoneFirst, zoneLast, count.
func (r packedSighting) number(n int) int64 {
	return int64(binary.LittleEndian.Uint64(r[packedFirst+8*n:]))
}

func (r packedSighting) setNumber(n int, v int64) {
	binary.LittleEndian.PutUint64(r[packedFirst+8*n:], uint64(v))
}

// compare orders rows of one key by all that tells them apart.
func (r packedSighting) compare(b packedSighting) int {
	if c := bytes.Compare(r[packedLens:], b[packedLens:]); c != 0 {
		return c
	}
	return cmp.Compare(binary.LittleEndian.Uint32(r[packedSource:]), binary.LittleEndian.Uint32(b[packedSource:]))
}

// join adds what b has seen of the same.
func (r packedSighting) join(b packedSighting) {
	for n := 0; n < 4; n += 2 {
		r.setNumber(n, earliest(r.number(n), b.number(n)))
		r.setNumber(n+1, max(r.number(n+1), b.number(n+1)))
	}
	r.setNumber(4, addCounts(r.number(4), b.number(4)))
}

func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// sightingOrder is what rows are first of all sorted by, and where they begin.
type sightingOrder struct {
	key uint64
	at  uint32
}

// sortPacked calls f for the rows of arena, sorted, what is the same joined.
func sortPacked(arena []byte, order []sightingOrder, f func(packedSighting) error) error {
	slices.SortFunc(order, func(a, b sightingOrder) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return packedAt(arena[a.at:]).compare(packedAt(arena[b.at:]))
	})
	var j joiner
	for _, o := range order {
		if err := j.add(packedAt(arena[o.at:]), f); err != nil {
			return err
		}
	}
	return j.end(f)
}

// joiner joins rows that follow each other and are the same.
type joiner struct{ row packedSighting }

// add takes the next row, which it may change, and keeps it until the next call;
// the row before goes to f unless it is the same.
func (j *joiner) add(r packedSighting, f func(packedSighting) error) error {
	if j.row != nil {
		if j.row.key() == r.key() && j.row.compare(r) == 0 {
			j.row.join(r)
			return nil
		}
		if err := f(j.row); err != nil {
			return err
		}
	}
	j.row = r
	return nil
}

func (j *joiner) end(f func(packedSighting) error) error {
	if j.row == nil {
		return nil
	}
	return f(j.row)
}

// A spill is a file of packed rows that are sorted. It is made of blocks of whole
// rows: the length of the compressed block, its checksum, the block.
const spillBlock = 64 << 10

type spillWriter struct {
	f           *os.File
	w           *bufio.Writer
	block, comp []byte
}

// create begins a file; the buffers of the one before are used again.
func (s *spillWriter) create(name string) (err error) {
	if s.f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if s.w == nil {
		s.w = bufio.NewWriterSize(nil, 256<<10)
	}
	s.w.Reset(s.f)
	s.block = s.block[:0]
	return nil
}

func (s *spillWriter) add(r packedSighting) error {
	if s.block = append(s.block, r...); len(s.block) >= spillBlock {
		return s.endBlock()
	}
	return nil
}

func (s *spillWriter) endBlock() error {
	if len(s.block) == 0 {
		return nil
	}
	s.comp = s2.Encode(s.comp[:cap(s.comp)], s.block)
	s.block = s.block[:0]
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(s.comp)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(s.comp, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := s.w.Write(head[:]); err != nil {
		return err
	}
	_, err := s.w.Write(s.comp)
	return err
}

func (s *spillWriter) close() error {
	err := s.endBlock()
	if err == nil {
		err = s.w.Flush()
	}
	return errors.Join(err, s.f.Close())
}

// spillReader reads a spill.
type spillReader struct {
	f     *os.File
	comp  []byte
	block []byte // what was decoded last
	other []byte // the block before, in which the row may be that is being joined
	rest  []byte // of block
	row   packedSighting
}

// next reads the next row; row is nil at the end. A row is good until the block
// after the next is read.
func (s *spillReader) next() error {
	if len(s.rest) == 0 {
		if err := s.readBlock(); err != nil || s.row == nil {
			return err
		}
	}
	s.row = packedAt(s.rest)
	s.rest = s.rest[len(s.row):]
	return nil
}

// readBlock leaves row nil at the end of the file.
func (s *spillReader) readBlock() error {
	var head [8]byte
	if _, err := io.ReadFull(s.f, head[:]); err != nil {
		s.row = nil
		if err == io.EOF {
			return nil
		}
		return fmt.Errorf("read %s: %w", s.f.Name(), err)
	}
	size := int(binary.LittleEndian.Uint32(head[:]))
	s.comp = slices.Grow(s.comp[:0], size)[:size]
	if _, err := io.ReadFull(s.f, s.comp); err != nil {
		return fmt.Errorf("read %s: %w", s.f.Name(), err)
	}
	if crc32.Checksum(s.comp, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(head[4:]) {
		return fmt.Errorf("read %s: what was written is not what is read: the disk or its driver is broken", s.f.Name())
	}
	s.block, s.other = s.other, s.block
	var err error
	if s.block, err = s2.Decode(s.block[:cap(s.block)], s.comp); err != nil {
		return fmt.Errorf("read %s: %w", s.f.Name(), err)
	}
	s.rest = s.block
	s.row = packedSighting{} // anything but nil
	return nil
}

// mergeSpills calls f for all the rows of files, sorted, what is the same joined,
// and removes the files.
func mergeSpills(files []string, f func(packedSighting) error) (err error) {
	var heap spillHeap
	defer func() {
		for _, s := range heap.all {
			err = errors.Join(err, s.f.Close())
		}
		if err == nil {
			for _, name := range files {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}()
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		s := &spillReader{f: file}
		heap.all = append(heap.all, s)
		if err := s.next(); err != nil {
			return err
		}
		if s.row != nil {
			heap.list = append(heap.list, spillHead{s.row.key(), s})
		}
	}
	for i := len(heap.list)/2 - 1; i >= 0; i-- {
		heap.down(i)
	}
	var j joiner
	for len(heap.list) > 0 {
		s := heap.list[0].s
		if err := j.add(s.row, f); err != nil {
			return err
		}
		if err := s.next(); err != nil {
			return err
		}
		if s.row == nil {
			last := len(heap.list) - 1
			heap.list[0] = heap.list[last]
			heap.list = heap.list[:last]
			if last == 0 {
				break
			}
		} else {
			heap.list[0].key = s.row.key()
		}
		heap.down(0)
	}
	return j.end(f)
}

// spillHeap has the reader of the least row first.
type spillHeap struct {
	all  []*spillReader
	list []spillHead
}

type spillHead struct {
	key uint64
	s   *spillReader
}

func (h *spillHeap) less(i, j int) bool {
	a, b := &h.list[i], &h.list[j]
	if a.key != b.key {
		return a.key < b.key
	}
	return a.s.row.compare(b.s.row) < 0
}

func (h *spillHeap) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(h.list) {
			return
		}
		if least+1 < len(h.list) && h.less(least+1, least) {
			least++
		}
		if !h.less(least, i) {
			return
		}
		h.list[i], h.list[least] = h.list[least], h.list[i]
		i = least
	}
}
