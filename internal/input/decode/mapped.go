package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
)

// Values are what a mapping found in one record, by field. They are borrowed.
type Values struct {
	names  []string
	values [][][]byte
	fixed  [][]byte // constants
}

// All returns a field's values: more than one where a path leads to several.
func (v *Values) All(i int) [][]byte {
	if len(v.values[i]) > 0 {
		return v.values[i]
	}
	if v.fixed[i] != nil {
		return v.fixed[i : i+1]
	}
	return nil
}

// Names returns the mapped fields; All takes an index in it.
func (v *Values) Names() []string { return v.names }

// add keeps a value that says something.
func (v *Values) add(i int, b []byte) {
	if len(b) > 0 && len(v.values[i]) < maxMapped {
		v.values[i] = append(v.values[i], b)
	}
}

func (v *Values) reset() {
	for i := range v.values {
		v.values[i] = v.values[i][:0]
	}
}

// maxMapped bounds the values of one field in one record.
const maxMapped = 1000

// newValues lists the fields of a mapping and their constants.
func newValues(m *Mapping) *Values {
	names := map[string]bool{}
	for f := range m.Fields {
		names[f] = true
	}
	for f := range m.Constants {
		names[f] = true
	}
	v := &Values{names: slices.Sorted(maps.Keys(names))}
	v.values = make([][][]byte, len(v.names))
	v.fixed = make([][]byte, len(v.names))
	for i, f := range v.names {
		if c := m.Constants[f]; c != "" {
			v.fixed[i] = []byte(c)
		}
	}
	return v
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Take makes telemetry of one record and hands it on, telling the accounting that
// it did. A reason rejects the record; an error stops.
type Take func(v *Values) (reason string, err error)

// MappedJSON reads the objects of a stream by a mapping. A path is a key, or keys
// parted by dots; keys that hold dots themselves are found too. name[2] is an
// element of an array, name[] and name are all of them. A string that is JSON
// itself is looked into.
func MappedJSON(ctx context.Context, r io.Reader, m *Mapping, acct picket.Accounting, take Take) error {
	v := newValues(m)
	var top []want
	for i, f := range v.names {
		if p := m.Fields[f]; p != "" {
			top = append(top, want{i, strings.TrimPrefix(strings.TrimPrefix(p, "$"), ".")})
		}
	}
	in := NewRecords(ctx, r, acct)
	j := &mappedJSON{values: v, top: top, take: take, acct: acct}
	for {
		rec, err := in.NextRecord(false)
		if err != nil {
			if errors.Is(err, ErrIdle) {
				continue
			}
			return Ended(err)
		}
		n, reason, err := j.object(rec, m.Records, in.Pos())
		if err != nil {
			return err
		}
		if reason != "" {
			acct.Reject(reason, in.Fault(n))
		}
		in.Done(n)
	}
}

// mappedJSON is the state of one MappedJSON call.
type mappedJSON struct {
	c      Cursor
	values *Values
	top    []want
	stack  []want // of the paths followed at present
	take   Take
	acct   picket.Accounting
}

// object takes the object that rec begins with, n bytes long, or the records
// within it.
func (j *mappedJSON) object(rec []byte, records string, at picket.Position) (n int, reason string, err error) {
	c := &j.c
	if records != "" {
		c.Reset(rec)
		if c.Skip(); c.Bad {
			return len(rec), ReasonBrokenJSON, nil
		}
		n = c.I
		if c.Reset(rec[:n]); seek(c, records) {
			return n, "", j.elements(rec, at)
		}
	}
	c.Reset(rec)
	reason, err = j.record()
	if n = c.I; c.Bad {
		n = len(rec)
	}
	return n, reason, err
}

// elements takes the elements of the array stepped into.
func (j *mappedJSON) elements(rec []byte, at picket.Position) error {
	for c := &j.c; c.More(']'); {
		from := c.I
		reason, err := j.record()
		if err != nil {
			return err
		}
		if reason != "" {
			end := c.I
			if c.Bad {
				end = len(rec)
			}
			at.Record = rec[from:end]
			j.acct.Reject(reason, at)
		}
	}
	return nil
}

// record takes the record under the cursor.
func (j *mappedJSON) record() (reason string, err error) {
	if j.c.peek() != '{' {
		j.c.Skip()
		return ReasonNotObject, nil
	}
	j.values.reset()
	j.walk(&j.c, j.top, 0)
	if j.c.Bad {
		return ReasonBrokenJSON, nil
	}
	return j.take(j.values)
}

// seek steps into the array at a path.
func seek(c *Cursor, path string) bool {
	for path != "" {
		if !c.Open('{') {
			return false
		}
		for {
			k, ok := c.Key()
			if !ok {
				return false
			}
			if rest, ok := below(path, k); ok {
				path = rest
				break
			}
			c.Skip()
		}
	}
	return c.Open('[')
}

// want is a field and what is left of its path.
type want struct {
	field int
	path  string
}

// walk looks at the value under the cursor for the wanted paths; one whose path is
// "" wants the value itself.
func (j *mappedJSON) walk(c *Cursor, wants []want, depth int) {
	if depth > 32 || len(wants) == 0 {
		c.Skip()
		return
	}
	at := len(j.stack)
	switch {
	case c.Open('{'):
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			for _, w := range wants {
				if rest, ok := below(w.path, k); ok {
					j.stack = append(j.stack, want{w.field, rest})
				}
			}
			j.walk(c, j.stack[at:], depth+1)
			j.stack = j.stack[:at]
		}
	case c.Open('['):
		for n := 0; c.More(']'); n++ {
			for _, w := range wants {
				if rest, ok := element(w.path, n); ok {
					j.stack = append(j.stack, want{w.field, rest})
				}
			}
			j.walk(c, j.stack[at:], depth+1)
			j.stack = j.stack[:at]
		}
	default:
		j.scalar(c, wants, depth)
	}
}

// scalar takes a value, or looks into it when it is JSON itself.
func (j *mappedJSON) scalar(c *Cursor, wants []want, depth int) {
	b := c.Scalar()
	inner := false
	for _, w := range wants {
		if w.path == "" {
			j.values.add(w.field, b)
		} else {
			inner = true
		}
	}
	if inner && len(b) > 1 && (b[0] == '{' || b[0] == '[') {
		text := Cursor{}
		text.Reset(b)
		j.walk(&text, wants, depth+1)
	}
}

// below reports what is left of a path under a key.
func below(path string, key []byte) (rest string, ok bool) {
	if path == "" || len(path) < len(key) || path[:len(key)] != string(key) {
		return "", false
	}
	switch rest = path[len(key):]; {
	case rest == "":
		return "", true
	case rest[0] == '.':
		return rest[1:], true
	case rest[0] == '[':
		return rest, true
	}
	return "", false
}

// element reports what is left of a path at an array's element.
func element(path string, n int) (rest string, ok bool) {
	if !strings.HasPrefix(path, "[") {
		return path, true
	}
	index, rest, _ := strings.Cut(path[1:], "]")
	if index != "" && index != strconv.Itoa(n) {
		return "", false
	}
	return strings.TrimPrefix(rest, "."), true
}

// Reasons of CSV.
const (
	ReasonQuote    = "quote not closed"
	ReasonNoColumn = "row without the mapped columns"
	SkipHeader     = "header line"
)

// ErrNoHeader is a CSV input without the columns that a mapping names.
var ErrNoHeader = errors.New("header lacks columns that the mapping names")

// MappedCSV reads rows by a mapping. Columns are named as in the first row, in any
// case, or numbered from 1; when all are numbered there is no such row. Quoting is
// that of RFC 4180; a quoted cell may go over lines.
func MappedCSV(ctx context.Context, r io.Reader, m *Mapping, acct picket.Accounting, take Take) error {
	return mappedCSV(NewRows(ctx, r, m.Delimiter, acct), m, acct, take)
}

// GuessedCSV is MappedCSV for input whose first row tells the mapping.
func GuessedCSV(ctx context.Context, r io.Reader, acct picket.Accounting, guess func(head [][]byte) (*Mapping, error), take Take) error {
	in := NewRows(ctx, r, "", acct)
	head, err := in.Next()
	if err != nil {
		return Ended(err)
	}
	m, err := guess(head)
	if err != nil {
		return err
	}
	in.again = true
	return mappedCSV(in, m, acct, take)
}

func mappedCSV(in *Rows, m *Mapping, acct picket.Accounting, take Take) error {
	v := newValues(m)
	columns, named := make([]int, len(v.names)), false
	for i, f := range v.names {
		n, err := strconv.Atoi(m.Fields[f])
		columns[i] = n - 1
		named = named || (m.Fields[f] != "" && (err != nil || n < 1))
	}
	if named {
		head, err := in.Next()
		if err != nil {
			return Ended(err)
		}
		if err := findColumns(head, v.names, m, columns); err != nil {
			return err
		}
		in.KeepHeader()
		acct.Skip(SkipHeader)
	}
	for {
		row, err := in.Next()
		if err != nil {
			return Ended(err)
		}
		v.reset()
		any := false
		for i, n := range columns {
			if n >= 0 && n < len(row) {
				v.add(i, bytes.TrimSpace(row[n]))
				any = true
			}
		}
		reason := ReasonNoColumn
		if any {
			if reason, err = take(v); err != nil {
				return err
			}
		}
		if reason != "" {
			acct.Reject(reason, in.Pos())
		}
	}
}

// findColumns finds the named columns in a header row.
func findColumns(head [][]byte, names []string, m *Mapping, columns []int) error {
	var missing []string
	for i, f := range names {
		want := m.Fields[f]
		if want == "" {
			continue
		}
		found := slices.IndexFunc(head, func(c []byte) bool { return strings.EqualFold(strings.TrimSpace(string(c)), want) })
		if found >= 0 {
			columns[i] = found
		} else if columns[i] < 0 {
			missing = append(missing, strconv.Quote(want))
		}
	}
	if missing == nil {
		return nil
	}
	var has []string
	for _, c := range head[:min(len(head), 50)] {
		has = append(has, strconv.Quote(Text(bytes.TrimSpace(c[:min(len(c), 60)]))))
	}
	return fmt.Errorf("%w: %s; it has %s", ErrNoHeader, strings.Join(missing, ", "), strings.Join(has, ", "))
}
