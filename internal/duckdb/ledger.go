package duckdb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

// Kinds of ledger entries that the store itself writes.
const (
	LedgerSealed   = "segment-sealed"
	LedgerRemoved  = "segment-removed"
	LedgerHeld     = "segment-held"
	LedgerReleased = "segment-released"
	// LedgerRowsRemoved says how many rows that are in no segment were removed.
	LedgerRowsRemoved  = "rows-removed"
	LedgerHoldPlaced   = "hold-placed"
	LedgerHoldReleased = "hold-released"
)

// ownLedgerKinds begin the kinds that nobody else may append.
var ownLedgerKinds = [...]string{"segment-", "rows-", "hold-"}

// LedgerEntry is one link of the hash chain.
type LedgerEntry struct {
	Seq      int64           `json:"seq"` // 1, 2, 3, …
	Time     string          `json:"time"`
	Kind     string          `json:"kind"`
	Payload  json.RawMessage `json:"payload"`   // canonical, as hashed
	PrevHash string          `json:"prev_hash"` // 64 zeros in the first entry
	Hash     string          `json:"hash"`
}

// genesis is the PrevHash of the first entry.
var genesis = strings.Repeat("0", 2*sha256.Size)

// computeHash returns what Hash has to be: SHA-256 over the previous hash (32
// bytes) and the entry's canonical form.
func (e *LedgerEntry) computeHash() (string, error) {
	prev, err := hex.DecodeString(e.PrevHash)
	if err != nil || len(prev) != sha256.Size {
		return "", fmt.Errorf("previous hash %q is no SHA-256: %w", e.PrevHash, picket.ErrBadValue)
	}
	// Keys in alphabetical order, as canonicalJSON would put them.
	body, err := encodeJSON(struct {
		Kind    string          `json:"kind"`
		Payload json.RawMessage `json:"payload"`
		Seq     int64           `json:"seq"`
		Time    string          `json:"time"`
	}{e.Kind, e.Payload, e.Seq, e.Time})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(prev, body...))
	return hex.EncodeToString(sum[:]), nil
}

// canonicalJSON encodes v with sorted keys, no white space, and nothing escaped
// that JSON does not require to be.
func canonicalJSON(v any) ([]byte, error) {
	b, err := encodeJSON(v)
	if err != nil {
		return nil, err
	}
	var generic any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // numbers stay as they were written
	if err := d.Decode(&generic); err != nil {
		return nil, err
	}
	return encodeJSON(generic) // maps are written with sorted keys
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// AppendLedger adds an entry of the caller's kind to the chain; payload is
// anything that encodes to JSON. When it returns nil the entry survives a crash.
func (s *Store) AppendLedger(ctx context.Context, kind string, payload any) (entry LedgerEntry, err error) {
	defer s.observe("append-ledger", time.Now(), &err)
	for _, own := range ownLedgerKinds {
		if strings.HasPrefix(kind, own) {
			return LedgerEntry{}, fmt.Errorf("append to ledger: kind %q is the store's own: %w", kind, picket.ErrBadValue)
		}
	}
	err = s.write(ctx, func(ctx context.Context, c *sql.Conn) (err error) {
		entry, err = s.chain(ctx, c, kind, payload)
		return err
	})
	if err != nil {
		return LedgerEntry{}, fmt.Errorf("append %s to ledger: %w", kind, err)
	}
	return entry, nil
}

// chain adds one entry within the writer's transaction.
func (s *Store) chain(ctx context.Context, c *sql.Conn, kind string, payload any) (LedgerEntry, error) {
	e := LedgerEntry{
		Seq:      1,
		Time:     s.opt.Now().UTC().Format(time.RFC3339Nano),
		Kind:     text(kind),
		PrevHash: genesis,
	}
	var last int64
	err := c.QueryRowContext(ctx, `SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1`).Scan(&last, &e.PrevHash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("read the end of the ledger: %w", err)
	}
	e.Seq = last + 1
	if e.Payload, err = canonicalJSON(payload); err != nil {
		return e, fmt.Errorf("encode ledger payload: %w", err)
	}
	if e.Hash, err = e.computeHash(); err != nil {
		return e, fmt.Errorf("hash ledger entry %d: %w", e.Seq, err)
	}
	_, err = c.ExecContext(ctx, `INSERT INTO ledger (seq, time, kind, payload, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?)`,
		e.Seq, e.Time, e.Kind, string(e.Payload), e.PrevHash, e.Hash)
	if err != nil {
		return e, fmt.Errorf("write ledger entry %d: %w", e.Seq, err)
	}
	return e, nil
}

// Ledger returns up to limit entries after seq, in order.
func (s *Store) Ledger(ctx context.Context, after int64, limit int) (list []LedgerEntry, err error) {
	defer s.observe("ledger", time.Now(), &err)
	rows, err := s.db.QueryContext(ctx, ledgerColumns+` WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", s.closed(err))
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanLedger(rows)
		if err != nil {
			return nil, fmt.Errorf("read ledger: %w", err)
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return list, nil
}

const ledgerColumns = `SELECT seq, time, kind, payload::VARCHAR, prev_hash, hash FROM ledger`

func scanLedger(row *sql.Rows) (LedgerEntry, error) {
	var (
		e       LedgerEntry
		payload string
	)
	err := row.Scan(&e.Seq, &e.Time, &e.Kind, &payload, &e.PrevHash, &e.Hash)
	e.Payload = json.RawMessage(payload)
	return e, err
}
