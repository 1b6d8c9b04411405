package admin

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const reasonNoAudit = "not an audit log entry"

// CloudflareAudit decodes Cloudflare's audit logs: answers of the API, version 1
// and 2, and what Logpush writes of either. Entries about DNS, zones and the
// registrar count, others are skipped by what they are about.
func CloudflareAudit(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	return readEvents(ctx, r, opt, acct, sink, cloudflare, "result")
}

// cloudflareEntry is what the four forms have in common.
type cloudflareEntry struct {
	time, id, action, result, description decode.Value
	actor, email, token, ip, agent        decode.Value
	kind, product, resource               decode.Value
	zone, uri, via, account               decode.Value
	meta, before, after                   decode.Value
}

// cloudflareForm tells the forms apart by keys that only one has.
func cloudflareForm(v decode.Value) (c cloudflareEntry, ok bool) {
	action, actor, res := v.Get("action"), v.Get("actor"), v.Get("resource")
	switch {
	case v.Get("ActionType") != nil && v.Get("When") != nil: // Logpush, audit_logs
		return cloudflareEntry{time: v.Get("When"), id: v.Get("ID"), action: v.Get("ActionType"), result: v.Get("ActionResult"),
			actor: v.Get("ActorID"), email: v.Get("ActorEmail"), ip: v.Get("ActorIP"), kind: v.Get("ResourceType"), resource: v.Get("ResourceID"),
			via: v.Get("Interface"), meta: v.Get("Metadata"), before: v.Get("OldValue"), after: v.Get("NewValue"),
			zone: v.Get("Metadata").Inside().Get("zone_name")}, true
	case v.Get("ActionType") != nil && v.Get("ActionTimestamp") != nil: // Logpush, audit_logs_v2
		return cloudflareEntry{time: v.Get("ActionTimestamp"), id: v.Get("AuditLogID"), action: v.Get("ActionType"), result: v.Get("ActionResult"),
			description: v.Get("ActionDescription"), actor: v.Get("ActorID"), email: v.Get("ActorEmail"), ip: v.Get("ActorIPAddress"),
			token: v.Get("ActorTokenDetails").Inside().First("TokenName", "token_name", "name"), agent: v.Get("Raw").Inside().First("user_agent", "UserAgent"),
			uri: v.Get("Raw").Inside().Get("uri"), kind: v.Get("ResourceType"), product: v.Get("ResourceProduct"), resource: v.Get("ResourceID"),
			zone: v.Get("ZoneName"), via: v.Get("ActorContext"), account: v.Get("AccountName"),
			before: v.Get("ResourceValue"), after: v.Get("ResourceRequest")}, true
	case action.IsObject() && v.Get("when") != nil: // API, version 1
		return cloudflareEntry{time: v.Get("when"), id: v.Get("id"), action: action.Get("type"), result: action.Get("result"),
			actor: actor.Get("id"), email: actor.Get("email"), ip: actor.Get("ip"), kind: res.Get("type"), resource: res.Get("id"),
			via: v.Get("interface"), meta: v.Get("metadata"), before: v.First("oldValueJson", "oldValue"), after: v.First("newValueJson", "newValue"),
			zone: v.Get("metadata").Inside().Get("zone_name")}, true
	case action.IsObject() && action.Get("time") != nil: // API, version 2
		return cloudflareEntry{time: action.Get("time"), id: v.Get("id"), action: action.Get("type"), result: action.Get("result"),
			description: action.Get("description"), actor: actor.Get("id"), email: actor.Get("email"), ip: actor.Get("ip_address"),
			token: actor.Get("token_name"), agent: v.Get("raw", "user_agent"), uri: v.Get("raw", "uri"), kind: res.Get("type"),
			product: res.Get("product"), resource: res.Get("id"), zone: v.Get("zone", "name"), via: actor.Get("context"), account: v.Get("account", "name"),
			before: res.Get("value"), after: res.Get("request")}, true
	}
	return c, false
}

// aboutDNS reports whether an entry is about DNS, a zone or a registration.
func (c *cloudflareEntry) aboutDNS() bool {
	for _, b := range [][]byte{c.kind.Bytes(), c.product.Bytes()} {
		b = bytes.ToLower(b[:min(len(b), 64)])
		for _, word := range []string{"dns", "zone", "registrar", "domain"} {
			if bytes.Contains(b, []byte(word)) {
				return true
			}
		}
	}
	for _, part := range []string{"/dns_records", "/dnssec", "/registrar/", "/dns_settings"} {
		if bytes.Contains(c.uri.Bytes(), []byte(part)) {
			return true
		}
	}
	return bytes.HasPrefix(c.action.Bytes(), []byte("rec_"))
}

func cloudflare(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string) {
	c, ok := cloudflareForm(v)
	if !ok {
		return "", reasonNoAudit
	}
	if !c.aboutDNS() {
		if c.product != nil {
			return d.category("product", c.product.Bytes()), ""
		}
		return d.category("resource", c.kind.Bytes()), ""
	}
	if reason := d.at(e, c.time); reason != "" {
		return "", reason
	}
	e.Provider, e.Service, e.Action = "cloudflare", d.say(c.kind), d.say(c.action)
	if p := d.say(c.product); p != "" {
		e.Service = p
	}
	e.Effect = effectOf(strings.TrimPrefix(strings.ToLower(e.Action), "rec_"))
	e.ID, e.Agent, e.Target = d.say(c.id), d.say(c.agent), d.say(c.resource)
	if e.Actor = d.say(c.email); e.Actor == "" {
		if e.Actor = d.say(c.token); e.Actor == "" {
			e.Actor = d.say(c.actor)
		}
	}
	d.actorAt(e, c.ip)
	detail(e, "token", d.say(c.token))
	detail(e, "via", d.say(c.via))
	detail(e, "account", d.say(c.account))
	detail(e, "description", d.say(c.description))
	detail(e, "uri", d.say(c.uri))
	switch strings.ToLower(c.result.Text()) {
	case "true", "success":
		e.Outcome = success
	case "false", "failure":
		e.Outcome = failure
	case "":
	default:
		e.Outcome, e.Reason = failure, d.say(c.result)
	}
	if e.Zone, ok = d.name(c.zone); !ok {
		return "", decode.ReasonBadName
	}
	return "", d.cloudflareRecords(e, &c)
}

// cloudflareRecords adds what was there and what is there now, as far as the entry
// tells: the two values, or for a record that came or went its description.
func (d *events) cloudflareRecords(e *picket.AdminEvent, c *cloudflareEntry) (reason string) {
	before, after, meta := c.before.Inside(), c.after.Inside(), c.meta.Inside()
	if before == nil && after == nil {
		if e.Effect == picket.EffectDelete {
			before = meta
		} else {
			after = meta
		}
	} else if e.Effect == picket.EffectDelete && before == nil {
		before, after = after, nil
	}
	for _, part := range []struct {
		v      decode.Value
		change picket.Change
	}{{before, picket.ChangeRemove}, {after, picket.ChangeAdd}} {
		for _, v := range list(part.v) {
			if reason = d.cloudflareRecord(e, v, part.change); reason != "" {
				return reason
			}
		}
	}
	if len(e.Names) == 0 {
		d.touch(e, e.Zone)
	}
	return ""
}

// list returns an array's elements, or the one value.
func list(v decode.Value) (out []decode.Value) {
	if !v.IsArray() {
		return []decode.Value{v}
	}
	v.Each(func(x decode.Value) bool {
		out = append(out, x)
		return true
	})
	return out
}

func (d *events) cloudflareRecord(e *picket.AdminEvent, v decode.Value, how picket.Change) (reason string) {
	typ := v.Get("type").Bytes()
	if _, isType := decode.ParseType(typ); !isType || v.Get("name") == nil {
		return ""
	}
	name, ok := d.name(v.Get("name"))
	if !ok || name == "" {
		return decode.ReasonBadName
	}
	if zone := v.Get("zone_name"); e.Zone == "" && zone != nil {
		if e.Zone, ok = d.name(zone); !ok {
			return decode.ReasonBadName
		}
	}
	r := picket.Record{Zone: e.Zone, Name: name, Type: typeOf(typ), Change: how, Comment: d.say(v.Get("comment"))}
	if r.TTL = ttl(v.Get("ttl")); r.TTL == 1 {
		r.TTL = 0 // automatic
	}
	r.Data = d.data(r.Type, v.First("content", "value").Bytes())
	if p := v.Get("priority").Text(); p != "" && (r.Type == "MX" || r.Type == "SRV") {
		r.Data = decode.Text([]byte(p + " " + r.Data))
	}
	if v.Get("proxied").IsTrue() && !slices.Contains([]string{"MX", "TXT"}, r.Type) {
		r.Comment = strings.TrimSpace("proxied " + r.Comment)
	}
	d.record(e, r)
	return ""
}

// DetectCloudflareAudit looks for entries in any of the four forms.
func DetectCloudflareAudit(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		c, ok := cloudflareForm(v)
		switch {
		case !ok || c.action == nil:
			return 0
		case v.Get("ResourceType") != nil || v.Get("resource", "type") != nil || v.Get("resource", "product") != nil:
			return 92
		}
		return 0
	}, "result")
}
