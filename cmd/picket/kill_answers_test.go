package main

import (
	"fmt"
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
		{name: "file", format: "zeek-dns", yaml: func(*testing.T, string) string { return "file: queries.log" }, send: appendLines},
		{name: "http", format: "zeek-dns", yaml: yamlHTTP, send: pushLines},
		{name: "kafka", format: "zeek-dns", yaml: yamlKafka, send: produceLines},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			c, s := w.kill(t, killAnswerRounds)
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
