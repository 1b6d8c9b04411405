package lab

import (
	"math/rand/v2"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
)

// Class is what kind of client asks an authoritative server.
type Class uint8

// Classes.
const (
	ClassPublic Class = iota // a shared public resolver's egress
	ClassCloud               // resolvers of a cloud's tenants
	ClassISP                 // resolvers of an access provider
	ClassTail                // company and home resolvers, the long tail
	ClassStub                // no resolver: a tool or a client that asks the server itself
)

// String returns the class as reports print it.
func (c Class) String() string {
	return [...]string{"public resolver", "cloud", "ISP", "tail", "stub"}[c]
}

// Resolver is a client of the authoritative servers and its habits.
type Resolver struct {
	Addr  netip.Addr
	Class Class
	// Minimise: asks label by label from the apex (RFC 9156); Relaxed goes on below a
	// name that does not exist.
	Minimise, Relaxed bool
	// Whole: as it minimises, it asks the whole name for A, too, before it asks for
	// another type; Unbound does.
	Whole       bool
	Mixed       bool // 0x20: mixed case, which inputs tell as FlagMixed
	Aggressive  bool // answers from cached NSEC proofs itself (RFC 8198)
	Validates   bool // sets DO
	Cookie      bool // sends full cookies (RFC 7873)
	EDNSSize    uint16
	TCP         float64 // share of queries over TCP
	Repeat      float64 // share of queries that are sent twice, because an answer was lost
	TTLCap      uint32  // seconds; 0 means none
	NegativeCap uint32  // seconds; 0 means none
	// Clients is its share of the users' interest; what it asks depends on its cache.
	Clients float64
}

// Stamp fills in what of a query depends on the resolver alone: address, flags, transport.
func (r *Resolver) Stamp(rnd *rand.Rand, q *picket.Query) {
	q.Client = r.Addr
	q.ClientPort = uint16(1024 + rnd.Uint32N(64512))
	q.Class = 1
	q.EDNSSize = r.EDNSSize
	q.Flags = 0
	if r.EDNSSize > 0 {
		q.Flags |= picket.FlagEDNS
	}
	if r.Validates {
		q.Flags |= picket.FlagDO | picket.FlagCD
	}
	if r.Cookie {
		q.Flags |= picket.FlagCookie
	}
	if r.Mixed {
		q.Flags |= picket.FlagMixed
	}
	q.Transport = picket.TransportUDP
	if r.TCP > 0 && rnd.Float64() < r.TCP {
		q.Transport = picket.TransportTCP
	}
}

// Cache is what one resolver remembers of one zone. It is a bounded table of
// hashes: what does not fit is forgotten.
type Cache struct {
	until map[uint64]int64 // hash of name and type to the end of its time
	most  int
}

// NewCache returns an empty cache of so many entries.
func NewCache(most int) *Cache { return &Cache{until: make(map[uint64]int64), most: most} }

func (c *Cache) has(key uint64, now int64) bool {
	end, ok := c.until[key]
	return ok && end > now
}

func (c *Cache) put(key uint64, end int64) {
	if len(c.until) >= c.most {
		clear(c.until)
	}
	c.until[key] = end
}

// Keys of the cache: a name and a type, all types of a name that does not exist, an
// interval of NSEC.
func typeKey(name uint64, qtype uint16) uint64 {
	return (name ^ uint64(qtype)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
}

const (
	keyMissing  = 0xfff0 // no QTYPE (RFC 6895 leaves it to private use)
	keyInterval = 0xfff1
)

// Ask is one question of a client to the resolver: it adds to out what reaches the
// zone's servers, if anything does, and returns when the answer is there and its
// response code. The answer of what was cached is there at once.
func (r *Resolver) Ask(now int64, z *Zone, c *Cache, rnd *rand.Rand, name []byte, qtype uint16, out *Outbox) (done int64, rcode picket.Rcode) {
	var sfx dnsname.Suffixes
	z.hasher.Sum(name, &sfx)
	// RFC 8020: nothing is below a name that does not exist. Relaxed resolvers do not rely on it.
	depth := sfx.N - dnsname.Labels(z.Apex)
	for up := 0; up < depth && (up == 0 || !r.Relaxed); up++ {
		if c.has(typeKey(sfx.Hash[up], keyMissing), now) {
			return now, picket.RcodeNXDomain
		}
	}
	if c.has(typeKey(sfx.Hash[0], qtype), now) {
		return now, picket.RcodeNoError
	}
	if r.Aggressive && z.Signing == NSEC && r.denied(now, z, c, name, &sfx) {
		return now, picket.RcodeNXDomain
	}
	first := 0
	if r.Minimise {
		first = max(min(depth-1, 9), 0) // RFC 9156 §2.3: at most ten steps
	}
	last := 0
	if r.Minimise && r.Whole && qtype != TypeA && depth > 0 {
		last = -1 // the whole name once more, for its type
	}
	for step := first; ; step-- {
		up := max(step, 0)
		q := picket.Query{Name: name[sfx.At[up]:], Type: qtype}
		if step > last {
			q.Type = TypeA // RFC 9156 §2.1: any type that hides the client's
			if c.has(typeKey(sfx.Hash[up], q.Type), now) || r.Relaxed && c.has(typeKey(sfx.Hash[up], keyMissing), now) {
				continue
			}
		}
		now, rcode = r.send(now, z, c, rnd, &q, sfx.Hash[up], out)
		if step == last || q.Flags&picket.FlagReferral != 0 || rcode == picket.RcodeNXDomain && !r.Relaxed {
			return now, rcode
		}
	}
}

// send sends one query and keeps what its response says.
func (r *Resolver) send(now int64, z *Zone, c *Cache, rnd *rand.Rand, q *picket.Query, hash uint64, out *Outbox) (done int64, rcode picket.Rcode) {
	r.Stamp(rnd, q)
	q.Time = now
	q.Server = z.Servers[rnd.IntN(len(z.Servers))]
	z.Respond(q)
	out.Add(q)
	if rnd.Float64() < r.Repeat {
		again := *q
		again.Time += 400e6 + int64(rnd.Uint32N(800e6))
		again.Server = z.Servers[rnd.IntN(len(z.Servers))]
		out.Add(&again)
	}
	ttl := z.NegativeTTL
	if q.Response.Answers > 0 || q.Has(picket.FlagReferral) {
		ttl = z.TTL
		if i, ok := z.index[hash]; ok {
			ttl = z.Owners[i].TTL
		}
		if r.TTLCap > 0 {
			ttl = min(ttl, r.TTLCap)
		}
	} else if r.NegativeCap > 0 {
		ttl = min(ttl, r.NegativeCap)
	}
	end := now + int64(ttl)*Second
	if q.Rcode == picket.RcodeNXDomain {
		c.put(typeKey(hash, keyMissing), end)
		if r.Aggressive && z.Signing == NSEC {
			for _, d := range q.Response.Denials {
				c.put(typeKey(z.hasher.Name(d.Owner), keyInterval), end)
			}
		}
	} else {
		c.put(typeKey(hash, q.Type), end)
	}
	return now + 4e6 + int64(rnd.ExpFloat64()*30e6), q.Rcode
}

// denied reports whether cached NSEC records prove that a name does not exist: the
// one that covers it and the one that covers the wildcard.
func (r *Resolver) denied(now int64, z *Zone, c *Cache, name []byte, sfx *dnsname.Suffixes) bool {
	if z.Find(name) >= 0 || z.between[sfx.Hash[0]] {
		return false
	}
	up := 1
	for ; up < sfx.N; up++ {
		if _, owns := z.index[sfx.Hash[up]]; owns || z.between[sfx.Hash[up]] {
			break
		}
	}
	var buf [dnsname.MaxLen + 2]byte
	star := append(append(buf[:0], 1, '*'), name[sfx.At[up]:]...)
	if z.Find(star) >= 0 {
		return false
	}
	for _, n := range [...][]byte{name, star} {
		owner, _ := z.covering(n)
		if !c.has(typeKey(z.hasher.Name(z.Owners[owner].Name), keyInterval), now) {
			return false
		}
	}
	return true
}
