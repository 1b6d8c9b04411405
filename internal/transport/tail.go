package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// TailConfig says what to follow.
type TailConfig struct {
	Path string
	// Poll is how often a silent file is looked at; 0 means 250 ms.
	Poll time.Duration
	// From resumes at a saved position. When the file there is no longer the
	// saved one, it is looked for under names that begin with Path (Path.1, as
	// log rotation leaves it) and read to its end first.
	From *Position
	// FromEnd starts behind what the file holds already; without From.
	FromEnd bool
	// Lines completes a last line that rotation left without its end. Not for
	// binary content.
	Lines bool
	// Save, when set, is told the position whenever the file has been read to
	// its end, and at the end of following.
	Save func(Position)
}

// Tail reads a file that grows, and goes on with its successor when it is
// rotated, by renaming and creating anew or by copying and truncating. It does
// not end by itself; the context ends it. A path that does not exist yet is
// waited for.
type Tail struct {
	cfg      TailConfig
	ctx      context.Context
	deadline *deadline
	rotated  bool // the path names another file; what is left here is read first
	caughtUp bool // the last read met the end
	last     byte // last byte handed out

	mu     sync.Mutex // guards f against Close, and offset and head against Position
	f      *os.File
	offset int64
	head   []byte
	closed bool
}

// NewTail begins to follow a file.
func NewTail(ctx context.Context, cfg TailConfig) (*Tail, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = 250 * time.Millisecond
	}
	t := &Tail{cfg: cfg, ctx: ctx, deadline: newDeadline(), last: '\n'}
	if err := t.begin(); err != nil {
		return nil, fmt.Errorf("follow %s: %w", cfg.Path, err)
	}
	return t, nil
}

// begin opens the file to start with.
func (t *Tail) begin() error {
	err := t.open(t.cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && t.cfg.From == nil:
		return nil // waited for
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if from := t.cfg.From; from != nil && len(from.Head) > 0 {
		if t.f != nil && t.resume(from) {
			return nil
		}
		return t.beginBacklog(from)
	}
	if t.f != nil && t.cfg.FromEnd {
		t.offset, err = t.f.Seek(0, io.SeekEnd)
	}
	return err
}

// beginBacklog looks for the saved file under its rotated name.
func (t *Tail) beginBacklog(from *Position) error {
	entries, err := os.ReadDir(filepath.Dir(t.cfg.Path))
	if err != nil {
		return err
	}
	current := t.f
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(t.cfg.Path), e.Name())
		if !e.Type().IsRegular() || name == t.cfg.Path || !strings.HasPrefix(e.Name(), filepath.Base(t.cfg.Path)) {
			continue
		}
		if t.open(name) != nil {
			continue
		}
		if t.resume(from) {
			t.rotated = true
			if current != nil {
				_ = current.Close()
			}
			return nil
		}
		_ = t.f.Close()
	}
	t.f, t.offset, t.head = current, 0, nil
	return nil
}

// resume goes to a saved position if the open file is the saved one.
func (t *Tail) resume(from *Position) bool {
	st, err := t.f.Stat()
	if err != nil || st.Size() < from.Offset || !t.begins(from.Head) {
		return false
	}
	if _, err := t.f.Seek(from.Offset, io.SeekStart); err != nil {
		return false
	}
	t.offset, t.head = from.Offset, bytes.Clone(from.Head[:min(len(from.Head), headBytes)])
	return true
}

// begins reports whether the open file begins with head.
func (t *Tail) begins(head []byte) bool {
	b := make([]byte, min(len(head), headBytes))
	n, err := t.f.ReadAt(b, 0)
	return (err == nil || err == io.EOF) && bytes.Equal(b[:n], head[:len(b)])
}

func (t *Tail) open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = f.Close()
		return os.ErrClosed
	}
	t.f, t.offset, t.head = f, 0, nil
	return nil
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; zero
// takes that back.
func (t *Tail) SetReadDeadline(at time.Time) error {
	t.deadline.change(at)
	return nil
}

// Position returns how far Read has come.
func (t *Tail) Position() Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Position{Offset: t.offset, Head: bytes.Clone(t.head)}
}

// Close ends following. Read must not be running any more, or its context must
// have ended.
func (t *Tail) Close() error {
	if t.cfg.Save != nil {
		t.cfg.Save(t.Position())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}

// Read implements io.Reader. It returns io.EOF when the context has ended.
func (t *Tail) Read(b []byte) (int, error) {
	for {
		if t.ctx.Err() != nil {
			return 0, io.EOF
		}
		if t.caughtUp {
			if err := t.follow(); err != nil {
				return 0, err
			}
			if t.offset == 0 { // begun again after a truncation
				if n := t.completeLine(b); n > 0 {
					return n, nil
				}
			}
		}
		n, err := t.readOnce(b)
		if n > 0 || (err != nil && err != io.EOF) {
			return n, err
		}
		if t.rotated {
			if n := t.completeLine(b); n > 0 {
				return n, nil
			}
			if err := t.next(); err != nil {
				return 0, err
			}
			continue
		}
		if !t.caughtUp && t.cfg.Save != nil && t.f != nil {
			t.cfg.Save(t.Position())
		}
		t.caughtUp = true
		if err := t.deadline.wait(t.ctx, nil, t.cfg.Poll); err != nil {
			if t.ctx.Err() != nil {
				return 0, io.EOF
			}
			return 0, err
		}
	}
}

// readOnce reads what there is.
func (t *Tail) readOnce(b []byte) (int, error) {
	if t.f == nil {
		return 0, io.EOF
	}
	n, err := t.f.Read(b)
	if n > 0 {
		t.mu.Lock()
		if room := headBytes - len(t.head); room > 0 && t.offset == int64(len(t.head)) {
			t.head = append(t.head, b[:min(n, room)]...)
		}
		t.offset += int64(n)
		t.mu.Unlock()
		t.last, t.caughtUp = b[n-1], false
	}
	return n, err
}

// completeLine ends a line that the rotated file's writer left open.
func (t *Tail) completeLine(b []byte) int {
	if !t.cfg.Lines || t.last == '\n' || len(b) == 0 {
		return 0
	}
	b[0], t.last = '\n', '\n'
	return 1
}

// follow looks, after a silence, whether the path still names the open file and
// the file still holds what was read.
func (t *Tail) follow() error {
	if t.f == nil {
		err := t.open(t.cfg.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("follow %s: %w", t.cfg.Path, err)
		}
		return nil
	}
	here, err := t.f.Stat()
	if err != nil {
		return fmt.Errorf("follow %s: %w", t.cfg.Path, err)
	}
	// As long as the new file is empty the writer may still have the old one open.
	if there, err := os.Stat(t.cfg.Path); err == nil && !os.SameFile(here, there) {
		t.rotated = there.Size() > 0 // read the rest of the open one, then go over
		return nil
	}
	if here.Size() < t.offset || (len(t.head) > 0 && !t.begins(t.head)) {
		return t.restart() // truncated; perhaps already longer again than before
	}
	return nil
}

// restart reads the open file from its beginning.
func (t *Tail) restart() error {
	if _, err := t.f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("follow %s: %w", t.cfg.Path, err)
	}
	t.mu.Lock()
	t.offset, t.head = 0, nil
	t.mu.Unlock()
	return nil
}

// next goes over to the file that the path names now.
func (t *Tail) next() error {
	_ = t.f.Close()
	t.mu.Lock()
	t.f, t.offset, t.head = nil, 0, nil
	t.mu.Unlock()
	t.rotated, t.caughtUp = false, false
	if err := t.open(t.cfg.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("follow %s: %w", t.cfg.Path, err)
	}
	return nil
}
