package admin

import (
	"context"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

const reasonNoRDAP = "not an RDAP answer"

// RDAP decodes domain objects of the Registration Data Access Protocol (RFC
// 9083), single or as search results: the state of a registration at the time
// that the server names. Other objects are skipped by class.
func RDAP(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AdminEventSink) error {
	return readEvents(ctx, r, opt, acct, sink, rdap, rdapWraps...)
}

var rdapWraps = []string{"domainSearchResults"}

func rdap(d *events, v decode.Value, e *picket.AdminEvent) (skip, reason string) {
	if code := v.Get("errorCode"); code != nil {
		return "", d.rdapError(v, code)
	}
	if v.Get("nameserverSearchResults") != nil || v.Get("entitySearchResults") != nil {
		return "search results of another class", ""
	}
	class := v.Get("objectClassName").Bytes()
	switch {
	case string(class) == "domain":
	case len(class) == 0 && v.Get("rdapConformance") != nil:
		return "answer without an object", ""
	case len(class) == 0:
		return "", reasonNoRDAP
	default:
		return d.category("object class", class), ""
	}
	e.Provider, e.Service, e.Action, e.Effect = "rdap", rdapServer(d, v), "domain", picket.EffectSnapshot
	var ok bool
	if e.Zone, ok = d.name(v.First("ldhName")); !ok || e.Zone == "" {
		return "", decode.ReasonBadName
	}
	e.Target = d.say(v.Get("handle"))
	d.touch(e, e.Zone)
	detail(e, "status", d.texts(v.Get("status")))
	if reason := d.rdapEvents(e, v.Get("events")); reason != "" {
		return "", reason
	}
	if reason := d.rdapServers(e, v.Get("nameservers")); reason != "" {
		return "", reason
	}
	d.rdapDNSSEC(e, v.Get("secureDNS"))
	v.Get("entities").Each(func(x decode.Value) bool {
		d.rdapEntity(e, x)
		return true
	})
	return "", ""
}

// rdapError makes a reason of an error's code, and a note of its title.
func (d *events) rdapError(v, code decode.Value) string {
	n, ok := decode.ParseUint(code.Bytes(), 599)
	if !ok || n < 100 {
		return "RDAP error"
	}
	reason := "RDAP error " + code.Text()
	if title := d.say(v.Get("title")); title != "" && d.opt.Note != nil && d.skips[reason] == "" && len(d.skips) < 32 {
		d.skips[reason] = reason
		d.opt.Note(reason + ": " + title)
	}
	return reason
}

// texts are the strings of an array, or one string.
func (d *events) texts(v decode.Value) (out []string) {
	for _, x := range list(v) {
		if s := d.say(x); s != "" && len(out) < 64 {
			out = append(out, s)
		}
	}
	return out
}

// rdapServer is the host that answered, by the object's own link.
func rdapServer(d *events, v decode.Value) (host string) {
	v.Get("links").Each(func(l decode.Value) bool {
		if l.Get("rel").Text() != "self" {
			return true
		}
		if u, err := url.Parse(l.Get("href").Text()); err == nil {
			host = decode.Text([]byte(u.Hostname()))
		}
		return host == ""
	})
	if host == "" {
		host = d.say(v.Get("port43"))
	}
	return host
}

// rdapEvents reads what happened to a registration and when (RFC 9083 §4.5). The
// state is of when the server's database was last updated; without that its time
// is not known.
func (d *events) rdapEvents(e *picket.AdminEvent, v decode.Value) (reason string) {
	v.Each(func(x decode.Value) bool {
		when := x.Get("eventDate").Bytes()
		ns, ok := decode.Instant(&d.clock, when)
		if !ok {
			reason = decode.ReasonTime
			return false
		}
		at := time.Unix(0, ns).UTC()
		text := at.Format(time.RFC3339)
		switch action := strings.ToLower(x.Get("eventAction").Text()); action {
		case "last update of rdap database":
			e.Time = at
		case "registration":
			detail(e, "registered", text)
		case "expiration":
			detail(e, "expires", text)
		case "registrar expiration":
			detail(e, "registrar_expires", text)
		case "last changed":
			detail(e, "changed", text)
		case "transfer", "locked", "unlocked", "deletion", "reregistration", "reinstantiation":
			detail(e, action, text)
		}
		return true
	})
	return reason
}

// rdapServers reads the delegation and its glue.
func (d *events) rdapServers(e *picket.AdminEvent, v decode.Value) (reason string) {
	var names []string
	v.Each(func(x decode.Value) bool {
		name, ok := d.name(x.Get("ldhName"))
		if !ok || name == "" {
			reason = decode.ReasonBadName
			return false
		}
		names = append(names, name)
		d.record(e, picket.Record{Name: e.Zone, Type: "NS", Data: name})
		for _, glue := range []struct{ key, typ string }{{"v4", "A"}, {"v6", "AAAA"}} {
			x.Get("ipAddresses", glue.key).Each(func(a decode.Value) bool {
				if addr, ok := decode.ParseAddr(a.Bytes()); ok {
					d.record(e, picket.Record{Name: name, Type: glue.typ, Data: addr.String()})
				}
				return true
			})
		}
		d.touch(e, name)
		return true
	})
	detail(e, "nameservers", names)
	return reason
}

func (d *events) rdapDNSSEC(e *picket.AdminEvent, v decode.Value) {
	if signed := v.Get("delegationSigned"); signed != nil {
		detail(e, "delegation_signed", d.say(signed))
	}
	v.Get("dsData").Each(func(x decode.Value) bool {
		words := []string{d.say(x.Get("keyTag")), d.say(x.Get("algorithm")), d.say(x.Get("digestType")), d.say(x.Get("digest"))}
		d.record(e, picket.Record{Name: e.Zone, Type: "DS", Data: strings.Join(words, " ")})
		return true
	})
}

// rdapEntity keeps the registrar; persons' data is not needed and left alone.
func (d *events) rdapEntity(e *picket.AdminEvent, x decode.Value) {
	isRegistrar := false
	x.Get("roles").Each(func(r decode.Value) bool {
		isRegistrar = r.Text() == "registrar"
		return !isRegistrar
	})
	if !isRegistrar {
		return
	}
	name := d.say(x.Get("handle"))
	// vcardArray is ["vcard", [[NAME, PARAMETERS, TYPE, VALUE], …]] (RFC 7095).
	for i, card := range list(x.Get("vcardArray")) {
		if i != 1 {
			continue
		}
		card.Each(func(p decode.Value) bool {
			if f := list(p); len(f) == 4 && f[0].Text() == "fn" {
				name = d.say(f[3])
				return false
			}
			return true
		})
	}
	detail(e, "registrar", name)
	x.Get("publicIds").Each(func(id decode.Value) bool {
		if strings.EqualFold(id.Get("type").Text(), "IANA Registrar ID") {
			detail(e, "registrar_iana_id", d.say(id.Get("identifier")))
		}
		return true
	})
}

// DetectRDAP looks for answers of an RDAP server.
func DetectRDAP(head []byte) int {
	return decode.DetectItems(head, func(v decode.Value) int {
		switch {
		case v.Get("objectClassName").Text() == "domain" && v.Get("ldhName") != nil:
			return 95
		case v.Get("rdapConformance") != nil || v.Get("objectClassName") != nil && v.Get("handle") != nil:
			return 90
		case v.Get("errorCode") != nil && v.Get("title") != nil && v.Get("description").IsArray():
			return 70
		}
		return 0
	}, rdapWraps...)
}
