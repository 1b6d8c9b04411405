package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker starts a cluster with topic "dns" of so many partitions.
func broker(t *testing.T, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.SeedTopics(partitions, "dns"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func produce(t *testing.T, c *kfake.Cluster, partition int32, values ...string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, v := range values {
		if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: "dns", Partition: partition, Key: []byte("k"), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// committed is the group's offset, -1 for none.
func committed(t *testing.T, c *kfake.Cluster, partition int32) int64 {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	o, err := kadm.NewClient(cl).FetchOffsets(context.Background(), "picket")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := o.Lookup("dns", partition); ok {
		return at.At
	}
	return -1
}

// consumer collects what a Kafka hands over, as "partition:value".
type consumer struct {
	t      *testing.T
	values chan string
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	fail   string // batches that begin with this value fail
	failed []string
	next   map[int32]int64 // the store's own position
}

func newConsumer(t *testing.T) *consumer {
	return &consumer{t: t, values: make(chan string, 1000), next: map[int32]int64{}}
}

func (c *consumer) handle(_ context.Context, b *Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(b.Records[0].Value) == c.fail {
		return errors.New("store is full")
	}
	if b.First != b.Records[0].Offset || b.Last != b.Records[len(b.Records)-1].Offset || b.Topic != "dns" || b.Behind < 0 {
		c.t.Errorf("batch %+v", b)
	}
	for _, r := range b.Records {
		if string(r.Key) != "k" || r.Time.IsZero() {
			c.t.Errorf("record %+v", r)
		}
		c.values <- fmt.Sprintf("%d:%s", b.Partition, r.Value)
	}
	c.next[b.Partition] = b.Last + 1
	return nil
}

func (c *consumer) start(cfg KafkaConfig) {
	c.t.Helper()
	cfg.Topics, cfg.Group = []string{"dns"}, "picket"
	cfg.Failed = func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed = append(c.failed, err.Error())
	}
	k, err := NewKafka(cfg, c.handle)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan error, 1)
	go func() { c.done <- k.Run(ctx) }()
}

func (c *consumer) stop() {
	c.t.Helper()
	c.cancel()
	if err := <-c.done; err != nil {
		c.t.Errorf("run: %v", err)
	}
	select {
	case v := <-c.values:
		c.t.Errorf("one too many: %s", v)
	default:
	}
}

func (c *consumer) want(values ...string) {
	c.t.Helper()
	for _, want := range values {
		select {
		case got := <-c.values:
			if got != want {
				c.t.Fatalf("got %s, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("nothing came, want %s; failed %q", want, c.failed)
		}
	}
}

func TestKafkaCommitsAfterHandling(t *testing.T) {
	cluster := broker(t, 1)
	produce(t, cluster, 0, "one", "two")
	c := newConsumer(t)
	cfg := KafkaConfig{Brokers: cluster.ListenAddrs()}
	c.start(cfg)
	c.want("0:one", "0:two")
	produce(t, cluster, 0, "three")
	c.want("0:three")
	c.stop()
	if at := committed(t, cluster, 0); at != 3 {
		t.Errorf("committed %d", at)
	}
	produce(t, cluster, 0, "four")
	c.start(cfg) // goes on where the group committed
	c.want("0:four")
	c.stop()
}

// A batch that fails comes again, is not committed meanwhile, and does not hold
// other partitions up.
func TestKafkaRetries(t *testing.T) {
	cluster := broker(t, 2)
	c := newConsumer(t)
	c.fail = "bad"
	c.start(KafkaConfig{Brokers: cluster.ListenAddrs()})
	produce(t, cluster, 0, "good")
	c.want("0:good")
	produce(t, cluster, 0, "bad", "behind")
	produce(t, cluster, 1, "a")
	c.want("1:a")
	produce(t, cluster, 1, "b")
	c.want("1:b")
	for range 1000 {
		c.mu.Lock()
		n := len(c.failed)
		c.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if at := committed(t, cluster, 0); at != 1 {
		t.Errorf("committed %d", at)
	}
	c.mu.Lock()
	c.fail = ""
	failed := c.failed
	c.mu.Unlock()
	if len(failed) == 0 || !strings.Contains(failed[0], "topic dns partition 0 offsets 1 to ") || !strings.Contains(failed[0], "store is full") {
		t.Errorf("failed %q", failed)
	}
	c.want("0:bad", "0:behind")
	c.stop()
	if at := committed(t, cluster, 0); at != 3 {
		t.Errorf("committed %d", at)
	}
}

// The store's own position overrides a commit that was not made any more.
func TestKafkaResumesFromTheStore(t *testing.T) {
	cluster := broker(t, 2)
	produce(t, cluster, 0, "a", "b", "c", "d")
	produce(t, cluster, 1, "x", "y")
	c := newConsumer(t)
	c.start(KafkaConfig{Brokers: cluster.ListenAddrs(), Resume: func(topic string, p int32) (int64, bool) {
		if topic != "dns" {
			t.Errorf("topic %q", topic)
		}
		return 3, p == 0
	}})
	got := map[string]bool{}
	for range 3 {
		select {
		case v := <-c.values:
			got[v] = true
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came")
		}
	}
	if !got["0:d"] || !got["1:x"] || !got["1:y"] {
		t.Errorf("got %v", got)
	}
	c.stop()
	// A store that knows less than the group does not go back.
	produce(t, cluster, 0, "e")
	c.start(KafkaConfig{Brokers: cluster.ListenAddrs(), Resume: func(string, int32) (int64, bool) { return 1, true }})
	c.want("0:e")
	c.stop()
}

// Two members share the partitions, and what one leaves the other takes, once.
func TestKafkaRebalances(t *testing.T) {
	cluster := broker(t, 4)
	c, d := newConsumer(t), newConsumer(t)
	d.values = c.values
	c.start(KafkaConfig{Brokers: cluster.ListenAddrs()})
	d.start(KafkaConfig{Brokers: cluster.ListenAddrs()})
	got := map[string]int{}
	collect := func(n int) {
		t.Helper()
		for range n {
			select {
			case v := <-c.values:
				got[v]++
			case <-time.After(20 * time.Second):
				t.Fatalf("nothing came after %v", got)
			}
		}
	}
	for p := range int32(4) {
		produce(t, cluster, p, "1", "2")
	}
	collect(8)
	d.stop()
	for p := range int32(4) {
		produce(t, cluster, p, "3")
	}
	collect(4)
	c.stop()
	for v, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", v, n)
		}
	}
}

func TestKafkaAuthenticates(t *testing.T) {
	cluster := broker(t, 1, kfake.EnableSASL(), kfake.User("SCRAM-SHA-256", "reader", "secret"), kfake.User("PLAIN", "reader", "secret"))
	path := filepath.Join(t.TempDir(), "password")
	write(t, path, "secret\n", os.O_CREATE)
	cfg := KafkaConfig{Brokers: cluster.ListenAddrs(), User: "reader", PasswordFile: path}
	for _, mechanism := range []string{"SCRAM-SHA-256", "PLAIN"} {
		c := newConsumer(t)
		cfg.SASL, cfg.Insecure = mechanism, true
		k, err := NewKafka(KafkaConfig{Brokers: cfg.Brokers, Topics: []string{"dns"}, Group: "picket", SASL: mechanism, User: "reader", PasswordFile: path, Insecure: true}, c.handle)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.client.Ping(context.Background()); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		_ = k.Close()
	}
	c := newConsumer(t)
	cfg.PasswordFile, cfg.Password = "", "wrong"
	c.start(cfg)
	for range 1000 {
		c.mu.Lock()
		n := len(c.failed)
		c.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.stop()
	if len(c.failed) == 0 {
		t.Error("a wrong password is not reported")
	}
}

func TestKafkaRefusesConfiguration(t *testing.T) {
	good := KafkaConfig{Brokers: []string{"localhost:9092"}, Topics: []string{"dns"}, Group: "picket"}
	for want, change := range map[string]func(*KafkaConfig){
		"no brokers":              func(c *KafkaConfig) { c.Brokers = nil },
		`"localhost": want HOST`:  func(c *KafkaConfig) { c.Brokers = []string{"localhost"} },
		"no topics":               func(c *KafkaConfig) { c.Topics = nil },
		"no group":                func(c *KafkaConfig) { c.Group = "" },
		"want PLAIN, SCRAM":       func(c *KafkaConfig) { c.SASL = "GSSAPI" },
		"needs a user and a pass": func(c *KafkaConfig) { c.SASL = "PLAIN" },
		"without SASL":            func(c *KafkaConfig) { c.User = "u" },
		"shows the password":      func(c *KafkaConfig) { c.SASL, c.User, c.Password = "PLAIN", "u", "p" },
		"password file":           func(c *KafkaConfig) { c.SASL, c.User, c.PasswordFile = "PLAIN", "u", "/nowhere" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewKafka(cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
