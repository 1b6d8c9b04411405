package asset

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Subfinder decodes the JSON lines of subfinder -oJ: host, input, source or
// sources, and ip when hosts were resolved.
func Subfinder(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	return objects(ctx, r, acct, func(c *decode.Cursor) (string, error) {
		a := &picket.Asset{Tool: "subfinder"}
		var host, ip []byte
		c.Open('{')
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			switch string(k) {
			case "host":
				host = c.Scalar()
			case "ip":
				ip = c.Scalar()
			case "input":
				detail(a, "input", c.Scalar())
			case "source", "sources":
				if s := strs(c, maxLabelValues); len(s) > 0 {
					detail(a, "sources", []byte(strings.Join(s, ", ")))
				}
			default:
				c.Skip()
			}
		}
		if c.Bad {
			return decode.ReasonBrokenJSON, nil
		}
		if reason := fill(a, host, ip); reason != "" {
			return reason, nil
		}
		return "", out.emit(a)
	})
}

// fill sets name and address of an asset from what a tool calls host and ip.
func fill(a *picket.Asset, host, ip []byte) (reason string) {
	if len(ip) > 0 {
		addr, ok := decode.ParseAddr(ip)
		if !ok {
			return decode.ReasonAddress
		}
		a.Addrs = []netip.Addr{addr}
	}
	if len(host) > 0 {
		t, ok := parseTarget(host)
		if !ok {
			return decode.ReasonBadName
		}
		a.Name = t.name
		if t.addr.IsValid() && len(ip) == 0 {
			a.Addrs = []netip.Addr{t.addr}
		}
		if a.Port == 0 {
			a.Port = t.port
		}
	}
	if a.Name == "" && len(a.Addrs) == 0 {
		return reasonNothing
	}
	return ""
}

func detail(a *picket.Asset, key string, v []byte) {
	if len(v) == 0 {
		return
	}
	if a.Details == nil {
		a.Details = map[string]string{}
	}
	a.Details[key] = decode.Text(v)
}

// only reports whether an object, stepped into, has all keys of need and none
// besides those of need and may.
func only(c *decode.Cursor, need, may string) bool {
	left := len(strings.Fields(need))
	for {
		k, ok := c.Key()
		if !ok {
			return left == 0 && !c.Bad
		}
		switch {
		case word(need, k):
			left--
		case !word(may, k):
			return false
		}
		c.Skip()
	}
}

// word reports whether k is one of the words of list.
func word(list string, k []byte) bool {
	for len(list) > 0 {
		w, rest, _ := strings.Cut(list, " ")
		if w == string(k) {
			return true
		}
		list = rest
	}
	return false
}

// DetectSubfinder knows the few keys of subfinder's lines.
func DetectSubfinder(head []byte) int {
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		at := c.I
		for _, need := range []string{"host input source", "host input sources"} {
			if c.I = at; only(c, need, "ip wildcard_certificate") {
				return true
			}
		}
		return false
	}, 90)
}

// Naabu decodes the JSON lines of naabu -json: one open port each. Versions differ
// in whether port is a number or an object.
func Naabu(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	clock := decode.NewClock(opt)
	return objects(ctx, r, acct, func(c *decode.Cursor) (string, error) {
		a := &picket.Asset{Tool: "naabu", Protocol: "tcp"}
		var host, ip, port, proto, stamp []byte
		c.Open('{')
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			switch string(k) {
			case "host":
				host = c.Scalar()
			case "ip":
				ip = c.Scalar()
			case "timestamp":
				stamp = c.Scalar()
			case "protocol":
				proto = c.Scalar()
			case "cdn-name", "cdn_name":
				detail(a, "cdn", c.Scalar())
			case "port":
				port = naabuPort(c, &proto)
			default:
				c.Skip()
			}
		}
		if c.Bad {
			return decode.ReasonBrokenJSON, nil
		}
		n, ok := decode.ParseUint(port, 65535)
		if !ok || n == 0 {
			return reasonPort, nil
		}
		a.Port = uint16(n)
		if len(proto) > 0 {
			a.Protocol = strings.ToLower(decode.Text(proto))
		}
		if a.Time, ok = isoTime(&clock, stamp); !ok {
			return decode.ReasonTime, nil
		}
		if string(host) == string(ip) {
			host = nil
		}
		if reason := fill(a, host, ip); reason != "" {
			return reason, nil
		}
		return "", out.emit(a)
	})
}

// naabuPort reads 80 or {"Port":80,"Protocol":0,"TLS":false}, where protocol 1 is UDP.
func naabuPort(c *decode.Cursor, proto *[]byte) (port []byte) {
	if !c.Open('{') {
		return c.Scalar()
	}
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "Port", "port":
			port = c.Scalar()
		case "Protocol", "protocol":
			if v := c.Scalar(); string(v) == "1" {
				*proto = []byte("udp")
			} else if len(v) > 0 && !digits(v) {
				*proto = v
			}
		default:
			c.Skip()
		}
	}
	return port
}

// isoTime reads a time stamp that may be missing.
func isoTime(c *decode.Clock, b []byte) (time.Time, bool) {
	if len(b) == 0 {
		return time.Time{}, true
	}
	ns, n := c.IsoTime(b)
	return decode.UnixTime(ns), n > 0 && n == len(b)
}

// DetectNaabu knows the few keys of naabu's lines.
func DetectNaabu(head []byte) int {
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		return only(c, "ip port", "host timestamp protocol tls cdn cdn-name cdn_name mac_address os confidence")
	}, 90)
}

// Amass decodes what amass found: the JSON lines of version 3, with addresses and
// sources, and the relations that version 4 prints, one a line.
func Amass(ctx context.Context, r io.Reader, opt decode.Options, acct picket.Accounting, sink picket.AssetSink) error {
	out := &output{opt, acct, sink}
	in := decode.NewLines(ctx, r, acct)
	b, err := in.Lookahead()
	if err != nil {
		return decode.Ended(err)
	}
	if b == '{' || b == '[' {
		return decode.RecordsOf(in).Each(func(c *decode.Cursor) (string, error) { return amassObject(c, out) })
	}
	for {
		line, err := in.Next(false)
		if err != nil {
			return decode.Ended(err)
		}
		if reason, err := amassLine(line, out); err != nil {
			return err
		} else if reason != "" {
			acct.Reject(reason, in.Pos())
		}
	}
}

func amassObject(c *decode.Cursor, out *output) (reason string, err error) {
	a := &picket.Asset{Tool: "amass"}
	var name []byte
	c.Open('{')
	for k, ok := c.Key(); ok; k, ok = c.Key() {
		switch string(k) {
		case "name":
			name = c.Scalar()
		case "domain":
			detail(a, "domain", c.Scalar())
		case "tag":
			if v := c.Scalar(); len(v) > 0 {
				a.Tags = []string{decode.Text(v)}
			}
		case "source", "sources":
			if s := strs(c, maxLabelValues); len(s) > 0 {
				detail(a, "sources", []byte(strings.Join(s, ", ")))
			}
		case "addresses":
			if reason == "" {
				reason = amassAddrs(c, a)
			} else {
				c.Skip()
			}
		default:
			c.Skip()
		}
	}
	if c.Bad {
		return decode.ReasonBrokenJSON, nil
	}
	if reason == "" {
		reason = fill(a, name, nil)
	}
	if reason != "" {
		return reason, nil
	}
	return "", out.emit(a)
}

// amassAddrs reads addresses[] with ip, cidr, asn and desc; the network of the
// first one is kept.
func amassAddrs(c *decode.Cursor, a *picket.Asset) (reason string) {
	if !c.Open('[') {
		c.Skip()
		return ""
	}
	for c.More(']') {
		if !c.Open('{') {
			c.Skip()
			continue
		}
		first := len(a.Addrs) == 0
		for k, ok := c.Key(); ok; k, ok = c.Key() {
			switch string(k) {
			case "ip":
				addr, ok := decode.ParseAddr(c.Scalar())
				if !ok {
					reason = decode.ReasonAddress
				} else if len(a.Addrs) < maxAddrs {
					a.Addrs = append(a.Addrs, addr)
				}
			case "cidr", "asn", "desc":
				if v := c.Scalar(); first {
					detail(a, string(k), v)
				}
			default:
				c.Skip()
			}
		}
	}
	return reason
}

// Skips of amass version 4.
const (
	skipNetwork  = "relation of networks"
	reasonNoEdge = "no relation"
)

// amassLine reads "www.example.com (FQDN) --> a_record --> 192.0.2.1 (IPAddress)".
func amassLine(line []byte, out *output) (reason string, err error) {
	line = plainText(line)
	if len(bytes.TrimSpace(line)) == 0 {
		out.acct.Skip(decode.SkipBlank)
		return "", nil
	}
	part := bytes.Split(line, []byte(" --> "))
	if len(part) != 3 {
		return reasonNoEdge, nil
	}
	from, kind := typed(part[0])
	to, kindTo := typed(part[2])
	if string(kind) != "FQDN" {
		out.acct.Skip(skipNetwork)
		return "", nil
	}
	name, ok := nameText(from)
	if !ok {
		return decode.ReasonBadName, nil
	}
	a := &picket.Asset{Tool: "amass", Name: name}
	relation := decode.Text(bytes.TrimSpace(part[1])) // it may become a key
	switch string(kindTo) {
	case "IPAddress":
		addr, ok := decode.ParseAddr(to)
		if !ok {
			return decode.ReasonAddress, nil
		}
		a.Addrs = []netip.Addr{addr}
		typ := "A"
		if addr.Is6() {
			typ = "AAAA"
		}
		a.Records = []picket.Record{{Name: name, Type: typ, Data: addr.String()}}
	case "FQDN":
		other, ok := nameText(to)
		if !ok {
			return decode.ReasonBadName, nil
		}
		switch relation {
		case "node":
			a.Name = other
		case "cname_record", "ns_record", "ptr_record":
			a.Records = []picket.Record{{Name: name, Type: strings.ToUpper(strings.TrimSuffix(relation, "_record")), Data: other}}
		default: // a record whose RDATA is not told in full
			detail(a, strings.TrimSuffix(relation, "_record"), []byte(other))
		}
	default:
		detail(a, relation, to)
	}
	return "", out.emit(a)
}

// typed parts "192.0.2.1 (IPAddress)".
func typed(b []byte) (value, kind []byte) {
	b = bytes.TrimSpace(b)
	i := bytes.LastIndexByte(b, '(')
	if i < 0 || b[len(b)-1] != ')' {
		return b, nil
	}
	return bytes.TrimSpace(b[:i]), b[i+1 : len(b)-1]
}

// plainText takes a terminal's colours off a line.
func plainText(b []byte) []byte {
	if bytes.IndexByte(b, 0x1b) < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != 0x1b {
			out = append(out, b[i])
			continue
		}
		for i < len(b) && b[i] != 'm' {
			i++
		}
	}
	return out
}

// DetectAmass knows version 3 by its keys, version 4 by its arrows between names.
func DetectAmass(head []byte) int {
	n, hits := 0, 0
	decode.EachLine(head, func(line []byte) bool {
		if n++; bytes.Count(line, []byte(" --> ")) == 2 && (bytes.Contains(line, []byte("(FQDN)")) || bytes.Contains(line, []byte("(Netblock)"))) {
			hits++
		}
		return n < 20
	})
	if hits > 0 && hits*2 >= n {
		return 95
	}
	return decode.DetectJSON(head, func(c *decode.Cursor) bool {
		return only(c, "name domain addresses", "tag source sources timestamp")
	}, 90)
}
