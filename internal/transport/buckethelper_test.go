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
