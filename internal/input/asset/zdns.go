package asset

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Skips of zdns.
const (
	skipNoSuchName = "name that does not exist"
	skipNoAnswer   = "lookup without records"
)

// ZDNS decodes the results of zdns: of version 1 (data, status), of version 2
// (results by module), of the modules that look up addresses, name servers and
// mail exchanges, and of zone transfers (servers[].records). One result is one
// asset with the records found; a result without any is skipped.
func ZDNS(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	clock := decode.NewClock(opt)
	return objects(ctx, r, acct, func(c *decode.Cursor) (string, error) {
		z := &zdnsResult{c: c, clock: &clock, a: &picket.Asset{Tool: "zdns"}}
		z.top()
		if c.Bad {
			return decode.ReasonBrokenJSON, nil
		}
		a := z.a
		if z.badTime {
			return decode.ReasonTime, nil
		}
		if len(z.name) > 0 {
			t, ok := parseTarget(z.name)
			if !ok {
				return decode.ReasonBadName, nil
			}
			if a.Name = t.name; t.addr.IsValid() {
				a.Addrs = append([]netip.Addr{t.addr}, a.Addrs...)
			}
		}
		if z.reason != "" {
			return z.reason, nil
		}
		for i := range a.Records { // of name servers and exchanges: the name may come after them
			if a.Records[i].Name == "" {
				a.Records[i].Name = a.Name
			}
		}
		a.Records = slices.DeleteFunc(a.Records, func(r picket.Record) bool { return r.Name == "" })
		for _, o := range z.own {
			if z.ownAddr(o.name) && len(a.Addrs) < maxAddrs {
				a.Addrs = append(a.Addrs, o.addr)
			}
		}
		if len(a.Records) == 0 && z.addrs == 0 {
			if string(z.status) == "NXDOMAIN" {
				acct.Skip(skipNoSuchName)
			} else {
				acct.Skip(skipNoAnswer)
			}
			return "", nil
		}
		if a.Name == "" && len(a.Addrs) == 0 { // a transfer's name is its zone's
			a.Name = a.Records[0].Name
		}
		detail(a, "modules", []byte(strings.Join(z.modules, ", ")))
		return "", out.emit(a)
	})
}

// zdnsResult is one result as far as it has been read.
type zdnsResult struct {
	c       *decode.Cursor
	clock   *decode.Clock
	a       *picket.Asset
	name    []byte
	status  []byte
	modules []string
	addrs   int     // addresses found
	own     []owned // addresses by the name that has them
	reason  string
	badTime bool
}

// owned is an address and whose it is.
type owned struct {
	name string
	addr netip.Addr
}

// top reads the object of a line.
func (z *zdnsResult) top() {
	c := z.c
	c.Open('{')
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "results":
			if !c.Open('{') {
				c.Skip()
				continue
			}
			for k, ok := c.Key(); ok; k, ok = c.Key() {
				if len(z.modules) < maxLabelValues {
					z.modules = append(z.modules, decode.Text(k))
				}
				z.module()
			}
		case "name":
			z.name = c.Scalar()
		default:
			z.lookup(k)
		}
	}
}

// module reads what one module found.
func (z *zdnsResult) module() {
	if !z.c.Open('{') {
		z.c.Skip()
		return
	}
	for k, ok := z.c.Key(); ok; k, ok = z.c.Key() {
		z.lookup(k)
	}
}

// lookup reads a key of a lookup: of a module, or of the whole in version 1.
func (z *zdnsResult) lookup(k []byte) {
	c := z.c
	switch string(k) {
	case "status":
		if v := c.Scalar(); len(v) > 0 {
			z.status = v
		}
	case "timestamp":
		t, ok := isoTime(z.clock, c.Scalar())
		if !ok {
			z.badTime = true
		} else if t.After(z.a.Time) {
			z.a.Time = t
		}
	case "data":
		if !c.Open('{') {
			c.Skip()
			return
		}
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			z.data(k)
		}
	default:
		c.Skip()
	}
}

// data reads a key of a lookup's data.
func (z *zdnsResult) data(k []byte) {
	c := z.c
	switch string(k) {
	case "answers":
		z.each(z.record)
	case "ipv4_addresses", "ipv6_addresses":
		z.addresses(&z.a.Addrs)
	case "exchanges":
		z.each(func() { z.host("MX") })
	case "servers":
		z.each(func() { z.host("NS") })
	default:
		c.Skip()
	}
}

// each calls f at each object of an array.
func (z *zdnsResult) each(f func()) {
	if !z.c.Open('[') {
		z.c.Skip()
		return
	}
	for z.c.More(']') {
		if z.c.Open('{') {
			f()
		} else {
			z.c.Skip()
		}
	}
}

func (z *zdnsResult) addresses(to *[]netip.Addr) {
	if !z.c.Open('[') {
		z.c.Skip()
		return
	}
	for z.c.More(']') {
		addr, ok := decode.ParseAddr(z.c.Scalar())
		if !ok {
			z.reason = decode.ReasonAddress
		} else if len(*to) < maxAddrs {
			*to = append(*to, addr)
			z.addrs++
		}
	}
}

// host reads a name server or a mail exchange, with its addresses; or a server
// that handed over its zone, with the records.
func (z *zdnsResult) host(typ string) {
	c := z.c
	var name, preference []byte
	var addrs []netip.Addr
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "name":
			name = c.Scalar()
		case "preference":
			preference = c.Scalar()
		case "ipv4_addresses", "ipv6_addresses":
			z.addresses(&addrs)
		case "records":
			z.each(z.record)
		default:
			c.Skip()
		}
	}
	if len(name) == 0 || len(z.a.Records) >= maxRecords {
		return
	}
	target, ok := decode.NameText(name)
	if !ok {
		z.reason = decode.ReasonBadName
		return
	}
	data := target
	if typ == "MX" && digits(preference) {
		data = string(preference) + " " + target
	}
	z.a.Records = append(z.a.Records, picket.Record{Type: typ, Class: "IN", Data: data})
	for _, addr := range addrs {
		rec := picket.Record{Name: target, Type: "A", Class: "IN", Data: addr.String()}
		if addr.Is6() {
			rec.Type = "AAAA"
		}
		if len(z.a.Records) < maxRecords {
			z.a.Records = append(z.a.Records, rec)
		}
	}
}

// record reads one resource record, stepped into.
func (z *zdnsResult) record() {
	c := z.c
	f := map[string][]byte{}
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		if len(f) >= 32 {
			c.Skip()
			continue
		}
		f[string(k)] = c.Scalar()
	}
	name, ok1 := decode.NameText(f["name"])
	typ, ok2 := decode.ParseType(f["type"])
	if !ok1 || !ok2 {
		z.reason = decode.ReasonBadName
		if ok1 {
			z.reason = decode.ReasonType
		}
		return
	}
	rec := picket.Record{Name: name, Type: string(decode.AppendTypeName(nil, typ)), Class: "IN"}
	if class, ok := decode.ParseClass(f["class"]); ok {
		rec.Class = string(decode.AppendClassName(nil, class))
	}
	rec.TTL, _ = strconv.ParseInt(string(f["ttl"]), 10, 64)
	rec.Data = zdnsData(rec.Type, f)
	if len(z.a.Records) < maxRecords {
		z.a.Records = append(z.a.Records, rec)
	}
	if rec.Type != "A" && rec.Type != "AAAA" {
		return
	}
	addr, ok := decode.ParseAddr(f["answer"])
	if !ok {
		z.reason = decode.ReasonAddress
	} else if len(z.own) < maxAddrs {
		z.own = append(z.own, owned{name, addr})
	}
}

// ownAddr reports whether an address is that of the name asked for, or of its
// alias in the same answer.
func (z *zdnsResult) ownAddr(owner string) bool {
	asked := z.a.Name
	for range 16 {
		if asked == owner {
			return true
		}
		i := slices.IndexFunc(z.a.Records, func(r picket.Record) bool { return r.Type == "CNAME" && r.Name == asked })
		if i < 0 {
			return false
		}
		asked = z.a.Records[i].Data
	}
	return false
}

// rdataFields are the fields of which RDATA consists by type, in their order;
// those that end in = are quoted.
func rdataFields(typ string) string {
	switch typ {
	case "SOA":
		return "ns mbox serial refresh retry expire min_ttl"
	case "MX":
		return "preference answer"
	case "SRV":
		return "priority weight port target"
	case "CAA":
		return "flag tag value="
	case "AFSDB":
		return "subtype hostname"
	case "RP":
		return "mbox txt"
	case "NAPTR":
		return "order preference flags= service= regexp= replacement"
	case "HINFO":
		return "cpu= os="
	case "LOC":
		return "coordinates"
	case "DS", "CDS":
		return "key_tag algorithm digest_type digest"
	case "DNSKEY", "CDNSKEY":
		return "flags protocol algorithm public_key"
	case "TLSA":
		return "cert_usage selector matching_type certificate"
	case "URI":
		return "priority weight target="
	case "TXT", "SPF":
		return "answer="
	}
	return "answer"
}

// zdnsData is RDATA in presentation form, "" when a field of it is missing.
func zdnsData(typ string, f map[string][]byte) string {
	var parts [][]byte
	for name := range strings.SplitSeq(rdataFields(typ), " ") {
		bare, quoted := strings.CutSuffix(name, "=")
		v, ok := f[bare]
		switch {
		case !ok:
			return ""
		case quoted:
			v = append(append([]byte{'"'}, bytes.ReplaceAll(bytes.ReplaceAll(v, []byte(`\`), []byte(`\\`)), []byte(`"`), []byte(`\"`))...), '"')
		case bare == "ns" || bare == "mbox" || bare == "target" || bare == "hostname" || bare == "replacement" || bare == "txt":
			if s, ok := decode.NameText(v); ok {
				v = []byte(s)
			}
		}
		parts = append(parts, v)
	}
	return rdata(typ, bytes.Join(parts, []byte{' '}))
}

// DetectZDNS knows a lookup by its module's data, a transfer by its servers'
// records.
func DetectZDNS(head []byte) int {
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		var data, results, status bool
		for {
			k, ok := c.Key()
			if !ok || c.Bad {
				break
			}
			switch string(k) {
			case "data":
				if data = lookupData(c); data {
					return true
				}
			case "results":
				results = lookupResults(c)
				if results {
					return true
				}
			case "status":
				status = true
				c.Skip()
			case "name", "class", "timestamp", "altered_name", "alexa_rank", "metadata", "nameserver", "error", "duration":
				c.Skip()
			default:
				return false
			}
		}
		return status && data
	}, 90)
}

// lookupData reports whether the value under the cursor is a lookup's data.
func lookupData(c *decode.Cursor) (is bool) {
	if !c.Open('{') {
		c.Skip()
		return false
	}
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "answers", "servers", "exchanges", "ipv4_addresses", "ipv6_addresses":
			return true
		}
		c.Skip()
	}
	return false
}

// lookupResults reports whether the value under the cursor is lookups by module.
func lookupResults(c *decode.Cursor) bool {
	if !c.Open('{') {
		c.Skip()
		return false
	}
	for _, ok := c.Key(); ok; _, ok = c.Key() {
		if !c.Open('{') {
			c.Skip()
			return false
		}
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			if string(k) == "data" {
				return lookupData(c)
			}
			if !word("status timestamp duration name class error trace", k) {
				return false
			}
			c.Skip()
		}
	}
	return false
}
