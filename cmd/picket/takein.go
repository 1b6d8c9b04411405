package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input"
	"github.com/picket-dns/picket/internal/input/decode"
	"github.com/picket-dns/picket/internal/input/record"
	"github.com/picket-dns/picket/internal/intake"
	"github.com/picket-dns/picket/internal/transport"
)

// reasonUnreadable counts a whole object, request, message or file whose format
// could not be told, or that could not be read to its end.
const reasonUnreadable = "unreadable as a whole"

// options are what the decoders of an input are told; name is the file's or object's.
func (in *liveInput) options(name string) decode.Options {
	opt := decode.Options{Sensor: in.cfg.Name, DateOrder: in.cfg.DateOrder, Origin: in.cfg.Origin, Client: in.cfg.FrontEnd, Mapping: in.cfg.Mapping, Note: in.note}
	if in.cfg.Capture != nil {
		opt.Ports = in.cfg.Capture.ports()
	}
	if in.cfg.Timezone != "" {
		opt.Location, _ = time.LoadLocation(in.cfg.Timezone) // checked with the configuration
	}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	opt.Name = name
	if opt.Origin != "" {
		opt.Origin = strings.TrimSuffix(opt.Origin, ".") + "."
	}
	return opt
}

// optionsKey is the same when a decoder makes the same of the same bytes: with other
// options, or another Picket, a record that was rejected may be accepted.
func (in *liveInput) optionsKey(fm input.Format) string {
	c := &in.cfg
	b, err := json.Marshal([]any{version(), fm.Name, c.Timezone, c.DateOrder, c.Origin, c.FrontEnd, c.Mapping})
	if err != nil {
		return "" // it is plain data
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// takeFile takes in one generation of a followed file, or one document.
func (in *liveInput) takeFile(ctx context.Context, f *transport.FollowedFile) error {
	key := "file:" + f.Path()
	was, known, err := in.bookmark(key)
	if err != nil {
		return err
	}
	format, begin := in.cfg.Format, f.Offset()
	same := known && f.Resumed() && begin == was.Offset
	if same && was.Format != "" && format == input.Auto {
		format = was.Format
	}
	src := &sourceErrors{r: f}
	fm, r, layers, err := input.OpenLayers(src, format)
	if err != nil {
		if errors.Is(err, input.ErrEmpty) || ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	in.use(fm)
	cfg := intake.StreamConfig{Name: f.Path(), Format: fm.Name}
	options := in.optionsKey(fm)
	if same {
		cfg.Skip = was.Done
		if was.Options != options {
			cfg.SkipAny, options = true, ""
		}
	}
	s := in.desk.Stream(cfg)
	pl := &filePlace{key: key, file: f, format: fm, options: options, stream: s, base: begin, begin: begin, packed: layers != ""}
	opened := r
	if fm.Shape != input.ShapeDocument { // that counts whole, or not at all
		r = intake.NewCutter(context.WithoutCancel(ctx), r, s, pl.at).Reader()
	}
	seen, sink := &recordsSeen{Stream: s}, picket.Sink(s)
	if fm.Kind == picket.KindRecord {
		sink = seen
	}
	err = in.runInto(ctx, fm, r, f.Path(), s, sink)
	input.Close(opened)
	pl.told = seen.change
	switch {
	case src.err != nil: // not the content's: it is tried again
		return errors.Join(src.err, s.Abandon(context.WithoutCancel(ctx)))
	case err == nil:
		in.fine()
		if f.Sum() != nil { // a file that is followed as one that grows may have been left before its end
			in.observe(s, fm, picket.RecordObservation{Scope: f.Path(), Method: picket.MethodFile, Time: f.Position().Modified})
		}
	default:
		in.fail(fmt.Errorf("%s: %w", f.Path(), err))
		if fm.Shape == input.ShapeDocument {
			if err := s.Abandon(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			s = in.desk.Stream(intake.StreamConfig{Name: f.Path(), Format: fm.Name})
			pl.stream = s
		}
		// What came before counts. What follows cannot be read.
		s.Reject(reasonUnreadable, picket.Position{})
	}
	if fm.Shape == input.ShapeDocument {
		in.documentsAtHand.Lock()
		defer in.documentsAtHand.Unlock()
	}
	return in.commit(ctx, s, pl.at(-1))
}

// run decodes r into s. The decoder is not told of ctx: its reader ends, and it
// hands over what it holds. A decoder that panics has a fault, but only this stream
// shall suffer from it.
func (in *liveInput) run(ctx context.Context, fm input.Format, r io.Reader, name string, s *intake.Stream) error {
	return in.runInto(ctx, fm, r, name, s, s)
}

// runInto is run with a sink that stands before s.
func (in *liveInput) runInto(ctx context.Context, fm input.Format, r io.Reader, name string, s *intake.Stream, sink picket.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			in.d.log.Error("decoder broke down", "input", in.cfg.Name, "stream", name, "format", fm.Name, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the decoder of %s broke down: %v; please report it", fm.Name, p)
		}
	}()
	opt := in.options(name)
	if s != nil && fm.Kind == picket.KindRecord {
		s.RecordsAsEvents(fm.Name == formatPlan)
		opt.Note = func(text string) {
			if text == record.NoteOnePage || strings.HasPrefix(text, noteOfLine) {
				s.Incomplete()
			}
			in.note(text)
		}
	}
	return fm.Decode(context.WithoutCancel(ctx), r, opt, s, sink)
}

// formatPlan is of records as they would be; they are no part of any zone yet.
const formatPlan = "terraform-plan"

// noteOfLine begins what decoders of zones say of something that they do not
// follow, such as another file that belongs to the zone.
const noteOfLine = "line "

// observe says what the records of a document mean: they are all there are in its
// scope. Of every other shape nothing is concluded from what is missing.
func (in *liveInput) observe(s *intake.Stream, fm input.Format, o picket.RecordObservation) {
	if fm.Kind != picket.KindRecord || fm.Name == formatPlan {
		return
	}
	o.Source, o.Whole = in.cfg.Name, fm.Shape == input.ShapeDocument
	if now := time.Now(); o.Time.IsZero() || o.Time.After(now) {
		o.Time = now
	}
	s.Observe(o)
}

// commit ends a stream.
func (in *liveInput) commit(ctx context.Context, s *intake.Stream, positions map[string][]byte, marks ...picket.DeliveryMark) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.Commit(ctx, positions, marks...); err != nil {
		return errors.Join(err, s.Abandon(ctx))
	}
	s.Close()
	return nil
}

// bookmark is up to where a file counts, as it is kept in the store.
type bookmark struct {
	transport.Position
	Format string             `json:"format"`
	Done   picket.InputCounts `json:"done"` // of what lies behind the offset, counted already
	// Options is what Done was decoded with; "" when that was not the same all the time.
	Options string `json:"options,omitempty"`
	// Told: the document tells what was done, as a change batch does. Without it, it stays done.
	Told bool `json:"told,omitempty"`
}

func (in *liveInput) bookmark(key string) (p bookmark, known bool, err error) {
	b := in.desk.Position(key)
	if b == nil {
		return p, false, nil
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, false, fmt.Errorf("position of %s: %w", key, err)
	}
	return p, true, nil
}

// filePlace follows up to where a file's stream counts. Records that stand alone
// are resumed at the end of the last one that is accounted for. All others are
// read again from the beginning, and as many pass as had been counted.
type filePlace struct {
	key     string
	file    *transport.FollowedFile
	format  input.Format
	options string
	stream  *intake.Stream
	begin   int64              // where reading began
	base    int64              // where it is resumed
	told    bool               // the document tells what was done
	packed  bool               // offsets in the file are not those of what is read
	before  picket.InputCounts // the stream's total at base
}

// at implements what intake.NewCutter wants to know.
func (p *filePlace) at(clean int64) map[string][]byte {
	total := p.stream.Total()
	pos := p.file.Position()
	if p.format.Shape == input.ShapeLines && clean >= 0 && !p.packed {
		p.base, p.before = p.begin+clean, total
	}
	done := total.Clone()
	done.Sub(&p.before)
	pos.Offset = p.base
	b, err := json.Marshal(bookmark{Position: pos, Format: p.format.Name, Done: done, Options: p.options, Told: p.told})
	if err != nil {
		return nil // it is plain data
	}
	return map[string][]byte{p.key: b}
}

// takeConn takes in a stream that cannot be sent again. It reports whether the
// stream was read to its end.
func (in *liveInput) takeConn(ctx context.Context, r io.Reader, name string) bool {
	fm, opened, err := input.Open(r, in.cfg.Format)
	if err != nil {
		if errors.Is(err, input.ErrEmpty) || ctx.Err() != nil {
			return true
		}
		in.desk.Drop(reasonUnreadable, 1)
		in.fail(err)
		return false
	}
	in.use(fm)
	s := in.desk.Stream(intake.StreamConfig{Name: name, Format: fm.Name})
	defer input.Close(opened)
	c := intake.NewCutter(context.WithoutCancel(ctx), opened, s, nil)
	err = in.run(ctx, fm, c.Reader(), name, s)
	// What came before the trouble counts: it does not come again.
	if cerr := in.commit(ctx, s, nil); cerr != nil {
		in.desk.Drop("not stored", int(s.Uncommitted()))
		in.fail(cerr)
		return false
	}
	if err != nil && ctx.Err() == nil {
		in.fail(err)
		return false
	}
	in.fine()
	return true
}

// takeWhole takes in something that is read to its end and counts as a whole: a
// request, an object, messages. content is what is wrong with the content; then
// it counts as one record that was rejected. err is about everything else, and
// nothing of it counts. settle, which may be nil, says of what scope a document is.
func (in *liveInput) takeWhole(ctx context.Context, r io.Reader, name string, settle func(input.Format, *recordsSeen) documentPlace, mark func(picket.InputCounts) []picket.DeliveryMark) (counts picket.InputCounts, content, err error) {
	s := in.desk.Stream(intake.StreamConfig{Name: name, Format: in.cfg.Format})
	src := &sourceErrors{r: r}
	seen := &recordsSeen{Stream: s}
	fm, content := in.decodeWhole(ctx, src, name, s, seen)
	if src.err != nil { // the transport's, not the content's
		return counts, nil, errors.Join(src.err, s.Abandon(context.WithoutCancel(ctx)))
	}
	place := documentPlace{scope: name}
	if settle != nil && content == nil && fm.Kind == picket.KindRecord && fm.Name != formatPlan {
		in.documentsAtHand.Lock()
		defer in.documentsAtHand.Unlock()
		place = settle(fm, seen)
	}
	if content != nil {
		in.fail(fmt.Errorf("%s: %w", name, content))
		if err := s.Abandon(context.WithoutCancel(ctx)); err != nil {
			return counts, content, err
		}
		s = in.desk.Stream(intake.StreamConfig{Name: name, Format: in.cfg.Format})
		s.Reject(reasonUnreadable, picket.Position{})
	} else if place.old {
		if err := s.Abandon(context.WithoutCancel(ctx)); err != nil {
			return counts, nil, err
		}
		s = in.desk.Stream(intake.StreamConfig{Name: name, Format: fm.Name})
		s.Skip(reasonOlder)
	} else {
		in.fine()
		in.observe(s, fm, picket.RecordObservation{Scope: place.scope, Zone: place.zone, Time: place.time, Method: picket.MethodPush})
	}
	counts = s.Total()
	var marks []picket.DeliveryMark
	if mark != nil {
		marks = mark(counts)
	}
	return counts, content, in.commit(ctx, s, place.positions, marks...)
}

// decodeWhole decodes r into s, through sink, and says as what. An empty r is fine.
func (in *liveInput) decodeWhole(ctx context.Context, r io.Reader, name string, s *intake.Stream, sink picket.Sink) (input.Format, error) {
	fm, opened, err := input.Open(r, in.cfg.Format)
	if errors.Is(err, input.ErrEmpty) {
		return input.Format{}, nil
	}
	if err != nil {
		return input.Format{}, err
	}
	in.use(fm)
	s.Format(fm.Name)
	return fm, in.runInto(ctx, fm, opened, name, s, sink)
}

// sourceErrors tells the errors of what is read from those of what is in it.
type sourceErrors struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *sourceErrors) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.err = err
	}
	return n, err
}

// SetReadDeadline sets the source's, where it has one.
func (s *sourceErrors) SetReadDeadline(t time.Time) error {
	if live, ok := s.r.(interface{ SetReadDeadline(time.Time) error }); ok {
		return live.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}
