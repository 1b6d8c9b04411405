package detect_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/catalog"
	"github.com/picket-dns/picket/internal/dnsname"
)

// world is the name server of a script: it knows zones and answers for them.
type world struct {
	zones  map[string]*testZone // by apex in presentation form, with trailing dot
	random *rand.Rand
}

// testZone is one zone with what is needed to answer and to deny.
type testZone struct {
	apex    string
	data    *catalog.ZoneData
	types   map[string]map[uint16]bool // by canonical wire name
	owners  [][]byte                   // in canonical order
	nsec    bool
	nsec3   bool
	hashes  [][]byte // of owners, sorted
	found   map[string]bool
	counter int
}

func newWorld() *world {
	return &world{zones: make(map[string]*testZone), random: rand.New(rand.NewPCG(1, 2))}
}

func (w *world) addZone(t *testing.T, apex string, lines []string) {
	z := &testZone{apex: dns.Fqdn(apex), data: catalog.NewZoneData(dnsname.MustParse(apex)), types: make(map[string]map[uint16]bool), found: make(map[string]bool)}
	s := &script{t: t}
	add := func(owner string, typ string) {
		name := dnsname.MustParse(dns.Fqdn(owner))
		n, ok := dns.StringToType[typ]
		if !ok {
			t.Fatalf("unknown type %q", typ)
		}
		z.nsec = z.nsec || n == dns.TypeNSEC
		z.nsec3 = z.nsec3 || n == dns.TypeNSEC3PARAM
		if err := z.data.Add(name, n); err != nil {
			t.Fatal(err)
		}
		if z.types[string(name)] == nil {
			z.types[string(name)] = make(map[uint16]bool)
			z.owners = append(z.owners, name)
		}
		z.types[string(name)][n] = true
	}
	add(apex, "SOA")
	add(apex, "NS")
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) == 1 {
			f = append(f, "A")
		}
		for _, owner := range s.expand(f[0]) {
			if owner == "@" {
				owner = z.apex
			} else {
				owner += "." + z.apex
			}
			for _, typ := range f[1:] {
				add(owner, typ)
			}
		}
	}
	slices.SortFunc(z.owners, dnsname.Compare)
	for _, o := range z.owners {
		z.hashes = append(z.hashes, hash3(o))
	}
	slices.SortFunc(z.hashes, bytes.Compare)
	w.zones[z.apex] = z
}

// hash3 is the NSEC3 hash of a name: SHA-1, one additional iteration, no salt.
func hash3(name []byte) []byte {
	text := dns.HashName(dnsname.String(name), dns.SHA1, 1, "")
	raw := make([]byte, 0, 20)
	bits, acc := 0, 0
	for _, c := range strings.ToLower(text) {
		acc = acc<<5 | strings.IndexRune("0123456789abcdefghijklmnopqrstuv", c)
		if bits += 5; bits >= 8 {
			bits -= 8
			raw = append(raw, byte(acc>>bits))
			acc &= 1<<bits - 1
		}
	}
	return raw
}

// query makes the query of a script's line, with the response that the server gives.
func (w *world) query(t *testing.T, cat *catalog.Catalog, source, name, typ string, flags []string) *picket.Query {
	q := &picket.Query{Class: 1, Transport: picket.TransportUDP, ClientPort: 40000, Rcode: picket.RcodeUnknown, Flags: picket.FlagFlags | picket.FlagResponse,
		Server: netip.MustParseAddr("192.0.2.53"), Name: dnsname.MustParse(name)}
	var err error
	if q.Client, err = netip.ParseAddr(source); err != nil {
		t.Fatal(err)
	}
	var ok bool
	if q.Type, ok = dns.StringToType[typ]; !ok {
		t.Fatalf("unknown type %q", typ)
	}
	log, rcode := false, ""
	for _, f := range flags {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "log":
			log = true
		case "rcode":
			rcode = v
		default:
			setFlag(t, q, k, v)
		}
	}
	w.answer(q, cat)
	if rcode != "" {
		q.Rcode = picket.Rcode(dns.StringToRcode[rcode])
		if q.Type == dns.TypeAXFR && q.Rcode == 0 {
			q.Response.Answers = 120
		}
	}
	if log {
		q.Rcode, q.Flags, q.Response = picket.RcodeUnknown, q.Flags&picket.FlagRD, picket.Response{}
	}
	return q
}

func setFlag(t *testing.T, q *picket.Query, key, val string) {
	switch key {
	case "rd":
		q.Flags |= picket.FlagRD
	case "do":
		q.Flags |= picket.FlagEDNS | picket.FlagDO
	case "cookie":
		q.Flags |= picket.FlagEDNS | picket.FlagCookie
	case "nsid":
		q.Flags |= picket.FlagEDNS | picket.FlagNSID
	case "badedns":
		q.Flags |= picket.FlagEDNS | picket.FlagBadEDNS
	case "tsig":
		q.Flags |= picket.FlagTSIG
	case "tcp":
		q.Transport = picket.TransportTCP
	case "ch":
		q.Class = 3
	case "opcode":
		n, err := strconv.ParseUint(val, 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		q.Opcode = uint8(n)
	case "server":
		q.Server = netip.MustParseAddr(val)
	default:
		t.Fatalf("unknown flag %q", key)
	}
}

// answer fills in the response, from what the catalog knows of the name.
func (w *world) answer(q *picket.Query, cat *catalog.Catalog) {
	var sfx dnsname.Suffixes
	var nc picket.NameContext
	cat.Hasher().Sum(q.Name, &sfx)
	cat.Lookup(q, &sfx, &nc)
	z := (*testZone)(nil)
	if nc.Zone != nil {
		z = w.zones[nc.Zone.Name]
	}
	switch {
	case q.Opcode != 0:
		q.Rcode = picket.RcodeNotImp
		return
	case z == nil || q.Class != 1 || q.Type == dns.TypeAXFR || q.Type == dns.TypeIXFR:
		q.Rcode = picket.RcodeRefused
		return
	case nc.State == picket.StateDelegated:
		q.Rcode = picket.RcodeNoError
		q.Flags |= picket.FlagReferral
		q.Response.Authority = nc.Zone.Apex
		return
	}
	q.Flags |= picket.FlagAA
	q.Rcode = picket.RcodeNoError
	has := z.types[string(q.Name)][q.Type] || q.Type == dns.TypeANY && len(z.types[string(q.Name)]) > 0
	signed := q.Has(picket.FlagDO)
	switch {
	case nc.NX:
		q.Rcode = picket.RcodeNXDomain
	case has || nc.State == picket.StateWildcard:
		q.Response.Answers = 1
		return
	case z.nsec && q.Type == dns.TypeNSEC && z.types[string(q.Name)] != nil:
		q.Response.Answers, signed = 1, true
	}
	if q.Response.Answers == 0 {
		q.Response.Authority, q.Response.HasSOA = nc.Zone.Apex, true
	}
	if signed {
		q.Response.Denials = z.deny(q.Name)
	}
}

// deny returns the NSEC or NSEC3 records that match or cover a name.
func (z *testZone) deny(name []byte) []picket.Denial {
	switch {
	case z.nsec:
		at := len(z.owners) - 1
		for i, o := range z.owners {
			if dnsname.Compare(o, name) <= 0 {
				at = i
			}
		}
		return []picket.Denial{{Owner: z.owners[at], Next: z.owners[(at+1)%len(z.owners)]}}
	case z.nsec3:
		at := z.interval(hash3(name))
		z.found[string(z.hashes[at])] = true
		apex := z.interval(hash3(dnsname.MustParse(z.apex)))
		out := []picket.Denial{{NSEC3: true, Owner: z.hashes[at], Next: z.hashes[(at+1)%len(z.hashes)]}}
		if apex != at {
			out = append(out, picket.Denial{NSEC3: true, Owner: z.hashes[apex], Next: z.hashes[(apex+1)%len(z.hashes)]})
		}
		return out
	}
	return nil
}

// interval is the index of the hash that begins the interval h lies in.
func (z *testZone) interval(h []byte) int {
	at, exact := slices.BinarySearchFunc(z.hashes, h, bytes.Compare)
	if exact {
		return at
	}
	return (at - 1 + len(z.hashes)) % len(z.hashes)
}

// gap returns the next label whose hash discloses something new.
func (z *testZone) gap() string {
	for {
		z.counter++
		label := fmt.Sprintf("%06x", z.counter*37)
		if !z.found[string(z.hashes[z.interval(hash3(dnsname.MustParse(label+"."+z.apex)))])] {
			return label
		}
	}
}

// expand replaces the braces of text, see TestScripts.
func (s *script) expand(text string) []string {
	open := strings.IndexByte(text, '{')
	if open < 0 {
		return []string{text}
	}
	shut := open + strings.IndexByte(text[open:], '}')
	var out []string
	rest := s.expand(text[shut+1:])
	for _, v := range s.values(text[open+1 : shut]) {
		for _, r := range rest {
			out = append(out, strings.TrimSuffix(text[:open]+v, ".")+r)
		}
	}
	return out
}

// values returns what one pair of braces stands for.
func (s *script) values(spec string) []string {
	if lo, hi, ok := strings.Cut(spec, ".."); ok {
		var out []string
		a, _ := strconv.Atoi(lo)
		b, err := strconv.Atoi(hi)
		if err != nil {
			s.t.Fatalf("{%s}: %v", spec, err)
		}
		width := 0
		if lo[0] == '0' && len(lo) > 1 {
			width = len(lo)
		}
		for i := a; i <= b; i++ {
			out = append(out, fmt.Sprintf("%0*d", width, i))
		}
		return out
	}
	arg := strings.Split(spec, ":")
	number := func(i int) int {
		n, err := strconv.Atoi(arg[i])
		if err != nil {
			s.t.Fatalf("{%s}: %v", spec, err)
		}
		return n
	}
	switch {
	case spec[0] == '@' || spec[0] == '~':
		list := slices.Clone(s.lists[arg[0][1:]])
		if len(list) == 0 {
			s.t.Fatalf("{%s}: no such list", spec)
		}
		if spec[0] == '~' {
			rand.New(rand.NewPCG(3, 4)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
		switch len(arg) {
		case 2:
			return list[:number(1)]
		case 3:
			return list[number(1):number(2)]
		}
		return list
	case arg[0] == "random":
		var out []string
		for range number(2) {
			b := make([]byte, number(1))
			for i := range b {
				b[i] = byte('a' + s.world.random.IntN(26))
			}
			out = append(out, string(b))
		}
		return out
	case arg[0] == "owners":
		var out []string
		for _, o := range s.world.zones[dns.Fqdn(arg[1])].owners {
			out = append(out, dnsname.String(o))
		}
		return out
	case arg[0] == "gaps":
		// One at a time: which intervals are known changes with each answer.
		z := s.world.zones[dns.Fqdn(arg[1])]
		var out []string
		for range number(2) {
			l := z.gap()
			z.found[string(z.hashes[z.interval(hash3(dnsname.MustParse(l+"."+z.apex)))])] = true
			out = append(out, l)
		}
		return out
	}
	return strings.Split(spec, ",")
}
