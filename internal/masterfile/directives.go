package masterfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// directive takes in a line that begins with "$".
func (r *Reader) directive(e entry, at *place) {
	word, rest := token(e.text)
	arg, more := token(rest)
	switch strings.ToUpper(string(word)) {
	case "$ORIGIN":
		name, _, problem := resolve(arg, at)
		if problem != "" {
			r.problem(at, e.line, ReasonDirective, "$ORIGIN %q: %s", arg, problem)
			return
		}
		at.origin = name
		r.h.Directive("$ORIGIN", name)
	case "$TTL":
		ttl, ok := parseTTL(strings.ToUpper(string(arg)))
		if !ok {
			r.problem(at, e.line, ReasonDirective, "$TTL %q: a number of seconds, or with units such as 1H30M, is wanted", arg)
			return
		}
		r.ttl = ttl
		r.h.Directive("$TTL", nil)
	case "$INCLUDE":
		r.include(e.line, arg, more, at)
	case "$GENERATE":
		r.generateNames(e.line, arg, more, at)
	default:
		r.problem(at, e.line, ReasonDirective, "%s is no directive: $ORIGIN, $TTL, $INCLUDE and $GENERATE are", word)
	}
}

// include reads another file. It must lie in the zone file's own folder or below
// it, without symbolic links on the way: a zone file may come from somebody who
// is not to read other files.
func (r *Reader) include(line int, arg, rest []byte, at *place) {
	file := strings.Trim(string(arg), `"`)
	if file == "" {
		r.problem(at, line, ReasonInclude, "$INCLUDE without a file")
		return
	}
	if at.depth >= maxIncludeDepth {
		r.problem(at, line, ReasonInclude, "$INCLUDE %s: nested more than %d deep", file, maxIncludeDepth)
		return
	}
	inner := place{depth: at.depth + 1, origin: at.origin, owner: at.owner}
	if tok, _ := token(rest); len(tok) > 0 {
		name, _, problem := resolve(tok, at)
		if problem != "" {
			r.problem(at, line, ReasonInclude, "$INCLUDE %s: origin %q: %s", file, tok, problem)
			return
		}
		inner.origin = name
	}
	if r.Folder == "" {
		r.problem(at, line, ReasonInclude, "$INCLUDE %s: not followed here: give the included file too, with its origin", file)
		return
	}
	f, err := openWithin(r.Folder, file)
	if err != nil {
		r.problem(at, line, ReasonInclude, "$INCLUDE %s: %v", file, err)
		return
	}
	defer f.Close()
	inner.file = filepath.Join(r.Folder, filepath.FromSlash(file))
	r.h.Directive("$INCLUDE", nil)
	r.read(f, &inner)
}

// openWithin opens a file below folder, by a path without ".." and symbolic links.
func openWithin(folder, file string) (*os.File, error) {
	if !filepath.IsLocal(filepath.FromSlash(file)) || strings.Contains("/"+filepath.ToSlash(file)+"/", "/../") {
		return nil, fmt.Errorf("leaves the zone file's folder: included files must lie in it or below")
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	path := ""
	for part := range strings.SplitSeq(filepath.ToSlash(file), "/") {
		if part == "" || part == "." {
			continue
		}
		path = filepath.Join(path, part)
		st, err := root.Lstat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot be opened: %w", err)
		}
		if st.Mode()&os.ModeSymlink != 0 {
			return nil, fmt.Errorf("%s is a symbolic link: included files must be in the zone file's folder themselves", path)
		}
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", err)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("is not a file")
	}
	return f, nil
}

// Bounds of what $GENERATE makes of a short line, in bytes.
const (
	maxTemplate = 512  // behind the range
	maxMade     = 1024 // of one record
)

// generateNames expands BIND's "$GENERATE start-stop[/step] lhs [ttl] [class] type rhs".
func (r *Reader) generateNames(line int, span, rest []byte, at *place) {
	start, stop, step, ok := parseSpan(string(span))
	if !ok {
		r.problem(at, line, ReasonGenerate, "$GENERATE %q: a range such as 1-254 or 0-100/10 is wanted", span)
		return
	}
	count := (stop-start)/step + 1
	if count > r.Generate {
		r.problem(at, line, ReasonGenerate, "$GENERATE makes %d names, and %d of the %d that a zone file may make are left: list the names instead",
			count, r.Generate, MaxGenerated)
		return
	}
	if len(rest) > maxTemplate {
		r.problem(at, line, ReasonGenerate, "$GENERATE with %d bytes behind its range: %d at most, list the names instead", len(rest), maxTemplate)
		return
	}
	r.Generate -= count
	r.h.Directive("$GENERATE", nil)
	lhs, record := token(rest)
	for i := start; i <= stop && r.err == nil; i += step {
		name, err := expand(nil, lhs, i)
		text, err2 := expand(nil, record, i)
		if err != nil || err2 != nil {
			r.problem(at, line, ReasonGenerate, "$GENERATE: %v", firstError(err, err2))
			return
		}
		if len(text) > maxMade {
			r.problem(at, line, ReasonGenerate, "$GENERATE makes a record of %d bytes: %d at most, list the names instead", len(text), maxMade)
			return
		}
		owner, _, problem := resolve(name, at)
		if problem != "" {
			r.problem(at, line, ReasonGenerate, "$GENERATE: owner %q: %s", name, problem)
			return
		}
		at.owner = owner
		r.recordOf(owner, text, entry{text: text, line: line}, at)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func parseSpan(s string) (start, stop, step int, ok bool) {
	const most = 1<<31 - 1
	s, by, stepped := strings.Cut(s, "/")
	from, to, ranged := strings.Cut(s, "-")
	step = 1
	var errs [3]error
	start, errs[0] = strconv.Atoi(from)
	stop, errs[1] = strconv.Atoi(to)
	if stepped {
		step, errs[2] = strconv.Atoi(by)
	}
	ok = ranged && firstError(errs[:]...) == nil && start >= 0 && stop >= start && stop <= most && step > 0 && step <= most
	return start, stop, step, ok
}

// expand replaces "$" by i, "${offset[,width[,base]]}" by i in that form, and
// "$$" and "\$" by a dollar sign.
func expand(dst, text []byte, i int) ([]byte, error) {
	for k := 0; k < len(text); k++ {
		switch c := text[k]; {
		case c == '\\' && k+1 < len(text):
			if text[k+1] != '$' {
				dst = append(dst, c)
			}
			dst = append(dst, text[k+1])
			k++
		case c != '$':
			dst = append(dst, c)
		case k+1 < len(text) && text[k+1] == '$':
			dst = append(dst, '$')
			k++
		case k+1 < len(text) && text[k+1] == '{':
			end := strings.IndexByte(string(text[k:]), '}')
			if end < 0 {
				return nil, fmt.Errorf(`"${" without "}"`)
			}
			var err error
			if dst, err = expandForm(dst, string(text[k+2:k+end]), i); err != nil {
				return nil, err
			}
			k += end
		default:
			dst = strconv.AppendInt(dst, int64(i), 10)
		}
	}
	return dst, nil
}

// expandForm appends i as "offset[,width[,base]]" asks.
func expandForm(dst []byte, form string, i int) ([]byte, error) {
	parts := strings.Split(form, ",")
	offset, err := strconv.Atoi(parts[0])
	width, base := 0, "d"
	if err == nil && len(parts) > 1 {
		width, err = strconv.Atoi(parts[1])
	}
	if len(parts) > 2 {
		base = parts[2]
	}
	if err != nil || width < 0 || width > 63 || len(parts) > 3 || offset < -(1<<31) || offset > 1<<31 {
		return nil, fmt.Errorf("bad form ${%s}: ${offset,width,base} is wanted, base one of d o x X n N", form)
	}
	v := i + offset
	switch base {
	case "d", "o", "x", "X":
		return fmt.Appendf(dst, "%0*"+base, width, v), nil
	case "n", "N": // nibbles, least significant first, width counts the dots
		digits := fmt.Sprintf("%x", max(v, 0))
		if base == "N" {
			digits = strings.ToUpper(digits)
		}
		for len(digits) < (width+1)/2 {
			digits = "0" + digits
		}
		for k := len(digits) - 1; k >= 0; k-- {
			dst = append(dst, digits[k])
			if k > 0 {
				dst = append(dst, '.')
			}
		}
		return dst, nil
	}
	return nil, fmt.Errorf("bad base %q in ${%s}: d o x X n N are known", base, form)
}
