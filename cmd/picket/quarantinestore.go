package main

import (
	"context"
	"fmt"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// Bounds of one answer about the quarantine.
const (
	quarantinePageMost  = 1000    // records
	quarantinePageBytes = 4 << 20 // of records
)

// inputAccount is what is known of one input, of a running daemon or in a store.
type inputAccount struct {
	Name       string                `json:"name"`
	Configured bool                  `json:"configured"` // false: of an earlier configuration
	Received   int64                 `json:"received"`
	Counts     picket.InputCounts    `json:"counts"`
	Positions  int                   `json:"positions"` // streams that are read on from where they were left
	Quarantine duckdb.QuarantineSize `json:"quarantine"`
	Error      string                `json:"error,omitempty"`
	Notes      []string              `json:"notes,omitempty"`
}

// quarantinePage is a part of the quarantine.
type quarantinePage struct {
	Records []picket.QuarantinedRecord `json:"records"`
	Total   int64                      `json:"total"` // of the input, or of all
	More    bool                       `json:"more"`  // after the last of Records
}

// inputReader reads accounts and quarantine, of a store or of whoever holds it.
type inputReader interface {
	accounts(ctx context.Context) ([]inputAccount, error)
	page(ctx context.Context, input string, after int64, limit int) (quarantinePage, error)
	record(ctx context.Context, id int64) (picket.QuarantinedRecord, error)
}

// storedInputs is the inputReader of a store.
type storedInputs struct{ s *duckdb.Store }

func (r storedInputs) accounts(ctx context.Context) ([]inputAccount, error) {
	states, err := r.s.Inputs(ctx)
	if err != nil {
		return nil, err
	}
	sizes, err := r.s.QuarantineSizes(ctx)
	if err != nil {
		return nil, err
	}
	list := []inputAccount{}
	for _, st := range states {
		list = append(list, inputAccount{Name: st.Name, Received: st.Counts.Received(), Counts: st.Counts, Positions: len(st.Positions), Quarantine: sizes[st.Name]})
	}
	return list, nil
}

func (r storedInputs) page(ctx context.Context, input string, after int64, limit int) (quarantinePage, error) {
	p := quarantinePage{Records: []picket.QuarantinedRecord{}}
	const atOnce = 50 // each may have 64 KiB
	limit = min(limit, quarantinePageMost)
	for size := 0; len(p.Records) < limit && size < quarantinePageBytes; {
		list, err := r.s.Quarantined(ctx, input, after, min(atOnce, limit-len(p.Records)))
		if err != nil {
			return p, err
		}
		if len(list) == 0 {
			break
		}
		for _, q := range list {
			size += len(q.Record)
		}
		p.Records, after = append(p.Records, list...), list[len(list)-1].ID
	}
	sizes, err := r.s.QuarantineSizes(ctx)
	for name, z := range sizes {
		if input == "" || input == name {
			p.Total += z.Records
			p.More = p.More || after < z.Last
		}
	}
	return p, err
}

func (r storedInputs) record(ctx context.Context, id int64) (picket.QuarantinedRecord, error) {
	list, err := r.s.QuarantinedByID(ctx, []int64{id})
	if err != nil {
		return picket.QuarantinedRecord{}, err
	}
	if len(list) == 0 {
		return picket.QuarantinedRecord{}, notKept(id)
	}
	return list[0], nil
}

func notKept(id int64) error { return fmt.Errorf("quarantined record %d: %w", id, picket.ErrNotFound) }
