package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
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
type zeekField = uint8

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
	zeekAnswer
	zeekTTL
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
		return zeekAnswer
	case "TTLs":
		return zeekTTL
	case "opcode":
		return zeekOpcode
	case "_path":
		return zeekPath
	}
	return zeekNone
}

// zeekRow is the values of one record; nil is unset.
type zeekRow struct {
	v [zeekFields][]byte
}

// zeekReader turns rows into queries.
type zeekReader struct {
	opt     decode.Options
	clock   decode.Clock
	acct    picket.Accounting
	sink    picket.QuerySink
	q       picket.Query
	name    []byte
	scratch []byte
	row     zeekRow
	answers zeekAnswers
	told    told
}

// ZeekDNS decodes Zeek's dns.log, as TSV with its header or as JSON.
func ZeekDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := &zeekReader{opt: opt, clock: decode.NewClock(opt), acct: acct, sink: sink, name: make([]byte, 0, 256)}
	in := decode.NewLines(ctx, r, acct)
	// JSON begins with a brace, TSV with its header; junk before either is passed over by both.
	for {
		b, err := in.Lookahead()
		if err != nil {
			return decode.Ended(err)
		}
		switch {
		case b == '{' || b == '[':
			return d.json(decode.RecordsOf(in))
		case b == '#':
			return d.tsv(in)
		}
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		if len(line) == 0 {
			acct.Skip(decode.SkipBlank)
			continue
		}
		acct.Reject(reasonZeekHeader, in.Pos())
	}
}

func (d *zeekReader) json(in *decode.Records) error {
	return in.Each(func(c *decode.Cursor) (reason string, err error) {
		if reason = d.object(c); reason == "" {
			reason, err = d.take()
		}
		return reason, err
	})
}

// object reads one JSON record into d.row.
func (d *zeekReader) object(c *decode.Cursor) (reason string) {
	d.row = zeekRow{}
	d.answers.n, d.answers.ttls = 0, 0
	c.Open('{')
	for {
		k, ok := c.Key()
		if !ok {
			break
		}
		f := zeekFieldOf(k)
		switch f {
		case zeekNone:
			c.Skip()
		case zeekAnswer, zeekTTL:
			if !c.Open('[') {
				c.Skip()
				continue
			}
			for c.More(']') {
				if v := c.Scalar(); f == zeekTTL {
					d.answers.addTTL(v)
				} else {
					d.answers.add(v)
				}
			}
		default:
			if d.row.v[f] = c.Scalar(); f == zeekQuery && d.row.v[f] != nil && len(d.row.v[f]) == 0 {
				d.row.v[f] = rootText
			}
		}
	}
	if c.Bad {
		return decode.ReasonBrokenJSON
	}
	return ""
}

var rootText = []byte(".")

// take makes a query of d.row and hands it on.
func (d *zeekReader) take() (reason string, err error) {
	r := &d.row
	if p := r.v[zeekPath]; p != nil && string(p) != "dns" {
		d.acct.Skip(skipZeekPath)
		return "", nil
	}
	if skip := notDNS(r.v[zeekRespP]); skip != "" {
		d.acct.Skip(skip)
		return "", nil
	}
	if r.v[zeekQuery] == nil {
		d.acct.Skip(skipNoQuestion)
		return "", nil
	}
	if reason := d.fill(); reason != "" {
		return reason, nil
	}
	d.acct.Accept(d.q.Time)
	return "", d.sink.Query(&d.q)
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
	if q.Time, ok = decode.EpochTime(r.v[zeekTS]); !ok {
		var n int
		if q.Time, n = d.clock.IsoTime(r.v[zeekTS]); n == 0 || n != len(r.v[zeekTS]) {
			return decode.ReasonTime
		}
	}
	if q.Client, ok = decode.ParseAddr(r.v[zeekOrigH]); !ok {
		return decode.ReasonAddress
	}
	if v := r.v[zeekRespH]; v != nil {
		if q.Server, ok = decode.ParseAddr(v); !ok {
			return decode.ReasonAddress
		}
	}
	if port, ok := decode.ParseUint(r.v[zeekOrigP], 65535); ok {
		q.ClientPort = uint16(port)
	}
	q.Transport = transportOf(r.v[zeekProto])
	if !d.setQuery(r.v[zeekQuery]) {
		return decode.ReasonBadName
	}
	if q.Type, ok = eitherOf(r.v[zeekType], r.v[zeekTypeName], decode.ParseType); !ok {
		return decode.ReasonType
	}
	if v, ok := eitherOf(r.v[zeekClass], r.v[zeekClassName], decode.ParseClass); ok && (r.v[zeekClass] != nil || r.v[zeekClassName] != nil) {
		q.Class = v
	}
	if v, ok := decode.ParseUint(r.v[zeekOpcode], 15); ok {
		q.Opcode = uint8(v)
	}
	d.outcome()
	return ""
}

// eitherOf reads a code, or where that is unset its name; neither is 0.
func eitherOf(code, name []byte, parse func([]byte) (uint16, bool)) (uint16, bool) {
	if code != nil {
		v, ok := decode.ParseUint(code, 65535)
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
		if code, ok := decode.ParseRcode(v); ok {
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
	q.Response.Answers = uint16(min(d.answers.n, 65535))
	d.tellAnswers()
}

func zeekTrue(b []byte) bool { return len(b) > 0 && (b[0] == 'T' || b[0] == 't') }

// setQuery reads a name as Zeek writes it: no trailing dot, bytes that are not
// printable as \xHH, a backslash doubled.
func (d *zeekReader) setQuery(b []byte) bool {
	if bytes.IndexByte(b, '\\') >= 0 {
		d.scratch = d.scratch[:0]
		for i := 0; i < len(b); i++ {
			if b[i] == '\\' && i+3 < len(b) && b[i+1] == 'x' {
				if hi, lo := decode.HexValue(b[i+2]), decode.HexValue(b[i+3]); hi >= 0 && lo >= 0 {
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
	ok := decode.SetName(&d.q, b)
	d.name = d.q.Name
	return ok
}
