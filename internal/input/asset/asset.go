// Package asset decodes what attack-surface inventories and scanners say exists:
// lists of hosts of any kind by a mapping, and the output of amass, subfinder,
// nmap, naabu, nuclei and zdns.
//
// One record of a tool is one Asset for each thing found: a name with its
// addresses, or a port that is open. What a tool says does not exist is skipped,
// so that an inventory can be held against zones and queries as it is.
package asset

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

// Reasons that several formats have.
const (
	reasonNothing  = "neither name nor address"
	reasonPort     = "bad port"
	maxAddrs       = 256  // of one asset; the rest is dropped
	maxRecords     = 1000 // of one asset; the rest is dropped
	maxLabelValues = 64   // tags of one asset
)

// nanos is the inverse of decode.UnixTime, as Accounting wants it.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// target is a host as tools write it.
type target struct {
	name string
	addr netip.Addr
	port uint16
}

// parseTarget reads a name, an address, either with a port, or a URL. ok is false
// for what is neither.
func parseTarget(b []byte) (t target, ok bool) {
	if i := bytes.Index(b, []byte("://")); i >= 0 {
		switch string(b[:i]) {
		case "http", "ws":
			t.port = 80
		case "https", "wss":
			t.port = 443
		}
		b = b[i+3:]
		if i = bytes.IndexAny(b, "/?#"); i >= 0 {
			b = b[:i]
		}
		if i = bytes.LastIndexByte(b, '@'); i >= 0 {
			b = b[i+1:]
		}
	}
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		b = b[:i]
	}
	if len(b) > 0 && b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return t, false
		}
		if t.addr, ok = decode.ParseAddr(b[1:i]); !ok {
			return t, false
		}
		return t, t.setPort(b[i+1:])
	}
	if t.addr, ok = decode.ParseAddr(b); ok {
		return t, true
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		if !t.setPort(b[i:]) {
			return t, false
		}
		b = b[:i]
		if t.addr, ok = decode.ParseAddr(b); ok {
			return t, true
		}
	}
	t.addr = netip.Addr{}
	t.name, ok = nameText(b)
	return t, ok
}

// setPort reads ":port" or nothing.
func (t *target) setPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	v, ok := decode.ParseUint(b[1:], 65535)
	if b[0] == ':' && ok {
		t.port = uint16(v)
	}
	return b[0] == ':' && ok
}

// nameText is decode.NameText for names of hosts: blanks are no part of one, and
// what looks like an address that could not be read is none.
func nameText(b []byte) (string, bool) {
	if len(b) == 0 || bytes.IndexByte(b, ' ') >= 0 || bytes.IndexByte(b, '/') >= 0 {
		return "", false
	}
	if last := b[bytes.LastIndexByte(bytes.TrimSuffix(b, []byte{'.'}), '.')+1:]; digits(last) {
		return "", false
	}
	return decode.NameText(b)
}

func digits(b []byte) bool {
	for _, c := range b {
		if !decode.Digit(c) {
			return false
		}
	}
	return len(b) > 0
}

// objects calls take with the cursor at each JSON object of r, and rejects it for
// the reason that take gives.
func objects(ctx context.Context, r io.Reader, acct picket.Accounting, take func(c *decode.Cursor) (reason string, err error)) error {
	return decode.NewRecords(ctx, r, acct).Each(take)
}

// output is where every decoder here writes to.
type output struct {
	opt  decode.Options
	acct picket.Accounting
	sink picket.AssetSink
}

// emit counts an asset and hands it on.
func (o *output) emit(a *picket.Asset) error {
	if a.Sensor == "" {
		a.Sensor = o.opt.Sensor
	}
	o.acct.Accept(nanos(a.Time))
	return o.sink.Asset(a)
}

// strs reads a scalar, or an array of scalars.
func strs(c *decode.Cursor, limit int) (out []string) {
	if !c.Open('[') {
		if s := c.Scalar(); len(s) > 0 {
			out = append(out, decode.Text(s))
		}
		return out
	}
	for c.More(']') {
		if s := c.Scalar(); len(s) > 0 && len(out) < limit {
			out = append(out, decode.Text(s))
		}
	}
	return out
}

// recordLine reads "owner TTL CLASS TYPE RDATA" as dig and its like print it.
func recordLine(line []byte) (rec picket.Record, ok bool) {
	var f [4][]byte
	data := line // past the first four fields, keeping blanks within
	for i := range f {
		data = bytes.TrimLeft(data, " \t")
		n := bytes.IndexAny(data, " \t")
		if n < 0 {
			return rec, false
		}
		f[i], data = data[:n], data[n:]
	}
	if data = bytes.TrimSpace(data); len(data) == 0 {
		return rec, false
	}
	ttl, ok1 := decode.ParseUint(f[1], 1<<32-1)
	class, ok2 := decode.ParseClass(f[2])
	typ, ok3 := decode.ParseType(f[3])
	name, ok4 := decode.NameText(f[0])
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return rec, false
	}
	rec = picket.Record{Name: name, TTL: int64(ttl), Class: string(decode.AppendClassName(nil, class)), Type: string(decode.AppendTypeName(nil, typ))}
	rec.Data = rdata(rec.Type, data)
	return rec, true
}

// rdata is RDATA in presentation form, with names in the usual types canonical.
func rdata(typ string, b []byte) string {
	switch typ {
	case "CNAME", "NS", "PTR", "DNAME":
		if s, ok := decode.NameText(b); ok {
			return s
		}
	case "MX", "AFSDB", "SRV":
		f := strings.Fields(string(b))
		if len(f) >= 2 {
			if wire, err := dnsname.Parse(f[len(f)-1]); err == nil {
				f[len(f)-1] = dnsname.String(wire)
				return strings.Join(f, " ")
			}
		}
	case "A", "AAAA":
		if a, ok := decode.ParseAddr(b); ok {
			return a.String()
		}
	}
	return decode.Text(b)
}
