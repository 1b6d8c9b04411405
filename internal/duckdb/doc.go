// Package duckdb is Picket's embedded store: findings, the query history and
// the ledger, in one DuckDB file plus sealed Parquet segments. It is the only
// package that imports DuckDB; everybody else sees the roles declared in the
// root package (picket.FindingQuerier, picket.FindingAppender,
// picket.QueryAppender).
//
// A data directory holds
//
//	picket.duckdb      the database
//	picket.lock        held by the process that has the store open
//	tmp/               spill files of large sorts, emptied by DuckDB
//	segments/          sealed hours of query history, one or more files each
//
// One goroutine owns all writes (writer.go). Calls that write hand it an
// operation and return when the transaction that carried the operation has been
// committed, which is when DuckDB has synced its write-ahead log; operations
// that wait at the same time share a transaction. Readers use a pool of
// connections of their own and see committed state only.
//
// Query events are appended to the table queries_recent. Seal moves each full
// hour into a Parquet file whose SHA-256 is chained into the ledger (seal.go
// says how it survives a crash at any step), Retain removes whole segments, and
// VerifyLedger recomputes the chain and the files.
//
// docs/format/store.md and docs/format/segments.md describe what is on disk.
package duckdb
