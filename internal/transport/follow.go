package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// defaultPoll is how often a silent file, and a pattern, is looked at.
	defaultPoll = 250 * time.Millisecond
	// defaultMaxFiles is how many files are followed at once.
	defaultMaxFiles = 1024
	// defaultMaxWhole bounds a document.
	defaultMaxWhole = 1 << 30
	// retryFirst and retryLast bound the pause before what failed is tried again.
	retryFirst, retryLast = time.Second, time.Minute
	// giveUp is how often reading a damaged rotated file is tried.
	giveUp = 4
	// rememberedEnds is how many finished files are recognised under a new name.
	rememberedEnds = 256
)

// FollowConfig says what to follow.
type FollowConfig struct {
	// Path names one file, which need not exist yet, or is a pattern with *, ? and
	// [ ] (path/filepath.Match); files that match later are picked up. Of the files
	// that match, those named like a rotated form of another (query.log.1,
	// query.log-20260920.gz beside query.log) are not followed by themselves.
	Path string
	// Poll is how often silent files and the pattern are looked at; 0 means 250 ms.
	Poll time.Duration
	// Resume, when set, tells how far a path was done with, false when nothing is
	// known of it. It is asked when following a path begins, and again after
	// handling failed.
	Resume func(path string) (Position, bool)
	// FromEnd starts behind what the files that exist at the start hold already,
	// where Resume knows nothing of them.
	FromEnd bool
	// Whole hands over each file as one document, whenever its content has changed.
	Whole bool
	// MaxBytes bounds a document; 0 means 1 GiB. Larger ones are reported and left
	// alone until they change.
	MaxBytes int64
	// MaxFiles bounds the files followed at once; 0 means 1,024. The rest is
	// reported by name, and taken when others are gone.
	MaxFiles int
	// Failed, when set, is told what went wrong with a path; following goes on. It
	// is called from several goroutines.
	Failed func(path string, err error)
}

// follower follows what its configuration names.
type follower struct {
	cfg    FollowConfig
	handle func(context.Context, *FollowedFile) error
	glob   bool
	wg     sync.WaitGroup

	mu     sync.Mutex
	active map[string]*FollowedFile // nil between two generations
	ends   []ended                  // the last finished files
	over   string                   // the last complaint of too many files
}

// ended is a file that was followed to its end. It is known by its content too,
// for the system gives the identity of a removed file to another.
type ended struct {
	info fs.FileInfo
	pos  Position
}

// Follow follows the files that cfg names until ctx is done; it returns when all
// handlers have.
//
// It calls handle once for each generation of a file, that is, until the file is
// rotated away (by renaming and creating anew, or by copying and truncating) and
// read to its end. The generations of a path follow each other, different paths
// are handled at once. When handle returns an error, that is reported, and after
// a pause the path is resumed where Resume says; when it returns nil before the
// end, the generation is left alone and the next one comes in its time.
func Follow(ctx context.Context, cfg FollowConfig, handle func(ctx context.Context, f *FollowedFile) error) error {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.MaxFiles <= 0 {
		cfg.MaxFiles = defaultMaxFiles
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxWhole
	}
	w := &follower{cfg: cfg, handle: handle, active: map[string]*FollowedFile{}}
	if cfg.Path == "" {
		return errors.New("follow: no path")
	}
	if _, err := os.Lstat(cfg.Path); err != nil && strings.ContainsAny(cfg.Path, "*?[") {
		if _, err := filepath.Match(cfg.Path, ""); err != nil {
			return fmt.Errorf("follow %s: %w", cfg.Path, err)
		}
		w.glob = true
	}
	defer w.wg.Wait()
	for first := true; ctx.Err() == nil; first = false {
		w.scan(ctx, cfg.FromEnd && first)
		if !pause(ctx, cfg.Poll) {
			break
		}
	}
	return nil
}

// pause waits; it reports false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// scan begins to follow the paths that are not followed yet.
func (w *follower) scan(ctx context.Context, fromEnd bool) {
	paths := []string{w.cfg.Path}
	if w.glob {
		paths, _ = filepath.Glob(w.cfg.Path) // the pattern is known to be good
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	known := make(map[string]bool, len(paths)+len(w.active))
	for _, p := range paths {
		known[p] = true
	}
	for p := range w.active {
		known[p] = true
	}
	var rest []string
	for _, p := range paths {
		if _, ok := w.active[p]; ok || w.glob && (!w.cfg.Whole && rotatedFrom(p, known) || !w.fresh(p)) {
			continue
		}
		if len(w.active) >= w.cfg.MaxFiles {
			rest = append(rest, p)
			continue
		}
		w.active[p] = nil
		w.wg.Go(func() {
			if w.cfg.Whole {
				w.documents(ctx, p)
			} else {
				w.path(ctx, p, fromEnd)
			}
			w.mu.Lock()
			delete(w.active, p)
			w.mu.Unlock()
		})
	}
	w.complain(rest)
}

// complain reports the paths that there is no room for, once for each set of them.
func (w *follower) complain(rest []string) {
	over := strings.Join(rest, "\x00")
	if over == w.over {
		return
	}
	w.over = over
	if len(rest) == 0 {
		return
	}
	names, more := rest, ""
	if len(names) > 10 {
		names, more = names[:10], fmt.Sprintf(" and %d more", len(rest)-10)
	}
	w.failed(w.cfg.Path, fmt.Errorf("follow %s: %d files are followed, which is the limit; not followed: %s%s; raise the limit or narrow the pattern",
		w.cfg.Path, w.cfg.MaxFiles, strings.Join(names, ", "), more))
}

// fresh reports whether a path that matches is a regular file other than those
// that are or were followed under another name. The caller holds w.mu.
func (w *follower) fresh(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	if w.cfg.Whole {
		return true // a document is what it says, by whatever name
	}
	for _, f := range w.active {
		if f != nil && os.SameFile(st, f.identity()) {
			return false
		}
	}
	for _, e := range w.ends {
		if os.SameFile(st, e.info) && st.Size() <= e.pos.Offset && fileBegins(path, e.pos.Head) {
			return false
		}
	}
	return true
}

// fileBegins reports whether the file at path begins with head.
func fileBegins(path string, head []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return begins(f, head)
}

func (w *follower) failed(path string, err error) {
	if w.cfg.Failed != nil {
		w.cfg.Failed(path, err)
	}
}

// path follows one path, generation after generation. Of a pattern's paths it
// returns when the path is gone.
func (w *follower) path(ctx context.Context, path string, fromEnd bool) {
	at := place{path: path, fromEnd: fromEnd}
	at.resume(w.cfg.Resume)
	wait, broken := retryFirst, 0
	for ctx.Err() == nil {
		f, err := w.next(ctx, &at)
		at.fromEnd = false
		if err == nil && f == nil { // not there, or not yet
			if w.glob || !pause(ctx, w.cfg.Poll) {
				return
			}
			continue
		}
		var start Position
		if err == nil {
			start = f.Position()
			err = w.generation(ctx, f)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			at.pos, at.known, at.done, wait, broken = f.Position(), true, true, retryFirst, 0
			at.pos.Modified = f.last()
			continue
		}
		w.failed(path, err)
		if f != nil {
			at.pos, at.known, at.done = start, true, false
			at.resume(w.cfg.Resume)
			if f.unreadable {
				broken++
			}
			if f.final && broken >= giveUp {
				w.failed(path, fmt.Errorf("follow %s: the rest of a rotated file is given up after %d attempts", path, broken))
				at.pos, at.done, broken = f.Position(), true, 0
				at.pos.Modified = f.last()
			}
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, retryLast)
	}
}

// generation has one generation handled, and returns when the generation has
// ended too.
func (w *follower) generation(ctx context.Context, f *FollowedFile) error {
	defer f.close()
	w.mu.Lock()
	w.active[f.path] = f
	w.mu.Unlock()
	err := w.handle(ctx, f)
	if err == nil {
		f.awaitEnd()
	}
	w.mu.Lock()
	w.active[f.path] = nil
	if err == nil && f.Rotated() {
		w.ends = append(w.ends, ended{f.identity(), f.Position()})
		if len(w.ends) > rememberedEnds {
			w.ends = slices.Delete(w.ends, 0, 1)
		}
	}
	w.mu.Unlock()
	return err
}
