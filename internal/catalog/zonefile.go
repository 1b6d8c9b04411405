package catalog

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
)

// Bounds of a zone file with everything it includes and generates.
const (
	maxZoneBytes    = 1 << 30 // after decompression
	maxIncludeDepth = 8
	maxGenerated    = 65536 // names made by $GENERATE
)

// SplitZoneArg splits the "[ORIGIN=]PATH" of the command line.
func SplitZoneArg(arg string) (origin, path string) {
	before, after, ok := strings.Cut(arg, "=")
	if !ok || before == "" || strings.ContainsAny(before, `/\`) {
		return "", arg
	}
	return before, after
}

// LoadZoneFile reads a master file (RFC 1035 §5, RFC 2308 §4), also compressed
// with gzip. origin is the zone's name; when it is "" the owner of the SOA is,
// failing that the first $ORIGIN, failing that the file's name.
//
// A record that cannot be read is noted in the ZoneData's Problems, each with
// file and line, and the others are taken. The error is for a file that yields
// no zone at all; the ZoneData is then nil.
func LoadZoneFile(path, origin string) (*ZoneData, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("zone file: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("zone file %s: is a folder: give the file of one zone", path)
	}
	l := &loader{budget: maxZoneBytes, generate: maxGenerated}
	return l.load(f, path, origin)
}

// loader reads one zone from a file and those it includes.
type loader struct {
	z        *ZoneData
	folder   string // of the zone file: includes stay within
	budget   int64  // bytes left
	generate int    // names left

	apex   []byte   // nil until known
	guess  []byte   // apex when no SOA tells: first $ORIGIN, or the file's name
	batch  []record // read but not yet verified and taken
	verify verifier
}

// place is where the loader is within one file.
type place struct {
	file   string
	depth  int
	origin []byte // nil when none is known yet
	owner  []byte // of the record before; nil when there is none
}

func (l *loader) load(f io.Reader, path, origin string) (*ZoneData, error) {
	l.z = NewZoneData(dnsname.Root())
	l.z.Path = path
	l.folder = filepath.Dir(path)
	at := &place{file: path}
	if origin != "" {
		apex, err := dnsname.Parse(origin)
		if err != nil {
			return nil, fmt.Errorf("zone file %s: origin %q: %w: give a domain name such as example.com", path, origin, err)
		}
		l.apex, at.origin = apex, apex
		l.z.Apex = apex
	}
	if err := l.read(f, at); err != nil {
		return nil, fmt.Errorf("zone file %s: %w", path, err)
	}
	if err := l.finish(path); err != nil {
		return nil, err
	}
	return l.z, nil
}

// finish settles the apex if no SOA has and judges the whole.
func (l *loader) finish(path string) error {
	if l.apex == nil {
		if l.guess == nil && len(l.batch) > 0 {
			l.guess = originFromFile(path)
		}
		if l.guess == nil && len(l.batch) > 0 {
			return fmt.Errorf("zone file %s: no SOA and no $ORIGIN say which zone this is: give it as ORIGIN=%s", path, path)
		}
		l.setApex(l.guess)
	}
	l.flush()
	slices.SortStableFunc(l.z.Problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	if l.z.Records == 0 {
		if len(l.z.Problems) > 0 {
			return fmt.Errorf("zone file %s: no usable record; first problem: %w", path, l.z.Problems[0])
		}
		return fmt.Errorf("zone file %s: no records: a master file as in RFC 1035 §5 is wanted", path)
	}
	if !l.z.SOA {
		l.z.problem(path, 1, "no SOA for %s: add it, or give the right origin as ORIGIN=PATH", l.z.Name())
	}
	return nil
}

func (l *loader) setApex(apex []byte) {
	if apex != nil {
		l.apex, l.z.Apex = apex, apex
	}
}

// read takes in one file.
func (l *loader) read(f io.Reader, at *place) error {
	br := bufio.NewReaderSize(f, 64<<10)
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		gz, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		br = bufio.NewReaderSize(gz, 64<<10)
	}
	r := &entryReader{r: br, budget: &l.budget}
	for {
		e, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errBudget):
			l.problem(at, r.line+1, "the zone is larger than %d MiB: the rest is not read", maxZoneBytes>>20)
			return nil
		case err != nil: // a broken archive, a disk: what came before counts
			l.problem(at, r.line+1, "read: %v: the rest of the file is lost", err)
			return nil
		case e.err != "":
			l.bad(at, e.line, "%s", e.err)
		case e.text[0] == '$':
			l.directive(e, at)
		default:
			l.record(e, at)
		}
	}
}

// problem notes something wrong that is not a record.
func (l *loader) problem(at *place, line int, format string, args ...any) {
	l.z.problem(at.file, line, format, args...)
}

// bad notes a record that is not taken.
func (l *loader) bad(at *place, line int, format string, args ...any) {
	l.z.Skipped++
	l.problem(at, line, format, args...)
}

// originFromFile guesses a zone from the name of its file, as name servers'
// packages and examples call them: example.com.zone, db.example.com.
func originFromFile(path string) []byte {
	base := filepath.Base(path)
	base = strings.TrimSuffix(base, ".gz")
	base = strings.TrimSuffix(base, ".signed")
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
