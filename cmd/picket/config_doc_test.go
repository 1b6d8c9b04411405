package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

const configDoc = "../../docs/config.md"

// TestConfigDoc holds docs/config.md against the comments of the config structs,
// from which it is made: go test ./cmd/picket -run ConfigDoc -update
func TestConfigDoc(t *testing.T) {
	want, err := renderConfigDoc("config.go", "config_inputs.go", "config_servers.go", "privacy.go", "config_transfer.go", "answers.go")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(configDoc, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configDoc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/config.md is not what the comments in config.go say; run go test ./cmd/picket -run ConfigDoc -update")
	}
}

// TestConfigDefaults: the defaults that the document shows are those in force.
func TestConfigDefaults(t *testing.T) {
	c, err := parseConfig("empty.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir = "data" // it has been made relative to the file
	checkDefaults(t, reflect.ValueOf(c), "")
	in := inputConfig{File: "x"}
	p := &problems{}
	in.validate(0, p)
	if len(p.list) > 0 {
		t.Fatal(p)
	}
	checkDefaults(t, reflect.ValueOf(in), "inputs.")
}

func checkDefaults(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := path + f.Tag.Get("yaml")
		if f.Tag.Get("yaml") == "" {
			t.Errorf("%s has no key", f.Name)
		}
		if f.Type.Kind() == reflect.Struct {
			checkDefaults(t, v.Field(i), key+".")
			continue
		}
		want, ok := f.Tag.Lookup("default")
		if !ok {
			continue
		}
		got := fmt.Sprint(v.Field(i).Interface())
		if f.Type == durationType {
			got = strings.TrimSuffix(strings.TrimSuffix(got, "0s"), "0m")
		}
		if got != want {
			t.Errorf("%s: the default is %s, documented as %s", key, got, want)
		}
	}
}

// TestExampleConfig: what picket init writes is a valid configuration.
func TestExampleConfig(t *testing.T) {
	if _, err := parseConfig("picket.yaml", exampleConfig); err != nil {
		t.Fatal(err)
	}
	// With the commented entries taken in, too.
	var b strings.Builder
	for line := range strings.Lines(string(exampleConfig)) {
		if strings.HasPrefix(line, "#  ") {
			line = line[1:]
		}
		b.WriteString(strings.Replace(line, ": []", ":", 1))
	}
	if _, err := parseConfig("picket.yaml", []byte(b.String())); err != nil {
		t.Errorf("%v in:\n%s", err, b.String())
	}
}

// renderConfigDoc makes the document of the struct config and of the structs it is
// made of, in the named Go files.
func renderConfigDoc(files ...string) ([]byte, error) {
	d := configDocument{structs: map[string]*ast.GenDecl{}}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE && len(g.Specs) == 1 {
				d.structs[g.Specs[0].(*ast.TypeSpec).Name.Name] = g
			}
		}
	}
	d.w.WriteString("# Configuration\n\n")
	d.w.WriteString("<!-- Made from the comments in cmd/picket/config.go by go test ./cmd/picket -run ConfigDoc -update. Do not edit. -->\n\n")
	d.w.WriteString("`picket run -c picket.yaml` reads one YAML file. Every key may be left out. Unknown keys and bad values are errors: all of them are\n" +
		"listed at once, each with file and line. `picket check` says what else would keep the daemon from working; `picket init` writes a\n" +
		"commented file to start from. Durations have a unit: `90s`, `2h`, `720h`.\n")
	if err := d.section("config", ""); err != nil {
		return nil, err
	}
	return d.w.Bytes(), nil
}

type configDocument struct {
	w       bytes.Buffer
	structs map[string]*ast.GenDecl
}

// section writes the keys of a struct, then the sections of the structs in it.
func (d *configDocument) section(name, path string) error {
	g, ok := d.structs[name]
	if !ok {
		return fmt.Errorf("no struct %s", name)
	}
	st, ok := g.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType)
	if !ok {
		return fmt.Errorf("%s is no struct", name)
	}
	title := "Keys"
	if path != "" {
		title = "`" + path + "`"
		fmt.Fprintf(&d.w, "\n## %s\n\n%s\n", title, sentence(name, g.Doc.Text()))
	} else {
		fmt.Fprintf(&d.w, "\n## %s\n", title)
	}
	d.w.WriteString("\n| key | value | default | meaning |\n|---|---|---|---|\n")
	var below [][2]string
	for _, field := range st.Fields.List {
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return err
		}
		key := reflect.StructTag(tag).Get("yaml")
		if field.Doc == nil {
			return fmt.Errorf("%s.%s has no comment", name, key)
		}
		value, inner := d.value(field.Type)
		if inner != "" {
			sub := key
			if path != "" {
				sub = path + "." + key
			}
			if strings.HasPrefix(value, "list") {
				sub += "[]"
			}
			below = append(below, [2]string{inner, sub})
		}
		def := reflect.StructTag(tag).Get("default")
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&d.w, "| `%s` | %s | %s | %s |\n", key, value, def, paragraph(field.Doc.Text()))
	}
	for _, b := range below {
		if err := d.section(b[0], b[1]); err != nil {
			return err
		}
	}
	return nil
}

// value names a Go type for people, and the struct of this file that it holds.
func (d *configDocument) value(t ast.Expr) (name, inner string) {
	switch t := t.(type) {
	case *ast.StarExpr:
		return d.value(t.X)
	case *ast.ArrayType:
		name, inner := d.value(t.Elt)
		return "list of " + name, inner
	case *ast.SelectorExpr:
		if t.Sel.Name == "Mapping" {
			return "keys, see [mapping](inputs/mapping.md)", ""
		}
		return strings.ToLower(t.Sel.Name), ""
	case *ast.MapType:
		name, _ := d.value(t.Value)
		return "keys, each with a " + name, ""
	case *ast.Ident:
		switch t.Name {
		case "string":
			return "text", ""
		case "int":
			return "whole number", ""
		case "bool":
			return "`true` or `false`", ""
		}
		return "keys, below", t.Name
	}
	return "?", ""
}

// paragraph is a comment as one line.
func paragraph(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// sentence is a struct's comment without the struct's name.
func sentence(name, doc string) string {
	s := strings.TrimPrefix(strings.TrimPrefix(paragraph(doc), name+" "), "is ")
	return strings.ToUpper(s[:1]) + s[1:]
}
