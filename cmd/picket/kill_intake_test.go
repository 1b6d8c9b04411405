package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/picket-dns/picket/internal/duckdb"
)

// killRounds is how often each way in is killed.
const killRounds = 50

// killWay is one way in, for which nothing may be lost or counted twice.
type killWay struct {
	name   string
	format string
	yaml   func(t *testing.T, dir string) string // the input's entry, without name and format
	// send goes on sending until ctx is done. What it sent counts in s.
	send func(ctx context.Context, t *testing.T, dir string, s *sent)
}

// sent counts what has been sent, and makes it.
type sent struct {
	format    string
	next      int
	good, bad atomic.Int64
	// known is set when the daemon has committed something: what was rotated away
	// before anybody knew of a log is no part of it.
	known atomic.Bool
}

// lines makes n lines, of which about one in forty is broken.
func (s *sent) lines(n int) []byte {
	var b bytes.Buffer
	for range n {
		s.next++
		broken := s.next%41 == 0
		name := fmt.Sprintf("n%d.example.org", s.next)
		at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).Add(time.Duration(s.next) * time.Millisecond)
		switch {
		case s.format == "ndjson" && broken:
			fmt.Fprintf(&b, `{"time":%q,"client":"198.51.100.7"}`+"\n", at.Format(time.RFC3339Nano))
		case s.format == "ndjson":
			fmt.Fprintf(&b, `{"time":%q,"client":"198.51.100.7","name":%q,"type":"A"}`+"\n", at.Format(time.RFC3339Nano), name)
		case s.format == "zeek-dns":
			b.Write(s.answered(at, broken))
		default:
			if broken {
				name = "a..b"
			}
			fmt.Fprintf(&b, "%s queries: info: client @0x7f0000000000 198.51.100.7#%d (%s): query: %s IN A + (192.0.2.53)\n",
				at.Format("2006-01-02T15:04:05.000Z"), 1024+s.next%60000, name, name)
		}
		if broken {
			s.bad.Add(1)
		} else {
			s.good.Add(1)
		}
	}
	return b.Bytes()
}

// TestKillIntake kills the daemon at random moments while telemetry comes in, by
// every way that can bring again what was lost. In the end every record has been
// counted, and stored, exactly once.
func TestKillIntake(t *testing.T) {
	ways := []killWay{
		{name: "file", format: "ndjson", yaml: func(*testing.T, string) string { return "file: queries.log" }, send: appendLines},
		{name: "file-from-start", format: "bind-log", yaml: func(*testing.T, string) string { return "file: queries.log" }, send: appendLines},
		{name: "http", format: "ndjson", yaml: yamlHTTP, send: pushLines},
		{name: "kafka", format: "ndjson", yaml: yamlKafka, send: produceLines},
		{name: "bucket", format: "ndjson", yaml: yamlBucket, send: putObjects},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			testKillIntake(t, w)
		})
	}
}

func testKillIntake(t *testing.T, w killWay) {
	c, s := w.kill(t, killRounds)
	good, bad := s.good.Load(), s.bad.Load()
	caughtUp(c, good)
	for _, m := range []struct {
		sample string
		want   int64
	}{
		{`picket_input_accepted_total{input="in"}`, good},
		{`picket_input_received_total{input="in"}`, good + bad},
	} {
		c.until(fmt.Sprintf("%s is %d", m.sample, m.want), func() bool {
			v, _ := c.metric(m.sample)
			if int64(v) > m.want {
				t.Fatalf("%s is %v, want %d", m.sample, v, m.want)
			}
			return int64(v) == m.want
		})
	}
	c.stop()
	checkRows(t, c.path("data"), int(good))
	t.Logf("%d records accepted and %d rejected through %d kills", good, bad, killRounds)
	if good < 10*killRounds {
		t.Errorf("only %d records: the load was too light to test anything", good)
	}
}

// kill sends to a daemon that is killed so many times at random moments. At the end it
// runs, and nothing more comes.
func (w *killWay) kill(t *testing.T, rounds int) (*child, *sent) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := newChild(t, "")
	text, err := os.ReadFile(c.config())
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "inputs:\n  - {name: in, format: "+w.format+", "+w.yaml(t, c.dir)+"}\n"...)
	if err := os.WriteFile(c.config(), text, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &sent{format: w.format}
	var sending sync.WaitGroup
	sending.Go(func() { w.send(ctx, t, c.dir, s) })
	c.start()
	c.accepted("in", 1)
	c.stop()
	s.known.Store(true)
	for round := range rounds {
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
	return c, s
}

// caughtUp waits until the input has accepted n, as long as it gets on.
func caughtUp(c *child, n int64) {
	c.t.Helper()
	last, since := float64(-1), time.Now()
	for {
		v, _ := c.metric(`picket_input_accepted_total{input="in"}`)
		if int64(v) >= n {
			return
		}
		if v != last {
			last, since = v, time.Now()
		}
		if time.Since(since) > 30*time.Second {
			c.t.Fatalf("accepted %v of %d, and no more come:\n%s", v, n, c.log)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// checkRows: the history has n queries, of n different names.
func checkRows(t *testing.T, dir string, n int) {
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
	names := map[string]bool{}
	for _, q := range rows {
		names[q.Name] = true
	}
	if len(rows) != n || len(names) != n {
		t.Errorf("the history has %d queries with %d names, want %d of each", len(rows), len(names), n)
	}
}

// checkRowCount: the history has n queries.
func checkRowCount(t *testing.T, dir string, n int) {
	t.Helper()
	store, err := duckdb.Open(t.Context(), duckdb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rows, err := store.Queries(t.Context(), duckdb.QueryFilter{Limit: 1 << 30})
	if err != nil || len(rows) != n {
		t.Errorf("the history has %d queries, want %d; %v", len(rows), n, err)
	}
}

// appendLines writes a log, as a server would, and rotates it now and then.
func appendLines(ctx context.Context, t *testing.T, dir string, s *sent) {
	path := dir + "/queries.log"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	for i := 0; err == nil && ctx.Err() == nil; i++ {
		if _, err = f.Write(s.lines(20)); err != nil {
			break
		}
		time.Sleep(8 * time.Millisecond)
		if i%100 != 99 || !s.known.Load() {
			continue
		}
		// Nothing is removed: what a slow machine has not read yet is still there.
		rotated, _ := filepath.Glob(path + ".*")
		for n := len(rotated); n > 0 && err == nil; n-- {
			err = os.Rename(path+"."+strconv.Itoa(n), path+"."+strconv.Itoa(n+1))
		}
		if err == nil {
			err = os.Rename(path, path+".1")
		}
		_ = f.Close()
		if err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		}
	}
	if err != nil {
		t.Errorf("write the log: %v", err)
		return
	}
	_ = f.Close()
}

func yamlHTTP(t *testing.T, dir string) string {
	addr := freeAddr(t)
	if err := os.WriteFile(dir+"/push.addr", []byte(addr), 0o644); err != nil {
		t.Fatal(err)
	}
	return "http: {address: \"" + addr + "\"}"
}

// pushLines pushes bodies with a key each, and again until they are taken.
func pushLines(ctx context.Context, t *testing.T, dir string, s *sent) {
	addr, err := os.ReadFile(dir + "/push.addr")
	if err != nil {
		t.Error(err)
		return
	}
	client := &http.Client{Timeout: 10 * time.Second}
	for key := 0; ctx.Err() == nil; key++ {
		body := s.lines(25)
		for tries := 0; ; tries++ {
			// A body that was begun is sent to its end: its records are counted as sent.
			req, err := http.NewRequest(http.MethodPost, "http://"+string(addr)+"/", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Idempotency-Key", strconv.Itoa(key))
			resp, err := client.Do(req)
			if err == nil {
				answer, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
				if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("pushed: %s: %s", resp.Status, answer)
					return
				}
			}
			if tries > 5000 {
				t.Errorf("body %d was never taken: %v", key, err)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func yamlKafka(t *testing.T, dir string) string {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "dns"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	if err := os.WriteFile(dir+"/brokers", []byte(strings.Join(cluster.ListenAddrs(), ",")), 0o644); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("kafka: {brokers: [%q], topics: [dns]}", net.JoinHostPort(host, port))
}

// produceLines produces messages of a few lines each.
func produceLines(ctx context.Context, t *testing.T, dir string, s *sent) {
	brokers, err := os.ReadFile(dir + "/brokers")
	if err != nil {
		t.Error(err)
		return
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(string(brokers), ",")...), kgo.DefaultProduceTopic("dns"))
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		var records []*kgo.Record
		for range 10 {
			records = append(records, &kgo.Record{Value: bytes.TrimSpace(s.lines(3))})
		}
		if err := client.ProduceSync(context.WithoutCancel(ctx), records...).FirstErr(); err != nil {
			t.Errorf("produce: %v", err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func yamlBucket(t *testing.T, dir string) string {
	store := startS3(t, "dns")
	if err := os.WriteFile(dir+"/endpoint", []byte(store.endpoint), 0o644); err != nil {
		t.Fatal(err)
	}
	return store.yaml(dir, "dns", "") + ", poll: 1s}"
}

// putObjects puts objects of some lines each, gzipped every other time.
func putObjects(ctx context.Context, t *testing.T, dir string, s *sent) {
	endpoint, err := os.ReadFile(dir + "/endpoint")
	if err != nil {
		t.Error(err)
		return
	}
	store := &s3Store{endpoint: string(endpoint)}
	for i := 0; ctx.Err() == nil; i++ {
		body := s.lines(40)
		if i%2 == 1 {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, _ = w.Write(body)
			_ = w.Close()
			body = z.Bytes()
		}
		if err := store.put("dns", fmt.Sprintf("2026/log-%06d", i), body); err != nil {
			t.Errorf("put: %v", err)
			return
		}
		time.Sleep(40 * time.Millisecond)
	}
}
