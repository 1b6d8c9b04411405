// Package pickettest holds what tests of several packages share: fixtures, and
// suites that every implementation of a role has to pass. Only tests import it.
package pickettest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Shared returns the path of an element of the shared sample tree: third-party
// samples, recorded captures and zones that are too large, or not ours, to be
// checked in. The tree is $PICKET_SHARED, or "shared" beside the repository.
//
// A missing element fails the test instead of skipping it: a test that quietly
// reads nothing proves nothing.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("PICKET_SHARED")
	if root == "" {
		_, file, _, ok := runtime.Caller(0)
		if !ok {
			t.Fatal("shared samples: cannot tell where the repository is; set PICKET_SHARED")
		}
		root = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("shared samples: %v (set PICKET_SHARED to the sample tree)", err)
	}
	return path
}
