package query

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const skipGCPOther = "log entry of another resource"

// GCPDNS decodes the query log of Google Cloud DNS: LogEntry objects of the
// resource type dns_query, as Cloud Logging exports them.
func GCPDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return cloudJSON(ctx, r, &gcpEntry{opt: opt, clock: decode.NewClock(opt)}, acct, sink)
}

// gcpEntry is one LogEntry.
type gcpEntry struct {
	opt   decode.Options
	clock decode.Clock

	stamp, resource, log              []byte
	name, typ, rcode, proto, src, dst []byte
	answers, lines                    uint16
	auth, payload, other              bool
}

func (f *gcpEntry) begin() {
	*f = gcpEntry{opt: f.opt, clock: f.clock}
}

func (f *gcpEntry) value(c *decode.Cursor, k []byte) bool {
	switch string(k) {
	case "timestamp":
		f.stamp = c.Scalar()
	case "logName":
		f.log = c.Scalar()
	case "protoPayload", "textPayload":
		f.other = true
		c.Skip()
	case "resource":
		if !c.Open('{') {
			c.Skip()
			return true
		}
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			if string(k) == "type" {
				f.resource = c.Scalar()
			} else {
				c.Skip()
			}
		}
	case "jsonPayload":
		if !c.Open('{') {
			c.Skip()
			return true
		}
		f.payload = true
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			f.field(c, k)
		}
	default:
		return false
	}
	return true
}

// field reads one member of jsonPayload.
func (f *gcpEntry) field(c *decode.Cursor, k []byte) {
	switch string(k) {
	case "queryName":
		f.name = c.Scalar()
	case "queryType":
		f.typ = c.Scalar()
	case "responseCode":
		f.rcode = c.Scalar()
	case "protocol":
		f.proto = c.Scalar()
	case "sourceIP":
		f.src = c.Scalar()
	case "destinationIP":
		f.dst = c.Scalar()
	case "authAnswer":
		f.auth = c.IsTrue()
	case "rdata":
		if v := bytes.TrimRight(c.Scalar(), "\n"); len(v) > 0 {
			f.lines = uint16(min(bytes.Count(v, []byte{'\n'})+1, 65534))
		}
	case "structuredRdata":
		f.answers = cloudCount(c)
	default:
		c.Skip()
	}
}

var gcpLogSuffix = []byte("dns_queries")

func (f *gcpEntry) object(q *picket.Query) (reason, skip string) {
	dns := string(f.resource) == "dns_query" || (f.resource == nil && bytes.HasSuffix(f.log, gcpLogSuffix))
	switch {
	case !dns && (f.resource != nil || f.log != nil || f.other):
		return "", skipGCPOther
	case !f.payload:
		return reasonNoQuery, ""
	case len(f.stamp) == 0:
		return decode.ReasonNoTime, ""
	case len(f.name) == 0:
		return reasonNoQueryName, ""
	}
	q.Sensor = f.opt.Sensor
	var ok bool
	if q.Time, ok = cloudTime(&f.clock, f.stamp); !ok {
		return decode.ReasonTime, ""
	}
	if !decode.SetName(q, f.name) {
		return decode.ReasonBadName, ""
	}
	if q.Type, ok = cloudType(f.typ); !ok {
		return decode.ReasonType, ""
	}
	if q.Client, ok = cloudAddr(f.src); !ok {
		return decode.ReasonAddress, ""
	}
	if q.Server, ok = cloudAddr(f.dst); !ok {
		return decode.ReasonAddress, ""
	}
	q.Transport = cloudTransport(f.proto)
	q.Response.Answers = max(f.answers, f.lines)
	if f.auth {
		q.Flags |= picket.FlagAA
	}
	return cloudRcode(q, f.rcode), ""
}

func (f *gcpEntry) line(*picket.Query, []byte) (reason, skip string, ok bool) {
	return "", "", false
}

// DetectGCPDNS knows entries by their resource, or by the log they are of.
func DetectGCPDNS(head []byte) int {
	return detectCloud(head, func(c *decode.Cursor) bool {
		f := gcpEntry{}
		for {
			k, ok := c.Key()
			if !ok {
				break
			}
			if !f.value(c, k) {
				c.Skip()
			}
		}
		return string(f.resource) == "dns_query" || (f.resource == nil && bytes.HasSuffix(f.log, gcpLogSuffix) && f.payload)
	}, nil)
}
