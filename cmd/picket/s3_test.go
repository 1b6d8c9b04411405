package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// s3Store is an S3-compatible store in this process.
type s3Store struct{ endpoint string }

// startS3 starts one with a bucket.
func startS3(t *testing.T, bucket string) *s3Store {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithTimeSource(gofakes3.DefaultTimeSource())).Server())
	t.Cleanup(srv.Close)
	return &s3Store{endpoint: srv.URL}
}

// put stores an object. The server in this process checks no signature.
func (s *s3Store) put(bucket, key string, b []byte) error {
	req, err := http.NewRequest(http.MethodPut, s.endpoint+"/"+bucket+"/"+key, bytes.NewReader(b))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("put %s: %s", key, resp.Status)
	}
	return nil
}

// yaml begins the configuration of an input that reads a bucket; its brace is open.
func (s *s3Store) yaml(dir, bucket, prefix string) string {
	keys := filepath.Join(dir, "credentials")
	if err := os.WriteFile(keys, []byte("[default]\naws_access_key_id = picket\naws_secret_access_key = picket\n"), 0o600); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("bucket: {name: %s, prefix: %q, endpoint: %q, region: eu-central-1, credentials_file: %s", bucket, prefix, s.endpoint, keys)
}
