package query

import (
	"bytes"

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
	decode.BindHead
	kind             bindKind
	name, class, typ []byte // presentation form
	flags            []byte // +E(0)K and the like
	server           []byte
	subnet           []byte // address/source/scope
	rcode            []byte
}

// cutBind reads one line. A reason means that the line speaks of a query but
// cannot be read.
func cutBind(c *decode.BindCutter, line []byte, out *bindLine) (reason string) {
	*out = bindLine{}
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '#' {
		return ""
	}
	rest, ok := c.Cut(line, &out.BindHead)
	if ok {
		return out.message(rest)
	}
	if i := bytes.Index(rest, []byte("denied AXFR from [")); i >= 0 {
		c.InnerStamp(rest[:i], &out.BindHead)
		return out.bind8(rest[i+len("denied AXFR from ["):])
	}
	if i := bytes.Index(rest, []byte("client ")); i >= 0 && (i == 0 || rest[i-1] == ' ') {
		if body := rest[i:]; bytes.Contains(body, []byte(": query: ")) && bytes.IndexByte(body, '#') >= 0 {
			return decode.ReasonAddress
		}
	}
	return ""
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
	if l.Client, ok = decode.ParseAddr(b[:end]); !ok {
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
	l.kind, l.Port, l.name = bindDenied, uint16(port), b[from+1:from+1+to]
	l.class, l.typ, l.rcode = []byte("IN"), []byte("AXFR"), []byte("REFUSED")
	return ""
}
