package background

import (
	"math/rand/v2"
	"net/netip"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/lab"
)

// Ways in which floods arrive.
const (
	floodFew       = iota // from five addresses
	floodForged           // from 10,000 addresses that are not the sender's
	floodResolvers        // through everybody's resolvers
)

// flood is a random-subdomain attack: labels that nobody asked before and nobody
// answers, 200 a second for five minutes.
func flood(w *lab.World, begin int64, rnd *rand.Rand, way int) lab.Stream {
	a := newAsker(w, rnd)
	const n, rate = 60_000, 200
	var name []byte
	return times(rnd, begin, n, rate, func(at int64, _ int, out *lab.Outbox) {
		name = append(appendRandom(name[:0], rnd, 8+rnd.IntN(9)), w.Zone.Apex...)
		switch way {
		case floodFew:
			a.direct(at, client{addr: address(netFlood, 0, 1+rnd.IntN(5)), flags: picket.FlagRD}, name, lab.TypeA, out)
		case floodForged:
			i := rnd.IntN(10_000)
			a.direct(at, client{addr: netip.AddrFrom4([4]byte{10, 232 + byte(i>>12), byte(i >> 4), byte(i<<4) + 7})}, name, lab.TypeA, out)
		default:
			a.through(at, w.Fleet.Pick(rnd), name, lab.TypeA, out)
		}
	})
}

// appendRandom appends a label of n random letters and digits.
func appendRandom(dst []byte, rnd *rand.Rand, n int) []byte {
	dst = append(dst, byte(n))
	for range n {
		dst = append(dst, "abcdefghijklmnopqrstuvwxyz0123456789"[rnd.IntN(36)])
	}
	return dst
}
