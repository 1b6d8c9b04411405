package transfer

import (
	"time"

	"github.com/picket-dns/picket"
)

// Newer reports whether serial a comes after b (RFC 1982 §3.2). Of serials that
// are half the circle apart none comes after the other.
func Newer(a, b uint32) bool { return int32(a-b) > 0 }

// Lag says how far a server that serves serial is behind. versions are those of the
// zone that have been recorded, newest first, of whatever source; newest is the
// greatest serial that any server was seen to serve, with hasNewest. Behind counts
// each serial once.
func Lag(zone string, versions []picket.ZoneVersion, newest uint32, hasNewest bool, serial uint32) picket.ServerLag {
	lag := picket.ServerLag{Zone: zone, Serial: serial, Newest: serial}
	missing := map[uint32]bool{}
	var since time.Time
	see := func(s uint32, t time.Time) {
		if !Newer(s, serial) {
			return
		}
		missing[s] = true
		if Newer(s, lag.Newest) {
			lag.Newest = s
		}
		if !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t
		}
	}
	for i := range versions {
		if v := &versions[i]; v.HasSerial && v.Zone == zone {
			see(v.Serial, v.Time)
		}
	}
	if hasNewest {
		see(newest, time.Time{})
	}
	lag.Behind, lag.Since = len(missing), since
	return lag
}
