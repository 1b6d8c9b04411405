package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	reasonRoute53Line = "no query log line"
	// reasonRoute53Version is what lines of a version 2 or later are rejected for, as
	// their fields may mean something else.
	reasonRoute53Version = "log version not 1"
)

// Route53Log decodes the query log of Route 53 public hosted zones, versions 1.x:
// lines of fields parted by blanks, alone or as messages in what CloudWatch Logs
// exports.
func Route53Log(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	f := &route53Lines{opt: opt, clock: decode.NewClock(opt)}
	in := decode.NewLines(ctx, r, acct)
	w := newCloudReader(in, f, acct, sink)
	if found, err := w.behindHeader(); err != nil || found {
		if err != nil {
			return decode.Ended(err)
		}
		return w.objects()
	}
	w.lines = in
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		if len(line) == 0 {
			acct.Skip(decode.SkipBlank)
			continue
		}
		w.begin()
		reason, skip, ok := f.line(&w.q, line)
		if !ok {
			if line[0] == '#' {
				skip = decode.SkipComment
			} else {
				reason = reasonRoute53Line
			}
		}
		if err := w.done(reason, skip, line); err != nil {
			return err
		}
	}
}

// route53Lines reads lines; objects are only ever wrapped around them.
type route53Lines struct {
	opt   decode.Options
	clock decode.Clock
	edges interned
	plain []byte // a name without Route 53's escapes
}

func (f *route53Lines) begin() {}

func (f *route53Lines) value(*decode.Cursor, []byte) bool { return false }

func (f *route53Lines) object(*picket.Query) (reason, skip string) { return reasonNoQuery, "" }

// Fields of a line.
const (
	r53Version = iota
	r53Time
	r53Zone
	r53Name
	r53Type
	r53Rcode
	r53Protocol
	r53Edge
	r53Resolver
	r53Subnet
	r53Fields
)

// cut parts a line into its fields. What a log service wrote in front of it, such
// as a time of its own and the name of the log stream, is left out.
func (f *route53Lines) cut(line []byte, to *[r53Fields][]byte) (fields int) {
	for {
		rest := line
		fields = 0
		for fields < r53Fields {
			rest = bytes.TrimLeft(rest, " \t")
			if len(rest) == 0 {
				break
			}
			end := bytes.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			to[fields] = rest[:end]
			rest = rest[end:]
			fields++
			if fields == r53Time+1 && !(r53IsVersion(to[r53Version]) && r53IsTime(to[r53Time])) {
				fields = 0
				break
			}
		}
		if fields > r53Time {
			return fields
		}
		line = bytes.TrimLeft(line, " \t")
		next := bytes.IndexAny(line, " \t")
		if next < 0 {
			return 0
		}
		line = line[next:]
	}
}

// r53IsVersion knows MAJOR.MINOR.
func r53IsVersion(b []byte) bool {
	major, minor, ok := bytes.Cut(b, []byte{'.'})
	_, ok1 := decode.ParseUint(major, 99)
	_, ok2 := decode.ParseUint(minor, 999999)
	return ok && ok1 && ok2
}

// r53IsTime knows the beginning of a date; what follows may be bad.
func r53IsTime(b []byte) bool {
	return len(b) > 10 && b[4] == '-' && b[7] == '-' && decode.Digit(b[0]) && decode.Digit(b[3])
}

func (f *route53Lines) line(q *picket.Query, text []byte) (reason, skip string, ok bool) {
	var to [r53Fields][]byte
	n := f.cut(text, &to)
	if n == 0 {
		return "", "", false
	}
	return f.fill(q, &to, n), "", true
}

func (f *route53Lines) fill(q *picket.Query, to *[r53Fields][]byte, n int) (reason string) {
	if v := to[r53Version]; v[0] != '1' || v[1] != '.' {
		return reasonRoute53Version
	}
	if n < r53Fields-1 {
		return decode.ReasonTruncated
	}
	var ok bool
	if q.Time, ok = cloudTime(&f.clock, to[r53Time]); !ok {
		return decode.ReasonTime
	}
	if !f.setName(q, to[r53Name]) {
		return decode.ReasonBadName
	}
	if q.Type, ok = cloudType(to[r53Type]); !ok {
		return decode.ReasonType
	}
	if q.Client, ok = cloudAddr(to[r53Resolver]); !ok {
		return decode.ReasonAddress
	}
	if !cloudSubnet(q, to[r53Subnet], nil) {
		return decode.ReasonAddress
	}
	q.Transport = cloudTransport(to[r53Protocol])
	if q.Sensor = f.opt.Sensor; q.Sensor == "" && !nothing(to[r53Edge]) {
		q.Sensor = f.edges.get(to[r53Edge])
	}
	return cloudRcode(q, to[r53Rcode])
}

// setName sets the name. Route 53 escapes bytes with three octal digits, where
// master files have decimal ones (RFC 1035 §5.1).
func (f *route53Lines) setName(q *picket.Query, b []byte) bool {
	if bytes.IndexByte(b, '\\') < 0 {
		return decode.SetName(q, b)
	}
	f.plain = f.plain[:0]
	for i := 0; i < len(b); i++ {
		v, ok := octal(b[i:])
		if !ok {
			f.plain = append(f.plain, b[i])
			continue
		}
		f.plain = append(f.plain, '\\', '0'+v/100, '0'+v/10%10, '0'+v%10)
		i += 3
	}
	return decode.SetName(q, f.plain)
}

// octal reads \NNN with octal digits up to \377.
func octal(b []byte) (v byte, ok bool) {
	if len(b) < 4 || b[0] != '\\' || b[1] > '3' {
		return 0, false
	}
	for _, c := range b[1:4] {
		if c < '0' || c > '7' {
			return 0, false
		}
		v = v<<3 | (c - '0')
	}
	return v, true
}

// DetectRoute53Log knows the fields of a line, in plain or as a message.
func DetectRoute53Log(head []byte) int {
	var f route53Lines
	var to [r53Fields][]byte
	is := func(line []byte) bool {
		n := f.cut(line, &to)
		if n < r53Fields-1 || to[r53Version][0] != '1' || len(to[r53Zone]) < 2 || to[r53Zone][0] != 'Z' {
			return false
		}
		p := string(to[r53Protocol])
		_, typed := cloudType(to[r53Type])
		return typed && (p == "UDP" || p == "TCP")
	}
	hits, lines, plain := 0, 0, true
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 || line[0] == '#' {
			return true
		}
		if after := afterSyslog(line); lines == 0 && (line[0] == '[' || (len(after) > 0 && after[0] == '{')) {
			plain = false
			return false
		}
		lines++
		if is(line) {
			hits++
		}
		return lines < 50 && hits < 5
	})
	if plain {
		if hits > 0 && hits*2 >= lines {
			return 93
		}
		return 0
	}
	return detectCloud(head, func(*decode.Cursor) bool { return false }, is)
}
