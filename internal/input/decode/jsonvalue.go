package decode

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/picket-dns/picket"
)

// Value is a JSON value that is looked into without being built: each step scans
// its bytes. It suits objects of which a decoder wants few things from deep
// inside, and whose types vary from writer to writer. nil is no value.
type Value []byte

// Get returns what is behind keys, one after the other; nil when one is missing.
// Keys are compared without regard to case, as products that pass logs on spell
// them in their own way.
func (v Value) Get(keys ...string) Value {
	for _, key := range keys {
		v = v.field(key)
	}
	return v
}

func (v Value) field(key string) (found Value) {
	v.Fields(func(k []byte, f Value) bool {
		if len(k) == len(key) && bytes.EqualFold(k, []byte(key)) {
			found = f
			return false
		}
		return true
	})
	return found
}

// First returns the first of several keys that has a value other than null.
func (v Value) First(keys ...string) Value {
	for _, key := range keys {
		if f := v.field(key); f != nil && string(f) != "null" {
			return f
		}
	}
	return nil
}

// Fields calls f for each field of an object until it returns false.
func (v Value) Fields(f func(key []byte, v Value) bool) {
	var c Cursor
	c.Reset(v)
	if !c.Open('{') {
		return
	}
	for {
		key, ok := c.Key()
		if !ok {
			return
		}
		c.peek()
		from := c.I
		c.Skip()
		if !f(key, Value(v[from:c.I])) || c.Bad {
			return
		}
	}
}

// Each calls f for each element of an array until it returns false.
func (v Value) Each(f func(Value) bool) {
	var c Cursor
	c.Reset(v)
	if !c.Open('[') {
		return
	}
	for c.More(']') {
		c.peek()
		from := c.I
		c.Skip()
		if c.Bad || c.I == from || !f(Value(v[from:c.I])) {
			return
		}
	}
}

// Text returns a scalar as text, "" for null, objects and arrays.
func (v Value) Text() string { return string(v.Bytes()) }

// Bytes is Text without a copy where that can be.
func (v Value) Bytes() []byte {
	if len(v) == 0 {
		return nil
	}
	var c Cursor
	c.Reset(v)
	return c.Scalar()
}

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return len(v) > 0 && v[0] == '{' }

// IsArray reports whether v is an array.
func (v Value) IsArray() bool { return len(v) > 0 && v[0] == '[' }

// IsTrue reports whether v is true, or says so in a string.
func (v Value) IsTrue() bool { return bytes.EqualFold(v.Bytes(), []byte("true")) }

// Inside returns the JSON object or array that a string holds, or v when it is
// one itself; else nil.
func (v Value) Inside() Value {
	if v.IsObject() || v.IsArray() {
		return v
	}
	in := Value(bytes.TrimSpace(v.Bytes()))
	if (in.IsObject() || in.IsArray()) && json.Valid(in) {
		return in
	}
	return nil
}

// Unwrap returns v, or the object in it behind one of keys, itself or as JSON in
// a string, that is what is looked for; nil when there is none. Shippers put what
// they carry a few levels deep.
func (v Value) Unwrap(is func(Value) bool, keys ...string) Value { return v.unwrap(is, keys, 4) }

func (v Value) unwrap(is func(Value) bool, keys []string, levels int) Value {
	if is(v) {
		return v
	}
	if levels == 0 {
		return nil
	}
	for _, key := range keys {
		in := v.field(key).Inside()
		if !in.IsObject() {
			continue
		}
		if found := in.unwrap(is, keys, levels-1); found != nil {
			return found
		}
	}
	return nil
}

// junkLines is how many lines that are no JSON may come before a file's first
// object: the rest of one that was cut, a downloader's remarks.
const junkLines = 3

// DetectItems returns the greatest that f says of the first objects in a file's
// head, cut as Items does. The last one may not be whole. A file that begins with
// other text holds JSON at most as a quotation.
func DetectItems(head []byte, f func(Value) int, wrap ...string) int {
	best := 0
	acct := headAcct{}
	it := NewItems(context.Background(), bytes.NewReader(head), &acct, wrap...)
	for range 20 {
		rec, err := it.Next()
		if acct.junk > junkLines {
			break
		}
		if err != nil {
			rec = acct.record
		}
		best = max(best, f(rec))
		if err != nil || best > 0 {
			break
		}
	}
	return best
}

// headAcct is an Accounting that keeps the start of an object that was cut off,
// and counts what is no object.
type headAcct struct {
	record []byte
	junk   int
}

func (*headAcct) Accept(int64) {}
func (*headAcct) Skip(string)  {}
func (a *headAcct) Reject(reason string, at picket.Position) {
	switch reason {
	case ReasonCutJSON:
		a.record = at.Record
	case ReasonNotObject:
		a.junk++
	}
}
