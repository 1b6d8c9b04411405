package query

import "encoding/binary"

// Link types (LINKTYPE_ values; 12 and 14 are what some systems write for raw IP).
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw12    = 12
	linkRaw14    = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

func linkKnown(link uint32) bool {
	switch link {
	case linkNull, linkEthernet, linkRaw12, linkRaw14, linkRaw, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// network returns the IP packet in a frame, or the reason why there is none.
func network(link uint32, b []byte) (ip []byte, skip string) {
	at, kind := 0, uint16(0)
	switch link {
	case linkEthernet:
		at, kind = 14, 12
	case linkSLL:
		at, kind = 16, 14
	case linkSLL2:
		at, kind = 20, 0
	case linkNull, linkLoop:
		// The address family's number differs between systems; the packet tells its version.
		if len(b) < 4 {
			return nil, skipNotIP
		}
		return b[4:], ""
	default:
		if !linkKnown(link) {
			return nil, skipLink
		}
		return b, ""
	}
	if len(b) < at {
		return nil, skipNotIP
	}
	kind = binary.BigEndian.Uint16(b[kind:])
	b = b[at:]
	for kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 { // VLAN tags, each four bytes
		if len(b) < 4 {
			return nil, skipNotIP
		}
		kind = binary.BigEndian.Uint16(b[2:])
		b = b[4:]
	}
	if kind != etherIPv4 && kind != etherIPv6 {
		return nil, skipNotIP
	}
	return b, ""
}
