package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// LedgerReport says what VerifyLedger has verified. Who writes down Head
// elsewhere can later tell that the ledger was not cut short or rewritten whole,
// which the chain alone cannot show.
type LedgerReport struct {
	Entries  int64  // entries whose hashes hold, in order from the first
	Head     string // hash of the last of them; 64 zeros when there is none
	Segments int    // live segments whose files hold
	Bytes    int64  // their size
}

// LedgerError names the first ledger entry that does not hold.
type LedgerError struct {
	Seq     int64 // 0 when no entry is to blame but one is missing
	Kind    string
	Problem string
}

// Error says which entry is broken and how.
func (e *LedgerError) Error() string {
	if e.Seq == 0 {
		return "ledger is broken: " + e.Problem
	}
	return fmt.Sprintf("ledger is broken at entry %d (%s): %s", e.Seq, e.Kind, e.Problem)
}

// VerifyLedger recomputes the chain from its first entry, then the hash of every
// segment that the chain says is there, and compares both with the table of
// segments. The error is a *LedgerError for the first entry that does not hold,
// or says why verification could not be done.
func (s *Store) VerifyLedger(ctx context.Context) (r LedgerReport, err error) {
	defer s.observe("verify-ledger", time.Now(), &err)
	s.files.RLock() // no file may be unlinked between reading the ledger and the file
	defer s.files.RUnlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return r, fmt.Errorf("verify ledger: %w", s.closed(err))
	}
	defer tx.Rollback()

	r.Head = genesis
	live, err := walkChain(ctx, tx, &r)
	if err != nil {
		return r, fmt.Errorf("verify ledger: %w", err)
	}
	table, err := selectSegments(ctx, tx, ` WHERE NOT removed`)
	if err != nil {
		return r, fmt.Errorf("verify ledger: %w", err)
	}
	holds, err := selectHolds(ctx, tx)
	if err == nil {
		err = live.checkHolds(holds)
	}
	if err != nil {
		return r, fmt.Errorf("verify ledger: %w", err)
	}
	if err := s.checkSegments(ctx, live, table, &r); err != nil {
		return r, fmt.Errorf("verify ledger: %w", err)
	}
	return r, nil
}

// sealedEntry is a segment as the ledger tells of it.
type sealedEntry struct {
	seq  int64
	hold bool
	Segment
}

// chained is what the chain adds up to: live segments by path, in order of seq.
type chained struct {
	order []*sealedEntry
	live  map[string]*sealedEntry
	holds []Hold // as placed; Released is set in those that were released
}

func walkChain(ctx context.Context, tx *sql.Tx, r *LedgerReport) (*chained, error) {
	rows, err := tx.QueryContext(ctx, ledgerColumns+` ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := &chained{live: map[string]*sealedEntry{}}
	for rows.Next() {
		e, err := scanLedger(rows)
		if err != nil {
			return nil, err
		}
		broken := func(format string, a ...any) error {
			return &LedgerError{Seq: e.Seq, Kind: e.Kind, Problem: fmt.Sprintf(format, a...)}
		}
		if want := r.Entries + 1; e.Seq != want {
			return nil, broken("entry %d should follow here", want)
		}
		if e.PrevHash != r.Head {
			return nil, broken("its previous hash is %s, entry %d has %s", e.PrevHash, r.Entries, r.Head)
		}
		if !json.Valid(e.Payload) {
			return nil, broken("its payload is no JSON")
		}
		sum, err := e.computeHash()
		if err != nil {
			return nil, broken("%v", err)
		}
		if sum != e.Hash {
			return nil, broken("its hash is %s, its contents give %s", e.Hash, sum)
		}
		if err := c.apply(e); err != nil {
			return nil, broken("%v", err)
		}
		r.Entries, r.Head = e.Seq, e.Hash
	}
	return c, rows.Err()
}

// apply replays one entry.
func (c *chained) apply(e LedgerEntry) error {
	switch e.Kind {
	case LedgerSealed:
		g := &sealedEntry{seq: e.Seq}
		if err := json.Unmarshal(e.Payload, &g.Segment); err != nil {
			return err
		}
		c.order, c.live[g.Path] = append(c.order, g), g
	case LedgerRemoved, LedgerHeld, LedgerReleased:
		var p holdPayload // all three have a path
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return err
		}
		g := c.live[p.Path]
		if g == nil {
			return fmt.Errorf("there is no segment %q at this point", p.Path)
		}
		if e.Kind != LedgerRemoved {
			g.hold = e.Kind == LedgerHeld
			return nil
		}
		if h := holdOn(c.holds, &g.Segment); g.hold || h != nil {
			return fmt.Errorf("segment %q was removed while under legal hold", p.Path)
		}
		delete(c.live, p.Path)
	case LedgerHoldPlaced:
		var h Hold
		if err := json.Unmarshal(e.Payload, &h); err != nil {
			return err
		}
		if want := int64(len(c.holds)) + 1; h.ID != want {
			return fmt.Errorf("hold %d should follow here, not %d", want, h.ID)
		}
		h.Placed = e.Time
		c.holds = append(c.holds, h)
	case LedgerHoldReleased:
		var p holdReleasedPayload
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return err
		}
		if p.ID < 1 || p.ID > int64(len(c.holds)) || c.holds[p.ID-1].Released != "" {
			return fmt.Errorf("there is no hold %d to be released at this point", p.ID)
		}
		h := &c.holds[p.ID-1]
		h.Released, h.ReleasedBy, h.ReleaseReason = e.Time, p.By, p.Reason
	}
	return nil
}

// checkHolds compares the holds of the chain with the table.
func (c *chained) checkHolds(table []Hold) error {
	for i, want := range c.holds {
		if i >= len(table) || table[i] != want {
			return &LedgerError{Problem: fmt.Sprintf("legal hold %d was changed beside the ledger", want.ID)}
		}
	}
	if len(table) > len(c.holds) {
		return &LedgerError{Problem: fmt.Sprintf("legal hold %d has no ledger entry", table[len(c.holds)].ID)}
	}
	return nil
}

// checkSegments compares the segments of the chain with the table and the files.
func (s *Store) checkSegments(ctx context.Context, c *chained, table []Segment, r *LedgerReport) error {
	rows := make(map[string]Segment, len(table))
	for _, g := range table {
		rows[g.Path] = g
	}
	for _, want := range c.order {
		if c.live[want.Path] != want {
			continue // removed since
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if problem := s.checkSegment(want, rows); problem != "" {
			return &LedgerError{Seq: want.seq, Kind: LedgerSealed, Problem: problem}
		}
		delete(rows, want.Path)
		r.Segments++
		r.Bytes += want.Bytes
	}
	for _, g := range table {
		if _, left := rows[g.Path]; left {
			return &LedgerError{Problem: fmt.Sprintf("segment %q is in use without a ledger entry", g.Path)}
		}
	}
	return nil
}

func (s *Store) checkSegment(want *sealedEntry, rows map[string]Segment) string {
	got, ok := rows[want.Path]
	switch {
	case !ok:
		return fmt.Sprintf("segment %q is missing from the table of segments", want.Path)
	case got.kind() != want.kind() || got.SHA256 != want.SHA256 || got.Rows != want.Rows || !got.Hour.Equal(want.Hour) ||
		!got.MinTime.Equal(want.MinTime) || !got.MaxTime.Equal(want.MaxTime):
		return fmt.Sprintf("the table of segments says something else of %q", want.Path)
	case got.Hold != want.hold:
		return fmt.Sprintf("the legal hold on %q was changed beside the ledger", want.Path)
	}
	name, err := s.file(want.Path)
	if err != nil {
		return err.Error()
	}
	sum, size, err := hashFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("the file of segment %q is missing", want.Path)
	case err != nil:
		return fmt.Sprintf("the file of segment %q cannot be read: %v", want.Path, err)
	case sum != want.SHA256:
		return fmt.Sprintf("the file of segment %q has changed: %d bytes with SHA-256 %s, sealed were %d bytes with %s", want.Path, size, sum, want.Bytes, want.SHA256)
	}
	return ""
}
