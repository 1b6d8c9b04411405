package adversary

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// Reverse is an address range and the zone of its names.
type Reverse struct {
	*lab.Zone
	Prefix netip.Prefix
	hosts  []netip.Addr // those with a name, ascending
}

// ReverseZone makes the reverse zone of a range in which some hosts have names: an
// IPv4 /24 or /16, or an IPv6 prefix whose length is a multiple of 4.
func ReverseZone(prefix netip.Prefix, hosts int, z *lab.Zone, seed uint64) (*Reverse, error) {
	prefix = prefix.Masked()
	v := &Reverse{Prefix: prefix}
	four := prefix.Addr().Is4()
	if four && prefix.Bits() != 24 && prefix.Bits() != 16 || !four && prefix.Bits()%4 != 0 {
		return nil, fmt.Errorf("reverse zone of %s: want an IPv4 /24 or /16, or an IPv6 length that is a multiple of 4", prefix)
	}
	rnd := lab.Rand(seed, "reverse zone")
	seen := map[netip.Addr]bool{}
	for tries := 0; len(seen) < hosts && tries < 4*hosts+1000; tries++ {
		a := prefix.Addr().As16()
		switch {
		case four && prefix.Bits() == 16:
			a[14], a[15] = byte(rnd.Uint32()), byte(rnd.Uint32())
		case four:
			a[15] = byte(rnd.Uint32())
		default: // few networks, hosts by number or by drawn identifiers
			a[7] |= byte(rnd.Uint32N(3))
			a[15] = byte(rnd.Uint32())
			if rnd.IntN(3) == 0 {
				a[14], a[13] = byte(rnd.Uint32()), byte(rnd.Uint32())
			}
		}
		addr := netip.AddrFrom16(a)
		if four {
			addr = addr.Unmap()
		}
		if prefix.Contains(addr) && !seen[addr] {
			seen[addr] = true
			v.hosts = append(v.hosts, addr)
		}
	}
	if len(v.hosts) == 0 {
		return nil, errors.New("reverse zone without hosts")
	}
	slices.SortFunc(v.hosts, netip.Addr.Compare)
	v.Zone = &lab.Zone{Apex: reverseName(prefix.Addr(), prefix.Bits()), TTL: z.TTL, NegativeTTL: z.NegativeTTL, Servers: z.Servers, OpenTransfer: z.OpenTransfer}
	v.Owners = append(v.Owners, lab.Owner{Name: v.Apex, Types: lab.TypeSet(lab.TypeSOA, lab.TypeNS), Purpose: lab.PurposeApex})
	for _, a := range v.hosts {
		v.Owners = append(v.Owners, lab.Owner{Name: v.PTR(a), Types: lab.TypeSet(lab.TypePTR), Popularity: 1})
	}
	return v, v.Seal()
}

// PTR is the name of an address.
func (v *Reverse) PTR(a netip.Addr) []byte { return reverseName(a, a.BitLen()) }

// of is the address of a host of the forward zone: any that has a name.
func (v *Reverse) of(hash uint64) netip.Addr { return v.hosts[hash%uint64(len(v.hosts))] }

func addr4(a [4]byte, last byte) netip.Addr {
	a[3] = last
	return netip.AddrFrom4(a)
}

// reverseName is the reverse name of an address's first bits (RFC 1035 §3.5, RFC
// 3596 §2.5).
func reverseName(a netip.Addr, bits int) []byte {
	var b strings.Builder
	if a.Is4() {
		raw := a.As4()
		for i := bits/8 - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "%d.", raw[i])
		}
		b.WriteString("in-addr.arpa")
	} else {
		raw := a.As16()
		for i := bits/4 - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "%x.", raw[i/2]>>(4*(1-i%2))&15)
		}
		b.WriteString("ip6.arpa")
	}
	return dnsname.MustParse(b.String())
}

// sweeping asks for the names of all addresses of a range.
type sweeping struct {
	r     *Run
	s     *Stage
	order []int // offsets from the range's first address
	next  int
}

func newSweep(r *Run, s *Stage) *sweeping {
	w := &sweeping{r: r, s: s}
	v := r.o.Reverse
	if v == nil || !v.Prefix.Addr().Is4() {
		return w
	}
	n := 1 << (32 - v.Prefix.Bits())
	first := 0
	if s.Count > 0 && s.Count < n { // around a host
		first = min(max(int(v.hosts[r.rnd.IntN(len(v.hosts))].As4()[3])-s.Count/2, 0), n-s.Count)
		n = s.Count
	}
	for i := range n {
		w.order = append(w.order, first+i)
	}
	if s.Shuffle {
		r.rnd.Shuffle(n, func(i, j int) { w.order[i], w.order[j] = w.order[j], w.order[i] })
	}
	return w
}

func (w *sweeping) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	if w.next == len(w.order) || w.r.over {
		return now, false
	}
	v := w.r.o.Reverse
	a := v.Prefix.Addr().As4()
	offset := w.order[w.next]
	w.next++
	a[2], a[3] = a[2]+byte(offset>>8), byte(offset)
	lane, now := w.r.source(now, w.s.Rest)
	done, _ := w.r.ask(w.r.slack(now, w.s), v.PTR(netip.AddrFrom4(a)), lab.TypePTR, how{lane: lane}, out)
	return done + w.r.pause(w.s), true
}

// climbing goes through the ip6.arpa tree depth first, and leaves out what is below
// a node that does not exist (RFC 8020).
type climbing struct {
	r     *Run
	s     *Stage
	names [][]byte // the path to the present node
	child []int    // the next child of each
	most  int      // labels of a whole address
}

func newTree(r *Run, s *Stage) *climbing {
	t := &climbing{r: r, s: s, most: 34}
	if v := r.o.Reverse; v != nil && v.Prefix.Addr().Is6() {
		t.names, t.child = append(t.names, v.Apex), append(t.child, 0)
	}
	return t
}

func (t *climbing) work(_ int, now int64, out *lab.Outbox) (int64, bool) {
	for len(t.names) > 0 && t.child[len(t.child)-1] == 16 {
		t.names, t.child = t.names[:len(t.names)-1], t.child[:len(t.child)-1]
	}
	if len(t.names) == 0 || t.r.over {
		return now, false
	}
	top := len(t.names) - 1
	name := append([]byte{1, "0123456789abcdef"[t.child[top]]}, t.names[top]...)
	t.child[top]++
	lane, now := t.r.source(now, t.s.Rest)
	done, rcode := t.r.ask(now, name, lab.TypePTR, how{lane: lane}, out)
	if rcode == picket.RcodeNoError && dnsname.Labels(name) < t.most {
		t.names, t.child = append(t.names, name), append(t.child, 0)
	}
	return done + t.r.pause(t.s), true
}
