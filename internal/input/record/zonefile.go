package record

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/masterfile"
)

// Bounds of the records that wait for the zone's name to be known. The SOA that
// tells it is the first record of nearly every zone file.
const (
	maxHeld      = 1 << 16
	maxHeldBytes = 16 << 20 // of their data
)

// ZoneFile decodes master files (RFC 1035 §5, RFC 2308 §4), one zone each. The
// zone is the origin given, else the owner of the SOA, else the first $ORIGIN,
// else what the file's name says. $INCLUDE is not followed: a stream has no folder
// beside it.
func ZoneFile(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	z := &zoneReader{emitter: newEmitter(ctx, opt, acct, sink)}
	z.verify.All = true
	var origin []byte
	if opt.Origin != "" {
		apex, err := dnsname.Parse(opt.Origin)
		if err != nil {
			return fmt.Errorf("origin %q: %w: give a domain name such as example.com", opt.Origin, err)
		}
		origin = apex
		z.setApex(apex)
	} else {
		z.named = masterfile.OriginOf(opt.Name)
	}
	in := &masterfile.Reader{Budget: masterfile.MaxBytes, Generate: masterfile.MaxGenerated}
	if err := in.Read(contextReader{ctx, r}, opt.Name, origin, z); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !z.known {
		z.settle()
	}
	return z.flush()
}

// contextReader ends a stream with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// zoneReader makes Records of what a zone file holds; it is a masterfile.Handler.
type zoneReader struct {
	*emitter
	verify masterfile.Verifier
	batch  []masterfile.Record
	apex   string // of the zone, in presentation form
	wire   []byte // and in wire form, nil when it is not known
	held   int    // bytes of data that wait
	known  bool   // the apex is settled, be it that it stays unknown
	first  []byte // $ORIGIN
	named  []byte // what the file's name says
	err    error
}

func (z *zoneReader) setApex(apex []byte) {
	z.known = true
	if apex != nil {
		z.apex, z.wire = dnsname.String(apex), apex
	}
}

// settle ends the wait for a SOA.
func (z *zoneReader) settle() {
	switch {
	case z.first != nil:
		z.setApex(z.first)
	case z.named != nil && z.holds(z.named):
		z.setApex(z.named)
		if len(z.batch) > 0 {
			z.note(noteFileName + z.apex)
		}
	default:
		z.setApex(nil)
		if len(z.batch) > 0 {
			z.note(noteNoZone)
		}
	}
}

// holds reports whether all records held are at or below apex.
func (z *zoneReader) holds(apex []byte) bool {
	for i := range z.batch {
		if !dnsname.IsSubdomain(z.batch[i].Owner, apex) {
			return false
		}
	}
	return true
}

// Record implements masterfile.Handler.
func (z *zoneReader) Record(r masterfile.Record) error {
	if r.Type == dns.TypeSOA && !z.known {
		z.setApex(r.Owner)
	}
	z.batch = append(z.batch, r)
	if !z.known {
		if z.held += len(r.Data); len(z.batch) >= maxHeld || z.held >= maxHeldBytes {
			z.settle()
		}
	}
	if len(z.batch) >= masterfile.BatchSize && z.known {
		return z.flush()
	}
	return nil
}

// Directive implements masterfile.Handler.
func (z *zoneReader) Directive(_ string, name []byte) {
	z.acct.Skip(skipDirective)
	if z.first == nil {
		z.first = name
	}
}

// Problem implements masterfile.Handler.
func (z *zoneReader) Problem(p masterfile.Problem) {
	z.acct.Reject(p.Reason, picket.Position{Line: int64(p.Line), Record: p.Entry})
	if p.Reason == masterfile.ReasonInclude || p.Reason == masterfile.ReasonTooLarge || p.Reason == masterfile.ReasonRead {
		z.note(fmt.Sprintf("line %d: %s", p.Line, printable(p.Text)))
	}
}

// flush verifies the records held and hands them over.
func (z *zoneReader) flush() error {
	z.verify.Run(z.batch, func(r *masterfile.Record, rr dns.RR, problem string) {
		switch {
		case z.err != nil:
		case z.wire != nil && !dnsname.IsSubdomain(r.Owner, z.wire):
			z.acct.Reject(reasonOutside, picket.Position{Line: int64(r.Line), Record: []byte(r.String())})
		case problem != "":
			z.acct.Reject(masterfile.ReasonData, picket.Position{Line: int64(r.Line), Record: []byte(r.String())})
		default:
			z.err = z.emit(z.record(r, rr))
		}
	})
	z.batch = z.batch[:0]
	return z.err
}

func (z *zoneReader) record(r *masterfile.Record, rr dns.RR) *picket.Record {
	typ, data := string(decode.AppendTypeName(nil, r.Type)), ""
	if rr != nil {
		data = dataOf(rr, typ, r.Data)
	} else {
		data, _ = plainData(r.Data)
	}
	source := strconv.Itoa(r.Line)
	if r.File != "" {
		source = printable(r.File) + ":" + source
	}
	return &picket.Record{Zone: z.apex, Name: dnsname.String(r.Owner), Type: typ,
		Class: string(decode.AppendClassName(nil, r.Class)), TTL: max(r.TTL, 0), Data: data, Source: source}
}

// DetectZoneFile says yes to text whose entries are nearly all records.
func DetectZoneFile(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || bytes.IndexByte([]byte("{[<"), body[0]) >= 0 || bytes.IndexByte(body[:min(len(body), 512)], 0) >= 0 {
		return 0
	}
	if len(head) >= 64<<10 { // the last entry may be cut
		if i := bytes.LastIndexByte(head, '\n'); i > 0 {
			head = head[:i]
		}
	}
	c := &zoneCounter{}
	in := &masterfile.Reader{Budget: int64(len(head)) + 1, Generate: 64}
	_ = in.Read(bytes.NewReader(head), "", []byte{7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0}, c)
	c.verify.Run(c.batch, func(_ *masterfile.Record, _ dns.RR, problem string) {
		if problem == "" {
			c.good++
		} else {
			c.bad++
		}
	})
	switch {
	case c.soa && c.good > 2*c.bad:
		return 95
	case c.directives > 0 && c.good > 0 && c.good > 4*c.bad:
		return 90
	case c.good > 0 && c.good > 8*c.bad && !c.unclear:
		return 60
	}
	return 0
}

// detectRecords is how many records telling the format takes.
const detectRecords = 400

// zoneCounter counts what is a record and what is not; it is a masterfile.Handler.
type zoneCounter struct {
	verify     masterfile.Verifier
	batch      []masterfile.Record
	directives int
	good, bad  int
	soa        bool
	unclear    bool // records that neither say their class nor lie in a domain
}

// Record implements masterfile.Handler.
func (c *zoneCounter) Record(r masterfile.Record) error {
	if len(c.batch) >= detectRecords {
		return io.EOF
	}
	c.soa = c.soa || r.Type == dns.TypeSOA
	c.unclear = c.unclear || dnsname.Labels(r.Owner) < 2
	c.batch = append(c.batch, r)
	return nil
}

// Directive implements masterfile.Handler.
func (c *zoneCounter) Directive(string, []byte) { c.directives++ }

// Problem implements masterfile.Handler.
func (c *zoneCounter) Problem(p masterfile.Problem) {
	if p.Reason != masterfile.ReasonInclude && p.Reason != masterfile.ReasonGenerate {
		c.bad++
	}
}
