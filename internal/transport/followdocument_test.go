package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFollowDocuments(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "*.json", Whole: true, MaxBytes: 20})
	done := sha256.Sum256([]byte("done with"))
	w.saved[w.file("a.json")] = Position{Sum: done[:]}
	w.write("a.json", "done with")
	w.write("b.json", "")
	w.start()
	w.write("b.json", "first")
	w.want("b.json+firstb.json-")
	if sum := sha256.Sum256([]byte("first")); !bytes.Equal(w.files[0].Sum(), sum[:]) || !bytes.Equal(w.saved[w.file("b.json")].Sum, sum[:]) {
		t.Error("sum of the document is not told")
	}
	w.write("new", "replaced")
	w.rename("new", "b.json")
	w.want("b.json+replacedb.json-")
	w.write("new", "replaced") // the same again
	w.rename("new", "b.json")
	time.Sleep(40 * time.Millisecond)
	w.write("a.json", ", changed")
	w.want("a.json+done with, changeda.json-")
	w.write("c.json", strings.Repeat("x", 21))
	w.wantFailed("c.json: ", "21 bytes, at most 20")
	time.Sleep(40 * time.Millisecond)
	w.stop()
	w.want("")
	if len(w.failed) > 0 {
		t.Error(w.failed)
	}
}

// A document that was gone, and forgotten meanwhile, is handed over again, with whatever is in it.
func TestFollowDocumentGone(t *testing.T) {
	for _, pattern := range []string{"doc", "d?c"} {
		w := newFollowed(t, FollowConfig{Path: pattern, Whole: true})
		w.write("doc", "text")
		w.start()
		w.want("doc+textdoc-")
		w.rename("doc", "away")
		time.Sleep(30 * time.Millisecond)
		w.rename("away", "doc") // not forgotten
		time.Sleep(60 * time.Millisecond)
		w.want("")
		w.rename("doc", "away")
		time.Sleep(30 * time.Millisecond)
		w.mu.Lock()
		delete(w.saved, w.file("doc"))
		w.mu.Unlock()
		w.rename("away", "doc")
		w.want("doc+textdoc-")
		w.stop()
	}
}

// A document that is written to while it is read is none.
func TestFollowDocumentChanges(t *testing.T) {
	w := newFollowed(t, FollowConfig{Path: "doc", Whole: true})
	w.write("doc", "before")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen []string
	err := Follow(ctx, w.cfg, func(_ context.Context, f *FollowedFile) error {
		if len(seen) == 0 {
			write(t, w.file("doc"), "behind", 0)
		}
		b, err := io.ReadAll(f)
		seen = append(seen, string(b))
		if err == nil {
			cancel()
		}
		return err
	})
	if err != nil || !slices.Equal(seen, []string{"behind", "behind"}) {
		t.Error(err, seen)
	}
	w.wantFailed("doc: ", "changed while it was read")
}
