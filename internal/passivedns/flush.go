package passivedns

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Drain returns what has been seen since the last Drain: a sighting for each owner,
// type, RDATA and sensor, with the number of times, the first and the last of that
// while only. They are in the order of their names. When entries are short, those
// handed out make room.
func (t *Tally) Drain() []picket.Sighting {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.touched) == 0 {
		return nil
	}
	short := t.c.short()
	list := make([]picket.Sighting, 0, len(t.touched))
	for _, e := range t.touched {
		if v, ok := e.sighting(); ok {
			list = append(list, v)
		} else {
			t.c.unreadable.Add(e.count)
		}
		e.count = 0
		if short {
			delete(t.entries, e.key)
			t.c.release(e.key)
		}
	}
	clear(t.touched)
	t.touched = t.touched[:0]
	slices.SortFunc(list, func(a, b picket.Sighting) int {
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		if n := strings.Compare(a.Type, b.Type); n != 0 {
			return n
		}
		if n := slices.Compare(a.Data, b.Data); n != 0 {
			return n
		}
		return strings.Compare(a.SensorID, b.SensorID)
	})
	return list
}

// sighting writes out what an entry has counted; ok is false when its RDATA is not of
// its type. The text is kept: what is seen once is often seen again.
func (e *entry) sighting() (v picket.Sighting, ok bool) {
	n := 1 + int(e.key[0])
	sensor := e.key[1:n]
	typ, written := uint16(e.key[n])<<8|uint16(e.key[n+1]), e.key[n+2]
	rrtype := dns.Type(typ).String()
	if e.data == nil {
		b := []byte(e.key[n+keyFixed:])
		end := nameEnd(b)
		text, ok := "", false
		if written == dataWire {
			text, ok = fromWire(typ, b[end:])
		} else {
			text, ok = fromText(rrtype, string(b[end:]))
		}
		if !ok {
			return v, false
		}
		e.name, e.data = dnsname.String(b[:end]), []string{text}
	}
	v = picket.Sighting{Name: e.name, Type: rrtype, Data: e.data, Count: e.count,
		FirstSeen: time.Unix(0, e.first).UTC(), LastSeen: time.Unix(0, e.last).UTC(),
		Channel: picket.SightingPassiveDNS, Origin: picket.SightingOwn, SensorID: sensor}
	if e.zone > 0 {
		b := []byte(e.key[n+keyFixed:])
		end := nameEnd(b)
		v.Bailiwick = dnsname.String(b[end-int(e.zone) : end])
	}
	return v, true
}

// nameEnd is the length of the uncompressed name that b begins with.
func nameEnd(b []byte) int {
	i := 0
	for b[i] != 0 {
		i += 1 + int(b[i])
	}
	return i + 1
}

// fromWire writes canonical RDATA in presentation form.
func fromWire(typ uint16, data []byte) (text string, ok bool) {
	rr, n, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(data))}, data, 0)
	if err != nil || n != len(data) {
		return "", false
	}
	return dataOf(rr), true
}

// fromText brings RDATA in presentation form into the form that fromWire has; names
// without trailing dot are absolute.
func fromText(typ, data string) (text string, ok bool) {
	if strings.ContainsAny(data, "\r\n") {
		return "", false
	}
	z := dns.NewZoneParser(strings.NewReader(". 0 IN "+typ+" "+data+"\n"), ".", "")
	rr, more := z.Next()
	if !more || z.Err() != nil {
		return "", false
	}
	buf := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return "", false
	}
	// Read as any other answer, so that the letters of names come out the same.
	const before = 1 + 10
	wire, ok := appendData(nil, buf[:end], rr.Header().Rrtype, before, end)
	if !ok {
		return "", false
	}
	return fromWire(rr.Header().Rrtype, wire)
}

// dataOf is a record's text without owner, TTL, class and type.
func dataOf(rr dns.RR) string {
	if u, ok := rr.(*dns.RFC3597); ok { // of a type without name, written otherwise
		return "\\# " + strconv.Itoa(len(u.Rdata)/2) + " " + u.Rdata
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}
