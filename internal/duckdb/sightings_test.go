package duckdb

import (
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

func TestConformanceSightings(t *testing.T) {
	pickettest.Sightings(t, func(t *testing.T) *Store { return openTest(t, t.TempDir()) })
}
