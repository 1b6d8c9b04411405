package query

import "time"

// clock is the decoder's own time: it goes with the capture's but never back,
// and one packet with a wrong timestamp does not move it. The difference is what
// counts for waiting; events keep the time the capture gives them.
type clock struct {
	now   int64 // monotone, starts at 0
	last  int64 // the capture's time that now stands for
	limit int64 // the furthest a single step goes; longer than anything waits
	begun bool
	leap  bool  // the latest packet was far off; the next one decides
	from  int64 // last before the leap
}

// tick takes a packet's time and returns the clock's.
func (c *clock) tick(t int64) int64 {
	const far = int64(time.Minute)
	if !c.begun {
		c.begun, c.last = true, t
		return c.now
	}
	// Differences may overflow between extreme times; the sign is then wrong and
	// the step is taken for one of the two leaps, which is right.
	step := t - c.last
	if c.leap {
		c.leap = false
		if step < -far || step > far {
			// Alone in its opinion: go back to where the clock was.
			c.last = c.from
			step = t - c.last
		} else if c.last > c.from {
			c.now += c.limit
		} // else the capture's clock was set back, or captures were joined
	}
	switch {
	case step > far || step < -far:
		c.leap, c.from, c.last = true, c.last, t
	case step >= 0:
		c.now += step
		c.last = t
	}
	return c.now
}

// stamps remembers when keyed hashes were last seen, in a fixed table: a later
// hash may push out an earlier one. An entry is 40 bits of hash and 24 of time.
type stamps struct {
	table []uint64
	shift uint // log2 of the time unit in nanoseconds
}

func newStamps(size int, shift uint) stamps { return stamps{make([]uint64, size), shift} }

const stampTime = 1<<24 - 1

// mark notes hash at time t.
func (s *stamps) mark(hash uint64, t int64) {
	s.table[hash&uint64(len(s.table)-1)] = hash&^stampTime | uint64(t>>s.shift)&stampTime
}

// within reports whether hash was noted at most window before or after t, to the
// time unit.
func (s *stamps) within(hash uint64, t, window int64) bool {
	x := s.table[hash&uint64(len(s.table)-1)]
	if (x^hash)&^stampTime != 0 || x == 0 {
		return false
	}
	// The difference of two 24-bit figures, as a signed one.
	diff := int32(uint32(t>>s.shift)<<8-uint32(x)<<8) >> 8
	if diff < 0 {
		diff = -diff
	}
	return int64(diff) <= window>>s.shift
}

// seen is within, then mark when it was not.
func (s *stamps) seen(hash uint64, t, window int64) bool {
	if s.within(hash, t, window) {
		return true
	}
	s.mark(hash, t)
	return false
}
