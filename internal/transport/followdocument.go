package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"
)

// document is what a FollowedFile knows when it is one.
type document struct {
	sum  []byte
	left int64 // bytes
	hash hash.Hash
}

// documents hands over the document at path whenever its content has changed. Of
// a pattern's paths it returns when the path is gone.
func (w *follower) documents(ctx context.Context, path string) {
	var sum []byte                // of the last one done with
	var seen, settled os.FileInfo // at the last look; of the last one looked into
	resume := func() {
		if w.cfg.Resume != nil {
			if p, ok := w.cfg.Resume(path); ok {
				sum = p.Sum
			}
		}
	}
	resume()
	wait := retryFirst
	for ; ; pause(ctx, w.cfg.Poll) {
		if ctx.Err() != nil {
			return
		}
		now, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			if w.glob {
				return
			}
			if seen, settled = nil, nil; w.cfg.Resume != nil {
				sum = nil // what was done with may be forgotten by now
			}
			continue
		}
		if err == nil && (now.Size() == 0 || unchanged(now, settled)) {
			continue // an empty file is one that is about to be written
		}
		if err == nil && !unchanged(now, seen) {
			if seen == nil && sum == nil {
				resume()
			}
			seen = now // perhaps it is still being written
			continue
		}
		var f *FollowedFile
		if err == nil {
			f, err = w.openDocument(ctx, path)
		} else {
			err = fmt.Errorf("follow: %w", err)
		}
		var large *tooLargeError
		switch {
		case err == nil && bytes.Equal(f.doc.sum, sum):
			f.close()
		case err == nil:
			if err = w.generation(ctx, f); err == nil {
				sum = f.doc.sum
			}
		case errors.As(err, &large):
			w.failed(path, err)
			err = nil
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			settled, wait = now, retryFirst
			continue
		}
		w.failed(path, err)
		seen = nil
		pause(ctx, wait)
		wait = min(2*wait, retryLast)
		resume()
	}
}

// unchanged reports whether two looks saw the same file with the same content, as
// far as can be told without reading.
func unchanged(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

type tooLargeError struct {
	path      string
	size, max int64
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("follow %s: %d bytes, at most %d are read; raise the limit or split the file", e.path, e.size, e.max)
}

// openDocument opens a document and takes its sum.
func (w *follower) openDocument(ctx context.Context, path string) (*FollowedFile, error) {
	f, err := openFollowed(ctx, path, path, w.cfg.Poll)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	size := f.info.Size()
	if size > w.cfg.MaxBytes {
		f.close()
		return nil, &tooLargeError{path, size, w.cfg.MaxBytes}
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(&stoppable{ctx, f.f}, size+1))
	if err == nil && n != size {
		err = errChanged
	}
	if err == nil {
		_, err = f.f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("follow %s: %w", path, err)
	}
	f.doc = &document{sum: h.Sum(nil), left: size, hash: sha256.New()}
	return f, nil
}

// errChanged is of a document that was written to while it was read.
var errChanged = errors.New("changed while it was read; it is read again when it rests, replace files by renaming a complete one")

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}

// readDocument is Read for a document. It ends with an error when the content is
// not what the sum was taken of.
func (f *FollowedFile) readDocument(b []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err // a document cut short must not look complete
	}
	d := f.doc
	if d.left > 0 && len(b) > 0 {
		n, err := f.f.Read(b[:min(int64(len(b)), d.left)])
		if n > 0 {
			d.hash.Write(b[:n])
			d.left -= int64(n)
			f.advance(b[:n])
			return n, nil
		}
		if err == io.EOF {
			err = errChanged
		}
		if err != nil {
			err = fmt.Errorf("follow %s: %w", f.path, err)
		}
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	if !bytes.Equal(d.hash.Sum(nil), d.sum) {
		return 0, fmt.Errorf("follow %s: %w", f.path, errChanged)
	}
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	return 0, io.EOF
}

var _ interface{ SetReadDeadline(time.Time) error } = (*FollowedFile)(nil)
