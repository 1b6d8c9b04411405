// Package record decodes what zones hold: zone files, DNS as code (octoDNS,
// DNSControl, Terraform) and what providers' tools export. Each record becomes a
// picket.Record with absolute names and its data in presentation form, whatever
// notation it came in, so that the same record from two sources is the same.
//
// Begin with emitter, which all decoders hand their records to, and one of the
// small formats, such as gcp.go. Nearly all are documents: read whole, within
// maxDocument.
package record

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons for rejecting and skipping records.
const (
	reasonData      = "bad record data"
	reasonNoType    = "record without type"
	reasonNoName    = "record without name"
	reasonNoData    = "record without data"
	reasonRelative  = "relative name without zone"
	reasonNotRecord = "not a record"
	reasonNameExpr  = "name is an expression"
	reasonOutside   = "name outside the zone"
	reasonYAML      = "broken YAML"
	reasonLarge     = "YAML entry too large"
	reasonDeep      = "YAML nested too deep"

	skipDirective  = "directive"
	skipNoDNS      = "resource that is no DNS record"
	skipDataSource = "data source"
	skipIgnored    = "ignored by its own configuration"
	skipControl    = "instruction to the tool, not a record"
	skipUnknown    = "value known only after apply"
	skipZone       = "zone without records"
)

// Notes on where a zone's name is from.
const (
	noteNoZone   = "the zone is not said in the file; name it with the origin setting"
	noteFileName = "the zone is taken from the file's name: "
)

// item is one record as a source says it.
type item struct {
	zone    string // apex; "" when the source does not say
	name    string // owner
	within  bool   // name is relative to zone, whatever its dots; "" and "@" are the apex
	typ     string
	class   string // "" is IN
	ttl     int64
	data    string // presentation form
	origin  string // of relative names in data; "" is the root: they are all absolute
	change  picket.Change
	time    time.Time
	source  string
	comment string
}

// emitter turns items into records and keeps account of them.
type emitter struct {
	ctx   context.Context
	opt   decode.Options
	acct  picket.Accounting
	sink  picket.RecordSink
	notes map[string]bool
	n     uint
}

func newEmitter(ctx context.Context, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) *emitter {
	return &emitter{ctx: ctx, opt: opt, acct: acct, sink: sink, notes: map[string]bool{}}
}

// note tells the reader something once.
func (e *emitter) note(text string) {
	if e.opt.Note != nil && !e.notes[text] {
		e.notes[text] = true
		e.opt.Note(text)
	}
}

// NoteOnePage is what a reader is told of an answer that is one page of several:
// what is not in it may be in the others.
const NoteOnePage = "the answer is one page of several; give all pages as one document, or what is gone is not seen"

// page notes that more pages follow an input's only document; more is what it says
// of them: a token, an address, that it is truncated.
func (e *emitter) page(docs int, more value) {
	if s := more.scalar(); docs == 1 && s != "" && s != "null" && s != "false" {
		e.note(NoteOnePage)
	}
}

// put hands an item over, or rejects it. An error is the sink's or the context's.
func (e *emitter) put(it item, at picket.Position) error {
	r, reason := it.record()
	if reason != "" {
		e.acct.Reject(reason, at)
		return nil
	}
	return e.emit(r)
}

// emit hands a record over.
func (e *emitter) emit(r *picket.Record) error {
	if e.n++; e.n&255 == 0 {
		if err := e.ctx.Err(); err != nil {
			return err
		}
	}
	r.Sensor = e.opt.Sensor
	var ns int64
	if !r.Time.IsZero() {
		ns = r.Time.UnixNano()
	}
	e.acct.Accept(ns)
	return e.sink.Record(r)
}

// record brings an item into the one form.
func (it *item) record() (r *picket.Record, reason string) {
	typ := strings.ToUpper(strings.TrimSpace(it.typ))
	if typ == "" {
		return nil, reasonNoType
	}
	if len(typ) > maxWord || strings.ContainsFunc(typ, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return nil, decode.ReasonType
	}
	zone := ""
	if it.zone != "" {
		var ok bool
		if zone, ok = fqdn(it.zone); !ok {
			return nil, decode.ReasonBadName
		}
	}
	name, reason := it.owner(zone)
	if reason != "" {
		return nil, reason
	}
	data, ok := canonicalData(typ, it.data, it.origin)
	if !ok {
		return nil, reasonData
	}
	class := it.class
	if class == "" {
		class = "IN"
	}
	return &picket.Record{Time: it.time, Zone: zone, Name: name, Type: typ, Class: class, TTL: max(it.ttl, 0), Data: data,
		Change: it.change, Source: printable(it.source), Comment: printable(it.comment)}, ""
}

// maxWord bounds a type's name.
const maxWord = 64

// owner is the record's absolute name.
func (it *item) owner(zone string) (name, reason string) {
	text := it.name
	if it.within {
		if zone == "" {
			return "", reasonRelative
		}
		if text == "" || text == "@" {
			return zone, ""
		}
		if zone != "." {
			text = strings.TrimSuffix(text, ".") + "." + zone
		}
	}
	if text == "" {
		return "", reasonNoName
	}
	name, ok := fqdn(text)
	if !ok {
		return "", decode.ReasonBadName
	}
	return name, ""
}

// fqdn returns the canonical presentation form of a name that is absolute, with or
// without its trailing dot; names in Unicode become A-labels (RFC 5891).
func fqdn(text string) (string, bool) {
	text = toASCII(text)
	wire, err := dnsname.Parse(text)
	if err != nil {
		return "", false
	}
	return dnsname.String(wire), true
}

// printable escapes what must not reach a terminal or a log as it is.
func printable(s string) string {
	clean := func(c rune) bool { return c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) || c == '\ufffd' }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if clean(c) {
			fmt.Fprintf(&b, "\\u%04x", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// zoneOf is the zone that the options name, by origin or by the file's name.
func zoneOf(opt decode.Options, extensions ...string) string {
	if opt.Origin != "" {
		return opt.Origin
	}
	base := opt.Name
	for _, ext := range []string{".gz", ".zst", ".xz"} {
		base = strings.TrimSuffix(base, ext)
	}
	found := false
	for _, ext := range extensions {
		if cut, ok := strings.CutSuffix(base, ext); ok {
			base, found = strings.TrimSuffix(cut, "."), true
			break
		}
	}
	if !found || !strings.Contains(base, ".") || strings.ContainsAny(base, " \\$@*") {
		return ""
	}
	if name, ok := fqdn(base); ok {
		return name
	}
	return ""
}

// detectHead is a file's head without byte order mark and leading white space.
func detectHead(head []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
}
