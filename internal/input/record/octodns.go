package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// OctoDNS decodes the YAML that octoDNS's YamlProvider reads, one zone a file: the
// zone is the origin given or the file's name without .yaml. Each value is a
// record, those of geo and dynamic pools too: whatever may be answered is visible.
func OctoDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	zone := zoneOf(opt, ".yaml", ".yml")
	if zone == "" {
		return errors.New("octoDNS: the zone is not known: it is the file's name (example.com.yaml), or give it as origin")
	}
	b, err := readDocument(r, maxYAML)
	if err != nil {
		return err
	}
	o := &octoReader{emitter: newEmitter(ctx, opt, acct, sink), yamlFile: &yamlFile{anchors: map[string]ast.Node{}}, zone: zone}
	if opt.Origin == "" {
		o.note(noteFileName + zone)
	}
	for _, p := range cutYAML(b, false) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.piece(p); err != nil {
			return err
		}
	}
	return nil
}

type octoReader struct {
	*emitter
	*yamlFile
	zone string
}

// piece takes in what stands at the margin: a name, most often.
func (o *octoReader) piece(p piece) error {
	body, reason := o.parse(p)
	if reason != "" {
		o.acct.Reject(reason, picket.Position{Line: p.line, Record: p.text})
		return nil
	}
	list, ok := o.pairs(body)
	if !ok {
		o.acct.Reject(reasonNotRecord, picket.Position{Line: p.line, Record: p.text})
		return nil
	}
	for _, p := range list {
		if err := o.name(p); err != nil {
			return err
		}
	}
	return nil
}

// name takes in what stands under one name: a record set or a list of them.
func (o *octoReader) name(p pair) error {
	if t, ok := p.value.(*ast.TagNode); ok {
		o.note(fmt.Sprintf("line %d: %s is not followed: give the included file too", p.line, printable(t.Start.Value)))
	}
	sets := o.elements(p.value)
	for _, n := range sets {
		line := o.line(n)
		if len(sets) == 1 {
			line = p.line
		}
		built, err := o.build(n, 0)
		if errors.Is(err, errYAMLAlias) {
			return err
		}
		set := asObject(built)
		if err != nil || set == nil {
			o.acct.Reject(reasonNotRecord, picket.Position{Line: line})
			continue
		}
		if err := o.set(p.key, set, line); err != nil {
			return err
		}
	}
	return nil
}

// set takes in one record set.
func (o *octoReader) set(name string, set object, line int64) error {
	meta := set.obj("octodns")
	if meta.text("ignored") == "true" {
		o.acct.Skip(skipIgnored)
		return nil
	}
	at := picket.Position{Line: line}
	it := item{zone: o.zone, name: name, within: true, typ: set.text("type"), ttl: set.num("ttl"),
		source: fmt.Sprintf("%s:%d", o.opt.Name, line), comment: octoComment(meta)}
	values := octoValues(set)
	if len(values) == 0 {
		o.acct.Reject(reasonNoData, at)
		return nil
	}
	seen := map[string]bool{}
	for _, v := range values {
		one := it
		one.typ, one.data = octoData(it.typ, v.value)
		key := one.typ + " " + one.data
		if seen[key] {
			continue // of the values and of a pool
		}
		seen[key] = true
		if v.where != "" {
			one.comment = strings.TrimPrefix(one.comment+"; "+v.where, "; ")
		}
		if err := o.put(one, at); err != nil {
			return err
		}
	}
	return nil
}

// octoComment tells where a record is not published, by its octodns section.
func octoComment(meta object) string {
	var list []string
	for _, k := range []string{"included", "excluded"} {
		if w := meta.texts(k); len(w) > 0 {
			list = append(list, k+": "+strings.Join(w, ", "))
		}
	}
	return strings.Join(list, "; ")
}

// octoValue is a value, and of which pool or place.
type octoValue struct {
	value any
	where string
}

// octoValues are all values that a record set may be answered with.
func octoValues(set object) (out []octoValue) {
	for _, k := range []string{"value", "values"} {
		for _, v := range set.list(k) {
			out = append(out, octoValue{v, ""})
		}
	}
	geo := set.obj("geo")
	for _, code := range geo.keys() {
		for _, v := range geo.list(code) {
			out = append(out, octoValue{v, "geo " + code})
		}
	}
	pools := set.obj("dynamic").obj("pools")
	for _, name := range pools.keys() {
		pool := pools.list(name)
		if m := asObject(pools[name]); m != nil {
			pool = append(m.list("values"), m.list("value")...)
		}
		for _, v := range pool {
			if m := asObject(v); m != nil && m.has("value") {
				v = m.lookup("value")
			}
			out = append(out, octoValue{v, "pool " + name})
		}
	}
	return out
}

// octoData is a value as record data. Names in octoDNS are absolute.
func octoData(typ string, v any) (t, data string) {
	m := asObject(v)
	s := scalarText(v)
	typ = strings.ToUpper(typ)
	if owner, alias, ok := strings.Cut(typ, "/"); ok && alias == "ALIAS" && m != nil && owner != "" {
		return "ALIAS", aliasData(m.text("type"), m.text("name", "value"))
	}
	if m == nil {
		switch typ {
		case "TXT", "SPF":
			return typ, quoteText(unescapeText(s))
		case "NS", "CNAME", "DNAME", "PTR":
			return typ, target(s)
		case "ALIAS":
			return typ, aliasData("", s)
		}
		return typ, s
	}
	f := fieldsOf(m)
	switch typ {
	case "MX":
		return typ, f.join(f.first("0", "preference", "priority"), target(f.text("exchange", "value")))
	case "SRV":
		return typ, f.join(f.word("0", "priority"), f.word("0", "weight"), f.word("0", "port"), target(f.text("target")))
	case "CAA":
		return typ, f.join(f.word("0", "flags"), f.word("issue", "tag"), quoteText(f.text("value")))
	case "SSHFP":
		return typ, f.join(f.text("algorithm"), f.text("fingerprint_type"), f.text("fingerprint"))
	case "NAPTR":
		return typ, f.join(f.text("order"), f.text("preference"), quoteText(f.text("flags")), quoteText(f.text("service")),
			quoteText(f.text("regexp")), target(f.word(".", "replacement")))
	case "TLSA":
		return typ, f.join(f.text("certificate_usage"), f.text("selector"), f.text("matching_type"), f.text("certificate_association_data"))
	case "DS":
		// Older files have other names for the same four numbers.
		if f.has("key_tag") {
			return typ, f.join(f.text("key_tag"), f.text("algorithm"), f.text("digest_type"), f.text("digest"))
		}
		return typ, f.join(f.text("flags"), f.text("protocol"), f.text("algorithm"), f.text("public_key"))
	case "LOC":
		return typ, octoLOC(f)
	case "SVCB", "HTTPS":
		return typ, octoSVCB(f)
	case "OPENPGPKEY":
		return typ, f.text("key", "value")
	case "URI":
		return typ, f.join(f.word("0", "priority"), f.word("0", "weight"), quoteText(f.text("target")))
	case "URLFWD":
		return typ, f.join(f.text("code"), f.text("masking"), f.text("query"), f.text("path"), f.text("target"))
	}
	return typ, f.all()
}

// fields are an object's, read for record data.
type fields struct{ object }

func fieldsOf(m object) fields { return fields{m} }

// join puts words behind each other; one that is missing makes data that no
// parser reads.
func (fields) join(words ...string) string {
	for i, w := range words {
		if w == "" {
			words[i] = missing
		}
	}
	return strings.Join(words, " ")
}

// missing stands for a field that is not there: no type's data has it.
const missing = `)`

// first is word, with 0 counting as a value.
func (f fields) first(def string, keys ...string) string { return f.word(def, keys...) }

// all is everything in f, for types that only the tool knows.
func (f fields) all() string {
	keys := f.keys()
	sort.Strings(keys)
	list := make([]string, 0, len(keys))
	for _, k := range keys {
		if s := scalarText(f.object[k]); s != "" {
			list = append(list, k+"="+s)
		}
	}
	return strings.Join(list, " ")
}

// octoLOC is a location as RFC 1876 §3 writes it.
func octoLOC(f fields) string {
	return f.join(f.word("0", "lat_degrees"), f.word("0", "lat_minutes"), f.word("0", "lat_seconds"), f.text("lat_direction"),
		f.word("0", "long_degrees"), f.word("0", "long_minutes"), f.word("0", "long_seconds"), f.text("long_direction"),
		f.word("0", "altitude")+"m", f.word("1", "size")+"m", f.word("10000", "precision_horz")+"m", f.word("10", "precision_vert")+"m")
}

// octoSVCB is a service binding as RFC 9460 §2.1 writes it.
func octoSVCB(f fields) string {
	words := []string{f.word("0", "svcpriority"), target(f.word(".", "targetname"))}
	params := f.obj("svcparams")
	for _, k := range params.keys() {
		list := params.texts(k)
		if v := strings.Join(list, ","); v != "" {
			words = append(words, k+"="+quoteText(v))
		} else {
			words = append(words, k)
		}
	}
	return strings.Join(words, " ")
}

// DetectOctoDNS says yes to a mapping of names to record sets: nothing else stands
// at the margin, and the types below are of records.
func DetectOctoDNS(head []byte) int {
	names, types := 0, 0
	bad := false
	decode.EachLine(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), func(line []byte) bool {
		line = bytes.TrimRight(line, " \t\r")
		text := bytes.TrimLeft(line, " ")
		switch {
		case len(text) == 0 || text[0] == '#' || string(line) == "---" || string(line) == "...":
		case text[0] == '\t' || bytes.HasPrefix(line, []byte("%")):
			bad = true
		case len(text) < len(line) || bytes.HasPrefix(text, []byte("- ")) || bytes.HasPrefix(text, []byte(": ")):
			if octoType(text) {
				types++
			}
			if len(text) == len(line) && text[0] == '-' && names == 0 {
				bad = true
			}
		case bytes.HasPrefix(text, []byte("? ")):
			names++
		default:
			i := bytes.LastIndexByte(text, ':')
			rest := []byte(nil)
			if i > 0 {
				rest = bytes.TrimLeft(text[i+1:], " ")
			}
			// A name's value begins on the next line, or is an anchor, or in braces.
			if i < 0 || (len(rest) > 0 && rest[0] != '&' && rest[0] != '#') {
				if j := bytes.Index(text, []byte(": {")); j <= 0 || !octoType(text[j+3:]) {
					bad = true
				} else {
					types++
				}
			}
			names++
		}
		return !bad && types < 50
	})
	if bad || names == 0 || types == 0 {
		return 0
	}
	return 90
}

// octoType reports whether a line within a record set has its type.
func octoType(text []byte) bool {
	i := bytes.Index(text, []byte("type:"))
	if i < 0 || (i > 0 && bytes.IndexByte([]byte(" {,"), text[i-1]) < 0) {
		return false
	}
	word := bytes.TrimLeft(text[i+len("type:"):], " ")
	if end := bytes.IndexAny(word, " ,}#"); end >= 0 {
		word = word[:end]
	}
	word = bytes.Trim(word, `"'`)
	switch string(word) {
	case "ALIAS", "URLFWD":
		return true
	}
	if _, ok := decode.ParseType(word); ok && bytes.Equal(word, bytes.ToUpper(word)) && len(word) > 0 && word[0] != '*' {
		return true
	}
	return bytes.Contains(word, []byte("Provider/"))
}
