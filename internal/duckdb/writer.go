package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// operation is one caller's part of a write transaction.
type operation struct {
	// finding is written together with all others of the transaction, when set.
	finding *findingRow
	// run, otherwise, does the writing on the writer's connection, inside its
	// transaction. It is run again, alone, when the transaction it shared with
	// others failed.
	run func(ctx context.Context, c *sql.Conn) error
	// done receives the outcome after commit or rollback.
	done chan error
}

// write submits an operation that consists of run.
func (s *Store) write(ctx context.Context, run func(context.Context, *sql.Conn) error) error {
	return s.submit(ctx, &operation{run: run})
}

// submit hands op to the writer and returns when its transaction is committed.
// ctx ends the waiting for the writer only: once the writer has taken the
// operation its outcome is awaited, because run may be reading what the caller
// has lent.
func (s *Store) submit(ctx context.Context, op *operation) error {
	if s.readOnly {
		return ErrReadOnly
	}
	op.done = make(chan error, 1)
	select {
	case s.ops <- op:
		return <-op.done
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeLoop is the writer goroutine. It takes one operation, then all others
// that wait at this moment, and carries them out in one transaction: the more
// callers there are, the more of them share one sync of the log.
func (s *Store) writeLoop() {
	batch := make([]*operation, 0, s.opt.MaxGroup)
	for {
		select {
		case op := <-s.ops:
			batch = append(batch[:0], op)
		case done := <-s.folds:
			_, err := s.wconn.ExecContext(context.Background(), "CHECKPOINT")
			done <- err
			continue
		case <-s.closing:
			return
		}
	gather:
		for len(batch) < cap(batch) {
			select {
			case op := <-s.ops:
				batch = append(batch, op)
			default:
				break gather
			}
		}
		s.commit(batch)
		clear(batch)
	}
}

// checkpoint folds the log into the file between two transactions, which also
// gives the space of deleted rows back for use.
func (s *Store) checkpoint(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.folds <- done:
		return <-done
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit carries the operations out. One that fails must not fail the others:
// after a failed transaction each is tried alone.
func (s *Store) commit(batch []*operation) {
	ctx := context.Background()
	err := s.commitOnce(ctx, batch)
	if err == nil || len(batch) == 1 {
		for _, op := range batch {
			op.done <- err
		}
		return
	}
	for _, op := range batch {
		op.done <- s.commitOnce(ctx, []*operation{op})
	}
}

func (s *Store) commitOnce(ctx context.Context, batch []*operation) (err error) {
	defer s.observe("commit", time.Now(), &err)
	first := s.lastBatch
	err = inTx(ctx, s.wconn, func() error {
		var findings []*findingRow
		for _, op := range batch {
			if op.finding != nil {
				findings = append(findings, op.finding)
			} else if err := op.run(ctx, s.wconn); err != nil {
				return err
			}
		}
		if len(findings) == 0 {
			return nil
		}
		return s.putFindings(ctx, findings)
	})
	if err != nil {
		s.lastBatch = first
	}
	s.history.ended(err != nil)
	if err != nil {
		return err
	}
	s.committed.Store(s.lastBatch)
	return nil
}

// exec carries out a statement on the writer's connection and keeps its plan, which
// is most of what a small statement costs. query is one of a few constants.
func (s *Store) exec(ctx context.Context, c *sql.Conn, query string, args ...any) (sql.Result, error) {
	st, err := s.planned(ctx, c, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

// planned returns a statement of the writer's connection.
func (s *Store) planned(ctx context.Context, c *sql.Conn, query string) (*sql.Stmt, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := c.PrepareContext(ctx, query)
	if err == nil {
		s.stmts[query] = st
	}
	return st, err
}

// inTx runs f inside a transaction on c. The transaction is driven by
// statements, not by sql.Tx, so that the Appender can use the connection in it.
func inTx(ctx context.Context, c *sql.Conn, f func() error) error {
	if _, err := c.ExecContext(ctx, "BEGIN TRANSACTION"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(); err != nil {
		if _, rerr := c.ExecContext(ctx, "ROLLBACK"); rerr != nil {
			err = errors.Join(err, fmt.Errorf("roll back: %w", rerr))
		}
		return err
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		// DuckDB has rolled back already when COMMIT fails; this is for the case it has not.
		_, _ = c.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
