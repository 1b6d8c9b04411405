// Package query decodes query telemetry: one file per format, each a function
// of the type Decode that turns a stream of bytes into picket.Query values.
//
// A decoder knows its format and nothing of where the bytes come from. It never
// stops at a bad record: it tells Accounting the reason and the place and goes
// on. It returns an error only when the rest of the stream cannot be read.
package query

import (
	"context"
	"io"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Decode is the shape of every decoder in this package. It reads r to its end
// or until ctx is done, passes queries to sink in the order found, and tells
// acct what became of each record. An error from sink is returned as it is.
type Decode func(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.QuerySink) error
