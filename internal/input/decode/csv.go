package decode

import (
	"bytes"
	"context"
	"io"

	"github.com/picket-dns/picket"
)

// A quoted cell may go over this many lines and bytes, so that one lost quote does
// not swallow the rest of a file.
const (
	maxCellLines = 64
	maxRow       = 64 << 10
	maxColumns   = 1024
)

// Rows cuts a stream into rows of CSV (RFC 4180), of any lengths.
type Rows struct {
	in    *Lines
	acct  picket.Accounting
	delim []byte

	header []byte // lines that a row needs in front to be an input of its own
	text   []byte // of the row last returned
	line   int64  // where that began
	wait   [][]byte
	last   int64 // line last taken
	cells  [][]byte
	buf    []byte // unquoted cells
	again  bool   // the row last returned is the next one too
}

// NewRows cuts r into rows with a delimiter, "" for a comma.
func NewRows(ctx context.Context, r io.Reader, delimiter string, acct picket.Accounting) *Rows {
	if delimiter == "" {
		delimiter = ","
	}
	return &Rows{in: NewLines(ctx, r, acct), acct: acct, delim: []byte(delimiter)}
}

// KeepHeader makes the row last returned the header of those that follow.
func (r *Rows) KeepHeader() { r.header = append(bytes.Clone(r.text), '\n') }

// Pos is the position of the row last returned, with its header in front.
func (r *Rows) Pos() picket.Position {
	if r.header == nil {
		return picket.Position{Line: r.line, Record: r.text}
	}
	return picket.Position{Line: r.line, Record: append(bytes.Clone(r.header), r.text...)}
}

// next returns the next line, first of those read before.
func (r *Rows) next() ([]byte, error) {
	if len(r.wait) > 0 {
		b := r.wait[0]
		r.wait = r.wait[1:]
		r.last++
		return b, nil
	}
	b, err := r.in.Next(false)
	if err == nil {
		r.last = r.in.Pos().Line
	}
	return b, err
}

// Next returns the cells of the next row, which are valid until the following
// call. Blank lines are skipped, rows whose quote never closes are rejected.
func (r *Rows) Next() ([][]byte, error) {
	if r.again {
		r.again = false
		return r.cells, nil
	}
	for {
		line, err := r.next()
		if err != nil {
			return nil, err
		}
		r.line = r.last
		if len(bytes.TrimSpace(line)) == 0 {
			r.acct.Skip(SkipBlank)
			continue
		}
		r.text = append(r.text[:0], line...)
		if r.split() {
			return r.cells, nil
		}
		var more [][]byte
		for len(more) < maxCellLines && len(r.text) < maxRow {
			line, err = r.next()
			if err != nil {
				break
			}
			more = append(more, bytes.Clone(line))
			r.text = append(append(r.text, '\n'), line...)
			if bytes.IndexByte(line, '"') >= 0 && r.split() {
				return r.cells, nil
			}
		}
		if err != nil && err != io.EOF { //nolint:errorlint // readers return it bare
			return nil, err
		}
		// The quote was one by mistake: what followed are rows of their own.
		first, _, _ := bytes.Cut(r.text, []byte{'\n'})
		r.text = first
		r.acct.Reject(ReasonQuote, r.Pos())
		r.wait = append(more, r.wait...)
		r.last = r.line
	}
}

// split cuts r.text into r.cells. It reports false when a quote is open at its end.
func (r *Rows) split() bool {
	r.cells, r.buf = r.cells[:0], r.buf[:0]
	b := r.text
	for len(r.cells) < maxColumns {
		lead := bytes.TrimLeft(b, " ")
		if len(lead) == 0 || lead[0] != '"' {
			i := bytes.Index(b, r.delim)
			if i < 0 {
				r.cells = append(r.cells, b)
				return true
			}
			r.cells = append(r.cells, b[:i])
			b = b[i+len(r.delim):]
			continue
		}
		b = lead[1:]
		from := len(r.buf)
		for {
			i := bytes.IndexByte(b, '"')
			if i < 0 {
				return false
			}
			r.buf = append(r.buf, b[:i]...)
			b = b[i+1:]
			if len(b) == 0 || b[0] != '"' {
				break
			}
			r.buf = append(r.buf, '"')
			b = b[1:]
		}
		// What stands between the closing quote and the delimiter belongs to the cell.
		i := bytes.Index(b, r.delim)
		tail := b
		if i >= 0 {
			tail = b[:i]
		}
		r.buf = append(r.buf, tail...)
		r.cells = append(r.cells, r.buf[from:len(r.buf):len(r.buf)])
		if i < 0 {
			return true
		}
		b = b[i+len(r.delim):]
	}
	return true
}
