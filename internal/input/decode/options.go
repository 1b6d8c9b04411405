package decode

import (
	"net/netip"
	"time"
)

// Options are what a decoder cannot know from the bytes. Zero values work.
type Options struct {
	// Sensor is written into Query.Sensor where the format has no identity of its own.
	Sensor string
	// Ports are the server ports that count as DNS in packet captures; nil means 53.
	Ports []uint16
	// Servers, when not empty, are the only addresses that count as authoritative
	// servers in packet captures; else whoever is addressed at a port in Ports.
	Servers []netip.Prefix
	// Client has dnstap's CLIENT_QUERY and CLIENT_RESPONSE count too: for front ends
	// of authoritative servers, such as dnsdist, which report what they see so.
	Client bool
	// Location is the time zone of formats that write local time without one; nil
	// means UTC, and that Note is told so.
	Location *time.Location
	// DateOrder says how a date such as 04/05/2026 is meant where a format leaves that
	// to the locale: mdy, dmy or ymd; "" when it is not known.
	DateOrder string
	// Name is the file's or object's name without folders, for formats that have
	// their zone in it; "" when there is none.
	Name string
	// Origin is the zone's apex with trailing dot for formats that do not say it.
	Origin string
	// Mapping says which fields mean what in formats that have no meaning of their own.
	Mapping *Mapping
	// Note, when set, is told what a reader should know of how an input was read, such
	// as that its times carry no zone. A decoder says each thing once.
	Note func(string)
	// Now supplies the year for formats that lack it (RFC 3164), and marks clocks
	// that run ahead; nil means time.Now.
	Now func() time.Time
	// ResponseTimeout is how long, in event time, a query waits for its response
	// where the two are separate messages; 0 means 2 s.
	ResponseTimeout time.Duration
}
