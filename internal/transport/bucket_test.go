package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

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

// A listing of the whole bucket is told key by key, and that it is done once its objects
// were handled. One that fails is not done.
func TestBucketListing(t *testing.T) {
	s := newStore(t)
	s.put("dns/a", "one")
	s.put("dns/b", "two")
	s.put("other", "no")
	r := &bucketReader{t: t}
	told := make(chan string, 1000)
	r.start(BucketConfig{Endpoint: s.url, Bucket: "logs", Prefix: "dns/", Poll: 10 * time.Millisecond, Relist: time.Nanosecond, Listing: func() (func(string), func()) {
		var keys []string
		return func(k string) { keys = append(keys, k) }, func() { told <- strings.Join(keys, " ") }
	}})
	r.want("dns/a=one", "dns/b=two")
	if got := <-told; got != "dns/a dns/b" {
		t.Errorf("listed %q", got)
	}
	if _, err := s.backend.DeleteObject("logs", "dns/a"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); <-told != "dns/b"; {
		if time.Now().After(end) {
			t.Fatal("the object is listed though it is gone")
		}
	}
	r.stop()
	for len(told) > 0 {
		<-told
	}
	r = &bucketReader{t: t}
	r.start(BucketConfig{Endpoint: s.url, Bucket: "nowhere", Poll: 10 * time.Millisecond, Listing: func() (func(string), func()) {
		return func(string) {}, func() { told <- "" }
	}})
	r.wantFailed("bucket nowhere: ", "NoSuchBucket")
	r.cancel()
	if err := <-r.done; err != nil || len(told) > 0 {
		t.Errorf("%v; a listing that failed is done", err)
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
