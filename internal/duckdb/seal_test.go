package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

func TestConformanceQueries(t *testing.T) {
	open := func(t *testing.T) *Store { return openTest(t, t.TempDir()) }
	t.Run("recent", func(t *testing.T) { pickettest.QueryStore(t, open, readAll) })
	t.Run("sealed", func(t *testing.T) {
		pickettest.QueryStore(t, open, func(t *testing.T, s *Store) []pickettest.QueryRow {
			if _, err := s.Seal(t.Context(), future); err != nil {
				t.Fatal(err)
			}
			if n := count(t, s, "queries_recent"); n != 0 {
				t.Errorf("%d rows are left in the recent table", n)
			}
			return readAll(t, s)
		})
	})
}

// future is after all events of the tests.
var future = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func readAll(t *testing.T, s *Store) (rows []pickettest.QueryRow) {
	t.Helper()
	list, err := s.Queries(t.Context(), QueryFilter{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		rows = append(rows, pickettest.QueryRow{
			Time: q.Time.UnixNano(), Client: q.Client, Server: q.Server, ClientPort: q.ClientPort, Transport: q.Transport,
			Name: q.Name, Zone: q.Zone, State: q.State, Opcode: q.Opcode, Type: q.Type, Class: q.Class, Rcode: q.Rcode,
			Flags: q.Flags, ClientSubnet: q.ClientSubnet, Sensor: q.Sensor,
		})
	}
	if n := count(t, s, "queries"); n != len(rows) {
		t.Errorf("the view has %d rows, Queries gives %d", n, len(rows))
	}
	return rows
}

func count(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	if err := s.db.QueryRowContext(context.Background(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var hour0 = time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)

// appendAt appends n queries spread over the hour at hour0 + h hours.
func appendAt(t testing.TB, s *Store, h, n int) {
	t.Helper()
	q, states, zones, _ := pickettest.QueryBatch(0, n)
	for i := range q {
		q[i].Time = hour0.Add(time.Duration(h)*time.Hour).UnixNano() + int64(i)*int64(time.Hour)/int64(n)
	}
	if err := s.AppendQueries(context.Background(), q, states, zones, nil); err != nil {
		t.Fatal(err)
	}
}

// files lists what lies below segments/, without the empty one.
func files(t testing.TB, s *Store) (list []string) {
	t.Helper()
	root := filepath.Join(s.dir, segmentsDir)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != filepath.Base(emptyName) {
			p, err = filepath.Rel(root, p)
			list = append(list, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func verify(t testing.TB, s *Store) LedgerReport {
	t.Helper()
	r, err := s.VerifyLedger(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSeal(t *testing.T) {
	s := openTest(t, t.TempDir())
	for h := range 3 {
		appendAt(t, s, h, 100+h)
	}
	// 17:04:59: the grace of five minutes for the hour from 16 is not over.
	sealed, err := s.Seal(t.Context(), hour0.Add(2*time.Hour+4*time.Minute+59*time.Second))
	if err != nil || len(sealed) != 1 {
		t.Fatalf("sealed %+v, %v", sealed, err)
	}
	g := sealed[0]
	if g.Path != "2026/03/14/2026-03-14T15Z-0001.parquet" || g.Rows != 100 || !g.Hour.Equal(hour0) || !g.MinTime.Equal(hour0) || g.Bytes == 0 {
		t.Errorf("sealed %+v", g)
	}
	if sealed, err = s.Seal(t.Context(), hour0.Add(2*time.Hour+5*time.Minute)); err != nil || len(sealed) != 1 || sealed[0].Rows != 101 {
		t.Fatalf("sealed %+v, %v", sealed, err)
	}
	// Late events make a second segment.
	appendAt(t, s, 0, 7)
	if sealed, err = s.Seal(t.Context(), hour0.Add(2*time.Hour+5*time.Minute)); err != nil || len(sealed) != 1 ||
		sealed[0].Path != "2026/03/14/2026-03-14T15Z-0002.parquet" || sealed[0].Rows != 7 {
		t.Fatalf("late events: sealed %+v, %v", sealed, err)
	}
	if n := count(t, s, "queries_recent"); n != 102 {
		t.Errorf("%d rows left, want 102", n)
	}
	if n := count(t, s, "queries"); n != 100+101+102+7 {
		t.Errorf("%d rows in all", n)
	}
	if r := verify(t, s); r.Entries != 3 || r.Segments != 3 {
		t.Errorf("ledger: %+v", r)
	}
	if list, err := s.Segments(t.Context(), hour0.Add(time.Hour), time.Time{}); err != nil || len(list) != 1 {
		t.Errorf("segments since 16: %+v, %v", list, err)
	}
	var sorted bool
	err = s.db.QueryRow(`SELECT coalesce(bool_and(ok), true) FROM (SELECT (zone, client, time) >= lag((zone, client, time)) OVER () AS ok FROM read_parquet(` +
		quote(filepath.Join(s.dir, segmentsDir, g.Path)) + `))`).Scan(&sorted)
	if err != nil || !sorted {
		t.Errorf("segment is not sorted by zone, client, time: %v", err)
	}
}

// TestSealInterrupted stops sealing between any two steps, once going on in the
// same process and once after closing and opening: rows are never lost, never
// doubled, and the next Seal completes.
func TestSealInterrupted(t *testing.T) {
	boom := errors.New("injected")
	for _, step := range []string{"planned", "exported", "synced", "renamed", "recorded"} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,reopen=%v", step, reopen), func(t *testing.T) {
				dir := t.TempDir()
				s := openTest(t, dir)
				appendAt(t, s, 0, 50)
				appendAt(t, s, 1, 60)
				s.failAt = func(at string) error {
					if at == step {
						return boom
					}
					if at == "planned" {
						appendAt(t, s, 0, 5) // arrives while the hour is being exported
					}
					return nil
				}
				if step == "planned" {
					appendAt(t, s, 0, 5)
				}
				if _, err := s.Seal(t.Context(), future); !errors.Is(err, boom) {
					t.Fatalf("Seal: %v", err)
				}
				s.failAt = nil
				if n := count(t, s, "queries"); n != 115 {
					t.Errorf("%d rows after the failure, want 115", n)
				}
				verify(t, s)
				if reopen {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = openTest(t, dir)
					if n := count(t, s, "queries"); n != 115 {
						t.Errorf("%d rows after reopening, want 115", n)
					}
				}
				if _, err := s.Seal(t.Context(), future); err != nil {
					t.Fatal(err)
				}
				if n := count(t, s, "queries"); n != 115 {
					t.Errorf("%d rows after sealing, want 115", n)
				}
				if n := count(t, s, "queries_recent") + count(t, s, "sealing"); n != 0 {
					t.Errorf("%d rows left in recent and sealing", n)
				}
				r := verify(t, s)
				if got := len(files(t, s)); got != r.Segments {
					t.Errorf("%d files for %d segments: %v", got, r.Segments, files(t, s))
				}
			})
		}
	}
}

func TestRetain(t *testing.T) {
	for _, interrupt := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupt=%v", interrupt), func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir)
			for h := range 4 {
				appendAt(t, s, h, 10)
			}
			sealed, err := s.Seal(t.Context(), future)
			if err != nil || len(sealed) != 4 {
				t.Fatal(sealed, err)
			}
			if err := s.SetHold(t.Context(), sealed[1].Path, true, "case 7"); err != nil {
				t.Fatal(err)
			}
			if err := s.SetHold(t.Context(), "2026/none.parquet", true, ""); !errors.Is(err, picket.ErrNotFound) {
				t.Errorf("hold on nothing: %v", err)
			}
			boom := errors.New("injected")
			if interrupt {
				s.failAt = func(string) error { return boom }
			}
			// The hour from 17 ends at 18:00, which is not before 17:59.
			r, err := s.Retain(t.Context(), KeptQueries, hour0.Add(3*time.Hour-time.Minute))
			if interrupt != errors.Is(err, boom) {
				t.Fatal(err)
			}
			if len(r.Removed) != 1 || r.Removed[0].Path != sealed[0].Path || len(r.Held) != 1 || r.Held[0].HoldReason != "case 7" {
				t.Errorf("retain: %+v", r)
			}
			if n := count(t, s, "queries"); n != 30 {
				t.Errorf("%d rows, want 30", n)
			}
			verify(t, s)
			if interrupt {
				s.Close()
				s = openTest(t, dir)
			}
			if got := len(files(t, s)); got != 3 {
				t.Errorf("files: %v", files(t, s))
			}
			if rows := readAll(t, s); len(rows) != 30 {
				t.Errorf("%d rows, want 30", len(rows))
			}
			if err := s.SetHold(t.Context(), sealed[1].Path, false, "case 7 closed"); err != nil {
				t.Fatal(err)
			}
			if r, err := s.Retain(t.Context(), KeptQueries, hour0.Add(3*time.Hour)); err != nil || len(r.Removed) != 2 {
				t.Errorf("after the hold: %+v, %v", r, err)
			}
			if r := verify(t, s); r.Entries != 4+1+1+1+2 || r.Segments != 1 {
				t.Errorf("ledger: %+v", r)
			}
			// A late event for a removed hour does not take the removed segment's name.
			appendAt(t, s, 0, 1)
			if sealed, err = s.Seal(t.Context(), future); err != nil || !strings.HasSuffix(sealed[0].Path, "T15Z-0002.parquet") {
				t.Errorf("%+v, %v", sealed, err)
			}
			verify(t, s)
		})
	}
}

func TestVerifyLedgerFindsTampering(t *testing.T) {
	exec := func(q string) func(*testing.T, *Store, []Segment) {
		return func(t *testing.T, s *Store, _ []Segment) {
			if _, err := s.db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		tamper func(*testing.T, *Store, []Segment)
		seq    int64
		want   string
	}{
		{"a byte of a file", func(t *testing.T, s *Store, g []Segment) {
			name, _ := s.file(g[1].Path)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, 2, "has changed"},
		{"a file gone", func(t *testing.T, s *Store, g []Segment) {
			name, _ := s.file(g[2].Path)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Queries(t.Context(), QueryFilter{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), g[2].Path) {
				t.Errorf("Queries without a file: %v", err)
			}
		}, 3, "is missing"},
		{"a payload", exec(`UPDATE ledger SET payload = replace(payload::VARCHAR, '"rows":10', '"rows":11')::JSON WHERE seq = 2`), 2, "its contents give"},
		{"a payload that is no JSON", exec(`UPDATE ledger SET payload = '{"a":1}' WHERE seq = 3`), 3, "its contents give"},
		{"a time", exec(`UPDATE ledger SET time = '2020-01-01T00:00:00Z' WHERE seq = 3`), 3, "its contents give"},
		{"a hash", exec(`UPDATE ledger SET hash = repeat('a', 64) WHERE seq = 1`), 1, "its contents give"},
		{"an entry gone", exec(`DELETE FROM ledger WHERE seq = 2`), 3, "entry 2 should follow"},
		{"the last entry gone", exec(`DELETE FROM ledger WHERE seq = 4`), 0, "without a ledger entry"},
		{"a segment row gone", exec(`DELETE FROM segments WHERE path LIKE '%T16Z%'`), 2, "missing from the table"},
		{"a segment row", exec(`UPDATE segments SET sha256 = 'x' WHERE path LIKE '%T16Z%'`), 2, "something else"},
		{"a hold", exec(`UPDATE segments SET hold = true WHERE path LIKE '%T15Z%'`), 1, "legal hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openTest(t, t.TempDir())
			for h := range 4 {
				appendAt(t, s, h, 10)
			}
			sealed, err := s.Seal(t.Context(), future)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, s)
			tt.tamper(t, s, sealed)
			_, err = s.VerifyLedger(t.Context())
			var le *LedgerError
			if !errors.As(err, &le) || le.Seq != tt.seq || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want entry %d and %q", err, tt.seq, tt.want)
			}
		})
	}
}

func TestLedgerEntries(t *testing.T) {
	s := openTest(t, t.TempDir(), func(o *Options) { o.Now = func() time.Time { return hour0 } })
	e, err := s.AppendLedger(t.Context(), "case-opened", map[string]any{"z": "<&>\u2028", "a": []any{1.5, nil, "x"}, "n": int64(1) << 62})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":[1.5,null,"x"],"n":4611686018427387904,"z":"<&>\u2028"}`; string(e.Payload) != want {
		t.Errorf("canonical payload %s, want %s", e.Payload, want)
	}
	// Computed apart, with sha256sum over 32 zero bytes and the canonical form.
	const want = "c9a465cea278c3cc1dc0a9e4d52eedaad76744945c3b371edcd65f53593481b5"
	if e.Hash != want {
		t.Errorf("hash %s, want %s", e.Hash, want)
	}
	if _, err := s.AppendLedger(t.Context(), LedgerRemoved, nil); !errors.Is(err, picket.ErrBadValue) {
		t.Errorf("the store's own kind: %v", err)
	}
	if _, err := s.AppendLedger(t.Context(), "case-closed", "done"); err != nil {
		t.Fatal(err)
	}
	list, err := s.Ledger(t.Context(), 1, 10)
	if err != nil || len(list) != 1 || list[0].PrevHash != e.Hash || list[0].Kind != "case-closed" {
		t.Errorf("ledger after 1: %+v, %v", list, err)
	}
	if r := verify(t, s); r.Entries != 2 || r.Head != list[0].Hash {
		t.Errorf("%+v", r)
	}
}

// TestSegmentSchema holds the file to docs/format/segments.md.
func TestSegmentSchema(t *testing.T) {
	s := openTest(t, t.TempDir())
	appendAt(t, s, 0, 3)
	sealed, err := s.Seal(t.Context(), future)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := s.file(sealed[0].Path)
	rows, err := s.db.Query(`SELECT name, coalesce(type, ''), coalesce(repetition_type, ''), coalesce(converted_type, ''), coalesce(logical_type::VARCHAR, '') FROM parquet_schema(` + quote(name) + `)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var a, b, c, d, e string
		if err := rows.Scan(&a, &b, &c, &d, &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(strings.Join([]string{a, b, c, d, e}, " ")))
	}
	want := []string{
		"duckdb_schema  REQUIRED",
		"time INT64 OPTIONAL  TimestampType(isAdjustedToUTC=0, unit=TimeUnit(MILLIS=<null>, MICROS=<null>, NANOS=NanoSeconds()))",
		"client BYTE_ARRAY OPTIONAL UTF8", "server BYTE_ARRAY OPTIONAL UTF8", "client_port INT32 OPTIONAL UINT_16",
		"transport BYTE_ARRAY OPTIONAL UTF8", "name BYTE_ARRAY OPTIONAL UTF8", "zone BYTE_ARRAY OPTIONAL UTF8",
		"state BYTE_ARRAY OPTIONAL UTF8", "opcode INT32 OPTIONAL UINT_8", "qtype INT32 OPTIONAL UINT_16",
		"qclass INT32 OPTIONAL UINT_16", "rcode INT32 OPTIONAL INT_16", "flags INT32 OPTIONAL UINT_32",
		"ecs BYTE_ARRAY OPTIONAL UTF8", "sensor BYTE_ARRAY OPTIONAL UTF8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var codec, kv string
	if err := s.db.QueryRow(`SELECT string_agg(DISTINCT compression, ' ') FROM parquet_metadata(` + quote(name) + `)`).Scan(&codec); err != nil {
		t.Fatal(err)
	}
	if err := s.db.QueryRow(`SELECT string_agg(key::VARCHAR || '=' || value::VARCHAR, ' ') FROM parquet_kv_metadata(` + quote(name) + `)`).Scan(&kv); err != nil {
		t.Fatal(err)
	}
	if codec != "ZSTD" || kv != "picket_segment=1" {
		t.Errorf("compression %s, metadata %s", codec, kv)
	}
}

// TestReadWhileSealing counts all the while hours move from the table into
// files: each row is always in exactly one place.
func TestReadWhileSealing(t *testing.T) {
	const hours, each = 12, 50
	s := openTest(t, t.TempDir())
	for h := range hours {
		appendAt(t, s, h, each)
	}
	var (
		wg   sync.WaitGroup
		done = make(chan struct{})
	)
	defer wg.Wait()
	defer close(done)
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				list, err := s.Queries(context.Background(), QueryFilter{Limit: 1 << 20})
				if err != nil || len(list) != hours*each {
					t.Errorf("Queries: %d rows, want %d; %v", len(list), hours*each, err)
					return
				}
				var n int
				if err := s.db.QueryRow(`SELECT count(*) FROM queries`).Scan(&n); err != nil || n != hours*each {
					t.Errorf("view: %d rows, want %d; %v", n, hours*each, err)
					return
				}
			}
		})
	}
	for h := 1; h <= hours; h++ {
		if sealed, err := s.Seal(t.Context(), hour0.Add(time.Duration(h)*time.Hour+5*time.Minute)); err != nil || len(sealed) != 1 {
			t.Errorf("seal %d: %+v, %v", h, sealed, err)
		}
	}
}

// TestFileDoesNotGrow seals the same amount again and again: the space of what
// was dropped from the recent table is used again.
func TestFileDoesNotGrow(t *testing.T) {
	s := openTest(t, t.TempDir())
	var first, last int64
	for h := range 6 {
		appendAt(t, s, h, 60_000)
		if _, err := s.Seal(t.Context(), future); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(s.dir, dbName))
		if err != nil {
			t.Fatal(err)
		}
		if last = info.Size(); h == 1 {
			first = last
		}
	}
	if last > first*2 {
		t.Errorf("file has %d bytes after two hours and %d after six", first, last)
	}
}
