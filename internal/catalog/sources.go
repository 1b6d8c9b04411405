package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/picket-dns/picket"
)

// Role is what the organisation says of an address.
type Role uint8

// Roles of addresses.
const (
	RoleNone      Role = iota
	RoleSecondary      // may transfer zones
	RoleOwn            // the organisation's own scanners and monitors
)

var roleNames = [...]string{"", "secondary", "own"}

// String returns the role's name, "" for RoleNone.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return ""
}

// Sources says which addresses have a role. It is immutable; nil has no roles.
type Sources struct {
	v4, v6 []prefixSet // longest prefixes first
}

// prefixSet is the prefixes of one length.
type prefixSet struct {
	bits  int
	roles map[netip.Addr]Role // by masked address
}

// NewSources reads prefixes ("192.0.2.0/24") and addresses. When several cover
// an address the longest decides. All bad values are reported at once.
func NewSources(secondary, own []string) (*Sources, error) {
	s := &Sources{}
	var bad []string
	for _, list := range []struct {
		role Role
		text []string
	}{{RoleSecondary, secondary}, {RoleOwn, own}} {
		for _, text := range list.text {
			p, err := parsePrefix(text)
			if err == nil {
				err = s.add(p, list.role)
			}
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s %q: %v", list.role, text, err))
			}
		}
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("%w: %s", picket.ErrBadValue, strings.Join(bad, "; "))
	}
	longest := func(a, b prefixSet) int { return b.bits - a.bits }
	slices.SortFunc(s.v4, longest)
	slices.SortFunc(s.v6, longest)
	return s, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("an address such as 192.0.2.7 or a prefix such as 2001:db8::/32 is wanted")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("a prefix such as 192.0.2.0/24 or 2001:db8::/32 is wanted")
	case p.Addr().Is4In6():
		return p, fmt.Errorf("write the IPv4 prefix itself, such as 192.0.2.0/24")
	case p.Masked() != p:
		return p, fmt.Errorf("has bits set beyond its length: %s is probably meant", p.Masked())
	}
	return p, nil
}

func (s *Sources) add(p netip.Prefix, role Role) error {
	sets := &s.v4
	if p.Addr().Is6() {
		sets = &s.v6
	}
	i := slices.IndexFunc(*sets, func(x prefixSet) bool { return x.bits == p.Bits() })
	if i < 0 {
		i = len(*sets)
		*sets = append(*sets, prefixSet{p.Bits(), map[netip.Addr]Role{}})
	}
	roles := (*sets)[i].roles
	if r := roles[p.Addr()]; r != RoleNone && r != role {
		return fmt.Errorf("is listed as %s too: give it one role", r)
	}
	roles[p.Addr()] = role
	return nil
}

// Role returns the role of an address. It does not allocate.
func (s *Sources) Role(addr netip.Addr) Role {
	if s == nil || !addr.IsValid() {
		return RoleNone
	}
	addr = addr.Unmap()
	sets := s.v4
	if addr.Is6() {
		sets = s.v6
		addr = addr.WithZone("")
	}
	for i := range sets {
		p, err := addr.Prefix(sets[i].bits)
		if err != nil {
			continue
		}
		if r := sets[i].roles[p.Addr()]; r != RoleNone {
			return r
		}
	}
	return RoleNone
}

// Map returns the same roles for mapped prefixes: those under which addresses come
// when they have been replaced by pseudonyms. f keeps families and lengths, and maps
// different prefixes to different ones.
func (s *Sources) Map(f func(netip.Prefix) netip.Prefix) *Sources {
	if s == nil {
		return nil
	}
	mapped := func(sets []prefixSet) []prefixSet {
		out := make([]prefixSet, len(sets))
		for i, set := range sets {
			out[i] = prefixSet{set.bits, make(map[netip.Addr]Role, len(set.roles))}
			for a, r := range set.roles {
				out[i].roles[f(netip.PrefixFrom(a, set.bits)).Addr()] = r
			}
		}
		return out
	}
	return &Sources{v4: mapped(s.v4), v6: mapped(s.v6)}
}
