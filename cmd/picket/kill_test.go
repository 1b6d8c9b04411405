package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// TestKill kills the daemon again and again under load, as a power cut would. A
// finding that was once shown through the API must be there ever after, and the
// store must open and verify each time.
func TestKill(t *testing.T) {
	const rounds = 12
	// The choice of moments is logged, so that a failure can be looked into.
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))

	c := newChild(t, zoneYAML(t)+"inputs:\n  - {name: lines, unix: lines.sock, format: ndjson}\n")
	shown := map[string]picket.StoredFinding{}
	for round := range rounds {
		c.start()
		for id, f := range shown {
			got, err := c.findings(map[string][]string{"text": {id}})
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if len(got) != 1 || got[0].Detector != f.Detector || got[0].Source != f.Source || got[0].Queries < f.Queries {
				t.Fatalf("round %d: finding %s was shown with %d queries, now there is %+v", round, id, f.Queries, got)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for w := range 2 {
			conn := c.dial("unix", c.path("lines.sock"))
			load.Go(func() { guessUntil(ctx, conn, round, w) })
		}
		life := 200*time.Millisecond + time.Duration(r.Int64N(int64(900*time.Millisecond)))
		fresh := 0
		for end := time.Now().Add(life); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			list, err := c.findings(nil)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, f := range list {
				if _, ok := shown[f.ID]; !ok {
					fresh++
				}
				shown[f.ID] = f
			}
		}
		if err := c.signal(syscall.SIGKILL); err == nil {
			t.Fatal("SIGKILL ended the daemon without an error")
		}
		cancel()
		load.Wait()
		t.Logf("round %d: killed after %v, %d findings shown, %d of them new", round, life.Round(time.Millisecond), len(shown), fresh)
	}
	if len(shown) < rounds {
		t.Fatalf("only %d findings in %d rounds: the load was too light to test anything", len(shown), rounds)
	}

	// At the end the store is whole: everything shown, and a chain that holds.
	ctx := context.Background()
	s, err := duckdb.Open(ctx, duckdb.Options{Dir: c.path("data")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for id := range shown {
		if _, err := s.Finding(ctx, id); err != nil {
			t.Errorf("finding %s: %v", id, err)
		}
	}
	// Past hours are sealed now, so that the chain has links to verify.
	if _, err := s.Seal(ctx, time.Now().Add(3*time.Hour)); err != nil {
		t.Errorf("seal: %v", err)
	}
	report, err := s.VerifyLedger(ctx)
	if err != nil {
		t.Errorf("ledger: %v", err)
	}
	if report.Segments == 0 || report.Entries == 0 {
		t.Errorf("nothing was sealed: %+v", report)
	}
}

// guessUntil sends one guessing source after the other until the connection or
// the context ends.
func guessUntil(ctx context.Context, conn net.Conn, round, writer int) {
	defer conn.Close()
	for i := 0; ctx.Err() == nil; i++ {
		source := fmt.Sprintf("10.%d.%d.%d", round, writer*100+i/250, i%250+1)
		if _, err := conn.Write(guesses(source, 40, time.Now())); err != nil {
			return // killed
		}
		select {
		case <-ctx.Done():
		case <-time.After(4 * time.Millisecond):
		}
	}
}
