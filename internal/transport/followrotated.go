package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow bounds what a decompressor keeps, in bytes.
const maxWindow = 128 << 20

// place is how far following a path has come.
type place struct {
	path    string
	pos     Position
	known   bool // pos is
	done    bool // with the generation that pos is of
	fromEnd bool
}

// resume asks how far the path was done with; when that is not known p stays.
func (p *place) resume(ask func(string) (Position, bool)) {
	if ask != nil {
		if pos, ok := ask(p.path); ok {
			p.pos, p.known = pos, true
		}
	}
}

// next opens the generation that comes next; nil when there is none yet. What was
// rotated away since comes before what the path names now. Rotation renames one
// file after the other: what is found in the middle of that does not count.
func (w *follower) next(ctx context.Context, at *place) (*FollowedFile, error) {
	const tries = 100
	for try := 1; ; try++ {
		before := census(at.path)
		found := *at
		f, err := w.find(ctx, &found)
		if try == tries || sameCensus(before, census(at.path)) || ctx.Err() != nil {
			*at = found
			return f, err
		}
		if f != nil {
			f.close()
		}
		if !pause(ctx, settleRename) {
			return nil, nil
		}
	}
}

// settleRename is how long a folder whose files are being renamed is left alone.
const settleRename = 5 * time.Millisecond

// census is which files the names beside path, and path itself, are of.
func census(path string) map[string]fs.FileInfo {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	files := map[string]fs.FileInfo{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)) {
			if st, err := os.Lstat(filepath.Join(filepath.Dir(path), e.Name())); err == nil {
				files[e.Name()] = st
			}
		}
	}
	return files
}

func sameCensus(a, b map[string]fs.FileInfo) bool {
	for name, st := range a {
		if b[name] == nil || !os.SameFile(st, b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

// find is one try of next.
func (w *follower) find(ctx context.Context, at *place) (*FollowedFile, error) {
	current, err := openFollowed(ctx, at.path, at.path, w.cfg.Poll)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("follow: %w", err)
	}
	if !at.known {
		if current != nil && at.fromEnd {
			if err := current.toEnd(); err != nil {
				current.close()
				return nil, fmt.Errorf("follow %s: %w", at.path, err)
			}
		}
		return current, nil
	}
	f, err := w.resumed(ctx, at, current)
	if current != nil && f != current {
		current.close()
	}
	if f != nil && !at.pos.Modified.IsZero() {
		f.before = at.pos.Modified // nobody else has f yet
	}
	return f, err
}

// resumed is next for a path that something is known of; current is nil when the
// path names nothing.
func (w *follower) resumed(ctx context.Context, at *place, current *FollowedFile) (*FollowedFile, error) {
	if !at.done && len(at.pos.Head) > 0 {
		if current != nil && current.resume(at.pos) {
			return current, nil
		}
		old, err := findRotated(ctx, at.path, at.pos, w.cfg.Poll)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", at.path, err)
		}
		if old != nil {
			old.final = true
			if old.more() {
				return old, nil
			}
			at.pos.Modified = old.modified
			old.close()
		}
		at.done = true
	}
	// Whatever is behind the last generation now: further rotated ones, then the path.
	next, err := w.oldestRotated(ctx, at.path, at.pos, current)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", at.path, err)
	}
	if next != nil {
		next.final = true
		return next, nil
	}
	return current, nil
}

// toEnd goes behind what the file holds.
func (f *FollowedFile) toEnd() error {
	end, err := f.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	head := make([]byte, min(end, headBytes))
	if _, err := f.f.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset, f.head = end, head
	return nil
}

// resume goes to a saved position if the file is the saved one.
func (f *FollowedFile) resume(from Position) bool {
	if f.info.Size() < from.Offset || !begins(f.f, from.Head) {
		return false
	}
	if _, err := f.f.Seek(from.Offset, io.SeekStart); err != nil {
		return false
	}
	f.offset, f.head, f.resumed = from.Offset, bytes.Clone(from.Head[:min(len(from.Head), headBytes)]), true
	return true
}

// more reports whether something is left to read of a file that is not added to.
func (f *FollowedFile) more() bool {
	if !f.compressed {
		return f.info.Size() > f.offset
	}
	_, err := f.r.(*bufio.Reader).Peek(1)
	return err != io.EOF
}

// expand makes a compressed file one of its content.
func (f *FollowedFile) expand() error {
	var err error
	switch filepath.Ext(f.f.Name()) {
	case ".gz":
		f.r, err = gzip.NewReader(f.f)
	case ".zst":
		var z *zstd.Decoder
		z, err = zstd.NewReader(f.f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err == nil {
			f.r, f.unzip = z, z.IOReadCloser()
		}
	case ".xz":
		f.r, err = xz.NewReader(bufio.NewReader(f.f))
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("decompress %s: %w", f.f.Name(), err)
	}
	f.r, f.compressed = bufio.NewReader(f.r), true
	return nil
}

// resumeRotated is resume for a file that may be compressed.
func (f *FollowedFile) resumeRotated(from Position) bool {
	if !f.compressed {
		return f.resume(from)
	}
	if !f.hasHead(from.Head) {
		return false
	}
	if n, err := io.CopyN(io.Discard, f.r, from.Offset); err != nil || n < from.Offset {
		return false
	}
	f.offset, f.head, f.resumed = from.Offset, bytes.Clone(from.Head[:min(len(from.Head), headBytes)]), true
	return true
}

// hasHead reports whether the content of a file that nothing was read of begins
// with head.
func (f *FollowedFile) hasHead(head []byte) bool {
	if !f.compressed {
		return begins(f.f, head)
	}
	b, _ := f.r.(*bufio.Reader).Peek(min(len(head), headBytes))
	return bytes.Equal(b, head[:min(len(head), headBytes)])
}

// findRotated opens the file beside path whose name begins with path's and which
// pos is of, gone to pos; nil when there is none.
func findRotated(ctx context.Context, path string, pos Position, poll time.Duration) (*FollowedFile, error) {
	if len(pos.Head) == 0 {
		return nil, nil
	}
	names, err := beside(path)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := openRotated(ctx, path, name, poll)
		if err != nil {
			continue // gone meanwhile, or none of ours
		}
		if f.resumeRotated(pos) {
			return f, nil
		}
		f.close()
	}
	return nil, nil
}

// oldestRotated opens the oldest file that was rotated away from path after the
// one that pos is of; nil when there is none.
func (w *follower) oldestRotated(ctx context.Context, path string, pos Position, current *FollowedFile) (*FollowedFile, error) {
	if pos.Modified.IsZero() {
		return nil, nil
	}
	names, err := beside(path)
	if err != nil {
		return nil, err
	}
	type candidate struct {
		name string
		time time.Time
	}
	var later []candidate
	for _, name := range names {
		if plain := cutCompression(name); plain != name && slices.Contains(names, plain) {
			continue // it is being compressed
		}
		st, err := os.Stat(name)
		if err != nil || !rotatedName(path, name) || st.Size() == 0 || !st.ModTime().After(pos.Modified) ||
			current != nil && os.SameFile(st, current.info) {
			continue
		}
		later = append(later, candidate{name, st.ModTime()})
	}
	slices.SortFunc(later, func(a, b candidate) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name))
	})
	for _, c := range later {
		f, err := openRotated(ctx, path, c.name, w.cfg.Poll)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				w.failed(path, fmt.Errorf("follow %s: rotated file is left out: %w", path, err))
			}
			continue
		}
		if len(pos.Head) == 0 || !f.hasHead(pos.Head) {
			return f, nil
		}
		f.close() // a copy of what was read
	}
	return nil, nil
}

func openRotated(ctx context.Context, path, name string, poll time.Duration) (*FollowedFile, error) {
	f, err := openFollowed(ctx, path, name, poll)
	if err != nil {
		return nil, err
	}
	if err := f.expand(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// beside lists the regular files of path's directory whose names begin with
// path's, uncompressed ones first: while a file is being compressed both exist.
func beside(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	var plain, packed []string
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == base || !strings.HasPrefix(e.Name(), base) {
			continue
		}
		name := filepath.Join(filepath.Dir(path), e.Name())
		if cutCompression(name) != name {
			packed = append(packed, name)
		} else {
			plain = append(plain, name)
		}
	}
	return append(plain, packed...), nil
}

// cutCompression takes a compression's extension off a name.
func cutCompression(name string) string {
	for _, ext := range [...]string{".gz", ".zst", ".xz"} {
		if cut, ok := strings.CutSuffix(name, ext); ok {
			return cut
		}
	}
	return name
}

// rotatedName reports whether name is that of a file rotated away from path:
// path, a dot, dash or underscore, and a number or a date.
func rotatedName(path, name string) bool {
	suffix, ok := strings.CutPrefix(cutCompression(name), path)
	return ok && rotationSuffix(suffix)
}

func rotationSuffix(s string) bool {
	return len(s) >= 2 && strings.ContainsRune(".-_", rune(s[0])) && s[1] >= '0' && s[1] <= '9' && strings.Trim(s, "0123456789.-_:TZ") == ""
}

// rotatedFrom reports whether path is named like a rotated form of one that is
// known.
func rotatedFrom(path string, known map[string]bool) bool {
	name := cutCompression(path)
	if name != path && known[name] {
		return true
	}
	for i := len(name) - 2; i > 0; i-- {
		if known[name[:i]] && rotationSuffix(name[i:]) {
			return true
		}
	}
	return false
}
