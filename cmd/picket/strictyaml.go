package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// lineIndex maps paths such as inputs[0].file to their lines.
type lineIndex map[string]int

// of returns the line of a path, or of its nearest parent that is in the file.
func (l lineIndex) of(format string, args ...any) int {
	path := fmt.Sprintf(format, args...)
	for path != "" {
		if line, ok := l[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

var durationType = reflect.TypeFor[time.Duration]()

// decodeStrict decodes text into dst, a pointer to a struct, and adds every
// unknown key and every value of the wrong type to p, each with its line.
func decodeStrict(text []byte, dst any, p *problems) lineIndex {
	lines := lineIndex{}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		p.add(yamlLine(err), "not YAML: %s", firstLine(err))
		return lines
	}
	if len(file.Docs) > 1 {
		p.add(file.Docs[1].Start.Position.Line, "more than one document; want one")
		return lines
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return lines
	}
	checkNode(file.Docs[0].Body, reflect.TypeOf(dst).Elem(), "", lines, p)
	if len(p.list) > 0 {
		return lines
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, dst); err != nil {
		p.add(yamlLine(err), "%s", firstLine(err))
	}
	return lines
}

// checkNode holds a node against the type it is decoded into.
func checkNode(n ast.Node, t reflect.Type, path string, lines lineIndex, p *problems) {
	line := n.GetToken().Position.Line
	if _, ok := lines[path]; !ok {
		lines[path] = line
	}
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == durationType:
		s, ok := n.(*ast.StringNode)
		if !ok {
			p.add(line, "%s: %s is no duration; want a number with a unit, such as 90s, 2h or 720h", path, n)
		} else if _, err := time.ParseDuration(s.Value); err != nil {
			p.add(line, "%s: %q is no duration; want a number with a unit, such as 90s, 2h or 720h", path, s.Value)
		}
	case t.Kind() == reflect.Struct:
		checkMapping(n, t, path, lines, p)
	case t.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			p.add(line, "%s: want a list", path)
			return
		}
		for i, v := range seq.Values {
			checkNode(v, t.Elem(), path+"["+strconv.Itoa(i)+"]", lines, p)
		}
	case t.Kind() == reflect.Map:
		m, ok := n.(ast.MapNode)
		if !ok {
			p.add(line, "%s: want keys and values", path)
			return
		}
		for it := m.MapRange(); it.Next(); {
			checkNode(it.Value(), t.Elem(), path+"."+keyOf(it.Key()), lines, p)
		}
	case t.Kind() == reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			p.add(line, "%s: %s is neither true nor false", path, n)
		}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		if _, ok := n.(*ast.IntegerNode); !ok {
			p.add(line, "%s: %s is no whole number", path, n)
		}
	case t.Kind() == reflect.String:
		switch n.(type) {
		case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
			p.add(line, "%s: want text", path)
		}
	}
}

func checkMapping(n ast.Node, t reflect.Type, path string, lines lineIndex, p *problems) {
	m, ok := n.(ast.MapNode)
	if !ok {
		p.add(n.GetToken().Position.Line, "%s: want keys and values", cmpPath(path))
		return
	}
	fields := map[string]reflect.Type{}
	var known []string
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("yaml")
		fields[key] = t.Field(i).Type
		known = append(known, key)
	}
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		key := keyOf(it.Key())
		line := it.Key().GetToken().Position.Line
		ft, ok := fields[key]
		switch {
		case !ok:
			slices.Sort(known)
			p.add(line, "%s: unknown key %q; want one of %s", cmpPath(path), key, strings.Join(known, ", "))
			continue
		case seen[key]:
			p.add(line, "%s: %q is there twice", cmpPath(path), key)
			continue
		}
		seen[key] = true
		sub := key
		if path != "" {
			sub = path + "." + key
		}
		lines[sub] = line
		checkNode(it.Value(), ft, sub, lines, p)
	}
}

func cmpPath(path string) string {
	if path == "" {
		return "configuration"
	}
	return path
}

// firstLine is the message of a YAML error without the excerpt that follows it.
func firstLine(err error) string {
	s := err.Error()
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if strings.HasPrefix(s, "[") {
		if i := strings.Index(s, "] "); i >= 0 {
			s = s[i+2:]
		}
	}
	return s
}

// yamlLine is the line a YAML error speaks of.
func yamlLine(err error) int {
	s := err.Error()
	if !strings.HasPrefix(s, "[") {
		return 0
	}
	n, convErr := strconv.Atoi(s[1:max(strings.IndexByte(s, ':'), 1)])
	if convErr != nil {
		return 0
	}
	return n
}

// keyOf is a key's text, without quotes.
func keyOf(n ast.MapKeyNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.String()
}
