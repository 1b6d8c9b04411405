package query

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/picket-dns/picket"
)

// Reasons of Zeek's dns.log.
const (
	reasonZeekHeader = "record before a #fields line"
	reasonZeekFields = "#fields line without ts, query or id.orig_h"
	skipZeekHeader   = "header line"
	skipZeekPath     = "other Zeek log"
	skipNoQuestion   = "no question"
	skipZeekMDNS     = "multicast DNS (port 5353)"
	skipLLMNR        = "LLMNR (port 5355)"
	skipNetBIOS      = "NetBIOS name service (port 137)"
)

// zeekField is a column of dns.log that Picket reads.
type zeekField uint8

const (
	zeekNone zeekField = iota
	zeekTS
	zeekOrigH
	zeekOrigP
	zeekRespH
	zeekRespP
	zeekProto
	zeekQuery
	zeekClass
	zeekClassName
	zeekType
	zeekTypeName
	zeekRcode
	zeekRcodeName
	zeekAA
	zeekTC
	zeekRD
	zeekAnswers
	zeekOpcode
	zeekPath
	zeekFields // how many there are
)

// zeekFieldOf names the columns; the rest are not read.
func zeekFieldOf(b []byte) zeekField {
	switch string(b) {
	case "ts":
		return zeekTS
	case "id.orig_h":
		return zeekOrigH
	case "id.orig_p":
		return zeekOrigP
	case "id.resp_h":
		return zeekRespH
	case "id.resp_p":
		return zeekRespP
	case "proto":
		return zeekProto
	case "query":
		return zeekQuery
	case "qclass":
		return zeekClass
	case "qclass_name":
		return zeekClassName
	case "qtype":
		return zeekType
	case "qtype_name":
		return zeekTypeName
	case "rcode":
		return zeekRcode
	case "rcode_name":
		return zeekRcodeName
	case "AA":
		return zeekAA
	case "TC":
		return zeekTC
	case "RD":
		return zeekRD
	case "answers":
		return zeekAnswers
	case "opcode":
		return zeekOpcode
	case "_path":
		return zeekPath
	}
	return zeekNone
}

// zeekRow is the values of one record; nil is unset.
type zeekRow struct {
	v       [zeekFields][]byte
	answers uint16
}

// zeekReader turns rows into queries.
type zeekReader struct {
	opt     Options
	clock   zoneClock
	acct    picket.Accounting
	sink    picket.QuerySink
	q       picket.Query
	name    []byte
	scratch []byte
	row     zeekRow
}

// ZeekDNS decodes Zeek's dns.log, as TSV with its header or as JSON.
func ZeekDNS(ctx context.Context, r io.Reader, opt Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &zeekReader{opt: opt, clock: newZoneClock(opt.Location), acct: acct, sink: sink, name: make([]byte, 0, 256)}
	in := newLines(ctx, r, acct)
	// JSON begins with a brace, TSV with its header; junk before either is passed over by both.
	for {
		b, err := in.lookahead()
		if err != nil {
			return ended(err)
		}
		switch {
		case b == '{' || b == '[':
			return d.json(&records{in})
		case b == '#':
			return d.tsv(in)
		}
		line, err := in.next(false)
		if err != nil {
			return ended(err)
		}
		if len(line) == 0 {
			acct.Skip(skipBlank)
			continue
		}
		acct.Reject(reasonZeekHeader, in.pos())
	}
}

func (d *zeekReader) json(in *records) error {
	var c jsonCur
	for {
		rec, err := in.nextRecord(false)
		if err != nil {
			if errors.Is(err, errIdle) {
				continue
			}
			return ended(err)
		}
		c.reset(rec)
		if reason := d.object(&c); reason != "" {
			d.acct.Reject(reason, in.pos())
		} else if err := d.take(in.pos()); err != nil {
			return err
		}
		n := c.i
		if c.bad {
			n = len(rec)
		}
		in.done(n)
	}
}

// object reads one JSON record into d.row.
func (d *zeekReader) object(c *jsonCur) (reason string) {
	d.row = zeekRow{}
	c.open('{')
	for {
		k, ok := c.key()
		if !ok {
			break
		}
		f := zeekFieldOf(k)
		switch f {
		case zeekNone:
			c.skip()
		case zeekAnswers:
			if !c.open('[') {
				c.skip()
				continue
			}
			for c.more(']') {
				c.skip()
				d.row.answers++
			}
		default:
			if d.row.v[f] = c.scalar(); f == zeekQuery && d.row.v[f] != nil && len(d.row.v[f]) == 0 {
				d.row.v[f] = rootText
			}
		}
	}
	if c.bad {
		return reasonBrokenJSON
	}
	return ""
}

var rootText = []byte(".")

// take makes a query of d.row.
func (d *zeekReader) take(at picket.Position) error {
	r := &d.row
	if p := r.v[zeekPath]; p != nil && string(p) != "dns" {
		d.acct.Skip(skipZeekPath)
		return nil
	}
	if skip := notDNS(r.v[zeekRespP]); skip != "" {
		d.acct.Skip(skip)
		return nil
	}
	if r.v[zeekQuery] == nil {
		d.acct.Skip(skipNoQuestion)
		return nil
	}
	if reason := d.fill(); reason != "" {
		d.acct.Reject(reason, at)
		return nil
	}
	d.acct.Accept(d.q.Time)
	return d.sink.Query(&d.q)
}

// notDNS tells the protocols that look like DNS by the server's port.
func notDNS(port []byte) (skip string) {
	switch string(port) {
	case "5353":
		return skipZeekMDNS
	case "5355":
		return skipLLMNR
	case "137":
		return skipNetBIOS
	}
	return ""
}

func (d *zeekReader) fill() (reason string) {
	r, q := &d.row, &d.q
	*q = picket.Query{Rcode: picket.RcodeUnknown, Class: 1, Name: d.name[:0], Sensor: d.opt.Sensor}
	var ok bool
	if q.Time, ok = epochTime(r.v[zeekTS]); !ok {
		var n int
		if q.Time, n = d.clock.isoTime(r.v[zeekTS]); n == 0 || n != len(r.v[zeekTS]) {
			return reasonTime
		}
	}
	if q.Client, ok = parseAddr(r.v[zeekOrigH]); !ok {
		return reasonAddress
	}
	if v := r.v[zeekRespH]; v != nil {
		if q.Server, ok = parseAddr(v); !ok {
			return reasonAddress
		}
	}
	if port, ok := parseUint(r.v[zeekOrigP], 65535); ok {
		q.ClientPort = uint16(port)
	}
	q.Transport = transportOf(r.v[zeekProto])
	if !d.setQuery(r.v[zeekQuery]) {
		return reasonBadName
	}
	if q.Type, ok = eitherOf(r.v[zeekType], r.v[zeekTypeName], parseType); !ok {
		return reasonType
	}
	if v, ok := eitherOf(r.v[zeekClass], r.v[zeekClassName], parseClass); ok && (r.v[zeekClass] != nil || r.v[zeekClassName] != nil) {
		q.Class = v
	}
	if v, ok := parseUint(r.v[zeekOpcode], 15); ok {
		q.Opcode = uint8(v)
	}
	d.outcome()
	return ""
}

// eitherOf reads a code, or where that is unset its name; neither is 0.
func eitherOf(code, name []byte, parse func([]byte) (uint16, bool)) (uint16, bool) {
	if code != nil {
		v, ok := parseUint(code, 65535)
		return uint16(v), ok
	}
	if name != nil {
		return parse(name)
	}
	return 0, true
}

// outcome fills what Zeek tells of the response and the flags. AA and TC are
// those of the response; RD is the query's.
func (d *zeekReader) outcome() {
	r, q := &d.row, &d.q
	v := r.v[zeekRcode]
	if v == nil {
		v = r.v[zeekRcodeName]
	}
	if v != nil {
		if code, ok := parseRcode(v); ok {
			q.Rcode = code
			q.Flags |= picket.FlagResponse
		}
	}
	if b := r.v[zeekRD]; b != nil {
		q.Flags |= picket.FlagFlags
		if zeekTrue(b) {
			q.Flags |= picket.FlagRD
		}
	}
	if q.Flags&picket.FlagResponse != 0 {
		if zeekTrue(r.v[zeekAA]) {
			q.Flags |= picket.FlagAA
		}
		if zeekTrue(r.v[zeekTC]) {
			q.Flags |= picket.FlagTC
		}
	}
	q.Response.Answers = r.answers
}

func zeekTrue(b []byte) bool { return len(b) > 0 && (b[0] == 'T' || b[0] == 't') }

// setQuery reads a name as Zeek writes it: no trailing dot, bytes that are not
// printable as \xHH, a backslash doubled.
func (d *zeekReader) setQuery(b []byte) bool {
	if bytes.IndexByte(b, '\\') >= 0 {
		d.scratch = d.scratch[:0]
		for i := 0; i < len(b); i++ {
			if b[i] == '\\' && i+3 < len(b) && b[i+1] == 'x' {
				if hi, lo := hexValue(b[i+2]), hexValue(b[i+3]); hi >= 0 && lo >= 0 {
					v := byte(hi<<4 | lo)
					d.scratch = append(d.scratch, '\\', '0'+v/100, '0'+v/10%10, '0'+v%10)
					i += 3
					continue
				}
			}
			if b[i] == '\\' {
				d.scratch = append(d.scratch, '\\', '\\')
				if i+1 < len(b) && b[i+1] == '\\' {
					i++
				}
				continue
			}
			d.scratch = append(d.scratch, b[i])
		}
		b = d.scratch
	}
	ok := setName(&d.q, b)
	d.name = d.q.Name
	return ok
}
