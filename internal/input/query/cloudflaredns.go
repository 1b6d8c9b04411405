package query

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	reasonCloudflareHeader = "no header line"
	skipCloudflareHeader   = "header line"
	maxCloudflareColumns   = 64
)

// cfField is a field of the data sets dns_logs and dns_firewall_logs.
type cfField uint8

const (
	cfNone cfField = iota
	cfTime
	cfName
	cfType
	cfRcode
	cfClientRcode // what DNS Firewall gave the client, where that differs
	cfClient
	cfSubnet
	cfSubnetLength
	cfColo
	cfTCP
	cfRD
	cfDO
	cfCached
	cfFields
)

// cfKeys are the fields' folded names.
var cfKeys = map[string]cfField{
	"timestamp": cfTime, "queryname": cfName, "querytype": cfType, "responsecode": cfRcode, "clientresponsecode": cfClientRcode,
	"sourceip": cfClient, "ednssubnet": cfSubnet, "ednssubnetlength": cfSubnetLength, "colocode": cfColo,
	"querytcp": cfTCP, "queryrd": cfRD, "querydo": cfDO, "responsecached": cfCached,
}

// cfMapped are the names under which a mapping may tell of renamed fields.
var cfMapped = map[string]cfField{
	"time": cfTime, "name": cfName, "type": cfType, "rcode": cfRcode, "client": cfClient, "subnet": cfSubnet,
	"subnet_length": cfSubnetLength, "sensor": cfColo,
}

// CloudflareDNS decodes the data sets dns_logs and dns_firewall_logs of Cloudflare
// Logpush: JSON objects, or CSV with a header line. Fields that a job's record
// template renames are told by opt.Mapping, the columns of CSV without a header by
// their numbers from 1.
func CloudflareDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	f := newCloudflareRecord(opt)
	in := decode.NewLines(ctx, r, acct)
	w := newCloudReader(in, f, acct, sink)
	if found, err := w.behindHeader(); err != nil || found {
		if err != nil {
			return decode.Ended(err)
		}
		return w.objects()
	}
	t := cfTable{f: f, w: w}
	t.begin(opt)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		if err := t.line(line, in.Pos()); err != nil {
			return err
		}
	}
}

// cloudflareRecord is one object or row.
type cloudflareRecord struct {
	opt   decode.Options
	clock decode.Clock
	colos interned
	key   folded
	keys  map[string]cfField

	v    [cfFields][]byte
	have [cfFields]bool
}

func newCloudflareRecord(opt decode.Options) *cloudflareRecord {
	f := &cloudflareRecord{opt: opt, clock: decode.NewClock(opt), keys: cfKeys}
	if opt.Mapping == nil || len(opt.Mapping.Fields) == 0 {
		return f
	}
	f.keys = make(map[string]cfField, len(cfKeys)+len(cfMapped))
	for k, field := range cfKeys {
		f.keys[k] = field
	}
	for to, from := range opt.Mapping.Fields {
		if field, ok := cfMapped[to]; ok {
			f.keys[string(f.key.fold([]byte(from)))] = field
		}
	}
	return f
}

func (f *cloudflareRecord) begin() {
	clear(f.v[:])
	clear(f.have[:])
}

func (f *cloudflareRecord) value(c *decode.Cursor, k []byte) bool {
	field := f.keys[string(f.key.fold(k))]
	if field == cfNone {
		return false
	}
	f.v[field], f.have[field] = c.Scalar(), true
	return true
}

func (f *cloudflareRecord) object(q *picket.Query) (reason, skip string) {
	switch {
	case !f.have[cfName] && !f.have[cfType]:
		return reasonNoQuery, ""
	case len(f.v[cfTime]) == 0:
		return decode.ReasonNoTime, ""
	case len(f.v[cfName]) == 0:
		return reasonNoQueryName, ""
	}
	var ok bool
	if q.Time, ok = cloudTime(&f.clock, f.v[cfTime]); !ok {
		return decode.ReasonTime, ""
	}
	if !decode.SetName(q, f.v[cfName]) {
		return decode.ReasonBadName, ""
	}
	if q.Type, ok = cloudType(f.v[cfType]); !ok {
		return decode.ReasonType, ""
	}
	if q.Client, ok = cloudAddr(f.v[cfClient]); !ok {
		return decode.ReasonAddress, ""
	}
	if !cloudSubnet(q, f.v[cfSubnet], f.v[cfSubnetLength]) {
		return decode.ReasonAddress, ""
	}
	if q.Sensor = f.opt.Sensor; q.Sensor == "" {
		q.Sensor = f.colos.get(f.v[cfColo])
	}
	f.flags(q)
	rcode := f.v[cfClientRcode]
	if nothing(rcode) {
		rcode = f.v[cfRcode]
	}
	return cloudRcode(q, rcode), ""
}

// flags reads what only DNS Firewall's data set has.
func (f *cloudflareRecord) flags(q *picket.Query) {
	if f.have[cfTCP] {
		if q.Transport = picket.TransportUDP; isTrue(f.v[cfTCP]) {
			q.Transport = picket.TransportTCP
		}
	}
	if f.have[cfRD] {
		if q.Flags |= picket.FlagFlags; isTrue(f.v[cfRD]) {
			q.Flags |= picket.FlagRD
		}
	}
	if isTrue(f.v[cfDO]) {
		q.Flags |= picket.FlagDO | picket.FlagEDNS
	}
}

func isTrue(v []byte) bool {
	return len(v) == 4 && (v[0] == 't' || v[0] == 'T') && bytes.EqualFold(v, []byte("true"))
}

func (f *cloudflareRecord) line(*picket.Query, []byte) (reason, skip string, ok bool) {
	return "", "", false
}

// cfTable reads CSV.
type cfTable struct {
	f       *cloudflareRecord
	w       *cloudReader
	comma   byte
	columns [maxCloudflareColumns]cfField
	known   bool
	header  []byte // with its line's end
	text    []byte // of quoted cells
	rec     []byte
}

// begin sets the columns that a mapping gives by number.
func (t *cfTable) begin(opt decode.Options) {
	t.comma = ','
	if opt.Mapping == nil {
		return
	}
	if d := opt.Mapping.Delimiter; len(d) == 1 {
		t.comma = d[0]
	}
	for to, from := range opt.Mapping.Fields {
		n, err := strconv.Atoi(from)
		if field, ok := cfMapped[to]; ok && err == nil && n >= 1 && n <= maxCloudflareColumns {
			t.columns[n-1], t.known = field, true
		}
	}
}

func (t *cfTable) line(line []byte, at picket.Position) error {
	acct := t.w.acct
	if len(line) == 0 {
		acct.Skip(decode.SkipBlank)
		return nil
	}
	if columns, ok := t.asHeader(line); ok {
		t.columns, t.known = columns, true
		t.header = append(append(t.header[:0], line...), '\n')
		acct.Skip(skipCloudflareHeader)
		return nil
	}
	if !t.known {
		acct.Reject(reasonCloudflareHeader, at)
		return nil
	}
	t.f.begin()
	t.text = t.text[:0]
	n := 0
	for rest := line; ; n++ {
		var cell []byte
		var more, ok bool
		if cell, rest, more, ok = t.cell(rest); !ok {
			t.reject(decode.ReasonTruncated, line, at)
			return nil
		}
		if n < maxCloudflareColumns && t.columns[n] != cfNone {
			t.f.v[t.columns[n]], t.f.have[t.columns[n]] = cell, true
		}
		if !more {
			break
		}
	}
	t.w.begin()
	reason, _ := t.f.object(&t.w.q)
	if reason == reasonNoQuery {
		reason = decode.ReasonTruncated
	}
	if reason != "" {
		t.reject(reason, line, at)
		return nil
	}
	return t.w.done("", "", nil)
}

// reject hands over the row with the header that it needs.
func (t *cfTable) reject(reason string, line []byte, at picket.Position) {
	t.rec = append(append(t.rec[:0], t.header...), line...)
	at.Record = t.rec
	t.w.acct.Reject(reason, at)
}

// asHeader reads a line as column names; it is one when it names the query name's
// and the time's column.
func (t *cfTable) asHeader(line []byte) (columns [maxCloudflareColumns]cfField, ok bool) {
	var has [cfFields]bool
	t.text = t.text[:0]
	n := 0
	for rest := line; n < maxCloudflareColumns; n++ {
		var cell []byte
		var more, good bool
		if cell, rest, more, good = t.cell(rest); !good {
			return columns, false
		}
		columns[n] = t.f.keys[string(t.f.key.fold(cell))]
		if n == 0 && columns[n] == cfNone && t.known {
			// Header lines come first in their files; rows are not looked at further
			// when their first cell is no column's name.
			return columns, false
		}
		has[columns[n]] = true
		if !more {
			break
		}
	}
	return columns, has[cfName] && has[cfTime]
}

// cell cuts the next cell off a line.
func (t *cfTable) cell(b []byte) (cell, rest []byte, more, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		i := bytes.IndexByte(b, t.comma)
		if i < 0 {
			return b, nil, false, true
		}
		return b[:i], b[i+1:], true, true
	}
	at := len(t.text)
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			t.text = append(t.text, b[i])
			continue
		}
		if i+1 < len(b) && b[i+1] == '"' {
			t.text = append(t.text, '"')
			i++
			continue
		}
		cell = t.text[at:len(t.text):len(t.text)]
		switch {
		case i+1 == len(b):
			return cell, nil, false, true
		case b[i+1] == t.comma:
			return cell, b[i+2:], true, true
		}
		return nil, nil, false, false
	}
	return nil, nil, false, false
}

// DetectCloudflareDNS knows objects and header lines by the names of columns that
// together only these data sets have.
func DetectCloudflareDNS(head []byte) int {
	f := newCloudflareRecord(decode.Options{})
	sure := func(has *[cfFields]bool) bool {
		return has[cfName] && has[cfTime] && has[cfType] && (has[cfSubnet] || has[cfSubnetLength] || has[cfCached] || has[cfClient] && has[cfColo])
	}
	var header bool
	decode.EachLine(head, func(line []byte) bool {
		if len(line) == 0 {
			return true
		}
		t := cfTable{f: f, comma: ','}
		if columns, ok := t.asHeader(line); ok {
			var has [cfFields]bool
			for _, c := range columns {
				has[c] = true
			}
			header = sure(&has)
		}
		return false
	})
	if header {
		return 93
	}
	return detectCloud(head, func(c *decode.Cursor) bool {
		f.begin()
		for {
			k, ok := c.Key()
			if !ok {
				return !c.Bad && sure(&f.have)
			}
			if !f.value(c, k) {
				c.Skip()
			}
		}
	}, nil)
}
