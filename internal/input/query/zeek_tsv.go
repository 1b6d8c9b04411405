package query

import (
	"bytes"

	"github.com/picket-dns/picket/internal/input/decode"
)

// columnsOf reads a #fields line's columns. It reports false, and no row can be
// read, when the line names too few of them.
func columnsOf(h *decode.ZeekHeader) bool {
	if h.Has(zeekTS) && h.Has(zeekQuery) && h.Has(zeekOrigH) {
		return true
	}
	h.Columns = h.Columns[:0]
	return false
}

// cells reads a line into d.row; missing columns stay unset.
func (d *zeekReader) cells(h *decode.ZeekHeader, line []byte) {
	r := &d.row
	h.Row(line, r.v[:])
	d.answers.n, d.answers.ttls = 0, 0
	for f, cell := range r.v {
		if cell == nil {
			continue
		}
		empty := bytes.Equal(cell, h.Empty)
		switch {
		case f == int(zeekAnswer) && !empty:
			eachOf(cell, h.Set, d.answers.add)
		case f == int(zeekTTL) && !empty:
			eachOf(cell, h.Set, d.answers.addTTL)
		case empty && f == int(zeekQuery):
			r.v[f] = rootText
		case empty:
			r.v[f] = nil
		}
	}
}

// eachOf calls f for each value of a set.
func eachOf(cell, sep []byte, f func([]byte)) {
	for more := true; more; {
		var text []byte
		text, cell, more = bytes.Cut(cell, sep)
		f(text)
	}
}

func (d *zeekReader) tsv(in *decode.Lines) error {
	h := decode.NewZeekHeader(zeekFieldOf)
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		switch {
		case len(line) == 0:
			d.acct.Skip(decode.SkipBlank)
		case line[0] == '#':
			h.Keep(line)
			if h.Line(line) && !columnsOf(h) {
				d.acct.Reject(reasonZeekFields, in.Pos())
			} else {
				d.acct.Skip(skipZeekHeader)
			}
		case !h.Is("dns"):
			d.acct.Skip(skipZeekPath)
		case len(h.Columns) == 0:
			d.acct.Reject(reasonZeekHeader, in.Pos())
		default:
			d.cells(h, line)
			reason, err := d.take()
			if err != nil {
				return err
			}
			if reason != "" {
				at := in.Pos()
				at.Record = h.With(at.Record)
				d.acct.Reject(reason, at)
			}
		}
	}
}

// DetectZeekDNS knows TSV by its #fields line and JSON by its keys.
func DetectZeekDNS(head []byte) int {
	h, score, n := decode.NewZeekHeader(zeekFieldOf), 0, 0
	decode.EachLine(head, func(line []byte) bool {
		n++
		if bytes.HasPrefix(line, []byte("#")) && h.Line(line) && columnsOf(h) {
			if h.Is("dns") {
				score = 95
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
