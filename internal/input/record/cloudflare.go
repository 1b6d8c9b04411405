package record

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// CloudflareExport decodes what Cloudflare's API answers at
// /zones/ID/dns_records: the answer itself, its result, or records one by one.
func CloudflareExport(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	e := newEmitter(ctx, opt, acct, sink)
	docs, err := readJSON(r)
	for _, doc := range docs {
		if pages := doc.get("result_info").get("total_pages"); pages.scalar() != "0" && pages.scalar() != "1" {
			e.page(len(docs), pages)
		}
		list := doc
		if result := doc.get("result"); doc.is('{') && len(result.raw) > 0 {
			list = result
		}
		if list.is('{') {
			if err := e.cloudflare(list); err != nil {
				return err
			}
			continue
		}
		for v := range list.elems() {
			if err := e.cloudflare(v); err != nil {
				return err
			}
		}
	}
	return err
}

// cloudflare takes in one record.
func (e *emitter) cloudflare(v value) error {
	rec, ok := v.object()
	if !ok || !rec.has("type") {
		e.acct.Reject(reasonNotRecord, v.position())
		return nil
	}
	it := item{zone: rec.text("zone_name"), name: rec.text("name"), typ: rec.text("type"), ttl: cloudflareTTL(rec), source: rec.text("id"),
		comment: rec.text("comment")}
	if it.zone == "" {
		it.zone = e.opt.Origin
	}
	if t, err := time.Parse(time.RFC3339Nano, rec.text("modified_on")); err == nil {
		it.time = t.UTC()
	}
	if rec.text("proxied") == "true" { // what is answered are Cloudflare's addresses
		it.comment = strings.TrimPrefix(it.comment+"; proxied", "; ")
	}
	it.data = cloudflareData(strings.ToUpper(it.typ), rec.text("content", "value"), fieldsOf(rec))
	return e.put(it, v.position())
}

// cloudflareTTL is a TTL, where 1 means that Cloudflare chooses.
func cloudflareTTL(rec object) int64 {
	if n := rec.num("ttl"); n != 1 {
		return n
	}
	return 0
}

// cloudflareData makes record data of the content, of which newer types have a
// priority beside it and their parts in data.
func cloudflareData(typ, content string, f fields) string {
	parts := fieldsOf(f.obj("data"))
	switch typ {
	case "TXT", "SPF":
		return textData(content)
	case "NS", "CNAME", "PTR", "DNAME":
		return target(content)
	case "MX":
		return f.join(f.word("0", "priority"), target(content))
	case "SRV", "URI":
		if parts.has("target") {
			to := target(parts.text("target"))
			if typ == "URI" {
				return f.join(parts.word(f.word("0", "priority"), "priority"), parts.word("0", "weight"), quoteText(parts.text("target")))
			}
			return f.join(parts.word(f.word("0", "priority"), "priority"), parts.word("0", "weight"), parts.word("0", "port"), to)
		}
		words := strings.Fields(content)
		if typ == "SRV" && len(words) == 3 { // weight, port, target
			return f.join(f.word("0", "priority"), words[0], words[1], target(words[2]))
		}
		if typ == "URI" && len(words) == 2 {
			return f.join(f.word("0", "priority"), words[0], words[1])
		}
	case "CAA":
		if content == "" && parts.has("tag") {
			return f.join(parts.word("0", "flags"), parts.text("tag"), quoteText(parts.text("value")))
		}
	case "HTTPS", "SVCB":
		if content == "" && parts.has("target") {
			return strings.TrimSpace(f.join(parts.word("0", "priority"), target(parts.text("target"))) + " " + parts.text("value"))
		}
	}
	return content
}

// DetectCloudflareExport says yes to records with a content and Cloudflare's word
// for passing through it.
func DetectCloudflareExport(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || (body[0] != '{' && body[0] != '[') {
		return 0
	}
	for _, key := range []string{`"type"`, `"name"`, `"content"`, `"proxied"`, `"ttl"`} {
		if !bytes.Contains(body, []byte(key)) {
			return 0
		}
	}
	// Not Terraform's or an audit log's copy of such a record.
	for _, key := range []string{`"terraform_version"`, `"format_version"`, `"actor"`, `"ActorEmail"`} {
		if bytes.Contains(body, []byte(key)) {
			return 0
		}
	}
	return 90
}
