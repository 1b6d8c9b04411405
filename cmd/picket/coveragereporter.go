package main

import (
	"context"
	"time"

	"github.com/picket-dns/picket"
)

// newReporter makes reports on coverage; nil when it cannot.
func newReporter(picket.CoverageStore, func() picket.Setup, func() []picket.SourceStatus, func() []picket.ServerLag) picket.CoverageReporter {
	return nil
}

// storedReporter reports from a store that no daemon has open: on what was set up
// when one last ran, or else on what the configuration says.
func storedReporter(ctx context.Context, cfg config, store picket.CoverageStore) picket.CoverageReporter {
	setup := setupOf(&cfg)
	now := time.Now()
	if list, err := store.Setups(ctx, now, now); err == nil && len(list) > 0 {
		setup = list[len(list)-1]
	}
	return newReporter(store, func() picket.Setup { return setup },
		func() []picket.SourceStatus { return nil }, func() []picket.ServerLag { return nil })
}
