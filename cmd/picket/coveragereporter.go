package main

import (
	"context"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/coverage"
	"github.com/picket-dns/picket/internal/detect"
)

// newReporter makes reports on coverage of what the daemon holds.
func newReporter(o *overseer, store picket.CoverageStore) picket.CoverageReporter {
	know := o.d.know
	return coverage.New(coverage.Options{
		Store: store, Setup: o.setup, Detectors: detectorNeeds(), Inputs: o.inputs, Lags: o.lags,
		Retired: func() (n int) {
			for _, z := range know.catalog.Zones() {
				n += z.Retired
			}
			return n
		},
		ZoneKnown: func(zone string) bool {
			for _, z := range know.catalog.Zones() {
				if z.Name == zone {
					return !z.Inferred
				}
			}
			return false
		},
	})
}

// detectorNeeds say what each detector needs to see. All that judge sources need
// the client's address, too.
func detectorNeeds() []coverage.Needs {
	var list []coverage.Needs
	specs := map[string]bool{}
	for _, s := range detect.Specs() {
		specs[s.Name] = true
		list = append(list, coverage.Needs{Name: s.Name, Levels: s.Levels, Fields: []string{"client"}})
	}
	for _, n := range detect.Names() {
		if !specs[n] { // those that judge a zone, by names that do not exist
			list = append(list, coverage.Needs{Name: n, Levels: "QR"})
		}
	}
	return list
}

// storedReporter reports from a store that no daemon has open: on what was set up
// when one last ran, or else on what the configuration says.
func storedReporter(ctx context.Context, cfg config, store picket.CoverageStore) picket.CoverageReporter {
	setup := setupOf(&cfg)
	now := time.Now()
	if list, err := store.Setups(ctx, now, now.Add(time.Second)); err == nil && len(list) > 0 {
		setup = list[len(list)-1]
	}
	return coverage.New(coverage.Options{Store: store, Setup: func() picket.Setup { return setup }, Detectors: detectorNeeds()})
}
