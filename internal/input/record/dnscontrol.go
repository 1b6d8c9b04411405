package record

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// DNSControl decodes what "dnscontrol print-ir" writes: all domains of a
// dnsconfig.js with their records, after the program in it has run.
func DNSControl(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.RecordSink) error {
	e := newEmitter(ctx, opt, acct, sink)
	docs, err := readJSON(r)
	for _, doc := range docs {
		domains := doc.get("domains")
		if !domains.is('[') {
			acct.Reject(reasonNotRecord, doc.position())
			continue
		}
		for d := range domains.elems() {
			if err := e.controlDomain(d); err != nil {
				return err
			}
		}
	}
	return err
}

// controlDomain takes in one domain.
func (e *emitter) controlDomain(d value) error {
	zone, unique := d.get("name").scalar(), d.get("uniquename").scalar()
	if unique == "" || unique == zone {
		unique = "" // a split-horizon domain has a tag: example.com!inside
	}
	for v := range d.get("records").elems() {
		rec, ok := v.object()
		if !ok {
			e.acct.Reject(reasonNotRecord, v.position())
			continue
		}
		it := item{zone: zone, name: rec.text("name"), within: true, typ: rec.text("type"), ttl: rec.num("ttl"),
			source: strings.TrimSpace(unique + " " + rec.text("filepos")), comment: rec.obj("meta").text("comment", "cloudflare_comment")}
		if controlInstruction(it.typ) || rec.text("ensure_absent") == "true" {
			e.acct.Skip(skipControl)
			continue
		}
		it.typ, it.data = controlData(strings.ToUpper(it.typ), fieldsOf(rec))
		if strings.HasSuffix(it.name, ".") { // never relative then
			it.within = false
		}
		if err := e.put(it, v.position()); err != nil {
			return err
		}
	}
	for v := range d.get("recordsabsent").elems() {
		if v.is('{') {
			e.acct.Skip(skipControl)
		}
	}
	for v := range d.get("nameservers").elems() {
		ns, _ := v.object()
		it := item{zone: zone, within: true, typ: "NS", data: target(ns.text("name")), source: strings.TrimSpace(unique + " nameservers")}
		if err := e.put(it, v.position()); err != nil {
			return err
		}
	}
	return nil
}

// controlInstruction reports whether a type tells DNSControl what to do.
func controlInstruction(typ string) bool {
	switch strings.ToUpper(typ) {
	case "IMPORT_TRANSFORM", "NO_PURGE", "PURGE", "IGNORE", "IGNORE_NAME", "IGNORE_TARGET", "NAMESERVER":
		return true
	}
	return false
}

// controlData is a record's data by DNSControl's names of its fields.
func controlData(typ string, f fields) (t, data string) {
	to := f.text("target")
	if s := f.text("zonefilepartial", "zonfefilepartial"); s != "" {
		return typ, s
	}
	switch typ {
	case "TXT", "SPF":
		if list := f.texts("txtstrings"); len(list) > 0 {
			return typ, quoteTexts(list)
		}
		return typ, quoteText(to)
	case "NS", "CNAME", "DNAME", "PTR":
		return typ, target(to)
	case "ALIAS", "ANAME":
		return "ALIAS", aliasData("", to)
	case "R53_ALIAS", "AZURE_ALIAS":
		return "ALIAS", aliasData(f.obj(strings.ToLower(typ)).text("type"), to)
	case "MX":
		return typ, f.join(f.word("0", "mxpreference"), target(to))
	case "SRV":
		return typ, f.join(f.word("0", "srvpriority"), f.word("0", "srvweight"), f.word("0", "srvport"), target(to))
	case "CAA":
		return typ, f.join(f.word("0", "caaflag"), f.text("caatag"), quoteText(to))
	case "DS", "CDS":
		return typ, f.join(f.word("0", "dskeytag"), f.word("0", "dsalgorithm"), f.word("0", "dsdigesttype"), f.text("dsdigest"))
	case "DNSKEY", "CDNSKEY":
		return typ, f.join(f.word("0", "dnskeyflags"), f.word("0", "dnskeyprotocol"), f.word("0", "dnskeyalgorithm"), f.text("dnskeypublickey"))
	case "NAPTR":
		return typ, f.join(f.word("0", "naptrorder"), f.word("0", "naptrpreference"), quoteText(f.text("naptrflags")),
			quoteText(f.text("naptrservice")), quoteText(f.text("naptrregexp")), target(to))
	case "SSHFP":
		return typ, f.join(f.word("0", "sshfpalgorithm"), f.word("0", "sshfpfingerprint"), to)
	case "TLSA", "SMIMEA":
		p := strings.ToLower(typ)
		return typ, f.join(f.word("0", p+"usage"), f.word("0", p+"selector"), f.word("0", p+"matchingtype"), to)
	case "SVCB", "HTTPS":
		return typ, strings.TrimSpace(f.join(f.word("0", "svcpriority"), target(to)) + " " + f.text("svcparams"))
	case "SOA":
		mbox := target(strings.Replace(f.text("soambox"), "@", ".", 1))
		return typ, f.join(target(to), mbox, f.word("0", "soaserial"), f.word("0", "soarefresh"), f.word("0", "soaretry"),
			f.word("0", "soaexpire"), f.word("0", "soaminttl"))
	case "LOC":
		return typ, controlLOC(f)
	case "UNKNOWN":
		return f.word(typ, "unknown_type_name"), to
	}
	return typ, to
}

// controlLOC makes text of a location in the numbers of RFC 1876 §2.
func controlLOC(f fields) string {
	loc := &dns.LOC{Version: uint8(f.num("locversion")), Size: uint8(f.num("locsize")), HorizPre: uint8(f.num("lochorizpre")),
		VertPre: uint8(f.num("locvertpre")), Latitude: uint32(f.num("loclatitude")), Longitude: uint32(f.num("loclongitude")),
		Altitude: uint32(f.num("localtitude"))}
	loc.Hdr = dns.RR_Header{Name: ".", Rrtype: dns.TypeLOC, Class: dns.ClassINET}
	return strings.TrimPrefix(loc.String(), loc.Hdr.String())
}

// DetectDNSControl says yes to an object with domains, registrars and providers.
func DetectDNSControl(head []byte) int {
	body := detectHead(head)
	if len(body) == 0 || body[0] != '{' {
		return 0
	}
	found := 0
	for _, key := range []string{`"registrars"`, `"dns_providers"`, `"domains"`, `"dnsProviders"`, `"registrar"`} {
		if bytes.Contains(body, []byte(key)) {
			found++
		}
	}
	if found >= 3 && bytes.Contains(body, []byte(`"domains"`)) {
		return 95
	}
	return 0
}
