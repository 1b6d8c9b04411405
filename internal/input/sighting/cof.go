package sighting

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for what a passive-DNS database answers beside sightings.
const (
	reasonNoName = "no name"
	skipSummary  = "summary of a search"
	skipQuota    = "quota"
	skipEmpty    = "empty object"
)

// cofWraps are the keys behind which databases put lists of sightings.
var cofWraps = []string{"results", "data", "records", "rrsets"}

// COF decodes passive DNS in the Common Output Format (draft-dulaunoy-dnsop-
// passive-dns-cof), as CIRCL, DNSDB's first API, dnsdbq -j and others write it:
// an object a line, or a list of them.
func COF(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.SightingSink) error {
	d := newCOF(opt)
	in := decode.NewItems(ctx, r, acct, cofWraps...)
	for {
		rec, err := in.Next()
		if err != nil {
			return decode.Ended(err)
		}
		v, at, skip, reason := d.read(rec)
		switch {
		case reason != "":
			acct.Reject(reason, in.Fault())
		case skip != "":
			acct.Skip(skip)
		default:
			acct.Accept(at)
			if err := sink.Sighting(v); err != nil {
				return err
			}
		}
	}
}

// cof reads objects of the Common Output Format.
type cof struct {
	opt   decode.Options
	clock decode.Clock
	cur   decode.Cursor
	text  decode.Interner
}

func newCOF(opt decode.Options) *cof { return &cof{opt: opt, clock: decode.NewClock(opt)} }

// cofFields are an object's values as they stand there.
type cofFields struct {
	name, typ, count, bailiwick, origin, sensor []byte
	first, last, firstMS, lastMS, zfirst, zlast []byte
	data                                        []string
	code, message                               []byte
	hasName, summary, quota, any                bool
}

// read makes a sighting of one object. at is its time for the account.
func (d *cof) read(rec []byte) (v *picket.Sighting, at int64, skip, reason string) {
	var f cofFields
	if reason = d.fields(rec, &f); reason != "" {
		return nil, 0, "", reason
	}
	switch {
	case !f.any:
		return nil, 0, skipEmpty, ""
	case f.hasName:
	case f.quota:
		return nil, 0, skipQuota, ""
	case f.summary:
		return nil, 0, skipSummary, ""
	case len(f.code) > 0 || len(f.message) > 0:
		return nil, 0, "", reasonError
	default:
		return nil, 0, "", reasonNoName
	}
	v = &picket.Sighting{Channel: picket.SightingPassiveDNS, Sensor: d.opt.Sensor, Data: f.data}
	var ok bool
	if v.Name, ok = d.text.Name(f.name); !ok {
		return nil, 0, "", decode.ReasonBadName
	}
	if v.Type, ok = typeName(f.typ); !ok {
		return nil, 0, "", decode.ReasonType
	}
	if v.Data, ok = d.data(v.Type, f.data); !ok {
		return nil, 0, "", decode.ReasonAddress
	}
	if n, ok := decode.ParseUint(f.count, 1<<63-1); ok {
		v.Count = int64(n)
	}
	if len(f.bailiwick) > 0 {
		if v.Bailiwick, ok = d.text.Name(f.bailiwick); !ok {
			return nil, 0, "", decode.ReasonBadName
		}
	}
	v.Origin, v.SensorID = d.text.Text(f.origin), d.text.Text(f.sensor)
	if reason = d.times(&f, v); reason != "" {
		return nil, 0, "", reason
	}
	seen := v.LastSeen
	if seen.IsZero() {
		seen = v.ZoneLast
	}
	return v, seen.UnixNano(), "", ""
}

// fields takes an object apart.
func (d *cof) fields(rec []byte, f *cofFields) (reason string) {
	c := &d.cur
	c.Reset(rec)
	c.Open('{')
	for {
		key, ok := c.Key()
		if !ok {
			break
		}
		f.any = true
		switch string(key) {
		case "rrname":
			f.name, f.hasName = c.Scalar(), true
		case "rrtype":
			f.typ = c.Scalar()
		case "rdata":
			f.data = d.list(c)
		case "count":
			f.count = c.Scalar()
		case "bailiwick":
			f.bailiwick = c.Scalar()
		case "origin":
			f.origin = c.Scalar()
		case "sensor_id":
			f.sensor = c.Scalar()
		case "time_first":
			f.first = c.Scalar()
		case "time_last":
			f.last = c.Scalar()
		case "time_first_ms":
			f.firstMS = c.Scalar()
		case "time_last_ms":
			f.lastMS = c.Scalar()
		case "zone_time_first":
			f.zfirst = c.Scalar()
		case "zone_time_last":
			f.zlast = c.Scalar()
		case "num_results":
			f.summary = true
			c.Skip()
		case "rate":
			f.quota = true
			c.Skip()
		case "code", "error":
			f.code = c.Scalar()
		case "message":
			f.message = c.Scalar()
		default:
			c.Skip()
		}
	}
	if c.Bad {
		return decode.ReasonBrokenJSON
	}
	return ""
}

// list reads rdata: a string, or an array of them.
func (d *cof) list(c *decode.Cursor) (out []string) {
	if !c.Open('[') {
		if b := c.Scalar(); b != nil {
			out = append(out, decode.Text(b))
		}
		return out
	}
	for c.More(']') {
		if b := c.Scalar(); b != nil {
			out = append(out, decode.Text(b))
		}
		if c.Bad {
			break
		}
	}
	return out
}

// data brings RDATA into one form where a type's is known: names absolute and in
// lower case, as not every database ends them with a dot. What is an address must
// be one.
func (d *cof) data(typ string, data []string) ([]string, bool) {
	for i, text := range data {
		b := []byte(text)
		switch typ {
		case "A", "AAAA":
			addr, ok := decode.ParseAddr(b)
			if !ok || addr.Is4() != (typ == "A") {
				return nil, false
			}
		case "NS", "CNAME", "PTR", "DNAME":
			if name, ok := d.text.Name(b); ok {
				data[i] = name
			}
		case "MX":
			data[i] = d.lastName(b)
		case "SRV":
			data[i] = d.lastName(b)
		}
	}
	return data, true
}

// lastName makes the last word of RDATA an absolute name.
func (d *cof) lastName(b []byte) string {
	i := bytes.LastIndexByte(b, ' ')
	name, ok := d.text.Name(b[i+1:])
	if i < 0 || !ok {
		return string(b)
	}
	return string(b[:i+1]) + name
}

// times reads the four times, of which one must be there.
func (d *cof) times(f *cofFields, v *picket.Sighting) (reason string) {
	for _, t := range [...]struct {
		to   *time.Time
		text []byte
		ms   []byte
	}{{&v.FirstSeen, f.first, f.firstMS}, {&v.LastSeen, f.last, f.lastMS}, {&v.ZoneFirst, f.zfirst, nil}, {&v.ZoneLast, f.zlast, nil}} {
		if ms, ok := decode.ParseUint(t.ms, 9e12); ok && len(t.ms) > 0 {
			*t.to = time.UnixMilli(int64(ms)).UTC()
			continue
		}
		if len(t.text) == 0 || string(t.text) == "0" {
			continue
		}
		var ok bool
		if *t.to, ok = instant(&d.clock, t.text); !ok {
			return decode.ReasonTime
		}
	}
	if v.LastSeen.IsZero() && v.ZoneLast.IsZero() {
		if v.FirstSeen.IsZero() && v.ZoneFirst.IsZero() {
			return decode.ReasonNoTime
		}
		v.LastSeen, v.ZoneLast = v.FirstSeen, v.ZoneFirst
	}
	return ""
}

// typeName returns a type's mnemonic; databases write it, or its number.
func typeName(b []byte) (string, bool) {
	t, ok := decode.ParseType(b)
	if n, isNumber := decode.ParseUint(b, 65535); isNumber {
		t, ok = uint16(n), true
	}
	if !ok {
		return "", false
	}
	return string(decode.AppendTypeName(nil, t)), true
}

// DetectCOF looks for objects with the format's mandatory fields.
func DetectCOF(head []byte) int {
	return decode.DetectItems(head, isCOF, cofWraps...)
}

func isCOF(v decode.Value) int {
	if v.Get("rrname") == nil || v.Get("rrtype") == nil {
		return 0
	}
	for _, key := range []string{"time_first", "time_last", "zone_time_first", "zone_time_last", "time_first_ms"} {
		if v.Get(key) != nil {
			return 95
		}
	}
	if v.Get("rdata") != nil {
		return 40
	}
	return 0
}
