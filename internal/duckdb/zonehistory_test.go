package duckdb

import (
	"testing"

	"github.com/picket-dns/picket/internal/pickettest"
)

func TestConformanceZoneHistory(t *testing.T) {
	pickettest.ZoneHistory(t,
		func(t *testing.T) *Store { return openTest(t, t.TempDir()) },
		func(t *testing.T, s *Store) *Store {
			dir := s.dir
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openTest(t, dir)
		})
}
