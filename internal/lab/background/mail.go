package background

import (
	"bytes"

	"github.com/picket-dns/picket"
	"github.com/picket-dns/picket/internal/dnsname"
	"github.com/picket-dns/picket/internal/lab"
)

// mail is what mail servers elsewhere ask, of those who send to the organisation and
// of those who check what claims to come from it.
type mail struct {
	a         *asker
	hosts     [][]byte // mail exchangers
	tlsa      [][]byte // of each, _25._tcp below it
	selectors [][]byte // DKIM keys that exist
	stale     [][]byte // and that mail of other times and other senders names
	dmarc     []byte
	mtaSTS    []byte
	policy    []byte // the host of the MTA-STS policy
	report    []byte // _smtp._tls
}

// What most mail software does, and reports of TLS (RFC 8460), which little does: they
// decide little of what the servers see. What decides more is in lab.Parameters.
const (
	asksDKIM   = 0.85
	asksDMARC  = 0.9
	asksBack   = 0.5 // forward-confirms the name that the reverse tree gave
	asksReport = 0.03
)

func newMail(w *lab.World, rate float64, end int64) (lab.Stream, float64) {
	share := min(w.Params.Mail*rate, capacity(w, 6)) // about six names are asked of everybody
	if share <= 0 {
		return nil, 0
	}
	m := mailOf(newAsker(w, lab.Rand(w.Seed, "background/mail")))
	return byUsers(m.a, share, end, func(at int64, r int, out *lab.Outbox) {
		if m.a.rnd.Float64() < 0.45 {
			m.deliver(at, r, out)
		} else {
			m.check(at, r, out)
		}
	}), share
}

func mailOf(a *asker) *mail {
	z := a.w.Zone
	m := &mail{a: a, dmarc: z.Name("_dmarc"), mtaSTS: z.Name("_mta-sts"), policy: z.Name("mta-sts"), report: z.Name("_smtp._tls")}
	keys := z.Name("_domainkey")
	for i := range z.Owners {
		o := &z.Owners[i]
		switch {
		case o.Purpose == lab.PurposeMail && o.Types.Has(lab.TypeA) && len(m.hosts) < 8:
			m.hosts = append(m.hosts, o.Name)
			m.tlsa = append(m.tlsa, append([]byte("\x03_25\x04_tcp"), o.Name...))
		case len(o.Name) > len(keys) && bytes.HasSuffix(o.Name, keys) && dnsname.IsSubdomain(o.Name, keys):
			m.selectors = append(m.selectors, o.Name)
		}
	}
	for _, s := range [...]string{"google", "k1", "default", "s1", "mail", "dkim"} {
		m.stale = append(m.stale, append(appendText(nil, s), keys...))
	}
	return m
}

// deliver is a message to the organisation.
func (m *mail) deliver(at int64, r int, out *lab.Outbox) {
	apex := m.a.w.Zone.Apex
	at, _ = m.a.through(at, r, apex, lab.TypeMX, out)
	if m.a.rnd.Float64() < m.a.w.Params.MailNewer {
		var rcode picket.Rcode
		if at, rcode = m.a.through(at, r, m.mtaSTS, lab.TypeTXT, out); rcode == picket.RcodeNoError {
			at, _ = m.a.through(at, r, m.policy, lab.TypeA, out)
		}
	}
	if len(m.hosts) == 0 {
		return
	}
	i := m.a.rnd.IntN(len(m.hosts))
	at, _ = m.a.through(at, r, m.hosts[i], lab.TypeA, out)
	m.a.through(at, r, m.hosts[i], lab.TypeAAAA, out)
	if m.a.w.Fleet.Resolvers[r].Validates && m.a.rnd.Float64() < m.a.w.Params.MailNewer {
		m.a.through(at, r, m.tlsa[i], lab.TypeTLSA, out)
	}
}

// check is a message that claims to be the organisation's.
func (m *mail) check(at int64, r int, out *lab.Outbox) {
	rnd := m.a.rnd
	if len(m.hosts) > 0 && rnd.Float64() < asksBack {
		at, _ = m.a.through(at, r, m.hosts[rnd.IntN(len(m.hosts))], lab.TypeA, out)
	}
	at, _ = m.a.through(at, r, m.a.w.Zone.Apex, lab.TypeTXT, out)
	if rnd.Float64() < asksDKIM {
		switch {
		case rnd.Float64() < m.a.w.Params.StaleKeys || len(m.selectors) == 0:
			at, _ = m.a.through(at, r, m.stale[min(rnd.IntN(len(m.stale)), rnd.IntN(len(m.stale)))], lab.TypeTXT, out)
		default:
			at, _ = m.a.through(at, r, m.selectors[rnd.IntN(len(m.selectors))], lab.TypeTXT, out)
		}
	}
	if rnd.Float64() < asksDMARC {
		at, _ = m.a.through(at, r, m.dmarc, lab.TypeTXT, out)
	}
	if rnd.Float64() < asksReport {
		m.a.through(at, r, m.report, lab.TypeTXT, out)
	}
}
