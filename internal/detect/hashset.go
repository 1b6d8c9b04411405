package detect

// hashSet is a set of keyed 64-bit hashes, which need no further hashing: about
// three times as quick to ask as a map. It only grows. The zero value is empty.
type hashSet struct {
	slots []uint64 // a power of two, at most half full; 0 is free
	n     int
}

// has reports whether a hash is in the set; 0 counts as 1.
func (s *hashSet) has(hash uint64) bool {
	if s.n == 0 {
		return false
	}
	return s.slots[s.place(max(hash, 1))] != 0
}

// add puts a hash into the set.
func (s *hashSet) add(hash uint64) {
	if 2*(s.n+1) > len(s.slots) {
		old := s.slots
		*s = hashSet{slots: make([]uint64, max(64, 2*len(old)))}
		for _, h := range old {
			if h != 0 {
				s.add(h)
			}
		}
	}
	hash = max(hash, 1)
	at := s.place(hash)
	if s.slots[at] == 0 {
		s.slots[at] = hash
		s.n++
	}
}

// place returns where a hash is, or would be.
func (s *hashSet) place(hash uint64) int {
	mask := uint64(len(s.slots) - 1)
	at := hash & mask
	for s.slots[at] != 0 && s.slots[at] != hash {
		at = (at + 1) & mask
	}
	return int(at)
}
