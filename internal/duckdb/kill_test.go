package duckdb

import (
	"context"
	"fmt"
	"os"
)

const (
	childEnv = "PICKET_DUCKDB_TEST_CHILD"
	childDir = "PICKET_DUCKDB_TEST_DIR"
)

// child is the test binary started again by a test.
func child() int {
	s, err := Open(context.Background(), Options{Dir: os.Getenv(childDir)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	return 0
}
