package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/duckdb"
)

// killAnswerRounds is how often each way in is killed.
const killAnswerRounds = 25

// answeredNames is how many names are asked for in turn. Each has two addresses.
const answeredNames = 40

// answered makes a query with its answers, or one that is broken.
func (s *sent) answered(at time.Time, broken bool) []byte {
	stamp := float64(at.UnixMicro()) / 1e6
	if broken {
		return fmt.Appendf(nil, `{"ts":%.6f,"id.orig_h":"198.51.100.7","query":"a..b","qtype":1}`+"\n", stamp)
	}
	n := s.next % answeredNames
	return fmt.Appendf(nil, `{"ts":%.6f,"id.orig_h":"198.51.100.7","id.resp_h":"192.0.2.53","proto":"udp","query":"n%d.example.org","qtype":1,"rcode":0,"AA":true,"RD":false,"answers":["192.0.2.%d","198.51.100.%d"]}`+"\n",
		stamp, n, n, n)
}

// TestKillAnswers kills the daemon at random moments while queries come in with their
// answers. In the end every answer has been counted exactly once, as its query has.
func TestKillAnswers(t *testing.T) {
	ways := []killWay{
		{name: "file", yaml: func(*testing.T, string) string { return "file: queries.log" }, send: appendLines},
		{name: "http", yaml: yamlHTTP, send: pushLines},
		{name: "kafka", yaml: yamlKafka, send: produceLines},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			c := newChild(t, "")
			text, err := os.ReadFile(c.config())
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, "inputs:\n  - {name: in, format: zeek-dns, "+w.yaml(t, c.dir)+"}\n"...)
			if err := os.WriteFile(c.config(), text, 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &sent{format: "zeek-dns"}
			var sending sync.WaitGroup
			sending.Go(func() { w.send(ctx, t, c.dir, s) })
			c.start()
			c.accepted("in", 1)
			c.stop()
			s.known.Store(true)
			for round := range killAnswerRounds {
				c.start()
				time.Sleep(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
				if err := c.signal(syscall.SIGKILL); err == nil {
					t.Fatalf("round %d: SIGKILL ended the daemon without an error", round)
				}
			}
			c.start()
			time.Sleep(300 * time.Millisecond)
			cancel()
			sending.Wait()
			good := s.good.Load()
			caughtUp(c, good)
			// Killed once more: what is said to have been accepted has its answers stored.
			if err := c.signal(syscall.SIGKILL); err == nil {
				t.Fatal("SIGKILL ended the daemon without an error")
			}
			c.start()
			caughtUp(c, good)
			c.stop()
			checkRowCount(t, c.path("data"), int(good))
			checkAnswers(t, c.path("data"), good)
			t.Logf("%d queries with 2 answers each through %d kills", good, killAnswerRounds+1)
			if good < 10*killAnswerRounds {
				t.Errorf("only %d records: the load was too light to test anything", good)
			}
		})
	}
}

// checkAnswers: good queries' answers have been counted, each as often as its query.
func checkAnswers(t *testing.T, dir string, good int64) {
	t.Helper()
	store, err := duckdb.Open(t.Context(), duckdb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rows, err := store.Queries(t.Context(), duckdb.QueryFilter{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int64{}
	for _, q := range rows {
		asked[q.Name+"."]++
		asked[q.Name]++
	}
	list, err := store.Sightings(t.Context(), picket.SightingFilter{Name: "example.org.", Below: true, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, v := range list {
		total += v.Count
		if v.Count != asked[v.Name] || v.Origin != "own" || v.SensorID != "in" {
			t.Errorf("%s %s %v of %s %s was counted %d times, and asked for %d times", v.Name, v.Type, v.Data, v.Origin, v.SensorID, v.Count, asked[v.Name])
		}
	}
	if len(list) != 2*answeredNames || total != 2*good {
		t.Errorf("%d sightings with %d counts, want %d with %d", len(list), total, 2*answeredNames, 2*good)
	}
}
