package record

import (
	"strings"
)

// terraformKind says how a provider's resource holds a record.
type terraformKind struct {
	typ  string   // record type, when the resource's own type says it
	zone string   // attribute with the zone: an apex, or an id that a zone resource has
	name []string // attributes with the name; the first that is there counts
	rel  bool     // name is relative to the zone; else it is absolute, or ends in the zone
	kind []string // attributes with the record type
	data []string // attributes with the data, a value or a list of them
	// read, when set, makes the data; rdata is it otherwise.
	read func(typ string, f fields) []terraformValue
	// plain: data is in the provider's own words, TXT without quotes; else it is in
	// presentation form.
	plain bool
}

// terraformValue is the data of one record.
type terraformValue struct{ typ, data, comment string }

// terraformKinds are the DNS records of providers, by the resource's type.
var terraformKinds = map[string]*terraformKind{
	"aws_route53_record":     {zone: "zone_id", name: []string{"fqdn", "name"}, kind: []string{"type"}, read: route53Values},
	"cloudflare_record":      {zone: "zone_id", name: []string{"hostname", "name"}, kind: []string{"type"}, read: cloudflareValues},
	"cloudflare_dns_record":  {zone: "zone_id", name: []string{"name"}, kind: []string{"type"}, read: cloudflareValues},
	"google_dns_record_set":  {zone: "managed_zone", name: []string{"name"}, kind: []string{"type"}, read: googleValues},
	"powerdns_record":        {zone: "zone", name: []string{"name"}, kind: []string{"type"}, data: []string{"records"}},
	"digitalocean_record":    {zone: "domain", name: []string{"fqdn", "name"}, kind: []string{"type"}, data: []string{"value"}, plain: true},
	"hetznerdns_record":      {zone: "zone_id", name: []string{"name"}, rel: true, kind: []string{"type"}, data: []string{"value"}},
	"hcloud_zone_rrset":      {zone: "zone", name: []string{"name"}, rel: true, kind: []string{"type"}, read: hcloudValues},
	"gandi_livedns_record":   {zone: "zone", name: []string{"name"}, rel: true, kind: []string{"type"}, data: []string{"values"}},
	"ovh_domain_zone_record": {zone: "zone", name: []string{"subdomain"}, rel: true, kind: []string{"fieldtype"}, data: []string{"target"}},
	"dnsimple_zone_record":   {zone: "zone_name", name: []string{"name"}, rel: true, kind: []string{"type"}, data: []string{"value"}, plain: true},
	"dnsimple_record":        {zone: "domain", name: []string{"name"}, rel: true, kind: []string{"type"}, data: []string{"value"}, plain: true},
	"scaleway_domain_record": {zone: "dns_zone", name: []string{"name"}, rel: true, kind: []string{"type"}, data: []string{"data"}, plain: true},
	"ns1_record":             {zone: "zone", name: []string{"domain"}, kind: []string{"type"}, read: ns1Values},
	"dns_a_record_set":       {typ: "A", zone: "zone", name: []string{"name"}, rel: true, data: []string{"addresses"}},
	"dns_aaaa_record_set":    {typ: "AAAA", zone: "zone", name: []string{"name"}, rel: true, data: []string{"addresses"}},
	"dns_cname_record":       {typ: "CNAME", zone: "zone", name: []string{"name"}, rel: true, data: []string{"cname"}},
	"dns_ns_record_set":      {typ: "NS", zone: "zone", name: []string{"name"}, rel: true, data: []string{"nameservers"}},
	"dns_ptr_record":         {typ: "PTR", zone: "zone", name: []string{"name"}, rel: true, data: []string{"ptr"}},
	"dns_txt_record_set":     {typ: "TXT", zone: "zone", name: []string{"name"}, rel: true, data: []string{"txt"}, plain: true},
	"dns_mx_record_set":      {typ: "MX", zone: "zone", name: []string{"name"}, rel: true, read: rfc2136Values},
	"dns_srv_record_set":     {typ: "SRV", zone: "zone", name: []string{"name"}, rel: true, read: rfc2136Values},
}

// kindOf returns how a resource type holds records, nil when it holds none.
func kindOf(resource string) *terraformKind {
	if k, ok := terraformKinds[resource]; ok {
		return k
	}
	for _, prefix := range []string{"azurerm_dns_", "azurerm_private_dns_"} {
		rest, ok := strings.CutPrefix(resource, prefix)
		typ, isRecord := strings.CutSuffix(rest, "_record")
		if ok && isRecord && typ != "" {
			return &terraformKind{typ: strings.ToUpper(typ), zone: "zone_name", name: []string{"name"}, rel: true, read: azurermValues}
		}
	}
	return nil
}

func isTerraformRecord(resource string) bool { return kindOf(resource) != nil }

// zone remembers the apex of a zone by everything that records may call it.
func (t *terraform) zone(kind string, attributes value) {
	switch kind {
	case "aws_route53_zone", "hetznerdns_zone", "hcloud_zone", "digitalocean_domain", "azurerm_dns_zone", "azurerm_private_dns_zone",
		"cloudflare_zone", "google_dns_managed_zone":
	default:
		return
	}
	attrs, _ := attributes.object()
	apex := attrs.text("zone", "dns_name", "name")
	if kind == "google_dns_managed_zone" {
		t.remember(attrs.text("name"), apex)
	}
	t.remember(attrs.text("id"), apex)
	t.remember(attrs.text("zone_id"), apex)
}

func (t *terraform) remember(id, apex string) {
	if id != "" && apex != "" {
		t.zones[id] = apex
	}
}

// items are the records of one resource.
func (t *terraform) items(resource string, attrs object) (out []item) {
	k := kindOf(resource)
	it := item{typ: k.typ, name: attrs.text(k.name...), zone: attrs.text(k.zone), ttl: attrs.num("ttl")}
	if len(k.kind) > 0 {
		it.typ = attrs.text(k.kind...)
	}
	if apex, ok := t.zones[it.zone]; ok {
		it.zone = apex
	} else if strings.HasSuffix(k.zone, "_id") || k.zone == "managed_zone" || !strings.Contains(it.zone, ".") {
		it.zone = t.opt.Origin // an id of something that is not in the file
	}
	it.within = k.rel || (it.zone != "" && !inZone(it.name, it.zone))
	if resource == "digitalocean_record" && attrs.text("fqdn") != "" {
		it.within = false
	}
	if resource == "aws_route53_record" {
		it.name = fromOctal(it.name)
	}
	if strings.HasPrefix(resource, "cloudflare_") {
		it.ttl = cloudflareTTL(attrs)
	}
	typ := strings.ToUpper(it.typ)
	values := k.values(typ, fieldsOf(attrs))
	for _, v := range values {
		one := it
		one.typ, one.data, one.comment = v.typ, v.data, v.comment
		if one.comment == "" {
			one.comment = attrs.text("comment")
		}
		out = append(out, one)
	}
	return out
}

// inZone reports whether a name is written out to the zone's end.
func inZone(name, zone string) bool {
	if strings.HasSuffix(name, ".") {
		return true
	}
	name, zone = strings.ToLower(name), strings.TrimSuffix(strings.ToLower(zone), ".")
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// values are the data of a resource's records.
func (k *terraformKind) values(typ string, f fields) (out []terraformValue) {
	if k.read != nil {
		return k.read(typ, f)
	}
	for _, key := range k.data {
		for _, s := range f.texts(key) {
			if k.plain {
				s = plainValue(typ, s, f)
			} else {
				s = terraformData(typ, s)
			}
			out = append(out, terraformValue{typ: typ, data: s})
		}
	}
	return out
}

// terraformData reads data in presentation form, where providers let quotes of
// TXT and the dots at the end of names go.
func terraformData(typ, s string) string {
	switch typ {
	case "TXT", "SPF":
		return textData(s)
	case "NS", "CNAME", "DNAME", "PTR":
		return target(s)
	}
	return s
}

// plainValue makes data of a value and of the numbers that stand beside it.
func plainValue(typ, s string, f fields) string {
	switch typ {
	case "TXT", "SPF":
		return textData(s)
	case "NS", "CNAME", "DNAME", "PTR":
		return target(s)
	case "ALIAS", "ANAME":
		return aliasData("", s)
	case "MX":
		if strings.Contains(strings.TrimSpace(s), " ") {
			return s
		}
		return f.join(f.word("0", "priority"), target(s))
	case "SRV":
		if words := strings.Fields(s); len(words) == 3 { // weight, port, target
			return f.join(f.word("0", "priority"), words[0], words[1], target(words[2]))
		} else if len(words) > 3 {
			return s
		}
		return f.join(f.word("0", "priority"), f.word("0", "weight"), f.word("0", "port"), target(s))
	case "CAA":
		if strings.Contains(s, `"`) {
			return s
		}
		return f.join(f.word("0", "flags"), f.word("issue", "tag"), quoteText(strings.TrimSuffix(s, ".")))
	}
	return s
}

func route53Values(typ string, f fields) (out []terraformValue) {
	comment := ""
	if id := f.text("set_identifier"); id != "" {
		comment = "set " + id
	}
	for _, s := range f.texts("records") {
		if typ == "TXT" || typ == "SPF" {
			// The provider puts the outer quotes, and takes \"\" between strings.
			s = fromOctal(`"` + strings.Trim(s, `"`) + `"`)
		}
		out = append(out, terraformValue{typ, terraformData(typ, s), comment})
	}
	for _, a := range f.list("alias") {
		if m := asObject(a); m != nil {
			out = append(out, terraformValue{"ALIAS", aliasData(typ, m.text("name")), comment})
		}
	}
	return out
}

func cloudflareValues(typ string, f fields) []terraformValue {
	v := terraformValue{typ: typ, comment: f.text("comment")}
	if f.text("proxied") == "true" {
		v.comment = strings.TrimPrefix(v.comment+"; proxied", "; ")
	}
	v.data = cloudflareData(typ, f.text("content", "value"), f)
	if v.data == "" && len(f.list("data")) == 0 {
		return nil
	}
	return []terraformValue{v}
}

func googleValues(typ string, f fields) (out []terraformValue) {
	for _, s := range f.texts("rrdatas") {
		out = append(out, terraformValue{typ, terraformData(typ, s), ""})
	}
	for _, p := range f.list("routing_policy") {
		policy := asObject(p)
		for _, k := range []string{"wrr", "geo"} {
			for _, v := range policy.list(k) {
				m := asObject(v)
				for _, s := range m.texts("rrdatas") {
					out = append(out, terraformValue{typ, terraformData(typ, s), k + " " + m.text("weight", "location")})
				}
			}
		}
	}
	return out
}

func hcloudValues(typ string, f fields) (out []terraformValue) {
	for _, v := range f.list("records") {
		if m := asObject(v); m != nil {
			out = append(out, terraformValue{typ, terraformData(typ, m.text("value")), m.text("comment")})
		}
	}
	return out
}

func ns1Values(typ string, f fields) (out []terraformValue) {
	for _, v := range f.list("answers") {
		if m := asObject(v); m != nil {
			out = append(out, terraformValue{typ, terraformData(typ, m.text("answer")), ""})
		}
	}
	return out
}

// rfc2136Values are those of the dns provider's sets with more than one field.
func rfc2136Values(typ string, f fields) (out []terraformValue) {
	for _, v := range f.list(strings.ToLower(typ)) {
		m := fieldsOf(asObject(v))
		if m.object == nil {
			continue
		}
		data := m.join(m.word("0", "preference"), target(m.text("exchange")))
		if typ == "SRV" {
			data = m.join(m.word("0", "priority"), m.word("0", "weight"), m.word("0", "port"), target(m.text("target")))
		}
		out = append(out, terraformValue{typ, data, ""})
	}
	return out
}

// azurermValues are those of Azure's sets: plain values, or mappings at record.
func azurermValues(typ string, f fields) (out []terraformValue) {
	add := func(data string) { out = append(out, terraformValue{typ, data, ""}) }
	for _, s := range f.texts("records") {
		add(terraformData(typ, s))
	}
	for _, v := range f.list("record") {
		m := fieldsOf(asObject(v))
		switch {
		case m.object == nil:
			add(terraformData(typ, scalarText(v)))
		case typ == "MX":
			add(m.join(m.word("0", "preference"), target(m.text("exchange"))))
		case typ == "SRV":
			add(m.join(m.word("0", "priority"), m.word("0", "weight"), m.word("0", "port"), target(m.text("target"))))
		case typ == "CAA":
			add(m.join(m.word("0", "flags"), m.text("tag"), quoteText(m.text("value"))))
		case typ == "TXT":
			add(quoteText(m.text("value")))
		}
	}
	if id := f.text("target_resource_id"); id != "" && len(out) == 0 {
		out = append(out, terraformValue{"ALIAS", typ + " " + strings.ReplaceAll(id, " ", "%20"), ""})
	}
	return out
}
