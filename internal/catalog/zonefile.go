package catalog

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/masterfile"
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
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		return nil, fmt.Errorf("zone file %s: is a folder: give the file of one zone", path)
	}
	l := &loader{budget: masterfile.MaxBytes, generate: masterfile.MaxGenerated}
	z, lerr := l.load(f, path, origin)
	if lerr == nil && err == nil {
		z.Modified = st.ModTime()
	}
	return z, lerr
}

// loader makes one zone of a file and those it includes.
type loader struct {
	z        *ZoneData
	budget   int64 // bytes left
	generate int   // names left

	apex   []byte              // nil until known
	guess  []byte              // apex when no SOA tells: first $ORIGIN, or the file's name
	batch  []masterfile.Record // read but not yet verified and taken
	verify masterfile.Verifier
}

func (l *loader) load(f io.Reader, path, origin string) (*ZoneData, error) {
	l.z = NewZoneData(dnsname.Root())
	l.z.Path = path
	if origin != "" {
		apex, err := dnsname.Parse(origin)
		if err != nil {
			return nil, fmt.Errorf("zone file %s: origin %q: %w: give a domain name such as example.com", path, origin, err)
		}
		l.setApex(apex)
	}
	r := &masterfile.Reader{Folder: filepath.Dir(path), Budget: l.budget, Generate: l.generate}
	if err := r.Read(f, path, l.apex, l); err != nil {
		return nil, fmt.Errorf("zone file %s: %w", path, err)
	}
	if err := l.finish(path); err != nil {
		return nil, err
	}
	return l.z, nil
}

// Record implements masterfile.Handler.
func (l *loader) Record(r masterfile.Record) error {
	if r.Class != 1 {
		l.bad(&r, fmt.Sprintf("class %s: only zones of class IN are watched", className(r.Class)))
		return nil
	}
	if r.Type == typeSOA && l.apex == nil {
		l.setApex(r.Owner)
	}
	l.batch = append(l.batch, r)
	if len(l.batch) >= masterfile.BatchSize && l.apex != nil {
		l.flush()
	}
	return nil
}

// Directive implements masterfile.Handler.
func (l *loader) Directive(_ string, name []byte) {
	if l.guess == nil {
		l.guess = name
	}
}

// Problem implements masterfile.Handler.
func (l *loader) Problem(p masterfile.Problem) {
	if p.Record {
		l.z.Skipped++
	}
	l.z.problem(p.File, p.Line, "%s", p.Text)
}

// bad notes a record that is not taken.
func (l *loader) bad(r *masterfile.Record, text string) {
	l.z.Skipped++
	l.z.problem(r.File, r.Line, "%s", text)
}

// flush verifies the batch and adds what is good to the zone.
func (l *loader) flush() {
	l.verify.Run(l.batch, func(r *masterfile.Record, _ dns.RR, problem string) {
		if problem == "" {
			if err := l.z.Add(r.Owner, r.Type); err != nil {
				problem = err.Error() + ": it is not taken"
			}
		}
		if problem != "" {
			l.bad(r, problem)
		}
	})
	l.batch = l.batch[:0]
}

func className(c uint16) string {
	switch c {
	case 2:
		return "CS"
	case 3:
		return "CH"
	case 4:
		return "HS"
	}
	return fmt.Sprintf("CLASS%d", c)
}

// finish settles the apex if no SOA has and judges the whole.
func (l *loader) finish(path string) error {
	if l.apex == nil {
		if l.guess == nil && len(l.batch) > 0 {
			l.guess = masterfile.OriginOf(path)
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
