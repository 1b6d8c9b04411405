package decode

import "bytes"

// ZeekHeader is what the header lines of a Zeek TSV log say about those that
// follow. Columns are known by numbers that the log's decoder gives them.
type ZeekHeader struct {
	Sep, Unset, Empty, Set []byte
	Path                   []byte // of the log, such as dns; nil before a #path line
	Columns                []uint8
	Text                   []byte // the header's lines

	number func(name []byte) uint8
	has    [256]bool
}

// NewZeekHeader returns the header that holds before any line. number names the
// columns: 0 is one that is not read, and no number may exceed the cells given to Row.
func NewZeekHeader(number func(name []byte) uint8) *ZeekHeader {
	return &ZeekHeader{Sep: []byte{'\t'}, Unset: []byte("-"), Empty: []byte("(empty)"), Set: []byte(","), number: number}
}

// Line takes a line that begins with '#'. It reports whether that was a #fields line.
func (h *ZeekHeader) Line(line []byte) (fields bool) {
	if v, ok := bytes.CutPrefix(line, []byte("#separator ")); ok {
		if sep := zeekUnescape(v); len(sep) > 0 {
			h.Sep = sep
		}
		return false
	}
	key, v, ok := bytes.Cut(line, h.Sep)
	if !ok {
		return false
	}
	switch string(key) {
	case "#set_separator":
		h.Set = bytes.Clone(v)
	case "#empty_field":
		h.Empty = bytes.Clone(v)
	case "#unset_field":
		h.Unset = bytes.Clone(v)
	case "#path":
		h.Path = bytes.Clone(v)
	case "#fields":
		h.fields(v)
		return true
	}
	return false
}

// Has reports whether the last #fields line names the column.
func (h *ZeekHeader) Has(column uint8) bool { return h.has[column] }

// Is reports whether the log is of that name, or does not say of which.
func (h *ZeekHeader) Is(path string) bool { return h.Path == nil || string(h.Path) == path }

// With returns a record as a log of its own: the header that holds for it, and its line.
func (h *ZeekHeader) With(line []byte) []byte {
	return append(append(bytes.Clone(h.Text), line...), '\n')
}

// Keep adds a line to the header's text.
func (h *ZeekHeader) Keep(line []byte) {
	const most = 16 << 10
	if bytes.HasPrefix(line, []byte("#separator")) {
		h.Text = h.Text[:0]
	}
	if len(h.Text)+len(line) < most {
		h.Text = append(append(h.Text, line...), '\n')
	}
}

// fields reads the columns' names. More than 256 of them is no Zeek log.
func (h *ZeekHeader) fields(v []byte) {
	h.Columns, h.has = h.Columns[:0], [256]bool{}
	for more := true; more && len(h.Columns) < 256; {
		var name []byte
		name, v, more = bytes.Cut(v, h.Sep)
		f := h.number(name)
		h.has[f] = true
		h.Columns = append(h.Columns, f)
	}
}

// Row cuts a line at the separators into cells, by the columns' numbers. Unset and
// missing ones are nil; an empty set or string is still h.Empty.
func (h *ZeekHeader) Row(line []byte, cells [][]byte) {
	clear(cells)
	for _, f := range h.Columns {
		cell, i := line, -1
		if len(h.Sep) == 1 {
			i = bytes.IndexByte(line, h.Sep[0])
		} else {
			i = bytes.Index(line, h.Sep)
		}
		if i >= 0 {
			cell = line[:i]
		}
		if f != 0 && !bytes.Equal(cell, h.Unset) {
			cells[f] = cell
		}
		if i < 0 {
			return
		}
		line = line[i+len(h.Sep):]
	}
}

// zeekUnescape reads \x09 and the like.
func zeekUnescape(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+3 < len(v) && v[i+1] == 'x' {
			if hi, lo := HexValue(v[i+2]), HexValue(v[i+3]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 3
				continue
			}
		}
		out = append(out, v[i])
	}
	return out
}
