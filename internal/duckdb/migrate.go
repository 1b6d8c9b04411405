package duckdb

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/picket-dns/picket"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema. Numbers start at 1 and have no
// gaps; a migration that has been released is never edited.
type migration struct {
	version int
	name    string
	sql     string
}

// migrations returns the embedded migrations in order.
func migrations() ([]migration, error) {
	files, err := fs.ReadDir(migrationFiles, "migrations") // sorted by name
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, f := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: number %d was expected", f.Name(), i+1)
		}
		text, err := fs.ReadFile(migrationFiles, path.Join("migrations", f.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, migration{version: version, name: name, sql: string(text)})
	}
	return list, nil
}

// schemaVersion returns the version of the schema in the database, 0 when it is
// empty.
func schemaVersion(ctx context.Context, c *sql.Conn) (int, error) {
	var tables, version int
	const exists = `SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = 'schema_migrations'`
	if err := c.QueryRowContext(ctx, exists).Scan(&tables); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	if err := c.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schema_migrations`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return version, nil
}

func tooNew(have, know int) error {
	return fmt.Errorf("the store has schema version %d, this binary knows versions up to %d: %w", have, know, picket.ErrSchemaTooNew)
}

// released refuses what builds between versions have left: migrations 3 to 6 were
// still being written then, and cannot be told by their numbers.
func released(ctx context.Context, c *sql.Conn, have int) error {
	if have < 3 {
		return nil
	}
	var columns int
	const column = `SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = 'record_lives' AND column_name = 'id'`
	if err := c.QueryRowContext(ctx, column).Scan(&columns); err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	if columns == 0 {
		return fmt.Errorf("the store has schema version %d as a build before its completion made it; move its directory away and start with an empty one", have)
	}
	return nil
}

// migrate brings the schema up to date, each step in a transaction of its own
// together with its row in schema_migrations.
func migrate(ctx context.Context, c *sql.Conn, now func() time.Time, log *slog.Logger) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, c)
	if err != nil {
		return err
	}
	if have > len(list) {
		return tooNew(have, len(list))
	}
	if err := released(ctx, c, have); err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)`
	if _, err := c.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	for _, m := range list[have:] {
		err := inTx(ctx, c, func() error {
			if _, err := c.ExecContext(ctx, m.sql); err != nil {
				return err
			}
			_, err := c.ExecContext(ctx, `INSERT INTO schema_migrations VALUES (?, ?, ?)`, m.version, m.name, now().UTC())
			return err
		})
		if err != nil {
			return fmt.Errorf("apply migration %d (%s): %w", m.version, m.name, err)
		}
		log.Info("applied migration", "version", m.version, "name", m.name)
	}
	return nil
}

// checkSchema refuses a schema that is not exactly the one this binary knows;
// a store opened for reading cannot be migrated.
func (s *Store) checkSchema(ctx context.Context) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	have, err := schemaVersion(ctx, c)
	if err == nil && have <= len(list) {
		err = released(ctx, c, have)
	}
	switch {
	case err != nil:
		return err
	case have > len(list):
		return tooNew(have, len(list))
	case have < len(list):
		return fmt.Errorf("the store has schema version %d and this binary needs %d: start the daemon once, it migrates the store", have, len(list))
	}
	return nil
}
