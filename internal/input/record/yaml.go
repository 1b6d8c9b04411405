package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/picket-dns/picket"
)

// Bounds of YAML documents: the parser keeps many times a file's bytes, follows
// nesting by recursion, and an alias may stand for more than is written.
const (
	maxYAML      = 32 << 20
	maxYAMLDepth = 64
	maxYAMLNodes = 2 << 20 // values built, those behind aliases each time
)

var errYAMLAlias = errors.New("YAML aliases stand for more than is read: write the values out")

// yamlFile is a parsed YAML file.
type yamlFile struct {
	docs    []ast.Node
	anchors map[string]ast.Node
	nodes   int
}

// readYAML parses all of r.
func readYAML(r io.Reader) (*yamlFile, error) {
	b, err := readDocument(r, maxYAML)
	if err != nil {
		return nil, err
	}
	if line := tooDeep(b); line > 0 {
		return nil, fmt.Errorf("line %d: YAML nested more than %d deep", line, maxYAMLDepth)
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, fmt.Errorf("YAML document: %w", firstLine(err))
	}
	y := &yamlFile{anchors: map[string]ast.Node{}}
	for _, d := range f.Docs {
		if d.Body != nil {
			y.docs = append(y.docs, d.Body)
		}
	}
	return y, nil
}

// firstLine is an error without the excerpt that the parser adds.
func firstLine(err error) error {
	text, _, _ := bytes.Cut([]byte(err.Error()), []byte{'\n'})
	return errors.New(printable(string(text)))
}

// tooDeep returns the line, from 1, whose nesting is more than anybody writes, 0
// when there is none. It looks at characters only: brackets within strings count,
// and real files have no such number of them open.
func tooDeep(b []byte) int {
	const mostOpen, mostIndent = 256, 1024
	depth, line := 0, 0
	for len(b) > 0 {
		text, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		line++
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
		}
		if depth > mostOpen || marks > maxYAMLDepth || (blank > mostIndent && marks == 0) {
			return line
		}
	}
	return 0
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
	return pair{key: y.keyText(v.Key), value: v.Value, line: lineOf(v.Key)}
}

// keyText is a key as text; a complex key ("? …") is its value's.
func (y *yamlFile) keyText(n ast.Node) string {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	s, _ := y.scalar(n)
	return s
}

func lineOf(n ast.Node) int64 {
	if n == nil {
		return 1
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return int64(t.Position.Line)
	}
	return 1
}

func yamlPosition(n ast.Node) picket.Position { return picket.Position{Line: lineOf(n)} }

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
		return nil, fmt.Errorf("line %d: tag %s is not followed", lineOf(v), printable(v.Start.Value))
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
