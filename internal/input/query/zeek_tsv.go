package query

import (
	"bytes"

	"github.com/picket-dns/picket/internal/input/decode"
)

// zeekHeader is what the header lines of a TSV log say about those that follow.
type zeekHeader struct {
	sep, unset, empty, set []byte
	path                   []byte
	columns                []zeekField
	text                   []byte // the header's lines
}

func newZeekHeader() *zeekHeader {
	return &zeekHeader{sep: []byte{'\t'}, unset: []byte("-"), empty: []byte("(empty)"), set: []byte(",")}
}

// line takes a line that begins with '#'. It reports false when a #fields line
// names too few columns.
func (h *zeekHeader) line(line []byte) bool {
	if v, ok := bytes.CutPrefix(line, []byte("#separator ")); ok {
		if sep := zeekUnescape(v); len(sep) > 0 {
			h.sep = sep
		}
		return true
	}
	key, v, ok := bytes.Cut(line, h.sep)
	if !ok {
		return true
	}
	switch string(key) {
	case "#set_separator":
		h.set = bytes.Clone(v)
	case "#empty_field":
		h.empty = bytes.Clone(v)
	case "#unset_field":
		h.unset = bytes.Clone(v)
	case "#path":
		h.path = bytes.Clone(v)
	case "#fields":
		return h.fields(v)
	}
	return true
}

// with returns a record as a log of its own: the header that holds for it, and its line.
func (h *zeekHeader) with(line []byte) []byte {
	return append(append(bytes.Clone(h.text), line...), '\n')
}

// keep adds a line to the header's text.
func (h *zeekHeader) keep(line []byte) {
	const most = 16 << 10
	if bytes.HasPrefix(line, []byte("#separator")) {
		h.text = h.text[:0]
	}
	if len(h.text)+len(line) < most {
		h.text = append(append(h.text, line...), '\n')
	}
}

// fields reads the columns' names. More than 256 of them is no Zeek log.
func (h *zeekHeader) fields(v []byte) bool {
	h.columns = h.columns[:0]
	var has [zeekFields]bool
	for more := true; more && len(h.columns) < 256; {
		var name []byte
		name, v, more = bytes.Cut(v, h.sep)
		f := zeekFieldOf(name)
		has[f] = true
		h.columns = append(h.columns, f)
	}
	if !has[zeekTS] || !has[zeekQuery] || !has[zeekOrigH] {
		h.columns = h.columns[:0]
		return false
	}
	return true
}

// zeekUnescape reads \x09 and the like.
func zeekUnescape(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+3 < len(v) && v[i+1] == 'x' {
			if hi, lo := decode.HexValue(v[i+2]), decode.HexValue(v[i+3]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 3
				continue
			}
		}
		out = append(out, v[i])
	}
	return out
}

// row cuts a line at the separators; missing columns stay unset.
func (h *zeekHeader) row(line []byte, r *zeekRow) {
	*r = zeekRow{}
	for _, f := range h.columns {
		var cell []byte
		i := -1
		if len(h.sep) == 1 {
			i = bytes.IndexByte(line, h.sep[0])
		} else {
			i = bytes.Index(line, h.sep)
		}
		if i < 0 {
			cell = line
		} else {
			cell = line[:i]
		}
		if f != zeekNone && !bytes.Equal(cell, h.unset) {
			switch {
			case f == zeekAnswers:
				r.answers = uint16(min(1+bytes.Count(cell, h.set), 65535))
				if bytes.Equal(cell, h.empty) {
					r.answers = 0
				}
			case !bytes.Equal(cell, h.empty):
				r.v[f] = cell
			case f == zeekQuery:
				r.v[f] = rootText
			}
		}
		if i < 0 {
			return
		}
		line = line[i+len(h.sep):]
	}
}

func (d *zeekReader) tsv(in *decode.Lines) error {
	h := newZeekHeader()
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		switch {
		case len(line) == 0:
			d.acct.Skip(decode.SkipBlank)
		case line[0] == '#':
			h.keep(line)
			if !h.line(line) {
				d.acct.Reject(reasonZeekFields, in.Pos())
			} else {
				d.acct.Skip(skipZeekHeader)
			}
		case h.path != nil && string(h.path) != "dns":
			d.acct.Skip(skipZeekPath)
		case len(h.columns) == 0:
			d.acct.Reject(reasonZeekHeader, in.Pos())
		default:
			h.row(line, &d.row)
			reason, err := d.take()
			if err != nil {
				return err
			}
			if reason != "" {
				at := in.Pos()
				at.Record = h.with(at.Record)
				d.acct.Reject(reason, at)
			}
		}
	}
}

// DetectZeekDNS knows TSV by its #fields line and JSON by its keys.
func DetectZeekDNS(head []byte) int {
	h, score, n := newZeekHeader(), 0, 0
	decode.EachLine(head, func(line []byte) bool {
		n++
		if bytes.HasPrefix(line, []byte("#")) && h.line(line) && len(h.columns) > 0 {
			score = 95
			if h.path != nil && string(h.path) != "dns" {
				score = 0
			}
			return false
		}
		return n < 200
	})
	if score > 0 {
		return score
	}
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var orig, question bool
		for {
			k, ok := c.Key()
			if !ok {
				return false
			}
			switch string(k) {
			case "id.orig_h":
				orig = true
			case "query", "qtype_name", "trans_id":
				question = true
			}
			if orig && question {
				return true
			}
			c.Skip()
		}
	}, 90)
}
