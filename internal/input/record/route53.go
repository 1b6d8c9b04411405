package record

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

// Route53Export decodes what "aws route53 list-resource-record-sets" answers, and
// the change batches that change-resource-record-sets takes. Each value of a set
// is a record; each of the sets that share a name by weight, place or health too.
func Route53Export(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	e := newEmitter(ctx, opt, acct, sink)
	docs, err := readJSON(r)
	zone := opt.Origin
	for _, doc := range docs { // one document a zone, or a page of one
		if z := route53Zone(doc); z != "" && opt.Origin == "" {
			zone = z
		}
		e.page(len(docs), doc.get("IsTruncated"))
		e.page(len(docs), doc.get("NextToken")) // of the aws command with --max-items
		if err := e.route53(doc, zone); err != nil {
			return err
		}
	}
	return err
}

// route53Zone is the owner of the SOA among a document's sets.
func route53Zone(doc value) string {
	list := doc
	if doc.is('{') {
		list = doc.get("ResourceRecordSets")
	}
	for v := range list.elems() {
		if v.is('{') && v.get("Type").scalar() == "SOA" {
			return v.get("Name").scalar()
		}
	}
	return ""
}

// route53 takes in a document: sets wrapped, bare or alone, or a change batch.
func (e *emitter) route53(doc value, zone string) error {
	if doc.is('[') {
		return e.route53Sets(doc, zone)
	}
	sets := doc.get("ResourceRecordSets")
	changes := doc.get("Changes")
	if batch := doc.get("ChangeBatch"); batch.is('{') {
		changes = batch.get("Changes")
	}
	switch {
	case sets.is('['):
		return e.route53Sets(sets, zone)
	case changes.is('['):
		for c := range changes.elems() {
			set := c.get("ResourceRecordSet")
			if err := e.route53Set(set, zone, route53Change(c.get("Action").scalar(), set)); err != nil {
				return err
			}
		}
		return nil
	}
	return e.route53Set(doc, zone, picket.ChangePresent)
}

// route53Change is what an action does to a set's records. UPSERT takes the place of what
// the set had. Of several sets that share a name and type, by weight or place, it takes the
// place of one; which records that one had nobody says, so those are told as additions.
func route53Change(action string, set value) picket.Change {
	switch {
	case strings.EqualFold(action, "DELETE"):
		return picket.ChangeRemove
	case strings.EqualFold(action, "UPSERT") && set.get("SetIdentifier").scalar() == "":
		return picket.ChangeReplace
	}
	return picket.ChangeAdd
}

func (e *emitter) route53Sets(list value, zone string) error {
	for v := range list.elems() {
		if err := e.route53Set(v, zone, picket.ChangePresent); err != nil {
			return err
		}
	}
	return nil
}

// route53Set takes in one resource record set.
func (e *emitter) route53Set(v value, zone string, change picket.Change) error {
	set, ok := v.object()
	if !ok || !set.has("Type") {
		e.acct.Reject(reasonNotRecord, v.position())
		return nil
	}
	it := item{zone: zone, name: fromOctal(set.text("Name")), typ: set.text("Type"), ttl: set.num("TTL"), change: change, comment: route53Comment(set)}
	if alias := set.obj("AliasTarget"); alias != nil {
		it.typ, it.data = "ALIAS", aliasData(it.typ, alias.text("DNSName"))
		it.source = alias.text("HostedZoneId")
		return e.put(it, v.position())
	}
	if id := set.text("TrafficPolicyInstanceId"); id != "" && !set.has("ResourceRecords") {
		it.comment = strings.TrimPrefix(it.comment+"; traffic policy "+id, "; ")
	}
	n := 0
	for _, rr := range set.list("ResourceRecords") {
		one := it
		value := scalarText(rr)
		if m := asObject(rr); m != nil {
			value = m.text("Value")
		}
		one.data = fromOctal(value)
		if err := e.put(one, v.position()); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		e.acct.Reject(reasonNoData, v.position())
	}
	return nil
}

// fromOctal turns Route 53's escapes, three octal digits ("DNS domain name format"
// in its guide), into the decimal ones of RFC 1035 §5.1.
func fromOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				fmt.Fprintf(&b, `\%03d`, v)
				i += 3
				continue
			}
		}
		b.WriteString(s[i : i+2])
		i++
	}
	return b.String()
}

// route53Comment says by what a set is chosen among those of its name.
func route53Comment(set object) string {
	id := set.text("SetIdentifier")
	if id == "" {
		return ""
	}
	list := []string{"set " + id}
	for _, k := range []string{"Weight", "Region", "Failover", "MultiValueAnswer", "HealthCheckId"} {
		if s := set.text(k); s != "" {
			list = append(list, strings.ToLower(k)+" "+s)
		}
	}
	if geo := set.obj("GeoLocation"); geo != nil {
		list = append(list, "geo "+strings.TrimSpace(strings.Join([]string{geo.text("ContinentCode"), geo.text("CountryCode"), geo.text("SubdivisionCode")}, " ")))
	}
	return strings.Join(list, ", ")
}

// DetectRoute53Export says yes to record sets in Route 53's spelling.
func DetectRoute53Export(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || (body[0] != '{' && body[0] != '[') {
		return 0
	}
	has := func(key string) bool { return bytes.Contains(body, []byte(`"`+key+`"`)) }
	switch {
	case has("eventSource") || has("eventName"): // CloudTrail has change batches in it
		return 0
	case has("ResourceRecordSets") || (has("ResourceRecordSet") && has("Changes") && has("Action")):
		return 95
	case has("Name") && has("Type") && has("ResourceRecords") && has("Value"):
		return 90
	case has("AliasTarget") && has("HostedZoneId") && has("DNSName"):
		return 85
	}
	return 0
}
