package lab

// QTYPEs that the lab makes (IANA DNS parameters).
const (
	TypeA          = 1
	TypeNS         = 2
	TypeCNAME      = 5
	TypeSOA        = 6
	TypePTR        = 12
	TypeHINFO      = 13
	TypeMX         = 15
	TypeTXT        = 16
	TypeAAAA       = 28
	TypeSRV        = 33
	TypeNAPTR      = 35
	TypeDS         = 43
	TypeRRSIG      = 46
	TypeNSEC       = 47
	TypeDNSKEY     = 48
	TypeNSEC3      = 50
	TypeNSEC3PARAM = 51
	TypeTLSA       = 52
	TypeHTTPS      = 65
	TypeSPF        = 99
	TypeIXFR       = 251
	TypeAXFR       = 252
	TypeANY        = 255
	TypeCAA        = 257
)

// Types is a set of the types that a name owns.
type Types uint32

// typeBits are the types that names in the lab own.
var typeBits = [...]uint16{TypeA, TypeAAAA, TypeNS, TypeCNAME, TypeSOA, TypePTR, TypeMX, TypeTXT, TypeSRV, TypeDS, TypeDNSKEY, TypeTLSA, TypeHTTPS, TypeCAA, TypeNAPTR, TypeHINFO, TypeNSEC3PARAM}

// TypeSet is the set of some types; those that no name in the lab owns are left out.
func TypeSet(types ...uint16) (set Types) {
	for _, t := range types {
		set |= typeBit(t)
	}
	return set
}

// Has reports whether the set has a type.
func (s Types) Has(t uint16) bool { return s&typeBit(t) != 0 }

// Each calls f for each type of the set.
func (s Types) Each(f func(t uint16)) {
	for i, t := range typeBits {
		if s&(1<<i) != 0 {
			f(t)
		}
	}
}

func typeBit(t uint16) Types {
	switch t { // the frequent ones, without a search
	case TypeA:
		return 1
	case TypeAAAA:
		return 2
	}
	for i, have := range typeBits {
		if have == t {
			return 1 << i
		}
	}
	return 0
}
