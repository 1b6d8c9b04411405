// Package passivedns makes the organisation's own passive DNS out of the answers
// that its authoritative servers give: what has been seen of each owner name, type
// and RDATA, since when, until when and how often, by which sensor.
//
// A Tally is told of every query of one stream (Observe) and gathers the records of
// answers that count. Drain hands out what has been gathered since the last Drain, as
// picket.Sighting values to be added to a store when the stream is committed. All
// tallies share the bounds of their Collector. Nothing here reads or writes anything
// else.
//
// An answer counts when it is authoritative (AA), without error, of class IN and no
// zone transfer. Signatures and denials of existence (RRSIG, NSEC, NSEC3) and what is
// no data of a zone (OPT, TSIG) are left out.
package passivedns
