package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// gcpKind is the kind of a record set in Google Cloud DNS.
const gcpKind = "dns#resourceRecordSet"

// GCPExport decodes what "gcloud dns record-sets list --format=json" and
// "gcloud dns record-sets export" write, and the answers of the Cloud DNS API.
func GCPExport(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	b, err := readDocument(r, maxDocument)
	if err != nil {
		return err
	}
	e := newEmitter(ctx, opt, acct, sink)
	body := detectHead(b)
	if len(body) > 0 && body[0] != '{' && body[0] != '[' { // gcloud's export
		return e.gcpYAML(b)
	}
	docs, err := readJSON(bytes.NewReader(b))
	zone := opt.Origin
	for _, doc := range docs {
		e.page(len(docs), doc.get("nextPageToken"))
		list := doc
		if sets := doc.get("rrsets"); sets.is('[') {
			list = sets
		} else if changes := doc.get("additions"); changes.is('[') || doc.get("deletions").is('[') {
			if err := e.gcpChange(doc, zone); err != nil {
				return err
			}
			continue
		}
		if list.is('{') {
			set, _ := list.object()
			if err := e.gcpSet(set, zone, picket.ChangePresent, list.position()); err != nil {
				return err
			}
			continue
		}
		if opt.Origin == "" {
			zone = gcpZone(list)
		}
		if err := e.gcpSets(list, zone, picket.ChangePresent); err != nil {
			return err
		}
	}
	return err
}

// gcpZone is the owner of the SOA among sets.
func gcpZone(list value) string {
	for v := range list.elems() {
		if v.is('{') && v.get("type").scalar() == "SOA" {
			return v.get("name").scalar()
		}
	}
	return ""
}

// gcpChange takes in a change, as "gcloud dns record-sets changes" shows it.
func (e *emitter) gcpChange(doc value, zone string) error {
	if err := e.gcpSets(doc.get("deletions"), zone, picket.ChangeRemove); err != nil {
		return err
	}
	return e.gcpSets(doc.get("additions"), zone, picket.ChangeAdd)
}

func (e *emitter) gcpSets(list value, zone string, change picket.Change) error {
	for v := range list.elems() {
		set, _ := v.object()
		if err := e.gcpSet(set, zone, change, v.position()); err != nil {
			return err
		}
	}
	return nil
}

// gcpYAML takes in the export's YAML, one document a set.
func (e *emitter) gcpYAML(b []byte) error {
	y := &yamlFile{anchors: map[string]ast.Node{}}
	zone := e.opt.Origin
	var sets []object
	var at []picket.Position
	for _, p := range cutYAML(b, true) {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		body, reason := y.parse(p)
		if reason != "" {
			e.acct.Reject(reason, picket.Position{Line: p.line, Record: p.text})
			continue
		}
		for _, n := range y.elements(body) {
			v, err := y.build(n, 0)
			if errors.Is(err, errYAMLAlias) {
				return err
			}
			set := asObject(v)
			if zone == "" && set.text("type") == "SOA" {
				zone = set.text("name")
			}
			sets, at = append(sets, set), append(at, picket.Position{Line: y.line(n)})
		}
	}
	for i, set := range sets {
		if err := e.gcpSet(set, zone, picket.ChangePresent, at[i]); err != nil {
			return err
		}
	}
	return nil
}

// gcpSet takes in one record set; names in it are absolute.
func (e *emitter) gcpSet(set object, zone string, change picket.Change, at picket.Position) error {
	if set == nil || !set.has("type") {
		e.acct.Reject(reasonNotRecord, at)
		return nil
	}
	it := item{zone: zone, name: set.text("name"), typ: set.text("type"), ttl: set.num("ttl"), change: change}
	n := 0
	put := func(list []string, comment string) error {
		for _, data := range list {
			one := it
			one.data, one.comment = data, comment
			n++
			if err := e.put(one, at); err != nil {
				return err
			}
		}
		return nil
	}
	if err := put(set.texts("rrdatas"), ""); err != nil {
		return err
	}
	for _, p := range gcpPolicies(set.obj("routingPolicy")) {
		if err := put(p.data, p.comment); err != nil {
			return err
		}
	}
	if n == 0 {
		e.acct.Reject(reasonNoData, at)
	}
	return nil
}

type gcpPolicy struct {
	data    []string
	comment string
}

// gcpPolicies are what a routing policy may answer: by weight, by place, or from
// a backup when the primary is down.
func gcpPolicies(policy object) (out []gcpPolicy) {
	items := func(of object, where string) {
		for _, v := range of.list("items") {
			m := asObject(v)
			p := gcpPolicy{comment: strings.TrimSpace(where + " " + m.text("weight", "location"))}
			p.data = append(m.texts("rrdatas"), gcpBalancers(m.obj("healthCheckedTargets"))...)
			out = append(out, p)
		}
	}
	for _, k := range []string{"wrr", "wrrPolicy"} {
		items(policy.obj(k), "weight")
	}
	for _, k := range []string{"geo", "geoPolicy"} {
		items(policy.obj(k), "geo")
	}
	for _, k := range []string{"primaryBackup", "primaryBackupPolicy"} {
		pb := policy.obj(k)
		if pb == nil {
			continue
		}
		out = append(out, gcpPolicy{gcpBalancers(pb.obj("primaryTargets")), "primary"})
		for _, g := range []string{"backupGeoTargets", "backupGeoPolicy"} {
			items(pb.obj(g), "backup geo")
		}
	}
	return out
}

// gcpBalancers are the addresses of load balancers.
func gcpBalancers(targets object) (out []string) {
	for _, v := range targets.list("internalLoadBalancers") {
		if a := asObject(v).text("ipAddress"); a != "" {
			out = append(out, a)
		}
	}
	return append(out, targets.texts("externalEndpoints")...)
}

// DetectGCPExport says yes to Cloud DNS's record sets, in JSON or YAML.
func DetectGCPExport(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 {
		return 0
	}
	if bytes.Contains(body, []byte("protoPayload")) || bytes.Contains(body, []byte("logName")) { // audit logs have such sets
		return 0
	}
	kind, data := bytes.Contains(body, []byte(gcpKind)), bytes.Contains(body, []byte("rrdatas"))
	jsonish := body[0] == '{' || body[0] == '['
	switch {
	case bytes.Contains(body, []byte("terraform_version")) || bytes.Contains(body, []byte("format_version")):
		return 0
	case kind && data:
		return 95
	case jsonish && data && bytes.Contains(body, []byte(`"rrdatas"`)) && bytes.Contains(body, []byte(`"type"`)):
		return 85
	case kind && (bytes.HasPrefix(body, []byte("---")) || bytes.HasPrefix(body, []byte("kind:")) || jsonish):
		return 85
	}
	return 0
}
