package record

import (
	"bytes"
	"errors"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of YAML documents: the parser's work grows with the square of what it is
// given at once, it follows nesting by recursion, and an alias may stand for more
// than is written.
const (
	maxYAML      = 32 << 20
	maxYAMLEntry = 64 << 10 // what is parsed at once
	maxYAMLDepth = 64
	maxYAMLNodes = 2 << 20 // values built, those behind aliases each time
)

var errYAMLAlias = errors.New("YAML aliases stand for more than is read: write the values out")

var errYAMLTag = errors.New("YAML tag that is not followed")

// yamlFile is a YAML file that is parsed piece by piece.
type yamlFile struct {
	anchors map[string]ast.Node
	nodes   int
	base    int64 // line of the piece being looked at, from 1
}

// piece is a part of a file that can be parsed by itself.
type piece struct {
	text []byte
	line int64 // of its first line, from 1
}

// cutYAML cuts a file where nothing is open: before each line at the margin that
// begins a member of the outermost mapping, an element of the outermost list or a
// document. With documents it cuts mappings at documents' ends only.
func cutYAML(b []byte, documents bool) (list []piece) {
	var line, from int64 = 0, 1
	start, at := 0, 0
	isList := false
	begun := false // the piece has something besides comments
	flush := func(next int) {
		if begun {
			list = append(list, piece{b[start:at], from})
		}
		start, from, begun = next, line, false
	}
	for at < len(b) {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			end = len(b) - at
		} else {
			end++
		}
		line++
		text := bytes.TrimRight(b[at:at+end], " \t\r\n")
		switch {
		case len(text) == 0 || text[0] == '#':
		case text[0] == ' ' || text[0] == '\t' || text[0] == ':':
			begun = true
		case bytes.HasPrefix(text, []byte("---")) || bytes.Equal(text, []byte("...")) || (text[0] == '%' && !begun):
			flush(at + end)
			from = line + 1
			isList = false
		case bytes.HasPrefix(text, []byte("- ")) || string(text) == "-":
			if !begun || isList {
				isList = true
				flush(at)
			}
			begun = true
		default:
			if !documents {
				flush(at)
			}
			begun = true
		}
		at += end
	}
	flush(at)
	return list
}

// parse parses a piece; reason is why it cannot be used.
func (y *yamlFile) parse(p piece) (body ast.Node, reason string) {
	y.base = p.line
	if len(p.text) > maxYAMLEntry {
		return nil, reasonLarge
	}
	if tooDeep(p.text) {
		return nil, reasonDeep
	}
	f, err := parser.ParseBytes(p.text, 0)
	if err != nil || len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, reasonYAML
	}
	return f.Docs[0].Body, ""
}

// tooDeep reports nesting that nobody writes. It looks at characters only: brackets
// within strings count, and real files have no such number of them open.
func tooDeep(b []byte) bool {
	const mostIndent = 1024
	depth := 0
	for text := range bytes.Lines(b) {
		blank, marks, lead := 0, 0, true
		for i, c := range text {
			switch {
			case c == '[' || c == '{':
				depth++
			case (c == ']' || c == '}') && depth > 0:
				depth--
			case lead && c == ' ':
				blank++
			case lead && (c == '-' || c == '?' || c == ':') && (i+1 == len(text) || text[i+1] == ' '):
				marks++
			}
			if c != ' ' && c != '-' && c != '?' && c != ':' {
				lead = false
			}
			if depth > maxYAMLDepth {
				return true
			}
		}
		if marks > maxYAMLDepth || blank > mostIndent {
			return true
		}
	}
	return false
}

// pair is one member of a mapping, with the line of its key.
type pair struct {
	key   string
	value ast.Node
	line  int64
}

// pairs are the members of a mapping in order; ok is false for anything else.
func (y *yamlFile) pairs(n ast.Node) (list []pair, ok bool) {
	switch m := y.resolve(n, 0).(type) {
	case *ast.MappingNode:
		for _, v := range m.Values {
			list = append(list, y.pair(v))
		}
		return list, true
	case *ast.MappingValueNode:
		return []pair{y.pair(m)}, true
	}
	return nil, false
}

func (y *yamlFile) pair(v *ast.MappingValueNode) pair {
	return pair{key: y.keyText(v.Key), value: v.Value, line: y.line(v.Key)}
}

// keyText is a key as text; a complex key ("? …") is its value's.
func (y *yamlFile) keyText(n ast.Node) string {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	s, _ := y.scalar(n)
	return s
}

// line is where a node of the piece last parsed stands in the file.
func (y *yamlFile) line(n ast.Node) int64 {
	if n == nil {
		return y.base
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return y.base + int64(t.Position.Line) - 1
	}
	return y.base
}

// resolve steps through anchors and aliases, and tags that YAML itself knows.
func (y *yamlFile) resolve(n ast.Node, depth int) ast.Node {
	if depth > maxYAMLDepth {
		return nil
	}
	switch v := n.(type) {
	case *ast.AnchorNode:
		y.anchors[v.Name.GetToken().Value] = v.Value
		return y.resolve(v.Value, depth+1)
	case *ast.AliasNode:
		if to, ok := y.anchors[v.Value.GetToken().Value]; ok {
			return y.resolve(to, depth+1)
		}
		return nil
	case *ast.TagNode:
		if len(v.Start.Value) > 1 && v.Start.Value[1] == '!' { // !!str and the like
			return y.resolve(v.Value, depth+1)
		}
	}
	return n
}

// scalar is the text of a scalar as it is written, 1.10 not becoming 1.1.
func (y *yamlFile) scalar(n ast.Node) (string, bool) {
	switch v := y.resolve(n, 0).(type) {
	case nil:
		return "", false
	case *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case ast.ScalarNode:
		t := v.GetToken()
		if t.Type == token.MergeKeyType {
			return "<<", true
		}
		return t.Value, true
	}
	return "", false
}

// build makes plain values of a node: object, []any, string, nil. Scalars stay
// text.
func (y *yamlFile) build(n ast.Node, depth int) (any, error) {
	if y.nodes++; y.nodes > maxYAMLNodes || depth > maxYAMLDepth {
		return nil, errYAMLAlias
	}
	n = y.resolve(n, 0)
	if list, ok := y.pairs(n); ok {
		return y.buildMap(list, depth)
	}
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		out := make([]any, 0, len(v.Values))
		for _, e := range v.Values {
			x, err := y.build(e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	case *ast.TagNode:
		return nil, errYAMLTag
	}
	s, _ := y.scalar(n)
	return s, nil
}

// buildMap makes an object of a mapping; what "<<" merges gives way to what is
// written.
func (y *yamlFile) buildMap(list []pair, depth int) (any, error) {
	out := object{}
	var merged []any
	for _, p := range list {
		x, err := y.build(p.value, depth+1)
		if err != nil {
			return nil, err
		}
		if p.key == "<<" {
			merged = append(merged, listOf(x)...)
			continue
		}
		out[p.key] = x
	}
	for _, m := range merged {
		for k, v := range asObject(m) {
			if _, ok := out[k]; !ok {
				out[k] = v
			}
		}
	}
	return out, nil
}

// elements are a sequence's nodes; any other node is the one element.
func (y *yamlFile) elements(n ast.Node) []ast.Node {
	n = y.resolve(n, 0)
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	return []ast.Node{n}
}
