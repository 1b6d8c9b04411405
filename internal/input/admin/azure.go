package admin

import (
	"context"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const reasonNoActivity = "not an activity log event"

// AzureActivity decodes Azure's activity log: as diagnostic settings write it to
// storage and event hubs, as the REST API answers it, and as Log Analytics
// exports it. Operations on DNS zones, resolvers and App Service domains count,
// others are skipped by their resource's type.
func AzureActivity(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	return readEvents(ctx, r, opt, acct, sink, azure, azureWraps...)
}

var (
	azureWraps  = []string{"records", "value", "Records"}
	azureInside = []string{"message", "event", "data", "log", "_raw", "activityLog"}
)

// azureOperation is the operation's name, such as Microsoft.Network/dnszones/A/write.
func azureOperation(v decode.Value) decode.Value {
	op := v.First("operationName", "OperationNameValue")
	if op.IsObject() {
		op = op.Get("value")
	}
	return op
}

func isActivity(v decode.Value) bool {
	return azureOperation(v) != nil && v.First("time", "eventTimestamp", "TimeGenerated") != nil && v.First("resourceId", "_ResourceId", "authorization", "identity") != nil
}

// azureServices are the resource types that count, in lower case.
var azureServices = map[string]string{
	"microsoft.network/dnszones": "dns", "microsoft.network/privatednszones": "private-dns", "microsoft.network/dnsresolvers": "dns-resolver",
	"microsoft.network/dnsforwardingrulesets": "dns-resolver", "microsoft.network/getdnsresourcereference": "dns",
	"microsoft.network/dnsresolverpolicies": "dns-resolver", "microsoft.network/trafficmanagerprofiles": "traffic-manager",
	"microsoft.domainregistration/domains": "domains", "microsoft.domainregistration/register": "domains",
	"microsoft.domainregistration/validatedomainregistrationinformation": "domains", "microsoft.domainregistration/generatessorequest": "domains",
}

func azure(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string) {
	if v = v.Unwrap(isActivity, azureInside...); v == nil {
		return "", reasonNoActivity
	}
	op := d.say(azureOperation(v))
	parts := strings.Split(op, "/")
	kind := strings.ToLower(strings.Join(parts[:min(2, len(parts))], "/"))
	service, ok := azureServices[kind]
	if !ok {
		return d.category("operation of", []byte(kind)), ""
	}
	if reason := d.at(e, v.First("time", "eventTimestamp", "TimeGenerated")); reason != "" {
		return "", reason
	}
	e.Provider, e.Service, e.Action = "azure", service, op
	e.Effect = azureEffect(strings.ToLower(op))
	e.Target = d.say(v.First("resourceId", "_ResourceId"))
	e.ID = d.say(v.First("eventDataId", "EventDataId", "correlationId"))
	d.azureActor(e, v)
	if reason := d.azureNames(e); reason != "" {
		return "", reason
	}
	props := v.Get("properties").Inside()
	d.azureOutcome(e, v, props)
	if body := props.First("requestbody", "requestBody").Inside(); body != nil || e.Effect == picket.EffectDelete {
		d.azureRecords(e, body)
	}
	return "", ""
}

func azureEffect(op string) string {
	switch verb := op[strings.LastIndexByte(op, '/')+1:]; {
	case verb == "write":
		return picket.EffectChange // creates as well
	case verb == "delete":
		return picket.EffectDelete
	case verb == "read":
		return picket.EffectRead
	case strings.Contains(op, "transferout"):
		return picket.EffectTransfer
	case strings.Contains(op, "/register/"):
		return picket.EffectCreate
	}
	return picket.EffectOther
}

// azureActor says who did it; the claims tell a user or an application.
func (d *events) azureActor(e *picket.AdminEvent, v decode.Value) {
	claims := v.Get("identity", "claims")
	if claims == nil {
		claims = v.Get("claims").Inside()
	}
	e.Actor = d.say(v.First("caller", "Caller"))
	for _, claim := range []string{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "appid"} {
		if e.Actor != "" {
			break
		}
		e.Actor = d.say(claims.Get(claim))
	}
	detail(e, "app_id", d.say(claims.Get("appid")))
	from := v.First("callerIpAddress", "CallerIpAddress")
	if from == nil {
		if from = v.Get("httpRequest").Inside().Get("clientIpAddress"); from == nil {
			from = claims.Get("ipaddr")
		}
	}
	d.actorAt(e, from)
	role := v.Get("identity", "authorization", "evidence", "role")
	detail(e, "role", d.say(role))
	detail(e, "correlation_id", d.say(v.Get("correlationId")))
}

// azureOutcome reads the result. An operation is written at its start too, when
// its outcome is not known.
func (d *events) azureOutcome(e *picket.AdminEvent, v, props decode.Value) {
	status := v.First("resultType", "status", "ActivityStatusValue", "ActivityStatus")
	if status.IsObject() {
		status = status.Get("value")
	}
	result := d.say(status)
	detail(e, "phase", result)
	message := props.Get("statusMessage")
	cause := message.Inside().Get("error").First("code", "message")
	if cause == nil {
		cause = message.Inside().Get("code")
	}
	if cause == nil && message.Inside() == nil {
		cause = message
	}
	switch strings.ToLower(result) {
	case "success", "succeeded":
		e.Outcome = success
	case "failure", "failed":
		e.Outcome = failure
		e.Reason = d.say(cause)
		sub := v.First("resultSignature", "subStatus", "ActivitySubstatusValue")
		if sub.IsObject() {
			sub = sub.Get("value")
		}
		why := strings.ToLower(e.Reason + " " + d.say(sub) + " " + d.say(props.Get("statusCode")))
		if strings.Contains(why, "forbidden") || strings.Contains(why, "authorizationfailed") || strings.Contains(why, "unauthorized") || strings.Contains(why, "denied") {
			e.Outcome = denied
		}
		if e.Reason == "" {
			e.Reason = d.say(sub)
		}
	}
	code := strings.ToLower(d.say(props.Get("statusCode")) + " " + d.say(v.Get("resultSignature")))
	if e.Effect == picket.EffectChange && e.Outcome == success && strings.Contains(code, "created") {
		e.Effect = picket.EffectCreate
	}
}

// azureNames reads zone, type and name off the resource's id:
// …/dnszones/ZONE[/TYPE/NAME]; @ is the apex.
func (d *events) azureNames(e *picket.AdminEvent) (reason string) {
	parts := strings.Split(strings.Trim(e.Target, "/"), "/")
	for i := 0; i+1 < len(parts); i++ {
		switch strings.ToLower(parts[i]) {
		case "dnszones", "privatednszones", "domains":
		default:
			continue
		}
		var ok bool
		if e.Zone, ok = d.text.Name([]byte(parts[i+1])); !ok {
			return decode.ReasonBadName
		}
		if i+3 < len(parts) {
			typ, name := strings.ToUpper(parts[i+2]), parts[i+3]
			if _, isType := decode.ParseType([]byte(typ)); !isType {
				break
			}
			full := e.Zone
			if name != "@" {
				if full, ok = d.text.Name([]byte(name + "." + parts[i+1])); !ok {
					return decode.ReasonBadName
				}
			}
			d.touch(e, full)
			detail(e, "type", typ)
			return ""
		}
		break
	}
	d.touch(e, e.Zone)
	return ""
}

// azureRecords adds the records that a request's body sets, or the set that is
// deleted, of which only name and type are known.
func (d *events) azureRecords(e *picket.AdminEvent, body decode.Value) {
	typ, _ := e.Details["type"].(string)
	if typ == "" || len(e.Names) == 0 {
		return
	}
	r := picket.Record{Zone: e.Zone, Name: e.Names[0], Type: typ, Change: picket.ChangeAdd}
	if e.Effect == picket.EffectDelete {
		r.Change = picket.ChangeRemove
		d.record(e, r)
		return
	}
	props := body.Get("properties")
	r.TTL = ttl(props.Get("TTL"))
	for _, key := range []string{typ + "Records", typ + "Record"} {
		for _, v := range list(props.Get(key)) {
			if v.IsObject() {
				r.Data = d.azureData(typ, v)
				d.record(e, r)
			}
		}
	}
	if target := d.say(props.Get("targetResource", "id")); target != "" {
		r.Type, r.Data, r.Comment = "ALIAS", target, "alias of type "+typ
		d.record(e, r)
	}
}

// azureData puts RDATA together from the fields of a request (Azure DNS REST API,
// record sets).
func (d *events) azureData(typ string, v decode.Value) string {
	var words []string
	for _, key := range azureRData[typ] {
		f := v.Get(key)
		if f.IsArray() {
			f.Each(func(x decode.Value) bool {
				words = append(words, `"`+d.say(x)+`"`)
				return true
			})
			continue
		}
		words = append(words, d.data(typ, f.Bytes()))
	}
	text := strings.Join(words, " ")
	return text[:min(len(text), 4096)]
}

// azureRData are the fields of a record by type, in the order of RDATA.
var azureRData = map[string][]string{
	"A": {"ipv4Address"}, "AAAA": {"ipv6Address"}, "CNAME": {"cname"}, "MX": {"preference", "exchange"}, "NS": {"nsdname"}, "PTR": {"ptrdname"},
	"SRV": {"priority", "weight", "port", "target"}, "TXT": {"value"}, "CAA": {"flags", "tag", "value"},
	"SOA": {"host", "email", "serialNumber", "refreshTime", "retryTime", "expireTime", "minimumTTL"},
	"DS":  {"keyTag", "algorithm", "digest"}, "TLSA": {"usage", "selector", "matchingType", "certAssociationData"},
	"NAPTR": {"order", "preference", "flags", "services", "regexp", "replacement"},
}

// DetectAzureActivity looks for events of the activity log.
func DetectAzureActivity(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		if v = v.Unwrap(isActivity, azureInside...); v == nil {
			return 0
		}
		op := strings.ToLower(azureOperation(v).Text())
		switch {
		case strings.HasPrefix(op, "microsoft.") && strings.Contains(op, "/") && (strings.HasSuffix(op, "/write") || strings.HasSuffix(op, "/delete") || strings.HasSuffix(op, "/action") || strings.HasSuffix(op, "/read")):
			return 92
		case v.Get("category").Text() == "Administrative":
			return 90
		}
		return 0
	}, azureWraps...)
}
