// Package catalog knows which names exist, existed or were planted, and gives
// each query its name context (docs/context.md).
//
// What it knows comes from zone files (LoadZoneFile), lists of retired names
// (LoadNames), lists of canaries (LoadCanaries) and the recorded history of zones
// and passive DNS (Builder.AddPast). A Builder collects them;
// Catalog.Replace turns the Builder into one immutable snapshot and publishes it
// whole, so that readers never see half a reload. Where no zone file covers a
// name the catalog learns the zone from the server's own answers (Inferred).
//
// Start reading at Catalog.Lookup in lookup.go: it is the only function on the
// hot path. It takes no lock and allocates nothing. All names of all zones live
// in one table (table.go), keyed by the 64-bit hash of the name and verified
// against the name itself, so that one probe answers for a live name and two for
// a name that never existed one label below the apex.
package catalog
