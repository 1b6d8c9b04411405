package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	defaultFetch      = 8 << 20
	defaultBatch      = 10_000
	kafkaCommit       = 10 * time.Second // commits may take that long at the end
	kafkaSayAgain     = time.Minute      // the same complaint of the client comes once in that time
	kafkaRebalance    = 2 * time.Minute
	kafkaSaslPlain    = "PLAIN"
	kafkaSaslScram256 = "SCRAM-SHA-256"
	kafkaSaslScram512 = "SCRAM-SHA-512"
)

// KafkaConfig says which topics to consume, and how.
type KafkaConfig struct {
	// Brokers are host:port, at least one.
	Brokers []string
	// Topics and Group are needed; members of the same group share the partitions.
	Topics []string
	Group  string
	// ClientID is how the brokers name the client; "" means "picket".
	ClientID string
	// Instance, when not "", makes the process a static member of the group (KIP-345):
	// started again it has its partitions back at once, not when the group has given
	// the former one up. No two processes may have the same.
	Instance string
	// TLS, when set, connects with it.
	TLS *tls.Config
	// SASL is "", "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512", with User and
	// Password, or PasswordFile, which is read anew for each connection.
	SASL         string
	User         string
	Password     string
	PasswordFile string
	// Insecure allows PLAIN, which sends the password as it is, without TLS.
	Insecure bool
	// FromEnd starts a group that has no offsets yet behind what topics hold.
	FromEnd bool
	// FetchBytes bounds what one request fetches; 0 means 8 MiB. At most two requests
	// are under way or waiting to be handled.
	FetchBytes int32
	// MaxRecords bounds the records of a batch; 0 means 10,000.
	MaxRecords int
	// Resume, when set, tells the first offset that has not been stored yet, false
	// when none of the partition has. On assignment it counts when it is greater
	// than what the group committed: then the process ended between the two.
	Resume func(topic string, partition int32) (next int64, ok bool)
	// Failed, when set, is told of errors; consuming goes on.
	Failed func(err error)

	dial func(ctx context.Context, network, host string) (net.Conn, error) // for tests
}

// Batch is consecutive records of a partition.
type Batch struct {
	Topic     string
	Partition int32
	// First and Last are the offsets of the first and last record. There may be gaps
	// between, after compaction and transactions.
	First, Last int64
	// Behind is how many offsets the partition has after Last.
	Behind  int64
	Records []BatchRecord
}

// BatchRecord is one record. Its bytes are the receiver's.
type BatchRecord struct {
	Offset     int64
	Time       time.Time
	Key, Value []byte
}

// Kafka consumes topics as a member of a group.
type Kafka struct {
	cfg    KafkaConfig
	handle func(ctx context.Context, b *Batch) error
	client *kgo.Client
	held   map[string]map[int32]*heldPartition // those whose last batch failed; Run's

	mu    sync.Mutex
	said  string // the client's last complaint
	saidA time.Time
}

// heldPartition is a partition that waits after its batch failed.
type heldPartition struct {
	wait  time.Duration
	until time.Time
	off   bool // fetching it is paused
}

// NewKafka checks the configuration. Brokers are asked by Run.
//
// Handle returns nil when the batch is stored; then its offset is committed, and
// never before. When it fails, the batch comes again after a pause, and other
// partitions go on meanwhile. Batches are handled one at a time, and a rebalance
// waits for the one in hand.
func NewKafka(cfg KafkaConfig, handle func(ctx context.Context, b *Batch) error) (*Kafka, error) {
	k := &Kafka{cfg: cfg, handle: handle, held: map[string]map[int32]*heldPartition{}}
	switch {
	case len(cfg.Brokers) == 0:
		return nil, errors.New("kafka: no brokers; name at least one as HOST:PORT")
	case len(cfg.Topics) == 0 || slices.Contains(cfg.Topics, ""):
		return nil, errors.New("kafka: no topics; name at least one")
	case cfg.Group == "":
		return nil, errors.New("kafka: no group; name one, under which the offsets are kept")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka: broker %q: want HOST:PORT", b)
		}
	}
	if k.cfg.FetchBytes <= 0 {
		k.cfg.FetchBytes = defaultFetch
	}
	if k.cfg.MaxRecords <= 0 {
		k.cfg.MaxRecords = defaultBatch
	}
	if k.cfg.ClientID == "" {
		k.cfg.ClientID = "picket"
	}
	opts, err := k.options()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if k.client, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return k, nil
}

func (k *Kafka) options() ([]kgo.Opt, error) {
	start := kgo.NewOffset().AtStart()
	if k.cfg.FromEnd {
		start = kgo.NewOffset().AtEnd()
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(k.cfg.Brokers...),
		kgo.ClientID(k.cfg.ClientID),
		kgo.ConsumerGroup(k.cfg.Group),
		kgo.ConsumeTopics(k.cfg.Topics...),
		kgo.ConsumeStartOffset(start),
		// What the topic has forgotten cannot be had; the first that it has can.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.RebalanceTimeout(kafkaRebalance),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(k.cfg.FetchBytes),
		kgo.FetchMaxPartitionBytes(min(k.cfg.FetchBytes, 1<<20)),
		kgo.MaxConcurrentFetches(2),
		kgo.AdjustFetchOffsetsFn(k.adjust),
		kgo.WithHooks(k),
	}
	if k.cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(k.cfg.Instance))
	}
	if k.cfg.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(k.cfg.TLS))
	}
	if k.cfg.dial != nil {
		opts = append(opts, kgo.Dialer(k.cfg.dial))
	}
	mechanism, err := k.sasl()
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, err
}

// sasl returns how to authenticate, nil for not at all.
func (k *Kafka) sasl() (sasl.Mechanism, error) {
	c := &k.cfg
	switch c.SASL {
	case "":
		if c.User != "" {
			return nil, errors.New("a user without SASL; set it to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil, nil
	case kafkaSaslPlain, kafkaSaslScram256, kafkaSaslScram512:
	default:
		return nil, fmt.Errorf("SASL %q: want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL)
	}
	if c.User == "" || c.Password == "" && c.PasswordFile == "" {
		return nil, fmt.Errorf("SASL %s needs a user and a password", c.SASL)
	}
	if _, err := c.password(); err != nil {
		return nil, err
	}
	if c.SASL == kafkaSaslPlain {
		if c.TLS == nil && !c.Insecure {
			return nil, errors.New("SASL PLAIN without TLS shows the password to the network; set TLS, use SCRAM, or allow it as insecure")
		}
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := c.password()
			return plain.Auth{User: c.User, Pass: pass}, err
		}), nil
	}
	auth := func(context.Context) (scram.Auth, error) {
		pass, err := c.password()
		return scram.Auth{User: c.User, Pass: pass}, err
	}
	if c.SASL == kafkaSaslScram256 {
		return scram.Sha256(auth), nil
	}
	return scram.Sha512(auth), nil
}

func (c *KafkaConfig) password() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	pass := strings.TrimRight(string(b), "\r\n")
	if pass == "" {
		return "", fmt.Errorf("password file %s is empty", c.PasswordFile)
	}
	return pass, nil
}

// adjust lets what is stored override what was committed, on assignment.
func (k *Kafka) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if k.cfg.Resume == nil {
		return offsets, nil
	}
	for topic, partitions := range offsets {
		for p, committed := range partitions {
			// Without a commit the offset is negative, and says start or end.
			if next, ok := k.cfg.Resume(topic, p); ok && next > committed.EpochOffset().Offset {
				partitions[p] = kgo.NewOffset().At(next)
			}
		}
	}
	return offsets, nil
}

// Run consumes until ctx is done, and leaves the group then.
func (k *Kafka) Run(ctx context.Context) error {
	defer k.client.CloseAllowingRebalance()
	for {
		poll, cancel := k.untilDue(ctx)
		fetched := k.client.PollRecords(poll, k.cfg.MaxRecords)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if fetched.IsClientClosed() {
			return errors.New("kafka: the client is closed")
		}
		fetched.EachPartition(func(p kgo.FetchTopicPartition) {
			switch {
			case p.Err != nil && !errors.Is(p.Err, context.DeadlineExceeded):
				k.say(fmt.Errorf("topic %s partition %d: %w", p.Topic, p.Partition, p.Err))
			case len(p.Records) > 0 && ctx.Err() == nil:
				k.take(ctx, p)
			}
		})
		k.client.AllowRebalance()
	}
}

// take has what was fetched of a partition handled, and commits it.
func (k *Kafka) take(ctx context.Context, p kgo.FetchTopicPartition) {
	first, last := p.Records[0], p.Records[len(p.Records)-1]
	b := &Batch{Topic: p.Topic, Partition: p.Partition, First: first.Offset, Last: last.Offset, Records: make([]BatchRecord, len(p.Records))}
	b.Behind = max(0, p.HighWatermark-last.Offset-1)
	for i, r := range p.Records {
		b.Records[i] = BatchRecord{Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value}
	}
	if err := k.handle(ctx, b); err != nil {
		if ctx.Err() == nil {
			k.failed(fmt.Errorf("kafka: topic %s partition %d offsets %d to %d: %w", b.Topic, b.Partition, b.First, b.Last, err))
			k.hold(b, first.LeaderEpoch)
		}
		return
	}
	delete(k.held[b.Topic], b.Partition)
	// What is stored is committed even when ctx has ended since.
	commit, cancel := context.WithTimeout(context.WithoutCancel(ctx), kafkaCommit)
	defer cancel()
	if err := k.client.CommitRecords(commit, last); err != nil {
		k.say(fmt.Errorf("commit topic %s partition %d offset %d: %w", b.Topic, b.Partition, b.Last+1, err))
	}
}

// hold goes back to the begin of a batch, and pauses its partition.
func (k *Kafka) hold(b *Batch, epoch int32) {
	if k.held[b.Topic] == nil {
		k.held[b.Topic] = map[int32]*heldPartition{}
	}
	h := k.held[b.Topic][b.Partition]
	if h == nil {
		h = &heldPartition{wait: retryFirst / 2}
		k.held[b.Topic][b.Partition] = h
	}
	h.wait = min(2*h.wait, retryLast)
	h.until, h.off = time.Now().Add(h.wait), true
	k.client.PauseFetchPartitions(map[string][]int32{b.Topic: {b.Partition}})
	k.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{b.Topic: {b.Partition: {Epoch: epoch, Offset: b.First}}})
}

// untilDue resumes the partitions that have waited long enough, and returns a
// context that ends when the next one has.
func (k *Kafka) untilDue(ctx context.Context) (context.Context, context.CancelFunc) {
	now := time.Now()
	var due time.Time
	for topic, partitions := range k.held {
		for p, h := range partitions {
			switch {
			case !h.off:
			case !h.until.After(now):
				h.off = false
				k.client.ResumeFetchPartitions(map[string][]int32{topic: {p}})
			case due.IsZero() || h.until.Before(due):
				due = h.until
			}
		}
	}
	if due.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, due)
}

func (k *Kafka) failed(err error) {
	if k.cfg.Failed != nil {
		k.cfg.Failed(err)
	}
}

// say reports an error of the client, which repeats them, once in a while.
func (k *Kafka) say(err error) {
	k.mu.Lock()
	again := err.Error() == k.said && time.Since(k.saidA) < kafkaSayAgain
	if !again {
		k.said, k.saidA = err.Error(), time.Now()
	}
	k.mu.Unlock()
	if !again {
		k.failed(fmt.Errorf("kafka: %w", err))
	}
}

// OnBrokerConnect is the client's way to say that it could not connect.
func (k *Kafka) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		k.say(fmt.Errorf("connect to %s: %w", net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port)), err))
	}
}

// OnGroupManageError is the client's way to say that it is no member now.
func (k *Kafka) OnGroupManageError(err error) {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, kgo.ErrClientClosed) {
		k.say(fmt.Errorf("group %s: %w", k.cfg.Group, err))
	}
}

// Close closes a consumer that is not run.
func (k *Kafka) Close() error {
	k.client.CloseAllowingRebalance()
	return nil
}
