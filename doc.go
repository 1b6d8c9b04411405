// Package picket is the vocabulary of Picket: the things that enter it (Query,
// and later Record, Sighting and others), what it knows of a name (NameContext,
// Zone) and what leaves it (Finding).
//
// The package does no I/O and knows no database, no wire format and no clock:
// all times are event times carried by the values. Packages below internal/
// speak to each other in these types and through the small roles declared where
// they are consumed.
//
// Terms follow RFC 9499 (DNS terminology): an authoritative server answers for a
// zone, QNAME and QTYPE are what was asked, NXDOMAIN is not NODATA, a primary
// serves secondaries.
package picket
