// Package input knows which telemetry formats there are (Formats), tells them
// apart by content and keeps account of what became of each record. The formats
// themselves live by kind in the folders below.
package input

import (
	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/query"
)

// Format describes one telemetry format.
type Format struct {
	Name  string // kebab-case, as given to --format
	Title string // one line for people
	Kind  picket.Kind
	// Levels of telemetry that the format carries, see docs/detectors: Q query
	// log, R response codes, D packet detail (flags, EDNS, denials).
	Levels string
	// Detect looks at the first bytes (up to 64 KiB, fewer for a short file) and
	// returns how sure it is, 0 (no) to 100 (a magic number).
	Detect func(head []byte) int
	// Queries decodes the format; set for KindQuery.
	Queries query.Decode
}
