package lab

import (
	"math/rand/v2"
	"net/netip"

	"github.com/picket-dns/picket"
)

// Path is the way on which an adversary's questions reach the authoritative
// servers: from addresses of its own, or through resolvers that others use, too.
type Path struct {
	Name string
	// Stubs are addresses that ask the servers themselves.
	Stubs []netip.Addr
	// Resolvers are asked instead, each question through another one.
	Resolvers []*Resolver
	// Warm reports whether a resolver has the answer cached because its other
	// clients asked; nil means never.
	Warm func(r *Resolver, owner int, qtype uint16, rnd *rand.Rand) bool
	// Trip is the round trip from the stubs to the servers, in nanoseconds, a fifth
	// more on average; 0 is the Internet's: 2 ms and on average 20 ms on top.
	Trip int64

	caches map[*Resolver]*Cache
}

// pathCache bounds what a resolver on a path remembers: names of one adversary.
const pathCache = 1 << 17

// Options say how a tool asks.
type Options struct {
	Lane     int // which of the path's stubs or resolvers; modulo their number
	RD       bool
	DO       bool
	EDNSSize uint16
	Class    uint16 // 0 means IN
	Server   int    // which server, from 1; 0 draws one
	Stream   bool   // over TCP
	Opcode   uint8
	Flags    picket.QueryFlags // others that a direct question has: mixed case, NSID
}

// Direct is a path from n addresses of an adversary's own, spread over networks.
func Direct(name string, n int) *Path {
	p := &Path{Name: name}
	for i := range n {
		p.Stubs = append(p.Stubs, netip.AddrFrom4([4]byte{10, 240 + byte(i>>14&15), byte(i >> 6), byte(i<<2) + 1}))
	}
	return p
}

// Through is a path through n of a fleet's resolvers, drawn by their size; large
// resolvers come first when n is small.
func Through(name string, f *Fleet, n int, r *rand.Rand) *Path {
	p := &Path{Name: name, caches: map[*Resolver]*Cache{}}
	seen := map[int]bool{}
	for len(p.Resolvers) < min(n, len(f.Resolvers)) {
		i := f.Pick(r)
		for tries := 0; seen[i]; tries++ {
			if i = f.Pick(r); tries > 20 {
				i = r.IntN(len(f.Resolvers))
			}
		}
		seen[i] = true
		p.Resolvers = append(p.Resolvers, &f.Resolvers[i])
	}
	return p
}

// Sources is how many addresses the servers can see of the path.
func (p *Path) Sources() int { return len(p.Stubs) + len(p.Resolvers) }

// Ask asks one question and returns when the answer is there, and its response code.
func (p *Path) Ask(now int64, z *Zone, rnd *rand.Rand, name []byte, qtype uint16, o Options, out *Outbox) (done int64, rcode picket.Rcode) {
	if len(p.Resolvers) == 0 {
		return p.direct(now, z, rnd, name, qtype, o, out)
	}
	r := p.Resolvers[o.Lane%len(p.Resolvers)]
	if qtype == TypeAXFR || qtype == TypeIXFR || o.Class > 1 {
		return now + 1e6, picket.RcodeRefused // resolvers do not forward these
	}
	if p.Warm != nil {
		if i := z.Find(name); i >= 0 && p.Warm(r, i, qtype, rnd) {
			return now + 1e6, picket.RcodeNoError
		}
	}
	c := p.caches[r]
	if c == nil {
		if p.caches == nil {
			p.caches = map[*Resolver]*Cache{}
		}
		c = NewCache(pathCache)
		p.caches[r] = c
	}
	return r.Ask(now+1e6, z, c, rnd, name, qtype, out)
}

func (p *Path) direct(now int64, z *Zone, rnd *rand.Rand, name []byte, qtype uint16, o Options, out *Outbox) (done int64, rcode picket.Rcode) {
	q := picket.Query{Time: now, Client: p.Stubs[o.Lane%len(p.Stubs)], ClientPort: uint16(1024 + rnd.Uint32N(64512)), Type: qtype,
		Class: max(o.Class, 1), EDNSSize: o.EDNSSize, Name: name, Transport: picket.TransportUDP, Opcode: o.Opcode, Flags: o.Flags}
	if o.RD {
		q.Flags |= picket.FlagRD
	}
	if o.EDNSSize > 0 || o.DO {
		q.Flags |= picket.FlagEDNS
	}
	if o.DO {
		q.Flags |= picket.FlagDO
	}
	if o.Stream || qtype == TypeAXFR {
		q.Transport = picket.TransportTCP
	}
	q.Server = z.Servers[rnd.IntN(len(z.Servers))]
	if o.Server > 0 {
		q.Server = z.Servers[(o.Server-1)%len(z.Servers)]
	}
	z.Respond(&q)
	out.Add(&q)
	if p.Trip > 0 {
		return now + p.Trip + int64(rnd.ExpFloat64()*float64(p.Trip)/5), q.Rcode
	}
	return now + 2e6 + int64(rnd.ExpFloat64()*20e6), q.Rcode
}
