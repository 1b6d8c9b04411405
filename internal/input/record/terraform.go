package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// TerraformState decodes a state of Terraform or OpenTofu, version 4: the DNS
// records among its resources, of all modules and instances.
func TerraformState(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	docs, err := readJSON(r)
	if err != nil && len(docs) == 0 {
		return err
	}
	for _, doc := range docs {
		if v := doc.get("version").scalar(); v != "4" {
			return fmt.Errorf("state of version %s: versions before 4 are not read; any terraform since 0.12 writes version 4", printable(v))
		}
		t := newTerraform(ctx, opt, acct, sink)
		for pass := range 2 { // zones first: records name them by id
			t.zonesOnly = pass == 0
			for res := range doc.get("resources").elems() {
				if err := t.stateResource(res); err != nil {
					return err
				}
			}
		}
	}
	return err
}

// TerraformPlan decodes what "terraform show -json" writes of a plan, or of a
// state. Records that a plan leaves are there; what it does is told as changes.
func TerraformPlan(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	docs, err := readJSON(r)
	for _, doc := range docs {
		t := newTerraform(ctx, opt, acct, sink)
		roots := []value{doc.get("values").get("root_module"), doc.get("prior_state").get("values").get("root_module"),
			doc.get("planned_values").get("root_module")}
		t.zonesOnly = true
		for _, root := range roots {
			if err := t.module(root, 0, nil); err != nil {
				return err
			}
		}
		t.zonesOnly = false
		done := map[string]bool{}
		for c := range doc.get("resource_changes").elems() {
			done[c.get("address").scalar()] = true
			if err := t.change(c); err != nil {
				return err
			}
		}
		root := roots[0] // of a state
		if !root.is('{') {
			root = roots[2]
		}
		if err := t.module(root, 0, done); err != nil {
			return err
		}
	}
	return err
}

// terraform reads resources. Zones are remembered by their ids.
type terraform struct {
	*emitter
	zones     map[string]string // id in the provider's form, or Terraform's → apex
	zonesOnly bool
}

// maxModules bounds how deep modules lie in each other.
const maxModules = 64

func newTerraform(ctx context.Context, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) *terraform {
	return &terraform{emitter: newEmitter(ctx, opt, acct, sink), zones: map[string]string{}}
}

// stateResource takes in a resource of a state with its instances.
func (t *terraform) stateResource(res value) error {
	kind := res.get("type").scalar()
	address := kind + "." + res.get("name").scalar()
	if m := res.get("module").scalar(); m != "" {
		address = m + "." + address
	}
	data := res.get("mode").scalar() == "data"
	for inst := range res.get("instances").elems() {
		at := address
		if key := inst.get("index_key"); len(key.raw) > 0 && string(key.raw) != "null" { // count or for_each
			at += "[" + string(key.raw) + "]"
		}
		if err := t.instance(kind, at, data, inst.get("attributes"), inst); err != nil {
			return err
		}
	}
	return nil
}

// module takes in the resources of a module and those within, without the
// addresses that are done.
func (t *terraform) module(m value, depth int, done map[string]bool) error {
	if depth > maxModules {
		return errors.New("modules within modules more than 64 deep")
	}
	for res := range m.get("resources").elems() {
		at := res.get("address").scalar()
		if done[at] {
			continue
		}
		if err := t.instance(res.get("type").scalar(), at, res.get("mode").scalar() == "data", res.get("values"), res); err != nil {
			return err
		}
	}
	for child := range m.get("child_modules").elems() {
		if err := t.module(child, depth+1, done); err != nil {
			return err
		}
	}
	return nil
}

// instance takes in one instance of a resource.
func (t *terraform) instance(kind, address string, data bool, attributes, whole value) error {
	switch {
	case t.zonesOnly:
		t.zone(kind, attributes)
		return nil
	case data:
		t.acct.Skip(skipDataSource)
		return nil
	case !isTerraformRecord(kind):
		t.acct.Skip(skipNoDNS)
		return nil
	}
	attrs, ok := attributes.object()
	if !ok {
		t.acct.Reject(reasonNoData, whole.position())
		return nil
	}
	items := t.items(kind, attrs)
	if len(items) == 0 {
		t.acct.Reject(reasonNoData, whole.position())
	}
	for _, it := range items {
		it.source = address
		if err := t.put(it, whole.position()); err != nil {
			return err
		}
	}
	return nil
}

// change takes in what a plan does to one instance.
func (t *terraform) change(c value) error {
	kind := c.get("type").scalar()
	if c.get("mode").scalar() == "data" {
		t.acct.Skip(skipDataSource)
		return nil
	}
	if !isTerraformRecord(kind) {
		t.acct.Skip(skipNoDNS)
		return nil
	}
	var actions []string
	for a := range c.get("change").get("actions").elems() {
		actions = append(actions, a.scalar())
	}
	before, bad := t.records(c, "before")
	after, worse := t.records(c, "after")
	switch {
	case len(before)+len(after)+bad+worse > 0:
	case slices.Contains(actions, "create"):
		t.acct.Skip(skipUnknown)
		return nil
	default:
		t.acct.Reject(reasonNoData, c.position())
		return nil
	}
	changes, same := compare(before, after)
	for _, r := range slices.Concat(same, changes) {
		if err := t.emit(r); err != nil {
			return err
		}
	}
	return nil
}

// records are those of one side of a change, without those rejected.
func (t *terraform) records(c value, side string) (out []*picket.Record, rejected int) {
	attrs, ok := c.get("change").get(side).object()
	if !ok {
		return nil, 0
	}
	for _, it := range t.items(c.get("type").scalar(), attrs) {
		it.source = c.get("address").scalar()
		r, reason := it.record()
		if reason != "" {
			t.acct.Reject(reason, c.position())
			rejected++
			continue
		}
		out = append(out, r)
	}
	return out, rejected
}

// DetectTerraformState says yes to a state file.
func DetectTerraformState(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || body[0] != '{' {
		return 0
	}
	if bytes.Contains(body, []byte(`"terraform_version"`)) && bytes.Contains(body, []byte(`"lineage"`)) && bytes.Contains(body, []byte(`"version"`)) {
		return 95
	}
	return 0
}

// DetectTerraformPlan says yes to the JSON of a plan or a shown state.
func DetectTerraformPlan(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || body[0] != '{' {
		return 0
	}
	if !bytes.Contains(body, []byte(`"format_version"`)) || !bytes.Contains(body, []byte(`"terraform_version"`)) {
		return 0
	}
	for _, key := range []string{`"planned_values"`, `"resource_changes"`, `"root_module"`, `"values"`} {
		if bytes.Contains(body, []byte(key)) {
			return 95
		}
	}
	return 0
}
