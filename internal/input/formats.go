package input

import (
	"context"
	"io"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Format describes one telemetry format.
type Format struct {
	Name  string // kebab-case, as given to --format
	Title string // one line for people
	Kind  picket.Kind
	// Levels of telemetry that a query format carries, see docs/detectors: Q query
	// log, R response codes, D packet detail (flags, EDNS, denials).
	Levels string
	Shape  Shape
	// Syslog says that the decoder reads the header that syslog puts before a line,
	// for its time; where it does not, the header is taken off.
	Syslog bool
	// Prefixed says that messages of it may be put together to one stream, with the
	// length of each as 16 bits before it.
	Prefixed bool
	// Mapped are the fields that a mapping may name, in formats without a meaning of
	// their own. Unmapped ones of them can do without.
	Mapped   []string
	Unmapped bool
	// Detect looks at the first bytes (up to 64 KiB, fewer for a short file) and
	// returns how sure it is, 0 (no) to 100 (a magic number). nil when content
	// alone does not tell: the format is used where it is named.
	Detect func(head []byte) int
	Decode Decoder
}

// Decoder is what every format has: it reads r to its end or until ctx is done,
// hands telemetry of its one kind to sink in the order found, and tells acct what
// became of each record. It never stops at a bad record, and returns an error
// only when the rest of the stream cannot be read, or that of sink as it is.
type Decoder func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.Sink) error

// Shape says how a format's bytes may be cut and put together.
type Shape uint8

const (
	// ShapeLines: each line or JSON object is a record of its own. A stream may be
	// cut at any line's end and begun there.
	ShapeLines Shape = iota
	// ShapeText: lines that hang on earlier ones, by a header or in pairs. Lines may
	// come one by one, but a file is read from its beginning.
	ShapeText
	// ShapeBinary: a stream of bytes with a beginning; each piece stands alone.
	ShapeBinary
	// ShapeDocument: a whole file is one thing, and what is new is a new file.
	ShapeDocument
)

// Formats returns all formats; on equal certainty an earlier one wins. A new
// format is one line in the list of its kind.
func Formats() []Format {
	return slices.Concat(queryFormats(), recordFormats(), sightingFormats(), adminFormats(), assetFormats(), signalFormats())
}

// of makes a Decoder of a decoder for one kind's sink S.
func of[S any](f func(context.Context, io.Reader, decode.Options, picket.Accounting, S) error) Decoder {
	return func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.Sink) error {
		return f(ctx, r, opt, acct, any(sink).(S))
	}
}

// Queries makes a sink for every kind of one for queries; the rest is dropped.
func Queries(s picket.QuerySink) picket.Sink { return queriesOnly{s} }

type queriesOnly struct{ picket.QuerySink }

func (queriesOnly) Record(*picket.Record) error         { return nil }
func (queriesOnly) Sighting(*picket.Sighting) error     { return nil }
func (queriesOnly) AdminEvent(*picket.AdminEvent) error { return nil }
func (queriesOnly) Asset(*picket.Asset) error           { return nil }
func (queriesOnly) Signal(*picket.Signal) error         { return nil }
