package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func TestFollowGrowsAndRotates(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "query.log"})
	w.start() // not there yet
	w.write("query.log", "one\n")
	w.want("query.log+one\n")
	w.write("query.log", "two\nthr")
	w.want("two\nthr")

	// Renamed, created anew while the writer still has the old one open, then used.
	w.rename("query.log", "query.log.1")
	w.write("query.log", "")
	time.Sleep(30 * time.Millisecond)
	w.write("query.log.1", "ee\nlast without end")
	w.want("ee\nlast without end")
	w.write("query.log", "four\n")
	w.want("query.log-query.log+four\n")

	// Emptied without a copy: smaller, then longer than before.
	write(t, w.file("query.log"), "5\n", os.O_TRUNC)
	w.want("query.log-query.log+5\n")
	write(t, w.file("query.log"), "after truncation and much longer than before\n", os.O_TRUNC)
	w.want("query.log-query.log+after truncation and much longer than before\n")
	w.stop()
	w.want("query.log!")
	if len(w.failed) > 0 {
		t.Error(w.failed)
	}
}

func TestFollowCopytruncateLosesNothing(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "q"})
	w.cfg.Poll = 50 * time.Millisecond
	w.write("q", "one\n")
	w.start()
	w.want("q+one\n")
	w.write("q", "two\n") // between two looks
	b, err := os.ReadFile(w.file("q"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("q.1", string(b))
	write(t, w.file("q"), "", os.O_TRUNC)
	w.write("q", "3\n")
	w.want("two\nq-q+3\n")
	w.stop()
}

func TestFollowResumes(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "query.log"})
	w.write("query.log", "one\ntwo\n")
	w.start()
	w.want("query.log+one\ntwo\n")
	w.stop()
	w.want("query.log!")
	if p := w.saved[w.cfg.Path]; p.Offset != 8 || string(p.Head) != "one\ntwo\n" || p.Modified.IsZero() {
		t.Fatalf("position %+v", p)
	}

	w.write("query.log", "three\n")
	w.start()
	w.want("query.log+three\n")
	w.stop()
	w.want("query.log!")

	// Rotated while nobody followed: the rest of the old file comes first.
	w.write("query.log", "four\n")
	w.rename("query.log", "query.log.1")
	w.write("query.log", "five\n")
	w.start()
	w.want("query.log+four\nquery.log-query.log+five\n")
	w.stop()
	w.want("query.log!")

	// Gone altogether: what is there now is read from its beginning.
	w.saved[w.cfg.Path] = Position{Offset: 3, Head: []byte("something else")}
	w.start()
	w.want("query.log+five\n")
	w.stop()
	w.want("query.log!")
}

// Rotated several times while nobody followed: everything since is read, in order.
func TestFollowResumesThroughSeveralRotations(t *testing.T) {
	compress := map[string]func(io.Writer) (io.WriteCloser, error){
		"":     nil,
		".gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		".zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		".xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	}
	for ext, compressor := range compress {
		t.Run("compressed"+ext, func(t *testing.T) {
			w := newFollowed(t, FollowConfig{Path: "q"})
			pack := func(text string) string {
				if compressor == nil {
					return text
				}
				var b bytes.Buffer
				z, err := compressor(&b)
				if err == nil {
					_, err = io.WriteString(z, text)
				}
				if err == nil {
					err = z.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			w.saved[w.file("q")] = Position{Offset: 4, Head: []byte("one\n"), Modified: time.Now().Add(-80 * time.Hour)}
			w.aged("q.4"+ext, pack("older\n"), 96)
			w.aged("q.3"+ext, pack("one\ntwo\n"), 72)
			w.aged("q.2"+ext, pack("three\n"), 48)
			w.aged("q.1", "four\n", 24)
			w.aged("q.bak", "none of them\n", 1)
			w.write("q", "five\n")
			w.start()
			w.want("q+two\nq-q+three\nq-q+four\nq-q+five\n")
			w.stop()
			w.want("q!")
			if got := w.files[0].Compressed(); got != (ext != "") {
				t.Errorf("Compressed %v", got)
			}
			w.start() // nothing comes twice
			w.write("q", "six\n")
			w.want("q+six\n")
			w.stop()
		})
	}
}

// A rotated file that is damaged does not keep the rest from being followed.
func TestFollowDamagedRotatedFile(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "q"})
	w.saved[w.file("q")] = Position{Offset: 4, Head: []byte("one\n"), Modified: time.Now().Add(-80 * time.Hour)}
	w.aged("q.2.gz", "no gzip", 48)
	w.write("q", "five\n")
	w.start()
	w.wantFailed("q.2.gz", "left out")
	w.want("q+five\n")
	w.stop()
}

func TestFollowPattern(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "*.log*", FromEnd: true})
	w.write("a.log", "old\n")
	w.aged("a.log.1", "older\n", 1)
	w.aged("a.log-20260101.gz", "oldest\n", 1)
	w.write("other", "no\n")
	if err := os.Mkdir(w.file("dir.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.want("a.log+")
	time.Sleep(20 * time.Millisecond)
	w.write("b.log", "new\n") // appeared later: from its beginning
	w.want("b.log+new\n")
	w.write("a.log", "more\n")
	w.want("more\n")
	// Renamed to something that matches too, and does not look like a rotated form.
	w.rename("a.log", "archived.log")
	time.Sleep(30 * time.Millisecond)
	w.write("a.log", "next\n")
	w.want("a.log-a.log+next\n")
	time.Sleep(30 * time.Millisecond)
	w.write("b.log", "end\n")
	w.want("end\n")
	w.stop()
}

func TestFollowTooManyFiles(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "*.log", MaxFiles: 2})
	for _, name := range []string{"a", "b", "c", "d"} {
		w.write(name+".log", "")
	}
	w.cfg.MaxFiles = 2
	w.start()
	w.wantFailed("2 files are followed", "c.log, ", "d.log", "raise the limit")
	for range 1000 {
		w.mu.Lock()
		n := len(w.files)
		w.mu.Unlock()
		if n == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.stop()
	if len(w.files) != 2 || len(w.failed) != 0 {
		t.Errorf("followed %d, failed %q", len(w.files), w.failed)
	}
}

func TestFollowRetriesWhatFailed(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "q", FromEnd: true})
	w.write("q", "old\n")
	var calls int
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan string, 1)
	w.done = make(chan error, 1)
	go func() {
		w.done <- Follow(ctx, w.cfg, func(_ context.Context, f *FollowedFile) error {
			if calls++; calls == 1 {
				return errors.New("store is full")
			}
			b := make([]byte, 10)
			n, _ := f.Read(b)
			got <- string(b[:n])
			return nil
		})
	}()
	w.wantFailed("q: store is full")
	w.write("q", "new\n")
	if s := <-got; s != "new\n" { // where it was begun, not at the file's beginning
		t.Errorf("got %q", s)
	}
	w.write("q", "left alone\n") // since handle returned before the end
	w.rename("q", "q.1")
	w.write("q", "next")
	if s := <-got; s != "next" {
		t.Errorf("got %q", s)
	}
	cancel()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

func TestFollowDeadline(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "q"})
	w.write("q", "abc")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := Follow(ctx, w.cfg, func(_ context.Context, f *FollowedFile) error {
		defer cancel()
		_ = f.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		b := make([]byte, 10)
		if n, err := f.Read(b); n != 3 || err != nil {
			t.Error(n, err)
		}
		if _, err := f.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_ = f.SetReadDeadline(time.Time{})
		w.write("q", "d")
		if n, err := f.Read(b); n != 1 || err != nil || f.Offset() != 4 || string(f.Head()) != "abcd" {
			t.Error(n, err, f.Offset(), f.Head())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFollowRefuses(t *testing.T) {
	w := newFollowed(t, FollowConfig{})
	for path, want := range map[string]string{"": "no path", w.dir + "/[x": "syntax error"} {
		if err := Follow(context.Background(), FollowConfig{Path: path}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	w.start() // the directory itself
	w.wantFailed("no regular file", "*.log")
	w.stop()
}

func TestRotatedNames(t *testing.T) {
	known := map[string]bool{"q.log": true, "/x/q-1.log": true}
	for name, want := range map[string]bool{
		"q.log": false, "q.log.1": true, "q.log.12.gz": true, "q.log-20260101": true, "q.log-2026-01-01T00:00:00Z.zst": true, "q.log_1.xz": true,
		"q.log.gz": true, "q.log.old": false, "q.log2": false, "q.log.1.swp": false, "/x/q-1.log": false, "/x/q-2.log": false, "/x/q-1.log.1": true, "": false,
	} {
		if got := rotatedFrom(name, known); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
