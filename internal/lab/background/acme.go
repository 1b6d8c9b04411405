package background

import (
	"slices"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// acme is the validation of certificates (RFC 8555): the authority asks from several
// vantages at once, for the challenge and for CAA on the way up (RFC 8659).
type acme struct {
	a    *asker
	web  [][]byte
	name []byte
}

func newAcme(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	perDay := w.Params.Acme
	m := acmeOf(newAsker(w, lab.Rand(w.Seed, "background/acme")))
	if perDay <= 0 || len(m.web) == 0 {
		return nil, 0
	}
	flat := flatHours()
	at := flat.wait(m.a.rnd, w.Begin, end, perDay/86400)
	return until(end, lab.PlanFrom(at, func(out *lab.Outbox) (int64, bool) {
		if at == never {
			return at, false
		}
		m.validate(at, m.web[m.a.rnd.IntN(len(m.web))], out)
		at = flat.wait(m.a.rnd, at, end, perDay/86400)
		return at, at != never
	})), perDay * w.Params.AcmeAsks / 86400
}

// acmeOf knows the names that have certificates.
func acmeOf(a *asker) *acme {
	m := &acme{a: a}
	for i := range a.w.Zone.Owners {
		o := &a.w.Zone.Owners[i]
		if o.Public && (o.Types.Has(lab.TypeA) || o.Types.Has(lab.TypeCNAME)) && len(o.Name) < 200 {
			m.web = append(m.web, o.Name)
		}
	}
	return m
}

// vantages is how many places an authority asks from.
const vantages = 5

// validate asks all that one validation asks, in a few seconds.
func (m *acme) validate(at int64, host []byte, out *lab.Outbox) {
	rnd := m.a.rnd
	wild := host[0] == 1 && host[1] == '*'
	if wild {
		host = host[2:]
	}
	dns01 := wild || rnd.IntN(2) == 0
	m.name = append(appendText(m.name[:0], "_acme-challenge"), host...)
	asks := int(m.a.w.Params.AcmeAsks) + rnd.IntN(4)
	climb := host
	for i := range asks {
		c := client{addr: address(netAcme, rnd.IntN(3), 1+i%vantages), flags: picket.FlagEDNS | picket.FlagDO, tcp: rnd.IntN(3) > 0}
		t := at + int64(i)*150e6 + int64(rnd.Uint32N(100e6))
		switch {
		case i < vantages && dns01:
			c.exists = true
			m.a.direct(t, c, m.name, lab.TypeTXT, out)
		case i < vantages:
			m.a.direct(t, c, host, [...]uint16{lab.TypeA, lab.TypeAAAA}[i%2], out)
		default:
			m.a.direct(t, c, climb, lab.TypeCAA, out)
			if len(climb) > len(m.a.w.Zone.Apex) {
				climb = dnsname.Parent(climb)
			} else {
				climb = host
			}
		}
	}
}

// spread draws n of a list, in an order of its own.
func spread(a *asker, list [][]byte, n int) [][]byte {
	drawn := make([][]byte, 0, n)
	for range min(n, len(list)) {
		drawn = append(drawn, list[a.rnd.IntN(len(list))])
	}
	slices.SortFunc(drawn, dnsname.Compare)
	drawn = slices.CompactFunc(drawn, func(x, y []byte) bool { return dnsname.Compare(x, y) == 0 })
	a.rnd.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn
}
