package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// A document that is gone ends what it said: its records are there no more. But what a
// broken disk, a folder that is not mounted or a listing that came out empty hides is not
// gone. So nothing ends when nothing is left to tell the one from the other.

const (
	// lookForGone is how often files are looked for, goneAfter how long one must have
	// been missing: programs that write anew remove first.
	lookForGone = time.Second
	goneAfter   = 10 * time.Second
)

// Beginnings of the names of streams whose positions say what is known of documents.
const (
	fileStream     = "file:"     // a file: bookmark
	objectStream   = "document:" // an object whose key is its scope: objectBookmark
	exportStream   = "export:"   // what follows is scope and zone of dated objects: objectBookmark of the newest
	endedObject    = "ended:"    // an object whose end was noticed: its ETag
	reasonOlder    = "older than the export that is known"
	brokenFeed     = "taken for a broken feed, not for deletions: nothing ends"
	commentGone    = "the document is gone"
	commentDeleted = "the document was deleted"
)

// observeEnd says that all records of a scope are gone.
func (in *liveInput) observeEnd(s *intake.Stream, o picket.RecordObservation) {
	o.Source, o.Whole = in.cfg.Name, true
	if o.Comment == "" {
		o.Comment = commentDeleted
	}
	if now := time.Now(); o.Time.IsZero() || o.Time.After(now) {
		o.Time = now
	}
	s.Observe(o)
}

// endDocument stores the end of a document that was noticed now.
func (in *liveInput) endDocument(ctx context.Context, scope, method, format string, positions map[string][]byte) error {
	s := in.desk.Stream(intake.StreamConfig{Name: scope, Format: format})
	in.observeEnd(s, picket.RecordObservation{Scope: scope, Method: method, Comment: commentGone})
	if err := in.commit(ctx, s, positions); err != nil {
		return err
	}
	in.d.log.Info("document gone", "input", in.cfg.Name, "document", scope)
	return nil
}

// broken says once what is wrong with a feed, and, by "", that it is no more.
func (in *liveInput) broken(was *string, now string) {
	if now != *was && now != "" {
		in.fail(errors.New(now))
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case now != "" && in.err == "": // something else was fine meanwhile
		in.err = now
	case now == "" && in.err == *was:
		in.err = ""
	}
	*was = now
}

// watchFiles ends the records of files that are gone.
func (in *liveInput) watchFiles(ctx context.Context) {
	missing := map[string]time.Time{} // since when
	trouble := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookForGone):
		}
		gone, why := in.missingFiles()
		in.broken(&trouble, why)
		now := time.Now()
		for path := range missing {
			if !slices.Contains(gone, path) {
				delete(missing, path)
			}
		}
		for _, path := range gone {
			if since, ok := missing[path]; !ok {
				missing[path] = now
			} else if now.Sub(since) >= goneAfter {
				if err := in.endFile(ctx, path); err != nil {
					in.fail(err)
				}
			}
		}
	}
}

// missingFiles are those of the zone files known that are not there, unless it looks as
// if the feed were broken: then it says why.
func (in *liveInput) missingFiles() (gone []string, broken string) {
	known := 0
	for _, stream := range in.desk.Streams(fileStream) {
		path := strings.TrimPrefix(stream, fileStream)
		if match, _ := filepath.Match(in.cfg.File, path); !match && path != in.cfg.File {
			continue // of an earlier configuration
		}
		b, _, err := in.bookmark(stream)
		if err != nil || b.Told || !tellsRecords(b.Format) {
			continue
		}
		known++
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, path)
		} else if err != nil {
			return nil, fmt.Sprintf("%v; %s", err, brokenFeed)
		}
	}
	for _, path := range gone {
		list, err := os.ReadDir(filepath.Dir(path))
		switch {
		case err != nil:
			return nil, fmt.Sprintf("%s is gone, and its folder cannot be read: %v; %s", path, err, brokenFeed)
		case len(list) == 0:
			return nil, fmt.Sprintf("%s is gone, and its folder is empty; %s", path, brokenFeed)
		}
	}
	if known > 1 && len(gone) == known {
		return nil, fmt.Sprintf("%s: all %d files are gone at once; %s", in.cfg.File, known, brokenFeed)
	}
	return gone, ""
}

// tellsRecords reports whether documents of a format say what is in zones.
func tellsRecords(format string) bool {
	f, ok := input.ByName(format)
	return ok && f.Kind == picket.KindRecord && f.Shape == input.ShapeDocument && f.Name != formatPlan
}

// endFile ends the records of a file, unless it is there after all.
func (in *liveInput) endFile(ctx context.Context, path string) error {
	in.documentsAtHand.Lock()
	defer in.documentsAtHand.Unlock()
	b, known, err := in.bookmark(fileStream + path)
	if err != nil || !known {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return in.endDocument(ctx, path, picket.MethodFile, b.Format, map[string][]byte{fileStream + path: nil})
}

// recordsSeen notes which zones the records on their way into a stream are of.
type recordsSeen struct {
	*intake.Stream
	zone    string // the one zone; "" when there is none yet
	several bool   // there is more than one, or a record does not say
	change  bool   // records say what was done
}

// Record implements picket.RecordSink.
func (r *recordsSeen) Record(x *picket.Record) error {
	switch {
	case r.zone == "":
		r.zone = x.Zone
	case x.Zone != r.zone:
		r.several = true
	}
	r.several = r.several || x.Zone == ""
	r.change = r.change || x.Change != picket.ChangePresent
	return r.Stream.Record(x)
}

// documentPlace says what a document is a state of.
type documentPlace struct {
	scope, zone string
	time        time.Time
	old         bool // a newer state is known
	positions   map[string][]byte
}

// objectBookmark is what is known of an object, or of the newest of several.
type objectBookmark struct {
	Key      string    `json:"key"`
	ETag     string    `json:"etag"`
	Format   string    `json:"format"`
	Modified time.Time `json:"modified,omitzero"`
}

// placeObject says what an object is a state of. By its key, it follows what had the same
// key before. But where the key has a date in it, each day's object is a state of the same:
// what the key is without the date, in that format, of the zone that its records are of. There
// the newest counts.
func (in *liveInput) placeObject(o *transport.Object, fm input.Format, seen *recordsSeen) documentPlace {
	p := documentPlace{scope: o.Key, time: o.Modified}
	mark, err := json.Marshal(objectBookmark{Key: o.Key, ETag: o.ETag, Format: fm.Name, Modified: o.Modified})
	if err != nil {
		return p // it is plain data
	}
	rest := undated(o.Key)
	if rest == o.Key && seen.change { // without the object, what it did stays done
		return p
	}
	if rest == o.Key {
		p.positions = map[string][]byte{objectStream + o.Key: mark, endedObject + o.Key: nil}
		return p
	}
	p.scope = fm.Name + " " + rest
	if !seen.several {
		p.zone = seen.zone
	}
	if seen.change { // each batch counts
		return p
	}
	stream := exportStream + p.scope + " " + p.zone
	var newest objectBookmark
	if b := in.desk.Position(stream); b != nil && json.Unmarshal(b, &newest) == nil {
		p.old = newest.Modified.After(o.Modified) || newest.Modified.Equal(o.Modified) && newest.Key > o.Key
	}
	if !p.old {
		p.positions = map[string][]byte{stream: mark}
	}
	return p
}

// listing watches one listing of the whole bucket for objects that are gone.
func (in *liveInput) listing() (key func(string), done func()) {
	known := map[string]bool{} // whether it is still there
	for _, stream := range in.desk.Streams(objectStream) {
		known[strings.TrimPrefix(stream, objectStream)] = false
	}
	listed := 0
	key = func(k string) {
		listed++
		if _, ok := known[k]; ok {
			known[k] = true
		}
	}
	return key, func() {
		var gone []string
		for k, there := range known {
			if !there {
				gone = append(gone, k)
			}
		}
		slices.Sort(gone)
		why := ""
		switch c := in.cfg.Bucket; {
		case len(gone) > 0 && listed == 0:
			why = fmt.Sprintf("bucket %s: the listing of %q is empty, and had %d documents; %s", c.Name, c.Prefix, len(known), brokenFeed)
		case len(gone) > 1 && len(gone) == len(known):
			why = fmt.Sprintf("bucket %s: all %d documents of %q are gone at once; %s", c.Name, len(known), c.Prefix, brokenFeed)
		}
		if in.broken(&in.bucketTrouble, why); why != "" {
			return
		}
		for _, k := range gone {
			if err := in.endObject(k); err != nil {
				in.fail(err)
			}
		}
	}
}

// endObject ends the records of an object. The same one may come again.
func (in *liveInput) endObject(key string) error {
	in.documentsAtHand.Lock()
	defer in.documentsAtHand.Unlock()
	var b objectBookmark
	if err := json.Unmarshal(in.desk.Position(objectStream+key), &b); err != nil {
		return fmt.Errorf("position of %q: %w", key, err)
	}
	return in.endDocument(context.Background(), key, picket.MethodPush, b.Format, map[string][]byte{objectStream + key: nil, endedObject + key: []byte(b.ETag)})
}

// datedParts are what makes keys of the same export differ from day to day: calendar
// dates with or without a time, names of partitions, Unix times, and UUIDs.
func datedParts() []*regexp.Regexp {
	const date = `(?:19|20)[0-9]{2}[-_./]?(?:0[1-9]|1[0-2])[-_./]?(?:0[1-9]|[12][0-9]|3[01])`
	const clock = `(?:[T_./-]?(?:[01][0-9]|2[0-3])(?:[-_:.]?[0-5][0-9](?:[-_:.]?[0-5][0-9](?:[.,][0-9]+)?)?)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?`
	return []*regexp.Regexp{
		regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`),
		regexp.MustCompile(`(?:year|month|day|hour|date|dt)=[^/]+(?:/(?:year|month|day|hour|date|dt)=[^/]+)*`),
		regexp.MustCompile(date + clock),
		regexp.MustCompile(`[0-9]{10,19}`),
	}
}

// undated is a key with * for what changes from day to day.
func undated(key string) string {
	for _, re := range datedParts() {
		var b bytes.Buffer
		at := 0
		for _, m := range re.FindAllStringIndex(key, -1) {
			if digitAt(key, m[0]-1) && digitAt(key, m[0]) || digitAt(key, m[1]-1) && digitAt(key, m[1]) {
				continue // within a longer number
			}
			b.WriteString(key[at:m[0]])
			b.WriteByte('*')
			at = m[1]
		}
		b.WriteString(key[at:])
		key = b.String()
	}
	return key
}

func digitAt(s string, i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }
