package intake

import (
	"net/netip"

	"github.com/picket-dns/picket"
)

// Mapper replaces the addresses of who asks by pseudonyms.
type Mapper interface {
	Pseudonym(a netip.Addr) netip.Addr
	Prefix(p netip.Prefix) netip.Prefix
}

// Pseudonymise has clients, client subnets and sources of signals replaced before
// anything is stored or looked at. Rejected records are then kept without their
// bytes, which hold addresses as they came. To be called before desks are opened.
func (h *House) Pseudonymise(m Mapper) { h.mapper = m }

// pseudonymous returns the query with its addresses replaced. What is borrowed is
// left as it is; what is returned is borrowed, too.
func (s *Stream) pseudonymous(q *picket.Query) *picket.Query {
	m := s.desk.house.mapper
	if m == nil {
		return q
	}
	s.mapped = *q
	s.mapped.Client = m.Pseudonym(q.Client)
	s.mapped.ClientSubnet = m.Prefix(q.ClientSubnet)
	return &s.mapped
}

// pseudonymousSignal is the same for a signal.
func (s *Stream) pseudonymousSignal(v *picket.Signal) *picket.Signal {
	m := s.desk.house.mapper
	if m == nil {
		return v
	}
	mapped := *v
	mapped.Source = m.Pseudonym(v.Source)
	return &mapped
}
