// Package transfer keeps up with zones by zone transfer, as a secondary name
// server does: it asks a primary for what has changed since a serial (IXFR, RFC
// 1995), or for the whole zone (AXFR, RFC 5936), listens to the primary's NOTIFY
// (RFC 1996), and tells how far other servers are behind. Messages are signed with
// TSIG (RFC 8945); transfers go over TLS where the server offers it (RFC 9103).
//
// A Client asks one primary. A Listener takes NOTIFY. Lag compares serials. None of
// them keeps anything: what to ask for, and what becomes of the answer, is the
// caller's.
package transfer
