package query

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// folded is room for a key without what its writers differ in.
type folded [32]byte

// fold returns a key in lower case and without _, -, . and blanks; "" when it is
// too long to be one that matters.
func (f *folded) fold(k []byte) []byte {
	n := 0
	for _, c := range k {
		if c == '_' || c == '-' || c == '.' || c == ' ' {
			continue
		}
		if n == len(f) {
			return nil
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		f[n] = c
		n++
	}
	return f[:n]
}

// nothing reports whether a value stands for none.
func nothing(v []byte) bool { return len(v) == 0 || (len(v) == 1 && v[0] == '-') }

// cloudTime reads RFC 3339, or a number since 1970 whose unit its digits tell:
// seconds, milliseconds, microseconds or nanoseconds.
func cloudTime(clock *decode.Clock, v []byte) (ns int64, ok bool) {
	digits := 0
	for digits < len(v) && decode.Digit(v[digits]) {
		digits++
	}
	if digits == len(v) || (digits > 4 && v[digits] == '.') {
		var unit int64
		switch {
		case digits < 9 || digits > 19:
			return 0, false
		case digits <= 10:
			unit = int64(time.Second)
		case digits <= 13:
			unit = int64(time.Millisecond)
		case digits <= 16:
			unit = int64(time.Microsecond)
		default:
			unit = 1
		}
		whole, ok := decode.ParseUint(v[:digits], 1<<63-1)
		frac, end := decode.Fraction(v, digits)
		if !ok || end != len(v) || whole > uint64(1<<63-1-unit)/uint64(unit) {
			return 0, false
		}
		return int64(whole)*unit + frac/(int64(time.Second)/unit), true
	}
	ns, n := clock.IsoTime(v)
	return ns, n > 0 && n == len(v)
}

// cloudType reads a query type as a mnemonic or number.
func cloudType(v []byte) (uint16, bool) {
	if n, ok := decode.ParseUint(v, 65535); ok {
		return uint16(n), true
	}
	return decode.ParseType(v)
}

// cloudTransport reads a protocol's name; what is not known stays unknown.
func cloudTransport(v []byte) picket.Transport {
	var f folded
	switch string(f.fold(v)) {
	case "udp":
		return picket.TransportUDP
	case "tcp":
		return picket.TransportTCP
	case "tls", "dot":
		return picket.TransportTLS
	case "https", "doh":
		return picket.TransportHTTPS
	case "quic", "doq":
		return picket.TransportQUIC
	}
	return picket.TransportUnknown
}

// cloudRcode notes a response code, which is the response's only trace.
func cloudRcode(q *picket.Query, v []byte) (reason string) {
	if nothing(v) {
		return ""
	}
	code, ok := decode.ParseRcode(v)
	if !ok {
		return reasonRcode
	}
	q.Rcode = code
	q.Flags |= picket.FlagResponse
	return ""
}

// cloudAddr reads an address where there is one.
func cloudAddr(v []byte) (netip.Addr, bool) {
	if nothing(v) {
		return netip.Addr{}, true
	}
	return decode.ParseAddr(v)
}

// cloudSubnet reads a client subnet, ADDRESS/BITS or an address whose length
// stands elsewhere.
func cloudSubnet(q *picket.Query, v, bits []byte) bool {
	if nothing(v) {
		return true
	}
	if i := bytes.IndexByte(v, '/'); i >= 0 {
		v, bits = v[:i], v[i+1:]
	}
	a, ok := decode.ParseAddr(v)
	if !ok {
		return false
	}
	n := uint64(a.BitLen())
	if !nothing(bits) {
		if n, ok = decode.ParseUint(bits, uint64(a.BitLen())); !ok {
			return false
		}
	}
	q.ClientSubnet, _ = a.Prefix(int(n))
	q.Flags |= picket.FlagEDNS
	return true
}

// cloudCount counts the elements of an array, which may be written as a string.
func cloudCount(c *decode.Cursor) uint16 {
	if !c.Open('[') {
		v := bytes.TrimSpace(c.Scalar())
		if len(v) == 0 || v[0] != '[' {
			return 0
		}
		var in decode.Cursor
		in.Reset(v)
		return cloudCount(&in)
	}
	n := uint16(0)
	for c.More(']') {
		c.Skip()
		n = min(n+1, 65534)
	}
	return n
}

// detectCloud looks for a format's records among the objects of a file's head,
// wrapped or not. is is called for an object stepped into and says whether it is
// of the format; line, if not nil, the same of a string.
func detectCloud(head []byte, is func(*decode.Cursor) bool, line func([]byte) bool) int {
	first, _, _ := bytes.Cut(head, []byte{'\n'})
	if after := afterSyslog(first); len(after) > 0 && after[0] == '{' {
		head = head[len(first)-len(after):]
	}
	return decode.DetectJSON(head, func(c *decode.Cursor) bool { return detectIn(c, is, line, 0) }, 93)
}

func detectIn(c *decode.Cursor, is func(*decode.Cursor) bool, line func([]byte) bool, depth int) bool {
	own := *c
	own.Scratch = nil
	if is(&own) {
		return true
	}
	if depth == cloudDepth {
		c.Fail()
		return false
	}
	for {
		k, ok := c.Key()
		if !ok {
			return false
		}
		if !wrapperKey(k) {
			c.Skip()
			continue
		}
		in := *c
		in.Scratch = nil
		if in.Open('[') && !in.More(']') {
			c.Skip()
			continue
		}
		if in.Open('{') {
			if detectIn(&in, is, line, depth+1) {
				return true
			}
		} else if detectText(bytes.TrimSpace(in.Scalar()), is, line, depth) {
			return true
		}
		c.Skip()
	}
}

func detectText(s []byte, is func(*decode.Cursor) bool, line func([]byte) bool, depth int) bool {
	if len(s) == 0 {
		return false
	}
	if s[0] != '{' && s[0] != '[' {
		if line != nil && line(s) {
			return true
		}
		raw, err := base64.StdEncoding.AppendDecode(nil, s)
		if err != nil {
			return false
		}
		if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
			w := cloudReader{}
			raw, _ = w.gunzip(raw)
		}
		if s = bytes.TrimSpace(raw); len(s) == 0 {
			return false
		}
	}
	if i := bytes.IndexByte(s, '{'); i >= 0 && len(bytes.Trim(s[:i], " \t\r\n[")) == 0 {
		var in decode.Cursor
		in.Reset(s)
		in.I = i + 1
		return detectIn(&in, is, line, depth+1)
	}
	return line != nil && line(s)
}
