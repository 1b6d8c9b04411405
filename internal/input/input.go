// Package input knows which telemetry formats there are (Formats), tells them
// apart by content and keeps account of what became of each record. The formats
// themselves live by kind in the folders below.
//
// The way of a stream: Reader takes compression off and looks at the first
// bytes, Detect names the format, the format's decoder reads records and hands
// them to a sink, and a Counter keeps account. Decode does all of it; Inspect
// does it to show what is in a file.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Auto asks for a format to be told by content.
const Auto = "auto"

// Errors of telling an input's format.
var (
	ErrEmpty   = errors.New("empty")
	ErrUnknown = errors.New("unknown format")
)

// Names returns the formats' names in their order, parted by commas.
func Names() string {
	var b strings.Builder
	for i, f := range Formats() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Name)
	}
	return b.String()
}

// ByName returns the format called name.
func ByName(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Detect returns the format that is surest of a file's first bytes.
func Detect(head []byte) (Format, bool) {
	var best Format
	sure := 0
	for _, f := range Formats() {
		if f.Detect == nil {
			continue // used where it is named
		}
		if n := f.Detect(head); n > sure {
			best, sure = f, n
		}
	}
	return best, sure > 0
}

// Open takes compression off r and tells its format, which is name unless that
// is Auto or "". An unknown or empty input, and an unknown name, are errors. Close
// ends the reader of an input that is live.
func Open(r io.Reader, name string) (Format, io.Reader, error) {
	f, rr, _, err := OpenLayers(r, name)
	return f, rr, err
}

// OpenLayers is Open, and says which compressions there were, as Reader does.
func OpenLayers(r io.Reader, name string) (f Format, rr io.Reader, how string, err error) {
	named, known := ByName(name)
	auto := name == "" || name == Auto
	want := headSize
	if !auto {
		if !known {
			return Format{}, nil, "", fmt.Errorf("format %q: %w; known: %s", name, ErrUnknown, Names())
		}
		want = 0
	}
	head, rr, how, err := open(r, want)
	if err != nil {
		return named, nil, "", err
	}
	if len(head) == 0 {
		err = emptyError(rr)
		Close(rr)
		return named, nil, "", err
	}
	if !auto {
		return named, rr, how, nil
	}
	if f, known = Detect(head); known {
		return f, rr, how, nil
	}
	Close(rr)
	if err := refuse(head); err != nil {
		return Format{}, nil, "", err
	}
	return Format{}, nil, "", fmt.Errorf("%w: none of the %d known ones; where content alone does not tell, name it", ErrUnknown, len(Formats()))
}

// emptyError tells an empty input from one that could not be read at all.
func emptyError(rr io.Reader) error {
	if _, err := rr.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return err
	}
	return ErrEmpty
}

// Decode reads r to its end and passes what is in it to sink. The format is name,
// or told by content with Auto. It returns the format as soon as it is known.
func Decode(ctx context.Context, r io.Reader, name string, opt decode.Options, acct picket.Accounting, sink picket.Sink) (Format, error) {
	f, rr, err := Open(r, name)
	if err != nil {
		return f, err
	}
	return f, f.Decode(ctx, rr, opt, acct, sink)
}

// DecodeQueries is Decode for inputs that must be of queries.
func DecodeQueries(ctx context.Context, r io.Reader, name string, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) (Format, error) {
	f, rr, err := Open(r, name)
	if err != nil {
		return f, err
	}
	if f.Kind != picket.KindQuery {
		return f, fmt.Errorf("format %s: holds telemetry of kind %s, not queries", f.Name, f.Kind)
	}
	return f, f.Decode(ctx, rr, opt, acct, Queries(sink))
}
