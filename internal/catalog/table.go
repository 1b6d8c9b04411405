package catalog

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/picket-dns/picket/internal/dnsname"
)

// What a record of the table says about its name.
const (
	flagLive    = 1 << iota // owns records that a server answers with
	flagCut                 // owns NS and is not the apex: a delegation
	flagEmpty               // exists only because names below it do (RFC 4592 §2.2.2)
	flagWild                // has a child "*", or a DNAME: it answers for names below
	flagRetired             // in a list of retired names and not live
	flagCanary              // planted
	flagApex                // top of a watched zone

	flagExists = flagLive | flagCut | flagEmpty | flagApex
)

// headerLen is the size of a record's header in the arena:
// zone index (4, little endian), flags (1), length of the name (1), channel index (2).
const headerLen = 8

// slot points from a hash to a record. off 0 is an empty slot.
type slot struct{ tag, off uint32 }

// table is an open-addressing hash table from names to small records. The names
// themselves lie one after the other in an arena: at a million names of ordinary
// length it takes about 50 MiB and is two allocations to the garbage collector.
//
// It is written by one goroutine; once published it is only read.
type table struct {
	hasher    dnsname.Hasher
	slots     []slot // a power of two, never more than 3/4 full
	arena     []byte
	n         int
	maxLabels int // of the deepest name
}

func newTable(h dnsname.Hasher, names, bytes int) *table {
	size := 16
	for size*3/4 <= names {
		size *= 2
	}
	t := &table{hasher: h, slots: make([]slot, size), arena: make([]byte, headerLen, headerLen+names*headerLen+bytes)}
	return t
}

// find returns the record of name, 0 when there is none. hash is its hash by
// the table's hasher.
func (t *table) find(hash uint64, name []byte) uint32 {
	slots := t.slots
	mask := uint32(len(slots) - 1)
	tag := uint32(hash >> 32)
	for i := uint32(hash); ; i++ {
		s := slots[i&mask]
		if s.off == 0 {
			return 0
		}
		if s.tag == tag && string(t.name(s.off)) == string(name) {
			return s.off
		}
	}
}

// name returns the name of the record at off.
func (t *table) name(off uint32) []byte {
	at := int(off) + headerLen
	return t.arena[at : at+int(t.arena[off+5])]
}

func (t *table) zone(off uint32) uint32    { return binary.LittleEndian.Uint32(t.arena[off:]) }
func (t *table) flags(off uint32) uint8    { return t.arena[off+4] }
func (t *table) channel(off uint32) uint16 { return binary.LittleEndian.Uint16(t.arena[off+6:]) }

func (t *table) or(off uint32, flags uint8) { t.arena[off+4] |= flags }

func (t *table) setChannel(off uint32, ch uint16) {
	binary.LittleEndian.PutUint16(t.arena[off+6:], ch)
}

// next returns the record after the one at off; first is headerLen, the end
// len(t.arena).
func (t *table) next(off uint32) uint32 {
	return off + headerLen + uint32(t.arena[off+5])
}

// lookup finds name without a hash at hand.
func (t *table) lookup(name []byte) uint32 { return t.find(t.hasher.Name(name), name) }

// insert returns the record of name, which it makes with the given zone when
// there is none yet.
func (t *table) insert(hash uint64, name []byte, zone uint32) (off uint32, isNew bool, err error) {
	if off := t.find(hash, name); off != 0 {
		return off, false, nil
	}
	if len(t.arena)+headerLen+len(name) > math.MaxUint32 {
		return 0, false, fmt.Errorf("more than 4 GiB of names")
	}
	if t.n+1 > len(t.slots)*3/4 {
		t.grow()
	}
	off = uint32(len(t.arena))
	t.arena = binary.LittleEndian.AppendUint32(t.arena, zone)
	t.arena = append(t.arena, 0, byte(len(name)), 0, 0)
	t.arena = append(t.arena, name...)
	t.place(hash, off)
	t.n++
	t.maxLabels = max(t.maxLabels, dnsname.Labels(name))
	return off, true, nil
}

func (t *table) place(hash uint64, off uint32) {
	mask := uint32(len(t.slots) - 1)
	for i := uint32(hash); ; i++ {
		if t.slots[i&mask].off == 0 {
			t.slots[i&mask] = slot{tag: uint32(hash >> 32), off: off}
			return
		}
	}
}

func (t *table) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	for off := uint32(headerLen); int(off) < len(t.arena); off = t.next(off) {
		t.place(t.hasher.Name(t.name(off)), off)
	}
}

// clone returns a copy that may be written to while t is read.
func (t *table) clone() *table {
	c := *t
	c.slots = append([]slot(nil), t.slots...)
	c.arena = append([]byte(nil), t.arena...)
	return &c
}

// bytes is the memory that the table holds.
func (t *table) bytes() int { return cap(t.arena) + cap(t.slots)*8 }
