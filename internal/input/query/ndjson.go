package query

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons of Picket's own JSON lines; each names the key at fault.
const (
	reasonNoName      = "key name missing"
	reasonNoTimeKey   = "key time missing"
	reasonKeyTime     = "bad value of key time"
	reasonKeyName     = "bad value of key name"
	reasonKeyAddress  = "bad value of key client or server"
	reasonKeyNumber   = "bad value of a numeric key"
	reasonKeyType     = "bad value of key type"
	reasonKeyClass    = "bad value of key class"
	reasonKeyRcode    = "bad value of key rcode"
	reasonKeyFlags    = "bad value of key flags"
	reasonKeyECS      = "bad value of key ecs"
	reasonKeyResponse = "bad value of a response key"
	reasonKeyWay      = "bad value of key transport"
)

// flagNames are the words of the key flags. "header" says that the record
// carries header flags at all (picket.FlagFlags).
var flagNames = [...]struct {
	flag picket.QueryFlags
	name string
}{
	{picket.FlagRD, "rd"}, {picket.FlagCD, "cd"}, {picket.FlagAD, "ad"}, {picket.FlagEDNS, "edns"}, {picket.FlagDO, "do"},
	{picket.FlagCookie, "cookie"}, {picket.FlagTSIG, "tsig"}, {picket.FlagMixed, "mixed"}, {picket.FlagNSID, "nsid"},
	{picket.FlagBadEDNS, "bad-edns"}, {picket.FlagResponse, "response"}, {picket.FlagAA, "aa"}, {picket.FlagTC, "tc"},
	{picket.FlagFlags, "header"}, {picket.FlagReferral, "referral"},
}

// NDJSON decodes Picket's own JSON lines, which AppendNDJSON writes: one object
// for each query, described in docs/inputs/ndjson.md. Unknown keys are passed
// over; a record without name or time is rejected.
func NDJSON(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	d := newNDJSONReader(opt)
	in := decode.NewRecords(ctx, r, acct)
	for {
		rec, err := in.NextRecord(false)
		if err != nil {
			if errors.Is(err, decode.ErrIdle) {
				continue
			}
			return decode.Ended(err)
		}
		reason := d.read(rec)
		n := d.length(rec)
		if reason != "" {
			acct.Reject(reason, in.Fault(n))
		} else {
			acct.Accept(d.q.Time)
			if err := sink.Query(&d.q); err != nil {
				return err
			}
		}
		in.Done(n)
	}
}

// ndjsonReader reads one record after the other into q.
type ndjsonReader struct {
	cur     decode.Cursor
	clock   decode.Clock
	sensors interned
	opt     decode.Options
	q       picket.Query
	name    []byte
	names   []byte // of the response: owners and hashes
	denials [picket.MaxDenials]picket.Denial
	hasTime bool
	hasName bool
}

func newNDJSONReader(opt decode.Options) *ndjsonReader {
	return &ndjsonReader{opt: opt, clock: decode.NewClock(opt), name: make([]byte, 0, 256)}
}

// length is how much of rec was read: the whole of it when it is broken.
func (d *ndjsonReader) length(rec []byte) int {
	if d.cur.Bad {
		return len(rec)
	}
	return d.cur.I
}

// read fills d.q. The record is read to its end even when a value is bad.
func (d *ndjsonReader) read(rec []byte) (reason string) {
	c := &d.cur
	c.Reset(rec)
	d.q = picket.Query{Rcode: picket.RcodeUnknown, Class: 1, Name: d.name[:0], Sensor: d.opt.Sensor}
	d.names, d.hasTime, d.hasName = d.names[:0], false, false
	if !c.Open('{') {
		c.Fail()
		return decode.ReasonNotObject
	}
	for {
		k, ok := c.Key()
		if !ok {
			break
		}
		if why := d.value(k); why != "" && reason == "" {
			reason = why
		}
	}
	switch {
	case c.Bad:
		return decode.ReasonBrokenJSON
	case reason != "":
		return reason
	case !d.hasTime:
		return reasonNoTimeKey
	case !d.hasName:
		return reasonNoName
	}
	return ""
}

func (d *ndjsonReader) value(k []byte) (reason string) {
	c, q := &d.cur, &d.q
	ok := true
	switch string(k) {
	case "time":
		q.Time, d.hasTime = d.time(c.Scalar())
		if !d.hasTime {
			return reasonKeyTime
		}
	case "name":
		if d.hasName = decode.SetName(q, c.Scalar()); !d.hasName {
			return reasonKeyName
		}
		d.name = q.Name
	case "client", "server":
		v := c.Scalar()
		if len(v) == 0 {
			return ""
		}
		a, ok := decode.ParseAddr(v)
		if !ok {
			return reasonKeyAddress
		}
		if k[0] == 'c' {
			q.Client = a
		} else {
			q.Server = a
		}
	case "type":
		if q.Type, ok = numberOr(c.Scalar(), decode.ParseType); !ok {
			return reasonKeyType
		}
	case "class":
		if q.Class, ok = numberOr(c.Scalar(), decode.ParseClass); !ok {
			return reasonKeyClass
		}
	case "rcode":
		if v := c.Scalar(); len(v) > 0 {
			if q.Rcode, ok = decode.ParseRcode(v); !ok {
				return reasonKeyRcode
			}
		}
	case "transport":
		if v := c.Scalar(); len(v) > 0 {
			if q.Transport = transportOf(v); q.Transport == picket.TransportUnknown {
				return reasonKeyWay
			}
		}
	case "flags":
		return d.flags()
	case "ecs":
		if v := c.Scalar(); len(v) > 0 {
			if q.ClientSubnet, ok = parsePrefix(v); !ok {
				return reasonKeyECS
			}
		}
	case "sensor":
		if v := c.Scalar(); d.opt.Sensor == "" {
			q.Sensor = d.sensors.get(v)
		}
	case "client_port", "opcode", "edns_size", "answers":
		return d.number(k)
	case "owner", "authority", "soa", "denials":
		return d.response(k)
	default:
		c.Skip()
	}
	return ""
}

func (d *ndjsonReader) time(v []byte) (int64, bool) {
	if ns, ok := decode.EpochTime(v); ok {
		return ns, true
	}
	ns, n := d.clock.IsoTime(v)
	return ns, n > 0 && n == len(v)
}

func numberOr(v []byte, parse func([]byte) (uint16, bool)) (uint16, bool) {
	if n, ok := decode.ParseUint(v, 65535); ok {
		return uint16(n), true
	}
	return parse(v)
}

func transportOf(v []byte) picket.Transport {
	for t := picket.TransportUDP; t <= picket.TransportQUIC; t++ {
		if t.String() == string(v) {
			return t
		}
	}
	return picket.TransportUnknown
}

// parsePrefix reads ADDRESS/BITS.
func parsePrefix(v []byte) (netip.Prefix, bool) {
	i := bytes.LastIndexByte(v, '/')
	if i < 0 {
		return netip.Prefix{}, false
	}
	a, ok := decode.ParseAddr(v[:i])
	bits, okBits := decode.ParseUint(v[i+1:], uint64(a.BitLen()))
	return netip.PrefixFrom(a, int(bits)), ok && okBits
}

func (d *ndjsonReader) number(k []byte) (reason string) {
	limit := uint64(65535)
	if k[0] == 'o' {
		limit = 15
	}
	v, ok := decode.ParseUint(d.cur.Scalar(), limit)
	if !ok {
		return reasonKeyNumber
	}
	switch k[0] {
	case 'c':
		d.q.ClientPort = uint16(v)
	case 'o':
		d.q.Opcode = uint8(v)
	case 'e':
		d.q.EDNSSize = uint16(v)
	default:
		d.q.Response.Answers = uint16(v)
	}
	return ""
}

func (d *ndjsonReader) flags() (reason string) {
	c := &d.cur
	if !c.Open('[') {
		c.Skip()
		return reasonKeyFlags
	}
next:
	for c.More(']') {
		v := c.Scalar()
		for _, f := range flagNames {
			if f.name == string(v) {
				d.q.Flags |= f.flag
				continue next
			}
		}
		reason = reasonKeyFlags
	}
	return reason
}

func (d *ndjsonReader) response(k []byte) (reason string) {
	c, r := &d.cur, &d.q.Response
	ok := true
	switch string(k) {
	case "owner":
		r.Owner, ok = d.keep(c.Scalar(), false)
	case "authority":
		r.Authority, ok = d.keep(c.Scalar(), false)
	case "soa":
		r.HasSOA = c.IsTrue()
	case "denials":
		if !c.Open('[') {
			c.Skip()
			return reasonKeyResponse
		}
		n := 0
		for c.More(']') {
			if n == picket.MaxDenials || !c.Open('{') {
				c.Skip()
				ok = false
				continue
			}
			d.denials[n] = picket.Denial{}
			if !d.denial(&d.denials[n]) {
				ok = false
			}
			n++
		}
		r.Denials = d.denials[:n]
	}
	if !ok {
		return reasonKeyResponse
	}
	return ""
}

// denial reads {"owner":…,"next":…} with names, or {"nsec3":true,…} with hashes
// in hexadecimal; nsec3 comes first.
func (d *ndjsonReader) denial(to *picket.Denial) bool {
	c, ok := &d.cur, true
	for {
		k, more := c.Key()
		if !more {
			return ok && to.Owner != nil && to.Next != nil
		}
		good := true
		switch string(k) {
		case "nsec3":
			to.NSEC3 = c.IsTrue()
		case "owner":
			to.Owner, good = d.keep(c.Scalar(), to.NSEC3)
		case "next":
			to.Next, good = d.keep(c.Scalar(), to.NSEC3)
		default:
			c.Skip()
		}
		ok = ok && good
	}
}

// keep stores a name, or a hash, of the response.
func (d *ndjsonReader) keep(v []byte, hash bool) ([]byte, bool) {
	at := len(d.names)
	var err error
	if hash {
		if len(v) > 2*255 {
			return nil, false
		}
		d.names, err = hex.AppendDecode(d.names, v)
	} else {
		d.names, err = dnsname.AppendText(d.names, v)
	}
	return d.names[at:len(d.names):len(d.names)], err == nil
}

// interned keeps a bounded number of strings, so that a name which comes with
// each record is allocated once.
type interned struct{ m map[string]string }

func (t *interned) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := t.m[string(b)]; ok {
		return s
	}
	s := string(b[:min(len(b), 255)])
	if t.m == nil {
		t.m = make(map[string]string)
	}
	if len(t.m) < 256 && len(s) == len(b) {
		t.m[s] = s
	}
	return s
}

// DetectNDJSON looks for objects with the keys time and name and one more of
// Picket's own, and none of those by which other formats are known.
func DetectNDJSON(head []byte) int {
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var has uint8
		for {
			k, ok := c.Key()
			if !ok {
				return has&3 == 3 && has&4 != 0
			}
			switch string(k) {
			case "time":
				has |= 1
			case "name":
				has |= 2
			case "client", "type", "rcode", "class":
				has |= 4
			}
			c.Skip()
		}
	}, 80)
}
