package decode

import (
	"bytes"
	"net/netip"
	"time"
)

// BindHead is what stands before the message of a line of a BIND log, whoever
// wrote the line down. The slices point into the line.
type BindHead struct {
	Time  int64 // Unix nanoseconds; valid when Timed
	Timed bool
	// What BIND says of the client, when the line is about one.
	Client  netip.Addr
	Port    uint16
	Pointer []byte // client object, "" before 9.11
	Key     []byte // TSIG key that signed the message
	View    []byte
}

// Signed reports whether the client's message was signed.
func (h *BindHead) Signed() bool { return h.Key != nil }

// BindCutter cuts lines of BIND's log; it owns the clock for times without a zone.
type BindCutter struct {
	clock Clock
	now   func() time.Time
}

// NewBindCutter returns a cutter with the clock of opt.
func NewBindCutter(opt Options) BindCutter {
	c := BindCutter{clock: NewClock(opt), now: opt.Now}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// Cut reads the head of a line, which begins with neither a blank nor a remark,
// into out, that must be zero. About a client (ok), message is what BIND says of
// it; else it is the line after its first time stamp.
func (c *BindCutter) Cut(line []byte, out *BindHead) (message []byte, ok bool) {
	line, _ = skipPriority(line)
	rest := line
	if t, n := c.Stamp(rest); n > 0 {
		out.Time, out.Timed = t, true
		rest = rest[n:]
	}
	for tries, from := 0, 0; tries < 3; tries++ { // a host may be called client
		i := bytes.Index(rest[from:], []byte("client "))
		if i < 0 {
			break
		}
		i += from
		from = i + len("client ")
		if i > 0 && rest[i-1] != ' ' {
			continue
		}
		n, ok := out.peer(rest[from:])
		if !ok {
			continue
		}
		c.InnerStamp(rest[:i], out)
		return rest[from+n:], true
	}
	return rest, false
}

// Stamp reads a time in any of BIND's and syslog's spellings at the start of b;
// n 0 means that there is none.
func (c *BindCutter) Stamp(b []byte) (ns int64, n int) {
	if len(b) < 14 {
		return 0, 0
	}
	if !Digit(b[0]) {
		return c.clock.SyslogTime(b, c.now())
	}
	if b[2] == '-' {
		return c.clock.BindTime(b)
	}
	return c.clock.IsoTime(b)
}

// InnerStamp looks for BIND's own time within the header that a log shipper put
// in front; it is the more precise one, and the server's. The last one counts.
func (c *BindCutter) InnerStamp(header []byte, out *BindHead) {
	for i := 0; i+19 <= len(header); i++ {
		if (i == 0 || header[i-1] == ' ') && Digit(header[i]) {
			if t, n := c.Stamp(header[i:]); n > 0 {
				out.Time, out.Timed = t, true
				i += n
			}
		}
	}
}

// peer reads "[@0x…] ADDRESS#PORT[/key NAME][ (QNAME)]: [view NAME: ]" and
// returns the offset of the message after it.
func (h *BindHead) peer(b []byte) (n int, ok bool) {
	i := 0
	if len(b) > 1 && b[0] == '@' {
		sp := bytes.IndexByte(b, ' ')
		if sp < 0 {
			return 0, false
		}
		h.Pointer, i = b[1:sp], sp+1
	}
	hash := bytes.IndexByte(b[i:min(len(b), i+64)], '#')
	if hash < 0 {
		return 0, false
	}
	if h.Client, ok = ParseAddr(b[i : i+hash]); !ok {
		return 0, false
	}
	i += hash + 1
	j := i
	for j < len(b) && Digit(b[j]) {
		j++
	}
	port, ok := ParseUint(b[i:j], 65535)
	if !ok {
		return 0, false
	}
	h.Port = uint16(port)
	// Names are escaped in BIND's logs, so a blank does not occur within one.
	colon := bytes.Index(b[j:], []byte(": "))
	if colon < 0 {
		return 0, false
	}
	if key, ok := bytes.CutPrefix(b[j:j+colon], []byte("/key ")); ok {
		if sp := bytes.IndexByte(key, ' '); sp >= 0 {
			key = key[:sp]
		}
		h.Key = key
	}
	i = j + colon + 2
	if bytes.HasPrefix(b[i:], []byte("view ")) {
		if colon = bytes.Index(b[i:], []byte(": ")); colon >= 0 {
			h.View = b[i+len("view ") : i+colon]
			i += colon + 2
		}
	}
	return i, true
}
