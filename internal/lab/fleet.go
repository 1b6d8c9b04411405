package lab

import (
	"math"
	"math/rand/v2"
	"net/netip"
)

// Fleet is all resolvers whose users take an interest in an organisation.
type Fleet struct {
	Resolvers []Resolver
	Operators []Operator
	weights   Weighted
}

// Operator runs Resolvers[First:First+Count].
type Operator struct {
	Name         string
	Class        Class
	First, Count int
}

// NewFleet draws the resolvers of the Internet. Addresses are from 10.0.0.0/8 and
// 2001:db8::/32 only, a /24 (or /48) to few resolvers.
func NewFleet(p *Parameters, r *rand.Rand) *Fleet {
	f := &Fleet{}
	big, small := int(p.Egress), max(int(p.Egress/4), 4)
	f.operator("Google", ClassPublic, p.ShareGoogle, big, p, r)
	f.operator("AWS", ClassCloud, p.ShareAWS, 2*big, p, r)
	f.operator("Cloudflare", ClassPublic, p.ShareCloudflare, big, p, r)
	f.operator("Akamai", ClassCloud, p.ShareAkamai, small, p, r)
	f.operator("OpenDNS", ClassPublic, p.ShareOpenDNS, small, p, r)
	f.operator("T-Mobile", ClassISP, p.ShareTMobile, small, p, r)
	f.operator("AT&T", ClassISP, p.ShareATT, small, p, r)
	f.operator("Comcast", ClassISP, p.ShareComcast, small, p, r)
	f.tail(p, r)
	w := make([]float64, len(f.Resolvers))
	for i := range w {
		w[i] = f.Resolvers[i].Clients
	}
	f.weights = NewWeighted(w)
	return f
}

// operator adds resolvers that share their habits, as one operator's do.
func (f *Fleet) operator(name string, class Class, share float64, count int, p *Parameters, r *rand.Rand) {
	habits := drawHabits(p, r, class)
	first := len(f.Resolvers)
	sum := 0.0
	for i := range count {
		h := habits
		h.Addr = fleetAddr(len(f.Operators)*512+i/6, i%6, i%4 == 3)
		h.Clients = math.Pow(float64(i+1), -0.5)
		sum += h.Clients
		f.Resolvers = append(f.Resolvers, h)
	}
	for i := first; i < len(f.Resolvers); i++ {
		f.Resolvers[i].Clients *= share / sum
	}
	f.Operators = append(f.Operators, Operator{name, class, first, count})
}

// tail adds the long tail, in which everybody has other habits.
func (f *Fleet) tail(p *Parameters, r *rand.Rand) {
	rest := 1.0
	for i := range f.Resolvers {
		rest -= f.Resolvers[i].Clients
	}
	first, n := len(f.Resolvers), int(p.TailSources)
	sum := 0.0
	for i := range n {
		h := drawHabits(p, r, ClassTail)
		h.Addr = fleetAddr(tailNetworks+i, 53, i%5 == 4)
		h.Clients = math.Pow(float64(i+3), -p.TailSlope)
		sum += h.Clients
		f.Resolvers = append(f.Resolvers, h)
	}
	for i := first; i < len(f.Resolvers); i++ {
		f.Resolvers[i].Clients *= max(rest, 0.05) / sum
	}
	f.Operators = append(f.Operators, Operator{"tail", ClassTail, first, n})
}

// tailNetworks is the number of the first network of the tail; an operator has 512
// of those before.
const tailNetworks = 16 * 512

// fleetAddr is the address of a host in one of the 2^16 networks.
func fleetAddr(network, host int, six bool) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(network >> 8), byte(network), 15: byte(host + 1)})
	}
	return netip.AddrFrom4([4]byte{10, byte(network >> 8), byte(network), byte(host + 1)})
}

func drawHabits(p *Parameters, r *rand.Rand, class Class) Resolver {
	yes := func(share float64) bool { return r.Float64() < share }
	h := Resolver{Class: class, Minimise: yes(p.Minimise), Mixed: yes(p.Mixed), Validates: yes(p.Validating), Cookie: yes(p.Cookies),
		TCP: p.TCP, Repeat: p.Repeat, NegativeCap: uint32(p.NegativeCap), EDNSSize: [...]uint16{1232, 1232, 4096, 1400}[r.IntN(4)]}
	h.Relaxed = h.Minimise && yes(p.Relaxed)
	h.Aggressive = h.Validates && yes(p.Aggressive)
	if yes(p.TTLCap) {
		h.TTLCap = 60
	}
	if !h.Validates && yes(0.2) {
		h.EDNSSize = 0
	}
	return h
}

// Pick draws a resolver by how much its clients take an interest.
func (f *Fleet) Pick(r *rand.Rand) int { return f.weights.Pick(r) }

// Operator returns the operator with a name, nil when there is none.
func (f *Fleet) Operator(name string) *Operator {
	for i := range f.Operators {
		if f.Operators[i].Name == name {
			return &f.Operators[i]
		}
	}
	return nil
}

// Weighted draws an index with a probability that is in proportion to its weight,
// in constant time (the alias method, Walker 1977).
type Weighted struct {
	keep  []float64
	other []int32
}

// NewWeighted prepares the drawing; negative weights count as 0.
func NewWeighted(weights []float64) Weighted {
	n := len(weights)
	w := Weighted{make([]float64, n), make([]int32, n)}
	sum := 0.0
	for _, x := range weights {
		sum += max(x, 0)
	}
	var small, large []int32
	for i, x := range weights {
		w.keep[i] = 1
		if sum > 0 {
			w.keep[i] = max(x, 0) * float64(n) / sum
		}
		w.other[i] = int32(i)
		if w.keep[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		w.other[s] = l
		w.keep[l] -= 1 - w.keep[s]
		if w.keep[l] < 1 {
			small, large = append(small, l), large[:len(large)-1]
		}
	}
	return w
}

// Pick draws an index; the set must not be empty.
func (w *Weighted) Pick(r *rand.Rand) int {
	i := r.IntN(len(w.keep))
	if r.Float64() < w.keep[i] {
		return i
	}
	return int(w.other[i])
}

// Len is how many there are to draw from.
func (w *Weighted) Len() int { return len(w.keep) }
