package picket

import (
	"context"
	"net/netip"
	"time"
)

// Answer is a record of a response's answer section, as inputs that write text
// tell it. Its slices are borrowed.
type Answer struct {
	Name []byte // owner, canonical wire form; nil for the QNAME
	Type uint16
	TTL  uint32 // seconds
	Data []byte // RDATA in presentation form
}

// SightingFilter selects sightings. Zero fields select everything.
type SightingFilter struct {
	Name  string // owner with trailing dot, lower case, or the apex below which (Below)
	Below bool   // Name itself and everything below it: a left-hand wildcard *.NAME
	Type  string // mnemonic; "" or ANY for all
	Data  string // RDATA in presentation form; for types that hold a name, with trailing dot
	// DataBelow selects RDATA that is a name at or below Data.
	DataBelow bool
	Net       netip.Prefix // RDATA that is an address in it
	Bailiwick string
	Channel   string // SightingPassiveDNS or SightingCertificate
	// Time fences: of the first and the last time that it was seen.
	FirstAfter, FirstBefore, LastAfter, LastBefore time.Time
	Limit                                          int // 0 means 1000
	Offset                                         int
}

// SightingQuerier reads the organisation's own passive DNS. What several sensors
// or databases have seen of one name, type and RDATA is one sighting: the earliest
// first, the latest last, counts added.
type SightingQuerier interface {
	// Sightings returns the selected sightings, the latest LastSeen first.
	Sightings(ctx context.Context, f SightingFilter) ([]Sighting, error)
	// CountSightings returns how many are selected, without Limit and Offset, and the sum of their counts.
	CountSightings(ctx context.Context, f SightingFilter) (rows, count int64, err error)
}
