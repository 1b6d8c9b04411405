package asset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Fields returns the fields that a mapping for assets may name. Whatever follows
// "details." is a key of Details.
func Fields() []string {
	return []string{"time", "name", "addrs", "port", "protocol", "service", "title", "severity", "tool", "owner", "criticality", "environment", "tags", "details.*"}
}

// errNoColumns is a CSV file that neither a mapping nor its header explains.
var errNoColumns = errors.New("no column of the header is known, and there is no mapping")

// columns are the headers by which CSV is understood without a mapping, in lower
// case and without blanks, underscores and hyphens. The first that a header has counts.
func columns() map[string][]string {
	return map[string][]string{
		"name":        {"name", "fqdn", "hostname", "host", "dnsname", "domain", "domainname", "subdomain", "asset"},
		"addrs":       {"ip", "ips", "ipaddress", "ipaddresses", "address", "addresses", "addr", "ipv4", "ipv6"},
		"port":        {"port", "portnumber"},
		"protocol":    {"protocol", "proto", "transport"},
		"service":     {"service", "servicename"},
		"title":       {"title", "description", "summary"},
		"severity":    {"severity"},
		"owner":       {"owner", "team", "contact"},
		"criticality": {"criticality", "importance", "tier"},
		"environment": {"environment", "env", "stage"},
		"tags":        {"tags", "tag", "labels"},
		"time":        {"time", "timestamp", "lastseen", "seen", "date"},
	}
}

// CSV decodes rows of an inventory by a mapping, or by its header when there is none.
func CSV(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	d := newMapped(opt, acct, sink)
	if opt.Mapping != nil {
		if err := opt.Mapping.Check("asset", Fields()); err != nil {
			return err
		}
		return decode.MappedCSV(ctx, r, opt.Mapping, acct, d.take)
	}
	return decode.GuessedCSV(ctx, r, acct, func(head [][]byte) (*decode.Mapping, error) {
		m := guess(head)
		if m.Fields["name"] == "" && m.Fields["addrs"] == "" {
			return nil, errors.Join(errNoColumns, decode.ErrNoMapping)
		}
		return m, nil
	}, d.take)
}

// guess makes a mapping of a header.
func guess(head [][]byte) *decode.Mapping {
	m := &decode.Mapping{Fields: map[string]string{}}
	has := map[string]string{}
	for _, c := range head {
		c = bytes.TrimSpace(c)
		key := strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(string(c)))
		if _, ok := has[key]; !ok {
			has[key] = string(c)
		}
	}
	for field, names := range columns() {
		for _, n := range names {
			if c, ok := has[n]; ok {
				m.Fields[field] = c
				break
			}
		}
	}
	return m
}

// JSON decodes objects of an inventory by a mapping.
func JSON(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	if err := opt.Mapping.Check("asset", Fields()); err != nil {
		return err
	}
	return decode.MappedJSON(ctx, r, opt.Mapping, acct, newMapped(opt, acct, sink).take)
}

// mapped makes assets of mapped values.
type mapped struct {
	output
	time decode.MappedTime
	text decode.Interner // of what many assets share
}

func newMapped(opt decode.Options, acct picket.Accounting, sink picket.AssetSink) *mapped {
	return &mapped{output: output{opt, acct, sink}, time: decode.NewMappedTime(opt)}
}

func (d *mapped) take(v *decode.Values) (reason string, err error) {
	a := &picket.Asset{}
	for i, field := range v.Names() {
		all := v.All(i)
		if len(all) == 0 {
			continue
		}
		if reason := d.set(a, field, all); reason != "" {
			return reason, nil
		}
	}
	if a.Name == "" && len(a.Addrs) == 0 {
		return reasonNothing, nil
	}
	if a.Tool == "" {
		a.Tool = "inventory"
	}
	return "", d.emit(a)
}

func (d *mapped) set(a *picket.Asset, field string, all [][]byte) (reason string) {
	b := all[0]
	switch field {
	case "time":
		ns, ok := d.time.Parse(b)
		if !ok {
			return decode.ReasonTime
		}
		a.Time = decode.UnixTime(ns)
	case "name":
		// Inventories put an address, a URL or a port where the name belongs.
		t, ok := parseTarget(b)
		if !ok {
			return decode.ReasonBadName
		}
		a.Name = t.name
		if t.addr.IsValid() {
			a.Addrs = append(a.Addrs, t.addr)
		}
		if a.Port == 0 {
			a.Port = t.port
		}
	case "addrs":
		return addrs(a, all)
	case "port":
		return port(a, b)
	case "protocol":
		a.Protocol = strings.ToLower(d.text.Text(b))
	case "service":
		a.Service = d.text.Text(b)
	case "title":
		a.Title = d.text.Text(b)
	case "severity":
		a.Severity = d.text.Text(b)
	case "tool":
		a.Tool = d.text.Text(b)
	case "owner":
		a.Owner = d.text.Text(b)
	case "criticality":
		a.Criticality = d.text.Text(b)
	case "environment":
		a.Environment = d.text.Text(b)
	case "tags":
		for _, b := range all {
			for t := range bytes.FieldsFuncSeq(b, listSeparator) {
				if t = bytes.TrimSpace(t); len(t) > 0 && len(a.Tags) < maxLabelValues {
					a.Tags = append(a.Tags, d.text.Text(t))
				}
			}
		}
	default:
		if key, ok := strings.CutPrefix(field, "details."); ok {
			if a.Details == nil {
				a.Details = map[string]string{}
			}
			a.Details[key] = decode.Text(bytes.Join(all[:min(len(all), 20)], []byte(", ")))
		}
	}
	return ""
}

// addrs reads addresses: several values, or several in one.
func addrs(a *picket.Asset, all [][]byte) (reason string) {
	for _, b := range all {
		for s := range bytes.FieldsFuncSeq(b, func(r rune) bool { return listSeparator(r) || r == ' ' }) {
			addr, ok := decode.ParseAddr(s)
			if !ok {
				return decode.ReasonAddress
			}
			if len(a.Addrs) < maxAddrs {
				a.Addrs = append(a.Addrs, addr)
			}
		}
	}
	return ""
}

// port reads 443 or 443/tcp.
func port(a *picket.Asset, b []byte) (reason string) {
	num, proto, _ := bytes.Cut(b, []byte{'/'})
	n, ok := decode.ParseUint(num, 65535)
	if !ok {
		return reasonPort
	}
	a.Port = uint16(n)
	if len(proto) > 0 && a.Protocol == "" {
		a.Protocol = strings.ToLower(decode.Text(proto))
	}
	return ""
}

func listSeparator(r rune) bool { return r == ',' || r == ';' || r == '|' || r == '\n' || r == '\t' }
