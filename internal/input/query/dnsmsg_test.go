package query

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/input/decode"
)

func TestMessageRejects(t *testing.T) {
	good := ask(1, "www.example")
	set := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return b
	}
	long := newMsg(1, 0, strings.Repeat("abcdefghijklmno.", 16)+"example", 1, 1).b
	for _, c := range []struct {
		msg  []byte
		want string
	}{
		{good, ""}, {good[:11], reasonShort}, {good[:20], reasonQuestionEnd}, {good[:len(good)-1], reasonQuestionEnd},
		{set(4, 0, 0), reasonNoQuestion}, {set(4, 0, 2), reasonQuestions}, {set(12, 0xc0, 12), reasonName},
		{set(12, 0xc0, 14), reasonName}, {set(12, 0x80), reasonName}, {long, reasonName},
	} {
		var m Message
		if got := m.Parse(c.msg); got != c.want {
			t.Errorf("Parse(% x): %q, want %q", c.msg, got, c.want)
		}
	}
}

func TestMessageQuery(t *testing.T) {
	cookie := make([]byte, 16)
	ecs := option(optECS, 0, 1, 24, 0, 198, 51, 100)
	ecs6 := option(optECS, 0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 1)
	base := picket.FlagFlags | picket.FlagEDNS
	for _, c := range []struct {
		name   string
		msg    *dnsmsg
		flags  picket.QueryFlags
		subnet string
	}{
		{"bare", newMsg(1, bitRD|bitCD|bitAD, "a.example", 1, 1), picket.FlagFlags | picket.FlagRD | picket.FlagCD | picket.FlagAD, ""},
		{"edns", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0x8000), base | picket.FlagDO, ""},
		{"mixed", newMsg(1, 0, "a.eXample", 1, 1).opt(4096, 0), base | picket.FlagMixed, ""},
		{"version", newMsg(1, 0, "a.example", 1, 1).opt(4096, 1<<16), base | picket.FlagBadEDNS, ""},
		{"unknown option", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, option(100)), base | picket.FlagBadEDNS, ""},
		{"known options", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, option(12, 0, 0), option(26), option(65001)), base, ""},
		{"client cookie", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, option(optCookie, cookie[:8]...)), base, ""},
		{"full cookie, nsid", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, option(optNSID), option(optCookie, cookie...)), base | picket.FlagCookie | picket.FlagNSID, ""},
		{"subnet", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, ecs), base, "198.51.100.0/24"},
		{"subnet 6", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, ecs6), base, "2001:db8:0:100::/56"},
		{"bad subnet", newMsg(1, 0, "a.example", 1, 1).opt(4096, 0, option(optECS, 0, 1, 99, 0)), base, ""},
		{"tsig", newMsg(1, 0, "a.example", 1, 1).rr(3, []byte{0}, typeTSIG, 255, 0, cookie), picket.FlagFlags | picket.FlagTSIG, ""},
		{"sig(0)", newMsg(1, 0, "a.example", 1, 1).rr(3, []byte{0}, typeSIG, 255, 0, cookie), picket.FlagFlags | picket.FlagTSIG, ""},
	} {
		var m Message
		var q picket.Query
		if r := m.Parse(c.msg.b); r != "" {
			t.Fatalf("%s: %s", c.name, r)
		}
		m.FillQuery(&q)
		want := netip.Prefix{}
		if c.subnet != "" {
			want = netip.MustParsePrefix(c.subnet)
		}
		if q.Flags != c.flags || q.ClientSubnet != want || dnsname.Text(q.Name) != "a.example" || q.Flags&picket.FlagEDNS != 0 && q.EDNSSize != 4096 {
			t.Errorf("%s: flags %#x, want %#x; %+v", c.name, q.Flags, c.flags, q)
		}
		// The way through the ring of a capture keeps it all.
		l := decodePcap(t, newCapture(101).add(at0, testFlow.udp(c.msg.b)).b, decode.Options{})
		if len(l.queries) != 1 || l.queries[0].Flags != c.flags || l.queries[0].ClientSubnet != want {
			t.Errorf("%s: captured: %+v", c.name, l.queries)
		}
	}
}

func TestMessageResponse(t *testing.T) {
	sub := []byte{0xc0, dnsHeaderLen + 4} // www.example → example
	soa := append([]byte{0, 0}, make([]byte, 20)...)
	hash := bytes.Repeat([]byte{0xa5}, 20)
	label := append([]byte{32}, "KMIQB9D5KMIQB9D5KMIQB9D5KMIQB9D5"...)
	nsec3 := append(append([]byte{1, 0, 0, 10, 2, 0xaa, 0xbb, 20}, hash...), 0, 1, 0x40)
	nsec := append([]byte{1, 'Z'}, 0xc0, dnsHeaderLen+4, 0, 1, 0x40)
	response := func(bits uint16) *dnsmsg { return newMsg(1, bitQR|bits, "www.example", 1, 1) }
	for _, c := range []struct {
		name    string
		msg     *dnsmsg
		rcode   picket.Rcode
		flags   picket.QueryFlags
		auth    string
		owner   string
		denials string
		reason  string
	}{
		{"negative", response(bitAA|3).rr(2, sub, typeSOA, 1, 5, soa), 3, picket.FlagAA, "soa example.", "", "", ""},
		{"referral", response(0).rr(2, sub, typeNS, 1, 5, []byte{0}), 0, picket.FlagReferral, "ns example.", "", "", ""},
		{"not a referral", response(bitAA).rr(2, sub, typeNS, 1, 5, []byte{0}), 0, picket.FlagAA, "ns example.", "", "", ""},
		{"extended rcode", response(bitTC).opt(1232, 1<<24), 16, picket.FlagTC, "", "", "", ""},
		{"owner", response(0).rr(1, []byte{1, 'X', 0}, 1, 1, 5, make([]byte, 4)), 0, 0, "", "x.", "", ""},
		{"nsec", response(3).rr(2, sub, typeNSEC, 1, 5, nsec).rr(2, sub, typeSOA, 1, 5, soa), 3, 0, "soa example.", "", "nsec example. z.example.", ""},
		{"nsec3", response(3).rr(2, append(label, sub...), typeNSEC3, 1, 5, nsec3), 3, 0, "", "", "nsec3 " + hex.EncodeToString(hash) + " " + hex.EncodeToString(hash), ""},
		{"nsec answer", response(0).rr(1, toQuestion, typeNSEC, 1, 5, nsec), 0, 0, "", "", "nsec www.example. z.example.", ""},
		{"broken", &dnsmsg{append(response(3).rr(2, sub, typeSOA, 1, 5, soa).b[:0:0], response(3).rr(2, sub, typeSOA, 1, 5, soa).b[:40]...)}, 3, 0, "", "", "", reasonRecord},
	} {
		check := func(q *picket.Query) {
			t.Helper()
			auth := ""
			if r := &q.Response; r.Authority != nil {
				auth = "ns " + dnsname.String(r.Authority)
				if r.HasSOA {
					auth = "soa " + dnsname.String(r.Authority)
				}
			}
			owner, denials := "", ""
			if q.Response.Owner != nil {
				owner = dnsname.String(q.Response.Owner)
			}
			for _, d := range q.Response.Denials {
				if denials = "nsec " + dnsname.String(d.Owner) + " " + dnsname.String(d.Next); d.NSEC3 {
					denials = "nsec3 " + hex.EncodeToString(d.Owner) + " " + hex.EncodeToString(d.Next)
				}
			}
			if flags := q.Flags &^ picket.FlagFlags; q.Rcode != c.rcode || flags != c.flags|picket.FlagResponse || auth != c.auth || owner != c.owner || denials != c.denials {
				t.Errorf("%s: rcode %d flags %#x auth %q owner %q denials %q", c.name, q.Rcode, flags, auth, owner, denials)
			}
		}
		var m Message
		var q picket.Query
		if r := m.Parse(c.msg.b); r != "" {
			t.Fatalf("%s: %s", c.name, r)
		}
		m.FillEcho(&q)
		if got := m.FillResponse(&q); got != c.reason {
			t.Errorf("%s: reason %q, want %q", c.name, got, c.reason)
		}
		check(&q)
		question := newMsg(1, 0, "www.example", 1, 1).b
		l := decodePcap(t, newCapture(101).add(at0, testFlow.udp(question)).add(at0+ms, testFlow.back().udp(c.msg.b)).b, decode.Options{})
		if len(l.queries) != 1 {
			t.Fatalf("%s: %v", c.name, l)
		}
		check(&l.queries[0])
	}
}
