// Package masterfile reads zone files (master files, RFC 1035 §5), the way that
// people write them and tools break them: a record that cannot be read is told
// with its line, and the others are taken. It cuts a file into entries, follows
// $ORIGIN, $TTL, $INCLUDE and $GENERATE, and checks the data of records with a
// full parser, many at a time. What a zone is, it leaves to whoever reads.
//
// A Reader tells a Handler what it finds; a Verifier checks the data of what was
// found.
package masterfile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Bounds of a zone file with everything it includes and generates.
const (
	MaxBytes        = 1 << 30 // after decompression
	MaxGenerated    = 65536   // names made by $GENERATE
	maxIncludeDepth = 8
)

// Reasons of Problems: short, and few.
const (
	ReasonName      = "bad name"
	ReasonNoOrigin  = "relative name without origin"
	ReasonNoOwner   = "record without owner name"
	ReasonNoType    = "record without type"
	ReasonType      = "unknown record type"
	ReasonData      = "bad record data"
	ReasonEntry     = "quote or parenthesis not closed"
	ReasonDirective = "bad directive"
	ReasonInclude   = "$INCLUDE not followed"
	ReasonGenerate  = "bad $GENERATE"
	ReasonTooLarge  = "zone too large, the rest is not read"
	ReasonRead      = "rest of the file cannot be read"
)

// Record is one record as a zone file has it.
type Record struct {
	File   string // where it stands
	Line   int    // from 1
	Owner  []byte // canonical wire form; not to be written to
	TTL    int64  // seconds: its own, that of $TTL, or of the record before; -1 when none is said
	Class  uint16 // its own, or the first that a record of the zone says; 1 when none does
	Type   uint16
	Origin string // for relative names in Data
	Data   string // as it stands, on one line

	known bool // data that the verifier must be able to read
}

// String is the record as one line of a zone file that needs nothing before it.
func (r *Record) String() string {
	ttl := ""
	if r.TTL >= 0 {
		ttl = strconv.FormatInt(r.TTL, 10) + " "
	}
	return fmt.Sprintf("$ORIGIN %s\n%s %sCLASS%d %s %s\n", r.Origin, dnsname.String(r.Owner), ttl, r.Class, TypeName(r.Type), r.Data)
}

// Problem is something wrong in a file.
type Problem struct {
	File   string
	Line   int    // from 1
	Reason string // one of the Reasons above
	Text   string // what is wrong, and what would be right
	Entry  []byte // the entry's text; borrowed, nil when it is no entry
	// Record says that a record is not taken because of it.
	Record bool
}

// Handler is told what is in a file, in its order.
type Handler interface {
	// Record takes a record whose data has not been verified. An error ends reading.
	Record(Record) error
	// Directive is told of a directive that was understood; name is what $ORIGIN
	// says, in canonical wire form, nil for the others.
	Directive(word string, name []byte)
	Problem(Problem)
}

// Reader reads a zone's file and those it includes.
type Reader struct {
	// Folder is where included files must lie; without it none is included.
	Folder string
	// Budget is how many bytes may be read over all files, Generate how many names
	// $GENERATE may make. Both go down.
	Budget   int64
	Generate int

	h     Handler
	class uint16 // the zone's: the first that is said, 0 before
	ttl   int64  // of $TTL, -1 when there is none
	last  int64  // TTL of the record before, -1 when there is none
	err   error  // of the handler
}

// place is where the reader is within one file.
type place struct {
	file   string
	depth  int
	origin []byte // nil when none is known yet
	owner  []byte // of the record before; nil when there is none
}

// Read tells h what is in f, a file called name. origin, in canonical wire form,
// is that of relative names until $ORIGIN says otherwise; nil when it is not
// known. The only error is the handler's.
func (r *Reader) Read(f io.Reader, name string, origin []byte, h Handler) error {
	r.h, r.class, r.ttl, r.last, r.err = h, 0, -1, -1, nil
	r.read(f, &place{file: name, origin: origin})
	return r.err
}

// read takes in one file.
func (r *Reader) read(f io.Reader, at *place) {
	br := bufio.NewReaderSize(f, 64<<10)
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		gz, err := gzip.NewReader(br)
		if err != nil {
			r.problem(at, 1, ReasonRead, "gzip: %v", err)
			return
		}
		br = bufio.NewReaderSize(gz, 64<<10)
	}
	e := &entryReader{r: br, budget: &r.Budget}
	for r.err == nil {
		switch entry, err := e.next(); {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errBudget):
			r.problem(at, e.line+1, ReasonTooLarge, "the zone is larger than %d MiB: the rest is not read", MaxBytes>>20)
			return
		case err != nil: // a broken archive, a disk: what came before counts
			r.problem(at, e.line+1, ReasonRead, "read: %v: the rest of the file is lost", err)
			return
		case entry.err != "":
			r.bad(at, entry, ReasonEntry, "%s", entry.err)
		case entry.text[0] == '$':
			r.directive(entry, at)
		default:
			r.record(entry, at)
		}
	}
}

// problem notes something wrong that is not a record.
func (r *Reader) problem(at *place, line int, reason, format string, args ...any) {
	r.h.Problem(Problem{File: at.file, Line: line, Reason: reason, Text: fmt.Sprintf(format, args...)})
}

// bad notes a record that is not taken.
func (r *Reader) bad(at *place, e entry, reason, format string, args ...any) {
	r.h.Problem(Problem{File: at.file, Line: e.line, Reason: reason, Text: fmt.Sprintf(format, args...), Entry: e.text, Record: true})
}

// OriginOf guesses a zone from the name of its file, as name servers' packages
// and examples call them: example.com.zone, db.example.com. It is nil when the
// name is none of a zone.
func OriginOf(path string) []byte {
	base := filepath.Base(path)
	for _, ext := range []string{".gz", ".zst", ".xz", ".signed"} {
		base = strings.TrimSuffix(base, ext)
	}
	for _, ext := range []string{".zone", ".db", ".hosts", ".dns", ".txt"} {
		base = strings.TrimSuffix(base, ext)
	}
	base = strings.TrimPrefix(base, "db.")
	if strings.ContainsAny(base, " \\$@") {
		return nil
	}
	name, err := dnsname.Parse(base)
	if err != nil || len(name) == 1 {
		return nil
	}
	return name
}
