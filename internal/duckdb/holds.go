package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Kinds of what retention is about. Those that are kinds of telemetry carry
// their names (picket.Kind); the others are what Picket makes of telemetry.
const (
	KeptQueries     = string(picket.KindQuery)
	KeptAdminEvents = string(picket.KindAdminEvent)
	KeptAssets      = string(picket.KindAsset)
	KeptSignals     = string(picket.KindSignal)
	KeptSightings   = string(picket.KindSighting)
	KeptChanges     = "change" // changes of zones and lives of records that have ended
	KeptFindings    = "finding"
	KeptQuarantine  = "quarantine"
	KeptMarks       = "mark"
	KeptActivity    = "activity" // sealed queries counted by the minute
	KeptIntake      = "intake"   // what became of records, by the minute
	// KeptAll, in a hold, is every kind.
	KeptAll = "all"
)

// KeptKinds lists the kinds, in the order in which they are shown.
func KeptKinds() []string {
	return []string{KeptQueries, KeptAdminEvents, KeptAssets, KeptSignals, KeptSightings, KeptChanges, KeptFindings, KeptQuarantine, KeptMarks, KeptActivity, KeptIntake}
}

// Hold is a legal hold.
type Hold = picket.Hold

// holdReleasedPayload is the ledger's record of a release.
type holdReleasedPayload struct {
	ID     int64  `json:"id"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// PlaceHold places a hold and writes it, with who and why, into the ledger. It
// returns the hold with its number. Segments that are there and those still to be
// sealed are held alike.
func (s *Store) PlaceHold(ctx context.Context, h Hold) (_ Hold, err error) {
	defer s.observe("place-hold", time.Now(), &err)
	switch {
	case h.Kind != KeptAll && !slices.Contains(KeptKinds(), h.Kind):
		return h, fmt.Errorf("place hold: no kind %q, want all or one of %s: %w", h.Kind, strings.Join(KeptKinds(), ", "), picket.ErrBadValue)
	case !h.Since.Before(h.Until):
		return h, fmt.Errorf("place hold: its end is not after its beginning: %w", picket.ErrBadValue)
	case h.Reason == "" || h.By == "":
		return h, fmt.Errorf("place hold: a reason, and who places it, are needed: %w", picket.ErrBadValue)
	}
	h.Since, h.Until = utc(nanos(h.Since)), utc(nanos(h.Until))
	h.Reason, h.By = text(h.Reason), text(h.By)
	h.Released, h.ReleasedBy, h.ReleaseReason = "", "", ""
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		if err := c.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM holds`).Scan(&h.ID); err != nil {
			return err
		}
		h.Placed = ""
		e, err := s.chain(ctx, c, LedgerHoldPlaced, h) // the entry has the time
		if err != nil {
			return err
		}
		h.Placed = e.Time
		_, err = c.ExecContext(ctx, `INSERT INTO holds VALUES (?, ?, make_timestamp_ns(?), make_timestamp_ns(?), ?, ?, ?, '', '', '')`,
			h.ID, h.Kind, nanos(h.Since), nanos(h.Until), h.Reason, h.Placed, h.By)
		return err
	})
	if err != nil {
		return h, fmt.Errorf("place hold: %w", err)
	}
	return h, nil
}

// ReleaseHold releases a hold and writes that, with who and why, into the ledger.
// picket.ErrNotFound when there is none of the number that holds.
func (s *Store) ReleaseHold(ctx context.Context, id int64, by, reason string) (err error) {
	defer s.observe("release-hold", time.Now(), &err)
	if by == "" || reason == "" {
		return fmt.Errorf("release hold %d: a reason, and who releases it, are needed: %w", id, picket.ErrBadValue)
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) error {
		e, err := s.chain(ctx, c, LedgerHoldReleased, holdReleasedPayload{ID: id, By: text(by), Reason: text(reason)})
		if err != nil {
			return err
		}
		res, err := c.ExecContext(ctx, `UPDATE holds SET released = ?, released_by = ?, release_reason = ? WHERE id = ? AND released = ''`,
			e.Time, text(by), text(reason), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(picket.ErrNotFound, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("release hold %d: %w", id, err)
	}
	return nil
}

// Holds returns every hold there ever was, in order.
func (s *Store) Holds(ctx context.Context) (list []Hold, err error) {
	defer s.observe("holds", time.Now(), &err)
	if list, err = selectHolds(ctx, s.db); err != nil {
		return nil, fmt.Errorf("holds: %w", s.closed(err))
	}
	return list, nil
}

func selectHolds(ctx context.Context, q querier) ([]Hold, error) {
	list := []Hold{}
	err := each(ctx, q, `SELECT id, kind, epoch_ns(since), epoch_ns(until), reason, placed, placed_by, released, released_by, release_reason
		FROM holds ORDER BY id`, nil, func(r *sql.Rows) error {
		var h Hold
		var since, until int64
		err := r.Scan(&h.ID, &h.Kind, &since, &until, &h.Reason, &h.Placed, &h.By, &h.Released, &h.ReleasedBy, &h.ReleaseReason)
		h.Since, h.Until = utc(since), utc(until)
		list = append(list, h)
		return err
	})
	return list, err
}

// holdOn returns the first hold on a segment, nil when there is none.
func holdOn(holds []Hold, g *Segment) *Hold {
	for i := range holds {
		if holds[i].Covers(g.kind(), g.MinTime, g.MaxTime) {
			return &holds[i]
		}
	}
	return nil
}

// isHeld is true of the rows that a hold is on, by the SQL of a row's times.
func isHeld(kind, first, last string) string {
	return `EXISTS (SELECT 1 FROM holds WHERE released = '' AND holds.kind IN (` + quote(kind) + `, ` + quote(KeptAll) + `)
		AND ` + first + ` < holds.until AND ` + last + ` >= holds.since)`
}

// heldFilter is isHeld where a hold may be on the kind at all, so that no row is looked
// at for nothing.
func heldFilter(holds []Hold, kind, first, last string) string {
	if slices.ContainsFunc(holds, func(h Hold) bool { return h.Released == "" && (h.Kind == kind || h.Kind == KeptAll) }) {
		return isHeld(kind, first, last)
	}
	return "false"
}

// notHeld selects the others.
func notHeld(kind, first, last string) string { return ` AND NOT ` + isHeld(kind, first, last) }
