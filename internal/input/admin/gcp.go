package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const (
	reasonNoEntry = "not a log entry"
	skipNoAudit   = "entry without an audit payload"
)

// GCPAudit decodes Google Cloud's audit logs of Cloud DNS and Cloud Domains: log
// entries a line, in a list, or in Pub/Sub messages. Entries of other services
// are skipped by service.
func GCPAudit(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	return readEvents(ctx, r, opt, acct, sink, gcpAudit, gcpWraps...)
}

var (
	gcpWraps  = []string{"entries", "receivedMessages", "logs"}
	gcpInside = []string{"message", "data", "jsonPayload", "Log", "event", "log", "_raw"}
)

func isAudit(v decode.Value) bool {
	return v.Get("protoPayload").IsObject() && v.Get("protoPayload", "methodName") != nil
}

func isEntry(v decode.Value) bool { return v.Get("logName") != nil && v.Get("timestamp") != nil }

// gcpEntry finds the log entry in what carries it.
func gcpEntry(v decode.Value) decode.Value {
	if found := v.Unwrap(isAudit, gcpInside...); found != nil {
		return found
	}
	message := v
	if m := v.Get("message"); m.IsObject() {
		message = m
	}
	data := message.Get("data").Bytes()
	if len(data) == 0 {
		return nil
	}
	text := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
	n, err := base64.StdEncoding.Decode(text, data)
	if err != nil || !json.Valid(text[:n]) {
		return nil
	}
	return decode.Value(text[:n])
}

func gcpAudit(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string) {
	entry := gcpEntry(v)
	if entry == nil {
		entry = v
	}
	p := entry.Get("protoPayload")
	if !isAudit(entry) {
		if isEntry(entry) {
			return skipNoAudit, ""
		}
		return "", reasonNoEntry
	}
	service := p.Get("serviceName").Bytes()
	switch string(service) {
	case "dns.googleapis.com", "domains.googleapis.com":
	default:
		return d.category("service", service), ""
	}
	if reason := d.at(e, entry.First("timestamp", "receiveTimestamp")); reason != "" {
		return "", reason
	}
	e.Provider, e.Service = "gcp", strings.TrimSuffix(d.text.Text(service), ".googleapis.com")
	e.Action = d.say(p.Get("methodName"))
	e.Effect = effectOf(e.Action[strings.LastIndexByte(e.Action, '.')+1:])
	if strings.HasSuffix(e.Action, "changes.create") {
		e.Effect = picket.EffectChange // what is created is the change
	}
	e.ID = d.say(entry.Get("insertId"))
	who := p.Get("authenticationInfo")
	e.Actor = d.say(who.First("principalEmail", "principalSubject"))
	if delegated := who.Get("serviceAccountDelegationInfo"); delegated.IsArray() {
		delegated.Each(func(by decode.Value) bool {
			detail(e, "on_behalf_of", d.say(by.Get("firstPartyPrincipal").First("principalEmail")))
			return false
		})
	}
	meta := p.Get("requestMetadata")
	d.actorAt(e, meta.Get("callerIp"))
	e.Agent = d.say(meta.Get("callerSuppliedUserAgent"))
	e.Target = d.say(p.Get("resourceName"))
	labels := entry.Get("resource", "labels")
	detail(e, "project", d.say(labels.Get("project_id")))
	detail(e, "managed_zone", d.say(labels.Get("zone_name")))
	if op := entry.Get("operation"); op != nil && !op.Get("last").IsTrue() {
		detail(e, "operation", "started")
	}
	d.gcpOutcome(e, p)
	return "", d.gcpTarget(e, p)
}

// gcpOutcome reads google.rpc.Status; an empty one is success.
func (d *events) gcpOutcome(e *picket.AdminEvent, p decode.Value) {
	e.Outcome = success
	p.Get("authorizationInfo").Each(func(a decode.Value) bool {
		if g := a.Get("granted"); g != nil && !g.IsTrue() {
			e.Outcome, e.Reason = denied, d.say(a.Get("permission"))
		}
		return true
	})
	code, _ := strconv.Atoi(p.Get("status", "code").Text())
	if code == 0 {
		return
	}
	if e.Outcome = failure; code == 7 || code == 16 { // PERMISSION_DENIED, UNAUTHENTICATED
		e.Outcome = denied
	}
	if e.Reason = d.say(p.Get("status", "message")); e.Reason == "" {
		e.Reason = "code " + strconv.Itoa(code)
	}
}

// gcpTarget says which zone, names and records an entry is about.
func (d *events) gcpTarget(e *picket.AdminEvent, p decode.Value) (reason string) {
	asked, got := p.Get("request"), p.Get("response")
	for _, zone := range []decode.Value{got.Get("managedZone", "dnsName"), asked.Get("managedZone", "dnsName"), got.Get("dnsName"),
		got.Get("operation", "zoneContext", "newValue", "dnsName"), got.Get("operation", "zoneContext", "oldValue", "dnsName"),
		asked.Get("registration", "domainName"), asked.Get("domainName"), got.Get("domainName")} {
		if len(zone.Bytes()) == 0 {
			continue
		}
		var ok bool
		if e.Zone, ok = d.name(zone); !ok {
			return decode.ReasonBadName
		}
		break
	}
	if e.Service == "domains" && e.Zone == "" {
		// …/registrations/example.com
		if _, last, ok := strings.Cut(e.Target, "/registrations/"); ok {
			e.Zone, _ = d.text.Name([]byte(last))
		}
	}
	change := asked.Get("change")
	if change == nil {
		change = got.Get("change")
	}
	for _, part := range []struct {
		list   decode.Value
		change picket.Change
	}{{change.Get("deletions"), picket.ChangeRemove}, {change.Get("additions"), picket.ChangeAdd}} {
		part.list.Each(func(set decode.Value) bool {
			reason = d.gcpSet(e, set, part.change)
			return reason == ""
		})
	}
	for _, key := range []string{"resourceRecordSet", "rrset", "resourceRecordSetResource"} {
		if set := asked.Get(key); reason == "" && set.IsObject() {
			how := picket.ChangeAdd
			if e.Effect == picket.EffectDelete {
				how = picket.ChangeRemove
			}
			reason = d.gcpSet(e, set, how)
			break
		}
	}
	if reason == "" && len(e.Records) == 0 && strings.Contains(e.Action, "resourceRecordSets") {
		if name, ok := d.name(asked.Get("name")); ok && name != "" {
			d.touch(e, name)
		}
	}
	if len(e.Names) == 0 {
		d.touch(e, e.Zone)
	}
	return reason
}

// gcpSet adds the records of a set. A SOA names the apex of the zone, which a
// change does not tell otherwise.
func (d *events) gcpSet(e *picket.AdminEvent, set decode.Value, how picket.Change) (reason string) {
	name, ok := d.name(set.Get("name"))
	if !ok || name == "" {
		return decode.ReasonBadName
	}
	r := picket.Record{Name: name, Type: typeOf(set.Get("type").Bytes()), TTL: ttl(set.Get("ttl")), Change: how}
	if r.Type == "SOA" && e.Zone == "" {
		e.Zone = name
	}
	data := set.First("rrdatas", "rrdata")
	if !data.IsArray() {
		r.Data = d.data(r.Type, data.Bytes())
		d.record(e, r)
		return ""
	}
	data.Each(func(v decode.Value) bool {
		r.Data = d.data(r.Type, v.Bytes())
		d.record(e, r)
		return true
	})
	return ""
}

// DetectGCPAudit looks for entries with an audit payload.
func DetectGCPAudit(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		entry := gcpEntry(v)
		if entry == nil || !isAudit(entry) {
			return 0
		}
		switch entry.Get("protoPayload", "serviceName").Text() {
		case "dns.googleapis.com", "domains.googleapis.com":
			return 95
		}
		return 85
	}, gcpWraps...)
}
