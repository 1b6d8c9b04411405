package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Bounds of documents. The largest real states and exports known have some tens of
// megabytes; a record set of Route 53 has at most 32,000 characters.
const (
	maxDocument = 128 << 20 // bytes
	maxObject   = 2 << 20   // bytes of one record, resource or set, which is read into memory
	maxValues   = 1 << 20   // documents in one file
)

// readDocument reads all of r.
func readDocument(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("document larger than %d MiB: split it", limit>>20)
	}
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), nil
}

// value is a JSON value within a document. It is looked into where it lies, so
// that a large document costs no more than its bytes.
type value struct {
	raw  []byte
	line int64 // of its first byte, from 1
}

// readJSON returns the values that r holds one after the other: most often one.
// A syntax error ends them; what came before counts.
func readJSON(r io.Reader) (list []value, err error) {
	b, err := readDocument(r, maxDocument)
	if err != nil {
		return nil, err
	}
	line := int64(1)
	for rest := b; ; {
		trimmed := bytes.TrimLeft(rest, " \t\r\n")
		line += int64(bytes.Count(rest[:len(rest)-len(trimmed)], []byte{'\n'}))
		if rest = trimmed; len(rest) == 0 {
			return list, nil
		}
		dec := json.NewDecoder(bytes.NewReader(rest))
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			at := line
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				at += int64(bytes.Count(rest[:min(int(syntax.Offset), len(rest))], []byte{'\n'}))
			}
			return list, fmt.Errorf("line %d: JSON document: %w", at, err)
		}
		n := int(dec.InputOffset())
		var c decode.Cursor
		c.Reset(rest[:n])
		if c.Skip(); c.Bad {
			return list, fmt.Errorf("line %d: JSON document: nested too deep", line)
		}
		if len(list) >= maxValues {
			return list, fmt.Errorf("line %d: more than %d JSON documents in one file: split it", line, maxValues)
		}
		list = append(list, value{rest[:n], line})
		line += int64(bytes.Count(rest[:n], []byte{'\n'}))
		rest = rest[n:]
	}
}

func (v value) is(bracket byte) bool { return len(v.raw) > 0 && v.raw[0] == bracket }

// position is where v is, with its bytes.
func (v value) position() picket.Position { return picket.Position{Line: v.line, Record: v.raw} }

// sub is the part of v that the cursor is to step over next.
func (v value) sub(c *decode.Cursor, line *int64, from *int) value {
	for c.I < len(v.raw) && strings.IndexByte(" \t\r\n:,", v.raw[c.I]) >= 0 {
		c.I++
	}
	*line += int64(bytes.Count(v.raw[*from:c.I], []byte{'\n'}))
	*from = c.I
	start := c.I
	c.Skip()
	return value{v.raw[start:c.I], *line}
}

// fields are the members of an object.
func (v value) fields() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		var c decode.Cursor
		c.Reset(v.raw)
		if !c.Open('{') {
			return
		}
		line, from := v.line, 0
		for {
			k, ok := c.Key()
			if !ok {
				return
			}
			key := string(k)
			if !yield(key, v.sub(&c, &line, &from)) || c.Bad {
				return
			}
		}
	}
}

// elems are the elements of an array.
func (v value) elems() iter.Seq[value] {
	return func(yield func(value) bool) {
		var c decode.Cursor
		c.Reset(v.raw)
		if !c.Open('[') {
			return
		}
		line, from := v.line, 0
		for c.More(']') {
			if !yield(v.sub(&c, &line, &from)) || c.Bad {
				return
			}
		}
	}
}

// get returns the member called key, an empty value when there is none.
func (v value) get(key string) value {
	for k, f := range v.fields() {
		if k == key {
			return f
		}
	}
	return value{}
}

// object reads v into memory; ok is false when it is no object, or one too large
// for what is read this way.
func (v value) object() (object, bool) {
	if !v.is('{') || len(v.raw) > maxObject {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(v.raw))
	dec.UseNumber()
	var o object
	if err := dec.Decode(&o); err != nil {
		return nil, false
	}
	return o, true
}

// scalar reads a string or a number.
func (v value) scalar() string {
	var c decode.Cursor
	c.Reset(v.raw)
	return string(c.Scalar())
}

// object is a JSON or YAML mapping, read leniently: what is a number in one
// release of a tool is a string in the next.
type object map[string]any

// lookup finds a key, in any case when it is not there as written.
func (o object) lookup(key string) any {
	if v, ok := o[key]; ok {
		return v
	}
	for k, v := range o {
		if strings.EqualFold(k, key) {
			return v
		}
	}
	return nil
}

// text is the first of the keys that has a scalar.
func (o object) text(keys ...string) string {
	for _, k := range keys {
		if s := scalarText(o.lookup(k)); s != "" {
			return s
		}
	}
	return ""
}

// num is text as a number, 0 when it is none.
func (o object) num(keys ...string) int64 {
	s := o.text(keys...)
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && v >= -1<<53 && v <= 1<<53 {
		return int64(v)
	}
	return 0
}

// word is text for record data, def when it is not there.
func (o object) word(def string, keys ...string) string {
	if s := o.text(keys...); s != "" {
		return s
	}
	return def
}

// obj is the mapping at key, or the first of a list of them; nil when there is none.
func (o object) obj(key string) object {
	for _, v := range listOf(o.lookup(key)) {
		if m := asObject(v); m != nil {
			return m
		}
	}
	return nil
}

// list is the list at key; one value counts as a list of one.
func (o object) list(key string) []any { return listOf(o.lookup(key)) }

// texts are the scalars of the list at key.
func (o object) texts(key string) []string { return textsOf(o.list(key)) }

// has reports whether key is there and not null.
func (o object) has(key string) bool { return o.lookup(key) != nil }

// keys are in order, so that the same input gives the same output.
func (o object) keys() []string {
	list := make([]string, 0, len(o))
	for k := range o {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}

func asObject(v any) object {
	switch m := v.(type) {
	case object:
		return m
	case map[string]any:
		return m
	}
	return nil
}

func listOf(v any) []any {
	switch l := v.(type) {
	case nil:
		return nil
	case []any:
		return l
	}
	return []any{v}
}

func textsOf(list []any) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		if asObject(v) == nil {
			out = append(out, scalarText(v))
		}
	}
	return out
}

func scalarText(v any) string {
	switch s := v.(type) {
	case string:
		return s
	case json.Number:
		return s.String()
	case bool:
		return strconv.FormatBool(s)
	}
	return ""
}
