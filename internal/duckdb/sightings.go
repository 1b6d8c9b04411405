package duckdb

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/picket-dns/picket"
)

// AppendSightings implements picket.IntakeKeeper.
func (s *Store) AppendSightings(ctx context.Context, at picket.Origin, rows []picket.Sighting) error {
	events := make([]picket.EventRow, len(rows))
	for i := range rows {
		b, err := json.Marshal(&rows[i])
		if err != nil {
			return fmt.Errorf("encode sighting: %w", err)
		}
		events[i] = picket.EventRow{Kind: picket.KindSighting, Name: rows[i].Name, Data: b}
		if t := rows[i].LastSeen; !t.IsZero() {
			events[i].Time = t.UnixNano()
		}
	}
	return s.AppendEvents(ctx, at, events)
}
