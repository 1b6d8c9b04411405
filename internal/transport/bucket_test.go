package transport

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// store is an S3-compatible server with the bucket "logs", whose answers can be
// cut, and a queue.
type store struct {
	t       *testing.T
	backend *s3mem.Backend
	url     string

	mu       sync.Mutex
	cut      int // objects of so many next requests break off half way
	ranges   []string
	listings int
	messages map[string]string // waiting, by receipt
	hidden   map[string]string // given
	renewed  int
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{t: t, backend: s3mem.New(), messages: map[string]string{}, hidden: map[string]string{}}
	if err := s.backend.CreateBucket("logs"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(s.backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
			s.queue(w, r, target)
			return
		}
		s.mu.Lock()
		cut := r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && s.cut > 0
		if r.URL.Query().Has("list-type") {
			s.listings++
		}
		if rng := r.Header.Get("Range"); rng != "" {
			s.ranges = append(s.ranges, rng)
		}
		if cut {
			s.cut--
		}
		s.mu.Unlock()
		if !cut {
			fake.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *store) put(key, text string) {
	s.t.Helper()
	if _, err := s.backend.PutObject("logs", key, map[string]string{}, strings.NewReader(text), int64(len(text)), nil); err != nil {
		s.t.Fatal(err)
	}
}

// queue answers as SQS does, in its JSON protocol.
func (s *store) queue(w http.ResponseWriter, r *http.Request, target string) {
	var in struct{ ReceiptHandle string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	var list []map[string]string
	switch target {
	case "ReceiveMessage":
		for _, receipt := range slices.Sorted(maps.Keys(s.messages)) {
			body := s.messages[receipt]
			sum := md5.Sum([]byte(body))
			list = append(list, map[string]string{"MessageId": receipt, "ReceiptHandle": receipt, "Body": body, "MD5OfBody": hex.EncodeToString(sum[:])})
			s.hidden[receipt] = body
			delete(s.messages, receipt)
		}
		if len(list) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	case "DeleteMessage":
		delete(s.hidden, in.ReceiptHandle)
	case "ChangeMessageVisibility":
		s.renewed++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Messages": list})
}

// bucketReader collects what a Bucket hands over.
type bucketReader struct {
	t      *testing.T
	got    chan string
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	fail   string // this key fails
	sums   map[string]string
	failed []string
}

func (r *bucketReader) start(cfg BucketConfig) {
	r.t.Helper()
	r.got, r.sums = make(chan string, 1000), map[string]string{}
	cfg.AccessKey, cfg.SecretKey, cfg.PathStyle = "AKID", "secret", true
	cfg.Done = func(key, etag string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.sums[key] == etag && etag != ""
	}
	cfg.Failed = func(_ string, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failed = append(r.failed, err.Error())
	}
	ctx, cancel := context.WithCancel(context.Background())
	b, err := NewBucket(ctx, cfg, func(_ context.Context, o *Object) error {
		text, err := io.ReadAll(o.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		if o.Key == r.fail {
			return errors.New("store is full")
		}
		if o.Bucket != "logs" || cfg.Queue == "" && o.Modified.IsZero() || o.Size != int64(len(text)) {
			r.t.Errorf("object %+v", o)
		}
		r.sums[o.Key] = o.ETag
		r.got <- o.Key + "=" + string(text)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- b.Run(ctx) }()
}

// want waits for these, in any order.
func (r *bucketReader) want(want ...string) {
	r.t.Helper()
	var got []string
	for range want {
		select {
		case s := <-r.got:
			got = append(got, s)
		case <-time.After(20 * time.Second):
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("got %q, want %q; failed %q", got, want, r.failed)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Fatalf("got %q, want %q", got, want)
	}
}

func (r *bucketReader) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("run: %v", err)
	}
	if len(r.got) > 0 {
		r.t.Errorf("one too many: %s", <-r.got)
	}
}

func (r *bucketReader) wantFailed(parts ...string) {
	r.t.Helper()
	for range 2000 {
		r.mu.Lock()
		n := len(r.failed)
		r.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range parts {
		if len(r.failed) == 0 || !strings.Contains(r.failed[0], p) {
			r.t.Fatalf("failed %q, want %q", r.failed, p)
		}
	}
	r.failed = nil
}

func TestBucketLists(t *testing.T) {
	s := newStore(t)
	s.put("dns/b", "one")
	s.put("dns/c", "two")
	s.put("dns/", "")
	s.put("other/x", "no")
	r := &bucketReader{t: t}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs", Prefix: "dns/", Poll: 10 * time.Millisecond, Relist: 100 * time.Millisecond, MaxObject: 10})
	r.want("dns/b=one", "dns/c=two")
	s.put("dns/d", "behind")
	r.want("dns/d=behind")
	s.put("dns/a", "before") // found when the bucket is listed whole
	r.want("dns/a=before")
	s.put("dns/b", "changed")
	r.want("dns/b=changed")
	s.put("dns/large", strings.Repeat("x", 11))
	r.wantFailed("bucket logs: object dns/large: 11 bytes, at most 10")
	time.Sleep(150 * time.Millisecond)
	r.stop()
	if len(r.failed) > 0 {
		t.Errorf("failed %q", r.failed)
	}
}

func TestBucketPages(t *testing.T) {
	s := newStore(t)
	var want []string
	for i := range 1100 {
		key := fmt.Sprintf("k%04d", i)
		s.put(key, "x")
		want = append(want, key+"=x")
	}
	r := &bucketReader{t: t}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs"})
	r.want(want...)
	r.stop()
	if s.listings != 2 {
		t.Errorf("%d listings", s.listings)
	}
}

func TestBucketRetriesObjects(t *testing.T) {
	s := newStore(t)
	s.put("bad", "1")
	s.put("good", "2")
	r := &bucketReader{t: t, fail: "bad"}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs", Poll: 20 * time.Millisecond})
	r.want("good=2")
	r.wantFailed("object bad: store is full")
	r.mu.Lock()
	r.fail = ""
	r.mu.Unlock()
	r.want("bad=1")
	r.stop()
}

// A transfer that breaks off goes on where it did.
func TestBucketReadsOn(t *testing.T) {
	s := newStore(t)
	text := strings.Repeat("0123456789", 10_000)
	s.put("k", text)
	s.cut = 2
	r := &bucketReader{t: t}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs"})
	r.want("k=" + text)
	r.stop()
	if !slices.Equal(s.ranges, []string{"bytes=50000-", "bytes=75000-"}) || len(r.failed) > 0 {
		t.Errorf("ranges %q, failed %q", s.ranges, r.failed)
	}
}

func TestBucketQueue(t *testing.T) {
	s := newStore(t)
	s.put("a b", "direct")
	s.put("by/sns", "wrapped")
	s.put("by/bridge", "event")
	s.put("trail", "itself")
	record := func(key string) string {
		return `{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"logs"},"object":{"key":"` + key + `"}}}]}`
	}
	sns, _ := json.Marshal(map[string]string{"Type": "Notification", "Message": record("by/sns")})
	s.messages = map[string]string{
		"1": record("a+b"),
		"2": string(sns),
		"3": `{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"logs"},"object":{"key":"by/bridge"}}}`,
		"4": `{"s3Bucket":"logs","s3ObjectKey":["trail"]}`,
		"5": `{"Service":"Amazon S3","Event":"s3:TestEvent"}`,
		"6": `{"Records":[{"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"logs"},"object":{"key":"a b"}}}]}`,
		"7": strings.ReplaceAll(record("x"), "logs", "elsewhere"),
		"8": record("a+b"), // told twice, done once
		"9": record("missing"),
	}
	r := &bucketReader{t: t}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs", Queue: s.url + "/1/q", Region: "us-east-1", Workers: 1})
	r.want("a b=direct", "by/sns=wrapped", "by/bridge=event", "trail=itself")
	r.wantFailed("object missing: ")
	s.empty()
	// What is none stays in the queue, and so does what fails.
	s.mu.Lock()
	s.messages["a"] = "none of ours"
	s.mu.Unlock()
	r.wantFailed("message a is left alone")
	s.put("bad", "1")
	r.mu.Lock()
	r.fail = "bad"
	r.mu.Unlock()
	s.mu.Lock()
	s.messages["b"] = record("bad")
	s.mu.Unlock()
	r.wantFailed("object bad: store is full")
	r.stop()
	if got := slices.Sorted(maps.Keys(s.hidden)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("left in the queue: %q", got)
	}
}

// empty waits until the queue has nothing.
func (s *store) empty() {
	s.t.Helper()
	for range 2000 {
		s.mu.Lock()
		n := len(s.messages) + len(s.hidden)
		s.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("queue still has %v, hidden %v", s.messages, s.hidden)
}

// A message stays hidden as long as its object is handled.
func TestBucketQueueKeepsMessages(t *testing.T) {
	s := newStore(t)
	s.put("k", "x")
	s.messages["1"] = `{"s3Bucket":"logs","s3ObjectKey":["k"]}`
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := BucketConfig{Endpoint: s.url, Queue: s.url + "/1/q", PathStyle: true, AccessKey: "AKID", SecretKey: "secret", Hidden: 20 * time.Millisecond}
	b, err := NewBucket(ctx, cfg, func(context.Context, *Object) error {
		for {
			s.mu.Lock()
			n := s.renewed
			s.mu.Unlock()
			if n >= 2 {
				cancel() // what was handled is deleted all the same
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(ctx); err != nil {
		t.Error(err)
	}
	if len(s.hidden) > 0 {
		t.Error("message was not deleted")
	}
}

func TestBucketConfiguration(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	done := func(string, string) bool { return false }
	for want, cfg := range map[string]BucketConfig{
		"name a bucket":                  {},
		"which objects were done with":   {Bucket: "b", Region: "r"},
		"belong together":                {Bucket: "b", Done: done, AccessKey: "a"},
		`endpoint "host:1": want a URL`:  {Bucket: "b", Done: done, Endpoint: "host:1"},
		`queue "ftp://x/y": want a URL`:  {Queue: "ftp://x/y"},
		"bucket b: no region; set the o": {Bucket: "b", Done: done},
	} {
		if _, err := NewBucket(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	b, err := NewBucket(context.Background(), BucketConfig{Queue: "https://sqs.eu-west-1.amazonaws.com/123/q"}, nil)
	if err != nil || b.s3.Options().Region != "eu-west-1" {
		t.Errorf("region of the queue: %v", err)
	}
	path := filepath.Join(t.TempDir(), "credentials")
	write(t, path, "[dns]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n", os.O_CREATE)
	b, err = NewBucket(context.Background(), BucketConfig{Bucket: "b", Done: done, Region: "r", CredentialsFile: path, Profile: "dns"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.s3.Options().Credentials.Retrieve(context.Background()); err != nil || c.AccessKeyID != "AKFILE" {
		t.Errorf("credentials %v %v", c, err)
	}
}

func TestNotified(t *testing.T) {
	for _, body := range []string{"", "[]", "{}", `{"Records":[{"eventName":"ObjectCreated:Put"}]}`, `{"s3Bucket":"b","s3ObjectKey":[""]}`,
		`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%zz"}}}]}`} {
		if got, err := notified([]byte(body)); err == nil {
			t.Errorf("%s: %v", body, got)
		}
	}
}
