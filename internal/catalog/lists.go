package catalog

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/picket-dns/picket/internal/dnsname"
)

// maxListLine bounds one line of a list: a name with every byte escaped, and columns.
const maxListLine = 64 << 10

// LoadNames reads a list of names, one a line, for Builder.AddRetired: "#"
// begins a comment, the trailing dot and a leading "*." do not matter, further
// columns after blanks, a comma, a semicolon or a tab (a date, say) are left
// aside. It may be compressed with gzip.
//
// Bad lines are returned as problems and the others taken; the error is for a
// file that cannot be read.
func LoadNames(path string) (names [][]byte, problems []Problem, err error) {
	err = eachLine(path, func(line int, text string) {
		name, _, problem := nameColumn(text)
		if problem != "" {
			problems = append(problems, Problem{path, line, problem})
			return
		}
		names = append(names, name)
	})
	if err != nil {
		return names, problems, fmt.Errorf("list of names %s: %w", path, err)
	}
	return names, problems, nil
}

// LoadCanaries reads a list of planted names, "name[,channel]" a line, for
// Builder.AddCanaries. Comments and bad lines are treated as by LoadNames.
func LoadCanaries(path string) (canaries []Canary, problems []Problem, err error) {
	err = eachLine(path, func(line int, text string) {
		name, rest, problem := nameColumn(text)
		channel := strings.TrimSpace(strings.TrimLeft(rest, ",; \t"))
		if problem == "" && strings.ContainsAny(channel, ", \t;") {
			problem = fmt.Sprintf("channel %q: one word is wanted, as in %s,pdns", channel, dnsname.Text(name))
		}
		if problem != "" {
			problems = append(problems, Problem{path, line, problem})
			return
		}
		canaries = append(canaries, Canary{name, strings.ToLower(channel)})
	})
	if err != nil {
		return canaries, problems, fmt.Errorf("list of canaries %s: %w", path, err)
	}
	return canaries, problems, nil
}

// nameColumn reads the name at the beginning of a line and returns what follows it.
func nameColumn(text string) (name []byte, rest string, problem string) {
	tok := text
	if i := strings.IndexAny(text, ",; \t"); i >= 0 {
		tok, rest = text[:i], text[i:]
	}
	bare := strings.TrimPrefix(tok, "*.") // certificates and scanners write it for the name below it
	name, err := dnsname.Parse(bare)
	switch {
	case err != nil:
		return nil, "", fmt.Sprintf("%q is no domain name: %v: one name a line is wanted, such as old.example.com", tok, err)
	case len(name) == 1:
		return nil, "", fmt.Sprintf("%q is the root: one name a line is wanted, such as old.example.com", tok)
	case strings.ContainsAny(bare, `/:`) && !dnsname.IsReverse(name):
		return nil, "", fmt.Sprintf("%q looks like a URL or address: the name alone is wanted, such as old.example.com", tok)
	}
	return name, rest, ""
}

// eachLine calls f for each line of a file that holds more than a comment.
func eachLine(path string, f func(line int, text string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	br := bufio.NewReader(file)
	var r io.Reader = br
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		if r, err = gzip.NewReader(br); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 4096), maxListLine)
	line := 0
	for sc.Scan() {
		line++
		text := sc.Text()
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text, _, _ = strings.Cut(text, "#")
		if text = strings.TrimSpace(text); text != "" {
			f(line, text)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("line %d: %w", line+1, err)
	}
	return nil
}
