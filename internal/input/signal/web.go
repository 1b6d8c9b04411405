package signal

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// reasonNoRequest is a line that has a client and a time, but no request.
const reasonNoRequest = "no request"

// WebAccess decodes access logs in the common and the combined log format of
// Apache, which nginx and most others write too, with or without the virtual host
// in front, from a file or through syslog.
func WebAccess(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SignalSink) error {
	d := newOutput(opt, acct, sink)
	return d.lines(ctx, r, func(line []byte) (reason string, err error) {
		var l webLine
		ok := l.cut(line)
		src, isAddr := decode.ParseAddr(l.client)
		if !isAddr { // perhaps there is a header of syslog in front
			if head := d.clock.Syslog(line, d.now()); head.Timed && l.cut(head.Rest) {
				ok = true
				src, isAddr = decode.ParseAddr(l.client)
			}
		}
		if !ok {
			return decode.ReasonTruncated, nil
		}
		ns, ok := webTime(&d.clock, l.stamp)
		if !ok {
			return decode.ReasonTime, nil
		}
		if !isAddr {
			return decode.ReasonAddress, nil
		}
		s := &picket.Signal{Tool: "web", Kind: picket.SignalRequest, Protocol: "tcp", Source: src}
		request, rest, ok := quoted(l.rest)
		if !ok {
			return reasonNoRequest, nil
		}
		d.host(s, d.request(s, request))
		d.host(s, l.vhost)
		d.response(s, rest)
		return "", d.emit(s, ns)
	})
}

// webLine is a line cut at its time: [vhost] client ident user [time] "request" …
type webLine struct {
	vhost, client, stamp, rest []byte
}

// cut finds the time, which alone is in brackets and begins with dd/Mmm/yyyy: a
// user's name may hold blanks.
func (l *webLine) cut(line []byte) bool {
	*l = webLine{}
	from := 0
	for {
		i := bytes.Index(line[from:], []byte(" ["))
		if i < 0 {
			return false
		}
		from += i + 2
		b := line[from:]
		if len(b) < 22 || b[2] != '/' || b[6] != '/' || b[11] != ':' {
			continue
		}
		j := bytes.IndexByte(b, ']')
		if j < 0 {
			return false
		}
		l.stamp, l.rest = b[:j], bytes.TrimPrefix(b[j+1:], []byte{' '})
		break
	}
	front := line[:from-2]
	first, rest, _ := bytes.Cut(front, []byte{' '})
	second, tail, more := bytes.Cut(rest, []byte{' '})
	l.client = first
	if !more || len(tail) == 0 {
		return len(first) > 0
	}
	// With a virtual host there are four words or more, and the second is the client's.
	if _, ok := decode.ParseAddr(second); ok && bytes.IndexByte(tail, ' ') >= 0 {
		l.vhost, l.client = first, second
	}
	return len(l.client) > 0
}

// webTime reads dd/Mmm/yyyy:hh:mm:ss ±hhmm.
func webTime(c *decode.Clock, b []byte) (ns int64, ok bool) {
	d, mo, hi, lo := decode.Two(b, 0), decode.Month(b, 3), decode.Two(b, 7), decode.Two(b, 9)
	h, mi, s, ok := decode.HMS(b, 12)
	if d < 0 || hi < 0 || lo < 0 || !ok || !decode.ValidDate(hi*100+lo, mo, d) {
		return 0, false
	}
	frac, i := decode.Fraction(b, 20)
	if i == len(b) {
		return c.Unix(hi*100+lo, mo, d, h, mi, s)*decode.NsPerSecond + frac, true
	}
	if b[i] != ' ' || i+5 >= len(b) || (b[i+1] != '+' && b[i+1] != '-') {
		return 0, false
	}
	off, next := decode.Offset(b, i+1)
	if next != len(b) {
		return 0, false
	}
	return (decode.UTC(hi*100+lo, mo, d, h, mi, s)-off)*decode.NsPerSecond + frac, true
}

// quoted takes a quoted text off b. Quotes within it are written with a backslash,
// or by nginx as \x22.
func quoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	end := bytes.IndexByte(b[1:], '"') + 1
	if end == 0 {
		return nil, b, false
	}
	i := end
	if escape := bytes.IndexByte(b[1:end], '\\'); escape >= 0 {
		i = 1 + escape
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], bytes.TrimPrefix(b[i+1:], []byte{' '}), true
		}
	}
	return nil, b, false
}

// request reads "GET /path HTTP/1.1". What is none, as scanners send it, is kept as
// it is. host is that of the absolute form (RFC 9112 §3.2.2).
func (d *output) request(s *picket.Signal, b []byte) (host []byte) {
	if i := bytes.LastIndex(b, []byte(" HTTP/")); i >= 0 {
		b = b[:i]
	}
	s.Title = d.text.Text(b)
	_, target, ok := bytes.Cut(b, []byte{' '})
	i := bytes.Index(target[:min(len(target), 10)], []byte("://"))
	if !ok || i <= 0 || i >= 8 {
		return nil
	}
	host = target[i+3:]
	if j := bytes.IndexAny(host, "/?#"); j >= 0 {
		host = host[:j]
	}
	return host[bytes.LastIndexByte(host, '@')+1:]
}

// response reads status, bytes, "referer" and "agent" as far as they are there.
func (d *output) response(s *picket.Signal, b []byte) {
	status, rest, _ := bytes.Cut(b, []byte{' '})
	size, rest, _ := bytes.Cut(rest, []byte{' '})
	d.detail(s, "status", status)
	s.Bytes = count(size)
	referer, rest, ok := quoted(rest)
	if !ok {
		return
	}
	d.detail(s, "referer", referer)
	if agent, _, ok := quoted(rest); ok {
		d.detail(s, "agent", agent)
	}
}

// DetectWebAccess knows client, time in brackets, and a request in quotes.
func DetectWebAccess(head []byte) int {
	n, hits := 0, 0
	clock := decode.NewClock(decode.Options{})
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 {
			return true
		}
		n++
		var l webLine
		if l.cut(line) {
			_, timed := webTime(&clock, l.stamp)
			if _, rest, ok := quoted(l.rest); ok && timed && len(rest) >= 3 && (decode.Digit(rest[0]) || rest[0] == '-') {
				hits++
			}
		}
		return n < 500
	})
	if hits > 0 && hits*2 >= n {
		return 90
	}
	return 0
}
