package duckdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/pickettest"
)

// The environment that tells the test binary, started again by a test, what to do.
const (
	childEnv   = "PICKET_DUCKDB_TEST_CHILD" // "open" or "write"
	childDir   = "PICKET_DUCKDB_TEST_DIR"
	childRound = "PICKET_DUCKDB_TEST_ROUND"
)

const (
	killRounds    = 18
	killWriters   = 3
	killBatchRows = 500
)

// child is the test binary started again by a test. Everything it says on
// standard output it says after the store has promised that it survives.
func child() int {
	s, err := Open(context.Background(), Options{Dir: os.Getenv(childDir), SealGrace: time.Minute})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv(childEnv) == "write" {
		err = childWrites(s, os.Getenv(childRound))
	}
	if err = errors.Join(err, s.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// childWrites writes findings and batches at full speed, sealing all the while,
// until it is killed or fails.
func childWrites(s *Store, round string) error {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs = make(chan error, killWriters*2+1)
	)
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", a...)
	}
	ctx := context.Background()
	for w := range killWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				f := pickettest.NewFinding(n)
				f.ID = fmt.Sprintf("r%s-w%d-%d", round, w, n%40) // later ones replace
				f.Queries = int64(n)
				if err := s.PutFinding(ctx, f, true); err != nil {
					errs <- err
					return
				}
				say("shown %s %d", f.ID, n)
			}
		})
		wg.Go(func() {
			for n := 0; ; n++ {
				batch := fmt.Sprintf("r%s-w%d-%d", round, w, n)
				q, states, zones, _ := pickettest.QueryBatch(n*killBatchRows, killBatchRows)
				for i := range q {
					q[i].Sensor = batch
					q[i].Time = hour0.UnixNano() + int64(n)*int64(20*time.Minute) + int64(i)
				}
				say("begin %s", batch)
				if err := s.AppendQueries(ctx, q, states, zones, nil); err != nil {
					errs <- err
					return
				}
				say("batch %s", batch)
			}
		})
	}
	wg.Go(func() {
		for n := 1; ; n++ {
			if _, err := s.Seal(ctx, hour0.Add(time.Duration(n)*time.Hour)); err != nil {
				errs <- err
				return
			}
			say("sealed %d", n)
		}
	})
	return <-errs
}

// shown is what the children said.
type shown struct {
	findings map[string]int64 // id → Queries of the last one shown
	begun    map[string]bool  // batches begun
	batches  map[string]bool  // batches that survive
	seals    int
}

func (k *shown) read(r io.Reader) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		var id string
		var n int64
		switch word, rest, _ := strings.Cut(sc.Text(), " "); word {
		case "shown":
			if _, err := fmt.Sscan(rest, &id, &n); err == nil {
				k.findings[id] = n
			}
		case "begin":
			k.begun[rest] = true
		case "batch":
			k.batches[rest] = true
		case "sealed":
			k.seals++
		}
	}
}

// TestKill kills a process that writes and seals at full speed, again and again
// at random moments (the earliest fall into opening), and holds the store to its
// promises: what was shown is there, batches are there whole or not at all.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a child process many times")
	}
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	k := &shown{findings: map[string]int64{}, begun: map[string]bool{}, batches: map[string]bool{}}
	for round := range killRounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"=write", childDir+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(rnd.IntN(900)+20)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		k.read(out)
		_ = cmd.Wait() // "signal: killed"
		kill.Stop()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: child: %s", round, stderr.String())
		}
		checkSurvived(t, dir, round, k)
	}
	t.Logf("%d rounds: %d findings shown, %d of %d batches promised, %d seals", killRounds, len(k.findings), len(k.batches), len(k.begun), k.seals)
	if len(k.findings) == 0 || len(k.batches) == 0 || k.seals == 0 {
		t.Error("the children did not get far enough for the test to mean something")
	}
}

func checkSurvived(t *testing.T, dir string, round int, k *shown) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer func() {
		// Every other round leaves the checkpoint to DuckDB.
		if round%2 == 0 {
			err = s.Close()
		} else {
			err = s.abandon()
		}
		if err != nil {
			t.Error(err)
		}
	}()
	found, _, err := s.Findings(t.Context(), picket.FindingFilter{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int64{}
	for _, f := range found {
		have[f.ID] = f.Queries
	}
	for id, n := range k.findings {
		if got, ok := have[id]; !ok || got < n {
			t.Errorf("round %d: finding %s was shown with %d queries, the store has %d (present: %v)", round, id, n, got, ok)
		}
	}
	if _, err := s.VerifyLedger(t.Context()); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
	counts := map[string]int{}
	rows, err := s.db.QueryContext(t.Context(), `SELECT sensor, count(*) FROM queries GROUP BY sensor`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var batch string
		var n int
		if err := rows.Scan(&batch, &n); err != nil {
			t.Fatal(err)
		}
		counts[batch] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for batch := range k.batches {
		if counts[batch] != killBatchRows {
			t.Errorf("round %d: batch %s was promised, %d of %d rows are there", round, batch, counts[batch], killBatchRows)
		}
	}
	for batch, n := range counts {
		if !k.begun[batch] || n != killBatchRows {
			t.Errorf("round %d: batch %s has %d rows, begun: %v", round, batch, n, k.begun[batch])
		}
	}
}

// abandon closes the store without asking for a checkpoint.
func (s *Store) abandon() error {
	var err error
	s.closeOnce.Do(func() {
		close(s.closing)
		s.writing.Wait()
		err = s.release()
	})
	return err
}
