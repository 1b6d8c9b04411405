package duckdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

// openTest opens a store in dir and closes it at the end, which may be before.
func openTest(t testing.TB, dir string, change ...func(*Options)) *Store {
	t.Helper()
	opt := Options{Dir: dir}
	for _, f := range change {
		f(&opt)
	}
	s, err := Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Run("findings", func(t *testing.T) {
		pickettest.FindingStore(t, func(t *testing.T) interface {
			picket.FindingAppender
			picket.FindingQuerier
		} {
			return openTest(t, t.TempDir())
		})
	})
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a \"dir\" with ünïcode & +")
	s := openTest(t, dir)
	for n := range 3 {
		if err := s.PutFinding(t.Context(), pickettest.NewFinding(n), true); err != nil {
			t.Fatal(err)
		}
	}
	rev, _ := s.FindingsRevision(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := s.PutFinding(t.Context(), pickettest.NewFinding(9), true); !errors.Is(err, ErrClosed) {
		t.Errorf("PutFinding after Close: %v", err)
	}
	if _, err := s.Finding(t.Context(), "f-000001"); !errors.Is(err, ErrClosed) {
		t.Errorf("Finding after Close: %v", err)
	}
	s = openTest(t, dir)
	if err := s.PutFinding(t.Context(), pickettest.NewFinding(1), true); err != nil {
		t.Fatal(err)
	}
	if after, _ := s.FindingsRevision(t.Context()); after <= rev {
		t.Errorf("revision %d before reopening, %d after a write", rev, after)
	}
	if _, total, _ := s.Findings(t.Context(), picket.FindingFilter{}); total != 3 {
		t.Errorf("%d findings after reopening, want 3", total)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "by process") {
		t.Errorf("second Open in one process: %v", err)
	}
	_, err = OpenReadOnly(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "ask the running daemon") {
		t.Errorf("OpenReadOnly beside a writer: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=open", childDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("store is in use by process")) {
		t.Errorf("Open in another process: %v, %s", err, out)
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(t.Context(), Options{Dir: dir}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenReadOnly of nothing: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("OpenReadOnly of nothing left %v", entries)
	}
	s := openTest(t, dir)
	if err := s.PutFinding(t.Context(), pickettest.NewFinding(1), true); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for range 2 { // several readers at once
		r, err := OpenReadOnly(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.Finding(t.Context(), "f-000001"); err != nil {
			t.Error(err)
		}
		if err := r.PutFinding(t.Context(), pickettest.NewFinding(1), true); !errors.Is(err, ErrReadOnly) {
			t.Errorf("PutFinding: %v", err)
		}
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open beside readers: %v", err)
	}
}

func TestSchemaTooNew(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	if _, err := s.db.Exec(`INSERT INTO schema_migrations VALUES (99, 'future', now()::TIMESTAMP)`); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, open := range []func(context.Context, Options) (*Store, error){Open, OpenReadOnly} {
		_, err := open(t.Context(), Options{Dir: dir})
		if !errors.Is(err, picket.ErrSchemaTooNew) || !strings.Contains(err.Error(), "99") || !strings.Contains(err.Error(), "up to 6") {
			t.Errorf("opening a newer schema: %v", err)
		}
	}
}

func TestMigrateOnce(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	logged := func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	openTest(t, dir, logged).Close()
	if n := strings.Count(log.String(), "applied migration"); n != 6 {
		t.Errorf("first start logs %q", log.String())
	}
	log.Reset()
	openTest(t, dir, logged).Close()
	if log.Len() != 0 {
		t.Errorf("second start logs %q", log.String())
	}
}

func TestBadOptions(t *testing.T) {
	for _, dir := range []string{"", "/tmp/a*b", "/tmp/a?b", "/tmp/a%b", "/tmp/[ab]"} {
		if s, err := Open(t.Context(), Options{Dir: dir}); err == nil {
			s.Close()
			t.Errorf("Open with directory %q succeeded", dir)
		}
	}
}

// TestUnfinishedSchema: a store of a build in which the schema was still being made
// is refused with a word on what to do.
func TestUnfinishedSchema(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	for _, stmt := range []string{`DROP TABLE record_lives`, `CREATE TABLE record_lives (zone VARCHAR)`} {
		if err := s.write(t.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, stmt)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for how, open := range map[string]func(context.Context, Options) (*Store, error){"to write": Open, "to read": OpenReadOnly} {
		if _, err := open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "move its directory away") {
			t.Errorf("opened %s: %v", how, err)
		}
	}
}
