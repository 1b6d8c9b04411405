package masterfile

import (
	"bufio"
	"errors"
	"io"
)

// Bounds of one entry of a master file, so that a parenthesis that is never
// closed does not swallow the file.
const (
	maxEntryLines = 4096
	maxEntryBytes = 1 << 20
	maxReread     = 1 << 18 // lines read again after entries that were not completed
)

// entry is one entry of a master file (RFC 1035 §5.1): a record or a directive,
// its lines joined, comments and the grouping parentheses replaced by blanks.
type entry struct {
	text  []byte // borrowed until the next call
	line  int    // of its first line, from 1
	blank bool   // begins with white space: the owner is that of the entry before
	err   string // why it cannot be used; text is then the raw line
}

// entryReader cuts a master file into entries.
type entryReader struct {
	r      *bufio.Reader
	line   int      // lines read
	held   [][]byte // lines given back, to be read again
	reread int      // lines given back so far
	buf    []byte
	budget *int64 // bytes that may still be read, over all files of the zone
}

var errBudget = errors.New("zone file too large")

// readLine returns the next line without its end, io.EOF after the last.
func (r *entryReader) readLine() ([]byte, error) {
	if len(r.held) > 0 {
		l := r.held[0]
		r.held = r.held[1:]
		r.line++
		return l, nil
	}
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if *r.budget -= int64(len(part)); *r.budget < 0 {
			return nil, errBudget
		}
		switch {
		case err == nil && line == nil:
			line = part
		default:
			line = append(line[:len(line):len(line)], part...)
		}
		if err == bufio.ErrBufferFull && len(line) <= maxEntryBytes {
			continue
		}
		if err == io.EOF && len(line) > 0 || err == bufio.ErrBufferFull {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		break
	}
	r.line++
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line, nil
}

// next returns the next entry that is not empty, io.EOF after the last.
func (r *entryReader) next() (entry, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return entry{}, err
		}
		if r.line == 1 && len(line) >= 3 && string(line[:3]) == "\xef\xbb\xbf" { // byte order mark
			line = line[3:]
		}
		e := entry{line: r.line, blank: len(line) > 0 && isBlank(line[0])}
		if e.err = r.join(line); e.err != "" {
			e.text = r.buf
			return e, nil
		}
		if !onlyBlanks(r.buf) {
			e.text = r.buf
			return e, nil
		}
	}
}

// join collects the entry that begins with line into buf. When it cannot be
// completed only its first line counts as bad: the others are given back, as
// long as maxReread lasts.
func (r *entryReader) join(line []byte) (problem string) {
	depth := 0
	var lines [][]byte // copies, from the second line on the first included
	start := r.line
	r.buf = r.buf[:0]
	for {
		var open bool
		depth, open = r.strip(line, depth)
		switch {
		case open:
			problem = `a quoted string is not closed on its line: add the missing "`
		case depth < 0:
			problem = `")" without a "(" before it`
		case depth == 0:
			return ""
		case len(lines) < maxEntryLines && len(r.buf) <= maxEntryBytes:
			if lines == nil {
				lines = append(lines, append([]byte(nil), line...))
			}
			if next, err := r.readLine(); err == nil {
				line = append([]byte(nil), next...)
				lines = append(lines, line)
				continue
			}
			fallthrough
		default:
			problem = `"(" is never closed: add the missing ")"`
		}
		if len(lines) == 0 {
			r.buf = append(r.buf[:0], line...)
			return problem
		}
		r.buf = append(r.buf[:0], lines[0]...)
		if r.reread += len(lines); r.reread > maxReread {
			return problem + "; the lines up to this entry's end are lost"
		}
		r.held = append(lines[1:len(lines):len(lines)], r.held...)
		r.line = start
		return problem
	}
}

// strip appends line to buf without comment and grouping parentheses. It
// returns the depth of parentheses after it and whether a quote is left open.
func (r *entryReader) strip(line []byte, depth int) (int, bool) {
	quoted := false
	if len(r.buf) > 0 {
		r.buf = append(r.buf, ' ')
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line):
			r.buf = append(r.buf, c, line[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			return depth, false
		case c == '(':
			depth++
			c = ' '
		case c == ')':
			if depth--; depth < 0 {
				return depth, false
			}
			c = ' '
		case c == '\t' || c == '\r':
			c = ' '
		}
		r.buf = append(r.buf, c)
	}
	return depth, quoted
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func onlyBlanks(b []byte) bool {
	for _, c := range b {
		if !isBlank(c) {
			return false
		}
	}
	return true
}

// token cuts the first field off text; a quoted string is one field, its quotes
// included.
func token(text []byte) (tok, rest []byte) {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	quoted := false
	i := 0
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && isBlank(c):
			return text[:i], text[i:]
		}
	}
	i = min(i, len(text))
	return text[:i], text[i:]
}
