package query

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/picket-dns/picket/internal/input/decode"
)

// bindKind is what a line of a BIND log says.
type bindKind uint8

const (
	bindOther    bindKind = iota // nothing about a client's query
	bindQuery                    // query: NAME CLASS TYPE FLAGS (SERVER)
	bindFailed                   // query failed (RCODE) for NAME/CLASS/TYPE at FILE:LINE
	bindDenied                   // query … 'NAME/TYPE/CLASS' denied, zone transfer … denied
	bindNotAuth                  // bad zone transfer request: 'ZONE/CLASS': non-authoritative zone (NOTAUTH)
	bindXfrStart                 // transfer of 'ZONE/CLASS': AXFR started
	bindXfrOther                 // transfer of 'ZONE/CLASS': anything else
	bindClient                   // something else about a client
)

// bindLine is one line of a BIND log, cut but not interpreted. The slices point
// into the line.
type bindLine struct {
	kind             bindKind
	time             int64 // Unix nanoseconds; valid when timed
	timed            bool
	client           netip.Addr
	port             uint16
	signed           bool   // the client part names a TSIG key
	pointer          []byte // client object, "" before 9.11
	name, class, typ []byte // presentation form
	flags            []byte // +E(0)K and the like
	server           []byte
	subnet           []byte // address/source/scope
	rcode            []byte
}

// bindCutter cuts lines; it owns the clock for times without a zone.
type bindCutter struct {
	clock decode.Clock
	now   func() time.Time
}

func newBindCutter(opt decode.Options) bindCutter {
	c := bindCutter{clock: decode.NewClock(opt), now: opt.Now}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// cut reads one line. A reason means that the line speaks of a query but cannot
// be read.
func (c *bindCutter) cut(line []byte, out *bindLine) (reason string) {
	*out = bindLine{}
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '#' {
		return ""
	}
	line = skipPriority(line)
	rest := line
	if t, n := c.stamp(rest); n > 0 {
		out.time, out.timed = t, true
		rest = rest[n:]
	}
	badPeer := ""
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
		body := rest[from:]
		n, ok := out.peer(body)
		if !ok {
			if bytes.Contains(body, []byte(": query: ")) && bytes.IndexByte(body, '#') >= 0 {
				badPeer = decode.ReasonAddress
			}
			continue
		}
		c.innerStamp(rest[:i], out)
		return out.message(body[n:])
	}
	if i := bytes.Index(rest, []byte("denied AXFR from [")); i >= 0 {
		c.innerStamp(rest[:i], out)
		return out.bind8(rest[i+len("denied AXFR from ["):])
	}
	return badPeer
}

// skipPriority drops a syslog priority <123> and the version of RFC 5424 §6.2.2.
func skipPriority(line []byte) []byte {
	if len(line) < 3 || line[0] != '<' {
		return line
	}
	i := 1
	for i < len(line) && i < 5 && decode.Digit(line[i]) {
		i++
	}
	if i == 1 || i >= len(line) || line[i] != '>' {
		return line
	}
	line = line[i+1:]
	if len(line) > 2 && line[0] == '1' && line[1] == ' ' {
		line = line[2:]
	}
	return line
}

// stamp reads a time in any of the spellings at the start of b.
func (c *bindCutter) stamp(b []byte) (ns int64, n int) {
	if len(b) < 14 {
		return 0, 0
	}
	if !decode.Digit(b[0]) {
		return c.clock.SyslogTime(b, c.now())
	}
	if b[2] == '-' {
		return c.clock.BindTime(b)
	}
	return c.clock.IsoTime(b)
}

// innerStamp looks for BIND's own time within the header that a log shipper put
// in front; it is the more precise one, and the server's. The last one counts.
func (c *bindCutter) innerStamp(header []byte, out *bindLine) {
	for i := 0; i+19 <= len(header); i++ {
		if (i == 0 || header[i-1] == ' ') && decode.Digit(header[i]) {
			if t, n := c.stamp(header[i:]); n > 0 {
				out.time, out.timed = t, true
				i += n
			}
		}
	}
}

// peer reads "[@0x…] ADDRESS#PORT[/key NAME][ (QNAME)]: [view NAME: ]" and
// returns the offset of the message after it.
func (l *bindLine) peer(b []byte) (n int, ok bool) {
	i := 0
	if len(b) > 1 && b[0] == '@' {
		sp := bytes.IndexByte(b, ' ')
		if sp < 0 {
			return 0, false
		}
		l.pointer, i = b[1:sp], sp+1
	}
	hash := bytes.IndexByte(b[i:min(len(b), i+64)], '#')
	if hash < 0 {
		return 0, false
	}
	if l.client, ok = decode.ParseAddr(b[i : i+hash]); !ok {
		return 0, false
	}
	i += hash + 1
	j := i
	for j < len(b) && decode.Digit(b[j]) {
		j++
	}
	port, ok := decode.ParseUint(b[i:j], 65535)
	if !ok {
		return 0, false
	}
	l.port = uint16(port)
	// Names are escaped in BIND's logs, so a blank does not occur within one.
	colon := bytes.Index(b[j:], []byte(": "))
	if colon < 0 {
		return 0, false
	}
	l.signed = bytes.HasPrefix(b[j:], []byte("/key "))
	i = j + colon + 2
	if bytes.HasPrefix(b[i:], []byte("view ")) {
		if colon = bytes.Index(b[i:], []byte(": ")); colon >= 0 {
			i += colon + 2
		}
	}
	return i, true
}

// message tells the messages about a client apart.
func (l *bindLine) message(b []byte) (reason string) {
	l.kind = bindClient
	switch {
	case bytes.HasPrefix(b, []byte("query: ")):
		l.kind = bindQuery
		return l.query(b[len("query: "):])
	case bytes.HasPrefix(b, []byte("query failed (")):
		return l.failed(b[len("query failed ("):])
	case bytes.HasPrefix(b, []byte("query ")), bytes.HasPrefix(b, []byte("zone transfer '")):
		return l.denied(b)
	case bytes.HasPrefix(b, []byte("bad zone transfer request: '")):
		if zone, _, ok := quoted(b); ok && bytes.Contains(b, []byte("(NOTAUTH)")) {
			l.kind, l.typ, l.rcode = bindNotAuth, []byte("AXFR"), []byte("NOTAUTH")
			return l.split(zone, false)
		}
	case bytes.HasPrefix(b, []byte("transfer of '")):
		zone, rest, ok := quoted(b)
		if !ok {
			return decode.ReasonTruncated
		}
		l.kind, l.typ = bindXfrOther, []byte("AXFR")
		if bytes.Contains(rest, []byte(" started")) {
			l.kind = bindXfrStart
			if bytes.Contains(rest, []byte("IXFR started")) { // also "AXFR-style IXFR"
				l.typ = []byte("IXFR")
			}
		}
		return l.split(zone, false)
	}
	return ""
}

// query reads "NAME CLASS TYPE FLAGS (SERVER)[ [ECS ADDRESS/SOURCE/SCOPE]]".
func (l *bindLine) query(b []byte) (reason string) {
	var ok bool
	for _, f := range [...]*[]byte{&l.name, &l.class, &l.typ, &l.flags} {
		if *f, b, ok = cutWord(b); !ok {
			return decode.ReasonTruncated
		}
	}
	if len(b) == 0 || b[0] != '(' {
		return decode.ReasonTruncated
	}
	end := bytes.IndexByte(b, ')')
	if end < 0 {
		return decode.ReasonTruncated
	}
	l.server, b = b[1:end], b[end+1:]
	if i := bytes.Index(b, []byte("[ECS ")); i >= 0 {
		b = b[i+len("[ECS "):]
		if end = bytes.IndexByte(b, ']'); end >= 0 {
			l.subnet = b[:end]
		}
	}
	return ""
}

// cutWord cuts b at the next blank; there must be one.
func cutWord(b []byte) (w, rest []byte, ok bool) {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// quoted returns what stands between the first two apostrophes, and the rest. An
// apostrophe within a name comes before a '/', so the last fit is taken.
func quoted(b []byte) (inner, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\'')
	if i < 0 {
		return nil, nil, false
	}
	for _, end := range [...]string{"' denied", "': ", "'"} {
		if j := bytes.Index(b[i+1:], []byte(end)); j >= 0 {
			return b[i+1 : i+1+j], b[i+1+j+len(end):], true
		}
	}
	return nil, nil, false
}

// failed reads "RCODE) for NAME/CLASS/TYPE at FILE:LINE".
func (l *bindLine) failed(b []byte) (reason string) {
	end := bytes.Index(b, []byte(") for "))
	if end < 0 {
		return decode.ReasonTruncated
	}
	l.kind, l.rcode = bindFailed, b[:end]
	what := b[end+len(") for "):]
	if at := bytes.IndexByte(what, ' '); at >= 0 {
		what = what[:at]
	}
	if reason = l.split(what, true); reason == "" {
		l.class, l.typ = l.typ, l.class
	}
	return reason
}

// denied reads "… 'NAME/TYPE/CLASS' denied[ (…)]".
func (l *bindLine) denied(b []byte) (reason string) {
	what, _, ok := quoted(b)
	if !ok || !bytes.Contains(b, []byte("' denied")) {
		return ""
	}
	l.kind, l.rcode = bindDenied, []byte("REFUSED")
	return l.split(what, true)
}

// split reads NAME/CLASS, or with typed NAME/TYPE/CLASS; names may hold slashes.
func (l *bindLine) split(b []byte, typed bool) (reason string) {
	i := bytes.LastIndexByte(b, '/')
	if i <= 0 {
		return decode.ReasonTruncated
	}
	l.name, l.class = b[:i], b[i+1:]
	if typed {
		if i = bytes.LastIndexByte(l.name, '/'); i <= 0 {
			return decode.ReasonTruncated
		}
		l.name, l.typ = l.name[:i], l.name[i+1:]
	}
	return ""
}

// bind8 reads the rest of BIND 8's «denied AXFR from [ADDRESS].PORT for "ZONE"».
func (l *bindLine) bind8(b []byte) (reason string) {
	end := bytes.Index(b, []byte("]."))
	if end < 0 {
		return decode.ReasonAddress
	}
	var ok bool
	if l.client, ok = decode.ParseAddr(b[:end]); !ok {
		return decode.ReasonAddress
	}
	b = b[end+2:]
	sp := bytes.IndexByte(b, ' ')
	if sp < 0 {
		return decode.ReasonTruncated
	}
	port, ok := decode.ParseUint(b[:sp], 65535)
	from := bytes.IndexByte(b, '"')
	if !ok || from < 0 {
		return decode.ReasonTruncated
	}
	to := bytes.IndexByte(b[from+1:], '"')
	if to < 0 {
		return decode.ReasonTruncated
	}
	l.kind, l.port, l.name = bindDenied, uint16(port), b[from+1:from+1+to]
	l.class, l.typ, l.rcode = []byte("IN"), []byte("AXFR"), []byte("REFUSED")
	return ""
}
