//go:build !unix

package duckdb

import "os"

// flock leaves locking to DuckDB, which opens its file exclusively here.
func flock(*os.File, bool) (bool, error) { return true, nil }

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
