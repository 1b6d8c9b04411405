package passivedns

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Origin is what sightings of the organisation's own servers have as origin.
const Origin = "own"

// Flush returns what has been seen since the last Flush: a sighting for each owner,
// type, RDATA and sensor, with the number of times, the first and the last of that
// while only. They are in the order of their names.
//
// Answers that were not seen since the last Flush are forgotten once half of the
// entries are taken, and all when every entry is; they are new when seen again.
func (c *Collector) Flush() []picket.Sighting {
	c.zones.Lock()
	clear(c.zones.fresh)
	c.zones.Unlock()
	held := c.held.Load()
	forget, full := held > int64(c.cfg.Entries)/2, held >= int64(c.cfg.Entries)
	var list []picket.Sighting
	for i := range c.shard {
		s := &c.shard[i]
		s.Lock()
		for key, e := range s.entries {
			if e.count == 0 {
				if forget {
					delete(s.entries, key)
					c.held.Add(-1)
				}
				continue
			}
			if v, ok := sighting(key, e); ok {
				list = append(list, v)
			} else {
				c.unreadable.Add(e.count)
			}
			e.count = 0
		}
		if full { // and all may be in use: those just handed out make room
			c.held.Add(-int64(len(s.entries)))
			clear(s.entries)
		}
		s.Unlock()
	}
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

// sighting writes out an entry; ok is false when its RDATA is not of its type.
func sighting(key string, e *entry) (v picket.Sighting, ok bool) {
	b := []byte(key)
	n := 1 + int(b[0])
	sensor := string(b[1:n])
	typ, written := binary.BigEndian.Uint16(b[n:]), b[n+2]
	b = b[n+keyFixed:]
	end := nameEnd(b)
	owner, data := b[:end], b[end:]
	v = picket.Sighting{Name: dnsname.String(owner), Type: dns.Type(typ).String(), Count: e.count,
		FirstSeen: time.Unix(0, e.first).UTC(), LastSeen: time.Unix(0, e.last).UTC(),
		Channel: picket.SightingPassiveDNS, Origin: Origin, SensorID: sensor}
	if e.zone > 0 {
		v.Bailiwick = dnsname.String(owner[len(owner)-int(e.zone):])
	}
	text, ok := "", false
	if written == dataWire {
		text, ok = fromWire(typ, data)
	} else {
		text, ok = fromText(v.Type, string(data))
	}
	v.Data = []string{text}
	return v, ok
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
