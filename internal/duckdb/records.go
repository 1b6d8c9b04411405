package duckdb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/picket-dns/picket"
)

// AppendRecords implements picket.IntakeKeeper.
func (s *Store) AppendRecords(ctx context.Context, at picket.Origin, rows []picket.Record) error {
	events := make([]picket.EventRow, len(rows))
	for i := range rows {
		b, err := json.Marshal(&rows[i])
		if err != nil {
			return fmt.Errorf("encode record: %w", err)
		}
		events[i] = picket.EventRow{Kind: picket.KindRecord, Name: rows[i].Name, Data: b}
		if t := rows[i].Time; !t.IsZero() {
			events[i].Time = t.UnixNano()
		}
	}
	return s.AppendEvents(ctx, at, events)
}
