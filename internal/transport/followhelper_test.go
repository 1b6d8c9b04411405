package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// followed runs Follow, keeps positions as a store does, and tells what is handed
// out: "path+" at a generation's begin, its bytes, "path-" when it was rotated
// away, "path!" when Follow was stopped.
type followed struct {
	t      *testing.T
	dir    string
	cfg    FollowConfig
	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	cond   *sync.Cond
	got    string
	failed []string
	saved  map[string]Position
	files  []*FollowedFile
}

func newFollowed(t *testing.T, cfg FollowConfig) *followed {
	w := &followed{t: t, dir: t.TempDir(), cfg: cfg, saved: map[string]Position{}}
	w.cond = sync.NewCond(&w.mu)
	w.cfg.Path = filepath.Join(w.dir, cfg.Path)
	w.cfg.Poll = 5 * time.Millisecond
	w.cfg.Resume = func(path string) (Position, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		p, ok := w.saved[path]
		return p, ok
	}
	w.cfg.Failed = func(path string, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failed = append(w.failed, fmt.Sprint(strings.TrimPrefix(path, w.dir+"/"), ": ", err))
		w.cond.Broadcast()
	}
	return w
}

func (w *followed) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan error, 1)
	go func() { w.done <- Follow(ctx, w.cfg, w.handle) }()
}

func (w *followed) handle(_ context.Context, f *FollowedFile) error {
	name := strings.TrimPrefix(f.Path(), w.dir+"/")
	w.mu.Lock()
	w.files = append(w.files, f)
	w.mu.Unlock()
	w.add(name + "+")
	b := make([]byte, 7)
	for {
		n, err := f.Read(b)
		w.mu.Lock()
		w.saved[f.Path()] = f.Position()
		w.mu.Unlock()
		w.add(string(b[:n]))
		switch {
		case err == io.EOF && f.Rotated():
			w.add(name + "-")
			return nil
		case err == io.EOF:
			w.add(name + "!")
			return nil
		case err != nil:
			return err
		}
	}
}

func (w *followed) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got += s
	w.cond.Broadcast()
}

// want waits until exactly that has come since the last want.
func (w *followed) want(want string) {
	w.t.Helper()
	timer := time.AfterFunc(10*time.Second, func() { w.cond.Broadcast() })
	defer timer.Stop()
	end := time.Now().Add(10 * time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.got) < len(want) && time.Now().Before(end) {
		w.cond.Wait()
	}
	if w.got != want {
		w.t.Fatalf("got %q, want %q; failed %q", w.got, want, w.failed)
	}
	w.got = ""
}

func (w *followed) wantFailed(parts ...string) {
	w.t.Helper()
	timer := time.AfterFunc(10*time.Second, func() { w.cond.Broadcast() })
	defer timer.Stop()
	end := time.Now().Add(10 * time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.failed) == 0 && time.Now().Before(end) {
		w.cond.Wait()
	}
	for _, p := range parts {
		if len(w.failed) == 0 || !strings.Contains(w.failed[0], p) {
			w.t.Fatalf("failed %q, want %q", w.failed, p)
		}
	}
	w.failed = w.failed[1:]
}

func (w *followed) stop() {
	w.t.Helper()
	w.cancel()
	if err := <-w.done; err != nil {
		w.t.Errorf("follow: %v", err)
	}
}

func (w *followed) file(name string) string { return filepath.Join(w.dir, name) }

func (w *followed) write(name, text string) { write(w.t, w.file(name), text, os.O_CREATE|os.O_APPEND) }

func (w *followed) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(w.file(from), w.file(to)); err != nil {
		w.t.Fatal(err)
	}
}

// aged writes a file that was last written to so many hours ago.
func (w *followed) aged(name, text string, hours int) {
	w.t.Helper()
	w.write(name, text)
	at := time.Now().Add(-time.Duration(hours) * time.Hour)
	if err := os.Chtimes(w.file(name), at, at); err != nil {
		w.t.Fatal(err)
	}
}

// A writer that rotates by renaming, several times between two looks now and then,
// and a follower that is stopped and started: every line comes once, in order.
func TestFollowLosesNothing(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "q"})
	random := rand.New(rand.NewPCG(1, 2))
	w.write("q", "")
	w.start()
	var want strings.Builder
	running, generation := true, 0
	for i := range 400 {
		line := fmt.Sprintf("line %d of generation %d\n", i, generation)
		want.WriteString(line)
		w.write("q", line)
		if random.IntN(8) == 0 {
			generation++
			time.Sleep(10 * time.Millisecond) // for the times of files to differ
			w.rename("q", fmt.Sprintf("q.%d", 1000-generation))
		}
		if random.IntN(20) == 0 {
			if running {
				w.stop()
			} else {
				w.start()
			}
			running = !running
		}
		if random.IntN(10) == 0 {
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
	if !running {
		w.start()
	}
	lines := func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return strings.NewReplacer("q+", "", "q-", "", "q!", "").Replace(w.got)
	}
	for range 2000 {
		if len(lines()) >= want.Len() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.stop()
	got, wanted := strings.Split(lines(), "\n"), strings.Split(want.String(), "\n")
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) || got[i] != wanted[i] {
			t.Fatalf("%d lines of %d, differ at %d: got %q\nwant %q; failed %q", len(got), len(wanted), i, got[max(0, i-2):min(i+4, len(got))], wanted[max(0, i-2):min(i+4, len(wanted))], w.failed)
		}
	}
}
