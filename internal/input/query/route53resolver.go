package query

import (
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Route53Resolver decodes the query log of Route 53 VPC Resolver, versions 1.x: one
// JSON object for each query that came out of a VPC, as S3, Firehose or CloudWatch
// Logs hold it.
func Route53Resolver(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error {
	return cloudJSON(ctx, r, &resolverRecord{opt: opt, clock: decode.NewClock(opt)}, acct, sink)
}

// resolverRecord is one object of the log.
type resolverRecord struct {
	opt   decode.Options
	clock decode.Clock

	stamp, name, typ, class, rcode, src, port, transport []byte
	answers                                              uint16
	named                                                bool
}

func (f *resolverRecord) begin() {
	*f = resolverRecord{opt: f.opt, clock: f.clock}
}

func (f *resolverRecord) value(c *decode.Cursor, k []byte) bool {
	switch string(k) {
	case "query_timestamp":
		f.stamp = c.Scalar()
	case "query_name":
		f.name, f.named = c.Scalar(), true
	case "query_type":
		f.typ = c.Scalar()
	case "query_class":
		f.class = c.Scalar()
	case "rcode":
		f.rcode = c.Scalar()
	case "srcaddr":
		f.src = c.Scalar()
	case "srcport":
		f.port = c.Scalar()
	case "transport":
		f.transport = c.Scalar()
	case "answers":
		f.answers = cloudCount(c)
	default:
		return false
	}
	return true
}

func (f *resolverRecord) object(q *picket.Query) (reason, skip string) {
	if !f.named && f.stamp == nil {
		return reasonNoQuery, ""
	}
	q.Sensor = f.opt.Sensor
	var ok bool
	switch {
	case len(f.stamp) == 0:
		return decode.ReasonNoTime, ""
	case len(f.name) == 0:
		return reasonNoQueryName, ""
	}
	if q.Time, ok = cloudTime(&f.clock, f.stamp); !ok {
		return decode.ReasonTime, ""
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
	port, _ := decode.ParseUint(f.port, 65535)
	q.ClientPort = uint16(port)
	q.Transport = cloudTransport(f.transport)
	q.Response.Answers = f.answers
	return cloudRcode(q, f.rcode), ""
}

func (f *resolverRecord) line(*picket.Query, []byte) (reason, skip string, ok bool) {
	return "", "", false
}

// DetectRoute53Resolver knows the log by keys that nothing else has together.
func DetectRoute53Resolver(head []byte) int {
	return detectCloud(head, func(c *decode.Cursor) bool {
		var has uint8
		for {
			k, ok := c.Key()
			if !ok {
				return false
			}
			switch string(k) {
			case "query_timestamp":
				has |= 1
			case "query_name":
				has |= 2
			case "srcaddr", "vpc_id", "srcids":
				has |= 4
			}
			if has == 7 {
				return true
			}
			c.Skip()
		}
	}, nil)
}
