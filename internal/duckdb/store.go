package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-dns/picket"

	duckdbgo "github.com/duckdb/duckdb-go/v2"
)

// The roles that a Store plays.
var (
	_ picket.FindingQuerier  = (*Store)(nil)
	_ picket.FindingAppender = (*Store)(nil)
	_ picket.QueryAppender   = (*Store)(nil)
	_ picket.IntakeKeeper    = (*Store)(nil)
	_ picket.SightingQuerier = (*Store)(nil)
)

// ErrClosed is wrapped by calls on a store that has been closed.
var ErrClosed = errors.New("store is closed")

// ErrReadOnly is wrapped by writes to a store opened with OpenReadOnly.
var ErrReadOnly = errors.New("store is open for reading only")

// Options say where the store lives and how much it may take. Only Dir is
// needed.
type Options struct {
	Dir string // the data directory, created when missing

	MemoryMiB int           // DuckDB's memory limit; 0 means 256
	Threads   int           // DuckDB's threads; 0 means 2
	Readers   int           // connections for readers; 0 means 4
	SealGrace time.Duration // how long after its end an hour waits for late events; 0 means 5 minutes
	MaxGroup  int           // most operations in one transaction; 0 means 256

	Log *slog.Logger     // nil discards
	Now func() time.Time // wall clock for updated_at and ledger entries; nil means time.Now

	// Observe, when set, is told of every operation: its name, how long it took
	// from call to return, and its error. It must be safe for concurrent use.
	Observe func(op string, d time.Duration, err error)
}

func (o *Options) setDefaults() {
	if o.MemoryMiB <= 0 {
		o.MemoryMiB = 256
	}
	if o.Threads <= 0 {
		o.Threads = 2
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.SealGrace <= 0 {
		o.SealGrace = 5 * time.Minute
	}
	if o.MaxGroup <= 0 {
		o.MaxGroup = 256
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Store is the embedded store. Its methods are safe for concurrent use.
type Store struct {
	opt      Options
	dir      string // absolute
	readOnly bool
	lock     *os.File
	db       *sql.DB // readers' pool; the writer has taken one connection out of it

	ops       chan *operation // unbuffered: an operation received is an operation carried out
	folds     chan chan error // requests for a checkpoint, answered by the writer
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
	writing   sync.WaitGroup

	// committed is the greatest batch of queries_recent that is committed.
	committed atomic.Int64
	// lastDelivery is the greatest delivery that was ever used, as of Open.
	lastDelivery int64

	// Owned by the writer goroutine.
	wconn     *sql.Conn
	upsert    *sql.Stmt
	stmts     map[string]*sql.Stmt // see exec
	lastBatch int64
	listed    int64 // no delivery after it is in deliveries_committed, and none at all when it is 0

	history   zoneHistory
	sightings sightingState

	sealing sync.Mutex   // one Seal or Retain at a time
	files   sync.RWMutex // read-held while segment files are read, held while they are unlinked

	// failAt, in tests, fails the named step of Seal or Retain as a crash would.
	failAt func(step string) error
}

const (
	dbName      = "picket.duckdb"
	segmentsDir = "segments"
	tmpDir      = "tmp"
)

// Open opens the store in opt.Dir for reading and writing, creating or migrating
// it as needed, and finishes what a crash has left half done. It fails with
// ErrLocked when another process has it open, and with picket.ErrSchemaTooNew
// when a newer Picket has written it.
func Open(ctx context.Context, opt Options) (*Store, error) {
	s, err := open(ctx, opt, false)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", opt.Dir, err)
	}
	return s, nil
}

// OpenReadOnly opens an existing store for reading only. DuckDB does not let one
// process read what another is writing: while a daemon runs this fails with
// ErrLocked, and the daemon itself has to be asked.
func OpenReadOnly(ctx context.Context, opt Options) (*Store, error) {
	s, err := open(ctx, opt, true)
	switch {
	case errors.Is(err, ErrLocked):
		return nil, fmt.Errorf("open store %s for reading: %w: ask the running daemon, at the address it serves its API on, instead of the file", opt.Dir, err)
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("open store %s for reading: there is no store: %w", opt.Dir, err)
	case err != nil:
		return nil, fmt.Errorf("open store %s for reading: %w", opt.Dir, err)
	}
	return s, nil
}

func open(ctx context.Context, opt Options, readOnly bool) (_ *Store, err error) {
	opt.setDefaults()
	dir, err := checkDir(opt.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{opt: opt, dir: dir, readOnly: readOnly, ops: make(chan *operation), folds: make(chan chan error), closing: make(chan struct{}), listed: 1, stmts: map[string]*sql.Stmt{}, history: newZoneHistory()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	if readOnly {
		return s, s.checkSchema(ctx)
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// checkDir refuses directories that cannot be said to DuckDB, which takes paths
// as glob patterns and as part of a URL.
func checkDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no data directory given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if i := strings.IndexAny(dir, "*?[]#%\x00\n\r\t"); i >= 0 {
		return "", fmt.Errorf("data directory %q: character %q cannot be used in its path", dir, dir[i])
	}
	return dir, nil
}

// prepareDir creates the layout and takes the lock.
func (s *Store) prepareDir() (err error) {
	if s.readOnly {
		if _, err := os.Stat(filepath.Join(s.dir, dbName)); err != nil {
			return err
		}
		s.lock, err = lockRead(s.dir)
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, segmentsDir), 0o750); err != nil {
		return err
	}
	s.lock, err = lockWrite(s.dir)
	return err
}

// connect opens the database with its limits and shuts the doors that Picket
// does not use: extensions, the network, files outside the data directory.
func (s *Store) connect(ctx context.Context) error {
	v := url.Values{}
	v.Set("memory_limit", strconv.Itoa(s.opt.MemoryMiB)+"MiB")
	v.Set("threads", strconv.Itoa(s.opt.Threads))
	v.Set("temp_directory", filepath.Join(s.dir, tmpDir))
	v.Set("autoinstall_known_extensions", "false")
	v.Set("autoload_known_extensions", "false")
	v.Set("allow_community_extensions", "false")
	// A checkpoint costs more than what it saves in log to be replayed, up to here.
	v.Set("checkpoint_threshold", "64MiB")
	if s.readOnly {
		v.Set("access_mode", "READ_ONLY")
	}
	connector, err := duckdbgo.NewConnector(filepath.Join(s.dir, dbName)+"?"+v.Encode(), nil)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.db = sql.OpenDB(connector) // closes the connector when it is closed
	s.db.SetMaxOpenConns(s.opt.Readers + 1)
	s.db.SetMaxIdleConns(s.opt.Readers + 1)
	// Two readers in one process share a DuckDB instance: the second finds it configured.
	var configured bool
	if err := s.db.QueryRowContext(ctx, "SELECT current_setting('lock_configuration')").Scan(&configured); err != nil {
		return fmt.Errorf("configure database: %w", err)
	}
	if configured {
		return nil
	}
	for _, q := range []string{
		"SET allowed_directories = [" + quote(s.dir+string(filepath.Separator)) + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if _, err := s.db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("configure database: %w", err)
		}
	}
	return nil
}

// start migrates, recovers, and lets the writer run.
func (s *Store) start(ctx context.Context) (err error) {
	if s.wconn, err = s.db.Conn(ctx); err != nil {
		return fmt.Errorf("connect writer: %w", err)
	}
	if err := migrate(ctx, s.wconn, s.opt.Now, s.opt.Log); err != nil {
		return err
	}
	if err := s.recover(ctx); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if s.upsert, err = s.wconn.PrepareContext(ctx, upsertFindings); err != nil {
		return fmt.Errorf("prepare writer: %w", err)
	}
	const last = `SELECT greatest(coalesce((SELECT max(batch) FROM queries_recent), 0), coalesce((SELECT max(max_batch) FROM segments), 0))`
	if err := s.wconn.QueryRowContext(ctx, last).Scan(&s.lastBatch); err != nil {
		return fmt.Errorf("find last batch: %w", err)
	}
	s.committed.Store(s.lastBatch)
	s.writing.Go(s.writeLoop)
	return nil
}

// Close waits for the writes in progress, checkpoints and gives the data
// directory free. Writes that have not begun fail with ErrClosed. The second
// call returns what the first returned.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.writing.Wait()
		s.sealing.Lock()
		defer s.sealing.Unlock()
		var err error
		if !s.readOnly {
			err = s.lastCheckpoint()
		}
		if err = errors.Join(err, s.release()); err != nil {
			s.closeErr = fmt.Errorf("close store %s: %w", s.opt.Dir, err)
		}
	})
	return s.closeErr
}

// lastCheckpoint folds the log into the file. A transaction that a cancelled caller
// has left takes a moment to end. Without the checkpoint nothing is lost: the next start
// reads the log.
func (s *Store) lastCheckpoint() error {
	var err error
	for range 50 {
		if _, err = s.wconn.ExecContext(context.Background(), "CHECKPOINT"); err == nil {
			return nil
		}
		if !strings.Contains(err.Error(), "transactions active") {
			return fmt.Errorf("checkpoint: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.opt.Log.Warn("the log is not folded into the store: the next start reads it", "reason", err)
	return nil
}

// release closes whatever open has opened, the lock last.
func (s *Store) release() error {
	var errs []error
	if s.upsert != nil {
		errs = append(errs, s.upsert.Close())
	}
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.wconn != nil {
		errs = append(errs, s.wconn.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// observe reports an operation that began at start; deferred with a named error.
func (s *Store) observe(op string, start time.Time, err *error) {
	if s.opt.Observe != nil {
		s.opt.Observe(op, time.Since(start), *err)
	}
}

// quote makes a SQL string literal. It is used where DuckDB takes no parameter:
// settings, COPY targets and lists of files.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// nanos is t as Unix nanoseconds, held within what TIMESTAMP_NS can say: its
// ends are DuckDB's infinities.
func nanos(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1678:
		return minNanos
	case y > 2261:
		return maxNanos
	}
	return t.UnixNano()
}

const (
	maxNanos = 1<<63 - 2
	minNanos = -maxNanos + 1
)
