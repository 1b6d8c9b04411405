package background

import (
	"math/rand/v2"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Networks of those who ask with their own name: 10.224.0.0/12 up to 10.239 has nobody else.
const (
	netOwn      = 224 // 10.224.k.0/24: the k-th scanner of the organisation
	netVendor   = 225 // the k-th attack-surface vendor
	netMonitor  = 226
	netAcme     = 227
	netCrawler  = 228
	netResearch = 229
	netTool     = 230 // checks that somebody starts by hand
	netFlood    = 231
)

func address(network, k, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(network), byte(k), byte(host)})
}

// asker asks the zone's servers, through resolvers that remember, or from an address.
type asker struct {
	w      *lab.World
	rnd    *rand.Rand
	caches []*lab.Cache // of the fleet's resolvers
	q      picket.Query
}

func newAsker(w *lab.World, rnd *rand.Rand) *asker {
	return &asker{w: w, rnd: rnd, caches: make([]*lab.Cache, len(w.Fleet.Resolvers))}
}

// resolverCache bounds what each resolver remembers of the questions of one part.
const resolverCache = 512

// through asks a resolver of the fleet.
func (a *asker) through(at int64, r int, name []byte, qtype uint16, out *lab.Outbox) (done int64, rcode picket.Rcode) {
	c := a.caches[r]
	if c == nil {
		c = lab.NewCache(resolverCache)
		a.caches[r] = c
	}
	return a.w.Fleet.Resolvers[r].Ask(at, a.w.Zone, c, a.rnd, name, qtype, out)
}

// client is a host that asks the servers itself.
type client struct {
	addr   netip.Addr
	flags  picket.QueryFlags
	tcp    bool
	server int // from 1; 0 means any
	class  uint16
	exists bool // what it asks for exists for the moment, or is for it alone
}

// direct asks from a client's address.
func (a *asker) direct(at int64, c client, name []byte, qtype uint16, out *lab.Outbox) picket.Rcode {
	q := &a.q
	q.Time, q.Client, q.ClientPort, q.Name, q.Type, q.Class = at, c.addr, uint16(1024+a.rnd.Uint32N(64512)), name, qtype, max(c.class, 1)
	q.Flags, q.EDNSSize, q.Transport = c.flags, 0, picket.TransportUDP
	if q.Has(picket.FlagEDNS) {
		q.EDNSSize = 1232
	}
	if c.tcp {
		q.Transport = picket.TransportTCP
	}
	servers := a.w.Zone.Servers
	if c.server > 0 {
		q.Server = servers[(c.server-1)%len(servers)]
	} else {
		q.Server = servers[a.rnd.IntN(len(servers))]
	}
	a.w.Zone.Respond(q)
	if c.exists && q.Response.Answers == 0 {
		q.Rcode, q.Response = picket.RcodeNoError, picket.Response{Answers: 1, Denials: q.Response.Denials[:0]}
		q.Flags |= picket.FlagAA
	}
	out.Add(q)
	return q.Rcode
}

// yield is how many queries pass the caches for each thing that somebody does.
type yield struct{ done, passed float64 }

// rate is how often something must be done so that so many queries pass.
func (y *yield) rate(want float64) float64 {
	if y.done > 4000 {
		y.done, y.passed = y.done/2, y.passed/2
	}
	return want / max((y.passed+2)/(y.done+2), 0.1)
}

// capacity is about how many questions a second pass the caches at most when each
// resolver has so many names to ask for: the small ones ask far less than they could.
func capacity(w *lab.World, names float64) float64 {
	return 0.3 * names * float64(len(w.Fleet.Resolvers)) / float64(max(w.Zone.TTL, 1))
}

// byUsers is a stream of what clients of the fleet's resolvers do at a rate that
// follows the hours, so that so many queries a second pass the caches.
func byUsers(a *asker, rate float64, end int64, act func(at int64, r int, out *lab.Outbox)) lab.Stream {
	demand := newHours(a.w.Params.HourSwing, a.w.Params.WeekendDip)
	var y yield
	at := demand.wait(a.rnd, a.w.Begin, end, rate)
	return until(end, lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		if at == never {
			return at, false
		}
		before := out.Len()
		act(at, a.w.Fleet.Pick(a.rnd), out)
		y.done++
		y.passed += float64(out.Len() - before)
		at = demand.wait(a.rnd, at, end, y.rate(rate))
		return at, at != never
	}))
}

// until ends a stream.
func until(end int64, s lab.Stream) lab.Stream {
	over := false
	return lab.StreamFunc(func() *picket.Query {
		if over {
			return nil
		}
		q := s.Next()
		if q == nil || q.Time >= end {
			over = true
			return nil
		}
		return q
	})
}

// merged is several streams as one, nil when there are none.
func merged(streams []lab.Stream) lab.Stream {
	if len(streams) == 0 {
		return nil
	}
	return lab.Merge(streams...)
}
