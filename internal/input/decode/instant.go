package decode

import (
	"bytes"
	"strconv"
	"time"
)

// Instant reads a time as providers write it: RFC 3339, or the time since 1970
// in seconds, milli-, micro- or nanoseconds, told apart by size. All of b must be
// the time; a civil time without an offset is in the clock's zone.
func Instant(c *Clock, b []byte) (ns int64, ok bool) {
	if len(b) > 4 && b[4] == '-' {
		b = bytes.TrimSuffix(b, []byte(" UTC"))
		ns, n := c.IsoTime(b)
		return ns, n > 0 && n == len(b)
	}
	if v, ok := ParseUint(b, 1<<63-1); ok {
		switch {
		case v < 1e11:
			if v > 9e9 {
				return 0, false
			}
			return int64(v) * NsPerSecond, true
		case v < 1e14:
			if v > 9e12 {
				return 0, false
			}
			return int64(v) * int64(time.Millisecond), true
		case v < 1e17:
			if v > 9e15 {
				return 0, false
			}
			return int64(v) * int64(time.Microsecond), true
		}
		return int64(v), true
	}
	if ns, ok = EpochTime(b); ok || !bytes.ContainsAny(b, "eE") || len(b) > 32 {
		return ns, ok
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(f > 0 && f < 9e12) {
		return 0, false
	}
	if f > 1e11 {
		return int64(f * 1e6), true
	}
	if f > 9e9 {
		return 0, false
	}
	return int64(f * 1e9), true
}

// UTCClock returns a clock for sources that are known to write UTC.
func UTCClock() Clock { return Clock{loc: time.UTC} }
