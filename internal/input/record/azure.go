package record

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// AzureExport decodes record sets of Azure DNS, public and private: what
// "az network dns record-set list" writes, answers of the management API, exported
// ARM templates, and recordings of such answers. A zone that is listed yields the
// name servers it names.
func AzureExport(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	e := newEmitter(ctx, opt, acct, sink)
	docs, err := readJSON(r)
	for _, doc := range docs {
		e.page(len(docs), doc.get("nextLink"))
		if err := e.azure(doc, 0); err != nil {
			return err
		}
	}
	return err
}

// azure takes in a document, whatever its wrapping.
func (e *emitter) azure(doc value, depth int) error {
	if depth > 4 {
		e.acct.Reject(reasonNotRecord, doc.position())
		return nil
	}
	if doc.is('[') {
		return e.azureList(doc, azureTemplate{})
	}
	if list := doc.get("value"); list.is('[') {
		return e.azureList(list, azureTemplate{})
	}
	if list := doc.get("resources"); list.is('[') {
		return e.azureList(list, azureTemplate{isTemplate: true, params: azureParameters(doc)})
	}
	if list := doc.get("interactions"); list.is('[') { // a recording of HTTP exchanges
		for x := range list.elems() {
			body := x.get("response").get("body")
			if data := body.get("data"); data.is('{') || data.is('[') {
				if err := e.azure(data, depth+1); err != nil {
					return err
				}
				continue
			}
			docs, err := readJSON(strings.NewReader(body.get("string").scalar()))
			if err != nil || len(docs) == 0 {
				e.acct.Skip(skipNoDNS)
				continue
			}
			for _, d := range docs {
				d.line = body.line
				if err := e.azure(d, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return e.azureResource(doc, azureTemplate{})
}

// azureTemplate is what names in an ARM template may refer to.
type azureTemplate struct {
	isTemplate bool
	params     map[string]string
}

// azureParameters are the defaults of a template's parameters.
func azureParameters(doc value) map[string]string {
	params := map[string]string{}
	for k, v := range doc.get("parameters").fields() {
		params[strings.ToLower(k)] = v.get("defaultValue").scalar()
	}
	return params
}

func (e *emitter) azureList(list value, t azureTemplate) error {
	for v := range list.elems() {
		if err := e.azureResource(v, t); err != nil {
			return err
		}
	}
	return nil
}

// azureResource takes in a record set or a zone.
func (e *emitter) azureResource(v value, t azureTemplate) error {
	res, ok := v.object()
	kind := strings.ToLower(res.text("type"))
	if !ok || kind == "" {
		e.acct.Reject(reasonNotRecord, v.position())
		return nil
	}
	family, typ, isSet := azureType(kind)
	if family == "" {
		e.acct.Skip(skipNoDNS)
		return nil
	}
	props := res
	if p := res.obj("properties"); p != nil {
		props = p
	}
	name := res.text("name")
	if t.isTemplate {
		var ok bool
		if name, ok = azureName(name, t.params); !ok {
			e.acct.Reject(reasonNameExpr, v.position())
			return nil
		}
	}
	it := item{source: res.text("id"), comment: azureMetadata(props)}
	if !isSet {
		return e.azureZone(it, name, props, v)
	}
	it.zone, it.name = azureZoneOf(res.text("id"), family), name
	if before, after, ok := strings.Cut(name, "/"); ok { // ZONE/NAME
		it.zone, it.name = before, after
	}
	switch fq := props.text("fqdn"); {
	case it.zone == "" && fq != "":
		it.name, it.zone = fq, e.opt.Origin
	default:
		it.within = true
		if it.zone == "" {
			it.zone = e.opt.Origin
		}
	}
	it.ttl = props.num("TTL")
	return e.azureSet(it, strings.ToUpper(typ), fieldsOf(props), v)
}

// azureType splits Microsoft.Network/dnszones/A; family is "" for what is no DNS.
func azureType(kind string) (family, typ string, isSet bool) {
	for _, f := range []string{"microsoft.network/dnszones", "microsoft.network/privatednszones"} {
		if kind == f {
			return f, "", false
		}
		if t, ok := strings.CutPrefix(kind, f+"/"); ok && !strings.Contains(t, "/") && t != "virtualnetworklinks" && t != "dnssecconfigs" {
			return f, t, true
		}
	}
	return "", "", false
}

// azureZoneOf is the zone in a resource id, which has …/dnszones/ZONE/TYPE/NAME.
func azureZoneOf(id, family string) string {
	_, folder, _ := strings.Cut(family, "/")
	parts := strings.Split(id, "/")
	for i, p := range parts {
		if strings.EqualFold(p, folder) && i+1 < len(parts) {
			return parts[i+1]
		}
	}
	return ""
}

// azureZone takes in a zone for the name servers that it has.
func (e *emitter) azureZone(it item, name string, props object, v value) error {
	servers := props.texts("nameServers")
	if len(servers) == 0 { // private zones have none
		e.acct.Skip(skipZone)
		return nil
	}
	for _, ns := range servers {
		one := it
		one.zone, one.within, one.typ, one.data = name, true, "NS", target(ns)
		if err := e.put(one, v.position()); err != nil {
			return err
		}
	}
	return nil
}

func azureMetadata(props object) string {
	meta := props.obj("metadata")
	var list []string
	for _, k := range meta.keys() {
		if s := meta.text(k); s != "" {
			list = append(list, k+"="+s)
		}
	}
	return strings.Join(list, ", ")
}

// azureSet takes in the records of a set. Names in Azure's data are absolute.
func (e *emitter) azureSet(it item, typ string, f fields, v value) error {
	it.typ = typ
	n := 0
	put := func(data string) error {
		one := it
		one.data = data
		n++
		return e.put(one, v.position())
	}
	for _, data := range azureData(typ, f) {
		if err := put(data); err != nil {
			return err
		}
	}
	if id := f.obj("targetResource").text("id"); id != "" && n == 0 {
		it.typ = "ALIAS"
		return put(strings.TrimSpace(typ + " " + strings.ReplaceAll(id, " ", "%20")))
	}
	if n == 0 {
		e.acct.Reject(reasonNoData, v.position())
	}
	return nil
}

// azureData is the data of all records of a set.
func azureData(typ string, f fields) (out []string) {
	each := func(key string, data func(r fields) string) {
		for _, v := range f.list(key) {
			if m := asObject(v); m != nil {
				out = append(out, data(fieldsOf(m)))
			}
		}
	}
	switch typ {
	case "A":
		each("ARecords", func(r fields) string { return r.text("ipv4Address") })
	case "AAAA":
		each("AAAARecords", func(r fields) string { return r.text("ipv6Address") })
	case "CNAME":
		each("CNAMERecord", func(r fields) string { return target(r.text("cname")) })
	case "NS":
		each("NSRecords", func(r fields) string { return target(r.text("nsdname")) })
	case "PTR":
		each("PTRRecords", func(r fields) string { return target(r.text("ptrdname")) })
	case "MX":
		each("MXRecords", func(r fields) string { return r.join(r.word("0", "preference"), target(r.text("exchange"))) })
	case "SRV":
		each("SRVRecords", func(r fields) string {
			return r.join(r.word("0", "priority"), r.word("0", "weight"), r.word("0", "port"), target(r.text("target")))
		})
	case "TXT":
		each("TXTRecords", func(r fields) string { return quoteTexts(r.texts("value")) })
	case "CAA":
		each("caaRecords", func(r fields) string { return r.join(r.word("0", "flags"), r.text("tag"), quoteText(r.text("value"))) })
	case "DS":
		each("DSRecords", func(r fields) string {
			d := r.obj("digest")
			return r.join(r.text("keyTag"), r.text("algorithm"), d.text("algorithmType"), d.text("value"))
		})
	case "TLSA":
		each("TLSARecords", func(r fields) string {
			return r.join(r.text("usage"), r.text("selector"), r.text("matchingType"), r.text("certAssociationData"))
		})
	case "NAPTR":
		each("NAPTRRecords", func(r fields) string {
			return r.join(r.text("order"), r.text("preference"), quoteText(r.text("flags")), quoteText(r.text("services")),
				quoteText(r.text("regexp")), target(r.word(".", "replacement")))
		})
	case "SOA":
		each("SOARecord", func(r fields) string {
			return r.join(target(r.text("host")), target(strings.Replace(r.text("email"), "@", ".", 1)), r.word("0", "serialNumber"),
				r.word("0", "refreshTime"), r.word("0", "retryTime"), r.word("0", "expireTime"), r.word("0", "minimumTTL"))
		})
	}
	return out
}

var (
	azureConcat = regexp.MustCompile(`(?i)^\[\s*(?:concat|format)\s*\((.*)\)\s*\]$`)
	azureParam  = regexp.MustCompile(`(?i)^\[?\s*parameters\s*\(\s*'([^']*)'\s*\)\s*\]?$`)
)

// azureName evaluates the two expressions that exported templates have for names:
// a parameter, and parameters and literals put together.
func azureName(text string, params map[string]string) (string, bool) {
	if !strings.HasPrefix(text, "[") {
		return text, true
	}
	one := func(part string) (string, bool) {
		part = strings.TrimSpace(part)
		if len(part) >= 2 && part[0] == '\'' && part[len(part)-1] == '\'' {
			return part[1 : len(part)-1], true
		}
		if m := azureParam.FindStringSubmatch(part); m != nil {
			v, ok := params[strings.ToLower(m[1])]
			return v, ok && v != ""
		}
		return "", false
	}
	m := azureConcat.FindStringSubmatch(text)
	if m == nil {
		return one(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	}
	var list []string
	for _, part := range strings.Split(m[1], ",") {
		s, ok := one(part)
		if !ok {
			return "", false
		}
		list = append(list, s)
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimLeft(text, "[ ")), "format") {
		s := list[0]
		for i, v := range list[1:] {
			s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), v)
		}
		return s, true
	}
	return strings.Join(list, ""), true
}

// DetectAzureExport says yes to resources of Azure DNS.
func DetectAzureExport(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || (body[0] != '{' && body[0] != '[') {
		return 0
	}
	lower := bytes.ToLower(body)
	has := func(s string) bool { return bytes.Contains(lower, []byte(s)) }
	switch {
	case !has("microsoft.network/dnszones") && !has("microsoft.network/privatednszones"):
		return 0
	case has(`"operationname"`) || has(`"terraform_version"`) || has(`"format_version"`): // activity log, Terraform
		return 0
	case !has(`"type"`) || !has(`"name"`):
		return 0
	}
	return 92
}
