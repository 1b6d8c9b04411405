package query

// hashIndex is an open-addressing table from 64-bit keyed hashes to references. The
// hashes are keyed per decoder, so nobody who chooses addresses and ports can
// make them collide; equal hashes are taken for equal keys. No deletion marks:
// a removal shifts back what followed it.
type hashIndex struct {
	slots []hashSlot // power of two, at most half full
	n     int
}

type hashSlot struct {
	hash uint64
	ref  uint32 // reference + 1; 0 is free
}

func newIndex(size int) hashIndex { return hashIndex{slots: make([]hashSlot, size)} }

// find returns the reference stored for hash.
func (x *hashIndex) find(hash uint64) (ref uint32, ok bool) {
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.ref == 0 {
			return 0, false
		}
		if s.hash == hash {
			return s.ref - 1, true
		}
	}
}

// put stores ref for hash, replacing what was there.
func (x *hashIndex) put(hash uint64, ref uint32) {
	if 2*(x.n+1) > len(x.slots) {
		x.grow()
	}
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.ref == 0 {
			x.n++
		} else if s.hash != hash {
			continue
		}
		*s = hashSlot{hash, ref + 1}
		return
	}
}

func (x *hashIndex) grow() {
	old := x.slots
	*x = newIndex(2 * len(old))
	for _, s := range old {
		if s.ref != 0 {
			x.put(s.hash, s.ref-1)
		}
	}
}

// remove deletes hash.
func (x *hashIndex) remove(hash uint64) {
	mask := uint64(len(x.slots) - 1)
	i := hash & mask
	for ; x.slots[i].ref == 0 || x.slots[i].hash != hash; i = (i + 1) & mask {
		if x.slots[i].ref == 0 {
			return
		}
	}
	x.n--
	for j := i; ; {
		j = (j + 1) & mask
		s := x.slots[j]
		if s.ref == 0 {
			break
		}
		// s may fill the hole unless its home lies after the hole, up to j.
		if home := s.hash & mask; (j-home)&mask >= (j-i)&mask {
			x.slots[i] = s
			i = j
		}
	}
	x.slots[i] = hashSlot{}
}
