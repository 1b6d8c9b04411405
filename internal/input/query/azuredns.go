package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const skipAzureOther = "log record of another category"

// AzureDNS decodes the query log of Azure DNS security policies: resource log
// records of the category DnsResponse, as a storage account or an event hub gets
// them, and rows of the table DNSQueryLogs as Log Analytics exports them.
func AzureDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return cloudJSON(ctx, r, &azureRecord{opt: opt, clock: decode.NewClock(opt)}, acct, sink)
}

// azureRecord is one record.
type azureRecord struct {
	opt   decode.Options
	clock decode.Clock
	key   folded
	in    decode.Cursor // for properties written as a string

	stamp, generated, category, table         []byte
	name, typ, class, rcode, src, port, proto []byte
	dst                                       []byte
	answers                                   uint16
	named, policy                             bool
}

func (f *azureRecord) begin() {
	scratch := f.in.Scratch
	*f = azureRecord{opt: f.opt, clock: f.clock}
	f.in.Scratch = scratch
}

func (f *azureRecord) value(c *decode.Cursor, k []byte) bool {
	folded := f.key.fold(k)
	switch string(folded) {
	case "time":
		f.stamp = c.Scalar()
	case "timegenerated":
		f.generated = c.Scalar()
	case "category":
		f.category = c.Scalar()
	case "type":
		f.table = c.Scalar()
	case "properties":
		f.properties(c)
	default:
		return f.field(c, folded)
	}
	return true
}

// properties steps into the object, which some exports write as a string.
func (f *azureRecord) properties(c *decode.Cursor) {
	if !c.Open('{') {
		v := bytes.TrimSpace(c.Scalar())
		if len(v) == 0 || v[0] != '{' {
			return
		}
		f.in.Reset(v)
		f.in.Open('{')
		c = &f.in
	}
	for {
		k, ok := c.Key()
		if !ok {
			return
		}
		if !f.field(c, f.key.fold(k)) {
			c.Skip()
		}
	}
}

// field reads a member by its folded key: the resource log's names, and those of
// the table's columns.
func (f *azureRecord) field(c *decode.Cursor, key []byte) bool {
	switch string(key) {
	case "queryname":
		f.name, f.named = c.Scalar(), true
	case "querytype":
		f.typ = c.Scalar()
	case "queryclass":
		f.class = c.Scalar()
	case "responsecode":
		f.rcode = c.Scalar()
	case "srcipaddr", "sourceipaddress":
		f.src = c.Scalar()
	case "srcport", "sourceport":
		f.port = c.Scalar()
	case "dstipaddr", "destinationipaddress":
		f.dst = c.Scalar()
	case "transport":
		f.proto = c.Scalar()
	case "answer":
		f.answers = cloudCount(c)
	case "resolutionpath", "resolverpolicyruleaction":
		f.policy = true
		c.Skip()
	default:
		return false
	}
	return true
}

func (f *azureRecord) object(q *picket.Query) (reason, skip string) {
	switch {
	case f.category != nil && !bytes.EqualFold(f.category, azureCategory), f.table != nil && !bytes.EqualFold(f.table, azureTable):
		return "", skipAzureOther
	case !f.named && f.category == nil && f.table == nil:
		return reasonNoQuery, ""
	case len(f.name) == 0:
		return reasonNoQueryName, ""
	}
	stamp := f.stamp
	if stamp == nil {
		stamp = f.generated
	}
	if len(stamp) == 0 {
		return decode.ReasonNoTime, ""
	}
	q.Sensor = f.opt.Sensor
	var ok bool
	if q.Time, ok = cloudTime(&f.clock, stamp); !ok {
		return decode.ReasonTime, ""
	}
	if f.in.Bad {
		return decode.ReasonBrokenJSON, ""
	}
	if !decode.SetName(q, f.name) {
		return decode.ReasonBadName, ""
	}
	if q.Type, ok = cloudType(f.typ); !ok {
		return decode.ReasonType, ""
	}
	if !nothing(f.class) {
		if q.Class, ok = numberOr(f.class, decode.ParseClass); !ok {
			return decode.ReasonClass, ""
		}
	}
	if q.Client, ok = cloudAddr(f.src); !ok {
		return decode.ReasonAddress, ""
	}
	if q.Server, ok = cloudAddr(f.dst); !ok {
		return decode.ReasonAddress, ""
	}
	port, _ := decode.ParseUint(f.port, 65535)
	q.ClientPort = uint16(port)
	q.Transport = cloudTransport(f.proto)
	q.Response.Answers = f.answers
	return cloudRcode(q, f.rcode), ""
}

func (f *azureRecord) line(*picket.Query, []byte) (reason, skip string, ok bool) {
	return "", "", false
}

var (
	azureCategory = []byte("DnsResponse")
	azureTable    = []byte("DNSQueryLogs")
)

// DetectAzureDNS knows records by their category or table, and rows without
// either by columns that only this table has.
func DetectAzureDNS(head []byte) int {
	return detectCloud(head, func(c *decode.Cursor) bool {
		f := azureRecord{}
		for {
			k, ok := c.Key()
			if !ok {
				break
			}
			if !f.value(c, k) {
				c.Skip()
			}
		}
		switch {
		case f.category != nil || f.table != nil:
			return bytes.EqualFold(f.category, azureCategory) || bytes.EqualFold(f.table, azureTable)
		case c.Bad:
			return false
		}
		return f.named && f.policy && f.src != nil
	}, nil)
}
