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
	"net/netip"
	"time"

	"github.com/picket-dns/picket"
)

// Decode is the shape of every decoder in this package. It reads r to its end
// or until ctx is done, passes queries to sink in the order found, and tells
// acct what became of each record. An error from sink is returned as it is.
type Decode func(ctx context.Context, r io.Reader, opt Options, acct picket.Accounting, sink picket.QuerySink) error

// Options are what a decoder cannot know from the bytes. Zero values work.
type Options struct {
	// Sensor is written into Query.Sensor where the format has no identity of its own.
	Sensor string
	// Ports are the server ports that count as DNS in packet captures; nil means 53.
	Ports []uint16
	// Servers, when not empty, are the only addresses that count as authoritative
	// servers in packet captures; else whoever is addressed at a port in Ports.
	Servers []netip.Prefix
	// Location is the time zone of formats that write local time without one; nil means UTC.
	Location *time.Location
	// Now supplies the year for formats that lack it (RFC 3164), and marks clocks
	// that run ahead; nil means time.Now.
	Now func() time.Time
	// ResponseTimeout is how long, in event time, a query waits for its response
	// where the two are separate messages; 0 means 2 s.
	ResponseTimeout time.Duration
}
