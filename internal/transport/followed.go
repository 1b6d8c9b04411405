package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// headBytes is how much of a file's beginning tells it from its successors. A
// log's first line has its time in it; of dnstap the first message has.
const headBytes = 512

// deletedAfter is how long a deleted file that nothing has replaced must be
// silent before it is let go.
const deletedAfter = 5 * time.Second

// Position says how far a followed file has been read, and in which file. It is
// plain data to be saved as JSON.
type Position struct {
	Offset int64  `json:"offset"`
	Head   []byte `json:"head"` // the file's first bytes, at most 512
	// Modified is when the file was last written to as far as was seen, or its
	// predecessor when nothing of it was read. What was rotated away later has not
	// been read yet.
	Modified time.Time `json:"modified,omitzero"`
	// Sum is the SHA-256 of a document that was done with.
	Sum []byte `json:"sum,omitempty"`
}

// FollowedFile is one generation of a followed file, or one document. It is a
// reader that waits for more bytes and ends, with io.EOF, when the generation
// has ended or the context of Follow is done; Rotated tells which.
type FollowedFile struct {
	ctx      context.Context
	path     string
	poll     time.Duration
	deadline *deadline
	r        io.Reader // the file, or what decompresses it
	unzip    io.Closer // nil for none
	doc      *document // nil for a log

	caughtUp bool // the last read met the end
	leaving  bool // another file has the path; one more silence and this one has ended
	final    bool // nothing is added any more
	heard    time.Time
	// unreadable says that reading failed.
	unreadable bool
	looked     fs.FileInfo // as of the last look

	mu         sync.Mutex // guards what follows
	f          *os.File
	info       fs.FileInfo // identity
	offset     int64
	head       []byte
	modified   time.Time
	before     time.Time // what was written to later has not been read before this one
	compressed bool
	ended      bool
	resumed    bool
}

// openFollowed opens name as a generation of path.
func openFollowed(ctx context.Context, path, name string, poll time.Duration) (*FollowedFile, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err // names the operation and the path already
	}
	if !st.Mode().IsRegular() { // and opening a named pipe would wait
		return nil, fmt.Errorf("%s is no regular file; name files, or a pattern such as /var/log/named/*.log", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &FollowedFile{ctx: ctx, path: path, poll: poll, deadline: newDeadline(), f: f, r: f, info: st, modified: st.ModTime(), before: st.ModTime().Add(-1), heard: time.Now()}, nil
}

// Path is the path that is followed, which is where positions belong to. The
// bytes may come from a file that was rotated away from it.
func (f *FollowedFile) Path() string { return f.path }

// Head returns the generation's first bytes as far as they were handed out, at
// most 512. They tell the generation from others.
func (f *FollowedFile) Head() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.head)
}

// Offset is where in the generation the next byte comes from: where it was
// resumed, and what was handed out since.
func (f *FollowedFile) Offset() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offset
}

// Position is what Resume must return to go on behind the last byte handed out.
// To go on earlier lower its offset.
func (f *FollowedFile) Position() Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := Position{Offset: f.offset, Head: bytes.Clone(f.head), Modified: f.modified}
	if len(f.head) == 0 {
		p.Modified = f.before // this one has not been read either
	}
	if f.doc != nil {
		p.Sum = f.doc.sum
	}
	return p
}

// Rotated reports whether the generation has ended, so that a last line without
// an end stays so.
func (f *FollowedFile) Rotated() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// Resumed reports whether this is the generation that the position was of which
// Resume has returned.
func (f *FollowedFile) Resumed() bool { return f.resumed }

// Compressed reports whether rotation has compressed the generation since. What
// is handed out, and all offsets, are of the content all the same.
func (f *FollowedFile) Compressed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compressed
}

// Sum is the SHA-256 of the document, nil when files are not followed as such.
func (f *FollowedFile) Sum() []byte {
	if f.doc == nil {
		return nil
	}
	return bytes.Clone(f.doc.sum)
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from then on; zero
// takes that back.
func (f *FollowedFile) SetReadDeadline(t time.Time) error {
	f.deadline.change(t)
	return nil
}

// Read implements io.Reader.
func (f *FollowedFile) Read(b []byte) (int, error) {
	if f.doc != nil {
		return f.readDocument(b)
	}
	for len(b) > 0 {
		if f.ctx.Err() != nil || f.Rotated() {
			return 0, io.EOF
		}
		if f.caughtUp && !f.final {
			if err := f.look(); err != nil {
				return 0, fmt.Errorf("follow %s: %w", f.path, err)
			}
			if f.Rotated() {
				return 0, io.EOF
			}
		}
		n, err := f.r.Read(b)
		if n > 0 {
			f.advance(b[:n])
			return n, nil
		}
		if err != nil && err != io.EOF {
			f.unreadable = true
			return 0, fmt.Errorf("follow %s: at offset %d: %w", f.path, f.Offset(), err)
		}
		if f.final {
			f.end()
			return 0, io.EOF
		}
		f.caughtUp = true
		if err := f.deadline.wait(f.ctx, nil, f.poll); err != nil {
			if f.ctx.Err() != nil {
				return 0, io.EOF
			}
			return 0, err
		}
	}
	return 0, nil
}

// advance notes what is handed out.
func (f *FollowedFile) advance(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if have := int64(len(f.head)); have < headBytes && f.offset <= have && have < f.offset+int64(len(b)) {
		more := b[have-f.offset:]
		f.head = append(f.head, more[:min(len(more), headBytes-int(have))]...)
	}
	f.offset += int64(len(b))
	f.caughtUp, f.heard = false, time.Now()
}

// look finds out, after a silence, whether the path still names the open file
// and the file still holds what was read.
func (f *FollowedFile) look() error {
	if f.leaving {
		f.final = true
		return nil
	}
	here, err := f.f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(f.path)
	switch {
	case err == nil && !os.SameFile(here, there):
		// As long as the new file is empty the writer may still have the old one open.
		f.leaving = there.Size() > 0
	case errors.Is(err, fs.ErrNotExist) && links(here) == 0:
		f.leaving = time.Since(f.heard) > deletedAfter
	}
	// What did not change since the last look is what it was.
	if was := f.looked; was != nil && was.Size() == here.Size() && was.ModTime().Equal(here.ModTime()) {
		return nil
	}
	if here.Size() < f.Offset() || !begins(f.f, f.Head()) {
		return f.truncated()
	}
	f.looked = here
	f.mu.Lock()
	f.modified = here.ModTime()
	f.mu.Unlock()
	return nil
}

// truncated ends a generation whose file was emptied. Its rest is in the copy
// that was made before, if there is one.
func (f *FollowedFile) truncated() error {
	copied, err := findRotated(f.ctx, f.path, f.Position(), f.poll)
	if err != nil {
		return err
	}
	if copied == nil {
		f.end()
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.f.Close()
	f.f, f.r, f.unzip, f.compressed = copied.f, copied.r, copied.unzip, copied.compressed
	f.final = true
	return nil
}

func (f *FollowedFile) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if st, err := f.f.Stat(); err == nil && !f.compressed {
		f.modified = st.ModTime()
	}
}

// awaitEnd waits, without reading, until the generation has ended.
func (f *FollowedFile) awaitEnd() {
	for f.doc == nil && !f.Rotated() && f.ctx.Err() == nil {
		if f.final || f.leaving {
			f.end()
			return
		}
		if f.look() != nil || !pause(f.ctx, f.poll) {
			return
		}
	}
}

// last is when the file was last written to as far as was seen.
func (f *FollowedFile) last() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.modified
}

// identity tells which file is open.
func (f *FollowedFile) identity() fs.FileInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.info
}

func (f *FollowedFile) close() {
	if f.unzip != nil {
		_ = f.unzip.Close()
	}
	_ = f.f.Close()
}

// begins reports whether a file begins with head.
func begins(f io.ReaderAt, head []byte) bool {
	b := make([]byte, min(len(head), headBytes))
	n, err := f.ReadAt(b, 0)
	return (err == nil || err == io.EOF) && bytes.Equal(b[:n], head[:len(b)])
}
