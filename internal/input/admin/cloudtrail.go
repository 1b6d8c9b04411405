package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const reasonNoTrail = "not a CloudTrail event"

// CloudTrail decodes AWS CloudTrail: files of Records, single events a line,
// EventBridge events and CloudWatch Logs subscriptions. Events of Route 53 and
// its parts count, others are skipped by their source.
func CloudTrail(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	return readEvents(ctx, r, opt, acct, sink, cloudtrail, trailWraps...)
}

var (
	trailWraps = []string{"Records", "logEvents", "Events"}
	// Keys behind which EventBridge, CloudWatch Logs and shippers put an event.
	trailInside = []string{"detail", "message", "CloudTrailEvent", "event", "log", "body", "_raw", "Sns", "Message"}
)

func isTrail(v decode.Value) bool {
	return v.Get("eventSource") != nil && v.Get("eventName") != nil && v.First("eventVersion", "userIdentity", "sourceIPAddress") != nil
}

func cloudtrail(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string) {
	if v = v.Unwrap(isTrail, trailInside...); v == nil {
		return "", reasonNoTrail
	}
	source := v.Get("eventSource").Bytes()
	service, _, _ := bytes.Cut(source, []byte{'.'})
	if !bytes.HasPrefix(service, []byte("route53")) {
		return d.category("event source", source), ""
	}
	if reason := d.at(e, v.Get("eventTime")); reason != "" {
		return "", reason
	}
	e.Provider, e.Service, e.Action = "aws", d.text.Text(service), d.say(v.Get("eventName"))
	e.Effect = effectOf(e.Action)
	e.ID, e.Agent = d.say(v.Get("eventID")), d.say(v.Get("userAgent"))
	e.Outcome = success
	if code := v.Get("errorCode"); len(code.Bytes()) > 0 {
		e.Reason, e.Outcome = d.say(code), failure
		if low := strings.ToLower(e.Reason); strings.Contains(low, "denied") || strings.Contains(low, "unauthorized") || strings.Contains(low, "notauthorized") {
			e.Outcome = denied
		}
		detail(e, "error", d.say(v.Get("errorMessage")))
	}
	d.awsActor(e, v)
	return "", d.awsTarget(e, v)
}

// awsActor says who did it (CloudTrail userIdentity element).
func (d *events) awsActor(e *picket.AdminEvent, v decode.Value) {
	id := v.Get("userIdentity")
	e.Actor = d.say(id.First("arn", "invokedBy", "userName", "principalId", "accountId"))
	if e.Actor == "" {
		e.Actor = d.say(id.Get("onBehalfOf", "userId"))
	}
	detail(e, "identity_type", d.say(id.Get("type")))
	session := id.Get("sessionContext")
	detail(e, "role", d.say(session.Get("sessionIssuer").First("arn", "userName")))
	detail(e, "mfa", session.Get("attributes", "mfaAuthenticated").IsTrue())
	if by := d.say(id.Get("invokedBy")); by != e.Actor {
		detail(e, "invoked_by", by)
	}
	d.actorAt(e, v.Get("sourceIPAddress"))
	detail(e, "account", d.say(v.First("recipientAccountId")))
	detail(e, "region", d.say(v.Get("awsRegion")))
}

// awsTarget says what was done to what.
func (d *events) awsTarget(e *picket.AdminEvent, v decode.Value) (reason string) {
	asked, got := v.Get("requestParameters"), v.Get("responseElements")
	e.Target = d.say(asked.First("hostedZoneId", "hostedZoneID", "id", "resolverEndpointId", "resolverRuleId", "resourceId", "healthCheckId", "resourceArn", "arn"))
	if e.Target == "" {
		v.Get("resources").Each(func(r decode.Value) bool {
			e.Target = d.say(r.First("ARN", "arn", "resourceName"))
			return e.Target == ""
		})
	}
	if e.Target == "" { // what was created has its id in the answer only
		got.Fields(func(_ []byte, f decode.Value) bool {
			if f.IsObject() {
				e.Target = d.say(f.First("arn", "id"))
			}
			return e.Target == ""
		})
	}
	detail(e, "change_id", d.say(got.Get("changeInfo", "id")))
	zone := asked.Get("domainName")
	if zone.IsObject() {
		zone = zone.Get("name")
	}
	if zone == nil && strings.HasSuffix(e.Action, "HostedZone") || strings.Contains(e.Action, "HostedZonesByName") {
		zone = asked.First("name", "dNSName", "dnsName")
		if zone == nil {
			zone = got.Get("hostedZone", "name")
		}
	}
	var ok bool
	if e.Zone, ok = d.awsName(zone); !ok {
		return decode.ReasonBadName
	}
	d.touch(e, e.Zone)
	batch := asked.Get("changeBatch")
	detail(e, "comment", d.say(batch.Get("comment")))
	batch.Get("changes").Each(func(c decode.Value) bool {
		reason = d.awsChange(e, c)
		return reason == ""
	})
	if reason == "" && batch == nil {
		if set := asked.First("startRecordName", "recordName"); set != nil {
			name, ok := d.awsName(set)
			if !ok {
				return decode.ReasonBadName
			}
			d.touch(e, name)
		}
	}
	return reason
}

// awsName is name for Route 53, which writes what is no letter, digit, hyphen or
// underscore as a backslash and three octal digits, not decimal ones.
func (d *events) awsName(v decode.Value) (string, bool) {
	b := v.Bytes()
	if bytes.IndexByte(b, '\\') < 0 {
		return d.name(v)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+3 >= len(b) {
			out = append(out, b[i])
			continue
		}
		n, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8)
		if err != nil {
			out = append(out, b[i])
			continue
		}
		out = fmt.Appendf(out, "\\%03d", n)
		i += 3
	}
	return d.text.Name(out)
}

// awsChange adds the records of one change. UPSERT is an addition: what was there
// before, if anything, is not told.
func (d *events) awsChange(e *picket.AdminEvent, c decode.Value) (reason string) {
	set := c.Get("resourceRecordSet")
	name, ok := d.awsName(set.Get("name"))
	if !ok || name == "" {
		return decode.ReasonBadName
	}
	action := strings.ToUpper(c.Get("action").Text())
	r := picket.Record{Name: name, Type: typeOf(set.Get("type").Bytes()), TTL: ttl(set.Get("tTL")), Change: picket.ChangeAdd}
	if action == "DELETE" {
		r.Change = picket.ChangeRemove
	}
	if action == "UPSERT" {
		r.Comment = "upsert"
	}
	if id := d.say(set.Get("setIdentifier")); id != "" {
		r.Source = "set " + id
	}
	if alias := set.Get("aliasTarget"); alias.IsObject() {
		r.Comment = strings.TrimSpace(r.Comment + " alias of type " + r.Type)
		r.Type, r.Data = "ALIAS", d.data("ALIAS", alias.Get("dNSName").Bytes())
		d.record(e, r)
		return ""
	}
	n := 0
	set.Get("resourceRecords").Each(func(v decode.Value) bool {
		r.Data = d.data(r.Type, v.Get("value").Bytes())
		d.record(e, r)
		n++
		return true
	})
	if n == 0 {
		d.record(e, r)
	}
	return ""
}

// DetectCloudTrail looks for events, wherever they are wrapped.
func DetectCloudTrail(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		if v = v.Unwrap(isTrail, trailInside...); v == nil {
			return 0
		}
		source := v.Get("eventSource").Bytes()
		if !bytes.HasSuffix(source, []byte(".amazonaws.com")) {
			return 0
		}
		if bytes.HasPrefix(source, []byte("route53")) || v.Get("userIdentity") != nil {
			return 95
		}
		return 80
	}, trailWraps...)
}
